//! A signature debugger: is this request what that sender would send, and if not, where not.
//!
//! It works on files alone, with the same code that receives webhooks. Its output is fixed:
//! `{"verdict": "valid"}` and exit 0, or `{"verdict": "refused", "code", "message", "hint"}` and
//! exit 1.

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
use crate::output::{say, say_json};

/// What `--with` holds.
#[derive(Deserialize)]
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
    let mut with: With = read(&args.with, "with_file")?;
    let exported: Exported = read(&args.request, "request_file")?;
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

    Ok(match verdict {
        Ok(proof) => {
            valid(proof, format);
            ExitCode::SUCCESS
        }
        Err(error) => {
            refused(&error, unlike(webhooks, given.secrets), format);
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

fn read<T: DeserializeOwned>(path: &Path, code: &str) -> Result<T, Failure> {
    let text = std::fs::read_to_string(path).map_err(|error| {
        Failure::new(code, format!("{} cannot be read: {error}", path.display()))
    })?;
    serde_json::from_str(&text).map_err(|error| {
        // The error says what stands at the place, which could be a secret.
        let place = format!("line {}, column {}", error.line(), error.column());
        let what = match error.classify() {
            serde_json::error::Category::Data => "does not hold what it should",
            _ => "is no JSON",
        };
        Failure::new(code, format!("{} {what}: {place}", path.display()))
    })
}

/// Whether a person reads the answer: programs get JSON, whether or not they ask for it.
fn for_people(format: Format) -> bool {
    format == Format::Text && std::io::stdout().is_terminal()
}

fn valid(proof: Proof, format: Format) {
    if for_people(format) {
        say("Valid: this is what the sender signed.");
    } else {
        say_json(&json!({ "verdict": "valid" }));
    }
    if format == Format::Text && proof != Proof::Verified {
        crate::output::complain("This connector asks for no signature.");
    }
}

fn refused(error: &signature::Error, unlike: Option<String>, format: Format) {
    let reason = error.reason();
    let hint = match (error, unlike) {
        (signature::Error::BadSecret(_), _) => WHOLE.to_owned(),
        // It can be used, and no sender would have given it out.
        (signature::Error::Mismatch, Some(unlike)) => format!("{unlike}. {WHOLE}"),
        _ => api::refusal_hint(reason).to_owned(),
    };
    if for_people(format) {
        say(&format!("Refused: {error}."));
        say(&hint);
        return;
    }
    let code = serde_json::to_value(reason).unwrap_or(Value::Null);
    let message = error.to_string();
    say_json(&json!({ "verdict": "refused", "code": code, "message": message, "hint": hint }));
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
