//! Whether something has to be done again, by a digest of all that it is made from.
//!
//! Times of files are not asked: a checkout changes them, and a fresh clone would always build.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use sha2::{Digest as _, Sha256};

use crate::workspace;

/// Does `work` unless it was done on the same `inputs` before and `output` is there.
pub(crate) fn unless_done(
    name: &str,
    inputs: &Inputs,
    output: &Path,
    work: impl FnOnce() -> Result<()>,
) -> Result<()> {
    let file = workspace::target()?.join("xtask").join(format!("{name}.stamp"));
    let digest = inputs.digest()?;
    if output.exists() && fs::read_to_string(&file).is_ok_and(|last| last == digest) {
        return Ok(());
    }
    // A half-done piece of work must not look done.
    let _ = fs::remove_file(&file);
    work()?;
    fs::create_dir_all(file.parent().context("a stamp has a folder")?)?;
    fs::write(file, digest)?;
    Ok(())
}

/// What something is made from.
#[derive(Default)]
pub(crate) struct Inputs {
    files: Vec<PathBuf>,
    texts: Vec<String>,
}

impl Inputs {
    /// With a text, such as a version.
    pub(crate) fn text(mut self, text: impl Into<String>) -> Self {
        self.texts.push(text.into());
        self
    }

    /// With a file.
    pub(crate) fn file(mut self, path: impl Into<PathBuf>) -> Self {
        self.files.push(path.into());
        self
    }

    /// With all files below a folder, but for folders of these names.
    pub(crate) fn folder(mut self, path: &Path, without: &[&str]) -> Result<Self> {
        let entries = fs::read_dir(path).with_context(|| path.display().to_string())?;
        for entry in entries {
            let entry = entry?;
            if !entry.file_type()?.is_dir() {
                self.files.push(entry.path());
            } else if !without.iter().any(|name| entry.file_name() == *name) {
                self = self.folder(&entry.path(), without)?;
            }
        }
        Ok(self)
    }

    fn digest(&self) -> Result<String> {
        let mut files = self.files.clone();
        files.sort();
        let mut digest = Sha256::new();
        for text in &self.texts {
            part(&mut digest, text.as_bytes());
        }
        for file in files {
            part(&mut digest, file.to_string_lossy().as_bytes());
            part(&mut digest, &fs::read(&file).with_context(|| file.display().to_string())?);
        }
        Ok(hex::encode(digest.finalize()))
    }
}

/// Each part with its length before it, so that no two rows of parts look alike.
fn part(digest: &mut Sha256, bytes: &[u8]) {
    digest.update((bytes.len() as u64).to_be_bytes());
    digest.update(bytes);
}
