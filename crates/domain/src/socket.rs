//! What the messages of a socket say, where a socket may lead, and when the next one is tried.
//!
//! A message is somebody else's text, like the body of a webhook. It is read once it is here whole;
//! what it says is done by whoever reads it, in this order: keep the event, send the answer, look
//! whether the socket goes on.

use jiff::{SignedDuration, Timestamp};
use url::Url;

use crate::connector::{Acknowledge, Socket};
use crate::expression::Expression;
use crate::json::Json;
use crate::raw;
use crate::reach::{NamedBy, Network, Reach, Refused};

/// How much longer the wait is after each failure in a row.
const STEP: SignedDuration = SignedDuration::from_secs(5);
/// The longest wait that we choose ourselves.
const LONGEST: SignedDuration = SignedDuration::from_secs(60);

/// What a message says.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Said {
    /// That events may come.
    pub ready: bool,
    /// An event: what would be the body of its webhook, as it was written.
    pub event: Option<String>,
    /// What is sent for it.
    pub answer: Option<String>,
    /// That another socket is to be opened.
    pub renew: bool,
    /// That none is to be opened until the user has done something.
    pub stop: bool,
}

/// Why a message says nothing.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// It is not JSON.
    #[error("a message of a socket is not JSON: {0}")]
    Json(String),
    /// What is sent for it cannot be made: the connector does not fit.
    #[error("what is sent for a message cannot be made: {0}")]
    Answer(String),
}

/// Why an answer leads to no socket.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NoAddress {
    /// It names none.
    #[error("it names no address for a socket")]
    Missing,
    /// It names one that is not opened.
    #[error(transparent)]
    Refused(#[from] Refused),
}

/// Reads a message.
///
/// # Errors
///
/// When it says nothing that can be understood. It is not an event then, and no answer is sent.
pub fn read(socket: &Socket, text: &str, now: Timestamp) -> Result<Said, Error> {
    let message = Json::parse(text.as_bytes()).map_err(|error| Error::Json(error.to_string()))?;
    let says = |rule: &Option<Expression>| rule.as_ref().is_some_and(|it| it.holds(&message, now));

    let (ready, renew, stop) = (says(&socket.ready), says(&socket.renew), says(&socket.stop));
    let is_event = match &socket.event.when {
        Some(when) => when.holds(&message, now),
        None => !ready && !renew && !stop,
    };
    let answer = match &socket.ack {
        Some(ack) if ack.when.as_ref().is_none_or(|when| when.holds(&message, now)) => {
            Some(acknowledgement(ack, text)?)
        }
        _ => None,
    };
    let event = is_event.then(|| event(socket, text, &message, now));
    Ok(Said { ready, event, answer, renew, stop })
}

/// The event in a message, in the very words of the message where it stands at a plain path. What
/// is not where the connector expects it is not lost: then it is the whole message.
fn event(socket: &Socket, text: &str, message: &Json, now: Timestamp) -> String {
    let Some(at) = &socket.event.at else { return text.to_owned() };
    let written = at.path().and_then(|path| raw::at(text, path)).map(str::to_owned);
    let found = written.or_else(|| Some(at.first(message, now).ok().flatten()?.to_string()));
    found.filter(|found| found != "null").unwrap_or_else(|| text.to_owned())
}

fn acknowledgement(ack: &Acknowledge, text: &str) -> Result<String, Error> {
    let message: serde_json::Value =
        serde_json::from_str(text).map_err(|error| Error::Json(error.to_string()))?;
    let values = serde_json::json!({ "message": message });
    let json = ack.json.render(&values).map_err(|error| Error::Answer(error.to_string()))?;
    Ok(json.to_string())
}

/// The address that an answer names, which is a secret: whoever knows it may open the socket.
///
/// # Errors
///
/// [`NoAddress::Missing`] where it names none that can be read.
pub fn address(socket: &Socket, answer: &Json, now: Timestamp) -> Result<Url, NoAddress> {
    let text = socket.url.text_of(answer, now).ok_or(NoAddress::Missing)?;
    Url::parse(&text).map_err(|_| NoAddress::Missing)
}

/// Checks that a socket may be opened at `url`, and gives the address that is asked over HTTP for
/// the change of protocol, with the network that it has to be in.
///
/// The same holds as for any call (see [`Reach`]), except that the connector names the hosts of
/// sockets apart: they are given no credentials of ours.
///
/// # Errors
///
/// As [`Reach::check`].
pub fn may_open(
    socket: &Socket,
    url: &Url,
    reach: &Reach,
    named_by: NamedBy,
) -> Result<(Url, Network), Refused> {
    let scheme = match url.scheme() {
        "wss" => "https",
        "ws" => "http",
        other => return Err(Refused::Address(other.into())),
    };
    let mut asked = url.clone();
    asked.set_scheme(scheme).map_err(|()| Refused::Address(url.scheme().into()))?;
    // It is nobody's business, and breaks the request.
    asked.set_fragment(None);
    let host = asked.host_str().unwrap_or_default().to_ascii_lowercase();
    let named = socket.hosts.iter().any(|pattern| pattern.matches(&host));
    let hosts = if named { vec![host] } else { Vec::new() };
    let network = Reach { hosts, ..reach.clone() }.check(&asked, named_by)?;
    Ok((asked, network))
}

/// How long to wait after this many failures in a row. `jitter` (0 to 1, drawn by the caller) takes
/// up to half of it away, so that many who lost their sockets together do not come back together.
pub fn wait(failures: u32, jitter: f64) -> SignedDuration {
    let full = STEP.saturating_mul(failures.min(100) as i32).min(LONGEST);
    let share = 1.0 - 0.5 * jitter.clamp(0.0, 1.0);
    SignedDuration::from_millis((full.as_millis() as f64 * share) as i64)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const CHAT: &str = r#"
open: { post: /connections.open }
token: app_token
url: .url
hosts: "*.chat.example"
ready: .type == "hello"
ack: { when: .envelope_id, json: { envelope_id: "{{ message.envelope_id }}" } }
event: { when: '.type == "event"', at: .payload }
renew: .type == "disconnect"
stop: .reason == "link_disabled"
"#;

    fn now() -> Timestamp {
        "2026-11-24T12:00:00Z".parse().unwrap()
    }

    fn socket(yaml: &str) -> Socket {
        serde_saphyr::from_str(yaml).unwrap()
    }

    fn check(message: &str) -> Said {
        read(&socket(CHAT), message, now()).unwrap()
    }

    #[test]
    fn an_event_is_told_in_its_own_words_and_acknowledged_by_the_envelope_s() {
        let said = check(r#"{"envelope_id":"e1","type":"event","payload":{ "n": 1.0,  "id":"x"}}"#);

        assert_eq!(said.event.as_deref(), Some(r#"{ "n": 1.0,  "id":"x"}"#));
        assert_eq!(said.answer.as_deref(), Some(r#"{"envelope_id":"e1"}"#));
        assert!(!said.ready && !said.renew && !said.stop);
    }

    #[test]
    fn what_is_no_event_is_acknowledged_all_the_same() {
        let said = check(r#"{"envelope_id":"e2","type":"slash_command","payload":{}}"#);

        assert_eq!(said.event, None);
        assert_eq!(said.answer.as_deref(), Some(r#"{"envelope_id":"e2"}"#));
    }

    #[test]
    fn a_socket_says_that_it_is_ready_that_it_ends_and_that_it_is_off() {
        assert_eq!(check(r#"{"type":"hello"}"#), Said { ready: true, ..Said::default() });
        assert_eq!(
            check(r#"{"type":"disconnect","reason":"refresh_requested"}"#),
            Said { renew: true, ..Said::default() }
        );
        assert_eq!(
            check(r#"{"type":"disconnect","reason":"link_disabled"}"#),
            Said { renew: true, stop: true, ..Said::default() }
        );
        assert_eq!(check("[1]"), Said::default());
    }

    #[test]
    fn an_event_that_is_not_where_it_should_be_is_kept_whole() {
        let whole = r#"{"envelope_id":"e1","type":"event"}"#;

        assert_eq!(check(whole).event.as_deref(), Some(whole));
    }

    #[test]
    fn without_rules_every_message_is_an_event() {
        let socket = socket("{ open: { post: /open }, url: .url, hosts: a.example }");

        let said = read(&socket, r#"{"a":1}"#, now()).unwrap();

        assert_eq!(said, Said { event: Some(r#"{"a":1}"#.into()), ..Said::default() });
    }

    #[test]
    fn what_is_not_json_says_nothing() {
        assert!(matches!(read(&socket(CHAT), "hello", now()), Err(Error::Json(_))));
    }

    fn open(url: &str, named_by: NamedBy) -> Result<(String, Network), Refused> {
        let hosts = vec!["api.chat.example".into()];
        let reach = Reach { hosts, typed: true, ..Reach::default() };
        may_open(&socket(CHAT), &url.parse().unwrap(), &reach, named_by)
            .map(|(url, network)| (url.to_string(), network))
    }

    #[test]
    fn a_socket_is_opened_where_the_connector_says_and_with_encryption() {
        use NamedBy::Data;
        assert_eq!(
            open("wss://wss-primary.chat.example/link?ticket=t#x", Data),
            Ok(("https://wss-primary.chat.example/link?ticket=t".into(), Network::Public))
        );
        for (url, refused) in [
            ("wss://evil.example/link", Refused::Host("evil.example".into())),
            ("wss://chat.example/link", Refused::Host("chat.example".into())),
            (
                "wss://a.chat.example.evil.example/",
                Refused::Host("a.chat.example.evil.example".into()),
            ),
            ("ws://a.chat.example/", Refused::Plain("a.chat.example".into())),
            ("https://a.chat.example/", Refused::Address("https".into())),
            ("wss://me@a.chat.example/", Refused::Address("a.chat.example".into())),
            ("wss://127.0.0.1/", Refused::Host("127.0.0.1".into())),
        ] {
            assert_eq!(open(url, Data), Err(refused), "{url}");
        }
        // Beside the API of a host that a person typed.
        assert!(open("ws://a.chat.example:8080/", NamedBy::Connector).is_ok());
    }

    #[test]
    fn an_answer_names_the_address() {
        let address =
            |answer: &str| address(&socket(CHAT), &Json::parse(answer.as_bytes()).unwrap(), now());

        assert_eq!(address(r#"{"url":"wss://a.b/"}"#).unwrap().as_str(), "wss://a.b/");
        assert_eq!(address(r#"{"url":"nowhere"}"#), Err(NoAddress::Missing));
        assert_eq!(address("{}"), Err(NoAddress::Missing));
    }

    #[test]
    fn waits_grow_with_each_failure_up_to_a_minute() {
        for (failures, seconds) in [(0, 0), (1, 5), (2, 10), (11, 55), (12, 60), (u32::MAX, 60)] {
            assert_eq!(wait(failures, 0.0), SignedDuration::from_secs(seconds), "{failures}");
        }
        assert_eq!(wait(2, 1.0), SignedDuration::from_secs(5));
    }

    proptest! {
        #[test]
        fn no_text_makes_it_panic(text in "\\PC{0,60}", depth in 0usize..400) {
            let _ = read(&socket(CHAT), &text, now());
            let nested = format!("{}1{}", "[".repeat(depth), "]".repeat(depth));
            let event = format!("{{\"type\":\"event\",\"envelope_id\":1,\"payload\":{nested}}}");
            let _ = read(&socket(CHAT), &event, now());
        }
    }
}
