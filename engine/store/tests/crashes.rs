//! The process dies: killed in the middle of turns, or by itself when the disk refuses.

#![allow(clippy::unwrap_used, reason = "a test: its helpers, too, may panic")]

mod sample;

use bulkhead_core::record::Store;
use bulkhead_store::SqliteStore;
use std::fs::{self, OpenOptions};
use std::io::Write;
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::{Child, Command};
use std::thread::sleep;
use std::time::Duration;

const CHILD: &str = "BULKHEAD_STORE_TEST_DIR";

/// Runs one test of this program again, in a process of its own.
fn child(test: &str, dir: &Path, shell: &str) -> Child {
    let program = std::env::current_exe().unwrap();
    Command::new("sh")
        .args(["-c", &format!("{shell} exec \"$0\" \"$@\"")])
        .arg(program)
        .args(["--exact", test, "--nocapture", "--test-threads=1"])
        .env(CHILD, dir)
        .spawn()
        .unwrap()
}

/// Attaches for ever from where the record ends, and notes each one that `write` has promised.
fn attach_for_ever(dir: &Path) -> ! {
    let mut store = SqliteStore::open(&dir.join("record.db")).unwrap();
    let mut promised = OpenOptions::new().append(true).create(true).open(dir.join("promised")).unwrap();
    let loaded = store.load().unwrap();
    if loaded.fresh {
        store.write(&sample::ground()).unwrap();
    }
    let mut n = loaded.last_decision;
    if !loaded.plans.is_empty() {
        store.write(&sample::attached(n - 1)).unwrap();
    }
    loop {
        if let Err(e) = store.write(&sample::attach(n)).and_then(|()| store.write(&sample::attached(n))) {
            // Only so that a test sees it: an I/O error must not come back.
            fs::write(dir.join("returned"), e.to_string()).unwrap();
            std::process::exit(3);
        }
        n += 1;
        promised.write_all(format!("{n}\n").as_bytes()).unwrap();
        store.idle();
    }
}

#[test]
fn killed_in_mid_write_leaves_whole_turns_and_all_that_were_promised() {
    if let Some(dir) = std::env::var_os(CHILD) {
        attach_for_ever(Path::new(&dir));
    }
    let dir = tempfile::tempdir().unwrap();
    let mut before = 0;
    for round in 0..8u64 {
        let mut child = child("killed_in_mid_write_leaves_whole_turns_and_all_that_were_promised", dir.path(), "");
        sleep(Duration::from_millis(150 + round * 37 % 90));
        child.kill().unwrap();
        assert_eq!(child.wait().unwrap().signal(), Some(9), "it wrote until it was killed");
        let promised = fs::read_to_string(dir.path().join("promised")).unwrap_or_default();
        let promised: u64 = promised.lines().last().map_or(0, |n| n.parse().unwrap());
        let loaded = SqliteStore::open(&dir.path().join("record.db")).unwrap().load().unwrap();
        let decided = loaded.last_decision;
        assert!(decided >= promised && decided <= promised + 1, "{decided} on record, {promised} promised");
        assert_eq!(loaded.endpoints.len() as u64, decided);
        // Each attach is two turns: the second closes the plan and tells of it.
        assert_eq!(loaded.last_event, 2 * decided - loaded.plans.len() as u64);
        before = before.max(decided);
    }
    assert!(before > 0, "something was written in eight rounds");
}

/// A write that the operating system refuses (here: a limit on the size of files, which gives EFBIG) may have left anything
/// behind: the process must not go on, let alone answer.
#[test]
fn an_error_of_the_disk_ends_the_process_at_once() {
    if let Some(dir) = std::env::var_os(CHILD) {
        attach_for_ever(Path::new(&dir));
    }
    let dir = tempfile::tempdir().unwrap();
    // Blocks of 512 bytes; without the signal that would end it in another way.
    let mut child = child("an_error_of_the_disk_ends_the_process_at_once", dir.path(), "trap '' XFSZ; ulimit -f 2000;");
    let status = child.wait().unwrap();
    let returned = fs::read_to_string(dir.path().join("returned"));
    assert_eq!(status.signal(), Some(6), "aborts; got {status}, {returned:?}");
    // What was promised is there.
    let promised = fs::read_to_string(dir.path().join("promised")).unwrap().lines().count() as u64;
    let decided = SqliteStore::open(&dir.path().join("record.db")).unwrap().load().unwrap().last_decision;
    assert!(promised > 0 && decided >= promised, "{decided} on record, {promised} promised");
}
