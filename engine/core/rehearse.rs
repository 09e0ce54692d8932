//! What a policy says to all that exists: each network as if it were made now, each endpoint as if it were attached now, beside
//! everything else that is there.

use crate::caller::Caller;
use crate::decide::{Basis, ask};
use crate::endpoint::Endpoint;
use crate::ids::Timestamp;
use crate::network::Network;
use crate::policy::{Change, Conclusion, Judged, Judgement, Operation, Policy, PolicyMode, Question};
use crate::record::Edit;
use std::fmt;
use std::sync::Arc;

/// Something that exists, and the operation that would make it.
#[derive(Debug, Clone)]
pub struct Existing {
    /// `create-network` or `attach`.
    pub operation: Operation,
    /// The network.
    pub network: Arc<Network>,
    /// The endpoint, where it is one.
    pub endpoint: Option<Arc<Endpoint>>,
}

impl Existing {
    /// A network, as if it were made.
    pub fn network(network: &Arc<Network>) -> Self {
        Self { operation: Operation::CreateNetwork, network: Arc::clone(network), endpoint: None }
    }
    /// An endpoint, as if it were attached.
    pub fn endpoint(network: &Arc<Network>, endpoint: &Arc<Endpoint>) -> Self {
        Self { operation: Operation::Attach, network: Arc::clone(network), endpoint: Some(Arc::clone(endpoint)) }
    }
}

/// Whether what was said denies. A policy that broke does: nothing is allowed unjudged.
pub fn denies(judged: &Judged) -> bool {
    match &judged.judgement {
        Judgement::Spoke(opinion) => opinion.outcome == Conclusion::Deny,
        Judgement::Broke(_) => true,
    }
}

/// Puts to `policy`, as if it were enforced, everything that exists and is in its scope: networks in the order of their names, each
/// followed by its endpoints. `hear` is told of each what was asked and what was said.
///
/// Who asks is who made it, as far as that is on record: groups and doors are not.
pub fn ask_all(basis: Basis<'_>, policy: &Policy, mut hear: impl FnMut(&Existing, &Question, Judged)) {
    let policy = Arc::new(Policy { mode: PolicyMode::Enforce, schedule: None, ..policy.clone() });
    // Residents are grouped by what policies look at: also by what this one does.
    let mut all = basis.state.clone();
    all.apply(&Edit::PutPolicy(Arc::clone(&policy)));
    let basis = Basis { state: &all, ..basis };
    let names: Vec<_> = basis.state.network_names().cloned().collect();
    let networks = names.iter().filter_map(|name| basis.state.network(name.as_str()));
    for network in networks {
        let endpoints = basis.state.endpoints_of(network.id).map(|e| Existing::endpoint(network, e));
        for existing in std::iter::once(Existing::network(network)).chain(endpoints) {
            if let Some((question, judged)) = ask_one(basis, &policy, Timestamp(0), &existing) {
                hear(&existing, &question, judged);
            }
        }
    }
}

/// Puts one thing that exists to `policy`, as if it were made now beside everything else in `basis`. `None` where it is not in scope.
pub(crate) fn ask_one(basis: Basis<'_>, policy: &Policy, now: Timestamp, existing: &Existing) -> Option<(Question, Judged)> {
    let Existing { operation, network, endpoint } = existing;
    if !policy.in_scope(now, *operation, network.name.as_str(), &network.labels) {
        return None;
    }
    let parent = basis.state.parent(network.parent)?;
    let (caller, without) = match endpoint {
        None => (maker(&network.created_by, None), Edit::DropNetwork(network.id)),
        Some(e) => (maker(&e.created_by, e.created_by_uid), Edit::DropEndpoint { id: e.id, free_at: Timestamp(0) }),
    };
    let mut others = basis.state.clone();
    others.apply(&without);
    let basis = Basis { state: &others, ..basis };
    let question = ask::question(basis, (&caller, &Change::default()), *operation, network, parent, endpoint.as_deref(), policy);
    let judged = basis.judge.judge(policy, &question);
    Some((question, judged))
}

/// Most things that exist that a candidate is asked about by the writer, and most of them on which it may break.
const ASKED_MAX: usize = 20_000;
const BROKE_MAX: usize = 3;

/// Something that exists, is denied by `current`, and would be allowed by `candidate`: on the very state that the change of the policy
/// commits to. Where there is too much to ask, or the candidate keeps breaking, that is said in its place: what cannot be known counts
/// as loosening.
pub(crate) fn would_allow(basis: Basis<'_>, current: &Policy, candidate: &Policy) -> Option<String> {
    let enforced = |p: &Policy| Arc::new(Policy { mode: PolicyMode::Enforce, schedule: None, ..p.clone() });
    let (current, candidate) = (enforced(current), enforced(candidate));
    let mut all = basis.state.clone();
    all.apply(&Edit::PutPolicy(Arc::clone(&candidate)));
    let then = Basis { state: &all, ..basis };
    let existing = basis
        .state
        .networks()
        .flat_map(|n| std::iter::once(Existing::network(n)).chain(basis.state.endpoints_of(n.id).map(|e| Existing::endpoint(n, e))));
    let mut broke = 0;
    for (at, existing) in existing.enumerate() {
        if at >= ASKED_MAX || broke >= BROKE_MAX {
            return Some("what there is too much of to ask about, or what it broke on".to_owned());
        }
        let now = ask_one(basis, &current, Timestamp(0), &existing);
        if !now.is_some_and(|(_, judged)| denies(&judged)) {
            continue;
        }
        let later = ask_one(then, &candidate, Timestamp(0), &existing);
        match later {
            Some((_, Judged { judgement: Judgement::Broke(_), .. })) => broke += 1,
            Some((_, judged)) if denies(&judged) => {}
            _ => return Some(existing.to_string()),
        }
    }
    None
}

impl fmt::Display for Existing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.endpoint {
            None => write!(f, "network {}", self.network.name),
            Some(endpoint) => write!(f, "{} on network {}", endpoint.workload.name, self.network.name),
        }
    }
}

fn maker(name: &str, uid: Option<u32>) -> Caller {
    Caller { name: name.to_owned(), uid, groups: Vec::new(), door: String::new(), peer: String::new(), admin: false }
}
