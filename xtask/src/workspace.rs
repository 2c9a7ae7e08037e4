//! Where things are in this repository, and how its programs are built.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::LazyLock;

use anyhow::{Context, Result};

use crate::command::Run as _;

/// The repository's own folder.
pub(crate) fn root() -> &'static Path {
    static ROOT: LazyLock<PathBuf> = LazyLock::new(|| {
        let here = Path::new(env!("CARGO_MANIFEST_DIR"));
        here.parent().unwrap_or(here).to_owned()
    });
    &ROOT
}

/// Cargo's target directory, which its configuration and the environment can move.
pub(crate) fn target() -> Result<&'static Path> {
    static TARGET: LazyLock<Option<PathBuf>> = LazyLock::new(|| {
        let metadata = metadata(&["--no-deps"]).ok()?;
        Some(PathBuf::from(metadata["target_directory"].as_str()?))
    });
    TARGET.as_deref().context("cargo does not say where its target directory is")
}

/// What `cargo metadata` says.
pub(crate) fn metadata(args: &[&str]) -> Result<serde_json::Value> {
    let text = cargo().args(["metadata", "--format-version=1"]).args(args).text()?;
    Ok(serde_json::from_str(&text)?)
}

/// Cargo, at the root of the repository.
pub(crate) fn cargo() -> Command {
    let mut cargo = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    cargo.current_dir(root());
    cargo
}

/// Where a debug build puts a program.
pub(crate) fn program(name: &str) -> Result<PathBuf> {
    Ok(target()?.join("debug").join(format!("{name}{}", std::env::consts::EXE_SUFFIX)))
}

/// Builds and runs one of this package's other programs, which a feature of the same name makes.
pub(crate) fn bin(name: &str, command: &str, args: &[std::ffi::OsString]) -> Result<()> {
    cargo()
        // Optimised as the product is: what it is compared with must not be slower for want of that.
        .args(["run", "--quiet", "--release", "--package", "xtask"])
        .args(["--features", name, "--bin", name, "--"])
        .args((!command.is_empty()).then_some(command))
        .args(args)
        .shown()
}
