//! Putting a value where a request takes it.

use serde_json::Value;

use crate::connector::{Content, Rendered};

/// Into the query, in place of what stands there under this name.
pub(super) fn param(rendered: &mut Rendered, name: &str, value: &Value) {
    rendered.query.retain(|(it, _)| it != name);
    rendered.query.push((name.to_owned(), text(value)));
}

/// Into the variables of a GraphQL document.
pub(super) fn variable(rendered: &mut Rendered, name: &str, value: Value) {
    if let Some(Content::Json(body)) = &mut rendered.content {
        body["variables"][name] = value;
    }
}

/// Into the body: names with dots between them, numbers for places in lists.
pub(super) fn body(rendered: &mut Rendered, path: &str, value: Value) {
    match rendered.content.get_or_insert_with(|| Content::Json(Value::Object(Default::default()))) {
        Content::Json(body) => put(body, path, value),
        Content::Form(fields) => {
            fields.retain(|(name, _)| name != path);
            fields.push((path.to_owned(), text(&value)));
        }
        Content::Text(_) => {}
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
