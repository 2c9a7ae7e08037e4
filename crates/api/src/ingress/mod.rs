//! The door for strangers: `/in/{key}`, and while a sign-in waits for it `/oauth/callback`, where a
//! browser comes back and where a provider's server posts keys.
//! Everything else is answered with 404 and nothing.
//!
//! A request is handled in this order: is there an inbox with this key (asked from memory, before
//! a byte of the body is read), is the body small and quick enough, is there room for it among the
//! bodies in hand; then the engine receives it. What does not get that far is a refusal, noted
//! with its reason.
//!
//! This is a hot path: no middleware, no span per request, and a body that came in one piece is
//! never copied. Statuses are the connector's where it names them, and those of `refused` otherwise.

mod body;
mod places;
mod server;

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use axum::Router;
use bytes::Bytes;
use domain::refusal::Reason;
use engine::Engine;
use engine::inbox::{Answer, Delivery, Received};
use engine::sign_in::CALLBACK;
use engine::tunnel::ServeIngress;
use futures::future::BoxFuture;
use http::request::Parts;
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, Response, StatusCode, header};
use http_body_util::Full;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use self::body::{Fault, Room};
use self::places::Places;

/// Most bytes of a request's body: 25 MB.
pub const BODY_LIMIT: usize = 25 * 1024 * 1024;

/// Most bytes of keys that are handed over.
const KEYS_LIMIT: usize = 16 * 1024;

/// Serves the ingress on any number of listeners. Cheap to clone; clones share one room for the
/// bodies that are in hand, and the places for connections.
#[derive(Clone)]
pub struct Ingress {
    room: Room,
    places: Places,
}

impl Ingress {
    /// With room for bodies of 64 MiB at a time, and for as many connections as a process that may
    /// have so many files open can spare: half of them, and at most 1,024.
    pub fn new(open_files: u64) -> Self {
        Self { room: Room::default(), places: Places::within(open_files) }
    }

    /// The ingress as a router, for callers that have no socket. `listener` is the address that it
    /// goes by; see [`ServeIngress`] for `trusted`.
    pub fn router(
        &self,
        engine: Engine,
        listener: SocketAddr,
        trusted: Option<HeaderName>,
    ) -> Router {
        let door = Arc::new(Door { engine, room: self.room.clone(), listener, trusted });
        Router::new().fallback(move |request: axum::extract::Request| {
            let door = door.clone();
            async move { door.answer(request).await }
        })
    }
}

impl ServeIngress for Ingress {
    fn serve(
        &self,
        engine: Engine,
        listener: TcpListener,
        trusted: Option<HeaderName>,
        stop: CancellationToken,
    ) -> BoxFuture<'static, ()> {
        let (room, places) = (self.room.clone(), self.places.clone());
        Box::pin(async move {
            match listener.local_addr() {
                Ok(address) => {
                    let door = Door { engine, room, listener: address, trusted };
                    server::serve(Arc::new(door), listener, places, stop).await;
                }
                Err(error) => tracing::error!("an ingress listener has no address: {error}"),
            }
        })
    }
}

/// One listener's door.
struct Door {
    engine: Engine,
    room: Room,
    listener: SocketAddr,
    trusted: Option<HeaderName>,
}

type Answered = Response<Full<Bytes>>;

impl Door {
    async fn answer<B: body::Incoming>(&self, request: Request<B>) -> Answered {
        let (parts, body) = request.into_parts();
        let path = parts.uri.path();
        if let Some(key) = path.strip_prefix("/in/") {
            if self.engine.has_inbox(key) {
                return self.receive(parts, body).await;
            }
            return self.probe(parts, body).await;
        }
        if path == CALLBACK {
            return self.call_back(parts, body).await;
        }
        self.unknown(parts)
    }

    /// A browser that comes back from a sign-in, or keys that are handed over.
    async fn call_back<B: body::Incoming>(&self, parts: Parts, body: B) -> Answered {
        if parts.method == Method::POST && self.engine.keys_are_awaited() {
            return self.take_keys(parts, body).await;
        }
        if let Some(page) = self.engine.come_back(&parts.method, &parts.uri).await {
            return page;
        }
        if self.engine.sign_in_waits() {
            return self.engine.land(&parts.method, &parts.uri).await;
        }
        self.unknown(parts)
    }

    /// What is none that is waited for is answered as if there were no such path. A provider that
    /// is not told 200 takes its keys back.
    async fn take_keys<B: body::Incoming>(&self, parts: Parts, body: B) -> Answered {
        let Ok(read) = self.room.read(body, KEYS_LIMIT, CALLBACK).await else {
            return self.unknown(parts);
        };
        let status = match self.engine.take_keys(&read.bytes).await {
            None => return self.unknown(parts),
            Some(Ok(())) => StatusCode::OK,
            Some(Err(error)) => {
                tracing::warn!("keys that were handed over were not kept: {error}");
                StatusCode::BAD_REQUEST
            }
        };
        let mut response = Response::new(Full::default());
        *response.status_mut() = status;
        response
    }

    /// A request for an inbox that is there.
    async fn receive<B: body::Incoming>(&self, parts: Parts, body: B) -> Answered {
        let inbox = &parts.uri.path()["/in/".len()..];
        match self.room.read(body, BODY_LIMIT, inbox).await {
            Ok(read) => {
                let delivery = self.delivery(parts, read.bytes);
                // Borrowed from `delivery`, which the engine takes over.
                let key = delivery.uri.path()["/in/".len()..].to_owned();
                match self.engine.receive(&key, delivery).await {
                    Received::Answered(answer) | Received::Overloaded(answer) => connectors(answer),
                    Received::Refused(reason, answer) => {
                        answer.map_or_else(|| refused(reason), connectors)
                    }
                }
            }
            Err(fault) => {
                let reason = fault.into();
                let delivery = self.delivery(parts, Bytes::new());
                let key = &delivery.uri.path()["/in/".len()..];
                self.engine.refuse(Some(key), &delivery, reason);
                refused(reason)
            }
        }
    }

    /// A key that no inbox has may be a probe of ours that came back through a tunnel.
    async fn probe<B: body::Incoming>(&self, parts: Parts, body: B) -> Answered {
        if parts.method == Method::POST
            && let Ok(read) = self.room.read(body, body::PROBE_LIMIT, "").await
        {
            let key = &parts.uri.path()["/in/".len()..];
            if let Some(answer) = self.engine.answer_probe(self.listener, key, &read.bytes) {
                return connectors(answer);
            }
        }
        self.unknown(parts)
    }

    fn unknown(&self, parts: Parts) -> Answered {
        self.engine.refuse(None, &self.delivery(parts, Bytes::new()), Reason::UnknownPath);
        refused(Reason::UnknownPath)
    }

    /// Headers that did not come within their time: nothing else is known of the request.
    fn too_slow(&self) {
        self.engine.refuse(None, &unknown_delivery(), Reason::TooSlow);
    }

    /// Bytes that are no request.
    fn unreadable(&self, why: &str) {
        self.engine.refuse_unread(&unknown_delivery(), Reason::Malformed, why);
    }

    /// The address of this computer, where it asks itself: on the host's own listener, if that is on
    /// loopback, and by a name of loopback. A proxy in front of it says the name that was asked for.
    fn this_computer(&self, headers: &HeaderMap) -> Option<IpAddr> {
        let here = self.listener.ip();
        let asked = headers.get(http::header::HOST)?.to_str().ok()?;
        let name = asked.rsplit_once(':').map_or(asked, |(name, _)| name);
        let by_itself = matches!(name, "127.0.0.1" | "localhost" | "[::1]");
        (here.is_loopback() && by_itself && self.engine.is_own_listener(self.listener))
            .then_some(here)
    }

    fn delivery(&self, parts: Parts, body: Bytes) -> Delivery {
        Delivery {
            address: match &self.trusted {
                Some(name) => sender(&parts.headers, name),
                None => self.this_computer(&parts.headers),
            },
            method: parts.method,
            uri: parts.uri,
            headers: parts.headers,
            body,
        }
    }
}

/// What stands for a request of which nothing is known.
fn unknown_delivery() -> Delivery {
    Delivery {
        method: Method::from_bytes(b"-").unwrap_or_default(),
        uri: http::Uri::default(),
        headers: HeaderMap::new(),
        body: Bytes::new(),
        address: None,
    }
}

/// The sender's address, as the tunnel in front of this listener wrote it: of a list, the last,
/// which is the one that the tunnel added itself.
fn sender(headers: &HeaderMap, name: &HeaderName) -> Option<IpAddr> {
    let value = headers.get_all(name).iter().next_back()?.to_str().ok()?;
    value.rsplit(',').next()?.trim().parse().ok()
}

/// An answer of the connector's.
fn connectors(answer: Answer) -> Answered {
    let mut response = Response::new(Full::new(answer.body));
    *response.status_mut() =
        StatusCode::from_u16(answer.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    for (name, value) in answer.headers {
        match (HeaderName::try_from(name), HeaderValue::try_from(value)) {
            (Ok(name), Ok(value)) => {
                response.headers_mut().append(name, value);
            }
            _ => tracing::warn!("a connector names a header that cannot be sent"),
        }
    }
    response
}

/// What a sender is told about a refusal where its connector says nothing: a status, no word more.
fn refused(reason: Reason) -> Answered {
    let (status, header) = match reason {
        Reason::UnknownPath => (StatusCode::NOT_FOUND, None),
        Reason::Method => (StatusCode::METHOD_NOT_ALLOWED, Some((header::ALLOW, "POST"))),
        Reason::TooLarge => (StatusCode::PAYLOAD_TOO_LARGE, None),
        Reason::TooSlow => (StatusCode::REQUEST_TIMEOUT, None),
        Reason::Malformed => (StatusCode::BAD_REQUEST, None),
        Reason::Unsigned
        | Reason::Stale
        | Reason::WrongSignature
        | Reason::BadCertificate
        | Reason::Unwanted => (StatusCode::UNAUTHORIZED, None),
        // The user can put these right, and a sender that tries again is served then.
        Reason::NoSecret
        | Reason::NoKey
        | Reason::VaultLocked
        | Reason::SecretLost
        | Reason::VaultUnusable
        | Reason::NoConnector => {
            (StatusCode::SERVICE_UNAVAILABLE, Some((header::RETRY_AFTER, "60")))
        }
        Reason::Overload => (StatusCode::SERVICE_UNAVAILABLE, Some((header::RETRY_AFTER, "5"))),
    };
    let mut response = Response::new(Full::default());
    *response.status_mut() = status;
    if let Some((name, value)) = header {
        response.headers_mut().insert(name, HeaderValue::from_static(value));
    }
    response
}

impl From<Fault> for Reason {
    fn from(fault: Fault) -> Self {
        match fault {
            Fault::TooLarge => Self::TooLarge,
            Fault::TooSlow => Self::TooSlow,
            Fault::Broken => Self::Malformed,
            Fault::NoRoom => Self::Overload,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_sender_is_who_the_nearest_proxy_saw() {
        let name = HeaderName::from_static("x-forwarded-for");
        let check = |values: &[&str]| {
            let mut headers = HeaderMap::new();
            for value in values {
                headers.append(name.clone(), value.parse().unwrap());
            }
            sender(&headers, &name)
        };

        assert_eq!(check(&["203.0.113.7"]), "203.0.113.7".parse().ok());
        assert_eq!(check(&["10.9.9.9, 203.0.113.7"]), "203.0.113.7".parse().ok());
        assert_eq!(check(&["10.9.9.9", "2001:db8::7"]), "2001:db8::7".parse().ok());
        assert_eq!(check(&["unknown"]), None);
        assert_eq!(check(&[]), None);
    }
}
