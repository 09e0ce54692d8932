//! What can be seen of the processes that check and compile, from outside: how many there are, and what they may do.

mod common;

use bulkhead_wasm::{Child, Limits, WasmJudge};
use common::judge_with;
use common::odd::{self, Odd};
use std::fs;
use std::path::PathBuf;
use std::sync::{Mutex, MutexGuard, PoisonError};

fn with_child(limits: Limits) -> WasmJudge {
    judge_with(limits).with_child(Child::of(env!("CARGO_BIN_EXE_policy-child"), &[]))
}

/// These tests look at all children of this process, so there is one of them at a time.
fn alone() -> MutexGuard<'static, ()> {
    static ALONE: Mutex<()> = Mutex::new(());
    ALONE.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Processes that this one has started as `policy-child`.
fn children() -> Vec<PathBuf> {
    let own = format!("PPid:\t{}\n", std::process::id());
    let all = fs::read_dir("/proc").expect("/proc").flatten().map(|e| e.path());
    let is_ours =
        |path: &PathBuf| fs::read_to_string(path.join("status")).is_ok_and(|s| s.contains(&own) && s.starts_with("Name:\tpolicy-child"));
    all.filter(is_ours).collect()
}

#[test]
fn a_hundred_uploads_at_once_are_worked_on_few_at_a_time() {
    let _alone = alone();
    let judge = with_child(Limits { admissions_at_once: 2, ..Limits::default() });
    let most = std::thread::scope(|scope| {
        let uploads: Vec<_> = (0..100)
            .map(|n| {
                let judge = &judge;
                let odd = Odd { more: format!("(global i32 (i32.const {n}))"), ..Odd::new() };
                scope.spawn(move || judge.admit(&odd.bytes()).map(|m| judge.unload(m.digest)))
            })
            .collect();
        let mut most = 0;
        while !uploads.iter().all(|u| u.is_finished()) {
            most = most.max(children().len());
            std::thread::yield_now();
        }
        uploads.into_iter().for_each(|u| u.join().expect("no panic").expect("admitted"));
        most
    });
    assert!((1..=2).contains(&most), "{most} at once");
}

#[test]
fn a_process_that_compiles_can_do_nothing_else_and_its_kill_is_a_refusal() {
    let _alone = alone();
    let judge = with_child(Limits::default());
    let bomb = odd::bomb(2200);
    let (status, network, files, refused) = std::thread::scope(|scope| {
        let upload = scope.spawn(|| judge.admit(&bomb).map(|m| m.digest).expect_err("killed").to_string());
        let seen = loop {
            assert!(!upload.is_finished(), "it ended before it was seen to be confined");
            let Some(child) = children().pop() else { continue };
            let (Ok(status), Ok(network)) = (fs::read_to_string(child.join("status")), fs::read_link(child.join("ns/net"))) else {
                continue;
            };
            // The signal that ends it with its parent is the last of what it asks for; a second thread comes with the work.
            if status.contains("Threads:\t1\n") {
                continue;
            }
            let files = fs::read_dir(child.join("fd")).expect("its files").flatten();
            let files: Vec<_> = files.filter_map(|f| fs::read_link(f.path()).ok()).collect();
            let pid = child.file_name().and_then(|n| n.to_str()).and_then(|n| n.parse().ok()).and_then(rustix::process::Pid::from_raw);
            rustix::process::kill_process(pid.expect("a process"), rustix::process::Signal::KILL).expect("killed");
            break (status, network, files);
        };
        (seen.0, seen.1, seen.2, upload.join().expect("no panic"))
    });
    assert_eq!(refused, "checking and compiling the module was killed, as the kernel does where the machine is short of memory");
    let line = |name: &str| status.lines().find_map(|l| l.strip_prefix(name)).unwrap_or_default().split_whitespace().collect::<Vec<_>>();
    assert_eq!(line("NoNewPrivs:"), ["1"]);
    for capabilities in ["CapInh:", "CapPrm:", "CapEff:", "CapAmb:"] {
        assert_eq!(line(capabilities), ["0000000000000000"], "{capabilities}");
    }
    if rustix::process::geteuid().is_root() {
        assert_eq!(line("Uid:"), ["65534"; 4]);
        assert_eq!(line("Gid:"), ["65534"; 4]);
        assert_eq!(line("Groups:"), [""; 0]);
        assert_eq!(line("CapBnd:"), ["0000000000000000"]);
        assert_ne!(network, fs::read_link("/proc/self/ns/net").expect("ours"));
    }
    let known = |file: &PathBuf| ["pipe:", "/memfd:"].iter().any(|kind| file.to_string_lossy().starts_with(kind));
    assert!(files.iter().all(known), "{files:?}");
}
