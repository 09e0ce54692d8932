use super::*;

const VAULT: &str = r#"{"tiers":["vault","keys"]}"#;

fn labels(list: &[(&str, &str)]) -> Vec<Label> {
    let one = |(key, value): &(&str, &str)| Label { key: (*key).into(), value: (*value).into(), provenance: Provenance::Asserted };
    list.iter().map(one).collect()
}

fn create(name: &str, network: &[(&str, &str)], parent: Option<&str>, vlan: Option<u16>) -> Request {
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
fn attach(mut request: Request, workload: &[(&str, &str)]) -> Request {
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

fn policy(settings: &str) -> InternalOnly {
    configured(settings).unwrap_or_else(|e| panic!("{settings}: {e:?}"))
}

/// The rules that are violated; empty where it is allowed.
fn rules(settings: &str, request: &Request) -> Vec<String> {
    let policy = policy(settings);
    let opinion = policy.evaluate(request);
    assert_eq!(opinion.outcome == Outcome::Deny, !opinion.violations.is_empty());
    assert_ne!(opinion.outcome, Outcome::NotApplicable);
    let declared = policy.describe().rules;
    assert!(opinion.violations.iter().all(|v| v.field.is_some() && v.remedy.is_some() && declared.iter().any(|r| r.id == v.rule)));
    opinion.violations.into_iter().map(|v| v.rule).collect()
}

/// Field, message and remedy of all that is violated.
fn told(settings: &str, request: &Request) -> Vec<String> {
    policy(settings).evaluate(request).violations.into_iter().map(shown).collect()
}

fn shown(v: Violation) -> String {
    format!("{} | {} | {}", v.field.unwrap_or_default(), v.message, v.remedy.unwrap_or_default())
}

/// Field, message and remedy of all that is wrong with settings.
fn faults(settings: &str) -> Vec<String> {
    configured::<InternalOnly>(settings).expect_err(settings).into_iter().map(shown).collect()
}

fn network(tier: &str, parent: Option<&str>) -> Request {
    create("n", &[("tier", tier)], parent, None)
}

#[test]
fn without_settings_all_is_allowed() {
    assert!(rules("{}", &network("vault", Some("eth0"))).is_empty());
    assert!(rules("{}", &attach(network("vault", Some("eth0")), &[("tier", "vault")])).is_empty());
}

#[test]
fn a_network_of_the_tier_has_no_way_out() {
    for tier in ["vault", "keys"] {
        assert_eq!(rules(VAULT, &network(tier, Some("eth0.40"))), [NETWORK]);
        assert!(rules(VAULT, &network(tier, None)).is_empty());
    }
    for other in ["web", "vault2", ""] {
        assert!(rules(VAULT, &network(other, Some("eth0.40"))).is_empty(), "{other}");
    }
    assert!(rules(VAULT, &create("n", &[], Some("eth0.40"), None)).is_empty());
    let change = Request { operation: Operation::ChangeNetwork, ..network("vault", Some("eth0.40")) };
    assert_eq!(rules(VAULT, &change), [NETWORK]);
}

#[test]
fn a_workload_of_the_tier_joins_only_internal_networks() {
    let on = |tier: &str, parent, workload: &[(&str, &str)]| attach(network(tier, parent), workload);
    assert_eq!(rules(VAULT, &on("web", Some("eth0"), &[("tier", "vault")])), [WORKLOAD]);
    assert!(rules(VAULT, &on("web", Some("eth0"), &[("tier", "web")])).is_empty());
    assert!(rules(VAULT, &on("web", None, &[("tier", "vault")])).is_empty(), "tier isolation may mind, this policy does not");
    assert_eq!(rules(VAULT, &on("vault", Some("eth0"), &[])), [WORKLOAD], "a network that is older than the policy");
    assert_eq!(rules(VAULT, &on("vault", Some("eth0"), &[("tier", "web")])), [WORKLOAD], "a label of its own is no way round");
    assert!(rules(VAULT, &on("vault", None, &[])).is_empty());
}

#[test]
fn another_label_can_hold_the_tier() {
    let zones = r#"{"label":"example.org/zone","tiers":["vault"]}"#;
    let request = attach(create("n", &[], Some("eth0"), None), &[("example.org/zone", "vault")]);
    assert!(told(zones, &request)[0].starts_with("workload.labels[\"example.org/zone\"] | "));
    assert!(rules(zones, &network("vault", Some("eth0"))).is_empty());
    assert_eq!(policy(zones).describe().label_keys, ["example.org/zone"]);
}

#[test]
fn removals_are_none_of_its_business() {
    for operation in [Operation::DeleteNetwork, Operation::Detach] {
        let request = Request { operation, ..network("vault", Some("eth0")) };
        assert_eq!(policy(VAULT).evaluate(&request).outcome, Outcome::NotApplicable);
    }
}

#[test]
fn messages_tell_a_stranger_what_is_wrong_and_what_to_do() {
    assert_eq!(
        told(VAULT, &network("vault", Some("eth0.40"))),
        ["parent | network n of tier vault would have a way out through parent eth0.40: the tier must have none | \
          make it internal, or leave the parent away: then it hangs on a dummy link of its own"]
    );
    assert_eq!(
        told(VAULT, &attach(network("web", Some("eth0")), &[("tier", "keys")])),
        ["workload.labels.tier | workload w-1 is of tier keys, which must have no way out, and network n has one through parent eth0 | \
          attach it to an internal network of tier keys"]
    );
    assert_eq!(
        told(VAULT, &attach(network("vault", Some("eth0")), &[])),
        ["network | workload w-1 would join tier vault, which must have no way out, and network n has one through parent eth0 | \
          attach it to an internal network of tier vault"]
    );
}

#[test]
fn settings_are_refused_with_all_their_faults() {
    for good in ["{}", r#"{"label":"zone","tiers":[]}"#, VAULT] {
        policy(good);
    }
    assert_eq!(faults("[]"), [" | the settings are a list | an object"]);
    assert_eq!(faults(r#"{"tiers":"vault"}"#), ["tiers | is a text | a list"]);
    assert_eq!(
        faults(r#"{"tier":"vault","label":7,"tiers":["",1,"ok"]}"#),
        [
            "tier | is not a known field | known are label, tiers",
            "label | is a number | a text",
            "tiers[0] | is an empty text | a text",
            "tiers[1] | is a number | a text",
        ]
    );
}
