//! The window as a host: it has a browser beside it, starts with the computer, can be quit.

use std::sync::OnceLock;

use api::host::{Error, Host, HostKind};
use engine::Engine;
use tauri::AppHandle;
use url::Url;

use crate::args::Args;
use crate::autostart::Autostart;
use crate::{browser, consent, own_address};

/// See the module.
pub(crate) struct WindowHost {
    app: AppHandle,
    autostart: Autostart,
    /// Where the sandbox is, once it is open.
    sandbox: OnceLock<Url>,
}

impl WindowHost {
    /// Of a process that was started with `args`.
    pub(crate) fn new(app: AppHandle, args: &Args) -> Self {
        Self { app, autostart: Autostart::new(args), sandbox: OnceLock::new() }
    }

    /// Notes where the sandbox is: its consent may be shown in a window of ours.
    pub(crate) fn sandbox_at(&self, url: Url) {
        // It is opened once.
        let _ = self.sandbox.set(url);
    }

    /// Says to the system that this window opens addresses of our own kind, and to the engine whether
    /// it does. Nobody waits for that: it asks programs of the desktop.
    pub(crate) fn open_addresses(&self, args: &Args, engine: Engine) {
        let (app, args) = (self.app.clone(), args.clone());
        tokio::task::spawn_blocking(move || {
            if own_address::register(&app, &args) {
                engine.hand_addresses();
            }
        });
    }

    fn is_sandbox(&self, url: &Url) -> bool {
        self.sandbox.get().is_some_and(|sandbox| sandbox.origin() == url.origin())
    }
}

impl Host for WindowHost {
    fn kind(&self) -> HostKind {
        HostKind::Window
    }

    fn program(&self) -> String {
        host::places::program()
    }

    fn open_url(&self, url: &Url) -> Result<(), Error> {
        match browser::open(url) {
            Err(Error::NoBrowser) if self.is_sandbox(url) => {
                consent::open(&self.app, url).map_err(|error| Error::System(error.to_string()))
            }
            other => other,
        }
    }

    fn quit(&self) -> Result<(), Error> {
        self.app.exit(0);
        Ok(())
    }

    fn autostart(&self) -> Option<bool> {
        self.autostart.is_on()
    }

    fn set_autostart(&self, on: bool) -> Result<(), Error> {
        self.autostart.set(on).map_err(|error| Error::System(error.to_string()))
    }
}
