//! What the schema for editors says beyond the types.
//!
//! The types give names and shapes. Which words exclude each other is decided by reading
//! ([`one_of`](super::one_of)), and what a text looks like by checking; an editor knows neither, and
//! would take a file that `connectors check` refuses. So that much is written into the schema here,
//! as far as a schema can say it without a sentence that nobody understands.

use serde_json::{Value, json};

/// Words of which one has to be there, by the type that they stand in.
const ONE_OF: &[(&str, &[&str])] = &[
    ("Place", &["header", "query", "field", "path"]),
    ("TokenPlace", &["header", "query", "field", "path"]),
    ("Hmac", &["header", "query", "field", "path"]),
    ("Hmac", &["sha1", "sha256", "sha384", "sha512"]),
    ("HashConcat", &["header", "query", "field", "path"]),
    ("HashConcat", &["md5", "sha1", "sha256"]),
    ("PublicKeySignature", &["header", "query", "field", "path"]),
    ("SignedAt", &["header", "query", "field", "path", "item"]),
    ("PieceObject", &["text", "header", "query", "field", "path", "item", "setting", "url"]),
    (
        "Scheme",
        &[
            "standard_webhooks",
            "hmac",
            "hash_concat",
            "ed25519",
            "rsa_pkcs1_sha1",
            "rsa_pkcs1_sha256",
            "rsa_pss_sha256",
            "ecdsa_p256_sha256",
            "ecdsa_p256_sha256_raw",
            "jwt",
            "token_equal",
            "refetch",
            "form_guard",
        ],
    ),
    ("PickObject", &["header", "query", "field"]),
    ("DedupeObject", &["header", "query", "field", "digest", "first_of"]),
    ("EnvelopeObject", &["form_field", "items", "soap"]),
    ("AnswerFormatObject", &["csv", "zip"]),
    (
        "Handshake",
        &[
            "echo",
            "hmac",
            "hash_concat",
            "echo_json",
            "ping",
            "head_ok",
            "get_ok",
            "options_origin",
            "cors",
        ],
    ),
    ("Register", &["rest", "graphql", "single", "resource", "manual"]),
    ("CursorPaging", &["param", "body", "variable"]),
    ("PagePaging", &["param", "body", "variable"]),
    ("OffsetPaging", &["param", "body", "variable"]),
    ("KeysetPaging", &["param", "body", "variable"]),
    ("VersionPaging", &["param", "body", "variable"]),
    ("ExportPaging", &["param", "body", "variable"]),
    ("Idempotency", &["header", "body", "directive", "variable", "natural"]),
    ("ExchangeFrom", &["oauth_code", "client_credentials", "header_token"]),
    (
        "ReconcileSource",
        &["event_log", "delivery_log", "replay_stream", "updated", "version", "full_sweep"],
    ),
    (
        "Way",
        &[
            "oauth_code",
            "client_credentials",
            "device",
            "jwt_bearer",
            "app_jwt_exchange",
            "token_exchange",
            "header_token",
            "query_token",
            "basic",
            "url_secret",
            "oauth1",
            "key_hand_over",
            "smtp_login",
            "none",
        ],
    ),
];

/// Words of which there may be one.
const AT_MOST_ONE: &[(&str, &[&str])] = &[
    ("Since", &["param", "variable", "body", "newest_first"]),
    ("PublicKeyObject", &["certificate", "jwks"]),
    ("Stream", &["page", "page_by"]),
    ("Stream", &["since", "since_by"]),
    ("Stream", &["answer", "answer_by"]),
];

/// What a request is made with, wherever one stands among other words.
const ASKS: &[&str] =
    &["job", "journal", "mail", "get", "post", "put", "patch", "delete", "graphql"];
const METHODS: &[&str] = &["get", "post", "put", "patch", "delete"];
const BODIES: &[&str] = &["json", "form", "text"];

const HEADER: &str = "^[!#$%&'*+.^_`|~0-9A-Za-z-]+$";
const HOST: &str = r"^(\*\.)?[a-z0-9][a-z0-9-]*(\.[a-z0-9-]+)*\.[a-z0-9-]*[a-z0-9]$";

/// What texts look like: a type, its member, and what is said of it.
fn texts() -> Vec<(&'static str, &'static str, Value)> {
    let header = || json!({ "pattern": HEADER });
    let one = |word: &str| json!({ "enum": [word] });
    let maybe = |word: &str| json!({ "enum": [word, null] });
    vec![
        ("", "format", json!({ "const": 1 })),
        ("", "id", json!({ "pattern": "^[a-z0-9][a-z0-9-]{0,63}$" })),
        ("", "docs", json!({ "pattern": "^https?://" })),
        ("", "base_url", json!({ "pattern": r"^(https://|\{\{)" })),
        ("Place", "header", header()),
        ("TokenPlace", "header", header()),
        ("Hmac", "header", header()),
        ("HashConcat", "header", header()),
        ("PublicKeySignature", "header", header()),
        ("PieceObject", "header", header()),
        ("SignedAt", "header", header()),
        ("When", "header", header()),
        ("KeyObject", "secret", one("signing_secret")),
        ("HashConcat", "secret", maybe("signing_secret")),
        ("TokenEqual", "secret", maybe("signing_secret")),
        ("Jwks", "url", json!({ "pattern": "^https://" })),
        ("AnswerRule", "status", json!({ "minimum": 200, "maximum": 299 })),
        ("AnswerRule", "refused", json!({ "minimum": 400, "maximum": 499 })),
    ]
}

/// Writes into the schema which words exclude each other and what texts look like.
pub(super) fn complete(schema: &mut Value) {
    for (of, member, said) in texts() {
        let whole = match of {
            "" => Some(&mut *schema),
            of => schema["$defs"].get_mut(of),
        };
        if let Some(member) = whole.and_then(|it| it["properties"].get_mut(member)) {
            extend(member, &said);
        }
    }
    let Some(types) = schema["$defs"].as_object_mut() else { return };
    if let Some(host) = types.get_mut("HostPattern") {
        extend(host, &json!({ "pattern": HOST }));
    }
    if let Some(Value::Array(forms)) = types.get_mut("Key").map(|key| &mut key["anyOf"])
        && let Some(word) = forms.first_mut()
    {
        extend(word, &json!({ "enum": ["signing_secret"] }));
    }
    for (name, written) in types {
        let name = name.trim_end_matches(|letter: char| letter.is_ascii_digit());
        let has = |word: &&str| written["properties"].get(*word).is_some();
        // A type that may also be one word has the name of its object.
        let one = of(ONE_OF, name).filter(|words| words.iter().all(has));
        let mut rules: Vec<_> = one.map(one_of).collect();
        rules.extend(of(AT_MOST_ONE, name).map(at_most_one));
        let asks: Vec<_> = ASKS.iter().copied().filter(has).collect();
        let is_ask = METHODS.iter().copied().filter(has).count() == METHODS.len();
        if is_ask {
            rules.push(one_of(&asks));
            rules.push(at_most_one(BODIES));
            for method in METHODS {
                extend(
                    &mut written["properties"][*method],
                    &json!({ "pattern": "^(/|https://|$)" }),
                );
            }
        }
        if !rules.is_empty() {
            written["allOf"] = Value::Array(rules);
        }
    }
}

fn of<'a>(
    table: &'a [(&str, &'a [&'a str])],
    name: &'a str,
) -> impl Iterator<Item = &'a [&'a str]> {
    table.iter().filter(move |(of, _)| *of == name).map(|(_, words)| *words)
}

fn extend(schema: &mut Value, with: &Value) {
    if let (Value::Object(schema), Value::Object(with)) = (schema, with) {
        schema.extend(with.clone());
    }
}

/// Exactly one of these has to be there; a `path` may lead into the JSON of a `field`.
fn one_of(words: &[&str]) -> Value {
    let each: Vec<_> = words.iter().map(|word| json!({ "required": [word] })).collect();
    if words.contains(&"field") && words.contains(&"path") {
        let mut rule = at_most_one(words);
        extend(&mut rule, &json!({ "anyOf": each }));
        return rule;
    }
    json!({ "oneOf": each })
}

/// No two of these are there, but for a `path` in a `field`.
fn at_most_one(words: &[&str]) -> Value {
    let pairs = words.iter().enumerate().flat_map(|(number, first)| {
        words[number + 1..].iter().map(move |second| (*first, *second))
    });
    let pairs = pairs.filter(|pair| *pair != ("field", "path"));
    let pairs = pairs.map(|(first, second)| json!({ "required": [first, second] }));
    json!({ "not": { "anyOf": pairs.collect::<Vec<_>>() } })
}

#[cfg(test)]
mod tests {
    use super::super::Connector;
    use super::*;

    #[test]
    fn every_word_that_is_spoken_of_is_in_the_schema() {
        let schema = Connector::schema();
        let types = schema["$defs"].as_object().unwrap();
        let known = |of: &str, word: &str| {
            let alike = |name: &&String| name.trim_end_matches(char::is_numeric) == of;
            let mut written = types.keys().filter(alike).map(|name| &types[name]);
            written.any(|it| it["properties"].get(word).is_some())
        };
        for (of, words) in ONE_OF.iter().chain(AT_MOST_ONE) {
            for word in *words {
                assert!(known(of, word), "{of} has no {word}");
            }
        }
        for (of, member, _) in texts().iter().filter(|(of, ..)| !of.is_empty()) {
            assert!(known(of, member), "{of} has no {member}");
        }
    }

    #[test]
    fn editors_are_given_the_words() {
        let schema = Connector::schema();
        let words = |of: &str| schema["$defs"][of]["anyOf"][0]["enum"].to_string();

        assert!(words("Scheme").contains("standard_webhooks"), "{}", words("Scheme"));
        assert!(words("TokenAt").contains("basic"));
        assert!(words("Piece").contains("body_crc32"));
        assert!(words("Envelope").contains("array"));
        assert!(words("AnswerFormat").contains("csv"));
    }
}
