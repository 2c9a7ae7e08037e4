//! Syncs in a terminal.

use std::collections::HashMap;
use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use serde_json::{Value, json};

use super::Format;
use super::events::segment;
use super::lists::{Column, show};
use crate::args::SyncsCommand;
use crate::client::{Changes, Client};
use crate::failure::Failure;
use crate::output::{cell, complain, count, counted, line, number, say, say_json, visible};

/// How long a run is not asked after where no notice comes.
const ASK_AGAIN: Duration = Duration::from_secs(1);

const COLUMNS: [Column; 8] = [
    ("ID", |it| cell(&it["id"])),
    ("STREAM", |it| cell(&it["stream"])),
    ("CONNECTION", |it| cell(&it["connection_name"])),
    ("SCHEDULE", |it| cell(&it["schedule_text"])),
    ("STATE", |it| cell(&it["state"])),
    ("RECORDS", |it| count(&it["records"])),
    ("NEXT", |it| cell(&it["next_run_at"])),
    ("WHY", |it| cell(&it["why"])),
];
const WIDTHS: [usize; 8] = [17, 12, 16, 16, 8, 8, 24, 0];

pub(crate) async fn run(
    command: SyncsCommand,
    client: Client,
    data_dir: &Path,
    format: Format,
) -> Result<ExitCode, Failure> {
    match command {
        SyncsCommand::List => {
            let list = client.get("/api/syncs", &[]).await?;
            show(&list, "syncs", &COLUMNS, "There are no syncs.", format);
        }
        SyncsCommand::Run { id, full, wait } => {
            let sync = sync_id(&client, &id).await?;
            // Before the run begins, so that no notice of it is missed.
            let changes = if wait { Some(client.changes().await?) } else { None };
            let path = format!("/api/syncs/{}/run", segment(&sync));
            let begun = client.post(&path, &json!({ "full": full })).await?;
            let run = begun["id"].as_str().unwrap_or_default();
            match changes {
                Some(changes) => return wait_for(&client, run, changes, format).await,
                None if format == Format::Json => say_json(&begun),
                None => say(run),
            }
        }
        SyncsCommand::Watch => watch(client, data_dir, format).await?,
    }
    Ok(ExitCode::SUCCESS)
}

/// A sync's id; a stream is looked up, where only one sync has it.
async fn sync_id(client: &Client, named: &str) -> Result<String, Failure> {
    if named.starts_with("syn_") {
        return Ok(named.to_owned());
    }
    let list = client.get("/api/syncs", &[]).await?;
    let syncs = list["syncs"].as_array().map(Vec::as_slice).unwrap_or_default();
    let mut found = syncs.iter().filter(|sync| sync["stream"] == named);
    match (found.next(), found.next()) {
        (Some(sync), None) => Ok(sync["id"].as_str().unwrap_or_default().to_owned()),
        (Some(_), Some(_)) => {
            Err(Failure::new("ambiguous", format!("several syncs have the stream `{named}`"))
                .hint("Name one by its id: `patchbay syncs list` shows them."))
        }
        (None, _) => Err(Failure::new("not_found", format!("there is no sync `{named}`"))
            .hint("`patchbay syncs list` lists them.")),
    }
}

/// Waits until a run has ended; the exit code says how.
async fn wait_for(
    client: &Client,
    run: &str,
    mut changes: Changes,
    format: Format,
) -> Result<ExitCode, Failure> {
    let path = format!("/api/sync-runs/{}", segment(run));
    let bar = bar(format);
    let mut connected = true;
    loop {
        let now = client.get(&path, &[]).await?;
        advance(&bar, &now);
        if now["state"] != "running" {
            bar.finish_and_clear();
            return Ok(ended(&now, format));
        }
        let notice = async {
            while let Some(noun) = changes.next().await {
                if noun == "syncs" || noun == "*" {
                    return true;
                }
            }
            false
        };
        if connected {
            connected = tokio::time::timeout(ASK_AGAIN, notice).await.unwrap_or(true);
        } else {
            tokio::time::sleep(ASK_AGAIN).await;
        }
    }
}

fn bar(format: Format) -> ProgressBar {
    let bar = ProgressBar::no_length();
    if format == Format::Json {
        bar.set_draw_target(ProgressDrawTarget::hidden());
    }
    bar
}

fn advance(bar: &ProgressBar, run: &Value) {
    let template = if let Some(expected) = run["expected"].as_u64() {
        bar.set_length(expected);
        "{bar:30} {human_pos} of {human_len} records, {msg}"
    } else {
        "{spinner} {human_pos} records, {msg}"
    };
    if let Ok(style) = ProgressStyle::with_template(template) {
        bar.set_style(style);
    }
    let mut message = counted(run["pages"].as_u64().unwrap_or_default(), "page");
    let progress = &run["progress"];
    if let Some(rate) = progress["records_per_second"].as_f64() {
        message.push_str(&format!(", {rate:.0}/s"));
    }
    if let Some(seconds) = progress["seconds_left"].as_u64() {
        message.push_str(&format!(", {seconds} s left"));
    }
    if let Some(why) = progress["why"].as_str() {
        message.push_str(&visible(&format!("; waits: {why}")));
        // The clock alone: it is soon.
        if let Some(clock) = progress["until"].as_str().and_then(|until| until.get(11..19)) {
            message.push_str(&visible(&format!(", next try {clock} UTC")));
        }
    }
    bar.set_message(message);
    bar.set_position(run["records"].as_u64().unwrap_or_default());
}

fn ended(run: &Value, format: Format) -> ExitCode {
    if format == Format::Json {
        say_json(run);
    } else {
        say(&in_words(run));
        if let Some(hint) = run["error"]["hint"].as_str() {
            complain(hint);
        }
    }
    if run["state"] == "done" { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn in_words(run: &Value) -> String {
    let of = |name: &str| run[name].as_u64().unwrap_or_default();
    let counts = format!(
        "{} on {}: {} new, {} changed, {} unchanged, {} deleted",
        counted(of("records"), "record"),
        counted(of("pages"), "page"),
        number(of("inserted")),
        number(of("changed")),
        number(of("unchanged")),
        number(of("deleted")),
    );
    match run["state"].as_str() {
        Some("done") => format!("Done. {counts}."),
        Some("cancelled") => format!("Cancelled. {counts}."),
        _ => format!("Failed: {}. {counts}.", cell(&run["error"]["message"])),
    }
}

/// Prints each sync when what it does changes.
async fn watch(mut client: Client, data_dir: &Path, format: Format) -> Result<(), Failure> {
    let mut changes = client.changes().await?;
    let mut seen = HashMap::new();
    loop {
        let list = client.get("/api/syncs", &[]).await;
        for sync in list.iter().filter_map(|list| list["syncs"].as_array()).flatten() {
            let id = sync["id"].as_str().unwrap_or_default().to_owned();
            let now = gist(sync);
            if seen.insert(id, now.clone()) != Some(now) {
                print(sync, format);
            }
        }
        loop {
            match changes.next().await.as_deref() {
                Some("syncs" | "*") => break,
                Some(_) => {}
                None => {
                    complain("Patchbay is away; waiting for it.");
                    (client, changes) = connected_again(data_dir).await;
                    complain("Patchbay is back.");
                    break;
                }
            }
        }
    }
}

async fn connected_again(data_dir: &Path) -> (Client, Changes) {
    loop {
        if let Ok(client) = Client::connect(data_dir).await
            && let Ok(changes) = client.changes().await
        {
            return (client, changes);
        }
        tokio::time::sleep(ASK_AGAIN).await;
    }
}

/// What of a sync is worth a line when it changes.
fn gist(sync: &Value) -> Value {
    let run = &sync["runs"][0];
    json!([sync["state"], sync["why"], sync["records"], run["id"], run["state"], run["pages"]])
}

fn print(sync: &Value, format: Format) {
    if format == Format::Json {
        say_json(sync);
        return;
    }
    let cells: Vec<_> = COLUMNS.iter().map(|(_, show)| show(sync)).collect();
    say(&line(&WIDTHS, &cells));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_run_is_told_with_its_counts() {
        let run = json!({
            "state": "done", "records": 1_212, "pages": 1,
            "inserted": 1_203, "changed": 4, "unchanged": 5, "deleted": 0,
        });

        assert_eq!(
            in_words(&run),
            "Done. 1,212 records on 1 page: 1,203 new, 4 changed, 5 unchanged, 0 deleted."
        );
    }
}
