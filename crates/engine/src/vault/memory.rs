//! A vault that ends with the process: for tests, and for what is tried once.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use domain::secret::Secrets;

use super::Error;

/// Secrets by owner and generation.
type All = BTreeMap<(String, u32), Secrets>;

/// The vault itself.
pub(super) struct Memory {
    switches: Switches,
}

/// What a test can make the memory vault do.
#[derive(Debug, Clone, Default)]
pub struct Switches {
    locked: Arc<AtomicBool>,
    forgetful: Arc<AtomicBool>,
    secrets: Arc<Mutex<All>>,
    reads: Arc<AtomicUsize>,
}

impl Switches {
    /// While it is locked, everything is answered with [`Error::Locked`].
    pub fn lock(&self, locked: bool) {
        self.locked.store(locked, Ordering::SeqCst);
    }

    /// While it is forgetful, it takes what is written and keeps nothing of it.
    pub fn forget(&self, forgetful: bool) {
        self.forgetful.store(forgetful, Ordering::SeqCst);
    }

    /// Takes away all that is in it, as where its file was deleted or its keyring emptied.
    pub fn lose(&self) {
        self.secrets.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }

    /// How often secrets were read.
    pub fn reads(&self) -> usize {
        self.reads.load(Ordering::SeqCst)
    }

    /// How many generations are in it, of all owners.
    pub fn kept(&self) -> usize {
        self.secrets.lock().unwrap_or_else(PoisonError::into_inner).len()
    }
}

impl Memory {
    pub(super) fn new(switches: Switches) -> Self {
        Self { switches }
    }

    fn open(&self) -> Result<MutexGuard<'_, All>, Error> {
        if self.switches.locked.load(Ordering::SeqCst) {
            return Err(Error::Locked);
        }
        Ok(self.switches.secrets.lock().unwrap_or_else(PoisonError::into_inner))
    }

    pub(super) fn state(&self) -> Result<(), Error> {
        self.open().map(drop)
    }

    pub(super) fn owners(&self) -> Result<Vec<(String, u32)>, Error> {
        Ok(self.open()?.keys().cloned().collect())
    }

    pub(super) fn read(&self, owner: &str, generation: u32) -> Result<Secrets, Error> {
        self.switches.reads.fetch_add(1, Ordering::SeqCst);
        self.open()?.get(&(owner.to_owned(), generation)).cloned().ok_or(Error::NotFound)
    }

    pub(super) fn write(
        &self,
        owner: &str,
        generation: u32,
        secrets: &Secrets,
    ) -> Result<(), Error> {
        let mut all = self.open()?;
        if !self.switches.forgetful.load(Ordering::SeqCst) {
            all.insert((owner.to_owned(), generation), secrets.clone());
        }
        Ok(())
    }

    pub(super) fn remove(&self, owner: &str, generation: u32) -> Result<(), Error> {
        self.open()?.remove(&(owner.to_owned(), generation));
        Ok(())
    }
}
