//! What a person is told when something did not work: decided here, once, for every way to fail.
//!
//! The matches below have no `_` arm on purpose: a new way to fail does not compile until someone
//! has decided what the user is told.

use axum::response::{IntoResponse, Response};
use engine::{OpenError, connection, connector, data_dir, inbox, outgoing, sign_in, store, sync};
use engine::{trial, tunnel, vault};
use http::StatusCode;
use serde::Serialize;
use utoipa::ToSchema;

/// What went wrong, for programs. A code never changes its meaning.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Code {
    /// The request cannot be read, or says something that is not possible.
    InvalidRequest,
    /// A field of what was to be made is missing or not of its shape.
    InvalidField,
    /// The bearer token is missing or wrong.
    Unauthorized,
    /// The `Host` is none of this listener.
    ForeignHost,
    /// The `Origin` is another page than ours.
    ForeignOrigin,
    /// The login code was used already, is too old, or never was.
    LoginCode,
    /// What was asked for is not there.
    NotFound,
    /// The route knows no such method.
    MethodNotAllowed,
    /// Something with this name is there already.
    Taken,
    /// The body is larger than a request may be.
    TooLarge,
    /// Another connector than those at hand, or one that cannot do this.
    UnknownConnector,
    /// The connector, or the way in of the connection, opens no socket.
    NoSocket,
    /// Another stream than those of the connector.
    UnknownStream,
    /// Another kind of tunnel than those at hand.
    UnknownTunnelKind,
    /// The schedule cannot be read.
    InvalidSchedule,
    /// The run has ended already.
    Ended,
    /// More waits to be written than may wait.
    Busy,
    /// The disk has no room.
    DiskFull,
    /// The data was written by a newer Patchbay.
    NewerData,
    /// The database is damaged.
    Damaged,
    /// The disk or the database failed.
    Storage,
    /// Another process owns the data.
    Owned,
    /// Nobody owns the data.
    NoOwner,
    /// The data directory cannot be used.
    Unusable,
    /// The vault has not answered yet.
    VaultOpening,
    /// The vault is locked.
    VaultLocked,
    /// There is no vault.
    VaultMissing,
    /// The vault does not hold what it should, or does not keep what is written.
    VaultBroken,
    /// The connection needs no sign-in.
    NoSignIn,
    /// No sign-in waits for this answer.
    SignInNotWaiting,
    /// The answer belongs to another sign-in.
    SignInState,
    /// The provider, or the user there, said no.
    SignInDenied,
    /// A port that the sign-in needs is taken.
    PortTaken,
    /// The provider did not finish the sign-in.
    SignInFailed,
    /// A request may not go to this host.
    ForbiddenHost,
    /// The provider cannot be reached.
    Unreachable,
    /// The provider did not answer in time.
    TimedOut,
    /// The provider refused the credentials.
    Credentials,
    /// The provider allows no more calls for now.
    RateLimited,
    /// The provider answered something else than expected.
    BadAnswer,
    /// This host runs no sandbox.
    SandboxOff,
    /// The sandbox does not answer.
    SandboxBroken,
    /// There is no browser that could be opened.
    NoBrowser,
    /// The operating system refused.
    HostFailed,
    /// Patchbay could not start; the status says why.
    NotReady,
}

/// An answer that is no success: `{"error": {"code", "message", "hint"}}`.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct ApiError {
    #[serde(skip)]
    status: StatusCode,
    error: Box<ErrorDetail>,
}

/// What an error says.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct ErrorDetail {
    /// For programs.
    pub code: Code,
    /// What happened.
    pub message: String,
    /// What to do about it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hint: Option<String>,
}

impl ApiError {
    /// An error without a hint.
    pub fn new(status: StatusCode, code: Code, message: impl Into<String>) -> Self {
        let detail = ErrorDetail { code, message: message.into(), hint: None };
        Self { status, error: Box::new(detail) }
    }

    /// Says what to do about it.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.error.hint = Some(hint.into());
        self
    }

    /// Says whom it is about, where its own words name an address at most.
    pub(crate) fn about(mut self, name: &str) -> Self {
        self.error.message = format!("{name}: {}", self.error.message);
        self
    }

    /// The status that it is answered with.
    pub fn status(&self) -> StatusCode {
        self.status
    }

    /// What it says.
    pub fn detail(&self) -> &ErrorDetail {
        &self.error
    }

    /// The request cannot be read.
    pub(crate) fn invalid(message: String) -> Self {
        Self::new(StatusCode::BAD_REQUEST, Code::InvalidRequest, message)
    }

    pub(crate) fn field(field: &str, problem: &str) -> Self {
        Self::new(
            StatusCode::UNPROCESSABLE_ENTITY,
            Code::InvalidField,
            format!("`{field}` {problem}"),
        )
        .hint(format!("Correct {field} and try again."))
    }

    /// There is nothing of this name.
    pub(crate) fn not_found() -> Self {
        Self::new(StatusCode::NOT_FOUND, Code::NotFound, "it is not there")
            .hint("It may have been deleted meanwhile.")
    }

    /// There is no such route.
    pub(crate) fn no_route() -> Self {
        Self::new(StatusCode::NOT_FOUND, Code::NotFound, "there is no such route")
            .hint("The routes are listed at /api/openapi.json.")
    }

    pub(crate) fn method_not_allowed() -> Self {
        Self::new(
            StatusCode::METHOD_NOT_ALLOWED,
            Code::MethodNotAllowed,
            "this route knows no such method",
        )
        .hint("The routes are listed at /api/openapi.json.")
    }

    pub(crate) fn too_large() -> Self {
        Self::new(StatusCode::PAYLOAD_TOO_LARGE, Code::TooLarge, "the request is too large")
    }

    pub(crate) fn unauthorized() -> Self {
        Self::new(
            StatusCode::UNAUTHORIZED,
            Code::Unauthorized,
            "the bearer token is missing or wrong",
        )
        .hint("Run `patchbay login` for a link that signs in.")
    }

    pub(crate) fn foreign_host() -> Self {
        Self::new(StatusCode::FORBIDDEN, Code::ForeignHost, "this host name is not ours")
            .hint("Use the address that Patchbay printed.")
    }

    pub(crate) fn foreign_origin() -> Self {
        Self::new(StatusCode::FORBIDDEN, Code::ForeignOrigin, "this page is not ours")
    }

    pub(crate) fn login_code() -> Self {
        Self::new(
            StatusCode::UNAUTHORIZED,
            Code::LoginCode,
            "the login code was used already or is too old",
        )
        .hint("A code is good once and for 5 minutes. Run `patchbay login` for another.")
    }

    pub(crate) fn sandbox_off() -> Self {
        Self::new(StatusCode::CONFLICT, Code::SandboxOff, "this Patchbay runs no sandbox shop")
            .hint("Start Patchbay with --sandbox.")
    }

    pub(crate) fn sandbox_broken(why: impl std::fmt::Display) -> Self {
        Self::new(
            StatusCode::BAD_GATEWAY,
            Code::SandboxBroken,
            format!("the sandbox shop does not answer: {why}"),
        )
        .hint("Start Patchbay again.")
    }

    pub(crate) fn no_browser() -> Self {
        Self::new(
            StatusCode::NOT_IMPLEMENTED,
            Code::NoBrowser,
            "there is no browser that could be opened",
        )
        .hint("Copy the link and open it in a browser yourself.")
    }

    pub(crate) fn host_failed(why: impl Into<String>) -> Self {
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, Code::HostFailed, why)
    }

    pub(crate) fn unavailable(startup: &ErrorDetail) -> Self {
        let mut error =
            Self::new(StatusCode::SERVICE_UNAVAILABLE, Code::NotReady, startup.message.clone());
        error.error.hint.clone_from(&startup.hint);
        error
    }
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        if self.status.is_server_error() {
            tracing::warn!(code = ?self.error.code, "answered: {}", self.error.message);
        }
        (self.status, axum::Json(self)).into_response()
    }
}

impl From<store::Error> for ApiError {
    fn from(error: store::Error) -> Self {
        let message = error.to_string();
        match error {
            store::Error::NotFound => Self::not_found(),
            store::Error::Taken(_) => {
                Self::new(StatusCode::CONFLICT, Code::Taken, message).hint("Choose another name.")
            }
            store::Error::Busy => Self::new(StatusCode::SERVICE_UNAVAILABLE, Code::Busy, message)
                .hint("Try again in a moment."),
            store::Error::RunEnded => {
                Self::new(StatusCode::CONFLICT, Code::Ended, message).hint("Start a new run.")
            }
            store::Error::Closed => {
                Self::new(StatusCode::SERVICE_UNAVAILABLE, Code::NotReady, message)
                    .hint("Patchbay is stopping. Start it again.")
            }
            store::Error::DiskFull => {
                Self::new(StatusCode::INSUFFICIENT_STORAGE, Code::DiskFull, message).hint(
                    "Make room on the disk. Nothing that was acknowledged is lost, and receiving \
                     goes on by itself.",
                )
            }
            store::Error::Newer { .. } => {
                Self::new(StatusCode::SERVICE_UNAVAILABLE, Code::NewerData, message).hint(
                    "Install the newest Patchbay. The data has not been touched; a backup from \
                     before the newer version lies beside it.",
                )
            }
            store::Error::Gone { .. } => {
                Self::new(StatusCode::SERVICE_UNAVAILABLE, Code::Damaged, message).hint(
                    "Put patchbay.db back: `patchbay backup` keeps copies in `backups`. To begin \
                     anew instead, move the file `installation` away.",
                )
            }
            store::Error::Damaged(_) => {
                Self::new(StatusCode::SERVICE_UNAVAILABLE, Code::Damaged, message).hint(
                    "Stop Patchbay, move patchbay.db with its -wal and -shm away and keep them, \
                     and put a copy in place of it: those of `patchbay backup` are in `backups`. \
                     `patchbay doctor` lists what copies there are.",
                )
            }
            store::Error::Io(_) => {
                Self::new(StatusCode::INTERNAL_SERVER_ERROR, Code::Storage, message)
                    .hint("Look whether the disk is well: `patchbay doctor` tells.")
            }
        }
    }
}

impl From<vault::Error> for ApiError {
    fn from(error: vault::Error) -> Self {
        let message = error.to_string();
        let (code, hint) = match error {
            vault::Error::Opening => (
                Code::VaultOpening,
                "Try again in a moment. Whatever needs no secret works meanwhile.",
            ),
            vault::Error::Locked => (Code::VaultLocked, "Unlock the keychain and try again."),
            vault::Error::Missing(_) => {
                (Code::VaultMissing, "Run `patchbay vault init` once, then start Patchbay again.")
            }
            vault::Error::NotFound => (
                Code::VaultBroken,
                "Enter the secret again: it was removed from the keychain, or the data comes \
                 from another computer.",
            ),
            vault::Error::Forgetful => (
                Code::VaultBroken,
                "Run `patchbay doctor`. `patchbay vault init` makes a vault that needs no \
                 keychain.",
            ),
            vault::Error::Incomplete => {
                (Code::VaultBroken, "Enter the secret again: another program removed a part of it.")
            }
            vault::Error::Sealed(_) => (
                Code::VaultBroken,
                "Bring back the key file that made the vault, or name it with `--vault-key-file`. \
                 Where the vault itself is damaged, move it away and enter the secrets again. \
                 Nothing was written to it.",
            ),
            vault::Error::KeyFile { .. } => (
                Code::VaultBroken,
                "Put the key file right, or name another with `--vault-key-file`. Where there \
                 never was one, `patchbay vault init` makes it.",
            ),
            vault::Error::Io(_) => {
                (Code::VaultBroken, "Run `patchbay doctor` to see what is wrong.")
            }
        };
        Self::new(StatusCode::SERVICE_UNAVAILABLE, code, message).hint(hint)
    }
}

impl From<connection::Error> for ApiError {
    fn from(error: connection::Error) -> Self {
        match error {
            connection::Error::Field { field, problem } => Self::field(&field, &problem),
            connection::Error::Connector(_) => unknown_connector(error.to_string()),
            connection::Error::Check(error) => error.into(),
            connection::Error::Store(error) => error.into(),
            connection::Error::Vault(error) => error.into(),
        }
    }
}

impl From<inbox::Error> for ApiError {
    fn from(error: inbox::Error) -> Self {
        match error {
            inbox::Error::Field { field, problem } => Self::field(&field, &problem),
            inbox::Error::Socket(_) => {
                Self::new(StatusCode::UNPROCESSABLE_ENTITY, Code::NoSocket, error.to_string()).hint(
                    "Let its events arrive by webhook, or be asked for, or connect it by a way in \
                     that opens one.",
                )
            }
            inbox::Error::SocketTaken(_) => {
                Self::new(StatusCode::CONFLICT, Code::Taken, error.to_string())
                    .hint("One socket gets all events of a connection. Use the inbox that has it.")
            }
            inbox::Error::Connector(_) => unknown_connector(error.to_string()),
            inbox::Error::Sender(error) => error.into(),
            inbox::Error::Store(error) => error.into(),
            inbox::Error::Vault(error) => error.into(),
        }
    }
}

impl From<sync::Error> for ApiError {
    fn from(error: sync::Error) -> Self {
        let message = error.to_string();
        match error {
            sync::Error::Stream { .. } => {
                Self::new(StatusCode::UNPROCESSABLE_ENTITY, Code::UnknownStream, message)
                    .hint("Choose one of the streams that the connector has.")
            }
            sync::Error::Schedule(_) => {
                Self::new(StatusCode::UNPROCESSABLE_ENTITY, Code::InvalidSchedule, message).hint(
                    "A schedule is {\"every\": \"5m\"}, or {\"cron\": \"0 6 * * *\", \"zone\": \
                     \"Europe/London\"}, or null.",
                )
            }
            sync::Error::Connector(_) => unknown_connector(message),
            sync::Error::Ended => Self::new(StatusCode::CONFLICT, Code::Ended, message),
            sync::Error::Store(error) => error.into(),
        }
    }
}

impl From<sign_in::Error> for ApiError {
    fn from(error: sign_in::Error) -> Self {
        let message = error.to_string();
        match error {
            sign_in::Error::NotNeeded => Self::new(StatusCode::CONFLICT, Code::NoSignIn, message)
                .hint("Use Check to see whether its credentials work."),
            sign_in::Error::NotWaiting => {
                Self::new(StatusCode::CONFLICT, Code::SignInNotWaiting, message)
                    .hint("Begin the sign-in again.")
            }
            sign_in::Error::State => Self::new(StatusCode::FORBIDDEN, Code::SignInState, message)
                .hint("Begin the sign-in again, and use the newest page that it opens."),
            sign_in::Error::Redirect(_) => {
                Self::new(StatusCode::FORBIDDEN, Code::SignInState, message)
                    .hint("Paste the whole address of the page on which the browser ended.")
            }
            sign_in::Error::Issuer(_) => {
                Self::new(StatusCode::FORBIDDEN, Code::SignInState, message)
                    .hint("Begin the sign-in again. If it happens again, do not go on with it.")
            }
            sign_in::Error::Denied(_) => {
                Self::new(StatusCode::FORBIDDEN, Code::SignInDenied, message)
                    .hint("Sign in again and allow the access that is asked for.")
            }
            sign_in::Error::Port { .. } => {
                Self::new(StatusCode::CONFLICT, Code::PortTaken, message).hint(
                    "See which other program listens there, end it, and begin the sign-in again.",
                )
            }
            sign_in::Error::NoAddress => {
                Self::new(StatusCode::CONFLICT, Code::SignInFailed, message)
                    .hint("Start a tunnel that has a fixed https address, then begin again.")
            }
            sign_in::Error::ChangingAddress(_) => {
                Self::new(StatusCode::CONFLICT, Code::SignInFailed, message).hint(
                    "The provider compares the address with the one that was registered there. Use \
                     a tunnel whose address stays, then begin again.",
                )
            }
            sign_in::Error::NoKeyAddress => {
                Self::new(StatusCode::CONFLICT, Code::SignInFailed, message).hint(
                    "Start a tunnel that has a fixed https address, or make the keys by hand: \
                     choose another way in.",
                )
            }
            sign_in::Error::ChangingKeyAddress(_) => {
                Self::new(StatusCode::CONFLICT, Code::SignInFailed, message).hint(
                    "It may lead to somebody else by the time that the keys are sent. Use a tunnel \
                     whose address stays, or make the keys by hand: choose another way in.",
                )
            }
            sign_in::Error::Keys(_) => {
                Self::new(StatusCode::BAD_GATEWAY, Code::SignInFailed, message)
                    .hint("Compare the address in the settings, then begin the sign-in again.")
            }
            sign_in::Error::NotOurs => {
                Self::new(StatusCode::UNPROCESSABLE_ENTITY, Code::InvalidRequest, message)
                    .hint("Paste it on the Connections page, beside the sign-in that waits for it.")
            }
            sign_in::Error::Stopped => {
                Self::new(StatusCode::SERVICE_UNAVAILABLE, Code::SignInFailed, message)
                    .hint("Start Patchbay and begin the sign-in again.")
            }
            sign_in::Error::Exchange(error) => {
                let mut answer = Self::from(error);
                answer.error.code = Code::SignInFailed;
                answer.error.message = message;
                answer
            }
            sign_in::Error::Connection(error) => error.into(),
            sign_in::Error::Store(error) => error.into(),
            sign_in::Error::Vault(error) => error.into(),
        }
    }
}

impl From<outgoing::Error> for ApiError {
    fn from(error: outgoing::Error) -> Self {
        let message = error.to_string();
        let (status, code, hint) = match error {
            outgoing::Error::Store(error) => return error.into(),
            outgoing::Error::Vault(error) => return error.into(),
            outgoing::Error::SignIn(_) => {
                (StatusCode::CONFLICT, Code::Credentials, "Sign in again on the Connections page.")
            }
            outgoing::Error::Moved => (
                StatusCode::CONFLICT,
                Code::ForbiddenHost,
                "The settings were changed meanwhile. Begin again with those that are there now.",
            ),
            outgoing::Error::Connector(_) => (
                StatusCode::UNPROCESSABLE_ENTITY,
                Code::UnknownConnector,
                "Check the connection's settings; the connector's file may need a correction.",
            ),
            outgoing::Error::Host(_) => (
                StatusCode::FORBIDDEN,
                Code::ForbiddenHost,
                "Check the connection's settings: requests go only to hosts of its connector.",
            ),
            outgoing::Error::SentOn { .. } => (
                StatusCode::BAD_GATEWAY,
                Code::ForbiddenHost,
                "Nothing was sent there. Compare the address in the connection's settings with the \
                 one that the provider shows.",
            ),
            outgoing::Error::Unreachable { .. } => (
                StatusCode::BAD_GATEWAY,
                Code::Unreachable,
                "Check the network and the address, then try again.",
            ),
            outgoing::Error::MailServer { .. } => (
                StatusCode::BAD_GATEWAY,
                Code::BadAnswer,
                "Compare server, port and encryption with what the mailbox's provider shows: 465 \
                 is encrypted from the beginning, 587 after STARTTLS.",
            ),
            outgoing::Error::TimedOut(_) => {
                (StatusCode::GATEWAY_TIMEOUT, Code::TimedOut, "Try again in a minute.")
            }
            outgoing::Error::TooLarge(_) | outgoing::Error::Answer { .. } => (
                StatusCode::BAD_GATEWAY,
                Code::BadAnswer,
                "The API may have changed; a newer Patchbay may know how.",
            ),
            outgoing::Error::Credentials(_) => (
                StatusCode::BAD_GATEWAY,
                Code::Credentials,
                "Sign in again, or enter the secrets again.",
            ),
            outgoing::Error::RateLimited { .. } => (
                StatusCode::TOO_MANY_REQUESTS,
                Code::RateLimited,
                "Wait until then. Syncs go on by themselves.",
            ),
            outgoing::Error::Status { status: 403, .. } => (
                StatusCode::BAD_GATEWAY,
                Code::BadAnswer,
                "The account, or the scopes of its token, may not do this. Compare them with the \
                 steps of this way in.",
            ),
            outgoing::Error::Status { .. } => {
                (StatusCode::BAD_GATEWAY, Code::BadAnswer, "Read what it says, then try again.")
            }
        };
        Self::new(status, code, message).hint(hint)
    }
}

impl From<connector::Broken> for ApiError {
    fn from(broken: connector::Broken) -> Self {
        Self::new(StatusCode::UNPROCESSABLE_ENTITY, Code::UnknownConnector, broken.message)
            .hint("`patchbay connectors check DIR` says what is wrong with a connector.")
    }
}

impl From<trial::Error> for ApiError {
    fn from(error: trial::Error) -> Self {
        let message = error.to_string();
        let unfit = |code, message: String, hint: &str| {
            Self::new(StatusCode::UNPROCESSABLE_ENTITY, code, message).hint(hint)
        };
        match error {
            trial::Error::Stream { known, .. } if known.is_empty() => unfit(
                Code::UnknownStream,
                message,
                "The connector has no streams at all: add one under `streams`.",
            ),
            trial::Error::Stream { known, .. } => {
                unfit(Code::UnknownStream, message, &format!("It has {}.", known.join(", ")))
            }
            trial::Error::OtherConnector(_) => unfit(
                Code::UnknownConnector,
                message,
                "Try it with a connection of its own connector.",
            ),
            trial::Error::OtherHost(_) => {
                Self::new(StatusCode::FORBIDDEN, Code::ForbiddenHost, message).hint(
                    "The credentials were given for the hosts of that connector. Try without a \
                     connection, and enter the secrets.",
                )
            }
            trial::Error::Off => Self::new(StatusCode::CONFLICT, Code::Credentials, message)
                .hint("Switch the connection on."),
            trial::Error::NoPages(_) => {
                unfit(Code::UnknownStream, message, "Try another stream; a sync reads this one.")
            }
            trial::Error::NoParent(_) => unfit(
                Code::BadAnswer,
                message,
                "Try the stream that it is read for first, and look at its records.",
            ),
            trial::Error::Page(_) => Self::new(StatusCode::BAD_GATEWAY, Code::BadAnswer, message)
                .hint("Compare the answer with what the stream says of it."),
            trial::Error::Outgoing(error) => error.into(),
            trial::Error::Store(error) => error.into(),
        }
    }
}

impl From<tunnel::Error> for ApiError {
    fn from(error: tunnel::Error) -> Self {
        let message = error.to_string();
        match error {
            tunnel::Error::Kind(..) => {
                Self::new(StatusCode::UNPROCESSABLE_ENTITY, Code::UnknownTunnelKind, message)
                    .hint("Choose one of those.")
            }
            tunnel::Error::Field { field, problem } => Self::field(&field, &problem),
            tunnel::Error::Store(error) => error.into(),
            tunnel::Error::Vault(error) => error.into(),
        }
    }
}

impl From<data_dir::Error> for ApiError {
    fn from(error: data_dir::Error) -> Self {
        let message = error.to_string();
        let (code, hint) = match error {
            data_dir::Error::Owned(_) => {
                (Code::Owned, "Quit the other Patchbay, or use another --data-dir.")
            }
            data_dir::Error::NoOwner(_) => {
                (Code::NoOwner, "Start one: `patchbay serve`, or the Patchbay app.")
            }
            data_dir::Error::NotReady(_) => {
                (Code::NoOwner, "Try again in a moment: it is starting, or about to end.")
            }
            data_dir::Error::Io { .. } => (
                Code::Unusable,
                "Check that the folder belongs to you and that its disk can be written to.",
            ),
        };
        Self::new(StatusCode::SERVICE_UNAVAILABLE, code, message).hint(hint)
    }
}

impl From<OpenError> for ApiError {
    fn from(error: OpenError) -> Self {
        match error {
            OpenError::Store(error) => error.into(),
            OpenError::DataDir(error) => error.into(),
            OpenError::Tls(_) => {
                Self::new(StatusCode::SERVICE_UNAVAILABLE, Code::Unusable, error.to_string())
                    .hint("Check that this system's certificates are installed.")
            }
        }
    }
}

fn unknown_connector(message: String) -> ApiError {
    ApiError::new(StatusCode::UNPROCESSABLE_ENTITY, Code::UnknownConnector, message)
        .hint("`patchbay connectors list` shows what can be connected.")
}
