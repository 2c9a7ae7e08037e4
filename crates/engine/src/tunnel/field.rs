//! The fields of a way to be reached, and what may stand in them.
//!
//! Values become arguments of a program. Whatever its shape allows, a value never begins with a
//! dash, holds no control character and, a file's path aside, no white space: it cannot become an
//! option or a second argument.

use std::collections::BTreeMap;

use domain::secret::{Secret, Secrets};
use regex::Regex;
use serde::Deserialize;
use url::Url;

use super::Error;

/// The most bytes that a value may have.
const LONGEST: usize = 512;

/// One field.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Field {
    pub(super) name: String,
    pub(super) title: String,
    pub(super) shape: Shape,
    pub(super) example: String,
    pub(super) help: String,
    #[serde(default)]
    pub(super) optional: bool,
    #[serde(default)]
    pub(super) secret: bool,
    #[serde(default)]
    pub(super) default: Option<String>,
}

/// What may stand in a field.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Shape {
    /// A host's name or IPv4 address.
    Host,
    /// Where a server listens: a host, or `*`.
    Bind,
    /// A port, 1 to 65535.
    Port,
    /// A user's name.
    Name,
    /// A file, from the root or the home directory.
    Path,
    /// An http or https address without user, query or fragment.
    Url,
    /// A header's name.
    Header,
    /// Text without white space.
    Text,
}

impl Shape {
    /// The whole of what it may be, in the part of regular expressions that browsers share.
    pub(super) fn pattern(self) -> &'static str {
        match self {
            Self::Host => r"[A-Za-z0-9_]([A-Za-z0-9_.\-]*[A-Za-z0-9_])?",
            Self::Bind => r"\*|[A-Za-z0-9]([A-Za-z0-9.\-]*[A-Za-z0-9])?",
            Self::Port => r"[1-9][0-9]{0,4}",
            Self::Name => r"[A-Za-z0-9_][A-Za-z0-9_.@\-]*",
            Self::Path => r#"(/|~/|[A-Za-z]:[\\/])[^"'$%`]+"#,
            Self::Url => r"https?://[^\s?#@]+",
            Self::Header => r"[A-Za-z0-9][A-Za-z0-9\-]*",
            Self::Text => r"[^\s\-]\S*",
        }
    }

    /// What is wrong with a value, if anything is, as the end of a sentence.
    fn fault(self, value: &str) -> Option<&'static str> {
        if value.len() > LONGEST {
            return Some("is longer than 512 bytes");
        }
        if value.starts_with('-') {
            return Some("begins with a dash");
        }
        if value.chars().any(char::is_control) {
            return Some("holds a control character");
        }
        if self != Self::Path && value.contains(char::is_whitespace) {
            return Some("holds white space");
        }
        (!self.fits(value)).then_some(match self {
            Self::Host => "is not the name or the address of a host",
            Self::Bind => "is neither `*` nor the name or the address of a host",
            Self::Port => "is not a port from 1 to 65535",
            Self::Name => "is not the name of a user",
            Self::Path => "is not a path that begins with `/`, `~/` or a drive",
            Self::Url => "is not an http or https address without user, `?` and `#`",
            Self::Header => "is not the name of a header",
            Self::Text => "is not text without white space",
        })
    }

    fn fits(self, value: &str) -> bool {
        let whole = Regex::new(&format!("^(?:{})$", self.pattern()));
        whole.is_ok_and(|whole| whole.is_match(value))
            && match self {
                Self::Port => value.parse::<u16>().is_ok(),
                Self::Url => address(value).is_some(),
                _ => true,
            }
    }
}

/// A public address as it is kept: http or https, a host, no user, query or fragment, no slash at
/// the end.
pub(super) fn address(text: &str) -> Option<String> {
    let url = Url::parse(text).ok()?;
    let plain = url.username().is_empty()
        && url.password().is_none()
        && url.query().is_none()
        && url.fragment().is_none();
    let fits = plain && matches!(url.scheme(), "http" | "https") && url.has_host();
    fits.then(|| url.as_str().trim_end_matches('/').to_owned())
}

/// What a person filled in, checked against the fields: unknown ones are refused, empty ones left
/// out, those with a default filled in.
pub(super) fn filled_in(
    fields: &[Field],
    settings: &BTreeMap<String, String>,
    secrets: &Secrets,
) -> Result<BTreeMap<String, String>, Error> {
    let known =
        |name: &str, secret: bool| fields.iter().any(|f| f.name == name && f.secret == secret);
    if let Some(name) = settings.keys().find(|name| !known(name, false)) {
        return Err(fault(name, "is not one of its settings"));
    }
    if let Some(name) = secrets.names().find(|name| !known(name, true)) {
        return Err(fault(name, "is not one of its secrets"));
    }
    let mut values = BTreeMap::new();
    for field in fields {
        let given = if field.secret {
            secrets.get(&field.name).map(Secret::expose)
        } else {
            settings.get(&field.name).map(String::as_str)
        };
        let value = given.filter(|value| !value.is_empty()).or(field.default.as_deref());
        match value {
            Some(value) => {
                if let Some(problem) = field.shape.fault(value) {
                    return Err(fault(&field.name, problem));
                }
                if !field.secret {
                    values.insert(field.name.clone(), value.to_owned());
                }
            }
            None if field.optional => {}
            None => return Err(fault(&field.name, "is missing")),
        }
    }
    Ok(values)
}

fn fault(field: &str, problem: &str) -> Error {
    Error::Field { field: field.into(), problem: problem.into() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use Shape::{Bind, Header, Host, Name, Path, Port, Text};

    #[test]
    fn each_shape_takes_what_people_write() {
        for (shape, values) in [
            (Host, &["example.com", "10.0.0.1", "my_server", "a"][..]),
            (Bind, &["*", "localhost", "0.0.0.0"]),
            (Port, &["1", "22", "65535"]),
            (Name, &["deploy", "a.b-c_d", "jane@corp.example"]),
            (Path, &["/home/me/key", "~/.ssh/id", r"C:\Users\Jane Doe\id"]),
            (Shape::Url, &["https://a.example", "http://127.0.0.1:80/hooks"]),
            (Header, &["x-real-ip", "CF-Connecting-IP"]),
            (Text, &["hunter2", "ä!§$%"]),
        ] {
            for value in values {
                assert_eq!(shape.fault(value), None, "{shape:?} {value}");
            }
        }
    }

    #[test]
    fn no_value_becomes_an_option_or_a_second_argument() {
        for shape in [Host, Bind, Port, Name, Path, Shape::Url, Header, Text] {
            for value in ["-oProxyCommand=id", "--to", "a b", "a\tb", "a\nb", "a\0", ""] {
                assert!(shape.fault(value).is_some(), "{shape:?} {value:?}");
            }
            assert!(shape.fault(&"9".repeat(LONGEST + 1)).is_some());
        }
    }

    #[test]
    fn values_out_of_shape_are_refused() {
        for (shape, values) in [
            (Host, &["example.com:22", "user@host", ".a", "a.", "[::1]"][..]),
            (Bind, &["*.example.com", "localhost:1"]),
            (Port, &["0", "65536", "99999", "022", "+1"]),
            (Path, &["id_ed25519", "../id", "/a\" -o b", "/%h", "/${HOME}"]),
            (Shape::Url, &["ftp://a", "https://", "https://u:p@a", "https://a?b", "https://a#b"]),
            (Header, &["x:y", "x_y"]),
        ] {
            for value in values {
                assert!(shape.fault(value).is_some(), "{shape:?} {value}");
            }
        }
    }

    #[test]
    fn an_address_is_kept_without_the_slash_at_its_end() {
        assert_eq!(address("https://A.example/").as_deref(), Some("https://a.example"));
        assert_eq!(address("http://a.example/hooks/").as_deref(), Some("http://a.example/hooks"));
        assert_eq!(address("file:///etc"), None);
    }
}
