//! Refusals: requests that were not accepted, and why.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::event::Headers;
use crate::id::{InboxId, RefusalId};

/// Why a request was not accepted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Reason {
    /// No inbox has this address.
    UnknownPath,
    /// Neither POST nor a handshake of the connector.
    Method,
    /// The body is larger than an inbox takes.
    TooLarge,
    /// The body or the headers took too long.
    TooSlow,
    /// The signature, or a header that it needs, is not there.
    Unsigned,
    /// A header that the signature needs cannot be read.
    Malformed,
    /// The signature is right but too old or too new.
    Stale,
    /// The signature is not one of this inbox's secrets.
    WrongSignature,
    /// The inbox has no secret yet, so that nothing can be verified.
    NoSecret,
    /// The sender's key, or the certificate with it, could not be fetched.
    NoKey,
    /// The certificate of the signature is not one to believe.
    BadCertificate,
    /// Nobody signs this, and it is not what the inbox is for.
    Unwanted,
    /// The vault is locked, and the proof is a secret that must not be stored.
    VaultLocked,
    /// The vault does not hold the inbox's secret any more.
    SecretLost,
    /// The vault cannot be used, for another reason than being locked.
    VaultUnusable,
    /// More came than could be written.
    Overload,
    /// The inbox's connector cannot be read.
    NoConnector,
}

/// A refusal that is not stored yet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewRefusal {
    /// For which inbox; none for an unknown path, and where no path could be read.
    pub inbox: Option<InboxId>,
    /// When it came.
    pub at: Timestamp,
    /// From where, where that is known.
    pub address: Option<String>,
    /// Its method.
    pub method: String,
    /// Its path, the key of an inbox masked.
    pub path: String,
    /// Why.
    pub reason: Reason,
    /// The reason in a sentence, with what was seen: `signed 7 minutes ago`.
    pub message: String,
    /// The headers, secrets masked.
    pub headers: Headers,
    /// The first 4 KiB of the body.
    pub body_start: Vec<u8>,
    /// How large the body was, as far as it was read.
    pub size_bytes: u64,
}

/// A refusal as stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    /// Its id.
    pub id: RefusalId,
    /// What was refused.
    pub refused: NewRefusal,
    /// How many of the same address, reason and message came within this minute, where they are for
    /// no inbox; 1 for all others.
    pub times: u32,
}
