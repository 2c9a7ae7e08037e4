//! What schemes are made of: what is signed, where a signature is and how it is written, what it
//! is checked with, and when it was made.

use schemars::JsonSchema;
use serde::Deserialize;

use super::one_of::{OneOrMany, one_of};
use super::span::Span;
use super::verify::PUBLIC_KEY;
use crate::json::Json;

/// A place in a request.
#[derive(Debug, Clone, PartialEq)]
pub enum Place {
    /// The header of this name, in lower case.
    Header(String),
    /// The query parameter of this name, decoded.
    Query(String),
    /// The field of this name in a form, decoded.
    Field(String),
    /// This path in a JSON body.
    Body(Path),
    /// This path in the JSON that is a field of a form.
    InField {
        /// The field's name.
        field: String,
        /// The path.
        path: Path,
    },
}

impl Place {
    /// The one of them that is written.
    pub(super) fn written(
        header: Option<String>,
        query: Option<String>,
        field: Option<String>,
        path: Option<Path>,
    ) -> Result<Self, String> {
        let (field, path) = match (field, path) {
            (Some(field), Some(path)) if header.is_none() && query.is_none() => {
                return Ok(Self::InField { field, path });
            }
            other => other,
        };
        one_of([
            ("header", header.map(|name| Self::Header(name.to_ascii_lowercase()))),
            ("query", query.map(Self::Query)),
            ("field", field.map(Self::Field)),
            ("path", path.map(Self::Body)),
        ])
    }

    /// The header's name, where it is one.
    pub fn header(&self) -> Option<&str> {
        match self {
            Self::Header(name) => Some(name),
            Self::Query(_) | Self::Field(_) | Self::Body(_) | Self::InField { .. } => None,
        }
    }

    /// In words, for people: `` `x-signature` header``.
    pub fn what(&self) -> String {
        match self {
            Self::Header(name) => format!("`{name}` header"),
            Self::Query(name) => format!("query parameter `{name}`"),
            Self::Field(name) => format!("form field `{name}`"),
            Self::Body(path) => format!("value at `{}` of the body", path.text()),
            Self::InField { field, path } => {
                format!("value at `{}` of the form field `{field}`", path.text())
            }
        }
    }

    /// Its name alone: `x-signature`, `.signature.token`.
    pub fn name(&self) -> &str {
        match self {
            Self::Header(name) | Self::Query(name) | Self::Field(name) => name,
            Self::Body(path) | Self::InField { path, .. } => path.text(),
        }
    }
}

/// A way into JSON: `.signature.token`, `.items[0]."x-id"`. It is read before the body is known to be
/// the sender's, so that it is names and numbers and nothing that could take long.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub struct Path {
    text: String,
    steps: Vec<Step>,
}

/// A step of a [`Path`].
#[derive(Debug, Clone, PartialEq, Eq)]
enum Step {
    /// The member of this name of an object.
    Name(String),
    /// The item at this place of an array, counted from 0.
    Item(usize),
}

impl Path {
    /// As it is written.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// What it leads to in `json`; none where it leads nowhere.
    pub fn along(&self, json: Json) -> Option<Json> {
        self.steps.iter().try_fold(json, |at, step| match step {
            Step::Name(name) => at.get(name),
            Step::Item(place) => at.as_array()?.nth(*place),
        })
    }
}

impl TryFrom<String> for Path {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        match steps(text.trim()) {
            Some(steps) => Ok(Self { text, steps }),
            None => Err(format!(
                "`{text}` should be a plain path like `.signature.token` or `.items[0].\"x-id\"`: it \
                 is read before the body is known to be the sender's"
            )),
        }
    }
}

impl JsonSchema for Path {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Path".into()
    }

    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({
            "type": "string",
            "description": "A plain path: `.signature.token`, `.items[0].\"x-id\"`.",
        })
    }
}

/// The steps of `.a.b`, `.a[0]`, `."x-y"`, `.["x-y"]`, `.[0]`; none where it is anything else.
fn steps(text: &str) -> Option<Vec<Step>> {
    let mut steps = Vec::new();
    let mut rest = text.strip_prefix('.')?;
    // The dot is behind us here, where no bracket follows.
    let mut dotted = true;
    loop {
        if let Some(inside) = rest.strip_prefix('[') {
            let (step, after) = match inside.starts_with('"') {
                true => quoted(inside)?,
                false => {
                    let (digits, after) = inside.split_at(inside.find(']')?);
                    let fits = digits.bytes().all(|byte| byte.is_ascii_digit());
                    (Step::Item(digits.parse().ok().filter(|_| fits)?), after)
                }
            };
            steps.push(step);
            rest = after.strip_prefix(']')?;
        } else if !dotted {
            return None;
        } else if rest.starts_with('"') {
            let (step, after) = quoted(rest)?;
            steps.push(step);
            rest = after;
        } else {
            let is_name = |letter: char| letter.is_ascii_alphanumeric() || letter == '_';
            let (name, after) = rest.split_at(rest.find(|it| !is_name(it)).unwrap_or(rest.len()));
            if name.is_empty() || name.starts_with(|it: char| it.is_ascii_digit()) {
                return None;
            }
            steps.push(Step::Name(name.to_owned()));
            rest = after;
        }
        match rest.strip_prefix('.') {
            _ if rest.is_empty() => return Some(steps),
            Some(after) => (rest, dotted) = (after, true),
            None => dotted = false,
        }
    }
}

/// A name in quotes, as JSON writes it, and what comes after it.
fn quoted(text: &str) -> Option<(Step, &str)> {
    let mut values = serde_json::Deserializer::from_str(text).into_iter::<String>();
    let name = values.next()?.ok()?;
    let end = values.byte_offset();
    Some((Step::Name(name), &text[end..]))
}

/// A place in a request.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "Place")]
pub(crate) struct WrittenPlace {
    /// In this header.
    header: Option<String>,
    /// In this query parameter.
    query: Option<String>,
    /// In this field of a form.
    field: Option<String>,
    /// At this place in a JSON body; beside `field`, in the JSON of that field.
    path: Option<Path>,
}

impl TryFrom<WrittenPlace> for Place {
    type Error = String;

    fn try_from(written: WrittenPlace) -> Result<Self, String> {
        Self::written(written.header, written.query, written.field, written.path)
    }
}

impl<'de> Deserialize<'de> for Place {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        WrittenPlace::deserialize(deserializer)?.try_into().map_err(serde::de::Error::custom)
    }
}

impl JsonSchema for Place {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        WrittenPlace::schema_name()
    }

    fn json_schema(generator: &mut schemars::SchemaGenerator) -> schemars::Schema {
        WrittenPlace::json_schema(generator)
    }
}

/// Where a signature is, and how it is written.
#[derive(Debug, Clone, PartialEq)]
pub struct Carrier {
    /// Where.
    pub at: Place,
    /// Other headers that may carry one as well: one that fits is enough.
    pub others: Vec<Place>,
    /// What stands before it.
    pub prefix: String,
    /// How it is written.
    pub encoding: Encoding,
    /// How several signatures, or a signature and more, stand together.
    pub list: Option<List>,
}

impl Carrier {
    /// All places that may carry one.
    pub fn places(&self) -> impl Iterator<Item = &Place> {
        std::iter::once(&self.at).chain(&self.others)
    }

    /// The places, in words.
    pub fn what(&self) -> String {
        let places: Vec<_> = self.places().map(Place::what).collect();
        places.join(" and no ")
    }
}

/// A part of what is signed.
#[derive(Debug, Clone, PartialEq)]
pub enum Piece {
    /// The bytes of the body.
    Body,
    /// The CRC-32 of the body, as a decimal number.
    BodyCrc32,
    /// The method, in capitals.
    Method,
    /// The path of the registered address.
    Path,
    /// The same with the query that came.
    Target,
    /// The registered address, whole.
    Url(UrlForm),
    /// The fields of a form, sorted by name: name and value of each, with nothing between them.
    /// Nothing where there is no body; another body is refused, unless it is signed as well.
    SortedForm,
    /// The secret, where it is a part of what goes into a digest.
    Secret,
    /// This text.
    Text(String),
    /// The value at this place.
    At(Place),
    /// The value at this place with a text on either side, or nothing of that where it is missing.
    Optional {
        /// The place.
        place: Place,
        /// What stands before it.
        before: String,
        /// What stands after it.
        after: String,
    },
    /// The value of this item of the signature's list.
    Item(String),
    /// The value of this setting.
    Setting(String),
}

/// In which forms the registered address may have been signed: any that fits is good.
#[derive(Debug, Clone, PartialEq, Eq, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct UrlForm {
    /// Whether its port may be written or left out.
    #[serde(default)]
    pub port: PortForm,
    /// Letters that may stand decoded in it: `":/?@!$'()*,;"`.
    #[serde(default)]
    pub decoded: String,
}

impl UrlForm {
    /// As it was registered.
    pub(super) const AS_GIVEN: Self = Self { port: PortForm::AsGiven, decoded: String::new() };
}

/// Whether the port of an address may be written or left out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum PortForm {
    /// As it was registered.
    #[default]
    AsGiven,
    /// With the usual port, without any, and as it was registered.
    Either,
}

/// The words that stand for a piece by themselves.
const WORDS: &[(&str, Piece)] = &[
    ("body", Piece::Body),
    ("body_crc32", Piece::BodyCrc32),
    ("method", Piece::Method),
    ("path", Piece::Path),
    ("target", Piece::Target),
    ("url", Piece::Url(UrlForm::AS_GIVEN)),
    ("sorted_form", Piece::SortedForm),
    ("secret", Piece::Secret),
];

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
            Self::BodyCrc32 => "crc32(body)".into(),
            Self::Method => "method".into(),
            Self::Path => "path".into(),
            Self::Target => "path and query".into(),
            Self::Url(_) => "address".into(),
            Self::SortedForm => "sorted form".into(),
            Self::Secret => "secret".into(),
            Self::Text(text) => text.clone(),
            Self::At(place) | Self::Optional { place, .. } => place.name().into(),
            Self::Item(name) | Self::Setting(name) => name.clone(),
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
    /// The value of this query parameter.
    query: Option<String>,
    /// The value of this field of a form.
    field: Option<String>,
    /// The value at this place in a JSON body; beside `field`, in the JSON of that field.
    path: Option<Path>,
    /// The value of this item of the signature's list.
    item: Option<String>,
    /// The value of this setting.
    setting: Option<String>,
    /// The registered address in one of several forms.
    url: Option<UrlForm>,
    /// Whether the value at the place may be missing: nothing stands for it then.
    #[serde(default)]
    optional: bool,
    /// What stands before a value that may be missing, where it is there.
    #[serde(default)]
    before: String,
    /// What stands after it.
    #[serde(default)]
    after: String,
}

impl TryFrom<WrittenPiece> for Piece {
    type Error = String;

    fn try_from(written: WrittenPiece) -> Result<Self, String> {
        let WrittenPiece { text, header, query, field, path, item, setting, url, .. } = written;
        let (optional, before, after) = (written.optional, written.before, written.after);
        let around = !before.is_empty() || !after.is_empty();
        if around && !optional {
            return Err(
                "`before` and `after` stand beside `optional: true`; a text that is always \
                        there is a piece of its own"
                    .into(),
            );
        }
        let placed = header.is_some() || query.is_some() || field.is_some() || path.is_some();
        if optional && !placed {
            return Err("`optional` is for a `header`, `query`, `field` or `path`".into());
        }
        let place = match placed {
            false => None,
            true => Some(Place::written(header, query, field, path)?),
        };
        let place = place.map(|place| match optional {
            false => Self::At(place),
            true => Self::Optional { place, before, after },
        });
        one_of([
            ("text", text.map(Self::Text)),
            // Which of the four it is, and that it is one, was looked at above.
            ("header", place),
            ("query", None),
            ("field", None),
            ("path", None),
            ("item", item.map(Self::Item)),
            ("setting", setting.map(Self::Setting)),
            ("url", url.map(Self::Url)),
        ])
    }
}

super::one_of::text_list_or_object! {
    Piece: "`body`, `body_crc32`, `method`, `path`, `target`, `url`, `sorted_form`, `secret`, a text, or `{ header: … }`, `{ query: … }`, `{ field: … }`, `{ path: … }`, `{ item: … }`, `{ setting: … }`, `{ text: … }`, `{ url: … }`",
    words: ["body", "body_crc32", "method", "path", "target", "url", "sorted_form", "secret"],
    else: "^(.|.*[^A-Za-z_].*)$",
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
    /// The bytes of the text in Unicode's normal form NFKD are the key.
    Nfkd,
}

/// What a public-key signature is checked with.
#[derive(Debug, Clone, PartialEq)]
pub enum PublicKey {
    /// A key that the user has, or that is the same for everybody: raw in hex or base64, DER in
    /// base64, PEM, a certificate, a JWK or a set of them.
    Given {
        /// The name of the secret or setting that holds it.
        secret: String,
        /// The key where none is given.
        default: Option<String>,
        /// What stands before it, and is left off if it is there.
        prefix: String,
    },
    /// The key of a certificate whose address is in the request.
    Certificate {
        /// Where its address is.
        url: Place,
        /// The hosts it may be fetched from: `api.paypal.com`, `*.paypal.com`.
        hosts: Vec<HostPattern>,
        /// What its subject must be called, in the same form.
        name: Option<HostPattern>,
    },
    /// The key of that id in a set of keys (JWKS).
    Jwks {
        /// The address of the set.
        url: String,
        /// Where the id is; the only key of the set where this is not given.
        kid: Option<Place>,
    },
}

impl PublicKey {
    /// The name of the secret that it is, where there is no other.
    pub(super) fn secret(&self) -> Option<&str> {
        match self {
            Self::Given { secret, default: None, .. } => Some(secret),
            Self::Given { .. } | Self::Certificate { .. } | Self::Jwks { .. } => None,
        }
    }

    /// What of the request names the key.
    pub(super) fn place(&self) -> Option<&Place> {
        match self {
            Self::Given { .. } => None,
            Self::Certificate { url, .. } => Some(url),
            Self::Jwks { kid, .. } => kid.as_ref(),
        }
    }
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "PublicKeyObject")]
pub(super) struct WrittenPublicKey {
    /// The name of the secret or setting that holds it.
    secret: Option<String>,
    /// The key where none is given.
    default: Option<String>,
    /// What stands before it.
    #[serde(default)]
    prefix: String,
    /// The key of a certificate whose address is in the request.
    certificate: Option<WrittenCertificate>,
    /// A key out of a set.
    jwks: Option<WrittenJwks>,
}

/// The key of a certificate whose address is in the request.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "Certificate")]
struct WrittenCertificate {
    /// Where its address is.
    url: Place,
    /// The hosts it may be fetched from.
    hosts: OneOrMany<HostPattern>,
    /// What its subject must be called.
    name: Option<HostPattern>,
}

/// A key out of a set.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "Jwks")]
struct WrittenJwks {
    /// The address of the set.
    url: String,
    /// Where the id of the key is.
    kid: Option<Place>,
}

impl TryFrom<WrittenPublicKey> for PublicKey {
    type Error = String;

    fn try_from(written: WrittenPublicKey) -> Result<Self, String> {
        let WrittenPublicKey { secret, default, prefix, certificate, jwks } = written;
        if certificate.is_none() && jwks.is_none() {
            let secret = secret.unwrap_or_else(|| PUBLIC_KEY.into());
            return Ok(Self::Given { secret, default, prefix });
        }
        if secret.is_some() || default.is_some() || !prefix.is_empty() {
            return Err("`secret`, `default` and `prefix` are for a key that is given".into());
        }
        one_of([
            (
                "certificate",
                certificate.map(|it| {
                    Ok(Self::Certificate { url: it.url, hosts: it.hosts.into(), name: it.name })
                }),
            ),
            (
                "jwks",
                jwks.map(|it| https(&it.url).map(|()| Self::Jwks { url: it.url, kid: it.kid })),
            ),
        ])?
    }
}

/// Whether a set of keys may stand there.
pub(super) fn https(address: &str) -> Result<(), String> {
    match url::Url::parse(address) {
        Ok(url) if url.scheme() == "https" && url.host_str().is_some() => Ok(()),
        _ => Err(format!("`{address}` should be an `https://` address")),
    }
}

super::one_of::text_list_or_object! {
    PublicKey: "the name of a secret, or `{ secret: …, default: … }`, `{ certificate: … }`, `{ jwks: … }`",
    text: |text: &str| Ok::<_, String>(PublicKey::Given {
        secret: text.into(),
        default: None,
        prefix: String::new(),
    }),
    object: WrittenPublicKey => PublicKey::try_from,
}

/// A host, or all those below one: `*.paypal.com`.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(try_from = "String")]
pub struct HostPattern(String);

impl TryFrom<String> for HostPattern {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        let name = text.strip_prefix("*.").unwrap_or(&text);
        let fits = |letter: char| letter.is_ascii_lowercase() || letter.is_ascii_digit();
        let good = name.contains('.')
            && !name.starts_with(['.', '-'])
            && !name.ends_with(['.', '-'])
            && name.chars().all(|letter| fits(letter) || letter == '.' || letter == '-');
        if good { Ok(Self(text)) } else { Err(format!("`{text}` is not the name of a host")) }
    }
}

impl HostPattern {
    /// Whether `host` is one of these; in any case, with or without the dot at the end.
    pub fn matches(&self, host: &str) -> bool {
        let host = host.to_ascii_lowercase();
        match self.0.strip_prefix("*.") {
            None => host == self.0,
            Some(parent) => host
                .strip_suffix(parent)
                .and_then(|rest| rest.strip_suffix('.'))
                .is_some_and(|label| !label.is_empty()),
        }
    }

    /// As it is written.
    pub fn text(&self) -> &str {
        &self.0
    }
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
    /// Whether a request may come without it.
    pub optional: bool,
}

/// Where the time of a signature is.
#[derive(Debug, Clone, PartialEq)]
pub enum TimeAt {
    /// In this item of the signature's list.
    Item(String),
    /// At this place. A body is read only after its signature was found right.
    Place(Place),
}

impl TimeAt {
    /// The place, where it is one.
    pub fn place(&self) -> Option<&Place> {
        match self {
            Self::Item(_) => None,
            Self::Place(place) => Some(place),
        }
    }
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
    /// A date: RFC 3339, or that of mail and of HTTP.
    Date,
}

/// The written form of [`SignedAt`].
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "SignedAt")]
pub(crate) struct WrittenSignedAt {
    /// In this header.
    header: Option<String>,
    /// In this query parameter.
    query: Option<String>,
    /// In this field of a form.
    field: Option<String>,
    /// At this place in a JSON body; beside `field`, in the JSON of that field.
    path: Option<Path>,
    /// In this item of the signature's list.
    item: Option<String>,
    /// How it is written.
    #[serde(default)]
    unit: TimeUnit,
    /// How far it may be from now.
    tolerance: Span,
    /// Whether a request may come without it, as where only some events say when they happened.
    #[serde(default)]
    optional: bool,
}

impl TryFrom<WrittenSignedAt> for SignedAt {
    type Error = String;

    fn try_from(written: WrittenSignedAt) -> Result<Self, String> {
        let WrittenSignedAt { header, query, field, path, item, unit, tolerance, optional } =
            written;
        let at = match item {
            Some(_) if header.is_some() || query.is_some() || field.is_some() || path.is_some() => {
                return Err("`item` stands alone".into());
            }
            // A list without it is none of this sender's.
            Some(_) if optional => return Err("an `item` is never `optional`".into()),
            Some(item) => TimeAt::Item(item),
            None if header.is_none() && query.is_none() && field.is_none() && path.is_none() => {
                return Err("expected one of `header`, `query`, `field`, `path`, `item`".into());
            }
            None => TimeAt::Place(Place::written(header, query, field, path)?),
        };
        Ok(Self { at, unit, tolerance, optional })
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
