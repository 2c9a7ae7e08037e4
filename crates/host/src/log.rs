//! The log: `D/logs/patchbay.YYYY-MM-DD.log`, seven days of it, and standard error.
//!
//! Nothing of ours logs bodies, query strings or header values. Text of others that gets into a
//! message all the same loses its control characters here, last.

use std::io::{self, Write};
use std::path::Path;

use tracing_appender::rolling::{InitError, RollingFileAppender, Rotation};
use tracing_subscriber::filter::{EnvFilter, ParseError};
use tracing_subscriber::fmt::{self, MakeWriter};
use tracing_subscriber::prelude::*;
use tracing_subscriber::util::TryInitError;

const KEPT: usize = 7;

/// Why there is no log.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The filter is no filter.
    #[error("the log's filter cannot be read: {0}")]
    Filter(#[from] ParseError),
    /// The file cannot be made.
    #[error("the log cannot be written: {0}")]
    Io(#[from] io::Error),
    /// Nor that of today.
    #[error("the log cannot be written: {0}")]
    File(#[from] InitError),
    /// This process has one already.
    #[error(transparent)]
    Started(#[from] TryInitError),
}

/// Starts the log. `filter` says what is logged: `info`, `engine=debug,info`.
///
/// # Errors
///
/// When the filter makes no sense, the folder cannot be written to, or there is a log already.
pub fn start(data_dir: &Path, filter: &str) -> Result<(), Error> {
    let filter = EnvFilter::try_new(filter)?;
    let folder = data_dir.join("logs");
    std::fs::create_dir_all(&folder)?;
    let file = RollingFileAppender::builder()
        .rotation(Rotation::DAILY)
        .filename_prefix("patchbay")
        .filename_suffix("log")
        .max_log_files(KEPT)
        .build(folder)?;
    tracing_subscriber::registry()
        .with(filter)
        .with(fmt::layer().with_ansi(false).with_writer(Plain(file)))
        .with(fmt::layer().with_ansi(false).with_writer(Plain(io::stderr)))
        .try_init()?;
    if data_dir.join("logs").is_symlink() {
        tracing::warn!("the folder of the log is a link: who can read it is decided elsewhere");
    }
    Ok(())
}

/// A writer without control characters other than the end of a line.
struct Plain<M>(M);

impl<'a, M: MakeWriter<'a>> MakeWriter<'a> for Plain<M> {
    type Writer = Plain<M::Writer>;

    fn make_writer(&'a self) -> Self::Writer {
        Plain(self.0.make_writer())
    }
}

impl<W: Write> Write for Plain<W> {
    /// The subscriber writes an event at once, so no character is cut in two.
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let text = String::from_utf8_lossy(bytes);
        let is_foreign = |letter: char| letter != '\n' && letter.is_control();
        if text.contains(is_foreign) {
            self.0.write_all(text.replace(is_foreign, "").as_bytes())?;
        } else {
            self.0.write_all(bytes)?;
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.flush()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn control_characters_do_not_reach_the_log() {
        let mut log = Plain(Vec::new());

        log.write_all("a\u{1b}[2J\u{9b}b\r\n".as_bytes()).unwrap();

        assert_eq!(log.0, b"a[2Jb\n");
    }
}
