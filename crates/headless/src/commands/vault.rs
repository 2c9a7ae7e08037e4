//! Where secrets are: a key file for a machine without a keychain, and what is left in a keychain by
//! installations that are gone.
//!
//! No installation can tell whether another still has its data directory, so nobody but the user
//! says that one is gone.

use std::io::IsTerminal as _;
use std::path::Path;
use std::process::ExitCode;

use api::error::ApiError;
use engine::data_dir;
use engine::host::SEALED_FILE;
use engine::vault::{self, Vault};
use serde_json::json;

use super::Format;
use crate::args::InitArgs;
use crate::failure::Failure;
use crate::output::{complain, line, say, say_json};
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

/// Lists the installations that have secrets in the keychain.
pub(crate) async fn list(data_dir: &Path, format: Format) -> Result<ExitCode, Failure> {
    let own = own(data_dir)?;
    let keychain = Vault::unproved_keychain(&own);
    let state = keychain.state().await;
    if state.is_err() && data_dir.join(SEALED_FILE).exists() {
        match format {
            Format::Json => say_json(&json!({ "installations": [] })),
            Format::Text => say("There is no keychain: secrets are in a sealed file."),
        }
        return Ok(ExitCode::SUCCESS);
    }
    state.map_err(ApiError::from)?;
    let installations = keychain.installations().await.map_err(ApiError::from)?;
    match format {
        Format::Json => {
            let list = installations.iter().map(|(name, bundles)| {
                json!({ "installation": name, "bundles": bundles, "own": *name == own })
            });
            say_json(&json!({ "installations": list.collect::<Vec<_>>() }));
        }
        Format::Text if installations.is_empty() => {
            say("The keychain holds no secrets of Patchbay.");
        }
        Format::Text => {
            for (name, bundles) in &installations {
                let own = if *name == own { "this one" } else { "" };
                say(&line(&[20, 8, 0], &[name, &bundles.to_string(), own]));
            }
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// Removes what an installation that is gone has in the keychain, once its user has said that it is:
/// one that is only elsewhere loses all its secrets by this.
pub(crate) async fn forget(
    installation: &str,
    is_sure: bool,
    data_dir: &Path,
    format: Format,
) -> Result<ExitCode, Failure> {
    let own = own(data_dir)?;
    if installation == own {
        return Err(Failure::new("own_installation", "these are the secrets of this installation")
            .hint("Delete its connections and inboxes: their secrets go with them."));
    }
    let keychain = Vault::unproved_keychain(&own);
    keychain.state().await.map_err(ApiError::from)?;
    let there = keychain.installations().await.map_err(ApiError::from)?;
    let Some(bundles) = there.get(installation) else {
        let message = format!("the keychain holds nothing of `{installation}`");
        return Err(
            Failure::new("not_found", message).hint("`patchbay vault list` says what there is.")
        );
    };
    if !is_sure && !is_confirmed(installation, *bundles)? {
        return Err(Failure::new("not_confirmed", "nothing was removed")
            .hint("Say --yes where its data directory is gone for good: this cannot be undone."));
    }
    let removed = Vault::forget_installation(installation).await.map_err(ApiError::from)?;
    match format {
        Format::Json => say_json(&json!({ "removed": removed })),
        Format::Text => say(&format!("Removed {removed} of {installation} from the keychain.")),
    }
    Ok(ExitCode::SUCCESS)
}

/// Asks whoever sits at the terminal; nobody there is a no.
fn is_confirmed(installation: &str, bundles: usize) -> Result<bool, Failure> {
    if !std::io::stdin().is_terminal() || !std::io::stderr().is_terminal() {
        return Ok(false);
    }
    complain(&format!(
        "Remove {bundles} secrets of {installation}? If its data directory is still somewhere, its \
         connections stop working. This cannot be undone. [y/N]"
    ));
    let mut answer = String::new();
    std::io::stdin().read_line(&mut answer)?;
    Ok(matches!(answer.trim(), "y" | "Y" | "yes"))
}

/// The name of the installation in a data directory; empty where it has none yet.
fn own(data_dir: &Path) -> Result<String, Failure> {
    let own = data_dir::installation_of(data_dir).map_err(ApiError::from)?;
    Ok(own.unwrap_or_default())
}
