//! The desktop around the window, for its tests: a panel that shows trays, a service that shows
//! notifications, and the frame that closes a window. It says what it is asked to show, a line of JSON each, and does with it what its
//! own input says; with `--no-tray` it shows no tray. `close
//! TITLE` closes a window, `menu` lists the tray's menu, `press LABEL` presses an entry of it, and
//! `click ID` clicks on a notification.

#![expect(clippy::print_stdout, reason = "a program for a pipe")]

#[cfg(not(target_os = "linux"))]
fn main() {
    println!("only the panels of Linux can be replaced");
}

#[cfg(target_os = "linux")]
fn main() -> Result<(), Box<dyn std::error::Error>> {
    linux::run()
}

#[cfg(target_os = "linux")]
mod frame {
    use x11rb::connection::Connection as _;
    use x11rb::errors::ReplyError;
    use x11rb::protocol::xproto::{
        AtomEnum, ClientMessageEvent, ConnectionExt as _, EventMask, MapState, Window,
    };
    use x11rb::rust_connection::RustConnection;

    /// Asks a window to close, as the button in its frame does.
    pub(super) fn close(title: &str) -> Result<(), Box<dyn std::error::Error>> {
        let (display, screen) = x11rb::connect(None)?;
        let root = display.setup().roots[screen].root;
        for window in display.query_tree(root)?.reply()?.children {
            if is_called(&display, window, title)? {
                let protocols = atom(&display, b"WM_PROTOCOLS")?;
                let delete = atom(&display, b"WM_DELETE_WINDOW")?;
                let message = ClientMessageEvent::new(32, window, protocols, [delete, 0, 0, 0, 0]);
                display.send_event(false, window, EventMask::NO_EVENT, message)?.check()?;
                return Ok(());
            }
        }
        Err(format!("no window that can be seen is called `{title}`").into())
    }

    fn atom(display: &RustConnection, name: &[u8]) -> Result<u32, ReplyError> {
        Ok(display.intern_atom(false, name)?.reply()?.atom)
    }

    fn is_called(
        display: &RustConnection,
        window: Window,
        title: &str,
    ) -> Result<bool, ReplyError> {
        let name = display
            .get_property(false, window, AtomEnum::WM_NAME, AtomEnum::ANY, 0, 256)?
            .reply()?;
        let seen = display.get_window_attributes(window)?.reply()?.map_state == MapState::VIEWABLE;
        Ok(seen && name.value == title.as_bytes())
    }
}

#[cfg(target_os = "linux")]
#[expect(clippy::needless_pass_by_value, reason = "zbus hands arguments over")]
mod linux {
    use std::collections::HashMap;
    use std::sync::{Arc, Mutex, PoisonError};

    use super::frame;
    use serde_json::json;
    use tokio::runtime::Runtime;
    use zbus::message::Header;
    use zbus::object_server::SignalEmitter;
    use zbus::{Connection, Proxy, connection, interface};
    use zbus::{OwnedObjectPath, OwnedVariant, Variant};

    const NOTIFICATIONS: &str = "/org/freedesktop/Notifications";

    type Fault = Box<dyn std::error::Error>;
    /// What the menu's protocol calls an entry: its number, what it is like, what is below it.
    type Entry = (i32, HashMap<String, OwnedVariant>, Vec<OwnedVariant>);

    /// The tray that was registered last: who shows it, and where.
    type Tray = Arc<Mutex<Option<(String, String)>>>;

    pub(super) fn run() -> Result<(), Fault> {
        let tray = Tray::default();
        let runtime = Runtime::new()?;
        let notifications = connection::Builder::session()
            .serve_at(NOTIFICATIONS, Notifications(0))
            .name("org.freedesktop.Notifications");
        let all = if std::env::args().any(|arg| arg == "--no-tray") {
            notifications
        } else {
            notifications
                .serve_at("/StatusNotifierWatcher", Watcher(tray.clone()))
                .name("org.kde.StatusNotifierWatcher")
        };
        let bus = runtime.block_on(all.build())?;
        say(&json!({ "ready": true }));
        for line in std::io::stdin().lines() {
            runtime.block_on(obey(&line?, &bus, &tray))?;
        }
        Ok(())
    }

    async fn obey(line: &str, bus: &Connection, tray: &Tray) -> Result<(), Fault> {
        match line.split_once(' ').unwrap_or((line, "")) {
            ("menu", _) => {
                let entries = menu(bus, tray).await?;
                let labels: Vec<_> = entries.into_iter().map(|(_, label)| label).collect();
                say(&json!({ "menu": labels }));
            }
            ("press", label) => press(bus, tray, label).await?,
            ("close", title) => frame::close(title)?,
            ("click", id) => {
                let emitter = SignalEmitter::new(bus, NOTIFICATIONS)?;
                Notifications::action_invoked(&emitter, id.parse()?, "default").await?;
            }
            _ => return Err(format!("`{line}` means nothing here").into()),
        }
        Ok(())
    }

    fn say(what: &serde_json::Value) {
        println!("{what}");
    }

    struct Watcher(Tray);

    #[interface(name = "org.kde.StatusNotifierWatcher")]
    impl Watcher {
        fn register_status_notifier_item(&self, place: &str, #[zbus(header)] header: Header<'_>) {
            let sender = header.sender().map(ToString::to_string).unwrap_or_default();
            // Either its path, or a name on the bus that has it at the usual path.
            let tray = if place.starts_with('/') {
                (sender, place.to_owned())
            } else {
                (place.to_owned(), "/StatusNotifierItem".to_owned())
            };
            *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(tray);
            say(&json!({ "tray": true }));
        }

        fn register_status_notifier_host(&self, _service: &str) {}

        #[zbus(property)]
        fn registered_status_notifier_items(&self) -> Vec<String> {
            Vec::new()
        }

        #[zbus(property)]
        fn is_status_notifier_host_registered(&self) -> bool {
            true
        }

        #[zbus(property)]
        fn protocol_version(&self) -> i32 {
            0
        }
    }

    /// With the number of the last one.
    struct Notifications(u32);

    #[interface(name = "org.freedesktop.Notifications")]
    impl Notifications {
        #[expect(clippy::too_many_arguments, reason = "the protocol says so")]
        fn notify(
            &mut self,
            _app: &str,
            _replaces: u32,
            _icon: &str,
            summary: &str,
            body: &str,
            actions: Vec<String>,
            _hints: HashMap<String, OwnedVariant>,
            _timeout: i32,
        ) -> u32 {
            self.0 += 1;
            say(&json!({ "notification": {
                "id": self.0, "title": summary, "body": body, "actions": actions,
            }}));
            self.0
        }

        fn close_notification(&self, _id: u32) {}

        fn get_capabilities(&self) -> Vec<String> {
            vec!["actions".to_owned(), "body".to_owned()]
        }

        fn get_server_information(&self) -> (String, String, String, String) {
            ("panel".to_owned(), "Patchbay".to_owned(), "1".to_owned(), "1.2".to_owned())
        }

        #[zbus(signal)]
        async fn action_invoked(
            emitter: &SignalEmitter<'_>,
            id: u32,
            action: &str,
        ) -> zbus::Result<()>;
    }

    async fn press(bus: &Connection, tray: &Tray, label: &str) -> Result<(), Fault> {
        let entries = menu(bus, tray).await?;
        let (id, _) = entries
            .iter()
            .find(|(_, name)| name == label)
            .ok_or_else(|| format!("the menu has no `{label}`"))?;
        let of_tray = menu_of(bus, tray).await?;
        of_tray.call_method("Event", &(id, "clicked", Variant::from(0), 0_u32)).await?;
        Ok(())
    }

    /// The entries of the tray's menu that have a label, with their numbers.
    async fn menu(bus: &Connection, tray: &Tray) -> Result<Vec<(i32, String)>, Fault> {
        let answer = menu_of(bus, tray)
            .await?
            .call_method("GetLayout", &(0, -1, Vec::<String>::new()))
            .await?;
        let (_, (_, _, below)): (u32, Entry) = answer.body().deserialize()?;
        let mut entries = Vec::new();
        for entry in below {
            let (id, properties, _) = Entry::try_from(entry)?;
            if let Some(Ok(label)) = properties.get("label").map(<&str>::try_from) {
                entries.push((id, label.to_owned()));
            }
        }
        Ok(entries)
    }

    async fn menu_of(bus: &Connection, tray: &Tray) -> Result<Proxy<'static>, Fault> {
        let (owner, path) = tray
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
            .ok_or("there is no tray")?;
        let item = Proxy::new(bus, owner.clone(), path, "org.kde.StatusNotifierItem").await?;
        let path: OwnedObjectPath = item.get_property("Menu").await?;
        Ok(Proxy::new(bus, owner, path, "com.canonical.dbusmenu").await?)
    }
}
