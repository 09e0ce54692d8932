//! `DELETE /v1/networks/{network}`

use super::{Basis, Decided, Effect, Matter, Object, ask, check_force, conclude, find_network, listed};
use crate::ids::{Ids, PlanId};
use crate::network::NetworkState;
use crate::parent::ParentState;
use crate::plan::Purpose;
use crate::policy::Operation;
use crate::record::Edit;
use crate::refusal::Refusal;
use crate::request::Asked;
use std::sync::Arc;

pub(super) fn decide(basis: Basis<'_>, asked: &Asked, name_or_id: &str, ids: &mut Ids) -> Result<Decided, Refusal> {
    let state = basis.state;
    check_force(asked, Operation::DeleteNetwork)?;
    let network = find_network(state, name_or_id)?;
    let parent = state.parent(network.parent);
    if let Some(plan) = network.open_plan().or_else(|| parent.and_then(|p| p.open_plan())) {
        return Ok(Decided::Wait(plan));
    }
    // What is leaving already is waited for, what stays is named.
    let mut staying = Vec::new();
    for endpoint in state.endpoints_of(network.id).take(64) {
        match endpoint.open_plan() {
            Some(plan) => return Ok(Decided::Wait(plan)),
            None => staying.push(endpoint.name.as_ref().map_or_else(|| endpoint.id.to_string(), ToString::to_string)),
        }
    }
    if !staying.is_empty() {
        let count = state.endpoint_count(network.id);
        let wrong = format!("network {} has {count} endpoint{}: {}", network.name, if count == 1 { "" } else { "s" }, listed(&staying, 8));
        return Err(Refusal::conflict("network", wrong, "detach them first"));
    }

    let is_last = state.networks_of(network.parent).all(|n| n.id == network.id);
    let plan_id = PlanId(ids.id());
    let heard = parent.map(|p| ask::about_network(basis, asked, Operation::DeleteNetwork, network, p)).unwrap_or_default();
    let plan = parent
        .filter(|_| is_last)
        .and_then(|p| super::parent_removal(p, p.find(basis.host), Purpose::DeleteNetwork(network.id), plan_id))
        .map(Arc::new);
    let matter = Matter {
        operation: Operation::DeleteNetwork,
        subject: network.name.as_str(),
        object: Some(network.id.to_string()),
        workload: None,
        warnings: Vec::new(),
    };
    Ok(conclude(basis, asked, matter, heard, || {
        let mut edits = Vec::new();
        match (&plan, parent) {
            (Some(plan), Some(parent)) => {
                let mut leaving = (**network).clone();
                leaving.state = NetworkState::Deleting { plan: plan_id };
                let mut removing = (**parent).clone();
                removing.state = ParentState::Removing { plan: plan_id };
                edits.extend([Edit::PutNetwork(Arc::new(leaving)), Edit::PutParent(Arc::new(removing)), Edit::OpenPlan(Arc::clone(plan))]);
            }
            _ => {
                edits.push(Edit::DropNetwork(network.id));
                edits.extend(is_last.then_some(Edit::DropParent(network.parent)));
            }
        }
        let event = plan.is_none().then(|| ("network.deleted", format!("network {} is gone", network.name)));
        Effect { edits, plan, object: Object::Gone, event }
    }))
}
