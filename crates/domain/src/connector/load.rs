//! Loading: from a file's text to a connector, or to a sentence that says what to put right.
//!
//! The text is somebody else's: its size, depth and aliases are limited before its fields are read.
//! The format's number is read first, so that a file for a newer program is told apart from one
//! with a mistake. What YAML's types cannot say (names that must exist, texts that become hosts) is
//! checked after.

use serde::Deserialize;

use super::{Connector, FORMAT, Way};

/// The largest file that is read, in bytes.
pub const MAX_BYTES: usize = 1024 * 1024;

/// Reads a file beside the connector by its name; none where it is not there.
pub type Files<'a> = &'a dyn Fn(&str) -> Option<String>;

/// What is wrong with a connector.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// It is for a newer program; its fields were not read.
    #[error(
        "{file} was made for a newer Patchbay: its format is {format}, this one reads {FORMAT}"
    )]
    Newer {
        /// The file.
        file: String,
        /// Its format.
        format: u64,
    },
    /// A mistake at a place.
    #[error("{file}:{line}:{column}: {message}")]
    At {
        /// The file.
        file: String,
        /// The line, from 1.
        line: u64,
        /// The column, from 1.
        column: u64,
        /// What was found, what was expected, and the words that were possible.
        message: String,
    },
    /// A mistake that no single place shows.
    #[error("{file}: {message}")]
    Whole {
        /// The file.
        file: String,
        /// What is wrong.
        message: String,
    },
}

impl Error {
    /// The line, where one shows it.
    pub fn line(&self) -> Option<u64> {
        match self {
            Self::At { line, .. } => Some(*line),
            Self::Newer { .. } | Self::Whole { .. } => None,
        }
    }

    /// The file.
    pub fn file(&self) -> &str {
        match self {
            Self::At { file, .. } | Self::Newer { file, .. } | Self::Whole { file, .. } => file,
        }
    }
}

/// Only the number; all else is left for later.
#[derive(Deserialize)]
struct OnlyFormat {
    format: u64,
}

/// Loads the connector in `text`, which is called `file` in errors.
///
/// # Errors
///
/// The first mistake that was found.
pub fn load(file: &str, text: &str, files: Files<'_>) -> Result<Connector, Error> {
    let whole = |message: String| Error::Whole { file: file.into(), message };
    if text.len() > MAX_BYTES {
        return Err(whole(format!("it is larger than {MAX_BYTES} bytes")));
    }
    let found: OnlyFormat = read(file, text)?;
    if found.format > FORMAT {
        return Err(Error::Newer { file: file.into(), format: found.format });
    }
    if found.format < FORMAT {
        return Err(whole(format!("there is no format {}, expected {FORMAT}", found.format)));
    }

    let mut connector: Connector = read(file, text)?;
    for way in &mut connector.auth {
        read_steps(way, files).map_err(whole)?;
    }
    super::check::check(&connector).map_err(whole)?;
    Ok(connector)
}

fn read<T: serde::de::DeserializeOwned>(file: &str, text: &str) -> Result<T, Error> {
    let options = serde_saphyr::options! {
        budget: serde_saphyr::budget! {
            max_aliases: 100,
            max_anchors: 100,
            max_depth: 60,
            max_nodes: 50_000,
            max_documents: 1,
        },
        strict_booleans: true,
        with_snippet: false,
    };
    serde_saphyr::from_str_with_options(text, options).map_err(|error| described(file, &error))
}

fn described(file: &str, error: &serde_saphyr::Error) -> Error {
    let error = error.without_snippet();
    let message = message(error);
    match error.location() {
        Some(at) => Error::At { file: file.into(), line: at.line(), column: at.column(), message },
        None => Error::Whole { file: file.into(), message },
    }
}

/// The library's sentence without its place, which stands before it here.
fn message(error: &serde_saphyr::Error) -> String {
    let text = crate::text::clean(&error.to_string(), 600);
    match text.rfind(" at line ") {
        Some(end) if text[end..].chars().all(|letter| letter != '`') => text[..end].into(),
        _ => text,
    }
}

/// Steps that are the name of a file become what is in it.
fn read_steps(way: &mut Way, files: Files<'_>) -> Result<(), String> {
    let Some(name) = way.steps.as_deref().map(str::trim) else { return Ok(()) };
    if name.contains(['\n', ' ']) || !name.ends_with(".md") {
        return Ok(());
    }
    if name.contains(['/', '\\']) || name.starts_with('.') {
        return Err(format!("`{name}` is not a file beside the connector"));
    }
    let text = files(name).ok_or_else(|| format!("there is no file `{name}` beside it"))?;
    way.steps = Some(text);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shipped(id: &str) -> Connector {
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../../connectors");
        let text = std::fs::read_to_string(format!("{folder}/{id}/connector.yaml")).unwrap();
        load("connector.yaml", &text, &|_| None).unwrap_or_else(|error| panic!("{error}"))
    }

    #[test]
    fn the_shipped_connectors_load() {
        for id in ["sandbox", "standard-webhooks", "any"] {
            assert_eq!(shipped(id).id, id);
        }
    }
}
