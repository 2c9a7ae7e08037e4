//! Handshakes: the questions of a sender whether an address is right, and what they are answered.

use schemars::JsonSchema;
use serde::Deserialize;

use super::one_of::{OneOrMany, one_of};
use super::own::is_header;
use super::signed::{Encoding, Key, Piece};
use super::verify::{Expectation, Hash, SIGNING_SECRET};
use super::webhook::Pick;
use crate::expression::Expression;

/// A question of a sender whether an address is right, and what it is answered.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(try_from = "WrittenHandshake")]
pub struct Handshake {
    /// For which requests, over the body (the query where there is none); all where it is not
    /// given.
    pub when: Option<Expression>,
    /// What must be the same as a setting for it to be answered.
    pub expect: Vec<Expectation>,
    /// Whether it is answered although nobody signed it. HEAD, GET and OPTIONS never are signed.
    pub unsigned: bool,
    /// What is answered.
    pub reply: Reply,
}

impl Handshake {
    /// The name of the secret that the sender says in it.
    pub fn keeps(&self) -> Option<&str> {
        match &self.reply {
            Reply::Echo(echo) => echo.keep.as_deref(),
            _ => None,
        }
    }

    /// The headers in which the sender says that secret.
    pub(super) fn said_in(&self) -> Vec<&str> {
        match &self.reply {
            Reply::Echo(Echo { value: Value::Asked(pick), keep: Some(_), .. }) => pick.headers(),
            _ => Vec::new(),
        }
    }

    /// The name of the secret that its answer is made with, or that it asks for.
    pub fn secret(&self) -> Option<&str> {
        match &self.reply {
            Reply::Echo(Echo { value: Value::Digest(digest), .. }) => Some(digest.key.name()),
            Reply::Echo(echo) => echo.keep.as_deref(),
            _ => None,
        }
    }

    /// The settings that it speaks of.
    pub(super) fn settings(&self) -> Vec<&str> {
        let mut names: Vec<_> = self.expect.iter().map(|it| it.setting.as_str()).collect();
        match &self.reply {
            Reply::OptionsOrigin { origins, .. } | Reply::Cors { origins } => names.push(origins),
            Reply::Echo(Echo { value: Value::Digest(digest), .. }) => {
                names.extend(digest.message.iter().filter_map(|piece| match piece {
                    Piece::Setting(name) => Some(name.as_str()),
                    _ => None,
                }));
            }
            Reply::Echo(_) | Reply::EchoJson(_) | Reply::Ping(_) | Reply::Head | Reply::Get => {}
        }
        names
    }
}

/// What a handshake is answered with.
#[derive(Debug, Clone, PartialEq)]
pub enum Reply {
    /// A value.
    Echo(Echo),
    /// This value, as JSON.
    EchoJson(Expression),
    /// What stands here.
    Ping(Ping),
    /// Nothing, to HEAD.
    Head,
    /// Nothing, to GET.
    Get,
    /// That the asking origin may send, to the OPTIONS of CloudEvents.
    OptionsOrigin {
        /// The setting that lists the origins, parted by commas or spaces: `*` is any.
        origins: String,
        /// How many a minute.
        rate: Option<u32>,
    },
    /// That pages of these origins may send, to the OPTIONS of a browser.
    Cors {
        /// The setting that lists the origins, parted by commas or spaces: `*` or nothing is any.
        origins: String,
    },
}

/// A value that is answered.
#[derive(Debug, Clone, PartialEq)]
pub struct Echo {
    /// Which.
    pub value: Value,
    /// Where it stands in the answer.
    pub place: EchoPlace,
    /// The name of the secret that it is from now on, where the inbox has none of that name.
    pub keep: Option<String>,
}

/// Which value is answered.
#[derive(Debug, Clone, PartialEq)]
pub enum Value {
    /// One of the question.
    Asked(Pick),
    /// A digest of the question, which only who has the secret can make.
    Digest(Digest),
}

/// Where a value stands in an answer.
#[derive(Debug, Clone, PartialEq)]
pub enum EchoPlace {
    /// It is the body, as plain text.
    Text,
    /// In the JSON that this makes of the question and `$value`.
    Json(Expression),
    /// In the header of this name, in lower case.
    Header(String),
}

/// A digest of a question.
#[derive(Debug, Clone, PartialEq)]
pub struct Digest {
    /// Which digest.
    pub hash: Hash,
    /// What goes into it.
    pub message: Vec<Piece>,
    /// The secret.
    pub key: DigestKey,
    /// How it is written.
    pub encoding: Encoding,
}

/// How the secret goes into a digest.
#[derive(Debug, Clone, PartialEq)]
pub enum DigestKey {
    /// It is the key.
    Keyed(Key),
    /// The secret of this name is one of the pieces.
    Piece(String),
}

impl DigestKey {
    /// The secret's name.
    pub fn name(&self) -> &str {
        match self {
            Self::Keyed(key) => &key.secret,
            Self::Piece(name) => name,
        }
    }
}

/// A fixed answer.
#[derive(Debug, Clone, PartialEq, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Ping {
    /// The status. Where it is not given: 200 with a body, and that of `answer` without.
    #[serde(default)]
    pub status: Option<u16>,
    /// JSON.
    #[serde(default)]
    pub json: Option<serde_json::Value>,
    /// Text.
    #[serde(default)]
    pub body: Option<String>,
    /// What kind of text that is.
    #[serde(default)]
    pub content_type: Option<String>,
}

/// The written form of a [`Handshake`].
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "Handshake")]
pub(crate) struct WrittenHandshake {
    /// For which requests, over the body; over the query where there is no body.
    when: Option<Expression>,
    /// What must be the same as a setting: `[{ path: '.["hub.verify_token"]', setting: verify_token }]`.
    #[serde(default)]
    expect: Vec<Expectation>,
    /// Whether it is answered although nobody signed it.
    #[serde(default)]
    unsigned: bool,
    /// Answer this value, as plain text, or as `in_json` or `in_header` says.
    echo: Option<Pick>,
    /// Answer a keyed digest of the question, in the same way.
    hmac: Option<WrittenHmacOf>,
    /// Answer a plain digest of the question and the secret, in the same way.
    hash_concat: Option<WrittenHashOf>,
    /// The JSON with that value: jq over the question, the value being `$value`.
    in_json: Option<String>,
    /// The header of the answer with that value.
    in_header: Option<String>,
    /// The name of the secret that the echoed value is from now on: only while there is none.
    keep: Option<String>,
    /// Answer this value of the question, as JSON.
    echo_json: Option<Expression>,
    /// Answer what stands here: `ping: { status: 204 }`, `ping: { json: { type: 1 } }`, `ping: {}`.
    ping: Option<Ping>,
    /// Answer HEAD with nothing: `head_ok: true`.
    head_ok: Option<bool>,
    /// Answer GET with nothing: `get_ok: true`.
    get_ok: Option<bool>,
    /// Answer the OPTIONS of CloudEvents.
    options_origin: Option<WrittenOptionsOrigin>,
    /// Answer the OPTIONS of a browser: `cors: { origins: allowed_origins }`.
    cors: Option<WrittenCors>,
}

/// A keyed digest of the question.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "HmacOf")]
struct WrittenHmacOf {
    /// What goes into SHA-1.
    sha1: Option<OneOrMany<Piece>>,
    /// What goes into SHA-256.
    sha256: Option<OneOrMany<Piece>>,
    /// What goes into SHA-512.
    sha512: Option<OneOrMany<Piece>>,
    /// The name of the secret, or how it becomes a key.
    key: Key,
    /// How it is written.
    encoding: Encoding,
}

/// A plain digest of the question and the secret.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "HashOf")]
struct WrittenHashOf {
    /// What goes into MD5.
    md5: Option<OneOrMany<Piece>>,
    /// What goes into SHA-1.
    sha1: Option<OneOrMany<Piece>>,
    /// What goes into SHA-256.
    sha256: Option<OneOrMany<Piece>>,
    /// The name of the secret that the piece `secret` stands for.
    secret: Option<String>,
    /// How it is written.
    encoding: Encoding,
}

impl TryFrom<WrittenHmacOf> for Digest {
    type Error = String;

    fn try_from(written: WrittenHmacOf) -> Result<Self, String> {
        let (hash, message) = one_of([
            ("sha1", written.sha1.map(|pieces| (Hash::Sha1, pieces))),
            ("sha256", written.sha256.map(|pieces| (Hash::Sha256, pieces))),
            ("sha512", written.sha512.map(|pieces| (Hash::Sha512, pieces))),
        ])?;
        let message = asked(message)?;
        if message.contains(&Piece::Secret) {
            return Err("`secret` is the key here, and no piece of what is digested".into());
        }
        Ok(Self { hash, message, key: DigestKey::Keyed(written.key), encoding: written.encoding })
    }
}

impl TryFrom<WrittenHashOf> for Digest {
    type Error = String;

    fn try_from(written: WrittenHashOf) -> Result<Self, String> {
        let (hash, message) = one_of([
            ("md5", written.md5.map(|pieces| (Hash::Md5, pieces))),
            ("sha1", written.sha1.map(|pieces| (Hash::Sha1, pieces))),
            ("sha256", written.sha256.map(|pieces| (Hash::Sha256, pieces))),
        ])?;
        let message = asked(message)?;
        if !message.contains(&Piece::Secret) {
            return Err(
                "`hash_concat` needs `secret` among its pieces: anybody could answer".into()
            );
        }
        let key = DigestKey::Piece(written.secret.unwrap_or_else(|| SIGNING_SECRET.into()));
        Ok(Self { hash, message, key, encoding: written.encoding })
    }
}

/// Pieces that a question has. Not the body: whoever asks would choose what is digested.
fn asked(message: OneOrMany<Piece>) -> Result<Vec<Piece>, String> {
    let message = Vec::from(message);
    let fits = |piece: &Piece| {
        matches!(
            piece,
            Piece::At(_) | Piece::Text(_) | Piece::Setting(_) | Piece::Secret | Piece::Url(_)
        )
    };
    match message.iter().find(|piece| !fits(piece)) {
        Some(piece) => Err(format!("`{}` is no piece of a question", piece.describe())),
        None if message.is_empty() => Err("there is nothing that goes into the digest".into()),
        None => Ok(message),
    }
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "OptionsOrigin")]
struct WrittenOptionsOrigin {
    /// The setting that lists the origins.
    origins: String,
    /// How many a minute.
    rate: Option<u32>,
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "Cors")]
struct WrittenCors {
    /// The setting that lists the origins.
    origins: String,
}

impl TryFrom<WrittenHandshake> for Handshake {
    type Error = String;

    fn try_from(written: WrittenHandshake) -> Result<Self, String> {
        let place = EchoPlace::written(written.in_json, written.in_header)?;
        let keep = written.keep;
        let told = place != EchoPlace::Text || keep.is_some();
        let echo = |value| Ok(Reply::Echo(Echo { value, place, keep }));
        let digest = |digest| Value::Digest(digest);
        let value = match (written.echo, written.hmac, written.hash_concat) {
            (Some(pick), None, None) => Some(Ok(Value::Asked(pick))),
            (None, Some(hmac), None) => Some(Digest::try_from(hmac).map(digest)),
            (None, None, Some(hash)) => Some(Digest::try_from(hash).map(digest)),
            (None, None, None) => None,
            _ => return Err("`echo`, `hmac` and `hash_concat` exclude each other".into()),
        };
        let value = value.transpose()?;
        if told && value.is_none() {
            return Err(
                "`in_json`, `in_header` and `keep` are for `echo`, `hmac` or `hash_concat`".into(),
            );
        }
        let reply = one_of([
            ("echo", value.map(echo)),
            ("echo_json", written.echo_json.map(|value| Ok(Reply::EchoJson(value)))),
            ("ping", written.ping.map(|ping| Ok(Reply::Ping(ping)))),
            ("head_ok", written.head_ok.filter(|ok| *ok).map(|_| Ok(Reply::Head))),
            ("get_ok", written.get_ok.filter(|ok| *ok).map(|_| Ok(Reply::Get))),
            (
                "options_origin",
                written
                    .options_origin
                    .map(|it| Ok(Reply::OptionsOrigin { origins: it.origins, rate: it.rate })),
            ),
            ("cors", written.cors.map(|it| Ok(Reply::Cors { origins: it.origins }))),
            // Words that stand for `echo` above, so that they are among those that are possible.
            ("hmac", None),
            ("hash_concat", None),
        ])
        .and_then(|reply: Result<Reply, String>| reply)?;
        match &reply {
            Reply::Ping(Ping { json: Some(_), body: Some(_), .. }) => {
                return Err("`json` and `body` exclude each other".into());
            }
            Reply::Echo(Echo { value: Value::Digest(_), keep: Some(_), .. }) => {
                return Err("`keep` is for what the sender says: `echo`".into());
            }
            _ => {}
        }
        Ok(Self { when: written.when, expect: written.expect, unsigned: written.unsigned, reply })
    }
}

impl EchoPlace {
    fn written(json: Option<String>, header: Option<String>) -> Result<Self, String> {
        match (json, header) {
            (None, None) => Ok(Self::Text),
            (Some(text), None) => {
                let json = Expression::with_value(&text).map_err(|error| error.to_string())?;
                Ok(Self::Json(json))
            }
            (None, Some(name)) if is_header(&name) => Ok(Self::Header(name.to_ascii_lowercase())),
            (None, Some(name)) => Err(format!("`{name}` is not the name of a header")),
            (Some(_), Some(_)) => Err("`in_json` and `in_header` exclude each other".into()),
        }
    }
}

impl JsonSchema for Handshake {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        WrittenHandshake::schema_name()
    }

    fn json_schema(generator: &mut schemars::SchemaGenerator) -> schemars::Schema {
        WrittenHandshake::json_schema(generator)
    }
}
