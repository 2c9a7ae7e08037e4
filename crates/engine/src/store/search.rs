//! Finding events: by their place in the log, and by their text.
//!
//! A text is looked up in the full-text index, and events that the index does not hold yet are read
//! and looked into one by one. The same is done where the rest of the filter leaves so few events
//! that reading them is cheaper than walking through all that hold a common word.

use domain::event::EventFilter;
use rusqlite::{Connection, named_params};

use super::paging::{Direction, Span};
use super::readers::Reader;
use super::text::{Document, Query};
use super::{Error, Result, events, index};

/// How many events are few.
const FEW: usize = 2_000;

/// The ids of events that match `filter`, in the order of `span`.
pub(super) fn find(reader: &Reader, filter: &EventFilter, span: Span) -> Result<Vec<i64>> {
    let Some(text) = &filter.text else { return events::ids(&reader.db, filter, span) };
    let query = Query::parse(text);
    if query.is_empty() {
        return Ok(Vec::new());
    }
    let Some(span) = events::within_time(&reader.db, filter, span)? else {
        return Ok(Vec::new());
    };
    if filter.inbox.is_some() || filter.event_type.is_some() {
        let few = events::ids(&reader.db, filter, Span { take: FEW + 1, ..span })?;
        if few.len() <= FEW {
            return look_into(reader, &query, &few, span.take);
        }
    }
    let snapshot = index::snapshot(&reader.dir).map_err(Fault::Index);
    let found = snapshot.and_then(|snapshot| match snapshot {
        Some((index, up_to)) => find_both(reader, &index, up_to, filter, &query, span),
        None => Ok(scan(reader, filter, &query, span)?),
    });
    match found {
        Ok(found) => Ok(found),
        Err(Fault::Log(error)) => Err(error),
        Err(Fault::Index(error)) => {
            tracing::warn!(%error, "the search index could not be used");
            if matches!(error, Error::Damaged(_)) {
                reader.index.damaged();
            }
            scan(reader, filter, &query, span)
        }
    }
}

/// Where a search failed: without the index it can go on, without the log it cannot.
enum Fault {
    Index(Error),
    Log(Error),
}

impl From<Error> for Fault {
    fn from(error: Error) -> Self {
        Self::Log(error)
    }
}

/// Those in the index, up to `up_to`, and those after it, in the order of `span`.
fn find_both(
    reader: &Reader,
    index: &Connection,
    up_to: i64,
    filter: &EventFilter,
    query: &Query,
    span: Span,
) -> std::result::Result<Vec<i64>, Fault> {
    let in_index = Span { below: span.below.min(up_to.saturating_add(1)), ..span };
    let behind = Span { above: span.above.max(up_to), ..span };
    let mut found = match span.direction {
        Direction::Down => scan(reader, filter, query, behind)?,
        Direction::Up => look_up(reader, index, filter, query, in_index)?,
    };
    let take = span.take.saturating_sub(found.len());
    if take > 0 {
        found.extend(match span.direction {
            Direction::Down => look_up(reader, index, filter, query, Span { take, ..in_index })?,
            Direction::Up => scan(reader, filter, query, Span { take, ..behind })?,
        });
    }
    Ok(found)
}

fn look_up(
    reader: &Reader,
    index: &Connection,
    filter: &EventFilter,
    query: &Query,
    span: Span,
) -> std::result::Result<Vec<i64>, Fault> {
    let fault = |error: rusqlite::Error| Fault::Index(error.into());
    let sql = format!(
        "select rowid from words
         where words match :query and rowid > :above and rowid < :below order by rowid {}",
        span.direction.sql()
    );
    let mut statement = index.prepare(&sql).map_err(fault)?;
    let syntax = query.index_syntax();
    let params = named_params! { ":query": syntax, ":above": span.above, ":below": span.below };
    let mut rows = statement.query(params).map_err(fault)?;
    let mut found = Vec::new();
    while found.len() < span.take {
        let Some(row) = rows.next().map_err(fault)? else { break };
        reader.go_on()?;
        let id = row.get(0).map_err(fault)?;
        // The index may still hold what the log does not.
        if events::matches(&reader.db, filter, id)? {
            found.push(id);
        }
    }
    Ok(found)
}

/// Reads the events of a span one by one and looks into them.
fn scan(reader: &Reader, filter: &EventFilter, query: &Query, span: Span) -> Result<Vec<i64>> {
    let mut statement = reader.db.prepare_cached(&format!(
        "select {} from {} where events.id > :above and events.id < :below
         order by events.id {}",
        Document::COLUMNS,
        Document::FROM,
        span.direction.sql()
    ))?;
    let mut rows = statement.query(named_params! { ":above": span.above, ":below": span.below })?;
    let mut found = Vec::new();
    while found.len() < span.take {
        let Some(row) = rows.next()? else { break };
        reader.go_on()?;
        let document = Document::read(row)?;
        if query.is_in(&document.fields) && events::matches(&reader.db, filter, document.id)? {
            found.push(document.id);
        }
    }
    Ok(found)
}

/// Those of `ids` that hold the text, `take` at most.
fn look_into(reader: &Reader, query: &Query, ids: &[i64], take: usize) -> Result<Vec<i64>> {
    let mut statement = reader.db.prepare_cached(&format!(
        "select {} from {} where events.id = :id",
        Document::COLUMNS,
        Document::FROM
    ))?;
    let mut found = Vec::new();
    for id in ids {
        reader.go_on()?;
        let mut rows = statement.query(named_params! { ":id": id })?;
        let Some(row) = rows.next()? else { continue };
        if query.is_in(&Document::read(row)?.fields) {
            found.push(*id);
            if found.len() == take {
                break;
            }
        }
    }
    Ok(found)
}
