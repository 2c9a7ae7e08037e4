//! Connections: making them, checking them, switching them on and off.
//!
//! What a user gives is checked against the connector before anything is stored, and a connection
//! that is stored has its secrets in the vault or says that it needs a sign-in. Whether its
//! connector can be read is found out whenever a connection is read, since an own one comes and
//! goes.
//!
//! Secrets belong to the hosts that they were given for. A change of settings that leads elsewhere
//! asks for them again.

use std::collections::BTreeMap;

use domain::connection::{CheckFault, Connection, ConnectionState, NewConnection};
use domain::connector::{Connector, FormField, Status, Way, WayKind};
use domain::id::ConnectionId;
use domain::json::Json;
use domain::record::RecordFilter;
use domain::secret::{Secret, Secrets};
use jiff::Timestamp;

use crate::changes::{Notice, Noun};
use crate::field::{self, Missing, Problem};
use crate::outgoing::{self, ApiRequest, Exchange, Purpose};
use crate::sign_in::{self, DeviceCode, Revoked};
use crate::{Engine, store, vault};

/// How long a name or a setting may be, in characters.
const LONGEST: usize = 1_000;

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
    Check(outgoing::Error),
    /// The store's fault.
    #[error(transparent)]
    Store(#[from] store::Error),
    /// The vault's fault.
    #[error(transparent)]
    Vault(#[from] vault::Error),
}

impl From<outgoing::Error> for Error {
    fn from(error: outgoing::Error) -> Self {
        match error {
            outgoing::Error::Store(error) => Self::Store(error),
            outgoing::Error::Vault(error) => Self::Vault(error),
            error => Self::Check(error),
        }
    }
}

impl From<Problem> for Error {
    fn from(Problem { field, problem }: Problem) -> Self {
        Self::Field { field, problem }
    }
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
    /// As stored; its state is `Broken` while its connector cannot be used.
    pub connection: Connection,
    /// Its connector's name.
    pub connector_name: String,
    /// Which way in.
    pub way: Option<String>,
    /// How that works, in the connector's words: `oauth_code`, `header_token`, …
    pub way_kind: Option<&'static str>,
    /// Whether something at the provider is waited for: a browser, or a code that is typed in.
    pub signing_in: bool,
    /// What its user is shown to type in, while that is waited for.
    pub device_code: Option<DeviceCode>,
    /// When its sign-in ends unless its user signs in again, where that is soon.
    pub sign_in_ends_at: Option<Timestamp>,
    /// Whether its sign-in can be taken back at the provider when it is deleted.
    pub revokes: bool,
    /// How many syncs it has.
    pub syncs: usize,
    /// How many inboxes it has.
    pub inboxes: usize,
}

/// What stops working without a connection.
#[derive(Debug, Clone)]
pub struct Hanging {
    /// Its syncs.
    pub syncs: Vec<domain::sync::Sync>,
    /// Its inboxes: they stay, and are told of no more.
    pub inboxes: Vec<domain::inbox::Inbox>,
    /// How many of its records are here.
    pub records: domain::page::Count,
}

impl Engine {
    /// All connections, by name.
    ///
    /// # Errors
    ///
    /// The store's.
    pub async fn connections(&self) -> Result<Vec<ConnectionStatus>, Error> {
        let connections = self.inner.store.connections().await?;
        let counts = Counts::read(self).await?;
        Ok(connections.into_iter().map(|it| self.connection_status(it, &counts)).collect())
    }

    /// One.
    ///
    /// # Errors
    ///
    /// The store's.
    pub async fn connection(&self, id: ConnectionId) -> Result<ConnectionStatus, Error> {
        let connection = self.inner.store.connection(id).await?;
        Ok(self.connection_status(connection, &Counts::read(self).await?))
    }

    /// What hangs on one.
    ///
    /// # Errors
    ///
    /// The store's.
    pub async fn hanging_on(&self, id: ConnectionId) -> Result<Hanging, Error> {
        let mut syncs = self.inner.store.syncs().await?;
        syncs.retain(|sync| sync.sync.connection == id);
        let mut inboxes = self.inner.store.inboxes().await?;
        inboxes.retain(|inbox| inbox.inbox.connection == Some(id));
        let filter = RecordFilter { connection: Some(id), ..RecordFilter::default() };
        let records = self.inner.store.record_count(&filter).await?;
        Ok(Hanging { syncs, inboxes, records })
    }

    /// What its last requests looked like that did not go well, and its last check; newest first,
    /// secrets masked. They are in memory alone.
    ///
    /// # Errors
    ///
    /// The store's.
    pub async fn exchanges(&self, id: ConnectionId) -> Result<Vec<Exchange>, Error> {
        self.inner.store.connection(id).await?;
        Ok(self.inner.outgoing.trace().exchanges(id))
    }

    /// Makes one; it needs a sign-in unless its way in is done with what was given.
    ///
    /// # Errors
    ///
    /// [`Error::Field`] for the first field that does not fit; the vault's where its secrets could
    /// not be kept. Nothing is stored then.
    pub async fn create_connection(
        &self,
        request: ConnectionRequest,
    ) -> Result<ConnectionStatus, Error> {
        let connector = self.connectable(&request.connector)?;
        let way = connector.way(request.way.as_deref()).ok_or_else(|| {
            let known: Vec<_> = connector.auth.iter().map(|way| way.id.as_str()).collect();
            wrong("way", format!("is not one of `{}`", known.join("`, `")))
        })?;
        let settings = settings(&connector, way, request.settings)?;
        let secrets = secrets(way, &request.secrets, Missing::Refused)?;
        if !matches!(way.kind, WayKind::None) {
            // Nobody should fill in a form, or consent, for something that cannot be kept.
            self.inner.vault.state().await?;
        }

        let needs = ConnectionState::NeedsSignIn {
            why: "It has not been signed in yet.".into(),
            since: self.now(),
        };
        let ready = !way.signs_in();
        let new = NewConnection {
            name: name(&request.name, &connector.name)?,
            connector: request.connector,
            way: way.id.clone(),
            settings,
            sandbox: connector.status == Status::Sandbox,
            state: needs,
            given_to: None,
        };
        let connection = self.inner.store.create_connection(new, self.now()).await?;
        let id = connection.id;
        let addresses = self.movable_addresses(&connection, &connector);
        self.inner.store.set_connection_given_to(id, addresses).await?;
        if !secrets.is_empty()
            && let Err(error) = self.keep_secrets(&connection, &secrets, None).await
        {
            self.inner.store.delete_connection(id).await?;
            return Err(error.into());
        }
        self.tell_mode(&connection, way, &secrets).await?;
        if ready {
            self.connection_ready(id).await?;
            self.first_check(id).await;
        }
        self.connection_changed();
        self.connection(id).await
    }

    /// Changes its name, settings and the secrets that are given. A setting that is not given
    /// stays; an empty secret takes one away that is optional.
    ///
    /// # Errors
    ///
    /// [`Error::Field`] for the first field that does not fit, before anything is changed.
    pub async fn update_connection(
        &self,
        id: ConnectionId,
        name: Option<String>,
        settings: Option<BTreeMap<String, String>>,
        secrets: Secrets,
    ) -> Result<ConnectionStatus, Error> {
        let held = self.inner.sign_ins.held(id);
        // What is exchanged or renewed just now is kept with the settings that it began with.
        let mut turn = held.lock().await;
        let mut before = self.inner.store.connection(id).await?;
        let connector = self.connectable(&before.connection.connector)?;
        let way = way_of(&connector, &before)
            .ok_or_else(|| wrong("way", "is no longer one of its connector".into()))?;
        self.pin(&mut before, &connector).await?;
        let name = name.map(|given| self::name(&given, &connector.name)).transpose()?;
        let settings = match settings {
            None => None,
            Some(given) => {
                let mut all = before.connection.settings.clone();
                all.extend(given);
                Some(self::settings(&connector, way, all)?)
            }
        };
        let mut there = before.clone();
        there
            .connection
            .settings
            .clone_from(settings.as_ref().unwrap_or(&before.connection.settings));
        // What was given for another host does not go along: all of it is given again, or nothing.
        let moved = self.has_moved(&there, &connector);
        let missing =
            if moved && !secrets.is_empty() { Missing::Refused } else { Missing::Allowed };
        let secrets = self::secrets(way, &secrets, missing)?;
        let anew = there.connection.settings != before.connection.settings;
        if moved && before.secrets.is_some() && !matches!(way.kind, WayKind::None) {
            self.connection_needs_sign_in(id, sign_in::moved(way).into()).await?;
        }
        let after = self.inner.store.update_connection(id, name, settings).await?;
        self.inner.outgoing.forget(id);
        turn.forget_credential();
        drop(turn);
        let leads_to = self.movable_addresses(&after, &connector);
        if leads_to != self.movable_addresses(&before, &connector) {
            self.end_moved_sign_in(id).await;
        }
        // The next one is opened with what is in force then.
        let changed = anew || !secrets.is_empty();
        let barred = if changed { Some(self.bar_sockets(id).await) } else { None };
        if !secrets.is_empty() {
            self.change_secrets(id, &connector, way, &secrets, &leads_to).await?;
        }
        drop(barred);
        self.tell_mode(&after, way, &secrets).await?;
        self.take_secrets(&after, &secrets).await?;
        if !secrets.is_empty()
            && let Err(error) = self.share_secrets(&after).await
        {
            tracing::warn!(%id, %error, "inboxes go on with the secret that a connection had");
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
        let off = connection.connection.state == ConnectionState::Off;
        if !on && !off {
            self.stop_runs(id).await;
            self.inner.store.set_connection_state(id, ConnectionState::Off).await?;
            self.close_sockets(id).await;
            self.inner.sign_ins.end(id);
            self.inner.sign_ins.forget_credential(id).await;
        }
        if on && off {
            self.inner.store.switch_connection_on(id, self.now()).await?;
            self.let_go(id);
            self.try_what_was_entered(id).await;
        }
        self.connection_changed();
        self.connection(id).await
    }

    /// Tries what was entered while a connection was switched off, where nobody has to do anything
    /// for that.
    async fn try_what_was_entered(&self, id: ConnectionId) {
        let Ok(connection) = self.inner.store.connection(id).await else { return };
        let waits = matches!(connection.connection.state, ConnectionState::NeedsSignIn { .. });
        let Ok(connector) = self.connectable(&connection.connection.connector) else { return };
        let signs_in = way_of(&connector, &connection).is_none_or(Way::signs_in);
        if waits && !signs_in {
            self.first_check(id).await;
        }
    }

    /// Deletes it with its syncs and records, and its secrets, after its sign-in was taken back at
    /// the provider, where that is possible. Whether it was is the answer: nothing that the
    /// provider does keeps a connection from being deleted.
    ///
    /// # Errors
    ///
    /// [`vault::Error::Locked`] while its secrets cannot be removed: it is there still. A vault
    /// that is gone or broken keeps nobody from deleting a connection.
    pub async fn delete_connection(&self, id: ConnectionId) -> Result<Revoked, Error> {
        let connection = self.inner.store.connection(id).await?;
        // Before anything is taken back: one that stays goes on as it was.
        if matches!(self.inner.vault.state().await, Err(vault::Error::Locked))
            && connection.secrets.is_some()
        {
            return Err(vault::Error::Locked.into());
        }
        self.withdraw_inboxes(id).await?;
        self.inner.sign_ins.end(id);
        self.stop_runs(id).await;
        let _barred = self.bar_sockets(id).await;
        // A sign-in or a renewal under way ends first, so that what comes of it is taken back, too;
        // none begins until there is nothing left that it could write to.
        let exchanging = self.inner.sign_ins.exchanging(id);
        let _none = exchanging.write().await;
        let held = self.inner.sign_ins.held(id);
        let mut held = held.lock().await;
        let connection = self.inner.store.connection(id).await?;
        let revoked = self.revoke(&connection, &held).await;
        self.inner.store.delete_connection(id).await?;
        held.forget();
        self.remove_secrets(&connection).await;
        self.inner.outgoing.forget(id);
        self.inner.housekeeping.notify_one();
        self.inner.outgoing.trace().forget(id);
        self.inner.changes.note(Notice::of(Noun::All));
        Ok(revoked)
    }

    /// Takes the addresses of the inboxes of a connection back from its provider: without the
    /// connection nobody could.
    async fn withdraw_inboxes(&self, id: ConnectionId) -> store::Result<()> {
        let mut inboxes = self.inner.store.inboxes().await?;
        inboxes.extend(self.inner.store.inboxes_to_withdraw().await?);
        for inbox in inboxes.iter().filter(|inbox| inbox.inbox.connection == Some(id)) {
            crate::inbox::registration::withdraw(self, inbox).await;
        }
        Ok(())
    }

    /// Removes the secrets of a connection that is deleted. What cannot be removed now is nobody's,
    /// and is removed when the vault is next looked through.
    async fn remove_secrets(&self, deleted: &Connection) {
        let Some(generation) = deleted.secrets else { return };
        let owner = deleted.id.to_string();
        // The one after it may have been left by a change that was interrupted.
        for generation in [generation, generation + 1] {
            if let Err(error) = self.inner.vault.remove(&owner, generation).await {
                tracing::warn!(%owner, %error, "secrets of a connection stay in the vault");
            }
        }
    }

    /// Makes one cheap request to see whether its credentials work, and notes the account's name.
    /// Where the connector knows no such request, its token is renewed if it is about to end.
    ///
    /// # Errors
    ///
    /// [`Error::Check`] with what went wrong. A credential that was refused for good leaves the
    /// connection in need of a sign-in.
    pub async fn check_connection(&self, id: ConnectionId) -> Result<ConnectionStatus, Error> {
        self.check(id, false).await
    }

    /// As [`Engine::check_connection`]. A connection that waits for its user is tried where its user
    /// has just entered something, or where nobody has to do anything for its way; it is ready when
    /// that succeeds.
    async fn check(&self, id: ConnectionId, entered: bool) -> Result<ConnectionStatus, Error> {
        let connection = self.inner.store.connection(id).await?;
        let connector = self.connectable(&connection.connection.connector)?;
        let way = way_of(&connector, &connection)
            .ok_or_else(|| wrong("way", "is no longer one of its connector".into()))?;
        let waits = matches!(connection.connection.state, ConnectionState::NeedsSignIn { .. });
        let there = connection.secrets.is_some() || matches!(way.kind, WayKind::None);
        let proves = waits && there && (entered || !way.signs_in());
        let given = self.inner.sign_ins.held(id).lock().await.given;
        let outcome = self.check_once(&connection, &connector, way, proves).await;
        let checked = Checked { connection: &connection, connector: &connector, given, proves };
        self.note_check(&checked, &outcome).await?;
        self.connection_changed();
        self.try_sockets(id);
        outcome?;
        self.connection(id).await
    }

    /// The account that answered, where its name is told; nothing where the connector knows no
    /// request that would show whether the credentials work.
    async fn check_once(
        &self,
        connection: &Connection,
        connector: &Connector,
        way: &Way,
        proves: bool,
    ) -> Result<Option<Account>, Error> {
        let credential = self.credential_for(connection, proves).await?;
        if credential.mail.is_some() {
            return Ok(Some(Some(self.check_mail(connection, connector, proves).await?)));
        }
        let Some(check) = way.check.as_ref().or(connector.check.as_ref()) else {
            return Ok(None);
        };
        let values = self.values(connection, connector, &credential.values);
        let request = ApiRequest::from_ask(&check.ask, &values).map_err(outgoing::Error::from)?;
        let answer = self.call_for(connection, &request, Purpose::check_that(proves)).await?;
        let Some(at) = &check.account else { return Ok(Some(None)) };
        let body = Json::parse(&answer.body).map_err(|_| not_json(&answer))?;
        let secrets = self.secrets_known_to_provider(connection, &[&credential]).await;
        Ok(Some(at.text_of(&body, self.now()).map(|name| outgoing::said(&name, &secrets, 200))))
    }

    /// Notes what came of a check, in its turn. One that was begun before its user entered something,
    /// or changed where the settings lead, says nothing of the connection as it is now.
    async fn note_check(
        &self,
        checked: &Checked<'_>,
        outcome: &Result<Option<Account>, Error>,
    ) -> store::Result<()> {
        let Checked { connection, connector, given, proves } = *checked;
        let id = connection.id;
        let held = self.inner.sign_ins.held(id);
        let turn = held.lock().await;
        let now = self.inner.store.connection(id).await?;
        let leads_to = self.movable_addresses(&now, connector);
        if turn.given != given || leads_to != self.movable_addresses(connection, connector) {
            return Ok(());
        }
        let account = match outcome {
            Ok(account) => account,
            Err(error) => return self.check_failed(id, error).await,
        };
        if proves {
            self.connection_ready(id).await?;
        }
        if let Some(account) = account {
            self.inner.store.set_connection_checked(id, account.clone(), self.now()).await?;
        }
        Ok(())
    }

    /// Notes what went wrong with a check, so that nobody takes the connection for a good one. A
    /// credential that was refused is noted already: the connection needs a sign-in.
    async fn check_failed(&self, id: ConnectionId, error: &Error) -> store::Result<()> {
        let Error::Check(error) = error else { return Ok(()) };
        // What was begun with other settings says nothing of those of today.
        if matches!(
            error,
            outgoing::Error::SignIn(_) | outgoing::Error::Credentials(_) | outgoing::Error::Moved
        ) {
            return Ok(());
        }
        let fault = CheckFault { why: error.to_string(), at: self.now() };
        self.inner.store.set_connection_fault(id, fault).await
    }

    /// Notes that a connection can be used, and lets go on what waited for that. One that is
    /// switched off stays so: what is found out late does not switch it on.
    pub(crate) async fn connection_ready(&self, id: ConnectionId) -> store::Result<()> {
        self.inner.store.set_connection_ready(id, self.now()).await?;
        self.let_go(id);
        Ok(())
    }

    /// Lets go on what waits for a connection: its syncs, its sockets, and telling its provider of
    /// inboxes.
    fn let_go(&self, id: ConnectionId) {
        self.connection_changed();
        self.inner.registration.notify_one();
        self.try_sockets(id);
        self.wake_syncs();
    }

    /// Notes that only the user can let a connection in again, and why. One that is switched off
    /// stays so.
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
        self.inner.sockets.wake();
        for noun in [Noun::Connections, Noun::Syncs, Noun::Status] {
            self.inner.changes.note(Notice::of(noun));
        }
    }

    /// Stops its runs; one that cannot be stopped fails by itself with its next page.
    async fn stop_runs(&self, id: ConnectionId) {
        if let Err(error) = self.cancel_runs_of(id).await {
            tracing::warn!(%id, %error, "a run of a connection was not stopped");
        }
    }

    /// Tries a token that was just pasted. One that is refused shows in the connection's state;
    /// whatever else keeps it from being tried is no fault of what was given.
    async fn first_check(&self, id: ConnectionId) {
        if let Err(error) = self.check(id, true).await {
            tracing::info!(%id, %error, "a new connection could not be checked");
        }
    }

    /// Tries secrets that were entered. A connection that waits for its user is ready when that
    /// succeeds; one that was never signed in stays as it is.
    async fn take_secrets(&self, after: &Connection, given: &Secrets) -> Result<(), Error> {
        let connector = self.connectable(&after.connection.connector)?;
        let signs_in = way_of(&connector, after).is_some_and(Way::signs_in);
        let off = after.connection.state == ConnectionState::Off;
        let waits = matches!(after.connection.state, ConnectionState::NeedsSignIn { .. });
        if given.is_empty() || signs_in && after.checked_at.is_none() {
            return Ok(());
        }
        if waits || off && !signs_in {
            // Why it waited is no longer true: that was said of what was there before.
            let why = "What was entered has not been tried yet. Check the connection.";
            self.connection_needs_sign_in(after.id, why.into()).await?;
        }
        if !off {
            self.first_check(after.id).await;
        }
        Ok(())
    }

    /// Notes whether the account is for trying out, where a secret that was given or a setting
    /// tells.
    async fn tell_mode(
        &self,
        connection: &Connection,
        way: &Way,
        given: &Secrets,
    ) -> store::Result<()> {
        let Some(test_or_live) = &way.test_or_live else { return Ok(()) };
        let secret = given.get(&test_or_live.field).map(Secret::expose);
        let setting = connection.connection.settings.get(&test_or_live.field);
        let Some(value) = secret.or(setting.map(String::as_str)) else { return Ok(()) };
        self.inner.store.set_connection_mode(connection.id, test_or_live.tell(value)).await
    }

    /// The connector of this id, where one can be connected to it.
    fn connectable(&self, id: &str) -> Result<std::sync::Arc<Connector>, Error> {
        self.inner
            .connectors
            .get(id)
            .filter(|connector| !connector.auth.is_empty())
            .filter(|connector| connector.status != Status::Sandbox || self.sandbox().is_some())
            .ok_or_else(|| Error::Connector(id.into()))
    }

    fn connection_status(&self, mut connection: Connection, counts: &Counts) -> ConnectionStatus {
        let id = connection.id;
        let connector = self.inner.connectors.get(&connection.connection.connector);
        if let Some(why) = self.why_broken(&connection, connector.as_deref()) {
            connection.connection.state = ConnectionState::Broken { why };
        }
        let way = connector.as_ref().and_then(|connector| way_of(connector, &connection));
        ConnectionStatus {
            connector_name: connector.as_ref().map_or_else(
                || connection.connection.connector.clone(),
                |connector| connector.name.clone(),
            ),
            way: way.map(|way| way.id.clone()),
            way_kind: way.map(|way| way.kind.name()),
            signing_in: self.inner.sign_ins.waits(id),
            device_code: self.inner.sign_ins.device_code(id),
            sign_in_ends_at: connection.sign_in_ends_soon(self.now()),
            revokes: way.is_some_and(revokes),
            syncs: counts.syncs.get(&id).copied().unwrap_or_default(),
            inboxes: counts.inboxes.get(&id).copied().unwrap_or_default(),
            connection,
        }
    }

    /// Why nothing can be called for a connection, where its connector is the reason.
    fn why_broken(&self, connection: &Connection, connector: Option<&Connector>) -> Option<String> {
        let id = &connection.connection.connector;
        let Some(connector) = connector else {
            return Some(match self.inner.connectors.listed(id).map(|listed| listed.connector) {
                Some(Err(broken)) => {
                    format!("Its connector cannot be read: {}: {}", broken.file, broken.message)
                }
                Some(Ok(_)) | None => format!("Its connector `{id}` is no longer there."),
            });
        };
        if connector.status == Status::Sandbox && self.sandbox().is_none() {
            return Some(
                "The sandbox shop is not running. Start Patchbay with `--sandbox`.".into(),
            );
        }
        let gone = way_of(connector, connection).is_none();
        gone.then(|| "Its connector no longer has this way in. Connect it anew.".into())
    }
}

/// The name of the account that a check has found, where it is told.
type Account = Option<String>;

/// What was checked.
struct Checked<'a> {
    connection: &'a Connection,
    connector: &'a Connector,
    /// How often secrets had been given then.
    given: u64,
    /// Whether it was to show that the connection has to wait for its user no longer.
    proves: bool,
}

/// How much hangs on each connection.
struct Counts {
    syncs: BTreeMap<ConnectionId, usize>,
    inboxes: BTreeMap<ConnectionId, usize>,
}

impl Counts {
    async fn read(engine: &Engine) -> store::Result<Self> {
        let mut counts = Self { syncs: BTreeMap::new(), inboxes: BTreeMap::new() };
        for sync in engine.inner.store.syncs().await? {
            *counts.syncs.entry(sync.sync.connection).or_default() += 1;
        }
        for inbox in engine.inner.store.inboxes().await? {
            if let Some(connection) = inbox.inbox.connection {
                *counts.inboxes.entry(connection).or_default() += 1;
            }
        }
        Ok(counts)
    }
}

/// The way in that a connection uses.
fn way_of<'a>(connector: &'a Connector, connection: &Connection) -> Option<&'a Way> {
    connector.way(Some(&connection.connection.way))
}

/// Whether a sign-in by this way can be taken back at the provider.
pub fn revokes(way: &Way) -> bool {
    matches!(way.kind.inner(), WayKind::OauthCode(oauth) if oauth.revoke.is_some())
}

/// Why the answer of a check is none.
fn not_json(answer: &outgoing::Answer) -> outgoing::Error {
    let kind = answer.headers.get(http::header::CONTENT_TYPE).and_then(|kind| kind.to_str().ok());
    let why = match kind {
        Some(kind) if kind.starts_with("text/html") => "it sent a web page, and no JSON",
        _ => "it is not JSON",
    };
    outgoing::Error::Answer { host: answer.host.clone(), why: why.into() }
}

fn wrong(name: &str, problem: String) -> Error {
    Error::Field { field: name.into(), problem }
}

/// The name that is given, or the connector's.
fn name(given: &str, connector: &str) -> Result<String, Error> {
    let given = given.trim();
    let name = if given.is_empty() { connector } else { given };
    match unfit(name) {
        Some(problem) => Err(wrong("name", problem)),
        None => Ok(name.into()),
    }
}

fn unfit(text: &str) -> Option<String> {
    if text.chars().any(char::is_control) {
        return Some("has characters that cannot be printed".into());
    }
    (text.chars().count() > LONGEST).then(|| format!("is longer than {LONGEST} characters"))
}

/// What is filled in for a way: its secrets, and its settings.
fn fields_of(way: &Way) -> (Vec<FormField>, Vec<FormField>) {
    way.fields().into_iter().partition(|field| field.secret)
}

/// The settings as they are stored: without spaces around them, and without those left empty, so
/// that a connector's default stays the connector's.
fn settings(
    connector: &Connector,
    way: &Way,
    given: BTreeMap<String, String>,
) -> Result<BTreeMap<String, String>, Error> {
    let (secrets, mut fields) = fields_of(way);
    fields.extend(connector.setting_fields());
    if let Some(secret) = secrets.iter().find(|field| given.contains_key(&field.name)) {
        return Err(wrong(&secret.name, "is a secret, and belongs among the secrets".into()));
    }
    let given: BTreeMap<_, _> =
        given.into_iter().map(|(name, value)| (name, value.trim().to_owned())).collect();
    field::check(&fields, &given, Missing::Refused)?;
    for (name, value) in &given {
        if let Some(problem) = unfit(value) {
            return Err(wrong(name, problem));
        }
    }
    Ok(given.into_iter().filter(|(_, value)| !value.is_empty()).collect())
}

/// The secrets as they are stored: pasted ones often bring a space or a line end along. An empty
/// one is kept where it may be missing: it takes away what was there.
fn secrets(way: &Way, given: &Secrets, missing: Missing) -> Result<Secrets, Error> {
    let mut secrets = Secrets::new();
    for (name, values) in given.iter() {
        let Some(value) = values.first().map(|value| value.expose().trim()) else { continue };
        // A private key has lines; nothing else has.
        let is_long = way.long_field() == Some(name);
        let allowed = |it: char| is_long && matches!(it, '\n' | '\r');
        if value.chars().any(|it| it.is_control() && !allowed(it)) {
            return Err(wrong(name, "has characters that cannot be printed".into()));
        }
        if matches!(way.kind.inner(), WayKind::HeaderToken(_)) && !value.is_ascii() {
            return Err(wrong(name, "has letters that no header can carry".into()));
        }
        secrets.set(name, Secret::new(value.to_owned()));
    }
    field::check_secrets(&fields_of(way).0, &secrets, missing)?;
    Ok(secrets)
}
