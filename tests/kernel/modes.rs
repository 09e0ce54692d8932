//! l3, l3s, the flags, MTU, and what a parent allows once.

use crate::support::{address, ip, pings, silent, site, site_with};
use serde_json::json;

#[test]
fn a_second_mode_on_a_parent_is_refused_and_the_first_keeps_answering() {
    site(|site| {
        site.network(&json!({"name": "web", "parent": "eth0", "subnets": [{"cidr": "192.168.1.0/24"}]}));
        let (a, b) = (site.lab.workload("a").unwrap(), site.lab.workload("b").unwrap());
        site.attach("web", &a, &json!({}));
        let to_b = address(&site.attach("web", &b, &json!({})), 0);
        let (pid, lab) = (site.daemon.pid().unwrap(), site.lab);
        let wish = json!({"name": "api", "parent": "eth0", "mode": "l3", "subnets": [{"cidr": "10.3.0.0/24"}]});
        let ((status, told), sent) = lab.counting_netlink(pid, || site.no_network(&wish)).unwrap();
        assert_eq!((status, told), (409, vec!["mode: eth0 already carries l2 links of network web; a parent has one mode".to_owned()]));
        assert_eq!(sent.messages, 0, "{:?}", sent.trace);
        assert!(pings(&a, to_b));
    });
}

#[test]
fn l3_and_l3s_route_between_the_subnets_of_a_network() {
    for mode in ["l3", "l3s"] {
        site(|site| {
            let subnets = json!([{"cidr": "10.3.0.0/24"}, {"cidr": "10.3.1.0/24"}]);
            let network = site.network(&json!({"name": "n", "parent": "eth0", "mode": mode, "subnets": subnets}));
            assert_eq!(network["subnets"][0]["gateway"], json!(null), "the device is the route");
            let (a, b) = (site.lab.workload("a").unwrap(), site.lab.workload("b").unwrap());
            site.attach("n", &a, &json!({"addresses": ["10.3.0.9"]}));
            site.attach("n", &b, &json!({"addresses": ["10.3.1.9"]}));
            assert!(pings(&a, ip("10.3.1.9")), "{mode}");
            let shown = a.run(&["ip", "-d", "link", "show", "dev", "eth0"]).unwrap();
            assert!(shown.contains(&format!("ipvlan  mode {mode} ")) || shown.contains(&format!("ipvlan mode {mode} ")), "{shown}");
            assert!(a.links().unwrap().contains("default dev eth0"), "{}", a.links().unwrap());
        });
    }
}

#[test]
fn private_links_do_not_reach_each_other_but_the_segment() {
    site(|site| {
        site.network(&json!({"name": "n", "parent": "eth0", "flag": "private", "subnets": [{"cidr": "192.168.1.0/24"}]}));
        let (a, b) = (site.lab.workload("a").unwrap(), site.lab.workload("b").unwrap());
        site.attach("n", &a, &json!({}));
        let to_b = address(&site.attach("n", &b, &json!({})), 0);
        assert!(pings(&a, ip("192.168.1.1")));
        assert!(silent(&a, to_b));
    });
}

#[test]
fn vepa_links_reach_each_other_only_through_a_switch_that_sends_back() {
    site(|site| {
        site.network(&json!({"name": "n", "parent": "eth0", "flag": "vepa", "subnets": [{"cidr": "192.168.1.0/24"}]}));
        let (a, b) = (site.lab.workload("a").unwrap(), site.lab.workload("b").unwrap());
        site.attach("n", &a, &json!({}));
        let to_b = address(&site.attach("n", &b, &json!({})), 0);
        assert!(pings(&a, ip("192.168.1.1")));
        assert!(silent(&a, to_b));
        let shown = a.run(&["ip", "-d", "link", "show", "dev", "eth0"]).unwrap();
        assert!(shown.contains("vepa"), "{shown}");
    });
}

#[test]
fn an_mtu_is_given_to_links_and_refused_above_the_parents() {
    site(|site| {
        let (status, told) = site.no_network(&json!({"name": "n", "parent": "eth0", "mtu": 9000}));
        assert_eq!(status, 422);
        assert!(told[0].starts_with("mtu: 9000 is above the 1500 of its parent eth0"), "{told:?}");
        site.network(&json!({"name": "n", "parent": "eth0", "mtu": 1400, "subnets": [{"cidr": "192.168.1.0/24"}]}));
        let a = site.lab.workload("a").unwrap();
        site.attach("n", &a, &json!({}));
        assert!(a.run(&["ip", "link", "show", "dev", "eth0"]).unwrap().contains("mtu 1400"));
    });
}

#[test]
fn ports_of_a_bridge_and_carriers_of_macvlan_are_refused() {
    let prepare = |lab: &bulkhead_lab::Lab| {
        let lines = "link add br0 type bridge\nlink add port0 type dummy\nlink set port0 master br0\nlink add mvp type dummy\nlink add mv0 link mvp type macvlan";
        lab.host.ip(lines).unwrap();
    };
    site_with("", prepare, |site| {
        let (status, told) = site.no_network(&json!({"name": "n", "parent": "port0"}));
        assert!(status == 409 && told[0].contains("port0 is a port of bridge br0"), "{told:?}");
        let (status, told) = site.no_network(&json!({"name": "n", "parent": "mvp"}));
        assert!(status == 409 && told[0].contains("mvp carries the macvlan link mv0"), "{told:?}");
        let (_, told) = site.no_network(&json!({"name": "n", "parent": "lo"}));
        assert!(told[0].contains("loopback"), "{told:?}");
    });
}
