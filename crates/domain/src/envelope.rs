//! Envelopes: the events in a request. Usually one, which is the body; some senders put several
//! into one request, or one into a field of a form, into XML, or into headers.
//!
//! It is opened once the request is believed. All events of a request are taken, or none.

use std::borrow::Cow;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use jiff::Timestamp;

use crate::connector::Envelope;
use crate::expression::Expression;
use crate::form;
use crate::json::Json;
use crate::signature::Request;
use crate::{raw, xml};

/// Most events of one request.
pub const MAX_EVENTS: usize = 10_000;

/// One event of a request.
#[derive(Debug, Clone, PartialEq)]
pub struct Item<'a> {
    /// What it says, `null` where it cannot be read.
    pub event: Json,
    /// What is kept of it: the body as it came where it is the only one, else its own part.
    pub body: Cow<'a, [u8]>,
}

/// Why a request holds no events that could be taken.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// It breaks a rule of its own format.
    #[error("{0}")]
    Malformed(String),
    /// It is of a format that its sender has not agreed on with us.
    #[error("{0}")]
    Format(String),
}

/// The events of `request`, in their order.
///
/// # Errors
///
/// When its format has rules of its own, and it breaks them. A body that cannot be read at all is
/// an event of which nothing is known: its bytes are kept.
pub fn open<'a>(
    envelope: &Envelope,
    request: &Request<'a>,
    now: Timestamp,
) -> Result<Vec<Item<'a>>, Error> {
    let whole = |event| vec![Item { event, body: request.body.into() }];
    Ok(match envelope {
        Envelope::Body => whole(body(request)),
        Envelope::FormField(name) => whole(form_field(name, request)),
        Envelope::Items(path) => items(path, request, now)?,
        Envelope::Soap { items, shared } => soap(items, shared.as_ref(), request, now)?,
        Envelope::CloudEvents => cloud_events(request)?,
    })
}

/// What a body says: JSON, the fields of a form, or XML; `null` where it cannot be read. Of a GET,
/// which has none, the parameters of its query.
pub fn body(request: &Request<'_>) -> Json {
    if request.method == "GET" && request.body.is_empty() {
        return object(request.parameters());
    }
    if request.is_form() {
        return object(request.form());
    }
    if is_xml(&request.content_type()) {
        return xml::parse(request.body).unwrap_or_default();
    }
    Json::parse(request.body).unwrap_or_default()
}

fn is_xml(content_type: &str) -> bool {
    let essence = form::essence(content_type).to_ascii_lowercase();
    matches!(essence.as_str(), "text/xml" | "application/xml") || essence.ends_with("+xml")
}

/// Fields as an object; one that came several times is a list.
fn object<'a>(pairs: impl IntoIterator<Item = (Cow<'a, str>, Cow<'a, str>)>) -> Json {
    let mut fields: indexmap::IndexMap<_, Vec<_>> = indexmap::IndexMap::new();
    for (name, value) in pairs {
        fields.entry(name).or_default().push(Json::text(value));
    }
    Json::object(fields.iter().map(|(name, values)| match values.as_slice() {
        [one] => (name.as_ref(), one.clone()),
        several => (name.as_ref(), Json::array(several.iter().cloned())),
    }))
}

fn form_field(name: &str, request: &Request<'_>) -> Json {
    // Not every sender says that its form is one.
    let fields = form::fields(&request.content_type(), request.body);
    match fields.iter().find(|(field, _)| field == name) {
        Some((_, value)) => Json::parse(value.as_bytes()).unwrap_or_default(),
        None => body(request),
    }
}

fn items<'a>(
    path: &Expression,
    request: &Request<'a>,
    now: Timestamp,
) -> Result<Vec<Item<'a>>, Error> {
    let body = body(request);
    let found = path.first(&body, now).ok().flatten().unwrap_or_default();
    let Some(events) = found.as_array() else {
        // One thing is one event, and so is what nobody can read: its bytes are kept.
        let event = if found.is_null() { body } else { found };
        return Ok(vec![Item { event, body: request.body.into() }]);
    };
    let events: Vec<_> = events.collect();
    // Each as it was written, where that is known.
    let written = std::str::from_utf8(request.body)
        .ok()
        .zip(path.path())
        .and_then(|(text, path)| raw::items(raw::at(text, path)?))
        .filter(|written| written.len() == events.len());
    let bodies: Vec<Cow<'a, [u8]>> = match written {
        Some(written) => written.into_iter().map(|text| text.as_bytes().into()).collect(),
        None => texts(&events),
    };
    several(events, bodies, request)
}

fn texts<'a>(events: &[Json]) -> Vec<Cow<'a, [u8]>> {
    events.iter().map(|event| Cow::Owned(event.to_string().into_bytes())).collect()
}

fn several<'a>(
    events: Vec<Json>,
    bodies: Vec<Cow<'a, [u8]>>,
    request: &Request<'a>,
) -> Result<Vec<Item<'a>>, Error> {
    if events.len() > MAX_EVENTS {
        return Err(Error::Malformed(format!("there are more than {MAX_EVENTS} events in it")));
    }
    let mut items: Vec<_> =
        events.into_iter().zip(bodies).map(|(event, body)| Item { event, body }).collect();
    if let [only] = items.as_mut_slice() {
        only.body = request.body.into();
    }
    Ok(items)
}

// -- SOAP

fn soap<'a>(
    items: &Expression,
    shared: Option<&Expression>,
    request: &Request<'a>,
    now: Timestamp,
) -> Result<Vec<Item<'a>>, Error> {
    let parsed = match xml::parse(request.body) {
        Ok(parsed) => parsed,
        // A part that was kept of several.
        Err(_) if request.body.starts_with(b"{") => {
            return Ok(vec![Item { event: body(request), body: request.body.into() }]);
        }
        Err(error) => return Err(Error::Malformed(error.to_string())),
    };
    let content = parsed.get("Envelope").and_then(|envelope| envelope.get("Body"));
    let content = content.ok_or_else(|| Error::Malformed("it is not a SOAP message".into()))?;
    let shared = shared.and_then(|shared| shared.first(&content, now).ok().flatten());
    // Not the events themselves, of which each would hold all others then.
    let shared = shared.map(|shared| {
        let members = shared.members();
        let plain = members.iter().filter(|(_, value)| value.as_text().is_some());
        Json::object(plain.map(|(name, value)| (name.as_str(), value.clone())))
    });
    let found = items.first(&content, now).ok().flatten().unwrap_or_default();
    // A list of one is written like the one thing.
    let events = match found.as_array().map(Iterator::collect::<Vec<_>>) {
        Some(events) => events,
        None if found.is_null() => {
            return Err(Error::Malformed(format!("there is nothing at `{}`", items.text())));
        }
        None => vec![found],
    };
    let events: Vec<_> = match &shared {
        Some(shared) => events.iter().map(|event| event.with("shared", shared.clone())).collect(),
        None => events,
    };
    let bodies = texts(&events);
    several(events, bodies, request)
}

// -- CloudEvents

const REQUIRED: [&str; 4] = ["id", "source", "specversion", "type"];

fn cloud_events<'a>(request: &Request<'a>) -> Result<Vec<Item<'a>>, Error> {
    let kind = form::essence(&request.content_type()).to_ascii_lowercase();
    if kind.starts_with("application/cloudevents-batch") {
        let body = read(request.body)?;
        let events = body.as_array().ok_or_else(|| Error::Malformed("a batch is a list".into()))?;
        let events: Vec<_> = events.map(|event| structured(&event)).collect::<Result<_, _>>()?;
        let written = std::str::from_utf8(request.body).ok().and_then(raw::items);
        let bodies = match written.filter(|written| written.len() == events.len()) {
            Some(written) => written.into_iter().map(|text| text.as_bytes().into()).collect(),
            None => texts(&events),
        };
        return several(events, bodies, request);
    }
    let event = if kind.starts_with("application/cloudevents") {
        if !matches!(kind.as_str(), "application/cloudevents" | "application/cloudevents+json") {
            return Err(Error::Format(format!("`{kind}` is not a format that is read here")));
        }
        structured(&read(request.body)?)?
    } else {
        binary(request, &kind)?
    };
    Ok(vec![Item { event, body: request.body.into() }])
}

fn read(bytes: &[u8]) -> Result<Json, Error> {
    Json::parse(bytes).map_err(|error| Error::Malformed(error.to_string()))
}

fn structured(event: &Json) -> Result<Json, Error> {
    complete(|name| event.get(name).and_then(|value| value.as_text()))?;
    let Some(data) = event.get("data_base64") else { return Ok(event.clone()) };
    if event.get("data").is_some() {
        return Err(Error::Malformed("`data` and `data_base64` exclude each other".into()));
    }
    let text = data.as_text().unwrap_or_default();
    let bytes = STANDARD
        .decode(text)
        .map_err(|_| Error::Malformed("`data_base64` cannot be read".into()))?;
    // What can be read is shown; the rest stays as it came.
    let readable =
        Json::parse(&bytes).ok().or_else(|| String::from_utf8(bytes).ok().map(Json::text));
    Ok(readable.map_or_else(|| event.clone(), |data| event.with("data", data)))
}

fn binary(request: &Request<'_>, kind: &str) -> Result<Json, Error> {
    let mut members: Vec<(String, Json)> = Vec::new();
    for (name, value) in request.headers {
        let Some(name) = name.strip_prefix("ce-") else { continue };
        if name == "datacontenttype" {
            return Err(Error::Malformed("`ce-datacontenttype` stands in `content-type`".into()));
        }
        if members.iter().any(|(other, _)| other == name) {
            return Err(Error::Malformed(format!("`ce-{name}` stands there twice")));
        }
        let text = attribute(value)
            .ok_or_else(|| Error::Malformed(format!("`ce-{name}` cannot be read")))?;
        members.push((name.to_owned(), Json::text(text)));
    }
    if members.is_empty() {
        return Err(Error::Format("it is not a CloudEvent".into()));
    }
    complete(|wanted| {
        let (_, value) = members.iter().find(|(name, _)| name == wanted)?;
        value.as_text()
    })?;
    if !kind.is_empty() {
        members.push(("datacontenttype".into(), Json::text(request.content_type())));
    }
    if !request.body.is_empty() {
        let data = match body(request) {
            data if !data.is_null() => data,
            _ => std::str::from_utf8(request.body).map(Json::text).unwrap_or_default(),
        };
        members.push(("data".into(), data));
    }
    Ok(Json::object(members.iter().map(|(name, value)| (name.as_str(), value.clone()))))
}

fn complete(attribute: impl Fn(&str) -> Option<String>) -> Result<(), Error> {
    for name in REQUIRED {
        let value = attribute(name).filter(|value| !value.is_empty());
        let value = value.ok_or_else(|| Error::Malformed(format!("there is no `{name}`")))?;
        if name == "specversion" && value != "1.0" {
            let value = crate::text::clean(&value, 20);
            return Err(Error::Format(format!("there is no version {value} of CloudEvents")));
        }
    }
    Ok(())
}

/// The value of an attribute in a header: quotes undone, then one round of percent-encoding.
fn attribute(value: &[u8]) -> Option<String> {
    let text = std::str::from_utf8(value).ok()?.trim();
    let unquoted = match text.strip_prefix('"').and_then(|rest| rest.strip_suffix('"')) {
        Some(quoted) => {
            let mut plain = String::new();
            let mut letters = quoted.chars();
            while let Some(letter) = letters.next() {
                match letter {
                    '\\' => plain.push(letters.next()?),
                    letter => plain.push(letter),
                }
            }
            Cow::Owned(plain)
        }
        None => Cow::Borrowed(text),
    };
    percent_encoding::percent_decode_str(&unquoted).decode_utf8().ok().map(Cow::into_owned)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn check(yaml: &str, headers: &[(&str, &str)], body: &[u8]) -> Result<Vec<String>, String> {
        let envelope: Envelope = serde_saphyr::from_str(yaml).unwrap();
        let headers: Vec<_> = headers.iter().map(|(name, text)| (*name, text.as_bytes())).collect();
        let request = Request { method: "POST", headers: &headers, body, ..Request::default() };
        let items =
            open(&envelope, &request, Timestamp::UNIX_EPOCH).map_err(|it| it.to_string())?;
        Ok(items
            .iter()
            .map(|item| format!("{} < {}", item.event, String::from_utf8_lossy(&item.body)))
            .collect())
    }

    const FORM: (&str, &str) = ("content-type", "application/x-www-form-urlencoded");

    #[test]
    fn a_body_is_one_event() {
        assert_eq!(check("body", &[], b"{\"a\":1}").unwrap(), [r#"{"a":1} < {"a":1}"#]);
        assert_eq!(check("body", &[], b"[1]").unwrap(), ["[1] < [1]"]);
        assert_eq!(
            check("body", &[FORM], b"a=1&a=2&b=x+y%21").unwrap(),
            [r#"{"a":["1","2"],"b":"x y!"} < a=1&a=2&b=x+y%21"#]
        );
        assert_eq!(
            check("body", &[("content-type", "text/xml; charset=utf-8")], b"<a>1</a>").unwrap(),
            [r#"{"a":"1"} < <a>1</a>"#]
        );
    }

    #[test]
    fn each_of_an_array_is_an_event_with_its_own_text() {
        assert_eq!(
            check("array", &[], b"[ {\"n\": 1.0}, {\"n\":2} ]\r\n").unwrap(),
            [r#"{"n":1.0} < {"n": 1.0}"#, r#"{"n":2} < {"n":2}"#]
        );
        assert_eq!(check("array", &[], b"[{\"n\":1}]").unwrap(), [r#"{"n":1} < [{"n":1}]"#]);
        assert_eq!(check("array", &[], b"[]").unwrap(), Vec::<String>::new());
        assert_eq!(check("array", &[], b"{\"n\":1}").unwrap(), [r#"{"n":1} < {"n":1}"#]);
        assert_eq!(check("array", &[], b"garbage").unwrap(), ["null < garbage"]);
        assert_eq!(
            check("{ items: .events }", &[], b"{\"events\": [1, 2]}").unwrap(),
            ["1 < 1", "2 < 2"]
        );
    }

    #[test]
    fn a_field_of_a_form_is_the_event_and_other_bodies_are_it_themselves() {
        let yaml = "{ form_field: payload }";
        assert_eq!(
            check(yaml, &[FORM], b"payload=%7B%22a%22%3A1%7D&x=2").unwrap(),
            [r#"{"a":1} < payload=%7B%22a%22%3A1%7D&x=2"#]
        );
        assert_eq!(check(yaml, &[], b"{\"a\":1}").unwrap(), [r#"{"a":1} < {"a":1}"#]);
        assert_eq!(check(yaml, &[FORM], b"x=2").unwrap(), [r#"{"x":"2"} < x=2"#]);
    }

    const SOAP: &str = "{ soap: { items: .notifications.Notification, shared: .notifications } }";

    fn message(notifications: &str) -> String {
        format!(
            "<?xml version=\"1.0\"?><soapenv:Envelope xmlns:soapenv=\"s\"><soapenv:Body>\
             <notifications xmlns=\"o\"><OrganizationId>00D</OrganizationId>{notifications}\
             </notifications></soapenv:Body></soapenv:Envelope>"
        )
    }

    #[test]
    fn notifications_of_a_soap_message_are_events() {
        let one = message("<Notification><Id>1</Id></Notification>");
        assert_eq!(
            check(SOAP, &[], one.as_bytes()).unwrap(),
            [format!(r#"{{"Id":"1","shared":{{"OrganizationId":"00D"}}}} < {one}"#)]
        );
        let two = message(
            "<Notification><Id>1</Id></Notification><Notification><Id>2</Id></Notification>",
        );
        let events = check(SOAP, &[], two.as_bytes()).unwrap();
        assert_eq!(events.len(), 2);
        assert_eq!(
            events[1],
            r#"{"Id":"2","shared":{"OrganizationId":"00D"}} < {"Id":"2","shared":{"OrganizationId":"00D"}}"#
        );
        assert!(check(SOAP, &[], message("").as_bytes()).is_err());
        assert!(check(SOAP, &[], b"<a/>").is_err());
        assert!(check(SOAP, &[], b"<!DOCTYPE a><a/>").is_err());
    }

    const CE: [(&str, &str); 4] =
        [("ce-id", "1"), ("ce-source", "/s"), ("ce-specversion", "1.0"), ("ce-type", "t")];

    fn binary_with(more: &[(&str, &str)], body: &[u8]) -> Result<Vec<String>, String> {
        check("cloudevents", &[&CE[..], more].concat(), body)
    }

    #[test]
    fn a_cloud_event_may_stand_in_headers() {
        let kind = ("content-type", "application/json");
        assert_eq!(
            binary_with(
                &[kind, ("ce-subject", "Euro%20%E2%82%AC"), ("ce-x", "%2525")],
                b"{\"a\":1}"
            )
            .unwrap(),
            [
                r#"{"id":"1","source":"/s","specversion":"1.0","type":"t","subject":"Euro €","x":"%25","datacontenttype":"application/json","data":{"a":1}} < {"a":1}"#
            ]
        );
        assert_eq!(
            binary_with(&[("ce-subject", "\"a \\\"b\\\"\"")], b"").unwrap(),
            [r#"{"id":"1","source":"/s","specversion":"1.0","type":"t","subject":"a \"b\""} < "#]
        );
        assert!(binary_with(&[("ce-subject", "%FF")], b"").is_err());
        assert!(binary_with(&[("ce-id", "2")], b"").is_err());
        assert!(check("cloudevents", &CE[1..], b"").is_err());
        assert!(check("cloudevents", &[kind], b"{}").is_err());
    }

    #[test]
    fn cloud_events_may_be_json_and_several() {
        let kind = |kind| [("content-type", kind)];
        let event = |more: &str| {
            format!(r#"{{"id":"1","source":"/s","specversion":"1.0","type":"t"{more}}}"#)
        };
        let one = kind("application/cloudevents+json; charset=UTF-8");
        let batch = kind("application/cloudevents-batch+json");

        let data = event(r#","data_base64":"eyJhIjoxfQ==""#);
        assert!(
            check("cloudevents", &one, data.as_bytes()).unwrap()[0].contains(r#""data":{"a":1}"#)
        );
        let both = event(r#","data":1,"data_base64":"MQ==""#);
        assert!(check("cloudevents", &one, both.as_bytes()).is_err());
        let other = event("").replace("1.0", "9.9");
        assert!(check("cloudevents", &one, other.as_bytes()).is_err());
        assert!(check("cloudevents", &kind("application/cloudevents+avro"), b"").is_err());
        assert_eq!(check("cloudevents", &batch, b"[]").unwrap().len(), 0);
        let three = format!("[{},{},{}]", event(""), event(""), event(""));
        assert_eq!(check("cloudevents", &batch, three.as_bytes()).unwrap().len(), 3);
        let broken = format!("[{},{{}}]", event(""));
        assert!(check("cloudevents", &batch, broken.as_bytes()).is_err());
        assert!(check("cloudevents", &batch, event("").as_bytes()).is_err());
    }

    proptest! {
        #[test]
        fn no_bytes_make_it_panic(
            header in prop::collection::vec(any::<u8>(), 0..30),
            body in prop::collection::vec(any::<u8>(), 0..100),
            kind in prop::sample::select(vec![
                "", "application/json", "text/xml", "application/cloudevents+json",
                "application/cloudevents-batch+json", "application/x-www-form-urlencoded",
                "multipart/form-data; boundary=b",
            ]),
            yaml in prop::sample::select(vec!["body", "array", "cloudevents", "{ form_field: a }", SOAP]),
        ) {
            let envelope: Envelope = serde_saphyr::from_str(yaml).unwrap();
            let headers = [("content-type", kind.as_bytes()), ("ce-id", header.as_slice())];
            let request = Request { headers: &headers, body: &body, ..Request::default() };
            let _ = open(&envelope, &request, Timestamp::UNIX_EPOCH);
        }
    }
}
