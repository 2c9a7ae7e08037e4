//! `cargo xtask package`: the installers of this platform.

use anyhow::Result;

use crate::command::Run as _;
use crate::node::Node;
use crate::{machine, ui, workspace};

/// What bundles. It comes from npm already built; by cargo it would take longer than the product.
const BUNDLER: &str = "--package=@tauri-apps/cli@2.12.5";

/// Builds the release and bundles it.
pub(crate) fn run() -> Result<()> {
    machine::ready_for_window()?;
    let node = Node::find()?;
    ui::build(&node)?;
    let bundles: &[&str] = if cfg!(target_os = "linux") { &["--bundles", "deb,rpm"] } else { &[] };
    node.npm(&workspace::root().join("src-tauri"))
        .args(["exec", "--yes", BUNDLER, "--", "tauri", "build", "--ci"])
        .args(bundles)
        .shown()?;
    println!("the installers are in {}", workspace::target()?.join("release/bundle").display());
    Ok(())
}
