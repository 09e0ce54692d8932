//! What comes in to the writer, and who waits for what comes of it.

use crate::answer::{Answer, Failure};
use bulkhead_core::decide::Object;
use bulkhead_core::ids::DecisionId;
use bulkhead_core::kernel::Notice;
use bulkhead_core::observed::Observed;
use bulkhead_core::plan::{Plan, Settlement};
use bulkhead_core::policy::Digest;
use bulkhead_core::record::Recorded;
use bulkhead_core::request::Asked;
use bulkhead_core::state::State;
use std::os::fd::OwnedFd;
use std::sync::Arc;
use tokio::sync::oneshot;

/// A request with whoever waits for its answer.
pub(crate) struct Waiting {
    pub(crate) asked: Asked,
    pub(crate) netns: Option<Arc<OwnedFd>>,
    pub(crate) bytes: Option<(Digest, Arc<[u8]>)>,
    pub(crate) answer: oneshot::Sender<Result<Answer, Failure>>,
}

/// All that can change the state.
pub(crate) enum Input {
    /// Somebody asks.
    Request(Box<Waiting>),
    /// A plan came to its end.
    Settled(Settlement),
    /// The host changed.
    Noticed(Notice),
    /// Namespaces were looked at, when the state was `then`.
    Observed { observed: Box<Observed>, then: Arc<State> },
    /// Answer when all before it has had its turn.
    Flush(oneshot::Sender<()>),
    /// End, once what is under way has settled.
    Stop,
}

/// A plan at the kernel, and who waits for it.
pub(crate) struct Running {
    pub(crate) plan: Recorded<Arc<Plan>>,
    pub(crate) asker: Option<Asker>,
    /// How often it was tried again.
    pub(crate) tries: u32,
}

/// Who waits for the end of a plan.
pub(crate) struct Asker {
    pub(crate) answer: oneshot::Sender<Result<Answer, Failure>>,
    pub(crate) object: Object,
    pub(crate) decision: DecisionId,
    pub(crate) warnings: Vec<String>,
}

/// Whoever asked may have gone; what was done stays done.
pub(crate) fn reply(answer: oneshot::Sender<Result<Answer, Failure>>, result: Result<Answer, Failure>) {
    let _ = answer.send(result);
}
