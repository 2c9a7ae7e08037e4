//! Tunnels: programs of others that make an ingress listener reachable from outside.
//!
//! Each tunnel has an ingress listener of its own, and is given that and nothing else. Programs
//! and their arguments come from shipped definitions; the user fills in fields.
//!
//! A tunnel is *reachable* once a signed probe has come back through its public address, and for
//! as long as that is recent. Neither a program that runs nor one that says so proves anything.
//!
//! A tunnel that ends by itself stays ended, and says why; it is started again by hand, or with
//! Patchbay.

mod definition;
mod environment;
mod field;
mod output;
mod probe;
mod program;
mod proof;
mod run;
mod slot;
mod template;

use std::collections::{BTreeMap, HashMap};
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use domain::id::TunnelId;
use domain::secret::Secrets;
use domain::tunnel::{NewTunnel, Tunnel, TunnelState};
use tokio_util::sync::CancellationToken;

use self::slot::{Failure, Slot, Work};
use crate::changes::{Notice, Noun};
use crate::inbox::Answer;
use crate::{Engine, store, vault};

pub use environment::Environment;

/// The generation of a tunnel's secrets, which are written once.
const FIRST_GENERATION: u32 = 1;

/// Why something was not done with a tunnel.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// There is no such definition.
    #[error("`{0}` is not a way to be reached; there are {known}", known = .1.join(", "))]
    Kind(String, Vec<String>),
    /// A field that its definition asks for is missing or not of its shape.
    #[error("`{field}` {problem}")]
    Field {
        /// Which one.
        field: String,
        /// What is wrong with it.
        problem: String,
    },
    /// The store's fault.
    #[error(transparent)]
    Store(#[from] store::Error),
    /// The vault's fault.
    #[error(transparent)]
    Vault(#[from] vault::Error),
}

/// A way to be reached.
#[derive(Debug, Clone)]
pub struct TunnelKind {
    /// Its id: `bore`.
    pub id: String,
    /// What people call it.
    pub title: String,
    /// What it is, for whom, and what it cannot do, in a sentence or two.
    pub about: String,
    /// The program that it needs; none for the user's own address.
    pub program: Option<String>,
    /// Whether that program was found on this machine.
    pub installed: bool,
    /// How to get the program, where it is missing.
    pub install_hint: Option<String>,
    /// Its fields.
    pub fields: Vec<TunnelField>,
    /// Whether its address is plain http.
    pub plain_http: bool,
    /// Whether its address changes at each start, so that it is for trying out.
    pub address_changes: bool,
}

/// One field of a way to be reached.
#[derive(Debug, Clone)]
pub struct TunnelField {
    /// Its name.
    pub name: String,
    /// What people call it.
    pub title: String,
    /// An example.
    pub example: String,
    /// What it is and where to find it.
    pub help: String,
    /// Whether it may be left out.
    pub optional: bool,
    /// Whether it is a secret.
    pub secret: bool,
    /// What is taken where it is left out.
    pub default: Option<String>,
    /// The whole of what it may be, as a regular expression.
    pub pattern: String,
}

/// What is asked for with a new tunnel.
#[derive(Debug, Clone)]
pub struct TunnelRequest {
    /// Which definition.
    pub kind: String,
    /// The user's name for it; the kind's title where it is empty.
    pub name: String,
    /// The definition's fields.
    pub settings: BTreeMap<String, String>,
    /// Those of them that are secret.
    pub secrets: Secrets,
}

/// A tunnel with what is known of it now.
#[derive(Debug, Clone)]
pub struct TunnelStatus {
    /// As stored.
    pub tunnel: Tunnel,
    /// Its kind.
    pub kind: TunnelKind,
    /// What it does now.
    pub state: TunnelState,
    /// The last lines that its program printed, oldest first, at most 200.
    pub output: Vec<String>,
    /// The ingress listener that it was given; for the user's own address, where to point it.
    pub ingress: Option<SocketAddr>,
}

/// Who serves the ingress router on a listener: the `api` crate, which this one must not know.
pub trait ServeIngress: Send + core::marker::Sync + 'static {
    /// Serves until `stop` is done. `trusted` names the header that carries the sender's address
    /// on this listener, if any.
    ///
    /// A request for `/in/{key}` whose key is no inbox's may be a probe of ours on its way back:
    /// [`Engine::answer_probe`] knows, and wants the listener's own address, so take
    /// `listener.local_addr()` before serving.
    fn serve(
        &self,
        engine: Engine,
        listener: tokio::net::TcpListener,
        trusted: Option<http::HeaderName>,
        stop: tokio_util::sync::CancellationToken,
    ) -> futures::future::BoxFuture<'static, ()>;
}

/// The tunnels that run. Made by `Engine::open`, one per engine.
pub(crate) struct Tunnels {
    environment: Environment,
    probes: probe::Probes,
    /// Who serves their listeners, between [`resume`] and [`stop_all`].
    serve: Mutex<Option<Arc<dyn ServeIngress>>>,
    slots: Mutex<HashMap<TunnelId, Arc<Slot>>>,
    order: AtomicU64,
}

impl Tunnels {
    /// None yet.
    pub(crate) fn new(environment: Environment) -> Self {
        Self {
            environment,
            probes: probe::Probes::default(),
            serve: Mutex::default(),
            slots: Mutex::default(),
            order: AtomicU64::default(),
        }
    }

    /// A number for a start that is higher than those of all earlier ones.
    fn next_order(&self) -> u64 {
        self.order.fetch_add(1, Ordering::Relaxed)
    }

    fn slot(&self, id: TunnelId) -> Arc<Slot> {
        self.slots.lock().unwrap_or_else(PoisonError::into_inner).entry(id).or_default().clone()
    }

    fn all(&self) -> Vec<Arc<Slot>> {
        self.slots.lock().unwrap_or_else(PoisonError::into_inner).values().cloned().collect()
    }

    fn serve(&self) -> MutexGuard<'_, Option<Arc<dyn ServeIngress>>> {
        self.serve.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Starts the tunnels that were on when the engine stopped; those that cannot be started say so in
/// their state. From now on others can be started.
pub(crate) async fn resume(engine: Engine, serve: Arc<dyn ServeIngress>) {
    *engine.inner.tunnels.serve() = Some(serve);
    let tunnels = match engine.inner.store.tunnels().await {
        Ok(tunnels) => tunnels,
        Err(error) => return tracing::error!(%error, "no tunnel could be started"),
    };
    for tunnel in tunnels.into_iter().filter(|tunnel| tunnel.tunnel.on) {
        let engine = engine.clone();
        // A keychain that asks its user first must not hold up everything else.
        tokio::spawn(async move { start(&engine, &tunnel).await });
    }
}

/// Ends all of them and their programs. They stay switched on, for the next start.
pub(crate) async fn stop_all(engine: &Engine) {
    // First, so that nobody starts one behind our back.
    engine.inner.tunnels.serve().take();
    let slots = engine.inner.tunnels.all();
    futures::future::join_all(slots.iter().map(|slot| stop(engine, slot))).await;
}

async fn start(engine: &Engine, tunnel: &Tunnel) {
    let slot = engine.inner.tunnels.slot(tunnel.id);
    let mut work = slot.work.lock().await;
    if work.as_ref().is_some_and(|work| !work.task.is_finished()) {
        return;
    }
    slot.set_starting();
    note(engine);
    match prepare(engine, tunnel).await {
        Ok((plan, serve)) => {
            let stop = CancellationToken::new();
            let run = plan.run(engine.clone(), slot.clone(), serve, stop.clone());
            *work = Some(Work { stop, task: tokio::spawn(run) });
        }
        Err(failure) => {
            slot.set_failed(failure);
            note(engine);
        }
    }
}

async fn prepare(
    engine: &Engine,
    tunnel: &Tunnel,
) -> Result<(run::Plan, Arc<dyn ServeIngress>), Failure> {
    let plan = run::Plan::make(engine, tunnel).await?;
    let serve = engine.inner.tunnels.serve().clone();
    Ok((plan, serve.ok_or_else(|| Failure::new("Patchbay is not listening now."))?))
}

async fn stop(engine: &Engine, slot: &Slot) {
    let mut work = slot.work.lock().await;
    if let Some(Work { stop, task }) = work.take() {
        stop.cancel();
        if let Err(error) = task.await {
            tracing::error!(%error, "a tunnel did not end as it should");
        }
    }
    slot.set_off();
    note(engine);
}

/// Something about a tunnel changed.
fn note(engine: &Engine) {
    note_noun(engine, Noun::Tunnels);
}

/// A public address came, was proved, or went, which inboxes show as theirs.
fn note_address(engine: &Engine) {
    // Senders that can be told by API are told of the new one.
    engine.inner.registration.notify_one();
    note(engine);
    note_noun(engine, Noun::Inboxes);
}

fn note_noun(engine: &Engine, noun: Noun) {
    engine.inner.changes.note(Notice { noun, inbox: None, up_to: None, added: 0 });
}

/// A port for a tunnel whose listener has to stay where it is.
async fn free_port(field: &str) -> Result<u16, Error> {
    let listener = tokio::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await;
    listener.and_then(|listener| listener.local_addr()).map(|address| address.port()).map_err(
        |error| Error::Field { field: field.into(), problem: format!("cannot be chosen: {error}") },
    )
}

impl Engine {
    /// The ways to be reached.
    pub fn tunnel_kinds(&self) -> Vec<TunnelKind> {
        let environment = &self.inner.tunnels.environment;
        definition::all().iter().map(|definition| definition.kind(environment)).collect()
    }

    /// All tunnels.
    pub async fn tunnels(&self) -> Result<Vec<TunnelStatus>, Error> {
        let tunnels = self.inner.store.tunnels().await?;
        Ok(tunnels.into_iter().map(|tunnel| self.tunnel_status(tunnel)).collect())
    }

    /// One.
    pub async fn tunnel(&self, id: TunnelId) -> Result<TunnelStatus, Error> {
        Ok(self.tunnel_status(self.inner.store.tunnel(id).await?))
    }

    /// Makes one, switched off.
    pub async fn create_tunnel(&self, request: TunnelRequest) -> Result<TunnelStatus, Error> {
        let TunnelRequest { kind, name, settings, secrets } = request;
        let definition = definition::find(&kind).ok_or_else(|| {
            Error::Kind(kind.clone(), definition::all().iter().map(|it| it.id.clone()).collect())
        })?;
        let mut settings = field::filled_in(&definition.fields, &settings, &secrets)?;
        if let Some(field) = &definition.port_field
            && !settings.contains_key(field)
        {
            settings.insert(field.clone(), free_port(field).await?.to_string());
        }
        let name = if name.trim().is_empty() { definition.title.clone() } else { name };
        let new = NewTunnel { kind, name, settings, on: false };
        let mut tunnel = self.inner.store.create_tunnel(new, self.inner.clock.now()).await?;
        if !secrets.is_empty() {
            if let Err(error) = self.keep_tunnel_secrets(tunnel.id, &secrets).await {
                self.inner.store.delete_tunnel(tunnel.id).await?;
                return Err(error);
            }
            tunnel.secrets = Some(FIRST_GENERATION);
        }
        note(self);
        Ok(self.tunnel_status(tunnel))
    }

    /// Switches it on; its state tells how that goes. One that runs goes on.
    pub async fn start_tunnel(&self, id: TunnelId) -> Result<TunnelStatus, Error> {
        self.inner.store.switch_tunnel(id, true).await?;
        start(self, &self.inner.store.tunnel(id).await?).await;
        self.tunnel(id).await
    }

    /// Switches it off and ends its program.
    pub async fn stop_tunnel(&self, id: TunnelId) -> Result<TunnelStatus, Error> {
        self.inner.store.switch_tunnel(id, false).await?;
        stop(self, &self.inner.tunnels.slot(id)).await;
        self.tunnel(id).await
    }

    /// Sends a probe through the public address now, and waits for what becomes of it. One without
    /// an address is left as it is.
    pub async fn probe_tunnel(&self, id: TunnelId) -> Result<TunnelStatus, Error> {
        let tunnel = self.inner.store.tunnel(id).await?;
        proof::probe(self, &self.inner.tunnels.slot(id)).await;
        Ok(self.tunnel_status(tunnel))
    }

    /// Deletes it, stopping it first.
    pub async fn delete_tunnel(&self, id: TunnelId) -> Result<(), Error> {
        let tunnel = self.inner.store.tunnel(id).await?;
        stop(self, &self.inner.tunnels.slot(id)).await;
        self.inner.store.delete_tunnel(id).await?;
        if let Some(generation) = tunnel.secrets
            && let Err(error) = self.inner.vault.remove(&id.to_string(), generation).await
        {
            tracing::warn!(tunnel.id = %id, %error, "the secret of a deleted tunnel is still there");
        }
        self.inner.housekeeping.notify_one();
        self.inner.tunnels.slots.lock().unwrap_or_else(PoisonError::into_inner).remove(&id);
        note(self);
        Ok(())
    }

    /// Where the world reaches the inboxes now, without a slash at the end, so that an inbox's
    /// public address is this and `/in/{key}`: of a tunnel that is proved to be reachable, else of
    /// the newest that runs. Costs no IO.
    pub fn public_address(&self) -> Option<String> {
        let now = self.inner.clock.now();
        let running = self.inner.tunnels.all().into_iter().filter_map(|slot| slot.up());
        running.max_by_key(|up| (up.proved(now).is_some(), up.order)).map(|up| up.address)
    }

    /// As [`Engine::public_address`], of a tunnel whose proof is young: the only one that a sender
    /// is told by us.
    pub(crate) fn proved_address(&self) -> Option<String> {
        let now = self.inner.clock.now();
        let running = self.inner.tunnels.all().into_iter().filter_map(|slot| slot.up());
        let proved = running.filter(|up| up.proved(now).is_some());
        proved.max_by_key(|up| up.order).map(|up| up.address)
    }

    /// Answers a probe that this engine sent through a tunnel's public address.
    ///
    /// The ingress router asks this for `POST /in/{key}` where the key is no inbox's, before it
    /// notes a refusal, and answers with what it gets. `listener` is the address of the listener
    /// on which the request came: a probe counts on its own tunnel's listener and no other, so
    /// nothing is answered elsewhere, or without a probe under way. Costs no IO.
    pub fn answer_probe(&self, listener: SocketAddr, key: &str, body: &Bytes) -> Option<Answer> {
        self.inner.tunnels.probes.answer(listener, key, body)
    }

    fn tunnel_status(&self, tunnel: Tunnel) -> TunnelStatus {
        let slot = self.inner.tunnels.slot(tunnel.id);
        let mut kind = definition::find(&tunnel.tunnel.kind).map_or_else(
            || TunnelKind::unknown(&tunnel.tunnel.kind),
            |definition| definition.kind(&self.inner.tunnels.environment),
        );
        // The address itself knows better than its kind.
        if let Some(up) = slot.up() {
            kind.plain_http = up.address.starts_with("http:");
        }
        TunnelStatus {
            kind,
            state: slot.state(self.inner.clock.now()),
            output: slot.output(),
            ingress: slot.ingress(),
            tunnel,
        }
    }

    async fn keep_tunnel_secrets(&self, id: TunnelId, secrets: &Secrets) -> Result<(), Error> {
        self.inner.vault.write(&id.to_string(), FIRST_GENERATION, secrets).await?;
        self.inner.store.set_tunnel_secrets(id, FIRST_GENERATION).await?;
        Ok(())
    }
}

impl TunnelKind {
    /// What is shown of a tunnel whose definition this program no longer has.
    fn unknown(id: &str) -> Self {
        Self {
            id: id.into(),
            title: id.into(),
            about: String::new(),
            program: None,
            installed: false,
            install_hint: None,
            fields: Vec::new(),
            plain_http: false,
            address_changes: false,
        }
    }
}
