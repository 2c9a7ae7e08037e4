//! The vault: where secrets live, and nowhere else.
//!
//! An owner (a connection, an inbox, a tunnel) has generations of secrets. A change is written as a
//! new generation and read back; then the owner's row is pointed to it; then the old one is
//! removed. So a row never points to what is not there, whatever stops us in between. What an
//! interrupted change leaves is written over by the next one, which takes the same number.
//!
//! There is no plain-text way of keeping secrets. A machine without a keychain gets a sealed file
//! when its user asks for one, and until then everything that needs a secret is refused.

mod bundle;
mod keychain;
mod memory;
mod sealed;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use domain::secret::Secrets;

pub use self::memory::Switches;

use self::keychain::Keychain;
use self::memory::Memory;
use self::sealed::Sealed;

/// Why the vault did not do what was asked.
#[derive(Debug, Clone, thiserror::Error)]
pub enum Error {
    /// It is locked; the user has to open it.
    #[error("the keychain is locked")]
    Locked,
    /// There is none on this machine.
    #[error("there is no keychain: {0}")]
    Missing(String),
    /// What was asked for is not in it.
    #[error("the secret is not in the vault")]
    NotFound,
    /// It took a secret and gave back another.
    #[error("the vault did not keep what was written")]
    Forgetful,
    /// Only a part of what was asked for is in it.
    #[error("only a part of the secret is in the vault")]
    Incomplete,
    /// The sealed file cannot be opened with the key at hand. It is left as it is.
    #[error("{} cannot be opened: it was sealed with another key, or is damaged", .0.display())]
    Sealed(PathBuf),
    /// The key file of the sealed file cannot be used.
    #[error("the key file {} {problem}", path.display())]
    KeyFile {
        /// Which one.
        path: PathBuf,
        /// What is wrong with it.
        problem: String,
    },
    /// It answered too late or not as expected.
    #[error("the vault could not be used: {0}")]
    Io(String),
}

/// What kind it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// The keychain of the operating system.
    Keychain,
    /// A file sealed with a key file.
    SealedFile,
    /// Memory, for tests.
    Memory,
    /// None: everything that needs a secret is refused.
    Missing,
}

/// The handle; cheap to clone. Owners are ids of connections, inboxes and tunnels.
#[derive(Clone)]
pub struct Vault {
    place: Place,
}

#[derive(Clone)]
enum Place {
    Keychain(Arc<Keychain>),
    Sealed(Arc<Sealed>),
    Memory(Arc<Memory>),
    Missing(Arc<str>),
}

impl std::fmt::Debug for Vault {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Vault").field(&self.kind()).finish()
    }
}

impl Vault {
    /// The OS keychain, once a set, a read-back and a delete have proved it.
    ///
    /// # Errors
    ///
    /// [`Error::Locked`] and [`Error::Missing`] may pass: a host that can wait for its user takes
    /// [`Vault::unproved_keychain`] then.
    pub async fn keychain(installation: &str) -> Result<Self, Error> {
        let keychain = Arc::new(Keychain::new(installation));
        keychain.prove().await?;
        Ok(Self { place: Place::Keychain(keychain) })
    }

    /// The OS keychain, though it is locked or missing now. [`Vault::state`] proves it as soon as
    /// it is open, and does not call it usable before.
    pub fn unproved_keychain(installation: &str) -> Self {
        Self { place: Place::Keychain(Arc::new(Keychain::new(installation))) }
    }

    /// A sealed file under the key in `key_file`. The file is made by the first write; the key
    /// file is made by [`make_key_file`] and must not be in the sealed file's folder.
    ///
    /// # Errors
    ///
    /// [`Error::KeyFile`] when the key file cannot or must not be used, [`Error::Sealed`] when the
    /// file that is there does not open with it, or belongs to another installation.
    pub fn sealed_file(file: &Path, key_file: &Path, installation: &str) -> Result<Self, Error> {
        let sealed = Sealed::open(file, key_file, installation)?;
        Ok(Self { place: Place::Sealed(Arc::new(sealed)) })
    }

    /// For tests.
    pub fn memory() -> Self {
        Self::switchable().0
    }

    /// For tests of what happens when the vault is locked or forgets.
    pub fn switchable() -> (Self, Switches) {
        let switches = Switches::default();
        let memory = Memory::new(switches.clone());
        (Self { place: Place::Memory(Arc::new(memory)) }, switches)
    }

    /// None, and why: what needs a secret is refused with [`Error::Missing`].
    pub fn missing(why: String) -> Self {
        Self { place: Place::Missing(why.into()) }
    }

    /// What kind it is.
    pub fn kind(&self) -> Kind {
        match self.place {
            Place::Keychain(_) => Kind::Keychain,
            Place::Sealed(_) => Kind::SealedFile,
            Place::Memory(_) => Kind::Memory,
            Place::Missing(_) => Kind::Missing,
        }
    }

    /// Whether it can be used now. Asks nobody for a password where the system allows to find out
    /// without.
    ///
    /// # Errors
    ///
    /// Why not.
    pub async fn state(&self) -> Result<(), Error> {
        match &self.place {
            Place::Keychain(keychain) => keychain.state().await,
            Place::Sealed(sealed) => {
                let sealed = Arc::clone(sealed);
                on_a_thread(move || sealed.state()).await
            }
            Place::Memory(memory) => memory.state(),
            Place::Missing(why) => Err(Error::Missing(why.to_string())),
        }
    }

    /// The secrets of an owner.
    ///
    /// # Errors
    ///
    /// [`Error::NotFound`] where there is no such generation, [`Error::Incomplete`] where a part
    /// of it is gone.
    pub async fn read(&self, owner: &str, generation: u32) -> Result<Secrets, Error> {
        match &self.place {
            Place::Keychain(keychain) => keychain.read(owner, generation).await,
            Place::Sealed(sealed) => {
                let (sealed, owner) = (Arc::clone(sealed), owner.to_owned());
                on_a_thread(move || sealed.read(&owner, generation)).await
            }
            Place::Memory(memory) => memory.read(owner, generation),
            Place::Missing(why) => Err(Error::Missing(why.to_string())),
        }
    }

    /// Writes a generation and reads it back; what was there under this number is replaced.
    ///
    /// # Errors
    ///
    /// [`Error::Forgetful`] when something else, or nothing, is read back.
    pub async fn write(
        &self,
        owner: &str,
        generation: u32,
        secrets: &Secrets,
    ) -> Result<(), Error> {
        match &self.place {
            Place::Keychain(keychain) => keychain.write(owner, generation, secrets).await?,
            Place::Sealed(sealed) => {
                let (sealed, owner) = (Arc::clone(sealed), owner.to_owned());
                let secrets = secrets.clone();
                on_a_thread(move || sealed.write(&owner, generation, &secrets)).await?;
            }
            Place::Memory(memory) => memory.write(owner, generation, secrets)?,
            Place::Missing(why) => return Err(Error::Missing(why.to_string())),
        }
        match self.read(owner, generation).await {
            Ok(kept) if kept == *secrets => Ok(()),
            Ok(_) | Err(Error::NotFound | Error::Incomplete) => Err(Error::Forgetful),
            Err(error) => Err(error),
        }
    }

    /// Removes a generation; it is no fault where there is none.
    ///
    /// # Errors
    ///
    /// When it may still be there.
    pub async fn remove(&self, owner: &str, generation: u32) -> Result<(), Error> {
        match &self.place {
            Place::Keychain(keychain) => keychain.remove(owner, generation).await,
            Place::Sealed(sealed) => {
                let (sealed, owner) = (Arc::clone(sealed), owner.to_owned());
                on_a_thread(move || sealed.remove(&owner, generation)).await
            }
            Place::Memory(memory) => memory.remove(owner, generation),
            Place::Missing(why) => Err(Error::Missing(why.to_string())),
        }
    }
}

/// Makes a key file for [`Vault::sealed_file`]: 32 random bytes, for its owner alone.
///
/// # Errors
///
/// [`Error::KeyFile`] when it cannot be made, or something is there already: that is never written
/// over, since it may be the only key to a vault.
pub fn make_key_file(path: &Path) -> Result<(), Error> {
    sealed::make_key_file(path)
}

async fn on_a_thread<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, Error> + Send + 'static,
) -> Result<T, Error> {
    tokio::task::spawn_blocking(work)
        .await
        .unwrap_or_else(|error| Err(Error::Io(error.to_string())))
}

#[cfg(test)]
mod tests;
