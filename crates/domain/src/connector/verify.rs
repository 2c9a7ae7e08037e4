//! How a request is proved: the rules. [`crate::signature`] applies them.

use schemars::JsonSchema;
use serde::Deserialize;

use super::one_of::{OneOrMany, one_of};
use super::span::Span;
use crate::expression::Expression;

/// The usual name of a signing secret.
pub const SIGNING_SECRET: &str = "signing_secret";

/// How a request is proved.
#[derive(Debug, Clone, PartialEq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Verify {
    /// Not at all: whoever knows the address may send.
    None,
    /// By the specification of that name, also with the headers of Svix.
    StandardWebhooks,
    /// By a keyed digest of what the connector says.
    Hmac(Box<Hmac>),
}

impl Verify {
    /// The name of the rule, as connectors write it.
    pub const fn name(&self) -> &'static str {
        match self {
            Self::None => "none",
            Self::StandardWebhooks => "standard_webhooks",
            Self::Hmac(_) => "hmac",
        }
    }

    /// The name of the secret that it needs.
    pub fn secret(&self) -> Option<&str> {
        match self {
            Self::None => None,
            Self::StandardWebhooks => Some(SIGNING_SECRET),
            Self::Hmac(hmac) => Some(&hmac.key.secret),
        }
    }
}

/// A keyed digest.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(try_from = "Written")]
pub struct Hmac {
    /// Which digest.
    pub hash: Hash,
    /// What is signed.
    pub message: Vec<Piece>,
    /// What it is signed with.
    pub key: Key,
    /// The header that carries the signature.
    pub header: String,
    /// What stands before it.
    pub prefix: String,
    /// How it is written.
    pub encoding: Encoding,
    /// How several signatures, or a signature and more, stand in the header.
    pub list: Option<List>,
    /// When it was signed.
    pub time: Option<SignedAt>,
}

/// Which digest.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Hash {
    /// SHA-1, 20 bytes. Old, and still sound in an HMAC.
    Sha1,
    /// SHA-256, 32 bytes.
    Sha256,
}

/// The written form of [`Hmac`].
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "Hmac")]
pub(crate) struct Written {
    /// What is signed with SHA-1.
    sha1: Option<OneOrMany<Piece>>,
    /// What is signed with SHA-256.
    sha256: Option<OneOrMany<Piece>>,
    /// The name of the secret, or how it becomes a key.
    key: Key,
    /// The header that carries the signature.
    header: String,
    /// What stands before it.
    #[serde(default)]
    prefix: String,
    /// How it is written.
    encoding: Encoding,
    /// How several signatures, or a signature and more, stand in the header.
    list: Option<List>,
    /// When it was signed.
    time: Option<SignedAt>,
}

impl TryFrom<Written> for Hmac {
    type Error = String;

    fn try_from(written: Written) -> Result<Self, String> {
        let with = |hash| move |message: OneOrMany<Piece>| (hash, Vec::from(message));
        let (hash, message) = one_of([
            ("sha1", written.sha1.map(with(Hash::Sha1))),
            ("sha256", written.sha256.map(with(Hash::Sha256))),
        ])?;
        if written.list.is_none() && needs_list(&message, written.time.as_ref()) {
            return Err("`item` needs `list`, which says how the header is parted".into());
        }
        Ok(Self {
            hash,
            message,
            key: written.key,
            header: written.header.to_ascii_lowercase(),
            prefix: written.prefix,
            encoding: written.encoding,
            list: written.list,
            time: written.time,
        })
    }
}

fn needs_list(message: &[Piece], time: Option<&SignedAt>) -> bool {
    let in_message = message.iter().any(|piece| matches!(piece, Piece::Item(_)));
    in_message || time.is_some_and(|time| matches!(time.at, TimeAt::Item(_)))
}

impl JsonSchema for Hmac {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        Written::schema_name()
    }

    fn json_schema(generator: &mut schemars::SchemaGenerator) -> schemars::Schema {
        Written::json_schema(generator)
    }
}

/// A part of what is signed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Piece {
    /// The bytes of the body.
    Body,
    /// The method, in capitals.
    Method,
    /// The path of the registered address.
    Path,
    /// The registered address, whole.
    Url,
    /// This text.
    Text(String),
    /// The value of this header.
    Header(String),
    /// The value of this item of the signature's list.
    Item(String),
}

/// The words that stand for a piece by themselves.
const WORDS: &[(&str, Piece)] =
    &[("body", Piece::Body), ("method", Piece::Method), ("path", Piece::Path), ("url", Piece::Url)];

impl Piece {
    /// A word stands for a piece; anything that could not be a word is a text. So a mistyped word
    /// is a mistake, and not a text that nobody signs.
    fn from_text(text: &str) -> Result<Self, String> {
        if let Some((_, piece)) = WORDS.iter().find(|(word, _)| *word == text) {
            return Ok(piece.clone());
        }
        let word = |letter: char| letter.is_ascii_alphabetic() || letter == '_';
        if text.chars().count() > 1 && text.chars().all(word) {
            let words: Vec<_> = WORDS.iter().map(|(word, _)| format!("`{word}`")).collect();
            return Err(format!(
                "unknown word `{text}`, expected one of {}; a text that looks like a word is \
                 written `{{ text: {text} }}`",
                words.join(", ")
            ));
        }
        Ok(Self::Text(text.into()))
    }

    /// In words, for people: `webhook-id`, `body`.
    pub fn describe(&self) -> String {
        match self {
            Self::Body => "body".into(),
            Self::Method => "method".into(),
            Self::Path => "path".into(),
            Self::Url => "address".into(),
            Self::Text(text) => text.clone(),
            Self::Header(name) | Self::Item(name) => name.clone(),
        }
    }
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "PieceObject")]
pub(super) struct WrittenPiece {
    /// This text.
    text: Option<String>,
    /// The value of this header.
    header: Option<String>,
    /// The value of this item of the signature's list.
    item: Option<String>,
}

impl TryFrom<WrittenPiece> for Piece {
    type Error = String;

    fn try_from(written: WrittenPiece) -> Result<Self, String> {
        one_of([
            ("text", written.text.map(Self::Text)),
            ("header", written.header.map(|name| Self::Header(name.to_ascii_lowercase()))),
            ("item", written.item.map(Self::Item)),
        ])
    }
}

super::one_of::text_list_or_object! {
    Piece: "`body`, `method`, `path`, `url`, a text, or `{ header: … }`, `{ item: … }`, `{ text: … }`",
    text: Piece::from_text,
    object: WrittenPiece => Piece::try_from,
}

/// How a secret becomes a key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Key {
    /// The secret's name.
    pub secret: String,
    /// How it is written.
    pub encoding: KeyEncoding,
    /// What stands before the key in a secret, and is left off if it is there.
    pub prefix: String,
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "KeyObject")]
pub(super) struct WrittenKey {
    /// The secret's name.
    secret: String,
    /// How it is written.
    #[serde(default)]
    encoding: KeyEncoding,
    /// What stands before the key in a secret.
    #[serde(default)]
    prefix: String,
}

super::one_of::text_list_or_object! {
    Key: "the name of a secret, or `{ secret: …, encoding: …, prefix: … }`",
    text: |text: &str| Ok::<_, String>(Key {
        secret: text.into(),
        encoding: KeyEncoding::Text,
        prefix: String::new(),
    }),
    object: WrittenKey => |written: WrittenKey| Ok::<_, String>(Key {
        secret: written.secret,
        encoding: written.encoding,
        prefix: written.prefix,
    }),
}

/// How a key is written in a secret.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum KeyEncoding {
    /// The bytes of the text are the key.
    #[default]
    Text,
    /// The text is base64 of the key.
    Base64,
    /// The text is hex of the key.
    Hex,
}

/// How a signature is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Encoding {
    /// Hex, in either case.
    Hex,
    /// Base64 with the standard alphabet.
    Base64,
}

/// How several values stand in one header: `t=1,v1=abc`, `v1,abc v1,def`.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct List {
    /// What stands between two items.
    pub separator: String,
    /// What stands between an item's name and its value.
    #[serde(default = "equals")]
    pub between: String,
    /// The name of the items that are signatures. One that fits is enough.
    pub take: String,
}

fn equals() -> String {
    "=".into()
}

/// When a request was signed, and how far that may be from now, on both sides.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(try_from = "WrittenSignedAt")]
pub struct SignedAt {
    /// Where the time is.
    pub at: TimeAt,
    /// How it is written.
    pub unit: TimeUnit,
    /// How far it may be from now.
    pub tolerance: Span,
}

/// Where the time of a signature is.
#[derive(Debug, Clone, PartialEq)]
pub enum TimeAt {
    /// In this header.
    Header(String),
    /// In this item of the signature's list.
    Item(String),
    /// In the body, which is read only after its signature was found right.
    Body(Expression),
}

/// How the time of a signature is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum TimeUnit {
    /// Seconds since 1970.
    #[default]
    S,
    /// Milliseconds since 1970.
    Ms,
    /// RFC 3339.
    Iso,
}

/// The written form of [`SignedAt`].
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "SignedAt")]
pub(crate) struct WrittenSignedAt {
    /// In this header.
    header: Option<String>,
    /// In this item of the signature's list.
    item: Option<String>,
    /// In the body.
    path: Option<Expression>,
    /// How it is written.
    #[serde(default)]
    unit: TimeUnit,
    /// How far it may be from now.
    tolerance: Span,
}

impl TryFrom<WrittenSignedAt> for SignedAt {
    type Error = String;

    fn try_from(written: WrittenSignedAt) -> Result<Self, String> {
        let at = one_of([
            ("header", written.header.map(|name| TimeAt::Header(name.to_ascii_lowercase()))),
            ("item", written.item.map(TimeAt::Item)),
            ("path", written.path.map(TimeAt::Body)),
        ])?;
        Ok(Self { at, unit: written.unit, tolerance: written.tolerance })
    }
}

impl JsonSchema for SignedAt {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        WrittenSignedAt::schema_name()
    }

    fn json_schema(generator: &mut schemars::SchemaGenerator) -> schemars::Schema {
        WrittenSignedAt::json_schema(generator)
    }
}
