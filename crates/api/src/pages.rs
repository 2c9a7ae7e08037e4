//! The pages of the user interface, as they were built into the program.
//!
//! They are the same for everybody and hold no data, so they need no token. Where the program was
//! built without them, one page says how to build them.

use std::borrow::Cow;
use std::sync::LazyLock;

use axum::response::{IntoResponse, Response};
use axum::{Router, middleware};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use http::{HeaderValue, Method, StatusCode, Uri, header};
use rust_embed::RustEmbed;
use sha2::{Digest, Sha256};

use crate::error::ApiError;
use crate::headers;

#[derive(RustEmbed)]
#[folder = "$CARGO_MANIFEST_DIR/../../ui/build"]
#[allow_missing = true]
struct Pages;

const INDEX: &str = "index.html";
/// Files below have a digest of their content in their name.
const HASHED: &str = "_app/immutable/";

/// What is shown where the pages were not built.
const NOT_BUILT: &str = "<!doctype html>\n<html lang=\"en\">\n<meta charset=\"utf-8\">\n\
<title>Patchbay</title>\n<h1>Patchbay is running</h1>\n\
<p>This program was built without its pages. The API and the command line work. To have the \
pages, run <code>cargo xtask run</code> in the source folder: it builds them and starts Patchbay \
again.</p>\n</html>\n";

/// What a page may do: everything from ourselves, nothing from elsewhere. `connect` is where it may
/// send requests, which differs between a browser (`'self'`) and the window.
///
/// The builder of the pages writes one inline script into the first page; its digest is allowed.
pub fn policy(connect: &str) -> String {
    format!(
        "default-src 'none'; script-src 'self'{}; style-src 'self'; img-src 'self' data:; \
         font-src 'self'; connect-src {connect}; manifest-src 'self'; base-uri 'none'; \
         form-action 'none'; frame-ancestors 'none'; object-src 'none'",
        index().map(|page| inline_scripts(&page)).unwrap_or_default()
    )
}

static BROWSER_POLICY: LazyLock<HeaderValue> =
    LazyLock::new(|| HeaderValue::from_str(&policy("'self'")).expect("a policy is plain text"));

/// The pages alone, for the window: it shows them while the engine still opens.
pub fn pages() -> Router {
    Router::new().fallback(answer).layer(middleware::from_fn(headers::layer))
}

/// Answers whatever is no route: a file of the pages, or the first page, which finds its way from
/// the address.
pub(crate) async fn answer(method: Method, uri: Uri) -> Response {
    let path = uri.path().trim_start_matches('/');
    if path == "api" || path.starts_with("api/") {
        return ApiError::no_route().into_response();
    }
    if method != Method::GET && method != Method::HEAD {
        return ApiError::method_not_allowed().into_response();
    }
    if let Some(file) = Pages::get(path) {
        return page(path, bytes(file.data));
    }
    // A missing file is missing; an address of the pages has no dot in its last part.
    if path.rsplit('/').next().is_some_and(|last| last.contains('.')) && path != INDEX {
        return StatusCode::NOT_FOUND.into_response();
    }
    page(INDEX, index().unwrap_or(Bytes::from_static(NOT_BUILT.as_bytes())))
}

fn page(path: &str, content: Bytes) -> Response {
    let kind = mime_guess::from_path(path).first_or_octet_stream();
    let kind = match (kind.type_().as_str(), kind.essence_str()) {
        ("text", essence) => format!("{essence}; charset=utf-8"),
        (_, essence) => essence.to_owned(),
    };
    let cache =
        if path.starts_with(HASHED) { "public, max-age=31536000, immutable" } else { "no-cache" };
    let mut response = content.into_response();
    let headers = response.headers_mut();
    if let Ok(kind) = HeaderValue::from_str(&kind) {
        headers.insert(header::CONTENT_TYPE, kind);
    }
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static(cache));
    headers.insert(header::CONTENT_SECURITY_POLICY, BROWSER_POLICY.clone());
    response
}

fn index() -> Option<Bytes> {
    Pages::get(INDEX).map(|file| bytes(file.data))
}

fn bytes(data: Cow<'static, [u8]>) -> Bytes {
    match data {
        Cow::Borrowed(data) => Bytes::from_static(data),
        Cow::Owned(data) => data.into(),
    }
}

/// The digests of scripts that stand in a page itself, as sources of a policy.
fn inline_scripts(page: &[u8]) -> String {
    let page = String::from_utf8_lossy(page);
    let mut sources = String::new();
    let mut rest = page.as_ref();
    while let Some((_, after)) = rest.split_once("<script") {
        let Some((attributes, after)) = after.split_once('>') else { break };
        let Some((script, after)) = after.split_once("</script>") else { break };
        if !attributes.contains("src=") {
            let digest = STANDARD.encode(Sha256::digest(script.as_bytes()));
            sources.push_str(&format!(" 'sha256-{digest}'"));
        }
        rest = after;
    }
    sources
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_scripts_that_stand_in_the_page_get_a_digest() {
        let page = b"<script src=\"/a.js\"></script><script>alert(1)</script>";

        assert_eq!(inline_scripts(page), " 'sha256-bhHHL3z2vDgxUt0W3dWQOrprscmda2Y5pLsLg4GF+pI='");
        assert_eq!(inline_scripts(b"<p>"), "");
    }
}
