//! How much a module may use.

use serde::{Deserialize, Serialize};

/// One limit: what the configuration file and the API call it, and what it may be.
#[derive(Debug)]
pub struct Limit {
    /// Its name, with its unit.
    pub name: &'static str,
    /// What it holds where nothing is configured.
    pub default: u64,
    /// Least value.
    pub min: u64,
    /// Greatest value.
    pub max: u64,
    field: fn(&mut Limits) -> &mut u64,
}

impl Limit {
    /// Sets it.
    pub fn set(&self, limits: &mut Limits, value: u64) {
        *(self.field)(limits) = value;
    }
    /// Its value.
    pub fn of(&self, limits: &Limits) -> u64 {
        *(self.field)(&mut limits.clone())
    }
}

/// Each limit stands here once: the struct, its defaults, and the list that configuration, help and API are made of.
macro_rules! limits {
    ($($(#[doc = $doc:expr])* $name:ident = $default:expr, $min:expr => $max:expr;)*) => {
        /// Limits for every module. The defaults let policies in Rust, C, JavaScript and Python run.
        #[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
        pub struct Limits { $($(#[doc = $doc])* pub $name: u64,)* }

        impl Default for Limits {
            fn default() -> Self {
                Self { $($name: $default,)* }
            }
        }

        impl Limits {
            /// All of them.
            pub const ALL: &[Limit] = &[$(Limit {
                name: stringify!($name), default: $default, min: $min, max: $max, field: |limits| &mut limits.$name,
            },)*];
        }
    };
}

limits! {
    /// Size of a module as uploaded, in bytes. Policies in Python come to some 18 MB.
    module_bytes_max = 32 << 20, 1024 => 1 << 30;
    /// Size of a policy's settings as JSON text, in bytes.
    settings_bytes_max = 64 << 10, 16 => 1 << 20;
    /// Size of what a module answers to one call, in bytes as lifted out of its memory.
    answer_bytes_max = 256 << 10, 4096 => 1 << 26;
    /// Fuel of one judgement: wasmtime's deterministic count of instructions, and the only limit that decides a recorded verdict. A
    /// policy in Rust uses some 60 thousand, one in JavaScript up to 9.2 million.
    fuel = 20_000_000, 1 => 1 << 62;
    /// Fuel of `describe` and `configure` where no request waits: at an upload, and when settings are checked.
    fuel_admission = 200_000_000, 1 => 1 << 62;
    /// CPU time of one judgement, in milliseconds. Only a safety net: it depends on the machine, fuel does not.
    deadline_ms = 250, 1 => 60_000;
    /// CPU time of all judgements of one decision but those in large slots, in milliseconds: the writer, and all who wait for it, stand still for no longer.
    decision_ms = 5, 1 => 60_000;
    /// CPU time of each judgement in a large slot, in milliseconds, beside `decision_ms`: a fresh instance of what Python tools make
    /// takes some 4 alone.
    large_call_ms = 50, 1 => 60_000;
    /// Breaks in a row after which a policy is asked no more, and denies at once, before a new revision or a new start.
    breaks_max = 10, 1 => 1 << 32;
    /// CPU time of `describe` and `configure` where no request waits, in milliseconds.
    deadline_admission_ms = 5_000, 1 => 600_000;
    /// Size of each linear memory, in bytes.
    memory_bytes_max = 128 << 20, 65_536 => 1 << 32;
    /// Elements of each table.
    table_elements_max = 20_000, 16 => 10_000_000;
    /// Stack of compiled code, in bytes. It is the calling thread's, which must have twice as much.
    stack_bytes_max = 512 << 10, 65_536 => 1 << 20;
    /// Judgements at the same time; more wait for their turn. Each reserves 4 GiB of address space.
    calls_at_once = 8, 1 => 1000;
    /// Modules whose memory stays in place between calls, at least as many as judge at the same time. A decision that asks more of them
    /// than this maps each anew, which takes several times as long as the call itself. Each reserves 4 GiB of address space.
    warm_slots = 64, 1 => 1000;
    /// The same as calls_at_once of modules that join many, as JavaScript and Python make them. Each reserves 32 GiB of address space.
    large_calls_at_once = 2, 1 => 100;
    /// Size of a module up to which its settings are frozen into memory once, rather than read at every judgement, in bytes.
    freeze_bytes_max = 1 << 20, 0 => 1 << 30;
    /// Frozen settings in memory, and compiled code on disk: at most so many bytes each, beside what the policies in force need.
    cache_bytes_max = 1 << 30, 0 => 1 << 40;
    /// Checks and compilations at the same time, each in a process of its own; more wait for their turn.
    admissions_at_once = 2, 1 => 64;
    /// How long one may take, in seconds of the clock, and of CPU time. SpiderMonkey takes 16 on two cores.
    compile_s = 120, 1 => 3600;
    /// Memory that one may have, in bytes.
    compile_bytes_max = 2 << 30, 64 << 20 => 1 << 40;
    /// Compiled code that one may give, in bytes. Python comes to some 60 MB.
    code_bytes_max = 256 << 20, 1 << 16 => 1 << 32;
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
    fn each_limit_is_set_and_read_by_its_name_and_its_default_is_one_that_it_may_have() {
        let mut limits = Limits::default();
        for (at, limit) in Limits::ALL.iter().enumerate() {
            assert_eq!(limit.of(&limits), limit.default, "{}", limit.name);
            assert!((limit.min..=limit.max).contains(&limit.default), "{}", limit.name);
            limit.set(&mut limits, limit.min + at as u64);
        }
        for (at, limit) in Limits::ALL.iter().enumerate() {
            assert_eq!(limit.of(&limits), limit.min + at as u64, "{}", limit.name);
        }
    }
}
