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
    /// Whether it is shown only to those who look for more: a default that is right for most.
    #[serde(default)]
    pub advanced: bool,
    /// Whether its value goes into the vault. Only among the fields of a way in.
    #[serde(default)]
    pub secret: bool,
    /// The values that it may have: a list, or values with their titles.
    #[serde(default)]
    pub choices: Choices,
}

/// Values that a field may have, with their titles: `[us, eu]`, or `{ us: United States, … }`.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Choices(pub IndexMap<String, String>);

impl<'de> Deserialize<'de> for Choices {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Visitor;

        impl<'de> serde::de::Visitor<'de> for Visitor {
            type Value = Choices;

            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("a list of values, or values with their titles")
            }

            fn visit_seq<A: serde::de::SeqAccess<'de>>(
                self,
                mut items: A,
            ) -> Result<Choices, A::Error> {
                let mut choices = IndexMap::new();
                while let Some(value) = items.next_element::<String>()? {
                    choices.insert(value.clone(), value);
                }
                Ok(Choices(choices))
            }

            fn visit_map<A: serde::de::MapAccess<'de>>(self, map: A) -> Result<Choices, A::Error> {
                let deserializer = serde::de::value::MapAccessDeserializer::new(map);
                IndexMap::deserialize(deserializer).map(Choices)
            }
        }

        deserializer.deserialize_any(Visitor)
    }
}

impl JsonSchema for Choices {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Choices".into()
    }

    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({
            "description": "Values that it may have: a list, or values with their titles",
            "anyOf": [
                { "type": "array", "items": { "type": "string" } },
                { "type": "object", "additionalProperties": { "type": "string" } },
            ],
        })
    }
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
            Some(value) if !self.choices.0.is_empty() && !self.choices.0.contains_key(value) => {
                let known: Vec<_> = self.choices.0.keys().map(|it| format!("`{it}`")).collect();
                Some(format!("is none of {}", known.join(", ")))
            }
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
