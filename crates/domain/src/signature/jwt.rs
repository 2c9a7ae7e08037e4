//! Signed tokens (JWT, RFC 7519, in the compact form of RFC 7515).
//!
//! The algorithm is the connector's: what a token says of it must be the same, so that `none`, and
//! a public key taken for the secret of a digest, are no way in. Nothing that a token claims is
//! looked at before its signature was found right; of what it says before that only the id of the
//! key counts, which chooses among the keys of the sender's own set. Times are judged by the time
//! that is given, which is why no library does it that asks the clock itself.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jiff::{SignedDuration, Timestamp};
use subtle::ConstantTimeEq;

use super::message::{self, Message};
use super::{Error, Given, Request, TimeUnit, Verified, check_time, digest, key, token};
use crate::connector::{ClaimIs, Hash, JwtKey, Piece, SignedToken};
use crate::event::{Proof, ProofDetail};
use crate::json::Json;

/// The longest token, in bytes.
const LONGEST: usize = 16 * 1024;
/// How far `exp` and `nbf` may be off, as clocks are.
const LEEWAY: SignedDuration = SignedDuration::from_secs(60);

fn malformed() -> Error {
    Error::Malformed("the token".into())
}

/// A token in its parts. Each is written in one way alone, so that nobody can write it anew.
struct Parts<'a> {
    /// What is signed.
    signed: &'a str,
    header: Json,
    claims: &'a str,
    signature: Vec<u8>,
}

fn parts(token: &str) -> Option<Parts<'_>> {
    let (signed, signature) = token.rsplit_once('.')?;
    let (header, claims) = signed.split_once('.')?;
    if token.len() > LONGEST || claims.contains('.') || signature.is_empty() {
        return None;
    }
    Some(Parts { signed, header: json(header)?, claims, signature: bytes(signature)? })
}

fn bytes(part: &str) -> Option<Vec<u8>> {
    URL_SAFE_NO_PAD.decode(part).ok()
}

fn json(part: &str) -> Option<Json> {
    Json::parse(&bytes(part)?).ok()
}

pub(super) fn verify(
    rule: &SignedToken,
    request: &Request<'_>,
    given: &Given<'_>,
    now: Timestamp,
) -> Result<Verified, Error> {
    let (at, token) = token::first(&rule.at, request)?;
    let parts = parts(token.trim()).ok_or_else(malformed)?;
    let says = |name: &str| parts.header.get(name).and_then(|value| value.as_text());
    // What has to be understood is not, here.
    if parts.header.get("crit").is_some() {
        return Err(malformed());
    }
    if says("alg").as_deref() != Some(rule.key.alg()) {
        return Err(Error::Mismatch);
    }
    let fitted = check_signature(rule, &parts, says("kid").as_deref(), request, given, now)?;

    let claims = json(parts.claims).ok_or_else(malformed)?;
    check_claims(rule, &claims, given)?;
    check_digests(rule, &claims, request, given)?;
    check_times(rule, &claims, now)?;
    let pieces = rule.sha256.values().flatten();
    Ok(Verified {
        proof: Proof::Verified,
        covers_body: pieces.clone().any(|piece| *piece == Piece::Body),
        detail: ProofDetail {
            scheme: Some(format!("jwt {}", rule.key.alg())),
            header: token::header(at),
            signed: Some(
                std::iter::once("token".into())
                    .chain(pieces.map(Piece::describe))
                    .collect::<Vec<_>>()
                    .join(" + "),
            ),
            secret: Some(fitted),
            account: None,
        },
    })
}

/// Which of the secrets or keys, counted from 1, signed it.
fn check_signature(
    rule: &SignedToken,
    parts: &Parts<'_>,
    kid: Option<&str>,
    request: &Request<'_>,
    given: &Given<'_>,
    now: Timestamp,
) -> Result<u32, Error> {
    match &rule.key {
        JwtKey::Secret(hash, key) => {
            let message = Message::of([parts.signed.as_bytes()]);
            digest::keyed(*hash, key, given, &[message], std::slice::from_ref(&parts.signature))
        }
        JwtKey::Public(algorithm, key) => {
            let keys = key::of_token(key, *algorithm, kid, request, given, now)?;
            let fits = |key: &key::Key| key.verify(parts.signed.as_bytes(), &parts.signature);
            let fitted = (1..).zip(&keys).find(|(_, key)| fits(key));
            fitted.map(|(number, _)| number).ok_or(Error::Mismatch)
        }
    }
}

/// What it must claim, it claims.
fn check_claims(rule: &SignedToken, claims: &Json, given: &Given<'_>) -> Result<(), Error> {
    for (name, is) in &rule.claims {
        let wanted = match is {
            ClaimIs::Text(text) => text.as_str(),
            ClaimIs::Setting(setting) => match given.values(setting).first() {
                Some(value) => value.trim(),
                None => return Err(Error::NoSecret(setting.clone())),
            },
        };
        let claim = claims.get(name).unwrap_or_default();
        let is_it = |value: &Json| value.as_text().is_some_and(|text| text == wanted);
        let fits = match claim.as_array() {
            Some(mut several) => several.any(|value| is_it(&value)),
            None => is_it(&claim),
        };
        if !fits {
            return Err(Error::Unwanted(format!(
                "`{name}` of the token is not that of this inbox"
            )));
        }
    }
    Ok(())
}

/// What it claims of the request is so.
fn check_digests(
    rule: &SignedToken,
    claims: &Json,
    request: &Request<'_>,
    given: &Given<'_>,
) -> Result<(), Error> {
    for (name, pieces) in &rule.sha256 {
        let claim = claims.get(name).and_then(|claim| claim.as_text());
        let claim = claim.ok_or_else(|| Error::Unsigned(format!("`{name}` in the token")))?;
        let claim =
            hex::decode(&claim).map_err(|_| Error::Malformed(format!("`{name}` of the token")))?;
        let message = message::claimed(pieces, request, given)?;
        let digest = digest::digest(Hash::Sha256, b"", &message);
        if !bool::from(digest.as_slice().ct_eq(&claim)) {
            return Err(Error::Mismatch);
        }
    }
    Ok(())
}

/// It is neither too old nor not valid yet.
fn check_times(rule: &SignedToken, claims: &Json, now: Timestamp) -> Result<(), Error> {
    let at = |name: &str| {
        let claim = claims.get(name).filter(|claim| !claim.is_null());
        let unreadable = || Error::Malformed(format!("`{name}` of the token"));
        claim.map(|claim| seconds(&claim).ok_or_else(unreadable)).transpose()
    };
    if let Some(end) = at("exp")? {
        let by = now.duration_since(end);
        if by > LEEWAY {
            return Err(Error::Stale { by });
        }
    }
    if let Some(begin) = at("nbf")? {
        let by = now.duration_since(begin);
        if by < -LEEWAY {
            return Err(Error::Stale { by });
        }
    }
    if let Some(time) = &rule.time {
        let made = at(&time.claim)?;
        let made = made.ok_or_else(|| Error::Unsigned(format!("`{}` in the token", time.claim)))?;
        check_time(made, TimeUnit::S, time.tolerance.get(), now)?;
    }
    Ok(())
}

/// A number of seconds since 1970, of which parts are left off. A text is none.
fn seconds(claim: &Json) -> Option<Timestamp> {
    let written = claim.to_string();
    let whole = written.split('.').next()?;
    let digits = written.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.');
    digits.then(|| Timestamp::from_second(whole.parse().ok()?).ok())?
}
