//! Public keys: as people copy them, as certificates carry them, and out of sets of keys.
//!
//! A certificate is believed when it leads to a trust anchor, is valid at the time of judging, and
//! has the name that the connector says. Where its address comes from the request, its host is
//! looked at before anybody fetches it: a sender chooses that address.

use std::borrow::Cow;

use aws_lc_rs::encoding::AsDer as _;
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_ASN1, ECDSA_P256_SHA256_FIXED, ED25519, ParsedPublicKey,
    RSA_PKCS1_2048_8192_SHA1_FOR_LEGACY_USE_ONLY, RSA_PKCS1_2048_8192_SHA256,
    RSA_PSS_2048_8192_SHA256, RsaParameters, RsaPublicKeyComponents, VerificationAlgorithm,
};
use base64::Engine as _;
use base64::alphabet::URL_SAFE;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use ed25519_dalek::VerifyingKey;
use jiff::Timestamp;
use rustls_pki_types::{CertificateDer, TrustAnchor, UnixTime};
use serde::Deserialize;
use url::Url;
use webpki::{EndEntityCert, KeyUsage};
use x509_parser::prelude::{FromDer as _, X509Certificate};

use super::{BASE64, Document, Error, Given, PUBLIC_KEY, Place, PublicKey, Request, malformed};
use crate::connector::{Algorithm, HostPattern};

/// The alphabet of web addresses, with or without padding.
const BASE64URL: GeneralPurpose = GeneralPurpose::new(
    &URL_SAFE,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// Most certificates of one file that are looked at.
const MAX_CERTIFICATES: usize = 10;

/// A key that can check.
pub(super) enum Key {
    Ed25519(VerifyingKey),
    /// One that was read from its bytes.
    Parsed(Box<ParsedPublicKey>),
    /// One of RSA as its numbers, with how its signatures are made.
    Rsa(RsaPublicKeyComponents<Vec<u8>>, &'static RsaParameters),
}

/// How RSA signatures of this kind are made; those with SHA-1 are asked for by name alone.
const fn rsa(algorithm: Algorithm) -> Option<&'static RsaParameters> {
    match algorithm {
        Algorithm::RsaPkcs1Sha1 => Some(&RSA_PKCS1_2048_8192_SHA1_FOR_LEGACY_USE_ONLY),
        Algorithm::RsaPkcs1Sha256 => Some(&RSA_PKCS1_2048_8192_SHA256),
        Algorithm::RsaPssSha256 => Some(&RSA_PSS_2048_8192_SHA256),
        Algorithm::Ed25519 | Algorithm::EcdsaP256Sha256 | Algorithm::EcdsaP256Sha256Raw => None,
    }
}

impl Key {
    /// From a raw key, or one in DER; none where it is of another kind.
    fn of(algorithm: Algorithm, bytes: &[u8]) -> Option<Self> {
        let how: &'static dyn VerificationAlgorithm = match algorithm {
            Algorithm::Ed25519 => &ED25519,
            Algorithm::EcdsaP256Sha256 => &ECDSA_P256_SHA256_ASN1,
            Algorithm::EcdsaP256Sha256Raw => &ECDSA_P256_SHA256_FIXED,
            algorithm => rsa(algorithm)?,
        };
        let key = ParsedPublicKey::new(how, bytes).ok()?;
        if algorithm != Algorithm::Ed25519 {
            return Some(Self::Parsed(Box::new(key)));
        }
        // Its own bytes stand at the end, in whichever form it was given.
        let der = key.as_der().ok()?;
        let key = VerifyingKey::from_bytes(der.as_ref().last_chunk()?).ok()?;
        // With such a key there are signatures that fit every message.
        (!key.is_weak()).then_some(Self::Ed25519(key))
    }

    /// Whether `signature` was made over `message` with the private key that belongs to it.
    pub(super) fn verify(&self, message: &[u8], signature: &[u8]) -> bool {
        match self {
            Self::Ed25519(key) => ed25519_dalek::Signature::from_slice(signature)
                .is_ok_and(|signature| key.verify_strict(message, &signature).is_ok()),
            Self::Parsed(key) => key.verify_sig(message, signature).is_ok(),
            Self::Rsa(key, rsa) => key.verify(rsa, message, signature).is_ok(),
        }
    }
}

/// The keys with which a signature may be checked.
pub(super) fn keys(
    rule: &PublicKey,
    algorithm: Algorithm,
    request: &Request<'_>,
    given: &Given<'_>,
    now: Timestamp,
) -> Result<Vec<Key>, Error> {
    match rule {
        PublicKey::Given { secret, default, prefix } => {
            given_keys(secret, default.as_deref(), prefix, algorithm, given)
        }
        PublicKey::Certificate { url, hosts, name } => {
            certified(url, hosts, name.as_ref(), algorithm, request, given, now)
        }
        PublicKey::Jwks { url, kid } => {
            let kid = || kid.as_ref().map(|place| request.needed(place)).transpose();
            from_set(url, kid, algorithm, given)
        }
    }
}

/// The keys with which a token may be checked that says this id of its key.
pub(super) fn of_token(
    rule: &PublicKey,
    algorithm: Algorithm,
    kid: Option<&str>,
    request: &Request<'_>,
    given: &Given<'_>,
    now: Timestamp,
) -> Result<Vec<Key>, Error> {
    match rule {
        PublicKey::Jwks { url, .. } => {
            from_set(url, || Ok(kid.map(Cow::Borrowed)), algorithm, given)
        }
        rule => keys(rule, algorithm, request, given, now),
    }
}

/// The keys that the user has; the default where none of them is of this kind.
fn given_keys(
    name: &str,
    default: Option<&str>,
    prefix: &str,
    algorithm: Algorithm,
    given: &Given<'_>,
) -> Result<Vec<Key>, Error> {
    let texts = given.values(name);
    let mut keys: Vec<_> = texts.iter().flat_map(|text| read(algorithm, text, prefix)).collect();
    if keys.is_empty() {
        keys.extend(default.iter().flat_map(|text| read(algorithm, text, prefix)));
    }
    match (keys.is_empty(), texts.is_empty()) {
        (false, _) => Ok(keys),
        (true, true) => Err(Error::NoSecret(name.into())),
        (true, false) => Err(Error::BadSecret(name.into())),
    }
}

// -- texts

/// The keys of this kind in a text: PEM, a JWK or a set of them, or a key in hex or base64 with or
/// without `prefix`.
pub(super) fn read(algorithm: Algorithm, text: &str, prefix: &str) -> Vec<Key> {
    let text = text.trim();
    if text.contains("-----BEGIN ") {
        return pem_blocks(text)
            .iter()
            .filter_map(|(label, der)| in_pem(algorithm, label, der))
            .collect();
    }
    if text.starts_with('{') {
        return set(text).iter().filter_map(|jwk| jwk.key(algorithm)).collect();
    }
    let text: String = text.strip_prefix(prefix).unwrap_or(text).split_whitespace().collect();
    // 64 digits are base64 as well, of something that is no key.
    let forms = [hex::decode(&text).ok(), BASE64.decode(&text).ok(), BASE64URL.decode(&text).ok()];
    forms.iter().flatten().find_map(|bytes| Key::of(algorithm, bytes)).into_iter().collect()
}

fn in_pem(algorithm: Algorithm, label: &str, der: &[u8]) -> Option<Key> {
    match label {
        "PUBLIC KEY" | "RSA PUBLIC KEY" => Key::of(algorithm, der),
        "CERTIFICATE" => {
            let certificate = CertificateDer::from(der);
            let certificate = EndEntityCert::try_from(&certificate).ok()?;
            Key::of(algorithm, &certificate.subject_public_key_info())
        }
        _ => None,
    }
}

/// Labels and contents of the blocks of a PEM text. Line breaks may be written `\n`, as people
/// copy them out of JSON.
fn pem_blocks(text: &str) -> Vec<(String, Vec<u8>)> {
    let text = text.replace("\\n", "\n");
    let mut blocks = Vec::new();
    let mut rest = text.as_str();
    while let Some((_, after)) = rest.split_once("-----BEGIN ") {
        let Some((label, after)) = after.split_once("-----") else { break };
        let Some((body, after)) = after.split_once(&format!("-----END {label}-----")) else {
            break;
        };
        let body: String = body.split_whitespace().collect();
        if let Ok(der) = BASE64.decode(&body) {
            blocks.push((label.to_owned(), der));
        }
        rest = after;
    }
    blocks
}

// -- sets of keys

#[derive(Deserialize)]
struct Jwk {
    kty: String,
    kid: Option<String>,
    crv: Option<String>,
    n: Option<String>,
    e: Option<String>,
    x: Option<String>,
    y: Option<String>,
}

#[derive(Deserialize)]
struct JwkSet {
    keys: Vec<serde_json::Value>,
}

/// The keys of a set, or the one key; those of kinds that nobody here knows are left out.
fn set(text: &str) -> Vec<Jwk> {
    let one = |value| serde_json::from_value::<Jwk>(value).ok();
    match serde_json::from_str::<JwkSet>(text) {
        Ok(set) => set.keys.into_iter().filter_map(one).collect(),
        Err(_) => serde_json::from_str(text).ok().into_iter().collect(),
    }
}

const fn is_p256(algorithm: Algorithm) -> bool {
    matches!(algorithm, Algorithm::EcdsaP256Sha256 | Algorithm::EcdsaP256Sha256Raw)
}

impl Jwk {
    fn key(&self, algorithm: Algorithm) -> Option<Key> {
        let part = |text: &Option<String>| BASE64URL.decode(text.as_deref()?).ok();
        match (self.kty.as_str(), self.crv.as_deref()) {
            ("RSA", _) => {
                let numbers = RsaPublicKeyComponents { n: part(&self.n)?, e: part(&self.e)? };
                Some(Key::Rsa(numbers, rsa(algorithm)?))
            }
            ("OKP", Some("Ed25519")) if algorithm == Algorithm::Ed25519 => {
                Key::of(algorithm, &part(&self.x)?)
            }
            ("EC", Some("P-256")) if is_p256(algorithm) => {
                Key::of(algorithm, &[&[4][..], &part(&self.x)?, &part(&self.y)?].concat())
            }
            _ => None,
        }
    }
}

/// The keys of this kind in the set at `url`, of which `kid` says which.
fn from_set<'a>(
    url: &str,
    kid: impl FnOnce() -> Result<Option<Cow<'a, str>>, Error>,
    algorithm: Algorithm,
    given: &Given<'_>,
) -> Result<Vec<Key>, Error> {
    // A key that somebody pinned goes before what stands at the address.
    let pinned = given.values(PUBLIC_KEY);
    if !pinned.is_empty() {
        return given_keys(PUBLIC_KEY, None, "", algorithm, given);
    }
    let parsed =
        Url::parse(url).map_err(|_| Error::Certificate(format!("`{url}` is no address")))?;
    let document = Document { url: parsed };
    let kid = kid()?;
    let Some(text) = given.document(url, &document.url) else {
        return Err(Error::Missing(document));
    };
    let keys: Vec<_> = set(text)
        .iter()
        .filter(|jwk| kid.as_ref().is_none_or(|kid| jwk.kid.as_deref() == Some(kid)))
        .filter_map(|jwk| jwk.key(algorithm))
        .collect();
    if keys.is_empty() {
        let kid = crate::text::clean(&kid.unwrap_or_default(), 80);
        return Err(Error::UnknownKey { document, kid });
    }
    Ok(keys)
}

// -- certificates

#[allow(clippy::too_many_arguments, reason = "all of them are the rule or what it is asked about")]
fn certified(
    place: &Place,
    hosts: &[HostPattern],
    name: Option<&HostPattern>,
    algorithm: Algorithm,
    request: &Request<'_>,
    given: &Given<'_>,
    now: Timestamp,
) -> Result<Vec<Key>, Error> {
    let text = request.needed(place)?;
    let url = Url::parse(&text).map_err(|_| malformed(place))?;
    let host = url.host_str().unwrap_or_default();
    if !hosts.iter().any(|allowed| allowed.matches(host)) {
        let host = crate::text::clean(host, 100);
        return Err(Error::Certificate(format!(
            "the certificate's address is on {host}, which is not a host of this sender"
        )));
    }
    let usual = url.port().is_none() && url.username().is_empty() && url.password().is_none();
    if url.scheme() != "https" || !usual {
        return Err(Error::Certificate(
            "the certificate's address is not a plain `https://` address".into(),
        ));
    }
    let document = Document { url };
    let Some(pem) = given.document(&text, &document.url) else {
        return Err(Error::Missing(document));
    };
    let key = believed(pem, given.trust_anchor, name, now).map_err(Error::Certificate)?;
    let key = Key::of(algorithm, &key)
        .ok_or_else(|| Error::Certificate("the certificate's key is of another kind".into()))?;
    Ok(vec![key])
}

/// The key of the first certificate in `pem`, if it is one to believe now.
fn believed(
    pem: &str,
    anchor: Option<&str>,
    name: Option<&HostPattern>,
    now: Timestamp,
) -> Result<Vec<u8>, String> {
    let chain = certificates(pem);
    let Some((first, others)) = chain.split_first() else {
        return Err("there is no certificate at that address".into());
    };
    let (_, parsed) = X509Certificate::from_der(first)
        .map_err(|_| "the certificate cannot be read".to_owned())?;
    let at = now.as_second();
    if at < parsed.validity().not_before.timestamp() {
        return Err("the certificate is not valid yet".into());
    }
    if at > parsed.validity().not_after.timestamp() {
        return Err("the certificate is no longer valid".into());
    }
    let anchors = anchor.map(certificates);
    let is_anchor = anchors.as_ref().is_some_and(|anchors| anchors.contains(first));
    // One that somebody trusts by itself has nobody above it who could vouch for it.
    if !is_anchor {
        leads_to(first, others, anchors.as_deref(), now)?;
    }
    if let Some(name) = name
        && !names(&parsed).iter().any(|found| name.matches(found))
    {
        return Err(format!("the certificate is not one of {}", name.text()));
    }
    Ok(parsed.public_key().raw.to_vec())
}

fn leads_to(
    first: &CertificateDer<'_>,
    others: &[CertificateDer<'_>],
    anchors: Option<&[CertificateDer<'_>]>,
    now: Timestamp,
) -> Result<(), String> {
    let end = EndEntityCert::try_from(first)
        .map_err(|error| format!("the certificate cannot be read: {error}"))?;
    let given: Vec<TrustAnchor<'_>> = anchors
        .unwrap_or_default()
        .iter()
        .filter_map(|anchor| webpki::anchor_from_trusted_cert(anchor).ok())
        .collect();
    let anchors = if anchors.is_some() { &given } else { webpki_roots::TLS_SERVER_ROOTS };
    let seconds = u64::try_from(now.as_second()).unwrap_or_default();
    let time = UnixTime::since_unix_epoch(std::time::Duration::from_secs(seconds));
    let verify = |usage: KeyUsage| {
        end.verify_for_usage(
            webpki::ALL_VERIFICATION_ALGS,
            anchors,
            others,
            time,
            usage,
            None,
            None,
        )
        .map(|_| ())
    };
    verify(KeyUsage::server_auth())
        .or_else(|_| verify(KeyUsage::client_auth()))
        .map_err(|error| format!("the certificate leads to nobody who is trusted: {error}"))
}

fn certificates(pem: &str) -> Vec<CertificateDer<'static>> {
    pem_blocks(pem)
        .into_iter()
        .filter(|(label, _)| label == "CERTIFICATE")
        .map(|(_, der)| CertificateDer::from(der))
        .take(MAX_CERTIFICATES)
        .collect()
}

/// The names of a certificate: those of its subject, and those beside it.
fn names(certificate: &X509Certificate<'_>) -> Vec<String> {
    use x509_parser::extensions::GeneralName;
    let common = certificate
        .subject()
        .iter_common_name()
        .filter_map(|name| name.as_str().ok())
        .map(str::to_owned);
    let mut names: Vec<_> = common.collect();
    if let Ok(Some(alternative)) = certificate.subject_alternative_name() {
        names.extend(alternative.value.general_names.iter().filter_map(|name| match name {
            GeneralName::DNSName(name) => Some((*name).to_owned()),
            _ => None,
        }));
    }
    names
}

impl Given<'_> {
    /// The document at an address, as it was written or as the rules for addresses write it.
    fn document(&self, written: &str, url: &Url) -> Option<&str> {
        let found = self.documents.get(written).or_else(|| self.documents.get(url.as_str()));
        found.map(String::as_str)
    }
}
