//! What a request means and whether it may be. Pure: the same state, host, policies and request give the same outcome.
//!
//! One file per operation. Each checks the request against the state (all faults at once), puts the question to the
//! policies ([`ask`]), and only if nobody objects has edits and a plan to show.

mod affected;
pub mod ask;
mod attach;
mod change_network;
mod change_workload;
mod create_network;
mod delete_network;
mod detach;
mod parent;
mod policies;
pub mod settle;
mod steps;
mod subnets;

use crate::endpoint::Endpoint;
use crate::evidence::SinceBoot;
use crate::host::Host;
use crate::ids::{EndpointId, Ids, NetworkId, PlanId};
use crate::names::{Name, nearest, shown};
use crate::network::Network;
use crate::plan::Plan;
use crate::policy::{Digest, Found, Heard, Judge, Operation, Verdict, combine};
use crate::record::{Decision, Edit};
use crate::refusal::Refusal;
use crate::request::{Asked, Request};
use crate::settings::Settings;
use crate::state::State;
use std::sync::Arc;

pub use steps::{endpoint_making, endpoint_removal, parent_making, parent_removal};

/// All that a decision rests on.
#[derive(Clone, Copy)]
pub struct Basis<'a> {
    /// What is on record.
    pub state: &'a State,
    /// The host as last seen.
    pub host: &'a Host,
    /// Asks policies.
    pub judge: &'a dyn Judge,
    /// What the operator configured.
    pub settings: &'a Settings,
}

/// The object that a request was about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Object {
    /// A network.
    Network(NetworkId),
    /// An endpoint.
    Endpoint(EndpointId),
    /// A module.
    Module(Digest),
    /// A policy.
    Policy(Name),
    /// Something that is gone.
    Gone,
}

/// What an allowed request brings about.
#[derive(Debug, Clone)]
pub struct Effect {
    /// Changes of the state.
    pub edits: Vec<Edit>,
    /// What the kernel must do; nothing where the record is all there is to change.
    pub plan: Option<Arc<Plan>>,
    /// What it is about.
    pub object: Object,
    /// Kind and text of the event that tells of it, where the record is all there is to change.
    pub event: Option<(&'static str, String)>,
}

/// Why a request is denied. It carries no plan: nothing can come of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Denial {
    /// All violations of all enforcing policies; never empty.
    pub violations: Vec<Found>,
}

/// A decision with its effect, if it has one.
#[derive(Debug, Clone)]
pub struct Outcome {
    /// What goes on record.
    pub decision: Decision,
    /// What follows.
    pub effect: Result<Effect, Denial>,
}

/// What came of looking at a request.
#[derive(Debug, Clone)]
pub enum Decided {
    /// It was judged.
    Outcome(Box<Outcome>),
    /// It is a repeat of what is already on record: no judgement, no plan.
    Already(Object),
    /// Something it depends on is under way; ask again when that plan is settled.
    Wait(PlanId),
}

/// Decides a request. The order of the checks is the order of what a caller can mend: the request, then the policies.
pub fn decide(basis: Basis<'_>, asked: &Asked) -> Result<Decided, Refusal> {
    let mut ids = Ids::new(asked.seed, asked.now);
    match &asked.request {
        Request::CreateNetwork(wish) => create_network::decide(basis, asked, wish, &mut ids),
        Request::ChangeNetwork(wish) => change_network::decide(basis, asked, wish),
        Request::DeleteNetwork { network } => delete_network::decide(basis, asked, network, &mut ids),
        Request::Attach(wish) => attach::decide(basis, asked, wish, &mut ids),
        Request::ChangeWorkload(wish) => change_workload::decide(basis, asked, wish),
        Request::Detach { network, endpoint, netns_is_callers } => {
            detach::decide(basis, asked, network, endpoint, *netns_is_callers, &mut ids)
        }
        Request::PutModule(module) => policies::put_module(basis, asked, module),
        Request::DeleteModule(unused) => policies::delete_module(basis, asked, unused),
        Request::Archive(archive) => policies::archive(basis, asked, archive),
        Request::PutPolicy(wish) => policies::put_policy(basis, asked, wish),
        Request::DeletePolicy { policy } => policies::delete_policy(basis, asked, policy),
    }
}

/// The network of this name or id, or a 404 that names the nearest.
fn find_network<'a>(state: &'a State, name_or_id: &str) -> Result<&'a Arc<Network>, Refusal> {
    state.network(name_or_id).ok_or_else(|| {
        let names: Vec<&str> = state.network_names().map(Name::as_str).collect();
        let right = match (nearest(name_or_id, names.iter().copied()), names.is_empty()) {
            (Some(near), _) => format!("did you mean {near}?"),
            (None, true) => "there is no network yet".to_owned(),
            (None, false) => format!("there are {}", listed(&names, 8)),
        };
        Refusal::not_found("network", format!("there is no network {}", shown(name_or_id)), right)
    })
}

/// The endpoint of this name or id, or a 404 that names the nearest.
fn find_endpoint<'a>(state: &'a State, network: &Network, name_or_id: &str) -> Result<&'a Arc<Endpoint>, Refusal> {
    state.endpoint(network.id, name_or_id).ok_or_else(|| {
        let names: Vec<&str> = state.endpoints_of(network.id).filter_map(|e| e.name.as_ref()).map(Name::as_str).collect();
        let right = nearest(name_or_id, names.iter().copied()).map_or_else(String::new, |near| format!("did you mean {near}?"));
        Refusal::not_found("endpoint", format!("network {} has no endpoint {}", network.name, shown(name_or_id)), right)
    })
}

/// At most `max` of `names`, and how many more there are.
pub(crate) fn listed<S: AsRef<str>>(names: &[S], max: usize) -> String {
    let shown: Vec<&str> = names.iter().take(max).map(AsRef::as_ref).collect();
    let more = names.len().saturating_sub(max);
    if more > 0 { format!("{} and {more} more", shown.join(", ")) } else { shown.join(", ") }
}

/// Only admins may `force`, only removals, and only with a reason.
fn check_force(asked: &Asked, operation: Operation) -> Result<(), Refusal> {
    match &asked.force {
        None => Ok(()),
        Some(_) if !operation.is_removal() => {
            Err(Refusal::invalid("force", format!("{} cannot be forced", operation.as_str()), "only removals can"))
        }
        Some(_) if !asked.caller.admin => {
            Err(Refusal::forbidden("force", format!("{} is not an admin", asked.caller.name), "only admins may force"))
        }
        Some(reason) if reason.trim().is_empty() => Err(Refusal::invalid("force", "no reason", "say why; it goes on record")),
        Some(_) => Ok(()),
    }
}

fn since_boot(basis: Basis<'_>, asked: &Asked) -> SinceBoot {
    SinceBoot { boot: basis.state.boot, us: asked.up_us }
}

/// What a judged request is about, for its decision.
struct Matter<'a> {
    operation: Operation,
    subject: &'a str,
    object: Option<String>,
    /// Id and name.
    workload: Option<(String, String)>,
    /// Warnings that the engine itself has.
    warnings: Vec<String>,
}

/// Combines what was heard into the decision and, if nobody objects, the effect that `then` makes of the decision's number.
fn conclude(basis: Basis<'_>, asked: &Asked, matter: Matter<'_>, heard: Vec<Heard>, then: impl FnOnce() -> Effect) -> Decided {
    let mut verdict = combine(matter.operation, &heard, basis.settings.allow_unjudged, asked.force.as_deref());
    if let Verdict::Allowed { warnings, .. } = &mut verdict {
        warnings.extend(matter.warnings);
    }
    let effect = match &verdict {
        Verdict::Denied { violations } => Err(Denial { violations: violations.clone() }),
        Verdict::Allowed { .. } | Verdict::Forced { .. } => Ok(then()),
    };
    let plan = effect.as_ref().ok().and_then(|e| e.plan.as_ref()).map(|p| p.to_string()).unwrap_or_default();
    let object = effect.as_ref().ok().and(matter.object);
    let decision = Decision {
        id: basis.state.next_decision(),
        at: asked.now,
        since_boot: since_boot(basis, asked),
        took_us: None,
        caller: asked.caller.clone(),
        operation: matter.operation.as_str().to_owned(),
        subject: matter.subject.to_owned(),
        object,
        workload: matter.workload,
        change: asked.change.clone(),
        judged_by: (!heard.is_empty()).then(|| basis.judge.judged_by()),
        heard,
        verdict,
        plan,
    };
    Decided::Outcome(Box::new(Outcome { decision, effect }))
}
