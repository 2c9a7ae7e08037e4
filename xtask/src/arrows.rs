//! The arrows of ARCHITECTURE.md: which crate may know which, and which names stay where.
//!
//! Dependencies come from cargo itself. Names are looked for in the sources as words; comments and
//! tests count as well, except where a rule says otherwise, since a rule that is easy to state is
//! easy to keep.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use serde_json::Value;

use crate::workspace;

/// Which crates of ours a crate may depend on.
const ARROWS: [(&str, &[&str]); 9] = [
    ("domain", &[]),
    ("engine", &["domain"]),
    ("sandbox", &[]),
    ("api", &["domain", "engine"]),
    ("host", &["domain", "engine", "api", "sandbox"]),
    ("headless", &["domain", "engine", "api", "host"]),
    ("desktop", &["domain", "engine", "api", "host"]),
    ("tests", &["domain", "engine", "api", "sandbox"]),
    ("xtask", &[]),
];

/// Which crates may depend on a library whose name begins like this. The spike that the bench
/// compares with is no part of the product.
const LIBRARIES: [(&str, &[&str]); 4] = [
    ("tauri", &["desktop"]),
    ("rusqlite", &["engine", "xtask"]),
    ("keyring", &["engine"]),
    ("tokio", &["engine", "sandbox", "api", "host", "headless", "desktop", "tests", "xtask"]),
];

/// A name that only some places may use.
struct Name {
    text: &'static str,
    /// Where it is looked for.
    within: &'static str,
    /// Where it may stand all the same.
    but: &'static [&'static str],
    /// Whether tests beside the code may use it.
    tests_may: bool,
}

const NAMES: [Name; 12] = [
    Name {
        text: "rusqlite",
        within: "",
        but: &["crates/engine/src/store", "xtask/src"],
        tests_may: false,
    },
    Name { text: "tauri", within: "crates", but: &[], tests_may: false },
    Name { text: "tokio", within: "crates/domain", but: &[], tests_may: false },
    Name { text: "SystemTime", within: "crates/domain", but: &[], tests_may: false },
    Name { text: "Instant", within: "crates/domain", but: &[], tests_may: false },
    Name { text: "Timestamp::now", within: "crates/domain", but: &[], tests_may: true },
    Name { text: "Zoned::now", within: "crates/domain", but: &[], tests_may: false },
    Name { text: "std::fs", within: "crates/domain", but: &[], tests_may: true },
    Name { text: "std::env", within: "crates/domain", but: &[], tests_may: true },
    Name { text: "TcpStream", within: "crates/domain", but: &[], tests_may: false },
    Name { text: "env::var", within: "crates/engine/src", but: &[], tests_may: true },
    Name { text: "env::var", within: "crates/api/src", but: &[], tests_may: true },
];

/// Checks all of it and names everything that points the wrong way.
pub(crate) fn check() -> Result<()> {
    let mut wrong = wrong_dependencies(&workspace::metadata(&["--no-deps"])?)?;
    let sources = sources(workspace::root())?;
    for name in &NAMES {
        wrong.extend(sources.iter().filter_map(|(path, text)| misplaced(name, path, text)));
    }
    if wrong.is_empty() {
        return Ok(());
    }
    bail!("{} arrows point the wrong way:\n{}", wrong.len(), wrong.join("\n"));
}

fn wrong_dependencies(metadata: &Value) -> Result<Vec<String>> {
    let arrows: BTreeMap<_, _> = ARROWS.into_iter().collect();
    let mut wrong = Vec::new();
    for package in metadata["packages"].as_array().context("cargo names no packages")? {
        let name = package["name"].as_str().unwrap_or_default();
        let Some(allowed) = arrows.get(name) else {
            wrong.push(format!("{name}: nobody has said yet what it may depend on"));
            continue;
        };
        for dependency in package["dependencies"].as_array().into_iter().flatten() {
            let on = dependency["name"].as_str().unwrap_or_default();
            let ours = arrows.contains_key(on) && !dependency["path"].is_null();
            if ours && !allowed.contains(&on) && dependency["kind"] != "dev" {
                wrong.push(format!("{name} depends on {on}"));
            }
            let reserved = LIBRARIES.iter().find(|(library, _)| on.starts_with(library));
            if reserved.is_some_and(|(_, who)| !who.contains(&name)) {
                wrong.push(format!("{name} depends on {on}"));
            }
        }
    }
    Ok(wrong)
}

/// Where `name` stands in a file that may not use it.
fn misplaced(name: &Name, path: &str, text: &str) -> Option<String> {
    let within = |folder: &&str| Path::new(path).starts_with(folder);
    let a_test = path.ends_with("/tests.rs") || path.contains("/tests/");
    if !within(&name.within) || name.but.iter().any(within) || (name.tests_may && a_test) {
        return None;
    }
    let code = if name.tests_may { text.split("#[cfg(test)]").next()? } else { text };
    let line = code.lines().position(|line| says(line, name.text))?;
    Some(format!("{path}:{}: names `{}`", line + 1, name.text))
}

/// Whether a line of code has `word` in it as a word of its own. Comments may speak of it.
fn says(line: &str, word: &str) -> bool {
    let code = line.split("//").next().unwrap_or_default();
    code.match_indices(word).any(|(at, _)| {
        let part_of_name = |it: char| it.is_alphanumeric() || it == '_';
        let before = code[..at].chars().next_back().is_some_and(part_of_name);
        let after = code[at + word.len()..].chars().next().is_some_and(|it| it.is_alphanumeric());
        !before && !after
    })
}

/// Every Rust source of ours, by its path from the root with `/`.
fn sources(root: &Path) -> Result<Vec<(String, String)>> {
    let mut found = Vec::new();
    for folder in ["crates", "src-tauri", "tests", "xtask"] {
        collect(&root.join(folder), &mut found)?;
    }
    found
        .into_iter()
        // This file names everything that it looks for.
        .filter(|path| !path.ends_with("xtask/src/arrows.rs"))
        .map(|path| {
            let text = fs::read_to_string(&path)?;
            let short = path.strip_prefix(root)?.to_string_lossy().replace('\\', "/");
            Ok((short, text))
        })
        .collect()
}

fn collect(folder: &Path, found: &mut Vec<PathBuf>) -> Result<()> {
    for entry in fs::read_dir(folder).with_context(|| folder.display().to_string())? {
        let path = entry?.path();
        if path.is_dir() {
            let skipped = ["target", "node_modules", "gen"];
            if !skipped.iter().any(|name| path.ends_with(name)) {
                collect(&path, found)?;
            }
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    const STORE_ONLY: Name =
        Name { text: "rusqlite", within: "", but: &["crates/engine/src/store"], tests_may: false };
    const NO_FILES: Name =
        Name { text: "std::fs", within: "crates/domain", but: &[], tests_may: true };

    #[test]
    fn a_name_is_found_where_it_may_not_stand_and_nowhere_else() {
        let code = "use rusqlite::Connection;\n";

        let found = misplaced(&STORE_ONLY, "crates/engine/src/inbox.rs", code);

        assert_eq!(found.as_deref(), Some("crates/engine/src/inbox.rs:1: names `rusqlite`"));
        assert_eq!(misplaced(&STORE_ONLY, "crates/engine/src/store/mod.rs", code), None);
        assert_eq!(misplaced(&STORE_ONLY, "crates/engine/src/inbox.rs", "// not rusqlite\n"), None);
        assert_eq!(misplaced(&STORE_ONLY, "crates/api/src/lib.rs", "let my_rusqlite = 1;"), None);
    }

    #[test]
    fn tests_beside_the_code_may_read_files() {
        let code = "fn pure() {}\n#[cfg(test)]\nmod tests { use std::fs; }\n";

        assert_eq!(misplaced(&NO_FILES, "crates/domain/src/id.rs", code), None);
        assert!(misplaced(&NO_FILES, "crates/domain/src/id.rs", "use std::fs;").is_some());
    }

    #[test]
    fn a_dependency_upwards_is_named() {
        let metadata = serde_json::json!({"packages": [
            {"name": "domain", "dependencies": [{"name": "engine", "path": "/x", "kind": null}]},
            {"name": "api", "dependencies": [{"name": "tauri", "kind": null}]},
            {"name": "engine", "dependencies": [{"name": "domain", "path": "/x", "kind": null}]},
        ]});

        let wrong = wrong_dependencies(&metadata).unwrap();

        assert_eq!(wrong, ["domain depends on engine", "api depends on tauri"]);
    }
}
