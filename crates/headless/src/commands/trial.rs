//! `patchbay connectors try`: a first page from the real other side, and what was asked for it.
//!
//! Without a connection it happens in an engine of its own, whose data directory is thrown away
//! and whose vault ends with the process. With one it is the running Patchbay that calls, since it
//! alone has the credentials; it is handed the connector's files.

use std::collections::BTreeMap;
use std::io::{BufRead as _, IsTerminal as _, Write as _};
use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;

use api::error::ApiError;
use domain::connector::{Connector, FormField};
use domain::secret::{Secret, Secrets};
use engine::clock::SystemClock;
use engine::connection::ConnectionRequest;
use engine::connector;
use engine::data_dir::DataDir;
use engine::tunnel::Environment;
use engine::vault::Vault;
use engine::{Config, Engine};
use serde_json::{Value, json};

use super::Format;
use super::inboxes::read_secrets;
use crate::args::TryArgs;
use crate::client::Client;
use crate::failure::Failure;
use crate::output::{cell, counted, say, say_json, visible};

/// What the names of variables with secrets begin with.
const VARIABLE: &str = "PATCHBAY_SECRET_";
/// How many records a terminal shows.
const SHOWN: usize = 10;
/// How many lines of an answer a terminal shows.
const LINES: usize = 40;

pub(crate) async fn run(
    args: TryArgs,
    data_dir: &Path,
    format: Format,
) -> Result<ExitCode, Failure> {
    let (connector, files) =
        connector::files(&args.folder).map_err(|broken| Failure::from(ApiError::from(broken)))?;
    let trial = match &args.connection {
        Some(id) => {
            let client = Client::connect(data_dir).await?;
            let asked = json!({ "stream": args.stream, "files": files });
            client.post(&format!("/api/connections/{id}/try"), &asked).await?
        }
        None => Box::pin(alone(args, connector)).await?,
    };
    match format {
        Format::Json => say_json(&trial),
        Format::Text => say_trial(&trial),
    }
    Ok(if trial["page"].is_object() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// In an engine of its own, which leaves nothing behind.
async fn alone(args: TryArgs, connector: Connector) -> Result<Value, Failure> {
    let request = request(&args, &connector)?;
    let folder = tempfile::tempdir()?;
    let config = Config {
        data_dir: DataDir::own(&folder.path().join("data"))?,
        clock: Arc::new(SystemClock),
        vault: Vault::memory(),
        environment: Environment::new([]),
        sandbox: None,
    };
    let engine = Engine::open_for_trial(config, connector).await.map_err(ApiError::from)?;
    let trial = tried(&engine, request, &args.stream).await;
    engine.stop().await;
    Ok(serde_json::to_value(api::Trial::from(trial?)).unwrap_or_default())
}

async fn tried(
    engine: &Engine,
    request: ConnectionRequest,
    stream: &str,
) -> Result<engine::trial::Trial, ApiError> {
    let connection = engine.create_connection(request).await?;
    Ok(engine.try_stream(connection.connection.id, None, stream).await?)
}

fn request(args: &TryArgs, connector: &Connector) -> Result<ConnectionRequest, Failure> {
    let known = || {
        let ids: Vec<_> = connector.auth.iter().map(|way| way.id.as_str()).collect();
        format!("The ways in are {}.", ids.join(", "))
    };
    let way = connector.way(args.way.as_deref()).ok_or_else(|| {
        Failure::new("invalid_field", "the connector has no such way in").hint(known())
    })?;
    if way.signs_in() {
        return Err(Failure::new("no_sign_in", "this way in needs somebody to sign in")
            .hint("Connect it in Patchbay, and name that connection with --connection."));
    }

    let mut settings: BTreeMap<_, _> = args.settings.iter().cloned().collect();
    let mut secrets = Secrets::new();
    let named = read_secrets(args.secrets.clone(), std::io::stdin().lock())?;
    for (name, value) in named {
        secrets.set(name, Secret::new(value.as_str().unwrap_or_default().to_owned()));
    }
    let (asked_secrets, mut asked): (Vec<_>, Vec<_>) =
        way.fields().into_iter().partition(|field| field.secret);
    asked.extend(connector.setting_fields());
    for field in asked_secrets {
        if secrets.get(&field.name).is_some() {
            continue;
        }
        match secret(&field)? {
            Some(value) => secrets.set(field.name, value),
            None if is_needed(&field) => return Err(no_secret(&field.name)),
            None => {}
        }
    }
    for field in asked {
        if is_needed(&field) && !settings.contains_key(&field.name) && can_ask() {
            let value = asked_for(&field)?;
            settings.insert(field.name, value);
        }
    }
    Ok(ConnectionRequest {
        connector: connector.id.clone(),
        name: connector.name.clone(),
        way: Some(way.id.clone()),
        settings,
        secrets,
    })
}

/// There is nobody to ask, so say how it is given.
fn no_secret(name: &str) -> Failure {
    Failure::new("invalid_field", format!("there is no `{name}` to call with")).hint(format!(
        "Set {} to it, or give --secret {name}=- and write it to standard input.",
        variable(name)
    ))
}

/// The variable in which a secret of this name is looked for.
fn variable(name: &str) -> String {
    format!("{VARIABLE}{}", name.to_ascii_uppercase())
}

fn is_needed(field: &FormField) -> bool {
    !field.field.optional && field.field.default.is_none()
}

fn can_ask() -> bool {
    std::io::stdin().is_terminal() && std::io::stderr().is_terminal()
}

/// A secret from its variable, or from whoever sits at the terminal. Nothing of it is shown.
fn secret(field: &FormField) -> Result<Option<Secret>, Failure> {
    if let Some(value) = std::env::var_os(variable(&field.name)) {
        return Ok(Some(Secret::new(value.to_string_lossy().into_owned())));
    }
    if !is_needed(field) || !can_ask() {
        return Ok(None);
    }
    ask(field)?;
    Ok(Some(Secret::new(rpassword::read_password()?)))
}

fn ask(field: &FormField) -> std::io::Result<()> {
    // What is printed may go elsewhere; whoever is asked reads this.
    let mut terminal = std::io::stderr().lock();
    write!(terminal, "{}: ", visible(&title(field)))?;
    terminal.flush()
}

fn asked_for(field: &FormField) -> Result<String, Failure> {
    ask(field)?;
    let mut line = String::new();
    std::io::stdin().lock().read_line(&mut line)?;
    Ok(line.trim().to_owned())
}

fn title(field: &FormField) -> String {
    match &field.field.example {
        Some(example) => format!("{} (such as {example})", field.field.title),
        None => field.field.title.clone(),
    }
}

fn say_trial(trial: &Value) {
    for request in trial["requests"].as_array().into_iter().flatten() {
        say_request(request);
    }
    let page = &trial["page"];
    if !page.is_object() {
        let error = &trial["error"];
        say(&visible(&format!("× {}", error["message"].as_str().unwrap_or_default())));
        if let Some(hint) = error["hint"].as_str() {
            say(&visible(hint));
        }
        return;
    }
    let records = page["records"].as_array().map_or(&[][..], Vec::as_slice);
    let total = match page["total"].as_u64() {
        Some(total) => format!(" of {total}"),
        None => String::new(),
    };
    let more = if page["done"] == true { "and no more" } else { "and more pages" };
    let found = counted(records.len() as u64, "record");
    let stream = trial["stream"].as_str().unwrap_or_default();
    say(&visible(&format!("✓ {stream}: {found}{total}, {more}")));
    for record in records.iter().take(SHOWN) {
        let mut line = cell(&record["key"]);
        if record["version"].is_string() {
            line = format!("{line}  {}", cell(&record["version"]));
        }
        if record["deleted"] == true {
            line.push_str("  deleted");
        }
        say(&format!("  {line}  {}", cell(&record["data"])));
    }
    if records.len() > SHOWN {
        say(&format!("  … and {} more; --json shows all", records.len() - SHOWN));
    }
    say(&visible(&format!("Cursor: {}", page["cursor"])));
    let next = &page["next"];
    if next.is_object() {
        let whose = if page["done"] == true { "The next run asks" } else { "The next page" };
        let text = |name: &str| next[name].as_str().unwrap_or_default().to_owned();
        say(&visible(&format!("{whose}: {} {} {}", text("method"), text("asks"), text("body"))));
    }
}

fn say_request(request: &Value) {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    say(&visible(&format!("{} {}", text(&request["method"]), text(&request["url"]))));
    say_headers("> ", &request["headers"]);
    if let Some(body) = request["body"].as_str() {
        say_lines("> ", body);
    }
    match request["answer"].as_object() {
        None => say(&visible(&format!("< no answer: {}", text(&request["fault"])))),
        Some(answer) => {
            say(&format!("< {}", answer["status"]));
            say_headers("< ", &answer["headers"]);
            say_lines("< ", answer["body"].as_str().unwrap_or_default());
        }
    }
    say("");
}

fn say_headers(before: &str, headers: &Value) {
    for header in headers.as_array().into_iter().flatten() {
        let (name, value) = (header[0].as_str(), header[1].as_str());
        let (name, value) = (name.unwrap_or_default(), value.unwrap_or_default());
        say(&visible(&format!("{before}{name}: {value}")));
    }
}

fn say_lines(before: &str, text: &str) {
    let mut lines = text.lines();
    for line in lines.by_ref().take(LINES) {
        say(&visible(&format!("{before}{line}")));
    }
    let left = lines.count();
    if left > 0 {
        say(&format!("{before}… {left} more lines"));
    }
}
