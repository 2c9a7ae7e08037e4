//! The system's browser.

use api::host::Error;
use url::Url;

/// Opens a page in it.
///
/// # Errors
///
/// [`Error::NoBrowser`] where there is none.
#[cfg(target_os = "linux")]
pub(crate) fn open(url: &Url) -> Result<(), Error> {
    use std::process::{Command, Stdio};
    use std::sync::mpsc;
    use std::time::Duration;

    /// It says quickly that there is no browser. One that it starts itself it may wait for.
    const ANSWER: Duration = Duration::from_secs(5);

    let mut child = Command::new("xdg-open")
        .arg(url.as_str())
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .map_err(|_| Error::NoBrowser)?;
    let (ended, end) = mpsc::channel();
    std::thread::spawn(move || {
        // Nobody may be waiting any more; the child is waited for all the same.
        let _ = ended.send(child.wait());
    });
    match end.recv_timeout(ANSWER) {
        Ok(Ok(status)) if !status.success() => Err(Error::NoBrowser),
        Ok(Err(error)) => Err(Error::System(error.to_string())),
        _ => Ok(()),
    }
}

/// Opens a page in it.
///
/// # Errors
///
/// [`Error::NoBrowser`] where there is none.
#[cfg(not(target_os = "linux"))]
pub(crate) fn open(url: &Url) -> Result<(), Error> {
    opener::open_browser(url.as_str()).map_err(|_| Error::NoBrowser)
}
