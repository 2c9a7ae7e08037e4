//! How a request is proved: the rules. [`crate::signature`] applies them.
//!
//! A connector names one scheme, or several where its sender has several: of those the first whose
//! signature is in the request decides, so that a request cannot choose a weaker one by adding to
//! what a stronger one already says.

use std::borrow::Cow;

use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::Deserialize;

use super::jwt::{JwtKey, SignedToken};
use super::one_of::{OneOrMany, one_of};
use super::signed::{
    Carrier, Encoding, Key, KeyEncoding, List, Path, Piece, Place, PublicKey, SignedAt,
};
use super::span::Span;
use crate::expression::Expression;

/// The usual name of a signing secret.
pub const SIGNING_SECRET: &str = "signing_secret";

/// The usual name of a key that signatures are checked with.
pub const PUBLIC_KEY: &str = "public_key";

/// A secret of Standard Webhooks: base64 of 24 to 64 bytes after `whsec_`, which its libraries do
/// not insist on.
const STANDARD_SECRET: &str =
    "(?:whsec_)?(?:[A-Za-z0-9+/]{4}){8,21}(?:[A-Za-z0-9+/]{2}(?:==)?|[A-Za-z0-9+/]{3}=?)?";

/// How a request is proved: one scheme, or several of which the first that is there decides.
#[derive(Debug, Clone, PartialEq)]
pub struct Verify {
    /// Never empty; the best first.
    pub schemes: Vec<Scheme>,
}

impl Verify {
    /// What the secret is called that a sender brings along: a key that checks signatures has
    /// another name than what makes them.
    pub fn secret_name(&self) -> &'static str {
        let names = self.schemes.iter().filter_map(|scheme| match &scheme.rule {
            Rule::PublicKey(_, rule) => {
                matches!(rule.key, PublicKey::Given { .. }).then_some(PUBLIC_KEY)
            }
            Rule::Jwt(rule) if rule.key.is_public() => rule.key.secret().map(|_| PUBLIC_KEY),
            rule => (!rule.secrets().is_empty()).then_some(SIGNING_SECRET),
        });
        names.into_iter().next().unwrap_or(SIGNING_SECRET)
    }

    /// The names of its schemes.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.schemes.iter().map(|scheme| scheme.name.as_str())
    }

    /// The scheme of this name.
    pub fn scheme(&self, name: &str) -> Option<&Scheme> {
        self.schemes.iter().find(|scheme| scheme.name == name)
    }

    /// The rule that judges by the scheme of this name alone, whatever requests it is for.
    pub fn only(&self, name: &str) -> Option<Self> {
        let scheme = self.scheme(name)?;
        Some(Self { schemes: vec![Scheme { when: None, ..scheme.clone() }] })
    }

    /// The secrets that its schemes need.
    pub fn secrets(&self) -> Vec<&str> {
        let mut names = Vec::new();
        for name in self.schemes.iter().flat_map(|scheme| scheme.rule.secrets()) {
            if !names.contains(&name) {
                names.push(name);
            }
        }
        names
    }

    /// What a secret of this name must look like, as a pattern for a whole value, where its schemes
    /// agree on one.
    pub(super) fn secret_pattern(&self, name: &str) -> Option<String> {
        let using = self.schemes.iter().filter(|scheme| scheme.rule.secrets().contains(&name));
        let mut patterns = using.map(|scheme| scheme.rule.secret_pattern(name));
        let first = patterns.next()??;
        patterns.all(|pattern| pattern.as_ref() == Some(&first)).then_some(first)
    }

    /// Whether it is the rule of the inbox's own settings.
    pub fn is_own(&self) -> bool {
        self.schemes.iter().any(|scheme| scheme.rule == Rule::Own)
    }

    /// Whether every request is proved by something that its sender alone knows, whatever the
    /// settings of an inbox are.
    pub fn signed(&self) -> bool {
        self.schemes.iter().all(|scheme| scheme.rule.signed())
    }

    /// The settings that its schemes speak of, for checks.
    pub(super) fn settings(&self) -> Vec<&str> {
        let mut names = Vec::new();
        for scheme in &self.schemes {
            match &scheme.rule {
                Rule::Refetch(rule) => {
                    names.extend(rule.expect.iter().map(|expected| expected.setting.as_str()));
                }
                Rule::FormGuard(rule) => names.extend(rule.origins.as_deref()),
                Rule::Own => names.push(super::own::PROOF),
                Rule::Jwt(rule) => names.extend(rule.settings()),
                rule => names.extend(rule.message().iter().filter_map(|piece| match piece {
                    Piece::Setting(name) => Some(name.as_str()),
                    _ => None,
                })),
            }
        }
        names
    }

    /// The header names that its schemes speak of, for checks.
    pub(super) fn headers(&self) -> Vec<&str> {
        let mut names = Vec::new();
        for scheme in &self.schemes {
            names.extend(scheme.when.as_ref().map(|when| when.header.as_str()));
            match &scheme.rule {
                Rule::Hmac(rule) => names.extend(rule.signed.headers()),
                Rule::HashConcat(rule) => names.extend(rule.signed.headers()),
                Rule::PublicKey(_, rule) => {
                    names.extend(rule.signed.headers());
                    names.extend(rule.key.place().and_then(Place::header));
                }
                Rule::TokenEqual(rule) => names.extend(rule.at.iter().filter_map(TokenAt::header)),
                Rule::Jwt(rule) => names.extend(rule.at.iter().filter_map(TokenAt::header)),
                Rule::None
                | Rule::StandardWebhooks
                | Rule::Refetch(_)
                | Rule::FormGuard(_)
                | Rule::Own => {}
            }
        }
        names
    }
}

/// One way of proving a request.
#[derive(Debug, Clone, PartialEq)]
pub struct Scheme {
    /// What it is called; its rule's word where no name is given.
    pub name: String,
    /// For which requests it is; those that carry its signature where this is not given.
    pub when: Option<When>,
    /// The rule.
    pub rule: Rule,
}

/// For which requests a scheme is.
#[derive(Debug, Clone, PartialEq, Deserialize, JsonSchema)]
#[serde(from = "WrittenWhen")]
#[schemars(with = "WrittenWhen")]
pub struct When {
    /// Those with this header, in lower case.
    pub header: String,
    /// Those where it says one of these; anything where there is none.
    pub is: Vec<String>,
}

/// For which requests a scheme is.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "When")]
struct WrittenWhen {
    /// Those with this header.
    header: String,
    /// Those where it says this, or one of these.
    #[serde(default)]
    is: Option<OneOrMany<String>>,
}

impl From<WrittenWhen> for When {
    fn from(written: WrittenWhen) -> Self {
        Self {
            header: written.header.to_ascii_lowercase(),
            is: written.is.map(Vec::from).unwrap_or_default(),
        }
    }
}

/// A rule by which a request is proved.
#[derive(Debug, Clone, PartialEq)]
pub enum Rule {
    /// Not at all: whoever knows the address may send.
    None,
    /// By the specification of that name, also with the headers of Svix: a keyed digest (`v1`)
    /// with `signing_secret`, or a signature (`v1a`) with `public_key`.
    StandardWebhooks,
    /// By a keyed digest of what the connector says.
    Hmac(Box<Hmac>),
    /// By a plain digest of what the connector says, the secret being a part of it.
    HashConcat(Box<HashConcat>),
    /// By a signature that a public key checks.
    PublicKey(Algorithm, Box<Asymmetric>),
    /// By a signed token (a JWT).
    Jwt(Box<SignedToken>),
    /// By a secret that comes along.
    TokenEqual(Box<TokenEqual>),
    /// Not at all: what it says counts only after it was asked for at the sender's API.
    Refetch(Box<Refetch>),
    /// Not at all: a form in a web page, guarded against what fills in forms by itself.
    FormGuard(Box<FormGuard>),
    /// As the settings of the inbox say: see [`own`](super::own).
    Own,
}

impl Rule {
    /// Its word in a connector.
    pub const fn name(&self) -> &'static str {
        match self {
            Self::None => "none",
            Self::StandardWebhooks => "standard_webhooks",
            Self::Hmac(_) => "hmac",
            Self::HashConcat(_) => "hash_concat",
            Self::PublicKey(algorithm, _) => algorithm.name(),
            Self::Jwt(_) => "jwt",
            Self::TokenEqual(_) => "token_equal",
            Self::Refetch(_) => "refetch",
            Self::FormGuard(_) => "form_guard",
            Self::Own => "own",
        }
    }

    /// The secrets that it needs.
    pub fn secrets(&self) -> Vec<&str> {
        match self {
            Self::None | Self::Refetch(_) => Vec::new(),
            Self::StandardWebhooks | Self::Own => vec![SIGNING_SECRET],
            Self::Hmac(rule) => vec![&rule.key.secret],
            Self::HashConcat(rule) => vec![&rule.secret],
            Self::TokenEqual(rule) => vec![&rule.secret],
            Self::FormGuard(rule) => {
                rule.time.iter().filter_map(|time| time.key.as_deref()).collect()
            }
            Self::PublicKey(_, rule) => rule.key.secret().into_iter().collect(),
            Self::Jwt(rule) => rule.key.secret().into_iter().collect(),
        }
    }

    /// What a secret of this name must look like to be a key; none where it may be any text.
    fn secret_pattern(&self, name: &str) -> Option<String> {
        let prefixed = |prefix: &str, key: &str| format!("(?:{})?{key}", regex::escape(prefix));
        let key = match self {
            Self::StandardWebhooks if name == SIGNING_SECRET => {
                return Some(STANDARD_SECRET.into());
            }
            Self::Hmac(rule) => &rule.key,
            Self::Jwt(rule) => match &rule.key {
                JwtKey::Secret(_, key) => key,
                JwtKey::Public(..) => return None,
            },
            _ => return None,
        };
        match key.encoding {
            KeyEncoding::Hex if key.secret == name => {
                Some(prefixed(&key.prefix, "(?:[0-9A-Fa-f]{2})+"))
            }
            KeyEncoding::Base64 if key.secret == name => {
                Some(prefixed(&key.prefix, "[A-Za-z0-9+/]{2,}={0,2}"))
            }
            _ => None,
        }
    }

    /// What is signed, where the connector says so.
    pub fn message(&self) -> &[Piece] {
        match self {
            Self::Hmac(rule) => &rule.signed.message,
            Self::HashConcat(rule) => &rule.signed.message,
            Self::PublicKey(_, rule) => &rule.signed.message,
            Self::None
            | Self::StandardWebhooks
            | Self::Jwt(_)
            | Self::TokenEqual(_)
            | Self::Refetch(_)
            | Self::FormGuard(_)
            | Self::Own => &[],
        }
    }

    /// Whether it is checked with a public key, and not with a secret.
    pub fn has_public_key(&self) -> bool {
        match self {
            Self::PublicKey(..) => true,
            Self::Jwt(rule) => rule.key.is_public(),
            _ => false,
        }
    }

    /// Whether it proves who sent a request, whatever the settings of an inbox are.
    pub const fn signed(&self) -> bool {
        !matches!(self, Self::None | Self::Refetch(_) | Self::FormGuard(_) | Self::Own)
    }
}

/// What is signed, and where the signature is.
#[derive(Debug, Clone, PartialEq)]
pub struct Signed {
    /// What is signed, piece by piece.
    pub message: Vec<Piece>,
    /// Where the signature is, and how it is written.
    pub carrier: Carrier,
    /// When it was signed.
    pub time: Option<SignedAt>,
    /// Where the hex SHA-256 of the body stands, if the signature covers that in its place: asked
    /// of every body that is no form.
    pub body_sha256: Option<Place>,
}

impl Signed {
    fn headers(&self) -> impl Iterator<Item = &str> {
        let message = self.message.iter().filter_map(|piece| match piece {
            Piece::At(place) | Piece::Optional { place, .. } => place.header(),
            _ => None,
        });
        let time = self.time.iter().filter_map(|time| time.at.place().and_then(Place::header));
        let digest = self.body_sha256.iter().filter_map(Place::header);
        self.carrier.places().filter_map(Place::header).chain(message).chain(time).chain(digest)
    }
}

/// A keyed digest.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(try_from = "WrittenHmac")]
pub struct Hmac {
    /// Which digest.
    pub hash: Hash,
    /// What is signed.
    pub signed: Signed,
    /// What it is signed with.
    pub key: Key,
}

/// Which digest.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Hash {
    /// MD5, 16 bytes. Broken, and here because some senders still use it.
    Md5,
    /// SHA-1, 20 bytes. Old, and still sound in an HMAC.
    Sha1,
    /// SHA-256, 32 bytes.
    Sha256,
    /// SHA-384, 48 bytes.
    Sha384,
    /// SHA-512, 64 bytes.
    Sha512,
}

impl Hash {
    /// Its word in a connector.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Md5 => "md5",
            Self::Sha1 => "sha1",
            Self::Sha256 => "sha256",
            Self::Sha384 => "sha384",
            Self::Sha512 => "sha512",
        }
    }
}

/// A plain digest over pieces of which the secret is one.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(try_from = "WrittenHashConcat")]
pub struct HashConcat {
    /// Which digest.
    pub hash: Hash,
    /// What goes into it.
    pub signed: Signed,
    /// The name of the secret that the piece `secret` stands for.
    pub secret: String,
}

/// Which kind of signature a public key checks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Algorithm {
    /// Ed25519.
    Ed25519,
    /// RSA (PKCS #1 v1.5) of a SHA-1 digest. Weak, and here because some senders still use it.
    RsaPkcs1Sha1,
    /// RSA (PKCS #1 v1.5) of a SHA-256 digest.
    RsaPkcs1Sha256,
    /// RSA (PSS) of a SHA-256 digest.
    RsaPssSha256,
    /// ECDSA on the curve P-256 of a SHA-256 digest, in DER.
    EcdsaP256Sha256,
    /// The same as `r` and `s`, one after the other.
    EcdsaP256Sha256Raw,
}

impl Algorithm {
    /// Its word in a connector.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Ed25519 => "ed25519",
            Self::RsaPkcs1Sha1 => "rsa_pkcs1_sha1",
            Self::RsaPkcs1Sha256 => "rsa_pkcs1_sha256",
            Self::RsaPssSha256 => "rsa_pss_sha256",
            Self::EcdsaP256Sha256 => "ecdsa_p256_sha256",
            Self::EcdsaP256Sha256Raw => "ecdsa_p256_sha256_raw",
        }
    }
}

/// A signature that is checked with a public key.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(try_from = "WrittenAsymmetric")]
pub struct Asymmetric {
    /// What is signed.
    pub signed: Signed,
    /// What it is checked with.
    pub key: PublicKey,
}

/// The written form of a rule that looks at a signature: what all of them have, and its own.
macro_rules! written {
    ($(#[$doc:meta])* $name:ident as $shown:literal { $($(#[$fdoc:meta])* $field:ident: $type:ty,)* }) => {
        $(#[$doc])*
        #[derive(Deserialize, JsonSchema)]
        #[serde(deny_unknown_fields)]
        #[schemars(rename = $shown)]
        pub(crate) struct $name {
            $($(#[$fdoc])* $field: $type,)*
            /// The header that carries the signature; of several, one that fits is enough.
            header: Option<OneOrMany<String>>,
            /// The query parameter that carries it.
            query: Option<String>,
            /// The form field that carries it.
            field: Option<String>,
            /// The place in a JSON body that carries it; beside `field`, in the JSON of that field.
            path: Option<Path>,
            /// What stands before it.
            #[serde(default)]
            prefix: String,
            /// How it is written.
            encoding: Encoding,
            /// How several signatures, or a signature and more, stand together.
            list: Option<List>,
            /// When it was signed.
            time: Option<SignedAt>,
            /// Where the hex SHA-256 of a body stands that is no form.
            body_sha256: Option<Place>,
        }

        impl $name {
            /// Where the signature is, and what is the type's own.
            #[allow(unused_parens, reason = "some types have one key of their own")]
            fn split(self) -> Result<(Signed, ($($type),*)), String> {
                let mut headers = self.header.map(Vec::from).unwrap_or_default().into_iter();
                let at = Place::written(headers.next(), self.query, self.field, self.path)?;
                let others = headers.map(|name| Place::Header(name.to_ascii_lowercase())).collect();
                let carrier = Carrier {
                    at,
                    others,
                    prefix: self.prefix,
                    encoding: self.encoding,
                    list: self.list,
                };
                let signed = Signed {
                    message: Vec::new(),
                    carrier,
                    time: self.time,
                    body_sha256: self.body_sha256,
                };
                Ok((signed, ($(self.$field),*)))
            }
        }
    };
}

impl Signed {
    /// The same over `message`.
    fn over(self, message: OneOrMany<Piece>) -> Result<Self, String> {
        let message = Vec::from(message);
        let in_message = message.iter().any(|piece| matches!(piece, Piece::Item(_)));
        let in_time = self.time.as_ref().is_some_and(|time| time.at.place().is_none());
        if self.carrier.list.is_none() && (in_message || in_time) {
            return Err("`item` needs `list`, which says how the header is parted".into());
        }
        if !self.carrier.others.is_empty() && (in_message || in_time) {
            return Err("of several headers nobody knows whose `item` is meant".into());
        }
        if message.is_empty() {
            return Err("there is nothing that is signed".into());
        }
        Ok(Self { message, ..self })
    }
}

written! {
    /// A keyed digest.
    WrittenHmac as "Hmac" {
        /// What is signed with SHA-1.
        sha1: Option<OneOrMany<Piece>>,
        /// What is signed with SHA-256.
        sha256: Option<OneOrMany<Piece>>,
        /// What is signed with SHA-384.
        sha384: Option<OneOrMany<Piece>>,
        /// What is signed with SHA-512.
        sha512: Option<OneOrMany<Piece>>,
        /// The name of the secret, or how it becomes a key.
        key: Key,
    }
}

written! {
    /// A plain digest over pieces of which the secret is one.
    WrittenHashConcat as "HashConcat" {
        /// What goes into MD5.
        md5: Option<OneOrMany<Piece>>,
        /// What goes into SHA-1.
        sha1: Option<OneOrMany<Piece>>,
        /// What goes into SHA-256.
        sha256: Option<OneOrMany<Piece>>,
        /// The name of the secret that the piece `secret` stands for.
        secret: Option<String>,
    }
}

written! {
    /// A signature that is checked with a public key.
    WrittenAsymmetric as "PublicKeySignature" {
        /// What is signed.
        message: OneOrMany<Piece>,
        /// What it is checked with.
        key: PublicKey,
    }
}

impl TryFrom<WrittenHmac> for Hmac {
    type Error = String;

    fn try_from(written: WrittenHmac) -> Result<Self, String> {
        let (signed, (sha1, sha256, sha384, sha512, key)) = written.split()?;
        let (hash, message) = one_of([
            ("sha1", sha1.map(|pieces| (Hash::Sha1, pieces))),
            ("sha256", sha256.map(|pieces| (Hash::Sha256, pieces))),
            ("sha384", sha384.map(|pieces| (Hash::Sha384, pieces))),
            ("sha512", sha512.map(|pieces| (Hash::Sha512, pieces))),
        ])?;
        let signed = signed.over(message)?;
        if signed.message.contains(&Piece::Secret) {
            return Err("`secret` is the key here, and no piece of what is signed".into());
        }
        Ok(Self { hash, signed, key })
    }
}

impl TryFrom<WrittenHashConcat> for HashConcat {
    type Error = String;

    fn try_from(written: WrittenHashConcat) -> Result<Self, String> {
        let (signed, (md5, sha1, sha256, secret)) = written.split()?;
        let (hash, message) = one_of([
            ("md5", md5.map(|pieces| (Hash::Md5, pieces))),
            ("sha1", sha1.map(|pieces| (Hash::Sha1, pieces))),
            ("sha256", sha256.map(|pieces| (Hash::Sha256, pieces))),
        ])?;
        let signed = signed.over(message)?;
        if !signed.message.contains(&Piece::Secret) {
            return Err(
                "`hash_concat` needs `secret` among its pieces: anybody could make it".into()
            );
        }
        Ok(Self { hash, signed, secret: secret.unwrap_or_else(|| SIGNING_SECRET.into()) })
    }
}

impl TryFrom<WrittenAsymmetric> for Asymmetric {
    type Error = String;

    fn try_from(written: WrittenAsymmetric) -> Result<Self, String> {
        let (signed, (message, key)) = written.split()?;
        let signed = signed.over(message)?;
        if signed.message.contains(&Piece::Secret) {
            return Err("a message that is signed with a private key has no `secret` in it".into());
        }
        Ok(Self { signed, key })
    }
}

/// A secret that comes along with a request.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(try_from = "WrittenTokenEqual")]
pub struct TokenEqual {
    /// The name of the secret.
    pub secret: String,
    /// Where it may be: the first that is there decides.
    pub at: Vec<TokenAt>,
}

/// Where a token is.
#[derive(Debug, Clone, PartialEq)]
pub enum TokenAt {
    /// `Authorization: Bearer …`.
    Bearer,
    /// `Authorization: Basic …`: the password, or `user:password` where the secret has a colon.
    Basic,
    /// The last part of the address' path.
    Segment,
    /// Somewhere else.
    Place {
        /// Where.
        place: Place,
        /// What stands before it.
        prefix: String,
    },
}

/// The written form of [`TokenEqual`].
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "TokenEqual")]
pub(crate) struct WrittenTokenEqual {
    /// The name of the secret.
    secret: Option<String>,
    /// Where it may be: the first that is there decides.
    at: OneOrMany<TokenAt>,
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "TokenPlace")]
pub(super) struct WrittenTokenAt {
    /// In this header.
    header: Option<String>,
    /// In this query parameter.
    query: Option<String>,
    /// In this field of a form.
    field: Option<String>,
    /// At this place in a JSON body; beside `field`, in the JSON of that field.
    path: Option<Path>,
    /// What stands before it.
    #[serde(default)]
    prefix: String,
}

impl TokenAt {
    /// The header's name, where it is one.
    pub fn header(&self) -> Option<&str> {
        match self {
            Self::Place { place, .. } => place.header(),
            Self::Bearer | Self::Basic | Self::Segment => None,
        }
    }
}

super::one_of::text_list_or_object! {
    TokenAt: "`bearer`, `basic`, `segment`, or `{ header: … }`, `{ query: … }`, `{ field: … }`, `{ path: … }`",
    words: ["bearer", "basic", "segment"],
    text: |text: &str| match text {
        "bearer" => Ok(TokenAt::Bearer),
        "basic" => Ok(TokenAt::Basic),
        "segment" => Ok(TokenAt::Segment),
        other => Err(format!(
            "unknown word `{other}`, expected one of `bearer`, `basic`, `segment`, or \
             `{{ header: … }}`, `{{ query: … }}`, `{{ field: … }}`, `{{ path: … }}`"
        )),
    },
    object: WrittenTokenAt => |written: WrittenTokenAt| {
        let place = Place::written(written.header, written.query, written.field, written.path)?;
        Ok::<_, String>(TokenAt::Place { place, prefix: written.prefix })
    },
}

/// Nobody signs it, and what it says has to be asked for again.
#[derive(Debug, Clone, PartialEq, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Refetch {
    /// What must be the same as a setting, for a request to be taken at all.
    #[serde(default)]
    pub expect: Vec<Expectation>,
}

/// A value of an event that must be the same as a setting.
#[derive(Debug, Clone, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Expectation {
    /// The value, over the event.
    pub path: Expression,
    /// The setting's name.
    pub setting: String,
}

/// A form in a web page.
#[derive(Debug, Clone, PartialEq, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct FormGuard {
    /// The setting that lists the origins of the pages that it may come from, parted by commas or
    /// spaces; any where that is empty.
    #[serde(default)]
    pub origins: Option<String>,
    /// A field that people do not see and must be empty.
    #[serde(default)]
    pub honeypot: Option<String>,
    /// How long filling it in takes at least.
    #[serde(default)]
    pub time: Option<FillTime>,
}

/// How long filling in a form takes.
#[derive(Debug, Clone, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct FillTime {
    /// The field that says when the page was made, in seconds since 1970. A form without it is
    /// taken, unless `key` asks for it to be signed.
    pub field: String,
    /// Whether the field counts the seconds since the page was opened instead, as the page itself
    /// has counted them: a visitor's clock may be wrong.
    #[serde(default)]
    pub elapsed: bool,
    /// How long it takes at least.
    pub at_least: Span,
    /// How long it takes at most.
    #[serde(default)]
    pub at_most: Option<Span>,
    /// The secret with which that time is signed, as hex HMAC-SHA256.
    #[serde(default)]
    pub key: Option<String>,
    /// The field with that signature.
    #[serde(default)]
    pub signature: Option<String>,
}

impl TryFrom<WrittenTokenEqual> for TokenEqual {
    type Error = String;

    fn try_from(written: WrittenTokenEqual) -> Result<Self, String> {
        let at = Vec::from(written.at);
        if at.is_empty() {
            return Err("`at` should say where the token is".into());
        }
        Ok(Self { secret: written.secret.unwrap_or_else(|| SIGNING_SECRET.into()), at })
    }
}

/// The schema of a rule is that of its written form.
macro_rules! written_schema {
    ($($name:ty => $written:ty,)*) => {
        $(impl JsonSchema for $name {
            fn schema_name() -> Cow<'static, str> {
                <$written>::schema_name()
            }

            fn json_schema(generator: &mut SchemaGenerator) -> Schema {
                <$written>::json_schema(generator)
            }
        })*
    };
}

written_schema! {
    Hmac => WrittenHmac,
    HashConcat => WrittenHashConcat,
    Asymmetric => WrittenAsymmetric,
    TokenEqual => WrittenTokenEqual,
}

/// A scheme as it is written as an object.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "Scheme")]
pub(crate) struct WrittenScheme {
    /// What it is called.
    name: Option<String>,
    /// For which requests it is.
    when: Option<When>,
    /// By the specification of that name: `standard_webhooks: {}`.
    standard_webhooks: Option<Nothing>,
    /// By a keyed digest.
    hmac: Option<Hmac>,
    /// By a plain digest with the secret in it.
    hash_concat: Option<HashConcat>,
    /// By an Ed25519 signature.
    ed25519: Option<Asymmetric>,
    /// By an RSA signature (PKCS #1 v1.5) of a SHA-1 digest: only where a sender has no better.
    rsa_pkcs1_sha1: Option<Asymmetric>,
    /// By an RSA signature (PKCS #1 v1.5) of a SHA-256 digest.
    rsa_pkcs1_sha256: Option<Asymmetric>,
    /// By an RSA signature (PSS) of a SHA-256 digest.
    rsa_pss_sha256: Option<Asymmetric>,
    /// By an ECDSA signature in DER, on the curve P-256, of a SHA-256 digest.
    ecdsa_p256_sha256: Option<Asymmetric>,
    /// The same as `r` and `s`, one after the other.
    ecdsa_p256_sha256_raw: Option<Asymmetric>,
    /// By a signed token (a JWT).
    jwt: Option<SignedToken>,
    /// By a secret that comes along.
    token_equal: Option<TokenEqual>,
    /// Not at all, so that what it says is asked for again.
    refetch: Option<Refetch>,
    /// Not at all: a form in a web page.
    form_guard: Option<FormGuard>,
}

/// An object without keys.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Nothing {}

impl TryFrom<WrittenScheme> for Scheme {
    type Error = String;

    fn try_from(written: WrittenScheme) -> Result<Self, String> {
        let by_key = |algorithm, rule: Option<Asymmetric>| {
            rule.map(|rule| Rule::PublicKey(algorithm, Box::new(rule)))
        };
        let rule = one_of([
            ("standard_webhooks", written.standard_webhooks.map(|_| Rule::StandardWebhooks)),
            ("hmac", written.hmac.map(Box::new).map(Rule::Hmac)),
            ("hash_concat", written.hash_concat.map(Box::new).map(Rule::HashConcat)),
            ("ed25519", by_key(Algorithm::Ed25519, written.ed25519)),
            ("rsa_pkcs1_sha1", by_key(Algorithm::RsaPkcs1Sha1, written.rsa_pkcs1_sha1)),
            ("rsa_pkcs1_sha256", by_key(Algorithm::RsaPkcs1Sha256, written.rsa_pkcs1_sha256)),
            ("rsa_pss_sha256", by_key(Algorithm::RsaPssSha256, written.rsa_pss_sha256)),
            ("ecdsa_p256_sha256", by_key(Algorithm::EcdsaP256Sha256, written.ecdsa_p256_sha256)),
            (
                "ecdsa_p256_sha256_raw",
                by_key(Algorithm::EcdsaP256Sha256Raw, written.ecdsa_p256_sha256_raw),
            ),
            ("jwt", written.jwt.map(Box::new).map(Rule::Jwt)),
            ("token_equal", written.token_equal.map(Box::new).map(Rule::TokenEqual)),
            ("refetch", written.refetch.map(Box::new).map(Rule::Refetch)),
            ("form_guard", written.form_guard.map(Box::new).map(Rule::FormGuard)),
        ])?;
        let name = written.name.unwrap_or_else(|| rule.name().into());
        Ok(Self { name, when: written.when, rule })
    }
}

/// A scheme that needs no more than its word.
fn scheme_of_word(text: &str) -> Result<Scheme, String> {
    let rule = match text {
        "none" => Rule::None,
        "standard_webhooks" => Rule::StandardWebhooks,
        "refetch" => Rule::Refetch(Box::default()),
        "form_guard" => Rule::FormGuard(Box::default()),
        "own" => Rule::Own,
        other => {
            return Err(format!(
                "unknown word `{other}`, expected one of `none`, `standard_webhooks`, `refetch`, \
                 `form_guard`, `own`, or an object with `hmac`, `hash_concat`, `ed25519`, \
                 `rsa_pkcs1_sha1`, `rsa_pkcs1_sha256`, `rsa_pss_sha256`, `ecdsa_p256_sha256`, \
                 `ecdsa_p256_sha256_raw`, `jwt`, `token_equal`"
            ));
        }
    };
    Ok(Scheme { name: rule.name().into(), when: None, rule })
}

super::one_of::text_list_or_object! {
    Scheme: "the word of a scheme, or an object with one",
    words: ["none", "standard_webhooks", "refetch", "form_guard", "own"],
    text: scheme_of_word,
    object: WrittenScheme => Scheme::try_from,
}

impl<'de> Deserialize<'de> for Verify {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let schemes: Vec<Scheme> = OneOrMany::deserialize(deserializer)?.into();
        let twice = schemes.iter().enumerate().find(|(number, scheme)| {
            schemes[..*number].iter().any(|other| other.name == scheme.name)
        });
        if let Some((_, scheme)) = twice {
            return Err(serde::de::Error::custom(format!(
                "two schemes are called `{}`: give one a `name`",
                scheme.name
            )));
        }
        if schemes.is_empty() {
            return Err(serde::de::Error::custom("expected a scheme; `none` is one, too"));
        }
        if schemes.len() > 1 && schemes.iter().any(|scheme| scheme.rule == Rule::Own) {
            return Err(serde::de::Error::custom("`own` stands alone: it may be any of them"));
        }
        Ok(Self { schemes })
    }
}

impl JsonSchema for Verify {
    fn schema_name() -> Cow<'static, str> {
        "Verify".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let scheme = generator.subschema_for::<Scheme>();
        let several = schemars::json_schema!({ "type": "array", "items": scheme, "minItems": 1 });
        schemars::json_schema!({ "anyOf": [scheme, several] })
    }
}
