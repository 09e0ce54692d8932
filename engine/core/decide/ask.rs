//! The question that is put to each policy: what is asked, and what it would live beside, grouped by what the policy looks at.

use super::Basis;
use crate::caller::Caller;
use crate::endpoint::Endpoint;
use crate::host::VlanId;
use crate::names::Labels;
use crate::network::{DnsForward, Network, ShieldWish};
use crate::parent::{Parent, ParentKind};
use crate::policy::{
    CallerView, Change, Group, Heard, Label, NetworkView, Operation, Policy, Provenance, Question, SubnetView, View, WorkloadView,
};
use crate::record::Edit;
use crate::request::Asked;
use crate::segment::{EXAMPLES_MAX, Fabric, GroupKey, Reach, Residents, Segment, reach};
use crate::state::State;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// Asks every policy in scope about an operation on a network.
pub fn about_network(basis: Basis<'_>, asked: &Asked, operation: Operation, network: &Network, parent: &Parent) -> Vec<Heard> {
    put(basis, asked, operation, network, parent, None, Before::default())
}

/// What a thing is before it changes.
#[derive(Debug, Clone, Copy, Default)]
pub struct Before<'a> {
    /// The network, and how many endpoints it has.
    pub network: Option<(&'a Network, u32)>,
    /// The endpoint, with its workload.
    pub endpoint: Option<&'a Endpoint>,
}

/// Asks every policy in scope about a change of a network.
pub fn about_change_of_network(basis: Basis<'_>, asked: &Asked, before: &Network, after: &Network, parent: &Parent) -> Vec<Heard> {
    let endpoints = u32::try_from(basis.state.endpoint_count(before.id)).unwrap_or(u32::MAX);
    let before = Before { network: Some((before, endpoints)), endpoint: None };
    // It is shown beside everything else. Its own endpoints are asked about one by one.
    let mut others = basis.state.clone();
    others.apply(&Edit::DropNetwork(after.id));
    let basis = Basis { state: &others, ..basis };
    put(basis, asked, Operation::ChangeNetwork, after, parent, None, before)
}

/// Asks every policy in scope about a change of a workload, as it is on one of its networks. `basis` has everything else as it would
/// be, but not the endpoint.
pub fn about_change_of_workload(
    basis: Basis<'_>,
    asked: &Asked,
    (before, after): (&Endpoint, &Endpoint),
    network: &Network,
    parent: &Parent,
) -> Vec<Heard> {
    let before = Before { network: None, endpoint: Some(before) };
    put(basis, asked, Operation::ChangeWorkload, network, parent, Some(after), before)
}

/// Asks every policy in scope about an operation on an endpoint.
pub fn about_endpoint(
    basis: Basis<'_>,
    asked: &Asked,
    operation: Operation,
    endpoint: &Endpoint,
    network: &Network,
    parent: &Parent,
) -> Vec<Heard> {
    put(basis, asked, operation, network, parent, Some(endpoint), Before::default())
}

fn put(
    basis: Basis<'_>,
    asked: &Asked,
    operation: Operation,
    network: &Network,
    parent: &Parent,
    endpoint: Option<&Endpoint>,
    before: Before<'_>,
) -> Vec<Heard> {
    let in_scope = basis.state.policies().filter(|p| p.in_scope(asked.now, operation, network.name.as_str(), &network.labels));
    let put: Vec<(&Policy, Question)> = in_scope
        .map(|policy| {
            let mut question = question(basis, (&asked.caller, &asked.change), operation, network, parent, endpoint, policy);
            if let Some((network, endpoints)) = before.network {
                question.network.endpoints = endpoints;
                question.network_before = Some(NetworkView { endpoints, ..network_view(basis, network, parent) });
            }
            question.workload_before = before.endpoint.map(|e| workload_view(basis, e, &policy.keys(), false));
            (&**policy, question)
        })
        .collect();
    let answers = basis.judge.judge_all(&put);
    put.into_iter().zip(answers).map(|((policy, question), judged)| Heard::of(policy, asked.now, question, judged)).collect()
}

/// What one policy is shown.
pub(crate) fn question(
    basis: Basis<'_>,
    (caller, change): (&Caller, &Change),
    operation: Operation,
    network: &Network,
    parent: &Parent,
    endpoint: Option<&Endpoint>,
    policy: &Policy,
) -> Question {
    let keys = policy.keys();
    let needs = |view: View| policy.description.needs.contains(&view);
    let segment = parent.segment();
    let state = basis.state;
    let same_segment = if needs(View::SameSegment) { groups(&keys, state.residents(&segment)) } else { Vec::new() };
    let reaches = if needs(View::Reaches) {
        groups(&keys, reached(basis, network, parent).iter().flat_map(|s| state.residents(s)))
    } else {
        Vec::new()
    };
    let overlapping = if needs(View::Overlapping) {
        groups(&keys, overlapping_networks(state, network).flat_map(|n| state.residents_of(n.id)))
    } else {
        Vec::new()
    };
    Question {
        operation,
        caller: CallerView {
            name: caller.name.clone(),
            groups: caller.groups.clone(),
            door: caller.door.clone(),
            networks: state.networks_made_by(&caller.name),
        },
        change: change.clone(),
        network: network_view(basis, network, parent),
        network_before: None,
        workload: endpoint.map(|e| workload_view(basis, e, &keys, needs(View::Attached))),
        workload_before: None,
        addresses: endpoint.map(|e| e.addresses.iter().map(|a| a.address.to_string()).collect()).unwrap_or_default(),
        same_segment,
        reaches,
        overlapping,
        facts: Vec::new(),
    }
}

/// The segments that `network` reaches or that reach it.
pub(super) fn reached(basis: Basis<'_>, network: &Network, parent: &Parent) -> Vec<Segment> {
    let shielded = is_shielded(basis, network, parent);
    basis.state.reached(&parent.segment(), network.mode, shielded, |p| p.is_shielded(basis.host))
}

/// Networks whose subnets overlap those of `network`. All of them are elsewhere: on one segment no two networks may overlap.
pub(super) fn overlapping_networks<'a>(state: &'a State, network: &'a Network) -> impl Iterator<Item = &'a Arc<Network>> {
    state.overlapping(network.subnets.iter().map(|s| &s.cidr)).filter(|other| other.id != network.id)
}

/// Whether the network's parent is shielded once the network is there.
fn is_shielded(basis: Basis<'_>, network: &Network, parent: &Parent) -> bool {
    // The shield of a parent that comes with this network is not up yet; its plan puts it up before the first link.
    let is_new = basis.state.parent(parent.id).is_none();
    let bypassed = parent.find(basis.host).is_some_and(|l| l.shield.bypassed_by.is_some());
    network.shield == ShieldWish::On && if is_new { !bypassed } else { parent.is_shielded(basis.host) }
}

fn network_view(basis: Basis<'_>, network: &Network, parent: &Parent) -> NetworkView {
    let vlan = match parent.kind {
        ParentKind::Vlan { vlan, .. } => Some(vlan),
        ParentKind::Link { .. } | ParentKind::Dummy => None,
    };
    NetworkView {
        name: network.name.to_string(),
        mode: network.mode,
        parent: network.parent_asked.clone(),
        fabric: match &parent.fabric {
            Fabric::Wired(name) => Some(name.to_string()),
            Fabric::Alone(_) => None,
        },
        vlan: vlan.map(VlanId::get),
        internal: parent.kind == ParentKind::Dummy,
        subnets: network
            .subnets
            .iter()
            .map(|s| SubnetView {
                cidr: s.cidr.to_string(),
                gateway: s.gateway.map(|g| g.to_string()),
                ip_range: s.ip_range.map(|r| r.to_string()),
            })
            .collect(),
        labels: labels(&network.labels, Provenance::Asserted),
        endpoints: u32::try_from(basis.state.endpoint_count(network.id)).unwrap_or(u32::MAX),
        facts: network_facts(network, reach(&parent.segment(), network.mode, is_shielded(basis, network, parent))),
    }
}

/// What was asked for that not every network has; a policy that minds a way out by names asks here.
fn network_facts(network: &Network, reach: Reach) -> Vec<Label> {
    let forward = match network.dns_forward {
        DnsForward::Auto => None,
        DnsForward::On => Some("on"),
        DnsForward::Off => Some("off"),
    };
    let forward = forward.map(|value| fact("dns.forward", value, Provenance::Asserted));
    let reaches = matches!(reach, Reach::EveryVlan(_)).then(|| fact("reaches", "every-vlan", Provenance::Runtime));
    forward.into_iter().chain(reaches).collect()
}

fn workload_view(basis: Basis<'_>, endpoint: &Endpoint, keys: &BTreeSet<String>, attached: bool) -> WorkloadView {
    let workload = &endpoint.workload;
    let others = basis.state.in_netns(endpoint.netns.id).filter(|e| e.id != endpoint.id && attached);
    let residents: Vec<(GroupKey, Residents)> = others
        .filter_map(|e| {
            let network = basis.state.network_by_id(e.network)?;
            let key = GroupKey { network: network.labels.clone(), workload: e.workload.labels.clone() };
            Some((key, Residents { networks: 0, endpoints: 1, examples: vec![network.name.to_string()] }))
        })
        .collect();
    WorkloadView {
        id: workload.id.clone(),
        name: workload.name.clone(),
        labels: labels(&workload.labels, workload.provenance),
        capabilities: workload.capabilities.map(Vec::from),
        attached: groups(keys, residents.iter().map(|(k, r)| (k, r))),
        // The only door there is hands on what its client says.
        facts: workload.capabilities.iter().map(|_| fact("capabilities", "reported", Provenance::Asserted)).collect(),
    }
}

/// Residents grouped by the keys that one policy looks at: sums of the state's finer groups.
fn groups<'a>(keys: &BTreeSet<String>, residents: impl Iterator<Item = (&'a GroupKey, &'a Residents)>) -> Vec<Group> {
    let mut sums: BTreeMap<GroupKey, Residents> = BTreeMap::new();
    for (key, residents) in residents {
        let key = GroupKey { network: key.network.project(keys), workload: key.workload.project(keys) };
        let sum = sums.entry(key).or_default();
        sum.networks += residents.networks;
        sum.endpoints += residents.endpoints;
        let room = EXAMPLES_MAX.saturating_sub(sum.examples.len());
        sum.examples.extend(residents.examples.iter().take(room).cloned());
    }
    sums.into_iter()
        .map(|(key, sum)| Group {
            network_labels: labels(&key.network, Provenance::Asserted),
            workload_labels: labels(&key.workload, Provenance::Asserted),
            networks: sum.networks,
            endpoints: sum.endpoints,
            examples: sum.examples,
        })
        .collect()
}

fn fact(key: &str, value: &str, provenance: Provenance) -> Label {
    Label { key: key.into(), value: value.into(), provenance }
}

fn labels(labels: &Labels, provenance: Provenance) -> Vec<Label> {
    labels.iter().map(|(key, value)| Label { key: key.to_owned(), value: value.to_owned(), provenance }).collect()
}
