//! Who may read the shop: codes and tokens, as OAuth 2.0 with PKCE and its security practice
//! (RFC 6749, 7636, 9700) have them.
//!
//! Only digests of codes and tokens are kept. A refresh token is good once; when one comes a
//! second time, two parties hold it, so all tokens of that sign-in end. The same goes for a code.

use std::collections::HashMap;

use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use subtle::ConstantTimeEq as _;

/// How long a code is good.
const CODE_LIFE: SignedDuration = SignedDuration::from_secs(60);
/// How long a code that is spent or too old is remembered, to notice that it comes again.
const CODE_MEMORY: SignedDuration = SignedDuration::from_hours(1);

type Fingerprint = [u8; 32];

/// Why no token was given: the codes of RFC 6749, section 5.2.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Error {
    #[error("{0}")]
    InvalidRequest(&'static str),
    #[error("{0}")]
    InvalidGrant(&'static str),
    #[error("only authorization_code and refresh_token are given tokens")]
    UnsupportedGrantType,
}

impl Error {
    pub(crate) fn code(&self) -> &'static str {
        match self {
            Self::InvalidRequest(_) => "invalid_request",
            Self::InvalidGrant(_) => "invalid_grant",
            Self::UnsupportedGrantType => "unsupported_grant_type",
        }
    }
}

/// What a consent is about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Consent {
    pub(crate) client_id: String,
    pub(crate) redirect_uri: String,
    pub(crate) code_challenge: String,
    pub(crate) scope: String,
}

/// What a successful answer of the token endpoint carries.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Tokens {
    pub(crate) access: String,
    pub(crate) refresh: String,
    pub(crate) scope: String,
}

#[derive(Debug)]
struct Code {
    consent: Consent,
    given_at: Timestamp,
    /// The sign-in that it was spent on.
    spent_on: Option<u64>,
}

/// One sign-in and the tokens that are good now.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct Family {
    client_id: String,
    scope: String,
    access: Fingerprint,
    access_until: Timestamp,
    refresh: Fingerprint,
}

/// The sign-ins as they are written down. A refresh token that was spent before the shop closed is
/// not known when it opens again, which refuses it all the same.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(crate) struct SignIns {
    families: HashMap<u64, Family>,
    last: u64,
}

/// All codes and tokens.
#[derive(Debug, Default)]
pub(crate) struct Grants {
    codes: HashMap<Fingerprint, Code>,
    families: HashMap<u64, Family>,
    /// Refresh tokens that are spent, by the sign-in they came from.
    spent: HashMap<Fingerprint, u64>,
    last: u64,
}

impl Grants {
    /// Those of an earlier opening.
    pub(crate) fn again(sign_ins: SignIns) -> Self {
        Self { families: sign_ins.families, last: sign_ins.last, ..Self::default() }
    }

    /// What is to be written down.
    pub(crate) fn sign_ins(&self) -> SignIns {
        SignIns { families: self.families.clone(), last: self.last }
    }

    /// A code for what the user agreed to.
    pub(crate) fn allow(&mut self, consent: Consent, now: Timestamp) -> String {
        self.codes.retain(|_, code| now.duration_since(code.given_at) < CODE_MEMORY);
        let code = secret("sbx_code_");
        self.codes.insert(fingerprint(&code), Code { consent, given_at: now, spent_on: None });
        code
    }

    /// Tokens for a code.
    pub(crate) fn spend_code(
        &mut self,
        code: &str,
        client_id: &str,
        redirect_uri: &str,
        verifier: &str,
        life: SignedDuration,
        now: Timestamp,
    ) -> Result<Tokens, Error> {
        let Some(code) = self.codes.get_mut(&fingerprint(code)) else {
            return Err(Error::InvalidGrant("the code is not known"));
        };
        if let Some(family) = code.spent_on {
            self.end(family);
            return Err(Error::InvalidGrant("the code was used before"));
        }
        if now.duration_since(code.given_at) > CODE_LIFE {
            return Err(Error::InvalidGrant("the code is older than 60 seconds"));
        }
        if code.consent.client_id != client_id || code.consent.redirect_uri != redirect_uri {
            return Err(Error::InvalidGrant("the code was given to another client or address"));
        }
        if !matches(&code.consent.code_challenge, verifier) {
            return Err(Error::InvalidGrant("the code_verifier does not fit the code_challenge"));
        }

        self.last += 1;
        code.spent_on = Some(self.last);
        let consent = code.consent.clone();
        Ok(self.issue(self.last, consent.client_id, consent.scope, now + life))
    }

    /// New tokens for a refresh token, which is spent by that.
    pub(crate) fn refresh(
        &mut self,
        token: &str,
        client_id: &str,
        life: SignedDuration,
        now: Timestamp,
    ) -> Result<Tokens, Error> {
        let token = fingerprint(token);
        if let Some(&family) = self.spent.get(&token) {
            self.end(family);
            return Err(Error::InvalidGrant("the refresh token was used before; sign in again"));
        }
        let found = self.families.iter().find(|(_, family)| family.refresh == token);
        let Some((&number, family)) = found else {
            return Err(Error::InvalidGrant("the refresh token is not known"));
        };
        if family.client_id != client_id {
            return Err(Error::InvalidGrant("the refresh token was given to another client"));
        }

        let (client_id, scope) = (family.client_id.clone(), family.scope.clone());
        self.spent.insert(token, number);
        Ok(self.issue(number, client_id, scope, now + life))
    }

    fn issue(&mut self, number: u64, client_id: String, scope: String, until: Timestamp) -> Tokens {
        let (access, refresh) = (secret("sbx_at_"), secret("sbx_rt_"));
        self.families.insert(
            number,
            Family {
                client_id,
                scope: scope.clone(),
                access: fingerprint(&access),
                access_until: until,
                refresh: fingerprint(&refresh),
            },
        );
        Tokens { access, refresh, scope }
    }

    fn end(&mut self, family: u64) {
        self.families.remove(&family);
    }

    /// Whether an access token is good.
    pub(crate) fn is_good(&self, access: &str, now: Timestamp) -> bool {
        let access = fingerprint(access);
        self.families.values().any(|family| family.access == access && now < family.access_until)
    }

    /// Whether anybody is signed in.
    pub(crate) fn anybody(&self) -> bool {
        !self.families.is_empty()
    }

    /// Ends all access tokens; the refresh tokens stay good.
    pub(crate) fn expire(&mut self) {
        for family in self.families.values_mut() {
            family.access_until = Timestamp::UNIX_EPOCH;
        }
    }
}

/// Whether `verifier` is the one that `challenge` was made from, in the method S256.
fn matches(challenge: &str, verifier: &str) -> bool {
    let long_enough = (43..=128).contains(&verifier.len());
    let made = BASE64_URL_SAFE_NO_PAD.encode(Sha256::digest(verifier));
    long_enough && made.as_bytes().ct_eq(challenge.as_bytes()).into()
}

fn fingerprint(token: &str) -> Fingerprint {
    Sha256::digest(token).into()
}

/// 256 bits from the system, as text behind `prefix`.
pub(crate) fn secret(prefix: &str) -> String {
    let mut bytes = [0; 32];
    getrandom::fill(&mut bytes).expect("the system gives randomness");
    format!("{prefix}{}", BASE64_URL_SAFE_NO_PAD.encode(bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    const VERIFIER: &str = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";
    const CHALLENGE: &str = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM";
    const HOUR: SignedDuration = SignedDuration::from_hours(1);

    fn second(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    fn allowed(grants: &mut Grants) -> String {
        let consent = Consent {
            client_id: "app".into(),
            redirect_uri: "http://127.0.0.1/cb".into(),
            code_challenge: CHALLENGE.into(),
            scope: "orders".into(),
        };
        grants.allow(consent, second(0))
    }

    fn spend(grants: &mut Grants, code: &str, verifier: &str, at: i64) -> Result<Tokens, Error> {
        grants.spend_code(code, "app", "http://127.0.0.1/cb", verifier, HOUR, second(at))
    }

    #[test]
    fn a_code_is_good_for_sixty_seconds() {
        let mut grants = Grants::default();

        let (young, old) = (allowed(&mut grants), allowed(&mut grants));

        assert!(spend(&mut grants, &young, VERIFIER, 60).is_ok());
        assert!(spend(&mut grants, &old, VERIFIER, 61).is_err());
    }

    #[test]
    fn a_wrong_verifier_gets_nothing_and_spends_nothing() {
        let mut grants = Grants::default();
        let code = allowed(&mut grants);

        assert!(spend(&mut grants, &code, &VERIFIER.replace('d', "e"), 1).is_err());
        assert!(spend(&mut grants, &code, VERIFIER, 1).is_ok());
    }

    #[test]
    fn a_code_that_comes_again_ends_the_tokens_it_gave() {
        let mut grants = Grants::default();
        let code = allowed(&mut grants);
        let tokens = spend(&mut grants, &code, VERIFIER, 1).unwrap();

        assert!(spend(&mut grants, &code, VERIFIER, 2).is_err());

        assert!(!grants.is_good(&tokens.access, second(2)));
        assert!(grants.refresh(&tokens.refresh, "app", HOUR, second(2)).is_err());
    }

    #[test]
    fn a_refresh_token_that_comes_again_ends_the_sign_in() {
        let mut grants = Grants::default();
        let code = allowed(&mut grants);
        let first = spend(&mut grants, &code, VERIFIER, 1).unwrap();
        let second_tokens = grants.refresh(&first.refresh, "app", HOUR, second(2)).unwrap();
        assert!(!grants.is_good(&first.access, second(2)));
        assert!(grants.is_good(&second_tokens.access, second(3_601)));
        assert!(!grants.is_good(&second_tokens.access, second(3_602)));

        assert!(grants.refresh(&first.refresh, "app", HOUR, second(3)).is_err());

        assert!(!grants.is_good(&second_tokens.access, second(3)));
        assert!(grants.refresh(&second_tokens.refresh, "app", HOUR, second(3)).is_err());
    }

    #[test]
    fn expired_tokens_can_be_refreshed() {
        let mut grants = Grants::default();
        let code = allowed(&mut grants);
        let tokens = spend(&mut grants, &code, VERIFIER, 1).unwrap();

        grants.expire();

        assert!(!grants.is_good(&tokens.access, second(1)));
        assert!(grants.refresh(&tokens.refresh, "app", HOUR, second(1)).is_ok());
    }
}
