#[path = "../testing.rs"]
mod testing;

use super::*;
use testing::*;

type Tested = TierIsolation;

fn tier(value: &str) -> Vec<(&str, &str)> {
    if value.is_empty() { vec![] } else { vec![("tier", value)] }
}

/// Residents: tier of the network, tier of the workloads (empty for none), how many networks and endpoints.
fn group(network: &str, workload: &str, networks: u32, endpoints: u32) -> Group {
    let examples = vec![format!("{}{}-1", if network.is_empty() { "any" } else { network }, workload)];
    Group { network_labels: labels(&tier(network)), workload_labels: labels(&tier(workload)), networks, endpoints, examples }
}

fn network(of: &str, parent: Option<&str>, vlan: Option<u16>) -> Request {
    create("n", &tier(of), parent, vlan)
}

/// A workload that joins a network on VLAN 30, where nobody else is.
fn join(network_tier: &str, workload: &str) -> Request {
    let mut request = attach(network(network_tier, Some("eth0.30"), Some(30)), &tier(workload));
    // The network itself is a resident of its segment.
    request.same_segment = vec![group(network_tier, "", 1, 0)];
    request
}

#[test]
fn nobody_else_there_is_allowed() {
    for tier in ["", "web"] {
        assert!(rules("{}", &network(tier, None, None)).is_empty());
        assert!(rules("{}", &join(tier, tier)).is_empty());
        assert!(rules("{}", &join(tier, "")).is_empty(), "a workload without the label has its network's tier");
    }
}

#[test]
fn networks_of_different_tiers_share_no_segment() {
    for (ours, theirs, is_fine) in [("web", "web", true), ("web", "cards", false), ("", "", true), ("", "web", false), ("web", "", false)] {
        let mut request = network(ours, Some("eth0.30"), Some(30));
        request.same_segment = vec![group(theirs, "", 1, 0)];
        let wanted: &[&str] = if is_fine { &[] } else { &[SHARED_SEGMENT] };
        assert_eq!(rules("{}", &request), wanted, "{ours:?} beside {theirs:?}");
    }
}

#[test]
fn a_workloads_own_label_is_its_tier_and_else_its_networks() {
    for (network, workload, is_fine) in [("web", "", true), ("", "web", true), ("cards", "", false), ("", "cards", false), ("", "", false)]
    {
        let mut request = join("web", "");
        request.same_segment.push(group(network, workload, 0, 1));
        let wanted: &[&str] = if is_fine { &[] } else { &[SHARED_SEGMENT] };
        assert_eq!(rules("{}", &request), wanted, "beside a workload {workload:?} of a network {network:?}");
    }
}

#[test]
fn a_tier_may_come_with_the_workload_into_an_empty_network() {
    assert!(rules("{}", &join("", "web")).is_empty());
    let mut request = join("", "web");
    request.same_segment.push(group("", "cards", 0, 1));
    assert_eq!(rules("{}", &request), [SHARED_SEGMENT], "but not beside another one");
    let mut request = join("", "web");
    request.same_segment = vec![group("", "", 1, 1)];
    assert_eq!(rules("{}", &request), [SHARED_SEGMENT], "nor beside who has none");
}

#[test]
fn a_workload_may_not_contradict_its_network() {
    assert_eq!(rules("{}", &join("web", "cards")), [CONTRADICTING_TIER, SHARED_SEGMENT]);
    let mut request = join("web", "cards");
    request.same_segment.clear();
    let pairs = r#"{"allowed_pairs":[["web","cards"]]}"#;
    assert_eq!(rules(pairs, &request), [CONTRADICTING_TIER], "not even where the two may share");
}

#[test]
fn a_workload_may_not_join_two_tiers() {
    for (elsewhere, is_fine) in [("web", true), ("cards", false), ("", false)] {
        let mut request = join("web", "");
        if let Some(workload) = &mut request.workload {
            workload.attached = vec![group(elsewhere, "", 0, 1)];
        }
        let wanted: &[&str] = if is_fine { &[] } else { &[BRIDGING_WORKLOAD] };
        assert_eq!(rules("{}", &request), wanted, "attached to {elsewhere:?} already");
    }
}

#[test]
fn what_is_reached_counts_like_what_is_shared() {
    let mut request = network("web", Some("eth0"), None);
    request.reaches = vec![group("cards", "", 1, 3), group("web", "", 1, 0)];
    assert_eq!(rules("{}", &request), [REACHES]);
    let mut request = join("cards", "");
    request.reaches = vec![group("web", "", 1, 0), group("", "app", 0, 1)];
    assert_eq!(rules("{}", &request), [REACHES, REACHES], "one for each tier");
}

#[test]
fn allowed_pairs_hold_in_both_orders_and_for_these_two_only() {
    let pairs = r#"{"allowed_pairs":[["web","app"]]}"#;
    for (ours, theirs, is_fine) in [("web", "app", true), ("app", "web", true), ("web", "db", false), ("app", "", false)] {
        let mut request = network(ours, Some("eth0"), None);
        request.same_segment = vec![group(theirs, "", 1, 0)];
        request.reaches = vec![group(theirs, "", 1, 0)];
        let wanted: &[&str] = if is_fine { &[] } else { &[SHARED_SEGMENT, REACHES] };
        assert_eq!(rules(pairs, &request), wanted, "{ours:?} beside {theirs:?}");
    }
}

#[test]
fn removals_are_none_of_its_business() {
    for operation in [Operation::DeleteNetwork, Operation::Detach] {
        let mut request = join("web", "cards");
        request.operation = operation;
        assert_eq!(policy("{}").evaluate(&request).outcome, Outcome::NotApplicable);
    }
}

#[test]
fn networks_of_different_tiers_have_no_addresses_in_common() {
    let pairs = r#"{"allowed_pairs":[["web","app"]]}"#;
    for (ours, theirs, is_fine) in [("web", "web", true), ("web", "cards", false), ("", "", true), ("", "web", false), ("web", "app", true)]
    {
        let mut request = network(ours, Some("eth0.30"), Some(30));
        request.overlapping = vec![group(theirs, "", 1, 0)];
        let wanted: &[&str] = if is_fine { &[] } else { &[OVERLAPPING_SUBNET] };
        assert_eq!(rules(pairs, &request), wanted, "{ours:?} overlaps {theirs:?}");
    }
    let mut request = join("", "web");
    request.overlapping = vec![group("", "", 1, 0), group("", "web", 0, 3)];
    assert!(rules("{}", &request).is_empty(), "a network without tier and endpoints of its own is nobody yet");
    request.overlapping.push(group("", "cards", 0, 1));
    assert_eq!(rules("{}", &request), [OVERLAPPING_SUBNET], "a workload's own tier counts");
}

#[test]
fn where_addresses_in_common_are_allowed_nobody_is_asked_for_and_none_counts() {
    let mut request = network("web", Some("eth0.30"), Some(30));
    request.overlapping = vec![group("cards", "", 1, 0)];
    assert!(rules(r#"{"overlapping_subnets":"allow"}"#, &request).is_empty());
    assert!(policy("{}").describe().needs.contains(&View::Overlapping));
    assert!(policy(r#"{"overlapping_subnets":"deny"}"#).describe().needs.contains(&View::Overlapping));
    let needs = policy(r#"{"overlapping_subnets":"allow"}"#).describe().needs;
    assert!(needs.len() == 3 && !needs.contains(&View::Overlapping));
}

#[test]
fn another_label_may_hold_the_tier() {
    let settings = r#"{"label":"example.org/zone"}"#;
    let mut request = join("web", "cards");
    assert!(rules(settings, &request).is_empty());
    request.network.labels = labels(&[("example.org/zone", "a")]);
    if let Some(workload) = &mut request.workload {
        workload.labels = labels(&[("example.org/zone", "b")]);
    }
    assert!(told(settings, &request)[0].starts_with("workload.labels[\"example.org/zone\"] | "));
    assert_eq!(policy(settings).describe().label_keys, ["example.org/zone"]);
}

#[test]
fn messages_tell_a_stranger_what_is_wrong_and_what_to_do() {
    let mut request = network("cards", Some("eth0.30"), Some(30));
    request.same_segment = vec![group("web", "", 2, 3)];
    request.overlapping = vec![group("", "", 1, 0)];
    assert_eq!(
        told("{}", &request),
        [
            "parent | network n (tier cards) would share the segment of eth0.30 (VLAN 30) with tier web: \
             2 networks and 3 endpoints there, such as web-1 | \
             use a segment of its own for tier cards: another VLAN of the trunk, or no parent; \
             or have the pair [\"cards\", \"web\"] put into the policy's allowed_pairs",
            "subnets | network n (tier cards) would have addresses in common with untiered: 1 network there, such as any-1 | \
             use a subnet for tier cards that no other tier uses; or give what is untiered the label tier",
        ]
    );
    assert_eq!(
        told("{}", &join("web", "cards"))[0],
        "workload.labels.tier | the workload says that its tier is cards, but network n is of tier web | \
         attach it to a network of tier cards, or leave the label away and let it be of tier web"
    );

    let mut request = join("web", "");
    if let Some(workload) = &mut request.workload {
        workload.attached = vec![group("cards", "", 0, 1)];
    }
    assert_eq!(
        told("{}", &request),
        ["workload.labels.tier | workload w-1 (tier web) is attached to tier cards already (network cards-1): \
          it would be a bridge between the two | \
          detach it there first, or use a workload of its own for tier web; \
          or have the pair [\"web\", \"cards\"] put into the policy's allowed_pairs"]
    );

    let mut request = network("web", Some("eth0"), None);
    request.reaches = vec![group("cards", "", 1, 0)];
    assert_eq!(
        told("{}", &request),
        ["parent | network n (tier web) could send tagged frames from the untagged segment of eth0 into VLANs with tier cards: \
          1 network there, such as cards-1 | \
          leave the parent's shield on, use mode l3, or a tagged parent such as eth0.30; \
          or have the pair [\"web\", \"cards\"] put into the policy's allowed_pairs"]
    );
}

#[test]
fn settings_are_refused_with_all_their_faults() {
    for good in ["{}", r#"{"label":"zone"}"#, r#"{"allowed_pairs":[]}"#, r#"{"allowed_pairs":[["a","b"],["b","c"]]}"#] {
        policy(good);
    }
    for bad in ["null", "[]", "{"] {
        assert_eq!(faults(bad).len(), 1, "{bad}");
    }
    assert_eq!(
        faults(r#"{"labels":"x","label":"","allowed_pairs":[["a"],["a",1],"b",["a","b","c"]],"overlapping_subnets":"warn"}"#),
        [
            "labels | is not a known field | known are label, allowed_pairs, overlapping_subnets",
            "label | is an empty text | a text",
            "overlapping_subnets | is warn | deny or allow",
            "allowed_pairs[0] | names 1 tiers | two tiers that may share, such as [\"web\", \"app\"]",
            "allowed_pairs[1][1] | is a number | a text",
            "allowed_pairs[2] | is a text | a list",
            "allowed_pairs[3] | names 3 tiers | two tiers that may share, such as [\"web\", \"app\"]",
        ]
    );
}
