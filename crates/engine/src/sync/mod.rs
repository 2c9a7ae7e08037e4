//! Syncs: keeping streams of a connection up to date, by schedule and by hand.
//!
//! A sync has one run at work at most; whoever asks for another gets that one. How a run reads is
//! in [`run`], when one begins by itself in [`schedule`]. The store is the truth about both: what is
//! kept in memory is how a run is getting on, what it waits for, and how to stop it.

mod at_work;
mod children;
mod failure;
mod files;
mod gone;
mod progress;
mod reader;
mod run;
mod schedule;
#[cfg(test)]
mod tests;

use std::collections::HashMap;

use domain::connection::Connection;
use domain::id::RecordId;
use domain::id::{ConnectionId, SyncId, SyncRunId};
use domain::page::{At, Count, Page, Slice};
use domain::record::{Record, RecordFilter};
use domain::sync::{Extent, NewSync, RunState, RunTrigger, Schedule, Sync, SyncRun};
use jiff::{SignedDuration, Timestamp};

pub(crate) use self::at_work::Syncs;
use self::failure::NotReady;
pub(crate) use self::run::{READING, read_page};
pub(crate) use self::schedule::{start, stop};
use crate::changes::Noun;
use crate::{Engine, store};

/// How many of its last runs a sync shows.
const RUNS_SHOWN: usize = 30;

/// Why something was not done with a sync.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The connector has no such stream.
    #[error("`{stream}` is not a stream of {connector}; it has {}", .known.join(", "))]
    Stream {
        /// What was asked for.
        stream: String,
        /// Of which connector.
        connector: String,
        /// What it has.
        known: Vec<String>,
    },
    /// The schedule cannot be read.
    #[error("the schedule cannot be read: {0}")]
    Schedule(String),
    /// There is no such connector, or it cannot be read.
    #[error("`{0}` is not a connector that can be read")]
    Connector(String),
    /// The run has ended already.
    #[error("the run has ended already")]
    Ended,
    /// The store's fault.
    #[error(transparent)]
    Store(#[from] store::Error),
}

/// What is asked for with a new sync.
#[derive(Debug, Clone)]
pub struct SyncRequest {
    /// Whose.
    pub connection: ConnectionId,
    /// Which stream.
    pub stream: String,
    /// When it runs by itself.
    pub schedule: Option<Schedule>,
}

/// What becomes of the records of a sync that is deleted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Records {
    /// They stay, and grow old.
    Kept,
    /// They go with it.
    Deleted,
}

/// What a sync does now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SyncState {
    /// Nothing, until it is due.
    Idle,
    /// It runs.
    Running,
    /// It would run but must wait, until a time or for a person.
    Waiting {
        /// For what, in a sentence.
        why: String,
        /// Until when, where that is known.
        until: Option<Timestamp>,
    },
    /// Its last run failed.
    Failed,
    /// The user stopped its schedule.
    Paused,
}

/// How a run is getting on.
#[derive(Debug, Clone, PartialEq)]
pub struct Progress {
    /// Records a second, over the last seconds.
    pub records_per_second: f64,
    /// How many seconds it will still take, where the number of records is known.
    pub seconds_left: Option<u64>,
    /// How many requests it has made.
    pub requests: u64,
    /// What it waits for just now, in a sentence.
    pub why: Option<String>,
    /// Until when, where that is known.
    pub until: Option<Timestamp>,
}

/// A sync with what is known of it now.
#[derive(Debug, Clone)]
pub struct SyncStatus {
    /// As stored.
    pub sync: Sync,
    /// The stream's title.
    pub stream_title: String,
    /// Whose.
    pub connection: Connection,
    /// What it does now.
    pub state: SyncState,
    /// How many records the stream holds.
    pub records: Count,
    /// How far behind the provider it may be: since its last complete run began, or since its
    /// newest record, whichever is less.
    pub lag: Option<SignedDuration>,
    /// The last 30 runs, newest first, the one at work among them.
    pub runs: Vec<SyncRun>,
    /// How the run at work is getting on.
    pub progress: Option<Progress>,
}

impl Engine {
    /// All syncs, by connection and stream.
    ///
    /// # Errors
    ///
    /// The store's.
    pub async fn syncs(&self) -> Result<Vec<SyncStatus>, Error> {
        let connections = self.inner.store.connections().await?;
        let by_id: HashMap<_, _> = connections.into_iter().map(|one| (one.id, one)).collect();
        let mut syncs = Vec::new();
        for sync in self.inner.store.syncs().await? {
            // One whose connection is just being deleted is on its way out, too.
            if let Some(connection) = by_id.get(&sync.sync.connection) {
                syncs.push(self.sync_status(sync, connection.clone()).await?);
            }
        }
        syncs.sort_by(|a, b| {
            let key = |status: &SyncStatus| {
                (status.connection.connection.name.to_lowercase(), status.sync.sync.stream.clone())
            };
            key(a).cmp(&key(b))
        });
        Ok(syncs)
    }

    /// One.
    ///
    /// # Errors
    ///
    /// The store's.
    pub async fn sync(&self, id: SyncId) -> Result<SyncStatus, Error> {
        let sync = self.inner.store.sync(id).await?;
        let connection = self.inner.store.connection(sync.sync.connection).await?;
        self.sync_status(sync, connection).await
    }

    async fn sync_status(&self, sync: Sync, connection: Connection) -> Result<SyncStatus, Error> {
        let filter = RecordFilter {
            connection: Some(connection.id),
            stream: Some(sync.sync.stream.clone()),
            text: None,
        };
        let records = self.inner.store.record_count(&filter).await?;
        let last = Page { limit: RUNS_SHOWN, at: At::Newest };
        let runs = self.inner.store.sync_runs(Some(sync.id), last).await?.items;
        let connector = self.inner.connectors.get(&connection.connection.connector);
        let stream = &sync.sync.stream;
        let at_work = self.inner.syncs.of_sync(sync.id);
        Ok(SyncStatus {
            stream_title: connector
                .map_or_else(|| stream.clone(), |connector| connector.stream_title(stream)),
            state: match &at_work {
                Some(at_work) => at_work.waiting().map_or(SyncState::Running, |waiting| {
                    SyncState::Waiting { why: waiting.why, until: waiting.until }
                }),
                None => state_between_runs(&sync, &connection, runs.first()),
            },
            lag: lag(&sync, &runs, self.now()),
            progress: at_work.map(|at_work| at_work.progress()),
            records,
            runs,
            connection,
            sync,
        })
    }

    /// Makes one. Its first run begins as soon as its connection is ready.
    ///
    /// # Errors
    ///
    /// Where the stream or the schedule is none, or the stream has a sync already.
    pub async fn create_sync(&self, request: SyncRequest) -> Result<SyncStatus, Error> {
        let now = self.now();
        let connection = self.inner.store.connection(request.connection).await?;
        self.check_stream(&connection, &request.stream)?;
        check_schedule(request.schedule.as_ref(), now)?;
        let new = NewSync {
            connection: connection.id,
            stream: request.stream,
            schedule: request.schedule,
            paused: false,
            sandbox: connection.connection.sandbox,
        };
        let sync = self.inner.store.create_sync(new, Some(now), now).await?;
        self.wake_syncs();
        self.note(Noun::Syncs, 1);
        self.sync_status(sync, connection).await
    }

    fn check_stream(&self, connection: &Connection, stream: &str) -> Result<(), Error> {
        let id = &connection.connection.connector;
        let connector =
            self.inner.connectors.get(id).ok_or_else(|| Error::Connector(id.clone()))?;
        if connector.streams.contains_key(stream) {
            return Ok(());
        }
        Err(Error::Stream {
            stream: stream.into(),
            connector: connector.name.clone(),
            known: connector.streams.keys().cloned().collect(),
        })
    }

    /// Changes its schedule, and whether it is paused.
    ///
    /// # Errors
    ///
    /// Where the schedule is none, or the sync is not there.
    pub async fn update_sync(
        &self,
        id: SyncId,
        schedule: Option<Option<Schedule>>,
        paused: Option<bool>,
    ) -> Result<SyncStatus, Error> {
        let now = self.now();
        // A run that begins meanwhile says when the next one is, too.
        let changing = self.inner.syncs.changing.lock().await;
        let Sync { sync: mut new, mut next_run_at, .. } = self.inner.store.sync(id).await?;
        if let Some(schedule) = schedule {
            check_schedule(schedule.as_ref(), now)?;
            let last = Page { limit: 1, at: At::Newest };
            let last = self.inner.store.sync_runs(Some(id), last).await?.items.pop();
            // A first run that is still to come stays due.
            if let Some(last) = last {
                let next = schedule.as_ref().map(|one| one.next(Some(last.started_at), now));
                next_run_at = next.and_then(Result::ok);
            }
            new.schedule = schedule;
        }
        new.paused = paused.unwrap_or(new.paused);
        self.inner.store.schedule_sync(id, new, next_run_at).await?;
        drop(changing);
        self.wake_syncs();
        self.note(Noun::Syncs, 0);
        self.sync(id).await
    }

    /// Deletes it, and its records where they are not kept.
    ///
    /// # Errors
    ///
    /// The store's.
    pub async fn delete_sync(&self, id: SyncId, records: Records) -> Result<(), Error> {
        let changing = self.inner.syncs.changing.lock().await;
        match records {
            Records::Kept => self.inner.store.delete_sync(id).await?,
            Records::Deleted => self.inner.store.delete_sync_and_records(id).await?,
        }
        if let Some(at_work) = self.inner.syncs.of_sync(id) {
            at_work.cancelled.cancel();
        }
        self.note(Noun::Syncs, 0);
        // Many take their time, in which others may begin and end.
        drop(changing);
        if records == Records::Deleted {
            self.inner.store.remove_orphans().await?;
            self.note(Noun::Records, 0);
        }
        Ok(())
    }

    /// Stops the runs of a connection that is switched off or about to be deleted.
    pub(crate) async fn cancel_runs_of(&self, connection: ConnectionId) -> Result<(), Error> {
        for run in self.inner.syncs.of_connection(connection) {
            match self.cancel_run(run).await {
                // It ended by itself meanwhile, which is as good.
                Err(Error::Ended | Error::Store(store::Error::NotFound)) => {}
                cancelled => drop(cancelled?),
            }
        }
        Ok(())
    }

    /// Begins a run now. One that is under way is the answer where it reads as much as is asked
    /// for; one that reads only changes makes way for one that reads everything.
    ///
    /// # Errors
    ///
    /// The store's.
    pub async fn run_sync(&self, id: SyncId, extent: Extent) -> Result<SyncRun, Error> {
        Ok(self.begin_run(id, RunTrigger::Hand, extent).await?)
    }

    async fn begin_run(
        &self,
        id: SyncId,
        trigger: RunTrigger,
        extent: Extent,
    ) -> store::Result<SyncRun> {
        let _changing = self.inner.syncs.changing.lock().await;
        let now = self.now();
        let sync = self.inner.store.sync(id).await?.sync;
        let next = schedule::next(sync.schedule.as_ref(), now);
        let mut run = self.inner.store.begin_run(id, trigger, extent, next, now).await?;
        if extent == Extent::Full && run.extent == Extent::Changes {
            self.inner.store.finish_run(run.id, RunState::Cancelled { at: now }).await?;
            self.inner.syncs.leave(run.id);
            run = self.inner.store.begin_run(id, trigger, extent, next, now).await?;
        }
        self.set_to_work(run.clone(), sync.connection);
        self.note(Noun::Syncs, 0);
        Ok(run)
    }

    /// Lets a run work, unless it does.
    fn set_to_work(&self, run: SyncRun, connection: ConnectionId) {
        if let Some(at_work) = self.inner.syncs.enter(run.id, run.sync, connection) {
            let engine = self.clone();
            self.inner.syncs.tasks.spawn(engine.do_run(run, at_work));
        }
    }

    /// Stops a run; what it has committed stays.
    ///
    /// # Errors
    ///
    /// [`Error::Ended`] where it has ended by itself.
    pub async fn cancel_run(&self, id: SyncRunId) -> Result<SyncRun, Error> {
        let _changing = self.inner.syncs.changing.lock().await;
        // Noted first: a page that is being written is then either before it, or refused.
        let cancelled = RunState::Cancelled { at: self.now() };
        match self.inner.store.finish_run(id, cancelled).await {
            Err(store::Error::RunEnded) => return Err(Error::Ended),
            noted => noted?,
        }
        self.inner.syncs.leave(id);
        self.note(Noun::Syncs, 0);
        Ok(self.inner.store.sync_run(id).await?)
    }

    /// Runs, newest first.
    ///
    /// # Errors
    ///
    /// The store's.
    pub async fn sync_runs(
        &self,
        sync: Option<SyncId>,
        page: Page<SyncRunId>,
    ) -> Result<Slice<SyncRun, SyncRunId>, Error> {
        Ok(self.inner.store.sync_runs(sync, page).await?)
    }

    /// One run, and how it is getting on.
    ///
    /// # Errors
    ///
    /// The store's.
    pub async fn sync_run(&self, id: SyncRunId) -> Result<(SyncRun, Option<Progress>), Error> {
        let run = self.inner.store.sync_run(id).await?;
        Ok((run, self.inner.syncs.run(id).map(|at_work| at_work.progress())))
    }

    /// Records, last changed first.
    ///
    /// # Errors
    ///
    /// The store's.
    pub async fn records(
        &self,
        filter: &RecordFilter,
        page: Page<RecordId>,
    ) -> Result<Slice<Record, RecordId>, Error> {
        Ok(self.inner.store.records(filter, page).await?)
    }

    /// How many records match.
    ///
    /// # Errors
    ///
    /// The store's.
    pub async fn record_count(&self, filter: &RecordFilter) -> Result<Count, Error> {
        Ok(self.inner.store.record_count(filter).await?)
    }
}

/// What a sync does that does not run.
fn state_between_runs(sync: &Sync, connection: &Connection, last: Option<&SyncRun>) -> SyncState {
    if sync.sync.paused {
        return SyncState::Paused;
    }
    if let (Some(_), Some(why)) = (sync.next_run_at, NotReady::of(&connection.connection.state)) {
        return SyncState::Waiting { why: why.to_string(), until: None };
    }
    match last.map(|run| &run.state) {
        Some(RunState::Failed { .. }) => SyncState::Failed,
        Some(RunState::Running | RunState::Done { .. } | RunState::Cancelled { .. }) | None => {
            SyncState::Idle
        }
    }
}

fn lag(sync: &Sync, runs: &[SyncRun], now: Timestamp) -> Option<SignedDuration> {
    let complete = runs.iter().find(|run| matches!(run.state, RunState::Done { .. }));
    let known = sync.newest_at.max(complete.map(|run| run.started_at))?;
    Some(now.duration_since(known).max(SignedDuration::ZERO))
}

fn check_schedule(schedule: Option<&Schedule>, now: Timestamp) -> Result<(), Error> {
    schedule
        .map_or(Ok(()), |schedule| schedule.check(now))
        .map_err(|error| Error::Schedule(error.to_string()))
}
