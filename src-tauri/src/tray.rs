//! The tray: open, whether Patchbay can be reached, quit.

use std::time::Duration;

use engine::changes::Noun;
use futures::StreamExt as _;
use jiff::Timestamp;
use jiff::tz::TimeZone;
use serde_json::Value;
use tauri::image::Image;
use tauri::menu::{Menu, MenuItem, PredefinedMenuItem};
use tauri::tray::{MouseButton, MouseButtonState, TrayIconBuilder, TrayIconEvent};
use tauri::{AppHandle, Manager, Runtime, Theme};

use crate::app::Desktop;
use crate::news::News;
use crate::window;

const ID: &str = "main";
/// A proof grows old without anything happening.
const LOOK_AGAIN: Duration = Duration::from_secs(60);
/// The library that shows it on Linux; without it the toolkit ends the process.
#[cfg(target_os = "linux")]
const LIBRARY: &str = "libayatana-appindicator3.so.1";

/// Shows it, where it can be shown.
pub(crate) fn open<R: Runtime>(app: &AppHandle<R>) -> tauri::Result<()> {
    if !can_be_shown() {
        tracing::warn!("there is no tray: the library for it is not installed");
        return Ok(());
    }
    let show = MenuItem::with_id(app, "show", "Open Patchbay", true, None::<&str>)?;
    let reach = MenuItem::with_id(app, "reach", "Starting …", false, None::<&str>)?;
    let quit = MenuItem::with_id(app, "quit", "Quit Patchbay", true, None::<&str>)?;
    let line = PredefinedMenuItem::separator(app)?;
    let menu = Menu::with_items(app, &[&show, &reach, &line, &quit])?;
    TrayIconBuilder::with_id(ID)
        .icon(icon(app)?)
        .icon_as_template(true)
        .tooltip("Patchbay")
        .menu(&menu)
        .show_menu_on_left_click(cfg!(target_os = "macos"))
        .on_menu_event(|app, event| match event.id().as_ref() {
            "show" => window::show(app),
            "quit" => app.exit(0),
            _ => {}
        })
        .on_tray_icon_event(|tray, event| {
            let clicked = matches!(
                event,
                TrayIconEvent::Click {
                    button: MouseButton::Left,
                    button_state: MouseButtonState::Up,
                    ..
                }
            );
            if clicked && !cfg!(target_os = "macos") {
                window::show(tray.app_handle());
            }
        })
        .build(app)?;
    tauri::async_runtime::spawn(tell_reach(app.clone(), reach));
    Ok(())
}

/// Whether the user can see it.
pub(crate) async fn is_seen<R: Runtime>(app: &AppHandle<R>) -> bool {
    app.tray_by_id(ID).is_some() && has_panel().await
}

/// The drawing that can be seen on the panel. macOS colours it itself; of the others only the
/// window's theme is known, and GNOME's panel, which is dark in either.
fn icon<R: Runtime>(app: &AppHandle<R>) -> tauri::Result<Image<'static>> {
    let gnome = std::env::var("XDG_CURRENT_DESKTOP").is_ok_and(|names| names.contains("GNOME"));
    let dark_panel = gnome
        || app
            .get_webview_window(window::LABEL)
            .and_then(|window| window.theme().ok())
            .is_some_and(|theme| theme == Theme::Dark);
    if dark_panel && !cfg!(target_os = "macos") {
        Image::from_bytes(include_bytes!("../../icons/tray-light.png"))
    } else {
        Image::from_bytes(include_bytes!("../../icons/tray-dark.png"))
    }
}

async fn tell_reach<R: Runtime>(app: AppHandle<R>, line: MenuItem<R>) {
    let desktop = app.state::<Desktop>();
    let mut news = desktop.news();
    loop {
        let status = desktop.door().await.get("/api/status").await;
        let text = status.as_ref().map_or_else(|| "Patchbay does not answer".to_owned(), words);
        if let Err(error) = line.set_text(text) {
            tracing::warn!("the tray cannot be changed: {error}");
        }
        let changed = async {
            while let Some(news) = news.next().await {
                if concerns_reach(&news) {
                    return;
                }
            }
        };
        // An end of the wait is as good as a notice.
        let _ = tokio::time::timeout(LOOK_AGAIN, changed).await;
    }
}

fn concerns_reach(news: &News) -> bool {
    match news {
        News::Notice(notice) => matches!(notice.noun, Noun::Status | Noun::Tunnels | Noun::All),
        News::Link { .. } => true,
    }
}

fn words(status: &Value) -> String {
    if status["startup"]["state"] != "ready" {
        return "Not started: open the window to see why".to_owned();
    }
    let reach = &status["reach"];
    let proved = reach["proved_at"].as_str().and_then(|time| time.parse::<Timestamp>().ok());
    let clock =
        proved.map(|time| time.to_zoned_datetime(TimeZone::system()).strftime("%H:%M").to_string());
    match (reach["state"].as_str(), clock) {
        (Some("reachable"), Some(clock)) => format!("Reachable, proved at {clock}"),
        (Some("unproved"), Some(clock)) => format!("Not proved since {clock}"),
        (Some("unproved"), None) => "Not proved yet to be reachable".to_owned(),
        _ => "Reachable from this computer only".to_owned(),
    }
}

#[cfg(target_os = "linux")]
fn can_be_shown() -> bool {
    use std::path::Path;

    // The loader's own list, then the folders that it looks at besides.
    let listed = std::fs::read("/etc/ld.so.cache")
        .is_ok_and(|list| list.windows(LIBRARY.len()).any(|name| name == LIBRARY.as_bytes()));
    let folders = std::env::var_os("LD_LIBRARY_PATH").unwrap_or_default();
    listed
        || std::env::split_paths(&folders)
            .chain([Path::new("/usr/lib").into(), Path::new("/usr/lib64").into()])
            .any(|folder| folder.join(LIBRARY).exists())
}

#[cfg(not(target_os = "linux"))]
fn can_be_shown() -> bool {
    true
}

/// Whether a panel shows trays. GNOME has none without an extension.
#[cfg(target_os = "linux")]
async fn has_panel() -> bool {
    const WATCHER: &str = "org.kde.StatusNotifierWatcher";
    let asked = async {
        let bus = zbus::Connection::session().await?;
        let names = zbus::fdo::DBusProxy::new(&bus).await?;
        let owned = names.name_has_owner(WATCHER.try_into()?).await?;
        Ok::<_, zbus::Error>(owned)
    };
    asked.await.unwrap_or(false)
}

#[cfg(not(target_os = "linux"))]
async fn has_panel() -> bool {
    true
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn only_what_was_proved_is_called_reachable() {
        let say = |reach: Value| words(&json!({ "startup": { "state": "ready" }, "reach": reach }));

        assert!(
            say(json!({ "state": "reachable", "proved_at": "2026-01-01T10:00:00.000Z" }))
                .starts_with("Reachable, proved at ")
        );
        assert_eq!(say(json!({ "state": "unproved" })), "Not proved yet to be reachable");
        assert_eq!(say(json!({ "state": "off" })), "Reachable from this computer only");
        assert!(words(&json!({ "startup": { "state": "damaged" } })).starts_with("Not started"));
    }
}
