//! Makes the kernel agree with the record: at start, when the host changes, and by looking at namespaces in turn.

use crate::clock;
use crate::sweep::namespaces;
use crate::turn::Writer;
use bulkhead_core::converge::{self, Fix};
use bulkhead_core::ids::Timestamp;
use bulkhead_core::observed::Observed;
use bulkhead_core::plan::{Plan, Settled, Settlement};
use bulkhead_core::record::{Recorded, StoreError};
use bulkhead_core::state::State;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Instant;

impl Writer {
    /// At start, before the first request: open plans are settled, made anew or run again, then parents and endpoints are
    /// looked at. What must be made again is made in the background; nothing that is on record is judged again.
    pub(crate) fn recover(&mut self, reopened: Vec<Recorded<Arc<Plan>>>) -> Result<(), StoreError> {
        let now = clock::now();
        let mut observed = self.shared.kernel.observe(&namespaces(&self.state));
        let mut undone = false;
        let by_id: BTreeMap<_, _> = reopened.into_iter().map(|p| (p.get().id, p)).collect();
        for fix in converge::open_plans(&self.state, &observed) {
            match fix {
                Fix::Settle(settlement) => self.settle_found(settlement, now),
                Fix::Redo(id) => {
                    let Some(plan) = by_id.get(&id) else { continue };
                    let result = match self.shared.kernel.undo(plan) {
                        Settled::Done => Settled::Done,
                        Settled::Failed { why: left, .. } => {
                            let why = "the daemon ended before it was done".to_owned();
                            Settled::Failed { step: 0, why, left: Some(left) }
                        }
                    };
                    undone = true;
                    self.settle_found(Settlement { plan: id, result, took_us: None }, now);
                }
                Fix::Rerun(id) => {
                    if let Some(plan) = by_id.get(&id) {
                        self.resume(plan.clone());
                    }
                }
                Fix::Heal { .. } => {}
            }
        }
        if undone {
            observed = self.shared.kernel.observe(&namespaces(&self.state));
        }
        let then = self.state.clone();
        self.heal_parents(now);
        self.heal_endpoints(&observed, &then, now, true);
        self.save()
    }

    /// Compares the parents on record with the host.
    pub(crate) fn heal_parents(&mut self, now: Timestamp) {
        let host = self.shared.kernel.host();
        let at = Instant::now();
        let not_yet = |id| self.heal_later.get(&id).is_some_and(|(not_before, _)| not_before.is_some_and(|t| t > at));
        let fixes = converge::parents(&self.state, &host, now, clock::seed(), not_yet);
        self.carry_out(fixes, now);
    }

    /// Compares the endpoints on record with what was seen of their namespaces.
    pub(crate) fn heal_endpoints(&mut self, observed: &Observed, then: &State, now: Timestamp, retry_failed: bool) {
        let fixes = converge::endpoints(&self.state, then, observed, (now, clock::seed()), self.free_at(now), retry_failed);
        self.carry_out(fixes, now);
    }

    fn carry_out(&mut self, fixes: Vec<Fix>, now: Timestamp) {
        for fix in fixes {
            if let Fix::Heal { edits, plan, event } = fix {
                self.change(edits, event.into_iter().collect(), now);
                plan.into_iter().for_each(|p| self.plan_after_save(p));
            }
        }
    }
}
