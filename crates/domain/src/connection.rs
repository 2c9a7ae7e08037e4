//! Connections: accounts of the user at connectors.

use std::collections::{BTreeMap, BTreeSet};

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use crate::connector::Mode;
use crate::id::ConnectionId;

/// What a connection can do now.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "state")]
pub enum ConnectionState {
    /// Its credentials work, as far as the last call showed.
    Ready,
    /// The user has to sign in, for the first time or again.
    NeedsSignIn {
        /// Why, in a sentence for the user.
        why: String,
        /// Since when.
        since: Timestamp,
    },
    /// The user switched it off.
    Off,
    /// Its connector cannot be read, so that nothing can be called.
    Broken {
        /// What is wrong with it.
        why: String,
    },
}

/// A connection that is not stored yet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewConnection {
    /// What the API is like.
    pub connector: String,
    /// The user's name for it.
    pub name: String,
    /// Which of the connector's ways in, by its id: its place changes when an own connector does.
    pub way: String,
    /// The connector's settings, filled in.
    pub settings: BTreeMap<String, String>,
    /// Whether it is the sandbox's.
    pub sandbox: bool,
    /// What it can do.
    pub state: ConnectionState,
    /// Where its secrets may go: the addresses that it could call when the user gave them, each with
    /// its scheme and port, and the names of further hosts. An older version noted names alone;
    /// `None` where a yet older one noted nothing.
    pub given_to: Option<BTreeSet<String>>,
}

/// A connection as stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Connection {
    /// Its id.
    pub id: ConnectionId,
    /// What was asked for, and its state now.
    pub connection: NewConnection,
    /// The account's own name, as the provider says it.
    pub account: Option<String>,
    /// When its credentials last worked.
    pub checked_at: Option<Timestamp>,
    /// Since when it is there.
    pub created_at: Timestamp,
    /// Which generation of its secrets in the vault is in force.
    pub secrets: Option<u32>,
    /// When its access token ends, where it has one that does.
    pub token_expires_at: Option<Timestamp>,
    /// When its sign-in ends unless it is used before, where its provider says how long one lives.
    pub sign_in_ends_at: Option<Timestamp>,
    /// Since when a token rotation is under way whose answer has not been stored.
    pub rotating_since: Option<Timestamp>,
    /// Whether its account is for trying out, where that can be told.
    pub mode: Option<Mode>,
    /// When it last worked again after it had needed its user.
    pub recovered_at: Option<Timestamp>,
    /// What went wrong with the last check, if that failed.
    pub fault: Option<CheckFault>,
}

/// How long before its end a sign-in is told to end: time to come back from a holiday.
const ENDS_SOON: SignedDuration = SignedDuration::from_hours(14 * 24);

impl Connection {
    /// When its sign-in ends, where that is soon enough to do something about it. Nothing once it
    /// needs a sign-in, or is off.
    pub fn sign_in_ends_soon(&self, now: Timestamp) -> Option<Timestamp> {
        let is_ready = self.connection.state == ConnectionState::Ready;
        self.sign_in_ends_at.filter(|end| is_ready && end.duration_since(now) <= ENDS_SOON)
    }
}

/// A check that did not succeed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CheckFault {
    /// What happened, in a sentence for the user.
    pub why: String,
    /// When it was made.
    pub at: Timestamp,
}

/// Requests of a connection that were alike and followed each other: what they carried, and where
/// it went. It has the names of secrets and never their values.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LedgerEntry {
    /// Whose secrets.
    pub connection: ConnectionId,
    /// Their names, in order.
    pub secrets: Vec<String>,
    /// Where they went: a host, with its port where that is not the usual one.
    pub host: String,
    /// What for, in a few words.
    pub purpose: String,
    /// When the first was sent.
    pub first_at: Timestamp,
    /// When the last was.
    pub last_at: Timestamp,
    /// How many there were.
    pub times: u64,
}
