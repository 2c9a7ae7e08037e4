//! How a run at work is getting on. Kept in memory only: after a restart it is measured anew.

use std::collections::VecDeque;
use std::time::Duration;

use tokio::time::Instant;

use super::Progress;

/// Over how long the rate is measured.
const WINDOW: Duration = Duration::from_secs(10);

/// Counts what a run does.
#[derive(Debug)]
pub(super) struct Meter {
    requests: u64,
    /// Records of the reading under way, those of earlier runs among them.
    records: u64,
    expected: Option<u64>,
    /// How many records there were when, at the ends of the last pages.
    recent: VecDeque<(Instant, u64)>,
}

impl Meter {
    /// One that begins now, in the middle of a reading if `records` were read before.
    pub(super) fn begin(now: Instant, records: u64, expected: Option<u64>) -> Self {
        Self { requests: 0, records, expected, recent: VecDeque::from([(now, records)]) }
    }

    pub(super) fn requested(&mut self, requests: u32) {
        self.requests += u64::from(requests);
    }

    /// A page was written.
    pub(super) fn wrote(&mut self, now: Instant, records: u64, expected: Option<u64>) {
        self.records += records;
        self.expected = expected.or(self.expected);
        self.recent.push_back((now, self.records));
        // One from before the window stays, so that the window is full.
        while self.recent.get(1).is_some_and(|(at, _)| now.duration_since(*at) >= WINDOW) {
            self.recent.pop_front();
        }
    }

    pub(super) fn progress(&self, now: Instant) -> Progress {
        let rate = self.recent.front().map_or(0.0, |&(at, records)| {
            // In less time than this nothing can be measured.
            let seconds = now.duration_since(at).as_secs_f64().max(0.05);
            (self.records - records) as f64 / seconds
        });
        let left = self.expected.map(|expected| expected.saturating_sub(self.records));
        let seconds_left = match left {
            Some(0) => Some(0),
            Some(left) if rate > 0.0 => Some((left as f64 / rate).ceil() as u64),
            _ => None,
        };
        Progress {
            records_per_second: rate,
            seconds_left,
            requests: self.requests,
            why: None,
            until: None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_rate_is_that_of_the_last_seconds() {
        let start = Instant::now();
        let after = |seconds| start + Duration::from_secs(seconds);
        let mut meter = Meter::begin(start, 0, None);
        assert_eq!(meter.progress(after(1)).records_per_second, 0.0);

        meter.wrote(after(1), 1_000, Some(1_500));
        let progress = meter.progress(after(1));
        assert_eq!((progress.records_per_second, progress.seconds_left), (1_000.0, Some(1)));

        meter.wrote(after(20), 100, None);
        meter.wrote(after(30), 100, None);
        let progress = meter.progress(after(30));
        assert_eq!((progress.records_per_second, progress.seconds_left), (10.0, Some(30)));
    }

    #[test]
    fn what_earlier_runs_read_is_not_left() {
        let start = Instant::now();
        let mut meter = Meter::begin(start, 900, Some(1_000));

        meter.wrote(start + Duration::from_secs(1), 50, None);

        let progress = meter.progress(start + Duration::from_secs(1));
        assert_eq!((progress.records_per_second, progress.seconds_left), (50.0, Some(1)));
    }
}
