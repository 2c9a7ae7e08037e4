//! What a terminal sees: never a control character of somebody else.

use std::io::{self, IsTerminal, Write};

use serde_json::Value;

/// The longest that a cell of a table gets.
const CELL: usize = 60;

/// Prints a line. A reader who has gone away (`| head`) ends the command quietly.
pub(crate) fn say(line: &str) {
    let mut out = io::stdout().lock();
    if writeln!(out, "{line}").and_then(|()| out.flush()).is_err() {
        std::process::exit(0);
    }
}

/// Prints bytes as they are: what a file gets is not a terminal's matter.
pub(crate) fn say_bytes(bytes: &[u8]) {
    let mut out = io::stdout().lock();
    let plain;
    let bytes = if io::stdout().is_terminal() {
        plain = visible(&String::from_utf8_lossy(bytes));
        plain.as_bytes()
    } else {
        bytes
    };
    if out.write_all(bytes).and_then(|()| out.flush()).is_err() {
        std::process::exit(0);
    }
}

/// Prints a line for people and not for programs that read the output.
pub(crate) fn complain(line: &str) {
    // Where stderr is gone there is nobody to tell.
    let _ = writeln!(io::stderr().lock(), "{}", visible(line));
}

/// Prints JSON on one line.
pub(crate) fn say_json(value: &Value) {
    say(&value.to_string());
}

/// Text of several lines without other control characters.
pub(crate) fn visible(text: &str) -> String {
    text.chars().filter(|&letter| matches!(letter, '\n' | '\t') || !letter.is_control()).collect()
}

/// A cell: one line, shortened.
pub(crate) fn cell(value: &Value) -> String {
    let text = match value {
        Value::Null => String::new(),
        Value::String(text) => domain::text::clean(text, CELL),
        Value::Bool(true) => "yes".to_owned(),
        Value::Bool(false) => "no".to_owned(),
        other => domain::text::clean(&other.to_string(), CELL),
    };
    if text.is_empty() { "–".to_owned() } else { text }
}

/// A count as the API gives it.
pub(crate) fn count(value: &Value) -> String {
    let number = number(value["count"].as_u64().unwrap_or_default());
    if value["exact"].as_bool() == Some(false) { format!("{number}+") } else { number }
}

/// A number with separators: `1,203`.
pub(crate) fn number(number: u64) -> String {
    let digits = number.to_string();
    let mut written = String::new();
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            written.push(',');
        }
        written.push(digit);
    }
    written
}

/// How many of something: `1 page`, `1,203 records`.
pub(crate) fn counted(of: u64, one: &str) -> String {
    format!("{} {one}{}", number(of), if of == 1 { "" } else { "s" })
}

/// So many bytes: `507 B`, `4.1 KB`.
pub(crate) fn bytes(of: u64) -> String {
    if of < 1_000 {
        return format!("{of} B");
    }
    let mut amount = of as f64;
    let mut unit = "";
    for next in ["KB", "MB", "GB", "TB"] {
        if amount < 999.5 {
            break;
        }
        (amount, unit) = (amount / 1_000.0, next);
    }
    if amount < 10.0 { format!("{amount:.1} {unit}") } else { format!("{amount:.0} {unit}") }
}

/// A table with a head, or one sentence where there is nothing in it.
pub(crate) fn table(head: &[&str], rows: &[Vec<String>], nothing: &str) {
    if rows.is_empty() {
        say(nothing);
        return;
    }
    let widths: Vec<usize> = (0..head.len())
        .map(|column| {
            let cells = rows.iter().map(|row| row[column].chars().count());
            cells.chain([head[column].chars().count()]).max().unwrap_or_default()
        })
        .collect();
    say(&line(&widths, head));
    for row in rows {
        say(&line(&widths, row));
    }
}

/// One line of a table whose columns are this wide.
pub(crate) fn line(widths: &[usize], cells: &[impl AsRef<str>]) -> String {
    let mut line = String::new();
    for (cell, width) in cells.iter().zip(widths) {
        let cell = cell.as_ref();
        line.push_str(cell);
        let padding = width.saturating_sub(cell.chars().count()) + 2;
        line.extend(std::iter::repeat_n(' ', padding));
    }
    line.truncate(line.trim_end().len());
    line
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_cell_has_no_control_characters_and_is_never_empty() {
        assert_eq!(cell(&json!("\u{1b}[31mred\n")), "[31mred");
        assert_eq!(cell(&json!("")), "–");
        assert_eq!(cell(&Value::Null), "–");
        assert_eq!(cell(&json!(true)), "yes");
    }

    #[test]
    fn columns_stand_below_each_other() {
        assert_eq!(line(&[4, 3, 2], &["ab", "é", "c"]), "ab    é    c");
    }

    #[test]
    fn a_count_says_when_it_is_a_least() {
        assert_eq!(count(&json!({ "count": 7, "exact": true })), "7");
        assert_eq!(count(&json!({ "count": 10_000, "exact": false })), "10,000+");
    }

    #[test]
    fn numbers_and_bytes_are_written_for_people() {
        assert_eq!([0, 999, 1_203, 1_204_331].map(number), ["0", "999", "1,203", "1,204,331"]);
        assert_eq!([counted(1, "page"), counted(0, "page")], ["1 page", "0 pages"]);
        assert_eq!(
            [507, 4_096, 999_600, 3_100_000_000].map(bytes),
            ["507 B", "4.1 KB", "1.0 MB", "3.1 GB"]
        );
    }
}
