//! Puts questions to modules: a fresh instance for each, under limits, and an answer whatever the module does.

use crate::admit::{self, NotAdmitted, digest};
use crate::bindings::{Policy as Instance, PolicyPre, contract};
use crate::cache::{self, Cache};
use crate::convert;
use crate::engine::{self, NotStarted, Ticker};
use crate::limits::{Limits, answer};
use bulkhead_core::evidence::{JudgedBy, Limit};
use bulkhead_core::policy::{Conclusion, Description, Digest, Judge, Judged, Module, Opinion, Policy, Question, Violation};
use std::collections::{HashMap, HashSet};
use std::fmt;
use std::sync::{Arc, Condvar, Mutex, PoisonError, RwLock};
use wasmtime::{Engine, PoolConcurrencyLimitError, ResourceLimiter, Store, Trap};

/// Rule of violations that are about settings.
const RULE_SETTINGS: &str = "settings";

/// The module does not take these settings.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SettingsRefused {
    /// All that is wrong; never empty. `field` is the place in the settings.
    pub violations: Vec<Violation>,
}

impl std::error::Error for SettingsRefused {}

impl fmt::Display for SettingsRefused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let one = |v: &Violation| {
            let field = v.field.as_ref().map_or(String::new(), |f| format!("{f}: "));
            let remedy = v.remedy.as_ref().map_or(String::new(), |r| format!("; {r}"));
            format!("{field}{}{remedy}", v.message)
        };
        f.write_str(&self.violations.iter().map(one).collect::<Vec<_>>().join(" · "))
    }
}

impl SettingsRefused {
    fn one(message: String, remedy: &str) -> Self {
        let violation = Violation { rule: RULE_SETTINGS.into(), message, field: None, remedy: Some(remedy.into()) };
        Self { violations: vec![violation] }
    }
}

/// Runs modules in wasmtime. Share it by reference or `Arc`: dry runs and the writer ask at the same time.
pub struct WasmJudge {
    engine: Engine,
    limits: Limits,
    modules: RwLock<HashMap<Digest, Slot>>,
    turns: Turns,
    cache: Option<Cache>,
    judged_by: Arc<JudgedBy>,
    _ticker: Ticker,
}

/// A module that is on record.
#[derive(Clone)]
enum Slot {
    Ready(Arc<Loaded>),
    /// Its policies are broke; all others serve.
    Failed(NotAdmitted),
}

/// A compiled module. When settings are frozen into memory, this is the place for the frozen ones, by settings.
struct Loaded {
    pre: PolicyPre<Bounds>,
    size: u64,
    description: Arc<Description>,
}

impl fmt::Debug for WasmJudge {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WasmJudge").field("limits", &self.limits).finish_non_exhaustive()
    }
}

impl WasmJudge {
    /// Makes wasmtime ready. Reserves address space for [`Limits::calls_at_once`], and starts the thread that watches deadlines.
    pub fn new(limits: Limits) -> Result<Self, NotStarted> {
        let engine = engine::new(&limits)?;
        let ticker = Ticker::start(&engine, &limits)?;
        let turns = Turns::new(limits.calls_at_once);
        let judged_by = Arc::new(engine::judged_by(&limits));
        Ok(Self { engine, judged_by, limits, modules: RwLock::default(), turns, cache: None, _ticker: ticker })
    }

    /// Keeps what is compiled, and finds it at the next start.
    #[must_use]
    pub fn with_cache(self, cache: Cache) -> Self {
        Self { cache: Some(cache), ..self }
    }

    /// The limits in force.
    pub fn limits(&self) -> &Limits {
        &self.limits
    }

    /// Checks uploaded bytes, compiles them and asks what they judge. From a millisecond to many seconds, by size: never call
    /// it on the writer's thread. What is admitted stays compiled, so that [`load`](Self::load) of the same bytes is free;
    /// [`unload`](Self::unload) it if it does not come on record.
    pub fn admit(&self, bytes: &[u8]) -> Result<Module, NotAdmitted> {
        let digest = digest(bytes);
        let loaded = match self.ready(digest) {
            Some(loaded) => loaded,
            None => {
                let loaded = Arc::new(self.compile(bytes)?);
                self.put(digest, Slot::Ready(Arc::clone(&loaded)));
                loaded
            }
        };
        Ok(Module { digest, size: loaded.size, description: Arc::clone(&loaded.description), built_in: false })
    }

    /// Loads a module that is on record. If that fails, its policies answer [`Judgement::Broke`] with this very reason, and
    /// all others serve.
    pub fn load(&self, digest: Digest, bytes: &[u8]) -> Result<(), NotAdmitted> {
        if self.ready(digest).is_some() {
            return Ok(());
        }
        let found = admit::digest(bytes);
        let loaded = if found == digest { self.compile(bytes) } else { Err(NotAdmitted::OtherBytes { expected: digest, found }) };
        match loaded {
            Ok(loaded) => {
                self.put(digest, Slot::Ready(Arc::new(loaded)));
                Ok(())
            }
            Err(why) => {
                tracing::error!(module = %digest, %why, "a policy module cannot be loaded: its policies deny");
                self.put(digest, Slot::Failed(why.clone()));
                Err(why)
            }
        }
    }

    /// Forgets a module. Calls under way end as they would have.
    pub fn unload(&self, digest: Digest) {
        self.modules.write().unwrap_or_else(PoisonError::into_inner).remove(&digest);
        if let Some(cache) = &self.cache {
            cache.forget(&self.engine, digest);
        }
    }

    /// Runs the module's `configure`, and asks what it looks at with these settings: the description to keep with the policy.
    /// It may differ from the module's own in `operations`, `label_keys` and `needs`.
    pub fn check_settings(&self, digest: Digest, settings: &serde_json::Value) -> Result<Arc<Description>, SettingsRefused> {
        let loaded = match self.slot(digest) {
            Some(Slot::Ready(loaded)) => loaded,
            Some(Slot::Failed(why)) => {
                return Err(SettingsRefused::one(format!("module {digest} cannot be loaded: {why}"), "upload a module that can be loaded"));
            }
            None => return Err(SettingsRefused::one(format!("there is no module {digest}"), "upload it first")),
        };
        let text = settings_text(settings);
        let (size, max) = (text.len(), self.limits.settings_bytes_max);
        if size > max {
            return Err(SettingsRefused::one(format!("the settings have {size} bytes"), &format!("at most {max}")));
        }
        let budget = Budget { fuel: self.limits.fuel_admission, deadline_ms: self.limits.deadline_admission_ms };
        let (said, _) = self.call(&loaded.pre, &budget, |run| {
            Ok(match run.configure(&text)? {
                Ok(()) => Ok(run.describe()?),
                Err(violations) => Err(SettingsRefused { violations }),
            })
        });
        let mend = "mend the module: this is not the settings' fault alone";
        let said = said.map_err(|broke| SettingsRefused::one(format!("the module broke on these settings: {broke}"), mend))??;
        let said = admit::description(said).map_err(|faults| {
            let faults = faults.iter().map(ToString::to_string).collect::<Vec<_>>().join(" · ");
            SettingsRefused::one(format!("what the module says of itself with these settings is against the contract: {faults}"), mend)
        })?;
        let same = |a: &Description, b: &Description| {
            a.name == b.name && a.version == b.version && a.rules == b.rules && a.settings_schema == b.settings_schema
        };
        if !same(&said, &loaded.description) {
            let message = "with these settings the module gives itself another name, version, schema or other rules";
            return Err(SettingsRefused::one(message.into(), mend));
        }
        Ok(Arc::new(said))
    }

    fn slot(&self, digest: Digest) -> Option<Slot> {
        self.modules.read().unwrap_or_else(PoisonError::into_inner).get(&digest).cloned()
    }

    fn ready(&self, digest: Digest) -> Option<Arc<Loaded>> {
        match self.slot(digest)? {
            Slot::Ready(loaded) => Some(loaded),
            Slot::Failed(_) => None,
        }
    }

    fn put(&self, digest: Digest, slot: Slot) {
        self.modules.write().unwrap_or_else(PoisonError::into_inner).insert(digest, slot);
    }

    fn compile(&self, bytes: &[u8]) -> Result<Loaded, NotAdmitted> {
        let component = admit::component(bytes, &self.limits)?;
        let component = cache::compiled(self.cache.as_ref(), &self.engine, digest(bytes), &component)?;
        let pre = admit::link(&component)?;
        let budget = Budget { fuel: self.limits.fuel_admission, deadline_ms: self.limits.deadline_admission_ms };
        let (said, _) = self.call(&pre, &budget, |run| run.describe());
        let said = said.map_err(|broke| match broke {
            Broke::Types(why) => NotAdmitted::WrongTypes(why),
            Broke::Ran(why) | Broke::Met(_, why) => NotAdmitted::Broke(why),
        })?;
        let description = Arc::new(admit::description(said).map_err(NotAdmitted::Description)?);
        Ok(Loaded { pre, size: bytes.len() as u64, description })
    }

    /// One fresh instance, and what `work` asks of it. Also the fuel that it took.
    fn call<R>(
        &self,
        pre: &PolicyPre<Bounds>,
        budget: &Budget,
        work: impl FnOnce(&mut Run<'_>) -> Result<R, Broke>,
    ) -> (Result<R, Broke>, u64) {
        let _turn = self.turns.take();
        let bounds = Bounds { memory_bytes_max: self.limits.memory_bytes_max, refused: None };
        let mut store = Store::new(&self.engine, bounds);
        store.limiter(|bounds| bounds);
        store.set_epoch_deadline(self.limits.ticks(budget.deadline_ms));
        store.set_hostcall_fuel(self.limits.answer_bytes_max);
        store.set_fuel(budget.fuel).expect("the engine counts fuel");
        let mut run = Run { store, instance: None, budget, limits: &self.limits };
        let done = run.start(pre).and_then(|()| work(&mut run));
        let left = run.store.get_fuel().expect("the engine counts fuel");
        (done, budget.fuel - left)
    }

    fn ask(&self, loaded: &Loaded, policy: &Policy, question: &Question) -> (Result<Opinion, Broke>, u64) {
        let budget = Budget { fuel: self.limits.fuel, deadline_ms: self.limits.deadline_ms };
        let settings = settings_text(&policy.settings);
        let request = convert::request(question);
        self.call(&loaded.pre, &budget, |run| {
            if let Err(violations) = run.configure(&settings)? {
                return Err(Broke::Ran(format!("it refuses its settings: {}", SettingsRefused { violations })));
            }
            let opinion = run.evaluate(&request)?;
            keeps_to_contract(&opinion, &policy.description).map_err(Broke::Ran)?;
            Ok(opinion)
        })
    }
}

impl Judge for WasmJudge {
    fn judge(&self, policy: &Policy, question: &Question) -> Judged {
        // That it was not there is a circumstance: another time it may be.
        let broke = |why: String| Judged::broke(why, None, Some(Limit::Circumstance));
        match self.slot(policy.module) {
            None => broke(format!("its module {} is not loaded", policy.module)),
            Some(Slot::Failed(why)) => broke(format!("its module {} cannot be loaded: {why}", policy.module)),
            Some(Slot::Ready(loaded)) => match self.ask(&loaded, policy, question) {
                (Ok(opinion), fuel) => Judged::spoke(opinion, Some(fuel)),
                (Err(broke), fuel) => Judged::broke(broke.to_string(), Some(fuel), broke.limit()),
            },
        }
    }

    fn judged_by(&self) -> Arc<JudgedBy> {
        Arc::clone(&self.judged_by)
    }
}

/// Settings as the module reads them: JSON text, keys in the order given. No settings are an empty object.
fn settings_text(settings: &serde_json::Value) -> String {
    if settings.is_null() { "{}".into() } else { settings.to_string() }
}

/// Whether the opinion is one that the contract allows; else what is wrong with it.
fn keeps_to_contract(opinion: &Opinion, description: &Description) -> Result<(), String> {
    let declared: HashSet<&str> = description.rules.iter().map(|r| r.id.as_str()).collect();
    if let Some(stray) = opinion.violations.iter().find(|v| !declared.contains(v.rule.as_str())) {
        let rule = bulkhead_core::names::shown(&stray.rule);
        return Err(format!("it found rule {rule} violated, which it does not declare"));
    }
    match (opinion.outcome, opinion.violations.len()) {
        (Conclusion::Deny, 0) => return Err("it denied without naming a violation".into()),
        (Conclusion::Allow | Conclusion::NotApplicable, n @ 1..) => {
            return Err(format!("it named {n} violations and did not deny"));
        }
        _ => {}
    }
    let entries = [("violations", opinion.violations.len()), ("warnings", opinion.warnings.len()), ("notes", opinion.notes.len())];
    if let Some((list, n)) = entries.into_iter().find(|(_, n)| *n > answer::ENTRIES_MAX) {
        return Err(format!("it gave {n} {list}; at most {} are taken", answer::ENTRIES_MAX));
    }
    let of_violations = opinion.violations.iter().flat_map(|v| [Some(&v.message), v.field.as_ref(), v.remedy.as_ref()]).flatten();
    let longest = of_violations.chain(&opinion.warnings).chain(&opinion.notes).map(String::len).max().unwrap_or(0);
    if longest > answer::TEXT_BYTES_MAX {
        return Err(format!("it gave a text of {longest} bytes; at most {} are taken", answer::TEXT_BYTES_MAX));
    }
    Ok(())
}

/// Why there is no answer.
#[derive(Debug)]
enum Broke {
    /// Its exports are not the contract's.
    Types(String),
    /// It was run, and trapped or broke the contract.
    Ran(String),
    /// It was run, and met a limit.
    Met(Limit, String),
}

impl Broke {
    fn limit(&self) -> Option<Limit> {
        match self {
            Broke::Types(_) | Broke::Ran(_) => None,
            Broke::Met(limit, _) => Some(*limit),
        }
    }
}

impl fmt::Display for Broke {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Broke::Types(why) => write!(f, "its exports are not those of the contract: {why}"),
            Broke::Ran(why) | Broke::Met(_, why) => f.write_str(why),
        }
    }
}

impl From<Broke> for SettingsRefused {
    fn from(broke: Broke) -> Self {
        SettingsRefused::one(broke.to_string(), "mend the module")
    }
}

/// What one instance may use up.
struct Budget {
    fuel: u64,
    deadline_ms: u64,
}

/// One instance at work.
struct Run<'a> {
    store: Store<Bounds>,
    instance: Option<Instance>,
    budget: &'a Budget,
    limits: &'a Limits,
}

impl Run<'_> {
    fn start(&mut self, pre: &PolicyPre<Bounds>) -> Result<(), Broke> {
        let plain = pre.instance_pre().instantiate(&mut self.store);
        let plain = plain.map_err(|e| self.cause("its start", &e))?;
        let typed = Instance::new(&mut self.store, &plain).map_err(|e| Broke::Types(format!("{e:#}")))?;
        self.instance = Some(typed);
        Ok(())
    }

    fn describe(&mut self) -> Result<contract::Description, Broke> {
        self.export("describe", |store, judge| judge.call_describe(store))
    }

    fn configure(&mut self, settings: &str) -> Result<Result<(), Vec<Violation>>, Broke> {
        let answer = self.export("configure", |store, judge| judge.call_configure(store, settings))?;
        match answer {
            Ok(()) => Ok(Ok(())),
            Err(violations) if violations.is_empty() => Err(Broke::Ran("it refuses its settings without saying why".into())),
            Err(violations) => Ok(Err(convert::violations(violations))),
        }
    }

    fn evaluate(&mut self, request: &contract::Request) -> Result<Opinion, Broke> {
        self.export("evaluate", |store, judge| judge.call_evaluate(store, request)).map(convert::opinion)
    }

    fn export<R>(
        &mut self,
        name: &'static str,
        call: impl FnOnce(&mut Store<Bounds>, &contract::Guest) -> wasmtime::Result<R>,
    ) -> Result<R, Broke> {
        let instance = self.instance.as_ref().expect("started before it is asked");
        call(&mut self.store, instance.bulkhead_policy_judge()).map_err(|e| self.cause(name, &e))
    }

    /// What stopped it, in words that its author can act on.
    fn cause(&self, at: &str, error: &wasmtime::Error) -> Broke {
        let limits = self.limits;
        let trap = error.downcast_ref::<Trap>();
        let memory = self.store.data().refused.map(|asked| {
            format!("{at} wanted {} MiB of memory, and may have {} MiB", asked.div_ceil(1 << 20), limits.memory_bytes_max >> 20)
        });
        match trap {
            Some(Trap::OutOfFuel) => Broke::Met(Limit::Fuel, format!("{at} used up its fuel of {}", self.budget.fuel)),
            Some(Trap::Interrupt) => Broke::Met(Limit::Circumstance, format!("{at} ran longer than {} ms", self.budget.deadline_ms)),
            Some(Trap::StackOverflow) => {
                let stack = limits.stack_bytes_max >> 10;
                Broke::Met(Limit::Space, format!("{at} used up its stack of {stack} KiB: it recurses too deeply"))
            }
            _ if memory.is_some() => Broke::Met(Limit::Space, memory.unwrap_or_default()),
            Some(Trap::UnreachableCodeReached) => {
                Broke::Ran(format!("{at} trapped: it panicked, or gave up with an unreachable instruction"))
            }
            Some(trap) => Broke::Ran(format!("{at} trapped: {}", trap.to_string().trim_start_matches("wasm trap: "))),
            None if error.is::<PoolConcurrencyLimitError>() => {
                Broke::Met(Limit::Circumstance, format!("{at} found no free place to run in: {error:#}"))
            }
            None => {
                let words = format!("{error:#}");
                if words.contains("fuel allocated for hostcalls") {
                    Broke::Met(Limit::Space, format!("{at} answered with more than {} KiB", limits.answer_bytes_max >> 10))
                } else {
                    // A backtrace would follow on further lines.
                    Broke::Ran(format!("{at} failed: {}", words.lines().next().unwrap_or("without a reason")))
                }
            }
        }
    }
}

/// Memory that one instance may have. The pool keeps to the same limit; this one remembers who ran into it.
struct Bounds {
    memory_bytes_max: usize,
    refused: Option<usize>,
}

impl ResourceLimiter for Bounds {
    fn memory_growing(&mut self, _current: usize, desired: usize, _maximum: Option<usize>) -> wasmtime::Result<bool> {
        let fits = desired <= self.memory_bytes_max;
        if !fits {
            self.refused = Some(desired);
        }
        Ok(fits)
    }

    fn table_growing(&mut self, _current: usize, _desired: usize, _maximum: Option<usize>) -> wasmtime::Result<bool> {
        // The pool's own limit holds.
        Ok(true)
    }
}

/// Hands out places in the pool, so that no call finds it full: a full pool would be a reason to deny that no replay finds again.
struct Turns {
    places: Mutex<Places>,
    back: Condvar,
}

struct Places {
    free: u32,
    /// Callers asleep. Waking nobody would still be a system call, a fifth of a judgement.
    waiting: u32,
}

struct Turn<'a>(&'a Turns);

impl Turns {
    fn new(free: u32) -> Self {
        Self { places: Mutex::new(Places { free, waiting: 0 }), back: Condvar::new() }
    }

    fn take(&self) -> Turn<'_> {
        let mut places = self.places.lock().unwrap_or_else(PoisonError::into_inner);
        while places.free == 0 {
            places.waiting += 1;
            places = self.back.wait(places).unwrap_or_else(PoisonError::into_inner);
            places.waiting -= 1;
        }
        places.free -= 1;
        Turn(self)
    }
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        let mut places = self.0.places.lock().unwrap_or_else(PoisonError::into_inner);
        places.free += 1;
        if places.waiting > 0 {
            self.0.back.notify_one();
        }
    }
}
