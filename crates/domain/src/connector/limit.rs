//! Limits: how often an API may be called, and how it says no.

use schemars::JsonSchema;
use serde::Deserialize;

use super::span::Span;
use crate::expression::Expression;
use crate::template::Template;

/// How often an API may be called.
#[derive(Debug, Clone, PartialEq, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Limit {
    /// What we keep to by ourselves: all of them hold.
    #[serde(default)]
    pub buckets: Vec<Bucket>,
    /// How answers say how much is left.
    #[serde(default)]
    pub headers: Option<LimitHeaders>,
    /// How `retry-after` is written.
    #[serde(default)]
    pub retry_after: RetryAfter,
    /// Which answers mean that it was too much.
    #[serde(default)]
    pub over: Over,
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

/// The headers that say how much is left.
#[derive(Debug, Clone, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct LimitHeaders {
    /// How many calls there are in all.
    #[serde(default)]
    pub limit: Option<String>,
    /// How many are left.
    pub remaining: String,
    /// When there are more again.
    #[serde(default)]
    pub reset: Option<Reset>,
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

/// What a reset header counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ResetUnit {
    /// Seconds from now, decimals allowed.
    Seconds,
    /// Seconds since 1970.
    EpochSeconds,
    /// Milliseconds since 1970.
    EpochMillis,
}

/// How `retry-after` is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum RetryAfter {
    /// Any of the ways below, told apart by looking.
    #[default]
    Any,
    /// Whole seconds.
    Seconds,
    /// Seconds with decimals.
    DecimalSeconds,
    /// A date of HTTP.
    HttpDate,
    /// There is none, and one that is there is not meant for us.
    None,
}

/// Which answers mean that it was too much.
#[derive(Debug, Clone, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Over {
    /// The status.
    #[serde(default = "too_many")]
    pub status: u16,
    /// A code that the body must hold as well, at `errors.code`.
    #[serde(default)]
    pub code: Option<String>,
}

impl Default for Over {
    fn default() -> Self {
        Self { status: too_many(), code: None }
    }
}

const fn too_many() -> u16 {
    429
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
}
