//! The one client that calls other people's APIs.
//!
//! [`Outgoing::send`] is one request: where it may go is checked before each hop and again for the
//! address that its name leads to; time and size are bounded; what is worth another try is tried
//! again. [`Engine::call`](crate::Engine) is what the other modules use: it knows the connection,
//! attaches its credential and keeps to its budget. Nothing of a query, a header's value or a body
//! reaches a log from here.

mod budget;
mod call;
mod carried;
mod foreign;
mod mail;
mod resolve;
mod socket;
mod trace;

#[cfg(test)]
mod tests;

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use domain::id::ConnectionId;
use domain::reach::{NamedBy, Network, Reach, Refused};
use domain::retry;
use http::{HeaderMap, Method, header};
use jiff::{SignedDuration, Timestamp};
use url::Url;

use self::budget::Budget;
use self::trace::Trace;
use crate::clock::Clock;
use crate::{store, vault};

pub(crate) use self::call::{ApiRequest, Purpose, code, is_dead, is_too_much};
pub(crate) use self::carried::Carried;
pub(crate) use self::foreign::said;
pub use self::mail::{Mail, Sent};
pub(crate) use self::socket::{LARGEST, Socket};
pub(crate) use self::trace::{Carrying, Noted, without};
pub use self::trace::{Exchange, Shown};

/// What one request may take, by a clock that nobody can set.
#[derive(Debug, Clone, Copy)]
struct Bounds {
    /// How long a connection may take to open.
    connect: Duration,
    /// How long nothing may come.
    silence: Duration,
    /// How long it may take from beginning to end.
    whole: Duration,
    /// The largest answer, in bytes, unpacked.
    largest: usize,
}

const BOUNDS: Bounds = Bounds {
    connect: Duration::from_secs(10),
    silence: Duration::from_secs(30),
    whole: Duration::from_secs(120),
    largest: 64 * 1024 * 1024,
};

/// How often a request is tried.
const TRIES: u32 = 4;
/// The longest wait that happens here; a longer one is the caller's, who can say so.
const PATIENCE: SignedDuration = SignedDuration::from_secs(20);
/// How many redirects are followed.
const HOPS: u32 = 5;

/// Why a call was not answered as hoped.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The address is none that this connection may call.
    #[error(transparent)]
    Host(#[from] Refused),
    /// The answer sent us on to an address that this connection may not call.
    #[error("{host} sent us on, and {why}")]
    SentOn {
        /// Who.
        host: String,
        /// What is wrong with the other address.
        why: Refused,
    },
    /// Nobody answered.
    #[error("{host} cannot be reached: {why}")]
    Unreachable {
        /// Who.
        host: String,
        /// What the system said.
        why: String,
    },
    /// The answer took too long.
    #[error("{0} did not answer in time")]
    TimedOut(String),
    /// The answer was larger than it may be.
    #[error("the answer of {0} was too large")]
    TooLarge(String),
    /// The credentials were refused.
    #[error("{0} refused the credentials")]
    Credentials(String),
    /// There are no credentials to call with: the user has to sign in.
    #[error("{0}")]
    SignIn(String),
    /// The settings were changed while it was being called or signed in: what belongs to the old
    /// ones and what belongs to the new ones do not go together.
    #[error("the settings lead to another host by now")]
    Moved,
    /// The budget is used up.
    #[error("{host} allows no more calls until {until}")]
    RateLimited {
        /// Who.
        host: String,
        /// Until when.
        until: Timestamp,
    },
    /// Another status than the connector counts as good.
    #[error("{host} answered {status}{}", if .message.is_empty() { String::new() } else { format!(": {message}") })]
    Status {
        /// Who.
        host: String,
        /// Its status.
        status: u16,
        /// What it said, as far as it is text.
        message: String,
    },
    /// The answer is not what the connector says it is.
    #[error("{host} answered something else than expected: {why}")]
    Answer {
        /// Who.
        host: String,
        /// What is wrong with it.
        why: String,
    },
    /// It is no mail server that can be used, or not in this way.
    #[error("{host} cannot be used as a mail server: {why}")]
    MailServer {
        /// Who.
        host: String,
        /// Why.
        why: String,
    },
    /// A text of the connector cannot be filled in.
    #[error("the connector does not fit: {0}")]
    Connector(String),
    /// The store's fault.
    #[error(transparent)]
    Store(#[from] store::Error),
    /// The vault's fault.
    #[error(transparent)]
    Vault(#[from] vault::Error),
}

impl Error {
    /// The same once more, for whoever asks soon after; none for a fault of our own, which may be
    /// over at once.
    pub(crate) fn again(&self) -> Option<Self> {
        Some(match self {
            Self::Host(why) => Self::Host(why.clone()),
            Self::SentOn { host, why } => Self::SentOn { host: host.clone(), why: why.clone() },
            Self::Unreachable { host, why } => {
                Self::Unreachable { host: host.clone(), why: why.clone() }
            }
            Self::TimedOut(host) => Self::TimedOut(host.clone()),
            Self::TooLarge(host) => Self::TooLarge(host.clone()),
            Self::Credentials(host) => Self::Credentials(host.clone()),
            Self::RateLimited { host, until } => {
                Self::RateLimited { host: host.clone(), until: *until }
            }
            Self::Status { host, status, message } => {
                Self::Status { host: host.clone(), status: *status, message: message.clone() }
            }
            Self::Answer { host, why } => Self::Answer { host: host.clone(), why: why.clone() },
            Self::MailServer { host, why } => {
                Self::MailServer { host: host.clone(), why: why.clone() }
            }
            Self::Moved
            | Self::SignIn(_)
            | Self::Connector(_)
            | Self::Store(_)
            | Self::Vault(_) => return None,
        })
    }
}

/// One request, whole.
#[derive(Clone)]
pub(crate) struct Request {
    pub(crate) method: Method,
    pub(crate) url: Url,
    pub(crate) named_by: NamedBy,
    pub(crate) headers: HeaderMap,
    /// Sent to the first host alone, never to another that a redirect names.
    pub(crate) credential: Carried,
    pub(crate) body: Option<Bytes>,
    /// Whose it is, and what of theirs it carries; none for one that is nobody's.
    pub(crate) carrying: Option<Carrying>,
}

/// What came back, whatever its status.
#[derive(Debug, Clone)]
pub(crate) struct Answer {
    pub(crate) host: String,
    /// Where it came from, after redirects.
    pub(crate) url: Url,
    pub(crate) status: u16,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
    /// How many requests it took.
    pub(crate) requests: u32,
}

/// Why a call is not sent yet, or not again yet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Because {
    /// Its budget is used up: what the connector says, or what the last answer said.
    Budget,
    /// The other side said that it was too much.
    TooMany,
    /// It answered with this status.
    Status(u16),
    /// It could not be reached, or did not answer in time.
    NoAnswer,
}

impl Because {
    fn of(answer: &Result<Answer, Error>, budget: Option<&Budget>) -> Self {
        match answer {
            Ok(answer) if is_over(answer, budget) => Self::TooMany,
            Ok(answer) => Self::Status(answer.status),
            Err(_) => Self::NoAnswer,
        }
    }
}

/// A time in which nothing is sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Pause {
    pub(crate) because: Because,
    pub(crate) until: Timestamp,
}

/// Who wants to know of pauses while a call is under way.
pub(crate) trait Watch: Sync {
    /// A pause begins. What follows it is another pause, or the end of the call.
    fn pauses(&self, pause: Pause);
}

/// Nobody wants to know of pauses.
pub(crate) struct Unwatched;

impl Watch for Unwatched {
    fn pauses(&self, _: Pause) {}
}

/// The handle; cheap to clone.
#[derive(Clone)]
pub struct Outgoing {
    inner: Arc<Inner>,
}

struct Inner {
    clock: Arc<dyn Clock>,
    /// Dials addresses of the public network alone.
    public: reqwest::Client,
    /// Dials private ones too.
    any: reqwest::Client,
    bounds: Bounds,
    budgets: Mutex<HashMap<ConnectionId, Arc<Budget>>>,
    trace: Trace,
}

impl Outgoing {
    /// A client that reads the time from `clock`.
    ///
    /// # Errors
    ///
    /// When TLS cannot be set up.
    pub fn new(clock: Arc<dyn Clock>) -> Result<Self, reqwest::Error> {
        Self::within(clock, &BOUNDS)
    }

    fn within(clock: Arc<dyn Clock>, bounds: &Bounds) -> Result<Self, reqwest::Error> {
        let inner = Inner {
            clock,
            public: client(Network::Public, bounds)?,
            any: client(Network::Any, bounds)?,
            bounds: *bounds,
            budgets: Mutex::default(),
            trace: Trace::default(),
        };
        Ok(Self { inner: Arc::new(inner) })
    }

    /// Forgets what is known of a connection's budget: its settings changed, or it is gone.
    pub(crate) fn forget(&self, id: ConnectionId) {
        self.inner.budgets.lock().unwrap_or_else(PoisonError::into_inner).remove(&id);
    }

    /// What is remembered of requests.
    pub(crate) fn trace(&self) -> &Trace {
        &self.inner.trace
    }

    fn budget<E>(
        &self,
        id: ConnectionId,
        make: impl FnOnce() -> Result<Budget, E>,
    ) -> Result<Arc<Budget>, E> {
        let mut budgets = self.inner.budgets.lock().unwrap_or_else(PoisonError::into_inner);
        Ok(match budgets.entry(id) {
            Entry::Occupied(known) => Arc::clone(known.get()),
            Entry::Vacant(free) => Arc::clone(free.insert(Arc::new(make()?))),
        })
    }

    /// Sends a request, within `reach` and `budget`, and tries again what is worth it.
    ///
    /// # Errors
    ///
    /// When there is no answer. Any status is an answer, except too many requests when the wait
    /// is longer than [`PATIENCE`].
    pub(crate) async fn send(
        &self,
        request: &Request,
        reach: &Reach,
        budget: Option<&Budget>,
    ) -> Result<Answer, Error> {
        self.send_watched(request, reach, budget, &Unwatched).await
    }

    /// As [`Outgoing::send`]; `watcher` is told of each pause before it begins.
    pub(crate) async fn send_watched(
        &self,
        request: &Request,
        reach: &Reach,
        budget: Option<&Budget>,
        watcher: &dyn Watch,
    ) -> Result<Answer, Error> {
        let host = request.url.host_str().unwrap_or_default().to_owned();
        let mut requests = 0;
        let counted = budget.map(|budget| (budget, budget.counted(request)));
        loop {
            let place = match &counted {
                None => None,
                Some((budget, counted)) => {
                    budget.wait(counted, &host, self.inner.clock.now(), watcher).await?
                }
            };
            requests += 1;
            let answer = self.hops(request, reach).await;
            let now = self.inner.clock.now();
            if let (Some((budget, counted)), Ok(answer)) = (&counted, &answer) {
                budget.learn(counted, answer, now);
            }
            // Whoever waits to try again leaves the place to others.
            drop(place);
            let Some(wait) = self.wait_before_retry(request, &answer, budget, requests, now) else {
                return answer.map(|answer| Answer { requests, ..answer });
            };
            if wait > PATIENCE || requests >= TRIES {
                return match answer {
                    Ok(answer) if is_over(&answer, budget) => Err(Error::RateLimited {
                        host,
                        until: now.saturating_add(wait).unwrap_or(now),
                    }),
                    answer => answer.map(|answer| Answer { requests, ..answer }),
                };
            }
            tracing::debug!(%host, requests, wait_ms = wait.as_millis(), "a call is tried again");
            watcher.pauses(Pause {
                because: Because::of(&answer, budget),
                until: now.saturating_add(wait).unwrap_or(now),
            });
            tokio::time::sleep(wait.unsigned_abs()).await;
        }
    }

    /// How long to wait before the request is sent once more; none where its answer stands.
    fn wait_before_retry(
        &self,
        request: &Request,
        answer: &Result<Answer, Error>,
        budget: Option<&Budget>,
        tries: u32,
        now: Timestamp,
    ) -> Option<SignedDuration> {
        let again = retry::backoff(tries, random_share());
        match answer {
            Ok(answer) if is_over(answer, budget) => {
                let asked = budget.and_then(|budget| budget.asked_wait(answer, now));
                // Who says so once more is not believed that it may be at once.
                let least = if tries > 1 { again } else { SignedDuration::ZERO };
                Some(asked.map_or(again, |asked| asked.max(least)))
            }
            // A 500 says nothing of what was done; a read does nothing.
            Ok(answer) if answer.status == 500 => request.method.is_safe().then_some(again),
            Ok(answer) if matches!(answer.status, 502..=504) => {
                let asked = budget.and_then(|budget| budget.asked_wait(answer, now));
                request.method.is_idempotent().then(|| asked.unwrap_or(again))
            }
            Ok(answer) if budget.and_then(|budget| budget.is_worth_a_try(answer)) == Some(true) => {
                Some(again)
            }
            Err(Error::Unreachable { .. } | Error::TimedOut(_)) if tries < TRIES => {
                request.method.is_safe().then_some(again)
            }
            Ok(_) | Err(_) => None,
        }
    }

    /// Sends a request and follows where it is sent on to.
    async fn hops(&self, request: &Request, reach: &Reach) -> Result<Answer, Error> {
        let mut request = request.clone();
        for _ in 0..HOPS {
            let answer = self.once(&request, reach).await?;
            if !matches!(answer.status, 301 | 302 | 303 | 307 | 308) || !request.method.is_safe() {
                return Ok(answer);
            }
            let location = answer.headers.get(header::LOCATION).and_then(|to| to.to_str().ok());
            let Some(next) = location.and_then(|to| request.url.join(to).ok()) else {
                return Ok(answer);
            };
            // The same origin was named before; another is one that only the answer names.
            if next.origin() != request.url.origin() {
                request.credential.clear();
                request.carrying = None;
                request.named_by = NamedBy::Data;
                // Told as what it is, and before anything is sent there.
                reach
                    .check(&next, request.named_by)
                    .map_err(|why| Error::SentOn { host: answer.host.clone(), why })?;
            }
            request.url = next;
        }
        let host = request.url.host_str().unwrap_or_default().to_owned();
        Err(Error::Answer { host, why: format!("it sent us on more than {HOPS} times") })
    }

    async fn once(&self, request: &Request, reach: &Reach) -> Result<Answer, Error> {
        let at = self.inner.clock.now();
        let answer = self.sent(request, reach, at).await;
        self.inner.trace.remember(request, &answer, at).await;
        answer
    }

    async fn sent(&self, request: &Request, reach: &Reach, at: Timestamp) -> Result<Answer, Error> {
        let client = match reach.check(&request.url, request.named_by)? {
            Network::Public => &self.inner.public,
            Network::Any => &self.inner.any,
        };
        let (mut url, mut headers) = (request.url.clone(), request.headers.clone());
        let body = request.body.clone().unwrap_or_default();
        request.credential.put_on(&request.method, &mut url, &mut headers, &body, at)?;
        let mut builder = client.request(request.method.clone(), url);
        builder = builder.headers(headers);
        if let Some(body) = &request.body {
            builder = builder.body(body.clone());
        }

        let host = request.url.host_str().unwrap_or_default().to_owned();
        // Before it is sent: whoever gives it up, or ends us, does not call back what it carries.
        if let Some(carrying) = &request.carrying {
            self.inner.trace.sent(carrying, &request.url, at);
        }
        let sent = builder.send().await;
        // One that found nobody to talk to has taken nothing along.
        if let Some(carrying) = &request.carrying
            && sent.as_ref().is_err_and(reqwest::Error::is_connect)
        {
            self.inner.trace.not_sent(carrying, &request.url, at);
        }
        let mut response = sent.map_err(|error| fault(&host, error))?;
        let (status, headers) = (response.status().as_u16(), response.headers().clone());
        let mut body = BytesMut::new();
        while let Some(part) = response.chunk().await.map_err(|error| fault(&host, error))? {
            if body.len() + part.len() > self.inner.bounds.largest {
                return Err(Error::TooLarge(host));
            }
            body.extend_from_slice(&part);
        }
        let url = request.url.clone();
        Ok(Answer { host, url, status, headers, body: body.freeze(), requests: 1 })
    }
}

fn client(network: Network, bounds: &Bounds) -> Result<reqwest::Client, reqwest::Error> {
    builder(network, bounds).read_timeout(bounds.silence).timeout(bounds.whole).build()
}

/// A client that goes nowhere by itself.
fn builder(network: Network, bounds: &Bounds) -> reqwest::ClientBuilder {
    reqwest::Client::builder()
        .user_agent(concat!("Patchbay/", env!("CARGO_PKG_VERSION")))
        .dns_resolver(Arc::new(resolve::Within(network)))
        .redirect(reqwest::redirect::Policy::none())
        .no_proxy()
        .connect_timeout(bounds.connect)
}

/// Whether an answer says that it was too much.
fn is_over(answer: &Answer, budget: Option<&Budget>) -> bool {
    budget.map_or(answer.status == 429, |budget| budget.is_over(answer))
}

fn fault(host: &str, error: reqwest::Error) -> Error {
    // Its address may hold secrets in its query.
    let error = error.without_url();
    if error.is_timeout() {
        return Error::TimedOut(host.into());
    }
    // The innermost cause is the sentence; what is around it repeats the address.
    let mut cause: &dyn std::error::Error = &error;
    while let Some(inner) = cause.source() {
        cause = inner;
    }
    Error::Unreachable { host: host.into(), why: domain::text::clean(&cause.to_string(), 200) }
}

/// A number from 0 to 1 for jitter.
pub(crate) fn random_share() -> f64 {
    f64::from(u32::from_le_bytes(crate::random())) / f64::from(u32::MAX)
}
