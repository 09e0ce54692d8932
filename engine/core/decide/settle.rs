//! What a plan's end means for the record.

use crate::endpoint::EndpointState;
use crate::ids::{PlanId, Timestamp};
use crate::network::NetworkState;
use crate::parent::ParentState;
use crate::plan::{Plan, Purpose, Settled, Settlement};
use crate::record::Edit;
use crate::state::State;
use std::sync::Arc;

/// What follows from a settlement.
#[derive(Debug, Clone, Default)]
pub struct Aftermath {
    /// Changes of the state.
    pub edits: Vec<Edit>,
    /// Kind, subject and text of events.
    pub events: Vec<(&'static str, String, String)>,
    /// One line for the decision log.
    pub text: String,
    /// A removal that the kernel did not do stays open and is tried again.
    pub retry: bool,
    /// What a failed making left behind is still on record, and this removes it.
    pub removal: Option<Arc<Plan>>,
}

/// Settles a plan. Makings that failed are undone by now and leave the record; removals go forward and stay on record until
/// the kernel confirms them. `free_at`: when the addresses of what is gone may be handed out again.
pub fn settle(state: &State, settlement: &Settlement, now: Timestamp, free_at: Timestamp) -> Aftermath {
    let mut after = Aftermath::default();
    let Some(plan) = state.plan(settlement.plan) else { return after };
    let failed = match &settlement.result {
        Settled::Done => {
            after.text = "done".into();
            None
        }
        Settled::Failed { why, left, .. } => {
            after.text = left.as_ref().map_or_else(|| format!("failed: {why}"), |left| format!("failed: {why}; left behind: {left}"));
            Some(why.as_str())
        }
    };
    if failed.is_some() && plan.purpose.is_removal() {
        after.retry = true;
        let text = format!("a removal will be tried again: {}", after.text);
        after.events.push(("removal.failed", plan.id.to_string(), text));
        return after;
    }
    after.edits.push(Edit::ClosePlan(plan.id));
    match plan.purpose {
        Purpose::CreateNetwork(id) => settle_create(state, id, failed, &mut after),
        Purpose::DeleteNetwork(id) => {
            if let Some(network) = state.network_by_id(id) {
                after.edits.extend([Edit::DropNetwork(id), Edit::DropParent(network.parent)]);
                after.events.push(("network.deleted", network.name.to_string(), format!("network {} is gone", network.name)));
            }
        }
        Purpose::Attach(id) => match &settlement.result {
            Settled::Failed { left: Some(left), .. } => still_there(state, id, plan.id, left, &mut after),
            _ => settle_endpoint(state, id, failed, free_at, &mut after),
        },
        Purpose::Detach(id) => {
            if let Some(e) = state.endpoint_by_id(id) {
                after.edits.push(Edit::DropEndpoint { id, free_at });
                after.events.push(("endpoint.detached", id.to_string(), format!("{} left its network", e.workload.name)));
            }
        }
        Purpose::HealParent(id) => {
            if let Some(parent) = state.parent(id) {
                let mut healed = (**parent).clone();
                healed.state = if failed.is_none() { ParentState::Present } else { ParentState::Lost };
                after.edits.push(Edit::PutParent(Arc::new(healed)));
                if failed.is_none() {
                    after.edits.extend(crate::converge::endpoints_to_try(state, id));
                }
                let (kind, text) = match failed {
                    None => {
                        let after = now.0.saturating_sub(plan.id.at().0);
                        ("parent.healed", format!("{} is as recorded again, {after} ms after it was seen not to be", parent.link))
                    }
                    Some(why) => ("parent.lost", format!("{} could not be set right: {why}", parent.link)),
                };
                let told = failed.is_some_and(|why| {
                    let why = NetworkState::Degraded { why: format!("parent {}: {why}", parent.link) };
                    state.networks_of(id).all(|n| n.state == why)
                });
                if !told {
                    after.events.push((kind, parent.link.to_string(), text));
                }
                for network in state.networks_of(id) {
                    let mut next = (**network).clone();
                    next.state = match failed {
                        None => NetworkState::Ready,
                        Some(why) => NetworkState::Degraded { why: format!("parent {}: {why}", parent.link) },
                    };
                    if network.open_plan().is_none() && next.state != network.state {
                        after.edits.push(Edit::PutNetwork(Arc::new(next)));
                    }
                }
            }
        }
        Purpose::HealEndpoint(id) => {
            if let Some(endpoint) = state.endpoint_by_id(id) {
                let mut healed = (**endpoint).clone();
                healed.failing_since = failed.map(|_| endpoint.failing_since.unwrap_or(now));
                healed.state = match failed {
                    None => EndpointState::Attached,
                    Some(why) => EndpointState::Failed { why: why.to_owned(), at: now },
                };
                let (kind, text) = match failed {
                    None => ("endpoint.healed", format!("{} has its link as recorded again", endpoint.workload.name)),
                    Some(why) => ("endpoint.failed", format!("the link of {} could not be set right: {why}", endpoint.workload.name)),
                };
                after.edits.push(Edit::PutEndpoint(Arc::new(healed)));
                // One more try that failed is nothing new.
                if failed.is_none() || endpoint.failing_since.is_none() {
                    after.events.push((kind, id.to_string(), text));
                }
            }
        }
    }
    after
}

fn settle_create(state: &State, id: crate::ids::NetworkId, failed: Option<&str>, after: &mut Aftermath) {
    let Some(network) = state.network_by_id(id) else { return };
    let parent = state.parent(network.parent);
    match failed {
        None => {
            let mut ready = (**network).clone();
            ready.state = NetworkState::Ready;
            after.edits.push(Edit::PutNetwork(Arc::new(ready)));
            if let Some(parent) = parent {
                let mut present = (**parent).clone();
                present.state = ParentState::Present;
                after.edits.push(Edit::PutParent(Arc::new(present)));
            }
            after.events.push(("network.created", network.name.to_string(), format!("network {} is ready", network.name)));
        }
        Some(why) => {
            after.edits.push(Edit::DropNetwork(id));
            let others = state.networks_of(network.parent).any(|n| n.id != id);
            match parent {
                Some(parent) if others => {
                    let mut present = (**parent).clone();
                    present.state = ParentState::Present;
                    after.edits.push(Edit::PutParent(Arc::new(present)));
                }
                Some(parent) => after.edits.push(Edit::DropParent(parent.id)),
                None => {}
            }
            after.events.push(("network.failed", network.name.to_string(), format!("network {} could not be made: {why}", network.name)));
        }
    }
}

/// A making that failed and could not be undone: its link may be there, so its record and its addresses stay until it is gone.
fn still_there(state: &State, id: crate::ids::EndpointId, failed: PlanId, left: &str, after: &mut Aftermath) {
    let Some(endpoint) = state.endpoint_by_id(id) else { return };
    let parent = state.network_by_id(endpoint.network).and_then(|n| state.parent(n.parent));
    let Some(parent) = parent else { return };
    // Ids come with requests; this plan follows from one that has failed, and so does its id.
    let plan = PlanId(failed.0 ^ 1);
    let removal = Arc::new(super::endpoint_removal(endpoint, parent, Purpose::Detach(id), plan));
    let leaving = crate::endpoint::Endpoint { state: EndpointState::Detaching { plan }, ..(**endpoint).clone() };
    after.edits.extend([Edit::PutEndpoint(Arc::new(leaving)), Edit::OpenPlan(Arc::clone(&removal))]);
    after.events.push(("endpoint.failed", id.to_string(), format!("what {} left behind is being removed: {left}", endpoint.workload.name)));
    after.removal = Some(removal);
}

fn settle_endpoint(state: &State, id: crate::ids::EndpointId, failed: Option<&str>, free_at: Timestamp, after: &mut Aftermath) {
    let Some(endpoint) = state.endpoint_by_id(id) else { return };
    let network = state.network_by_id(endpoint.network).map_or_else(String::new, |n| n.name.to_string());
    match failed {
        None => {
            let mut attached = (**endpoint).clone();
            attached.state = EndpointState::Attached;
            after.edits.push(Edit::PutEndpoint(Arc::new(attached)));
            after.events.push(("endpoint.attached", id.to_string(), format!("{} joined {network}", endpoint.workload.name)));
        }
        Some(why) => {
            after.edits.push(Edit::DropEndpoint { id, free_at });
            after.events.push(("endpoint.failed", id.to_string(), format!("{} could not join {network}: {why}", endpoint.workload.name)));
        }
    }
}
