//! The sealed file, for a machine that has no keychain.
//!
//! All secrets of the installation are one message under XChaCha20-Poly1305. Its key comes by
//! HKDF-SHA256 from a key file that lives elsewhere, so that a copy of the data directory opens
//! nothing. The file's layout and the installation's name are authenticated with it: a sealed file
//! of another installation, or one whose header was changed, does not open. Each write has a nonce
//! of its own and replaces the file as a whole; a file that does not open is never written over.

use std::collections::BTreeMap;
use std::fs;
use std::io::{self, Read as _, Write as _};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, OnceLock, PoisonError};

use chacha20poly1305::aead::AeadInOut as _;
use chacha20poly1305::{KeyInit as _, XChaCha20Poly1305, XNonce};
use domain::secret::Secrets;
use hkdf::Hkdf;
use sha2::Sha256;
use zeroize::Zeroizing;

use super::Error;
use super::bundle::{self, Reader, Writer};
use crate::data_dir::{private, write_whole};

const FORMAT: &[u8] = b"patchbay sealed vault 1\n";
const NONCE: usize = 24;
const TAG: usize = 16;

/// The least that a key file holds, and the most that one is read of.
const KEY_FILE: std::ops::RangeInclusive<u64> = 32..=65_536;

type All = BTreeMap<(String, u32), Secrets>;

/// The file and its key.
pub(super) struct Sealed {
    path: PathBuf,
    key_file: PathBuf,
    installation: String,
    // The one that opened the file, or made it. It stays in force where the key file goes away.
    key: OnceLock<Key>,
    // One change at a time: each reads all and writes all.
    turn: Mutex<()>,
}

/// A key, zeroed when it is dropped.
type Key = Zeroizing<[u8; 32]>;

impl Sealed {
    pub(super) fn new(path: &Path, key_file: &Path, installation: &str) -> Self {
        Self {
            path: path.to_owned(),
            key_file: key_file.to_owned(),
            installation: installation.to_owned(),
            key: OnceLock::new(),
            turn: Mutex::default(),
        }
    }

    /// Whether the file opens.
    pub(super) fn state(&self) -> Result<(), Error> {
        self.load().map(drop)
    }

    pub(super) fn read(&self, owner: &str, generation: u32) -> Result<Secrets, Error> {
        self.load()?.remove(&(owner.to_owned(), generation)).ok_or(Error::NotFound)
    }

    pub(super) fn write(
        &self,
        owner: &str,
        generation: u32,
        secrets: &Secrets,
    ) -> Result<(), Error> {
        let _turn = self.turn.lock().unwrap_or_else(PoisonError::into_inner);
        let mut all = self.load()?;
        let key = self.key()?;
        all.insert((owner.to_owned(), generation), secrets.clone());
        self.store(&key, &all)
    }

    pub(super) fn remove(&self, owner: &str, generation: u32) -> Result<(), Error> {
        let _turn = self.turn.lock().unwrap_or_else(PoisonError::into_inner);
        let mut all = self.load()?;
        if all.remove(&(owner.to_owned(), generation)).is_some() {
            self.store(&self.key()?, &all)?;
        }
        Ok(())
    }

    /// Whose secrets are in it.
    pub(super) fn owners(&self) -> Result<Vec<(String, u32)>, Error> {
        Ok(self.load()?.into_keys().collect())
    }

    /// The key: the one that was seen to fit, or the one in the key file now.
    fn key(&self) -> Result<Key, Error> {
        if let Some(key) = self.key.get() {
            return Ok(key.clone());
        }
        let material = read_key_file(&self.path, &self.key_file)?;
        let mut key = Zeroizing::new([0; 32]);
        Hkdf::<Sha256>::new(None, &material)
            .expand_multi_info(&[FORMAT, self.installation.as_bytes()], &mut *key)
            .map_err(|error| Error::Io(error.to_string()))?;
        Ok(key)
    }

    fn associated(&self) -> Vec<u8> {
        [FORMAT, self.installation.as_bytes()].concat()
    }

    fn load(&self) -> Result<All, Error> {
        let key = self.key()?;
        let file = match fs::read(&self.path) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(All::new()),
            Err(error) => return Err(Error::Io(format!("{}: {error}", self.path.display()))),
        };
        let all = self.unseal(&key, &file).ok_or_else(|| Error::Sealed(self.path.clone()))?;
        self.key.get_or_init(|| key);
        Ok(all)
    }

    fn unseal(&self, key: &Key, file: &[u8]) -> Option<All> {
        let (nonce, sealed) = file.strip_prefix(FORMAT)?.split_first_chunk::<NONCE>()?;
        let mut plain = Zeroizing::new(sealed.to_vec());
        cipher(key)
            .decrypt_in_place(&XNonce::from(*nonce), &self.associated(), &mut *plain)
            .ok()?;
        decode(&plain)
    }

    fn store(&self, key: &Key, all: &All) -> Result<(), Error> {
        let mut nonce = [0; NONCE];
        getrandom::fill(&mut nonce).map_err(|error| Error::Io(error.to_string()))?;
        let mut sealed = encode(all);
        cipher(key)
            .encrypt_in_place(&XNonce::from(nonce), &self.associated(), &mut *sealed)
            .map_err(|error| Error::Io(error.to_string()))?;
        write_whole(&self.path, &[FORMAT, &nonce, &sealed].concat())
            .map_err(|error| Error::Io(format!("{}: {error}", self.path.display())))?;
        self.key.get_or_init(|| key.clone());
        Ok(())
    }
}

fn cipher(key: &Key) -> XChaCha20Poly1305 {
    XChaCha20Poly1305::new(&chacha20poly1305::Key::from(**key))
}

fn encode(all: &All) -> Zeroizing<Vec<u8>> {
    let bundles: Vec<_> = all
        .iter()
        .map(|((owner, generation), secrets)| (owner, *generation, bundle::encode(secrets)))
        .collect();
    let size =
        bundles.iter().fold(4, |size, (owner, _, bytes)| size + 12 + owner.len() + bytes.len());
    let mut writer = Writer::new(size + TAG);
    writer.number(bundles.len());
    for (owner, generation, bytes) in &bundles {
        writer.bytes(owner.as_bytes());
        writer.number(*generation as usize);
        writer.bytes(bytes);
    }
    writer.done()
}

fn decode(plain: &[u8]) -> Option<All> {
    let mut reader = Reader::new(plain);
    let mut all = All::new();
    for _ in 0..reader.number()? {
        let owner = reader.text()?.to_owned();
        let generation = u32::try_from(reader.number()?).ok()?;
        all.insert((owner, generation), bundle::decode(reader.bytes()?)?);
    }
    reader.is_done().then_some(all)
}

fn read_key_file(vault: &Path, path: &Path) -> Result<Zeroizing<Vec<u8>>, Error> {
    let refuse = |problem: &str| Error::KeyFile { path: path.into(), problem: problem.into() };
    let fault = |error: io::Error| match error.kind() {
        io::ErrorKind::NotFound => refuse("is missing"),
        _ => refuse(&format!("cannot be read: {error}")),
    };
    // Looked at before it is opened: opening a pipe waits for whoever writes into it.
    if !fs::metadata(path).map_err(fault)?.is_file() {
        return Err(refuse("is not a file"));
    }
    let mut file = fs::File::open(path).map_err(fault)?;
    let metadata = file.metadata().map_err(|error| refuse(&format!("cannot be read: {error}")))?;
    if !metadata.is_file() {
        return Err(refuse("is not a file"));
    }
    if others_may_read(&metadata) {
        return Err(refuse("can be read by others than its owner"));
    }
    if is_inside(path, vault.parent()) {
        return Err(refuse(
            "is in the data directory, so that a copy of that would open the vault",
        ));
    }
    if !KEY_FILE.contains(&metadata.len()) {
        return Err(refuse("does not hold between 32 bytes and 64 KiB"));
    }

    let mut material = Zeroizing::new(vec![0; usize::try_from(metadata.len()).unwrap_or(32)]);
    file.read_exact(&mut material).map_err(|error| refuse(&format!("cannot be read: {error}")))?;
    Ok(material)
}

#[cfg(unix)]
fn others_may_read(metadata: &fs::Metadata) -> bool {
    std::os::unix::fs::PermissionsExt::mode(&metadata.permissions()) & 0o077 != 0
}

// The rights of the folder that it was made in decide, and the standard library cannot read them.
#[cfg(not(unix))]
fn others_may_read(_metadata: &fs::Metadata) -> bool {
    false
}

fn is_inside(path: &Path, folder: Option<&Path>) -> bool {
    let (Ok(path), Some(Ok(folder))) = (path.canonicalize(), folder.map(Path::canonicalize)) else {
        return false;
    };
    path.starts_with(folder)
}

/// Makes a key file of 32 random bytes, 0600, with the folders above it. What is there already is
/// never written over: it may be the only key to a vault.
pub(super) fn make_key_file(path: &Path) -> Result<(), Error> {
    let refuse = |problem: String| Error::KeyFile { path: path.into(), problem };
    let mut key = Zeroizing::new([0; 32]);
    getrandom::fill(&mut *key).map_err(|error| Error::Io(error.to_string()))?;
    if let Some(folder) = path
        .parent()
        // That of a bare name is empty, and means here.
        .filter(|folder| !folder.as_os_str().is_empty() && !folder.exists())
    {
        private::make_folder(folder).map_err(|error| refuse(format!("cannot be made: {error}")))?;
    }
    let mut file = match private::options().write(true).create_new(true).open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
            return Err(refuse("is there already; it was left as it is".into()));
        }
        Err(error) => return Err(refuse(format!("cannot be made: {error}"))),
    };
    file.write_all(&*key)
        .and_then(|()| file.sync_all())
        .map_err(|error| refuse(format!("cannot be written: {error}")))
}
