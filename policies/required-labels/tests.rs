#[path = "../testing.rs"]
mod testing;

use super::*;
use testing::*;

type Tested = RequiredLabels;

const LABELS: &str = r#"{"networks":{"tier":["web","cards"],"owner":["team-*"]},
    "workloads":{"tier":{"values":["web","cards"],"provenance":["runtime"]},"app":{}},"network_names":["*_net","lab-*-x"]}"#;

fn network(name: &str, labels: &[(&str, &str)]) -> Request {
    create(name, labels, Some("eth0"), None)
}

/// A workload whose labels come from `provenance`.
fn workload(labels: &[(&str, &str)], provenance: Provenance) -> Request {
    let mut request = attach(network("any", &[]), labels);
    request.workload.iter_mut().flat_map(|w| &mut w.labels).for_each(|label| label.provenance = provenance);
    request
}

#[test]
fn without_settings_all_is_allowed() {
    assert!(rules("{}", &network("any", &[])).is_empty());
    assert!(rules("{}", &workload(&[], Provenance::Unknown)).is_empty());
}

#[test]
fn a_network_has_each_required_label() {
    assert!(rules(LABELS, &network("a_net", &[("owner", "team-a"), ("tier", "web")])).is_empty());
    assert_eq!(rules(LABELS, &network("a_net", &[("owner", "team-a")])), [MISSING]);
    assert_eq!(rules(LABELS, &network("a_net", &[("Tier", "web"), ("owner", "team-a")])), [MISSING], "keys are exact");
    assert_eq!(rules(LABELS, &network("a_net", &[])), [MISSING, MISSING], "all at once");
}

#[test]
fn a_required_label_has_an_allowed_value() {
    let of = |tier: &str, owner: &str| rules(LABELS, &network("a_net", &[("owner", owner), ("tier", tier)]));
    assert!(of("cards", "team-").is_empty());
    assert_eq!(of("card", "team-a"), [VALUE]);
    assert_eq!(of("web", "the team-a"), [VALUE]);
    assert_eq!(of("", ""), [VALUE, VALUE]);
}

#[test]
fn the_name_of_a_network_fits_a_pattern() {
    let called = |name: &str| rules(LABELS, &network(name, &[("owner", "team-a"), ("tier", "web")]));
    assert!(called("shop_net").is_empty() && called("lab-7-x").is_empty());
    assert_eq!(called("shop-net"), [NAME]);
    assert_eq!(called("shop_net2"), [NAME]);
}

#[test]
fn a_workload_has_the_labels_itself() {
    use Provenance::{Asserted, Runtime, Unknown};
    assert!(rules(LABELS, &workload(&[("app", ""), ("tier", "web")], Runtime)).is_empty());
    assert_eq!(rules(LABELS, &workload(&[("tier", "web")], Runtime)), [MISSING]);
    assert_eq!(rules(LABELS, &workload(&[("app", "x"), ("tier", "lab")], Runtime)), [VALUE]);
    let mut from_network = workload(&[("app", "x")], Runtime);
    from_network.network.labels = labels(&[("tier", "web")]);
    assert_eq!(rules(LABELS, &from_network), [MISSING]);
    for other in [Asserted, Unknown] {
        assert_eq!(rules(LABELS, &workload(&[("app", "x"), ("tier", "web")], other)), [PROVENANCE]);
        assert_eq!(rules(LABELS, &workload(&[("app", "x"), ("tier", "lab")], other)), [VALUE, PROVENANCE]);
    }
    let either = r#"{"workloads":{"app":{"provenance":["asserted","runtime"]}}}"#;
    assert!(rules(either, &workload(&[("app", "x")], Asserted)).is_empty());
    assert_eq!(rules(either, &workload(&[("app", "x")], Unknown)), [PROVENANCE]);
}

/// A network that is older than the policy takes workloads.
#[test]
fn each_request_is_judged_by_its_own_part() {
    assert!(rules(r#"{"networks":{"tier":["web"]},"network_names":["x"]}"#, &workload(&[], Provenance::Unknown)).is_empty());
    assert!(rules(r#"{"workloads":{"tier":["web"]}}"#, &network("n", &[])).is_empty());
}

#[test]
fn removals_are_none_of_its_business() {
    for operation in [Operation::DeleteNetwork, Operation::Detach] {
        let request = Request { operation, ..network("any", &[]) };
        assert_eq!(policy(LABELS).evaluate(&request).outcome, Outcome::NotApplicable);
    }
}

#[test]
fn messages_tell_a_stranger_what_is_wrong_and_what_to_do() {
    assert_eq!(
        told(LABELS, &network("shop", &[("tier", "lab")])),
        [
            r#"labels.tier | network shop: label tier is "lab", which it may not be | the label tier with one of "web", "cards""#,
            r#"labels.owner | network shop has no label owner | give it the label owner with "team-*" (* is any text)"#,
            r#"name | network shop: the name fits no pattern that it may | call it one of "*_net", "lab-*-x" (* is any text)"#,
        ]
    );
    assert_eq!(
        told(LABELS, &workload(&[("tier", "web")], Provenance::Asserted)),
        [
            "workload.labels.tier | workload w-1: label tier is only asserted by the client | \
             a label tier that comes from the container runtime (runtime)",
            "workload.labels.app | workload w-1 has no label app | give it the label app with any value",
        ]
    );
    let dotted = r#"{"networks":{"example.org/tier":["web"]}}"#;
    assert!(told(dotted, &network("n", &[]))[0].starts_with("labels[\"example.org/tier\"] | "));
}

#[test]
fn settings_are_refused_with_all_their_faults() {
    for good in ["{}", r#"{"networks":{},"workloads":{}}"#, LABELS, r#"{"networks":{"a":{"values":["*"]}}}"#] {
        policy(good);
    }
    assert_eq!(faults("true"), [" | the settings are true or false | an object"]);
    let settings = r#"{"names":["*"],"networks":{"a":[],"b":["",1],"c d":["x"],"e":"web"},
        "workloads":{"a":{"value":["x"],"values":[],"provenance":[]},"b":{"provenance":["docker",1]}},"network_names":[]}"#;
    let empty = "is empty, so nothing fits | at least one text, in which * is any text";
    let wanted = [
        "names | is not a known field | known are networks, workloads, network_names".to_owned(),
        format!("networks.a | {empty}"),
        "networks.b[0] | is an empty text | a text".into(),
        "networks.b[1] | is a number | a text".into(),
        "networks.c d | is no label key, so nothing could have it | 1 to 63 of A–Z a–z 0–9 _ . - /".into(),
        "networks.e | is a text | a list of values such as [\"web\", \"cards-*\"], or an object with values and provenance".into(),
        "workloads.a.value | is not a known field | known are values, provenance".into(),
        format!("workloads.a.values | {empty}"),
        "workloads.a.provenance | is empty, so nothing fits | asserted, runtime or unknown".into(),
        "workloads.b.provenance[0] | docker is no provenance | asserted, runtime or unknown".into(),
        "workloads.b.provenance[1] | is a number | a text".into(),
        format!("network_names | {empty}"),
    ];
    assert_eq!(faults(settings), wanted);
}

/// Long settings must not make an answer that the daemon takes for broke.
#[test]
fn as_many_labels_as_an_object_can_have() {
    let of = |n: usize| {
        let labels: Vec<String> = (0..n).map(|n| format!(r#""l{n}":["x"]"#)).collect();
        format!(r#"{{"networks":{{{}}}}}"#, labels.join(","))
    };
    assert_eq!(rules(&of(64), &network("n", &[])).len(), 64);
    assert_eq!(faults(&of(65)), ["networks | names 65 labels | at most 64: no object has more"]);
    let names: Vec<String> = (0..2000).map(|n| format!("\"n{n}\"")).collect();
    let found = told(&format!(r#"{{"network_names":[{}]}}"#, names.join(",")), &network("n", &[]));
    assert!(found[0].ends_with(r#"call it one of "n0", "n1", "n2", "n3", "n4", "n5", "n6", "n7", 1992 more"#), "{found:?}");
}
