//! Reads suites as authors write them.

use super::shape::{REQUEST, SUITE, below};
use super::{Case, Suite};
use crate::policy::{Conclusion, Question};
use crate::refusal::Fault;
use serde::Deserialize;
use serde_json::{Map, Value};
use std::collections::BTreeSet;

/// A suite whose requests are still to be read.
#[derive(Deserialize)]
struct Written {
    module: Option<String>,
    settings: Value,
    request: Value,
    cases: Vec<WrittenCase>,
}

#[derive(Deserialize)]
struct WrittenCase {
    name: String,
    settings: Option<Value>,
    request: Value,
    expect: Conclusion,
    rules: BTreeSet<String>,
}

pub(super) fn suite(value: &Value) -> Result<Suite, Vec<Fault>> {
    let mut faults = Vec::new();
    let filled = SUITE.fill(value, "", &mut faults);
    if !faults.is_empty() {
        return Err(faults);
    }
    let Written { module, settings, request: common, cases: written } = typed(filled, "").map_err(|f| vec![f])?;
    if written.is_empty() {
        faults.push(Fault::new("cases", "an empty list", "at least one case"));
    }
    let mut names = BTreeSet::new();
    let mut cases = Vec::new();
    for (at, case) in written.into_iter().enumerate() {
        let at = format!("cases[{at}]");
        if case.name.trim().is_empty() || !names.insert(case.name.clone()) {
            faults.push(Fault::new(below(&at, "name"), format!("{:?}", case.name), "a name that no other case has"));
        }
        let WrittenCase { name, settings, request, expect, rules } = case;
        match question(&merged(&common, &request), &below(&at, "request")) {
            Ok(request) => cases.push(Case { name, settings, request, expect, rules }),
            Err(wrong) => faults.extend(wrong),
        }
    }
    if faults.is_empty() { Ok(Suite { module, settings, cases }) } else { Err(faults) }
}

/// Reads a request; what was left away is empty. A network without a parent is internal, unless it says otherwise.
fn question(value: &Value, at: &str) -> Result<Question, Vec<Fault>> {
    let mut faults = Vec::new();
    let mut filled = REQUEST.fill(value, at, &mut faults);
    if !faults.is_empty() {
        return Err(faults);
    }
    for network in ["network", "network_before"] {
        if value[network]["internal"].is_null() && filled[network].is_object() {
            filled[network]["internal"] = filled[network]["parent"].is_null().into();
        }
    }
    typed(filled, at).map_err(|fault| vec![fault])
}

fn typed<T: for<'de> Deserialize<'de>>(value: Value, at: &str) -> Result<T, Fault> {
    T::deserialize(value).map_err(|e| Fault::new(at, e.to_string(), ""))
}

/// `patch` laid over `base` by RFC 7396.
fn merged(base: &Value, patch: &Value) -> Value {
    let Value::Object(patch) = patch else { return if patch.is_null() { base.clone() } else { patch.clone() } };
    let mut map = base.as_object().cloned().unwrap_or_else(Map::new);
    for (key, value) in patch {
        if value.is_null() {
            map.shift_remove(key);
        } else {
            let below = merged(map.get(key).unwrap_or(&Value::Null), value);
            map.insert(key.clone(), below);
        }
    }
    Value::Object(map)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn read(request: Value) -> Result<Question, Vec<String>> {
        question(&request, "request").map_err(|faults| faults.iter().map(ToString::to_string).collect())
    }

    /// A request with everything in it that can be: the compiler demands each new field here, and the test its shape.
    fn full() -> Question {
        use crate::host::Mode;
        use crate::policy::*;
        let label = |key: &str| Label { key: key.into(), value: "v".into(), provenance: Provenance::Runtime };
        let group = || Group {
            network_labels: vec![label("a"), label("b")],
            workload_labels: vec![label("a")],
            networks: 1,
            endpoints: 2,
            examples: vec!["n".into()],
        };
        let network = || NetworkView {
            name: "n".into(),
            mode: Mode::L3s,
            parent: Some("eth0.30".into()),
            fabric: Some("default".into()),
            vlan: Some(30),
            internal: true,
            subnets: vec![SubnetView {
                cidr: "10.0.0.0/24".into(),
                gateway: Some("10.0.0.1".into()),
                ip_range: Some("10.0.0.0/25".into()),
            }],
            labels: vec![label("a")],
            endpoints: 3,
            facts: vec![label("f")],
        };
        let workload = || WorkloadView {
            id: "i".into(),
            name: "w".into(),
            labels: vec![label("a")],
            capabilities: Some(vec!["NET_RAW".into()]),
            attached: vec![group()],
            facts: vec![label("f")],
        };
        Question {
            operation: Operation::ChangeWorkload,
            caller: CallerView { name: "uid:1".into(), groups: vec!["ops".into()], door: "unix".into(), networks: 4 },
            change: Change { reason: Some("r".into()), ticket: Some("t".into()), approved_by: Some("a".into()) },
            network: network(),
            network_before: Some(network()),
            workload: Some(workload()),
            workload_before: Some(workload()),
            addresses: vec!["10.0.0.2".into()],
            same_segment: vec![group()],
            reaches: vec![group()],
            overlapping: vec![group()],
            facts: vec![label("f")],
        }
    }

    #[test]
    fn a_recorded_input_is_read_as_it_was() {
        let recorded = serde_json::to_value(full()).expect("a question is JSON");
        assert_eq!(read(recorded), Ok(full()));
    }

    #[test]
    fn what_is_written_is_read_as_it_was() {
        let asserted =
            |key: &str| crate::policy::Label { key: key.into(), value: "v".into(), provenance: crate::policy::Provenance::Asserted };
        let mut lean = full();
        lean.network.labels = vec![asserted("a"), asserted("tier")];
        (lean.network_before, lean.same_segment, lean.change.ticket, lean.network.parent) = (None, vec![], None, None);
        let case = |name: &str, request, rules: &[&str]| Case {
            name: name.into(),
            settings: rules.is_empty().then(|| json!({"max": 3})),
            request,
            expect: if rules.is_empty() { Conclusion::Allow } else { Conclusion::Deny },
            rules: rules.iter().map(|r| (*r).to_owned()).collect(),
        };
        let cases = vec![case("full", full(), &["r"]), case("lean", lean, &[])];
        let written = Suite { module: Some("m.wasm".into()), settings: json!({"max": 2}), cases };
        let value = written.written();
        assert_eq!(value["cases"][1]["request"]["network"]["labels"], json!({"a": "v", "tier": "v"}));
        assert_eq!(suite(&value), Ok(written));
    }

    #[test]
    fn what_is_left_away_is_empty_and_labels_may_be_written_short() {
        let read = read(json!({"operation": "attach", "network": {"labels": {"tier": "web", "a": "b"}}, "workload": {}})).expect("valid");
        let keys: Vec<&str> = read.network.labels.iter().map(|l| l.key.as_str()).collect();
        assert_eq!(keys, ["a", "tier"], "sorted, as the contract promises");
        assert!(read.network.internal && read.network.parent.is_none() && read.workload_before.is_none() && read.same_segment.is_empty());
        let on_a_parent = question(&json!({"operation": "attach", "network": {"parent": "eth0"}}), "").expect("valid");
        assert!(!on_a_parent.network.internal);
    }

    #[test]
    fn all_faults_come_at_once_with_their_places() {
        let faults = read(json!({
            "operation": "atach", "netwrok": {}, "network": {"vlan": 5000, "labels": {"tier": 1}, "subnets": [{"gateway": null}]},
            "same_segment": {}, "workload": {"a b": 1}
        }));
        let wanted = [
            r#"request.netwrok: unknown field; did you mean network?"#,
            r#"request.operation: "atach" is not known; did you mean attach?"#,
            "request.network.vlan: 5000 is a number; a whole number from 0 to 4094",
            "request.network.subnets[0].cidr: missing; a text; quote what YAML takes for something else",
            "request.network.labels.tier: 1 is a number; a text; quote what YAML takes for something else",
            r#"request.workload["a b"]: unknown field; one of id, name, labels, capabilities, attached, facts"#,
            "request.same_segment: an object; a list",
        ];
        assert_eq!(faults.expect_err("faults"), wanted);
    }

    #[test]
    fn a_case_is_laid_over_what_all_have_in_common() {
        let suite = suite(&json!({
            "request": {"operation": "attach", "network": {"name": "n", "parent": "eth0", "labels": {"tier": "web", "owner": "x"}}},
            "cases": [
                {"name": "as it is", "expect": "allow"},
                {"name": "other", "request": {"network": {"parent": null, "labels": {"owner": null}, "endpoints": 3}}, "expect": "deny", "rules": ["r"]},
            ],
        }))
        .expect("valid");
        let [as_it_is, other] = suite.cases.as_slice() else { panic!("two cases") };
        assert_eq!((as_it_is.request.network.parent.as_deref(), as_it_is.request.network.labels.len()), (Some("eth0"), 2));
        let network = &other.request.network;
        assert_eq!((network.name.as_str(), network.parent.as_deref(), network.labels.len(), network.endpoints), ("n", None, 1, 3));
    }

    #[test]
    fn suites_that_would_test_nothing_or_the_wrong_thing_are_refused() {
        let faults = |value: Value| suite(&value).expect_err("faults").iter().map(ToString::to_string).collect::<Vec<_>>();
        assert_eq!(faults(json!({"cases": []})), ["cases: an empty list; at least one case"]);
        assert_eq!(faults(json!({})), ["cases: missing; a list"]);
        let case = json!({"name": "a", "request": {"operation": "attach"}, "expect": "allow"});
        assert_eq!(faults(json!({"cases": [case, case]})), [r#"cases[1].name: "a"; a name that no other case has"#]);
        let no = json!({"name": "a", "expects": "allow"});
        assert_eq!(
            faults(json!({"cases": [no]})),
            ["cases[0].expects: unknown field; did you mean expect?", "cases[0].expect: missing; one of allow, deny, not-applicable"]
        );
    }
}
