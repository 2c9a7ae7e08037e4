//! Why a run failed, and what the user is told.

use domain::sync::RunError;
use domain::{connection::ConnectionState, paging, template};

use crate::{outgoing, store};

/// Why a run failed.
#[derive(Debug, thiserror::Error)]
pub(super) enum Failure {
    /// The connection cannot be used: it needs its user.
    #[error("{0}")]
    NotReady(NotReady),
    /// The connector cannot be read, or has no such stream any more.
    #[error("{0}")]
    Connector(String),
    /// No answer, or not the one hoped for.
    #[error(transparent)]
    Outgoing(#[from] outgoing::Error),
    /// The answer leads nowhere.
    #[error(transparent)]
    Paging(#[from] paging::Error),
    /// The answer took too long to understand.
    #[error("an answer took more than {} seconds to read", super::run::READING.as_secs())]
    Reading,
    /// A job has failed at the other side.
    #[error("the file could not be made: {}", if .0.is_empty() { "no reason was given" } else { .0.as_str() })]
    Job(String),
    /// A job was not done in time.
    #[error("the file was not ready after {0:#}")]
    JobTooSlow(jiff::SignedDuration),
    /// A full reading brought nothing, where there was something before.
    #[error("everything was read, and there was no record at all")]
    Emptied,
    /// The journal says to go on where it was gone on from.
    #[error("the journal does not advance")]
    JournalStuck,
    /// The records could not be written.
    #[error(transparent)]
    Store(#[from] store::Error),
}

/// Why a connection is not called.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(super) enum NotReady {
    #[error("the connection needs a sign-in: {0}")]
    SignIn(String),
    #[error("the connection is switched off")]
    Off,
    #[error("the connection's connector cannot be read: {0}")]
    Broken(String),
}

impl NotReady {
    /// Why a connection in this state is not called; none where it is.
    pub(super) fn of(state: &ConnectionState) -> Option<Self> {
        match state {
            ConnectionState::Ready => None,
            ConnectionState::NeedsSignIn { why, .. } => Some(Self::SignIn(why.clone())),
            ConnectionState::Off => Some(Self::Off),
            ConnectionState::Broken { why } => Some(Self::Broken(why.clone())),
        }
    }
}

impl From<template::Error> for Failure {
    fn from(error: template::Error) -> Self {
        Self::Connector(error.to_string())
    }
}

impl Failure {
    /// Whether the sync should run again as soon as the connection can be used.
    pub(super) const fn waits_for_connection(&self) -> bool {
        matches!(
            self,
            Self::NotReady(_)
                | Self::Outgoing(outgoing::Error::Credentials(_) | outgoing::Error::SignIn(_))
        )
    }

    /// What the user is told.
    pub(super) fn told(&self) -> RunError {
        let (code, hint) = self.code_and_hint();
        RunError { code: code.into(), message: self.to_string(), hint: hint.map(Into::into) }
    }

    // No `_` arm: a new way to fail does not compile until someone has decided what is told.
    fn code_and_hint(&self) -> (&'static str, Option<&'static str>) {
        match self {
            Self::NotReady(NotReady::SignIn(_)) => ("sign_in", Some(SIGN_IN)),
            Self::NotReady(NotReady::Off) => ("off", Some("Switch the connection on.")),
            Self::NotReady(NotReady::Broken(_)) | Self::Connector(_) => ("connector", Some(FORMAT)),
            Self::Outgoing(error) => outgoing_code_and_hint(error),
            Self::Paging(error) => paging_code_and_hint(error),
            Self::Reading => ("bad_answer", Some("Its expressions may be too much work.")),
            Self::Job(_) => ("job_failed", Some("The next run has it made again.")),
            Self::JobTooSlow(_) => ("timed_out", Some("The next run has it made again.")),
            Self::Emptied => ("emptied", Some(EMPTIED)),
            Self::JournalStuck => {
                ("endless", Some("The provider repeats itself. Try a full resync later."))
            }
            Self::Store(error) => store_code_and_hint(error),
        }
    }
}

const SIGN_IN: &str = "Sign in again; the sync begins by itself then.";
const FORMAT: &str = "Check the connector's file.";
const EMPTIED: &str = "Nothing was deleted. If it really is empty now, press Full resync.";
const LATER: &str = "Nothing is lost: the next run goes on from the last page.";
const CHANGED: &str = "The provider may have changed its API, or the connector does not fit it.";

fn outgoing_code_and_hint(error: &outgoing::Error) -> (&'static str, Option<&'static str>) {
    use outgoing::Error;
    match error {
        Error::Credentials(_) | Error::SignIn(_) => ("sign_in", Some(SIGN_IN)),
        Error::SentOn { .. } => {
            ("host", Some("Compare the address in the connection's settings with the provider's."))
        }
        Error::Moved => ("host", Some("The next run reads from there.")),
        Error::Host(_) => ("host", Some("The connector must name every host that it calls.")),
        Error::Unreachable { .. } => ("unreachable", Some(LATER)),
        Error::TimedOut(_) => ("timed_out", Some(LATER)),
        Error::TooLarge(_) => ("too_large", Some("Ask for fewer records on each page.")),
        Error::RateLimited { .. } => ("rate_limited", Some(LATER)),
        Error::Status { status: 500.., .. } => ("provider", Some(LATER)),
        Error::Status { status: 403, .. } => {
            ("forbidden", Some("The account may not read this. Check its rights and scopes."))
        }
        Error::Status { .. } => ("refused", Some(CHANGED)),
        Error::Answer { .. } => ("bad_answer", Some(CHANGED)),
        // No stream is read from one.
        Error::Connector(_) | Error::MailServer { .. } => ("connector", Some(FORMAT)),
        Error::Store(error) => store_code_and_hint(error),
        Error::Vault(_) => ("vault", Some("Unlock the vault, then run the sync again.")),
    }
}

fn paging_code_and_hint(error: &paging::Error) -> (&'static str, Option<&'static str>) {
    use paging::Error;
    match error {
        Error::WebPage => (
            "bad_answer",
            Some("A sign-in page or a proxy may stand before the API, or its address is wrong."),
        ),
        Error::Json(_)
        | Error::Format(_)
        | Error::NoRecords(_)
        | Error::NoKey { .. }
        | Error::Address(_)
        | Error::Expression(_) => ("bad_answer", Some(CHANGED)),
        Error::TooMany(_) => (
            "too_many",
            Some("Too much was changed at one moment, as by an import. Try a full resync."),
        ),
        Error::NoPages => ("connector", Some(FORMAT)),
        Error::Stuck | Error::Repeated | Error::Circle | Error::Endless | Error::Empty => {
            ("endless", Some("The provider repeats itself. Try a full resync later."))
        }
        Error::OtherHost(_) => ("host", Some("It was not called.")),
        Error::Template(_) | Error::Unsettled(_) => ("connector", Some(FORMAT)),
    }
}

fn store_code_and_hint(error: &store::Error) -> (&'static str, Option<&'static str>) {
    use store::Error;
    match error {
        Error::DiskFull => {
            ("disk_full", Some("Make room on the disk; the next run goes on from the last page."))
        }
        Error::NotFound | Error::RunEnded => ("ended", None),
        Error::Busy | Error::Closed => ("busy", Some(LATER)),
        Error::Taken(_)
        | Error::Newer { .. }
        | Error::Gone { .. }
        | Error::Damaged(_)
        | Error::Io(_) => {
            ("store", Some("Run `patchbay doctor` to see what is wrong with the data."))
        }
    }
}
