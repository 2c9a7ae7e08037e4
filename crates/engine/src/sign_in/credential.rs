//! The credential that the calls of a connection carry, kept fresh.

use std::collections::BTreeSet;
use std::time::Duration;

use domain::connection::{Connection, ConnectionState};
use domain::connector::{Connector, Refresh, TOKEN, Way, WayKind};
use domain::id::ConnectionId;
use domain::secret::{Secret, Secrets};
use domain::token::renew_at;
use jiff::{SignedDuration, Timestamp};
use serde_json::Value;
use tokio::sync::OwnedMutexGuard;
use tokio::time::Instant;

use super::carry::{Carrier, Credential, MailLogin};
use super::tokens::{
    ACCESS, Asking, CALLBACK, Exchanged, Fault, Grant, KEPT, LIVES, REFRESH, TOKENS, read_object,
    subject,
};
use crate::outgoing::Error;
use crate::{Engine, store, vault};

/// How long a credential stays in memory after it was read.
const KEPT_FOR: Duration = Duration::from_secs(60);
/// How long a renewal that failed is not tried again: whoever calls meanwhile goes on with the old
/// token while that lives, and is told the same once it does not.
const PAUSE: Duration = Duration::from_secs(30);

/// What is held for the calls of one connection. Its lock is their turn: whoever finds a token
/// that has to be renewed renews it, and the others wait and find the new one.
#[derive(Default)]
pub(crate) struct Held {
    current: Option<Current>,
    /// Tokens that were received and that the vault did not take: the old ones are spent.
    unsaved: Option<(Secrets, Option<Timestamp>)>,
    /// The last renewal, if that failed.
    failed: Option<Failed>,
    /// How often secrets were given, or taken away, since the start.
    pub(crate) given: u64,
}

/// A renewal that failed.
struct Failed {
    /// When it may be tried again.
    not_before: Instant,
    /// Why, where that holds for the next one, too.
    error: Option<Error>,
}

struct Current {
    credential: Credential,
    renew_at: Option<Timestamp>,
    read_at: Instant,
}

impl Held {
    /// Forgets all: the secrets were changed, or are gone.
    pub(crate) fn forget(&mut self) {
        *self = Self { given: self.given + 1, ..Self::default() };
    }

    /// Forgets what calls carry.
    pub(crate) fn forget_credential(&mut self) {
        self.current = None;
        self.failed = None;
    }

    /// Tokens that wait for the vault.
    pub(super) fn unsaved(&self) -> Option<&Secrets> {
        self.unsaved.as_ref().map(|(bundle, _)| bundle)
    }

    /// The last renewal, where it failed a moment ago.
    fn just_failed(&self) -> Option<&Failed> {
        self.failed.as_ref().filter(|failed| Instant::now() < failed.not_before)
    }

    fn fresh(&self, now: Timestamp) -> Option<Credential> {
        let current = self.current.as_ref()?;
        let fresh = current.read_at.elapsed() < KEPT_FOR
            && current.renew_at.is_none_or(|renew_at| now < renew_at);
        fresh.then(|| current.credential.clone())
    }

    /// Keeps a credential for the next call, unless that call has to try the vault first.
    fn keep(&mut self, credential: Credential, renew_at: Option<Timestamp>) -> Credential {
        if self.unsaved.is_some() {
            return credential;
        }
        let current = Current { credential: credential.clone(), renew_at, read_at: Instant::now() };
        self.current = Some(current);
        credential
    }
}

/// What a credential is asked for.
enum Need {
    /// For a call.
    Call,
    /// In place of this one, which was refused.
    Other(Box<Credential>),
}

/// A connection whose way in ends in a token, with what belongs to it.
struct Tokened<'a> {
    connection: &'a Connection,
    connector: &'a Connector,
    way: &'a Way,
    secrets: Secrets,
    expires_at: Option<Timestamp>,
    /// Whether an answer was lost.
    lost: bool,
}

impl<'a> Tokened<'a> {
    fn asking<'b>(&'b self, callback: &'b Value) -> Asking<'b>
    where
        'a: 'b,
    {
        Asking {
            connection: self.connection,
            connector: self.connector,
            way: self.way,
            kind: &self.way.kind,
            secrets: &self.secrets,
            callback,
        }
    }

    fn callback(&self) -> Value {
        Value::Object(read_object(&self.secrets, CALLBACK))
    }
}

/// How the next token is had.
enum Means {
    /// By the refresh token, once or as often as is needed.
    Refresh(Secret),
    /// By asking for another.
    Anew,
}

/// How the next token of this kind is had; none where only its user can bring one.
fn means(kind: &WayKind, refresh: Option<&Secret>) -> Option<Means> {
    let refreshes = matches!(kind.refresh(), Refresh::Reusable | Refresh::Rotating);
    match (kind, refresh.filter(|_| refreshes)) {
        (_, Some(token)) if kind.endpoint().is_some() => Some(Means::Refresh(token.clone())),
        (
            WayKind::ClientCredentials(_)
            | WayKind::JwtBearer(_)
            | WayKind::AppJwtExchange(_)
            | WayKind::TokenExchange(_),
            _,
        ) => Some(Means::Anew),
        _ => None,
    }
}

impl Engine {
    /// The credential of a connection, renewed where it is about to end.
    ///
    /// # Errors
    ///
    /// [`Error::SignIn`] where only the user can let the connection in again.
    pub(crate) async fn credential(&self, connection: &Connection) -> Result<Credential, Error> {
        self.credential_for(connection, false).await
    }

    /// As [`Engine::credential`]. Where it `proves` whether a connection still has to wait for its
    /// user, it is had though the connection waits, and no other call finds it.
    pub(crate) async fn credential_for(
        &self,
        connection: &Connection,
        proves: bool,
    ) -> Result<Credential, Error> {
        let held = self.inner.sign_ins.held(connection.id).lock_owned().await;
        // An own connector may have changed since it was last asked for.
        let moved = self.connector_of(connection).is_ok_and(|it| self.has_moved(connection, &it));
        match held.fresh(self.now()).filter(|_| !moved) {
            Some(credential) => Ok(credential),
            None => self.take_turn(held, connection.id, Need::Call, proves).await,
        }
    }

    /// How the mail server of a connection is shown who we are, renewed where that is about to
    /// end; none where the connection is for none.
    ///
    /// # Errors
    ///
    /// [`Error::SignIn`] where only the user can let the connection in again.
    pub async fn mail_login(&self, id: ConnectionId) -> Result<Option<MailLogin>, Error> {
        let connection = self.inner.store.connection(id).await?;
        Ok(self.credential(&connection).await?.mail)
    }

    /// Another credential than `refused`, or the connection needs a sign-in. Where somebody else
    /// has renewed it meanwhile, that one is the answer.
    ///
    /// # Errors
    ///
    /// As for [`Engine::credential`].
    pub(crate) async fn renew(
        &self,
        connection: &Connection,
        refused: &Credential,
        proves: bool,
    ) -> Result<Credential, Error> {
        let held = self.inner.sign_ins.held(connection.id).lock_owned().await;
        match held.fresh(self.now()).filter(|current| !current.is_same(refused)) {
            Some(credential) => Ok(credential),
            None => {
                let need = Need::Other(Box::new(refused.clone()));
                self.take_turn(held, connection.id, need, proves).await
            }
        }
    }

    /// Lets a connection wait for its user, and why: `refused` is over. What is said late of a
    /// credential that calls no longer carry ends nothing: the one that they carry is the answer.
    ///
    /// # Errors
    ///
    /// [`Error::SignIn`] with `why` where it is the one in force.
    pub(crate) async fn end_sign_in(
        &self,
        connection: &Connection,
        refused: &Credential,
        why: String,
    ) -> Result<Credential, Error> {
        let mut held = self.inner.sign_ins.held(connection.id).lock_owned().await;
        let in_force = self.in_force(&mut held, connection.id).await?;
        if in_force.is_some_and(|in_force| in_force.is_same(refused)) {
            return self.locked_out(connection.id, why).await;
        }
        self.take_turn(held, connection.id, Need::Call, false).await
    }

    /// What calls carry, whether it is good or not: nothing is renewed. None where a token has yet
    /// to be had.
    async fn in_force(
        &self,
        held: &mut Held,
        id: ConnectionId,
    ) -> Result<Option<Credential>, Error> {
        if let Some(current) = &held.current {
            return Ok(Some(current.credential.clone()));
        }
        let connection = self.inner.store.connection(id).await?;
        let connector =
            self.connector_of(&connection).map_err(|error| Error::Connector(error.to_string()))?;
        let way = connector.way(Some(&connection.connection.way));
        let way = way.ok_or_else(|| Error::Connector("it no longer has this way in".into()))?;
        if matches!(way.kind, WayKind::None) {
            return Ok(Some(Credential::default()));
        }
        let secrets = self.stored(held, &connection).await?;
        let there = way.kind.token_facts().is_none() || secrets.get(ACCESS).is_some();
        there.then(|| self.carried(&connection, &connector, way, &secrets)).transpose()
    }

    /// Works on a task of its own: whoever asked may go away, and a token that is good once must
    /// not be spent without its answer being kept.
    async fn take_turn(
        &self,
        mut held: OwnedMutexGuard<Held>,
        id: ConnectionId,
        need: Need,
        proves: bool,
    ) -> Result<Credential, Error> {
        let engine = self.clone();
        let task = self.inner.sign_ins.exchanges.spawn(async move {
            held.current = None;
            let outcome = engine.find(&mut held, id, need, proves).await;
            held.current.take_if(|_| proves);
            if held.current.is_some() {
                engine.forget_later(id);
            }
            outcome
        });
        task.await.unwrap_or(Err(Error::Store(store::Error::Closed)))
    }

    /// Takes a credential out of memory when nobody has read it for a while.
    fn forget_later(&self, id: ConnectionId) {
        let held = std::sync::Arc::downgrade(&self.inner.sign_ins.held(id));
        tokio::spawn(async move {
            tokio::time::sleep(KEPT_FOR).await;
            let Some(held) = held.upgrade() else { return };
            let mut held = held.lock().await;
            held.current.take_if(|current| current.read_at.elapsed() >= KEPT_FOR);
        });
    }

    async fn find(
        &self,
        held: &mut Held,
        id: ConnectionId,
        need: Need,
        proves: bool,
    ) -> Result<Credential, Error> {
        let mut connection = self.inner.store.connection(id).await?;
        if let ConnectionState::NeedsSignIn { why, .. } = &connection.connection.state
            && !proves
        {
            return Err(Error::SignIn(why.clone()));
        }
        let connector =
            self.connector_of(&connection).map_err(|error| Error::Connector(error.to_string()))?;
        let way = connector.way(Some(&connection.connection.way));
        let way = way.ok_or_else(|| Error::Connector("it no longer has this way in".into()))?;
        if matches!(way.kind, WayKind::None) {
            return Ok(held.keep(Credential::default(), None));
        }
        if self.has_moved(&connection, &connector) {
            return self.locked_out(id, moved(way).into()).await;
        }
        self.pin(&mut connection, &connector).await?;
        let mut secrets = self.stored(held, &connection).await?;
        if way.kind.token_facts().is_none() {
            return self.given(held, &connection, &connector, way, &secrets, need).await;
        }
        if let Some(newer) = self.left_by_a_rotation(held, &connection, &secrets).await? {
            secrets = newer;
        }
        // They may just have been stored.
        let connection = Connection {
            // Its settings stay those for which the secrets were found to be.
            connection: connection.connection,
            ..self.inner.store.connection(id).await?
        };
        let (expires_at, lost) = match &held.unsaved {
            Some((_, expires_at)) => (*expires_at, false),
            None => (connection.token_expires_at, connection.rotating_since.is_some()),
        };
        let tokened = Tokened {
            connection: &connection,
            connector: &connector,
            way,
            secrets,
            expires_at,
            lost,
        };
        self.tokened(held, tokened, need).await
    }

    /// What the user gave is what calls carry.
    async fn given(
        &self,
        held: &mut Held,
        connection: &Connection,
        connector: &Connector,
        way: &Way,
        secrets: &Secrets,
        need: Need,
    ) -> Result<Credential, Error> {
        let missing = way.fields().into_iter().find(|field| {
            field.secret
                && !field.field.optional
                && field.field.default.is_none()
                && secrets.get(&field.name).is_none()
        });
        if let Some(field) = missing {
            let why = match field.name.as_str() {
                TOKEN => "Its token has not been entered.".into(),
                _ => format!("Its {} has not been entered.", field.field.title.to_lowercase()),
            };
            return self.locked_out(connection.id, why).await;
        }
        if let WayKind::KeyHandOver(hand_over) = &way.kind
            && hand_over.secrets.keys().any(|name| secrets.get(name).is_none())
        {
            return self.locked_out(connection.id, "It has not been signed in.".into()).await;
        }
        let credential = self.carried(connection, connector, way, secrets)?;
        match need {
            Need::Other(refused) if refused.is_same(&credential) => {
                self.locked_out(connection.id, not_accepted(&way.kind).into()).await
            }
            Need::Other(_) | Need::Call => Ok(held.keep(credential, None)),
        }
    }

    async fn tokened(
        &self,
        held: &mut Held,
        it: Tokened<'_>,
        need: Need,
    ) -> Result<Credential, Error> {
        let now = self.now();
        let id = it.connection.id;
        let credential = match it.secrets.get(ACCESS) {
            Some(_) => Some(self.carried(it.connection, it.connector, it.way, &it.secrets)?),
            None => None,
        };
        let expires_at = it.expires_at;
        let renew_at = expires_at.map(|end| renew_at(end, lives(&it.secrets)));
        let refused = match (&need, &credential) {
            (Need::Other(refused), Some(credential)) => refused.is_same(credential),
            _ => false,
        };
        let lives = !refused && credential.is_some() && expires_at.is_none_or(|end| now < end);
        let paused = held.just_failed().is_some();
        let due = it.lost || renew_at.is_some_and(|at| at <= now);

        if let Some(credential) = credential.as_ref().filter(|_| lives && (!due || paused)) {
            return Ok(held.keep(credential.clone(), renew_at));
        }
        if let Some(error) = held.just_failed().and_then(|failed| failed.error.as_ref()?.again()) {
            return Err(error);
        }
        let subject_is_there = !it.way.browser()
            || it.secrets.get(ACCESS).is_some()
            || subject(&it.secrets).token.is_some();
        let means = means(&it.way.kind, it.secrets.get(REFRESH)).filter(|_| subject_is_there);
        let Some(means) = means else {
            return match credential {
                Some(credential) if lives => Ok(held.keep(credential, None)),
                Some(_) => {
                    let why = "The provider does not accept the sign-in any more, and it cannot be \
                               renewed.";
                    self.locked_out(id, why.into()).await
                }
                None => self.locked_out(id, "It has not been signed in.".into()).await,
            };
        };
        match self.next_token(held, &it, means, refused).await {
            Ok(renewed) => Ok(renewed),
            Err(Fault::Refused { said, .. }) => self.ended(&it, &said).await,
            Err(Fault::Failed(error)) => {
                let not_before = Instant::now() + PAUSE;
                held.failed = Some(Failed { not_before, error: error.again() });
                match credential {
                    Some(credential) if lives => {
                        tracing::warn!(%id, %error, "a sign-in could not be renewed yet");
                        // Read again for the next call, which may find that it can be.
                        Ok(credential)
                    }
                    _ => Err(error),
                }
            }
        }
    }

    /// Gets the next token and keeps it.
    async fn next_token(
        &self,
        held: &mut Held,
        it: &Tokened<'_>,
        means: Means,
        refused: bool,
    ) -> Result<Credential, Fault> {
        let callback = it.callback();
        let asking = it.asking(&callback);
        let exchanged = match (means, &it.way.kind) {
            (Means::Refresh(token), kind) => {
                if kind.refresh() == Refresh::Rotating {
                    self.inner.store.begin_rotation(it.connection.id, self.now()).await?;
                }
                self.ask_for_tokens(&asking, Grant::Refresh(&token)).await?
            }
            (Means::Anew, WayKind::ClientCredentials(_)) => {
                self.ask_for_tokens(&asking, Grant::Client).await?
            }
            (Means::Anew, WayKind::TokenExchange(_)) => {
                return self.exchanged(held, it, refused).await;
            }
            (Means::Anew, _) => self.ask_with_jwt(&asking).await?,
        };
        held.failed = None;
        self.take_over(held, it, &it.secrets, &exchanged).await
    }

    /// Exchanges a token for a narrower one. Where that is refused, the first one may have ended
    /// though nobody said so: it is renewed, and the exchange tried once more.
    async fn exchanged(
        &self,
        held: &mut Held,
        it: &Tokened<'_>,
        refused: bool,
    ) -> Result<Credential, Fault> {
        let callback = it.callback();
        let (mut secrets, renewed) = self.with_subject(held, it, it.secrets.clone(), false).await?;
        let mut outcome = self.exchange(it, &secrets, &callback).await;
        if outcome.as_ref().is_err_and(Fault::may_be_the_token) && !renewed {
            let again = self.with_subject(held, it, secrets.clone(), true).await?;
            if again.1 {
                secrets = again.0;
                outcome = self.exchange(it, &secrets, &callback).await;
            }
        }
        let exchanged = outcome?;
        tracing::debug!(id = %it.connection.id, refused, "a token was exchanged for a narrower one");
        held.failed = None;
        self.take_over(held, it, &secrets, &exchanged).await
    }

    async fn exchange(
        &self,
        it: &Tokened<'_>,
        secrets: &Secrets,
        callback: &Value,
    ) -> Result<Exchanged, Fault> {
        let asking = Asking { secrets, ..it.asking(callback) };
        let WayKind::TokenExchange(way) = &it.way.kind else {
            return Err(Error::Connector("it exchanges nothing".into()).into());
        };
        let pasted = matches!(*way.from.kind, WayKind::HeaderToken(_));
        let token = if pasted { secrets.get(TOKEN) } else { subject(secrets).token };
        let missing = || Error::Connector("there is no token to exchange".into());
        self.ask_for_exchange(&asking, token.ok_or_else(missing)?).await
    }

    /// The secrets with a first token among them that is good, and whether it is a new one.
    async fn with_subject(
        &self,
        held: &mut Held,
        it: &Tokened<'_>,
        secrets: Secrets,
        force: bool,
    ) -> Result<(Secrets, bool), Fault> {
        let WayKind::TokenExchange(way) = &it.way.kind else { return Ok((secrets, false)) };
        let inner = &*way.from.kind;
        if matches!(inner, WayKind::HeaderToken(_)) {
            return Ok((secrets, false));
        }
        let known = subject(&secrets);
        let due = known.ends.is_some_and(|end| renew_at(end, None) <= self.now());
        if known.token.is_some() && !due && !force && !it.lost {
            return Ok((secrets, false));
        }
        let Some(means) = means(inner, known.refresh) else { return Ok((secrets, false)) };
        let callback = it.callback();
        let asking = Asking { kind: inner, secrets: &secrets, ..it.asking(&callback) };
        let exchanged = match means {
            Means::Refresh(token) => {
                if inner.refresh() == Refresh::Rotating {
                    self.inner.store.begin_rotation(it.connection.id, self.now()).await?;
                }
                self.ask_for_tokens(&asking, Grant::Refresh(&token)).await?
            }
            Means::Anew => self.ask_for_tokens(&asking, Grant::Client).await?,
        };
        let bundle = exchanged.bundle(secrets.clone(), &callback);
        self.keep_or_hold(held, it.connection.id, &bundle, exchanged.noted_end()).await?;
        self.note_sign_in_end(it.connection.id, &exchanged).await;
        Ok((bundle, true))
    }

    /// Notes until when the token that was just used may be used again, where that is known.
    async fn note_sign_in_end(&self, id: ConnectionId, exchanged: &Exchanged) {
        let Some(end) = exchanged.sign_in_ends_at else { return };
        if let Err(error) = self.inner.store.set_sign_in_end(id, Some(end)).await {
            tracing::warn!(%id, %error, "when its sign-in ends was not noted");
        }
    }

    /// What calls carry, with these secrets of the connection, and where they may go with it.
    fn carried(
        &self,
        connection: &Connection,
        connector: &Connector,
        way: &Way,
        secrets: &Secrets,
    ) -> Result<Credential, Error> {
        let kept = Value::Object(read_object(secrets, KEPT));
        let values = self.values(connection, connector, &kept);
        let credential = Carrier { way, secrets, values: &values }.credential()?;
        let given_to = connection.connection.given_to.clone();
        let given_to = given_to.unwrap_or_else(|| self.movable_addresses(connection, connector));
        Ok(Credential { values: kept, given_to: Some(given_to.into()), ..credential })
    }

    /// Keeps what a renewal brought.
    async fn take_over(
        &self,
        held: &mut Held,
        it: &Tokened<'_>,
        secrets: &Secrets,
        exchanged: &Exchanged,
    ) -> Result<Credential, Fault> {
        let bundle = exchanged.bundle(secrets.clone(), &it.callback());
        let expires_at = exchanged.noted_end();
        let credential = self.carried(it.connection, it.connector, it.way, &bundle)?;
        let is_kept = self.keep_or_hold(held, it.connection.id, &bundle, expires_at).await?;
        self.note_sign_in_end(it.connection.id, exchanged).await;
        if is_kept {
            let renew_at = expires_at.map(|end| renew_at(end, lives(&bundle)));
            return Ok(held.keep(credential, renew_at));
        }
        Ok(credential)
    }

    /// Keeps secrets, and says whether the vault took them. Where it does not, they are kept in
    /// memory and offered to the vault again at each use, since what they take the place of is
    /// spent.
    pub(super) async fn keep_or_hold(
        &self,
        held: &mut Held,
        id: ConnectionId,
        bundle: &Secrets,
        expires_at: Option<Timestamp>,
    ) -> Result<bool, Fault> {
        // As it is now: an inner token may just have been kept.
        let connection = self.inner.store.connection(id).await?;
        match self.keep_secrets(&connection, bundle, expires_at).await {
            Ok(()) => {
                held.unsaved = None;
                Ok(true)
            }
            Err(error) => {
                tracing::error!(%id, %error, "new tokens wait for the vault");
                held.unsaved = Some((bundle.clone(), expires_at));
                Ok(false)
            }
        }
    }

    async fn ended(&self, it: &Tokened<'_>, said: &str) -> Result<Credential, Error> {
        let id = it.connection.id;
        let why = if it.lost {
            format!(
                "The answer to the last renewal of the sign-in was lost, and the old token is no \
                 longer accepted: {said}."
            )
        } else if it.way.signs_in() {
            format!("The sign-in could not be renewed: {said}.")
        } else {
            format!("No token could be had with what was entered: {said}.")
        };
        self.inner.store.abandon_rotation(id).await?;
        self.locked_out(id, why).await
    }

    /// Puts `given` among the secrets of a connection, in its turn: a renewal that is under way is
    /// waited for. An empty value takes a secret away. A token that was had with the old ones is
    /// forgotten where another can be had without the user.
    ///
    /// # Errors
    ///
    /// [`Error::Moved`] where its settings do not lead to `given_for` any more.
    pub(crate) async fn change_secrets(
        &self,
        id: ConnectionId,
        connector: &Connector,
        way: &Way,
        given: &Secrets,
        given_for: &BTreeSet<String>,
    ) -> Result<(), Error> {
        let held = self.inner.sign_ins.held(id);
        let mut held = held.lock().await;
        let connection = self.inner.store.connection(id).await?;
        self.refuse_others(&connection, connector, given_for)?;
        let moved = self.has_moved(&connection, connector);
        let mut secrets = if moved {
            // None of those that were given for another host goes along.
            Secrets::new()
        } else {
            self.stored_or_none(&mut held, &connection).await?
        };
        for (name, values) in given.iter() {
            secrets.remove(name);
            for value in values.iter().filter(|value| !value.expose().is_empty()) {
                secrets.add(name, value.clone());
            }
        }
        let connection = self.inner.store.connection(id).await?;
        let anew = way.kind.token_facts().is_some() && !way.signs_in();
        if anew {
            secrets.remove(ACCESS);
        }
        let ends = connection.token_expires_at.filter(|_| !anew);
        self.keep_secrets(&connection, &secrets, ends).await?;
        if moved || connection.connection.given_to.is_none() {
            self.inner.store.set_connection_given_to(id, given_for.clone()).await?;
        }
        held.forget();
        Ok(())
    }

    /// Refuses to go on with a connection whose settings lead elsewhere than to `begun_for`, with
    /// which something was begun.
    pub(super) fn refuse_others(
        &self,
        connection: &Connection,
        connector: &Connector,
        begun_for: &BTreeSet<String>,
    ) -> Result<(), Error> {
        if self.movable_addresses(connection, connector) == *begun_for {
            return Ok(());
        }
        Err(Error::Moved)
    }

    /// As [`Engine::stored`]; but what is gone from the vault is entered anew, bit by bit.
    async fn stored_or_none(
        &self,
        held: &mut Held,
        connection: &Connection,
    ) -> Result<Secrets, Error> {
        match self.stored(held, connection).await {
            Err(Error::SignIn(_)) => Ok(Secrets::new()),
            secrets => secrets,
        }
    }

    /// The secrets as they are in force: those that wait for the vault, which is tried again, or
    /// those in it.
    async fn stored(&self, held: &mut Held, connection: &Connection) -> Result<Secrets, Error> {
        if let Some((bundle, expires_at)) = &held.unsaved {
            let bundle = bundle.clone();
            match self.keep_secrets(connection, &bundle, *expires_at).await {
                Ok(()) => held.unsaved = None,
                Err(error) => {
                    tracing::warn!(id = %connection.id, %error, "new tokens wait for the vault");
                }
            }
            return Ok(bundle);
        }
        match self.secrets_of(connection).await {
            Ok(secrets) => Ok(secrets),
            Err(vault::Error::NotFound | vault::Error::Incomplete) => {
                let why = "Its secrets are no longer in the vault: they were removed, or the data \
                           comes from another computer.";
                self.locked_out(connection.id, why.into()).await
            }
            Err(error) => Err(error.into()),
        }
    }

    /// The tokens of a rotation that reached the vault, where we were stopped before the connection
    /// pointed to them; it does now. What they took the place of is spent.
    async fn left_by_a_rotation(
        &self,
        held: &Held,
        connection: &Connection,
        secrets: &Secrets,
    ) -> Result<Option<Secrets>, Error> {
        let (None, Some(generation), Some(began)) =
            (&held.unsaved, connection.secrets, connection.rotating_since)
        else {
            return Ok(None);
        };
        let owner = connection.id.to_string();
        let newer = match self.inner.vault.read(&owner, generation + 1).await {
            Ok(newer) => newer,
            Err(error) if error.is_lost() => return Ok(None),
            Err(error) => return Err(error.into()),
        };
        // A change by the user may have been interrupted there, too. That one has no new tokens.
        if TOKENS.iter().all(|name| newer.get(name) == secrets.get(name)) {
            return Ok(None);
        }
        // They were asked for after that, so they end later than this.
        let ends = lives(&newer).and_then(|lives| began.checked_add(lives).ok());
        self.inner.store.set_connection_secrets(connection.id, generation + 1, ends).await?;
        if let Err(error) = self.inner.vault.remove(&owner, generation).await {
            tracing::warn!(%owner, %error, "an old generation of secrets stays in the vault");
        }
        tracing::info!(%owner, "took over the tokens of a renewal that was interrupted");
        Ok(Some(newer))
    }

    async fn locked_out<T>(&self, id: ConnectionId, why: String) -> Result<T, Error> {
        self.connection_needs_sign_in(id, why.clone()).await?;
        Err(Error::SignIn(why))
    }
}

/// What the user is told where secrets were given for other hosts than those that would be called
/// now.
pub(crate) fn moved(way: &Way) -> &'static str {
    if way.signs_in() {
        "Its settings lead to another host. Sign in there."
    } else {
        "Its settings lead to another host. Enter its token again."
    }
}

/// What the user is told of something pasted that was refused.
const fn not_accepted(kind: &WayKind) -> &'static str {
    match kind {
        WayKind::HeaderToken(_) | WayKind::QueryToken(_) => {
            "The provider does not accept the token. Enter another."
        }
        WayKind::UrlSecret(_) => "The provider does not know the address any more. Enter another.",
        _ => "The provider does not accept the keys. Enter them again.",
    }
}

fn lives(secrets: &Secrets) -> Option<SignedDuration> {
    secrets.get(LIVES)?.expose().parse().ok().map(SignedDuration::from_secs)
}
