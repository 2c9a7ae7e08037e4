//! Text with `{name}` in it, as definitions of tunnels write arguments and addresses.
//!
//! Deliberately not a template language: a value is put in as it is, and there is nothing else.

use serde::{Deserialize, Deserializer};

/// Text in which values are put.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Template {
    pieces: Vec<Piece>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Piece {
    Text(String),
    Value(String),
}

impl Template {
    /// The names of the values that it needs.
    pub(super) fn names(&self) -> impl Iterator<Item = &str> {
        self.pieces.iter().filter_map(|piece| match piece {
            Piece::Value(name) => Some(name.as_str()),
            Piece::Text(_) => None,
        })
    }

    /// The text with its values; none where one of them is missing.
    pub(super) fn fill<'a>(&self, value: impl Fn(&str) -> Option<&'a str>) -> Option<String> {
        self.pieces
            .iter()
            .map(|piece| match piece {
                Piece::Text(text) => Some(text.clone()),
                Piece::Value(name) => value(name).map(str::to_owned),
            })
            .collect()
    }

    fn parse(text: &str) -> Result<Self, String> {
        let mut pieces = Vec::new();
        let mut rest = text;
        while let Some((before, after)) = rest.split_once('{') {
            let (name, after) = after
                .split_once('}')
                .ok_or_else(|| format!("`{text}` has a `{{` that nothing closes"))?;
            if name.is_empty()
                || !name.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_')
            {
                return Err(format!("`{{{name}}}` is no name of a value"));
            }
            if !before.is_empty() {
                pieces.push(Piece::Text(before.into()));
            }
            pieces.push(Piece::Value(name.into()));
            rest = after;
        }
        if !rest.is_empty() {
            pieces.push(Piece::Text(rest.into()));
        }
        Ok(Self { pieces })
    }
}

impl<'de> Deserialize<'de> for Template {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        Self::parse(&text).map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_put_in_as_they_are() {
        let template = Template::parse("{host}:{port}/x").unwrap();
        let value = |name: &str| (name == "host").then_some("{port}");

        assert_eq!(template.names().collect::<Vec<_>>(), ["host", "port"]);
        assert_eq!(template.fill(|name| value(name).or(Some("1"))).unwrap(), "{port}:1/x");
        assert_eq!(template.fill(value), None);
    }

    #[test]
    fn braces_that_hold_no_name_are_refused() {
        for text in ["{", "{}", "a{b", "{a b}", "{A}"] {
            assert!(Template::parse(text).is_err(), "{text}");
        }
    }
}
