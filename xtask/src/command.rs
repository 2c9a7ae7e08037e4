//! Running other programs: shown as they are, or behind one line of progress.

use std::io::{BufRead as _, BufReader, IsTerminal as _};
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use indicatif::{ProgressBar, ProgressStyle};

/// How a command is run here.
pub(crate) trait Run {
    /// With its output on our terminal.
    fn shown(&mut self) -> Result<()>;
    /// Behind one line that says `what` and the newest line of its output; all of that is shown
    /// when it fails.
    fn behind(&mut self, what: &str) -> Result<()>;
    /// For what it prints.
    fn text(&mut self) -> Result<String>;
    /// Whether it can be started and succeeds; nothing of it is shown.
    fn works(&mut self) -> bool;
}

impl Run for Command {
    fn shown(&mut self) -> Result<()> {
        let status = self.status().with_context(|| format!("`{}` cannot be run", line(self)))?;
        if !status.success() {
            bail!("`{}` failed: {status}", line(self));
        }
        Ok(())
    }

    fn behind(&mut self, what: &str) -> Result<()> {
        let bar = progress(what);
        // One pipe for both, so that the lines keep their order.
        let (reader, writer) = std::io::pipe()?;
        let mut child = self
            .stdin(Stdio::null())
            .stdout(writer.try_clone()?)
            .stderr(writer)
            .spawn()
            .with_context(|| format!("`{}` cannot be run", line(self)))?;
        // The command keeps the writing end open until it is told to let go of it.
        self.stdout(Stdio::null()).stderr(Stdio::null());

        let mut output = Vec::new();
        for text in BufReader::new(reader).lines().map_while(Result::ok) {
            bar.set_message(text.chars().take(70).collect::<String>());
            output.push(text);
        }
        let status = child.wait()?;
        bar.finish_and_clear();
        if !status.success() {
            for text in &output {
                eprintln!("{text}");
            }
            bail!("`{}` failed: {status}", line(self));
        }
        eprintln!("✓ {what} ({})", seconds(bar.elapsed()));
        Ok(())
    }

    fn text(&mut self) -> Result<String> {
        let output = self
            .stderr(Stdio::inherit())
            .output()
            .with_context(|| format!("`{}` cannot be run", line(self)))?;
        if !output.status.success() {
            bail!("`{}` failed: {}", line(self), output.status);
        }
        Ok(String::from_utf8(output.stdout)?)
    }

    fn works(&mut self) -> bool {
        self.stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .status()
            .is_ok_and(|status| status.success())
    }
}

/// A span of time as people say it.
pub(crate) fn seconds(time: Duration) -> String {
    match time.as_secs() {
        0..60 => format!("{:.1} s", time.as_secs_f64()),
        whole => format!("{} min {:02} s", whole / 60, whole % 60),
    }
}

/// Where a program is, by the search path and the folders that the path of users often lacks.
pub(crate) fn find(program: &str) -> Option<PathBuf> {
    let name = format!("{program}{}", std::env::consts::EXE_SUFFIX);
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path)
        .chain(["/usr/sbin".into(), "/sbin".into()])
        .map(|folder| folder.join(&name))
        .find(|file| file.is_file())
}

/// A command as one would type it.
fn line(command: &Command) -> String {
    let mut words = vec![command.get_program().to_string_lossy()];
    words.extend(command.get_args().map(|arg| arg.to_string_lossy()));
    words.join(" ")
}

fn progress(what: &str) -> ProgressBar {
    if !std::io::stderr().is_terminal() {
        eprintln!("· {what} …");
        return ProgressBar::hidden();
    }
    let bar = ProgressBar::new_spinner().with_prefix(what.to_owned());
    bar.set_style(
        ProgressStyle::with_template("{spinner} {prefix} {elapsed} {wide_msg:.dim}")
            .unwrap_or_else(|_| ProgressStyle::default_spinner()),
    );
    bar.enable_steady_tick(Duration::from_millis(120));
    bar
}
