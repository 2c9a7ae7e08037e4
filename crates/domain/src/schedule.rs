//! When a sync runs next.
//!
//! An interval counts from the start of the last run, a cron line by the clock of its place. A
//! tick that was missed (the computer slept, the program was off) is due at once and only once:
//! the rule looks forward from *now*, never back over what was missed.
//!
//! When a clock is set forward, croner runs a time that does not exist right after the gap; when
//! it is set back, a time that happens twice runs the first time only, unless the line has a
//! wildcard hour.

use std::cmp::Ordering;

use croner::errors::CronError;
use croner::parser::{CronParser, Seconds, Year};
use croner::{CivilDateTime, Cron, CronDateTime, Resolution, Weekday};
use jiff::civil::DateTime;
use jiff::tz::{AmbiguousOffset, TimeZone};
use jiff::{SignedDuration, Timestamp, ZonedDateTime};

use crate::sync::Schedule;

/// The shortest interval. Less is a load on the other side that nobody needs.
pub const SHORTEST: SignedDuration = SignedDuration::from_secs(10);

/// The longest interval.
pub const LONGEST: SignedDuration = SignedDuration::from_hours(24 * 366);

/// Why a schedule cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ScheduleError {
    /// The interval is not a length of time.
    #[error("`{0}` is not an interval: write a number and s, m, h or d, such as 5m")]
    Interval(String),
    /// The interval is shorter than ten seconds or longer than a year.
    #[error("`{0}` is not between 10s and 366d")]
    Range(String),
    /// The cron line cannot be read, or names no time that ever comes.
    #[error("`{cron}` is not a cron line: {why}")]
    Cron {
        /// What was given.
        cron: String,
        /// What croner said.
        why: String,
    },
    /// There is no such time zone.
    #[error("`{0}` is not a time zone; write one such as Europe/London")]
    Zone(String),
}

impl Schedule {
    /// Whether it can be used, before it is stored.
    ///
    /// # Errors
    ///
    /// See [`ScheduleError`].
    pub fn check(&self, now: Timestamp) -> Result<(), ScheduleError> {
        self.next(None, now).map(drop)
    }

    /// When it is due next, given when the last run started: `now` where that is past already.
    ///
    /// # Errors
    ///
    /// When it cannot be read: a schedule is checked before it is stored, so that means a row of
    /// another version.
    pub fn next(
        &self,
        last: Option<Timestamp>,
        now: Timestamp,
    ) -> Result<Timestamp, ScheduleError> {
        match self {
            Self::Every { every } => {
                let every = interval(every)?;
                // A clock that was set back must not put a run off for longer than its interval.
                Ok(last.map_or(now, |last| (last + every).clamp(now, now + every)))
            }
            Self::Cron { cron, zone } => next_tick(cron, zone, now),
        }
    }

    /// How people say it: `every 5 minutes`, `0 6 * * * in Europe/London`.
    pub fn in_words(&self) -> String {
        match self {
            Self::Every { every } => match interval(every) {
                Ok(every) => format!("every {}", words(every)),
                Err(_) => every.clone(),
            },
            Self::Cron { cron, zone } => match parse(cron) {
                Ok(parsed) => format!("{} ({zone})", lower_first(&parsed.describe())),
                Err(_) => format!("{cron} ({zone})"),
            },
        }
    }
}

fn interval(text: &str) -> Result<SignedDuration, ScheduleError> {
    let unreadable = || ScheduleError::Interval(text.into());
    let unit_at = text.find(|letter: char| !letter.is_ascii_digit()).ok_or_else(unreadable)?;
    let (number, unit) = text.split_at(unit_at);
    let seconds = match unit {
        "s" => 1,
        "m" => 60,
        "h" => 3_600,
        "d" => 86_400,
        _ => return Err(unreadable()),
    };
    let number: i64 = number.parse().map_err(|_| unreadable())?;
    number
        .checked_mul(seconds)
        .map(SignedDuration::from_secs)
        .filter(|every| (SHORTEST..=LONGEST).contains(every))
        .ok_or_else(|| ScheduleError::Range(text.into()))
}

fn words(every: SignedDuration) -> String {
    let seconds = every.as_secs();
    let (number, unit) = [(86_400, "day"), (3_600, "hour"), (60, "minute"), (1, "second")]
        .into_iter()
        .find(|(size, _)| seconds % size == 0)
        .map_or((seconds, "second"), |(size, unit)| (seconds / size, unit));
    if number == 1 { unit.into() } else { format!("{number} {unit}s") }
}

fn lower_first(text: &str) -> String {
    let text = text.trim_end_matches('.');
    let mut letters = text.chars();
    letters.next().map_or(String::new(), |first| first.to_lowercase().chain(letters).collect())
}

fn parse(cron: &str) -> Result<Cron, ScheduleError> {
    CronParser::builder()
        .seconds(Seconds::Disallowed)
        .year(Year::Disallowed)
        .build()
        .parse(cron)
        .map_err(|error| unusable(cron, &error))
}

fn unusable(cron: &str, error: &CronError) -> ScheduleError {
    ScheduleError::Cron { cron: cron.into(), why: error.to_string() }
}

fn next_tick(cron: &str, zone: &str, now: Timestamp) -> Result<Timestamp, ScheduleError> {
    let parsed = parse(cron)?;
    let zone = TimeZone::get(zone).map_err(|_| ScheduleError::Zone(zone.into()))?;
    parsed
        .find_next_occurrence(&Local(now.to_zoned_datetime(zone)), false)
        .map(|local| local.0.timestamp())
        .map_err(|error| unusable(cron, &error))
}

/// A time at a place, as croner wants to walk over it.
#[derive(Clone)]
struct Local(ZonedDateTime);

impl CronDateTime for Local {
    fn to_civil(&self) -> CivilDateTime {
        let civil = self.0.datetime();
        let part = |value: i8| u32::from(value.unsigned_abs());
        CivilDateTime::from_ymd_hms_opt(
            civil.year().into(),
            part(civil.month()),
            part(civil.day()),
            part(civil.hour()),
            part(civil.minute()),
            part(civil.second()),
        )
        .expect("a date of jiff's is a date")
    }

    fn civil_weekday(&self) -> Weekday {
        match self.0.weekday() {
            jiff::civil::Weekday::Sunday => Weekday::Sunday,
            jiff::civil::Weekday::Monday => Weekday::Monday,
            jiff::civil::Weekday::Tuesday => Weekday::Tuesday,
            jiff::civil::Weekday::Wednesday => Weekday::Wednesday,
            jiff::civil::Weekday::Thursday => Weekday::Thursday,
            jiff::civil::Weekday::Friday => Weekday::Friday,
            jiff::civil::Weekday::Saturday => Weekday::Saturday,
        }
    }

    fn resolve_civil(&self, civil: CivilDateTime) -> Result<Resolution<Self>, CronError> {
        let local = datetime(civil).ok_or(CronError::InvalidDate)?;
        let zone = self.0.time_zone();
        let at = |offset: jiff::tz::Offset| {
            offset
                .to_timestamp(local)
                .map(|instant| Self(instant.to_zoned_datetime(zone.clone())))
                .map_err(|_| CronError::InvalidDate)
        };
        match zone.to_ambiguous_zoned_datetime(local).offset() {
            AmbiguousOffset::Unambiguous { offset } => Ok(Resolution::Single(at(offset)?)),
            AmbiguousOffset::Fold { before, after } => {
                Ok(Resolution::Ambiguous(at(before)?, at(after)?))
            }
            AmbiguousOffset::Gap { .. } => Ok(Resolution::Gap),
        }
    }

    fn checked_add_seconds(&self, seconds: i64) -> Option<Self> {
        self.0.checked_add(SignedDuration::from_secs(seconds)).ok().map(Self)
    }

    fn cmp_instant(&self, other: &Self) -> Ordering {
        self.0.timestamp().cmp(&other.0.timestamp())
    }
}

fn datetime(civil: CivilDateTime) -> Option<DateTime> {
    let (date, time) = (civil.date(), civil.time());
    let part = |value: u32| i8::try_from(value).ok();
    DateTime::new(
        i16::try_from(date.year()).ok()?,
        part(date.month())?,
        part(date.day())?,
        part(time.hour())?,
        part(time.minute())?,
        part(time.second())?,
        0,
    )
    .ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn at(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    fn every(text: &str) -> Schedule {
        Schedule::Every { every: text.into() }
    }

    fn cron(line: &str, zone: &str) -> Schedule {
        Schedule::Cron { cron: line.into(), zone: zone.into() }
    }

    fn check(schedule: &Schedule, now: &str, next: &str) {
        assert_eq!(schedule.next(None, at(now)), Ok(at(next)), "{schedule:?} at {now}");
    }

    #[test]
    fn an_interval_counts_from_the_start_of_the_last_run() {
        let (last, now) = (at("2026-03-01T12:00:00Z"), at("2026-03-01T12:01:00Z"));

        assert_eq!(every("5m").next(Some(last), now), Ok(at("2026-03-01T12:05:00Z")));
        assert_eq!(every("5m").next(None, now), Ok(now));
    }

    #[test]
    fn ticks_missed_while_the_computer_slept_are_due_once_and_now() {
        let (last, now) = (at("2026-03-01T12:00:00Z"), at("2026-03-02T08:00:00Z"));

        assert_eq!(every("5m").next(Some(last), now), Ok(now));
    }

    #[test]
    fn a_clock_that_was_set_back_puts_a_run_off_by_one_interval_at_most() {
        let (last, now) = (at("2027-03-01T12:00:00Z"), at("2026-03-01T12:00:00Z"));

        assert_eq!(every("5m").next(Some(last), now), Ok(at("2026-03-01T12:05:00Z")));
    }

    #[test]
    fn both_ends_of_the_range_are_taken_and_nothing_beyond() {
        let now = at("2026-03-01T12:00:00Z");
        for good in ["10s", "366d", "1m", "8784h"] {
            assert_eq!(every(good).check(now), Ok(()), "{good}");
        }
        for out in ["9s", "367d", "0m", "9223372036854775807d"] {
            assert_eq!(every(out).check(now), Err(ScheduleError::Range(out.into())));
        }
        for bad in ["", "m", "5", "-5m", "5w", "5 m", "1.5h", "99999999999999999999s"] {
            assert_eq!(every(bad).check(now), Err(ScheduleError::Interval(bad.into())));
        }
    }

    #[test]
    fn a_cron_line_follows_the_clock_of_its_place() {
        let daily = cron("0 6 * * *", "Europe/London");
        check(&daily, "2026-01-10T05:59:59Z", "2026-01-10T06:00:00Z");
        check(&daily, "2026-01-10T06:00:00Z", "2026-01-11T06:00:00Z");
        check(&daily, "2026-07-10T00:00:00Z", "2026-07-10T05:00:00Z");
        check(
            &cron("30 9 * * mon", "America/New_York"),
            "2026-11-24T12:00:00Z",
            "2026-11-30T14:30:00Z",
        );
    }

    #[test]
    fn a_time_that_a_clock_change_leaves_out_runs_right_after_it() {
        check(&cron("30 1 * * *", "Europe/London"), "2026-03-29T00:59:00Z", "2026-03-29T01:00:00Z");
    }

    #[test]
    fn a_time_that_a_clock_change_repeats_runs_once() {
        let once = cron("30 1 * * *", "Europe/London");
        check(&once, "2026-10-25T00:00:00Z", "2026-10-25T00:30:00Z");
        check(&once, "2026-10-25T00:30:00Z", "2026-10-26T01:30:00Z");
    }

    #[test]
    fn a_cron_line_or_zone_that_cannot_be_read_says_so() {
        let now = at("2026-03-01T12:00:00Z");
        for line in ["", "* * * *", "61 * * * *", "* * * * * *", "0 0 30 2 *", "sometimes"] {
            let checked = cron(line, "UTC").check(now);
            assert!(matches!(checked, Err(ScheduleError::Cron { .. })), "{line}: {checked:?}");
        }
        assert_eq!(
            cron("0 6 * * *", "Mars/Base").check(now),
            Err(ScheduleError::Zone("Mars/Base".into()))
        );
    }

    #[test]
    fn it_is_said_in_words() {
        assert_eq!(every("5m").in_words(), "every 5 minutes");
        assert_eq!(every("60s").in_words(), "every minute");
        assert_eq!(every("90s").in_words(), "every 90 seconds");
        assert_eq!(every("24h").in_words(), "every day");
        assert!(cron("0 6 * * *", "Europe/London").in_words().ends_with("(Europe/London)"));
    }

    proptest! {
        #[test]
        fn the_next_run_is_never_before_now(last in 0i64..4_000_000_000, now in 0i64..4_000_000_000, number in 10u32..10_000) {
            let now = Timestamp::from_second(now).unwrap();
            let last = Timestamp::from_second(last).unwrap();

            let interval = every(&format!("{number}s"));
            prop_assert!(interval.next(Some(last), now).unwrap() >= now);
            prop_assert!(cron("*/7 3,15 * * *", "Europe/Berlin").next(Some(last), now).unwrap() > now);
        }
    }
}
