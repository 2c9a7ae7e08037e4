//! Records: things in a stream, as last seen.

use jiff::Timestamp;

use crate::id::{ConnectionId, RecordId};

/// What joins the parts of a key that has several.
pub const KEY_SEPARATOR: &str = "\u{1f}";

/// A record as it came on a page.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewRecord {
    /// Its key within the stream. Several parts are joined with [`KEY_SEPARATOR`].
    pub key: String,
    /// Which version, where the stream says.
    pub version: Option<String>,
    /// The JSON text, numbers and order as written.
    pub data: String,
    /// Whether the provider says that it is gone.
    pub deleted: bool,
}

/// A record as stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Record {
    /// Its id.
    pub id: RecordId,
    /// Whose.
    pub connection: ConnectionId,
    /// In which stream.
    pub stream: String,
    /// What was last seen of it.
    pub record: NewRecord,
    /// When it was first seen.
    pub first_seen_at: Timestamp,
    /// When it last changed, by our clock.
    pub changed_at: Timestamp,
}

/// Which records are wanted. All that is set must hold.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct RecordFilter {
    /// Those of this connection.
    pub connection: Option<ConnectionId>,
    /// Those of this stream.
    pub stream: Option<String>,
    /// Those in which this text stands.
    pub text: Option<String>,
}
