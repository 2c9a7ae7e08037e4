//! Connections: making them, checking them, and the credentials that their calls carry.

use std::collections::BTreeMap;
use std::sync::Arc;

use domain::connection::{Connection, ConnectionState, NewConnection};
use domain::connector::{Connector, FormField, Status, Way};
use domain::id::ConnectionId;
use domain::inbox::Inbox;
use domain::json::Json;
use domain::secret::Secrets;
use domain::sync::Sync;
use jiff::Timestamp;

use crate::changes::{Notice, Noun};
use crate::field::{self, Missing, Problem};
use crate::outgoing::{self, ApiRequest};
use crate::{Engine, store, vault};

/// Why something was not done with a connection.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A setting or a secret that its connector asks for is missing or not of its shape.
    #[error("`{field}` {problem}")]
    Field {
        /// Which one.
        field: String,
        /// What is wrong with it.
        problem: String,
    },
    /// There is no such connector, or it cannot be read.
    #[error("`{0}` is not a connector that can be connected")]
    Connector(String),
    /// The check call failed.
    #[error("the check did not succeed: {0}")]
    Check(#[from] crate::outgoing::Error),
    /// The store's fault.
    #[error(transparent)]
    Store(#[from] store::Error),
    /// The vault's fault.
    #[error(transparent)]
    Vault(#[from] vault::Error),
}

/// What is asked for with a new connection.
#[derive(Debug, Clone)]
pub struct ConnectionRequest {
    /// What the API is like.
    pub connector: String,
    /// The user's name for it.
    pub name: String,
    /// Which way in, by its id; the first where it is not given.
    pub way: Option<String>,
    /// The connector's settings.
    pub settings: BTreeMap<String, String>,
    /// Its secrets.
    pub secrets: Secrets,
}

/// A connection with what hangs on it.
#[derive(Debug, Clone)]
pub struct ConnectionStatus {
    /// As stored.
    pub connection: Connection,
    /// Its connector's name.
    pub connector_name: String,
    /// Which way in.
    pub way: Option<String>,
    /// Whether a browser is out to sign in for it.
    pub signing_in: bool,
    /// How many syncs it has.
    pub syncs: usize,
    /// How many inboxes it has.
    pub inboxes: usize,
}

impl From<Problem> for Error {
    fn from(Problem { field, problem }: Problem) -> Self {
        Self::Field { field, problem }
    }
}

impl Engine {
    /// All connections, by name.
    ///
    /// # Errors
    ///
    /// The store's.
    pub async fn connections(&self) -> Result<Vec<ConnectionStatus>, Error> {
        let store = &self.inner.store;
        let (syncs, inboxes) = (store.syncs().await?, store.inboxes().await?);
        let connections = store.connections().await?;
        Ok(connections
            .into_iter()
            .map(|connection| self.connection_status(connection, &syncs, &inboxes))
            .collect())
    }

    /// One.
    ///
    /// # Errors
    ///
    /// The store's.
    pub async fn connection(&self, id: ConnectionId) -> Result<ConnectionStatus, Error> {
        let store = &self.inner.store;
        let connection = store.connection(id).await?;
        let (syncs, inboxes) = (store.syncs().await?, store.inboxes().await?);
        Ok(self.connection_status(connection, &syncs, &inboxes))
    }

    /// Makes one; it needs a sign-in unless its way in is done with what was given.
    ///
    /// # Errors
    ///
    /// When a field is missing or not of its shape, or the vault does not take the secrets: then
    /// there is no connection.
    pub async fn create_connection(
        &self,
        request: ConnectionRequest,
    ) -> Result<ConnectionStatus, Error> {
        let connector = self.connecting(&request.connector)?;
        let (place, way) = connector
            .way(request.way.as_deref())
            .ok_or_else(|| unknown_way(&connector, request.way.as_deref()))?;
        let (secrets, mut settings) = fields_of(way);
        settings.extend(connector.setting_fields());
        field::check(&settings, &request.settings, Missing::Refused)?;
        field::check_secrets(&secrets, &request.secrets, Missing::Refused)?;

        let now = self.now();
        let state = if way.browser() {
            ConnectionState::NeedsSignIn { why: "nobody has signed in yet".into(), since: now }
        } else {
            ConnectionState::Ready
        };
        let connection = NewConnection {
            sandbox: connector.status == Status::Sandbox,
            connector: request.connector,
            name: request.name,
            way: place,
            settings: request.settings,
            state,
        };
        let connection = self.inner.store.create_connection(connection, now).await?;
        let id = connection.id;
        if !request.secrets.is_empty()
            && let Err(error) = self
                .change_connection_secrets(&connection, None, |known| {
                    merge(known, &request.secrets)
                })
                .await
        {
            self.inner.store.delete_connection(id).await?;
            return Err(error);
        }
        self.connection_changed();
        self.connection(id).await
    }

    /// Changes its name, settings and the secrets that are given.
    ///
    /// # Errors
    ///
    /// As [`Engine::create_connection`]; what is not changed stays.
    pub async fn update_connection(
        &self,
        id: ConnectionId,
        name: Option<String>,
        settings: Option<BTreeMap<String, String>>,
        secrets: Secrets,
    ) -> Result<ConnectionStatus, Error> {
        let connection = self.inner.store.connection(id).await?;
        let connector = self.connecting(&connection.connection.connector)?;
        let (_, way) =
            way_of(&connector, &connection).ok_or_else(|| unknown_way(&connector, None))?;
        let (secret_fields, mut setting_fields) = fields_of(way);
        setting_fields.extend(connector.setting_fields());
        if let Some(settings) = &settings {
            field::check(&setting_fields, settings, Missing::Refused)?;
        }
        field::check_secrets(&secret_fields, &secrets, Missing::Allowed)?;
        if name.is_some() || settings.is_some() {
            self.inner.store.update_connection(id, name, settings).await?;
            self.inner.outgoing.forget(id);
        }
        if !secrets.is_empty() {
            self.change_connection_secrets(&connection, connection.token_expires_at, |known| {
                merge(known, &secrets);
            })
            .await?;
            if !way.browser() && connection.connection.state != ConnectionState::Off {
                self.connection_ready(id).await?;
            }
        }
        self.connection_changed();
        self.connection(id).await
    }

    /// Switches it off, or on again.
    ///
    /// # Errors
    ///
    /// The store's.
    pub async fn switch_connection(
        &self,
        id: ConnectionId,
        on: bool,
    ) -> Result<ConnectionStatus, Error> {
        let connection = self.inner.store.connection(id).await?;
        let is_off = connection.connection.state == ConnectionState::Off;
        if on && is_off {
            // The first call shows whether the credentials still work.
            self.connection_ready(id).await?;
        } else if !on && !is_off {
            self.stop_runs(id).await;
            self.inner.store.set_connection_state(id, ConnectionState::Off).await?;
            self.connection_changed();
        }
        self.connection(id).await
    }

    /// Deletes it with its syncs and records, and its secrets.
    ///
    /// # Errors
    ///
    /// The store's; secrets that the vault does not let go of are logged.
    pub async fn delete_connection(&self, id: ConnectionId) -> Result<(), Error> {
        let connection = self.inner.store.connection(id).await?;
        self.stop_runs(id).await;
        self.inner.store.delete_connection(id).await?;
        self.inner.outgoing.forget(id);
        if let Some(generation) = connection.secrets
            && let Err(error) = self.inner.vault.remove(&id.to_string(), generation).await
        {
            tracing::warn!(connection.id = %id, %error, "secrets of a deleted connection stay");
        }
        self.inner.changes.note(Notice::of(Noun::All));
        Ok(())
    }

    /// Makes one cheap request to see whether its credentials work.
    ///
    /// # Errors
    ///
    /// What came instead of a good answer.
    pub async fn check_connection(&self, id: ConnectionId) -> Result<ConnectionStatus, Error> {
        let connection = self.inner.store.connection(id).await?;
        let connector = self.connecting(&connection.connection.connector)?;
        let credential = self.credential(&connection).await?;
        let mut account = None;
        if let Some(check) = &connector.check {
            let values = self.values(&connection, &connector, &credential.values);
            let request =
                ApiRequest::from_read(&check.read, &values).map_err(outgoing::Error::from)?;
            let answer = self.call(&connection, &request).await?;
            let answer = Json::parse(&answer.body).unwrap_or_default();
            let named = check.account.as_ref().and_then(|at| at.text_of(&answer, self.now()));
            account = named.map(|name| domain::text::clean(&name, 100));
        }
        self.inner.store.set_connection_checked(id, account, self.now()).await?;
        self.connection_ready(id).await?;
        self.connection(id).await
    }

    /// Notes that a connection's credentials work, and lets what waited for it go on.
    pub(crate) async fn connection_ready(&self, id: ConnectionId) -> store::Result<()> {
        self.inner.store.set_connection_state(id, ConnectionState::Ready).await?;
        self.connection_changed();
        self.inner.registration.notify_one();
        self.wake_syncs();
        Ok(())
    }

    /// Notes that a connection waits for its user, and why.
    pub(crate) async fn connection_needs_sign_in(
        &self,
        id: ConnectionId,
        why: String,
    ) -> store::Result<()> {
        let state = ConnectionState::NeedsSignIn { why, since: self.now() };
        self.inner.store.set_connection_state(id, state).await?;
        self.connection_changed();
        Ok(())
    }

    /// Says that connections, and what hangs on them, may have changed.
    pub(crate) fn connection_changed(&self) {
        for noun in [Noun::Connections, Noun::Syncs, Noun::Status] {
            self.inner.changes.note(Notice::of(noun));
        }
    }

    /// The secrets of a connection; none where it has none.
    pub(crate) async fn connection_secrets(
        &self,
        connection: &Connection,
    ) -> Result<Secrets, vault::Error> {
        match connection.secrets {
            None => Ok(Secrets::new()),
            Some(generation) => self.inner.vault.read(&connection.id.to_string(), generation).await,
        }
    }

    /// Writes changed secrets as a new generation, points the connection to it, and removes the
    /// old one.
    pub(crate) async fn change_connection_secrets(
        &self,
        connection: &Connection,
        token_expires_at: Option<Timestamp>,
        change: impl FnOnce(&mut Secrets),
    ) -> Result<(), Error> {
        let owner = connection.id.to_string();
        let mut secrets = self.connection_secrets(connection).await?;
        change(&mut secrets);
        let generation = connection.secrets.map_or(1, |generation| generation + 1);
        self.inner.vault.write(&owner, generation, &secrets).await?;
        self.inner
            .store
            .set_connection_secrets(connection.id, generation, token_expires_at)
            .await?;
        if let Some(old) = connection.secrets
            && let Err(error) = self.inner.vault.remove(&owner, old).await
        {
            tracing::warn!(connection.id = %owner, %error, "an old generation of secrets stays");
        }
        Ok(())
    }

    /// Stops its runs; one that cannot be stopped fails by itself with its next page.
    async fn stop_runs(&self, id: ConnectionId) {
        if let Err(error) = self.cancel_runs_of(id).await {
            tracing::warn!(connection.id = %id, %error, "a run of a connection was not stopped");
        }
    }

    fn connecting(&self, id: &str) -> Result<Arc<Connector>, Error> {
        self.inner
            .connectors
            .get(id)
            .filter(|connector| !connector.auth.is_empty())
            .ok_or_else(|| Error::Connector(id.into()))
    }

    fn connection_status(
        &self,
        mut connection: Connection,
        syncs: &[Sync],
        inboxes: &[Inbox],
    ) -> ConnectionStatus {
        let id = connection.id;
        let connector = self.inner.connectors.get(&connection.connection.connector);
        if connector.is_none() {
            let why = format!("the connector `{}` cannot be read", connection.connection.connector);
            connection.connection.state = ConnectionState::Broken { why };
        }
        let way = connector.as_ref().and_then(|connector| way_of(connector, &connection));
        ConnectionStatus {
            connector_name: connector.as_ref().map_or_else(
                || connection.connection.connector.clone(),
                |connector| connector.name.clone(),
            ),
            way: way.map(|(_, way)| way.id.clone()),
            signing_in: self.is_signing_in(id),
            syncs: syncs.iter().filter(|sync| sync.sync.connection == id).count(),
            inboxes: inboxes.iter().filter(|inbox| inbox.inbox.connection == Some(id)).count(),
            connection,
        }
    }
}

/// The way in that a connection uses.
pub(crate) fn way_of<'a>(
    connector: &'a Connector,
    connection: &Connection,
) -> Option<(u32, &'a Way)> {
    let place = connection.connection.way;
    Some((place, connector.auth.get(usize::try_from(place).ok()?)?))
}

/// What is filled in for a way: its secrets, and its settings.
fn fields_of(way: &Way) -> (Vec<FormField>, Vec<FormField>) {
    way.fields().into_iter().partition(|field| field.secret)
}

fn merge(known: &mut Secrets, given: &Secrets) {
    for (name, values) in given.iter() {
        known.remove(name);
        for value in values {
            known.add(name, value.clone());
        }
    }
}

fn unknown_way(connector: &Connector, way: Option<&str>) -> Error {
    let known: Vec<_> = connector.auth.iter().map(|way| format!("`{}`", way.id)).collect();
    let problem = format!("is not one of {}: {}", known.join(", "), way.unwrap_or_default());
    Error::Field { field: "way".into(), problem }
}
