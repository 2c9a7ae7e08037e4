use std::fs;

use domain::secret::Secret;

use super::*;

const CANARY: &str = "canary-3f9a1c";

fn secrets(value: &str) -> Secrets {
    let mut secrets = Secrets::new();
    secrets.set("access_token", Secret::new(format!("{CANARY}-{value}")));
    secrets
}

/// A data directory and, beside it, a key file.
struct Folders {
    root: tempfile::TempDir,
}

impl Folders {
    fn new() -> Self {
        let root = tempfile::tempdir().unwrap();
        fs::create_dir(root.path().join("data")).unwrap();
        let folders = Self { root };
        make_key_file(&folders.key()).unwrap();
        folders
    }

    fn file(&self) -> PathBuf {
        self.root.path().join("data/vault.sealed")
    }

    fn key(&self) -> PathBuf {
        self.root.path().join("config/vault.key")
    }

    fn open(&self) -> Vault {
        Vault::sealed_file(&self.file(), &self.key(), "installation")
    }
}

async fn problem(vault: Vault) -> String {
    match vault.state().await {
        Err(Error::KeyFile { problem, .. }) => problem,
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_sealed_file_keeps_generations_apart_and_over_a_restart() {
    let folders = Folders::new();
    let vault = folders.open();
    vault.write("con_1", 1, &secrets("one")).await.unwrap();
    vault.write("con_1", 2, &secrets("two")).await.unwrap();
    vault.remove("con_1", 1).await.unwrap();
    vault.remove("con_1", 1).await.unwrap();

    let vault = folders.open();

    vault.state().await.unwrap();
    assert_eq!(vault.read("con_1", 2).await.unwrap(), secrets("two"));
    assert!(matches!(vault.read("con_1", 1).await, Err(Error::NotFound)));
    assert!(matches!(vault.read("con_2", 2).await, Err(Error::NotFound)));
}

#[tokio::test]
async fn the_sealed_file_shows_nothing_and_is_never_the_same_twice() {
    let folders = Folders::new();
    let vault = folders.open();
    vault.write("con_1", 1, &secrets("one")).await.unwrap();
    let first = fs::read(folders.file()).unwrap();
    vault.write("con_1", 1, &secrets("one")).await.unwrap();
    let second = fs::read(folders.file()).unwrap();

    for text in [CANARY, "con_1", "access_token"] {
        assert!(!first.windows(text.len()).any(|window| window == text.as_bytes()), "{text}");
    }
    let (first, second) = (&first[24..], &second[24..]);
    assert_ne!(first[..24], second[..24], "the nonce");
    assert_ne!(first[24..], second[24..], "the sealed bytes");
}

#[tokio::test]
async fn a_sealed_file_that_was_changed_anywhere_does_not_open_and_is_left_alone() {
    let folders = Folders::new();
    let vault = folders.open();
    vault.write("con_1", 1, &secrets("one")).await.unwrap();
    let whole = fs::read(folders.file()).unwrap();

    for at in 0..whole.len() {
        let mut changed = whole.clone();
        changed[at] ^= 1;
        fs::write(folders.file(), &changed).unwrap();

        assert!(matches!(folders.open().state().await, Err(Error::Sealed(_))), "byte {at}");
        assert!(matches!(vault.state().await, Err(Error::Sealed(_))));
        assert!(matches!(vault.write("con_1", 2, &secrets("two")).await, Err(Error::Sealed(_))));
        assert_eq!(fs::read(folders.file()).unwrap(), changed);
    }
    fs::write(folders.file(), b"").unwrap();
    assert!(matches!(folders.open().state().await, Err(Error::Sealed(_))));
}

#[tokio::test]
async fn another_key_and_another_installation_do_not_open_it() {
    let folders = Folders::new();
    folders.open().write("con_1", 1, &secrets("one")).await.unwrap();
    let other = folders.root.path().join("other.key");
    make_key_file(&other).unwrap();

    assert!(matches!(
        Vault::sealed_file(&folders.file(), &other, "installation").state().await,
        Err(Error::Sealed(_))
    ));
    assert!(matches!(
        Vault::sealed_file(&folders.file(), &folders.key(), "another").state().await,
        Err(Error::Sealed(_))
    ));
    folders.open().state().await.unwrap();
}

#[test]
fn a_key_file_is_never_written_over() {
    let folders = Folders::new();
    let before = fs::read(folders.key()).unwrap();

    assert!(matches!(make_key_file(&folders.key()), Err(Error::KeyFile { .. })));

    assert_eq!(fs::read(folders.key()).unwrap(), before);
    assert_eq!(before.len(), 32);
}

#[tokio::test]
async fn a_key_file_that_is_missing_short_or_in_the_data_directory_is_refused() {
    let folders = Folders::new();
    let inside = folders.root.path().join("data/vault.key");
    make_key_file(&inside).unwrap();
    let short = folders.root.path().join("short.key");
    crate::data_dir::write_whole(&short, &[7; 31]).unwrap();
    let missing = folders.root.path().join("missing.key");
    let open = |key: &Path| Vault::sealed_file(&folders.file(), key, "installation");

    assert!(problem(open(&inside)).await.contains("is in the data directory"));
    assert!(problem(open(&short)).await.contains("32 bytes"));
    assert!(problem(open(&missing)).await.contains("missing"));
    assert!(problem(open(folders.root.path())).await.contains("not a file"));
}

#[cfg(unix)]
#[tokio::test]
async fn a_key_file_that_others_can_read_is_refused() {
    use std::os::unix::fs::PermissionsExt as _;
    let folders = Folders::new();
    assert_eq!(fs::metadata(folders.key()).unwrap().permissions().mode() & 0o777, 0o600);
    for mode in [0o640, 0o604, 0o620, 0o602] {
        fs::set_permissions(folders.key(), fs::Permissions::from_mode(mode)).unwrap();

        assert!(problem(folders.open()).await.contains("read by others"), "{mode:o}");
    }
}

#[cfg(unix)]
#[tokio::test]
async fn a_link_does_not_bring_the_key_into_the_data_directory_or_out_of_it() {
    let folders = Folders::new();
    let inside = folders.root.path().join("data/real.key");
    make_key_file(&inside).unwrap();
    let link = folders.root.path().join("link.key");
    std::os::unix::fs::symlink(&inside, &link).unwrap();

    let vault = Vault::sealed_file(&folders.file(), &link, "installation");

    assert!(problem(vault).await.contains("is in the data directory"));
}

#[tokio::test]
async fn memory_can_be_locked_and_forgetful() {
    let (vault, switches) = Vault::switchable();
    vault.write("con_1", 1, &secrets("one")).await.unwrap();

    switches.lock(true);
    assert!(matches!(vault.state().await, Err(Error::Locked)));
    assert!(matches!(vault.read("con_1", 1).await, Err(Error::Locked)));
    switches.lock(false);
    assert_eq!(vault.read("con_1", 1).await.unwrap(), secrets("one"));

    switches.forget(true);
    assert!(matches!(vault.write("con_1", 1, &secrets("two")).await, Err(Error::Forgetful)));
    assert!(matches!(vault.write("con_1", 2, &secrets("two")).await, Err(Error::Forgetful)));
}

#[tokio::test]
async fn a_missing_vault_refuses_everything_and_says_why() {
    let vault = Vault::missing("no keychain, no key file".into());

    assert_eq!(vault.kind(), Kind::Missing);
    for outcome in [
        vault.state().await,
        vault.write("con_1", 1, &secrets("one")).await,
        vault.remove("con_1", 1).await,
        vault.read("con_1", 1).await.map(drop),
    ] {
        assert_eq!(
            outcome.unwrap_err().to_string(),
            "there is no keychain: no keychain, no key file"
        );
    }
    assert_eq!(format!("{vault:?}"), "Vault(Missing)");
}

#[tokio::test]
async fn a_sealed_file_opens_once_its_key_is_back() {
    let folders = Folders::new();
    folders.open().write("con_1", 1, &secrets("one")).await.unwrap();
    let away = folders.root.path().join("away.key");
    fs::rename(folders.key(), &away).unwrap();
    let sealed = fs::read(folders.file()).unwrap();

    let vault = folders.open();
    assert!(matches!(vault.state().await, Err(Error::KeyFile { .. })));
    assert!(vault.write("con_1", 2, &secrets("two")).await.is_err());
    assert_eq!(fs::read(folders.file()).unwrap(), sealed);
    fs::rename(&away, folders.key()).unwrap();

    assert_eq!(vault.read("con_1", 1).await.unwrap(), secrets("one"));
}

#[tokio::test]
async fn what_is_lost_counts_as_none_for_whoever_enters_it_again() {
    let (vault, switches) = Vault::switchable();
    vault.write("con_1", 1, &secrets("one")).await.unwrap();

    assert_eq!(vault.read_for_change("con_1", Some(1)).await.unwrap(), secrets("one"));
    assert_eq!(vault.read_for_change("con_1", Some(2)).await.unwrap(), Secrets::new());
    assert_eq!(vault.read_for_change("con_1", None).await.unwrap(), Secrets::new());
    switches.lock(true);
    assert!(matches!(vault.read_for_change("con_1", Some(2)).await, Err(Error::Locked)));
}

#[tokio::test(start_paused = true)]
async fn a_vault_that_is_still_being_chosen_is_waited_for_and_not_for_long() {
    let (choose, chosen) = tokio::sync::oneshot::channel();
    let vault = Vault::opening(async { chosen.await.unwrap() });

    assert!(matches!(vault.state().await, Err(Error::Opening)));
    assert!(matches!(vault.read("con_1", 1).await, Err(Error::Opening)));
    assert!(matches!(vault.write("con_1", 1, &secrets("one")).await, Err(Error::Opening)));

    choose.send(Vault::memory()).unwrap();
    vault.write("con_1", 1, &secrets("one")).await.unwrap();
    vault.state().await.unwrap();
    assert_eq!((vault.kind(), vault.settled().await.kind()), (Kind::Memory, Kind::Memory));
}
