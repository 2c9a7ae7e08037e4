//! Finding events by their text.

use domain::event::EventFilter;
use rusqlite::named_params;

use super::paging::{Direction, Span};
use super::readers::Reader;
use super::text::Query;
use super::{Result, events};

/// The ids of events that match `filter`, in the order of `span`.
pub(super) fn find(reader: &Reader, filter: &EventFilter, span: Span) -> Result<Vec<i64>> {
    match filter.text.as_deref().map(Query::parse) {
        Some(query) => scan(reader, filter, &query, span),
        None => events::ids(&reader.db, filter, span),
    }
}

/// Reads events one by one and looks into them.
fn scan(reader: &Reader, filter: &EventFilter, query: &Query, span: Span) -> Result<Vec<i64>> {
    let order = match span.direction {
        Direction::Down => "desc",
        Direction::Up => "asc",
    };
    let mut statement = reader.db.prepare_cached(&format!(
        "select events.id, events.title, event_types.name, events.external_id, events.detail,
                events.body
         from events left join event_types on event_types.id = events.type
         where events.id > :above and events.id < :below order by events.id {order}"
    ))?;
    let mut rows = statement.query(named_params! { ":above": span.above, ":below": span.below })?;
    let mut found = Vec::new();
    while found.len() < span.take {
        let Some(row) = rows.next()? else { break };
        let id = row.get(0)?;
        let headers = events::headers_of(row.get_ref(4)?.as_str()?);
        let values: Vec<&str> = headers.iter().map(|(_, value)| value.as_str()).collect();
        let body = std::str::from_utf8(row.get_ref(5)?.as_bytes()?).unwrap_or_default();
        let fields = [
            row.get_ref(1)?.as_str()?,
            row.get_ref(2)?.as_str_or_null()?.unwrap_or_default(),
            row.get_ref(3)?.as_str_or_null()?.unwrap_or_default(),
            &values.join("\n"),
            body,
        ];
        if query.is_in(&fields) && events::matches(&reader.db, filter, id)? {
            found.push(id);
        }
    }
    Ok(found)
}
