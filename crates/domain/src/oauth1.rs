//! Signatures of OAuth 1.0a (RFC 5849): what a request carries so that its receiver knows who sent
//! it, without the secret going along.
//!
//! A signature covers the method, the address, the query and a body that is a form. It holds a
//! nonce, so each try of a request needs one of its own.

use std::fmt::Write as _;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use hmac::Hmac;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use url::Url;
use zeroize::Zeroizing;

use crate::connector::{Oauth1Hash, Oauth1Place};
use crate::secret::Secret;

/// All but the unreserved characters (RFC 5849, 3.6).
const RESERVED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// Who signs, and with what.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Keys {
    /// Whose key it is.
    pub consumer_key: Secret,
    /// Its secret.
    pub consumer_secret: Secret,
    /// For whom.
    pub token: Option<Secret>,
    /// The secret of the token.
    pub token_secret: Option<Secret>,
    /// What the signature is made with.
    pub hash: Oauth1Hash,
    /// Where it goes.
    pub place: Oauth1Place,
}

/// What a signature is about.
#[derive(Debug, Clone, Copy)]
pub struct Signed<'a> {
    /// The method, upper case.
    pub method: &'a str,
    /// The address, query and all.
    pub url: &'a Url,
    /// The fields of a body that is a form, decoded.
    pub form: &'a [(String, String)],
    /// Never the same twice.
    pub nonce: &'a str,
    /// When, in seconds since 1970.
    pub timestamp: i64,
}

/// The parameters that a signed request carries, the signature among them.
pub fn parameters(keys: &Keys, signed: &Signed<'_>) -> Vec<(&'static str, String)> {
    let mut parameters = vec![
        ("oauth_consumer_key", keys.consumer_key.expose().to_owned()),
        ("oauth_nonce", signed.nonce.to_owned()),
        ("oauth_signature_method", method(keys.hash).to_owned()),
        ("oauth_timestamp", signed.timestamp.to_string()),
        ("oauth_version", "1.0".to_owned()),
    ];
    if let Some(token) = &keys.token {
        parameters.push(("oauth_token", token.expose().to_owned()));
    }
    let signature = signature(keys, signed, &parameters);
    parameters.push(("oauth_signature", signature));
    parameters
}

/// The value of `authorization` that carries them.
pub fn header(parameters: &[(&str, String)]) -> String {
    let mut text = String::from("OAuth ");
    for (at, (name, value)) in parameters.iter().enumerate() {
        let comma = if at == 0 { "" } else { ", " };
        // Writing into a text does not fail.
        let _ = write!(text, "{comma}{name}=\"{}\"", encoded(value));
    }
    text
}

const fn method(hash: Oauth1Hash) -> &'static str {
    match hash {
        Oauth1Hash::HmacSha1 => "HMAC-SHA1",
        Oauth1Hash::HmacSha256 => "HMAC-SHA256",
    }
}

fn signature(keys: &Keys, signed: &Signed<'_>, own: &[(&str, String)]) -> String {
    let token_secret = keys.token_secret.as_ref().map_or("", Secret::expose);
    let key = Zeroizing::new(format!(
        "{}&{}",
        encoded(keys.consumer_secret.expose()),
        encoded(token_secret)
    ));
    let base = base_string(signed, own);
    match keys.hash {
        Oauth1Hash::HmacSha1 => mac::<Hmac<sha1::Sha1>>(&key, &base),
        Oauth1Hash::HmacSha256 => mac::<Hmac<sha2::Sha256>>(&key, &base),
    }
}

fn mac<M: hmac::Mac + hmac::KeyInit>(key: &str, base: &str) -> String {
    // A key of any length fits.
    let Ok(mac) = <M as hmac::KeyInit>::new_from_slice(key.as_bytes()) else {
        return String::new();
    };
    BASE64_STANDARD.encode(mac.chain_update(base).finalize().into_bytes())
}

/// RFC 5849, 3.4.1.
fn base_string(signed: &Signed<'_>, own: &[(&str, String)]) -> String {
    let mut pairs: Vec<(String, String)> =
        signed.url.query_pairs().map(|(name, value)| (encoded(&name), encoded(&value))).collect();
    pairs.extend(signed.form.iter().map(|(name, value)| (encoded(name), encoded(value))));
    pairs.extend(own.iter().map(|(name, value)| (encoded(name), encoded(value))));
    pairs.sort();
    let pairs: Vec<_> = pairs.into_iter().map(|(name, value)| format!("{name}={value}")).collect();
    let mut address = signed.url.clone();
    address.set_query(None);
    address.set_fragment(None);
    format!("{}&{}&{}", signed.method, encoded(address.as_str()), encoded(&pairs.join("&")))
}

fn encoded(text: &str) -> String {
    utf8_percent_encode(text, RESERVED).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn keys(consumer: (&str, &str), token: Option<(&str, &str)>, hash: Oauth1Hash) -> Keys {
        let secret = |text: &str| Secret::new(text.into());
        Keys {
            consumer_key: secret(consumer.0),
            consumer_secret: secret(consumer.1),
            token: token.map(|(token, _)| secret(token)),
            token_secret: token.map(|(_, token_secret)| secret(token_secret)),
            hash,
            place: Oauth1Place::Header,
        }
    }

    fn form(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
        pairs.iter().map(|(name, value)| ((*name).into(), (*value).into())).collect()
    }

    fn signature_of(parameters: &[(&str, String)]) -> String {
        parameters.iter().find(|(name, _)| *name == "oauth_signature").unwrap().1.clone()
    }

    /// The example of OAuth Core 1.0, appendix A.5.
    #[test]
    fn signs_the_published_request_as_the_specification_does() {
        let keys = keys(
            ("dpf43f3p2l4k3l03", "kd94hf93k423kf44"),
            Some(("nnch734d00sl2jdk", "pfkkdhi9sl3r4s00")),
            Oauth1Hash::HmacSha1,
        );
        let url = "http://photos.example.net/photos?file=vacation.jpg&size=original";

        let parameters = parameters(
            &keys,
            &Signed {
                method: "GET",
                url: &url.parse().unwrap(),
                form: &[],
                nonce: "kllo9940pd9333jh",
                timestamp: 1_191_242_096,
            },
        );

        assert_eq!(signature_of(&parameters), "tR3+Ty81lMeYAr/Fid0kMTYa/WM=");
        let header = header(&parameters);
        assert!(header.contains(r#"oauth_signature="tR3%2BTy81lMeYAr%2FFid0kMTYa%2FWM%3D""#));
    }

    /// RFC 5849, 3.4.1.1: parameters that come twice, are empty, or need encoding.
    #[test]
    fn the_text_that_is_signed_is_that_of_the_specification() {
        let url = "http://EXAMPLE.COM:80/request?b5=%3D%253D&a3=a&c%40=&a2=r%20b";
        let signed = Signed {
            method: "POST",
            url: &url.parse().unwrap(),
            form: &form(&[("c2", ""), ("a3", "2 q")]),
            nonce: "",
            timestamp: 0,
        };
        let own = [
            ("oauth_consumer_key", "9djdj82h48djs9d2".to_owned()),
            ("oauth_token", "kkk9d7dh3k39sjv7".to_owned()),
            ("oauth_signature_method", "HMAC-SHA1".to_owned()),
            ("oauth_timestamp", "137131201".to_owned()),
            ("oauth_nonce", "7d8f3e4a".to_owned()),
        ];

        assert_eq!(
            base_string(&signed, &own),
            "POST&http%3A%2F%2Fexample.com%2Frequest&a2%3Dr%2520b%26a3%3D2%2520q%26a3%3Da%26b5%3D\
             %253D%25253D%26c%2540%3D%26c2%3D%26oauth_consumer_key%3D9djdj82h48djs9d2%26oauth_nonce\
             %3D7d8f3e4a%26oauth_signature_method%3DHMAC-SHA1%26oauth_timestamp%3D137131201%26oauth_\
             token%3Dkkk9d7dh3k39sjv7"
        );
    }
}
