//! Where things are on this platform. Only hosts look; the engine is told.

use std::env;
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

/// How the command line is called in a shell: by its name where a shell finds it, else by its full
/// path, as it lies beside the program that runs.
pub fn program() -> String {
    let name = "patchbay";
    let file = format!("{name}{}", env::consts::EXE_SUFFIX);
    let found = |folder: PathBuf| Some(folder.join(&file)).filter(|path| path.is_file());
    let on_path = env::var_os("PATH")
        .is_some_and(|path| env::split_paths(&path).any(|folder| found(folder).is_some()));
    if on_path {
        return name.into();
    }
    let beside = env::current_exe().ok().and_then(|it| found(it.parent()?.to_owned()));
    let Some(path) = beside else { return name.into() };
    let path = path.display().to_string();
    if path.contains(char::is_whitespace) { format!("\"{path}\"") } else { path }
}
