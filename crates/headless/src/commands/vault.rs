//! A key file, for a machine without a keychain.

use std::process::ExitCode;

use api::error::ApiError;
use serde_json::json;

use super::Format;
use crate::args::VaultCommand;
use crate::failure::Failure;
use crate::output::{say, say_json};
use crate::places;

pub(crate) fn run(command: VaultCommand, format: Format) -> Result<ExitCode, Failure> {
    let VaultCommand::Init(args) = command;
    let key_file = places::key_file(args.vault_key_file)?;
    engine::vault::make_key_file(&key_file).map_err(ApiError::from)?;
    match format {
        Format::Json => say_json(&json!({ "key_file": key_file })),
        Format::Text => {
            say(&format!("The key file is {}.", key_file.display()));
            say("Patchbay uses it from its next start. Keep a copy of it apart from the data: \
                 without it, the secrets cannot be read.");
        }
    }
    Ok(ExitCode::SUCCESS)
}
