//! JSON of other people, with its numbers as they were written.
//!
//! Ids above 2^53 and amounts such as `19.90` come through unchanged: a whole number has any size,
//! and any other number is kept as its text. Parsing refuses nesting beyond [`MAX_DEPTH`], since
//! whoever sends a body chooses its depth and a parser's stack is ours.

use std::fmt;

use jaq_json::{Num, Val};

/// How deep arrays and objects may be nested.
pub const MAX_DEPTH: usize = 200;

/// A JSON value.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Json(pub(crate) Val);

/// Why bytes are not JSON that we take.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// Not JSON at all, or not JSON to the end.
    #[error("not JSON: {0}")]
    Syntax(String),
    /// Nested deeper than [`MAX_DEPTH`].
    #[error("JSON nested deeper than {MAX_DEPTH} levels")]
    TooDeep,
}

impl Json {
    /// Reads one value.
    ///
    /// # Errors
    ///
    /// When `bytes` are not one JSON value, or one that is nested too deep.
    pub fn parse(bytes: &[u8]) -> Result<Self, Error> {
        check_depth(bytes)?;
        jaq_json::read::parse_single(bytes)
            .map(Self)
            .map_err(|error| Error::Syntax(error.to_string()))
    }

    /// A text.
    pub fn text(text: impl Into<String>) -> Self {
        Self(Val::utf8_str(text.into().into_bytes()))
    }

    /// An object of these members, in this order.
    pub fn object<'a>(members: impl IntoIterator<Item = (&'a str, Json)>) -> Self {
        let members = members.into_iter().map(|(key, value)| (Self::text(key).0, value.0));
        Self(Val::obj(members.collect()))
    }

    /// Whether it is `null`.
    pub fn is_null(&self) -> bool {
        matches!(self.0, Val::Null)
    }

    /// Whether jq would take it for true: anything but `null` and `false`.
    pub fn is_true(&self) -> bool {
        !matches!(self.0, Val::Null | Val::Bool(false))
    }

    /// The text, the number as written, or `true` or `false`; none for anything else.
    pub fn as_text(&self) -> Option<String> {
        match &self.0 {
            Val::TStr(bytes) | Val::BStr(bytes) => {
                Some(String::from_utf8_lossy(bytes).into_owned())
            }
            Val::Num(_) | Val::Bool(_) => Some(self.to_string()),
            Val::Null | Val::Arr(_) | Val::Obj(_) => None,
        }
    }

    /// The whole number, where it is one that fits.
    pub fn as_i64(&self) -> Option<i64> {
        match &self.0 {
            Val::Num(Num::Int(number)) => i64::try_from(*number).ok(),
            _ => None,
        }
    }

    /// The items, where it is an array.
    pub fn as_array(&self) -> Option<impl ExactSizeIterator<Item = Json>> {
        match &self.0 {
            Val::Arr(items) => Some(items.iter().cloned().map(Json)),
            _ => None,
        }
    }

    /// The member of this name, where it is an object that has it.
    pub fn get(&self, name: &str) -> Option<Json> {
        match &self.0 {
            Val::Obj(members) => members.get(&Self::text(name).0).cloned().map(Json),
            _ => None,
        }
    }
}

/// The JSON text.
impl fmt::Display for Json {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl From<&serde_json::Value> for Json {
    fn from(value: &serde_json::Value) -> Self {
        use serde_json::Value;
        match value {
            Value::Null => Self(Val::Null),
            Value::Bool(value) => Self(Val::Bool(*value)),
            Value::Number(number) => Self::parse(number.to_string().as_bytes()).unwrap_or_default(),
            Value::String(text) => Self::text(text.clone()),
            Value::Array(items) => Self(items.iter().map(|item| Self::from(item).0).collect()),
            Value::Object(members) => {
                Self::object(members.iter().map(|(key, value)| (key.as_str(), value.into())))
            }
        }
    }
}

/// Refuses what is nested deeper than [`MAX_DEPTH`].
pub(crate) fn check_depth(bytes: &[u8]) -> Result<(), Error> {
    if nesting(bytes) > MAX_DEPTH { Err(Error::TooDeep) } else { Ok(()) }
}

/// How deep the brackets outside of texts are nested, as far as that can be told without parsing.
fn nesting(bytes: &[u8]) -> usize {
    let (mut depth, mut deepest) = (0usize, 0usize);
    let (mut in_text, mut escaped) = (false, false);
    for byte in bytes {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if in_text => escaped = true,
            b'"' => in_text = !in_text,
            b'[' | b'{' if !in_text => {
                depth += 1;
                deepest = deepest.max(depth);
            }
            b']' | b'}' if !in_text => depth = depth.saturating_sub(1),
            _ => {}
        }
    }
    deepest
}
