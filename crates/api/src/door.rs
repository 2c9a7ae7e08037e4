//! The lock of the management router on loopback TCP: who may come in, and from which page.
//!
//! Every request is looked at in this order: is it for us (`Host`), is it from us (`Origin`), does
//! it carry a token. The first two hold for static pages too: a page of somebody else, or a name
//! that somebody else's DNS points to loopback, gets nothing at all. There is no CORS and there
//! are no cookies, which ports of one machine would share.

use std::net::SocketAddr;
use std::sync::Arc;

use axum::Router;
use axum::extract::{Request, State};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use axum::serve::ListenerExt;
use http::{HeaderMap, HeaderValue, Method, Uri, header};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use crate::error::ApiError;
use crate::login::Logins;

/// Puts the lock in front of `router`, for a listener at `address`.
pub fn lock(router: Router, logins: Logins, address: SocketAddr) -> Router {
    let door = Arc::new(Door { logins, hosts: hosts(address) });
    router.layer(middleware::from_fn_with_state(door, check))
}

/// Serves a router on a listener until `stop`, and then until what is in hand is done.
///
/// # Errors
///
/// The listener's, which are final.
pub async fn serve(
    listener: TcpListener,
    router: Router,
    stop: CancellationToken,
) -> std::io::Result<()> {
    // Answers are small and somebody waits for them.
    let listener = listener.tap_io(|stream| {
        if let Err(error) = stream.set_nodelay(true) {
            tracing::debug!("no TCP_NODELAY: {error}");
        }
    });
    axum::serve(listener, router).with_graceful_shutdown(stop.cancelled_owned()).await
}

struct Door {
    logins: Logins,
    /// The names under which this listener is called, ports included.
    hosts: [String; 2],
}

fn hosts(address: SocketAddr) -> [String; 2] {
    [address.to_string(), format!("localhost:{}", address.port())]
}

impl Door {
    fn admits(&self, method: &Method, uri: &Uri, headers: &HeaderMap) -> Result<(), ApiError> {
        if !only(headers, &header::HOST).is_some_and(|host| self.is_ours(host)) {
            return Err(ApiError::foreign_host());
        }
        if headers.contains_key(header::ORIGIN) {
            let origin = only(headers, &header::ORIGIN).and_then(|it| it.strip_prefix("http://"));
            if !origin.is_some_and(|host| self.is_ours(host)) {
                return Err(ApiError::foreign_origin());
            }
        }
        if is_free(method, uri.path()) || self.has_token(headers) {
            Ok(())
        } else {
            Err(ApiError::unauthorized())
        }
    }

    fn is_ours(&self, host: &str) -> bool {
        self.hosts.iter().any(|ours| ours.eq_ignore_ascii_case(host))
    }

    fn has_token(&self, headers: &HeaderMap) -> bool {
        only(headers, &header::AUTHORIZATION)
            .and_then(|value| value.split_once(' '))
            .filter(|(scheme, _)| scheme.eq_ignore_ascii_case("bearer"))
            .is_some_and(|(_, token)| self.logins.allows(token.trim()))
    }
}

/// The value of a header that came once.
fn only<'a>(headers: &'a HeaderMap, name: &header::HeaderName) -> Option<&'a str> {
    let mut values = headers.get_all(name).iter();
    match (values.next(), values.next()) {
        (Some(value), None) => value.to_str().ok(),
        _ => None,
    }
}

/// What needs no token: static pages, and the two routes without which nobody could log in.
fn is_free(method: &Method, path: &str) -> bool {
    match path {
        "/api/health" => true,
        "/api/login" => method == Method::POST,
        _ => path != "/api" && !path.starts_with("/api/"),
    }
}

async fn check(State(door): State<Arc<Door>>, request: Request, next: Next) -> Response {
    match door.admits(request.method(), request.uri(), request.headers()) {
        Ok(()) => next.run(request).await,
        Err(error) => refused(error),
    }
}

fn refused(error: ApiError) -> Response {
    let unauthorized = error.status() == http::StatusCode::UNAUTHORIZED;
    let mut response = error.into_response();
    if unauthorized {
        let headers = response.headers_mut();
        headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
    }
    crate::headers::secure(response.headers_mut());
    response
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::Code;

    const ADDRESS: &str = "127.0.0.1:4700";

    fn check(path: &str, headers: &[(&str, &str)]) -> Option<Code> {
        let logins = Logins::new().unwrap();
        let token = format!("Bearer {}", logins.token().expose());
        let door = Door { logins, hosts: hosts(ADDRESS.parse().unwrap()) };
        let mut map = HeaderMap::new();
        for (name, value) in headers {
            let value = value.replace("TOKEN", &token);
            map.append(header::HeaderName::try_from(*name).unwrap(), value.parse().unwrap());
        }
        door.admits(&Method::GET, &path.parse().unwrap(), &map).err().map(|it| it.detail().code)
    }

    #[test]
    fn a_host_is_compared_with_its_port() {
        let host = |host| check("/", &[("host", host)]);

        assert_eq!(host("127.0.0.1:4700"), None);
        assert_eq!(host("LOCALHOST:4700"), None);
        for foreign in ["127.0.0.1", "127.0.0.1:4701", "localhost", "evil.example:4700", ""] {
            assert_eq!(host(foreign), Some(Code::ForeignHost), "{foreign}");
        }
        assert_eq!(check("/", &[]), Some(Code::ForeignHost));
        assert_eq!(
            check("/", &[("host", ADDRESS), ("host", "evil.example")]),
            Some(Code::ForeignHost)
        );
    }

    #[test]
    fn an_origin_is_compared_with_its_scheme_and_port() {
        let origin = |origin| check("/", &[("host", ADDRESS), ("origin", origin)]);

        assert_eq!(origin("http://127.0.0.1:4700"), None);
        for foreign in ["null", "https://127.0.0.1:4700", "http://127.0.0.1:5173", "http://a.b"] {
            assert_eq!(origin(foreign), Some(Code::ForeignOrigin), "{foreign}");
        }
    }

    #[test]
    fn the_api_needs_a_token() {
        let with = |path, token| check(path, &[("host", ADDRESS), ("authorization", token)]);

        assert_eq!(with("/api/events", "TOKEN"), None);
        assert_eq!(with("/api/events", "Bearer wrong"), Some(Code::Unauthorized));
        assert_eq!(with("/api/events", "Basic wrong"), Some(Code::Unauthorized));
        assert_eq!(check("/api/events", &[("host", ADDRESS)]), Some(Code::Unauthorized));
        assert_eq!(check("/api/nothing", &[("host", ADDRESS)]), Some(Code::Unauthorized));
        // Spending a code is a POST; there is nothing else at that path.
        assert_eq!(check("/api/login", &[("host", ADDRESS)]), Some(Code::Unauthorized));
        assert_eq!(check("/api/health", &[("host", ADDRESS)]), None);
        assert_eq!(check("/events", &[("host", ADDRESS)]), None);
    }
}
