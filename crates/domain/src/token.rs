//! Token answers of OAuth 2: what of them is kept, and when a token is renewed.
//!
//! Providers write the end of a token's life as seconds from now or as a time, and numbers as
//! numbers or texts; anything else means that the answer does not say.

use jiff::{SignedDuration, Timestamp};

use crate::connector::{Expires, ResetUnit, Span, TokenFacts};
use crate::expression::Expression;
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
    pub fn read(answer: &Json, facts: &TokenFacts<'_>, now: Timestamp) -> Option<Self> {
        let text = |at: Option<&Expression>, name: &str| {
            let text = match at {
                Some(at) => at.text_of(answer, now),
                None => answer.get(name).and_then(|it| it.as_text()),
            };
            text.filter(|text| !text.is_empty())
        };
        let told = match facts.expires {
            Expires::Answer => lives(answer, now),
            Expires::OnlyBy401 => return Self::endless(text, facts),
            Expires::At { at, unit } => {
                at.text_of(answer, now).and_then(|text| counted(&text, *unit, now))
            }
        };
        let lives = told.filter(is_a_life).or_else(|| facts.lives.map(Span::get));
        Some(Self { lives, ..Self::endless(text, facts)? })
    }

    fn endless(
        text: impl Fn(Option<&Expression>, &str) -> Option<String>,
        facts: &TokenFacts<'_>,
    ) -> Option<Self> {
        Some(Self {
            access: Secret::new(text(facts.access_token, "access_token")?),
            refresh: text(facts.refresh_token, "refresh_token").map(Secret::new),
            lives: None,
        })
    }
}

/// A token answer as it really is: JSON, or a form. None where it is neither, such as a page.
pub fn parse_answer(body: &[u8]) -> Option<Json> {
    if let Ok(json) = Json::parse(body) {
        return Some(json);
    }
    let text = std::str::from_utf8(body).ok()?.trim();
    let is_form = text.contains('=') && !text.contains(|it: char| it == '<' || it.is_whitespace());
    let pairs: Vec<_> = url::form_urlencoded::parse(text.as_bytes()).collect();
    let members = pairs.iter().map(|(name, value)| (name.as_ref(), Json::text(value.as_ref())));
    is_form.then(|| Json::object(members))
}

fn is_a_life(lives: &SignedDuration) -> bool {
    *lives > SignedDuration::ZERO && *lives < LONGEST
}

fn lives(answer: &Json, now: Timestamp) -> Option<SignedDuration> {
    let text = |name| Some(answer.get(name)?.as_text()?.trim().to_owned());
    let seconds =
        || text("expires_in")?.parse::<f64>().ok().map(|it| SignedDuration::from_secs(it as i64));
    let until = |name| {
        let text = text(name)?;
        match text.parse::<f64>() {
            Ok(at) => since(at, now),
            Err(_) => Some(text.parse::<Timestamp>().ok()?.duration_since(now)),
        }
    };
    seconds().or_else(|| until("expires_at")).or_else(|| until("expires"))
}

/// How long from `now` until a time in seconds or milliseconds since 1970.
fn since(at: f64, now: Timestamp) -> Option<SignedDuration> {
    let at = at as i64;
    let at = if at > MILLIS { at / 1000 } else { at };
    at.checked_sub(now.as_second()).map(SignedDuration::from_secs)
}

fn counted(text: &str, unit: ResetUnit, now: Timestamp) -> Option<SignedDuration> {
    let text = text.trim();
    match text.parse::<f64>() {
        Ok(seconds) if unit == ResetUnit::Seconds => {
            Some(SignedDuration::from_secs(seconds as i64))
        }
        Ok(at) => since(at, now),
        Err(_) => Some(text.parse::<Timestamp>().ok()?.duration_since(now)),
    }
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
        read_by(text, &Expires::Answer)
    }

    fn read_by(text: &str, expires: &Expires) -> Option<Tokens> {
        let facts = TokenFacts {
            access_token: None,
            refresh_token: None,
            expires,
            lives: None,
            keep: &indexmap::IndexMap::new(),
            error_in_200: None,
            send: &crate::connector::Send::default(),
        };
        Tokens::read(&parse_answer(text.as_bytes()).unwrap(), &facts, NOW)
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
        assert_eq!(lives(r#""expires_at": "2023-11-14T23:13:20Z""#), Some(3600));
        for nothing in [
            r#""expires_in": null"#,
            r#""expires_in": 0"#,
            r#""expires_in": -5"#,
            r#""expires_in": "soon""#,
            r#""expires_in": 1e300"#,
            r#""expires_at": "2022-01-01T00:00:00Z""#,
        ] {
            assert_eq!(lives(nothing), None, "{nothing}");
        }
    }

    #[test]
    fn a_form_is_an_answer_too_and_a_page_is_none() {
        let form = "access_token=gho_1&expires_in=28800&refresh_token=ghr_1&scope=repo%2Cuser";
        let tokens = read(form).unwrap();

        assert_eq!(tokens.access, Secret::new("gho_1".into()));
        assert_eq!(tokens.refresh, Some(Secret::new("ghr_1".into())));
        assert_eq!(tokens.lives.unwrap().as_secs(), 28_800);
        for page in ["<html a=b>", "Internal error = 5", ""] {
            assert_eq!(parse_answer(page.as_bytes()), None, "{page}");
        }
    }

    #[test]
    fn an_end_that_is_told_otherwise_is_read_where_the_connector_says() {
        let text = r#"{"access_token": "a", "expires_in": 5, "until": 1700003600}"#;
        let at = Expression::compile(".until").unwrap();
        let at = Expires::At { at, unit: ResetUnit::EpochSeconds };

        assert_eq!(read_by(text, &at).unwrap().lives.unwrap().as_secs(), 3600);
        assert_eq!(read_by(text, &Expires::OnlyBy401).unwrap().lives, None);
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
