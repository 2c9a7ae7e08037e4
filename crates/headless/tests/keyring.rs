//! The real binary and a real keyring: gnome-keyring in a D-Bus session of its own.
#![cfg(target_os = "linux")]

use std::path::Path;
use std::process::Command;

use serde_json::{Value, json};

/// Opens a keyring that lives in the home, and runs a script in a folder of it. The program is `$1`.
const SESSION: &str = r#"
set -eu
eval "$(echo -n pw | gnome-keyring-daemon --unlock --components=secrets)" >/dev/null
"#;

/// Serves until an inbox with a secret has been made, and ends in an orderly way.
const MAKE_AN_INBOX: &str = r#"
mkfifo ready
"$1" serve --vault keychain --api 127.0.0.1:0 --ingress 127.0.0.1:0 >ready 2>log &
exec 3<ready
read -r line <&3
echo whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw |
    "$1" inboxes create --name Shop --connector standard-webhooks --secret signing_secret=- >&2
kill %1
wait %1
"#;

/// Runs a script with a keyring; what it printed.
fn run(home: &Path, script: &str) -> Value {
    let out = Command::new("dbus-run-session")
        .args(["--", "bash", "-c", &format!("{SESSION}{script}"), "bash"])
        .arg(env!("CARGO_BIN_EXE_patchbay"))
        .env_clear()
        .env("HOME", home)
        .env("PATH", std::env::var_os("PATH").unwrap_or_default())
        .env("XDG_RUNTIME_DIR", home)
        .env("PATCHBAY_DATA_DIR", home.join("data"))
        .current_dir(home)
        .output()
        .expect("`dbus-run-session` is installed (in Debian: dbus)");
    let said = String::from_utf8_lossy(&out.stderr);
    assert!(out.status.success(), "{}: {said}", out.status);
    serde_json::from_slice(&out.stdout).unwrap_or_else(|_| panic!("no answer: {said}"))
}

#[test]
fn what_an_installation_that_is_gone_left_in_the_keychain_is_listed_and_removed() {
    let home = tempfile::tempdir().unwrap();
    let home = home.path();

    let list = run(home, &format!("{MAKE_AN_INBOX}\n\"$1\" vault list --json"));
    let installation = list["installations"][0]["installation"].as_str().unwrap().to_owned();
    let own = json!({ "installation": installation, "bundles": 1, "own": true });
    assert_eq!(list, json!({ "installations": [own] }));

    let refused = run(home, &format!("\"$1\" vault forget {installation} --json 2>&1 || true"));
    assert_eq!(refused["error"]["code"], "own_installation");

    std::fs::remove_dir_all(home.join("data")).unwrap();
    let report = run(home, "\"$1\" doctor --json || true");
    let others = report["findings"].as_array().unwrap().iter().find(|it| it["name"] == "others");
    assert!(others.unwrap()["message"].as_str().unwrap().contains(&installation), "{report}");
    let unsure = run(home, &format!("\"$1\" vault forget {installation} --json 2>&1 || true"));
    assert_eq!(unsure["error"]["code"], "not_confirmed");
    let removed = run(home, &format!("\"$1\" vault forget {installation} --yes --json"));
    assert_eq!(removed, json!({ "removed": 1 }));
    assert_eq!(run(home, "\"$1\" vault list --json"), json!({ "installations": [] }));
}
