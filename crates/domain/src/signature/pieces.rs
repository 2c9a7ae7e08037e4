//! What is signed, and where signatures are: of each the right one, and what comes close to it.

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_ASN1_SIGNING, ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair as _,
    RSA_PKCS1_SHA256, RSA_PSS_SHA256, RsaKeyPair,
};
use base64::Engine as _;
use proptest::prelude::*;

use super::schemes::{Case, FORM, jwk, rsa_pem, tag_of, twilio};
use super::*;

const SHA1_KEY: &str = "MIIBIjANBgkqhkiG9w0BAQEFAAOCAQ8AMIIBCgKCAQEA3gx8Bcf5sN0mJVcJrMBQ37crm2ouoO3L4+xIIu5LLMJwBvWOih6OjaXJkM5GkdUGhvi0EzRz+JiLcUnld+jGccFm87opzCdPV/EwC8IAFLCp6QTe5//e+sv2v0mm4Pnqr9/sPiZObpEXyAeAYL3VbJusp1yd8bM0MSw6c9GfjZ6KufxuDFXCjLJlQVHpMvVIVyCSLQFeHtiLVV/RG49tOEveETlX3ODbZi/dq+5ZQ54ywDrN2yufnxZxb26ETWFnB22Vq+oyUhl/LnY3eFKypy7hQm1EECDN5xFBMWyV9TNE2U4CTe3EeImpR/gnveIdfV4Dj3AMkRtwRkvfs4nvfQIDAQAB";
const SHA1_SIGNATURE: &str = "BSYZaKk65dLKTo26lspADu+jlsrX8ZlHnYz0DJCnq978q4GOY3aS+3e4QemXg/Sqgdd3Jbs1p4WjjX+IhYa69Lfk7MEi/QTmuwy4LGmh2bFWdG7EySgol0qap0lBwfKf7ZiWiZ1qSPBmyQXrNN037P7aikJ3vemEwkLJ+7WBLPgqhAsr5xNBxxexPQnpXYNmpSgaT5yWwMCHNXZdI2LsRRzlW75lXThfSSgh5JySQ2hAR2MnMv8jUOK6AS+DoYzm3lrN8tBOo0UeZf7S6+8AJgWa9kY93ARsnDHmqrJukSj98a8bxdDzd1VnbEsIvc6vcGj4qB7TrThI9Z4KYM28HA==";

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

// -- several headers

const BOX: &str = "hmac: { sha256: [body, { header: box-delivery-timestamp }], key: signing_secret, \
                   header: [box-signature-primary, Box-Signature-Secondary], encoding: base64, \
                   time: { header: box-delivery-timestamp, unit: iso, tolerance: 10m } }";
const TIME: &str = "2020-01-01T00:00:00-07:00";

fn boxed(primary: &str, secondary: &str, secrets: &[&str]) -> Case {
    let sign =
        |key: &str| BASE64.encode(hex::decode(tag_of(key, &[b"{}", TIME.as_bytes()])).unwrap());
    let (primary, secondary) = (sign(primary), sign(secondary));
    let headers = [
        ("box-delivery-timestamp", TIME),
        ("box-signature-primary", &*primary),
        ("box-signature-secondary", &*secondary),
    ];
    let mut case = Case::new(BOX, "", &headers, b"{}").at("2020-01-01T07:05:00Z");
    case.secrets.clear();
    for secret in secrets {
        case = case.secret(SIGNING_SECRET, *secret);
    }
    case
}

#[test]
fn of_several_headers_one_that_fits_is_enough() {
    let fitted = |primary, secondary, secrets: &[&str]| {
        boxed(primary, secondary, secrets).check().map(|verified| verified.detail.secret.unwrap())
    };
    assert_eq!(fitted("one", "two", &["one", "two"]), Ok(1));
    assert_eq!(fitted("one", "two", &["one"]), Ok(1));
    assert_eq!(fitted("new", "two", &["one", "two"]), Ok(2), "the first was changed");
    assert_eq!(fitted("one", "new", &["one", "two"]), Ok(1), "the second was changed");
    assert_eq!(fitted("new", "newer", &["one", "two"]), Err(Error::Mismatch));
    boxed("one", "other", &["one"]).holds(&["box-delivery-timestamp", "box-signature-primary"]);
    boxed("other", "two", &["two"]).holds(&["box-delivery-timestamp", "box-signature-secondary"]);

    let mut case = boxed("one", "two", &["one", "two"]);
    case.headers.remove(1);
    assert_eq!(case.check().unwrap().detail.header.as_deref(), Some("box-signature-secondary"));
    case.headers.push(case.headers[1].clone());
    assert_eq!(case.check().unwrap_err().reason(), Reason::Malformed, "twice is nobody's");
    case.headers.truncate(1);
    let none = "there is no `box-signature-primary` header and no `box-signature-secondary` header";
    assert_eq!(case.check().unwrap_err().to_string(), none);
    let mut unread = boxed("one", "two", &["one", "two"]);
    *unread.header("box-signature-primary") = "%".into();
    assert!(unread.check().is_ok(), "what cannot be read is none");
    *unread.header("box-signature-secondary") = "%".into();
    assert_eq!(unread.check().unwrap_err().reason(), Reason::Malformed);

    let item = "hmac: { sha256: [{ item: t }, body], key: signing_secret, header: [a, b], \
                list: { separator: ',', take: v }, encoding: hex }";
    let error = serde_saphyr::from_str::<Verify>(item).unwrap_err().to_string();
    assert!(error.contains("of several headers nobody knows whose `item` is meant"), "{error}");
}

// -- places

const ADYEN: &str = "hmac: { key: { secret: signing_secret, encoding: hex }, encoding: base64, \
    path: '.notificationItems[0].NotificationRequestItem.additionalData.hmacSignature', sha256: [\
    { path: '.notificationItems[0].NotificationRequestItem.pspReference', optional: true }, ':', \
    { path: '.notificationItems[0].NotificationRequestItem.originalReference', optional: true }, ':', \
    { path: '.notificationItems[0].NotificationRequestItem.merchantAccountCode', optional: true }, ':', \
    { path: '.notificationItems[0].NotificationRequestItem.merchantReference', optional: true }, ':', \
    { path: '.notificationItems[0].NotificationRequestItem.amount.value', optional: true }, ':', \
    { path: '.notificationItems[0].NotificationRequestItem.amount.currency', optional: true }, ':', \
    { path: '.notificationItems[0].NotificationRequestItem.eventCode', optional: true }, ':', \
    { path: '.notificationItems[0].NotificationRequestItem.success', optional: true }] }";

#[test]
fn adyen_signs_the_fields_of_its_one_item() {
    // The vector in the tests of the sender's own libraries.
    let key = "44782DEF547AAA06C910C43932B1EB0C71FC68D9D0C057550C48EC2ACF6BA056";
    let body = r#"{"live":"false","notificationItems":[{"NotificationRequestItem":{"pspReference":"7914073381342284","merchantAccountCode":"TestMerchant","merchantReference":"TestPayment-1407325143704","amount":{"value":1130,"currency":"EUR"},"eventCode":"AUTHORISATION","success":"true","additionalData":{"hmacSignature":"coqCmt/IZ4E3CzPvMY8zTjQVL5hYJUiBRg8UU+iCWo0="}}}]}"#;
    let case = Case::new(ADYEN, key, &[], body.as_bytes());

    let verified = case.check().unwrap();
    assert!(!verified.covers_body, "only those fields are");
    for (what, other) in [
        ("7914073381342284", "7914073381342285"),
        ("TestMerchant", "TestMerchants"),
        ("TestPayment-1407325143704", ""),
        ("1130", "1131"),
        ("EUR", "USD"),
        ("AUTHORISATION", "CAPTURE"),
        ("\"true\"", "false"),
        ("coqC", "coqD"),
        ("\"pspReference\"", "\"originalReference\""),
    ] {
        let forged = Case::new(ADYEN, key, &[], body.replace(what, other).as_bytes());
        assert_eq!(forged.check(), Err(Error::Mismatch), "{what}");
    }
    let unsigned = Case::new(ADYEN, key, &[], br#"{"notificationItems":[]}"#);
    assert_eq!(unsigned.check().unwrap_err().reason(), Reason::Unsigned);
}

#[test]
fn a_token_may_stand_in_a_list() {
    let yaml = "token_equal: { at: { path: '.value[0].clientState' } }";
    let reason = |body: &str| {
        Case::new(yaml, "state", &[], body.as_bytes()).check().err().map(|error| error.reason())
    };
    assert_eq!(reason(r#"{"value":[{"clientState":"state"},{"clientState":"x"}]}"#), None);
    let other = r#"{"value":[{"clientState":"x"},{"clientState":"state"}]}"#;
    assert_eq!(reason(other), Some(Reason::WrongSignature));
    for nothing in [r#"{"value":[]}"#, r#"{"value":{"0":{"clientState":"state"}}}"#, "[]", ""] {
        assert_eq!(reason(nothing), Some(Reason::Unsigned), "{nothing}");
    }
}

#[test]
fn a_piece_that_may_be_missing_takes_what_is_around_it_along() {
    let yaml = "hmac: { sha256: [\"Message\\n\", { path: .Message }, \"\\n\", { path: .Subject, \
                optional: true, before: \"Subject\\n\", after: \"\\n\" }, \"Type\\n\", { path: .Type }, \
                \"\\n\"], key: signing_secret, path: .Signature, encoding: hex }";
    let check = |signed: &str, members: &str| {
        let signature = tag_of("sec", &[signed.as_bytes()]);
        let body = format!("{{\"Signature\":\"{signature}\",\"Type\":\"N\",{members}}}");
        Case::new(yaml, "sec", &[], body.as_bytes()).check().map(|_| ())
    };
    let with = "Message\nm\nSubject\ns\nType\nN\n";
    let without = "Message\nm\nType\nN\n";
    assert_eq!(check(with, r#""Message":"m","Subject":"s""#), Ok(()));
    assert_eq!(check(without, r#""Message":"m""#), Ok(()));
    assert_eq!(check(without, r#""Message":"m","Subject":null"#), Ok(()));
    assert_eq!(check(with, r#""Message":"m""#), Err(Error::Mismatch));
    assert_eq!(check(without, r#""Message":"m","Subject":"s""#), Err(Error::Mismatch));
    assert_eq!(check(without, r#""Message":"m","Subject":"""#), Err(Error::Mismatch));
    for (yaml, says) in [
        ("{ path: .a, before: x }", "`before` and `after` stand beside `optional: true`"),
        ("{ text: a, optional: true }", "`optional` is for a `header`"),
        ("{ path: .a, header: b }", "exclude each other"),
        ("{ path: .a, text: b }", "exclude each other"),
        ("{}", "expected one of"),
    ] {
        let yaml =
            format!("hmac: {{ sha256: {yaml}, key: signing_secret, header: s, encoding: hex }}");
        let error = serde_saphyr::from_str::<Verify>(&yaml).unwrap_err().to_string();
        assert!(error.contains(says), "{yaml}: {error}");
    }
}

#[test]
fn a_signature_may_stand_in_json_in_a_field_of_a_form() {
    let yaml = "hmac: { sha256: [{ field: json, path: .event.event_time }, { field: json, path: \
                .event.event_type }], key: signing_secret, field: json, path: .event.event_hash, \
                encoding: hex }";
    let hash = tag_of("api-key", &[b"1348177752", b"signature_request_sent"]);
    let json = format!(
        r#"{{"event":{{"event_time":"1348177752","event_type":"signature_request_sent","event_hash":"{hash}"}}}}"#
    );
    let part = |json: &str| {
        format!("--b\r\ncontent-disposition: form-data; name=\"json\"\r\n\r\n{json}\r\n")
    };
    let check = |body: &str| {
        let headers = [("content-type", "multipart/form-data; boundary=b")];
        Case::new(yaml, "api-key", &headers, body.as_bytes()).check().map_err(|it| it.reason())
    };
    assert!(check(&format!("{}--b--", part(&json))).is_ok());
    let later = json.replace("1348177752", "1348177753");
    assert_eq!(check(&format!("{}--b--", part(&later))), Err(Reason::WrongSignature));
    let twice = format!("{}{}--b--", part(&json), part(&later));
    assert_eq!(check(&twice), Err(Reason::Malformed));
    assert_eq!(check(&json), Err(Reason::Unsigned));
    let says = Case::new(yaml, "api-key", &[], b"{}").check().unwrap_err().to_string();
    assert_eq!(says, "there is no value at `.event.event_hash` of the form field `json`");
}

#[test]
fn the_target_is_the_path_with_the_query_that_came() {
    let yaml = "hmac: { sha256: [method, \"\\n\", target, \"\\n\", body], key: signing_secret, \
                header: s, encoding: hex }";
    for (query, target) in [(None, "/h"), (Some("a=%20b"), "/h?a=%20b"), (Some(""), "/h?")] {
        let signature = tag_of("sec", &[b"POST\n", target.as_bytes(), b"\n{}"]);
        let mut case = Case::new(yaml, "sec", &[("s", &signature)], b"{}");
        case.query = query.map(str::to_owned);
        case.holds(&["s"]);
        case.query = Some("other".into());
        assert_eq!(case.check(), Err(Error::Mismatch));
    }
}

#[test]
fn a_path_is_names_and_places() {
    for (path, json, found) in [
        (".a", r#"{"a":1}"#, Some("1")),
        (".a.b_2.C", r#"{"a":{"b_2":{"C":"x"}}}"#, Some("x")),
        (".[1]", r#"["a","b"]"#, Some("b")),
        (".a[0].b", r#"{"a":[{"b":true}]}"#, Some("true")),
        (".a[0][1]", r#"{"a":[[1,2]]}"#, Some("2")),
        (r#"."x-y""#, r#"{"x-y":"z"}"#, Some("z")),
        (r#".["x-y"].a"#, r#"{"x-y":{"a":"z"}}"#, Some("z")),
        (r#".a["b.c"]."d\"e""#, r#"{"a":{"b.c":{"d\"e":"z"}}}"#, Some("z")),
        (".a[1]", r#"{"a":[1]}"#, None),
        (".a[0]", r#"{"a":{"0":1}}"#, None),
        (".a.b", r#"{"a":[1]}"#, None),
        (".a", "garbage", None),
    ] {
        let yaml = format!("token_equal: {{ at: {{ path: {} }} }}", serde_json::json!(path));
        let case = Case::new(&yaml, found.unwrap_or("z"), &[], json.as_bytes());
        assert_eq!(case.check().is_ok(), found.is_some(), "{path} of {json}");
    }
    for path in [
        "",
        ".",
        "a",
        ".a.",
        ".a..b",
        ".a[",
        ".a[]",
        ".a[-1]",
        ".a[x]",
        ".a[0",
        ".a[0]b",
        ".a | .b",
        ".a // 1",
        ".a?",
        "..",
        ".1a",
        ".a b",
        r#"."a"#,
        r#".["a]"#,
        ".a[99999999999999999999]",
        ".a-b",
        ".a[+1]",
    ] {
        let yaml = format!("token_equal: {{ at: {{ path: {} }} }}", serde_json::json!(path));
        let error = serde_saphyr::from_str::<Verify>(&yaml).unwrap_err().to_string();
        assert!(error.contains("should be a plain path"), "{path}: {error}");
    }
}

// -- algorithms

#[test]
fn rsa_signs_as_the_connector_says_and_in_no_other_way() {
    let key = RsaKeyPair::generate(aws_lc_rs::rsa::KeySize::Rsa2048).unwrap();
    let sign = |how| {
        let mut signature = vec![0; key.public_modulus_len()];
        key.sign(how, &SystemRandom::new(), b"x", &mut signature).unwrap();
        BASE64.encode(signature)
    };
    let (pkcs1, pss) = (sign(&RSA_PKCS1_SHA256), sign(&RSA_PSS_SHA256));
    for (rule, good, bad) in [("rsa_pkcs1_sha256", &pkcs1, &pss), ("rsa_pss_sha256", &pss, &pkcs1)]
    {
        let yaml =
            format!("{rule}: {{ message: body, key: public_key, header: s, encoding: base64 }}");
        for written in [jwk(&key, "k").to_string(), rsa_pem(&key)] {
            let case = Case::new(&yaml, "", &[("s", good)], b"x").secret(PUBLIC_KEY, written);
            case.holds(&["s"]);
            let mut other = case.clone();
            other.header("s").clone_from(bad);
            assert_eq!(other.check(), Err(Error::Mismatch));
        }
    }
    // Made with OpenSSL: `openssl dgst -sha1 -sign`.
    let yaml = "rsa_pkcs1_sha1: { message: body, key: public_key, header: s, encoding: base64 }";
    let case = Case::new(yaml, "", &[("s", SHA1_SIGNATURE)], b"x").secret(PUBLIC_KEY, SHA1_KEY);
    case.holds(&["s"]);
    let stronger = yaml.replace("sha1:", "sha256:");
    let case =
        Case::new(&stronger, "", &[("s", SHA1_SIGNATURE)], b"x").secret(PUBLIC_KEY, SHA1_KEY);
    assert_eq!(case.check(), Err(Error::Mismatch));
}

#[test]
fn ecdsa_is_written_in_der_or_as_two_numbers_as_the_connector_says() {
    for (how, rule, other) in [
        (&ECDSA_P256_SHA256_ASN1_SIGNING, "ecdsa_p256_sha256", "ecdsa_p256_sha256_raw"),
        (&ECDSA_P256_SHA256_FIXED_SIGNING, "ecdsa_p256_sha256_raw", "ecdsa_p256_sha256"),
    ] {
        let key = EcdsaKeyPair::generate(how).unwrap();
        let signature = hex::encode(key.sign(&SystemRandom::new(), b"x").unwrap());
        let public = hex::encode(key.public_key().as_ref());
        let check = |rule: &str| {
            let yaml =
                format!("{rule}: {{ message: body, key: public_key, header: s, encoding: hex }}");
            Case::new(&yaml, "", &[("s", &signature)], b"x").secret(PUBLIC_KEY, public.clone())
        };
        check(rule).holds(&["s"]);
        assert_eq!(check(other).check(), Err(Error::Mismatch));
    }
}

#[test]
fn sha_384_is_a_digest_too() {
    let yaml = "hmac: { sha384: body, key: signing_secret, header: s, encoding: hex }";
    // Test case 2 of RFC 4231.
    let signature = "af45d2e376484031617f78d2b58a6b1b9c7ef464f5a01b47e42ec3736322445e8e2240ca5e69e2c78b3239ecfab21649";
    let case = Case::new(yaml, "Jefe", &[("s", signature)], b"what do ya want for nothing?");
    case.holds(&["s"]);
}

proptest! {
    /// Of however many headers one that fits is enough, wherever it stands, and without any none is.
    #[test]
    fn a_header_that_fits_is_found_wherever_it_stands(
        fits in prop::collection::vec(any::<bool>(), 1..6),
        body in prop::collection::vec(any::<u8>(), 0..40),
    ) {
        let names: Vec<_> = (1..=fits.len()).map(|number| format!("x-signature-{number}")).collect();
        let yaml = format!("hmac: {{ sha256: body, key: signing_secret, header: [{}], encoding: hex }}", names.join(", "));
        let values: Vec<_> = fits.iter().map(|fits| tag_of(if *fits { "sec" } else { "other" }, &[&body])).collect();
        let headers: Vec<_> = names.iter().map(String::as_str).zip(values.iter().map(String::as_str)).collect();
        let case = Case::new(&yaml, "sec", &headers, &body);
        prop_assert_eq!(case.check().is_ok(), fits.contains(&true));
    }

    /// A plain path leads where jq leads.
    #[test]
    fn a_path_leads_where_jq_does(
        steps in prop::collection::vec(prop_oneof!["[a-c]", "[0-2]"], 1..4),
        json in r#"(\{"a":|\[1,|\{"b":\{"c":|\[\[){1,3}"x"(\}|\]){0,4}|\{"a":\[\{"b":"x"\},"y",\{"c":["z"]\}\],"b":\{"c":\["w"\]\}\}"#,
    ) {
        let text: String = steps.iter().map(|step| match step.parse::<usize>() {
            Ok(place) => format!("[{place}]"),
            Err(_) => format!(".{step}"),
        }).collect();
        let text = if text.starts_with('[') { format!(".{text}") } else { text };
        if let Ok(read) = crate::json::Json::parse(json.as_bytes()) {
            let path = crate::connector::Path::try_from(text.clone()).unwrap();
            let jq = crate::expression::Expression::compile(&text).unwrap();
            let along = path.along(read.clone()).and_then(|it| it.as_text());
            prop_assert_eq!(along, jq.text_of(&read, Timestamp::UNIX_EPOCH));
        }
    }
}
