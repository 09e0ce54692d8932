#[path = "../testing.rs"]
mod testing;

use super::*;
use testing::*;

type Tested = InternalOnly;

const VAULT: &str = r#"{"tiers":["vault","keys"]}"#;

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
