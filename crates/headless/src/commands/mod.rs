//! The commands, a file per noun.

mod backup;
mod connections;
mod connectors;
mod doctor;
mod events;
mod inboxes;
mod lists;
mod login;
mod open;
mod syncs;
mod trial;
mod vault;
mod verify;

use std::path::Path;
use std::process::ExitCode;

use crate::args::{Args, Command, ConnectorsCommand, SyncsCommand, VaultCommand};
use crate::client::Client;
use crate::failure::Failure;
use crate::{places, serve};

/// How a command shows what it found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Format {
    /// For people.
    Text,
    /// For programs.
    Json,
}

/// Does what the command line says.
pub(crate) fn run(args: Args) -> Result<ExitCode, Failure> {
    let format = if args.json { Format::Json } else { Format::Text };
    // A key file needs no data directory.
    let command = match args.command {
        Command::Vault(VaultCommand::Init(args)) => {
            return runtime()?.block_on(vault::init(args, format));
        }
        command => command,
    };
    let data_dir = places::data_dir(args.data_dir)?;
    match command {
        Command::Serve(args) => serve::run(args, &data_dir, format),
        Command::Connectors { command } => {
            let command = command.unwrap_or(ConnectorsCommand::List);
            connectors::run(command, &data_dir, format)
        }
        Command::Verify(args) => verify::run(&args, &data_dir, format),
        Command::Backup(args) => backup::run(&args, &data_dir, format),
        command => runtime()?.block_on(with_runtime(command, &data_dir, format)),
    }
}

async fn with_runtime(
    command: Command,
    data_dir: &Path,
    format: Format,
) -> Result<ExitCode, Failure> {
    match command {
        Command::Doctor(args) => return doctor::run(args, data_dir, format).await,
        Command::Vault(VaultCommand::List) => return vault::list(data_dir, format).await,
        Command::Vault(VaultCommand::Forget { installation, yes }) => {
            return vault::forget(&installation, yes, data_dir, format).await;
        }
        _ => {}
    }
    let client = Client::connect(data_dir).await?;
    match command {
        Command::Login => login::run(&client, format).await?,
        Command::Open { address } => open::run(&address, &client, format).await?,
        Command::Connections { command } => connections::run(command, &client, format).await?,
        Command::Inboxes { command } => inboxes::run(command, &client, format).await?,
        Command::Tunnels => lists::tunnels(&client, format).await?,
        Command::Events { command } => {
            events::run(command.unwrap_or_default(), client, data_dir, format).await?;
        }
        Command::Syncs { command } => {
            let command = command.unwrap_or(SyncsCommand::List);
            return syncs::run(command, client, data_dir, format).await;
        }
        Command::Serve(_)
        | Command::Vault(_)
        | Command::Connectors { .. }
        | Command::Verify(_)
        | Command::Backup(_)
        | Command::Doctor(_) => {}
    }
    Ok(ExitCode::SUCCESS)
}

fn runtime() -> Result<tokio::runtime::Runtime, Failure> {
    Ok(tokio::runtime::Builder::new_current_thread().enable_all().build()?)
}
