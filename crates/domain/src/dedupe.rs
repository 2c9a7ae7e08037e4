//! What makes a repeat recognisable: a digest of 16 bytes.
//!
//! A sender delivers at least once, so the same message comes again; two messages that merely look
//! alike must not be taken for one, since the second would be lost. In doubt there is no key, and
//! every arrival is an event.

use jiff::Timestamp;
use sha2::{Digest, Sha256};

use crate::connector::Dedupe;
use crate::event::DedupeKey;
use crate::json::Json;
use crate::signature::Request;

/// The parts that a rule finds in a request, as text: what people know the message by.
///
/// None where any of them is missing or empty: `order 17` without its version is another message
/// each time.
pub fn parts(
    rule: &Dedupe,
    request: &Request<'_>,
    event: &Json,
    now: Timestamp,
) -> Option<Vec<String>> {
    let parts = match rule {
        Dedupe::Header(names) => vec![names.iter().find_map(|name| request.text(name))?],
        Dedupe::Body(paths) => {
            paths.iter().map(|path| path.text_of(event, now)).collect::<Option<Vec<_>>>()?
        }
        Dedupe::Digest { .. } => return None,
    };
    parts.iter().all(|part| !part.is_empty()).then_some(parts)
}

/// The key of a request by `rule`. `parts` is what [`parts`] found.
///
/// A digest of the body counts within a step of time and begins anew with the next: a repeat just
/// after its end becomes a second event, which is the side to err on.
pub fn key(
    rule: &Dedupe,
    parts: Option<&[String]>,
    body: &[u8],
    now: Timestamp,
) -> Option<DedupeKey> {
    match rule {
        Dedupe::Header(_) | Dedupe::Body(_) => {
            Some(digest("parts", parts?.iter().map(|part| part.as_bytes())))
        }
        Dedupe::Digest { within } => {
            let step = within.get().as_millis().max(1);
            let step = i128::from(now.as_millisecond()).div_euclid(step);
            Some(digest("body", [&step.to_be_bytes()[..], body]))
        }
    }
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
        let request = Request { method: "POST", url: "", headers: &headers, body: body.as_bytes() };
        let event = Json::parse(body.as_bytes()).unwrap_or_default();
        let rule = rule(yaml);
        let parts = parts(&rule, &request, &event, now);
        key(&rule, parts.as_deref(), body.as_bytes(), now)
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

    proptest! {
        #[test]
        fn where_a_part_ends_matters(a in ".{1,5}", b in ".{1,5}", c in ".{1,5}") {
            let joined = [format!("{a}{b}"), c.clone()];
            let apart = [a, format!("{b}{c}")];
            let rule = Dedupe::Body(Vec::new());

            prop_assert_ne!(
                key(&rule, Some(&joined), b"", at(0)),
                key(&rule, Some(&apart), b"", at(0))
            );
        }
    }
}
