//! What is signed, and where signatures are: of each the right one, and what comes close to it.

use super::schemes::{Case, FORM, twilio};
use super::*;

// -- forms

const MANDRILL: &str = "hmac: { sha1: [url, sorted_form], key: signing_secret, \
                        header: x-mandrill-signature, encoding: base64 }";
const OWN: &[(&str, &str)] = &[
    ("proof", "hmac"),
    ("digest", "sha1"),
    ("signature", "x-mandrill-signature"),
    ("encoding", "base64"),
    ("message", "{url}{form}"),
];
const URL: &str = "https://example.com/h";
const PARTS: &str =
    "--b\r\ncontent-disposition: form-data; name=\"f\"; filename=\"f\"\r\n\r\n{}\r\n--b--";

fn signed_form(signed: &str, kind: Option<&str>, body: &str) -> [Case; 2] {
    let signature = twilio("key", &format!("{URL}{signed}"));
    let mut headers = vec![("x-mandrill-signature", signature.as_str())];
    headers.extend(kind.map(|kind| ("content-type", kind)));
    let mut own = Case::new("own", "key", &headers, body.as_bytes());
    own.settings = OWN.iter().map(|(name, value)| ((*name).into(), (*value).into())).collect();
    [Case::new(MANDRILL, "key", &headers, body.as_bytes()), own]
}

#[test]
fn a_signature_of_the_address_alone_proves_no_body_that_is_no_form() {
    let refused = Err(Error::Malformed("a body that is no form".into()));
    for (kind, body) in [
        (Some("application/json"), r#"{"evil":1}"#),
        (Some("text/plain"), "evil"),
        (Some("multipart/form-data; boundary=b"), PARTS),
        (Some("application/x-www-form-urlencoded-not"), "a=1"),
        (None, r#"{"evil":1}"#),
        (None, "a=1"),
        (None, " "),
    ] {
        for case in signed_form("", kind, body) {
            assert_eq!(case.check(), refused, "{kind:?} {body}");
        }
    }
    for case in signed_form("", Some("application/json"), "") {
        assert!(case.check().is_ok(), "nothing is nothing");
    }
    for case in signed_form("a1b2", Some(FORM.1), "b=2&a=1") {
        case.holds(&["x-mandrill-signature"]);
    }
}

#[test]
fn a_body_that_is_signed_beside_the_form_may_be_any() {
    let yaml =
        "hmac: { sha1: [sorted_form, body], key: signing_secret, header: s, encoding: base64 }";
    for (kind, body, signed) in [
        ("application/json", "{}", "{}"),
        ("application/x-www-form-urlencoded", "b=2&a=1", "a1b2b=2&a=1"),
    ] {
        let signature = twilio("key", signed);
        let headers = [("content-type", kind), ("s", &*signature)];
        Case::new(yaml, "key", &headers, body.as_bytes()).holds(&["s"]);
    }
}

// -- keys

#[test]
fn a_key_that_fits_every_message_is_none() {
    let yaml = "ed25519: { message: body, key: public_key, header: s, encoding: hex }";
    // The neutral point, and one of order 8: R neutral and s zero fit whatever is signed.
    let neutral = format!("01{}", "00".repeat(31));
    let signature = format!("{neutral}{}", "00".repeat(32));
    for key in [
        neutral.as_str(),
        "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a",
        "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
        &"00".repeat(32),
    ] {
        let case = Case::new(yaml, "", &[("s", &signature)], b"x").secret(PUBLIC_KEY, key);
        assert_eq!(case.check(), Err(Error::BadSecret(PUBLIC_KEY.into())), "{key}");
    }
}
