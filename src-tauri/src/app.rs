//! The application: what begins in which order, what its events mean, and how it ends.

use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use anyhow::Context as _;
use api::host::Host;
use bytes::Bytes;
use futures::StreamExt as _;
use futures::stream::{self, BoxStream};
use host::running::Running;
use host::{Stopping, log};
use http::{Request, Response};
use tauri::{AppHandle, Manager, RunEvent, WindowEvent};
use tauri_plugin_window_state::StateFlags;
use tokio::sync::{Notify, watch};

use crate::args::Args;
use crate::commands::{self, Watcher};
use crate::door::Door;
use crate::instance::{self, Claim, Instance};
use crate::news::News;
use crate::opening::{self, Opened};
use crate::ownership::{self, Ownership};
use crate::window_host::WindowHost;
use crate::{consent, notification, own_address, pages, tray, window};

/// What is logged.
const LOG: &str = "info";

/// What the commands and the events share.
#[derive(Default)]
pub(crate) struct Desktop {
    /// What requests go to, as soon as that is known.
    door: watch::Sender<Option<Arc<Door>>>,
    /// Somebody looks at a door that is shut: whether it opens now.
    look_again: Notify,
    /// Ours alone to stop; none where another host owns the data or there is nothing to run.
    running: Mutex<Option<Running>>,
}

impl Desktop {
    /// What requests go to, as soon as that is known.
    pub(crate) async fn door(&self) -> Arc<Door> {
        first(&mut self.door.subscribe()).await
    }

    /// Sends a request of the pages.
    pub(crate) async fn send(&self, request: Request<Bytes>) -> Response<Bytes> {
        let door = self.door().await;
        if matches!(*door, Door::Shut { .. }) && request.uri().path() == "/api/status" {
            self.look_again.notify_one();
        }
        door.send(request).await
    }

    /// What is told without being asked for, from this door and from each that follows it.
    pub(crate) fn news(&self) -> BoxStream<'static, News> {
        let news = stream::unfold(self.door.subscribe(), async |mut doors| {
            let door = first(&mut doors).await;
            let mut followed = doors.clone();
            let followed = Box::pin(async move { followed.changed().await });
            // A door that has told everything may be followed by one that has not.
            Some((door.news().chain(stream::pending()).take_until(followed), doors))
        });
        news.flatten().boxed()
    }

    /// Puts another door in the place of the one there was. A shut door in the place of a shut one
    /// is no news.
    fn replace(&self, door: Door) {
        self.door.send_if_modified(|place| {
            let still_shut = matches!(place.as_deref(), Some(Door::Shut { .. }))
                && matches!(door, Door::Shut { .. });
            *place = Some(Arc::new(door));
            !still_shut
        });
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

/// The door that there is, or the first that there will be.
async fn first(doors: &mut watch::Receiver<Option<Arc<Door>>>) -> Arc<Door> {
    let found = doors.wait_for(Option::is_some).await.ok().and_then(|door| door.clone());
    match found {
        Some(door) => door,
        // The application has ended, and this with it.
        None => std::future::pending().await,
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
    let instance =
        match runtime.block_on(instance::claim(&data_dir, !args.hidden, args.address.as_ref()))? {
            Claim::First(instance) => Some(instance),
            Claim::Called => return Ok(()),
            Claim::Unknown => None,
        };
    let ownership = runtime.block_on(ownership::settle(&data_dir));
    start_log(&ownership);

    let hidden = args.hidden;
    let app = tauri::Builder::default()
        .plugin(
            tauri_plugin_window_state::Builder::new()
                .with_state_flags(StateFlags::SIZE | StateFlags::POSITION | StateFlags::MAXIMIZED)
                .with_denylist(&[consent::LABEL])
                .build(),
        )
        .plugin(tauri_plugin_deep_link::init())
        .register_asynchronous_uri_scheme_protocol(pages::SCHEME, pages::answer)
        .manage(Desktop::default())
        .manage(Watcher::default())
        .invoke_handler(tauri::generate_handler![commands::request, commands::watch])
        .setup(move |app| {
            window::open(app.handle(), !hidden)?;
            tray::open(app.handle())?;
            tauri::async_runtime::spawn(end_on_signal(app.handle().clone()));
            tauri::async_runtime::spawn(be_called(app.handle().clone(), instance));
            if let Some(address) = args.address.clone() {
                hand_in(app.handle(), vec![address]);
            }
            tauri::async_runtime::spawn(begin(app.handle().clone(), args, data_dir, ownership));
            Ok(())
        })
        .build(tauri::generate_context!())?;
    app.run(on_event);
    Ok(())
}

/// A client must not write to the log of the owner, and a log that cannot be written must not keep
/// the window from saying so.
fn start_log(ownership: &Ownership) {
    if let Ownership::Ours(data_dir) = ownership {
        match log::start(data_dir.path(), LOG) {
            Ok(()) => return,
            Err(error) => eprintln!("patchbay-desktop: {error}"),
        }
    }
    tracing_subscriber::fmt().with_ansi(false).with_writer(std::io::stderr).init();
}

/// Lets a second start call this window, for as long as there is one.
async fn be_called(app: AppHandle, instance: Option<Instance>) {
    let Some(instance) = instance else { return };
    if let Err(error) = instance.listen(app).await {
        tracing::warn!("a second start cannot bring this window to the front: {error:#}");
    }
    // Its lock is freed at the end of the process.
    std::future::pending::<()>().await;
}

/// Opens what the pages show. Where that cannot be, they say why, and whoever looks again has it
/// tried again.
async fn begin(app: AppHandle, args: Args, data_dir: PathBuf, mut ownership: Ownership) {
    let desktop = app.state::<Desktop>();
    let host = Arc::new(WindowHost::new(app.clone(), &args));
    let mut said = String::new();
    loop {
        let opened = open(ownership, &args, &data_dir, &host).await;
        *desktop.lock() = opened.running;
        let why = match &opened.door {
            Door::Shut { why, .. } => Some(why.clone()),
            Door::Ours { .. } | Door::Theirs { .. } => None,
        };
        desktop.replace(opened.door);
        if let Some(address) = opened.moved_to {
            say_moved(&app, address).await;
        }
        let Some(why) = why else { return };
        if why != said {
            tracing::error!("Patchbay could not start: {why}");
            // Whoever is not looking has to know, too.
            window::show(&app);
            said = why;
        }
        desktop.look_again.notified().await;
        ownership = ownership::settle(&data_dir).await;
    }
}

async fn open(
    ownership: Ownership,
    args: &Args,
    data_dir: &std::path::Path,
    host: &Arc<WindowHost>,
) -> Opened {
    let as_host: Arc<dyn Host> = host.clone();
    match ownership {
        Ownership::Ours(data_dir) => opening::open(args, data_dir, host.clone()).await,
        Ownership::Theirs(remote) => {
            Opened::only(Door::Theirs { remote: Arc::new(remote), host: as_host })
        }
        Ownership::Unusable(error) => {
            Opened::only(opening::shut(&error.into(), &as_host, data_dir))
        }
    }
}

async fn say_moved(app: &AppHandle, address: std::net::SocketAddr) {
    let usual = crate::args::INGRESS;
    tracing::warn!("{usual} is taken by another program; webhooks come in at {address}");
    let why = format!("{usual} is taken by another program. It is {address} until the next start.");
    if let Err(error) = notification::show(app, "Webhooks come in at another port", &why).await {
        tracing::warn!("the notification cannot be shown: {error}");
    }
}

/// Takes addresses of our own kind, as soon as it is known who owns the data.
fn hand_in(app: &AppHandle, addresses: Vec<url::Url>) {
    let app = app.clone();
    tauri::async_runtime::spawn(async move {
        for address in addresses {
            own_address::take(&app, &address).await;
        }
    });
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
        #[cfg(target_os = "macos")]
        RunEvent::Opened { urls } => {
            window::show(app);
            hand_in(app, urls);
        }
        _ => {}
    }
}
