//! JSON text that is cut up without being understood: records keep the very text they came as,
//! and what is not asked for is skipped.

use std::borrow::Cow;
use std::fmt;

use serde::Deserialize;
use serde::de::{Deserializer, IgnoredAny, MapAccess, Visitor};
use serde_json::value::RawValue;

/// The value at `path` in `text`. Of a name that occurs twice the last counts. None where there is
/// none, or where something on the way is no object.
pub(crate) fn at<'a>(text: &'a str, path: &[Box<str>]) -> Option<&'a str> {
    let Some((name, rest)) = path.split_first() else { return Some(text) };
    at(member(text, name)?, rest)
}

/// The member `name` of the object `text`.
fn member<'a>(text: &'a str, name: &str) -> Option<&'a str> {
    struct Find<'n>(&'n str);

    impl<'de> Visitor<'de> for Find<'_> {
        type Value = Option<&'de RawValue>;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("an object")
        }

        fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
            let mut found = None;
            while let Some(Name(name)) = map.next_key()? {
                if name == self.0 {
                    found = Some(map.next_value()?);
                } else {
                    map.next_value::<IgnoredAny>()?;
                }
            }
            Ok(found)
        }
    }

    let mut reader = serde_json::Deserializer::from_str(text);
    reader.deserialize_map(Find(name)).ok().flatten().map(RawValue::get)
}

#[derive(Deserialize)]
struct Name<'a>(#[serde(borrow)] Cow<'a, str>);

/// The items of the array `text`; none where it is no array.
pub(crate) fn items(text: &str) -> Option<Vec<&str>> {
    let items: Vec<&RawValue> = serde_json::from_str(text).ok()?;
    Some(items.into_iter().map(RawValue::get).collect())
}

/// A text, a number as written, `true` or `false`; none for anything else.
pub(crate) fn scalar(text: &str) -> Option<String> {
    match text.bytes().next()? {
        b'"' => serde_json::from_str(text).ok(),
        b'{' | b'[' | b'n' => None,
        _ => Some(text.to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn path(text: &str) -> Vec<Box<str>> {
        text.split('.').map(Into::into).collect()
    }

    #[test]
    fn a_value_is_found_as_it_was_written() {
        let text = r#"{"a": {"b" : [ 1.0 ,2 ]}, "a\u0062": 7, "c": 1, "c": 2, "d": null}"#;

        assert_eq!(at(text, &path("a.b")), Some("[ 1.0 ,2 ]"));
        assert_eq!(at(text, &path("ab")), Some("7"));
        assert_eq!(at(text, &path("c")), Some("2"));
        assert_eq!(at(text, &path("d")), Some("null"));
        assert_eq!(at(text, &path("d.e")), None);
        assert_eq!(at(text, &path("x")), None);
        assert_eq!(at("[1]", &path("a")), None);
        assert_eq!(at("[1]", &[]), Some("[1]"));
    }

    #[test]
    fn items_are_told_apart_without_being_read() {
        assert_eq!(
            items(r#"[ {"x":[1, 2]}, "a,b" ,3]"#),
            Some(vec![r#"{"x":[1, 2]}"#, r#""a,b""#, "3"])
        );
        assert_eq!(items("[]"), Some(vec![]));
        assert_eq!(items("{}"), None);
    }

    #[test]
    fn scalars_are_texts_and_numbers_as_written() {
        assert_eq!(scalar(r#""a\u00e9""#).as_deref(), Some("aé"));
        assert_eq!(scalar("9007199254740993").as_deref(), Some("9007199254740993"));
        assert_eq!(scalar("1.0").as_deref(), Some("1.0"));
        assert_eq!(scalar("true").as_deref(), Some("true"));
        for other in ["null", "{}", "[1]", r#""\ud800""#, ""] {
            assert_eq!(scalar(other), None, "{other}");
        }
    }
}
