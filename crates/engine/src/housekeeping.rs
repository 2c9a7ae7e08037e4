//! What goes on by itself after deletions and beside the vault.
//!
//! A deleted inbox is gone for everybody at once; its events, its secrets and then its row go here,
//! and again for as long as a full disk or a vault that is out of reach keeps them. Its row stays
//! until the vault has let go of its secrets, since a keychain cannot be asked what is in it.
//!
//! Then rows and vault are compared, both ways: secrets of nobody are removed where the vault can be
//! listed, and secrets that are gone are told, so that the user enters them before a sender notices.
//! Whether they are whole is read once, at the start: later a name that is there suffices, since
//! every change of a secret wakes this, and what is used is read then.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::PoisonError;
use std::time::Duration;

use domain::id::{ConnectionId, InboxId, TunnelId};

use crate::changes::{Notice, Noun};
use crate::{Engine, store, vault};

/// When what could not be done is tried again.
const AGAIN: Duration = Duration::from_secs(30);

/// Whose secrets the vault no longer holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lost {
    /// The id of a connection, an inbox or a tunnel.
    pub owner: String,
    /// The user's name for it.
    pub name: String,
}

/// What keeps something from being done now.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Fault {
    #[error(transparent)]
    Store(#[from] store::Error),
    #[error(transparent)]
    Vault(#[from] vault::Error),
}

/// What a row says of its secrets.
struct Kept {
    name: String,
    generation: Option<u32>,
    /// Whether it is there for the user, too.
    visible: bool,
}

/// How closely the vault is looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Depth {
    /// Whatever it names is taken to be there.
    Names,
    /// All of it is read.
    Bundles,
}

/// Keeps at it until the engine stops.
pub(crate) fn keep(engine: Engine) {
    let stopping = engine.inner.stopping.clone();
    tokio::spawn(stopping.run_until_cancelled_owned(async move {
        let mut depth = Depth::Bundles;
        loop {
            let finished = engine.finish_deletions().await;
            let compared = match engine.compare_vault(depth).await {
                Ok(()) => {
                    depth = Depth::Names;
                    true
                }
                Err(fault) => {
                    tracing::debug!(%fault, "the vault is compared later");
                    false
                }
            };
            let wake = engine.inner.housekeeping.notified();
            if finished && compared {
                wake.await;
            } else {
                let _ = tokio::time::timeout(AGAIN, wake).await;
            }
        }
    }));
}

impl Engine {
    /// Removes what a doomed inbox holds, then its secrets, then its row. Says how many events
    /// went.
    pub(crate) async fn finish_deletion(
        &self,
        id: InboxId,
        secrets: Option<u32>,
    ) -> Result<u64, Fault> {
        let events = self.inner.store.finish_deletion(id).await?;
        if let Some(generation) = secrets {
            // Asks nobody for a password: a prompt for something deleted would puzzle everybody.
            self.inner.vault.state().await?;
            let owner = id.to_string();
            // The one after it may have been left by a change that was interrupted.
            for generation in [generation, generation.saturating_add(1)] {
                self.inner.vault.remove(&owner, generation).await?;
            }
            self.inner.store.forget_inbox_secrets(id).await?;
            self.inner.store.finish_deletion(id).await?;
        }
        Ok(events)
    }

    /// Finishes every deletion that has begun, as far as that goes now; says whether all of it did.
    pub(crate) async fn finish_deletions(&self) -> bool {
        let doomed = match self.inner.store.doomed_inboxes().await {
            Ok(doomed) => doomed,
            Err(error) => {
                tracing::debug!(%error, "deletions are looked for later");
                return false;
            }
        };
        let mut all = true;
        for (id, secrets) in doomed {
            match self.finish_deletion(id, secrets).await {
                Ok(_) => {
                    for noun in [Noun::Inboxes, Noun::Events, Noun::Refusals] {
                        self.inner.changes.note(Notice::of(noun));
                    }
                }
                Err(fault) => {
                    tracing::debug!(inbox.id = %id, %fault, "a deletion is finished later");
                    all = false;
                }
            }
        }
        all
    }

    /// Whose secrets were last seen to be gone from the vault.
    pub(crate) fn lost(&self) -> Vec<Lost> {
        self.inner.lost.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Removes secrets of nobody, and notes those that are gone.
    async fn compare_vault(&self, depth: Depth) -> Result<(), Fault> {
        let vault = self.inner.vault.settled().await;
        vault.state().await?;
        // Before the rows: whoever writes a secret has a row already.
        let kept: BTreeSet<_> = vault.owners().await?.into_iter().collect();
        let rows = self.rows().await?;
        for (owner, generation) in &kept {
            if is_nobodys(&rows, owner, *generation) {
                vault.remove(owner, *generation).await?;
                tracing::info!(%owner, generation, "removed a secret of nobody from the vault");
            }
        }
        let named = if depth == Depth::Names { kept } else { BTreeSet::new() };
        let missed = self.missed(rows, &named).await?;
        let lost = self.missed_still(missed).await?;
        self.note_lost(&lost);
        Ok(())
    }

    /// The rows whose secrets the vault does not hold whole. Those in `named` are taken to be, but
    /// not where they were lost before: a part of them may be what is named.
    async fn missed(
        &self,
        rows: BTreeMap<String, Kept>,
        named: &BTreeSet<(String, u32)>,
    ) -> Result<Vec<(String, Kept)>, Fault> {
        let before = self.lost();
        let mut missed = Vec::new();
        for (owner, row) in rows {
            let Some(generation) = row.generation.filter(|_| row.visible) else { continue };
            let was_lost = before.iter().any(|lost| lost.owner == owner);
            if !was_lost && named.contains(&(owner.clone(), generation)) {
                continue;
            }
            match self.inner.vault.read(&owner, generation).await {
                Err(error) if error.is_lost() => missed.push((owner, row)),
                read => drop(read?),
            }
        }
        Ok(missed)
    }

    /// Those that still point to what was missed: a change takes the generation away that a row
    /// pointed to when it was read.
    async fn missed_still(&self, missed: Vec<(String, Kept)>) -> Result<Vec<Lost>, Fault> {
        if missed.is_empty() {
            return Ok(Vec::new());
        }
        let rows = self.rows().await?;
        let is_same = |owner: &String, row: &Kept| {
            rows.get(owner).is_some_and(|now| now.visible && now.generation == row.generation)
        };
        let missed = missed.into_iter().filter(|(owner, row)| is_same(owner, row));
        Ok(missed.map(|(owner, row)| Lost { owner, name: row.name }).collect())
    }

    fn note_lost(&self, lost: &[Lost]) {
        let before = {
            let mut noted = self.inner.lost.lock().unwrap_or_else(PoisonError::into_inner);
            std::mem::replace(&mut *noted, lost.to_vec())
        };
        if before == lost {
            return;
        }
        for Lost { owner, name } in lost.iter().filter(|lost| !before.contains(lost)) {
            tracing::warn!(%owner, name, "its secrets are no longer in the vault");
        }
        self.inner.changes.note(Notice::of(Noun::Status));
    }

    /// Every row that can have secrets, by its id.
    async fn rows(&self) -> store::Result<BTreeMap<String, Kept>> {
        let store = &self.inner.store;
        let visible = |name, generation| Kept { name, generation, visible: true };
        let mut rows = BTreeMap::new();
        for it in store.connections().await? {
            rows.insert(it.id.to_string(), visible(it.connection.name, it.secrets));
        }
        for it in store.inboxes().await? {
            rows.insert(it.id.to_string(), visible(it.inbox.name, it.secrets));
        }
        for it in store.tunnels().await? {
            rows.insert(it.id.to_string(), visible(it.tunnel.name, it.secrets));
        }
        for (id, generation) in store.doomed_inboxes().await? {
            let doomed = Kept { name: String::new(), generation, visible: false };
            rows.insert(id.to_string(), doomed);
        }
        Ok(rows)
    }
}

/// Whether nobody will ever ask for this again: its owner is gone, or has a newer generation.
fn is_nobodys(rows: &BTreeMap<String, Kept>, owner: &str, generation: u32) -> bool {
    let is_ours = owner.parse::<ConnectionId>().is_ok()
        || owner.parse::<InboxId>().is_ok()
        || owner.parse::<TunnelId>().is_ok();
    is_ours
        && match rows.get(owner) {
            None => true,
            Some(row) => row.generation.is_some_and(|now| generation < now),
        }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use domain::connection::{ConnectionState, NewConnection};
    use domain::secret::{Secret, Secrets};

    use super::*;
    use crate::Config;
    use crate::clock::SystemClock;
    use crate::data_dir::DataDir;
    use crate::tunnel::Environment;
    use crate::vault::{Switches, Vault};

    struct Bench {
        engine: Engine,
        vault: Switches,
        id: ConnectionId,
        _folder: tempfile::TempDir,
    }

    impl Bench {
        /// A connection with secrets, in an engine of which nothing goes on by itself.
        async fn start() -> Self {
            let folder = tempfile::tempdir().unwrap();
            let (kept, vault) = Vault::switchable();
            let config = Config {
                data_dir: DataDir::own(&folder.path().join("data")).unwrap(),
                clock: Arc::new(SystemClock),
                vault: kept,
                environment: Environment::default(),
                sandbox: None,
            };
            let engine = Engine::open(config).await.unwrap();
            let connection = NewConnection {
                connector: "rest".into(),
                name: "Shop".into(),
                way: "token".into(),
                settings: std::collections::BTreeMap::new(),
                sandbox: false,
                state: ConnectionState::Ready,
                given_to: None,
            };
            let made = engine.inner.store.create_connection(connection, engine.now()).await;
            let bench = Self { engine, vault, id: made.unwrap().id, _folder: folder };
            bench.renew("first").await;
            bench
        }

        async fn renew(&self, token: &str) {
            let connection = self.engine.inner.store.connection(self.id).await.unwrap();
            let mut secrets = Secrets::new();
            secrets.set("token", Secret::new(token.into()));
            self.engine.keep_secrets(&connection, &secrets, None).await.unwrap();
        }
    }

    #[tokio::test]
    async fn a_renewal_while_the_vault_is_compared_loses_nothing() {
        let bench = Bench::start().await;
        let rows = bench.engine.rows().await.unwrap();
        bench.renew("second").await;

        let missed = bench.engine.missed(rows, &BTreeSet::new()).await.unwrap();

        assert_eq!(missed.len(), 1);
        assert_eq!(bench.engine.missed_still(missed).await.unwrap(), []);

        let rows = bench.engine.rows().await.unwrap();
        bench.vault.lose();
        let missed = bench.engine.missed(rows, &BTreeSet::new()).await.unwrap();
        let lost = bench.engine.missed_still(missed).await.unwrap();
        assert_eq!(lost, [Lost { owner: bench.id.to_string(), name: "Shop".into() }]);
    }

    #[tokio::test]
    async fn after_the_first_time_no_secret_is_read_that_the_vault_names() {
        let bench = Bench::start().await;
        let reads = || bench.vault.reads();
        let before = reads();

        bench.engine.compare_vault(Depth::Bundles).await.unwrap();
        assert_eq!(reads(), before + 1);
        bench.engine.compare_vault(Depth::Names).await.unwrap();
        assert_eq!(reads(), before + 1);

        bench.vault.lose();
        bench.engine.compare_vault(Depth::Names).await.unwrap();
        assert_eq!(bench.engine.lost().len(), 1);
    }
}
