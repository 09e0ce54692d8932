//! How a turn is committed: one transaction, one fsync, on the thread that asks for it.

use crate::direct::{Direct, SqliteError};
use crate::edits::{self, Trouble};
use crate::open::{self, Lock};
use crate::wait::block_on;
use crate::{failed, load};
use bulkhead_core::ids::BootId;
use bulkhead_core::record::{Batch, Edit, Loaded, Store, StoreError};
use libsqlite3_sys::{SQLITE_BUSY, SQLITE_CONSTRAINT, SQLITE_FULL, SQLITE_IOERR};
use std::fmt::Display;
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
    // `None` only while it is dropped.
    db: Option<Direct>,
    /// Boot that is on record; written again only when it changes.
    boot: Option<BootId>,
    /// Records that are archived may still be here: looked at when nobody waits.
    prunable: bool,
    /// Pages in the WAL that are not in the database yet, roughly.
    pages: u64,
    // The last field: given up when the connection is closed.
    _lock: Lock,
}

impl SqliteStore {
    /// Opens the database, makes it if it is not there, and brings its schema up to date. Refused with a clear text: a database
    /// that another daemon uses, another program's, a newer daemon's, a damaged one.
    pub fn open(path: &Path) -> Result<Self, StoreError> {
        let lock = Lock::take(path)?;
        open::private_file(path)?;
        let db = block_on(open::writer(path))?;
        Ok(Self { path: path.to_owned(), db: Some(db), boot: None, prunable: true, pages: 0, _lock: lock })
    }

    /// The hash of the API's token, if one was ever set.
    pub fn token_hash(&mut self) -> Result<Option<Vec<u8>>, StoreError> {
        block_on(load::token(&self.path))
    }

    /// Sets the hash of the API's token, durably; the one before is forgotten.
    pub fn set_token_hash(&mut self, hash: &[u8]) -> Result<(), StoreError> {
        edits::write_token(self.db(), hash).map_err(|trouble| self.refused(trouble))
    }

    fn db(&mut self) -> &mut Direct {
        self.db.as_mut().expect("only drop takes it")
    }

    /// What the trouble with a turn means. Returns only if nothing was written for certain.
    fn refused(&self, trouble: Trouble) -> StoreError {
        let path = self.path.display();
        let e = match trouble {
            Trouble::Rows(e) => return e,
            Trouble::Stuck(e) => self.end(&e),
            Trouble::Sql(e) => e,
        };
        match e.primary() {
            SQLITE_IOERR => self.end(&e),
            // SQLite ran out of space before it wrote the commit's mark, and no fsync has failed (space that is missed only by an
            // fsync is an IOERR): the turn is rolled back for certain, and the daemon can go on reading and refusing changes.
            SQLITE_FULL => failed(format!("nothing was changed: no space is left for the database {path}"), e),
            SQLITE_BUSY => failed(format!("nothing was changed: another program has locked the database {path}"), e),
            SQLITE_CONSTRAINT => failed(format!("nothing was changed: the change contradicts the record ({e})"), e),
            _ => failed(format!("nothing was changed: the database {path} refused it ({e})"), e),
        }
    }

    fn end(&self, e: &dyn Display) -> ! {
        let path = self.path.display();
        tracing::error!(%path, error = %e, "what of the database is on disk is no longer certain; ending at once");
        // Whatever collects the log above may be buffered; this is not.
        eprintln!("bulkhead: {path}: {e}: what of the database is on disk is no longer certain; ending at once");
        std::process::abort()
    }

    /// Copies what the WAL holds into the database. SQLite would do it by itself in the middle of a commit, and swallow the
    /// errors of its fsync (main.c, `sqlite3WalDefaultHook`).
    fn checkpoint(&mut self) {
        let result: Result<u64, SqliteError> = self.db().checkpoint();
        match result {
            // What a reader still needs is left for the next time, not for the next turn.
            Ok(left) => self.pages = left.min(PAGES_IDLE / 2),
            Err(e) if e.primary() == SQLITE_IOERR => self.end(&e),
            Err(e) => {
                self.pages = 0;
                tracing::warn!(path = %self.path.display(), error = %e, "the WAL could not be copied into the database yet");
            }
        }
    }
}

impl Store for SqliteStore {
    fn write(&mut self, batch: &Batch) -> Result<(), StoreError> {
        if batch.is_empty() {
            return Ok(());
        }
        if self.pages >= PAGES_MAX {
            self.checkpoint();
        }
        let boot = batch.boot.filter(|boot| self.boot != Some(*boot));
        edits::write(self.db(), batch, boot).map_err(|trouble| self.refused(trouble))?;
        self.boot = batch.boot.or(self.boot);
        self.prunable |= batch.edits.iter().any(|e| matches!(e, Edit::Archive(_)));
        let rows = batch.edits.len() + batch.decisions.len() + batch.settlements.len() + batch.events.len();
        // A row dirties its page and often one of an index.
        self.pages += 2 * rows as u64;
        Ok(())
    }

    fn load(&mut self) -> Result<Loaded, StoreError> {
        block_on(load::load(&self.path))
    }

    fn idle(&mut self) {
        if self.prunable {
            // Some at a time: a request may come at any moment.
            match edits::prune(self.db()).map_err(|trouble| self.refused(trouble)) {
                Ok(more) => {
                    self.prunable = more;
                    self.pages += if more { 512 } else { 0 };
                }
                Err(error) => {
                    self.prunable = false;
                    tracing::warn!(%error, "archived records could not be deleted yet");
                }
            }
        }
        if self.pages >= PAGES_IDLE {
            self.checkpoint();
        }
    }
}

impl Drop for SqliteStore {
    fn drop(&mut self) {
        if let Some(db) = self.db.take()
            && let Err(e) = block_on(db.close())
        {
            // The next open copies the WAL.
            tracing::warn!(path = %self.path.display(), error = %e, "the database was not closed cleanly");
        }
    }
}
