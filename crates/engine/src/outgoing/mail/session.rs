//! One conversation with a mail server: opened, encrypted, let in, and ended.
//!
//! Nothing is sent in the clear but the greetings that lead to encryption, unless the server is on
//! this computer and its user said so. What a server says is somebody else's text, as long as it
//! likes: it is bounded here, and cleaned where it is shown.

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use domain::connector::SmtpMechanism;
use domain::reach::Network;
use domain::secret::Secret;
use domain::text::clean;
use lettre::transport::smtp;
use lettre::transport::smtp::authentication::Mechanism;
use lettre::transport::smtp::client::{AsyncSmtpConnection, AsyncTokioStream, TlsParameters};
use lettre::transport::smtp::commands::{Data, Mail, Noop, Rcpt};
use lettre::transport::smtp::extension::{ClientId, Extension};
use lettre::transport::smtp::response::Response;
use rustls::CertificateError;
use rustls::pki_types::ServerName;
use rustls_platform_verifier::BuilderVerifierExt as _;
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;
use zeroize::Zeroizing;

use super::message::Written;
use super::wire::{Bounded, TooMuch};
use crate::outgoing::foreign::LOOKED_AT;
use crate::outgoing::{Error, resolve};
use crate::sign_in::MailLogin;

/// How much a server may say in all, in bytes.
const LARGEST: usize = 128 * 1024;
/// How long is waited for its last word, which changes nothing.
const FAREWELL: Duration = Duration::from_secs(2);

/// How what is said to a mail server is kept from others.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Encryption {
    /// It is encrypted from the beginning.
    Implicit,
    /// It is encrypted before anything that matters is said.
    StartTls,
    /// It is not: the server is on this computer.
    None,
}

/// A mail server that may be called.
#[derive(Debug, Clone)]
pub(super) struct Server {
    /// Its name, as certificates have it.
    pub(super) host: String,
    /// Its port.
    pub(super) port: u16,
    /// How it is encrypted.
    pub(super) encryption: Encryption,
    /// Where its name may lead.
    pub(super) network: Network,
}

/// How long is waited.
#[derive(Debug, Clone, Copy)]
pub(super) struct Patience {
    /// For somebody to take the call.
    pub(super) connect: Duration,
    /// For each answer.
    pub(super) answer: Duration,
}

/// Why it did not come to an end as hoped.
#[derive(Debug)]
pub(super) enum Fault {
    /// Who we are was refused, in these words.
    Refused(String),
    /// Something else.
    Other(Error),
}

impl From<Error> for Fault {
    fn from(error: Error) -> Self {
        Self::Other(error)
    }
}

/// An open conversation.
pub(super) struct Session<'a> {
    server: &'a Server,
    patience: Patience,
    talk: AsyncSmtpConnection,
    /// What was said by us, secrets left out.
    said: &'a mut Vec<String>,
}

impl<'a> Session<'a> {
    /// Calls a server and greets it, encrypted as it has to be. What is said on the way is added to
    /// `said`.
    pub(super) async fn open(
        server: &'a Server,
        patience: Patience,
        said: &'a mut Vec<String>,
    ) -> Result<Self, Error> {
        let (stream, peer) = dial(server, patience.connect).await?;
        let stream: Box<dyn AsyncTokioStream> = match server.encryption {
            Encryption::Implicit => {
                let connector = TlsConnector::from(config(server).await?);
                let name = ServerName::try_from(server.host.clone())
                    .map_err(|_| server.unfit("its name is none that a certificate can have"))?;
                let encrypted = connector.connect(name, stream);
                let encrypted = timeout(patience.answer, encrypted).await;
                let encrypted = encrypted
                    .map_err(|_| server.unfit(NO_HANDSHAKE))?
                    .map_err(|error| server.fault(&error))?;
                Box::new(Bounded::new(encrypted, peer, LARGEST))
            }
            Encryption::StartTls | Encryption::None => {
                Box::new(Bounded::new(stream, peer, LARGEST))
            }
        };
        said.push(format!("EHLO {HELLO}"));
        let talk = AsyncSmtpConnection::connect_with_transport(stream, &HELLO);
        let talk = match timeout(patience.answer, talk).await {
            Ok(talk) => talk.map_err(|error| server.smtp_fault(&error))?,
            Err(_) if server.encryption == Encryption::Implicit => {
                return Err(Error::TimedOut(server.host.clone()));
            }
            // Whoever speaks TLS alone waits for us to begin.
            Err(_) => return Err(server.unfit(NO_GREETING)),
        };
        let mut session = Self { server, patience, talk, said };
        if server.encryption == Encryption::StartTls {
            session.encrypt().await?;
        }
        Ok(session)
    }

    async fn encrypt(&mut self) -> Result<(), Error> {
        let server = self.server;
        if !self.talk.server_info().supports_feature(Extension::StartTls) {
            return Err(server.unfit(NOT_OFFERED));
        }
        let host = server.host.clone();
        // The roots are read from files.
        let parameters = tokio::task::spawn_blocking(move || TlsParameters::new_rustls(host)).await;
        let parameters = parameters
            .map_err(|error| server.unfit(&error.to_string()))?
            .map_err(|error| server.smtp_fault(&error))?;
        self.said.push("STARTTLS".into());
        self.said.push(format!("EHLO {HELLO}"));
        match timeout(self.patience.answer, self.talk.starttls(parameters, &HELLO)).await {
            Ok(encrypted) => encrypted.map_err(|error| server.smtp_fault(&error))?,
            Err(_) => return Err(Error::TimedOut(server.host.clone())),
        }
        if self.talk.is_encrypted() { Ok(()) } else { Err(server.unfit(NOT_OFFERED)) }
    }

    /// How this server would be shown who we are.
    pub(super) fn mechanism(&self, login: &MailLogin) -> Result<Mechanism, Error> {
        let liked: Vec<_> = match login {
            MailLogin::Xoauth2 { .. } => vec![Mechanism::Xoauth2],
            MailLogin::Password { mechanisms, .. } if mechanisms.is_empty() => {
                vec![Mechanism::Plain, Mechanism::Login]
            }
            MailLogin::Password { mechanisms, .. } => {
                let mechanism = |it: &SmtpMechanism| match it {
                    SmtpMechanism::Plain => Mechanism::Plain,
                    SmtpMechanism::Login => Mechanism::Login,
                };
                mechanisms.iter().map(mechanism).collect()
            }
        };
        self.talk.server_info().get_auth_mechanism(&liked).ok_or_else(|| {
            let names: Vec<_> = liked.iter().map(ToString::to_string).collect();
            self.server.unfit(&format!("it lets nobody in by {}", names.join(" or ")))
        })
    }

    /// Shows the server who we are.
    pub(super) async fn log_in(
        &mut self,
        login: &MailLogin,
        mechanism: Mechanism,
    ) -> Result<(), Fault> {
        self.said.push(format!("AUTH {mechanism} {}", domain::mask::MASKED));
        let answer = match (mechanism, login) {
            (Mechanism::Login, MailLogin::Password { user, pass, .. }) => {
                let mut answer = self.shown("AUTH LOGIN").await?;
                for value in [user, pass] {
                    if !answer.has_code(334) {
                        break;
                    }
                    let value = Zeroizing::new(BASE64_STANDARD.encode(value.expose()));
                    answer = self.shown(&value).await?;
                }
                answer
            }
            _ => self.shown_at_once(login, mechanism).await?,
        };
        if answer.has_code(235) {
            return Ok(());
        }
        let asked = "it asks for more than it was to be shown when it lets somebody in";
        Err(self.server.unfit(asked).into())
    }

    /// By a mechanism that needs one line.
    async fn shown_at_once(
        &mut self,
        login: &MailLogin,
        mechanism: Mechanism,
    ) -> Result<Response, Fault> {
        let response: Secret = login.initial_response();
        let line = Zeroizing::new(format!("AUTH {mechanism} {}", response.expose()));
        let answer = self.shown(&line).await?;
        match mechanism {
            // It says why not, and refuses once that is acknowledged.
            Mechanism::Xoauth2 if answer.has_code(334) => self.shown("").await,
            Mechanism::Plain if answer.has_code(334) => self.shown(response.expose()).await,
            _ => Ok(answer),
        }
    }

    async fn shown(&mut self, line: &str) -> Result<Response, Fault> {
        let line = Zeroizing::new(format!("{line}\r\n"));
        match timeout(self.patience.answer, self.talk.command(&*line)).await {
            Err(_) => Err(Error::TimedOut(self.server.host.clone()).into()),
            Ok(Ok(answer)) => Ok(answer),
            Ok(Err(error)) if is_refusal(&error) => Err(Fault::Refused(words(&error))),
            Ok(Err(error)) => Err(self.server.smtp_fault(&error).into()),
        }
    }

    /// Asks for nothing, to see that we are listened to.
    pub(super) async fn nothing(&mut self) -> Result<Response, Error> {
        self.said.push("NOOP".into());
        self.asked(Noop).await
    }

    /// Hands over a mail; what the server says of it is the answer. All it goes to are taken, or
    /// nobody gets it.
    pub(super) async fn hand_over(&mut self, mail: &Written) -> Result<Response, Error> {
        let envelope = &mail.envelope;
        self.said.push("MAIL FROM".into());
        self.asked(Mail::new(envelope.from().cloned(), Vec::new())).await?;
        for to in envelope.to() {
            self.said.push("RCPT TO".into());
            self.asked(Rcpt::new(to.clone(), Vec::new())).await?;
        }
        self.said.push(format!("DATA ({} bytes)", mail.bytes.len()));
        self.asked(Data).await?;
        // The whole of it has its own limit.
        self.talk.message(&mail.bytes).await.map_err(|error| match error.status() {
            Some(_) => self.server.smtp_fault(&error),
            // It may have been taken all the same: sent once more, it could arrive twice.
            None => self.server.unfit(UNKNOWN),
        })
    }

    async fn asked(&mut self, command: impl std::fmt::Display) -> Result<Response, Error> {
        match timeout(self.patience.answer, self.talk.command(command)).await {
            Err(_) => Err(Error::TimedOut(self.server.host.clone())),
            Ok(answer) => answer.map_err(|error| self.server.smtp_fault(&error)),
        }
    }

    /// Takes leave.
    pub(super) async fn close(mut self) {
        self.said.push("QUIT".into());
        // Whatever is answered, it is over.
        let _ = timeout(FAREWELL, self.talk.quit()).await;
    }
}

const NO_HANDSHAKE: &str = "it does not answer as one that is encrypted from the beginning";
const NO_GREETING: &str = "it says nothing, as one does that is encrypted from the beginning";
const NOT_OFFERED: &str = "it does not offer STARTTLS, and nothing is sent to it unencrypted";
const NO_SMTP: &str = "it does not speak SMTP";
const CLOSED: &str = "it closed the connection";
const UNKNOWN: &str = "it ended before it said whether it takes the mail, which may have been sent";
const NOT_HERE: &str = "it is not on this computer, and nothing is sent elsewhere unencrypted";

/// Who we say that we are: nothing of this computer.
const HELLO: ClientId = ClientId::Ipv4(Ipv4Addr::LOCALHOST);

async fn dial(server: &Server, patience: Duration) -> Result<(TcpStream, SocketAddr), Error> {
    let unreachable =
        |error: io::Error| Error::Unreachable { host: server.host.clone(), why: why(&error) };
    let dialled = timeout(patience, async {
        let addresses = resolve::addresses(server.network, &server.host, server.port).await;
        let addresses = addresses.map_err(unreachable)?;
        if server.encryption == Encryption::None
            && !addresses.iter().all(|it| it.ip().is_loopback())
        {
            return Err(server.unfit(NOT_HERE));
        }
        // The address that was looked at is the one that is dialled.
        let mut last = io::Error::new(io::ErrorKind::NotFound, "its name leads nowhere");
        for address in addresses {
            match TcpStream::connect(address).await {
                Ok(stream) => return Ok((stream, address)),
                Err(error) => last = error,
            }
        }
        Err(unreachable(last))
    });
    dialled.await.unwrap_or_else(|_| Err(Error::TimedOut(server.host.clone())))
}

async fn config(server: &Server) -> Result<Arc<rustls::ClientConfig>, Error> {
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    // The roots are read from files.
    let config = tokio::task::spawn_blocking(move || {
        rustls::ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()?
            .with_platform_verifier()
            .map(|builder| builder.with_no_client_auth())
    });
    let config = config.await.map_err(|error| server.unfit(&error.to_string()))?;
    Ok(Arc::new(config.map_err(|error| server.unfit(&error.to_string()))?))
}

impl Server {
    /// It cannot be used, and why.
    pub(super) fn unfit(&self, why: &str) -> Error {
        Error::MailServer { host: self.host.clone(), why: why.into() }
    }

    /// What went wrong with what lies below the conversation.
    fn fault(&self, error: &io::Error) -> Error {
        let host = self.host.clone();
        if error.get_ref().is_some_and(|inner| inner.is::<TooMuch>()) {
            return Error::TooLarge(host);
        }
        match error.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>()) {
            Some(rustls::Error::InvalidCertificate(problem)) => self.unfit(&distrust(problem)),
            Some(rustls::Error::InvalidMessage(_)) => self.unfit(NO_HANDSHAKE),
            Some(problem) => self.unfit(&format!("it cannot be encrypted: {problem}")),
            None => match error.kind() {
                io::ErrorKind::UnexpectedEof
                | io::ErrorKind::ConnectionReset
                | io::ErrorKind::ConnectionAborted
                | io::ErrorKind::BrokenPipe => self.unfit(CLOSED),
                // Not even text.
                io::ErrorKind::InvalidData => self.unfit(NO_SMTP),
                _ => Error::Unreachable { host, why: why(error) },
            },
        }
    }

    /// What went wrong with the conversation.
    pub(super) fn smtp_fault(&self, error: &smtp::Error) -> Error {
        let host = self.host.clone();
        if let Some(status) = error.status() {
            return Error::Status { host, status: status.into(), message: words(error) };
        }
        let mut cause: &dyn std::error::Error = error;
        while let Some(inner) = cause.source() {
            cause = inner;
            if let Some(error) = cause.downcast_ref::<io::Error>() {
                return self.fault(error);
            }
        }
        // The library has no other word for these.
        match cause.to_string().as_str() {
            "incomplete response" => self.unfit(CLOSED),
            "SMTP response line too long" | "SMTP response too large" => Error::TooLarge(host),
            _ => self.unfit(NO_SMTP),
        }
    }
}

/// Why a certificate is not believed.
fn distrust(problem: &CertificateError) -> String {
    use CertificateError::{
        Expired, ExpiredContext, NotValidForName, NotValidForNameContext, NotValidYet,
        NotValidYetContext, UnknownIssuer,
    };
    match problem {
        UnknownIssuer => {
            "its certificate is not trusted: nobody vouches for it whom this computer knows".into()
        }
        NotValidForName | NotValidForNameContext { .. } => {
            "its certificate is for another name".into()
        }
        Expired | ExpiredContext { .. } => "its certificate has expired".into(),
        NotValidYet | NotValidYetContext { .. } => {
            "its certificate is not valid yet: is the clock of this computer right?".into()
        }
        problem => format!("its certificate is not trusted: {}", clean(&problem.to_string(), 200)),
    }
}

/// Whether an answer to what shows who we are says that it is not good, and not that something
/// cannot be done now, or not in this way.
fn is_refusal(error: &smtp::Error) -> bool {
    error.status().is_some_and(|status| {
        let status = u16::from(status);
        (500..600).contains(&status) && !matches!(status, 500..=504 | 530 | 538)
    })
}

/// What a server said with its status.
fn words(error: &smtp::Error) -> String {
    let said = std::error::Error::source(error).map(ToString::to_string).unwrap_or_default();
    clean(&said, LOOKED_AT)
}

/// The innermost cause, which is the sentence.
fn why(error: &io::Error) -> String {
    clean(&error.to_string(), 200)
}
