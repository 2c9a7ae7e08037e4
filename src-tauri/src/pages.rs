//! The pages in the window, under a scheme of our own.
//!
//! They are the ones that the browser gets, from the same place in this program, with the same
//! policy but for where they may send requests: to our commands, and nowhere else.

use std::sync::LazyLock;

use api::policy;
use axum::body::Body;
use http::{HeaderValue, Request, Response, header};
use http_body_util::BodyExt as _;
use tauri::{Runtime, UriSchemeContext, UriSchemeResponder, WebviewUrl};
use tower::ServiceExt as _;
use url::Url;

/// The scheme: `patchbay://localhost/`, and `http://patchbay.localhost/` on Windows, whose webview
/// knows no schemes of others.
pub(crate) const SCHEME: &str = "patchbay";

static POLICY: LazyLock<HeaderValue> = LazyLock::new(|| {
    let connect = "ipc: http://ipc.localhost";
    HeaderValue::from_str(&policy(connect)).expect("a policy is plain text")
});

/// The first page.
pub(crate) fn home() -> WebviewUrl {
    let url = format!("{SCHEME}://localhost/");
    WebviewUrl::CustomProtocol(Url::parse(&url).expect("a constant that is a URL"))
}

/// Whether an address is one of the pages.
pub(crate) fn has(url: &Url) -> bool {
    let place = (url.scheme(), url.host_str());
    if cfg!(windows) {
        matches!(place, ("http" | "https", Some("patchbay.localhost")))
    } else {
        place == (SCHEME, Some("localhost"))
    }
}

/// Answers the webview.
pub(crate) fn answer<R: Runtime>(
    _: UriSchemeContext<'_, R>,
    request: Request<Vec<u8>>,
    responder: UriSchemeResponder,
) {
    tauri::async_runtime::spawn(async move {
        let request = request.map(|_| Body::empty());
        let answer = api::pages().oneshot(request).await.unwrap_or_else(|never| match never {});
        let (mut parts, body) = answer.into_parts();
        if parts.headers.contains_key(header::CONTENT_SECURITY_POLICY) {
            parts.headers.insert(header::CONTENT_SECURITY_POLICY, POLICY.clone());
        }
        let body = body.collect().await.map(|body| body.to_bytes().to_vec()).unwrap_or_default();
        responder.respond(Response::from_parts(parts, body));
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[cfg(not(windows))]
    fn only_our_own_addresses_are_pages() {
        let has = |url: &str| has(&Url::parse(url).unwrap());

        assert!(has("patchbay://localhost/events/evt_1?q=a"));
        assert!(!has("patchbay://elsewhere/"));
        assert!(!has("http://localhost/"));
        assert!(!has("https://example.com/"));
        assert!(!has("file:///etc/passwd"));
    }
}
