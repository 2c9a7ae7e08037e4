//! From secrets to what calls carry, for each way in.

use std::collections::BTreeSet;
use std::sync::Arc;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use domain::connector::{
    Basic, HeaderToken, Oauth1, QueryToken, Send, SmtpLogin, SmtpMechanism, TOKEN, UrlSecret, Way,
    WayKind,
};
use domain::oauth1;
use domain::secret::{Secret, Secrets};
use domain::template::{Place, Template};
use http::{HeaderName, header};
use serde_json::{Map, Value, json};
use zeroize::Zeroizing;

use super::tokens::ACCESS;
use crate::outgoing::{Carried, Error};

/// What a call carries to be let in.
#[derive(Debug, Clone)]
pub(crate) struct Credential {
    /// What is put on its request.
    pub(crate) carried: Carried,
    /// The address that takes the place of the connector's, where the address is the secret.
    pub(crate) url: Option<Secret>,
    /// How a mail server is talked to.
    pub(crate) mail: Option<MailLogin>,
    /// What of the vault goes along, by name: for the ledger and for masking.
    pub(crate) secrets: Arc<Secrets>,
    /// What the connector's texts may use as `token.NAME`; never the tokens themselves.
    pub(crate) values: Value,
    /// The addresses that its secrets were given for: a call of a connection that leads elsewhere,
    /// as whoever makes it knows it, must not carry them. None where it has no secrets.
    pub(crate) given_to: Option<Arc<BTreeSet<String>>>,
}

impl Default for Credential {
    fn default() -> Self {
        Self {
            carried: Carried::default(),
            url: None,
            mail: None,
            secrets: Arc::default(),
            values: json!({}),
            given_to: None,
        }
    }
}

impl Credential {
    /// What a call carries with another secret in the place of the way's own token.
    ///
    /// # Errors
    ///
    /// [`Error::Connector`] where the way carries no token in a header.
    pub(crate) fn with_token(&self, way: &Way, name: &str, token: &Secret) -> Result<Self, Error> {
        let (header, prefix) = way.kind.token_header().ok_or_else(|| unknown(&way.kind))?;
        let value = Secret::new(format!("{prefix}{}", token.expose()));
        let mut secrets = Secrets::new();
        secrets.set(name, token.clone());
        Ok(Self {
            carried: Carried::header(header_name(header)?, value),
            secrets: Arc::new(secrets),
            values: self.values.clone(),
            given_to: self.given_to.clone(),
            ..Self::default()
        })
    }

    /// Whether a call would carry the same with the other, to the same addresses.
    pub(super) fn is_same(&self, other: &Self) -> bool {
        self.carried == other.carried
            && self.url == other.url
            && self.mail == other.mail
            && self.given_to == other.given_to
    }
}

/// How a mail server is shown who we are.
#[derive(Debug, Clone, PartialEq)]
pub enum MailLogin {
    /// By a password.
    Password {
        /// The user.
        user: Secret,
        /// The password.
        pass: Secret,
        /// Which mechanisms may be used, the one that is liked best first; any where it is empty.
        mechanisms: Vec<SmtpMechanism>,
    },
    /// By an access token.
    Xoauth2 {
        /// The user.
        user: String,
        /// The token.
        token: Secret,
    },
}

impl MailLogin {
    /// The user.
    pub(crate) fn user(&self) -> &str {
        match self {
            Self::Password { user, .. } => user.expose(),
            Self::Xoauth2 { user, .. } => user,
        }
    }

    /// What follows `AUTH PLAIN` or `AUTH XOAUTH2`, in base64.
    pub fn initial_response(&self) -> Secret {
        let text = match self {
            Self::Password { user, pass, .. } => {
                Zeroizing::new(format!("\0{}\0{}", user.expose(), pass.expose()))
            }
            Self::Xoauth2 { user, token } => {
                Zeroizing::new(format!("user={user}\x01auth=Bearer {}\x01\x01", token.expose()))
            }
        };
        Secret::new(BASE64_STANDARD.encode(&*text))
    }
}

/// What calls carry by a way that needs no token answer, or by the token that it was answered.
pub(super) struct Carrier<'a> {
    /// The way.
    pub(super) way: &'a Way,
    /// The secrets of the connection.
    pub(super) secrets: &'a Secrets,
    /// What its texts may speak of, beside secrets.
    pub(super) values: &'a Value,
}

impl Carrier<'_> {
    /// What calls carry by the way itself.
    pub(super) fn credential(&self) -> Result<Credential, Error> {
        self.by(&self.way.kind)
    }

    /// What calls carry by `kind`, which is that of the way or the one inside of it.
    pub(super) fn by(&self, kind: &WayKind) -> Result<Credential, Error> {
        let mut credential = Credential::default();
        let mut used = Secrets::new();
        match kind {
            WayKind::None => {}
            WayKind::HeaderToken(way) => {
                credential.carried = self.header_token(way, &mut used)?;
            }
            WayKind::QueryToken(way) => credential.carried = self.query_token(way, &mut used)?,
            WayKind::Basic(way) => credential.carried = self.basic(way, &mut used)?,
            WayKind::KeyHandOver(way) => {
                credential.carried = self.basic(&way.basic, &mut used)?;
            }
            WayKind::UrlSecret(_) => {
                let url = self.secret(UrlSecret::URL, &mut used)?;
                credential.url = Some(url);
            }
            WayKind::Oauth1(way) => {
                credential.carried.signer = Some(self.oauth1(way, &mut used)?);
            }
            WayKind::SmtpLogin(way) => credential.mail = Some(self.smtp(way, &mut used)?),
            other => {
                let facts = other.token_facts();
                let send = facts.map(|facts| facts.send).ok_or_else(|| unknown(other))?;
                let access = self.secret(ACCESS, &mut used)?;
                match send {
                    Send::Xoauth2(user) => {
                        let user = user.render(Place::Text, self.values)?;
                        credential.mail = Some(MailLogin::Xoauth2 { user, token: access });
                    }
                    send => credential.carried = sent(send, &access)?,
                }
            }
        }
        credential.secrets = Arc::new(used);
        Ok(credential)
    }

    fn header_token(&self, way: &HeaderToken, used: &mut Secrets) -> Result<Carried, Error> {
        let token = self.secret(TOKEN, used)?;
        let header = way.header.render(Place::Header, self.values)?;
        let prefix = way.prefix.render(Place::Header, self.values)?;
        let mut carried = Carried::header(
            header_name(header.trim())?,
            Secret::new(format!("{prefix}{}", token.expose())),
        );
        for (name, text) in &way.headers {
            let value = self.text(text, Place::Header, used)?;
            if !value.expose().is_empty() {
                carried.headers.push((header_name(name)?, value));
            }
        }
        Ok(carried)
    }

    fn query_token(&self, way: &QueryToken, used: &mut Secrets) -> Result<Carried, Error> {
        let mut query = Vec::new();
        if let Some(param) = &way.param {
            let param = param.render(Place::Text, self.values)?;
            query.push((param, self.secret(TOKEN, used)?));
        }
        for (name, text) in &way.params {
            query.push((name.clone(), self.text(text, Place::Text, used)?));
        }
        Ok(Carried { query, ..Carried::default() })
    }

    fn basic(&self, way: &Basic, used: &mut Secrets) -> Result<Carried, Error> {
        let user = self.text(&way.user, Place::Text, used)?;
        let pass = way.pass.as_ref().map(|pass| self.text(pass, Place::Text, used)).transpose()?;
        let pass = pass.as_ref().map_or("", Secret::expose);
        let pair = Zeroizing::new(format!("{}:{pass}", user.expose()));
        let value = Secret::new(format!("Basic {}", BASE64_STANDARD.encode(&*pair)));
        Ok(Carried::header(header::AUTHORIZATION, value))
    }

    fn oauth1(&self, way: &Oauth1, used: &mut Secrets) -> Result<oauth1::Keys, Error> {
        let mut text = |text: &Template| self.text(text, Place::Text, used);
        Ok(oauth1::Keys {
            consumer_key: text(&way.consumer_key)?,
            consumer_secret: text(&way.consumer_secret)?,
            token: way.token.as_ref().map(&mut text).transpose()?,
            token_secret: way.token_secret.as_ref().map(&mut text).transpose()?,
            hash: way.hash,
            place: way.place,
        })
    }

    fn smtp(&self, way: &SmtpLogin, used: &mut Secrets) -> Result<MailLogin, Error> {
        Ok(MailLogin::Password {
            user: self.text(&way.user, Place::Text, used)?,
            pass: self.text(&way.pass, Place::Text, used)?,
            mechanisms: way.mechanisms.clone(),
        })
    }

    fn secret(&self, name: &str, used: &mut Secrets) -> Result<Secret, Error> {
        let secret = self.secrets.get(name);
        let secret = secret.ok_or_else(|| Error::Connector(format!("`{name}` is missing")))?;
        used.set(name, secret.clone());
        Ok(secret.clone())
    }

    /// A text of the way that may speak of secrets, filled in.
    fn text(&self, text: &Template, place: Place, used: &mut Secrets) -> Result<Secret, Error> {
        let values = with_secrets(self.values, self.secrets, self.way);
        let rendered = Secret::new(text.render(place, &values)?);
        note_used(&text.names(), self.secrets, used);
        // What is made of secrets is as secret as they are.
        let is_made_of_some = text.names().iter().any(|name| name.starts_with("secrets."));
        if is_made_of_some && used.iter().all(|(_, values)| !values.contains(&rendered)) {
            used.add("credential", rendered.clone());
        }
        Ok(rendered)
    }
}

fn unknown(kind: &WayKind) -> Error {
    Error::Connector(format!("calls cannot be made by `{}`", kind.name()))
}

/// Puts the secrets that a text names among those that are used.
pub(super) fn note_used(names: &[String], secrets: &Secrets, used: &mut Secrets) {
    for name in names.iter().filter_map(|name| name.strip_prefix("secrets.")) {
        if let Some(secret) = secrets.get(name) {
            used.set(name, secret.clone());
        }
    }
}

/// `values` with the secrets among them as `secrets.NAME`: for texts that become a request and go
/// nowhere else. One that was left empty is an empty text.
pub(super) fn with_secrets(values: &Value, secrets: &Secrets, way: &Way) -> Value {
    let empty = way.fields().into_iter().filter(|field| field.secret);
    let mut all: Map<_, _> = empty.map(|field| (field.name, Value::from(""))).collect();
    let given = secrets.iter().filter_map(|(name, values)| Some((name, values.first()?)));
    all.extend(given.map(|(name, value)| (name.to_owned(), Value::from(value.expose()))));
    let mut values = values.clone();
    values["secrets"] = Value::Object(all);
    values
}

/// What carries `access`, where it goes along in a request.
fn sent(send: &Send, access: &Secret) -> Result<Carried, Error> {
    match send {
        Send::Header { header, prefix } => {
            let value = Secret::new(format!("{prefix}{}", access.expose()));
            Ok(Carried::header(header_name(header)?, value))
        }
        Send::Query(param) => {
            Ok(Carried { query: vec![(param.clone(), access.clone())], ..Carried::default() })
        }
        Send::Xoauth2(_) => Ok(Carried::default()),
    }
}

fn header_name(name: &str) -> Result<HeaderName, Error> {
    HeaderName::try_from(name).map_err(|_| Error::Connector(format!("`{name}` is not a header")))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The vector of the sheet that mail providers publish.
    #[test]
    fn a_mail_server_is_shown_a_token_as_it_expects() {
        let login = MailLogin::Xoauth2 { user: "a@b.c".into(), token: Secret::new("T".to_owned()) };

        assert_eq!(login.initial_response().expose(), "dXNlcj1hQGIuYwFhdXRoPUJlYXJlciBUAQE=");
    }

    fn carry(auth: &str, secrets: &[(&str, &str)]) -> Credential {
        let way: Way = serde_saphyr::from_str(auth).unwrap();
        let mut all = Secrets::new();
        for (name, value) in secrets {
            all.set(*name, Secret::new((*value).into()));
        }
        let values = json!({ "settings": { "account": "acct_1" } });
        Carrier { way: &way, secrets: &all, values: &values }.credential().unwrap()
    }

    fn headers(credential: &Credential) -> Vec<(String, String)> {
        let headers = credential.carried.headers.iter();
        headers.map(|(name, value)| (name.to_string(), value.expose().to_owned())).collect()
    }

    fn one(name: &str, value: &str) -> Vec<(String, String)> {
        vec![(name.into(), value.into())]
    }

    #[test]
    fn a_pasted_token_goes_where_the_connector_says() {
        let token = [("token", "T")];
        let bare = carry("header_token: { header: x-token }", &token);
        let bot = carry("header_token: { prefix: 'Bot ' }", &token);
        let query = carry("query_token: { param: access_token }", &token);
        let url = carry("url_secret: { pattern: 'https://h/.*' }", &[("url", "https://h/x")]);

        assert_eq!(headers(&bare), one("x-token", "T"));
        assert_eq!(headers(&bot), one("authorization", "Bot T"));
        assert_eq!(query.carried.query, [("access_token".into(), Secret::new("T".into()))]);
        assert_eq!(url.url, Some(Secret::new("https://h/x".into())));
        assert_eq!(url.secrets.names().collect::<Vec<_>>(), ["url"]);
    }

    #[test]
    fn another_secret_goes_where_the_token_would() {
        let auth =
            "{ header_token: { prefix: 'Bot ' }, fields: { app: { title: App, secret: true } } }";
        let way: Way = serde_saphyr::from_str(auth).unwrap();

        let other =
            carry(auth, &[("token", "T")]).with_token(&way, "app", &Secret::new("A".into()));

        let other = other.unwrap();
        assert_eq!(headers(&other), one("authorization", "Bot A"));
        assert_eq!(other.secrets.names().collect::<Vec<_>>(), ["app"]);
    }

    #[test]
    fn a_further_header_is_left_out_where_nothing_was_given() {
        let auth = "
header_token:
  prefix: 'Bearer '
  headers: { stripe-account: '{{ secrets.account }}' }
fields: { account: { title: Account, optional: true, secret: true } }
";
        let with = carry(auth, &[("token", "T"), ("account", "acct_1")]);
        let without = carry(auth, &[("token", "T")]);

        assert_eq!(headers(&with).len(), 2);
        assert_eq!(headers(&without), one("authorization", "Bearer T"));
    }

    #[test]
    fn user_and_password_may_be_fixed_empty_or_derived() {
        let api = carry(
            "{ basic: { user: api, pass: '{{ secrets.key }}' }, fields: { key: { title: Key, secret: true } } }",
            &[("key", "k-1")],
        );
        let empty = carry(
            "{ basic: { user: '{{ secrets.key }}' }, fields: { key: { title: Key, secret: true } } }",
            &[("key", "EZTK1")],
        );

        // `api:k-1` and `EZTK1:`.
        assert_eq!(headers(&api), one("authorization", "Basic YXBpOmstMQ=="));
        assert_eq!(headers(&empty), one("authorization", "Basic RVpUSzE6"));
    }
}
