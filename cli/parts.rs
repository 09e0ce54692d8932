//! What the web asks of the kernel, the judge and the store, put in terms of each: they do not know each other.

use bulkhead_core::caller::Caller;
use bulkhead_core::endpoint::{Netns, NetnsId};
use bulkhead_core::event::Event;
use bulkhead_core::ids::DecisionId;
use bulkhead_core::log::{DecisionFilter, LoggedDecision, Page, PolicyChange, Revision, Verified};
use bulkhead_core::names::shown;
use bulkhead_core::policy::{Description, Digest, Module};
use bulkhead_core::refusal::Fault;
use bulkhead_engine::Engine;
use bulkhead_kernel::{find, netns};
use bulkhead_names::Names;
use bulkhead_store::LogReader;
use bulkhead_wasm::WasmJudge;
use bulkhead_web::parts::{Later, Log, Modules, Namespaces, NetnsWish, OpenNetns};
use std::os::fd::AsFd;
use std::sync::Arc;

/// The namespaces of this host, and the names that are answered in them.
pub struct HostNamespaces(pub Option<Names>);

impl Namespaces for HostNamespaces {
    fn open(&self, wish: &NetnsWish, caller: &Caller) -> Result<OpenNetns, Fault> {
        let named = match wish {
            NetnsWish::Path(path) => netns::NetnsWish::Path(path.clone()),
            NetnsWish::Name(name) => netns::NetnsWish::Name(name.clone()),
            NetnsWish::Pid(pid) => netns::NetnsWish::Pid(*pid),
        };
        let opened = netns::open(&named).map_err(|fault| match wish {
            // The daemon sees more of the file system than its callers: what it saw there is not told to everybody.
            NetnsWish::Path(path) if !caller.admin => {
                let wrong = format!("{} is not there, or not a network namespace of {}", shown(path), caller.name);
                Fault::new(fault.field, wrong, "the path of a network namespace that your user owns")
            }
            _ => fault,
        })?;
        let is_callers = caller.admin || caller.uid.is_some_and(|uid| opened.owned_by(uid));
        Ok(OpenNetns { netns: opened.record, fd: opened.fd, is_callers, default_routes: opened.default_routes })
    }

    fn owns(&self, netns: &Netns, caller: &Caller) -> bool {
        let Some(uid) = caller.uid else { return false };
        if let find::Found::There(fd) = find::find(netns)
            && netns::owned_by(fd.as_fd(), uid)
        {
            return true;
        }
        // Named by a process of the caller's that still is in it.
        let pid = netns.named.strip_prefix("/proc/").and_then(|p| p.strip_suffix("/ns/net")).and_then(|p| p.parse().ok());
        let opened = pid.and_then(|pid| netns::open(&netns::NetnsWish::Pid(pid)).ok());
        opened.is_some_and(|o| o.record.id == netns.id && o.owned_by(uid))
    }

    fn trouble(&self, netns: NetnsId) -> Option<String> {
        self.0.as_ref()?.trouble(netns)
    }
}

/// The modules of the judge, and the engine whose policies it keeps ready.
pub struct WasmModules {
    /// Runs them.
    pub judge: Arc<WasmJudge>,
    /// Knows which policies are in force.
    pub engine: Engine,
}

impl Modules for WasmModules {
    fn admit(&self, bytes: &[u8]) -> Result<Module, Vec<Fault>> {
        self.judge.admit(bytes).map_err(|e| vec![Fault::new("", e.to_string(), "")])
    }
    fn check_settings(&self, module: Digest, settings: &serde_json::Value) -> Result<Arc<Description>, Vec<Fault>> {
        let checked = self.judge.check_settings(module, settings);
        self.judge.tidy(self.engine.state().policies().map(|p| &**p));
        checked.map_err(|refused| {
            let fault =
                |v: bulkhead_core::policy::Violation| Fault::new(v.field.unwrap_or_default(), v.message, v.remedy.unwrap_or_default());
            refused.violations.into_iter().map(fault).collect()
        })
    }
    fn unload(&self, module: Digest) {
        self.judge.unload(module);
    }
    fn loaded(&self, module: Digest) -> Result<(), String> {
        self.judge.loaded(module)
    }
    fn limits(&self) -> Vec<(&'static str, u64)> {
        bulkhead_wasm::Limits::ALL.iter().map(|l| (l.name, l.of(self.judge.limits()))).collect()
    }
}

/// The log of the record.
pub struct RecordLog(pub LogReader);

impl Log for RecordLog {
    fn decision(&self, id: DecisionId) -> Later<'_, Option<LoggedDecision>> {
        Box::pin(self.0.decision(id))
    }
    fn decisions(&self, filter: DecisionFilter, page: Page, limit: usize) -> Later<'_, Vec<LoggedDecision>> {
        Box::pin(async move { self.0.decisions(&filter, page, limit).await })
    }
    fn events_after(&self, seq: u64, limit: usize) -> Later<'_, Vec<Event>> {
        Box::pin(self.0.events_after(seq, limit))
    }
    fn revisions(&self, policy: String) -> Later<'_, Vec<Revision>> {
        Box::pin(async move { self.0.revisions(&policy).await })
    }
    fn policy_changes(&self) -> Later<'_, Vec<PolicyChange>> {
        Box::pin(self.0.policy_changes())
    }
    fn revision(&self, policy: String, number: u64) -> Later<'_, Option<Revision>> {
        Box::pin(async move { self.0.revision(&policy, number).await })
    }
    fn verify(&self, decisions: Option<u64>, outcomes: Option<u64>) -> Later<'_, Verified> {
        Box::pin(self.0.verify(decisions, outcomes))
    }
    fn last_judged_by(&self, module: Digest) -> Later<'_, Option<DecisionId>> {
        Box::pin(self.0.last_judged_by(module))
    }
    fn module_bytes(&self, module: Digest) -> Later<'_, Option<Vec<u8>>> {
        Box::pin(self.0.module_bytes(module))
    }
}
