//! `PATCH /v1/networks/{network}/endpoints/{endpoint}`

use super::affected::{Affected, is_seen, relabelled};
use super::{Basis, Decided, Effect, Matter, Object, ask, conclude, find_endpoint, find_network};
use crate::endpoint::{Endpoint, Workload};
use crate::policy::{Operation, Provenance};
use crate::record::Edit;
use crate::refusal::Refusal;
use crate::request::{Asked, ChangeWorkload};
use std::sync::Arc;

/// One namespace is one workload: its labels change on all its endpoints at once, and each of its networks is asked about.
pub(super) fn decide(basis: Basis<'_>, asked: &Asked, wish: &ChangeWorkload) -> Result<Decided, Refusal> {
    let state = basis.state;
    let network = find_network(state, &wish.network)?;
    let named = find_endpoint(state, network, &wish.endpoint)?;
    if !wish.netns_is_callers {
        let wrong = format!("{} is not {}'s", named.netns.named, asked.caller.name);
        return Err(Refusal::forbidden("endpoint", wrong, "an endpoint in a namespace that your user owns, or whose process is yours"));
    }
    let all: Vec<&Arc<Endpoint>> = state.in_netns(named.netns.id).collect();
    if let Some(plan) = all.iter().find_map(|e| e.open_plan()) {
        return Ok(Decided::Wait(plan));
    }
    let before = &named.workload;
    let labels = relabelled(basis.settings, &asked.caller, &before.labels, &wish.labels, "workload.labels")?;
    if labels == before.labels {
        return Ok(Decided::Already(Object::Endpoint(named.id)));
    }
    let workload = Workload { labels, provenance: Provenance::Asserted, ..before.clone() };
    let changed: Vec<(&Arc<Endpoint>, Arc<Endpoint>)> = all
        .iter()
        .map(|e| (*e, Arc::new(Endpoint { workload: Workload { name: e.workload.name.clone(), ..workload.clone() }, ..(***e).clone() })))
        .collect();
    let edits: Vec<Edit> = changed.iter().map(|(_, after)| Edit::PutEndpoint(Arc::clone(after))).collect();
    let mut next = state.clone();
    edits.iter().for_each(|e| next.apply(e));

    let seen = is_seen(state, &before.labels, &workload.labels);
    let mut affected = Affected::except(all.iter().map(|e| (e.network, Some(e.id))));
    let mut heard = Vec::new();
    for (before, after) in &changed {
        let Some(of) = state.network_by_id(before.network) else { continue };
        let Some(parent) = state.parent(of.parent) else { continue };
        let mut others = next.clone();
        others.apply(&Edit::DropEndpoint { id: after.id, free_at: asked.now });
        heard.extend(ask::about_change_of_workload(Basis { state: &others, ..basis }, asked, (before, after), of, parent));
        if seen {
            state.endpoints_of(of.id).for_each(|e| affected.endpoint(state, e));
            affected.beside(basis, of, parent);
        }
    }
    heard.extend(affected.newly_denied(basis, asked, &next)?);
    let matter = Matter {
        operation: Operation::ChangeWorkload,
        subject: network.name.as_str(),
        object: Some(named.id.to_string()),
        workload: Some((before.id.clone(), before.name.clone())),
        warnings: Vec::new(),
    };
    let labels: Vec<String> = workload.labels.iter().map(|(k, v)| format!("{k}={v}")).collect();
    let labels = if labels.is_empty() { "no labels".to_owned() } else { labels.join(", ") };
    let event = Some(("workload.changed", format!("{} has {labels} now", before.name)));
    Ok(conclude(basis, asked, matter, heard, || Effect { edits, plan: None, object: Object::Endpoint(named.id), event }))
}
