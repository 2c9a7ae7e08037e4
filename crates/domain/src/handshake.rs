//! What senders are answered: to the question whether an address is right, and to what was taken.
//!
//! They are answered and not stored. What is echoed is a short text and is sent as plain text or
//! JSON, so that nobody can use an inbox to show a page of their own. A question that comes as
//! POST is believed like any other request, unless the connector says that nobody signs it; HEAD,
//! GET and OPTIONS never are signed, and learn nothing but that the address is right.
//!
//! Some senders ask for a digest of what they ask, made with the secret that they also sign with.
//! Whoever knows the address could have us sign what he likes then, so that only a short word is
//! digested, in letters that no event could be written in. Others say the secret in the question:
//! it is kept as that of the inbox, and once there is one nobody can say another.

use std::collections::BTreeMap;

use jiff::Timestamp;

use crate::connector::{
    Digest, Echo, EchoPlace, Handshake, Piece, Ping, Reply, Value as Echoed, Webhooks,
};
use crate::json::Json;
use crate::secret::Secret;
use crate::signature::{self, Given, Request};
use crate::template::Place;
use crate::{envelope, intake, origin};

/// The longest echo, in bytes.
const ECHO: usize = 1024;
/// The longest word that is digested, in bytes.
const WORD: usize = 256;
/// The shortest and the longest secret that a sender may say, in bytes.
const SECRET: std::ops::RangeInclusive<usize> = 16..=256;

/// What is known of a request when it is asked for a handshake.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Proved {
    /// Nothing yet.
    No,
    /// That it comes from its sender, as far as its connector asks for that.
    Yes,
}

/// What a sender is answered.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Answer {
    /// The status.
    pub status: u16,
    /// Headers.
    pub headers: Vec<(String, String)>,
    /// Body.
    pub body: String,
    /// A secret that the sender said, with its name: to be stored before it is answered.
    pub keep: Option<(String, Secret)>,
}

const PLAIN: &str = "text/plain; charset=utf-8";

/// What `request` is answered where it is a handshake.
pub fn answer(
    webhooks: &Webhooks,
    request: &Request<'_>,
    given: &Given<'_>,
    proved: Proved,
    now: Timestamp,
) -> Option<Answer> {
    let mut rules = webhooks.handshake.iter().filter(|rule| {
        // Nobody can sign before there is a secret.
        let unsigned = request.method != "POST" || rule.unsigned || rule.keeps().is_some();
        unsigned || proved == Proved::Yes
    });
    rules.find_map(|rule| one(rule, webhooks, request, given, now))
}

/// Whether the secrets of an inbox have to be known to tell whether a request is a handshake.
pub fn needs_secrets(webhooks: &Webhooks) -> bool {
    webhooks.handshake.iter().any(|rule| rule.secret().is_some())
}

fn one(
    rule: &Handshake,
    webhooks: &Webhooks,
    request: &Request<'_>,
    given: &Given<'_>,
    now: Timestamp,
) -> Option<Answer> {
    let fits = match &rule.reply {
        Reply::Head => request.method == "HEAD",
        Reply::Get => request.method == "GET",
        Reply::OptionsOrigin { .. } => {
            request.method == "OPTIONS" && request.has("webhook-request-origin")
        }
        Reply::Cors { .. } => request.method == "OPTIONS" && request.has("origin"),
        Reply::Echo(_) | Reply::EchoJson(_) => matches!(request.method, "POST" | "GET"),
        Reply::Ping(_) => request.method == "POST",
    };
    if !fits {
        return None;
    }
    let asked = asked(request);
    if rule.when.as_ref().is_some_and(|when| !when.holds(&asked, now)) {
        return None;
    }
    let expected = rule.expect.iter().all(|expected| {
        let wanted = setting(given.settings, &expected.setting).trim();
        let found = expected.path.text_of(&asked, now).unwrap_or_default();
        signature::same(&found, wanted)
    });
    if !expected {
        return None;
    }
    let status = webhooks.answer.status;
    match &rule.reply {
        Reply::Echo(echo) => echoed(echo, request, given, &asked, now),
        Reply::EchoJson(value) => {
            text("application/json", value.first(&asked, now).ok().flatten()?.to_string())
        }
        Reply::Ping(ping) => Some(pinged(ping, status)),
        Reply::Head | Reply::Get => Some(Answer { status: 200, ..Answer::default() }),
        Reply::OptionsOrigin { origins, rate } => {
            options_origin(request, setting(given.settings, origins), *rate)
        }
        Reply::Cors { origins } => {
            let mut headers = shared_with(request, setting(given.settings, origins))?;
            headers.push(("access-control-allow-methods".into(), "POST".into()));
            headers.push(("access-control-allow-headers".into(), "content-type".into()));
            headers.push(("access-control-max-age".into(), "600".into()));
            Some(Answer { status: 204, headers, ..Answer::default() })
        }
    }
}

/// A short text as an answer, which no browser takes for a page.
fn text(kind: &str, body: String) -> Option<Answer> {
    let headers = [("content-type", kind), ("x-content-type-options", "nosniff")];
    let headers = headers.map(|(name, value)| (name.to_owned(), value.to_owned())).to_vec();
    (body.len() <= ECHO).then(|| Answer { status: 200, headers, body, keep: None })
}

fn echoed(
    echo: &Echo,
    request: &Request<'_>,
    given: &Given<'_>,
    asked: &Json,
    now: Timestamp,
) -> Option<Answer> {
    let value = match &echo.value {
        Echoed::Asked(pick) => intake::pick(pick, request, asked, now)?,
        Echoed::Digest(digest) => digest_of(digest, request, given)?,
    };
    let keep = match &echo.keep {
        None => None,
        Some(name) => learnt(name, &value, given)?,
    };
    let answer = match &echo.place {
        EchoPlace::Text => text(PLAIN, value)?,
        EchoPlace::Json(json) => {
            let mut json = json.clone();
            json.bind(&Json::text(value));
            text("application/json", json.first(asked, now).ok().flatten()?.to_string())?
        }
        EchoPlace::Header(name) => {
            let fits =
                value.len() <= ECHO && value.bytes().all(|byte| (b' '..=b'~').contains(&byte));
            let headers = vec![(name.clone(), value)];
            fits.then_some(Answer { status: 200, headers, ..Answer::default() })?
        }
    };
    Some(Answer { keep, ..answer })
}

/// What is to be kept of a secret that a sender said; nothing where it is kept already, as when our
/// answer was lost. None where it is no secret, and where there is another: whoever knows the
/// address cannot put his own in its place.
fn learnt(name: &str, value: &str, given: &Given<'_>) -> Option<Option<(String, Secret)>> {
    let known = given.values(name);
    if known.is_empty() {
        let fits = SECRET.contains(&value.len()) && value.bytes().all(|it| it.is_ascii_graphic());
        return fits.then(|| Some((name.to_owned(), Secret::new(value.to_owned()))));
    }
    known.iter().any(|known| signature::same(value, known)).then_some(None)
}

/// The digest of a question; none where the question is more than a word.
fn digest_of(digest: &Digest, request: &Request<'_>, given: &Given<'_>) -> Option<String> {
    let mut places = digest.message.iter().filter_map(|piece| match piece {
        Piece::At(place) => Some(place),
        _ => None,
    });
    let words = places.all(|place| matches!(request.at(place), Ok(Some(text)) if is_word(&text)));
    words.then(|| signature::answer_to(digest, request, given))?
}

/// Whether it is such as senders ask with: letters, digits and `-._~+/`, with `=` at its end alone.
/// No event is written so.
fn is_word(text: &str) -> bool {
    let bare = text.trim_end_matches('=');
    let fits = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~+/".contains(&byte);
    !bare.is_empty() && text.len() <= WORD && bare.bytes().all(fits)
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
    Answer { status, headers, body, keep: None }
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
    Some(Answer { status: 200, headers, ..Answer::default() })
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
        return Answer { status: 303, headers, ..Answer::default() };
    }
    Answer { status, headers, body, keep: None }
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
    use crate::secret::Secrets;

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
        let (secrets, documents) = (Secrets::new(), BTreeMap::new());
        let given = Given {
            secrets: &secrets,
            settings: &settings,
            documents: &documents,
            trust_anchor: None,
        };
        answer(&webhooks(handshake), &request, &given, Proved::Yes, Timestamp::UNIX_EPOCH)
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
            let secrets = Secrets::new();
            let given =
                Given { secrets: &secrets, settings: &none, documents: &none, trust_anchor: None };
            answer(webhooks, &request, &given, proved, Timestamp::UNIX_EPOCH).is_some()
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

    /// What a connector with this section answers, with these secrets and settings.
    struct Inbox {
        webhooks: Webhooks,
        secrets: Secrets,
        settings: BTreeMap<String, String>,
    }

    impl Inbox {
        fn new(yaml: &str, secrets: &[&str]) -> Self {
            let webhooks =
                serde_saphyr::from_str(yaml).unwrap_or_else(|error| panic!("{yaml}: {error}"));
            let mut known = Secrets::new();
            for secret in secrets {
                known.add("signing_secret", Secret::new((*secret).into()));
            }
            Self { webhooks, secrets: known, settings: BTreeMap::new() }
        }

        fn setting(mut self, name: &str, value: &str) -> Self {
            self.settings.insert(name.into(), value.into());
            self
        }

        fn ask(
            &self,
            proved: Proved,
            method: &str,
            query: Option<&str>,
            headers: &[(&str, &str)],
            body: &str,
        ) -> Option<Answer> {
            let headers: Vec<_> =
                headers.iter().map(|(name, text)| (*name, text.as_bytes())).collect();
            let url = "https://example.com/h?token=t";
            let request = Request { method, url, query, headers: &headers, body: body.as_bytes() };
            let documents = BTreeMap::new();
            let given = Given {
                secrets: &self.secrets,
                settings: &self.settings,
                documents: &documents,
                trust_anchor: None,
            };
            answer(&self.webhooks, &request, &given, proved, Timestamp::UNIX_EPOCH)
        }

        fn get(&self, query: &str) -> Option<Answer> {
            self.ask(Proved::No, "GET", Some(query), &[], "")
        }
    }

    const SIGNED: &str = "verify: { hmac: { sha256: body, key: signing_secret, header: x-s, \
                          encoding: hex } }\n";
    const JSON: &str = "application/json";

    fn json(text: &str) -> Option<(u16, String, String)> {
        Some((200, JSON.into(), text.into()))
    }

    #[test]
    fn a_digest_of_the_question_is_answered_to_who_signed_it() {
        let zoom = format!(
            "{SIGNED}handshake: {{ when: '.event == \"endpoint.url_validation\"', hmac: {{ sha256: \
             {{ path: .payload.plainToken }}, key: signing_secret, encoding: hex }}, in_json: \
             '{{ plainToken: .payload.plainToken, encryptedToken: $value }}' }}"
        );
        let inbox = Inbox::new(&zoom, &["zoomsecretzoomsecret", "old"]);
        let question = |token: &str| {
            format!(r#"{{"event":"endpoint.url_validation","payload":{{"plainToken":{token}}}}}"#)
        };
        let ask = |proved, text: &str| body(inbox.ask(proved, "POST", None, &[], text));

        assert_eq!(
            ask(Proved::Yes, &question(r#""qgg8vlvZRS6UYooatFL8Aw""#)),
            json(
                r#"{"plainToken":"qgg8vlvZRS6UYooatFL8Aw","encryptedToken":"efb105544f9cc78af5a5afd5ddc11da79db088a26d0cd568b7277d863f0829f0"}"#
            )
        );
        assert_eq!(ask(Proved::No, &question(r#""qgg8vlvZRS6UYooatFL8Aw""#)), None);
        assert_eq!(ask(Proved::Yes, r#"{"event":"meeting.started"}"#), None);
        // What could be an event is no question.
        let long = format!("\"{}\"", "a".repeat(257));
        for token in [
            r#""v0:1:{}""#,
            r#""{}""#,
            r#""a b""#,
            r#""a=b""#,
            r#""a&b""#,
            r#""=""#,
            r#""""#,
            "7.5e",
            "null",
            &long,
        ] {
            assert_eq!(ask(Proved::Yes, &question(token)), None, "{token}");
        }
        let none = Inbox::new(&zoom, &[]);
        assert!(none.ask(Proved::Yes, "POST", None, &[], &question("\"a\"")).is_none());
    }

    #[test]
    fn a_digest_may_be_asked_for_by_get() {
        let x = format!(
            "{SIGNED}handshake: {{ hmac: {{ sha256: {{ query: crc_token }}, key: signing_secret, \
             encoding: base64 }}, in_json: '{{ response_token: (\"sha256=\" + $value) }}' }}"
        );
        let inbox = Inbox::new(&x, &["consumer-secret"]);

        assert_eq!(
            body(inbox.get("crc_token=9b4507b3-9040-4669-9ca3-6b94edb50553&nonce=1")),
            json(r#"{"response_token":"sha256=NhN+8FRk3FiSPXyqxXmpVRtiLiWoawvOgUBuXwGUTL4="}"#)
        );
        for query in ["", "crc_token=", "crc_token=a&crc_token=b", "crc_token=%7B%22a%22%3A1%7D"] {
            assert_eq!(body(inbox.get(query)), None, "{query}");
        }
        let ebay = format!(
            "{SIGNED}handshake: {{ hash_concat: {{ sha256: [{{ query: challenge_code }}, secret, url], \
             encoding: hex }}, in_json: '{{ challengeResponse: $value }}' }}"
        );
        let inbox = Inbox::new(&ebay, &["71745723-d031-455c-bfa5-f90d11b4f20a"]);
        assert_eq!(
            body(inbox.get("challenge_code=a8628072-3d33-45ee-9004-bee86830a22d")),
            json(
                r#"{"challengeResponse":"e64f237ce9b27d066d463eab763697380a7ac1c78fd0ec1578a6dfe24b5d4314"}"#
            )
        );
    }

    #[test]
    fn a_secret_is_learnt_once() {
        let asana = format!(
            "{SIGNED}handshake: {{ echo: {{ header: x-hook-secret }}, in_header: X-Hook-Secret, \
             keep: signing_secret }}"
        );
        let said = "b537207f20cbfa02357cf448134da559e8bd39d61597dcd5631b8012eae53e81";
        let ask = |inbox: &Inbox, secret: &str| {
            inbox.ask(Proved::No, "POST", None, &[("x-hook-secret", secret)], "{}")
        };
        let new = Inbox::new(&asana, &[]);
        assert!(needs_secrets(&new.webhooks));
        assert!(new.webhooks.secret_fields()[0].field.optional);
        assert_eq!(new.webhooks.token_headers(&BTreeMap::new()), ["x-hook-secret"], "never shown");

        let answer = ask(&new, said).unwrap();
        assert_eq!((answer.status, answer.body.as_str()), (200, ""));
        assert_eq!(answer.headers, [("x-hook-secret".to_owned(), said.to_owned())]);
        assert_eq!(answer.keep, Some(("signing_secret".into(), Secret::new(said.into()))));
        assert_eq!(new.ask(Proved::No, "POST", None, &[], "{}"), None);
        for no_secret in [
            "",
            "short",
            "with blanks in between",
            &"x".repeat(257),
            "gr\u{fc}\u{df}e-aus-der-ferne",
        ] {
            assert_eq!(ask(&new, no_secret), None, "{no_secret}");
        }

        // Nobody puts another in its place; who knows it may say it again.
        let known = Inbox::new(&asana, &[said]);
        assert_eq!(ask(&known, &"a".repeat(64)), None);
        assert_eq!(ask(&known, said).unwrap().keep, None);
        assert!(
            known
                .ask(Proved::Yes, "POST", None, &[("x-hook-secret", &"a".repeat(64))], "{}")
                .is_none()
        );
    }

    #[test]
    fn a_header_is_echoed_into_a_header_or_json() {
        let ask = |handshake: &str, method, header| {
            let inbox = Inbox::new(&format!("verify: none\nhandshake: {handshake}"), &[]);
            inbox.ask(Proved::Yes, method, None, &[header], "")
        };
        let okta = "{ echo: { header: x-okta-verification-challenge }, in_json: '{ verification: $value }' }";
        let smartsheet =
            "{ echo: { header: smartsheet-hook-challenge }, in_header: smartsheet-hook-response }";

        let answer = ask(okta, "GET", ("x-okta-verification-challenge", "a\"<b>"));
        assert_eq!(body(answer), json(r#"{"verification":"a\"<b>"}"#));
        let answer = ask(smartsheet, "POST", ("smartsheet-hook-challenge", "c 1")).unwrap();
        assert_eq!(answer.headers, [("smartsheet-hook-response".to_owned(), "c 1".to_owned())]);
        assert_eq!(ask(smartsheet, "POST", ("smartsheet-hook-challenge", "c\u{e9}")), None);
        assert_eq!(ask(smartsheet, "PUT", ("smartsheet-hook-challenge", "c")), None);
    }

    #[test]
    fn a_question_with_a_token_is_answered_where_the_token_is_that_of_the_inbox() {
        let meta = "verify: none\nsettings: { verify_token: { title: Token } }\nhandshake: { echo: \
                    { query: hub.challenge }, expect: [{ path: '.[\"hub.verify_token\"]', setting: verify_token }] }";
        let inbox = Inbox::new(meta, &[]).setting("verify_token", "meatyhamhock ");

        let answer = inbox.get("hub.challenge=1158201444&hub.verify_token=meatyhamhock");
        assert_eq!(body(answer), Some((200, PLAIN.into(), "1158201444".into())));
        for query in [
            "hub.challenge=1",
            "hub.challenge=1&hub.verify_token=",
            "hub.challenge=1&hub.verify_token=meatyhamhoc",
            "hub.challenge=1&hub.verify_token=Meatyhamhock",
        ] {
            assert_eq!(inbox.get(query), None, "{query}");
        }
        for nothing in ["", " "] {
            let open = Inbox::new(meta, &[]).setting("verify_token", nothing);
            assert_eq!(open.get("hub.challenge=1&hub.verify_token="), None);
        }
        assert_eq!(Inbox::new(meta, &[]).get("hub.challenge=1&hub.verify_token="), None);
    }

    #[test]
    fn a_get_that_looks_whether_anybody_is_there_is_answered() {
        let inbox = Inbox::new(
            "verify: { token_equal: { at: bearer } }\nhandshake: [{ get_ok: true }, { head_ok: true }]",
            &[],
        );

        for method in ["GET", "HEAD"] {
            let answer = inbox.ask(Proved::No, method, None, &[], "").unwrap();
            assert_eq!((answer.status, answer.body.as_str(), answer.headers.len()), (200, "", 0));
        }
        assert_eq!(inbox.ask(Proved::Yes, "POST", None, &[], "{}"), None);
    }

    #[test]
    fn what_cannot_be_answered_is_a_mistake() {
        for (yaml, says) in [
            ("{ in_json: '.', ping: {} }", "`in_json`, `in_header` and `keep` are for"),
            ("{ keep: signing_secret }", "are for `echo`, `hmac` or `hash_concat`"),
            ("{ echo: .a, in_json: '$settings' }", "$settings"),
            ("{ echo: .a, in_json: ., in_header: x }", "exclude each other"),
            ("{ echo: .a, in_header: 'a b' }", "`a b` is not the name of a header"),
            (
                "{ echo: .a, hmac: { sha256: { query: q }, key: signing_secret, encoding: hex } }",
                "exclude each other",
            ),
            (
                "{ hmac: { sha256: body, key: signing_secret, encoding: hex } }",
                "`body` is no piece of a question",
            ),
            (
                "{ hmac: { sha256: [{ query: q }, secret], key: signing_secret, encoding: hex } }",
                "`secret` is the key here",
            ),
            ("{ hash_concat: { sha256: { query: q }, encoding: hex } }", "anybody could answer"),
            (
                "{ hmac: { sha256: { query: q }, key: signing_secret, encoding: hex }, keep: signing_secret }",
                "`keep` is for what the sender says",
            ),
            ("{ unsigned: true }", "expected one of `echo`"),
        ] {
            let error = serde_saphyr::from_str::<Webhooks>(&format!(
                "{{ verify: none, handshake: {yaml} }}"
            ))
            .unwrap_err();
            assert!(error.to_string().contains(says), "{yaml}: {error}");
        }
    }

    proptest::proptest! {
        /// Whatever is asked, nothing that an event could be is digested.
        #[test]
        fn only_a_word_is_digested(question in ".{0,40}|[a-z]{1,300}=?|\\{\"[a-z]*\":1\\}") {
            let yaml = format!("{SIGNED}handshake: {{ hmac: {{ sha256: {{ query: q }}, key: signing_secret, encoding: hex }} }}");
            let query: String = url::form_urlencoded::Serializer::new(String::new()).append_pair("q", &question).finish();
            let answered = Inbox::new(&yaml, &["s"]).get(&query).is_some();
            proptest::prop_assert_eq!(answered, is_word(&question));
            let could_be_an_event =
                question.contains(['{', '[', '"', '<', '&', ':', ' ', '\n']);
            proptest::prop_assert!(!(answered && could_be_an_event));
        }
    }
}
