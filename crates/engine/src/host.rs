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

/// Opens the vault for a data directory. Needs a tokio runtime.
///
/// Where none can be had the answer is still a vault: one that refuses and says why, so that all
/// that needs no secret works. A keychain is proved beside whatever the host does next.
///
/// # Errors
///
/// When the installation's name cannot be read.
pub fn open_vault(
    choice: VaultChoice,
    data_dir: &DataDir,
    key_file: &Path,
) -> Result<Vault, data_dir::Error> {
    let installation = data_dir.installation()?;
    let sealed_file = data_dir.path().join(SEALED_FILE);
    // What holds secrets already goes before what could, even where its key is gone.
    let in_use = choice == VaultChoice::Any && sealed_file.exists();
    let sealed = Vault::sealed_file(&sealed_file, key_file, &installation);
    if choice == VaultChoice::File || in_use {
        return Ok(sealed);
    }
    let instead = (choice == VaultChoice::Any && key_file.exists()).then_some(sealed);
    Ok(Vault::opening(proved_or(instead, installation)))
}

/// The keychain where it proves itself, else what there is instead.
async fn proved_or(instead: Option<Vault>, installation: String) -> Vault {
    match Vault::keychain(&installation).await {
        Ok(vault) => vault,
        // There is one, and it opens when its user unlocks it.
        Err(vault::Error::Locked) => Vault::unproved_keychain(&installation),
        Err(error) => instead.unwrap_or_else(|| {
            Vault::missing(match error {
                vault::Error::Missing(why) => why,
                error => error.to_string(),
            })
        }),
    }
}

/// The sealed file of a data directory that need not be owned, for looking at it.
///
/// # Errors
///
/// When the installation's name cannot be read.
pub fn sealed_vault(data_dir: &Path, key_file: &Path) -> Result<Vault, data_dir::Error> {
    // Without a name nothing that is sealed opens, which the vault then says.
    let installation = data_dir::installation_of(data_dir)?.unwrap_or_default();
    Ok(Vault::sealed_file(&data_dir.join(SEALED_FILE), key_file, &installation))
}

/// The key file that is used where no other is named.
pub fn key_file(config_dir: &Path) -> PathBuf {
    config_dir.join(FOLDER).join(KEY_FILE)
}
