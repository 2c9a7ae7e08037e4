//! The definitions of ways to be reached: data that ships with the program.
//!
//! A definition says which program is run with which arguments and environment, what the user
//! fills in, and how the public address is found. It is the only place from which a program or an
//! argument comes; a person fills in fields, and so does the API.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use regex::Regex;
use serde::{Deserialize, Deserializer};

use super::environment::Environment;
use super::field::{self, Field};
use super::template::Template;
use super::{TunnelField, TunnelKind};

/// The format that this program reads.
const FORMAT: u32 = 1;

/// Values that a definition may use besides its fields.
const LOCAL_PORT: &str = "local_port";
const NULL_DEVICE: &str = "null_device";

/// As they ship, in the order in which they are offered.
const SHIPPED: [&str; 4] = [
    include_str!("definitions/own-url.yaml"),
    include_str!("definitions/cloudflared-quick.yaml"),
    include_str!("definitions/ssh.yaml"),
    include_str!("definitions/bore.yaml"),
];

static DEFINITIONS: LazyLock<Vec<Definition>> = LazyLock::new(|| {
    let read = |text: &&str| {
        Definition::read(text).unwrap_or_else(|error| unreachable!("a shipped definition: {error}"))
    };
    SHIPPED.iter().map(read).collect()
});

/// All of them.
pub(super) fn all() -> &'static [Definition] {
    &DEFINITIONS
}

/// The one with this id.
pub(super) fn find(id: &str) -> Option<&'static Definition> {
    all().iter().find(|definition| definition.id == id)
}

/// Why a definition cannot be used.
#[derive(Debug, thiserror::Error)]
enum Error {
    /// Its format is newer than this program.
    #[error("made for a newer Patchbay (its format is {0}, this one reads {FORMAT})")]
    Newer(u32),
    /// It is not of its format.
    #[error(transparent)]
    Yaml(#[from] serde_saphyr::Error),
    /// It uses a value that it does not have, or a secret where others can read it.
    #[error("`{{{0}}}` {1}")]
    Value(String, &'static str),
}

/// One way to be reached.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Definition {
    #[serde(rename = "format")]
    _format: u32,
    pub(super) id: String,
    pub(super) title: String,
    about: String,
    #[serde(default)]
    pub(super) program: Option<Source>,
    #[serde(default)]
    pub(super) fields: Vec<Field>,
    /// Each group is left out as a whole where a value that it needs is missing.
    #[serde(default)]
    arguments: Vec<Vec<Template>>,
    #[serde(default)]
    environment: BTreeMap<String, Template>,
    /// The field that holds the ingress listener's port, for those whose port has to stay.
    #[serde(default)]
    pub(super) port_field: Option<String>,
    /// The header that carries the sender's address.
    #[serde(default)]
    sender_header: Option<Template>,
    /// The first whose values are all there counts.
    address: Vec<AddressRule>,
    pub(super) plain_http: bool,
    address_changes: bool,
    #[serde(default)]
    troubles: Vec<Trouble>,
}

/// A program and where it comes from.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Source {
    pub(super) name: String,
    install: Install,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Install {
    linux: String,
    macos: String,
    windows: String,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct AddressRule {
    /// The line that tells it; without one it is known from the start.
    #[serde(default, deserialize_with = "optional_pattern")]
    line: Option<Regex>,
    is: Template,
}

/// What a line of the program means for the person.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Trouble {
    #[serde(deserialize_with = "pattern")]
    line: Regex,
    hint: String,
}

/// How a tunnel's public address is found.
#[derive(Debug)]
pub(super) enum Address {
    /// It is known.
    Known(String),
    /// A line of the program will tell it.
    Told { line: &'static Regex, is: &'static Template, values: Values },
}

impl Address {
    /// The address, if this line tells it.
    pub(super) fn told_by(&self, text: &str) -> Option<String> {
        let Self::Told { line, is, values } = self else { return None };
        let found = line.captures(text)?;
        let value = |name: &str| found.name(name).map(|part| part.as_str()).or(values.get(name));
        field::address(&is.fill(value)?)
    }
}

/// The values of one tunnel at one start.
#[derive(Debug, Clone)]
pub(super) struct Values(BTreeMap<String, String>);

impl Values {
    /// Those of its settings, and where its ingress listener is.
    pub(super) fn new(settings: &BTreeMap<String, String>, local_port: u16) -> Self {
        let mut values = settings.clone();
        values.insert(LOCAL_PORT.into(), local_port.to_string());
        values.insert(NULL_DEVICE.into(), if cfg!(windows) { "NUL" } else { "/dev/null" }.into());
        Self(values)
    }

    fn get(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str)
    }
}

impl Definition {
    fn read(text: &str) -> Result<Self, Error> {
        #[derive(Deserialize)]
        struct Format {
            format: u32,
        }
        let Format { format } = serde_saphyr::from_str(text)?;
        if format > FORMAT {
            return Err(Error::Newer(format));
        }
        let definition: Self = serde_saphyr::from_str(text)?;
        definition.check()?;
        Ok(definition)
    }

    /// Every value that is used exists, and a secret is used in the environment alone: arguments,
    /// addresses and header names can be read by others.
    fn check(&self) -> Result<(), Error> {
        let in_public = self.arguments.iter().flatten().chain(&self.sender_header);
        for name in in_public.flat_map(Template::names) {
            self.check_value(name, false)?;
        }
        for name in self.environment.values().flat_map(Template::names) {
            self.check_value(name, true)?;
        }
        for rule in &self.address {
            let told: Vec<_> = rule.line.iter().flat_map(Regex::capture_names).flatten().collect();
            for name in rule.is.names().filter(|name| !told.contains(name)) {
                self.check_value(name, false)?;
            }
        }
        self.port_field.iter().try_for_each(|name| self.check_value(name, false))
    }

    fn check_value(&self, name: &str, may_be_secret: bool) -> Result<(), Error> {
        if [LOCAL_PORT, NULL_DEVICE].contains(&name) {
            return Ok(());
        }
        let field = self.fields.iter().find(|field| field.name == name);
        match field {
            None => Err(Error::Value(name.into(), "is neither a field nor a value that is given")),
            Some(field) if field.secret && !may_be_secret => {
                Err(Error::Value(name.into(), "is a secret, and may be in the environment alone"))
            }
            Some(_) => Ok(()),
        }
    }

    /// What the user is shown of it.
    pub(super) fn kind(&self, environment: &Environment) -> TunnelKind {
        let program = self.program.as_ref();
        let installed = program.is_none_or(|it| environment.program(&it.name).is_some());
        TunnelKind {
            id: self.id.clone(),
            title: self.title.clone(),
            about: self.about.clone(),
            program: program.map(|it| it.name.clone()),
            installed,
            install_hint: program.filter(|_| !installed).map(|it| it.hint().to_owned()),
            fields: self.fields.iter().map(TunnelField::from).collect(),
            plain_http: self.plain_http,
            address_changes: self.address_changes,
        }
    }

    /// The program's arguments.
    pub(super) fn arguments(&self, values: &Values) -> Vec<String> {
        let group = |group: &Vec<Template>| -> Option<Vec<String>> {
            group.iter().map(|argument| argument.fill(|name| values.get(name))).collect()
        };
        self.arguments.iter().filter_map(group).flatten().collect()
    }

    /// What the program's environment has besides what is handed on. `secret` knows the secrets.
    pub(super) fn environment<'a>(
        &'a self,
        values: &'a Values,
        secret: impl Fn(&str) -> Option<&'a str>,
    ) -> impl Iterator<Item = (&'a str, String)> {
        self.environment.iter().filter_map(move |(variable, template)| {
            let value = template.fill(|name| values.get(name).or_else(|| secret(name)))?;
            Some((variable.as_str(), value))
        })
    }

    /// The header that carries the sender's address, if one is to be believed.
    pub(super) fn sender_header(&self, values: &Values) -> Option<http::HeaderName> {
        self.sender_header.as_ref()?.fill(|name| values.get(name))?.parse().ok()
    }

    /// How its public address is found; none where no rule has all its values.
    pub(super) fn address(&'static self, values: &Values) -> Option<Address> {
        self.address.iter().find_map(|rule| match &rule.line {
            None => field::address(&rule.is.fill(|name| values.get(name))?).map(Address::Known),
            Some(line) => Some(Address::Told { line, is: &rule.is, values: values.clone() }),
        })
    }

    /// The newest line that means trouble, and what to do about it.
    pub(super) fn trouble<'a>(
        &self,
        lines: impl DoubleEndedIterator<Item = &'a str>,
    ) -> Option<(&'a str, &str)> {
        lines.rev().find_map(|line| {
            let trouble = self.troubles.iter().find(|trouble| trouble.line.is_match(line))?;
            Some((line, trouble.hint.as_str()))
        })
    }
}

impl Source {
    /// How to get it on this system.
    pub(super) fn hint(&self) -> &str {
        match std::env::consts::OS {
            "macos" => &self.install.macos,
            "windows" => &self.install.windows,
            _ => &self.install.linux,
        }
    }
}

impl From<&Field> for TunnelField {
    fn from(field: &Field) -> Self {
        Self {
            name: field.name.clone(),
            title: field.title.clone(),
            example: field.example.clone(),
            help: field.help.clone(),
            optional: field.optional || field.default.is_some(),
            secret: field.secret,
            default: field.default.clone(),
            pattern: field.shape.pattern().to_owned(),
        }
    }
}

fn pattern<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Regex, D::Error> {
    let text = String::deserialize(deserializer)?;
    Regex::new(&text).map_err(serde::de::Error::custom)
}

fn optional_pattern<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Regex>, D::Error> {
    pattern(deserializer).map(Some)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn values(settings: &[(&str, &str)]) -> Values {
        let settings = settings.iter().map(|&(name, value)| (name.into(), value.into())).collect();
        Values::new(&settings, 4711)
    }

    fn told(kind: &str, settings: &[(&str, &str)], line: &str) -> Option<String> {
        find(kind).unwrap().address(&values(settings)).unwrap().told_by(line)
    }

    fn known(kind: &str, settings: &[(&str, &str)]) -> Option<String> {
        match find(kind).unwrap().address(&values(settings))? {
            Address::Known(address) => Some(address),
            Address::Told { .. } => None,
        }
    }

    #[test]
    fn the_shipped_ones_can_be_read_and_their_examples_and_defaults_fit() {
        assert_eq!(
            all().iter().map(|definition| definition.id.as_str()).collect::<Vec<_>>(),
            ["own-url", "cloudflared-quick", "ssh", "bore"]
        );
        for definition in all() {
            for field in &definition.fields {
                let whole = Regex::new(&format!("^(?:{})$", field.shape.pattern())).unwrap();
                let examples = field.default.iter().chain([&field.example]);
                for text in examples.filter(|text| !text.is_empty()) {
                    assert!(whole.is_match(text), "{} {text}", field.name);
                }
            }
        }
    }

    #[test]
    fn cloudflareds_address_is_the_one_in_its_table() {
        let line = "2026-11-24T09:12:31Z INF |  https://four-random-words-here.trycloudflare.com                                         |";
        let failed = r#"failed to request quick Tunnel: Post "https://api.trycloudflare.com/tunnel": dial tcp: lookup api.trycloudflare.com: no such host"#;

        assert_eq!(
            told("cloudflared-quick", &[], line).as_deref(),
            Some("https://four-random-words-here.trycloudflare.com")
        );
        assert_eq!(told("cloudflared-quick", &[], failed), None);
        let definition = find("cloudflared-quick").unwrap();
        assert!(definition.trouble([failed, "something else"].into_iter()).is_some());
    }

    #[test]
    fn cloudflared_ignores_the_users_configuration_and_shows_nothing_to_the_network() {
        let arguments = find("cloudflared-quick").unwrap().arguments(&values(&[])).join(" ");

        let null = if cfg!(windows) { "NUL" } else { "/dev/null" };
        assert_eq!(
            arguments,
            format!(
                "tunnel --no-autoupdate --config {null} --metrics 127.0.0.1:0 --grace-period 4s \
                 --url http://127.0.0.1:4711"
            )
        );
    }

    #[test]
    fn bores_address_has_the_port_that_it_was_given() {
        let line = "2026-11-24T09:12:31.5Z  INFO bore_cli::client: listening at bore.pub:40123";

        assert_eq!(
            told("bore", &[("host", "bore.pub")], line).as_deref(),
            Some("http://bore.pub:40123")
        );
        assert_eq!(told("bore", &[("host", "bore.pub")], "connected to server"), None);
    }

    #[test]
    fn sshs_address_is_the_users_or_else_the_servers() {
        let server = [("host", "s.example"), ("remote_port", "8701")];
        let fronted =
            [("host", "s.example"), ("remote_port", "8701"), ("public_url", "https://h.example/")];

        assert_eq!(known("ssh", &server).as_deref(), Some("http://s.example:8701"));
        assert_eq!(known("ssh", &fronted).as_deref(), Some("https://h.example"));
    }

    #[test]
    fn a_group_of_arguments_is_left_out_where_a_value_is_missing() {
        let definition = find("ssh").unwrap();
        let short = definition.arguments(&values(&[
            ("host", "s.example"),
            ("remote_port", "8701"),
            ("remote_address", "localhost"),
        ]));
        let long = definition.arguments(&values(&[("port", "22"), ("identity_file", "/k")]));

        assert!(short.ends_with(&[
            "-R".into(),
            "localhost:8701:127.0.0.1:4711".into(),
            "s.example".into()
        ]));
        assert!(!short.contains(&"-p".into()) && !short.contains(&"-i".into()));
        assert!(long.join(" ").contains("-p 22 -i /k -o IdentitiesOnly=yes"));
    }

    #[test]
    fn a_secret_is_in_the_environment_alone() {
        let definition = find("bore").unwrap();
        let values = values(&[("host", "bore.pub")]);
        let environment: BTreeMap<_, _> = definition
            .environment(&values, |name| (name == "secret").then_some("hunter2"))
            .collect();

        assert_eq!(environment["BORE_SECRET"], "hunter2");
        assert!(!definition.arguments(&values).concat().contains("hunter2"));
        assert!(!definition.environment(&values, |_| None).any(|(name, _)| name == "BORE_SECRET"));
    }

    fn refused(change: impl Fn(String) -> String) -> String {
        Definition::read(&change(SHIPPED[3].into())).unwrap_err().to_string()
    }

    #[test]
    fn a_definition_that_shows_a_secret_or_is_not_of_the_format_is_refused() {
        let shows = refused(|text| text.replace("[--to, \"{host}\"]", "[--secret, \"{secret}\"]"));
        let misses = refused(|text| text.replace("{given_port}", "{port}"));
        let unknown = refused(|text| format!("{text}shell: bash\n"));
        let newer =
            refused(|text| format!("{text}shell: bash\n").replace("format: 1", "format: 2"));

        assert_eq!(shows, "`{secret}` is a secret, and may be in the environment alone");
        assert_eq!(misses, "`{port}` is neither a field nor a value that is given");
        assert!(unknown.contains("shell"), "{unknown}");
        assert!(newer.starts_with("made for a newer Patchbay"), "{newer}");
    }
}
