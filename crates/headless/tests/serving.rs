//! `patchbay serve` as a process: how it begins, how it ends, and whom it lets in beside it.
#![cfg(unix)]
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod home;

use std::io::{Read, Write};
use std::net::TcpStream;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::Duration;

use rustix::process::Signal;
use serde_json::Value;

use home::{Home, Serve, text};

#[test]
fn it_says_where_it_is_to_people_and_to_programs() {
    let home = Home::new();

    let serve = home.serve(&[]);

    let serving = home.serving();
    let api_url = serving["api_url"].as_str().unwrap();
    assert!(serve.line.starts_with(&format!("Patchbay is at {api_url}/#login=")), "{}", serve.line);
    assert_eq!(serving["pid"], serve.child.id());
    assert!(serving["ingress_url"].as_str().unwrap().starts_with("http://127.0.0.1:"));
    let token_file = PathBuf::from(serving["token_file"].as_str().unwrap());
    assert!(std::fs::read_to_string(token_file).unwrap().len() >= 32);
}

#[test]
fn its_data_is_for_its_owner_alone() {
    let home = Home::new();

    let _serve = home.serve(&[]);

    let mode = |path: &std::path::Path| std::fs::metadata(path).unwrap().permissions().mode();
    assert_eq!(mode(&home.data()) & 0o777, 0o700);
    let mut folders = vec![home.data()];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            assert_eq!(mode(&path) & 0o077, 0, "{}", path.display());
            if path.is_dir() {
                folders.push(path);
            }
        }
    }
}

#[test]
fn a_second_one_on_the_same_data_exits_with_3() {
    let home = Home::new();
    let _serve = home.serve(&[]);

    let second = home.patchbay(&["serve", "--api", "127.0.0.1:0", "--ingress", "127.0.0.1:0"]);

    assert_eq!(second.status.code(), Some(3));
    assert!(text(&second.stderr).contains("another Patchbay"), "{}", text(&second.stderr));
    assert_eq!(text(&second.stdout), "");
}

#[test]
fn a_port_that_is_taken_is_named() {
    let home = Home::new();
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();

    let out = home.patchbay(&["serve", "--api", "127.0.0.1:0", "--ingress", &address]);

    assert_eq!(out.status.code(), Some(1));
    assert!(text(&out.stderr).contains(&format!("{address} is taken")), "{}", text(&out.stderr));
    assert!(text(&out.stderr).contains("--ingress"), "{}", text(&out.stderr));
}

#[test]
fn a_signal_ends_it_well_and_takes_the_announcement_away() {
    for signal in [Signal::TERM, Signal::INT] {
        let home = Home::new();
        let mut serve = home.serve(&[]);
        // A reader of the changes must not hold up the end.
        let mut tail = home.command(&["events", "tail"]).stderr(Stdio::null()).spawn().unwrap();

        let code = serve.end(signal);

        assert_eq!(code, Some(0), "{signal:?}");
        assert!(!home.data().join("serve.json").exists());
        tail.kill().unwrap();
        tail.wait().unwrap();
        assert_eq!(home.patchbay(&["login"]).status.code(), Some(3));
    }
}

#[test]
fn what_a_killed_one_left_behind_is_recognised() {
    let home = Home::new();
    let mut serve = home.serve(&[]);
    let stale = home.serving();

    serve.end(Signal::KILL);
    let without = home.patchbay(&["login"]);
    let again = home.serve(&[]);

    assert_eq!(without.status.code(), Some(3));
    assert_ne!(home.serving()["pid"], stale["pid"]);
    assert!(again.line.contains("#login="));
}

#[test]
fn login_prints_another_address() {
    let home = Home::new();
    let serve = home.serve(&[]);

    let text_out = home.patchbay(&["login"]);
    let json_out = home.patchbay(&["login", "--json"]);

    let line = text(&text_out.stdout).trim();
    assert!(line.contains("/#login="), "{line}");
    assert!(!serve.line.contains(line));
    let json: Value = serde_json::from_slice(&json_out.stdout).unwrap();
    assert!(json["url"].as_str().is_some_and(|url| url.contains("/#login=")));
    assert!(json["expires_at"].is_string());
}

#[test]
fn the_log_says_that_it_is_ready_and_holds_no_token() {
    let home = Home::new();
    let mut serve = home.serve(&[]);
    let token = std::fs::read_to_string(home.data().join("token")).unwrap();
    let code = serve.line.trim().split_once("#login=").unwrap().1.to_owned();

    serve.end(Signal::TERM);

    let mut logs = std::fs::read_dir(home.data().join("logs")).unwrap();
    let log = std::fs::read_to_string(logs.next().unwrap().unwrap().path()).unwrap();
    assert!(log.contains("is ready"), "{log}");
    assert!(log.contains("stopped"), "{log}");
    assert!(!log.contains(token.trim()));
    assert!(!log.contains(&code));
}

#[test]
fn data_of_a_newer_version_is_left_alone() {
    let home = Home::new();
    home.serve(&[]).end(Signal::TERM);
    let database = home.data().join("patchbay.db");
    let newer = std::fs::read(&database).map(|mut bytes| {
        // The format is SQLite's user version, at this place of its header.
        bytes[60..64].copy_from_slice(&9_999_u32.to_be_bytes());
        bytes
    });
    std::fs::write(&database, newer.as_ref().unwrap()).unwrap();

    let out = home.patchbay(&["serve", "--api", "127.0.0.1:0", "--ingress", "127.0.0.1:0"]);

    assert_eq!(out.status.code(), Some(1));
    assert!(text(&out.stderr).contains("newer Patchbay"), "{}", text(&out.stderr));
    assert_eq!(std::fs::read(&database).unwrap(), newer.unwrap());
}

#[test]
fn the_doctor_reports_an_owner_that_does_not_answer() {
    let home = Home::new();
    let serve = home.serve(&[]);
    rustix::process::kill_process(rustix::process::Pid::from_child(&serve.child), Signal::STOP)
        .unwrap();

    let out = home.patchbay(&["doctor", "--json"]);

    assert_eq!(out.status.code(), Some(1), "{}", text(&out.stderr));
    let report: Value = serde_json::from_slice(&out.stdout).unwrap();
    let findings = report["findings"].as_array().unwrap();
    let patchbay = findings.iter().find(|it| it["name"] == "patchbay").unwrap();
    assert_eq!(patchbay["state"], "bad", "{patchbay}");
    assert!(findings.iter().any(|it| it["name"] == "disk"));
}

fn doctor(home: &Home) -> Value {
    serde_json::from_slice(&home.patchbay(&["doctor", "--json"]).stdout).unwrap()
}

fn finding(report: &Value, name: &str) -> Value {
    let findings = report["findings"].as_array().unwrap();
    findings.iter().find(|it| it["name"] == name).cloned().unwrap_or_default()
}

fn try_to_serve(home: &Home) -> std::process::Output {
    home.patchbay(&["serve", "--api", "127.0.0.1:0", "--ingress", "127.0.0.1:0"])
}

#[test]
fn a_vault_that_does_not_open_keeps_nothing_from_starting_and_is_left_as_it_is() {
    let home = Home::new();
    assert_eq!(home.patchbay(&["vault", "init"]).status.code(), Some(0));
    std::fs::create_dir(home.data()).unwrap();
    let sealed = home.data().join("vault.sealed");
    std::fs::write(&sealed, b"damaged").unwrap();

    for more in [&[][..], &["--vault", "file"], &["--vault-key-file", "/nowhere/vault.key"]] {
        let mut serve = home.serve(more);

        let vault = finding(&doctor(&home), "vault");
        assert_eq!(vault["state"], "bad", "{more:?}: {vault}");
        assert!(!vault["hint"].as_str().unwrap().is_empty());
        assert_eq!(serve.end(Signal::TERM), Some(0));
        assert_eq!(std::fs::read(&sealed).unwrap(), b"damaged");
    }
    let vault = finding(&doctor(&home), "vault");
    assert!(vault["message"].as_str().unwrap().contains("cannot be opened"), "{vault}");
}

#[test]
fn a_keychain_service_that_never_answers_does_not_delay_the_start() {
    let home = Home::new();
    let bus = home.0.path().join("bus");
    let silent = std::os::unix::net::UnixListener::bind(&bus).unwrap();
    let args = ["serve", "--api", "127.0.0.1:0", "--ingress", "127.0.0.1:0"];
    let mut command = home.command(&args);
    command.env("DBUS_SESSION_BUS_ADDRESS", format!("unix:path={}", bus.display()));
    let child = command.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();

    let serve = home::Serve::ready(child);
    let asked = silent.accept();
    let vault = finding(&doctor(&home), "vault");

    // It asked the service, has no answer, and serves all the same.
    assert!(asked.is_ok());
    assert!(serve.line.contains("#login="), "{}", serve.line);
    assert_eq!(vault["state"], "warn", "{vault}");
}

#[test]
fn a_database_that_is_empty_or_missing_is_no_new_installation() {
    let home = Home::new();
    home.serve(&[]).end(Signal::TERM);
    let database = home.data().join("patchbay.db");

    std::fs::write(&database, "").unwrap();
    let empty = try_to_serve(&home);
    assert_eq!(std::fs::read(&database).unwrap(), b"");
    std::fs::remove_file(&database).unwrap();
    let missing = try_to_serve(&home);

    for (out, word) in [(empty, "is empty"), (missing, "is missing")] {
        assert_eq!(out.status.code(), Some(1));
        assert!(text(&out.stderr).contains(word), "{}", text(&out.stderr));
        assert!(text(&out.stderr).contains("backups"), "{}", text(&out.stderr));
    }
    assert!(!database.exists());
    assert_eq!(finding(&doctor(&home), "database")["state"], "bad");
    std::fs::remove_file(home.data().join("installation")).unwrap();
    assert!(home.serve(&[]).line.contains("#login="));
}

#[test]
fn a_lock_that_was_deleted_lets_no_second_one_in() {
    let home = Home::new();
    let _serve = home.serve(&[]);
    std::fs::remove_file(home.data().join("lock")).unwrap();

    assert_eq!(try_to_serve(&home).status.code(), Some(3));
    assert_eq!(home.patchbay(&["login"]).status.code(), Some(0));
}

#[test]
fn a_copy_is_made_beside_an_owner_and_without_one_and_writes_over_nothing() {
    let home = Home::new();
    assert_eq!(home.patchbay(&["backup"]).status.code(), Some(1));
    let mut serve = home.serve(&[]);
    let named = home.0.path().join("copy.db");

    let beside = home.patchbay(&["backup", "--json"]);
    serve.end(Signal::TERM);
    let without = home.patchbay(&["backup", named.to_str().unwrap()]);
    let again = home.patchbay(&["backup", named.to_str().unwrap()]);

    assert_eq!(beside.status.code(), Some(0), "{}", text(&beside.stderr));
    let made: Value = serde_json::from_slice(&beside.stdout).unwrap();
    let made = PathBuf::from(made["file"].as_str().unwrap());
    assert!(made.starts_with(home.data().join("backups")), "{}", made.display());
    assert_eq!(without.status.code(), Some(0), "{}", text(&without.stderr));
    assert_eq!(again.status.code(), Some(1));
    for path in [&made, &named] {
        assert_eq!(std::fs::metadata(path).unwrap().permissions().mode() & 0o777, 0o600);
    }
    // And it is what its name says: a start with it works.
    let database = home.data().join("patchbay.db");
    std::fs::remove_file(&database).unwrap();
    std::fs::copy(&made, &database).unwrap();
    assert!(home.serve(&[]).line.contains("#login="));
}

#[test]
fn the_doctor_reads_the_database() {
    let home = Home::new();
    home.serve(&[]).end(Signal::TERM);
    assert_eq!(finding(&doctor(&home), "database")["state"], "good");
    let database = home.data().join("patchbay.db");
    let mut bytes = std::fs::read(&database).unwrap();
    // The second page on: the first holds the header and the schema's beginning.
    let end = bytes.len();
    bytes[4_096..end].fill(0xa5);
    std::fs::write(&database, &bytes).unwrap();

    let damaged = finding(&doctor(&home), "database");

    assert_eq!(damaged["state"], "bad", "{damaged}");
    assert!(damaged["hint"].as_str().unwrap().contains("There are no copies"), "{damaged}");
}

/// The answer to a request, as far as its first bytes.
fn asked(url: &Value, request: &str) -> String {
    let mut stream = connected(url);
    stream.write_all(request.as_bytes()).unwrap();
    let mut first = [0; 12];
    stream.read_exact(&mut first).unwrap();
    String::from_utf8_lossy(&first).into_owned()
}

fn connected(url: &Value) -> TcpStream {
    let address = url.as_str().unwrap().trim_start_matches("http://").trim_end_matches('/');
    let stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    stream
}

#[test]
fn connections_of_strangers_keep_neither_the_user_nor_senders_out() {
    let home = Home::new();
    let _serve = serve_within(&home, "-n 256");
    let serving = home.serving();

    // More than it may have open at all; half of them have begun a request, some are answered.
    let idle: Vec<_> = (0..300)
        .map(|n| {
            let mut stream = connected(&serving["ingress_url"]);
            let request: &[u8] = match n % 3 {
                0 => b"",
                1 => b"POST /in/",
                _ => b"GET / HTTP/1.1\r\nhost: x\r\n\r\n",
            };
            // One that was closed meanwhile may refuse it.
            let _ = stream.write_all(request);
            stream
        })
        .collect();

    let head = "HTTP/1.1\r\nhost:";
    let host = serving["api_url"].as_str().unwrap().trim_start_matches("http://");
    for _ in 0..3 {
        let health = asked(&serving["api_url"], &format!("GET /api/health {head} {host}\r\n\r\n"));
        assert_eq!(health, "HTTP/1.1 200");
        let sender = asked(&serving["ingress_url"], &format!("POST /in/0 {head} x\r\n\r\n"));
        assert_eq!(sender, "HTTP/1.1 404");
    }
    drop(idle);
}

#[cfg(target_os = "linux")]
#[test]
fn it_may_have_as_many_files_open_as_the_system_allows() {
    let home = Home::new();
    let serve = serve_within(&home, "-Sn 64");

    let limits = std::fs::read_to_string(format!("/proc/{}/limits", serve.child.id())).unwrap();

    let files = limits.lines().find(|line| line.starts_with("Max open files")).unwrap();
    let soft: u64 = files.split_whitespace().nth(3).unwrap().parse().unwrap();
    assert!(soft > 64, "{files}");
}

/// Starts Patchbay from a shell with this limit on open files: `-Sn 64`, `-n 256`.
fn serve_within(home: &Home, limit: &str) -> Serve {
    let given = home.command(&["serve", "--api", "127.0.0.1:0", "--ingress", "127.0.0.1:0"]);
    let mut shell = Command::new("/bin/sh");
    shell.args(["-c", &format!("ulimit {limit} && exec \"$0\" \"$@\"")]);
    shell.arg(given.get_program()).args(given.get_args()).env_clear();
    shell.envs(given.get_envs().filter_map(|(name, value)| Some((name, value?))));
    Serve::ready(shell.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap())
}
