//! Patterns: what the whole of a value must look like.

use std::fmt;

use regex::{Regex, RegexBuilder};
use serde::Deserialize;

/// A regular expression for a whole value, whether or not it is written with `^` and `$`.
#[derive(Clone, Deserialize)]
#[serde(try_from = "String")]
pub struct Pattern {
    text: String,
    regex: Regex,
}

impl Pattern {
    /// Compiles `text`.
    ///
    /// # Errors
    ///
    /// A sentence with what is wrong.
    pub fn new(text: &str) -> Result<Self, String> {
        // Anchors of its own, since one without them would let `x.evil.example/?shop.example` in.
        let regex = RegexBuilder::new(&format!(r"\A(?:{text})\z"))
            .size_limit(1 << 20)
            .build()
            .map_err(|_| format!("`{text}` is not a regular expression"))?;
        Ok(Self { text: text.into(), regex })
    }

    /// Whether the whole of `value` matches.
    pub fn matches(&self, value: &str) -> bool {
        self.regex.is_match(value)
    }

    /// Whether `value` begins with what matches.
    pub fn begins(&self, value: &str) -> bool {
        // The whole is wanted of what is written; here what follows is left open.
        let text = format!(r"\A(?:{})", self.text);
        RegexBuilder::new(&text).size_limit(1 << 20).build().is_ok_and(|it| it.is_match(value))
    }

    /// As it was written.
    pub fn text(&self) -> &str {
        &self.text
    }
}

impl TryFrom<String> for Pattern {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        Self::new(&text)
    }
}

impl fmt::Debug for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Pattern({:?})", self.text)
    }
}

impl fmt::Display for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl PartialEq for Pattern {
    fn eq(&self, other: &Self) -> bool {
        self.text == other.text
    }
}

impl schemars::JsonSchema for Pattern {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Pattern".into()
    }

    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({
            "type": "string",
            "format": "regex",
            "description": "A regular expression that the whole value must match",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pattern_is_for_the_whole_value() {
        let pattern = Pattern::new("[a-z]+\\.example").unwrap();

        assert!(pattern.matches("shop.example"));
        assert!(!pattern.matches("shop.example/?x"));
        assert!(!pattern.matches("shop.example\n"));
    }

    #[test]
    fn alternatives_are_whole_too() {
        assert!(!Pattern::new("a|b").unwrap().matches("ab"));
    }
}
