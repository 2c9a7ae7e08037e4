//! Sign-in: OAuth in the system's browser, and the credentials that come of it.
//!
//! A browser comes back to a listener of its own on loopback, which lives as long as the sign-in
//! waits: until an answer that belongs to it, ten minutes, or the next sign-in of the same
//! connection. The user can paste the address instead, and the ingress passes it on. However it
//! comes, an answer counts when its state is ours, and once.
//!
//! Some providers send keys from their server instead, which only the ingress can take
//! (`hand_over.rs`).
//!
//! A credential is read from the vault when it is needed and forgotten a minute later. All that
//! use a connection take turns at it, so that a token is renewed once, before it ends or after it
//! was refused. Where a refresh token is good once, an intent is written before it is spent and
//! taken back when the answer is in the vault. An intent that is still there means that an answer
//! was lost: the old token is tried again, once, and if that is refused the user has to sign in,
//! and is told why. A network that fails is no reason for that.

mod carry;
mod credential;
mod device;
mod hand_over;
mod jwt;
mod landing;
mod revoke;
mod tokens;
mod waiting;

#[cfg(test)]
mod tests;

use std::collections::BTreeSet;
use std::time::Duration;

use domain::connection::{Connection, ConnectionState};
use domain::connector::{
    Connector, Endpoint, LoopbackHost, OauthCode, Pkce, Redirect, Way, WayKind,
};
use domain::id::ConnectionId;
use domain::secret::Secret;
use domain::template::{Place, Template};
use domain::tunnel::TunnelState;
use jiff::{SignedDuration, Timestamp};
use serde_json::{Map, Value, json};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use url::Url;

use crate::connection::ConnectionStatus;
use crate::{Engine, connection, outgoing, store, vault};

pub(crate) use self::carry::Credential;
pub use self::carry::MailLogin;
pub(crate) use self::credential::moved;
use self::landing::Listener;
pub use self::revoke::Revoked;
pub(crate) use self::tokens::LIVES;
use self::tokens::{Asking, Exchanged, Fault, Grant};
pub use self::waiting::DeviceCode;
pub(crate) use self::waiting::SignIns;
use self::waiting::{At, Browser, ForWhat, Landed, Waiting};

/// How long a browser may take to come back.
const PATIENCE: Duration = Duration::from_secs(600);
/// How long the first call after a sign-in, which asks for the account's name, is waited for.
const FIRST_CHECK: Duration = Duration::from_secs(10);
/// What is said of a sign-in from whose page nobody came back.
const NOBODY_CAME_BACK: &str = "Nobody came back from the provider's page within ten minutes. Sign \
                                in again, and allow what is asked for.";
/// The path on which a browser comes back, and to which keys are posted.
pub const CALLBACK: &str = "/oauth/callback";
/// The kind of the application's own addresses.
pub const CUSTOM_SCHEME: &str = "patchbay";
/// Where a browser comes back by an address of that kind: the system opens it, or its user hands it
/// over.
pub const CUSTOM_CALLBACK: &str = "patchbay://oauth/callback";

/// Why a sign-in did not succeed.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The connection's way in needs no browser.
    #[error("this connection needs no sign-in")]
    NotNeeded,
    /// No sign-in waits for this answer: it was used already, or is older than ten minutes.
    #[error("no sign-in waits for this address")]
    NotWaiting,
    /// The answer's state is not ours.
    #[error("the answer does not belong to this sign-in")]
    State,
    /// The answer came at another address than the browser was told to come back to.
    #[error("the browser was told to come back to {0}, and this is another address")]
    Redirect(Url),
    /// Somebody else than the provider says that it issued the answer.
    #[error("the answer says that it comes from `{0}`, which is not the provider")]
    Issuer(String),
    /// The user, or the provider, said no.
    #[error("{0}")]
    Denied(String),
    /// Loopback cannot be listened on.
    #[error("nothing can be listened on at 127.0.0.1{}: {source}", if *.port == 0 { String::new() } else { format!(":{port}") })]
    Port {
        /// Which port the provider insists on; 0 where any is good.
        port: u16,
        /// What the system said.
        source: std::io::Error,
    },
    /// The provider sends browsers back to public https addresses only, and there is none.
    #[error("the browser can only come back to a public https address, and there is none")]
    NoAddress,
    /// The provider sends browsers back to public https addresses only, and the one that there is
    /// changes, so that it cannot be registered there.
    #[error("the browser can only come back to an address that stays, and that of `{0}` changes")]
    ChangingAddress(String),
    /// The provider sends its keys to a public https address, and there is none.
    #[error("the keys can only be sent to a public https address, and there is none")]
    NoKeyAddress,
    /// The provider sends its keys to a public https address, and the one that there is changes, so
    /// that it may be somebody else's when they are sent.
    #[error("the keys can only be sent to an address that stays, and that of `{0}` changes")]
    ChangingKeyAddress(String),
    /// What the provider sent are no keys, or none that let us in.
    #[error("the keys that were sent could not be taken: {0}")]
    Keys(String),
    /// An address was opened that is not of the application's own kind.
    #[error("the address does not begin with `{CUSTOM_SCHEME}:`")]
    NotOurs,
    /// The exchange of the code failed.
    #[error("the sign-in could not be finished: {0}")]
    Exchange(#[from] outgoing::Error),
    /// The connection's fault.
    #[error(transparent)]
    Connection(#[from] connection::Error),
    /// The store's fault.
    #[error(transparent)]
    Store(#[from] store::Error),
    /// The vault's fault.
    #[error(transparent)]
    Vault(#[from] vault::Error),
    /// The engine stopped meanwhile.
    #[error("Patchbay stopped before the sign-in was finished")]
    Stopped,
}

/// What the browser has to open.
#[derive(Debug, Clone)]
pub struct Authorize {
    /// The provider's page.
    pub authorize_url: Url,
    /// Where the browser comes back; none where it does not.
    pub redirect_url: Option<Url>,
    /// What is typed into that page, where something is.
    pub user_code: Option<String>,
    /// Until when an answer is waited for.
    pub expires_at: Timestamp,
}

impl Engine {
    /// Begins a sign-in; an earlier one of the same connection ends.
    ///
    /// # Errors
    ///
    /// [`Error::NotNeeded`] where the way in has no page to open; the vault's where the tokens could
    /// not be kept, since nobody should consent for nothing.
    pub async fn authorize(&self, id: ConnectionId) -> Result<Authorize, Error> {
        let connection = self.inner.store.connection(id).await?;
        let connector = self.connector_of(&connection)?;
        let way = way(&connector, &connection)?;
        self.inner.vault.state().await?;
        self.refuse_moved(&connection, &connector, way)?;
        match way.kind.inner() {
            WayKind::OauthCode(oauth) => self.open_browser(&connection, &connector, oauth).await,
            WayKind::Device(device) => {
                self.ask_for_device_code(&connection, &connector, device).await
            }
            WayKind::KeyHandOver(keys) => self.ask_for_keys(&connection, &connector, keys).await,
            _ => Err(Error::NotNeeded),
        }
    }

    /// A sign-in sends what the user has given beside it, such as the secret of an app: not to
    /// another host than it was given for.
    fn refuse_moved(
        &self,
        connection: &Connection,
        connector: &Connector,
        way: &Way,
    ) -> Result<(), connection::Error> {
        let given = way.fields().into_iter().find(|field| field.secret);
        match given {
            Some(field)
                if connection.secrets.is_some() && self.has_moved(connection, connector) =>
            {
                Err(connection::Error::Field {
                    field: field.name,
                    problem: "was given for another host; enter it again".into(),
                })
            }
            _ => Ok(()),
        }
    }

    async fn open_browser(
        &self,
        connection: &Connection,
        connector: &Connector,
        oauth: &OauthCode,
    ) -> Result<Authorize, Error> {
        let id = connection.id;
        self.inner.sign_ins.end_before_next(id).await;
        let (listener, redirect) = self.way_back(oauth).await?;
        let state = Secret::new(oauth2::CsrfToken::new_random_len(32).into_secret());
        let (challenge, verifier) = oauth2::PkceCodeChallenge::new_random_sha256();
        let pkce = oauth.pkce != Pkce::None;
        let challenge = pkce.then(|| challenge.as_str().to_owned());
        let authorize_url =
            self.consent_page(connection, connector, oauth, &redirect, &state, challenge)?;

        let browser = Browser {
            state,
            verifier: pkce.then(|| Secret::new(verifier.into_secret())),
            issuers: self.issuers(connection, connector, oauth, &authorize_url),
            redirect: redirect.clone(),
            begun_for: self.movable_addresses(connection, connector),
        };
        let waiting = Waiting {
            for_what: ForWhat::Browser(Box::new(browser)),
            until: Instant::now() + PATIENCE,
            stop: CancellationToken::new(),
            closed: listener.is_some().then(CancellationToken::new),
        };
        let expires_at = match (listener, waiting.closed.clone()) {
            (Some(listener), Some(closed)) => {
                let stop = waiting.stop.clone();
                landing::listen(self.clone(), id, listener, waiting.until, stop, closed);
                self.wait(id, waiting)
            }
            _ => self.wait_without_listener(id, waiting, NOBODY_CAME_BACK),
        };
        Ok(Authorize { authorize_url, redirect_url: Some(redirect), user_code: None, expires_at })
    }

    /// Lets a sign-in wait. Until when it does.
    fn wait(&self, id: ConnectionId, waiting: Waiting) -> Timestamp {
        self.inner.sign_ins.begin(id, waiting);
        self.connection_changed();
        let patience = SignedDuration::try_from(PATIENCE).unwrap_or(SignedDuration::ZERO);
        self.now().checked_add(patience).unwrap_or(Timestamp::MAX)
    }

    /// As [`Engine::wait`], where no listener of its own sees its end: `in_vain` is said where
    /// nothing has come until then.
    fn wait_without_listener(
        &self,
        id: ConnectionId,
        waiting: Waiting,
        in_vain: &'static str,
    ) -> Timestamp {
        let (engine, until, stop) = (self.clone(), waiting.until, waiting.stop.clone());
        let expires_at = self.wait(id, waiting);
        tokio::spawn(async move {
            tokio::select! {
                () = tokio::time::sleep_until(until) => {}
                () = stop.cancelled() => {}
                () = engine.inner.stopping.cancelled() => {}
            }
            // Whoever looks at those that wait may have been quicker to end it.
            if Instant::now() >= until {
                engine.came_to_nothing(id, in_vain.into()).await;
                engine.connection_changed();
            }
        });
        expires_at
    }

    /// Ends a sign-in that waits; it is no fault where none does.
    ///
    /// # Errors
    ///
    /// The store's.
    pub async fn cancel_sign_in(&self, id: ConnectionId) -> Result<ConnectionStatus, Error> {
        self.inner.store.connection(id).await?;
        self.inner.sign_ins.end(id);
        self.connection_changed();
        Ok(self.connection(id).await?)
    }

    /// Takes the address on which the browser landed, as the user pasted it or the system handed
    /// it over. Answers with the connection, ready.
    ///
    /// Whoever asked may go away: what was begun is finished, since a code is good once.
    ///
    /// # Errors
    ///
    /// See [`Error`]. A refusal and a failed exchange end the sign-in; an answer that belongs to
    /// none leaves those that wait alone.
    pub async fn complete_sign_in(&self, redirect: &Url) -> Result<ConnectionStatus, Error> {
        self.complete(redirect, At::Address(redirect)).await
    }

    /// As [`Engine::complete_sign_in`], for an address of our own kind ([`CUSTOM_CALLBACK`]) that the
    /// system was told to open. Any page and any program can have one opened, so one that nothing
    /// waits for is no more than a line in the log.
    ///
    /// # Errors
    ///
    /// As [`Engine::complete_sign_in`], and [`Error::NotOurs`] for any other kind of address.
    pub async fn take_address(&self, address: &Url) -> Result<ConnectionStatus, Error> {
        if address.scheme() != CUSTOM_SCHEME {
            return Err(Error::NotOurs);
        }
        let outcome = self.complete_sign_in(address).await;
        // What stands behind its `?` is not ours to repeat.
        if let Err(Error::NotWaiting | Error::State | Error::Redirect(_)) = &outcome {
            tracing::info!("an address of ours was opened that no sign-in waits for");
        }
        outcome
    }

    async fn complete(&self, redirect: &Url, at: At<'_>) -> Result<ConnectionStatus, Error> {
        let landed = Landed::read(redirect);
        let belongs = |browser: &Browser| landed.belongs(at, browser);
        let (id, browser, stop) = self.inner.sign_ins.take(landed.state.as_ref(), belongs)?;
        let engine = self.clone();
        let task = self.inner.sign_ins.exchanges.spawn(async move {
            let _end = stop.drop_guard();
            let outcome = engine.finish(id, &browser, &landed).await;
            if let Err(error) = &outcome {
                engine.sign_in_failed(id, error).await;
            }
            engine.connection_changed();
            outcome
        });
        task.await.unwrap_or(Err(Error::Stopped))
    }

    /// Whether a sign-in waits for an answer at an ingress listener now. One whose browser comes
    /// back to this computer has a listener of its own, and opens no door to strangers.
    pub fn sign_in_waits(&self) -> bool {
        self.inner.sign_ins.any_waits_outside()
    }

    /// The connector of a connection.
    pub(crate) fn connector_of(
        &self,
        connection: &Connection,
    ) -> Result<std::sync::Arc<Connector>, connection::Error> {
        let id = &connection.connection.connector;
        self.inner.connectors.get(id).ok_or_else(|| connection::Error::Connector(id.clone()))
    }

    /// Where the browser comes back, and the listener for it where that is one of its own: the
    /// first of what the connector allows that there is here.
    async fn way_back(&self, oauth: &OauthCode) -> Result<(Option<Listener>, Url), Error> {
        let mut failed = None;
        // Where the system opens no addresses of ours, its user would have to hand them over.
        let by_hand = |it: &&Redirect| **it == Redirect::Custom && !self.takes_addresses();
        let redirects = oauth.redirects().iter();
        for redirect in redirects.clone().filter(|it| !by_hand(it)).chain(redirects.filter(by_hand))
        {
            match self.way_back_by(oauth, redirect).await {
                Ok(way_back) => return Ok(way_back),
                // What is liked best says best what is missing.
                Err(error) => _ = failed.get_or_insert(error),
            }
        }
        Err(failed.unwrap_or(Error::NoAddress))
    }

    async fn way_back_by(
        &self,
        oauth: &OauthCode,
        redirect: &Redirect,
    ) -> Result<(Option<Listener>, Url), Error> {
        let (port, host, path) = match redirect {
            Redirect::Loopback => (0, LoopbackHost::Ip, CALLBACK),
            Redirect::LoopbackAt(at) => {
                (at.port.unwrap_or_default(), at.host, at.path.as_deref().unwrap_or(CALLBACK))
            }
            Redirect::Https => {
                let base = self.lasting_address().await?;
                let url = format!("{base}{CALLBACK}");
                return Ok((None, Url::parse(&url).map_err(|_| Error::NoAddress)?));
            }
            // Any program can claim addresses of this kind: without PKCE it could spend the code.
            Redirect::Custom if oauth.pkce != Pkce::None => {
                return Ok((None, Url::parse(CUSTOM_CALLBACK).map_err(|_| Error::NoAddress)?));
            }
            Redirect::Custom => {
                let why = "`redirect: custom` needs `pkce`".to_owned();
                return Err(Error::Exchange(outgoing::Error::Connector(why)));
            }
        };
        let fault = |source| Error::Port { port, source };
        let by_name = host == LoopbackHost::Localhost;
        let listener = Listener::bind(port, by_name, path).await.map_err(fault)?;
        let bound = listener.port().map_err(fault)?;
        let url = format!("http://{}:{bound}{path}", host.as_str());
        Ok((Some(listener), Url::parse(&url).map_err(|_| Error::NoAddress)?))
    }

    /// A public https address that stays, without a slash at its end.
    pub(crate) async fn lasting_address(&self) -> Result<String, Error> {
        let tunnels = self.tunnels().await.map_err(|_| Error::NoAddress)?;
        let running = tunnels.into_iter().filter_map(|tunnel| {
            let address = match tunnel.state {
                TunnelState::Reachable { public_url, .. }
                | TunnelState::Unproved { public_url, .. } => public_url,
                TunnelState::Off | TunnelState::Starting | TunnelState::Failed { .. } => {
                    return None;
                }
            };
            address.starts_with("https://").then_some((address, tunnel.kind))
        });
        let mut changing = None;
        for (address, kind) in running {
            if !kind.address_changes {
                return Ok(address.trim_end_matches('/').to_owned());
            }
            changing = Some(kind.title);
        }
        Err(changing.map_or(Error::NoAddress, Error::ChangingAddress))
    }

    /// Who may say that it issued an answer (RFC 9207).
    fn issuers(
        &self,
        connection: &Connection,
        connector: &Connector,
        oauth: &OauthCode,
        consent: &Url,
    ) -> Vec<url::Origin> {
        let values = self.values(connection, connector, &json!({}));
        let token = tokens::address(&oauth.token_url, &values).ok();
        [Some(consent), token.as_ref()].into_iter().flatten().map(Url::origin).collect()
    }

    fn consent_page(
        &self,
        connection: &Connection,
        connector: &Connector,
        oauth: &OauthCode,
        redirect: &Url,
        state: &Secret,
        challenge: Option<String>,
    ) -> Result<Url, Error> {
        let values = self.values(connection, connector, &json!({}));
        let mut url = web_page(&oauth.authorize_url, &values)?;
        let mut query = url.query_pairs_mut();
        query
            .append_pair("response_type", "code")
            .append_pair("client_id", &client_id(&oauth.endpoint(), connection)?)
            .append_pair("redirect_uri", redirect.as_str())
            .append_pair("state", state.expose());
        if !oauth.scopes.is_empty() {
            query.append_pair(&oauth.scope_param, &oauth.scopes.join(&oauth.scope_separator));
        }
        if let Some(challenge) = challenge {
            query.append_pair("code_challenge", &challenge);
            query.append_pair("code_challenge_method", "S256");
        }
        for (name, text) in &oauth.authorize_params {
            let text = text.render(Place::Text, &values).map_err(outgoing::Error::from)?;
            if !text.is_empty() {
                query.append_pair(name, &text);
            }
        }
        drop(query);
        Ok(url)
    }

    /// Turns the answer of a sign-in into tokens in the vault.
    async fn finish(
        &self,
        id: ConnectionId,
        browser: &Browser,
        landed: &Landed,
    ) -> Result<ConnectionStatus, Error> {
        if let Some(denied) = landed.denied() {
            return Err(Error::Denied(denied));
        }
        let connection = self.inner.store.connection(id).await?;
        let connector = self.connector_of(&connection)?;
        let way = way(&connector, &connection)?;
        let WayKind::OauthCode(oauth) = way.kind.inner() else { return Err(Error::NotNeeded) };
        let begun = Begun { connector: &connector, way, for_what: &browser.begun_for };
        let callback = callback_values(oauth, landed)?;
        let code = landed.code.as_ref().ok_or_else(|| incomplete("code"))?;
        let grant =
            Grant::Code { code, redirect: &browser.redirect, verifier: browser.verifier.as_ref() };
        self.take_grant(id, &begun, &callback, grant, || ()).await.map_err(|fault| match fault {
            TakeError::Fault(Fault::Refused { said, .. }) => Error::Denied(said),
            TakeError::Fault(Fault::Failed(error)) => Error::Exchange(error),
            TakeError::Other(error) => error,
        })
    }

    /// Exchanges what a user consented to for tokens, and keeps them. `kept` is called before the
    /// connection is seen to be ready.
    async fn take_grant(
        &self,
        id: ConnectionId,
        begun: &Begun<'_>,
        callback: &Value,
        grant: Grant<'_>,
        kept: impl FnOnce(),
    ) -> Result<ConnectionStatus, TakeError> {
        let Begun { connector, way, for_what } = *begun;
        let exchanging = self.inner.sign_ins.exchanging(id);
        let turn = exchanging.read().await;
        // It may have been deleted before that.
        let connection = self.inner.store.connection(id).await?;
        self.refuse_others(&connection, connector, for_what)?;
        self.refuse_moved(&connection, connector, way)?;
        let secrets = self.secrets_for_change(&connection).await?;
        let (kind, connection) = (way.kind.inner(), &connection);
        let asking = Asking { connection, connector, way, kind, secrets: &secrets, callback };
        let tokens = self.ask_for_tokens(&asking, grant).await.map_err(TakeError::Fault)?;
        self.keep_grant(id, begun, callback, &tokens, kept).await?;
        drop(turn);
        // It may have been switched off while the answer was on its way.
        if self.inner.store.connection(id).await?.connection.state != ConnectionState::Off {
            self.name_account(id).await;
        }
        Ok(self.connection(id).await?)
    }

    async fn keep_grant(
        &self,
        id: ConnectionId,
        begun: &Begun<'_>,
        callback: &Value,
        tokens: &Exchanged,
        kept: impl FnOnce(),
    ) -> Result<(), TakeError> {
        let Begun { connector, for_what, .. } = *begun;
        let held = self.inner.sign_ins.held(id);
        let mut held = held.lock().await;
        // Read again: the settings may have changed, and the old sign-in may have been renewed.
        let connection = self.inner.store.connection(id).await?;
        self.refuse_others(&connection, connector, for_what)?;
        held.forget();
        let moved = self.has_moved(&connection, connector);
        let before = match moved {
            true => domain::secret::Secrets::new(),
            false => self.secrets_for_change(&connection).await?,
        };
        // The code is spent: what it brought waits in memory where the vault cannot take it now.
        let bundle = tokens.bundle(before, callback);
        self.keep_or_hold(&mut held, id, &bundle, tokens.noted_end())
            .await
            .map_err(TakeError::Fault)?;
        self.inner.store.set_sign_in_end(id, tokens.sign_in_ends_at).await?;
        if moved || connection.connection.given_to.is_none() {
            self.inner.store.set_connection_given_to(id, for_what.clone()).await?;
        }
        kept();
        self.connection_ready(id).await?;
        Ok(())
    }

    /// Ends a sign-in that waits, since the settings lead elsewhere than those with which it began.
    pub(crate) async fn end_moved_sign_in(&self, id: ConnectionId) {
        let moved = Error::Exchange(outgoing::Error::Moved);
        if self.inner.sign_ins.end_for(id, &moved.to_string()) {
            self.sign_in_failed(id, &moved).await;
        }
    }

    /// Leaves word that nobody came back from the provider's page, as [`Engine::came_to_nothing`].
    pub(super) async fn nobody_came_back(&self, id: ConnectionId) {
        self.came_to_nothing(id, NOBODY_CAME_BACK.into()).await;
    }

    /// Leaves word of why a sign-in came to nothing, as [`Engine::came_to_nothing`].
    async fn sign_in_failed(&self, id: ConnectionId, error: &Error) {
        let why = match error {
            Error::Denied(why) => format!("{why}. Sign in again, and allow what is asked for."),
            other => format!("{other}. Sign in again."),
        };
        self.came_to_nothing(id, begun(&why)).await;
    }

    /// Leaves word of why a sign-in came to nothing, for whoever looks at the connection. One whose
    /// earlier sign-in still works, or that was signed in otherwise meanwhile, goes on as it is.
    async fn came_to_nothing(&self, id: ConnectionId, why: String) {
        // In its turn: a sign-in that is just being kept makes it ready.
        let held = self.inner.sign_ins.held(id);
        let _turn = held.lock().await;
        let Ok(connection) = self.inner.store.connection(id).await else { return };
        if !matches!(connection.connection.state, ConnectionState::NeedsSignIn { .. }) {
            return;
        }
        if let Err(error) = self.connection_needs_sign_in(id, why).await {
            tracing::warn!(%id, %error, "why a sign-in failed was not stored");
        }
    }

    /// Asks for the account's name. The sign-in has succeeded whatever comes of it.
    async fn name_account(&self, id: ConnectionId) {
        match tokio::time::timeout(FIRST_CHECK, self.check_connection(id)).await {
            Ok(Ok(_)) => {}
            Ok(Err(error)) => tracing::warn!(%id, %error, "the first call after a sign-in failed"),
            Err(_) => tracing::warn!(%id, "the first call after a sign-in took too long"),
        }
    }

    /// The secrets of a connection; none where it has none yet.
    pub(crate) async fn secrets_of(
        &self,
        connection: &Connection,
    ) -> Result<domain::secret::Secrets, vault::Error> {
        match connection.secrets {
            Some(generation) => self.inner.vault.read(&connection.id.to_string(), generation).await,
            None => Ok(domain::secret::Secrets::new()),
        }
    }

    /// As [`Engine::secrets_of`], before new ones are written: none where the old ones are lost.
    pub(crate) async fn secrets_for_change(
        &self,
        connection: &Connection,
    ) -> Result<domain::secret::Secrets, vault::Error> {
        self.inner.vault.read_for_change(&connection.id.to_string(), connection.secrets).await
    }

    /// Writes secrets as the next generation, points the connection to it, removes the old one.
    pub(crate) async fn keep_secrets(
        &self,
        connection: &Connection,
        secrets: &domain::secret::Secrets,
        token_expires_at: Option<Timestamp>,
    ) -> Result<(), KeepError> {
        let owner = connection.id.to_string();
        let generation = connection.secrets.map_or(1, |generation| generation + 1);
        self.inner.vault.write(&owner, generation, secrets).await?;
        self.inner
            .store
            .set_connection_secrets(connection.id, generation, token_expires_at)
            .await?;
        if let Some(old) = connection.secrets
            && let Err(error) = self.inner.vault.remove(&owner, old).await
        {
            tracing::warn!(%owner, %error, "an old generation of secrets stays in the vault");
        }
        self.inner.housekeeping.notify_one();
        Ok(())
    }
}

/// Why secrets were not kept.
#[derive(Debug, thiserror::Error)]
pub(crate) enum KeepError {
    /// The vault's fault: nothing has changed.
    #[error(transparent)]
    Vault(#[from] vault::Error),
    /// The store's fault: the connection still points to the old ones.
    #[error(transparent)]
    Store(#[from] store::Error),
}

impl From<KeepError> for Error {
    fn from(error: KeepError) -> Self {
        match error {
            KeepError::Vault(error) => Self::Vault(error),
            KeepError::Store(error) => Self::Store(error),
        }
    }
}

impl From<KeepError> for connection::Error {
    fn from(error: KeepError) -> Self {
        match error {
            KeepError::Vault(error) => Self::Vault(error),
            KeepError::Store(error) => Self::Store(error),
        }
    }
}

impl From<KeepError> for outgoing::Error {
    fn from(error: KeepError) -> Self {
        match error {
            KeepError::Vault(error) => Self::Vault(error),
            KeepError::Store(error) => Self::Store(error),
        }
    }
}

/// The text with a capital letter at its beginning.
fn begun(text: &str) -> String {
    let mut letters = text.chars();
    let first = letters.next().into_iter().flat_map(char::to_uppercase);
    first.chain(letters).collect()
}

/// What a sign-in was begun with.
struct Begun<'a> {
    connector: &'a Connector,
    way: &'a Way,
    /// The addresses that its settings led to then.
    for_what: &'a BTreeSet<String>,
}

/// Why what a user consented to did not become tokens.
enum TakeError {
    Fault(Fault),
    Other(Error),
}

impl<E: Into<Error>> From<E> for TakeError {
    fn from(error: E) -> Self {
        Self::Other(error.into())
    }
}

/// The way in of a connection.
fn way<'a>(connector: &'a Connector, connection: &Connection) -> Result<&'a Way, Error> {
    connector.way(Some(&connection.connection.way)).ok_or(Error::NotNeeded)
}

/// The page that a browser opens.
fn web_page(text: &Template, values: &Value) -> Result<Url, Error> {
    let address = text.render(Place::Address, values).map_err(outgoing::Error::from)?;
    let url = Url::parse(&address).ok();
    url.filter(|url| matches!(url.scheme(), "http" | "https") && url.host().is_some()).ok_or_else(
        || Error::Exchange(outgoing::Error::Connector(format!("`{address}` is no web page"))),
    )
}

/// The client id of the connector, or of the user's own app.
fn client_id(
    endpoint: &Endpoint<'_>,
    connection: &Connection,
) -> Result<String, connection::Error> {
    let own = || connection.connection.settings.get("client_id").cloned();
    endpoint.client_id.map(str::to_owned).or_else(own).ok_or_else(|| connection::Error::Field {
        field: "client_id".into(),
        problem: "is missing".into(),
    })
}

/// The parameters of the callback that texts may use, each of its shape: they come from outside
/// and may become part of a host.
fn callback_values(oauth: &OauthCode, landed: &Landed) -> Result<Value, Error> {
    let mut values = Map::new();
    for (name, param) in &oauth.callback {
        let value = landed.parameter(name).filter(|value| param.pattern.matches(value));
        let value = value.ok_or_else(|| incomplete(name))?;
        values.insert(name.clone(), Value::String(value.into()));
    }
    Ok(Value::Object(values))
}

fn incomplete(name: &str) -> Error {
    Error::Exchange(outgoing::Error::Answer {
        host: "the provider's page".into(),
        why: format!("it sent the browser back without a `{name}` that fits"),
    })
}
