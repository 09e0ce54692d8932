use super::*;

const CARDS: &str = r#"{"tiers":{"cards":{"cidrs":["10.40.0.0/16","fd00:40::/32"],"prefix_length":{"min":24,"max":29},
    "prefix_length_ipv6":{"min":64,"max":64},"parents":["eth0.40"],"vlans":[40]}},"default":{"cidrs":["192.168.0.0/16"]}}"#;

fn labels(tier: &str) -> Vec<Label> {
    let one = |value: &str| Label { key: "tier".into(), value: value.into(), provenance: Provenance::Asserted };
    if tier.is_empty() { Vec::new() } else { vec![one(tier)] }
}

fn create(tier: &str, parent: Option<&str>, vlan: Option<u16>, cidrs: &[&str]) -> Request {
    let subnet = |cidr: &&str| Subnet { cidr: (*cidr).into(), gateway: None, ip_range: None };
    Request {
        operation: Operation::CreateNetwork,
        caller: Caller { name: "root".into(), groups: vec![], door: "rest".into(), networks: 0 },
        change: Change { reason: None, ticket: None, approved_by: None },
        network: Network {
            name: "n".into(),
            mode: Mode::L2,
            parent: parent.map(Into::into),
            fabric: parent.map(|_| "default".into()),
            vlan,
            internal: parent.is_none(),
            subnets: cidrs.iter().map(subnet).collect(),
            labels: labels(tier),
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

fn policy(settings: &str) -> SubnetRules {
    configured(settings).unwrap_or_else(|e| panic!("{settings}: {e:?}"))
}

fn rules(settings: &str, request: &Request) -> Vec<String> {
    let opinion = policy(settings).evaluate(request);
    assert_eq!(opinion.outcome == Outcome::Deny, !opinion.violations.is_empty());
    assert_ne!(opinion.outcome, Outcome::NotApplicable);
    opinion.violations.into_iter().map(|v| v.rule).collect()
}

#[test]
fn without_settings_all_is_allowed() {
    for tier in ["", "cards"] {
        assert!(rules("{}", &create(tier, Some("eth0"), None, &["1.2.3.0/24", "fd00::/64"])).is_empty());
    }
}

#[test]
fn a_tier_uses_what_it_may() {
    let fine = |cidrs: &[&str]| rules(CARDS, &create("cards", Some("eth0.40"), Some(40), cidrs));
    assert!(fine(&["10.40.0.0/24"]).is_empty());
    assert!(fine(&["10.40.255.248/29", "fd00:40:1::/64"]).is_empty());
    assert_eq!(fine(&["10.41.0.0/24"]), [CIDR]);
    assert_eq!(fine(&["10.40.0.0/23"]), [PREFIX_LENGTH]);
    assert_eq!(fine(&["10.40.0.0/30"]), [PREFIX_LENGTH]);
    assert_eq!(fine(&["10.0.0.0/8"]), [CIDR, PREFIX_LENGTH]);
    assert_eq!(fine(&["fd00:41::/64"]), [CIDR]);
    assert_eq!(fine(&["fd00:40::/56"]), [PREFIX_LENGTH]);
    assert_eq!(fine(&["10.40.0.0/24", "10.41.0.0/24"]), [CIDR], "each subnet counts");
}

#[test]
fn parents_and_vlans_count() {
    let at = |parent, vlan| rules(CARDS, &create("cards", parent, vlan, &["10.40.0.0/24"]));
    assert_eq!(at(Some("eth0.30"), Some(30)), [PARENT, VLAN]);
    assert_eq!(at(Some("eth0"), None), [PARENT, VLAN], "untagged is no VLAN of the list");
    assert_eq!(at(Some("eth1.40"), Some(40)), [PARENT]);
    assert!(at(None, None).is_empty(), "an isolated network uses no link and no VLAN");
    let untagged = r#"{"tiers":{"cards":{"vlans":[0]}}}"#;
    assert!(rules(untagged, &create("cards", Some("eth0"), None, &[])).is_empty());
    assert_eq!(rules(untagged, &create("cards", Some("eth0.40"), Some(40), &[])), [VLAN]);
    assert_eq!(rules(r#"{"default":{"parents":[]}}"#, &create("", Some("eth0"), None, &[])), [PARENT]);
}

#[test]
fn other_tiers_and_none_follow_the_default() {
    for tier in ["", "web"] {
        assert!(rules(CARDS, &create(tier, Some("eth0"), None, &["192.168.7.0/30"])).is_empty());
        assert_eq!(rules(CARDS, &create(tier, Some("eth0"), None, &["10.40.0.0/24"])), [CIDR]);
    }
}

#[test]
fn a_tier_that_comes_with_the_workload_counts() {
    let mut request = create("", Some("eth0.30"), Some(30), &["192.168.7.0/24"]);
    request.operation = Operation::Attach;
    let workload = |tier| Workload {
        id: "w-1".into(),
        name: String::new(),
        labels: labels(tier),
        capabilities: None,
        attached: vec![],
        facts: vec![],
    };
    request.workload = Some(workload(""));
    assert!(rules(CARDS, &request).is_empty());
    request.workload = Some(workload("cards"));
    assert_eq!(rules(CARDS, &request), [CIDR, PARENT, VLAN]);
    let found = policy(CARDS).evaluate(&request).violations.remove(0);
    assert_eq!(found.message, "workload w-1 on network n: subnet 192.168.7.0/24 is not within a range that it may use");
    assert_eq!(found.field.as_deref(), Some("workload.labels.tier"));
}

#[test]
fn removals_are_none_of_its_business() {
    for operation in [Operation::DeleteNetwork, Operation::Detach] {
        let mut request = create("cards", Some("eth0"), None, &["1.2.3.0/24"]);
        request.operation = operation;
        assert_eq!(policy(CARDS).evaluate(&request).outcome, Outcome::NotApplicable);
    }
}

#[test]
fn messages_tell_a_stranger_what_is_wrong_and_what_to_do() {
    let request = create("cards", Some("eth0.30"), Some(30), &["10.40.0.0/24", "192.168.1.0/30"]);
    let shown = |v: Violation| format!("{} | {} | {}", v.field.unwrap_or_default(), v.message, v.remedy.unwrap_or_default());
    let found: Vec<String> = policy(CARDS).evaluate(&request).violations.into_iter().map(shown).collect();
    let wanted = [
        "subnets[1].cidr | network n: subnet 192.168.1.0/30 is not within a range that it may use | \
         tier cards may use subnets within 10.40.0.0/16, fd00:40::/32",
        "subnets[1].cidr | network n: subnet 192.168.1.0/30 has prefix length 30 | tier cards may use IPv4 prefix lengths 24 to 29",
        "parent | network n: parent eth0.30 is not one that it may use | tier cards may use parent eth0.40",
        "parent | network n: parent eth0.30 is in VLAN 30 | tier cards may use VLAN 40",
    ];
    assert_eq!(found, wanted);
    let found = policy(CARDS).evaluate(&create("web", None, None, &["10.0.0.0/24"])).violations.remove(0);
    assert_eq!(found.remedy.as_deref(), Some("tier web, which follows the default, may use subnets within 192.168.0.0/16"));
    let found = policy(CARDS).evaluate(&create("", None, None, &["10.0.0.0/24"])).violations.remove(0);
    assert_eq!(found.remedy.as_deref(), Some("what has no tier may use subnets within 192.168.0.0/16"));
}

#[test]
fn settings_are_refused_with_all_their_faults() {
    for good in ["{}", r#"{"label":"zone","tiers":{},"default":{}}"#, CARDS] {
        policy(good);
    }
    let fields = |settings: &str| {
        let faults = configured::<SubnetRules>(settings).expect_err(settings);
        faults.into_iter().map(|f| f.field.unwrap_or_default()).collect::<Vec<_>>()
    };
    assert_eq!(fields("1"), [""]);
    let settings = r#"{"tier":{},"tiers":{"a":{"cidrs":["10.0.0.1/8","x"],"vlans":[4095,"40"],"parents":[""],"prefix_length":{"min":33}},
        "b":{"prefix_length":{"min":29,"max":24},"vlan":[1]}},"default":[]}"#;
    assert_eq!(
        fields(settings),
        [
            "tier",
            "default",
            "tiers.a.cidrs[0]",
            "tiers.a.cidrs[1]",
            "tiers.a.parents[0]",
            "tiers.a.vlans[0]",
            "tiers.a.vlans[1]",
            "tiers.a.prefix_length.min",
            "tiers.b.vlan",
            "tiers.b.prefix_length"
        ]
    );
    let faults = configured::<SubnetRules>(r#"{"default":{"cidrs":["10.0.0.1/8"]}}"#).expect_err("host bits");
    assert_eq!(faults[0].message, "10.0.0.1/8 has host bits set");
}
