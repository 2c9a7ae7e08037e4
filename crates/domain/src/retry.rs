//! When a request that failed is tried again.

use jiff::fmt::rfc2822;
use jiff::{SignedDuration, Timestamp};

/// The first wait, before jitter.
const FIRST: SignedDuration = SignedDuration::from_millis(500);
/// The longest wait that we choose ourselves.
const LONGEST: SignedDuration = SignedDuration::from_secs(60);

/// How long to wait before try number `attempt` (the second try is 1).
///
/// Each wait is twice the one before, up to a minute, and `jitter` (0 to 1, drawn by the caller)
/// takes up to half of it away, so that many who failed together do not come back together.
pub fn backoff(attempt: u32, jitter: f64) -> SignedDuration {
    let full = FIRST.saturating_mul(1 << attempt.saturating_sub(1).min(16)).min(LONGEST);
    let share = 1.0 - 0.5 * jitter.clamp(0.0, 1.0);
    SignedDuration::from_millis((full.as_millis() as f64 * share) as i64)
}

/// How long a `Retry-After` asks to wait: whole or decimal seconds (RFC 9110 knows whole ones,
/// Discord sends decimals), or an HTTP date (Lightspeed X sends one). A date that is past is zero.
///
/// `None` where it is none of these: then the caller's own backoff holds.
pub fn retry_after(text: &str, now: Timestamp) -> Option<SignedDuration> {
    let text = text.trim();
    if let Ok(seconds) = text.parse::<f64>() {
        return SignedDuration::try_from_secs_f64(seconds).ok().filter(|wait| !wait.is_negative());
    }
    let date = rfc2822::DateTimeParser::new().parse_timestamp(text).ok()?;
    Some(date.duration_since(now).max(SignedDuration::ZERO))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn check(text: &str) -> Option<i128> {
        retry_after(text, "2026-11-24T12:00:00Z".parse().unwrap()).map(|wait| wait.as_millis())
    }

    #[test]
    fn every_form_of_retry_after_is_read() {
        assert_eq!(check("3"), Some(3_000));
        assert_eq!(check(" 0.25 "), Some(250));
        assert_eq!(check("0"), Some(0));
        assert_eq!(check("Tue, 24 Nov 2026 12:01:00 GMT"), Some(60_000));
        assert_eq!(check("Tue, 24 Nov 2026 11:59:00 GMT"), Some(0));
    }

    #[test]
    fn anything_else_is_left_to_our_own_rule() {
        for text in ["", "-1", "soon", "NaN", "inf", "1e300", "24 Nov 2026"] {
            assert_eq!(check(text), None, "{text}");
        }
    }

    #[test]
    fn waits_double_up_to_a_minute() {
        let waits: Vec<_> = (1..=9).map(|attempt| backoff(attempt, 0.0).as_millis()).collect();
        assert_eq!(waits, [500, 1_000, 2_000, 4_000, 8_000, 16_000, 32_000, 60_000, 60_000]);
    }

    proptest! {
        #[test]
        fn jitter_takes_at_most_half_away(attempt in 0u32.., jitter in -1.0f64..2.0) {
            let (full, wait) = (backoff(attempt, 0.0), backoff(attempt, jitter));

            prop_assert!(wait <= full && wait.as_millis() * 2 >= full.as_millis());
        }

        #[test]
        fn no_text_makes_it_panic(text in ".*") {
            let _ = check(&text);
        }
    }
}
