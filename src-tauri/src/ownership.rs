//! Whose the data directory is: ours from now on, or `patchbay serve`'s.

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
    /// Say why nothing can be done.
    Unusable(OpenError),
}

/// Takes the directory, or finds out who has it.
pub(crate) async fn settle(data_dir: &Path) -> Ownership {
    let begun = Instant::now();
    loop {
        let error = match DataDir::own(data_dir) {
            Ok(data_dir) => return Ownership::Ours(data_dir),
            Err(Error::Owned(path)) => match Remote::connect(&path) {
                Ok(remote) if remote.answers().await => return Ownership::Theirs(remote),
                // It is on its way, or has just gone.
                Ok(_) | Err(Error::NotReady(_) | Error::NoOwner(_)) => Error::Owned(path),
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
