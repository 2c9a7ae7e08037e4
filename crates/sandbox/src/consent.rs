//! The page on which the user lets an app read the shop.
//!
//! It has no script and loads nothing. What the address bar brings (client, scope, address) is
//! somebody else's text and is escaped wherever it is shown.

use std::sync::LazyLock;

use axum::body::Bytes;
use axum::extract::{RawQuery, State};
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{Html, IntoResponse, Response};
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use sha2::{Digest as _, Sha256};
use url::{Host, Url};

use crate::form::Form;
use crate::sign_in::Consent;
use crate::{Shared, locked};

const STYLE: &str = include_str!("consent.css");

static STYLE_HASH: LazyLock<String> =
    LazyLock::new(|| BASE64_STANDARD.encode(Sha256::digest(STYLE)));

/// What an app asks for, checked.
struct Asked {
    consent: Consent,
    redirect: Url,
    state: Option<String>,
}

/// Why the question cannot be put.
enum Fault {
    /// The address to go back to is not to be trusted, so the user is told here.
    Here(&'static str),
    /// The app is told, at its address.
    There { asked: Box<Asked>, code: &'static str },
}

pub(crate) async fn show(RawQuery(query): RawQuery) -> Response {
    match read(query.as_deref().unwrap_or_default()) {
        Ok(asked) => page(&asked),
        Err(fault) => refuse(fault),
    }
}

pub(crate) async fn decide(
    State(shared): State<Shared>,
    RawQuery(query): RawQuery,
    body: Bytes,
) -> Response {
    let asked = match read(query.as_deref().unwrap_or_default()) {
        Ok(asked) => asked,
        Err(fault) => return refuse(fault),
    };
    match Form::read(&body).get("decision") {
        Some("allow") => {
            let now = shared.now();
            let code = locked(&shared.grants).allow(asked.consent.clone(), now);
            shared.wake.notify_waiters();
            go_back(&asked, "code", &code)
        }
        Some("deny") => go_back(&asked, "error", "access_denied"),
        _ => problem("The answer must be allow or deny."),
    }
}

fn read(query: &str) -> Result<Asked, Fault> {
    let query = Form::read(query.as_bytes());
    let redirect_uri = query.get("redirect_uri").ok_or(Fault::Here("redirect_uri is missing."))?;
    let redirect = Url::parse(redirect_uri)
        .ok()
        .filter(is_loopback)
        .ok_or(Fault::Here("redirect_uri must be an http address of this computer."))?;
    let client_id = query
        .get("client_id")
        .filter(|id| !id.is_empty())
        .ok_or(Fault::Here("client_id is missing."))?;
    let challenge = query.get("code_challenge").unwrap_or_default();
    let asked = Asked {
        consent: Consent {
            client_id: client_id.into(),
            redirect_uri: redirect_uri.into(),
            code_challenge: challenge.into(),
            scope: query.get("scope").unwrap_or_default().into(),
        },
        redirect,
        state: query.get("state").map(Into::into),
    };

    if query.get("response_type") != Some("code") {
        return Err(Fault::There { asked: Box::new(asked), code: "unsupported_response_type" });
    }
    // 43 characters are the 32 bytes of a SHA-256.
    if query.get("code_challenge_method") != Some("S256") || challenge.len() != 43 {
        return Err(Fault::There { asked: Box::new(asked), code: "invalid_request" });
    }
    Ok(asked)
}

fn is_loopback(url: &Url) -> bool {
    let here = match url.host() {
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        Some(Host::Domain(name)) => name == "localhost",
        None => false,
    };
    here && url.scheme() == "http" && url.fragment().is_none() && url.username().is_empty()
}

fn refuse(fault: Fault) -> Response {
    match fault {
        Fault::Here(sentence) => problem(sentence),
        Fault::There { asked, code } => go_back(&asked, "error", code),
    }
}

fn go_back(asked: &Asked, name: &str, value: &str) -> Response {
    let mut to = asked.redirect.clone();
    to.query_pairs_mut().append_pair(name, value);
    if let Some(state) = &asked.state {
        to.query_pairs_mut().append_pair("state", state);
    }
    let headers = [
        (header::LOCATION, to.as_str()),
        (header::CACHE_CONTROL, "no-store"),
        (header::REFERRER_POLICY, "no-referrer"),
    ];
    (StatusCode::SEE_OTHER, headers).into_response()
}

fn page(asked: &Asked) -> Response {
    let back = asked.redirect.origin().ascii_serialization();
    let reads = reads(&asked.consent.scope);
    let main = format!(
        "<h1>Let {client} read this shop?</h1>\n\
         <p>It asks to:</p>\n<ul>{reads}</ul>\n\
         <p class=\"dim\">After your answer you go back to {back}. Nothing leaves this computer, \
         and no real shop is touched.</p>\n\
         <form method=\"post\">\
         <button class=\"primary\" name=\"decision\" value=\"allow\">Allow</button>\
         <button name=\"decision\" value=\"deny\">Deny</button></form>",
        client = named(&asked.consent.client_id),
        back = escaped(&back),
    );
    // A form that is answered with a redirect needs the redirect's address here as well.
    document(StatusCode::OK, "Let an app read the shop?", &main, &format!("'self' {back}"))
}

/// A client as a sentence names it: escaped, with a capital.
fn named(client: &str) -> String {
    let mut letters = client.chars();
    let first = letters.next().map(|letter| letter.to_uppercase().to_string());
    escaped(&format!("{}{}", first.unwrap_or_default(), letters.as_str()))
}

fn problem(sentence: &str) -> Response {
    let main = format!(
        "<h1>This sign-in cannot begin</h1>\n<p>{}</p>\n\
         <p class=\"dim\">Go back to the app that sent you here and begin again.</p>",
        escaped(sentence)
    );
    document(StatusCode::BAD_REQUEST, "This sign-in cannot begin", &main, "'none'")
}

fn document(status: StatusCode, title: &str, main: &str, form_action: &str) -> Response {
    let html = format!(
        "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
         <title>{title} · Sandbox</title>\n<style>{STYLE}</style>\n</head>\n<body>\n<main>\n\
         <p class=\"notice\">Sandbox: a pretend shop on this computer</p>\n{main}\n</main>\n\
         </body>\n</html>\n"
    );
    let policy = format!(
        "default-src 'none'; style-src 'sha256-{}'; form-action {form_action}; \
         frame-ancestors 'none'; base-uri 'none'",
        *STYLE_HASH
    );
    let mut response = (status, Html(html)).into_response();
    let headers = response.headers_mut();
    if let Ok(policy) = HeaderValue::try_from(policy) {
        headers.insert(header::CONTENT_SECURITY_POLICY, policy);
    }
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(header::REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
    headers.insert(header::X_FRAME_OPTIONS, HeaderValue::from_static("DENY"));
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    response
}

/// What the scopes mean, in words; scopes the shop does not know are shown as they are.
fn reads(scope: &str) -> String {
    let mut items: Vec<_> = scope
        .split_ascii_whitespace()
        .map(|scope| match scope {
            "orders" | "orders:read" | "read_orders" => "read its orders".into(),
            "products" | "products:read" | "read_products" => "read its products".into(),
            "customers" | "customers:read" | "read_customers" => "read its customers".into(),
            "stock" | "stock:read" | "read_stock" => "read its stock".into(),
            "webhooks" | "webhooks:write" | "write_webhooks" => {
                "be told by webhook when something happens".into()
            }
            other => escaped(other),
        })
        .collect();
    if items.is_empty() {
        items.push("read everything in the shop".to_owned());
    }
    items.iter().map(|item| format!("<li>{item}</li>")).collect()
}

/// Makes somebody else's text safe between tags, and short.
fn escaped(text: &str) -> String {
    text.chars()
        .filter(|letter| !letter.is_control())
        .take(200)
        .map(|letter| match letter {
            '&' => "&amp;".into(),
            '<' => "&lt;".into(),
            '>' => "&gt;".into(),
            '"' => "&quot;".into(),
            '\'' => "&#39;".into(),
            other => other.to_string(),
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_addresses_of_this_computer_are_gone_back_to() {
        let check = |text: &str| Url::parse(text).is_ok_and(|url| is_loopback(&url));

        assert!(check("http://127.0.0.1:4701/oauth/callback"));
        assert!(check("http://[::1]:80/cb"));
        assert!(check("http://localhost/cb"));
        assert!(!check("https://shop.example/cb"));
        assert!(!check("http://127.0.0.1.shop.example/cb"));
        assert!(!check("http://localhost@shop.example/cb"));
        assert!(!check("http://127.0.0.1/cb#fragment"));
        assert!(!check("javascript:alert(1)"));
    }

    #[test]
    fn foreign_text_is_escaped() {
        assert_eq!(escaped("<b a='\"'>&\n"), "&lt;b a=&#39;&quot;&#39;&gt;&amp;");
    }
}
