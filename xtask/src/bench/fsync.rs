//! How long this disk takes to keep a promise.

use std::fs::File;
use std::io::Write;
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::Result;

/// The time of one small write and its `fdatasync`, at the median and at the 99th percentile.
pub(crate) fn measure(dir: &Path) -> Result<(Duration, Duration)> {
    let mut file = File::create(dir.join("fsync"))?;
    let mut times = Vec::with_capacity(300);
    for _ in 0..300 {
        let begun = Instant::now();
        file.write_all(&[7; 4096])?;
        file.sync_data()?;
        times.push(begun.elapsed());
    }
    times.sort_unstable();
    Ok((times[150], times[297]))
}
