//! How often one connection may call: what the connector says, and what the answers say, which is
//! believed over it.

use std::num::NonZeroU32;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use domain::connector::{Limit, LimitHeaders, ResetUnit, RetryAfter};
use domain::json::Json;
use domain::retry;
use governor::clock::{Clock as _, DefaultClock};
use governor::{DefaultDirectRateLimiter, Quota, RateLimiter};
use http::HeaderMap;
use jiff::{SignedDuration, Timestamp};
use serde_json::Value;

use super::{Answer, Error, PATIENCE};

/// The budget of one connection, for everything that calls for it.
pub(crate) struct Budget {
    limit: Limit,
    errors: domain::connector::Errors,
    buckets: Vec<DefaultDirectRateLimiter>,
    clock: DefaultClock,
    /// Nothing is sent before.
    closed_until: Mutex<Option<Timestamp>>,
}

impl Budget {
    /// The budget that a connector's `limit` describes, `values` filled in.
    pub(super) fn new(
        limit: &Limit,
        errors: &domain::connector::Errors,
        values: &Value,
    ) -> Result<Self, domain::template::Error> {
        let buckets = limit
            .buckets
            .iter()
            .map(|bucket| {
                let size = NonZeroU32::new(bucket.size.get(values)?).unwrap_or(NonZeroU32::MIN);
                Ok(RateLimiter::direct(quota(size, bucket.per.get())))
            })
            .collect::<Result<_, domain::template::Error>>()?;
        Ok(Self {
            limit: limit.clone(),
            errors: errors.clone(),
            buckets,
            clock: DefaultClock::default(),
            closed_until: Mutex::default(),
        })
    }

    /// Waits until one more call is within the budget.
    ///
    /// # Errors
    ///
    /// [`Error::RateLimited`] where that takes longer than [`PATIENCE`].
    pub(super) async fn wait(&self, host: &str, now: Timestamp) -> Result<(), Error> {
        let closed = *self.closed_until.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(until) = closed.filter(|until| *until > now) {
            let wait = until.duration_since(now);
            if wait > PATIENCE {
                return Err(Error::RateLimited { host: host.into(), until });
            }
            tokio::time::sleep(wait.unsigned_abs()).await;
        }
        for bucket in &self.buckets {
            while let Err(not_until) = bucket.check() {
                let wait = not_until.wait_time_from(self.clock.now());
                if let Ok(wait) = SignedDuration::try_from(wait)
                    && wait > PATIENCE
                {
                    let until = now.saturating_add(wait).unwrap_or(Timestamp::MAX);
                    return Err(Error::RateLimited { host: host.into(), until });
                }
                tokio::time::sleep(wait).await;
            }
        }
        Ok(())
    }

    /// Takes in what an answer says of the budget.
    pub(super) fn learn(&self, answer: &Answer, now: Timestamp) {
        let wait = if self.is_over(answer) {
            self.asked_wait(answer, now)
        } else {
            self.limit.headers.as_ref().and_then(|headers| used_up(headers, &answer.headers, now))
        };
        if let Some(until) = wait.and_then(|wait| now.checked_add(wait).ok()) {
            let mut closed = self.closed_until.lock().unwrap_or_else(PoisonError::into_inner);
            *closed = closed.max(Some(until));
        }
    }

    /// Whether an answer says that it was too much.
    pub(super) fn is_over(&self, answer: &Answer) -> bool {
        let over = &self.limit.over;
        if answer.status != over.status {
            return false;
        }
        let (Some(wanted), Some(at)) = (&over.code, &self.errors.code) else { return true };
        Json::parse(&answer.body)
            .is_ok_and(|body| at.text_of(&body, Timestamp::UNIX_EPOCH).as_ref() == Some(wanted))
    }

    /// How long an answer asks to wait, by `retry-after` or by when its window ends.
    pub(super) fn asked_wait(&self, answer: &Answer, now: Timestamp) -> Option<SignedDuration> {
        let asked = match self.limit.retry_after {
            RetryAfter::None => None,
            RetryAfter::Any
            | RetryAfter::Seconds
            | RetryAfter::DecimalSeconds
            | RetryAfter::HttpDate => {
                text(&answer.headers, "retry-after").and_then(|text| retry::retry_after(text, now))
            }
        };
        asked.or_else(|| reset(self.limit.headers.as_ref()?, &answer.headers, now))
    }
}

/// `size` calls at once, and as many again in the time of `per`.
fn quota(size: NonZeroU32, per: SignedDuration) -> Quota {
    let each = per.unsigned_abs() / size.get();
    Quota::with_period(each.max(Duration::from_nanos(1)))
        .unwrap_or_else(|| Quota::per_second(size))
        .allow_burst(size)
}

/// How long until there are calls again, where none is left.
fn used_up(names: &LimitHeaders, headers: &HeaderMap, now: Timestamp) -> Option<SignedDuration> {
    let remaining: f64 = text(headers, &names.remaining)?.parse().ok()?;
    if remaining >= 1.0 {
        return None;
    }
    reset(names, headers, now)
}

fn reset(names: &LimitHeaders, headers: &HeaderMap, now: Timestamp) -> Option<SignedDuration> {
    let reset = names.reset.as_ref()?;
    let number: f64 = text(headers, &reset.header)?.parse().ok()?;
    let at = |seconds: f64| {
        let since = SignedDuration::try_from_secs_f64(seconds).ok()?;
        Some(Timestamp::from_duration(since).ok()?.duration_since(now))
    };
    let wait = match reset.unit {
        ResetUnit::Seconds => SignedDuration::try_from_secs_f64(number).ok()?,
        ResetUnit::EpochSeconds => at(number)?,
        ResetUnit::EpochMillis => at(number / 1000.0)?,
    };
    // Nobody's window is longer than a day; more is a number that means something else.
    (wait <= SignedDuration::from_hours(24)).then(|| wait.max(SignedDuration::ZERO))
}

fn text<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers.get(name)?.to_str().ok().map(str::trim)
}
