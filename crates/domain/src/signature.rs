//! Signatures: whether a request comes from who it says, by the rule of its connector.
//!
//! The signature covers the bytes as sent, so this comes before anything parses a body. The order
//! is: what is needed is there, a secret is there, the digest fits, and only then whether it is
//! too old, so that *stale* is said of what is right in every other way. Comparing takes the same
//! time for a near miss as for a far one; which of several secrets fitted is told, so that a
//! change of secrets can be watched. Nothing here says what was expected.

use base64::Engine as _;
use base64::alphabet::STANDARD;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use hmac::{Hmac, KeyInit, Mac};
use jiff::{SignedDuration, Timestamp};
use sha1::Sha1;
use sha2::Sha256;
use subtle::ConstantTimeEq;
use zeroize::Zeroizing;

use crate::connector::{
    self, Encoding, Hash, KeyEncoding, List, Piece, SIGNING_SECRET, SignedAt, TimeAt, TimeUnit,
    Verify,
};
use crate::event::{Proof, ProofDetail};
use crate::json::Json;
use crate::refusal::Reason;
use crate::secret::{Secret, Secrets};

/// How far the time of Standard Webhooks may be from ours, on both sides.
const STANDARD_TOLERANCE: SignedDuration = SignedDuration::from_secs(300);

/// What the header names of Standard Webhooks begin with, and those of the senders that were
/// there before the specification.
const STANDARD_PREFIXES: [&str; 2] = ["webhook", "svix"];

/// A request as far as signatures go.
#[derive(Debug, Clone, Copy)]
pub struct Request<'a> {
    /// The method, in capitals.
    pub method: &'a str,
    /// The address that the sender was told, whole.
    pub url: &'a str,
    /// Names in lower case with their values as they came.
    pub headers: &'a [(&'a str, &'a [u8])],
    /// The body as it came.
    pub body: &'a [u8],
}

/// Why a request is believed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verified {
    /// That its signature was right, or that none is asked for.
    pub proof: Proof,
    /// What was checked.
    pub detail: ProofDetail,
}

/// Why a request is not believed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// A header that signed requests carry is not there.
    #[error("there is no `{0}` header")]
    Unsigned(String),
    /// Something that the signature needs is there and cannot be read.
    #[error("{0} cannot be read")]
    Malformed(String),
    /// There is no secret to check with.
    #[error("there is no `{0}` yet")]
    NoSecret(String),
    /// None of the secrets is one that this sender could sign with.
    #[error("the `{0}` is not of the form that this sender uses")]
    BadSecret(String),
    /// It was signed with another secret, or changed on the way.
    #[error("the signature is not one of this inbox")]
    Mismatch,
    /// The signature is right, and its time is too far from ours.
    #[error("{}", stale(*.by))]
    Stale {
        /// How long ago it was signed; negative where that is still to come.
        by: SignedDuration,
    },
}

impl Error {
    /// The reason under which the refusal is listed.
    pub const fn reason(&self) -> Reason {
        match self {
            Self::Unsigned(_) => Reason::Unsigned,
            Self::Malformed(_) => Reason::Malformed,
            Self::NoSecret(_) | Self::BadSecret(_) => Reason::NoSecret,
            Self::Mismatch => Reason::WrongSignature,
            Self::Stale { .. } => Reason::Stale,
        }
    }
}

fn stale(by: SignedDuration) -> String {
    let seconds = by.as_secs().unsigned_abs();
    let (number, unit) = match seconds {
        0..120 => (seconds, "seconds"),
        120..7_200 => (seconds / 60, "minutes"),
        7_200..172_800 => (seconds / 3_600, "hours"),
        _ => (seconds / 86_400, "days"),
    };
    if by.is_negative() {
        format!("it was signed {number} {unit} in the future")
    } else {
        format!("it was signed {number} {unit} ago")
    }
}

/// Checks `request` by `rule` with `secrets`. `now` is a parameter so that a test can choose it.
///
/// # Errors
///
/// Why it is not believed; see [`Error::reason`].
pub fn verify(
    rule: &Verify,
    request: &Request<'_>,
    secrets: &Secrets,
    now: Timestamp,
) -> Result<Verified, Error> {
    match rule {
        Verify::None => {
            let detail = ProofDetail { scheme: Some("none".into()), ..ProofDetail::default() };
            Ok(Verified { proof: Proof::Unsigned, detail })
        }
        Verify::StandardWebhooks => standard_webhooks(request, secrets, now),
        Verify::Hmac(rule) => hmac(rule, request, secrets, now),
    }
}

fn standard_webhooks(
    request: &Request<'_>,
    secrets: &Secrets,
    now: Timestamp,
) -> Result<Verified, Error> {
    let name = |prefix: &str, part: &str| format!("{prefix}-{part}");
    let prefix = STANDARD_PREFIXES
        .into_iter()
        .find(|prefix| request.has(&name(prefix, "signature")))
        .unwrap_or(STANDARD_PREFIXES[0]);
    let signature = request.header(&name(prefix, "signature"))?;
    let id = request.header(&name(prefix, "id"))?;
    let time_header = name(prefix, "timestamp");
    let time = request.header(&time_header)?;

    let signed_at = read_time(time, TimeUnit::S).ok_or_else(|| malformed_header(&time_header))?;
    let list = List { separator: " ".into(), between: ",".into(), take: "v1".into() };
    let signatures = decoded(&list.values(signature), "", Encoding::Base64);
    if signatures.is_empty() {
        return Err(malformed_header(&name(prefix, "signature")));
    }
    let key = connector::Key {
        secret: SIGNING_SECRET.into(),
        encoding: KeyEncoding::Base64,
        prefix: "whsec_".into(),
    };
    let pieces: [&[u8]; 5] = [id.as_bytes(), b".", time.as_bytes(), b".", request.body];
    let fitted = fitting(Hash::Sha256, &key, secrets, &pieces, &signatures)?;
    check_time(signed_at, TimeUnit::S, STANDARD_TOLERANCE, now)?;
    Ok(Verified {
        proof: Proof::Verified,
        detail: ProofDetail {
            scheme: Some("standard_webhooks".into()),
            header: Some(name(prefix, "signature")),
            signed: Some(format!("{prefix}-id.{prefix}-timestamp.body")),
            secret: Some(fitted),
        },
    })
}

fn hmac(
    rule: &connector::Hmac,
    request: &Request<'_>,
    secrets: &Secrets,
    now: Timestamp,
) -> Result<Verified, Error> {
    let carried = request.header(&rule.header)?;
    let values = match &rule.list {
        Some(list) => list.values(carried),
        None => vec![carried.trim()],
    };
    let signatures = decoded(&values, &rule.prefix, rule.encoding);
    if signatures.is_empty() {
        return Err(malformed_header(&rule.header));
    }
    let signed_at = match &rule.time {
        Some(time) => time_outside(time, rule, carried, request)?,
        None => None,
    };
    let pieces = rule
        .message
        .iter()
        .map(|piece| bytes_of(piece, rule, carried, request))
        .collect::<Result<Vec<_>, Error>>()?;

    let fitted = fitting(rule.hash, &rule.key, secrets, &pieces, &signatures)?;
    if let Some(time) = &rule.time {
        let signed_at = match (signed_at, &time.at) {
            (Some(signed_at), _) => signed_at,
            (None, _) => time_inside(time, request, now)?,
        };
        check_time(signed_at, time.unit, time.tolerance.get(), now)?;
    }
    let hash = match rule.hash {
        Hash::Sha1 => "hmac sha1",
        Hash::Sha256 => "hmac sha256",
    };
    Ok(Verified {
        proof: Proof::Verified,
        detail: ProofDetail {
            scheme: Some(hash.into()),
            header: Some(rule.header.clone()),
            signed: Some(rule.message.iter().map(Piece::describe).collect()),
            secret: Some(fitted),
        },
    })
}

impl<'a> Request<'a> {
    fn has(&self, name: &str) -> bool {
        self.headers.iter().any(|(other, _)| *other == name)
    }

    /// The one header of this name. Twice is as bad as unreadable: which one would be meant?
    fn header(&self, name: &str) -> Result<&'a str, Error> {
        let mut values = self.headers.iter().filter(|(other, _)| *other == name);
        let value = match (values.next(), values.next()) {
            (None, _) => return Err(Error::Unsigned(name.into())),
            (Some(_), Some(_)) => return Err(malformed_header(name)),
            (Some((_, value)), None) => value,
        };
        std::str::from_utf8(value).map_err(|_| malformed_header(name))
    }

    /// The path of the address that the sender was told.
    fn path(&self) -> &'a str {
        let after_scheme = self.url.find("://").map_or(0, |at| at + 3);
        let rest = &self.url[after_scheme..];
        let path = rest.find('/').map_or("/", |at| &rest[at..]);
        path.split(['?', '#']).next().unwrap_or("/")
    }
}

fn malformed_header(name: &str) -> Error {
    Error::Malformed(format!("the `{name}` header"))
}

impl List {
    /// The values of the items that are signatures.
    fn values<'a>(&self, text: &'a str) -> Vec<&'a str> {
        self.items(text).filter(|(name, _)| *name == self.take).map(|(_, value)| value).collect()
    }

    /// The value of the first item of this name.
    fn item<'a>(&self, text: &'a str, name: &str) -> Option<&'a str> {
        self.items(text).find(|(other, _)| *other == name).map(|(_, value)| value)
    }

    fn items<'a>(&self, text: &'a str) -> impl Iterator<Item = (&'a str, &'a str)> {
        text.split(self.separator.as_str())
            .filter_map(|item| item.trim().split_once(self.between.as_str()))
            .map(|(name, value)| (name.trim(), value.trim()))
    }
}

fn bytes_of<'a>(
    piece: &'a Piece,
    rule: &connector::Hmac,
    carried: &'a str,
    request: &Request<'a>,
) -> Result<&'a [u8], Error> {
    Ok(match piece {
        Piece::Body => request.body,
        Piece::Method => request.method.as_bytes(),
        Piece::Path => request.path().as_bytes(),
        Piece::Url => request.url.as_bytes(),
        Piece::Text(text) => text.as_bytes(),
        Piece::Header(name) => request.header(name)?.as_bytes(),
        Piece::Item(name) => item(rule, carried, name)?.as_bytes(),
    })
}

fn item<'a>(rule: &connector::Hmac, carried: &'a str, name: &str) -> Result<&'a str, Error> {
    let list = rule.list.as_ref();
    list.and_then(|list| list.item(carried, name)).ok_or_else(|| malformed_header(&rule.header))
}

/// The time, where it stands outside of the body.
fn time_outside(
    time: &SignedAt,
    rule: &connector::Hmac,
    carried: &str,
    request: &Request<'_>,
) -> Result<Option<Timestamp>, Error> {
    let (text, header) = match &time.at {
        TimeAt::Header(name) => (request.header(name)?, name),
        TimeAt::Item(name) => (item(rule, carried, name)?, &rule.header),
        TimeAt::Body(_) => return Ok(None),
    };
    read_time(text, time.unit).map(Some).ok_or_else(|| malformed_header(header))
}

/// The time, where it stands in the body: called only once the body is known to be the sender's.
fn time_inside(time: &SignedAt, request: &Request<'_>, now: Timestamp) -> Result<Timestamp, Error> {
    let TimeAt::Body(path) = &time.at else {
        return Err(Error::Malformed("the time".into()));
    };
    Json::parse(request.body)
        .ok()
        .and_then(|body| path.text_of(&body, now))
        .and_then(|text| read_time(&text, time.unit))
        .ok_or_else(|| Error::Malformed(format!("the time at `{}`", path.text())))
}

fn read_time(text: &str, unit: TimeUnit) -> Option<Timestamp> {
    let whole = || {
        let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
        digits.then(|| text.parse::<i64>().ok()).flatten()
    };
    match unit {
        TimeUnit::S => Timestamp::from_second(whole()?).ok(),
        TimeUnit::Ms => Timestamp::from_millisecond(whole()?).ok(),
        TimeUnit::Iso => text.parse().ok(),
    }
}

/// Both sides are borders: too old may be a replay, too new a clock that is wrong, and neither
/// could be told from a request that somebody kept. Compared in the unit in which the sender
/// counts, as senders' own libraries do.
fn check_time(
    signed_at: Timestamp,
    unit: TimeUnit,
    tolerance: SignedDuration,
    now: Timestamp,
) -> Result<(), Error> {
    let now = match unit {
        TimeUnit::S => Timestamp::from_second(now.as_second()).unwrap_or(now),
        TimeUnit::Ms | TimeUnit::Iso => now,
    };
    let by = now.duration_since(signed_at);
    if by.abs() > tolerance { Err(Error::Stale { by }) } else { Ok(()) }
}

/// What the signatures in a header are, as bytes; those that cannot be read are left out.
fn decoded(values: &[&str], prefix: &str, encoding: Encoding) -> Vec<Vec<u8>> {
    values
        .iter()
        .filter_map(|value| value.strip_prefix(prefix))
        .filter_map(|text| match encoding {
            Encoding::Hex => hex::decode(text).ok(),
            Encoding::Base64 => BASE64.decode(text).ok(),
        })
        .filter(|bytes| !bytes.is_empty())
        .collect()
}

/// The standard alphabet, with or without padding.
const BASE64: GeneralPurpose = GeneralPurpose::new(
    &STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// Which of the secrets, counted from 1, made one of `signatures` over `pieces`.
fn fitting(
    hash: Hash,
    key: &connector::Key,
    secrets: &Secrets,
    pieces: &[&[u8]],
    signatures: &[Vec<u8>],
) -> Result<u32, Error> {
    let secrets = secrets.all(&key.secret);
    if secrets.iter().all(|secret| secret.expose().trim().is_empty()) {
        return Err(Error::NoSecret(key.secret.clone()));
    }
    let mut usable = false;
    for (number, secret) in (1..).zip(secrets) {
        let Some(bytes) = key_of(key, secret) else { continue };
        usable = true;
        let tag = tag(hash, &bytes, pieces);
        let fits = |signature: &Vec<u8>| bool::from(tag.as_slice().ct_eq(signature));
        if signatures.iter().any(fits) {
            return Ok(number);
        }
    }
    Err(if usable { Error::Mismatch } else { Error::BadSecret(key.secret.clone()) })
}

/// The key in a secret. An empty one is none: anybody could sign with it.
fn key_of(key: &connector::Key, secret: &Secret) -> Option<Zeroizing<Vec<u8>>> {
    let text = secret.expose();
    let bytes = match key.encoding {
        // As it was given, with its prefix: there are senders for whom `whsec_` is part of it.
        KeyEncoding::Text => text.strip_prefix(&key.prefix).unwrap_or(text).as_bytes().to_vec(),
        KeyEncoding::Base64 => BASE64.decode(bare(key, text)).ok()?,
        KeyEncoding::Hex => hex::decode(bare(key, text)).ok()?,
    };
    (!bytes.is_empty()).then(|| Zeroizing::new(bytes))
}

/// Without the prefix, and without the white space that copying brings along.
fn bare<'a>(key: &connector::Key, text: &'a str) -> &'a str {
    let text = text.trim();
    text.strip_prefix(&key.prefix).unwrap_or(text)
}

fn tag(hash: Hash, key: &[u8], pieces: &[&[u8]]) -> Vec<u8> {
    match hash {
        Hash::Sha1 => tag_of::<Hmac<Sha1>>(key, pieces),
        Hash::Sha256 => tag_of::<Hmac<Sha256>>(key, pieces),
    }
}

fn tag_of<M: Mac + KeyInit>(key: &[u8], pieces: &[&[u8]]) -> Vec<u8> {
    // HMAC takes keys of any length, so that this cannot fail.
    let Ok(mut mac) = <M as KeyInit>::new_from_slice(key) else { return Vec::new() };
    pieces.iter().for_each(|piece| mac.update(piece));
    mac.finalize().into_bytes().to_vec()
}

#[cfg(test)]
mod tests;
