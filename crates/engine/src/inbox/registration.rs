//! Telling senders of an inbox's address, where the connector can.
//!
//! One task looks at all inboxes when something may have changed: an inbox was made, a connection
//! became ready, a tunnel got another address. What is registered is compared with what should be,
//! so doing it again changes nothing; an old entry of ours is removed before a new one is made.

use std::time::Duration;

use domain::connection::{Connection, ConnectionState};
use domain::connector::{Ask, Connector, Each, Entries, HookSecret, Register, RegisterBy};
use domain::inbox::{Inbox, Registration};
use domain::json::Json;
use domain::secret::{Secret, Secrets};
use serde_json::{Value, json};

use super::Error;
use crate::Engine;
use crate::outgoing::{self, ApiRequest};

/// How often it is looked at without a reason: a sender may have lost an entry.
const INTERVAL: Duration = Duration::from_secs(15 * 60);

/// How long a sender may take to forget an inbox that is deleted.
const WITHDRAWAL: Duration = Duration::from_secs(10);

/// Keeps all registrations as they should be, until the engine stops.
pub(crate) fn keep(engine: Engine) {
    let stopping = engine.inner.stopping.clone();
    tokio::spawn(stopping.run_until_cancelled_owned(async move {
        // Every start looks anew: the sandbox forgets its webhooks, and our port may be another.
        let mut checked_all = false;
        loop {
            engine.register_all(checked_all).await;
            checked_all = true;
            let wake = engine.inner.registration.notified();
            // Either way it looks again.
            checked_all &= tokio::time::timeout(INTERVAL, wake).await.is_ok();
        }
    }));
}

/// Takes an address back from its sender, as far as that can be done now: an inbox that is deleted
/// must not wait for it.
pub(crate) async fn withdraw(engine: &Engine, inbox: &Inbox) {
    let Some((connection, connector)) = engine.sender_of(inbox).await else { return };
    let (Some(register), Some(ids)) = (&connector.register, inbox.inbox.registration.external_id())
    else {
        return;
    };
    let removal = engine.remove_entries(&connection, &connector, register, ids);
    match tokio::time::timeout(WITHDRAWAL, removal).await {
        Ok(Ok(())) => {}
        Ok(Err(error)) => {
            tracing::warn!(inbox.id = %inbox.id, %error, "the sender still knows a deleted inbox");
        }
        Err(_) => {
            tracing::warn!(inbox.id = %inbox.id, "the sender did not take a deleted inbox back");
        }
    }
}

/// What a sender knows of an inbox, by its own list.
struct Entry {
    id: String,
    url: String,
}

impl Engine {
    async fn register_all(&self, trusting: bool) {
        let inboxes = match self.inner.store.inboxes().await {
            Ok(inboxes) => inboxes,
            Err(error) => return tracing::error!(%error, "inboxes could not be read"),
        };
        for inbox in inboxes {
            if let Err(error) = self.register(&inbox, trusting).await {
                tracing::warn!(inbox.id = %inbox.id, %error, "an inbox could not be registered");
            }
        }
    }

    /// Registers one inbox where it is not. With `trusting`, what was registered is not asked for.
    async fn register(&self, inbox: &Inbox, trusting: bool) -> Result<(), Error> {
        let Some((connection, connector)) = self.sender_of(inbox).await else { return Ok(()) };
        let Some(register) = &connector.register else { return Ok(()) };
        if connection.connection.state != ConnectionState::Ready {
            return Ok(());
        }
        let Some(url) = self.address_for(inbox) else { return Ok(()) };
        let known = &inbox.inbox.registration;
        let told = matches!(known, Registration::Registered { url: told, .. } if *told == url);
        if told && trusting {
            return Ok(());
        }

        let mut stale = known.external_id().map(str::to_owned);
        match self.entries(inbox, &connection, &connector, register).await {
            // Not being able to ask is no news: what was registered is still registered.
            Err(_) if told => return Ok(()),
            Err(error) => return self.note_failure(inbox, &error, stale).await,
            Ok(None) if told => return Ok(()),
            Ok(None) => {}
            Ok(Some(entries)) => {
                let as_known = told
                    && entries.iter().all(|entry| entry.url == url)
                    && known.external_id().is_some_and(|ids| {
                        ids.split(',').eq(entries.iter().map(|entry| entry.id.as_str()))
                    });
                if as_known {
                    return Ok(());
                }
                // Everything that leads to this inbox is ours, also what a crash kept us from
                // writing down.
                let ids: Vec<_> = entries.into_iter().map(|entry| entry.id).collect();
                stale = (!ids.is_empty()).then(|| ids.join(","));
            }
        }
        if let Some(ids) = &stale
            && let Err(error) = self.remove_entries(&connection, &connector, register, ids).await
        {
            return self.note_failure(inbox, &error, stale).await;
        }
        let mut made = Vec::new();
        match self.make_entries(inbox, &connection, &connector, register, &url, &mut made).await {
            Ok(()) => self.note_registered(inbox, url, made).await,
            Err(error) => {
                let made = (!made.is_empty()).then(|| made.join(","));
                self.note_failure(inbox, &error, made).await
            }
        }
    }

    async fn note_registered(
        &self,
        inbox: &Inbox,
        url: String,
        ids: Vec<String>,
    ) -> Result<(), Error> {
        let external_id = (!ids.is_empty()).then(|| ids.join(","));
        let registered = Registration::Registered { external_id, url, at: self.now() };
        self.inner.store.set_inbox_registration(inbox.id, registered).await?;
        tracing::info!(inbox.id = %inbox.id, "the sender knows the inbox's address");
        self.reopen_inbox(inbox.id).await
    }

    async fn note_failure(
        &self,
        inbox: &Inbox,
        error: &Error,
        external_id: Option<String>,
    ) -> Result<(), Error> {
        tracing::warn!(inbox.id = %inbox.id, %error, "the sender was not told of an inbox");
        let why = domain::text::clean(&error.to_string(), 300);
        let failed = Registration::Failed { why, at: self.now(), external_id };
        self.inner.store.set_inbox_registration(inbox.id, failed).await?;
        self.reopen_inbox(inbox.id).await
    }

    /// The connection and the connector whose API can be told of this inbox.
    async fn sender_of(&self, inbox: &Inbox) -> Option<(Connection, std::sync::Arc<Connector>)> {
        let connection = self.inner.store.connection(inbox.inbox.connection?).await.ok()?;
        let connector = self.inner.connectors.get(&inbox.inbox.connector)?;
        Some((connection, connector))
    }

    /// The address to tell: the sandbox is on this machine, everybody else needs a public one that
    /// is proved to lead here.
    fn address_for(&self, inbox: &Inbox) -> Option<String> {
        if inbox.inbox.sandbox {
            return Some(self.inner.inboxes.local_url(&inbox.inbox.key));
        }
        Some(format!("{}/in/{}", self.proved_address()?, inbox.inbox.key))
    }

    /// Tells the sender of `url`. The ids of what was made are in `made`, also where it failed
    /// half-way.
    async fn make_entries(
        &self,
        inbox: &Inbox,
        connection: &Connection,
        connector: &Connector,
        register: &Register,
        url: &str,
        made: &mut Vec<String>,
    ) -> Result<(), Error> {
        let RegisterBy::Entries(entries) = &register.by else { return Ok(()) };
        let topics = connector.webhooks.as_ref().map_or(&[][..], |webhooks| &webhooks.topics);
        let mut extra =
            json!({ "inbox": { "url": url, "name": inbox.inbox.name }, "topics": topics });
        let mut secrets = Secrets::new();
        if register.secret == HookSecret::Ours {
            let ours = new_secret();
            extra["secret"] = Value::String(ours.clone());
            secrets.set(domain::connector::SIGNING_SECRET, Secret::new(ours));
            // Kept before it is told, so that what is signed with it can be verified at once.
            self.keep_inbox_secrets(inbox.id, &secrets).await?;
            self.reopen_inbox(inbox.id).await?;
        }

        let each: Vec<Value> = match register.each {
            Each::Inbox | Each::Parent(_) => vec![extra],
            Each::Topic => topics.iter().map(|topic| with_topic(&extra, topic)).collect(),
        };
        for extra in each {
            let answer = self.tell(connection, connector, &entries.create, &extra).await?;
            let id = entries.created_id.as_ref().unwrap_or(&entries.id);
            made.extend(id.text_of(&answer, self.now()));
            if let HookSecret::Answer(at) = &register.secret {
                let secret = at.text_of(&answer, self.now()).ok_or_else(no_secret)?;
                secrets.set(domain::connector::SIGNING_SECRET, Secret::new(secret));
                self.keep_inbox_secrets(inbox.id, &secrets).await?;
            }
        }
        Ok(())
    }

    /// What the sender knows of this inbox, under this or an earlier address of it; none where it
    /// cannot be asked.
    async fn entries(
        &self,
        inbox: &Inbox,
        connection: &Connection,
        connector: &Connector,
        register: &Register,
    ) -> Result<Option<Vec<Entry>>, Error> {
        let RegisterBy::Entries(entries) = &register.by else { return Ok(None) };
        let Entries { list: Some(list), items: Some(items), url: Some(at), id, .. } = &**entries
        else {
            return Ok(None);
        };
        let answer = self.tell(connection, connector, list, &json!({})).await?;
        let now = self.now();
        let listed = items.all(&answer, now).map_err(|error| not_expected(connection, &error))?;
        let path = format!("/in/{}", inbox.inbox.key);
        let entry = |item: Json| {
            let entry = Entry { id: id.text_of(&item, now)?, url: at.text_of(&item, now)? };
            entry.url.ends_with(&path).then_some(entry)
        };
        Ok(Some(listed.iter().flat_map(flattened).filter_map(entry).collect()))
    }

    async fn remove_entries(
        &self,
        connection: &Connection,
        connector: &Connector,
        register: &Register,
        ids: &str,
    ) -> Result<(), Error> {
        let RegisterBy::Entries(entries) = &register.by else { return Ok(()) };
        let Some(remove) = &entries.remove else { return Ok(()) };
        for id in ids.split(',') {
            match self.tell(connection, connector, remove, &json!({ "id": id })).await {
                // What is gone already is as good as removed.
                Ok(_) | Err(Error::Sender(outgoing::Error::Status { status: 404 | 410, .. })) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    /// Makes a call of the registration; `extra` is what its texts may use beside the usual.
    async fn tell(
        &self,
        connection: &Connection,
        connector: &Connector,
        ask: &Ask,
        extra: &Value,
    ) -> Result<Json, Error> {
        let mut values = self.values(connection, connector, &Value::Null);
        if let (Value::Object(values), Value::Object(extra)) = (&mut values, extra) {
            values.extend(extra.clone());
        }
        let request = ApiRequest::from_ask(ask, &values).map_err(outgoing::Error::from)?;
        let answer = self.call(connection, &request).await?;
        Ok(Json::parse(&answer.body).unwrap_or_default())
    }
}

fn with_topic(extra: &Value, topic: &str) -> Value {
    let mut extra = extra.clone();
    extra["topic"] = Value::String(topic.into());
    extra
}

/// A list yields its items; anything else is an item.
fn flattened(value: &Json) -> Vec<Json> {
    value.as_array().map_or_else(|| vec![value.clone()], Iterator::collect)
}

fn no_secret() -> Error {
    outgoing::Error::Answer {
        host: "the sender".into(),
        why: "its answer holds no signing secret".into(),
    }
    .into()
}

fn not_expected(connection: &Connection, error: &domain::expression::RunError) -> Error {
    let host = connection.connection.name.clone();
    outgoing::Error::Answer { host, why: error.to_string() }.into()
}

/// A signing secret of ours: 32 random bytes, as Standard Webhooks writes them.
fn new_secret() -> String {
    use base64::Engine as _;
    let bytes: [u8; 32] = crate::random();
    format!("whsec_{}", base64::prelude::BASE64_STANDARD.encode(bytes))
}
