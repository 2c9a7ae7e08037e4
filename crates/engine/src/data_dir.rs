//! The data directory and who owns it.
//!
//! Ownership is an OS lock on `D/lock`, never the existence of a file: the system frees it
//! whatever way the owner ends. The owner writes `D/serve.json` when it is ready; where the lock
//! is free, that file is stale, and whoever takes the lock next removes it.
//!
//! On Unix the directory is 0700 and what is written here 0600. Taking ownership also sets the
//! process's umask to 077, since the database and the logs are files that libraries make. On
//! Windows both are what the user's profile grants, which is the user alone.

use std::fs::{self, File, TryLockError};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use serde::{Deserialize, Serialize};

const LOCK: &str = "lock";
const SERVE: &str = "serve.json";
const INSTALLATION: &str = "installation";
const TEMPORARY: &str = ".writing-";

/// How often, and how far apart, a taken lock is tried again: a command that looks for the owner
/// holds the lock for a moment, and must not keep a host from starting.
const LOCK_TRIES: u32 = 6;
const LOCK_PAUSE: Duration = Duration::from_millis(40);

/// Why a data directory cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Another process owns it.
    #[error("another Patchbay owns {}", .0.display())]
    Owned(PathBuf),
    /// Nobody owns it, and the command needs an owner.
    #[error("no Patchbay is running on {}", .0.display())]
    NoOwner(PathBuf),
    /// Its owner has not said yet where it listens: it is starting, or stopping.
    #[error("the Patchbay on {} is not ready", .0.display())]
    NotReady(PathBuf),
    /// It cannot be made, read or written.
    #[error("{} cannot be used: {source}", path.display())]
    Io {
        /// Which file or folder.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
}

impl Error {
    fn io(path: &Path) -> impl FnOnce(io::Error) -> Self {
        move |source| Self::Io { path: path.to_owned(), source }
    }
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
#[derive(Debug)]
pub struct DataDir {
    path: PathBuf,
    announced: AtomicBool,
    // Last, so that the lock is freed after everything else is done with.
    _lock: File,
}

impl DataDir {
    /// Makes it where it is missing, and takes its lock. Sets the process's umask on Unix.
    ///
    /// # Errors
    ///
    /// [`Error::Owned`] when another process holds the lock.
    pub fn own(path: &Path) -> Result<Self, Error> {
        let path = std::path::absolute(path).map_err(Error::io(path))?;
        private::umask();
        private::make_folder(&path).map_err(Error::io(&path))?;
        let lock_path = path.join(LOCK);
        let lock = private::options()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .open(&lock_path)
            .map_err(Error::io(&lock_path))?;
        take(&lock, &path, &lock_path)?;

        let owned = Self { path, announced: AtomicBool::new(false), _lock: lock };
        owned.clear_leftovers()?;
        Ok(owned)
    }

    /// Where the owner of a directory listens.
    ///
    /// # Errors
    ///
    /// [`Error::NoOwner`] where nobody holds the lock, whatever `serve.json` says;
    /// [`Error::NotReady`] where the owner has not written it yet.
    pub fn owner(path: &Path) -> Result<Serving, Error> {
        let lock_path = path.join(LOCK);
        let lock = match File::open(&lock_path) {
            Ok(lock) => lock,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                return Err(Error::NoOwner(path.to_owned()));
            }
            Err(error) => return Err(Error::io(&lock_path)(error)),
        };
        // Shared, so that two commands that look at once do not take each other for an owner.
        match lock.try_lock_shared() {
            Ok(()) => return Err(Error::NoOwner(path.to_owned())),
            Err(TryLockError::WouldBlock) => {}
            Err(TryLockError::Error(error)) => return Err(Error::io(&lock_path)(error)),
        }

        let serve = path.join(SERVE);
        match fs::read(&serve) {
            Ok(text) => serde_json::from_slice(&text)
                .map_err(|error| Error::io(&serve)(io::Error::from(error))),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                Err(Error::NotReady(path.to_owned()))
            }
            Err(error) => Err(Error::io(&serve)(error)),
        }
    }

    /// Writes `serve.json`, whole or not at all; it goes away when this value is dropped.
    ///
    /// # Errors
    ///
    /// When it cannot be written.
    pub fn announce(&self, serving: &Serving) -> Result<(), Error> {
        let text = serde_json::to_vec_pretty(serving)
            .map_err(|error| Error::io(&self.path.join(SERVE))(io::Error::from(error)))?;
        self.announced.store(true, Ordering::Release);
        self.write(SERVE, &text)?;
        Ok(())
    }

    /// Removes `serve.json`: this owner takes no more requests. Dropping does the same.
    pub fn withdraw(&self) {
        // Nobody could be told of a failure, and the free lock makes the file stale anyway.
        if self.announced.swap(false, Ordering::AcqRel) {
            let _ = fs::remove_file(self.path.join(SERVE));
        }
    }

    /// Writes a file of this directory, 0600, whole or not at all. `name` is one file's name,
    /// without a folder.
    ///
    /// # Errors
    ///
    /// When it cannot be written; what was there before is there still.
    pub fn write(&self, name: &str, content: &[u8]) -> Result<PathBuf, Error> {
        debug_assert_eq!(Path::new(name).file_name(), Some(name.as_ref()), "a file, not a path");
        let path = self.path.join(name);
        write_whole(&path, content).map_err(Error::io(&path))?;
        Ok(path)
    }

    /// The folder itself.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// A random name of this installation, made once; the keychain's entries carry it, so that
    /// two data directories of one user do not share them.
    ///
    /// # Errors
    ///
    /// When the file that holds it cannot be read or made, or holds something else: a new name
    /// would hide every secret that was stored under the old one.
    pub fn installation(&self) -> Result<String, Error> {
        let path = self.path.join(INSTALLATION);
        match fs::read_to_string(&path) {
            Ok(name) if is_installation(name.trim()) => Ok(name.trim().to_owned()),
            Ok(_) => Err(Error::io(&path)(io::Error::new(
                io::ErrorKind::InvalidData,
                "it does not hold the name of an installation",
            ))),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                let mut bytes = [0; 10];
                getrandom::fill(&mut bytes)
                    .map_err(|error| Error::io(&path)(io::Error::other(error)))?;
                let name = hex::encode(bytes);
                self.write(INSTALLATION, name.as_bytes())?;
                Ok(name)
            }
            Err(error) => Err(Error::io(&path)(error)),
        }
    }

    /// Removes what an owner that was killed left behind.
    fn clear_leftovers(&self) -> Result<(), Error> {
        remove_if_there(&self.path.join(SERVE))?;
        for entry in fs::read_dir(&self.path).map_err(Error::io(&self.path))?.flatten() {
            if entry.file_name().to_string_lossy().starts_with(TEMPORARY) {
                remove_if_there(&entry.path())?;
            }
        }
        Ok(())
    }
}

impl Drop for DataDir {
    fn drop(&mut self) {
        self.withdraw();
    }
}

fn take(lock: &File, path: &Path, lock_path: &Path) -> Result<(), Error> {
    for remaining in (0..LOCK_TRIES).rev() {
        match lock.try_lock() {
            Ok(()) => return Ok(()),
            Err(TryLockError::WouldBlock) if remaining > 0 => std::thread::sleep(LOCK_PAUSE),
            Err(TryLockError::WouldBlock) => break,
            Err(TryLockError::Error(error)) => return Err(Error::io(lock_path)(error)),
        }
    }
    Err(Error::Owned(path.to_owned()))
}

fn is_installation(name: &str) -> bool {
    name.len() == 20 && name.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
}

fn remove_if_there(path: &Path) -> Result<(), Error> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(Error::io(path)(error)),
        _ => Ok(()),
    }
}

/// Writes a file, 0600, so that a reader at any time and a crash at any time find the old content
/// or the new: a file beside it is written, synced and renamed, and the folder synced.
pub(crate) fn write_whole(path: &Path, content: &[u8]) -> io::Result<()> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
    let folder = folder.unwrap_or_else(|| Path::new("."));
    let mut random = [0; 8];
    getrandom::fill(&mut random).map_err(io::Error::other)?;
    let temporary = folder.join(format!("{TEMPORARY}{}", hex::encode(random)));

    let written = private::options()
        .write(true)
        .create_new(true)
        .open(&temporary)
        .and_then(|mut file| file.write_all(content).and_then(|()| file.sync_all()))
        .and_then(|()| fs::rename(&temporary, path))
        .and_then(|()| private::sync_folder(folder));
    if written.is_err() {
        let _ = fs::remove_file(&temporary);
    }
    written
}

/// What is for the user alone, where the system has modes.
#[cfg(unix)]
pub(crate) mod private {
    use std::fs::{self, DirBuilder, File, OpenOptions, Permissions};
    use std::io;
    use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _, PermissionsExt as _};
    use std::path::Path;

    pub(super) fn umask() {
        rustix::process::umask(rustix::fs::Mode::from_raw_mode(0o077));
    }

    /// Makes a folder 0700 with those above it, or takes away what others may do in it.
    pub(crate) fn make_folder(path: &Path) -> io::Result<()> {
        DirBuilder::new().recursive(true).mode(0o700).create(path)?;
        if fs::metadata(path)?.permissions().mode() & 0o077 != 0 {
            fs::set_permissions(path, Permissions::from_mode(0o700))?;
        }
        Ok(())
    }

    /// For opening files that are 0600 when they are made.
    pub(crate) fn options() -> OpenOptions {
        let mut options = OpenOptions::new();
        options.mode(0o600);
        options
    }

    pub(super) fn sync_folder(path: &Path) -> io::Result<()> {
        File::open(path)?.sync_all()
    }
}

/// What is for the user alone: on other systems the profile's own rights say so.
#[cfg(not(unix))]
pub(crate) mod private {
    use std::fs::{self, OpenOptions};
    use std::io;
    use std::path::Path;

    pub(super) fn umask() {}

    /// Makes a folder with those above it.
    pub(crate) fn make_folder(path: &Path) -> io::Result<()> {
        fs::create_dir_all(path)
    }

    /// For opening files.
    pub(crate) fn options() -> OpenOptions {
        OpenOptions::new()
    }

    // A folder cannot be opened as a file there; renames are journaled by the file system.
    pub(super) fn sync_folder(_path: &Path) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn serving() -> Serving {
        Serving {
            pid: 1,
            version: "0.1.0".into(),
            api_url: "http://127.0.0.1:4700".into(),
            ingress_url: "http://127.0.0.1:4701".into(),
            token_file: "token".into(),
        }
    }

    #[test]
    fn a_second_owner_is_refused_until_the_first_is_gone() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("data");
        let first = DataDir::own(&path).unwrap();

        assert!(matches!(DataDir::own(&path), Err(Error::Owned(_))));

        drop(first);
        DataDir::own(&path).unwrap();
    }

    #[test]
    fn the_owner_is_known_from_its_announcement_to_its_end() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path();
        assert!(matches!(DataDir::owner(path), Err(Error::NoOwner(_))));

        let owned = DataDir::own(path).unwrap();
        assert!(matches!(DataDir::owner(path), Err(Error::NotReady(_))));
        owned.announce(&serving()).unwrap();
        assert_eq!(DataDir::owner(path).unwrap(), serving());

        drop(owned);
        assert!(matches!(DataDir::owner(path), Err(Error::NoOwner(_))));
        assert!(!path.join(SERVE).exists());
    }

    #[test]
    fn what_a_killed_owner_left_is_stale_and_is_removed() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path();
        drop(DataDir::own(path).unwrap());
        fs::write(path.join(SERVE), serde_json::to_vec(&serving()).unwrap()).unwrap();
        fs::write(path.join(".writing-0011"), "half").unwrap();

        assert!(matches!(DataDir::owner(path), Err(Error::NoOwner(_))));

        let _owned = DataDir::own(path).unwrap();
        assert!(matches!(DataDir::owner(path), Err(Error::NotReady(_))));
        assert!(!path.join(".writing-0011").exists());
    }

    #[cfg(unix)]
    #[test]
    fn others_can_read_neither_the_folder_nor_its_files() {
        use std::os::unix::fs::PermissionsExt as _;
        let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("data");
        fs::create_dir(&path).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();

        let owned = DataDir::own(&path).unwrap();
        owned.announce(&serving()).unwrap();
        owned.installation().unwrap();
        fs::write(path.join("made-by-a-library"), "").unwrap();

        assert_eq!(mode(&path), 0o700);
        for entry in fs::read_dir(&path).unwrap() {
            let file = entry.unwrap().path();
            assert_eq!(mode(&file), 0o600, "{}", file.display());
        }
    }

    #[test]
    fn the_installation_keeps_its_name() {
        let folder = tempfile::tempdir().unwrap();
        let owned = DataDir::own(folder.path()).unwrap();
        let name = owned.installation().unwrap();
        drop(owned);

        let owned = DataDir::own(folder.path()).unwrap();
        assert_eq!(owned.installation().unwrap(), name);

        owned.write(INSTALLATION, b"something else").unwrap();
        assert!(owned.installation().is_err());
    }

    #[test]
    fn a_write_replaces_the_whole_file_and_leaves_no_other() {
        let folder = tempfile::tempdir().unwrap();
        let owned = DataDir::own(folder.path()).unwrap();
        owned.write("token", b"a long first content").unwrap();
        let path = owned.write("token", b"second").unwrap();

        assert_eq!(fs::read(path).unwrap(), b"second");
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 2, "the lock and the token");
    }
}
