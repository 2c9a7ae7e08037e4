//! The pages: what they are built with, and building them when something has changed.

use std::path::{Path, PathBuf};

use anyhow::Result;

use crate::command::Run as _;
use crate::node::Node;
use crate::stamp::{Inputs, unless_done};
use crate::workspace;

/// What is made from the pages' sources and is none of them.
const MADE: [&str; 4] = ["node_modules", "build", ".svelte-kit", "results"];

/// Where the pages' sources are.
pub(crate) fn folder() -> PathBuf {
    workspace::root().join("ui")
}

/// Installs the packages of a folder as its lock file says, if they are not there yet.
pub(crate) fn install(node: &Node, folder: &Path) -> Result<()> {
    let name = folder.file_name().map_or_else(|| "npm".into(), |name| name.to_string_lossy());
    let inputs = Inputs::default()
        .text(&node.version)
        .file(folder.join("package.json"))
        .file(folder.join("package-lock.json"));
    unless_done(&format!("npm-{name}"), &inputs, &folder.join("node_modules"), || {
        node.npm(folder)
            .args(["ci", "--no-audit", "--no-fund"])
            // The browser of the tests is the system's.
            .env("PLAYWRIGHT_SKIP_BROWSER_DOWNLOAD", "1")
            .behind(&format!("installing the npm packages of {name}"))
    })
}

/// Builds the pages, if their sources have changed.
pub(crate) fn build(node: &Node) -> Result<()> {
    let folder = folder();
    install(node, &folder)?;
    let inputs = Inputs::default().text(&node.version).folder(&folder, &MADE)?;
    unless_done("ui", &inputs, &folder.join("build").join("index.html"), || {
        node.npm(&folder).args(["run", "build"]).behind("building the pages")
    })
}
