//! Ways in: how a connection gets the credentials that its calls carry.
//!
//! A kind is named by what the other side does, never by who it is. Texts of a way speak of
//! `settings` and, here alone, of `secrets`: those that its `fields` name and those that its kind
//! brings along. What a kind leaves open (where a token stands in an answer, how long it lives) is
//! the same for all that end in a token answer, see [`Endpoint`] and [`TokenFacts`].

mod pasted;
mod tokens;

use indexmap::IndexMap;
use schemars::JsonSchema;
use serde::Deserialize;

use super::Check;
use super::field::{Field, Fields, FormField};
use super::one_of::one_of;
use super::pattern::Pattern;
use super::span::Span;
use crate::template::Template;

pub use self::pasted::{
    Basic, HeaderToken, KeyHandOver, Oauth1, Oauth1Hash, Oauth1Place, QueryToken, SmtpLogin,
    SmtpMechanism, TOKEN, UrlSecret,
};
pub use self::tokens::{
    AppJwtExchange, CallbackParam, ClientAuth, ClientCredentials, ClientSecret, Device, Endpoint,
    ExchangeFrom, Expires, Jwt, JwtAlg, JwtBearer, Keep, LoopbackAt, LoopbackHost, OauthCode, Pkce,
    Redirect, Refresh, Revoke, Send, TokenBody, TokenExchange, TokenFacts,
};

/// A way in. A connector lists them easiest first.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(try_from = "Written")]
pub struct Way {
    /// Its name among the ways of this connector: that of its kind, unless it is given.
    pub id: String,
    /// What the user chooses.
    pub title: String,
    /// Who can use it.
    pub who: Option<String>,
    /// How many minutes it takes.
    pub minutes: Option<u32>,
    /// What has to be there first.
    pub needs: Option<String>,
    /// What it cannot do.
    pub cannot: Option<String>,
    /// The steps, as Markdown.
    pub steps: Option<String>,
    /// What the user fills in for it, beside what its kind always asks for. One of the same name
    /// says more of what the kind asks for.
    pub own_fields: Fields,
    /// How test and live accounts are told apart.
    pub test_or_live: Option<TestOrLive>,
    /// The check of this way, where it is another than the connector's.
    pub check: Option<Check>,
    /// How it works.
    pub kind: WayKind,
}

/// How a way in works.
#[derive(Debug, Clone, PartialEq)]
pub enum WayKind {
    /// The user signs in with a browser, which brings a code back.
    OauthCode(Box<OauthCode>),
    /// The app itself is let in, with its id and secret.
    ClientCredentials(Box<ClientCredentials>),
    /// The user types a short code into a page of the provider.
    Device(Box<Device>),
    /// A JWT that we sign becomes a token.
    JwtBearer(Box<JwtBearer>),
    /// A JWT that we sign makes a call that answers with a token.
    AppJwtExchange(Box<AppJwtExchange>),
    /// The token of another kind becomes a narrower one.
    TokenExchange(Box<TokenExchange>),
    /// The user pastes a token, which goes along in a header.
    HeaderToken(HeaderToken),
    /// The user pastes a token, which goes along in the query.
    QueryToken(QueryToken),
    /// A user and a password, in every call.
    Basic(Basic),
    /// The address that is called is the secret.
    UrlSecret(UrlSecret),
    /// Every call is signed by OAuth 1.0a.
    Oauth1(Box<Oauth1>),
    /// The other side sends keys to an address of ours.
    KeyHandOver(Box<KeyHandOver>),
    /// A user and a password for a mail server.
    SmtpLogin(SmtpLogin),
    /// Nothing is needed.
    None,
}

/// The written form of a [`Way`].
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "Way")]
pub(crate) struct Written {
    /// Needed only where two ways are of one kind.
    id: Option<String>,
    /// What the user chooses.
    title: Option<String>,
    /// Who can use it.
    who: Option<String>,
    /// How many minutes it takes.
    minutes: Option<u32>,
    /// What has to be there first.
    needs: Option<String>,
    /// What it cannot do.
    cannot: Option<String>,
    /// A Markdown file beside the connector, or Markdown.
    pub(super) steps: Option<String>,
    /// What the user fills in for it; `secret: true` puts a value into the vault.
    #[serde(default)]
    fields: Fields,
    /// How test and live accounts are told apart.
    test_or_live: Option<TestOrLive>,
    /// The check of this way, where it is another than the connector's.
    check: Option<Check>,
    /// Signing in with a browser.
    oauth_code: Option<Box<OauthCode>>,
    /// Id and secret of an app become a token.
    client_credentials: Option<Box<ClientCredentials>>,
    /// A short code that is typed into a page of the provider.
    device: Option<Box<Device>>,
    /// A JWT that we sign becomes a token.
    jwt_bearer: Option<Box<JwtBearer>>,
    /// A JWT that we sign makes a call that answers with a token.
    app_jwt_exchange: Option<Box<AppJwtExchange>>,
    /// The token of another kind becomes a narrower one.
    token_exchange: Option<Box<TokenExchange>>,
    /// A token that goes along in a header.
    header_token: Option<HeaderToken>,
    /// A token that goes along in the query.
    query_token: Option<QueryToken>,
    /// User and password in every call.
    basic: Option<Basic>,
    /// The address that is called is the secret.
    url_secret: Option<UrlSecret>,
    /// Calls that are signed by OAuth 1.0a.
    oauth1: Option<Box<Oauth1>>,
    /// Keys that the other side sends to an address of ours.
    key_hand_over: Option<Box<KeyHandOver>>,
    /// User and password for a mail server.
    smtp_login: Option<SmtpLogin>,
    /// Nothing is needed: `none: {}`.
    none: Option<Nothing>,
}

/// `{}`
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Nothing {}

impl TryFrom<Written> for Way {
    type Error = String;

    fn try_from(written: Written) -> Result<Self, String> {
        let kind = one_of([
            ("oauth_code", written.oauth_code.map(WayKind::OauthCode)),
            ("client_credentials", written.client_credentials.map(WayKind::ClientCredentials)),
            ("device", written.device.map(WayKind::Device)),
            ("jwt_bearer", written.jwt_bearer.map(WayKind::JwtBearer)),
            ("app_jwt_exchange", written.app_jwt_exchange.map(WayKind::AppJwtExchange)),
            ("token_exchange", written.token_exchange.map(WayKind::TokenExchange)),
            ("header_token", written.header_token.map(WayKind::HeaderToken)),
            ("query_token", written.query_token.map(WayKind::QueryToken)),
            ("basic", written.basic.map(WayKind::Basic)),
            ("url_secret", written.url_secret.map(WayKind::UrlSecret)),
            ("oauth1", written.oauth1.map(WayKind::Oauth1)),
            ("key_hand_over", written.key_hand_over.map(WayKind::KeyHandOver)),
            ("smtp_login", written.smtp_login.map(WayKind::SmtpLogin)),
            ("none", written.none.map(|_| WayKind::None)),
        ])?;
        Ok(Self {
            id: written.id.unwrap_or_else(|| kind.name().into()),
            title: written.title.unwrap_or_else(|| kind.title().into()),
            who: written.who,
            minutes: written.minutes,
            needs: written.needs,
            cannot: written.cannot,
            steps: written.steps,
            own_fields: written.fields,
            test_or_live: written.test_or_live,
            check: written.check,
            kind,
        })
    }
}

impl JsonSchema for Way {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        Written::schema_name()
    }

    fn json_schema(generator: &mut schemars::SchemaGenerator) -> schemars::Schema {
        Written::json_schema(generator)
    }
}

/// How test and live accounts are told apart: by what a key looks like, or by a setting.
#[derive(Debug, Clone, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct TestOrLive {
    /// The field that tells, a secret of this way or a setting.
    #[serde(default = "token")]
    pub field: String,
    /// How the value of a test account begins, or is in full where it is a setting.
    #[serde(default)]
    pub test: Option<Pattern>,
    /// How that of a live account does.
    #[serde(default)]
    pub live: Option<Pattern>,
}

fn token() -> String {
    TOKEN.into()
}

/// Whether an account is for trying out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// It is.
    Test,
    /// It is not.
    Live,
}

impl TestOrLive {
    /// What `value` tells; none where it fits neither.
    pub fn tell(&self, value: &str) -> Option<Mode> {
        let fits = |pattern: &Option<Pattern>| pattern.as_ref().is_some_and(|it| it.begins(value));
        if fits(&self.test) {
            Some(Mode::Test)
        } else if fits(&self.live) {
            Some(Mode::Live)
        } else {
            None
        }
    }
}

impl WayKind {
    /// As connectors write it.
    pub const fn name(&self) -> &'static str {
        match self {
            Self::OauthCode(_) => "oauth_code",
            Self::ClientCredentials(_) => "client_credentials",
            Self::Device(_) => "device",
            Self::JwtBearer(_) => "jwt_bearer",
            Self::AppJwtExchange(_) => "app_jwt_exchange",
            Self::TokenExchange(_) => "token_exchange",
            Self::HeaderToken(_) => "header_token",
            Self::QueryToken(_) => "query_token",
            Self::Basic(_) => "basic",
            Self::UrlSecret(_) => "url_secret",
            Self::Oauth1(_) => "oauth1",
            Self::KeyHandOver(_) => "key_hand_over",
            Self::SmtpLogin(_) => "smtp_login",
            Self::None => "none",
        }
    }

    const fn title(&self) -> &'static str {
        match self {
            Self::OauthCode(_) => "Sign in",
            Self::ClientCredentials(_) => "Own app",
            Self::Device(_) => "Sign in with a code",
            Self::JwtBearer(_) | Self::AppJwtExchange(_) => "App with a key",
            Self::TokenExchange(_) => "Token of a part",
            Self::HeaderToken(_) | Self::QueryToken(_) => "Token",
            Self::Basic(_) | Self::Oauth1(_) => "Keys",
            Self::UrlSecret(_) => "Secret address",
            Self::KeyHandOver(_) => "Keys, by a click",
            Self::SmtpLogin(_) => "User and password",
            Self::None => "No sign-in",
        }
    }

    /// What it always asks for, by the names that its texts use.
    fn fields(&self) -> Vec<FormField> {
        match self {
            Self::OauthCode(oauth) => oauth.fields(),
            Self::ClientCredentials(client) => client.fields(),
            Self::Device(device) => device.fields(),
            Self::JwtBearer(bearer) => bearer.jwt.fields(),
            Self::AppJwtExchange(exchange) => exchange.jwt.fields(),
            Self::TokenExchange(exchange) => exchange.from.kind.fields(),
            Self::HeaderToken(token) => token.fields(),
            Self::QueryToken(token) => token.fields(),
            Self::UrlSecret(url) => url.fields(),
            Self::Basic(_)
            | Self::Oauth1(_)
            | Self::KeyHandOver(_)
            | Self::SmtpLogin(_)
            | Self::None => Vec::new(),
        }
    }

    /// How a token answer of it is read; none where there is no token answer.
    pub fn token_facts(&self) -> Option<TokenFacts<'_>> {
        match self {
            Self::OauthCode(way) => Some(way.answer()),
            Self::ClientCredentials(way) => Some(way.answer()),
            Self::Device(way) => Some(way.answer()),
            Self::JwtBearer(way) => Some(way.answer()),
            Self::AppJwtExchange(way) => Some(way.answer()),
            Self::TokenExchange(way) => Some(way.answer()),
            Self::HeaderToken(_)
            | Self::QueryToken(_)
            | Self::Basic(_)
            | Self::UrlSecret(_)
            | Self::Oauth1(_)
            | Self::KeyHandOver(_)
            | Self::SmtpLogin(_)
            | Self::None => None,
        }
    }

    /// Where it asks for tokens; none where there is no token endpoint.
    pub fn endpoint(&self) -> Option<Endpoint<'_>> {
        match self {
            Self::OauthCode(way) => Some(way.endpoint()),
            Self::ClientCredentials(way) => Some(way.endpoint()),
            Self::Device(way) => Some(way.endpoint()),
            Self::JwtBearer(way) => Some(way.endpoint()),
            _ => None,
        }
    }

    /// What becomes of the refresh token; of a way without one, that the token is asked for anew.
    pub fn refresh(&self) -> Refresh {
        match self {
            Self::OauthCode(way) => way.refresh,
            Self::Device(way) => way.refresh,
            Self::TokenExchange(way) => way.refresh,
            Self::ClientCredentials(_) | Self::JwtBearer(_) | Self::AppJwtExchange(_) => {
                Refresh::ReRequest
            }
            _ => Refresh::None,
        }
    }

    /// How long its refresh token lives when it is not used, where the connector says so.
    pub const fn refresh_lives(&self) -> Option<Span> {
        match self {
            Self::OauthCode(way) => way.refresh_lives,
            _ => None,
        }
    }

    /// The parts of its token answers to keep, by the names that other texts use.
    pub fn keep(&self) -> impl Iterator<Item = (&str, &Keep)> {
        let own = self.token_facts().map(|facts| facts.keep);
        let from = match self {
            Self::TokenExchange(way) => way.from.kind.token_facts().map(|facts| facts.keep),
            _ => None,
        };
        own.into_iter().chain(from).flatten().map(|(name, keep)| (name.as_str(), keep))
    }

    /// The header in which calls carry a token, and what stands before it; none where they carry
    /// it elsewhere, or none.
    pub fn token_header(&self) -> Option<(&str, &str)> {
        match self {
            Self::HeaderToken(way) => Some((way.header.text(), way.prefix.text())),
            other => match other.token_facts()?.send {
                Send::Header { header, prefix } => Some((header, prefix)),
                Send::Query(_) | Send::Xoauth2(_) => None,
            },
        }
    }

    /// The one inside of an exchange, or itself.
    pub fn inner(&self) -> &Self {
        match self {
            Self::TokenExchange(way) => way.from.kind.inner(),
            other => other,
        }
    }

    /// The addresses that it calls, with the words that stand before them.
    pub fn addresses(&self) -> Vec<(&'static str, &Template)> {
        let mut addresses = Vec::new();
        if let Some(endpoint) = self.endpoint() {
            addresses.push(("token_url", endpoint.token_url));
        }
        match self {
            Self::OauthCode(way) => {
                addresses.push(("authorize_url", &way.authorize_url));
                if let Some(Revoke::Url(url)) = &way.revoke {
                    addresses.push(("revoke", url));
                }
            }
            Self::Device(way) => addresses.push(("device_url", &way.device_url)),
            Self::KeyHandOver(way) => addresses.push(("open", &way.open)),
            Self::TokenExchange(way) => addresses.extend(way.from.kind.addresses()),
            _ => {}
        }
        addresses
    }
}

impl Way {
    /// What the user fills in for it, beside the connector's own settings.
    pub fn fields(&self) -> Vec<FormField> {
        let mut fields = self.kind.fields();
        for (name, own) in &self.own_fields {
            match fields.iter_mut().find(|field| field.name == *name) {
                Some(field) => field.field = own.clone(),
                None => fields.push(FormField {
                    name: name.clone(),
                    field: own.clone(),
                    secret: own.secret,
                }),
            }
        }
        fields
    }

    /// Whether a browser is needed, which comes back to us.
    pub fn browser(&self) -> bool {
        matches!(self.kind.inner(), WayKind::OauthCode(_))
    }

    /// Whether its user has to do something at the provider that we wait for.
    pub fn signs_in(&self) -> bool {
        matches!(
            self.kind.inner(),
            WayKind::OauthCode(_) | WayKind::Device(_) | WayKind::KeyHandOver(_)
        )
    }

    /// The field whose value is longer than a line: a private key.
    pub fn long_field(&self) -> Option<&str> {
        match &self.kind {
            WayKind::JwtBearer(way) => Some(&way.jwt.key),
            WayKind::AppJwtExchange(way) => Some(&way.jwt.key),
            _ => None,
        }
    }
}

/// The names under which sign-ins keep an app's id and secret.
pub(super) fn client_fields(id: bool, secret: ClientSecret) -> Vec<FormField> {
    let mut fields = Vec::new();
    if id {
        let field = Field::titled("Client id", "The id of your app at the provider.");
        fields.push(FormField { name: "client_id".into(), field, secret: false });
    }
    if secret != ClientSecret::Forbidden {
        let field = Field {
            optional: secret == ClientSecret::Optional,
            ..Field::titled("Client secret", "The secret of your app at the provider.")
        };
        fields.push(FormField { name: "client_secret".into(), field, secret: true });
    }
    fields
}

/// Texts by name: of a query, a form, headers.
pub(super) type Texts = IndexMap<String, Template>;

#[cfg(test)]
mod tests;
