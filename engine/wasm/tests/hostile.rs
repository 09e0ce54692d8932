//! Modules that no honest tool makes: each gets its clear refusal or a judgement that names the cause, and all others serve on.

mod common;

use bulkhead_core::evidence::Limit;
use bulkhead_core::policy::{Conclusion, Judge, Module, Policy};
use bulkhead_wasm::{Limits, NotAdmitted, WasmJudge, built_ins};
use common::odd::{Odd, Said, WIT, digest};
use common::*;
use serde_json::{Value, json};
use std::sync::OnceLock;

/// One judge for all: what one module does must not concern the others.
fn shared() -> &'static WasmJudge {
    static JUDGE: OnceLock<WasmJudge> = OnceLock::new();
    JUDGE.get_or_init(judge)
}

fn admitted(odd: &Odd) -> Module {
    shared().admit(&odd.bytes()).unwrap_or_else(|e| panic!("{e}"))
}

fn refused(bytes: &[u8]) -> NotAdmitted {
    shared().admit(bytes).map(|m| m.description).expect_err("refused")
}

/// A policy of an odd module whose `configure` is not tried before.
fn unchecked(module: &Module) -> Policy {
    policy_of(module.digest, module.description.clone(), serde_json::json!({}))
}

/// What a module with this `evaluate` breaks with; a built-in answers before and after.
fn breaks(odd: &Odd) -> String {
    let why = broke(shared().judge(&unchecked(&admitted(odd)), &question("web", Some(""), Some(30), "10.0.0.0/24")));
    let built_in = shared().admit(built_ins()[0].bytes).expect("admitted");
    spoke(shared().judge(&unchecked(&built_in), &question("web", Some(""), Some(30), "10.0.0.0/24")));
    why
}

fn evaluating(body: &str) -> Odd {
    Odd { evaluate: body.into(), ..Odd::new() }
}

#[test]
fn an_honest_one_made_by_hand_is_asked() {
    for bytes in [Odd::new().bytes(), Odd::new().component()] {
        let module = shared().admit(&bytes).expect("admitted");
        assert_eq!((module.digest, module.size), (digest(&bytes), bytes.len() as u64));
        assert_eq!(module.description.name, "odd");
        let policy = policy(shared(), &module, "{}");
        let opinion = spoke(shared().judge(&policy, &question("web", None, None, "10.0.0.0/24")));
        assert_eq!(opinion.outcome, Conclusion::Allow);
    }
}

#[test]
fn the_example_is_taken_as_cargo_makes_it() {
    let bytes = include_bytes!("../../../policies/built/examples/endpoint-limit.wasm");
    let module = shared().admit(bytes).expect("admitted");
    let ask = |settings: &str| spoke(shared().judge(&policy(shared(), &module, settings), &question("", Some(""), None, "10.0.0.0/24")));
    assert_eq!(ask("{}").outcome, Conclusion::Allow);
    assert_eq!(ask(r#"{"max":7}"#).violations[0].message, "network shop has 7 endpoints, and may have 7");
}

#[test]
fn an_endless_loop_uses_up_its_fuel() {
    assert_eq!(breaks(&evaluating("(loop (br 0)) unreachable")), "evaluate used up its fuel of 20000000");
}

#[test]
fn what_outlives_its_fuel_meets_the_deadline() {
    let judge = judge_with(Limits { fuel: u64::MAX >> 2, deadline_ms: 50, ..Limits::default() });
    let module = judge.admit(&evaluating("(loop (br 0)) unreachable").bytes()).expect("admitted");
    let why = broke(judge.judge(&unchecked(&module), &question("", None, None, "10.0.0.0/24")));
    assert_eq!(why, "evaluate was stopped: a judgement may take 50 ms of CPU time");
}

#[test]
fn all_policies_of_a_decision_have_one_time_together() {
    let judge = judge_with(Limits { fuel: u64::MAX >> 2, decision_ms: 20, ..Limits::default() });
    let admitted = |odd: &Odd| unchecked(&judge.admit(&odd.bytes()).expect("admitted"));
    let (honest, endless) = (admitted(&Odd::new()), admitted(&evaluating("(loop (br 0)) unreachable")));
    let asked = [&honest, &endless, &honest].map(|policy| (policy, question("", None, None, "10.0.0.0/24")));
    let mut said = judge.judge_all(&asked).into_iter();
    assert_eq!(spoke(said.next().expect("an answer")).outcome, Conclusion::Allow);
    assert_eq!(broke(said.next().expect("an answer")), "evaluate was stopped: a decision may take 20 ms of CPU time");
    let left_out = said.next().expect("an answer");
    assert_eq!(left_out.fuel, None);
    assert_eq!(broke(left_out), "it was not asked: a decision may take 20 ms of CPU time, and the policies before it used them up");
    assert!(judge.judge_all(&asked[..1]).into_iter().map(spoke).all(|o| o.outcome == Conclusion::Allow), "each decision has its own");
    // Where one judgement may take less than a decision, the next is asked.
    let judge = judge_with(Limits { fuel: u64::MAX >> 2, decision_ms: 60_000, deadline_ms: 10, ..Limits::default() });
    let _ = [Odd::new(), evaluating("(loop (br 0)) unreachable")].map(|odd| judge.admit(&odd.bytes()).expect("admitted"));
    let mut said = judge.judge_all(&asked[1..]).into_iter();
    assert_eq!(broke(said.next().expect("an answer")), "evaluate was stopped: a judgement may take 10 ms of CPU time");
    assert_eq!(spoke(said.next().expect("an answer")).outcome, Conclusion::Allow);
}

#[test]
fn a_module_in_a_large_slot_has_a_time_of_its_own() {
    let large = |body: &str| {
        let mut odd = evaluating(body);
        odd.memory.push_str(" (memory $second 1)");
        odd
    };
    let allow = Odd::new().evaluate;
    // Far more than the millisecond that all others have together.
    let slow = large(&format!(
        "(local $n i32) (loop (br_if 0 (i32.lt_u (local.tee $n (i32.add (local.get $n) (i32.const 1))) (i32.const 50000000)))) {allow}"
    ));
    let limits = Limits { fuel: u64::MAX >> 2, decision_ms: 1, large_call_ms: 60_000, deadline_ms: 60_000, ..Limits::default() };
    let ask = |limits: Limits, odd: &Odd| {
        let judge = judge_with(limits);
        let policies = [odd, &Odd::new()].map(|odd| unchecked(&judge.admit(&odd.bytes()).expect("admitted")));
        let asked: Vec<_> = policies.iter().map(|p| (p, question("", None, None, "10.0.0.0/24"))).collect();
        let [large, small] = judge.judge_all(&asked).try_into().expect("an answer each");
        assert_eq!(spoke(small).outcome, Conclusion::Allow, "nobody waits for it in vain");
        large
    };
    assert_eq!(spoke(ask(limits.clone(), &slow)).outcome, Conclusion::Allow);
    let endless = ask(Limits { large_call_ms: 20, ..limits }, &large("(loop (br 0)) unreachable"));
    assert_eq!(broke(endless), "evaluate was stopped: a judgement in a large slot may take 20 ms of CPU time");
}

#[test]
fn memory_has_an_end() {
    let grow = "(loop (br_if 0 (i32.ne (memory.grow (i32.const 16)) (i32.const -1)))) unreachable";
    assert_eq!(breaks(&evaluating(grow)), "evaluate wanted 129 MiB of memory, and may have 128 MiB");
    let odd = Odd { memory: "(memory (export \"memory\") 65536)".into(), ..Odd::new() };
    assert!(refused(&odd.bytes()).to_string().contains("exceeds the limit"), "{}", refused(&odd.bytes()));
}

#[test]
fn who_lives_with_less_memory_is_not_broken() {
    let mut odd = Odd::new();
    odd.evaluate = format!("(drop (memory.grow (i32.const 60000))) {}", odd.evaluate);
    let opinion = spoke(shared().judge(&unchecked(&admitted(&odd)), &question("", None, None, "10.0.0.0/24")));
    assert_eq!(opinion.outcome, Conclusion::Allow);
}

#[test]
fn tables_have_an_end() {
    let odd = Odd { more: "(table 1000000 funcref)".into(), ..Odd::new() };
    assert!(refused(&odd.bytes()).to_string().contains("table"), "{}", refused(&odd.bytes()));
    let mut odd = evaluating("(loop (br_if 0 (i32.ne (table.grow $t (ref.null func) (i32.const 1000)) (i32.const -1)))) unreachable");
    odd.more = "(table $t 1 funcref)".into();
    assert!(breaks(&odd).starts_with("evaluate trapped: it panicked"));
}

#[test]
fn recursion_uses_up_the_stack() {
    let mut odd = evaluating("(call $deeper (i32.const 0))");
    odd.more =
        "(func $deeper (param i32) (result i32) (i32.add (call $deeper (i32.add (local.get 0) (i32.const 1))) (i32.const 1)))".into();
    assert_eq!(breaks(&odd), "evaluate used up its stack of 512 KiB: it recurses too deeply");
}

#[test]
fn a_trap_is_named_in_each_export() {
    let odd = Odd { describe: "unreachable".into(), ..Odd::new() };
    let words = "trapped: it panicked, or gave up with an unreachable instruction";
    assert_eq!(refused(&odd.bytes()), NotAdmitted::Broke(format!("describe {words}")));
    let odd = Odd { configure: "unreachable".into(), ..Odd::new() };
    let module = admitted(&odd);
    let settings = shared().check_settings(module.digest, &serde_json::json!({})).expect_err("refused");
    assert!(settings.to_string().starts_with(&format!("the module broke on these settings: configure {words}")), "{settings}");
    assert_eq!(breaks(&odd), format!("configure {words}"));
    assert_eq!(breaks(&evaluating("unreachable")), format!("evaluate {words}"));
    assert_eq!(breaks(&evaluating("(i32.div_s (i32.const 1) (i32.const 0))")), "evaluate trapped: integer divide by zero");
    assert_eq!(breaks(&evaluating("(i32.load (i32.const -4))")), "evaluate trapped: out of bounds memory access");
}

#[test]
fn an_endless_describe_or_start_is_refused() {
    let odd = Odd { describe: "(loop (br 0)) unreachable".into(), ..Odd::new() };
    assert_eq!(refused(&odd.bytes()), NotAdmitted::Broke("describe used up its fuel of 200000000".into()));
    let odd = Odd { more: "(func $start (loop (br 0))) (start $start)".into(), ..Odd::new() };
    assert_eq!(refused(&odd.bytes()), NotAdmitted::Broke("its start used up its fuel of 200000000".into()));
}

#[test]
fn a_giant_answer_is_not_taken() {
    // A hundred violations, each of whose texts is the same 60 KiB.
    let mut odd = Odd::new();
    let long = [65536_u32, 60 << 10];
    let violation = [long[0], long[1], long[0], long[1], 0, 0, 0, 0, 0, 0];
    let list = odd.words(&violation.repeat(100));
    let opinion = odd.words(&[2, list, 100, 0, 0, 0, 0]);
    odd.evaluate = format!("i32.const {opinion}");
    assert_eq!(breaks(&odd), "evaluate answered with more than 256 KiB");
    // A list longer than memory.
    let opinion = odd.words(&[2, list, u32::MAX, 0, 0, 0, 0]);
    odd.evaluate = format!("i32.const {opinion}");
    assert!(breaks(&odd).starts_with("evaluate failed: "), "{}", breaks(&odd));
    // Many small notes.
    let list = odd.words(&[0; 2 * 300]);
    let opinion = odd.words(&[1, 0, 0, 0, 0, list, 300]);
    odd.evaluate = format!("i32.const {opinion}");
    assert_eq!(breaks(&odd), "it gave 300 notes; at most 256 are taken");
    let list = odd.words(&[65536, 5000]);
    let opinion = odd.words(&[1, 0, 0, list, 1, 0, 0]);
    odd.evaluate = format!("i32.const {opinion}");
    assert_eq!(breaks(&odd), "it gave a text of 5000 bytes; at most 4096 are taken");
}

#[test]
fn answers_that_cannot_be_read_are_named() {
    assert!(breaks(&evaluating("i32.const -4")).starts_with("evaluate failed: "));
    assert!(breaks(&evaluating("i32.const 4097")).starts_with("evaluate failed: "), "not aligned");
    let mut odd = Odd::new();
    let opinion = odd.opinion(2, &[b"\xff\xfe"]);
    odd.evaluate = format!("i32.const {opinion}");
    assert!(breaks(&odd).contains("utf-8"), "{}", breaks(&odd));
    let opinion = odd.opinion(9, &[]);
    odd.evaluate = format!("i32.const {opinion}");
    assert!(breaks(&odd).contains("discriminant"), "{}", breaks(&odd));
}

#[test]
fn an_opinion_against_the_contract_breaks_the_policy() {
    let answer = |outcome, rules: &[&[u8]]| {
        let mut odd = Odd::new();
        let opinion = odd.opinion(outcome, rules);
        odd.evaluate = format!("i32.const {opinion}");
        odd
    };
    assert_eq!(breaks(&answer(2, &[])), "it denied without naming a violation");
    assert_eq!(breaks(&answer(2, &[b"unknown"])), "it found rule \"unknown\" violated, which it does not declare");
    assert_eq!(breaks(&answer(1, &[b"known"])), "it named 1 violations and did not deny");
    assert_eq!(breaks(&answer(0, &[b"known"])), "it named 1 violations and did not deny");
    let opinion = spoke(shared().judge(&unchecked(&admitted(&answer(2, &[b"known"]))), &question("", None, None, "10.0.0.0/24")));
    assert_eq!((opinion.outcome, opinion.violations.len()), (Conclusion::Deny, 1));
}

#[test]
fn nothing_carries_over_from_one_call_to_the_next() {
    // It would trap if it ever found what it left in a global, in its memory, in memory that it grew, or in a table.
    let mut odd = Odd::new();
    odd.more = "(global $seen (mut i32) (i32.const 0)) (table $t 4 funcref) (func $f) (elem declare func $f)".into();
    odd.evaluate = format!(
        "(if (i32.or (global.get $seen) (i32.load (i32.const 64))) (then unreachable))
         (if (i32.ne (memory.size) (i32.const 4)) (then unreachable))
         (if (i32.eqz (ref.is_null (table.get $t (i32.const 1)))) (then unreachable))
         (global.set $seen (i32.const 1)) (i32.store (i32.const 64) (i32.const 1)) (table.set $t (i32.const 1) (ref.func $f))
         (drop (memory.grow (i32.const 4)))
         (if (i32.load (i32.const 300000)) (then unreachable)) (i32.store (i32.const 300000) (i32.const 1))
         {}",
        odd.evaluate
    );
    let policy = unchecked(&admitted(&odd));
    let first = shared().judge(&policy, &question("", None, None, "10.0.0.0/24"));
    assert_eq!(spoke(first.clone()).outcome, Conclusion::Allow);
    for _ in 0..200 {
        assert_eq!(shared().judge(&policy, &question("", None, None, "10.0.0.0/24")), first);
    }
}

#[test]
fn what_is_not_wasm_is_told_as_such() {
    for (bytes, begins) in [
        (&b""[..], "nothing at all"),
        (b"#!/bin/sh\n", "the bytes 23 21 2f 62"),
        (b"\x7fELF\x02\x01", "the bytes 7f 45 4c 46"),
        (b"\0as", "the bytes 00 61 73"),
    ] {
        assert_eq!(refused(bytes), NotAdmitted::NotWasm { begins: begins.into() });
    }
    assert!(matches!(refused(b"\0asm\x07\0\0\0"), NotAdmitted::Invalid(_)));
}

#[test]
fn what_is_cut_off_is_told_as_such() {
    for whole in [built_ins()[0].bytes.to_vec(), Odd::new().bytes()] {
        let is_core = Odd::new().bytes() == whole;
        let description = shared().admit(&whole).expect("admitted").description;
        let ends: Vec<usize> = (0..200).chain((200..whole.len()).step_by(1009)).chain(whole.len() - 200..whole.len()).collect();
        for end in ends {
            match shared().admit(&whole[..end]) {
                Err(NotAdmitted::Truncated { size }) => assert_eq!(size, end),
                Err(NotAdmitted::NotWasm { .. }) => assert!(end < 4),
                // Cut between two sections it is whole for all one can see, and lacks what stood in the rest:
                Err(NotAdmitted::WrongWorld { .. }) => assert!(!is_core),
                Err(NotAdmitted::NoMetadata | NotAdmitted::Invalid(_)) => assert!(is_core, "cut at {end}"),
                Err(other) => panic!("cut at {end}: {other:?}"),
                // or the rest was only names of the tools that made it.
                Ok(module) => assert_eq!(module.description, description),
            }
        }
    }
    assert_eq!(refused(&built_ins()[0].bytes[..5000]), NotAdmitted::Truncated { size: 5000 });
}

#[test]
fn bytes_that_were_changed_are_refused_or_break_but_never_more() {
    let whole = built_ins()[1].bytes;
    for at in (8..whole.len()).step_by(1777) {
        let mut bytes = whole.to_vec();
        bytes[at] ^= 0x55;
        if let Ok(module) = shared().admit(&bytes) {
            shared().judge(&unchecked(&module), &question("", None, None, "10.0.0.0/24"));
            shared().unload(module.digest);
        }
    }
}

#[test]
fn functions_of_the_host_are_refused_by_name() {
    let odd = Odd { more: "(import \"env\" \"now\" (func)) (import \"env\" \"random\" (func))".into(), ..Odd::new() };
    let error = refused(&odd.bytes());
    assert_eq!(error, NotAdmitted::Imports(vec!["env.now".into(), "env.random".into()]));
    assert_eq!(error.to_string(), "a policy gets nothing from its host, but this one imports env.now, env.random");
    let component = r#"(component (import "wasi:clocks/wall-clock@0.2.3" (instance (export "now" (func (result u64))))))"#;
    let error = refused(&wat::parse_str(component).expect("WAT"));
    assert_eq!(error, NotAdmitted::Imports(vec!["wasi:clocks/wall-clock@0.2.3#now".into()]));
    assert!(error.to_string().contains("--stub-wasi"), "{error}");
}

#[test]
fn imports_of_types_are_no_imports() {
    let wit = WIT.replace("world policy {", "interface extra { record pair { a: u32, b: u32 } }\nworld policy { import extra;");
    let odd = Odd { wit, ..Odd::new() };
    shared().admit(&odd.bytes()).expect("admitted");
}

#[test]
fn another_contract_is_told_from_this_one() {
    assert_eq!(refused(&Odd::new().plain()), NotAdmitted::NoMetadata);
    assert_eq!(refused(&wat::parse_str("(module)").expect("WAT")), NotAdmitted::NoMetadata);
    assert_eq!(refused(&wat::parse_str("(component)").expect("WAT")), NotAdmitted::WrongWorld { exports: vec![] });
    let odd = Odd { wit: WIT.replace("bulkhead:policy@1.0.0", "bulkhead:policy@2.0.0"), ..Odd::new() };
    assert_eq!(refused(&odd.bytes()), NotAdmitted::WrongVersion { found: "2.0.0".into() });
    // The same name, but `endpoints` counts in 64 bits.
    let odd = Odd { wit: WIT.replacen("endpoints: u32", "endpoints: u64", 1), ..Odd::new() };
    assert!(matches!(refused(&odd.bytes()), NotAdmitted::WrongTypes(_)), "{:?}", refused(&odd.bytes()));
}

#[test]
fn more_exports_do_no_harm() {
    let mut odd = Odd { wit: WIT.replace("export judge;", "export judge; export init: func();"), ..Odd::new() };
    odd.more = "(func (export \"init\"))".into();
    shared().admit(&odd.bytes()).expect("admitted");
}

#[test]
fn features_that_make_results_depend_on_the_machine_are_refused() {
    for more in [
        "(memory 1 1 shared)",
        "(memory i64 1)",
        "(func (param v128 v128 v128) (result v128) (f32x4.relaxed_madd (local.get 0) (local.get 1) (local.get 2)))",
        "(type (struct (field i32)))",
        "(tag)",
    ] {
        let odd = Odd { more: more.into(), ..Odd::new() };
        assert!(matches!(refused(&odd.bytes()), NotAdmitted::Invalid(_)), "{more}");
    }
}

#[test]
fn two_memories_and_tail_calls_are_fine() {
    let mut odd = Odd::new();
    odd.memory.push_str(" (memory $second 1)");
    odd.more = "(func $f (result i32) (return_call $g)) (func $g (result i32) (i32.load $second (i32.const 0)))".into();
    shared().admit(&odd.bytes()).expect("admitted");
}

#[test]
fn size_has_an_end() {
    let judge = judge_with(Limits { module_bytes_max: 2000, ..Limits::default() });
    let error = judge.admit(&[0; 2001]).map(|_| ()).expect_err("too large");
    assert_eq!(error.to_string(), "the module has 2001 bytes; at most 2000 are taken");
    let judge = judge_with(Limits { settings_bytes_max: 20, ..Limits::default() });
    let module = judge.admit(&Odd::new().bytes()).expect("admitted");
    let error = judge.check_settings(module.digest, &serde_json::json!({"a": "0123456789abcdef"})).expect_err("too large");
    assert_eq!(error.to_string(), "the settings have 24 bytes; at most 20");
}

#[test]
fn a_description_is_checked_with_all_its_faults_at_once() {
    let said = Said {
        name: "no name",
        version: "",
        summary: "a\nb",
        operations: &[3, 3],
        rules: &["Known", "a", "a"],
        label_keys: &["a b", "tier", "tier"],
        schema: "[1,",
    };
    let NotAdmitted::Description(faults) = refused(&Odd::saying(&said).bytes()) else { panic!("another refusal") };
    let fields: Vec<&str> = faults.iter().map(|f| f.field.as_str()).collect();
    let wanted = ["name", "version", "summary", "operations", "rules", "label-keys", "rules[0].id", "label-keys[0]", "settings-schema"];
    assert_eq!(fields, wanted, "{faults:?}");
    let error = refused(&Odd::saying(&Said { operations: &[], ..Said::default() }).bytes());
    assert_eq!(
        error.to_string(),
        "what the module says of itself is against the contract: operations: none: the policy would never be asked; at least one"
    );
}

#[test]
fn settings_are_held_to_the_schema_also_where_the_module_takes_all() {
    let said = |schema| Said { schema, ..Said::default() };
    let schema = r#"{"additionalProperties":false,"properties":{"vlans":{"items":{"type":"integer","maximum":4094}}}}"#;
    let module = admitted(&Odd::saying(&said(schema)));
    let put = |settings: Value| shared().check_settings(module.digest, &settings).map(|_| ()).map_err(|e| e.to_string());
    assert_eq!(put(json!({"vlans": [1, 4094]})), Ok(()));
    let refused = put(json!({"vlans": [5000, 30], "vlan": 3})).expect_err("against the schema");
    assert!(refused.contains("vlans[0]: is \"5000\"") && refused.contains("maximum \"4094\""), "{refused}");
    assert!(refused.contains("vlan: is not a known field; did you mean vlans?"), "{refused}");

    // Schemas of strangers: one that is none, one that looks outside, one that goes round in circles, one with a pattern that takes for ever.
    for (schema, why) in [(r#"{"type":7}"#, "settings-schema"), (r#"{"$ref":"http://127.0.0.1:9/x"}"#, "settings-schema")] {
        assert!(refused_as(&Odd::saying(&said(schema))).contains(why), "{schema}");
    }
    let patient = admitted(&Odd::saying(&said(r#"{"properties":{"a":{"pattern":"^(a|aa|(?=x))*$"}}}"#)));
    let slow = shared().check_settings(patient.digest, &json!({"a": "a".repeat(40) + "b"}));
    assert!(slow.is_err(), "it does not fit, or takes too long: either way it is refused");
}

fn refused_as(odd: &Odd) -> String {
    refused(&odd.bytes()).to_string()
}

#[test]
fn a_module_that_renames_itself_by_its_settings_is_not_configured() {
    // `configure` leaves a mark, by which `describe` gives another name.
    let mut odd = Odd::new();
    let other = odd.description(&Said { name: "other", ..Said::default() });
    odd.more = "(global $configured (mut i32) (i32.const 0))".into();
    odd.describe = format!("(if (result i32) (global.get $configured) (then (i32.const {other})) (else ({})))", odd.describe);
    odd.configure = format!("(global.set $configured (i32.const 1)) {}", odd.configure);
    let module = admitted(&odd);
    let error = shared().check_settings(module.digest, &serde_json::json!({})).expect_err("refused");
    assert!(error.to_string().contains("gives itself another name"), "{error}");
}

#[test]
fn settings_refused_without_a_reason_break_the_policy() {
    let mut odd = Odd::new();
    let refusal = odd.words(&[1, 0, 0]);
    odd.configure = format!("i32.const {refusal}");
    assert_eq!(breaks(&odd), "it refuses its settings without saying why");
    let violation = odd.opinion(2, &[b"settings"]);
    // An opinion's list of violations stands where the result's does, its outcome where the result's case does.
    odd.configure = format!("(i32.store (i32.const {violation}) (i32.const 1)) i32.const {violation}");
    assert_eq!(breaks(&odd), "it refuses its settings: because");
}

#[test]
fn a_module_that_cannot_be_loaded_leaves_all_others_serving() {
    let judge = judge();
    let good = built_ins()[0].bytes;
    let mut bad = good.to_vec();
    bad[40_000] ^= 1;
    judge.load(digest(good), good).expect("loaded");
    // Changed on disk since; and stored so, as it were.
    let changed = judge.load(digest(b"another"), &bad).expect_err("other bytes");
    assert!(matches!(changed, NotAdmitted::OtherBytes { .. }));
    let cut = &good[..40_000];
    judge.load(digest(cut), cut).expect_err("truncated");

    let module = judge.admit(good).expect("loaded already");
    let question = question("web", Some(""), Some(30), "10.0.0.0/24");
    spoke(judge.judge(&unchecked(&module), &question));
    let of = |digest| policy_of(digest, module.description.clone(), serde_json::json!({}));
    let why = broke(judge.judge(&of(digest(b"another")), &question));
    assert!(why.ends_with("they were changed since they were stored"), "{why}");
    let why = broke(judge.judge(&of(digest(cut)), &question));
    assert!(why.contains("cannot be loaded: the module is truncated: 40000 bytes came"), "{why}");

    judge.unload(module.digest);
    let why = broke(judge.judge(&of(module.digest), &question));
    assert_eq!(why, format!("its module {} is not loaded", module.digest));
    judge.load(module.digest, good).expect("loaded again");
    spoke(judge.judge(&of(module.digest), &question));
}

#[test]
fn more_callers_than_places_wait_for_their_turn() {
    let module = shared().admit(built_ins()[1].bytes).expect("admitted");
    let policy = unchecked(&module);
    std::thread::scope(|scope| {
        for _ in 0..16 {
            scope.spawn(|| (0..50).for_each(|_| drop(spoke(shared().judge(&policy, &question("", None, None, "10.0.0.0/24"))))));
        }
    });
}

#[test]
fn fuel_that_just_suffices_suffices_and_one_unit_less_does_not() {
    let (bytes, asked) = (built_ins()[0].bytes, question("web", Some("cards"), Some(30), "10.0.0.0/24"));
    let with = |fuel: u64| {
        let judge = judge_with(Limits { fuel, ..Limits::default() });
        let policy = policy(&judge, &judge.admit(bytes).expect("admitted"), "{}");
        judge.judge(&policy, &asked)
    };
    let usual = with(Limits::default().fuel);
    let used = usual.fuel.expect("it ran");
    // wasmtime stops what has none left: one unit stays.
    assert_eq!(with(used + 1), usual);
    spoke(usual);
    let short = with(used);
    assert_eq!(short.limit, Some(Limit::Fuel));
    assert_eq!(broke(short), format!("evaluate used up its fuel of {used}"));
}

#[test]
fn work_that_fuel_hardly_counts_ends_with_the_time_of_a_decision() {
    // Fills 128 MiB over and over.
    let mut odd = evaluating("(loop (memory.fill (i32.const 0) (i32.const 1) (i32.const 134217728)) (br 0)) unreachable");
    odd.memory = "(memory (export \"memory\") 2048)".into();
    let judge = judge_with(Limits { fuel: 1 << 62, ..Limits::default() });
    let policy = unchecked(&judge.admit(&odd.bytes()).expect("admitted"));
    let said = judge.judge_all(&[(&policy, question("", None, None, "10.0.0.0/24"))]).pop().expect("an answer");
    assert_eq!(said.limit, Some(Limit::Circumstance));
    assert_eq!(broke(said), "evaluate was stopped: a decision may take 5 ms of CPU time");
}

#[test]
fn a_start_that_traps_is_refused() {
    let odd = Odd { more: "(func $start unreachable) (start $start)".into(), ..Odd::new() };
    let words = "its start trapped: it panicked, or gave up with an unreachable instruction";
    assert_eq!(refused(&odd.bytes()), NotAdmitted::Broke(words.into()));
}

#[test]
fn segments_beyond_memory_and_table_are_refused() {
    let odd = Odd { more: "(data (i32.const 0x7fff0000) \"beyond\")".into(), ..Odd::new() };
    assert_eq!(refused(&odd.bytes()), NotAdmitted::Broke("its start trapped: out of bounds memory access".into()));
    let odd = Odd { more: "(table 2 funcref) (func $f) (elem (i32.const 2) $f)".into(), ..Odd::new() };
    assert_eq!(refused(&odd.bytes()), NotAdmitted::Broke("its start trapped: undefined element: out of bounds table access".into()));
}

#[test]
fn more_functions_locals_and_parameters_than_there_may_be_are_refused() {
    for (more, words) in [
        ("(func)".repeat(1_000_001), "functions count exceeds limit"),
        (format!("(func (local {}))", "i32 ".repeat(50_001)), "too many locals"),
        (format!("(func (param {}))", "i32 ".repeat(1001)), "params size is out of bounds"),
        (format!("(type (func)) {}", "(global i32 (i32.const 0))".repeat(1_000_001)), "globals count exceeds limit"),
    ] {
        let error = refused(&Odd { more, ..Odd::new() }.bytes());
        assert!(matches!(&error, NotAdmitted::Invalid(why) if why.contains(words)), "{words}: {error}");
    }
}

#[test]
fn many_functions_within_the_bounds_are_compiled_and_asked() {
    let odd = Odd { more: "(func (result i32) i32.const 7)".repeat(5000), ..Odd::new() };
    let opinion = spoke(shared().judge(&unchecked(&admitted(&odd)), &question("", None, None, "10.0.0.0/24")));
    assert_eq!(opinion.outcome, Conclusion::Allow);
}

#[test]
fn more_memories_than_there_are_slots_for_are_refused() {
    let odd = Odd { more: "(memory 1)".repeat(8), ..Odd::new() };
    let error = refused(&odd.bytes());
    assert!(error.to_string().contains("memories"), "{error}");
}

#[test]
fn settings_that_nest_deeply_or_fill_their_limit_are_answered() {
    let module = shared().admit(built_ins()[0].bytes).expect("admitted");
    let put = |text: String| {
        let settings: Value = serde_json::from_str(&text).expect("JSON");
        shared().check_settings(module.digest, &settings).map(|_| ()).expect_err("refused").to_string()
    };
    // As deep as the API's own reader lets it be.
    let deep = put(format!("{{\"allowed_pairs\":{}{}}}", "[".repeat(120), "]".repeat(120)));
    assert!(!deep.contains("broke"), "{deep}");
    let wide = put(format!("{{\"allowed_pairs\":[{}0]}}", "0,".repeat(30_000)));
    assert!(wide.contains("configure answered with more than 256 KiB"), "as many faults as settings: {wide}");
}

#[test]
fn one_of_a_hundred_that_is_corrupt_leaves_the_others_serving() {
    let judge = judge();
    let all: Vec<Vec<u8>> = (0..100).map(|n| Odd { more: format!("(global i32 (i32.const {n}))"), ..Odd::new() }.bytes()).collect();
    let loaded = all.iter().enumerate().map(|(n, bytes)| {
        let stored = if n == 57 { &bytes[..bytes.len() / 2] } else { &bytes[..] };
        judge.load(digest(bytes), stored).is_ok()
    });
    assert_eq!(loaded.filter(|is| *is).count(), 99);
    let description = judge.admit(&all[0]).expect("loaded already").description;
    for (n, bytes) in all.iter().enumerate() {
        let policy = policy_of(digest(bytes), description.clone(), serde_json::json!({}));
        let said = judge.judge(&policy, &question("", None, None, "10.0.0.0/24"));
        if n == 57 {
            assert!(broke(said).ends_with("they were changed since they were stored"));
        } else {
            assert_eq!(spoke(said).outcome, Conclusion::Allow);
        }
    }
}

#[test]
fn frozen_settings_go_when_others_are_used_and_those_in_force_stay_with_the_same_answers() {
    let judge = judge_with(Limits { cache_bytes_max: 0, ..Limits::default() });
    let module = judge.admit(built_ins()[5].bytes).expect("admitted");
    let policies: Vec<Policy> = (1..5).map(|n| policy(&judge, &module, &format!("{{\"endpoints_per_network\":{n}}}"))).collect();
    let asked = question("web", Some(""), Some(30), "10.0.0.0/24");
    let before: Vec<_> = policies.iter().map(|p| judge.judge(p, &asked)).collect();
    judge.tidy(policies[..1].iter());
    assert_eq!(policies.iter().map(|p| judge.judge(p, &asked)).collect::<Vec<_>>(), before, "frozen or not, fuel included");
}

#[test]
fn a_module_that_cannot_be_frozen_is_configured_at_every_judgement() {
    // A table that the module changes: the freezer cannot write it down.
    let mut odd = Odd::new();
    odd.more = "(table $t 4 funcref) (func $f) (elem declare func $f) (global $configured (mut i32) (i32.const 0))".into();
    odd.configure = format!("(table.set $t (i32.const 1) (ref.func $f)) (global.set $configured (i32.const 1)) {}", odd.configure);
    odd.evaluate = format!("(if (i32.eqz (global.get $configured)) (then unreachable)) {}", odd.evaluate);
    let policy = policy(shared(), &admitted(&odd), "{}");
    let opinion = spoke(shared().judge(&policy, &question("", None, None, "10.0.0.0/24")));
    assert_eq!(opinion.outcome, Conclusion::Allow);
}
