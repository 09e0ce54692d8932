//! `PATCH /v1/networks/{network}`

use super::affected::{Affected, is_seen, relabelled};
use super::{Basis, Decided, Effect, Matter, Object, ask, conclude, create_network, find_network, subnets};
use crate::network::{Network, NetworkState, Subnet};
use crate::parent::{Origin, Parent, ParentKind};
use crate::policy::Operation;
use crate::record::Edit;
use crate::refusal::{Faults, Refusal};
use crate::request::{Asked, ChangeNetwork, ChangeSubnet};
use crate::state::State;
use std::sync::Arc;

/// Mode, flag, parent and subnets are what a network is: another one is another network. Labels, gateways, ranges that grow, the
/// MTU and whether names are forwarded may change while workloads are on it.
pub(super) fn decide(basis: Basis<'_>, asked: &Asked, wish: &ChangeNetwork) -> Result<Decided, Refusal> {
    let state = basis.state;
    let before = find_network(state, &wish.network)?;
    if let Some(plan) = before.open_plan() {
        return Ok(Decided::Wait(plan));
    }
    let Some(parent) = state.parent(before.parent) else {
        return Err(Refusal::conflict("network", format!("network {} has no parent on record", before.name), "delete it"));
    };
    if let Some(plan) = parent.open_plan() {
        return Ok(Decided::Wait(plan));
    }
    let mut faults = Faults::default();
    let mut warnings = Vec::new();
    let labels = relabelled(basis.settings, &asked.caller, &before.labels, &wish.labels, "labels")?;
    let dns_forward = wish.dns_forward.unwrap_or(before.dns_forward);
    let mut after = Network { labels, dns_forward, ..(**before).clone() };
    for (i, change) in wish.subnets.iter().enumerate() {
        subnet(state, &mut after, change, &format!("subnets[{i}]"), &mut faults, &mut warnings);
    }
    let mut new_parent = None;
    if let Some(mtu) = wish.mtu.filter(|m| *m != before.mtu) {
        after.mtu = mtu;
        new_parent = mtu.and_then(|mtu| set_mtu(basis, &after, parent, mtu, &mut faults));
        if matches!(before.state, NetworkState::Degraded { .. }) {
            warnings.push("mtu: the network is degraded; its links follow when it is ready again".into());
        }
    }
    faults.finish()?;
    if after == **before {
        return Ok(Decided::Already(Object::Network(before.id)));
    }

    let what = differences(before, &after);
    let mut edits = vec![Edit::PutNetwork(Arc::new(after.clone()))];
    edits.extend(new_parent.map(|p| Edit::PutParent(Arc::new(p))));
    let mut next = state.clone();
    edits.iter().for_each(|e| next.apply(e));

    let mut heard = ask::about_change_of_network(basis, asked, before, &after, parent);
    let mut affected = Affected::except([(before.id, None)]);
    state.endpoints_of(before.id).for_each(|e| affected.endpoint(state, e));
    if is_seen(state, &before.labels, &after.labels) {
        affected.beside(basis, &after, parent);
        let attached_elsewhere = state.endpoints_of(before.id).flat_map(|e| state.in_netns(e.netns.id));
        attached_elsewhere.for_each(|e| affected.endpoint(state, e));
    }
    heard.extend(affected.newly_denied(basis, asked, &next)?);
    let matter = Matter {
        operation: Operation::ChangeNetwork,
        subject: before.name.as_str(),
        object: Some(before.id.to_string()),
        workload: None,
        warnings,
    };
    let event = Some(("network.changed", format!("network {}: {what}", before.name)));
    Ok(conclude(basis, asked, matter, heard, || Effect { edits, plan: None, object: Object::Network(before.id), event }))
}

/// Changes one subnet of `network`.
fn subnet(state: &State, network: &mut Network, change: &ChangeSubnet, field: &str, faults: &mut Faults, warnings: &mut Vec<String>) {
    let Some(at) = network.subnets.iter().position(|s| s.cidr == change.cidr) else {
        let all: Vec<String> = network.subnets.iter().map(|s| s.cidr.to_string()).collect();
        faults.invalid(
            format!("{field}.cidr"),
            format!("{} is no subnet of network {}", change.cidr, network.name),
            format!("one of {}: a network's subnets stay what they are", all.join(", ")),
        );
        return;
    };
    let before: Subnet = network.subnets[at].clone();
    let mut after = before.clone();
    if let Some(range) = change.ip_range {
        let at = format!("{field}.ip_range");
        let grows = match (before.ip_range, range) {
            (_, None) => true,
            (None, Some(new)) => new == before.cidr,
            (Some(old), Some(new)) => new.contains(&old),
        };
        let old = before.ip_range.unwrap_or(before.cidr);
        match range {
            Some(new) if new.addr() != new.network() => {
                faults.invalid(at, format!("{new} has host bits set"), new.trunc().to_string());
            }
            Some(new) if !before.cidr.contains(&new) => {
                faults.invalid(at, format!("{new} is not within {}", before.cidr), format!("a part of {}", before.cidr));
            }
            Some(new) if !grows => {
                faults.invalid(at, format!("{new} does not contain {old}"), "a range that does: it may only grow");
            }
            range => after.ip_range = range,
        }
    }
    if let Some(wish) = change.gateway {
        let at_field = format!("{field}.gateway");
        let gateway = subnets::gateway(network.mode, wish, &before.cidr, &at_field, faults, warnings);
        let holder = gateway.filter(|g| before.gateway != Some(*g)).and_then(|g| {
            let reserved = before.reserved.iter().find(|(_, a)| **a == g).map(|(what, _)| format!("reserved for {what}"));
            let mut endpoints = state.endpoints_of(network.id);
            let endpoint = endpoints.find(|e| e.addresses.iter().any(|a| a.address == g)).map(|e| format!("taken by {}", e.workload.name));
            reserved.or(endpoint).map(|why| (g, why))
        });
        match holder {
            Some((g, why)) => faults.conflict(at_field, format!("{g} is {why}"), "an address that is free"),
            None if gateway != before.gateway => {
                let with_route =
                    state.endpoints_of(network.id).filter(|e| e.routes.iter().any(|(_, via)| via.is_some() && *via == before.gateway));
                let with_route = with_route.count();
                if with_route > 0 {
                    warnings.push(format!(
                        "{at_field}: {with_route} endpoints keep the default route that they have until they are attached anew"
                    ));
                }
                after.gateway = gateway;
            }
            None => {}
        }
    }
    network.subnets[at] = after;
}

/// Checks a new MTU. An own dummy has its network's.
fn set_mtu(basis: Basis<'_>, network: &Network, parent: &Parent, mtu: u32, faults: &mut Faults) -> Option<Parent> {
    create_network::check_mtu_range(mtu, network.subnets.iter().any(|s| s.cidr.addr().is_ipv6()), faults);
    let follows = parent.origin == Origin::Ours && parent.kind == ParentKind::Dummy;
    if follows && basis.state.networks_of(parent.id).count() == 1 {
        return Some(Parent { mtu: Some(mtu), ..parent.clone() });
    }
    if let Some(link) = parent.find(basis.host).filter(|l| mtu > l.mtu) {
        let wrong = format!("{mtu} is above the {} of its parent {}: what is larger would be dropped without a word", link.mtu, link.name);
        faults.invalid("mtu", wrong, format!("at most {}", link.mtu));
    }
    None
}

/// In what two states of a network differ, in a few words.
fn differences(before: &Network, after: &Network) -> String {
    let mut out = Vec::new();
    let keys = before.labels.iter().chain(after.labels.iter()).map(|(k, _)| k.to_owned()).collect::<std::collections::BTreeSet<_>>();
    for key in keys.iter().filter(|k| before.labels.get(k) != after.labels.get(k)) {
        out.push(format!("label {key} {} → {}", before.labels.get(key).unwrap_or("none"), after.labels.get(key).unwrap_or("none")));
    }
    let text = |m: Option<u32>| m.map_or_else(|| "the links' own".to_owned(), |m| m.to_string());
    if before.mtu != after.mtu {
        out.push(format!("MTU {} → {}", text(before.mtu), text(after.mtu)));
    }
    if before.dns_forward != after.dns_forward {
        out.push(format!("names from outside {} → {}", before.dns_forward.as_str(), after.dns_forward.as_str()));
    }
    for (b, a) in before.subnets.iter().zip(&after.subnets) {
        let address = |g: Option<std::net::IpAddr>| g.map_or_else(|| "none".to_owned(), |g| g.to_string());
        if b.gateway != a.gateway {
            out.push(format!("gateway of {} {} → {}", b.cidr, address(b.gateway), address(a.gateway)));
        }
        if b.ip_range != a.ip_range {
            out.push(format!("range of {} {} → {}", b.cidr, b.ip_range.unwrap_or(b.cidr), a.ip_range.unwrap_or(a.cidr)));
        }
    }
    out.join(", ")
}
