//! Reconciling: what a sender can be asked afterwards, to find what did not arrive.

use schemars::JsonSchema;
use serde::Deserialize;

use super::call::Ask;
use super::one_of::one_of;
use super::span::Span;
use crate::expression::Expression;
use crate::template::Template;
use indexmap::IndexMap;

/// One source, and how far it looks back. A connector lists them best first.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(try_from = "WrittenSource")]
pub struct ReconcileSource {
    /// What is asked.
    pub by: ReconcileBy,
    /// How far it looks back.
    pub look_back: LookBack,
}

/// What is asked.
#[derive(Debug, Clone, PartialEq)]
pub enum ReconcileBy {
    /// A stream of events, each as its webhook carries it.
    EventLog(Box<EventLog>),
    /// A list of what was sent to us, and with which result.
    DeliveryLog(Box<DeliveryLog>),
    /// A connection of ours that can be told to begin earlier.
    ReplayStream(String),
    /// Records by when they changed.
    Updated(Vec<String>),
    /// Records by their version.
    Version(Vec<String>),
    /// All records, compared with those that are here.
    FullSweep(Vec<String>),
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "ReconcileSource")]
pub(crate) struct WrittenSource {
    /// A stream of events, each as its webhook carries it.
    event_log: Option<Box<EventLog>>,
    /// A list of what was sent to us, and with which result.
    delivery_log: Option<Box<DeliveryLog>>,
    /// The socket that can be told to begin earlier.
    replay_stream: Option<String>,
    /// The streams that are asked for what changed.
    updated: Option<super::one_of::OneOrMany<String>>,
    /// The streams that are asked for what has a higher version.
    version: Option<super::one_of::OneOrMany<String>>,
    /// The streams that are read in full and compared.
    full_sweep: Option<super::one_of::OneOrMany<String>>,
    /// How far it looks back: a span, or `unlimited`.
    #[serde(default)]
    look_back: LookBack,
}

impl TryFrom<WrittenSource> for ReconcileSource {
    type Error = String;

    fn try_from(written: WrittenSource) -> Result<Self, String> {
        let by = one_of([
            ("event_log", written.event_log.map(ReconcileBy::EventLog)),
            ("delivery_log", written.delivery_log.map(ReconcileBy::DeliveryLog)),
            ("replay_stream", written.replay_stream.map(ReconcileBy::ReplayStream)),
            ("updated", written.updated.map(|it| ReconcileBy::Updated(it.into()))),
            ("version", written.version.map(|it| ReconcileBy::Version(it.into()))),
            ("full_sweep", written.full_sweep.map(|it| ReconcileBy::FullSweep(it.into()))),
        ])?;
        Ok(Self { by, look_back: written.look_back })
    }
}

impl JsonSchema for ReconcileSource {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        WrittenSource::schema_name()
    }

    fn json_schema(generator: &mut schemars::SchemaGenerator) -> schemars::Schema {
        WrittenSource::json_schema(generator)
    }
}

/// The sources of a connector: `none`, one, or several, best first.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Reconcile(pub Vec<ReconcileSource>);

impl<'de> Deserialize<'de> for Reconcile {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Visitor;

        impl<'de> serde::de::Visitor<'de> for Visitor {
            type Value = Reconcile;

            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("`none`, a source, or a list of sources")
            }

            fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<Reconcile, E> {
                match text {
                    "none" => Ok(Reconcile::default()),
                    other => Err(E::custom(format!("unknown variant `{other}`, expected none"))),
                }
            }

            fn visit_seq<A: serde::de::SeqAccess<'de>>(
                self,
                items: A,
            ) -> Result<Reconcile, A::Error> {
                let deserializer = serde::de::value::SeqAccessDeserializer::new(items);
                Vec::deserialize(deserializer).map(Reconcile)
            }

            fn visit_map<A: serde::de::MapAccess<'de>>(
                self,
                map: A,
            ) -> Result<Reconcile, A::Error> {
                let deserializer = serde::de::value::MapAccessDeserializer::new(map);
                ReconcileSource::deserialize(deserializer).map(|source| Reconcile(vec![source]))
            }
        }

        deserializer.deserialize_any(Visitor)
    }
}

impl JsonSchema for Reconcile {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Reconcile".into()
    }

    fn json_schema(generator: &mut schemars::SchemaGenerator) -> schemars::Schema {
        let one = generator.subschema_for::<ReconcileSource>();
        schemars::json_schema!({
            "description": "`none`, a source, or a list of sources, best first",
            "anyOf": [{ "const": "none" }, one, { "type": "array", "items": one }],
        })
    }
}

/// A stream of events.
#[derive(Debug, Clone, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct EventLog {
    /// Which.
    pub stream: String,
    /// What of a record is the body that the webhook carries; all of it where it is not given.
    #[serde(default)]
    pub event: Option<Expression>,
    /// Where the body that the webhook carried is asked for, where records do not hold it: for
    /// those alone that did not arrive.
    #[serde(default)]
    pub body: Option<EventBody>,
    /// What of a record is the time at which it happened.
    #[serde(default)]
    pub time: Option<Expression>,
    /// Query parameters that leave those that did not arrive.
    #[serde(default)]
    pub failed: IndexMap<String, Template>,
    /// A call that has to be made once before anything is listed.
    #[serde(default)]
    pub enable: Option<Ask>,
    /// A call that has the event `{{ id }}` sent once more.
    #[serde(default)]
    pub resend: Option<Ask>,
}

/// Where the body that a webhook carried is asked for.
#[derive(Debug, Clone, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct EventBody {
    /// Asks for it, by `{{ id }}`, the id of the event.
    pub call: Ask,
    /// What of the answer it is. A text is the body as it stands.
    pub at: Expression,
}

/// A list of what was sent to us. Texts may use `hook.id`, the id of the registration.
#[derive(Debug, Clone, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct DeliveryLog {
    /// Asks for the list.
    pub list: Ask,
    /// Where the entries are in an answer.
    pub items: Expression,
    /// How the next page is found.
    #[serde(default)]
    pub page: Option<super::Paging>,
    /// The id of an entry.
    pub id: Expression,
    /// What tells what was sent apart, as `webhooks.dedupe` has it.
    pub key: Expression,
    /// When it was sent, as RFC 3339, a date of HTTP, or a number since 1970. A list without it
    /// is read from its beginning, which is taken for the newest.
    #[serde(default)]
    pub time: Option<Expression>,
    /// Whether it was taken.
    pub ok: Expression,
    /// A call that has `{{ id }}` sent once more.
    #[serde(default)]
    pub redeliver: Option<Ask>,
}

/// How far a source looks back.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(try_from = "String")]
pub enum LookBack {
    /// So far.
    For(Span),
    /// To the beginning.
    #[default]
    Unlimited,
}

impl TryFrom<String> for LookBack {
    type Error = super::SpanError;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        match text.as_str() {
            "unlimited" => Ok(Self::Unlimited),
            span => span.parse().map(Self::For),
        }
    }
}

impl JsonSchema for LookBack {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "LookBack".into()
    }

    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({
            "type": "string",
            "pattern": "^(unlimited|[0-9]{1,10}(ms|s|m|h|d))$",
            "description": "A length of time, or `unlimited`",
        })
    }
}
