//! What a tunnel does now, as it is shown, and the right to change it.
//!
//! One slot per tunnel, for as long as the engine lives. Starting and stopping take turns; looking
//! never waits for either.

use std::net::SocketAddr;
use std::sync::{Mutex, MutexGuard, PoisonError};

use domain::tunnel::TunnelState;
use jiff::{SignedDuration, Timestamp};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use super::output::Output;
use super::probe::Key;

/// How old a proof may be before it is none: twice the time between two probes.
const PROOF_LASTS: SignedDuration =
    SignedDuration::from_secs(2 * super::proof::EVERY.as_secs() as i64);

/// A tunnel's place among those that run.
#[derive(Default)]
pub(super) struct Slot {
    now: Mutex<Now>,
    /// What runs; held while it is started or stopped.
    pub(super) work: tokio::sync::Mutex<Option<Work>>,
}

/// A tunnel at work.
pub(super) struct Work {
    pub(super) stop: CancellationToken,
    pub(super) task: JoinHandle<()>,
}

#[derive(Default)]
struct Now {
    phase: Phase,
    output: Output,
    ingress: Option<SocketAddr>,
}

#[derive(Default)]
enum Phase {
    #[default]
    Off,
    Starting,
    Up(Up),
    Failed(Failure),
}

/// A public address that something listens on, it says.
#[derive(Clone)]
pub(super) struct Up {
    /// The address, without a slash at its end.
    pub(super) address: String,
    /// Where it should lead.
    pub(super) listener: SocketAddr,
    /// What its probes are signed with.
    pub(super) key: Key,
    /// Which start this was, of all.
    pub(super) order: u64,
    proved_at: Option<Timestamp>,
    why: Option<String>,
}

/// Why a tunnel does not run, for the person who switched it on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Failure {
    pub(super) why: String,
    pub(super) hint: Option<String>,
}

impl Up {
    pub(super) fn new(address: String, listener: SocketAddr, key: Key, order: u64) -> Self {
        Self { address, listener, key, order, proved_at: None, why: None }
    }

    /// When it was proved, as long as that counts. A clock that was set back makes no proof last.
    pub(super) fn proved(&self, now: Timestamp) -> Option<Timestamp> {
        self.proved_at.filter(|&at| now.duration_since(at).abs() <= PROOF_LASTS)
    }

    fn state(&self, now: Timestamp) -> TunnelState {
        let public_url = self.address.clone();
        match self.proved(now) {
            Some(proved_at) => TunnelState::Reachable { public_url, proved_at },
            None => TunnelState::Unproved {
                public_url,
                proved_at: self.proved_at,
                why: self.why.clone(),
            },
        }
    }
}

impl Slot {
    /// What it does now.
    pub(super) fn state(&self, now: Timestamp) -> TunnelState {
        match &self.now().phase {
            Phase::Off => TunnelState::Off,
            Phase::Starting => TunnelState::Starting,
            Phase::Up(up) => up.state(now),
            Phase::Failed(Failure { why, hint }) => {
                TunnelState::Failed { why: why.clone(), hint: hint.clone() }
            }
        }
    }

    /// What its program printed.
    pub(super) fn output(&self) -> Vec<String> {
        self.now().output.lines().map(str::to_owned).collect()
    }

    /// Reads what its program printed, newest lines last.
    pub(super) fn with_output<T>(&self, read: impl FnOnce(&Output) -> T) -> T {
        read(&self.now().output)
    }

    /// Its ingress listener.
    pub(super) fn ingress(&self) -> Option<SocketAddr> {
        self.now().ingress
    }

    /// Its address, if it has one.
    pub(super) fn up(&self) -> Option<Up> {
        match &self.now().phase {
            Phase::Up(up) => Some(up.clone()),
            _ => None,
        }
    }

    /// It is being started, and what an earlier program printed is forgotten.
    pub(super) fn set_starting(&self) {
        *self.now() = Now { phase: Phase::Starting, ..Now::default() };
    }

    /// It has a listener.
    pub(super) fn set_ingress(&self, ingress: SocketAddr) {
        self.now().ingress = Some(ingress);
    }

    /// It has an address.
    pub(super) fn set_up(&self, up: Up) {
        self.now().phase = Phase::Up(up);
    }

    /// A probe of this start came back, or did not. One of an earlier start says nothing. Says
    /// whether this proves an address that was not proved before, or no longer.
    pub(super) fn set_probed(&self, order: u64, result: Result<Timestamp, String>) -> bool {
        let mut now = self.now();
        let Phase::Up(up) = &mut now.phase else { return false };
        if up.order != order {
            return false;
        }
        match result {
            Ok(at) => {
                let is_news = up.proved(at).is_none();
                (up.proved_at, up.why) = (Some(at), None);
                is_news
            }
            Err(why) => {
                up.why = Some(why);
                false
            }
        }
    }

    /// Its program printed a line.
    pub(super) fn push_line(&self, line: String) {
        self.now().output.push(line);
    }

    /// It does not run, and should.
    pub(super) fn set_failed(&self, failure: Failure) {
        let mut now = self.now();
        now.phase = Phase::Failed(failure);
        now.ingress = None;
    }

    /// It does not run, and should not. What its program printed can still be read.
    pub(super) fn set_off(&self) {
        let mut now = self.now();
        now.phase = Phase::Off;
        now.ingress = None;
    }

    fn now(&self) -> MutexGuard<'_, Now> {
        self.now.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    fn slot() -> Slot {
        let slot = Slot::default();
        let listener = "127.0.0.1:1".parse().unwrap();
        slot.set_up(Up::new("https://a.example".into(), listener, Key::random().unwrap(), 7));
        slot
    }

    #[test]
    fn an_address_is_not_reachable_until_a_probe_came_back() {
        let slot = slot();
        let public_url = String::from("https://a.example");
        let unproved = |why: Option<&str>| TunnelState::Unproved {
            public_url: public_url.clone(),
            proved_at: None,
            why: why.map(String::from),
        };

        assert_eq!(slot.state(at(1000)), unproved(None));
        assert!(!slot.set_probed(7, Err("refused".into())));
        assert_eq!(slot.state(at(1000)), unproved(Some("refused")));
        assert!(!slot.set_probed(6, Ok(at(1000))));
        assert_eq!(slot.state(at(1000)), unproved(Some("refused")));
        assert!(slot.set_probed(7, Ok(at(1000))));
        assert_eq!(
            slot.state(at(1000)),
            TunnelState::Reachable { public_url: public_url.clone(), proved_at: at(1000) }
        );
    }

    #[test]
    fn a_proof_lasts_for_twice_the_time_between_two_probes() {
        let slot = slot();
        slot.set_probed(7, Ok(at(1000)));

        assert!(matches!(slot.state(at(1120)), TunnelState::Reachable { .. }));
        let TunnelState::Unproved { proved_at, .. } = slot.state(at(1121)) else {
            panic!("an old proof still counts");
        };
        assert_eq!(proved_at, Some(at(1000)));
        assert!(matches!(slot.state(at(879)), TunnelState::Unproved { .. }));

        assert!(!slot.set_probed(7, Ok(at(1120))), "it was proved all the while");
        assert!(slot.set_probed(7, Ok(at(1241))), "it was no longer");
    }
}
