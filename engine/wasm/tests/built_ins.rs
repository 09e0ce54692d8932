//! The built-in policies as they ship answer as their source does natively, on cases and on whatever proptest thinks of.
//!
//! `BULKHEAD_POLICIES_BUILT` names another folder with components to test; `policies/build --check` uses it.

mod common;

use bulkhead_core::policy::{Conclusion, Judge, Module, Operation, Provenance, Question};
use bulkhead_policy_internal_only::InternalOnly;
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

/// Settings of both that touch every part of them.
const TIER_SETTINGS: [&str; 3] = ["{}", r#"{"allowed_pairs":[["web","app"]]}"#, r#"{"label":"zone","allowed_pairs":[["web","cards"]]}"#];
const SUBNET_SETTINGS: [&str; 3] = [
    "{}",
    r#"{"tiers":{"cards":{"cidrs":["10.40.0.0/16"],"prefix_length":{"min":24,"max":29},"parents":["eth0.40"],"vlans":[40]}}}"#,
    r#"{"tiers":{"web":{"vlans":[0,30]}},"default":{"cidrs":["10.0.0.0/8","fd00::/8"],"prefix_length_ipv6":{"min":64}}}"#,
];
/// Of the four that ship as modules only, likewise.
const VLAN_SETTINGS: [&str; 2] =
    [r#"{"rules":{"cards":{"vlans":["40-49"],"parents":["eth0"]}}}"#, r#"{"label":"tier","rules":{"web":{"vlans":[30,"untagged"]}}}"#];
const INTERNAL_SETTINGS: [&str; 1] = [r#"{"tiers":["cards"]}"#];
const LABEL_SETTINGS: [&str; 2] = [
    r#"{"networks":{"tier":["web","c*s"]},"network_names":["*_net","s*p"]}"#,
    r#"{"workloads":{"tier":{"values":["*é*","web"],"provenance":["runtime"]}},"network_names":["*_net"]}"#,
];
const QUOTA_SETTINGS: [&str; 2] = [r#"{"networks_per_caller":3,"endpoints_per_network":8}"#, r#"{"endpoints_per_network":7}"#];

struct Loaded {
    judge: WasmJudge,
    /// Reads settings at every judgement, where the other has them frozen in memory.
    plain: WasmJudge,
    tier_isolation: Module,
    subnet_rules: Module,
    vlan_allow_list: Module,
    internal_only: Module,
    required_labels: Module,
    quotas: Module,
}

/// Compiled once for all tests.
fn loaded() -> &'static Loaded {
    static LOADED: OnceLock<Loaded> = OnceLock::new();
    LOADED.get_or_init(|| {
        let (judge, plain) = (judge(), judge_with(Limits { freeze_bytes_max: 0, ..Limits::default() }));
        let admit = |name: &str| {
            let bytes = match std::env::var_os("BULKHEAD_POLICIES_BUILT") {
                Some(folder) => std::fs::read(std::path::Path::new(&folder).join(format!("{name}.wasm"))).expect("the component"),
                None => built_ins().iter().find(|b| b.name == name).expect("a built-in").bytes.to_vec(),
            };
            plain.admit(&bytes).unwrap_or_else(|e| panic!("{name}: {e}"));
            judge.admit(&bytes).unwrap_or_else(|e| panic!("{name}: {e}"))
        };
        let (tier_isolation, subnet_rules) = (admit("tier-isolation"), admit("subnet-rules"));
        let (vlan_allow_list, internal_only) = (admit("vlan-allow-list"), admit("internal-only"));
        let (required_labels, quotas) = (admit("required-labels"), admit("quotas"));
        Loaded { judge, plain, tier_isolation, subnet_rules, vlan_allow_list, internal_only, required_labels, quotas }
    })
}

fn compare<P: Native>(module: &Module, settings: &str, question: &Question) -> Conclusion {
    let Loaded { judge, plain, .. } = loaded();
    let policy = policy(judge, module, settings);
    let said = judge.judge(&policy, question);
    assert_eq!(said, plain.judge(&policy, question), "settings frozen and read each time, fuel included: {settings} {question:?}");
    let wasm = spoke(said);
    let native = configured::<P>(settings).expect("settings that fit").evaluate(&native(question));
    assert_eq!(wasm, from_native(native), "{settings} {question:?}");
    wasm.outcome
}

fn compare_both(question: &Question) -> Vec<Conclusion> {
    let Loaded { tier_isolation, subnet_rules, .. } = loaded();
    let tiers = TIER_SETTINGS.iter().map(|s| compare::<TierIsolation>(tier_isolation, s, question));
    let subnets = SUBNET_SETTINGS.iter().map(|s| compare::<SubnetRules>(subnet_rules, s, question));
    tiers.chain(subnets).collect()
}

fn compare_others(question: &Question) -> Vec<Conclusion> {
    let Loaded { vlan_allow_list, internal_only, required_labels, quotas, .. } = loaded();
    let vlans = VLAN_SETTINGS.iter().map(|s| compare::<VlanAllowList>(vlan_allow_list, s, question));
    let internal = INTERNAL_SETTINGS.iter().map(|s| compare::<InternalOnly>(internal_only, s, question));
    let labels = LABEL_SETTINGS.iter().map(|s| compare::<RequiredLabels>(required_labels, s, question));
    let counts = QUOTA_SETTINGS.iter().map(|s| compare::<Quotas>(quotas, s, question));
    vlans.chain(internal).chain(labels).chain(counts).collect()
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
        assert_eq!(compare_both(&question), wanted, "{question:?}");
    }
}

/// The same of the seven policies made of those that ship as modules only.
#[test]
fn verdicts_of_the_modules_without_policy_are_the_native_ones() {
    use Conclusion::{Allow, Deny, NotApplicable};
    let with = |mut question: Question, change: fn(&mut Question)| {
        change(&mut question);
        question
    };
    let cases = [
        // The caller has three networks already; the name fits no *_net.
        (question("cards", None, Some(40), "10.40.0.0/24"), [Allow, Allow, Deny, Allow, Deny, Deny, Allow]),
        (
            with(question("lab", None, Some(40), "10.40.0.0/24"), |q| {
                q.caller.networks = 2;
                q.network.name = "lab_net".into();
            }),
            [Deny, Allow, Allow, Deny, Allow, Allow, Allow],
        ),
        // Seven endpoints; the workload's label is not the runtime's.
        (question("web", Some("web"), Some(30), "10.40.0.0/24"), [Allow, Allow, Allow, Allow, Deny, Allow, Deny]),
        (
            with(question("web", Some("cards"), None, "10.40.0.0/24"), |q| q.network.endpoints = 6),
            [Deny, Deny, Deny, Allow, Deny, Allow, Allow],
        ),
        (with(question("cards", Some("web"), None, "1.2.3.0/24"), |q| q.operation = Operation::Detach), [NotApplicable; 7]),
    ];
    for (question, wanted) in cases {
        assert_eq!(compare_others(&question), wanted, "{question:?}");
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
        reaches in groups(),
    ) -> Question {
        let mut question = question(&network, workload.as_deref(), vlan, cidr);
        question.operation = operation;
        question.same_segment = same_segment;
        question.reaches = reaches;
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
        }
        question
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn wasm_and_native_agree(question in questions()) {
        compare_both(&question);
        compare_others(&question);
    }
}

#[test]
fn settings_are_refused_as_natively() {
    let Loaded { plain, tier_isolation, subnet_rules, vlan_allow_list, internal_only, required_labels, quotas, .. } = loaded();
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
    ];
    for text in bad {
        let value: serde_json::Value = serde_json::from_str(text).expect("JSON");
        // `null` is no settings at all, which is an empty object to a policy.
        let seen = if value.is_null() { "{}" } else { text };
        let wasm = |module: &Module| plain.check_settings(module.digest, &value).map(|_| ()).map_err(|e| e.violations);
        assert_eq!(wasm(tier_isolation), configured::<TierIsolation>(seen).map(|_| ()).map_err(violations), "{text}");
        assert_eq!(wasm(subnet_rules), configured::<SubnetRules>(seen).map(|_| ()).map_err(violations), "{text}");
        assert_eq!(wasm(vlan_allow_list), configured::<VlanAllowList>(seen).map(|_| ()).map_err(violations), "{text}");
        assert_eq!(wasm(internal_only), configured::<InternalOnly>(seen).map(|_| ()).map_err(violations), "{text}");
        assert_eq!(wasm(required_labels), configured::<RequiredLabels>(seen).map(|_| ()).map_err(violations), "{text}");
        assert_eq!(wasm(quotas), configured::<Quotas>(seen).map(|_| ()).map_err(violations), "{text}");
    }
}

#[test]
fn the_label_in_the_settings_is_what_residents_are_grouped_by() {
    let Loaded { judge, tier_isolation, .. } = loaded();
    let keys = |settings: &str| policy(judge, tier_isolation, settings).description.label_keys.clone();
    assert_eq!(tier_isolation.description.label_keys, ["tier"]);
    assert_eq!(keys("{}"), ["tier"]);
    assert_eq!(keys(r#"{"label":"zone"}"#), ["zone"]);
}

#[test]
fn the_same_question_gets_the_same_answer_for_the_same_fuel() {
    let Loaded { judge, tier_isolation, subnet_rules, .. } = loaded();
    let mut question = question("web", Some("cards"), None, "10.40.0.0/24");
    question.same_segment = vec![group("cards", "", 1, 9), group("", "app", 1, 1)];
    for (module, settings) in [(tier_isolation, TIER_SETTINGS[1]), (subnet_rules, SUBNET_SETTINGS[1])] {
        let policy = policy(judge, module, settings);
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
    let Loaded { judge, tier_isolation, .. } = loaded();
    let mut question = question("web", Some("cards"), None, "10.40.0.0/24");
    let strangers = vec![group("app", "", 1, 1)];
    (question.same_segment, question.reaches) = (strangers.clone(), strangers.clone());
    question.workload.as_mut().expect("an attach").attached = strangers;
    let opinion = spoke(judge.judge(&policy(judge, tier_isolation, "{}"), &question));
    let found: Vec<&str> = opinion.violations.iter().map(|v| v.rule.as_str()).collect();
    assert_eq!(found, ["contradicting-tier", "bridging-workload", "shared-segment", "reaches"]);
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
