//! Every scheme: right as it is, and refused with one byte changed wherever something is signed.
//! Vectors were made with the senders' own libraries or stand in their documentation; keys and
//! certificates are made here.

use aws_lc_rs::encoding::AsDer as _;
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_ASN1_SIGNING, EcdsaKeyPair, Ed25519KeyPair, KeyPair as _, RSA_PKCS1_SHA256,
    RsaKeyPair,
};
use base64::Engine as _;
use proptest::prelude::*;

use super::*;

pub(super) const B: &str = r#"{"id":"evt_1","type":"x"}"#;
pub(super) const AT: i64 = 1_700_000_000;

fn rule(yaml: &str) -> Verify {
    serde_saphyr::from_str(yaml).unwrap_or_else(|error| panic!("{yaml}: {error}"))
}

/// A signed request with all that it takes to check it.
#[derive(Clone)]
pub(super) struct Case {
    pub(super) rule: Verify,
    pub(super) secrets: Vec<(String, String)>,
    pub(super) settings: BTreeMap<String, String>,
    pub(super) documents: BTreeMap<String, String>,
    pub(super) anchor: Option<String>,
    pub(super) method: &'static str,
    pub(super) url: String,
    pub(super) query: Option<String>,
    pub(super) headers: Vec<(String, String)>,
    pub(super) body: Vec<u8>,
    pub(super) at: Timestamp,
}

impl Case {
    pub(super) fn new(yaml: &str, secret: &str, headers: &[(&str, &str)], body: &[u8]) -> Self {
        let own = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
        Self {
            rule: rule(yaml),
            secrets: vec![(SIGNING_SECRET.into(), secret.into())],
            settings: BTreeMap::new(),
            documents: BTreeMap::new(),
            anchor: None,
            method: "POST",
            url: "https://example.com/h".into(),
            query: None,
            headers: headers.iter().map(own).collect(),
            body: body.to_vec(),
            at: Timestamp::from_second(AT).unwrap(),
        }
    }

    pub(super) fn secret(mut self, name: &str, value: impl Into<String>) -> Self {
        self.secrets.push((name.into(), value.into()));
        self
    }

    pub(super) fn setting(mut self, name: &str, value: &str) -> Self {
        self.settings.insert(name.into(), value.into());
        self
    }

    pub(super) fn url(mut self, url: &str) -> Self {
        self.url = url.into();
        self
    }

    pub(super) fn at(mut self, time: &str) -> Self {
        self.at = time.parse().unwrap();
        self
    }

    pub(super) fn header(&mut self, name: &str) -> &mut String {
        let found = self.headers.iter_mut().find(|(other, _)| other == name);
        &mut found.unwrap_or_else(|| panic!("there is no {name}")).1
    }

    pub(super) fn check(&self) -> Result<Verified, Error> {
        let mut secrets = Secrets::new();
        for (name, value) in &self.secrets {
            secrets.add(name, Secret::new(value.clone()));
        }
        let given = Given {
            secrets: &secrets,
            settings: &self.settings,
            documents: &self.documents,
            trust_anchor: self.anchor.as_deref(),
        };
        let headers: Vec<_> =
            self.headers.iter().map(|(name, value)| (name.as_str(), value.as_bytes())).collect();
        let request = Request {
            method: self.method,
            url: &self.url,
            query: self.query.as_deref(),
            headers: &headers,
            body: &self.body,
        };
        verify(&self.rule, &request, &given, self.at)
    }

    /// It is believed; and not with any byte of the body changed, nor with any letter of these
    /// headers.
    pub(super) fn holds(&self, signed: &[&str]) {
        let verified = self.check().unwrap_or_else(|error| panic!("{:?}: {error}", self.headers));
        assert_eq!(verified.proof, Proof::Verified);
        if verified.covers_body {
            for place in 0..self.body.len() {
                let mut forged = self.clone();
                forged.body[place] ^= 1;
                assert!(forged.check().is_err(), "byte {place} of the body");
            }
            let mut forged = self.clone();
            forged.body.push(b'x');
            assert!(forged.check().is_err(), "a longer body");
        }
        for name in signed {
            let length = self.clone().header(name).len();
            for place in 0..length {
                let mut forged = self.clone();
                let value = forged.header(name);
                let letter = value.as_bytes()[place];
                // A letter that could stand there, so that it is read and then refused.
                let other = if letter == b'1' { "2" } else { "1" };
                value.replace_range(place..=place, other);
                assert!(
                    forged.check().is_err(),
                    "letter {place} of {name}: {}",
                    forged.header(name)
                );
            }
            let mut forged = self.clone();
            forged.headers.retain(|(other, _)| other != name);
            assert!(forged.check().is_err(), "without {name}");
        }
        if let [(_, secret)] = self.secrets.as_slice()
            && !secret.is_empty()
        {
            let mut other = self.clone();
            other.secrets[0].1 = "no secret at all".into();
            assert!(other.check().is_err(), "another secret");
        }
    }

    /// It is refused as soon as it is more than `tolerance` seconds from now, on both sides.
    fn ages(&self, tolerance: i64) {
        for (seconds, good) in
            [(tolerance, true), (-tolerance, true), (tolerance + 1, false), (-tolerance - 1, false)]
        {
            let mut case = self.clone();
            case.at = self.at + SignedDuration::from_secs(seconds);
            match case.check() {
                Ok(_) => assert!(good, "{seconds}"),
                Err(error) => {
                    assert!(!good && error.reason() == Reason::Stale, "{seconds}: {error}")
                }
            }
        }
    }
}

#[test]
fn vectors_of_keyed_digests() {
    let plain = |kind: &str, header: &str, more: &str| {
        format!("hmac: {{ {kind}: body, key: signing_secret, header: {header}, {more} }}")
    };
    let easypost = "905a0265c04b295d3c24d2865d7bd613b41110674488e2be68b566a7375531c4";
    for (yaml, secret, header, signature, body) in [
        (
            plain("sha256", "x-shopify-hmac-sha256", "encoding: base64"),
            "hush",
            "x-shopify-hmac-sha256",
            "K3I0yAGWAsadioD8i6aCNREa8QOkWl26kB++GozC7l4=".to_owned(),
            B,
        ),
        (
            plain("sha256", "x-wc-webhook-signature", "encoding: base64"),
            "sec",
            "x-wc-webhook-signature",
            "kFoCZcBLKV08JNKGXXvWE7QREGdEiOK+aLVmpzdVMcQ=".to_owned(),
            B,
        ),
        (
            plain("sha256", "typeform-signature", "prefix: 'sha256=', encoding: base64"),
            "sec",
            "typeform-signature",
            "sha256=kFoCZcBLKV08JNKGXXvWE7QREGdEiOK+aLVmpzdVMcQ=".to_owned(),
            B,
        ),
        (
            plain("sha256", "linear-signature", "encoding: hex"),
            "sec",
            "linear-signature",
            easypost.to_owned(),
            B,
        ),
        (
            plain("sha256", "x-hub-signature-256", "prefix: 'sha256=', encoding: hex"),
            "It's a Secret to Everybody",
            "x-hub-signature-256",
            "sha256=757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17".to_owned(),
            "Hello, World!",
        ),
        (
            plain("sha1", "x-hub-signature", "prefix: 'sha1=', encoding: hex"),
            "sec",
            "x-hub-signature",
            "sha1=f17bf28fd39082cb0a4189537d6eba1a3b8c9d4a".to_owned(),
            B,
        ),
        (
            plain(
                "sha256",
                "x-signature",
                "list: { separator: ',', take: signature }, encoding: hex",
            ),
            "sec",
            "x-signature",
            "signature=62843880f5ea63247765ce8e1eb6dd99a5ef35d0b3031891050ae1cf298e19e5".to_owned(),
            "payload=%7B%7D",
        ),
        (
            "hmac: { sha256: [url, body], key: signing_secret, header: x-square, encoding: base64 }"
                .to_owned(),
            "key",
            "x-square",
            "ZBb/di/p0TB/d0mdqELD41rCiNcUfCd3FUA9Gnx6cBw=".to_owned(),
            B,
        ),
    ] {
        Case::new(&yaml, secret, &[(header, &signature)], body.as_bytes()).holds(&[header]);
    }
}

#[test]
fn vectors_with_a_time() {
    let slack = Case::new(
        r#"hmac: { sha256: ["v0:", { header: x-slack-request-timestamp }, ":", body], key: signing_secret, header: x-slack-signature, prefix: "v0=", encoding: hex, time: { header: x-slack-request-timestamp, tolerance: 300s } }"#,
        "8f742231b10e8888abcd99yyyzzz85a5",
        &[
            ("x-slack-request-timestamp", "1531420618"),
            ("x-slack-signature", "v0=2abb93eb2a4c84c7a0c6bee974ec55ead7be6c67e71c1f78a343520bc07b0a07"),
        ],
        b"token=abc",
    )
    .at("2018-07-12T18:36:58Z");
    slack.holds(&["x-slack-signature", "x-slack-request-timestamp"]);
    slack.ages(300);

    let zendesk = Case::new(
        "hmac: { sha256: [{ header: x-ts }, body], key: signing_secret, header: x-sig, \
         encoding: base64, time: { header: x-ts, unit: iso, tolerance: 5m } }",
        "sec",
        &[
            ("x-ts", "2026-01-01T00:00:00Z"),
            ("x-sig", "T3YL/o1QkptVHnFETlA1Kgt8l3BILtbely7OeMA5SE4="),
        ],
        B.as_bytes(),
    )
    .at("2026-01-01T00:00:00Z");
    zendesk.holds(&["x-sig", "x-ts"]);
    zendesk.ages(300);

    let hubspot = Case::new(
        HUBSPOT,
        "sec",
        &[
            ("x-hubspot-request-timestamp", "1700000000000"),
            ("x-hubspot-signature-v3", "+XwMQUK8c0CgxhVIrxw8x0j8fj/cOUOVkgASovh+HHo="),
        ],
        B.as_bytes(),
    );
    hubspot.holds(&["x-hubspot-signature-v3", "x-hubspot-request-timestamp"]);
    hubspot.ages(300);

    let easypost = Case::new(
        EASYPOST,
        "sec",
        &[
            ("x-timestamp", "2026-01-01T00:00:00Z"),
            ("x-path", "/h"),
            (
                "x-hmac-signature-v2",
                "hmac-sha256-hex=20c20d52a87d5d34d3afb15b4ea249ab9d01a0e0a65bfeb3742b4cfdb8ca1e20",
            ),
        ],
        B.as_bytes(),
    )
    .at("2026-01-01T00:00:00Z");
    easypost.holds(&["x-hmac-signature-v2", "x-timestamp"]);
    easypost.ages(300);
    assert!(easypost.url("https://example.com/other").check().is_err());
}

#[test]
fn stripe_and_shippo_sign_in_a_list() {
    let yaml = r#"hmac: { sha256: [{ item: t }, ".", body], key: signing_secret, header: sig, list: { separator: ",", take: v1 }, encoding: hex, time: { item: t, tolerance: 300s } }"#;
    for (secret, signature) in [
        ("whsec_test", "788d93d5bb90832bf162d8e841846c643cb169034b84dc934986b7d9dcaa49fd"),
        ("sec", "a1cd92f4c39fcd803e5f0ed5018476bf0ccbb35538491d6559e023bd8e885225"),
    ] {
        let case = Case::new(
            yaml,
            secret,
            &[("sig", &format!("t=1700000000,v1={signature}"))],
            B.as_bytes(),
        );
        case.holds(&["sig"]);
        case.ages(300);
        for header in [
            format!("t=1700000000, v1={signature}"),
            format!(" v1={signature} ,\tt=1700000000 "),
            format!("t=1700000000,v1={},v1={signature},v0=xx", "0".repeat(64)),
        ] {
            let mut spaced = case.clone();
            spaced.header("sig").clone_from(&header);
            assert!(spaced.check().is_ok(), "{header}");
        }
        let mut only_old = case.clone();
        *only_old.header("sig") = format!("t=1700000000,v0={signature}");
        assert_eq!(only_old.check().unwrap_err().reason(), Reason::Malformed);
    }
}

#[test]
fn a_key_is_normalised_where_its_sender_does_so() {
    let yaml = |encoding: &str| {
        format!(
            "hmac: {{ sha256: body, key: {{ secret: signing_secret, encoding: {encoding} }}, header: sig, encoding: hex }}"
        )
    };
    let key = "e\u{301}\u{fb01}"; // what NFKD makes of "é" and of the ligature "ﬁ", but for "fi"
    let tag = hex::encode(digest::tag(
        crate::connector::Hash::Sha256,
        "e\u{301}fi".as_bytes(),
        &message::Message::of([B.as_bytes()]),
    ));
    for secret in [key, "\u{e9}fi", "e\u{301}fi"] {
        Case::new(&yaml("nfkd"), secret, &[("sig", &tag)], B.as_bytes()).holds(&["sig"]);
    }
    assert!(Case::new(&yaml("text"), "\u{e9}fi", &[("sig", &tag)], B.as_bytes()).check().is_err());
}

const MAILGUN: &str = r"
- name: events
  hmac: { sha256: [{ path: .signature.timestamp }, { path: .signature.token }], key: signing_secret, path: .signature.signature, encoding: hex, time: { path: .signature.timestamp, tolerance: 9h } }
- name: routes
  hmac: { sha256: [{ field: timestamp }, { field: token }], key: signing_secret, field: signature, encoding: hex }
";

#[test]
fn mailgun_signs_within_the_body() {
    let signature = "a372bf695815b2f2e7a50b9517dbdacd1d97f9c26fb57e058bf4a7a7f6b14cdb";
    for time in ["1700000000", "\"1700000000\""] {
        let body = format!(
            r#"{{"event-data":{{"id":"1"}},"signature":{{"timestamp":{time},"token":"tok","signature":"{signature}"}}}}"#
        );
        let case = Case::new(MAILGUN, "sec", &[], body.as_bytes());
        let verified = case.check().unwrap();
        assert!(!verified.covers_body);
        assert_eq!(verified.detail.scheme.as_deref(), Some("events"));
        case.ages(9 * 3600);
        let start = body.find("\"signature\":{").unwrap() + "\"signature\":{".len();
        for (from, length) in [
            (body.find("17000").unwrap(), 10),
            (body.find("tok\"").unwrap(), 3),
            (body.rfind(signature).unwrap(), 64),
        ] {
            assert!(from >= start);
            for place in from..from + length {
                let mut forged = case.clone();
                forged.body[place] = if forged.body[place] == b'1' { b'2' } else { b'1' };
                assert!(forged.check().is_err(), "{place}");
            }
        }
    }
    let form = format!("timestamp=1700000000&token=tok&signature={signature}&subject=a+b");
    let kind = [("content-type", "application/x-www-form-urlencoded")];
    assert!(Case::new(MAILGUN, "sec", &kind, form.as_bytes()).check().is_ok());
    let parts = format!(
        "--b\r\nContent-Disposition: form-data; name=\"timestamp\"\r\n\r\n1700000000\r\n--b\r\n\
         Content-Disposition: form-data; name=\"token\"\r\n\r\ntok\r\n--b\r\n\
         Content-Disposition: form-data; name=\"signature\"\r\n\r\n{signature}\r\n--b--\r\n"
    );
    let kind = [("content-type", "multipart/form-data; boundary=b")];
    assert!(Case::new(MAILGUN, "sec", &kind, parts.as_bytes()).check().is_ok());
    assert_eq!(
        Case::new(MAILGUN, "sec", &[], b"{}").check().unwrap_err().to_string(),
        "there is no value at `.signature.signature` of the body and no form field `signature`"
    );
}

const TWILIO: &str = "hmac: { sha1: [{ url: { port: either } }, sorted_form], key: signing_secret, header: x-twilio-signature, encoding: base64, body_sha256: { query: bodySHA256 } }";
const TWILIO_FORM: &str = "CallSid=CA1234567890ABCDE&Caller=%2B14158675310&Digits=1234&From=%2B14158675310&To=%2B18005551212";
pub(super) const FORM: (&str, &str) =
    ("content-type", "application/x-www-form-urlencoded; charset=utf-8");

#[test]
fn twilio_signs_the_address_and_the_sorted_form() {
    let case = Case::new(
        TWILIO,
        "12345",
        &[FORM, ("x-twilio-signature", "GvWf1cFY/Q7PnoempGyD5oXAezc=")],
        TWILIO_FORM.as_bytes(),
    )
    .url("https://mycompany.com/myapp.php?foo=1&bar=2");
    assert!(case.check().is_ok());
    case.clone().url("https://mycompany.com:443/myapp.php?foo=1&bar=2").check().unwrap();
    // The order of the fields is not signed, and `+` and `%2B` differ.
    let mut other = case.clone();
    other.body = TWILIO_FORM.replace("Digits=1234&", "").into_bytes();
    assert!(other.check().is_err());
    other.body.extend(b"&Digits=1234");
    assert!(other.check().is_ok());
    other.body = TWILIO_FORM.replace("%2B", "+").into_bytes();
    assert!(other.check().is_err());
    for url in
        ["http://mycompany.com/myapp.php?foo=1&bar=2", "https://mycompany.com/myapp.php?foo=1"]
    {
        assert!(case.clone().url(url).check().is_err(), "{url}");
    }
    case.holds_signature_only("x-twilio-signature");
}

impl Case {
    /// Refused with any letter of the header changed.
    pub(super) fn holds_signature_only(&self, name: &str) {
        let length = self.clone().header(name).len();
        for place in 0..length {
            let mut forged = self.clone();
            let value = forged.header(name);
            let other = if value.as_bytes()[place] == b'1' { "2" } else { "1" };
            value.replace_range(place..=place, other);
            assert!(forged.check().is_err(), "{place}");
        }
    }
}

pub(super) fn twilio(token: &str, signed: &str) -> String {
    let message = message::Message::of([signed.as_bytes()]);
    BASE64.encode(digest::tag(crate::connector::Hash::Sha1, token.as_bytes(), &message))
}

#[test]
fn twilio_signs_repeated_and_empty_fields() {
    let url = "https://a.example/h";
    for (body, signed) in [
        ("b=2&a=1&b=1&b=2", "a1b1b2"),
        ("b=&a=x+y", "ax yb"),
        ("a%3E=1&A=2", "A2a>1"),
        ("", ""),
        ("n=%C3%A9", "n\u{e9}"),
    ] {
        let signature = twilio("t", &format!("{url}{signed}"));
        let headers = [FORM, ("x-twilio-signature", &*signature)];
        let case = Case::new(TWILIO, "t", &headers, body.as_bytes()).url(url);
        assert!(case.check().is_ok(), "{body}");
    }
    for (told, signed) in [
        ("https://a.example/h", "https://a.example:443/h"),
        ("https://a.example:8443/h", "https://a.example/h"),
        ("https://a.example:8443/h", "https://a.example:8443/h"),
        ("http://a.example/h?x=1", "http://a.example:80/h?x=1"),
        ("https://A.example/h", "https://a.example/h"),
    ] {
        let signature = twilio("t", signed);
        let headers = [FORM, ("x-twilio-signature", &*signature)];
        assert!(Case::new(TWILIO, "t", &headers, b"").url(told).check().is_ok(), "{told} {signed}");
    }
}

#[test]
fn a_body_that_is_no_form_is_signed_by_its_digest_in_the_address() {
    let body = r#"{"a":1}"#;
    let digest = hex::encode(<sha2::Sha256 as sha2::Digest>::digest(body));
    let query = format!("bodySHA256={digest}");
    let signature = twilio("t", &format!("https://a.example/h?{query}"));
    let headers = [("content-type", "application/json"), ("x-twilio-signature", &*signature)];
    let mut case = Case::new(TWILIO, "t", &headers, body.as_bytes()).url("https://a.example/h");
    case.query = Some(query);

    let verified = case.check().unwrap();
    assert!(verified.covers_body);
    for place in 0..body.len() {
        let mut forged = case.clone();
        forged.body[place] ^= 1;
        assert_eq!(forged.check(), Err(Error::Mismatch));
    }
    // Signed as it should be, but without saying which body.
    let signature = twilio("t", "https://a.example/h");
    let headers = [("content-type", "application/json"), ("x-twilio-signature", &*signature)];
    let bare = Case::new(TWILIO, "t", &headers, body.as_bytes()).url("https://a.example/h");
    assert_eq!(bare.check().unwrap_err().reason(), Reason::Unsigned);
}

const HUBSPOT: &str = r#"
- name: v3
  hmac: { sha256: [method, { url: { decoded: ":/?@!$'()*,;" } }, body, { header: x-hubspot-request-timestamp }], key: signing_secret, header: x-hubspot-signature-v3, encoding: base64, time: { header: x-hubspot-request-timestamp, unit: ms, tolerance: 300s } }
- name: v2
  when: { header: x-hubspot-signature-version, is: v2 }
  hash_concat: { sha256: [secret, method, url, body], header: x-hubspot-signature, encoding: hex }
- name: v1
  when: { header: x-hubspot-signature-version, is: v1 }
  hash_concat: { sha256: [secret, body], header: x-hubspot-signature, encoding: hex }
"#;

#[test]
fn hubspot_says_which_of_its_schemes_it_is() {
    let v1 =
        ("x-hubspot-signature", "cb182dc878ec2d49e2a31dcc6f380815a3de9dfdcaa44992a6ee4c32b93a864f");
    let v2 =
        ("x-hubspot-signature", "f54859aba22f1bc1dc2ccecf4a23b2e0482365deb5855c34085e40bb3911f1e3");
    let version = |version| ("x-hubspot-signature-version", version);
    for (signature, name) in [(v1, "v1"), (v2, "v2")] {
        let case = Case::new(HUBSPOT, "sec", &[signature, version(name)], B.as_bytes());
        assert_eq!(case.check().unwrap().detail.scheme.as_deref(), Some(name));
        case.holds(&["x-hubspot-signature", "x-hubspot-signature-version"]);
        let alone = Case { rule: case.rule.only(name).unwrap(), ..case.clone() };
        assert!(alone.check().is_ok());
    }
    // The better one decides where both are there, and the worse one does not help it.
    let both = [
        v1,
        version("v1"),
        ("x-hubspot-request-timestamp", "1700000000000"),
        ("x-hubspot-signature-v3", "+XwMQUK8c0CgxhVIrxw8x0j8fj/cOUOVkgASovh+HHo="),
    ];
    let mut case = Case::new(HUBSPOT, "sec", &both, B.as_bytes());
    assert_eq!(case.check().unwrap().detail.scheme.as_deref(), Some("v3"));
    *case.header("x-hubspot-signature-v3") = "AAAA".into();
    assert_eq!(case.check(), Err(Error::Mismatch));
    assert_eq!(
        Case::new(HUBSPOT, "sec", &[], B.as_bytes()).check().unwrap_err().reason(),
        Reason::Unsigned
    );
}

#[test]
fn an_address_may_be_signed_decoded() {
    let told = "https://a.example/h?x=1%2C2&y=%41%zz";
    let decoded = "https://a.example/h?x=1,2&y=%41%zz";
    for url in [told, decoded] {
        let signed = format!("POST{url}{B}1700000000000");
        let tag = digest::tag(
            crate::connector::Hash::Sha256,
            b"sec",
            &message::Message::of([signed.as_bytes()]),
        );
        let headers = [
            ("x-hubspot-request-timestamp", "1700000000000"),
            ("x-hubspot-signature-v3", &*BASE64.encode(tag)),
        ];
        assert!(Case::new(HUBSPOT, "sec", &headers, B.as_bytes()).url(told).check().is_ok());
    }
}

const EASYPOST: &str = r#"
- name: v2
  hmac: { sha256: [{ header: x-timestamp }, method, path, body], key: { secret: signing_secret, encoding: nfkd }, header: x-hmac-signature-v2, prefix: "hmac-sha256-hex=", encoding: hex, time: { header: x-timestamp, unit: iso, tolerance: 5m } }
- name: v1
  hmac: { sha256: body, key: { secret: signing_secret, encoding: nfkd }, header: x-hmac-signature, prefix: "hmac-sha256-hex=", encoding: hex }
"#;

#[test]
fn lightspeed_c_hashes_body_and_secret() {
    let yaml = "hash_concat: { md5: [body, secret], header: x-signature, encoding: hex }";
    let header = ("x-signature", "b184427f1990ff99c0290ea43206a014");

    Case::new(yaml, "sec", &[header], B.as_bytes()).holds(&["x-signature"]);
}

const GITLAB: &str = r"
- name: signing_token
  standard_webhooks: {}
- name: token
  token_equal: { at: { header: x-gitlab-token } }
";

const STANDARD: [(&str, &str); 3] = [
    ("webhook-id", "msg_1"),
    ("webhook-timestamp", "1700000000"),
    ("webhook-signature", "v1,EniW5vVN9U2QJOI0VdL9dy2krJfRsV1slDiDYpfYrOU="),
];
const STANDARD_SECRET: &str = "whsec_AQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQE=";

#[test]
fn gitlab_is_proved_by_signature_or_by_token() {
    let signed = Case::new(GITLAB, STANDARD_SECRET, &STANDARD, B.as_bytes());
    signed.holds(&["webhook-id", "webhook-timestamp", "webhook-signature"]);
    signed.ages(300);
    let token = Case::new(GITLAB, "tok", &[("x-gitlab-token", "tok")], B.as_bytes());
    token.holds(&["x-gitlab-token"]);
    assert_eq!(token.check().unwrap().detail.scheme.as_deref(), Some("token"));

    let wrong = [&STANDARD[..], &[("x-gitlab-token", "wrong")]].concat();
    assert!(Case::new(GITLAB, STANDARD_SECRET, &wrong, B.as_bytes()).check().is_ok());
    let right = [&STANDARD[..], &[("x-gitlab-token", "tok")]].concat();
    // A signature that nobody here can check leaves the token; one that is wrong does not.
    assert!(Case::new(GITLAB, "tok!", &right, B.as_bytes()).check().is_err());
    let mut both =
        Case::new(GITLAB, STANDARD_SECRET, &right, B.as_bytes()).secret(SIGNING_SECRET, "tok");
    both.body.push(b' ');
    assert_eq!(both.check(), Err(Error::Mismatch));
}

#[test]
fn a_token_is_found_where_the_connector_says() {
    let case = |at: &str, headers: &[(&str, &str)]| {
        Case::new(&format!("token_equal: {{ at: {at} }}"), "s3cret-token", headers, B.as_bytes())
    };
    case("bearer", &[("authorization", "bearer  s3cret-token")]).check().unwrap();
    case("{ header: x-t, prefix: 'T ' }", &[("x-t", "T s3cret-token")]).holds(&["x-t"]);
    let basic = format!("Basic {}", BASE64.encode("user:s3cret-token"));
    case("basic", &[("authorization", &basic)]).check().unwrap();
    case("segment", &[]).url("https://a.example/in/s3cret%2Dtoken/").check().unwrap();
    let mut query = case("[bearer, { query: access_token }]", &[]);
    query.query = Some("access_token=s3cret%2Dtoken&x=1".into());
    query.check().unwrap();
    query.headers.push(("authorization".into(), "Bearer other".into()));
    assert_eq!(query.check(), Err(Error::Mismatch));
    let mut body = case("{ path: .token }", &[]);
    body.body = br#"{"token":"s3cret-token"}"#.to_vec();
    body.check().unwrap();

    for (at, headers) in [
        ("bearer", vec![("authorization", "Basic s3cret-token")]),
        ("bearer", vec![("authorization", "s3cret-token")]),
        ("bearer", vec![]),
        ("basic", vec![("authorization", "Basic !!")]),
        ("{ header: x-t }", vec![("x-t", "")]),
        ("{ header: x-t }", vec![("x-t", "s3cret-toke")]),
        ("{ header: x-t }", vec![("x-t", "s3cret-token"), ("x-t", "s3cret-token")]),
    ] {
        assert!(case(at, &headers).check().is_err(), "{at}: {headers:?}");
    }
    let mut empty = case("{ header: x-t }", &[("x-t", "")]);
    empty.secrets[0].1 = String::new();
    assert_eq!(empty.check(), Err(Error::NoSecret(SIGNING_SECRET.into())));
}

// -- public keys

const ED25519_PREFIX: &str = "302a300506032b6570032100";

pub(super) fn ed25519(message: &[&[u8]]) -> (Vec<u8>, Vec<u8>) {
    let key = Ed25519KeyPair::from_seed_unchecked(&[7; 32]).unwrap();
    let signature = key.sign(&message.concat()).as_ref().to_vec();
    (key.public_key().as_ref().to_vec(), signature)
}

#[test]
fn discord_signs_time_and_body() {
    let yaml = "ed25519: { message: [{ header: x-signature-timestamp }, body], key: public_key, header: x-signature-ed25519, encoding: hex }";
    let (key, signature) = ed25519(&[b"1700000000", B.as_bytes()]);
    let headers = [
        ("x-signature-timestamp", "1700000000"),
        ("x-signature-ed25519", &*hex::encode(signature)),
    ];
    let case = Case::new(yaml, "", &headers, B.as_bytes());

    let with = |key: String| case.clone().secret(PUBLIC_KEY, key);
    with(hex::encode(&key)).holds(&["x-signature-timestamp", "x-signature-ed25519"]);
    let setting = case.clone().setting(PUBLIC_KEY, &hex::encode(&key).to_uppercase());
    assert!(setting.check().is_ok());
    let der = [hex::decode(ED25519_PREFIX).unwrap(), key.clone()].concat();
    for written in [
        BASE64.encode(&key),
        BASE64.encode(&der),
        hex::encode(&der),
        format!("-----BEGIN PUBLIC KEY-----\n{}\n-----END PUBLIC KEY-----\n", BASE64.encode(&der)),
        format!("-----BEGIN PUBLIC KEY-----\\n{}\\n-----END PUBLIC KEY-----", BASE64.encode(&der)),
    ] {
        assert!(with(written.clone()).check().is_ok(), "{written}");
    }
    assert_eq!(case.check(), Err(Error::NoSecret(PUBLIC_KEY.into())));
    assert_eq!(with("00".repeat(31)).check(), Err(Error::BadSecret(PUBLIC_KEY.into())));
    assert_eq!(with("11".repeat(32)).check().unwrap_err(), Error::Mismatch);
    let two = with("22".repeat(32)).secret(PUBLIC_KEY, hex::encode(&key));
    assert!(two.check().is_ok());
}

#[test]
fn standard_webhooks_may_be_signed_with_a_key_pair() {
    let (key, signature) = ed25519(&[b"msg_1.1700000000.", B.as_bytes()]);
    let signature = format!("v1a,{}", BASE64.encode(signature));
    let headers = [STANDARD[0], STANDARD[1], ("webhook-signature", signature.as_str())];
    let case = Case::new("standard_webhooks", "", &headers, B.as_bytes());
    let key = format!("whpk_{}", BASE64.encode(key));

    let keyed = case.clone().secret(PUBLIC_KEY, key.clone());
    keyed.holds(&["webhook-id", "webhook-timestamp", "webhook-signature"]);
    keyed.ages(300);
    let mut with_hmac_alone = case;
    with_hmac_alone.secrets[0].1 = STANDARD_SECRET.into();
    assert_eq!(with_hmac_alone.check().unwrap_err().reason(), Reason::Malformed);
    let mut both = with_hmac_alone.secret(PUBLIC_KEY, key);
    assert!(both.check().is_ok());
    *both.header("webhook-signature") = format!("{} {}", STANDARD[2].1, "v1a,AAAA");
    assert!(both.check().is_ok());
}

const HIGHLEVEL: &str = "
- name: ed25519
  ed25519: { message: body, key: { default: KEY }, header: x-ghl-signature, encoding: base64 }
- name: legacy
  rsa_pkcs1_sha256: { message: body, key: public_key, header: x-wh-signature, encoding: base64 }
";

#[test]
fn highlevel_has_a_key_for_everybody_and_an_older_scheme() {
    let (key, signature) = ed25519(&[B.as_bytes()]);
    let yaml = HIGHLEVEL.replace("KEY", &format!("\"{}\"", BASE64.encode(key)));
    let rsa = RsaKeyPair::generate(aws_lc_rs::rsa::KeySize::Rsa2048).unwrap();
    let pem = rsa_pem(&rsa);
    let old = rsa_sign(&rsa, B.as_bytes());
    let signature = BASE64.encode(signature);

    let new = Case::new(&yaml, "", &[("x-ghl-signature", &signature)], B.as_bytes());
    new.holds(&["x-ghl-signature"]);
    let legacy =
        Case::new(&yaml, "", &[("x-wh-signature", &old)], B.as_bytes()).secret(PUBLIC_KEY, pem);
    legacy.holds(&["x-wh-signature"]);
    // The key that somebody gave is for the older scheme; the newer one keeps its own.
    let mut both = legacy;
    both.headers.push(("x-ghl-signature".into(), signature));
    assert!(both.check().is_ok());
    *both.header("x-ghl-signature") = BASE64.encode([1; 64]);
    assert_eq!(both.check(), Err(Error::Mismatch));
}

fn rsa_sign(key: &RsaKeyPair, message: &[u8]) -> String {
    let mut signature = vec![0; key.public_modulus_len()];
    key.sign(&RSA_PKCS1_SHA256, &SystemRandom::new(), message, &mut signature).unwrap();
    BASE64.encode(signature)
}

pub(super) fn rsa_pem(key: &RsaKeyPair) -> String {
    let der: aws_lc_rs::encoding::PublicKeyX509Der<'_> = key.public_key().as_der().unwrap();
    format!("-----BEGIN PUBLIC KEY-----\n{}\n-----END PUBLIC KEY-----", BASE64.encode(der.as_ref()))
}

#[test]
fn an_rsa_key_may_be_written_in_several_ways() {
    let yaml =
        "rsa_pkcs1_sha256: { message: body, key: public_key, header: sig, encoding: base64 }";
    let key = RsaKeyPair::generate(aws_lc_rs::rsa::KeySize::Rsa2048).unwrap();
    let signature = rsa_sign(&key, B.as_bytes());
    let case = Case::new(yaml, "", &[("sig", &signature)], B.as_bytes());
    let pkcs1 = BASE64.encode(key.public_key().as_ref());
    for written in [
        rsa_pem(&key),
        pkcs1.clone(),
        format!("-----BEGIN RSA PUBLIC KEY-----\n{pkcs1}\n-----END RSA PUBLIC KEY-----"),
        jwk(&key, "k1").to_string(),
    ] {
        case.clone().secret(PUBLIC_KEY, written).holds(&["sig"]);
    }
}

#[test]
fn sendgrid_signs_with_ecdsa() {
    let yaml = "ecdsa_p256_sha256: { message: [{ header: x-ts }, body], key: public_key, header: x-sig, encoding: base64 }";
    let body = b"[{\"event\":\"open\"}]\r\n";
    let key = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_ASN1_SIGNING).unwrap();
    let message = [b"1700000000".as_slice(), body].concat();
    let signature = key.sign(&SystemRandom::new(), &message).unwrap();
    let headers = [("x-ts", "1700000000"), ("x-sig", &*BASE64.encode(signature.as_ref()))];
    let der: aws_lc_rs::encoding::PublicKeyX509Der<'_> = key.public_key().as_der().unwrap();
    let case = Case::new(yaml, "", &headers, body).secret(PUBLIC_KEY, BASE64.encode(der.as_ref()));

    case.holds(&["x-ts", "x-sig"]);
    let mut trimmed = case.clone();
    trimmed.body.truncate(body.len() - 2);
    assert_eq!(trimmed.check(), Err(Error::Mismatch));
    // Both numbers side by side are another way of writing it.
    let mut raw = case;
    *raw.header("x-sig") = BASE64.encode([1; 64]);
    assert_eq!(raw.check(), Err(Error::Mismatch));
}

// -- documents

const SHIPENGINE: &str = r#"
rsa_pkcs1_sha256: { message: [{ header: x-ts }, ".", body], key: { jwks: { url: "https://api.shipengine.com/jwks", kid: { header: x-kid } } }, header: x-sig, encoding: base64, time: { header: x-ts, unit: iso, tolerance: 5m } }
"#;

pub(super) fn jwk(key: &RsaKeyPair, kid: &str) -> serde_json::Value {
    // PKCS #1 of 2048 bits: a number of 256 bytes behind 9 of its length, and 65537 at the end.
    let der = key.public_key().as_ref();
    let part = |bytes: &[u8]| base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(bytes);
    serde_json::json!({
        "kty": "RSA", "kid": kid, "use": "sig",
        "n": part(&der[9..265]),
        "e": part(&der[der.len() - 3..]),
    })
}

#[test]
fn a_key_is_taken_out_of_a_set_by_its_id() {
    let key = RsaKeyPair::generate(aws_lc_rs::rsa::KeySize::Rsa2048).unwrap();
    let other = RsaKeyPair::generate(aws_lc_rs::rsa::KeySize::Rsa2048).unwrap();
    let time = "2026-01-01T00:00:00Z";
    let signature = rsa_sign(&key, format!("{time}.{B}").as_bytes());
    let headers = [("x-ts", time), ("x-kid", "k1"), ("x-sig", &*signature)];
    let mut case = Case::new(SHIPENGINE, "", &headers, B.as_bytes()).at(time);

    let url = "https://api.shipengine.com/jwks".parse().unwrap();
    assert_eq!(case.check(), Err(Error::Missing(Document { url })));
    let set = serde_json::json!({ "keys": [{ "kty": "new" }, jwk(&other, "k2"), jwk(&key, "k1")] });
    case.documents.insert("https://api.shipengine.com/jwks".into(), set.to_string());
    case.holds(&["x-ts", "x-kid", "x-sig"]);
    case.ages(300);
    *case.header("x-kid") = "k3".into();
    assert!(matches!(case.check(), Err(Error::UnknownKey { kid, .. }) if kid == "k3"));
    *case.header("x-kid") = "k2".into();
    assert_eq!(case.check(), Err(Error::Mismatch));
}

const PAYPAL: &str = r#"
rsa_pkcs1_sha256: { message: [{ header: paypal-transmission-id }, "|", { header: paypal-transmission-time }, "|", { setting: webhook_id }, "|", body_crc32], key: { certificate: { url: { header: paypal-cert-url }, hosts: "*.paypal.com", name: "*.paypal.com" } }, header: paypal-transmission-sig, encoding: base64 }
"#;
const CERT_URL: &str = "https://api.paypal.com/v1/notifications/certs/CERT-1";

struct Authority {
    certificate: rcgen::Certificate,
    issuer: rcgen::Issuer<'static, rcgen::KeyPair>,
}

fn root(name: &str) -> Authority {
    let key = rcgen::KeyPair::generate().unwrap();
    let mut params = rcgen::CertificateParams::new(Vec::new()).unwrap();
    params.distinguished_name.push(rcgen::DnType::CommonName, name);
    params.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
    let certificate = params.self_signed(&key).unwrap();
    Authority { certificate, issuer: rcgen::Issuer::new(params, key) }
}

impl Authority {
    /// A certificate for a key of RSA, with the name in its subject.
    fn vouches(&self, name: &str, key: &rcgen::KeyPair, until: i32) -> String {
        let mut params = rcgen::CertificateParams::new(Vec::new()).unwrap();
        params.distinguished_name.push(rcgen::DnType::CommonName, name);
        params.not_before = rcgen::date_time_ymd(2020, 1, 1);
        params.not_after = rcgen::date_time_ymd(until, 1, 1);
        params.signed_by(key, &self.issuer).unwrap().pem()
    }
}

fn paypal() -> (Case, Authority, rcgen::KeyPair) {
    let key = RsaKeyPair::generate(aws_lc_rs::rsa::KeySize::Rsa2048).unwrap();
    let der: aws_lc_rs::encoding::Pkcs8V1Der<'_> = key.as_der().unwrap();
    let private = rustls_pki_types::PrivatePkcs8KeyDer::from(der.as_ref().to_vec());
    let certified =
        rcgen::KeyPair::from_pkcs8_der_and_sign_algo(&private, &rcgen::PKCS_RSA_SHA256).unwrap();
    let authority = root("Some Root");
    assert_eq!(crc32fast::hash(B.as_bytes()), 331_823_853);
    assert_eq!(crc32fast::hash(b"{}"), 2_745_614_147);
    let signature = rsa_sign(&key, b"tid|2026-01-01T00:00:00Z|WH1|331823853");
    let headers = [
        ("paypal-transmission-id", "tid"),
        ("paypal-transmission-time", "2026-01-01T00:00:00Z"),
        ("paypal-cert-url", CERT_URL),
        ("paypal-transmission-sig", &*signature),
    ];
    let mut case = Case::new(PAYPAL, "", &headers, B.as_bytes())
        .setting("webhook_id", "WH1")
        .at("2026-01-01T00:00:00Z");
    case.anchor = Some(authority.certificate.pem());
    let pem = authority.vouches("messageverificationcerts.paypal.com", &certified, 2030);
    case.documents.insert(CERT_URL.into(), pem);
    (case, authority, certified)
}

#[test]
fn paypal_signs_with_the_key_of_a_certificate() {
    let (case, authority, key) = paypal();

    case.holds(&["paypal-transmission-id", "paypal-transmission-time", "paypal-transmission-sig"]);
    let with = |pem: String| {
        let mut case = case.clone();
        case.documents.insert(CERT_URL.into(), pem);
        case.check()
    };
    let refused = |verdict: Result<Verified, Error>| match verdict {
        Err(Error::Certificate(why)) => why,
        other => panic!("{other:?}"),
    };
    // Somebody else's root, by itself and in the file.
    let stranger = root("Other Root");
    let forged = stranger.vouches("messageverificationcerts.paypal.com", &key, 2030);
    assert!(refused(with(forged.clone())).contains("leads to nobody"));
    assert!(refused(with(forged + &stranger.certificate.pem())).contains("leads to nobody"));
    for name in ["paypal.com.evil.example", "evilpaypal.com", "paypal.com"] {
        assert!(
            refused(with(authority.vouches(name, &key, 2030))).contains("not one of"),
            "{name}"
        );
    }
    let old = authority.vouches("a.paypal.com", &key, 2025);
    assert_eq!(refused(with(old)), "the certificate is no longer valid");
    assert!(refused(with("garbage".into())).contains("no certificate"));
    // Without an anchor of one's own, only what browsers trust.
    let mut browsers = case.clone();
    browsers.anchor = None;
    assert!(refused(browsers.check()).contains("leads to nobody"));
    let mut unknown = case.clone();
    unknown.settings.clear();
    assert_eq!(unknown.check(), Err(Error::NoSecret("webhook_id".into())));
}

#[test]
fn a_certificate_is_asked_for_only_where_its_sender_has_it() {
    let (mut case, ..) = paypal();
    case.documents.clear();
    assert!(
        matches!(case.check(), Err(Error::Missing(document)) if document.url.as_str() == CERT_URL)
    );

    for url in [
        "https://evil.example/cert",
        "https://paypal.com.evil.example/cert",
        "https://evilpaypal.com/cert",
        "https://api.paypal.com@evil.example/cert",
        "https://user@api.paypal.com/cert",
        "http://api.paypal.com/cert",
        "https://api.paypal.com:8443/cert",
        "https://127.0.0.1/cert",
        "file:///etc/passwd",
        "ftp://api.paypal.com/cert",
    ] {
        *case.header("paypal-cert-url") = url.into();
        case.documents.insert(url.into(), "never looked at".into());
        assert!(matches!(case.check(), Err(Error::Certificate(_))), "{url}");
    }
    *case.header("paypal-cert-url") = "nonsense".into();
    assert_eq!(case.check().unwrap_err().reason(), Reason::Malformed);
}

// -- nobody signs

#[test]
fn what_has_to_be_asked_for_again_is_unsigned() {
    let yaml = "refetch: { expect: [{ path: .org, setting: organization_id }] }";
    let case = Case::new(yaml, "", &[], br#"{"org":"00D"}"#);

    let verified = case.clone().setting("organization_id", " 00D ").check().unwrap();
    assert_eq!(verified.proof, Proof::Unsigned);
    assert_eq!(
        case.clone().setting("organization_id", "00E").check().unwrap_err().reason(),
        Reason::Unwanted
    );
    assert_eq!(case.check(), Err(Error::NoSecret("organization_id".into())));
    assert!(Case::new("refetch", "", &[], b"").check().is_ok());
}

#[test]
fn a_form_is_guarded() {
    let yaml = "form_guard: { origins: origins, honeypot: _gotcha, time: { field: _at, at_least: 2s, at_most: 1d } }";
    let form = |origin: Option<&str>, body: &str| {
        let mut headers = vec![FORM];
        headers.extend(origin.map(|origin| ("origin", origin)));
        Case::new(yaml, "", &headers, body.as_bytes()).setting("origins", "https://acme.example")
    };
    let acme = Some("https://acme.example");

    assert_eq!(form(acme, "a=1&_gotcha=").check().unwrap().proof, Proof::Unsigned);
    assert!(form(acme, "a=1&_at=1699999998").check().is_ok());
    assert_eq!(form(acme, "_gotcha=x").check(), Err(Error::Trapped("_gotcha".into())));
    for (origin, body) in [
        (Some("https://evil.example"), "a=1"),
        (None, "a=1"),
        (acme, "_at=1699999999"),
        (acme, "_at=1700000009"),
    ] {
        assert_eq!(form(origin, body).check().unwrap_err().reason(), Reason::Unwanted, "{body}");
    }
    assert_eq!(form(acme, "_at=1").check().unwrap_err().reason(), Reason::Stale);
    assert_eq!(form(acme, "_at=x").check().unwrap_err().reason(), Reason::Malformed);
}

#[test]
fn a_form_may_say_how_long_its_page_was_open() {
    let yaml = "form_guard: { origins: origins, honeypot: h, \
                time: { field: s, elapsed: true, at_least: 2s, at_most: 1d } }";
    let reason = |body: &str| {
        let headers = [FORM, ("origin", "https://acme.example")];
        let case = Case::new(yaml, "", &headers, body.as_bytes());
        case.setting("origins", "https://acme.example").check().err().map(|it| it.reason())
    };

    for taken in ["s=2", "s=2.0", "s=86400", "a=1"] {
        assert_eq!(reason(taken), None, "{taken}");
    }
    assert_eq!(reason("s=1.9"), Some(Reason::Unwanted));
    assert_eq!(reason("s=86401"), Some(Reason::Stale));
    for unreadable in ["s=x", "s=-1", "s=NaN", "s=1e300"] {
        assert_eq!(reason(unreadable), Some(Reason::Malformed), "{unreadable}");
    }
}

/// The HMAC-SHA256 of these pieces, in hex.
pub(super) fn tag_of(key: &str, pieces: &[&[u8]]) -> String {
    let message = message::Message::of(pieces.iter().copied());
    hex::encode(digest::tag(crate::connector::Hash::Sha256, key.as_bytes(), &message))
}

#[test]
fn a_time_may_be_a_date_of_mail() {
    let check = |time: &str, seconds: i64| {
        let tag = tag_of("sec", &[time.as_bytes(), b"x"]);
        let case = Case::new(
            "hmac: { sha256: [{ header: x-ts }, body], key: signing_secret, header: x-sig, \
             encoding: hex, time: { header: x-ts, unit: date, tolerance: 5m } }",
            "sec",
            &[("x-ts", time), ("x-sig", &tag)],
            b"x",
        );
        let mut case = case.at("2025-08-19T20:37:09Z");
        case.at += SignedDuration::from_secs(seconds);
        case.check().err().map(|error| error.reason())
    };

    for time in [
        "Tue, 19 Aug 2025 20:37:09 -0000",
        "Tue, 19 Aug 2025 20:37:09 GMT",
        "19 Aug 2025 22:37:09 +0200",
        "2025-08-19T20:37:09Z",
        "2025-08-19T22:37:09.000+02:00",
    ] {
        assert_eq!(check(time, 300), None, "{time}");
        assert_eq!(check(time, -300), None, "{time}");
        assert_eq!(check(time, 301), Some(Reason::Stale), "{time}");
        assert_eq!(check(time, -301), Some(Reason::Stale), "{time}");
    }
    for time in ["1755635829", "yesterday", "2025-08-19"] {
        assert_eq!(check(time, 0), Some(Reason::Malformed), "{time}");
    }
}

#[test]
fn a_time_that_need_not_be_there_counts_where_it_is() {
    let check = |place: &str, header: Option<&str>, body: &str| {
        let tag = tag_of("sec", &[body.as_bytes()]);
        let yaml = format!(
            "hmac: {{ sha256: body, key: signing_secret, header: x-sig, encoding: hex, \
             time: {{ {place}, unit: iso, tolerance: 90m, optional: true }} }}"
        );
        let mut headers = vec![("x-sig", tag.as_str())];
        headers.extend(header.map(|time| ("x-ts", time)));
        let case = Case::new(&yaml, "sec", &headers, body.as_bytes()).at("2026-01-01T00:00:00Z");
        case.check().err().map(|error| error.reason())
    };

    let inside = |body: &str| check("path: .at", None, body);
    assert_eq!(inside("{}"), None);
    assert_eq!(inside(r#"{"at":"2025-12-31T22:30:00Z"}"#), None);
    assert_eq!(inside(r#"{"at":"2025-12-31T22:29:59Z"}"#), Some(Reason::Stale));
    assert_eq!(inside(r#"{"at":"soon"}"#), Some(Reason::Malformed));
    let outside = |time| check("header: x-ts", time, "{}");
    assert_eq!(outside(None), None);
    assert_eq!(outside(Some("2025-12-31T22:29:59Z")), Some(Reason::Stale));
    assert_eq!(outside(Some("soon")), Some(Reason::Malformed));
    let item = "hmac: { sha256: body, key: signing_secret, header: s, list: { separator: ',', take: v }, \
                encoding: hex, time: { item: t, tolerance: 1m, optional: true } }";
    assert!(serde_saphyr::from_str::<Verify>(item).is_err());
}

#[test]
fn a_scheme_without_proof_is_for_inboxes_without_a_secret() {
    let yaml =
        "[{ hmac: { sha256: body, key: signing_secret, header: sig, encoding: hex } }, none]";

    assert_eq!(Case::new(yaml, "", &[], b"x").check().unwrap().proof, Proof::Unsigned);
    assert_eq!(Case::new(yaml, "sec", &[], b"x").check().unwrap_err().reason(), Reason::Unsigned);
}

// -- anything at all

const ALL: &[&str] = &[
    "standard_webhooks",
    MAILGUN,
    TWILIO,
    HUBSPOT,
    EASYPOST,
    GITLAB,
    SHIPENGINE,
    PAYPAL,
    "token_equal: { at: [bearer, basic, segment, { query: q }, { field: f }, { path: .p }] }",
    "hash_concat: { md5: [body, secret], header: x-sig, encoding: hex }",
    "ed25519: { message: [{ header: x-ts }, body], key: public_key, header: x-sig, encoding: hex }",
    "ecdsa_p256_sha256: { message: [{ header: x-ts }, body], key: public_key, header: x-sig, encoding: base64 }",
    "form_guard: { origins: origins, honeypot: h, time: { field: t, at_least: 2s, key: signing_secret, signature: s } }",
];

const NAMES: &[&str] = &[
    "webhook-id",
    "webhook-timestamp",
    "webhook-signature",
    "x-twilio-signature",
    "x-hubspot-signature-v3",
    "x-hubspot-signature",
    "x-hubspot-signature-version",
    "x-hmac-signature",
    "x-hmac-signature-v2",
    "x-timestamp",
    "x-gitlab-token",
    "authorization",
    "x-sig",
    "x-ts",
    "x-kid",
    "paypal-cert-url",
    "paypal-transmission-id",
    "paypal-transmission-time",
    "paypal-transmission-sig",
    "content-type",
    "origin",
];

proptest! {
    #[test]
    fn no_bytes_make_it_panic_or_believe(
        which in 0..ALL.len(),
        values in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..40), NAMES.len()),
        kind in prop::sample::select(vec!["application/json", "application/x-www-form-urlencoded", "multipart/form-data; boundary=b", "\u{fffd}"]),
        secret in ".{0,40}",
        url in ".{0,40}",
        query in prop::option::of(".{0,40}"),
        body in prop::collection::vec(any::<u8>(), 0..120),
    ) {
        let mut headers: Vec<(&str, &[u8])> =
            NAMES.iter().copied().zip(values.iter().map(Vec::as_slice)).collect();
        headers.push(("content-type", kind.as_bytes()));
        let mut secrets = Secrets::new();
        secrets.add(SIGNING_SECRET, Secret::new(secret.clone()));
        secrets.add(PUBLIC_KEY, Secret::new(secret.clone()));
        let settings = BTreeMap::from([("webhook_id".to_owned(), secret)]);
        let documents = BTreeMap::from([("https://api.shipengine.com/jwks".to_owned(), url.clone())]);
        let given = Given { secrets: &secrets, settings: &settings, documents: &documents, trust_anchor: Some(&url) };
        let request = Request { method: "POST", url: &url, query: query.as_deref(), headers: &headers, body: &body };

        let verdict = verify(&rule(ALL[which]), &request, &given, Timestamp::from_second(AT).unwrap());

        let believed = verdict.is_ok_and(|verified| verified.proof == Proof::Verified);
        prop_assert!(!believed);
    }

    #[test]
    fn no_text_makes_reading_a_key_panic(text in ".{0,80}", pem in "[A-Za-z0-9+/=\\n-]{0,60}") {
        for kind in [Algorithm::Ed25519, Algorithm::RsaPkcs1Sha1, Algorithm::RsaPssSha256, Algorithm::EcdsaP256Sha256] {
            let _ = key::read(kind, &text, "whpk_");
            let _ = key::read(kind, &format!("-----BEGIN PUBLIC KEY-----{pem}-----END PUBLIC KEY-----"), "");
            let _ = key::read(kind, &format!("-----BEGIN CERTIFICATE-----{pem}-----END CERTIFICATE-----"), "");
            let _ = key::read(kind, &format!("{{\"keys\":[{{\"kty\":\"RSA\",\"n\":\"{pem}\",\"e\":\"AQAB\"}}]}}"), "");
        }
    }

    #[test]
    fn a_changed_bit_anywhere_in_the_body_is_never_believed(
        body in prop::collection::vec(any::<u8>(), 1..80),
        place in any::<prop::sample::Index>(),
        bit in 0u8..8,
    ) {
        let (key, signature) = ed25519(&[&body]);
        let tag = hex::encode(digest::tag(crate::connector::Hash::Sha256, b"sec", &message::Message::of([body.as_slice()])));
        let signature = hex::encode(signature);
        for (yaml, signature) in [
            ("ed25519: { message: body, key: public_key, header: sig, encoding: hex }", &signature),
            ("hmac: { sha256: body, key: signing_secret, header: sig, encoding: hex }", &tag),
        ] {
            let case = Case::new(yaml, "sec", &[("sig", signature)], &body).secret(PUBLIC_KEY, hex::encode(&key));
            prop_assert!(case.check().is_ok());
            let mut forged = case;
            forged.body[place.index(body.len())] ^= 1 << bit;
            prop_assert_eq!(forged.check(), Err(Error::Mismatch));
        }
    }
}
