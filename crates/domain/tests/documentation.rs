//! The examples in `docs/connector-format.md` are read as what they show.

#![expect(clippy::unwrap_used, reason = "a test ends where something is missing")]

use std::path::Path;

use domain::connector::{
    Ask, Connector, Errors, Idempotency, Limit, Paging, Reconcile, Register, Since, Smtp, Socket,
    Stream, Way,
};
use serde::de::DeserializeOwned;

fn read<T: DeserializeOwned>(text: &str) -> Result<(), String> {
    serde_saphyr::from_str::<T>(text).map(|_| ()).map_err(|error| error.to_string())
}

/// The YAML of the documentation, with the heading that each block stands under.
fn blocks() -> Vec<(String, String)> {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/connector-format.md");
    let text = std::fs::read_to_string(file).unwrap().replace("\r\n", "\n");
    let (mut heading, mut blocks) = (String::new(), Vec::new());
    let mut open: Option<String> = None;
    for line in text.lines() {
        match (&mut open, line) {
            (Some(_), "```") => blocks.push((heading.clone(), open.take().unwrap())),
            (Some(block), line) => {
                block.push_str(line);
                block.push('\n');
            }
            (None, "```yaml") => open = Some(String::new()),
            (None, line) if line.starts_with('#') => {
                heading = line.trim_start_matches('#').trim().into();
            }
            (None, _) => {}
        }
    }
    blocks
}

/// A block's entries, each a word with what is indented below it.
fn entries(block: &str) -> Vec<String> {
    let mut entries: Vec<String> = Vec::new();
    for line in block.lines() {
        match entries.last_mut() {
            Some(entry) if line.starts_with([' ', '#']) => {
                entry.push('\n');
                entry.push_str(line);
            }
            _ => entries.push(line.to_owned()),
        }
    }
    entries
}

fn word(entry: &str) -> (&str, String) {
    let (word, rest) = entry.split_once(':').unwrap();
    // What is indented comes to stand at the beginning of its lines.
    let body: Vec<_> =
        rest.lines().map(|line| line.strip_prefix("  ").unwrap_or(line.trim_start())).collect();
    (word, body.join("\n"))
}

const FRAME: &str = "format: 1\nid: acme\nname: Acme\nstatus: documented\n";

/// Reads `entry` as what stands under `heading`.
fn check(heading: &str, entry: &str) -> Result<(), String> {
    let (word, body) = word(entry);
    match (heading, word) {
        ("auth", "auth") => read::<Vec<Way>>(&body),
        ("auth", _) => read::<Way>(entry),
        ("limit", "limit") => read::<Limit>(&body),
        ("limit", _) => read::<Limit>(entry),
        ("errors", _) => read::<Errors>(&body),
        ("page", _) => read::<Paging>(&body),
        ("since", _) => read::<Since>(&body),
        ("actions", "idempotency") => read::<Idempotency>(&body),
        ("actions", "smtp") => read::<Smtp>(&body),
        ("socket", _) => read::<Socket>(&body),
        ("register", _) => read::<Register>(&body),
        ("reconcile", _) => read::<Reconcile>(&body),
        ("streams", "streams") | ("actions", "actions") => {
            read::<Connector>(&format!("{FRAME}{entry}"))
        }
        ("The frame", "format" | "id" | "name" | "status") => Ok(()),
        ("The frame", _) => read::<Connector>(&format!("{FRAME}{entry}")),
        _ => Err(format!("nobody knows what `{word}` is under `{heading}`")),
    }
}

#[test]
fn the_examples_of_the_api_side_are_read() {
    let mut read_examples = 0;
    let sections = [
        "The frame",
        "auth",
        "limit",
        "errors",
        "streams",
        "page",
        "since",
        "actions",
        "socket",
        "register",
        "reconcile",
    ];
    for (heading, block) in blocks() {
        let is_whole = ["parent", "job", "journal"].iter().any(|it| block.starts_with(it));
        let checked = match heading.as_str() {
            "Requests" => read::<Ask>(&block).map_err(|error| format!("{block}: {error}")),
            "streams" | "job, journal" if is_whole => {
                let rest = "records: .data\n";
                let key = if block.contains("key:") { "" } else { "key: .id\n" };
                read::<Stream>(&format!("{block}{rest}{key}"))
                    .map_err(|error| format!("{block}: {error}"))
            }
            heading if sections.contains(&heading) => entries(&block)
                .iter()
                // Three dots stand for what is shown elsewhere.
                .filter(|entry| !entry.contains("{ … }"))
                .try_for_each(|entry| {
                    check(heading, entry).map_err(|error| format!("{entry}: {error}"))
                }),
            _ => continue,
        };
        checked.unwrap_or_else(|problem| panic!("{heading}: {problem}"));
        read_examples += 1;
    }
    assert!(read_examples > 35, "only {read_examples} were found");
}
