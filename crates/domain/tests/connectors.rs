//! Every shipped connector: that it loads, that what was recorded beside it plays, and that the
//! schema for editors is the one that the types give.

#![expect(clippy::unwrap_used, reason = "a test ends where something is missing")]

mod table;

use std::fs;
use std::path::{Path, PathBuf};

use domain::connector::{self, Connector};

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../connectors")
}

/// The shipped connectors with their folders.
fn shipped() -> Vec<(PathBuf, Connector)> {
    let folders = fs::read_dir(folder()).unwrap().map(|entry| entry.unwrap().path());
    let shipped: Vec<_> = folders
        .filter(|folder| folder.is_dir())
        .map(|folder| {
            let text = fs::read_to_string(folder.join("connector.yaml")).unwrap();
            let beside = |name: &str| fs::read_to_string(folder.join(name)).ok();
            let file = format!("{}/connector.yaml", name(&folder));
            let connector = connector::load(&file, &text, &beside);
            (folder, connector.unwrap_or_else(|error| panic!("{error}")))
        })
        .collect();
    assert!(!shipped.is_empty());
    shipped
}

fn name(path: &Path) -> String {
    path.file_name().unwrap().to_string_lossy().into_owned()
}

#[test]
fn every_folder_holds_the_connector_of_its_name_and_an_icon() {
    for (folder, connector) in shipped() {
        assert_eq!(connector.id, name(&folder));
        let icon = fs::read_to_string(folder.join("icon.svg")).unwrap();
        assert!(icon.contains(r#"viewBox="0 0 24 24""#), "{}", connector.id);
        assert!(!icon.contains("<script") && !icon.contains("href"), "{}", connector.id);
    }
}

#[test]
fn what_was_recorded_plays() {
    for (folder, connector) in shipped() {
        let mut played = 0;
        for file in fs::read_dir(folder.join("fixtures")).unwrap() {
            let file = file.unwrap().path();
            let text = fs::read_to_string(&file).unwrap();
            if let Err(problem) = domain::fixture::play(&connector, &text) {
                panic!("{}/{}: {problem}", connector.id, name(&file));
            }
            played += 1;
        }
        assert!(played > 0, "{} has no fixtures", connector.id);
    }
}

/// Run with `UPDATE_SCHEMA=1` to write it anew.
#[test]
fn the_schema_for_editors_is_current() {
    let file = folder().join("connector.schema.json");
    let current = serde_json::to_string_pretty(&Connector::schema()).unwrap() + "\n";
    if std::env::var_os("UPDATE_SCHEMA").is_some() {
        fs::write(&file, &current).unwrap();
    }

    let committed = fs::read_to_string(&file).unwrap_or_default().replace("\r\n", "\n");

    assert!(committed == current, "run this test with UPDATE_SCHEMA=1 and commit the schema");
}

/// Run with `UPDATE_DOCS=1` to write it anew.
#[test]
fn the_document_of_what_connectors_can_do_is_current() {
    let file = folder().join("../docs/connectors.md");
    let current = table::document(&shipped());
    if std::env::var_os("UPDATE_DOCS").is_some() {
        fs::write(&file, &current).unwrap();
    }

    let committed = fs::read_to_string(&file).unwrap_or_default().replace("\r\n", "\n");

    assert!(committed == current, "run this test with UPDATE_DOCS=1 and commit docs/connectors.md");
}
