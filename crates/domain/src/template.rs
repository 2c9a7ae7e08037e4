//! Templates: minijinja for the texts of requests and messages.
//!
//! They are somebody else's program: rendered with fuel, without a loader, and by functions of the
//! language alone. A missing value is a fault and not an empty text, since an address with a hole
//! in it is another address. What a value may look like depends on where it goes ([`Place`]): a
//! value never leaves the place that the template gave it.

use std::fmt;
use std::sync::{Arc, LazyLock};

use md5::{Digest as _, Md5};
use minijinja::syntax::SyntaxConfig;
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
#[derive(Clone, PartialEq, Eq)]
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
    /// adds a user, a query or a fragment. One setting alone is an address that the user typed,
    /// and may have a query. Whether the host is one that may be called is asked of the whole
    /// address afterwards.
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

    /// A text without values.
    pub(crate) fn plain(text: &str) -> Self {
        Self(text.into())
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

    /// What it says that the language does not know, such as a filter: it is filled in with values
    /// of several kinds, since what it says of a value is only looked at when it has one.
    pub(crate) fn unknown(&self) -> Option<String> {
        if self.is_plain() {
            return None;
        }
        let kinds = [serde_json::json!("1"), serde_json::json!(1), serde_json::json!(["1"])];
        kinds.iter().find_map(|kind| {
            let mut values = serde_json::Map::new();
            self.names().iter().for_each(|name| put(&mut values, name, kind));
            let values = value_of(&serde_json::Value::Object(values));
            let error = ENVIRONMENT.render_named_str(Place::Text.name(), &self.0, values).err()?;
            let what = match error.kind() {
                ErrorKind::UnknownFilter => "filter",
                ErrorKind::UnknownTest => "test",
                ErrorKind::UnknownFunction => "function",
                ErrorKind::UnknownMethod => "method",
                _ => return None,
            };
            let detail = describe(&error);
            let named = detail.split_whitespace().nth(1).unwrap_or(what).trim_matches('\'');
            let mut problem = format!("`{}` has a {what} that is not there: `{named}`", self.0);
            if what == "filter" {
                let known: Vec<_> = FILTERS.iter().map(|name| format!("`{name}`")).collect();
                problem.push_str(&format!(", expected one of {}", known.join(", ")));
            }
            Some(problem)
        })
    }

    /// Whether it is one setting and nothing else: `{{ settings.url }}`.
    pub fn is_one_setting(&self) -> bool {
        let name =
            self.single_expression().and_then(|inner| inner.trim().strip_prefix("settings."));
        name.is_some_and(|name| {
            name.chars().all(|letter| letter.is_ascii_alphanumeric() || letter == '_')
        })
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
        let name = match place {
            Place::Address if self.is_one_setting() => "whole address",
            place => place.name(),
        };
        let rendered = ENVIRONMENT
            .render_named_str(name, &self.0, value_of(values))
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
    /// The name of a template decides what its values may do.
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

/// The filters that texts are likely to want, for whoever mistyped one.
pub(crate) const FILTERS: &[&str] = &[
    "abs", "default", "first", "float", "int", "items", "join", "last", "length", "list", "lower",
    "map", "max", "md5", "min", "objects", "pairs", "path", "replace", "reverse", "round",
    "select", "slice", "sort", "split", "string", "sum", "title", "trim", "unique", "upper",
];

/// Puts `value` under a name with dots.
fn put(
    into: &mut serde_json::Map<String, serde_json::Value>,
    name: &str,
    value: &serde_json::Value,
) {
    match name.split_once('.') {
        None => {
            into.entry(name).or_insert_with(|| value.clone());
        }
        Some((first, rest)) => {
            let below = into.entry(first).or_insert_with(|| serde_json::json!({}));
            if !below.is_object() {
                *below = serde_json::json!({});
            }
            if let serde_json::Value::Object(below) = below {
                put(below, rest, value);
            }
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
    // What ends a template ends its text too: a trailing line break is part of it.
    if let Ok(syntax) = SyntaxConfig::builder().keep_trailing_newline(true).build() {
        environment.set_syntax(syntax);
    }
    environment.set_auto_escape_callback(|name| match name {
        "html" => AutoEscape::Html,
        _ => AutoEscape::None,
    });
    // Some derive a password from a secret by it; as a proof of anything it is worth nothing.
    environment.add_filter("md5", |text: &str| hex::encode(Md5::digest(text.as_bytes())));
    // A list of texts as a list of objects with one member each.
    environment.add_filter("objects", |items: Vec<minijinja::Value>, name: String| {
        let object = |item| minijinja::Value::from_pairs([(name.clone(), item)]);
        items.into_iter().map(object).collect::<Vec<_>>()
    });
    // A path that somebody typed: its slashes stay.
    environment.add_filter("path", |text: String| minijinja::Value::from_object(PathText(text)));
    // A query that somebody typed, as an object.
    environment.add_filter("pairs", |text: &str| {
        let mut pairs: Vec<(String, Vec<String>)> = Vec::new();
        for (name, value) in url::form_urlencoded::parse(text.trim().as_bytes()) {
            let value = value.into_owned();
            match pairs.iter_mut().find(|(known, _)| *known == name) {
                Some((_, values)) => values.push(value),
                None => pairs.push((name.into_owned(), vec![value])),
            }
        }
        minijinja::Value::from_pairs(pairs.into_iter().map(|(name, mut values)| {
            let value: minijinja::Value = match values.len() {
                1 => values.pop().into_iter().collect::<String>().into(),
                _ => values.into(),
            };
            (name, value)
        }))
    });
    // By the name and not by the escaping in force, which a template can switch off.
    environment.set_formatter(|out, state, value| match state.name() {
        place @ ("path" | "header" | "address" | "whole address") => {
            let text = printed(value)?;
            let path = value.downcast_object_ref::<PathText>().filter(|_| place == "path");
            let fitted = path
                .map_or_else(|| fit(place, &text), |path| path.segments())
                .ok_or_else(|| minijinja::Error::new(ErrorKind::BadEscape, "not allowed here"))?;
            out.write_str(&fitted).map_err(minijinja::Error::from)
        }
        _ => minijinja::escape_formatter(out, state, value),
    });
    environment
});

/// A text that may be several segments of a path.
#[derive(Debug)]
struct PathText(String);

impl PathText {
    /// Its segments, each encoded as one; none where one would be taken for a step, or is empty. A
    /// slash at its beginning is the one before it, and one at its end stays: some insist on it.
    fn segments(&self) -> Option<String> {
        let text = self.0.strip_prefix('/').unwrap_or(&self.0);
        if text.is_empty() {
            return Some(String::new());
        }
        let (text, end) = text.strip_suffix('/').map_or((text, ""), |text| (text, "/"));
        let segments = text
            .split('/')
            .map(|segment| (!segment.is_empty()).then(|| fit("path", segment)).flatten());
        segments.collect::<Option<Vec<_>>>().map(|segments| segments.join("/") + end)
    }
}

impl minijinja::value::Object for PathText {
    fn repr(self: &Arc<Self>) -> minijinja::value::ObjectRepr {
        minijinja::value::ObjectRepr::Plain
    }

    fn render(self: &Arc<Self>, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

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
        "whole address" => {
            let allowed = |letter: char| {
                letter.is_ascii_alphanumeric() || "-._~:/[]?&=%+,;!$'()*".contains(letter)
            };
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

impl<'de> Deserialize<'de> for Template {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Visitor;

        impl serde::de::Visitor<'_> for Visitor {
            type Value = Template;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a text; a number with a point needs quotes, since 2.10 is not 2.1")
            }

            fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<Template, E> {
                Template::new(text).map_err(E::custom)
            }

            fn visit_u64<E: serde::de::Error>(self, number: u64) -> Result<Template, E> {
                Ok(Template::plain(&number.to_string()))
            }

            fn visit_i64<E: serde::de::Error>(self, number: i64) -> Result<Template, E> {
                Ok(Template::plain(&number.to_string()))
            }

            fn visit_bool<E: serde::de::Error>(self, value: bool) -> Result<Template, E> {
                Ok(Template::plain(&value.to_string()))
            }
        }

        deserializer.deserialize_any(Visitor)
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
    use super::*;
    use proptest::prelude::*;
    use serde_json::json;

    fn render(place: Place, text: &str, values: &serde_json::Value) -> Result<String, String> {
        let template = Template::new(text).map_err(|error| error.to_string())?;
        template.render(place, values).map_err(|error| error.to_string())
    }

    #[test]
    fn a_filter_that_is_not_there_is_found_and_those_that_are_named_are_there() {
        let unknown = |text: &str| Template::new(text).unwrap().unknown();

        let found = unknown("/a/{{ settings.x | upcase }}").unwrap();
        assert!(found.contains("`upcase`, expected one of `abs`"), "{found}");
        assert!(unknown("{% if parent.a.b >= 1 %}{{ x | nope }}{% endif %}").is_some());
        assert!(unknown("{{ settings.x is shiny }}").is_some());
        for name in FILTERS {
            assert_eq!(unknown(&format!("{{{{ settings.x | {name} }}}}")), None, "{name}");
        }
        for text in ["{{ topics | objects('name') }}", "{{ 'a' in topics }}", "{{ n * 300 + 50 }}"]
        {
            assert_eq!(unknown(text), None, "{text}");
        }
    }

    #[test]
    fn values_are_filled_in() {
        let values = json!({ "settings": { "shop": "acme" }, "n": 3 });

        let text = "{{ settings.shop }}-{{ n * 2 }}{% if n > 2 %}!{% endif %}\n";

        assert_eq!(render(Place::Text, text, &values).unwrap(), "acme-6!\n");
    }

    #[test]
    fn a_value_in_a_path_stays_one_segment() {
        let path = |value: &str| render(Place::Path, "/a/{{ v }}/b", &json!({ "v": value }));

        assert_eq!(path("x y").unwrap(), "/a/x%20y/b");
        assert_eq!(path("../../admin?x=1#y").unwrap(), "/a/..%2F..%2Fadmin%3Fx%3D1%23y/b");
        assert_eq!(path("ö%2F").unwrap(), "/a/%C3%B6%252F/b");
        assert!(path("..").is_err());
        assert!(path(".").is_err());
    }

    #[test]
    fn a_path_that_is_said_to_be_one_keeps_its_slashes() {
        let path = |value: &str| render(Place::Path, "/a/{{ v | path }}", &json!({ "v": value }));

        assert_eq!(path("orders/12/lines").unwrap(), "/a/orders/12/lines");
        assert_eq!(path("/orders").unwrap(), "/a/orders");
        assert_eq!(path("a b/c?d#e").unwrap(), "/a/a%20b/c%3Fd%23e");
        assert_eq!(path("orders/").unwrap(), "/a/orders/");
        assert_eq!(path("").unwrap(), "/a/");
        assert_eq!(path("/").unwrap(), "/a/");
        for value in ["../b", "a/./b", "a//b", "//evil.example", "//", "a/../"] {
            assert!(path(value).is_err(), "{value}");
        }
        assert!(render(Place::Header, "{{ v | path }}", &json!({ "v": "a\r\nb" })).is_err());
    }

    #[test]
    fn a_query_that_somebody_typed_is_an_object() {
        let pairs = |text: &str| {
            let template = Template::new("{{ v | pairs }}").unwrap();
            template.value(&json!({ "v": text })).unwrap()
        };

        assert_eq!(
            pairs("limit=100&status=a+b%26&id=1&id=2&x"),
            json!({ "limit": "100", "status": "a b&", "id": ["1", "2"], "x": "" })
        );
        assert_eq!(pairs(" "), json!({}));
    }

    #[test]
    fn a_value_in_a_header_stays_in_it() {
        let header = |value: &str| render(Place::Header, "Bearer {{ v }}", &json!({ "v": value }));

        assert_eq!(header("abc").unwrap(), "Bearer abc");
        for value in ["a\r\nx: y", "a\nb", "a\u{0}"] {
            assert_eq!(
                header(value).unwrap_err(),
                "`Bearer {{ v }}` would put characters where they are not allowed"
            );
        }
    }

    #[test]
    fn a_value_in_an_address_adds_no_user_query_or_fragment() {
        let url =
            |value: &str| render(Place::Address, "https://{{ v }}/api", &json!({ "v": value }));

        assert_eq!(url("acme.example").unwrap(), "https://acme.example/api");
        assert_eq!(url("127.0.0.1:8080").unwrap(), "https://127.0.0.1:8080/api");
        for value in
            ["a@evil.example", "evil.example?", "evil.example#", "evil\\", "a b", "%2e", "é"]
        {
            assert!(url(value).is_err(), "{value}");
        }
    }

    #[test]
    fn an_address_that_is_one_setting_may_have_a_query() {
        let url = |text: &str, value: &str| {
            render(Place::Address, text, &json!({ "settings": { "url": value } }))
        };

        let address = "https://a.example/b.csv?lang=en&key=a%2Bb,c";
        assert_eq!(url("{{ settings.url }}", address).unwrap(), address);
        assert!(url("{{ settings.url }}/api", address).is_err());
        for value in ["https://u@a.example", "https://a.example#x", "https://a.example/é", "a b"] {
            assert!(url("{{ settings.url }}", value).is_err(), "{value}");
        }
    }

    #[test]
    fn a_value_in_a_page_is_text() {
        let html = render(Place::Html, "<p>{{ v }}</p>", &json!({ "v": "<script>" })).unwrap();

        assert_eq!(html, "<p>&lt;script&gt;</p>");
    }

    #[test]
    fn filters_do_not_get_around_the_place() {
        for text in ["{{ v | safe }}", "{% autoescape false %}{{ v }}{% endautoescape %}"] {
            for (place, value) in [(Place::Header, "a\r\nb"), (Place::Address, "a@b")] {
                let rendered = render(place, text, &json!({ "v": value }));
                assert!(rendered.is_err(), "{text} {place:?}: {rendered:?}");
            }
        }
        let path = render(Place::Path, "{{ v | safe }}", &json!({ "v": "a/b" }));
        assert!(path.is_err() || path.unwrap() == "a%2Fb");
    }

    #[test]
    fn a_missing_value_is_a_fault() {
        for text in ["{{ a }}", "{{ settings.shop }}", "x{{ settings.shop.name }}"] {
            for place in [Place::Text, Place::Path, Place::Header, Place::Address] {
                assert_eq!(
                    render(place, text, &json!({ "settings": {} })).unwrap_err(),
                    format!("`{text}` needs a value that is not there")
                );
            }
        }
    }

    #[test]
    fn one_expression_alone_keeps_what_it_is() {
        let value = |text: &str| {
            let values = json!({ "topics": ["a", "b"], "n": 3, "id": "7" });
            Template::new(text).unwrap().value(&values).unwrap()
        };

        assert_eq!(value("{{ topics }}"), json!(["a", "b"]));
        assert_eq!(value("{{ n }}"), json!(3));
        assert_eq!(value("{{ id }}"), json!("7"));
        assert_eq!(
            value("{{ topics | objects('name') }}"),
            json!([{ "name": "a" }, { "name": "b" }])
        );
        assert_eq!(value("{{ [] | objects('name') }}"), json!([]));
        assert_eq!(value("{{ n }}{{ n }}"), json!("33"));
        assert_eq!(value(" {{ topics }} "), json!(["a", "b"]));
        assert_eq!(value("plain"), json!("plain"));
        assert!(Template::new("{{ nothing }}").unwrap().value(&json!({})).is_err());
    }

    #[test]
    fn numbers_are_printed_as_they_were_written() {
        let print = |number: &str| {
            let values = serde_json::from_str(&format!(r#"{{"n":{number}}}"#)).unwrap();
            render(Place::Text, "{{ n }}", &values).unwrap()
        };

        for number in ["19.90", "9007199254740993", "123456789012345678901234567890", "-5", "0.5"] {
            assert_eq!(print(number), number);
        }
    }

    #[test]
    fn work_has_an_end() {
        for text in [
            "{% for a in range(9999) %}{% for b in range(9999) %}x{% endfor %}{% endfor %}",
            "{% macro f() %}{{ f() }}{% endmacro %}{{ f() }}",
        ] {
            assert!(render(Place::Text, text, &json!({})).is_err(), "{text}");
        }
    }

    #[test]
    fn nothing_is_loaded() {
        for text in ["{% include 'x' %}", "{% extends 'x' %}", "{% import 'x' as x %}"] {
            assert!(render(Place::Text, text, &json!({})).is_err(), "{text}");
        }
    }

    #[test]
    fn the_names_that_it_speaks_of_are_known() {
        let template = Template::new("https://{{ settings.shop }}/{{ cursor }}").unwrap();

        assert_eq!(template.names(), ["cursor", "settings.shop"]);
    }

    proptest! {
        #[test]
        fn no_text_makes_it_panic(text in ".{0,40}") {
            let _ = render(Place::Path, &text, &json!({ "a": 1 }));
            let _ = render(Place::Text, &format!("{{{{ {text} }}}}"), &json!({ "a": 1 }));
        }

        #[test]
        fn no_value_leaves_its_segment(value in ".{0,20}") {
            let path = render(Place::Path, "/a/{{ v }}/b", &json!({ "v": value }));

            if let Ok(path) = path {
                let url = url::Url::parse(&format!("https://h.example{path}")).unwrap();
                let segments: Vec<_> = url.path_segments().unwrap().collect();
                prop_assert_eq!(segments.len(), 3);
                let decoded = percent_encoding::percent_decode_str(segments[1]).decode_utf8().unwrap();
                prop_assert_eq!(decoded.as_ref(), value);
                prop_assert!(url.query().is_none() && url.fragment().is_none());
            }
        }
    }
}
