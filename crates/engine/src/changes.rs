//! Change notices: they say what to fetch again, never the new value.
//!
//! Notices of one noun (and inbox) are put together while they wait, and at most four a second go
//! out per noun, so that a flood of events costs its watchers four requests a second. The last
//! 1,024 can be resumed from; whoever asks for older ones is told to fetch all again.
//!
//! There is no task behind this: whoever watches puts out what is due. While nobody watches, a noun
//! has one notice at most, which grows. Numbers begin at a random one, so that a watcher who comes
//! back after a restart is not taken for one who has seen what came since.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use domain::id::{EventId, InboxId};
use futures::StreamExt as _;
use futures::stream::BoxStream;
use serde::{Deserialize, Serialize};
use tokio::sync::Notify;
use tokio::time::Instant;

/// How long a noun is quiet after a notice: four a second.
const QUIET: Duration = Duration::from_millis(250);
/// How many notices can be resumed from.
const RING: usize = 1_024;

/// A noun of which something changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Noun {
    /// The log.
    Events,
    /// The refusals.
    Refusals,
    /// The inboxes.
    Inboxes,
    /// The connections.
    Connections,
    /// The syncs, their runs and their progress.
    Syncs,
    /// The records.
    Records,
    /// The tunnels.
    Tunnels,
    /// Vault, disk, sandbox and settings: what `GET /api/status` says.
    Status,
    /// Too much was missed: fetch all again.
    #[serde(rename = "*")]
    All,
}

impl Noun {
    const COUNT: usize = 9;
    const EVERY: [Self; Self::COUNT] = [
        Self::Events,
        Self::Refusals,
        Self::Inboxes,
        Self::Connections,
        Self::Syncs,
        Self::Records,
        Self::Tunnels,
        Self::Status,
        Self::All,
    ];
}

/// One notice.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Notice {
    /// What to fetch again.
    pub noun: Noun,
    /// Of which inbox alone, where it is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub inbox: Option<InboxId>,
    /// The newest id of it, as text.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub up_to: Option<String>,
    /// How many were added since the last notice.
    #[serde(default)]
    pub added: u64,
}

impl Notice {
    /// That something of this noun changed.
    pub const fn of(noun: Noun) -> Self {
        Self { noun, inbox: None, up_to: None, added: 0 }
    }
}

/// Where notices are given and taken. Cheap to clone.
#[derive(Debug, Clone, Default)]
pub struct Changes {
    inner: Arc<Inner>,
}

#[derive(Debug, Default)]
struct Inner {
    state: Mutex<State>,
    /// Wakes all who watch.
    wake: Notify,
}

/// What waits to be put out for one noun.
#[derive(Debug)]
struct Waiting {
    /// The only inbox it is about; none where there are several, or it is about none.
    inbox: Option<InboxId>,
    up_to: Option<UpTo>,
    added: u64,
}

/// The newest id of what changed. An event's becomes text only when it is put out.
#[derive(Debug)]
enum UpTo {
    Event(EventId),
    Text(String),
}

#[derive(Debug, Default)]
struct Slot {
    waiting: Option<Waiting>,
    put_out: Option<Instant>,
}

#[derive(Debug)]
struct State {
    slots: [Slot; Noun::COUNT],
    ring: VecDeque<(u64, Notice)>,
    /// The number of the last notice that was put out.
    newest: u64,
    closed: bool,
}

impl Default for State {
    fn default() -> Self {
        // Below 2^52, so that JavaScript can hold every number; and far from the last start's.
        let newest = getrandom::u32().map_or(0, |random| u64::from(random) << 20);
        Self { slots: Default::default(), ring: VecDeque::new(), newest, closed: false }
    }
}

impl Waiting {
    fn merge(&mut self, inbox: Option<InboxId>, up_to: Option<UpTo>, added: u64) {
        if self.inbox != inbox {
            self.inbox = None;
        }
        // Notes of one noun come about in order; a stray older one makes nobody miss anything, since
        // watchers ask for all that is new, not for this id.
        if up_to.is_some() {
            self.up_to = up_to;
        }
        self.added = self.added.saturating_add(added);
    }
}

impl State {
    /// Notes a change; true where watchers have to be woken to see when it is due.
    fn note(
        &mut self,
        noun: Noun,
        inbox: Option<InboxId>,
        up_to: Option<UpTo>,
        added: u64,
    ) -> bool {
        let slot = &mut self.slots[noun as usize];
        match &mut slot.waiting {
            Some(waiting) => {
                waiting.merge(inbox, up_to, added);
                false
            }
            empty => {
                *empty = Some(Waiting { inbox, up_to, added });
                true
            }
        }
    }

    /// Puts out what may go out now; all of it after the end.
    fn put_out(&mut self, now: Instant) {
        for noun in Noun::EVERY {
            let slot = &mut self.slots[noun as usize];
            let quiet = slot.put_out.is_some_and(|at| now < at + QUIET);
            if quiet && !self.closed {
                continue;
            }
            let Some(waiting) = slot.waiting.take() else { continue };
            slot.put_out = Some(now);
            let up_to = waiting.up_to.map(|up_to| match up_to {
                UpTo::Event(id) => id.to_string(),
                UpTo::Text(text) => text,
            });
            let notice = Notice { noun, inbox: waiting.inbox, up_to, added: waiting.added };
            self.newest += 1;
            if self.ring.len() == RING {
                self.ring.pop_front();
            }
            self.ring.push_back((self.newest, notice));
        }
    }

    /// When something that waits may go out.
    fn next_due(&self) -> Option<Instant> {
        self.slots
            .iter()
            .filter(|slot| slot.waiting.is_some())
            .filter_map(|slot| slot.put_out.map(|at| at + QUIET))
            .min()
    }

    /// What follows the notice with this number; none where there is nothing yet.
    fn after(&self, seen: u64) -> Option<(u64, Notice)> {
        if seen == self.newest {
            return None;
        }
        let oldest = self.newest - self.ring.len() as u64;
        let place = seen.checked_sub(oldest).and_then(|place| usize::try_from(place).ok());
        let found = place.and_then(|place| self.ring.get(place)).cloned();
        Some(found.unwrap_or((
            self.newest,
            Notice { noun: Noun::All, inbox: None, up_to: None, added: 0 },
        )))
    }
}

/// What a watcher does next.
enum Next {
    Take((u64, Notice)),
    Wait(Option<Instant>),
    End,
}

impl Changes {
    /// Says that something changed. Never blocks, never fails.
    pub fn note(&self, notice: Notice) {
        let Notice { noun, inbox, up_to, added } = notice;
        self.merge(noun, inbox, up_to.map(UpTo::Text), added);
    }

    /// Says that an event was added. Called for every event, so it allocates nothing.
    pub fn event(&self, inbox: InboxId, id: EventId) {
        self.merge(Noun::Events, Some(inbox), Some(UpTo::Event(id)), 1);
    }

    /// Notices with their numbers from now on; with `after`, first those that came since that
    /// number, or one [`Noun::All`] where the ring no longer holds them. Ends when the engine stops.
    pub fn watch(&self, after: Option<u64>) -> BoxStream<'static, (u64, Notice)> {
        let changes = self.clone();
        let seen = after.unwrap_or_else(|| changes.lock().newest);
        futures::stream::unfold((changes, seen), |(changes, seen)| async move {
            let (number, notice) = changes.next(seen).await?;
            Some(((number, notice), (changes, number)))
        })
        .boxed()
    }

    /// Ends all streams, after what is still waiting.
    pub fn close(&self) {
        self.lock().closed = true;
        self.inner.wake.notify_waiters();
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.inner.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn merge(&self, noun: Noun, inbox: Option<InboxId>, up_to: Option<UpTo>, added: u64) {
        let wake = self.lock().note(noun, inbox, up_to, added);
        if wake {
            self.inner.wake.notify_waiters();
        }
    }

    async fn next(&self, seen: u64) -> Option<(u64, Notice)> {
        loop {
            // Listens before it looks, so that nothing is noted in between unheard.
            let woken = self.inner.wake.notified();
            tokio::pin!(woken);
            woken.as_mut().enable();
            match self.look(seen) {
                Next::Take(next) => return Some(next),
                Next::End => return None,
                Next::Wait(Some(due)) => {
                    tokio::select! {
                        () = woken => {}
                        () = tokio::time::sleep_until(due) => {}
                    }
                }
                Next::Wait(None) => woken.await,
            }
        }
    }

    fn look(&self, seen: u64) -> Next {
        let mut state = self.lock();
        let before = state.newest;
        state.put_out(Instant::now());
        if state.newest != before {
            self.inner.wake.notify_waiters();
        }
        match state.after(seen) {
            Some(next) => Next::Take(next),
            None if state.closed => Next::End,
            None => Next::Wait(state.next_due()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn note(noun: Noun) -> Notice {
        Notice { noun, inbox: None, up_to: None, added: 1 }
    }

    /// All notices of the next `millis` milliseconds.
    async fn hear(stream: &mut BoxStream<'static, (u64, Notice)>, millis: u64) -> Vec<Notice> {
        let end = Instant::now() + Duration::from_millis(millis);
        let mut heard = Vec::new();
        while let Ok(Some((_, notice))) = tokio::time::timeout_at(end, stream.next()).await {
            heard.push(notice);
        }
        heard
    }

    #[tokio::test(start_paused = true)]
    async fn a_flood_makes_four_notices_a_second() {
        let changes = Changes::default();
        let mut stream = changes.watch(None);
        let flood = tokio::spawn({
            let changes = changes.clone();
            async move {
                for n in 0..1_000 {
                    changes.event(InboxId::new(1), EventId::new(n));
                    tokio::time::sleep(Duration::from_millis(1)).await;
                }
            }
        });

        let heard = hear(&mut stream, 999).await;

        assert_eq!(heard.len(), 4);
        flood.await.unwrap();
        let rest = hear(&mut stream, 1_000).await;
        let added: u64 = heard.iter().chain(&rest).map(|notice| notice.added).sum();
        assert_eq!(added, 1_000);
        let last = rest.last().unwrap();
        assert_eq!(last.up_to, Some(EventId::new(999).to_string()));
        assert_eq!(last.inbox, Some(InboxId::new(1)));
    }

    #[tokio::test(start_paused = true)]
    async fn the_first_notice_is_not_kept_waiting() {
        let changes = Changes::default();
        let mut stream = changes.watch(None);
        let began = Instant::now();

        changes.note(note(Noun::Syncs));
        let (_, notice) = stream.next().await.unwrap();

        assert_eq!(notice, note(Noun::Syncs));
        assert_eq!(began.elapsed(), Duration::ZERO);
    }

    #[tokio::test(start_paused = true)]
    async fn nouns_do_not_wait_for_each_other_and_inboxes_are_put_together() {
        let changes = Changes::default();
        let mut stream = changes.watch(None);
        changes.event(InboxId::new(1), EventId::new(1));
        assert_eq!(hear(&mut stream, 1).await.len(), 1);

        changes.note(note(Noun::Records));
        changes.event(InboxId::new(1), EventId::new(2));
        changes.event(InboxId::new(2), EventId::new(3));

        assert_eq!(hear(&mut stream, 10).await, [note(Noun::Records)]);
        let heard = hear(&mut stream, 250).await;
        assert_eq!(heard.len(), 1);
        assert_eq!((heard[0].inbox, heard[0].added), (None, 2));
    }

    #[tokio::test(start_paused = true)]
    async fn a_watcher_goes_on_where_it_was() {
        let changes = Changes::default();
        let mut stream = changes.watch(None);
        changes.note(note(Noun::Syncs));
        let (seen, _) = stream.next().await.unwrap();
        changes.note(note(Noun::Records));
        changes.note(note(Noun::Tunnels));

        let mut resumed = changes.watch(Some(seen));

        assert_eq!(hear(&mut resumed, 10).await, [note(Noun::Records), note(Noun::Tunnels)]);
    }

    #[tokio::test(start_paused = true)]
    async fn what_the_ring_no_longer_holds_is_all_to_be_fetched_again() {
        let changes = Changes::default();
        let mut stream = changes.watch(None);
        changes.note(note(Noun::Syncs));
        let (first, _) = stream.next().await.unwrap();
        for _ in 0..RING {
            tokio::time::advance(QUIET).await;
            changes.note(note(Noun::Syncs));
            stream.next().await.unwrap();
        }

        let border = changes.watch(Some(first)).next().await.unwrap();
        let missed = changes.watch(Some(first - 1)).next().await.unwrap();
        let other_start = changes.watch(Some(first + 1_000_000)).next().await.unwrap();

        assert_eq!(border, (first + 1, note(Noun::Syncs)));
        let all = Notice { added: 0, ..note(Noun::All) };
        assert_eq!(missed, (first + RING as u64, all.clone()));
        assert_eq!(other_start.1, all);
    }

    #[tokio::test(start_paused = true)]
    async fn streams_end_with_the_engine_after_what_was_noted() {
        let changes = Changes::default();
        let mut stream = changes.watch(None);
        changes.note(note(Noun::Syncs));
        stream.next().await.unwrap();
        changes.note(note(Noun::Syncs));

        changes.close();

        assert_eq!(stream.next().await.unwrap().1, note(Noun::Syncs));
        assert_eq!(stream.next().await, None);
        assert_eq!(changes.watch(None).next().await, None);
    }

    #[test]
    fn a_notice_is_told_as_the_contract_says() {
        let notice = Notice {
            inbox: Some(InboxId::new(1)),
            up_to: Some("evt_1".into()),
            ..note(Noun::Events)
        };
        assert_eq!(
            serde_json::to_string(&notice).unwrap(),
            r#"{"noun":"events","inbox":"inb_0000000000001","up_to":"evt_1","added":1}"#
        );
        assert_eq!(serde_json::to_string(&Noun::All).unwrap(), r#""*""#);
    }
}
