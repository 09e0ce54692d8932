//! The rules of tier-isolation and subnet-rules in several engines. All are given the same grouped facts, and what each makes of them to
//! read them is part of its time.

mod cedar;
mod native;
mod rego;
pub mod wasm;

use bulkhead_core::policy::{Conclusion, Operation, Policy, Question};
use serde_json::Value;
use std::collections::BTreeSet;

pub use cedar::Cedar;
pub use native::Native;
pub use rego::Rego;
pub use wasm::Wasm;

/// What an engine says of a question: the conclusion, and the rules that it finds violated.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Verdict {
    pub outcome: Outcome,
    pub rules: BTreeSet<String>,
}

/// [`Conclusion`], with an order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Outcome {
    NotApplicable,
    Allow,
    Deny,
}

impl Verdict {
    fn not_applicable() -> Self {
        Self { outcome: Outcome::NotApplicable, rules: BTreeSet::new() }
    }
    /// Of an operation that is judged.
    fn of(rules: BTreeSet<String>) -> Self {
        Self { outcome: if rules.is_empty() { Outcome::Allow } else { Outcome::Deny }, rules }
    }
    fn from_rules<'a>(conclusion: Conclusion, rules: impl Iterator<Item = &'a str>) -> Self {
        let outcome = match conclusion {
            Conclusion::NotApplicable => Outcome::NotApplicable,
            Conclusion::Allow => Outcome::Allow,
            Conclusion::Deny => Outcome::Deny,
        };
        Self { outcome, rules: rules.map(str::to_owned).collect() }
    }
}

/// Which rules a policy has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rules {
    TierIsolation,
    SubnetRules,
}

impl Rules {
    pub fn name(self) -> &'static str {
        match self {
            Rules::TierIsolation => "tier-isolation",
            Rules::SubnetRules => "subnet-rules",
        }
    }
}

/// Rules with settings, as the daemon's built-ins take them.
pub type Wanted = (Rules, Value);

/// Some policies in one engine.
pub trait Engine {
    fn name(&self) -> &'static str;
    /// What it says to one decision: each policy's question is put to that policy, by its place.
    fn decide(&mut self, asked: &[(&Policy, Question)]) -> Vec<Verdict>;
}

/// Both rules judge what makes or changes something, and have nothing to say of removals.
fn is_judged(operation: Operation) -> bool {
    !operation.is_removal()
}

fn joins(operation: Operation) -> bool {
    matches!(operation, Operation::Attach | Operation::ChangeWorkload)
}

/// What of the settings is needed to write the rules in another language. `Null` where it is not set.
fn setting<'a>(settings: &'a Value, key: &str) -> &'a Value {
    settings.get(key).unwrap_or(&Value::Null)
}

/// The label that holds the tier.
fn label_of(settings: &Value) -> String {
    setting(settings, "label").as_str().unwrap_or("tier").to_owned()
}

/// Pairs of tiers that may share, in both orders.
fn allowed_pairs(settings: &Value) -> Vec<(String, String)> {
    let pairs = setting(settings, "allowed_pairs").as_array().into_iter().flatten();
    let pairs = pairs.filter_map(|pair| Some((pair.get(0)?.as_str()?.to_owned(), pair.get(1)?.as_str()?.to_owned())));
    pairs.flat_map(|(a, b)| [(a.clone(), b.clone()), (b, a)]).collect()
}

fn may_overlap(settings: &Value) -> bool {
    setting(settings, "overlapping_subnets").as_str() == Some("allow")
}
