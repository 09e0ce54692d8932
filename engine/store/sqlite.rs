//! How a turn is committed: one statement, one transaction, one fsync.

use crate::load;
use crate::open::{self, BUSY, CONSTRAINT, FULL, IOERR, Lock};
use crate::wait::block_on;
use crate::{edits, failed};
use bulkhead_core::ids::BootId;
use bulkhead_core::record::{Batch, Loaded, Store, StoreError};
use sqlx::sqlite::{SqliteArguments, SqliteConnection};
use sqlx::{Connection, Executor, SqlStr};
use std::path::{Path, PathBuf};

/// Pages in the WAL from which an idle turn copies them into the database. Copying takes a few milliseconds, and the next
/// request may come at any moment: so not too often (16 MiB; less than one commit in two hundred).
const PAGES_IDLE: u64 = 4_096;

/// Pages in the WAL from which a commit waits for that copy, as there was no idle turn: 64 MiB.
const PAGES_MAX: u64 = 16_384;

/// The durable record in an SQLite database: WAL, `synchronous=FULL`, one connection that writes and checkpoints.
///
/// An I/O error of a commit or a checkpoint ends the process (`abort`): after a failed fsync the kernel may have dropped the
/// dirty pages and report success at the next try, so what is on disk is unknown until the file is read again
/// (https://lwn.net/Articles/752063/; Rebello et al., "Can Applications Recover from fsync Failures?", USENIX ATC 2020).
pub struct SqliteStore {
    path: PathBuf,
    // Taken in `drop` only.
    conn: Option<SqliteConnection>,
    /// Boot that is on record.
    boot: Option<BootId>,
    /// Pages in the WAL since the last checkpoint, roughly: a row dirties about one.
    pages: u64,
    // Last, so that it is given up when the connection is closed.
    _lock: Lock,
}

impl SqliteStore {
    /// Opens the database, makes it if it is not there, and brings its schema up to date. Refused with a clear text: a database
    /// that another daemon uses, another program's, a newer daemon's, a damaged one.
    pub fn open(path: &Path) -> Result<Self, StoreError> {
        let lock = Lock::take(path)?;
        open::private_file(path)?;
        let mut conn = block_on(open::writer(path))?;
        let boot = block_on(load::boot(&mut conn)).map_err(|e| open::unreadable(path, e))?;
        // Whatever a previous run left in the WAL counts as nothing: the first checkpoint sees it all.
        Ok(Self { path: path.to_owned(), conn: Some(conn), boot: boot.as_deref().and_then(|b| b.parse().ok()), pages: 0, _lock: lock })
    }

    /// The hash of the API's token, if one was ever set.
    pub fn token_hash(&mut self) -> Result<Option<Vec<u8>>, StoreError> {
        let read = block_on(sqlx::query_scalar("SELECT hash FROM token").fetch_optional(self.conn()));
        read.map_err(|e| failed("the token's hash cannot be read", e))
    }

    /// Sets the hash of the API's token, durably; the one before is forgotten.
    pub fn set_token_hash(&mut self, hash: &[u8]) -> Result<(), StoreError> {
        self.run(vec![edits::token(hash)?])
    }

    fn conn(&mut self) -> &mut SqliteConnection {
        self.conn.as_mut().expect("only drop takes it")
    }

    /// Runs the statements of one turn, all or nothing.
    fn run(&mut self, mut statements: Vec<(SqlStr, SqliteArguments)>) -> Result<(), StoreError> {
        let conn = self.conn.as_mut().expect("only drop takes it");
        let result = if statements.len() == 1 {
            let (sql, arguments) = statements.remove(0);
            block_on(sqlx::query_with(sql, arguments).execute(conn)).map(drop)
        } else {
            block_on(async {
                conn.execute("BEGIN IMMEDIATE").await?;
                let all = async {
                    for (sql, arguments) in statements {
                        sqlx::query_with(sql, arguments).execute(&mut *conn).await?;
                    }
                    conn.execute("COMMIT").await
                };
                match all.await {
                    Ok(_) => Ok(()),
                    Err(e) => {
                        // Fails where SQLite has rolled back by itself, which is as good; a transaction that stays open
                        // would be seen by the next BEGIN, which fails then.
                        let _ = conn.execute("ROLLBACK").await;
                        Err(e)
                    }
                }
            })
        };
        result.map_err(|e| self.refused(e))
    }

    /// What an error of a commit means. Returns only if nothing was written for certain.
    fn refused(&self, e: sqlx::Error) -> StoreError {
        let path = self.path.display();
        match open::code(&e) {
            // SQLite ran out of space before it wrote the commit's mark, and no fsync has failed (delayed ENOSPC of an fsync is
            // an IOERR): the turn is rolled back for certain, and the daemon can go on answering reads and refusing changes.
            Some(FULL) => failed(format!("nothing was changed: no space is left for the database {path}"), e),
            Some(BUSY) => failed(format!("nothing was changed: another program has locked the database {path}"), e),
            Some(CONSTRAINT) => failed(format!("nothing was changed: the change contradicts the record ({e})"), e),
            // Not from SQLite: its thread is gone. Or an I/O error.
            None | Some(IOERR) => self.end(&e),
            Some(_) => failed(format!("nothing was changed: the database {path} refused it ({e})"), e),
        }
    }

    fn end(&self, e: &sqlx::Error) -> ! {
        let path = self.path.display();
        tracing::error!(%path, error = %e, "the database can no longer be trusted to be on disk; ending at once");
        // Whatever collects the log above may be buffered; this is not.
        eprintln!("bulkhead: {path}: {e}: the database can no longer be trusted to be on disk; ending at once");
        std::process::abort()
    }

    /// Copies what the WAL holds into the database, as far as no reader needs it. Passive: waits for nobody.
    fn checkpoint(&mut self) {
        let conn = self.conn.as_mut().expect("only drop takes it");
        match block_on(conn.execute("PRAGMA wal_checkpoint(PASSIVE)")) {
            Ok(_) => self.pages = 0,
            Err(e) if matches!(open::code(&e), None | Some(IOERR)) => self.end(&e),
            Err(e) => tracing::warn!(path = %self.path.display(), error = %e, "the WAL could not be copied into the database yet"),
        }
    }
}

impl Store for SqliteStore {
    fn write(&mut self, batch: &Batch) -> Result<(), StoreError> {
        let boot = batch.boot.filter(|boot| self.boot != Some(*boot));
        let statements = edits::statements(batch, boot)?;
        if statements.is_empty() {
            return Ok(());
        }
        if self.pages >= PAGES_MAX {
            self.checkpoint();
        }
        let rows = batch.edits.len() + batch.decisions.len() + batch.settlements.len() + batch.events.len();
        self.run(statements)?;
        self.pages += rows as u64 + 2;
        self.boot = batch.boot.or(self.boot);
        Ok(())
    }

    fn load(&mut self) -> Result<Loaded, StoreError> {
        block_on(load::load(self.conn()))
    }

    fn idle(&mut self) {
        if self.pages >= PAGES_IDLE {
            self.checkpoint();
        }
    }
}

impl Drop for SqliteStore {
    fn drop(&mut self) {
        if let Some(conn) = self.conn.take() {
            // Copies the WAL into the database and removes it. If it cannot, the next open does.
            if let Err(e) = block_on(conn.close()) {
                tracing::warn!(path = %self.path.display(), error = %e, "the database was not closed cleanly");
            }
        }
    }
}
