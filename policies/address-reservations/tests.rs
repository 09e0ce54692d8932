#[path = "../testing.rs"]
mod testing;

use super::*;
use testing::*;

type Tested = AddressReservations;

const TILLS: &str = r#"{"reservations":[
    {"addresses":["10.40.0.10"],"workloads":["till-1"],"networks":["cards"],"required":true},
    {"addresses":["10.40.0.16/28","fd00:40::10-fd00:40::1f"],"labels":{"tier":["cards","pci-*"]}}]}"#;

/// A workload that would have these addresses on network `cards`.
fn join(name: &str, tier: Option<&str>, addresses: &[&str]) -> Request {
    let own: Vec<(&str, &str)> = tier.iter().map(|t| ("tier", *t)).collect();
    let mut request = attach(create("cards", &[], Some("eth0.40"), Some(40)), &own);
    let subnet = |cidr: &str| Subnet { cidr: cidr.into(), gateway: None, ip_range: None };
    request.network.subnets = vec![subnet("10.40.0.0/24"), subnet("fd00:40::/64")];
    request.addresses = addresses.iter().map(|a| (*a).into()).collect();
    if let Some(workload) = &mut request.workload {
        workload.name = name.into();
    }
    request
}

#[test]
fn what_is_not_reserved_anybody_may_have() {
    assert!(rules("{}", &join("w", None, &["10.40.0.10"])).is_empty());
    for free in ["10.40.0.9", "10.40.0.11", "10.40.0.15", "10.40.0.32", "fd00:40::20", "fd00:40::f"] {
        assert!(rules(TILLS, &join("w", None, &[free])).is_empty(), "{free}");
    }
}

#[test]
fn an_address_is_for_whom_its_reservation_names_and_for_no_other() {
    assert!(rules(TILLS, &join("till-1", None, &["10.40.0.10"])).is_empty());
    assert_eq!(rules(TILLS, &join("till-2", None, &["10.40.0.10"])), [RESERVED]);
    assert_eq!(rules(TILLS, &join("till-2", Some("cards"), &["10.40.0.10"])), [RESERVED], "another reservation's label is no key");
    let mut elsewhere = join("till-1", None, &["10.40.0.10"]);
    elsewhere.network.name = "other".into();
    assert_eq!(rules(TILLS, &elsewhere), [RESERVED], "all that is said must fit");
    let mut by_id = join("", None, &["10.40.0.10"]);
    assert_eq!(rules(TILLS, &by_id), [RESERVED]);
    if let Some(workload) = &mut by_id.workload {
        workload.id = "till-1".into();
    }
    assert!(rules(TILLS, &by_id).is_empty());
}

#[test]
fn a_label_is_the_workloads_own_and_else_its_networks() {
    for (own, networks, is_fine) in [
        (Some("cards"), None, true),
        (Some("pci-dmz"), None, true),
        (Some("web"), None, false),
        (None, None, false),
        (None, Some("cards"), true),
        (Some("web"), Some("cards"), false),
    ] {
        for address in ["10.40.0.16", "10.40.0.31", "fd00:40::10", "fd00:40::1f"] {
            let mut request = join("w", own, &[address]);
            request.network.labels = labels(&networks.iter().map(|n| ("tier", *n)).collect::<Vec<_>>());
            let wanted: &[&str] = if is_fine { &[] } else { &[RESERVED] };
            assert_eq!(rules(TILLS, &request), wanted, "{own:?} {networks:?} {address}");
        }
    }
    assert_eq!(rules(TILLS, &join("w", None, &["10.40.0.16", "10.40.0.1", "fd00:40::10"])), [RESERVED, RESERVED], "each address counts");
}

#[test]
fn of_several_reservations_of_an_address_one_is_enough() {
    let settings =
        r#"{"reservations":[{"addresses":["10.40.0.0/24"],"networks":["cards"]},{"addresses":["10.0.0.0/8"],"workloads":["w"]}]}"#;
    assert!(rules(settings, &join("any", None, &["10.40.0.1"])).is_empty());
    let mut elsewhere = join("w", None, &["10.40.0.1"]);
    elsewhere.network.name = "other".into();
    assert!(rules(settings, &elsewhere).is_empty());
    if let Some(workload) = &mut elsewhere.workload {
        workload.name = "v".into();
    }
    assert_eq!(rules(settings, &elsewhere), [RESERVED]);
}

#[test]
fn who_must_have_a_reserved_address_has_one_of_each_family_that_there_is() {
    assert_eq!(rules(TILLS, &join("till-1", None, &["10.40.0.9"])), [REQUIRED]);
    assert_eq!(rules(TILLS, &join("till-1", None, &[])), [REQUIRED]);
    assert!(rules(TILLS, &join("till-1", None, &["10.40.0.10", "fd00:40::5"])).is_empty(), "it names no IPv6 address");
    let both = r#"{"reservations":[{"addresses":["10.40.0.10","10.40.0.12","fd00:40::10"],"workloads":["till-*"],"required":true}]}"#;
    assert!(rules(both, &join("till-1", None, &["10.40.0.12", "fd00:40::10"])).is_empty());
    assert_eq!(rules(both, &join("till-1", None, &["10.40.0.12", "fd00:40::11"])), [REQUIRED]);
    assert_eq!(rules(both, &join("till-1", None, &["10.40.0.13", "fd00:40::11"])), [REQUIRED, REQUIRED]);
    assert!(rules(both, &join("web-1", None, &["10.40.0.13"])).is_empty());
    let mut elsewhere = join("till-1", None, &["192.168.1.2"]);
    elsewhere.network.subnets[0].cidr = "192.168.1.0/24".into();
    elsewhere.network.subnets.truncate(1);
    assert!(rules(both, &elsewhere).is_empty(), "a network without any of them");
}

#[test]
fn networks_and_removals_are_none_of_its_business() {
    for operation in [Operation::CreateNetwork, Operation::ChangeNetwork, Operation::DeleteNetwork, Operation::Detach] {
        let request = Request { operation, ..join("w", None, &["10.40.0.10"]) };
        assert_eq!(policy(TILLS).evaluate(&request).outcome, Outcome::NotApplicable);
    }
    let change = Request { operation: Operation::ChangeWorkload, ..join("w", Some("web"), &["10.40.0.16"]) };
    assert_eq!(rules(TILLS, &change), [RESERVED], "a label that goes takes the address along");
}

#[test]
fn messages_tell_a_stranger_what_is_wrong_and_what_to_do() {
    assert_eq!(
        told(TILLS, &join("till-2", None, &["10.40.0.1", "10.40.0.10"])),
        ["addresses[1] | workload till-2 would have 10.40.0.10, which is reserved for workloads called \"till-1\" on network \"cards\" | \
          name an address in addresses that is not in 10.40.0.10, or give network cards an ip_range without it"]
    );
    assert_eq!(
        told(TILLS, &join("w", None, &["10.40.0.16"])),
        ["addresses[0] | workload w would have 10.40.0.16, which is reserved for workloads with label tier \
          one of \"cards\", \"pci-*\" (* is any text) | \
          name an address in addresses that is not in 10.40.0.16/28, or give network cards an ip_range without it"]
    );
    assert_eq!(
        told(TILLS, &join("till-1", None, &["10.40.0.9", "fd00:40::1"])),
        ["addresses | workload till-1 must have a reserved address on network cards, and would have 10.40.0.9 and fd00:40::1 | \
          name one of 10.40.0.10 in addresses"]
    );
}

#[test]
fn settings_are_refused_with_all_their_faults() {
    for good in ["{}", r#"{"reservations":[]}"#, TILLS] {
        policy(good);
    }
    assert_eq!(faults("1"), [" | the settings are a number | an object"]);
    let nobody = "does not say whom the addresses are for | \
                  workloads, labels or networks; an address that nobody is to have belongs into a network's reserved";
    let example = "addresses and ranges such as [\"10.40.0.7\", \"10.40.0.16/28\", \"10.40.0.32-10.40.0.39\"]";
    assert_eq!(
        faults(
            r#"{"reservation":[],"reservations":[{"addresses":["10.0.0.1/8","x",7],"networks":[]},{"labels":{"a":"b"},"required":1},
            {"addresses":[],"for":"me"},{"addresses":["10.0.0.1"],"labels":{}}]}"#
        ),
        [
            "reservation | is not a known field | known are reservations".to_owned(),
            "reservations[0].addresses[0] | 10.0.0.1/8 has host bits set | the first address of the range".into(),
            "reservations[0].addresses[1] | x is no address and no range of addresses | such as 10.40.0.7, 10.40.0.0/28 or 10.40.0.10-10.40.0.19"
                .into(),
            "reservations[0].addresses[2] | is a number | a text".into(),
            "reservations[0].networks | is empty, so nothing fits | at least one text, in which * is any text".into(),
            format!("reservations[1].addresses | is missing | {example}"),
            "reservations[1].labels.a | is a text | a list".into(),
            "reservations[1].required | is a number | true or false".into(),
            "reservations[2].for | is not a known field | known are addresses, workloads, labels, networks, required".into(),
            format!("reservations[2].addresses | is empty, so nothing is reserved | {example}"),
            format!("reservations[2] | {nobody}"),
            "reservations[3].labels | is empty, so it says nothing | a label with its values, such as {\"tier\": [\"cards\"]}".into(),
        ]
    );
}
