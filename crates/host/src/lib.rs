//! What both hosts do alike.
//!
//! A host is a process that owns a data directory: `patchbay serve`, or the window. This is where
//! the environment and the home directory are read, the log is written, and the listeners, the
//! shop and the engine begin and end, always in the same order. What differs between the two, the
//! command line and the screen, is not here.

pub mod log;
pub mod open_files;
pub mod places;
pub mod running;
pub mod stopping;

pub use running::Running;
pub use stopping::Stopping;
