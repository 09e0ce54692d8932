//! What an attach's commit costs, beside a bare one: `cargo run --release -p bulkhead-store --example commit_cost [FOLDER [ROUNDS]]`
//!
//! The floor is one row of two columns in one table, by SQLite's C interface on the calling thread, under the same pragmas and on
//! the same disk. Turns and floor alternate, so that a disk that becomes slower becomes so for both. FOLDER must be on a real
//! disk: on tmpfs an fsync costs nothing.

#![allow(clippy::unwrap_used, reason = "a benchmark ends at the first error")]

#[path = "../tests/sample/mod.rs"]
mod sample;

use bulkhead_core::record::Store;
use bulkhead_store::SqliteStore;
use libsqlite3_sys as ffi;
use std::ffi::CString;
use std::path::Path;
use std::ptr;
use std::time::{Duration, Instant};

/// The floor.
struct Bare {
    db: *mut ffi::sqlite3,
    insert: *mut ffi::sqlite3_stmt,
}

impl Bare {
    fn open(path: &Path) -> Self {
        let path = CString::new(path.to_str().unwrap()).unwrap();
        let mut bare = Self { db: ptr::null_mut(), insert: ptr::null_mut() };
        // SAFETY: the path is a C string that outlives the call; the handle is used on this thread only.
        assert_eq!(unsafe { ffi::sqlite3_open(path.as_ptr(), &mut bare.db) }, ffi::SQLITE_OK);
        for sql in [
            c"PRAGMA journal_mode = wal",
            c"PRAGMA synchronous = full",
            c"PRAGMA wal_autocheckpoint = 0",
            c"CREATE TABLE bare (id INTEGER NOT NULL PRIMARY KEY, text TEXT NOT NULL) STRICT",
        ] {
            // SAFETY: an open handle and a C string.
            let result = unsafe { ffi::sqlite3_exec(bare.db, sql.as_ptr(), None, ptr::null_mut(), ptr::null_mut()) };
            assert_eq!(result, ffi::SQLITE_OK, "{sql:?}");
        }
        let sql = c"INSERT INTO bare VALUES (?, 'a row')";
        // SAFETY: an open handle and a C string, whose length SQLite finds itself (-1).
        let result = unsafe { ffi::sqlite3_prepare_v2(bare.db, sql.as_ptr(), -1, &mut bare.insert, ptr::null_mut()) };
        assert_eq!(result, ffi::SQLITE_OK);
        bare
    }

    fn commit(&mut self, n: u64) {
        // SAFETY: a prepared statement that nobody else uses.
        unsafe {
            assert_eq!(ffi::sqlite3_bind_int64(self.insert, 1, n as i64), ffi::SQLITE_OK);
            assert_eq!(ffi::sqlite3_step(self.insert), ffi::SQLITE_DONE);
            assert_eq!(ffi::sqlite3_reset(self.insert), ffi::SQLITE_OK);
        }
    }

    fn checkpoint(&mut self) {
        // SAFETY: an open handle; null stands for the main database, and for results that are not wanted.
        let result = unsafe {
            ffi::sqlite3_wal_checkpoint_v2(self.db, ptr::null(), ffi::SQLITE_CHECKPOINT_PASSIVE, ptr::null_mut(), ptr::null_mut())
        };
        assert_eq!(result, ffi::SQLITE_OK);
    }
}

impl Drop for Bare {
    fn drop(&mut self) {
        // SAFETY: neither is used afterwards.
        unsafe {
            ffi::sqlite3_finalize(self.insert);
            ffi::sqlite3_close(self.db);
        }
    }
}

#[derive(Default)]
struct Times(Vec<Duration>);

impl Times {
    fn of(&mut self, run: impl FnOnce()) {
        let start = Instant::now();
        run();
        self.0.push(start.elapsed());
    }
    fn at(&mut self, share: f64) -> f64 {
        self.0.sort();
        self.0[((self.0.len() - 1) as f64 * share) as usize].as_secs_f64() * 1e6
    }
}

fn main() {
    let mut args = std::env::args().skip(1);
    let folder = args.next().map_or_else(std::env::temp_dir, Into::into);
    let rounds: u64 = args.next().map_or(2_000, |n| n.parse().unwrap());
    let dir = tempfile::tempdir_in(folder).unwrap();
    let path = dir.path().join("record.db");
    let mut bare = Bare::open(&dir.path().join("bare.db"));
    let mut bare_n = 0;
    let mut next = 0;
    println!("µs                     p50       p99    ratios to bare (p50, p99)");
    for on_record in [0, 1_000, 10_000] {
        let mut store = SqliteStore::open(&path).unwrap();
        if next == 0 {
            store.write(&sample::ground()).unwrap();
        }
        while next < on_record {
            let until = (next + 100).min(on_record);
            store.write(&sample::together((next..until).flat_map(|n| [sample::attach(n), sample::attached(n)]))).unwrap();
            next = until;
        }
        let (mut floor, mut attach, mut settle, mut idle) = (Times::default(), Times::default(), Times::default(), Times::default());
        for round in 0..rounds {
            let (first, second) = (sample::attach(next), sample::attached(next));
            floor.of(|| bare.commit(bare_n));
            attach.of(|| store.write(&first).unwrap());
            settle.of(|| store.write(&second).unwrap());
            next += 1;
            bare_n += 1;
            idle.of(|| store.idle());
            if round % 512 == 511 {
                bare.checkpoint();
            }
        }
        let (p50, p99) = (floor.at(0.5), floor.at(0.99));
        println!("{on_record:>6} bare       {p50:9.0} {p99:9.0}");
        for (what, times) in [("attach", &mut attach), ("settle", &mut settle)] {
            let (a, b) = (times.at(0.5), times.at(0.99));
            println!("{on_record:>6} {what:<10} {a:9.0} {b:9.0}    {:.2} {:.2}", a / p50, b / p99);
        }
        println!("{on_record:>6} idle, worst {:8.0}", idle.at(1.0));
        let records = next;
        drop(store);
        let start = Instant::now();
        let mut store = SqliteStore::open(&path).unwrap();
        let opened = start.elapsed();
        let loaded = store.load().unwrap();
        println!("{records:>6} on record: opened in {opened:.1?}, read in {:.1?}", start.elapsed() - opened);
        assert_eq!(loaded.endpoints.len() as u64, records);
    }
}
