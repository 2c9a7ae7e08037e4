//! Standard Webhooks, with the headers of that specification or of Svix.

use jiff::{SignedDuration, Timestamp};

use super::message::Message;
use super::{
    Error, Given, List, Request, SIGNING_SECRET, TimeUnit, Verified, check_time, decoded, digest,
    key, malformed, read_time,
};
use crate::connector::{Algorithm, Encoding, Hash, Key, KeyEncoding, PUBLIC_KEY, Place};
use crate::event::{Proof, ProofDetail};

/// How far the time of a message may be from ours, on both sides.
const TOLERANCE: SignedDuration = SignedDuration::from_secs(300);

/// What the header names begin with, and those of the senders that were there before the
/// specification.
const PREFIXES: [&str; 2] = ["webhook", "svix"];

fn name(prefix: &str, part: &str) -> String {
    format!("{prefix}-{part}")
}

/// Whether a request is signed in this way.
pub(super) fn is_there(request: &Request<'_>) -> bool {
    PREFIXES.iter().any(|prefix| request.has(&name(prefix, "signature")))
}

pub(super) fn verify(
    request: &Request<'_>,
    given: &Given<'_>,
    now: Timestamp,
) -> Result<Verified, Error> {
    let prefix = PREFIXES
        .into_iter()
        .find(|prefix| request.has(&name(prefix, "signature")))
        .unwrap_or(PREFIXES[0]);
    let header = name(prefix, "signature");
    let signature = request.header(&header)?;
    let id = request.header(&name(prefix, "id"))?;
    let time_header = name(prefix, "timestamp");
    let time = request.header(&time_header)?;
    let signed_at = read_time(time, TimeUnit::S)
        .ok_or_else(|| malformed(&Place::Header(time_header.clone())))?;
    let message = Message::of([id.as_bytes(), b".", time.as_bytes(), b".", request.body]);

    let signatures = |version: &str| {
        let list = List { separator: " ".into(), between: ",".into(), take: version.into() };
        decoded(&list.values(signature), "", Encoding::Base64)
    };
    let keys = given.values(PUBLIC_KEY);
    let (keyed, asymmetric) = (signatures("v1"), signatures("v1a"));
    let unreadable = || malformed(&Place::Header(header.clone()));
    let verdict = if !asymmetric.is_empty() && !keys.is_empty() {
        by_public_key(&keys, &message, &asymmetric)
    } else {
        Err(unreadable())
    };
    let fitted = match verdict {
        Ok(fitted) => fitted,
        Err(Error::Mismatch) if keyed.is_empty() => return Err(Error::Mismatch),
        Err(_) if keyed.is_empty() => return Err(unreadable()),
        Err(_) => {
            let key = Key {
                secret: SIGNING_SECRET.into(),
                encoding: KeyEncoding::Base64,
                prefix: "whsec_".into(),
            };
            digest::keyed(Hash::Sha256, &key, given, &[message], &keyed)?
        }
    };
    check_time(signed_at, TimeUnit::S, TOLERANCE, now)?;
    Ok(Verified {
        proof: Proof::Verified,
        covers_body: true,
        detail: ProofDetail {
            scheme: Some("standard_webhooks".into()),
            header: Some(header),
            signed: Some(format!("{prefix}-id.{prefix}-timestamp.body")),
            secret: Some(fitted),
            account: None,
        },
    })
}

/// `v1a`: an Ed25519 signature, the key written as `whpk_` and base64.
fn by_public_key(
    keys: &[&str],
    message: &Message<'_>,
    signatures: &[Vec<u8>],
) -> Result<u32, Error> {
    let message = message.joined();
    let mut usable = false;
    for (number, text) in (1..).zip(keys) {
        for key in key::read(Algorithm::Ed25519, text, "whpk_") {
            usable = true;
            if signatures.iter().any(|signature| key.verify(&message, signature)) {
                return Ok(number);
            }
        }
    }
    Err(if usable { Error::Mismatch } else { Error::BadSecret(PUBLIC_KEY.into()) })
}
