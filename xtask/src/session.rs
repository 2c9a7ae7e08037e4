//! A desktop for a program that needs one: a display, a session bus and a keychain, all of which
//! end with it and none of which is the user's own.

use std::path::Path;
use std::process::Command;

/// The keyring's password protects nothing: it ends with the session.
const SESSION: &str = r#"eval "$(printf %s session | gnome-keyring-daemon --unlock --components=secrets)"
exec "$@""#;

/// Has `xvfb_run` run what is added as arguments, with `home` in place of the user's folders.
pub(crate) fn within(mut xvfb_run: Command, home: &Path) -> Command {
    xvfb_run
        .args(["--auto-servernum", "--server-args=-screen 0 1280x900x24"])
        .args(["dbus-run-session", "--", "bash", "-c", SESSION, "session"])
        .env("HOME", home)
        .env("XDG_RUNTIME_DIR", home)
        .env("GDK_BACKEND", "x11")
        .env("LIBGL_ALWAYS_SOFTWARE", "1")
        .env_remove("WAYLAND_DISPLAY");
    for name in ["XDG_DATA_HOME", "XDG_CONFIG_HOME", "XDG_CACHE_HOME", "XDG_STATE_HOME"] {
        xvfb_run.env_remove(name);
    }
    xvfb_run
}
