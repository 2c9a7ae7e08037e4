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
mod opening;
mod sealed;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use domain::secret::Secrets;

pub use self::memory::Switches;

use self::keychain::Keychain;
use self::memory::Memory;
use self::opening::Opening;
use self::sealed::Sealed;

/// Why the vault did not do what was asked.
#[derive(Debug, Clone, thiserror::Error)]
pub enum Error {
    /// It is being proved, and has not answered yet.
    #[error("the keychain has not answered yet")]
    Opening,
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
    /// The sealed file cannot be opened with the key at hand. It is left as it is, and opens by
    /// itself once the two fit.
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

impl Error {
    /// Whether a secret is gone for good, rather than out of reach for now: only entering it again
    /// helps.
    pub fn is_lost(&self) -> bool {
        matches!(self, Self::NotFound | Self::Incomplete)
    }
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
    /// One of the others, as soon as it is known which.
    Opening(Opening),
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
    /// Nothing is read yet. Where the two do not fit, or one of them is missing or damaged, every
    /// use is refused with what is wrong, the files are left as they are, and it works as soon as
    /// they have been put right.
    pub fn sealed_file(file: &Path, key_file: &Path, installation: &str) -> Self {
        let sealed = Sealed::new(file, key_file, installation);
        Self { place: Place::Sealed(Arc::new(sealed)) }
    }

    /// A vault that is still being chosen: `choosing` proves a keychain, which may take as long as
    /// a service that does not answer. Until it is done, whatever needs a secret waits for two
    /// seconds and is refused with [`Error::Opening`] then. Needs a tokio runtime.
    pub fn opening(choosing: impl Future<Output = Self> + Send + 'static) -> Self {
        Self { place: Place::Opening(Opening::begin(async { choosing.await.place })) }
    }

    /// Waits until it is known what kind of vault this is, however long that takes.
    pub async fn settled(&self) -> Self {
        match &self.place {
            Place::Opening(opening) => Self { place: opening.settled().await },
            place => Self { place: place.clone() },
        }
    }

    /// One that ends with the process: for tests, and for what is tried once.
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

    /// What kind it is; a keychain while that is being found out.
    pub fn kind(&self) -> Kind {
        let settled = match &self.place {
            Place::Opening(opening) => opening.now(),
            place => Some(place.clone()),
        };
        match settled {
            None | Some(Place::Opening(_) | Place::Keychain(_)) => Kind::Keychain,
            Some(Place::Sealed(_)) => Kind::SealedFile,
            Some(Place::Memory(_)) => Kind::Memory,
            Some(Place::Missing(_)) => Kind::Missing,
        }
    }

    /// Whether it can be used now. Asks nobody for a password where the system allows to find out
    /// without.
    ///
    /// # Errors
    ///
    /// Why not.
    pub async fn state(&self) -> Result<(), Error> {
        let place = match &self.place {
            Place::Opening(opening) => opening.now().ok_or(Error::Opening)?,
            place => place.clone(),
        };
        match place {
            Place::Keychain(keychain) => keychain.state().await,
            Place::Sealed(sealed) => on_a_thread(move || sealed.state()).await,
            Place::Memory(memory) => memory.state(),
            Place::Missing(why) => Err(Error::Missing(why.to_string())),
            Place::Opening(_) => Err(Error::Opening),
        }
    }

    /// The owners in it, each with its generations. That one is named does not say that it is
    /// whole.
    ///
    /// # Errors
    ///
    /// When it cannot be used now.
    pub(crate) async fn owners(&self) -> Result<Vec<(String, u32)>, Error> {
        match self.place().await? {
            Place::Sealed(sealed) => on_a_thread(move || sealed.owners()).await,
            Place::Memory(memory) => memory.owners(),
            Place::Keychain(keychain) => keychain.owners().await,
            Place::Missing(why) => Err(Error::Missing(why.to_string())),
            Place::Opening(_) => Err(Error::Opening),
        }
    }

    /// The installations that have secrets in the keychain of this user, each with how many bundles:
    /// one whose data directory is gone leaves them there. None where there is no keychain.
    ///
    /// # Errors
    ///
    /// When it cannot be used now.
    pub async fn installations(&self) -> Result<BTreeMap<String, usize>, Error> {
        match self.place().await? {
            Place::Keychain(keychain) => keychain.installations().await,
            _ => Ok(BTreeMap::new()),
        }
    }

    /// Removes everything that an installation has in the keychain of this user; says how many
    /// bundles. What it has in a file goes with its data directory.
    ///
    /// # Errors
    ///
    /// When the keychain cannot be used now.
    pub async fn forget_installation(installation: &str) -> Result<usize, Error> {
        Arc::new(Keychain::new(installation)).clear().await
    }

    /// Where things are kept. While that is being found out it is waited for, within limits.
    async fn place(&self) -> Result<Place, Error> {
        match &self.place {
            Place::Opening(opening) => opening.soon().await,
            place => Ok(place.clone()),
        }
    }

    /// The secrets of an owner.
    ///
    /// # Errors
    ///
    /// [`Error::NotFound`] where there is no such generation, [`Error::Incomplete`] where a part
    /// of it is gone.
    pub async fn read(&self, owner: &str, generation: u32) -> Result<Secrets, Error> {
        match self.place().await? {
            Place::Keychain(keychain) => keychain.read(owner, generation).await,
            Place::Sealed(sealed) => {
                let owner = owner.to_owned();
                on_a_thread(move || sealed.read(&owner, generation)).await
            }
            Place::Memory(memory) => memory.read(owner, generation),
            Place::Missing(why) => Err(Error::Missing(why.to_string())),
            Place::Opening(_) => Err(Error::Opening),
        }
    }

    /// The secrets of an owner that new ones are about to be put among: none where it has no
    /// generation yet, and none where the one it has is lost. Whoever enters a secret again must
    /// not be refused because the old one is gone.
    ///
    /// # Errors
    ///
    /// What [`Vault::read`] says of a vault that cannot be used now: what is in it may be whole.
    pub async fn read_for_change(
        &self,
        owner: &str,
        generation: Option<u32>,
    ) -> Result<Secrets, Error> {
        let Some(generation) = generation else { return Ok(Secrets::new()) };
        match self.read(owner, generation).await {
            Err(error) if error.is_lost() => {
                tracing::warn!(%owner, generation, %error, "secrets are entered anew");
                Ok(Secrets::new())
            }
            read => read,
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
        match self.place().await? {
            Place::Keychain(keychain) => keychain.write(owner, generation, secrets).await?,
            Place::Sealed(sealed) => {
                let owner = owner.to_owned();
                let secrets = secrets.clone();
                on_a_thread(move || sealed.write(&owner, generation, &secrets)).await?;
            }
            Place::Memory(memory) => memory.write(owner, generation, secrets)?,
            Place::Missing(why) => return Err(Error::Missing(why.to_string())),
            Place::Opening(_) => return Err(Error::Opening),
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
        match self.place().await? {
            Place::Keychain(keychain) => keychain.remove(owner, generation).await,
            Place::Sealed(sealed) => {
                let owner = owner.to_owned();
                on_a_thread(move || sealed.remove(&owner, generation)).await
            }
            Place::Memory(memory) => memory.remove(owner, generation),
            Place::Missing(why) => Err(Error::Missing(why.to_string())),
            Place::Opening(_) => Err(Error::Opening),
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
