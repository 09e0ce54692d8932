//! Step builders: the one place that knows in which order the kernel wants things. `decide` and `converge` share them.

use crate::endpoint::Endpoint;
use crate::host::{HostLink, IfIndex};
use crate::ids::PlanId;
use crate::network::Network;
use crate::parent::{Origin, Parent, ParentKind, ShieldHalves};
use crate::plan::{Plan, Purpose, Step};
use ipnet::IpNet;

/// What makes `parent` as recorded, given the link as it is now (`None`: not there). Nothing where nothing is missing.
pub fn parent_making(parent: &Parent, link: Option<&HostLink>, purpose: Purpose, id: PlanId) -> Option<Plan> {
    let name = parent.link.clone();
    let index = link.map_or(parent.index, |l| l.index);
    let mut steps = Vec::new();
    let mut undo = Vec::new();
    if link.is_none() && parent.origin == Origin::Ours {
        let alias = parent.alias.clone().unwrap_or_else(|| format!("bulkhead:{}", parent.link));
        match &parent.kind {
            ParentKind::Dummy => {
                let mac = parent.mac?;
                steps.push(Step::AddDummy { name: name.clone(), index, mac, mtu: parent.mtu, alias });
            }
            ParentKind::Vlan { base, vlan } => {
                let (base, base_name) = (base.index, base.name.clone());
                steps.push(Step::AddVlan { name: name.clone(), index, base, base_name, vlan: *vlan, alias })
            }
            ParentKind::Link { .. } => return None,
        }
        undo.push(Step::DelLink { index, name: name.clone() });
    }
    if parent.origin == Origin::Ours && !link.is_some_and(|l| l.up) {
        steps.push(Step::SetUp { index, name: name.clone() });
    }
    if let (Some(link), Some(mtu)) = (link, parent.mtu)
        && link.mtu != mtu
    {
        steps.push(Step::SetMtu { index, name: name.clone(), mtu });
    }
    let wanted = parent.shield_halves();
    let seen = link.map(|l| ShieldHalves { egress: l.shield.egress, ingress: l.shield.ingress });
    let seen = seen.unwrap_or(ShieldHalves { egress: false, ingress: false });
    if (wanted.egress && !seen.egress) || (wanted.ingress && !seen.ingress) {
        steps.push(Step::Shield { index, name: name.clone(), halves: wanted });
        // A healing that fails leaves what stands: half a shield is better than none.
        let healing = matches!(purpose, Purpose::HealParent(_));
        if undo.is_empty() && !healing && !seen.egress && !seen.ingress {
            undo.push(Step::Unshield { index, name });
        }
    }
    (!steps.is_empty()).then_some(Plan { id, purpose, lane: parent.id, netns: None, steps, undo })
}

/// What removes what the last network leaves of `parent`, whose link is `link`. Nothing where nothing is to be removed: of a parent
/// that is away nothing is left, and what has its index by now is somebody else's.
pub fn parent_removal(parent: &Parent, link: Option<&HostLink>, purpose: Purpose, id: PlanId) -> Option<Plan> {
    let (index, name) = (link?.index, parent.link.clone());
    let step = match parent.origin {
        Origin::Ours => Step::DelLink { index, name },
        Origin::Found if parent.shield => Step::Unshield { index, name },
        Origin::Found => return None,
    };
    Some(Plan { id, purpose, lane: parent.id, netns: None, steps: vec![step], undo: Vec::new() })
}

/// The ipvlan attach in its order: link, no router advertisements, addresses, announce, up, routes. Gratuitous ARP is sent
/// only when arp_notify stands before the link goes up, and only for addresses that are there by then.
pub fn endpoint_making(endpoint: &Endpoint, network: &Network, parent: &Parent, purpose: Purpose, id: PlanId) -> Plan {
    let (name, index) = (endpoint.link.clone(), endpoint.index);
    let mut steps = vec![Step::AddIpvlan {
        name: name.clone(),
        index,
        parent: parent.index,
        parent_name: parent.link.clone(),
        mode: network.mode,
        flag: network.flag,
        mtu: network.mtu,
    }];
    if !network.accept_ra {
        steps.push(Step::RefuseRa { name: name.clone() });
    }
    for a in &endpoint.addresses {
        let prefix = network.subnets.get(a.subnet).map_or(32, |s| s.cidr.prefix_len());
        if let Ok(address) = IpNet::new(a.address, prefix) {
            steps.push(Step::AddAddress { index, name: name.clone(), address });
        }
    }
    steps.push(Step::Announce { index, name: name.clone(), alias: alias_of(endpoint, network) });
    steps.push(Step::SetUpInside { index, name: name.clone() });
    for (destination, via) in &endpoint.routes {
        steps.push(Step::AddRoute { index, name: name.clone(), destination: *destination, via: *via });
    }
    let undo = vec![delete_ipvlan(endpoint, parent.index)];
    Plan { id, purpose, lane: parent.id, netns: Some(endpoint.netns.clone()), steps, undo }
}

/// What removes an endpoint's link; addresses and routes go with it.
pub fn endpoint_removal(endpoint: &Endpoint, parent: &Parent, purpose: Purpose, id: PlanId) -> Plan {
    let steps = vec![delete_ipvlan(endpoint, parent.index)];
    Plan { id, purpose, lane: parent.id, netns: Some(endpoint.netns.clone()), steps, undo: Vec::new() }
}

fn delete_ipvlan(endpoint: &Endpoint, parent: IfIndex) -> Step {
    Step::DelIpvlan { index: endpoint.index, name: endpoint.link.clone(), parent }
}

/// For people only: a workload can write it, so it proves nothing.
fn alias_of(endpoint: &Endpoint, network: &Network) -> String {
    let name = endpoint.name.as_ref().map_or_else(|| endpoint.id.to_string(), ToString::to_string);
    format!("bulkhead:{}/{name}", network.name)
}
