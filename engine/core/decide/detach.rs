//! `DELETE /v1/networks/{network}/endpoints/{endpoint}`

use super::{Basis, Decided, Effect, Matter, Object, ask, check_force, conclude, find_endpoint, find_network};
use crate::endpoint::EndpointState;
use crate::ids::{Ids, PlanId};
use crate::plan::Purpose;
use crate::policy::Operation;
use crate::record::Edit;
use crate::refusal::Refusal;
use crate::request::Asked;
use std::sync::Arc;

pub(super) fn decide(
    basis: Basis<'_>,
    asked: &Asked,
    network: &str,
    name_or_id: &str,
    netns_is_callers: bool,
    ids: &mut Ids,
) -> Result<Decided, Refusal> {
    let state = basis.state;
    check_force(asked, Operation::Detach)?;
    let network = find_network(state, network)?;
    let endpoint = find_endpoint(state, network, name_or_id)?;
    if let Some(plan) = endpoint.open_plan() {
        return Ok(Decided::Wait(plan));
    }
    if !netns_is_callers {
        let wrong = format!("{} is not {}'s", endpoint.netns.named, asked.caller.name);
        return Err(Refusal::forbidden("endpoint", wrong, "an endpoint in a namespace that your user owns, or whose process is yours"));
    }
    let Some(parent) = state.parent(network.parent) else {
        return Err(Refusal::conflict("network", format!("network {} has no parent on record", network.name), "delete it"));
    };
    let heard = ask::about_endpoint(basis, asked, Operation::Detach, endpoint, network, parent);
    let plan_id = PlanId(ids.id());
    let plan = Arc::new(super::endpoint_removal(endpoint, parent, Purpose::Detach(endpoint.id), plan_id));
    let mut leaving = (**endpoint).clone();
    leaving.state = EndpointState::Detaching { plan: plan_id };
    let matter = Matter {
        operation: Operation::Detach,
        subject: network.name.as_str(),
        object: Some(endpoint.id.to_string()),
        workload: Some((endpoint.workload.id.clone(), endpoint.workload.name.clone())),
        warnings: Vec::new(),
    };
    Ok(conclude(basis, asked, matter, heard, || Effect {
        edits: vec![Edit::PutEndpoint(Arc::new(leaving)), Edit::OpenPlan(Arc::clone(&plan))],
        plan: Some(plan),
        object: Object::Gone,
        event: None,
    }))
}
