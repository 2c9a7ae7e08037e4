//! What others said, before it is ours: an error's text is stored, logged and shown, and a server
//! may say again what it was sent.

use domain::connection::Connection;
use domain::mask::Known;
use domain::reach::Refused;
use domain::secret::{Secret, Secrets};
use domain::text::clean;

use super::Error;
use crate::Engine;
use crate::sign_in::{Credential, LIVES, MailLogin};

/// How much of a text is looked at; what is shown of it is cut after its secrets are gone, since a
/// part of a secret is not found.
pub(super) const LOOKED_AT: usize = 8 * 1024;
/// Most characters of what somebody said in an error.
pub(super) const SAID: usize = 300;

/// What somebody said, on one line, without `secrets`, shortened to `most` characters.
pub(crate) fn said(text: &str, secrets: &Secrets, most: usize) -> String {
    said_by(&Known::of(secrets), text, most)
}

/// The same, for many texts.
pub(super) fn said_by(known: &Known<'_>, text: &str, most: usize) -> String {
    // Cleaned first: what is left out may have stood in the middle of a secret.
    let text = clean(text, LOOKED_AT);
    let is_cut = text.ends_with('…') && text.chars().count() == LOOKED_AT;
    clean(&if is_cut { known.beginning(&text) } else { known.said(&text) }, most)
}

impl Engine {
    /// All that a connection's provider may know and nobody else should: what is in the vault, and
    /// what calls carried. Where the vault cannot be read, only the latter.
    pub(crate) async fn secrets_known_to_provider(
        &self,
        connection: &Connection,
        carried: &[&Credential],
    ) -> Secrets {
        let mut secrets = self.secrets_of(connection).await.unwrap_or_default();
        // A number that says nothing, and that may stand in any text.
        secrets.remove(LIVES);
        for credential in carried {
            for (name, values) in credential.secrets.iter() {
                values.iter().for_each(|value| secrets.add(name, value.clone()));
            }
            let headers = credential.carried.headers.iter().map(|(_, value)| value);
            let query = credential.carried.query.iter().map(|(_, value)| value);
            let mail = credential.mail.as_ref().map(MailLogin::initial_response);
            for value in headers.chain(query).chain(&credential.url).chain(&mail) {
                secrets.add("credential", value.clone());
                // Without its scheme: `Bearer`, `Basic`.
                if let Some((_, bare)) = value.expose().split_once(' ') {
                    secrets.add("credential", Secret::new(bare.to_owned()));
                }
            }
        }
        secrets
    }
}

impl Error {
    /// The same, without these secrets in any of its texts.
    pub(crate) fn without(mut self, secrets: &Secrets) -> Self {
        for text in self.texts() {
            *text = said(text, secrets, SAID);
        }
        self
    }

    // No `_` arm: whoever adds an error decides whether it holds somebody else's text.
    fn texts(&mut self) -> Vec<&mut String> {
        match self {
            Self::Host(
                Refused::Address(text)
                | Refused::Host(text)
                | Refused::Plain(text)
                | Refused::Never(text),
            )
            | Self::TimedOut(text)
            | Self::TooLarge(text)
            | Self::Credentials(text)
            | Self::SignIn(text)
            | Self::Connector(text)
            | Self::RateLimited { host: text, .. } => vec![text],
            Self::SentOn {
                host,
                why:
                    Refused::Address(to) | Refused::Host(to) | Refused::Plain(to) | Refused::Never(to),
            } => vec![host, to],
            Self::Unreachable { host, why }
            | Self::Answer { host, why }
            | Self::MailServer { host, why } => vec![host, why],
            Self::Status { host, message, .. } => vec![host, message],
            Self::Moved | Self::Store(_) | Self::Vault(_) => Vec::new(),
        }
    }
}
