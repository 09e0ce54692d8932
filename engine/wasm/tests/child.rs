//! Checks and compilations in a process of their own: what becomes of a process that fails, and what it may not do.

mod common;

use bulkhead_core::policy::{Judge, Module};
use bulkhead_wasm::{Child, Limits, WasmJudge, built_ins};
use common::odd::{self, Odd};
use common::*;

fn with_child(limits: Limits) -> WasmJudge {
    judge_with(limits).with_child(Child::of(env!("CARGO_BIN_EXE_policy-child"), &[]))
}

/// A built-in module as somebody else's: with a custom section behind it. As it is, the daemon trusts it.
fn as_a_strangers(built_in: &[u8]) -> Vec<u8> {
    [built_in, b"\0\x02\x01x"].concat()
}

fn refused(judge: &WasmJudge, bytes: &[u8]) -> String {
    judge.admit(bytes).map(|m: Module| m.description).expect_err("refused").to_string()
}

#[test]
fn a_child_says_the_same_as_this_process() {
    let (here, there) = (judge(), with_child(Limits::default()));
    let question = question("web", Some("cards"), Some(30), "10.0.0.0/24");
    for built_in in built_ins() {
        let bytes = as_a_strangers(built_in.bytes);
        let (a, b) = (here.admit(&bytes).expect("admitted"), there.admit(&bytes).expect("admitted"));
        assert_eq!(a, b);
        let (a, b) = (policy(&here, &a, built_in.default_settings), policy(&there, &b, built_in.default_settings));
        assert_eq!(a.description, b.description);
        assert_eq!(here.judge(&a, &question), there.judge(&b, &question));
        let wrong = serde_json::json!({"wrong": 1});
        assert_eq!(here.check_settings(a.module, &wrong), there.check_settings(b.module, &wrong));
    }
    for bytes in [&b"no wasm"[..], &built_ins()[0].bytes[..5000], &Odd { describe: "unreachable".into(), ..Odd::new() }.bytes()] {
        assert_eq!(here.admit(bytes).map(|_| ()).expect_err("refused"), there.admit(bytes).map(|_| ()).expect_err("refused"));
    }
}

#[test]
fn a_compile_bomb_is_refused_by_its_time_or_its_memory_and_the_next_module_is_admitted() {
    let bomb = odd::bomb(2200);
    let judge = with_child(Limits { compile_s: 1, ..Limits::default() });
    let why = refused(&judge, &bomb);
    assert!(why.ends_with("took more than 1 s of CPU time") || why.ends_with("took longer than 1 s"), "{why}");
    let judge = with_child(Limits { compile_bytes_max: 96 << 20, ..Limits::default() });
    assert_eq!(refused(&judge, &bomb), "checking and compiling the module wanted more than 96 MiB of memory");
    judge.admit(&Odd::new().bytes()).expect("admitted");
}

#[test]
fn a_process_that_fails_is_a_refusal_that_says_how() {
    let limits = Limits { compile_s: 1, code_bytes_max: 1 << 16, ..Limits::default() };
    let sh = |script: &str| judge_with(limits.clone()).with_child(Child::of("/bin/sh", &["-c", script]));
    for (script, why) in [
        ("kill -9 $$", "was killed, as the kernel does where the machine is short of memory"),
        ("kill -SEGV $$", "was killed by signal 11"),
        ("echo panicked >&2; exit 101", "ended with exit status: 101 and without an answer: \"panicked\""),
        ("cat >/dev/null", "ended with exit status: 0 and without an answer"),
        ("echo '{}'", "ended with exit status: 0 and without an answer"),
        ("exec sleep 1000", "took longer than 1 s"),
        ("exec cat /dev/zero", "gave more than 65536 bytes of code"),
    ] {
        assert_eq!(refused(&sh(script), &Odd::new().bytes()), format!("checking and compiling the module {why}"), "{script}");
    }
    let judge = judge_with(limits).with_child(Child::of("/nowhere", &[]));
    assert!(refused(&judge, &Odd::new().bytes()).contains("could not be begun: No such file"));
}

#[test]
fn more_code_than_the_limit_is_refused() {
    let judge = with_child(Limits { code_bytes_max: 1 << 16, ..Limits::default() });
    assert_eq!(
        refused(&judge, &as_a_strangers(built_ins()[0].bytes)),
        "checking and compiling the module gave more than 65536 bytes of code"
    );
}

#[test]
fn what_nests_deeply_is_refused() {
    let blocks = Odd { more: format!("(func {} {})", "block ".repeat(100_000), "end ".repeat(100_000)), ..Odd::new() };
    let why = refused(&with_child(Limits { compile_s: 1, ..Limits::default() }), &blocks.bytes());
    assert!(why.ends_with("took more than 1 s of CPU time") || why.ends_with("took longer than 1 s"), "{why}");
    // Components, each of which is all that the next one around it has.
    let mut components = b"\0asm\x0d\0\x01\0".to_vec();
    for _ in 0..1000 {
        let (preamble, inner) = (&b"\0asm\x0d\0\x01\0\x04"[..], components);
        let length = u32::try_from(inner.len()).expect("small");
        // Five bytes of LEB128, whatever the length.
        let leb: Vec<u8> = (0..5).map(|at| ((length >> (7 * at)) & 0x7f) as u8 | if at < 4 { 0x80 } else { 0 }).collect();
        components = [preamble, &leb, &inner].concat();
    }
    let why = refused(&with_child(Limits::default()), &components);
    assert!(why.contains("not valid here") || why.contains("exports nothing"), "{why}");
}
