//! What needs the release binary and a load: benches, and kills at random points.
//!
//! A program of its own, since it uses the libraries that `xtask` does without.

#![expect(clippy::print_stdout, reason = "a program for a terminal")]

mod bench;
mod crash;
mod session;

use clap::Parser;

/// Measures Patchbay.
#[derive(Debug, Parser)]
#[command(bin_name = "cargo xtask")]
enum Cli {
    /// Figures, each beside something to compare with in the same run.
    #[command(subcommand)]
    Bench(Bench),
    /// Kills it at random points under load, and counts what was lost.
    Crash(crash::Args),
    /// One of the servers that the product is compared with; started by the bench itself.
    #[command(hide = true)]
    Beside {
        /// Which one.
        which: bench::intake::Beside,
        /// Where it says its address.
        dir: std::path::PathBuf,
    },
}

#[derive(Debug, clap::Subcommand)]
enum Bench {
    /// Webhooks: acknowledged, verified, on the disk.
    Intake(bench::intake::Args),
    /// The time until it listens, and its memory then.
    Start(bench::start::Args),
    /// The time until the window's pages work, and its memory then (Linux).
    Window(bench::window::Args),
}

fn main() -> anyhow::Result<()> {
    match Cli::parse() {
        Cli::Bench(Bench::Intake(args)) => bench::intake::run(&args),
        Cli::Bench(Bench::Start(args)) => bench::start::run(&args),
        Cli::Bench(Bench::Window(args)) => bench::window::run(&args),
        Cli::Crash(args) => crash::run(&args),
        Cli::Beside { which, dir } => bench::intake::beside(which, &dir),
    }
}
