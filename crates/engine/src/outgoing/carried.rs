//! What lets a request in, and how it is put on: header by header, in the query, or as a signature
//! that is made anew for each try.

use domain::connector::Oauth1Place;
use domain::oauth1::{self, Signed};
use domain::secret::Secret;
use http::{HeaderMap, HeaderName, HeaderValue, Method, header};
use jiff::Timestamp;
use url::Url;

use super::Error;

/// What lets a request in. It goes to the first origin alone.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Carried {
    /// Headers with their whole values.
    pub(crate) headers: Vec<(HeaderName, Secret)>,
    /// Parameters of the query.
    pub(crate) query: Vec<(String, Secret)>,
    /// What it is signed with.
    pub(crate) signer: Option<oauth1::Keys>,
}

impl Carried {
    /// One header.
    pub(crate) fn header(name: HeaderName, value: Secret) -> Self {
        Self { headers: vec![(name, value)], ..Self::default() }
    }

    /// Leaves it behind: where the request goes now, it is nobody's business.
    pub(super) fn clear(&mut self) {
        *self = Self::default();
    }

    /// Puts it on a request with this body, which is sent at `now`.
    pub(super) fn put_on(
        &self,
        method: &Method,
        url: &mut Url,
        headers: &mut HeaderMap,
        body: &[u8],
        now: Timestamp,
    ) -> Result<(), Error> {
        for (name, value) in &self.headers {
            headers.insert(name.clone(), secret_value(value)?);
        }
        if !self.query.is_empty() {
            let pairs = self.query.iter().map(|(name, value)| (name, value.expose()));
            url.query_pairs_mut().extend_pairs(pairs);
        }
        let Some(keys) = &self.signer else { return Ok(()) };
        let form = form_of(headers, body);
        let nonce = hex::encode(crate::random::<16>());
        let timestamp = now.as_second();
        let signed = Signed { method: method.as_str(), url, form: &form, nonce: &nonce, timestamp };
        let parameters = oauth1::parameters(keys, &signed);
        match keys.place {
            Oauth1Place::Header => {
                let value = Secret::new(oauth1::header(&parameters));
                headers.insert(header::AUTHORIZATION, secret_value(&value)?);
            }
            Oauth1Place::Query => {
                url.query_pairs_mut().extend_pairs(parameters);
            }
        }
        Ok(())
    }
}

/// The fields of a body that is a form: a signature covers them.
fn form_of(headers: &HeaderMap, body: &[u8]) -> Vec<(String, String)> {
    let kind = headers.get(header::CONTENT_TYPE).and_then(|kind| kind.to_str().ok());
    if kind.is_some_and(|kind| kind.starts_with("application/x-www-form-urlencoded")) {
        url::form_urlencoded::parse(body).into_owned().collect()
    } else {
        Vec::new()
    }
}

fn secret_value(secret: &Secret) -> Result<HeaderValue, Error> {
    let mut value = HeaderValue::from_str(secret.expose())
        .map_err(|_| Error::Connector("the credential does not fit into a header".into()))?;
    value.set_sensitive(true);
    Ok(value)
}
