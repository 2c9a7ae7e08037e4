//! The listener to which a browser comes back, and the page that it finds there.

use std::convert::Infallible;
use std::net::{Ipv4Addr, Ipv6Addr};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use domain::id::ConnectionId;
use http::{HeaderValue, Method, Request, Response, StatusCode, Uri, header};
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use url::Url;

use super::waiting::At;
use super::{CALLBACK, Error};
use crate::Engine;
use crate::connection::ConnectionStatus;

/// How many connections it has at once: a browser opens a few.
const CONNECTIONS: usize = 16;
/// How long a browser may take to send its request.
const HEADERS: Duration = Duration::from_secs(10);

/// Where a browser comes back on this computer. What is called `localhost` is looked for under
/// both of its addresses.
pub(super) struct Listener {
    sockets: (TcpListener, Option<TcpListener>),
    path: String,
}

impl Listener {
    /// Listens at `port`, or at any where that is 0.
    pub(super) async fn bind(port: u16, by_name: bool, path: &str) -> std::io::Result<Self> {
        let first = TcpListener::bind((Ipv4Addr::LOCALHOST, port)).await?;
        let port = first.local_addr()?.port();
        // A computer without that kind of address has nobody who looks there.
        let second =
            if by_name { TcpListener::bind((Ipv6Addr::LOCALHOST, port)).await.ok() } else { None };
        Ok(Self { sockets: (first, second), path: path.into() })
    }

    pub(super) fn port(&self) -> std::io::Result<u16> {
        Ok(self.sockets.0.local_addr()?.port())
    }

    async fn accept(&self) -> std::io::Result<(TcpStream, std::net::SocketAddr)> {
        match &self.sockets {
            (first, None) => first.accept().await,
            (first, Some(second)) => tokio::select! {
                accepted = first.accept() => accepted,
                accepted = second.accept() => accepted,
            },
        }
    }
}

/// Answers on `listener` until `until`, or until `stop` is told. It is closed then, which `closed`
/// is told, and a request that is being answered is answered still.
pub(super) fn listen(
    engine: Engine,
    id: ConnectionId,
    listener: Listener,
    until: Instant,
    stop: CancellationToken,
    closed: CancellationToken,
) {
    // Dropped with the task in whatever way that ends, so that nobody waits for ever.
    let closed = closed.drop_guard();
    tokio::spawn(async move {
        let room = Arc::new(Semaphore::new(CONNECTIONS));
        let stopping = engine.inner.stopping.clone();
        let path: Arc<str> = listener.path.as_str().into();
        let serve = async {
            // It is never closed, so there is always a permit at last.
            while let Ok(place) = Arc::clone(&room).acquire_owned().await {
                let Ok((stream, _)) = listener.accept().await else { continue };
                let (engine, path) = (engine.clone(), Arc::clone(&path));
                tokio::spawn(async move {
                    let _place = place;
                    converse(engine, path, stream).await;
                });
            }
        };
        tokio::select! {
            () = serve => {}
            () = stop.cancelled() => {}
            () = stopping.cancelled() => {}
            () = tokio::time::sleep_until(until) => {}
        }
        // Whoever looks at those that wait may have been quicker to end it.
        if Instant::now() >= until {
            tracing::info!(%id, "nobody came back from a sign-in in time");
            engine.nobody_came_back(id).await;
        }
        drop(listener);
        drop(closed);
        engine.connection_changed();
    });
}

async fn converse(engine: Engine, path: Arc<str>, stream: TcpStream) {
    let service = service_fn(|request| {
        let (engine, path) = (engine.clone(), Arc::clone(&path));
        let request: Request<Incoming> = request;
        async move { Ok::<_, Infallible>(engine.land_at(&path, request.method(), request.uri()).await) }
    });
    let conversation = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEADERS)
        .keep_alive(false)
        .serve_connection(TokioIo::new(stream), service);
    // A browser that goes away has seen the page, or does not want to.
    let _ = conversation.await;
}

impl Engine {
    /// Answers a browser that comes back from a sign-in: it finishes the sign-in, and is told how
    /// that went. Anything but a `GET` of the callback is answered with 404 and nothing.
    pub async fn land(&self, method: &Method, uri: &Uri) -> Response<Full<Bytes>> {
        self.land_at(CALLBACK, method, uri).await
    }

    /// As [`Engine::land`], where the callback is at another path.
    async fn land_at(&self, path: &str, method: &Method, uri: &Uri) -> Response<Full<Bytes>> {
        let path_and_query = uri.path_and_query().map_or("", |it| it.as_str());
        let landed = Url::parse("http://127.0.0.1").and_then(|base| base.join(path_and_query));
        match landed {
            Ok(landed) if method == Method::GET && uri.path() == path => {
                told(&self.complete(&landed, At::Path(path)).await)
            }
            _ => {
                let mut response = Response::new(Full::default());
                *response.status_mut() = StatusCode::NOT_FOUND;
                response
            }
        }
    }
}

/// What the person in the browser is told.
fn told(outcome: &Result<ConnectionStatus, Error>) -> Response<Full<Bytes>> {
    let (status, title, text) = match outcome {
        Ok(connection) => (
            StatusCode::OK,
            "Signed in",
            format!("{} is connected. You can close this tab.", connection.connection.connection.name),
        ),
        Err(Error::NotWaiting) => (
            StatusCode::CONFLICT,
            "Already used",
            "This sign-in was finished before, or is older than ten minutes. Go back to Patchbay to \
             see how it stands."
                .into(),
        ),
        Err(Error::State) => (
            StatusCode::FORBIDDEN,
            "Not ours",
            "This answer does not belong to the sign-in that Patchbay waits for. Nothing was \
             changed."
                .into(),
        ),
        Err(Error::Redirect(_) | Error::Issuer(_)) => (
            StatusCode::FORBIDDEN,
            "Not ours",
            "This answer does not come from where Patchbay expects it. Nothing was changed.".into(),
        ),
        Err(error) => (
            StatusCode::BAD_REQUEST,
            "Not signed in",
            format!("The sign-in failed: {error}. Go back to Patchbay to begin again."),
        ),
    };
    page(status, title, &text)
}

/// A page that loads nothing, is kept by nobody, and says to nobody whence it was left.
pub(super) fn page(status: StatusCode, title: &str, text: &str) -> Response<Full<Bytes>> {
    let html = format!(
        "<!doctype html>\n<html lang=\"en\">\n<meta charset=\"utf-8\">\n\
         <meta name=\"color-scheme\" content=\"light dark\">\n\
         <title>{title} · Patchbay</title>\n<h1>{title}</h1>\n<p>{}</p>\n</html>\n",
        escaped(text)
    );
    let mut response = Response::new(Full::new(Bytes::from(html)));
    *response.status_mut() = status;
    for (name, value) in [
        (header::CONTENT_TYPE, "text/html; charset=utf-8"),
        (header::CACHE_CONTROL, "no-store"),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::REFERRER_POLICY, "no-referrer"),
        (header::X_FRAME_OPTIONS, "DENY"),
        (
            header::CONTENT_SECURITY_POLICY,
            "default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
        ),
    ] {
        response.headers_mut().insert(name, HeaderValue::from_static(value));
    }
    response
}

/// The provider's words end up in the page: as text, never as HTML.
fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}
