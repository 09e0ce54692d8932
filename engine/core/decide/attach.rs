//! `POST /v1/networks/{network}/endpoints`

use super::{Basis, Decided, Effect, Matter, Object, ask, conclude, find_network};
use crate::caller::ungranted;
use crate::capabilities::Capabilities;
use crate::endpoint::{Assigned, Endpoint, EndpointState, Workload};
use crate::host::{Host, Mode};
use crate::ids::{EndpointId, Ids, PlanId};
use crate::ipam::Pool;
use crate::names::{Labels, Name};
use crate::network::{Network, NetworkState};
use crate::parent::{Parent, ParentKind, ParentState};
use crate::plan::Purpose;
use crate::policy::{Operation, Provenance};
use crate::record::Edit;
use crate::refusal::{Faults, Refusal, RefusalKind};
use crate::request::{Asked, Attach, DefaultRoutes};
use crate::state::State;
use ipnet::IpNet;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::sync::Arc;

/// Most addresses that a request may name.
const ADDRESSES_MAX: usize = 16;
/// Most aliases that a request may give.
const ALIASES_MAX: usize = 16;

pub(super) fn decide(basis: Basis<'_>, asked: &Asked, wish: &Attach, ids: &mut Ids) -> Result<Decided, Refusal> {
    let (state, host) = (basis.state, basis.host);
    if !wish.netns_is_callers {
        let wrong = format!("{} is not {}'s", wish.netns.named, asked.caller.name);
        return Err(Refusal::forbidden("namespace", wrong, "a namespace that your user owns, or whose process is yours"));
    }
    if wish.netns.id.cookie == host.own_netns || wish.netns.id.boot != state.boot {
        return Err(Refusal::invalid("namespace", format!("{} is the host's own", wish.netns.named), "a namespace of the workload's own"));
    }
    let network = find_network(state, &wish.network)?;
    if let Some(answer) = repeat(state, network, wish)? {
        return Ok(answer);
    }
    if let Some(plan) = network.open_plan() {
        return Ok(Decided::Wait(plan));
    }
    if let NetworkState::Degraded { why } = &network.state {
        return Err(Refusal::conflict("network", format!("network {} is degraded: {why}", network.name), "mend that first"));
    }
    let Some(parent) = state.parent(network.parent) else {
        return Err(Refusal::conflict("network", format!("network {} has no parent on record", network.name), "delete it"));
    };
    match parent.state {
        ParentState::Making { plan } | ParentState::Removing { plan } => return Ok(Decided::Wait(plan)),
        ParentState::Lost => {
            let wrong = format!("parent {} of network {} is away", parent.link, network.name);
            return Err(Refusal::conflict("network", wrong, "bring the parent back first"));
        }
        ParentState::Present => {}
    }

    let mut faults = Faults::default();
    let workload = workload(basis, asked, wish, &mut faults)?;
    if let Some(name) = &wish.name
        && let Some(other) = state.endpoint(network.id, name.as_str()).or_else(|| same_but_for_case(state, network, name))
    {
        if let Some(plan) = other.open_plan() {
            return Ok(Decided::Wait(plan));
        }
        faults.conflict(
            "name",
            format!("{} is the name of endpoint {} of network {}", other.name.as_ref().unwrap_or(name), other.id, network.name),
            "another name",
        );
    }
    if wish.aliases.len() > ALIASES_MAX {
        faults.invalid("aliases", format!("{} aliases", wish.aliases.len()), format!("at most {ALIASES_MAX}"));
    }
    let in_netns: Vec<&Arc<Endpoint>> = state.in_netns(wish.netns.id).collect();
    if let Some(other) = in_netns.iter().find(|e| e.link == wish.interface) {
        if let Some(plan) = other.open_plan() {
            return Ok(Decided::Wait(plan));
        }
        let of = state.network_by_id(other.network).map_or_else(String::new, |n| format!(" of network {}", n.name));
        let wrong = format!("{} is an endpoint{of} in this namespace already", wish.interface);
        faults.conflict("interface", wrong, "another interface name");
    }
    let addresses = addresses(state, host, network, &wish.addresses, &mut faults);
    faults.finish()?;

    let mut warnings = Vec::new();
    let routes = routes(network, parent, &addresses, &in_netns, &wish.default_routes, &mut warnings);
    let id = EndpointId(ids.id());
    let plan_id = PlanId(ids.id());
    let endpoint = Endpoint {
        id,
        network: network.id,
        name: wish.name.clone(),
        aliases: wish.aliases.clone(),
        workload,
        netns: wish.netns.clone(),
        link: wish.interface.clone(),
        index: ids.link_index(),
        addresses,
        routes,
        asked_addresses: wish.addresses.clone(),
        failing_since: None,
        created_by: asked.caller.name.clone(),
        created_by_uid: asked.caller.uid,
        created_at: asked.now,
        decision: state.next_decision(),
        state: EndpointState::Attaching { plan: plan_id },
    };
    let heard = ask::about_endpoint(basis, asked, Operation::Attach, &endpoint, network, parent);
    let plan = Arc::new(super::endpoint_making(&endpoint, network, parent, Purpose::Attach(id), plan_id));
    let matter = Matter {
        operation: Operation::Attach,
        subject: network.name.as_str(),
        object: Some(id.to_string()),
        workload: Some((endpoint.workload.id.clone(), endpoint.workload.name.clone())),
        warnings,
    };
    Ok(conclude(basis, asked, matter, heard, || Effect {
        edits: vec![Edit::PutEndpoint(Arc::new(endpoint)), Edit::OpenPlan(Arc::clone(&plan))],
        plan: Some(plan),
        object: Object::Endpoint(id),
        event: None,
    }))
}

/// Who has the same name for those who look it up: DNS knows no case.
fn same_but_for_case<'a>(state: &'a State, network: &Network, name: &Name) -> Option<&'a Arc<Endpoint>> {
    let id = state.directory().own(network.id, &name.as_str().to_ascii_lowercase()).next()?;
    state.endpoint_by_id(id)
}

/// A namespace has one endpoint of a network. The same request again is answered with it, a different one is refused with
/// what differs.
fn repeat(state: &State, network: &Network, wish: &Attach) -> Result<Option<Decided>, Refusal> {
    let Some(there) = state.in_netns(wish.netns.id).find(|e| e.network == network.id) else { return Ok(None) };
    if let Some(plan) = there.open_plan() {
        return Ok(Some(Decided::Wait(plan)));
    }
    let mut faults = Faults::default();
    let mut differs = |field: &str, is: String, asked: String| {
        faults.conflict(
            field,
            format!("the endpoint {} of this namespace has {is}, the request {asked}", there.id),
            "the same, or detach it first",
        );
    };
    if there.link != wish.interface {
        differs("interface", there.link.to_string(), wish.interface.to_string());
    }
    if there.name != wish.name {
        let text = |n: &Option<Name>| n.as_ref().map_or("no name".to_owned(), ToString::to_string);
        differs("name", text(&there.name), text(&wish.name));
    }
    if there.aliases != wish.aliases {
        let text = |all: &[Name]| {
            if all.is_empty() { "no aliases".to_owned() } else { all.iter().map(Name::as_str).collect::<Vec<_>>().join(", ") }
        };
        differs("aliases", text(&there.aliases), text(&wish.aliases));
    }
    let set = |list: &[IpAddr]| list.iter().copied().collect::<std::collections::BTreeSet<IpAddr>>();
    let has: Vec<IpAddr> = there.addresses.iter().map(|a| a.address).collect();
    if set(&wish.addresses) != set(&there.asked_addresses) && set(&wish.addresses) != set(&has) {
        let text = |list: &[IpAddr]| {
            if list.is_empty() { "any".to_owned() } else { list.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ") }
        };
        differs("addresses", text(&has), text(&wish.addresses));
    }
    if let Some(id) = wish.workload.id.as_ref().filter(|id| **id != there.workload.id) {
        differs("workload.id", there.workload.id.clone(), id.clone());
    }
    if let Some(labels) = wish.workload.labels.as_ref().filter(|l| **l != there.workload.labels) {
        differs("workload.labels", labels_text(&there.workload.labels), labels_text(labels));
    }
    if wish.workload.capabilities.is_some() && wish.workload.capabilities != there.workload.capabilities {
        differs("workload.capabilities", capabilities_text(there.workload.capabilities), capabilities_text(wish.workload.capabilities));
    }
    faults.finish()?;
    Ok(Some(Decided::Already(Object::Endpoint(there.id))))
}

fn labels_text(labels: &Labels) -> String {
    if labels.is_empty() { "no labels".into() } else { labels.iter().map(|(k, v)| format!("{k}={v}")).collect::<Vec<_>>().join(", ") }
}

fn capabilities_text(capabilities: Option<Capabilities>) -> String {
    capabilities.map_or("unknown ones".into(), |c| c.to_string())
}

/// One namespace is one workload: another id, other labels or capabilities than on record are refused.
fn workload(basis: Basis<'_>, asked: &Asked, wish: &Attach, faults: &mut Faults) -> Result<Workload, Refusal> {
    let known = basis.state.in_netns(wish.netns.id).next().map(|e| &e.workload);
    let labels = wish.workload.labels.clone().or_else(|| known.map(|k| k.labels.clone())).unwrap_or_default();
    if let Some(known) = known {
        if let Some(id) = wish.workload.id.as_ref().filter(|id| **id != known.id) {
            faults.conflict("workload.id", format!("{id} is not {}, who is in this namespace", known.id), "the recorded id, or none");
        }
        if labels != known.labels {
            let wrong = format!("{} are not the labels on record: {}", labels_text(&labels), labels_text(&known.labels));
            faults.conflict("workload.labels", wrong, "the recorded labels, or none");
        }
        if wish.workload.capabilities.is_some() && wish.workload.capabilities != known.capabilities {
            let (asked, is) = (capabilities_text(wish.workload.capabilities), capabilities_text(known.capabilities));
            faults.conflict("workload.capabilities", format!("{asked} are not those on record: {is}"), "the recorded ones, or nothing");
        }
        return Ok(Workload { name: wish.workload.name.clone().unwrap_or_else(|| known.name.clone()), ..known.clone() });
    }
    let unasserted = ungranted(&basis.settings.grants, &asked.caller, &labels);
    if !unasserted.is_empty() {
        return Err(Refusal { kind: RefusalKind::Forbidden, faults: unasserted.into_iter().map(|f| f.below("workload.labels")).collect() });
    }
    let id = wish.workload.id.clone().unwrap_or_else(|| format!("netns-{}", wish.netns.id.cookie));
    let name = wish.workload.name.clone().or_else(|| wish.name.as_ref().map(ToString::to_string)).unwrap_or_else(|| id.clone());
    let provenance = if labels.is_empty() { Provenance::Unknown } else { Provenance::Asserted };
    Ok(Workload { id, name, labels, provenance, capabilities: wish.workload.capabilities })
}

/// The addresses asked for, and one of each further family that the network has.
fn addresses(state: &State, host: &Host, network: &Network, wanted: &[IpAddr], faults: &mut Faults) -> Vec<Assigned> {
    let mut out: Vec<Assigned> = Vec::new();
    if wanted.len() > ADDRESSES_MAX {
        faults.invalid("addresses", format!("{} addresses", wanted.len()), format!("at most {ADDRESSES_MAX}"));
        return out;
    }
    for (i, address) in wanted.iter().enumerate() {
        let field = format!("addresses[{i}]");
        let Some(subnet) = network.subnets.iter().position(|s| s.cidr.contains(address)) else {
            let all: Vec<String> = network.subnets.iter().map(|s| s.cidr.to_string()).collect();
            faults.invalid(
                field,
                format!("{address} is in no subnet of network {}", network.name),
                format!("an address of {}", all.join(" or ")),
            );
            continue;
        };
        if out.iter().any(|a| a.address == *address) {
            faults.invalid(field, format!("{address} stands twice"), "each address once");
        } else if let Some((wrong, right)) = not_free(state, host, network, subnet, *address) {
            faults.conflict(field, wrong, right);
        } else {
            out.push(Assigned { subnet, address: *address });
        }
    }
    for v4 in [true, false] {
        let asked = wanted.iter().any(|a| a.is_ipv4() == v4);
        let subnets: Vec<usize> = (0..network.subnets.len()).filter(|i| network.subnets[*i].cidr.addr().is_ipv4() == v4).collect();
        if asked || subnets.is_empty() {
            continue;
        }
        let free = subnets.iter().find_map(|i| next_free(state, host, network, *i));
        // Rather than refuse, hand out the address that has been held back longest.
        let held = || {
            let oldest = subnets.iter().find_map(|i| state.oldest_held(network.id, *i).map(|address| Assigned { subnet: *i, address }));
            oldest.filter(|a| host.owner_of(a.address).is_none())
        };
        match free.or_else(held) {
            Some(assigned) => out.push(assigned),
            None => {
                let ranges: Vec<String> = subnets.iter().map(|i| handed_out_from(&network.subnets[*i])).collect();
                let wrong = format!("no address is left in {} of network {}", ranges.join(", "), network.name);
                faults.conflict("addresses", wrong, "detach something, or add a network");
            }
        }
    }
    out
}

fn handed_out_from(subnet: &crate::network::Subnet) -> String {
    subnet.ip_range.unwrap_or(subnet.cidr).to_string()
}

/// The lowest free address that the host itself has not.
fn next_free(state: &State, host: &Host, network: &Network, subnet: usize) -> Option<Assigned> {
    let mut pool: Pool = state.pool(network.id, subnet)?.clone();
    loop {
        let address = pool.next()?;
        if host.owner_of(address).is_none() {
            return Some(Assigned { subnet, address });
        }
        pool.take(address);
    }
}

/// Why a named address cannot be had.
fn not_free(state: &State, host: &Host, network: &Network, subnet: usize, address: IpAddr) -> Option<(String, String)> {
    let of = network.subnets.get(subnet)?;
    if let Some(link) = host.owner_of(address) {
        return Some((format!("{address} is the host's own address on {}", link.name), "another address".into()));
    }
    if state.pool(network.id, subnet)?.is_free(address) || state.is_held(network.id, subnet, address) {
        return None;
    }
    let right = || match next_free(state, host, network, subnet) {
        Some(free) => format!("{} is free", free.address),
        None => "no address of this subnet is free".to_owned(),
    };
    if of.gateway == Some(address) {
        return Some((format!("{address} is the gateway of {}", of.cidr), right()));
    }
    if let Some((what, _)) = of.reserved.iter().find(|(_, a)| **a == address) {
        return Some((format!("{address} is reserved for {what}"), right()));
    }
    let taken_by = state.endpoints_of(network.id).find(|e| e.addresses.iter().any(|a| a.address == address));
    Some(match taken_by {
        Some(e) => (format!("{address} is taken by {} ({})", e.workload.name, e.id), right()),
        None => (format!("{address} is the network or broadcast address of {}", of.cidr), right()),
    })
}

/// Routes of a new endpoint: a default route where something is to be reached, unless the namespace has one already, through
/// another endpoint or whatever else is in it; in l3 and l3s the device is the route.
fn routes(
    network: &Network,
    parent: &Parent,
    addresses: &[Assigned],
    in_netns: &[&Arc<Endpoint>],
    standing: &DefaultRoutes,
    warnings: &mut Vec<String>,
) -> Vec<(IpNet, Option<IpAddr>)> {
    let isolated = parent.kind == ParentKind::Dummy;
    let mut out = Vec::new();
    for v4 in [true, false] {
        let mine: Vec<&Assigned> = addresses.iter().filter(|a| a.address.is_ipv4() == v4).collect();
        if mine.is_empty() {
            continue;
        }
        if isolated && network.mode != Mode::L2 {
            // Nothing leaves, but the network's own subnets reach each other through the parent.
            let others =
                network.subnets.iter().enumerate().filter(|(i, s)| s.cidr.addr().is_ipv4() == v4 && mine.iter().all(|a| a.subnet != *i));
            out.extend(others.map(|(_, s)| (s.cidr, None)));
        }
        let via = mine.iter().find_map(|a| network.subnets.get(a.subnet).and_then(|s| s.gateway));
        if isolated || (network.mode == Mode::L2 && via.is_none()) {
            continue;
        }
        let default: IpNet = if v4 {
            IpNet::V4(ipnet::Ipv4Net::new_assert(Ipv4Addr::UNSPECIFIED, 0))
        } else {
            IpNet::V6(ipnet::Ipv6Net::new_assert(Ipv6Addr::UNSPECIFIED, 0))
        };
        let through_other = in_netns.iter().find(|e| e.routes.iter().any(|(d, _)| *d == default)).map(|e| e.link.as_str());
        let there = if v4 { &standing.v4 } else { &standing.v6 };
        if let Some(link) = through_other.or(there.as_deref()) {
            let family = if v4 { "IPv4" } else { "IPv6" };
            warnings.push(format!("the namespace keeps its {family} default route through {link}; none is added through this network"));
            continue;
        }
        out.push((default, if network.mode == Mode::L2 { via } else { None }));
    }
    out
}
