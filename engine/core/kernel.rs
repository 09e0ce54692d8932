//! The kernel as the engine uses it. Two implementations: the real one (`bulkhead-kernel`) and a simulated one.

use crate::endpoint::Netns;
use crate::host::Host;
use crate::observed::Observed;
use crate::plan::{Plan, Settled};
use crate::record::Recorded;
use std::os::fd::OwnedFd;
use std::sync::Arc;

/// Something on the host changed, and the mirror has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Notice {
    /// Links, addresses, routes or filters of the host changed; read [`Kernel::host`].
    HostChanged,
    /// Notifications were lost and the mirror was read anew: anything may have changed.
    Resynced,
}

/// What the engine asks of a kernel. All calls may block.
pub trait Kernel: Send + Sync {
    /// The mirror of the host, as of the last notification.
    fn host(&self) -> Arc<Host>;

    /// Calls back after each change of the mirror; at most one callback is kept.
    fn on_notice(&self, callback: Box<dyn Fn(Notice) + Send + Sync>);

    /// Carries out a plan, in order. A making that fails is undone (from the failed step on) before this returns; a removal
    /// that fails stays where it is. Steps inside use `netns` where given (opened at the request, closed right after), else
    /// the namespace is found again by the plan's record of it, and must have the same cookie.
    fn apply(&self, plan: &Recorded<Arc<Plan>>, netns: Option<Arc<OwnedFd>>) -> Settled;

    /// Carries out a recorded making's undo: what a crash left of it.
    fn undo(&self, plan: &Recorded<Arc<Plan>>) -> Settled;

    /// Those of the namespaces that are not where they were recorded: they are to be looked at first. Cheap, and no proof of anything.
    fn astray(&self, _namespaces: &[Netns]) -> Vec<Netns> {
        Vec::new()
    }

    /// Looks at the host and at these namespaces, by dumps. An interrupted dump (NLM_F_DUMP_INTR) is repeated.
    fn observe(&self, namespaces: &[Netns]) -> Observed;
}
