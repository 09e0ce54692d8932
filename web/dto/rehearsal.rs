//! What a policy would say to what exists.

use bulkhead_core::policy::{Judged, Judgement, Policy, RULE_BROKE};
use bulkhead_core::rehearse::Existing;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use utoipa::ToSchema;

/// Examples of a group.
const EXAMPLES_MAX: usize = 5;

/// What came of a rehearsal.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
#[schema(as = Rehearsal)]
pub struct RehearsalBody {
    /// `tightens`, `loosens`, `both` or `neither`: whether something would be denied that is allowed, or allowed that is denied.
    pub verdict: String,
    /// Revision of the policy of this name that is in force and enforces; null where there is none, and everything is allowed by it.
    pub compared_with: Option<u64>,
    /// Networks that were put to it.
    pub networks: usize,
    /// Endpoints that were put to it.
    pub endpoints: usize,
    /// What exists and would be denied if it were asked for now, and is allowed by what is in force. Nothing is torn down by that.
    pub newly_denied: Vec<RehearsedBody>,
    /// What is denied by what is in force, and would be allowed.
    pub newly_allowed: Vec<RehearsedBody>,
    /// What both deny.
    pub still_denied: Vec<RehearsedBody>,
    /// What it says to recorded questions of the policy of this name.
    pub recorded: RecordedBody,
}

/// What was recorded, asked again.
#[derive(Debug, Default, Serialize, Deserialize, ToSchema)]
#[schema(as = RehearsedRecord)]
pub struct RecordedBody {
    /// Decisions whose questions were put to it: the newest.
    pub decisions: usize,
    /// Those that were allowed by it and would be denied.
    pub newly_denied: Vec<u64>,
    /// Those that were denied by it and would be allowed.
    pub newly_allowed: Vec<u64>,
}

/// Things of a kind, by operation and rule.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
#[schema(as = Rehearsed)]
pub struct RehearsedBody {
    /// `create-network` or `attach`.
    pub operation: String,
    /// The rule that denies, or denied.
    pub rule: String,
    /// How many.
    pub count: usize,
    /// A few of them.
    pub examples: Vec<StandingBody>,
}

/// Something that exists and is against a policy.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
#[schema(as = StandingViolation)]
pub struct StandingBody {
    /// The policy; left out where there is but one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub policy: Option<String>,
    /// Its revision.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub revision: Option<u64>,
    /// Its mode.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mode: Option<String>,
    /// What it would be asked: `create-network` or `attach`.
    pub operation: String,
    /// The network.
    pub network: String,
    /// Id of the endpoint, where it is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub endpoint: Option<String>,
    /// Name of its workload.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub workload: Option<String>,
    /// The rule.
    pub rule: String,
    /// What is wrong.
    pub message: String,
    /// Which field of a request would be at fault.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub field: Option<String>,
    /// What would be right.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub remedy: Option<String>,
    /// Since when it exists.
    pub since: String,
    /// The decision that allowed it.
    pub decision: u64,
}

/// Each violation that was found, as clients see it.
pub fn standing(existing: &Existing, judged: &Judged, policy: Option<&Policy>) -> Vec<StandingBody> {
    let (since, decision) = existing
        .endpoint
        .as_ref()
        .map_or((existing.network.created_at, existing.network.decision), |endpoint| (endpoint.created_at, endpoint.decision));
    let one = |rule: &str, message: &str, field: Option<&String>, remedy: Option<&String>| StandingBody {
        policy: policy.map(|p| p.name.to_string()),
        revision: policy.map(|p| p.revision),
        mode: policy.map(|p| super::policy::mode_of(p.mode).to_owned()),
        operation: existing.operation.as_str().to_owned(),
        network: existing.network.name.to_string(),
        endpoint: existing.endpoint.as_ref().map(|e| e.id.to_string()),
        workload: existing.endpoint.as_ref().map(|e| e.workload.name.clone()),
        rule: rule.to_owned(),
        message: message.to_owned(),
        field: field.cloned(),
        remedy: remedy.cloned(),
        since: crate::time::rfc3339(since),
        decision: decision.0,
    };
    match &judged.judgement {
        Judgement::Spoke(opinion) => {
            opinion.violations.iter().map(|v| one(&v.rule, &v.message, v.field.as_ref(), v.remedy.as_ref())).collect()
        }
        Judgement::Broke(why) => vec![one(RULE_BROKE, &format!("the policy could not judge this: {why}"), None, None)],
    }
}

/// Violations grouped by operation and rule; a thing that is against two rules counts under both.
pub fn grouped(found: &[(Existing, Judged)]) -> Vec<RehearsedBody> {
    let mut groups: BTreeMap<(String, String), RehearsedBody> = BTreeMap::new();
    for violation in found.iter().flat_map(|(existing, judged)| standing(existing, judged, None)) {
        let key = (violation.operation.clone(), violation.rule.clone());
        let group = groups.entry(key).or_insert_with(|| RehearsedBody {
            operation: violation.operation.clone(),
            rule: violation.rule.clone(),
            count: 0,
            examples: Vec::new(),
        });
        group.count += 1;
        if group.examples.len() < EXAMPLES_MAX {
            group.examples.push(violation);
        }
    }
    groups.into_values().collect()
}
