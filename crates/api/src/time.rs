//! Times as the API shows them: RFC 3339 in UTC, always with milliseconds.

use std::borrow::Cow;

use jiff::Timestamp;
use serde::{Serialize, Serializer};
use utoipa::openapi::schema::{KnownFormat, ObjectBuilder, SchemaFormat, Type};
use utoipa::openapi::{RefOr, Schema};
use utoipa::{PartialSchema, ToSchema};

/// A moment: `2026-05-12T14:05:22.031Z`. The same length for every moment, so that text order is
/// time order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Time(pub Timestamp);

impl From<Timestamp> for Time {
    fn from(timestamp: Timestamp) -> Self {
        Self(timestamp)
    }
}

impl std::fmt::Display for Time {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:.3}", self.0)
    }
}

impl Serialize for Time {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl PartialSchema for Time {
    fn schema() -> RefOr<Schema> {
        ObjectBuilder::new()
            .schema_type(Type::String)
            .format(Some(SchemaFormat::KnownFormat(KnownFormat::DateTime)))
            .into()
    }
}

impl ToSchema for Time {
    fn name() -> Cow<'static, str> {
        Cow::Borrowed("Time")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_always_has_three_digits_of_a_second() {
        let check = |text: &str| Time(text.parse().unwrap()).to_string();

        assert_eq!(check("2026-05-12T14:05:22Z"), "2026-05-12T14:05:22.000Z");
        assert_eq!(check("2026-05-12T14:05:22.0319Z"), "2026-05-12T14:05:22.031Z");
        assert_eq!(check("2026-05-12T16:05:22.5+02:00"), "2026-05-12T14:05:22.500Z");
    }
}
