//! Ways in without a token answer: what the user gives is what calls carry.

use indexmap::IndexMap;
use schemars::JsonSchema;
use serde::Deserialize;

use super::Texts;
use super::tokens::Keep;
use crate::connector::field::{Field, FormField};
use crate::connector::pattern::Pattern;
use crate::expression::Expression;
use crate::template::Template;

/// The name of a pasted token among the secrets of a connection.
pub const TOKEN: &str = "token";

/// A token that the user pastes, in a header.
#[derive(Debug, Clone, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct HeaderToken {
    /// The header that carries it, a text over `settings`.
    #[serde(default = "authorization_text")]
    pub header: Template,
    /// What stands before it: `Bearer `, `Bot `. A text over `settings`, too.
    #[serde(default = "nothing")]
    pub prefix: Template,
    /// What it looks like.
    #[serde(default)]
    pub pattern: Option<Pattern>,
    /// How one looks, shortened.
    #[serde(default)]
    pub example: Option<String>,
    /// Further headers, whose texts may speak of `secrets` that `fields` name. One that comes to
    /// nothing is left out.
    #[serde(default)]
    pub headers: Texts,
}

pub(super) fn authorization() -> String {
    "authorization".into()
}

fn authorization_text() -> Template {
    Template::plain("authorization")
}

fn nothing() -> Template {
    Template::plain("")
}

impl HeaderToken {
    pub(super) fn fields(&self) -> Vec<FormField> {
        vec![token_field(self.pattern.as_ref(), self.example.as_ref())]
    }
}

fn token_field(pattern: Option<&Pattern>, example: Option<&String>) -> FormField {
    FormField {
        name: TOKEN.into(),
        field: Field {
            pattern: pattern.cloned(),
            example: example.cloned(),
            ..Field::titled("Token", "The key or token that this account was given.")
        },
        secret: true,
    }
}

/// A token in the query: `{ param: access_token }`, or several with `params`.
#[derive(Debug, Clone, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct QueryToken {
    /// The parameter that carries the pasted token, a text over `settings`.
    #[serde(default)]
    pub param: Option<Template>,
    /// What the token looks like.
    #[serde(default)]
    pub pattern: Option<Pattern>,
    /// Further parameters, whose texts may speak of `secrets` that `fields` name.
    #[serde(default)]
    pub params: Texts,
}

impl QueryToken {
    pub(super) fn fields(&self) -> Vec<FormField> {
        let pasted = self.param.as_ref().map(|_| token_field(self.pattern.as_ref(), None));
        pasted.into_iter().collect()
    }
}

/// User and password in every call. A password that is derived is a text too:
/// `"{{ (secrets.token ~ secrets.app_secret) | md5 }}"`.
#[derive(Debug, Clone, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Basic {
    /// The user: `api`, or `"{{ secrets.key }}"`.
    pub user: Template,
    /// The password; an empty one where it is not given.
    #[serde(default)]
    pub pass: Option<Template>,
}

/// The address that is called is the secret; it is pasted as `url`. Paths of actions for this way
/// are below it, and may be empty.
#[derive(Debug, Clone, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct UrlSecret {
    /// What the address looks like, host and all: it decides who is called.
    pub pattern: Pattern,
    /// How one looks, shortened.
    #[serde(default)]
    pub example: Option<String>,
}

impl UrlSecret {
    /// The name of the address among the secrets of a connection.
    pub const URL: &str = "url";

    pub(super) fn fields(&self) -> Vec<FormField> {
        let field = Field {
            pattern: Some(self.pattern.clone()),
            example: self.example.clone(),
            ..Field::titled("Address", "The whole address. Whoever has it can use it.")
        };
        vec![FormField { name: Self::URL.into(), field, secret: true }]
    }
}

/// Calls that are signed by OAuth 1.0a (RFC 5849), with a token or with a client alone.
#[derive(Debug, Clone, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Oauth1 {
    /// Whose key it is.
    pub consumer_key: Template,
    /// Its secret.
    pub consumer_secret: Template,
    /// For whom, where the other side knows that.
    #[serde(default)]
    pub token: Option<Template>,
    /// The secret of the token.
    #[serde(default)]
    pub token_secret: Option<Template>,
    /// What the signature is made with.
    #[serde(default)]
    pub hash: Oauth1Hash,
    /// Where the signature goes.
    #[serde(default, rename = "in")]
    pub place: Oauth1Place,
}

/// What a signature of OAuth 1.0a is made with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Oauth1Hash {
    /// `HMAC-SHA1`.
    #[default]
    HmacSha1,
    /// `HMAC-SHA256`.
    HmacSha256,
}

/// Where a signature of OAuth 1.0a goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Oauth1Place {
    /// Into `authorization`.
    #[default]
    Header,
    /// Into the query.
    Query,
}

/// The browser opens a page of the other side, whose server then sends keys to an address of ours.
/// Needs a public https address. Texts may speak of `callback.url` (where keys are taken),
/// `callback.return_url` (where the browser ends) and `callback.nonce` (ours, to be sent back).
#[derive(Debug, Clone, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct KeyHandOver {
    /// The page.
    pub open: Template,
    /// Its query.
    #[serde(default)]
    pub params: Texts,
    /// Where our nonce comes back, in what is sent.
    pub nonce: Expression,
    /// What of it is kept, as secrets of these names: `.consumer_key`, or `{ at: …, pattern: … }`.
    pub secrets: IndexMap<String, Keep>,
    /// Whether the browser was told no: over the query with which it comes back, all of it texts.
    #[serde(default)]
    pub denied: Option<Expression>,
    /// What calls carry then; its texts speak of these secrets.
    pub basic: Basic,
}

/// User and password for a mail server.
#[derive(Debug, Clone, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SmtpLogin {
    /// The user.
    pub user: Template,
    /// The password.
    pub pass: Template,
    /// Which mechanisms may be used, the one that is liked best first; those that the server
    /// offers where it is not given.
    #[serde(default)]
    pub mechanisms: Vec<SmtpMechanism>,
}

/// A mechanism of `AUTH`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum SmtpMechanism {
    /// `PLAIN`.
    Plain,
    /// `LOGIN`.
    Login,
}
