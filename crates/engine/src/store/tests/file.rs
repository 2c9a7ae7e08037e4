//! The file: what is made, kept, refused and migrated.

use super::*;

/// Migrations after those that there are, as a later version would have them.
const LATER: &str = "create table later (a integer) strict;";
const BROKEN: &str = "create table later (a integer) strict; create table later (a integer);";

async fn closed() -> TempDir {
    let desk = Desk::new();
    desk.store.accept(vec![arrival(desk.inbox("a").await, 1)]).await.unwrap();
    desk.store.close().await.unwrap();
    desk.dir
}

fn migrated(dir: &Path, later: &str) -> Result<rusqlite::Connection> {
    let migrations: Vec<&str> = migrate::MIGRATIONS.iter().copied().chain([later]).collect();
    let db = super::super::file::open_writer(dir).unwrap();
    migrate::migrate(&db, dir, &migrations).map(|()| db)
}

fn refused(dir: &Path) -> Error {
    match Store::open(dir, at(0)) {
        Ok(_) => panic!("it was opened"),
        Err(error) => error,
    }
}

/// All files of a directory and a digest of what is in them.
fn files(dir: &Path) -> BTreeMap<PathBuf, String> {
    use sha2::Digest as _;

    std::fs::read_dir(dir)
        .unwrap()
        .map(|file| file.unwrap().path())
        .map(|path| {
            let content = std::fs::read(&path).unwrap();
            (path, hex::encode(sha2::Sha256::digest(content)))
        })
        .collect()
}

#[cfg(unix)]
#[tokio::test]
async fn its_files_are_for_their_owner_alone() {
    use std::os::unix::fs::PermissionsExt as _;

    let desk = Desk::new();
    let inbox = desk.inbox("a").await;
    desk.store.accept(vec![arrival(inbox, 1)]).await.unwrap();
    let mut progress = desk.store.inner.index.progress.subscribe();
    progress.wait_for(|up_to| *up_to > 0).await.unwrap();

    for name in ["patchbay.db", "patchbay.db-wal", "search.db", "search.db-wal"] {
        let mode = desk.dir.path().join(name).metadata().unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600, "{name}");
    }
}

#[tokio::test]
async fn the_file_says_whose_it_is_and_how_it_is_laid_out() {
    let dir = closed().await;

    let db = rusqlite::Connection::open(dir.path().join("patchbay.db")).unwrap();
    let get = |name| db.pragma_query_value(None, name, |row| row.get::<_, i64>(0)).unwrap();

    assert_eq!(get("application_id"), 0x5074_4279);
    assert_eq!(get("auto_vacuum"), 2);
    assert_eq!(get("user_version"), migrate::MIGRATIONS.len() as i64);
    let mode: String = db.pragma_query_value(None, "journal_mode", |row| row.get(0)).unwrap();
    assert_eq!(mode, "wal");
}

#[tokio::test]
async fn a_migration_keeps_a_copy_of_what_was_there() {
    let dir = closed().await;

    let db = migrated(dir.path(), LATER).unwrap();

    db.execute("insert into later (a) values (1)", []).unwrap();
    let known = migrate::newest(migrate::MIGRATIONS);
    let copy = rusqlite::Connection::open(migrate::backup_path(dir.path(), known)).unwrap();
    let events: i64 = copy.query_row("select count(*) from events", [], |row| row.get(0)).unwrap();
    let format: u32 = copy.pragma_query_value(None, "user_version", |row| row.get(0)).unwrap();
    assert_eq!((events, format), (1, known));
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt as _;
        let path = migrate::backup_path(dir.path(), known);
        assert_eq!(path.metadata().unwrap().permissions().mode() & 0o777, 0o600);
    }
}

#[tokio::test]
async fn a_migration_that_fails_leaves_the_format_as_it_was() {
    let dir = closed().await;

    migrated(dir.path(), BROKEN).unwrap_err();

    let store = Store::open(dir.path(), at(0)).unwrap();
    assert_eq!(store.event_count(&EventFilter::default()).await.unwrap().count, 1);
    store.check().await.unwrap();
}

#[tokio::test]
async fn a_newer_file_is_refused_untouched() {
    let dir = closed().await;
    drop(migrated(dir.path(), LATER).unwrap());
    let before = files(dir.path());

    let error = refused(dir.path());

    let known = migrate::newest(migrate::MIGRATIONS);
    assert_eq!(error, Error::Newer { found: known + 1, known });
    assert_eq!(files(dir.path()), before);
}

#[tokio::test]
async fn a_damaged_file_is_refused_untouched() {
    let dir = closed().await;
    let path = dir.path().join("patchbay.db");
    let whole = std::fs::read(&path).unwrap();
    let mut no_schema = whole.clone();
    no_schema[100..4_096].fill(0xff);
    let mut foreign = whole.clone();
    foreign[68..72].fill(0);
    let damaged = [
        b"these are not the bytes of a database".to_vec(),
        vec![0; 20_000],
        whole[..50].to_vec(),
        whole[..whole.len() - 1].to_vec(),
        whole[..4_096].to_vec(),
        no_schema,
        foreign,
    ];
    for content in damaged {
        std::fs::write(&path, &content).unwrap();
        let before = files(dir.path());

        let error = refused(dir.path());

        assert!(matches!(error, Error::Damaged(_)), "{error}");
        assert_eq!(files(dir.path()), before);
    }
}

#[tokio::test]
async fn a_check_finds_damage() {
    let dir = closed().await;
    let db = rusqlite::Connection::open(dir.path().join("patchbay.db")).unwrap();
    db.execute("pragma writable_schema = on", []).unwrap();
    let page: u64 = db
        .query_row("select rootpage from sqlite_schema where name = 'events_by_inbox'", [], |row| {
            row.get(0)
        })
        .unwrap();
    drop(db);
    let path = dir.path().join("patchbay.db");
    let mut content = std::fs::read(&path).unwrap();
    let page = usize::try_from(page - 1).unwrap() * 4_096;
    content[page + 8..page + 4_096].fill(0xff);
    std::fs::write(&path, content).unwrap();

    let store = Store::open(dir.path(), at(0)).unwrap();

    assert!(matches!(store.check().await, Err(Error::Damaged(_))));
}

#[tokio::test]
async fn what_was_committed_before_a_crash_is_there_after_it() {
    let desk = Desk::new();
    let inbox = desk.inbox("a").await;
    desk.store.accept(vec![arrival(inbox, 1)]).await.unwrap();
    // The files as they are in the middle of things, as a crash would leave them.
    let copy = tempfile::tempdir().unwrap();
    for name in ["patchbay.db", "patchbay.db-wal"] {
        std::fs::copy(desk.dir.path().join(name), copy.path().join(name)).unwrap();
    }

    let store = Store::open(copy.path(), at(0)).unwrap();

    assert_eq!(store.event_count(&EventFilter::default()).await.unwrap().count, 1);
}

#[tokio::test]
async fn its_size_is_told() {
    let desk = Desk::new();
    let before = desk.store.size_bytes().await.unwrap();
    let mut large = arrival(desk.inbox("a").await, 1);
    large.event.body = vec![7; 1 << 20].into();

    desk.store.accept(vec![large]).await.unwrap();

    assert!(desk.store.size_bytes().await.unwrap() >= before + (1 << 20));
}

#[tokio::test]
async fn a_copy_is_one_moment_of_a_database_in_use() {
    let desk = Desk::new();
    let inbox = desk.inbox("a").await;
    let many = (0..3_000).map(|_| Arrival { key: None, event: event(inbox, "x", "{}") }).collect();
    desk.store.accept(many).await.unwrap();
    let (mut told, mut ends) = (Vec::new(), false);
    let path = desk.dir.path().to_owned();
    let (written, writing) = std::sync::mpsc::channel();
    let writer = {
        let store = desk.store.clone();
        tokio::spawn(async move {
            while written.send(()).is_ok() {
                store.accept(vec![Arrival { key: None, event: event(inbox, "y", "{}") }]).await?;
            }
            Ok::<_, Error>(())
        })
    };

    let made = tokio::task::spawn_blocking(move || {
        // Each word of progress waits until something was written beside it.
        let mut tell = |done, all| {
            let _ = writing.recv();
            told.push((done, all));
            ends = done == all;
        };
        let made = back_up(&path, None, at(0), &mut tell);
        drop(writing);
        (made, told, ends)
    });
    let (made, told, ends) = made.await.unwrap();
    let made = made.unwrap();
    writer.await.unwrap().unwrap();

    assert!(ends && !told.is_empty(), "{told:?}");
    assert_eq!(copies(desk.dir.path()), std::slice::from_ref(&made));
    let copy = rusqlite::Connection::open(&made).unwrap();
    super::super::file::check(&copy).unwrap();
    let events: i64 = copy.query_row("select count(*) from events", [], |row| row.get(0)).unwrap();
    assert!((3_000..desk.number("select count(*) from events")).contains(&events), "{events}");
    let again = back_up(desk.dir.path(), Some(&made), at(0), &mut |_, _| {});
    assert!(matches!(again, Err(Error::Taken(_))), "{again:?}");
}

#[tokio::test]
async fn a_database_is_examined_beside_its_owner_and_what_is_wrong_is_said() {
    let desk = Desk::new();
    let inbox = desk.inbox("a").await;
    let many = (0..3_000).map(|_| Arrival { key: None, event: event(inbox, "x", "{}") }).collect();
    desk.store.accept(many).await.unwrap();
    let whole = examine(desk.dir.path(), Duration::from_secs(60)).unwrap();
    assert!(whole.checked && whole.bytes > 0, "{whole:?}");
    assert!(!examine(desk.dir.path(), Duration::ZERO).unwrap().checked);

    desk.store.close().await.unwrap();
    let path = desk.dir.path().join("patchbay.db");
    let mut bytes = std::fs::read(&path).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle..middle + 8_192].fill(0xa5);
    std::fs::write(&path, &bytes).unwrap();

    let damaged = examine(desk.dir.path(), Duration::from_secs(60));
    assert!(matches!(damaged, Err(Error::Damaged(_))), "{damaged:?}");
    let copied = back_up(desk.dir.path(), None, at(0), &mut |_, _| {});
    assert!(matches!(copied, Err(Error::Damaged(_))), "{copied:?}");
    assert_eq!(copies(desk.dir.path()), Vec::<std::path::PathBuf>::new());
}
