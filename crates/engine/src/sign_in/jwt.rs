//! JSON Web Tokens that we sign, by RSA or by an elliptic curve.

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, RSA_PKCS1_SHA256, RsaKeyPair,
};
use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use domain::connector::{Jwt, JwtAlg};
use domain::secret::Secret;
use domain::template::Place;
use jiff::Timestamp;
use rustls_pki_types::PrivateKeyDer;
use rustls_pki_types::pem::PemObject as _;
use serde_json::{Value, json};

use crate::outgoing::Error;

/// A JWT of these claims, made at `now`. `key` is the private key as PEM, in any of its usual
/// forms; `values` is what claims may speak of.
///
/// # Errors
///
/// [`Error::Connector`] where the claims cannot be filled in, or the key is none of this kind.
pub(super) fn sign(
    jwt: &Jwt,
    key: &Secret,
    values: &Value,
    now: Timestamp,
) -> Result<Secret, Error> {
    let mut head = json!({ "alg": jwt.alg.as_str(), "typ": "JWT" });
    if let Some(id) = &jwt.key_id {
        let id = id.render(Place::Text, values)?;
        if !id.is_empty() {
            head["kid"] = id.into();
        }
    }
    let mut claims = jwt.claims.render(values)?;
    let Value::Object(said) = &mut claims else {
        return Err(Error::Connector("the claims of its JWT are not an object".into()));
    };
    // What its user left empty is not said at all.
    said.retain(|_, claim| claim != "");
    let made = now.as_second() - jwt.backdate.map_or(0, |span| span.get().as_secs());
    said.entry("iat").or_insert_with(|| made.into());
    let until = now.as_second() + jwt.valid_for.get().as_secs();
    said.entry("exp").or_insert_with(|| until.into());

    let encode = |value: &Value| BASE64_URL_SAFE_NO_PAD.encode(value.to_string());
    let text = format!("{}.{}", encode(&head), encode(&claims));
    let signature = signature(jwt.alg, key, text.as_bytes())?;
    Ok(Secret::new(format!("{text}.{}", BASE64_URL_SAFE_NO_PAD.encode(signature))))
}

fn signature(alg: JwtAlg, key: &Secret, text: &[u8]) -> Result<Vec<u8>, Error> {
    let unfit = || {
        let kind = match alg {
            JwtAlg::RS256 => "an RSA key",
            JwtAlg::ES256 => "a key of the curve P-256",
        };
        Error::Connector(format!(
            "the private key is not {kind} as text: it should begin with `-----BEGIN`, and have no \
             password"
        ))
    };
    // A form, or a setting that was copied from JSON, may have made `\n` of its line ends.
    let pem = zeroize::Zeroizing::new(key.expose().replace("\\n", "\n"));
    let der = PrivateKeyDer::from_pem_slice(pem.as_bytes()).map_err(|_| unfit())?;
    let random = SystemRandom::new();
    match alg {
        JwtAlg::RS256 => {
            let pair = match &der {
                PrivateKeyDer::Pkcs1(der) => RsaKeyPair::from_der(der.secret_pkcs1_der()),
                PrivateKeyDer::Pkcs8(der) => RsaKeyPair::from_pkcs8(der.secret_pkcs8_der()),
                _ => return Err(unfit()),
            };
            let pair = pair.map_err(|_| unfit())?;
            let mut signature = vec![0; pair.public_modulus_len()];
            pair.sign(&RSA_PKCS1_SHA256, &random, text, &mut signature).map_err(|_| unfit())?;
            Ok(signature)
        }
        JwtAlg::ES256 => {
            let kind = &ECDSA_P256_SHA256_FIXED_SIGNING;
            let pair = match &der {
                PrivateKeyDer::Sec1(der) => {
                    EcdsaKeyPair::from_private_key_der(kind, der.secret_sec1_der())
                }
                PrivateKeyDer::Pkcs8(der) => EcdsaKeyPair::from_pkcs8(kind, der.secret_pkcs8_der()),
                _ => return Err(unfit()),
            };
            let pair = pair.map_err(|_| unfit())?;
            Ok(pair.sign(&random, text).map_err(|_| unfit())?.as_ref().to_vec())
        }
    }
}
