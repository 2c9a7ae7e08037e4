//! Ways in: how a connection gets the credentials that its calls carry.

use indexmap::IndexMap;
use jiff::Timestamp;
use schemars::JsonSchema;
use serde::Deserialize;

use super::field::{Field, FormField};
use super::one_of::one_of;
use super::pattern::Pattern;
use crate::expression::Expression;
use crate::json::Json;
use crate::template::Template;

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
    /// How it works.
    pub kind: WayKind,
}

/// How a way in works.
#[derive(Debug, Clone, PartialEq)]
pub enum WayKind {
    /// The user signs in with a browser, which brings a code back.
    OauthCode(Box<OauthCode>),
    /// The user pastes a token, which goes along in a header.
    HeaderToken(HeaderToken),
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
    /// Signing in with a browser.
    oauth_code: Option<Box<OauthCode>>,
    /// A token that goes along in a header.
    header_token: Option<HeaderToken>,
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
            ("header_token", written.header_token.map(WayKind::HeaderToken)),
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

impl WayKind {
    /// As connectors write it.
    pub const fn name(&self) -> &'static str {
        match self {
            Self::OauthCode(_) => "oauth_code",
            Self::HeaderToken(_) => "header_token",
            Self::None => "none",
        }
    }

    const fn title(&self) -> &'static str {
        match self {
            Self::OauthCode(_) => "Sign in",
            Self::HeaderToken(_) => "Token",
            Self::None => "No sign-in",
        }
    }
}

impl Way {
    /// What the user fills in for it, beside the connector's own settings.
    pub fn fields(&self) -> Vec<FormField> {
        match &self.kind {
            WayKind::OauthCode(oauth) => oauth.fields(),
            WayKind::HeaderToken(token) => vec![FormField {
                name: TOKEN.into(),
                field: Field {
                    pattern: token.pattern.clone(),
                    example: token.example.clone(),
                    ..Field::titled("Token", "The key or token that this account was given.")
                },
                secret: true,
            }],
            WayKind::None => Vec::new(),
        }
    }

    /// Whether a browser is needed.
    pub const fn browser(&self) -> bool {
        matches!(self.kind, WayKind::OauthCode(_))
    }
}

/// The name of a pasted token among the secrets of a connection.
pub const TOKEN: &str = "token";

/// Signing in with a browser: OAuth 2 with an authorization code.
#[derive(Debug, Clone, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct OauthCode {
    /// The consent page.
    pub authorize_url: Template,
    /// Where a code and a refresh token become tokens.
    pub token_url: Template,
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
    /// How the client shows that it is the client.
    #[serde(default)]
    pub client: ClientAuth,
    /// What is asked for.
    #[serde(default)]
    pub scopes: Vec<String>,
    /// What stands between two scopes.
    #[serde(default = "space")]
    pub scope_separator: String,
    /// Further parameters of the consent page.
    #[serde(default)]
    pub authorize_params: IndexMap<String, Template>,
    /// Further parameters of the exchange and of a refresh.
    #[serde(default)]
    pub token_params: IndexMap<String, Template>,
    /// What becomes of the refresh token.
    #[serde(default)]
    pub refresh: Refresh,
    /// Which address the browser may come back to.
    #[serde(default)]
    pub redirect: Redirect,
    /// Where a refusal stands that comes with status 200.
    #[serde(default)]
    pub error_in_200: Option<Expression>,
    /// Parameters of the callback that other texts use as `callback.NAME`.
    #[serde(default)]
    pub callback: IndexMap<String, CallbackParam>,
    /// Parts of the token answer to keep, for other texts to use as `token.NAME`.
    #[serde(default)]
    pub keep: IndexMap<String, Keep>,
    /// The header that carries the access token.
    #[serde(default)]
    pub send: Send,
}

fn space() -> String {
    " ".into()
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
    /// Id and secret in the form.
    #[default]
    Form,
    /// Id and secret as basic authorization.
    Basic,
}

/// What becomes of a refresh token.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Refresh {
    /// There is none: the access token stays, or the user signs in again.
    #[default]
    None,
    /// It can be used again and again.
    Reusable,
    /// It is good once; each refresh brings the next.
    Rotating,
}

/// Which address the browser may come back to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Redirect {
    /// `http://127.0.0.1:PORT/oauth/callback` with any port.
    #[default]
    Loopback,
    /// A public https address.
    Https,
}

/// A parameter of the callback that other texts use.
#[derive(Debug, Clone, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct CallbackParam {
    /// What it must match: it comes from outside, and may become part of a host.
    pub pattern: Pattern,
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

super::one_of::text_list_or_object! {
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

/// A token that the user pastes.
#[derive(Debug, Clone, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct HeaderToken {
    /// The header that carries it.
    #[serde(default = "authorization")]
    pub header: String,
    /// What stands before it: `Bearer `, `Bot `.
    #[serde(default)]
    pub prefix: String,
    /// What it looks like.
    #[serde(default)]
    pub pattern: Option<Pattern>,
    /// How one looks, shortened.
    #[serde(default)]
    pub example: Option<String>,
}

/// The header that carries an access token.
#[derive(Debug, Clone, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Send {
    /// Its name.
    #[serde(default = "authorization")]
    pub header: String,
    /// What stands before the token.
    #[serde(default)]
    pub prefix: String,
}

impl Default for Send {
    fn default() -> Self {
        Self { header: authorization(), prefix: "Bearer ".into() }
    }
}

fn authorization() -> String {
    "authorization".into()
}

impl OauthCode {
    fn fields(&self) -> Vec<FormField> {
        let mut fields = Vec::new();
        if self.client_id.is_none() {
            let field = Field::titled("Client id", "The id of your app at the provider.");
            fields.push(FormField { name: "client_id".into(), field, secret: false });
        }
        if self.secret != ClientSecret::Forbidden {
            let field = Field {
                optional: self.secret == ClientSecret::Optional,
                ..Field::titled("Client secret", "The secret of your app at the provider.")
            };
            fields.push(FormField { name: "client_secret".into(), field, secret: true });
        }
        fields
    }
}
