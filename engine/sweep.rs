//! Looks at the namespaces on record, some at a time, in turn: what happens inside them is told to nobody. Its looks go through the
//! queue like everything that can change the state.

use crate::input::Input;
use crate::shared::Shared;
use bulkhead_core::endpoint::Netns;
use bulkhead_core::state::State;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::sync::mpsc::SyncSender;
use std::time::Duration;

/// Namespaces that one look takes.
const SWEEP_MAX: usize = 64;

/// Each namespace that has endpoints, once.
pub(crate) fn namespaces(state: &State) -> Vec<Netns> {
    state.namespaces().filter_map(|id| state.in_netns(*id).next()).map(|e| e.netns.clone()).collect()
}

/// Starts the thread that does it, for as long as the daemon runs.
pub(crate) fn start(shared: Arc<Shared>, queue: SyncSender<Input>, every: Duration) -> std::io::Result<()> {
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
