//! Sign-ins that wait for a browser, and what is known of connections that can call.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use domain::id::ConnectionId;
use domain::secret::Secret;
use subtle::{Choice, ConstantTimeEq as _};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use url::Url;

use super::Error;
use super::credential::Held;

/// How many states of finished sign-ins are known, to tell one that comes again from a stranger's.
const USED: usize = 32;
/// One that waits.
pub(super) struct Waiting {
    /// What the answer has to carry.
    pub(super) state: Secret,
    /// What shows that we began it, where PKCE is spoken.
    pub(super) verifier: Option<Secret>,
    /// Where the browser was told to come back.
    pub(super) redirect: Url,
    /// How long it waits.
    pub(super) until: Instant,
    /// Closes its listener.
    pub(super) stop: CancellationToken,
}

/// All that wait, by connection, and the credentials that calls take turns at.
#[derive(Default)]
pub(crate) struct SignIns {
    waiting: Mutex<State>,
    held: Mutex<HashMap<ConnectionId, Arc<tokio::sync::Mutex<Held>>>>,
}

#[derive(Default)]
struct State {
    waiting: HashMap<ConnectionId, Waiting>,
    used: VecDeque<Secret>,
}

impl SignIns {
    /// Lets one wait, in place of an earlier one of the same connection.
    pub(super) fn begin(&self, id: ConnectionId, waiting: Waiting) {
        if let Some(earlier) = self.state().waiting.insert(id, waiting) {
            earlier.stop.cancel();
        }
    }

    /// Takes the one that an answer belongs to, so that nobody else does.
    pub(super) fn take(&self, state: Option<&Secret>) -> Result<(ConnectionId, Waiting), Error> {
        let mut all = self.state();
        let Some(state) = state else {
            return Err(if all.waiting.is_empty() { Error::NotWaiting } else { Error::State });
        };
        // All are compared, in constant time each, so that time tells nothing of any.
        let mut found = None;
        for (id, waiting) in &all.waiting {
            if bool::from(same(&waiting.state, state)) {
                found = Some(*id);
            }
        }
        let Some(id) = found else {
            let used = all.used.iter().fold(Choice::from(0), |used, it| used | same(it, state));
            let stranger = !bool::from(used) && !all.waiting.is_empty();
            return Err(if stranger { Error::State } else { Error::NotWaiting });
        };
        let waiting = all.waiting.remove(&id).ok_or(Error::NotWaiting)?;
        if all.used.len() == USED {
            all.used.pop_front();
        }
        all.used.push_back(waiting.state.clone());
        Ok((id, waiting))
    }

    /// Ends the one of a connection, if it waits.
    pub(crate) fn end(&self, id: ConnectionId) {
        if let Some(waiting) = self.state().waiting.remove(&id) {
            waiting.stop.cancel();
        }
    }

    /// Whether one of this connection waits.
    pub(crate) fn waits(&self, id: ConnectionId) -> bool {
        self.state().waiting.contains_key(&id)
    }

    /// Whether any waits for a browser that comes back through the public address.
    pub(super) fn any_waits_outside(&self) -> bool {
        self.state().waiting.values().any(|waiting| waiting.redirect.scheme() == "https")
    }

    /// What is held for the calls of a connection, for one at a time.
    pub(super) fn held(&self, id: ConnectionId) -> Arc<tokio::sync::Mutex<Held>> {
        let mut held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(held.entry(id).or_default())
    }

    /// Forgets the credential of a connection, after those who use it now; tokens that still wait
    /// for the vault are kept.
    pub(crate) async fn forget_credential(&self, id: ConnectionId) {
        self.held(id).lock().await.forget_credential();
    }

    /// Forgets all that is held for a connection, after those who use it now.
    pub(crate) async fn forget(&self, id: ConnectionId) {
        self.held(id).lock().await.forget();
    }

    /// Those that still wait; older ones are dropped.
    fn state(&self) -> MutexGuard<'_, State> {
        let mut state = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        let now = Instant::now();
        state.waiting.retain(|_, waiting| {
            let waits = now < waiting.until;
            if !waits {
                waiting.stop.cancel();
            }
            waits
        });
        state
    }
}

fn same(a: &Secret, b: &Secret) -> Choice {
    a.expose().as_bytes().ct_eq(b.expose().as_bytes())
}

/// What an address says on which a browser landed. Its host says nothing: a user may paste any.
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

    /// A further parameter.
    pub(super) fn parameter(&self, name: &str) -> Option<&str> {
        self.parameters.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    /// What was said instead of a code.
    pub(super) fn denied(&self) -> Option<String> {
        let error = self.error.as_deref()?;
        if error == "access_denied" {
            return Some("access was not allowed on the provider's page".into());
        }
        Some(match &self.description {
            Some(description) => {
                format!("the provider refused the sign-in: {description} ({error})")
            }
            None => format!("the provider refused the sign-in: {error}"),
        })
    }
}
