//! What is not stored and not logged: secrets that come along with requests.
//!
//! A secret that we know stands as `[secret:NAME]`; what only looks like one stands as `[masked]`.
//! Signatures stay: they are no secret, and show why a request was believed. Bodies are the
//! user's data and are never changed.

mod said;
mod spelling;

pub use self::said::{Known, said};
use crate::event::Headers;
use crate::secret::Secrets;

/// Stands for what looks like a secret.
pub const MASKED: &str = "[masked]";

/// Shorter secrets are not searched for within a value: they would stand for half of it.
const SHORTEST: usize = 8;

/// A name that ends with one of these words is the name of a secret.
const LAST_WORDS: &[&str] = &[
    "assertion",
    "auth",
    "authorization",
    "cookie",
    "credential",
    "credentials",
    "jwt",
    "key",
    "pass",
    "passphrase",
    "pw",
    "pwd",
];

/// A word with one of these in it makes a name the name of a secret, wherever it stands, since
/// many write their names without gaps.
const ANYWHERE: &[&str] = &["token", "secret", "password", "passwd", "apikey", "authkey"];

/// A name that ends with one of these is that of a proof made with a secret, which is none.
const PROOFS: &[&str] = &["signature", "sig", "hmac"];

/// What stands before `key` where that is no secret.
const OPEN_KEYS: &[&str] = &[
    "cache",
    "deduplication",
    "dedupe",
    "idempotency",
    "object",
    "ordering",
    "partition",
    "public",
    "routing",
    "sort",
    "surrogate",
    "websocket",
];

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

/// The headers that say what a stranger's request is, and never who sent it.
const PLAIN: [&str; 14] = [
    "accept",
    "accept-encoding",
    "accept-language",
    "cache-control",
    "connection",
    "content-encoding",
    "content-length",
    "content-type",
    "date",
    "expect",
    "host",
    "transfer-encoding",
    "user-agent",
    "x-forwarded-proto",
];

/// The headers of a request to an address that nobody has. Whose secret may be among them cannot be
/// known: a sender's own header is called anything, and the address may be that of an inbox with a
/// letter too many. So only what is plain is shown.
pub fn of_stranger<'a>(headers: impl IntoIterator<Item = (&'a str, &'a [u8])>) -> Headers {
    let shown = |name: &str, value: &[u8]| match PLAIN.contains(&name) {
        true => header(name, value, &Secrets::new()),
        false => MASKED.into(),
    };
    headers.into_iter().map(|(name, value)| (name.to_owned(), shown(name, value))).collect()
}

/// The same, with those of these names (in lower case) masked whatever they hold.
pub fn named(mut headers: Headers, names: &[String]) -> Headers {
    for (name, value) in &mut headers {
        if names.contains(name) {
            *value = MASKED.into();
        }
    }
    headers
}

fn header(name: &str, value: &[u8], secrets: &Secrets) -> String {
    let text = String::from_utf8_lossy(value);
    let known = known(&text, secrets);
    if known.is_none() && is_secret_name(name) {
        return MASKED.into();
    }
    known.unwrap_or_else(|| text.into_owned())
}

/// Whether the value of the header or parameter with this name is a secret, as far as the name
/// says. Names are read word by word: `x-auth-key`, `php-auth-pw`, `accessKey`.
pub fn is_secret_name(name: &str) -> bool {
    let words = words(name);
    let Some((last, before)) = words.split_last() else { return false };
    let before = before.last().map(String::as_str);
    match last.as_str() {
        proof if PROOFS.contains(&proof) => false,
        "key" if before.is_some_and(|word| OPEN_KEYS.contains(&word)) => false,
        // An OAuth code can be spent by whoever reads it; most other codes are no secret.
        "code" => before.is_none_or(|word| matches!(word, "auth" | "authorization" | "oauth")),
        last if LAST_WORDS.contains(&last) => true,
        _ => words.iter().any(|word| ANYWHERE.iter().any(|secret| word.contains(secret))),
    }
}

/// The words of a name in lower case: runs of letters, parted too where small letters are followed
/// by a capital one.
fn words(name: &str) -> Vec<String> {
    let mut words: Vec<String> = Vec::new();
    let mut letters = name.chars().peekable();
    let mut before = None::<char>;
    while let Some(letter) = letters.next() {
        let begins = match before {
            Some(before) if before.is_alphabetic() => {
                let next_is_small = letters.peek().is_some_and(|next| next.is_lowercase());
                letter.is_uppercase() && (before.is_lowercase() || next_is_small)
            }
            _ => true,
        };
        before = Some(letter);
        if !letter.is_alphabetic() {
            continue;
        }
        if begins {
            words.push(String::new());
        }
        if let Some(word) = words.last_mut() {
            word.extend(letter.to_lowercase());
        }
    }
    words
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
    if is_secret_name(&plain(name)) {
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

    #[test]
    fn of_a_stranger_only_what_is_plain_is_shown() {
        let came: [(&str, &[u8]); 3] =
            [("user-agent", b"curl/8"), ("x-note", b"whsec_abc"), ("host", b"hooks.example")];

        let shown = of_stranger(came);

        let values: Vec<_> = shown.iter().map(|(_, value)| value.as_str()).collect();
        assert_eq!(values, ["curl/8", MASKED, "hooks.example"]);
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
            "x-auth-key",
            "x-access-key",
            "x-webhook-key",
            "x-credential",
            "php-auth-pw",
            "X-Auth",
            "set-cookie",
            "signature-token",
            "x-clienttoken",
            "x-api-key-2",
        ] {
            assert_eq!(check(name, "Bearer xyz"), MASKED, "{name}");
        }
    }

    #[test]
    fn signatures_and_ids_stay() {
        for name in [
            "webhook-signature",
            "x-hub-signature-256",
            "x-token-signature",
            "webhook-id",
            "content-type",
            "idempotency-key",
            "x-public-key",
            "x-monkey",
            "x-author",
            "keys",
        ] {
            assert_eq!(check(name, "v1,abc"), "v1,abc", "{name}");
        }
    }

    #[test]
    fn parameters_are_judged_by_their_words() {
        for name in [
            "auth_key",
            "access_key",
            "client_key",
            "credential",
            "signature_token",
            "code",
            "key",
            "apiKey",
            "APIKey",
            "AccessKey",
            "user[password]",
            "oauth_code",
            "jwt",
            "pwd",
            "%6bey",
        ] {
            assert_eq!(query(&format!("{name}=x"), &Secrets::new()), format!("{name}=[masked]"));
        }
        for name in ["country_code", "keyword", "sort_key", "passenger", "signature", "key_id"] {
            assert_eq!(query(&format!("{name}=x"), &Secrets::new()), format!("{name}=x"));
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

    #[test]
    fn of_an_address_that_is_a_secret_its_path_is_one_too() {
        let mut secrets = Secrets::new();
        let url = "https://hooks.acme.example/services/T0/B1/abcdefghijklmnopqr";
        secrets.set("url", Secret::new(url.into()));
        let check = |text: &str, expected: &str| assert_eq!(said(text, &secrets), expected);

        check(&format!("no such hook: {url}"), "no such hook: [secret:url]");
        check("POST /services/T0/B1/abcdefghijklmnopqr HTTP/1.1", "POST /[secret:url] HTTP/1.1");
        check("abcdefghijklmnopqr is not known", "[secret:url] is not known");
        check(
            "there are services at hooks.acme.example",
            "there are services at hooks.acme.example",
        );
    }

    #[test]
    fn what_somebody_says_again_is_masked_however_it_is_written() {
        let mut secrets = Secrets::new();
        secrets.set("token", Secret::new("a/b+c \"d\" é1234".into()));
        let check = |text: &str, expected: &str| assert_eq!(said(text, &secrets), expected);

        check("no a/b+c \"d\" é1234!", "no [secret:token]!");
        check("?t=a%2Fb%2Bc+%22d%22+%C3%A91234&u", "?t=[secret:token]&u");
        check("?t=a%2fb%2bc%20%22d%22%20%c3%a91234", "?t=[secret:token]");
        check(r#"{"t":"a/b+c \"d\" é1234"}"#, r#"{"t":"[secret:token]"}"#);
        check(
            r#"{"t":"{\"u\":\"a/b+c \\\"d\\\" é1234\"}"}"#,
            r#"{"t":"{\"u\":\"[secret:token]\"}"}"#,
        );
        check(r#"{"t":"a\/b+c \"d\" \u00e91234"}"#, r#"{"t":"[secret:token]"}"#);
        check(
            r#"{"t":"a\/b+c \"d\" \u00e91234 a%2Fb%2Bc+%22d%22+%C3%A91234"}"#,
            r#"{"t":"[secret:token] [secret:token]"}"#,
        );
        check(r"a \ and \u12 and \ud83d stay", r"a \ and \u12 and \ud83d stay");
        secrets.set("half", Secret::new("\"d\" é1234".into()));
        let check = |text: &str, expected: &str| assert_eq!(said(text, &secrets), expected);
        check("?t=a%2Fb%2Bc+%22d%22+%C3%A91234&u", "?t=[secret:token]&u");
        check("100%+ of nothing", "100%+ of nothing");
        check("`a/b+c \"d\" …` fails", "`[secret:token]…` fails");
        check("a letter… and more…", "a letter… and more…");
    }

    proptest! {
        #[test]
        fn every_name_that_ends_with_a_secret_word_is_a_secret(
            before in "[a-z]{1,8}", gap in "[-_.]", word in prop::sample::select(
                [LAST_WORDS, ANYWHERE, &["tokens", "secrets"]].concat()
            ),
        ) {
            prop_assume!(!OPEN_KEYS.contains(&before.as_str()));
            for name in [
                format!("{before}{gap}{word}"),
                format!("{before}{gap}{word}").to_ascii_uppercase(),
                format!("{before}{}{}", word[..1].to_ascii_uppercase(), &word[1..]),
            ] {
                prop_assert!(is_secret_name(&name), "{}", name);
            }
        }

        #[test]
        fn no_base64_gives_a_secret_back(before in ".{0,9}", after in ".{0,9}") {
            use base64::Engine as _;
            use base64::prelude::BASE64_STANDARD;
            let encoded = BASE64_STANDARD.encode(format!("{before}abcdefghijkl{after}"));
            let mut secrets = Secrets::new();
            secrets.set("token", Secret::new("abcdefghijkl".into()));

            prop_assert!(said(&encoded, &secrets).contains("[secret:token]"));
        }

        #[test]
        fn no_text_makes_it_panic(text in ".{0,60}", secret in ".{0,20}") {
            let mut secrets = Secrets::new();
            secrets.set("a", Secret::new(secret));
            let _ = said(&text, &secrets);
            let _ = is_secret_name(&text);
        }

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
