//! What only a host can do: open a browser, start with the computer.
//!
//! A host is the program around the engine: the window or the headless one. It gives itself to the
//! management router as a [`Host`].

use serde::Serialize;
use url::Url;
use utoipa::ToSchema;

/// Which host it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum HostKind {
    /// The desktop app.
    Window,
    /// `patchbay serve`.
    Headless,
}

/// Why a host did not do what was asked.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// There is no browser, or no way to start one.
    #[error("there is no browser that could be opened")]
    NoBrowser,
    /// This host cannot do that at all.
    #[error("this host cannot do that")]
    Unsupported,
    /// The operating system refused; its words.
    #[error("{0}")]
    System(String),
}

/// The program around the engine. Its methods may block for a moment; they are called off the
/// threads that answer requests.
pub trait Host: Send + Sync + 'static {
    /// Which one it is.
    fn kind(&self) -> HostKind;

    /// How the command line is called in a shell of this computer.
    fn program(&self) -> String {
        "patchbay".into()
    }

    /// Opens a page in the system's browser. Only `http` and `https` get here.
    ///
    /// # Errors
    ///
    /// [`Error::NoBrowser`] where there is none, so that the page can offer the link instead.
    fn open_url(&self, url: &Url) -> Result<(), Error>;

    /// Begins to end the process, as *Quit* in its tray does.
    ///
    /// # Errors
    ///
    /// [`Error::Unsupported`] where somebody else decides that.
    fn quit(&self) -> Result<(), Error>;

    /// Whether it starts with the computer; `None` where it has no say in that.
    fn autostart(&self) -> Option<bool>;

    /// Makes it start with the computer, or no longer.
    ///
    /// # Errors
    ///
    /// [`Error::Unsupported`] where it has no say in that, [`Error::System`] where it failed.
    fn set_autostart(&self, on: bool) -> Result<(), Error>;
}
