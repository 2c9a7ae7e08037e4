//! The credential that the calls of a connection carry, kept fresh.

use std::time::Duration;

use domain::connection::{Connection, ConnectionState};
use domain::connector::{Connector, HeaderToken, OauthCode, Refresh, Send, TOKEN, WayKind};
use domain::id::ConnectionId;
use domain::secret::{Secret, Secrets};
use domain::token::renew_at;
use http::HeaderName;
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};
use tokio::sync::OwnedMutexGuard;
use tokio::time::Instant;

use super::tokens::{ACCESS, CALLBACK, Exchanged, Fault, Grant, KEPT, LIVES, REFRESH, read_object};
use crate::outgoing::Error;
use crate::{Engine, store, vault};

/// How long a credential stays in memory after it was read.
const KEPT_FOR: Duration = Duration::from_secs(60);
/// How long a renewal that failed is not tried again while the old token still lives.
const PAUSE: Duration = Duration::from_secs(30);

/// What a call carries to be let in.
#[derive(Debug, Clone)]
pub(crate) struct Credential {
    /// The header and its whole value; none where a connection needs none.
    pub(crate) header: Option<(HeaderName, Secret)>,
    /// What the connector's texts may use as `token.NAME`; never the tokens themselves.
    pub(crate) values: Value,
}

impl Default for Credential {
    fn default() -> Self {
        Self { header: None, values: json!({}) }
    }
}

/// What is held for the calls of one connection. Its lock is their turn: whoever finds a token
/// that has to be renewed renews it, and the others wait and find the new one.
#[derive(Default)]
pub(crate) struct Held {
    current: Option<Current>,
    /// Tokens that were received and that the vault did not take: the old ones are spent.
    unsaved: Option<(Secrets, Option<Timestamp>)>,
    /// When a failed renewal may be tried again.
    not_before: Option<Instant>,
}

struct Current {
    credential: Credential,
    renew_at: Option<Timestamp>,
    read_at: Instant,
}

impl Held {
    /// Forgets all: the secrets were changed, or are gone.
    pub(super) fn forget(&mut self) {
        *self = Self::default();
    }

    /// Forgets what calls carry.
    pub(super) fn forget_credential(&mut self) {
        self.current = None;
    }

    fn fresh(&self, now: Timestamp) -> Option<Credential> {
        let current = self.current.as_ref()?;
        let fresh = current.read_at.elapsed() < KEPT_FOR
            && current.renew_at.is_none_or(|renew_at| now < renew_at);
        fresh.then(|| current.credential.clone())
    }
}

/// What a credential is asked for.
enum Need {
    /// For a call.
    Call,
    /// In place of this one, which was refused.
    Other(Credential),
}

/// A connection whose way in is a browser, with what belongs to it.
struct SignedIn<'a> {
    connection: &'a Connection,
    connector: &'a Connector,
    oauth: &'a OauthCode,
    secrets: Secrets,
    expires_at: Option<Timestamp>,
    /// Whether an answer was lost.
    lost: bool,
}

impl Engine {
    /// The credential of a connection, renewed where it is about to end.
    ///
    /// # Errors
    ///
    /// [`Error::SignIn`] where only the user can let the connection in again.
    pub(crate) async fn credential(&self, connection: &Connection) -> Result<Credential, Error> {
        let held = self.inner.sign_ins.held(connection.id).lock_owned().await;
        match held.fresh(self.now()) {
            Some(credential) => Ok(credential),
            None => self.take_turn(held, connection.id, Need::Call).await,
        }
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
    ) -> Result<Credential, Error> {
        let held = self.inner.sign_ins.held(connection.id).lock_owned().await;
        match held.fresh(self.now()).filter(|current| current.header != refused.header) {
            Some(credential) => Ok(credential),
            None => self.take_turn(held, connection.id, Need::Other(refused.clone())).await,
        }
    }

    /// Works on a task of its own: whoever asked may go away, and a token that is good once must
    /// not be spent without its answer being kept.
    async fn take_turn(
        &self,
        mut held: OwnedMutexGuard<Held>,
        id: ConnectionId,
        need: Need,
    ) -> Result<Credential, Error> {
        let engine = self.clone();
        let task = tokio::spawn(async move {
            held.current = None;
            let outcome = engine.find(&mut held, id, need).await;
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
    ) -> Result<Credential, Error> {
        let connection = self.inner.store.connection(id).await?;
        if let ConnectionState::NeedsSignIn { why, .. } = &connection.connection.state {
            return Err(Error::SignIn(why.clone()));
        }
        let connector =
            self.connector_of(&connection).map_err(|error| Error::Connector(error.to_string()))?;
        let way = connector.auth.get(connection.connection.way as usize);
        let way = way.ok_or_else(|| Error::Connector("it no longer has this way in".into()))?;
        match &way.kind {
            WayKind::None => Ok(held.keep(Credential::default(), None)),
            WayKind::HeaderToken(token) => self.pasted(held, &connection, token, need).await,
            WayKind::OauthCode(oauth) => {
                let secrets = self.stored(held, &connection).await?;
                // They may just have been stored.
                let connection = self.inner.store.connection(id).await?;
                let (expires_at, lost) = match &held.unsaved {
                    Some((_, expires_at)) => (*expires_at, false),
                    None => (connection.token_expires_at, connection.rotating_since.is_some()),
                };
                let signed_in = SignedIn {
                    connection: &connection,
                    connector: &connector,
                    oauth,
                    secrets,
                    expires_at,
                    lost,
                };
                self.signed_in(held, signed_in, need).await
            }
            other => Err(Error::Connector(format!("calls cannot be made by `{}`", other.name()))),
        }
    }

    async fn pasted(
        &self,
        held: &mut Held,
        connection: &Connection,
        way: &HeaderToken,
        need: Need,
    ) -> Result<Credential, Error> {
        let secrets = self.stored(held, connection).await?;
        let Some(token) = secrets.get(TOKEN) else {
            return self.locked_out(connection.id, "Its token has not been entered.".into()).await;
        };
        let credential = Credential {
            header: Some((header_name(&way.header)?, carried(&way.prefix, token))),
            ..Credential::default()
        };
        match need {
            Need::Other(refused) if refused.header == credential.header => {
                let why = "The provider does not accept the token. Enter another.";
                self.locked_out(connection.id, why.into()).await
            }
            Need::Other(_) | Need::Call => Ok(held.keep(credential, None)),
        }
    }

    async fn signed_in(
        &self,
        held: &mut Held,
        it: SignedIn<'_>,
        need: Need,
    ) -> Result<Credential, Error> {
        let now = self.now();
        let id = it.connection.id;
        let Some(access) = it.secrets.get(ACCESS) else {
            return self.locked_out(id, "It has not been signed in.".into()).await;
        };
        let credential = Credential {
            header: sent(&it.oauth.send, access)?,
            values: Value::Object(read_object(&it.secrets, KEPT)),
        };
        let expires_at = it.expires_at;
        let renew_at = expires_at.map(|end| renew_at(end, lives(&it.secrets)));
        let refused = matches!(&need, Need::Other(refused) if refused.header == credential.header);
        let lives = !refused && expires_at.is_none_or(|end| now < end);
        let paused = held.not_before.is_some_and(|at| Instant::now() < at);
        let due = it.lost || renew_at.is_some_and(|at| at <= now);

        if lives && (!due || paused) {
            return Ok(held.keep(credential, renew_at));
        }
        if it.oauth.refresh == Refresh::None || it.secrets.get(REFRESH).is_none() {
            if lives {
                return Ok(held.keep(credential, None));
            }
            let why =
                "The provider does not accept the sign-in any more, and it cannot be renewed.";
            return self.locked_out(id, why.into()).await;
        }
        match self.refresh(held, &it).await {
            Ok(renewed) => Ok(renewed),
            Err(Fault::Refused(said)) => self.ended(&it, &said).await,
            Err(Fault::Failed(error)) => {
                held.not_before = Some(Instant::now() + PAUSE);
                if lives {
                    tracing::warn!(%id, %error, "a sign-in could not be renewed yet");
                    // Read again for the next call, which may find that it can be.
                    return Ok(credential);
                }
                Err(error)
            }
        }
    }

    async fn refresh(&self, held: &mut Held, it: &SignedIn<'_>) -> Result<Credential, Fault> {
        let SignedIn { connection, connector, oauth, secrets, .. } = it;
        let token = secrets.get(REFRESH).ok_or_else(|| Error::Connector("no token".into()))?;
        if oauth.refresh == Refresh::Rotating {
            self.inner.store.begin_rotation(connection.id, self.now()).await?;
        }
        let callback = Value::Object(read_object(secrets, CALLBACK));
        let exchanged = self
            .ask_for_tokens(connection, connector, oauth, secrets, &callback, Grant::Refresh(token))
            .await?;
        held.not_before = None;
        self.take_over(held, it, &exchanged, &callback).await
    }

    /// Keeps what a renewal brought. Where the vault does not take it, it is kept in memory and
    /// offered to the vault again at each use, since what it takes the place of is spent.
    async fn take_over(
        &self,
        held: &mut Held,
        it: &SignedIn<'_>,
        exchanged: &Exchanged,
        callback: &Value,
    ) -> Result<Credential, Fault> {
        let bundle = exchanged.bundle(it.secrets.clone(), callback);
        let expires_at = exchanged.expires_at;
        let send = &it.oauth.send;
        let header = bundle.get(ACCESS).map(|access| sent(send, access)).transpose();
        let credential = Credential {
            header: header.map_err(Fault::Failed)?.flatten(),
            values: Value::Object(read_object(&bundle, KEPT)),
        };
        match self.keep_secrets(it.connection, &bundle, expires_at).await {
            Ok(()) => {
                held.unsaved = None;
                let renew_at = expires_at.map(|end| renew_at(end, lives(&bundle)));
                Ok(held.keep(credential, renew_at))
            }
            Err(error) => {
                tracing::error!(id = %it.connection.id, %error, "new tokens wait for the vault");
                held.unsaved = Some((bundle, expires_at));
                Ok(credential)
            }
        }
    }

    async fn ended(&self, it: &SignedIn<'_>, said: &str) -> Result<Credential, Error> {
        let id = it.connection.id;
        let why = if it.lost {
            format!(
                "The answer to the last renewal of the sign-in was lost, and the old token is no \
                 longer accepted: {said}."
            )
        } else {
            format!("The sign-in could not be renewed: {said}.")
        };
        if it.oauth.refresh == Refresh::Rotating {
            self.inner.store.abandon_rotation(id).await?;
        }
        self.locked_out(id, why).await
    }

    /// Puts `given` among the secrets of a connection, in its turn: a renewal that is under way is
    /// waited for. An empty value takes a secret away.
    pub(crate) async fn change_secrets(
        &self,
        id: ConnectionId,
        given: &Secrets,
    ) -> Result<(), Error> {
        let held = self.inner.sign_ins.held(id);
        let mut held = held.lock().await;
        let connection = self.inner.store.connection(id).await?;
        let mut secrets = self.stored(&mut held, &connection).await?;
        for (name, values) in given.iter() {
            secrets.remove(name);
            for value in values.iter().filter(|value| !value.expose().is_empty()) {
                secrets.add(name, value.clone());
            }
        }
        let connection = self.inner.store.connection(id).await?;
        self.keep_secrets(&connection, &secrets, connection.token_expires_at).await?;
        held.forget();
        Ok(())
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

    async fn locked_out<T>(&self, id: ConnectionId, why: String) -> Result<T, Error> {
        self.connection_needs_sign_in(id, why.clone()).await?;
        Err(Error::SignIn(why))
    }
}

impl Held {
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

fn lives(secrets: &Secrets) -> Option<SignedDuration> {
    secrets.get(LIVES)?.expose().parse().ok().map(SignedDuration::from_secs)
}

/// The header that carries `access`.
fn sent(send: &Send, access: &Secret) -> Result<Option<(HeaderName, Secret)>, Error> {
    let Some((header, prefix)) = send.header() else { return Ok(None) };
    Ok(Some((header_name(header)?, carried(prefix, access))))
}

fn carried(prefix: &str, token: &Secret) -> Secret {
    Secret::new(format!("{prefix}{}", token.expose()))
}

fn header_name(name: &str) -> Result<HeaderName, Error> {
    HeaderName::try_from(name).map_err(|_| Error::Connector(format!("`{name}` is not a header")))
}
