//! Lists: which part of one is asked for, and what comes back.

/// Most items that one answer holds.
pub const LIMIT: usize = 1_000;

/// Which part of a list is wanted. Lists are newest first; `At` says from which id on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Page<I> {
    /// How many at most: 1 to [`LIMIT`].
    pub limit: usize,
    /// Where it begins.
    pub at: At<I>,
}

/// Where a page begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum At<I> {
    /// With the newest.
    Newest,
    /// With the newest that is older than this one.
    Before(I),
    /// With those that came right after this one; the answer is newest first all the same.
    After(I),
}

/// A part of a list, newest first.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Slice<T, I> {
    /// The items.
    pub items: Vec<T>,
    /// For [`At::Before`], where there are older ones.
    pub next: Option<I>,
    /// For [`At::After`]: the newest of this slice, or what was asked for where it is empty.
    pub previous: Option<I>,
}

/// How many, and whether that was counted to the end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Count {
    /// The number, or the least that it is.
    pub count: u64,
    /// False where counting stopped early (10,000 and more).
    pub exact: bool,
}
