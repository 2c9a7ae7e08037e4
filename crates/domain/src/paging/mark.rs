//! What a run was the newest of: a time, or a number or text that only grows.

use std::cmp::Ordering;

use jiff::civil::{Date, DateTime};
use jiff::fmt::{rfc2822, strtime};
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp, Unit};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::connector::{CursorFormat, Granularity};

/// The newest that was seen. A time is kept as RFC 3339, whatever the other side writes; anything
/// else as it came.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub(super) struct Mark(String);

impl Mark {
    pub(super) fn of_time(time: Timestamp) -> Self {
        Self(time.to_string())
    }

    /// Reads what the other side wrote; none where it is not of `format`.
    pub(super) fn read(text: &str, format: &CursorFormat) -> Option<Self> {
        match format {
            CursorFormat::Integer => {
                let digits = text.strip_prefix('-').unwrap_or(text);
                let is_number = !digits.is_empty() && digits.bytes().all(|it| it.is_ascii_digit());
                is_number.then(|| Self(text.into()))
            }
            CursorFormat::Decimal => text.parse::<f64>().ok().map(|_| Self(text.into())),
            CursorFormat::Text => Some(Self(text.into())),
            time => read_time(text, time).map(Self::of_time),
        }
    }

    /// The time, where it is one.
    pub(super) fn time(&self) -> Option<Timestamp> {
        self.0.parse().ok()
    }

    /// So much earlier, where it is a time.
    pub(super) fn earlier(&self, overlap: SignedDuration) -> Self {
        match self.time() {
            Some(time) if !overlap.is_zero() => {
                Self::of_time(time.checked_sub(overlap).unwrap_or(Timestamp::MIN))
            }
            _ => self.clone(),
        }
    }

    /// As it is written in a request: a number where it is one.
    pub(super) fn value(&self, format: &CursorFormat, granularity: Granularity) -> Value {
        if !format.is_time() {
            let number = *format == CursorFormat::Integer;
            let number = number.then(|| serde_json::from_str(&self.0).ok()).flatten();
            return number.unwrap_or_else(|| Value::String(self.0.clone()));
        }
        match self.time() {
            Some(time) => written(cut(time, granularity), format),
            None => Value::String(self.0.clone()),
        }
    }

    /// Which of two is newer.
    pub(super) fn compare(&self, other: &Self, format: &CursorFormat) -> Ordering {
        match format {
            CursorFormat::Integer => integers(&self.0, &other.0),
            CursorFormat::Decimal => decimals(&self.0, &other.0),
            CursorFormat::Text => self.0.cmp(&other.0),
            _ => self.time().cmp(&other.time()),
        }
    }

    /// The newer of two.
    pub(super) fn newer(a: Option<Self>, b: Option<Self>, format: &CursorFormat) -> Option<Self> {
        match (a, b) {
            (Some(a), Some(b)) => Some(if a.compare(&b, format).is_lt() { b } else { a }),
            (a, b) => a.or(b),
        }
    }
}

/// Whole numbers of any size: a double would round the late ones.
fn integers(a: &str, b: &str) -> Ordering {
    match (a.strip_prefix('-'), b.strip_prefix('-')) {
        (Some(a), Some(b)) => naturals(b, a),
        (Some(_), None) => Ordering::Less,
        (None, Some(_)) => Ordering::Greater,
        (None, None) => naturals(a, b),
    }
}

fn naturals(a: &str, b: &str) -> Ordering {
    let (a, b) = (a.trim_start_matches('0'), b.trim_start_matches('0'));
    a.len().cmp(&b.len()).then_with(|| a.cmp(b))
}

fn decimals(a: &str, b: &str) -> Ordering {
    let split = |text: &str| {
        let (whole, part) = text.split_once('.').unwrap_or((text, ""));
        (whole.to_owned(), part.trim_end_matches('0').to_owned())
    };
    let ((a_whole, a_part), (b_whole, b_part)) = (split(a), split(b));
    integers(&a_whole, &b_whole).then_with(|| a_part.cmp(&b_part))
}

/// The beginning of the millisecond, second, minute or day in which `time` is.
pub(super) fn cut(time: Timestamp, granularity: Granularity) -> Timestamp {
    let step = match granularity {
        Granularity::Millisecond => 1,
        Granularity::Second => 1_000,
        Granularity::Minute => 60_000,
        Granularity::Day => 86_400_000,
    };
    let millis = time.as_millisecond();
    Timestamp::from_millisecond(millis - millis.rem_euclid(step)).unwrap_or(Timestamp::MIN)
}

/// A time as the other side writes it.
pub(super) fn written(time: Timestamp, format: &CursorFormat) -> Value {
    let civil = || time.to_zoned_datetime(TimeZone::UTC).datetime();
    let text = match format {
        CursorFormat::EpochSeconds => return time.as_second().into(),
        CursorFormat::EpochMillis => return time.as_millisecond().into(),
        CursorFormat::Rfc3339Seconds => format!("{:.0}", cut(time, Granularity::Second)),
        CursorFormat::Date => civil().date().to_string(),
        CursorFormat::Civil => {
            format!("{:.0}", cut(time, Granularity::Second)).trim_end_matches('Z').to_owned()
        }
        CursorFormat::Rfc2822 => {
            let zoned = time.to_zoned_datetime(TimeZone::UTC);
            rfc2822::to_string(&zoned).unwrap_or_default()
        }
        CursorFormat::Strftime(pattern) => {
            strtime::format(pattern, &time.to_zoned_datetime(TimeZone::UTC)).unwrap_or_default()
        }
        _ => format!("{time:.3}"),
    };
    Value::String(text)
}

/// A time as the other side wrote it; none where it is not one.
pub fn read_time(text: &str, format: &CursorFormat) -> Option<Timestamp> {
    let text = text.trim();
    let utc =
        |civil: DateTime| civil.to_zoned_datetime(TimeZone::UTC).ok().map(|it| it.timestamp());
    let time = match format {
        CursorFormat::Rfc3339 | CursorFormat::Rfc3339Seconds => text.parse().ok()?,
        CursorFormat::EpochSeconds => since_1970(text, 1_000)?,
        CursorFormat::EpochMillis => since_1970(text, 1)?,
        CursorFormat::Date => utc(text.parse::<Date>().ok()?.to_datetime(jiff::civil::Time::MIN))?,
        // Some send a zone after all.
        CursorFormat::Civil => {
            text.parse().ok().or_else(|| utc(text.parse::<DateTime>().ok()?))?
        }
        CursorFormat::Rfc2822 => rfc2822::DateTimeParser::new().parse_timestamp(text).ok()?,
        CursorFormat::Strftime(pattern) => {
            let parsed = strtime::parse(pattern, text).ok()?;
            parsed.to_timestamp().ok().or_else(|| {
                let date = parsed.to_date().ok()?;
                let time = parsed.to_time().unwrap_or(jiff::civil::Time::MIN);
                utc(date.to_datetime(time))
            })?
        }
        CursorFormat::Integer | CursorFormat::Decimal | CursorFormat::Text => return None,
    };
    // Kept in milliseconds, as all our times: a finer time cut off is asked for again.
    time.round(jiff::TimestampRound::new().smallest(Unit::Millisecond).mode(jiff::RoundMode::Floor))
        .ok()
}

/// A number of seconds or milliseconds. Whole ones are read as such, since a double would round
/// the late ones; some write seconds with decimals.
fn since_1970(text: &str, millis: i64) -> Option<Timestamp> {
    if let Ok(whole) = text.parse::<i64>() {
        return Timestamp::from_millisecond(whole.checked_mul(millis)?).ok();
    }
    let millis = text.parse::<f64>().ok()? * millis as f64;
    Timestamp::from_duration(SignedDuration::try_from_secs_f64(millis / 1_000.0).ok()?).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn times_are_read_and_written_in_every_form() {
        let time: Timestamp = "2026-11-24T10:00:01.250Z".parse().unwrap();
        let second = cut(time, Granularity::Second);
        let day = cut(time, Granularity::Day);
        for (format, text, back) in [
            (CursorFormat::Rfc3339, "2026-11-24T10:00:01.250Z", time),
            (CursorFormat::Rfc3339Seconds, "2026-11-24T10:00:01Z", second),
            (CursorFormat::EpochSeconds, "1795514401", second),
            (CursorFormat::EpochMillis, "1795514401250", time),
            (CursorFormat::Date, "2026-11-24", day),
            (CursorFormat::Civil, "2026-11-24T10:00:01", second),
            (CursorFormat::Rfc2822, "Tue, 24 Nov 2026 10:00:01 +0000", second),
            (CursorFormat::Strftime("%m-%d-%Y".into()), "11-24-2026", day),
        ] {
            let value = written(time, &format);
            assert_eq!(value.as_str().map_or_else(|| value.to_string(), str::to_owned), text);
            assert_eq!(read_time(text, &format), Some(back), "{text}");
            assert_eq!(read_time("soon", &format), None);
        }
        assert_eq!(read_time("2026-11-24T12:00:01+02:00", &CursorFormat::Civil), Some(second));
    }

    #[test]
    fn what_is_no_time_is_compared_as_what_it_is() {
        let newer = |a: &str, b: &str, format| {
            let read = |text| Mark::read(text, &format).unwrap();
            read(a).compare(&read(b), &format)
        };

        // Snowflakes above 2^53, which a double would take for the same.
        assert!(newer("9007199254740993", "9007199254740992", CursorFormat::Integer).is_gt());
        assert!(newer("99", "100", CursorFormat::Integer).is_lt());
        assert!(newer("-2", "-10", CursorFormat::Integer).is_gt());
        assert!(newer("1700000000.123457", "1700000000.123456", CursorFormat::Decimal).is_gt());
        assert!(newer("99.5", "100.1", CursorFormat::Decimal).is_lt());
        assert!(newer("1.10", "1.1", CursorFormat::Decimal).is_eq());
        assert!(newer("b", "a", CursorFormat::Text).is_gt());
        assert_eq!(Mark::read("abc", &CursorFormat::Integer), None);
    }

    proptest! {
        #[test]
        fn whole_numbers_are_compared_as_numbers(a: i64, b: i64) {
            prop_assert_eq!(integers(&a.to_string(), &b.to_string()), a.cmp(&b));
        }
    }
}
