//! A work-around for windows that stay white.
//!
//! WebKitGTK draws through DMABUF, which fails with many drivers and shows nothing at all then, and
//! composites on the graphics card, which fails where there is none. Both can be switched off by
//! variables, but only before the process starts: so it starts itself again, once.

/// Starts this process again with the variables that are missing. Returns where none is, or where
/// that was done already.
#[cfg(target_os = "linux")]
pub(crate) fn work_around() {
    use std::os::unix::process::CommandExt as _;
    use std::process::Command;

    /// Set in the second start, so that there is no third.
    const GUARD: &str = "PATCHBAY_WEBKIT_WORK_AROUND";

    let set = |name: &str| std::env::var_os(name).is_some();
    let missing: Vec<_> = variables().into_iter().filter(|name| !set(name)).collect();
    if missing.is_empty() || set(GUARD) {
        return;
    }
    let Ok(program) = std::env::current_exe() else { return };
    let mut again = Command::new(program);
    again.args(std::env::args_os().skip(1)).env(GUARD, "1");
    again.envs(missing.into_iter().map(|name| (name, "1")));
    // It only returns when it failed. The window may work all the same.
    let error = again.exec();
    eprintln!("patchbay-desktop: the work-around for white windows cannot be applied: {error}");
}

/// Nothing to work around.
#[cfg(not(target_os = "linux"))]
pub(crate) fn work_around() {}

#[cfg(target_os = "linux")]
fn variables() -> Vec<&'static str> {
    let mut variables = vec!["WEBKIT_DISABLE_DMABUF_RENDERER"];
    if !has_gpu() {
        variables.push("WEBKIT_DISABLE_COMPOSITING_MODE");
    }
    variables
}

#[cfg(target_os = "linux")]
fn has_gpu() -> bool {
    let renders =
        |entry: std::fs::DirEntry| entry.file_name().to_string_lossy().starts_with("renderD");
    std::fs::read_dir("/dev/dri")
        .is_ok_and(|mut entries| entries.any(|entry| entry.is_ok_and(renders)))
}
