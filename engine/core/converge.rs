//! The one planner: what makes the kernel agree with the record again, after a crash and whenever something changed behind
//! our back. Pure, and with the same step builders as the first making. It never concludes from what was not seen.

use crate::decide::{endpoint_making, parent_making};
use crate::endpoint::{Endpoint, EndpointState, NetnsId};
use crate::faults::{endpoint_faults, endpoint_lacks, parent_faults};
use crate::host::Host;
use crate::ids::{Ids, NetworkId, ParentId, PlanId, Timestamp};
use crate::network::NetworkState;
use crate::observed::{NetnsSeen, Observed};
use crate::parent::{Origin, Parent, ParentState};
use crate::plan::{Plan, Purpose, Settled, Settlement, Step};
use crate::record::Edit;
use crate::state::State;
use std::sync::Arc;

/// Milliseconds after which a healing that failed is tried again, as what stood in its way may be gone: at first, and at most.
/// In between it waits for as long as it has been failing.
pub const FAILED_WAITS_MS: (u64, u64) = (1_000, 300_000);

/// One thing to do.
#[derive(Debug, Clone)]
pub enum Fix {
    /// An open plan turns out to be done: settle it.
    Settle(Settlement),
    /// An open making is not complete: undo what there is of it, and make it anew.
    Redo(PlanId),
    /// An open removal goes forward.
    Rerun(PlanId),
    /// The record changes, and with `plan` the kernel after it.
    Heal {
        /// Changes of the state.
        edits: Vec<Edit>,
        /// What the kernel must do.
        plan: Option<Arc<Plan>>,
        /// Kind, subject and text of the event, where there is something to tell.
        event: Option<(&'static str, String, String)>,
    },
}

/// What is to be done about open plans after a restart. All of them go forward, as what is on record was allowed, and whoever
/// asked may have been told that it is done: a making whose work is complete is settled, any other is made anew; a removal
/// runs again.
pub fn open_plans(state: &State, observed: &Observed) -> Vec<Fix> {
    state.plans().map(|plan| open_plan(state, observed, plan)).collect()
}

fn open_plan(state: &State, observed: &Observed, plan: &Plan) -> Fix {
    let done = Fix::Settle(Settlement { plan: plan.id, result: Settled::Done, took_us: None });
    match plan.purpose {
        // Parents, and what was to be healed, are looked at right after this: what they lack is made then.
        Purpose::CreateNetwork(_) | Purpose::HealParent(_) => done,
        // What a small repair did not get to is seen at the next look, like its reason.
        Purpose::HealEndpoint(_) if !plan.steps.iter().any(|s| matches!(s, Step::AddIpvlan { .. })) => done,
        Purpose::Attach(id) | Purpose::HealEndpoint(id) => match state.endpoint_by_id(id) {
            Some(e) if endpoint_complete(state, observed, e) => done,
            // What could not be looked at is no reason to touch anything: the next look that can tell heals it.
            Some(e) if unknown(state, observed, e) => done,
            // An address or a route that is missing is not made up for later: a workload may have taken it away.
            _ => Fix::Redo(plan.id),
        },
        // Links and filters end with their kernel. What has their index in this boot is somebody else's.
        Purpose::DeleteNetwork(id) if parent_of(state, id).is_some_and(|p| p.boot != state.boot) => done,
        Purpose::Detach(id) if state.endpoint_by_id(id).is_some_and(|e| e.netns.id.boot != state.boot) => done,
        Purpose::DeleteNetwork(_) | Purpose::Detach(_) => Fix::Rerun(plan.id),
    }
}

fn parent_of(state: &State, network: NetworkId) -> Option<&Arc<Parent>> {
    state.parent(state.network_by_id(network)?.parent)
}

fn unknown(state: &State, observed: &Observed, endpoint: &Endpoint) -> bool {
    let seen = observed.namespaces.get(&endpoint.netns.id);
    endpoint.netns.id.boot == state.boot && !matches!(seen, Some(NetnsSeen::There(_) | NetnsSeen::Gone))
}

fn endpoint_complete(state: &State, observed: &Observed, endpoint: &Endpoint) -> bool {
    let Some(network) = state.network_by_id(endpoint.network) else { return false };
    let Some(parent) = state.parent(network.parent) else { return false };
    let Some(NetnsSeen::There(links)) = observed.namespaces.get(&endpoint.netns.id) else { return false };
    links.iter().any(|l| l.index == endpoint.index && endpoint_lacks(endpoint, network, parent, l).is_empty())
}

/// What is to be done about parents, by the host's mirror alone. Cheap: called on every change of the host.
/// `not_yet`: what failed just now, and waits.
pub fn parents(state: &State, host: &Host, now: Timestamp, seed: u64, not_yet: impl Fn(ParentId) -> bool) -> Vec<Fix> {
    let mut ids = Ids::new(seed, now);
    state.parents().filter(|p| p.open_plan().is_none() && !not_yet(p.id)).filter_map(|p| parent(state, host, p, &mut ids)).collect()
}

fn parent(state: &State, host: &Host, parent: &Arc<Parent>, ids: &mut Ids) -> Option<Fix> {
    let link = parent.find(host);
    let subject = parent.link.to_string();
    if link.is_none() && (parent.origin == Origin::Found || vlan_base_gone(parent, host)) {
        if parent.state == ParentState::Lost {
            return None;
        }
        let text = format!("{} is gone from the host; its networks are degraded until it is back", parent.link);
        let mut edits = vec![Edit::PutParent(Arc::new(Parent { state: ParentState::Lost, ..(**parent).clone() }))];
        edits.extend(network_states(state, parent, &NetworkState::Degraded { why: format!("parent {} is away", parent.link) }));
        return Some(Fix::Heal { edits, plan: None, event: Some(("parent.lost", subject, text)) });
    }
    let differs = link.map_or_else(|| vec!["is gone".to_owned()], |l| parent_faults(parent, l));
    let mut healed = parent.as_seen(link, host);
    if differs.is_empty() && parent.state == ParentState::Present {
        // What is known of it by now; nothing to do.
        let renamed =
            (healed.link != parent.link).then(|| ("parent.renamed", subject, format!("{} is called {} now", parent.link, healed.link)));
        return (healed != **parent).then(|| Fix::Heal { edits: vec![Edit::PutParent(Arc::new(healed))], plan: None, event: renamed });
    }
    let plan_id = PlanId(ids.id());
    let plan = parent_making(&healed, link, Purpose::HealParent(parent.id), plan_id).map(Arc::new);
    healed.state = if plan.is_some() { ParentState::Making { plan: plan_id } } else { ParentState::Present };
    let mut edits = vec![Edit::PutParent(Arc::new(healed))];
    edits.extend(plan.clone().map(Edit::OpenPlan));
    if plan.is_none() {
        edits.extend(network_states(state, parent, &NetworkState::Ready));
        edits.extend(endpoints_to_try(state, parent.id));
    }
    let kind = if plan.is_some() { "parent.drifted" } else { "parent.back" };
    let what = if differs.is_empty() { "is back".to_owned() } else { differs.join(", ") };
    // One more try at what could not be set right before is nothing new.
    let is_new = plan.is_none() || parent.state != ParentState::Lost;
    Some(Fix::Heal { edits, plan, event: is_new.then(|| (kind, subject, format!("{} {what}", parent.link))) })
}

fn vlan_base_gone(parent: &Parent, host: &Host) -> bool {
    matches!(&parent.kind, crate::parent::ParentKind::Vlan { base, .. } if base.find(host).is_none())
}

/// Endpoints of a parent that is back are tried at once, however long they have been failing.
pub(crate) fn endpoints_to_try(state: &State, parent: ParentId) -> Vec<Edit> {
    let endpoints = state.networks_of(parent).flat_map(|n| state.endpoints_of(n.id));
    let again = endpoints.filter_map(|e| match &e.state {
        // Its waiting time counts from its first failure.
        EndpointState::Failed { why, at } => {
            let state = EndpointState::Failed { why: why.clone(), at: e.failing_since.unwrap_or(*at) };
            Some(Endpoint { state, ..(**e).clone() })
        }
        _ => None,
    });
    again.map(|e| Edit::PutEndpoint(Arc::new(e))).collect()
}

fn network_states(state: &State, parent: &Parent, to: &NetworkState) -> Vec<Edit> {
    let networks = state.networks_of(parent.id).filter(|n| n.open_plan().is_none() && n.state != *to);
    networks.map(|n| Edit::PutNetwork(Arc::new(crate::network::Network { state: to.clone(), ..(**n).clone() }))).collect()
}

/// What is to be done about endpoints in the namespaces that were looked at. `then` is the state when the look began: what
/// has changed since is passed over, as the look may be older than the change.
/// `retry_failed`: what failed before is tried at once (at start), and not only after [`FAILED_WAITS_MS`].
pub fn endpoints(
    state: &State,
    then: &State,
    observed: &Observed,
    (now, seed): (Timestamp, u64),
    free_at: Timestamp,
    retry_failed: bool,
) -> Vec<Fix> {
    let mut ids = Ids::new(seed, now);
    let mut out = Vec::new();
    for (netns, seen) in &observed.namespaces {
        for endpoint in state.in_netns(*netns) {
            let settled = endpoint.open_plan().is_none() && then.endpoint_by_id(endpoint.id).is_some_and(|e| Arc::ptr_eq(e, endpoint));
            if settled {
                out.extend(self::endpoint(state, &observed.host, endpoint, *netns, seen, &mut ids, (now, free_at, retry_failed)));
            }
        }
    }
    out
}

fn endpoint(
    state: &State,
    host: &Host,
    endpoint: &Arc<Endpoint>,
    netns: NetnsId,
    seen: &NetnsSeen,
    ids: &mut Ids,
    (now, free_at, retry_failed): (Timestamp, Timestamp, bool),
) -> Option<Fix> {
    let links = match seen {
        NetnsSeen::Unknown(_) if netns.boot == state.boot => return None,
        // A namespace of another boot is gone, whatever could be seen.
        NetnsSeen::Gone | NetnsSeen::Unknown(_) => {
            let text = format!("{} is released: its namespace is gone", endpoint.workload.name);
            let edits = vec![Edit::DropEndpoint { id: endpoint.id, free_at }];
            return Some(Fix::Heal { edits, plan: None, event: Some(("endpoint.released", endpoint.id.to_string(), text)) });
        }
        NetnsSeen::There(links) => links,
    };
    let network = state.network_by_id(endpoint.network)?;
    let parent = state.parent(network.parent)?;
    if parent.state != ParentState::Present || parent.find(host).is_none_or(|l| l.index != parent.index) {
        return None;
    }
    let link = links.iter().find(|l| l.index == endpoint.index);
    let differs = link.map_or_else(|| vec!["its link is gone".to_owned()], |l| endpoint_faults(endpoint, network, parent, l));
    let failed_at = if let EndpointState::Failed { at, .. } = endpoint.state { Some(at) } else { None };
    if differs.is_empty() {
        let back = Endpoint { state: EndpointState::Attached, failing_since: None, ..(**endpoint).clone() };
        let event = ("endpoint.healed", endpoint.id.to_string(), format!("{} is as recorded again", endpoint.workload.name));
        return failed_at.map(|_| Fix::Heal { edits: vec![Edit::PutEndpoint(Arc::new(back))], plan: None, event: Some(event) });
    }
    let waits = |at: Timestamp| {
        let failing = at.0.saturating_sub(endpoint.failing_since.unwrap_or(at).0);
        at.0.saturating_add(failing.clamp(FAILED_WAITS_MS.0, FAILED_WAITS_MS.1))
    };
    if failed_at.is_some_and(|at| !retry_failed && now.0 < waits(at)) {
        // Somebody should look meanwhile. A detach still works.
        return None;
    }
    let id = PlanId(ids.id());
    let plan = match link {
        Some(l) if l.ipvlan.is_some_and(|(_, _, on)| on == parent.index) => small_repair(endpoint, network, parent, l, id)?,
        Some(_) => return None,
        None => endpoint_making(endpoint, network, parent, Purpose::HealEndpoint(endpoint.id), id),
    };
    let plan = Arc::new(plan);
    let healing = Endpoint { state: EndpointState::Attaching { plan: id }, ..(**endpoint).clone() };
    let text = format!("{}: {}", endpoint.workload.name, differs.join(", "));
    let edits = vec![Edit::PutEndpoint(Arc::new(healing)), Edit::OpenPlan(Arc::clone(&plan))];
    let event = endpoint.failing_since.is_none().then(|| ("endpoint.drifted", endpoint.id.to_string(), text));
    Some(Fix::Heal { edits, plan: Some(plan), event })
}

/// Mode, flag and MTU are the network's and set right. Addresses and routes that a workload changed in its own namespace are
/// reported, not touched: they are its own business, and the pool still holds what is on record.
fn small_repair(
    endpoint: &Endpoint,
    network: &crate::network::Network,
    parent: &Parent,
    link: &crate::observed::InsideLink,
    id: PlanId,
) -> Option<Plan> {
    let (index, name) = (link.index, crate::names::LinkName::new(&link.name).unwrap_or_else(|_| endpoint.link.clone()));
    let mut steps = Vec::new();
    if link.ipvlan.is_some_and(|(mode, flag, _)| (mode, flag) != (network.mode, network.flag)) {
        steps.push(Step::SetMode { index, name: name.clone(), mode: network.mode, flag: network.flag });
    }
    if let Some(mtu) = network.mtu.filter(|m| *m != link.mtu) {
        steps.push(Step::SetMtuInside { index, name, mtu });
    }
    let netns = Some(endpoint.netns.clone());
    (!steps.is_empty()).then_some(Plan { id, purpose: Purpose::HealEndpoint(endpoint.id), lane: parent.id, netns, steps, undo: Vec::new() })
}
