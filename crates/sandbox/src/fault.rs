//! What goes wrong on purpose.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::random::happens;

/// The longest that anything is held up, in milliseconds.
const LONGEST_MS: u64 = 60_000;

/// What goes wrong on purpose, each by itself; nothing does at first.
///
/// Probabilities are from 0 (never) to 1 (always). Which webhooks they strike follows from the
/// seed and the event's number alone.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize)]
pub struct Faults {
    /// How likely a webhook is lost on its way, without a retry.
    pub drop: f64,
    /// How likely a webhook is sent twice, with the same id.
    pub duplicate: f64,
    /// How likely a webhook is overtaken by the one after it.
    pub reorder: f64,
    /// How long each webhook waits before it is sent.
    pub delay_ms: u64,
    /// How likely a request to the REST API is answered with 429.
    pub answer_429: f64,
    /// How likely a request to the REST API is answered with 500.
    pub answer_500: f64,
    /// How long each request to the REST API waits before it is answered.
    pub slow_ms: u64,
}

/// A change to [`Faults`]: what is left out stays as it is.
#[derive(Debug, Clone, Copy, PartialEq, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct FaultChange {
    drop: Option<f64>,
    duplicate: Option<f64>,
    reorder: Option<f64>,
    delay_ms: Option<u64>,
    answer_429: Option<f64>,
    answer_500: Option<f64>,
    slow_ms: Option<u64>,
}

impl Faults {
    /// These faults with a change made to them, or the field that is out of range and its range.
    pub(crate) fn changed(self, change: FaultChange) -> Result<Self, String> {
        let new = Self {
            drop: change.drop.unwrap_or(self.drop),
            duplicate: change.duplicate.unwrap_or(self.duplicate),
            reorder: change.reorder.unwrap_or(self.reorder),
            delay_ms: change.delay_ms.unwrap_or(self.delay_ms),
            answer_429: change.answer_429.unwrap_or(self.answer_429),
            answer_500: change.answer_500.unwrap_or(self.answer_500),
            slow_ms: change.slow_ms.unwrap_or(self.slow_ms),
        };
        let wrong = [
            ("drop", new.drop),
            ("duplicate", new.duplicate),
            ("reorder", new.reorder),
            ("answer_429", new.answer_429),
            ("answer_500", new.answer_500),
        ]
        .into_iter()
        .find(|(_, probability)| !(0.0..=1.0).contains(probability));
        let too_long = [("delay_ms", new.delay_ms), ("slow_ms", new.slow_ms)]
            .into_iter()
            .find(|&(_, milliseconds)| milliseconds > LONGEST_MS);
        match (wrong, too_long) {
            (Some((name, _)), _) => Err(format!("`{name}` is a number from 0 to 1")),
            (None, Some((name, _))) => {
                Err(format!("`{name}` is at most {LONGEST_MS} milliseconds"))
            }
            (None, None) => Ok(new),
        }
    }

    pub(crate) fn drops(&self, seed: u64, event: u64) -> bool {
        happens(seed, "drop", event, self.drop)
    }

    pub(crate) fn duplicates(&self, seed: u64, event: u64) -> bool {
        happens(seed, "duplicate", event, self.duplicate)
    }

    pub(crate) fn reorders(&self, seed: u64, event: u64) -> bool {
        happens(seed, "reorder", event, self.reorder)
    }

    pub(crate) fn delay(&self) -> Duration {
        Duration::from_millis(self.delay_ms)
    }

    pub(crate) fn slow(&self) -> Duration {
        Duration::from_millis(self.slow_ms)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_left_out_stays_and_what_is_out_of_range_is_named() {
        let faults = Faults { drop: 0.2, ..Faults::default() };

        let changed = faults.changed(FaultChange { slow_ms: Some(60_000), ..Default::default() });
        assert_eq!(changed, Ok(Faults { slow_ms: 60_000, ..faults }));
        let wrong = FaultChange { drop: Some(1.1), ..Default::default() };
        assert_eq!(faults.changed(wrong), Err("`drop` is a number from 0 to 1".into()));
        let nan = FaultChange { reorder: Some(f64::NAN), ..Default::default() };
        assert_eq!(faults.changed(nan), Err("`reorder` is a number from 0 to 1".into()));
        let long = FaultChange { delay_ms: Some(60_001), ..Default::default() };
        assert_eq!(faults.changed(long), Err("`delay_ms` is at most 60000 milliseconds".into()));
    }
}
