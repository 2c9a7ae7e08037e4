//! What is asked of requests that nobody signs.

use hmac::{Hmac, KeyInit, Mac};
use jiff::{SignedDuration, Timestamp};
use sha2::Sha256;
use subtle::ConstantTimeEq;

use super::{Error, Given, Request, TimeUnit, Verified, read_time, unsigned};
use crate::connector::{FillTime, FormGuard, Refetch};
use crate::json::Json;
use crate::{envelope, origin};

/// Whether a request that has to be asked for again says what an inbox expects. It proves nothing.
pub(super) fn expected(
    rule: &Refetch,
    request: &Request<'_>,
    given: &Given<'_>,
    now: Timestamp,
) -> Result<Verified, Error> {
    if !rule.expect.is_empty() {
        let body = envelope::body(request);
        for expected in &rule.expect {
            let wanted = given.values(&expected.setting);
            let Some(wanted) = wanted.first() else {
                return Err(Error::NoSecret(expected.setting.clone()));
            };
            let found = expected.path.text_of(&body, now).unwrap_or_default();
            if found != wanted.trim() {
                let path = expected.path.text();
                return Err(Error::Unwanted(format!("`{path}` is not that of this inbox")));
            }
        }
    }
    Ok(unsigned("refetch"))
}

/// Whether a form was filled in on a page that may send here, and by a person.
pub(super) fn form(
    rule: &FormGuard,
    request: &Request<'_>,
    given: &Given<'_>,
    now: Timestamp,
) -> Result<Verified, Error> {
    if let Some(setting) = &rule.origins {
        let allowed = given.values(setting).first().copied().unwrap_or_default();
        if !origin::allows(allowed, origin::of(request).as_deref(), true) {
            return Err(Error::Unwanted("it comes from a page that may not send here".into()));
        }
    }
    let fields = envelope::body(request);
    let text = |name: &str| text_in(&fields, name);
    if let Some(name) = &rule.honeypot
        && text(name).is_some()
    {
        return Err(Error::Trapped(name.clone()));
    }
    if let Some(time) = &rule.time {
        fill_time(time, text(&time.field), time.signature.as_deref().and_then(text), given, now)?;
    }
    Ok(unsigned("form_guard"))
}

fn text_in(fields: &Json, name: &str) -> Option<String> {
    fields.get(name)?.as_text().filter(|text| !text.trim().is_empty())
}

fn fill_time(
    rule: &FillTime,
    made: Option<String>,
    signature: Option<String>,
    given: &Given<'_>,
    now: Timestamp,
) -> Result<(), Error> {
    let Some(made) = made else {
        return match rule.key {
            Some(_) => Err(Error::Unsigned(format!("form field `{}`", rule.field))),
            None => Ok(()),
        };
    };
    if let Some(secret) = &rule.key {
        let Some(secret) = given.values(secret).first().copied() else {
            return Err(Error::NoSecret(secret.clone()));
        };
        let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(secret.as_bytes()) else {
            return Err(Error::BadSecret(rule.field.clone()));
        };
        mac.update(made.as_bytes());
        let written = signature.and_then(|text| hex::decode(text).ok()).unwrap_or_default();
        let tag = mac.finalize().into_bytes();
        if !bool::from(tag.as_slice().ct_eq(&written)) {
            return Err(Error::Mismatch);
        }
    }
    let unreadable = || Error::Malformed(format!("the form field `{}`", rule.field));
    let took = if rule.elapsed {
        let seconds = made.trim().parse().ok().filter(|seconds: &f64| *seconds >= 0.0);
        let took = seconds.and_then(|it| SignedDuration::try_from_secs_f64(it).ok());
        took.ok_or_else(unreadable)?
    } else {
        let made = read_time(&made, TimeUnit::S).ok_or_else(unreadable)?;
        // Whole seconds on both sides, as the field counts.
        SignedDuration::from_secs(now.as_second() - made.as_second())
    };
    if took < rule.at_least.get() {
        return Err(Error::Unwanted("it was filled in faster than a person could".into()));
    }
    if rule.at_most.is_some_and(|most| took > most.get()) {
        return Err(Error::Stale { by: took });
    }
    Ok(())
}
