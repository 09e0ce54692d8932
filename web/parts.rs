//! What the daemon plugs into this door: the crates that speak netlink, Wasm and SQL are not seen here.

use bulkhead_core::caller::Caller;
use bulkhead_core::endpoint::Netns;
use bulkhead_core::event::Event;
use bulkhead_core::ids::{DecisionId, PlanId, Timestamp};
use bulkhead_core::policy::{Description, Digest, Module, Policy};
use bulkhead_core::record::{Decision, StoreError};
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
}

/// Admits policy modules. Calls may block for as long as a compilation takes.
pub trait Modules: Send + Sync {
    /// Checks the bytes and makes the module ready to judge.
    fn admit(&self, bytes: &[u8]) -> Result<Module, Vec<Fault>>;
    /// Puts settings to the module; faults lie below `settings`. Tells what the module says of itself with these settings.
    fn check_settings(&self, module: Digest, settings: &serde_json::Value) -> Result<Arc<Description>, Vec<Fault>>;
    /// Forgets a module that is no longer on record.
    fn unload(&self, module: Digest);
}

/// An answer that takes a while.
pub type Later<'a, T> = Pin<Box<dyn Future<Output = Result<T, StoreError>> + Send + 'a>>;

/// Reads what is on record, but not in the state: the decision log, the events, the bytes of modules.
pub trait Log: Send + Sync {
    /// One decision.
    fn decision(&self, id: DecisionId) -> Later<'_, Option<LoggedDecision>>;
    /// At most `limit` decisions older than `before`, newest first.
    fn decisions(&self, filter: DecisionFilter, before: Option<DecisionId>, limit: usize) -> Later<'_, Vec<LoggedDecision>>;
    /// At most `limit` events after number `seq`, oldest first.
    fn events_after(&self, seq: u64, limit: usize) -> Later<'_, Vec<Event>>;
    /// The revisions of a policy, oldest first.
    fn revisions(&self, policy: String) -> Later<'_, Vec<Revision>>;
    /// One revision of a policy.
    fn revision(&self, policy: String, number: u64) -> Later<'_, Option<Revision>>;
    /// Goes through the whole decision log; `at`: also the root over so many.
    fn verify(&self, at: Option<u64>) -> Later<'_, Verified>;
    /// The bytes of a module, as uploaded.
    fn module_bytes(&self, module: Digest) -> Later<'_, Option<Vec<u8>>>;
}

/// A policy as it was.
#[derive(Debug, Clone, PartialEq)]
pub struct Revision {
    /// The decision that made it, where one did.
    pub decision: Option<DecisionId>,
    /// The policy.
    pub policy: Policy,
}

/// What going through the decision log has shown. Hashes are those of RFC 6962.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verified {
    /// Decisions.
    pub size: u64,
    /// The root over all of them.
    pub root: [u8; 32],
    /// The root over as many as were asked for; `None` where there are not so many.
    pub root_at: Option<[u8; 32]>,
    /// Those whose bytes do not give their leaf.
    pub changed: Vec<DecisionId>,
    /// Numbers that are missing.
    pub missing: Vec<DecisionId>,
}

/// A decision with what came of its plan.
#[derive(Debug, Clone, PartialEq)]
pub struct LoggedDecision {
    /// The decision.
    pub decision: Decision,
    /// What came of its plan, oldest first; none while it is open.
    pub outcomes: Vec<PlanOutcome>,
}

/// What came of a plan.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PlanOutcome {
    /// Which plan.
    pub plan: PlanId,
    /// When it was put on record.
    pub recorded_at: Timestamp,
    /// What came of it, with the kernel's words.
    pub text: String,
}

/// Which decisions. What is `None` does not matter; all that is set must hold.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct DecisionFilter {
    /// Name of who asked.
    pub caller: Option<String>,
    /// `attach`, `create-network`, …
    pub operation: Option<String>,
    /// Name of the network or policy concerned.
    pub subject: Option<String>,
    /// Id of the network or endpoint.
    pub object: Option<String>,
    /// `allowed`, `denied` or `forced`.
    pub verdict: Option<String>,
    /// A policy that was asked.
    pub policy: Option<String>,
    /// Not before this time.
    pub since: Option<Timestamp>,
    /// Before this time.
    pub until: Option<Timestamp>,
}
