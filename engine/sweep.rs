//! Looks at the namespaces on record, some at a time, in turn: what happens inside them is told to nobody. Its looks go through the
//! queue like everything that can change the state.

use crate::input::Input;
use crate::shared::Shared;
use bulkhead_core::endpoint::{Netns, NetnsId};
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

/// Starts the thread that does it, for as long as the daemon runs. A namespace whose recorded path leads nowhere is looked at within
/// two rounds or so, however many there are: it may be gone, and its addresses wait to be freed. All others have their turn.
pub(crate) fn start(shared: Arc<Shared>, queue: SyncSender<Input>, every: Duration) -> std::io::Result<()> {
    std::thread::Builder::new().name("sweep".into()).spawn(move || {
        let (mut after, mut after_astray) = (None, None);
        while !shared.stopping.load(Ordering::Acquire) {
            std::thread::sleep(every);
            let then = shared.state();
            let all = namespaces(&then);
            let mut looked_at = next(&shared.kernel.astray(&all), &mut after_astray);
            looked_at.extend(next(&all, &mut after));
            if looked_at.is_empty() {
                continue;
            }
            let observed = Box::new(shared.kernel.observe(&looked_at));
            if queue.send(Input::Observed { observed, then }).is_err() {
                return;
            }
        }
    })?;
    Ok(())
}

/// The next of `all`, which are sorted, after the last that was taken; from the beginning again when there are no more.
fn next(all: &[Netns], after: &mut Option<NetnsId>) -> Vec<Netns> {
    let taken: Vec<Netns> = all.iter().filter(|n| after.is_none_or(|a| n.id > a)).take(SWEEP_MAX).cloned().collect();
    *after = taken.last().map(|n| n.id).filter(|_| taken.len() == SWEEP_MAX);
    taken
}
