//! Who asks, through which door, and what they may assert.

use crate::names::Labels;
use crate::refusal::Fault;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Who asks.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Caller {
    /// Name shown and recorded: `uid:0`, a user's name, or `token`.
    pub name: String,
    /// The peer's uid, where the door knows it.
    pub uid: Option<u32>,
    /// Names of the peer's groups (or `gid:N`).
    pub groups: Vec<String>,
    /// The door: `unix`, `tcp`, later `docker`, `cni` …
    pub door: String,
    /// Peer as seen: `pid 12` or an address.
    pub peer: String,
    /// uid 0, a configured admin, or the bearer of the token.
    pub admin: bool,
}

/// Who may assert which label values.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Grant {
    /// A group whose members may.
    #[serde(default)]
    pub group: Option<String>,
    /// A user (by the caller's name) who may.
    #[serde(default)]
    pub user: Option<String>,
    /// Values by label key.
    pub labels: BTreeMap<String, Vec<String>>,
}

/// Why `caller` may not assert `labels`: a key that any grant names is granted, and then each value needs a grant of the caller's.
/// Admins write the grants and need none.
pub fn ungranted(grants: &[Grant], caller: &Caller, labels: &Labels) -> Vec<Fault> {
    if caller.admin {
        return Vec::new();
    }
    let holds = |g: &&Grant| g.group.as_ref().is_some_and(|x| caller.groups.contains(x)) || g.user.as_ref() == Some(&caller.name);
    let mut faults = Vec::new();
    for (key, value) in labels.iter() {
        let granted_at_all = grants.iter().any(|g| g.labels.contains_key(key));
        let mine: Vec<&str> = grants.iter().filter(holds).filter_map(|g| g.labels.get(key)).flatten().map(String::as_str).collect();
        if granted_at_all && !mine.contains(&value) {
            let right =
                if mine.is_empty() { format!("{} has no grant for {key}", caller.name) } else { format!("one of {}", mine.join(", ")) };
            faults.push(Fault::new(key, format!("{value:?} is not {}'s to assert", caller.name), right));
        }
    }
    faults
}
