//! What a policy says to a finite world.

use bulkhead_core::matrix::{Cell, Labelled, idle_rules, is_denied, rules};
use bulkhead_core::policy::{Judged, Policy};
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use utoipa::ToSchema;

/// Each label value beside each other one, in each way of being beside, for each operation.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
#[schema(as = Matrix)]
pub struct MatrixBody {
    /// The policy.
    pub policy: String,
    /// Its revision; 0 where it is only wished for.
    pub revision: u64,
    /// The revision that it is compared with; null where it is not.
    pub against: Option<u64>,
    /// The label values that were tried: those that the settings name, those on record, `any-other`, and none (null).
    pub values: Vec<Option<String>>,
    /// Questions that were asked.
    pub cells: usize,
    /// How many of them are denied.
    pub denied_count: usize,
    /// What is denied and what allowed, by operation and by the way of being beside.
    pub groups: Vec<MatrixGroupBody>,
    /// Where the two revisions differ.
    pub differences: Vec<MatrixDifferenceBody>,
    /// Rules that deny nowhere here.
    pub never_deny: Vec<String>,
    /// Rules that never deny without another one.
    pub shadowed: Vec<ShadowedBody>,
    /// What this does not show.
    pub limits: String,
}

/// The cells of one operation, way of being beside, and label.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
#[schema(as = MatrixGroup)]
pub struct MatrixGroupBody {
    /// What is asked.
    pub operation: String,
    /// `alone`, `shared`, `reached`, `overlapping` or `attached`.
    pub relation: String,
    /// The label's key.
    pub label: String,
    /// What is not denied: the value of the one that asks, and of the one that is there.
    pub allowed: Vec<BesideBody>,
    /// What is.
    pub denied: Vec<BesideBody>,
}

/// Two beside each other.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
#[schema(as = MatrixCell)]
pub struct BesideBody {
    /// Value of the one that asks; null has none.
    pub value: Option<String>,
    /// Value of the one that is there; null has none, or nobody is.
    pub beside: Option<String>,
    /// Rules that deny.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    #[schema(value_type = Vec<String>)]
    pub rules: BTreeSet<String>,
}

/// A cell in which two revisions differ.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
#[schema(as = MatrixDifference)]
pub struct MatrixDifferenceBody {
    /// What is asked.
    pub operation: String,
    /// How the two are beside each other.
    pub relation: String,
    /// The label's key.
    pub label: String,
    /// Value of the one that asks.
    pub value: Option<String>,
    /// Value of the one that is there.
    pub beside: Option<String>,
    /// `newly-allowed`, `newly-denied`, or `other-rules` where both deny for different ones.
    pub change: String,
    /// Rules that deny in the revision that it is compared with.
    #[schema(value_type = Vec<String>)]
    pub before: BTreeSet<String>,
    /// Rules that deny now.
    #[schema(value_type = Vec<String>)]
    pub after: BTreeSet<String>,
}

/// A rule that another one shadows.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
#[schema(as = ShadowedRule)]
pub struct ShadowedBody {
    /// The rule.
    pub rule: String,
    /// The one that denies wherever it does.
    pub by: String,
}

const LIMITS: &str = "The network that is asked about is always the same but for its labels: eth0.100 (untagged where it reaches), \
    192.0.2.0/24, mode l2. What the policy makes of other VLANs, parents, subnets, names and callers this does not show.";

impl MatrixBody {
    /// What `policy` said in each cell, and what the one said that it is compared with.
    pub fn of(
        policy: &Policy,
        values: Vec<Labelled>,
        cells: &[Cell],
        said: &[Option<Judged>],
        other: Option<(&Policy, &[Option<Judged>])>,
    ) -> Self {
        let mut groups: Vec<MatrixGroupBody> = Vec::new();
        for (cell, judged) in cells.iter().zip(said) {
            let (operation, relation) = (cell.operation.as_str(), cell.relation.as_str());
            let at = groups.iter().position(|g| g.operation == operation && g.relation == relation && g.label == cell.key);
            let at = at.unwrap_or_else(|| {
                let (operation, relation, label) = (operation.to_owned(), relation.to_owned(), cell.key.clone());
                groups.push(MatrixGroupBody { operation, relation, label, allowed: Vec::new(), denied: Vec::new() });
                groups.len() - 1
            });
            let beside = BesideBody { value: cell.value.clone(), beside: cell.beside.clone(), rules: rules(judged.as_ref()) };
            if is_denied(judged.as_ref()) { groups[at].denied.push(beside) } else { groups[at].allowed.push(beside) }
        }
        let (never_deny, shadowed) = idle_rules(&policy.description, said);
        let before = other.map(|(_, before)| before);
        Self {
            policy: policy.name.to_string(),
            revision: policy.revision,
            against: other.map(|(policy, _)| policy.revision),
            values,
            cells: cells.len(),
            denied_count: said.iter().filter(|s| is_denied(s.as_ref())).count(),
            groups,
            differences: before.into_iter().flat_map(|before| cells.iter().zip(before).zip(said)).filter_map(difference).collect(),
            never_deny,
            shadowed: shadowed.into_iter().map(|(rule, by)| ShadowedBody { rule, by }).collect(),
            limits: LIMITS.to_owned(),
        }
    }
}

fn difference(((cell, before), after): ((&Cell, &Option<Judged>), &Option<Judged>)) -> Option<MatrixDifferenceBody> {
    let (was, is) = (is_denied(before.as_ref()), is_denied(after.as_ref()));
    let (before, after) = (rules(before.as_ref()), rules(after.as_ref()));
    let change = match (was, is) {
        (true, false) => "newly-allowed",
        (false, true) => "newly-denied",
        (true, true) if before != after => "other-rules",
        _ => return None,
    };
    Some(MatrixDifferenceBody {
        operation: cell.operation.as_str().to_owned(),
        relation: cell.relation.as_str().to_owned(),
        label: cell.key.clone(),
        value: cell.value.clone(),
        beside: cell.beside.clone(),
        change: change.to_owned(),
        before,
        after,
    })
}
