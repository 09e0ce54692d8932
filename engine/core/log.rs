//! The decision log as its readers see it: what a store gives and a door shows.

use crate::evidence::PlanEnd;
use crate::ids::{DecisionId, Timestamp};
use crate::policy::{Digest, Policy};
use crate::record::Decision;
use serde::{Deserialize, Serialize};

/// A hash of RFC 6962.
pub type Hash = [u8; 32];

/// A decision with what came of its plan.
#[derive(Debug, Clone, PartialEq)]
pub struct LoggedDecision {
    /// The decision.
    pub decision: Decision,
    /// The hash of its bytes.
    pub leaf: Hash,
    /// What came of its plan, oldest first: none while it is open, several where it was tried or made again.
    pub outcomes: Vec<PlanEnd>,
}

/// Which decisions. What is `None` does not matter; all that is set must hold.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct DecisionFilter {
    /// Name of who asked.
    pub caller: Option<String>,
    /// `attach`, `create-network`, …
    pub operation: Option<String>,
    /// Name of the network, policy or module concerned.
    pub subject: Option<String>,
    /// Name of the network: as `subject`, among decisions about networks and endpoints.
    pub network: Option<String>,
    /// Id or name of the workload.
    pub workload: Option<String>,
    /// Id of the network or endpoint.
    pub object: Option<String>,
    /// `allowed`, `denied` or `forced`.
    pub verdict: Option<String>,
    /// A policy that was asked.
    pub policy: Option<String>,
    /// Not before this time.
    pub since: Option<Timestamp>,
    /// Before this time.
    pub until: Option<Timestamp>,
}

/// Which page of the log. By number, not by offset: what is added meanwhile moves nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Page {
    /// The newest, newest first.
    Newest,
    /// Those before this one, newest first.
    Before(DecisionId),
    /// Those after this one, oldest first.
    After(DecisionId),
}

/// A policy as it was.
#[derive(Debug, Clone, PartialEq)]
pub struct Revision {
    /// The decision that made it, where one did.
    pub decision: Option<DecisionId>,
    /// The policy.
    pub policy: Policy,
}

/// A change of a policy: a revision, or its end.
#[derive(Debug, Clone, PartialEq)]
pub struct PolicyChange {
    /// Its name.
    pub name: String,
    /// The decision, where one was made.
    pub decision: Option<DecisionId>,
    /// When.
    pub at: Timestamp,
    /// The revision; `None` where it was deleted.
    pub policy: Option<Policy>,
}

/// What going through a list of records and their leaves has shown.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Checked {
    /// Records.
    pub size: u64,
    /// The root over all of them (RFC 6962).
    pub root: Hash,
    /// The root over as many as were asked for; `None` where there are not so many.
    pub root_at: Option<Hash>,
    /// Numbers of those whose bytes do not give their leaf; the first so many.
    pub changed: Vec<u64>,
    /// Numbers that are missing, or whose bytes are; the first so many.
    pub missing: Vec<u64>,
}

/// A closed month of decisions in a file of its own. Their leaves stay in the log.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Archive {
    /// Which month, such as `2026-01`, by the time of its first decision.
    pub month: String,
    /// Its first decision.
    pub first: DecisionId,
    /// Its last.
    pub last: DecisionId,
    /// Path of the file: complete and durable.
    pub file: String,
    /// SHA-256 of the file.
    pub sha256: Digest,
}

/// What became of an archive's file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ArchiveSeen {
    /// It has the bytes of then.
    Intact,
    /// It has others.
    Changed,
    /// It is not there, or cannot be read.
    Missing,
}

/// An archive, looked at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CheckedArchive {
    /// As it is on record.
    pub archive: Archive,
    /// As it is.
    pub seen: ArchiveSeen,
}

/// What going through the log has shown.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verified {
    /// Decisions.
    pub decisions: Checked,
    /// What came of their plans.
    pub outcomes: Checked,
    /// The archives.
    pub archives: Vec<CheckedArchive>,
}
