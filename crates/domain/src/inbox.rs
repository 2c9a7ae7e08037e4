//! Inboxes: addresses that receive webhooks, and places for what comes over a socket.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::id::{ConnectionId, InboxId};

/// Whether the sender has been told of an inbox's address, by us.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "state")]
pub enum Registration {
    /// The connector cannot be told by API: the user pastes the address over there.
    ByHand,
    /// There is nobody to tell: its events come over a socket that we open, and it takes no
    /// webhooks.
    Socket,
    /// It will be told as soon as the connection is ready.
    Waiting,
    /// The sender knows this address.
    Registered {
        /// The sender's id for it.
        external_id: Option<String>,
        /// The address that it was told.
        url: String,
        /// Since when.
        at: Timestamp,
    },
    /// The sender refused.
    Failed {
        /// What it said.
        why: String,
        /// When.
        at: Timestamp,
        /// What it knows all the same: entries that were made before it refused.
        #[serde(default)]
        external_id: Option<String>,
    },
}

impl Registration {
    /// The sender's ids for what it knows of this inbox, joined with commas.
    pub fn external_id(&self) -> Option<&str> {
        match self {
            Self::ByHand | Self::Socket | Self::Waiting => None,
            Self::Registered { external_id, .. } | Self::Failed { external_id, .. } => {
                external_id.as_deref()
            }
        }
    }
}

/// An inbox that is not stored yet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewInbox {
    /// The user's name for it.
    pub name: String,
    /// What its senders are like.
    pub connector: String,
    /// Whose events it receives.
    pub connection: Option<ConnectionId>,
    /// The connector's settings, filled in.
    pub settings: BTreeMap<String, String>,
    /// The path below `/in/`: 128 random bits as 26 base32 characters.
    pub key: String,
    /// Whether it belongs to the sandbox.
    pub sandbox: bool,
    /// See [`Registration`].
    pub registration: Registration,
}

impl NewInbox {
    /// Whether its events come over a socket.
    pub fn by_socket(&self) -> bool {
        self.registration == Registration::Socket
    }
}

/// An inbox as stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Inbox {
    /// Its id.
    pub id: InboxId,
    /// What was asked for.
    pub inbox: NewInbox,
    /// Since when.
    pub created_at: Timestamp,
    /// Which generation of its secrets in the vault is in force; none where it has no secret.
    pub secrets: Option<u32>,
}
