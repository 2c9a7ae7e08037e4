//! Answers as JSON, whatever they are written in.
//!
//! What is packed is unpacked as far as there is room for it, so that a small answer does not
//! become a large one. CSV becomes a list of objects whose values are texts: nothing is guessed of
//! numbers and dates. XML becomes objects as [`crate::xml`] says.

use std::borrow::Cow;
use std::io::{Cursor, Read};

use flate2::read::MultiGzDecoder;

use crate::connector::{AnswerFormat, Csv, Zip};
use crate::json::Json;
use crate::{raw, xml};

/// How large an answer may be when it is unpacked, in bytes.
pub const MAX_UNPACKED: u64 = 256 * 1024 * 1024;
/// How many values a line may have.
const MAX_COLUMNS: usize = 2_000;

/// What is wrong with an answer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// It is packed, and larger than there is room for.
    #[error("it is larger than {MAX_UNPACKED} bytes when it is unpacked")]
    TooLarge,
    /// It cannot be unpacked.
    #[error("it cannot be unpacked: {0}")]
    Packed(String),
    /// The archive has no file of this name.
    #[error("there is no file `{0}` in the archive")]
    NoFile(String),
    /// A line does not fit the first.
    #[error("not CSV: {0}")]
    Csv(String),
    /// A line is not JSON.
    #[error("line {0} is not JSON")]
    Line(usize),
    /// It is not XML, or XML that we do not take.
    #[error(transparent)]
    Xml(#[from] xml::Error),
}

/// The answer as JSON: a list for what is written in lines.
///
/// # Errors
///
/// When it is not of its format, or too large.
pub fn as_json<'a>(format: &AnswerFormat, bytes: &'a [u8]) -> Result<Cow<'a, [u8]>, Error> {
    let bytes = unpacked(bytes)?;
    match format {
        AnswerFormat::Json => Ok(bytes),
        AnswerFormat::Jsonl => jsonl(&bytes).map(Cow::Owned),
        AnswerFormat::Csv(csv) => lines_of_values(csv, &bytes).map(Cow::Owned),
        AnswerFormat::Xml => Ok(Cow::Owned(xml::parse(&bytes)?.to_string().into_bytes())),
        AnswerFormat::Zip(zip) => {
            let file = file_of(zip, &bytes)?;
            as_json(&zip.answer, &file).map(|json| Cow::Owned(json.into_owned()))
        }
    }
}

/// The bytes without gzip around them.
fn unpacked(bytes: &[u8]) -> Result<Cow<'_, [u8]>, Error> {
    if !bytes.starts_with(&[0x1f, 0x8b]) {
        return Ok(Cow::Borrowed(bytes));
    }
    let mut plain = Vec::new();
    read_all(MultiGzDecoder::new(bytes), &mut plain)?;
    Ok(Cow::Owned(plain))
}

fn read_all(from: impl Read, into: &mut Vec<u8>) -> Result<(), Error> {
    let packed = |error: std::io::Error| Error::Packed(crate::text::clean(&error.to_string(), 100));
    from.take(MAX_UNPACKED + 1).read_to_end(into).map_err(packed)?;
    if into.len() as u64 > MAX_UNPACKED { Err(Error::TooLarge) } else { Ok(()) }
}

/// The first file of an archive that matches.
fn file_of(rule: &Zip, bytes: &[u8]) -> Result<Vec<u8>, Error> {
    let packed =
        |error: zip::result::ZipError| Error::Packed(crate::text::clean(&error.to_string(), 100));
    let mut archive = zip::ZipArchive::new(Cursor::new(bytes)).map_err(packed)?;
    let name = archive.file_names().find(|name| matches(&rule.file, name)).map(str::to_owned);
    let name = name.ok_or_else(|| Error::NoFile(rule.file.clone()))?;
    let file = archive.by_name(&name).map_err(packed)?;
    let mut plain = Vec::new();
    read_all(file, &mut plain)?;
    Ok(plain)
}

/// Whether `name` is that of `pattern`, in which `*` stands for anything.
pub(crate) fn matches(pattern: &str, name: &str) -> bool {
    let Some((head, tail)) = pattern.split_once('*') else { return pattern == name };
    let Some(rest) = name.strip_prefix(head) else { return false };
    (0..=rest.len()).filter(|at| rest.is_char_boundary(*at)).any(|at| matches(tail, &rest[at..]))
}

/// One JSON value on each line, as a list. Empty lines are none.
fn jsonl(bytes: &[u8]) -> Result<Vec<u8>, Error> {
    let mut list = vec![b'['];
    for (number, line) in (1..).zip(bytes.split(|byte| *byte == b'\n')) {
        let line = line.trim_ascii();
        if line.is_empty() {
            continue;
        }
        // Looked at one by one, so that a line that ends early does not swallow the next.
        serde_json::from_slice::<serde::de::IgnoredAny>(line).map_err(|_| Error::Line(number))?;
        if list.len() > 1 {
            list.push(b',');
        }
        list.extend_from_slice(line);
    }
    list.push(b']');
    Ok(list)
}

/// Lines of values as a list of objects.
fn lines_of_values(rule: &Csv, bytes: &[u8]) -> Result<Vec<u8>, Error> {
    let bytes = bytes.strip_prefix("\u{feff}".as_bytes()).unwrap_or(bytes);
    let wrong = |error: csv::Error| Error::Csv(crate::text::clean(&error.to_string(), 200));
    let mut reader = csv::ReaderBuilder::new()
        .delimiter(separator(&rule.separator))
        .has_headers(rule.columns.is_empty())
        .from_reader(bytes);
    let columns: Vec<String> = match rule.columns.as_slice() {
        [] => {
            let headers = reader.byte_headers().map_err(wrong)?;
            headers.iter().map(|name| text(name).trim().to_owned()).collect()
        }
        columns => columns.to_vec(),
    };
    if columns.len() > MAX_COLUMNS {
        return Err(Error::Csv(format!("more than {MAX_COLUMNS} columns")));
    }
    let mut list = String::from("[");
    for line in reader.byte_records() {
        let line = line.map_err(wrong)?;
        if list.len() > 1 {
            list.push(',');
        }
        list.push('{');
        for (place, (name, value)) in columns.iter().zip(line.iter()).enumerate() {
            if place > 0 {
                list.push(',');
            }
            list.push_str(&format!("{}:{}", Json::text(name), Json::text(text(value))));
        }
        list.push('}');
    }
    list.push(']');
    debug_assert!(raw::items(&list).is_some(), "what was written is a list");
    Ok(list.into_bytes())
}

/// The byte between values: a tab has a word, since nobody can see it in a field of a form.
fn separator(written: &str) -> u8 {
    match written {
        "tab" => b'\t',
        other => other.bytes().next().unwrap_or(b','),
    }
}

/// UTF-8, or else the encoding that old spreadsheets write: each byte its own character.
fn text(bytes: &[u8]) -> Cow<'_, str> {
    match std::str::from_utf8(bytes) {
        Ok(text) => Cow::Borrowed(text),
        Err(_) => bytes.iter().map(|byte| char::from(*byte)).collect::<String>().into(),
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use super::*;

    fn format(text: &str) -> AnswerFormat {
        serde_saphyr::from_str(text).unwrap_or_else(|error| panic!("{error}"))
    }

    fn read(text: &str, bytes: &[u8]) -> Result<String, Error> {
        as_json(&format(text), bytes).map(|it| String::from_utf8(it.into_owned()).unwrap())
    }

    fn gzip(bytes: &[u8]) -> Vec<u8> {
        let mut packed = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        packed.write_all(bytes).unwrap();
        packed.finish().unwrap()
    }

    #[test]
    fn lines_of_values_are_objects_of_texts() {
        assert_eq!(
            read("csv", b"sku,price\r\nA-1,19.90\r\n\"B,\"\"2\",\n").unwrap(),
            r#"[{"sku":"A-1","price":"19.90"},{"sku":"B,\"2","price":""}]"#
        );
        assert_eq!(
            read("{ csv: { separator: ';', columns: [sku, n] } }", b"\xef\xbb\xbfM\xfcller;007\n")
                .unwrap(),
            r#"[{"sku":"Müller","n":"007"}]"#
        );
        assert_eq!(read("csv", b"sku,price\n").unwrap(), "[]");
        assert!(matches!(read("csv", b"a,b\n1,2,3\n"), Err(Error::Csv(_))));
    }

    #[test]
    fn lines_of_json_are_a_list() {
        let lines = b"{\"id\":9007199254740993}\n\n{\"id\":\"gid://x\",\"__parentId\":\"y\"}\r\n";

        assert_eq!(
            read("jsonl", lines).unwrap(),
            r#"[{"id":9007199254740993},{"id":"gid://x","__parentId":"y"}]"#
        );
        assert_eq!(read("jsonl", b"").unwrap(), "[]");
        assert_eq!(read("jsonl", b"{}\n{\"a\":\n1}\n"), Err(Error::Line(2)));
    }

    #[test]
    fn xml_is_objects() {
        let text = b"<feed><item id=\"1\"><sku>A</sku></item><item id=\"2\"/></feed>";

        let read = read("xml", text).unwrap();

        let expected = serde_json::json!({
            "feed": { "item": [{ "@id": "1", "sku": "A" }, { "@id": "2" }] }
        });
        assert_eq!(serde_json::from_str::<serde_json::Value>(&read).unwrap(), expected);
    }

    #[test]
    fn what_is_packed_is_unpacked_as_far_as_there_is_room() {
        assert_eq!(read("json", &gzip(b"{\"a\":1}")).unwrap(), "{\"a\":1}");
        assert_eq!(read("csv", &gzip(b"a\n1\n")).unwrap(), r#"[{"a":"1"}]"#);
        assert!(matches!(read("json", &gzip(b"{}")[..8]), Err(Error::Packed(_))));

        let bomb = gzip(&vec![b' '; MAX_UNPACKED as usize + 1]);
        assert!(bomb.len() < 4 * 1024 * 1024);
        assert_eq!(read("json", &bomb), Err(Error::TooLarge));
    }

    #[test]
    fn a_file_of_an_archive_is_found_by_its_name() {
        let mut archive = zip::ZipWriter::new(Cursor::new(Vec::new()));
        let options = zip::write::SimpleFileOptions::default()
            .compression_method(zip::CompressionMethod::Stored);
        for (name, text) in [("readme.txt", "hello"), ("feed/2026.csv", "sku\nA\n")] {
            archive.start_file(name, options).unwrap();
            archive.write_all(text.as_bytes()).unwrap();
        }
        let bytes = archive.finish().unwrap().into_inner();

        let rule = "{ zip: { file: 'feed/*.csv', answer: csv } }";
        assert_eq!(read(rule, &bytes).unwrap(), r#"[{"sku":"A"}]"#);
        let rule = "{ zip: { file: 'feed/*.xml', answer: xml } }";
        assert_eq!(read(rule, &bytes), Err(Error::NoFile("feed/*.xml".into())));
        assert!(matches!(read(rule, b"PK"), Err(Error::Packed(_))));
    }

    #[test]
    fn a_star_stands_for_anything() {
        for (pattern, name) in [("*.csv", "a.csv"), ("a*c*e", "abcde"), ("*", ""), ("a", "a")] {
            assert!(matches(pattern, name), "{pattern} {name}");
        }
        for (pattern, name) in [("*.csv", "a.csvx"), ("a*", "ba"), ("a", "ab"), ("é*x", "éy")] {
            assert!(!matches(pattern, name), "{pattern} {name}");
        }
    }
}
