//! Signatures: whether a request comes from who it says, by the rule of its connector.
//!
//! The signature covers the bytes as sent, so this comes before anything parses a body; only where
//! a sender puts its signature into the body, or signs the fields of a form, is so much of it read
//! as that takes. The order is: what is needed is there, a secret is there, the signature fits, and
//! only then whether it is too old, so that *stale* is said of what is right in every other way.
//! Comparing takes the same time for a near miss as for a far one; which of several secrets fitted
//! is told, so that a change of secrets can be watched. Nothing here says what was expected.
//!
//! Certificates and sets of keys that stand at an address are not fetched here: they are looked up
//! in what was given, and what is missing there is named in [`Error::Missing`].

mod digest;
mod guard;
mod jwt;
mod key;
mod message;
mod request;
mod standard;
mod token;

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::alphabet::STANDARD;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use jiff::{SignedDuration, Timestamp};

use crate::connector::{
    Algorithm, Asymmetric, Carrier, Encoding, List, PUBLIC_KEY, Piece, Place, PublicKey, Rule,
    SIGNING_SECRET, Scheme, Signed, SignedAt, TimeAt, TimeUnit, Verify, When, own,
};
use crate::event::{Proof, ProofDetail};
use crate::refusal::Reason;
use crate::secret::{Secret, Secrets};

pub(crate) use self::digest::answer_to;
pub use self::request::Request;
pub(crate) use self::token::same;

/// What a request is checked with.
#[derive(Debug, Clone, Copy)]
pub struct Given<'a> {
    /// The secrets of the inbox.
    pub secrets: &'a Secrets,
    /// Its settings.
    pub settings: &'a BTreeMap<String, String>,
    /// What stands at addresses that a rule speaks of: certificates in PEM, sets of keys in JSON.
    pub documents: &'a BTreeMap<String, String>,
    /// What certificates must lead to, in PEM; the roots that browsers trust where it is not given.
    pub trust_anchor: Option<&'a str>,
}

/// A document that a rule needs and that was not given.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Document {
    /// Its address: `https`, and on a host that the connector names.
    pub url: url::Url,
}

/// Why a request is believed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verified {
    /// That its signature was right, or that none is asked for.
    pub proof: Proof,
    /// Whether the body is a part of what was signed.
    pub covers_body: bool,
    /// What was checked.
    pub detail: ProofDetail,
}

/// Why a request is not believed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// Something that signed requests carry is not there.
    #[error("there is no {0}")]
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
    /// The key is in a document that has to be fetched first.
    #[error("what stands at {} has to be known first", .0.url)]
    Missing(Document),
    /// The document is there and has no such key: the sender may have a new one since.
    #[error("there is no key `{kid}` at {}", .document.url)]
    UnknownKey {
        /// Where.
        document: Document,
        /// The key's id.
        kid: String,
    },
    /// The certificate is not one to believe.
    #[error("{0}")]
    Certificate(String),
    /// It was signed with another secret, or changed on the way.
    #[error("the signature is not one of this inbox")]
    Mismatch,
    /// The signature is right, and its time is too far from ours.
    #[error("{}", stale(*.by))]
    Stale {
        /// How long ago it was signed; negative where that is still to come.
        by: SignedDuration,
    },
    /// It is not what this inbox is for.
    #[error("{0}")]
    Unwanted(String),
    /// A program filled in what people do not see: it is not to learn that it was found out.
    #[error("a program filled in the field `{0}`, which people do not see")]
    Trapped(String),
}

impl Error {
    /// The reason under which the refusal is listed.
    pub const fn reason(&self) -> Reason {
        match self {
            Self::Unsigned(_) => Reason::Unsigned,
            Self::Malformed(_) => Reason::Malformed,
            Self::NoSecret(_) | Self::BadSecret(_) => Reason::NoSecret,
            Self::Missing(_) | Self::UnknownKey { .. } => Reason::NoKey,
            Self::Certificate(_) => Reason::BadCertificate,
            Self::Mismatch => Reason::WrongSignature,
            Self::Stale { .. } => Reason::Stale,
            Self::Unwanted(_) | Self::Trapped(_) => Reason::Unwanted,
        }
    }

    /// Whether another scheme may be tried: this one cannot be checked, whatever the request says.
    const fn is_ours(&self) -> bool {
        matches!(self, Self::NoSecret(_) | Self::BadSecret(_))
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

/// Checks `request` by the first of the schemes that it is for. `now` is a parameter so that a
/// test can choose it.
///
/// # Errors
///
/// Why it is not believed; see [`Error::reason`].
pub fn verify(
    verify: &Verify,
    request: &Request<'_>,
    given: &Given<'_>,
    now: Timestamp,
) -> Result<Verified, Error> {
    if let [only] = verify.schemes.as_slice() {
        if let Some(when) = only.when.as_ref().filter(|when| !when.holds(request)) {
            return Err(Error::Unsigned(format!("`{}` header of this sender", when.header)));
        }
        return only.verify(request, given, now);
    }
    let mut ours = None;
    for scheme in &verify.schemes {
        // A secret that was given is asked for: an unsigned scheme is for inboxes without any.
        let unsigned_beside_a_secret = !scheme.rule.signed()
            && verify.secrets().iter().any(|name| !given.values(name).is_empty());
        if unsigned_beside_a_secret || !scheme.is_for(request) {
            continue;
        }
        match scheme.verify(request, given, now) {
            Err(error) if error.is_ours() => ours = ours.or(Some(error)),
            verdict => return verdict,
        }
    }
    let wanted = || verify.schemes.iter().filter_map(|scheme| scheme.rule.carrier());
    Err(ours.unwrap_or_else(|| Error::Unsigned(wanted().collect::<Vec<_>>().join(" and no "))))
}

/// The key that stands in a rule for everybody, where it cannot be read.
pub(crate) fn unreadable_default(rule: &Rule) -> Option<&str> {
    let Rule::PublicKey(algorithm, rule) = rule else { return None };
    match &rule.key {
        PublicKey::Given { default: Some(default), prefix, .. } => {
            key::read(*algorithm, default, prefix).is_empty().then_some(default)
        }
        _ => None,
    }
}

impl Scheme {
    /// Whether it is the scheme by which `request` is to be checked.
    fn is_for(&self, request: &Request<'_>) -> bool {
        if let Some(when) = &self.when {
            return when.holds(request);
        }
        let there = |place: &Place| !matches!(request.at(place), Ok(None));
        match &self.rule {
            Rule::None | Rule::Refetch(_) | Rule::FormGuard(_) | Rule::Own => true,
            Rule::StandardWebhooks => standard::is_there(request),
            Rule::TokenEqual(rule) => token::is_there(&rule.at, request),
            Rule::Jwt(rule) => token::is_there(&rule.at, request),
            Rule::Hmac(rule) => rule.signed.carrier.places().any(there),
            Rule::HashConcat(rule) => rule.signed.carrier.places().any(there),
            Rule::PublicKey(_, rule) => rule.signed.carrier.places().any(there),
        }
    }

    fn verify(
        &self,
        request: &Request<'_>,
        given: &Given<'_>,
        now: Timestamp,
    ) -> Result<Verified, Error> {
        let mut verified = match &self.rule {
            Rule::None => unsigned("none"),
            Rule::StandardWebhooks => standard::verify(request, given, now)?,
            Rule::Hmac(rule) => {
                let check = |messages: &[message::Message<'_>], signatures: &[Vec<u8>]| {
                    digest::keyed(rule.hash, &rule.key, given, messages, signatures)
                };
                let scheme = format!("hmac {}", rule.hash.name());
                rule.signed.verify(&scheme, request, given, now, check)?
            }
            Rule::HashConcat(rule) => {
                let check = |messages: &[message::Message<'_>], signatures: &[Vec<u8>]| {
                    digest::plain(rule.hash, &rule.secret, given, messages, signatures)
                };
                let scheme = format!("hash_concat {}", rule.hash.name());
                rule.signed.verify(&scheme, request, given, now, check)?
            }
            Rule::PublicKey(algorithm, rule) => rule.verify(*algorithm, request, given, now)?,
            Rule::Jwt(rule) => jwt::verify(rule, request, given, now)?,
            Rule::TokenEqual(rule) => token::verify(rule, request, given)?,
            Rule::Refetch(rule) => guard::expected(rule, request, given, now)?,
            Rule::FormGuard(rule) => guard::form(rule, request, given, now)?,
            Rule::Own => {
                let unusable = |mistake: own::Mistake| Error::Unwanted(mistake.to_string());
                let rule = own::rule(given.settings).map_err(unusable)?;
                let scheme = Self { name: rule.name().into(), when: None, rule };
                return scheme.verify(request, given, now);
            }
        };
        if self.name != self.rule.name() {
            verified.detail.scheme = Some(self.name.clone());
        }
        Ok(verified)
    }
}

impl Rule {
    /// What carries its signature, in words; none where nothing does.
    fn carrier(&self) -> Option<String> {
        match self {
            Self::None | Self::Refetch(_) | Self::FormGuard(_) | Self::Own => None,
            Self::StandardWebhooks => Some("`webhook-signature` header".into()),
            Self::Hmac(rule) => Some(rule.signed.carrier.what()),
            Self::HashConcat(rule) => Some(rule.signed.carrier.what()),
            Self::PublicKey(_, rule) => Some(rule.signed.carrier.what()),
            Self::TokenEqual(rule) => Some(token::places(&rule.at)),
            Self::Jwt(rule) => Some(token::places(&rule.at)),
        }
    }
}

impl When {
    fn holds(&self, request: &Request<'_>) -> bool {
        match request.header(&self.header) {
            Ok(value) => self.is.is_empty() || self.is.iter().any(|is| is.as_str() == value),
            Err(_) => false,
        }
    }
}

/// What is believed without a signature.
fn unsigned(scheme: &str) -> Verified {
    let detail = ProofDetail { scheme: Some(scheme.into()), ..ProofDetail::default() };
    Verified { proof: Proof::Unsigned, covers_body: false, detail }
}

impl Given<'_> {
    /// The values of a secret, the newest first; of a setting where there is no such secret.
    pub(crate) fn values(&self, name: &str) -> Vec<&str> {
        let secrets = self.secrets.all(name).iter().map(Secret::expose);
        let mut values: Vec<_> = secrets.filter(|text| !text.trim().is_empty()).collect();
        if values.is_empty() {
            let setting = self.settings.get(name).map(String::as_str);
            values.extend(setting.filter(|text| !text.trim().is_empty()));
        }
        values
    }
}

impl Asymmetric {
    fn verify(
        &self,
        algorithm: Algorithm,
        request: &Request<'_>,
        given: &Given<'_>,
        now: Timestamp,
    ) -> Result<Verified, Error> {
        let check = |messages: &[message::Message<'_>], signatures: &[Vec<u8>]| {
            let keys = key::keys(&self.key, algorithm, request, given, now)?;
            for (number, key) in (1..).zip(&keys) {
                let fits = messages.iter().map(message::Message::joined).any(|message| {
                    signatures.iter().any(|signature| key.verify(&message, signature))
                });
                if fits {
                    return Ok(number);
                }
            }
            Err(Error::Mismatch)
        };
        self.signed.verify(algorithm.name(), request, given, now, check)
    }
}

impl Signed {
    /// All that signatures have in common: what is needed is there, `check` finds one that fits and
    /// says which secret made it, and the time is near enough.
    fn verify(
        &self,
        scheme: &str,
        request: &Request<'_>,
        given: &Given<'_>,
        now: Timestamp,
        check: impl FnOnce(&[message::Message<'_>], &[Vec<u8>]) -> Result<u32, Error>,
    ) -> Result<Verified, Error> {
        let mut carried = Vec::new();
        for place in self.carrier.places() {
            carried.extend(request.at(place)?.map(|text| (place, text)));
        }
        let unsigned = || Error::Unsigned(self.carrier.what());
        let (carrier, first) = carried.first().ok_or_else(unsigned)?;
        let signatures: Vec<_> =
            carried.iter().flat_map(|(_, text)| self.carrier.signatures(text)).collect();
        if signatures.is_empty() {
            return Err(malformed(carrier));
        }
        let signed_at = match &self.time {
            Some(time) => self.time_outside(time, first, request)?,
            None => None,
        };
        let messages = message::messages(self, first, request, given)?;
        let fitted = check(&messages, &signatures)?;
        if let Some(place) = &self.body_sha256 {
            digest::check_body(place, request)?;
        }
        if let Some(time) = &self.time {
            let signed_at = match signed_at {
                Some(signed_at) => Some(signed_at),
                None => time_inside(time, request)?,
            };
            if let Some(signed_at) = signed_at {
                check_time(signed_at, time.unit, time.tolerance.get(), now)?;
            }
        }
        Ok(Verified {
            proof: Proof::Verified,
            covers_body: self.body_sha256.is_some()
                || self.message.iter().any(|piece| {
                    matches!(piece, Piece::Body | Piece::BodyCrc32 | Piece::SortedForm)
                }),
            detail: ProofDetail {
                scheme: Some(scheme.into()),
                header: carrier.header().map(str::to_owned),
                signed: Some(self.message.iter().map(Piece::describe).collect()),
                secret: Some(fitted),
                account: None,
            },
        })
    }

    /// The time, where it stands outside of the body.
    fn time_outside(
        &self,
        time: &SignedAt,
        carried: &str,
        request: &Request<'_>,
    ) -> Result<Option<Timestamp>, Error> {
        match &time.at {
            TimeAt::Place(Place::Body(_)) => Ok(None),
            TimeAt::Place(place) => {
                if time.optional && request.at(place)?.is_none() {
                    return Ok(None);
                }
                let text = request.needed(place)?;
                read_time(&text, time.unit).map(Some).ok_or_else(|| malformed(place))
            }
            TimeAt::Item(name) => {
                let text = self.carrier.item(carried, name)?;
                read_time(text, time.unit).map(Some).ok_or_else(|| malformed(&self.carrier.at))
            }
        }
    }
}

impl Carrier {
    /// The signatures in `text`, as bytes; those that cannot be read are left out.
    fn signatures(&self, text: &str) -> Vec<Vec<u8>> {
        let values = match &self.list {
            Some(list) => list.values(text),
            None => vec![text.trim()],
        };
        decoded(&values, &self.prefix, self.encoding)
    }

    /// The value of an item of its list.
    fn item<'t>(&self, text: &'t str, name: &str) -> Result<&'t str, Error> {
        let list = self.list.as_ref();
        list.and_then(|list| list.item(text, name)).ok_or_else(|| malformed(&self.at))
    }
}

fn malformed(place: &Place) -> Error {
    Error::Malformed(format!("the {}", place.what()))
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

/// The time, where it stands in the body: called only once the body is known to be the sender's.
/// None where it may be missing, and is.
fn time_inside(time: &SignedAt, request: &Request<'_>) -> Result<Option<Timestamp>, Error> {
    let Some(place) = time.at.place().filter(|place| matches!(place, Place::Body(_))) else {
        return if time.optional { Ok(None) } else { Err(Error::Malformed("the time".into())) };
    };
    let text = request.at(place)?;
    if text.is_none() && time.optional {
        return Ok(None);
    }
    let unreadable = || Error::Malformed(format!("the time at `{}`", place.name()));
    text.and_then(|text| read_time(&text, time.unit)).map(Some).ok_or_else(unreadable)
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
        TimeUnit::Date => text.parse().ok().or_else(|| {
            jiff::fmt::rfc2822::DateTimeParser::new().parse_timestamp(text.trim()).ok()
        }),
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
        TimeUnit::Ms | TimeUnit::Iso | TimeUnit::Date => now,
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

#[cfg(test)]
mod pieces;
#[cfg(test)]
mod schemes;
#[cfg(test)]
mod senders;
#[cfg(test)]
mod tests;
#[cfg(test)]
mod tokens;
