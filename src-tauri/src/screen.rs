//! Whether there is a screen. The toolkit ends the process with a panic where there is none.

/// Whether a window could be opened.
#[cfg(target_os = "linux")]
pub(crate) fn is_there() -> bool {
    ["DISPLAY", "WAYLAND_DISPLAY"]
        .iter()
        .any(|name| std::env::var_os(name).is_some_and(|value| !value.is_empty()))
}

/// Whether a window could be opened.
#[cfg(not(target_os = "linux"))]
pub(crate) fn is_there() -> bool {
    true
}
