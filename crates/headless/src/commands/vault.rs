//! A key file, for a machine without a keychain.

use std::path::Path;
use std::process::ExitCode;

use api::error::ApiError;
use engine::vault::{self, Vault};
use serde_json::json;

use super::Format;
use crate::args::InitArgs;
use crate::failure::Failure;
use crate::output::{say, say_json};
use crate::places;

pub(crate) async fn init(args: InitArgs, format: Format) -> Result<ExitCode, Failure> {
    let key_file = places::key_file(args.key_file.vault_key_file)?;
    if args.if_needed && is_provided(&key_file).await {
        return Ok(ExitCode::SUCCESS);
    }
    vault::make_key_file(&key_file).map_err(ApiError::from)?;
    match format {
        Format::Json => say_json(&json!({ "key_file": key_file })),
        Format::Text => {
            if args.if_needed {
                say("There is no keychain here, so secrets go to a sealed file under a key file.");
            }
            say(&format!("The key file is {}.", key_file.display()));
            if !args.if_needed {
                say("Patchbay uses it from its next start.");
            }
            say("Keep a copy of it apart from the data: without it, the secrets cannot be read.");
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// Whether secrets have a place already: a key file, or a keychain that proves itself or waits to
/// be unlocked.
async fn is_provided(key_file: &Path) -> bool {
    key_file.exists() || matches!(Vault::keychain("init").await, Ok(_) | Err(vault::Error::Locked))
}
