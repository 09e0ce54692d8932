//! Networks without a parent, and internal ones: an own dummy each.

use crate::support::{address, ip, pings, silent, site, text};
use serde_json::json;

#[test]
fn three_isolated_networks_reach_their_own_only_and_not_the_host() {
    site(|site| {
        let mut gateways = Vec::new();
        for name in ["isolated1", "isolated2", "isolated3"] {
            let network = site.network(&json!({"name": name}));
            assert_eq!(network["parent"]["kind"], "dummy", "{network}");
            gateways.push(network["subnets"][0]["gateway"].as_str().map(ip));
        }
        let (a, b, c) = (site.lab.workload("a").unwrap(), site.lab.workload("b").unwrap(), site.lab.workload("c").unwrap());
        site.attach("isolated1", &a, &json!({"name": "a"}));
        let to_b = address(&site.attach("isolated1", &b, &json!({"name": "b"})), 0);
        let to_c = address(&site.attach("isolated2", &c, &json!({"name": "c"})), 0);
        assert!(pings(&a, to_b));
        assert!(silent(&a, to_c));
        assert!(silent(&a, ip("192.168.1.250")), "the host's own address");
        assert!(gateways[0].is_some(), "the first usable address stays reserved");
        assert!(!a.links().unwrap().contains("default"), "and there is no default route:\n{}", a.links().unwrap());
    });
}

#[test]
fn internal_isolates_also_where_a_parent_is_named() {
    site(|site| {
        let network = site.network(&json!({"name": "n", "parent": "eth0", "internal": true, "subnets": [{"cidr": "192.168.1.0/24"}]}));
        assert_eq!(network["parent"]["kind"], "dummy");
        let a = site.lab.workload("a").unwrap();
        site.attach("n", &a, &json!({"addresses": ["192.168.1.77"]}));
        assert!(silent(&a, ip("192.168.1.1")), "a neighbour of the same subnet on the wire is not reached");
    });
}

#[test]
fn a_dummys_mac_is_ours_and_its_links_name_is_on_record() {
    site(|site| {
        let network = site.network(&json!({"name": "n"}));
        let link = text(&network["parent"], "link");
        let shown = site.lab.host.run(&["ip", "-d", "link", "show", "dev", &link]).unwrap();
        assert!(shown.contains("dummy") && shown.contains("link/ether 02:"), "{shown}");
        assert!(shown.contains("UP"), "{shown}");
        assert!(site.lab.host.filters(&link).unwrap().contains("ingress"), "the ingress half of the shield is on a dummy, too");
    });
}
