#[path = "../testing.rs"]
mod testing;

use super::*;
use testing::*;

type Tested = SubnetRules;

const CARDS: &str = r#"{"tiers":{"cards":{"cidrs":["10.40.0.0/16","fd00:40::/32"],"prefix_length":{"min":24,"max":29},
    "prefix_length_ipv6":{"min":64,"max":64},"parents":["eth0.40"],"vlans":[40]}},"default":{"cidrs":["192.168.0.0/16"]}}"#;

fn tier(value: &str) -> Vec<(&str, &str)> {
    if value.is_empty() { vec![] } else { vec![("tier", value)] }
}

fn network(of: &str, parent: Option<&str>, vlan: Option<u16>, cidrs: &[&str]) -> Request {
    let subnet = |cidr: &&str| Subnet { cidr: (*cidr).into(), gateway: None, ip_range: None };
    let mut request = create("n", &tier(of), parent, vlan);
    request.network.subnets = cidrs.iter().map(subnet).collect();
    request
}

#[test]
fn without_settings_all_is_allowed() {
    for tier in ["", "cards"] {
        assert!(rules("{}", &network(tier, Some("eth0"), None, &["1.2.3.0/24", "fd00::/64"])).is_empty());
    }
}

#[test]
fn a_tier_uses_what_it_may() {
    let fine = |cidrs: &[&str]| rules(CARDS, &network("cards", Some("eth0.40"), Some(40), cidrs));
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
    let at = |parent, vlan| rules(CARDS, &network("cards", parent, vlan, &["10.40.0.0/24"]));
    assert_eq!(at(Some("eth0.30"), Some(30)), [PARENT, VLAN]);
    assert_eq!(at(Some("eth0"), None), [PARENT, VLAN], "untagged is no VLAN of the list");
    assert_eq!(at(Some("eth1.40"), Some(40)), [PARENT]);
    assert!(at(None, None).is_empty(), "an isolated network uses no link and no VLAN");
    let untagged = r#"{"tiers":{"cards":{"vlans":[0]}}}"#;
    assert!(rules(untagged, &network("cards", Some("eth0"), None, &[])).is_empty());
    assert_eq!(rules(untagged, &network("cards", Some("eth0.40"), Some(40), &[])), [VLAN]);
    assert_eq!(rules(r#"{"default":{"parents":[]}}"#, &network("", Some("eth0"), None, &[])), [PARENT]);
}

#[test]
fn other_tiers_and_none_follow_the_default() {
    for tier in ["", "web"] {
        assert!(rules(CARDS, &network(tier, Some("eth0"), None, &["192.168.7.0/30"])).is_empty());
        assert_eq!(rules(CARDS, &network(tier, Some("eth0"), None, &["10.40.0.0/24"])), [CIDR]);
    }
}

#[test]
fn a_tier_that_comes_with_the_workload_counts() {
    let joins = |tier| attach(network("", Some("eth0.30"), Some(30), &["192.168.7.0/24"]), tier);
    assert!(rules(CARDS, &joins(&[])).is_empty());
    assert_eq!(rules(CARDS, &joins(&[("tier", "cards")])), [CIDR, PARENT, VLAN]);
    assert_eq!(
        told(CARDS, &joins(&[("tier", "cards")]))[0],
        "workload.labels.tier | workload w-1 on network n: subnet 192.168.7.0/24 is not within a range that it may use | \
         tier cards may use subnets within 10.40.0.0/16, fd00:40::/32"
    );
}

#[test]
fn removals_are_none_of_its_business() {
    for operation in [Operation::DeleteNetwork, Operation::Detach] {
        let mut request = network("cards", Some("eth0"), None, &["1.2.3.0/24"]);
        request.operation = operation;
        assert_eq!(policy(CARDS).evaluate(&request).outcome, Outcome::NotApplicable);
    }
}

#[test]
fn messages_tell_a_stranger_what_is_wrong_and_what_to_do() {
    let request = network("cards", Some("eth0.30"), Some(30), &["10.40.0.0/24", "192.168.1.0/30"]);
    let wanted = [
        "subnets[1].cidr | network n: subnet 192.168.1.0/30 is not within a range that it may use | \
         tier cards may use subnets within 10.40.0.0/16, fd00:40::/32",
        "subnets[1].cidr | network n: subnet 192.168.1.0/30 has prefix length 30 | tier cards may use IPv4 prefix lengths 24 to 29",
        "parent | network n: parent eth0.30 is not one that it may use | tier cards may use parent eth0.40",
        "parent | network n: parent eth0.30 is in VLAN 30 | tier cards may use VLAN 40",
    ];
    assert_eq!(told(CARDS, &request), wanted);
    for (tier, who) in [("web", "tier web, which follows the default,"), ("", "what has no tier")] {
        let told = told(CARDS, &network(tier, None, None, &["10.0.0.0/24"]));
        assert!(told[0].ends_with(&format!(" | {who} may use subnets within 192.168.0.0/16")), "{told:?}");
    }
}

#[test]
fn settings_are_refused_with_all_their_faults() {
    for good in ["{}", r#"{"label":"zone","tiers":{},"default":{}}"#, CARDS] {
        policy(good);
    }
    let fields = |settings: &str| faults(settings).iter().map(|f| f.split(" | ").next().unwrap_or_default().to_owned()).collect::<Vec<_>>();
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
    assert_eq!(
        faults(r#"{"default":{"cidrs":["10.0.0.1/8"]}}"#),
        ["default.cidrs[0] | 10.0.0.1/8 has host bits set | the first address of the range"]
    );
}
