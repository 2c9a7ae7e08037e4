//! Measures, always beside something to compare with in the same run.

mod fsync;
pub(crate) mod intake;
mod load;
pub(crate) mod product;
mod spike;
pub(crate) mod start;
pub(crate) mod window;
