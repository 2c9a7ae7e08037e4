//! Notifications of the desktop. A click on one opens the window.
//!
//! They are shown from here alone: the pages have no part in them, so the webview needs no
//! permission and no script for them.

use std::io;

use notify_rust::{Notification, NotificationResponse};
use tauri::{AppHandle, Runtime};
use tokio::sync::oneshot;

use crate::window;

/// Why nothing was shown.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    /// There is no service for it, or it refused.
    #[error(transparent)]
    Refused(#[from] notify_rust::error::Error),
    /// There is no thread to wait on.
    #[error("there is no thread to show it from: {0}")]
    Thread(#[from] io::Error),
    /// The thread ended before it had an answer.
    #[error("nobody knows whether it was shown")]
    Unknown(#[from] oneshot::error::RecvError),
}

/// Shows one, and returns when the desktop has taken it.
pub(crate) async fn show<R: Runtime>(
    app: &AppHandle<R>,
    title: &str,
    body: &str,
) -> Result<(), Error> {
    let notification = made(app, title, body);
    let (taken, answer) = oneshot::channel();
    let app = app.clone();
    // It blocks until the notification is gone. Some desktops close one whose sender hangs up.
    std::thread::Builder::new().name("notification".to_owned()).spawn(
        move || match notification.show() {
            Ok(shown) => {
                let _ = taken.send(Ok(()));
                let _ = shown.wait_for_response(|response: &NotificationResponse| {
                    if response.is_default_action() {
                        window::show(&app);
                    }
                });
            }
            Err(error) => {
                let _ = taken.send(Err(error));
            }
        },
    )?;
    Ok(answer.await??)
}

fn made<R: Runtime>(app: &AppHandle<R>, title: &str, body: &str) -> Notification {
    let mut notification = Notification::new();
    notification.appname("Patchbay").summary(title).body(body).icon("patchbay-desktop");
    // The name of a click on the notification itself; systems without it know clicks anyway.
    #[cfg(all(unix, not(target_os = "macos")))]
    notification.action("default", "Open Patchbay");
    let identifier = &app.config().identifier;
    // What is not installed is not known to the system under its own name.
    #[cfg(windows)]
    if !cfg!(debug_assertions) {
        notification.app_id(identifier);
    }
    #[cfg(target_os = "macos")]
    if !cfg!(debug_assertions) {
        // It is set once; the next time finds it set.
        let _ = notify_rust::set_application(identifier);
    }
    #[cfg(all(unix, not(target_os = "macos")))]
    let _ = identifier;
    notification
}
