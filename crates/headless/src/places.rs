//! Where things are on this platform. Only hosts look; the engine is told.

use std::path::PathBuf;

use engine::host::{self, FOLDER};

use crate::failure::Failure;

/// The data directory: the one that was given, else the platform's place.
pub(crate) fn data_dir(given: Option<PathBuf>) -> Result<PathBuf, Failure> {
    given.or_else(|| dirs::data_dir().map(|place| place.join(FOLDER))).ok_or_else(|| {
        Failure::new("unusable", "this user has no place for data")
            .hint("Name a folder with --data-dir.")
    })
}

/// The key file: the one that was given, else one in the configuration directory.
pub(crate) fn key_file(given: Option<PathBuf>) -> Result<PathBuf, Failure> {
    given.or_else(|| dirs::config_dir().map(|place| host::key_file(&place))).ok_or_else(|| {
        Failure::new("unusable", "this user has no place for configuration")
            .hint("Name a key file with --vault-key-file.")
    })
}
