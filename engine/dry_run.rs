//! Dry runs: the same decision on the published state, and no commit.

use crate::answer::Failure;
use crate::engine::Engine;
use bulkhead_core::caller::Caller;
use bulkhead_core::decide::{Decided, Denial, Object, Outcome};
use bulkhead_core::plan::Plan;
use bulkhead_core::policy::{Change, Heard};
use bulkhead_core::request::Request;
use std::sync::Arc;

/// What would happen.
#[derive(Debug, Clone)]
pub struct DryRun {
    /// What each policy says.
    pub heard: Vec<Heard>,
    /// Why it would be denied.
    pub denial: Option<Denial>,
    /// Warnings of policies and of the engine.
    pub warnings: Vec<String>,
    /// What the kernel would have to do.
    pub plan: Option<Arc<Plan>>,
    /// What is on record already, where the request is a repeat.
    pub already: Option<Object>,
}

impl Engine {
    /// Decides without recording: reserves nothing and changes nothing. What is under way is not waited for.
    pub fn dry_run(&self, request: Request, caller: Caller, change: Change, force: Option<String>) -> Result<DryRun, Failure> {
        let decided = self.decide_on_published(request, caller, change, force)?;
        let empty = DryRun { heard: Vec::new(), denial: None, warnings: Vec::new(), plan: None, already: None };
        Ok(match decided {
            Decided::Already(object) => DryRun { already: Some(object), ..empty },
            Decided::Wait(_) => {
                DryRun { warnings: vec!["something it depends on is under way; the request itself would wait for it".into()], ..empty }
            }
            Decided::Outcome(outcome) => {
                let Outcome { decision, effect } = *outcome;
                let warnings = match decision.verdict {
                    bulkhead_core::policy::Verdict::Allowed { warnings, .. } => warnings,
                    _ => Vec::new(),
                };
                match effect {
                    Ok(effect) => DryRun { heard: decision.heard, warnings, plan: effect.plan, ..empty },
                    Err(denial) => DryRun { heard: decision.heard, denial: Some(denial), ..empty },
                }
            }
        })
    }
}
