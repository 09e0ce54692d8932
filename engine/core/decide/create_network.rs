//! `POST /v1/networks`

use super::parent::{Resolved, needs_shield, resolve};
use super::{Basis, Decided, Effect, Matter, Object, ask, conclude, subnets};
use crate::caller::ungranted;
use crate::host::{HostLink, IfIndex, LinkKind};
use crate::ids::{Ids, NetworkId, PlanId};
use crate::network::{Network, NetworkState, ShieldWish};
use crate::parent::{Origin, Parent, ParentKind, ParentState};
use crate::plan::Purpose;
use crate::policy::Operation;
use crate::record::Edit;
use crate::refusal::{Faults, Refusal, RefusalKind};
use crate::request::{Asked, CreateNetwork};
use std::sync::Arc;

/// Smallest MTU that IPv4 allows (RFC 791).
const MTU_MIN: u32 = 68;
/// Largest MTU that a dummy takes (net/core/dev.c, ETH_MAX_MTU).
const MTU_MAX: u32 = 65_535;

pub(super) fn decide(basis: Basis<'_>, asked: &Asked, wish: &CreateNetwork, ids: &mut Ids) -> Result<Decided, Refusal> {
    let state = basis.state;
    let mut faults = Faults::default();
    let mut warnings = Vec::new();
    if let Some(taken) = state.network(wish.name.as_str()).filter(|n| n.name == wish.name) {
        if let Some(plan) = taken.open_plan() {
            return Ok(Decided::Wait(plan));
        }
        faults.conflict("name", format!("there is a network {} already", wish.name), "another name, or delete that one first");
    }
    let unasserted = ungranted(&basis.settings.grants, &asked.caller, &wish.labels);
    if !unasserted.is_empty() {
        return Err(Refusal { kind: RefusalKind::Forbidden, faults: unasserted.into_iter().map(|f| f.below("labels")).collect() });
    }

    let id = NetworkId(ids.id());
    let resolved = resolve(state, basis.host, wish, id, ids, &mut faults);
    let (parent, is_new, there) = match resolved {
        Some(Resolved::Wait(plan)) => return Ok(Decided::Wait(plan)),
        Some(Resolved::Recorded(parent)) => (Some(parent), false, true),
        Some(Resolved::New { parent, there }) => (Some(parent), true, there),
        None => (None, false, false),
    };
    let link = parent.as_ref().filter(|_| there).and_then(|p| p.find(basis.host));
    if let Some(parent) = &parent {
        check_parent(basis, wish, parent, link, is_new, &mut faults, &mut warnings);
    }
    check_mtu(basis, wish, parent.as_deref(), link, &mut faults);

    let on_segment: Vec<Arc<Network>> = parent.iter().flat_map(|p| state.networks_on(&p.segment())).cloned().collect();
    let subnets = subnets::fill_in(state, basis.host, basis.settings, wish, &on_segment, &mut faults, &mut warnings);
    faults.finish()?;
    let Some(parent) = parent else {
        return Err(Refusal::invalid("parent", "cannot be used", "another parent"));
    };
    if let Some(link) = link {
        warn_of_the_hosts_addresses(wish, link, &subnets, &mut warnings);
    }

    let plan_id = PlanId(ids.id());
    let plan = super::parent_making(&parent, link, Purpose::CreateNetwork(id), plan_id).map(Arc::new);
    let network = Network {
        id,
        name: wish.name.clone(),
        mode: wish.mode,
        flag: wish.flag,
        parent_asked: wish.parent.clone().filter(|_| !wish.internal),
        parent: parent.id,
        internal: wish.internal,
        mtu: wish.mtu,
        accept_ra: wish.accept_ra,
        shield: wish.shield,
        dns_forward: wish.dns_forward,
        subnets,
        labels: wish.labels.clone(),
        created_by: asked.caller.name.clone(),
        created_at: asked.now,
        decision: state.next_decision(),
        state: if plan.is_some() { NetworkState::Creating { plan: plan_id } } else { NetworkState::Ready },
    };
    let heard = ask::about_network(basis, asked, Operation::CreateNetwork, &network, &parent);
    let matter =
        Matter { operation: Operation::CreateNetwork, subject: wish.name.as_str(), object: Some(id.to_string()), workload: None, warnings };
    let event = plan.is_none().then(|| ("network.created", format!("network {} is ready", network.name)));
    Ok(conclude(basis, asked, matter, heard, || {
        let mut edits = Vec::new();
        if is_new || plan.is_some() {
            let mut parent = (*parent).clone();
            if plan.is_some() {
                parent.state = ParentState::Making { plan: plan_id };
            }
            edits.push(Edit::PutParent(Arc::new(parent)));
        }
        edits.push(Edit::PutNetwork(Arc::new(network)));
        edits.extend(plan.clone().map(Edit::OpenPlan));
        Effect { edits, plan, object: Object::Network(id), event }
    }))
}

/// Modes, flags and shields belong to the parent: what one network sets, all on it get.
fn check_parent(
    basis: Basis<'_>,
    wish: &CreateNetwork,
    parent: &Parent,
    link: Option<&HostLink>,
    is_new: bool,
    faults: &mut Faults,
    warnings: &mut Vec<String>,
) {
    let name = parent.alias.as_deref().unwrap_or(parent.link.as_str());
    if !is_new && let Some(other) = basis.state.networks_of(parent.id).next() {
        if other.mode != wish.mode {
            let wrong = format!("{name} already carries {} links of network {}; a parent has one mode", other.mode, other.name);
            faults.conflict("mode", wrong, format!("{}, or another parent", other.mode));
        }
        if other.flag != wish.flag {
            let wrong = format!("{name} already carries {} links of network {}; a parent has one flag", other.flag, other.name);
            faults.conflict("flag", wrong, format!("{}, or another parent", other.flag));
        }
        if other.mode == wish.mode && other.shield != wish.shield && needs_shield(&parent.kind, wish) {
            let is = if other.shield == ShieldWish::On { "on" } else { "off" };
            let wrong = format!("the shield of {name} is {is} for network {}; a parent has one shield", other.name);
            faults.conflict("shield", wrong, format!("{is}, or another parent"));
        }
    }
    if parent.state == ParentState::Lost {
        faults.conflict("parent", format!("{name} is on record, but not on the host now"), "bring it back, or name another");
    }
    let foreign = link.and_then(|l| foreign_ipvlan(basis, l.index));
    if let Some((other, (mode, flag))) = foreign
        && (mode != wish.mode || flag != wish.flag)
    {
        let wrong =
            format!("{name} carries {other}, an ipvlan link of somebody else, in mode {mode} {flag}; a parent has one mode and flag");
        faults.conflict("mode", wrong, format!("mode {mode} and flag {flag}, or another parent"));
    }
    let wants_shield = wish.shield == ShieldWish::On && needs_shield(&parent.kind, wish);
    if wants_shield && !basis.host.can_shield() {
        let wrong = format!("the shield of {name} cannot be put up: the kernel lacks {}", basis.host.shield_lacks().join(", "));
        faults.conflict(
            "shield",
            wrong,
            "load these modules, or say \"shield\": \"off\": the network's workloads may then reach every VLAN of the trunk",
        );
    }
    if let Some(link) = link
        && parent.origin == Origin::Found
    {
        if !link.up {
            warnings.push(format!("parent {name} is down: nothing passes until it is up"));
        }
        if let Some(by) = &link.shield.bypassed_by {
            warnings.push(format!("the shield of {name} is bypassed by {by}"));
        }
    }
    let base = match &parent.kind {
        ParentKind::Vlan { base, .. } => base.find(basis.host),
        ParentKind::Link { .. } | ParentKind::Dummy => None,
    };
    if let Some(base) = base.filter(|b| !b.up) {
        warnings.push(format!("{}, which {name} hangs on, is down: nothing passes until it is up", base.name));
    }
}

fn foreign_ipvlan(basis: Basis<'_>, parent: IfIndex) -> Option<(&str, (crate::host::Mode, crate::host::Flag))> {
    let on_host = basis.host.links.values().find(|l| l.kind == LinkKind::Ipvlan { parent })?;
    on_host.ipvlan.map(|x| (on_host.name.as_str(), x))
}

/// Whether an MTU is one that a link can have.
pub(super) fn check_mtu_range(mtu: u32, ipv6: bool, faults: &mut Faults) {
    if !(MTU_MIN..=MTU_MAX).contains(&mtu) {
        faults.invalid("mtu", format!("{mtu} is out of range"), format!("{MTU_MIN} to {MTU_MAX} bytes"));
    } else if ipv6 && mtu < subnets::MTU_MIN_IPV6 {
        faults.invalid("mtu", format!("{mtu} is too small for IPv6"), "at least 1280 (RFC 8200 section 5)");
    }
}

/// A link with a larger MTU than its parent is a black hole: the kernel accepts it and drops what is too large.
fn check_mtu(basis: Basis<'_>, wish: &CreateNetwork, parent: Option<&Parent>, link: Option<&HostLink>, faults: &mut Faults) {
    let Some(mtu) = wish.mtu else { return };
    if !(MTU_MIN..=MTU_MAX).contains(&mtu) {
        faults.invalid("mtu", format!("{mtu} is out of range"), format!("{MTU_MIN} to {MTU_MAX} bytes"));
        return;
    }
    let base = match parent.map(|p| &p.kind) {
        Some(ParentKind::Vlan { base, .. }) if link.is_none() => base.find(basis.host),
        _ => link,
    };
    if let Some(base) = base.filter(|b| mtu > b.mtu) {
        let wrong = format!("{mtu} is above the {} of its parent {}: what is larger would be dropped without a word", base.mtu, base.name);
        faults.invalid("mtu", wrong, format!("at most {}", base.mtu));
    }
}

/// ipvlan never connects a link with its own host, whoever has which address.
fn warn_of_the_hosts_addresses(wish: &CreateNetwork, link: &HostLink, subnets: &[crate::network::Subnet], warnings: &mut Vec<String>) {
    for (i, subnet) in subnets.iter().enumerate() {
        if let Some(own) = link.addresses.iter().find(|a| subnet.gateway == Some(a.addr())) {
            warnings.push(format!("subnets[{i}].gateway: {} is the host's own address, which no workload of the host reaches", own.addr()));
        }
        if wish.mode != crate::host::Mode::L2
            && let Some(own) = link.addresses.iter().find(|a| crate::ipam::overlap(&a.trunc(), &subnet.cidr))
        {
            warnings.push(format!(
                "subnets[{i}].cidr: {} overlaps {} of the parent: neighbours will not route to it",
                subnet.cidr,
                own.trunc()
            ));
        }
    }
}
