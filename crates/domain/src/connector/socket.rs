//! Sockets: connections that we open to a provider, and over which it sends its events. They need
//! no address of our own.

use schemars::JsonSchema;
use serde::{Deserialize, Deserializer};

use super::auth::Way;
use super::call::{Ask, Tree};
use super::one_of::OneOrMany;
use super::signed::HostPattern;
use super::span::Span;
use crate::expression::Expression;
use crate::template::Template;

/// How events come over a socket. What they say is read as `webhooks` says it.
///
/// Expressions are over one message of the socket, but for `url`.
#[derive(Debug, Clone, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Socket {
    /// Asks for the address, anew before each connection.
    pub open: Ask,
    /// The secret of a way in that goes along with `open`, in place of the way's own token.
    #[serde(default)]
    pub token: Option<String>,
    /// Where the address is in the answer.
    pub url: Expression,
    /// The hosts that it may lead to.
    #[serde(deserialize_with = "one_or_many")]
    #[schemars(with = "OneOrMany<HostPattern>")]
    pub hosts: Vec<HostPattern>,
    /// Which message says that events may come. Without it, they may at once.
    #[serde(default)]
    pub ready: Option<Expression>,
    /// How long that message may take.
    #[serde(default = "thirty_seconds")]
    pub ready_within: Span,
    /// What is sent for a message, once what it says is kept.
    #[serde(default)]
    pub ack: Option<Acknowledge>,
    /// Which messages are events, and what of them is one.
    #[serde(default)]
    pub event: EventOf,
    /// Which message says that another socket is to be opened: this one ends soon.
    #[serde(default)]
    pub renew: Option<Expression>,
    /// Which message says that none is to be opened until the user has done something.
    #[serde(default)]
    pub stop: Option<Expression>,
    /// How long it may be silent before we ask whether anybody is there.
    #[serde(default = "thirty_seconds")]
    pub ping: Span,
}

/// What is sent for a message.
#[derive(Debug, Clone, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Acknowledge {
    /// For which messages; all where it is not given.
    #[serde(default)]
    pub when: Option<Expression>,
    /// What; its texts speak of `message`.
    pub json: Tree,
    /// How long the other side waits for it.
    #[serde(default = "three_seconds")]
    pub within: Span,
}

/// Which messages are events, and what of them is one.
#[derive(Debug, Clone, PartialEq, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct EventOf {
    /// Which messages; all that say nothing else where it is not given.
    #[serde(default)]
    pub when: Option<Expression>,
    /// What of them would be the body of a webhook; the whole message where it is not given.
    #[serde(default)]
    pub at: Option<Expression>,
}

const fn thirty_seconds() -> Span {
    Span::seconds(30)
}

const fn three_seconds() -> Span {
    Span::seconds(3)
}

fn one_or_many<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<HostPattern>, D::Error> {
    OneOrMany::deserialize(deserializer).map(Vec::from)
}

impl Socket {
    /// Whether a connection that is let in this way can open it.
    pub fn opens_by(&self, way: &Way) -> bool {
        self.token.as_ref().is_none_or(|token| {
            way.fields().iter().any(|field| field.secret && field.name == *token)
        })
    }

    /// The texts of what is sent.
    pub(super) fn sent_texts(&self) -> Vec<&Template> {
        let mut texts = Vec::new();
        self.ack.iter().for_each(|ack| ack.json.texts(&mut texts));
        texts
    }

    /// Its lengths of time, each with its word.
    pub(super) fn spans(&self) -> Vec<(&'static str, Span)> {
        let within = self.ack.as_ref().map(|ack| ("within", ack.within));
        [("ready_within", self.ready_within), ("ping", self.ping)]
            .into_iter()
            .chain(within)
            .collect()
    }
}
