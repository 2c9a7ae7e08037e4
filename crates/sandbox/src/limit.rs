//! How many requests the REST API takes: a bucket that is refilled evenly.

use std::time::Duration;

use tokio::time::Instant;

/// How much the bucket holds and how fast it is refilled.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Rate {
    /// How many requests may come at once.
    pub size: u32,
    /// How many more may come each second after that.
    pub per_second: f64,
}

impl Default for Rate {
    fn default() -> Self {
        Self { size: 40, per_second: 10.0 }
    }
}

#[derive(Debug)]
pub(crate) struct Bucket {
    rate: Rate,
    left: f64,
    at: Instant,
}

/// What the bucket said about one request, as the headers tell it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Verdict {
    pub(crate) limit: u32,
    pub(crate) remaining: u32,
    /// Seconds until the bucket is full again.
    pub(crate) reset: u64,
    /// Seconds until the next request may come, if this one may not.
    pub(crate) retry_after: Option<u64>,
}

impl Bucket {
    pub(crate) fn new(rate: Rate) -> Self {
        Self { rate, left: f64::from(rate.size), at: Instant::now() }
    }

    /// Takes one request out, if one is left.
    pub(crate) fn take(&mut self) -> Verdict {
        let now = Instant::now();
        let size = f64::from(self.rate.size);
        let passed = now.duration_since(self.at).as_secs_f64();
        self.left = (self.left + passed * self.rate.per_second).min(size);
        self.at = now;

        let taken = self.left >= 1.0;
        if taken {
            self.left -= 1.0;
        }
        let wait = |missing: f64| {
            Duration::try_from_secs_f64(missing / self.rate.per_second)
                .map_or(u64::from(u32::MAX), |wait| wait.as_secs_f64().ceil() as u64)
        };
        Verdict {
            limit: self.rate.size,
            remaining: self.left as u32,
            reset: wait(size - self.left),
            retry_after: (!taken).then(|| wait(1.0 - self.left).max(1)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_bucket_gives_what_it_holds_and_fills_again() {
        let mut bucket = Bucket::new(Rate { size: 2, per_second: 0.5 });

        assert_eq!(bucket.take().remaining, 1);
        assert_eq!(bucket.take().retry_after, None);
        let refused = bucket.take();
        assert_eq!((refused.retry_after, refused.reset), (Some(2), 4));
        tokio::time::advance(Duration::from_secs(2)).await;
        assert_eq!(bucket.take().retry_after, None);
        assert_eq!(bucket.take().retry_after, Some(2));
    }
}
