//! Mail servers: whether one lets a connection in, and mail that is handed over to it.
//!
//! What holds for calls holds for conversations with a mail server: where they may go, what they
//! count, that a credential is renewed once where it is refused, and that the ledger has what was
//! shown before it is shown. Mail is handed over with encryption or not at all.

mod message;
mod session;
mod wire;

#[cfg(test)]
mod tests;

use std::net::IpAddr;
use std::sync::Arc;

use domain::connection::{Connection, ConnectionState};
use domain::connector::Connector;
use domain::id::ConnectionId;
use domain::reach::NamedBy;
use domain::template::Place;
use jiff::Timestamp;
use serde_json::Value;
use url::{Host, Url};

pub use self::message::Mail;
use self::message::Written;
use self::session::{Encryption, Fault, Patience, Server, Session};
use super::budget::{Budget, Counted};
use super::foreign::{SAID, said};
use super::{Carrying, Error, Exchange, Shown, Unwatched};
use crate::field::Problem;
use crate::sign_in::{Credential, MailLogin};
use crate::{Engine, connection};

/// How much is shown of what a server said, in characters.
const SHOWN: usize = 4096;
/// The status of a refusal (RFC 4954, section 6).
const REFUSED: u16 = 535;

/// What a conversation with a mail server is for, and what came of it.
struct Attempt<'a> {
    connection: &'a Connection,
    credential: &'a Credential,
    login: &'a MailLogin,
    server: Server,
    /// What the ledger calls it.
    url: Url,
    /// What is handed over; nothing where it is only tried.
    mail: Option<&'a Written>,
}

/// The last words of a server, with their status.
type Words = (u16, String);

/// A mail that a server has taken.
#[derive(Debug, Clone)]
pub struct Sent {
    /// Its own `Message-ID`.
    pub message_id: String,
    /// What the server said: often how it calls the mail.
    pub answer: String,
}

impl Engine {
    /// Sends a mail through the mail server of a connection: to all whom it is to, or to nobody.
    ///
    /// It is handed over once. Where the server ends before it says whether it takes it, the error
    /// says so, and whoever sends it once more may send it twice.
    ///
    /// # Errors
    ///
    /// [`connection::Error::Field`] for the first field that does not fit, before anybody is called;
    /// [`connection::Error::Check`] for what went wrong with the server.
    pub async fn send_mail(
        &self,
        id: ConnectionId,
        mail: &Mail,
    ) -> Result<Sent, connection::Error> {
        let connection = self.inner.store.connection(id).await?;
        if connection.connection.state == ConnectionState::Off {
            let (field, problem) = ("connection".into(), "is switched off".into());
            return Err(Problem { field, problem }.into());
        }
        let connector = self.connector_of(&connection);
        let connector =
            connector.map_err(|error| connection::Error::Connector(error.to_string()))?;
        let values = self.values(&connection, &connector, &serde_json::json!({}));
        let from = connector.smtp.as_ref().and_then(|smtp| smtp.from.as_ref());
        let from = from.map(|from| from.render(Place::Header, &values)).transpose();
        let written = mail.write(from.map_err(Error::from)?.as_deref(), self.now())?;
        let mut carried = Vec::new();
        let outcome =
            self.let_in(&connection, &connector, Some(&written), false, &mut carried).await;
        let carried: Vec<_> = carried.iter().collect();
        let secrets = self.secrets_known_to_provider(&connection, &carried).await;
        let (_, (_, words)) = outcome.map_err(|error| error.without(&secrets))?;
        Ok(Sent { message_id: written.message_id, answer: said(&words, &secrets, SAID) })
    }

    /// Opens a conversation with the mail server of a connection, shows it who we are, and ends it.
    /// The answer is the name that it was shown.
    ///
    /// A token that is refused is renewed once, and shown anew. Where it `proves`, the connection
    /// waits for its user, and this is to see whether it still has to.
    ///
    /// # Errors
    ///
    /// See [`Error`]. Where the credential is refused for good, the connection needs a sign-in.
    pub(crate) async fn check_mail(
        &self,
        connection: &Connection,
        connector: &Connector,
        proves: bool,
    ) -> Result<String, Error> {
        let mut carried = Vec::new();
        let outcome = self.let_in(connection, connector, None, proves, &mut carried).await;
        let carried: Vec<_> = carried.iter().collect();
        let secrets = self.secrets_known_to_provider(connection, &carried).await;
        match outcome {
            Ok((user, _)) => Ok(said(&user, &secrets, 200)),
            Err(error) => Err(error.without(&secrets)),
        }
    }

    /// Tries once, or twice where the credential is another one then.
    async fn let_in(
        &self,
        connection: &Connection,
        connector: &Connector,
        mail: Option<&Written>,
        proves: bool,
        carried: &mut Vec<Credential>,
    ) -> Result<(String, Words), Error> {
        let mut credential = self.credential_for(connection, proves).await?;
        carried.push(credential.clone());
        for is_last in [false, true] {
            let attempt = self.attempt(connection, connector, &credential, mail)?;
            let why = match self.conversed(&attempt, connector).await {
                Ok(words) => return Ok((attempt.login.user().to_owned(), words)),
                Err(Fault::Other(error)) => return Err(error),
                Err(Fault::Refused(words)) => words,
            };
            let host = &attempt.server.host;
            let renewable = matches!(attempt.login, MailLogin::Xoauth2 { .. });
            let other = if renewable && !is_last {
                self.renew(connection, &credential, proves).await?
            } else {
                let secrets = self.secrets_known_to_provider(connection, &[&credential]).await;
                let why = refusal(host, renewable, &said(&why, &secrets, SAID));
                self.end_sign_in(connection, &credential, why).await?
            };
            if is_last {
                return Err(Error::Credentials(host.clone()));
            }
            carried.push(other.clone());
            credential = other;
        }
        Err(Error::Connector("nothing was tried".into()))
    }

    /// Whom to talk to, and what to show.
    fn attempt<'a>(
        &self,
        connection: &'a Connection,
        connector: &Connector,
        credential: &'a Credential,
        mail: Option<&'a Written>,
    ) -> Result<Attempt<'a>, Error> {
        self.refuse_elsewhere(connection, connector, credential)?;
        let login = credential.mail.as_ref();
        let login =
            login.ok_or_else(|| Error::Connector("its way in is for no mail server".into()))?;
        let values = self.values(connection, connector, &credential.values);
        let (server, url) = self.mail_server(connector, &values)?;
        Ok(Attempt { connection, credential, login, server, url, mail })
    }

    /// The mail server of a connection, where it may be called, and its address.
    fn mail_server(&self, connector: &Connector, values: &Value) -> Result<(Server, Url), Error> {
        let smtp = connector.smtp.as_ref();
        let smtp = smtp.ok_or_else(|| Error::Connector("it has no `smtp`".into()))?;
        let fill = |text: &domain::template::Template| text.render(Place::Address, values);
        let (host, port, tls) = (fill(&smtp.host)?, fill(&smtp.port)?, fill(&smtp.tls)?);
        let port = port.trim().parse().ok().filter(|port| *port > 0);
        let port: u16 =
            port.ok_or_else(|| Error::Connector("the port of its server is none".into()))?;
        let encryption = match tls.trim() {
            "implicit" => Encryption::Implicit,
            "starttls" => Encryption::StartTls,
            "none" => Encryption::None,
            other => return Err(Error::Connector(format!("`tls` is no `{other}`"))),
        };
        let unfit = || Error::Connector(format!("`{host}` is not the name of a server"));
        let host = Host::parse(host.trim()).map_err(|_| unfit())?;
        // The rules are those of other calls; the scheme says whether it is encrypted.
        let scheme = if encryption == Encryption::None { "http" } else { "https" };
        let asked = Url::parse(&format!("{scheme}://{host}:{port}")).map_err(|_| unfit())?;
        let mut reach = self.reach(connector, values)?;
        reach.hosts.push(host.to_string());
        reach.typed = smtp.host.is_one_setting();
        let network = reach.check(&asked, NamedBy::Connector)?;
        let scheme = if encryption == Encryption::Implicit { "smtps" } else { "smtp" };
        let url = Url::parse(&format!("{scheme}://{host}:{port}")).map_err(|_| unfit())?;
        let host = match host {
            Host::Domain(name) => name,
            Host::Ipv4(ip) => IpAddr::V4(ip).to_string(),
            Host::Ipv6(ip) => IpAddr::V6(ip).to_string(),
        };
        Ok((Server { host, port, encryption, network }, url))
    }

    /// Has one conversation, within the budget, and remembers what it looked like.
    async fn conversed(
        &self,
        attempt: &Attempt<'_>,
        connector: &Connector,
    ) -> Result<Words, Fault> {
        let Attempt { connection, server, .. } = attempt;
        let values = self.values(connection, connector, &attempt.credential.values);
        let budget = self.inner.outgoing.budget(connection.id, || {
            Budget::new(&connector.limit, &connector.errors, &attempt.url, &values)
        });
        let budget = budget.map_err(Error::from)?;
        let place = budget.wait(&Counted::mail(), &server.host, self.now(), &Unwatched).await?;
        let at = self.now();
        let mut lines = Vec::new();
        let whole = self.inner.outgoing.inner.bounds.whole;
        let talked = tokio::time::timeout(whole, self.talked(attempt, at, &mut lines)).await;
        let outcome = talked.unwrap_or_else(|_| {
            let host = server.host.clone();
            Err(Error::TimedOut(host).into())
        });
        drop(place);
        self.remember_talk(attempt, at, &lines, &outcome).await;
        outcome
    }

    /// One conversation; its last words are the answer.
    async fn talked(
        &self,
        attempt: &Attempt<'_>,
        at: Timestamp,
        lines: &mut Vec<String>,
    ) -> Result<Words, Fault> {
        let bounds = self.inner.outgoing.inner.bounds;
        let patience = Patience { connect: bounds.connect, answer: bounds.silence };
        let mut session = Session::open(&attempt.server, patience, lines).await?;
        let mechanism = session.mechanism(attempt.login)?;
        // Before it is shown: whoever gives it up, or ends us, does not call it back.
        self.inner.outgoing.trace().sent(&attempt.carrying(), &attempt.url, at);
        session.log_in(attempt.login, mechanism).await?;
        let answer = match attempt.mail {
            None => session.nothing().await?,
            Some(mail) => session.hand_over(mail).await?,
        };
        session.close().await;
        let words = answer.message().collect::<Vec<_>>().join("\n");
        Ok((answer.code().into(), words))
    }

    async fn remember_talk(
        &self,
        attempt: &Attempt<'_>,
        at: Timestamp,
        lines: &[String],
        outcome: &Result<Words, Fault>,
    ) {
        if attempt.mail.is_some() && outcome.is_ok() {
            return;
        }
        let secrets =
            self.secrets_known_to_provider(attempt.connection, &[attempt.credential]).await;
        let shown = |status, words: &str| {
            let body = said(words, &secrets, SHOWN);
            Ok(Shown { status, headers: Vec::new(), body })
        };
        let exchange = Exchange {
            at,
            purpose: attempt.purpose().into(),
            method: "SMTP".into(),
            url: attempt.url.to_string(),
            headers: Vec::new(),
            body: Some(lines.join("\n")),
            answer: match outcome {
                Ok((status, words)) => shown(*status, words),
                Err(Fault::Refused(words)) => shown(REFUSED, words),
                Err(Fault::Other(Error::Status { status, message, .. })) => shown(*status, message),
                Err(Fault::Other(error)) => Err(said(&error.to_string(), &secrets, SAID)),
            },
        };
        self.inner.outgoing.trace().keep(attempt.connection.id, exchange);
    }
}

impl Attempt<'_> {
    fn purpose(&self) -> &'static str {
        if self.mail.is_some() { "mail" } else { "check" }
    }

    fn carrying(&self) -> Carrying {
        Carrying {
            connection: Some(self.connection.id),
            secrets: Arc::clone(&self.credential.secrets),
            purpose: self.purpose().into(),
            watched: true,
            brings_secrets: false,
        }
    }
}

/// Why a connection needs its user.
fn refusal(host: &str, by_token: bool, words: &str) -> String {
    let what = if by_token { "refuses a new token, too" } else { "refuses user and password" };
    match words.trim_end_matches('.') {
        "" => format!("{host} {what}."),
        words => format!("{host} {what}: {words}."),
    }
}
