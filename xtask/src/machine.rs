//! What this machine must have, what of it is missing, and how it gets here.
//!
//! On Debian and Ubuntu it is installed; elsewhere we name the command and stop, since we could
//! not know what else that would change.

use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, bail};

use crate::command::{Run as _, find};

/// Something that is not ours and has to be there.
pub(crate) struct Need {
    /// What it is for, as the user reads it.
    what: &'static str,
    /// What brings it on Debian and Ubuntu.
    apt: &'static [&'static str],
    /// Whether it is there.
    there: fn() -> bool,
}

const COMPILER: Need = Need {
    what: "a C compiler",
    apt: &["build-essential"],
    there: || find("cc").is_some() || cfg!(windows),
};

const WEBVIEW: Need = Need {
    what: "the webview's library",
    apt: &["pkg-config", "libwebkit2gtk-4.1-dev"],
    there: || Command::new("pkg-config").args(["--exists", "webkit2gtk-4.1"]).works(),
};

const TRAY: Need = Need {
    what: "the tray's library",
    apt: &["libayatana-appindicator3-1"],
    there: || has_library("libayatana-appindicator3.so.1"),
};

const OPENER: Need = Need {
    what: "xdg-open, which opens the browser",
    apt: &["xdg-utils"],
    there: || find("xdg-open").is_some(),
};

const NODE: Need = Need {
    what: "Node.js and npm",
    apt: &["nodejs", "npm"],
    there: || find("node").is_some() && find("npm").is_some(),
};

/// What the tests use beside: browsers, a display and a session of their own, real other sides.
const FOR_TESTS: [Need; 10] = [
    Need { what: "git", apt: &["git"], there: || find("git").is_some() },
    Need {
        what: "Chromium",
        apt: &["chromium", "fonts-dejavu-core"],
        there: || chromium().is_some(),
    },
    Need {
        what: "a display without a screen",
        apt: &["xvfb", "xauth"],
        there: || find("xvfb-run").is_some() && find("xauth").is_some(),
    },
    Need {
        what: "the webview's driver",
        apt: &["webkit2gtk-driver"],
        there: || find("WebKitWebDriver").is_some(),
    },
    Need { what: "D-Bus", apt: &["dbus"], there: || find("dbus-run-session").is_some() },
    Need {
        what: "a Secret Service",
        apt: &["gnome-keyring"],
        there: || find("gnome-keyring-daemon").is_some(),
    },
    Need {
        what: "OpenSSH",
        apt: &["openssh-server", "openssh-client"],
        there: || find("sshd").is_some() && find("ssh").is_some(),
    },
    Need {
        what: "a check of desktop entries",
        apt: &["desktop-file-utils"],
        there: || find("desktop-file-validate").is_some(),
    },
    Need { what: "sqlite3", apt: &["sqlite3"], there: || find("sqlite3").is_some() },
    Need { what: "faketime", apt: &["faketime"], there: || find("faketime").is_some() },
];

/// Sees to what is needed to build and run without a window.
pub(crate) fn ready_for_headless() -> Result<()> {
    provide(&[&COMPILER, &NODE])
}

/// Sees to what is needed to build and open the window.
pub(crate) fn ready_for_window() -> Result<()> {
    if cfg!(target_os = "linux") {
        provide(&[&COMPILER, &NODE, &WEBVIEW, &TRAY, &OPENER])
    } else {
        provide(&[&COMPILER, &NODE])
    }
}

/// Sees to all that the tests use.
pub(crate) fn ready_for_tests() -> Result<()> {
    if !cfg!(target_os = "linux") {
        return ready_for_window();
    }
    let mut needs = vec![&COMPILER, &NODE, &WEBVIEW, &TRAY, &OPENER];
    needs.extend(&FOR_TESTS);
    provide(&needs)
}

/// Whether there is a screen to open a window on.
pub(crate) fn has_display() -> bool {
    !cfg!(target_os = "linux")
        || ["DISPLAY", "WAYLAND_DISPLAY"]
            .iter()
            .any(|name| std::env::var_os(name).is_some_and(|value| !value.is_empty()))
}

/// Where Chromium is, under any of its names.
pub(crate) fn chromium() -> Option<std::path::PathBuf> {
    ["chromium", "chromium-browser", "google-chrome", "google-chrome-stable"]
        .into_iter()
        .find_map(find)
}

fn provide(needs: &[&Need]) -> Result<()> {
    let missing: Vec<_> = needs.iter().copied().filter(|need| !(need.there)()).collect();
    if missing.is_empty() {
        return Ok(());
    }
    let what = missing.iter().map(|need| need.what).collect::<Vec<_>>().join(", ");
    let packages: Vec<_> = missing.iter().flat_map(|need| need.apt).copied().collect();
    if cfg!(target_os = "linux") && find("apt-get").is_some() {
        install(&what, &packages)?;
    } else {
        bail!("missing: {what}\ninstall it and start again:\n    {}", elsewhere(&packages));
    }
    match missing.iter().find(|need| !(need.there)()) {
        Some(need) => bail!("{} is still missing after its packages were installed", need.what),
        None => Ok(()),
    }
}

fn install(what: &str, packages: &[&str]) -> Result<()> {
    println!("missing: {what}");
    println!("installing with apt: {}", packages.join(" "));
    apt(&["update"])?.behind("reading the package lists")?;
    let mut arguments = vec!["install", "--yes", "--no-install-recommends"];
    arguments.extend(packages);
    apt(&arguments)?.behind("installing packages")
}

fn apt(arguments: &[&str]) -> Result<Command> {
    let mut command = if is_root()? {
        Command::new("env")
    } else {
        let sudo = find("sudo").with_context(|| {
            format!("run this as root and start again:\n    apt-get {}", arguments.join(" "))
        })?;
        // Asks for the password now, where it can be seen, and not behind a progress line.
        Command::new(&sudo).arg("--validate").shown()?;
        let mut command = Command::new(sudo);
        command.arg("env");
        command
    };
    command.args(["DEBIAN_FRONTEND=noninteractive", "apt-get"]).args(arguments);
    Ok(command)
}

fn is_root() -> Result<bool> {
    Ok(Command::new("id").arg("--user").text()?.trim() == "0")
}

/// The command that installs the same on other systems.
fn elsewhere(packages: &[&str]) -> String {
    let has = |package| packages.contains(&package);
    if cfg!(target_os = "macos") {
        let mut commands = Vec::new();
        if has("build-essential") {
            commands.push("xcode-select --install");
        }
        if has("nodejs") {
            commands.push("brew install node");
        }
        return commands.join(" && ");
    }
    if cfg!(windows) {
        return "winget install OpenJS.NodeJS.LTS".to_owned();
    }
    let (command, names) = other_linux();
    let translated: Vec<_> =
        packages.iter().flat_map(|package| names(package).split_whitespace()).collect();
    format!("{command} {}", translated.join(" "))
}

/// How packages are installed and called where there is no apt.
fn other_linux() -> (&'static str, fn(&str) -> &str) {
    if find("dnf").is_some() {
        ("sudo dnf install", fedora)
    } else if find("pacman").is_some() {
        ("sudo pacman -S --needed", arch)
    } else if find("zypper").is_some() {
        ("sudo zypper install", fedora)
    } else {
        ("install what these packages of Debian bring:", |name| name)
    }
}

fn fedora(name: &str) -> &str {
    match name {
        "build-essential" => "gcc gcc-c++ make",
        "libwebkit2gtk-4.1-dev" => "webkit2gtk4.1-devel",
        "libayatana-appindicator3-1" => "libayatana-appindicator-gtk3",
        "npm" => "nodejs-npm",
        "xvfb" => "xorg-x11-server-Xvfb",
        "webkit2gtk-driver" => "webkitgtk6.0-driver",
        "fonts-dejavu-core" => "dejavu-sans-fonts",
        "openssh-client" => "openssh-clients",
        "faketime" => "libfaketime",
        "sqlite3" => "sqlite",
        "xauth" => "xorg-x11-xauth",
        other => other,
    }
}

fn arch(name: &str) -> &str {
    match name {
        "build-essential" => "base-devel",
        "pkg-config" => "pkgconf",
        "libwebkit2gtk-4.1-dev" | "webkit2gtk-driver" => "webkit2gtk-4.1",
        "libayatana-appindicator3-1" => "libayatana-appindicator",
        "xvfb" => "xorg-server-xvfb",
        "xauth" => "xorg-xauth",
        "fonts-dejavu-core" => "ttf-dejavu",
        "openssh-server" | "openssh-client" => "openssh",
        "faketime" => "libfaketime",
        "sqlite3" => "sqlite",
        other => other,
    }
}

/// Whether the loader would find a library.
fn has_library(name: &str) -> bool {
    let listed = find("ldconfig")
        .and_then(|ldconfig| Command::new(ldconfig).arg("-p").text().ok())
        .is_some_and(|known| known.contains(name));
    listed || ["/usr/lib", "/usr/lib64"].iter().any(|folder| Path::new(folder).join(name).exists())
}
