//! Signing in with a short code that is typed into a page of the provider (RFC 8628): asking for
//! the code, and then, again and again, whether it was typed in.

use std::collections::BTreeSet;
use std::time::Duration;

use domain::connection::Connection;
use domain::connector::{Connector, Device};
use domain::id::ConnectionId;
use domain::json::Json;
use domain::secret::Secret;
use domain::template::Place;
use domain::token::parse_answer;
use jiff::{SignedDuration, Timestamp};
use serde_json::json;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use url::Url;

use super::tokens::{Fault, Grant, TokenRequest, address};
use super::waiting::{Attempt, DeviceCode, ForWhat, Waiting};
use super::{Authorize, Begun, Error, TakeError, client_id, way};
use crate::Engine;
use crate::outgoing;

/// How often is asked where the provider does not say.
const EVERY: Duration = Duration::from_secs(5);
/// By how much less often, each time that the provider says that it is asked too often.
const SLOWER: Duration = Duration::from_secs(5);
/// How long a code is good where the provider does not say.
const LIVES: Duration = Duration::from_secs(600);
/// No code is waited for longer than this, whatever the provider says.
const LONGEST: Duration = Duration::from_secs(3_600);

/// A code that was asked for.
struct Asked {
    /// What stands for it when we ask; a secret, where the code itself is none.
    device_code: Secret,
    shown: DeviceCode,
    /// The page with the code filled in, where there is one.
    complete: Option<Url>,
    every: Duration,
    lives: Duration,
}

/// A code that is being waited for.
struct Awaited {
    id: ConnectionId,
    attempt: Attempt,
    device_code: Secret,
    /// The addresses that it is for: those of the settings with which the sign-in began.
    begun_for: BTreeSet<String>,
    until: Instant,
}

impl Engine {
    /// Asks for a code, and begins to wait until it is typed in.
    pub(super) async fn ask_for_device_code(
        &self,
        connection: &Connection,
        connector: &Connector,
        device: &Device,
    ) -> Result<Authorize, Error> {
        let begun_for = self.movable_addresses(connection, connector);
        let asked = self.device_code(connection, connector, device).await?;
        let Asked { device_code, shown, complete, every, lives } = asked;
        let stop = CancellationToken::new();
        let until = Instant::now() + lives;
        let for_what = ForWhat::Device(shown.clone());
        let waiting = Waiting { for_what, until, stop: stop.clone(), closed: None };
        let attempt = self.inner.sign_ins.begin(connection.id, waiting);
        self.connection_changed();
        let id = connection.id;
        self.wait_for_code(Awaited { id, attempt, device_code, begun_for, until }, every, stop);
        Ok(Authorize {
            authorize_url: complete.unwrap_or(shown.verification_url),
            redirect_url: None,
            user_code: Some(shown.user_code),
            expires_at: shown.expires_at,
        })
    }

    async fn device_code(
        &self,
        connection: &Connection,
        connector: &Connector,
        device: &Device,
    ) -> Result<Asked, Error> {
        let values = self.values(connection, connector, &json!({}));
        let url = address(&device.device_url, &values)?;
        let reach = self.reach_of_tokens(connector, &values, &url);
        let secrets = self.secrets_for_change(connection).await?;
        let endpoint = device.endpoint();
        let mut request = TokenRequest::empty();
        request.client(&endpoint, &client_id(&endpoint, connection)?, &secrets);
        if !device.scopes.is_empty() {
            request.push("scope", &device.scopes.join(&device.scope_separator));
        }
        for (name, text) in &device.device_params {
            let text = text.render(Place::Text, &values).map_err(outgoing::Error::from)?;
            if !text.is_empty() {
                request.push(name, &text);
            }
        }
        let request = request.into_request(url, device.token_body, connection, "sign-in");
        let answer = self.inner.outgoing.send(&request, &reach, None).await?;
        let json = parse_answer(&answer.body).unwrap_or_default();
        if let Some(code) = json.get("error").and_then(|error| error.as_text()) {
            let said = json.get("error_description").and_then(|it| it.as_text());
            let said = said.map_or_else(|| code.clone(), |said| format!("{said} ({code})"));
            let said = outgoing::without(&said, &secrets);
            let said = domain::text::clean(&said, 200);
            return Err(Error::Denied(format!("{} refused it: {said}", answer.host)));
        }
        asked(&json, self.now()).ok_or_else(|| {
            let host = answer.host.clone();
            Error::Exchange(if answer.status == 200 {
                outgoing::Error::Answer { host, why: "it brings no code".into() }
            } else {
                outgoing::Error::Status { host, status: answer.status, message: String::new() }
            })
        })
    }

    /// Asks again and again whether the code was typed in, until it was, cannot be any more, or
    /// nobody waits for it.
    fn wait_for_code(&self, awaited: Awaited, every: Duration, stop: CancellationToken) {
        let engine = self.clone();
        tokio::spawn(async move {
            let stopping = engine.inner.stopping.clone();
            let end = tokio::select! {
                () = stop.cancelled() => return,
                () = stopping.cancelled() => return,
                end = engine.ask_until_known(&awaited, every) => end,
            };
            let Awaited { id, attempt, .. } = awaited;
            // One that ended well waits no more already. A newer one goes on, and what became of
            // this one is of no interest beside it.
            if let Err(why) = end
                && engine.inner.sign_ins.end_attempt(id, attempt)
            {
                engine.came_to_nothing(id, why).await;
            }
            engine.connection_changed();
        });
    }

    /// How it ended: a sentence where it did not end well.
    async fn ask_until_known(&self, awaited: &Awaited, mut every: Duration) -> Result<(), String> {
        let Awaited { id, until, .. } = *awaited;
        loop {
            if Instant::now() + every >= until {
                tokio::time::sleep_until(until).await;
                return Err("The code was not typed in in time.".into());
            }
            tokio::time::sleep(every).await;
            match self.ask_once(awaited).await {
                Ok(()) => return Ok(()),
                Err(TakeError::Fault(Fault::Refused { code, said })) => match code.as_str() {
                    "authorization_pending" => {}
                    "slow_down" => every += SLOWER,
                    "access_denied" => {
                        return Err("Access was not allowed on the provider's page.".into());
                    }
                    "expired_token" => return Err("The code was not typed in in time.".into()),
                    _ => return Err(format!("The sign-in failed: {said}.")),
                },
                // What cannot be reached now may be soon; it is asked less often then.
                Err(TakeError::Fault(Fault::Failed(error))) if is_passing(&error) => {
                    tracing::debug!(%id, %error, "a code could not be asked for");
                    every = (every * 2).min(Duration::from_secs(60));
                }
                Err(TakeError::Fault(Fault::Failed(error))) => {
                    return Err(format!("The sign-in failed: {error}."));
                }
                Err(TakeError::Other(error)) => {
                    return Err(format!("The sign-in failed: {error}."));
                }
            }
        }
    }

    async fn ask_once(&self, awaited: &Awaited) -> Result<(), TakeError> {
        let Awaited { id, attempt, .. } = *awaited;
        let connection = self.inner.store.connection(id).await?;
        let connector = self.connector_of(&connection)?;
        let way = way(&connector, &connection)?;
        let begun = Begun { connector: &connector, way, for_what: &awaited.begun_for };
        let grant = Grant::Device(&awaited.device_code);
        // Nobody should be shown a code to type in beside a connection that is ready.
        let kept = || _ = self.inner.sign_ins.end_attempt(id, attempt);
        self.take_grant(id, &begun, &json!({}), grant, kept).await.map(drop)
    }
}

fn is_passing(error: &outgoing::Error) -> bool {
    matches!(
        error,
        outgoing::Error::Unreachable { .. }
            | outgoing::Error::TimedOut(_)
            | outgoing::Error::RateLimited { .. }
            | outgoing::Error::Status { status: 500..=599, .. }
    )
}

/// Reads what was answered; none where something is missing.
fn asked(answer: &Json, now: Timestamp) -> Option<Asked> {
    let text = |name| answer.get(name)?.as_text().filter(|text| !text.is_empty());
    let url = |name| text(name).and_then(|text| page(&text));
    let seconds = |name| {
        let seconds = text(name)?.parse::<f64>().ok()?;
        (seconds > 0.0).then(|| Duration::try_from_secs_f64(seconds).ok())?
    };
    let lives = seconds("expires_in").unwrap_or(LIVES).min(LONGEST);
    let lives_for = SignedDuration::try_from(lives).unwrap_or(SignedDuration::ZERO);
    Some(Asked {
        device_code: Secret::new(text("device_code")?),
        shown: DeviceCode {
            user_code: domain::text::clean(&text("user_code")?, 40),
            // Some write `uri`, and some wrote `url` before there was a standard.
            verification_url: url("verification_uri").or_else(|| url("verification_url"))?,
            expires_at: now.checked_add(lives_for).unwrap_or(Timestamp::MAX),
        },
        complete: url("verification_uri_complete"),
        every: seconds("interval").unwrap_or(EVERY).min(Duration::from_secs(120)),
        lives,
    })
}

/// An address that a browser may be sent to.
fn page(text: &str) -> Option<Url> {
    let url = Url::parse(text).ok()?;
    (matches!(url.scheme(), "http" | "https") && url.host().is_some()).then_some(url)
}
