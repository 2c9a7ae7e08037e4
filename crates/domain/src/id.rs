//! Ids: 63-bit numbers that the store hands out, shown as a noun and 13 base32 characters.
//!
//! An id means identity and, for events, order; nothing else can be read from it. In JSON it is a
//! string, since JavaScript's numbers stop at 2^53. The alphabet is Crockford's in lower case:
//! no `i`, `l`, `o` or `u`, and text order is number order.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

const ALPHABET: &[u8; 32] = b"0123456789abcdefghjkmnpqrstvwxyz";
const DIGITS: usize = 13;

/// Text that is not an id of the noun that was asked for.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{text}` is not an id that starts with `{prefix}_`")]
pub struct IdError {
    /// What was given.
    pub text: String,
    /// What an id of this noun starts with.
    pub prefix: &'static str,
}

fn encode(number: i64) -> [u8; DIGITS] {
    let mut digits = [b'0'; DIGITS];
    let mut rest = number.cast_unsigned();
    for digit in digits.iter_mut().rev() {
        *digit = ALPHABET[(rest & 31) as usize];
        rest >>= 5;
    }
    digits
}

fn decode(text: &str) -> Option<i64> {
    if text.len() != DIGITS {
        return None;
    }
    let number = text.bytes().try_fold(0u128, |number, byte| {
        let digit = ALPHABET.iter().position(|&letter| letter == byte)?;
        Some(number << 5 | digit as u128)
    })?;
    i64::try_from(number).ok()
}

macro_rules! ids {
    ($($(#[$doc:meta])* $name:ident = $prefix:literal;)*) => {$(
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(i64);

        impl $name {
            /// What the text of such an id starts with, before the underscore.
            pub const PREFIX: &'static str = $prefix;

            /// The id with this number.
            pub const fn new(number: i64) -> Self {
                Self(number)
            }

            /// The number that the store knows.
            pub const fn get(self) -> i64 {
                self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(concat!($prefix, "_"))?;
                encode(self.0).iter().try_for_each(|&digit| fmt::Write::write_char(f, digit.into()))
            }
        }

        impl FromStr for $name {
            type Err = IdError;

            fn from_str(text: &str) -> Result<Self, IdError> {
                text.strip_prefix(concat!($prefix, "_"))
                    .and_then(decode)
                    .map(Self)
                    .ok_or_else(|| IdError { text: text.into(), prefix: $prefix })
            }
        }

        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(self)
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
                text.parse().map_err(serde::de::Error::custom)
            }
        }
    )*};
}

ids! {
    /// One thing that happened. Handed out inside the write transaction: a reader who has seen
    /// one never later finds a new event at or below it.
    EventId = "evt";
    /// An address that receives webhooks.
    InboxId = "inb";
    /// An account of the user at a connector.
    ConnectionId = "con";
    /// A stream of a connection that is kept up to date.
    SyncId = "syn";
    /// One run of a sync.
    SyncRunId = "run";
    /// A request that was not accepted.
    RefusalId = "ref";
    /// A thing in a stream, as last seen.
    RecordId = "rec";
    /// What makes the inboxes reachable from outside.
    TunnelId = "tun";
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn is_shown_as_its_noun_and_13_characters() {
        assert_eq!(EventId::new(0).to_string(), "evt_0000000000000");
        assert_eq!(EventId::new(33).to_string(), "evt_0000000000011");
        assert_eq!(EventId::new(i64::MAX).to_string(), "evt_7zzzzzzzzzzzz");
    }

    #[test]
    fn text_of_another_noun_or_shape_is_refused() {
        for text in [
            "inb_0000000000000",
            "evt_",
            "evt_000000000000",
            "evt_00000000000000",
            "evt_000000000000u",
            "evt_8000000000000",
            "evt_zzzzzzzzzzzzz",
            "",
        ] {
            assert!(text.parse::<EventId>().is_err(), "{text}");
        }
    }

    proptest! {
        #[test]
        fn text_and_number_agree_and_sort_alike(a in 0..=i64::MAX, b in 0..=i64::MAX) {
            let (a, b) = (EventId::new(a), EventId::new(b));

            prop_assert_eq!(a.to_string().parse::<EventId>(), Ok(a));
            prop_assert_eq!(a.to_string().cmp(&b.to_string()), a.cmp(&b));
        }
    }
}
