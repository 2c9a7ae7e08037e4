//! A rule that the user of an inbox builds: what its settings say becomes a rule like any other.
//!
//! Nothing is verified in a new way here. A sender that no connector knows describes its signatures
//! in a page of its documentation; whoever has read that page fills in a form, and the form is this
//! rule. The names of the settings are fixed, so that a connector only has to declare those that it
//! wants to ask for; each has a value that most senders share.

use std::collections::BTreeMap;

use super::signed::{
    Carrier, Encoding, Key, KeyEncoding, List, Path, Piece, Place, SignedAt, TimeAt, TimeUnit,
    UrlForm,
};
use super::span::Span;
use super::verify::{Hash, HashConcat, Hmac, Rule, SIGNING_SECRET, Signed, TokenAt, TokenEqual};

/// How a request is proved: `none`, `token`, `hmac`, `hash` or `standard_webhooks`.
pub const PROOF: &str = "proof";
/// Where the signature is, or the token: `x-signature`, `?token`, `.signature`, `field:sig`; of a
/// token also `bearer`, `basic` and `segment`.
const SIGNATURE: &str = "signature";
/// What the digest is: `sha1`, `sha256`, `sha512`; with `hash` also `md5`.
const DIGEST: &str = "digest";
/// How the signature is written: `hex` or `base64`.
const ENCODING: &str = "encoding";
/// What stands before it.
const PREFIX: &str = "prefix";
/// Which item of the header it is, where that holds several: `v1`.
const ITEM: &str = "item";
/// What is signed: `{header x-timestamp}.{body}`.
const MESSAGE: &str = "message";
/// Where the time is; `item t` is one of the header's items.
const TIME: &str = "time";
/// How the time is written: `s`, `ms` or `date`.
const TIME_UNIT: &str = "time_unit";
/// How far it may be from now.
const TOLERANCE: &str = "tolerance";
/// How the secret is written: `text`, `hex` or `base64`.
const SECRET_ENCODING: &str = "secret_encoding";

/// All of them.
pub(super) const SETTINGS: [&str; 11] = [
    PROOF,
    SIGNATURE,
    DIGEST,
    ENCODING,
    PREFIX,
    ITEM,
    MESSAGE,
    TIME,
    TIME_UNIT,
    TOLERANCE,
    SECRET_ENCODING,
];

/// The words that stand alone in braces.
const WORDS: &[(&str, Piece)] = &[
    ("body", Piece::Body),
    ("body_crc32", Piece::BodyCrc32),
    ("method", Piece::Method),
    ("path", Piece::Path),
    ("target", Piece::Target),
    ("url", Piece::Url(UrlForm::AS_GIVEN)),
    ("form", Piece::SortedForm),
    ("secret", Piece::Secret),
];

/// What is wrong with a setting.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{setting}` {problem}")]
pub struct Mistake {
    /// Which one.
    pub setting: &'static str,
    /// The end of a sentence that begins with its name.
    pub problem: String,
}

fn mistake<T>(setting: &'static str, problem: impl Into<String>) -> Result<T, Mistake> {
    Err(Mistake { setting, problem: problem.into() })
}

/// The rule that `settings` describe. Without any it is none: whoever knows the address may send.
///
/// # Errors
///
/// The first setting that says something that no rule could.
pub fn rule(settings: &BTreeMap<String, String>) -> Result<Rule, Mistake> {
    let form = Form(settings);
    match form.get(PROOF, "none") {
        "none" => Ok(Rule::None),
        "standard_webhooks" => Ok(Rule::StandardWebhooks),
        "token" => form.token(),
        "hmac" => form.hmac(),
        "hash" => form.hash(),
        other => mistake(
            PROOF,
            format!(
                "is `{other}`, expected one of `none`, `token`, `hmac`, `hash`, \
                 `standard_webhooks`"
            ),
        ),
    }
}

/// Whether `settings` ask for a proof at all. What cannot be read asks for one: it is refused.
pub fn is_signed(settings: &BTreeMap<String, String>) -> bool {
    rule(settings).as_ref().map_or(true, Rule::signed)
}

struct Form<'a>(&'a BTreeMap<String, String>);

impl Form<'_> {
    /// What is filled in, or else `usual`. White space around it was never meant.
    fn get<'a>(&'a self, name: &str, usual: &'a str) -> &'a str {
        let given = self.0.get(name).map(|text| text.trim()).filter(|text| !text.is_empty());
        given.unwrap_or(usual)
    }

    /// As [`Form::get`], where white space may be meant.
    fn as_written<'a>(&'a self, name: &str, usual: &'a str) -> &'a str {
        self.0.get(name).map(String::as_str).filter(|text| !text.trim().is_empty()).unwrap_or(usual)
    }

    /// One of these words.
    fn choose<T: Copy>(
        &self,
        name: &'static str,
        usual: &str,
        words: &[(&str, T)],
    ) -> Result<T, Mistake> {
        let word = self.get(name, usual);
        match words.iter().find(|(it, _)| *it == word) {
            Some((_, value)) => Ok(*value),
            None => {
                let known: Vec<_> = words.iter().map(|(it, _)| format!("`{it}`")).collect();
                mistake(name, format!("is `{word}`, expected one of {}", known.join(", ")))
            }
        }
    }

    fn token(&self) -> Result<Rule, Mistake> {
        let at = match self.get(SIGNATURE, "bearer") {
            "bearer" => TokenAt::Bearer,
            "basic" => TokenAt::Basic,
            "segment" => TokenAt::Segment,
            text => TokenAt::Place { place: place(SIGNATURE, text)?, prefix: self.prefix() },
        };
        Ok(Rule::TokenEqual(Box::new(TokenEqual { secret: SIGNING_SECRET.into(), at: vec![at] })))
    }

    fn hmac(&self) -> Result<Rule, Mistake> {
        let hashes = [("sha1", Hash::Sha1), ("sha256", Hash::Sha256), ("sha512", Hash::Sha512)];
        let hash = self.choose(DIGEST, "sha256", &hashes)?;
        let signed = self.signed()?;
        if signed.message.contains(&Piece::Secret) {
            return mistake(MESSAGE, "has `{secret}` in it, which is the key of an HMAC");
        }
        let encodings = [
            ("text", KeyEncoding::Text),
            ("hex", KeyEncoding::Hex),
            ("base64", KeyEncoding::Base64),
        ];
        let encoding = self.choose(SECRET_ENCODING, "text", &encodings)?;
        // As Standard Webhooks writes secrets; nobody else begins base64 so.
        let prefix = if encoding == KeyEncoding::Base64 { "whsec_" } else { "" };
        let key = Key { secret: SIGNING_SECRET.into(), encoding, prefix: prefix.into() };
        Ok(Rule::Hmac(Box::new(Hmac { hash, signed, key })))
    }

    fn hash(&self) -> Result<Rule, Mistake> {
        let hashes = [("md5", Hash::Md5), ("sha1", Hash::Sha1), ("sha256", Hash::Sha256)];
        let hash = self.choose(DIGEST, "sha256", &hashes)?;
        let signed = self.signed()?;
        if !signed.message.contains(&Piece::Secret) {
            return mistake(MESSAGE, "needs `{secret}` in it: anybody could make the rest");
        }
        let secret = SIGNING_SECRET.into();
        Ok(Rule::HashConcat(Box::new(HashConcat { hash, signed, secret })))
    }

    fn prefix(&self) -> String {
        self.as_written(PREFIX, "").into()
    }

    /// What is signed, where the signature is, and when it was made.
    fn signed(&self) -> Result<Signed, Mistake> {
        let encodings = [("hex", Encoding::Hex), ("base64", Encoding::Base64)];
        let item = self.get(ITEM, "");
        let list = (!item.is_empty()).then(|| List {
            separator: ",".into(),
            between: "=".into(),
            take: item.into(),
        });
        let message = pieces(self.as_written(MESSAGE, "{body}"))?;
        let time = self.time()?;
        let of_list = |piece: &Piece| matches!(piece, Piece::Item(_));
        let timed = time.as_ref().is_some_and(|time| time.at.place().is_none());
        if list.is_none() && (timed || message.iter().any(of_list)) {
            return mistake(ITEM, "is missing: an item of the header is spoken of");
        }
        let carrier = Carrier {
            at: place(SIGNATURE, self.get(SIGNATURE, "x-signature"))?,
            others: Vec::new(),
            prefix: self.prefix(),
            encoding: self.choose(ENCODING, "hex", &encodings)?,
            list,
        };
        Ok(Signed { message, carrier, time, body_sha256: None })
    }

    fn time(&self) -> Result<Option<SignedAt>, Mistake> {
        let at = match self.get(TIME, "") {
            "" => return Ok(None),
            text => match text.strip_prefix("item ").map(str::trim) {
                Some(item) if !item.is_empty() => TimeAt::Item(item.into()),
                _ => TimeAt::Place(place(TIME, text)?),
            },
        };
        let units = [("s", TimeUnit::S), ("ms", TimeUnit::Ms), ("date", TimeUnit::Date)];
        let unit = self.choose(TIME_UNIT, "s", &units)?;
        let tolerance: Span = match self.get(TOLERANCE, "5m").parse() {
            Ok(span) => span,
            Err(error) => return mistake(TOLERANCE, format!("is no length of time: {error}")),
        };
        Ok(Some(SignedAt { at, unit, tolerance, optional: false }))
    }
}

/// A place in a request: `x-signature` is a header, `?token` a parameter of the query, `.a.b` a
/// path in a JSON body, `field:sig` a field of a form.
fn place(setting: &'static str, text: &str) -> Result<Place, Mistake> {
    if let Some(name) = text.strip_prefix('?').filter(|name| !name.is_empty()) {
        return Ok(Place::Query(name.into()));
    }
    if let Some(name) = text.strip_prefix("field:").filter(|name| !name.is_empty()) {
        return Ok(Place::Field(name.into()));
    }
    if text.starts_with('.') {
        return match Path::try_from(text.to_owned()) {
            Ok(path) => Ok(Place::Body(path)),
            Err(problem) => mistake(setting, format!("is no plain path: {problem}")),
        };
    }
    if is_header(text) {
        return Ok(Place::Header(text.to_ascii_lowercase()));
    }
    mistake(
        setting,
        format!(
            "is `{text}`, expected the name of a header, or `?name` of the query, `.path` in the \
             body, `field:name` of a form"
        ),
    )
}

/// Whether it may be the name of a header.
pub(super) fn is_header(text: &str) -> bool {
    let fits = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
    !text.is_empty() && text.bytes().all(fits)
}

/// What is signed: places stand in braces, everything else is itself. `{{` and `}}` are a brace,
/// `\n` is a new line.
fn pieces(text: &str) -> Result<Vec<Piece>, Mistake> {
    let mut pieces = Vec::new();
    let mut plain = String::new();
    let mut rest = text;
    while let Some(letter) = rest.chars().next() {
        if let Some(after) = rest.strip_prefix("{{").or_else(|| rest.strip_prefix("}}")) {
            plain.push(letter);
            rest = after;
        } else if let Some(after) = rest.strip_prefix("\\n") {
            plain.push('\n');
            rest = after;
        } else if let Some(inside) = rest.strip_prefix('{') {
            let Some((word, after)) = inside.split_once('}') else {
                return mistake(MESSAGE, "has a `{` without its `}`");
            };
            if !plain.is_empty() {
                pieces.push(Piece::Text(std::mem::take(&mut plain)));
            }
            pieces.push(piece(word.trim())?);
            rest = after;
        } else if letter == '}' {
            return mistake(MESSAGE, "has a `}` without its `{`");
        } else {
            plain.push(letter);
            rest = &rest[letter.len_utf8()..];
        }
    }
    if !plain.is_empty() {
        pieces.push(Piece::Text(plain));
    }
    if pieces.iter().all(|piece| matches!(piece, Piece::Text(_) | Piece::Secret)) {
        return mistake(MESSAGE, "has nothing of the request in it");
    }
    Ok(pieces)
}

/// What stands in braces.
fn piece(word: &str) -> Result<Piece, Mistake> {
    if let Some((_, piece)) = WORDS.iter().find(|(it, _)| *it == word) {
        return Ok(piece.clone());
    }
    if word.starts_with('.') {
        return place(MESSAGE, word).map(Piece::At);
    }
    match word.split_once(char::is_whitespace).map(|(kind, name)| (kind, name.trim())) {
        Some(("header", name)) if is_header(name) => {
            Ok(Piece::At(Place::Header(name.to_ascii_lowercase())))
        }
        Some(("query", name)) => Ok(Piece::At(Place::Query(name.into()))),
        Some(("field", name)) => Ok(Piece::At(Place::Field(name.into()))),
        Some(("item", name)) => Ok(Piece::Item(name.into())),
        _ => {
            let known: Vec<_> = WORDS.iter().map(|(it, _)| format!("`{{{it}}}`")).collect();
            mistake(
                MESSAGE,
                format!(
                    "has `{{{word}}}` in it, expected one of {}, `{{header NAME}}`, \
                     `{{query NAME}}`, `{{field NAME}}`, `{{item NAME}}`, `{{.path}}`",
                    known.join(", ")
                ),
            )
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
        pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
    }

    fn written(yaml: &str) -> Rule {
        let scheme: super::super::Scheme =
            serde_saphyr::from_str(yaml).unwrap_or_else(|error| panic!("{yaml}: {error}"));
        scheme.rule
    }

    #[test]
    fn it_is_the_rule_that_a_connector_would_write() {
        for (form, yaml) in [
            (&[][..], "none"),
            (&[("proof", "standard_webhooks")], "standard_webhooks"),
            (&[("proof", "token")], "{ token_equal: { at: bearer } }"),
            (
                &[("proof", "token"), ("signature", "?key"), ("prefix", "k_")],
                "{ token_equal: { at: { query: key, prefix: k_ } } }",
            ),
            (
                &[("proof", "hmac")],
                "{ hmac: { sha256: body, key: signing_secret, header: x-signature, encoding: hex } }",
            ),
            (
                &[
                    ("proof", "hmac"),
                    ("digest", "sha1"),
                    ("signature", " X-Sig "),
                    ("encoding", "base64"),
                    ("prefix", "sha1="),
                    ("message", "v0:{header X-Time}\\n{{{url}}}{query a b}{.data.id}{form}"),
                    ("time", "X-Time"),
                    ("time_unit", "ms"),
                    ("tolerance", "60s"),
                    ("secret_encoding", "base64"),
                ],
                r#"{ hmac: { sha1: [{ text: "v0:" }, { header: x-time }, { text: "\n{" }, url, { text: "}" }, { query: a b }, { path: .data.id }, sorted_form], key: { secret: signing_secret, encoding: base64, prefix: whsec_ }, header: x-sig, encoding: base64, prefix: "sha1=", time: { header: x-time, unit: ms, tolerance: 60s } } }"#,
            ),
            (
                &[
                    ("proof", "hmac"),
                    ("signature", "stripe-signature"),
                    ("item", "v1"),
                    ("message", "{item t}.{body}"),
                    ("time", "item t"),
                ],
                r#"{ hmac: { sha256: [{ item: t }, ".", body], key: signing_secret, header: stripe-signature, list: { separator: ",", take: v1 }, encoding: hex, time: { item: t, tolerance: 5m } } }"#,
            ),
            (
                &[("proof", "hash"), ("digest", "md5"), ("message", "{body}{secret}")],
                "{ hash_concat: { md5: [body, secret], header: x-signature, encoding: hex } }",
            ),
        ] {
            assert_eq!(rule(&settings(form)), Ok(written(yaml)), "{form:?}");
        }
    }

    #[test]
    fn a_mistake_is_answered_with_the_setting_and_what_was_possible() {
        for (form, expected) in [
            (
                &[("proof", "magic")][..],
                "`proof` is `magic`, expected one of `none`, `token`, `hmac`, `hash`, `standard_webhooks`",
            ),
            (
                &[("proof", "hmac"), ("digest", "md5")],
                "`digest` is `md5`, expected one of `sha1`, `sha256`, `sha512`",
            ),
            (
                &[("proof", "hmac"), ("message", "{body}{secret}")],
                "`message` has `{secret}` in it, which is the key of an HMAC",
            ),
            (
                &[("proof", "hash"), ("message", "{body}")],
                "`message` needs `{secret}` in it: anybody could make the rest",
            ),
            (&[("proof", "hmac"), ("message", "{body")], "`message` has a `{` without its `}`"),
            (&[("proof", "hmac"), ("message", "body}")], "`message` has a `}` without its `{`"),
            (&[("proof", "hmac"), ("message", "v1")], "`message` has nothing of the request in it"),
            (
                &[("proof", "hmac"), ("message", "{bod}")],
                "`message` has `{bod}` in it, expected one of `{body}`, `{body_crc32}`, `{method}`, \
                 `{path}`, `{target}`, `{url}`, `{form}`, `{secret}`, `{header NAME}`, `{query NAME}`, \
                 `{field NAME}`, `{item NAME}`, `{.path}`",
            ),
            (
                &[("proof", "hmac"), ("message", "{item t}.{body}")],
                "`item` is missing: an item of the header is spoken of",
            ),
            (
                &[("proof", "hmac"), ("time", "item t")],
                "`item` is missing: an item of the header is spoken of",
            ),
            (
                &[("proof", "hmac"), ("signature", "x signature")],
                "`signature` is `x signature`, expected the name of a header, or `?name` of the \
                 query, `.path` in the body, `field:name` of a form",
            ),
        ] {
            let found = rule(&settings(form)).map_err(|mistake| mistake.to_string());
            assert_eq!(found, Err(expected.to_owned()), "{form:?}");
            assert!(is_signed(&settings(form)), "{form:?}");
        }
        let slow = rule(&settings(&[("proof", "hmac"), ("time", "x-t"), ("tolerance", "soon")]));
        assert_eq!(slow.map_err(|mistake| mistake.setting), Err(TOLERANCE));
    }

    #[test]
    fn it_asks_for_a_proof_unless_it_says_that_there_is_none() {
        assert!(!is_signed(&settings(&[])) && !is_signed(&settings(&[("proof", "none")])));
        assert!(is_signed(&settings(&[("proof", "token")])));
    }
}
