//! Which policies were in force when: from the changes on record, over a period.

use crate::ids::{DecisionId, Timestamp};
use crate::log::PolicyChange;
use crate::policy::{Operation, Policy, PolicyMode};

/// For so long a policy was as it was.
#[derive(Debug, Clone, PartialEq)]
pub struct Stretch {
    /// The policy as it was.
    pub policy: Policy,
    /// Its mode in this stretch.
    pub mode: PolicyMode,
    /// The decision that made it so, where one did.
    pub decision: Option<DecisionId>,
    /// From then …
    pub from: Timestamp,
    /// … up to then, or to the end of the period.
    pub until: Timestamp,
}

/// The stretches within `from` and `until`, by policy and time. `changes` are in the order in which they were decided.
pub fn stretches(changes: &[PolicyChange], from: Timestamp, until: Timestamp) -> Vec<Stretch> {
    let mut out = Vec::new();
    for (i, change) in changes.iter().enumerate() {
        let Some(policy) = &change.policy else { continue };
        let next = changes.iter().skip(i + 1).find(|c| c.name == change.name).map_or(until, |c| c.at);
        let turn = policy.schedule.map_or(next, |s| s.until.max(change.at).min(next));
        for (begin, end) in [(change.at, turn), (turn, next)] {
            let (begin, end) = (begin.max(from), end.min(until));
            if begin < end {
                let stretch =
                    Stretch { policy: policy.clone(), mode: policy.mode_at(begin), decision: change.decision, from: begin, until: end };
                out.push(stretch);
            }
        }
    }
    out.sort_by(|a, b| (&a.policy.name, a.from).cmp(&(&b.policy.name, b.from)));
    out
}

/// When nobody who judges `operation` everywhere was enforced, between `from` and `until`. A policy whose scope names networks or labels
/// does not judge everywhere, and counts as nobody.
pub fn unguarded(stretches: &[Stretch], operation: Operation, from: Timestamp, until: Timestamp) -> Vec<(Timestamp, Timestamp)> {
    let everywhere = |p: &Policy| {
        let scope = &p.scope;
        let wanted = scope.operations.is_empty() || scope.operations.contains(&operation);
        wanted && p.description.operations.contains(&operation) && scope.networks.is_empty() && scope.network_labels.is_empty()
    };
    let mut guarded: Vec<(Timestamp, Timestamp)> =
        stretches.iter().filter(|s| s.mode == PolicyMode::Enforce && everywhere(&s.policy)).map(|s| (s.from, s.until)).collect();
    guarded.sort();
    let mut out = Vec::new();
    let mut at = from;
    for (begin, end) in guarded {
        if begin > at {
            out.push((at, begin));
        }
        at = at.max(end);
    }
    if at < until {
        out.push((at, until));
    }
    out
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test that panics says where")]
mod tests {
    use super::*;
    use crate::names::Name;
    use crate::policy::{Description, Digest, Schedule, Scope};
    use std::sync::Arc;

    fn policy(name: &str, revision: u64, mode: PolicyMode) -> Policy {
        let description = Description {
            name: name.into(),
            version: "1".into(),
            summary: String::new(),
            operations: vec![Operation::Attach],
            rules: vec![],
            label_keys: vec![],
            needs: vec![],
            settings_schema: "{}".into(),
        };
        Policy {
            name: Name::new(name).unwrap(),
            module: Digest([1; 32]),
            description: Arc::new(description),
            settings: serde_json::Value::Null,
            revision,
            mode,
            schedule: None,
            scope: Scope::default(),
            help: Default::default(),
            tests: None,
        }
    }

    fn change(at: u64, name: &str, policy: Option<Policy>) -> PolicyChange {
        PolicyChange { name: name.into(), decision: Some(DecisionId(at)), at: Timestamp(at), policy }
    }

    use PolicyMode::{Audit, Enforce};

    #[test]
    fn each_revision_holds_until_the_next_or_the_deletion_and_modes_change_by_themselves() {
        let later = Policy { schedule: Some(Schedule { until: Timestamp(30), then: Enforce }), ..policy("a", 1, Audit) };
        let changes = [
            change(10, "a", Some(later)),
            change(20, "b", Some(policy("b", 1, Enforce))),
            change(40, "a", Some(policy("a", 2, Audit))),
            change(50, "b", None),
        ];
        let told = |from, until| -> Vec<(String, u64, PolicyMode, u64, u64)> {
            let all = stretches(&changes, Timestamp(from), Timestamp(until));
            all.into_iter().map(|s| (s.policy.name.to_string(), s.policy.revision, s.mode, s.from.0, s.until.0)).collect()
        };
        let a = |revision, mode, from, until| ("a".to_owned(), revision, mode, from, until);
        assert_eq!(told(0, 100), [a(1, Audit, 10, 30), a(1, Enforce, 30, 40), a(2, Audit, 40, 100), ("b".into(), 1, Enforce, 20, 50)]);
        assert_eq!(told(32, 35), [a(1, Enforce, 32, 35), ("b".into(), 1, Enforce, 32, 35)]);
        assert_eq!(told(0, 10), []);

        let gaps = |operation| unguarded(&stretches(&changes, Timestamp(0), Timestamp(100)), operation, Timestamp(0), Timestamp(100));
        assert_eq!(gaps(Operation::Attach), [(Timestamp(0), Timestamp(20)), (Timestamp(50), Timestamp(100))]);
        assert_eq!(gaps(Operation::CreateNetwork), [(Timestamp(0), Timestamp(100))], "nobody judges it");
    }

    #[test]
    fn a_policy_that_looks_at_some_networks_only_guards_nothing_as_a_whole() {
        let narrow = Policy { scope: Scope { networks: vec!["cards".into()], ..Scope::default() }, ..policy("a", 1, Enforce) };
        let all = stretches(&[change(0, "a", Some(narrow))], Timestamp(0), Timestamp(9));
        assert_eq!(unguarded(&all, Operation::Attach, Timestamp(0), Timestamp(9)), [(Timestamp(0), Timestamp(9))]);
    }
}
