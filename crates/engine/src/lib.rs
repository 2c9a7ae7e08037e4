//! Everything in Patchbay that does IO, behind one cheap handle: [`Engine`].
//!
//! Each noun has a module, which adds the noun's use cases to `Engine`. Below them: `store` (the
//! only place that knows SQLite), `vault` (the only place that keeps secrets), `outgoing` (the
//! only place that calls other people's APIs). Time and addresses come in through [`Config`];
//! nothing here reads the environment or the home directory.

pub mod changes;
pub mod clock;
pub mod connection;
pub mod connector;
pub mod data_dir;
pub mod event;
mod field;
pub mod host;
pub mod housekeeping;
pub mod inbox;
mod ledger;
pub mod outgoing;
pub mod refusal;
pub mod sandbox;
pub mod settings;
pub mod sign_in;
pub mod socket;
pub mod store;
pub mod sync;
pub mod trial;
pub mod tunnel;
pub mod vault;

use std::sync::{Arc, Mutex, OnceLock};

use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

use crate::changes::{Changes, Notice, Noun};
use crate::clock::Clock;
use crate::connector::Connectors;
use crate::data_dir::DataDir;
use crate::housekeeping::Lost;
use crate::outgoing::Outgoing;
use crate::store::Store;
use crate::vault::Vault;

/// What a host decides and the engine must not find out for itself.
pub struct Config {
    /// Where everything is kept, locked by the caller.
    pub data_dir: DataDir,
    /// The wall clock.
    pub clock: Arc<dyn Clock>,
    /// Where secrets are kept.
    pub vault: Vault,
    /// What programs that tunnels run get to know: `Environment::new(std::env::vars_os())`.
    pub environment: tunnel::Environment,
    /// Where the pretend shop listens, if the host runs one.
    pub sandbox: Option<SandboxAddress>,
}

/// Where the pretend shop is, as its host started it.
#[derive(Debug, Clone)]
pub struct SandboxAddress {
    /// Its REST API and its consent page: `http://127.0.0.1:PORT`.
    pub url: url::Url,
    /// Its control, which makes orders and faults.
    pub control_url: url::Url,
    /// What the control asks for as a bearer token.
    pub control_token: domain::secret::Secret,
}

/// The handle. Cloning it is cheap; the last clone that is dropped stops nothing: call
/// [`Engine::stop`].
#[derive(Clone)]
pub struct Engine {
    inner: Arc<Inner>,
}

/// What the modules share. Fields are private to this crate; each has one owner.
pub(crate) struct Inner {
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) data_dir: DataDir,
    pub(crate) store: Store,
    pub(crate) vault: Vault,
    pub(crate) connectors: Connectors,
    pub(crate) outgoing: Outgoing,
    pub(crate) changes: Changes,
    pub(crate) sandbox: Option<SandboxAddress>,
    pub(crate) tunnels: tunnel::Tunnels,
    pub(crate) syncs: sync::Syncs,
    pub(crate) inboxes: inbox::Inboxes,
    pub(crate) sockets: socket::Sockets,
    /// Certificates and sets of keys that signatures speak of.
    pub(crate) documents: inbox::Documents,
    /// Wakes the task that tells senders of addresses.
    pub(crate) registration: Notify,
    /// Held by whoever writes the ledger.
    pub(crate) ledger: tokio::sync::Mutex<()>,
    /// Wakes what finishes deletions and looks after the vault.
    pub(crate) housekeeping: Notify,
    /// Secrets that rows point to and the vault no longer holds.
    pub(crate) lost: Mutex<Vec<Lost>>,
    pub(crate) sign_ins: sign_in::SignIns,
    /// The port of the management listener, which nothing of ours ever calls.
    pub(crate) api_port: OnceLock<u16>,
    /// Set where the host is handed addresses of our own kind.
    pub(crate) takes_addresses: OnceLock<()>,
    /// Told when the engine stops.
    pub(crate) stopping: CancellationToken,
}

/// Why the engine could not be opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The store could not.
    #[error(transparent)]
    Store(#[from] store::Error),
    /// The data directory could not.
    #[error(transparent)]
    DataDir(#[from] data_dir::Error),
    /// TLS could not be set up.
    #[error("no encrypted connections can be made")]
    Tls(#[from] reqwest::Error),
}

/// How the vault is doing, for the frame.
#[derive(Debug, Clone)]
pub struct Status {
    /// What kind of vault it is.
    pub vault: vault::Kind,
    /// Whether it can be used.
    pub vault_fault: Option<vault::Error>,
    /// Whose secrets it no longer holds, though they were put there.
    pub lost: Vec<Lost>,
    /// How many bytes the databases take.
    pub database_bytes: u64,
    /// How many bytes the disk has left.
    pub free_bytes: u64,
    /// Whether the last write failed for want of room.
    pub disk_full: bool,
    /// How much of what came waits to be written, and the most that may, in units of a row or
    /// 1 KiB of body.
    pub intake: (usize, usize),
    /// How many refusals were not noted since the start, because too many came at once.
    pub refusals_dropped: u64,
    /// Where the data is.
    pub data_dir: std::path::PathBuf,
}

impl Engine {
    /// Opens the store, migrating it if need be, and loads the connectors. Nothing runs yet.
    ///
    /// # Errors
    ///
    /// When the data cannot be used; it is left as it was.
    pub async fn open(config: Config) -> Result<Self, OpenError> {
        Self::open_with(config, |folder| Connectors::open(folder.join(host::CONNECTORS))).await
    }

    /// Opens one that knows `connector` alone: to try it. The data directory is a new one that is
    /// thrown away, and the vault one that ends with the process.
    ///
    /// # Errors
    ///
    /// As for [`Engine::open`].
    pub async fn open_for_trial(
        config: Config,
        connector: domain::connector::Connector,
    ) -> Result<Self, OpenError> {
        let engine = Self::open_with(config, |_| Connectors::only(connector)).await?;
        engine.inner.outgoing.trace().remember_all();
        Ok(engine)
    }

    async fn open_with(
        config: Config,
        connectors: impl FnOnce(&std::path::Path) -> Connectors + Send + 'static,
    ) -> Result<Self, OpenError> {
        let Config { data_dir, clock, vault, environment, sandbox } = config;
        let (folder, now) = (data_dir.path().to_owned(), clock.now());
        let settled = data_dir.is_settled();
        let opening = tokio::task::spawn_blocking(move || {
            // An empty database beside data that was there looks like a new installation.
            let looked = if settled { store::find(&folder) } else { Ok(()) };
            looked
                .and_then(|()| Store::open(&folder, now))
                .map(|store| (store, connectors(&folder)))
        });
        // It can only have panicked; the store leaves nothing half done.
        let (store, connectors) = opening.await.map_err(|_| store::Error::Closed)??;
        data_dir.settle()?;
        let changes = Changes::default();
        let refused = changes.clone();
        store.on_refused(move |inbox| {
            refused.note(Notice { inbox, ..Notice::of(Noun::Refusals) });
        });
        let inner = Inner {
            outgoing: Outgoing::new(clock.clone())?,
            inboxes: inbox::Inboxes::load(&store).await?,
            sockets: socket::Sockets::default(),
            documents: inbox::Documents::default(),
            registration: Notify::new(),
            ledger: tokio::sync::Mutex::default(),
            housekeeping: Notify::new(),
            lost: Mutex::default(),
            sign_ins: sign_in::SignIns::default(),
            api_port: OnceLock::new(),
            takes_addresses: OnceLock::new(),
            clock,
            data_dir,
            store,
            vault,
            connectors,
            changes,
            sandbox,
            tunnels: tunnel::Tunnels::new(environment),
            syncs: sync::Syncs::default(),
            stopping: CancellationToken::new(),
        };
        Ok(Self { inner: Arc::new(inner) })
    }
    /// Starts what runs by itself: the scheduler, tunnels that were on, runs that a stop left
    /// unfinished. `ingress_url` is where the host's ingress listener is.
    pub async fn start(&self, ingress_url: url::Url, serve: Arc<dyn tunnel::ServeIngress>) {
        self.inner.inboxes.listen_at(ingress_url);
        self.keep_connectors_current();
        tunnel::resume(self.clone(), serve).await;
        inbox::registration::keep(self.clone());
        socket::start(self.clone());
        housekeeping::keep(self.clone());
        sync::start(self.clone());
        ledger::keep(self.clone());
    }

    /// Notes where the host's management listener is: nothing of ours ever calls it.
    pub fn managed_at(&self, port: u16) {
        // A host opens that listener once.
        let _ = self.inner.api_port.set(port);
    }
    /// Notes that the system hands the host addresses of our own kind
    /// ([`sign_in::CUSTOM_CALLBACK`]), which it passes to [`Engine::take_address`]. A browser is sent
    /// back by such an address all the same where there is no other way; its user hands it over then.
    pub fn hand_addresses(&self) {
        // A host says so once.
        let _ = self.inner.takes_addresses.set(());
    }

    pub(crate) fn takes_addresses(&self) -> bool {
        self.inner.takes_addresses.get().is_some()
    }

    /// Takes nothing more on, finishes what is in hand, stops tunnels, closes the store.
    pub async fn stop(&self) {
        self.inner.stopping.cancel();
        tunnel::stop_all(self).await;
        socket::stop(self).await;
        sync::stop(self).await;
        self.inner.sign_ins.finish().await;
        self.write_ledger().await;
        if let Err(error) = self.inner.store.close().await {
            tracing::error!("the store was not closed well: {error}");
        }
        self.inner.changes.close();
    }
    /// How it is doing.
    ///
    /// # Errors
    ///
    /// The store's.
    pub async fn status(&self) -> store::Result<Status> {
        let folder = self.inner.data_dir.path();
        Ok(Status {
            vault: self.inner.vault.kind(),
            vault_fault: self.inner.vault.state().await.err(),
            lost: self.lost(),
            database_bytes: self.inner.store.size_bytes().await?,
            free_bytes: fs4::available_space(folder)
                .map_err(|error| store::Error::Io(error.to_string()))?,
            disk_full: self.inner.store.is_full(),
            intake: self.inner.store.queue_depth(),
            refusals_dropped: self.inner.store.refusals_dropped(),
            data_dir: folder.to_owned(),
        })
    }
    fn keep_connectors_current(&self) {
        let (connectors, changes) = (self.inner.connectors.clone(), self.inner.changes.clone());
        let stopping = self.inner.stopping.clone();
        tokio::spawn(async move {
            let changed =
                || changes.note(Notice { noun: Noun::Status, inbox: None, up_to: None, added: 0 });
            let () = stopping
                .run_until_cancelled(connectors.keep_current(changed))
                .await
                .unwrap_or_default();
        });
    }
    /// Where everything is kept.
    pub fn data_dir(&self) -> &DataDir {
        &self.inner.data_dir
    }
    /// What can be connected.
    pub fn connectors(&self) -> &Connectors {
        &self.inner.connectors
    }
    /// The notices.
    pub fn changes(&self) -> &Changes {
        &self.inner.changes
    }
    /// The wall time, as the host's clock tells it.
    pub fn now(&self) -> jiff::Timestamp {
        self.inner.clock.now()
    }
    /// Where the sandbox is, if the host runs one.
    pub fn sandbox(&self) -> Option<&SandboxAddress> {
        self.inner.sandbox.as_ref()
    }
    /// Deletes everything that came from the sandbox.
    ///
    /// # Errors
    ///
    /// The store's. Secrets that the vault does not let go of are logged.
    pub async fn delete_sandbox(&self) -> store::Result<()> {
        let connections = self.inner.store.connections().await?;
        self.inner.inboxes.close_sandbox();
        for run in self.inner.store.unfinished_runs().await? {
            if self.inner.store.sync(run.sync).await?.sync.sandbox {
                // One that ends by itself meanwhile is as good.
                let _ = self.cancel_run(run.id).await;
            }
        }
        self.inner.store.delete_sandbox().await?;
        let connections = connections
            .into_iter()
            .filter(|connection| connection.connection.sandbox)
            .map(|connection| (connection.id.to_string(), connection.secrets));
        for (owner, generation) in connections {
            let Some(generation) = generation else { continue };
            if let Err(error) = self.inner.vault.remove(&owner, generation).await {
                tracing::warn!(%owner, %error, "secrets of the sandbox stay in the vault");
            }
        }
        // The inboxes of the sandbox remember their secrets until those are gone.
        self.finish_deletions().await;
        self.inner.changes.note(Notice::of(Noun::All));
        Ok(())
    }

    /// The ports of our own listeners.
    pub(crate) fn own_ports(&self) -> Vec<u16> {
        let api = self.inner.api_port.get().copied();
        self.inner.inboxes.port().into_iter().chain(api).collect()
    }
}

/// Random bytes of the system.
pub(crate) fn random<const N: usize>() -> [u8; N] {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes).expect("the system gives randomness");
    bytes
}
