//! What makes a record of decisions evidence: when by both clocks, under what the policies ran, and what came of a plan.

use crate::ids::{BootId, PlanId, Timestamp};
use crate::policy::Digest;
use serde::{Deserialize, Serialize};

/// A moment by the clock that nobody sets (CLOCK_BOOTTIME): what happened first within a boot, whatever the wall's clock said.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct SinceBoot {
    /// The boot.
    pub boot: BootId,
    /// Microseconds since its start, time asleep included.
    pub us: u64,
}

/// What ran the policies. A unit of fuel, and so a verdict that a limit has made, means something only under the same.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct JudgedBy {
    /// Name and version, such as `wasmtime 48.0.8`.
    pub engine: String,
    /// SHA-256 of all in its configuration that a verdict or a count of fuel may depend on.
    pub configuration: Digest,
}

/// A limit that stopped a policy.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Limit {
    /// Fuel: deterministic under the same [`JudgedBy`].
    Fuel,
    /// Memory, table, stack or the size of an answer: the same.
    Space,
    /// Time, or whatever else depends on what the machine did then: never the same for certain.
    Circumstance,
}

/// What came of a plan: its own record, as the decision that asked for it was on record before.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PlanEnd {
    /// Which plan.
    pub plan: PlanId,
    /// When, by the wall's clock.
    pub at: Timestamp,
    /// When, by the boot's.
    pub since_boot: SinceBoot,
    /// Microseconds that the kernel took; `None` where it was found at start, and not carried out by this run of the daemon.
    pub took_us: Option<u64>,
    /// Whether the kernel did all of it.
    pub done: bool,
    /// What came of it, with the kernel's words.
    pub text: String,
}
