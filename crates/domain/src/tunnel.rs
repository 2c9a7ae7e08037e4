//! Tunnels: what makes the inboxes reachable from outside.

use std::collections::BTreeMap;

use jiff::Timestamp;

use crate::id::TunnelId;

/// A tunnel that is not stored yet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewTunnel {
    /// Which definition: `own-url`, `cloudflared-quick`, `ssh`, `bore`.
    pub kind: String,
    /// The user's name for it.
    pub name: String,
    /// The definition's fields, filled in.
    pub settings: BTreeMap<String, String>,
    /// Whether it should be running: started with the program, and again when it ends.
    pub on: bool,
}

/// A tunnel as stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tunnel {
    /// Its id.
    pub id: TunnelId,
    /// What was asked for.
    pub tunnel: NewTunnel,
    /// Since when it is there.
    pub created_at: Timestamp,
    /// Which generation of its secrets in the vault is in force.
    pub secrets: Option<u32>,
}

/// What a tunnel does now. *Reachable* is claimed only after a round trip.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TunnelState {
    /// Switched off.
    Off,
    /// Started; it has not told its address yet.
    Starting,
    /// It has an address, and no probe has come back yet, or the last proof is too old.
    Unproved {
        /// The address.
        public_url: String,
        /// When a probe last came back, if ever.
        proved_at: Option<Timestamp>,
        /// What became of the last probe, in a sentence, where one failed since.
        why: Option<String>,
    },
    /// A signed probe came back through the public address.
    Reachable {
        /// The address.
        public_url: String,
        /// When.
        proved_at: Timestamp,
    },
    /// It ended, or could not be started.
    Failed {
        /// What happened, in a sentence.
        why: String,
        /// What to do.
        hint: Option<String>,
    },
}
