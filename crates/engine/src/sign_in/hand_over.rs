//! Signing in by keys that the other side's server brings: the person allows it on a page of the
//! other side, whose server posts the keys to the public address and then sends the browser back.
//!
//! Whoever can reach the public address can post something there. What comes counts when it carries
//! the nonce of a sign-in that waits, once; anything else is answered as a path that is not there.
//! The nonce is known to the person and to the page that was opened, so what comes with it is tried
//! before it is kept: keys of another account's host are refused by the one that they are for, and
//! what was there before stays.

use std::time::Duration;

use bytes::Bytes;
use domain::connection::Connection;
use domain::connector::{Connector, KeyHandOver, Way, WayKind};
use domain::id::ConnectionId;
use domain::json::Json;
use domain::secret::{Secret, Secrets};
use domain::template::Place;
use http::{Method, Response, StatusCode, Uri};
use http_body_util::Full;
use jiff::Timestamp;
use serde_json::{Map, Value, json};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use url::{Url, form_urlencoded};

use super::carry::Carrier;
use super::landing::page;
use super::waiting::{CameBack, ForWhat, Keys, Waiting};
use super::{Authorize, CALLBACK, Error, PATIENCE, way, web_page};
use crate::Engine;
use crate::outgoing::{self, ApiRequest, Purpose};

/// How long the other side may take to say whether the keys are good. It may be able to do one
/// thing at a time alone, and is waiting for our answer just now.
const TRIAL: Duration = Duration::from_secs(5);
/// Most letters of a key.
const LONGEST: usize = 4_096;

impl Engine {
    /// Begins to wait for keys. The address must be one that stays: another may be somebody else's
    /// by the time that the keys are sent to it.
    pub(super) async fn ask_for_keys(
        &self,
        connection: &Connection,
        connector: &Connector,
        hand_over: &KeyHandOver,
    ) -> Result<Authorize, Error> {
        let id = connection.id;
        let base = self.lasting_address().await.map_err(|error| match error {
            Error::NoAddress => Error::NoKeyAddress,
            Error::ChangingAddress(tunnel) => Error::ChangingKeyAddress(tunnel),
            other => other,
        })?;
        let nonce = Secret::new(oauth2::CsrfToken::new_random_len(32).into_secret());
        let callback = Url::parse(&format!("{base}{CALLBACK}")).map_err(|_| Error::NoKeyAddress)?;
        let mut back = callback.clone();
        back.query_pairs_mut().append_pair("state", nonce.expose());

        let mut values = self.values(connection, connector, &json!({}));
        values["callback"] = json!({
            "url": callback.as_str(),
            "return_url": back.as_str(),
            "nonce": nonce.expose(),
        });
        let mut authorize_url = web_page(&hand_over.open, &values)?;
        for (name, text) in &hand_over.params {
            let text = text.render(Place::Text, &values).map_err(outgoing::Error::from)?;
            if !text.is_empty() {
                authorize_url.query_pairs_mut().append_pair(name, &text);
            }
        }

        let keys = Keys {
            nonce,
            nonce_at: hand_over.nonce.clone(),
            denied: hand_over.denied.clone(),
            begun_for: self.movable_addresses(connection, connector),
        };
        let waiting = Waiting {
            for_what: ForWhat::Keys(Box::new(keys)),
            until: Instant::now() + PATIENCE,
            stop: CancellationToken::new(),
            closed: None,
        };
        let none = "No keys came within ten minutes. See whether your public address can be reached \
                    from outside, then sign in again.";
        let expires_at = self.wait_without_listener(id, waiting, none);
        Ok(Authorize { authorize_url, redirect_url: None, user_code: None, expires_at })
    }

    /// Whether a sign-in waits for keys now: whether there is anything to post to [`CALLBACK`].
    pub fn keys_are_awaited(&self) -> bool {
        self.inner.sign_ins.any_waits_for_keys()
    }

    /// Takes what was posted to [`CALLBACK`]. None where it belongs to no sign-in that waits, which
    /// is left alone; otherwise that sign-in has ended, well or not.
    pub async fn take_keys(&self, body: &[u8]) -> Option<Result<(), Error>> {
        let said = Json::parse(body).ok()?;
        let (id, keys, stop) = self.inner.sign_ins.take_keys(&said, self.now())?;
        let engine = self.clone();
        // Whoever posted may go away: the nonce is spent, so what was begun is finished.
        let task = self.inner.sign_ins.exchanges.spawn(async move {
            let _end = stop.drop_guard();
            let outcome = engine.keep_keys(id, &keys, &said).await;
            let how = match &outcome {
                Ok(name) => Ok(name.clone()),
                Err(error) => {
                    engine.sign_in_failed(id, error).await;
                    Err(error.to_string())
                }
            };
            engine.inner.sign_ins.keys_ended(&keys.nonce, how);
            engine.connection_changed();
            outcome.map(|_| ())
        });
        Some(task.await.unwrap_or(Err(Error::Stopped)))
    }

    /// Tries the keys and keeps them. The name of the connection.
    async fn keep_keys(&self, id: ConnectionId, keys: &Keys, said: &Json) -> Result<String, Error> {
        let connection = self.inner.store.connection(id).await?;
        let connector = self.connector_of(&connection)?;
        let way = way(&connector, &connection)?;
        let WayKind::KeyHandOver(hand_over) = way.kind.inner() else {
            return Err(Error::NotNeeded);
        };
        self.refuse_others(&connection, &connector, &keys.begun_for)?;
        let given = given(hand_over, said, self.now())?;
        self.try_keys(&connection, &connector, way, &given).await?;
        self.change_secrets(id, &connector, way, &given, &keys.begun_for).await?;
        self.connection_ready(id).await?;
        let engine = self.clone();
        // After the answer: the other side may be able to do one thing at a time alone.
        self.inner.sign_ins.exchanges.spawn(async move { engine.name_account(id).await });
        Ok(connection.connection.name)
    }

    /// Makes the connection's check with the keys. Only a refusal speaks against them: whoever is
    /// slow or out of order says nothing of them.
    async fn try_keys(
        &self,
        connection: &Connection,
        connector: &Connector,
        way: &Way,
        given: &Secrets,
    ) -> Result<(), Error> {
        let Some(check) = way.check.as_ref().or(connector.check.as_ref()) else { return Ok(()) };
        let mut secrets = match self.has_moved(connection, connector) {
            true => Secrets::new(),
            false => self.secrets_for_change(connection).await?,
        };
        for (name, value) in given.iter().filter_map(|(name, all)| Some((name, all.first()?))) {
            secrets.set(name, value.clone());
        }
        let values = self.values(connection, connector, &json!({}));
        let credential = Carrier { way, secrets: &secrets, values: &values }.credential()?;
        let request = ApiRequest::from_ask(&check.ask, &values).map_err(outgoing::Error::from)?;
        let purpose = Purpose::check();
        let call = self.call_by_secret(connection, connector, &request, &credential, purpose);
        match tokio::time::timeout(TRIAL, call).await {
            Ok(Err(outgoing::Error::SignIn(why))) => {
                Err(Error::Keys(why.trim_end_matches('.').to_owned()))
            }
            _ => Ok(()),
        }
    }

    /// Answers a browser that comes back from handing keys over; none where it comes from nowhere
    /// that we know of.
    pub async fn come_back(&self, method: &Method, uri: &Uri) -> Option<Response<Full<Bytes>>> {
        if method != Method::GET || uri.path() != CALLBACK {
            return None;
        }
        let query = || form_urlencoded::parse(uri.query().unwrap_or_default().as_bytes());
        let nonce = query().find(|(name, _)| name == "state")?;
        let nonce = Secret::new(nonce.1.into_owned());
        let (status, title, text) = match self.inner.sign_ins.came_back(&nonce)? {
            CameBack::Waits { id, denied } => {
                let said: Map<_, _> =
                    query().map(|(name, it)| (name.into_owned(), Value::from(it))).collect();
                let said = Json::from(&Value::Object(said));
                if denied.is_some_and(|denied| denied.holds(&said, self.now())) {
                    self.keys_were_denied(id).await
                } else {
                    (
                        StatusCode::OK,
                        "Not yet",
                        "Patchbay still waits for the keys. You can close this tab, and go back to \
                         Patchbay to see how it stands."
                            .into(),
                    )
                }
            }
            CameBack::Ended(None) => (
                StatusCode::OK,
                "Nearly there",
                "The keys have come, and are being tried. You can close this tab, and go back to \
                 Patchbay to see how it stands."
                    .into(),
            ),
            CameBack::Ended(Some(Ok(name))) => (
                StatusCode::OK,
                "Signed in",
                format!("{name} is connected. You can close this tab."),
            ),
            CameBack::Ended(Some(Err(why))) => not_signed_in(&why),
        };
        Some(page(status, title, &text))
    }

    async fn keys_were_denied(&self, id: ConnectionId) -> (StatusCode, &'static str, String) {
        let denied = Error::Denied("access was not allowed on its page".into());
        let why = denied.to_string();
        if self.inner.sign_ins.refuse_keys(id, &why) {
            self.sign_in_failed(id, &denied).await;
            self.connection_changed();
        }
        not_signed_in(&why)
    }
}

fn not_signed_in(why: &str) -> (StatusCode, &'static str, String) {
    let text = format!("The sign-in failed: {why}. Go back to Patchbay to begin again.");
    (StatusCode::BAD_REQUEST, "Not signed in", text)
}

/// The keys in what was sent.
fn given(hand_over: &KeyHandOver, said: &Json, now: Timestamp) -> Result<Secrets, Error> {
    let mut given = Secrets::new();
    for (name, keep) in &hand_over.secrets {
        let fits = |key: &String| {
            !key.is_empty() && key.len() <= LONGEST && !key.contains(char::is_control)
        };
        let key = keep.take(said, now).filter(fits);
        let key = key.ok_or_else(|| Error::Keys(format!("no `{name}` that fits came")))?;
        given.set(name.as_str(), Secret::new(key));
    }
    Ok(given)
}
