//! What the README's commands call: `cargo xtask run`, `test`, `package` and the rest.
//!
//! It finds out what the machine lacks before it starts anything long, and it says each command
//! that changes the machine. Nothing of it is part of the product.

#![expect(clippy::print_stdout, clippy::print_stderr, reason = "a program for a terminal")]

mod arrows;
mod command;
mod links;
mod machine;
mod node;
mod package;
mod run;
mod session;
mod stamp;
mod test;
mod ui;
mod workspace;

use std::process::ExitCode;

use clap::Parser;

/// Builds, runs, tests and packages Patchbay.
#[derive(Debug, Parser)]
#[command(bin_name = "cargo xtask")]
enum Cli {
    /// Installs what is missing, builds, and opens the window; without a display it serves.
    Run {
        /// Handed to the host that is started.
        #[arg(last = true)]
        args: Vec<std::ffi::OsString>,
    },
    /// Everything that must pass before a change lands.
    Test {
        /// Only the step of this name; may be given several times.
        #[arg(long, value_name = "NAME")]
        only: Vec<String>,
    },
    /// Makes the installers of this platform.
    Package,
    /// Measures it: intake and more.
    #[command(disable_help_flag = true)]
    Bench {
        /// What, and how; `--help` says it.
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        args: Vec<std::ffi::OsString>,
    },
    /// Kills it at random points under load, and counts what was lost.
    #[command(disable_help_flag = true)]
    Crash {
        /// How; `--help` says it.
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        args: Vec<std::ffi::OsString>,
    },
    /// Draws the icons from their SVG sources.
    Icons,
}

fn main() -> ExitCode {
    let done = match Cli::parse() {
        Cli::Run { args } => run::run(&args),
        Cli::Test { only } => test::run(&only),
        Cli::Package => package::run(),
        Cli::Bench { args } => workspace::bin("measure", "bench", &args),
        Cli::Crash { args } => workspace::bin("measure", "crash", &args),
        Cli::Icons => workspace::bin("icons", "", &[]),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error:#}");
            ExitCode::FAILURE
        }
    }
}
