//! Records: things in a stream, as last seen.
//!
//! A page's records and the cursor that follows them are one write. A record that is the same as
//! stored costs a look-up and no write. Lists are in the order of changes: every change takes the
//! next *place*, and a page of a list begins at a place. That is what [`Page`] carries here in the
//! form of an id, so that going on where a page ended works though its last record has moved.

use std::fmt::Write as _;

use domain::id::{ConnectionId, RecordId, SyncRunId};
use domain::page::{Count, Page, Slice};
use domain::record::{NewRecord, Record, RecordFilter};
use domain::sync::Counts;
use rusqlite::{CachedStatement, Connection, Row, named_params};
use sha2::{Digest as _, Sha256};

use super::paging::{Direction, Span, slice};
use super::text::{Query, plain_json};
use super::writer::Step;
use super::{Error, Result, SyncPage, events, millis, readings, rows, time};

/// Rows that one step deletes.
const STEP: usize = 256;

/// Whether a record is the same as one that is stored: 16 bytes of SHA-256.
pub(super) type Digest = [u8; 16];

/// The digest of what a record says.
pub(super) fn digest(record: &NewRecord) -> Digest {
    let mut hash = Sha256::new();
    // The length keeps a version from running into the data.
    let version = record.version.as_deref().unwrap_or_default();
    hash.update([u8::from(record.version.is_some())]);
    hash.update((version.len() as u64).to_le_bytes());
    hash.update(version);
    hash.update(&record.data);
    let mut digest = Digest::default();
    digest.copy_from_slice(&hash.finalize()[..16]);
    digest
}

/// Writes the records of a page and the cursor that follows it. Says what it did.
///
/// # Errors
///
/// [`Error::RunEnded`] where its run is no longer at work; [`Error::NotFound`] where it is gone.
pub(super) fn commit_page(db: &Connection, page: &SyncPage, digests: &[Digest]) -> Result<Counts> {
    let AtWork { sync, stream } = at_work(db, page.run)?;
    let mut writing = Writing::begin(db, stream, page.reading, millis(page.at))?;
    for (record, digest) in page.records.iter().zip(digests) {
        writing.upsert(record, digest)?;
    }
    let counts = Counts { pages: page.pages, ..writing.end(db)? };
    readings::note_parents(db, sync, &page.parents)?;

    db.prepare_cached(
        "update syncs
         set cursor = coalesce(:cursor, cursor),
             newest_at = coalesce(max(newest_at, :newest_at), newest_at, :newest_at)
         where id = :sync",
    )?
    .execute(named_params! {
        ":cursor": page.cursor,
        ":newest_at": page.newest_at.map(millis),
        ":sync": sync,
    })?;
    add_to_run(db, page.run, counts, page.expected, page.note.as_deref())?;
    Ok(counts)
}

/// A run at work: its sync, and the number of its stream.
pub(super) struct AtWork {
    pub(super) sync: i64,
    pub(super) stream: i64,
}

/// Looks up a run that is at work.
pub(super) fn at_work(db: &Connection, run: SyncRunId) -> Result<AtWork> {
    let (sync, connection, stream) = db
        .prepare_cached(
            "select syncs.id, syncs.connection, syncs.stream, sync_runs.state
             from sync_runs join syncs on syncs.id = sync_runs.sync where sync_runs.id = :run",
        )?
        .query_and_then(named_params! { ":run": run.get() }, |row| {
            if row.get_ref(3)?.as_str()? != "running" {
                return Err(Error::RunEnded);
            }
            Ok((row.get::<_, i64>(0)?, row.get::<_, i64>(1)?, row.get::<_, String>(2)?))
        })?
        .next()
        .ok_or(Error::NotFound)??;
    Ok(AtWork { sync, stream: stream_id(db, connection, &stream)? })
}

/// Adds to the sums of a run. What it has to say is added to what it has said.
pub(super) fn add_to_run(
    db: &Connection,
    run: SyncRunId,
    counts: Counts,
    expected: Option<u64>,
    note: Option<&str>,
) -> Result<()> {
    db.prepare_cached(
        "update sync_runs
         set pages = pages + :pages, records = records + :records,
             inserted = inserted + :inserted, changed = changed + :changed,
             unchanged = unchanged + :unchanged, deleted = deleted + :deleted,
             expected = coalesce(:expected, expected),
             note = case when :note is null then note
                         when note is null then :note else note || ' ' || :note end
         where id = :run",
    )?
    .execute(named_params! {
        ":pages": counts.pages,
        ":note": note,
        ":records": counts.records,
        ":inserted": counts.inserted,
        ":changed": counts.changed,
        ":unchanged": counts.unchanged,
        ":deleted": counts.deleted,
        ":expected": expected,
        ":run": run.get(),
    })?;
    Ok(())
}

/// What a stored record is compared by.
struct Stored {
    id: i64,
    deleted: bool,
    digest: Digest,
}

/// A page at work: its statements, bound by place since there may be thousands of records.
struct Writing<'db> {
    find: CachedStatement<'db>,
    insert: CachedStatement<'db>,
    change: CachedStatement<'db>,
    delete: CachedStatement<'db>,
    see: CachedStatement<'db>,
    stream: i64,
    reading: Option<i64>,
    at: i64,
    place: i64,
    counts: Counts,
}

impl<'db> Writing<'db> {
    fn begin(db: &'db Connection, stream: i64, reading: Option<i64>, at: i64) -> Result<Self> {
        Ok(Self {
            find: db.prepare_cached(
                "select id, deleted, digest from records where stream = ?1 and key = ?2",
            )?,
            insert: db.prepare_cached(
                "insert into records (id, stream, key, place, deleted, first_seen_at, changed_at,
                                      digest, version, data)
                 values (?1, ?2, ?3, ?1, 0, ?4, ?4, ?5, ?6, ?7)",
            )?,
            change: db.prepare_cached(
                "update records
                 set place = ?2, deleted = 0, changed_at = ?3, digest = ?4, version = ?5, data = ?6
                 where id = ?1",
            )?,
            delete: db.prepare_cached(
                "update records set place = ?2, deleted = 1, changed_at = ?3 where id = ?1",
            )?,
            see: db.prepare_cached(
                "insert into seen (record, reading) values (?1, ?2)
                 on conflict (record) do update set reading = excluded.reading",
            )?,
            stream,
            reading,
            at,
            place: place(db)?,
            counts: Counts::default(),
        })
    }

    fn upsert(&mut self, record: &NewRecord, digest: &Digest) -> Result<()> {
        self.counts.records += 1;
        let stored = self.find(&record.key)?;
        let known = stored.as_ref().map(|stored| stored.id);
        match stored {
            // What is gone, and was never here or is known to be gone, is no news.
            None if record.deleted => self.counts.unchanged += 1,
            Some(stored) if record.deleted && stored.deleted => self.counts.unchanged += 1,
            Some(stored) if record.deleted => self.delete(&stored)?,
            Some(stored) if !stored.deleted && stored.digest == *digest => {
                self.counts.unchanged += 1;
            }
            Some(stored) => self.change(&stored, record, digest)?,
            None => self.insert(record, digest)?,
        }
        match self.reading {
            // A record that was just inserted has its place for its id.
            Some(reading) if !record.deleted => self.see(known.unwrap_or(self.place), reading),
            Some(_) | None => Ok(()),
        }
    }

    fn see(&mut self, record: i64, reading: i64) -> Result<()> {
        self.see.raw_bind_parameter(1, record)?;
        self.see.raw_bind_parameter(2, reading)?;
        self.see.raw_execute()?;
        Ok(())
    }

    fn find(&mut self, key: &str) -> Result<Option<Stored>> {
        self.find.raw_bind_parameter(1, self.stream)?;
        self.find.raw_bind_parameter(2, key)?;
        let mut rows = self.find.raw_query();
        let Some(row) = rows.next()? else { return Ok(None) };
        Ok(Some(Stored { id: row.get(0)?, deleted: row.get(1)?, digest: row.get(2)? }))
    }

    fn insert(&mut self, record: &NewRecord, digest: &Digest) -> Result<()> {
        self.place += 1;
        self.counts.inserted += 1;
        let insert = &mut self.insert;
        insert.raw_bind_parameter(1, self.place)?;
        insert.raw_bind_parameter(2, self.stream)?;
        insert.raw_bind_parameter(3, record.key.as_str())?;
        insert.raw_bind_parameter(4, self.at)?;
        insert.raw_bind_parameter(5, digest.as_slice())?;
        insert.raw_bind_parameter(6, record.version.as_deref())?;
        insert.raw_bind_parameter(7, record.data.as_str())?;
        insert.raw_execute()?;
        Ok(())
    }

    fn change(&mut self, stored: &Stored, record: &NewRecord, digest: &Digest) -> Result<()> {
        self.place += 1;
        self.counts.changed += 1;
        let change = &mut self.change;
        change.raw_bind_parameter(1, stored.id)?;
        change.raw_bind_parameter(2, self.place)?;
        change.raw_bind_parameter(3, self.at)?;
        change.raw_bind_parameter(4, digest.as_slice())?;
        change.raw_bind_parameter(5, record.version.as_deref())?;
        change.raw_bind_parameter(6, record.data.as_str())?;
        change.raw_execute()?;
        Ok(())
    }

    /// What was last seen of it stays: the provider may have sent no more than its key.
    fn delete(&mut self, stored: &Stored) -> Result<()> {
        self.place += 1;
        self.counts.deleted += 1;
        let delete = &mut self.delete;
        delete.raw_bind_parameter(1, stored.id)?;
        delete.raw_bind_parameter(2, self.place)?;
        delete.raw_bind_parameter(3, self.at)?;
        delete.raw_execute()?;
        Ok(())
    }

    fn end(self, db: &Connection) -> Result<Counts> {
        keep_place(db, self.place)?;
        Ok(self.counts)
    }
}

/// Keeps the newest place that was handed out.
pub(super) fn keep_place(db: &Connection, place: i64) -> Result<()> {
    db.prepare_cached(
        "insert into marks (name, value) values ('place', :place)
         on conflict (name) do update set value = excluded.value",
    )?
    .execute(named_params! { ":place": place })?;
    Ok(())
}

/// The newest place that was handed out.
pub(super) fn place(db: &Connection) -> Result<i64> {
    Ok(db
        .prepare_cached("select coalesce((select value from marks where name = 'place'), 0)")?
        .query_row([], |row| row.get(0))?)
}

fn stream_id(db: &Connection, connection: i64, name: &str) -> Result<i64> {
    let params = named_params! { ":connection": connection, ":name": name };
    db.prepare_cached(
        "insert into streams (connection, name) values (:connection, :name)
         on conflict (connection, name) do nothing",
    )?
    .execute(params)?;
    Ok(db
        .prepare_cached("select id from streams where connection = :connection and name = :name")?
        .query_row(params, |row| row.get(0))?)
}

/// The streams that a filter names; those whose connection is gone are in none.
fn streams(db: &Connection, filter: &RecordFilter) -> Result<Vec<i64>> {
    rows(
        db,
        "select id from streams
         where connection is not null
           and (:connection is null or connection = :connection)
           and (:name is null or name = :name)",
        named_params! {
            ":connection": filter.connection.map(ConnectionId::get),
            ":name": filter.stream,
        },
        |row| Ok(row.get(0)?),
    )
}

fn record(row: &Row<'_>) -> Result<Record> {
    Ok(Record {
        id: RecordId::new(row.get(0)?),
        connection: ConnectionId::new(row.get(1)?),
        stream: row.get(2)?,
        record: NewRecord {
            key: row.get(3)?,
            version: row.get(4)?,
            data: row.get(5)?,
            deleted: row.get(6)?,
        },
        first_seen_at: time(row.get(7)?)?,
        changed_at: time(row.get(8)?)?,
    })
}

/// Records, last changed first. The ids in `page` and in the answer's ends are places.
pub(super) fn list(
    db: &Connection,
    filter: &RecordFilter,
    page: Page<RecordId>,
) -> Result<Slice<Record, RecordId>> {
    let span = Span::of(page, RecordId::get);
    let places = places(db, filter, span, true)?;
    let mut statement = db.prepare_cached(
        "select records.id, streams.connection, streams.name, records.key, records.version,
                records.data, records.deleted, records.first_seen_at, records.changed_at
         from records join streams on streams.id = records.stream
         where records.stream = :stream and records.place = :place",
    )?;
    let mut items = Vec::with_capacity(places.len());
    for (place, stream) in places {
        let mut rows = statement.query(named_params! { ":stream": stream, ":place": place })?;
        let row = rows.next()?.ok_or(Error::NotFound)?;
        items.push((place, record(row)?));
    }
    let slice = slice(items, page, |(place, _)| RecordId::new(*place));
    Ok(Slice {
        items: slice.items.into_iter().map(|(_, record)| record).collect(),
        next: slice.next,
        previous: slice.previous,
    })
}

/// How many records match, deleted ones left out.
pub(super) fn count(db: &Connection, filter: &RecordFilter) -> Result<Count> {
    let take = events::COUNT_LIMIT + 1;
    let span = Span { above: -1, below: i64::MAX, direction: Direction::Down, take };
    if filter.text.is_some() {
        return Ok(events::counted(places(db, filter, span, false)?.len() as u64));
    }
    let mut count = 0;
    for stream in streams(db, filter)? {
        count += db
            .prepare_cached(
                "select count(*) from (
                     select 1 from records indexed by records_by_place
                     where stream = :stream and not deleted limit :take)",
            )?
            .query_row(named_params! { ":stream": stream, ":take": take }, |row| {
                row.get::<_, u64>(0)
            })?;
    }
    Ok(events::counted(count))
}

/// Places (and their streams) of a span, in its order: each stream's list, merged.
fn places(
    db: &Connection,
    filter: &RecordFilter,
    span: Span,
    with_deleted: bool,
) -> Result<Vec<(i64, i64)>> {
    let query = filter.text.as_deref().map(Query::parse);
    let mut found = Vec::new();
    for stream in streams(db, filter)? {
        match &query {
            Some(query) => search(db, stream, query, span, with_deleted, &mut found)?,
            None => walk(db, stream, span, with_deleted, &mut found)?,
        }
    }
    match span.direction {
        Direction::Down => found.sort_unstable_by(|a, b| b.cmp(a)),
        Direction::Up => found.sort_unstable(),
    }
    found.truncate(span.take);
    Ok(found)
}

fn sql(columns: &str, span: Span, with_deleted: bool) -> String {
    let mut sql = format!(
        "select {columns} from records indexed by records_by_place
         where stream = :stream and place > :above and place < :below"
    );
    if !with_deleted {
        sql += " and not deleted";
    }
    let _ = write!(sql, " order by place {}", span.direction.sql());
    sql
}

fn walk(
    db: &Connection,
    stream: i64,
    span: Span,
    with_deleted: bool,
    found: &mut Vec<(i64, i64)>,
) -> Result<()> {
    let sql = sql("place", span, with_deleted) + " limit :take";
    let mut statement = db.prepare_cached(&sql)?;
    let mut rows = statement.query(named_params! {
        ":stream": stream,
        ":above": span.above,
        ":below": span.below,
        ":take": span.take,
    })?;
    while let Some(row) = rows.next()? {
        found.push((row.get(0)?, stream));
    }
    Ok(())
}

fn search(
    db: &Connection,
    stream: i64,
    query: &Query,
    span: Span,
    with_deleted: bool,
    found: &mut Vec<(i64, i64)>,
) -> Result<()> {
    let sql = sql("place, key, data", span, with_deleted);
    let mut statement = db.prepare_cached(&sql)?;
    let mut rows = statement.query(named_params! {
        ":stream": stream,
        ":above": span.above,
        ":below": span.below,
    })?;
    let mut left = span.take;
    while left > 0 {
        let Some(row) = rows.next()? else { break };
        let data = plain_json(row.get_ref(2)?.as_str()?);
        if query.is_in(&[row.get_ref(1)?.as_str()?, &data]) {
            found.push((row.get(0)?, stream));
            left -= 1;
        }
    }
    Ok(())
}

/// Streams whose connection is gone, but whose records are not.
pub(super) fn orphans(db: &Connection) -> Result<Vec<i64>> {
    rows(db, "select id from streams where connection is null order by id", &[], |row| {
        Ok(row.get(0)?)
    })
}

/// One step of removing an orphaned stream.
pub(super) fn remove(db: &Connection, stream: i64) -> Result<Step> {
    db.prepare_cached(
        "delete from seen where record in (
             select id from records where stream = :stream limit :step)",
    )?
    .execute(named_params! { ":stream": stream, ":step": STEP })?;
    let removed = db
        .prepare_cached(
            "delete from records where id in (
                 select id from records where stream = :stream limit :step)",
        )?
        .execute(named_params! { ":stream": stream, ":step": STEP })?;
    if removed > 0 {
        return Ok(Step::More(removed as u64));
    }
    db.prepare_cached("delete from streams where id = :stream and connection is null")?
        .execute(named_params! { ":stream": stream })?;
    Ok(Step::Done(0))
}
