//! `cargo xtask test`: everything that must pass before a change lands, on a fresh machine too.
//!
//! Quick steps come first. What several steps need is built once, with the same features
//! throughout: the whole workspace, in the debug profile. A step that fails stops only the steps
//! that need it, so that one run tells all that is wrong.

use std::ffi::OsString;
use std::path::PathBuf;
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

use crate::command::{Run as _, find, seconds};
use crate::node::Node;
use crate::{arrows, links, machine, session, ui, workspace};

/// Programs that only tests use, with the versions that are installed here.
const NEXTEST: &str = "cargo-nextest";
const BORE: (&str, &str) = ("bore-cli", "0.6.0");
/// Programs of this repository that are behind a feature, so that they are looked at too.
const FEATURES: [&str; 2] = ["--features", "xtask/icons,xtask/measure"];

/// One thing that can be right or wrong.
struct Step {
    name: &'static str,
    /// Steps without which it cannot be done.
    needs: &'static [&'static str],
    work: fn() -> Result<()>,
}

const STEPS: [Step; 16] = [
    Step { name: "machine", needs: &[], work: prepare },
    Step { name: "fmt", needs: &[], work: fmt },
    Step { name: "arrows", needs: &[], work: arrows::check },
    Step { name: "links", needs: &[], work: links::check },
    Step { name: "ui-types", needs: &["machine"], work: || npm_run("api:current") },
    Step { name: "ui-check", needs: &["machine"], work: || npm_run("check") },
    Step { name: "ui-lint", needs: &["machine"], work: || npm_run("lint") },
    Step { name: "ui-test", needs: &["machine"], work: || npm_run("test") },
    Step { name: "ui-build", needs: &["machine"], work: || ui::build(&Node::find()?) },
    Step { name: "clippy", needs: &["machine"], work: clippy },
    Step { name: "doc", needs: &["machine"], work: doc },
    Step { name: "build", needs: &["machine", "ui-build"], work: build },
    Step { name: "tools", needs: &["machine"], work: tools },
    Step { name: "rust", needs: &["build", "tools"], work: rust },
    Step { name: "browser", needs: &["build"], work: browser },
    Step { name: "window", needs: &["build"], work: window },
];

/// How a step ended.
enum End {
    Passed,
    Failed(String),
    /// A step that it needs had failed.
    NotRun(&'static str),
}

/// Runs the steps, or only those named and what they need.
pub(crate) fn run(only: &[String]) -> Result<()> {
    let steps = chosen(only)?;
    let mut done: Vec<(&Step, End, Duration)> = Vec::new();
    for step in steps {
        let started = Instant::now();
        let bad = |name: &&&str| {
            done.iter().any(|(step, end, _)| step.name == **name && !matches!(end, End::Passed))
        };
        let end = match step.needs.iter().find(bad) {
            Some(need) => End::NotRun(need),
            None => {
                println!("\n== {} ==", step.name);
                match (step.work)() {
                    Ok(()) => End::Passed,
                    Err(error) => End::Failed(format!("{error:#}")),
                }
            }
        };
        if let End::Failed(why) = &end {
            println!("{} failed: {why}", step.name);
        }
        done.push((step, end, started.elapsed()));
    }
    sum_up(&done)
}

fn chosen(only: &[String]) -> Result<Vec<&'static Step>> {
    let mut names: Vec<&str> = only.iter().map(String::as_str).collect();
    if let Some(unknown) = names.iter().find(|name| !STEPS.iter().any(|step| step.name == **name)) {
        let known: Vec<_> = STEPS.iter().map(|step| step.name).collect();
        bail!("there is no step `{unknown}`; there are {}", known.join(", "));
    }
    // Steps stand after what they need, so one pass from the end finds all of it.
    for step in STEPS.iter().rev() {
        if names.contains(&step.name) {
            names.extend(step.needs);
        }
    }
    Ok(STEPS.iter().filter(|step| names.is_empty() || names.contains(&step.name)).collect())
}

fn sum_up(done: &[(&Step, End, Duration)]) -> Result<()> {
    println!();
    let mut passed = 0;
    for (step, end, time) in done {
        let (mark, note) = match end {
            End::Passed => ("✓", String::new()),
            End::Failed(why) => ("×", why.lines().next().unwrap_or_default().to_owned()),
            End::NotRun(need) => ("–", format!("not run, since {need} failed")),
        };
        passed += usize::from(matches!(end, End::Passed));
        println!("{mark} {:<10} {:>12}  {note}", step.name, seconds(*time));
    }
    let total = done.iter().map(|(_, _, time)| *time).sum();
    println!("  {:<10} {:>12}", "all", seconds(total));
    let failed = done.len() - passed;
    println!("{passed} passed, {failed} failed");
    if failed > 0 {
        // The last line has said it.
        std::process::exit(1);
    }
    Ok(())
}

fn prepare() -> Result<()> {
    machine::ready_for_tests()?;
    let node = Node::find()?;
    for folder in [ui::folder(), e2e(), oauth()] {
        ui::install(&node, &folder)?;
    }
    Ok(())
}

fn fmt() -> Result<()> {
    workspace::cargo().args(["fmt", "--all", "--check"]).shown()
}

fn npm_run(script: &str) -> Result<()> {
    Node::find()?.npm(&ui::folder()).args(["run", script]).shown()
}

fn clippy() -> Result<()> {
    workspace::cargo()
        .args(["clippy", "--locked", "--workspace", "--all-targets"])
        .args(FEATURES)
        .args(["--", "-D", "warnings"])
        .shown()
}

fn doc() -> Result<()> {
    workspace::cargo()
        .args(["doc", "--locked", "--workspace", "--no-deps"])
        .args(FEATURES)
        .env("RUSTDOCFLAGS", "-D warnings")
        .shown()
}

fn build() -> Result<()> {
    workspace::cargo().args(["build", "--locked", "--workspace", "--all-targets"]).shown()
}

fn tools() -> Result<()> {
    if find(NEXTEST).is_none() {
        workspace::cargo()
            .args(["install", "--locked", NEXTEST])
            .behind("building cargo-nextest")?;
    }
    let root = tools_folder()?;
    let (name, version) = BORE;
    if !root.join("bin").join(format!("bore{}", std::env::consts::EXE_SUFFIX)).exists() {
        workspace::cargo()
            .args(["install", "--locked", "--debug", "--version", version, "--root"])
            .arg(&root)
            .arg(name)
            .behind("building bore")?;
    }
    Ok(())
}

fn rust() -> Result<()> {
    // Some tests start programs: bore, and Node.js with the server that signs in.
    let others = Node::find()?.search_path();
    let path = std::env::join_paths(
        std::iter::once(tools_folder()?.join("bin")).chain(std::env::split_paths(&others)),
    )?;
    workspace::cargo()
        .args(["nextest", "run", "--locked", "--workspace", "--no-fail-fast"])
        .env("PATH", path)
        .shown()
}

fn browser() -> Result<()> {
    let node = Node::find()?;
    with_programs(node.npm(&e2e()).args(["run", "browser"]))?.shown()
}

/// A display, a session bus and a keychain of its own, all of which end with it.
fn window() -> Result<()> {
    let node = Node::find()?;
    let home = tempfile()?;
    let mut command = session::within(node.command("xvfb-run", &e2e()), home.as_ref());
    command.args(["npm", "run", "window"]);
    let done = with_programs(&mut command)?.shown();
    std::fs::remove_dir_all(home)?;
    done
}

/// Tells the tests which programs they are about.
fn with_programs(command: &mut Command) -> Result<&mut Command> {
    Ok(command
        .env("PATCHBAY", workspace::program("patchbay")?)
        .env("PATCHBAY_DESKTOP", workspace::program("patchbay-desktop")?)
        .env("PATCHBAY_PANEL", workspace::program("panel")?)
        .env("CHROMIUM", machine::chromium().context("there is no Chromium")?))
}

fn e2e() -> PathBuf {
    workspace::root().join("tests").join("e2e")
}

/// Where the OAuth server is that nobody here wrote.
fn oauth() -> PathBuf {
    workspace::root().join("tests").join("oauth")
}

fn tools_folder() -> Result<PathBuf> {
    Ok(workspace::target()?.join("tools"))
}

/// A new folder that nobody else can read.
fn tempfile() -> Result<OsString> {
    let made =
        Command::new("mktemp").args(["--directory", "--tmpdir", "patchbay-XXXXXX"]).text()?;
    Ok(made.trim().into())
}
