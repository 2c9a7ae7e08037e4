//! How many files this process may have open at a time; connections are files, too.
//!
//! Shells and services start programs with a limit far below what the system allows, for the sake
//! of programs that this one is none of. It is raised as far as that goes.

/// The most that is asked for, where the system sets no bound of its own.
#[cfg(unix)]
const ENOUGH: u64 = 65_536;
/// The most that macOS gives, whatever it says.
#[cfg(target_os = "macos")]
const OPEN_MAX: u64 = 10_240;

/// Raises the limit as far as it goes; says how many it is.
#[cfg(unix)]
pub fn raise() -> u64 {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

    let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
    let now = current.unwrap_or(ENOUGH);
    let most = maximum.unwrap_or(ENOUGH).min(ENOUGH);
    #[cfg(target_os = "macos")]
    let most = most.min(OPEN_MAX);
    if most <= now {
        return now;
    }
    match setrlimit(Resource::Nofile, Rlimit { current: Some(most), maximum }) {
        Ok(()) => most,
        Err(error) => {
            tracing::warn!("no more than {now} files can be open: {error}");
            now
        }
    }
}

/// There is no such limit.
#[cfg(not(unix))]
pub fn raise() -> u64 {
    u64::MAX
}
