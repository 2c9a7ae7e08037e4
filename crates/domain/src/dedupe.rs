//! What makes a repeat recognisable: a digest of 16 bytes.
//!
//! A sender delivers at least once, so the same message comes again; two messages that merely look
//! alike must not be taken for one, since the second would be lost. In doubt there is no key, and
//! every arrival is an event.

use jiff::Timestamp;
use sha2::{Digest, Sha256};

use crate::connector::Dedupe;
use crate::envelope::Item;
use crate::event::DedupeKey;
use crate::intake;
use crate::signature::Request;

/// What a rule finds in an event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Found {
    /// The key.
    pub key: DedupeKey,
    /// What people know the message by, where the key is made of that.
    pub parts: Option<Vec<String>>,
}

/// The key of an event by `rule`; none where a part of it is missing or empty: `order 17` without
/// its version is another message each time.
///
/// A digest of the event counts within a step of time and begins anew with the next: a repeat just
/// after its end becomes a second event, which is the side to err on.
pub fn find(
    rule: &Dedupe,
    request: &Request<'_>,
    item: &Item<'_>,
    now: Timestamp,
) -> Option<Found> {
    match rule {
        Dedupe::Parts(picks) => {
            let parts: Vec<_> = picks
                .iter()
                .map(|pick| intake::pick(pick, request, &item.event, now))
                .collect::<Option<_>>()?;
            Some(Found { key: of_parts(&parts), parts: Some(parts) })
        }
        Dedupe::Digest { within } => {
            let step = within.get().as_millis().max(1);
            let step = i128::from(now.as_millisecond()).div_euclid(step);
            Some(Found { key: digest("body", [&step.to_be_bytes()[..], &item.body]), parts: None })
        }
        Dedupe::FirstOf(rules) => rules.iter().find_map(|rule| find(rule, request, item, now)),
    }
}

fn of_parts(parts: &[String]) -> DedupeKey {
    digest("parts", parts.iter().map(|part| part.as_bytes()))
}

/// Each part goes in with its length, so that `ab` and `c` are not `a` and `bc`.
fn digest<'a>(kind: &str, parts: impl IntoIterator<Item = &'a [u8]>) -> DedupeKey {
    let mut digest = Sha256::new();
    digest.update(kind.as_bytes());
    for part in parts {
        digest.update((part.len() as u64).to_be_bytes());
        digest.update(part);
    }
    let mut key = [0; 16];
    key.copy_from_slice(&digest.finalize()[..16]);
    DedupeKey(key)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::json::Json;
    use proptest::prelude::*;

    fn rule(yaml: &str) -> Dedupe {
        serde_saphyr::from_str(yaml).unwrap()
    }

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_second(seconds).unwrap()
    }

    fn check(
        yaml: &str,
        headers: &[(&str, &str)],
        body: &str,
        now: Timestamp,
    ) -> Option<DedupeKey> {
        let headers: Vec<_> = headers.iter().map(|(name, text)| (*name, text.as_bytes())).collect();
        let body = body.as_bytes();
        let request = Request { headers: &headers, body, ..Request::default() };
        let item = Item { event: Json::parse(body).unwrap_or_default(), body: body.into() };
        find(&rule(yaml), &request, &item, now).map(|found| found.key)
    }

    #[test]
    fn a_header_decides_whatever_the_body_says() {
        let yaml = "{ header: [webhook-id, svix-id] }";
        let first = check(yaml, &[("webhook-id", "1")], "{}", at(0));

        assert!(first.is_some());
        assert_eq!(check(yaml, &[("svix-id", "1")], "[]", at(99)), first);
        assert_ne!(check(yaml, &[("webhook-id", "2")], "{}", at(0)), first);
        assert_eq!(check(yaml, &[("webhook-id", "")], "{}", at(0)), None);
        assert_eq!(check(yaml, &[], "{}", at(0)), None);
    }

    #[test]
    fn all_parts_of_the_body_are_needed() {
        let yaml = "[.type, .id, .version]";
        let first = check(yaml, &[], r#"{"type":"a","id":1,"version":2}"#, at(0));

        assert!(first.is_some());
        assert_ne!(check(yaml, &[], r#"{"type":"a","id":12,"version":""}"#, at(0)), first);
        assert_eq!(check(yaml, &[], r#"{"type":"a","id":1}"#, at(0)), None);
        assert_eq!(check(yaml, &[], r#"{"type":"a","id":{},"version":2}"#, at(0)), None);
        assert_eq!(check(yaml, &[], "not JSON", at(0)), None);
    }

    #[test]
    fn ids_beyond_what_javascript_counts_stay_apart() {
        let (a, b) = (r#"{"id":9007199254740993}"#, r#"{"id":9007199254740992}"#);

        assert_ne!(check(".id", &[], a, at(0)), check(".id", &[], b, at(0)));
    }

    #[test]
    fn the_same_body_is_a_repeat_for_a_while_only() {
        let yaml = "{ digest: { within: 10m } }";
        let first = check(yaml, &[], "x", at(0));

        assert_eq!(check(yaml, &[], "x", at(599)), first);
        assert_ne!(check(yaml, &[], "x", at(600)), first);
        assert_ne!(check(yaml, &[], "y", at(0)), first);
    }

    #[test]
    fn parts_may_stand_in_headers_and_in_the_event() {
        let yaml = "[{ header: x-event }, .id]";
        let first = check(yaml, &[("x-event", "paid")], r#"{"id":1}"#, at(0));

        assert!(first.is_some());
        assert_ne!(check(yaml, &[("x-event", "made")], r#"{"id":1}"#, at(0)), first);
        assert_eq!(check(yaml, &[], r#"{"id":1}"#, at(0)), None);
    }

    #[test]
    fn the_first_rule_that_gives_a_key_counts() {
        let yaml = "{ first_of: [{ header: x-id }, [.a, .b], { digest: { within: 10m } }] }";
        let by_header = check(yaml, &[("x-id", "1")], "{}", at(0));
        let by_parts = check(yaml, &[], r#"{"a":1,"b":2}"#, at(0));

        assert!(by_header.is_some() && by_parts.is_some());
        assert_eq!(check(yaml, &[("x-id", "1")], r#"{"a":1,"b":2}"#, at(0)), by_header);
        assert_eq!(check(yaml, &[], r#"{"b":2,"a":1}"#, at(9_000)), by_parts);
        assert_eq!(check(yaml, &[], r#"{"a":1}"#, at(0)), check(yaml, &[], r#"{"a":1}"#, at(9)));
        assert_ne!(check(yaml, &[], r#"{"a":1}"#, at(0)), check(yaml, &[], r#"{"a":1}"#, at(900)));
    }

    proptest! {
        #[test]
        fn where_a_part_ends_matters(a in ".{1,5}", b in ".{1,5}", c in ".{1,5}") {
            let joined = [format!("{a}{b}"), c.clone()];
            let apart = [a, format!("{b}{c}")];

            prop_assert_ne!(of_parts(&joined), of_parts(&apart));
        }
    }
}
