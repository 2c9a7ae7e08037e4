//! Telling senders of an inbox's address, where the connector can.
//!
//! One task looks at all inboxes when something may have changed: an inbox was made, a connection
//! became ready, a tunnel got another address. What is registered is compared with what should be,
//! so doing it again changes nothing; an old entry of ours is removed before a new one is made.

use std::time::Duration;

use domain::connection::{Connection, ConnectionState};
use domain::connector::{Connector, Each, HookSecret, Register, RegisterBy, Rest};
use domain::inbox::{Inbox, Registration};
use domain::json::Json;
use domain::secret::{Secret, Secrets};
use serde_json::{Value, json};

use super::Error;
use crate::Engine;
use crate::outgoing::{self, ApiRequest};

/// How often it is looked at without a reason: a sender may have lost an entry.
const INTERVAL: Duration = Duration::from_secs(15 * 60);

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
pub(super) async fn withdraw(engine: &Engine, inbox: &Inbox) {
    let Some((connection, connector)) = engine.sender_of(inbox).await else { return };
    let (Some(register), Registration::Registered { external_id: Some(id), .. }) =
        (&connector.register, &inbox.inbox.registration)
    else {
        return;
    };
    if let Err(error) = engine.remove_entry(&connection, &connector, register, id).await {
        tracing::warn!(inbox.id = %inbox.id, %error, "the sender still knows a deleted inbox");
    }
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
                let why = domain::text::clean(&error.to_string(), 300);
                let failed = Registration::Failed { why, at: self.now() };
                let noted = self.inner.store.set_inbox_registration(inbox.id, failed).await;
                if noted.is_ok() {
                    // The list is told; there is nothing else to do about a failed note.
                    let _ = self.reopen_inbox(inbox.id).await;
                }
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
        if let Registration::Registered { url: told, external_id, .. } = &inbox.inbox.registration {
            let known = *told == url
                && (trusting
                    || self
                        .has_entry(&connection, &connector, register, external_id, &url)
                        .await?);
            if known {
                return Ok(());
            }
            if let Some(id) = external_id {
                // It is about to be replaced; one that is gone already is as good as removed.
                let _ = self.remove_entry(&connection, &connector, register, id).await;
            }
        }
        self.make_entry(inbox, &connection, &connector, register, url).await
    }

    /// The connection and the connector whose API can be told of this inbox.
    async fn sender_of(&self, inbox: &Inbox) -> Option<(Connection, std::sync::Arc<Connector>)> {
        let connection = self.inner.store.connection(inbox.inbox.connection?).await.ok()?;
        let connector = self.inner.connectors.get(&inbox.inbox.connector)?;
        Some((connection, connector))
    }

    /// The address to tell: the sandbox is on this machine, everybody else needs a public one.
    fn address_for(&self, inbox: &Inbox) -> Option<String> {
        if inbox.inbox.sandbox {
            return Some(self.inner.inboxes.local_url(&inbox.inbox.key));
        }
        Some(format!("{}/in/{}", self.public_address()?, inbox.inbox.key))
    }

    async fn make_entry(
        &self,
        inbox: &Inbox,
        connection: &Connection,
        connector: &Connector,
        register: &Register,
        url: String,
    ) -> Result<(), Error> {
        let RegisterBy::Rest(rest) = &register.by;
        let topics = connector.webhooks.as_ref().map_or(&[][..], |webhooks| &webhooks.topics);
        let mut extra =
            json!({ "inbox": { "url": url, "name": inbox.inbox.name }, "topics": topics });
        let mut secrets = Secrets::new();
        if register.secret == HookSecret::Ours {
            let ours = new_secret();
            extra["secret"] = Value::String(ours.clone());
            secrets.set(domain::connector::SIGNING_SECRET, Secret::new(ours));
        }

        let each: Vec<Value> = match register.each {
            Each::Inbox => vec![extra],
            Each::Topic => topics
                .iter()
                .map(|topic| {
                    let mut extra = extra.clone();
                    extra["topic"] = Value::String(topic.clone());
                    extra
                })
                .collect(),
        };
        let mut ids = Vec::new();
        for extra in each {
            let answer = self.tell(connection, connector, &rest.create, &extra).await?;
            ids.extend(rest.id.text_of(&answer, self.now()));
            if let HookSecret::Answer(at) = &register.secret {
                let secret = at.text_of(&answer, self.now()).ok_or_else(no_secret)?;
                secrets.set(domain::connector::SIGNING_SECRET, Secret::new(secret));
            }
        }
        if !secrets.is_empty() {
            self.keep_inbox_secrets(inbox, &secrets).await?;
        }
        let external_id = (!ids.is_empty()).then(|| ids.join(","));
        let registered = Registration::Registered { external_id, url, at: self.now() };
        self.inner.store.set_inbox_registration(inbox.id, registered).await?;
        tracing::info!(inbox.id = %inbox.id, "the sender knows the inbox's address");
        self.reopen_inbox(inbox.id).await
    }

    /// Whether the sender still has our entry, as far as it can be asked.
    async fn has_entry(
        &self,
        connection: &Connection,
        connector: &Connector,
        register: &Register,
        external_id: &Option<String>,
        url: &str,
    ) -> Result<bool, Error> {
        let RegisterBy::Rest(rest) = &register.by;
        let Rest { list: Some(list), items: Some(items), url: Some(at), id, .. } = &**rest else {
            return Ok(true);
        };
        let answer = self.tell(connection, connector, list, &json!({})).await?;
        let now = self.now();
        let listed = items.all(&answer, now).map_err(|error| not_expected(connection, &error))?;
        Ok(listed.iter().flat_map(flattened).any(|item| {
            at.text_of(&item, now).as_deref() == Some(url)
                && external_id.as_ref().is_none_or(|known| {
                    id.text_of(&item, now).is_some_and(|id| known.split(',').any(|one| one == id))
                })
        }))
    }

    async fn remove_entry(
        &self,
        connection: &Connection,
        connector: &Connector,
        register: &Register,
        external_id: &str,
    ) -> Result<(), Error> {
        let RegisterBy::Rest(rest) = &register.by;
        let Some(remove) = &rest.remove else { return Ok(()) };
        for id in external_id.split(',') {
            self.tell(connection, connector, remove, &json!({ "id": id })).await?;
        }
        Ok(())
    }

    /// Makes a call of the registration; `extra` is what its texts may use beside the usual.
    async fn tell(
        &self,
        connection: &Connection,
        connector: &Connector,
        call: &domain::connector::Call,
        extra: &Value,
    ) -> Result<Json, Error> {
        let mut values = self.values(connection, connector, &Value::Null);
        if let (Value::Object(values), Value::Object(extra)) = (&mut values, extra) {
            values.extend(extra.clone());
        }
        let request = ApiRequest::from_call(call, &values).map_err(outgoing::Error::from)?;
        let answer = self.call(connection, &request).await?;
        Ok(Json::parse(&answer.body).unwrap_or_default())
    }
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
