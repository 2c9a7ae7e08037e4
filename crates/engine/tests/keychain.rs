//! The keychain vault against a real Secret Service: gnome-keyring in a D-Bus session of its own.
//!
//! Each test starts itself again inside such a session, with a home that nothing else uses; the
//! tests that are ignored here are what runs there. `dbus-run-session` and `gnome-keyring-daemon`
//! have to be installed: without them the tests fail, since a vault that nobody has tried is not
//! one that works.

#![cfg(target_os = "linux")]
#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::collections::HashMap;
use std::io::Write as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::{Command, Stdio};

use domain::secret::{Secret, Secrets};
use engine::vault::{Error, Vault};
use secret_service::EncryptionType;
use secret_service::blocking::SecretService;

/// Says that a test runs inside a session of its own.
const INSIDE: &str = "PATCHBAY_TEST_SESSION";
const UNLOCKED: &str =
    r#"eval "$(echo -n pw | gnome-keyring-daemon --unlock --components=secrets)"; exec "$@""#;
const BUS_WITHOUT_SERVICES: &str = r#"<!DOCTYPE busconfig PUBLIC
 "-//freedesktop//DTD D-Bus Bus Configuration 1.0//EN"
 "http://www.freedesktop.org/standards/dbus/1.0/busconfig.dtd">
<busconfig>
  <type>session</type>
  <listen>unix:tmpdir=/tmp</listen>
  <policy context="default">
    <allow send_destination="*" eavesdrop="true"/>
    <allow eavesdrop="true"/>
    <allow own="*"/>
  </policy>
</busconfig>
"#;

/// Runs the ignored test `name` of this file, in a session that `start` makes.
fn run(name: &str, start: impl FnOnce(&Path) -> Command) {
    let home = tempfile::tempdir().unwrap();
    let runtime = home.path().join("runtime");
    std::fs::create_dir(&runtime).unwrap();
    std::fs::set_permissions(&runtime, std::fs::Permissions::from_mode(0o700)).unwrap();

    let output = start(home.path())
        .arg(std::env::current_exe().unwrap())
        .args(["--ignored", "--exact", "--nocapture", name])
        .env(INSIDE, "yes")
        .env("HOME", home.path())
        .env("XDG_RUNTIME_DIR", &runtime)
        .env_remove("XDG_DATA_HOME")
        .env_remove("DBUS_SESSION_BUS_ADDRESS")
        .env_remove("DISPLAY")
        .env_remove("WAYLAND_DISPLAY")
        .stdin(Stdio::null())
        .output()
        .expect("`dbus-run-session` is installed (in Debian: dbus)");

    let said = [output.stdout, output.stderr].concat();
    let said = String::from_utf8_lossy(&said);
    assert!(output.status.success() && said.contains("1 passed"), "{}: {said}", output.status);
}

fn with_keyring(_home: &Path) -> Command {
    let daemon = Command::new("gnome-keyring-daemon").arg("--version").output();
    daemon.expect("`gnome-keyring-daemon` is installed (in Debian: gnome-keyring)");
    let mut command = Command::new("dbus-run-session");
    command.args(["--", "bash", "-c", UNLOCKED, "bash"]);
    command
}

/// Whether this is the session that a test was started for: `--ignored` alone starts none.
fn is_inside() -> bool {
    std::env::var_os(INSIDE).is_some()
}

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap()
}

/// An OAuth bundle as large as real ones get.
fn bundle(mark: &str) -> Secrets {
    let mut secrets = Secrets::new();
    secrets.set("access_token", Secret::new(format!("{mark}-ü-{}", "a".repeat(3_900))));
    secrets.set("refresh_token", Secret::new(format!("{mark}-{}", "r".repeat(1_600))));
    secrets
}

fn attributes(entry: &str) -> HashMap<&str, &str> {
    HashMap::from([("service", "patchbay"), ("username", entry)])
}

/// How many entries of ours there are, whatever their names.
fn entries() -> usize {
    let service = SecretService::connect(EncryptionType::Plain).unwrap();
    let found = service.search_items(HashMap::from([("service", "patchbay")])).unwrap();
    found.unlocked.len() + found.locked.len()
}

/// Starts the service of this session anew, with its keyring open.
fn restart() {
    let mut daemon = Command::new("gnome-keyring-daemon")
        .args(["--replace", "--unlock", "--components=secrets"])
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    daemon.stdin.take().unwrap().write_all(b"pw").unwrap();
    // It answers for a daemon that goes on behind it.
    assert!(daemon.wait().unwrap().success());
}

#[test]
fn secrets_are_kept_in_parts_and_generations() {
    run("inside_an_open_keyring", with_keyring);
}

#[test]
#[ignore = "runs inside a session that another test makes"]
fn inside_an_open_keyring() {
    if !is_inside() {
        return;
    }
    runtime().block_on(async {
        let vault = Vault::keychain("installation").await.unwrap();
        vault.state().await.unwrap();
        assert_eq!(entries(), 0, "the proof leaves nothing behind");

        let (one, two) = (bundle("one"), bundle("two"));
        vault.write("con_1", 1, &one).await.unwrap();
        assert_eq!(entries(), 3, "5.6 KB in parts of at most 2,400 bytes");
        vault.write("con_1", 2, &two).await.unwrap();
        vault.write("con_2", 1, &Secrets::new()).await.unwrap();
        assert_eq!(vault.read("con_1", 1).await.unwrap(), one);
        assert_eq!(vault.read("con_1", 2).await.unwrap(), two);
        assert_eq!(vault.read("con_2", 1).await.unwrap(), Secrets::new());
        assert!(matches!(vault.read("con_1", 3).await, Err(Error::NotFound)));
        let other = Vault::keychain("another").await.unwrap();
        assert!(matches!(other.read("con_1", 1).await, Err(Error::NotFound)));

        // A shorter write leaves no part of the longer one.
        let mut short = Secrets::new();
        short.set("token", Secret::new("short".into()));
        vault.write("con_1", 2, &short).await.unwrap();
        assert_eq!(vault.read("con_1", 2).await.unwrap(), short);
        assert_eq!(entries(), 5);

        vault.remove("con_1", 2).await.unwrap();
        vault.remove("con_1", 2).await.unwrap();
        assert!(matches!(vault.read("con_1", 2).await, Err(Error::NotFound)));
        assert_eq!(vault.read("con_1", 1).await.unwrap(), one);

        // What others can see of an entry has no secret in it, and it fits into every store.
        let service = SecretService::connect(EncryptionType::Plain).unwrap();
        let found = service.search_items(attributes("installation/con_1/1/1")).unwrap();
        let item = &found.unlocked[0];
        assert_eq!(item.get_label().unwrap(), "patchbay/installation/con_1/1/1");
        assert!(item.get_secret().unwrap().len() <= 2_400);

        // Whose they are can be found out without any data: a folder that is gone leaves its own.
        other.write("con_1", 1, &one).await.unwrap();
        let both = [("another".to_owned(), 1), ("installation".to_owned(), 2)];
        assert_eq!(vault.installations().await.unwrap(), both.into());
        assert_eq!(Vault::forget_installation("another").await.unwrap(), 1);
        assert!(matches!(other.read("con_1", 1).await, Err(Error::NotFound)));
        assert_eq!(vault.read("con_1", 1).await.unwrap(), one);

        // A part that somebody removed is noticed, and does not keep the others from being removed.
        item.delete().unwrap();
        assert!(matches!(vault.read("con_1", 1).await, Err(Error::Incomplete)));
        let first = service.search_items(attributes("installation/con_1/1/0")).unwrap();
        first.unlocked[0].delete().unwrap();
        assert!(matches!(vault.read("con_1", 1).await, Err(Error::NotFound)));
        let others = entries() - 1;
        vault.remove("con_1", 1).await.unwrap();
        assert_eq!(entries(), others);
    });
}

#[test]
fn a_keyring_that_was_started_anew_is_found_again() {
    run("inside_a_keyring_that_restarts", with_keyring);
}

#[test]
#[ignore = "runs inside a session that another test makes"]
fn inside_a_keyring_that_restarts() {
    if !is_inside() {
        return;
    }
    runtime().block_on(async {
        let vault = Vault::keychain("installation").await.unwrap();
        let one = bundle("one");
        vault.write("con_1", 1, &one).await.unwrap();

        restart();

        assert_eq!(vault.read("con_1", 1).await.unwrap(), one);
        vault.write("con_1", 2, &bundle("two")).await.unwrap();
    });
}

#[test]
fn a_locked_keyring_is_told_from_a_missing_one_and_opens_again() {
    run("inside_a_locked_keyring", with_keyring);
}

#[test]
#[ignore = "runs inside a session that another test makes"]
fn inside_a_locked_keyring() {
    if !is_inside() {
        return;
    }
    runtime().block_on(async {
        let vault = Vault::keychain("installation").await.unwrap();
        let one = bundle("one");
        vault.write("con_1", 1, &one).await.unwrap();
        let service = SecretService::connect(EncryptionType::Plain).unwrap();
        service.get_default_collection().unwrap().lock().unwrap();

        assert!(matches!(vault.state().await, Err(Error::Locked)));
        let two = bundle("two");
        let (read, write) = tokio::join!(vault.read("con_1", 1), vault.write("con_1", 2, &two));
        assert!(matches!(read, Err(Error::Locked)), "{read:?}");
        assert!(matches!(write, Err(Error::Locked)), "{write:?}");
        let anew = Vault::keychain("installation").await;
        assert!(matches!(anew, Err(Error::Locked)), "{anew:?}");
        let waiting = Vault::unproved_keychain("installation");
        assert!(matches!(waiting.state().await, Err(Error::Locked)));

        restart();

        vault.state().await.unwrap();
        waiting.state().await.unwrap();
        assert_eq!(vault.read("con_1", 1).await.unwrap(), one);
    });
}

#[test]
fn a_bus_without_a_keyring_has_no_vault() {
    run("inside_no_keyring", |home| {
        let config = home.join("bus.conf");
        std::fs::write(&config, BUS_WITHOUT_SERVICES).unwrap();
        let mut command = Command::new("dbus-run-session");
        command.arg("--config-file").arg(config).arg("--");
        command
    });
}

#[test]
fn a_machine_without_a_bus_has_no_vault() {
    run("inside_no_keyring", |_| Command::new("env"));
}

#[test]
#[ignore = "runs inside a session that another test makes"]
fn inside_no_keyring() {
    if !is_inside() {
        return;
    }
    runtime().block_on(async {
        let vault = Vault::keychain("installation").await;
        assert!(matches!(vault, Err(Error::Missing(_))), "{vault:?}");
        let waiting = Vault::unproved_keychain("installation");
        assert!(matches!(waiting.state().await, Err(Error::Missing(_))));
        let read = waiting.read("con_1", 1).await;
        assert!(matches!(read, Err(Error::Missing(_))), "{read:?}");
    });
}

#[test]
fn a_service_that_has_no_keyring_yet_is_no_vault_that_works() {
    run("inside_an_empty_service", |_| {
        let mut command = Command::new("dbus-run-session");
        let start = r#"gnome-keyring-daemon --start --components=secrets >/dev/null; exec "$@""#;
        command.args(["--", "bash", "-c", start, "bash"]);
        command
    });
}

#[test]
#[ignore = "runs inside a session that another test makes"]
fn inside_an_empty_service() {
    if !is_inside() {
        return;
    }
    runtime().block_on(async {
        let vault = Vault::keychain("installation").await;
        assert!(matches!(vault, Err(Error::Missing(_) | Error::Locked)), "{vault:?}");
    });
}
