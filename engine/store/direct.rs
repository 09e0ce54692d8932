//! The writing connection, run on the writer's own thread.
//!
//! sqlx opens the database, migrates it and reads it. But its driver runs every statement on a thread of its own, and a turn
//! handed there and back costs two thread switches and a dozen futex calls: 60 µs natively, and under user-mode Linux about
//! as much as the fsync itself. So the writer takes the connection's lock (`SqliteConnection::lock_handle`, which parks the
//! driver's thread for as long as it is held) and steps its prepared statements itself, through the C interface.
//!
//! What the `unsafe` code here relies on:
//! - the handle is used by one thread at a time: the driver's thread waits for the lock that we hold, and every method takes
//!   `&mut self`. That is what SQLite asks for (https://sqlite.org/threadsafe.html, "multi-thread");
//! - statements are finalized before the connection closes (`Drop`);
//! - what is bound outlives the step, and is unbound after it (`Direct::run`).

use libsqlite3_sys as ffi;
use sqlx::sqlite::{LockedSqliteHandle, SqliteConnection};
use sqlx::{Connection, Error};
use std::ffi::{CStr, c_int};
use std::ptr::{self, NonNull};

/// What SQLite said.
#[derive(Debug, thiserror::Error)]
#[error("SQLite: {text} (result code {code})")]
pub(crate) struct SqliteError {
    /// Extended result code (https://sqlite.org/rescode.html).
    code: c_int,
    text: String,
}

impl SqliteError {
    /// The primary result code.
    pub(crate) fn primary(&self) -> i32 {
        self.code & 0xff
    }
}

/// What is bound to a parameter.
#[derive(Clone, Copy)]
pub(crate) enum Value<'a> {
    /// NULL.
    Null,
    /// A number.
    Int(i64),
    /// Text.
    Text(&'a str),
    /// Bytes.
    Blob(&'a [u8]),
}

impl<'a, T: ?Sized> From<Option<&'a T>> for Value<'a>
where
    &'a T: Into<Value<'a>>,
{
    fn from(value: Option<&'a T>) -> Self {
        value.map_or(Self::Null, Into::into)
    }
}
impl<'a> From<&'a str> for Value<'a> {
    fn from(text: &'a str) -> Self {
        Self::Text(text)
    }
}
impl<'a> From<&'a String> for Value<'a> {
    fn from(text: &'a String) -> Self {
        Self::Text(text)
    }
}

/// The writing connection with its prepared statements.
pub(crate) struct Direct {
    statements: Vec<NonNull<ffi::sqlite3_stmt>>,
    // `Some` until dropped, and dropped before what it borrows from: `conn`.
    guard: Option<LockedSqliteHandle<'static>>,
    conn: NonNull<SqliteConnection>,
}

// SAFETY: sqlx's connection and SQLite's handles may move between threads as long as one uses them at a time; nothing here is
// tied to the thread that made it.
unsafe impl Send for Direct {}

impl Direct {
    /// Takes the connection over and prepares `statements`; [`Direct::run`] names them by their place.
    pub(crate) async fn take(conn: SqliteConnection, statements: &[&str]) -> Result<Self, Error> {
        let conn = NonNull::from(Box::leak(Box::new(conn)));
        // SAFETY: just made, and nobody else has it. `drop` takes it back after the guard is gone.
        let guard = match unsafe { &mut *conn.as_ptr() }.lock_handle().await {
            Ok(guard) => guard,
            Err(e) => {
                // SAFETY: the borrow above ended with the error.
                drop(unsafe { Box::from_raw(conn.as_ptr()) });
                return Err(e);
            }
        };
        let mut direct = Self { statements: Vec::with_capacity(statements.len()), guard: Some(guard), conn };
        for sql in statements {
            let statement = direct.prepare(sql).map_err(|e| Error::Protocol(format!("{e}, in: {sql}")))?;
            direct.statements.push(statement);
        }
        Ok(direct)
    }

    fn handle(&mut self) -> *mut ffi::sqlite3 {
        self.guard.as_mut().expect("held until dropped").as_raw_handle().as_ptr()
    }

    fn prepare(&mut self, sql: &str) -> Result<NonNull<ffi::sqlite3_stmt>, SqliteError> {
        let db = self.handle();
        let len = c_int::try_from(sql.len()).expect("our statements are short");
        let mut statement = ptr::null_mut();
        // SAFETY: an open handle; text with its length; a place for the result; the tail is not wanted.
        let result = unsafe {
            ffi::sqlite3_prepare_v3(db, sql.as_ptr().cast(), len, ffi::SQLITE_PREPARE_PERSISTENT as _, &mut statement, ptr::null_mut())
        };
        NonNull::new(statement).filter(|_| result == ffi::SQLITE_OK).ok_or_else(|| self.error(result))
    }

    /// Runs a statement that returns no rows to its end. `values` are its parameters `?1`, `?2`, …; it may use fewer.
    pub(crate) fn run(&mut self, statement: usize, values: &[Value<'_>]) -> Result<(), SqliteError> {
        self.number(statement, values).map(|_| ())
    }

    /// Runs a statement up to its first row, and takes the number that this begins with; `None` where there is no row.
    pub(crate) fn number(&mut self, statement: usize, values: &[Value<'_>]) -> Result<Option<i64>, SqliteError> {
        let statement = self.statements[statement].as_ptr();
        // SAFETY: ours, and not finalized before `drop`.
        let wanted = unsafe { ffi::sqlite3_bind_parameter_count(statement) };
        let mut result = ffi::SQLITE_OK;
        for (at, value) in (1..=wanted).zip(values) {
            // SAFETY: as above; texts and blobs come with their length, and live until the bindings are cleared below: no
            // destructor means that SQLite neither copies nor frees them (SQLITE_STATIC).
            result = unsafe {
                match value {
                    Value::Null => ffi::sqlite3_bind_null(statement, at),
                    Value::Int(n) => ffi::sqlite3_bind_int64(statement, at, *n),
                    Value::Text(text) => {
                        ffi::sqlite3_bind_text64(statement, at, text.as_ptr().cast(), text.len() as u64, None, ffi::SQLITE_UTF8 as u8)
                    }
                    Value::Blob(bytes) => ffi::sqlite3_bind_blob64(statement, at, bytes.as_ptr().cast(), bytes.len() as u64, None),
                }
            };
            if result != ffi::SQLITE_OK {
                break;
            }
        }
        if result == ffi::SQLITE_OK {
            // SAFETY: as above.
            result = unsafe { ffi::sqlite3_step(statement) };
        }
        let number = match result {
            // SAFETY: as above; the statement is at a row, and a row has a first column. What is no number is read as one.
            ffi::SQLITE_ROW => Ok(Some(unsafe { ffi::sqlite3_column_int64(statement, 0) })),
            ffi::SQLITE_DONE => Ok(None),
            // Before `reset`, which may replace the message.
            _ => Err(self.error(result)),
        };
        // SAFETY: as above. What `reset` returns is the error of the step again.
        unsafe {
            ffi::sqlite3_reset(statement);
            ffi::sqlite3_clear_bindings(statement);
        }
        number
    }

    /// Whether no transaction is open.
    pub(crate) fn is_outside_transaction(&mut self) -> bool {
        let db = self.handle();
        // SAFETY: an open handle.
        unsafe { ffi::sqlite3_get_autocommit(db) != 0 }
    }

    /// Copies what the WAL holds into the database, as far as no reader needs it, and waits for nobody
    /// (https://sqlite.org/c3ref/wal_checkpoint_v2.html). How many pages are left in it.
    pub(crate) fn checkpoint(&mut self) -> Result<u64, SqliteError> {
        let db = self.handle();
        let (mut all, mut copied) = (0, 0);
        // SAFETY: an open handle; null means the main database; two places for the results.
        let result = unsafe { ffi::sqlite3_wal_checkpoint_v2(db, c"main".as_ptr(), ffi::SQLITE_CHECKPOINT_PASSIVE, &mut all, &mut copied) };
        match result {
            ffi::SQLITE_OK => Ok(u64::try_from(all.saturating_sub(copied)).unwrap_or_default()),
            _ => Err(self.error(result)),
        }
    }

    fn error(&mut self, result: c_int) -> SqliteError {
        let db = self.handle();
        // SAFETY: an open handle; the message is a C string that stays until the next call, and is copied before.
        let (code, text) = unsafe { (ffi::sqlite3_extended_errcode(db), CStr::from_ptr(ffi::sqlite3_errmsg(db))) };
        // A misuse is returned without being noted at the handle.
        let code = if code & 0xff == result & 0xff { code } else { result };
        SqliteError { code, text: text.to_string_lossy().into_owned() }
    }

    /// Closes the connection: copies the WAL into the database and removes it, unless a reader is there.
    pub(crate) async fn close(mut self) -> Result<(), Error> {
        self.release();
        // SAFETY: from `Box::leak`; the guard that borrowed it is gone, and `drop` does not run any more.
        let conn = unsafe { Box::from_raw(self.conn.as_ptr()) };
        std::mem::forget(self);
        conn.close().await
    }

    fn release(&mut self) {
        for statement in std::mem::take(&mut self.statements) {
            // SAFETY: ours, finalized once. The result repeats an error that was reported.
            unsafe { ffi::sqlite3_finalize(statement.as_ptr()) };
        }
        self.guard = None;
    }
}

impl Drop for Direct {
    fn drop(&mut self) {
        self.release();
        // SAFETY: from `Box::leak`, and the guard that borrowed it is gone.
        drop(unsafe { Box::from_raw(self.conn.as_ptr()) });
    }
}
