//! A signature debugger: is this request what that sender would send, and if not, where not.
//!
//! It works on files alone, with the same code that receives webhooks. Its output is fixed:
//! `{"verdict": "valid", "proof": "verified"}` and exit 0, or `{"verdict": "refused", "code",
//! "message", "hint"}` and exit 1. What an inbox takes although nobody signed it is valid, too, but
//! its proof is `unsigned`, and `message` and `hint` say why. An inbox that cannot be made without a
//! secret takes nothing unsigned, so here nothing is valid without it.
//!
//! A name in the files that nothing reads is a mistake: a secret under a mistyped name would turn a
//! check into none.

use std::collections::BTreeMap;
use std::io::IsTerminal as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use domain::connector::{Connector, Verify, Webhooks};
use domain::event::Proof;
use domain::secret::{Secret, Secrets};
use domain::signature::{self, Given, Request};
use engine::connector::Connectors;
use engine::host::CONNECTORS;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use super::Format;
use crate::args::VerifyArgs;
use crate::failure::Failure;
use crate::output::{complain, say, say_json, visible};

/// What `--with` holds.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct With {
    #[serde(default)]
    secrets: BTreeMap<String, OneOrSeveral>,
    #[serde(default)]
    settings: BTreeMap<String, Value>,
    /// What stands at addresses: certificates in PEM, sets of keys in JSON.
    #[serde(default)]
    certificates: BTreeMap<String, Value>,
    /// What certificates must lead to, in place of the roots that browsers trust.
    #[serde(default)]
    trust_anchor_pem: Option<String>,
}

/// What a file looks like, for whoever wrote another.
trait Shape: DeserializeOwned {
    /// The kind of failure.
    const CODE: &'static str;
    /// The names that it may have.
    const NAMES: &'static [&'static str];
    /// All of it.
    const SHAPE: &'static str;
}

impl Shape for With {
    const CODE: &'static str = "with_file";
    const NAMES: &'static [&'static str] =
        &["secrets", "settings", "certificates", "trust_anchor_pem"];
    const SHAPE: &'static str = r#"It is { "secrets": { NAME: "…" or ["newest", "older"] }, "settings": { NAME: "…" }, "certificates": { ADDRESS: "…" }, "trust_anchor_pem": "…" }, each of them where it is needed."#;
}

impl Shape for Exported {
    const CODE: &'static str = "request_file";
    const NAMES: &'static [&'static str] = &["method", "url", "headers", "body", "body_base64"];
    const SHAPE: &'static str = r#"It is { "method": "POST", "url": "https://…", "headers": [["name", "value"]], "body": "…" }, or "body_base64" where the body is no text."#;
}

/// Texts as they are; anything else as JSON: an id may be written as a number, a set of keys as an
/// object.
fn texts(values: BTreeMap<String, Value>) -> BTreeMap<String, String> {
    let text = |value| match value {
        Value::String(text) => text,
        other => other.to_string(),
    };
    values.into_iter().map(|(name, value)| (name, text(value))).collect()
}

/// A secret's value, or several: the newest first.
#[derive(Deserialize)]
#[serde(untagged)]
enum OneOrSeveral {
    One(String),
    Several(Vec<String>),
}

impl With {
    fn secrets(self) -> Secrets {
        let mut secrets = Secrets::new();
        for (name, value) in self.secrets {
            let values = match value {
                OneOrSeveral::One(value) => vec![value],
                OneOrSeveral::Several(values) => values,
            };
            for value in values {
                secrets.add(name.clone(), Secret::new(value));
            }
        }
        secrets
    }
}

/// What `--request` holds.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Exported {
    method: String,
    url: String,
    headers: Vec<(String, String)>,
    body: Option<String>,
    body_base64: Option<String>,
}

impl Exported {
    fn body(&self) -> Result<Vec<u8>, Failure> {
        match (&self.body, &self.body_base64) {
            (Some(text), None) => Ok(text.clone().into_bytes()),
            (None, Some(text)) => STANDARD.decode(text).map_err(|error| {
                Failure::new("request_file", format!("`body_base64` cannot be read: {error}"))
            }),
            (None, None) => Ok(Vec::new()),
            (Some(_), Some(_)) => {
                Err(Failure::new("request_file", "`body` and `body_base64` exclude each other"))
            }
        }
    }
}

pub(crate) fn run(args: &VerifyArgs, data_dir: &Path, format: Format) -> Result<ExitCode, Failure> {
    let connector = find(&args.connector, data_dir)?;
    let webhooks = connector.webhooks.as_ref().ok_or_else(|| {
        Failure::new("no_webhooks", format!("{} receives no webhooks", connector.name))
    })?;
    let verify = schemes(webhooks, args.scheme.as_deref())?;
    let mut with: With = read(&args.with)?;
    let exported: Exported = read(&args.request)?;
    known("secret", with.secrets.keys(), &webhooks.known_secrets())?;
    known("setting", with.settings.keys(), &webhooks.known_settings())?;
    let settings = webhooks.filled(texts(std::mem::take(&mut with.settings)));
    let documents = texts(std::mem::take(&mut with.certificates));
    let anchor = with.trust_anchor_pem.take();
    let at = args.at.unwrap_or_else(jiff::Timestamp::now);
    let given = Given {
        secrets: &with.secrets(),
        settings: &settings,
        documents: &documents,
        trust_anchor: anchor.as_deref(),
    };
    let verdict = verdict(&verify, &exported, &given, at)?;
    let missing = missing(webhooks, &verify, &given);

    Ok(match verdict {
        Ok(Proof::Verified) => {
            verified(format);
            ExitCode::SUCCESS
        }
        // An inbox that cannot be without it is never in the state that this judges.
        Ok(_) if let Some(name) = missing.iter().find(|it| it.is_needed) => {
            let error = signature::Error::NoSecret(name.name.clone());
            refused(&error, &hint(&error, webhooks, given.secrets), format);
            ExitCode::FAILURE
        }
        Ok(_) => {
            unsigned(missing.first().map(|it| it.name.as_str()), format);
            ExitCode::SUCCESS
        }
        Err(error) => {
            refused(&error, &hint(&error, webhooks, given.secrets), format);
            ExitCode::FAILURE
        }
    })
}

fn verdict(
    verify: &Verify,
    exported: &Exported,
    given: &Given<'_>,
    at: jiff::Timestamp,
) -> Result<Result<Proof, signature::Error>, Failure> {
    let headers: Vec<_> = exported
        .headers
        .iter()
        .map(|(name, value)| (name.to_ascii_lowercase(), value.as_bytes()))
        .collect();
    let headers: Vec<_> = headers.iter().map(|(name, value)| (name.as_str(), *value)).collect();
    let body = exported.body()?;
    let method = exported.method.to_ascii_uppercase();
    let came = exported.url.split('#').next().and_then(|url| url.split_once('?'));
    let request = Request {
        method: &method,
        // The address that the sender was told goes before the one on which the request came.
        url: given.settings.get("public_url").unwrap_or(&exported.url),
        query: came.map(|(_, query)| query),
        headers: &headers,
        body: &body,
    };
    Ok(signature::verify(verify, &request, given, at).map(|verified| verified.proof))
}

/// A secret that a request could be checked with, and that was not given.
struct MissingSecret {
    name: String,
    /// Whether an inbox cannot be made without it.
    is_needed: bool,
}

fn missing(webhooks: &Webhooks, verify: &Verify, given: &Given<'_>) -> Vec<MissingSecret> {
    let is_given = |name: &str| {
        let secrets = given.secrets.all(name).iter().map(Secret::expose);
        let setting = given.settings.get(name).map(String::as_str);
        secrets.chain(setting).any(|value| !value.trim().is_empty())
    };
    let needed = webhooks.needed_secrets(given.settings);
    let names = verify
        .secrets()
        .into_iter()
        .filter(|_| webhooks.signed_with(given.settings) || !verify.is_own());
    let names = names.filter(|name| !is_given(name));
    names
        .map(|name| MissingSecret {
            name: name.to_owned(),
            is_needed: needed.iter().any(|field| field.name == name),
        })
        .collect()
}

/// A connector by its id, or in a folder.
fn find(named: &str, data_dir: &Path) -> Result<Arc<Connector>, Failure> {
    let folder = PathBuf::from(named);
    if folder.join("connector.yaml").is_file() {
        let connector = engine::connector::read(&folder);
        return connector
            .map(Arc::new)
            .map_err(|broken| Failure::new("broken_connector", broken.message));
    }
    let connectors = Connectors::open(data_dir.join(CONNECTORS));
    match connectors.listed(named).map(|listed| listed.connector) {
        Some(Ok(connector)) => Ok(connector),
        Some(Err(broken)) => Err(Failure::new("broken_connector", broken.message)),
        None => Err(Failure::new("unknown_connector", format!("there is no connector `{named}`"))
            .hint(
                "`patchbay connectors list` lists them; a folder with a connector.yaml works, too.",
            )),
    }
}

/// All schemes, or the one that is asked for.
fn schemes(webhooks: &Webhooks, asked: Option<&str>) -> Result<Verify, Failure> {
    let Some(name) = asked else { return Ok(webhooks.verify.clone()) };
    webhooks.verify.only(name).ok_or_else(|| {
        let names: Vec<_> = webhooks.verify.names().map(|name| format!("`{name}`")).collect();
        Failure::new(
            "unknown_scheme",
            format!("this connector has no scheme `{name}`; it has {}", names.join(", ")),
        )
    })
}

fn read<T: Shape>(path: &Path) -> Result<T, Failure> {
    let text = std::fs::read_to_string(path).map_err(|error| {
        Failure::new(T::CODE, format!("{} cannot be read: {error}", path.display()))
    })?;
    parse(&text).map_err(|problem| {
        Failure::new(T::CODE, format!("{} {problem}", path.display())).hint(T::SHAPE)
    })
}

/// Reads a file of ours, or says what is wrong with it without a word of what is in it: that could
/// be a secret.
fn parse<T: Shape>(text: &str) -> Result<T, String> {
    let place =
        |error: &serde_json::Error| format!("line {}, column {}", error.line(), error.column());
    let value: Value =
        serde_json::from_str(text).map_err(|error| format!("is no JSON: {}", place(&error)))?;
    let Value::Object(members) = value else { return Err("is no object".to_owned()) };
    if let Some(name) = members.keys().find(|name| !T::NAMES.contains(&name.as_str())) {
        let name = domain::text::clean(name, 40);
        return Err(format!("holds `{name}`, expected one of {}", quoted(T::NAMES)));
    }
    serde_json::from_str(text)
        .map_err(|error| format!("does not hold what it should: {}", place(&error)))
}

/// Looks whether something reads each of the names that were given.
fn known<'a>(
    what: &str,
    mut given: impl Iterator<Item = &'a String>,
    known: &[&str],
) -> Result<(), Failure> {
    match given.find(|name| !known.contains(&name.as_str())) {
        None => Ok(()),
        Some(name) => {
            let name = domain::text::clean(name, 40);
            let expected = match known {
                [] => format!("it has no {what}s"),
                known => format!("expected one of {}", quoted(known)),
            };
            let message = format!("this connector has no {what} `{name}`: {expected}");
            Err(Failure::new("with_file", message).hint(With::SHAPE))
        }
    }
}

fn quoted(names: &[&str]) -> String {
    names.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ")
}

/// Whether a person reads the answer: programs get JSON, whether or not they ask for it.
fn for_people(format: Format) -> bool {
    format == Format::Text && std::io::stdout().is_terminal()
}

fn verified(format: Format) {
    if for_people(format) {
        say("Valid: this is what the sender signed.");
    } else {
        say_json(&json!({ "verdict": "valid", "proof": "verified" }));
    }
}

/// What an inbox takes without a proof; `missing` could have proved it.
fn unsigned(missing: Option<&str>, format: Format) {
    let (message, hint) = match missing {
        Some(name) => (
            format!("not proved: no `{name}` was given"),
            format!(
                "An inbox without one takes this unsigned, from whoever knows its address. Give \
                 `{name}` among the `secrets` of --with to have the signature checked."
            ),
        ),
        None => (
            "not proved: this rule asks for no signature".to_owned(),
            "An inbox takes this from whoever knows its address.".to_owned(),
        ),
    };
    if for_people(format) {
        say(&visible(&format!("N{}.", &message[1..])));
        say(&visible(&hint));
        return;
    }
    say_json(&json!({
        "verdict": "valid", "proof": "unsigned", "message": message, "hint": hint,
    }));
    if format == Format::Text {
        complain(&visible(&format!("N{}.", &message[1..])));
    }
}

fn refused(error: &signature::Error, hint: &str, format: Format) {
    if for_people(format) {
        say(&format!("Refused: {error}."));
        say(hint);
        return;
    }
    let code = serde_json::to_value(error.reason()).unwrap_or(Value::Null);
    let message = error.to_string();
    say_json(&json!({ "verdict": "refused", "code": code, "message": message, "hint": hint }));
}

/// What to do about a refusal.
fn hint(error: &signature::Error, webhooks: &Webhooks, secrets: &Secrets) -> String {
    match error {
        signature::Error::BadSecret(_) => WHOLE.to_owned(),
        signature::Error::NoSecret(name) if webhooks.settings.contains_key(name) => {
            format!("It is a setting: give `{name}` among the `settings` of --with.")
        }
        // It can be used, and no sender would have given it out.
        signature::Error::Mismatch if let Some(unlike) = unlike(webhooks, secrets) => {
            format!("{unlike}. {WHOLE}")
        }
        _ => api::refusal_hint(error.reason()).to_owned(),
    }
}

const WHOLE: &str = "Copy the whole secret from the sender's page, with what stands before it.";

/// The first secret that is not of the form that the connector's rule asks for.
fn unlike(webhooks: &Webhooks, secrets: &Secrets) -> Option<String> {
    webhooks.secret_fields().into_iter().find_map(|field| {
        let values = secrets.all(&field.name).iter().map(|value| value.expose().trim());
        let problem = values.filter_map(|value| field.field.problem(Some(value))).next()?;
        Some(format!("The `{}` {problem}", field.name))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn exported(body: Option<&str>, body_base64: Option<&str>) -> Result<Vec<u8>, Failure> {
        let own = |text: Option<&str>| text.map(str::to_owned);
        Exported {
            method: "POST".into(),
            url: "https://a.example/in/x".into(),
            headers: Vec::new(),
            body: own(body),
            body_base64: own(body_base64),
        }
        .body()
    }

    #[test]
    fn a_body_is_text_or_base64() {
        assert_eq!(exported(Some("é"), None).unwrap(), "é".as_bytes());
        assert_eq!(exported(None, Some("/wA=")).unwrap(), [255, 0]);
        assert_eq!(exported(None, None).unwrap(), b"");
        assert!(exported(Some(""), Some("")).is_err());
        assert!(exported(None, Some("!")).is_err());
    }
}
