//! Where tokens come from: a code, a refresh token, an app's own id and secret, a JWT that we sign,
//! or another token goes in, and a token answer comes out.

use std::sync::Arc;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use bytes::Bytes;
use domain::connection::Connection;
use domain::connector::{
    Call, ClientAuth, ClientSecret, Connector, Endpoint, Jwt, Refresh, TokenBody, TokenFacts, Way,
    WayKind,
};
use domain::json::Json;
use domain::reach::{NamedBy, Reach};
use domain::secret::{Secret, Secrets};
use domain::template::Place;
use domain::token::{Tokens, parse_answer};
use http::{HeaderMap, HeaderName, HeaderValue, Method, header};
use jiff::{SignedDuration, Timestamp};
use serde_json::{Map, Value};
use url::Url;
use url::form_urlencoded::byte_serialize;
use zeroize::Zeroizing;

use super::carry::{Carrier, Credential, note_used, with_secrets};
use super::{client_id, jwt};
use crate::Engine;
use crate::outgoing::{self, Answer, ApiRequest, Carried, Carrying, Request};

/// Names of what a sign-in adds to the secrets of a connection.
pub(super) const ACCESS: &str = "access_token";
/// The longest token that is kept: no request could carry a longer one, and each stands in the vault.
const LONGEST_TOKEN: usize = 64 * 1024;
pub(super) const REFRESH: &str = "refresh_token";
/// For how many seconds the access token lives in all.
pub(crate) const LIVES: &str = "access_token_lives";
/// What the connector keeps of the answer, as JSON.
pub(super) const KEPT: &str = "kept";
/// What the connector keeps of the callback, as JSON.
pub(super) const CALLBACK: &str = "callback";
/// Of a token that is exchanged for another: the token, its refresh token, when it ends.
const SUBJECT: &str = "subject_token";
const SUBJECT_REFRESH: &str = "subject_refresh_token";
const SUBJECT_ENDS: &str = "subject_token_ends";

/// What a renewal brings anew.
pub(super) const TOKENS: [&str; 4] = [ACCESS, REFRESH, SUBJECT, SUBJECT_REFRESH];

/// How far a clock may be off before it is worth a word: less is the time that an answer takes.
const CLOCK_OFF: SignedDuration = SignedDuration::from_secs(120);
/// Most characters of what a provider said when it was asked for tokens.
const SAID: usize = 200;

/// What is exchanged for tokens.
#[derive(Clone, Copy)]
pub(super) enum Grant<'a> {
    /// What the browser brought back.
    Code { code: &'a Secret, redirect: &'a Url, verifier: Option<&'a Secret> },
    /// What the last answer brought.
    Refresh(&'a Secret),
    /// The app's id and secret alone.
    Client,
    /// A JWT that we signed.
    Assertion(&'a Secret),
    /// What stands for a code that the user was shown.
    Device(&'a Secret),
}

impl Grant<'_> {
    fn purpose(&self) -> &'static str {
        match self {
            Self::Code { .. } | Self::Device(_) => "sign-in",
            Self::Refresh(_) => "renewal of the sign-in",
            Self::Client | Self::Assertion(_) => "a new token",
        }
    }

    /// Whether somebody consented, so that what is given now is given once.
    fn is_consent(&self) -> bool {
        matches!(self, Self::Code { .. } | Self::Device(_))
    }
}

/// Why there are no tokens.
pub(super) enum Fault {
    /// The provider looked at what we gave it and said no: it will not say yes tomorrow.
    Refused {
        /// Its word for it.
        code: String,
        /// The end of a sentence that tells it.
        said: String,
    },
    /// It could not be asked, or did not answer as it should.
    Failed(outgoing::Error),
}

impl Fault {
    /// Whether the token that was exchanged may be the reason.
    pub(super) const fn may_be_the_token(&self) -> bool {
        match self {
            Self::Refused { .. } => true,
            Self::Failed(error) => matches!(error, outgoing::Error::Status { status: 401, .. }),
        }
    }
}

impl<E: Into<outgoing::Error>> From<E> for Fault {
    fn from(error: E) -> Self {
        Self::Failed(error.into())
    }
}

/// A connection whose way in ends in a token answer, with what belongs to it.
#[derive(Clone, Copy)]
pub(super) struct Asking<'a> {
    pub(super) connection: &'a Connection,
    pub(super) connector: &'a Connector,
    pub(super) way: &'a Way,
    /// The kind that is asked: the way's, or the one inside of it.
    pub(super) kind: &'a WayKind,
    pub(super) secrets: &'a Secrets,
    /// What the callback brought.
    pub(super) callback: &'a Value,
}

/// What came of an exchange.
pub(super) struct Exchanged {
    tokens: Tokens,
    kept: Map<String, Value>,
    rotates: bool,
    refreshes: bool,
    /// Whether it is the token of a kind inside of another.
    is_subject: bool,
    /// When the access token ends.
    pub(super) expires_at: Option<Timestamp>,
    /// When the refresh token ends that calls are renewed by, unless it is used before.
    pub(super) sign_in_ends_at: Option<Timestamp>,
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
        let (access, refresh) =
            if self.is_subject { (SUBJECT, SUBJECT_REFRESH) } else { (ACCESS, REFRESH) };
        secrets.set(access, self.tokens.access.clone());
        match &self.tokens.refresh {
            Some(token) if self.refreshes => secrets.set(refresh, token.clone()),
            // A spent token is of no more use.
            _ if self.rotates => secrets.remove(refresh),
            _ => {}
        }
        if self.is_subject {
            match self.expires_at {
                Some(end) => secrets.set(SUBJECT_ENDS, Secret::new(end.to_string())),
                None => secrets.remove(SUBJECT_ENDS),
            }
            // What it was exchanged for belongs to the old one.
            secrets.remove(ACCESS);
            secrets.remove(REFRESH);
            return secrets;
        }
        match self.tokens.lives {
            Some(lives) => secrets.set(LIVES, Secret::new(lives.as_secs().to_string())),
            None => secrets.remove(LIVES),
        }
        secrets
    }

    /// What is noted beside the secrets: when the token ends that calls carry.
    pub(super) fn noted_end(&self) -> Option<Timestamp> {
        self.expires_at.filter(|_| !self.is_subject)
    }
}

/// The token that is exchanged for another, and its refresh token, where they are there.
pub(super) struct Subject<'a> {
    pub(super) token: Option<&'a Secret>,
    pub(super) refresh: Option<&'a Secret>,
    pub(super) ends: Option<Timestamp>,
}

/// See [`Subject`].
pub(super) fn subject(secrets: &Secrets) -> Subject<'_> {
    Subject {
        token: secrets.get(SUBJECT),
        refresh: secrets.get(SUBJECT_REFRESH),
        ends: secrets.get(SUBJECT_ENDS).and_then(|end| end.expose().parse().ok()),
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
    /// What texts of a way in may speak of, secrets aside.
    pub(super) fn sign_in_values(&self, it: &Asking<'_>) -> Value {
        let kept = Value::Object(read_object(it.secrets, KEPT));
        let mut values = self.values(it.connection, it.connector, &kept);
        values["callback"] = it.callback.clone();
        values
    }

    /// Exchanges a grant for tokens. It is asked once: a grant may be good once.
    pub(super) async fn ask_for_tokens(
        &self,
        it: &Asking<'_>,
        grant: Grant<'_>,
    ) -> Result<Exchanged, Fault> {
        let unfit = || outgoing::Error::Connector("it has no token endpoint".into());
        let endpoint = it.kind.endpoint().ok_or_else(unfit)?;
        let values = self.sign_in_values(it);
        let url = address(endpoint.token_url, &values)?;
        let reach = self.reach_of_tokens(it.connector, &values, &url);
        let asked = TokenRequest::new(it, &endpoint, grant, &values)?;
        let carried = Arc::new(asked.used.clone());
        let request = asked.into_request(url, endpoint.token_body, it.connection, grant.purpose());

        let answer = self.inner.outgoing.send(&request, &reach, None).await?;
        self.read_tokens(it, &answer, &carried, grant.is_consent())
    }

    /// Signs a JWT and gets a token for it.
    pub(super) async fn ask_with_jwt(&self, it: &Asking<'_>) -> Result<Exchanged, Fault> {
        match it.kind {
            WayKind::JwtBearer(way) => {
                let jwt = self.signed(it, &way.jwt)?;
                self.ask_for_tokens(it, Grant::Assertion(&jwt)).await
            }
            WayKind::AppJwtExchange(way) => {
                let jwt = self.signed(it, &way.jwt)?;
                let value = Secret::new(format!("Bearer {}", jwt.expose()));
                let mut used = Secrets::new();
                used.set("assertion", jwt);
                let credential = Credential {
                    carried: Carried::header(header::AUTHORIZATION, value),
                    secrets: Arc::new(used),
                    ..Credential::default()
                };
                self.ask_by_call(it, &way.call, credential, it.secrets).await
            }
            other => {
                let why = format!("`{}` signs nothing", other.name());
                Err(outgoing::Error::Connector(why).into())
            }
        }
    }

    fn signed(&self, it: &Asking<'_>, jwt: &Jwt) -> Result<Secret, Fault> {
        let missing = || outgoing::Error::Connector(format!("`{}` is missing", jwt.key));
        let key = it.secrets.get(&jwt.key).ok_or_else(missing)?;
        Ok(jwt::sign(jwt, key, &self.sign_in_values(it), self.now())?)
    }

    /// Exchanges the token of the kind inside of `it` for another.
    pub(super) async fn ask_for_exchange(
        &self,
        it: &Asking<'_>,
        subject: &Secret,
    ) -> Result<Exchanged, Fault> {
        let WayKind::TokenExchange(way) = it.kind else {
            return Err(outgoing::Error::Connector("it exchanges nothing".into()).into());
        };
        let mut secrets = it.secrets.clone();
        secrets.set("subject", subject.clone());
        // The inner kind says where its token goes.
        let mut inner = it.secrets.clone();
        inner.set(ACCESS, subject.clone());
        let values = self.sign_in_values(it);
        let carrier = Carrier { way: it.way, secrets: &inner, values: &values };
        let credential = carrier.by(&way.from.kind)?;
        self.ask_by_call(it, &way.call, credential, &secrets).await
    }

    /// Makes a call that answers with a token. Its texts may speak of `secrets`.
    async fn ask_by_call(
        &self,
        it: &Asking<'_>,
        call: &Call,
        credential: Credential,
        secrets: &Secrets,
    ) -> Result<Exchanged, Fault> {
        let values = with_secrets(&self.sign_in_values(it), secrets, it.way);
        let request = call.render(&values, &[]).map(ApiRequest::from);
        let request = request.map_err(outgoing::Error::from)?;
        let mut used = (*credential.secrets).clone();
        note_used(&names_in(call), secrets, &mut used);
        let credential = Credential { secrets: Arc::new(used), ..credential };
        let answer = self
            .call_for_token(it.connection, it.connector, &request, &credential, "a new token")
            .await?;
        self.read_tokens(it, &answer, &credential.secrets, false)
    }

    /// Reads an answer as tokens.
    fn read_tokens(
        &self,
        it: &Asking<'_>,
        answer: &Answer,
        carried: &Secrets,
        is_consent: bool,
    ) -> Result<Exchanged, Fault> {
        let now = self.now();
        let unfit = || outgoing::Error::Connector("it has no token answer".into());
        let facts = it.kind.token_facts().ok_or_else(unfit)?;
        let known = carried.clone().and(Some(it.secrets));
        let mask = |text: &str| outgoing::said(text, &known, SAID);
        let is_call = matches!(it.kind, WayKind::AppJwtExchange(_) | WayKind::TokenExchange(_));
        let json = read(it.connector, &facts, answer, now, is_call, mask)?;
        let tokens = Tokens::read(&json, &facts, now).ok_or_else(|| outgoing::Error::Answer {
            host: answer.host.clone(),
            why: "it brings no access token".into(),
        })?;
        let all = [Some(&tokens.access), tokens.refresh.as_ref()];
        if all.into_iter().flatten().any(|token| token.expose().len() > LONGEST_TOKEN) {
            let why = format!("it brings a token of more than {} KiB", LONGEST_TOKEN / 1024);
            return Err(outgoing::Error::Answer { host: answer.host.clone(), why }.into());
        }
        let kept = self::kept(&facts, &json, now).or_else(|name| {
            if is_consent {
                return Err(outgoing::Error::Answer {
                    host: answer.host.clone(),
                    why: format!("its `{name}` does not look as it should"),
                });
            }
            // What was kept before stays, and so do the tokens that were just received.
            Ok(Map::new())
        })?;
        let refresh = it.kind.refresh();
        // A renewal counts as use of a token that lasts; a sign-in without one is renewed by none.
        let lives = it.kind.refresh_lives().filter(|_| tokens.refresh.is_some() || !is_consent);
        Ok(Exchanged {
            kept,
            rotates: refresh == Refresh::Rotating,
            refreshes: matches!(refresh, Refresh::Rotating | Refresh::Reusable),
            is_subject: !std::ptr::eq(it.kind, &it.way.kind),
            expires_at: tokens.lives.and_then(|lives| now.checked_add(lives).ok()),
            sign_in_ends_at: lives.and_then(|lives| now.checked_add(lives.get()).ok()),
            tokens,
        })
    }

    /// A token endpoint is the connector's own text, with values of their shapes: its host may
    /// be called even where others cannot be filled in before there are tokens.
    pub(crate) fn reach_of_tokens(
        &self,
        connector: &Connector,
        values: &Value,
        url: &Url,
    ) -> Reach {
        let mut reach = self
            .reach(connector, values)
            .unwrap_or_else(|_| Reach { own_ports: self.own_ports(), ..Reach::default() });
        reach.hosts.extend(url.host_str().map(str::to_ascii_lowercase));
        reach
    }
}

/// The address that a text of a way in comes to.
pub(super) fn address(
    text: &domain::template::Template,
    values: &Value,
) -> Result<Url, outgoing::Error> {
    let address = text.render(Place::Address, values)?;
    Url::parse(&address)
        .map_err(|_| outgoing::Error::Connector(format!("`{address}` is not an address")))
}

/// The names that the texts of a call speak of.
pub(super) fn names_in(call: &Call) -> Vec<String> {
    call.texts().into_iter().flat_map(|text| text.names()).collect()
}

/// The parts of an answer that the connector keeps; the name of one that is not of its shape.
fn kept(
    facts: &TokenFacts<'_>,
    answer: &Json,
    now: Timestamp,
) -> Result<Map<String, Value>, String> {
    let mut kept = Map::new();
    for (name, keep) in facts.keep {
        let Some(value) = keep.at.text_of(answer, now) else { continue };
        if keep.pattern.as_ref().is_some_and(|pattern| !pattern.matches(&value)) {
            return Err(name.clone());
        }
        kept.insert(name.clone(), Value::String(value));
    }
    Ok(kept)
}

/// A request for tokens, as its parameters.
pub(super) struct TokenRequest {
    parameters: Vec<(String, Zeroizing<String>)>,
    headers: HeaderMap,
    credential: Carried,
    /// What of the vault goes along.
    pub(super) used: Secrets,
}

impl TokenRequest {
    fn new(
        it: &Asking<'_>,
        endpoint: &Endpoint<'_>,
        grant: Grant<'_>,
        values: &Value,
    ) -> Result<Self, outgoing::Error> {
        let mut request = Self::empty();
        request.grant(it.kind, grant);
        if !matches!(it.kind, WayKind::JwtBearer(_)) {
            let id = client_id(endpoint, it.connection)
                .map_err(|error| outgoing::Error::Connector(error.to_string()))?;
            request.client(endpoint, &id, it.secrets);
        }
        let values = with_secrets(values, it.secrets, it.way);
        let mut texts: Vec<_> = endpoint.token_params.iter().collect();
        if let (WayKind::OauthCode(way), Grant::Refresh(_)) = (it.kind, grant) {
            texts.extend(&way.refresh_params);
        }
        for (name, text) in texts {
            note_used(&text.names(), it.secrets, &mut request.used);
            let text = text.render(Place::Text, &values)?;
            if !text.is_empty() {
                request.push(name, &text);
            }
        }
        for (name, text) in endpoint.token_headers {
            note_used(&text.names(), it.secrets, &mut request.used);
            let name = HeaderName::try_from(name.as_str())
                .map_err(|_| outgoing::Error::Connector(format!("`{name}` is not a header")))?;
            let value = Secret::new(text.render(Place::Header, &values)?);
            request.credential.headers.push((name, value));
        }
        Ok(request)
    }

    /// One without parameters.
    pub(super) fn empty() -> Self {
        let mut headers = HeaderMap::new();
        headers.insert(header::ACCEPT, HeaderValue::from_static("application/json"));
        Self {
            parameters: Vec::new(),
            headers,
            credential: Carried::default(),
            used: Secrets::new(),
        }
    }

    /// Adds a parameter.
    pub(super) fn push(&mut self, name: &str, value: &str) {
        self.parameters.push((name.into(), Zeroizing::new(value.into())));
    }

    /// Adds a parameter that is a secret of this name.
    pub(super) fn push_secret(&mut self, name: &str, secret: &Secret) {
        self.used.set(name, secret.clone());
        self.push(name, secret.expose());
    }

    fn grant(&mut self, kind: &WayKind, grant: Grant<'_>) {
        match grant {
            Grant::Code { code, redirect, verifier } => {
                self.push("grant_type", "authorization_code");
                self.push_secret("code", code);
                self.push("redirect_uri", redirect.as_str());
                if let Some(verifier) = verifier {
                    self.push_secret("code_verifier", verifier);
                }
            }
            Grant::Refresh(token) => {
                self.push("grant_type", "refresh_token");
                self.push_secret("refresh_token", token);
            }
            Grant::Client => {
                self.push("grant_type", "client_credentials");
                if let WayKind::ClientCredentials(way) = kind
                    && !way.scopes.is_empty()
                {
                    self.push("scope", &way.scopes.join(&way.scope_separator));
                }
            }
            Grant::Assertion(jwt) => {
                let WayKind::JwtBearer(way) = kind else { return };
                self.push("grant_type", &way.grant_type);
                self.push_secret(&way.assertion_param, jwt);
                if !way.scopes.is_empty() {
                    self.push("scope", &way.scopes.join(" "));
                }
            }
            Grant::Device(code) => {
                let WayKind::Device(way) = kind else { return };
                self.push("grant_type", &way.grant_type);
                self.push_secret("device_code", code);
            }
        }
    }

    /// Shows who asks.
    pub(super) fn client(&mut self, endpoint: &Endpoint<'_>, id: &str, secrets: &Secrets) {
        let secret =
            secrets.get("client_secret").filter(|_| endpoint.secret != ClientSecret::Forbidden);
        if let Some(secret) = secret {
            self.used.set("client_secret", secret.clone());
        }
        match (endpoint.client, secret) {
            (ClientAuth::Basic, Some(secret)) => {
                self.credential.headers.push((header::AUTHORIZATION, basic(id, secret)));
            }
            (ClientAuth::Form | ClientAuth::Basic, secret) => {
                self.push("client_id", id);
                if let Some(secret) = secret {
                    self.push("client_secret", secret.expose());
                }
            }
        }
    }

    /// The request itself.
    pub(super) fn into_request(
        mut self,
        url: Url,
        body: TokenBody,
        connection: &Connection,
        purpose: &str,
    ) -> Request {
        let (kind, body) = match body {
            TokenBody::Form => ("application/x-www-form-urlencoded", form(&self.parameters)),
            TokenBody::Json => ("application/json", json(&self.parameters)),
        };
        self.headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(kind));
        Request {
            method: Method::POST,
            url,
            named_by: NamedBy::Connector,
            headers: self.headers,
            credential: self.credential,
            // Zeroed with the last of whoever sends it.
            body: Some(Bytes::from_owner(body)),
            carrying: Some(Carrying {
                connection: Some(connection.id),
                secrets: Arc::new(self.used),
                purpose: purpose.into(),
                watched: false,
                brings_secrets: true,
            }),
        }
    }
}

fn form(parameters: &[(String, Zeroizing<String>)]) -> Zeroizing<Vec<u8>> {
    let mut form = url::form_urlencoded::Serializer::new(String::with_capacity(8192));
    form.extend_pairs(parameters.iter().map(|(name, value)| (name, value.as_str())));
    Zeroizing::new(form.finish().into_bytes())
}

fn json(parameters: &[(String, Zeroizing<String>)]) -> Zeroizing<Vec<u8>> {
    let members = parameters.iter().map(|(name, value)| (name.as_str(), value.as_str()));
    let members: std::collections::BTreeMap<_, _> = members.collect();
    Zeroizing::new(serde_json::to_vec(&members).unwrap_or_default())
}

/// RFC 6749, 2.3.1: both are form-encoded first.
fn basic(id: &str, secret: &Secret) -> Secret {
    let encode = |text: &str| Zeroizing::new(byte_serialize(text.as_bytes()).collect::<String>());
    let pair = Zeroizing::new(format!("{}:{}", *encode(id), *encode(secret.expose())));
    Secret::new(format!("Basic {}", BASE64_STANDARD.encode(&*pair)))
}

/// Tells tokens from a refusal, and a refusal from a fault. `is_call` where a call of the API was
/// answered, and no token endpoint.
fn read(
    connector: &Connector,
    facts: &TokenFacts<'_>,
    answer: &Answer,
    now: Timestamp,
    is_call: bool,
    mask: impl Fn(&str) -> String,
) -> Result<Json, Fault> {
    let json = parse_answer(&answer.body);
    let text = |name| json.as_ref().and_then(|json: &Json| json.get(name)?.as_text());
    let message = || {
        let own = connector.errors.message.as_ref();
        let own = own.and_then(|at| at.text_of(json.as_ref()?, now));
        text("error_description").or(own).or_else(|| text("message"))
    };
    let refused = |code: &str| {
        let said = match message() {
            Some(description) => format!("{description} ({code})"),
            None => code.to_owned(),
        };
        let said = mask(&said);
        let clock = clock_off(&answer.headers, now).unwrap_or_default();
        let said = format!("{} refused it: {said}{clock}", answer.host);
        Fault::Refused { code: code.into(), said }
    };
    let failed = || {
        let message = message().or_else(|| text("error"));
        Fault::Failed(outgoing::Error::Status {
            host: answer.host.clone(),
            status: answer.status,
            message: message.map_or_else(String::new, |it| mask(&it)),
        })
    };
    if outgoing::is_dead(&connector.errors, answer) {
        let code = text("error").unwrap_or_else(|| format!("status {}", answer.status));
        return Err(refused(&code));
    }
    match answer.status {
        200..=299 => {
            let json_of = json.clone().ok_or_else(|| outgoing::Error::Answer {
                host: answer.host.clone(),
                why: what_it_is(&answer.headers).into(),
            })?;
            let hidden = facts.error_in_200.and_then(|at| at.text_of(&json_of, now));
            match hidden.or_else(|| text("error")) {
                Some(code) if is_passing(&code) => Err(failed()),
                Some(code) => Err(refused(&code)),
                None => Ok(json_of),
            }
        }
        400 | 401 | 403 => match word(connector, answer, json.as_ref()) {
            Some(code) if is_passing(&code) => Err(failed()),
            Some(code) => Err(refused(&code)),
            // A call of the API's own is refused in its own shape.
            None if is_call && answer.status == 401 && message().is_some() => {
                Err(refused("status 401"))
            }
            None => Err(failed()),
        },
        _ => Err(failed()),
    }
}

/// The provider's own word for a refusal: an error of OAuth, or a code where the connector looks for
/// one. A status alone, a web page, or words in JSON may come of anything on the way, for a minute,
/// and end no sign-in.
fn word(connector: &Connector, answer: &Answer, json: Option<&Json>) -> Option<String> {
    if outgoing::is_too_much(connector, answer) {
        return None;
    }
    let text = |name| json?.get(name)?.as_text();
    let described = text("error_description").is_some();
    let oauth = text("error").filter(|error| described || is_code(error));
    oauth.or_else(|| {
        let own = || outgoing::code(&connector.errors, answer);
        // What may not be done is no word about who asks.
        (answer.status != 403).then(own).flatten().filter(|code| is_code(code))
    })
}

/// Whether a text is a code, `invalid_grant` or `BAD_REFRESH_TOKEN`, and no words and no status.
fn is_code(text: &str) -> bool {
    let has = |is: fn(&char) -> bool| text.chars().any(|letter| is(&letter));
    text.chars().all(|letter| letter.is_ascii_alphanumeric() || "_-.".contains(letter))
        && has(char::is_ascii_lowercase) != has(char::is_ascii_uppercase)
}

/// What an answer is that is no token answer.
fn what_it_is(headers: &HeaderMap) -> &'static str {
    let kind = headers.get(header::CONTENT_TYPE).and_then(|kind| kind.to_str().ok());
    match kind {
        Some(kind) if kind.starts_with("text/html") => {
            "it sent a web page, and neither JSON nor a form"
        }
        _ => "it is neither JSON nor a form",
    }
}

/// Says so, where the other side's clock and ours differ: a JWT or a signature of ours looks old or
/// not yet good then.
fn clock_off(headers: &HeaderMap, now: Timestamp) -> Option<String> {
    let theirs = headers.get(header::DATE)?.to_str().ok()?;
    let theirs = jiff::fmt::rfc2822::parse(theirs).ok()?.timestamp();
    let off = now.duration_since(theirs);
    (off.abs() > CLOCK_OFF).then(|| {
        let minutes = off.abs().as_secs() / 60;
        let way = if off.is_positive() { "ahead of" } else { "behind" };
        format!("; the clock of this computer is {minutes} minutes {way} theirs")
    })
}

/// Errors that say nothing about what was given.
fn is_passing(code: &str) -> bool {
    matches!(
        code,
        "temporarily_unavailable"
            | "server_error"
            | "internal_error"
            | "internal_server_error"
            | "fatal_error"
            | "service_unavailable"
            | "request_timeout"
            | "rate_limited"
            | "ratelimited"
    )
}

#[cfg(test)]
mod tests {
    use super::is_code;

    #[test]
    fn a_code_is_told_from_words_and_from_a_status() {
        for code in ["invalid_grant", "BAD_REFRESH_TOKEN", "AUTH-012", "service.not_authorized"] {
            assert!(is_code(code), "{code}");
        }
        for not in ["", "Bad Request", "Unauthorized", "401", "no such route"] {
            assert!(!is_code(not), "{not}");
        }
    }
}
