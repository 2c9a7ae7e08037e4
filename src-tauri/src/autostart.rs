//! Starting with the computer: an entry among the user's own programs that start then.
//!
//! On Linux we write the entry ourselves, since what the library writes breaks at a space in a path
//! and ignores a moved configuration folder.

use crate::args::Args;

#[cfg(target_os = "linux")]
pub(crate) use linux::Autostart;
#[cfg(not(target_os = "linux"))]
pub(crate) use other::Autostart;

#[cfg(target_os = "linux")]
mod linux {
    use std::ffi::OsStr;
    use std::fs;
    use std::io;
    use std::path::{Path, PathBuf};

    use super::Args;

    const NAME: &str = "patchbay-desktop.desktop";

    /// The entry in the folder that every desktop reads when somebody logs in.
    pub(crate) struct Autostart {
        file: Option<PathBuf>,
        entry: io::Result<String>,
    }

    impl Autostart {
        /// For a start like this one, in the tray.
        pub(crate) fn new(args: &Args) -> Self {
            let file = dirs::config_dir().map(|folder| folder.join("autostart").join(NAME));
            Self { file, entry: program().and_then(|program| entry(&program, &args.at_login())) }
        }

        /// Whether it does; `None` where this user has no place for such entries.
        pub(crate) fn is_on(&self) -> Option<bool> {
            let text = fs::read_to_string(self.file.as_ref()?).ok();
            Some(text.is_some_and(|text| is_active(&text)))
        }

        /// Switches it.
        ///
        /// # Errors
        ///
        /// When the entry cannot be written or removed.
        pub(crate) fn set(&self, on: bool) -> io::Result<()> {
            let missing = || io::Error::other("this user has no folder for configuration");
            let file = self.file.as_deref().ok_or_else(missing)?;
            if on {
                let entry = self.entry.as_ref().map_err(|why| io::Error::other(why.to_string()))?;
                fs::create_dir_all(file.parent().ok_or_else(missing)?)?;
                fs::write(file, entry)
            } else {
                match fs::remove_file(file) {
                    Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
                    _ => Ok(()),
                }
            }
        }
    }

    /// An AppImage is unpacked anew at each start; its own path is where it stays.
    fn program() -> io::Result<PathBuf> {
        std::env::var_os("APPIMAGE").map_or_else(std::env::current_exe, |path| Ok(path.into()))
    }

    fn entry(program: &Path, args: &[String]) -> io::Result<String> {
        let words: Vec<&OsStr> =
            std::iter::once(program.as_os_str()).chain(args.iter().map(OsStr::new)).collect();
        let words = words.into_iter().map(word).collect::<io::Result<Vec<_>>>()?;
        Ok(format!(
            "[Desktop Entry]\nType=Application\nName=Patchbay\nComment=Webhooks and APIs\n\
             Exec={}\nIcon=patchbay-desktop\nTerminal=false\nStartupNotify=false\n",
            words.join(" ")
        ))
    }

    /// A word of `Exec`: quoted, since quotes are never wrong; a percent sign would stand for a
    /// file, and the whole line is read as a string once more.
    fn word(word: &OsStr) -> io::Result<String> {
        let not_text = || io::Error::other("a path that is not text cannot be in such an entry");
        let mut quoted = String::from("\"");
        for letter in word.to_str().ok_or_else(not_text)?.chars() {
            match letter {
                '"' | '`' | '$' => quoted.extend(["\\\\", letter.encode_utf8(&mut [0; 4])]),
                '\\' => quoted.push_str("\\\\\\\\"),
                '%' => quoted.push_str("%%"),
                '\n' => quoted.push_str("\\n"),
                other => quoted.push(other),
            }
        }
        quoted.push('"');
        Ok(quoted)
    }

    /// Desktops switch an entry off without removing it, too.
    fn is_active(entry: &str) -> bool {
        !entry
            .lines()
            .any(|line| matches!(line.trim(), "Hidden=true" | "X-GNOME-Autostart-enabled=false"))
    }

    #[cfg(test)]
    mod tests {
        use super::*;

        #[test]
        fn every_word_of_the_command_stays_one() {
            let args = ["--hidden".to_owned(), r#"/a b/100% $HOME "c" \d"#.to_owned()];

            let entry = entry(Path::new("/opt/Patch bay/patchbay-desktop"), &args).unwrap();

            let exec = entry.lines().find_map(|line| line.strip_prefix("Exec=")).unwrap();
            assert_eq!(
                exec,
                r#""/opt/Patch bay/patchbay-desktop" "--hidden" "/a b/100%% \\$HOME \\"c\\" \\\\d""#
            );
        }

        #[test]
        fn an_entry_that_the_desktop_switched_off_is_off() {
            let entry = entry(Path::new("/patchbay-desktop"), &[]).unwrap();

            assert!(is_active(&entry));
            assert!(!is_active(&format!("{entry}Hidden=true\n")));
            assert!(!is_active(&format!("{entry}X-GNOME-Autostart-enabled=false\n")));
        }
    }
}

#[cfg(not(target_os = "linux"))]
mod other {
    use std::io;

    use auto_launch::{AutoLaunch, AutoLaunchBuilder};

    use super::Args;

    /// What the library knows of this system's entries.
    pub(crate) struct Autostart(io::Result<AutoLaunch>);

    impl Autostart {
        /// For a start like this one, in the tray.
        pub(crate) fn new(args: &Args) -> Self {
            Self(launch(args))
        }

        /// Whether it does; `None` where the system does not say.
        pub(crate) fn is_on(&self) -> Option<bool> {
            self.0.as_ref().ok()?.is_enabled().ok()
        }

        /// Switches it.
        ///
        /// # Errors
        ///
        /// When the system refuses.
        pub(crate) fn set(&self, on: bool) -> io::Result<()> {
            let launch = self.0.as_ref().map_err(|why| io::Error::other(why.to_string()))?;
            let done = if on { launch.enable() } else { launch.disable() };
            done.map_err(io::Error::other)
        }
    }

    fn launch(args: &Args) -> io::Result<AutoLaunch> {
        // On Windows one line is made of all of it, and taken apart at spaces.
        let word = |word: String| {
            if cfg!(windows) && word.contains(' ') { format!("\"{word}\"") } else { word }
        };
        let program = std::env::current_exe()?.display().to_string();
        let args: Vec<_> = args.at_login().into_iter().map(word).collect();
        AutoLaunchBuilder::new()
            .set_app_name("Patchbay")
            .set_app_path(&word(program))
            .set_args(&args)
            .build()
            .map_err(io::Error::other)
    }
}
