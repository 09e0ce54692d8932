//! How a database is opened: guarded against a second daemon, readable by its owner only, brought up to this daemon's schema.

use crate::direct::Direct;
use crate::{edits, failed, wal};
use bulkhead_core::record::StoreError;
use libsqlite3_sys::{SQLITE_BUSY, SQLITE_CORRUPT, SQLITE_NOTADB, SQLITE_OK};
use sqlx::ConnectOptions;
use sqlx::migrate::{MigrateError, Migrator};
use sqlx::sqlite::{SqliteConnectOptions, SqliteConnection, SqliteJournalMode, SqliteSynchronous};
use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, Read, Seek, Write};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::time::Duration;

static MIGRATIONS: Migrator = sqlx::migrate!("../../migrations/sqlite");

/// `PRAGMA application_id` of our files, as the first migration sets it.
const APPLICATION_ID: i32 = 0x4275_6c6b;

/// How long a statement waits for another program that has the database locked. Nobody should: readers never block a WAL.
const BUSY_TIMEOUT: Duration = Duration::from_secs(5);

/// Keeps other daemons away for as long as it lives: an exclusive `flock(2)` on a file beside the database, which the kernel
/// gives up for us however we end. Not on the database itself: SQLite's own locks are taken and dropped with each transaction.
pub(crate) struct Lock(#[expect(dead_code, reason = "held, not read")] File);

impl Lock {
    pub(crate) fn take(database: &Path) -> Result<Self, StoreError> {
        let path = beside(database, ".lock");
        let open = OpenOptions::new().read(true).write(true).create(true).truncate(false).mode(0o600).open(&path);
        let mut file = open.map_err(|e| failed(format!("the lock file {} cannot be opened: {e}", path.display()), e))?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                let mut holder = String::new();
                let _ = file.read_to_string(&mut holder);
                let holder = holder.trim();
                let holder = if holder.is_empty() { String::new() } else { format!(" (process {holder})") };
                let what = format!(
                    "another bulkhead{holder} is using {}; stop it first, or give this one a database of its own",
                    database.display()
                );
                return Err(failed(what, io::Error::from(io::ErrorKind::WouldBlock)));
            }
            Err(TryLockError::Error(e)) => return Err(failed(format!("{} cannot be locked: {e}", path.display()), e)),
        }
        // For the message above only: the lock is the kernel's, not the number.
        let note = file.set_len(0).and_then(|()| file.rewind()).and_then(|()| writeln!(file, "{}", std::process::id()));
        note.map_err(|e| failed(format!("the lock file {} cannot be written: {e}", path.display()), e))?;
        Ok(Self(file))
    }
}

fn beside(database: &Path, suffix: &str) -> PathBuf {
    let mut name = database.as_os_str().to_owned();
    name.push(suffix);
    name.into()
}

/// Makes the file if it is not there. Its mode is 0600 before SQLite sees it, and SQLite gives its WAL the same
/// (os_unix.c, `findCreateFileMode`).
pub(crate) fn private_file(path: &Path) -> Result<(), StoreError> {
    let cannot = |what: &str, e: io::Error| failed(format!("the database {} cannot be {what}: {e}", path.display()), e);
    match OpenOptions::new().write(true).create_new(true).mode(0o600).open(path) {
        Ok(_) => {
            // A new name is durable only once its directory is.
            let folder = path.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."));
            File::open(folder).and_then(|f| f.sync_all()).map_err(|e| cannot("made", e))
        }
        Err(e) if e.kind() == io::ErrorKind::AlreadyExists => {
            let meta = fs::metadata(path).map_err(|e| cannot("read", e))?;
            if !meta.is_file() {
                return Err(cannot("opened", io::Error::other("not a regular file")));
            }
            if meta.permissions().mode() & 0o077 != 0 {
                tracing::warn!(path = %path.display(), "the database was open to others; its mode is 0600 now");
                for file in ["", "-wal", "-shm"].map(|suffix| beside(path, suffix)).iter().filter(|f| f.exists()) {
                    fs::set_permissions(file, fs::Permissions::from_mode(0o600)).map_err(|e| cannot("made private", e))?;
                }
            }
            Ok(())
        }
        Err(e) => Err(cannot("made", e)),
    }
}

/// The connection that writes and checkpoints, of a database that is up to date.
pub(crate) async fn writer(path: &Path) -> Result<Direct, StoreError> {
    let registered = wal::register();
    if registered != SQLITE_OK {
        return Err(failed("SQLite does not take our VFS", format!("result code {registered}")));
    }
    let options = SqliteConnectOptions::new()
        .filename(path)
        // Gathers writes to the WAL; right only with `synchronous=FULL`.
        .vfs(wal::NAME.to_string_lossy())
        .journal_mode(SqliteJournalMode::Wal)
        .synchronous(SqliteSynchronous::Full)
        .foreign_keys(true)
        .busy_timeout(BUSY_TIMEOUT)
        // Checkpoints are ours to run (`SqliteStore::checkpoint`): SQLite's own one swallows the errors of its fsync
        // (main.c, `sqlite3WalDefaultHook`), and comes in the middle of a commit that somebody waits for.
        .pragma("wal_autocheckpoint", "0")
        // KiB. Several times what 10,000 endpoints take: a commit should not read.
        .pragma("cache_size", "-32768")
        .pragma("temp_store", "memory")
        .thread_name(|_| "record".into())
        .disable_statement_logging();
    let mut conn = options.connect().await.map_err(|e| unreadable(path, e))?;
    guard(&mut conn, path).await?;
    durable(&mut conn, path).await?;
    MIGRATIONS.run(&mut conn).await.map_err(|e| not_migrated(path, e))?;
    Direct::take(conn, edits::STATEMENTS).await.map_err(|e| unreadable(path, e))
}

/// Options of a connection that only reads.
pub(crate) fn reader(path: &Path) -> SqliteConnectOptions {
    SqliteConnectOptions::new()
        .filename(path)
        .read_only(true)
        .busy_timeout(BUSY_TIMEOUT)
        .pragma("query_only", "on")
        .thread_name(|_| "record-reader".into())
        .disable_statement_logging()
}

/// Refuses, before anything is changed, a file that is another program's, or a newer daemon's.
async fn guard(conn: &mut SqliteConnection, path: &Path) -> Result<(), StoreError> {
    let tables: i64 =
        sqlx::query_scalar("SELECT count(*) FROM sqlite_schema").fetch_one(&mut *conn).await.map_err(|e| unreadable(path, e))?;
    if tables == 0 {
        return Ok(());
    }
    let id: i32 = sqlx::query_scalar("PRAGMA application_id").fetch_one(&mut *conn).await.map_err(|e| unreadable(path, e))?;
    if id != APPLICATION_ID {
        let what = format!("{} is a database of another program, not bulkhead's; nothing in it was changed", path.display());
        return Err(failed(what, format!("application_id is {id:#x}, not {APPLICATION_ID:#x}")));
    }
    Ok(())
}

/// Refuses to run without what the record's promises rest on. SQLite answers with the mode that it could get, not with an error:
/// a WAL needs memory that is shared through a file, which some network file systems do not have (https://sqlite.org/wal.html).
async fn durable(conn: &mut SqliteConnection, path: &Path) -> Result<(), StoreError> {
    let mode: String = sqlx::query_scalar("PRAGMA journal_mode").fetch_one(&mut *conn).await.map_err(|e| unreadable(path, e))?;
    let synchronous: i64 = sqlx::query_scalar("PRAGMA synchronous").fetch_one(&mut *conn).await.map_err(|e| unreadable(path, e))?;
    if (&*mode, synchronous) == ("wal", 2) {
        return Ok(());
    }
    let what = format!("{} is on a file system on which SQLite cannot keep a write-ahead log; use a local disk", path.display());
    Err(failed(what, format!("journal_mode is {mode}, synchronous is {synchronous}")))
}

fn not_migrated(path: &Path, e: MigrateError) -> StoreError {
    let known = MIGRATIONS.iter().map(|m| m.version).max().unwrap_or_default();
    let what = match &e {
        MigrateError::VersionMissing(v) if *v > known => format!(
            "{} was written by a newer bulkhead (its schema is {v}, this one knows up to {known}): start that version again, or \
             restore a backup from before the update",
            path.display()
        ),
        MigrateError::VersionMissing(v) | MigrateError::VersionMismatch(v) => {
            format!("{} was made with another form of schema {v} than this bulkhead has: it comes from a different build", path.display())
        }
        _ => format!("{} cannot be brought up to schema {known}: {e}", path.display()),
    };
    failed(what, e)
}

/// Why a database could not be opened.
pub(crate) fn unreadable(path: &Path, e: sqlx::Error) -> StoreError {
    let path = path.display();
    let what = match code(&e) {
        Some(SQLITE_NOTADB) => format!("{path} is not an SQLite database (or it is encrypted or damaged at its beginning)"),
        Some(SQLITE_CORRUPT) => format!("{path} is damaged: restore a backup"),
        Some(SQLITE_BUSY) => format!("{path} is locked by another program"),
        _ => format!("the database {path} cannot be opened: {e}"),
    };
    failed(what, e)
}

/// The primary result code of an error that SQLite reported (https://sqlite.org/rescode.html).
fn code(e: &sqlx::Error) -> Option<i32> {
    let extended: i32 = e.as_database_error()?.code()?.parse().ok()?;
    Some(extended & 0xff)
}
