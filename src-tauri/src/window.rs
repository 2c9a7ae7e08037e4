//! The main window: it shows our pages and nothing else, and closing it hides it.

use serde_json::json;
use tauri::webview::NewWindowResponse;
use tauri::{AppHandle, Manager, Runtime, WebviewWindow, WebviewWindowBuilder};

use crate::app::Desktop;
use crate::{notification, pages, tray};

/// Its label, which the capability names.
pub(crate) const LABEL: &str = "main";

/// Makes it. It may only go to our pages; whatever else it is sent to is refused.
pub(crate) fn open<R: Runtime>(app: &AppHandle<R>, visible: bool) -> tauri::Result<()> {
    let window = WebviewWindowBuilder::new(app, LABEL, pages::home())
        .title("Patchbay")
        .inner_size(1240.0, 820.0)
        .min_inner_size(720.0, 480.0)
        .visible(visible)
        .zoom_hotkeys_enabled(true)
        .on_navigation(|url| {
            let ours = pages::has(url);
            if !ours {
                tracing::warn!("the window was sent to {} and stays", url.scheme());
            }
            ours
        })
        .on_new_window(|_, _| NewWindowResponse::Deny)
        .build()?;
    tell_console(&window)
}

/// What the pages' console says is written out by debug builds, so that tests see all of it.
#[cfg(target_os = "linux")]
fn tell_console<R: Runtime>(window: &WebviewWindow<R>) -> tauri::Result<()> {
    use webkit2gtk::{SettingsExt as _, WebViewExt as _};

    if !cfg!(debug_assertions) {
        return Ok(());
    }
    window.with_webview(|webview| {
        if let Some(settings) = webview.inner().settings() {
            settings.set_enable_write_console_messages_to_stdout(true);
        }
    })
}

#[cfg(not(target_os = "linux"))]
fn tell_console<R: Runtime>(_: &WebviewWindow<R>) -> tauri::Result<()> {
    Ok(())
}

/// Brings it to the front.
pub(crate) fn show<R: Runtime>(app: &AppHandle<R>) {
    let Some(window) = app.get_webview_window(LABEL) else { return };
    let shown = window.show().and_then(|()| window.unminimize()).and_then(|()| window.set_focus());
    if let Err(error) = shown {
        tracing::warn!("the window cannot be shown: {error}");
    }
}

/// Hides it, and says once that Patchbay goes on.
pub(crate) fn hide<R: Runtime>(app: &AppHandle<R>) {
    if let Some(window) = app.get_webview_window(LABEL)
        && let Err(error) = window.hide()
    {
        tracing::warn!("the window cannot be hidden: {error}");
    }
    let app = app.clone();
    tauri::async_runtime::spawn(async move { explain_once(&app).await });
}

async fn explain_once<R: Runtime>(app: &AppHandle<R>) {
    let desktop = app.state::<Desktop>();
    let door = desktop.door().await;
    let Some(settings) = door.get("/api/settings").await else { return };
    if settings["close_explained"] == true {
        return;
    }
    let again = if tray::is_seen(app).await {
        "Its icon in the tray opens the window again, and quits."
    } else {
        "Start Patchbay again to see the window."
    };
    match notification::show(app, "Patchbay goes on receiving", again).await {
        Ok(()) => door.patch("/api/settings", &json!({ "close_explained": true })).await,
        // It is said the next time.
        Err(error) => tracing::warn!("the notification cannot be shown: {error}"),
    }
}
