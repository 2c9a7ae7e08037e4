//! How often one connection may call: what the connector says, and what the answers say, which is
//! believed over it.

use std::num::NonZeroU32;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use domain::budget::{self, Heard};
use domain::connector::Limit;
use governor::clock::{Clock as _, DefaultClock};
use governor::{DefaultDirectRateLimiter, Quota, RateLimiter};
use jiff::{SignedDuration, Timestamp};
use serde_json::Value;

use super::{Answer, Because, Error, PATIENCE, Pause, Watch};

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

    /// Waits until one more call is within the budget; `watcher` is told of each pause.
    ///
    /// # Errors
    ///
    /// [`Error::RateLimited`] where that takes longer than [`PATIENCE`].
    pub(super) async fn wait(
        &self,
        host: &str,
        now: Timestamp,
        watcher: &dyn Watch,
    ) -> Result<(), Error> {
        let closed = *self.closed_until.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(until) = closed.filter(|until| *until > now) {
            let wait = until.duration_since(now);
            if wait > PATIENCE {
                return Err(Error::RateLimited { host: host.into(), until });
            }
            watcher.pauses(Pause { because: Because::Budget, until });
            tokio::time::sleep(wait.unsigned_abs()).await;
        }
        for bucket in &self.buckets {
            while let Err(not_until) = bucket.check() {
                let wait = not_until.wait_time_from(self.clock.now());
                let until = now.saturating_add(wait).unwrap_or(Timestamp::MAX);
                if SignedDuration::try_from(wait).is_ok_and(|wait| wait > PATIENCE) {
                    return Err(Error::RateLimited { host: host.into(), until });
                }
                watcher.pauses(Pause { because: Because::Budget, until });
                tokio::time::sleep(wait).await;
            }
        }
        Ok(())
    }

    /// Takes in what an answer says of the budget.
    pub(super) fn learn(&self, answer: &Answer, now: Timestamp) {
        let said = heard(answer, |heard| budget::said(&self.limit, &self.errors, heard, now));
        if let Some(until) = said.wait.and_then(|wait| now.checked_add(wait).ok()) {
            let mut closed = self.closed_until.lock().unwrap_or_else(PoisonError::into_inner);
            *closed = closed.max(Some(until));
        }
    }

    /// Whether an answer says that it was too much.
    pub(super) fn is_over(&self, answer: &Answer) -> bool {
        heard(answer, |heard| budget::is_over(&self.limit, &self.errors, heard))
    }

    /// Whether an answer is worth another try, where the connector has a word on it.
    pub(super) fn is_worth_a_try(&self, answer: &Answer) -> Option<bool> {
        heard(answer, |heard| {
            let header = self.errors.retry_header.as_deref().and_then(|name| heard.header(name));
            match header {
                Some("true") => return Some(true),
                Some("false") => return Some(false),
                _ => {}
            }
            let named = self.errors.retry.iter().any(|it| heard.is(it, &self.errors));
            named.then_some(true)
        })
    }

    /// How long an answer asks to wait, in so many words or by when its window ends.
    pub(super) fn asked_wait(&self, answer: &Answer, now: Timestamp) -> Option<SignedDuration> {
        heard(answer, |heard| {
            let asked = budget::retry_after(&self.limit.retry_after, heard, now);
            asked.or_else(|| budget::said(&self.limit, &self.errors, heard, now).wait)
        })
    }
}

/// Shows `read` an answer as the rules of the domain look at one.
pub(super) fn heard<T>(answer: &Answer, read: impl FnOnce(&Heard<'_>) -> T) -> T {
    let headers: Vec<_> = answer
        .headers
        .iter()
        .filter_map(|(name, value)| Some((name.as_str(), value.to_str().ok()?)))
        .collect();
    read(&Heard::new(answer.status, &headers, &answer.body))
}

/// `size` calls at once, and as many again in the time of `per`.
fn quota(size: NonZeroU32, per: SignedDuration) -> Quota {
    let each = per.unsigned_abs() / size.get();
    Quota::with_period(each.max(Duration::from_nanos(1)))
        .unwrap_or_else(|| Quota::per_second(size))
        .allow_burst(size)
}
