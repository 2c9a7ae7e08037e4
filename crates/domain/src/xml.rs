//! XML as JSON, so that one language of paths reads both.
//!
//! An element with nothing but text is that text; any other is an object of its children and its
//! attributes (`@name`), its text, if any, under `#text`. What stands several times is a list.
//! Prefixes of names are left off. What declares a document type is refused: entities are how XML
//! is made to read files and to fill the memory.

use indexmap::IndexMap;
use quick_xml::Reader;
use quick_xml::events::{BytesStart, Event};

use crate::json::Json;

/// How deep elements may be nested.
const MAX_DEPTH: usize = 100;

/// Most elements and attributes of one document.
const MAX_NODES: usize = 200_000;

/// Why bytes are not XML that we take.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// Not XML.
    #[error("not XML: {0}")]
    Syntax(String),
    /// It declares a document type, or names an entity that is not XML's own.
    #[error("XML with a document type or an entity of its own")]
    Entity,
    /// Nested deeper than we take, or of more parts.
    #[error("XML of too many parts")]
    TooLarge,
}

/// An element that is being read.
#[derive(Default)]
struct Open {
    name: String,
    text: String,
    members: IndexMap<String, Vec<Json>>,
}

impl Open {
    fn add(&mut self, name: String, value: Json) {
        self.members.entry(name).or_default().push(value);
    }

    fn close(self) -> (String, Json) {
        let text = self.text.trim();
        if self.members.is_empty() {
            return (self.name, Json::text(text));
        }
        let mut members: Vec<(String, Json)> = self
            .members
            .into_iter()
            .map(|(name, mut values)| match values.len() {
                1 => (name, values.pop().unwrap_or_default()),
                _ => (name, Json::array(values)),
            })
            .collect();
        if !text.is_empty() {
            members.push(("#text".into(), Json::text(text)));
        }
        let members = members.iter().map(|(name, value)| (name.as_str(), value.clone()));
        (self.name, Json::object(members))
    }
}

/// Reads a document: an object with its one root.
///
/// # Errors
///
/// When `bytes` are not one XML document, or one that we do not take.
pub fn parse(bytes: &[u8]) -> Result<Json, Error> {
    let syntax =
        |error: &dyn std::fmt::Display| Error::Syntax(crate::text::clean(&error.to_string(), 200));
    let text = std::str::from_utf8(bytes).map_err(|error| syntax(&error))?;
    let mut reader = Reader::from_str(text);
    let mut open: Vec<Open> = Vec::new();
    let mut root = None;
    let mut nodes = 0;
    loop {
        let event = reader.read_event().map_err(|error| syntax(&error))?;
        match event {
            Event::Start(start) => {
                nodes += 1;
                open.push(begin(&start, &mut nodes)?);
            }
            Event::Empty(start) => {
                nodes += 1;
                let closed = begin(&start, &mut nodes)?.close();
                finish(&mut open, &mut root, closed)?;
            }
            Event::End(_) => {
                let closed = open.pop().ok_or(Error::Syntax("an end without a start".into()))?;
                finish(&mut open, &mut root, closed.close())?;
            }
            Event::Text(text) => match open.last_mut() {
                Some(element) => element.text.push_str(&text),
                None if text.trim().trim_start_matches('\u{feff}').is_empty() => {}
                None => return Err(Error::Syntax("text outside of an element".into())),
            },
            Event::CData(text) => {
                if let Some(element) = open.last_mut() {
                    element.text.push_str(&text);
                }
            }
            Event::GeneralRef(reference) => {
                let letter = match reference.resolve_char_ref() {
                    Ok(Some(letter)) => letter,
                    Ok(None) => own_entity(reference.as_ref()).ok_or(Error::Entity)?,
                    Err(error) => return Err(syntax(&error)),
                };
                if let Some(element) = open.last_mut() {
                    element.text.push(letter);
                }
            }
            Event::DocType(_) => return Err(Error::Entity),
            Event::Decl(_) | Event::PI(_) | Event::Comment(_) => {}
            Event::Eof => break,
        }
        if open.len() > MAX_DEPTH || nodes > MAX_NODES {
            return Err(Error::TooLarge);
        }
    }
    match (root, open.is_empty()) {
        (Some((name, value)), true) => Ok(Json::object([(name.as_str(), value)])),
        _ => Err(Error::Syntax("it has no end".into())),
    }
}

fn begin(start: &BytesStart<'_>, nodes: &mut usize) -> Result<Open, Error> {
    let mut element = Open { name: start.local_name().as_ref().to_owned(), ..Open::default() };
    for attribute in start.attributes() {
        let attribute = attribute
            .map_err(|error| Error::Syntax(crate::text::clean(&error.to_string(), 200)))?;
        let name = attribute.key;
        if name.as_namespace_binding().is_some() {
            continue;
        }
        *nodes += 1;
        let value = quick_xml::escape::unescape(&attribute.value).map_err(|_| Error::Entity)?;
        element.add(format!("@{}", name.local_name().as_ref()), Json::text(value));
    }
    Ok(element)
}

fn finish(
    open: &mut [Open],
    root: &mut Option<(String, Json)>,
    (name, value): (String, Json),
) -> Result<(), Error> {
    match open.last_mut() {
        Some(parent) => parent.add(name, value),
        None if root.is_none() => *root = Some((name, value)),
        None => return Err(Error::Syntax("more than one root".into())),
    }
    Ok(())
}

/// The five entities that XML has by itself.
fn own_entity(name: &str) -> Option<char> {
    Some(match name {
        "lt" => '<',
        "gt" => '>',
        "amp" => '&',
        "apos" => '\'',
        "quot" => '"',
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn check(xml: &str) -> String {
        match parse(xml.as_bytes()) {
            Ok(json) => json.to_string(),
            Err(error) => error.to_string(),
        }
    }

    #[test]
    fn elements_are_objects_and_texts() {
        assert_eq!(
            check(
                "<?xml version=\"1.0\"?>\n<a xmlns:s=\"u\"><s:b t=\"1&amp;2\">x &lt; y</s:b><c>1</c><c>2</c><d/></a>"
            ),
            r##"{"a":{"b":{"@t":"1&2","#text":"x < y"},"c":["1","2"],"d":""}}"##
        );
        assert_eq!(check("<a><![CDATA[<b>]]>&#x41;</a>"), r#"{"a":"<b>A"}"#);
    }

    #[test]
    fn what_could_read_files_or_fill_the_memory_is_refused() {
        let entity = "XML with a document type or an entity of its own";
        assert_eq!(
            check("<!DOCTYPE a [<!ENTITY x SYSTEM 'file:///etc/passwd'>]><a>&x;</a>"),
            entity
        );
        assert_eq!(check("<!DOCTYPE a><a/>"), entity);
        assert_eq!(check("<a>&x;</a>"), entity);
        assert_eq!(check("<a b='&x;'/>"), entity);
        assert_eq!(check(&"<a>".repeat(1_000)), "XML of too many parts");
    }

    #[test]
    fn what_is_no_document_is_not_one() {
        for text in ["", "x", "<a>", "</a>", "<a/><b/>", "<a></b>", "{}", "<a/>x"] {
            assert!(parse(text.as_bytes()).is_err(), "{text}");
        }
        assert!(parse(b"<a>\xff</a>").is_err());
    }

    proptest! {
        #[test]
        fn no_bytes_make_it_panic(bytes in prop::collection::vec(any::<u8>(), 0..100)) {
            let _ = parse(&bytes);
        }

        #[test]
        fn no_tokens_make_it_panic(
            tokens in prop::collection::vec(
                prop::sample::select(vec!["<", ">", "/", "a", "&", ";", "!", "[", "]", "'", "=", "?", "-", "\"", " "]),
                0..60,
            ),
        ) {
            let _ = parse(tokens.concat().as_bytes());
        }
    }
}
