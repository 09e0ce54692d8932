//! What the daemon plugs into this door: the crates that speak netlink, Wasm and SQL are not seen here.

use bulkhead_core::caller::Caller;
use bulkhead_core::endpoint::{Netns, NetnsId};
use bulkhead_core::event::Event;
use bulkhead_core::ids::DecisionId;
use bulkhead_core::log::{DecisionFilter, LoggedDecision, Page, PolicyChange, Revision, Verified};
use bulkhead_core::policy::{Description, Digest, Module};
use bulkhead_core::record::StoreError;
use bulkhead_core::refusal::Fault;
use bulkhead_core::request::DefaultRoutes;
use std::os::fd::OwnedFd;
use std::pin::Pin;
use std::sync::Arc;

/// How a request names a network namespace.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NetnsWish {
    /// An absolute path to a namespace file.
    Path(String),
    /// A name below /run/netns, as `ip netns` keeps them.
    Name(String),
    /// A process in it.
    Pid(i32),
}

/// A namespace, open and examined.
#[derive(Debug, Clone)]
pub struct OpenNetns {
    /// What goes on record of it.
    pub netns: Netns,
    /// The namespace itself: the apply uses this descriptor and nothing else.
    pub fd: Arc<OwnedFd>,
    /// Whether the caller may name it.
    pub is_callers: bool,
    /// The default routes that it has already.
    pub default_routes: DefaultRoutes,
}

/// Opens and examines network namespaces. Calls may block.
pub trait Namespaces: Send + Sync {
    /// Opens the namespace that `wish` names. The fault's field is `path`, `name` or `pid`.
    fn open(&self, wish: &NetnsWish, caller: &Caller) -> Result<OpenNetns, Fault>;
    /// Whether `caller` may detach what is in the recorded namespace. Not asked for admins: they may.
    fn owns(&self, netns: &Netns, caller: &Caller) -> bool;
    /// What is wrong with a namespace that has endpoints, though they work, such as that names are not answered there.
    fn trouble(&self, _netns: NetnsId) -> Option<String> {
        None
    }
}

/// Admits policy modules. Calls may block for as long as a compilation takes.
pub trait Modules: Send + Sync {
    /// Checks the bytes and makes the module ready to judge.
    fn admit(&self, bytes: &[u8]) -> Result<Module, Vec<Fault>>;
    /// Puts settings to the module; faults lie below `settings`. Tells what the module says of itself with these settings.
    fn check_settings(&self, module: Digest, settings: &serde_json::Value) -> Result<Arc<Description>, Vec<Fault>>;
    /// Forgets a module that is no longer on record.
    fn unload(&self, module: Digest);
    /// Whether it can judge; else why not.
    fn loaded(&self, module: Digest) -> Result<(), String>;
    /// What every module may use, by name: the limits in force.
    fn limits(&self) -> Vec<(&'static str, u64)>;
}

/// An answer that takes a while.
pub type Later<'a, T> = Pin<Box<dyn Future<Output = Result<T, StoreError>> + Send + 'a>>;

/// Reads what is on record, but not in the state: the decision log, the events, the bytes of modules.
pub trait Log: Send + Sync {
    /// One decision.
    fn decision(&self, id: DecisionId) -> Later<'_, Option<LoggedDecision>>;
    /// At most `limit` decisions of a page.
    fn decisions(&self, filter: DecisionFilter, page: Page, limit: usize) -> Later<'_, Vec<LoggedDecision>>;
    /// At most `limit` events after number `seq`, oldest first.
    fn events_after(&self, seq: u64, limit: usize) -> Later<'_, Vec<Event>>;
    /// The revisions of a policy, oldest first.
    fn revisions(&self, policy: String) -> Later<'_, Vec<Revision>>;
    /// All changes of policies, in the order in which they were decided.
    fn policy_changes(&self) -> Later<'_, Vec<PolicyChange>>;
    /// One revision of a policy.
    fn revision(&self, policy: String, number: u64) -> Later<'_, Option<Revision>>;
    /// Goes through the whole decision log; also the roots over the first so many decisions and outcomes.
    fn verify(&self, decisions: Option<u64>, outcomes: Option<u64>) -> Later<'_, Verified>;
    /// The newest decision that is not archived and was judged by a module.
    fn last_judged_by(&self, module: Digest) -> Later<'_, Option<DecisionId>>;
    /// The bytes of a module, as uploaded.
    fn module_bytes(&self, module: Digest) -> Later<'_, Option<Vec<u8>>>;
}
