//! Calls: requests to an API as a connector writes them.

use indexmap::IndexMap;
use schemars::JsonSchema;
use serde::{Deserialize, Deserializer};

use super::one_of::one_of;
use super::rendered::{Content, Rendered};
use crate::template::{self, Place, Template};

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
    /// Query parameters. A list stands for a parameter that is repeated.
    pub query: Pairs,
    /// Further headers.
    pub headers: IndexMap<String, Template>,
    /// What it carries.
    pub body: Option<Body>,
}

/// Names with values: a text, or a list of them for a name that is repeated.
pub type Pairs = IndexMap<String, Tree>;

/// The name under which a text stands that is all of the pairs: an object that the user gives.
const WHOLE: &str = "";

/// Pairs as they are written: an object, or one text that is an object.
#[derive(Debug, Default)]
pub(crate) struct WrittenPairs(pub(crate) Pairs);

impl<'de> Deserialize<'de> for WrittenPairs {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Visitor;

        impl<'de> serde::de::Visitor<'de> for Visitor {
            type Value = WrittenPairs;

            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("names with values, or one text that is an object of them")
            }

            fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<WrittenPairs, E> {
                let text = Template::new(text).map_err(E::custom)?;
                Ok(WrittenPairs(IndexMap::from([(WHOLE.into(), Tree::Text(text))])))
            }

            fn visit_map<A: serde::de::MapAccess<'de>>(
                self,
                map: A,
            ) -> Result<WrittenPairs, A::Error> {
                let deserializer = serde::de::value::MapAccessDeserializer::new(map);
                IndexMap::deserialize(deserializer).map(WrittenPairs)
            }
        }

        deserializer.deserialize_any(Visitor)
    }
}

impl JsonSchema for WrittenPairs {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Pairs".into()
    }

    fn json_schema(generator: &mut schemars::SchemaGenerator) -> schemars::Schema {
        let tree = generator.subschema_for::<Tree>();
        schemars::json_schema!({
            "description": "Names with values, or one text that is an object of them",
            "anyOf": [{ "type": "object", "additionalProperties": tree }, { "type": "string" }],
        })
    }
}

/// The members of what stands for all of the pairs.
fn whole(
    value: serde_json::Value,
) -> Result<serde_json::Map<String, serde_json::Value>, template::Error> {
    match value {
        serde_json::Value::Object(members) => Ok(members),
        other => Err(template::Error::Render {
            text: crate::text::clean(&other.to_string(), 40),
            problem: "it should be an object of names and values".into(),
        }),
    }
}

/// What a call carries.
#[derive(Debug, Clone, PartialEq)]
pub enum Body {
    /// JSON.
    Json(Tree),
    /// A form. An object in it is written as `name[member]`, a list by repeating the name.
    Form(Pairs),
    /// A text, whose type a header says.
    Text(Template),
}

/// A GraphQL document with its variables. Values are variables and never part of the text.
#[derive(Debug, Clone, PartialEq)]
pub struct Graphql {
    /// Where it is asked: the connector's `graphql_path`.
    pub path: Template,
    /// The document.
    pub text: String,
    /// Its variables.
    pub variables: Pairs,
    /// Further headers.
    pub headers: IndexMap<String, Template>,
}

/// A request, of either kind.
#[derive(Debug, Clone, PartialEq)]
pub enum Ask {
    /// By REST.
    Rest(Call),
    /// By GraphQL, at the connector's `graphql_path`.
    Graphql(Graphql),
}

impl Graphql {
    /// A document without variables.
    pub fn new(text: String) -> Self {
        Self {
            path: Template::plain("/graphql"),
            text,
            variables: IndexMap::new(),
            headers: IndexMap::new(),
        }
    }
}

impl Ask {
    /// Fills in `values`. Members, parameters and fields whose text speaks of a name in `absent`
    /// are left out.
    ///
    /// # Errors
    ///
    /// Those of [`Template::render`].
    pub fn render(
        &self,
        values: &serde_json::Value,
        absent: &[String],
    ) -> Result<Rendered, template::Error> {
        match self {
            Self::Rest(call) => call.render(values, absent),
            Self::Graphql(graphql) => {
                let mut variables = serde_json::Map::new();
                for (name, tree) in &graphql.variables {
                    if tree.speaks_of(absent) {
                        continue;
                    }
                    let value = tree.render_present(values, absent)?;
                    if name == WHOLE {
                        variables.extend(whole(value)?);
                    } else {
                        variables.insert(name.clone(), value);
                    }
                }
                let body = serde_json::json!({ "query": graphql.text, "variables": variables });
                Ok(Rendered {
                    method: Method::Post,
                    path: graphql.path.render(Place::Path, values)?,
                    query: Vec::new(),
                    headers: present_headers(&graphql.headers, values, absent)?,
                    content: Some(Content::Json(body)),
                })
            }
        }
    }

    /// Its further headers.
    pub fn headers(&self) -> &IndexMap<String, Template> {
        match self {
            Self::Rest(call) => &call.headers,
            Self::Graphql(graphql) => &graphql.headers,
        }
    }

    /// All its texts.
    pub fn texts(&self) -> Vec<&Template> {
        match self {
            Self::Rest(call) => call.texts(),
            Self::Graphql(graphql) => {
                let mut texts: Vec<_> = graphql.headers.values().chain([&graphql.path]).collect();
                graphql.variables.values().for_each(|tree| tree.texts(&mut texts));
                texts
            }
        }
    }

    /// Its GraphQL document, where it has one.
    pub(super) fn graphql_mut(&mut self) -> Option<&mut Graphql> {
        match self {
            Self::Graphql(graphql) => Some(graphql),
            Self::Rest(_) => None,
        }
    }
}

impl Call {
    /// As [`Ask::render`].
    ///
    /// # Errors
    ///
    /// Those of [`Template::render`].
    pub fn render(
        &self,
        values: &serde_json::Value,
        absent: &[String],
    ) -> Result<Rendered, template::Error> {
        let content = match &self.body {
            None => None,
            Some(Body::Json(tree)) => Some(Content::Json(tree.render_present(values, absent)?)),
            Some(Body::Form(fields)) => Some(Content::Form(pairs(fields, values, absent)?)),
            Some(Body::Text(text)) => Some(Content::Text(text.render(Place::Text, values)?)),
        };
        Ok(Rendered {
            method: self.method,
            path: self.path.render(Place::Path, values)?,
            query: pairs(&self.query, values, absent)?,
            headers: present_headers(&self.headers, values, absent)?,
            content,
        })
    }

    /// All its texts.
    pub fn texts(&self) -> Vec<&Template> {
        let mut texts: Vec<_> = self.headers.values().chain([&self.path]).collect();
        self.query.values().for_each(|tree| tree.texts(&mut texts));
        match &self.body {
            None => {}
            Some(Body::Json(tree)) => tree.texts(&mut texts),
            Some(Body::Form(fields)) => fields.values().for_each(|tree| tree.texts(&mut texts)),
            Some(Body::Text(text)) => texts.push(text),
        }
        texts
    }
}

/// As [`render_headers`], without those whose text speaks of a name in `absent`.
///
/// # Errors
///
/// Those of [`Template::render`].
fn present_headers(
    headers: &IndexMap<String, Template>,
    values: &serde_json::Value,
    absent: &[String],
) -> Result<Vec<(String, String)>, template::Error> {
    let is_present = |text: &Template| {
        absent.is_empty() || !text.names().iter().any(|name| absent.contains(name))
    };
    let present = headers.iter().filter(|(_, text)| is_present(text));
    render_headers(&present.map(|(name, text)| (name.clone(), text.clone())).collect(), values)
}

/// Headers with `values` filled in; one that comes to nothing is left out.
///
/// # Errors
///
/// Those of [`Template::render`].
pub fn render_headers(
    headers: &IndexMap<String, Template>,
    values: &serde_json::Value,
) -> Result<Vec<(String, String)>, template::Error> {
    let mut rendered = Vec::new();
    for (name, text) in headers {
        let text = text.render(Place::Header, values)?;
        if !text.trim().is_empty() {
            rendered.push((name.to_ascii_lowercase(), text));
        }
    }
    Ok(rendered)
}

/// The keys of a request as they stand among others.
#[derive(Debug, Default)]
pub(crate) struct WrittenAsk {
    pub(crate) methods: [Option<Template>; 5],
    pub(crate) graphql: Option<String>,
    pub(crate) variables: Pairs,
    pub(crate) query: Pairs,
    pub(crate) headers: IndexMap<String, Template>,
    pub(crate) json: Option<Tree>,
    pub(crate) form: Option<Pairs>,
    pub(crate) text: Option<Template>,
}

impl TryFrom<WrittenAsk> for Ask {
    type Error = String;

    fn try_from(written: WrittenAsk) -> Result<Self, String> {
        let [get, post, put, patch, delete] = written.methods;
        let with = |method| move |path| Some((method, path));
        let method = one_of([
            ("get", get.map(with(Method::Get))),
            ("post", post.map(with(Method::Post))),
            ("put", put.map(with(Method::Put))),
            ("patch", patch.map(with(Method::Patch))),
            ("delete", delete.map(with(Method::Delete))),
            ("graphql", written.graphql.as_ref().map(|_| None)),
        ])?;
        let body = one_or_none([
            ("json", written.json.map(Body::Json)),
            ("form", written.form.map(Body::Form)),
            ("text", written.text.map(Body::Text)),
        ])?;
        let (Some((method, path)), None) = (method, &written.graphql) else {
            if body.is_some() || !written.query.is_empty() {
                return Err("`graphql` goes with `variables`, and has no body of its own".into());
            }
            let text = written.graphql.unwrap_or_default();
            return Ok(Self::Graphql(Graphql {
                variables: written.variables,
                headers: written.headers,
                ..Graphql::new(text)
            }));
        };
        if !written.variables.is_empty() {
            return Err("`variables` are for `graphql`".into());
        }
        Ok(Self::Rest(Call { method, path, query: written.query, headers: written.headers, body }))
    }
}

/// As [`one_of`], for a choice that may be left out.
fn one_or_none<T>(
    choices: impl IntoIterator<Item = (&'static str, Option<T>)>,
) -> Result<Option<T>, String> {
    let given: Vec<_> = choices.into_iter().filter(|(_, choice)| choice.is_some()).collect();
    if given.is_empty() { Ok(None) } else { one_of(given).map(Some) }
}

/// A written form with the keys of a request among its own.
macro_rules! asking {
    (
        $(#[$meta:meta])*
        $visibility:vis struct $name:ident {
            $( $(#[$field_meta:meta])* $field_visibility:vis $field:ident: $type:ty, )*
        }
    ) => {
        #[derive(Deserialize, JsonSchema)]
        #[serde(deny_unknown_fields)]
        $(#[$meta])*
        $visibility struct $name {
            $( $(#[$field_meta])* $field_visibility $field: $type, )*
            /// GET this path.
            get: Option<$crate::template::Template>,
            /// POST to this path.
            post: Option<$crate::template::Template>,
            /// PUT to this path.
            put: Option<$crate::template::Template>,
            /// PATCH this path.
            patch: Option<$crate::template::Template>,
            /// DELETE this path.
            delete: Option<$crate::template::Template>,
            /// A GraphQL document, or the name of a file beside the connector that holds one.
            graphql: Option<String>,
            /// The variables of the document.
            #[serde(default)]
            variables: $crate::connector::call::WrittenPairs,
            /// Query parameters; a list is a parameter that is repeated.
            #[serde(default)]
            query: $crate::connector::call::WrittenPairs,
            /// Further headers.
            #[serde(default)]
            headers: indexmap::IndexMap<String, $crate::template::Template>,
            /// A body of JSON; its texts are templates.
            json: Option<$crate::connector::call::Tree>,
            /// A body that is a form; a list is a field that is repeated.
            form: Option<$crate::connector::call::WrittenPairs>,
            /// A body that is a text; a header says of what type.
            text: Option<$crate::template::Template>,
        }

        impl $name {
            /// The request among the keys, taken out of them.
            $visibility fn take_ask(&mut self) -> $crate::connector::call::WrittenAsk {
                $crate::connector::call::WrittenAsk {
                    methods: [
                        self.get.take(),
                        self.post.take(),
                        self.put.take(),
                        self.patch.take(),
                        self.delete.take(),
                    ],
                    graphql: self.graphql.take(),
                    variables: std::mem::take(&mut self.variables).0,
                    query: std::mem::take(&mut self.query).0,
                    headers: std::mem::take(&mut self.headers),
                    json: self.json.take(),
                    form: self.form.take().map(|form| form.0),
                    text: self.text.take(),
                }
            }
        }
    };
}

pub(crate) use asking;

asking! {
    /// The written form of an [`Ask`].
    #[schemars(rename = "Ask")]
    pub(crate) struct AskAlone {}
}

impl<'de> Deserialize<'de> for Ask {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let mut written = AskAlone::deserialize(deserializer)?;
        written.take_ask().try_into().map_err(serde::de::Error::custom)
    }
}

impl JsonSchema for Ask {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        AskAlone::schema_name()
    }

    fn json_schema(generator: &mut schemars::SchemaGenerator) -> schemars::Schema {
        AskAlone::json_schema(generator)
    }
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
    query: Pairs,
    /// Further headers.
    #[serde(default)]
    headers: IndexMap<String, Template>,
    /// A body of JSON; its texts are templates.
    json: Option<Tree>,
    /// A body that is a form.
    form: Option<Pairs>,
    /// A body that is a text; a header says of what type.
    text: Option<Template>,
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
        let body = one_or_none([
            ("json", written.json.map(Body::Json)),
            ("form", written.form.map(Body::Form)),
            ("text", written.text.map(Body::Text)),
        ])?;
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
    /// As [`Tree::render`], without the members and items whose text speaks of a name in `absent`.
    fn render_present(
        &self,
        values: &serde_json::Value,
        absent: &[String],
    ) -> Result<serde_json::Value, template::Error> {
        if absent.is_empty() {
            return self.render(values);
        }
        match self {
            Self::Text(_) | Self::Plain(_) => self.render(values),
            Self::List(items) => items
                .iter()
                .filter(|item| !item.speaks_of(absent))
                .map(|item| item.render_present(values, absent))
                .collect(),
            Self::Object(members) => members
                .iter()
                .filter(|(_, member)| !member.speaks_of(absent))
                .map(|(name, member)| Ok((name.clone(), member.render_present(values, absent)?)))
                .collect(),
        }
    }

    /// Whether it is a text that speaks of one of `names`, or holds such texts and nothing else: an
    /// empty object says something else than none.
    fn speaks_of(&self, names: &[String]) -> bool {
        if names.is_empty() {
            return false;
        }
        match self {
            Self::Text(text) => text.names().iter().any(|name| names.contains(name)),
            Self::Plain(_) => false,
            Self::List(items) => {
                !items.is_empty() && items.iter().all(|item| item.speaks_of(names))
            }
            Self::Object(members) => {
                !members.is_empty() && members.values().all(|member| member.speaks_of(names))
            }
        }
    }

    /// All its texts.
    pub fn texts<'a>(&'a self, into: &mut Vec<&'a Template>) {
        match self {
            Self::Text(text) => into.push(text),
            Self::Plain(_) => {}
            Self::List(items) => items.iter().for_each(|item| item.texts(into)),
            Self::Object(members) => members.values().for_each(|member| member.texts(into)),
        }
    }

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

/// Names with their values, in the order of the connector. A list is a name that is repeated, an
/// object is written as `name[member]`, and `null` is left out.
fn pairs(
    pairs: &Pairs,
    values: &serde_json::Value,
    absent: &[String],
) -> Result<Vec<(String, String)>, template::Error> {
    let mut rendered = Vec::new();
    for (name, tree) in pairs {
        if tree.speaks_of(absent) {
            continue;
        }
        let value = tree.render_present(values, absent)?;
        if name == WHOLE {
            whole(value)?.into_iter().for_each(|(name, it)| flatten(&name, it, &mut rendered));
        } else {
            flatten(name, value, &mut rendered);
        }
    }
    Ok(rendered)
}

fn flatten(name: &str, value: serde_json::Value, into: &mut Vec<(String, String)>) {
    use serde_json::Value;
    match value {
        Value::Null => {}
        Value::String(text) => into.push((name.into(), text)),
        Value::Bool(_) | Value::Number(_) => into.push((name.into(), value.to_string())),
        Value::Array(items) => items.into_iter().for_each(|item| flatten(name, item, into)),
        Value::Object(members) => members
            .into_iter()
            .for_each(|(member, value)| flatten(&format!("{name}[{member}]"), value, into)),
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
        let value = serde_json::Value::deserialize(deserializer)?;
        if let Some(number) = pointed(&value) {
            return Err(serde::de::Error::custom(format!(
                "`{number}` needs quotes, since 2.10 is not 2.1; where a number is meant, write \
                 `\"{{{{ {number} }}}}\"`"
            )));
        }
        value.try_into().map_err(serde::de::Error::custom)
    }
}

/// A number with a point somewhere in `value`: what was written there is gone.
fn pointed(value: &serde_json::Value) -> Option<&serde_json::Number> {
    match value {
        serde_json::Value::Number(number) => number.is_f64().then_some(number),
        serde_json::Value::Array(items) => items.iter().find_map(pointed),
        serde_json::Value::Object(members) => members.values().find_map(pointed),
        _ => None,
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
