//! What the tests of the built-in policies share; each names its policy `Tested`.

use super::super::*;
use super::Tested;

pub fn labels(list: &[(&str, &str)]) -> Vec<Label> {
    let one = |(key, value): &(&str, &str)| Label { key: (*key).into(), value: (*value).into(), provenance: Provenance::Asserted };
    list.iter().map(one).collect()
}

pub fn create(name: &str, network: &[(&str, &str)], parent: Option<&str>, vlan: Option<u16>) -> Request {
    Request {
        operation: Operation::CreateNetwork,
        caller: Caller { name: "uid:1000".into(), groups: vec![], door: "rest".into(), networks: 0 },
        change: Change { reason: None, ticket: None, approved_by: None },
        network: Network {
            name: name.into(),
            mode: Mode::L2,
            parent: parent.map(Into::into),
            fabric: parent.map(|_| "default".into()),
            vlan,
            internal: parent.is_none(),
            subnets: vec![],
            labels: labels(network),
            endpoints: 0,
            facts: vec![],
        },
        network_before: None,
        workload: None,
        workload_before: None,
        addresses: vec![],
        same_segment: vec![],
        reaches: vec![],
        overlapping: vec![],
        facts: vec![],
    }
}

/// The same network, and a workload that joins it.
pub fn attach(mut request: Request, workload: &[(&str, &str)]) -> Request {
    request.operation = Operation::Attach;
    request.workload = Some(Workload {
        id: "w-1".into(),
        name: String::new(),
        labels: labels(workload),
        capabilities: None,
        attached: vec![],
        facts: vec![],
    });
    request
}

pub fn policy(settings: &str) -> Tested {
    configured(settings).unwrap_or_else(|e| panic!("{settings}: {e:?}"))
}

/// The rules that are violated; empty where it is allowed.
pub fn rules(settings: &str, request: &Request) -> Vec<String> {
    let policy = policy(settings);
    let opinion = policy.evaluate(request);
    assert_eq!(opinion.outcome == Outcome::Deny, !opinion.violations.is_empty());
    assert_ne!(opinion.outcome, Outcome::NotApplicable);
    let declared = policy.describe().rules;
    assert!(opinion.violations.iter().all(|v| v.field.is_some() && v.remedy.is_some() && declared.iter().any(|r| r.id == v.rule)));
    opinion.violations.into_iter().map(|v| v.rule).collect()
}

/// Field, message and remedy of all that is violated.
pub fn told(settings: &str, request: &Request) -> Vec<String> {
    policy(settings).evaluate(request).violations.into_iter().map(shown).collect()
}

pub fn shown(v: Violation) -> String {
    format!("{} | {} | {}", v.field.unwrap_or_default(), v.message, v.remedy.unwrap_or_default())
}

/// Field, message and remedy of all that is wrong with settings.
pub fn faults(settings: &str) -> Vec<String> {
    configured::<Tested>(settings).expect_err(settings).into_iter().map(shown).collect()
}
