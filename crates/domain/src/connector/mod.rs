//! Connectors: what an API is like, as data.
//!
//! A connector is one YAML file, format 1, with an icon and recorded requests beside it. The types
//! of this module are that file after it was understood: every choice is an enum, every path is
//! compiled jq, every text a checked template, so that a mistake is found by loading and not while
//! a customer waits. What a provider does differently becomes one more variant of one enum here,
//! never Rust for that provider.
//!
//! A shorthand (`key: id` for `key: [id]`) exists in the file only: the types know the long form.

mod action;
mod auth;
mod call;
mod check;
mod field;
mod handshake;
mod jwt;
mod limit;
mod link;
mod load;
mod one_of;
pub mod own;
mod paging;
mod pattern;
mod place;
mod reconcile;
mod register;
mod rendered;
mod schema;
mod settled;
mod signed;
mod socket;
mod span;
mod stream;
mod verify;
mod webhook;

use indexmap::IndexMap;
use schemars::JsonSchema;
use serde::Deserialize;

pub use self::action::{Action, Does, Idempotency, IdempotencyBy, Input, InputKind};
pub use self::auth::{
    AppJwtExchange, Basic, CallbackParam, ClientAuth, ClientCredentials, ClientSecret, Device,
    Endpoint, ExchangeFrom, Expires, HeaderToken, Jwt, JwtAlg, JwtBearer, Keep, KeyHandOver,
    LoopbackAt, LoopbackHost, Mode, Oauth1, Oauth1Hash, Oauth1Place, OauthCode, Pkce, QueryToken,
    Redirect, Refresh, Revoke, Send, SmtpLogin, SmtpMechanism, TOKEN, TestOrLive, TokenBody,
    TokenExchange, TokenFacts, UrlSecret, Way, WayKind,
};
pub use self::call::{Ask, Body, Call, Graphql, Method, Pairs, Tree, render_headers};
pub use self::field::{Choices, Field, Fields, FormField};
pub use self::handshake::{Digest, DigestKey, Echo, EchoPlace, Handshake, Ping, Reply, Value};
pub use self::jwt::{ClaimIs, ClaimTime, JwtKey, SignedToken};
pub use self::limit::{
    Answered, Bucket, CostInBody, Errors, In200, Limit, LimitHeaders, LimitParts, Refusals, Reset,
    ResetUnit, RetryAfter, Size, Tier, TierBy, Used,
};
pub use self::load::{Error, Files, MAX_BYTES, load};
pub use self::paging::{
    CursorPaging, ExportPaging, Goes, HeaderLocator, KeysetPaging, NextUrl, OffsetPaging,
    PagePaging, Paging, Relay, Stop, VersionPaging, Which,
};
pub use self::pattern::Pattern;
pub use self::reconcile::{
    DeliveryLog, EventBody, EventLog, LookBack, Reconcile, ReconcileBy, ReconcileSource,
};
pub use self::register::{
    Each, Entries, EntryId, Health, HookSecret, LaterSecret, Manual, OursAs, OursEncoding,
    Register, RegisterBy, Resource, Single,
};
pub use self::rendered::{Content, Rendered};
pub use self::settled::{BySetting, Choices as SettingChoices, Unsettled};
pub use self::signed::{
    Carrier, Encoding, HostPattern, Key, KeyEncoding, List, Path, Piece, Place, PortForm,
    PublicKey, SignedAt, TimeAt, TimeUnit, UrlForm,
};
pub use self::socket::{Acknowledge, EventOf, Socket};
pub use self::span::{Span, SpanError};
pub use self::stream::{
    AnswerFormat, Begin, Beyond, Cap, Csv, CursorFormat, Deletions, Granularity, Job, Journal,
    Parent, Since, SinceBy, Source, Stream, Until, Zip,
};
pub use self::verify::{
    Algorithm, Asymmetric, Expectation, FillTime, FormGuard, Hash, HashConcat, Hmac, PUBLIC_KEY,
    Refetch, Rule, SIGNING_SECRET, Scheme, Signed, TokenAt, TokenEqual, Verify, When,
};
pub use self::webhook::{
    AboutRule, AnswerRule, ByType, Dedupe, Envelope, EventMethod, GivesUp, OtherAnswer, Pick,
    Webhooks,
};
use crate::expression::Expression;
use crate::template::Template;

/// The format that this program reads.
pub const FORMAT: u64 = 1;

/// What an API is like.
#[derive(Debug, Clone, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Connector {
    /// Always [`FORMAT`]; read before everything else.
    pub format: u64,
    /// Its id, which is the name of its folder: `shopify`.
    pub id: String,
    /// What people call it.
    pub name: String,
    /// How far it has been proved.
    pub status: Status,
    /// Where the provider describes its API.
    #[serde(default)]
    pub docs: Option<String>,
    /// What it is, in a sentence.
    #[serde(default)]
    pub about: Option<String>,
    /// Among which it is shown.
    #[serde(default)]
    pub family: Family,
    /// What the user fills in for a connection.
    #[serde(default)]
    pub settings: Fields,
    /// What paths are below. Needed where there are streams.
    #[serde(default)]
    pub base_url: Option<Template>,
    /// The hosts that may be called, beside that of `base_url` and those written out in full in
    /// `auth`.
    #[serde(default)]
    pub hosts: Vec<Template>,
    /// Headers of every call. One whose text comes to nothing is left out.
    #[serde(default)]
    pub headers: IndexMap<String, Template>,
    /// Where GraphQL is asked, below `base_url`.
    #[serde(default = "graphql_path")]
    pub graphql_path: Template,
    /// Ways in, easiest first.
    #[serde(default)]
    pub auth: Vec<Way>,
    /// One cheap call that shows whether the credentials work.
    #[serde(default)]
    pub check: Option<Check>,
    /// How often it may be called.
    #[serde(default)]
    pub limit: Limit,
    /// How it says what went wrong.
    #[serde(default)]
    pub errors: Errors,
    /// Collections that can be read.
    #[serde(default)]
    pub streams: IndexMap<String, Stream>,
    /// Single calls that steps can make.
    #[serde(default)]
    pub actions: IndexMap<String, Action>,
    /// The mail server, where it sends mail.
    #[serde(default)]
    pub smtp: Option<Smtp>,
    /// How its webhooks are received.
    #[serde(default)]
    pub webhooks: Option<Webhooks>,
    /// How its events come over a connection that we open.
    #[serde(default)]
    pub socket: Option<Socket>,
    /// How it is told of an inbox's address.
    #[serde(default)]
    pub register: Option<Register>,
    /// What it can be asked afterwards, to find what did not arrive.
    #[serde(default)]
    pub reconcile: Reconcile,
}

fn graphql_path() -> Template {
    // It has no values, so it is a template.
    Template::plain("/graphql")
}

/// A mail server.
#[derive(Debug, Clone, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Smtp {
    /// Its name.
    pub host: Template,
    /// Its port.
    pub port: Template,
    /// How it is encrypted: `implicit`, or `starttls`, which is then insisted on; or `none`, which
    /// only a server on the same computer is talked to by.
    pub tls: Template,
    /// Whom mail is from, unless an action says it.
    #[serde(default)]
    pub from: Option<Template>,
}

/// How far a connector has been proved.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Status {
    /// Written from the provider's documentation.
    Documented,
    /// Somebody has used it with a live account.
    Tried,
    /// It speaks to the pretend shop inside this program.
    Sandbox,
}

/// What a connector is for, so that somebody finds it among many.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Family {
    /// Shops, tills and their stock.
    Shop,
    /// Money that is paid.
    Payments,
    /// Parcels, labels and rates.
    Shipping,
    /// Customers and leads.
    Customers,
    /// Tickets and conversations.
    Support,
    /// Chats, calls and text messages.
    Messages,
    /// Mail.
    Mail,
    /// Forms and their answers.
    Forms,
    /// Repositories, issues and the work on them.
    Code,
    /// Whatever speaks a common language: for no system in particular.
    #[default]
    General,
}

/// One cheap call that shows whether the credentials work.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(try_from = "WrittenCheck")]
pub struct Check {
    /// How it is asked.
    pub ask: Ask,
    /// The account's own name, in the answer.
    pub account: Option<Expression>,
}

call::asking! {
    /// The written form of a [`Check`].
    #[schemars(rename = "Check")]
    pub(crate) struct WrittenCheck {
        /// The account's own name, in the answer.
        account: Option<Expression>,
    }
}

impl TryFrom<WrittenCheck> for Check {
    type Error = String;

    fn try_from(mut written: WrittenCheck) -> Result<Self, String> {
        Ok(Self { ask: written.take_ask().try_into()?, account: written.account })
    }
}

impl JsonSchema for Check {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        WrittenCheck::schema_name()
    }

    fn json_schema(generator: &mut schemars::SchemaGenerator) -> schemars::Schema {
        WrittenCheck::json_schema(generator)
    }
}

impl Connector {
    /// The way in of this id; the first where none is named.
    pub fn way(&self, id: Option<&str>) -> Option<&Way> {
        match id {
            None => self.auth.first(),
            Some(id) => self.auth.iter().find(|way| way.id == id).or_else(|| {
                // What an older version stored: its place.
                self.auth.get(id.parse::<usize>().ok()?)
            }),
        }
    }

    /// What settings are where nobody fills them in, for the way in of this id: their default, or
    /// an empty text where they may be left out. The others are missing then.
    pub fn unfilled(&self, way: &str) -> serde_json::Map<String, serde_json::Value> {
        let way = self.way(Some(way));
        let fields = way.into_iter().flat_map(Way::fields);
        let fields = fields.filter(|field| !field.secret).chain(self.setting_fields());
        let value = |field: &Field| {
            let default = field.default.clone();
            default.or_else(|| field.optional.then(String::new))
        };
        fields
            .filter_map(|it| Some((it.name, serde_json::Value::String(value(&it.field)?))))
            .collect()
    }

    /// What the user fills in for a connection, as a form shows it.
    pub fn setting_fields(&self) -> Vec<FormField> {
        webhook::form(&self.settings, false)
    }

    /// A stream's title: its own, or its id with a capital.
    pub fn stream_title(&self, id: &str) -> String {
        match self.streams.get(id).and_then(|stream| stream.title.clone()) {
            Some(title) => title,
            None => {
                let spaced = id.replace('_', " ");
                let mut letters = spaced.chars();
                letters
                    .next()
                    .map_or_else(String::new, |first| first.to_uppercase().chain(letters).collect())
            }
        }
    }

    /// The JSON schema of the file, for editors.
    pub fn schema() -> serde_json::Value {
        let mut schema = schemars::schema_for!(Self);
        schema.insert("title".into(), "A connector of Patchbay, format 1".into());
        schema.insert("description".into(), "What an API is like.".into());
        let mut schema = schema.to_value();
        schema::complete(&mut schema);
        plain_descriptions(&mut schema);
        schema
    }
}

/// Documentation links to types mean nothing to whoever writes a connector.
fn plain_descriptions(schema: &mut serde_json::Value) {
    match schema {
        serde_json::Value::Object(members) => {
            if let Some(serde_json::Value::String(text)) = members.get_mut("description") {
                *text = text.replace("[`", "`").replace("`]", "`").replace('\n', " ");
            }
            members.values_mut().for_each(plain_descriptions);
        }
        serde_json::Value::Array(items) => items.iter_mut().for_each(plain_descriptions),
        _ => {}
    }
}
