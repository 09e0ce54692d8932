//! Networks on the host's own segment: the documentation's db_net_ipv.

use crate::support::{address, ip, pings, silent, site, text};
use serde_json::json;

#[test]
fn the_documented_network_pings_within_and_across_the_segment_but_not_its_own_host() {
    site(|site| {
        let wish = json!({"name": "db_net_ipv", "parent": "eth0", "subnets": [{"cidr": "192.168.1.0/24"}]});
        let network = site.network(&wish);
        assert_eq!((&network["mode"], &network["flag"]), (&json!("l2"), &json!("bridge")), "the documented defaults");
        assert_eq!(network["subnets"][0]["gateway"], "192.168.1.1", "the first usable address");
        let (a, b) = (site.lab.workload("ipv1").unwrap(), site.lab.workload("ipv2").unwrap());
        let to_a = address(&site.attach("db_net_ipv", &a, &json!({"name": "ipv1"})), 0);
        let to_b = address(&site.attach("db_net_ipv", &b, &json!({"name": "ipv2"})), 0);
        assert!(pings(&a, to_b) && pings(&b, to_a));
        assert!(pings(&a, ip("192.168.1.1")), "another host on the segment");
        assert!(pings(&site.lab.peer, to_a), "and it reaches the workload");
        assert!(silent(&a, ip("192.168.1.250")), "its own host never answers");
        assert!(a.links().unwrap().contains("route default gateway 192.168.1.1 dev eth0"), "{}", a.links().unwrap());
    });
}

#[test]
fn two_networks_share_a_parent_and_its_filters_go_with_the_last() {
    site(|site| {
        site.network(&json!({"name": "a", "parent": "eth0", "subnets": [{"cidr": "10.1.0.0/24"}]}));
        site.network(&json!({"name": "b", "parent": "eth0", "subnets": [{"cidr": "10.2.0.0/24"}]}));
        assert_eq!(site.delete("/v1/networks/a").status / 100, 2);
        let filters = site.lab.host.filters("eth0").unwrap();
        assert!(filters.contains("egress") && filters.contains("ingress"), "still there for b: {filters}");
    });
}

#[test]
fn a_second_endpoint_keeps_the_first_default_route_and_says_so() {
    site(|site| {
        site.network(&json!({"name": "a", "parent": "eth0", "subnets": [{"cidr": "192.168.1.0/24", "ip_range": "192.168.1.128/25"}]}));
        site.network(&json!({"name": "b", "parent": "eth0.30", "subnets": [{"cidr": "192.168.30.0/24"}]}));
        let w = site.lab.workload("w").unwrap();
        site.attach("a", &w, &json!({}));
        let second = site.attach("b", &w, &json!({"interface": "eth1"}));
        assert!(pings(&w, ip("192.168.1.1")) && pings(&w, ip("192.168.30.1")));
        let warnings = second["warnings"].to_string();
        assert!(warnings.contains("default route through eth0"), "{second}");
    });
}

#[test]
fn a_repeat_is_200_without_netlink_and_a_different_one_409() {
    site(|site| {
        site.network(&json!({"name": "n", "parent": "eth0", "subnets": [{"cidr": "192.168.1.0/24"}]}));
        let w = site.lab.workload("w").unwrap();
        let wish = json!({"name": "x", "addresses": ["192.168.1.10"], "workload": {"labels": {"app": "y"}}});
        let first = site.attach("n", &w, &wish);
        let pid = site.daemon.pid().unwrap();
        let lab = site.lab;
        let (again, sent) = lab.counting_netlink(pid, || site.try_attach("n", &w, &wish)).unwrap();
        assert_eq!(again.status, 200, "{}", again.text());
        assert_eq!(text(&again.json().unwrap(), "id"), text(&first, "id"));
        assert_eq!(sent.messages, 0, "{:?}", sent.trace);
        let other = site.try_attach("n", &w, &json!({"name": "x", "addresses": ["192.168.1.11"], "workload": {"labels": {"app": "z"}}}));
        let told = crate::support::faults(&other);
        assert_eq!(other.status, 409);
        assert!(told.iter().any(|f| f.starts_with("addresses:")) && told.iter().any(|f| f.starts_with("workload.labels:")), "{told:?}");
    });
}

#[test]
fn an_attach_is_five_messages_in_two_sends() {
    site(|site| {
        site.network(&json!({"name": "n", "parent": "eth0", "subnets": [{"cidr": "192.168.1.0/24"}]}));
        let (v, w) = (site.lab.workload("v").unwrap(), site.lab.workload("w").unwrap());
        site.attach("n", &v, &json!({}));
        let pid = site.daemon.pid().unwrap();
        let lab = site.lab;
        let (_, sent) = lab.counting_netlink(pid, || site.attach("n", &w, &json!({}))).unwrap();
        assert_eq!((sent.messages, sent.sends), (5, 2), "{:#?}", sent.trace);
    });
}
