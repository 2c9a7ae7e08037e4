//! Limits: how often an API may be called, how it says how much is left, and how it says no.
//!
//! Everything that is given holds at once. What answers say is believed over what stands here, so
//! numbers that a provider may change (a plan, a region) are where a connection begins and not where
//! it ends. What an answer says is read by [`crate::budget`].

use indexmap::IndexMap;
use schemars::JsonSchema;
use serde::Deserialize;

use super::one_of::{OneOrMany, one_of, text_list_or_object};
use super::span::Span;
use crate::expression::Expression;
use crate::template::Template;

/// How often an API may be called.
#[derive(Debug, Clone, PartialEq, Default, Deserialize)]
#[serde(try_from = "WrittenLimit")]
pub struct Limit {
    /// What we keep to by ourselves: all of them hold, for all calls.
    pub buckets: Vec<Bucket>,
    /// What we keep to for some calls, by what is called: `chat.postMessage`, `POST /rates`,
    /// `/incremental/*`. The first that fits holds, `default` for the rest.
    pub tiers: IndexMap<String, Tier>,
    /// How many calls may be under way at once.
    pub concurrency: Option<Size>,
    /// Windows that answers tell of in headers.
    pub headers: Vec<LimitHeaders>,
    /// A bucket that answers tell of as `used/size`.
    pub used: Vec<Used>,
    /// A budget of points that answers tell of in the body.
    pub cost_in_body: Option<CostInBody>,
    /// Where an answer that was too much says how long to wait.
    pub retry_after: RetryAfter,
    /// Which answers mean that it was too much.
    pub over: Vec<Answered>,
    /// How many calls may be refused before we stop by ourselves: some ban whoever goes on.
    pub refusals: Option<Refusals>,
}

/// The written form of a [`Limit`].
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "Limit")]
pub(crate) struct WrittenLimit {
    /// What we keep to by ourselves: all of them hold, for all calls.
    #[serde(default)]
    buckets: Vec<Bucket>,
    /// What we keep to for some calls, by what is called.
    #[serde(default)]
    tiers: IndexMap<String, Tier>,
    /// How many calls may be under way at once.
    concurrency: Option<Size>,
    /// Windows that answers tell of in headers: one or several.
    headers: Option<OneOrMany<LimitHeaders>>,
    /// A bucket that answers tell of as `used/size`: one or several.
    used: Option<OneOrMany<Used>>,
    /// A budget of points that answers tell of in the body.
    cost_in_body: Option<WrittenCost>,
    /// Where an answer that was too much says how long to wait.
    #[serde(default)]
    retry_after: RetryAfter,
    /// Which answers mean that it was too much: one or several; status 429 where it is not given.
    over: Option<OneOrMany<Answered>>,
    /// How many calls may be refused before we stop by ourselves.
    refusals: Option<Refusals>,
}

impl TryFrom<WrittenLimit> for Limit {
    type Error = String;

    fn try_from(written: WrittenLimit) -> Result<Self, String> {
        let mut over: Vec<_> = written.over.map(Vec::from).unwrap_or_default();
        let cost_in_body = written.cost_in_body.map(|cost| {
            over.extend(cost.over.map(Vec::from).unwrap_or_default());
            CostInBody {
                at: cost.at,
                size: cost.size,
                left: cost.left,
                restore: cost.restore,
                cost: cost.cost,
            }
        });
        Ok(Self {
            buckets: written.buckets,
            tiers: written.tiers,
            concurrency: written.concurrency,
            headers: written.headers.map(Vec::from).unwrap_or_default(),
            used: written.used.map(Vec::from).unwrap_or_default(),
            cost_in_body,
            retry_after: written.retry_after,
            over,
            refusals: written.refusals,
        })
    }
}

impl JsonSchema for Limit {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        WrittenLimit::schema_name()
    }

    fn json_schema(generator: &mut schemars::SchemaGenerator) -> schemars::Schema {
        WrittenLimit::json_schema(generator)
    }
}

impl Limit {
    /// The answers that mean that it was too much: those that are named, and always 429.
    pub fn over(&self) -> impl Iterator<Item = &Answered> {
        const TOO_MANY: &Answered =
            &Answered { status: Some(429), codes: Vec::new(), headers: Vec::new() };
        self.over.iter().chain(std::iter::once(TOO_MANY))
    }
}

/// So many calls in so much time.
#[derive(Debug, Clone, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Bucket {
    /// How many.
    pub size: Size,
    /// In how long.
    pub per: Span,
}

/// So many calls in so much time, of one kind.
#[derive(Debug, Clone, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Tier {
    /// How many.
    pub size: Size,
    /// In how long.
    pub per: Span,
    /// What has a bucket of its own: each `path`, or each value of an expression over what the
    /// call carries, such as `.channel`. All share one where it is not given.
    #[serde(default)]
    pub by: Option<TierBy>,
}

/// What has a bucket of its own.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(try_from = "String")]
pub enum TierBy {
    /// Each path.
    Path,
    /// Each value of an expression over what the call carries.
    Value(Expression),
}

impl TryFrom<String> for TierBy {
    type Error = crate::expression::CompileError;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        match text.as_str() {
            "path" => Ok(Self::Path),
            text => Expression::compile(text).map(Self::Value),
        }
    }
}

impl JsonSchema for TierBy {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "TierBy".into()
    }

    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({
            "type": "string",
            "description": "`path`, or an expression over what the call carries",
        })
    }
}

/// A number, or a text that gives one: `"{{ 300 * settings.registers + 50 }}"`.
#[derive(Debug, Clone, PartialEq)]
pub enum Size {
    /// A number of calls.
    Number(u32),
    /// Depends on settings.
    Text(Template),
}

impl Size {
    /// The number of calls, at least 1.
    ///
    /// # Errors
    ///
    /// When the text gives no number.
    pub fn get(&self, values: &serde_json::Value) -> Result<u32, crate::template::Error> {
        match self {
            Self::Number(number) => Ok((*number).max(1)),
            Self::Text(text) => {
                let rendered = text.render(crate::template::Place::Text, values)?;
                let number: f64 = rendered.trim().parse().map_err(|_| {
                    let problem = "it gives no number".into();
                    crate::template::Error::Render { text: text.text().into(), problem }
                })?;
                // A float cast saturates, which is what is wanted of nonsense.
                Ok((number as u32).max(1))
            }
        }
    }
}

impl<'de> Deserialize<'de> for Size {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Visitor;

        impl serde::de::Visitor<'_> for Visitor {
            type Value = Size;

            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("a number, or a text with `{{ … }}` that gives one")
            }

            fn visit_u64<E: serde::de::Error>(self, number: u64) -> Result<Size, E> {
                u32::try_from(number).map(Size::Number).map_err(E::custom)
            }

            fn visit_i64<E: serde::de::Error>(self, number: i64) -> Result<Size, E> {
                u32::try_from(number).map(Size::Number).map_err(E::custom)
            }

            fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<Size, E> {
                Template::new(text).map(Size::Text).map_err(E::custom)
            }
        }

        deserializer.deserialize_any(Visitor)
    }
}

impl JsonSchema for Size {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Size".into()
    }

    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({
            "anyOf": [{ "type": "integer", "minimum": 1 }, { "type": "string" }],
        })
    }
}

/// The headers that say how much of a window is left.
#[derive(Debug, Clone, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct LimitHeaders {
    /// How many calls, or points, there are in all.
    #[serde(default)]
    pub limit: Option<String>,
    /// How many are left.
    pub remaining: String,
    /// When there are more again.
    #[serde(default)]
    pub reset: Option<Reset>,
    /// How long the window is, where no header says when it ends.
    #[serde(default)]
    pub per: Option<Span>,
    /// What stands between the numbers of several windows in each of these headers: `/`.
    #[serde(default)]
    pub split: Option<String>,
    /// The parts of one header, where all of it stands in one: `remaining` is the name of that
    /// header then, and these are the names in `total=100; remaining=99; resets=41`.
    #[serde(default)]
    pub parts: Option<LimitParts>,
    /// The header that names the bucket that a call belongs to.
    #[serde(default)]
    pub bucket: Option<String>,
    /// How many parts of the path, from its beginning, have a bucket of their own, beside what
    /// `bucket` says.
    #[serde(default)]
    pub segments: Option<u8>,
}

/// The names of numbers that stand in one header.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct LimitParts {
    /// Of all there are.
    #[serde(default)]
    pub limit: Option<String>,
    /// Of what is left.
    pub remaining: String,
    /// Of the end of the window, in seconds.
    #[serde(default)]
    pub reset: Option<String>,
}

/// The header that says when there is more again.
#[derive(Debug, Clone, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Reset {
    /// Its name.
    pub header: String,
    /// What it counts.
    #[serde(rename = "in")]
    pub unit: ResetUnit,
}

/// What a number of time counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ResetUnit {
    /// Seconds from now, decimals allowed.
    Seconds,
    /// Milliseconds from now: also how long a window is, which is the longest wait.
    Milliseconds,
    /// Seconds since 1970.
    EpochSeconds,
    /// Milliseconds since 1970.
    EpochMillis,
    /// Seconds or milliseconds since 1970, told apart by their size.
    Epoch,
    /// A date: RFC 3339, or that of HTTP.
    Date,
}

/// A bucket that answers tell of as `used/size`, and how it empties.
#[derive(Debug, Clone, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Used {
    /// The header: `32/40`.
    pub header: String,
    /// What stands before it, where there is more in the header: `api-usage=`.
    #[serde(default)]
    pub prefix: Option<String>,
    /// How it empties.
    #[serde(default)]
    pub leak: Option<Bucket>,
    /// The header that says how many leave it in a second.
    #[serde(default)]
    pub drip: Option<String>,
    /// The header that says what the call cost.
    #[serde(default)]
    pub cost: Option<String>,
    /// The window in which the count is made, where nothing leaks: `1d`.
    #[serde(default)]
    pub per: Option<Span>,
}

/// A budget of points that answers tell of in the body.
#[derive(Debug, Clone, PartialEq)]
pub struct CostInBody {
    /// The object that tells of it.
    pub at: Expression,
    /// In it: how many points there are at most; `.maximumAvailable`.
    pub size: Option<Expression>,
    /// In it: how many are left; `.currentlyAvailable`.
    pub left: Option<Expression>,
    /// In it: how many come back in a second; `.restoreRate`.
    pub restore: Option<Expression>,
    /// In the body: what the call was to cost.
    pub cost: Option<Expression>,
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "CostInBody")]
struct WrittenCost {
    /// The object that tells of it.
    at: Expression,
    /// In it: how many points there are at most; `.maximumAvailable` where not given.
    size: Option<Expression>,
    /// In it: how many are left; `.currentlyAvailable` where not given.
    left: Option<Expression>,
    /// In it: how many come back in a second; `.restoreRate` where not given.
    restore: Option<Expression>,
    /// In the body: what the call was to cost.
    cost: Option<Expression>,
    /// Which answers mean that it was too much, beside those of `limit.over`.
    over: Option<OneOrMany<Answered>>,
}

/// Where an answer that was too much says how long to wait.
#[derive(Debug, Clone, PartialEq, Default)]
pub enum RetryAfter {
    /// In `retry-after`, as seconds, decimal seconds or a date, told apart by looking.
    #[default]
    Any,
    /// In a header, so.
    Header {
        /// Which.
        header: String,
        /// What it counts.
        unit: ResetUnit,
    },
    /// In the body, so.
    Body {
        /// Where.
        at: Expression,
        /// What it counts.
        unit: ResetUnit,
    },
    /// It says nothing; this long is waited.
    Wait(Span),
    /// It says nothing, and what `retry-after` says is not meant for us.
    None,
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "RetryAfterObject")]
struct WrittenRetryAfter {
    /// The header.
    header: Option<String>,
    /// Where it stands in the body.
    body: Option<Expression>,
    /// This long, whatever it says.
    wait: Option<Span>,
    /// What it counts; seconds where it is not given.
    #[serde(rename = "in")]
    unit: Option<ResetUnit>,
}

text_list_or_object! {
    RetryAfter: "one of any, seconds, decimal_seconds, http_date, epoch_seconds, epoch_millis, none, or `{ header: … }`, `{ body: … }`, `{ wait: … }`",
    text: |text| named_retry_after(text),
    object: WrittenRetryAfter => |written: WrittenRetryAfter| {
        let unit = written.unit.unwrap_or(ResetUnit::Seconds);
        one_of([
            ("header", written.header.map(|header| RetryAfter::Header { header, unit })),
            ("body", written.body.map(|at| RetryAfter::Body { at, unit })),
            ("wait", written.wait.map(RetryAfter::Wait)),
        ])
    },
}

fn named_retry_after(name: &str) -> Result<RetryAfter, String> {
    let unit = match name {
        "any" => return Ok(RetryAfter::Any),
        "none" => return Ok(RetryAfter::None),
        "seconds" | "decimal_seconds" => ResetUnit::Seconds,
        "http_date" => ResetUnit::Date,
        "epoch_seconds" => ResetUnit::EpochSeconds,
        "epoch_millis" => ResetUnit::EpochMillis,
        other => {
            return Err(format!(
                "unknown variant `{other}`, expected one of any, seconds, decimal_seconds, \
                 http_date, epoch_seconds, epoch_millis, none"
            ));
        }
    };
    Ok(RetryAfter::Header { header: "retry-after".into(), unit })
}

/// An answer that is told by its status, by a code in it, by headers: a number is a status, a text
/// a code.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Answered {
    /// Its status; any where it is not given.
    pub status: Option<u16>,
    /// The codes of which it holds one, where `errors` says that codes stand.
    pub codes: Vec<String>,
    /// Headers that it has; `*` is any value.
    pub headers: Vec<(String, String)>,
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "AnsweredObject")]
struct WrittenAnswered {
    /// Its status; any where it is not given.
    status: Option<u16>,
    /// A code that it holds, where `errors` says that codes stand; or several of which it holds one.
    code: Option<OneOrMany<String>>,
    /// Headers that it has, with their values; `*` is any.
    #[serde(default)]
    headers: IndexMap<String, String>,
}

impl<'de> Deserialize<'de> for Answered {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Visitor;

        impl<'de> serde::de::Visitor<'de> for Visitor {
            type Value = Answered;

            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("a status, a code, or `{ status: …, code: … }`")
            }

            fn visit_u64<E: serde::de::Error>(self, status: u64) -> Result<Answered, E> {
                let status = u16::try_from(status).map_err(E::custom)?;
                Ok(Answered { status: Some(status), ..Answered::default() })
            }

            fn visit_i64<E: serde::de::Error>(self, status: i64) -> Result<Answered, E> {
                self.visit_u64(u64::try_from(status).map_err(E::custom)?)
            }

            fn visit_str<E: serde::de::Error>(self, code: &str) -> Result<Answered, E> {
                Ok(Answered { codes: vec![code.into()], ..Answered::default() })
            }

            fn visit_map<A: serde::de::MapAccess<'de>>(self, map: A) -> Result<Answered, A::Error> {
                let deserializer = serde::de::value::MapAccessDeserializer::new(map);
                let written = WrittenAnswered::deserialize(deserializer)?;
                let headers = written.headers.into_iter();
                Ok(Answered {
                    status: written.status,
                    codes: written.code.map(Vec::from).unwrap_or_default(),
                    headers: headers.map(|(name, is)| (name.to_ascii_lowercase(), is)).collect(),
                })
            }
        }

        deserializer.deserialize_any(Visitor)
    }
}

impl JsonSchema for Answered {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Answered".into()
    }

    fn json_schema(generator: &mut schemars::SchemaGenerator) -> schemars::Schema {
        let object = generator.subschema_for::<WrittenAnswered>();
        schemars::json_schema!({
            "description": "A status, a code, or `{ status: …, code: …, headers: … }`",
            "anyOf": [{ "type": "integer" }, { "type": "string" }, object],
        })
    }
}

/// How many calls may be refused before we stop by ourselves.
#[derive(Debug, Clone, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Refusals {
    /// The statuses that count.
    pub statuses: Vec<u16>,
    /// How many.
    pub size: u32,
    /// In how long.
    pub per: Span,
}

/// How an API says what went wrong.
#[derive(Debug, Clone, PartialEq, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Errors {
    /// Where the sentence for people stands.
    #[serde(default)]
    pub message: Option<Expression>,
    /// Where the code for programs stands.
    #[serde(default)]
    pub code: Option<Expression>,
    /// Faults that come with status 200.
    #[serde(default)]
    pub in_200: Option<In200>,
    /// Answers that mean that the token has ended and may be renewed; status 401 always does.
    #[serde(default)]
    pub renew: Vec<Answered>,
    /// Answers, of calls and of the token endpoint, that mean that the sign-in is over for good:
    /// `invalid_grant` always does.
    #[serde(default)]
    pub dead: Vec<Answered>,
    /// Answers that are worth another try, beside 502 to 504.
    #[serde(default)]
    pub retry: Vec<Answered>,
    /// A header that says whether another try is worth it, as `true` or `false`.
    #[serde(default)]
    pub retry_header: Option<String>,
}

/// How to tell a fault that comes with status 200.
#[derive(Debug, Clone, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct In200 {
    /// When it is one.
    pub when: Expression,
    /// Where its code stands.
    #[serde(default)]
    pub code: Option<Expression>,
    /// Where its sentence stands.
    #[serde(default)]
    pub message: Option<Expression>,
}
