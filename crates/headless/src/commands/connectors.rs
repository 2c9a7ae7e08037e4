//! What can be connected: read from the program and the data directory, so no owner is needed.

use std::path::Path;
use std::process::ExitCode;

use engine::connector::{Connectors, Listed};
use engine::host::CONNECTORS;
use serde_json::{Value, json};

use super::{Format, lists};
use crate::args::ConnectorsCommand;
use crate::failure::Failure;
use crate::output::cell;

pub(crate) fn run(
    command: &ConnectorsCommand,
    data_dir: &Path,
    format: Format,
) -> Result<ExitCode, Failure> {
    match command {
        ConnectorsCommand::List => list(data_dir, format),
    }
    Ok(ExitCode::SUCCESS)
}

fn list(data_dir: &Path, format: Format) {
    let connectors = Connectors::open(data_dir.join(CONNECTORS));
    let items: Vec<_> = connectors.all().iter().map(shown).collect();
    let columns: [lists::Column; 6] = [
        ("ID", |it| cell(&it["id"])),
        ("NAME", |it| cell(&it["name"])),
        ("STATUS", |it| cell(&it["status"])),
        ("WEBHOOKS", |it| cell(&it["has_webhooks"])),
        ("API", |it| cell(&it["has_api"])),
        ("BROKEN", |it| cell(&it["broken"]["message"])),
    ];
    let list = json!({ "connectors": items });
    lists::show(&list, "connectors", &columns, "There are no connectors.", format);
}

fn shown(listed: &Listed) -> Value {
    use domain::connector::Status;
    match &listed.connector {
        Ok(connector) => json!({
            "id": listed.id,
            "name": connector.name,
            "status": match connector.status {
                Status::Documented => "documented",
                Status::Tried => "tried",
                Status::Sandbox => "sandbox",
            },
            "own": listed.own,
            "about": connector.about,
            "has_webhooks": connector.webhooks.is_some(),
            "has_api": !connector.streams.is_empty(),
        }),
        Err(broken) => json!({
            "id": listed.id,
            "name": listed.id,
            "own": listed.own,
            "broken": { "file": broken.file, "line": broken.line, "message": broken.message },
        }),
    }
}
