//! Telling a sender of an inbox's address, by its API.

use schemars::JsonSchema;
use serde::Deserialize;

use super::call::Call;
use super::one_of::one_of;
use crate::expression::Expression;

/// How a sender is told of an address.
///
/// The texts of its calls may use `inbox.url`, `inbox.name`, `topics` (a list), `topic` (where
/// there is one call for each), `secret` (where it is ours) and `id` (in `remove`).
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(try_from = "Written")]
pub struct Register {
    /// By which calls.
    pub by: RegisterBy,
    /// Whether one call is for all topics or for one.
    pub each: Each,
    /// Who makes the signing secret.
    pub secret: HookSecret,
}

/// By which calls a sender is told.
#[derive(Debug, Clone, PartialEq)]
pub enum RegisterBy {
    /// By REST.
    Rest(Box<Rest>),
}

/// The written form of [`Register`].
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "Register")]
pub(crate) struct Written {
    /// By REST calls.
    rest: Option<Box<Rest>>,
    /// Whether one call is for all topics or for one.
    #[serde(default)]
    each: Each,
    /// Who makes the signing secret.
    #[serde(default)]
    secret: HookSecret,
}

impl TryFrom<Written> for Register {
    type Error = String;

    fn try_from(written: Written) -> Result<Self, String> {
        let by = one_of([("rest", written.rest.map(RegisterBy::Rest))])?;
        Ok(Self { by, each: written.each, secret: written.secret })
    }
}

impl JsonSchema for Register {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        Written::schema_name()
    }

    fn json_schema(generator: &mut schemars::SchemaGenerator) -> schemars::Schema {
        Written::json_schema(generator)
    }
}

/// REST calls that make, list and remove what is registered.
#[derive(Debug, Clone, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Rest {
    /// Registers an address.
    pub create: Call,
    /// The id of an entry, in the answer to `create` and in each item of `list`.
    pub id: Expression,
    /// Lists the entries.
    #[serde(default)]
    pub list: Option<Call>,
    /// Where the entries are in the answer to `list`: a list, or all of them one by one.
    #[serde(default)]
    pub items: Option<Expression>,
    /// The address of an entry, in each item of `list`.
    #[serde(default)]
    pub url: Option<Expression>,
    /// Removes the entry `{{ id }}`.
    #[serde(default)]
    pub remove: Option<Call>,
}

/// Whether one call is for all topics or for one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Each {
    /// One call for all of them.
    #[default]
    Inbox,
    /// One call for each.
    Topic,
}

/// Who makes the signing secret.
#[derive(Debug, Clone, PartialEq, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum HookSecret {
    /// The sender: the answer to the registration holds it, there.
    Answer(Expression),
    /// We, and the call tells it.
    Ours,
    /// It is the app's own secret, which the user has given.
    App,
    /// There is none.
    #[default]
    None,
}
