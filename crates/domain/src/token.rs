//! Token answers of OAuth 2: what of them is kept, and when a token is renewed.
//!
//! Providers write the end of a token's life as seconds from now or as a time, and numbers as
//! numbers or texts; anything else means that the answer does not say.

use jiff::{SignedDuration, Timestamp};

use crate::json::Json;
use crate::secret::Secret;

/// A token with less of its life left than this share of it is renewed before it is used.
const SHARE: i32 = 5;
/// Nor is one used that ends within a minute: the call may take as long.
const LEAST: SignedDuration = SignedDuration::from_secs(60);
/// A life longer than this is a number that means something else.
const LONGEST: SignedDuration = SignedDuration::from_hours(24 * 366 * 10);
/// Above this a time in seconds is one in milliseconds.
const MILLIS: i64 = 100_000_000_000;

/// What a provider answered to a code or a refresh token.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tokens {
    /// What calls carry.
    pub access: Secret,
    /// What brings the next access token, where there is one.
    pub refresh: Option<Secret>,
    /// How long the access token lives, where the answer says it.
    pub lives: Option<SignedDuration>,
}

impl Tokens {
    /// Reads an answer that came at `now`; none where it holds no access token.
    pub fn read(answer: &Json, now: Timestamp) -> Option<Self> {
        let text = |name| answer.get(name)?.as_text().filter(|text| !text.is_empty());
        Some(Self {
            access: Secret::new(text("access_token")?),
            refresh: text("refresh_token").map(Secret::new),
            lives: lives(answer, now),
        })
    }
}

fn lives(answer: &Json, now: Timestamp) -> Option<SignedDuration> {
    let number = |name| answer.get(name)?.as_text()?.trim().parse::<f64>().ok();
    let seconds = number("expires_in").map(|seconds| seconds as i64);
    let until = || {
        let at = number("expires_at").or_else(|| number("expires"))? as i64;
        let at = if at > MILLIS { at / 1000 } else { at };
        at.checked_sub(now.as_second())
    };
    let lives = SignedDuration::from_secs(seconds.or_else(until)?);
    (lives > SignedDuration::ZERO && lives < LONGEST).then_some(lives)
}

/// When a token is renewed that ends at `expires_at` and lived for `lives` in all.
///
/// A token that lives for less than two minutes is renewed in the middle of its life, since a
/// minute before its end would be before every use.
pub fn renew_at(expires_at: Timestamp, lives: Option<SignedDuration>) -> Timestamp {
    let lives = lives.unwrap_or(LEAST * 2);
    let margin = (lives / SHARE).max(LEAST).min(lives / 2);
    expires_at.checked_sub(margin).unwrap_or(Timestamp::MIN)
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp::constant(1_700_000_000, 0);

    fn read(text: &str) -> Option<Tokens> {
        Tokens::read(&Json::parse(text.as_bytes()).unwrap(), NOW)
    }

    fn lives(end: &str) -> Option<i64> {
        read(&format!(r#"{{"access_token": "a", {end}}}"#)).unwrap().lives.map(|l| l.as_secs())
    }

    #[test]
    fn an_answer_without_an_access_token_is_none() {
        for text in [r#"{"error": "invalid_grant"}"#, r#"{"access_token": ""}"#, "[]", "null"] {
            assert_eq!(read(text), None, "{text}");
        }
        let tokens = read(r#"{"access_token": "a", "refresh_token": "r"}"#).unwrap();
        assert_eq!(tokens.access, Secret::new("a".into()));
        assert_eq!(tokens.refresh, Some(Secret::new("r".into())));
        assert_eq!(tokens.lives, None);
    }

    #[test]
    fn the_end_of_a_life_is_read_in_all_its_forms() {
        assert_eq!(lives(r#""expires_in": 3600"#), Some(3600));
        assert_eq!(lives(r#""expires_in": "3600""#), Some(3600));
        assert_eq!(lives(r#""expires_in": 3599.7"#), Some(3599));
        assert_eq!(lives(r#""expires_at": 1700003600"#), Some(3600));
        assert_eq!(lives(r#""expires": "1700003600""#), Some(3600));
        assert_eq!(lives(r#""expires_at": 1700003600000"#), Some(3600));
        for nothing in [
            r#""expires_in": null"#,
            r#""expires_in": 0"#,
            r#""expires_in": -5"#,
            r#""expires_in": "soon""#,
            r#""expires_in": 1e300"#,
            r#""expires_at": "2026-01-01T00:00:00Z""#,
        ] {
            assert_eq!(lives(nothing), None, "{nothing}");
        }
    }

    #[test]
    fn a_token_is_renewed_before_its_end_and_not_before_every_use() {
        let left = |lives: i64| {
            let at = renew_at(NOW, Some(SignedDuration::from_secs(lives)));
            NOW.duration_since(at).as_secs()
        };

        assert_eq!(left(86_400), 17_280);
        assert_eq!(left(3_600), 720);
        assert_eq!(left(200), 60);
        assert_eq!(left(60), 30);
        assert_eq!(left(2), 1);
        assert_eq!(NOW.duration_since(renew_at(NOW, None)).as_secs(), 60);
    }
}
