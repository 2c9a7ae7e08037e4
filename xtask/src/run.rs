//! `cargo xtask run`: from a clone to a window, or to a page in a browser where there is no display.

use std::ffi::OsString;
use std::path::Path;
use std::process::Command;

use anyhow::Result;

use crate::command::Run as _;
use crate::node::Node;
use crate::{machine, ui, workspace};

/// Does it. Returns when the host ends.
pub(crate) fn run(args: &[OsString]) -> Result<()> {
    if machine::has_display() { window(args) } else { headless(args) }
}

fn window(args: &[OsString]) -> Result<()> {
    machine::ready_for_window()?;
    ui::build(&Node::find()?)?;
    // The command line is built too: what the documents call `patchbay` has to be there.
    workspace::cargo().args(["build", "--package", "desktop", "--package", "headless"]).shown()?;
    say_where(&workspace::program("patchbay")?);
    let mut host = Command::new(workspace::program("patchbay-desktop")?);
    host.args(with_sandbox(args));
    become_host(host)
}

fn headless(args: &[OsString]) -> Result<()> {
    machine::ready_for_headless()?;
    ui::build(&Node::find()?)?;
    workspace::cargo().args(["build", "--bin", "patchbay"]).shown()?;
    let program = workspace::program("patchbay")?;
    say_where(&program);
    provide_vault(&program, args)?;
    let mut host = Command::new(program);
    host.arg("serve").args(with_sandbox(args));
    become_host(host)
}

/// Says where the command line is: no search path knows it.
fn say_where(program: &Path) {
    let short = program.strip_prefix(workspace::root()).unwrap_or(program).display();
    println!("The command line is {short}; try `{short} events tail` in another shell.");
}

/// Makes a key file where this machine has no keychain; the command says what it made. Nothing is
/// done where the user names a vault.
fn provide_vault(program: &Path, args: &[OsString]) -> Result<()> {
    let chosen = |arg: &OsString| arg.to_string_lossy().starts_with("--vault");
    if args.iter().any(chosen) {
        return Ok(());
    }
    Command::new(program).args(["vault", "init", "--if-needed"]).shown()
}

/// The start page offers the sandbox, so it runs.
fn with_sandbox(args: &[OsString]) -> Vec<OsString> {
    let sandbox = OsString::from("--sandbox");
    let mut all = args.to_vec();
    if !all.contains(&sandbox) {
        all.insert(0, sandbox);
    }
    all
}

/// The host takes this process over, so that signals and the exit code are its own.
#[cfg(unix)]
fn become_host(mut host: Command) -> Result<()> {
    use std::os::unix::process::CommandExt as _;

    Err(host.exec().into())
}

#[cfg(not(unix))]
fn become_host(mut host: Command) -> Result<()> {
    host.shown()
}
