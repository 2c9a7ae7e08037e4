//! The application: what begins in which order, what its events mean, and how it ends.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use anyhow::Context as _;
use api::host::Host;
use host::running::Running;
use host::{Stopping, log};
use tauri::{AppHandle, Manager, RunEvent, WindowEvent};
use tauri_plugin_notification::NotificationExt as _;
use tauri_plugin_window_state::StateFlags;
use tokio::sync::SetOnce;

use crate::args::Args;
use crate::commands::{self, Watcher};
use crate::door::Door;
use crate::ownership::{self, Ownership};
use crate::window_host::WindowHost;
use crate::{consent, opening, pages, tray, window};

/// What is logged.
const LOG: &str = "info";

/// What the commands and the events share.
pub(crate) struct Desktop {
    door: SetOnce<Door>,
    /// Ours alone to stop; none where another host owns the data or there is nothing to run.
    running: Mutex<Option<Running>>,
}

impl Desktop {
    /// What requests go to, as soon as that is known.
    pub(crate) async fn door(&self) -> &Door {
        self.door.wait().await
    }

    /// Whether something goes on that a closed window must not end.
    fn goes_on(&self) -> bool {
        self.lock().is_some()
    }

    fn stop(&self) {
        let running = self.lock().take();
        if let Some(running) = running {
            tauri::async_runtime::block_on(running.stop());
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Option<Running>> {
        self.running.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Runs it until it is quit.
pub(crate) fn run(args: Args) -> anyhow::Result<()> {
    let data_dir = args
        .data_dir
        .clone()
        .or_else(host::places::data_dir)
        .context("this user has no place for data; name a folder with --data-dir")?;
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    tauri::async_runtime::set(runtime.handle().clone());
    let ownership = runtime.block_on(ownership::settle(&data_dir, !args.hidden));
    if matches!(ownership, Ownership::Shown) {
        return Ok(());
    }
    start_log(&ownership)?;

    let hidden = args.hidden;
    let app = tauri::Builder::default()
        .plugin(tauri_plugin_notification::init())
        .plugin(tauri_plugin_autostart::Builder::new().args(args.at_login()).build())
        .plugin(
            tauri_plugin_window_state::Builder::new()
                .with_state_flags(StateFlags::SIZE | StateFlags::POSITION | StateFlags::MAXIMIZED)
                .with_denylist(&[consent::LABEL])
                .build(),
        )
        .register_asynchronous_uri_scheme_protocol(pages::SCHEME, pages::answer)
        .manage(Desktop { door: SetOnce::new(), running: Mutex::new(None) })
        .manage(Watcher::default())
        .invoke_handler(tauri::generate_handler![commands::request, commands::watch])
        .setup(move |app| {
            window::open(app.handle(), !hidden)?;
            tray::open(app.handle())?;
            tauri::async_runtime::spawn(end_on_signal(app.handle().clone()));
            tauri::async_runtime::spawn(begin(app.handle().clone(), args, data_dir, ownership));
            Ok(())
        })
        .build(tauri::generate_context!())?;
    app.run(on_event);
    Ok(())
}

/// A client must not write to the log of the owner.
fn start_log(ownership: &Ownership) -> anyhow::Result<()> {
    if let Ownership::Ours(data_dir) = ownership {
        log::start(data_dir.path(), LOG)?;
    } else {
        tracing_subscriber::fmt().with_ansi(false).with_writer(std::io::stderr).init();
    }
    Ok(())
}

async fn begin(app: AppHandle, args: Args, data_dir: PathBuf, ownership: Ownership) {
    let host = Arc::new(WindowHost::new(app.clone()));
    let door = match ownership {
        Ownership::Ours(data_dir) => {
            let opened = opening::open(&args, data_dir, host).await;
            *app.state::<Desktop>().lock() = opened.running;
            if let Some(address) = opened.moved_to {
                say_moved(&app, address);
            }
            opened.door
        }
        // For as long as this process, so that streams may hold on to it.
        Ownership::Theirs(remote) => Door::Theirs { remote: Box::leak(Box::new(remote)), host },
        Ownership::Unusable(error) => {
            let host: Arc<dyn Host> = host;
            say_unusable(error, &host, &data_dir)
        }
        Ownership::Shown => return,
    };
    // This is the only place that sets it.
    let _ = app.state::<Desktop>().door.set(door);
}

fn say_unusable(error: engine::OpenError, host: &Arc<dyn Host>, data_dir: &Path) -> Door {
    tracing::error!("Patchbay could not start: {error}");
    opening::shut(error, host, data_dir)
}

fn say_moved(app: &AppHandle, address: std::net::SocketAddr) {
    let usual = crate::args::INGRESS;
    tracing::warn!("{usual} is taken by another program; webhooks come in at {address}");
    let told = app
        .notification()
        .builder()
        .title("Webhooks come in at another port")
        .body(format!("{usual} is taken by another program. It is {address} until the next start."))
        .show();
    if let Err(error) = told {
        tracing::warn!("the notification cannot be shown: {error}");
    }
}

async fn end_on_signal(app: AppHandle) {
    match Stopping::listen() {
        Ok(stopping) => {
            stopping.wait().await;
            app.exit(0);
        }
        Err(error) => tracing::warn!("signals end this process without a clean stop: {error}"),
    }
}

fn on_event(app: &AppHandle, event: RunEvent) {
    match event {
        RunEvent::WindowEvent { label, event: WindowEvent::CloseRequested { api, .. }, .. }
            if label == window::LABEL =>
        {
            if app.state::<Desktop>().goes_on() {
                api.prevent_close();
                window::hide(app);
            } else {
                app.exit(0);
            }
        }
        RunEvent::Exit => app.state::<Desktop>().stop(),
        #[cfg(target_os = "macos")]
        RunEvent::Reopen { .. } => window::show(app),
        _ => {}
    }
}
