//! What an answer says of the budget: whether it was too much, how long to wait, how much is left.
//!
//! A provider tells it in one of many ways, or in several at once (a window of ten seconds beside
//! one of a day): the tightest holds. A number that cannot be meant (a wait of years, a text) says
//! nothing, and then the caller's own backoff holds. But who asks in so many words for more than a
//! day is left alone for a while.

mod lane;

use std::cell::OnceCell;

use jiff::fmt::rfc2822;
use jiff::{SignedDuration, Timestamp};

use crate::connector::{
    Answered, CostInBody, Errors, Limit, LimitHeaders, ResetUnit, RetryAfter, Used,
};
use crate::expression::Expression;
use crate::json::Json;
use crate::retry;

pub use self::lane::{Called, Lane};

/// Nobody's window is longer; more is a number that means something else.
const LONGEST: SignedDuration = SignedDuration::from_hours(24);
/// A window that is used up is looked at again after this long, where nothing says when it ends.
const UNKNOWN: SignedDuration = SignedDuration::from_mins(15);
/// Above this, a time since 1970 is one in milliseconds.
const MILLIS: f64 = 100_000_000_000.0;

/// An answer, as far as this module looks at it.
pub struct Heard<'a> {
    status: u16,
    headers: &'a [(&'a str, &'a str)],
    body: &'a [u8],
    parsed: OnceCell<Json>,
}

/// What an answer says.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Said {
    /// Whether it was too much.
    pub over: bool,
    /// How long nothing may be sent.
    pub wait: Option<SignedDuration>,
    /// How much is left, where it says so.
    pub left: Option<Left>,
}

/// How much is left of the tightest of the budgets that an answer tells of.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Left {
    /// How many calls or points.
    pub left: f64,
    /// Of how many.
    pub size: Option<f64>,
}

impl<'a> Heard<'a> {
    /// An answer of this status, with these headers (names in lower case) and this body.
    pub const fn new(status: u16, headers: &'a [(&'a str, &'a str)], body: &'a [u8]) -> Self {
        Self { status, headers, body, parsed: OnceCell::new() }
    }

    /// Its status.
    pub const fn status(&self) -> u16 {
        self.status
    }

    /// The first header of this name.
    pub fn header(&self, name: &str) -> Option<&'a str> {
        let mut headers = self.headers.iter();
        headers.find(|(it, _)| it.eq_ignore_ascii_case(name)).map(|(_, value)| value.trim())
    }

    /// The body; `null` where it is not JSON.
    pub fn json(&self) -> &Json {
        self.parsed.get_or_init(|| Json::parse(self.body).unwrap_or_default())
    }

    fn text(&self, at: &Expression) -> Option<String> {
        at.text_of(self.json(), Timestamp::UNIX_EPOCH)
    }

    /// The code that it holds, where `errors` says that codes stand.
    pub fn code(&self, errors: &Errors) -> Option<String> {
        let in_200 = errors.in_200.as_ref().and_then(|in_200| in_200.code.as_ref());
        [errors.code.as_ref(), in_200].into_iter().flatten().find_map(|at| self.text(at))
    }

    /// Whether it is the one that is told by `answered`.
    pub fn is(&self, answered: &Answered, errors: &Errors) -> bool {
        answered.status.is_none_or(|status| status == self.status)
            && answered
                .headers
                .iter()
                .all(|(name, is)| self.header(name).is_some_and(|found| is == "*" || found == is))
            && (answered.codes.is_empty()
                || self.code(errors).is_some_and(|code| answered.codes.contains(&code)))
    }

    /// Whether it is a fault: by its status, or by what it holds where its status is 200. Where an
    /// answer only leads elsewhere, whoever asks has followed it.
    pub fn is_fault(&self, errors: &Errors) -> bool {
        let in_200 = || errors.in_200.as_ref();
        !(200..300).contains(&self.status)
            || in_200().is_some_and(|it| it.when.holds(self.json(), Timestamp::UNIX_EPOCH))
    }

    /// The sentence for people that it holds, or else its code.
    pub fn message(&self, errors: &Errors) -> Option<String> {
        let in_200 = errors.in_200.as_ref().and_then(|in_200| in_200.message.as_ref());
        let message = [in_200, errors.message.as_ref()].into_iter().flatten();
        message.filter_map(|at| self.text(at)).next().or_else(|| self.code(errors))
    }

    /// Whether it means that the token has ended and may be renewed: by its status, by the challenge
    /// of RFC 6750 section 3.1, or in the connector's words.
    pub fn asks_to_renew(&self, errors: &Errors) -> bool {
        let challenge = || self.header("www-authenticate").unwrap_or_default();
        !self.is_dead(errors)
            && (self.status == 401
                || (self.status == 403 && challenge().contains("invalid_token"))
                || errors.renew.iter().any(|it| self.is(it, errors)))
    }

    /// Whether it means that the sign-in is over for good.
    pub fn is_dead(&self, errors: &Errors) -> bool {
        errors.dead.iter().any(|it| self.is(it, errors))
    }

    fn number(&self, header: &str) -> Option<f64> {
        number(self.header(header)?)
    }
}

fn number(text: &str) -> Option<f64> {
    text.trim().parse::<f64>().ok().filter(|number| number.is_finite())
}

/// Whether an answer says that it was too much.
pub fn is_over(limit: &Limit, errors: &Errors, heard: &Heard<'_>) -> bool {
    limit.over().any(|answered| heard.is(answered, errors))
}

/// What an answer that came at `now` says.
pub fn said(limit: &Limit, errors: &Errors, heard: &Heard<'_>, now: Timestamp) -> Said {
    let over = is_over(limit, errors, heard);
    let asked = over.then(|| retry_after(&limit.retry_after, heard, now)).flatten();
    let windows = limit.headers.iter().flat_map(|headers| window(headers, heard, over, now));
    let used = limit.used.iter().filter_map(|it| used(it, heard, over));
    let cost = limit.cost_in_body.iter().filter_map(|it| cost(it, heard, over));

    let mut told = Said { over, wait: asked, left: None };
    for (left, wait) in windows.chain(used).chain(cost) {
        // What an answer asks for in so many words is not made longer by what a window says.
        if asked.is_none() {
            told.wait = told.wait.max(wait);
        }
        let share = |left: &Left| left.size.map_or(left.left, |size| left.left / size.max(1.0));
        if told.left.is_none_or(|tightest| share(&left) < share(&tightest)) {
            told.left = Some(left);
        }
    }
    told
}

/// How long an answer that was too much asks to wait, by itself.
pub fn retry_after(rule: &RetryAfter, heard: &Heard<'_>, now: Timestamp) -> Option<SignedDuration> {
    let wait = match rule {
        RetryAfter::None => return None,
        RetryAfter::Wait(span) => return Some(span.get()),
        RetryAfter::Any => retry::retry_after(heard.header("retry-after")?, now),
        RetryAfter::Header { header, unit } => until(heard.header(header)?, *unit, now),
        RetryAfter::Body { at, unit } => until(&heard.text(at)?, *unit, now),
    };
    // To come back at once would be the wrong answer to: not for a long time.
    wait.map(|wait| if wait > LONGEST { UNKNOWN } else { wait })
}

/// How long until the moment that `text` tells, never less than nothing.
fn until(text: &str, unit: ResetUnit, now: Timestamp) -> Option<SignedDuration> {
    if unit == ResetUnit::Date {
        let date =
            text.parse().ok().or_else(|| rfc2822::DateTimeParser::new().parse_timestamp(text).ok());
        return date.map(|date: Timestamp| date.duration_since(now).max(SignedDuration::ZERO));
    }
    let number = number(text).filter(|number| *number >= 0.0)?;
    let since_1970 = |seconds: f64| {
        let at = Timestamp::from_duration(SignedDuration::try_from_secs_f64(seconds).ok()?).ok()?;
        Some(at.duration_since(now).max(SignedDuration::ZERO))
    };
    match unit {
        ResetUnit::Seconds => SignedDuration::try_from_secs_f64(number).ok(),
        ResetUnit::Milliseconds => SignedDuration::try_from_secs_f64(number / 1_000.0).ok(),
        ResetUnit::EpochSeconds => since_1970(number),
        ResetUnit::EpochMillis => since_1970(number / 1_000.0),
        ResetUnit::Epoch if number > MILLIS => since_1970(number / 1_000.0),
        ResetUnit::Epoch => since_1970(number),
        ResetUnit::Date => None,
    }
}

/// What the headers of one kind say: one window, or several that stand in the same headers.
fn window(
    headers: &LimitHeaders,
    heard: &Heard<'_>,
    over: bool,
    now: Timestamp,
) -> Vec<(Left, Option<SignedDuration>)> {
    let Some(remaining) = heard.header(&headers.remaining) else {
        // Some tell when there is more only once there is none.
        let reset = headers.reset.as_ref().filter(|_| over);
        let wait = reset.and_then(|it| until(heard.header(&it.header)?, it.unit, now));
        let none = Left { left: 0.0, size: None };
        return wait.into_iter().filter(|it| *it <= LONGEST).map(|it| (none, Some(it))).collect();
    };
    let limit = headers.limit.as_deref().and_then(|name| heard.header(name));
    let reset = headers.reset.as_ref().and_then(|it| Some((heard.header(&it.header)?, it.unit)));
    if let Some(parts) = &headers.parts {
        let part = |name: &str| parameter(remaining, name);
        let Some(left) = part(&parts.remaining).and_then(number) else { return Vec::new() };
        let size = parts.limit.as_deref().and_then(part).and_then(number);
        let reset = parts.reset.as_deref().and_then(part);
        let wait = reset.and_then(|text| until(text, ResetUnit::Seconds, now));
        return vec![(Left { left, size }, used_up(left, wait, headers))];
    }
    let Some(split) = headers.split.as_deref().filter(|split| !split.is_empty()) else {
        let Some(left) = number(remaining) else { return Vec::new() };
        let size = limit.and_then(number);
        let wait = reset.and_then(|(text, unit)| until(text, unit, now));
        return vec![(Left { left, size }, used_up(left, wait, headers))];
    };
    let nth = |text: Option<&str>, place: usize| {
        text.and_then(|text| text.split(split).nth(place)).map(str::to_owned)
    };
    let windows = remaining.split(split).enumerate().filter_map(|(place, left)| {
        let left = number(left)?;
        let size = nth(limit, place).as_deref().and_then(number);
        let wait = reset.and_then(|(text, unit)| until(&nth(Some(text), place)?, unit, now));
        Some((Left { left, size }, used_up(left, wait, headers)))
    });
    windows.collect()
}

/// How long nothing may be sent: until there is more, where there is nothing left.
fn used_up(
    left: f64,
    wait: Option<SignedDuration>,
    headers: &LimitHeaders,
) -> Option<SignedDuration> {
    if left >= 1.0 {
        return None;
    }
    let wait = wait.filter(|wait| *wait <= LONGEST);
    wait.or_else(|| headers.per.map(|per| per.get().min(UNKNOWN)))
}

/// The value of `name` in `total=100; remaining=99, resets=41`.
fn parameter<'a>(text: &'a str, name: &str) -> Option<&'a str> {
    text.split([';', ',']).find_map(|part| {
        let (it, value) = part.split_once('=')?;
        it.trim().eq_ignore_ascii_case(name).then(|| value.trim().trim_matches('"'))
    })
}

/// What `used/size` says.
fn used(rule: &Used, heard: &Heard<'_>, over: bool) -> Option<(Left, Option<SignedDuration>)> {
    let text = heard.header(&rule.header)?;
    let text = match &rule.prefix {
        Some(prefix) => &text[text.find(prefix.as_str())? + prefix.len()..],
        None => text,
    };
    let (used, size) = text.split_once('/')?;
    let end = size.find(|it: char| !it.is_ascii_digit() && it != '.').unwrap_or(size.len());
    let (used, size) = (number(used)?, number(&size[..end])?);
    let left = Left { left: size - used, size: Some(size) };

    let cost = rule.cost.as_deref().and_then(|name| heard.number(name)).unwrap_or(1.0);
    let leak = rule.leak.as_ref().and_then(|leak| match &leak.size {
        crate::connector::Size::Number(number) => {
            Some(f64::from(*number) / leak.per.get().as_secs_f64())
        }
        crate::connector::Size::Text(_) => None,
    });
    let drip = rule.drip.as_deref().and_then(|name| heard.number(name)).or(leak);
    let missing = used + cost - size;
    let wait = if missing <= 0.0 && !over {
        None
    } else if let Some(drip) = drip.filter(|drip| *drip > 0.0) {
        // One that was too much needs room for itself at least, whatever the level says.
        let missing = if over { missing.max(cost) } else { missing };
        SignedDuration::try_from_secs_f64((missing / drip).ceil()).ok()
    } else {
        rule.per.map(|per| per.get().min(UNKNOWN))
    };
    Some((left, wait.filter(|wait| *wait <= LONGEST)))
}

/// What the body says of points.
fn cost(
    rule: &CostInBody,
    heard: &Heard<'_>,
    over: bool,
) -> Option<(Left, Option<SignedDuration>)> {
    let now = Timestamp::UNIX_EPOCH;
    let state = rule.at.first(heard.json(), now).ok()??;
    let get = |at: &Option<Expression>, name: &str| match at {
        Some(at) => number(&at.text_of(&state, now)?),
        None => number(&state.get(name)?.as_text()?),
    };
    let left = get(&rule.left, "currentlyAvailable")?;
    let size = get(&rule.size, "maximumAvailable");
    let restore = get(&rule.restore, "restoreRate").filter(|rate| *rate > 0.0);
    let cost = rule.cost.as_ref().and_then(|at| number(&heard.text(at)?));
    // The next call is likely to cost what this one was to cost.
    let missing = cost.unwrap_or(1.0) - left;
    let seconds = (missing / restore?).ceil();
    let wait = (missing > 0.0 || over)
        .then(|| SignedDuration::try_from_secs_f64(seconds.max(1.0)).ok())
        .flatten();
    Some((Left { left, size }, wait.filter(|wait| *wait <= LONGEST)))
}

#[cfg(test)]
mod tests;
