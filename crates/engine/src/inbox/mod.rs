//! Receiving webhooks: from bytes on the wire to one row in the event log.
//!
//! A webhook is received in this order: which inbox, handshake, verify the raw bytes, dedupe key,
//! store, answer. Nothing parses a body before it is verified, and a sender gets its 2xx only
//! after the commit has reached the disk.
//!
//! Nothing here knows about tunnels: a tunnel only makes a listener reachable.

mod documents;
#[cfg(test)]
mod handshakes;
mod open;
mod receive;
pub(crate) mod registration;

use std::collections::{BTreeMap, HashMap};
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use bytes::Bytes;
use domain::connection::Connection;
use domain::connector::{Connector, HookSecret, Register, SIGNING_SECRET, Status, Webhooks};
use domain::id::{ConnectionId, InboxId};
use domain::inbox::{Inbox, NewInbox, Registration};
use domain::page::Count;
use domain::refusal::Reason;
use domain::secret::{Secret, Secrets};
use jiff::Timestamp;

use crate::changes::{Notice, Noun};
use crate::field::{self, Missing, Problem};
use crate::socket::SocketStatus;
use crate::{Engine, outgoing, random, store, vault};

pub(crate) use self::documents::Documents;
pub(crate) use self::open::{Inboxes, OpenInbox};

/// Why something was not done with an inbox.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A setting or a secret that its connector asks for is missing or not of its shape.
    #[error("`{field}` {problem}")]
    Field {
        /// Which one.
        field: String,
        /// What is wrong with it: `is missing`, `does not look like …`.
        problem: String,
    },
    /// Its connector has no socket, or not for the way in of its connection.
    #[error("{0} has no socket")]
    Socket(String),
    /// The connection has a socket already, which gets all of its events.
    #[error("{0} has a socket already")]
    SocketTaken(String),
    /// There is no such connector, or it receives no webhooks.
    #[error("`{0}` is not a connector that receives webhooks")]
    Connector(String),
    /// The sender could not be told of the address.
    #[error(transparent)]
    Sender(#[from] outgoing::Error),
    /// The store's fault.
    #[error(transparent)]
    Store(#[from] store::Error),
    /// The vault's fault.
    #[error(transparent)]
    Vault(#[from] vault::Error),
}

impl From<Problem> for Error {
    fn from(Problem { field, problem }: Problem) -> Self {
        Self::Field { field, problem }
    }
}

/// What is asked for with a new inbox.
#[derive(Debug, Clone)]
pub struct InboxRequest {
    /// The user's name for it.
    pub name: String,
    /// What its senders are like.
    pub connector: String,
    /// Whose events it receives.
    pub connection: Option<ConnectionId>,
    /// Whether the user tells the sender of it, also where calls could.
    pub by_hand: bool,
    /// Whether they come over a socket.
    pub socket: bool,
    /// The connector's settings.
    pub settings: BTreeMap<String, String>,
    /// The connector's secrets.
    pub secrets: Secrets,
}

/// An inbox with what is known of it now.
#[derive(Debug, Clone)]
pub struct InboxStatus {
    /// As stored.
    pub inbox: Inbox,
    /// Its connector's name.
    pub connector_name: String,
    /// Its address on this machine.
    pub local_url: String,
    /// Its address for the world, while a tunnel runs.
    pub public_url: Option<String>,
    /// Whether that address is proved to lead here.
    pub public_proved: bool,
    /// When it last received something.
    pub heard_at: Option<Timestamp>,
    /// How many events it holds.
    pub events: Count,
    /// Whether it accepts signed requests only.
    pub signed: bool,
    /// The names of those that it still needs from its user. Without them it refuses everything.
    pub missing_secrets: Vec<String>,
    /// Its socket, where its events come over one.
    pub socket: Option<SocketStatus>,
}

/// A request as it came to an ingress listener.
#[derive(Debug, Clone)]
pub struct Delivery {
    /// Its method.
    pub method: http::Method,
    /// Path and query as they came.
    pub uri: http::Uri,
    /// Its headers.
    pub headers: http::HeaderMap,
    /// Its body, whole.
    pub body: Bytes,
    /// Who sent it, where this listener's tunnel says so.
    pub address: Option<IpAddr>,
}

/// What the sender is told. Statuses are the connector's data.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    /// The status.
    pub status: u16,
    /// Headers.
    pub headers: Vec<(String, String)>,
    /// Body.
    pub body: Bytes,
}

/// What became of a delivery.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Received {
    /// It is stored, or was a repeat or a handshake: answered as the connector says.
    Answered(Answer),
    /// It was refused, and noted so.
    Refused(Reason, Option<Answer>),
    /// There was no room for it: try again after so many seconds.
    Overloaded(Answer),
}

impl Engine {
    /// All inboxes, by name.
    pub async fn inboxes(&self) -> Result<Vec<InboxStatus>, Error> {
        let heard: HashMap<_, _> = self
            .inner
            .store
            .heard()
            .await?
            .into_iter()
            .map(|(inbox, at, count)| (inbox, (at, count)))
            .collect();
        let inboxes = self.inner.store.inboxes().await?;
        Ok(inboxes
            .into_iter()
            .map(|inbox| {
                let heard = heard.get(&inbox.id).copied();
                self.inbox_status(inbox, heard)
            })
            .collect())
    }

    /// One.
    pub async fn inbox(&self, id: InboxId) -> Result<InboxStatus, Error> {
        let inbox = self.inner.store.inbox(id).await?;
        let heard = self.inner.store.heard().await?;
        let heard = heard.into_iter().find(|(heard, ..)| *heard == id);
        Ok(self.inbox_status(inbox, heard.map(|(_, at, count)| (at, count))))
    }

    /// Makes one, and tells its sender of it where the connector can.
    pub async fn create_inbox(&self, request: InboxRequest) -> Result<InboxStatus, Error> {
        let connector = self.receiving(&request.connector)?;
        let webhooks = webhooks(&connector)?;
        field::check(&webhooks.setting_fields(), &request.settings, Missing::Refused)?;
        webhooks.check_settings(&request.settings).map_err(Problem::from)?;
        field::check_secrets(&webhooks.secret_fields(), &request.secrets, Missing::Allowed)?;
        let connection = match request.connection {
            Some(connection) => Some(self.inner.store.connection(connection).await?),
            None => None,
        };

        let is_other = |it: &Connection| it.connection.connector != connector.id;
        if connection.as_ref().is_some_and(is_other) {
            let problem = "is one of another connector".into();
            return Err(Error::Field { field: "connection".into(), problem });
        }
        if request.socket {
            self.has_socket(&connector, connection.as_ref()).await?;
        }
        let registers = !request.by_hand
            && match &connection {
                Some(connection) => self.can_tell(&connector, connection).await?,
                None => false,
            };
        let inbox = NewInbox {
            name: request.name,
            sandbox: connector.status == Status::Sandbox,
            connector: request.connector,
            connection: request.connection,
            settings: request.settings,
            key: new_key(),
            registration: match (request.socket, registers) {
                (true, _) => Registration::Socket,
                (false, true) => Registration::Waiting,
                (false, false) => Registration::ByHand,
            },
        };
        let name = inbox.name.clone();
        let made = self.inner.store.create_inbox(inbox, self.inner.clock.now()).await;
        let inbox = made.map_err(|error| match error {
            // Nothing else of an inbox can be taken: its key is random.
            store::Error::Taken(_) => Error::SocketTaken(name),
            error => error.into(),
        })?;
        let id = inbox.id;
        if let Err(error) = self.first_secrets(&inbox, connection, &request.secrets).await {
            // Without its secret it would refuse everything: better none than half of one.
            self.inner.store.delete_inbox(id).await?;
            return Err(error);
        }
        self.reopen_inbox(id).await?;
        self.inner.registration.notify_one();
        self.inbox(id).await
    }

    /// Those that were given with it; and that of its connection, which nobody has to give twice.
    async fn first_secrets(
        &self,
        inbox: &Inbox,
        connection: Option<Connection>,
        given: &Secrets,
    ) -> Result<(), Error> {
        if !given.is_empty() {
            self.keep_inbox_secrets(inbox.id, given).await?;
        }
        match connection {
            Some(connection) if given.get(SIGNING_SECRET).is_none() => {
                self.share_secret(inbox, &connection).await
            }
            _ => Ok(()),
        }
    }

    /// Whether a connection can open a socket, as far as that can be told before.
    async fn has_socket(
        &self,
        connector: &Connector,
        connection: Option<&Connection>,
    ) -> Result<(), Error> {
        let none = || Error::Socket(connector.name.clone());
        let socket = connector.socket.as_ref().ok_or_else(none)?;
        let missing = || Error::Field { field: "connection".into(), problem: "is missing".into() };
        let connection = connection.ok_or_else(missing)?;
        let way = connector.way(Some(&connection.connection.way));
        let opens = connection.connection.connector == connector.id
            && way.is_some_and(|way| socket.opens_by(way));
        if !opens {
            return Err(none());
        }
        let Some(token) = &socket.token else { return Ok(()) };
        match self.secrets_of(connection).await?.get(token) {
            Some(_) => Ok(()),
            None => Err(Error::Field { field: token.clone(), problem: "is missing".into() }),
        }
    }

    /// Changes its name, and the settings and secrets that are given. What is not given stays; a
    /// setting that is given empty goes back to what the connector has for it.
    ///
    /// # Errors
    ///
    /// [`Error::Field`] for the first that does not fit, before anything is changed.
    pub async fn update_inbox(
        &self,
        id: InboxId,
        name: Option<String>,
        settings: BTreeMap<String, String>,
        secrets: Secrets,
    ) -> Result<InboxStatus, Error> {
        let inbox = self.inner.store.inbox(id).await?;
        let connector = self.receiving(&inbox.inbox.connector)?;
        let webhooks = webhooks(&connector)?;
        field::check_secrets(&webhooks.secret_fields(), &secrets, Missing::Allowed)?;
        let settings = match settings.is_empty() {
            true => None,
            false => {
                let mut all = inbox.inbox.settings;
                all.extend(settings);
                all.retain(|_, value| !value.is_empty());
                field::check(&webhooks.setting_fields(), &all, Missing::Refused)?;
                webhooks.check_settings(&all).map_err(Problem::from)?;
                Some(all)
            }
        };
        self.inner.store.update_inbox(id, name, settings).await?;
        if !secrets.is_empty() {
            self.keep_inbox_secrets(id, &secrets).await?;
        }
        self.reopen_inbox(id).await?;
        self.inbox(id).await
    }

    /// Deletes it with its events; says how many went.
    ///
    /// Once it is invisible it is deleted: what then keeps its events on the disk, or its secret in
    /// the vault, is dealt with in the background until it succeeds, and is nobody's error.
    pub async fn delete_inbox(&self, id: InboxId) -> Result<u64, Error> {
        let inbox = self.inner.store.inbox(id).await?;
        let held = self.inner.store.heard().await?;
        let held = held.into_iter().find(|(heard, ..)| *heard == id);
        self.inner.store.doom_inbox(id).await?;
        self.inner.inboxes.close(id);
        self.inner.sockets.wake();
        if registration::withdraw(self, &inbox).await {
            self.inner.store.let_inbox_go(id).await?;
        }
        let events = match self.finish_deletion(id, inbox.secrets).await {
            Ok(events) => events,
            Err(fault) => {
                tracing::warn!(inbox.id = %id, %fault, "a deletion goes on in the background");
                held.map_or(0, |(_, _, count)| count.count)
            }
        };
        self.inner.housekeeping.notify_one();
        for noun in [Noun::Inboxes, Noun::Events, Noun::Refusals] {
            self.inner.changes.note(Notice::of(noun));
        }
        Ok(events)
    }

    /// Whether an inbox has this key: asked before a body is read. Costs no IO.
    pub fn has_inbox(&self, key: &str) -> bool {
        self.inner.inboxes.find(key).is_some()
    }

    /// Whether `listener` is the host's own, to which no tunnel leads.
    pub fn is_own_listener(&self, listener: SocketAddr) -> bool {
        self.inner.inboxes.port() == Some(listener.port())
    }

    /// The names of all inboxes, from memory: every row of the log shows one.
    pub fn inbox_names(&self) -> BTreeMap<InboxId, String> {
        self.inner.inboxes.names()
    }

    /// Writes the secrets that are given beside those it has, as a new generation, and removes
    /// the old one once the inbox points to the new. One at a time: the user and the registration
    /// may both have something to change.
    pub(crate) async fn keep_inbox_secrets(
        &self,
        id: InboxId,
        given: &Secrets,
    ) -> Result<(), Error> {
        let _one_at_a_time = self.inner.inboxes.changing.lock().await;
        let inbox = self.inner.store.inbox(id).await?;
        let owner = id.to_string();
        let mut secrets = self.inner.vault.read_for_change(&owner, inbox.secrets).await?;
        for (name, values) in given.iter() {
            secrets.remove(name);
            for value in values {
                secrets.add(name, value.clone());
            }
        }
        self.write_inbox_secrets(&inbox, &secrets).await
    }

    /// Keeps a secret that the sender itself said, and says whether it did: not where there is
    /// another of that name meanwhile.
    async fn keep_first_secret(
        &self,
        id: InboxId,
        name: &str,
        secret: Secret,
    ) -> Result<bool, Error> {
        {
            let _one_at_a_time = self.inner.inboxes.changing.lock().await;
            let inbox = self.inner.store.inbox(id).await?;
            let owner = id.to_string();
            let mut secrets = self.inner.vault.read_for_change(&owner, inbox.secrets).await?;
            if let Some(known) = secrets.get(name) {
                return Ok(*known == secret);
            }
            secrets.set(name, secret);
            self.write_inbox_secrets(&inbox, &secrets).await?;
        }
        self.reopen_inbox(id).await?;
        Ok(true)
    }

    /// Puts these in place of all secrets of an inbox. Only while `changing` is held.
    async fn write_inbox_secrets(&self, inbox: &Inbox, secrets: &Secrets) -> Result<(), Error> {
        let owner = inbox.id.to_string();
        let generation = inbox.secrets.map_or(1, |generation| generation + 1);
        self.inner.vault.write(&owner, generation, secrets).await?;
        self.inner.store.set_inbox_secrets(inbox.id, generation).await?;
        if let Some(old) = inbox.secrets
            && let Err(error) = self.inner.vault.remove(&owner, old).await
        {
            tracing::warn!(inbox.id = %inbox.id, %error, "an old generation of secrets stays");
        }
        self.inner.housekeeping.notify_one();
        Ok(())
    }

    /// Opens an inbox as the store has it now, and says that it changed.
    pub(crate) async fn reopen_inbox(&self, id: InboxId) -> Result<(), Error> {
        let inbox = self.inner.store.inbox(id).await?;
        self.inner.inboxes.open(inbox);
        self.inner.sockets.wake();
        self.inner.changes.note(Notice::of(Noun::Inboxes));
        Ok(())
    }

    fn receiving(&self, id: &str) -> Result<Arc<Connector>, Error> {
        self.inner
            .connectors
            .get(id)
            .filter(|connector| connector.webhooks.is_some())
            .ok_or_else(|| Error::Connector(id.into()))
    }

    fn inbox_status(&self, inbox: Inbox, heard: Option<(Timestamp, Count)>) -> InboxStatus {
        let connector = self.inner.connectors.get(&inbox.inbox.connector);
        let public_address = self.public_address().filter(|_| !inbox.inbox.sandbox);
        InboxStatus {
            connector_name: connector
                .as_ref()
                .map_or_else(|| inbox.inbox.connector.clone(), |connector| connector.name.clone()),
            signed: connector
                .as_ref()
                .and_then(|connector| connector.webhooks.as_ref())
                .is_some_and(|webhooks| {
                    inbox.inbox.by_socket() || webhooks.signed_with(&inbox.inbox.settings)
                }),
            local_url: self.inner.inboxes.local_url(&inbox.inbox.key),
            public_proved: public_address.is_some() && public_address == self.proved_address(),
            public_url: public_address.map(|base| format!("{base}/in/{}", inbox.inbox.key)),
            missing_secrets: connector
                .as_ref()
                .map(|connector| self.missing_secrets(connector, &inbox))
                .unwrap_or_default(),
            heard_at: heard.map(|(at, _)| at),
            events: heard.map_or(Count { count: 0, exact: true }, |(_, count)| count),
            socket: inbox.inbox.by_socket().then(|| self.inner.sockets.status(inbox.id)).flatten(),
            inbox,
        }
    }

    /// The secrets that only the user can bring, and has not.
    fn missing_secrets(&self, connector: &Connector, inbox: &Inbox) -> Vec<String> {
        if inbox.inbox.by_socket() {
            return Vec::new();
        }
        let brought = |register: &Register| {
            !matches!(register.secret, HookSecret::User | HookSecret::None)
                && !matches!(inbox.inbox.registration, Registration::ByHand)
        };
        if connector.register.as_ref().is_some_and(brought) {
            return Vec::new();
        }
        let open = self.inner.inboxes.find(&inbox.inbox.key);
        let known = open.as_ref().and_then(|open| open.known_secrets());
        let has = |name: &str| match known {
            Some(secrets) => secrets.get(name).is_some(),
            // Not read yet: whoever gave one gave all, as far as anybody knows.
            None => inbox.secrets.is_some(),
        };
        let Some(webhooks) = &connector.webhooks else { return Vec::new() };
        let needed = webhooks.needed_secrets(&inbox.inbox.settings).into_iter();
        needed.map(|field| field.name).filter(|name| !has(name)).collect()
    }
}

fn webhooks(connector: &Connector) -> Result<&Webhooks, Error> {
    connector.webhooks.as_ref().ok_or_else(|| Error::Connector(connector.id.clone()))
}

/// 128 random bits in 26 characters that nobody mixes up.
fn new_key() -> String {
    const ALPHABET: &[u8; 32] = b"0123456789abcdefghjkmnpqrstvwxyz";
    let mut rest = u128::from_le_bytes(random());
    let digits = (0..26).map(|_| {
        let digit = ALPHABET[(rest & 31) as usize];
        rest >>= 5;
        char::from(digit)
    });
    digits.collect()
}
