//! Parts of a PATCH that may be left out, be null, or be set.

use serde::{Deserialize, Deserializer};

/// `None`: left out, so it stays. `Some(None)`: null, so it goes away. `Some(Some(_))`: set.
pub(crate) type Change<T> = Option<Option<T>>;

/// For `#[serde(default, deserialize_with = "change")]`; serde alone takes null for left out.
pub(crate) fn change<'de, T, D>(deserializer: D) -> Result<Change<T>, D::Error>
where
    T: Deserialize<'de>,
    D: Deserializer<'de>,
{
    Option::deserialize(deserializer).map(Some)
}
