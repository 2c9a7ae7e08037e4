//! HTTP/1 on an ingress listener, with a limit on everything that a stranger can make large, slow
//! or many.

use std::convert::Infallible;
use std::io;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::Door;

/// Connections of one listener at a time; more wait in the operating system's queue.
const CONNECTIONS: usize = 1024;
/// How long the headers of a request may take; an idle connection is closed after that, too.
const HEADER_TIME: Duration = Duration::from_secs(30);
/// Bytes of a request's first line and headers together.
const HEADER_BYTES: usize = 64 * 1024;
/// Bytes that are read ahead of one connection.
const READ_AHEAD: usize = 128 * 1024;
/// How long no connection is taken when the operating system has none to give.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// Serves until `stop`, and then until every request in hand is answered.
pub(super) async fn serve(door: Arc<Door>, listener: TcpListener, stop: CancellationToken) {
    let mut http = http1::Builder::new();
    http.timer(TokioTimer::new())
        .header_read_timeout(HEADER_TIME)
        .max_header_size(HEADER_BYTES)
        .max_buf_size(READ_AHEAD)
        .keep_alive(true);
    let places = Arc::new(Semaphore::new(CONNECTIONS));
    let connections = TaskTracker::new();
    loop {
        let Some((stream, place)) = next(&listener, &places, &stop).await else { break };
        let task = connection(http.clone(), stream, door.clone(), stop.child_token());
        connections.spawn(async move {
            task.await;
            drop(place);
        });
    }
    // The port is free for the next start while the last requests are answered.
    drop(listener);
    connections.close();
    connections.wait().await;
}

async fn next(
    listener: &TcpListener,
    places: &Arc<Semaphore>,
    stop: &CancellationToken,
) -> Option<(TcpStream, tokio::sync::OwnedSemaphorePermit)> {
    let accepted = async {
        let place = places.clone().acquire_owned().await.ok()?;
        loop {
            match listener.accept().await {
                Ok((stream, _)) => return Some((stream, place)),
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
        accepted = accepted => accepted,
    }
}

async fn connection(
    http: http1::Builder,
    stream: TcpStream,
    door: Arc<Door>,
    stop: CancellationToken,
) {
    if let Err(error) = stream.set_nodelay(true) {
        tracing::debug!("no TCP_NODELAY: {error}");
    }
    let begun = Arc::new(AtomicBool::new(false));
    let io = TokioIo::new(Noticing { stream, begun: begun.clone() });
    let service = service_fn(|request| {
        let (door, begun) = (&door, &begun);
        async move {
            let answer = door.answer(request).await;
            begun.store(false, Ordering::Relaxed);
            Ok::<_, Infallible>(answer)
        }
    });
    let mut connection = pin!(http.serve_connection(io, service));
    let ended = tokio::select! {
        biased;
        ended = connection.as_mut() => ended,
        () = stop.cancelled() => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    // An idle connection runs into the same limit, and is no news.
    if ended.is_err_and(|error| error.is_timeout()) && begun.load(Ordering::Relaxed) {
        door.too_slow();
    }
}

/// A connection that notices when bytes of a request come.
struct Noticing {
    stream: TcpStream,
    begun: Arc<AtomicBool>,
}

impl AsyncRead for Noticing {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        let poll = Pin::new(&mut self.stream).poll_read(cx, buffer);
        if buffer.filled().len() > before {
            self.begun.store(true, Ordering::Relaxed);
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
