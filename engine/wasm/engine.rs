//! The configured wasmtime engine.

use crate::admit::digest;
use crate::limits::{Limit, Limits};
use bulkhead_core::evidence::JudgedBy;
use wasmtime::{Config, Enabled, Engine, InstanceAllocationStrategy, OptLevel, PoolingAllocationConfig, WasmFeatures};

/// Wasm could not be made ready on this machine.
#[derive(Debug, thiserror::Error)]
pub enum NotStarted {
    /// wasmtime refused the configuration, or the pool's address space could not be reserved.
    #[error(
        "cannot make WebAssembly ready for {slots} modules, which reserve {gib} GiB of address space: {cause}; \
         lower warm_slots, calls_at_once or large_calls_at_once, or raise the limit on address space (ulimit -v)"
    )]
    Engine {
        /// How many.
        slots: u32,
        /// What they reserve.
        gib: u64,
        /// wasmtime's words.
        cause: String,
    },
    /// A limit that leaves nothing to run with.
    #[error("limit {name} must be from {min} to {max}")]
    Limit {
        /// Which.
        name: &'static str,
        /// Its least value.
        min: u64,
        /// Its greatest.
        max: u64,
    },
    /// The thread that watches the deadlines.
    #[error("cannot start the thread that watches the policies' deadlines: {0}")]
    Thread(std::io::Error),
}

/// The Wasm features that modules may use: tier 1 of wasmtime (docs.wasmtime.dev, "WebAssembly proposals"), less what makes
/// results depend on the machine (threads, relaxed SIMD) and what no tool makes for policies (memory64, garbage collection,
/// exceptions). A new wasmtime changes nothing here by itself.
///
/// Multiple memories stay on: without them wasmtime 48 panics, where it should refuse, on components that join several modules.
pub(crate) const FEATURES: WasmFeatures = WasmFeatures::MUTABLE_GLOBAL
    .union(WasmFeatures::SATURATING_FLOAT_TO_INT)
    .union(WasmFeatures::SIGN_EXTENSION)
    .union(WasmFeatures::REFERENCE_TYPES)
    .union(WasmFeatures::CALL_INDIRECT_OVERLONG)
    .union(WasmFeatures::MULTI_VALUE)
    .union(WasmFeatures::BULK_MEMORY)
    .union(WasmFeatures::BULK_MEMORY_OPT)
    .union(WasmFeatures::SIMD)
    .union(WasmFeatures::FLOATS)
    .union(WasmFeatures::TAIL_CALL)
    .union(WasmFeatures::EXTENDED_CONST)
    .union(WasmFeatures::MULTI_MEMORY)
    .union(WasmFeatures::COMPONENT_MODEL);

/// What one component may join, how many run at a time, and of how many the memory stays in place.
pub(crate) struct Shape {
    core_instances: u32,
    memories: u32,
    tables: u32,
    pub(crate) at_once: u32,
    slots: u32,
}

impl Shape {
    /// For what Rust and C make: one module, and two by which wit-component ties its functions to it.
    pub(crate) fn small(limits: &Limits) -> Self {
        let (at_once, slots) = (count(limits.calls_at_once), count(limits.calls_at_once.max(limits.warm_slots)));
        Self { core_instances: 4, memories: 1, tables: 4, at_once, slots }
    }
    /// For what JavaScript and Python tools make: up to 38 modules were seen.
    pub(crate) fn large(limits: &Limits) -> Self {
        let at_once = count(limits.large_calls_at_once);
        Self { core_instances: 64, memories: 8, tables: 32, at_once, slots: at_once }
    }
}

/// Makes an engine. A fresh instance from it costs some 5 µs: its memory is a slot of the pool with the module's image
/// mapped copy-on-write, of which the first 256 KiB stay resident.
pub(crate) fn new(limits: &Limits, shape: &Shape) -> Result<Engine, NotStarted> {
    check(limits)?;
    let &Shape { core_instances, memories, tables, slots, .. } = shape;
    let mut pool = PoolingAllocationConfig::new();
    pool.total_component_instances(slots)
        .total_core_instances(slots.saturating_mul(core_instances))
        .total_memories(slots.saturating_mul(memories))
        .total_tables(slots.saturating_mul(tables))
        // A module finds the slot that it had before, while there is one for each: another's would have to be mapped anew.
        .max_unused_warm_slots(slots.saturating_mul(memories))
        .max_core_instances_per_component(core_instances)
        .max_memories_per_component(memories)
        .max_tables_per_component(tables)
        .max_memories_per_module(memories)
        .max_tables_per_module(tables)
        .table_elements(size(limits.table_elements_max))
        .max_memory_size(size(limits.memory_bytes_max))
        .linear_memory_keep_resident(256 << 10)
        .table_keep_resident(16 << 10)
        // With the kernel's PAGEMAP_SCAN (6.7 and newer) only the pages written are reset.
        .pagemap_scan(Enabled::Auto);

    let mut config = Config::new();
    config
        .allocation_strategy(InstanceAllocationStrategy::Pooling(pool))
        .memory_init_cow(true)
        .consume_fuel(true)
        .epoch_interruption(true)
        .max_wasm_stack(size(limits.stack_bytes_max))
        .cranelift_nan_canonicalization(true)
        .cranelift_opt_level(OptLevel::Speed)
        .wasm_features(FEATURES.complement(), false)
        .wasm_features(FEATURES, true);
    Engine::new(&config).map_err(|e| NotStarted::Engine {
        slots,
        // Slots of 4 GiB, with guard pages between them.
        gib: u64::from(slots) * u64::from(memories) * 4,
        cause: format!("{e:#}"),
    })
}

/// What a verdict and its fuel may depend on, beside module, settings and question: the version that counts, the features, and the
/// limits that are the same everywhere. Deadlines are not among them, as they decide no verdict that is asked again.
pub(crate) fn judged_by(limits: &Limits) -> JudgedBy {
    let Limits {
        settings_bytes_max, answer_bytes_max, fuel, fuel_admission, memory_bytes_max, table_elements_max, stack_bytes_max, ..
    } = limits;
    let configuration = format!(
        "features {FEATURES:?}; settings {settings_bytes_max}; answer {answer_bytes_max}; fuel {fuel}, {fuel_admission}; \
         memory {memory_bytes_max}; table {table_elements_max}; stack {stack_bytes_max}"
    );
    let engine = format!("wasmtime {}", wasmtime_environ::VERSION);
    JudgedBy { engine, configuration: digest(configuration.as_bytes()) }
}

fn check(limits: &Limits) -> Result<(), NotStarted> {
    let wrong = Limits::ALL.iter().find(|l| !(l.min..=l.max).contains(&l.of(limits)));
    wrong.map_or(Ok(()), |&Limit { name, min, max, .. }| Err(NotStarted::Limit { name, min, max }))
}

fn count(limit: u64) -> u32 {
    u32::try_from(limit).unwrap_or(u32::MAX)
}

/// A limit as wasmtime takes it. Whatever does not fit is more than there is.
pub(crate) fn size(limit: u64) -> usize {
    usize::try_from(limit).unwrap_or(usize::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limits_that_leave_nothing_to_run_with_are_named() {
        let wrong = Limits { fuel: 0, ..Limits::default() };
        let error = new(&wrong, &Shape::small(&wrong)).map(|_| ()).expect_err("no fuel");
        assert_eq!(error.to_string(), "limit fuel must be from 1 to 4611686018427387904");
    }

    #[test]
    fn what_judged_is_told_by_version_and_by_what_decides_verdicts() {
        let usual = judged_by(&Limits::default());
        assert!(usual.engine.starts_with("wasmtime ") && usual.engine.ends_with(wasmtime_environ::VERSION), "{usual:?}");
        assert_eq!(usual, judged_by(&Limits { deadline_ms: 7, calls_at_once: 1, ..Limits::default() }));
        assert_ne!(usual, judged_by(&Limits { fuel: 7, ..Limits::default() }));
        assert_ne!(usual, judged_by(&Limits { memory_bytes_max: 65_536, ..Limits::default() }));
    }

    #[test]
    fn results_cannot_depend_on_the_machine() {
        assert!(!FEATURES.intersects(WasmFeatures::THREADS | WasmFeatures::RELAXED_SIMD | WasmFeatures::SHARED_EVERYTHING_THREADS));
    }
}
