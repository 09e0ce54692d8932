//! The shield against the whole attack table, with the positive control without it.

use crate::support::{address, eventually, ip, pings, site, text};
use bulkhead_lab::{Namespace, Report, Target, Targets, attack_all};
use serde_json::json;
use std::net::Ipv4Addr;

fn attack(site: &crate::support::Site<'_>, from: &Namespace, vlan_link: &str) -> Report {
    let targets = Targets {
        peer: &site.lab.peer,
        host: &site.lab.host,
        vlan: 40,
        host_links: vec![vlan_link.to_owned()],
        host_address: Ipv4Addr::new(192, 168, 1, 250),
    };
    attack_all(from, "eth0", &targets).expect("the attack")
}

/// `shield`: as the request says. Both networks carry no tier label, so that policies let the unshielded control be made.
fn attacked(shield: &str) -> (Report, bool) {
    let mut result = None;
    site(|site| {
        let trunk = json!({"name": "trunk", "parent": "eth0", "subnets": [{"cidr": "192.168.1.0/24"}], "shield": shield});
        site.network(&trunk);
        site.network(&json!({"name": "forty", "parent": "eth0.40", "subnets": [{"cidr": "192.168.40.0/24"}]}));
        let (a, b, c) = (site.lab.workload("a").unwrap(), site.lab.workload("b").unwrap(), site.lab.workload("c").unwrap());
        site.attach("trunk", &a, &json!({}));
        let to_b = address(&site.attach("trunk", &b, &json!({})), 0);
        site.attach("forty", &c, &json!({}));
        let report = attack(site, &a, "eth0.40");
        assert!(report.honest_arrived, "the sender's untagged frame arrives in any case");
        let on = pings(&a, to_b) && pings(&a, ip("192.168.1.1")) && pings(&c, ip("192.168.40.1"));
        result = Some((report, on));
    });
    result.expect("a result")
}

#[test]
fn without_the_shield_attacks_arrive_and_with_it_none_while_pings_go_on() {
    let (open, on) = attacked("off");
    assert!(on);
    for target in [Target::PeerVlan, Target::HostVlan, Target::HostStack] {
        assert!(open.arrived.iter().any(|a| a.target == target), "the positive control: {target:?} is reached without the shield");
    }
    assert!(!open.in_peer_vlan.is_empty(), "the positive control: a socket in VLAN 40 of the other host gets the frame");
    let (shut, on) = attacked("on");
    assert!(on, "siblings, the untagged network and VLAN 40 go on");
    assert_eq!(shut.arrived, [], "of {} attacks", shut.sent.len());
    assert_eq!(shut.in_peer_vlan, []);
}

#[test]
fn a_dummy_has_the_ingress_half_so_no_frame_reaches_the_host_from_an_isolated_network() {
    site(|site| {
        site.network(&json!({"name": "isolated"}));
        let a = site.lab.workload("a").unwrap();
        site.attach("isolated", &a, &json!({}));
        let targets = Targets {
            peer: &site.lab.peer,
            host: &site.lab.host,
            vlan: 40,
            host_links: Vec::new(),
            host_address: Ipv4Addr::new(192, 168, 1, 250),
        };
        let report = attack_all(&a, "eth0", &targets).expect("the attack");
        assert_eq!(report.arrived, []);
    });
}

#[test]
fn a_shield_taken_away_is_put_back_with_an_event_and_foreign_filters_stay() {
    site(|site| {
        site.network(&json!({"name": "n", "parent": "eth0", "subnets": [{"cidr": "192.168.1.0/24"}]}));
        site.lab.host.tc("filter add dev eth0 ingress pref 77 protocol ip matchall action pass").unwrap();
        let ours = site.lab.host.filters("eth0").unwrap();
        site.lab.host.tc("filter del dev eth0 egress pref 1").unwrap();
        eventually("the egress half is back", || site.lab.host.filters("eth0").unwrap() == ours);
        let drifted = site.events("parent.drifted");
        assert!(drifted.iter().any(|t| t.contains("shield")), "{drifted:?}");
        site.lab.host.tc("qdisc del dev eth0 clsact").unwrap();
        eventually("both halves are back", || {
            let now = site.lab.host.filters("eth0").unwrap();
            now.contains("egress") && now.contains("ingress")
        });
        let parent = site.items("/v1/parents").into_iter().find(|p| p["link"] == "eth0").expect("eth0");
        assert_eq!((&parent["shield"]["egress"], &parent["shield"]["ingress"]), (&json!(true), &json!(true)), "{parent}");
    });
}

#[test]
fn a_terminal_filter_before_ours_is_reported_as_a_bypass() {
    site(|site| {
        site.lab.host.tc("qdisc add dev eth0 clsact\nfilter add dev eth0 egress pref 1 protocol all matchall action pass").unwrap();
        site.network(&json!({"name": "n", "parent": "eth0", "subnets": [{"cidr": "192.168.1.0/24"}]}));
        let parent = site.items("/v1/parents").into_iter().find(|p| p["link"] == "eth0").expect("eth0");
        assert!(parent["shield"]["bypassed_by"].is_string(), "{parent}");
        assert!(!text(&parent["shield"], "bypassed_by").is_empty());
        site.take_all_away();
        assert!(site.lab.host.filters("eth0").unwrap().contains("matchall"), "other people's filters are untouched");
        site.lab.host.tc("qdisc del dev eth0 clsact").unwrap();
    });
}
