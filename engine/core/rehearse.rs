//! What a policy says to all that exists: each network as if it were made now, each endpoint as if it were attached now, beside
//! everything else that is there.

use crate::caller::Caller;
use crate::decide::{Basis, ask};
use crate::endpoint::Endpoint;
use crate::ids::Timestamp;
use crate::network::Network;
use crate::policy::{Change, Conclusion, Judged, Judgement, Operation, Policy, PolicyMode, Question};
use crate::record::Edit;
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
    let names: Vec<_> = basis.state.network_names().cloned().collect();
    let networks = names.iter().filter_map(|name| basis.state.network(name.as_str()));
    for network in networks {
        let Some(parent) = basis.state.parent(network.parent) else { continue };
        let in_scope = |operation| policy.in_scope(Timestamp(0), operation, network.name.as_str(), &network.labels);
        let mut put = |existing: &Existing, caller: &Caller, without: &Edit| {
            let mut others = all.clone();
            others.apply(without);
            let basis = Basis { state: &others, ..basis };
            let asked = (caller, &Change::default());
            let question = ask::question(basis, asked, existing.operation, network, parent, existing.endpoint.as_deref(), &policy);
            let judged = basis.judge.judge(&policy, &question);
            hear(existing, &question, judged);
        };
        if in_scope(Operation::CreateNetwork) {
            let existing = Existing { operation: Operation::CreateNetwork, network: Arc::clone(network), endpoint: None };
            put(&existing, &maker(&network.created_by, None), &Edit::DropNetwork(network.id));
        }
        if in_scope(Operation::Attach) {
            for endpoint in basis.state.endpoints_of(network.id) {
                let existing =
                    Existing { operation: Operation::Attach, network: Arc::clone(network), endpoint: Some(Arc::clone(endpoint)) };
                let without = Edit::DropEndpoint { id: endpoint.id, free_at: Timestamp(0) };
                put(&existing, &maker(&endpoint.created_by, endpoint.created_by_uid), &without);
            }
        }
    }
}

fn maker(name: &str, uid: Option<u32>) -> Caller {
    Caller { name: name.to_owned(), uid, groups: Vec::new(), door: String::new(), peer: String::new(), admin: false }
}
