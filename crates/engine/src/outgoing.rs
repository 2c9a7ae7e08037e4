//! The one client that calls other people's APIs: where a request may go, budget, retry, masking,
//! time and size limits.

/// The handle; cheap to clone.
#[derive(Clone)]
pub struct Outgoing {}

/// Why a call was not answered as hoped.
#[derive(Debug, Clone, thiserror::Error)]
pub enum Error {
    /// The address is none that this connection may call.
    #[error("{0} is not a host that this connector names")]
    Host(String),
    /// Nobody answered.
    #[error("{host} cannot be reached: {why}")]
    Unreachable {
        /// Who.
        host: String,
        /// What the system said.
        why: String,
    },
    /// The answer took too long.
    #[error("{0} did not answer in time")]
    TimedOut(String),
    /// The answer was larger than it may be.
    #[error("the answer of {0} was too large")]
    TooLarge(String),
    /// The credentials were refused.
    #[error("{0} refused the credentials")]
    Credentials(String),
    /// The budget is used up.
    #[error("{host} allows no more calls until {until}")]
    RateLimited {
        /// Who.
        host: String,
        /// Until when.
        until: jiff::Timestamp,
    },
    /// Another status than the connector counts as good.
    #[error("{host} answered {status}{}", if .message.is_empty() { String::new() } else { format!(": {message}") })]
    Status {
        /// Who.
        host: String,
        /// Its status.
        status: u16,
        /// What it said, as far as it is text.
        message: String,
    },
    /// The answer is not what the connector says it is.
    #[error("{host} answered something else than expected: {why}")]
    Answer {
        /// Who.
        host: String,
        /// What is wrong with it.
        why: String,
    },
}
