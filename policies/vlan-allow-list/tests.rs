#[path = "../testing.rs"]
mod testing;

use super::*;
use testing::*;

type Tested = VlanAllowList;

const RULES: &str = r#"{"rules":{"cards":{"vlans":["40-49"],"parents":["eth0"]},"web":{"vlans":[30,"untagged"]}}}"#;

/// A network of a tier (empty for none).
fn at(tier: &str, parent: &str, vlan: Option<u16>) -> Request {
    create("n", &tier_labels(tier), Some(parent), vlan)
}

fn tier_labels(tier: &str) -> Vec<(&str, &str)> {
    if tier.is_empty() { vec![] } else { vec![("tier", tier)] }
}

#[test]
fn without_rules_all_is_allowed() {
    for tier in ["", "cards"] {
        assert!(rules("{}", &at(tier, "eth0.40", Some(40))).is_empty());
        assert!(rules("{}", &at(tier, "eth0", None)).is_empty());
    }
}

#[test]
fn a_named_tier_uses_the_vlans_of_its_rule() {
    for fine in [40, 44, 49] {
        assert!(rules(RULES, &at("cards", &format!("eth0.{fine}"), Some(fine))).is_empty(), "{fine}");
    }
    for wrong in [39, 50] {
        assert_eq!(rules(RULES, &at("cards", &format!("eth0.{wrong}"), Some(wrong))), [NOT_ALLOWED], "{wrong}");
    }
    assert_eq!(rules(RULES, &at("cards", "eth0", None)), [NOT_ALLOWED], "untagged is no VLAN of the rule");
    assert!(rules(RULES, &at("web", "eth0", None)).is_empty());
    assert!(rules(RULES, &at("web", "eth3.30", Some(30))).is_empty(), "no parents in the rule are any");
    assert_eq!(rules(RULES, &at("web", "eth0.31", Some(31))), [NOT_ALLOWED], "what nobody claims is not the named tier's either");
}

#[test]
fn a_named_tier_uses_the_parents_of_its_rule() {
    assert_eq!(rules(RULES, &at("cards", "eth1.40", Some(40))), [NOT_ALLOWED]);
    assert!(rules(RULES, &at("cards", "eth0.040", Some(40))).is_empty(), "as the daemon reads it");
}

#[test]
fn others_use_what_no_named_tier_claims() {
    for tier in ["", "lab"] {
        assert_eq!(rules(RULES, &at(tier, "eth0.40", Some(40))), [CLAIMED]);
        assert!(rules(RULES, &at(tier, "eth0.50", Some(50))).is_empty());
        assert!(rules(RULES, &at(tier, "eth1.40", Some(40))).is_empty(), "claimed on eth0 only");
        assert_eq!(rules(RULES, &at(tier, "eth1", None)), [CLAIMED], "web claims what is untagged, wherever");
        assert!(rules(r#"{"rules":{"cards":{"vlans":[40]}}}"#, &at(tier, "eth0", None)).is_empty());
    }
}

#[test]
fn two_tiers_may_be_given_one_vlan() {
    let both = r#"{"rules":{"cards":{"vlans":[40]},"web":{"vlans":["40"]}}}"#;
    assert!(rules(both, &at("cards", "eth0.40", Some(40))).is_empty());
    assert!(rules(both, &at("web", "eth0.40", Some(40))).is_empty());
}

/// A link of another name would else be a way round the parents of a rule.
#[test]
fn a_parent_whose_name_does_not_tell_its_link_is_nobodys_and_kept_from_others() {
    assert_eq!(rules(RULES, &at("cards", "pay0", Some(40))), [NOT_ALLOWED]);
    assert_eq!(rules(RULES, &at("lab", "pay0", Some(40))), [CLAIMED]);
    assert_eq!(rules(RULES, &at("lab", "eth1.7", Some(40))), [CLAIMED], "a name that tells another VLAN tells nothing");
    assert!(rules(RULES, &at("lab", "pay0", Some(50))).is_empty());
    assert!(rules(RULES, &at("web", "pay0", Some(30))).is_empty(), "any parent is any");
}

#[test]
fn an_isolated_network_uses_no_vlan() {
    let nothing = r#"{"rules":{"vault":{"vlans":[]}}}"#;
    assert!(rules(nothing, &create("n", &[("tier", "vault")], None, None)).is_empty());
    assert_eq!(rules(nothing, &at("vault", "eth0", None)), [NOT_ALLOWED]);
    assert_eq!(
        told(nothing, &at("vault", "eth0", None)),
        ["parent | network n (tier vault): the untagged segment of eth0 is not one of those that the tier may use | \
          tier vault may use no VLAN and no untagged parent: only isolated networks"]
    );
}

#[test]
fn a_tier_that_comes_with_the_workload_counts() {
    let on = |network: &str, workload: &str| attach(at(network, "eth0.50", Some(50)), &tier_labels(workload));
    assert!(rules(RULES, &on("", "")).is_empty());
    assert_eq!(rules(RULES, &on("", "cards")), [NOT_ALLOWED]);
    assert_eq!(rules(RULES, &on("cards", "")), [NOT_ALLOWED], "without one it is the network's");
    assert_eq!(rules(RULES, &attach(at("cards", "eth0.40", Some(40)), &[("tier", "lab")])), [CLAIMED]);
    assert_eq!(
        told(RULES, &on("", "cards")),
        ["workload.labels.tier | workload w-1 on network n (tier cards): VLAN 50 of eth0 is not one of those that the tier may use | \
          tier cards may use VLANs 40-49 of eth0"]
    );
}

#[test]
fn another_label_can_hold_the_tier() {
    let zones = r#"{"label":"zone","rules":{"cards":{"vlans":[40]}}}"#;
    assert!(rules(zones, &create("n", &[("zone", "cards")], Some("eth0.40"), Some(40))).is_empty());
    assert_eq!(rules(zones, &at("cards", "eth0.40", Some(40))), [CLAIMED]);
    assert_eq!(policy(zones).describe().label_keys, ["zone"]);
}

#[test]
fn removals_are_none_of_its_business() {
    for operation in [Operation::DeleteNetwork, Operation::Detach] {
        let request = Request { operation, ..at("cards", "eth0", None) };
        assert_eq!(policy(RULES).evaluate(&request).outcome, Outcome::NotApplicable);
    }
}

#[test]
fn messages_tell_a_stranger_what_is_wrong_and_what_to_do() {
    assert_eq!(
        told(RULES, &at("cards", "eth0.50", Some(50))),
        ["parent | network n (tier cards): VLAN 50 of eth0 is not one of those that the tier may use | \
          tier cards may use VLANs 40-49 of eth0"]
    );
    assert_eq!(
        told(RULES, &at("web", "eth0.31", Some(31))),
        ["parent | network n (tier web): VLAN 31 of eth0 is not one of those that the tier may use | \
          tier web may use VLAN 30 and the untagged segment of any parent"]
    );
    assert_eq!(
        told(RULES, &at("lab", "eth0.40", Some(40))),
        ["parent | network n (tier lab): VLAN 40 of eth0 is claimed by tier cards | \
          tier lab is not named in the policy's rules, so it may use what no named tier claims: not VLANs 40-49 of eth0 (tier cards); \
          or have a rule made for tier lab"]
    );
    assert_eq!(
        told(RULES, &at("", "pay0", Some(40))),
        [
            "parent | network n (untiered): pay0 (VLAN 40 of a link that this name does not tell, as eth0.40 would) is claimed by tier cards | \
          what has no tier is not named in the policy's rules, so it may use what no named tier claims: \
          not VLANs 40-49 of eth0 (tier cards); or give it the label tier"
        ]
    );
}

#[test]
fn settings_are_refused_with_all_their_faults() {
    for good in ["{}", r#"{"label":"zone","rules":{}}"#, RULES, r#"{"rules":{"a":{"vlans":[1,"4094","1-4094","7-7"]}}}"#] {
        policy(good);
    }
    assert_eq!(faults("1"), [" | the settings are a number | an object"]);
    let settings = r#"{"tier":"x","label":"","rules":{"a":{"vlans":["50-40",0,4095,"all","",true,"1-","1-2-3",1.5],"parents":["","eth0.40"]},
        "b":{"parents":[]},"c":{"vlans":"40","vlan":[1]},"d":[]}}"#;
    let wanted = [
        "tier | is not a known field | known are label, rules".to_owned(),
        "label | is an empty text | a text".into(),
        "rules.a.vlans[0] | 50-40 begins above its end | \"40-50\"".into(),
        format!("rules.a.vlans[1] | 0 names no VLAN | {VLANS}"),
        format!("rules.a.vlans[2] | 4095 names no VLAN | {VLANS}"),
        format!("rules.a.vlans[3] | all names no VLAN | {VLANS}"),
        format!("rules.a.vlans[4] | an empty text names no VLAN | {VLANS}"),
        format!("rules.a.vlans[5] | is true or false | {VLANS}"),
        format!("rules.a.vlans[6] | 1- names no VLAN | {VLANS}"),
        format!("rules.a.vlans[7] | 1-2-3 names no VLAN | {VLANS}"),
        format!("rules.a.vlans[8] | 1.5 names no VLAN | {VLANS}"),
        "rules.a.parents[0] | is an empty text | a text".into(),
        "rules.a.parents[1] | eth0.40 names a VLAN of eth0 | \"eth0\" here, and \"40\" in vlans".into(),
        "rules.b.vlans | is missing | a list such as [\"40-49\", \"untagged\"], or [] for isolated networks only".into(),
        "rules.b.parents | is empty, so nothing fits | names of links such as \"eth0\"; or leave it away for any parent".into(),
        "rules.c.vlan | is not a known field | known are vlans, parents".into(),
        "rules.c.vlans | is a text | a list".into(),
        "rules.d | is a list | an object".into(),
    ];
    assert_eq!(faults(settings), wanted);
}

/// Long settings must not make an answer that the daemon takes for broke.
#[test]
fn long_lists_are_cut_in_messages() {
    let vlans: Vec<String> = (1..=4000).step_by(2).map(|v| v.to_string()).collect();
    let settings = format!(r#"{{"rules":{{"cards":{{"vlans":[{}]}}}}}}"#, vlans.join(","));
    let found = told(&settings, &at("cards", "eth0.2", Some(2)));
    assert!(found[0].ends_with("tier cards may use VLANs 1, 3, 5, 7, 9, 11, 13, 15 and 1992 more of any parent"), "{found:?}");
}
