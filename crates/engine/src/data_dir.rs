//! The data directory and who owns it.
//!
//! Ownership is an OS lock on `D/lock`, never the existence of a file: the system frees it
//! whatever way the owner ends. The owner writes `D/serve.json` when it is ready; where the lock
//! is free, that file is stale, and whoever takes the lock next removes it. A lock on a file that was
//! deleted locks nothing, so the folder itself is locked with it where the system can do that, and
//! the file that is locked must be the one that has the name.
//!
//! The file `installation` is written once the first start has made everything else. Where it is
//! there, data must be there too.
//!
//! On Unix the directory is 0700 and what is written here 0600. Taking ownership also sets the
//! process's umask to 077, since the database and the logs are files that libraries make. On
//! Windows both are what the user's profile grants, which is the user alone.

use std::fs::{self, File, TryLockError};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::sync::OnceLock;
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
    // The name that a first start has chosen; it is written when that start has succeeded.
    chosen: OnceLock<String>,
    // Last, so that the locks are freed after everything else is done with.
    _locks: (Option<File>, File),
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
        let folder = private::lockable_folder(&path);
        if let Some(folder) = &folder {
            take_where_possible(folder, &path)?;
        }
        let lock = lock_file(&path)?;

        let owned = Self {
            path,
            announced: AtomicBool::new(false),
            chosen: OnceLock::new(),
            _locks: (folder, lock),
        };
        owned.clear_leftovers()?;
        private::close_to_others(&owned.path);
        Ok(owned)
    }

    /// Where the owner of a directory listens.
    ///
    /// # Errors
    ///
    /// [`Error::NoOwner`] where nobody holds the lock, whatever `serve.json` says;
    /// [`Error::NotReady`] where the owner has not written it yet.
    pub fn owner(path: &Path) -> Result<Serving, Error> {
        let folder = private::lockable_folder(path);
        let by_folder = folder.is_some_and(|it| is_taken(&it).unwrap_or(false));
        let lock_path = path.join(LOCK);
        let by_file = match File::open(&lock_path) {
            Ok(lock) => is_taken(&lock).map_err(Error::io(&lock_path))?,
            Err(error) if error.kind() == io::ErrorKind::NotFound => false,
            Err(error) => return Err(Error::io(&lock_path)(error)),
        };
        if !by_folder && !by_file {
            return Err(Error::NoOwner(path.to_owned()));
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
    /// two data directories of one user do not share them. That of a first start is written by
    /// [`DataDir::settle`].
    ///
    /// # Errors
    ///
    /// When the file that holds it cannot be read, or holds something else: a new name would hide
    /// every secret that was stored under the old one.
    pub fn installation(&self) -> Result<String, Error> {
        if let Some(name) = installation_of(&self.path)? {
            return Ok(name);
        }
        let mut bytes = [0; 10];
        getrandom::fill(&mut bytes)
            .map_err(|error| Error::io(&self.path)(io::Error::other(error)))?;
        Ok(self.chosen.get_or_init(|| hex::encode(bytes)).clone())
    }

    /// Whether an earlier start has made everything: then the data must be there.
    pub fn is_settled(&self) -> bool {
        is_settled(&self.path)
    }

    /// Notes that everything has been made.
    ///
    /// # Errors
    ///
    /// When that cannot be written.
    pub fn settle(&self) -> Result<(), Error> {
        if !self.is_settled() {
            self.write(INSTALLATION, self.installation()?.as_bytes())?;
        }
        Ok(())
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

/// Opens and takes `D/lock`. What was locked must have that name still: somebody may have deleted
/// the file after it was opened here.
fn lock_file(path: &Path) -> Result<File, Error> {
    let lock_path = path.join(LOCK);
    for _ in 0..LOCK_TRIES {
        let lock = private::lock_options()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .open(&lock_path)
            .map_err(Error::io(&lock_path))?;
        take(&lock, path)?.map_err(Error::io(&lock_path))?;
        if private::has_name(&lock, &lock_path) {
            return Ok(lock);
        }
    }
    Err(Error::Owned(path.to_owned()))
}

/// Takes a lock that is not to be had everywhere: some network file systems lock no folders.
fn take_where_possible(folder: &File, path: &Path) -> Result<(), Error> {
    if let Err(error) = take(folder, path)? {
        tracing::debug!(%error, "the data directory itself cannot be locked");
    }
    Ok(())
}

/// Takes a lock. The inner fault is the system's: it cannot lock this.
fn take(lock: &File, path: &Path) -> Result<io::Result<()>, Error> {
    for remaining in (0..LOCK_TRIES).rev() {
        match lock.try_lock() {
            Ok(()) => return Ok(Ok(())),
            Err(TryLockError::WouldBlock) if remaining > 0 => std::thread::sleep(LOCK_PAUSE),
            Err(TryLockError::WouldBlock) => break,
            Err(TryLockError::Error(error)) => return Ok(Err(error)),
        }
    }
    Err(Error::Owned(path.to_owned()))
}

/// Whether another process holds it. Shared, so that two commands that look at once do not take
/// each other for an owner.
fn is_taken(lock: &File) -> io::Result<bool> {
    match lock.try_lock_shared() {
        Ok(()) => Ok(false),
        Err(TryLockError::WouldBlock) => Ok(true),
        Err(TryLockError::Error(error)) => Err(error),
    }
}

/// The name of the installation in a directory that need not be owned, once it has one.
///
/// # Errors
///
/// When it cannot be read, or is none.
pub fn installation_of(path: &Path) -> Result<Option<String>, Error> {
    let path = path.join(INSTALLATION);
    match fs::read_to_string(&path) {
        Ok(name) if is_installation(name.trim()) => Ok(Some(name.trim().to_owned())),
        Ok(_) => Err(Error::io(&path)(io::Error::new(
            io::ErrorKind::InvalidData,
            "it does not hold the name of an installation",
        ))),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(Error::io(&path)(error)),
    }
}

/// Whether a start on this directory has once made everything, so that data must be there.
pub fn is_settled(path: &Path) -> bool {
    path.join(INSTALLATION).exists()
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
    use std::os::unix::fs::{
        DirBuilderExt as _, MetadataExt as _, OpenOptionsExt as _, PermissionsExt as _,
    };
    use std::path::Path;

    /// The folder as something that can be locked.
    pub(super) fn lockable_folder(path: &Path) -> Option<File> {
        File::open(path).ok()
    }

    pub(super) fn lock_options() -> OpenOptions {
        options()
    }

    /// Whether this is the file of this name.
    pub(super) fn has_name(file: &File, path: &Path) -> bool {
        let (Ok(ours), Ok(named)) = (file.metadata(), fs::symlink_metadata(path)) else {
            return false;
        };
        (ours.dev(), ours.ino()) == (named.dev(), named.ino())
    }

    /// Takes away what others may do with files that were there before: they may have been copied
    /// here with other rights. The folders of the user's own making are left as they are, and what
    /// cannot be changed is for `patchbay doctor` to tell.
    pub(super) fn close_to_others(path: &Path) {
        for folder in [path.to_owned(), path.join("logs"), path.join("backups")] {
            // What a link leads to is not ours.
            if fs::symlink_metadata(&folder).is_ok_and(|it| it.is_dir()) {
                close_files(&folder);
            }
        }
    }

    fn close_files(folder: &Path) {
        for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
            let Ok(metadata) = entry.metadata() else { continue };
            let open = metadata.is_file() && metadata.permissions().mode() & 0o077 != 0;
            if !open {
                continue;
            }
            let path = entry.path();
            match fs::set_permissions(&path, Permissions::from_mode(0o600)) {
                Ok(()) => tracing::warn!(file = %path.display(), "others could use it"),
                Err(error) => {
                    tracing::warn!(file = %path.display(), %error, "others can use it");
                }
            }
        }
    }

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
    use std::fs::{self, File, OpenOptions};
    use std::io;
    use std::path::Path;

    pub(super) fn umask() {}

    // A folder is no file there. The lock's file cannot be deleted while it is open instead.
    pub(super) fn lockable_folder(_path: &Path) -> Option<File> {
        None
    }

    pub(super) fn lock_options() -> OpenOptions {
        #[allow(unused_mut, reason = "only Windows has more to say")]
        let mut options = options();
        // Others may read and write it, and so try its lock, but not delete it.
        #[cfg(windows)]
        std::os::windows::fs::OpenOptionsExt::share_mode(&mut options, 0x1 | 0x2);
        options
    }

    pub(super) fn has_name(_file: &File, path: &Path) -> bool {
        path.exists()
    }

    // The profile's own rights say who can read.
    pub(super) fn close_to_others(_path: &Path) {}

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

    #[cfg(unix)]
    #[test]
    fn a_lock_that_was_deleted_lets_no_second_owner_in() {
        let folder = tempfile::tempdir().unwrap();
        let first = DataDir::own(folder.path()).unwrap();
        first.announce(&serving()).unwrap();
        fs::remove_file(folder.path().join(LOCK)).unwrap();

        assert!(matches!(DataDir::own(folder.path()), Err(Error::Owned(_))));
        assert_eq!(DataDir::owner(folder.path()).unwrap(), serving());
        fs::write(folder.path().join(LOCK), "").unwrap();
        assert!(matches!(DataDir::own(folder.path()), Err(Error::Owned(_))));
        assert_eq!(DataDir::owner(folder.path()).unwrap(), serving());

        drop(first);
        DataDir::own(folder.path()).unwrap();
    }

    #[cfg(unix)]
    #[test]
    fn files_that_were_there_before_are_closed_to_others_and_links_are_left_alone() {
        use std::os::unix::fs::PermissionsExt as _;
        let outside = tempfile::tempdir().unwrap();
        let folder = tempfile::tempdir().unwrap();
        let open = |path: &Path| {
            fs::write(path, "").unwrap();
            fs::set_permissions(path, fs::Permissions::from_mode(0o666)).unwrap();
        };
        let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
        let (inside, foreign) = (folder.path().join("vault.sealed"), outside.path().join("log"));
        open(&inside);
        open(&foreign);
        std::os::unix::fs::symlink(outside.path(), folder.path().join("logs")).unwrap();
        std::os::unix::fs::symlink(&foreign, folder.path().join("link")).unwrap();

        let _owned = DataDir::own(folder.path()).unwrap();

        assert_eq!(mode(&inside), 0o600);
        assert_eq!(mode(&foreign), 0o666);
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
        owned.settle().unwrap();
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
        assert_eq!(owned.installation().unwrap(), name);
        assert!(!owned.is_settled());
        owned.settle().unwrap();
        drop(owned);

        let owned = DataDir::own(folder.path()).unwrap();
        assert!(owned.is_settled());
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
