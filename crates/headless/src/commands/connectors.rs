//! What can be connected: read from the program, the data directory or a folder, so no owner is
//! needed.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use engine::connector::{self, Broken, Checked, Connectors, Listed};
use engine::host::CONNECTORS;
use serde_json::{Value, json};

use super::{Format, lists};
use crate::args::ConnectorsCommand;
use crate::failure::Failure;
use crate::output::{cell, say, say_json, visible};

pub(crate) fn run(
    command: ConnectorsCommand,
    data_dir: &Path,
    format: Format,
) -> Result<ExitCode, Failure> {
    match command {
        ConnectorsCommand::List => {
            list(data_dir, format);
            Ok(ExitCode::SUCCESS)
        }
        ConnectorsCommand::Check { folders } => Ok(check(&folders, format)),
        ConnectorsCommand::Try(args) => {
            super::runtime()?.block_on(super::trial::run(args, data_dir, format))
        }
    }
}

fn check(folders: &[PathBuf], format: Format) -> ExitCode {
    // The files of a shell's `*`, such as a schema, are no connectors.
    let folders = folders.iter().filter(|folder| !folder.is_file());
    let checked: Vec<_> = folders.map(|folder| connector::check(folder)).collect();
    match format {
        Format::Json => {
            let connectors: Vec<_> = checked.iter().map(check_json).collect();
            say_json(&json!({ "connectors": connectors }));
        }
        Format::Text => checked.iter().for_each(say_checked),
    }
    let failed = checked.iter().any(|checked| !checked.passed()) || checked.is_empty();
    if failed { ExitCode::FAILURE } else { ExitCode::SUCCESS }
}

fn check_json(checked: &Checked) -> Value {
    let fixtures = checked
        .fixtures
        .iter()
        .map(|played| json!({ "file": played.file, "problem": played.problem }));
    json!({
        "id": checked.id,
        "passed": checked.passed(),
        "broken": checked.broken.as_ref().map(broken_json),
        "fixtures": fixtures.collect::<Vec<_>>(),
    })
}

fn say_checked(checked: &Checked) {
    let Checked { id, broken, fixtures } = checked;
    if let Some(broken) = broken {
        say(&visible(&format!("× {id}: {}", broken.message)));
    } else if fixtures.is_empty() {
        say(&visible(&format!("× {id}: it has no fixtures, so nothing shows that it works")));
    }
    for played in fixtures {
        if let Some(problem) = &played.problem {
            say(&visible(&format!("× {id}/fixtures/{}: {problem}", played.file)));
        }
    }
    if checked.passed() {
        let plural = if fixtures.len() == 1 { "" } else { "s" };
        say(&visible(&format!("✓ {id}: {} fixture{plural} played", fixtures.len())));
    }
}

fn broken_json(broken: &Broken) -> Value {
    json!({ "file": broken.file, "line": broken.line, "message": broken.message })
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
            "broken": broken_json(broken),
        }),
    }
}
