//! What is not stored and not logged: secrets that come along with requests.
//!
//! A secret that we know stands as `[secret:NAME]`; what only looks like one stands as `[masked]`.
//! Signatures stay: they are no secret, and show why a request was believed. Bodies are the
//! user's data and are never changed.

use crate::event::Headers;
use crate::secret::Secrets;

/// Stands for what looks like a secret.
pub const MASKED: &str = "[masked]";

/// Shorter secrets are not searched for within a value: they would stand for half of it.
const SHORTEST: usize = 8;

/// Headers whose values are always secrets.
const HEADERS: &[&str] = &[
    "authorization",
    "proxy-authorization",
    "cookie",
    "set-cookie",
    "x-api-key",
    "api-key",
    "apikey",
    "x-auth",
];

/// Words that make a name the name of a secret.
const WORDS: &[&str] = &["token", "secret", "password", "passwd", "apikey", "api_key", "api-key"];

/// Query parameters whose values are secrets although their names have none of [`WORDS`]: an OAuth
/// code can be spent by whoever reads it.
const PARAMETERS: &[&str] = &["code", "key", "auth", "pass", "pwd", "jwt", "assertion"];

/// Headers as they are stored: values that are secrets masked, others as text.
pub fn headers<'a>(
    headers: impl IntoIterator<Item = (&'a str, &'a [u8])>,
    secrets: &Secrets,
) -> Headers {
    headers
        .into_iter()
        .map(|(name, value)| (name.to_owned(), header(name, value, secrets)))
        .collect()
}

fn header(name: &str, value: &[u8], secrets: &Secrets) -> String {
    let text = String::from_utf8_lossy(value);
    let known = known(&text, secrets);
    if known.is_none() && is_secret_header(&name.to_ascii_lowercase()) {
        return MASKED.into();
    }
    known.unwrap_or_else(|| text.into_owned())
}

/// Whether the value of the header with this name, in lower case, is a secret.
pub fn is_secret_header(name: &str) -> bool {
    HEADERS.contains(&name) || is_secret_word(name)
}

fn is_secret_word(name: &str) -> bool {
    !name.contains("signature") && WORDS.iter().any(|word| name.contains(word))
}

/// `text` with the secrets that we know replaced; none where it holds none.
fn known(text: &str, secrets: &Secrets) -> Option<String> {
    let mut masked: Option<String> = None;
    for (name, values) in secrets.iter() {
        for value in values.iter().map(|value| value.expose()) {
            let current = masked.as_deref().unwrap_or(text);
            // A short one would stand for half of a text, and yet may be all of it.
            let found = value.len() >= SHORTEST && current.contains(value);
            if found || !value.is_empty() && current == value {
                masked = Some(current.replace(value, &format!("[secret:{name}]")));
            }
        }
    }
    masked
}

/// A query string as it is stored: the values of secret parameters masked, all else as it came.
pub fn query(query: &str, secrets: &Secrets) -> String {
    let pairs: Vec<_> = query.split('&').map(|pair| parameter(pair, secrets)).collect();
    pairs.join("&")
}

fn parameter(pair: &str, secrets: &Secrets) -> String {
    let Some((name, value)) = pair.split_once('=') else {
        return known(pair, secrets).unwrap_or_else(|| pair.into());
    };
    let plain = |text: &str| {
        let text = text.replace('+', " ");
        percent_encoding::percent_decode_str(&text).decode_utf8_lossy().into_owned()
    };
    if let Some(masked) = known(&plain(value), secrets) {
        return format!("{name}={masked}");
    }
    let word = plain(name).to_ascii_lowercase();
    if PARAMETERS.contains(&word.as_str()) || is_secret_word(&word) {
        return format!("{name}={MASKED}");
    }
    pair.into()
}

/// A path as it is logged: the key of an inbox masked, since whoever knows it may send.
pub fn path(path: &str) -> String {
    match path.strip_prefix("/in/") {
        None => path.into(),
        Some(rest) => match rest.find('/') {
            Some(end) => format!("/in/{MASKED}{}", &rest[end..]),
            None => format!("/in/{MASKED}"),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::secret::Secret;
    use proptest::prelude::*;

    fn secrets() -> Secrets {
        let mut secrets = Secrets::new();
        secrets.set("hook_token", Secret::new("abcdefgh".into()));
        secrets
    }

    fn check(name: &str, value: &str) -> String {
        headers([(name, value.as_bytes())], &secrets()).remove(0).1
    }

    #[test]
    fn credentials_are_masked() {
        for name in [
            "authorization",
            "Authorization",
            "cookie",
            "x-gitlab-token",
            "x-api-key",
            "x-my-secret",
        ] {
            assert_eq!(check(name, "Bearer xyz"), MASKED, "{name}");
        }
    }

    #[test]
    fn signatures_and_ids_stay() {
        for name in ["webhook-signature", "x-hub-signature-256", "webhook-id", "content-type"] {
            assert_eq!(check(name, "v1,abc"), "v1,abc", "{name}");
        }
    }

    #[test]
    fn a_secret_that_we_know_is_named() {
        assert_eq!(check("x-gitlab-token", "abcdefgh"), "[secret:hook_token]");
        assert_eq!(check("x-odd", "t=abcdefgh;"), "t=[secret:hook_token];");
        assert_eq!(query("a=1&t=abcdefg%68", &secrets()), "a=1&t=[secret:hook_token]");
    }

    #[test]
    fn secrets_in_a_query_are_masked_and_all_else_stays() {
        assert_eq!(
            query("a=1&access_token=x&b&code=y&c=%20&Token=z&%74oken=q", &Secrets::new()),
            "a=1&access_token=[masked]&b&code=[masked]&c=%20&Token=[masked]&%74oken=[masked]"
        );
        assert_eq!(query("", &Secrets::new()), "");
    }

    #[test]
    fn the_key_of_an_inbox_does_not_reach_the_log() {
        assert_eq!(path("/in/abc"), "/in/[masked]");
        assert_eq!(path("/in/abc/more"), "/in/[masked]/more");
        assert_eq!(path("/favicon.ico"), "/favicon.ico");
    }

    proptest! {
        #[test]
        fn no_secret_survives(before in ".{0,10}", after in ".{0,10}") {
            let value = format!("{before}abcdefgh{after}");

            prop_assert!(!check("x-odd", &value).contains("abcdefgh"));
        }

        #[test]
        fn no_query_makes_it_panic(text in ".{0,60}") {
            let _ = query(&text, &secrets());
        }
    }
}
