//! Requests with their values filled in, and putting further values where a request takes them.

use serde_json::Value;

use super::call::Method;

/// A request with its values filled in, without its host.
#[derive(Debug, Clone, PartialEq)]
pub struct Rendered {
    /// How.
    pub method: Method,
    /// A path below `base_url`, encoded; or a whole address.
    pub path: String,
    /// The query, not encoded.
    pub query: Vec<(String, String)>,
    /// Further headers; none is empty.
    pub headers: Vec<(String, String)>,
    /// What it carries.
    pub content: Option<Content>,
}

/// What a request carries, its values filled in.
#[derive(Debug, Clone, PartialEq)]
pub enum Content {
    /// JSON.
    Json(Value),
    /// A form, not encoded.
    Form(Vec<(String, String)>),
    /// A text.
    Text(String),
}

impl Rendered {
    /// Puts a value into the query, in place of what stands there under this name.
    pub fn put_param(&mut self, name: &str, value: &Value) {
        self.query.retain(|(it, _)| it != name);
        self.query.push((name.to_owned(), text(value)));
    }

    /// Puts a value into the variables of a GraphQL document.
    pub fn put_variable(&mut self, name: &str, value: Value) {
        if let Some(Content::Json(body)) = &mut self.content {
            put(body, &format!("variables.{name}"), value);
        }
    }

    /// Puts a value into the body: names with dots between them, numbers for places in lists.
    pub fn put_body(&mut self, path: &str, value: Value) {
        match self.content.get_or_insert_with(|| Content::Json(Value::Object(Default::default()))) {
            Content::Json(body) => put(body, path, value),
            Content::Form(fields) => {
                fields.retain(|(name, _)| name != path);
                fields.push((path.to_owned(), text(&value)));
            }
            Content::Text(_) => {}
        }
    }
}

fn put(into: &mut Value, path: &str, value: Value) {
    let (name, rest) = path.split_once('.').map_or((path, None), |(name, rest)| (name, Some(rest)));
    let place = match into {
        Value::Array(items) => {
            let place = name.parse::<usize>().ok().and_then(|place| items.get_mut(place));
            let Some(place) = place else { return };
            place
        }
        other => {
            if !other.is_object() {
                *other = Value::Object(Default::default());
            }
            &mut other[name]
        }
    };
    match rest {
        Some(rest) => put(place, rest, value),
        None => *place = value,
    }
}

fn text(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}
