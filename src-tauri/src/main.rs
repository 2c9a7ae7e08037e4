//! Patchbay with a window: the binary `patchbay-desktop`.
//!
//! A host like `patchbay serve`, with a screen in place of a command line. The pages reach it by
//! one command that carries requests to the management router and by one channel for notices;
//! there is no second list of commands. Closing the window keeps the listener alive.
//!
//! It begins in this order: is there a screen, is there a window already, whose is the data, the
//! window with the pages, and then the engine; requests wait for that. Where the engine cannot be
//! opened the pages say why, and looking again tries again.

#![cfg_attr(not(debug_assertions), windows_subsystem = "windows")]
#![expect(clippy::print_stderr, reason = "what is said before there is a window")]

mod app;
mod args;
mod autostart;
mod browser;
mod commands;
mod consent;
mod door;
mod instance;
mod news;
mod notification;
mod opening;
mod own_address;
mod ownership;
mod pages;
mod remote;
mod screen;
mod tray;
mod webkit;
mod window;
mod window_host;

use std::process::ExitCode;

use clap::Parser;

use crate::args::Args;

fn main() -> ExitCode {
    let args = Args::parse();
    if !screen::is_there() {
        eprintln!(
            "patchbay-desktop: there is no display to open a window on\n\
             Start it from a desktop session, or run `patchbay serve`, which needs none."
        );
        return ExitCode::FAILURE;
    }
    webkit::work_around();
    match app::run(args) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("patchbay-desktop: {error:#}");
            ExitCode::FAILURE
        }
    }
}
