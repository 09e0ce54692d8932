//! Who lives beside a thing whose labels change is asked again: what may be beside what is decided by labels, so a change of
//! labels is judged like an attach, for the one that changes and for everyone whose input changes by it.

use super::{Basis, ask};
use crate::caller::{Caller, ungranted};
use crate::endpoint::Endpoint;
use crate::ids::{EndpointId, NetworkId};
use crate::names::Labels;
use crate::network::Network;
use crate::parent::Parent;
use crate::policy::{Heard, PolicyMode};
use crate::refusal::{Fault, Refusal, RefusalKind};
use crate::rehearse::{Existing, ask_one, denies};
use crate::request::{Asked, LabelChanges};
use crate::settings::Settings;
use crate::state::State;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// Most networks and endpoints that are asked about for one change: they are asked by the one writer, some 12 µs each and policy.
const ASKED_MAX: usize = 20_000;
/// Most opinions of others that are kept in one decision.
const KEPT_MAX: usize = 64;

/// `labels` with `changes`. A caller needs a grant for what he sets, and for what he takes away.
pub(super) fn relabelled(
    settings: &Settings,
    caller: &Caller,
    labels: &Labels,
    changes: &LabelChanges,
    field: &str,
) -> Result<Labels, Refusal> {
    let mut map: BTreeMap<String, String> = labels.iter().map(|(k, v)| (k.to_owned(), v.to_owned())).collect();
    let mut touched: Vec<Labels> = Vec::new();
    for (key, value) in changes {
        let before = match value {
            Some(value) => map.insert(key.clone(), value.clone()),
            None => map.remove(key),
        };
        if before.as_ref() != value.as_ref() {
            touched.extend(before.into_iter().chain(value.clone()).filter_map(|v| Labels::new(BTreeMap::from([(key.clone(), v)])).ok()));
        }
    }
    let below = |faults: Vec<Fault>| faults.into_iter().map(|f| f.below(field)).collect::<Vec<_>>();
    let after = Labels::new(map).map_err(|faults| Refusal { kind: RefusalKind::Invalid, faults: below(faults) })?;
    let mut faults = touched.iter().flat_map(|labels| ungranted(&settings.grants, caller, labels)).collect::<Vec<_>>();
    faults.dedup();
    if faults.is_empty() { Ok(after) } else { Err(Refusal { kind: RefusalKind::Forbidden, faults: below(faults) }) }
}

/// Who is to be asked again.
#[derive(Default)]
pub(super) struct Affected {
    list: Vec<Existing>,
    known: BTreeSet<(NetworkId, Option<EndpointId>)>,
}

impl Affected {
    /// Nobody but `except`, who are asked anyhow.
    pub(super) fn except(except: impl IntoIterator<Item = (NetworkId, Option<EndpointId>)>) -> Self {
        Self { list: Vec::new(), known: except.into_iter().collect() }
    }

    fn add(&mut self, existing: Existing) {
        if self.known.insert((existing.network.id, existing.endpoint.as_ref().map(|e| e.id))) {
            self.list.push(existing);
        }
    }

    /// An endpoint of `state`.
    pub(super) fn endpoint(&mut self, state: &State, endpoint: &Arc<Endpoint>) {
        if let Some(network) = state.network_by_id(endpoint.network) {
            self.add(Existing::endpoint(network, endpoint));
        }
    }

    /// A network of `state` and all on it.
    pub(super) fn whole(&mut self, state: &State, network: &Arc<Network>) {
        self.add(Existing::network(network));
        state.endpoints_of(network.id).for_each(|e| self.add(Existing::endpoint(network, e)));
    }

    /// All who are shown `network`'s residents: on its segment, on those that it reaches or that reach it, and where addresses overlap.
    pub(super) fn beside(&mut self, basis: Basis<'_>, network: &Network, parent: &Parent) {
        let state = basis.state;
        let segment = parent.segment();
        let mut segments = ask::reached(basis, network, parent);
        segments.push(segment);
        for other in segments.iter().flat_map(|s| state.networks_on(s)).filter(|n| n.id != network.id) {
            self.whole(state, other);
        }
        for other in ask::overlapping_networks(state, network) {
            self.whole(state, other);
        }
    }

    /// Opinions of those who would be denied on `after` and are not denied now. A neighbour who is in breach already does not stand in
    /// the way: `GET /v1/violations` names it.
    pub(super) fn newly_denied(self, basis: Basis<'_>, asked: &Asked, after: &State) -> Result<Vec<Heard>, Refusal> {
        if self.list.len() > ASKED_MAX {
            let wrong = format!("{} networks and endpoints would have to be judged again", self.list.len());
            return Err(Refusal::conflict("labels", wrong, format!("at most {ASKED_MAX}: make a new network, and move workloads there")));
        }
        let then = Basis { state: after, ..basis };
        let mut out = Vec::new();
        for policy in basis.state.policies().filter(|p| p.mode_at(asked.now) != PolicyMode::Off) {
            for existing in &self.list {
                let Some(now_on_record) = refreshed(after, existing) else { continue };
                let Some((question, judged)) = ask_one(then, policy, asked.now, &now_on_record) else { continue };
                let was_denied = || ask_one(basis, policy, asked.now, existing).is_some_and(|(_, judged)| denies(&judged));
                if denies(&judged) && !was_denied() {
                    out.push(Heard::of(policy, asked.now, question, judged));
                }
                if out.len() >= KEPT_MAX {
                    return Ok(out);
                }
            }
        }
        Ok(out)
    }
}

/// The same thing as `after` has it.
fn refreshed(after: &State, existing: &Existing) -> Option<Existing> {
    let network = after.network_by_id(existing.network.id)?;
    Some(match &existing.endpoint {
        None => Existing::network(network),
        Some(e) => Existing::endpoint(network, after.endpoint_by_id(e.id)?),
    })
}

/// Whether a policy in force or in audit looks at a label in which `a` and `b` differ.
pub(super) fn is_seen(state: &State, a: &Labels, b: &Labels) -> bool {
    let differs = |key: &String| a.get(key) != b.get(key);
    state.policies().filter(|p| p.mode != PolicyMode::Off || p.schedule.is_some()).any(|p| p.keys().iter().any(differs))
}
