//! Where kernel and names meet: a namespace is served as soon as it has an endpoint, before the caller hears of it.

use bulkhead_core::endpoint::Netns;
use bulkhead_core::host::Host;
use bulkhead_core::kernel::{Kernel, Notice};
use bulkhead_core::observed::Observed;
use bulkhead_core::plan::{Plan, Purpose, Settled};
use bulkhead_core::record::Recorded;
use bulkhead_core::state::State;
use bulkhead_engine::Engine;
use bulkhead_kernel::find::{Found, find};
use bulkhead_kernel::{LinuxKernel, resolver};
use bulkhead_names::{Ground, Names, NotBound, Sockets};
use std::os::fd::OwnedFd;
use std::sync::{Arc, OnceLock};

/// This machine's kernel; an attach that it has carried out is told to the resolver before it is told to anybody else.
pub struct NamedKernel {
    kernel: Arc<LinuxKernel>,
    names: OnceLock<Names>,
}

impl NamedKernel {
    /// Without names until it is told of some.
    pub fn over(kernel: Arc<LinuxKernel>) -> Arc<Self> {
        Arc::new(Self { kernel, names: OnceLock::new() })
    }

    /// From now on these.
    pub fn answer_names(&self, names: &Names) {
        let _ = self.names.set(names.clone());
    }
}

impl Kernel for NamedKernel {
    fn apply(&self, plan: &Recorded<Arc<Plan>>, netns: Option<Arc<OwnedFd>>) -> Settled {
        let settled = self.kernel.apply(plan, netns.clone());
        let made = matches!(plan.get().purpose, Purpose::Attach(_)) && settled == Settled::Done;
        if let (true, Some(names), Some(record), Some(fd)) = (made, self.names.get(), &plan.get().netns, netns) {
            names.serve(record.id, || sockets(&fd));
        }
        settled
    }

    fn host(&self) -> Arc<Host> {
        self.kernel.host()
    }
    fn on_notice(&self, callback: Box<dyn Fn(Notice) + Send + Sync>) {
        self.kernel.on_notice(callback);
    }
    fn undo(&self, plan: &Recorded<Arc<Plan>>) -> Settled {
        self.kernel.undo(plan)
    }
    fn astray(&self, namespaces: &[Netns]) -> Vec<Netns> {
        self.kernel.astray(namespaces)
    }
    fn observe(&self, namespaces: &[Netns]) -> Observed {
        self.kernel.observe(namespaces)
    }
}

/// What the resolver needs: the engine's state, and this host's namespaces.
pub struct HostGround(pub Engine);

impl Ground for HostGround {
    fn state(&self) -> Arc<State> {
        self.0.state()
    }
    fn bind(&self, netns: &Netns) -> Result<Sockets, NotBound> {
        match find(netns) {
            Found::There(fd) => sockets(&fd),
            Found::Gone => Err(NotBound::Gone),
            Found::Unknown(why) => Err(NotBound::Failed(why)),
        }
    }
}

fn sockets(netns: &OwnedFd) -> Result<Sockets, NotBound> {
    match resolver::sockets(netns) {
        Ok((udp, tcp)) => Ok(Sockets { udp, tcp }),
        Err(resolver::NotBound::Taken(by)) => Err(NotBound::Taken(by)),
        Err(error @ resolver::NotBound::Failed { .. }) => {
            let cause = std::error::Error::source(&error).map(|c| format!(": {c}")).unwrap_or_default();
            Err(NotBound::Failed(format!("{error}{cause}")))
        }
    }
}
