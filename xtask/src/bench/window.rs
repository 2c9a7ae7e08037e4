//! `cargo xtask bench window`: how long the desktop app takes until its pages are drawn and its
//! engine answers them, and how much memory it holds then, WebKit's processes included.
//!
//! The time is the kernel's: from the start of the process, without the display and the session
//! around it, in steps of 10 ms. Both moments are read from what the app logs.

use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use anyhow::{Context, Result, ensure};

use super::product;
use crate::session;

/// What it logs when the pages show themselves, and when what they show is there.
const MOMENTS: [&str; 2] = ["the pages are drawn", "is ready"];
/// `USER_HZ`, which is the same on every machine that Linux runs on here.
const TICKS_PER_SECOND: f64 = 100.0;

/// What is measured.
#[derive(Debug, Clone, clap::Args)]
pub(crate) struct Args {
    /// How often it is started. The first start makes the database; it is shown apart.
    #[arg(long, default_value_t = 10)]
    times: usize,
}

/// Opens it on the same data again and again and prints the figures.
pub(crate) fn run(args: &Args) -> Result<()> {
    ensure!(cfg!(target_os = "linux"), "only measured on Linux");
    ensure!(args.times > 1, "two starts are the least that can be compared");
    let binary = product::build("desktop", "patchbay-desktop")?;
    let home = tempfile::tempdir()?;
    let mut starts = Vec::new();
    let mut memory = 0.0;
    for _ in 0..args.times {
        let opened = Opened::open(&binary, home.path())?;
        starts.push(opened.after);
        memory = megabytes(&family(opened.pid()?)?)?;
    }
    let first = starts.remove(0);
    starts.sort_by(f64::total_cmp);
    println!(
        "start to pages that work: first {first:.2} s, then median {:.2} s, slowest {:.2} s of {}",
        starts[starts.len() / 2],
        starts[starts.len() - 1],
        starts.len()
    );
    println!("memory when idle (proportional, with WebKit's processes): {memory:.0} MB");
    println!("software rendering under Xvfb; a real screen has a GPU");
    Ok(())
}

/// The app in a desktop of its own. Dropping it ends both.
struct Opened {
    session: Child,
    data: std::path::PathBuf,
    /// Seconds until its pages worked.
    after: f64,
}

impl Opened {
    fn open(binary: &Path, home: &Path) -> Result<Self> {
        let data = home.join("data");
        let mut session = session::within(Command::new("xvfb-run"), home)
            .arg(binary)
            .arg("--data-dir")
            .arg(&data)
            .args(["--ingress", "127.0.0.1:0"])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .context("xvfb-run cannot be started")?;
        let said = session.stderr.take().context("its output cannot be read")?;
        let mut opened = Self { session, data, after: 0.0 };
        let mut awaited = MOMENTS.to_vec();
        for line in BufReader::new(said).lines() {
            let line = line?;
            awaited.retain(|moment| !line.contains(moment));
            if awaited.is_empty() {
                opened.after = uptime()? - started(opened.pid()?)?;
                return Ok(opened);
            }
        }
        anyhow::bail!("it ended before its pages worked");
    }

    fn pid(&self) -> Result<u32> {
        let serving = std::fs::read(self.data.join("serve.json"))?;
        let serving: serde_json::Value = serde_json::from_slice(&serving)?;
        let pid = serving["pid"].as_u64().context("serve.json has no pid")?;
        Ok(u32::try_from(pid)?)
    }
}

impl Drop for Opened {
    fn drop(&mut self) {
        if let Ok(pid) = self.pid() {
            // A clean end, which the session's programs follow.
            let _ = Command::new("kill").arg(pid.to_string()).status();
        }
        let _ = self.session.wait();
    }
}

/// Seconds since the machine started.
fn uptime() -> Result<f64> {
    let text = std::fs::read_to_string("/proc/uptime")?;
    Ok(text.split(' ').next().context("no uptime")?.parse()?)
}

/// When a process was started, in seconds since the machine was.
fn started(pid: u32) -> Result<f64> {
    let ticks: f64 = stat(pid)?.get(19).context("no start time")?.parse()?;
    Ok(ticks / TICKS_PER_SECOND)
}

/// The fields of proc(5)'s `stat` after the name, which may hold spaces.
fn stat(pid: u32) -> Result<Vec<String>> {
    let text = std::fs::read_to_string(format!("/proc/{pid}/stat"))?;
    let (_, fields) = text.rsplit_once(") ").context("an odd stat")?;
    Ok(fields.split_whitespace().map(str::to_owned).collect())
}

/// A process with all that it started, whatever they are called.
fn family(of: u32) -> Result<Vec<u32>> {
    let mut members = vec![of];
    let mut grown = true;
    while grown {
        grown = false;
        for entry in std::fs::read_dir("/proc")? {
            let Ok(pid) = entry?.file_name().to_string_lossy().parse() else { continue };
            let parent = stat(pid).ok().and_then(|fields| fields.get(1)?.parse().ok());
            if !members.contains(&pid) && parent.is_some_and(|parent| members.contains(&parent)) {
                members.push(pid);
                grown = true;
            }
        }
    }
    Ok(members)
}

/// What they hold together, each shared page counted once over all that share it.
fn megabytes(pids: &[u32]) -> Result<f64> {
    let mut kib = 0.0;
    for pid in pids {
        let rollup = std::fs::read_to_string(format!("/proc/{pid}/smaps_rollup"))?;
        let line = rollup.lines().find(|line| line.starts_with("Pss:")).context("no Pss")?;
        kib += line.split_whitespace().nth(1).context("no Pss")?.parse::<f64>()?;
    }
    Ok(kib / 1024.0)
}
