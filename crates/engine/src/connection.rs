//! Connections: making them, checking them, and the credentials that their calls carry.

use std::collections::BTreeMap;

use domain::connection::Connection;
use domain::id::ConnectionId;
use domain::secret::Secrets;

use crate::{Engine, store, vault};

/// Why something was not done with a connection.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A setting or a secret that its connector asks for is missing or not of its shape.
    #[error("`{field}` {problem}")]
    Field {
        /// Which one.
        field: String,
        /// What is wrong with it.
        problem: String,
    },
    /// There is no such connector, or it cannot be read.
    #[error("`{0}` is not a connector that can be connected")]
    Connector(String),
    /// The check call failed.
    #[error("the check did not succeed: {0}")]
    Check(#[from] crate::outgoing::Error),
    /// The store's fault.
    #[error(transparent)]
    Store(#[from] store::Error),
    /// The vault's fault.
    #[error(transparent)]
    Vault(#[from] vault::Error),
}

/// What is asked for with a new connection.
#[derive(Debug, Clone)]
pub struct ConnectionRequest {
    /// What the API is like.
    pub connector: String,
    /// The user's name for it.
    pub name: String,
    /// Which way in, by its id; the first where it is not given.
    pub way: Option<String>,
    /// The connector's settings.
    pub settings: BTreeMap<String, String>,
    /// Its secrets.
    pub secrets: Secrets,
}

/// A connection with what hangs on it.
#[derive(Debug, Clone)]
pub struct ConnectionStatus {
    /// As stored.
    pub connection: Connection,
    /// Its connector's name.
    pub connector_name: String,
    /// Which way in.
    pub way: Option<String>,
    /// Whether a browser is out to sign in for it.
    pub signing_in: bool,
    /// How many syncs it has.
    pub syncs: usize,
    /// How many inboxes it has.
    pub inboxes: usize,
}

#[expect(clippy::todo, unused_variables, clippy::unused_async, reason = "the outline")]
impl Engine {
    /// All connections, by name.
    pub async fn connections(&self) -> Result<Vec<ConnectionStatus>, Error> {
        todo!()
    }
    /// One.
    pub async fn connection(&self, id: ConnectionId) -> Result<ConnectionStatus, Error> {
        todo!()
    }
    /// Makes one; it needs a sign-in unless its way in is done with what was given.
    pub async fn create_connection(
        &self,
        request: ConnectionRequest,
    ) -> Result<ConnectionStatus, Error> {
        todo!()
    }
    /// Changes its name, settings and the secrets that are given.
    pub async fn update_connection(
        &self,
        id: ConnectionId,
        name: Option<String>,
        settings: Option<BTreeMap<String, String>>,
        secrets: Secrets,
    ) -> Result<ConnectionStatus, Error> {
        todo!()
    }
    /// Switches it off, or on again.
    pub async fn switch_connection(
        &self,
        id: ConnectionId,
        on: bool,
    ) -> Result<ConnectionStatus, Error> {
        todo!()
    }
    /// Deletes it with its syncs and records, and its secrets.
    pub async fn delete_connection(&self, id: ConnectionId) -> Result<(), Error> {
        todo!()
    }
    /// Makes one cheap request to see whether its credentials work.
    pub async fn check_connection(&self, id: ConnectionId) -> Result<ConnectionStatus, Error> {
        todo!()
    }
}
