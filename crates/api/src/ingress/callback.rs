//! Where a browser lands after a sign-in whose provider wants a public https address.

use std::net::SocketAddr;

use bytes::Bytes;
use engine::Engine;
use http::header::{self, HeaderValue};
use http::request::Parts;
use http::{Method, Response, StatusCode};
use http_body_util::Full;
use url::Url;

use super::Answered;
use crate::error::ApiError;

pub(super) const PATH: &str = "/oauth/callback";

/// Finishes the sign-in that waits, and tells the person in the browser how that went.
pub(super) async fn answer(engine: &Engine, parts: &Parts, listener: SocketAddr) -> Answered {
    if parts.method != Method::GET {
        return super::refused(domain::refusal::Reason::UnknownPath);
    }
    let landed = Url::parse(&format!("http://{listener}"))
        .and_then(|base| base.join(parts.uri.path_and_query().map_or(PATH, |it| it.as_str())));
    let Ok(landed) = landed else {
        return page(StatusCode::BAD_REQUEST, "This address cannot be read.", "");
    };
    match engine.complete_sign_in(&landed).await {
        Ok(_) => page(StatusCode::OK, "You are signed in.", "You can close this page."),
        Err(error) => {
            let error = ApiError::from(error);
            let hint = error.detail().hint.as_deref().unwrap_or_default();
            page(error.status(), &format!("The sign-in failed: {}.", error.detail().message), hint)
        }
    }
}

fn page(status: StatusCode, title: &str, text: &str) -> Answered {
    let html = format!(
        "<!doctype html>\n<html lang=\"en\">\n<meta charset=\"utf-8\">\n<title>Patchbay</title>\n\
         <h1>{}</h1>\n<p>{}</p>\n</html>\n",
        escaped(title),
        escaped(text)
    );
    let mut response = Response::new(Full::new(Bytes::from(html)));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("text/html; charset=utf-8"));
    crate::headers::secure(headers);
    response
}

/// The provider's words end up in the page: as text, never as HTML.
fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}
