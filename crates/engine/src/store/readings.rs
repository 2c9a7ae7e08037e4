//! What is kept of a reading that is too large for its cursor: the parents that a stream is read
//! for, and what a full reading has seen.

use domain::id::{SyncId, SyncRunId};
use domain::sync::Counts;
use jiff::Timestamp;
use rusqlite::{Connection, OptionalExtension as _, named_params};

use super::records::{add_to_run, at_work, keep_place, place};
use super::{DueParent, ListedParent, ParentProgress, Parents, Result, Seen, millis, rows};

/// How many records one step of a sweep looks at.
const STEP: i64 = 256;

/// Writes what a page does to the parents of a sync.
pub(super) fn note_parents(db: &Connection, sync: i64, parents: &Parents) -> Result<()> {
    match parents {
        Parents::Same => Ok(()),
        Parents::Forgotten => {
            db.prepare_cached("delete from sync_parents where sync = :sync")?
                .execute(named_params! { ":sync": sync })?;
            Ok(())
        }
        Parents::Listed { list, page, only_changed, is_all } => {
            for parent in page {
                list_parent(db, sync, *list, parent, *only_changed)?;
            }
            if *is_all {
                db.prepare_cached("delete from sync_parents where sync = :sync and list <> :list")?
                    .execute(named_params! { ":sync": sync, ":list": list })?;
            }
            Ok(())
        }
        Parents::At { key, cursor, progress } => {
            db.prepare_cached(
                "update sync_parents
                 set cursor = :cursor, due = :due,
                     read = case :progress when 1 then listed when 2 then null else read end
                 where sync = :sync and key = :key",
            )?
            .execute(named_params! {
                ":cursor": cursor,
                // One that was refused stays due: where only changed parents are listed, nothing
                // else would bring it back.
                ":due": *progress != ParentProgress::Done,
                ":progress": match progress {
                    ParentProgress::Reading => 0,
                    ParentProgress::Done => 1,
                    ParentProgress::Refused => 2,
                },
                ":sync": sync,
                ":key": key,
            })?;
            Ok(())
        }
    }
}

fn list_parent(
    db: &Connection,
    sync: i64,
    list: i64,
    parent: &ListedParent,
    only_changed: bool,
) -> Result<()> {
    let Some(data) = &parent.data else {
        db.prepare_cached("delete from sync_parents where sync = :sync and key = :key")?
            .execute(named_params! { ":sync": sync, ":key": parent.key })?;
        return Ok(());
    };
    // One that is still due stays so: an earlier run has not come to it.
    db.prepare_cached(
        "insert into sync_parents (sync, key, data, list, listed, due)
         values (:sync, :key, :data, :list, :listed, 1)
         on conflict (sync, key) do update
         set data = excluded.data, list = excluded.list, listed = excluded.listed,
             due = due or not :only_changed or read is null or read <> excluded.listed",
    )?
    .execute(named_params! {
        ":sync": sync,
        ":key": parent.key,
        ":data": data,
        ":list": list,
        ":listed": parent.digest.as_slice(),
        ":only_changed": only_changed,
    })?;
    Ok(())
}

pub(super) fn due_parent(db: &Connection, sync: SyncId, after: &str) -> Result<Option<DueParent>> {
    Ok(db
        .prepare_cached(
            "select key, data, cursor, read is not null from sync_parents
             where sync = :sync and due and key > :after order by key limit 1",
        )?
        .query_row(named_params! { ":sync": sync.get(), ":after": after }, |row| {
            Ok(DueParent {
                key: row.get(0)?,
                data: row.get(1)?,
                cursor: row.get(2)?,
                was_read: row.get(3)?,
            })
        })
        .optional()?)
}

/// Whether a parent has been read to its end, and is not due since.
pub(super) fn any_parent_is_read(db: &Connection, sync: SyncId) -> Result<bool> {
    Ok(db
        .prepare_cached("select 1 from sync_parents where sync = ?1 and not due limit 1")?
        .exists([sync.get()])?)
}

/// What the full reading of a sync has seen.
pub(super) fn seen(db: &Connection, sync: SyncId, reading: i64) -> Result<Seen> {
    let exists = |sql: &str, params: &[(&str, &dyn rusqlite::ToSql)]| -> Result<bool> {
        Ok(db.prepare_cached(sql)?.exists(params)?)
    };
    let of_stream = "select 1 from records
         join streams on streams.id = records.stream
         join syncs on syncs.connection = streams.connection and syncs.stream = streams.name";
    let live = format!("{of_stream} where syncs.id = :sync and not records.deleted limit 1");
    let seen = format!(
        "{of_stream} join seen on seen.record = records.id
         where syncs.id = :sync and seen.reading >= :reading limit 1"
    );
    let sync = sync.get();
    Ok(Seen {
        any: exists(&seen, named_params! { ":sync": sync, ":reading": reading })?,
        any_live: exists(&live, named_params! { ":sync": sync })?,
    })
}

/// One step of marking as deleted what the full reading has not seen. What was last seen of it
/// stays.
///
/// # Errors
///
/// [`super::Error::RunEnded`] where the run is no longer at work.
pub(super) fn sweep(
    db: &Connection,
    run: SyncRunId,
    reading: i64,
    after: i64,
    now: Timestamp,
) -> Result<(Option<i64>, Counts)> {
    let stream = at_work(db, run)?.stream;
    let looked_at = rows(
        db,
        "select records.id, records.place, coalesce(seen.reading >= :reading, 0)
         from records indexed by records_by_place left join seen on seen.record = records.id
         where records.stream = :stream and records.place > :after and not records.deleted
         order by records.place limit :step",
        named_params! { ":reading": reading, ":stream": stream, ":after": after, ":step": STEP },
        |row| Ok((row.get::<_, i64>(0)?, row.get::<_, i64>(1)?, row.get::<_, bool>(2)?)),
    )?;
    let mut newest = place(db)?;
    let mut counts = Counts::default();
    let mut delete = db.prepare_cached(
        "update records set place = ?2, deleted = 1, changed_at = ?3 where id = ?1",
    )?;
    for (id, ..) in looked_at.iter().filter(|(.., is_seen)| !is_seen) {
        newest += 1;
        counts.deleted += 1;
        delete.execute((id, newest, millis(now)))?;
    }
    if counts.deleted > 0 {
        keep_place(db, newest)?;
        add_to_run(db, run, counts, None, None)?;
    }
    let next = looked_at.last().map(|(_, place, _)| *place);
    let is_more = i64::try_from(looked_at.len()).is_ok_and(|looked_at| looked_at == STEP);
    Ok((next.filter(|_| is_more), counts))
}
