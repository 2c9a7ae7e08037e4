//! Forms as browsers and senders write them: urlencoded, and in parts.
//!
//! They are somebody else's bytes. Nothing fails here: what cannot be read is left out. Files in a
//! form are not fields; only their number of bytes is bounded, by the body they came in.

use std::borrow::Cow;

/// Most fields that are read.
const MAX_FIELDS: usize = 2_000;

/// Whether a body of this content type is a form.
pub fn is_form(content_type: &str) -> bool {
    is_urlencoded(content_type) || boundary(content_type).is_some()
}

/// Whether a body of this content type is a form of names and values alone, without files.
pub fn is_urlencoded(content_type: &str) -> bool {
    essence(content_type).eq_ignore_ascii_case("application/x-www-form-urlencoded")
}

/// A content type without its parameters: `text/xml` for `text/xml; charset=utf-8`.
pub fn essence(content_type: &str) -> &str {
    content_type.split(';').next().unwrap_or_default().trim()
}

/// Names and values of a form, decoded, in the order in which they came.
pub fn fields<'a>(content_type: &str, body: &'a [u8]) -> Vec<(Cow<'a, str>, Cow<'a, str>)> {
    match boundary(content_type) {
        Some(boundary) => parts(&boundary, body),
        None => url::form_urlencoded::parse(body).take(MAX_FIELDS).collect(),
    }
}

/// What parts a form in parts: `boundary=…`, quoted or not.
fn boundary(content_type: &str) -> Option<String> {
    if !essence(content_type).eq_ignore_ascii_case("multipart/form-data") {
        return None;
    }
    let value = parameter(content_type, "boundary")?;
    (!value.is_empty() && value.len() <= 200).then_some(value)
}

/// A parameter of a header's value; quotes and backslashes undone.
fn parameter(header: &str, name: &str) -> Option<String> {
    let mut rest = header;
    while let Some(at) = next_semicolon(rest) {
        rest = rest[at + 1..].trim_start();
        let Some((key, value)) = rest.split_once('=') else { continue };
        if !key.trim().eq_ignore_ascii_case(name) {
            continue;
        }
        let value = value.trim_start();
        let Some(quoted) = value.strip_prefix('"') else {
            return Some(value.split(';').next().unwrap_or_default().trim().to_owned());
        };
        let mut text = String::new();
        let mut letters = quoted.chars();
        while let Some(letter) = letters.next() {
            match letter {
                '"' => return Some(text),
                '\\' => text.extend(letters.next()),
                letter => text.push(letter),
            }
        }
        return None;
    }
    None
}

/// The next `;` that is not within quotes.
fn next_semicolon(text: &str) -> Option<usize> {
    let (mut quoted, mut escaped) = (false, false);
    for (at, letter) in text.char_indices() {
        match letter {
            _ if escaped => escaped = false,
            '\\' if quoted => escaped = true,
            '"' => quoted = !quoted,
            ';' if !quoted => return Some(at),
            _ => {}
        }
    }
    None
}

fn parts<'a>(boundary: &str, body: &'a [u8]) -> Vec<(Cow<'a, str>, Cow<'a, str>)> {
    let delimiter = [b"--", boundary.as_bytes()].concat();
    let mut fields = Vec::new();
    let mut rest = match find(body, &delimiter) {
        Some(at) => &body[at + delimiter.len()..],
        None => return fields,
    };
    // Each part ends with a line break and the delimiter of the next.
    let between = [b"\r\n", delimiter.as_slice()].concat();
    while fields.len() < MAX_FIELDS && !rest.starts_with(b"--") {
        let Some(part) = rest.strip_prefix(b"\r\n") else { break };
        let Some(end) = find(part, &between) else { break };
        fields.extend(field(&part[..end]));
        rest = &part[end + between.len()..];
    }
    fields
}

/// The name and the value of a part that is no file.
fn field(part: &[u8]) -> Option<(Cow<'_, str>, Cow<'_, str>)> {
    let (head, value) = match part.strip_prefix(b"\r\n") {
        Some(_) => return None,
        None => {
            let at = find(part, b"\r\n\r\n")?;
            (&part[..at], &part[at + 4..])
        }
    };
    let head = std::str::from_utf8(head).ok()?;
    let disposition = head.split("\r\n").find_map(|line| {
        let (name, value) = line.split_once(':')?;
        name.trim().eq_ignore_ascii_case("content-disposition").then_some(value)
    })?;
    if parameter(disposition, "filename").is_some() {
        return None;
    }
    let name = parameter(disposition, "name")?;
    Some((Cow::Owned(name), String::from_utf8_lossy(value)))
}

fn find(bytes: &[u8], wanted: &[u8]) -> Option<usize> {
    let (first, rest) = wanted.split_first()?;
    let mut from = 0;
    while let Some(at) = bytes.get(from..)?.iter().position(|byte| byte == first) {
        let start = from + at + 1;
        if bytes[start..].starts_with(rest) {
            return Some(from + at);
        }
        from = start;
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn check(content_type: &str, body: &str) -> Vec<(String, String)> {
        let fields = fields(content_type, body.as_bytes());
        fields.into_iter().map(|(name, value)| (name.into(), value.into())).collect()
    }

    fn pairs(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
        pairs.iter().map(|(name, value)| ((*name).into(), (*value).into())).collect()
    }

    #[test]
    fn plus_and_percent_are_undone_and_repeats_kept() {
        let urlencoded = "application/x-www-form-urlencoded";

        assert_eq!(
            check(urlencoded, "a=1&a=2&b=x+y%21&c&d="),
            pairs(&[("a", "1"), ("a", "2"), ("b", "x y!"), ("c", ""), ("d", "")])
        );
        assert_eq!(check(urlencoded, ""), pairs(&[]));
    }

    #[test]
    fn parts_are_fields_and_files_are_not() {
        let body = "preamble\r\n--x y\r\nContent-Disposition: form-data; name=\"a\"\r\n\r\n1\r\n\
                    --x y\r\ncontent-type: text/plain\r\ncontent-disposition: form-data; name=b\
                    \r\n\r\nl1\r\nl2\r\n--x y\r\nContent-Disposition: form-data; name=\"f\"; \
                    filename=\"a;b.txt\"\r\n\r\nsecret\r\n--x y--\r\n";

        assert_eq!(
            check("multipart/form-data; boundary=\"x y\"", body),
            pairs(&[("a", "1"), ("b", "l1\r\nl2")])
        );
        assert_eq!(check("Multipart/Form-Data; charset=utf-8; Boundary=zz", body), pairs(&[]));
    }

    #[test]
    fn a_form_is_known_by_its_type() {
        assert!(is_form("application/x-www-form-urlencoded; charset=UTF-8"));
        assert!(is_form("multipart/form-data; boundary=a"));
        assert!(!is_form("multipart/form-data"));
        assert!(!is_form("application/json"));
        assert!(!is_form(""));
    }

    proptest! {
        #[test]
        fn no_bytes_make_it_panic(kind in ".{0,40}", body in prop::collection::vec(any::<u8>(), 0..200)) {
            let _ = fields(&kind, &body);
            let _ = fields(&format!("multipart/form-data; boundary={kind}"), &body);
            let _ = fields("multipart/form-data; boundary=a", &body);
        }

        #[test]
        fn a_part_comes_back_as_it_was(value in "[^-]{0,40}") {
            let body = format!("--b\r\ncontent-disposition: form-data; name=\"n\"\r\n\r\n{value}\r\n--b--");
            prop_assert_eq!(check("multipart/form-data; boundary=b", &body), pairs(&[("n", &value)]));
        }
    }
}
