//! Digests, with a key and with the secret among what goes into them.

use base64::Engine as _;
use hmac::{Hmac, KeyInit, Mac};
use md5::Md5;
use sha1::Sha1;
use sha2::{Digest, Sha256, Sha384, Sha512};
use subtle::ConstantTimeEq;
use unicode_normalization::UnicodeNormalization as _;
use zeroize::Zeroizing;

use super::message::{self, Message};
use super::{BASE64, Error, Given, Request, malformed};
use crate::connector::{Digest as Question, DigestKey, Encoding, Hash, Key, KeyEncoding, Place};

/// Which of the secrets, counted from 1, made one of `signatures` over one of `messages`.
pub(super) fn keyed(
    hash: Hash,
    key: &Key,
    given: &Given<'_>,
    messages: &[Message<'_>],
    signatures: &[Vec<u8>],
) -> Result<u32, Error> {
    fitting(&key.secret, given, signatures, |secret| {
        let key = key_of(key, secret)?;
        Some(messages.iter().map(|message| tag(hash, &key, message)).collect())
    })
}

/// The same where the secret is one of the pieces.
pub(super) fn plain(
    hash: Hash,
    secret: &str,
    given: &Given<'_>,
    messages: &[Message<'_>],
    signatures: &[Vec<u8>],
) -> Result<u32, Error> {
    fitting(secret, given, signatures, |secret| {
        Some(messages.iter().map(|message| digest(hash, secret.as_bytes(), message)).collect())
    })
}

/// The digest of a question, made with the newest secret; none where there is none, or something of
/// the question is missing.
pub(crate) fn answer_to(
    rule: &Question,
    request: &Request<'_>,
    given: &Given<'_>,
) -> Option<String> {
    let message = message::asked(&rule.message, request, given).ok()?;
    let secret = *given.values(rule.key.name()).first()?;
    let digest = match &rule.key {
        DigestKey::Keyed(key) => tag(rule.hash, &key_of(key, secret)?, &message),
        DigestKey::Piece(_) => digest(rule.hash, secret.as_bytes(), &message),
    };
    Some(match rule.encoding {
        Encoding::Hex => hex::encode(digest),
        Encoding::Base64 => BASE64.encode(digest),
    })
}

/// Which of the secrets of this name, counted from 1, makes tags of which one is among
/// `signatures`.
fn fitting(
    name: &str,
    given: &Given<'_>,
    signatures: &[Vec<u8>],
    tags: impl Fn(&str) -> Option<Vec<Vec<u8>>>,
) -> Result<u32, Error> {
    let secrets = given.values(name);
    if secrets.is_empty() {
        return Err(Error::NoSecret(name.into()));
    }
    let mut usable = false;
    for (number, secret) in (1..).zip(secrets) {
        let Some(tags) = tags(secret) else { continue };
        usable = true;
        let fits = |tag: &Vec<u8>| {
            signatures.iter().any(|signature| bool::from(tag.as_slice().ct_eq(signature)))
        };
        if tags.iter().any(fits) {
            return Ok(number);
        }
    }
    Err(if usable { Error::Mismatch } else { Error::BadSecret(name.into()) })
}

/// The key in a secret. An empty one is none: anybody could sign with it.
fn key_of(key: &Key, text: &str) -> Option<Zeroizing<Vec<u8>>> {
    let bytes = match key.encoding {
        // As it was given, with its prefix: there are senders for whom `whsec_` is part of it.
        KeyEncoding::Text => text.strip_prefix(&key.prefix).unwrap_or(text).as_bytes().to_vec(),
        KeyEncoding::Nfkd => {
            let text = text.strip_prefix(&key.prefix).unwrap_or(text);
            text.nfkd().collect::<String>().into_bytes()
        }
        KeyEncoding::Base64 => BASE64.decode(bare(key, text)).ok()?,
        KeyEncoding::Hex => hex::decode(bare(key, text)).ok()?,
    };
    (!bytes.is_empty()).then(|| Zeroizing::new(bytes))
}

/// Without the prefix, and without the white space that copying brings along.
fn bare<'a>(key: &Key, text: &'a str) -> &'a str {
    let text = text.trim();
    text.strip_prefix(&key.prefix).unwrap_or(text)
}

pub(super) fn tag(hash: Hash, key: &[u8], message: &Message<'_>) -> Vec<u8> {
    match hash {
        Hash::Md5 => tag_of::<Hmac<Md5>>(key, message),
        Hash::Sha1 => tag_of::<Hmac<Sha1>>(key, message),
        Hash::Sha256 => tag_of::<Hmac<Sha256>>(key, message),
        Hash::Sha384 => tag_of::<Hmac<Sha384>>(key, message),
        Hash::Sha512 => tag_of::<Hmac<Sha512>>(key, message),
    }
}

fn tag_of<M: Mac + KeyInit>(key: &[u8], message: &Message<'_>) -> Vec<u8> {
    // HMAC takes keys of any length, so that this cannot fail.
    let Ok(mut mac) = <M as KeyInit>::new_from_slice(key) else { return Vec::new() };
    message.pieces(b"").for_each(|piece| mac.update(piece));
    mac.finalize().into_bytes().to_vec()
}

pub(super) fn digest(hash: Hash, secret: &[u8], message: &Message<'_>) -> Vec<u8> {
    match hash {
        Hash::Md5 => digest_of::<Md5>(secret, message),
        Hash::Sha1 => digest_of::<Sha1>(secret, message),
        Hash::Sha256 => digest_of::<Sha256>(secret, message),
        Hash::Sha384 => digest_of::<Sha384>(secret, message),
        Hash::Sha512 => digest_of::<Sha512>(secret, message),
    }
}

fn digest_of<D: Digest>(secret: &[u8], message: &Message<'_>) -> Vec<u8> {
    let mut digest = D::new();
    message.pieces(secret).for_each(|piece| digest.update(piece));
    digest.finalize().to_vec()
}

/// Whether a body that is no form is the one whose digest stands at `place`, and so is signed.
pub(super) fn check_body(place: &Place, request: &Request<'_>) -> Result<(), Error> {
    match request.at(place)? {
        Some(written) => {
            let written = hex::decode(written.as_ref()).map_err(|_| malformed(place))?;
            let fits = Sha256::digest(request.body).as_slice().ct_eq(&written);
            if bool::from(fits) { Ok(()) } else { Err(Error::Mismatch) }
        }
        None if request.is_fields() => Ok(()),
        None => Err(Error::Unsigned(place.what())),
    }
}
