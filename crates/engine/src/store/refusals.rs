//! Refusals: bounded in number and age, since everybody on the internet can cause them.

use domain::id::{InboxId, RefusalId};
use domain::page::Count;
use domain::page::{Page, Slice};
use domain::refusal::{NewRefusal, Refusal};
use jiff::Timestamp;
use rusqlite::{Connection, Row, named_params};

use super::paging::{Span, slice};
use super::{Result, events, from_json, millis, one, rows, time, to_json};

/// How many of an inbox are kept; as many of unknown paths.
pub(super) const KEPT: usize = 1_000;
/// For how long.
pub(super) const KEPT_MILLIS: i64 = 30 * 24 * 60 * 60 * 1_000;
/// How much of a body is kept.
pub(super) const BODY_START: usize = 4 << 10;
/// How much of the headers is kept, names and values together.
pub(super) const HEADERS: usize = 8 << 10;
/// How many are dropped at a time for their age.
const STEP: usize = 256;

/// Not those of an inbox that is being deleted.
const VISIBLE: &str =
    "not exists (select 1 from inboxes where inboxes.id = refusals.inbox and doomed)";

const COLUMNS: &str = "id, inbox, at, address, method, path, reason, message, headers, body_start,
    size_bytes, times";

fn refusal(row: &Row<'_>) -> Result<Refusal> {
    Ok(Refusal {
        id: RefusalId::new(row.get(0)?),
        refused: NewRefusal {
            inbox: row.get::<_, Option<i64>>(1)?.map(InboxId::new),
            at: time(row.get(2)?)?,
            address: row.get(3)?,
            method: row.get(4)?,
            path: row.get(5)?,
            reason: from_json(row.get_ref(6)?.as_str()?)?,
            message: row.get(7)?,
            headers: from_json(row.get_ref(8)?.as_str()?)?,
            body_start: row.get(9)?,
            size_bytes: row.get(10)?,
        },
        times: row.get(11)?,
    })
}

/// The minute since 1970 in which a refusal is counted with its like: those that are for no inbox,
/// which strangers can cause without end.
pub(super) fn minute(refusal: &NewRefusal) -> Option<i64> {
    refusal.inbox.is_none().then(|| millis(refusal.at).div_euclid(60_000))
}

/// Notes refusals and how many times each, and drops what is beyond the bounds.
pub(super) fn insert(db: &Connection, refusals: &[(NewRefusal, u32)]) -> Result<()> {
    let mut statement = db.prepare_cached(
        "insert into refusals (inbox, at, address, method, path, reason, message, headers,
                               body_start, size_bytes, times, minute)
         values (:inbox, :at, :address, :method, :path, :reason, :message, :headers, :body_start,
                 :size_bytes, :times, :minute)
         on conflict (minute, coalesce(address, ''), reason, message) where minute is not null
             do update set times = times + excluded.times, at = max(at, excluded.at)",
    )?;
    let mut inboxes = Vec::new();
    for (refusal, times) in refusals {
        let body_start = &refusal.body_start[..refusal.body_start.len().min(BODY_START)];
        statement.execute(named_params! {
            ":inbox": refusal.inbox.map(InboxId::get),
            ":at": millis(refusal.at),
            ":address": refusal.address,
            ":method": refusal.method,
            ":path": refusal.path,
            ":reason": to_json(&refusal.reason)?,
            ":message": refusal.message,
            ":headers": to_json(&kept(&refusal.headers))?,
            ":body_start": body_start,
            ":size_bytes": refusal.size_bytes,
            ":times": times,
            ":minute": minute(refusal),
        })?;
        if !inboxes.contains(&refusal.inbox) {
            inboxes.push(refusal.inbox);
        }
    }
    for inbox in inboxes {
        keep_newest(db, inbox)?;
    }
    if let Some(now) = refusals.iter().map(|(refusal, _)| refusal.at).max() {
        drop_old(db, now)?;
    }
    Ok(())
}

/// The beginning of the headers, whole ones.
fn kept(headers: &[(String, String)]) -> &[(String, String)] {
    let sizes = headers.iter().map(|(name, value)| name.len() + value.len());
    let ends = sizes.scan(0, |end, size| {
        *end += size;
        Some(*end)
    });
    &headers[..ends.take_while(|&end| end <= HEADERS).count()]
}

fn keep_newest(db: &Connection, inbox: Option<InboxId>) -> Result<()> {
    db.prepare_cached(
        "delete from refusals where inbox is :inbox and id <= (
             select id from refusals indexed by refusals_by_inbox
             where inbox is :inbox order by id desc limit 1 offset :kept)",
    )?
    .execute(named_params! { ":inbox": inbox.map(InboxId::get), ":kept": KEPT })?;
    Ok(())
}

/// Drops some of those that are too old; says how many.
pub(super) fn drop_old(db: &Connection, now: Timestamp) -> Result<usize> {
    Ok(db
        .prepare_cached(
            "delete from refusals where id in (
                 select id from refusals indexed by refusals_by_time
                 where at < :oldest order by at limit :step)",
        )?
        .execute(named_params! {
            ":oldest": millis(now).saturating_sub(KEPT_MILLIS),
            ":step": STEP,
        })?)
}

pub(super) fn list(
    db: &Connection,
    inbox: Option<InboxId>,
    page: Page<RefusalId>,
) -> Result<Slice<Refusal, RefusalId>> {
    let span = Span::of(page, RefusalId::get);
    let of = if inbox.is_some() { "inbox = :inbox" } else { ":inbox is null" };
    let sql = format!(
        "select {COLUMNS} from refusals where {of} and id > :above and id < :below and {VISIBLE}
         order by id {} limit :take",
        span.direction.sql()
    );
    let items = rows(
        db,
        &sql,
        named_params! {
            ":inbox": inbox.map(InboxId::get),
            ":above": span.above,
            ":below": span.below,
            ":take": span.take,
        },
        refusal,
    )?;
    Ok(slice(items, page, |refusal: &Refusal| refusal.id))
}

pub(super) fn get(db: &Connection, id: RefusalId) -> Result<Refusal> {
    let sql = format!("select {COLUMNS} from refusals where id = :id and {VISIBLE}");
    one(db, &sql, named_params! { ":id": id.get() }, refusal)
}

/// How many requests were refused since then, those for no inbox left out.
pub(super) fn count(db: &Connection, since: Timestamp) -> Result<Count> {
    let count = db
        .prepare_cached(
            "select count(*) from (
                 select 1 from refusals where at >= :since and minute is null limit :limit)",
        )?
        .query_row(
            named_params! { ":since": millis(since), ":limit": events::COUNT_LIMIT + 1 },
            |row| row.get(0),
        )?;
    Ok(events::counted(count))
}
