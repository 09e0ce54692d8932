//! Puts questions to modules: a fresh instance for each, under limits, and an answer whatever the module does.

use crate::admit::{self, NotAdmitted, digest};
use crate::cache::Cache;
use crate::child::Child;
use crate::convert;
use crate::engine::{self, NotStarted};
use crate::limits::Limits;
use crate::loaded::Loaded;
use crate::run::{Broke, Run};
use crate::runner::Runner;
use crate::settings::{self, SettingsRefused};
use crate::time::Allowance;
use crate::workshop::Workshop;
use bulkhead_core::evidence::{JudgedBy, Limit};
use bulkhead_core::policy::{Description, Digest, Judge, Judged, Module, Opinion, Policy, Question};
use bumpalo::Bump;
use serde_json::Value;
use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, PoisonError, RwLock};

/// What the lists of a usual question take, in bytes; others take more.
const LISTS_BYTES: usize = 4096;

/// Fuel that takes some tenths of a millisecond.
const FUEL_OF_A_STANDSTILL: u64 = 500_000;

/// Runs modules in wasmtime. Share it by reference or `Arc`: dry runs and the writer ask at the same time.
pub struct WasmJudge {
    runner: Runner,
    workshop: Workshop,
    modules: RwLock<HashMap<Digest, Slot>>,
    judged_by: Arc<JudgedBy>,
}

/// A module that is on record.
#[derive(Clone)]
enum Slot {
    Ready(Arc<Loaded>),
    /// Its policies are broke; all others serve.
    Failed(NotAdmitted),
}

impl fmt::Debug for WasmJudge {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WasmJudge").field("limits", self.limits()).finish_non_exhaustive()
    }
}

impl WasmJudge {
    /// Makes wasmtime ready. Reserves address space for [`Limits::calls_at_once`], and starts the thread that watches the time.
    pub fn new(limits: Limits) -> Result<Self, NotStarted> {
        let judged_by = Arc::new(engine::judged_by(&limits));
        let workshop = Workshop::new(&limits);
        Ok(Self { runner: Runner::new(limits)?, workshop, modules: RwLock::default(), judged_by })
    }

    /// Keeps what is compiled, and finds it at the next start.
    #[must_use]
    pub fn with_cache(mut self, cache: Cache) -> Self {
        self.workshop.cache = Some(cache);
        self
    }

    /// Checks and compiles in processes of their own. Without it, a module that breaks the compiler breaks this process.
    #[must_use]
    pub fn with_child(mut self, child: Child) -> Self {
        self.workshop.child = Some(child);
        self
    }

    /// The limits in force.
    pub fn limits(&self) -> &Limits {
        &self.runner.limits
    }

    /// Checks uploaded bytes, compiles them and asks what they judge. From a millisecond to many seconds, by size: never call
    /// it on the writer's thread. What is admitted stays compiled, so that [`load`](Self::load) of the same bytes is free;
    /// [`unload`](Self::unload) it if it does not come on record.
    pub fn admit(&self, bytes: &[u8]) -> Result<Module, NotAdmitted> {
        let digest = digest(bytes);
        let loaded = match self.ready(digest) {
            Some(loaded) => loaded,
            None => {
                let loaded = Arc::new(self.workshop.load(&self.runner, digest, bytes)?);
                self.put(digest, Slot::Ready(Arc::clone(&loaded)));
                loaded
            }
        };
        Ok(Module { digest, size: loaded.size, description: Arc::clone(&loaded.description), built_in: false })
    }

    /// Loads a module that is on record. If that fails, its policies are [broken](bulkhead_core::policy::Judgement::Broke) with this very reason, and
    /// all others serve.
    pub fn load(&self, digest: Digest, bytes: &[u8]) -> Result<(), NotAdmitted> {
        if self.ready(digest).is_some() {
            return Ok(());
        }
        let found = admit::digest(bytes);
        let other = || NotAdmitted::OtherBytes { expected: digest, found };
        let loaded = if found == digest { self.workshop.load(&self.runner, digest, bytes) } else { Err(other()) };
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
        self.workshop.forget(&self.runner, digest);
    }

    /// Runs the module's `configure`, and asks what it looks at with these settings: the description to keep with the policy.
    /// It may differ from the module's own in `operations`, `label_keys` and `needs`. Where the module's form and size allow it,
    /// its memory is then frozen for the judgements to come. Takes up to seconds: never call it on the writer's thread.
    pub fn check_settings(&self, digest: Digest, settings: &Value) -> Result<Arc<Description>, SettingsRefused> {
        self.loaded(digest).map_err(|why| SettingsRefused::one(why, "upload a module that can be loaded"))?;
        let gone = || SettingsRefused::one(format!("there is no module {digest}"), "upload it first");
        let loaded = self.ready(digest).ok_or_else(gone)?;
        let text = settings::text(settings);
        let (bytes, max) = (text.len(), self.limits().settings_bytes_max);
        if bytes as u64 > max {
            return Err(SettingsRefused::one(format!("the settings have {bytes} bytes"), &format!("at most {max}")));
        }
        if let Some(frozen) = self.workshop.freeze(&self.runner, digest, &loaded, settings)? {
            return Ok(Arc::clone(&frozen.description));
        }
        self.workshop.configure(&self.runner, &loaded, text).map(Arc::new)
    }

    /// Makes ready what a policy on record needs beside its module: its settings, frozen. Where that fails, they are read at every
    /// judgement: slower, with the same result.
    pub fn load_settings(&self, policy: &Policy) {
        let Some(loaded) = self.ready(policy.module) else { return };
        if let Err(why) = self.workshop.freeze(&self.runner, policy.module, &loaded, &policy.settings) {
            tracing::warn!(policy = %policy.name, %why, "the settings could not be frozen into memory; they are read at every judgement");
        }
    }

    /// Keeps within [`Limits::cache_bytes_max`], in memory and on disk: what was not used for longest goes first, and what these
    /// policies need stays.
    pub fn tidy<'a>(&self, in_force: impl Iterator<Item = &'a Policy>) {
        let in_force: Vec<&Policy> = in_force.collect();
        let all: Vec<(Digest, Arc<Loaded>)> = {
            let modules = self.modules.read().unwrap_or_else(PoisonError::into_inner);
            modules.iter().filter_map(|(d, s)| if let Slot::Ready(l) = s { Some((*d, Arc::clone(l))) } else { None }).collect()
        };
        Loaded::drop_unused(&all, &in_force, self.limits().cache_bytes_max);
        self.workshop.tidy(&self.runner, &in_force);
    }

    /// Whether a module can judge; else why not.
    pub fn loaded(&self, digest: Digest) -> Result<(), String> {
        match self.slot(digest) {
            Some(Slot::Ready(_)) => Ok(()),
            Some(Slot::Failed(why)) => Err(format!("its module {digest} cannot be loaded: {why}")),
            None => Err(format!("its module {digest} is not loaded")),
        }
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

    /// Also the fuel of `evaluate`: what comes before it may have been done long ago.
    fn ask(&self, loaded: &Loaded, policy: &Policy, question: &Question, time: &mut Allowance) -> (Result<Opinion, Broke>, Used) {
        let frozen = loaded.frozen(&policy.settings);
        let lists = Bump::with_capacity(LISTS_BYTES);
        let request = convert::request(&lists, question);
        let mut used = Used::default();
        let linked = frozen.as_ref().map_or(&loaded.linked, |f| &f.linked);
        let answer = self.runner.call(linked, *time, |mut run| {
            if frozen.is_none() {
                let configured = run.configure(&settings::text(&policy.settings));
                (*time, used) = (run.time(), Used::of(&run));
                if let Err(violations) = configured? {
                    return Err(Broke::Ran(format!("it refuses its settings: {}", SettingsRefused { violations })));
                }
            }
            let opinion = run.evaluate(&request, &policy.description);
            (*time, used) = (run.time(), Used::of(&run));
            opinion
        });
        (answer, used)
    }

    /// Puts the question to one policy. Also the memory that this took, in bytes: all memories of its instance, as they were at its end.
    pub fn measured(&self, policy: &Policy, question: &Question) -> (Judged, u64) {
        self.judge_within(policy, question, &mut Allowance::of("a judgement", self.limits().deadline_ms))
    }

    fn judge_within(&self, policy: &Policy, question: &Question, time: &mut Allowance) -> (Judged, u64) {
        // That it was not there is a circumstance: another time it may be.
        let broke = |why: String| (Judged::broke(why, None, Some(Limit::Circumstance)), 0);
        let Some(loaded) = self.ready(policy.module) else {
            return broke(self.loaded(policy.module).err().unwrap_or_else(|| "its module has just been loaded".into()));
        };
        match self.ask(&loaded, policy, question, time) {
            (Ok(opinion), Used { fuel, memory_bytes }) => (Judged::spoke(opinion, fuel), memory_bytes),
            (Err(broke), Used { fuel, memory_bytes }) => (Judged::broke(broke.to_string(), fuel, broke.limit()), memory_bytes),
        }
    }
}

/// What a judgement took.
#[derive(Default)]
struct Used {
    /// None where it never ran.
    fuel: Option<u64>,
    memory_bytes: u64,
}

impl Used {
    fn of(run: &Run<'_>) -> Self {
        Self { fuel: Some(run.fuel_used()), memory_bytes: run.memory_bytes() }
    }
}

impl Judge for WasmJudge {
    fn judge(&self, policy: &Policy, question: &Question) -> Judged {
        self.measured(policy, question).0
    }

    fn judged_by(&self) -> Arc<JudgedBy> {
        Arc::clone(&self.judged_by)
    }

    fn judge_all(&self, asked: &[(&Policy, Question)]) -> Vec<Judged> {
        let &Limits { deadline_ms, decision_ms, large_call_ms, .. } = self.limits();
        let mut together = Allowance::of("a decision", decision_ms);
        let mut may_ask_again = true;
        let mut judge = |(policy, question): &(&Policy, Question)| {
            if self.ready(policy.module).is_some_and(|loaded| self.runner.is_large(&loaded.linked)) {
                let own = || Allowance::of("a judgement in a large slot", large_call_ms.min(deadline_ms));
                return together.without(|| self.judge_within(policy, question, &mut own()).0);
            }
            if together.is_over() {
                let used_up = "the policies before it used them up";
                let why = format!("it was not asked: a decision may take {decision_ms} ms of CPU time, and {used_up}");
                return Judged::broke(why, None, Some(Limit::Circumstance));
            }
            if decision_ms > deadline_ms {
                let mut alone = together.at_most("a judgement", deadline_ms);
                let (judged, _) = self.judge_within(policy, question, &mut alone);
                together.went_on(&alone);
                return judged;
            }
            let (judged, _) = self.judge_within(policy, question, &mut together);
            if !stood_still(&judged) || !std::mem::take(&mut may_ask_again) {
                return judged;
            }
            together = Allowance::of("a decision", decision_ms);
            self.judge_within(policy, question, &mut together).0
        };
        asked.iter().map(&mut judge).collect()
    }
}

/// Whether time ran out with hardly anything done: a virtual machine may have stood still, whose CPU time runs on all the same. A decision
/// asks once more then, as a denial would be nobody's will. What burns its fuel is not asked again, and stalls the writer no longer.
fn stood_still(judged: &Judged) -> bool {
    judged.limit == Some(Limit::Circumstance) && judged.fuel.is_some_and(|fuel| fuel < FUEL_OF_A_STANDSTILL)
}
