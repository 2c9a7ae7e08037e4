//! How the next page of a stream is found, as connectors write it. What it means is in
//! [`crate::paging`].

use schemars::JsonSchema;
use serde::Deserialize;

use super::one_of::one_of;
use super::settled::{self, Parts};
use crate::expression::Expression;

/// How the next page is found.
#[derive(Debug, Clone, PartialEq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Paging {
    /// The answer holds a cursor, which goes into the next request.
    Cursor(CursorPaging),
    /// Pages are counted. It ends with the last one, or with an empty one where nobody says
    /// which is the last.
    Page(PagePaging),
    /// Records are counted. It ends with an empty page.
    Offset(OffsetPaging),
    /// The last record's key is where the next page begins. It ends with an empty page.
    Keyset(KeysetPaging),
    /// The answer holds the address of the next page, whole or relative, or the end of it.
    NextUrl(NextUrl),
    /// The `link` header holds the address of the next page, as `rel="next"`.
    LinkHeader,
    /// `pageInfo` of GraphQL: `relay: .data.orders.pageInfo`.
    Relay(Relay),
    /// The answer holds the highest version on the page, which asks for what comes after it: for
    /// the next page and, later, for the next run. It ends with an empty page.
    Version(VersionPaging),
    /// The answer holds a cursor, also when there is nothing more yet: it is where the next page
    /// and, later, the next run begins.
    Export(ExportPaging),
    /// A header of the answer holds the cursor.
    HeaderLocator(HeaderLocator),
    /// As `cursor`, where reading is a session of the other side that ends soon: nothing else
    /// reads it meanwhile, and what was stopped begins anew.
    Scroll(CursorPaging),
}

/// Where something goes in a request: `param: after`, `body: page.after`, `variable: after`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Goes {
    /// Into the query.
    Param(String),
    /// Into the JSON body or the form: names with dots between them.
    Body(String),
    /// Into a variable of the GraphQL document.
    Variable(String),
}

/// What decides that a page was the last one, beside what a kind of paging says itself.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Stop {
    /// Whether there is more, where the answer says so.
    pub more: Option<Expression>,
    /// How many records a page has: one with fewer is the last.
    pub size: Option<u64>,
    /// Whether an empty page is the last, also where it names a next one.
    pub empty: bool,
}

/// A kind of paging that goes somewhere in a request and ends somehow: its own fields, and those.
macro_rules! paging {
    (
        $(#[$meta:meta])*
        $name:ident / $written:ident as $title:literal {
            $( $(#[$field_meta:meta])* $field:ident: $type:ty, )*
        }
    ) => {
        $(#[$meta])*
        #[derive(Debug, Clone, PartialEq, Deserialize)]
        #[serde(try_from = $title)]
        pub struct $name {
            /// Where it goes in a request.
            pub goes: Goes,
            $( $(#[$field_meta])* pub $field: $type, )*
            /// When it ends.
            pub stop: Stop,
        }

        #[derive(Deserialize, JsonSchema)]
        #[serde(deny_unknown_fields)]
        pub(crate) struct $written {
            /// The query parameter that it goes into.
            #[serde(default)]
            param: Option<String>,
            /// The member of the JSON body, or field of the form, that it goes into: `page.after`.
            #[serde(default)]
            body: Option<String>,
            /// The variable of the GraphQL document that it goes into.
            #[serde(default)]
            variable: Option<String>,
            $( $(#[$field_meta])* $field: $type, )*
            /// Whether there is more, where the answer says so.
            #[serde(default, deserialize_with = "settled::optional")]
            more: Option<Expression>,
            /// How many records a page has: one with fewer is the last.
            #[serde(default)]
            size: Option<u64>,
            /// Whether an empty page is the last, also where it names a next one.
            #[serde(default)]
            until_empty: bool,
        }

        impl TryFrom<$written> for $name {
            type Error = String;

            fn try_from(written: $written) -> Result<Self, String> {
                let goes = one_of([
                    ("param", written.param.map(Goes::Param)),
                    ("body", written.body.map(Goes::Body)),
                    ("variable", written.variable.map(Goes::Variable)),
                ])?;
                let stop =
                    Stop { more: written.more, size: written.size, empty: written.until_empty };
                Ok(Self { goes, $( $field: written.$field, )* stop })
            }
        }

        impl JsonSchema for $name {
            fn schema_name() -> std::borrow::Cow<'static, str> {
                stringify!($name).into()
            }

            fn json_schema(generator: &mut schemars::SchemaGenerator) -> schemars::Schema {
                $written::json_schema(generator)
            }
        }
    };
}

paging! {
    /// The answer holds a cursor. It ends with none, an empty one or the text `null`.
    CursorPaging / WrittenCursor as "WrittenCursor" {
        /// Where the cursor is in an answer. One that is not a text stays what it is.
        #[serde(deserialize_with = "settled::expression")]
        at: Expression,
        /// Whether the cursor goes alone: what `since` says is not repeated with it.
        #[serde(default)]
        alone: bool,
    }
}

paging! {
    /// Pages are counted.
    PagePaging / WrittenPage as "WrittenPage" {
        /// The number of the first page.
        #[serde(default = "one")]
        from: u64,
        /// How many pages there are, in an answer.
        #[serde(default, deserialize_with = "settled::optional")]
        pages: Option<Expression>,
        /// The header that says how many pages there are.
        #[serde(default)]
        pages_header: Option<String>,
    }
}

paging! {
    /// Records are counted.
    OffsetPaging / WrittenOffset as "WrittenOffset" {
        /// The number of the first record.
        #[serde(default)]
        from: u64,
    }
}

paging! {
    /// The last record's key is where the next page begins.
    KeysetPaging / WrittenKeyset as "WrittenKeyset" {
        /// The key in a record. One that is not a text stays what it is.
        #[serde(deserialize_with = "settled::expression")]
        field: Expression,
        /// The record that is looked at: the last, unless the newest are wanted by a page that
        /// begins with them.
        #[serde(default)]
        of: Which,
    }
}

paging! {
    /// The answer holds the highest version on the page.
    VersionPaging / WrittenVersion as "WrittenVersion" {
        /// Where it is in an answer.
        at: Expression,
        /// What the first run begins with, where it has to be said.
        #[serde(default)]
        from: Option<String>,
    }
}

paging! {
    /// The answer holds a cursor that is also where the next run begins.
    ExportPaging / WrittenExport as "WrittenExport" {
        /// Where it is in an answer.
        at: Expression,
        /// Whether there is nothing more yet.
        end: Expression,
    }
}

const fn one() -> u64 {
    1
}

/// One record of a page.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Which {
    /// The last.
    #[default]
    Last,
    /// The first: pages that go forward in time while each begins with its newest.
    First,
}

/// The answer holds the address of the next page: `next_url: .next`.
#[derive(Debug, Clone, PartialEq)]
pub struct NextUrl {
    /// Where it is in an answer.
    pub at: Expression,
    /// When it ends.
    pub stop: Stop,
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "NextUrlObject")]
struct WrittenNextUrl {
    /// Where it is in an answer.
    #[serde(deserialize_with = "settled::expression")]
    at: Expression,
    /// Whether there is more, where the answer says so.
    #[serde(default, deserialize_with = "settled::optional")]
    more: Option<Expression>,
    /// Whether an empty page is the last, also where it names a next one.
    #[serde(default)]
    until_empty: bool,
}

super::one_of::text_list_or_object! {
    NextUrl: "an expression, or `{ at: …, until_empty: true }`",
    text: |text| Expression::with_settings(text).map(|at| NextUrl { at, stop: Stop::default() }),
    object: WrittenNextUrl => |written: WrittenNextUrl| {
        let stop = Stop { more: written.more, size: None, empty: written.until_empty };
        Ok::<_, String>(NextUrl { at: written.at, stop })
    },
}

/// `pageInfo` of GraphQL, whose `endCursor` goes into a variable while `hasNextPage` says so.
#[derive(Debug, Clone, PartialEq)]
pub struct Relay {
    /// Where `pageInfo` is in an answer.
    pub at: Expression,
    /// The variable.
    pub variable: String,
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "RelayObject")]
struct WrittenRelay {
    /// Where `pageInfo` is in an answer.
    at: Expression,
    /// The variable; `after` where it is not given.
    variable: Option<String>,
}

super::one_of::text_list_or_object! {
    Relay: "an expression, or `{ at: …, variable: after }`",
    text: |text| Expression::with_settings(text).map(|at| Relay { at, variable: "after".into() }),
    object: WrittenRelay => |written: WrittenRelay| {
        let variable = written.variable.unwrap_or_else(|| "after".into());
        Ok::<_, String>(Relay { at: written.at, variable })
    },
}

/// A header of the answer holds the cursor. It ends with none, or the text `null`.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct HeaderLocator {
    /// The header.
    pub header: String,
    /// The query parameter that the cursor goes into.
    pub param: String,
}

impl Paging {
    /// Its jq and its names, which settings may decide.
    pub(super) fn parts<'a>(&'a mut self, parts: &mut Parts<'a>) {
        match self {
            Self::Cursor(page) | Self::Scroll(page) => {
                page.goes.parts(parts);
                parts.expressions.push(&mut page.at);
                parts.expressions.extend(&mut page.stop.more);
            }
            Self::Page(page) => {
                page.goes.parts(parts);
                parts.expressions.extend(&mut page.pages);
                parts.expressions.extend(&mut page.stop.more);
            }
            Self::Offset(page) => {
                page.goes.parts(parts);
                parts.expressions.extend(&mut page.stop.more);
            }
            Self::Keyset(page) => {
                page.goes.parts(parts);
                parts.expressions.push(&mut page.field);
                parts.expressions.extend(&mut page.stop.more);
            }
            Self::NextUrl(page) => {
                parts.expressions.push(&mut page.at);
                parts.expressions.extend(&mut page.stop.more);
            }
            Self::Relay(page) => {
                parts.expressions.push(&mut page.at);
                parts.texts.push(&mut page.variable);
            }
            Self::LinkHeader | Self::Version(_) | Self::Export(_) | Self::HeaderLocator(_) => {}
        }
    }
}
