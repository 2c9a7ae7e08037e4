//! A group of processes on Unix: a shell that leads it, the program, and what that starts.
//!
//! The shell's standard input is a pipe whose other end only Patchbay holds. At its end, whatever
//! ended it, the shell's watcher ends the group: there is one way to end a program, and a killed
//! Patchbay takes it too. The kernel's own means for that (`PR_SET_PDEATHSIG`) exists on Linux
//! alone and needs unsafe code between fork and exec.

use std::io;
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process_group};
use tokio::process::{Child, ChildStderr, ChildStdin, ChildStdout, Command};
use tokio::time::timeout;

use super::Launch;

const SUPERVISE: &str = include_str!("supervise.sh");

/// How much longer than the program's own time the shell may take.
const MARGIN: Duration = Duration::from_secs(2);

pub(super) struct Group {
    shell: Child,
    /// Dropping it ends the group.
    lifeline: Option<ChildStdin>,
    id: Option<Pid>,
}

impl Group {
    pub(super) fn start(launch: &Launch) -> io::Result<(Self, ChildStdout, ChildStderr)> {
        let mut shell = Command::new("/bin/sh")
            .args(["-c", SUPERVISE, "patchbay-tunnel"])
            .arg(&launch.program)
            .args(&launch.arguments)
            .env_clear()
            .envs(launch.environment.iter().map(|(name, value)| (name, value)))
            .current_dir("/")
            .process_group(0)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()?;
        let (out, err) = shell.stdout.take().zip(shell.stderr.take()).ok_or_else(closed)?;
        let lifeline = shell.stdin.take();
        let id = shell.id().and_then(|id| i32::try_from(id).ok()).and_then(Pid::from_raw);
        Ok((Self { shell, lifeline, id }, out, err))
    }

    pub(super) async fn ended(&mut self) -> io::Result<ExitStatus> {
        let status = self.shell.wait().await?;
        self.kill();
        Ok(status)
    }

    pub(super) async fn end(&mut self, grace: Duration) -> io::Result<ExitStatus> {
        self.lifeline = None;
        if timeout(grace + MARGIN, self.shell.wait()).await.is_err() {
            self.kill();
        }
        self.ended().await
    }

    /// Kills what is left of the group. Its number is still its own: the watcher, which is a
    /// member, outlives the shell unless it has killed the group itself.
    fn kill(&mut self) {
        if let Some(id) = self.id.take() {
            // It is no fault that nobody is left.
            let _ = kill_process_group(id, Signal::KILL);
        }
    }
}

fn closed() -> io::Error {
    io::Error::other("its output cannot be read")
}
