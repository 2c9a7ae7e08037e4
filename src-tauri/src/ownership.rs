//! Whose the data directory is: ours from now on, another window's, or `patchbay serve`'s.

use std::path::Path;
use std::time::{Duration, Instant};

use engine::OpenError;
use engine::data_dir::{DataDir, Error};

use crate::remote::Remote;

/// How long another process may take between taking the directory and serving.
const PATIENCE: Duration = Duration::from_secs(10);
const PAUSE: Duration = Duration::from_millis(50);

/// What there is to do.
pub(crate) enum Ownership {
    /// Be the host.
    Ours(DataDir),
    /// Be a window of the host that there is.
    Theirs(Remote),
    /// Nothing: the window that there is has come to the front.
    Shown,
    /// Say why nothing can be done.
    Unusable(OpenError),
}

/// Takes the directory, or finds out who has it. `show` is whether a window that is there already
/// shall come to the front.
pub(crate) async fn settle(data_dir: &Path, show: bool) -> Ownership {
    let begun = Instant::now();
    loop {
        let error = match DataDir::own(data_dir) {
            Ok(data_dir) => return Ownership::Ours(data_dir),
            Err(Error::Owned(path)) => match Remote::connect(&path) {
                Ok(remote) => match visit(remote, show).await {
                    Some(ownership) => return ownership,
                    None => Error::Owned(path),
                },
                // It is on its way, or has just gone.
                Err(Error::NotReady(_) | Error::NoOwner(_)) => Error::Owned(path),
                Err(error) => return Ownership::Unusable(error.into()),
            },
            Err(error) => return Ownership::Unusable(error.into()),
        };
        if begun.elapsed() > PATIENCE {
            return Ownership::Unusable(error.into());
        }
        tokio::time::sleep(PAUSE).await;
    }
}

/// Asks the owner what it is. `None` where it does not answer.
async fn visit(remote: Remote, show: bool) -> Option<Ownership> {
    let status = remote.get("/api/status").await?;
    if status["host"] != "window" {
        return Some(Ownership::Theirs(remote));
    }
    if show {
        remote.post("/api/host/show").await?;
    }
    Some(Ownership::Shown)
}
