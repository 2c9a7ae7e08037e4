//! What a request says, once it is believed: type, title, ids, what it is about.
//!
//! All of it is the sender's word and much of it is decoration, so nothing here fails: what cannot
//! be read is left out, and the bytes are kept in any case. Where a connector does not say how to
//! name an event, the first field that people would know it by is taken. Text is cleaned before it
//! goes on, since a row of the log is shown in terminals too.

use std::borrow::Cow;

use jiff::Timestamp;

use crate::connector::{AboutRule, Pick, Webhooks};
use crate::dedupe;
use crate::envelope::Item;
use crate::event::{About, DedupeKey};
use crate::json::Json;
use crate::record::KEY_SEPARATOR;
use crate::signature::Request;
use crate::text::clean;

/// The longest title, in characters.
const TITLE: usize = 200;

/// The longest type and id, in characters.
const WORD: usize = 120;

/// The longest key of a record, in bytes.
const KEY: usize = 1024;

/// What a request says.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Said {
    /// What makes a repeat recognisable.
    pub key: Option<DedupeKey>,
    /// The sender's word for what happened; empty where it has none.
    pub event_type: String,
    /// What a row of the log says; empty where nothing stands out.
    pub title: String,
    /// The sender's own id for it.
    pub external_id: Option<String>,
    /// What it speaks of.
    pub about: Option<About>,
    /// When it happened.
    pub occurred_at: Option<Timestamp>,
    /// Whose event it is, by the sender's word.
    pub account: Option<String>,
}

/// What came over a socket, as the rules of webhooks read it: a request with a body and nothing
/// else.
pub fn message(body: &[u8]) -> Request<'_> {
    Request { method: SOCKET, body, ..Request::default() }
}

/// What stands in the place of a method where an event came over a socket.
pub const SOCKET: &str = "SOCKET";

/// Reads what one event of `request` says, by the connector's rules.
pub fn read(webhooks: &Webhooks, request: &Request<'_>, item: &Item<'_>, now: Timestamp) -> Said {
    let event = &item.event;
    let picked =
        |rule: &Option<Pick>| rule.as_ref().and_then(|rule| pick(rule, request, event, now));

    let event_type = match &webhooks.event_type {
        Some(_) => picked(&webhooks.event_type).unwrap_or_default(),
        None => guessed_type(event),
    };
    let event_type = clean(&event_type, WORD);
    let found = webhooks.dedupe.as_ref().and_then(|rule| dedupe::find(rule, request, item, now));
    let external_id = match (&webhooks.id, found.as_ref().and_then(|found| found.parts.as_ref())) {
        (Some(_), _) => picked(&webhooks.id),
        (None, Some(parts)) => Some(parts.join("/")),
        (None, None) => event.get("id").and_then(|id| id.as_text()),
    };
    let title = match webhooks.title.get(&event_type) {
        Some(title) => title.text_of(event, now),
        None => guessed_title(event, &item.body),
    };
    Said {
        key: found.map(|found| found.key),
        title: clean(&title.unwrap_or_default(), TITLE),
        external_id: external_id.map(|id| clean(&id, WORD)).filter(|id| !id.is_empty()),
        about: webhooks.about.get(&event_type).and_then(|rule| about(rule, event, now)),
        occurred_at: picked(&webhooks.time).and_then(|text| read_time(&text)),
        account: picked(&webhooks.account).map(|account| clean(&account, WORD)),
        event_type,
    }
}

/// The value that a rule picks; none where it is empty.
pub(crate) fn pick(
    rule: &Pick,
    request: &Request<'_>,
    event: &Json,
    now: Timestamp,
) -> Option<String> {
    let named = |pairs: &mut dyn Iterator<Item = (_, Cow<'_, str>)>, wanted: &str| {
        let mut values = pairs.filter(|(name, _): &(Cow<'_, str>, _)| name == wanted);
        values.next().map(|(_, value)| value.into_owned())
    };
    let text = match rule {
        Pick::Header(names) => names.iter().find_map(|name| request.text(name)),
        Pick::Query(name) => named(&mut request.parameters(), name),
        Pick::Field(name) => named(&mut request.form().into_iter(), name),
        Pick::Body(path) => path.text_of(event, now),
        Pick::Joined(rules) => {
            let parts: Vec<_> =
                rules.iter().filter_map(|rule| pick(rule, request, event, now)).collect();
            Some(parts.join("."))
        }
    };
    text.filter(|text| !text.is_empty())
}

fn about(rule: &AboutRule, event: &Json, now: Timestamp) -> Option<About> {
    let parts =
        rule.key.iter().map(|part| part.text_of(event, now).filter(|part| !part.is_empty()));
    let record_key = parts.collect::<Option<Vec<_>>>()?.join(KEY_SEPARATOR);
    // A longer one is no key that a stream would hold, and a sender could fill the disk with it.
    (record_key.len() <= KEY).then(|| About {
        stream: rule.stream.clone(),
        record_key,
        record_version: rule.version.as_ref().and_then(|version| version.text_of(event, now)),
    })
}

/// A time as senders write it: RFC 3339, or a number of seconds or milliseconds since 1970.
fn read_time(text: &str) -> Option<Timestamp> {
    if let Ok(time) = text.parse() {
        return Some(time);
    }
    let number: f64 = text.trim().parse().ok()?;
    // Seconds reach this number in the year 5138, milliseconds did in 1973.
    let millis = if number.abs() < 1e11 { number * 1_000.0 } else { number };
    if !millis.is_finite() || millis.abs() > 1e15 {
        return None;
    }
    Timestamp::from_millisecond(millis as i64).ok()
}

/// Fields in which senders say what happened.
const TYPES: &[&str] =
    &["type", "event", "event_type", "eventType", "event_name", "topic", "action"];

/// Fields by which people know a thing, the best first.
const TITLES: &[&str] = &[
    "number",
    "order_number",
    "name",
    "title",
    "subject",
    "reference",
    "sku",
    "email",
    "text",
    "message",
    "id",
    "uuid",
    "key",
];

/// Where senders put the thing within an event, the innermost first.
const INSIDE: &[&[&str]] =
    &[&["data", "object"], &["data"], &["payload"], &["object"], &["resource"], &["event"], &[]];

fn guessed_type(event: &Json) -> String {
    TYPES.iter().find_map(|name| text_in(event, name)).unwrap_or_default()
}

fn guessed_title(event: &Json, body: &[u8]) -> Option<String> {
    if event.is_null() {
        return std::str::from_utf8(body).ok().map(first_line);
    }
    INSIDE.iter().find_map(|path| {
        let thing = path.iter().try_fold(event.clone(), |at, name| at.get(name))?;
        TITLES.iter().find_map(|name| text_in(&thing, name))
    })
}

fn first_line(text: &str) -> String {
    text.lines().map(str::trim).find(|line| !line.is_empty()).unwrap_or_default().to_owned()
}

fn text_in(value: &Json, name: &str) -> Option<String> {
    value.get(name)?.as_text().filter(|text| !text.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::envelope;
    use proptest::prelude::*;

    fn now() -> Timestamp {
        "2026-11-24T12:00:00Z".parse().unwrap()
    }

    fn check(yaml: &str, headers: &[(&str, &str)], body: &[u8]) -> Said {
        let webhooks: Webhooks = serde_saphyr::from_str(yaml).unwrap();
        let headers: Vec<_> = headers.iter().map(|(name, text)| (*name, text.as_bytes())).collect();
        let request = Request { method: "POST", headers: &headers, body, ..Request::default() };
        let items = envelope::open(&webhooks.envelope, &request, now()).unwrap();
        read(&webhooks, &request, &items[0], now())
    }

    const SHOP: &str = r##"
verify: none
dedupe: { header: x-shopify-webhook-id }
type: { header: x-shopify-topic }
time: { header: x-shopify-triggered-at }
account: { header: x-shopify-shop-domain }
title: { orders/create: '"\(.name) · \(.total_price) \(.currency)"' }
about: { orders/create: { stream: orders, key: .admin_graphql_api_id, version: .updated_at } }
"##;

    #[test]
    fn a_connector_says_how_an_event_is_named() {
        let headers = [
            ("x-shopify-topic", "orders/create"),
            ("x-shopify-webhook-id", "w-1"),
            ("x-shopify-triggered-at", "2026-11-24T11:59:58.123Z"),
            ("x-shopify-shop-domain", "acme.myshopify.com"),
        ];
        let body = r##"{"name":"#1001","total_price":"19.90","currency":"EUR",
            "admin_graphql_api_id":"gid://shopify/Order/9007199254740993","updated_at":"u1"}"##;

        let said = check(SHOP, &headers, body.as_bytes());

        assert_eq!(said.event_type, "orders/create");
        assert_eq!(said.title, "#1001 · 19.90 EUR");
        assert_eq!(said.external_id.as_deref(), Some("w-1"));
        assert_eq!(said.account.as_deref(), Some("acme.myshopify.com"));
        assert_eq!(said.occurred_at, Some("2026-11-24T11:59:58.123Z".parse().unwrap()));
        assert!(said.key.is_some());
        assert_eq!(
            said.about,
            Some(About {
                stream: "orders".into(),
                record_key: "gid://shopify/Order/9007199254740993".into(),
                record_version: Some("u1".into()),
            })
        );
    }

    #[test]
    fn without_rules_the_first_telling_fields_are_taken() {
        let body =
            br#"{"id":"evt_1","type":"customer.created","data":{"object":{"id":7,"name":"Ada"}}}"#;

        let said = check("verify: none", &[], body);

        assert_eq!((said.event_type.as_str(), said.title.as_str()), ("customer.created", "Ada"));
        assert_eq!(said.external_id.as_deref(), Some("evt_1"));
        assert_eq!(said.key, None);
    }

    #[test]
    fn a_number_stays_as_it_was_written() {
        let said = check("verify: none", &[], br#"{"id":9007199254740993123}"#);

        assert_eq!(said.title, "9007199254740993123");
    }

    #[test]
    fn a_form_is_read_by_its_fields() {
        let headers = [("content-type", "application/x-www-form-urlencoded; charset=utf-8")];

        let said = check("verify: none", &headers, b"event=sale&name=Ada+L%C3%B6w");

        assert_eq!((said.event_type.as_str(), said.title.as_str()), ("sale", "Ada Löw"));
    }

    #[test]
    fn json_in_a_field_of_a_form_is_the_event() {
        let yaml = "{ verify: none, envelope: { form_field: payload }, type: .type, \
                    dedupe: [.type, .payload.id] }";

        let said = check(
            yaml,
            &[],
            b"payload=%7B%22type%22%3A%22t%22%2C%22payload%22%3A%7B%22id%22%3A1%7D%7D",
        );

        assert_eq!(said.event_type, "t");
        assert_eq!(said.external_id.as_deref(), Some("t/1"));
    }

    #[test]
    fn plain_text_shows_its_first_line() {
        let said = check("verify: none", &[], b"\n  hello\tthere \x1b[31m\nmore");

        assert_eq!(said.title, "hello there [31m");
    }

    #[test]
    fn times_are_read_as_senders_write_them() {
        let time =
            |body: &str| check("{ verify: none, time: .t }", &[], body.as_bytes()).occurred_at;
        let expected = Some("2023-11-14T22:13:20Z".parse::<Timestamp>().unwrap());

        for body in [
            r#"{"t":1700000000}"#,
            r#"{"t":"1700000000"}"#,
            r#"{"t":1700000000000}"#,
            r#"{"t":"2023-11-14T22:13:20Z"}"#,
            r#"{"t":"2023-11-14T23:13:20+01:00"}"#,
            r#"{"t":1700000000.0}"#,
        ] {
            assert_eq!(time(body), expected, "{body}");
        }
        for body in [r#"{"t":"yesterday"}"#, r#"{"t":1e99}"#, r#"{"t":null}"#, "{}", "", "["] {
            assert_eq!(time(body), None, "{body}");
        }
    }

    #[test]
    fn a_title_is_one_short_line() {
        let body = format!(r#"{{"name":"a\nb\u001b{}"}}"#, "x".repeat(500));

        let said = check("verify: none", &[], body.as_bytes());

        assert!(said.title.starts_with("a bxxx"), "{}", said.title);
        assert_eq!(said.title.chars().count(), 200);
    }

    #[test]
    fn a_type_may_be_put_together() {
        let yaml = "{ verify: none, type: [{ header: x-github-event }, .action] }";
        let event_type =
            |headers: &[(&str, &str)], body: &str| check(yaml, headers, body.as_bytes()).event_type;

        assert_eq!(
            event_type(&[("x-github-event", "issues")], r#"{"action":"opened"}"#),
            "issues.opened"
        );
        assert_eq!(event_type(&[("x-github-event", "push")], "{}"), "push");
        assert_eq!(event_type(&[], "{}"), "");
    }

    proptest! {
        #[test]
        fn no_body_makes_it_panic(body in prop::collection::vec(any::<u8>(), 0..200)) {
            let said = check(SHOP, &[], &body);
            let guessed = check("verify: none", &[], &body);

            prop_assert!(said.title.chars().count() <= TITLE);
            prop_assert!(!guessed.title.chars().any(char::is_control));
        }

        #[test]
        fn no_json_makes_it_panic(name in "\\PC{0,20}", value in any::<i64>(), depth in 0usize..400) {
            let name = serde_json::to_string(&name).unwrap();
            let body = format!("{}{{{name}:{value},\"id\":{name}}}{}", "[".repeat(depth), "]".repeat(depth));

            let _ = check("{ verify: none, dedupe: .id, title: '.[] | .id' }", &[], body.as_bytes());
        }
    }
}
