//! Which of several limits a call falls under, by what is called and by what it carries.
//!
//! Some count each method by itself, some each path, some each value in what is sent (a channel);
//! some only tell afterwards, in a header, which bucket a call was counted in.

use jiff::Timestamp;

use super::Heard;
use crate::answer::matches;
use crate::connector::{Limit, Tier, TierBy};
use crate::json::Json;

/// The tier that holds for all that no other fits.
const DEFAULT: &str = "default";

/// A call, as limits look at it.
#[derive(Debug, Clone, Copy)]
pub struct Called<'a> {
    /// Its method, in capitals.
    pub method: &'a str,
    /// Its path below the address of the API, with a `/` before it.
    pub path: &'a str,
    /// What it carries: its body, or its query where it has none.
    pub carried: &'a Json,
}

/// The tier that a call falls under, and which of its buckets.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lane {
    /// Which tier, by its place.
    pub tier: usize,
    /// Which of its buckets; the same text for all where they share one.
    pub bucket: String,
}

impl Limit {
    /// The tier that a call falls under: the first that fits, else `default`.
    pub fn lane(&self, called: Called<'_>) -> Option<Lane> {
        let named = self.tiers.keys().position(|name| name != DEFAULT && fits(name, called));
        let tier = named.or_else(|| self.tiers.get_index_of(DEFAULT))?;
        let (_, rule) = self.tiers.get_index(tier)?;
        Some(Lane { tier, bucket: bucket(rule, called) })
    }

    /// The bucket that an answer says its call was counted in: its name, and the parts of the path
    /// that have one of their own. None where everything that is told is told of all calls.
    pub fn told_bucket(&self, heard: &Heard<'_>, path: &str) -> Option<String> {
        let apart = self.used.is_empty() && self.cost_in_body.is_none();
        let rule = self.headers.first().filter(|_| apart && self.headers.len() == 1)?;
        let name = heard.header(rule.bucket.as_deref()?)?;
        let parts = path.split('/').filter(|part| !part.is_empty());
        let parts: Vec<_> = parts.take(rule.segments.unwrap_or_default().into()).collect();
        Some(format!("{name} {}", parts.join("/")))
    }
}

/// Whether a tier of this name is for the call: `POST /rates`, `/incremental/*`, or the last part
/// of the path, such as `chat.postMessage`.
fn fits(name: &str, called: Called<'_>) -> bool {
    let (method, path) = match name.split_once(' ') {
        Some((method, path)) => (Some(method), path.trim()),
        None => (None, name),
    };
    if method.is_some_and(|method| !method.eq_ignore_ascii_case(called.method)) {
        return false;
    }
    if path.starts_with('/') {
        return matches(path, called.path);
    }
    called.path.rsplit('/').next() == Some(path)
}

fn bucket(rule: &Tier, called: Called<'_>) -> String {
    match &rule.by {
        None => String::new(),
        Some(TierBy::Path) => called.path.to_owned(),
        Some(TierBy::Value(at)) => {
            at.text_of(called.carried, Timestamp::UNIX_EPOCH).unwrap_or_default()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SLACK: &str = "{ tiers: { chat.postMessage: { size: 1, per: 1s, by: .channel }, \
        POST /rates: { size: 500, per: 1m }, /incremental/*: { size: 10, per: 1m }, \
        default: { size: 50, per: 1m, by: path }, conversations.history: { size: 50, per: 1m } } }";

    fn limit(text: &str) -> Limit {
        serde_saphyr::from_str(text).unwrap_or_else(|error| panic!("{error}"))
    }

    fn lane(text: &str, method: &str, path: &str, carried: &str) -> Option<(String, String)> {
        let limit = limit(text);
        let carried = Json::parse(carried.as_bytes()).unwrap();
        let lane = limit.lane(Called { method, path, carried: &carried })?;
        Some((limit.tiers.get_index(lane.tier).unwrap().0.clone(), lane.bucket))
    }

    #[test]
    fn the_first_tier_that_fits_holds() {
        let check = |method, path, carried| lane(SLACK, method, path, carried).unwrap();
        let found = |tier: &str, bucket: &str| (tier.to_owned(), bucket.to_owned());

        assert_eq!(
            check("POST", "/chat.postMessage", r#"{"channel":"C1"}"#),
            found("chat.postMessage", "C1")
        );
        assert_eq!(check("POST", "/chat.postMessage", "{}"), found("chat.postMessage", ""));
        assert_eq!(check("POST", "/rates", "{}"), found("POST /rates", ""));
        assert_eq!(check("GET", "/rates", "{}"), found("default", "/rates"));
        assert_eq!(check("POST", "/rates/1", "{}"), found("default", "/rates/1"));
        assert_eq!(check("GET", "/incremental/tickets/cursor", "{}"), found("/incremental/*", ""));
        // `default` is the last, wherever it stands.
        assert_eq!(
            check("GET", "/conversations.history", "{}"),
            found("conversations.history", "")
        );
        assert_eq!(check("GET", "/a/chat.postMessages", "{}").0, "default");
    }

    #[test]
    fn without_a_default_other_calls_have_no_tier() {
        let text = "{ tiers: { GET /trackers: { size: 5, per: 1s } } }";

        assert_eq!(lane(text, "get", "/trackers", "{}").unwrap().0, "GET /trackers");
        assert_eq!(lane(text, "GET", "/trackers/1", "{}"), None);
        assert_eq!(lane("{}", "GET", "/", "{}"), None);
    }

    #[test]
    fn a_bucket_that_an_answer_names_is_one_for_each_beginning_of_a_path() {
        let told = |text: &str, headers: &[(&str, &str)], path: &str| {
            limit(text).told_bucket(&Heard::new(200, headers, b""), path)
        };
        let discord = "{ headers: { remaining: x-left, bucket: x-bucket, segments: 2 } }";
        let headers = [("x-left", "0"), ("x-bucket", "abcd")];

        let first = told(discord, &headers, "/channels/1/messages");
        assert_eq!(first.as_deref(), Some("abcd channels/1"));
        assert_eq!(told(discord, &headers, "/channels/1/messages/9"), first);
        assert_ne!(told(discord, &headers, "/channels/2/messages"), first);
        assert_eq!(told(discord, &[("x-left", "0")], "/a"), None);
        let all = "{ headers: { remaining: x-left, bucket: x-bucket } }";
        assert_eq!(told(all, &headers, "/a").as_deref(), Some("abcd "));
        let beside =
            "{ headers: [{ remaining: x-left, bucket: x-bucket }, { remaining: x-day, per: 1d }] }";
        assert_eq!(told(beside, &headers, "/a"), None);
        assert_eq!(told("{ headers: { remaining: x-left } }", &headers, "/a"), None);
    }
}
