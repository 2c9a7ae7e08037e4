//! Where things are on this platform. Only hosts look; the engine is told.

use std::path::PathBuf;

use engine::host::{self, FOLDER};

/// The data directory where none is named; `None` where this user has no place for data.
pub fn data_dir() -> Option<PathBuf> {
    dirs::data_dir().map(|place| place.join(FOLDER))
}

/// The key file where none is named; `None` where this user has no place for configuration.
pub fn key_file() -> Option<PathBuf> {
    dirs::config_dir().map(|place| host::key_file(&place))
}
