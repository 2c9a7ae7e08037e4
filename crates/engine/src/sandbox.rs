//! The pretend shop, as one thing to open and to close.
//!
//! To the rest of the engine its connection, inbox and syncs are like any others, apart from
//! their tag. Here they are made together, and only what is missing of them.

use domain::connection::ConnectionState;
use domain::secret::Secrets;
use domain::sync::Schedule;

use crate::connection::{ConnectionRequest, ConnectionStatus};
use crate::inbox::{InboxRequest, InboxStatus};
use crate::sign_in::Authorize;
use crate::sync::{SyncRequest, SyncStatus};
use crate::{Engine, connection, inbox, sign_in, sync};

/// The connector of the pretend shop.
const CONNECTOR: &str = "sandbox";
const NAME: &str = "Sandbox shop";
/// What is kept up to date from the start.
const STREAMS: [&str; 2] = ["orders", "products"];
const EVERY: &str = "5m";

/// Why the sandbox was not opened.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// This host runs no pretend shop.
    #[error("this host runs no sandbox")]
    Off,
    /// The connection's fault.
    #[error(transparent)]
    Connection(#[from] connection::Error),
    /// The inbox's fault.
    #[error(transparent)]
    Inbox(#[from] inbox::Error),
    /// A sync's fault.
    #[error(transparent)]
    Sync(#[from] sync::Error),
    /// The sign-in's fault.
    #[error(transparent)]
    SignIn(#[from] sign_in::Error),
}

/// What there is of the sandbox.
#[derive(Debug, Clone)]
pub struct SandboxParts {
    /// Its account.
    pub connection: Option<ConnectionStatus>,
    /// Where its webhooks come in.
    pub inbox: Option<InboxStatus>,
    /// What is kept up to date.
    pub syncs: Vec<SyncStatus>,
}

/// The sandbox, whole.
#[derive(Debug, Clone)]
pub struct OpenedSandbox {
    /// Its account.
    pub connection: ConnectionStatus,
    /// Where its webhooks come in.
    pub inbox: InboxStatus,
    /// What is kept up to date.
    pub syncs: Vec<SyncStatus>,
    /// Its consent page, where the account is not connected yet.
    pub authorize: Option<Authorize>,
}

impl Engine {
    /// What there is of the sandbox.
    ///
    /// # Errors
    ///
    /// The store's.
    pub async fn sandbox_parts(&self) -> Result<SandboxParts, Error> {
        let connections = self.connections().await?;
        let inboxes = self.inboxes().await?;
        let syncs = self.syncs().await?;
        Ok(SandboxParts {
            connection: connections.into_iter().find(|status| status.connection.connection.sandbox),
            inbox: inboxes.into_iter().find(|status| status.inbox.inbox.sandbox),
            syncs: syncs.into_iter().filter(|status| status.sync.sync.sandbox).collect(),
        })
    }

    /// Makes what is missing of the sandbox, and begins its sign-in where that is needed.
    ///
    /// # Errors
    ///
    /// [`Error::Off`] where the host runs none; otherwise those of its parts. What was made before
    /// an error stays, and is not made again next time.
    pub async fn create_sandbox(&self) -> Result<OpenedSandbox, Error> {
        if self.sandbox().is_none() {
            return Err(Error::Off);
        }
        let parts = self.sandbox_parts().await?;
        let connection = match parts.connection {
            Some(connection) => connection,
            None => self.create_connection(sandbox_connection()).await?,
        };
        let id = connection.connection.id;
        let inbox = match parts.inbox {
            Some(inbox) => inbox,
            None => self.create_inbox(sandbox_inbox(id)).await?,
        };
        let mut syncs = parts.syncs;
        for stream in STREAMS {
            if !syncs.iter().any(|status| status.sync.sync.stream == stream) {
                syncs.push(self.create_sync(sandbox_sync(id, stream)).await?);
            }
        }
        let authorize = match connection.connection.connection.state {
            ConnectionState::Ready => None,
            _ => Some(self.authorize(id).await?),
        };
        // As they are now that all of it is there.
        let connection = self.connection(id).await?;
        Ok(OpenedSandbox { connection, inbox, syncs, authorize })
    }
}

fn sandbox_connection() -> ConnectionRequest {
    ConnectionRequest {
        connector: CONNECTOR.into(),
        name: NAME.into(),
        way: None,
        settings: Default::default(),
        secrets: Secrets::new(),
    }
}

fn sandbox_inbox(connection: domain::id::ConnectionId) -> InboxRequest {
    InboxRequest {
        name: NAME.into(),
        connector: CONNECTOR.into(),
        connection: Some(connection),
        by_hand: false,
        socket: false,
        settings: Default::default(),
        secrets: Secrets::new(),
    }
}

fn sandbox_sync(connection: domain::id::ConnectionId, stream: &str) -> SyncRequest {
    SyncRequest {
        connection,
        stream: stream.into(),
        schedule: Some(Schedule::Every { every: EVERY.into() }),
    }
}
