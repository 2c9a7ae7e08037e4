//! Telling senders of an inbox's address, where the connector can.
//!
//! One task looks at all inboxes when something may have changed: an inbox was made, a connection
//! became ready, a tunnel got another address. What is registered is compared with what should be,
//! so doing it again changes nothing; an old entry of ours is removed before a new one is made.

use std::collections::BTreeSet;
use std::time::Duration;

use domain::connection::{Connection, ConnectionState};
use domain::connector::{
    Ask, Connector, Each, HookSecret, OursAs, OursEncoding, Register, RegisterBy, SIGNING_SECRET,
    Single,
};
use domain::id::InboxId;
use domain::inbox::{Inbox, Registration};
use domain::json::Json;
use domain::secret::{Secret, Secrets};
use futures::StreamExt as _;
use serde_json::{Value, json};
use tokio::time::Instant;

use super::Error;
use crate::outgoing::{self, ApiRequest, Purpose};
use crate::{Engine, store};

mod withdrawal;

pub(crate) use withdrawal::withdraw;

/// How often it is looked at without a reason: a sender may have lost an entry.
const INTERVAL: Duration = Duration::from_secs(15 * 60);

/// How long the registration of one inbox may take, pauses that its sender asks for included.
const LONGEST: Duration = Duration::from_secs(5 * 60);
/// How many inboxes are registered at a time: one slow sender holds up no other.
const AT_ONCE: usize = 8;

/// Keeps all registrations as they should be, until the engine stops.
pub(crate) fn keep(engine: Engine) {
    let stopping = engine.inner.stopping.clone();
    tokio::spawn(stopping.run_until_cancelled_owned(async move {
        // Every start looks anew: the sandbox forgets its webhooks, and our port may be another.
        let mut looked = BTreeSet::new();
        let mut next = Instant::now() + INTERVAL;
        loop {
            tokio::join!(engine.register_all(&mut looked), withdrawal::finish(&engine));
            let wake = engine.inner.registration.notified();
            // Either way it looks again.
            if tokio::time::timeout_at(next, wake).await.is_err() {
                looked.clear();
                next = Instant::now() + INTERVAL;
            }
        }
    }));
}

/// What the ledger calls all of this.
const PURPOSE: &str = "webhook registration";

/// What a sender knows of an inbox, by its own list.
struct Entry {
    id: String,
    url: String,
    /// Whether the sender has switched it off.
    off: bool,
}

/// What there is at a sender.
#[derive(Default)]
struct Known {
    /// Those that lead to this inbox.
    entries: Vec<Entry>,
    /// The ids of those that lead elsewhere.
    others: BTreeSet<String>,
    /// The ids of the parents that each have entries of their own.
    parents: Vec<String>,
}

/// The secrets of one registration.
struct Signing {
    /// Those that there were: what is on its way, or tried again, is still signed with one of them.
    before: Vec<Secret>,
    /// Those that were made since, the newest first: each entry may have one of its own.
    fresh: Vec<Secret>,
}

impl Signing {
    /// All that is accepted once there is `secret`, too: as many of the old ones as there are new
    /// ones, so that they do not pile up.
    fn with(&mut self, secret: Secret) -> Vec<Secret> {
        self.fresh.insert(0, secret);
        let old = self.before.iter().filter(|old| !self.fresh.contains(old));
        self.fresh.iter().chain(old.take(self.fresh.len())).cloned().collect()
    }
}

/// The id of the one address that an app has.
const SINGLE: &str = "single";
/// Stands between the id of a parent and that of an entry of it.
const OF_PARENT: char = '/';

impl Engine {
    /// Whether the sender of an inbox with this connection can be told of it by calls, and signs
    /// with a secret that is known then. Otherwise its user tells it, and brings the secret.
    pub(super) async fn can_tell(
        &self,
        connector: &Connector,
        connection: &Connection,
    ) -> Result<bool, Error> {
        let Some(register) = &connector.register else { return Ok(false) };
        if !can_register(register, connection, connector) {
            return Ok(false);
        }
        let shares = register.secret.of_connection().is_some();
        Ok(!shares || self.shared_secret(connection, register).await?.is_some())
    }

    async fn register_all(&self, looked: &mut BTreeSet<InboxId>) {
        let inboxes = match self.inner.store.inboxes().await {
            Ok(inboxes) => inboxes,
            Err(error) => return tracing::error!(%error, "inboxes could not be read"),
        };
        let mut turns = Vec::new();
        for inbox in &inboxes {
            turns.push(self.register_in_time(inbox, looked.contains(&inbox.id)));
        }
        let turns = futures::stream::iter(turns).buffer_unordered(AT_ONCE);
        let done: Vec<_> = turns.filter_map(std::future::ready).collect().await;
        looked.extend(done);
    }

    /// As [`Engine::register`], within limits; its id where it is looked after from here on.
    async fn register_in_time(&self, inbox: &Inbox, trusted: bool) -> Option<InboxId> {
        match tokio::time::timeout(LONGEST, self.register(inbox, trusted)).await {
            Ok(Ok(is_looked_after)) => return is_looked_after.then_some(inbox.id),
            Ok(Err(error)) => {
                tracing::warn!(inbox.id = %inbox.id, %error, "an inbox was not registered");
            }
            Err(_) => tracing::warn!(inbox.id = %inbox.id, "a sender takes too long"),
        }
        Some(inbox.id)
    }

    /// Registers one inbox where it is not, and can be; says whether it can be. One that is
    /// `trusted` to be registered as is written down is not asked for at its sender.
    async fn register(&self, inbox: &Inbox, trusted: bool) -> Result<bool, Error> {
        let Some((connection, connector)) = self.sender_of(inbox).await else { return Ok(false) };
        let Some(register) = &connector.register else { return Ok(false) };
        if connection.connection.state != ConnectionState::Ready
            || inbox.inbox.registration == Registration::ByHand
            || inbox.inbox.by_socket()
            || !can_register(register, &connection, &connector)
        {
            return Ok(false);
        }
        let Some(url) = self.address_for(inbox) else { return Ok(false) };
        self.register_at(url, inbox, &connection, &connector, register, trusted).await?;
        Ok(true)
    }

    /// Tells the sender of an inbox that it is at `url`, where it does not know.
    async fn register_at(
        &self,
        url: String,
        inbox: &Inbox,
        connection: &Connection,
        connector: &Connector,
        register: &Register,
        trusted: bool,
    ) -> Result<(), Error> {
        let known = &inbox.inbox.registration;
        let told = matches!(known, Registration::Registered { url: told, .. } if *told == url);
        if told && trusted {
            return Ok(());
        }

        let mut stale = known.external_id().map(str::to_owned);
        let mut is_listed = true;
        match self.entries(inbox, connection, connector, register).await {
            // Not being able to ask is no news: what was registered is still registered.
            Err(_) if told => return Ok(()),
            Err(error) => return self.note_failure(inbox, &error, stale).await,
            Ok(None) if told => return Ok(()),
            Ok(None) => {}
            Ok(Some(Known { mut entries, others, parents })) => {
                if told {
                    self.switch_on(connection, connector, register, &mut entries).await;
                }
                let ids: Vec<_> = known.external_id().iter().flat_map(|it| it.split(',')).collect();
                let as_known = told
                    && entries.iter().all(|entry| entry.url == url && !entry.off)
                    && are_known(&ids, &entries)
                    && is_whole(&ids, register, connector, &parents);
                if as_known {
                    return Ok(());
                }
                is_listed = !entries.is_empty();
                let ids: Vec<_> = match is_listed {
                    // Everything that leads to this inbox is ours, also what a crash kept us from
                    // writing down.
                    true => entries.into_iter().map(|entry| entry.id).collect(),
                    // A list need not be whole; but what it shows under another address is no
                    // longer ours.
                    false => ids
                        .into_iter()
                        .filter(|id| !others.contains(*id))
                        .map(str::to_owned)
                        .collect(),
                };
                stale = (!ids.is_empty()).then(|| ids.join(","));
            }
        }
        if let Some(ids) = &stale {
            match self.remove_entries(connection, connector, register, ids).await {
                Ok(()) => {}
                // Most likely it is gone, and not every sender says so with a 404.
                Err(error) if !is_listed && is_answered(&error) => {
                    tracing::warn!(inbox.id = %inbox.id, %error, "an old entry was not removed");
                }
                Err(error) => return self.note_failure(inbox, &error, stale).await,
            }
        }
        let mut made = Vec::new();
        match self.make_entries(inbox, connection, connector, register, &url, &mut made).await {
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
        self.note_registration(inbox, registered).await?;
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
        self.note_registration(inbox, failed).await?;
        self.reopen_inbox(inbox.id).await
    }

    /// Writes down what the sender knows. An inbox that was deleted meanwhile is taken back.
    async fn note_registration(
        &self,
        inbox: &Inbox,
        registration: Registration,
    ) -> Result<(), Error> {
        let noted = self.inner.store.set_inbox_registration(inbox.id, registration.clone()).await;
        if matches!(noted, Err(store::Error::NotFound)) {
            let mut deleted = inbox.clone();
            deleted.inbox.registration = registration;
            withdraw(self, &deleted).await;
        }
        Ok(noted?)
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
        let topics = connector.webhooks.as_ref().map_or(&[][..], |webhooks| &webhooks.topics);
        let mut extra = json!({ "inbox": facts(inbox, url), "topics": topics });
        let mut signing = Signing { before: self.signing_secrets(inbox).await?, fresh: Vec::new() };
        if let Some(secret) = self.secret_before(connection, connector, register).await? {
            // Kept before the sender is told, so that what is signed with it can be verified at
            // once.
            extra["secret"] = Value::String(secret.expose().to_owned());
            match register.secret.of_connection() {
                Some(_) => self.keep_signing_secrets(inbox, &[secret]).await?,
                None => self.keep_signing_secrets(inbox, &signing.with(secret)).await?,
            }
            self.reopen_inbox(inbox.id).await?;
        }
        let entries = match &register.by {
            RegisterBy::Entries(entries) => entries,
            RegisterBy::Single(single) => {
                let answer = self.set_single(connection, connector, single, &extra, made).await?;
                let id = Some(SINGLE.to_owned());
                let secret =
                    self.secret_after(connection, connector, register, &answer, id).await?;
                if let Some(secret) = secret {
                    self.keep_signing_secrets(inbox, &signing.with(secret)).await?;
                }
                return Ok(());
            }
            RegisterBy::Resource(_) | RegisterBy::Manual(_) => return Ok(()),
        };
        for (parent, extra) in self.turns(connection, connector, register, &extra).await? {
            let answer = self.tell(connection, connector, &entries.create, &extra).await?;
            let id = match &entries.created_id {
                Some(at) => at.text_of(&answer, self.now()),
                None => entries.id.of(&answer, url, self.now()),
            };
            // Without it nobody could take the entry back.
            let id = id.ok_or_else(|| unreadable("names no entry"))?;
            made.push(with_parent(parent.as_deref(), &id));
            let secret =
                self.secret_after(connection, connector, register, &answer, Some(id)).await?;
            if let Some(secret) = secret {
                self.keep_signing_secrets(inbox, &signing.with(secret)).await?;
            }
        }
        Ok(())
    }

    /// The one address that an app has, and its topics.
    async fn set_single(
        &self,
        connection: &Connection,
        connector: &Connector,
        single: &Single,
        extra: &Value,
        made: &mut Vec<String>,
    ) -> Result<Json, Error> {
        let answer = self.tell(connection, connector, &single.set, extra).await?;
        made.push(SINGLE.into());
        let Some(call) = &single.topics else { return Ok(answer) };
        for topic in extra["topics"].as_array().into_iter().flatten() {
            let extra = with(extra, "topic", topic.clone());
            match self.tell(connection, connector, call, &extra).await {
                // It listens to this topic already.
                Ok(_) | Err(Error::Sender(outgoing::Error::Status { status: 409, .. })) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(answer)
    }

    /// What there is one call for: the inbox, each topic, or each record of a parent stream, whose
    /// id comes with it.
    async fn turns(
        &self,
        connection: &Connection,
        connector: &Connector,
        register: &Register,
        extra: &Value,
    ) -> Result<Vec<(Option<String>, Value)>, Error> {
        Ok(match &register.each {
            Each::Inbox => vec![(None, extra.clone())],
            Each::Topic => {
                let topics = extra["topics"].as_array().into_iter().flatten();
                topics.map(|topic| (None, with(extra, "topic", topic.clone()))).collect()
            }
            Each::Parent(stream) => self
                .parents(connection, connector, stream)
                .await?
                .into_iter()
                .map(|(id, parent)| (Some(id), with(extra, "parent", parent)))
                .collect(),
        })
    }

    /// The records of a stream, each with its key, as the sender has them now.
    async fn parents(
        &self,
        connection: &Connection,
        connector: &Connector,
        stream: &str,
    ) -> Result<Vec<(String, Value)>, Error> {
        let records = self.all_records(connection, connector, stream).await?;
        let parsed = records
            .into_iter()
            .filter_map(|record| Some((record.key, serde_json::from_str(&record.data).ok()?)));
        Ok(parsed.collect())
    }

    /// The signing secret, where it is there before the sender is told.
    async fn secret_before(
        &self,
        connection: &Connection,
        connector: &Connector,
        register: &Register,
    ) -> Result<Option<Secret>, Error> {
        Ok(match &register.secret {
            HookSecret::Get(later) if later.before => {
                let answer = self.tell(connection, connector, &later.call, &json!({})).await?;
                let secret = later.at.text_of(&answer, self.now());
                let secret = secret.filter(|secret| !secret.is_empty()).ok_or_else(no_secret)?;
                Some(Secret::new(secret))
            }
            HookSecret::Ours => Some(new_secret(&standard())),
            HookSecret::OursAs(form) => Some(new_secret(form)),
            HookSecret::App | HookSecret::Connection(_) => {
                self.shared_secret(connection, register).await?
            }
            HookSecret::Answer(_) | HookSecret::Get(_) | HookSecret::User | HookSecret::None => {
                None
            }
        })
    }

    /// The secret of a connection that signs what comes to its inboxes, where there is one.
    async fn shared_secret(
        &self,
        connection: &Connection,
        register: &Register,
    ) -> Result<Option<Secret>, Error> {
        let Some(name) = register.secret.of_connection() else { return Ok(None) };
        Ok(self.secrets_of(connection).await?.get(name).cloned())
    }

    /// Gives an inbox the signing secret of its connection, where that is one and the same.
    ///
    /// What the user registers by hand although calls could, is signed with another: Shopify signs
    /// what is made in its settings with a secret of the shop, and not with that of the app.
    pub(super) async fn share_secret(
        &self,
        inbox: &Inbox,
        connection: &Connection,
    ) -> Result<(), Error> {
        let Some(connector) = self.inner.connectors.get(&inbox.inbox.connector) else {
            return Ok(());
        };
        let Some(register) = &connector.register else { return Ok(()) };
        let other = register.is_by_calls() && inbox.inbox.registration == Registration::ByHand;
        if other || inbox.inbox.by_socket() {
            return Ok(());
        }
        match self.shared_secret(connection, register).await? {
            Some(secret) => self.keep_signing_secrets(inbox, &[secret]).await,
            None => Ok(()),
        }
    }

    /// Tells all inboxes of a connection that its secrets are others now.
    pub(crate) async fn share_secrets(&self, connection: &Connection) -> Result<(), Error> {
        for inbox in self.inner.store.inboxes().await? {
            if inbox.inbox.connection == Some(connection.id) {
                self.share_secret(&inbox, connection).await?;
                self.reopen_inbox(inbox.id).await?;
            }
        }
        Ok(())
    }

    /// The signing secret, where the sender makes it.
    async fn secret_after(
        &self,
        connection: &Connection,
        connector: &Connector,
        register: &Register,
        answer: &Json,
        id: Option<String>,
    ) -> Result<Option<Secret>, Error> {
        let secret = match &register.secret {
            HookSecret::Answer(at) => at.text_of(answer, self.now()),
            HookSecret::Get(later) if !later.before => {
                let extra = json!({ "id": id });
                let answer = self.tell(connection, connector, &later.call, &extra).await?;
                later.at.text_of(&answer, self.now())
            }
            _ => return Ok(None),
        };
        let secret = secret.filter(|secret| !secret.is_empty()).ok_or_else(no_secret)?;
        Ok(Some(Secret::new(secret)))
    }

    /// What an inbox proves its requests with now.
    async fn signing_secrets(&self, inbox: &Inbox) -> Result<Vec<Secret>, Error> {
        let Some(generation) = self.inner.store.inbox(inbox.id).await?.secrets else {
            return Ok(Vec::new());
        };
        let owner = inbox.id.to_string();
        let secrets = self.inner.vault.read_for_change(&owner, Some(generation)).await?;
        Ok(secrets.all(self.signing_name(inbox)).to_vec())
    }

    async fn keep_signing_secrets(&self, inbox: &Inbox, kept: &[Secret]) -> Result<(), Error> {
        let name = self.signing_name(inbox);
        let mut secrets = Secrets::new();
        for secret in kept {
            secrets.add(name, secret.clone());
        }
        self.keep_inbox_secrets(inbox.id, &secrets).await
    }

    fn signing_name(&self, inbox: &Inbox) -> &'static str {
        let connector = self.inner.connectors.get(&inbox.inbox.connector);
        let webhooks = connector.as_ref().and_then(|connector| connector.webhooks.as_ref());
        webhooks.map_or(SIGNING_SECRET, |webhooks| webhooks.verify.secret_name())
    }

    /// What the sender knows of this inbox, under this or an earlier address of it; none where it
    /// cannot be asked.
    async fn entries(
        &self,
        inbox: &Inbox,
        connection: &Connection,
        connector: &Connector,
        register: &Register,
    ) -> Result<Option<Known>, Error> {
        let path = format!("/in/{}", inbox.inbox.key);
        let now = self.now();
        let (entries, listed) = match &register.by {
            RegisterBy::Entries(entries) => match entries.listed() {
                Some(listed) => (entries, listed),
                None => return Ok(None),
            },
            RegisterBy::Single(single) => {
                let (Some(get), Some(at)) = (&single.get, &single.url) else { return Ok(None) };
                let answer = self.tell(connection, connector, get, &json!({})).await?;
                let url = at.text_of(&answer, now).filter(|url| url.ends_with(&path));
                let entry = |url| Entry { id: SINGLE.into(), url, off: false };
                return Ok(Some(Known {
                    entries: url.into_iter().map(entry).collect(),
                    // Setting ours takes the place of whatever is there.
                    others: [SINGLE.to_owned()].into(),
                    ..Known::default()
                }));
            }
            RegisterBy::Resource(_) | RegisterBy::Manual(_) => return Ok(None),
        };
        let active = register.health.as_ref().map(|health| &health.active);
        let extra = json!({ "inbox": facts(inbox, "") });
        let turns = match &register.each {
            Each::Parent(_) => self.turns(connection, connector, register, &extra).await?,
            Each::Inbox | Each::Topic => vec![(None, extra)],
        };
        let purpose = Purpose::of(PURPOSE);
        let mut known = Known::default();
        for (parent, extra) in turns {
            known.parents.extend(parent.clone());
            let items = self.all_listed(connection, connector, &listed, &extra, purpose).await?;
            for item in items {
                let item = Json::parse(item.data.as_bytes()).unwrap_or_default();
                let url = entries.url.as_ref().and_then(|at| at.text_of(&item, now));
                let Some(url) = url else { continue };
                let Some(id) = entries.id.of(&item, &url, now) else { continue };
                let id = with_parent(parent.as_deref(), &id);
                if url.ends_with(&path) {
                    let off = active.is_some_and(|active| !active.holds(&item, now));
                    known.entries.push(Entry { id, url, off });
                } else {
                    known.others.insert(id);
                }
            }
        }
        Ok(Some(known))
    }

    /// Switches on what the sender has switched off, where it has a call for that. What stays off
    /// is registered anew.
    async fn switch_on(
        &self,
        connection: &Connection,
        connector: &Connector,
        register: &Register,
        entries: &mut [Entry],
    ) {
        let enable = register.health.as_ref().and_then(|health| health.enable.as_ref());
        let Some(enable) = enable else { return };
        for entry in entries.iter_mut().filter(|entry| entry.off) {
            match self.tell(connection, connector, enable, &named(register, &entry.id)).await {
                Ok(_) => {
                    tracing::warn!(id = %connection.id, "a sender had switched a webhook off");
                    entry.off = false;
                }
                Err(error) => {
                    tracing::warn!(id = %connection.id, %error, "a webhook could not be switched on");
                }
            }
        }
    }

    async fn remove_entries(
        &self,
        connection: &Connection,
        connector: &Connector,
        register: &Register,
        ids: &str,
    ) -> Result<(), Error> {
        let remove = match &register.by {
            RegisterBy::Entries(entries) => entries.remove.as_ref(),
            RegisterBy::Single(single) => single.remove.as_ref(),
            RegisterBy::Resource(_) | RegisterBy::Manual(_) => None,
        };
        let Some(remove) = remove else { return Ok(()) };
        for id in ids.split(',') {
            match self.tell(connection, connector, remove, &named(register, id)).await {
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
        let mut says = Secrets::new();
        if let Some(secret) = values["secret"].as_str() {
            says.set(SIGNING_SECRET, Secret::new(secret.to_owned()));
        }
        let purpose = Purpose::of(PURPOSE).saying(&says);
        let answer = self.call_for(connection, &request, purpose).await?;
        Ok(Json::parse(&answer.body).unwrap_or_default())
    }
}

/// Whether this connection's sender can be told by calls alone.
fn can_register(register: &Register, connection: &Connection, connector: &Connector) -> bool {
    let way = connector.way(Some(&connection.connection.way));
    let may = register.ways.is_empty() || way.is_some_and(|way| register.ways.contains(&way.id));
    register.is_by_calls() && may
}

/// Whether what a sender lists is what it was told, in whatever order.
fn are_known(ids: &[&str], entries: &[Entry]) -> bool {
    let known: BTreeSet<_> = ids.iter().copied().collect();
    known == entries.iter().map(|entry| entry.id.as_str()).collect()
}

/// Whether there is an entry for everything that should have one: a topic or a parent may be newer
/// than what was registered.
fn is_whole(ids: &[&str], register: &Register, connector: &Connector, parents: &[String]) -> bool {
    let topics = connector.webhooks.as_ref().map_or(0, |webhooks| webhooks.topics.len());
    match register.each {
        Each::Inbox => true,
        Each::Topic => ids.len() >= topics,
        Each::Parent(_) => parents.iter().all(|parent| {
            let of = |id: &&str| id.split_once(OF_PARENT).is_some_and(|(it, _)| it == parent);
            ids.iter().any(of)
        }),
    }
}

/// What texts may say of an inbox.
fn facts(inbox: &Inbox, url: &str) -> Value {
    // Short, the same for as long as the inbox lives, and of letters that every sender takes.
    let id = inbox.id.to_string();
    let tag = format!("patchbay-{}", &id[id.len().saturating_sub(8)..]);
    json!({ "url": url, "name": inbox.inbox.name, "tag": tag })
}

fn with(extra: &Value, name: &str, value: Value) -> Value {
    let mut extra = extra.clone();
    extra[name] = value;
    extra
}

fn with_parent(parent: Option<&str>, id: &str) -> String {
    parent.map_or_else(|| id.to_owned(), |parent| format!("{parent}{OF_PARENT}{id}"))
}

/// What texts about one entry may say: its id, and that of its parent.
fn named(register: &Register, id: &str) -> Value {
    match (&register.each, id.split_once(OF_PARENT)) {
        (Each::Parent(_), Some((parent, id))) => json!({ "id": id, "parent": { "id": parent } }),
        _ => json!({ "id": id }),
    }
}

fn no_secret() -> Error {
    unreadable("holds no signing secret")
}

fn unreadable(why: &str) -> Error {
    let why = format!("its answer {why}");
    outgoing::Error::Answer { host: "the sender".into(), why }.into()
}

/// Whether the sender has understood what it was asked, and refuses it.
const fn is_answered(error: &Error) -> bool {
    use outgoing::Error as Outgoing;
    matches!(
        error,
        Error::Sender(Outgoing::Answer { .. } | Outgoing::Status { status: 400..=499, .. })
    )
}

/// A secret as Standard Webhooks writes one.
fn standard() -> OursAs {
    OursAs { encoding: OursEncoding::Base64, bytes: 32, prefix: "whsec_".into() }
}

/// A signing secret of ours, of random bytes.
fn new_secret(form: &OursAs) -> Secret {
    use base64::Engine as _;
    let random: [u8; 64] = crate::random();
    let bytes = &random[..usize::from(form.bytes).clamp(16, random.len())];
    let text = match form.encoding {
        OursEncoding::Hex => hex::encode(bytes),
        OursEncoding::Base64 => base64::prelude::BASE64_STANDARD.encode(bytes),
    };
    Secret::new(format!("{}{text}", form.prefix))
}

#[cfg(test)]
mod tests;
