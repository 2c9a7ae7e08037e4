//! Receiving webhooks: from bytes on the wire to one row in the event log.
//!
//! A webhook is received in this order: which inbox, handshake, verify the raw bytes, dedupe key,
//! store, answer. Nothing parses a body before it is verified, and a sender gets its 2xx only
//! after the commit has reached the disk.
//!
//! Nothing here knows about tunnels: a tunnel only makes a listener reachable.

use std::collections::BTreeMap;
use std::net::IpAddr;

use bytes::Bytes;
use domain::id::{ConnectionId, InboxId};
use domain::inbox::Inbox;
use domain::page::Count;
use domain::refusal::Reason;
use domain::secret::Secrets;
use jiff::Timestamp;

use crate::{Engine, store, vault};

/// Why something was not done with an inbox.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A setting or a secret that its connector asks for is missing or not of its shape.
    #[error("`{field}` {problem}")]
    Field {
        /// Which one.
        field: String,
        /// What is wrong with it: `is missing`, `does not look like …`.
        problem: String,
    },
    /// There is no such connector, or it receives no webhooks.
    #[error("`{0}` is not a connector that receives webhooks")]
    Connector(String),
    /// The store's fault.
    #[error(transparent)]
    Store(#[from] store::Error),
    /// The vault's fault.
    #[error(transparent)]
    Vault(#[from] vault::Error),
}

/// What is asked for with a new inbox.
#[derive(Debug, Clone)]
pub struct InboxRequest {
    /// The user's name for it.
    pub name: String,
    /// What its senders are like.
    pub connector: String,
    /// Whose events it receives.
    pub connection: Option<ConnectionId>,
    /// The connector's settings.
    pub settings: BTreeMap<String, String>,
    /// The connector's secrets.
    pub secrets: Secrets,
}

/// An inbox with what is known of it now.
#[derive(Debug, Clone)]
pub struct InboxStatus {
    /// As stored.
    pub inbox: Inbox,
    /// Its connector's name.
    pub connector_name: String,
    /// Its address on this machine.
    pub local_url: String,
    /// Its address for the world, while a tunnel runs.
    pub public_url: Option<String>,
    /// When it last received something.
    pub heard_at: Option<Timestamp>,
    /// How many events it holds.
    pub events: Count,
    /// The names of the secrets it has.
    pub secret_names: Vec<String>,
    /// Whether it accepts signed requests only.
    pub signed: bool,
}

/// A request as it came to an ingress listener.
#[derive(Debug, Clone)]
pub struct Delivery {
    /// Its method.
    pub method: http::Method,
    /// Path and query as they came.
    pub uri: http::Uri,
    /// Its headers.
    pub headers: http::HeaderMap,
    /// Its body, whole.
    pub body: Bytes,
    /// Who sent it, where this listener's tunnel says so.
    pub address: Option<IpAddr>,
}

/// What the sender is told. Statuses are the connector's data.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    /// The status.
    pub status: u16,
    /// Headers.
    pub headers: Vec<(String, String)>,
    /// Body.
    pub body: Bytes,
}

/// What became of a delivery.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Received {
    /// It is stored, or was a repeat or a handshake: answered as the connector says.
    Answered(Answer),
    /// It was refused, and noted so.
    Refused(Reason, Option<Answer>),
    /// There was no room for it: try again after so many seconds.
    Overloaded(Answer),
}

#[expect(clippy::todo, unused_variables, clippy::unused_async, reason = "the outline")]
impl Engine {
    /// All inboxes, by name.
    pub async fn inboxes(&self) -> Result<Vec<InboxStatus>, Error> {
        todo!()
    }
    /// One.
    pub async fn inbox(&self, id: InboxId) -> Result<InboxStatus, Error> {
        todo!()
    }
    /// Makes one, and tells its sender of it where the connector can.
    pub async fn create_inbox(&self, request: InboxRequest) -> Result<InboxStatus, Error> {
        todo!()
    }
    /// Changes its name, and the secrets that are given.
    pub async fn update_inbox(
        &self,
        id: InboxId,
        name: Option<String>,
        secrets: Secrets,
    ) -> Result<InboxStatus, Error> {
        todo!()
    }
    /// Deletes it with its events; says how many went.
    pub async fn delete_inbox(&self, id: InboxId) -> Result<u64, Error> {
        todo!()
    }
    /// Whether an inbox has this key: asked before a body is read. Costs no IO.
    pub fn has_inbox(&self, key: &str) -> bool {
        todo!()
    }
    /// The names of all inboxes, from memory: every row of the log shows one.
    pub fn inbox_names(&self) -> BTreeMap<InboxId, String> {
        todo!()
    }
    /// Receives a request for the inbox with this key.
    pub async fn receive(&self, key: &str, delivery: Delivery) -> Received {
        todo!()
    }
    /// Notes a request that was refused before it could be read.
    pub fn refuse(&self, key: Option<&str>, delivery: &Delivery, reason: Reason) {
        todo!()
    }
}
