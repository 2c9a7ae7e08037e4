//! A secret that comes along with the request: whoever sees one request can make others.

use std::borrow::Cow;

use base64::Engine as _;
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

use super::{BASE64, Error, Given, Request, Verified};
use crate::connector::{TokenAt, TokenEqual};
use crate::event::{Proof, ProofDetail};

/// Whether a request carries a token at one of the places.
pub(super) fn is_there(at: &[TokenAt], request: &Request<'_>) -> bool {
    at.iter().any(|at| !matches!(carried(at, request), Ok(None)))
}

/// The places, in words.
pub(super) fn places(at: &[TokenAt]) -> String {
    let places: Vec<_> = at.iter().map(what).collect();
    places.join(" and no ")
}

fn what(at: &TokenAt) -> String {
    match at {
        TokenAt::Bearer | TokenAt::Basic => "`authorization` header".into(),
        TokenAt::Segment => "token in the address".into(),
        TokenAt::Place { place, .. } => place.what(),
    }
}

pub(super) fn verify(
    rule: &TokenEqual,
    request: &Request<'_>,
    given: &Given<'_>,
) -> Result<Verified, Error> {
    let (at, token) = first(&rule.at, request)?;
    let secrets = given.values(&rule.secret);
    if secrets.is_empty() {
        return Err(Error::NoSecret(rule.secret.clone()));
    }
    let fits = |secret: &str| match at {
        TokenAt::Basic => {
            let password = token.split_once(':').map_or("", |(_, password)| password);
            same(&token, secret) | same(password, secret)
        }
        TokenAt::Bearer | TokenAt::Segment | TokenAt::Place { .. } => same(&token, secret),
    };
    let fitted = (1..).zip(secrets).find(|(_, secret)| fits(secret) | fits(secret.trim()));
    let (fitted, _) = fitted.ok_or(Error::Mismatch)?;
    Ok(Verified {
        proof: Proof::Verified,
        covers_body: false,
        detail: ProofDetail {
            scheme: Some("token_equal".into()),
            header: header(at),
            signed: None,
            secret: Some(fitted),
            account: None,
        },
    })
}

/// The token at the first of these places that has one.
pub(super) fn first<'t, 'a>(
    places_of: &'t [TokenAt],
    request: &Request<'a>,
) -> Result<(&'t TokenAt, Cow<'a, str>), Error> {
    for at in places_of {
        if let Some(token) = carried(at, request)? {
            return Ok((at, token));
        }
    }
    Err(Error::Unsigned(places(places_of)))
}

/// The header that carries it, if one does.
pub(super) fn header(at: &TokenAt) -> Option<String> {
    match at {
        TokenAt::Bearer | TokenAt::Basic => Some("authorization".into()),
        TokenAt::Segment => None,
        TokenAt::Place { place, .. } => place.header().map(str::to_owned),
    }
}

/// Whether they are the same, and more than nothing. Digests are compared, which are of one length
/// whatever that of the texts is.
pub(crate) fn same(a: &str, b: &str) -> bool {
    !a.is_empty() && bool::from(Sha256::digest(a).as_slice().ct_eq(Sha256::digest(b).as_slice()))
}

fn carried<'a>(at: &TokenAt, request: &Request<'a>) -> Result<Option<Cow<'a, str>>, Error> {
    Ok(match at {
        TokenAt::Bearer => authorization(request, "bearer")?.map(Cow::Borrowed),
        TokenAt::Basic => authorization(request, "basic")?
            .and_then(|text| String::from_utf8(BASE64.decode(text).ok()?).ok())
            .map(Cow::Owned),
        TokenAt::Segment => {
            let path = request.path().trim_end_matches('/');
            let last = path.rsplit('/').next().unwrap_or_default();
            let decoded = percent_encoding::percent_decode_str(last).decode_utf8_lossy();
            (!last.is_empty()).then_some(decoded)
        }
        TokenAt::Place { place, prefix } => match request.at(place)? {
            Some(text) if !prefix.is_empty() => {
                text.strip_prefix(prefix.as_str()).map(|text| Cow::Owned(text.trim().to_owned()))
            }
            found => found,
        },
    })
}

/// What stands in `authorization` after this word.
fn authorization<'a>(request: &Request<'a>, word: &str) -> Result<Option<&'a str>, Error> {
    if !request.has("authorization") {
        return Ok(None);
    }
    let value = request.header("authorization")?;
    let Some((found, rest)) = value.split_once(' ') else { return Ok(None) };
    Ok(found.eq_ignore_ascii_case(word).then(|| rest.trim()))
}
