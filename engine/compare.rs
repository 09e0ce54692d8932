//! The record beside the kernel, now: what [`faults`] finds, and what it could not look at.

use crate::engine::Engine;
use crate::sweep;
use bulkhead_core::faults::{Disagreement, faults};
use bulkhead_core::observed::NetnsSeen;

/// What looking has shown.
#[derive(Debug)]
pub struct Compared {
    /// Where record and kernel differ; what is under way counts, too.
    pub differences: Vec<Disagreement>,
    /// Namespaces that could not be looked at, and why.
    pub not_seen: Vec<String>,
}

impl Engine {
    /// Looks at the host and at every namespace on record, and changes nothing. Blocks for as long as the kernel takes.
    pub fn compare(&self) -> Compared {
        let state = self.state();
        let observed = self.kernel().observe(&sweep::namespaces(&state));
        let not_seen = observed.namespaces.iter().filter_map(|(id, seen)| match seen {
            NetnsSeen::Unknown(why) => Some(format!("namespace {}: {why}", id.cookie)),
            NetnsSeen::Gone | NetnsSeen::There(_) => None,
        });
        Compared { not_seen: not_seen.collect(), differences: faults(&state, &observed) }
    }
}
