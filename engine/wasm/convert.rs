//! The core's types to the contract's, and back.

use crate::bindings::contract as wit;
use bulkhead_core::host::Mode;
use bulkhead_core::policy as core;
use bumpalo::Bump;

fn operation(operation: core::Operation) -> wit::Operation {
    match operation {
        core::Operation::CreateNetwork => wit::Operation::CreateNetwork,
        core::Operation::ChangeNetwork => wit::Operation::ChangeNetwork,
        core::Operation::DeleteNetwork => wit::Operation::DeleteNetwork,
        core::Operation::Attach => wit::Operation::Attach,
        core::Operation::ChangeWorkload => wit::Operation::ChangeWorkload,
        core::Operation::Detach => wit::Operation::Detach,
    }
}

fn labels<'a>(lists: &'a Bump, labels: &'a [core::Label]) -> &'a [wit::Label<'a>] {
    lists.alloc_slice_fill_iter(labels.iter().map(|l| wit::Label {
        key: &l.key,
        value: &l.value,
        provenance: match l.provenance {
            core::Provenance::Asserted => wit::Provenance::Asserted,
            core::Provenance::Runtime => wit::Provenance::Runtime,
            core::Provenance::Unknown => wit::Provenance::Unknown,
        },
    }))
}

fn texts<'a>(lists: &'a Bump, texts: &'a [String]) -> &'a [&'a str] {
    lists.alloc_slice_fill_iter(texts.iter().map(String::as_str))
}

fn network<'a>(lists: &'a Bump, network: &'a core::NetworkView) -> wit::Network<'a> {
    let subnet = |s: &'a core::SubnetView| wit::Subnet { cidr: &s.cidr, gateway: s.gateway.as_deref(), ip_range: s.ip_range.as_deref() };
    wit::Network {
        name: &network.name,
        mode: match network.mode {
            Mode::L2 => wit::Mode::L2,
            Mode::L3 => wit::Mode::L3,
            Mode::L3s => wit::Mode::L3s,
        },
        parent: network.parent.as_deref(),
        fabric: network.fabric.as_deref(),
        vlan: network.vlan,
        internal: network.internal,
        subnets: lists.alloc_slice_fill_iter(network.subnets.iter().map(subnet)),
        labels: labels(lists, &network.labels),
        endpoints: network.endpoints,
        facts: labels(lists, &network.facts),
    }
}

fn groups<'a>(lists: &'a Bump, groups: &'a [core::Group]) -> &'a [wit::Group<'a>] {
    lists.alloc_slice_fill_iter(groups.iter().map(|g| wit::Group {
        network_labels: labels(lists, &g.network_labels),
        workload_labels: labels(lists, &g.workload_labels),
        networks: g.networks,
        endpoints: g.endpoints,
        examples: texts(lists, &g.examples),
    }))
}

fn workload<'a>(lists: &'a Bump, workload: &'a core::WorkloadView) -> wit::Workload<'a> {
    wit::Workload {
        id: &workload.id,
        name: &workload.name,
        labels: labels(lists, &workload.labels),
        capabilities: workload.capabilities.as_deref().map(|c| texts(lists, c)),
        attached: groups(lists, &workload.attached),
        facts: labels(lists, &workload.facts),
    }
}

/// The question as the contract puts it. Its texts are the question's own; its lists live in `lists`.
pub(crate) fn request<'a>(lists: &'a Bump, question: &'a core::Question) -> wit::Request<'a> {
    wit::Request {
        operation: operation(question.operation),
        caller: wit::Caller {
            name: &question.caller.name,
            groups: texts(lists, &question.caller.groups),
            door: &question.caller.door,
            networks: question.caller.networks,
        },
        change: wit::Change {
            reason: question.change.reason.as_deref(),
            ticket: question.change.ticket.as_deref(),
            approved_by: question.change.approved_by.as_deref(),
        },
        network: network(lists, &question.network),
        network_before: question.network_before.as_ref().map(|n| network(lists, n)),
        workload: question.workload.as_ref().map(|w| workload(lists, w)),
        workload_before: question.workload_before.as_ref().map(|w| workload(lists, w)),
        addresses: texts(lists, &question.addresses),
        same_segment: groups(lists, &question.same_segment),
        reaches: groups(lists, &question.reaches),
        overlapping: groups(lists, &question.overlapping),
        facts: labels(lists, &question.facts),
    }
}

/// Violations as the core keeps them.
pub(crate) fn violations(violations: Vec<wit::Violation>) -> Vec<core::Violation> {
    let violation = |v: wit::Violation| core::Violation { rule: v.rule, message: v.message, field: v.field, remedy: v.remedy };
    violations.into_iter().map(violation).collect()
}

/// The opinion as the core keeps it.
pub(crate) fn opinion(opinion: wit::Opinion) -> core::Opinion {
    core::Opinion {
        outcome: match opinion.outcome {
            wit::Outcome::NotApplicable => core::Conclusion::NotApplicable,
            wit::Outcome::Allow => core::Conclusion::Allow,
            wit::Outcome::Deny => core::Conclusion::Deny,
        },
        violations: violations(opinion.violations),
        warnings: opinion.warnings,
        notes: opinion.notes,
    }
}

/// The description as the core keeps it.
pub(crate) fn description(description: wit::Description) -> core::Description {
    let operation = |o: wit::Operation| match o {
        wit::Operation::CreateNetwork => core::Operation::CreateNetwork,
        wit::Operation::ChangeNetwork => core::Operation::ChangeNetwork,
        wit::Operation::DeleteNetwork => core::Operation::DeleteNetwork,
        wit::Operation::Attach => core::Operation::Attach,
        wit::Operation::ChangeWorkload => core::Operation::ChangeWorkload,
        wit::Operation::Detach => core::Operation::Detach,
    };
    let view = |v: wit::View| match v {
        wit::View::Attached => core::View::Attached,
        wit::View::SameSegment => core::View::SameSegment,
        wit::View::Reaches => core::View::Reaches,
        wit::View::Overlapping => core::View::Overlapping,
    };
    core::Description {
        name: description.name,
        version: description.version,
        summary: description.summary,
        operations: description.operations.into_iter().map(operation).collect(),
        rules: description.rules.into_iter().map(|r| core::Rule { id: r.id, summary: r.summary, controls: r.controls }).collect(),
        label_keys: description.label_keys,
        needs: description.needs.into_iter().map(view).collect(),
        settings_schema: description.settings_schema,
    }
}
