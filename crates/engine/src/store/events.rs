//! The log: what was accepted, in the order in which it was committed.

use std::fmt::Write as _;

use bytes::Bytes;
use domain::event::{
    About, Event, EventFilter, EventRate, EventSummary, NewEvent, Origin, Proof, ProofDetail,
};
use domain::id::{ConnectionId, EventId, InboxId};
use domain::page::{Count, Page, Slice};
use jiff::{SignedDuration, Timestamp};
use rusqlite::{Connection, Row, named_params};
use serde::{Deserialize, Serialize};

use super::paging::{Direction, Span, slice};
use super::readers::Reader;
use super::{Error, Result, millis, search, time};

/// Up to where counting goes.
pub(super) const COUNT_LIMIT: usize = 10_000;
/// How many types are shown, and how many are looked at for that.
const TYPES_SHOWN: usize = 200;
const TYPES_LOOKED_AT: usize = 2_000;

/// What is kept of an event beside its columns; nothing searches it.
#[derive(Serialize)]
struct DetailRef<'a> {
    method: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    query: Option<&'a str>,
    headers: &'a [(String, String)],
    #[serde(skip_serializing_if = "is_default")]
    proof: &'a ProofDetail,
    #[serde(skip_serializing_if = "Option::is_none")]
    about: Option<&'a About>,
    #[serde(skip_serializing_if = "Option::is_none")]
    occurred_at: Option<i64>,
}

fn is_default(proof: &&ProofDetail) -> bool {
    **proof == ProofDetail::default()
}

/// The same, read back.
#[derive(Deserialize)]
struct Detail {
    method: String,
    query: Option<String>,
    headers: Vec<(String, String)>,
    #[serde(default)]
    proof: ProofDetail,
    about: Option<About>,
    occurred_at: Option<i64>,
}

/// The JSON of the column `detail`.
pub(super) fn detail(event: &NewEvent) -> String {
    let detail = DetailRef {
        method: &event.method,
        query: event.query.as_deref(),
        headers: &event.headers,
        proof: &event.proof_detail,
        about: event.about.as_ref(),
        occurred_at: event.occurred_at.map(Timestamp::as_millisecond),
    };
    // Strings and numbers into memory: there is nothing that could fail.
    serde_json::to_string(&detail).unwrap_or_default()
}

pub(super) fn headers_of(detail: &str) -> Vec<(String, String)> {
    serde_json::from_str::<Detail>(detail).map(|detail| detail.headers).unwrap_or_default()
}

pub(super) fn origin_number(origin: Origin) -> i64 {
    match origin {
        Origin::Push => 0,
        Origin::Recovered => 1,
        Origin::Sync => 2,
        Origin::Hand => 3,
    }
}

fn origin(number: i64) -> Result<Origin> {
    Ok(match number {
        0 => Origin::Push,
        1 => Origin::Recovered,
        2 => Origin::Sync,
        3 => Origin::Hand,
        other => return Err(Error::Damaged(format!("an event has the origin {other}"))),
    })
}

pub(super) fn proof_number(proof: Proof) -> i64 {
    match proof {
        Proof::Verified => 0,
        Proof::Unsigned => 1,
        Proof::Held => 2,
        Proof::Recovered => 3,
    }
}

fn proof(number: i64) -> Result<Proof> {
    Ok(match number {
        0 => Proof::Verified,
        1 => Proof::Unsigned,
        2 => Proof::Held,
        3 => Proof::Recovered,
        other => return Err(Error::Damaged(format!("an event has the proof {other}"))),
    })
}

/// The columns of a summary. Its size comes from the row's header: the body is not read for it.
const SUMMARY: &str = "events.id, events.inbox, event_types.name, events.title,
    events.external_id, events.received_at, length(events.body), events.origin, events.proof,
    coalesce(arrivals.times, 1), events.sandbox";

const SUMMARY_FROM: &str = "events
    left join event_types on event_types.id = events.type
    left join arrivals on arrivals.inbox = events.inbox and arrivals.key = events.key";

fn summary(row: &Row<'_>) -> Result<EventSummary> {
    Ok(EventSummary {
        id: EventId::new(row.get(0)?),
        inbox: InboxId::new(row.get(1)?),
        event_type: row.get::<_, Option<String>>(2)?.unwrap_or_default(),
        title: row.get(3)?,
        external_id: row.get(4)?,
        received_at: time(row.get(5)?)?,
        size_bytes: row.get(6)?,
        origin: origin(row.get(7)?)?,
        proof: proof(row.get(8)?)?,
        arrived: row.get(9)?,
        sandbox: row.get(10)?,
    })
}

/// A part of the log.
pub(super) fn list(
    reader: &Reader,
    filter: &EventFilter,
    page: Page<EventId>,
) -> Result<Slice<EventSummary, EventId>> {
    let span = Span::of(page, EventId::get);
    let ids = reader.snapshot(|reader| {
        let ids = search::find(reader, filter, span)?;
        let sql = format!("select {SUMMARY} from {SUMMARY_FROM} where events.id = :id");
        let mut statement = reader.db.prepare_cached(&sql)?;
        ids.iter()
            .map(|id| {
                let mut rows = statement.query(named_params! { ":id": id })?;
                rows.next()?.ok_or(Error::NotFound).and_then(summary)
            })
            .collect()
    })?;
    Ok(slice(ids, page, |event: &EventSummary| event.id))
}

/// How many events match, up to [`COUNT_LIMIT`].
pub(super) fn count(reader: &Reader, filter: &EventFilter) -> Result<Count> {
    let span =
        Span { above: -1, below: i64::MAX, direction: Direction::Down, take: COUNT_LIMIT + 1 };
    let count = reader.snapshot(|reader| Ok(search::find(reader, filter, span)?.len()))?;
    Ok(counted(count as u64))
}

/// What a count that stopped above [`COUNT_LIMIT`] means.
pub(super) fn counted(count: u64) -> Count {
    let limit = COUNT_LIMIT as u64;
    Count { count: count.min(limit), exact: count <= limit }
}

/// The ids of events that match `filter`, its text left aside, in the order of `span`.
///
/// Ids are found in an index alone where that is possible; rows are read by whoever wants them.
pub(super) fn ids(db: &Connection, filter: &EventFilter, span: Span) -> Result<Vec<i64>> {
    let Some(span) = within_time(db, filter, span)? else { return Ok(Vec::new()) };
    let Some(types) = types(db, filter)? else { return walk(db, filter, None, span) };
    // An inbox has one number for a type. Where several inboxes have it, their lists are merged.
    let mut found = Vec::new();
    for kind in types {
        found.extend(walk(db, filter, Some(kind), span)?);
    }
    match span.direction {
        Direction::Down => found.sort_unstable_by(|a, b| b.cmp(a)),
        Direction::Up => found.sort_unstable(),
    }
    found.truncate(span.take);
    Ok(found)
}

/// Narrows a span to the ids that were received in the filter's time; none where nothing was.
pub(super) fn within_time(
    db: &Connection,
    filter: &EventFilter,
    span: Span,
) -> Result<Option<Span>> {
    if filter.since.is_none() && filter.until.is_none() {
        return Ok(Some(span));
    }
    let bounds: (Option<i64>, Option<i64>) = db
        .prepare_cached(
            "select min(id), max(id) from events indexed by events_by_time
             where received_at >= :since and received_at < :until",
        )?
        .query_row(named_params! { ":since": since(filter), ":until": until(filter) }, |row| {
            Ok((row.get(0)?, row.get(1)?))
        })?;
    let (Some(first), Some(last)) = bounds else { return Ok(None) };
    Ok(Some(Span {
        above: span.above.max(first - 1),
        below: span.below.min(last.saturating_add(1)),
        ..span
    }))
}

fn since(filter: &EventFilter) -> i64 {
    filter.since.map_or(i64::MIN, millis)
}

fn until(filter: &EventFilter) -> i64 {
    filter.until.map_or(i64::MAX, millis)
}

/// The numbers of the filter's type.
fn types(db: &Connection, filter: &EventFilter) -> Result<Option<Vec<i64>>> {
    let Some(name) = &filter.event_type else { return Ok(None) };
    let ids = db
        .prepare_cached(
            "select id from event_types
             where name = :name and (:inbox is null or inbox = :inbox)",
        )?
        .query_map(
            named_params! { ":name": name, ":inbox": filter.inbox.map(InboxId::get) },
            |row| row.get(0),
        )?
        .collect::<rusqlite::Result<_>>()?;
    Ok(Some(ids))
}

/// Whether some inbox is being deleted: its events are gone for everybody, and rarely there are any.
fn has_doomed(db: &Connection) -> Result<bool> {
    Ok(db.prepare_cached("select 1 from inboxes where doomed")?.exists([])?)
}

/// Ids of one list (a type's, an inbox's, or all), those received in the filter's time.
fn walk(db: &Connection, filter: &EventFilter, kind: Option<i64>, span: Span) -> Result<Vec<i64>> {
    let (index, of) = match (kind, filter.inbox) {
        (Some(kind), _) => (" indexed by events_by_type", Some(("type", kind))),
        (None, Some(inbox)) => (" indexed by events_by_inbox", Some(("inbox", inbox.get()))),
        (None, None) => ("", None),
    };
    let mut sql = format!("select id from events{index} where id > :above and id < :below");
    if let Some((column, _)) = of {
        let _ = write!(sql, " and {column} = :of");
    }
    if has_doomed(db)? {
        sql += " and inbox not in (select id from inboxes where doomed)";
    }
    let timed = filter.since.is_some() || filter.until.is_some();
    if timed {
        // `+` keeps SQLite from sorting what this index already has in order.
        sql += " and +received_at >= :since and +received_at < :until";
    }
    let _ = write!(sql, " order by id {} limit :take", span.direction.sql());

    let mut statement = db.prepare_cached(&sql)?;
    let mut bind = |name: &str, value: i64| -> Result<()> {
        if let Some(index) = statement.parameter_index(name)? {
            statement.raw_bind_parameter(index, value)?;
        }
        Ok(())
    };
    bind(":above", span.above)?;
    bind(":below", span.below)?;
    bind(":of", of.map_or(0, |(_, value)| value))?;
    bind(":since", since(filter))?;
    bind(":until", until(filter))?;
    bind(":take", i64::try_from(span.take).unwrap_or(i64::MAX))?;
    let mut rows = statement.raw_query();
    let mut ids = Vec::new();
    while let Some(row) = rows.next()? {
        ids.push(row.get(0)?);
    }
    Ok(ids)
}

/// Whether an event matches `filter`, its text left aside. False where it is not there.
pub(super) fn matches(db: &Connection, filter: &EventFilter, id: i64) -> Result<bool> {
    Ok(db
        .prepare_cached(
            "select 1 from events left join event_types on event_types.id = events.type
             where events.id = :id
               and (:inbox is null or events.inbox = :inbox)
               and (:type is null or event_types.name = :type)
               and not exists (select 1 from inboxes where id = events.inbox and doomed)
               and events.received_at >= :since and events.received_at < :until",
        )?
        .exists(named_params! {
            ":id": id,
            ":inbox": filter.inbox.map(InboxId::get),
            ":type": filter.event_type,
            ":since": since(filter),
            ":until": until(filter),
        })?)
}

/// One event.
pub(super) fn get(reader: &Reader, id: EventId) -> Result<Event> {
    let sql = format!(
        "select {SUMMARY}, events.connection, events.detail,
                coalesce(arrivals.first_at, events.received_at),
                coalesce(arrivals.last_at, events.received_at)
         from {SUMMARY_FROM} where events.id = :id
             and not exists (select 1 from inboxes where id = events.inbox and doomed)"
    );
    let mut statement = reader.db.prepare_cached(&sql)?;
    let mut rows = statement.query(named_params! { ":id": id.get() })?;
    let row = rows.next()?.ok_or(Error::NotFound)?;
    let detail: Detail = super::from_json(row.get_ref(12)?.as_str()?)?;
    Ok(Event {
        summary: summary(row)?,
        connection: row.get::<_, Option<i64>>(11)?.map(ConnectionId::new),
        about: detail.about,
        occurred_at: detail.occurred_at.map(time).transpose()?,
        proof_detail: detail.proof,
        method: detail.method,
        query: detail.query,
        headers: detail.headers,
        first_at: time(row.get(13)?)?,
        last_at: time(row.get(14)?)?,
    })
}

/// The bytes of one event.
pub(super) fn body(reader: &Reader, id: EventId) -> Result<Bytes> {
    Ok(reader
        .db
        .prepare_cached(
            "select body from events where id = :id
                 and not exists (select 1 from inboxes where id = events.inbox and doomed)",
        )?
        .query_row(named_params! { ":id": id.get() }, |row| row.get::<_, Vec<u8>>(0))?
        .into())
}

/// Events per inbox in steps of `step` up to `until`.
pub(super) fn rates(
    reader: &Reader,
    until: Timestamp,
    step: SignedDuration,
    steps: usize,
) -> Result<Vec<EventRate>> {
    let step = i64::try_from(step.as_millis()).unwrap_or(i64::MAX).max(1);
    let until = millis(until);
    let from = until.saturating_sub(step.saturating_mul(i64::try_from(steps).unwrap_or(i64::MAX)));
    let mut statement = reader.db.prepare_cached(
        "select inbox, (received_at - :from) / :step, count(*)
         from events indexed by events_by_time
         where received_at >= :from and received_at < :until
             and inbox not in (select id from inboxes where doomed)
         group by 1, 2 order by 1, 2",
    )?;
    let mut rows =
        statement.query(named_params! { ":from": from, ":until": until, ":step": step })?;
    let mut rates: Vec<EventRate> = Vec::new();
    while let Some(row) = rows.next()? {
        let inbox = InboxId::new(row.get(0)?);
        if rates.last().is_none_or(|rate| rate.inbox != inbox) {
            rates.push(EventRate { inbox, counts: vec![0; steps] });
        }
        let place: usize = row.get(1)?;
        if let Some(count) = rates.last_mut().and_then(|rate| rate.counts.get_mut(place)) {
            *count = row.get(2)?;
        }
    }
    Ok(rates)
}

/// The types that occur, most frequent first.
pub(super) fn type_names(reader: &Reader, inbox: Option<InboxId>) -> Result<Vec<String>> {
    // Counted up to a limit each: which are frequent is wanted, not how frequent they are.
    let mut statement = reader.db.prepare_cached(
        "select name, sum(seen) as seen from (
             select name, (select count(*) from (
                 select 1 from events indexed by events_by_type
                 where type = event_types.id limit 2000
             )) as seen
             from event_types
             where name <> '' and (:inbox is null or inbox = :inbox)
                 and inbox not in (select id from inboxes where doomed)
             order by id desc limit :looked_at
         )
         group by name having sum(seen) > 0 order by seen desc, name limit :shown",
    )?;
    let names = statement
        .query_map(
            named_params! {
                ":inbox": inbox.map(InboxId::get),
                ":looked_at": TYPES_LOOKED_AT,
                ":shown": TYPES_SHOWN,
            },
            |row| row.get(0),
        )?
        .collect::<rusqlite::Result<_>>()?;
    Ok(names)
}

/// When each inbox last received an event, and how many it holds; those that have none left out.
pub(super) fn heard(reader: &Reader) -> Result<Vec<(InboxId, Timestamp, Count)>> {
    let mut statement = reader.db.prepare_cached(
        "select inboxes.id,
                (select received_at from events where id = (
                     select max(id) from events indexed by events_by_inbox
                     where inbox = inboxes.id)),
                (select count(*) from (
                     select 1 from events indexed by events_by_inbox
                     where inbox = inboxes.id limit :limit))
         from inboxes where not doomed order by inboxes.id",
    )?;
    let mut rows = statement.query(named_params! { ":limit": COUNT_LIMIT + 1 })?;
    let mut heard = Vec::new();
    while let Some(row) = rows.next()? {
        if let Some(at) = row.get::<_, Option<i64>>(1)? {
            heard.push((InboxId::new(row.get(0)?), time(at)?, counted(row.get(2)?)));
        }
    }
    Ok(heard)
}
