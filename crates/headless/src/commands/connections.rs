//! Connections in a terminal.

use serde_json::{Value, json};

use super::Format;
use super::lists::{Column, show};
use crate::args::ConnectionsCommand;
use crate::client::Client;
use crate::failure::Failure;
use crate::output::{cell, say, say_json, visible};

pub(crate) async fn run(
    command: Option<ConnectionsCommand>,
    client: &Client,
    format: Format,
) -> Result<(), Failure> {
    match command {
        None | Some(ConnectionsCommand::List) => list(client, format).await,
        Some(ConnectionsCommand::Check { id }) => check(&id, client, format).await,
        Some(ConnectionsCommand::SendTestMail { id, to }) => {
            send_test_mail(&id, &to, client, format).await
        }
    }
}

async fn list(client: &Client, format: Format) -> Result<(), Failure> {
    let list = client.get("/api/connections", &[]).await?;
    let columns: [Column; 6] = [
        ("ID", |it| cell(&it["id"])),
        ("NAME", |it| cell(&it["name"])),
        ("CONNECTOR", |it| cell(&it["connector"])),
        ("STATE", state),
        ("ACCOUNT", |it| cell(&it["account"])),
        ("WHY", why),
    ];
    show(&list, "connections", &columns, "There are no connections.", format);
    Ok(())
}

/// The word that the pages have for how it is.
fn state(connection: &Value) -> String {
    let is = |name: &str| connection.get(name).is_some_and(|it| *it != Value::Bool(false));
    let word = match connection["state"].as_str() {
        Some("ready") if is("fault") => "check failed",
        Some("ready") => "connected",
        Some("needs_sign_in") if is("half_made") => "half made",
        Some("needs_sign_in") => "needs sign-in",
        Some("signing_in") => "waiting for the sign-in",
        _ => return cell(&connection["state"]),
    };
    word.to_owned()
}

/// Why it is not ready, or what was wrong when it was checked last. Whole, since half of a sentence
/// helps nobody.
fn why(connection: &Value) -> String {
    let why = connection.get("why").or_else(|| connection["fault"].get("why"));
    why.and_then(Value::as_str).map_or_else(|| cell(&Value::Null), visible)
}

async fn check(id: &str, client: &Client, format: Format) -> Result<(), Failure> {
    let id = found(id, client).await?;
    let checked = client.post(&format!("/api/connections/{id}/check"), &json!({})).await?;
    if format == Format::Json {
        say_json(&checked);
        return Ok(());
    }
    let text = |name: &str| checked[name].as_str().map(visible);
    let name = text("name").unwrap_or_default();
    match text("account") {
        Some(account) => say(&format!("{name} works: its account is {account}.")),
        None => say(&format!("{name} works.")),
    }
    Ok(())
}

async fn send_test_mail(
    id: &str,
    to: &str,
    client: &Client,
    format: Format,
) -> Result<(), Failure> {
    let id = found(id, client).await?;
    let path = format!("/api/connections/{id}/test-mail");
    let sent = client.post(&path, &json!({ "to": to })).await?;
    if format == Format::Json {
        say_json(&sent);
        return Ok(());
    }
    let answer = sent["answer"].as_str().map(visible).unwrap_or_default();
    say(&format!("The mail server has taken it, and said: {answer}"));
    Ok(())
}

/// The id of the connection that is meant.
async fn found(given: &str, client: &Client) -> Result<String, Failure> {
    let list = client.get("/api/connections", &[]).await?;
    let all = list["connections"].as_array().map(Vec::as_slice).unwrap_or_default();
    let is = |it: &&Value, field: &str| it[field] == given;
    let found: Vec<_> = match all.iter().find(|it| is(it, "id")) {
        Some(one) => vec![one],
        None => all.iter().filter(|it| is(it, "name")).collect(),
    };
    match found.as_slice() {
        [one] => Ok(one["id"].as_str().unwrap_or_default().to_owned()),
        [] => Err(Failure::new("not_found", format!("there is no connection `{given}`"))
            .hint("`patchbay connections` lists them.")),
        several => Err(Failure::new(
            "not_found",
            format!("`{given}` is the name of {} connections", several.len()),
        )
        .hint("Name it by its id: `patchbay connections` lists them.")),
    }
}
