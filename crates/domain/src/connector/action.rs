//! Actions: single calls that a connector offers to flows.

use indexmap::IndexMap;
use schemars::JsonSchema;
use serde::Deserialize;

use serde_json::{Map, Value};

use super::call::{Ask, asking};
use super::field::Choices;
use super::one_of::one_of;
use super::rendered::Rendered;
use super::span::Span;
use crate::expression::Expression;
use crate::template;

/// One call that is offered to steps. Its texts may speak of `input`.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(try_from = "Written")]
pub struct Action {
    /// What people call it; its id with a capital where it is not given.
    pub title: Option<String>,
    /// What it does, in a sentence.
    pub about: Option<String>,
    /// The ways in that can do it; all where there are none.
    pub ways: Vec<String>,
    /// The call, or the mail.
    pub does: Does,
    /// What it is given. A member, a parameter or a field whose text is one input that may be left
    /// out, and is, is left out with it.
    pub input: IndexMap<String, Input>,
    /// Whether it only reads, and may be tried again without a thought.
    pub reads: bool,
    /// How the other side recognises a call that comes again.
    pub idempotency: Option<Idempotency>,
    /// What of the answer is its result; all of it where it is not given.
    pub result: Option<Expression>,
    /// When an answer is a fault that neither its status nor `errors` shows.
    pub fails: Option<Expression>,
    /// Whether the answer is a record of this stream, as of now.
    pub stream: Option<String>,
}

impl Action {
    /// The request of a call, `values` filled in: `settings`, `token`, and what is given as
    /// `input`. Inputs that are not given have their default, or are left out. With `key` the
    /// other side recognises the call when it comes again.
    ///
    /// # Errors
    ///
    /// When a text cannot be filled in; that of a mail, which is no call.
    pub fn render(&self, values: &Value, key: Option<&str>) -> Result<Rendered, template::Error> {
        let Does::Call(ask) = &self.does else {
            let problem = "it makes no call".into();
            return Err(template::Error::Render { text: "mail".into(), problem });
        };
        let mut values = values.clone();
        if !values["input"].is_object() {
            values["input"] = Value::Object(Map::new());
        }
        let mut absent = Vec::new();
        for (name, input) in &self.input {
            if !values["input"][name].is_null() {
                continue;
            }
            match &input.default {
                Some(default) => values["input"][name] = default.clone(),
                None => absent.push(format!("input.{name}")),
            }
        }
        let keyed;
        let ask = match (self.idempotency.as_ref().map(|it| &it.by), key, &**ask) {
            (Some(IdempotencyBy::Directive(name)), Some(key), Ask::Graphql(graphql)) => {
                let text = with_directive(&graphql.text, name, key);
                keyed = Ask::Graphql(super::Graphql { text, ..graphql.clone() });
                &keyed
            }
            (_, _, ask) => ask,
        };
        let mut rendered = ask.render(&values, &absent)?;
        match (self.idempotency.as_ref().map(|it| &it.by), key) {
            (Some(IdempotencyBy::Header(name)), Some(key)) => {
                rendered.headers.push((name.to_ascii_lowercase(), key.to_owned()));
            }
            (Some(IdempotencyBy::Body(path)), Some(key)) => {
                rendered.put_body(path, Value::String(key.to_owned()));
            }
            (Some(IdempotencyBy::Variable(name)), Some(key)) => {
                rendered.put_variable(name, Value::String(key.to_owned()));
            }
            _ => {}
        }
        Ok(rendered)
    }
}

/// A document in which each bare `@name` has the key. A key is ours and needs no escaping, but one
/// that did would end the text early.
fn with_directive(text: &str, name: &str, key: &str) -> String {
    let key: String = key.chars().filter(|it| it.is_ascii_alphanumeric() || *it == '-').collect();
    let mark = format!("@{name}");
    let mut parts = text.split(mark.as_str());
    let mut with = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        with.push_str(&mark);
        let bare = !part.starts_with(|it: char| it == '(' || it == '_' || it.is_alphanumeric());
        if bare {
            with.push_str(&format!("(key: \"{key}\")"));
        }
        with.push_str(part);
    }
    with
}

/// What an action does.
#[derive(Debug, Clone, PartialEq)]
pub enum Does {
    /// It makes a call.
    Call(Box<Ask>),
    /// It sends a mail through the connector's `smtp`; the names of its input are those of the
    /// mail: `to`, `subject`, `text`, `html`, …
    Mail,
}

asking! {
    /// The written form of an [`Action`].
    #[schemars(rename = "Action")]
    pub(crate) struct Written {
        /// What people call it.
        title: Option<String>,
        /// What it does, in a sentence.
        about: Option<String>,
        /// The ways in that can do it; all where it is not given.
        #[serde(default)]
        ways: Vec<String>,
        /// It sends a mail: `mail: {}`.
        mail: Option<Nothing>,
        /// What it is given.
        #[serde(default)]
        input: IndexMap<String, Input>,
        /// Whether it only reads.
        #[serde(default)]
        reads: bool,
        /// How the other side recognises a call that comes again.
        idempotency: Option<Idempotency>,
        /// What of the answer is its result.
        result: Option<Expression>,
        /// When an answer is a fault that neither its status nor `errors` shows.
        fails: Option<Expression>,
        /// The stream whose record the result is.
        stream: Option<String>,
    }
}

/// `{}`
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Nothing {}

impl TryFrom<Written> for Action {
    type Error = String;

    fn try_from(mut written: Written) -> Result<Self, String> {
        let ask = written.take_ask();
        let does = match written.mail {
            Some(Nothing {}) => Does::Mail,
            None => Does::Call(Box::new(ask.try_into()?)),
        };
        Ok(Self {
            title: written.title,
            about: written.about,
            ways: written.ways,
            does,
            input: written.input,
            reads: written.reads,
            idempotency: written.idempotency,
            result: written.result,
            fails: written.fails,
            stream: written.stream,
        })
    }
}

impl JsonSchema for Action {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        Written::schema_name()
    }

    fn json_schema(generator: &mut schemars::SchemaGenerator) -> schemars::Schema {
        Written::json_schema(generator)
    }
}

/// What an action is given: `{}` is a text that has to be there.
#[derive(Debug, Clone, PartialEq, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Input {
    /// What people call it; its name with a capital where it is not given.
    #[serde(default)]
    pub title: Option<String>,
    /// What it is.
    #[serde(default, rename = "type")]
    pub kind: InputKind,
    /// What it is for, or where to find it.
    #[serde(default)]
    pub help: Option<String>,
    /// A value that somebody could give.
    #[serde(default)]
    pub example: Option<serde_json::Value>,
    /// The value where none is given.
    #[serde(default)]
    pub default: Option<serde_json::Value>,
    /// Whether it may be left out.
    #[serde(default)]
    pub optional: bool,
    /// The values that it may have.
    #[serde(default)]
    pub choices: Choices,
}

/// What an input is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum InputKind {
    /// A text.
    #[default]
    Text,
    /// A whole number.
    Integer,
    /// A number with decimals, kept as it is written.
    Decimal,
    /// True or false.
    Boolean,
    /// A time.
    Time,
    /// A list.
    List,
    /// An object.
    Object,
    /// Any JSON.
    Json,
}

/// How the other side recognises a call that comes again.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(try_from = "WrittenIdempotency")]
pub struct Idempotency {
    /// Where the key goes.
    pub by: IdempotencyBy,
    /// How long it is remembered.
    pub remembered: Option<Span>,
    /// How long a key may be, in characters.
    pub longest: Option<u32>,
}

/// Where an idempotency key goes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum IdempotencyBy {
    /// Into a header.
    Header(String),
    /// Into a member of the JSON body or a field of the form: names with dots between them.
    Body(String),
    /// Into a directive of the GraphQL document, which stands there as `@name`.
    Directive(String),
    /// Into a variable of the GraphQL document: an id that we choose.
    Variable(String),
    /// Nowhere: the call sets what it names to a value, however often it comes.
    Natural,
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "Idempotency")]
pub(crate) struct WrittenIdempotency {
    /// The header that carries the key.
    header: Option<String>,
    /// The member of the JSON body, or field of the form, that carries it.
    body: Option<String>,
    /// The directive of the GraphQL document: `@name` there becomes `@name(key: "…")`.
    directive: Option<String>,
    /// The variable of the GraphQL document that carries it.
    variable: Option<String>,
    /// Whether the call may come as often as it likes: it sets what it names to a value.
    natural: Option<bool>,
    /// How long a key is remembered.
    remembered: Option<Span>,
    /// How long a key may be, in characters.
    longest: Option<u32>,
}

impl TryFrom<WrittenIdempotency> for Idempotency {
    type Error = String;

    fn try_from(written: WrittenIdempotency) -> Result<Self, String> {
        let by = one_of([
            ("header", written.header.map(IdempotencyBy::Header)),
            ("body", written.body.map(IdempotencyBy::Body)),
            ("directive", written.directive.map(IdempotencyBy::Directive)),
            ("variable", written.variable.map(IdempotencyBy::Variable)),
            ("natural", written.natural.filter(|it| *it).map(|_| IdempotencyBy::Natural)),
        ])?;
        Ok(Self { by, remembered: written.remembered, longest: written.longest })
    }
}

impl JsonSchema for Idempotency {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        WrittenIdempotency::schema_name()
    }

    fn json_schema(generator: &mut schemars::SchemaGenerator) -> schemars::Schema {
        WrittenIdempotency::json_schema(generator)
    }
}

#[cfg(test)]
mod tests;
