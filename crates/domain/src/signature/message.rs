//! What is signed: pieces of a request, put one after the other.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};

use super::{Error, Given, Request};
use crate::connector::{Piece, PortForm, Signed, UrlForm};

/// Most forms of one address that are tried.
const MAX_FORMS: usize = 16;

/// One message that may have been signed.
pub(super) struct Message<'a>(Vec<Part<'a>>);

enum Part<'a> {
    Bytes(Cow<'a, [u8]>),
    Secret,
}

impl<'a> Message<'a> {
    /// A message of these pieces.
    pub(super) fn of(pieces: impl IntoIterator<Item = &'a [u8]>) -> Self {
        Self(pieces.into_iter().map(|piece| Part::Bytes(piece.into())).collect())
    }

    /// Its pieces, with `secret` where the secret is one of them.
    pub(super) fn pieces<'s>(&'s self, secret: &'s [u8]) -> impl Iterator<Item = &'s [u8]> {
        self.0.iter().map(move |part| match part {
            Part::Bytes(bytes) => bytes.as_ref(),
            Part::Secret => secret,
        })
    }

    /// All of it.
    pub(super) fn joined(&self) -> Vec<u8> {
        self.pieces(b"").collect::<Vec<_>>().concat()
    }
}

/// The messages that a rule's pieces may stand for: one, or as many as there are forms of the
/// address that it signs.
pub(super) fn messages<'a>(
    rule: &'a Signed,
    carried: &str,
    request: &Request<'a>,
    given: &Given<'a>,
) -> Result<Vec<Message<'a>>, Error> {
    let form = rule.message.iter().find_map(|piece| match piece {
        Piece::Url(form) => Some(form),
        _ => None,
    });
    let Some(form) = form else { return Ok(vec![message(rule, "", carried, request, given)?]) };
    addresses(form, request)
        .iter()
        .map(|address| message(rule, address, carried, request, given))
        .collect()
}

fn message<'a>(
    rule: &'a Signed,
    address: &str,
    carried: &str,
    request: &Request<'a>,
    given: &Given<'a>,
) -> Result<Message<'a>, Error> {
    let parts = rule.message.iter().map(|piece| {
        Ok(Part::Bytes(match piece {
            Piece::Url(_) => owned(address),
            Piece::SortedForm => match &rule.body_sha256 {
                // The address says what is in the body then.
                Some(place) if request.at(place)?.is_some() => Cow::default(),
                // Asked for by what comes after: it is missing.
                Some(_) => owned(sorted(request)),
                None if request.is_fields() || rule.message.contains(&Piece::Body) => {
                    owned(sorted(request))
                }
                // Nothing of it would be signed, and whoever has seen one signature of the rest
                // could send what he likes.
                None => return Err(Error::Malformed("a body that is no form".into())),
            },
            Piece::Secret => return Ok(Part::Secret),
            Piece::Item(name) => owned(rule.carrier.item(carried, name)?),
            piece => plain(piece, request, given)?,
        }))
    });
    parts.collect::<Result<_, _>>().map(Message)
}

fn owned<'a>(text: impl Into<String>) -> Cow<'a, [u8]> {
    Cow::Owned(text.into().into_bytes())
}

/// What a claim of a token is the digest of.
pub(super) fn claimed<'a>(
    pieces: &'a [Piece],
    request: &Request<'a>,
    given: &Given<'a>,
) -> Result<Message<'a>, Error> {
    let parts = pieces.iter().map(|piece| {
        Ok(Part::Bytes(match piece {
            Piece::Url(_) => owned(request.url),
            piece => plain(piece, request, given)?,
        }))
    });
    parts.collect::<Result<_, _>>().map(Message)
}

/// What a question is digested as. The address stands in it without what the question adds to it.
pub(super) fn asked<'a>(
    pieces: &'a [Piece],
    request: &Request<'a>,
    given: &Given<'a>,
) -> Result<Message<'a>, Error> {
    let parts = pieces.iter().map(|piece| {
        Ok(Part::Bytes(match piece {
            Piece::Secret => return Ok(Part::Secret),
            Piece::Url(_) => owned(request.url.split(['?', '#']).next().unwrap_or_default()),
            piece => plain(piece, request, given)?,
        }))
    });
    parts.collect::<Result<_, _>>().map(Message)
}

/// A piece that is the same whatever carries the signature.
fn plain<'a>(
    piece: &'a Piece,
    request: &Request<'a>,
    given: &Given<'a>,
) -> Result<Cow<'a, [u8]>, Error> {
    Ok(match piece {
        Piece::Body => request.body.into(),
        Piece::BodyCrc32 => owned(crc32fast::hash(request.body).to_string()),
        Piece::Method => request.method.as_bytes().into(),
        Piece::Path => request.path().as_bytes().into(),
        Piece::Target => match request.query {
            Some(query) => owned(format!("{}?{query}", request.path())),
            None => request.path().as_bytes().into(),
        },
        Piece::Text(text) => text.as_bytes().into(),
        Piece::At(place) => bytes(request.needed(place)?),
        Piece::Optional { place, before, after } => match request.at(place)? {
            Some(text) => owned(format!("{before}{text}{after}")),
            None => Cow::default(),
        },
        Piece::Setting(name) => match given.values(name).first() {
            Some(value) => owned(value.trim()),
            None => return Err(Error::NoSecret(name.clone())),
        },
        Piece::Url(_) | Piece::SortedForm | Piece::Secret | Piece::Item(_) => Cow::default(),
    })
}

fn bytes(text: Cow<'_, str>) -> Cow<'_, [u8]> {
    match text {
        Cow::Borrowed(text) => text.as_bytes().into(),
        Cow::Owned(text) => owned(text),
    }
}

/// The fields of a form by name, each value once: name and value, with nothing between them.
fn sorted(request: &Request<'_>) -> String {
    let mut fields: BTreeMap<_, BTreeSet<_>> = BTreeMap::new();
    for (name, value) in request.form() {
        fields.entry(name).or_default().insert(value);
    }
    let mut text = String::new();
    for (name, values) in fields {
        for value in values {
            text.push_str(&name);
            text.push_str(&value);
        }
    }
    text
}

/// The forms in which a sender may have signed the address, the likeliest first.
fn addresses(form: &UrlForm, request: &Request<'_>) -> Vec<String> {
    let mut forms = Vec::new();
    if let Some(query) = request.query {
        // The address that was told may have been registered without what the sender adds to it.
        let bare = request.url.split(['?', '#']).next().unwrap_or_default();
        let fragment = request.url.split_once('#').map(|(_, rest)| format!("#{rest}"));
        forms.push(format!("{bare}?{query}{}", fragment.unwrap_or_default()));
    }
    forms.push(request.url.to_owned());
    if form.port == PortForm::Either {
        let ports: Vec<_> = forms.iter().flat_map(|address| ports(address)).collect();
        forms.extend(ports);
    }
    if !form.decoded.is_empty() {
        let decoded: Vec<_> = forms.iter().map(|it| decoded(it, &form.decoded)).collect();
        forms.extend(decoded);
    }
    let mut seen = BTreeSet::new();
    forms.retain(|address| seen.insert(address.clone()));
    forms.truncate(MAX_FORMS);
    forms
}

/// `address` without its port, and with the usual one where it has none; as it is written and as
/// the rules for addresses write it.
fn ports(address: &str) -> Vec<String> {
    let mut forms = Vec::new();
    let normal = url::Url::parse(address).map(String::from).ok();
    for address in [Some(address), normal.as_deref()].into_iter().flatten() {
        let Some((scheme, rest)) = address.split_once("://") else { continue };
        let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
        let (host, rest) = rest.split_at(end);
        let usual = if scheme.eq_ignore_ascii_case("http") { "80" } else { "443" };
        let digits = |port: &str| !port.is_empty() && port.bytes().all(|it| it.is_ascii_digit());
        let bare = match host.rsplit_once(':') {
            Some((bare, port)) if digits(port) => bare,
            _ => host,
        };
        forms.push(address.to_owned());
        forms.push(format!("{scheme}://{bare}{rest}"));
        if bare.len() == host.len() {
            forms.push(format!("{scheme}://{host}:{usual}{rest}"));
        }
    }
    forms
}

/// `address` with these letters decoded where they are percent-encoded.
fn decoded(address: &str, letters: &str) -> String {
    let mut text = String::with_capacity(address.len());
    let mut rest = address;
    while let Some(at) = rest.find('%') {
        text.push_str(&rest[..at]);
        rest = &rest[at..];
        let letter = rest
            .get(1..3)
            .and_then(|digits| u8::from_str_radix(digits, 16).ok())
            .map(char::from)
            .filter(|letter| letters.contains(*letter));
        match letter {
            Some(letter) => {
                text.push(letter);
                rest = &rest[3..];
            }
            None => {
                text.push('%');
                rest = &rest[1..];
            }
        }
    }
    text + rest
}
