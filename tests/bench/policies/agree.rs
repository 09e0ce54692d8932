//! Whether all engines say the same, before any time is taken. The native functions are what the others are compared with: they are the
//! built-ins' own code.

use crate::common::{group, question, tier};
use crate::engines::{Cedar, Engine, Native, Outcome, Rego, Rules, Verdict, Wanted, Wasm};
use bulkhead_core::policy::{Group, Operation, Policy, Question, SubnetView};
use bulkhead_wasm::WasmJudge;
use serde_json::json;
use std::collections::BTreeSet;
use std::error::Error;
use std::sync::Arc;

/// Settings that tell engines apart which read them wrongly.
pub fn wanted() -> Vec<Wanted> {
    let tiers = json!({"cards": {"cidrs": ["10.40.0.0/16", "fd00:40::/32"], "prefix_length": {"min": 24, "max": 29},
                                 "prefix_length_ipv6": {"min": 64}, "parents": ["eth0.40"], "vlans": [40]},
                       "web": {"vlans": [0, 30], "cidrs": []}});
    vec![
        (Rules::TierIsolation, json!({})),
        (Rules::TierIsolation, json!({"allowed_pairs": [["web", "app"], ["cards", "web"]]})),
        (Rules::TierIsolation, json!({"overlapping_subnets": "allow", "allowed_pairs": [["app", "cards"]]})),
        (Rules::SubnetRules, json!({"tiers": tiers})),
        (Rules::SubnetRules, json!({"tiers": tiers, "default": {"cidrs": ["10.0.0.0/8"], "parents": ["eth0"]}})),
        (Rules::SubnetRules, json!({"default": {"prefix_length": {"max": 24}, "prefix_length_ipv6": {"max": 48}, "vlans": []}})),
    ]
}

/// All rules that the questions must find violated, or they compare nothing.
const RULES: [&str; 9] = [
    "shared-segment",
    "reaches",
    "bridging-workload",
    "overlapping-subnet",
    "contradicting-tier",
    "cidr-not-allowed",
    "prefix-length",
    "parent-not-allowed",
    "vlan-not-allowed",
];

const TIERS: [&str; 4] = ["", "web", "app", "cards"];

/// A group that carries its network's own entry, and one of workloads.
fn neighbours(at: usize) -> Vec<Group> {
    match at {
        0 => vec![],
        1 => vec![group("", "", 2, 0)],
        2 => vec![group("cards", "", 1, 9), group("", "cards", 0, 4)],
        3 => vec![group("web", "", 1, 0), group("web", "app", 0, 3)],
        _ => vec![group("", "", 1, 1), group("app", "", 3, 0), group("cards", "web", 0, 2)],
    }
}

/// Every operation, every pair of tiers, and among them all views and places.
pub fn questions() -> Vec<Question> {
    let operations = [
        Operation::CreateNetwork,
        Operation::ChangeNetwork,
        Operation::DeleteNetwork,
        Operation::Attach,
        Operation::ChangeWorkload,
        Operation::Detach,
    ];
    let places = [(Some(40), "10.40.7.0/24"), (None, "10.40.0.0/16"), (Some(30), "192.168.9.0/30"), (Some(40), "fd00:40:1::/48")];
    let mut all = Vec::new();
    for operation in operations {
        let on_a_workload = matches!(operation, Operation::Attach | Operation::ChangeWorkload | Operation::Detach);
        for (n, network) in TIERS.iter().enumerate() {
            for (w, own) in TIERS.iter().enumerate() {
                for turn in 0..10 {
                    let (vlan, cidr) = places[(turn + n) % places.len()];
                    let mut question = question(network, on_a_workload.then_some(own), vlan, cidr);
                    question.operation = operation;
                    question.same_segment = neighbours((turn + w) % 5);
                    question.reaches = neighbours((turn * 3 + n) % 5);
                    question.overlapping = neighbours((turn * 7 + n + w) % 5);
                    if let Some(workload) = &mut question.workload {
                        workload.attached = neighbours((turn / 2 + n) % 5);
                    }
                    match turn {
                        8 => question.network.subnets.push(SubnetView { cidr: "fd00:41::/64".into(), gateway: None, ip_range: None }),
                        9 => {
                            question.network.parent = None;
                            question.network.vlan = None;
                            question.network.subnets.clear();
                        }
                        _ => {}
                    }
                    // A label that nobody looks at, before the one that they do.
                    question.network.labels.insert(0, tier("x").remove(0));
                    question.network.labels[0].key = "owner".into();
                    all.push(question);
                }
            }
        }
    }
    all
}

/// What an engine says to every question, each put to every policy.
fn all_of(engine: &mut dyn Engine, policies: &[Policy], questions: &[Question]) -> Vec<Vec<Verdict>> {
    let ask = |question: &Question| {
        let asked: Vec<(&Policy, Question)> = policies.iter().map(|p| (p, question.clone())).collect();
        engine.decide(&asked)
    };
    questions.iter().map(ask).collect()
}

/// Where two engines differ: question, policy, and what each says.
fn differences(a: &[Vec<Verdict>], b: &[Vec<Verdict>]) -> Vec<(usize, usize, String)> {
    let mut out = Vec::new();
    for (q, (a, b)) in a.iter().zip(b).enumerate() {
        if a.len() != b.len() {
            out.push((q, 0, format!("{} and {} answers", a.len(), b.len())));
        }
        out.extend(a.iter().zip(b).enumerate().filter(|(_, (a, b))| a != b).map(|(p, (a, b))| (q, p, format!("{a:?}\n  and {b:?}"))));
    }
    out
}

/// Fails where engines differ, where the questions leave a rule out, and where the comparison would not see a wrong engine.
pub fn check(judge: &Arc<WasmJudge>) -> Result<(), Box<dyn Error>> {
    let (wanted, questions) = (wanted(), questions());
    let policies = Wasm::policies(judge, &wanted)?;
    let native = all_of(&mut Native::new(&wanted)?, &policies, &questions);
    let mut seen: BTreeSet<&str> = native.iter().flatten().flat_map(|v| &v.rules).map(String::as_str).collect();
    let unseen: Vec<&str> = RULES.into_iter().filter(|r| !seen.remove(r)).collect();
    let outcomes: BTreeSet<Outcome> = native.iter().flatten().map(|v| v.outcome).collect();
    if !unseen.is_empty() || !seen.is_empty() || outcomes.len() != 3 {
        return Err(format!("the questions leave out {unseen:?}, find {seen:?} besides, and come out as {outcomes:?}").into());
    }

    // The same engines with each policy's settings given to its neighbour: what a comparison of other rules must tell apart.
    let mut shifted = wanted.clone();
    for rules in [Rules::TierIsolation, Rules::SubnetRules] {
        let mut of_these: Vec<&mut Wanted> = shifted.iter_mut().filter(|(r, _)| *r == rules).collect();
        let settings: Vec<_> = of_these.iter().map(|(_, s)| s.clone()).collect();
        of_these.iter_mut().enumerate().for_each(|(i, w)| w.1 = settings[(i + 1) % settings.len()].clone());
    }
    let shifted_policies = Wasm::policies(judge, &shifted)?;
    let mut right: [Box<dyn Engine>; 3] =
        [Box::new(Wasm::new("components", judge)), Box::new(Rego::new(&wanted)?), Box::new(Cedar::new(&wanted)?)];
    let mut wrong: [Box<dyn Engine>; 3] =
        [Box::new(Wasm::new("components", judge)), Box::new(Rego::new(&shifted)?), Box::new(Cedar::new(&shifted)?)];
    for (right, wrong) in right.iter_mut().zip(&mut wrong) {
        let differ = differences(&native, &all_of(right.as_mut(), &policies, &questions));
        if let Some((q, p, what)) = differ.first() {
            let (question, policy) = (&questions[*q], &wanted[*p]);
            return Err(format!(
                "{} says otherwise {} times, first of {policy:?}:\n      {what}\n  to {question:#?}",
                right.name(),
                differ.len()
            )
            .into());
        }
        let told: BTreeSet<usize> =
            differences(&native, &all_of(wrong.as_mut(), &shifted_policies, &questions)).iter().map(|(_, p, _)| *p).collect();
        if told.len() != wanted.len() {
            return Err(format!("the questions do not tell other settings of {} from the right ones: {told:?}", wrong.name()).into());
        }
    }
    println!(
        "{} questions to {} policies: components, regorus and cedar-policy say what the native functions say, all {} rules violated among\n\
         them; each engine with other settings is told apart.\n",
        questions.len(),
        wanted.len(),
        RULES.len()
    );
    Ok(())
}
