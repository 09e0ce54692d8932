//! The built-in policies as they ship answer as their source does natively, on cases and on whatever proptest thinks of.
//!
//! `BULKHEAD_POLICIES_BUILT` names another folder with components to test; `policies/build --check` uses it.

mod common;

use bulkhead_core::policy::{Conclusion, Judge, Label, Module, Operation, Opinion, Provenance, Question, Violation};
use bulkhead_policy_address_reservations::AddressReservations;
use bulkhead_policy_internal_only::InternalOnly;
use bulkhead_policy_no_raw::NoRaw;
use bulkhead_policy_quotas::Quotas;
use bulkhead_policy_required_labels::RequiredLabels;
use bulkhead_policy_sdk::{Policy as Native, configured};
use bulkhead_policy_subnet_rules::SubnetRules;
use bulkhead_policy_tier_isolation::TierIsolation;
use bulkhead_policy_vlan_allow_list::VlanAllowList;
use bulkhead_wasm::{Limits, WasmJudge, built_ins};
use common::*;
use proptest::prelude::*;
use std::sync::OnceLock;

/// A built-in as its source, with settings that touch every part of it.
struct Source {
    name: &'static str,
    settings: &'static [&'static str],
    opinion: fn(&str, &Question) -> Opinion,
    configured: fn(&str) -> Result<(), Vec<Violation>>,
}

const fn source<P: Native>(name: &'static str, settings: &'static [&'static str]) -> Source {
    Source {
        name,
        settings,
        opinion: |settings, question| from_native(configured::<P>(settings).expect("settings that fit").evaluate(&native(question))),
        configured: |settings| configured::<P>(settings).map(|_| ()).map_err(violations),
    }
}

/// The two that a fresh database enforces.
const ENFORCED: [Source; 2] = [
    source::<TierIsolation>(
        "tier-isolation",
        &[
            "{}",
            r#"{"allowed_pairs":[["web","app"]]}"#,
            r#"{"label":"zone","allowed_pairs":[["web","cards"]],"overlapping_subnets":"allow"}"#,
        ],
    ),
    source::<SubnetRules>(
        "subnet-rules",
        &[
            "{}",
            r#"{"tiers":{"cards":{"cidrs":["10.40.0.0/16"],"prefix_length":{"min":24,"max":29},"parents":["eth0.40"],"vlans":[40]}}}"#,
            r#"{"tiers":{"web":{"vlans":[0,30]}},"default":{"cidrs":["10.0.0.0/8","fd00::/8"],"prefix_length_ipv6":{"min":64}}}"#,
        ],
    ),
];
/// Those that it has as modules only.
const OTHERS: [Source; 6] = [
    source::<VlanAllowList>(
        "vlan-allow-list",
        &[r#"{"rules":{"cards":{"vlans":["40-49"],"parents":["eth0"]}}}"#, r#"{"label":"tier","rules":{"web":{"vlans":[30,"untagged"]}}}"#],
    ),
    source::<InternalOnly>("internal-only", &[r#"{"tiers":["cards"]}"#]),
    source::<RequiredLabels>(
        "required-labels",
        &[
            r#"{"networks":{"tier":["web","c*s"]},"network_names":["*_net","s*p"]}"#,
            r#"{"workloads":{"tier":{"values":["*é*","web"],"provenance":["runtime"]}},"network_names":["*_net"]}"#,
        ],
    ),
    source::<Quotas>("quotas", &[r#"{"networks_per_caller":3,"endpoints_per_network":8}"#, r#"{"endpoints_per_network":7}"#]),
    source::<AddressReservations>(
        "address-reservations",
        &[r#"{"reservations":[{"addresses":["10.40.0.4/30","fd00::-fd00:1::"],"labels":{"tier":["c*s"]}},
                {"addresses":["10.40.0.9"],"workloads":["till-*"],"networks":["shop"],"required":true}]}"#],
    ),
    source::<NoRaw>("no-raw", &["{}", r#"{"on":"untagged","unknown":"allow","provenance":["runtime"]}"#]),
];

struct Loaded {
    judge: WasmJudge,
    /// Reads settings at every judgement, where the other has them frozen in memory.
    plain: WasmJudge,
    modules: Vec<Module>,
}

/// Compiled once for all tests.
fn all_loaded() -> &'static Loaded {
    static LOADED: OnceLock<Loaded> = OnceLock::new();
    LOADED.get_or_init(|| {
        let (judge, plain) = (judge(), judge_with(Limits { freeze_bytes_max: 0, ..Limits::default() }));
        let admit = |source: &Source| {
            let bytes = match std::env::var_os("BULKHEAD_POLICIES_BUILT") {
                Some(folder) => std::fs::read(std::path::Path::new(&folder).join(format!("{}.wasm", source.name))).expect("the component"),
                None => built_ins().iter().find(|b| b.name == source.name).expect("a built-in").bytes.to_vec(),
            };
            plain.admit(&bytes).unwrap_or_else(|e| panic!("{}: {e}", source.name));
            judge.admit(&bytes).unwrap_or_else(|e| panic!("{}: {e}", source.name))
        };
        let modules = ENFORCED.iter().chain(&OTHERS).map(admit).collect();
        Loaded { judge, plain, modules }
    })
}

/// The judge, and the module of a built-in.
fn loaded(name: &str) -> (&'static WasmJudge, &'static Module) {
    let Loaded { judge, modules, .. } = all_loaded();
    (judge, modules.iter().find(|m| m.description.name == name).expect("a built-in"))
}

/// What each policy made of these says, in Wasm as natively.
fn compare(sources: &[Source], question: &Question) -> Vec<Conclusion> {
    let all = sources.iter().flat_map(|source| source.settings.iter().map(move |settings| (source, settings)));
    all.map(|(source, settings)| {
        let (judge, module) = loaded(source.name);
        let policy = policy(judge, module, settings);
        let said = judge.judge(&policy, question);
        let plain = all_loaded().plain.judge(&policy, question);
        assert_eq!(said, plain, "settings frozen and read each time, fuel included: {settings} {question:?}");
        let wasm = spoke(said);
        assert_eq!(wasm, (source.opinion)(settings, question), "{} {settings} {question:?}", source.name);
        wasm.outcome
    })
    .collect()
}

#[test]
fn every_built_in_is_tested_here() {
    let tested: Vec<&str> = ENFORCED.iter().chain(&OTHERS).map(|s| s.name).collect();
    assert_eq!(tested, built_ins().map(|b| b.name));
}

/// What each of the six policies says to cases that one can follow by hand.
#[test]
fn verdicts_are_the_native_ones() {
    use Conclusion::{Allow, Deny, NotApplicable};
    let with = |mut question: Question, change: fn(&mut Question)| {
        change(&mut question);
        question
    };
    let cases = [
        (question("cards", None, Some(40), "10.40.0.0/24"), [Allow; 6]),
        (question("", Some(""), None, "10.1.0.0/24"), [Allow, Allow, Allow, Allow, Allow, Allow]),
        // Beside another tier, which a pair allows or another label does not see.
        (
            with(question("web", None, Some(30), "10.40.0.0/24"), |q| q.same_segment = vec![group("app", "", 1, 2)]),
            [Deny, Allow, Allow, Allow, Allow, Allow],
        ),
        // Addresses in common with another tier, where that is not allowed.
        (
            with(question("web", None, Some(30), "10.40.0.0/24"), |q| q.overlapping = vec![group("app", "", 1, 2)]),
            [Deny, Allow, Allow, Allow, Allow, Allow],
        ),
        (
            with(question("web", None, None, "10.40.0.0/24"), |q| q.reaches = vec![group("cards", "", 1, 2)]),
            [Deny, Deny, Allow, Allow, Allow, Allow],
        ),
        // A contradicting workload; in a VLAN that web may not use.
        (question("web", Some("cards"), Some(40), "10.40.0.0/24"), [Deny, Deny, Allow, Allow, Allow, Allow]),
        (question("", Some("web"), Some(40), "10.40.0.0/24"), [Allow, Allow, Allow, Allow, Allow, Deny]),
        // Outside the ranges of cards and of the default.
        (question("cards", None, Some(40), "192.168.0.0/24"), [Allow, Allow, Allow, Allow, Deny, Deny]),
        (with(question("web", Some("cards"), None, "1.2.3.0/24"), |q| q.operation = Operation::Detach), [NotApplicable; 6]),
    ];
    for (question, wanted) in cases {
        assert_eq!(compare(&ENFORCED, &question), wanted, "{question:?}");
    }
}

/// The same of the ten policies made of those that ship as modules only.
#[test]
fn verdicts_of_the_modules_without_policy_are_the_native_ones() {
    use Conclusion::{Allow, Deny, NotApplicable};
    let with = |mut question: Question, change: fn(&mut Question)| {
        change(&mut question);
        question
    };
    let cases = [
        // The caller has three networks already; the name fits no *_net.
        (
            question("cards", None, Some(40), "10.40.0.0/24"),
            [Allow, Allow, Deny, Allow, Deny, Deny, Allow, NotApplicable, NotApplicable, NotApplicable],
        ),
        (
            with(question("lab", None, Some(40), "10.40.0.0/24"), |q| {
                q.caller.networks = 2;
                q.network.name = "lab_net".into();
            }),
            [Deny, Allow, Allow, Deny, Allow, Allow, Allow, NotApplicable, NotApplicable, NotApplicable],
        ),
        // Seven endpoints; the workload's label is not the runtime's; 10.40.0.7 is for cards, and till-1 must have 10.40.0.9.
        (question("web", Some("web"), Some(30), "10.40.0.0/24"), [Allow, Allow, Allow, Allow, Deny, Allow, Deny, Deny, Allow, Allow]),
        // An untagged trunk without its shield, and a client that owns up to NET_RAW.
        (
            with(question("web", Some("cards"), None, "1.2.3.0/24"), |q| {
                q.network.endpoints = 6;
                let reaches = Label { key: "reaches".into(), value: "every-vlan".into(), provenance: Provenance::Runtime };
                q.network.facts = vec![reaches];
                let workload = q.workload.as_mut().expect("an attach");
                workload.facts = vec![Label { key: "capabilities".into(), value: "reported".into(), provenance: Provenance::Asserted }];
            }),
            [Deny, Deny, Deny, Allow, Deny, Allow, Allow, Allow, Deny, Allow],
        ),
        (with(question("cards", Some("web"), None, "1.2.3.0/24"), |q| q.operation = Operation::Detach), [NotApplicable; 10]),
    ];
    for (question, wanted) in cases {
        assert_eq!(compare(&OTHERS, &question), wanted, "{question:?}");
    }
}

fn tiers() -> impl Strategy<Value = String> {
    prop_oneof![Just(""), Just("web"), Just("app"), Just("cards"), Just("é\"\\\u{7f}")].prop_map(Into::into)
}

fn groups() -> impl Strategy<Value = Vec<bulkhead_core::policy::Group>> {
    let parts = (tiers(), tiers(), 0..3_u32, prop_oneof![0..4_u32, Just(u32::MAX)]);
    prop::collection::vec(parts.prop_map(|(n, w, networks, endpoints)| group(&n, &w, networks, endpoints)), 0..5)
}

prop_compose! {
    fn questions()(
        network in tiers(),
        workload in prop::option::of(tiers()),
        vlan in prop::option::of(prop_oneof![Just(30_u16), Just(40)]),
        cidr in prop_oneof![Just("10.40.0.0/24"), Just("10.40.0.0/30"), Just("192.168.1.0/24"), Just("fd00:40::/64"), Just("odd")],
        operation in prop::sample::select(vec![
            Operation::CreateNetwork, Operation::ChangeNetwork, Operation::DeleteNetwork,
            Operation::Attach, Operation::ChangeWorkload, Operation::Detach,
        ]),
        isolated in any::<bool>(),
        (networks, endpoints) in (2..5_u32, 6..9_u32),
        (named, runtime) in (any::<bool>(), any::<bool>()),
        attached in groups(),
        same_segment in groups(),
        (reaches, overlapping) in (groups(), groups()),
        address in prop_oneof![Just("10.40.0.5"), Just("10.40.0.9"), Just("fd00::40"), Just("")],
        (trunk, capabilities) in (any::<bool>(), prop::option::of(prop_oneof![Just("NET_RAW"), Just("CHOWN")])),
    ) -> Question {
        let mut question = question(&network, workload.as_deref(), vlan, cidr);
        question.operation = operation;
        question.same_segment = same_segment;
        (question.reaches, question.overlapping) = (reaches, overlapping);
        question.addresses = vec![address.into()];
        if trunk {
            question.network.facts = vec![Label { key: "reaches".into(), value: "every-vlan".into(), provenance: Provenance::Runtime }];
        }
        (question.caller.networks, question.network.endpoints) = (networks, endpoints);
        if isolated {
            question.network.parent = None;
            question.network.internal = true;
        }
        if named {
            question.network.name = "shop_net".into();
        }
        if let (true, Some(workload)) = (runtime, &mut question.workload) {
            workload.labels.iter_mut().for_each(|label| label.provenance = Provenance::Runtime);
        }
        if let Some(workload) = &mut question.workload {
            workload.attached = attached;
            workload.capabilities = capabilities.map(|c| vec![c.into()]);
            let provenance = if named { Provenance::Runtime } else { Provenance::Asserted };
            workload.facts = capabilities.iter().map(|_| Label { key: "capabilities".into(), value: "reported".into(), provenance }).collect();
        }
        question
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn wasm_and_native_agree(question in questions()) {
        compare(&ENFORCED, &question);
        compare(&OTHERS, &question);
    }
}

#[test]
fn settings_are_refused_as_natively() {
    let bad = [
        "null",
        "[]",
        r#"{"labels":"x"}"#,
        r#"{"label":""}"#,
        r#"{"allowed_pairs":[["a"]]}"#,
        r#"{"default":{"cidrs":["10.0.0.1/8"]}}"#,
        r#"{"tiers":{"a":{"vlans":[4095]},"b":{"parents":"eth0"}}}"#,
        r#"{"rules":{"a":{"vlans":["50-40",0]},"b":{"parents":["eth0.40"]}}}"#,
        r#"{"networks":{"é":[],"a":{"provenance":["x"]}},"workloads":1,"network_names":[""]}"#,
        r#"{"networks_per_caller":-1,"endpoints_per_network":"1"}"#,
        r#"{"reservations":[{"addresses":["10.0.0.1/8"]},1]}"#,
        r#"{"on":"all","unknown":1,"provenance":[],"overlapping_subnets":"warn"}"#,
    ];
    for text in bad {
        let value: serde_json::Value = serde_json::from_str(text).expect("JSON");
        // `null` is no settings at all, which is an empty object to a policy.
        let seen = if value.is_null() { "{}" } else { text };
        for source in ENFORCED.iter().chain(&OTHERS) {
            let (_, module) = loaded(source.name);
            let wasm = all_loaded().plain.check_settings(module.digest, &value).map(|_| ()).map_err(|e| e.violations);
            assert_eq!(wasm, (source.configured)(seen), "{} {text}", source.name);
        }
    }
}

#[test]
fn the_label_in_the_settings_is_what_residents_are_grouped_by() {
    let (judge, tier_isolation) = loaded("tier-isolation");
    let keys = |settings: &str| policy(judge, tier_isolation, settings).description.label_keys.clone();
    assert_eq!(tier_isolation.description.label_keys, ["tier"]);
    assert_eq!(keys("{}"), ["tier"]);
    assert_eq!(keys(r#"{"label":"zone"}"#), ["zone"]);
}

#[test]
fn the_same_question_gets_the_same_answer_for_the_same_fuel() {
    let mut question = question("web", Some("cards"), None, "10.40.0.0/24");
    question.same_segment = vec![group("cards", "", 1, 9), group("", "app", 1, 1)];
    for source in &ENFORCED {
        let (judge, module) = loaded(source.name);
        let policy = policy(judge, module, source.settings[1]);
        let first = judge.judge(&policy, &question);
        assert!(first.fuel.is_some_and(|fuel| fuel > 1000));
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| (0..50).for_each(|_| assert_eq!(judge.judge(&policy, &question), first)));
            }
        });
    }
}

#[test]
fn every_violation_is_of_a_declared_rule_and_names_its_remedy() {
    let (judge, tier_isolation) = loaded("tier-isolation");
    let mut question = question("web", Some("cards"), None, "10.40.0.0/24");
    let strangers = vec![group("app", "", 1, 1)];
    (question.same_segment, question.reaches, question.overlapping) = (strangers.clone(), strangers.clone(), strangers.clone());
    question.workload.as_mut().expect("an attach").attached = strangers;
    let opinion = spoke(judge.judge(&policy(judge, tier_isolation, "{}"), &question));
    let found: Vec<&str> = opinion.violations.iter().map(|v| v.rule.as_str()).collect();
    assert_eq!(found, ["contradicting-tier", "bridging-workload", "shared-segment", "reaches", "overlapping-subnet"]);
    assert!(opinion.violations.iter().all(|v| v.field.is_some() && v.remedy.is_some()));
}

#[test]
fn built_ins_describe_themselves_by_the_name_they_ship_under() {
    let judge = judge();
    for built_in in built_ins() {
        let module = judge.admit(built_in.bytes).expect("admitted");
        assert_eq!(module.description.name, built_in.name);
        policy(&judge, &module, built_in.default_settings);
    }
}

/// A start that was cut off is told by the number of decisions, which needs the policies first.
#[test]
fn a_fresh_database_enforces_two_and_they_come_first() {
    let enforced: Vec<&str> = built_ins().iter().take_while(|b| b.is_enforced).map(|b| b.name).collect();
    assert_eq!(enforced, ["tier-isolation", "subnet-rules"]);
    assert_eq!(built_ins().iter().filter(|b| b.is_enforced).count(), 2);
}
