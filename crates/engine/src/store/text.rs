//! What a search means: words, `"quoted phrases"`, and the beginning of the last word.
//!
//! The same meaning is given twice, by the full-text index and by [`Query::is_in`] for what is not
//! in the index (yet). A word is a run of letters and digits; case does not count. All words and
//! phrases must be there, in whichever field. What the user types is never syntax of the index.

use std::borrow::Cow;
use std::fmt::Write as _;

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
            let (piece, quoted, after) = match rest.strip_prefix('"') {
                Some(inner) => {
                    let (piece, after) = inner.split_once('"').unwrap_or((inner, ""));
                    (piece, true, after)
                }
                None => {
                    let end =
                        rest.find(|c: char| c.is_whitespace() || c == '"').unwrap_or(rest.len());
                    (&rest[..end], false, &rest[end..])
                }
            };
            rest = after.trim_start();
            let words: Vec<String> = words(piece).map(Cow::into_owned).collect();
            if !words.is_empty() {
                phrases.push(Phrase { words, begins: !quoted && rest.is_empty() });
            }
        }
        Self { phrases }
    }

    /// Whether there is nothing that could be searched for.
    pub(super) fn is_empty(&self) -> bool {
        self.phrases.is_empty()
    }

    /// Whether all of it stands in `fields`.
    pub(super) fn is_in(&self, fields: &[&str]) -> bool {
        if self.is_empty() {
            return false;
        }
        let fields: Vec<Vec<Cow<'_, str>>> =
            fields.iter().map(|field| words(field).collect()).collect();
        self.phrases.iter().all(|phrase| fields.iter().any(|field| phrase.is_in(field)))
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

/// The words of a text, in lower case.
fn words(text: &str) -> impl Iterator<Item = Cow<'_, str>> {
    text.split(|c: char| !c.is_alphanumeric()).filter(|word| !word.is_empty()).map(fold)
}

fn fold(word: &str) -> Cow<'_, str> {
    if word.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit()) {
        Cow::Borrowed(word)
    } else {
        Cow::Owned(word.to_lowercase())
    }
}
