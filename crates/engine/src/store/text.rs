//! What a search means: words, `"quoted phrases"`, and the beginning of the last word.
//!
//! The same meaning is given twice, by the full-text index and by [`Query::is_in`] for what is not
//! in the index (yet). A word is a run of letters and digits; case and accents do not count. All
//! words and phrases must be there, in whichever field. What the user types is never syntax of the
//! index.

use std::borrow::Cow;
use std::fmt::Write as _;

use rusqlite::Row;
use unicode_normalization::UnicodeNormalization as _;
use unicode_normalization::char::is_combining_mark;

use super::{Result, events};

/// How much of a body is searched.
const BODY: usize = 256 << 10;
/// How long the last word must be before it stands for all that begin with it. Shorter ones would
/// be half the index.
const BEGINS: usize = 2;

/// A parsed search.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Query {
    phrases: Vec<Phrase>,
}

/// Words that stand one after the other.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Phrase {
    words: Vec<String>,
    /// Whether the last word need only begin so.
    begins: bool,
}

impl Query {
    pub(super) fn parse(text: &str) -> Self {
        let mut phrases = Vec::new();
        let mut rest = text.trim();
        while !rest.is_empty() {
            let (piece, quoted, after) = next_piece(rest);
            rest = after.trim_start();
            let words: Vec<String> = words(piece).map(Cow::into_owned).collect();
            let Some(last) = words.last() else { continue };
            let begins = !quoted && rest.is_empty() && last.chars().count() >= BEGINS;
            phrases.push(Phrase { words, begins });
        }
        Self { phrases }
    }

    /// Whether there is nothing that could be searched for.
    pub(super) fn is_empty(&self) -> bool {
        self.phrases.is_empty()
    }

    /// Whether all of it stands in `fields`.
    pub(super) fn is_in<T: AsRef<str>>(&self, fields: &[T]) -> bool {
        let fields: Vec<Vec<Cow<'_, str>>> =
            fields.iter().map(|field| words(field.as_ref()).collect()).collect();
        !self.is_empty()
            && self.phrases.iter().all(|phrase| fields.iter().any(|field| phrase.is_in(field)))
    }

    /// The search in the syntax of the index, every word quoted.
    pub(super) fn index_syntax(&self) -> String {
        let mut syntax = String::new();
        for phrase in &self.phrases {
            if !syntax.is_empty() {
                syntax.push_str(" AND ");
            }
            // Words hold letters and digits alone, so that no quote can end this one.
            let _ = write!(syntax, "\"{}\"", phrase.words.join(" "));
            if phrase.begins {
                syntax.push('*');
            }
        }
        syntax
    }
}

/// The first phrase or word of `rest`, whether it was quoted, and what follows.
fn next_piece(rest: &str) -> (&str, bool, &str) {
    if let Some(inner) = rest.strip_prefix('"') {
        // A quote that is still open is one that is being typed.
        let (piece, after) = inner.split_once('"').unwrap_or((inner, ""));
        return (piece, true, after);
    }
    let end = rest.find(|c: char| c.is_whitespace() || c == '"').unwrap_or(rest.len());
    (&rest[..end], false, &rest[end..])
}

impl Phrase {
    fn is_in(&self, field: &[Cow<'_, str>]) -> bool {
        field.windows(self.words.len()).any(|window| {
            let last = window.len() - 1;
            window.iter().zip(&self.words).enumerate().all(|(n, (word, wanted))| {
                if n == last && self.begins {
                    word.starts_with(wanted.as_str())
                } else {
                    word == wanted
                }
            })
        })
    }
}

/// The words of a text, without case and accents.
fn words(text: &str) -> impl Iterator<Item = Cow<'_, str>> {
    text.split(|c: char| !(c.is_alphanumeric() || is_combining_mark(c)))
        .filter(|word| !word.is_empty())
        .map(fold)
        .filter(|word| !word.is_empty())
}

fn fold(word: &str) -> Cow<'_, str> {
    if word.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit()) {
        Cow::Borrowed(word)
    } else if word.is_ascii() {
        Cow::Owned(word.to_ascii_lowercase())
    } else {
        Cow::Owned(
            word.nfd().filter(|&c| !is_combining_mark(c)).flat_map(char::to_lowercase).collect(),
        )
    }
}

/// What can be searched of one event.
pub(super) struct Document<'row> {
    pub(super) id: i64,
    /// Title, type, the sender's id, header values, body.
    pub(super) fields: [Cow<'row, str>; 5],
}

impl<'row> Document<'row> {
    pub(super) const COLUMNS: &'static str = "events.id, events.title, event_types.name,
        events.external_id, events.detail, events.body";
    pub(super) const FROM: &'static str =
        "events left join event_types on event_types.id = events.type";

    /// How many bytes the body of a row of [`Document::COLUMNS`] has, of which the document holds
    /// the beginning.
    pub(super) fn size(row: &Row<'_>) -> Result<usize> {
        Ok(row.get_ref(5)?.as_bytes()?.len())
    }

    /// The same, for as long as it is needed.
    pub(super) fn into_owned(self) -> Document<'static> {
        Document { id: self.id, fields: self.fields.map(|field| field.into_owned().into()) }
    }

    /// Reads it from a row of [`Document::COLUMNS`].
    pub(super) fn read(row: &'row Row<'_>) -> Result<Self> {
        let headers = events::headers_of(row.get_ref(4)?.as_str()?);
        let form = headers.iter().any(|(name, value)| {
            name.eq_ignore_ascii_case("content-type")
                && value.starts_with("application/x-www-form-urlencoded")
        });
        Ok(Self {
            id: row.get(0)?,
            fields: [
                row.get_ref(1)?.as_str()?.into(),
                row.get_ref(2)?.as_str_or_null()?.unwrap_or_default().into(),
                row.get_ref(3)?.as_str_or_null()?.unwrap_or_default().into(),
                header_values(&headers).into(),
                body_text(row.get_ref(5)?.as_bytes()?, form),
            ],
        })
    }
}

/// The values of headers, those left out that stand for a secret.
fn header_values(headers: &[(String, String)]) -> String {
    let mut values = String::new();
    for (_, value) in headers {
        if !(value.starts_with("[secret:") || value.starts_with("[masked")) {
            values.push_str(value);
            values.push('\n');
        }
    }
    values
}

/// The text of a body as a reader of it would see it; nothing where it is not text.
fn body_text(body: &[u8], form: bool) -> Cow<'_, str> {
    let start = &body[..body.len().min(BODY)];
    let text = match std::str::from_utf8(start) {
        Ok(text) => text,
        // Cut in the middle of a character, or not text at all.
        Err(error) if error.error_len().is_none() && start.len() < body.len() => {
            std::str::from_utf8(&start[..error.valid_up_to()]).unwrap_or_default()
        }
        Err(_) => return Cow::Borrowed(""),
    };
    if form {
        return percent_encoding::percent_decode_str(&text.replace('+', " "))
            .decode_utf8_lossy()
            .into_owned()
            .into();
    }
    plain_json(text)
}

/// JSON text without the escapes in its strings, so that `M\u00fcller` is found as Müller. Text
/// that is no JSON stays as it is.
pub(super) fn plain_json(text: &str) -> Cow<'_, str> {
    if !text.trim_start().starts_with(['{', '[', '"']) || !text.contains('\\') {
        return Cow::Borrowed(text);
    }
    let mut plain = String::with_capacity(text.len());
    let mut rest = text;
    let mut high = None;
    while let Some((before, after)) = rest.split_once('\\') {
        plain.push_str(before);
        let code = after.strip_prefix('u').and_then(|hex| hex.get(..4));
        match code.and_then(|hex| u16::from_str_radix(hex, 16).ok()) {
            Some(unit) => {
                // Two halves make one character; half a one shows nothing.
                match char::decode_utf16(high.take().into_iter().chain([unit])).last() {
                    Some(Ok(c)) => plain.push(c),
                    _ => high = Some(unit),
                }
                rest = &after[5..];
            }
            None => {
                // `\n` and its like part words; `\"`, `\\` and `\/` are what they show.
                let c = after.chars().next();
                plain.push(c.filter(|c| matches!(c, '"' | '\\' | '/')).unwrap_or(' '));
                rest = &after[c.map_or(0, char::len_utf8)..];
            }
        }
    }
    plain.push_str(rest);
    plain.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(search: &str, text: &str) -> bool {
        Query::parse(search).is_in(&[text])
    }

    #[test]
    fn all_words_must_be_there_in_any_order() {
        assert!(check("world hello", "Hello, World!"));
        assert!(!check("hello moon", "Hello, World!"));
    }

    #[test]
    fn only_the_last_word_may_be_a_beginning() {
        assert!(check("hello wor", "Hello, World!"));
        assert!(!check("hel world", "Hello, World!"));
        assert!(!check("\"hello wor\"", "Hello, World!"));
        // One letter is too little to begin with.
        assert!(!check("w", "Hello, World!"));
        assert!(check("1", "1 lemon"));
    }

    #[test]
    fn a_phrase_stands_as_it_is_quoted() {
        assert!(check("\"big red\" apple", "an apple, big red"));
        assert!(!check("\"red big\" apple", "an apple, big red"));
        assert!(check("\"big red", "an apple, big red"));
    }

    #[test]
    fn what_holds_several_words_is_a_phrase() {
        assert!(check("ann@shop.example", "mail of ann@shop.example"));
        assert!(!check("ann@shop.example", "example shop ann"));
        assert!(check("order.cre", "order.created"));
    }

    #[test]
    fn case_and_accents_do_not_count() {
        assert!(check("MÜLLER", "muller"));
        assert!(check("muller", "Müller"));
        assert!(check("muller", "Mu\u{308}ller"));
        assert!(check("ДОМ", "дом"));
    }

    #[test]
    fn marks_alone_find_nothing() {
        for search in ["", "#", "\"\"", "\"", "* - ("] {
            assert!(Query::parse(search).is_empty(), "{search}");
            assert!(!check(search, "# text"));
        }
    }

    #[test]
    fn what_is_typed_is_never_syntax() {
        let syntax = |text| Query::parse(text).index_syntax();
        assert_eq!(syntax("a OR b*"), "\"a\" AND \"or\" AND \"b\"");
        assert_eq!(syntax("title:x \"y"), "\"title x\" AND \"y\"");
        assert_eq!(syntax("NEAR(a b, 2)"), "\"near a\" AND \"b\" AND \"2\"");
        assert_eq!(syntax("lemon tr"), "\"lemon\" AND \"tr\"*");
    }

    #[test]
    fn escapes_of_json_are_read() {
        assert_eq!(plain_json(r#"{"a":"M\u00fcller\nrow\/\"\\"}"#), "{\"a\":\"Müller row/\"\\\"}");
        assert_eq!(plain_json(r#"["\ud83c\udf4b!"]"#), "[\"🍋!\"]");
        assert_eq!(plain_json(r#"["\ud83c \u12"#), "[\"  12");
        assert_eq!(plain_json(r"not json \n"), r"not json \n");
        assert_eq!(plain_json("{\\"), "{ ");
    }

    #[test]
    fn bodies_are_text_forms_or_nothing() {
        assert_eq!(body_text(b"a=M%C3%BCller+x", true), "a=Müller x");
        assert_eq!(body_text(b"\xff\xfe", false), "");
        let long = "ü".repeat(BODY);
        assert_eq!(body_text(long.as_bytes(), false).len(), BODY);
        let long = format!("a{long}");
        assert_eq!(body_text(long.as_bytes(), false).len(), BODY - 1);
    }
}
