//! How much a module may use.

use serde::{Deserialize, Serialize};
use std::time::Duration;

/// Limits for every module. The defaults let policies in Rust, C, JavaScript and Python run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Limits {
    /// Size of a module as uploaded, in bytes. Policies in Python come to some 18 MB.
    pub module_bytes_max: usize,
    /// Size of a policy's settings as JSON text, in bytes.
    pub settings_bytes_max: usize,
    /// Size of what a module answers to one call, in bytes as lifted out of its memory.
    pub answer_bytes_max: usize,
    /// Fuel of one judgement, `configure` and `evaluate` together: wasmtime's deterministic count of instructions. A policy
    /// in Rust uses some 60 thousand, one in JavaScript up to 9.2 million.
    pub fuel: u64,
    /// Fuel of `describe` and `configure` where no request waits: at an upload, and when settings are checked.
    pub fuel_admission: u64,
    /// Wall-clock time of one judgement, in milliseconds. Only a safety net: it depends on the machine, fuel does not.
    pub deadline_ms: u64,
    /// Wall-clock time of `describe` and `configure` where no request waits, in milliseconds.
    pub deadline_admission_ms: u64,
    /// Size of each linear memory, in bytes.
    pub memory_bytes_max: usize,
    /// Elements of each table.
    pub table_elements_max: usize,
    /// Stack of compiled code, in bytes. It is the calling thread's, which must have twice as much.
    pub stack_bytes_max: usize,
    /// Calls at the same time; more wait for their turn. Each may use eight memories, and a memory reserves 4 GiB of
    /// address space: eight calls take 258 GiB, which fits user-mode Linux (512 GiB).
    pub calls_at_once: u32,
}

/// Core instances that one component may consist of: components made from Python join 38.
pub(crate) const CORE_INSTANCES_PER_COMPONENT: u32 = 64;
/// Memories of one component.
pub(crate) const MEMORIES_PER_COMPONENT: u32 = 8;
/// Tables of one component.
pub(crate) const TABLES_PER_COMPONENT: u32 = 32;
/// How often the deadline is looked at in the course of it: it is kept to within a fifth.
pub(crate) const TICKS_PER_DEADLINE: u64 = 5;

impl Default for Limits {
    fn default() -> Self {
        Self {
            module_bytes_max: 32 << 20,
            settings_bytes_max: 64 << 10,
            answer_bytes_max: 256 << 10,
            fuel: 20_000_000,
            fuel_admission: 200_000_000,
            deadline_ms: 250,
            deadline_admission_ms: 5_000,
            memory_bytes_max: 128 << 20,
            table_elements_max: 20_000,
            stack_bytes_max: 512 << 10,
            calls_at_once: 8,
        }
    }
}

impl Limits {
    /// Time between two looks at the deadline.
    pub(crate) fn tick(&self) -> Duration {
        Duration::from_millis((self.deadline_ms / TICKS_PER_DEADLINE).max(1))
    }

    /// `deadline_ms` in ticks, rounded up, and one more for the tick that is under way.
    pub(crate) fn ticks(&self, deadline_ms: u64) -> u64 {
        deadline_ms.div_ceil((self.deadline_ms / TICKS_PER_DEADLINE).max(1)) + 1
    }
}

/// What a module's answers may contain, beside their size in bytes.
pub(crate) mod answer {
    /// Violations, warnings or notes of one opinion.
    pub const ENTRIES_MAX: usize = 256;
    /// Bytes of one text.
    pub const TEXT_BYTES_MAX: usize = 4096;
    /// Bytes of a name, a version, a rule id.
    pub const NAME_BYTES_MAX: usize = 63;
    /// Rules of one module.
    pub const RULES_MAX: usize = 256;
    /// Label keys of one module.
    pub const LABEL_KEYS_MAX: usize = 16;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_deadline_is_never_shorter_than_asked() {
        for deadline_ms in [1, 4, 5, 7, 250, 251] {
            let limits = Limits { deadline_ms, ..Limits::default() };
            // The tick under way may end at once, so one tick does not count.
            let sure = limits.tick() * u32::try_from(limits.ticks(deadline_ms) - 1).expect("few ticks");
            assert!(sure >= Duration::from_millis(deadline_ms), "{deadline_ms} ms: {sure:?}");
        }
    }

    #[test]
    fn limits_are_read_with_defaults_and_unknown_keys_are_refused() {
        let limits: Limits = serde_json::from_str(r#"{"fuel": 7}"#).expect("valid");
        assert_eq!(limits, Limits { fuel: 7, ..Limits::default() });
        assert!(serde_json::from_str::<Limits>(r#"{"feul": 7}"#).is_err());
    }
}
