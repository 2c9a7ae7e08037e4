//! The connectors at hand: those that ship inside the program, and the user's own in
//! `connectors/<id>/` of the data directory.
//!
//! A shipped connector is read when it is first asked for. An own one is read at the start and
//! again when its files change, which is found out by looking, at most once a second, whenever the
//! connectors are listed ([`Connectors::all`]) and by [`Connectors::keep_current`]. Looking reads
//! the disk; [`Connectors::get`] never does, so that receiving a webhook does not.
//!
//! A broken one is listed with its error and takes no other down. An own one cannot take the id of
//! a shipped one: whoever trusts `shopify` trusts ours.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fs;
use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, OnceLock, PoisonError, RwLock};
use std::time::{Duration, Instant, SystemTime};

use domain::connector::{self, Connector, MAX_BYTES};
use rust_embed::RustEmbed;

/// The file that a folder is a connector by.
const FILE: &str = "connector.yaml";

/// How often the user's own folder is looked at, at most.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// How often it is looked at while nobody lists the connectors.
const WATCH_EVERY: Duration = Duration::from_secs(5);

/// The largest icon that is read, in bytes.
const MAX_ICON: u64 = 64 * 1024;

/// The largest fixture that is read, in bytes.
const MAX_FIXTURE: u64 = 32 << 20;

/// How many files of a folder are looked at.
const MANY: usize = 1_000;

/// Stands for a connector that has no icon.
const NO_ICON: &str = concat!(
    r#"<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 24 24" fill="none" "#,
    r#"stroke="currentColor" stroke-width="1.5" stroke-linecap="round">"#,
    r#"<path d="M9 3v5M15 3v5M6 8h12v4a6 6 0 0 1-12 0zM12 18v3"/></svg>"#,
);

#[derive(RustEmbed)]
#[folder = "$CARGO_MANIFEST_DIR/../../connectors"]
#[include = "*/connector.yaml"]
#[include = "*/icon.svg"]
#[include = "*/*.md"]
#[include = "*/*.graphql"]
struct ShippedFiles;

/// The handle; cheap to clone.
#[derive(Clone)]
pub struct Connectors {
    inner: Arc<Inner>,
}

struct Inner {
    shipped: BTreeMap<String, OnceLock<Listed>>,
    own_folder: PathBuf,
    own: RwLock<Arc<Own>>,
    looked_at: Mutex<Option<Instant>>,
}

/// The user's own connectors by the names of their folders, as last read.
type Own = BTreeMap<String, OwnEntry>;

#[derive(Clone)]
struct OwnEntry {
    stamp: Stamp,
    listed: Listed,
}

/// What a folder's files looked like when they were read: name, size, time of change.
type Stamp = Vec<(String, u64, Option<SystemTime>)>;

/// A connector in the list, usable or not.
#[derive(Debug, Clone)]
pub struct Listed {
    /// Its id; that of its folder where it is broken.
    pub id: String,
    /// Whether it is the user's own.
    pub own: bool,
    /// The connector, or why it cannot be used.
    pub connector: Result<Arc<Connector>, Broken>,
    /// Its icon, an SVG text of whoever made the connector: show it as an image, never inline.
    pub icon: Arc<str>,
}

/// Why a connector cannot be used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Broken {
    /// The file, from its folder on: `acme/connector.yaml`.
    pub file: String,
    /// The line, where one shows it.
    pub line: Option<u64>,
    /// What is wrong, with the place.
    pub message: String,
}

impl Connectors {
    /// Those that ship, and the user's own below `own_folder`, which need not exist.
    pub fn open(own_folder: PathBuf) -> Self {
        let ids = ShippedFiles::iter().filter_map(|path| {
            path.strip_suffix("/connector.yaml").map(|id| (id.to_owned(), OnceLock::new()))
        });
        let inner = Inner {
            shipped: ids.collect(),
            own_folder,
            own: RwLock::default(),
            looked_at: Mutex::new(None),
        };
        let connectors = Self { inner: Arc::new(inner) };
        connectors.refresh();
        connectors
    }

    /// This one and no other, not even one that ships under its id.
    pub fn only(connector: Connector) -> Self {
        let id = connector.id.clone();
        let listed = Listed {
            id: id.clone(),
            own: true,
            connector: Ok(Arc::new(connector)),
            icon: NO_ICON.into(),
        };
        let inner = Inner {
            shipped: BTreeMap::from([(id, OnceLock::from(listed))]),
            own_folder: PathBuf::new(),
            own: RwLock::default(),
            looked_at: Mutex::new(None),
        };
        Self { inner: Arc::new(inner) }
    }

    /// The usable connector of this id, as last read. Costs no IO, except that a shipped one is
    /// read from memory the first time.
    pub fn get(&self, id: &str) -> Option<Arc<Connector>> {
        match self.inner.shipped(id) {
            Some(listed) => listed.connector.clone().ok(),
            None => self.own().get(id)?.listed.connector.clone().ok(),
        }
    }

    /// The one of this id as it is listed: the shipped one where there is one.
    pub fn listed(&self, id: &str) -> Option<Listed> {
        match self.inner.shipped(id) {
            Some(listed) => Some(listed.clone()),
            None => self.own().get(id).map(|entry| entry.listed.clone()),
        }
    }

    /// Whether it is one of the user's own.
    pub(crate) fn is_own(&self, id: &str) -> bool {
        self.inner.shipped(id).is_none()
    }

    /// All of them by name, broken ones at the end. Looks for changes first.
    pub fn all(&self) -> Vec<Listed> {
        self.refresh();
        let shipped = self.inner.shipped.keys().filter_map(|id| self.inner.shipped(id).cloned());
        let own = self.own();
        let own = own.values().map(|entry| entry.listed.clone());
        let mut all: Vec<_> = shipped.chain(own).collect();
        all.sort_by_cached_key(|listed| match &listed.connector {
            Ok(connector) => (false, connector.name.to_lowercase()),
            Err(_) => (true, listed.id.clone()),
        });
        all
    }

    /// Reads own connectors again whose files have changed, unless that was looked at within the
    /// last second. Says whether any had.
    pub fn refresh(&self) -> bool {
        let mut looked_at = self.inner.looked_at.lock().unwrap_or_else(PoisonError::into_inner);
        if looked_at.is_some_and(|at| at.elapsed() < LOOK_EVERY) {
            return false;
        }
        let before = self.own();
        let after = self.inner.read_own(&before);
        *looked_at = Some(Instant::now());
        let changed = !same_stamps(&before, &after);
        if changed {
            let mut own = self.inner.own.write().unwrap_or_else(PoisonError::into_inner);
            *own = Arc::new(after);
        }
        changed
    }

    /// Looks for changes every few seconds, and calls `changed` after each, until it is dropped.
    pub async fn keep_current(self, changed: impl Fn()) {
        let mut ticks = tokio::time::interval(WATCH_EVERY);
        ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            ticks.tick().await;
            let connectors = self.clone();
            let looked = tokio::task::spawn_blocking(move || connectors.refresh()).await;
            if looked.unwrap_or(false) {
                changed();
            }
        }
    }

    fn own(&self) -> Arc<Own> {
        self.inner.own.read().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl Inner {
    fn shipped(&self, id: &str) -> Option<&Listed> {
        self.shipped.get(id).map(|slot| slot.get_or_init(|| read_shipped(id)))
    }

    /// Reads the own folder; what has not changed is taken over from `before`.
    fn read_own(&self, before: &Own) -> Own {
        let entries = fs::read_dir(&self.own_folder).into_iter().flatten().flatten();
        entries
            .filter_map(|entry| {
                let folder = entry.path();
                let name = entry.file_name().into_string().ok()?;
                let stamp = stamp(&folder);
                if !stamp.iter().any(|(file, ..)| file == FILE) {
                    return None;
                }
                let known = before.get(&name).filter(|entry| entry.stamp == stamp).cloned();
                let entry = known.unwrap_or_else(|| OwnEntry {
                    listed: self.read_own_folder(&name, &folder),
                    stamp,
                });
                Some((name, entry))
            })
            .collect()
    }

    fn read_own_folder(&self, name: &str, folder: &Path) -> Listed {
        let icon = read_within(folder, "icon.svg", MAX_ICON).ok();
        Listed {
            id: name.into(),
            own: true,
            connector: self.load_own(name, folder).map(Arc::new),
            icon: icon
                .filter(|icon| icon.contains("<svg"))
                .unwrap_or_else(|| NO_ICON.into())
                .into(),
        }
    }

    fn load_own(&self, name: &str, folder: &Path) -> Result<Connector, Broken> {
        if self.shipped.contains_key(name) {
            let file = format!("{name}/connector.yaml");
            let message = format!("`{name}` is the id of a connector that ships with Patchbay");
            return Err(Broken { file, line: None, message });
        }
        read(folder)
    }
}

/// Reads the connector in `folder`, which may be anywhere.
///
/// # Errors
///
/// [`Broken`] when it cannot be used.
pub fn read(folder: &Path) -> Result<Connector, Broken> {
    let name = folder_name(folder);
    let text = read_within(folder, FILE, MAX_BYTES as u64).map_err(|error| {
        let file = format!("{name}/{FILE}");
        Broken { file, line: None, message: error.to_string() }
    })?;
    load(&name, &text, &|name| read_within(folder, name, MAX_BYTES as u64).ok())
}

/// Reads the connector of which these are the files, by their names.
///
/// # Errors
///
/// [`Broken`] when it cannot be used.
pub fn read_files(id: &str, files: &BTreeMap<String, String>) -> Result<Connector, Broken> {
    let text = files.get(FILE).map(String::as_str).unwrap_or_default();
    load(id, text, &|name| files.get(name).cloned())
}

/// The files of the connector in `folder` that [`read_files`] takes.
///
/// # Errors
///
/// [`Broken`] where they do not make one that can be used.
pub fn files(folder: &Path) -> Result<(Connector, BTreeMap<String, String>), Broken> {
    let connector = read(folder)?;
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    let names = entries.take(MANY).filter_map(|entry| entry.file_name().into_string().ok());
    let names = names.filter(|name| {
        [".yaml", ".md", ".graphql"].iter().any(|extension| name.ends_with(extension))
    });
    let files = names.filter_map(|name| {
        let text = read_within(folder, &name, MAX_BYTES as u64).ok()?;
        Some((name, text))
    });
    Ok((connector, files.collect()))
}

/// The name of a folder, also of `.`.
fn folder_name(folder: &Path) -> String {
    let whole = fs::canonicalize(folder).unwrap_or_else(|_| folder.into());
    whole.file_name().unwrap_or_default().to_string_lossy().into_owned()
}

/// What [`check`] found.
#[derive(Debug, Clone)]
pub struct Checked {
    /// The name of the folder, which is the connector's id.
    pub id: String,
    /// Why the connector cannot be used, if so.
    pub broken: Option<Broken>,
    /// Its fixtures in the order of their names.
    pub fixtures: Vec<Played>,
}

/// A fixture, and how it went.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Played {
    /// The file's name.
    pub file: String,
    /// What was expected and what came instead.
    pub problem: Option<String>,
}

impl Checked {
    /// Whether all is well. A connector without fixtures is not: nothing shows that it works.
    pub fn passed(&self) -> bool {
        let failed = self.fixtures.iter().any(|played| played.problem.is_some());
        self.broken.is_none() && !self.fixtures.is_empty() && !failed
    }
}

/// Reads the connector in `folder` and plays what was recorded beside it, in `fixtures/`.
pub fn check(folder: &Path) -> Checked {
    let id = folder_name(folder);
    match read(folder) {
        Ok(connector) => {
            let fixtures = fixtures(folder).into_iter();
            let play = |path: PathBuf| {
                let name = path.strip_prefix(folder).unwrap_or(&path);
                Played {
                    file: folder_name(&path),
                    problem: read_within(folder, name, MAX_FIXTURE)
                        .map_err(|error| error.to_string())
                        .and_then(|text| domain::fixture::play(&connector, &text))
                        .err(),
                }
            };
            Checked { id, broken: None, fixtures: fixtures.map(play).collect() }
        }
        Err(broken) => Checked { id, broken: Some(broken), fixtures: Vec::new() },
    }
}

/// The fixtures in `folder`, as they are called from there.
fn fixtures(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder.join("fixtures")).into_iter().flatten().flatten();
    let within = |entry: fs::DirEntry| Path::new("fixtures").join(entry.file_name());
    let json = |path: &PathBuf| path.extension().is_some_and(|extension| extension == "json");
    let mut files: Vec<_> = entries.map(within).filter(json).take(MANY).collect();
    files.sort();
    files
}

fn read_shipped(id: &str) -> Listed {
    let text = |file: &str| {
        let path = format!("{id}/{file}");
        ShippedFiles::get(&path).map(|file| match file.data {
            Cow::Borrowed(bytes) => String::from_utf8_lossy(bytes).into_owned(),
            Cow::Owned(bytes) => String::from_utf8_lossy(&bytes).into_owned(),
        })
    };
    Listed {
        id: id.into(),
        own: false,
        connector: load(id, &text("connector.yaml").unwrap_or_default(), &text).map(Arc::new),
        icon: text("icon.svg").unwrap_or_else(|| NO_ICON.into()).into(),
    }
}

fn load(folder: &str, text: &str, beside: connector::Files<'_>) -> Result<Connector, Broken> {
    let file = format!("{folder}/connector.yaml");
    let connector = connector::load(&file, text, beside).map_err(|error| Broken {
        file: error.file().into(),
        line: error.line(),
        message: error.to_string(),
    })?;
    if connector.id != folder {
        let message = format!("its `id` is `{}`, but its folder is `{folder}`", connector.id);
        return Err(Broken { file, line: None, message });
    }
    Ok(connector)
}

/// The files of a folder, so that a change of any of them is seen.
fn stamp(folder: &Path) -> Stamp {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    let mut stamp: Stamp = entries
        .take(MANY)
        .filter_map(|entry| {
            let name = entry.file_name().into_string().ok()?;
            // Through links, since an own connector may be one into somebody's repository.
            let data = fs::metadata(entry.path()).ok().filter(fs::Metadata::is_file)?;
            Some((name, data.len(), data.modified().ok()))
        })
        .collect();
    stamp.sort();
    stamp
}

fn same_stamps(before: &Own, after: &Own) -> bool {
    before.len() == after.len()
        && before
            .iter()
            .zip(after)
            .all(|((a, before), (b, after))| a == b && before.stamp == after.stamp)
}

/// Reads a file of a connector: a plain one of at most `most` bytes that lies in its folder. What it
/// says is shown, so that a link to somewhere else would show what is there; and whoever opens a
/// pipe waits for somebody at its other end.
fn read_within(folder: &Path, name: impl AsRef<Path>, most: u64) -> std::io::Result<String> {
    let refused = |why: String| Err(std::io::Error::other(why));
    let path = fs::canonicalize(folder.join(name))?;
    if !path.starts_with(fs::canonicalize(folder)?) {
        return refused("it lies outside of the connector's folder".into());
    }
    let file = open_at_once(&path)?;
    let data = file.metadata()?;
    if !data.is_file() {
        return refused("it is no plain file".into());
    }
    let mut text = String::new();
    // One more than there may be, in case it grows meanwhile.
    file.take(most + 1).read_to_string(&mut text)?;
    if data.len().max(text.len() as u64) > most {
        return refused(format!("it is larger than {most} bytes"));
    }
    Ok(text)
}

/// Opens a file without waiting for anybody, and not through a link that was put there since.
fn open_at_once(path: &Path) -> std::io::Result<fs::File> {
    let mut options = fs::OpenOptions::new();
    options.read(true);
    #[cfg(unix)]
    {
        use std::os::unix::fs::OpenOptionsExt as _;

        let flags = rustix::fs::OFlags::NONBLOCK | rustix::fs::OFlags::NOFOLLOW;
        options.custom_flags(flags.bits().cast_signed());
    }
    options.open(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    const OWN: &str = "format: 1\nid: acme\nname: Acme\nstatus: documented\n\
                       webhooks:\n  verify: none\n";

    struct Folder(tempfile::TempDir);

    impl Folder {
        fn new() -> Self {
            Self(tempfile::tempdir().unwrap())
        }

        fn write(&self, id: &str, text: &str) {
            let folder = self.0.path().join(id);
            fs::create_dir_all(&folder).unwrap();
            fs::write(folder.join("connector.yaml"), text).unwrap();
        }

        fn connectors(&self) -> Connectors {
            Connectors::open(self.0.path().into())
        }
    }

    /// As if a second had gone by since the folder was last looked at.
    fn forget_the_look(connectors: &Connectors) {
        *connectors.inner.looked_at.lock().unwrap() = None;
    }

    #[test]
    fn every_shipped_connector_can_be_used() {
        let connectors = Connectors::open(PathBuf::from("/nowhere"));

        for listed in connectors.all() {
            assert!(listed.connector.is_ok(), "{:?}", listed.connector);
            assert!(!listed.own);
            assert!(listed.icon.contains("<svg"), "{} has no icon", listed.id);
        }
        assert!(connectors.get("sandbox").is_some());
    }

    #[cfg(unix)]
    #[test]
    fn a_pipe_a_device_and_a_link_to_elsewhere_are_not_read() {
        use std::os::unix::fs::symlink;

        use rustix::fs::{CWD, FileType, Mode, mknodat};

        let outside = tempfile::NamedTempFile::new().unwrap();
        fs::write(outside.path(), "canary").unwrap();
        let yaml = OWN.to_owned() + "auth: [{ title: Key, steps: steps.md, header_token: {} }]\n";
        let with = |file: &str, make: &dyn Fn(&Path)| {
            let folder = Folder::new();
            folder.write("acme", &yaml);
            let acme = folder.0.path().join("acme");
            fs::write(acme.join("steps.md"), "Go.").unwrap();
            let _ = fs::remove_file(acme.join(file));
            make(&acme.join(file));
            let connectors = folder.connectors();
            (read(&acme).err().map(|broken| broken.message), connectors.listed("acme"))
        };
        let pipe = |path: &Path| mknodat(CWD, path, FileType::Fifo, Mode::RUSR, 0).unwrap();
        let elsewhere = |path: &Path| symlink(outside.path(), path).unwrap();
        let device = |path: &Path| symlink("/dev/zero", path).unwrap();
        let makers: [&dyn Fn(&Path); 3] = [&pipe, &elsewhere, &device];

        for make in makers {
            let (problem, _) = with("steps.md", make);
            assert!(problem.unwrap().contains("no file `steps.md`"));
            let (problem, _) = with(FILE, make);
            let problem = problem.unwrap();
            assert!(problem.contains("outside") || problem.contains("plain"), "{problem}");
            let (problem, listed) = with("icon.svg", make);
            assert_eq!(problem, None);
            assert_eq!(&*listed.unwrap().icon, NO_ICON);
        }
        let (problem, _) = with("steps.md", &|path| {
            let own = path.with_file_name("real.md");
            fs::write(&own, "Go.").unwrap();
            symlink("real.md", path).unwrap();
        });
        assert_eq!(problem, None, "a link within the folder is one of its files");
    }

    #[test]
    fn a_folder_may_be_named_from_here() {
        let checked = check(Path::new("../../connectors/sandbox"));

        assert!(checked.passed(), "{checked:?}");
    }

    #[test]
    fn a_file_is_read_up_to_its_limit() {
        let folder = Folder::new();
        folder.write("acme", OWN);
        let acme = folder.0.path().join("acme");
        let size = OWN.len() as u64;

        assert_eq!(read_within(&acme, FILE, size).unwrap(), OWN);
        let error = read_within(&acme, FILE, size - 1).unwrap_err();
        assert_eq!(error.to_string(), format!("it is larger than {} bytes", size - 1));
    }

    #[test]
    fn an_own_connector_is_read_again_when_it_changes() {
        let folder = Folder::new();
        folder.write("acme", OWN);
        let connectors = folder.connectors();
        assert_eq!(connectors.get("acme").unwrap().name, "Acme");

        folder.write("acme", &OWN.replace("Acme", "Acme and more"));
        forget_the_look(&connectors);

        assert!(connectors.refresh());
        assert_eq!(connectors.get("acme").unwrap().name, "Acme and more");
        forget_the_look(&connectors);
        assert!(!connectors.refresh());
    }

    #[test]
    fn a_broken_one_is_listed_with_its_line_and_takes_no_other_down() {
        let folder = Folder::new();
        folder.write("acme", OWN);
        folder.write("broken", "format: 1\nid: broken\nnme: x\n");
        let connectors = folder.connectors();

        let listed = connectors.listed("broken").unwrap();

        let broken = listed.connector.unwrap_err();
        assert_eq!((broken.file.as_str(), broken.line), ("broken/connector.yaml", Some(3)));
        assert!(broken.message.contains("unknown field `nme`"), "{}", broken.message);
        assert!(connectors.get("broken").is_none());
        assert!(connectors.get("acme").is_some());
        assert!(connectors.get("sandbox").is_some());
    }

    #[test]
    fn a_check_plays_what_was_recorded() {
        let folder = Folder::new();
        folder.write("acme", OWN);
        let acme = folder.0.path().join("acme");
        let fixture = |title: &str| {
            serde_json::json!({ "delivery": {
                "source": "made",
                "at": "2026-05-12T14:05:22Z",
                "request": {
                    "method": "POST", "url": "https://a.example/in/x", "headers": [],
                    "body": "order 6"
                },
                "expect": { "accepted": { "title": title } },
            }})
        };
        assert!(!check(&acme).passed(), "nothing was played");

        fs::create_dir(acme.join("fixtures")).unwrap();
        fs::write(acme.join("fixtures/b.json"), fixture("order 6").to_string()).unwrap();
        fs::write(acme.join("fixtures/a.json"), fixture("order 7").to_string()).unwrap();
        let checked = check(&acme);

        assert!(!checked.passed());
        let files: Vec<_> = checked.fixtures.iter().map(|played| played.file.as_str()).collect();
        assert_eq!(files, ["a.json", "b.json"]);
        let problem = checked.fixtures[0].problem.as_deref().unwrap();
        assert!(problem.contains("order 7"), "{problem}");
    }

    #[test]
    fn a_folder_is_checked_by_a_path_from_here_too() {
        let checked = check(Path::new("../../connectors/sandbox"));

        assert!(checked.broken.is_none());
        assert!(!checked.fixtures.is_empty());
        let problem = checked.fixtures.iter().find_map(|played| played.problem.as_ref());
        assert_eq!(problem, None);
    }

    #[test]
    fn a_check_says_what_is_broken() {
        let folder = Folder::new();
        folder.write("acme", "format: 1\nid: acme\nnme: x\n");

        let checked = check(&folder.0.path().join("acme"));

        assert_eq!(checked.broken.unwrap().line, Some(3));
    }

    #[test]
    fn an_own_one_cannot_take_a_shipped_id() {
        let folder = Folder::new();
        folder.write("sandbox", &OWN.replace("id: acme", "id: sandbox"));
        let connectors = folder.connectors();

        let all = connectors.all();

        let taken: Vec<_> = all.iter().filter(|listed| listed.id == "sandbox").collect();
        assert_eq!(taken.len(), 2);
        assert!(taken.iter().any(|listed| listed.own && listed.connector.is_err()));
        assert_eq!(connectors.get("sandbox").unwrap().name, "Sandbox shop");
    }

    #[test]
    fn one_whose_folder_has_another_name_is_broken() {
        let folder = Folder::new();
        folder.write("other", OWN);

        let listed = folder.connectors().listed("other").unwrap();

        assert!(listed.connector.unwrap_err().message.contains("its folder is `other`"));
    }

    #[test]
    fn a_removed_one_is_gone() {
        let folder = Folder::new();
        folder.write("acme", OWN);
        let connectors = folder.connectors();

        fs::remove_dir_all(folder.0.path().join("acme")).unwrap();
        forget_the_look(&connectors);

        assert!(connectors.refresh());
        assert!(connectors.get("acme").is_none());
    }

    #[test]
    fn a_file_for_a_newer_program_says_so() {
        let folder = Folder::new();
        folder.write("acme", "format: 2\nwhatever: true\n");

        let listed = folder.connectors().listed("acme").unwrap();

        assert!(listed.connector.unwrap_err().message.contains("made for a newer Patchbay"));
    }
}
