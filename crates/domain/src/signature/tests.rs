//! Vectors of senders, each made with the sender's own library or documentation, and both sides of
//! every border.

use base64::Engine as _;
use proptest::prelude::*;

use super::*;
use crate::connector::Hash;

const B: &str = r#"{"id":"evt_1","type":"x"}"#;
const AT: i64 = 1_700_000_000;
const STANDARD_SECRET: &str = "whsec_AQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQE=";
const STANDARD_SIGNATURE: &str = "v1,EniW5vVN9U2QJOI0VdL9dy2krJfRsV1slDiDYpfYrOU=";

/// A rule as a connector writes it.
fn rule(yaml: &str) -> Verify {
    serde_saphyr::from_str(yaml).unwrap_or_else(|error| panic!("{yaml}: {error}"))
}

fn secrets(values: &[&str]) -> Secrets {
    let mut secrets = Secrets::new();
    for value in values {
        secrets.add(SIGNING_SECRET, Secret::new((*value).into()));
    }
    secrets
}

fn at(seconds: i64) -> Timestamp {
    Timestamp::from_second(seconds).unwrap()
}

fn judge(
    rule: &Verify,
    request: &Request<'_>,
    secrets: &Secrets,
    now: Timestamp,
) -> Result<Verified, Error> {
    let none = BTreeMap::new();
    let given = Given { secrets, settings: &none, documents: &none, trust_anchor: None };
    verify(rule, request, &given, now)
}

fn standard_rule() -> Verify {
    rule("standard_webhooks")
}

/// The header that is missing.
fn unsigned(name: &str) -> Error {
    Error::Unsigned(format!("`{name}` header"))
}

fn tag(hash: Hash, key: &[u8], pieces: &[&[u8]]) -> Vec<u8> {
    digest::tag(hash, key, &message::Message::of(pieces.iter().copied()))
}

/// What becomes of a POST to `https://example.com/h` with these headers.
fn check(
    rule: &Verify,
    values: &[&str],
    headers: &[(&str, &str)],
    body: &str,
    now: Timestamp,
) -> Result<Verified, Error> {
    let headers: Vec<_> = headers.iter().map(|(name, value)| (*name, value.as_bytes())).collect();
    let request = Request {
        method: "POST",
        url: "https://example.com/h",
        query: None,
        headers: &headers,
        body: body.as_bytes(),
    };
    judge(rule, &request, &secrets(values), now)
}

/// Accepted as it is; refused with another body, another secret, and without its signature.
fn accepts(yaml: &str, secret: &str, headers: &[(&str, &str)], body: &str, now: Timestamp) {
    let rule = rule(yaml);

    let verified = check(&rule, &[secret], headers, body, now).unwrap();
    assert_eq!(verified.proof, Proof::Verified);
    assert_eq!(verified.detail.secret, Some(1));

    let forged = format!("{body} ");
    assert_eq!(check(&rule, &[secret], headers, &forged, now), Err(Error::Mismatch));
    let other = "whsec_AgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgI=";
    assert_eq!(check(&rule, &[other], headers, body, now), Err(Error::Mismatch));
    let signature = verified.detail.header.unwrap();
    let without: Vec<_> = headers.iter().filter(|(name, _)| *name != signature).copied().collect();
    assert_eq!(check(&rule, &[secret], &without, body, now), Err(unsigned(&signature)));
}

#[test]
fn standard_webhooks() {
    accepts(
        "standard_webhooks",
        STANDARD_SECRET,
        &[
            ("webhook-id", "msg_1"),
            ("webhook-timestamp", "1700000000"),
            ("webhook-signature", STANDARD_SIGNATURE),
        ],
        B,
        at(AT),
    );
    accepts(
        "standard_webhooks",
        "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
        &[
            ("webhook-id", "msg_p5jXN8AQM9LWM0D4loKWxJek"),
            ("webhook-timestamp", "1614265330"),
            ("webhook-signature", "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="),
        ],
        r#"{"test": 2432232314}"#,
        at(1_614_265_330),
    );
}

#[test]
fn shopify_and_woocommerce_sign_the_body_in_base64() {
    let yaml = "hmac: { sha256: body, key: signing_secret, header: X-Shopify-Hmac-Sha256, \
                encoding: base64 }";
    let header = "x-shopify-hmac-sha256";
    let signature = "K3I0yAGWAsadioD8i6aCNREa8QOkWl26kB++GozC7l4=";
    accepts(yaml, "hush", &[(header, signature)], B, at(AT));
    let signature = "kFoCZcBLKV08JNKGXXvWE7QREGdEiOK+aLVmpzdVMcQ=";
    accepts(yaml, "sec", &[(header, signature)], B, at(AT));
}

#[test]
fn slack_signs_a_composed_message() {
    let yaml = r#"hmac: { sha256: ["v0:", { header: x-slack-request-timestamp }, ":", body], key: signing_secret, header: x-slack-signature, prefix: "v0=", encoding: hex, time: { header: x-slack-request-timestamp, unit: s, tolerance: 300s } }"#;
    let secret = "8f742231b10e8888abcd99yyyzzz85a5";
    let long = "token=xyzz0WbapA4vBCDEFasx0q6G&team_id=T1DC2JH3J&team_domain=testteamnow\
        &channel_id=G8PSS9T3V&channel_name=foobar&user_id=U2CERLKJA&user_name=roadrunner\
        &command=%2Fwebhook-collect&text=&response_url=https%3A%2F%2Fhooks.slack.com%2Fcommands\
        %2FT1DC2JH3J%2F397700885554%2F96rGlfmibIGlgcZRskXaIFfN\
        &trigger_id=398738663015.47445629121.803a0bc887a14d10d2c447fce8b6703c";
    for (body, signature) in [
        (long, "v0=a2114d57b48eac39b9ad189dd8316235a7b4a8d21a10bd27519666489c69b503"),
        ("token=abc", "v0=2abb93eb2a4c84c7a0c6bee974ec55ead7be6c67e71c1f78a343520bc07b0a07"),
    ] {
        let headers =
            [("x-slack-request-timestamp", "1531420618"), ("x-slack-signature", signature)];
        accepts(yaml, secret, &headers, body, at(1_531_420_618));
    }
}

#[test]
fn github_typeform_and_easypost_write_a_prefix() {
    accepts(
        r#"hmac: { sha256: body, key: signing_secret, header: x-hub-signature-256, prefix: "sha256=", encoding: hex }"#,
        "It's a Secret to Everybody",
        &[(
            "x-hub-signature-256",
            "sha256=757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17",
        )],
        "Hello, World!",
        at(AT),
    );
    accepts(
        r#"hmac: { sha256: body, key: signing_secret, header: typeform-signature, prefix: "sha256=", encoding: base64 }"#,
        "sec",
        &[("typeform-signature", "sha256=kFoCZcBLKV08JNKGXXvWE7QREGdEiOK+aLVmpzdVMcQ=")],
        B,
        at(AT),
    );
    accepts(
        r#"hmac: { sha256: body, key: signing_secret, header: x-hmac-signature, prefix: "hmac-sha256-hex=", encoding: hex }"#,
        "sec",
        &[(
            "x-hmac-signature",
            "hmac-sha256-hex=905a0265c04b295d3c24d2865d7bd613b41110674488e2be68b566a7375531c4",
        )],
        B,
        at(AT),
    );
}

#[test]
fn easypost_signs_time_method_and_path_too() {
    accepts(
        r#"hmac: { sha256: [{ header: x-timestamp }, method, path, body], key: signing_secret, header: x-hmac-signature-v2, prefix: "hmac-sha256-hex=", encoding: hex, time: { header: x-timestamp, unit: iso, tolerance: 5m } }"#,
        "sec",
        &[
            ("x-timestamp", "2026-01-01T00:00:00Z"),
            (
                "x-hmac-signature-v2",
                "hmac-sha256-hex=20c20d52a87d5d34d3afb15b4ea249ab9d01a0e0a65bfeb3742b4cfdb8ca1e20",
            ),
        ],
        B,
        "2026-01-01T00:04:00Z".parse().unwrap(),
    );
}

#[test]
fn linear_says_the_time_in_the_body() {
    let yaml = "hmac: { sha256: body, key: signing_secret, header: linear-signature, \
                encoding: hex, time: { path: .webhookTimestamp, unit: ms, tolerance: 60s } }";
    let body = r#"{"webhookTimestamp":1700000000000}"#;
    let signature = hex::encode(tag(Hash::Sha256, b"sec", &[body.as_bytes()]));
    let headers = [("linear-signature", signature.as_str())];

    accepts(yaml, "sec", &headers, body, at(AT));
    accepts(yaml, "sec", &headers, body, at(AT + 60));
    accepts(yaml, "sec", &headers, body, at(AT - 60));
    for seconds in [61, -61] {
        assert_eq!(
            check(&rule(yaml), &["sec"], &headers, body, at(AT + seconds)),
            Err(Error::Stale { by: SignedDuration::from_secs(seconds) })
        );
    }
}

#[test]
fn a_time_that_the_body_lacks_is_malformed() {
    let yaml = "hmac: { sha256: body, key: signing_secret, header: linear-signature, \
                encoding: hex, time: { path: .webhookTimestamp, unit: ms, tolerance: 60s } }";
    let vector = "905a0265c04b295d3c24d2865d7bd613b41110674488e2be68b566a7375531c4";

    let refused = check(&rule(yaml), &["sec"], &[("linear-signature", vector)], B, at(AT));

    assert_eq!(refused, Err(Error::Malformed("the time at `.webhookTimestamp`".into())));
}

#[test]
fn intercom_signs_with_sha1() {
    accepts(
        r#"hmac: { sha1: body, key: signing_secret, header: x-hub-signature, prefix: "sha1=", encoding: hex }"#,
        "sec",
        &[("x-hub-signature", "sha1=f17bf28fd39082cb0a4189537d6eba1a3b8c9d4a")],
        B,
        at(AT),
    );
}

const LISTED: &str = r#"hmac: { sha256: [{ item: t }, ".", body], key: signing_secret, header: stripe-signature, list: { separator: ",", take: v1 }, encoding: hex, time: { item: t, tolerance: 300s } }"#;

#[test]
fn stripe_and_shippo_sign_in_a_list() {
    let stripe = "788d93d5bb90832bf162d8e841846c643cb169034b84dc934986b7d9dcaa49fd";
    let shippo = "a1cd92f4c39fcd803e5f0ed5018476bf0ccbb35538491d6559e023bd8e885225";
    for (secret, signature) in [("whsec_test", stripe), ("sec", shippo)] {
        let header = format!("t=1700000000,v1={signature}");
        accepts(LISTED, secret, &[("stripe-signature", &header)], B, at(AT));
        let header = format!("t=1700000000, v0=00 ,v1={}, v1={signature}", "0".repeat(64));
        accepts(LISTED, secret, &[("stripe-signature", &header)], B, at(AT));
    }
}

#[test]
fn a_list_without_its_time_or_its_signature_is_malformed() {
    let malformed = Err(Error::Malformed("the `stripe-signature` header".into()));
    for header in ["", "t=1700000000", "v1=00", "t=x,v1=00", "t=1700000000,v1=xyz", "v1", ","] {
        let headers = [("stripe-signature", header)];
        assert_eq!(check(&rule(LISTED), &["sec"], &headers, B, at(AT)), malformed, "{header}");
    }
}

#[test]
fn zendesk_signs_time_and_body_without_anything_between() {
    accepts(
        "hmac: { sha256: [{ header: x-zendesk-webhook-signature-timestamp }, body], \
         key: signing_secret, header: x-zendesk-webhook-signature, encoding: base64 }",
        "sec",
        &[
            ("x-zendesk-webhook-signature-timestamp", "2026-01-01T00:00:00Z"),
            ("x-zendesk-webhook-signature", "T3YL/o1QkptVHnFETlA1Kgt8l3BILtbely7OeMA5SE4="),
        ],
        B,
        at(AT),
    );
}

#[test]
fn square_and_hubspot_sign_the_address() {
    accepts(
        "hmac: { sha256: [url, body], key: signing_secret, \
         header: x-square-hmacsha256-signature, encoding: base64 }",
        "key",
        &[("x-square-hmacsha256-signature", "ZBb/di/p0TB/d0mdqELD41rCiNcUfCd3FUA9Gnx6cBw=")],
        B,
        at(AT),
    );
    accepts(
        "hmac: { sha256: [method, url, body, { header: x-hubspot-request-timestamp }], \
         key: signing_secret, header: x-hubspot-signature-v3, encoding: base64, \
         time: { header: x-hubspot-request-timestamp, unit: ms, tolerance: 300s } }",
        "sec",
        &[
            ("x-hubspot-request-timestamp", "1700000000000"),
            ("x-hubspot-signature-v3", "+XwMQUK8c0CgxhVIrxw8x0j8fj/cOUOVkgASovh+HHo="),
        ],
        B,
        at(AT),
    );
}

#[test]
fn lightspeed_x_names_the_algorithm_beside_the_signature() {
    accepts(
        r#"hmac: { sha256: body, key: signing_secret, header: x-signature, list: { separator: ",", take: signature }, encoding: hex }"#,
        "sec",
        &[(
            "x-signature",
            "signature=62843880f5ea63247765ce8e1eb6dd99a5ef35d0b3031891050ae1cf298e19e5,\
             algorithm=HMAC-SHA256",
        )],
        "payload=%7B%7D",
        at(AT),
    );
}

fn standard(signature: &str, values: &[&str], now: Timestamp) -> Result<Verified, Error> {
    let headers = [
        ("webhook-id", "msg_1"),
        ("webhook-timestamp", "1700000000"),
        ("webhook-signature", signature),
    ];
    check(&standard_rule(), values, &headers, B, now)
}

#[test]
fn a_message_is_stale_after_five_minutes_and_before() {
    for seconds in [0, 300, -300] {
        let verified = standard(STANDARD_SIGNATURE, &[STANDARD_SECRET], at(AT + seconds));
        assert!(verified.is_ok(), "{seconds}");
    }
    for seconds in [301, -301] {
        let refused = standard(STANDARD_SIGNATURE, &[STANDARD_SECRET], at(AT + seconds));
        assert_eq!(refused, Err(Error::Stale { by: SignedDuration::from_secs(seconds) }));
    }
}

#[test]
fn parts_of_a_second_are_not_counted_against_a_sender_of_whole_ones() {
    let late = at(AT + 300) + SignedDuration::from_millis(999);

    assert!(standard(STANDARD_SIGNATURE, &[STANDARD_SECRET], late).is_ok());
}

#[test]
fn a_wrong_signature_is_wrong_before_it_is_stale() {
    let other = format!("v1,{}", BASE64.encode([7; 32]));

    assert_eq!(standard(&other, &[STANDARD_SECRET], at(AT + 9_000)), Err(Error::Mismatch));
}

#[test]
fn one_of_several_signatures_is_enough() {
    let other = format!("v1,{}", BASE64.encode([7; 32]));
    for signatures in [
        format!("{other} {STANDARD_SIGNATURE}"),
        format!("{STANDARD_SIGNATURE} {other}"),
        format!("v1a,abc v2,x {other} {STANDARD_SIGNATURE}"),
        format!("garbage {STANDARD_SIGNATURE}"),
    ] {
        assert!(standard(&signatures, &[STANDARD_SECRET], at(AT)).is_ok(), "{signatures}");
    }
}

#[test]
fn the_answer_says_which_secret_fitted() {
    let new = "whsec_AgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgI=";

    let verified = standard(STANDARD_SIGNATURE, &[new, STANDARD_SECRET], at(AT)).unwrap();

    assert_eq!(verified.detail.secret, Some(2));
    assert_eq!(verified.detail.signed.as_deref(), Some("webhook-id.webhook-timestamp.body"));
}

#[test]
fn only_signatures_of_another_kind_are_none_that_can_be_read() {
    let malformed = Err(Error::Malformed("the `webhook-signature` header".into()));
    let other_kind = STANDARD_SIGNATURE.replace("v1,", "v1a,");
    for header in [
        other_kind.as_str(),
        "",
        " ",
        "v1",
        "v1,",
        "v1,%%%",
        STANDARD_SIGNATURE.trim_start_matches("v1,"),
    ] {
        assert_eq!(standard(header, &[STANDARD_SECRET], at(AT)), malformed, "{header:?}");
    }
}

#[test]
fn headers_of_svix_are_the_same_thing() {
    let svix = [
        ("svix-id", "msg_1"),
        ("svix-timestamp", "1700000000"),
        ("svix-signature", STANDARD_SIGNATURE),
    ];

    let verified = check(&standard_rule(), &[STANDARD_SECRET], &svix, B, at(AT)).unwrap();

    assert_eq!(verified.detail.header.as_deref(), Some("svix-signature"));
}

#[test]
fn headers_of_both_kinds_do_not_make_up_one_message() {
    let mixed = [
        ("svix-id", "msg_1"),
        ("webhook-timestamp", "1700000000"),
        ("webhook-signature", STANDARD_SIGNATURE),
    ];

    assert_eq!(
        check(&standard_rule(), &[STANDARD_SECRET], &mixed, B, at(AT)),
        Err(unsigned("webhook-id"))
    );
}

#[test]
fn another_id_or_time_is_another_message() {
    for (id, time) in [("msg_2", "1700000000"), ("msg_1", "1700000001")] {
        let headers = [
            ("webhook-id", id),
            ("webhook-timestamp", time),
            ("webhook-signature", STANDARD_SIGNATURE),
        ];
        assert_eq!(
            check(&standard_rule(), &[STANDARD_SECRET], &headers, B, at(AT)),
            Err(Error::Mismatch)
        );
    }
}

#[test]
fn a_time_that_is_no_whole_number_is_malformed() {
    for time in
        ["", "x", "1700000000.0", "-1700000000", "+1700000000", "1e9", "99999999999999999999"]
    {
        let headers = [
            ("webhook-id", "msg_1"),
            ("webhook-timestamp", time),
            ("webhook-signature", STANDARD_SIGNATURE),
        ];
        assert_eq!(
            check(&standard_rule(), &[STANDARD_SECRET], &headers, B, at(AT)),
            Err(Error::Malformed("the `webhook-timestamp` header".into())),
            "{time}"
        );
    }
}

#[test]
fn a_header_that_comes_twice_is_malformed() {
    let headers = [
        ("webhook-id", "msg_1"),
        ("webhook-timestamp", "1700000000"),
        ("webhook-signature", STANDARD_SIGNATURE),
        ("webhook-signature", STANDARD_SIGNATURE),
    ];

    assert_eq!(
        check(&standard_rule(), &[STANDARD_SECRET], &headers, B, at(AT)),
        Err(Error::Malformed("the `webhook-signature` header".into()))
    );
}

#[test]
fn a_secret_may_be_given_without_its_prefix_or_padding() {
    let bare = STANDARD_SECRET.trim_start_matches("whsec_");
    for secret in [bare, bare.trim_end_matches('='), &format!(" {STANDARD_SECRET}\n")] {
        assert!(standard(STANDARD_SIGNATURE, &[secret], at(AT)).is_ok(), "{secret}");
    }
}

#[test]
fn without_a_secret_nothing_is_believed() {
    let none = Err(Error::NoSecret("signing_secret".into()));
    assert_eq!(standard(STANDARD_SIGNATURE, &[], at(AT)), none);
    assert_eq!(standard(STANDARD_SIGNATURE, &[""], at(AT)), none);
    let bad = Err(Error::BadSecret("signing_secret".into()));
    assert_eq!(standard(STANDARD_SIGNATURE, &["whsec_"], at(AT)), bad);
    assert_eq!(standard(STANDARD_SIGNATURE, &["whsec_%%%"], at(AT)), bad);
}

#[test]
fn an_empty_key_is_not_a_key() {
    let signature = format!(
        "v1,{}",
        BASE64.encode(tag(Hash::Sha256, b"", &[b"msg_1.1700000000.", B.as_bytes()]))
    );

    assert!(standard(&signature, &["whsec_"], at(AT)).is_err());
    assert!(standard(&signature, &["whsec_", STANDARD_SECRET], at(AT)).is_err());
}

#[test]
fn what_nobody_signs_is_unsigned_and_accepted() {
    let verified = check(&rule("none"), &[], &[], B, at(AT)).unwrap();

    assert_eq!(verified.proof, Proof::Unsigned);
}

#[test]
fn a_refusal_says_how_old_the_message_is() {
    let says = |seconds| Error::Stale { by: SignedDuration::from_secs(seconds) }.to_string();

    assert_eq!(says(431), "it was signed 7 minutes ago");
    assert_eq!(says(-301), "it was signed 5 minutes in the future");
    assert_eq!(says(900_000), "it was signed 10 days ago");
}

proptest! {
    #[test]
    fn no_bytes_make_it_panic(
        id in prop::collection::vec(any::<u8>(), 0..20),
        time in prop_oneof![Just(b"1700000000".to_vec()), prop::collection::vec(any::<u8>(), 0..20)],
        signature in prop::collection::vec(any::<u8>(), 0..80),
        secret in ".{0,20}",
        body in prop::collection::vec(any::<u8>(), 0..80),
    ) {
        let secrets = secrets(&[&secret]);
        let headers: [(&str, &[u8]); 4] = [
            ("webhook-id", &id),
            ("webhook-timestamp", &time),
            ("webhook-signature", &signature),
            ("stripe-signature", &signature),
        ];
        let request = Request { method: "POST", url: "x", query: None, headers: &headers, body: &body };

        prop_assert!(judge(&standard_rule(), &request, &secrets, at(AT)).is_err());
        prop_assert!(judge(&rule(LISTED), &request, &secrets, at(AT)).is_err());
    }

    #[test]
    fn one_changed_bit_is_a_mismatch(
        body in prop::collection::vec(any::<u8>(), 1..60),
        place in any::<prop::sample::Index>(),
        bit in 0u8..8,
    ) {
        let tag = tag(Hash::Sha256, &[1; 32], &[b"msg_1.1700000000.", &body]);
        let signature = format!("v1,{}", BASE64.encode(tag));
        let headers: [(&str, &[u8]); 3] = [
            ("webhook-id", b"msg_1"),
            ("webhook-timestamp", b"1700000000"),
            ("webhook-signature", signature.as_bytes()),
        ];
        let verdict = |body: &[u8]| {
            let request = Request { method: "POST", url: "", query: None, headers: &headers, body };
            judge(&standard_rule(), &request, &secrets(&[STANDARD_SECRET]), at(AT))
        };

        prop_assert!(verdict(&body).is_ok());
        let mut changed = body.clone();
        changed[place.index(body.len())] ^= 1 << bit;
        prop_assert_eq!(verdict(&changed), Err(Error::Mismatch));
    }
}
