//! The window as a host: it has a browser beside it, comes to the front, starts with the computer.

use std::sync::OnceLock;

use api::host::{Error, Host, HostKind};
use tauri::AppHandle;
use tauri_plugin_autostart::ManagerExt as _;
use url::Url;

use crate::{browser, consent, window};

/// See the module.
pub(crate) struct WindowHost {
    app: AppHandle,
    /// Where the sandbox is, once it is open.
    sandbox: OnceLock<Url>,
}

impl WindowHost {
    pub(crate) fn new(app: AppHandle) -> Self {
        Self { app, sandbox: OnceLock::new() }
    }

    /// Notes where the sandbox is: its consent may be shown in a window of ours.
    pub(crate) fn sandbox_at(&self, url: Url) {
        // It is opened once.
        let _ = self.sandbox.set(url);
    }

    fn is_sandbox(&self, url: &Url) -> bool {
        self.sandbox.get().is_some_and(|sandbox| sandbox.origin() == url.origin())
    }
}

impl Host for WindowHost {
    fn kind(&self) -> HostKind {
        HostKind::Window
    }

    fn open_url(&self, url: &Url) -> Result<(), Error> {
        match browser::open(url) {
            Err(Error::NoBrowser) if self.is_sandbox(url) => {
                consent::open(&self.app, url).map_err(|error| Error::System(error.to_string()))
            }
            other => other,
        }
    }

    fn show(&self) -> Result<(), Error> {
        window::show(&self.app);
        Ok(())
    }

    fn autostart(&self) -> Option<bool> {
        self.app.autolaunch().is_enabled().ok()
    }

    fn set_autostart(&self, on: bool) -> Result<(), Error> {
        let launch = self.app.autolaunch();
        let done = if on { launch.enable() } else { launch.disable() };
        done.map_err(|error| Error::System(error.to_string()))
    }
}
