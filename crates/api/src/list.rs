//! Lists: which part of one a request asks for.
//!
//! Lists are newest first. `next` of an answer goes into `before=` of the next request (older),
//! `previous` into `after=` (newer).

use std::fmt::Display;
use std::str::FromStr;

use domain::page::{At, LIMIT, Page};
use jiff::Timestamp;
use utoipa::ToSchema;

use crate::error::ApiError;

const DEFAULT_LIMIT: usize = 100;

/// A number of things.
#[derive(Debug, Clone, Copy, serde::Serialize, ToSchema)]
pub(crate) struct Count {
    /// The number, or the least that it is.
    count: u64,
    /// Whether it was counted to the end; always so up to 10,000.
    exact: bool,
}

impl From<domain::page::Count> for Count {
    fn from(count: domain::page::Count) -> Self {
        Self { count: count.count, exact: count.exact }
    }
}

/// The part of a list that `limit`, `before` and `after` ask for.
pub(crate) fn page<I>(
    limit: Option<usize>,
    before: Option<&str>,
    after: Option<&str>,
) -> Result<Page<I>, ApiError>
where
    I: FromStr<Err: Display>,
{
    let limit = limit.unwrap_or(DEFAULT_LIMIT);
    if limit == 0 || limit > LIMIT {
        return Err(ApiError::invalid(format!("`limit` is {limit}; it goes from 1 to {LIMIT}")));
    }
    let at = match (filled(before), filled(after)) {
        (None, None) => At::Newest,
        (Some(before), None) => At::Before(parse("before", before)?),
        (None, Some(after)) => At::After(parse("after", after)?),
        (Some(_), Some(_)) => {
            return Err(ApiError::invalid("`before` and `after` exclude each other".to_owned()));
        }
    };
    Ok(Page { limit, at })
}

/// A parameter that may be missing, or empty, which means the same.
pub(crate) fn optional<T>(name: &str, text: Option<&str>) -> Result<Option<T>, ApiError>
where
    T: FromStr<Err: Display>,
{
    filled(text).map(|text| parse(name, text)).transpose()
}

/// A time that may be missing: RFC 3339, with any offset.
pub(crate) fn time(name: &str, text: Option<&str>) -> Result<Option<Timestamp>, ApiError> {
    let Some(text) = filled(text) else { return Ok(None) };
    text.parse().map(Some).map_err(|_| {
        ApiError::invalid(format!("`{name}` is not a time"))
            .hint("Times are written as 2026-05-12T14:05:22Z.")
    })
}

/// Text that says something.
pub(crate) fn filled(text: Option<&str>) -> Option<&str> {
    text.filter(|text| !text.is_empty())
}

fn parse<T: FromStr<Err: Display>>(name: &str, text: &str) -> Result<T, ApiError> {
    text.parse().map_err(|error| ApiError::invalid(format!("`{name}`: {error}")))
}

#[cfg(test)]
mod tests {
    use super::*;
    use domain::id::EventId;

    fn check(limit: usize, before: &str, after: &str) -> Option<Page<EventId>> {
        page(Some(limit), Some(before), Some(after)).ok()
    }

    #[test]
    fn a_limit_goes_from_1_to_1000() {
        assert!(check(0, "", "").is_none());
        assert!(check(1, "", "").is_some());
        assert!(check(1000, "", "").is_some());
        assert!(check(1001, "", "").is_none());
    }

    #[test]
    fn a_page_begins_at_one_place() {
        let id = EventId::new(7).to_string();

        assert_eq!(check(5, &id, "").unwrap().at, At::Before(EventId::new(7)));
        assert_eq!(check(5, "", &id).unwrap().at, At::After(EventId::new(7)));
        assert!(check(5, &id, &id).is_none());
        assert!(check(5, "inb_0000000000000", "").is_none());
    }
}
