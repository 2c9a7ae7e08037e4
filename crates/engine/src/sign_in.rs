//! Sign-in: OAuth in the system's browser, and the tokens that come of it.
//!
//! A browser comes back to a loopback listener that lives as long as a sign-in waits for it. The
//! state and PKCE's verifier are checked, each answer is good once. A refresh is one flight per
//! connection; before a token that is good once is spent, an intent is written.

use domain::id::ConnectionId;
use jiff::Timestamp;
use url::Url;

use crate::connection::ConnectionStatus;
use crate::{Engine, store, vault};

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
    /// The user, or the provider, said no.
    #[error("{0}")]
    Denied(String),
    /// The loopback port cannot be had.
    #[error("port {0} is taken by another program")]
    Port(u16),
    /// The exchange of the code failed.
    #[error("the sign-in could not be finished: {0}")]
    Exchange(#[from] crate::outgoing::Error),
    /// The connection's fault.
    #[error(transparent)]
    Connection(#[from] crate::connection::Error),
    /// The store's fault.
    #[error(transparent)]
    Store(#[from] store::Error),
    /// The vault's fault.
    #[error(transparent)]
    Vault(#[from] vault::Error),
}

/// What the browser has to open.
#[derive(Debug, Clone)]
pub struct Authorize {
    /// The provider's page.
    pub authorize_url: Url,
    /// Until when an answer is waited for.
    pub expires_at: Timestamp,
}

/// What a call carries to be let in.
#[derive(Debug, Clone, Default)]
pub(crate) struct Credential {
    /// The header and its whole value; none where a connection needs none.
    pub(crate) header: Option<(http::HeaderName, domain::secret::Secret)>,
    /// What the connector's texts may use as `token.NAME`; never the tokens themselves.
    pub(crate) values: serde_json::Value,
}

#[expect(clippy::todo, unused_variables, clippy::unused_async, reason = "the outline")]
impl Engine {
    /// The credential of a connection, renewed where it is about to end.
    pub(crate) async fn credential(
        &self,
        connection: &domain::connection::Connection,
    ) -> Result<Credential, crate::outgoing::Error> {
        todo!()
    }
    /// A new credential after one was refused, or the connection needs a sign-in.
    pub(crate) async fn renew(
        &self,
        connection: &domain::connection::Connection,
    ) -> Result<Credential, crate::outgoing::Error> {
        todo!()
    }
    /// Begins a sign-in; an earlier one of the same connection ends.
    pub async fn authorize(&self, id: ConnectionId) -> Result<Authorize, Error> {
        todo!()
    }
    /// Takes the address on which the browser landed, from the listener or pasted by the user.
    /// Answers with the connection, ready.
    pub async fn complete_sign_in(&self, redirect: &Url) -> Result<ConnectionStatus, Error> {
        todo!()
    }
    /// Whether a browser is out to sign in for this connection.
    pub(crate) fn is_signing_in(&self, id: ConnectionId) -> bool {
        false
    }
    /// Whether a sign-in waits for an answer now.
    pub fn sign_in_waits(&self) -> bool {
        todo!()
    }
}
