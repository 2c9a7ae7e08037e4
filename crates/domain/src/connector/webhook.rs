//! Webhooks: how a sender proves itself, what a request says, and what it is answered.

use std::collections::BTreeMap;

use indexmap::IndexMap;
use schemars::JsonSchema;
use serde::Deserialize;

use super::field::{Field, Fields, FormField};
use super::handshake::Handshake;
use super::one_of::OneOrMany;
use super::one_of::one_of;
use super::own;
use super::pattern::Pattern;
use super::signed::Place;
use super::span::Span;
use super::verify::{PUBLIC_KEY, Rule, SIGNING_SECRET, TokenAt, Verify};
use crate::expression::Expression;
use crate::template::Template;

/// How webhooks of a sender are received.
#[derive(Debug, Clone, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Webhooks {
    /// How a request is proved.
    pub verify: Verify,
    /// With which methods events come: POST where nothing else is said.
    #[serde(default = "post")]
    pub methods: Vec<EventMethod>,
    /// What the user has to copy for an inbox; a signing secret where this is not given.
    #[serde(default)]
    pub secrets: Fields,
    /// What else has to be known for an inbox.
    #[serde(default)]
    pub settings: Fields,
    /// What is answered and not stored: the questions of a sender whether this address is right.
    #[serde(default, deserialize_with = "handshakes")]
    #[schemars(with = "OneOrMany<Handshake>")]
    pub handshake: Vec<Handshake>,
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
    /// The settings that its rules speak of, for checks.
    pub(super) fn used_settings(&self) -> Vec<&str> {
        let mut names = self.verify.settings();
        names.extend(self.handshake.iter().flat_map(Handshake::settings));
        names.extend(self.answer.redirect.as_deref());
        names
    }

    /// The secrets that an inbox needs, as a form shows them. What cannot be a key by the rule that
    /// uses it does not match the field's pattern.
    pub fn secret_fields(&self) -> Vec<FormField> {
        let mut fields: Vec<_> = form(&self.secrets, true);
        let asked = self.handshake.iter().filter_map(Handshake::secret);
        for name in self.verify.secrets().into_iter().chain(asked) {
            if fields.iter().any(|field| field.name == name) {
                continue;
            }
            if self.secrets.contains_key(name) || self.settings.contains_key(name) {
                continue;
            }
            let field = match name {
                PUBLIC_KEY => Field::titled("Public key", "The sender shows it with the webhook."),
                _ => Field::titled("Signing secret", "The sender shows it with the webhook."),
            };
            fields.push(FormField { name: name.into(), field, secret: true });
        }
        // The sender itself says it.
        for field in fields.iter_mut().filter(|field| self.keeps(&field.name)) {
            field.field.optional = true;
        }
        for FormField { name, field, .. } in &mut fields {
            if field.pattern.is_none() {
                let pattern = self.verify.secret_pattern(name);
                field.pattern = pattern.and_then(|pattern| Pattern::new(&pattern).ok());
            }
        }
        fields
    }

    /// The names of secrets that an inbox may have: what it declares, what its rules use, and the
    /// two that programs outside count on.
    pub fn known_secrets(&self) -> Vec<&str> {
        let mut names: Vec<_> = self.secrets.keys().map(String::as_str).collect();
        names.extend(self.verify.secrets());
        names.extend(self.handshake.iter().filter_map(Handshake::secret));
        names.extend([SIGNING_SECRET, PUBLIC_KEY]);
        names.sort_unstable();
        names.dedup();
        names
    }

    /// The names of settings that an inbox may have. Every inbox has a `public_url`; and a key that
    /// is no secret may stand among the settings.
    pub fn known_settings(&self) -> Vec<&str> {
        let mut names: Vec<_> = self.settings.keys().map(String::as_str).collect();
        names.extend(self.used_settings());
        names.extend(["public_url", SIGNING_SECRET, PUBLIC_KEY]);
        if self.verify.is_own() {
            names.extend(own::SETTINGS);
        }
        names.sort_unstable();
        names.dedup();
        names
    }

    /// Whether the sender says this secret in a handshake.
    fn keeps(&self, name: &str) -> bool {
        self.handshake.iter().any(|handshake| handshake.keeps() == Some(name))
    }

    /// What else an inbox needs, as a form shows it.
    pub fn setting_fields(&self) -> Vec<FormField> {
        form(&self.settings, false)
    }

    /// `settings` with the values that stand for those that nobody filled in.
    pub fn filled(&self, mut settings: BTreeMap<String, String>) -> BTreeMap<String, String> {
        for (name, field) in &self.settings {
            let given = settings.get(name).is_some_and(|value| !value.is_empty());
            if let (false, Some(default)) = (given, &field.default) {
                settings.insert(name.clone(), default.clone());
            }
        }
        settings
    }

    /// Whether requests to every inbox are proved.
    pub fn signed(&self) -> bool {
        self.verify.signed()
    }

    /// Whether requests to an inbox with these settings are proved.
    pub fn signed_with(&self, settings: &BTreeMap<String, String>) -> bool {
        if self.verify.is_own() {
            return own::is_signed(&self.filled(settings.clone()));
        }
        self.signed()
    }

    /// Looks whether the settings of an inbox describe a rule, where they have to.
    ///
    /// # Errors
    ///
    /// The first that says something that no rule could.
    pub fn check_settings(&self, settings: &BTreeMap<String, String>) -> Result<(), own::Mistake> {
        if self.verify.is_own() {
            own::rule(&self.filled(settings.clone()))?;
        }
        Ok(())
    }

    /// The headers in which the secret of an inbox with these settings comes as it is, in lower
    /// case: also those in which a sender says it, and a token that is good for any body.
    pub fn token_headers(&self, settings: &BTreeMap<String, String>) -> Vec<String> {
        let own = self.verify.is_own().then(|| own::rule(&self.filled(settings.clone())).ok());
        let written = self.verify.schemes.iter().map(|scheme| &scheme.rule);
        let rules = written.chain(own.as_ref().into_iter().flatten());
        let tokens = rules.filter_map(|rule| match rule {
            Rule::TokenEqual(rule) => Some(&rule.at),
            Rule::Jwt(rule) if rule.sha256.is_empty() => Some(&rule.at),
            _ => None,
        });
        let said = self.handshake.iter().flat_map(Handshake::said_in);
        let said = said.map(str::to_ascii_lowercase);
        tokens
            .flatten()
            .filter_map(|at| match at {
                TokenAt::Place { place: Place::Header(name), .. } => {
                    Some(name.to_ascii_lowercase())
                }
                _ => None,
            })
            .chain(said)
            .collect()
    }

    /// The secrets that an inbox with these settings cannot do without.
    pub fn needed_secrets(&self, settings: &BTreeMap<String, String>) -> Vec<FormField> {
        let own = self.verify.is_own();
        let asked = own && self.signed_with(settings);
        let mut fields = self.secret_fields();
        fields.retain(|field| if own { asked } else { field.field.problem(None).is_some() });
        fields
    }
}

/// A method with which events come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum EventMethod {
    /// POST.
    Post,
    /// GET, where the query is the event.
    Get,
    /// PUT.
    Put,
    /// PATCH.
    Patch,
    /// DELETE.
    Delete,
}

impl EventMethod {
    /// As it stands in a request.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Post => "POST",
            Self::Get => "GET",
            Self::Put => "PUT",
            Self::Patch => "PATCH",
            Self::Delete => "DELETE",
        }
    }
}

fn post() -> Vec<EventMethod> {
    vec![EventMethod::Post]
}

pub(super) fn form(fields: &Fields, secret: bool) -> Vec<FormField> {
    fields
        .iter()
        .map(|(name, field)| FormField { name: name.clone(), field: field.clone(), secret })
        .collect()
}

fn handshakes<'de, D: serde::Deserializer<'de>>(
    deserializer: D,
) -> Result<Vec<Handshake>, D::Error> {
    OneOrMany::deserialize(deserializer).map(Vec::from)
}

/// A value of a request: `{ header: x-topic }`, an expression over the event, or several of them.
#[derive(Debug, Clone, PartialEq)]
pub enum Pick {
    /// The first of these headers that is there.
    Header(Vec<String>),
    /// This parameter of the query.
    Query(String),
    /// This field of a form, whatever the envelope is.
    Field(String),
    /// An expression over the event.
    Body(Expression),
    /// All of these that are there, with a dot between them.
    Joined(Vec<Pick>),
}

impl Pick {
    /// The names of the headers that it speaks of.
    pub(super) fn headers(&self) -> Vec<&str> {
        match self {
            Self::Header(names) => names.iter().map(String::as_str).collect(),
            Self::Joined(picks) => picks.iter().flat_map(Self::headers).collect(),
            Self::Query(_) | Self::Field(_) | Self::Body(_) => Vec::new(),
        }
    }
}

/// What makes a repeat recognisable.
#[derive(Debug, Clone, PartialEq)]
pub enum Dedupe {
    /// These values together; all of them are needed.
    Parts(Vec<Pick>),
    /// The event itself, for so long: a sender without ids may say the same twice and mean it.
    Digest {
        /// For how long a repeat is taken for one.
        within: Span,
    },
    /// The first of these that gives a key.
    FirstOf(Vec<Dedupe>),
}

impl Dedupe {
    /// The names of the headers that it speaks of.
    pub(super) fn headers(&self) -> Vec<&str> {
        match self {
            Self::Parts(picks) => picks.iter().flat_map(Pick::headers).collect(),
            Self::Digest { .. } => Vec::new(),
            Self::FirstOf(rules) => rules.iter().flat_map(Self::headers).collect(),
        }
    }
}

/// Keys of a [`Pick`] when it is an object.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "PickObject")]
pub(super) struct WrittenPick {
    /// A header, or several of which the first that is there counts.
    header: Option<OneOrMany<String>>,
    /// A parameter of the query.
    query: Option<String>,
    /// A field of a form.
    field: Option<String>,
}

impl TryFrom<WrittenPick> for Pick {
    type Error = String;

    fn try_from(written: WrittenPick) -> Result<Self, String> {
        one_of([
            ("header", written.header.map(|names| Self::Header(lower(names)))),
            ("query", written.query.map(Self::Query)),
            ("field", written.field.map(Self::Field)),
        ])
    }
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "DedupeObject")]
pub(super) struct WrittenDedupe {
    /// A header, or several of which the first that is there counts.
    header: Option<OneOrMany<String>>,
    /// A parameter of the query.
    query: Option<String>,
    /// A field of a form.
    field: Option<String>,
    /// The event itself, for so long.
    digest: Option<WrittenDigest>,
    /// The first of these that gives a key.
    first_of: Option<Vec<Dedupe>>,
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
        let one = |pick| Self::Parts(vec![pick]);
        one_of([
            ("header", written.header.map(|names| one(Pick::Header(lower(names))))),
            ("query", written.query.map(|name| one(Pick::Query(name)))),
            ("field", written.field.map(|name| one(Pick::Field(name)))),
            ("digest", written.digest.map(|digest| Self::Digest { within: digest.within })),
            ("first_of", written.first_of.map(Self::FirstOf)),
        ])
    }
}

/// Header names are compared in lower case everywhere.
fn lower(names: OneOrMany<String>) -> Vec<String> {
    Vec::from(names).iter().map(|name| name.to_ascii_lowercase()).collect()
}

super::one_of::text_list_or_object! {
    Pick: "an expression, `{ header: … }`, `{ query: … }`, `{ field: … }`, or a list of them",
    text: |text| Expression::compile(text).map(Pick::Body),
    list: Pick => |picks| Ok::<_, String>(Pick::Joined(picks)),
    object: WrittenPick => Pick::try_from,
}

super::one_of::text_list_or_object! {
    Dedupe: "an expression, a list, `{ header: … }`, `{ digest: { within: … } }` or `{ first_of: … }`",
    text: |text| Expression::compile(text).map(|one| Dedupe::Parts(vec![Pick::Body(one)])),
    list: Pick => |picks| Ok::<_, String>(Dedupe::Parts(picks)),
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

/// What the event is, where the body is not it; and where there are several events in a body.
#[derive(Debug, Clone, PartialEq, Default)]
pub enum Envelope {
    /// The body is the event: JSON, the fields of a form, or XML.
    #[default]
    Body,
    /// The body is a form, and one field of it is JSON, and the event. A body that is no form is
    /// the event itself.
    FormField(String),
    /// What this yields over the body are the events: each of an array, or the one thing.
    Items(Expression),
    /// A SOAP message.
    Soap {
        /// The events in its body.
        items: Expression,
        /// What they have in common: it stands in each as `shared`.
        shared: Option<Expression>,
    },
    /// CloudEvents over HTTP: one in headers and body, one as JSON, or several.
    CloudEvents,
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "EnvelopeObject")]
pub(super) struct WrittenEnvelope {
    /// The body is a form, and this field of it is JSON, and the event.
    form_field: Option<String>,
    /// What this yields over the body are the events: each of an array, or the one thing.
    items: Option<Expression>,
    /// A SOAP message.
    soap: Option<WrittenSoap>,
}

/// A SOAP message.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "Soap")]
struct WrittenSoap {
    /// The events in its body: `.notifications.Notification`.
    items: Expression,
    /// What they have in common: it stands in each as `shared`.
    shared: Option<Expression>,
}

impl TryFrom<WrittenEnvelope> for Envelope {
    type Error = String;

    fn try_from(written: WrittenEnvelope) -> Result<Self, String> {
        one_of([
            ("form_field", written.form_field.map(Self::FormField)),
            ("items", written.items.map(Self::Items)),
            (
                "soap",
                written.soap.map(|soap| Self::Soap { items: soap.items, shared: soap.shared }),
            ),
        ])
    }
}

super::one_of::text_list_or_object! {
    Envelope: "`body`, `array`, `cloudevents`, or `{ form_field: … }`, `{ items: … }`, `{ soap: … }`",
    words: ["body", "array", "cloudevents"],
    text: |text: &str| match text {
        "body" => Ok(Envelope::Body),
        "array" => Expression::compile(".").map(Envelope::Items).map_err(|error| error.to_string()),
        "cloudevents" => Ok(Envelope::CloudEvents),
        other => Err(format!(
            "unknown word `{other}`, expected one of `body`, `array`, `cloudevents`, or \
             `{{ form_field: … }}`, `{{ items: … }}`, `{{ soap: … }}`"
        )),
    },
    object: WrittenEnvelope => Envelope::try_from,
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
    /// Headers for what is stored, over `settings`.
    #[serde(default)]
    pub headers: IndexMap<String, Template>,
    /// Other answers, for requests whose first event is of some kind: the first that fits.
    #[serde(default)]
    pub or: Vec<OtherAnswer>,
    /// The setting with the address to which a browser that sent a form is led on.
    #[serde(default)]
    pub redirect: Option<String>,
    /// The status for what is not proved.
    #[serde(default = "unauthorized")]
    pub refused: u16,
    /// The status for what there is no room for: one after which the sender tries again.
    #[serde(default = "unavailable")]
    pub overload: u16,
    /// When a sender for whom there was no room should try again.
    #[serde(default = "five_seconds")]
    pub retry_after: Span,
}

/// What requests of some kind are answered once they are stored.
#[derive(Debug, Clone, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct OtherAnswer {
    /// Which: an expression over the first event.
    pub when: Expression,
    /// The status; that of `answer` where it is not given.
    #[serde(default)]
    pub status: Option<u16>,
    /// The body.
    #[serde(default)]
    pub body: String,
    /// The body as JSON, in place of `body`.
    #[serde(default)]
    pub json: Option<serde_json::Value>,
    /// What kind of text the body is; JSON where `json` is given.
    #[serde(default)]
    pub content_type: Option<String>,
}

impl Default for AnswerRule {
    fn default() -> Self {
        Self {
            within: ten_seconds(),
            status: ok(),
            body: String::new(),
            content_type: None,
            headers: IndexMap::new(),
            or: Vec::new(),
            redirect: None,
            refused: unauthorized(),
            overload: unavailable(),
            retry_after: five_seconds(),
        }
    }
}

const fn ten_seconds() -> Span {
    Span::seconds(10)
}

const fn five_seconds() -> Span {
    Span::seconds(5)
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
