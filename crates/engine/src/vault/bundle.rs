//! How the secrets of one owner are laid out as bytes.
//!
//! Lengths and bytes, rather than JSON: every buffer is made in its final size, so that none
//! grows, and leaves a copy behind that nobody zeroes.

use domain::secret::{Secret, Secrets};
use zeroize::Zeroizing;

/// A buffer that is written to its capacity and no further.
pub(super) struct Writer(Zeroizing<Vec<u8>>);

impl Writer {
    /// One that will take `size` bytes.
    pub(super) fn new(size: usize) -> Self {
        Self(Zeroizing::new(Vec::with_capacity(size)))
    }

    /// A number, as four bytes.
    pub(super) fn number(&mut self, number: usize) {
        let number = u32::try_from(number).unwrap_or(u32::MAX);
        self.0.extend_from_slice(&number.to_le_bytes());
    }

    /// Bytes, after their length.
    pub(super) fn bytes(&mut self, bytes: &[u8]) {
        self.number(bytes.len());
        self.0.extend_from_slice(bytes);
    }

    /// What was written.
    pub(super) fn done(self) -> Zeroizing<Vec<u8>> {
        self.0
    }
}

/// Reads what a [`Writer`] wrote; nothing where it is cut off.
pub(super) struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    /// From the start.
    pub(super) fn new(bytes: &'a [u8]) -> Self {
        Self(bytes)
    }

    /// The number that comes next.
    pub(super) fn number(&mut self) -> Option<usize> {
        let (number, rest) = self.0.split_first_chunk::<4>()?;
        self.0 = rest;
        usize::try_from(u32::from_le_bytes(*number)).ok()
    }

    /// The bytes that come next.
    pub(super) fn bytes(&mut self) -> Option<&'a [u8]> {
        let length = self.number()?;
        let (bytes, rest) = self.0.split_at_checked(length)?;
        self.0 = rest;
        Some(bytes)
    }

    /// The text that comes next.
    pub(super) fn text(&mut self) -> Option<&'a str> {
        std::str::from_utf8(self.bytes()?).ok()
    }

    /// Whether all was read.
    pub(super) fn is_done(&self) -> bool {
        self.0.is_empty()
    }
}

/// The secrets as bytes.
pub(super) fn encode(secrets: &Secrets) -> Zeroizing<Vec<u8>> {
    let size = secrets.iter().fold(4, |size, (name, values)| {
        values.iter().fold(size + 8 + name.len(), |size, value| size + 4 + value.expose().len())
    });
    let mut writer = Writer::new(size);
    writer.number(secrets.iter().count());
    for (name, values) in secrets.iter() {
        writer.bytes(name.as_bytes());
        writer.number(values.len());
        for value in values {
            writer.bytes(value.expose().as_bytes());
        }
    }
    writer.done()
}

/// The secrets that the bytes hold, if they are whole.
pub(super) fn decode(bytes: &[u8]) -> Option<Secrets> {
    let mut reader = Reader::new(bytes);
    let mut secrets = Secrets::new();
    for _ in 0..reader.number()? {
        let name = reader.text()?;
        for _ in 0..reader.number()? {
            secrets.add(name, Secret::new(reader.text()?.to_owned()));
        }
    }
    reader.is_done().then_some(secrets)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn secrets() -> Secrets {
        let mut secrets = Secrets::new();
        secrets.set("access_token", Secret::new("ü-token".into()));
        secrets.set("signing_secret", Secret::new("new".into()));
        secrets.add("signing_secret", Secret::new("old".into()));
        secrets.set("empty", Secret::new(String::new()));
        secrets
    }

    #[test]
    fn comes_back_as_it_was_in_a_buffer_that_never_grew() {
        let bytes = encode(&secrets());

        assert_eq!(bytes.len(), bytes.capacity());
        assert_eq!(decode(&bytes), Some(secrets()));
        assert_eq!(decode(&encode(&Secrets::new())), Some(Secrets::new()));
    }

    #[test]
    fn is_refused_at_every_cut_and_with_anything_after_it() {
        let bytes = encode(&secrets());

        for end in 0..bytes.len() {
            assert_eq!(decode(&bytes[..end]), None, "cut at {end}");
        }
        assert_eq!(decode(&[&bytes[..], b"x"].concat()), None);
    }
}
