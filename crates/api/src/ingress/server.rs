//! HTTP/1 on an ingress listener, with a limit on everything that a stranger can make large, slow
//! or many.

use std::convert::Infallible;
use std::io;
use std::pin::{Pin, pin};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};
use std::task::{Context, Poll};
use std::time::Duration;

use hyper::body::{Body, Frame, SizeHint};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::Door;
use super::places::{Place, Places};

/// How long the headers of a request may take; an idle connection is closed after that, too.
const HEADER_TIME: Duration = Duration::from_secs(30);
/// Bytes of a request's first line and headers together.
const HEADER_BYTES: usize = 64 * 1024;
/// Bytes that are read ahead of one connection.
const READ_AHEAD: usize = 128 * 1024;
/// How long no connection is taken when the operating system has none to give.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// Serves until `stop`, and then until every request in hand is answered.
pub(super) async fn serve(
    door: Arc<Door>,
    listener: TcpListener,
    places: Places,
    stop: CancellationToken,
) {
    let mut http = http1::Builder::new();
    http.timer(TokioTimer::new())
        .header_read_timeout(HEADER_TIME)
        .max_header_size(HEADER_BYTES)
        .max_buf_size(READ_AHEAD)
        .keep_alive(true);
    let connections = TaskTracker::new();
    loop {
        let Some((stream, place)) = next(&listener, &places, &stop).await else { break };
        connections.spawn(connection(http.clone(), stream, place, door.clone(), stop.clone()));
    }
    // The port is free for the next start while the last requests are answered.
    drop(listener);
    connections.close();
    connections.wait().await;
}

async fn next(
    listener: &TcpListener,
    places: &Places,
    stop: &CancellationToken,
) -> Option<(TcpStream, Place)> {
    let accepted = async {
        loop {
            match listener.accept().await {
                Ok((stream, _)) => return (stream, places.take().await),
                Err(error) => {
                    tracing::warn!("a connection could not be taken: {error}");
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                }
            }
        }
    };
    tokio::select! {
        biased;
        () = stop.cancelled() => None,
        accepted = accepted => Some(accepted),
    }
}

async fn connection(
    http: http1::Builder,
    stream: TcpStream,
    place: Place,
    door: Arc<Door>,
    stop: CancellationToken,
) {
    if let Err(error) = stream.set_nodelay(true) {
        tracing::debug!("no TCP_NODELAY: {error}");
    }
    let place = Arc::new(place);
    let seen = Arc::new(Seen::default());
    let io = TokioIo::new(Noticing { stream, seen: seen.clone() });
    let service = service_fn(|request: hyper::Request<hyper::body::Incoming>| {
        let (door, seen, place) = (&door, &seen, &place);
        async move {
            place.begun();
            let answer = door.answer(request.map(|body| Whole::of(body, place))).await;
            seen.begun.store(false, Ordering::Relaxed);
            place.answered();
            Ok::<_, Infallible>(answer)
        }
    });
    let mut connection = pin!(http.serve_connection(io, service));
    let ended = tokio::select! {
        biased;
        ended = connection.as_mut() => ended,
        () = place.closed() => return,
        () = stop.cancelled() => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    let Err(error) = ended else { return };
    // An idle connection runs into the same limit, and is no news.
    if error.is_timeout() && seen.begun.load(Ordering::Relaxed) {
        door.too_slow();
    } else if error.is_parse() {
        door.unreadable(why_unreadable(&error, seen.first.get().copied()));
    }
}

/// Why a request could not be read, as far as its first bytes and the parser say.
fn why_unreadable(error: &hyper::Error, first: Option<[u8; 3]>) -> &'static str {
    match first.as_ref().map(|first| &first[..]) {
        // A TLS record that carries a handshake, of any version.
        Some([0x16, 0x03, _]) => "https was spoken to the http port",
        Some(b"PRI") => "HTTP/2 was spoken, and only HTTP/1.1 is understood here",
        Some(b"PRO" | b"\r\n\r") => {
            "a proxy spoke the PROXY protocol, which is not understood here"
        }
        _ if error.is_parse_too_large() => {
            "the address or the headers are too large: 64 KiB and 100 headers are the most"
        }
        _ => "it is not a request as HTTP/1.1 has them",
    }
}

/// The body of a request, which tells the connection's place when it is here.
struct Whole {
    body: hyper::body::Incoming,
    place: Arc<Place>,
}

impl Whole {
    fn of(body: hyper::body::Incoming, place: &Arc<Place>) -> Self {
        if body.is_end_stream() {
            place.whole();
        }
        Self { body, place: place.clone() }
    }
}

impl Body for Whole {
    type Data = bytes::Bytes;
    type Error = hyper::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Self::Data>, Self::Error>>> {
        let poll = Pin::new(&mut self.body).poll_frame(cx);
        if poll.is_ready() && self.body.is_end_stream() {
            self.place.whole();
        }
        poll
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

/// What is known of what came on a connection.
#[derive(Default)]
struct Seen {
    /// Whether bytes of a request have come that was not answered.
    begun: AtomicBool,
    /// The very first bytes.
    first: OnceLock<[u8; 3]>,
}

/// A connection that notices when bytes of a request come.
struct Noticing {
    stream: TcpStream,
    seen: Arc<Seen>,
}

impl AsyncRead for Noticing {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        let poll = Pin::new(&mut self.stream).poll_read(cx, buffer);
        let new = &buffer.filled()[before..];
        if !new.is_empty() {
            self.seen.begun.store(true, Ordering::Relaxed);
            self.seen.first.get_or_init(|| {
                let mut first = [0; 3];
                let n = new.len().min(3);
                first[..n].copy_from_slice(&new[..n]);
                first
            });
        }
        poll
    }
}

impl AsyncWrite for Noticing {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(cx, slices)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }
}
