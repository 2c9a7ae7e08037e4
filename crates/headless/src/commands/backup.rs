//! A copy of the database, beside whoever uses it.

use std::path::Path;
use std::process::ExitCode;

use api::error::ApiError;
use engine::store;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use jiff::Timestamp;
use serde_json::json;

use super::Format;
use crate::args::BackupArgs;
use crate::failure::Failure;
use crate::output::{say, say_json};

pub(crate) fn run(args: &BackupArgs, data_dir: &Path, format: Format) -> Result<ExitCode, Failure> {
    let bar = bar(format);
    let mut tell = |done, all| {
        bar.set_length(all);
        bar.set_position(done);
    };
    let made = store::back_up(data_dir, args.file.as_deref(), Timestamp::now(), &mut tell);
    bar.finish_and_clear();
    let made = made.map_err(|error| match error {
        store::Error::Taken(_) => Failure::new("taken", error.to_string())
            .hint("Name another file: what is there is never written over."),
        store::Error::DiskFull => {
            Failure::from(ApiError::from(error)).hint("Make room, or name a file on another disk.")
        }
        error => ApiError::from(error).into(),
    })?;
    let bytes = made.metadata().map_or(0, |file| file.len());
    match format {
        Format::Json => say_json(&json!({ "file": made, "bytes": bytes })),
        Format::Text => {
            say(&format!("Copied {} to {}.", crate::output::bytes(bytes), made.display()));
            say("Secrets are not in it: they are in the vault. To go back to it, stop Patchbay, \
                 move patchbay.db with its -wal and -shm away, and put this in place of it.");
        }
    }
    Ok(ExitCode::SUCCESS)
}

fn bar(format: Format) -> ProgressBar {
    let bar = ProgressBar::no_length();
    if format == Format::Json {
        bar.set_draw_target(ProgressDrawTarget::hidden());
    }
    // A template that cannot be read leaves the bar plain.
    if let Ok(style) = ProgressStyle::with_template("{bar:30} {bytes}/{total_bytes} {eta}") {
        bar.set_style(style);
    }
    bar
}
