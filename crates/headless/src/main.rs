//! Patchbay without a window: the binary `patchbay`.
//!
//! `patchbay serve` is a host: it owns a data directory, opens the two listeners and runs the
//! engine. All other commands are short: those that ask something of a running Patchbay go through
//! its management API, whichever host it is; the rest work on files alone.
//!
//! Exit codes: 0 done, 1 it failed, 2 the command line was wrong, 3 who owns the data directory is
//! the trouble.

mod args;
mod client;
mod commands;
mod failure;
mod output;
mod places;
mod program;
mod serve;

use std::process::ExitCode;

use clap::Parser;

use crate::args::Args;

fn main() -> ExitCode {
    let args = Args::parse();
    let json = args.json;
    match commands::run(args) {
        Ok(code) => code,
        Err(failure) => failure.report(json),
    }
}
