//! The configured wasmtime engine, and the clock tick that lets it stop what runs too long.

use crate::admit::digest;
use crate::limits::{CORE_INSTANCES_PER_COMPONENT, Limits, MEMORIES_PER_COMPONENT, TABLES_PER_COMPONENT};
use bulkhead_core::evidence::JudgedBy;
use std::sync::mpsc;
use std::thread;
use wasmtime::{Config, Enabled, Engine, InstanceAllocationStrategy, OptLevel, PoolingAllocationConfig, WasmFeatures};

/// Wasm could not be made ready on this machine.
#[derive(Debug, thiserror::Error)]
pub enum NotStarted {
    /// wasmtime refused the configuration, or the pool's address space could not be reserved.
    #[error(
        "cannot make WebAssembly ready for {calls} calls at once, which reserve {gib} GiB of address space: {cause}; \
         lower calls_at_once, or raise the limit on address space (ulimit -v)"
    )]
    Engine {
        /// `calls_at_once`.
        calls: u32,
        /// What they reserve.
        gib: u64,
        /// wasmtime's words.
        cause: String,
    },
    /// A limit that leaves nothing to run with.
    #[error("limit {name} must be at least {min}")]
    Limit {
        /// Which.
        name: &'static str,
        /// Its least value.
        min: u64,
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

/// Makes the engine. A fresh instance from it costs some 5 µs: its memory is a slot of the pool with the module's image
/// mapped copy-on-write, of which the first 256 KiB stay resident.
pub(crate) fn new(limits: &Limits) -> Result<Engine, NotStarted> {
    check(limits)?;
    let calls = limits.calls_at_once;
    let mut pool = PoolingAllocationConfig::new();
    pool.total_component_instances(calls)
        .total_core_instances(calls.saturating_mul(CORE_INSTANCES_PER_COMPONENT))
        .total_memories(calls.saturating_mul(MEMORIES_PER_COMPONENT))
        .total_tables(calls.saturating_mul(TABLES_PER_COMPONENT))
        .max_core_instances_per_component(CORE_INSTANCES_PER_COMPONENT)
        .max_memories_per_component(MEMORIES_PER_COMPONENT)
        .max_tables_per_component(TABLES_PER_COMPONENT)
        .max_memories_per_module(MEMORIES_PER_COMPONENT)
        .max_tables_per_module(TABLES_PER_COMPONENT)
        .table_elements(limits.table_elements_max)
        .max_memory_size(limits.memory_bytes_max)
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
        .max_wasm_stack(limits.stack_bytes_max)
        .cranelift_nan_canonicalization(true)
        .cranelift_opt_level(OptLevel::Speed)
        .wasm_features(FEATURES.complement(), false)
        .wasm_features(FEATURES, true);
    Engine::new(&config).map_err(|e| NotStarted::Engine {
        calls,
        // Slots of 4 GiB, with guard pages between them.
        gib: u64::from(calls) * u64::from(MEMORIES_PER_COMPONENT) * 4,
        cause: format!("{e:#}"),
    })
}

/// What a verdict and its fuel may depend on, beside module, settings and question: the version that counts, the features, and the
/// limits that are the same everywhere. Deadlines are not among them, as they decide no verdict that is asked again.
pub(crate) fn judged_by(limits: &Limits) -> JudgedBy {
    let Limits { settings_bytes_max, answer_bytes_max, fuel, memory_bytes_max, table_elements_max, stack_bytes_max, .. } = limits;
    let configuration = format!(
        "features {FEATURES:?}; settings {settings_bytes_max}; answer {answer_bytes_max}; fuel {fuel}; memory {memory_bytes_max}; \
         table {table_elements_max}; stack {stack_bytes_max}"
    );
    let engine = format!("wasmtime {}", wasmtime_environ::VERSION);
    JudgedBy { engine, configuration: digest(configuration.as_bytes()) }
}

fn check(limits: &Limits) -> Result<(), NotStarted> {
    let mins = [
        ("calls_at_once", u64::from(limits.calls_at_once), 1),
        ("fuel", limits.fuel, 1),
        ("fuel_admission", limits.fuel_admission, 1),
        ("deadline_ms", limits.deadline_ms, 1),
        ("deadline_admission_ms", limits.deadline_admission_ms, 1),
        ("memory_bytes_max", limits.memory_bytes_max as u64, 65_536),
        ("stack_bytes_max", limits.stack_bytes_max as u64, 65_536),
        ("table_elements_max", limits.table_elements_max as u64, 16),
    ];
    match mins.into_iter().find(|(_, value, min)| value < min) {
        Some((name, _, min)) => Err(NotStarted::Limit { name, min }),
        None => Ok(()),
    }
}

/// Counts up the engine's epoch, by which running code notices that its time is over. Ends when dropped.
#[derive(Debug)]
pub(crate) struct Ticker {
    /// Dropping it wakes and ends the thread.
    _alive: mpsc::Sender<()>,
}

impl Ticker {
    pub(crate) fn start(engine: &Engine, limits: &Limits) -> Result<Self, NotStarted> {
        let (alive, ended) = mpsc::channel();
        let engine = engine.clone();
        let tick = limits.tick();
        thread::Builder::new()
            .name("policy-deadline".into())
            .spawn(move || {
                while ended.recv_timeout(tick) == Err(mpsc::RecvTimeoutError::Timeout) {
                    engine.increment_epoch();
                }
            })
            .map_err(NotStarted::Thread)?;
        Ok(Self { _alive: alive })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limits_that_leave_nothing_to_run_with_are_named() {
        let wrong = Limits { fuel: 0, ..Limits::default() };
        let error = new(&wrong).map(|_| ()).expect_err("no fuel");
        assert_eq!(error.to_string(), "limit fuel must be at least 1");
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
