//! What a shop writes down, so that it is the same shop when it opens again.
//!
//! One line of JSON for each thing that happened: the opening, each step, each change of what
//! tokens are good (as digests, never the tokens). The shop follows from its seed and the times of
//! its steps, so replaying them makes it again, with the same ids for the same events. A line that
//! a crash cut off is the last one, and is left out.

use std::fs::{File, OpenOptions};
use std::io::{self, BufRead as _, BufReader, Write as _};
use std::path::Path;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::sign_in::SignIns;

/// One line.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Line {
    /// The shop was opened for the first time.
    Opened { seed: u64, at: Timestamp, history_orders: usize },
    /// Somebody bought something.
    Step { at: Timestamp },
    /// These are the sign-ins now.
    SignIns(SignIns),
}

/// What an earlier shop wrote down.
#[derive(Debug)]
pub(crate) struct Earlier {
    pub(crate) seed: u64,
    pub(crate) opened: Timestamp,
    pub(crate) history_orders: usize,
    pub(crate) steps: Vec<Timestamp>,
    pub(crate) sign_ins: SignIns,
}

/// Where it is written down; a shop for one test has none.
#[derive(Debug, Default)]
pub(crate) struct Journal(Option<File>);

impl Journal {
    /// Opens the journal at `path`, and reads what is in it.
    pub(crate) fn open(path: &Path) -> io::Result<(Self, Option<Earlier>)> {
        let mut options = OpenOptions::new();
        options.read(true).append(true).create(true);
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
        let mut file = options.open(path)?;
        let mut reader = BufReader::new(&file);
        let (mut earlier, mut whole, mut line) = (None, 0u64, Vec::new());
        while reader.read_until(b'\n', &mut line)? > 0 {
            let Ok(read) = serde_json::from_slice(&line) else { break };
            if !take(&mut earlier, read) {
                break;
            }
            whole += line.len() as u64;
            line.clear();
        }
        file.set_len(whole)?;
        file.flush()?;
        Ok((Self(Some(file)), earlier))
    }

    pub(crate) fn opened(&self, seed: u64, at: Timestamp, history_orders: usize) {
        self.write(&Line::Opened { seed, at, history_orders });
    }

    pub(crate) fn step(&self, at: Timestamp) {
        self.write(&Line::Step { at });
    }

    pub(crate) fn sign_ins(&self, sign_ins: SignIns) {
        self.write(&Line::SignIns(sign_ins));
    }

    fn write(&self, line: &Line) {
        let Some(mut file) = self.0.as_ref() else { return };
        let written = serde_json::to_vec(line).map_err(io::Error::from).and_then(|mut text| {
            text.push(b'\n');
            file.write_all(&text)
        });
        if let Err(error) = written {
            tracing::error!(%error, "the sandbox could not write down what happened");
        }
    }
}

/// Adds a line to what is known; false where it does not fit, and so nothing after it can.
fn take(earlier: &mut Option<Earlier>, line: Line) -> bool {
    match (earlier, line) {
        (earlier @ None, Line::Opened { seed, at, history_orders }) => {
            *earlier = Some(Earlier {
                seed,
                opened: at,
                history_orders,
                steps: Vec::new(),
                sign_ins: SignIns::default(),
            });
            true
        }
        (Some(earlier), Line::Step { at }) => {
            earlier.steps.push(at);
            true
        }
        (Some(earlier), Line::SignIns(sign_ins)) => {
            earlier.sign_ins = sign_ins;
            true
        }
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    #[test]
    fn what_was_written_down_is_read_again_up_to_a_line_that_was_cut_off() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("shop.jsonl");
        let (journal, earlier) = Journal::open(&path).unwrap();
        assert!(earlier.is_none());
        journal.opened(7, at(1), 10);
        journal.step(at(2));
        std::fs::OpenOptions::new()
            .append(true)
            .open(&path)
            .unwrap()
            .write_all(b"{\"step\":{\"a")
            .unwrap();

        let (journal, earlier) = Journal::open(&path).unwrap();
        assert_eq!(earlier.unwrap().steps, [at(2)]);
        journal.step(at(3));

        let (_, earlier) = Journal::open(&path).unwrap();
        let earlier = earlier.unwrap();
        assert_eq!((earlier.seed, earlier.opened, earlier.history_orders), (7, at(1), 10));
        assert_eq!(earlier.steps, [at(2), at(3)]);
    }
}
