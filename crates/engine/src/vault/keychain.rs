//! The keychain of the operating system.
//!
//! An owner's secrets are one bundle, cut into parts of at most 2,400 bytes, since Windows stops
//! at 2,560 an entry. Each part says how many there are and carries a digest of the whole, so that
//! a part that is missing, or left from another write, is noticed. Parts are written in their
//! order and removed against it: whatever stops us, those that are there begin with the first.
//! Others may take some away, so all that is found is removed, and not only what follows the first.
//!
//! Calls block, and where the keychain is locked and has a screen they block on a person. So each
//! runs on a thread of its own within a time limit, one at a time; while one hangs on a prompt the
//! others are told that the keychain is locked, and nobody who closed a prompt gets another within
//! a minute.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use domain::secret::Secrets;
use keyring_core::{CredentialStore, Entry};
use sha2::{Digest as _, Sha256};
use tokio::sync::Semaphore;
use zeroize::Zeroizing;

use super::{Error, bundle};

/// The most bytes of an entry, its header included.
const PART: usize = 2_400;
const MAGIC: &[u8; 4] = b"PBV1";
const HEADER: usize = 4 + 2 + 2 + 16;
const MOST_PARTS: usize = 64;

/// How long one call may take. A person who types a password may take longer; the call then goes
/// on without us, and the next one finds the keychain open.
const LIMIT: Duration = Duration::from_secs(15);
/// How long looking at the lock may take; no person is asked for that.
const LOOK_LIMIT: Duration = Duration::from_secs(3);
/// After how long a call that hangs is given up and the keychain is connected to anew.
const GIVE_UP: Duration = Duration::from_secs(300);
/// How long nobody is asked again after a prompt was closed.
const QUIET: Duration = Duration::from_secs(60);

/// The keychain, as one installation uses it.
pub(super) struct Keychain {
    installation: String,
    session: Mutex<Session>,
}

struct Session {
    store: Option<Arc<CredentialStore>>,
    turn: Arc<Semaphore>,
    hangs_since: Option<Instant>,
    closed_at: Option<Instant>,
    proved: bool,
}

impl Session {
    fn new() -> Self {
        Self {
            store: None,
            turn: Arc::new(Semaphore::new(1)),
            hangs_since: None,
            closed_at: None,
            proved: false,
        }
    }

    /// One in which nothing hangs, connected to anew.
    fn anew(&self) -> Self {
        Self { proved: self.proved, ..Self::new() }
    }
}

/// The turn of one call, which ends when the call is given up as hanging.
struct Turn {
    keychain: Arc<Keychain>,
    held: Arc<Semaphore>,
}

impl Turn {
    /// Whether others go on without this call: what it writes now might land over theirs.
    fn is_over(&self) -> bool {
        !Arc::ptr_eq(&self.keychain.session().turn, &self.held)
    }

    /// Forgets what we talked to, where it is still our turn; answers whether it is.
    fn reconnects(&self) -> bool {
        let mut session = self.keychain.session();
        let is_ours = Arc::ptr_eq(&session.turn, &self.held);
        if is_ours {
            session.store = None;
        }
        is_ours
    }
}

/// What can be seen without asking a person.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Lock {
    Open,
    Locked,
    /// There is a service, and no keyring in it.
    NoKeyring,
}

impl Keychain {
    pub(super) fn new(installation: &str) -> Self {
        Self { installation: installation.to_owned(), session: Mutex::new(Session::new()) }
    }

    /// Sets an entry of the largest size, reads it back and deletes it.
    pub(super) async fn prove(self: &Arc<Self>) -> Result<(), Error> {
        let mut bytes = vec![0; PART];
        getrandom::fill(&mut bytes).map_err(|error| Error::Io(error.to_string()))?;
        let name = part_name(&self.name("proof", 0), 0);
        self.call(move |store, _| {
            let entry = entry(store, &name)?;
            entry.set_secret(&bytes)?;
            let kept = match entry.get_secret() {
                Ok(read) => read == bytes,
                Err(keyring_core::Error::NoEntry) => return Ok(Err(Error::Forgetful)),
                Err(error) => return Err(error),
            };
            entry.delete_credential()?;
            Ok(if kept { Ok(()) } else { Err(Error::Forgetful) })
        })
        .await??;
        self.session().proved = true;
        Ok(())
    }

    /// Whether it can be used now, found out without asking a person where the system allows that.
    pub(super) async fn state(self: &Arc<Self>) -> Result<(), Error> {
        match self.look().await? {
            Some(Lock::Locked) => return Err(Error::Locked),
            Some(Lock::NoKeyring) => return Err(no_keyring()),
            Some(Lock::Open) | None => {}
        }
        if self.session().proved { Ok(()) } else { self.prove().await }
    }

    pub(super) async fn read(
        self: &Arc<Self>,
        owner: &str,
        generation: u32,
    ) -> Result<Secrets, Error> {
        let name = self.name(owner, generation);
        let bytes = self.call(move |store, _| read_parts(store, &name)).await??;
        bundle::decode(&bytes).ok_or(Error::Incomplete)
    }

    pub(super) async fn write(
        self: &Arc<Self>,
        owner: &str,
        generation: u32,
        secrets: &Secrets,
    ) -> Result<(), Error> {
        let bundle = bundle::encode(secrets);
        let parts = cut(&bundle)?;
        let name = self.name(owner, generation);
        self.call(move |store, turn| write_parts(store, &name, &parts, turn)).await?
    }

    pub(super) async fn remove(
        self: &Arc<Self>,
        owner: &str,
        generation: u32,
    ) -> Result<(), Error> {
        let name = self.name(owner, generation);
        self.call(move |store, turn| remove_found(store, &name, turn)).await?
    }

    /// The owners that this installation has secrets of, each with its generations.
    pub(super) async fn owners(self: &Arc<Self>) -> Result<Vec<(String, u32)>, Error> {
        let whole: BTreeSet<_> = self
            .call(|store, _| all(store))
            .await?
            .into_iter()
            .filter(|found| found.installation == self.installation)
            .map(|found| (found.owner, found.generation))
            .collect();
        Ok(whole.into_iter().collect())
    }

    /// The installations that have secrets in it, each with how many bundles.
    pub(super) async fn installations(self: &Arc<Self>) -> Result<BTreeMap<String, usize>, Error> {
        let found: BTreeSet<_> = self.call(|store, _| all(store)).await?.into_iter().collect();
        let mut bundles = BTreeMap::new();
        for Found { installation, .. } in found {
            *bundles.entry(installation).or_default() += 1;
        }
        Ok(bundles)
    }

    /// Removes all that this installation has in it; says how many bundles.
    pub(super) async fn clear(self: &Arc<Self>) -> Result<usize, Error> {
        let owners = self.owners().await?;
        for (owner, generation) in &owners {
            self.remove(owner, *generation).await?;
        }
        Ok(owners.len())
    }

    fn name(&self, owner: &str, generation: u32) -> String {
        format!("{}/{owner}/{generation}", self.installation)
    }

    fn session(&self) -> MutexGuard<'_, Session> {
        self.session.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Does `work` on a thread of its own, in its turn and within the time limit. It must be one
    /// that may be done twice: where the service was started anew in between, it is.
    async fn call<T: Send + 'static>(
        self: &Arc<Self>,
        work: impl Fn(&Arc<CredentialStore>, &Turn) -> keyring_core::Result<T> + Send + 'static,
    ) -> Result<T, Error> {
        let closed = self.session().closed_at.is_some_and(|at| at.elapsed() < QUIET);
        if closed && self.look().await? == Some(Lock::Locked) {
            return Err(Error::Locked);
        }

        let (turn, hangs) = self.turn();
        if hangs && turn.held.available_permits() == 0 {
            return Err(self.why_late().await);
        }
        let permit = Arc::clone(&turn.held).acquire_owned();
        let Ok(Ok(permit)) = tokio::time::timeout(LIMIT, permit).await else {
            return Err(self.why_late().await);
        };
        let keychain = Arc::clone(self);
        let task = tokio::task::spawn_blocking(move || {
            let _permit = permit;
            let outcome = keychain.attempt(&work, &turn);
            if !turn.is_over() {
                keychain.session().hangs_since = None;
            }
            outcome
        });
        match tokio::time::timeout(LIMIT, task).await {
            Ok(Ok(Err(Fault::NoAccess))) => Err(self.why_no_access().await),
            Ok(Ok(Err(Fault::Other(error)))) => Err(error),
            Ok(Ok(Ok(value))) => {
                self.session().closed_at = None;
                Ok(value)
            }
            Ok(Err(error)) => Err(Error::Io(error.to_string())),
            Err(_) => {
                self.session().hangs_since.get_or_insert_with(Instant::now);
                Err(self.why_late().await)
            }
        }
    }

    /// Whose turn it is, and whether a call was seen to hang.
    fn turn(self: &Arc<Self>) -> (Turn, bool) {
        let mut session = self.session();
        if session.hangs_since.is_some_and(|since| since.elapsed() > GIVE_UP) {
            *session = session.anew();
        }
        let turn = Turn { keychain: Arc::clone(self), held: Arc::clone(&session.turn) };
        (turn, session.hangs_since.is_some())
    }

    fn attempt<T>(
        &self,
        work: &impl Fn(&Arc<CredentialStore>, &Turn) -> keyring_core::Result<T>,
        turn: &Turn,
    ) -> Result<T, Fault> {
        let first = work(&self.store()?, turn);
        let outcome = match first {
            // What we talked to may have been started anew and know nothing of our session.
            Err(keyring_core::Error::PlatformFailure(_)) if turn.reconnects() => {
                work(&self.store()?, turn)
            }
            other => other,
        };
        outcome.map_err(|error| match error {
            keyring_core::Error::NoStorageAccess(_) => Fault::NoAccess,
            keyring_core::Error::NoEntry => Fault::Other(Error::NotFound),
            error => Fault::Other(Error::Io(error.to_string())),
        })
    }

    fn store(&self) -> Result<Arc<CredentialStore>, Fault> {
        if let Some(store) = &self.session().store {
            return Ok(Arc::clone(store));
        }
        let store = system::connect().map_err(|error| {
            Fault::Other(match error {
                keyring_core::Error::PlatformFailure(why)
                | keyring_core::Error::NoStorageAccess(why) => Error::Missing(why.to_string()),
                error => Error::Missing(error.to_string()),
            })
        })?;
        self.session().store = Some(Arc::clone(&store));
        Ok(store)
    }

    async fn why_no_access(&self) -> Error {
        match self.look().await {
            Ok(Some(Lock::NoKeyring)) => no_keyring(),
            Ok(_) => {
                self.session().closed_at = Some(Instant::now());
                Error::Locked
            }
            Err(error) => error,
        }
    }

    async fn why_late(&self) -> Error {
        match self.look().await {
            Ok(Some(Lock::Open)) => {
                Error::Io(format!("the keychain did not answer within {} s", LIMIT.as_secs()))
            }
            Ok(Some(Lock::NoKeyring)) => no_keyring(),
            // Nothing but a prompt keeps it that long.
            Ok(Some(Lock::Locked) | None) => Error::Locked,
            Err(error) => error,
        }
    }

    async fn look(&self) -> Result<Option<Lock>, Error> {
        let task = tokio::task::spawn_blocking(system::lock);
        match tokio::time::timeout(LOOK_LIMIT, task).await {
            Ok(Ok(look)) => look,
            Ok(Err(error)) => Err(Error::Io(error.to_string())),
            Err(_) => Err(Error::Io("the keychain service does not answer".into())),
        }
    }
}

enum Fault {
    NoAccess,
    Other(Error),
}

fn given_up() -> Error {
    Error::Io("the keychain answered after the call was given up".into())
}

fn no_keyring() -> Error {
    Error::Missing("it holds no default keyring".into())
}

fn part_name(name: &str, at: usize) -> String {
    format!("{name}/{at}")
}

/// The entry `patchbay/<name>`. Linux and macOS tell entries apart by service and user, Windows by
/// a target, which is the whole name there.
fn entry(store: &Arc<CredentialStore>, name: &str) -> keyring_core::Result<Entry> {
    let whole = format!("patchbay/{name}");
    let modifiers = system::modifiers(&whole);
    store.build("patchbay", name, Some(&modifiers))
}

/// Whose bundle an entry is a part of.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Found {
    installation: String,
    owner: String,
    generation: u32,
}

impl Found {
    /// Reads the name of an entry; none where it is not one of ours.
    fn read(name: &str) -> Option<Self> {
        let mut words = name.split('/');
        let mut next = || words.next().filter(|word| !word.is_empty());
        let (installation, owner) = (next()?.to_owned(), next()?.to_owned());
        let (generation, part) = (next()?.parse().ok()?, next()?);
        part.parse::<usize>().ok()?;
        next().is_none().then_some(Self { installation, owner, generation })
    }
}

/// Every entry of Patchbay. A locked keychain asks a person first.
fn all(store: &Arc<CredentialStore>) -> keyring_core::Result<Vec<Found>> {
    let entries = store.search(&system::ours())?;
    Ok(entries.iter().filter_map(name_of).filter_map(|name| Found::read(&name)).collect())
}

/// The name that an entry was made with: its user, which Windows shows as an attribute alone.
fn name_of(entry: &Entry) -> Option<String> {
    let user = entry.get_specifiers().map(|(_, user)| user);
    user.or_else(|| entry.get_attributes().ok()?.remove("username"))
}

/// Cuts a bundle into parts, each with its header: how many there are, which it is, and the start
/// of a digest of the whole.
fn cut(bundle: &[u8]) -> Result<Vec<Zeroizing<Vec<u8>>>, Error> {
    let count = bundle.len().div_ceil(PART - HEADER).max(1);
    if count > MOST_PARTS {
        return Err(Error::Io("the secrets are too large for the keychain".into()));
    }
    let digest = Sha256::digest(bundle);
    let parts = (0..count).map(|at| {
        let start = at * (PART - HEADER);
        let end = bundle.len().min(start + PART - HEADER);
        let mut part = Zeroizing::new(Vec::with_capacity(HEADER + end - start));
        part.extend_from_slice(MAGIC);
        part.extend_from_slice(&(count as u16).to_le_bytes());
        part.extend_from_slice(&(at as u16).to_le_bytes());
        part.extend_from_slice(&digest[..16]);
        part.extend_from_slice(&bundle[start..end]);
        part
    });
    Ok(parts.collect())
}

/// The header of a part, where it has one: how many parts there are, which it is, the digest.
fn header(part: &[u8]) -> Option<(usize, usize, &[u8; 16], &[u8])> {
    let (count, rest) = part.strip_prefix(MAGIC)?.split_first_chunk::<2>()?;
    let (at, rest) = rest.split_first_chunk::<2>()?;
    let (digest, bytes) = rest.split_first_chunk::<16>()?;
    Some((u16::from_le_bytes(*count).into(), u16::from_le_bytes(*at).into(), digest, bytes))
}

/// Puts parts together; nothing where they are not the parts of one write.
fn join(parts: &[Zeroizing<Vec<u8>>]) -> Option<Zeroizing<Vec<u8>>> {
    let mut whole = Zeroizing::new(Vec::with_capacity(parts.iter().map(|part| part.len()).sum()));
    let (count, _, first, _) = header(parts.first()?)?;
    for (expected, part) in parts.iter().enumerate() {
        let (_, at, digest, bytes) = header(part)?;
        if at != expected || digest != first {
            return None;
        }
        whole.extend_from_slice(bytes);
    }
    (count == parts.len() && Sha256::digest(&*whole)[..16] == first[..]).then_some(whole)
}

type Read = Result<Zeroizing<Vec<u8>>, Error>;

fn read_parts(store: &Arc<CredentialStore>, name: &str) -> keyring_core::Result<Read> {
    let first = match entry(store, &part_name(name, 0))?.get_secret() {
        Ok(first) => Zeroizing::new(first),
        Err(keyring_core::Error::NoEntry) => return Ok(Err(Error::NotFound)),
        Err(error) => return Err(error),
    };
    let count = header(&first).map_or(0, |(count, ..)| count.min(MOST_PARTS));
    let mut parts = vec![first];
    for at in 1..count {
        match entry(store, &part_name(name, at))?.get_secret() {
            Ok(part) => parts.push(Zeroizing::new(part)),
            Err(keyring_core::Error::NoEntry) => break,
            Err(error) => return Err(error),
        }
    }
    Ok(join(&parts).ok_or(Error::Incomplete))
}

/// Writes the parts of a bundle in their order, for as long as it is our turn.
fn write_parts(
    store: &Arc<CredentialStore>,
    name: &str,
    parts: &[Zeroizing<Vec<u8>>],
    turn: &Turn,
) -> keyring_core::Result<Result<(), Error>> {
    // Whoever has to be asked is asked by this, and so before it is known whose turn it is.
    store.search(&system::ours())?;
    for (at, part) in parts.iter().enumerate() {
        if turn.is_over() {
            return Ok(Err(given_up()));
        }
        entry(store, &part_name(name, at))?.set_secret(part)?;
    }
    // An earlier write of this generation may have been longer.
    if !turn.is_over() {
        remove_from(store, name, parts.len())?;
    }
    Ok(Ok(()))
}

/// Removes every part of a bundle that is found, the last one first.
fn remove_found(
    store: &Arc<CredentialStore>,
    name: &str,
    turn: &Turn,
) -> keyring_core::Result<Result<(), Error>> {
    let entries = store.search(&system::ours())?;
    let part_of = |entry: &Entry| part_at(&name_of(entry)?, name);
    let mut parts: Vec<(usize, Entry)> =
        entries.into_iter().filter_map(|entry| Some((part_of(&entry)?, entry))).collect();
    parts.sort_by_key(|(at, _)| std::cmp::Reverse(*at));
    for (_, part) in parts {
        if turn.is_over() {
            return Ok(Err(given_up()));
        }
        match part.delete_credential() {
            Ok(()) | Err(keyring_core::Error::NoEntry) => {}
            Err(error) => return Err(error),
        }
    }
    Ok(Ok(()))
}

/// Which part of the bundle `name` an entry is; none where it is of another.
fn part_at(entry: &str, name: &str) -> Option<usize> {
    entry.strip_prefix(name)?.strip_prefix('/')?.parse().ok()
}

/// Removes the parts from `from` on, the last one first.
fn remove_from(store: &Arc<CredentialStore>, name: &str, from: usize) -> keyring_core::Result<()> {
    let mut end = from;
    while end < MOST_PARTS && is_there(&entry(store, &part_name(name, end))?)? {
        end += 1;
    }
    for at in (from..end).rev() {
        match entry(store, &part_name(name, at))?.delete_credential() {
            Ok(()) | Err(keyring_core::Error::NoEntry) => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

fn is_there(entry: &Entry) -> keyring_core::Result<bool> {
    match entry.get_secret().map(Zeroizing::new) {
        Ok(_) => Ok(true),
        Err(keyring_core::Error::NoEntry) => Ok(false),
        Err(error) => Err(error),
    }
}

#[cfg(target_os = "linux")]
mod system {
    use std::collections::HashMap;
    use std::sync::Arc;

    use keyring_core::CredentialStore;
    use secret_service::EncryptionType;
    use secret_service::blocking::SecretService;

    use super::{Error, Lock};

    pub(super) fn connect() -> keyring_core::Result<Arc<CredentialStore>> {
        Ok(zbus_secret_service_keyring_store::Store::new()?)
    }

    pub(super) fn modifiers(whole: &str) -> HashMap<&str, &str> {
        HashMap::from([("label", whole)])
    }

    pub(super) fn ours() -> HashMap<&'static str, &'static str> {
        HashMap::from([("service", "patchbay")])
    }

    // The store crate unlocks, and so asks a person, before it says anything.
    pub(super) fn lock() -> Result<Option<Lock>, Error> {
        let service = SecretService::connect(EncryptionType::Plain)
            .map_err(|error| Error::Missing(error.to_string()))?;
        let locked = service.get_default_collection().and_then(|keyring| keyring.is_locked());
        match locked {
            Ok(true) => Ok(Some(Lock::Locked)),
            Ok(false) => Ok(Some(Lock::Open)),
            Err(secret_service::Error::NoResult) => Ok(Some(Lock::NoKeyring)),
            Err(error) => Err(Error::Io(error.to_string())),
        }
    }
}

#[cfg(target_os = "macos")]
mod system {
    use std::collections::HashMap;
    use std::sync::Arc;

    use keyring_core::CredentialStore;

    use super::{Error, Lock};

    pub(super) fn connect() -> keyring_core::Result<Arc<CredentialStore>> {
        Ok(apple_native_keyring_store::keychain::Store::new()?)
    }

    pub(super) fn modifiers(_whole: &str) -> HashMap<&str, &str> {
        HashMap::new()
    }

    pub(super) fn ours() -> HashMap<&'static str, &'static str> {
        HashMap::from([("service", "patchbay")])
    }

    pub(super) fn lock() -> Result<Option<Lock>, Error> {
        Ok(None)
    }
}

#[cfg(windows)]
mod system {
    use std::collections::HashMap;
    use std::sync::Arc;

    use keyring_core::CredentialStore;

    use super::{Error, Lock};

    pub(super) fn connect() -> keyring_core::Result<Arc<CredentialStore>> {
        Ok(windows_native_keyring_store::Store::new()?)
    }

    // `Local`: the secrets stay on this computer when the profile roams, as the data does.
    pub(super) fn modifiers(whole: &str) -> HashMap<&str, &str> {
        HashMap::from([("target", whole), ("persistence", "Local")])
    }

    pub(super) fn ours() -> HashMap<&'static str, &'static str> {
        HashMap::from([("pattern", "^patchbay/")])
    }

    pub(super) fn lock() -> Result<Option<Lock>, Error> {
        Ok(None)
    }
}

#[cfg(not(any(target_os = "linux", target_os = "macos", windows)))]
mod system {
    use std::collections::HashMap;
    use std::sync::Arc;

    use keyring_core::CredentialStore;

    use super::{Error, Lock};

    pub(super) fn connect() -> keyring_core::Result<Arc<CredentialStore>> {
        Err(keyring_core::Error::NotSupportedByStore(
            "no keychain of this system is known to Patchbay".into(),
        ))
    }

    pub(super) fn modifiers(_whole: &str) -> HashMap<&str, &str> {
        HashMap::new()
    }

    pub(super) fn ours() -> HashMap<&'static str, &'static str> {
        HashMap::from([("service", "patchbay")])
    }

    pub(super) fn lock() -> Result<Option<Lock>, Error> {
        Ok(None)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;
    use std::sync::mpsc;

    use keyring_core::api::CredentialStoreApi;
    use tokio::sync::oneshot;

    use super::*;

    #[test]
    fn a_bundle_of_any_size_is_put_together_again_from_parts_that_fit() {
        for size in [0, 1, PART - HEADER, PART - HEADER + 1, 5_600, 40_000] {
            let bundle: Vec<u8> = (0..size).map(|n| (n % 251) as u8).collect();
            let parts = cut(&bundle).unwrap();

            assert!(parts.iter().all(|part| part.len() <= PART));
            assert_eq!(join(&parts).map(|whole| whole.to_vec()), Some(bundle), "{size}");
        }
        assert!(cut(&vec![0; MOST_PARTS * PART]).is_err());
    }

    /// A store in memory whose first search waits, as for somebody who is asked.
    #[derive(Debug)]
    struct Asking {
        kept: Arc<keyring_core::mock::Store>,
        asked: Mutex<Option<(oneshot::Sender<()>, mpsc::Receiver<()>)>>,
    }

    impl CredentialStoreApi for Asking {
        fn vendor(&self) -> String {
            self.kept.vendor()
        }

        fn id(&self) -> String {
            self.kept.id()
        }

        fn build(
            &self,
            service: &str,
            user: &str,
            _label: Option<&HashMap<&str, &str>>,
        ) -> keyring_core::Result<Entry> {
            self.kept.build(service, user, None)
        }

        fn search(&self, spec: &HashMap<&str, &str>) -> keyring_core::Result<Vec<Entry>> {
            let asked = self.asked.lock().unwrap().take();
            if let Some((asked, answer)) = asked {
                asked.send(()).unwrap();
                answer.recv().unwrap();
            }
            self.kept.search(spec)
        }

        fn as_any(&self) -> &dyn std::any::Any {
            self
        }

        fn debug_fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
            std::fmt::Debug::fmt(self, f)
        }
    }

    fn token(value: &str) -> Secrets {
        let mut secrets = Secrets::new();
        secrets.set("token", domain::secret::Secret::new(value.into()));
        secrets
    }

    #[tokio::test]
    async fn what_was_given_up_is_not_written_over_what_came_after_it() {
        let ((asked, was_asked), (answer, answered)) = (oneshot::channel(), mpsc::channel());
        let store: Arc<CredentialStore> = Arc::new(Asking {
            kept: keyring_core::mock::Store::new().unwrap(),
            asked: Mutex::new(Some((asked, answered))),
        });
        let keychain = Arc::new(Keychain::new("installation"));
        keychain.session().store = Some(Arc::clone(&store));
        let hangs = Arc::clone(&keychain);
        let late = tokio::spawn(async move { hangs.write("con_1", 1, &token("old")).await });
        was_asked.await.unwrap();

        let anew = Session { store: Some(store), ..keychain.session().anew() };
        *keychain.session() = anew;
        keychain.write("con_1", 1, &token("new")).await.unwrap();
        answer.send(()).unwrap();

        assert!(matches!(late.await.unwrap(), Err(Error::Io(_))));
        assert_eq!(keychain.read("con_1", 1).await.unwrap(), token("new"));
        keychain.remove("con_1", 1).await.unwrap();
        assert!(matches!(keychain.read("con_1", 1).await, Err(Error::NotFound)));
    }

    #[test]
    fn the_parts_of_a_bundle_are_told_from_those_of_others() {
        assert_eq!(part_at("ab12/con_1/3/0", "ab12/con_1/3"), Some(0));
        assert_eq!(part_at("ab12/con_1/3/17", "ab12/con_1/3"), Some(17));
        for other in ["ab12/con_1/31/0", "ab12/con_1/3", "ab12/con_1/3/0/1", "cd/con_1/3/0"] {
            assert_eq!(part_at(other, "ab12/con_1/3"), None, "{other}");
        }
    }

    #[test]
    fn the_name_of_an_entry_says_whose_it_is() {
        let found = |installation: &str, owner: &str, generation| {
            let (installation, owner) = (installation.to_owned(), owner.to_owned());
            Some(Found { installation, owner, generation })
        };
        for (name, expected) in [
            ("ab12/con_1/3/0", found("ab12", "con_1", 3)),
            ("ab12/proof/0/0", found("ab12", "proof", 0)),
            ("ab12/con_1/3", None),
            ("ab12/con_1/3/0/1", None),
            ("ab12/con_1/three/0", None),
            ("ab12//3/0", None),
            ("", None),
        ] {
            assert_eq!(Found::read(name), expected, "{name}");
        }
    }

    #[test]
    fn a_part_that_is_missing_or_of_another_write_is_noticed() {
        let parts = cut(&[1; 5_600]).unwrap();
        let others = cut(&[2; 5_600]).unwrap();

        assert_eq!(join(&parts[..2]), None);
        assert_eq!(join(&parts[1..]), None);
        assert_eq!(join(&[parts[0].clone(), others[1].clone(), parts[2].clone()]), None);
        assert_eq!(join(&[parts[0].clone(), parts[2].clone(), parts[1].clone()]), None);
        let mut damaged = parts;
        damaged[2].pop();
        assert_eq!(join(&damaged), None);
    }
}
