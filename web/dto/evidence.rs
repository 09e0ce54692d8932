//! What proves decisions: revisions as they were, decisions asked again, and the log gone through.

use super::decision::{HeardBody, JudgedByBody, hex};
use super::policy::PolicyBody;
use bulkhead_core::log::{ArchiveSeen, Checked, CheckedArchive, Verified};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::collections::BTreeSet;
use utoipa::ToSchema;

/// A revision of a policy, as it was.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
#[schema(as = Revision)]
pub struct RevisionBody {
    /// The policy as it was; `decision` is the change that made it.
    #[serde(flatten)]
    pub policy: PolicyBody,
    /// Whether it is in force now.
    pub in_force: bool,
}

/// In what a revision differs from another.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
#[schema(as = RevisionDiff)]
pub struct DiffBody {
    /// The earlier one.
    pub from: u64,
    /// The later one.
    pub to: u64,
    /// What differs; empty where nothing does.
    pub changes: Vec<ChangedBody>,
}

/// A value that differs.
#[derive(Debug, PartialEq, Serialize, Deserialize, ToSchema)]
#[schema(as = Changed)]
pub struct ChangedBody {
    /// Where, as a JSON Pointer (RFC 6901).
    pub path: String,
    /// What was there; null where nothing was.
    pub before: Value,
    /// What is there; null where nothing is.
    pub after: Value,
}

/// A policy goes back to a former revision.
#[derive(Debug, Default, Serialize, Deserialize, ToSchema)]
#[schema(as = RollbackWish, example = json!({"revision": 3}))]
#[serde(default, deny_unknown_fields)]
pub struct RollbackBody {
    /// Number of the revision whose module, settings, mode and scope are to be in force again.
    #[schema(required = true, minimum = 1)]
    pub revision: u64,
}

/// A decision asked again.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
#[schema(as = Replay)]
pub struct ReplayBody {
    /// Its number.
    pub decision: u64,
    /// Whether every policy says the same as it did, and the verdict is the same.
    pub same: bool,
    /// Whether all of it can be compared: not where a limit of another engine, or time, decided.
    pub comparable: bool,
    /// What each policy said, and says.
    pub policies: Vec<ReplayedBody>,
    /// The verdict that these opinions give now: `allowed` or `denied`. That an admin went against a denial is no policy's saying.
    pub verdict: String,
    /// What ran the policies then; null where none was asked.
    pub judged_by_then: Option<JudgedByBody>,
    /// What runs them now.
    pub judged_by_now: JudgedByBody,
    /// What another policy says to the recorded question, where one was named.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub with: Option<OtherBody>,
}

/// What another policy says to a recorded question.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
#[schema(as = ReplayedWith)]
pub struct OtherBody {
    /// Whose recorded question it was put: the one that shows most of what it looks at.
    pub shown_as: String,
    /// What it looks at and was not recorded then: it saw nothing there.
    pub not_shown: Vec<String>,
    /// What it says; null where it does not judge this operation.
    pub says: Option<HeardBody>,
    /// Whether it denies.
    pub denies: bool,
}

/// A policy asked again.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
#[schema(as = Replayed)]
pub struct ReplayedBody {
    /// What it said then.
    pub then: HeardBody,
    /// What it says now; null where it could not be asked.
    pub now: Option<HeardBody>,
    /// Whether both are the same: the opinion, and under the same engine and configuration the fuel.
    pub same: bool,
    /// Whether both can be compared.
    pub comparable: bool,
    /// Whether it took the same fuel; null under another engine or configuration: wasmtime promises nothing about a unit.
    pub same_fuel: Option<bool>,
    /// Why it could not be asked, or compared.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub why_not: Option<String>,
}

/// The decision log, gone through.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
#[schema(as = Verification)]
pub struct VerificationBody {
    /// Whether nothing is wrong, with the decisions, the outcomes or the archives.
    pub intact: bool,
    /// The decisions.
    #[serde(flatten)]
    pub decisions: CheckedBody,
    /// What came of their plans: a tree of its own, as it is put on record later.
    pub outcomes: CheckedBody,
    /// Closed months whose records are in files of their own: their leaves are under the root, their bytes in the file.
    pub archives: Vec<ArchiveBody>,
}

/// An archive.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
#[schema(as = Archive)]
pub struct ArchiveBody {
    /// Which month.
    #[schema(example = "2026-01")]
    pub month: String,
    /// Its first decision.
    pub first: u64,
    /// Its last.
    pub last: u64,
    /// The file, an SQLite database, on the daemon's host.
    pub file: String,
    /// Digest of the file.
    pub sha256: String,
    /// `intact`, `changed` or `missing`.
    pub state: String,
}

/// A list of records with their leaves, gone through.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
#[schema(as = Checked)]
pub struct CheckedBody {
    /// How many there are.
    pub size: u64,
    /// Root over all leaves (RFC 6962, 2.1). Keep it elsewhere: with it and `size` every later rewrite and cut up to here is found.
    pub root: String,
    /// Whether the root that was given is that of the first `size`; null where none was given.
    pub root_matches: Option<bool>,
    /// Numbers of those whose bytes do not give the leaf that was recorded with them.
    pub changed: Vec<u64>,
    /// Numbers that are missing.
    pub missing: Vec<u64>,
    /// What this proves.
    pub proves: String,
}

impl VerificationBody {
    /// What was found, beside roots and sizes that were kept elsewhere.
    pub fn of(found: &Verified, decisions: Option<(String, u64)>, outcomes: Option<(String, u64)>) -> Self {
        let decisions = CheckedBody::of(&found.decisions, "decisions", decisions);
        let outcomes = CheckedBody::of(&found.outcomes, "outcomes", outcomes);
        let whole = found.archives.iter().all(|a| a.seen == ArchiveSeen::Intact);
        let archives = found.archives.iter().map(archive).collect();
        Self { intact: decisions.is_intact() && outcomes.is_intact() && whole, decisions, outcomes, archives }
    }
}

fn archive(CheckedArchive { archive, seen }: &CheckedArchive) -> ArchiveBody {
    let state = match seen {
        ArchiveSeen::Intact => "intact",
        ArchiveSeen::Changed => "changed",
        ArchiveSeen::Missing => "missing",
    };
    ArchiveBody {
        month: archive.month.clone(),
        first: archive.first.0,
        last: archive.last.0,
        file: archive.file.clone(),
        sha256: archive.sha256.to_string(),
        state: state.to_owned(),
    }
}

impl CheckedBody {
    fn of(found: &Checked, what: &str, kept: Option<(String, u64)>) -> Self {
        let root_matches = kept.as_ref().map(|(root, _)| found.root_at.as_ref().is_some_and(|r| hex(r) == *root));
        let proves = match (root_matches, kept) {
            (Some(true), Some((_, size))) => format!("the first {size} {what} are those of that root, in their order"),
            (Some(false), Some((_, size))) => {
                format!("the first {size} {what} are not those of that root: some were rewritten, or cut off")
            }
            _ => "that no record was changed without its leaf; neither that none was rewritten with it, nor that none was cut off at the \
                  end: keep root and size elsewhere, and give them here"
                .to_owned(),
        };
        let (changed, missing) = (found.changed.clone(), found.missing.clone());
        Self { size: found.size, root: hex(&found.root), root_matches, changed, missing, proves }
    }

    fn is_intact(&self) -> bool {
        self.changed.is_empty() && self.missing.is_empty() && self.root_matches != Some(false)
    }
}

/// All values that differ, by their places.
pub fn differences(before: &Value, after: &Value) -> Vec<ChangedBody> {
    let mut all = Vec::new();
    compare(before, after, "", &mut all);
    all
}

fn compare(before: &Value, after: &Value, at: &str, all: &mut Vec<ChangedBody>) {
    match (before, after) {
        (Value::Object(b), Value::Object(a)) => {
            for key in b.keys().chain(a.keys()).collect::<BTreeSet<_>>() {
                let place = format!("{at}/{}", key.replace('~', "~0").replace('/', "~1"));
                let missing = Value::Null;
                compare(b.get(key).unwrap_or(&missing), a.get(key).unwrap_or(&missing), &place, all);
            }
        }
        // Lists are compared as a whole: which entry became which nobody knows.
        (b, a) if b == a => {}
        (b, a) => all.push(ChangedBody { path: at.to_owned(), before: b.clone(), after: a.clone() }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn differences_are_told_by_their_place() {
        let found = differences(&json!({"a": 1, "b": {"c/d": [1]}, "e": 2}), &json!({"a": 1, "b": {"c/d": [1, 2]}, "f": null, "g": 3}));
        let told: Vec<String> = found.iter().map(|c| format!("{} {} {}", c.path, c.before, c.after)).collect();
        assert_eq!(told, ["/b/c~1d [1] [1,2]", "/e 2 null", "/g null 3"]);
    }
}
