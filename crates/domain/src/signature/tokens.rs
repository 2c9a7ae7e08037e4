//! Signed tokens: right as they are, and refused with any letter changed, with another algorithm,
//! another key, other claims, and at another time. Vectors are those of RFC 7515 and of a library.

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair as _, RSA_PKCS1_SHA256, RSA_PSS_SHA256,
    RsaKeyPair,
};
use base64::engine::general_purpose::URL_SAFE_NO_PAD as URL;
use proptest::prelude::*;
use serde_json::{Value, json};

use super::schemes::{AT, B, Case, jwk};
use super::*;
use crate::connector::Hash;

/// A token of these parts, signed by `sign`.
fn token(header: &Value, claims: &Value, sign: impl FnOnce(&[u8]) -> Vec<u8>) -> String {
    let part = |value: &Value| URL.encode(value.to_string());
    let signed = format!("{}.{}", part(header), part(claims));
    let signature = sign(signed.as_bytes());
    format!("{signed}.{}", URL.encode(signature))
}

fn hs256(secret: &str, header: &Value, claims: &Value) -> String {
    let tag = |signed: &[u8]| {
        digest::tag(Hash::Sha256, secret.as_bytes(), &message::Message::of([signed]))
    };
    token(header, claims, tag)
}

fn plain(secret: &str, claims: &Value) -> String {
    hs256(secret, &json!({ "alg": "HS256", "typ": "JWT" }), claims)
}

fn body_sha256() -> String {
    use sha2::Digest as _;
    hex::encode(sha2::Sha256::digest(B))
}

const NETLIFY: &str = "jwt: { at: { header: x-webhook-signature }, alg: HS256, \
                       key: signing_secret, claims: { iss: netlify }, sha256: { sha256: body } }";

fn netlify(claims: &Value) -> Case {
    let token = plain("sec", claims);
    Case::new(NETLIFY, "sec", &[("x-webhook-signature", &token)], B.as_bytes())
}

#[test]
fn a_token_that_covers_the_body_holds_it() {
    let case = netlify(&json!({ "iss": "netlify", "sha256": body_sha256() }));

    case.holds(&["x-webhook-signature"]);
    assert_eq!(
        case.check().unwrap().detail,
        ProofDetail {
            scheme: Some("jwt HS256".into()),
            header: Some("x-webhook-signature".into()),
            signed: Some("token + body".into()),
            secret: Some(1),
            account: None,
        }
    );
    let mut twice = case.clone();
    twice.headers.push(twice.headers[0].clone());
    assert_eq!(twice.check().unwrap_err().reason(), Reason::Malformed);
    assert_eq!(case.secret(SIGNING_SECRET, "old").check().unwrap().detail.secret, Some(1));
}

#[test]
fn the_vectors_of_rfc_7515_and_of_a_library_hold() {
    let hmac = "eyJ0eXAiOiJKV1QiLA0KICJhbGciOiJIUzI1NiJ9.eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ.dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";
    let key =
        "AyM1SysPpbyDfgZld3umj1qzKObwVMkoqQ+EstJQLr/T+1qS0gZH75aKtMN3Yj0iPS4hcgUuTwjAzZr1Z9CAow==";
    let yaml = "jwt: { at: bearer, alg: HS256, key: { secret: signing_secret, encoding: base64 }, \
                claims: { iss: joe, 'http://example.com/is_root': 'true' } }";
    let case = Case::new(yaml, key, &[("authorization", &format!("Bearer {hmac}"))], b"");
    case.clone().at("2011-03-22T18:43:00Z").holds(&["authorization"]);
    // It ends at 18:43:00.
    assert!(case.clone().at("2011-03-22T18:44:00Z").check().is_ok());
    let late = case.clone().at("2011-03-22T18:44:01Z").check();
    assert_eq!(late, Err(Error::Stale { by: SignedDuration::from_secs(61) }));
    assert!(case.at("2001-01-01T00:00:00Z").check().is_ok(), "it has no beginning");

    let ecdsa = "eyJhbGciOiJFUzI1NiJ9.eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ.DtEhU3ljbEg8L38VWAfUAqOyKAM6-Xx-F4GawxaepmXFCgfTjDxw5djxLa8ISlSApmWQxfKTUJqPP3-Kg6NU1Q";
    let key = json!({ "kty": "EC", "crv": "P-256", "x": "f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU", "y": "x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0" });
    let yaml = "jwt: { at: { query: token }, alg: ES256 }";
    let mut case = Case::new(yaml, "", &[], b"").secret(PUBLIC_KEY, key.to_string());
    case.query = Some(format!("token={ecdsa}"));
    assert!(case.clone().at("2011-03-22T18:43:00Z").check().is_ok());
    case.query = Some(format!("token={}", ecdsa.replace("DtEh", "DtEi")));
    assert_eq!(case.at("2011-03-22T18:43:00Z").check(), Err(Error::Mismatch));

    let library = "eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9.eyJzdWIiOiIxMjM0NTY3ODkwIiwibmFtZSI6IkpvaG4gRG9lIiwiaWF0IjoxNTE2MjM5MDIyfQ.SflKxwRJSMeKKF2QT4fwpMeJf36POk6yJV_adQssw5c";
    let yaml = "jwt: { at: { header: authorization }, alg: HS256, time: { tolerance: 5m } }";
    let case = Case::new(yaml, "your-256-bit-secret", &[("authorization", library)], b"");
    for (time, good) in [
        ("2018-01-18T01:30:22Z", true),
        ("2018-01-18T01:35:22Z", true),
        ("2018-01-18T01:25:22Z", true),
        ("2018-01-18T01:35:23Z", false),
        ("2018-01-18T01:25:21Z", false),
    ] {
        assert_eq!(case.clone().at(time).check().is_ok(), good, "{time}");
    }
}

#[test]
fn the_algorithm_is_the_connector_s() {
    let claims = json!({ "iss": "netlify", "sha256": body_sha256() });
    let with = |token: &str| {
        Case::new(NETLIFY, "sec", &[("x-webhook-signature", token)], B.as_bytes()).check()
    };
    for alg in ["none", "None", "HS512", "ES256", "hs256", ""] {
        let header = json!({ "alg": alg });
        assert_eq!(with(&hs256("sec", &header, &claims)), Err(Error::Mismatch), "{alg}");
        assert!(with(&token(&header, &claims, |_| Vec::new())).is_err(), "{alg} without");
    }
    assert_eq!(with(&hs256("sec", &json!({}), &claims)), Err(Error::Mismatch));
    assert_eq!(with(&hs256("sec", &json!({ "alg": ["HS256"] }), &claims)), Err(Error::Mismatch));
    let critical = json!({ "alg": "HS256", "crit": ["b64"], "b64": false });
    assert_eq!(with(&hs256("sec", &critical, &claims)), Err(malformed_token()));

    // A public key is no secret, whatever the token says.
    let key = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).unwrap();
    let public = hex::encode(key.public_key().as_ref());
    let yaml = "jwt: { at: bearer, alg: ES256, key: public_key }";
    let forged = plain(&public, &claims);
    let case = Case::new(yaml, "", &[("authorization", &format!("Bearer {forged}"))], b"");
    assert_eq!(case.secret(PUBLIC_KEY, public).check(), Err(Error::Mismatch));
}

fn malformed_token() -> Error {
    Error::Malformed("the token".into())
}

#[test]
fn what_is_no_token_is_malformed() {
    let good = plain("sec", &json!({ "iss": "netlify", "sha256": body_sha256() }));
    let [header, claims, signature] = good.split('.').collect::<Vec<_>>()[..] else { panic!() };
    for token in [
        String::new(),
        "x".into(),
        format!("{header}.{claims}"),
        format!("{header}.{claims}."),
        format!("{good}."),
        format!("{good}.{signature}"),
        format!(".{good}"),
        format!("{good}="),
        format!("{header}=.{claims}.{signature}"),
        format!("{header}.{claims}.{signature}+"),
        format!("bm9wZQ.{claims}.{signature}"),
        format!("{header}.{claims}.{}", "A".repeat(20_000)),
    ] {
        let case = Case::new(NETLIFY, "sec", &[("x-webhook-signature", &token)], B.as_bytes());
        assert_eq!(case.check().unwrap_err().reason(), Reason::Malformed, "{token:.80}");
    }
    let none = Case::new(NETLIFY, "sec", &[], B.as_bytes());
    assert_eq!(none.check().unwrap_err().reason(), Reason::Unsigned);
    let mut open = netlify(&json!({ "iss": "netlify", "sha256": body_sha256() }));
    open.secrets.clear();
    assert_eq!(open.check(), Err(Error::NoSecret(SIGNING_SECRET.into())));
}

#[test]
fn what_a_token_must_claim_it_claims() {
    let reason = |claims: &Value| netlify(claims).check().err().map(|error| error.reason());
    let digest = body_sha256();
    for (claims, expected) in [
        (json!({ "iss": "netlify", "sha256": digest }), None),
        (json!({ "iss": ["other", "netlify"], "sha256": digest }), None),
        (json!({ "iss": "Netlify", "sha256": digest }), Some(Reason::Unwanted)),
        (json!({ "iss": [], "sha256": digest }), Some(Reason::Unwanted)),
        (json!({ "iss": null, "sha256": digest }), Some(Reason::Unwanted)),
        (json!({ "sha256": digest }), Some(Reason::Unwanted)),
        (json!({ "iss": "netlify" }), Some(Reason::Unsigned)),
        (json!({ "iss": "netlify", "sha256": "zz" }), Some(Reason::Malformed)),
        (json!({ "iss": "netlify", "sha256": "" }), Some(Reason::WrongSignature)),
        (json!({ "iss": "netlify", "sha256": digest[..62] }), Some(Reason::WrongSignature)),
        (json!({ "iss": "netlify", "sha256": digest.to_uppercase() }), None),
        (json!([]), Some(Reason::Unwanted)),
    ] {
        assert_eq!(reason(&claims), expected, "{claims}");
    }
    let yaml = "jwt: { at: bearer, alg: HS256, claims: { aud: { setting: audience } }, \
                sha256: { url_hash: url, body_hash: [method, body] } }";
    let sha = |text: &str| {
        use sha2::Digest as _;
        hex::encode(sha2::Sha256::digest(text))
    };
    let claims = json!({ "aud": "https://a.example", "url_hash": sha("https://example.com/h"), "body_hash": sha(&format!("POST{B}")) });
    let header = format!("bearer {}", plain("sec", &claims));
    let case = Case::new(yaml, "sec", &[("authorization", &header)], B.as_bytes());
    assert_eq!(case.check(), Err(Error::NoSecret("audience".into())));
    assert!(case.clone().setting("audience", " https://a.example ").check().is_ok());
    let other = case.clone().setting("audience", "https://b.example").check();
    assert_eq!(other.unwrap_err().reason(), Reason::Unwanted);
    let moved = case.setting("audience", "https://a.example").url("https://example.com/i");
    assert_eq!(moved.check(), Err(Error::Mismatch));
}

#[test]
fn times_count_where_they_are_and_are_numbers() {
    let reason = |claims: Value| {
        let yaml = "jwt: { at: bearer, alg: HS256 }";
        let header = format!("Bearer {}", plain("sec", &claims));
        let case = Case::new(yaml, "sec", &[("authorization", &header)], b"");
        case.check().err().map(|error| error.reason())
    };
    for (claims, expected) in [
        (json!({}), None),
        (json!({ "exp": AT + 1 }), None),
        (json!({ "exp": AT - 60, "nbf": AT + 60 }), None),
        (json!({ "exp": AT - 61 }), Some(Reason::Stale)),
        (json!({ "nbf": AT + 61 }), Some(Reason::Stale)),
        (json!({ "exp": AT as f64 + 0.5 }), None),
        (json!({ "exp": (AT + 9).to_string() }), Some(Reason::Malformed)),
        (json!({ "exp": -1 }), Some(Reason::Malformed)),
        (json!({ "exp": true }), Some(Reason::Malformed)),
        (json!({ "exp": [AT] }), Some(Reason::Malformed)),
        (json!({ "nbf": 1e300 }), Some(Reason::Malformed)),
        (json!({ "exp": null }), None),
    ] {
        assert_eq!(reason(claims.clone()), expected, "{claims}");
    }
}

const PUSH: &str = "https://keys.example/certs";

#[test]
fn a_key_is_chosen_from_the_sender_s_set() {
    let yaml = format!(
        "jwt: {{ at: bearer, alg: RS256, key: {{ jwks: '{PUSH}' }}, claims: {{ iss: accounts }} }}"
    );
    let key = RsaKeyPair::generate(aws_lc_rs::rsa::KeySize::Rsa2048).unwrap();
    let other = RsaKeyPair::generate(aws_lc_rs::rsa::KeySize::Rsa2048).unwrap();
    let sign = |header: Value| {
        let token = token(&header, &json!({ "iss": "accounts" }), |signed| {
            let mut signature = vec![0; key.public_modulus_len()];
            key.sign(&RSA_PKCS1_SHA256, &SystemRandom::new(), signed, &mut signature).unwrap();
            signature
        });
        Case::new(&yaml, "", &[("authorization", &format!("Bearer {token}"))], b"")
    };
    let mut case = sign(json!({ "alg": "RS256", "kid": "k1" }));
    let document = Document { url: PUSH.parse().unwrap() };
    assert_eq!(case.check(), Err(Error::Missing(document.clone())));
    let set = json!({ "keys": [jwk(&other, "k2"), jwk(&key, "k1")] }).to_string();
    case.documents.insert(PUSH.into(), set.clone());
    case.holds(&["authorization"]);
    // The digest of another kind of signature is none of this key's.
    let mut pss = case.clone();
    pss.rule = serde_saphyr::from_str(&yaml.replace("RS256", "PS256")).unwrap();
    assert_eq!(pss.check(), Err(Error::Mismatch));

    for (header, expected) in [
        (json!({ "alg": "RS256", "kid": "k2" }), Err(Error::Mismatch)),
        (
            json!({ "alg": "RS256", "kid": "k3" }),
            Err(Error::UnknownKey { document, kid: "k3".into() }),
        ),
        (json!({ "alg": "RS256" }), Ok(())),
    ] {
        let mut case = sign(header);
        case.documents.insert(PUSH.into(), set.clone());
        assert_eq!(case.check().map(|_| ()), expected);
    }
}

#[test]
fn each_kind_of_key_signs_tokens() {
    let rsa = RsaKeyPair::generate(aws_lc_rs::rsa::KeySize::Rsa2048).unwrap();
    let ecdsa = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).unwrap();
    let (ed, _) = super::schemes::ed25519(&[]);
    type Sign<'a> = &'a dyn Fn(&[u8]) -> Vec<u8>;
    let signs: [(&str, String, Sign<'_>); 3] = [
        ("PS256", jwk(&rsa, "k").to_string(), &|signed| {
            let mut signature = vec![0; rsa.public_modulus_len()];
            rsa.sign(&RSA_PSS_SHA256, &SystemRandom::new(), signed, &mut signature).unwrap();
            signature
        }),
        ("ES256", hex::encode(ecdsa.public_key().as_ref()), &|signed| {
            ecdsa.sign(&SystemRandom::new(), signed).unwrap().as_ref().to_vec()
        }),
        ("EdDSA", hex::encode(ed), &|signed| super::schemes::ed25519(&[signed]).1),
    ];
    for (alg, key, sign) in signs {
        let token = token(&json!({ "alg": alg }), &json!({}), sign);
        let yaml = format!("jwt: {{ at: {{ header: x-jwt }}, alg: {alg} }}");
        let case = Case::new(&yaml, "", &[("x-jwt", &token)], b"").secret(PUBLIC_KEY, key);
        case.holds(&["x-jwt"]);
    }
}

#[test]
fn what_cannot_be_checked_is_a_mistake() {
    for (yaml, says) in [
        ("{ at: basic, alg: HS256 }", "a token stands at `bearer`"),
        ("{ at: bearer, alg: none }", "HS256"),
        ("{ at: bearer }", "alg"),
        ("{ at: bearer, alg: HS256, key: { jwks: 'https://a.example/j' } }", "are for public keys"),
        ("{ at: bearer, alg: RS256, key: { jwks: 'http://a.example/j' } }", "`https://` address"),
        ("{ at: bearer, alg: RS256, key: { encoding: hex } }", "`encoding` is for secrets"),
        ("{ at: bearer, alg: HS256, sha256: { a: secret } }", "`secret` is no piece of a claim"),
        ("{ at: bearer, alg: HS256, sha256: { a: sorted_form } }", "is no piece of a claim"),
    ] {
        let error = serde_saphyr::from_str::<Verify>(&format!("{{ jwt: {yaml} }}")).unwrap_err();
        assert!(error.to_string().contains(says), "{yaml}: {error}");
    }
}

proptest! {
    #[test]
    fn no_text_is_believed(
        text in "[A-Za-z0-9_.-]{0,60}|.{0,60}",
        header in r#"\{"alg":"(HS256|none)"(,"kid":"[a-z]{0,3}")?\}|.{0,20}"#,
        claims in r#"\{"iss":"netlify","exp":[0-9]{1,20}\}|.{0,20}"#,
        signature in prop::collection::vec(any::<u8>(), 0..40),
    ) {
        let made = format!("{}.{}.{}", URL.encode(&header), URL.encode(&claims), URL.encode(&signature));
        for token in [text, made] {
            let case = Case::new(NETLIFY, "sec", &[("x-webhook-signature", &token)], B.as_bytes());
            prop_assert!(case.check().is_err());
        }
    }
}
