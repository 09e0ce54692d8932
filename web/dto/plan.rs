//! Dry runs: what would be decided, and what the kernel would be told.

use super::decision::{HeardBody, heard};
use crate::problem::ViolationBody;
use bulkhead_core::decide::Object;
use bulkhead_engine::dry_run::DryRun;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// What would come of a request. Nothing was changed, reserved or recorded.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
#[schema(as = DryRun)]
pub struct DryRunBody {
    /// What would be decided.
    pub decision: DryDecisionBody,
    /// What the kernel would be told; empty where nothing needs doing.
    pub plan: PlanBody,
    /// What is on record already, where the request is a repeat: it would be answered with that, and nothing would be done.
    pub already: Option<String>,
}

/// What would be decided.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
#[schema(as = DryDecision)]
pub struct DryDecisionBody {
    /// `allowed` or `denied`.
    #[schema(example = "allowed")]
    pub verdict: String,
    /// All that enforcing policies have against it.
    pub violations: Vec<ViolationBody>,
    /// Warnings of policies and of the engine.
    pub warnings: Vec<String>,
    /// What each policy was shown and said.
    pub heard: Vec<HeardBody>,
}

/// What the kernel would be told.
#[derive(Debug, Default, Serialize, Deserialize, ToSchema)]
#[schema(as = Plan)]
pub struct PlanBody {
    /// The steps, in order.
    #[schema(value_type = Vec<Object>)]
    pub steps: Vec<serde_json::Value>,
    /// The same, as `ip` and `tc` would take it.
    pub text: String,
}

/// A dry run as clients see it.
pub fn show(dry: &DryRun) -> DryRunBody {
    let plan = dry.plan.as_ref().map(|plan| PlanBody {
        steps: plan.steps.iter().map(|s| serde_json::to_value(s).unwrap_or_default()).collect(),
        text: plan.to_string(),
    });
    DryRunBody {
        decision: DryDecisionBody {
            verdict: if dry.denial.is_some() { "denied" } else { "allowed" }.to_owned(),
            violations: dry.denial.iter().flat_map(|d| &d.violations).map(ViolationBody::from).collect(),
            warnings: dry.warnings.clone(),
            heard: dry.heard.iter().map(|h| heard(h, true)).collect(),
        },
        plan: plan.unwrap_or_default(),
        already: dry.already.as_ref().map(|object| match object {
            Object::Network(id) => id.to_string(),
            Object::Endpoint(id) => id.to_string(),
            Object::Module(digest) => digest.to_string(),
            Object::Policy(name) => name.to_string(),
            Object::Gone => "gone".to_owned(),
        }),
    }
}
