//! Fixtures: what an API answers and sends, recorded beside its connector, and played against it.
//!
//! They are the connector's test: a delivery must be accepted (or refused for the reason that is
//! written down) and say what is expected; pages must be asked for in turn and give their records.
//! A delivery that is accepted is also played changed and without the header of its signature,
//! since a rule that accepts everything would pass otherwise; further forgeries are written beside
//! it as what is different in them.
//!
//! Names of hosts and people in them are made up, and secrets are ones that nobody uses.

mod api;
mod socket;

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

pub use self::api::{AnswerSaid, Answered, Page, Pages, RequestMade, Token, TokenExpected};
pub use self::socket::{Message, NotOpened, Socket};
use crate::connector::{Connector, Webhooks};
use crate::envelope;
use crate::event::{About, Proof};
use crate::handshake::{self, Proved};
use crate::intake::{self, Said};
use crate::refusal::Reason;
use crate::secret::{Secret, Secrets};
use crate::signature::{self, Given, Request, Verified};

/// One recorded file.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "snake_case")]
pub enum Fixture {
    /// A request that a sender made.
    Delivery(Box<Delivery>),
    /// The pages of a stream.
    Pages(Box<Pages>),
    /// What a token endpoint answered.
    Token(Box<Token>),
    /// An answer, and what it says of the budget and of what went wrong.
    Answer(Box<AnswerSaid>),
    /// A request of an action or of the registration.
    Request(Box<RequestMade>),
    /// What came over a socket.
    Socket(Box<Socket>),
}

/// A request that a sender made.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Delivery {
    /// Where it is from: a published vector, a page of the documentation, the output of a library.
    #[serde(default)]
    pub source: Option<String>,
    /// When it came.
    pub at: Timestamp,
    /// The secrets of the inbox: one value, or several with the newest first.
    #[serde(default)]
    pub secrets: BTreeMap<String, OneOrSeveral>,
    /// The settings of the inbox.
    #[serde(default)]
    pub settings: BTreeMap<String, String>,
    /// What stands at addresses: certificates in PEM, sets of keys in JSON.
    #[serde(default)]
    pub certificates: BTreeMap<String, String>,
    /// What certificates must lead to.
    #[serde(default)]
    pub trust_anchor_pem: Option<String>,
    /// The scheme by which it is judged, where not by the first that is there.
    #[serde(default)]
    pub scheme: Option<String>,
    /// The request.
    pub request: Recorded,
    /// What is made of it.
    pub expect: Expect,
    /// What its sender is answered, where it was taken or refused.
    #[serde(default)]
    pub answered: Option<ExpectedAnswer>,
    /// Forgeries of it, each as what is different.
    #[serde(default)]
    pub forged: Vec<Forged>,
}

/// One value, or several.
#[derive(Debug, Clone, Deserialize)]
#[serde(untagged)]
pub enum OneOrSeveral {
    /// One.
    One(String),
    /// Several, the newest first.
    Several(Vec<String>),
}

impl OneOrSeveral {
    /// All of them.
    pub fn values(&self) -> &[String] {
        match self {
            Self::One(value) => std::slice::from_ref(value),
            Self::Several(values) => values,
        }
    }
}

/// A request as *Export request* writes it.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Recorded {
    /// The method.
    pub method: String,
    /// The whole address.
    pub url: String,
    /// Names and values.
    pub headers: Vec<(String, String)>,
    /// The body, where it is text.
    #[serde(default)]
    pub body: String,
    /// The body in base64, where it is not.
    #[serde(default)]
    pub body_base64: Option<String>,
}

/// What is different in a forgery, and why it is refused.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Forged {
    /// When it came.
    #[serde(default)]
    pub at: Option<Timestamp>,
    /// Headers with other values; `null` takes one away.
    #[serde(default)]
    pub headers: BTreeMap<String, Option<String>>,
    /// The whole address.
    #[serde(default)]
    pub url: Option<String>,
    /// The body.
    #[serde(default)]
    pub body: Option<String>,
    /// The reason.
    #[serde(default = "wrong_signature")]
    pub refused: Reason,
}

const fn wrong_signature() -> Reason {
    Reason::WrongSignature
}

/// What is made of a delivery.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "snake_case")]
pub enum Expect {
    /// It is believed, and says this.
    Accepted(Box<Expected>),
    /// It is believed, and holds these events.
    Events(Vec<Expected>),
    /// It is not believed.
    Refused(Reason),
    /// It is a question, and answered like this.
    Handshake(ExpectedAnswer),
}

/// What a delivery says. What is left out is not compared.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Expected {
    /// Why it is believed.
    #[serde(default)]
    pub proof: Option<Proof>,
    /// See [`Said::event_type`].
    #[serde(default, rename = "type")]
    pub event_type: Option<String>,
    /// See [`Said::title`].
    #[serde(default)]
    pub title: Option<String>,
    /// See [`Said::external_id`].
    #[serde(default)]
    pub external_id: Option<String>,
    /// See [`Said::about`].
    #[serde(default)]
    pub about: Option<About>,
    /// See [`Said::occurred_at`].
    #[serde(default)]
    pub occurred_at: Option<Timestamp>,
    /// See [`Said::account`].
    #[serde(default)]
    pub account: Option<String>,
    /// Whether a repeat is recognised.
    #[serde(default)]
    pub repeat_is_recognised: Option<bool>,
}

/// What a question is answered. What is left out is not compared.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ExpectedAnswer {
    /// The status.
    #[serde(default)]
    pub status: Option<u16>,
    /// The body.
    #[serde(default)]
    pub body: Option<String>,
    /// Headers, by name in lower case.
    #[serde(default)]
    pub headers: BTreeMap<String, String>,
}

/// Reads `text` and plays it against `connector`.
///
/// # Errors
///
/// A sentence that says what was expected and what came instead.
pub fn play(connector: &Connector, text: &str) -> Result<(), String> {
    match read(text)? {
        Fixture::Delivery(delivery) => delivery.play(connector),
        Fixture::Pages(pages) => pages.play(connector),
        Fixture::Token(token) => token.play(connector),
        Fixture::Answer(answer) => answer.play(connector),
        Fixture::Request(request) => request.play(connector),
        Fixture::Socket(socket) => socket.play(connector),
    }
}

fn read(text: &str) -> Result<Fixture, String> {
    // One that has two kinds would be told of by its last bracket.
    if let Ok(serde_json::Value::Object(members)) = serde_json::from_str(text) {
        let kinds: Vec<_> = members.keys().map(|name| format!("`{name}`")).collect();
        if kinds.len() > 1 {
            return Err(format!(
                "{} exclude each other: one file is one of them",
                kinds.join(" and ")
            ));
        }
    }
    let fixture: Fixture = serde_json::from_str(text).map_err(|error| placed(&error))?;
    if fixture.source().is_none_or(|source| source.trim().is_empty()) {
        return Err(
            "it needs a `source`, which says where it is from: a published vector, a page \
                    of the documentation, the output of a library; `made …` where it is ours"
                .into(),
        );
    }
    Ok(fixture)
}

/// The place first, as it is told of a connector.
fn placed(error: &serde_json::Error) -> String {
    let text = error.to_string();
    let text = text.rfind(" at line ").map_or(text.as_str(), |end| &text[..end]);
    format!("line {}, column {}: {text}", error.line(), error.column())
}

impl Fixture {
    fn source(&self) -> Option<&str> {
        match self {
            Self::Delivery(it) => it.source.as_deref(),
            Self::Pages(it) => it.source.as_deref(),
            Self::Token(it) => it.source.as_deref(),
            Self::Answer(it) => it.source.as_deref(),
            Self::Request(it) => it.source.as_deref(),
            Self::Socket(it) => it.source.as_deref(),
        }
    }
}

/// Names that were possible, as the end of a sentence.
fn expected<'a>(names: impl IntoIterator<Item = &'a str>) -> String {
    let names: Vec<_> = names.into_iter().map(|name| format!("`{name}`")).collect();
    match &names[..] {
        [] => ": there is none".into(),
        [only] => format!(", expected {only}"),
        names => format!(", expected one of {}", names.join(", ")),
    }
}

/// Whether all names are among those that something reads.
fn known<'a>(
    what: &str,
    given: impl IntoIterator<Item = &'a String>,
    known: &[&str],
) -> Result<(), String> {
    match given.into_iter().find(|name| !known.contains(&name.as_str())) {
        None => Ok(()),
        Some(name) => {
            Err(format!("there is no {what} `{name}`{}", expected(known.iter().copied())))
        }
    }
}

/// Whether the settings among `values` are ones that the connector has, with values that fit.
fn settings_fit(connector: &Connector, values: &serde_json::Value) -> Result<(), String> {
    let ways = connector.auth.iter().flat_map(crate::connector::Way::fields);
    let fields: Vec<_> =
        ways.filter(|field| !field.secret).chain(connector.setting_fields()).collect();
    let names: Vec<_> = fields.iter().map(|field| field.name.as_str()).collect();
    let Some(settings) = values["settings"].as_object() else { return Ok(()) };
    known("setting", settings.keys(), &names)?;
    for field in &fields {
        let Some(value) = settings.get(&field.name).and_then(serde_json::Value::as_str) else {
            continue;
        };
        // What is left out may stand here as an empty text.
        if let Some(problem) = field.field.problem(Some(value)).filter(|_| !value.is_empty()) {
            return Err(format!("the setting `{}` {problem}", field.name));
        }
    }
    Ok(())
}

/// The methods that requests come with.
const METHODS: [&str; 7] = ["GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS"];

impl Delivery {
    /// Whether everything in it is something that is looked at.
    fn fits(&self, webhooks: &Webhooks) -> Result<(), String> {
        known("secret", self.secrets.keys(), &webhooks.known_secrets())?;
        known("setting", self.settings.keys(), &webhooks.known_settings())?;
        let method = &self.request.method;
        if !METHODS.contains(&method.as_str()) {
            return Err(format!("there is no method `{method}`{}", expected(METHODS)));
        }
        let urls = self.forged.iter().filter_map(|forged| forged.url.as_ref());
        let is_whole = |url: &str| {
            url::Url::parse(url).is_ok_and(|url| matches!(url.scheme(), "http" | "https"))
        };
        if let Some(url) = urls.chain([&self.request.url]).find(|url| !is_whole(url)) {
            return Err(format!(
                "`{url}` should be a whole address, such as https://example.com/h"
            ));
        }
        if !self.request.body.is_empty() && self.request.body_base64.is_some() {
            return Err("`body` and `body_base64` exclude each other".into());
        }
        Ok(())
    }

    fn play(&self, connector: &Connector) -> Result<(), String> {
        let webhooks = connector.webhooks.as_ref().ok_or("the connector has no webhooks")?;
        self.fits(webhooks)?;
        let webhooks = &match &self.scheme {
            None => webhooks.clone(),
            Some(name) => {
                let verify = webhooks.verify.only(name);
                let names = || expected(webhooks.verify.names());
                let verify =
                    verify.ok_or_else(|| format!("there is no scheme `{name}`{}", names()))?;
                Webhooks { verify, ..webhooks.clone() }
            }
        };
        let body = self.request.bytes()?;
        let verdict = self.judge(webhooks, &self.request, &body, self.at);
        let found = match (&self.expect, verdict) {
            (Expect::Handshake(expected), verdict) => {
                let proved = if verdict.is_ok() { Proved::Yes } else { Proved::No };
                let answer = self.given(|given| {
                    self.request.with(&body, |request| {
                        handshake::answer(webhooks, request, given, proved, self.at)
                    })
                });
                let answer = answer.ok_or("expected an answer, but it is no handshake")?;
                expected.compare(&answer)?;
                None
            }
            (Expect::Refused(reason), Ok(_)) if self.unreadable(webhooks, &body) => {
                same("the reason", Some(reason), Some(&Reason::Malformed))?;
                None
            }
            (Expect::Refused(reason), verdict) => {
                self.refused_as(*reason, verdict)?;
                let status = webhooks.answer.refused;
                let answer = handshake::Answer { status, ..handshake::Answer::default() };
                return self.answered.as_ref().map_or(Ok(()), |expected| expected.compare(&answer));
            }
            (Expect::Accepted(expected), Ok(verified)) => {
                Some((std::slice::from_ref(&**expected), verified))
            }
            (Expect::Events(expected), Ok(verified)) => Some((expected.as_slice(), verified)),
            (Expect::Accepted(_) | Expect::Events(_), Err(error)) => {
                return Err(format!("expected it to be accepted, but {error}"));
            }
        };
        if let (Some(expected), Expect::Accepted(_) | Expect::Events(_)) =
            (&self.answered, &self.expect)
        {
            expected.compare(&self.taken(webhooks, &body)?)?;
        }
        if let Some((expected, verified)) = found {
            self.play_forged(webhooks, &body, &verified)?;
            let said = self.said(webhooks, &body)?;
            same("the number of events", Some(&expected.len()), Some(&said.len()))?;
            for (expected, said) in expected.iter().zip(&said) {
                expected.compare(said, verified.proof)?;
            }
        }
        self.forged.iter().try_for_each(|forged| self.play_written(webhooks, forged))
    }

    fn said(&self, webhooks: &Webhooks, body: &[u8]) -> Result<Vec<Said>, String> {
        self.request.with(body, |request| {
            let items = envelope::open(&webhooks.envelope, request, self.at)
                .map_err(|error| error.to_string())?;
            Ok(items.iter().map(|item| intake::read(webhooks, request, item, self.at)).collect())
        })
    }

    /// Whether it breaks the rules of its own format.
    fn unreadable(&self, webhooks: &Webhooks, body: &[u8]) -> bool {
        let open =
            |request: &Request<'_>| envelope::open(&webhooks.envelope, request, self.at).is_err();
        self.request.with(body, open)
    }

    fn taken(&self, webhooks: &Webhooks, body: &[u8]) -> Result<handshake::Answer, String> {
        self.request.with(body, |request| {
            let items = envelope::open(&webhooks.envelope, request, self.at)
                .map_err(|error| error.to_string())?;
            let first = items.first().map(|item| &item.event);
            Ok(handshake::taken(webhooks, request, first, &self.settings, self.at))
        })
    }

    fn judge(
        &self,
        webhooks: &Webhooks,
        request: &Recorded,
        body: &[u8],
        at: Timestamp,
    ) -> Result<Verified, signature::Error> {
        self.given(|given| {
            request.with(body, |request| signature::verify(&webhooks.verify, request, given, at))
        })
    }

    fn given<T>(&self, f: impl FnOnce(&Given<'_>) -> T) -> T {
        let mut secrets = Secrets::new();
        for (name, values) in &self.secrets {
            for value in values.values() {
                secrets.add(name, Secret::new(value.clone()));
            }
        }
        f(&Given {
            secrets: &secrets,
            settings: &self.settings,
            documents: &self.certificates,
            trust_anchor: self.trust_anchor_pem.as_deref(),
        })
    }

    fn refused_as(
        &self,
        reason: Reason,
        verdict: Result<Verified, signature::Error>,
    ) -> Result<(), String> {
        match verdict {
            Err(error) if error.reason() == reason => Ok(()),
            verdict => {
                let reason = told(Some(&reason));
                let found = verdict.map_or_else(
                    |error| format!("{error}: {}", told(Some(&error.reason()))),
                    |_| "it was accepted".to_owned(),
                );
                Err(format!("expected it to be refused as {reason}, but {found}"))
            }
        }
    }

    /// The same with another body, where it is signed, and without its signature.
    fn play_forged(
        &self,
        webhooks: &Webhooks,
        body: &[u8],
        verified: &Verified,
    ) -> Result<(), String> {
        if verified.covers_body {
            let changed = [body, b" "].concat();
            if self.judge(webhooks, &self.request, &changed, self.at).is_ok() {
                return Err("it is accepted with another body, too".into());
            }
        }
        let mut unsigned = self.request.clone();
        let mut carrier = verified.detail.header.clone();
        // Of several headers that carry one, each has to go.
        while let Some(header) = carrier {
            unsigned.headers.retain(|(name, _)| !name.eq_ignore_ascii_case(&header));
            match self.judge(webhooks, &unsigned, body, self.at) {
                Ok(verified) if verified.proof == Proof::Verified => {
                    carrier = verified.detail.header.filter(|other| *other != header);
                    if carrier.is_none() {
                        return Err(format!("it is accepted without `{header}`, too"));
                    }
                }
                _ => return Ok(()),
            }
        }
        Ok(())
    }

    fn play_written(&self, webhooks: &Webhooks, forged: &Forged) -> Result<(), String> {
        let mut request = self.request.clone();
        for (name, value) in &forged.headers {
            request.headers.retain(|(other, _)| !other.eq_ignore_ascii_case(name));
            request.headers.extend(value.iter().map(|value| (name.clone(), value.clone())));
        }
        if let Some(url) = &forged.url {
            request.url.clone_from(url);
        }
        if let Some(body) = &forged.body {
            request.body.clone_from(body);
            request.body_base64 = None;
        }
        let body = request.bytes()?;
        let verdict = self.judge(webhooks, &request, &body, forged.at.unwrap_or(self.at));
        self.refused_as(forged.refused, verdict).map_err(|problem| format!("forged: {problem}"))
    }
}

impl Recorded {
    fn bytes(&self) -> Result<Vec<u8>, String> {
        match &self.body_base64 {
            None => Ok(self.body.clone().into_bytes()),
            Some(text) => STANDARD.decode(text).map_err(|error| error.to_string()),
        }
    }

    fn with<T>(&self, body: &[u8], f: impl FnOnce(&Request<'_>) -> T) -> T {
        let names: Vec<_> =
            self.headers.iter().map(|(name, _)| name.to_ascii_lowercase()).collect();
        let headers: Vec<_> = names
            .iter()
            .zip(&self.headers)
            .map(|(name, (_, value))| (name.as_str(), value.as_bytes()))
            .collect();
        let query = self.url.split('#').next().and_then(|url| url.split_once('?'));
        f(&Request {
            method: &self.method,
            url: &self.url,
            query: query.map(|(_, query)| query),
            headers: &headers,
            body,
        })
    }
}

impl ExpectedAnswer {
    fn compare(&self, answer: &handshake::Answer) -> Result<(), String> {
        same("status", self.status.as_ref(), Some(&answer.status))?;
        same("body", self.body.as_ref(), Some(&answer.body))?;
        self.headers.iter().try_for_each(|(name, value)| {
            let found = answer.headers.iter().find(|(other, _)| other == name);
            same(name, Some(value), found.map(|(_, value)| value))
        })
    }
}

impl Expected {
    fn compare(&self, said: &Said, proof: Proof) -> Result<(), String> {
        same("proof", self.proof.as_ref(), Some(&proof))?;
        same("type", self.event_type.as_ref(), Some(&said.event_type))?;
        same("title", self.title.as_ref(), Some(&said.title))?;
        same("external_id", self.external_id.as_ref(), said.external_id.as_ref())?;
        same("about", self.about.as_ref(), said.about.as_ref())?;
        same("occurred_at", self.occurred_at.as_ref(), said.occurred_at.as_ref())?;
        same("account", self.account.as_ref(), said.account.as_ref())?;
        let recognised = said.key.is_some();
        same("repeat_is_recognised", self.repeat_is_recognised.as_ref(), Some(&recognised))
    }
}

/// A value in the words of the format: as it stands in a fixture.
fn told<T: Serialize>(value: Option<&T>) -> String {
    let text = value.and_then(|value| serde_json::to_string(value).ok());
    text.filter(|text| text != "null").unwrap_or_else(|| "nothing".into())
}

fn same<T: PartialEq + Serialize>(
    what: &str,
    expected: Option<&T>,
    found: Option<&T>,
) -> Result<(), String> {
    match expected {
        Some(_) if expected != found => {
            Err(format!("expected {what} to be {}, but it is {}", told(expected), told(found)))
        }
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const ACME: &str = "format: 1\nid: acme\nname: Acme\nstatus: documented\nwebhooks:\n  \
        verify: { token_equal: { at: { header: x-token } } }\n  \
        envelope: cloudevents\n  type: .type\n  \
        answer: { status: 202, refused: 403, body: taken, content_type: text/plain, \
        or: [{ when: '.type == \"ask\"', json: { ok: true } }] }\n";
    const KIND: &str = "application/cloudevents+json";

    fn check(body: &serde_json::Value, expect: &serde_json::Value) -> Result<(), String> {
        let connector = crate::connector::load("acme/connector.yaml", ACME, &|_| None).unwrap();
        let body = body.to_string();
        let mut delivery = json!({
            "source": "made",
            "at": "2026-11-25T10:00:00Z",
            "secrets": { "signing_secret": "sec" },
            "request": {
                "method": "POST", "url": "https://example.com/h", "body": body,
                "headers": [["content-type", KIND], ["x-token", "sec"]],
            },
        });
        for (name, value) in expect.as_object().unwrap() {
            delivery[name] = value.clone();
        }
        play(&connector, &json!({ "delivery": delivery }).to_string())
    }

    fn event(of: &str) -> serde_json::Value {
        json!({ "specversion": "1.0", "id": "1", "source": "s", "type": of })
    }

    #[test]
    fn what_is_wrong_is_told_in_words_of_the_format() {
        let good = json!({ "expect": { "accepted": {} } });
        let with = |change: serde_json::Value| {
            let mut expect = good.clone();
            expect.as_object_mut().unwrap().extend(change.as_object().unwrap().clone());
            check(&event("told"), &expect).err().unwrap_or_else(|| "good".into())
        };
        let request = |change: serde_json::Value| {
            let mut request = json!({
                "method": "POST", "url": "https://example.com/h", "body": event("told").to_string(),
                "headers": [["content-type", KIND], ["x-token", "sec"]],
            });
            request.as_object_mut().unwrap().extend(change.as_object().unwrap().clone());
            with(json!({ "request": request }))
        };

        assert_eq!(with(json!({})), "good");
        assert_eq!(request(json!({})), "good");
        for (said, expected) in [
            (with(json!({ "source": null })), "it needs a `source`"),
            (with(json!({ "source": " " })), "it needs a `source`"),
            (
                with(json!({ "settings": { "nosuch": "x" } })),
                "there is no setting `nosuch`, expected one of `public_key`, `public_url`",
            ),
            (
                with(json!({ "secrets": { "secret": "sec" } })),
                "there is no secret `secret`, expected one of `public_key`, `signing_secret`",
            ),
            (with(json!({ "scheme": "two" })), "there is no scheme `two`, expected `token_equal`"),
            (
                with(json!({ "expect": { "accepted": { "type": "y" } } })),
                "expected type to be \"y\", but it is \"told\"",
            ),
            (
                with(json!({ "expect": { "accepted": { "proof": "unsigned" } } })),
                "expected proof to be \"unsigned\", but it is \"verified\"",
            ),
            (
                with(json!({ "forged": [{}] })),
                "forged: expected it to be refused as \"wrong_signature\", but it was accepted",
            ),
            (request(json!({ "method": "PSOT" })), "no method `PSOT`, expected one of `GET`"),
            (request(json!({ "url": "/x" })), "`/x` should be a whole address"),
            (request(json!({ "body_base64": "eA==" })), "exclude each other"),
        ] {
            assert!(said.contains(expected), "{said}");
        }
    }

    #[test]
    fn one_file_is_one_fixture() {
        let connector = crate::connector::load("acme/connector.yaml", ACME, &|_| None).unwrap();
        let says = |text: &str| play(&connector, text).unwrap_err();

        assert_eq!(
            says(r#"{"delivery": {}, "pages": {}}"#),
            "`delivery` and `pages` exclude each other: one file is one of them"
        );
        let unknown = says("{\n  \"delivry\": {} }");
        assert!(
            unknown.starts_with(
                "line 2, column 11: unknown variant `delivry`, expected one of `delivery`"
            ),
            "{unknown}"
        );
        assert!(says("{\"delivery\": {").starts_with("line 1, column "));
    }

    #[test]
    fn what_a_sender_is_answered_is_compared() {
        let accepted = |of: &str, answered: serde_json::Value| {
            check(&event(of), &json!({ "expect": { "accepted": {} }, "answered": answered }))
        };

        let plain =
            json!({ "status": 202, "body": "taken", "headers": { "content-type": "text/plain" } });
        assert_eq!(accepted("told", plain), Ok(()));
        let json =
            json!({ "body": "{\"ok\":true}", "headers": { "content-type": "application/json" } });
        assert_eq!(accepted("ask", json), Ok(()));
        assert!(accepted("told", json!({ "status": 200 })).unwrap_err().contains("status"));
        assert!(accepted("ask", json!({ "body": "taken" })).unwrap_err().contains("body"));
    }

    #[test]
    fn what_breaks_the_rules_of_its_format_is_refused_as_malformed() {
        let mut unfit = event("told");
        unfit["specversion"] = json!("2.0");
        let refused = |body: &serde_json::Value, reason: &str| {
            check(body, &json!({ "expect": { "refused": reason } }))
        };

        assert_eq!(refused(&unfit, "malformed"), Ok(()));
        assert!(refused(&unfit, "wrong_signature").is_err());
        assert!(refused(&event("told"), "malformed").is_err());
        assert!(check(&unfit, &json!({ "expect": { "accepted": {} } })).is_err());
    }

    #[test]
    fn a_refusal_is_answered_with_its_status() {
        let refused = |status: u16| {
            check(
                &event("told"),
                &json!({
                    "secrets": { "signing_secret": "other" },
                    "expect": { "refused": "wrong_signature" },
                    "answered": { "status": status },
                }),
            )
        };

        assert_eq!(refused(403), Ok(()));
        assert!(refused(401).is_err());
    }
}
