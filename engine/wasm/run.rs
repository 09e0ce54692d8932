//! One instance at work, from its start to its answer, under limits.

use crate::bindings::contract;
use crate::convert;
use crate::engine::size;
use crate::limits::{Limits, answer};
use crate::linked::Linked;
use crate::time::Allowance;
use bulkhead_core::evidence::Limit;
use bulkhead_core::policy::{Conclusion, Description, Opinion, Violation};
use std::collections::HashSet;
use wasmtime::component::{ComponentExportIndex, ComponentNamedList, Instance, Lift, Lower, TypedFunc};
use wasmtime::{PoolConcurrencyLimitError, ResourceLimiter, Store, Trap, UpdateDeadline};

/// Why there is no answer. Display is for the module's author.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Broke {
    /// Its exports are not the contract's.
    #[error("its exports are not those of the contract: {0}")]
    Types(String),
    /// It was run, and trapped or broke the contract.
    #[error("{0}")]
    Ran(String),
    /// It was run, and met a limit.
    #[error("{1}")]
    Met(Limit, String),
}

impl Broke {
    pub(crate) fn limit(&self) -> Option<Limit> {
        match self {
            Broke::Types(_) | Broke::Ran(_) => None,
            Broke::Met(limit, _) => Some(*limit),
        }
    }
}

/// One instance at work.
pub(crate) struct Run<'a> {
    store: Store<Bounds>,
    /// From its start on.
    instance: Option<Instance>,
    linked: &'a Linked,
    limits: &'a Limits,
    /// What the call under way may use.
    fuel: u64,
}

impl<'a> Run<'a> {
    /// A fresh instance.
    pub(crate) fn start(linked: &'a Linked, limits: &'a Limits, time: Allowance) -> Result<Self, Broke> {
        let bounds = Bounds { memory_bytes_max: size(limits.memory_bytes_max), memory_bytes: 0, refused: None, time };
        let mut store = Store::new(linked.engine(), bounds);
        store.limiter(|bounds| bounds);
        store.set_epoch_deadline(1);
        store.epoch_deadline_callback(|mut store| {
            let time = &mut store.data_mut().time;
            time.tick();
            Ok(if time.is_over() { UpdateDeadline::Interrupt } else { UpdateDeadline::Continue(1) })
        });
        store.set_hostcall_fuel(size(limits.answer_bytes_max));
        let mut run = Self { store, instance: None, linked, limits, fuel: 0 };
        run.refuel(limits.fuel_admission);
        let instance = linked.instance.instantiate(&mut run.store);
        run.instance = Some(instance.map_err(|e| run.cause("its start", &e))?);
        Ok(run)
    }

    pub(crate) fn describe(&mut self) -> Result<contract::Description, Broke> {
        // SAFETY: these are the types of the contract's `describe`.
        unsafe { self.call("describe", &self.linked.describe, (), self.limits.fuel_admission) }
    }

    /// `Ok(Err)` where it refuses the settings.
    pub(crate) fn configure(&mut self, settings: &str) -> Result<Result<(), Vec<Violation>>, Broke> {
        // SAFETY: these are the types of the contract's `configure`.
        let answer: Result<(), Vec<contract::Violation>> =
            unsafe { self.call("configure", &self.linked.configure, (settings,), self.limits.fuel_admission) }?;
        match answer {
            Ok(()) => Ok(Ok(())),
            Err(violations) if violations.is_empty() => Err(Broke::Ran("it refuses its settings without saying why".into())),
            Err(violations) => Ok(Err(convert::violations(violations))),
        }
    }

    pub(crate) fn evaluate(&mut self, request: &contract::Request<'_>, description: &Description) -> Result<Opinion, Broke> {
        // SAFETY: these are the types of the contract's `evaluate`.
        let opinion: contract::Opinion = unsafe { self.call("evaluate", &self.linked.evaluate, (request,), self.limits.fuel) }?;
        let opinion = convert::opinion(opinion);
        keeps_to_contract(&opinion, description).map_err(Broke::Ran)?;
        Ok(opinion)
    }

    /// What a function without arguments gives, that an interface of this name exports beside the contract's.
    pub(crate) fn read<R: Lift + 'static>(&mut self, interface: &str, function: &str) -> Result<R, Broke> {
        self.refuel(self.limits.fuel_admission);
        // It is not lifted, but looked at where it is.
        self.store.set_hostcall_fuel(usize::MAX);
        let instance = self.instance();
        let missing = || Broke::Types(format!("{interface}#{function} is missing"));
        let (_, interface) = instance.get_export(&mut self.store, None, interface).ok_or_else(missing)?;
        let (_, index) = instance.get_export(&mut self.store, Some(&interface), function).ok_or_else(missing)?;
        let typed = instance.get_typed_func::<(), (R,)>(&mut self.store, index);
        let called = typed.and_then(|f| f.call(&mut self.store, ()));
        called.map(|(value,)| value).map_err(|e| self.cause(function, &e))
    }

    /// What its instance lives in.
    pub(crate) fn store(&self) -> &Store<Bounds> {
        &self.store
    }

    /// What the last call has used.
    pub(crate) fn fuel_used(&self) -> u64 {
        self.fuel - self.store.get_fuel().expect("the engine counts fuel")
    }

    /// All its memories, in bytes: they only grow.
    pub(crate) fn memory_bytes(&self) -> u64 {
        self.store.data().memory_bytes
    }

    /// What is left of its time.
    pub(crate) fn time(&self) -> Allowance {
        self.store.data().time
    }

    fn refuel(&mut self, fuel: u64) {
        self.fuel = fuel;
        self.store.set_fuel(fuel).expect("the engine counts fuel");
    }

    fn instance(&self) -> Instance {
        self.instance.expect("a run begins with its instance")
    }

    /// Calls one export, with so much fuel.
    ///
    /// # Safety
    /// The contract has a function `export`, which is given `P` and gives `R`.
    unsafe fn call<P, R>(&mut self, name: &str, export: &ComponentExportIndex, given: P, fuel: u64) -> Result<R, Broke>
    where
        P: ComponentNamedList + Lower,
        R: Lift + 'static,
    {
        self.refuel(fuel);
        let instance = self.instance();
        self.linked.check_types(&mut self.store, &instance).map_err(|e| Broke::Types(format!("{e:#}")))?;
        let function = instance.get_func(&mut self.store, export).ok_or_else(|| Broke::Types(format!("{name} is missing")))?;
        // SAFETY: the contract's type of this export, as this function demands, and the component has the contract's types, as was just
        // seen. It is what the bindings do that wasmtime generates.
        let called = unsafe { TypedFunc::<P, (R,)>::new_unchecked(function) }.call(&mut self.store, given);
        called.map(|(answer,)| answer).map_err(|e| self.cause(name, &e))
    }

    /// What stopped it, in words that its author can act on.
    fn cause(&self, at: &str, error: &wasmtime::Error) -> Broke {
        let limits = self.limits;
        let trap = error.downcast_ref::<Trap>();
        let asked = self.store.data().refused;
        match trap {
            Some(Trap::OutOfFuel) => Broke::Met(Limit::Fuel, format!("{at} used up its fuel of {}", self.fuel)),
            Some(Trap::Interrupt) => {
                let Allowance { what, ms, .. } = self.store.data().time;
                Broke::Met(Limit::Circumstance, format!("{at} was stopped: {what} may take {ms} ms of CPU time"))
            }
            Some(Trap::StackOverflow) => {
                let kib = limits.stack_bytes_max >> 10;
                Broke::Met(Limit::Space, format!("{at} used up its stack of {kib} KiB: it recurses too deeply"))
            }
            _ if let Some(asked) = asked => {
                let (asked, may) = (asked.div_ceil(1 << 20), limits.memory_bytes_max >> 20);
                Broke::Met(Limit::Space, format!("{at} wanted {asked} MiB of memory, and may have {may} MiB"))
            }
            Some(Trap::UnreachableCodeReached) => {
                Broke::Ran(format!("{at} trapped: it panicked, or gave up with an unreachable instruction"))
            }
            Some(trap) => Broke::Ran(format!("{at} trapped: {}", trap.to_string().trim_start_matches("wasm trap: "))),
            // The machine's fault, as time is: another run may find a place.
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

/// Memory and time that one instance may have. The pool keeps to the same limit of memory; this one remembers who ran into it.
pub(crate) struct Bounds {
    memory_bytes_max: usize,
    memory_bytes: u64,
    refused: Option<usize>,
    time: Allowance,
}

impl ResourceLimiter for Bounds {
    fn memory_growing(&mut self, current: usize, desired: usize, _maximum: Option<usize>) -> wasmtime::Result<bool> {
        let fits = desired <= self.memory_bytes_max;
        if fits {
            self.memory_bytes += (desired - current) as u64;
        } else {
            self.refused = Some(desired);
        }
        Ok(fits)
    }

    fn table_growing(&mut self, _current: usize, _desired: usize, _maximum: Option<usize>) -> wasmtime::Result<bool> {
        // The pool's own limit holds.
        Ok(true)
    }
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
