//! The core's types to the contract's, and back.

use crate::bindings::contract as wit;
use bulkhead_core::host::Mode;
use bulkhead_core::policy as core;

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

fn labels(labels: &[core::Label]) -> Vec<wit::Label> {
    let label = |l: &core::Label| wit::Label {
        key: l.key.clone(),
        value: l.value.clone(),
        provenance: match l.provenance {
            core::Provenance::Asserted => wit::Provenance::Asserted,
            core::Provenance::Runtime => wit::Provenance::Runtime,
            core::Provenance::Unknown => wit::Provenance::Unknown,
        },
    };
    labels.iter().map(label).collect()
}

fn network(network: &core::NetworkView) -> wit::Network {
    let subnet = |s: &core::SubnetView| wit::Subnet { cidr: s.cidr.clone(), gateway: s.gateway.clone(), ip_range: s.ip_range.clone() };
    wit::Network {
        name: network.name.clone(),
        mode: match network.mode {
            Mode::L2 => wit::Mode::L2,
            Mode::L3 => wit::Mode::L3,
            Mode::L3s => wit::Mode::L3s,
        },
        parent: network.parent.clone(),
        fabric: network.fabric.clone(),
        vlan: network.vlan,
        internal: network.internal,
        subnets: network.subnets.iter().map(subnet).collect(),
        labels: labels(&network.labels),
        endpoints: network.endpoints,
        facts: labels(&network.facts),
    }
}

fn groups(groups: &[core::Group]) -> Vec<wit::Group> {
    let group = |g: &core::Group| wit::Group {
        network_labels: labels(&g.network_labels),
        workload_labels: labels(&g.workload_labels),
        networks: g.networks,
        endpoints: g.endpoints,
        examples: g.examples.clone(),
    };
    groups.iter().map(group).collect()
}

fn workload(workload: &core::WorkloadView) -> wit::Workload {
    wit::Workload {
        id: workload.id.clone(),
        name: workload.name.clone(),
        labels: labels(&workload.labels),
        capabilities: workload.capabilities.clone(),
        attached: groups(&workload.attached),
        facts: labels(&workload.facts),
    }
}

/// The question as the contract puts it.
pub(crate) fn request(question: &core::Question) -> wit::Request {
    wit::Request {
        operation: operation(question.operation),
        caller: wit::Caller {
            name: question.caller.name.clone(),
            groups: question.caller.groups.clone(),
            door: question.caller.door.clone(),
            networks: question.caller.networks,
        },
        change: wit::Change {
            reason: question.change.reason.clone(),
            ticket: question.change.ticket.clone(),
            approved_by: question.change.approved_by.clone(),
        },
        network: network(&question.network),
        network_before: question.network_before.as_ref().map(network),
        workload: question.workload.as_ref().map(workload),
        workload_before: question.workload_before.as_ref().map(workload),
        addresses: question.addresses.clone(),
        same_segment: groups(&question.same_segment),
        reaches: groups(&question.reaches),
        overlapping: groups(&question.overlapping),
        facts: labels(&question.facts),
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
