//! From bytes on the wire to an answer: the hot path.
//!
//! Nothing parses a body before it is verified, apart from a handshake, whose echo is short plain
//! text. The sender is answered after the commit. One that hangs up earlier was acknowledged
//! nothing: its event may be there or not, and its next try is a repeat or the first.

use std::time::Duration;

use bytes::Bytes;
use domain::connector::{AnswerRule, Webhooks};
use domain::event::{Accepted, Arrival, NewEvent, Origin};
use domain::intake::{self, Said};
use domain::refusal::{NewRefusal, Reason};
use domain::secret::Secrets;
use domain::signature::{self, Request, Verified};
use domain::{mask, text};
use http::Method;
use jiff::Timestamp;

use super::{Answer, Delivery, OpenInbox, Received};
use crate::changes::{Notice, Noun};
use crate::{Engine, store};

/// How much of a refused body is kept.
const BODY_START: usize = 4 * 1024;
/// The largest body that may be a handshake: it is parsed before anything is verified.
const HANDSHAKE: usize = 16 * 1024;
/// When a sender that found no room may try again, in seconds.
const RETRY_AFTER: &str = "5";

impl Engine {
    /// Receives a request for the inbox with this key.
    pub async fn receive(&self, key: &str, delivery: Delivery) -> Received {
        let Some(open) = self.inner.inboxes.find(key) else {
            self.refuse(None, &delivery, Reason::UnknownPath);
            return Received::Refused(Reason::UnknownPath, None);
        };
        let Some(connector) = self.inner.connectors.get(&open.inbox.inbox.connector) else {
            return self.no_connector(&open, &delivery);
        };
        let Some(webhooks) = &connector.webhooks else {
            return self.no_connector(&open, &delivery);
        };

        let now = self.now();
        let headers = headers(&delivery);
        let url = self.told_url(&open, &delivery);
        let request = Request {
            method: delivery.method.as_str(),
            url: &url,
            headers: &headers,
            body: &delivery.body,
        };
        if let Some(rule) = &webhooks.handshake
            && delivery.body.len() <= HANDSHAKE
            && let Some(echo) = intake::handshake(rule, &request, now)
        {
            return Received::Answered(Answer {
                status: 200,
                headers: vec![("content-type".into(), echo.content_type.into())],
                body: echo.body.into(),
            });
        }
        if delivery.method != Method::POST {
            let message = format!("{} is not how webhooks come", delivery.method);
            return self.refused(&open, webhooks, &delivery, Reason::Method, message, now);
        }
        let secrets = match open.secrets(&self.inner.vault).await {
            Ok(secrets) => secrets,
            Err(error) => {
                let message = error.to_string();
                self.refused(&open, webhooks, &delivery, Reason::VaultLocked, message, now);
                return Received::Overloaded(overloaded(&webhooks.answer));
            }
        };
        match signature::verify(&webhooks.verify, &request, secrets, now) {
            Err(error) => {
                let (reason, message) = (error.reason(), error.to_string());
                self.refused(&open, webhooks, &delivery, reason, message, now)
            }
            Ok(verified) => {
                let said = intake::read(webhooks, &request, now);
                let arrival = arrival(&open, &delivery, &headers, secrets, verified, said, now);
                self.keep(&open, webhooks, &delivery, arrival).await
            }
        }
    }

    /// Stores an arrival, and answers once it is on the disk.
    async fn keep(
        &self,
        open: &OpenInbox,
        webhooks: &Webhooks,
        delivery: &Delivery,
        arrival: Arrival,
    ) -> Received {
        let now = arrival.event.received_at;
        match self.inner.store.accept_within(vec![arrival], patience(webhooks)).await {
            Ok(accepted) => {
                match accepted.first() {
                    Some(Accepted::New(id)) => self.inner.changes.event(open.inbox.id, *id),
                    // Its row says how often it arrived.
                    Some(Accepted::Repeat(_)) => self
                        .inner
                        .changes
                        .note(Notice { inbox: Some(open.inbox.id), ..Notice::of(Noun::Events) }),
                    None => {}
                }
                Received::Answered(answered(&webhooks.answer))
            }
            Err(error) => {
                if error != store::Error::Busy {
                    tracing::error!(inbox.id = %open.inbox.id, %error, "an event was not stored");
                }
                self.refused(open, webhooks, delivery, Reason::Overload, error.to_string(), now);
                self.inner.changes.note(Notice::of(Noun::Status));
                Received::Overloaded(overloaded(&webhooks.answer))
            }
        }
    }

    /// Notes a request that was refused before it could be read.
    pub fn refuse(&self, key: Option<&str>, delivery: &Delivery, reason: Reason) {
        let open = key.and_then(|key| self.inner.inboxes.find(key));
        let message = match reason {
            Reason::UnknownPath => "no inbox has this address",
            Reason::TooLarge => "the body is larger than 25 MB",
            Reason::TooSlow => "the request took too long to arrive",
            Reason::Overload => "more came at once than could be taken",
            Reason::Method => "this is not how webhooks come",
            Reason::Unsigned
            | Reason::Malformed
            | Reason::Stale
            | Reason::WrongSignature
            | Reason::NoSecret
            | Reason::VaultLocked
            | Reason::NoConnector => "the request could not be read",
        };
        self.note_refusal(open.as_deref(), delivery, reason, message.into(), self.now());
    }

    fn no_connector(&self, open: &OpenInbox, delivery: &Delivery) -> Received {
        let message = format!("the connector `{}` cannot be read", open.inbox.inbox.connector);
        self.note_refusal(Some(open), delivery, Reason::NoConnector, message, self.now());
        Received::Overloaded(overloaded(&AnswerRule::default()))
    }

    fn refused(
        &self,
        open: &OpenInbox,
        webhooks: &Webhooks,
        delivery: &Delivery,
        reason: Reason,
        message: String,
        now: Timestamp,
    ) -> Received {
        self.note_refusal(Some(open), delivery, reason, message, now);
        let status = match reason {
            Reason::Method => 405,
            _ => webhooks.answer.refused,
        };
        let answer = Answer { status, headers: Vec::new(), body: Bytes::new() };
        Received::Refused(reason, Some(answer))
    }

    fn note_refusal(
        &self,
        open: Option<&OpenInbox>,
        delivery: &Delivery,
        reason: Reason,
        message: String,
        at: Timestamp,
    ) {
        let none = Secrets::new();
        let secrets = open.and_then(OpenInbox::known_secrets).unwrap_or(&none);
        let inbox = open.map(|open| open.inbox.id);
        let body = &delivery.body;
        self.inner.store.refuse(NewRefusal {
            inbox,
            at,
            address: delivery.address.map(|address| address.to_string()),
            method: text::clean(delivery.method.as_str(), 20),
            path: text::clean(&mask::path(delivery.uri.path()), 200),
            reason,
            message,
            headers: mask::headers(headers(delivery), secrets),
            body_start: body[..body.len().min(BODY_START)].to_vec(),
            size_bytes: body.len() as u64,
        });
    }

    /// The address that the sender was told: some sign it.
    fn told_url(&self, open: &OpenInbox, delivery: &Delivery) -> String {
        let told = match &open.inbox.inbox.registration {
            domain::inbox::Registration::Registered { url, .. } => Some(url.clone()),
            _ => open.inbox.inbox.settings.get("public_url").cloned(),
        };
        told.unwrap_or_else(|| {
            let path = delivery.uri.path_and_query().map_or("/", |path| path.as_str());
            let base = self.public_address().unwrap_or_else(|| self.inner.inboxes.base_url());
            format!("{base}{path}")
        })
    }
}

/// Half of what the sender waits for an answer: the rest is for the commit and the way back.
fn patience(webhooks: &Webhooks) -> Duration {
    webhooks.answer.within.get().unsigned_abs() / 2
}

fn headers(delivery: &Delivery) -> Vec<(&str, &[u8])> {
    delivery.headers.iter().map(|(name, value)| (name.as_str(), value.as_bytes())).collect()
}

fn arrival(
    open: &OpenInbox,
    delivery: &Delivery,
    headers: &[(&str, &[u8])],
    secrets: &Secrets,
    verified: Verified,
    said: Said,
    now: Timestamp,
) -> Arrival {
    let Said { key, event_type, title, external_id, about, occurred_at, account: _ } = said;
    let event = NewEvent {
        inbox: open.inbox.id,
        connection: open.inbox.inbox.connection,
        event_type,
        title,
        external_id,
        about,
        occurred_at,
        received_at: now,
        origin: Origin::Push,
        proof: verified.proof,
        proof_detail: verified.detail,
        method: delivery.method.as_str().into(),
        query: delivery.uri.query().map(|query| mask::query(query, secrets)),
        headers: mask::headers(headers.iter().copied(), secrets),
        body: delivery.body.clone(),
        sandbox: open.inbox.inbox.sandbox,
    };
    Arrival { key, event }
}

fn answered(rule: &AnswerRule) -> Answer {
    let kind = rule.content_type.clone().map(|kind| ("content-type".to_owned(), kind));
    Answer {
        status: rule.status,
        headers: kind.into_iter().collect(),
        body: Bytes::from(rule.body.clone()),
    }
}

fn overloaded(rule: &AnswerRule) -> Answer {
    Answer {
        status: rule.overload,
        headers: vec![("retry-after".into(), RETRY_AFTER.into())],
        body: Bytes::new(),
    }
}
