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
    let number = value["count"].as_u64().unwrap_or_default();
    if value["exact"].as_bool() == Some(false) { format!("{number}+") } else { number.to_string() }
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
        assert_eq!(count(&json!({ "count": 10_000, "exact": false })), "10000+");
    }
}
