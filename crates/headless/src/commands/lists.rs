//! Lists that need no more than a table.

use serde_json::Value;

use super::Format;
use crate::client::Client;
use crate::failure::Failure;
use crate::output::{cell, say_json, table};

/// A column: its head, and what stands in it.
pub(super) type Column = (&'static str, fn(&Value) -> String);

/// Shows a list of the API.
pub(super) fn show(list: &Value, noun: &str, columns: &[Column], nothing: &str, format: Format) {
    if format == Format::Json {
        say_json(list);
        return;
    }
    let head: Vec<_> = columns.iter().map(|(head, _)| *head).collect();
    let items = list[noun].as_array().map(Vec::as_slice).unwrap_or_default();
    let rows: Vec<Vec<_>> =
        items.iter().map(|item| columns.iter().map(|(_, show)| show(item)).collect()).collect();
    table(&head, &rows, nothing);
}

pub(crate) async fn tunnels(client: &Client, format: Format) -> Result<(), Failure> {
    let list = client.get("/api/tunnels", &[]).await?;
    let columns: [Column; 7] = [
        ("ID", |it| cell(&it["id"])),
        ("NAME", |it| cell(&it["name"])),
        ("KIND", |it| cell(&it["kind"])),
        ("STATE", |it| cell(&it["state"])),
        ("PUBLIC ADDRESS", |it| cell(&it["public_url"])),
        // Where one's own proxy has to point; the other ways see to that themselves.
        ("SEND REQUESTS TO", |it| match it["kind"].as_str() {
            Some("own-url") => cell(&it["ingress"]),
            _ => cell(&Value::Null),
        }),
        ("WHY", |it| cell(&it["why"])),
    ];
    show(&list, "tunnels", &columns, "There are no tunnels.", format);
    Ok(())
}
