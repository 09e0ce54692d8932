//! The one checker: where record and kernel disagree. Property tests, crash tests, start-up and `doctor` all ask it.

use crate::endpoint::{Endpoint, EndpointState};
use crate::host::{Host, HostLink, IfIndex};
use crate::network::{Network, NetworkState};
use crate::observed::{InsideLink, NetnsSeen, Observed};
use crate::parent::{Origin, Parent, ParentState};
use crate::state::State;
use ipnet::IpNet;
use std::collections::BTreeSet;
use std::fmt;

/// One thing on which record and kernel disagree.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Disagreement {
    /// What it is about: a parent's link, an endpoint's id.
    pub subject: String,
    /// What is on record and what was seen.
    pub text: String,
}

impl fmt::Display for Disagreement {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.subject, self.text)
    }
}

fn say(subject: impl fmt::Display, text: impl Into<String>) -> Disagreement {
    Disagreement { subject: subject.to_string(), text: text.into() }
}

/// First and last index of the range that [`Ids::link_index`](crate::ids::Ids::link_index) draws from.
const OUR_INDEXES: std::ops::RangeInclusive<u32> = 0x2000_0000..=0x3fff_ffff;

/// Whether an index is from our private range: a hint that we made the link.
pub fn is_our_index(index: IfIndex) -> bool {
    OUR_INDEXES.contains(&index.0)
}

/// All disagreements between what is on record and what was seen, and all of the record with itself. Empty when nothing is
/// under way and all is well. Namespaces that were not examined are passed over.
pub fn faults(state: &State, observed: &Observed) -> Vec<Disagreement> {
    let mut out = record_faults(state);
    out.extend(state.plans().map(|p| say(p.id, format!("the plan for {:?} is still open", p.purpose))));
    for parent in state.parents() {
        match parent.find(&observed.host) {
            None => out.push(say(&parent.link, "is on record, but not on the host")),
            Some(link) => out.extend(parent_faults(parent, link).into_iter().map(|t| say(&parent.link, t))),
        }
    }
    for link in observed.host.links.values().filter(|l| is_our_index(l.index)) {
        if !state.parents().any(|p| p.is(link, &observed.host)) {
            out.push(say(&link.name, "is on the host with an index of ours, but on no record"));
        }
    }
    for (id, seen) in &observed.namespaces {
        let on_record: Vec<_> = state.in_netns(*id).collect();
        let links = match seen {
            NetnsSeen::Unknown(_) => continue,
            NetnsSeen::Gone => {
                out.extend(on_record.iter().map(|e| say(e.id, "is on record, but its namespace is gone")));
                continue;
            }
            NetnsSeen::There(links) => links,
        };
        for endpoint in &on_record {
            let Some(network) = state.network_by_id(endpoint.network) else { continue };
            let Some(parent) = state.parent(network.parent) else { continue };
            match links.iter().find(|l| l.index == endpoint.index) {
                None => out.push(say(endpoint.id, format!("is on record, but its namespace has no link {}", endpoint.index))),
                Some(link) => out.extend(endpoint_faults(endpoint, network, parent, link).into_iter().map(|t| say(endpoint.id, t))),
            }
        }
        for link in links.iter().filter(|l| l.ipvlan.is_some() && is_our_index(l.index)) {
            if !on_record.iter().any(|e| e.index == link.index) {
                out.push(say(&link.name, format!("is in namespace {} with an index of ours, but on no record", id.cookie)));
            }
        }
    }
    out
}

/// What an operator should know of: all that is on record and not as it should be, by the host's mirror alone (what is inside
/// namespaces is looked at in turn, and what is wrong there makes an endpoint fail).
pub fn complaints(state: &State, host: &Host) -> Vec<Disagreement> {
    let mut out = Vec::new();
    for parent in state.parents().filter(|p| p.open_plan().is_none()) {
        let Some(link) = parent.find(host) else {
            out.push(say(&parent.link, "is away"));
            continue;
        };
        out.extend(parent_faults(parent, link).into_iter().map(|t| say(&parent.link, t)));
        let bypass = link.shield.bypassed_by.as_ref().filter(|_| parent.shield);
        out.extend(bypass.map(|by| say(&parent.link, format!("has its shield bypassed by {by}"))));
    }
    for network in state.networks() {
        if let NetworkState::Degraded { why } = &network.state {
            out.push(say(format!("network {}", network.name), format!("is degraded: {why}")));
        }
    }
    for endpoint in state.endpoints() {
        if let EndpointState::Failed { why, .. } = &endpoint.state {
            let subject = format!("endpoint {} ({})", endpoint.id, endpoint.workload.name);
            out.push(say(subject, format!("could not be made again: {why}")));
        }
    }
    out.extend(host.missing.iter().map(|m| say("the kernel", format!("lacks {m}"))));
    out
}

/// In what a parent's link differs from the record.
pub fn parent_faults(parent: &Parent, link: &HostLink) -> Vec<String> {
    let mut out = Vec::new();
    if link.index != parent.index {
        out.push(format!("has index {}, on record is {}", link.index, parent.index));
    }
    if parent.origin == Origin::Ours && !link.up {
        out.push("is down".into());
    }
    if let Some(mtu) = parent.mtu.filter(|m| *m != link.mtu) {
        out.push(format!("has MTU {}, on record is {mtu}", link.mtu));
    }
    let wanted = parent.shield_halves();
    if (wanted.egress && !link.shield.egress) || (wanted.ingress && !link.shield.ingress) {
        out.push("lacks its shield".into());
    }
    out
}

/// In what an endpoint's link differs from the record.
pub fn endpoint_faults(endpoint: &Endpoint, network: &Network, parent: &Parent, link: &InsideLink) -> Vec<String> {
    let mut out = endpoint_lacks(endpoint, network, parent, link);
    let wanted = wanted_addresses(endpoint, network);
    let more = link.addresses.iter().filter(|a| !wanted.contains(a));
    out.extend(more.map(|a| format!("has address {a}, which is on no record")));
    out
}

fn wanted_addresses(endpoint: &Endpoint, network: &Network) -> BTreeSet<IpNet> {
    let with_prefix = |a: &crate::endpoint::Assigned| IpNet::new(a.address, network.subnets.get(a.subnet)?.cidr.prefix_len()).ok();
    endpoint.addresses.iter().filter_map(with_prefix).collect()
}

/// What an endpoint's link lacks; what a workload added to it does not count.
pub fn endpoint_lacks(endpoint: &Endpoint, network: &Network, parent: &Parent, link: &InsideLink) -> Vec<String> {
    let mut out = Vec::new();
    match link.ipvlan {
        None => out.push("its link is no ipvlan link of this host".into()),
        Some((mode, flag, on)) => {
            if on != parent.index {
                out.push(format!("its link hangs on link {on}, on record is {}", parent.index));
            }
            if (mode, flag) != (network.mode, network.flag) {
                out.push(format!("is in mode {mode} {flag}, on record is {} {}", network.mode, network.flag));
            }
        }
    }
    if !link.up {
        out.push("is down".into());
    }
    if let Some(mtu) = network.mtu.filter(|m| *m != link.mtu) {
        out.push(format!("has MTU {}, on record is {mtu}", link.mtu));
    }
    let seen: BTreeSet<IpNet> = link.addresses.iter().copied().collect();
    out.extend(wanted_addresses(endpoint, network).difference(&seen).map(|a| format!("lacks address {a}")));
    for route in endpoint.routes.iter().filter(|r| !link.routes.contains(r)) {
        out.push(format!("lacks the route to {}", route.0));
    }
    out
}

/// Where the record contradicts itself: the ipam rule said a second time, and names that lead nowhere.
pub fn record_faults(state: &State) -> Vec<Disagreement> {
    let mut out = Vec::new();
    for network in state.networks() {
        let Some(parent) = state.parent(network.parent) else {
            out.push(say(&network.name, "has no parent on record"));
            continue;
        };
        if (parent.mode, parent.flag) != (network.mode, network.flag) {
            out.push(say(&network.name, format!("is {} {}, its parent {} {}", network.mode, network.flag, parent.mode, parent.flag)));
        }
        if let Some(plan) = network.open_plan().filter(|p| state.plan(*p).is_none()) {
            out.push(say(&network.name, format!("waits for plan {plan}, which is not open")));
        }
        let mut taken = BTreeSet::new();
        for endpoint in state.endpoints_of(network.id) {
            for a in &endpoint.addresses {
                let Some(subnet) = network.subnets.get(a.subnet) else {
                    out.push(say(endpoint.id, format!("has an address of subnet {}, which there is not", a.subnet)));
                    continue;
                };
                let (low, high) = crate::ipam::usable(&subnet.cidr);
                let n = crate::ipam::number(a.address);
                if a.address.is_ipv4() != subnet.cidr.addr().is_ipv4() || !(low..=high).contains(&n) {
                    out.push(say(endpoint.id, format!("{} is no usable address of {}", a.address, subnet.cidr)));
                }
                if subnet.gateway == Some(a.address) || subnet.reserved.values().any(|r| *r == a.address) {
                    out.push(say(endpoint.id, format!("{} is reserved or the gateway", a.address)));
                }
                if !taken.insert(a.address) {
                    out.push(say(endpoint.id, format!("{} is given out twice", a.address)));
                }
                if state.pool(network.id, a.subnet).is_some_and(|p| p.is_free(a.address)) {
                    out.push(say(endpoint.id, format!("{} is taken, but counts as free", a.address)));
                }
            }
        }
    }
    for parent in state.parents() {
        if state.networks_of(parent.id).next().is_none() {
            out.push(say(&parent.link, "is a parent of no network"));
        }
        if matches!(parent.state, ParentState::Lost) {
            out.push(say(&parent.link, "is lost"));
        }
    }
    for network in state.networks() {
        if let NetworkState::Degraded { why } = &network.state {
            out.push(say(&network.name, format!("is degraded: {why}")));
        }
    }
    for endpoint in state.endpoints() {
        if let EndpointState::Failed { why, .. } = &endpoint.state {
            out.push(say(endpoint.id, format!("has failed: {why}")));
        }
        if let Some(plan) = endpoint.open_plan().filter(|p| state.plan(*p).is_none()) {
            out.push(say(endpoint.id, format!("waits for plan {plan}, which is not open")));
        }
    }
    out
}
