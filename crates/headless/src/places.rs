//! Where things are, unless the command line names another place.

use std::path::PathBuf;

use crate::failure::Failure;

/// The data directory: the one that was given, else the platform's place.
pub(crate) fn data_dir(given: Option<PathBuf>) -> Result<PathBuf, Failure> {
    given.or_else(host::places::data_dir).ok_or_else(|| {
        Failure::new("unusable", "this user has no place for data")
            .hint("Name a folder with --data-dir.")
    })
}

/// The key file: the one that was given, else one in the configuration directory.
pub(crate) fn key_file(given: Option<PathBuf>) -> Result<PathBuf, Failure> {
    given.or_else(host::places::key_file).ok_or_else(|| {
        Failure::new("unusable", "this user has no place for configuration")
            .hint("Name a key file with --vault-key-file.")
    })
}
