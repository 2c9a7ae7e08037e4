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
use tokio::time::{Instant, sleep_until};

use self::group::Group;
use super::output::read_line;

/// How long a program has to end by itself once it is asked to.
const GRACE: Duration = Duration::from_secs(5);

/// How long the last lines of a program that has ended are waited for.
const LAST_WORDS: Duration = Duration::from_secs(1);

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
    /// Whether both streams are at their end, which a program that closes them reaches before its
    /// own.
    silent: bool,
    /// How it ended, and until when its last lines are waited for.
    end: Option<(io::Result<ExitStatus>, Instant)>,
}

/// What a program does next.
#[derive(Debug)]
pub(super) enum Next {
    /// It printed a line, on either stream.
    Line(Vec<u8>),
    /// It ended, with everything that it started, and has printed all that it had to.
    Ended(io::Result<ExitStatus>),
}

impl Program {
    /// Starts it, with nothing to read from.
    pub(super) fn start(launch: &Launch) -> io::Result<Self> {
        let (group, out, err) = Group::start(launch)?;
        let (sender, lines) = mpsc::channel(LINES);
        tokio::spawn(forward(out, sender.clone()));
        tokio::spawn(forward(err, sender));
        Ok(Self { group, lines, silent: false, end: None })
    }

    /// Waits for what it does next. Dropping the future loses nothing.
    pub(super) async fn next(&mut self) -> Next {
        loop {
            // What it started may have left the group and still hold its streams open.
            let late = |end: &mut (_, Instant)| self.silent || Instant::now() >= end.1;
            if let Some((status, _)) = self.end.take_if(late) {
                return Next::Ended(status);
            }
            let last_words = self.end.as_ref().map(|end| end.1);
            tokio::select! {
                line = self.lines.recv(), if !self.silent => match line {
                    Some(line) => return Next::Line(line),
                    None => self.silent = true,
                },
                status = self.group.ended(), if self.end.is_none() => {
                    self.end = Some((status, Instant::now() + LAST_WORDS));
                }
                () = sleep_until(last_words.unwrap_or_else(Instant::now)), if last_words.is_some() => {}
            }
        }
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

#[cfg(test)]
#[cfg(target_os = "linux")]
mod tests;
