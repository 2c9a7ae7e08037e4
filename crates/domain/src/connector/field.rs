//! Fields: what the user fills in for a connection or an inbox.

use indexmap::IndexMap;
use schemars::JsonSchema;
use serde::Deserialize;

use super::pattern::Pattern;

/// A field as a connector writes it, under its name.
#[derive(Debug, Clone, PartialEq, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Field {
    /// What it is called on the form.
    pub title: String,
    /// Where to find the value, in a sentence.
    #[serde(default)]
    pub help: Option<String>,
    /// A value that somebody could have.
    #[serde(default)]
    pub example: Option<String>,
    /// What the whole value must match. Needed where the value becomes part of a host.
    #[serde(default)]
    pub pattern: Option<Pattern>,
    /// The value where none is given.
    #[serde(default)]
    pub default: Option<String>,
    /// Whether it may be left empty.
    #[serde(default)]
    pub optional: bool,
}

/// Fields by name, in the order of the form.
pub type Fields = IndexMap<String, Field>;

/// A field as a form shows it.
#[derive(Debug, Clone, PartialEq)]
pub struct FormField {
    /// Its name in `settings` or `secrets`.
    pub name: String,
    /// What is known of it.
    pub field: Field,
    /// Whether its value goes into the vault.
    pub secret: bool,
}

impl Field {
    /// A field that has only a title.
    pub(crate) fn titled(title: &str, help: &str) -> Self {
        Self { title: title.into(), help: Some(help.into()), ..Self::default() }
    }

    /// What is wrong with `value`, as the end of a sentence that begins with the field's name.
    pub fn problem(&self, value: Option<&str>) -> Option<String> {
        match value.filter(|value| !value.is_empty()) {
            None if self.optional || self.default.is_some() => None,
            None => Some("is missing".into()),
            Some(value) => match &self.pattern {
                Some(pattern) if !pattern.matches(value) => Some(match &self.example {
                    Some(example) => format!("does not look like `{example}`"),
                    None => format!("does not match `{pattern}`"),
                }),
                _ => None,
            },
        }
    }
}
