//! Pools, ranges, reserved addresses, IPv6, announcements.

use crate::support::{address, faults, ip, pings, site, site_with, text};
use serde_json::json;

#[test]
fn dual_stack_has_an_address_of_each_family_usable_at_once() {
    site(|site| {
        let subnets = json!([{"cidr": "192.168.1.0/24"}, {"cidr": "2001:db8:1::/64", "gateway": "2001:db8:1::1"}]);
        site.network(&json!({"name": "n", "parent": "eth0", "ipv6": true, "subnets": subnets}));
        let a = site.lab.workload("a").unwrap();
        let endpoint = site.attach("n", &a, &json!({"addresses": ["2001:db8:1::77"]}));
        assert!(pings(&a, ip("2001:db8:1::1")), "no wait for duplicate address detection");
        let shown = a.run(&["ip", "-6", "addr", "show", "dev", "eth0"]).unwrap();
        assert!(!shown.contains("tentative") || !shown.contains("2001:db8:1::77/64 scope global tentative"), "{shown}");
        assert_eq!(endpoint["addresses"].as_array().map(Vec::len), Some(2));
        assert!(pings(&a, ip("192.168.1.1")));
    });
}

/// The kernel refuses a second one of the same metric; and one that is there is somebody's choice.
#[test]
fn a_namespace_keeps_the_default_route_that_it_has() {
    site(|site| {
        let subnets = json!([{"cidr": "192.168.1.0/24"}, {"cidr": "2001:db8:1::/64", "gateway": "2001:db8:1::1"}]);
        site.network(&json!({"name": "n", "parent": "eth0", "ipv6": true, "subnets": subnets}));
        let a = site.lab.workload("a").unwrap();
        a.ip("link add own type dummy\naddr add 10.9.0.2/24 dev own\naddr add fd09::2/64 dev own nodad\nlink set own up").unwrap();
        a.ip("route add default via 10.9.0.1\nroute add default via fd09::1").unwrap();
        let endpoint = site.attach("n", &a, &json!({}));
        let warnings = endpoint["warnings"].to_string();
        for family in ["IPv4", "IPv6"] {
            assert!(warnings.contains(&format!("keeps its {family} default route through own")), "{warnings}");
        }
        for (family, via) in [("-4", "10.9.0.1"), ("-6", "fd09::1")] {
            let routes = a.run(&["ip", family, "route", "show", "default"]).unwrap();
            assert!(routes.trim().lines().count() == 1 && routes.contains(&format!("via {via} dev own")), "{routes}");
        }
        assert!(pings(&a, ip("192.168.1.1")), "what is on the segment is reached all the same");
        // Unreachable entries of the kernel's own, or routes through the link that comes, are no default route.
        let b = site.lab.workload("b").unwrap();
        let endpoint = site.attach("n", &b, &json!({}));
        assert!(endpoint["warnings"].is_null(), "{endpoint}");
        assert!(b.run(&["ip", "route", "show", "default"]).unwrap().contains("via 192.168.1.1"));
    });
}

#[test]
fn ipv6_alone_gets_an_ipv4_subnet_from_the_pools_unless_turned_off() {
    site(|site| {
        let v6 = json!([{"cidr": "2001:db8:abc8::/64", "gateway": "2001:db8:abc8::10"}]);
        let both = site.network(&json!({"name": "both", "ipv6": true, "subnets": v6}));
        assert_eq!(both["subnets"].as_array().map(Vec::len), Some(2), "{both}");
        assert_eq!(both["subnets"][1]["cidr"], "172.18.0.0/16");
        let only = site.network(&json!({"name": "only", "ipv4": false, "ipv6": true}));
        let cidr = text(&only["subnets"][0], "cidr");
        assert!(cidr.starts_with("fd") && cidr.ends_with("/64"), "{cidr}");
    });
}

#[test]
fn router_advertisements_give_no_address_and_no_route() {
    site(|site| {
        site.network(&json!({"name": "n", "parent": "eth0", "subnets": [{"cidr": "192.168.1.0/24"}]}));
        let a = site.lab.workload("a").unwrap();
        site.attach("n", &a, &json!({}));
        for key in ["accept_ra", "autoconf"] {
            let value = a.run(&["cat", &format!("/proc/sys/net/ipv6/conf/eth0/{key}")]).unwrap();
            assert_eq!(value.trim(), "0", "{key}");
        }
    });
}

#[test]
fn an_ip_ranges_first_and_last_address_are_usable_and_then_it_is_exhausted() {
    site(|site| {
        let subnet = json!({"cidr": "192.168.1.0/24", "ip_range": "192.168.1.128/31", "reserved": {"router": "192.168.1.5"}});
        site.network(&json!({"name": "n", "parent": "eth0", "subnets": [subnet]}));
        let w: Vec<_> = (0..3).map(|i| site.lab.workload(&format!("w{i}")).unwrap()).collect();
        assert_eq!(address(&site.attach("n", &w[0], &json!({})), 0), ip("192.168.1.128"));
        assert_eq!(address(&site.attach("n", &w[1], &json!({})), 0), ip("192.168.1.129"));
        let refused = site.try_attach("n", &w[2], &json!({}));
        assert_eq!(refused.status, 409, "{}", refused.text());
        assert!(faults(&refused)[0].starts_with("addresses: no address is left in 192.168.1.128/31"), "{:?}", faults(&refused));
        for (bad, why) in [("192.168.1.5", "reserved for router"), ("192.168.1.250", "host's own address"), ("192.168.1.128", "taken by")] {
            let refused = site.try_attach("n", &w[2], &json!({"addresses": [bad]}));
            assert!(refused.status == 409 && faults(&refused)[0].contains(why), "{bad}: {:?}", faults(&refused));
        }
    });
}

#[test]
fn a_slash_31_gives_both_addresses() {
    site(|site| {
        site.network(&json!({"name": "n", "parent": "eth0", "subnets": [{"cidr": "10.7.0.0/31"}]}));
        let (a, b) = (site.lab.workload("a").unwrap(), site.lab.workload("b").unwrap());
        assert_eq!(address(&site.attach("n", &a, &json!({})), 0), ip("10.7.0.0"));
        assert_eq!(address(&site.attach("n", &b, &json!({})), 0), ip("10.7.0.1"));
        assert!(pings(&a, ip("10.7.0.1")));
    });
}

#[test]
fn a_freed_address_is_kept_back_for_the_configured_while() {
    site_with(
        "hold_back_s = 3600\n",
        |_| {},
        |site| {
            site.network(&json!({"name": "n", "parent": "eth0", "subnets": [{"cidr": "192.168.1.0/24"}]}));
            let (a, b) = (site.lab.workload("a").unwrap(), site.lab.workload("b").unwrap());
            let first = site.attach("n", &a, &json!({}));
            let gone = site.delete(&format!("/v1/networks/n/endpoints/{}", text(&first, "id")));
            assert_eq!(gone.status / 100, 2, "{}", gone.text());
            assert!(!a.links().unwrap().contains("ipvlan"), "{}", a.links().unwrap());
            assert_ne!(address(&site.attach("n", &b, &json!({})), 0), address(&first, 0));
        },
    );
}

#[test]
fn default_pools_keep_clear_of_the_hosts_routes() {
    let prepare = |lab: &bulkhead_lab::Lab| drop(lab.host.ip("route add 172.18.5.0/24 dev eth0").unwrap());
    site_with("", prepare, |site| {
        let network = site.network(&json!({"name": "n"}));
        assert_eq!(network["subnets"][0]["cidr"], "172.19.0.0/16");
    });
}
