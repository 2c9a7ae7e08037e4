//! Node.js: the system's where it is new enough, else one of our own below `target/tools`.
//!
//! Debian 12 brings Node 18, which the builder of the pages refuses. Its npm can still fetch a newer
//! Node as a package, so that no other source has to be trusted and nothing of the system changes.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};

use crate::command::{Run as _, find};
use crate::workspace;

/// The oldest that `ui/package.json` takes.
const OLDEST: (u32, u32) = (20, 19);
/// What is fetched where the system's is older.
const OURS: [&str; 2] = ["node@22", "npm@11"];

/// A Node.js with its npm.
pub(crate) struct Node {
    /// What stands before the search path of everything that is run with it.
    path: Option<PathBuf>,
    /// As it says itself: `v20.19.0`.
    pub(crate) version: String,
}

impl Node {
    /// Finds one that is new enough, or fetches it.
    pub(crate) fn find() -> Result<Self> {
        let system = Self::at(None)?;
        if system.is_new_enough() {
            return Ok(system);
        }
        let tools = workspace::target()?.join("tools").join("node");
        let bin = tools.join("node_modules").join(".bin");
        match Self::at(Some(bin.clone())) {
            Ok(ours) if ours.is_new_enough() => return Ok(ours),
            _ => {}
        }
        std::fs::create_dir_all(&tools)?;
        system
            .npm(&tools)
            .args(["install", "--no-save", "--no-audit", "--no-fund", "--prefix"])
            .arg(&tools)
            .args(OURS)
            .behind(&format!("fetching a newer Node.js than {}", system.version))?;
        let ours = Self::at(Some(bin))?;
        if !ours.is_new_enough() {
            bail!(
                "Node.js {} is too old: {}.{} or newer is needed",
                ours.version,
                OLDEST.0,
                OLDEST.1
            );
        }
        Ok(ours)
    }

    fn at(path: Option<PathBuf>) -> Result<Self> {
        let mut node = Self { path, version: String::new() };
        if let Some(path) = &node.path
            && !path.join("node").exists()
        {
            bail!("there is no Node.js in {}", path.display());
        }
        node.version = node.command("node", workspace::root()).arg("--version").text()?;
        node.version = node.version.trim().to_owned();
        Ok(node)
    }

    /// npm in `folder`, as its lock file says and without questions.
    pub(crate) fn npm(&self, folder: &Path) -> Command {
        self.command("npm", folder)
    }

    /// A program that comes with Node.js or is started by it, in `folder`.
    pub(crate) fn command(&self, program: &str, folder: &Path) -> Command {
        let path = self.search_path();
        let found = self
            .path
            .as_ref()
            .map(|own| own.join(program))
            .filter(|file| file.exists())
            .or_else(|| find(program))
            // On Windows npm is a script that only the shell's own search finds.
            .unwrap_or_else(|| {
                if cfg!(windows) { format!("{program}.cmd") } else { program.into() }.into()
            });
        let mut command = Command::new(found);
        command.current_dir(folder).env("PATH", path);
        command
    }

    /// The search path with which `node` is this one.
    pub(crate) fn search_path(&self) -> OsString {
        let system = std::env::var_os("PATH").unwrap_or_default();
        let all = self.path.iter().cloned().chain(std::env::split_paths(&system));
        std::env::join_paths(all).unwrap_or(system)
    }

    fn is_new_enough(&self) -> bool {
        parse(&self.version).is_ok_and(|version| version >= OLDEST)
    }
}

fn parse(version: &str) -> Result<(u32, u32)> {
    let mut parts = version.trim_start_matches('v').split('.');
    let mut next =
        || parts.next().context("Node.js tells no version")?.parse().context("no number");
    Ok((next()?, next()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_compared_as_numbers() {
        let new_enough =
            |version: &str| Node { path: None, version: version.to_owned() }.is_new_enough();

        assert!(new_enough("v20.19.0"));
        assert!(new_enough("v22.3.1"));
        assert!(!new_enough("v20.9.0"));
        assert!(!new_enough("v18.20.4"));
        assert!(!new_enough(""));
    }
}
