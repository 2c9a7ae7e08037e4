//! JSON of other people, with its numbers as they were written.
//!
//! Ids above 2^53 and amounts such as `19.90` come through unchanged: a whole number has any size,
//! and any other number is kept as its text. Whoever sends a body chooses its depth and the length
//! of its numbers, and the stack and the time to read them are ours: both have a limit.

use std::fmt;

use jaq_json::{Num, Val};
use serde::de::IgnoredAny;

/// How deep arrays and objects may be nested.
pub const MAX_DEPTH: usize = 200;

/// How many digits a number may have.
pub const MAX_DIGITS: usize = 1_000;

/// How many values there may be. Five bytes can be a value that takes four hundred in memory, and
/// a stranger may send several million bytes.
pub const MAX_VALUES: usize = 100_000;

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
    /// A number with more digits than [`MAX_DIGITS`].
    #[error("a number with more than {MAX_DIGITS} digits")]
    TooLong,
    /// More values than the reader takes.
    #[error("JSON of more than {0} values")]
    TooMany(usize),
}

impl Json {
    /// Reads one value.
    ///
    /// # Errors
    ///
    /// When `bytes` are not one JSON value, or one that is beyond a limit.
    pub fn parse(bytes: &[u8]) -> Result<Self, Error> {
        Self::parse_up_to(bytes, MAX_VALUES)
    }

    /// The same with another limit on how many values there are.
    ///
    /// # Errors
    ///
    /// As [`Json::parse`].
    pub fn parse_up_to(bytes: &[u8], values: usize) -> Result<Self, Error> {
        // jaq reads more than JSON (comments, NaN), and recurses. This looks through all of it
        // without recursion first, so that the limits below see what jaq will see.
        serde_json::from_slice::<IgnoredAny>(bytes)
            .map_err(|error| Error::Syntax(error.to_string()))?;
        check_limits(bytes, values)?;
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

    /// An array of these items.
    pub fn array(items: impl IntoIterator<Item = Json>) -> Self {
        Self(items.into_iter().map(|item| item.0).collect())
    }

    /// The same object with this member too; anything else as it is.
    pub fn with(&self, name: &str, value: Json) -> Self {
        match &self.0 {
            Val::Obj(_) => {
                let members = self.members();
                let name = name.to_owned();
                let members = members.into_iter().filter(|(other, _)| *other != name);
                let members: Vec<_> = members.chain([(name.clone(), value)]).collect();
                Self::object(members.iter().map(|(name, value)| (name.as_str(), value.clone())))
            }
            _ => self.clone(),
        }
    }

    /// Names and values of an object; nothing of anything else.
    pub fn members(&self) -> Vec<(String, Json)> {
        match &self.0 {
            Val::Obj(members) => members
                .iter()
                .filter_map(|(name, value)| {
                    Some((Self(name.clone()).as_text()?, Self(value.clone())))
                })
                .collect(),
            _ => Vec::new(),
        }
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

/// How deep the brackets outside of texts are nested, how long the runs of digits are, and how many
/// values there are. `bytes` must be JSON.
pub(crate) fn check_limits(bytes: &[u8], values: usize) -> Result<(), Error> {
    let (mut depth, mut digits, mut found) = (0usize, 0usize, 1usize);
    let (mut in_text, mut escaped) = (false, false);
    for byte in bytes {
        if in_text {
            match byte {
                _ if escaped => escaped = false,
                b'\\' => escaped = true,
                b'"' => in_text = false,
                _ => {}
            }
            continue;
        }
        digits = if byte.is_ascii_digit() { digits + 1 } else { 0 };
        match byte {
            b'"' => in_text = true,
            b'[' | b'{' => {
                depth += 1;
                found += 1;
            }
            b']' | b'}' => depth = depth.saturating_sub(1),
            b',' => found += 1,
            _ => {}
        }
        if depth > MAX_DEPTH {
            return Err(Error::TooDeep);
        }
        if digits > MAX_DIGITS {
            return Err(Error::TooLong);
        }
        if found > values {
            return Err(Error::TooMany(values));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn what_is_read_is_written_again() {
        for text in
            [r#"{"b":1.50,"a":[null,true,"x\n\u00e9"],"n":-0.0}"#, "9007199254740993", "[]", "\"\""]
        {
            let json = Json::parse(text.as_bytes()).unwrap();
            assert_eq!(Json::parse(json.to_string().as_bytes()).unwrap(), json);
            let ours: serde_json::Value = serde_json::from_str(&json.to_string()).unwrap();
            assert_eq!(ours, serde_json::from_str::<serde_json::Value>(text).unwrap());
        }
    }

    #[test]
    fn nesting_has_an_end_whoever_sends_it() {
        let nested = |depth: usize| format!("{}1{}", "[".repeat(depth), "]".repeat(depth));

        assert!(Json::parse(nested(MAX_DEPTH).as_bytes()).is_ok());
        assert_eq!(Json::parse(nested(MAX_DEPTH + 1).as_bytes()), Err(Error::TooDeep));
        assert!(Json::parse("{\"a\":".repeat(1_000_000).as_bytes()).is_err());
        assert_eq!(Json::parse(nested(1_000_000).as_bytes()), Err(Error::TooDeep));
        let after_a_comment = format!("# \"\n{}", nested(1_000_000));
        assert!(matches!(Json::parse(after_a_comment.as_bytes()), Err(Error::Syntax(_))));
        let brackets_in_text = format!("\"{}\"", "[".repeat(1_000));
        assert!(Json::parse(brackets_in_text.as_bytes()).is_ok());
        let after_a_quote = format!(r#"["\"",{}]"#, nested(1_000_000));
        assert_eq!(Json::parse(after_a_quote.as_bytes()), Err(Error::TooDeep));
    }

    #[test]
    fn a_number_has_an_end() {
        let number = |digits: usize| format!("[{}]", "7".repeat(digits));

        assert!(Json::parse(number(MAX_DIGITS).as_bytes()).is_ok());
        assert_eq!(Json::parse(number(MAX_DIGITS + 1).as_bytes()), Err(Error::TooLong));
        assert!(Json::parse(format!("\"{}\"", "7".repeat(5_000)).as_bytes()).is_ok());
    }

    #[test]
    fn values_have_an_end() {
        let values = |count: usize| format!("[{}1]", "{\"\":[1,2]},".repeat(count / 4));

        assert!(Json::parse(values(MAX_VALUES - 4).as_bytes()).is_ok());
        let failed = Json::parse(values(MAX_VALUES + 4).as_bytes());
        assert_eq!(failed, Err(Error::TooMany(MAX_VALUES)));
        assert!(Json::parse(format!("\"{}\"", ",[".repeat(MAX_VALUES)).as_bytes()).is_ok());
    }

    #[test]
    fn what_only_jq_takes_for_json_is_not_json() {
        for text in [
            "", "1 2", "{a:1}", "NaN", "Infinity", "b\"x\"", "# x\n1", "+1", "{1:2}", "[1,]", "nul",
        ] {
            assert!(Json::parse(text.as_bytes()).is_err(), "{text}");
        }
    }

    proptest! {
        #[test]
        fn no_bytes_make_it_panic(bytes in prop::collection::vec(any::<u8>(), 0..60)) {
            let _ = Json::parse(&bytes);
        }

        #[test]
        fn no_brackets_get_around_the_limit(
            tokens in prop::collection::vec(
                prop::sample::select(vec!["[", "{", "\"", "\\", "]", "}", ",", ":", "1", "#", "\n"]),
                0..2000,
            ),
        ) {
            let _ = Json::parse(tokens.concat().as_bytes());
        }
    }
}
