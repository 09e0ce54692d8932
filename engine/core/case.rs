//! Test cases of a policy: a request, and what the policy is to say to it. They are put to a [`Judge`] as requests are, so they
//! hold without a daemon, in a rehearsal, and as the gate of a policy's revisions.
//!
//! The request of a case has the words of a decision's recorded input; [`read`] takes it as an author writes it, with all that is
//! empty left away.

mod coverage;
mod read;
mod shape;
mod write;

pub use coverage::{Covered, NearMiss, coverage, percent};

use crate::names::nearest;
use crate::policy::{Conclusion, Description, Group, Judge, Judged, Judgement, Policy, Question, View};
use crate::refusal::Fault;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::collections::BTreeSet;

/// Cases that belong together.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Suite {
    /// The module that is tested, as whoever runs the cases understands it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub module: Option<String>,
    /// Settings of all cases that have none of their own; null where the policy's are meant.
    #[serde(default)]
    pub settings: Value,
    /// The cases; no two have one name.
    pub cases: Vec<Case>,
}

impl Suite {
    /// Reads a suite as an author writes it; all faults at once.
    ///
    /// Its `request` is what the requests of all its cases have in common: a case's own is laid over it by RFC 7396 (objects are
    /// merged, lists and values replaced, null removes).
    pub fn read(value: &Value) -> Result<Self, Vec<Fault>> {
        read::suite(value)
    }

    /// The suite as an author would write it: [`read`](Self::read) gives it back.
    pub fn written(&self) -> Value {
        write::suite(self)
    }
}

/// One case.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Case {
    /// One sentence, for people.
    pub name: String,
    /// Settings of its own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub settings: Option<Value>,
    /// What the policy is shown.
    pub request: Question,
    /// What it is to conclude.
    pub expect: Conclusion,
    /// The rules that are to fire, and no others: some where it denies, else none.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub rules: BTreeSet<String>,
}

/// What came of a case.
#[derive(Debug, Clone, PartialEq)]
pub struct Tried {
    /// What the policy said.
    pub judged: Judged,
    /// Whether that is what the case expects.
    pub passed: bool,
}

impl Case {
    /// What is wrong with the case for a policy that says this of itself: rules that it does not declare, and requests that it
    /// would never be shown.
    pub fn faults(&self, of: &Description) -> Vec<Fault> {
        let mut faults = Vec::new();
        for (at, rule) in self.rules.iter().enumerate().filter(|(_, rule)| of.rules.iter().all(|r| r.id != **rule)) {
            let declared: Vec<&str> = of.rules.iter().map(|r| r.id.as_str()).collect();
            faults.push(Fault::new(format!("rules[{at}]"), format!("{} declares no rule {rule:?}", of.name), one_of(rule, &declared)));
        }
        if self.expect == Conclusion::Deny && self.rules.is_empty() {
            faults.push(Fault::new("rules", "no rule is named", "the rules that are to deny: another denial must not pass for theirs"));
        }
        if self.expect != Conclusion::Deny && !self.rules.is_empty() {
            faults.push(Fault::new("rules", "a policy that does not deny names no rule", "none, or expect: deny"));
        }
        faults.extend(never_shown(&self.request, of).into_iter().map(|f| f.below("request")));
        faults
    }

    /// Puts the request to the policy, with the settings of the case where it has some.
    pub fn put(&self, judge: &dyn Judge, policy: &Policy) -> Tried {
        let own = self.settings.as_ref().map(|settings| Policy { settings: settings.clone(), ..policy.clone() });
        let judged = judge.judge(own.as_ref().unwrap_or(policy), &self.request);
        let passed = match &judged.judgement {
            Judgement::Spoke(opinion) => {
                opinion.outcome == self.expect && fired(&judged) == self.rules.iter().map(String::as_str).collect()
            }
            Judgement::Broke(_) => false,
        };
        Tried { judged, passed }
    }
}

impl Tried {
    /// What the policy said, in a few words.
    pub fn said(&self) -> String {
        match &self.judged.judgement {
            Judgement::Broke(why) => format!("the policy broke: {why}"),
            Judgement::Spoke(opinion) => outcome_text(opinion.outcome, fired(&self.judged)),
        }
    }
}

impl Case {
    /// What it expects, in the same words.
    pub fn expected(&self) -> String {
        outcome_text(self.expect, self.rules.iter().map(String::as_str).collect())
    }
}

fn outcome_text(outcome: Conclusion, rules: BTreeSet<&str>) -> String {
    let rules: Vec<&str> = rules.into_iter().collect();
    match outcome {
        Conclusion::NotApplicable => "not applicable".to_owned(),
        Conclusion::Allow => "allow".to_owned(),
        Conclusion::Deny => format!("deny by {}", rules.join(", ")),
    }
}

/// The rules that fired.
pub fn fired(judged: &Judged) -> BTreeSet<&str> {
    match &judged.judgement {
        Judgement::Spoke(opinion) => opinion.violations.iter().map(|v| v.rule.as_str()).collect(),
        Judgement::Broke(_) => BTreeSet::new(),
    }
}

/// What would be right in place of `word`.
fn one_of(word: &str, known: &[&str]) -> String {
    match nearest(word, known.iter().copied()) {
        Some(near) => format!("did you mean {near}?"),
        None => format!("one of {}", known.join(", ")),
    }
}

/// Parts of a request that a policy of this description is never shown: a case with them would test what cannot happen.
fn never_shown(request: &Question, of: &Description) -> Vec<Fault> {
    let mut faults = Vec::new();
    if !of.operations.contains(&request.operation) {
        let judged: Vec<&str> = of.operations.iter().map(|o| o.as_str()).collect();
        let wrong = format!("{} is not asked about {}", of.name, request.operation.as_str());
        faults.push(Fault::new("operation", wrong, format!("one of {}", judged.join(", "))));
    }
    let attached = request.workload.as_ref().map_or(&[][..], |w| &w.attached);
    let views: [(&str, View, &[Group]); 4] = [
        ("workload.attached", View::Attached, attached),
        ("same_segment", View::SameSegment, &request.same_segment),
        ("reaches", View::Reaches, &request.reaches),
        ("overlapping", View::Overlapping, &request.overlapping),
    ];
    for (field, view, groups) in views {
        if !groups.is_empty() && !of.needs.contains(&view) {
            faults.push(Fault::new(field, format!("{} does not ask for this view, so it is never shown it", of.name), "leave it away"));
            continue;
        }
        for (at, group) in groups.iter().enumerate() {
            let labels = group
                .network_labels
                .iter()
                .map(|l| ("network_labels", l))
                .chain(group.workload_labels.iter().map(|l| ("workload_labels", l)));
            for (list, label) in labels.filter(|(_, l)| !of.label_keys.contains(&l.key)) {
                let wrong = format!("residents are grouped by {} only, never by {}", of.label_keys.join(", "), label.key);
                faults.push(Fault::new(
                    format!("{field}[{at}].{list}"),
                    wrong,
                    "leave it away, or name the key in the policy's label-keys",
                ));
            }
        }
    }
    faults
}
