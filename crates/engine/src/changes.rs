//! Change notices: they say what to fetch again, never the new value.
//!
//! Notices of one noun (and inbox) are put together while they wait, and at most four a second go
//! out per noun, so that a flood of events costs its watchers four requests a second. The last
//! 1,024 can be resumed from; whoever asks for older ones is told to fetch all again.

use domain::id::InboxId;
use serde::{Deserialize, Serialize};

/// A noun of which something changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Noun {
    /// The log.
    Events,
    /// The refusals.
    Refusals,
    /// The inboxes.
    Inboxes,
    /// The connections.
    Connections,
    /// The syncs, their runs and their progress.
    Syncs,
    /// The records.
    Records,
    /// The tunnels.
    Tunnels,
    /// Vault, disk, sandbox and settings: what `GET /api/status` says.
    Status,
    /// Too much was missed: fetch all again.
    #[serde(rename = "*")]
    All,
}

/// One notice.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Notice {
    /// What to fetch again.
    pub noun: Noun,
    /// Of which inbox alone, where it is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub inbox: Option<InboxId>,
    /// The newest id of it, as text.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub up_to: Option<String>,
    /// How many were added since the last notice.
    #[serde(default)]
    pub added: u64,
}

/// Where notices are given and taken. Cheap to clone.
#[derive(Debug, Clone, Default)]
pub struct Changes {}

#[expect(clippy::todo, unused_variables, reason = "the outline")]
impl Changes {
    /// Says that something changed. Never blocks, never fails.
    pub fn note(&self, notice: Notice) {
        todo!()
    }
    /// Notices with their numbers from now on; with `after`, first those that came since that
    /// number, or one [`Noun::All`] where the ring no longer holds them. Ends when the engine stops.
    pub fn watch(&self, after: Option<u64>) -> futures::stream::BoxStream<'static, (u64, Notice)> {
        todo!()
    }
}
