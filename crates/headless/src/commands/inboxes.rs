//! Inboxes in a terminal.

use std::io::BufRead;

use serde_json::{Map, Value, json};

use super::Format;
use super::lists::{Column, show};
use crate::args::{CreateInboxArgs, InboxesCommand};
use crate::client::Client;
use crate::failure::Failure;
use crate::output::{cell, count, say, say_json, visible};

pub(crate) async fn run(
    command: Option<InboxesCommand>,
    client: &Client,
    format: Format,
) -> Result<(), Failure> {
    match command {
        None | Some(InboxesCommand::List) => list(client, format).await,
        Some(InboxesCommand::Create(args)) => create(args, client, format).await,
    }
}

async fn list(client: &Client, format: Format) -> Result<(), Failure> {
    let list = client.get("/api/inboxes", &[]).await?;
    let columns: [Column; 7] = [
        ("ID", |it| cell(&it["id"])),
        ("NAME", |it| cell(&it["name"])),
        ("CONNECTOR", |it| cell(&it["connector"])),
        ("EVENTS", |it| count(&it["events"])),
        ("LAST HEARD", |it| cell(&it["heard_at"])),
        ("NEEDS", needs),
        ("ADDRESS", address),
    ];
    show(&list, "inboxes", &columns, "There are no inboxes.", format);
    Ok(())
}

/// Whole, since it is there to be copied.
fn address(inbox: &Value) -> String {
    let address = inbox["public_url"].as_str().or_else(|| inbox["local_url"].as_str());
    visible(address.unwrap_or_default())
}

/// The secrets that it still needs.
fn needs(inbox: &Value) -> String {
    let names = inbox["missing_secrets"].as_array().into_iter().flatten();
    let names: Vec<_> = names.filter_map(Value::as_str).collect();
    cell(&Value::from(names.join(", ")))
}

async fn create(args: CreateInboxArgs, client: &Client, format: Format) -> Result<(), Failure> {
    let settings: Map<_, _> =
        args.settings.into_iter().map(|(name, value)| (name, Value::from(value))).collect();
    let secrets = read_secrets(args.secrets, std::io::stdin().lock())?;
    let inbox = json!({
        "name": args.name,
        "connector": args.connector,
        "connection": args.connection,
        "settings": settings,
        "secrets": secrets,
    });
    let made = client.post("/api/inboxes", &inbox).await?;
    match format {
        Format::Json => say_json(&made),
        Format::Text => {
            say(&format!("Made inbox {} ({}).", cell(&made["name"]), cell(&made["id"])));
            say(&format!("Local address:  {}", visible(made["local_url"].as_str().unwrap_or("–"))));
            say(&format!(
                "Public address: {}",
                visible(made["public_url"].as_str().unwrap_or("–"))
            ));
            if made["missing_secrets"].as_array().is_some_and(|names| !names.is_empty()) {
                say(&format!(
                    "It needs its {}, and refuses everything until it has it: enter it on the \
                     Inboxes page.",
                    needs(&made)
                ));
            }
        }
    }
    Ok(())
}

/// One secret is all of the input, several are a line each.
pub(super) fn read_secrets(
    names: Vec<String>,
    mut input: impl BufRead,
) -> Result<Map<String, Value>, Failure> {
    let mut secrets = Map::new();
    let only = names.len() == 1;
    for name in names {
        let mut value = String::new();
        if only {
            input.read_to_string(&mut value)?;
        } else {
            input.read_line(&mut value)?;
        }
        value.truncate(value.trim_end_matches(['\r', '\n']).len());
        if value.is_empty() {
            return Err(Failure::new("secret", format!("`{name}` is empty on standard input"))
                .hint("Give the value on standard input: `printf %s \"$SECRET\" | patchbay …`."));
        }
        secrets.insert(name, Value::from(value));
    }
    Ok(secrets)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(names: &[&str], input: &str) -> Option<Value> {
        let names = names.iter().map(|&name| name.to_owned()).collect();
        read_secrets(names, input.as_bytes()).ok().map(Value::from)
    }

    #[test]
    fn one_secret_is_the_whole_input_and_several_are_lines() {
        assert_eq!(check(&["a"], "one\ntwo\n"), Some(json!({ "a": "one\ntwo" })));
        assert_eq!(check(&["a", "b"], "one\r\ntwo"), Some(json!({ "a": "one", "b": "two" })));
        assert_eq!(check(&["a"], "\n"), None);
        assert_eq!(check(&["a", "b"], "one\n"), None);
        assert_eq!(check(&[], ""), Some(json!({})));
    }
}
