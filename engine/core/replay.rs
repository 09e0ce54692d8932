//! Decisions asked again: the recorded question, put to the recorded policy, must be answered as it was.

use crate::evidence::{JudgedBy, Limit};
use crate::policy::{Description, Heard, Judge, Judged, Judgement, Policy, View};
use std::collections::BTreeSet;

/// How an answer of now stands to the recorded one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Comparison {
    /// The same.
    Same,
    /// Another, where it must be the same.
    Differs,
    /// Nobody can tell here, and why.
    NotComparable(&'static str),
}

/// A recorded question asked again.
#[derive(Debug, Clone)]
pub struct Again {
    /// What is said now; `None` where nobody could be asked.
    pub now: Option<Judged>,
    /// How that stands to what was said.
    pub comparison: Comparison,
}

/// Puts what was heard to the policy as it was. `policy` is the revision on record that `then` names, `by` what judged then.
pub fn again(judge: &dyn Judge, then: &Heard, policy: Option<&Policy>, by: Option<&JudgedBy>) -> Again {
    let Some(policy) = policy.filter(|p| p.module == then.module) else {
        let why = "its revision is not on record with the module of then";
        return Again { now: None, comparison: Comparison::NotComparable(why) };
    };
    let now = judge.judge(policy, &then.question);
    let comparison = compare(&then.judged, &now, by == Some(&*judge.judged_by()));
    Again { now: Some(now), comparison }
}

/// The verdict must be the same everywhere, and the fuel under the same engine and configuration; what a limit decided says nothing about
/// an engine with others, and what the machine's circumstances decided says nothing at all.
pub fn compare(then: &Judged, now: &Judged, same_judge: bool) -> Comparison {
    let limits = [then.limit, now.limit];
    if limits.contains(&Some(Limit::Circumstance)) {
        return Comparison::NotComparable("time, or what was not there, decided: not comparable");
    }
    if !same_judge && limits != [None, None] {
        return Comparison::NotComparable("a limit of another engine or configuration decided: not comparable here");
    }
    let alike = match (&then.judgement, &now.judgement) {
        (Judgement::Spoke(one), Judgement::Spoke(other)) => one == other,
        // In what words is the engine's own business.
        (Judgement::Broke(_), Judgement::Broke(_)) => then.limit == now.limit,
        _ => false,
    };
    if alike && (!same_judge || then.fuel == now.fuel) { Comparison::Same } else { Comparison::Differs }
}

/// The recorded question that shows `wanted` most of what it looks at, and what of that it does not show. `heard` comes with what
/// each policy said of itself then.
pub fn fitting<'a>(heard: &[(&'a Heard, Option<&Description>)], wanted: &Description) -> Option<(&'a Heard, Vec<String>)> {
    let not_shown = |description: Option<&Description>| -> Vec<String> {
        let (needs, keys) = description.map_or((&[][..], &[][..]), |d| (&*d.needs, &*d.label_keys));
        let views = wanted.needs.iter().filter(|n| !needs.contains(n)).map(|n| format!("view {}", view(*n)));
        let keys: BTreeSet<&String> = wanted.label_keys.iter().filter(|k| !keys.contains(k)).collect();
        views.chain(keys.into_iter().map(|k| format!("label {k} of residents"))).collect()
    };
    heard.iter().map(|(heard, description)| (*heard, not_shown(*description))).min_by_key(|(_, missing)| missing.len())
}

fn view(view: View) -> &'static str {
    match view {
        View::Attached => "attached",
        View::SameSegment => "same-segment",
        View::Reaches => "reaches",
        View::Overlapping => "overlapping",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::policy::{Conclusion, Opinion};

    fn spoke(outcome: Conclusion, fuel: u64) -> Judged {
        Judged::spoke(Opinion { outcome, violations: vec![], warnings: vec![], notes: vec![] }, Some(fuel))
    }

    #[test]
    fn what_must_be_the_same_and_what_nobody_can_tell() {
        use Comparison::{Differs, NotComparable, Same};
        let allowed = spoke(Conclusion::Allow, 10);
        let out_of_fuel = Judged::broke("evaluate used up its fuel of 10", Some(10), Some(Limit::Fuel));
        let late = Judged::broke("evaluate ran longer than 5 ms", Some(3), Some(Limit::Circumstance));
        let trapped = Judged::broke("evaluate trapped", Some(3), None);
        assert_eq!(compare(&allowed, &allowed, true), Same);
        assert_eq!(compare(&allowed, &spoke(Conclusion::Allow, 11), true), Differs, "the same engine counts the same fuel");
        assert_eq!(compare(&allowed, &spoke(Conclusion::Allow, 11), false), Same, "another may count otherwise");
        assert_eq!(compare(&allowed, &spoke(Conclusion::NotApplicable, 10), false), Differs);
        assert_eq!(compare(&trapped, &Judged::broke("other words", Some(4), None), false), Same);
        assert_eq!(compare(&trapped, &allowed, false), Differs, "a trap is the module's own");
        assert_eq!(compare(&out_of_fuel, &out_of_fuel, true), Same);
        assert_eq!(compare(&out_of_fuel, &allowed, true), Differs);
        assert!(matches!(compare(&out_of_fuel, &allowed, false), NotComparable(_)));
        assert!(matches!(compare(&allowed, &out_of_fuel, false), NotComparable(_)));
        assert!(matches!(compare(&late, &allowed, true), NotComparable(_)));
    }
}
