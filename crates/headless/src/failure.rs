//! How a command ends badly: a sentence for a person, a code for a program.

use std::process::ExitCode;

use api::error::ApiError;
use engine::data_dir;
use serde_json::json;

use crate::{output, program};

/// Exit code where who owns the data directory is the trouble.
const OWNERSHIP: u8 = 3;
/// Exit code of everything else that fails.
const FAILED: u8 = 1;

/// Why a command did not do what was asked.
#[derive(Debug)]
pub(crate) struct Failure {
    exit: u8,
    code: String,
    message: String,
    hint: Option<String>,
}

impl Failure {
    pub(crate) fn new(code: &str, message: impl Into<String>) -> Self {
        Self { exit: FAILED, code: code.to_owned(), message: message.into(), hint: None }
    }

    #[must_use]
    pub(crate) fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    #[must_use]
    pub(crate) fn ownership(mut self) -> Self {
        self.exit = OWNERSHIP;
        self
    }

    /// What happened.
    pub(crate) fn message(&self) -> &str {
        &self.message
    }

    /// An error that the management API answered.
    pub(crate) fn answered(answer: &serde_json::Value) -> Self {
        let text = |name: &str| answer["error"][name].as_str().map(str::to_owned);
        Self {
            exit: FAILED,
            code: text("code").unwrap_or_else(|| "bad_answer".to_owned()),
            message: text("message")
                .unwrap_or_else(|| "Patchbay answered with an error".to_owned()),
            hint: text("hint"),
        }
    }

    /// Tells it, and says how the process ends.
    pub(crate) fn report(&self, json: bool) -> ExitCode {
        let hint = self.hint.as_deref().map(program::as_called);
        if json {
            let mut error = json!({ "code": self.code, "message": self.message });
            if let Some(hint) = &hint {
                error["hint"] = json!(hint);
            }
            output::complain(&json!({ "error": error }).to_string());
        } else {
            output::complain(&format!("patchbay: {}", self.message));
            if let Some(hint) = &hint {
                output::complain(hint);
            }
        }
        ExitCode::from(self.exit)
    }
}

impl From<ApiError> for Failure {
    /// What the user is told has been decided in one place, for pages and terminals alike.
    fn from(error: ApiError) -> Self {
        let detail = error.detail();
        let code = serde_json::to_value(detail.code).ok();
        Self {
            exit: FAILED,
            code: code.as_ref().and_then(|it| it.as_str()).unwrap_or("failed").to_owned(),
            message: detail.message.clone(),
            hint: detail.hint.clone(),
        }
    }
}

impl From<data_dir::Error> for Failure {
    fn from(error: data_dir::Error) -> Self {
        let ownership = match error {
            data_dir::Error::Owned(_)
            | data_dir::Error::NoOwner(_)
            | data_dir::Error::NotReady(_) => true,
            data_dir::Error::Io { .. } => false,
        };
        let failure = Self::from(ApiError::from(error));
        if ownership { failure.ownership() } else { failure }
    }
}

impl From<std::io::Error> for Failure {
    fn from(error: std::io::Error) -> Self {
        Self::new("io", error.to_string())
    }
}
