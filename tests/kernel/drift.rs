//! What changes behind the daemon's back is set right, or told.

use crate::support::{address, eventually, ip, pings, site, text};
use serde_json::json;

#[test]
fn a_vlan_deleted_behind_our_back_is_made_again_with_its_endpoints() {
    site(|site| {
        site.network(&json!({"name": "n", "parent": "eth0.30", "subnets": [{"cidr": "192.168.30.0/24"}]}));
        let a = site.lab.workload("a").unwrap();
        site.attach("n", &a, &json!({}));
        assert!(pings(&a, ip("192.168.30.1")));
        site.lab.host.ip("link del eth0.30").unwrap();
        eventually("the workload answers again", || a.ping_within(ip("192.168.30.1"), crate::support::NO_ANSWER).unwrap_or(false));
        assert!(!site.events("endpoint.healed").is_empty(), "{:?}", site.items("/v1/events?limit=100"));
    });
}

#[test]
fn a_mode_flipped_from_inside_a_workload_is_flipped_back() {
    site(|site| {
        site.network(&json!({"name": "n", "parent": "eth0", "subnets": [{"cidr": "192.168.1.0/24"}]}));
        let (a, b) = (site.lab.workload("a").unwrap(), site.lab.workload("b").unwrap());
        site.attach("n", &a, &json!({}));
        site.attach("n", &b, &json!({}));
        a.ip("link set eth0 type ipvlan mode l3").unwrap();
        eventually("both are in mode l2 again", || {
            [&a, &b].iter().all(|w| w.run(&["ip", "-d", "link", "show", "dev", "eth0"]).unwrap().contains("mode l2"))
        });
        assert!(site.events("endpoint.drifted").iter().any(|t| t.contains("mode l3")), "{:?}", site.events("endpoint.drifted"));
    });
}

#[test]
fn an_endpoint_whose_namespace_is_gone_is_released() {
    site(|site| {
        site.network(&json!({"name": "n", "parent": "eth0", "subnets": [{"cidr": "192.168.1.0/24"}]}));
        let a = site.lab.workload("a").unwrap();
        site.attach("n", &a, &json!({}));
        drop(a);
        eventually("the record lets go of it", || site.items("/v1/endpoints").is_empty());
        assert!(!site.events("endpoint.released").is_empty());
    });
}

#[test]
fn a_found_parent_that_leaves_degrades_its_networks() {
    let prepare =
        |lab: &bulkhead_lab::Lab| drop(lab.host.ip("link add uplink address 02:00:00:00:00:77 type dummy\nlink set uplink up").unwrap());
    crate::support::site_with("", prepare, |site| {
        site.network(&json!({"name": "n", "parent": "uplink.7", "subnets": [{"cidr": "10.7.0.0/24"}]}));
        site.lab.host.ip("link del uplink").unwrap();
        eventually("the network is degraded", || site.get("/v1/networks/n")["state"] == "degraded");
        let a = site.lab.workload("a").unwrap();
        let refused = site.try_attach("n", &a, &json!({}));
        assert_eq!(refused.status, 409, "{}", refused.text());
        site.take_all_away();
        site.lab.host.ip("link add uplink address 02:00:00:00:00:77 type dummy\nlink set uplink up").unwrap();
    });
}

#[test]
fn a_restart_finds_what_was_there_and_changes_nothing() {
    site(|site| {
        site.network(&json!({"name": "n", "parent": "eth0.30", "subnets": [{"cidr": "192.168.30.0/24"}]}));
        site.network(&json!({"name": "isolated"}));
        let a = site.lab.workload("a").unwrap();
        let endpoint = site.attach("n", &a, &json!({"name": "a"}));
        let before = (site.lab.host.links().unwrap(), a.links().unwrap());
        site.daemon.kill().unwrap();
        site.daemon.start().unwrap();
        site.reconnect();
        assert_eq!(before, (site.lab.host.links().unwrap(), a.links().unwrap()));
        let now = site.get(&format!("/v1/networks/n/endpoints/{}", text(&endpoint, "id")));
        assert_eq!((now["state"].as_str(), address(&now, 0)), (Some("attached"), address(&endpoint, 0)));
        assert!(pings(&a, ip("192.168.30.1")));
    });
}
