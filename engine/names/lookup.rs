//! What a workload may look up: the endpoints of the networks that it is attached to itself. Pure.

use bulkhead_core::directory::can_be_asked;
use bulkhead_core::endpoint::{Endpoint, EndpointState, NetnsId};
use bulkhead_core::ids::EndpointId;
use bulkhead_core::network::{DnsForward, Network};
use bulkhead_core::state::State;
use std::net::IpAddr;
use std::sync::Arc;

/// Addresses that one answer has at most; of more endpoints with one alias, the first.
const ADDRESSES_MAX: usize = 64;

/// What is there under a name or address.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Found<T> {
    /// This.
    There(Vec<T>),
    /// Nothing, and nobody else is to be asked.
    Nothing,
    /// A name or address from outside.
    Outside,
}

/// The networks that a namespace is attached to, in the order of its attaches.
pub fn networks(state: &State, netns: NetnsId) -> Vec<&Arc<Network>> {
    state.in_netns(netns).filter(|e| is_there(e)).filter_map(|e| state.network_by_id(e.network)).collect()
}

fn is_there(endpoint: &Endpoint) -> bool {
    endpoint.state == EndpointState::Attached
}

/// The addresses of a name, which is in lower case and without its last dot. First `name.network`, as a network's name is unique
/// and nobody can take it by naming an endpoint so; then names of endpoints; then what several may share: aliases and names of
/// workloads. Where two networks have the same name, that of the earlier attach answers, and `name.network` tells them apart.
pub fn addresses(state: &State, networks: &[&Arc<Network>], name: &str) -> Found<IpAddr> {
    let mut is_below_a_network = false;
    for network in networks {
        let Some(head) = below(name, network.name.as_str()) else { continue };
        is_below_a_network = true;
        let own = all(state, state.directory().own(network.id, head));
        let found = if own.is_empty() { all(state, state.directory().shared(network.id, head)) } else { own };
        if !found.is_empty() {
            return Found::There(found);
        }
    }
    let own = networks.iter().map(|n| all(state, state.directory().own(n.id, name)));
    let shared = networks.iter().map(|n| all(state, state.directory().shared(n.id, name)));
    match own.chain(shared).find(|found| !found.is_empty()) {
        Some(found) => Found::There(found),
        // A name of one label is nobody's outside, and what is below a network's name is that network's to say.
        None if is_below_a_network || !name.contains('.') => Found::Nothing,
        None => Found::Outside,
    }
}

/// `a.b` below `b` is `a`.
fn below<'a>(name: &'a str, network: &str) -> Option<&'a str> {
    let at = name.len().checked_sub(network.len()).filter(|at| *at > 1 && name.is_char_boundary(*at))?;
    let (head, tail) = name.split_at(at);
    if tail.eq_ignore_ascii_case(network) { head.strip_suffix('.') } else { None }
}

fn all(state: &State, ids: impl Iterator<Item = EndpointId>) -> Vec<IpAddr> {
    let endpoints = ids.filter_map(|id| state.endpoint_by_id(id)).filter(|e| is_there(e));
    endpoints.flat_map(|e| e.addresses.iter().map(|a| a.address)).take(ADDRESSES_MAX).collect()
}

/// The names of an address, as `name.network`.
pub fn names(state: &State, networks: &[&Arc<Network>], address: IpAddr) -> Found<String> {
    let called = |network: &&Arc<Network>| {
        let endpoint = state.endpoint_by_id(state.directory().at(network.id, address)?).filter(|e| is_there(e))?;
        let name = endpoint.name.as_ref().map_or(endpoint.workload.name.as_str(), |n| n.as_str());
        let full = format!("{name}.{}", network.name);
        can_be_asked(&full).then_some(full)
    };
    let found: Vec<String> = networks.iter().filter_map(called).collect();
    if !found.is_empty() {
        return Found::There(found);
    }
    // An address of a network that is cut off is known here or nowhere.
    let is_own = |n: &&&Arc<Network>| n.subnets.iter().any(|s| s.cidr.contains(&address));
    match networks.iter().find(is_own) {
        Some(network) if network.parent_asked.is_none() => Found::Nothing,
        _ => Found::Outside,
    }
}

/// Whether names from outside are looked up for a workload on these networks. One that says `off` has the last word: who wrote it
/// wants no names to leave, and would not get that if a second network of the workload undid it. Otherwise one that forwards is
/// enough: its workloads can send out anyway.
pub fn forwards(networks: &[&Arc<Network>]) -> bool {
    let allows = |n: &Network| match n.dns_forward {
        DnsForward::On => true,
        // An own dummy stands for no parent and for `internal` alike.
        DnsForward::Auto => n.parent_asked.is_some(),
        DnsForward::Off => false,
    };
    !networks.iter().any(|n| n.dns_forward == DnsForward::Off) && networks.iter().any(|n| allows(n))
}
