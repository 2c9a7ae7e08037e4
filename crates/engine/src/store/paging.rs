//! Which ids a page may have, and what a list of rows becomes.

use domain::page::{At, LIMIT, Page, Slice};

/// The ids of a page: above `above`, below `below`, counted from one end.
#[derive(Debug, Clone, Copy)]
pub(super) struct Span {
    pub(super) above: i64,
    pub(super) below: i64,
    pub(super) direction: Direction,
    /// How many rows to read: one more than asked for, to know whether there are more.
    pub(super) take: usize,
}

/// From which end of a span rows are read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Direction {
    /// From the newest on.
    Down,
    /// From the oldest on.
    Up,
}

impl Direction {
    pub(super) fn sql(self) -> &'static str {
        match self {
            Self::Down => "desc",
            Self::Up => "asc",
        }
    }
}

impl Span {
    pub(super) fn of<I: Copy>(page: Page<I>, number: impl Fn(I) -> i64) -> Self {
        let take = page.limit.clamp(1, LIMIT) + 1;
        let all = Self { above: -1, below: i64::MAX, direction: Direction::Down, take };
        match page.at {
            At::Newest => all,
            At::Before(id) => Self { below: number(id), ..all },
            At::After(id) => Self { above: number(id), direction: Direction::Up, ..all },
        }
    }
}

/// Makes rows, in the order in which they were read, the answer to `page`.
pub(super) fn slice<T, I: Copy>(
    mut items: Vec<T>,
    page: Page<I>,
    id: impl Fn(&T) -> I,
) -> Slice<T, I> {
    let more = items.len() > page.limit.clamp(1, LIMIT);
    items.truncate(page.limit.clamp(1, LIMIT));
    let asked = match page.at {
        At::Newest => None,
        At::Before(id) | At::After(id) => Some(id),
    };
    if matches!(page.at, At::After(_)) {
        items.reverse();
        let next = items.last().map(&id);
        return Slice { previous: items.first().map(&id).or(asked), next, items };
    }
    let next = if more { items.last().map(&id) } else { None };
    Slice { previous: items.first().map(&id).or(asked), next, items }
}
