//! The vault: where secrets live, and nowhere else.

use std::path::PathBuf;

use domain::secret::Secrets;

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
pub struct Vault {}

#[expect(clippy::todo, unused_variables, clippy::unused_async, reason = "the outline")]
impl Vault {
    /// The OS keychain, once a set, a read-back and a delete have proved it.
    pub async fn keychain(installation: &str) -> Result<Self, Error> {
        todo!()
    }
    /// A sealed file under the key in `key_file`.
    pub fn sealed_file(file: &std::path::Path, key_file: &std::path::Path) -> Result<Self, Error> {
        todo!()
    }
    /// For tests.
    pub fn memory() -> Self {
        todo!()
    }
    /// None, and why: what needs a secret is refused with [`Error::Missing`].
    pub fn missing(why: String) -> Self {
        todo!()
    }
    /// What kind it is.
    pub fn kind(&self) -> Kind {
        todo!()
    }
    /// Whether it can be used now.
    pub async fn state(&self) -> Result<(), Error> {
        todo!()
    }
    /// The secrets of an owner.
    pub async fn read(&self, owner: &str, generation: u32) -> Result<Secrets, Error> {
        todo!()
    }
    /// Writes a generation and reads it back.
    pub async fn write(
        &self,
        owner: &str,
        generation: u32,
        secrets: &Secrets,
    ) -> Result<(), Error> {
        todo!()
    }
    /// Removes a generation; it is no fault where there is none.
    pub async fn remove(&self, owner: &str, generation: u32) -> Result<(), Error> {
        todo!()
    }
}
