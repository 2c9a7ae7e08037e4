//! Streams: collections of an API, and how to read them.

use indexmap::IndexMap;
use schemars::JsonSchema;
use serde::Deserialize;

use super::one_of::{OneOrMany, one_of};
use super::span::Span;
use crate::expression::Expression;
use crate::template::Template;

/// One collection.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(try_from = "Written")]
pub struct Stream {
    /// What people call it; its id with a capital where it is not given.
    pub title: Option<String>,
    /// How one page is asked for.
    pub read: Read,
    /// Where the records are in an answer. A list yields its items.
    pub records: Expression,
    /// What tells records apart; several are joined.
    pub key: Vec<Expression>,
    /// Which version a record is.
    pub version: Option<Expression>,
    /// Whether a record says that its thing is gone.
    pub deleted: Option<Expression>,
    /// How the next page is found; one page is all where it is not given.
    pub page: Option<Paging>,
    /// How only what changed is asked for.
    pub since: Option<Since>,
    /// How many records there are in all.
    pub total: Option<Expression>,
}

/// How one page of a stream is asked for.
#[derive(Debug, Clone, PartialEq)]
pub enum Read {
    /// GET with a query.
    Get {
        /// The path below `base_url`.
        path: Template,
        /// The query.
        query: IndexMap<String, Template>,
    },
}

/// The written form of a [`Stream`].
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "Stream")]
pub(crate) struct Written {
    /// What people call it.
    title: Option<String>,
    /// GET this path.
    get: Option<Template>,
    /// Query parameters of every page.
    #[serde(default)]
    query: IndexMap<String, Template>,
    /// Where the records are in an answer.
    records: Expression,
    /// What tells records apart: one expression or several.
    key: OneOrMany<Expression>,
    /// Which version a record is.
    version: Option<Expression>,
    /// Whether a record says that its thing is gone.
    deleted: Option<Expression>,
    /// How the next page is found.
    page: Option<Paging>,
    /// How only what changed is asked for.
    since: Option<Since>,
    /// How many records there are in all.
    total: Option<Expression>,
}

impl TryFrom<Written> for Stream {
    type Error = String;

    fn try_from(written: Written) -> Result<Self, String> {
        let query = written.query;
        let read = one_of([("get", written.get.map(|path| Read::Get { path, query }))])?;
        let key: Vec<_> = written.key.into();
        if key.is_empty() {
            return Err("`key` needs at least one expression".into());
        }
        Ok(Self {
            title: written.title,
            read,
            records: written.records,
            key,
            version: written.version,
            deleted: written.deleted,
            page: written.page,
            since: written.since,
            total: written.total,
        })
    }
}

impl JsonSchema for Stream {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        Written::schema_name()
    }

    fn json_schema(generator: &mut schemars::SchemaGenerator) -> schemars::Schema {
        Written::json_schema(generator)
    }
}

/// How the next page is found.
#[derive(Debug, Clone, PartialEq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Paging {
    /// The answer holds a cursor that goes into a parameter. It ends with none, an empty one or
    /// the text `null`.
    Cursor {
        /// The parameter.
        param: String,
        /// Where the cursor is in an answer.
        at: Expression,
        /// Whether there is more, where the answer says so beside the cursor.
        #[serde(default)]
        more: Option<Expression>,
    },
    /// Pages are counted. It ends with the last one, or with an empty one where nobody says
    /// which is the last.
    Page {
        /// The parameter.
        param: String,
        /// The number of the first page.
        #[serde(default = "one")]
        from: u64,
        /// How many pages there are.
        #[serde(default)]
        pages: Option<Expression>,
    },
    /// Records are counted. It ends with an empty page.
    Offset {
        /// The parameter.
        param: String,
        /// Whether there is more, where the answer says so.
        #[serde(default)]
        more: Option<Expression>,
    },
    /// The last record's key is where the next page begins. It ends with an empty page.
    Keyset {
        /// The parameter.
        param: String,
        /// The key in a record.
        field: Expression,
        /// Whether there is more, where the answer says so.
        #[serde(default)]
        more: Option<Expression>,
    },
    /// The answer holds the whole address of the next page, or the end of it.
    NextUrl(Expression),
    /// The `link` header holds the address of the next page, as `rel="next"`.
    LinkHeader,
}

const fn one() -> u64 {
    1
}

/// How only what changed since the last run is asked for.
#[derive(Debug, Clone, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Since {
    /// The query parameter.
    pub param: String,
    /// Its text, where it is more than the time: `"updated_at:>='{{ cursor }}'"`.
    #[serde(default)]
    pub text: Option<Template>,
    /// The time in a record.
    pub field: Expression,
    /// How times are written, in the parameter and in the field.
    #[serde(default, rename = "as")]
    pub format: TimeFormat,
    /// How much is read again, since clocks differ and writes overtake each other.
    #[serde(default)]
    pub overlap: Option<Span>,
    /// How fine the filter is.
    #[serde(default)]
    pub granularity: Granularity,
}

/// How a time is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum TimeFormat {
    /// RFC 3339: `2026-11-24T08:00:00.000Z`.
    #[default]
    Rfc3339,
    /// Seconds since 1970.
    EpochSeconds,
    /// Milliseconds since 1970.
    EpochMillis,
    /// A day: `2026-11-24`, in UTC.
    Date,
}

/// How fine a filter is: what is finer is cut off, so that nothing is skipped.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Granularity {
    /// Milliseconds.
    #[default]
    Millisecond,
    /// Seconds.
    Second,
    /// Days.
    Day,
}
