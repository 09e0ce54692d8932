//! Cases put to a policy: only what was expected passes, and a rule is covered by a case that fires it and one that nearly does.

use bulkhead_core::case::{Case, Suite, Tried, coverage, percent};
use bulkhead_core::names::Name;
use bulkhead_core::policy::*;
use serde_json::{Value, json};
use std::sync::Arc;

/// Denies what `settings.max` endpoints have been reached in, and what has no name.
struct AtMost;

impl Judge for AtMost {
    fn judge(&self, policy: &Policy, question: &Question) -> Judged {
        let network = &question.network;
        let found = |rule: &str, is: bool| {
            is.then(|| Violation { rule: rule.into(), message: format!("{} endpoints", network.endpoints), field: None, remedy: None })
        };
        let max = policy.settings["max"].as_u64();
        let Some(max) = max else { return Judged::broke("no settings", None, None) };
        let violations: Vec<_> = [found("too-many", u64::from(network.endpoints) >= max), found("nameless", network.name.is_empty())]
            .into_iter()
            .flatten()
            .collect();
        let outcome = match violations.len() {
            _ if question.operation != Operation::Attach => Conclusion::NotApplicable,
            0 => Conclusion::Allow,
            _ => Conclusion::Deny,
        };
        Judged::spoke(Opinion { outcome, violations, warnings: vec![], notes: vec![] }, Some(1))
    }
}

fn policy() -> Policy {
    let rule = |id: &str| Rule { id: id.into(), summary: "a rule".into(), controls: vec![] };
    Policy {
        name: Name::new("tested").expect("a name"),
        module: Digest([0; 32]),
        description: Arc::new(Description {
            name: "at-most".into(),
            version: "1".into(),
            summary: "for tests".into(),
            operations: vec![Operation::Attach, Operation::Detach],
            rules: vec![rule("too-many"), rule("nameless")],
            label_keys: vec!["tier".into()],
            needs: vec![View::SameSegment],
            settings_schema: String::new(),
        }),
        settings: json!({"max": 2}),
        revision: 1,
        mode: PolicyMode::Enforce,
        schedule: None,
        scope: Scope::default(),
        help: Help::default(),
        tests: None,
    }
}

fn cases(cases: Value) -> Vec<Case> {
    Suite::read(&json!({"request": {"operation": "attach", "network": {"name": "n"}}, "cases": cases})).expect("cases").cases
}

fn case(name: &str, endpoints: u32, expect: &str, rules: &[&str]) -> Value {
    json!({"name": name, "request": {"network": {"endpoints": endpoints}}, "expect": expect, "rules": rules})
}

fn passed(case: Value) -> bool {
    cases(json!([case]))[0].put(&AtMost, &policy()).passed
}

#[test]
fn only_the_very_rules_that_are_expected_pass() {
    assert!(passed(case("room left", 1, "allow", &[])));
    assert!(passed(case("full", 2, "deny", &["too-many"])));
    assert!(!passed(case("allowed after all", 1, "deny", &["too-many"])));
    assert!(!passed(case("denied after all", 2, "allow", &[])));
    assert!(!passed(case("another rule", 2, "deny", &["nameless"])), "a denial for another reason");
    assert!(!passed(case("one rule more", 2, "deny", &["nameless", "too-many"])));
    let both = json!({"name": "both", "request": {"network": {"name": null, "endpoints": 2}}, "expect": "deny", "rules": ["too-many"]});
    assert!(!passed(both), "one rule fired besides");
    let other = json!({"name": "detach", "request": {"operation": "detach"}, "expect": "not-applicable"});
    assert!(passed(other));
}

#[test]
fn a_case_may_have_settings_of_its_own_and_a_policy_that_breaks_passes_nothing() {
    let with = |settings: Value, expect: &str| json!({"name": "own", "settings": settings, "request": {"network": {"endpoints": 2}}, "expect": expect, "rules": if expect == "deny" { vec!["too-many"] } else { vec![] }});
    assert!(passed(with(json!({"max": 3}), "allow")));
    assert!(!passed(with(json!({}), "deny")) && !passed(with(json!({}), "allow")));
}

#[test]
fn what_the_policy_does_not_declare_or_would_never_be_shown_is_a_fault() {
    let written = json!([
        {"name": "a", "request": {"operation": "create-network"}, "expect": "deny", "rules": ["too-mny"]},
        {"name": "b", "expect": "deny"},
        {"name": "c", "expect": "allow", "rules": ["too-many"]},
        {"name": "d", "expect": "allow", "request": {
            "reaches": [{"networks": 1}], "same_segment": [{"networks": 1, "network_labels": {"tier": "web", "owner": "x"}}]}},
    ]);
    let found = |case: &Case| case.faults(&policy().description).iter().map(ToString::to_string).collect::<Vec<_>>();
    let all: Vec<Vec<String>> = cases(written).iter().map(found).collect();
    assert_eq!(
        all,
        [
            vec![
                r#"rules[0]: at-most declares no rule "too-mny"; did you mean too-many?"#,
                "request.operation: at-most is not asked about create-network; one of attach, detach"
            ],
            vec!["rules: no rule is named; the rules that are to deny: another denial must not pass for theirs"],
            vec!["rules: a policy that does not deny names no rule; none, or expect: deny"],
            vec![
                "request.same_segment[0].network_labels: residents are grouped by tier only, never by owner; \
                 leave it away, or name the key in the policy's label-keys",
                "request.reaches: at-most does not ask for this view, so it is never shown it; leave it away",
            ],
        ]
    );
}

/// Percent, and for each rule the case that fires it and the near miss with its differences.
fn covered(written: Value) -> (usize, Vec<String>) {
    let (policy, cases) = (policy(), cases(written));
    let tried: Vec<Tried> = cases.iter().map(|c| c.put(&AtMost, &policy)).collect();
    let all: Vec<_> = cases.iter().zip(&tried).map(|(c, t)| (c, c.settings.as_ref().unwrap_or(&policy.settings), t)).collect();
    let covered = coverage(&policy.description, &all);
    let told = covered.iter().map(|c| {
        let near = c.near_miss.as_ref().map(|n| format!("{} ({})", n.case, n.differs.join(", ")));
        format!("{}: {}; {}", c.rule, c.fired_by.unwrap_or("nothing"), near.as_deref().unwrap_or("nothing"))
    });
    (percent(&covered), told.collect())
}

#[test]
fn a_rule_is_covered_by_a_case_that_fires_it_and_one_that_nearly_does() {
    assert_eq!(
        covered(json!([case("room", 1, "allow", &[])])),
        (0, vec!["too-many: nothing; nothing".into(), "nameless: nothing; nothing".into()])
    );
    let full = case("full", 2, "deny", &["too-many"]);
    let near = "too-many: full; room (request.network.endpoints: 1 in place of 2)";
    assert_eq!(covered(json!([full, case("room", 1, "allow", &[])])), (50, vec![near.into(), "nameless: nothing; nothing".into()]));
    // A case that fails covers nothing, nor does one that is another in too much, or that the policy does not judge.
    assert_eq!(covered(json!([full, case("room", 1, "deny", &["too-many"])])).0, 25);
    let far = json!({"name": "far", "request": {"network": {"name": "m", "endpoints": 1, "mode": "l3", "vlan": 3}}, "expect": "allow"});
    assert_eq!(covered(json!([full, far])).0, 25);
    let unjudged = json!({"name": "detach", "request": {"operation": "detach", "network": {"endpoints": 2}}, "expect": "not-applicable"});
    assert_eq!(covered(json!([full, unjudged])).0, 25);
    // The settings may make the difference.
    let roomy = json!({"name": "roomy", "settings": {"max": 3}, "request": {"network": {"endpoints": 2}}, "expect": "allow"});
    assert_eq!(covered(json!([full, roomy])).1[0], "too-many: full; roomy (settings.max: 3 in place of 2)");
}
