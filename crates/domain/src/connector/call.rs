//! Calls: requests to an API as a connector writes them.

use indexmap::IndexMap;
use schemars::JsonSchema;
use serde::{Deserialize, Deserializer};

use super::one_of::one_of;
use crate::template::{self, Template};

/// An HTTP method that calls use.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Method {
    /// Reads.
    Get,
    /// Makes, or does.
    Post,
    /// Replaces.
    Put,
    /// Changes.
    Patch,
    /// Removes.
    Delete,
}

impl Method {
    /// As it stands in a request.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Get => "GET",
            Self::Post => "POST",
            Self::Put => "PUT",
            Self::Patch => "PATCH",
            Self::Delete => "DELETE",
        }
    }
}

/// One request: `post: /webhooks` with what goes along.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(try_from = "Written")]
pub struct Call {
    /// How.
    pub method: Method,
    /// Where: a path below `base_url`, or a whole address on one of `hosts`. Values in it are
    /// percent-encoded.
    pub path: Template,
    /// Query parameters. One whose value is missing is a fault.
    pub query: IndexMap<String, Template>,
    /// Further headers.
    pub headers: IndexMap<String, Template>,
    /// What it carries.
    pub body: Option<Body>,
}

/// What a call carries.
#[derive(Debug, Clone, PartialEq)]
pub enum Body {
    /// JSON.
    Json(Tree),
    /// A form.
    Form(IndexMap<String, Template>),
}

/// The written form of a [`Call`].
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "Call")]
pub(crate) struct Written {
    /// GET this path.
    get: Option<Template>,
    /// POST to this path.
    post: Option<Template>,
    /// PUT to this path.
    put: Option<Template>,
    /// PATCH this path.
    patch: Option<Template>,
    /// DELETE this path.
    delete: Option<Template>,
    /// Query parameters.
    #[serde(default)]
    query: IndexMap<String, Template>,
    /// Further headers.
    #[serde(default)]
    headers: IndexMap<String, Template>,
    /// A body of JSON; its texts are templates.
    json: Option<Tree>,
    /// A body that is a form.
    form: Option<IndexMap<String, Template>>,
}

impl TryFrom<Written> for Call {
    type Error = String;

    fn try_from(written: Written) -> Result<Self, String> {
        let with = |method| move |path| (method, path);
        let (method, path) = one_of([
            ("get", written.get.map(with(Method::Get))),
            ("post", written.post.map(with(Method::Post))),
            ("put", written.put.map(with(Method::Put))),
            ("patch", written.patch.map(with(Method::Patch))),
            ("delete", written.delete.map(with(Method::Delete))),
        ])?;
        let body = match (written.json, written.form) {
            (Some(_), Some(_)) => return Err("`json` and `form` exclude each other".into()),
            (Some(tree), None) => Some(Body::Json(tree)),
            (None, Some(form)) => Some(Body::Form(form)),
            (None, None) => None,
        };
        Ok(Self { method, path, query: written.query, headers: written.headers, body })
    }
}

impl JsonSchema for Call {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        Written::schema_name()
    }

    fn json_schema(generator: &mut schemars::SchemaGenerator) -> schemars::Schema {
        Written::json_schema(generator)
    }
}

/// JSON whose texts are templates. A text that is one `{{ … }}` and nothing else keeps what its
/// value is, so that a list stays a list.
#[derive(Debug, Clone, PartialEq)]
pub enum Tree {
    /// A text.
    Text(Template),
    /// `null`, a number, true or false.
    Plain(serde_json::Value),
    /// A list.
    List(Vec<Tree>),
    /// An object.
    Object(IndexMap<String, Tree>),
}

impl Tree {
    /// Fills in `values`.
    ///
    /// # Errors
    ///
    /// Those of [`Template::value`].
    pub fn render(&self, values: &serde_json::Value) -> Result<serde_json::Value, template::Error> {
        match self {
            Self::Text(text) => text.value(values),
            Self::Plain(plain) => Ok(plain.clone()),
            Self::List(items) => items.iter().map(|item| item.render(values)).collect(),
            Self::Object(members) => members
                .iter()
                .map(|(name, member)| Ok((name.clone(), member.render(values)?)))
                .collect(),
        }
    }
}

impl TryFrom<serde_json::Value> for Tree {
    type Error = template::Error;

    fn try_from(value: serde_json::Value) -> Result<Self, template::Error> {
        use serde_json::Value;
        Ok(match value {
            Value::String(text) => Self::Text(Template::new(&text)?),
            Value::Array(items) => {
                Self::List(items.into_iter().map(Self::try_from).collect::<Result<_, _>>()?)
            }
            Value::Object(members) => Self::Object(
                members
                    .into_iter()
                    .map(|(name, member)| Ok((name, Self::try_from(member)?)))
                    .collect::<Result<_, template::Error>>()?,
            ),
            plain => Self::Plain(plain),
        })
    }
}

impl<'de> Deserialize<'de> for Tree {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        serde_json::Value::deserialize(deserializer)?.try_into().map_err(serde::de::Error::custom)
    }
}

impl JsonSchema for Tree {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Tree".into()
    }

    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({ "description": "JSON; its texts may hold {{ … }}" })
    }
}
