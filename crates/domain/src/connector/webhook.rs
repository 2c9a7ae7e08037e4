//! Webhooks: how a sender proves itself, what a request says, and what it is answered.

use indexmap::IndexMap;
use schemars::JsonSchema;
use serde::Deserialize;

use super::field::{Field, Fields, FormField};
use super::one_of::OneOrMany;
use super::one_of::one_of;
use super::span::Span;
use super::verify::Verify;
use crate::expression::Expression;

/// How webhooks of a sender are received.
#[derive(Debug, Clone, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Webhooks {
    /// How a request is proved.
    pub verify: Verify,
    /// What the user has to copy for an inbox; a signing secret where this is not given.
    #[serde(default)]
    pub secrets: Fields,
    /// What else has to be known for an inbox.
    #[serde(default)]
    pub settings: Fields,
    /// What is answered before anything is verified or stored.
    #[serde(default)]
    pub handshake: Option<Handshake>,
    /// What the event is, where the body is not it.
    #[serde(default)]
    pub envelope: Envelope,
    /// What makes a repeat recognisable. Without it, every request is an event.
    #[serde(default)]
    pub dedupe: Option<Dedupe>,
    /// The sender's word for what happened.
    #[serde(default, rename = "type")]
    pub event_type: Option<Pick>,
    /// The sender's own id for it; the dedupe key's text where this is not given.
    #[serde(default)]
    pub id: Option<Pick>,
    /// When it happened.
    #[serde(default)]
    pub time: Option<Pick>,
    /// Whose event it is.
    #[serde(default)]
    pub account: Option<Pick>,
    /// What a row of the log says.
    #[serde(default)]
    pub title: ByType<Expression>,
    /// Which thing, and which version of it, an event speaks of.
    #[serde(default)]
    pub about: ByType<AboutRule>,
    /// What a sender is answered.
    #[serde(default)]
    pub answer: AnswerRule,
    /// When a sender stops trying.
    #[serde(default)]
    pub gives_up: Option<GivesUp>,
    /// What can be subscribed to.
    #[serde(default)]
    pub topics: Vec<String>,
}

impl Webhooks {
    /// The secrets that an inbox needs, as a form shows them.
    pub fn secret_fields(&self) -> Vec<FormField> {
        let mut fields: Vec<_> = form(&self.secrets, true);
        if let Some(name) = self.verify.secret()
            && !self.secrets.contains_key(name)
        {
            let field = Field::titled("Signing secret", "The sender shows it with the webhook.");
            fields.push(FormField { name: name.into(), field, secret: true });
        }
        fields
    }

    /// What else an inbox needs, as a form shows it.
    pub fn setting_fields(&self) -> Vec<FormField> {
        form(&self.settings, false)
    }

    /// Whether requests are proved at all.
    pub fn signed(&self) -> bool {
        self.verify != Verify::None
    }
}

pub(super) fn form(fields: &Fields, secret: bool) -> Vec<FormField> {
    fields
        .iter()
        .map(|(name, field)| FormField { name: name.clone(), field: field.clone(), secret })
        .collect()
}

/// A value of a request: `{ header: x-topic }`, or an expression over the body.
#[derive(Debug, Clone, PartialEq)]
pub enum Pick {
    /// The first of these headers that is there.
    Header(Vec<String>),
    /// An expression over the event.
    Body(Expression),
}

/// What makes a repeat recognisable.
#[derive(Debug, Clone, PartialEq)]
pub enum Dedupe {
    /// The first of these headers that is there.
    Header(Vec<String>),
    /// Expressions over the event, together.
    Body(Vec<Expression>),
    /// The body itself, for so long: a sender without ids may say the same twice and mean it.
    Digest {
        /// For how long a repeat is taken for one.
        within: Span,
    },
}

/// Keys of [`Pick`] and [`Dedupe`] when they are objects.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "PickHeader")]
pub(super) struct WrittenPick {
    /// A header, or several of which the first that is there counts.
    header: OneOrMany<String>,
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "DedupeObject")]
pub(super) struct WrittenDedupe {
    /// A header, or several of which the first that is there counts.
    header: Option<OneOrMany<String>>,
    /// The body itself, for so long.
    digest: Option<WrittenDigest>,
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "Digest")]
struct WrittenDigest {
    /// For how long a repeat is taken for one.
    within: Span,
}

impl TryFrom<WrittenDedupe> for Dedupe {
    type Error = String;

    fn try_from(written: WrittenDedupe) -> Result<Self, String> {
        one_of([
            ("header", written.header.map(|names| Self::Header(lower(names)))),
            ("digest", written.digest.map(|digest| Self::Digest { within: digest.within })),
        ])
    }
}

/// Header names are compared in lower case everywhere.
fn lower(names: OneOrMany<String>) -> Vec<String> {
    Vec::from(names).iter().map(|name| name.to_ascii_lowercase()).collect()
}

super::one_of::text_list_or_object! {
    Pick: "an expression or `{ header: … }`",
    text: |text| Expression::compile(text).map(Pick::Body),
    object: WrittenPick => |written: WrittenPick| Ok::<_, String>(Pick::Header(lower(written.header))),
}

super::one_of::text_list_or_object! {
    Dedupe: "an expression, a list of expressions, `{ header: … }` or `{ digest: { within: … } }`",
    text: |text| Expression::compile(text).map(|one| Dedupe::Body(vec![one])),
    list: |texts: Vec<String>| {
        texts.iter().map(|text| Expression::compile(text)).collect::<Result<_, _>>().map(Dedupe::Body)
    },
    object: WrittenDedupe => Dedupe::try_from,
}

/// One value for all types of event, or one for each; `'*'` is for those that are not named.
#[derive(Debug, Clone, PartialEq)]
pub struct ByType<T>(IndexMap<String, T>);

impl<T> Default for ByType<T> {
    fn default() -> Self {
        Self(IndexMap::new())
    }
}

impl<T> ByType<T> {
    /// What is said for this type.
    pub fn get(&self, event_type: &str) -> Option<&T> {
        self.0.get(event_type).or_else(|| self.0.get("*"))
    }

    /// All of them.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &T)> {
        self.0.iter().map(|(name, value)| (name.as_str(), value))
    }
}

super::one_of::text_list_or_object! {
    ByType<Expression>: "an expression, or expressions by type of event",
    text: |text| Expression::compile(text).map(|one| ByType(IndexMap::from([("*".into(), one)]))),
    object: IndexMap<String, Expression> => |map| Ok::<_, String>(ByType(map)),
}

impl<'de> Deserialize<'de> for ByType<AboutRule> {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        IndexMap::deserialize(deserializer).map(Self)
    }
}

impl JsonSchema for ByType<AboutRule> {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "AboutByType".into()
    }

    fn json_schema(generator: &mut schemars::SchemaGenerator) -> schemars::Schema {
        IndexMap::<String, AboutRule>::json_schema(generator)
    }
}

/// Which thing, and which version of it, an event speaks of.
#[derive(Debug, Clone, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct AboutRule {
    /// The stream in which the thing is.
    pub stream: String,
    /// Its key there, over the event; as many expressions as the stream's key has.
    #[serde(deserialize_with = "one_or_many")]
    #[schemars(with = "OneOrMany<Expression>")]
    pub key: Vec<Expression>,
    /// Which version.
    #[serde(default)]
    pub version: Option<Expression>,
}

fn one_or_many<'de, D: serde::Deserializer<'de>>(
    deserializer: D,
) -> Result<Vec<Expression>, D::Error> {
    OneOrMany::deserialize(deserializer).map(Vec::from)
}

/// What the event is, where the body is not it.
#[derive(Debug, Clone, PartialEq, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Envelope {
    /// The body is JSON, and the event; where it is a form, its fields are.
    #[default]
    Body,
    /// The body is a form, and one field of it is JSON, and the event.
    FormField(String),
}

/// What is answered before anything is verified or stored.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(try_from = "WrittenHandshake")]
pub struct Handshake {
    /// For which POST requests, over the body; all where it is not given.
    pub when: Option<Expression>,
    /// What is answered.
    pub reply: Reply,
}

/// What a handshake is answered with.
#[derive(Debug, Clone, PartialEq)]
pub enum Reply {
    /// This value of the body, as plain text.
    Echo(Expression),
    /// This value of the body, as JSON.
    EchoJson(Expression),
    /// Nothing, with the good status; also for HEAD.
    Ok,
}

/// The written form of a [`Handshake`].
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "Handshake")]
pub(crate) struct WrittenHandshake {
    /// For which requests, over the body.
    when: Option<Expression>,
    /// Answer this value of the body, as plain text.
    echo: Option<Expression>,
    /// Answer this value of the body, as JSON.
    echo_json: Option<Expression>,
    /// Answer nothing, with the good status: `ok: true`.
    ok: Option<bool>,
}

impl TryFrom<WrittenHandshake> for Handshake {
    type Error = String;

    fn try_from(written: WrittenHandshake) -> Result<Self, String> {
        let reply = one_of([
            ("echo", written.echo.map(Reply::Echo)),
            ("echo_json", written.echo_json.map(Reply::EchoJson)),
            ("ok", written.ok.filter(|ok| *ok).map(|_| Reply::Ok)),
        ])?;
        Ok(Self { when: written.when, reply })
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

/// What a sender is answered.
#[derive(Debug, Clone, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct AnswerRule {
    /// How long a sender waits.
    #[serde(default = "ten_seconds")]
    pub within: Span,
    /// The status for what is stored.
    #[serde(default = "ok")]
    pub status: u16,
    /// The body for what is stored.
    #[serde(default)]
    pub body: String,
    /// What kind of text that body is.
    #[serde(default)]
    pub content_type: Option<String>,
    /// The status for what is not proved.
    #[serde(default = "unauthorized")]
    pub refused: u16,
    /// The status for what there is no room for: one after which the sender tries again.
    #[serde(default = "unavailable")]
    pub overload: u16,
}

impl Default for AnswerRule {
    fn default() -> Self {
        Self {
            within: ten_seconds(),
            status: ok(),
            body: String::new(),
            content_type: None,
            refused: unauthorized(),
            overload: unavailable(),
        }
    }
}

const fn ten_seconds() -> Span {
    Span::seconds(10)
}

const fn ok() -> u16 {
    200
}

const fn unauthorized() -> u16 {
    401
}

const fn unavailable() -> u16 {
    503
}

/// When a sender stops trying.
#[derive(Debug, Clone, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct GivesUp {
    /// After how many tries.
    #[serde(default)]
    pub tries: Option<u32>,
    /// Over how long.
    #[serde(default)]
    pub over: Option<Span>,
    /// And what happens then.
    #[serde(default)]
    pub then: Option<String>,
}
