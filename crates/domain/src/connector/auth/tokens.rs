//! Ways in that end in a token answer: OAuth 2 in its kinds, and what is built like it.

use indexmap::IndexMap;
use jiff::Timestamp;
use schemars::JsonSchema;
use serde::Deserialize;

use super::pasted::authorization;
use super::{Texts, WayKind, client_fields};
use crate::connector::call::{Call, Tree};
use crate::connector::field::{Field, FormField};
use crate::connector::limit::ResetUnit;
use crate::connector::one_of::{OneOrMany, one_of, text_list_or_object};
use crate::connector::pattern::Pattern;
use crate::connector::span::Span;
use crate::expression::Expression;
use crate::json::Json;
use crate::template::Template;

/// How a token answer is read, and what its token is good for.
#[derive(Debug, Clone, Copy)]
pub struct TokenFacts<'a> {
    /// Where the access token is; `.access_token` where not given.
    pub access_token: Option<&'a Expression>,
    /// Where the refresh token is; `.refresh_token` where not given.
    pub refresh_token: Option<&'a Expression>,
    /// How its end is told.
    pub expires: &'a Expires,
    /// How long it lives where the answer does not say.
    pub lives: Option<Span>,
    /// Parts of the answer to keep.
    pub keep: &'a IndexMap<String, Keep>,
    /// Where a refusal stands that comes with status 200.
    pub error_in_200: Option<&'a Expression>,
    /// What carries the token.
    pub send: &'a Send,
}

/// Where tokens are asked for, and how we show who we are.
#[derive(Debug, Clone, Copy)]
pub struct Endpoint<'a> {
    /// The address.
    pub token_url: &'a Template,
    /// The client id, where it is the same for everybody.
    pub client_id: Option<&'a str>,
    /// Whether there is a client secret.
    pub secret: ClientSecret,
    /// How the client shows its secret.
    pub client: ClientAuth,
    /// How the request is written.
    pub token_body: TokenBody,
    /// Further parameters.
    pub token_params: &'a Texts,
    /// Further headers.
    pub token_headers: &'a Texts,
}

/// A way in with a token answer: its own fields, and those of every token answer.
macro_rules! token_way {
    (
        $(#[$meta:meta])*
        pub struct $name:ident { $( $(#[$field_meta:meta])* pub $field:ident: $type:ty, )* }
    ) => {
        $(#[$meta])*
        #[derive(Debug, Clone, PartialEq, Deserialize, JsonSchema)]
        #[serde(deny_unknown_fields)]
        pub struct $name {
            $( $(#[$field_meta])* pub $field: $type, )*
            /// Where the access token is in the answer; `.access_token` where it is not given.
            #[serde(default)]
            pub access_token: Option<Expression>,
            /// Where the refresh token is in the answer; `.refresh_token` where it is not given.
            #[serde(default)]
            pub refresh_token: Option<Expression>,
            /// How the end of the access token is told.
            #[serde(default)]
            pub expires: Expires,
            /// How long the access token lives where the answer does not say it.
            #[serde(default)]
            pub lives: Option<Span>,
            /// Where a refusal stands that comes with status 200.
            #[serde(default)]
            pub error_in_200: Option<Expression>,
            /// Parts of the token answer to keep, for other texts to use as `token.NAME`.
            #[serde(default)]
            pub keep: IndexMap<String, Keep>,
            /// What carries the access token in calls.
            #[serde(default)]
            pub send: Send,
        }

        impl $name {
            /// How a token answer is read.
            pub const fn answer(&self) -> TokenFacts<'_> {
                TokenFacts {
                    access_token: self.access_token.as_ref(),
                    refresh_token: self.refresh_token.as_ref(),
                    expires: &self.expires,
                    lives: self.lives,
                    keep: &self.keep,
                    error_in_200: self.error_in_200.as_ref(),
                    send: &self.send,
                }
            }
        }
    };
}

/// A way in that asks a token endpoint: besides its own fields, those of every endpoint.
macro_rules! endpoint_way {
    (
        |$way:ident| client_id: $client_id:expr, secret: $secret:expr;
        $(#[$meta:meta])*
        pub struct $name:ident { $( $(#[$field_meta:meta])* pub $field:ident: $type:ty, )* }
    ) => {
        token_way! {
            $(#[$meta])*
            pub struct $name {
                $( $(#[$field_meta])* pub $field: $type, )*
                /// Where tokens are asked for.
                pub token_url: Template,
                /// How the client shows that it is the client.
                #[serde(default)]
                pub client: ClientAuth,
                /// How the token request is written.
                #[serde(default)]
                pub token_body: TokenBody,
                /// Further parameters of every token request.
                #[serde(default)]
                pub token_params: Texts,
                /// Further headers of every token request.
                #[serde(default)]
                pub token_headers: Texts,
            }
        }

        impl $name {
            /// Where tokens are asked for.
            pub fn endpoint(&self) -> Endpoint<'_> {
                let $way = self;
                let (client_id, secret) = ($client_id, $secret);
                Endpoint {
                    token_url: &self.token_url,
                    client_id,
                    secret,
                    client: self.client,
                    token_body: self.token_body,
                    token_params: &self.token_params,
                    token_headers: &self.token_headers,
                }
            }
        }
    };
}

endpoint_way! {
    |way| client_id: way.client_id.as_deref(), secret: way.secret;

    /// Signing in with a browser: OAuth 2 with an authorization code.
    pub struct OauthCode {
        /// The consent page.
        pub authorize_url: Template,
        /// The client id, where it is the same for everybody. Otherwise the user has one of an own
        /// app, in the setting `client_id`.
        #[serde(default)]
        pub client_id: Option<String>,
        /// Whether the app has a secret, in the secret `client_secret`.
        #[serde(default)]
        pub secret: ClientSecret,
        /// Whether the code is bound to us by PKCE.
        #[serde(default)]
        pub pkce: Pkce,
        /// What is asked for.
        #[serde(default)]
        pub scopes: Vec<String>,
        /// What stands between two scopes.
        #[serde(default = "space")]
        pub scope_separator: String,
        /// The parameter that carries the scopes.
        #[serde(default = "scope")]
        pub scope_param: String,
        /// Further parameters of the consent page.
        #[serde(default)]
        pub authorize_params: Texts,
        /// What becomes of the refresh token.
        #[serde(default)]
        pub refresh: Refresh,
        /// How long a refresh token lives when it is not used. Its user is told before it ends.
        #[serde(default)]
        pub refresh_lives: Option<Span>,
        /// Further parameters of a refresh alone.
        #[serde(default)]
        pub refresh_params: Texts,
        /// Which addresses the browser may come back to: one, or several to choose from.
        #[serde(default, deserialize_with = "redirects")]
        #[schemars(with = "OneOrMany<Redirect>")]
        pub redirect: Vec<Redirect>,
        /// Parameters of the callback that other texts use as `callback.NAME`.
        #[serde(default)]
        pub callback: IndexMap<String, CallbackParam>,
        /// How a sign-in is taken back: an address that takes RFC 7009, or a call.
        #[serde(default)]
        pub revoke: Option<Revoke>,
    }
}

endpoint_way! {
    |way| client_id: way.client_id.as_deref(), secret: ClientSecret::Required;

    /// Id and secret of an app become a token, which is asked for anew before it ends.
    pub struct ClientCredentials {
        /// The client id, where it is the same for everybody.
        #[serde(default)]
        pub client_id: Option<String>,
        /// What is asked for.
        #[serde(default)]
        pub scopes: Vec<String>,
        /// What stands between two scopes.
        #[serde(default = "space")]
        pub scope_separator: String,
    }
}

endpoint_way! {
    |way| client_id: way.client_id.as_deref(), secret: way.secret;

    /// Signing in with a short code that is typed into a page of the provider (RFC 8628).
    pub struct Device {
        /// Where a code is asked for.
        pub device_url: Template,
        /// The client id, where it is the same for everybody.
        #[serde(default)]
        pub client_id: Option<String>,
        /// Whether the app has a secret; most have none here.
        #[serde(default = "forbidden")]
        pub secret: ClientSecret,
        /// What is asked for.
        #[serde(default)]
        pub scopes: Vec<String>,
        /// What stands between two scopes.
        #[serde(default = "space")]
        pub scope_separator: String,
        /// Further parameters of the request for a code.
        #[serde(default)]
        pub device_params: Texts,
        /// What the grant is called.
        #[serde(default = "device_grant")]
        pub grant_type: String,
        /// What becomes of the refresh token.
        #[serde(default)]
        pub refresh: Refresh,
    }
}

endpoint_way! {
    |_way| client_id: None, secret: ClientSecret::Forbidden;

    /// A JWT that we sign becomes a token (RFC 7523).
    pub struct JwtBearer {
        /// What is signed.
        pub jwt: Jwt,
        /// What the grant is called.
        #[serde(default = "jwt_grant")]
        pub grant_type: String,
        /// The parameter that carries the JWT.
        #[serde(default = "assertion")]
        pub assertion_param: String,
        /// What is asked for.
        #[serde(default)]
        pub scopes: Vec<String>,
    }
}

token_way! {
    /// A JWT that we sign makes a call, as `authorization: Bearer`, that answers with a token.
    pub struct AppJwtExchange {
        /// What is signed.
        pub jwt: Jwt,
        /// The call.
        pub call: Call,
    }
}

token_way! {
    /// The token of another kind becomes a narrower one: that of a company one of a location.
    pub struct TokenExchange {
        /// How the first token is got.
        pub from: ExchangeFrom,
        /// The call, which carries the first token. Its texts may speak of `secrets.subject`,
        /// which is that token.
        pub call: Call,
        /// What becomes of the refresh token, where the exchange brings one.
        #[serde(default = "re_request")]
        pub refresh: Refresh,
    }
}

fn space() -> String {
    " ".into()
}

fn scope() -> String {
    "scope".into()
}

fn device_grant() -> String {
    "urn:ietf:params:oauth:grant-type:device_code".into()
}

fn jwt_grant() -> String {
    "urn:ietf:params:oauth:grant-type:jwt-bearer".into()
}

fn assertion() -> String {
    "assertion".into()
}

const fn forbidden() -> ClientSecret {
    ClientSecret::Forbidden
}

const fn re_request() -> Refresh {
    Refresh::ReRequest
}

/// The kind whose token is exchanged.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(try_from = "WrittenFrom")]
pub struct ExchangeFrom {
    /// How it works.
    pub kind: Box<WayKind>,
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "ExchangeFrom")]
pub(super) struct WrittenFrom {
    /// Signing in with a browser.
    oauth_code: Option<Box<OauthCode>>,
    /// Id and secret of an app become a token.
    client_credentials: Option<Box<ClientCredentials>>,
    /// A token that is pasted.
    header_token: Option<super::HeaderToken>,
}

impl TryFrom<WrittenFrom> for ExchangeFrom {
    type Error = String;

    fn try_from(written: WrittenFrom) -> Result<Self, String> {
        let kind = one_of([
            ("oauth_code", written.oauth_code.map(WayKind::OauthCode)),
            ("client_credentials", written.client_credentials.map(WayKind::ClientCredentials)),
            ("header_token", written.header_token.map(WayKind::HeaderToken)),
        ])?;
        Ok(Self { kind: Box::new(kind) })
    }
}

impl JsonSchema for ExchangeFrom {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        WrittenFrom::schema_name()
    }

    fn json_schema(generator: &mut schemars::SchemaGenerator) -> schemars::Schema {
        WrittenFrom::json_schema(generator)
    }
}

/// A JSON Web Token that we sign. `iat` and `exp` are set by us unless they are among the claims.
#[derive(Debug, Clone, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Jwt {
    /// How it is signed.
    #[serde(default)]
    pub alg: JwtAlg,
    /// The secret that holds the private key, as PEM.
    #[serde(default = "private_key")]
    pub key: String,
    /// Which of several keys it is, where the other side asks.
    #[serde(default)]
    pub key_id: Option<Template>,
    /// What it says; texts may speak of `settings`.
    pub claims: Tree,
    /// How long it is good.
    #[serde(default = "three_minutes")]
    pub valid_for: Span,
    /// How long before now it says that it was made: clocks differ.
    #[serde(default)]
    pub backdate: Option<Span>,
}

fn private_key() -> String {
    "private_key".into()
}

const fn three_minutes() -> Span {
    Span::seconds(180)
}

/// How a JWT is signed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize, JsonSchema)]
pub enum JwtAlg {
    /// RSA with SHA-256.
    #[default]
    RS256,
    /// ECDSA over P-256 with SHA-256.
    ES256,
}

impl JwtAlg {
    /// As it stands in the JWT.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::RS256 => "RS256",
            Self::ES256 => "ES256",
        }
    }
}

impl Jwt {
    pub(super) fn fields(&self) -> Vec<FormField> {
        let field = Field::titled("Private key", "The key as text, from BEGIN to END.");
        vec![FormField { name: self.key.clone(), field, secret: true }]
    }
}

/// Whether an app has a client secret.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ClientSecret {
    /// It has.
    #[default]
    Required,
    /// It may have one.
    Optional,
    /// It has none, and one that is sent is refused.
    Forbidden,
}

/// Whether the code is bound to us by PKCE (S256).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Pkce {
    /// PKCE takes the place of a secret.
    Alone,
    /// PKCE beside a secret.
    BesideSecret,
    /// The provider does not know it.
    #[default]
    None,
}

/// How a client shows its secret.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ClientAuth {
    /// Id and secret among the parameters.
    #[default]
    Form,
    /// Id and secret as basic authorization.
    Basic,
}

/// How a token request is written. An answer is read as JSON or as a form, whichever it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum TokenBody {
    /// As a form.
    #[default]
    Form,
    /// As JSON.
    Json,
}

/// What becomes of a refresh token.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Refresh {
    /// There is none: the access token stays, or the user signs in again.
    #[default]
    None,
    /// There is none, and none is needed: the access token is asked for anew.
    ReRequest,
    /// It can be used again and again.
    Reusable,
    /// It is good once; each refresh brings the next.
    Rotating,
}

/// How the end of an access token is told.
#[derive(Debug, Clone, PartialEq, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Expires {
    /// By `expires_in`, `expires_at` or `expires` in the answer, in seconds, as a time in seconds
    /// or milliseconds since 1970, or as a date; where there is none, it does not end.
    #[default]
    Answer,
    /// By a 401 alone, whatever the answer says.
    #[serde(rename = "only_by_401")]
    OnlyBy401,
    /// By another part of the answer.
    At {
        /// Where.
        at: Expression,
        /// What it counts.
        #[serde(rename = "in")]
        unit: ResetUnit,
    },
}

/// Which address the browser may come back to.
#[derive(Debug, Clone, PartialEq, Eq, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Redirect {
    /// `http://127.0.0.1:PORT/oauth/callback` with any port.
    #[default]
    Loopback,
    /// Loopback with a port, a name or a path that are registered.
    LoopbackAt(LoopbackAt),
    /// A public https address.
    Https,
    /// An address of the application's own kind: `patchbay://oauth/callback`. Needs `pkce`, since any
    /// program can claim such addresses.
    Custom,
}

/// Loopback with a port, a name or a path that are registered.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct LoopbackAt {
    /// The port, where the other side compares it; any where it is not given.
    #[serde(default)]
    pub port: Option<u16>,
    /// What this computer is called.
    #[serde(default)]
    pub host: LoopbackHost,
    /// The path; `/oauth/callback` where it is not given.
    #[serde(default)]
    pub path: Option<String>,
}

/// What this computer is called.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize, JsonSchema)]
pub enum LoopbackHost {
    /// `127.0.0.1`
    #[default]
    #[serde(rename = "127.0.0.1")]
    Ip,
    /// `localhost`
    #[serde(rename = "localhost")]
    Localhost,
}

impl LoopbackHost {
    /// As it stands in an address.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Ip => "127.0.0.1",
            Self::Localhost => "localhost",
        }
    }
}

fn redirects<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Vec<Redirect>, D::Error> {
    let redirects: Vec<_> = OneOrMany::deserialize(deserializer)?.into();
    Ok(redirects)
}

/// A parameter of the callback that other texts use.
#[derive(Debug, Clone, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct CallbackParam {
    /// What it must match: it comes from outside, and may become part of a host.
    pub pattern: Pattern,
}

/// How a sign-in is taken back.
#[derive(Debug, Clone, PartialEq)]
pub enum Revoke {
    /// An address that takes RFC 7009: `token` and the client, as a form.
    Url(Template),
    /// A call; its texts may speak of `secrets.access_token`, `secrets.refresh_token` and
    /// `secrets.client_secret`.
    Call(Box<Call>),
}

text_list_or_object! {
    Revoke: "an address, or a call",
    text: |text| Template::new(text).map(Revoke::Url),
    object: Call => |call: Call| Ok::<_, String>(Revoke::Call(Box::new(call))),
}

/// A part of a token answer to keep: `.instance`, or `{ at: .domain_prefix, pattern: … }`.
#[derive(Debug, Clone, PartialEq)]
pub struct Keep {
    /// Where it is in the answer.
    pub at: Expression,
    /// What it must match. Needed where it becomes part of a host.
    pub pattern: Option<Pattern>,
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "KeepObject")]
pub(super) struct WrittenKeep {
    /// Where it is in the answer.
    at: Expression,
    /// What it must match.
    pattern: Option<Pattern>,
}

text_list_or_object! {
    Keep: "an expression, or `{ at: …, pattern: … }`",
    text: |text| Expression::compile(text).map(|at| Keep { at, pattern: None }),
    object: WrittenKeep => |written: WrittenKeep| {
        Ok::<_, String>(Keep { at: written.at, pattern: written.pattern })
    },
}

impl Keep {
    /// The part of `answer` to keep; none where it is not there or not of its pattern.
    pub fn take(&self, answer: &Json, now: Timestamp) -> Option<String> {
        let text = self.at.text_of(answer, now)?;
        self.pattern.as_ref().is_none_or(|pattern| pattern.matches(&text)).then_some(text)
    }
}

/// What carries an access token.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(try_from = "WrittenSend")]
pub enum Send {
    /// A header.
    Header {
        /// Its name.
        header: String,
        /// What stands before the token.
        prefix: String,
    },
    /// A parameter of the query.
    Query(String),
    /// `AUTH XOAUTH2` at a mail server, for this user.
    Xoauth2(Template),
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "Send")]
pub(super) struct WrittenSend {
    /// The name of a header; `authorization` where it is not given.
    header: Option<String>,
    /// What stands before the token; `Bearer ` where no header is given.
    prefix: Option<String>,
    /// The name of a parameter of the query.
    query: Option<String>,
    /// The user at a mail server.
    xoauth2: Option<Template>,
}

impl TryFrom<WrittenSend> for Send {
    type Error = String;

    fn try_from(written: WrittenSend) -> Result<Self, String> {
        match (written.header, written.prefix, written.query, written.xoauth2) {
            (None, None, Some(param), None) => Ok(Self::Query(param)),
            (None, None, None, Some(user)) => Ok(Self::Xoauth2(user)),
            (header, prefix, None, None) => {
                let bearer = if header.is_none() { "Bearer " } else { "" };
                let prefix = prefix.unwrap_or_else(|| bearer.into());
                Ok(Self::Header { header: header.unwrap_or_else(authorization), prefix })
            }
            _ => Err("`header`, `query` and `xoauth2` exclude each other".into()),
        }
    }
}

impl JsonSchema for Send {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        WrittenSend::schema_name()
    }

    fn json_schema(generator: &mut schemars::SchemaGenerator) -> schemars::Schema {
        WrittenSend::json_schema(generator)
    }
}

impl Default for Send {
    fn default() -> Self {
        Self::Header { header: authorization(), prefix: "Bearer ".into() }
    }
}

impl Send {
    /// The header and what stands before the token in it, where it is a header.
    pub fn header(&self) -> Option<(&str, &str)> {
        match self {
            Self::Header { header, prefix } => Some((header, prefix)),
            Self::Query(_) | Self::Xoauth2(_) => None,
        }
    }
}

impl OauthCode {
    pub(super) fn fields(&self) -> Vec<FormField> {
        client_fields(self.client_id.is_none(), self.secret)
    }

    /// The addresses that the browser may come back to, the one that is liked best first.
    pub fn redirects(&self) -> &[Redirect] {
        const ANY: &[Redirect] = &[Redirect::Loopback];
        if self.redirect.is_empty() { ANY } else { &self.redirect }
    }
}

impl ClientCredentials {
    pub(super) fn fields(&self) -> Vec<FormField> {
        client_fields(self.client_id.is_none(), ClientSecret::Required)
    }
}

impl Device {
    pub(super) fn fields(&self) -> Vec<FormField> {
        client_fields(self.client_id.is_none(), self.secret)
    }
}
