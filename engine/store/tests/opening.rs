//! Which databases are opened, and what is said of those that are not.

#![allow(clippy::unwrap_used, reason = "a test: its helpers, too, may panic")]

mod sample;

use bulkhead_core::record::{Store, StoreError};
use bulkhead_store::SqliteStore;
use sqlx::sqlite::{SqliteConnectOptions, SqliteConnection};
use sqlx::{AssertSqlSafe, ConnectOptions, Connection};
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

fn refusal(path: &Path) -> String {
    match SqliteStore::open(path) {
        Ok(_) => panic!("{} was opened", path.display()),
        Err(e @ StoreError { .. }) => e.to_string(),
    }
}

async fn shell(path: &Path) -> SqliteConnection {
    SqliteConnectOptions::new().filename(path).create_if_missing(true).connect().await.unwrap()
}

async fn run(path: &Path, sql: &'static str) {
    let mut conn = shell(path).await;
    sqlx::raw_sql(AssertSqlSafe(sql)).execute(&mut conn).await.unwrap();
    conn.close().await.unwrap();
}

fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().permissions().mode() & 0o777
}

#[test]
fn a_second_daemon_is_refused_and_told_by_whom() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("record.db");
    let first = SqliteStore::open(&path).unwrap();
    let text = refusal(&path);
    assert!(text.contains(&format!("another bulkhead (process {})", std::process::id())), "{text}");
    drop(first);
    SqliteStore::open(&path).unwrap();
}

#[test]
fn only_its_owner_can_read_it() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("record.db");
    let mut store = SqliteStore::open(&path).unwrap();
    store.write(&sample::ground()).unwrap();
    let files = ["record.db", "record.db-wal", "record.db-shm", "record.db.lock"].map(|f| dir.path().join(f));
    assert!(files.iter().all(|f| mode(f) == 0o600), "{:?}", files.each_ref().map(|f| mode(f)));
    drop(store);
    fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
    SqliteStore::open(&path).unwrap();
    assert_eq!(mode(&path), 0o600);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_newer_daemons_database_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("record.db");
    drop(SqliteStore::open(&path).unwrap());
    run(
        &path,
        "INSERT INTO _sqlx_migrations (version, description, success, checksum, execution_time) VALUES (9999, 'later', true, x'00', 0)",
    )
    .await;
    let text = refusal(&path);
    assert!(text.contains("written by a newer bulkhead") && text.contains("9999"), "{text}");
}

#[tokio::test(flavor = "multi_thread")]
async fn another_programs_database_is_refused_and_left_alone() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("places.sqlite");
    run(&path, "CREATE TABLE bookmarks (url TEXT)").await;
    let text = refusal(&path);
    assert!(text.contains("another program"), "{text}");
    let tables: i64 = sqlx::query_scalar("SELECT count(*) FROM sqlite_schema").fetch_one(&mut shell(&path).await).await.unwrap();
    assert_eq!(tables, 1);
}

#[test]
fn what_is_no_database_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let garbage = dir.path().join("garbage.db");
    fs::write(&garbage, [b'x'; 9000]).unwrap();
    assert!(refusal(&garbage).contains("is not an SQLite database"), "{}", refusal(&garbage));
    assert_eq!(fs::read(&garbage).unwrap(), [b'x'; 9000]);
    let folder = dir.path().join("folder");
    fs::create_dir(&folder).unwrap();
    assert!(refusal(&folder).contains("not a regular file"), "{}", refusal(&folder));
    let nowhere = dir.path().join("no/such/folder/record.db");
    assert!(refusal(&nowhere).contains("No such file or directory"), "{}", refusal(&nowhere));
}

/// Pages that were overwritten are noticed when they are read, and nothing of them is taken for the record.
#[test]
fn a_damaged_database_is_not_read_as_something_else() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("record.db");
    let mut store = SqliteStore::open(&path).unwrap();
    store.write(&sample::ground()).unwrap();
    store.write(&sample::together((0..50).flat_map(|n| [sample::attach(n), sample::attached(n)]))).unwrap();
    drop(store);
    let whole = fs::read(&path).unwrap();
    assert!(whole.len() > 200_000, "closing copies the WAL");
    let mut damaged = whole.clone();
    damaged[60_000..190_000].fill(0xa5);
    fs::write(&path, &damaged).unwrap();
    let text = match SqliteStore::open(&path) {
        Ok(mut store) => store.load().unwrap_err().to_string(),
        Err(e) => e.to_string(),
    };
    assert!(text.contains("malformed") || text.contains("damaged"), "{text}");
    // Cut off.
    fs::write(&path, &whole[..whole.len() / 2]).unwrap();
    let text = match SqliteStore::open(&path) {
        Ok(mut store) => store.load().unwrap_err().to_string(),
        Err(e) => e.to_string(),
    };
    assert!(text.contains("malformed") || text.contains("damaged"), "{text}");
}

/// Somebody wrote past the daemon: an address row without its endpoint's word for it.
#[tokio::test(flavor = "multi_thread")]
async fn a_record_that_contradicts_itself_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("record.db");
    let mut store = SqliteStore::open(&path).unwrap();
    store.write(&sample::ground()).unwrap();
    store.write(&sample::attach(0)).unwrap();
    drop(store);
    run(&path, "UPDATE address SET address = '10.0.0.99'").await;
    let text = SqliteStore::open(&path).unwrap().load().unwrap_err().to_string();
    assert!(text.contains("contradicts itself"), "{text}");
    run(&path, "UPDATE address SET address = '10.0.0.16'; UPDATE endpoint SET spec = replace(spec, '\"id\"', '\"idd\"')").await;
    let text = SqliteStore::open(&path).unwrap().load().unwrap_err().to_string();
    assert!(text.contains("on record makes no sense to this version"), "{text}");
}
