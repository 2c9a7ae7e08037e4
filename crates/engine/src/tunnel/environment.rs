//! What programs of others get to know of the host's environment: where programs are, and a short
//! list of variables. A tunnel's program is started with these alone, so that neither a setting of
//! ours nor a `TUNNEL_TOKEN` that the user exported for something else changes what it does.

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::fmt;
use std::path::{Path, PathBuf};

/// Variables that are handed on: what a program needs to find its home, its agent, its temporary
/// directory, its certificates and the way out.
const HANDED_ON: &[&str] = &[
    "PATH",
    "HOME",
    "USER",
    "LOGNAME",
    "LANG",
    "LC_ALL",
    "LC_CTYPE",
    "TZ",
    "TMPDIR",
    "SSH_AUTH_SOCK",
    "SSL_CERT_FILE",
    "SSL_CERT_DIR",
    "HTTPS_PROXY",
    "https_proxy",
    "NO_PROXY",
    "no_proxy",
    "XDG_CONFIG_HOME",
    "XDG_RUNTIME_DIR",
    // Windows: without the first two no program that uses sockets starts.
    "SystemRoot",
    "SystemDrive",
    "windir",
    "ComSpec",
    "PATHEXT",
    "USERNAME",
    "USERPROFILE",
    "APPDATA",
    "LOCALAPPDATA",
    "ProgramData",
    "ProgramFiles",
    "TEMP",
    "TMP",
];

/// Where programs are looked for besides `PATH`: an app that a desktop starts gets a shorter one
/// than a terminal has. Those that start with `~` are below the home directory.
const ALSO: &[&str] = &[
    "/usr/local/bin",
    "/opt/homebrew/bin",
    "/opt/local/bin",
    "/home/linuxbrew/.linuxbrew/bin",
    "/snap/bin",
    "/usr/bin",
    "~/.local/bin",
    "~/.cargo/bin",
    "~/bin",
    "~/go/bin",
    "~/scoop/shims",
];

/// What a host's environment says to the programs that tunnels run.
#[derive(Clone, Default)]
pub struct Environment {
    variables: BTreeMap<OsString, OsString>,
}

impl Environment {
    /// Picks what is handed on from all variables of the host: `std::env::vars_os()`.
    pub fn new(variables: impl IntoIterator<Item = (OsString, OsString)>) -> Self {
        let variables = variables.into_iter().filter(|(name, _)| is_handed_on(name)).collect();
        Self { variables }
    }

    /// What a program gets.
    pub(crate) fn variables(&self) -> impl Iterator<Item = (&OsStr, &OsStr)> {
        self.variables.iter().map(|(name, value)| (name.as_os_str(), value.as_os_str()))
    }

    /// Where the program with this name is, if it is on this machine.
    pub(crate) fn program(&self, name: &str) -> Option<PathBuf> {
        let file = format!("{name}{}", std::env::consts::EXE_SUFFIX);
        self.folders().map(|folder| folder.join(&file)).find(|path| is_program(path))
    }

    fn folders(&self) -> impl Iterator<Item = PathBuf> {
        let path = self.get("PATH").cloned().unwrap_or_default();
        let home = self.get("HOME").or_else(|| self.get("USERPROFILE")).map(PathBuf::from);
        let also = ALSO.iter().filter_map(move |folder| match folder.strip_prefix("~/") {
            Some(below) => home.as_ref().map(|home| home.join(below)),
            None => Some(PathBuf::from(folder)),
        });
        // A relative entry would run what lies in whatever folder Patchbay was started from.
        std::env::split_paths(&path)
            .filter(|folder| folder.is_absolute())
            .collect::<Vec<_>>()
            .into_iter()
            .chain(also)
    }

    fn get(&self, name: &str) -> Option<&OsString> {
        self.variables.iter().find(|(known, _)| same_name(known, name)).map(|(_, value)| value)
    }
}

/// Names only: a proxy's address may hold a password.
impl fmt::Debug for Environment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.variables.keys()).finish()
    }
}

fn is_handed_on(name: &OsStr) -> bool {
    HANDED_ON.iter().any(|known| same_name(name, known))
}

/// Windows does not tell `Path` from `PATH`.
fn same_name(name: &OsStr, known: &str) -> bool {
    if cfg!(windows) { name.eq_ignore_ascii_case(known) } else { name == known }
}

#[cfg(unix)]
fn is_program(path: &Path) -> bool {
    use std::os::unix::fs::PermissionsExt;
    path.metadata().is_ok_and(|meta| meta.is_file() && meta.permissions().mode() & 0o111 != 0)
}

#[cfg(not(unix))]
fn is_program(path: &Path) -> bool {
    path.is_file()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn environment(variables: &[(&str, &str)]) -> Environment {
        Environment::new(variables.iter().map(|(name, value)| (name.into(), value.into())))
    }

    #[test]
    fn only_what_is_listed_is_handed_on() {
        let environment = environment(&[("PATH", "/bin"), ("TUNNEL_TOKEN", "t"), ("LANG", "C")]);

        let names: Vec<_> = environment.variables().map(|(name, _)| name).collect();

        assert_eq!(names, ["LANG", "PATH"]);
    }

    #[test]
    #[cfg(unix)]
    fn a_program_is_found_in_absolute_folders_and_must_be_executable() {
        use std::os::unix::fs::PermissionsExt;
        let folder = tempfile::tempdir().unwrap();
        let program = folder.path().join("patchbay-test-program");
        let path = folder.path().to_str().unwrap();
        std::fs::write(&program, "").unwrap();

        assert_eq!(environment(&[("PATH", path)]).program("patchbay-test-program"), None);
        std::fs::set_permissions(&program, std::fs::Permissions::from_mode(0o755)).unwrap();
        assert_eq!(environment(&[("PATH", path)]).program("patchbay-test-program"), Some(program));
        assert_eq!(environment(&[("PATH", ".")]).program("patchbay-test-program"), None);
    }

    #[test]
    fn a_password_in_a_proxy_address_is_not_shown() {
        let environment = environment(&[("HTTPS_PROXY", "http://me:hunter2@proxy")]);

        assert!(!format!("{environment:?}").contains("hunter2"));
    }
}
