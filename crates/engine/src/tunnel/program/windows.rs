//! A group of processes on Windows: a job object that ends its members when its last handle is
//! closed, which the system does for a process that ends in whatever way.

use std::io;
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use process_wrap::tokio::{ChildWrapper, CommandWrap, CreationFlags, JobObject, KillOnDrop};
use tokio::process::{ChildStderr, ChildStdout};
use windows::Win32::System::Threading::CREATE_NO_WINDOW;

use super::Launch;

pub(super) struct Group {
    job: Box<dyn ChildWrapper>,
}

impl Group {
    pub(super) fn start(launch: &Launch) -> io::Result<(Self, ChildStdout, ChildStderr)> {
        let mut command = CommandWrap::with_new(&launch.program, |command| {
            command
                .args(&launch.arguments)
                .env_clear()
                .envs(launch.environment.iter().map(|(name, value)| (name, value)))
                .stdin(Stdio::null())
                .stdout(Stdio::piped())
                .stderr(Stdio::piped());
        });
        // Without the flag a console window opens beside the app.
        command.wrap(CreationFlags(CREATE_NO_WINDOW)).wrap(KillOnDrop).wrap(JobObject);
        let mut job = command.spawn()?;
        let (out, err) = job
            .stdout()
            .take()
            .zip(job.stderr().take())
            .ok_or_else(|| io::Error::other("its output cannot be read"))?;
        Ok((Self { job }, out, err))
    }

    pub(super) async fn ended(&mut self) -> io::Result<ExitStatus> {
        self.job.wait().await
    }

    /// There is no polite way that a program without a window would hear: it ends at once.
    pub(super) async fn end(&mut self, _grace: Duration) -> io::Result<ExitStatus> {
        if let Err(error) = self.job.start_kill() {
            // It may have ended by itself just now.
            return self.job.try_wait()?.ok_or(error);
        }
        self.job.wait().await
    }
}
