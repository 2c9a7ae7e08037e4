//! The connectors at hand: those that ship inside the program and the user's own in the data
//! directory, which are read again when they change. A broken one is listed with its error and
//! takes no other down.

/// The handle; cheap to clone.
#[derive(Clone)]
pub struct Connectors {}
