//! The provider's token endpoint: a code or a refresh token in, tokens out.

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use bytes::Bytes;
use domain::connection::Connection;
use domain::connector::{ClientAuth, ClientSecret, Connector, OauthCode, Refresh};
use domain::json::Json;
use domain::reach::{NamedBy, Reach};
use domain::secret::{Secret, Secrets};
use domain::template::Place;
use domain::token::Tokens;
use http::{HeaderMap, HeaderValue, Method, header};
use jiff::Timestamp;
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::{Map, Value};
use url::Url;
use zeroize::Zeroizing;

use super::client_id;
use crate::Engine;
use crate::outgoing::{self, Answer, Request};

/// Names of what a sign-in adds to the secrets of a connection.
pub(super) const ACCESS: &str = "access_token";
pub(super) const REFRESH: &str = "refresh_token";
/// For how many seconds the access token lives in all.
pub(super) const LIVES: &str = "access_token_lives";
/// What the connector keeps of the answer, as JSON.
pub(super) const KEPT: &str = "kept";
/// What the connector keeps of the callback, as JSON.
pub(super) const CALLBACK: &str = "callback";

/// What is exchanged for tokens.
#[derive(Clone, Copy)]
pub(super) enum Grant<'a> {
    /// What the browser brought back.
    Code { code: &'a Secret, redirect: &'a Url, verifier: Option<&'a Secret> },
    /// What the last answer brought.
    Refresh(&'a Secret),
}

/// Why there are no tokens.
pub(super) enum Fault {
    /// The provider looked at what we gave it and said no: it will not say yes tomorrow.
    Refused(String),
    /// It could not be asked, or did not answer as it should.
    Failed(outgoing::Error),
}

impl<E: Into<outgoing::Error>> From<E> for Fault {
    fn from(error: E) -> Self {
        Self::Failed(error.into())
    }
}

/// What came of an exchange.
pub(super) struct Exchanged {
    tokens: Tokens,
    kept: Map<String, Value>,
    rotates: bool,
    refreshes: bool,
    /// When the access token ends.
    pub(super) expires_at: Option<Timestamp>,
}

impl Exchanged {
    /// The secrets of a connection with the new tokens among them. What this answer does not
    /// bring again stays as it was.
    pub(super) fn bundle(&self, mut secrets: Secrets, callback: &Value) -> Secrets {
        let mut kept = read_object(&secrets, KEPT);
        kept.extend(self.kept.clone());
        set_object(&mut secrets, KEPT, kept);
        if let Value::Object(callback) = callback {
            set_object(&mut secrets, CALLBACK, callback.clone());
        }
        secrets.set(ACCESS, self.tokens.access.clone());
        match &self.tokens.refresh {
            Some(refresh) if self.refreshes => secrets.set(REFRESH, refresh.clone()),
            // A spent token is of no more use.
            _ if self.rotates => secrets.remove(REFRESH),
            _ => {}
        }
        match self.tokens.lives {
            Some(lives) => secrets.set(LIVES, Secret::new(lives.as_secs().to_string())),
            None => secrets.remove(LIVES),
        }
        secrets
    }
}

/// An object among the secrets; empty where there is none.
pub(super) fn read_object(secrets: &Secrets, name: &str) -> Map<String, Value> {
    let text = secrets.get(name);
    text.and_then(|text| serde_json::from_str(text.expose()).ok()).unwrap_or_default()
}

fn set_object(secrets: &mut Secrets, name: &str, object: Map<String, Value>) {
    if object.is_empty() {
        secrets.remove(name);
    } else {
        secrets.set(name, Secret::new(Value::Object(object).to_string()));
    }
}

impl Engine {
    /// Exchanges a grant for tokens. It is asked once: a grant may be good once.
    pub(super) async fn ask_for_tokens(
        &self,
        connection: &Connection,
        connector: &Connector,
        oauth: &OauthCode,
        secrets: &Secrets,
        callback: &Value,
        grant: Grant<'_>,
    ) -> Result<Exchanged, Fault> {
        let kept = Value::Object(read_object(secrets, KEPT));
        let mut values = self.values(connection, connector, &kept);
        values["callback"] = callback.clone();
        let address =
            oauth.token_url.render(Place::Address, &values).map_err(outgoing::Error::from)?;
        let url = Url::parse(&address)
            .map_err(|_| outgoing::Error::Connector(format!("`{address}` is not an address")))?;
        let reach = self.reach_of_tokens(connector, &values, &url);
        let client = Client {
            id: client_id(oauth, connection)
                .map_err(|error| outgoing::Error::Connector(error.to_string()))?,
            secret: secrets
                .get("client_secret")
                .filter(|_| oauth.secret != ClientSecret::Forbidden),
            auth: oauth.client,
        };
        let mut extra = Vec::new();
        for (name, text) in &oauth.token_params {
            let text = text.render(Place::Text, &values).map_err(outgoing::Error::from)?;
            extra.push((name.as_str(), text));
        }
        let request = request(url, &client, grant, &extra);

        let answer = self.inner.outgoing.send(&request, &reach, None).await?;
        let now = self.now();
        let json = read(oauth, &answer, now, |text| without(text, secrets, grant))?;
        let tokens =
            Tokens::read(&json, &oauth.answer(), now).ok_or_else(|| outgoing::Error::Answer {
                host: answer.host.clone(),
                why: "it brings no access token".into(),
            })?;
        let kept = self::kept(oauth, &json, now).or_else(|name| match grant {
            Grant::Code { .. } => Err(outgoing::Error::Answer {
                host: answer.host.clone(),
                why: format!("its `{name}` does not look as it should"),
            }),
            // What was kept before stays, and so do the tokens that were just received.
            Grant::Refresh(_) => Ok(Map::new()),
        })?;
        Ok(Exchanged {
            kept,
            rotates: oauth.refresh == Refresh::Rotating,
            refreshes: oauth.refresh != Refresh::None,
            expires_at: tokens.lives.and_then(|lives| now.checked_add(lives).ok()),
            tokens,
        })
    }

    /// The token endpoint is the connector's own text, with values of their shapes: its host may
    /// be called even where others cannot be filled in before there are tokens.
    fn reach_of_tokens(&self, connector: &Connector, values: &Value, url: &Url) -> Reach {
        let mut reach = self
            .reach(connector, values)
            .unwrap_or_else(|_| Reach { own_ports: self.own_ports(), ..Reach::default() });
        reach.hosts.extend(url.host_str().map(str::to_ascii_lowercase));
        reach
    }
}

/// The parts of an answer that the connector keeps; the name of one that is not of its shape.
fn kept(oauth: &OauthCode, answer: &Json, now: Timestamp) -> Result<Map<String, Value>, String> {
    let mut kept = Map::new();
    for (name, keep) in &oauth.keep {
        let Some(value) = keep.at.text_of(answer, now) else { continue };
        if keep.pattern.as_ref().is_some_and(|pattern| !pattern.matches(&value)) {
            return Err(name.clone());
        }
        kept.insert(name.clone(), Value::String(value));
    }
    Ok(kept)
}

struct Client<'a> {
    id: String,
    secret: Option<&'a Secret>,
    auth: ClientAuth,
}

fn request(url: Url, client: &Client<'_>, grant: Grant<'_>, extra: &[(&str, String)]) -> Request {
    let mut form = url::form_urlencoded::Serializer::new(String::with_capacity(8192));
    match grant {
        Grant::Code { code, redirect, verifier } => {
            form.append_pair("grant_type", "authorization_code");
            form.append_pair("code", code.expose());
            form.append_pair("redirect_uri", redirect.as_str());
            if let Some(verifier) = verifier {
                form.append_pair("code_verifier", verifier.expose());
            }
        }
        Grant::Refresh(token) => {
            form.append_pair("grant_type", "refresh_token");
            form.append_pair("refresh_token", token.expose());
        }
    }
    let mut credential = HeaderMap::new();
    match (client.auth, client.secret) {
        (ClientAuth::Basic, Some(secret)) => {
            credential.insert(header::AUTHORIZATION, basic(&client.id, secret));
        }
        (ClientAuth::Form | ClientAuth::Basic, secret) => {
            form.append_pair("client_id", &client.id);
            if let Some(secret) = secret {
                form.append_pair("client_secret", secret.expose());
            }
        }
    }
    form.extend_pairs(extra);
    let body = Zeroizing::new(form.finish().into_bytes());

    let mut headers = HeaderMap::new();
    headers.insert(header::ACCEPT, HeaderValue::from_static("application/json"));
    let form = HeaderValue::from_static("application/x-www-form-urlencoded");
    headers.insert(header::CONTENT_TYPE, form);
    Request {
        method: Method::POST,
        url,
        named_by: NamedBy::Connector,
        headers,
        credential,
        // Zeroed with the last of whoever sends it.
        body: Some(Bytes::from_owner(body)),
    }
}

/// RFC 6749, 2.3.1: both are form-encoded first.
fn basic(id: &str, secret: &Secret) -> HeaderValue {
    let encode = |text: &str| utf8_percent_encode(text, NON_ALPHANUMERIC).to_string();
    let pair = Zeroizing::new(format!("{}:{}", encode(id), encode(secret.expose())));
    let text = Zeroizing::new(format!("Basic {}", BASE64_STANDARD.encode(&*pair)));
    let mut value = HeaderValue::from_str(&text).unwrap_or(HeaderValue::from_static("Basic"));
    value.set_sensitive(true);
    value
}

/// Tells tokens from a refusal, and a refusal from a fault.
fn read(
    oauth: &OauthCode,
    answer: &Answer,
    now: Timestamp,
    mask: impl Fn(&str) -> String,
) -> Result<Json, Fault> {
    let json = Json::parse(&answer.body).ok();
    let text = |name| json.as_ref().and_then(|json: &Json| json.get(name)?.as_text());
    let refused = |code: &str| {
        let said = match text("error_description") {
            Some(description) => format!("{description} ({code})"),
            None => code.to_owned(),
        };
        let said = domain::text::clean(&mask(&said), 200);
        Fault::Refused(format!("{} refused it: {said}", answer.host))
    };
    let failed = || {
        let message = text("error").map(|error| domain::text::clean(&mask(&error), 200));
        Fault::Failed(outgoing::Error::Status {
            host: answer.host.clone(),
            status: answer.status,
            message: message.unwrap_or_default(),
        })
    };
    match answer.status {
        200..=299 => {
            let json_of = json.clone().ok_or_else(|| outgoing::Error::Answer {
                host: answer.host.clone(),
                why: "it is not JSON".into(),
            })?;
            let hidden = oauth.error_in_200.as_ref().and_then(|at| at.text_of(&json_of, now));
            match hidden.or_else(|| text("error")) {
                Some(code) if is_passing(&code) => Err(failed()),
                Some(code) => Err(refused(&code)),
                None => Ok(json_of),
            }
        }
        400 | 401 | 403 => match text("error") {
            Some(code) if is_passing(&code) => Err(failed()),
            Some(code) => Err(refused(&code)),
            None if answer.status == 403 => Err(failed()),
            None => Err(refused(&format!("status {}", answer.status))),
        },
        _ => Err(failed()),
    }
}

/// Errors that say nothing about what was given.
fn is_passing(code: &str) -> bool {
    matches!(code, "temporarily_unavailable" | "server_error" | "slow_down" | "rate_limited")
}

/// What somebody said, without the secrets that they may have said again.
fn without(text: &str, secrets: &Secrets, grant: Grant<'_>) -> String {
    let granted = match grant {
        Grant::Code { code, verifier, .. } => [Some(code), verifier],
        Grant::Refresh(token) => [Some(token), None],
    };
    let stored = secrets.iter().flat_map(|(_, values)| values);
    let all = stored.chain(granted.into_iter().flatten());
    all.filter(|secret| secret.expose().len() >= 4)
        .fold(text.to_owned(), |text, secret| text.replace(secret.expose(), "[secret]"))
}
