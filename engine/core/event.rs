//! Events: what happened, for watchers. An event is a row of a commit, with a sequence number.

use crate::ids::Timestamp;
use serde::{Deserialize, Serialize};

/// What happened.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Event {
    /// Sequence number from 1, without gaps.
    pub seq: u64,
    /// When.
    pub at: Timestamp,
    /// Such as `network.created`, `endpoint.attached`, `shield.restored`.
    pub kind: String,
    /// Name or id of what it happened to.
    pub subject: String,
    /// One sentence for people.
    pub text: String,
}
