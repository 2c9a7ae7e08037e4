//! The log in a terminal.

use std::path::Path;
use std::time::Duration;

use serde_json::Value;

use super::Format;
use super::lists::{Column, show};
use crate::args::{EventsCommand, FilterArgs, WhichArgs};
use crate::client::Client;
use crate::failure::Failure;
use crate::output::{
    bytes, cell, complain, count, counted, line, say, say_bytes, say_json, visible,
};

/// Older than every event.
const BEGINNING: &str = "evt_0000000000000";
/// How long a lost Patchbay is left alone before it is looked for again.
const RETRY: Duration = Duration::from_millis(500);

const COLUMNS: [Column; 6] = [
    ("ID", |it| cell(&it["id"])),
    ("RECEIVED", |it| cell(&it["received_at"])),
    ("INBOX", |it| cell(&it["inbox_name"])),
    ("TYPE", |it| cell(&it["type"])),
    ("PROOF", |it| cell(&it["proof"])),
    ("TITLE", |it| cell(&it["title"])),
];
/// For lines that come one by one, where no column knows what is still to come.
const WIDTHS: [usize; 6] = [17, 24, 16, 20, 10, 0];

pub(crate) async fn run(
    command: EventsCommand,
    client: Client,
    data_dir: &Path,
    format: Format,
) -> Result<(), Failure> {
    match command {
        EventsCommand::List { filter, limit, before, after } => {
            let mut query = filtered(&client, filter).await?;
            query.push(("limit", limit.to_string()));
            query.extend(before.map(|id| ("before", id)));
            query.extend(after.map(|id| ("after", id)));
            let list = client.get("/api/events", &query).await?;
            show(&list, "events", &COLUMNS, "There are no events.", format);
        }
        EventsCommand::Tail { which, lines, after } => {
            let query = which_ones(&client, which).await?;
            let mut tail = Tail { data_dir, query, format, after };
            tail.follow(client, lines).await?;
        }
        EventsCommand::Show { id, body: true, .. } => {
            say_bytes(&client.bytes(&format!("/api/events/{}/body", segment(&id))).await?);
        }
        EventsCommand::Show { id, request: true, .. } => {
            let request = client.get(&format!("/api/events/{}/request", segment(&id)), &[]).await?;
            say_json(&request);
        }
        EventsCommand::Show { id, .. } => {
            let event = client.get(&format!("/api/events/{}", segment(&id)), &[]).await?;
            show_one(&event, format);
        }
        EventsCommand::Count { filter } => {
            let query = filtered(&client, filter).await?;
            let found = client.get("/api/events/count", &query).await?;
            match format {
                Format::Json => say_json(&found),
                Format::Text => say(&count(&found)),
            }
        }
    }
    Ok(())
}

type Query = Vec<(&'static str, String)>;

async fn filtered(client: &Client, filter: FilterArgs) -> Result<Query, Failure> {
    let mut query = which_ones(client, filter.which).await?;
    query.extend(filter.since.map(|time| ("since", time.to_string())));
    query.extend(filter.until.map(|time| ("until", time.to_string())));
    Ok(query)
}

async fn which_ones(client: &Client, which: WhichArgs) -> Result<Query, Failure> {
    let mut query = Vec::new();
    if let Some(inbox) = which.inbox {
        query.push(("inbox", inbox_id(client, inbox).await?));
    }
    query.extend(which.r#type.map(|text| ("type", text)));
    query.extend(which.query.map(|text| ("q", text)));
    Ok(query)
}

/// An inbox's id; a name is looked up.
async fn inbox_id(client: &Client, named: String) -> Result<String, Failure> {
    if named.starts_with("inb_") {
        return Ok(named);
    }
    let list = client.get("/api/inboxes", &[]).await?;
    let inboxes = list["inboxes"].as_array().map(Vec::as_slice).unwrap_or_default();
    let found = inboxes.iter().find(|inbox| inbox["name"] == named.as_str());
    found.and_then(|inbox| inbox["id"].as_str()).map(str::to_owned).ok_or_else(|| {
        Failure::new("not_found", format!("there is no inbox `{named}`"))
            .hint("`patchbay inboxes` lists them.")
    })
}

/// An id as a part of a path: whatever was typed, it stays one part.
pub(super) fn segment(id: &str) -> String {
    id.chars().filter(|letter| letter.is_ascii_alphanumeric() || *letter == '_').collect()
}

fn show_one(event: &Value, format: Format) {
    if format == Format::Json {
        say_json(event);
        return;
    }
    let text = |name: &str| visible(event[name].as_str().unwrap_or_default());
    say(&format!("{}  {}", text("id"), text("title")));
    say(&text("why"));
    for (title, name) in [
        ("inbox", "inbox_name"),
        ("type", "type"),
        ("sender's id", "external_id"),
        ("received", "received_at"),
        ("size", "size_bytes"),
        ("arrived", "arrived"),
        ("method", "method"),
        ("query", "query"),
    ] {
        let value = match (name, event[name].as_u64()) {
            ("size_bytes", Some(size)) => bytes(size),
            ("arrived", Some(times)) => counted(times, "time"),
            _ => cell(&event[name]),
        };
        say(&line(&[12, 0], &[title.to_owned(), value]));
    }
    for header in event["headers"].as_array().map(Vec::as_slice).unwrap_or_default() {
        let part = |place: usize| visible(header[place].as_str().unwrap_or_default());
        say(&format!("  {}: {}", part(0), part(1)));
    }
}

/// Prints events as they arrive.
///
/// What was printed last is remembered by id, and ids are order: after each notice, and after each
/// new connection, what is newer than that is asked for. So a lost connection, a lost notice or a
/// restarted Patchbay neither hides an event nor shows one twice.
struct Tail<'a> {
    data_dir: &'a Path,
    query: Query,
    format: Format,
    /// The last one that was printed, or that was there before.
    after: Option<String>,
}

impl Tail<'_> {
    async fn follow(&mut self, client: Client, lines: u16) -> Result<(), Failure> {
        // An error here is the user's to see; later ones are waited out.
        let mut changes = client.changes().await?;
        if self.after.is_none() {
            self.begin(&client, lines).await?;
        }
        let mut client = client;
        loop {
            let lost = self.while_connected(&client, &mut changes).await;
            complain(&format!("Patchbay is away ({lost}); waiting for it."));
            (client, changes) = self.connected_again().await;
            complain("Patchbay is back.");
        }
    }

    /// The newest events that are there already.
    async fn begin(&mut self, client: &Client, lines: u16) -> Result<(), Failure> {
        let mut query = self.query.clone();
        query.push(("limit", lines.max(1).to_string()));
        let list = client.get("/api/events", &query).await?;
        let events = list["events"].as_array().map(Vec::as_slice).unwrap_or_default();
        for event in events.iter().take(lines.into()).rev() {
            self.print(event);
        }
        let newest = events.first().and_then(|event| event["id"].as_str());
        self.after = Some(newest.unwrap_or(BEGINNING).to_owned());
        Ok(())
    }

    /// Goes on until the connection is lost; says how.
    async fn while_connected(
        &mut self,
        client: &Client,
        changes: &mut crate::client::Changes,
    ) -> String {
        loop {
            if let Err(failure) = self.catch_up(client).await {
                return failure.message().to_owned();
            }
            loop {
                match changes.next().await.as_deref() {
                    None => return "the connection ended".to_owned(),
                    Some("events" | "*") => break,
                    Some(_) => {}
                }
            }
        }
    }

    /// Prints all that is newer than the last that was printed.
    async fn catch_up(&mut self, client: &Client) -> Result<(), Failure> {
        const PAGE: usize = 1_000;
        loop {
            let after = self.after.clone().unwrap_or_else(|| BEGINNING.to_owned());
            let mut query = self.query.clone();
            query.extend([("after", after), ("limit", PAGE.to_string())]);
            let list = client.get("/api/events", &query).await?;
            let events = list["events"].as_array().map(Vec::as_slice).unwrap_or_default();
            for event in events.iter().rev() {
                self.print(event);
                self.after = event["id"].as_str().map(str::to_owned);
            }
            if events.len() < PAGE {
                return Ok(());
            }
        }
    }

    fn print(&self, event: &Value) {
        match self.format {
            Format::Json => say_json(event),
            Format::Text => {
                let cells: Vec<_> = COLUMNS.iter().map(|(_, show)| show(event)).collect();
                say(&line(&WIDTHS, &cells));
            }
        }
    }

    async fn connected_again(&self) -> (Client, crate::client::Changes) {
        loop {
            // Another owner has another address and another token.
            if let Ok(client) = Client::connect(self.data_dir).await
                && let Ok(changes) = client.changes().await
            {
                return (client, changes);
            }
            tokio::time::sleep(RETRY).await;
        }
    }
}
