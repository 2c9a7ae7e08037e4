//! From bytes on the wire to an answer: the hot path.
//!
//! Nothing parses a body before it is verified, apart from a handshake, whose echo is short plain
//! text. The sender is answered after the commit. One that hangs up earlier was acknowledged
//! nothing: its event may be there or not, and its next try is a repeat or the first.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::time::Duration;

use bytes::Bytes;
use domain::connector::{AnswerRule, Webhooks};
use domain::envelope::{self, Item};
use domain::event::{Accepted, Arrival, NewEvent, Origin, Proof, ProofDetail};
use domain::handshake::{self, Proved};
use domain::id::InboxId;
use domain::inbox::Inbox;
use domain::intake::{self, Said};
use domain::refusal::{NewRefusal, Reason};
use domain::secret::Secrets;
use domain::signature::{self, Given, Request, Verified};
use domain::{mask, text};
use jiff::Timestamp;

use super::documents::Wanted;
use super::{Answer, Delivery, OpenInbox, Received};
use crate::changes::{Notice, Noun};
use crate::{Engine, store, vault};

/// How much of a refused body is kept.
const BODY_START: usize = 4 * 1024;
/// The largest body that may be a handshake: it is parsed before anything is verified.
const HANDSHAKE: usize = 16 * 1024;

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
            query: delivery.uri.query(),
            headers: &headers,
            body: &delivery.body,
        };
        let settings = settings(&open, webhooks);
        let may_ask = delivery.body.len() <= HANDSHAKE && !webhooks.handshake.is_empty();
        let documents = BTreeMap::new();
        let handshake = |secrets, proved| {
            let given =
                Given { secrets, settings: &settings, documents: &documents, trust_anchor: None };
            may_ask.then(|| handshake::answer(webhooks, &request, &given, proved, now)).flatten()
        };
        let none = Secrets::new();
        let early = match may_ask && handshake::needs_secrets(webhooks) {
            false => &none,
            true => match open.secrets(&self.inner.vault).await {
                Ok(secrets) => secrets,
                Err(error) => return self.unproved(&open, webhooks, &delivery, &error, now),
            },
        };
        if let Some(answer) = handshake(early, Proved::No) {
            return self.shake_hands(&open, webhooks, &delivery, answer, now).await;
        }
        if !webhooks.methods.iter().any(|method| method.name() == delivery.method.as_str()) {
            let message = format!("{} is not how webhooks come", delivery.method);
            return self.refused(&open, webhooks, &delivery, Reason::Method, message, now);
        }
        let secrets = match open.secrets(&self.inner.vault).await {
            Ok(secrets) => secrets,
            Err(error) => return self.unproved(&open, webhooks, &delivery, &error, now),
        };
        let verdict = self.judge(webhooks, &request, secrets, &settings, now).await;
        let answer = |items: &[Item<'_>]| {
            let first = items.first().map(|item| &item.event);
            handshake::taken(webhooks, &request, first, &settings, now).into()
        };
        match verdict {
            // Whoever fills in forms by a program is not to learn that this was found out.
            Err(error @ signature::Error::Trapped(_)) => {
                let (reason, message) = (error.reason(), error.to_string());
                self.refused(&open, webhooks, &delivery, reason, message, now);
                Received::Answered(answer(&[]))
            }
            Err(error) => {
                let (reason, message) = (error.reason(), error.to_string());
                let refused = self.refused(&open, webhooks, &delivery, reason, message, now);
                match error {
                    // Neither is the sender's fault, and what it tries again may be taken.
                    signature::Error::Missing(_) | signature::Error::NoSecret(_) => {
                        Received::Overloaded(overloaded(&webhooks.answer))
                    }
                    _ => refused,
                }
            }
            Ok(verified) => {
                if let Some(answer) = handshake(secrets, Proved::Yes) {
                    return self.shake_hands(&open, webhooks, &delivery, answer, now).await;
                }
                let items = match envelope::open(&webhooks.envelope, &request, now) {
                    Ok(items) => items,
                    Err(error) => {
                        let message = error.to_string();
                        let refused = self.refused(
                            &open,
                            webhooks,
                            &delivery,
                            Reason::Malformed,
                            message,
                            now,
                        );
                        return unreadable(refused, &error);
                    }
                };
                let came = Came {
                    proof: verified.proof,
                    detail: verified.detail,
                    query: delivery.uri.query().map(|query| mask::query(query, secrets)),
                    headers: mask::headers(headers.iter().copied(), secrets),
                };
                let read =
                    |item| came.arrival(&open.inbox, webhooks, &request, item, &delivery.body, now);
                let arrivals = items.iter().map(read).collect();
                self.keep(&open, webhooks, &delivery, arrivals, answer(&items), now).await
            }
        }
    }

    /// Answers a handshake, once a secret that the sender said in it is stored.
    async fn shake_hands(
        &self,
        open: &OpenInbox,
        webhooks: &Webhooks,
        delivery: &Delivery,
        mut answer: handshake::Answer,
        now: Timestamp,
    ) -> Received {
        let Some((name, secret)) = answer.keep.take() else {
            return Received::Answered(answer.into());
        };
        match self.keep_first_secret(open.inbox.id, &name, secret).await {
            Ok(true) => Received::Answered(answer.into()),
            Ok(false) => {
                let message = format!("another `{name}` was said at the same time");
                self.refused(open, webhooks, delivery, Reason::Unsigned, message, now)
            }
            Err(error) => {
                let message = format!("the `{name}` could not be stored: {error}");
                self.refused(open, webhooks, delivery, Reason::VaultUnusable, message, now);
                Received::Overloaded(overloaded(&webhooks.answer))
            }
        }
    }

    /// What is answered where the secrets of an inbox cannot be read: the sender tries again.
    fn unproved(
        &self,
        open: &OpenInbox,
        webhooks: &Webhooks,
        delivery: &Delivery,
        error: &vault::Error,
        now: Timestamp,
    ) -> Received {
        let (reason, message) = (why_unproved(error), error.to_string());
        self.refused(open, webhooks, delivery, reason, message, now);
        Received::Overloaded(overloaded(&webhooks.answer))
    }

    /// Whether a request is believed.
    async fn judge(
        &self,
        webhooks: &Webhooks,
        request: &Request<'_>,
        secrets: &Secrets,
        settings: &BTreeMap<String, String>,
        now: Timestamp,
    ) -> Result<Verified, signature::Error> {
        let mut documents = BTreeMap::new();
        let mut renewed = false;
        loop {
            let given = Given { secrets, settings, documents: &documents, trust_anchor: None };
            let verdict = signature::verify(&webhooks.verify, request, &given, now);
            let (document, wanted) = match &verdict {
                Err(signature::Error::Missing(document)) => (document, Wanted::Kept),
                // The sender may have a new key since: looked for once.
                Err(signature::Error::UnknownKey { document, .. }) if !renewed => {
                    renewed = true;
                    (document, Wanted::Newer)
                }
                _ => return verdict,
            };
            let fetched =
                tokio::time::timeout(patience(webhooks), self.document(&document.url, wanted));
            let Ok(Some(text)) = fetched.await else { return verdict };
            let known = documents.insert(document.url.to_string(), text.clone());
            if known == Some(text) {
                return verdict;
            }
        }
    }

    /// Stores the arrivals of a request, all or none, and answers once they are on the disk.
    async fn keep(
        &self,
        open: &OpenInbox,
        webhooks: &Webhooks,
        delivery: &Delivery,
        arrivals: Vec<Arrival>,
        answer: Answer,
        now: Timestamp,
    ) -> Received {
        if arrivals.is_empty() {
            return Received::Answered(answer);
        }
        match self.store(open.inbox.id, arrivals, patience(webhooks)).await {
            Ok(()) => Received::Answered(answer),
            Err(error) => {
                self.refused(open, webhooks, delivery, Reason::Overload, error.to_string(), now);
                self.inner.changes.note(Notice::of(Noun::Status));
                Received::Overloaded(overloaded(&webhooks.answer))
            }
        }
    }

    /// Stores arrivals, all or none; they are on the disk then.
    async fn store(
        &self,
        inbox: InboxId,
        arrivals: Vec<Arrival>,
        patience: Duration,
    ) -> store::Result<()> {
        if arrivals.is_empty() {
            return Ok(());
        }
        let accepted = self.inner.store.accept_within(arrivals, patience).await;
        let accepted = accepted.inspect_err(|error| {
            if *error != store::Error::Busy {
                tracing::error!(inbox.id = %inbox, %error, "an event was not stored");
            }
        })?;
        for accepted in accepted {
            match accepted {
                Accepted::New(id) => self.inner.changes.event(inbox, id),
                // Its row says how often it arrived.
                Accepted::Repeat(_) => self
                    .inner
                    .changes
                    .note(Notice { inbox: Some(inbox), ..Notice::of(Noun::Events) }),
            }
        }
        Ok(())
    }

    /// Receives what came over the socket of an inbox: messages that came together, in their order.
    /// They are read like bodies of webhooks, and believed since the socket is ours. Of each: that
    /// it is on the disk now, or noted as refused; or why it could not be stored.
    pub(crate) async fn receive_messages(
        &self,
        inbox: &Inbox,
        webhooks: &Webhooks,
        bodies: &[Bytes],
        patience: Duration,
    ) -> Vec<store::Result<()>> {
        let now = self.now();
        let mut arrivals: Vec<_> =
            bodies.iter().map(|body| self.message_arrivals(inbox, webhooks, body, now)).collect();
        let together: Vec<_> = arrivals.iter().flatten().cloned().collect();
        let outcome = match self.store(inbox.id, together, patience).await {
            // There may be something about one of them alone.
            Err(error)
                if bodies.len() > 1
                    && !matches!(error, store::Error::Busy | store::Error::Closed) =>
            {
                let mut outcomes = Vec::new();
                for arrivals in arrivals.drain(..) {
                    outcomes.push(self.store(inbox.id, arrivals, patience).await);
                }
                outcomes
            }
            outcome => vec![outcome; bodies.len()],
        };
        for (body, outcome) in bodies.iter().zip(&outcome) {
            if let Err(error) = outcome {
                self.refuse_message(inbox, body, Reason::Overload, error.to_string());
                self.inner.changes.note(Notice::of(Noun::Status));
            }
        }
        outcome
    }

    /// The events in a message. One that breaks the rules of its own format is noted as refused:
    /// it would be no better another time.
    fn message_arrivals(
        &self,
        inbox: &Inbox,
        webhooks: &Webhooks,
        body: &Bytes,
        now: Timestamp,
    ) -> Vec<Arrival> {
        let request = intake::message(body);
        let items = match envelope::open(&webhooks.envelope, &request, now) {
            Ok(items) => items,
            Err(error) => {
                self.refuse_message(inbox, body, Reason::Malformed, error.to_string());
                return Vec::new();
            }
        };
        let came = Came::over_the_socket();
        items.iter().map(|item| came.arrival(inbox, webhooks, &request, item, body, now)).collect()
    }

    /// Notes what came over the socket of an inbox and was not taken.
    pub(crate) fn refuse_message(
        &self,
        inbox: &Inbox,
        body: &[u8],
        reason: Reason,
        message: String,
    ) {
        self.inner.store.refuse(NewRefusal {
            inbox: Some(inbox.id),
            at: self.now(),
            address: None,
            method: intake::SOCKET.into(),
            path: String::new(),
            reason,
            message,
            headers: Vec::new(),
            body_start: body[..body.len().min(BODY_START)].to_vec(),
            size_bytes: body.len() as u64,
        });
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
            | Reason::NoKey
            | Reason::BadCertificate
            | Reason::Unwanted
            | Reason::VaultLocked
            | Reason::SecretLost
            | Reason::VaultUnusable
            | Reason::NoConnector => "the request could not be read",
        };
        self.note_refusal(open.as_deref(), delivery, reason, message.into(), self.now());
    }

    /// Notes bytes that came to no inbox because they are no request, and why that is.
    pub fn refuse_unread(&self, delivery: &Delivery, reason: Reason, why: &str) {
        self.note_refusal(None, delivery, reason, why.into(), self.now());
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
        let headers = headers(delivery);
        let headers = match open {
            Some(open) => {
                let shown = mask::headers(headers, open.known_secrets().unwrap_or(&none));
                mask::named(shown, &self.token_headers(open))
            }
            None => mask::of_stranger(headers),
        };
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
            headers,
            body_start: body[..body.len().min(BODY_START)].to_vec(),
            size_bytes: body.len() as u64,
        });
    }

    /// The headers of an inbox that hold its secret, which need not have been read yet.
    fn token_headers(&self, open: &OpenInbox) -> Vec<String> {
        let connector = self.inner.connectors.get(&open.inbox.inbox.connector);
        let webhooks = connector.as_ref().and_then(|connector| connector.webhooks.as_ref());
        let settings = &open.inbox.inbox.settings;
        webhooks.map(|webhooks| webhooks.token_headers(settings)).unwrap_or_default()
    }

    /// The address that the sender was told: some sign it.
    fn told_url(&self, open: &OpenInbox, delivery: &Delivery) -> String {
        let told = match &open.inbox.inbox.registration {
            domain::inbox::Registration::Registered { url, .. } => Some(url.clone()),
            _ => open.inbox.inbox.settings.get("public_url").cloned(),
        };
        let told = told.map(|told| as_called(&told, delivery.uri.query()));
        told.unwrap_or_else(|| {
            let path = delivery.uri.path_and_query().map_or("/", |path| path.as_str());
            let base = self.public_address().unwrap_or_else(|| self.inner.inboxes.base_url());
            format!("{base}{path}")
        })
    }
}

/// The address that a sender was told, with what it put behind the question mark this time: that is
/// signed as it came.
fn as_called(told: &str, query: Option<&str>) -> String {
    let bare = told.split('?').next().unwrap_or_default();
    match query {
        Some(query) => format!("{bare}?{query}"),
        None => bare.to_owned(),
    }
}

/// Why nothing can be proved without the secrets of an inbox.
fn why_unproved(error: &vault::Error) -> Reason {
    match error {
        vault::Error::Locked => Reason::VaultLocked,
        error if error.is_lost() => Reason::SecretLost,
        _ => Reason::VaultUnusable,
    }
}

/// Half of what the sender waits for an answer: the rest is for the commit and the way back.
fn patience(webhooks: &Webhooks) -> Duration {
    webhooks.answer.within.get().unsigned_abs() / 2
}

fn headers(delivery: &Delivery) -> Vec<(&str, &[u8])> {
    delivery.headers.iter().map(|(name, value)| (name.as_str(), value.as_bytes())).collect()
}

/// How a body came: the same for every event in it.
struct Came {
    proof: Proof,
    detail: ProofDetail,
    query: Option<String>,
    headers: Vec<(String, String)>,
}

impl Came {
    /// With nothing around it, and proved by where it came from.
    fn over_the_socket() -> Self {
        let detail = ProofDetail { scheme: Some("socket".into()), ..ProofDetail::default() };
        Self { proof: Proof::Verified, detail, query: None, headers: Vec::new() }
    }

    /// What an item of `body` becomes.
    fn arrival(
        &self,
        inbox: &Inbox,
        webhooks: &Webhooks,
        request: &Request<'_>,
        item: &Item<'_>,
        body: &Bytes,
        now: Timestamp,
    ) -> Arrival {
        let said = intake::read(webhooks, request, item, now);
        let Said { key, event_type, title, external_id, about, occurred_at, account } = said;
        let event = NewEvent {
            inbox: inbox.id,
            connection: inbox.inbox.connection,
            event_type,
            title,
            external_id,
            about,
            occurred_at,
            received_at: now,
            origin: Origin::Push,
            proof: self.proof,
            proof_detail: ProofDetail { account, ..self.detail.clone() },
            method: request.method.into(),
            query: self.query.clone(),
            headers: self.headers.clone(),
            body: bytes_of(item, body),
            sandbox: inbox.inbox.sandbox,
        };
        Arrival { key, event }
    }
}

/// The bytes of an item. A part of a body as it came is never copied.
fn bytes_of(item: &Item<'_>, body: &Bytes) -> Bytes {
    match &item.body {
        Cow::Borrowed(part) => body.slice_ref(part),
        Cow::Owned(part) => Bytes::copy_from_slice(part),
    }
}

/// The settings of an inbox, with the connector's own values where none are given, and with what
/// its sender said when it was told of the address.
fn settings(open: &OpenInbox, webhooks: &Webhooks) -> BTreeMap<String, String> {
    const WEBHOOK_ID: &str = "webhook_id";
    let mut settings = webhooks.filled(open.inbox.inbox.settings.clone());
    if let Some(id) = open.inbox.inbox.registration.external_id() {
        let known = settings.entry(WEBHOOK_ID.into()).or_default();
        if known.is_empty() {
            *known = id.into();
        }
    }
    settings
}

impl From<handshake::Answer> for Answer {
    fn from(answer: handshake::Answer) -> Self {
        let handshake::Answer { status, headers, body, keep: _ } = answer;
        Self { status, headers, body: body.into() }
    }
}

/// What a sender is told whose request breaks the rules of its own format.
fn unreadable(refused: Received, error: &envelope::Error) -> Received {
    let status = match error {
        envelope::Error::Malformed(_) => 400,
        envelope::Error::Format(_) => 415,
    };
    match refused {
        Received::Refused(reason, Some(answer)) => {
            Received::Refused(reason, Some(Answer { status, ..answer }))
        }
        refused => refused,
    }
}

fn overloaded(rule: &AnswerRule) -> Answer {
    Answer {
        status: rule.overload,
        headers: vec![("retry-after".into(), rule.retry_after.get().as_secs().max(1).to_string())],
        body: Bytes::new(),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use domain::event::EventFilter;
    use domain::page::{At, Page};

    use super::*;
    use crate::Config;
    use crate::clock::SystemClock;
    use crate::data_dir::DataDir;
    use crate::inbox::InboxRequest;
    use crate::tunnel::Environment;
    use crate::vault::Vault;

    #[test]
    fn an_address_is_signed_with_the_query_that_came() {
        let told = "https://hooks.example/in/key";

        assert_eq!(as_called(told, None), told);
        assert_eq!(
            as_called(told, Some("bodySHA256=ab&x=%20")),
            format!("{told}?bodySHA256=ab&x=%20")
        );
        assert_eq!(
            as_called(&format!("{told}?token=t"), Some("token=t&a=1")),
            format!("{told}?token=t&a=1")
        );
        assert_eq!(as_called(&format!("{told}?token=t"), None), told);
    }

    #[tokio::test]
    async fn whose_event_it_is_by_the_senders_word_is_kept_with_it() {
        let folder = tempfile::tempdir().unwrap();
        let config = Config {
            data_dir: DataDir::own(&folder.path().join("data")).unwrap(),
            clock: Arc::new(SystemClock),
            vault: Vault::memory(),
            environment: Environment::default(),
            sandbox: None,
        };
        let engine = Engine::open(config).await.unwrap();
        let request = InboxRequest {
            name: "Form".into(),
            connector: "html-form".into(),
            connection: None,
            by_hand: true,
            socket: false,
            settings: BTreeMap::new(),
            secrets: Secrets::new(),
        };
        let inbox = engine.create_inbox(request).await.unwrap().inbox;
        let mut headers = http::HeaderMap::new();
        headers.insert("origin", "https://shop.example".parse().unwrap());
        headers.insert("content-type", "application/json".parse().unwrap());
        let delivery = Delivery {
            method: http::Method::POST,
            uri: "/in/form".parse().unwrap(),
            headers,
            body: r#"{"name":"Ada"}"#.into(),
            address: None,
        };

        let received = engine.receive(&inbox.inbox.key, delivery).await;

        let newest = Page { limit: 1, at: At::Newest };
        let page = engine.events(&EventFilter::default(), newest).await.unwrap();
        let id = page.items.first().unwrap_or_else(|| panic!("{received:?}")).id;
        let event = engine.event(id).await.unwrap();
        assert_eq!(event.proof_detail.account.as_deref(), Some("https://shop.example"));
    }
}
