//! Events: things that happened, as rows of the log.

use bytes::Bytes;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::id::{ConnectionId, EventId, InboxId};

/// How an event came to us.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Origin {
    /// A webhook.
    Push,
    /// Fetched by us, because the webhook never came.
    Recovered,
    /// A change that a sync saw.
    Sync,
    /// Made by the user.
    Hand,
}

/// Why we believe an event.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Proof {
    /// Its signature was right.
    Verified,
    /// Nobody signed it, and the user allows that.
    Unsigned,
    /// Stored, to be verified when the vault opens.
    Held,
    /// The provider itself gave it to us.
    Recovered,
}

/// What was checked on an event, for the sentence and the tab that explain it.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct ProofDetail {
    /// Which rule of the connector: `standard-webhooks`, `hmac`, …
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scheme: Option<String>,
    /// The header that carried the signature.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub header: Option<String>,
    /// What was signed, in words: `webhook-id.webhook-timestamp.body`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub signed: Option<String>,
    /// Which of several secrets fitted, 1 being the newest.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub secret: Option<u32>,
    /// Whose event it is, by the sender's word: what accounts are called there, which need not be
    /// what its connection is called here.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub account: Option<String>,
}

/// The thing, and the version of it, that an event speaks of.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct About {
    /// The stream in which the thing is.
    pub stream: String,
    /// Its key there.
    pub record_key: String,
    /// Which version of it, where the sender says.
    pub record_version: Option<String>,
}

/// Header names and values in the order and number in which they came; values that are secrets
/// are stored as `[secret:NAME]` or `[masked]`.
pub type Headers = Vec<(String, String)>;

/// An event that is not stored yet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewEvent {
    /// Where it came in.
    pub inbox: InboxId,
    /// The connection of that inbox.
    pub connection: Option<ConnectionId>,
    /// The sender's word for what happened: `order.created`. Empty where it has none.
    pub event_type: String,
    /// What an owner looks for in the log: `#1001 · 19.90 EUR`.
    pub title: String,
    /// The sender's own id for it.
    pub external_id: Option<String>,
    /// What it speaks of.
    pub about: Option<About>,
    /// When it happened, by the sender's word.
    pub occurred_at: Option<Timestamp>,
    /// When it came, by our clock.
    pub received_at: Timestamp,
    /// How it came.
    pub origin: Origin,
    /// Why we believe it.
    pub proof: Proof,
    /// What was checked.
    pub proof_detail: ProofDetail,
    /// The request's method.
    pub method: String,
    /// The request's query string, secrets masked.
    pub query: Option<String>,
    /// The request's headers, secrets masked.
    pub headers: Headers,
    /// The body, byte for byte.
    pub body: Bytes,
    /// Whether it comes from the sandbox.
    pub sandbox: bool,
}

/// One row of the log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EventSummary {
    /// Its id.
    pub id: EventId,
    /// Where it came in.
    pub inbox: InboxId,
    /// See [`NewEvent::event_type`].
    pub event_type: String,
    /// See [`NewEvent::title`].
    pub title: String,
    /// The sender's own id for it.
    pub external_id: Option<String>,
    /// When it came.
    pub received_at: Timestamp,
    /// How many bytes its body has.
    pub size_bytes: u64,
    /// How it came.
    pub origin: Origin,
    /// Why we believe it.
    pub proof: Proof,
    /// How many times it arrived.
    pub arrived: u32,
    /// Whether it comes from the sandbox.
    pub sandbox: bool,
}

/// An event with all that is kept of it, apart from its body.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Event {
    /// Its row.
    pub summary: EventSummary,
    /// The connection of its inbox.
    pub connection: Option<ConnectionId>,
    /// What it speaks of.
    pub about: Option<About>,
    /// When it happened, by the sender's word.
    pub occurred_at: Option<Timestamp>,
    /// What was checked.
    pub proof_detail: ProofDetail,
    /// The request's method.
    pub method: String,
    /// The request's query string, secrets masked.
    pub query: Option<String>,
    /// The request's headers, secrets masked.
    pub headers: Headers,
    /// When it first and last arrived; the same where it came once.
    pub first_at: Timestamp,
    /// When it last arrived.
    pub last_at: Timestamp,
}

/// Which events are wanted. All that is set must hold.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct EventFilter {
    /// Those of this inbox.
    pub inbox: Option<InboxId>,
    /// Those of this type.
    pub event_type: Option<String>,
    /// Those in which these words stand (title, type, ids, headers' values, body).
    pub text: Option<String>,
    /// Those received at or after.
    pub since: Option<Timestamp>,
    /// Those received before.
    pub until: Option<Timestamp>,
}

/// A digest of what makes a repeat recognisable: the same on every try of one message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct DedupeKey(pub [u8; 16]);

/// One request that came for an inbox and was accepted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Arrival {
    /// What makes a repeat of it recognisable. Without one, every arrival is an event.
    pub key: Option<DedupeKey>,
    /// What it says.
    pub event: NewEvent,
}

/// What became of an arrival.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Accepted {
    /// It is a new event.
    New(EventId),
    /// It was there already, or was there once and has been removed since.
    Repeat(EventId),
}

/// How many events an inbox had in each step of a span.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EventRate {
    /// The inbox.
    pub inbox: InboxId,
    /// One number a step, oldest first.
    pub counts: Vec<u64>,
}
