//! Sync runs: reading a stream once.

use domain::id::{SyncId, SyncRunId};
use domain::page::{Page, Slice};
use domain::sync::{Counts, Extent, RunError, RunState, RunTrigger, SyncRun};
use jiff::Timestamp;
use rusqlite::{Connection, Row, named_params};

use super::paging::{Span, slice};
use super::{
    Error, Parents, Result, changed_one, from_json, millis, one, readings, rows, time, to_json,
};

/// How many runs of a sync are kept. One every ten seconds makes three million a year.
const KEPT: usize = 1_000;

const COLUMNS: &str = "id, sync, trigger, extent, started_at, state, ended_at, error, pages,
    records, inserted, changed, unchanged, deleted, expected, note";

fn run(row: &Row<'_>) -> Result<SyncRun> {
    Ok(SyncRun {
        id: SyncRunId::new(row.get(0)?),
        sync: SyncId::new(row.get(1)?),
        trigger: trigger(row.get_ref(2)?.as_str()?)?,
        extent: extent(row.get_ref(3)?.as_str()?)?,
        started_at: time(row.get(4)?)?,
        state: state(row)?,
        counts: Counts {
            pages: row.get(8)?,
            records: row.get(9)?,
            inserted: row.get(10)?,
            changed: row.get(11)?,
            unchanged: row.get(12)?,
            deleted: row.get(13)?,
        },
        expected: row.get(14)?,
        note: row.get(15)?,
    })
}

fn trigger(text: &str) -> Result<RunTrigger> {
    Ok(match text {
        "schedule" => RunTrigger::Schedule,
        "hand" => RunTrigger::Hand,
        "first" => RunTrigger::First,
        other => return Err(Error::Damaged(format!("a run has the trigger `{other}`"))),
    })
}

fn trigger_text(trigger: RunTrigger) -> &'static str {
    match trigger {
        RunTrigger::Schedule => "schedule",
        RunTrigger::Hand => "hand",
        RunTrigger::First => "first",
    }
}

fn extent(text: &str) -> Result<Extent> {
    Ok(match text {
        "changes" => Extent::Changes,
        "full" => Extent::Full,
        other => return Err(Error::Damaged(format!("a run has the extent `{other}`"))),
    })
}

fn extent_text(extent: Extent) -> &'static str {
    match extent {
        Extent::Changes => "changes",
        Extent::Full => "full",
    }
}

fn state(row: &Row<'_>) -> Result<RunState> {
    let ended_at = || -> Result<Timestamp> { time(row.get(6)?) };
    Ok(match row.get_ref(5)?.as_str()? {
        "running" => RunState::Running,
        "done" => RunState::Done { at: ended_at()? },
        "failed" => RunState::Failed {
            at: ended_at()?,
            error: from_json::<RunError>(row.get_ref(7)?.as_str()?)?,
        },
        "cancelled" => RunState::Cancelled { at: ended_at()? },
        other => return Err(Error::Damaged(format!("a run has the state `{other}`"))),
    })
}

/// Begins a run, unless one is under way: then that one is the answer.
pub(super) fn begin(
    db: &Connection,
    sync: SyncId,
    trigger: RunTrigger,
    extent: Extent,
    next_run_at: Option<Timestamp>,
    now: Timestamp,
) -> Result<SyncRun> {
    changed_one(
        db.prepare_cached("update syncs set next_run_at = :next_run_at where id = :sync")?
            .execute(named_params! {
                ":next_run_at": next_run_at.map(millis),
                ":sync": sync.get(),
            })?,
    )?;
    let begun = db
        .prepare_cached(
            "insert into sync_runs (sync, trigger, extent, started_at, state)
             values (:sync, :trigger, :extent, :now, 'running')
             on conflict (sync) where state = 'running' do nothing",
        )?
        .execute(named_params! {
            ":sync": sync.get(),
            ":trigger": trigger_text(trigger),
            ":extent": extent_text(extent),
            ":now": millis(now),
        })?;
    if begun > 0 {
        if extent == Extent::Full {
            db.prepare_cached("update syncs set cursor = null where id = :sync")?
                .execute(named_params! { ":sync": sync.get() })?;
            readings::note_parents(db, sync.get(), &Parents::Forgotten)?;
        }
        forget_old(db, sync)?;
    }
    let sql = format!("select {COLUMNS} from sync_runs where sync = :sync and state = 'running'");
    one(db, &sql, named_params! { ":sync": sync.get() }, run)
}

fn forget_old(db: &Connection, sync: SyncId) -> Result<()> {
    db.prepare_cached(
        "delete from sync_runs where sync = :sync and state <> 'running' and id <= (
             select id from sync_runs indexed by sync_runs_by_sync
             where sync = :sync order by id desc limit 1 offset :kept)",
    )?
    .execute(named_params! { ":sync": sync.get(), ":kept": KEPT })?;
    Ok(())
}

/// Ends a run. One that has ended keeps the end it had.
pub(super) fn finish(db: &Connection, id: SyncRunId, state: &RunState) -> Result<()> {
    let (text, at, error) = match state {
        RunState::Running => return Ok(()),
        RunState::Done { at } => ("done", *at, None),
        RunState::Failed { at, error } => ("failed", *at, Some(to_json(error)?)),
        RunState::Cancelled { at } => ("cancelled", *at, None),
    };
    let ended = db
        .prepare_cached(
            "update sync_runs set state = :state, ended_at = :at, error = :error
             where id = :id and state = 'running'",
        )?
        .execute(named_params! {
            ":state": text,
            ":at": millis(at),
            ":error": error,
            ":id": id.get(),
        })?;
    if ended == 0 { get(db, id).and(Err(Error::RunEnded)) } else { Ok(()) }
}

pub(super) fn list(
    db: &Connection,
    sync: Option<SyncId>,
    page: Page<SyncRunId>,
) -> Result<Slice<SyncRun, SyncRunId>> {
    let span = Span::of(page, SyncRunId::get);
    let of = if sync.is_some() { "sync = :sync" } else { ":sync is null" };
    let sql = format!(
        "select {COLUMNS} from sync_runs where {of} and id > :above and id < :below
         order by id {} limit :take",
        span.direction.sql()
    );
    let items = rows(
        db,
        &sql,
        named_params! {
            ":sync": sync.map(SyncId::get),
            ":above": span.above,
            ":below": span.below,
            ":take": span.take,
        },
        run,
    )?;
    Ok(slice(items, page, |run: &SyncRun| run.id))
}

pub(super) fn get(db: &Connection, id: SyncRunId) -> Result<SyncRun> {
    let sql = format!("select {COLUMNS} from sync_runs where id = :id");
    one(db, &sql, named_params! { ":id": id.get() }, run)
}

pub(super) fn unfinished(db: &Connection) -> Result<Vec<SyncRun>> {
    let sql = format!("select {COLUMNS} from sync_runs where state = 'running' order by id");
    rows(db, &sql, &[], run)
}
