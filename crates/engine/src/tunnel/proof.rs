//! When a tunnel is probed: at once, then every minute, and sooner while probes fail.

use std::sync::Arc;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};

use super::slot::Slot;
use crate::Engine;

/// The time between two probes that come back.
pub(super) const EVERY: Duration = Duration::from_secs(60);

/// The time after a first probe that does not.
const FIRST_PAUSE: Duration = Duration::from_millis(250);

/// The longest that a timer is trusted: it stands still while the computer sleeps.
const NAP: Duration = Duration::from_secs(30);

/// Probes a tunnel again and again. Drop the future to end it.
pub(super) async fn keep(engine: Engine, slot: Arc<Slot>) {
    let mut failures = 0;
    loop {
        failures = if probe(&engine, &slot).await { 0 } else { failures + 1 };
        wait(&engine, pause(failures)).await;
    }
}

/// Sends one probe and notes what became of it; says whether it came back.
pub(super) async fn probe(engine: &Engine, slot: &Slot) -> bool {
    let Some(up) = slot.up() else { return false };
    let sent = engine.inner.tunnels.probes.send(&up.address, up.listener, &up.key).await;
    if let Err(fault) = &sent {
        tracing::debug!(%fault, "a probe of a tunnel did not come back");
    }
    let result = sent.map(|()| engine.inner.clock.now()).map_err(|fault| fault.to_string());
    let proved = result.is_ok();
    if slot.set_probed(up.order, result) {
        // Senders are told of none but a proved address.
        super::note_address(engine);
    } else {
        super::note(engine);
    }
    proved
}

fn pause(failures: u32) -> Duration {
    match failures {
        0 => EVERY,
        // 250 ms, 500 ms, 1 s … until it is a minute.
        _ => FIRST_PAUSE.saturating_mul(1 << (failures - 1).min(8)).min(EVERY),
    }
}

/// Waits that long by either clock, so that a computer that wakes up probes at once.
async fn wait(engine: &Engine, pause: Duration) {
    let now = || engine.inner.clock.now();
    let due = due(now(), pause);
    let deadline = tokio::time::Instant::now() + pause;
    loop {
        let left = deadline.saturating_duration_since(tokio::time::Instant::now());
        tokio::time::sleep(left.min(NAP)).await;
        if left <= NAP || now() >= due {
            return;
        }
    }
}

fn due(now: Timestamp, pause: Duration) -> Timestamp {
    let pause = SignedDuration::try_from(pause).unwrap_or(SignedDuration::MAX);
    now.checked_add(pause).unwrap_or(Timestamp::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn failed_probes_are_followed_by_ever_longer_pauses_up_to_a_minute() {
        let pauses: Vec<_> = (0..=10).map(|failures| pause(failures).as_millis()).collect();

        assert_eq!(
            pauses,
            [60_000, 250, 500, 1_000, 2_000, 4_000, 8_000, 16_000, 32_000, 60_000, 60_000]
        );
        assert_eq!(pause(u32::MAX), EVERY);
    }
}
