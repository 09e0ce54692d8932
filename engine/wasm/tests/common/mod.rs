//! Questions to ask, and the same in the policy SDK's types.
#![allow(dead_code, missing_docs)]

pub mod odd;

use bulkhead_core::host::Mode;
use bulkhead_core::names::Name;
use bulkhead_core::policy::*;
use bulkhead_policy_sdk as sdk;
use bulkhead_wasm::{Limits, WasmJudge};
use std::sync::Arc;

/// A judge that takes little address space: tests run side by side.
pub fn judge() -> WasmJudge {
    judge_with(Limits::default())
}

pub fn judge_with(limits: Limits) -> WasmJudge {
    WasmJudge::new(Limits { calls_at_once: 2, warm_slots: 2, ..limits }).expect("wasmtime starts")
}

/// A policy of a module, as the engine would make it.
pub fn policy(judge: &WasmJudge, module: &Module, settings: &str) -> Policy {
    let settings: serde_json::Value = serde_json::from_str(settings).expect("JSON");
    let description = judge.check_settings(module.digest, &settings).unwrap_or_else(|e| panic!("{settings}: {e}"));
    policy_of(module.digest, description, settings)
}

/// A policy whose settings nobody checked.
pub fn policy_of(module: Digest, description: Arc<Description>, settings: serde_json::Value) -> Policy {
    Policy {
        name: Name::new("tested").expect("a name"),
        module,
        description,
        settings,
        revision: 1,
        mode: PolicyMode::Enforce,
        schedule: None,
        scope: Scope::default(),
        help: Default::default(),
        tests: None,
    }
}

pub fn spoke(judged: Judged) -> Opinion {
    match judged.judgement {
        Judgement::Spoke(opinion) => opinion,
        Judgement::Broke(why) => panic!("broke: {why}"),
    }
}

pub fn broke(judged: Judged) -> String {
    match judged.judgement {
        Judgement::Spoke(opinion) => panic!("spoke: {opinion:?}"),
        Judgement::Broke(why) => why,
    }
}

/// Labels with the one key that the built-ins look at; empty for none.
pub fn tier(value: &str) -> Vec<Label> {
    let one = || Label { key: "tier".into(), value: value.into(), provenance: Provenance::Asserted };
    if value.is_empty() { vec![] } else { vec![one()] }
}

pub fn group(network: &str, workload: &str, networks: u32, endpoints: u32) -> Group {
    let examples = vec![format!("one-of-{network}-{workload}")];
    Group { network_labels: tier(network), workload_labels: tier(workload), networks, endpoints, examples }
}

/// An attach, or a create where there is no workload.
pub fn question(network: &str, workload: Option<&str>, vlan: Option<u16>, cidr: &str) -> Question {
    let parent = match vlan {
        Some(vlan) => format!("eth0.{vlan}"),
        None => "eth0".into(),
    };
    Question {
        operation: if workload.is_some() { Operation::Attach } else { Operation::CreateNetwork },
        caller: CallerView { name: "uid:1000".into(), groups: vec!["ops".into(), "dev".into()], door: "rest".into(), networks: 3 },
        change: Change { reason: Some("a test".into()), ticket: None, approved_by: None },
        network: NetworkView {
            name: "shop".into(),
            mode: Mode::L2,
            parent: Some(parent),
            fabric: Some("default".into()),
            vlan,
            internal: false,
            subnets: vec![SubnetView { cidr: cidr.into(), gateway: Some("10.40.0.1".into()), ip_range: None }],
            labels: tier(network),
            endpoints: 7,
            facts: vec![],
        },
        network_before: None,
        workload: workload.map(|own| WorkloadView {
            id: "0123456789abcdef".into(),
            name: "till-1".into(),
            labels: tier(own),
            capabilities: Some(vec!["NET_RAW".into()]),
            attached: vec![],
            facts: vec![],
        }),
        workload_before: None,
        addresses: vec!["10.40.0.7".into()],
        same_segment: vec![],
        reaches: vec![],
        overlapping: vec![],
        facts: vec![],
    }
}

fn labels(labels: &[Label]) -> Vec<sdk::Label> {
    let provenance = |p| match p {
        Provenance::Asserted => sdk::Provenance::Asserted,
        Provenance::Runtime => sdk::Provenance::Runtime,
        Provenance::Unknown => sdk::Provenance::Unknown,
    };
    labels.iter().map(|l| sdk::Label { key: l.key.clone(), value: l.value.clone(), provenance: provenance(l.provenance) }).collect()
}

fn groups(groups: &[Group]) -> Vec<sdk::Group> {
    let group = |g: &Group| sdk::Group {
        network_labels: labels(&g.network_labels),
        workload_labels: labels(&g.workload_labels),
        networks: g.networks,
        endpoints: g.endpoints,
        examples: g.examples.clone(),
    };
    groups.iter().map(group).collect()
}

fn network(n: &NetworkView) -> sdk::Network {
    let subnet = |s: &SubnetView| sdk::Subnet { cidr: s.cidr.clone(), gateway: s.gateway.clone(), ip_range: s.ip_range.clone() };
    sdk::Network {
        name: n.name.clone(),
        mode: match n.mode {
            Mode::L2 => sdk::Mode::L2,
            Mode::L3 => sdk::Mode::L3,
            Mode::L3s => sdk::Mode::L3s,
        },
        parent: n.parent.clone(),
        fabric: n.fabric.clone(),
        vlan: n.vlan,
        internal: n.internal,
        subnets: n.subnets.iter().map(subnet).collect(),
        labels: labels(&n.labels),
        endpoints: n.endpoints,
        facts: labels(&n.facts),
    }
}

fn workload(w: &WorkloadView) -> sdk::Workload {
    sdk::Workload {
        id: w.id.clone(),
        name: w.name.clone(),
        labels: labels(&w.labels),
        capabilities: w.capabilities.clone(),
        attached: groups(&w.attached),
        facts: labels(&w.facts),
    }
}

/// The question as a natively built policy takes it.
pub fn native(q: &Question) -> sdk::Request {
    sdk::Request {
        operation: match q.operation {
            Operation::CreateNetwork => sdk::Operation::CreateNetwork,
            Operation::ChangeNetwork => sdk::Operation::ChangeNetwork,
            Operation::DeleteNetwork => sdk::Operation::DeleteNetwork,
            Operation::Attach => sdk::Operation::Attach,
            Operation::ChangeWorkload => sdk::Operation::ChangeWorkload,
            Operation::Detach => sdk::Operation::Detach,
        },
        caller: sdk::Caller {
            name: q.caller.name.clone(),
            groups: q.caller.groups.clone(),
            door: q.caller.door.clone(),
            networks: q.caller.networks,
        },
        change: sdk::Change { reason: q.change.reason.clone(), ticket: q.change.ticket.clone(), approved_by: q.change.approved_by.clone() },
        network: network(&q.network),
        network_before: q.network_before.as_ref().map(network),
        workload: q.workload.as_ref().map(workload),
        workload_before: q.workload_before.as_ref().map(workload),
        addresses: q.addresses.clone(),
        same_segment: groups(&q.same_segment),
        reaches: groups(&q.reaches),
        overlapping: groups(&q.overlapping),
        facts: labels(&q.facts),
    }
}

pub fn violations(violations: Vec<sdk::Violation>) -> Vec<Violation> {
    let violation = |v: sdk::Violation| Violation { rule: v.rule, message: v.message, field: v.field, remedy: v.remedy };
    violations.into_iter().map(violation).collect()
}

/// A natively built policy's opinion in the core's types.
pub fn from_native(opinion: sdk::Opinion) -> Opinion {
    Opinion {
        outcome: match opinion.outcome {
            sdk::Outcome::NotApplicable => Conclusion::NotApplicable,
            sdk::Outcome::Allow => Conclusion::Allow,
            sdk::Outcome::Deny => Conclusion::Deny,
        },
        violations: violations(opinion.violations),
        warnings: opinion.warnings,
        notes: opinion.notes,
    }
}
