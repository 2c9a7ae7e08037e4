//! A program of others at work: started, read line by line, and ended without a trace.
//!
//! The program and everything that it starts are one group. The group ends when it is told to,
//! when the program ends, when this value is dropped, and when Patchbay ends in whatever way, a
//! `kill -9` included: a tunnel that outlived us would lead strangers to a port that somebody else
//! may have taken by then.

#[cfg_attr(unix, path = "unix.rs")]
#[cfg_attr(windows, path = "windows.rs")]
mod group;

use std::ffi::OsString;
use std::io;
use std::path::PathBuf;
use std::process::ExitStatus;
use std::time::Duration;

use tokio::io::{AsyncRead, BufReader};
use tokio::sync::mpsc;

use self::group::Group;
use super::output::read_line;

/// How long a program has to end by itself once it is asked to.
const GRACE: Duration = Duration::from_secs(5);

/// How many lines may wait to be looked at; then the program waits.
const LINES: usize = 256;

/// What to start.
#[derive(Debug, Clone)]
pub(super) struct Launch {
    /// The program's file.
    pub(super) program: PathBuf,
    /// Its arguments. Anybody on this machine can read them: no secrets.
    pub(super) arguments: Vec<String>,
    /// The whole of its environment.
    pub(super) environment: Vec<(OsString, OsString)>,
}

/// A program that runs.
pub(super) struct Program {
    group: Group,
    lines: mpsc::Receiver<Vec<u8>>,
}

impl Program {
    /// Starts it, with nothing to read from.
    pub(super) fn start(launch: &Launch) -> io::Result<Self> {
        let (group, out, err) = Group::start(launch)?;
        let (sender, lines) = mpsc::channel(LINES);
        tokio::spawn(forward(out, sender.clone()));
        tokio::spawn(forward(err, sender));
        Ok(Self { group, lines })
    }

    /// The next line of either stream; none when both are at their end, which a program that
    /// closes them reaches before its own. Dropping the future loses nothing.
    pub(super) async fn next_line(&mut self) -> Option<Vec<u8>> {
        self.lines.recv().await
    }

    /// Waits until the program has ended, with everything that it started. Dropping the future
    /// loses nothing.
    pub(super) async fn ended(&mut self) -> io::Result<ExitStatus> {
        self.group.ended().await
    }

    /// Asks it to end, and ends it where it does not.
    pub(super) async fn end(mut self) -> io::Result<ExitStatus> {
        // A program that cannot get rid of its last words would never come to its end.
        self.lines.close();
        self.group.end(GRACE).await
    }
}

async fn forward(stream: impl AsyncRead + Unpin, lines: mpsc::Sender<Vec<u8>>) {
    let mut stream = BufReader::new(stream);
    // Once nobody listens any more the stream is still read, so that the program is not stopped
    // in the middle of a write.
    while let Ok(Some(line)) = read_line(&mut stream).await {
        let _ = lines.send(line).await;
    }
}

#[cfg(all(test, target_os = "linux"))]
mod tests;
