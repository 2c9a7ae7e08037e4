//! The data directory and who owns it.
//!
//! Ownership is an OS lock on `D/lock`, never the existence of a file. The owner writes
//! `D/serve.json` when it is ready; where the lock is free, that file is stale.

use serde::{Deserialize, Serialize};
use std::path::{Path, PathBuf};

/// Why a data directory cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Another process owns it.
    #[error("another Patchbay owns {}", .0.display())]
    Owned(PathBuf),
    /// Nobody owns it, and the command needs an owner.
    #[error("no Patchbay is running on {}", .0.display())]
    NoOwner(PathBuf),
    /// It cannot be made, read or written.
    #[error("{} cannot be used: {source}", path.display())]
    Io {
        /// Which file or folder.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
}

/// Where the owner listens, as `D/serve.json` says it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Serving {
    /// The owner's process.
    pub pid: u32,
    /// Its version.
    pub version: String,
    /// The management listener.
    pub api_url: String,
    /// The ingress listener.
    pub ingress_url: String,
    /// Where the token of the management listener is.
    pub token_file: PathBuf,
}

/// A data directory that this process owns: 0700, its files 0600.
pub struct DataDir {}

#[expect(clippy::todo, unused_variables, reason = "the outline")]
impl DataDir {
    /// Makes it where it is missing, and takes its lock.
    pub fn own(path: &Path) -> Result<Self, Error> {
        todo!()
    }
    /// Where the owner of a directory listens; `NoOwner` where nobody holds the lock.
    pub fn owner(path: &Path) -> Result<Serving, Error> {
        todo!()
    }
    /// Writes `serve.json`, whole or not at all; it goes away when this value is dropped.
    pub fn announce(&self, serving: &Serving) -> Result<(), Error> {
        todo!()
    }
    /// Writes a file of this directory, 0600, whole or not at all.
    pub fn write(&self, name: &str, content: &[u8]) -> Result<PathBuf, Error> {
        todo!()
    }
    /// The folder itself.
    pub fn path(&self) -> &Path {
        todo!()
    }
    /// A random name of this installation, made once; the keychain's entries carry it.
    pub fn installation(&self) -> Result<String, Error> {
        todo!()
    }
}
