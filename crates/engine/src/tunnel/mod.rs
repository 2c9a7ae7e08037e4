//! Tunnels: programs of others that make an ingress listener reachable from outside.
//!
//! Each tunnel has an ingress listener of its own, and is given that and nothing else. Programs
//! and their arguments come from shipped definitions; the user fills in fields.

mod environment;
mod output;
mod program;

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;

use bytes::Bytes;
use domain::id::TunnelId;
use domain::secret::Secrets;
use domain::tunnel::{Tunnel, TunnelState};

use crate::inbox::Answer;
use crate::{Engine, store, vault};

pub use environment::Environment;

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
}

impl Tunnels {
    /// None yet.
    pub(crate) fn new(environment: Environment) -> Self {
        Self { environment }
    }
}

/// Starts the tunnels that were on when the engine stopped; those that cannot be started say so in
/// their state. From now on others can be started.
#[expect(clippy::todo, unused_variables, clippy::unused_async, reason = "the outline")]
pub(crate) async fn resume(engine: Engine, serve: Arc<dyn ServeIngress>) {
    todo!()
}

/// Ends all of them and their programs. They stay switched on, for the next start.
#[expect(clippy::todo, unused_variables, clippy::unused_async, reason = "the outline")]
pub(crate) async fn stop_all(engine: &Engine) {
    todo!()
}

#[expect(clippy::todo, unused_variables, clippy::unused_async, reason = "the outline")]
impl Engine {
    /// The ways to be reached.
    pub fn tunnel_kinds(&self) -> Vec<TunnelKind> {
        todo!()
    }
    /// All tunnels.
    pub async fn tunnels(&self) -> Result<Vec<TunnelStatus>, Error> {
        todo!()
    }
    /// One.
    pub async fn tunnel(&self, id: TunnelId) -> Result<TunnelStatus, Error> {
        todo!()
    }
    /// Makes one, switched off.
    pub async fn create_tunnel(&self, request: TunnelRequest) -> Result<TunnelStatus, Error> {
        todo!()
    }
    /// Switches it on; its state tells how that goes.
    pub async fn start_tunnel(&self, id: TunnelId) -> Result<TunnelStatus, Error> {
        todo!()
    }
    /// Switches it off and ends its program.
    pub async fn stop_tunnel(&self, id: TunnelId) -> Result<TunnelStatus, Error> {
        todo!()
    }
    /// Sends a probe through the public address now.
    pub async fn probe_tunnel(&self, id: TunnelId) -> Result<TunnelStatus, Error> {
        todo!()
    }
    /// Deletes it, stopping it first.
    pub async fn delete_tunnel(&self, id: TunnelId) -> Result<(), Error> {
        todo!()
    }
    /// Where the world reaches the inboxes now, without a slash at the end, so that an inbox's
    /// public address is this and `/in/{key}`: of a tunnel that is proved to be reachable, else of
    /// the newest that runs. Costs no IO.
    pub fn public_address(&self) -> Option<String> {
        todo!()
    }
    /// Answers a probe that this engine sent through a tunnel's public address.
    ///
    /// The ingress router asks this for `POST /in/{key}` where the key is no inbox's, before it
    /// notes a refusal, and answers with what it gets. `listener` is the address of the listener
    /// on which the request came: a probe counts on its own tunnel's listener and no other, so
    /// nothing is answered elsewhere, or without a probe under way. Costs no IO.
    pub fn answer_probe(&self, listener: SocketAddr, key: &str, body: &Bytes) -> Option<Answer> {
        todo!()
    }
}
