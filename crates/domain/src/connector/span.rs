//! Lengths of time as a connector writes them: `300s`, `5m`, `2h`, `60d`.

use std::fmt;
use std::str::FromStr;

use jiff::SignedDuration;
use serde::Deserialize;

/// A length of time: a whole number and `ms`, `s`, `m`, `h` or `d`. Never negative.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Deserialize)]
#[serde(try_from = "String")]
pub struct Span(SignedDuration);

impl Span {
    /// This many seconds.
    pub const fn seconds(seconds: u32) -> Self {
        Self(SignedDuration::from_secs(seconds as i64))
    }

    /// This many milliseconds.
    pub const fn millis(millis: u32) -> Self {
        Self(SignedDuration::from_millis(millis as i64))
    }

    /// For calculations.
    pub const fn get(self) -> SignedDuration {
        self.0
    }
}

/// Text that is not a length of time.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not a length of time: expected a number and `ms`, `s`, `m`, `h` or `d`")]
pub struct SpanError(String);

impl FromStr for Span {
    type Err = SpanError;

    fn from_str(text: &str) -> Result<Self, SpanError> {
        let error = || SpanError(text.into());
        let unit_at = text.find(|c: char| !c.is_ascii_digit()).ok_or_else(error)?;
        let (number, unit) = text.split_at(unit_at);
        let millis = match unit {
            "ms" => 1,
            "s" => 1_000,
            "m" => 60_000,
            "h" => 3_600_000,
            "d" => 86_400_000,
            _ => return Err(error()),
        };
        // Ten digits of days are millions of years: more is a slip, and would overflow below.
        if number.len() > 10 {
            return Err(error());
        }
        let number: i64 = number.parse().map_err(|_| error())?;
        Ok(Self(SignedDuration::from_millis(number * millis)))
    }
}

impl TryFrom<String> for Span {
    type Error = SpanError;

    fn try_from(text: String) -> Result<Self, SpanError> {
        text.parse()
    }
}

impl fmt::Display for Span {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let millis = self.0.as_millis();
        for (unit, name) in [(86_400_000, "d"), (3_600_000, "h"), (60_000, "m"), (1_000, "s")] {
            if millis != 0 && millis % unit == 0 {
                return write!(f, "{}{name}", millis / unit);
            }
        }
        write!(f, "{millis}ms")
    }
}

impl schemars::JsonSchema for Span {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Span".into()
    }

    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({
            "type": "string",
            "pattern": "^[0-9]{1,10}(ms|s|m|h|d)$",
            "description": "A length of time, such as 300s, 5m, 2h or 60d",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_number_and_a_unit_are_a_length_of_time() {
        assert_eq!("300s".parse(), Ok(Span::seconds(300)));
        assert_eq!("5m".parse(), Ok(Span::seconds(300)));
        assert_eq!("1d".parse(), Ok(Span::seconds(86_400)));
    }

    #[test]
    fn anything_else_is_refused() {
        for text in ["", "5", "m", "-5m", "5 m", "5w", "1.5h", "99999999999d", "5m3s", "5M"] {
            assert!(text.parse::<Span>().is_err(), "{text}");
        }
    }

    proptest! {
        #[test]
        fn what_is_shown_reads_as_the_same(number in 0u32.., unit in "ms|s|m|h|d") {
            let span: Span = format!("{number}{unit}").parse().unwrap();

            prop_assert_eq!(span.to_string().parse(), Ok(span));
        }
    }
}
