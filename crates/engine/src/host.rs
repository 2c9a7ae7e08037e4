//! What the hosts decide alike: where things are, and which vault holds the secrets.
//!
//! The hosts find out what the machine offers (folders, variables, flags) and hand it in.

use std::path::{Path, PathBuf};

use crate::data_dir::{self, DataDir};
use crate::vault::{self, Vault};

/// The name of our folder in the platform's places for data and for configuration.
pub const FOLDER: &str = "patchbay";
/// The user's own connectors, in the data directory.
pub const CONNECTORS: &str = "connectors";
/// The variable that names another data directory.
pub const DATA_DIR_VARIABLE: &str = "PATCHBAY_DATA_DIR";
/// The variable that names another key file.
pub const KEY_FILE_VARIABLE: &str = "PATCHBAY_VAULT_KEY_FILE";
/// The key file, in our folder for configuration: never beside the file that it opens.
pub const KEY_FILE: &str = "vault.key";
/// The sealed file, in the data directory.
pub const SEALED_FILE: &str = "vault.sealed";

/// Which vault the user wants.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum VaultChoice {
    /// The keychain where it proves itself, else a sealed file where a key file was made for it.
    #[default]
    Any,
    /// The keychain or none.
    Keychain,
    /// A sealed file or none.
    File,
}

/// Why no vault could be chosen.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The data directory's fault.
    #[error(transparent)]
    DataDir(#[from] data_dir::Error),
    /// The fault of the vault that was asked for.
    #[error(transparent)]
    Vault(#[from] vault::Error),
}

/// Opens the vault for a data directory.
///
/// Where none can be had the answer is still a vault: one that refuses and says why, so that all
/// that needs no secret works.
///
/// # Errors
///
/// When the sealed file was asked for, or is in use already, and cannot be opened: to go on
/// without it would look as if all secrets were lost.
pub async fn open_vault(
    choice: VaultChoice,
    data_dir: &DataDir,
    key_file: &Path,
) -> Result<Vault, Error> {
    let installation = data_dir.installation()?;
    let sealed_file = data_dir.path().join(SEALED_FILE);
    let sealed = || Vault::sealed_file(&sealed_file, key_file, &installation);
    // What holds secrets already goes before what could, even where its key is gone.
    let in_use = choice == VaultChoice::Any && sealed_file.exists();
    if choice == VaultChoice::File || in_use {
        return Ok(sealed()?);
    }
    match Vault::keychain(&installation).await {
        Ok(vault) => Ok(vault),
        // There is one, and it opens when its user unlocks it.
        Err(vault::Error::Locked) => Ok(Vault::unproved_keychain(&installation)),
        Err(_) if choice == VaultChoice::Any && key_file.exists() => Ok(sealed()?),
        Err(vault::Error::Missing(why)) => Ok(Vault::missing(why)),
        Err(error) => Ok(Vault::missing(error.to_string())),
    }
}

/// The key file that is used where no other is named.
pub fn key_file(config_dir: &Path) -> PathBuf {
    config_dir.join(FOLDER).join(KEY_FILE)
}
