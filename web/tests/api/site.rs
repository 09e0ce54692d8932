//! A door on real sockets, over a simulated kernel, a record in memory and policies that are plain functions.

use crate::client::{Answer, Client};
use bulkhead_core::caller::{Caller, Grant};
use bulkhead_core::endpoint::Netns;
use bulkhead_core::event::Event;
use bulkhead_core::ids::{BootId, DecisionId};
use bulkhead_core::log::{Checked, DecisionFilter, LoggedDecision, Page, PolicyChange, Revision, Verified};
use bulkhead_core::names::Name;
use bulkhead_core::policy::{
    Change, Conclusion, Description, Digest, Judge, Judged, Module, Operation, Opinion, Policy, PolicyMode, Question, Scope, View,
    Violation,
};
use bulkhead_core::record::{Batch, Decision, Edit, Loaded, Store, StoreError};
use bulkhead_core::refusal::Fault;
use bulkhead_core::request::{PutPolicy, Request};
use bulkhead_core::settings::Settings;
use bulkhead_engine::{Config, Engine};
use bulkhead_kernel::sim::SimKernel;
use bulkhead_web::accounts::Accounts;
use bulkhead_web::auth::TcpGuard;
use bulkhead_web::listen::{self, TcpDoor, UnixDoor};
use bulkhead_web::parts::{Later, Log, Modules, Namespaces, NetnsWish, OpenNetns};
use bulkhead_web::sessions::Sessions;
use bulkhead_web::token::TokenHash;
use bulkhead_web::{App, BasePath, Limits};
use std::collections::BTreeMap;
use std::fs::File;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use tokio::sync::watch;

pub const TOKEN: &str = "00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff";
/// A user who is neither root nor anybody.
pub const STRANGER: u32 = 4_000_001;
/// A user who is an admin by configuration.
pub const ADMIN: u32 = 4_000_002;

/// What the memory holds besides what `load` gives back.
#[derive(Default)]
pub struct Rows {
    pub decisions: Vec<LoggedDecision>,
    pub events: Vec<Event>,
    pub bytes: BTreeMap<Digest, Vec<u8>>,
    pub revisions: Vec<Revision>,
    plans: BTreeMap<bulkhead_core::ids::PlanId, DecisionId>,
}

#[derive(Clone, Default)]
struct Memory(Arc<Mutex<Rows>>);

impl Store for Memory {
    fn write(&mut self, batch: &Batch) -> Result<(), StoreError> {
        let mut rows = self.0.lock().unwrap();
        for decision in &batch.decisions {
            rows.decisions.push(LoggedDecision { decision: Decision::clone(decision), leaf: [0; 32], outcomes: Vec::new() });
        }
        for plan in &batch.plans {
            let id = rows.decisions.last().map_or(DecisionId(0), |d| d.decision.id);
            rows.plans.insert(plan.id, id);
        }
        for end in &batch.settlements {
            let Some(id) = rows.plans.get(&end.plan).copied() else { continue };
            rows.decisions.iter_mut().filter(|d| d.decision.id == id).for_each(|d| d.outcomes.push(end.clone()));
        }
        rows.events.extend(batch.events.iter().cloned());
        for (digest, bytes) in &batch.module_bytes {
            rows.bytes.insert(*digest, bytes.to_vec());
        }
        for edit in &batch.edits {
            match edit {
                Edit::DropModule(digest) => drop(rows.bytes.remove(digest)),
                Edit::PutPolicy(policy) => {
                    let decision = batch.decisions.iter().rfind(|d| d.subject == policy.name.as_str()).map(|d| d.id);
                    rows.revisions.push(Revision { decision, policy: Policy::clone(policy) });
                }
                _ => {}
            }
        }
        Ok(())
    }
    fn load(&mut self) -> Result<Loaded, StoreError> {
        Ok(Loaded { fresh: true, ..Loaded::default() })
    }
}

impl Log for Memory {
    fn decision(&self, id: DecisionId) -> Later<'_, Option<LoggedDecision>> {
        let found = self.0.lock().unwrap().decisions.iter().find(|d| d.decision.id == id).cloned();
        Box::pin(async { Ok(found) })
    }
    fn decisions(&self, filter: DecisionFilter, page: Page, limit: usize) -> Later<'_, Vec<LoggedDecision>> {
        let fits = |d: &&LoggedDecision| {
            let d = &d.decision;
            let verdict = serde_json::to_value(&d.verdict).unwrap()["verdict"].as_str().unwrap().to_owned();
            let in_page = match page {
                Page::Newest => true,
                Page::Before(id) => d.id < id,
                Page::After(id) => d.id > id,
            };
            in_page
                && filter.operation.as_ref().is_none_or(|o| d.operation == *o)
                && filter.verdict.as_ref().is_none_or(|v| verdict == *v)
                && filter.since.is_none_or(|t| d.at >= t)
                && filter.until.is_none_or(|t| d.at < t)
        };
        let rows = self.0.lock().unwrap();
        let found = match page {
            Page::After(_) => rows.decisions.iter().filter(fits).take(limit).cloned().collect(),
            Page::Newest | Page::Before(_) => rows.decisions.iter().rev().filter(fits).take(limit).cloned().collect(),
        };
        Box::pin(async { Ok(found) })
    }
    fn events_after(&self, seq: u64, limit: usize) -> Later<'_, Vec<Event>> {
        let found = self.0.lock().unwrap().events.iter().filter(|e| e.seq > seq).take(limit).cloned().collect();
        Box::pin(async { Ok(found) })
    }
    fn revisions(&self, policy: String) -> Later<'_, Vec<Revision>> {
        let found = self.0.lock().unwrap().revisions.iter().filter(|r| r.policy.name.as_str() == policy).cloned().collect();
        Box::pin(async { Ok(found) })
    }
    fn policy_changes(&self) -> Later<'_, Vec<PolicyChange>> {
        let rows = self.0.lock().unwrap();
        let at = |id: Option<DecisionId>| rows.decisions.iter().find(|d| Some(d.decision.id) == id).unwrap().decision.at;
        let change = |r: &Revision| {
            let (name, policy) = (r.policy.name.to_string(), Some(r.policy.clone()));
            PolicyChange { name, decision: r.decision, at: at(r.decision), policy }
        };
        let found = rows.revisions.iter().map(change).collect();
        Box::pin(async { Ok(found) })
    }
    fn revision(&self, policy: String, number: u64) -> Later<'_, Option<Revision>> {
        let all = &self.0.lock().unwrap().revisions;
        let found = all.iter().find(|r| r.policy.name.as_str() == policy && r.policy.revision == number).cloned();
        Box::pin(async { Ok(found) })
    }
    /// Nothing is hashed here: roots tell only how many there are.
    fn verify(&self, decisions: Option<u64>, outcomes: Option<u64>) -> Later<'_, Verified> {
        let root = |n: u64| [u8::try_from(n % 251).unwrap(); 32];
        let checked = |size: u64, at: Option<u64>| {
            let root_at = at.filter(|n| *n <= size).map(root);
            Checked { size, root: root(size), root_at, changed: vec![], missing: vec![] }
        };
        let rows = self.0.lock().unwrap();
        let ends = rows.decisions.iter().map(|d| d.outcomes.len() as u64).sum();
        let found =
            Verified { decisions: checked(rows.decisions.len() as u64, decisions), outcomes: checked(ends, outcomes), archives: vec![] };
        Box::pin(async { Ok(found) })
    }
    fn last_judged_by(&self, module: Digest) -> Later<'_, Option<DecisionId>> {
        let rows = self.0.lock().unwrap();
        let found = rows.decisions.iter().rfind(|d| d.decision.heard.iter().any(|h| h.module == module)).map(|d| d.decision.id);
        Box::pin(async move { Ok(found) })
    }
    fn module_bytes(&self, module: Digest) -> Later<'_, Option<Vec<u8>>> {
        let found = self.0.lock().unwrap().bytes.get(&module).cloned();
        Box::pin(async { Ok(found) })
    }
}

/// Denies what has the label `tier=forbidden`, and any removal of what has `tier=sticky`.
struct Rules;

impl Judge for Rules {
    fn judge(&self, _: &Policy, q: &Question) -> Judged {
        let labels = q.network.labels.iter().chain(q.workload.iter().flat_map(|w| &w.labels));
        let tiers: Vec<&str> = labels.filter(|l| l.key == "tier").map(|l| l.value.as_str()).collect();
        let bad = if q.operation.is_removal() { "sticky" } else { "forbidden" };
        let violations: Vec<Violation> = tiers
            .iter()
            .filter(|t| **t == bad)
            .map(|t| Violation {
                rule: "no-such-tier".into(),
                message: format!("tier {t} is not to be"),
                field: Some("labels.tier".into()),
                remedy: Some("another tier".into()),
            })
            .collect();
        let outcome = if violations.is_empty() { Conclusion::Allow } else { Conclusion::Deny };
        let opinion = Opinion { outcome, violations, warnings: vec!["a warning".into()], notes: Vec::new() };
        Judged::spoke(opinion, Some(1))
    }
}

/// Modules are texts: `\0asm` and a name. Settings may have `max`, a number.
struct Texts;

pub fn description(name: &str) -> Description {
    use Operation::{Attach, ChangeNetwork, ChangeWorkload, CreateNetwork, DeleteNetwork, Detach};
    Description {
        name: name.into(),
        version: "1.0.0".into(),
        summary: "Tells tiers apart".into(),
        operations: vec![CreateNetwork, ChangeNetwork, DeleteNetwork, Attach, ChangeWorkload, Detach],
        rules: Vec::new(),
        label_keys: vec!["tier".into()],
        needs: vec![View::SameSegment],
        settings_schema: "{\"type\":\"object\"}".into(),
    }
}

fn digest(bytes: &[u8]) -> Digest {
    Digest(TokenHash::of(std::str::from_utf8(bytes).unwrap()).as_bytes().try_into().unwrap())
}

impl Modules for Texts {
    fn admit(&self, bytes: &[u8]) -> Result<Module, Vec<Fault>> {
        let name = bytes.strip_prefix(b"\0asm").and_then(|n| std::str::from_utf8(n).ok());
        let name = name.ok_or_else(|| vec![Fault::new("", "this is not WebAssembly", "")])?;
        Ok(Module { digest: digest(bytes), size: bytes.len() as u64, description: Arc::new(description(name)), built_in: false })
    }
    fn check_settings(&self, _: Digest, settings: &serde_json::Value) -> Result<Arc<Description>, Vec<Fault>> {
        let mut told = description("tiers");
        for (key, value) in settings.as_object().unwrap() {
            match (key.as_str(), value.as_u64()) {
                ("max", Some(_)) => {}
                ("only", _) => told.operations = vec![Operation::CreateNetwork],
                ("label", _) => told.label_keys = vec![value.as_str().unwrap().into()],
                ("max", None) => return Err(vec![Fault::new("max", "not a number", "a number")]),
                _ => return Err(vec![Fault::new(key.clone(), "unknown setting", "max")]),
            }
        }
        Ok(Arc::new(told))
    }
    fn unload(&self, _: Digest) {}
    fn loaded(&self, _: Digest) -> Result<(), String> {
        Ok(())
    }
    fn limits(&self) -> Vec<(&'static str, u64)> {
        vec![("fuel", 7)]
    }
}

/// Namespaces by name, each with the uid that owns it.
struct Named {
    kernel: Arc<SimKernel>,
    all: Mutex<BTreeMap<String, (Netns, u32)>>,
}

impl Namespaces for Named {
    fn open(&self, wish: &NetnsWish, caller: &Caller) -> Result<OpenNetns, Fault> {
        let (field, name) = match wish {
            NetnsWish::Name(name) => ("name", name.clone()),
            NetnsWish::Path(path) => ("path", path.trim_start_matches("/run/netns/").to_owned()),
            NetnsWish::Pid(pid) => ("pid", pid.to_string()),
        };
        let (owner, name) = match name.strip_prefix("strangers-") {
            _ if name.starts_with("no") => return Err(Fault::new(field, format!("{name} is not there"), "one that is")),
            Some(_) => (STRANGER, name),
            None => (0, name),
        };
        let mut all = self.all.lock().unwrap();
        let (netns, owner) =
            all.entry(name.clone()).or_insert_with(|| (self.kernel.add_netns(&format!("/run/netns/{name}")), owner)).clone();
        let fd = Arc::new(File::open("/dev/null").unwrap().into());
        Ok(OpenNetns { netns, fd, is_callers: caller.admin || caller.uid == Some(owner), default_routes: Default::default() })
    }
    fn owns(&self, netns: &Netns, caller: &Caller) -> bool {
        self.all.lock().unwrap().values().any(|(n, owner)| n.id == netns.id && caller.uid == Some(*owner))
    }
}

/// A door that is open.
pub struct Site {
    pub socket: PathBuf,
    pub address: SocketAddr,
    pub kernel: Arc<SimKernel>,
    pub engine: Engine,
    stop: watch::Sender<bool>,
    thread: Option<std::thread::JoinHandle<()>>,
    folder: tempfile::TempDir,
}

impl Site {
    pub fn new() -> Self {
        Self::with(Limits::default())
    }

    pub fn with(limits: Limits) -> Self {
        Self::at(BasePath::default(), limits)
    }

    /// Behind a proxy that shows it below `base`.
    pub fn at(base: BasePath, limits: Limits) -> Self {
        let folder = tempfile::tempdir().unwrap();
        // The tests' strangers must get at the socket.
        std::fs::set_permissions(folder.path(), std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
        let kernel = SimKernel::new(BootId(7));
        kernel.add_physical("eth0");
        let memory = Memory::default();
        let mut settings = Settings::new("fd00:1:2::/48".parse().unwrap());
        let cards = Grant { group: Some("cards-ops".into()), user: None, labels: BTreeMap::from([("team".into(), vec!["cards".into()])]) };
        settings.grants = vec![cards];
        let config = Config {
            store: Box::new(memory.clone()),
            kernel: Arc::<SimKernel>::clone(&kernel),
            judge: Arc::new(Rules),
            settings,
            sweep: None,
        };
        let engine = Engine::start(config).unwrap();
        let namespaces = Arc::new(Named { kernel: Arc::clone(&kernel), all: Mutex::default() });

        let socket = folder.path().join("socket");
        let unix = UnixDoor::bind(&socket, 0o666, None, Arc::new(Accounts::default()), vec![ADMIN]).unwrap();
        let hosts = vec!["bulkhead.example".to_owned()];
        let tcp = TcpDoor::bind("127.0.0.1:0".parse().unwrap(), |bound| {
            let sessions = Arc::new(Sessions::new(bound, base.clone()));
            TcpGuard { port: bound.port(), hosts, token: TokenHash::of(TOKEN), sessions }
        })
        .unwrap();
        let sessions = Some(tcp.sessions());
        let app = App::new(engine.clone(), namespaces, Arc::new(Texts), Arc::new(memory), limits, sessions, base);
        let address = tcp.address().unwrap();
        let (stop, stopped) = watch::channel(false);
        let setting_up = engine.clone();
        let (ready, is_ready) = std::sync::mpsc::channel();
        let thread = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
            runtime.block_on(async {
                enforce(&setting_up).await;
                ready.send(()).unwrap();
                listen::serve(app, Some(unix), Some(tcp), stopped).await.unwrap();
            });
            runtime.shutdown_timeout(std::time::Duration::from_secs(1));
        });
        is_ready.recv().unwrap();
        Self { socket, address, kernel, engine, stop, thread: Some(thread), folder }
    }

    /// Over the unix socket, as root.
    pub fn client(&self) -> Client {
        Client::unix(&self.socket)
    }

    /// Over TCP, with the token.
    pub fn tcp(&self) -> Client {
        Client::tcp(self.address).with("Host", &self.address.to_string()).with("Authorization", &format!("Bearer {TOKEN}"))
    }

    /// Stops, waits for the end, and hands over the folder.
    pub fn stop(mut self) -> tempfile::TempDir {
        self.end();
        std::mem::replace(&mut self.folder, tempfile::tempdir().unwrap())
    }

    fn end(&mut self) {
        self.stop.send_replace(true);
        if let Some(thread) = self.thread.take() {
            thread.join().unwrap();
        }
        self.engine.stop();
    }
}

impl Drop for Site {
    fn drop(&mut self) {
        self.end();
    }
}

/// The policy `tiers`, enforced.
async fn enforce(engine: &Engine) {
    let caller = Caller { name: "system".into(), uid: None, groups: Vec::new(), door: "start".into(), peer: String::new(), admin: true };
    let bytes = b"\0asmtiers";
    let module = Texts.admit(bytes).unwrap();
    let (digest, description) = (module.digest, Arc::clone(&module.description));
    let put = Request::PutModule(Arc::new(Module { built_in: true, ..module }));
    engine.ask_with(put, caller.clone(), Change::default(), None, None, Some((digest, Arc::from(&bytes[..])))).await.unwrap();
    let settings = serde_json::json!({});
    let policy = PutPolicy {
        name: Name::new("tiers").unwrap(),
        module: digest,
        settings,
        description,
        mode: PolicyMode::Enforce,
        schedule: None,
        scope: Scope::default(),
        help: Default::default(),
        tests: None,
        tested_beside: 0,
        new_only: true,
    };
    engine.ask(Request::PutPolicy(policy), caller, Change::default(), None, None).await.unwrap();
}

/// What must be answered.
pub fn must(answer: Answer, status: u16) -> serde_json::Value {
    assert_eq!(answer.status, status, "{}", answer.text());
    answer.json()
}
