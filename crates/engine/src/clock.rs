//! Wall time, as the host gives it.
//!
//! It is used for verification, stamps and schedules. Waits, time limits and the group commit use
//! the monotonic clock of tokio and `std::time::Instant`, which nobody can set.

use jiff::Timestamp;

/// Tells the time of day.
pub trait Clock: Send + Sync + 'static {
    /// Now.
    fn now(&self) -> Timestamp;
}

/// The computer's clock.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    fn now(&self) -> Timestamp {
        Timestamp::now()
    }
}
