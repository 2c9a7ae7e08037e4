//! What a tunnel's program prints, made fit to be shown: lines of bounded length, without control
//! characters and colours, with the values of secrets masked, the newest of them kept.

use std::collections::VecDeque;

use domain::secret::Secrets;
use tokio::io::{AsyncBufRead, AsyncBufReadExt};

/// How many lines are kept.
const KEPT: usize = 200;

/// How much of a line is read; the rest of it is dropped, so that a program that prints without
/// an end of line fills no memory.
const LINE_BYTES: usize = 4096;

/// Reads the next line, cut to what may be read of one; none at the end.
pub(super) async fn read_line(
    stream: &mut (impl AsyncBufRead + Unpin),
) -> std::io::Result<Option<Vec<u8>>> {
    let mut line = Vec::new();
    loop {
        let chunk = stream.fill_buf().await?;
        if chunk.is_empty() {
            return Ok((!line.is_empty()).then_some(line));
        }
        let end = chunk.iter().position(|&byte| byte == b'\n');
        let text = &chunk[..end.unwrap_or(chunk.len())];
        line.extend_from_slice(&text[..text.len().min(LINE_BYTES - line.len())]);
        let read = end.map_or(chunk.len(), |end| end + 1);
        stream.consume(read);
        if end.is_some() {
            return Ok(Some(line));
        }
    }
}

/// The last lines, oldest first.
#[derive(Debug, Default)]
pub(super) struct Output {
    lines: VecDeque<String>,
}

impl Output {
    /// Adds a line and forgets the oldest that is too many.
    pub(super) fn push(&mut self, line: String) {
        if self.lines.len() == KEPT {
            self.lines.pop_front();
        }
        self.lines.push_back(line);
    }

    /// All that are kept.
    pub(super) fn lines(&self) -> impl DoubleEndedIterator<Item = &str> {
        self.lines.iter().map(String::as_str)
    }
}

/// A line as it may be shown.
pub(super) fn shown(line: &[u8], secrets: &Secrets) -> String {
    // Controls go first: one in the middle of a secret must not hide it from the mask.
    masked(plain(&String::from_utf8_lossy(line)), secrets).trim_end().to_owned()
}

fn masked(mut text: String, secrets: &Secrets) -> String {
    for (name, values) in secrets.iter() {
        for value in values.iter().map(domain::secret::Secret::expose) {
            if !value.is_empty() && text.contains(value) {
                text = text.replace(value, &format!("[secret:{name}]"));
            }
        }
    }
    text
}

/// Leaves out terminal sequences (`ESC [ … letter`, `ESC ] … BEL`), other control characters, and
/// marks that reorder text.
fn plain(text: &str) -> String {
    let mut plain = String::with_capacity(text.len());
    let mut rest = text.chars();
    while let Some(letter) = rest.next() {
        match letter {
            '\u{1b}' => skip_sequence(&mut rest),
            '\t' => plain.push(' '),
            letter if letter.is_control() || is_reordering(letter) => {}
            letter => plain.push(letter),
        }
    }
    plain
}

fn skip_sequence(rest: &mut std::str::Chars<'_>) {
    match rest.next() {
        Some('[') => {
            rest.find(|letter| ('\u{40}'..='\u{7e}').contains(letter));
        }
        Some(']') => {
            rest.find(|&letter| letter == '\u{7}' || letter == '\u{1b}');
        }
        _ => {}
    }
}

fn is_reordering(letter: char) -> bool {
    matches!(letter, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

#[cfg(test)]
mod tests {
    use super::*;
    use domain::secret::Secret;

    fn show(line: &str) -> String {
        let mut secrets = Secrets::new();
        secrets.set("secret", Secret::new("hunter2".into()));
        shown(line.as_bytes(), &secrets)
    }

    #[test]
    fn colours_and_control_characters_are_left_out() {
        assert_eq!(show("\u{1b}[2m12:00\u{1b}[0m \u{1b}[32m INFO\u{1b}[0m up\r"), "12:00  INFO up");
        assert_eq!(show("\u{1b}]0;title\u{7}a\u{0}b\u{7f}c\td\u{202e}e"), "abc de");
        assert_eq!(show("ends in \u{1b}[3"), "ends in");
    }

    #[test]
    fn a_secret_is_masked_even_with_a_colour_in_its_middle() {
        assert_eq!(show("got hunter2, hunter2"), "got [secret:secret], [secret:secret]");
        assert_eq!(show("got hun\u{1b}[1mter2"), "got [secret:secret]");
    }

    #[test]
    fn the_newest_lines_are_kept() {
        let mut output = Output::default();
        (0..=KEPT).for_each(|number| output.push(number.to_string()));

        assert_eq!(output.lines().count(), KEPT);
        assert_eq!(output.lines().next(), Some("1"));
    }

    #[tokio::test]
    async fn a_line_is_cut_and_the_next_one_is_whole() {
        let text = format!("{}\nshort\nlast", "x".repeat(3 * LINE_BYTES));
        let mut stream = tokio::io::BufReader::with_capacity(64, text.as_bytes());

        assert_eq!(read_line(&mut stream).await.unwrap().unwrap().len(), LINE_BYTES);
        assert_eq!(read_line(&mut stream).await.unwrap().unwrap(), b"short");
        assert_eq!(read_line(&mut stream).await.unwrap().unwrap(), b"last");
        assert_eq!(read_line(&mut stream).await.unwrap(), None);
    }
}
