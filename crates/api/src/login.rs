//! Who may use the management listener: the token of the owner, and sessions of web pages.
//!
//! The owner's token is in a file that only the user can read. A web page cannot read files, so it
//! gets a code in the fragment of its address, which no server and no log sees. The code is good
//! once and for five minutes; the page spends it for a session token of its own, which lives as
//! long as this process.
//!
//! Only digests are kept. A digest makes all tokens equally long and unguessable, so comparing
//! digests in constant time tells nothing about the tokens.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use domain::secret::Secret;
use sha2::{Digest, Sha256};
use subtle::{Choice, ConstantTimeEq};
use tokio::time::Instant;

/// How long a code can be spent.
pub const CODE_LIFE: Duration = Duration::from_secs(5 * 60);

/// Most codes that wait and most sessions that live; the oldest go first.
const MOST: usize = 64;

/// The tokens in force. Cheap to clone.
#[derive(Clone)]
pub struct Logins {
    token: Secret,
    inner: Arc<Mutex<Inner>>,
}

struct Inner {
    /// The owner's token first, then those of sessions.
    tokens: VecDeque<TokenDigest>,
    codes: VecDeque<(TokenDigest, Instant)>,
}

type TokenDigest = [u8; 32];

/// Why there is no token: the operating system gave no randomness.
#[derive(Debug, thiserror::Error)]
#[error("the operating system gives no random numbers")]
pub struct NoRandomness;

impl Logins {
    /// Logins of an owner who has just started, with a new token.
    ///
    /// # Errors
    ///
    /// [`NoRandomness`], which no working system has.
    pub fn new() -> Result<Self, NoRandomness> {
        let token = random_token()?;
        let tokens = VecDeque::from([digest(token.expose())]);
        let inner = Inner { tokens, codes: VecDeque::new() };
        Ok(Self { token, inner: Arc::new(Mutex::new(inner)) })
    }

    /// The owner's token, for the token file.
    pub fn token(&self) -> &Secret {
        &self.token
    }

    /// A code for the address of a page.
    ///
    /// # Errors
    ///
    /// [`NoRandomness`], which no working system has.
    pub fn code(&self) -> Result<Secret, NoRandomness> {
        let code = random_token()?;
        let mut inner = self.lock();
        push(&mut inner.codes, (digest(code.expose()), Instant::now() + CODE_LIFE));
        Ok(code)
    }

    /// Spends a code for a session token. `None` where the code is unknown, spent or too old.
    ///
    /// # Errors
    ///
    /// [`NoRandomness`], which no working system has; the code is still good then.
    pub fn spend(&self, code: &str) -> Result<Option<Secret>, NoRandomness> {
        let token = random_token()?;
        let code = digest(code);
        let now = Instant::now();
        let mut inner = self.lock();
        inner.codes.retain(|(_, until)| *until > now);
        let Some(place) = inner.codes.iter().position(|(known, _)| known.ct_eq(&code).into())
        else {
            return Ok(None);
        };
        inner.codes.remove(place);
        if inner.tokens.len() > MOST {
            // The owner's own token stays at the front.
            inner.tokens.remove(1);
        }
        inner.tokens.push_back(digest(token.expose()));
        Ok(Some(token))
    }

    /// Whether a request with this bearer token may go on. Takes the same time for each answer.
    pub(crate) fn allows(&self, token: &str) -> bool {
        let token = digest(token);
        let inner = self.lock();
        inner.tokens.iter().fold(Choice::from(0), |found, known| found | known.ct_eq(&token)).into()
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Inner> {
        // Nothing in here can be left half done.
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn push<T>(queue: &mut VecDeque<T>, item: T) {
    if queue.len() == MOST {
        queue.pop_front();
    }
    queue.push_back(item);
}

fn digest(text: &str) -> TokenDigest {
    Sha256::digest(text.as_bytes()).into()
}

fn random_token() -> Result<Secret, NoRandomness> {
    let mut bytes = [0; 32];
    getrandom::fill(&mut bytes).map_err(|_| NoRandomness)?;
    Ok(Secret::new(URL_SAFE_NO_PAD.encode(bytes)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_code_is_good_once() {
        let logins = Logins::new().unwrap();
        let code = logins.code().unwrap();

        let token = logins.spend(code.expose()).unwrap().unwrap();

        assert!(logins.allows(token.expose()));
        assert!(logins.spend(code.expose()).unwrap().is_none());
    }

    #[tokio::test(start_paused = true)]
    async fn a_code_is_good_for_five_minutes() {
        let logins = Logins::new().unwrap();
        let (first, second) = (logins.code().unwrap(), logins.code().unwrap());

        tokio::time::advance(CODE_LIFE - Duration::from_millis(1)).await;
        assert!(logins.spend(first.expose()).unwrap().is_some());
        tokio::time::advance(Duration::from_millis(1)).await;
        assert!(logins.spend(second.expose()).unwrap().is_none());
    }

    #[tokio::test]
    async fn the_owners_token_outlives_many_sessions() {
        let logins = Logins::new().unwrap();

        for _ in 0..3 * MOST {
            let code = logins.code().unwrap();
            logins.spend(code.expose()).unwrap().unwrap();
        }

        assert!(logins.allows(logins.token().expose()));
        assert!(!logins.allows("another"));
        assert!(!logins.allows(""));
    }
}
