//! A user without a keychain, and the real binary.

use std::io::{BufRead, BufReader};
use std::path::PathBuf;
use std::process::{Child, Command, Output, Stdio};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use tempfile::TempDir;

/// A user without a keychain, and a data directory.
pub(crate) struct Home(pub(crate) TempDir);

/// A running Patchbay.
pub(crate) struct Serve {
    /// The process.
    pub(crate) child: Child,
    /// What it said when it was ready.
    pub(crate) line: String,
}

impl Home {
    /// One who has nothing yet.
    pub(crate) fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    /// The data directory.
    pub(crate) fn data(&self) -> PathBuf {
        self.0.path().join("data")
    }

    /// The binary, in this home and on this data.
    pub(crate) fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_patchbay"));
        command
            .args(args)
            .env_clear()
            .env("HOME", self.0.path())
            .env("DBUS_SESSION_BUS_ADDRESS", "unix:path=/nowhere")
            .env("PATCHBAY_DATA_DIR", self.data());
        command
    }

    /// What a command came to.
    pub(crate) fn patchbay(&self, args: &[&str]) -> Output {
        self.command(args).output().unwrap()
    }

    /// Starts Patchbay on free ports and waits until it is ready.
    pub(crate) fn serve(&self, more: &[&str]) -> Serve {
        let free = ["serve", "--api", "127.0.0.1:0", "--ingress", "127.0.0.1:0"];
        let mut command = self.command(&[&free, more].concat());
        Serve::ready(command.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap())
    }

    /// What the owner says of itself.
    pub(crate) fn serving(&self) -> Value {
        serde_json::from_slice(&std::fs::read(self.data().join("serve.json")).unwrap()).unwrap()
    }
}

impl Serve {
    /// Waits until a process that was started says that it is ready.
    pub(crate) fn ready(mut child: Child) -> Self {
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        Self { child, line }
    }

    /// Sends it a signal and waits; says its exit code.
    pub(crate) fn end(&mut self, signal: Signal) -> Option<i32> {
        kill_process(Pid::from_child(&self.child), signal).unwrap();
        self.child.wait().unwrap().code()
    }
}

impl Drop for Serve {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// What a command printed.
pub(crate) fn text(bytes: &[u8]) -> &str {
    std::str::from_utf8(bytes).unwrap()
}
