//! Sign-ins that wait for a browser or for keys, and what is known of connections that can call.

use std::collections::{BTreeSet, HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use domain::expression::Expression;
use domain::id::ConnectionId;
use domain::json::Json;
use domain::secret::Secret;
use jiff::Timestamp;
use subtle::{Choice, ConstantTimeEq as _};
use tokio::sync::RwLock;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use url::Url;

use super::Error;
use super::credential::Held;

/// How many states of finished sign-ins are known, to tell one that comes again from a stranger's.
const USED: usize = 32;

/// Which attempt to sign in it is; no two are the same.
pub(super) type Attempt = u64;

/// One that waits.
pub(super) struct Waiting {
    /// What is waited for.
    pub(super) for_what: ForWhat,
    /// How long it waits.
    pub(super) until: Instant,
    /// Closes its listener, or ends the asking.
    pub(super) stop: CancellationToken,
    /// Its listener, where it has one of its own; told when the port is free again.
    pub(super) closed: Option<CancellationToken>,
}

/// What is waited for.
pub(super) enum ForWhat {
    /// A browser that comes back.
    Browser(Box<Browser>),
    /// A code that is typed into a page of the provider.
    Device(DeviceCode),
    /// Keys that the provider's server brings.
    Keys(Box<Keys>),
}

/// Keys that the provider's server brings.
pub(super) struct Keys {
    /// What has to come with them.
    pub(super) nonce: Secret,
    /// Where in what comes.
    pub(super) nonce_at: Expression,
    /// Whether what the browser comes back with says no.
    pub(super) denied: Option<Expression>,
    /// The addresses that they are for: those of the settings with which the sign-in began.
    pub(super) begun_for: BTreeSet<String>,
}

/// How a sign-in by keys ended, for whoever comes back from it: the name of the connection, or why
/// it came to nothing.
pub(super) type Ending = Result<String, String>;

/// A sign-in by keys that waits no more, though its browser has not come back yet.
struct Ended {
    nonce: Secret,
    until: Instant,
    /// None as long as the keys are being tried and kept.
    how: Option<Ending>,
}

/// What a browser that comes back from handing keys over finds.
pub(super) enum CameBack {
    /// The keys have not come.
    Waits {
        /// Of which connection.
        id: ConnectionId,
        /// Whether what it comes back with says no.
        denied: Option<Expression>,
    },
    /// The keys have come, and how that ended, where it has.
    Ended(Option<Ending>),
}

/// A browser that comes back.
pub(super) struct Browser {
    /// What the answer has to carry.
    pub(super) state: Secret,
    /// What shows that we began it, where PKCE is spoken.
    pub(super) verifier: Option<Secret>,
    /// Where the browser was told to come back.
    pub(super) redirect: Url,
    /// Who may have issued the answer: where the consent page is, and the token endpoint.
    pub(super) issuers: Vec<url::Origin>,
    /// The addresses that it is for: those of the settings with which the sign-in began.
    pub(super) begun_for: BTreeSet<String>,
}

/// What the user is shown to type in.
#[derive(Debug, Clone)]
pub struct DeviceCode {
    /// The code.
    pub user_code: String,
    /// The page into which it is typed.
    pub verification_url: Url,
    /// Until when it is good.
    pub expires_at: Timestamp,
}

/// All that wait, by connection, and the credentials that calls take turns at.
#[derive(Default)]
pub(crate) struct SignIns {
    waiting: Mutex<State>,
    held: Mutex<HashMap<ConnectionId, Arc<tokio::sync::Mutex<Held>>>>,
    /// Who exchanges what a user consented to, by connection. Whoever deletes it waits for them, and
    /// keeps others from beginning.
    exchanging: Mutex<HashMap<ConnectionId, Arc<RwLock<()>>>>,
    /// What spends a code or a token that is good once: it is not left half-way.
    pub(super) exchanges: TaskTracker,
}

#[derive(Default)]
struct State {
    waiting: HashMap<ConnectionId, (Attempt, Waiting)>,
    attempts: Attempt,
    used: VecDeque<Secret>,
    ended: VecDeque<Ended>,
}

impl State {
    fn browsers(&self) -> impl Iterator<Item = (ConnectionId, &Browser)> {
        self.waiting.iter().filter_map(|(id, (_, waiting))| match &waiting.for_what {
            ForWhat::Browser(browser) => Some((*id, &**browser)),
            ForWhat::Device(_) | ForWhat::Keys(_) => None,
        })
    }

    fn keys(&self) -> impl Iterator<Item = (ConnectionId, &Keys)> {
        self.waiting.iter().filter_map(|(id, (_, waiting))| match &waiting.for_what {
            ForWhat::Keys(keys) => Some((*id, &**keys)),
            ForWhat::Device(_) | ForWhat::Browser(_) => None,
        })
    }

    fn note_ended(&mut self, ended: Ended) {
        if self.ended.len() == USED {
            self.ended.pop_front();
        }
        self.ended.push_back(ended);
    }
}

impl SignIns {
    /// Lets one wait, in place of an earlier one of the same connection.
    pub(super) fn begin(&self, id: ConnectionId, waiting: Waiting) -> Attempt {
        let mut all = self.state();
        all.attempts += 1;
        let attempt = all.attempts;
        if let Some((_, earlier)) = all.waiting.insert(id, (attempt, waiting)) {
            earlier.stop.cancel();
        }
        attempt
    }

    /// Takes the one that an answer belongs to, so that nobody else does. `landed` says whether
    /// the answer came where this one is waited for; where it did not, the sign-in waits on.
    pub(super) fn take(
        &self,
        state: Option<&Secret>,
        landed: impl Fn(&Browser) -> Result<(), Error>,
    ) -> Result<(ConnectionId, Box<Browser>, CancellationToken), Error> {
        let mut all = self.state();
        let any_waits = all.browsers().next().is_some();
        let Some(state) = state else {
            return Err(if any_waits { Error::State } else { Error::NotWaiting });
        };
        // All are compared, in constant time each, so that time tells nothing of any.
        let mut found = None;
        for (id, browser) in all.browsers() {
            if bool::from(same(&browser.state, state)) {
                landed(browser)?;
                found = Some(id);
            }
        }
        let Some(id) = found else {
            let used = all.used.iter().fold(Choice::from(0), |used, it| used | same(it, state));
            let stranger = !bool::from(used) && any_waits;
            return Err(if stranger { Error::State } else { Error::NotWaiting });
        };
        let (_, waiting) = all.waiting.remove(&id).ok_or(Error::NotWaiting)?;
        let ForWhat::Browser(browser) = waiting.for_what else { return Err(Error::NotWaiting) };
        if all.used.len() == USED {
            all.used.pop_front();
        }
        all.used.push_back(browser.state.clone());
        Ok((id, browser, waiting.stop))
    }

    /// What the user of this connection is shown to type in, while it waits for that.
    pub(crate) fn device_code(&self, id: ConnectionId) -> Option<DeviceCode> {
        match &self.state().waiting.get(&id)?.1.for_what {
            ForWhat::Device(code) => Some(code.clone()),
            ForWhat::Browser(_) | ForWhat::Keys(_) => None,
        }
    }

    /// Takes the one that these keys belong to, so that nobody else does; none where they are
    /// anybody's.
    pub(super) fn take_keys(
        &self,
        said: &Json,
        now: Timestamp,
    ) -> Option<(ConnectionId, Box<Keys>, CancellationToken)> {
        let mut all = self.state();
        // All are compared, in constant time each, so that time tells nothing of any.
        let mut found = None;
        for (id, keys) in all.keys() {
            let nonce = keys.nonce_at.text_of(said, now).map(Secret::new);
            if nonce.is_some_and(|nonce| bool::from(same(&keys.nonce, &nonce))) {
                found = Some(id);
            }
        }
        let (_, waiting) = all.waiting.remove(&found?)?;
        let ForWhat::Keys(keys) = waiting.for_what else { return None };
        let (nonce, until) = (keys.nonce.clone(), waiting.until);
        all.note_ended(Ended { nonce, until, how: None });
        Some((found?, keys, waiting.stop))
    }

    /// Says how a sign-in by keys ended, to whoever comes back from it until its time is over.
    pub(super) fn keys_ended(&self, nonce: &Secret, how: Ending) {
        let mut all = self.state();
        if let Some(ended) = all.ended.iter_mut().find(|it| bool::from(same(&it.nonce, nonce))) {
            ended.how = Some(how);
        }
    }

    /// Ends one that waits for keys, since none will come: nothing where it waits no longer.
    pub(super) fn refuse_keys(&self, id: ConnectionId, why: &str) -> bool {
        let waits = self.state().keys().any(|(known, _)| known == id);
        waits && self.end_for(id, why)
    }

    /// Ends whatever of a connection waits, and says `why` to whoever comes back from it: nothing
    /// where none waits.
    pub(super) fn end_for(&self, id: ConnectionId, why: &str) -> bool {
        let mut all = self.state();
        let Some((_, waiting)) = all.waiting.remove(&id) else { return false };
        if let ForWhat::Keys(keys) = waiting.for_what {
            let (nonce, until) = (keys.nonce, waiting.until);
            all.note_ended(Ended { nonce, until, how: Some(Err(why.to_owned())) });
        }
        waiting.stop.cancel();
        true
    }

    /// What a browser finds that comes back with this nonce; none where that is anybody's.
    pub(super) fn came_back(&self, nonce: &Secret) -> Option<CameBack> {
        let all = self.state();
        let mut found = None;
        for (id, keys) in all.keys() {
            if bool::from(same(&keys.nonce, nonce)) {
                found = Some(CameBack::Waits { id, denied: keys.denied.clone() });
            }
        }
        for ended in &all.ended {
            if bool::from(same(&ended.nonce, nonce)) {
                found = Some(CameBack::Ended(ended.how.clone()));
            }
        }
        found
    }

    /// Whether any waits for keys.
    pub(super) fn any_waits_for_keys(&self) -> bool {
        self.state().keys().next().is_some()
    }

    /// Ends the one of a connection, if it waits.
    pub(crate) fn end(&self, id: ConnectionId) {
        if let Some((_, waiting)) = self.state().waiting.remove(&id) {
            waiting.stop.cancel();
        }
    }

    /// Lets this attempt wait no more. Whether the connection is left without one: another may have
    /// taken its place.
    pub(super) fn end_attempt(&self, id: ConnectionId, attempt: Attempt) -> bool {
        let mut all = self.state();
        match all.waiting.get(&id) {
            Some((known, _)) if *known == attempt => all.waiting.remove(&id).is_some(),
            other => other.is_none(),
        }
    }

    /// As [`SignIns::end`], and waits until the port of its listener is free: some providers insist
    /// on one.
    pub(super) async fn end_before_next(&self, id: ConnectionId) {
        let ended = self.state().waiting.remove(&id);
        let Some((_, ended)) = ended else { return };
        ended.stop.cancel();
        if let Some(closed) = ended.closed {
            closed.cancelled().await;
        }
    }

    /// Waits for what spends a code or a token that is good once.
    pub(crate) async fn finish(&self) {
        self.exchanges.close();
        self.exchanges.wait().await;
    }

    /// Whether they are being waited for.
    #[cfg(test)]
    pub(super) fn is_finishing(&self) -> bool {
        self.exchanges.is_closed()
    }

    /// Whether one of this connection waits.
    pub(crate) fn waits(&self, id: ConnectionId) -> bool {
        self.state().waiting.contains_key(&id)
    }

    /// Whether any waits for a browser that comes back through the public address.
    pub(super) fn any_waits_outside(&self) -> bool {
        self.state().browsers().any(|(_, browser)| browser.redirect.scheme() == "https")
    }

    /// What is held for the calls of a connection, for one at a time.
    pub(crate) fn held(&self, id: ConnectionId) -> Arc<tokio::sync::Mutex<Held>> {
        let mut held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(held.entry(id).or_default())
    }

    /// Who exchanges something for a connection: shared by those who do, and whole for whoever wants
    /// none of them.
    pub(crate) fn exchanging(&self, id: ConnectionId) -> Arc<RwLock<()>> {
        let mut all = self.exchanging.lock().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(all.entry(id).or_default())
    }

    /// Forgets the credential of a connection, after those who use it now; tokens that still wait
    /// for the vault are kept.
    pub(crate) async fn forget_credential(&self, id: ConnectionId) {
        self.held(id).lock().await.forget_credential();
    }

    /// Forgets all that is held for a connection, after those who use it now.
    #[cfg(test)]
    pub(crate) async fn forget(&self, id: ConnectionId) {
        self.held(id).lock().await.forget();
    }

    /// Those that still wait; older ones are dropped.
    fn state(&self) -> MutexGuard<'_, State> {
        let mut state = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        let now = Instant::now();
        state.waiting.retain(|_, (_, waiting)| {
            let waits = now < waiting.until;
            if !waits {
                waiting.stop.cancel();
            }
            waits
        });
        state.ended.retain(|ended| now < ended.until);
        state
    }
}

fn same(a: &Secret, b: &Secret) -> Choice {
    a.expose().as_bytes().ct_eq(b.expose().as_bytes())
}

/// Where an answer came.
#[derive(Clone, Copy)]
pub(super) enum At<'a> {
    /// At a listener of ours, on this path.
    Path(&'a str),
    /// At this address, as a person or the system tells it.
    Address(&'a Url),
}

fn is_this_computer(url: &Url) -> bool {
    matches!(url.host_str(), Some("127.0.0.1" | "localhost" | "[::1]"))
}

/// What an address says on which a browser landed.
pub(super) struct Landed {
    pub(super) state: Option<Secret>,
    pub(super) code: Option<Secret>,
    error: Option<String>,
    description: Option<String>,
    parameters: Vec<(String, String)>,
}

impl Landed {
    /// Takes an address apart. A parameter that comes twice counts as it comes first.
    pub(super) fn read(redirect: &Url) -> Self {
        let mut landed =
            Self { state: None, code: None, error: None, description: None, parameters: vec![] };
        for (name, value) in redirect.query_pairs() {
            let secret = || Secret::new(value.clone().into_owned());
            let text = || domain::text::clean(&value, 200);
            match &*name {
                "state" => _ = landed.state.get_or_insert_with(secret),
                "code" => _ = landed.code.get_or_insert_with(secret),
                "error" => _ = landed.error.get_or_insert_with(text),
                "error_description" => _ = landed.description.get_or_insert_with(text),
                _ => landed.parameters.push((name.into_owned(), value.into_owned())),
            }
        }
        landed
    }

    /// Whether this came where `browser` is waited for, from who it may come from. `at` is where it
    /// came: the whole address where a user pasted it, or the path that one of our listeners saw.
    pub(super) fn belongs(&self, at: At<'_>, browser: &Browser) -> Result<(), Error> {
        let redirect = &browser.redirect;
        let there = match at {
            At::Path(path) => path == redirect.path(),
            // A browser shows `localhost` and `127.0.0.1` as it was told; both are this computer.
            At::Address(url) => {
                url.scheme() == redirect.scheme()
                    && url.username().is_empty()
                    && url.password().is_none()
                    && (url.host() == redirect.host()
                        || is_this_computer(url) && is_this_computer(redirect))
                    && url.port_or_known_default() == redirect.port_or_known_default()
                    && url.path() == redirect.path()
            }
        };
        if !there {
            return Err(Error::Redirect(redirect.clone()));
        }
        // RFC 9207. Only its origin can be compared: what follows is the tenant, which many providers
        // fill in with an id where the connector says `common`.
        let is_known = |issuer: &&str| {
            Url::parse(issuer).is_ok_and(|issuer| browser.issuers.contains(&issuer.origin()))
        };
        let issuers = self.parameters.iter().filter(|(name, _)| name == "iss");
        match issuers.map(|(_, issuer)| issuer.as_str()).find(|issuer| !is_known(issuer)) {
            None => Ok(()),
            Some(unknown) => Err(Error::Issuer(domain::text::clean(unknown, 100))),
        }
    }

    /// A further parameter.
    pub(super) fn parameter(&self, name: &str) -> Option<&str> {
        self.parameters.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    /// What was said instead of a code.
    pub(super) fn denied(&self) -> Option<String> {
        let error = self.error.as_deref()?;
        if error == "access_denied" {
            return Some("access was not allowed on its page".into());
        }
        Some(match &self.description {
            Some(description) => {
                format!("its page refused the sign-in: {description} ({error})")
            }
            None => format!("its page refused the sign-in: {error}"),
        })
    }
}
