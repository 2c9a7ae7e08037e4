//! How often one connection may call: what the connector says, and what the answers say, which is
//! believed over it.
//!
//! A call goes out once all that holds for it lets it: the buckets of all calls, the bucket of its
//! tier, what answers said of all calls or of its own bucket, a place among those under way at
//! once, and how many were refused lately. What holds for all is waited for before what holds for
//! few, and a place is taken last, so that nobody waits with a place that others could use.

use std::collections::{HashMap, VecDeque};
use std::num::NonZeroU32;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use domain::budget::{self, Called, Heard, Lane};
use domain::connector::{Limit, Refusals, Tier};
use domain::json::Json;
use governor::clock::{Clock as _, DefaultClock};
use governor::{DefaultDirectRateLimiter, DefaultKeyedRateLimiter, NotUntil, Quota, RateLimiter};
use jiff::{SignedDuration, Timestamp};
use serde_json::Value;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::Instant;

use super::{Answer, Because, Error, PATIENCE, Pause, Request, Watch};

/// How many buckets of a tier, or of those that answers name, are remembered: each value in what is
/// sent may have one.
const BUCKETS: usize = 10_000;

/// The budget of one connection, for everything that calls for it.
pub(crate) struct Budget {
    limit: Limit,
    errors: domain::connector::Errors,
    /// What stands before the paths of the connector.
    base: String,
    buckets: Vec<DefaultDirectRateLimiter>,
    /// In the order of the connector's tiers.
    tiers: Vec<DefaultKeyedRateLimiter<String>>,
    /// How many calls may be under way at once.
    places: Option<Arc<Semaphore>>,
    clock: DefaultClock,
    /// Nothing is sent before.
    closed_until: Mutex<Option<Timestamp>>,
    told: Mutex<Told>,
    /// When calls were refused, the oldest first; never more than are allowed.
    refused: Mutex<VecDeque<Instant>>,
}

/// What answers said of buckets that they name.
#[derive(Default)]
struct Told {
    /// The bucket of a call, by its method and path.
    bucket_of: HashMap<String, String>,
    /// When a bucket has room again.
    closed_until: HashMap<String, Timestamp>,
}

/// What a call is counted as.
pub(super) struct Counted {
    lane: Option<Lane>,
    /// Its path below the address of the API.
    path: String,
    /// Its method and path.
    route: String,
}

impl Counted {
    /// A conversation with a mail server: it has no path, and all of them are alike.
    pub(super) fn mail() -> Self {
        Self { lane: None, path: String::new(), route: String::new() }
    }
}

impl Budget {
    /// The budget that a connector's `limit` describes, `values` filled in. Its paths stand below
    /// the address `base`.
    pub(super) fn new(
        limit: &Limit,
        errors: &domain::connector::Errors,
        base: &url::Url,
        values: &Value,
    ) -> Result<Self, domain::template::Error> {
        let buckets = limit.buckets.iter().map(|bucket| {
            Ok(RateLimiter::direct(quota(bucket.size.get(values)?, bucket.per.get())))
        });
        let tiers = limit.tiers.values().map(|Tier { size, per, .. }| {
            Ok(RateLimiter::keyed(quota(size.get(values)?, per.get())))
        });
        let places = limit.concurrency.as_ref().map(|size| size.get(values)).transpose()?;
        let places = places.map(|size| Arc::new(Semaphore::new(size as usize)));
        Ok(Self {
            buckets: buckets.collect::<Result<_, domain::template::Error>>()?,
            tiers: tiers.collect::<Result<_, domain::template::Error>>()?,
            places,
            limit: limit.clone(),
            errors: errors.clone(),
            base: base.path().trim_end_matches('/').to_owned(),
            clock: DefaultClock::default(),
            closed_until: Mutex::default(),
            told: Mutex::default(),
            refused: Mutex::default(),
        })
    }

    /// What a request is counted as.
    pub(super) fn counted(&self, request: &Request) -> Counted {
        let path = request.url.path();
        let below = path.strip_prefix(&self.base).filter(|path| path.starts_with('/'));
        let path = below.unwrap_or(path).to_owned();
        let method = request.method.as_str();
        let route = format!("{method} {path}");
        let lane = match self.tiers.is_empty() {
            true => None,
            false => {
                let carried = carried(request);
                self.limit.lane(Called { method, path: &path, carried: &carried })
            }
        };
        Counted { lane, path, route }
    }

    /// Waits until one more call is within the budget; `watcher` is told of each pause. The call
    /// holds what comes back until it is answered.
    ///
    /// # Errors
    ///
    /// [`Error::RateLimited`] where that takes longer than [`PATIENCE`].
    pub(super) async fn wait(
        &self,
        counted: &Counted,
        host: &str,
        now: Timestamp,
        watcher: &dyn Watch,
    ) -> Result<Option<OwnedSemaphorePermit>, Error> {
        let pause = |wait: SignedDuration| {
            let until = now.saturating_add(wait).unwrap_or(Timestamp::MAX);
            if wait > PATIENCE {
                return Err(Error::RateLimited { host: host.into(), until });
            }
            watcher.pauses(Pause { because: Because::Budget, until });
            Ok(tokio::time::sleep(wait.unsigned_abs()))
        };
        let began = Instant::now();
        if let Some(wait) = self.closed_for(counted, now) {
            pause(wait)?.await;
        }
        if let Some(wait) = self.refused_for() {
            pause(wait)?.await;
        }
        for bucket in &self.buckets {
            while let Err(not_until) = bucket.check() {
                pause(self.left(&not_until))?.await;
            }
        }
        if let Some(Lane { tier, bucket }) = &counted.lane
            && let Some(tier) = self.tiers.get(*tier)
        {
            if tier.len() > BUCKETS {
                tier.retain_recent();
            }
            while let Err(not_until) = tier.check_key(bucket) {
                pause(self.left(&not_until))?.await;
            }
        }
        let Some(places) = &self.places else { return Ok(None) };
        loop {
            // Nobody closes it.
            let place = Arc::clone(places).acquire_owned().await.ok();
            // Those before may have learned that there is no more for now.
            let since = SignedDuration::try_from(began.elapsed()).unwrap_or(SignedDuration::MAX);
            let now = now.saturating_add(since).unwrap_or(Timestamp::MAX);
            let Some(wait) = self.closed_for(counted, now) else { return Ok(place) };
            drop(place);
            pause(wait)?.await;
        }
    }

    fn left<T: governor::clock::Reference>(&self, not_until: &NotUntil<T>) -> SignedDuration
    where
        DefaultClock: governor::clock::Clock<Instant = T>,
    {
        let wait = not_until.wait_time_from(self.clock.now());
        SignedDuration::try_from(wait).unwrap_or(SignedDuration::MAX)
    }

    /// How long answers said that nothing may be sent, or nothing of this call's bucket.
    fn closed_for(&self, counted: &Counted, now: Timestamp) -> Option<SignedDuration> {
        let told = locked(&self.told);
        let bucket = told.bucket_of.get(&counted.route);
        let bucket = bucket.and_then(|bucket| told.closed_until.get(bucket).copied());
        let until = bucket.max(*locked(&self.closed_until))?;
        Some(until.duration_since(now)).filter(SignedDuration::is_positive)
    }

    /// How long nothing may be sent since too many calls were refused.
    fn refused_for(&self) -> Option<SignedDuration> {
        let Refusals { size, per, .. } = self.limit.refusals.as_ref()?;
        let refused = locked(&self.refused);
        let oldest = refused.front().filter(|_| refused.len() >= *size as usize)?;
        let gone = SignedDuration::try_from(oldest.elapsed()).unwrap_or(SignedDuration::MAX);
        per.get().checked_sub(gone).filter(SignedDuration::is_positive)
    }

    /// Takes in what an answer says of the budget.
    pub(super) fn learn(&self, counted: &Counted, answer: &Answer, now: Timestamp) {
        self.count_refusal(answer.status);
        let (said, bucket) = heard(answer, |heard| {
            let said = budget::said(&self.limit, &self.errors, heard, now);
            (said, self.limit.told_bucket(heard, &counted.path))
        });
        let until = said.wait.and_then(|wait| now.checked_add(wait).ok());
        if let Some(bucket) = bucket {
            locked(&self.told).note(counted, bucket, until, now);
        } else if until.is_some() {
            let mut closed = locked(&self.closed_until);
            *closed = closed.max(until);
        }
    }

    fn count_refusal(&self, status: u16) {
        let Some(Refusals { statuses, size, .. }) = &self.limit.refusals else { return };
        if statuses.contains(&status) {
            let mut refused = locked(&self.refused);
            if refused.len() >= *size as usize {
                refused.pop_front();
            }
            refused.push_back(Instant::now());
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

impl Told {
    fn note(
        &mut self,
        counted: &Counted,
        bucket: String,
        until: Option<Timestamp>,
        now: Timestamp,
    ) {
        if self.closed_until.len() >= BUCKETS {
            self.closed_until.retain(|_, until| *until > now);
        }
        if self.bucket_of.len() >= BUCKETS {
            // What is forgotten here is told anew by the next answer.
            self.bucket_of.clear();
        }
        match until {
            Some(until) => {
                let known = self.closed_until.entry(bucket.clone()).or_insert(until);
                *known = until.max(*known);
            }
            None => drop(self.closed_until.remove(&bucket)),
        }
        self.bucket_of.insert(counted.route.clone(), bucket);
    }
}

/// What a request carries: its body where that is JSON or a form, else its query.
fn carried(request: &Request) -> Json {
    let object = |pairs: url::form_urlencoded::Parse<'_>| {
        let pairs =
            pairs.map(|(name, value)| (name.into_owned(), Value::String(value.into_owned())));
        Json::from(&Value::Object(pairs.collect()))
    };
    match &request.body {
        None => object(request.url.query_pairs()),
        Some(body) => {
            Json::parse(body).unwrap_or_else(|_| object(url::form_urlencoded::parse(body)))
        }
    }
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
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
fn quota(size: u32, per: SignedDuration) -> Quota {
    let size = NonZeroU32::new(size).unwrap_or(NonZeroU32::MIN);
    let each = per.unsigned_abs() / size.get();
    Quota::with_period(each.max(Duration::from_nanos(1)))
        .unwrap_or_else(|| Quota::per_second(size))
        .allow_burst(size)
}
