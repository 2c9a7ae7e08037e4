//! What senders are answered: to the question whether an address is right, and to what was taken.
//!
//! They are answered and not stored. What is echoed is a short text and is sent as plain text or
//! JSON, so that nobody can use an inbox to show a page of their own. A question that comes as
//! POST is believed like any other request, unless the connector says that nobody signs it; HEAD,
//! GET and OPTIONS never are signed, and learn nothing but that the address is right.

use std::collections::BTreeMap;

use jiff::Timestamp;

use crate::connector::{Handshake, Ping, Reply, Webhooks};
use crate::json::Json;
use crate::signature::Request;
use crate::template::Place;
use crate::{envelope, intake, origin};

/// The longest echo, in bytes.
const ECHO: usize = 1024;

/// What is known of a request when it is asked for a handshake.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Proved {
    /// Nothing yet.
    No,
    /// That it comes from its sender, as far as its connector asks for that.
    Yes,
}

/// What a sender is answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    /// The status.
    pub status: u16,
    /// Headers.
    pub headers: Vec<(String, String)>,
    /// Body.
    pub body: String,
}

const PLAIN: &str = "text/plain; charset=utf-8";

/// What `request` is answered where it is a handshake.
pub fn answer(
    webhooks: &Webhooks,
    request: &Request<'_>,
    settings: &BTreeMap<String, String>,
    proved: Proved,
    now: Timestamp,
) -> Option<Answer> {
    let mut rules = webhooks.handshake.iter().filter(|rule| {
        let unsigned = request.method != "POST" || rule.unsigned;
        unsigned || proved == Proved::Yes
    });
    rules.find_map(|rule| one(rule, webhooks, request, settings, now))
}

fn one(
    rule: &Handshake,
    webhooks: &Webhooks,
    request: &Request<'_>,
    settings: &BTreeMap<String, String>,
    now: Timestamp,
) -> Option<Answer> {
    let fits = match &rule.reply {
        Reply::Head => request.method == "HEAD",
        Reply::OptionsOrigin { .. } => {
            request.method == "OPTIONS" && request.has("webhook-request-origin")
        }
        Reply::Cors { .. } => request.method == "OPTIONS" && request.has("origin"),
        Reply::Echo(_) => matches!(request.method, "POST" | "GET"),
        Reply::EchoJson(_) | Reply::Ping(_) => request.method == "POST",
    };
    if !fits {
        return None;
    }
    let asked = asked(request);
    if rule.when.as_ref().is_some_and(|when| !when.holds(&asked, now)) {
        return None;
    }
    let status = webhooks.answer.status;
    let text = |kind: &str, body: String| {
        let headers = vec![("content-type".to_owned(), kind.to_owned())];
        (body.len() <= ECHO).then_some(Answer { status: 200, headers, body })
    };
    match &rule.reply {
        Reply::Echo(pick) => text(PLAIN, intake::pick(pick, request, &asked, now)?),
        Reply::EchoJson(value) => {
            text("application/json", value.first(&asked, now).ok().flatten()?.to_string())
        }
        Reply::Ping(ping) => Some(pinged(ping, status)),
        Reply::Head => Some(Answer { status: 200, headers: Vec::new(), body: String::new() }),
        Reply::OptionsOrigin { origins, rate } => {
            options_origin(request, setting(settings, origins), *rate)
        }
        Reply::Cors { origins } => {
            let mut headers = shared_with(request, setting(settings, origins))?;
            headers.push(("access-control-allow-methods".into(), "POST".into()));
            headers.push(("access-control-allow-headers".into(), "content-type".into()));
            headers.push(("access-control-max-age".into(), "600".into()));
            Some(Answer { status: 204, headers, body: String::new() })
        }
    }
}

/// What a handshake's expressions are about: the body, or the query where there is none.
fn asked(request: &Request<'_>) -> Json {
    if request.method == "POST" && !request.body.is_empty() {
        return envelope::body(request);
    }
    let parameters: Vec<_> = request.parameters().collect();
    Json::object(parameters.iter().map(|(name, value)| (name.as_ref(), Json::text(value.as_ref()))))
}

fn setting<'a>(settings: &'a BTreeMap<String, String>, name: &str) -> &'a str {
    settings.get(name).map_or("", String::as_str)
}

fn pinged(ping: &Ping, status: u16) -> Answer {
    let (kind, body) = match (&ping.json, &ping.body) {
        (Some(json), _) => ("application/json", json.to_string()),
        (None, Some(text)) => (PLAIN, text.clone()),
        (None, None) => (PLAIN, String::new()),
    };
    let kind = ping.content_type.clone().unwrap_or_else(|| kind.into());
    let headers = vec![("content-type".into(), kind)];
    // The good status of events may be one that has no body.
    let status = ping.status.unwrap_or(if body.is_empty() { status } else { 200 });
    Answer { status, headers, body }
}

/// The consent that CloudEvents asks for: without it, headers that only a consent has are left out.
fn options_origin(request: &Request<'_>, allowed: &str, rate: Option<u32>) -> Option<Answer> {
    let asking = request.text("webhook-request-origin")?;
    if !origin::allows(allowed, Some(&asking), false) {
        return None;
    }
    let rate = match (rate, request.text("webhook-request-rate")) {
        (Some(rate), _) => rate.to_string(),
        (None, Some(asked)) if asked.parse::<u32>().is_ok() => asked,
        (None, _) => "*".into(),
    };
    let headers = vec![
        ("webhook-allowed-origin".into(), asking),
        ("webhook-allowed-rate".into(), rate),
        ("allow".into(), "POST, OPTIONS".into()),
    ];
    Some(Answer { status: 200, headers, body: String::new() })
}

/// What lets a page read the answer to what its script sent; nothing for pages that may not send.
pub fn for_pages(
    webhooks: &Webhooks,
    request: &Request<'_>,
    settings: &BTreeMap<String, String>,
) -> Vec<(String, String)> {
    let origins = webhooks.handshake.iter().find_map(|rule| match &rule.reply {
        Reply::Cors { origins } => Some(origins),
        _ => None,
    });
    origins.and_then(|origins| shared_with(request, setting(settings, origins))).unwrap_or_default()
}

/// What a sender is answered whose request was taken. A header whose setting does not fit into one
/// is left out.
pub fn taken(
    webhooks: &Webhooks,
    request: &Request<'_>,
    first: Option<&Json>,
    settings: &BTreeMap<String, String>,
    now: Timestamp,
) -> Answer {
    let rule = &webhooks.answer;
    let mut headers = for_pages(webhooks, request, settings);
    let mut others = rule.or.iter();
    let other = others.find(|other| first.is_some_and(|event| other.when.holds(event, now)));
    let (status, body, kind) = match other {
        None => (rule.status, rule.body.clone(), rule.content_type.clone()),
        Some(other) => {
            let json = other.json.as_ref().map(ToString::to_string);
            let kind = json.as_ref().map(|_| "application/json".to_owned());
            (
                other.status.unwrap_or(rule.status),
                json.unwrap_or_else(|| other.body.clone()),
                other.content_type.clone().or(kind),
            )
        }
    };
    headers.extend(kind.map(|kind| ("content-type".to_owned(), kind)));
    let values = serde_json::json!({ "settings": settings });
    for (name, text) in &rule.headers {
        let value = text.render(Place::Header, &values);
        headers.extend(value.ok().map(|value| (name.clone(), value)));
    }
    let address = rule.redirect.as_ref().and_then(|name| settings.get(name));
    let address = address.filter(|address| !address.is_empty() && is_page_visit(request));
    if let Some(address) = address {
        headers.push(("location".into(), address.clone()));
        return Answer { status: 303, headers, body: String::new() };
    }
    Answer { status, headers, body }
}

/// Whether a browser shows the answer as its next page.
fn is_page_visit(request: &Request<'_>) -> bool {
    request
        .headers
        .iter()
        .filter(|(name, _)| *name == "accept")
        .any(|(_, value)| String::from_utf8_lossy(value).contains("text/html"))
}

fn shared_with(request: &Request<'_>, allowed: &str) -> Option<Vec<(String, String)>> {
    let origin = request.text("origin")?;
    if !origin::allows(allowed, Some(&origin), true) {
        return None;
    }
    Some(vec![("access-control-allow-origin".into(), origin), ("vary".into(), "origin".into())])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn webhooks(handshake: &str) -> Webhooks {
        let yaml = format!("{{ verify: none, handshake: {handshake} }}");
        serde_saphyr::from_str(&yaml).unwrap_or_else(|error| panic!("{yaml}: {error}"))
    }

    fn check(
        handshake: &str,
        method: &str,
        query: Option<&str>,
        headers: &[(&str, &str)],
        body: &str,
    ) -> Option<Answer> {
        let headers: Vec<_> = headers.iter().map(|(name, text)| (*name, text.as_bytes())).collect();
        let request = Request { method, url: "", query, headers: &headers, body: body.as_bytes() };
        let settings = BTreeMap::from([("origins".to_owned(), "acme.example".to_owned())]);
        answer(&webhooks(handshake), &request, &settings, Proved::Yes, Timestamp::UNIX_EPOCH)
    }

    fn body(answer: Option<Answer>) -> Option<(u16, String, String)> {
        let answer = answer?;
        let kind = answer.headers.into_iter().find(|(name, _)| name == "content-type");
        Some((answer.status, kind.map(|(_, kind)| kind).unwrap_or_default(), answer.body))
    }

    fn taken(answer: &str, headers: &[(&str, &str)], event: Option<&str>) -> Answer {
        let yaml = format!("verify: none\nanswer: {answer}\n");
        let webhooks: Webhooks = serde_saphyr::from_str(&yaml).unwrap();
        let headers: Vec<_> = headers.iter().map(|(name, text)| (*name, text.as_bytes())).collect();
        let request =
            Request { method: "POST", url: "", query: None, headers: &headers, body: b"" };
        let settings = BTreeMap::from([
            ("page".to_owned(), "https://acme.example/thanks".to_owned()),
            ("name".to_owned(), "Acme\r\nx: y".to_owned()),
        ]);
        let event = event.map(|text| Json::parse(text.as_bytes()).unwrap());
        super::taken(&webhooks, &request, event.as_ref(), &settings, Timestamp::UNIX_EPOCH)
    }

    #[test]
    fn what_is_taken_is_answered_as_its_kind_wants_it() {
        let yaml = "{ status: 204, or: [{ when: .token != null, status: 200, json: { type: 5 } }, \
                    { when: '.kind == \"call\"', body: <Response/>, content_type: text/xml }] }";
        let check = |event| body(Some(taken(yaml, &[], event)));

        assert_eq!(check(Some(r#"{"event":1}"#)), Some((204, String::new(), String::new())));
        assert_eq!(check(None), Some((204, String::new(), String::new())));
        assert_eq!(
            check(Some(r#"{"token":"t","kind":"call"}"#)),
            Some((200, "application/json".into(), r#"{"type":5}"#.into()))
        );
        assert_eq!(
            check(Some(r#"{"kind":"call"}"#)),
            Some((204, "text/xml".into(), "<Response/>".into()))
        );
    }

    #[test]
    fn a_browser_is_led_on_and_a_header_that_does_not_fit_is_left_out() {
        let yaml = "{ redirect: page, headers: { x-app: '{{ settings.name }}', x-b: b } }";

        let page = taken(yaml, &[("accept", "text/html,*/*")], None);
        let program = taken(yaml, &[("accept", "*/*")], None);

        assert_eq!((page.status, program.status), (303, 200));
        assert_eq!(page.headers.last().unwrap().1, "https://acme.example/thanks");
        assert_eq!(program.headers, [("x-b".to_owned(), "b".to_owned())]);
    }

    #[test]
    fn a_challenge_is_echoed_as_plain_text() {
        let yaml = r#"{ echo: .challenge, when: '.type == "url_verification"' }"#;
        let post = |text: &str| body(check(yaml, "POST", None, &[], text));

        assert_eq!(
            post(r#"{"type":"url_verification","challenge":"<b>1"}"#),
            Some((200, PLAIN.into(), "<b>1".into()))
        );
        assert_eq!(post(r#"{"type":"event","challenge":"x"}"#), None);
        assert_eq!(post("garbage"), None);
        let long = format!(r#"{{"type":"url_verification","challenge":"{}"}}"#, "x".repeat(1025));
        assert_eq!(post(&long), None);
        assert_eq!(check(yaml, "HEAD", None, &[], ""), None);
    }

    #[test]
    fn a_challenge_may_come_in_the_query() {
        let yaml = r#"{ echo: { query: hub.challenge }, when: '.["hub.mode"] == "subscribe"' }"#;

        let answer = check(yaml, "GET", Some("hub.mode=subscribe&hub.challenge=a%20b"), &[], "");

        assert_eq!(body(answer), Some((200, PLAIN.into(), "a b".into())));
        assert_eq!(check(yaml, "GET", Some("hub.challenge=a"), &[], ""), None);
    }

    #[test]
    fn pings_of_each_type_have_their_answer() {
        let yaml = "[{ ping: { json: { type: 1 } }, when: .type == 1 }, \
                    { ping: { status: 204, content_type: application/json }, when: .type == 0 }]";
        let post = |text: &str| body(check(yaml, "POST", None, &[], text));

        assert_eq!(
            post(r#"{"type":1}"#),
            Some((200, "application/json".into(), r#"{"type":1}"#.into()))
        );
        assert_eq!(post(r#"{"type":0}"#), Some((204, "application/json".into(), String::new())));
        assert_eq!(post(r#"{"type":2}"#), None);
    }

    #[test]
    fn what_nobody_signed_is_answered_only_where_the_connector_says_so() {
        let signed = webhooks("{ ping: {} }");
        let unsigned = webhooks("{ ping: {}, unsigned: true }");
        let none = BTreeMap::new();
        let ask = |webhooks: &Webhooks, method, proved| {
            let request = Request { method, body: b"{}", ..Request::default() };
            answer(webhooks, &request, &none, proved, Timestamp::UNIX_EPOCH).is_some()
        };

        assert!(!ask(&signed, "POST", Proved::No) && ask(&signed, "POST", Proved::Yes));
        assert!(ask(&unsigned, "POST", Proved::No));
        assert!(ask(&webhooks("{ head_ok: true }"), "HEAD", Proved::No));
        assert!(!ask(&webhooks("{ head_ok: true }"), "GET", Proved::No));
    }

    #[test]
    fn an_origin_that_is_allowed_is_told_so() {
        let yaml = "{ options_origin: { origins: origins, rate: 120 } }";
        let ask = |origin| check(yaml, "OPTIONS", None, &[("webhook-request-origin", origin)], "");

        let answer = ask("acme.example").unwrap();
        assert_eq!(answer.status, 200);
        assert_eq!(
            answer.headers,
            [
                ("webhook-allowed-origin", "acme.example"),
                ("webhook-allowed-rate", "120"),
                ("allow", "POST, OPTIONS")
            ]
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
        );
        assert_eq!(ask("evil.example"), None);
    }

    #[test]
    fn pages_that_may_send_are_told_so() {
        let yaml = "{ cors: { origins: origins } }";
        let ask = |origin| check(yaml, "OPTIONS", None, &[("origin", origin)], "");

        let answer = ask("https://acme.example").unwrap();
        assert_eq!(answer.status, 204);
        assert!(answer.headers.contains(&(
            "access-control-allow-origin".to_owned(),
            "https://acme.example".to_owned()
        )));
        assert_eq!(ask("https://evil.example"), None);
    }
}
