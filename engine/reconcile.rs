//! Makes the kernel agree with the record: at start, when the host changes, and by looking at namespaces in turn.

use crate::clock;
use crate::engine::{Engine, Shared};
use crate::turn::{Input, Writer};
use bulkhead_core::converge::{self, Fix};
use bulkhead_core::endpoint::Netns;
use bulkhead_core::ids::Timestamp;
use bulkhead_core::observed::Observed;
use bulkhead_core::plan::{Plan, Settled, Settlement};
use bulkhead_core::record::{Recorded, StoreError};
use bulkhead_core::state::State;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::sync::mpsc::SyncSender;
use std::time::Duration;

/// Namespaces that one look of the sweep takes.
const SWEEP_MAX: usize = 64;

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
                    self.settle_found(Settlement { plan: id, result }, now);
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
        let fixes = converge::parents(&self.state, &host, now, clock::seed());
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

impl Engine {
    /// Looks at every namespace on record now, and heals what differs. Comes back when the record has heard of it; what must be
    /// made again is made in the background.
    pub async fn look(&self) {
        let then = self.state();
        let all = namespaces(&then);
        let kernel = Arc::clone(self.kernel());
        let Ok(observed) = tokio::task::spawn_blocking(move || kernel.observe(&all)).await else { return };
        self.put(Input::Observed { observed: Box::new(observed), then });
        self.flush().await;
    }
}

/// Each namespace that has endpoints, once.
fn namespaces(state: &State) -> Vec<Netns> {
    state.namespaces().filter_map(|id| state.in_netns(*id).next()).map(|e| e.netns.clone()).collect()
}

/// Looks at some namespaces at a time, in turn. Its looks go through the queue like everything that can change the state.
pub(crate) fn start_sweeping(shared: Arc<Shared>, queue: SyncSender<Input>, every: Duration) -> std::io::Result<()> {
    std::thread::Builder::new().name("sweep".into()).spawn(move || {
        let mut after = None;
        while !shared.stopping.load(Ordering::Acquire) {
            std::thread::sleep(every);
            let then = shared.state();
            let all: Vec<Netns> = then
                .namespaces()
                .filter(|id| after.is_none_or(|a| **id > a))
                .take(SWEEP_MAX)
                .filter_map(|id| then.in_netns(*id).next())
                .map(|e| e.netns.clone())
                .collect();
            after = all.last().map(|n| n.id).filter(|_| all.len() == SWEEP_MAX);
            if all.is_empty() {
                continue;
            }
            let observed = Box::new(shared.kernel.observe(&all));
            if queue.send(Input::Observed { observed, then }).is_err() {
                return;
            }
        }
    })?;
    Ok(())
}
