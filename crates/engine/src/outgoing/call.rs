//! Calls for a connection: its address, its credential, its budget.

use std::collections::BTreeSet;
use std::sync::Arc;

use bytes::Bytes;
use domain::connection::Connection;
use domain::connector::{Ask, Connector, Content, Errors, Rendered, Status, render_headers};
use domain::paging::PageRequest;
use domain::reach::{NamedBy, Reach};
use domain::secret::Secrets;
use domain::template::{self, Place, Template};
use http::{HeaderMap, HeaderName, HeaderValue, Method, header};
use serde_json::{Value, json};
use url::Url;

use super::budget::{Budget, heard};
use super::foreign::{LOOKED_AT, SAID, said};
use super::{Answer, Carried, Carrying, Error, Request, Unwatched, Watch};
use crate::sign_in::Credential;
use crate::{Engine, store};

/// Where a call goes.
#[derive(Debug, Clone)]
pub(crate) enum Target {
    /// A path below the connector's `base_url`, encoded, and a query that is not.
    Path { path: String, query: Vec<(String, String)> },
    /// An address that the other side named, whole or relative to `base_url`.
    Url(String),
}

/// A call before its connection is known.
#[derive(Debug, Clone)]
pub(crate) struct ApiRequest {
    pub(crate) method: Method,
    pub(crate) target: Target,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) content: Option<Content>,
}

impl From<Rendered> for ApiRequest {
    fn from(rendered: Rendered) -> Self {
        Self {
            method: rendered.method.as_str().parse().unwrap_or(Method::GET),
            target: Target::Path { path: rendered.path, query: rendered.query },
            headers: rendered.headers,
            content: rendered.content,
        }
    }
}

impl ApiRequest {
    /// The request of a connector, `values` filled in.
    pub(crate) fn from_ask(ask: &Ask, values: &Value) -> Result<Self, template::Error> {
        ask.render(values, &[]).map(Self::from)
    }
}

impl ApiRequest {
    /// A GET of an address that an answer named.
    pub(crate) const fn of_address(url: String) -> Self {
        let target = Target::Url(url);
        Self { method: Method::GET, target, headers: Vec::new(), content: None }
    }

    /// Whether it asks for an answer only where that is another than before. Then 304 is one.
    fn asks_whether_changed(&self) -> bool {
        let asks = ["if-none-match", "if-modified-since"];
        self.headers.iter().any(|(name, _)| asks.contains(&name.as_str()))
    }
}

impl From<PageRequest> for ApiRequest {
    fn from(request: PageRequest) -> Self {
        match request {
            PageRequest::Ask(rendered) => (*rendered).into(),
            PageRequest::Url { url, headers } => {
                Self { method: Method::GET, target: Target::Url(url), headers, content: None }
            }
        }
    }
}

impl From<template::Error> for Error {
    fn from(error: template::Error) -> Self {
        Self::Connector(error.to_string())
    }
}

impl Engine {
    /// Makes a call for a connection, for a purpose that the ledger names. The answer is one that
    /// the connector counts as good.
    ///
    /// A credential that is refused is renewed once, and the call is made again.
    ///
    /// # Errors
    ///
    /// See [`Error`]. Where the credential is refused for good, the connection needs a sign-in.
    pub(crate) async fn call_for(
        &self,
        connection: &Connection,
        request: &ApiRequest,
        purpose: Purpose<'_>,
    ) -> Result<Answer, Error> {
        self.call_watched(connection, request, purpose, &Unwatched).await
    }

    /// As [`Engine::call_for`]; `watcher` is told of each pause before it begins.
    pub(crate) async fn call_watched(
        &self,
        connection: &Connection,
        request: &ApiRequest,
        purpose: Purpose<'_>,
        watcher: &dyn Watch,
    ) -> Result<Answer, Error> {
        let id = &connection.connection.connector;
        let missing = || Error::Connector(format!("there is no connector `{id}`"));
        let connector = self.inner.connectors.get(id).ok_or_else(missing)?;
        self.call_by(connection, &connector, request, purpose, watcher).await
    }

    /// As [`Engine::call_watched`], by the words of `connector`, which need not be those that are
    /// at hand. The credential and the budget are the connection's own.
    pub(crate) async fn call_by(
        &self,
        connection: &Connection,
        connector: &Connector,
        request: &ApiRequest,
        purpose: Purpose<'_>,
        watcher: &dyn Watch,
    ) -> Result<Answer, Error> {
        let mut carried = Vec::new();
        let outcome =
            self.tried(connection, connector, request, purpose, watcher, &mut carried).await;
        match outcome {
            Ok(answer) => Ok(answer),
            Err(error) => {
                let carried: Vec<_> = carried.iter().collect();
                let known = self.secrets_known_to_provider(connection, &carried).await;
                Err(error.without(&known.and(purpose.says)))
            }
        }
    }

    /// Makes a call that a secret of its own lets in: nobody can renew it, and that it is refused
    /// says nothing of the connection.
    ///
    /// # Errors
    ///
    /// [`Error::SignIn`] where it is refused.
    pub(crate) async fn call_by_secret(
        &self,
        connection: &Connection,
        connector: &Connector,
        request: &ApiRequest,
        credential: &Credential,
        purpose: Purpose<'_>,
    ) -> Result<Answer, Error> {
        let errors = &connector.errors;
        let called =
            self.call_with(connection, connector, request, credential, purpose, &Unwatched).await;
        let outcome = match called {
            Ok(answer) if is_dead(errors, &answer) || asks_to_renew(errors, &answer) => {
                Err(Error::SignIn(not_taken(errors, &answer)))
            }
            called => called.and_then(|answer| good(errors, answer)),
        };
        match outcome {
            Ok(answer) => Ok(answer),
            Err(error) => {
                let secrets = self.secrets_known_to_provider(connection, &[credential]).await;
                Err(error.without(&secrets))
            }
        }
    }

    /// Makes a call once, or twice where its credential is renewed. Each credential that it carried
    /// is added to `carried`: an error may say it again.
    async fn tried(
        &self,
        connection: &Connection,
        connector: &Connector,
        request: &ApiRequest,
        purpose: Purpose<'_>,
        watcher: &dyn Watch,
        carried: &mut Vec<Credential>,
    ) -> Result<Answer, Error> {
        let credential = self.credential_for(connection, purpose.proves).await?;
        carried.push(credential.clone());
        let answer =
            self.call_with(connection, connector, request, &credential, purpose, watcher).await?;
        let credential = if is_dead(&connector.errors, &answer) {
            self.over(connection, connector, &credential, &answer, purpose).await?
        } else if asks_to_renew(&connector.errors, &answer) {
            self.renew(connection, &credential, purpose.proves).await?
        } else {
            return good_for(request, &connector.errors, answer);
        };
        carried.push(credential.clone());
        let again =
            self.call_with(connection, connector, request, &credential, purpose, watcher).await?;
        let again = Answer { requests: again.requests + answer.requests, ..again };
        if is_dead(&connector.errors, &again) {
            self.over(connection, connector, &credential, &again, purpose).await?;
            return Err(Error::Credentials(again.host));
        }
        if asks_to_renew(&connector.errors, &again) {
            return self.refused_anew(connection, connector, &credential, again, purpose).await;
        }
        good_for(request, &connector.errors, again)
    }

    /// The sign-in of a connection is over, its provider says of a call that carried `refused`.
    /// Where calls carry another credential by now, that one is the answer.
    async fn over(
        &self,
        connection: &Connection,
        connector: &Connector,
        refused: &Credential,
        answer: &Answer,
        purpose: Purpose<'_>,
    ) -> Result<Credential, Error> {
        let secrets = self.secrets_known_to_provider(connection, &[refused]).await;
        let why = said(&over(&connector.errors, answer), &secrets, SAID);
        if purpose.is_trial {
            return Err(Error::SignIn(why));
        }
        self.end_sign_in(connection, refused, why).await
    }

    /// What was just renewed is refused, too. Where one call shows whether the credentials work,
    /// that one decides: another may need more than this account may do.
    async fn refused_anew(
        &self,
        connection: &Connection,
        connector: &Connector,
        refused: &Credential,
        answer: Answer,
        purpose: Purpose<'_>,
    ) -> Result<Answer, Error> {
        if (connector.check.is_some() && !purpose.is_check) || purpose.is_trial {
            return Err(Error::Credentials(answer.host));
        }
        let why = format!("{} refuses a new token, too.", answer.host);
        self.end_sign_in(connection, refused, why).await?;
        Err(Error::Credentials(answer.host))
    }

    async fn call_with(
        &self,
        connection: &Connection,
        connector: &Connector,
        request: &ApiRequest,
        credential: &Credential,
        purpose: Purpose<'_>,
        watcher: &dyn Watch,
    ) -> Result<Answer, Error> {
        self.refuse_elsewhere(connection, connector, credential)?;
        let values = self.values(connection, connector, &credential.values);
        let base = base_url(connector, &values, credential)?;
        let every = render_headers(&connector.headers, &values)?;
        let carrying = Carrying {
            connection: Some(connection.id),
            secrets: match purpose.says {
                Some(_) => Arc::new(Secrets::clone(&credential.secrets).and(purpose.says)),
                None => Arc::clone(&credential.secrets),
            },
            purpose: purpose.text.into(),
            watched: purpose.is_check || purpose.is_trial,
            brings_secrets: false,
        };
        let request =
            Request { carrying: Some(carrying), ..whole(request, &base, &every, credential)? };
        let budget = self.inner.outgoing.budget(connection.id, || {
            Budget::new(&connector.limit, &connector.errors, &base, &values)
        })?;
        let mut reach = self.reach(connector, &values)?;
        if credential.url.is_some() {
            // The person who pasted the address said who is called.
            reach.hosts.extend(base.host_str().map(str::to_ascii_lowercase));
            reach.typed = true;
        }
        self.inner.outgoing.send_watched(&request, &reach, Some(&budget), watcher).await
    }

    /// Makes a call that is answered with a token, or takes one back: with this credential and
    /// once, whatever comes of it.
    pub(crate) async fn call_for_token(
        &self,
        connection: &Connection,
        connector: &Connector,
        request: &ApiRequest,
        credential: &Credential,
        purpose: &str,
    ) -> Result<Answer, Error> {
        let values = self.values(connection, connector, &credential.values);
        let base = base_url(connector, &values, credential)?;
        let carrying = Carrying {
            connection: Some(connection.id),
            secrets: Arc::clone(&credential.secrets),
            purpose: purpose.into(),
            watched: false,
            brings_secrets: true,
        };
        let every = render_headers(&connector.headers, &values)?;
        let whole = whole(request, &base, &every, credential)?;
        let request = Request { carrying: Some(carrying), ..whole };
        let reach = self.reach_of_tokens(connector, &values, &request.url);
        self.inner.outgoing.send(&request, &reach, None).await
    }

    /// What the connector's texts may speak of, for this connection.
    pub(crate) fn values(
        &self,
        connection: &Connection,
        connector: &Connector,
        token: &Value,
    ) -> Value {
        let given = connection.connection.settings.iter();
        let given = given.map(|(name, value)| (name.clone(), Value::String(value.clone())));
        let settings: serde_json::Map<_, _> =
            connector.unfilled(&connection.connection.way).into_iter().chain(given).collect();
        let mut values = json!({ "settings": settings, "token": token });
        if let Some(sandbox) = self.sandbox_for(connector) {
            values["sandbox"] = json!({ "url": sandbox.as_str().trim_end_matches('/') });
        }
        values
    }

    /// Where a connection of this connector may call.
    pub(crate) fn reach(&self, connector: &Connector, values: &Value) -> Result<Reach, Error> {
        let mut hosts = Vec::new();
        for host in &connector.hosts {
            hosts.push(host.render(Place::Address, values)?.to_ascii_lowercase());
        }
        if let Some(base) = &connector.base_url {
            hosts.extend(host_of(&base.render(Place::Address, values)?));
        }
        hosts.extend(sign_in_addresses(connector).filter_map(|url| {
            // One that speaks of the callback cannot be filled in yet; `hosts` names it.
            url.render(Place::Address, values).ok().and_then(|url| host_of(&url))
        }));
        // A host that is filled in from a setting alone, with no suffix of the provider's, is one
        // that the user typed.
        let typed = connector.base_url.as_ref().is_some_and(|base| is_typed(base.text()));
        Ok(Reach {
            hosts,
            typed,
            sandbox: self.sandbox_for(connector),
            own_ports: self.own_ports(),
        })
    }

    /// The addresses that a connection may call and that may change under it: those that its
    /// settings fill in and, of an own connector, all. What a sign-in said is held to patterns
    /// elsewhere, and the sandbox is ours wherever it listens.
    ///
    /// An address counts with its scheme and port, as it does where an answer sends us on: the same
    /// host without encryption, or at another port, is somebody else.
    pub(crate) fn movable_addresses(
        &self,
        connection: &Connection,
        connector: &Connector,
    ) -> BTreeSet<String> {
        let values = self.values(connection, connector, &json!({}));
        let own = self.inner.connectors.is_own(&connector.id);
        let movable = |url: &&Template| own || url.text().contains("{{");
        let fill = |url: &Template| url.render(Place::Address, &values).ok();
        let hosts = connector.hosts.iter().filter(movable).filter_map(fill);
        let mail = connector.smtp.iter().filter_map(|smtp| {
            let texts = [&smtp.tls, &smtp.host, &smtp.port];
            texts.iter().any(movable).then_some(())?;
            Some(format!("{}://{}:{}", fill(&smtp.tls)?, fill(&smtp.host)?, fill(&smtp.port)?))
        });
        let sandbox = self.sandbox_for(connector).map(|sandbox| sandbox.origin());
        let addresses = connector.base_url.iter().chain(sign_in_addresses(connector));
        let origins = addresses
            .filter(movable)
            .filter_map(fill)
            .filter_map(|address| Some(Url::parse(&address).ok()?.origin()))
            .filter(|origin| Some(origin) != sandbox.as_ref())
            .map(|origin| origin.ascii_serialization());
        let given = own.then(|| leading_parts(connector)).into_iter().flatten();
        let hosts = hosts.chain(mail).map(|address| address.to_ascii_lowercase());
        hosts.chain(origins).chain(given).collect()
    }

    /// Whether a connection may call an address now that its secrets were not given for: its
    /// settings have changed since, or an own connector has.
    pub(crate) fn has_moved(&self, connection: &Connection, connector: &Connector) -> bool {
        let Some(given_to) = &connection.connection.given_to else { return false };
        !is_within(&self.movable_addresses(connection, connector), given_to)
    }

    /// Refuses a credential that was read for other addresses than those that would be called: the
    /// settings have changed since whoever calls has read them, and the secrets with them.
    pub(super) fn refuse_elsewhere(
        &self,
        connection: &Connection,
        connector: &Connector,
        credential: &Credential,
    ) -> Result<(), Error> {
        let Some(given_to) = &credential.given_to else { return Ok(()) };
        if is_within(&self.movable_addresses(connection, connector), given_to) {
            return Ok(());
        }
        Err(Error::Moved)
    }

    /// Notes which addresses the secrets of a connection are for, where an older version noted
    /// hosts alone, or nothing: those of today, unless it has moved to another host already.
    pub(crate) async fn pin(
        &self,
        connection: &mut Connection,
        connector: &Connector,
    ) -> store::Result<()> {
        let given_to = connection.connection.given_to.as_ref();
        let is_pinned = given_to.is_some_and(|given_to| !are_hosts(given_to));
        if is_pinned || connection.secrets.is_none() || self.has_moved(connection, connector) {
            return Ok(());
        }
        let addresses = self.movable_addresses(connection, connector);
        if given_to != Some(&addresses) {
            self.inner.store.set_connection_given_to(connection.id, addresses.clone()).await?;
            connection.connection.given_to = Some(addresses);
        }
        Ok(())
    }

    /// The address of the sandbox, for its own connector and no other.
    fn sandbox_for(&self, connector: &Connector) -> Option<Url> {
        let is_sandbox = connector.status == Status::Sandbox;
        self.sandbox().filter(|_| is_sandbox).map(|sandbox| sandbox.url.clone())
    }
}

/// The addresses of its ways in.
fn sign_in_addresses(connector: &Connector) -> impl Iterator<Item = &Template> {
    connector.auth.iter().flat_map(|way| way.kind.addresses()).map(|(_, url)| url)
}

/// Whether the host of an address is one setting and nothing else.
fn is_typed(base: &str) -> bool {
    let after = base.strip_prefix("https://").or_else(|| base.strip_prefix("http://"));
    let after = after.unwrap_or(base).trim_start();
    let Some(inner) = after.strip_prefix("{{") else { return false };
    let Some((name, rest)) = inner.split_once("}}") else { return false };
    let is_setting = name.trim().strip_prefix("settings.").is_some_and(|name| {
        name.chars().all(|letter| letter.is_ascii_alphanumeric() || letter == '_')
    });
    is_setting && (rest.is_empty() || rest.starts_with(['/', ':']))
}

/// What becomes part of an address once a sign-in has said it, as the connector takes it from there:
/// where it leads is not known before, so the words themselves must stay.
fn leading_parts(connector: &Connector) -> Vec<String> {
    let addresses = connector.hosts.iter().chain(&connector.base_url);
    let mut addresses = addresses.chain(sign_in_addresses(connector));
    if !addresses.any(|address| address.text().contains("token.")) {
        return Vec::new();
    }
    let kept = connector.auth.iter().flat_map(|way| way.kind.keep());
    kept.map(|(name, kept)| {
        let pattern = kept.pattern.as_ref().map_or("", |pattern| pattern.text());
        format!("token.{name} is {} as {pattern}", kept.at.text())
    })
    .collect()
}

/// Whether something that was `given_to` these may go to all of `addresses`. An older version noted
/// hosts alone.
fn is_within(addresses: &BTreeSet<String>, given_to: &BTreeSet<String>) -> bool {
    let hosts = are_hosts(given_to);
    addresses.iter().all(|address| {
        given_to.contains(address)
            || hosts && host_of(address).is_some_and(|host| given_to.contains(&host))
    })
}

/// Whether these say nothing of schemes and ports.
fn are_hosts(given_to: &BTreeSet<String>) -> bool {
    given_to.iter().all(|address| !address.contains("://"))
}

fn host_of(url: &str) -> Option<String> {
    Some(Url::parse(url).ok()?.host_str()?.to_ascii_lowercase())
}

/// The connector's base address for a connection, or the one that is its secret.
pub(super) fn base_url(
    connector: &Connector,
    values: &Value,
    credential: &Credential,
) -> Result<Url, Error> {
    if let Some(url) = &credential.url {
        let unfit = || Error::Connector("its secret address is none".into());
        return Url::parse(url.expose()).map_err(|_| unfit());
    }
    let base = connector.base_url.as_ref();
    let base = base.ok_or_else(|| Error::Connector("it has no `base_url`".into()))?;
    let text = base.render(Place::Address, values)?;
    Url::parse(&text).map_err(|_| Error::Connector(format!("`{text}` is not an address")))
}

fn whole(
    request: &ApiRequest,
    base: &Url,
    every: &[(String, String)],
    credential: &Credential,
) -> Result<Request, Error> {
    let unfit = |text: &str| Error::Connector(format!("`{text}` is not an address"));
    let (url, named_by) = match &request.target {
        Target::Url(url) => {
            let url = base.join(url).map_err(|_| unfit(url))?;
            // Where the connector calls anyway, it was not the answer that named it.
            let known = url.origin() == base.origin();
            (url, if known { NamedBy::Connector } else { NamedBy::Data })
        }
        Target::Path { path, query } => {
            let text = if path.is_empty() {
                base.to_string()
            } else if path.starts_with("https://") || path.starts_with("http://") {
                path.clone()
            } else {
                format!("{}{path}", base.as_str().trim_end_matches('/'))
            };
            let mut url = Url::parse(&text).map_err(|_| unfit(&text))?;
            if !query.is_empty() {
                url.query_pairs_mut().extend_pairs(query);
            }
            (url, NamedBy::Connector)
        }
    };

    let mut headers = HeaderMap::new();
    headers.insert(header::ACCEPT, HeaderValue::from_static("application/json"));
    for (name, value) in every.iter().chain(&request.headers) {
        insert(&mut headers, name, value)?;
    }
    let body = request.content.as_ref().map(|content| match content {
        Content::Json(value) => {
            headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
            Bytes::from(value.to_string())
        }
        Content::Form(fields) => {
            let form = HeaderValue::from_static("application/x-www-form-urlencoded");
            headers.insert(header::CONTENT_TYPE, form);
            let mut form = url::form_urlencoded::Serializer::new(String::new());
            Bytes::from(form.extend_pairs(fields).finish())
        }
        Content::Text(text) => Bytes::from(text.clone()),
    });

    // An address that an answer names is called without, unless it begins as our own: links to
    // files that are stored elsewhere carry what they need.
    let is_own = named_by == NamedBy::Connector;
    // A call that shows who it is in its own words is left alone.
    let own_words =
        request.headers.iter().any(|(name, _)| name.eq_ignore_ascii_case("authorization"));
    let carried =
        if is_own && !own_words { credential.carried.clone() } else { Carried::default() };
    Ok(Request {
        method: request.method.clone(),
        url,
        named_by,
        headers,
        credential: carried,
        body,
        carrying: None,
    })
}

fn insert(headers: &mut HeaderMap, name: &str, value: &str) -> Result<(), Error> {
    let unfit = || Error::Connector(format!("`{name}` is not a header"));
    let header = HeaderName::try_from(name).map_err(|_| unfit())?;
    headers.insert(header, HeaderValue::from_str(value).map_err(|_| unfit())?);
    Ok(())
}

/// What a call is for.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Purpose<'a> {
    text: &'a str,
    says: Option<&'a Secrets>,
    is_check: bool,
    is_trial: bool,
    proves: bool,
}

impl<'a> Purpose<'a> {
    /// In a few words: `sync of orders`.
    pub(crate) fn of(text: &'a str) -> Self {
        Self { text, says: None, is_check: false, is_trial: false, proves: false }
    }

    /// The same, for a request that says these secrets beside its credential.
    pub(crate) fn saying(self, secrets: &'a Secrets) -> Self {
        Self { says: Some(secrets), ..self }
    }

    /// To see whether the credentials work. What it looked like is remembered.
    pub(crate) fn check() -> Self {
        Self { is_check: true, ..Self::of("check") }
    }

    /// As [`Purpose::check`]; where it `proves`, the connection waits for its user, and this is to
    /// see whether it still has to.
    pub(crate) fn check_that(proves: bool) -> Self {
        Self { proves, ..Self::check() }
    }

    /// To see whether a connector is right. What it looked like is remembered, and a connector that
    /// takes an answer for the end of the sign-in does not end it.
    pub(crate) fn trial(text: &'a str) -> Self {
        Self { is_trial: true, ..Self::of(text) }
    }
}

/// Whether an answer says that its token has ended, and may be renewed.
fn asks_to_renew(errors: &Errors, answer: &Answer) -> bool {
    heard(answer, |heard| heard.asks_to_renew(errors))
}

/// Whether an answer says, in the connector's words, that the sign-in is over for good.
pub(crate) fn is_dead(errors: &Errors, answer: &Answer) -> bool {
    heard(answer, |heard| heard.is_dead(errors))
}

/// The code that an answer holds where the connector looks for one.
pub(crate) fn code(errors: &Errors, answer: &Answer) -> Option<String> {
    heard(answer, |heard| heard.code(errors))
}

/// Whether an answer says, in the connector's words, that it was too much.
pub(crate) fn is_too_much(connector: &Connector, answer: &Answer) -> bool {
    heard(answer, |heard| domain::budget::is_over(&connector.limit, &connector.errors, heard))
}

/// As [`good`]; that nothing has changed is an answer to whoever asked that.
fn good_for(request: &ApiRequest, errors: &Errors, answer: Answer) -> Result<Answer, Error> {
    if answer.status == 304 && request.asks_whether_changed() {
        return Ok(answer);
    }
    good(errors, answer)
}

/// Tells an answer that is one from a fault.
fn good(errors: &Errors, answer: Answer) -> Result<Answer, Error> {
    if !heard(&answer, |heard| heard.is_fault(errors)) {
        return Ok(answer);
    }
    if answer.status == 401 {
        return Err(Error::Credentials(answer.host));
    }
    let message = message(errors, &answer);
    Err(Error::Status { host: answer.host, status: answer.status, message })
}

/// What a refusal says; nothing where it says nothing that the connector knows to find.
fn message(errors: &Errors, answer: &Answer) -> String {
    let message = heard(answer, |heard| heard.message(errors)).unwrap_or_default();
    domain::text::clean(&message, LOOKED_AT)
}

/// Why a sign-in is over, as its provider says it.
fn over(errors: &Errors, answer: &Answer) -> String {
    let said = message(errors, answer);
    if said.is_empty() {
        format!("{} says that the sign-in is over.", answer.host)
    } else {
        format!("{} says that the sign-in is over: {said}.", answer.host)
    }
}

/// Why a secret does not let a call in, as its provider says it.
fn not_taken(errors: &Errors, answer: &Answer) -> String {
    let said = message(errors, answer);
    if said.is_empty() {
        format!("{} does not accept its token.", answer.host)
    } else {
        format!("{} does not accept its token: {said}.", answer.host)
    }
}

#[cfg(test)]
mod tests {
    use super::is_typed;

    #[test]
    fn a_host_is_typed_when_it_is_one_setting_and_nothing_else() {
        for typed in [
            "{{ settings.url }}",
            "https://{{ settings.host }}",
            "https://{{settings.host}}/api",
            "http://{{ settings.host }}:8080",
        ] {
            assert!(is_typed(typed), "{typed}");
        }
        for not in [
            "https://api.shop.example",
            "https://{{ settings.shop }}.shop.example/admin",
            "https://{{ settings.a }}{{ settings.b }}",
            "https://{{ token.host }}",
            "https://api.shop.example/{{ settings.shop }}",
        ] {
            assert!(!is_typed(not), "{not}");
        }
    }
}
