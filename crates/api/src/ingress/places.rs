//! Places for connections of strangers: one share for all ingress listeners, so that they can never
//! take what the user, the database and other people's APIs need.
//!
//! When all are taken, a newcomer gets the place of the connection that has kept one for longest
//! without a request in hand; those that have never sent a whole request go first. Opening many
//! connections and saying nothing, or saying it byte by byte, shuts nobody out.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore};
use tokio_util::sync::CancellationToken;

/// Most connections at a time, however many files may be open.
const MOST: u64 = 1_024;
/// Fewest, however few may be.
const FEWEST: u64 = 16;

/// The places. Cheap to clone.
#[derive(Clone)]
pub(super) struct Places(Arc<Inner>);

struct Inner {
    free: Arc<Semaphore>,
    waiting: Mutex<Waiting>,
    /// That a connection has no request in hand any more.
    idle: Notify,
}

/// Connections without a request in hand. Those that have never sent a whole one come first, then
/// by the time since when.
#[derive(Default)]
struct Waiting {
    next: u64,
    connections: BTreeMap<(bool, u64), CancellationToken>,
}

impl Places {
    /// As many as a process that may open so many files can spare.
    pub(super) fn within(open_files: u64) -> Self {
        Self::new((open_files / 2).clamp(FEWEST, MOST) as usize)
    }

    fn new(most: usize) -> Self {
        Self(Arc::new(Inner {
            free: Arc::new(Semaphore::new(most)),
            waiting: Mutex::default(),
            idle: Notify::new(),
        }))
    }

    /// A place for a new connection, somebody else's if need be.
    pub(super) async fn take(&self) -> Place {
        let permit = loop {
            // Made first, so that nobody who becomes idle from here on is missed.
            let idle = self.0.idle.notified();
            let free = Arc::clone(&self.0.free);
            let acquired = match Arc::clone(&free).try_acquire_owned() {
                Ok(permit) => Ok(permit),
                Err(_) if self.close_one() => free.acquire_owned().await,
                Err(_) => tokio::select! {
                    acquired = free.acquire_owned() => acquired,
                    () = idle => continue,
                },
            };
            // Nobody closes them.
            if let Ok(permit) = acquired {
                break permit;
            }
        };
        let closing = CancellationToken::new();
        let state = Mutex::default();
        let place = Place { places: self.clone(), closing, state, _permit: permit };
        place.wait(false);
        place
    }

    /// Closes one that has no request in hand; says whether there is one.
    fn close_one(&self) -> bool {
        let first = self.lock().connections.pop_first();
        first.inspect(|(_, closing)| closing.cancel()).is_some()
    }

    fn lock(&self) -> MutexGuard<'_, Waiting> {
        self.0.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// One connection's place.
pub(super) struct Place {
    places: Places,
    closing: CancellationToken,
    state: Mutex<State>,
    _permit: OwnedSemaphorePermit,
}

#[derive(Default)]
struct State {
    /// Where among the waiting it stands; nowhere while a whole request is in hand.
    at: Option<(bool, u64)>,
    /// Whether a request has begun that was not answered.
    begun: bool,
}

impl Place {
    /// Waits until somebody else gets the place.
    pub(super) async fn closed(&self) {
        self.closing.cancelled().await;
    }

    /// The head of a request is here.
    pub(super) fn begun(&self) {
        self.state().begun = true;
    }

    /// The request is here whole: the place is kept until it is answered.
    pub(super) fn whole(&self) {
        let mut state = self.state();
        // What still comes of a body after its answer makes no request.
        if state.begun
            && let Some(at) = state.at.take()
        {
            self.places.lock().connections.remove(&at);
        }
    }

    /// It was answered.
    pub(super) fn answered(&self) {
        self.wait(true);
        self.places.0.idle.notify_waiters();
    }

    fn wait(&self, has_sent: bool) {
        let mut state = self.state();
        let mut waiting = self.places.lock();
        if let Some(at) = state.at.take() {
            waiting.connections.remove(&at);
        }
        let at = (has_sent, waiting.next);
        waiting.next += 1;
        waiting.connections.insert(at, self.closing.clone());
        *state = State { at: Some(at), begun: false };
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        if let Some(at) = self.state().at.take() {
            self.places.lock().connections.remove(&at);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures::FutureExt as _;

    #[tokio::test]
    async fn a_newcomer_gets_the_place_of_who_has_sent_nothing_for_longest() {
        let places = Places::new(3);
        let (quiet, idle, busy) = (places.take().await, places.take().await, places.take().await);
        busy.begun();
        busy.whole();
        idle.begun();
        idle.whole();
        idle.answered();

        let mut newcomer = Box::pin(places.take());
        assert!(newcomer.as_mut().now_or_never().is_none());
        assert!(quiet.closing.is_cancelled());
        assert!(!idle.closing.is_cancelled() && !busy.closing.is_cancelled());
        drop(quiet);
        let newcomer = newcomer.await;

        // The newcomer has sent nothing either, and so goes before one that has.
        assert!(places.take().now_or_never().is_none());
        assert!(newcomer.closing.is_cancelled() && !idle.closing.is_cancelled());
    }

    #[tokio::test]
    async fn a_request_in_hand_keeps_its_place() {
        let places = Places::new(1);
        let busy = places.take().await;
        busy.begun();
        busy.whole();

        let mut newcomer = Box::pin(places.take());
        assert!(newcomer.as_mut().now_or_never().is_none());
        assert!(!busy.closing.is_cancelled());
        busy.answered();
        assert!(newcomer.as_mut().now_or_never().is_none());
        assert!(busy.closing.is_cancelled());
        drop(busy);
        newcomer.await;
    }

    #[test]
    fn the_user_keeps_half_of_the_files() {
        let most = |files| Places::within(files).0.free.available_permits();
        assert_eq!((most(256), most(1_024), most(1 << 20), most(0)), (128, 512, 1_024, 16));
    }
}
