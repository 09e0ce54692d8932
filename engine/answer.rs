//! What a caller hears.

use bulkhead_core::decide::Object;
use bulkhead_core::ids::DecisionId;
use bulkhead_core::policy::Found;
use bulkhead_core::refusal::Refusal;
use bulkhead_core::state::State;
use std::sync::Arc;

/// It was done.
#[derive(Debug, Clone)]
pub struct Answer {
    /// What it was about.
    pub object: Object,
    /// The decision; none for a repeat of what was on record.
    pub decision: Option<DecisionId>,
    /// Warnings of policies and of the engine.
    pub warnings: Vec<String>,
    /// The state in which it is done; the object is in there.
    pub state: Arc<State>,
}

/// It was not done.
#[derive(Debug, Clone, thiserror::Error)]
pub enum Failure {
    /// The request is wrong; no policy was asked, nothing was recorded.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// A policy said no.
    #[error("denied: {}", .violations.iter().map(|v| format!("{}: {}", v.policy, v.violation.message)).collect::<Vec<_>>().join(" · "))]
    Denied {
        /// The decision.
        decision: DecisionId,
        /// All violations.
        violations: Vec<Found>,
    },
    /// It was allowed, and the kernel did not do as planned. A making was undone; a removal stays on record and is tried again.
    #[error("{why}")]
    Kernel {
        /// The decision.
        decision: DecisionId,
        /// What was tried and what the kernel said.
        why: String,
        /// What could not be undone.
        left: Option<String>,
        /// A removal: it goes on.
        goes_on: bool,
    },
    /// Our side could not: the queue is full, the daemon is stopping, the record could not be written.
    #[error("{0}")]
    Unavailable(String),
}
