//! The scheduler: begins what is due.
//!
//! Timers stop while a computer sleeps and wall time does not, so it sleeps in short pieces and
//! compares wall time after each. What was missed meanwhile is due at once, and once. A sync whose
//! connection cannot be used stays due, and begins as soon as the connection can.

use std::collections::HashSet;
use std::time::Duration;

use domain::connection::ConnectionState;
use domain::id::{ConnectionId, SyncId};
use domain::page::{At, Page};
use domain::sync::{Extent, RunTrigger, Schedule, Sync};
use jiff::{SignedDuration, Timestamp};

use crate::{Engine, store};

/// The longest piece of sleep. A test sets its clock and does not want to wait for it.
pub(super) const NAP: Duration =
    if cfg!(test) { Duration::from_millis(20) } else { Duration::from_secs(30) };

/// What is to be done now, and when to look again.
#[derive(Debug, Default, PartialEq, Eq)]
struct Plan {
    begin: Vec<SyncId>,
    /// Those that were to run later than their schedule says from now on, and when they are to run
    /// instead: the clock was set back.
    earlier: Vec<(SyncId, Timestamp)>,
    next: Option<Timestamp>,
}

fn plan(
    now: Timestamp,
    syncs: &[Sync],
    usable: &HashSet<ConnectionId>,
    at_work: impl Fn(SyncId) -> bool,
) -> Plan {
    let mut plan = Plan::default();
    for sync in syncs {
        let Some(due) = sync.next_run_at else { continue };
        if sync.sync.paused || at_work(sync.id) {
            continue;
        }
        if due <= now {
            // One whose connection cannot be used is looked at again when that changes.
            if usable.contains(&sync.sync.connection) {
                plan.begin.push(sync.id);
            }
            continue;
        }
        let latest = next(sync.sync.schedule.as_ref(), now);
        let due = match latest.filter(|&latest| due.duration_since(latest) > SLACK) {
            Some(latest) => {
                plan.earlier.push((sync.id, latest));
                latest
            }
            None => due,
        };
        plan.next = Some(plan.next.map_or(due, |next| next.min(due)));
    }
    plan
}

/// How far a stored time may be off before the clock is taken to have been set back.
const SLACK: SignedDuration = SignedDuration::from_secs(2);

/// When a sync runs next that begins now. A schedule is checked before it is stored; should it not
/// be readable all the same, it runs by hand only.
pub(super) fn next(schedule: Option<&Schedule>, now: Timestamp) -> Option<Timestamp> {
    schedule?.next(Some(now), now).ok()
}

/// Starts the scheduler, which first goes on with runs that a stop left unfinished.
pub(crate) fn start(engine: Engine) {
    let syncs = &engine.inner.syncs;
    let (tasks, stopping) = (syncs.tasks.clone(), syncs.stopping.clone());
    tasks.spawn(async move {
        stopping.run_until_cancelled(engine.begin_what_is_due()).await;
    });
}

/// Stops the scheduler, and all runs where they are; the next start goes on with them.
pub(crate) async fn stop(engine: &Engine) {
    let syncs = &engine.inner.syncs;
    syncs.stopping.cancel();
    syncs.tasks.close();
    syncs.tasks.wait().await;
}

impl Engine {
    /// Looks again at what is due: a connection can be used, or a schedule is another.
    pub(crate) fn wake_syncs(&self) {
        self.inner.syncs.wake.notify_one();
    }

    async fn go_on_with_unfinished(&self) -> store::Result<()> {
        for run in self.inner.store.unfinished_runs().await? {
            let sync = self.inner.store.sync(run.sync).await?;
            self.set_to_work(run, sync.sync.connection);
        }
        Ok(())
    }

    async fn begin_what_is_due(self) {
        if let Err(error) = self.go_on_with_unfinished().await {
            tracing::warn!(%error, "runs that were stopped could not be looked up");
        }
        loop {
            // Taken before looking, so that what changes meanwhile wakes us.
            let woken = self.inner.syncs.wake.notified();
            let next = match self.look().await {
                Ok(next) => next,
                Err(store::Error::Closed) => return,
                Err(error) => {
                    tracing::warn!(%error, "what is due could not be looked up");
                    None
                }
            };
            let left = next.map(|next| next.duration_since(self.now()).unsigned_abs());
            let nap = left.unwrap_or(NAP).min(NAP);
            // Being woken or not, there is something to look at.
            let _ = tokio::time::timeout(nap, woken).await;
        }
    }

    /// Lets a sync run at `at` instead of at `before`, unless it is another time by now.
    async fn put_forward(
        &self,
        id: SyncId,
        before: Option<Timestamp>,
        at: Timestamp,
    ) -> store::Result<()> {
        let _changing = self.inner.syncs.changing.lock().await;
        match self.inner.store.sync(id).await {
            Ok(sync) if sync.next_run_at == before => self.inner.store.set_next_run(id, at).await,
            // It was deleted since it was looked up.
            Ok(_) | Err(store::Error::NotFound) => Ok(()),
            Err(error) => Err(error),
        }
    }

    /// Begins what is due; says when something is due next.
    async fn look(&self) -> store::Result<Option<Timestamp>> {
        let syncs = self.inner.store.syncs().await?;
        let connections = self.inner.store.connections().await?;
        let usable = connections
            .iter()
            .filter(|connection| connection.connection.state == ConnectionState::Ready)
            .map(|connection| connection.id)
            .collect();
        let at_work = |sync| self.inner.syncs.of_sync(sync).is_some();
        let plan = plan(self.now(), &syncs, &usable, at_work);

        for id in plan.begin {
            let first = Page { limit: 1, at: At::Newest };
            let runs = self.inner.store.sync_runs(Some(id), first).await?;
            let trigger =
                if runs.items.is_empty() { RunTrigger::First } else { RunTrigger::Schedule };
            match self.begin_run(id, trigger, Extent::Changes).await {
                // It was deleted since it was looked up.
                Ok(_) | Err(store::Error::NotFound) => {}
                Err(error) => return Err(error),
            }
        }
        for (id, at) in plan.earlier {
            let looked_up = syncs.iter().find(|sync| sync.id == id);
            self.put_forward(id, looked_up.and_then(|sync| sync.next_run_at), at).await?;
        }
        Ok(plan.next)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use domain::sync::NewSync;

    const NOW: i64 = 1_000_000;

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_second(seconds).unwrap()
    }

    fn sync(id: i64, due: Option<i64>) -> Sync {
        Sync {
            id: SyncId::new(id),
            sync: NewSync {
                connection: ConnectionId::new(1),
                stream: "orders".into(),
                schedule: Some(Schedule::Every { every: "5m".into() }),
                paused: false,
                sandbox: false,
            },
            created_at: at(0),
            next_run_at: due.map(at),
            newest_at: None,
        }
    }

    fn check(syncs: &[Sync]) -> Plan {
        plan(at(NOW), syncs, &HashSet::from([ConnectionId::new(1)]), |id| id == SyncId::new(9))
    }

    #[test]
    fn what_is_due_begins_and_what_is_next_is_waited_for() {
        let syncs = [sync(1, Some(NOW)), sync(2, Some(NOW + 1)), sync(3, Some(NOW + 60))];

        let plan = check(&syncs);

        assert_eq!(plan.begin, [SyncId::new(1)]);
        assert_eq!(plan.next, Some(at(NOW + 1)));
    }

    #[test]
    fn what_is_paused_at_work_or_by_hand_does_not_begin() {
        let mut paused = sync(1, Some(NOW));
        paused.sync.paused = true;

        assert_eq!(check(&[paused, sync(9, Some(NOW)), sync(3, None)]), Plan::default());
    }

    #[test]
    fn a_connection_that_cannot_be_used_is_waited_for_without_looking_again_and_again() {
        let mut elsewhere = sync(1, Some(NOW));
        elsewhere.sync.connection = ConnectionId::new(2);

        assert_eq!(check(&[elsewhere]), Plan::default());
    }

    #[test]
    fn a_clock_that_was_set_back_does_not_put_off_a_run() {
        let plan = check(&[sync(1, Some(NOW + 86_400)), sync(2, Some(NOW + 301))]);

        assert_eq!(plan.earlier, [(SyncId::new(1), at(NOW + 300))]);
        assert_eq!(plan.next, Some(at(NOW + 300)));
    }
}
