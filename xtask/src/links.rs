//! Links between our pages: each leads to a file that is there, and to a heading that it has.
//!
//! Links to elsewhere are not asked: that would need the network.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};

use crate::command::Run as _;
use crate::workspace;

/// Checks every page that git knows or would take.
pub(crate) fn check() -> Result<()> {
    let root = workspace::root();
    let listed = Command::new("git")
        .current_dir(root)
        .args(["ls-files", "--cached", "--others", "--exclude-standard", "*.md"])
        .text()?;
    let mut broken = Vec::new();
    for page in listed.lines() {
        let path = root.join(page);
        // Deleted, and not told to git yet.
        let Ok(text) = fs::read_to_string(&path) else { continue };
        for (line, target) in links(&text) {
            if let Some(why) = fault(&path, &text, &target)? {
                broken.push(format!("{page}:{line}: {target}: {why}"));
            }
        }
    }
    if broken.is_empty() {
        return Ok(());
    }
    bail!("{} links lead nowhere:\n{}", broken.len(), broken.join("\n"));
}

/// The targets of a page's links and pictures, with their lines. Code is left out.
fn links(text: &str) -> Vec<(usize, String)> {
    let mut found = Vec::new();
    let mut in_code = false;
    for (number, line) in text.lines().enumerate() {
        if line.trim_start().starts_with("```") {
            in_code = !in_code;
        }
        if in_code {
            continue;
        }
        let prose: String = line.split('`').step_by(2).collect();
        for part in prose.split("](").skip(1) {
            if let Some((target, _)) = part.split_once(')') {
                found.push((number + 1, target.to_owned()));
            }
        }
    }
    found
}

/// Why a link leads nowhere, if it does.
fn fault(page: &Path, text: &str, target: &str) -> Result<Option<&'static str>> {
    if target.contains("://") || target.starts_with("mailto:") {
        return Ok(None);
    }
    let (file, heading) = target.split_once('#').unwrap_or((target, ""));
    let path: PathBuf = if file.is_empty() {
        page.to_owned()
    } else {
        page.parent().context("a page has a folder")?.join(file)
    };
    if !path.exists() {
        return Ok(Some("there is no such file"));
    }
    if heading.is_empty() {
        return Ok(None);
    }
    let other = if file.is_empty() { text.to_owned() } else { fs::read_to_string(&path)? };
    let there = other.lines().any(|line| line.starts_with('#') && anchor(line) == heading);
    Ok((!there).then_some("the page has no such heading"))
}

/// The name under which a heading can be linked to.
fn anchor(heading: &str) -> String {
    heading
        .trim_start_matches('#')
        .trim()
        .to_lowercase()
        .chars()
        .filter_map(|letter| match letter {
            ' ' => Some('-'),
            '-' | '_' => Some(letter),
            _ => letter.is_alphanumeric().then_some(letter),
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn links_are_found_in_prose_and_not_in_code() {
        let text = "a [b](c.md) ![d](e.png)\n```\n[no](no.md)\n```\n`[no](no.md)` [f](#g)";

        let found: Vec<_> =
            links(text).into_iter().map(|(line, it)| format!("{line} {it}")).collect();

        assert_eq!(found, ["1 c.md", "1 e.png", "5 #g"]);
    }

    #[test]
    fn a_heading_is_linked_to_by_its_letters() {
        assert_eq!(anchor("## 5. Names that are *fixed*"), "5-names-that-are-fixed");
    }
}
