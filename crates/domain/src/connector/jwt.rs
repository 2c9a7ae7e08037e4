//! Signed tokens (JWT) as proof of a request: which algorithm, which key, and what they must claim.
//!
//! The algorithm is the connector's and never the token's. What a token claims of the request is a
//! digest of pieces of it; everything else that it must say is fixed, or a setting.

use indexmap::IndexMap;
use schemars::JsonSchema;
use serde::Deserialize;

use super::one_of::OneOrMany;
use super::signed::{Key, KeyEncoding, Piece, PublicKey, https};
use super::span::Span;
use super::verify::{Algorithm, Hash, PUBLIC_KEY, SIGNING_SECRET, TokenAt};

/// A signed token that comes along with a request.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(try_from = "WrittenJwt")]
pub struct SignedToken {
    /// Where it may be: the first that is there decides.
    pub at: Vec<TokenAt>,
    /// The algorithm, and the key.
    pub key: JwtKey,
    /// What it must claim.
    pub claims: IndexMap<String, ClaimIs>,
    /// Claims that are the hex SHA-256 of pieces of the request.
    pub sha256: IndexMap<String, Vec<Piece>>,
    /// When it was made.
    pub time: Option<ClaimTime>,
}

impl SignedToken {
    /// The settings that it speaks of.
    pub(super) fn settings(&self) -> impl Iterator<Item = &str> {
        let claims = self.claims.values().filter_map(|is| match is {
            ClaimIs::Setting(name) => Some(name.as_str()),
            ClaimIs::Text(_) => None,
        });
        let pieces = self.sha256.values().flatten().filter_map(|piece| match piece {
            Piece::Setting(name) => Some(name.as_str()),
            _ => None,
        });
        claims.chain(pieces)
    }
}

/// What a token is checked with.
#[derive(Debug, Clone, PartialEq)]
pub enum JwtKey {
    /// A digest keyed with a secret.
    Secret(Hash, Key),
    /// A public key.
    Public(Algorithm, PublicKey),
}

impl JwtKey {
    /// The name of the secret, where one is needed.
    pub(super) fn secret(&self) -> Option<&str> {
        match self {
            Self::Secret(_, key) => Some(&key.secret),
            Self::Public(_, key) => key.secret(),
        }
    }

    /// Whether it is a public key.
    pub const fn is_public(&self) -> bool {
        matches!(self, Self::Public(..))
    }

    /// As the header of a token calls the algorithm.
    pub const fn alg(&self) -> &'static str {
        match self {
            Self::Secret(Hash::Sha384, _) => "HS384",
            Self::Secret(Hash::Sha512, _) => "HS512",
            Self::Secret(..) => "HS256",
            Self::Public(Algorithm::RsaPssSha256, _) => "PS256",
            Self::Public(Algorithm::EcdsaP256Sha256Raw, _) => "ES256",
            Self::Public(Algorithm::Ed25519, _) => "EdDSA",
            Self::Public(..) => "RS256",
        }
    }
}

/// What a claim must be; of a claim that is a list, one of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ClaimIs {
    /// This text.
    Text(String),
    /// The value of this setting.
    Setting(String),
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "ClaimIsObject")]
pub(super) struct WrittenClaimIs {
    /// The value of this setting.
    setting: String,
}

super::one_of::text_list_or_object! {
    ClaimIs: "a text, or `{ setting: … }`",
    text: |text: &str| Ok::<_, String>(ClaimIs::Text(text.into())),
    object: WrittenClaimIs => |written: WrittenClaimIs| Ok::<_, String>(ClaimIs::Setting(written.setting)),
}

/// When a token was made, and how far that may be from now, on both sides.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ClaimTime {
    /// The claim, in seconds since 1970.
    #[serde(default = "iat")]
    pub claim: String,
    /// How far it may be from now.
    pub tolerance: Span,
}

fn iat() -> String {
    "iat".into()
}

/// The written form of [`SignedToken`].
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "SignedToken")]
pub(crate) struct WrittenJwt {
    /// Where it may be: the first that is there decides.
    at: OneOrMany<TokenAt>,
    /// The algorithm, whatever the token says.
    alg: Alg,
    /// The secret, the public key, or the address of a set of keys.
    key: Option<WrittenJwtKey>,
    /// What it must claim: `{ iss: acme, aud: { setting: audience } }`.
    #[serde(default)]
    claims: IndexMap<String, ClaimIs>,
    /// Claims that are the hex SHA-256 of pieces of the request: `{ request_body_sha256: body }`.
    #[serde(default)]
    sha256: IndexMap<String, Pieces>,
    /// When it was made.
    time: Option<ClaimTime>,
}

/// One piece, or several.
type Pieces = OneOrMany<Piece>;

/// The algorithm of a token.
#[derive(Clone, Copy, Deserialize, JsonSchema)]
enum Alg {
    HS256,
    HS384,
    HS512,
    RS256,
    PS256,
    ES256,
    EdDSA,
}

/// What a token is checked with.
struct WrittenJwtKey {
    secret: Option<String>,
    encoding: KeyEncoding,
    prefix: String,
    default: Option<String>,
    jwks: Option<String>,
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "JwtKeyObject")]
struct WrittenJwtKeyObject {
    /// The name of the secret or setting that holds it.
    secret: Option<String>,
    /// How a secret is written.
    #[serde(default)]
    encoding: KeyEncoding,
    /// What stands before it.
    #[serde(default)]
    prefix: String,
    /// The public key where none is given.
    default: Option<String>,
    /// The address of a set of public keys: the token says which.
    jwks: Option<String>,
}

super::one_of::text_list_or_object! {
    WrittenJwtKey: "the name of a secret, or `{ secret: …, encoding: …, prefix: … }`, `{ default: … }`, `{ jwks: … }`",
    text: |text: &str| Ok::<_, String>(WrittenJwtKey {
        secret: Some(text.into()),
        encoding: KeyEncoding::Text,
        prefix: String::new(),
        default: None,
        jwks: None,
    }),
    object: WrittenJwtKeyObject => |written: WrittenJwtKeyObject| Ok::<_, String>(WrittenJwtKey {
        secret: written.secret,
        encoding: written.encoding,
        prefix: written.prefix,
        default: written.default,
        jwks: written.jwks,
    }),
}

impl WrittenJwtKey {
    fn read(self, alg: Alg) -> Result<JwtKey, String> {
        Ok(match alg {
            Alg::HS256 => JwtKey::Secret(Hash::Sha256, self.secret_key()?),
            Alg::HS384 => JwtKey::Secret(Hash::Sha384, self.secret_key()?),
            Alg::HS512 => JwtKey::Secret(Hash::Sha512, self.secret_key()?),
            Alg::RS256 => JwtKey::Public(Algorithm::RsaPkcs1Sha256, self.public_key()?),
            Alg::PS256 => JwtKey::Public(Algorithm::RsaPssSha256, self.public_key()?),
            Alg::ES256 => JwtKey::Public(Algorithm::EcdsaP256Sha256Raw, self.public_key()?),
            Alg::EdDSA => JwtKey::Public(Algorithm::Ed25519, self.public_key()?),
        })
    }

    fn secret_key(self) -> Result<Key, String> {
        if self.default.is_some() || self.jwks.is_some() {
            return Err("`default` and `jwks` are for public keys".into());
        }
        let secret = self.secret.unwrap_or_else(|| SIGNING_SECRET.into());
        Ok(Key { secret, encoding: self.encoding, prefix: self.prefix })
    }

    fn public_key(self) -> Result<PublicKey, String> {
        if self.encoding != KeyEncoding::Text {
            return Err("`encoding` is for secrets: a public key is read as it is written".into());
        }
        match self.jwks {
            None => Ok(PublicKey::Given {
                secret: self.secret.unwrap_or_else(|| PUBLIC_KEY.into()),
                default: self.default,
                prefix: self.prefix,
            }),
            Some(_) if self.secret.is_some() || self.default.is_some() => {
                Err("`jwks` stands alone".into())
            }
            Some(url) => https(&url).map(|()| PublicKey::Jwks { url, kid: None }),
        }
    }
}

impl TryFrom<WrittenJwt> for SignedToken {
    type Error = String;

    fn try_from(written: WrittenJwt) -> Result<Self, String> {
        let at = Vec::from(written.at);
        if at.is_empty() || at.iter().any(|at| matches!(at, TokenAt::Basic | TokenAt::Segment)) {
            return Err("a token stands at `bearer`, or at `{ header: … }`, `{ query: … }`, \
                        `{ field: … }`, `{ path: … }`"
                .into());
        }
        let none = WrittenJwtKey {
            secret: None,
            encoding: KeyEncoding::Text,
            prefix: String::new(),
            default: None,
            jwks: None,
        };
        let key = written.key.unwrap_or(none).read(written.alg)?;
        let sha256: IndexMap<_, _> =
            written.sha256.into_iter().map(|(claim, it)| (claim, Vec::from(it))).collect();
        let fits =
            |piece: &Piece| !matches!(piece, Piece::Secret | Piece::Item(_) | Piece::SortedForm);
        if let Some(piece) = sha256.values().flatten().find(|piece| !fits(piece)) {
            return Err(format!("`{}` is no piece of a claim", piece.describe()));
        }
        Ok(Self { at, key, claims: written.claims, sha256, time: written.time })
    }
}

impl JsonSchema for SignedToken {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        WrittenJwt::schema_name()
    }

    fn json_schema(generator: &mut schemars::SchemaGenerator) -> schemars::Schema {
        WrittenJwt::json_schema(generator)
    }
}
