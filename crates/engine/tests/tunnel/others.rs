//! The other ends of tunnels, and who is still there.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use crate::patchbay::free_port;

/// Where `cargo xtask test` installs bore.
pub(crate) fn tools() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../target/tools/bin")
}

/// A process that is ended with the test.
struct Other(Child);

impl Other {
    /// Starts it and waits until it prints `ready`.
    fn start(command: &mut Command, ready: &str) -> Self {
        let mut child = command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap_or_else(|error| panic!("{command:?}: {error}; `cargo xtask test` installs it"));
        let (out, err) = (child.stdout.take().unwrap(), child.stderr.take().unwrap());
        let (sender, lines) = std::sync::mpsc::channel();
        for stream in [Box::new(out) as Box<dyn Read + Send>, Box::new(err)] {
            let sender = sender.clone();
            std::thread::spawn(move || {
                // Read to the end: nobody likes a closed pipe.
                BufReader::new(stream).lines().map_while(Result::ok).for_each(|line| {
                    let _ = sender.send(line);
                });
            });
        }
        drop(sender);
        let mut said = Vec::new();
        while !said.last().is_some_and(|line: &String| line.contains(ready)) {
            said.push(lines.recv().unwrap_or_else(|_| panic!("{command:?} said only {said:?}")));
        }
        Self(child)
    }
}

impl Drop for Other {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// A bore server. Its port is fixed, so each has a loopback address of its own.
pub(crate) struct BoreServer {
    pub(crate) host: String,
    process: Option<Other>,
}

impl BoreServer {
    pub(crate) fn start(secret: Option<&str>) -> Self {
        let mut bytes = [0; 3];
        getrandom::fill(&mut bytes).unwrap();
        let host = format!("127.{}.{}.{}", bytes[0].max(1), bytes[1], bytes[2].clamp(1, 254));
        let mut command = Command::new(tools().join("bore"));
        command.args(["server", "--bind-addr", &host]).env("RUST_LOG", "info");
        if let Some(secret) = secret {
            command.env("BORE_SECRET", secret);
        }
        let process = Other::start(&mut command, "server listening");
        Self { host, process: Some(process) }
    }

    /// Ends it; its address stays.
    pub(crate) fn kill(&mut self) {
        self.process = None;
    }
}

/// An sshd of the current user, with keys of its own.
pub(crate) struct Sshd {
    pub(crate) port: String,
    folder: tempfile::TempDir,
    _process: Other,
}

impl Sshd {
    pub(crate) fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let port = free_port().to_string();
        let key = |name: &str| make_key(&folder.path().join(name));
        let (host_key, user_key) = (key("host_key"), key("user_key"));
        std::fs::write(folder.path().join("authorized_keys"), user_key).unwrap();
        std::fs::write(folder.path().join("known_hosts"), format!("[127.0.0.1]:{port} {host_key}"))
            .unwrap();
        let config = folder.path().join("sshd_config");
        let at = folder.path().display();
        std::fs::write(
            &config,
            format!(
                "Port {port}\nListenAddress 127.0.0.1\nHostKey {at}/host_key\n\
                 AuthorizedKeysFile {at}/authorized_keys\nStrictModes no\nUsePAM no\nPidFile none\n\
                 PasswordAuthentication no\nKbdInteractiveAuthentication no\n"
            ),
        )
        .unwrap();
        // The system's own service makes this folder at its start. Only root's sshd needs it.
        let _ = std::fs::create_dir("/run/sshd");
        let mut command = Command::new("/usr/sbin/sshd");
        command.args(["-D", "-e", "-f"]).arg(&config);
        let process = Other::start(&mut command, "Server listening on 127.0.0.1");
        Self { port, folder, _process: process }
    }

    /// What a tunnel to it needs.
    pub(crate) fn settings(&self, remote_port: &str) -> BTreeMap<String, String> {
        let file = |name: &str| self.folder.path().join(name).to_str().unwrap().to_owned();
        let user = Command::new("id").arg("-un").output().unwrap().stdout;
        [
            ("host", "127.0.0.1".into()),
            ("user", String::from_utf8(user).unwrap().trim().to_owned()),
            ("port", self.port.clone()),
            ("remote_port", remote_port.into()),
            ("identity_file", file("user_key")),
            ("known_hosts", file("known_hosts")),
        ]
        .map(|(name, value)| (name.to_owned(), value))
        .into()
    }

    /// The file of a key that it does not know.
    pub(crate) fn other_key(&self) -> String {
        let file = self.folder.path().join("other_key");
        make_key(&file);
        file.to_str().unwrap().to_owned()
    }
}

/// Makes a key without a passphrase, and returns its public half.
fn make_key(file: &Path) -> String {
    let made = Command::new("ssh-keygen")
        .args(["-q", "-t", "ed25519", "-N", "", "-C", "test", "-f"])
        .arg(file)
        .status()
        .unwrap();
    assert!(made.success());
    std::fs::read_to_string(file.with_extension("pub")).unwrap()
}

/// The command lines of processes that hold all of these words, this test's own children aside:
/// a server is no client.
pub(crate) fn processes(words: &[&str]) -> Vec<String> {
    let all = std::fs::read_dir("/proc").unwrap().flatten();
    let lines = all.filter_map(|process| std::fs::read(process.path().join("cmdline")).ok());
    let lines = lines.map(|line| String::from_utf8_lossy(&line).replace('\0', " "));
    lines.filter(|line| words.iter().all(|word| line.contains(word))).collect()
}

/// Whether no such process is left, or none after some seconds.
pub(crate) fn gone(words: &[&str]) -> bool {
    let started = Instant::now();
    while !processes(words).is_empty() {
        if started.elapsed() > Duration::from_secs(8) {
            return false;
        }
        std::thread::park_timeout(Duration::from_millis(10));
    }
    true
}
