//! Templates: minijinja for the texts of requests and messages.
//!
//! They are somebody else's program: rendered with fuel, without a loader, and by functions of the
//! language alone. A missing value is a fault and not an empty text, since an address with a hole
//! in it is another address. What a value may look like depends on where it goes ([`Place`]): a
//! value never leaves the place that the template gave it.

use std::fmt;
use std::sync::{Arc, LazyLock};

use minijinja::{AutoEscape, Environment, ErrorKind, UndefinedBehavior};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde::Deserialize;

/// How long a template's text may be, in bytes.
pub const MAX_LENGTH: usize = 64 * 1024;

/// How many steps of work one rendering may take.
const FUEL: u64 = 50_000;

/// How long a rendered text may be, in bytes.
pub const MAX_RENDERED: usize = 1024 * 1024;

/// A template whose syntax was checked. Cloning is cheap.
#[derive(Clone, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub struct Template(Arc<str>);

/// Where a rendered text goes, and so what the values in it may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Place {
    /// Plain text: a JSON value, a query value or a form field that is encoded afterwards.
    Text,
    /// A path: values are percent-encoded, so that none adds a segment or a query.
    Path,
    /// A header's value: one with CR, LF or another control character is refused.
    Header,
    /// The beginning of an address: a value may be letters, digits and `-._~:/[]`, so that none
    /// adds a user, a query or a fragment. Whether the host is one that may be called is asked of
    /// the whole address afterwards.
    Address,
    /// HTML: values are escaped.
    Html,
}

/// What is wrong with a template.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// It cannot be read.
    #[error("`{text}` is not a text with `{{{{ … }}}}`: {problem}")]
    Syntax {
        /// Its text.
        text: String,
        /// What is wrong.
        problem: String,
    },
    /// It speaks of a value that is not there.
    #[error("`{text}` needs a value that is not there")]
    Missing {
        /// Its text.
        text: String,
    },
    /// A value has characters that its place does not allow.
    #[error("`{text}` would put characters where they are not allowed")]
    Unfit {
        /// Its text.
        text: String,
    },
    /// It does not fit the values, or takes too much work.
    #[error("`{text}` cannot be filled in: {problem}")]
    Render {
        /// Its text.
        text: String,
        /// What is wrong.
        problem: String,
    },
}

impl Template {
    /// Checks `text`.
    ///
    /// # Errors
    ///
    /// When it is not a template.
    pub fn new(text: &str) -> Result<Self, Error> {
        if text.len() > MAX_LENGTH {
            let problem = format!("it is longer than {MAX_LENGTH} bytes");
            return Err(Error::Syntax { text: crate::text::clean(text, 40), problem });
        }
        ENVIRONMENT
            .template_from_named_str(Place::Text.name(), text)
            .map_err(|error| Error::Syntax { text: text.into(), problem: describe(&error) })?;
        Ok(Self(text.into()))
    }

    /// The text.
    pub fn text(&self) -> &str {
        &self.0
    }

    /// Whether it is the same for all values.
    pub fn is_plain(&self) -> bool {
        !["{{", "{%", "{#"].iter().any(|open| self.0.contains(open))
    }

    /// The names that it speaks of: `settings.shop`.
    pub fn names(&self) -> Vec<String> {
        let template = ENVIRONMENT.template_from_named_str(Place::Text.name(), &self.0);
        let names = template.map(|template| template.undeclared_variables(true));
        let mut names: Vec<_> = names.into_iter().flatten().collect();
        names.sort();
        names
    }

    /// Fills in `values` for `place`.
    ///
    /// # Errors
    ///
    /// When a value is missing or not allowed there, or too much work is asked for.
    pub fn render(&self, place: Place, values: &serde_json::Value) -> Result<String, Error> {
        if self.is_plain() {
            return Ok(self.0.to_string());
        }
        let rendered = ENVIRONMENT
            .render_named_str(place.name(), &self.0, value_of(values))
            .map_err(|error| self.failure(&error))?;
        if rendered.len() > MAX_RENDERED {
            let problem = "it grows too long".into();
            return Err(Error::Render { text: self.0.to_string(), problem });
        }
        Ok(rendered)
    }

    /// As [`Template::render`] into plain text; but a template that is one `{{ … }}` and nothing
    /// else keeps what that is: a number, a list.
    ///
    /// # Errors
    ///
    /// As [`Template::render`].
    pub fn value(&self, values: &serde_json::Value) -> Result<serde_json::Value, Error> {
        let Some(expression) = self.single_expression() else {
            return self.render(Place::Text, values).map(serde_json::Value::String);
        };
        let value = ENVIRONMENT
            .compile_expression(expression)
            .and_then(|expression| expression.eval(value_of(values)))
            .map_err(|error| self.failure(&error))?;
        if value.is_undefined() {
            return Err(Error::Missing { text: self.0.to_string() });
        }
        serde_json::to_value(value).map_err(|error| Error::Render {
            text: self.0.to_string(),
            problem: crate::text::clean(&error.to_string(), 200),
        })
    }

    fn single_expression(&self) -> Option<&str> {
        let inner = self.0.trim().strip_prefix("{{")?.strip_suffix("}}")?;
        let inner = inner.trim_matches('-');
        (!inner.contains("{{") && !inner.contains("}}") && !inner.contains("{%")).then_some(inner)
    }

    fn failure(&self, error: &minijinja::Error) -> Error {
        let text = self.0.to_string();
        match error.kind() {
            ErrorKind::UndefinedError => Error::Missing { text },
            ErrorKind::BadEscape => Error::Unfit { text },
            _ => Error::Render { text, problem: describe(error) },
        }
    }
}

impl Place {
    /// The name of a template decides how its values are escaped.
    const fn name(self) -> &'static str {
        match self {
            Self::Text => "text",
            Self::Path => "path",
            Self::Header => "header",
            Self::Address => "address",
            Self::Html => "html",
        }
    }
}

/// All bytes that may not stand in a path segment as they are.
const SEGMENT: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

static ENVIRONMENT: LazyLock<Environment<'static>> = LazyLock::new(|| {
    let mut environment = Environment::new();
    environment.set_fuel(Some(FUEL));
    environment.set_recursion_limit(100);
    environment.set_undefined_behavior(UndefinedBehavior::Strict);
    environment.set_auto_escape_callback(|name| match name {
        "path" => AutoEscape::Custom("path".into()),
        "header" => AutoEscape::Custom("header".into()),
        "address" => AutoEscape::Custom("address".into()),
        "html" => AutoEscape::Html,
        _ => AutoEscape::None,
    });
    environment.set_formatter(|out, state, value| match state.auto_escape() {
        AutoEscape::Custom(place) => {
            let text = printed(value)?;
            let fitted = fit(place, &text)
                .ok_or_else(|| minijinja::Error::new(ErrorKind::BadEscape, "not allowed here"))?;
            out.write_str(&fitted).map_err(minijinja::Error::from)
        }
        _ => minijinja::escape_formatter(out, state, value),
    });
    environment
});

/// JSON as values of the language. A number that would not be printed as it was written, such as
/// `19.90` or an id of 25 digits, becomes a text.
fn value_of(json: &serde_json::Value) -> minijinja::Value {
    use serde_json::Value;
    match json {
        Value::Null => minijinja::Value::from(()),
        Value::Bool(value) => (*value).into(),
        Value::Number(number) => number_of(number),
        Value::String(text) => text.as_str().into(),
        Value::Array(items) => items.iter().map(value_of).collect(),
        // Collecting pairs would make a list of them.
        Value::Object(members) => minijinja::Value::from_pairs(
            members.iter().map(|(name, value)| (name.clone(), value_of(value))),
        ),
    }
}

fn number_of(number: &serde_json::Number) -> minijinja::Value {
    let written = number.to_string();
    if let Some(number) = number.as_i64() {
        return number.into();
    }
    match number.as_f64() {
        Some(number) if number.to_string() == written => number.into(),
        _ => written.into(),
    }
}

/// A value as it is printed; one that is missing or `none` has no print.
fn printed(value: &minijinja::Value) -> Result<String, minijinja::Error> {
    if value.is_undefined() || value.is_none() {
        return Err(minijinja::Error::from(ErrorKind::UndefinedError));
    }
    Ok(value.to_string())
}

/// `text` as it may stand in `place`.
fn fit(place: &str, text: &str) -> Option<String> {
    match place {
        "path" => match text {
            // These two would be taken for steps, encoded or not.
            "." | ".." => None,
            text => Some(utf8_percent_encode(text, SEGMENT).to_string()),
        },
        "header" => (!text.chars().any(char::is_control)).then(|| text.to_owned()),
        "address" => {
            let allowed =
                |letter: char| letter.is_ascii_alphanumeric() || "-._~:/[]".contains(letter);
            text.chars().all(allowed).then(|| text.to_owned())
        }
        _ => Some(text.to_owned()),
    }
}

fn describe(error: &minijinja::Error) -> String {
    let text = error.detail().map_or_else(|| error.kind().to_string(), str::to_owned);
    crate::text::clean(&text, 200)
}

impl TryFrom<String> for Template {
    type Error = Error;

    fn try_from(text: String) -> Result<Self, Error> {
        Self::new(&text)
    }
}

impl fmt::Debug for Template {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Template({:?})", self.0)
    }
}

impl schemars::JsonSchema for Template {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Template".into()
    }

    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({
            "type": "string",
            "description": "A text with values, such as {{ settings.shop }}",
        })
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn values_are_found_by_name_at_any_depth() {
        let template = Template::new("{{ settings.shop }}/{{ cursor }}/{{ list[1] }}").unwrap();
        let values = json!({ "settings": { "shop": "acme" }, "cursor": 7, "list": ["a", "b"] });

        assert_eq!(template.render(Place::Text, &values).as_deref(), Ok("acme/7/b"));
    }
}
