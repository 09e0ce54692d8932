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
        let health = site.get("/v1/health");
        assert_eq!(health["status"], "degraded");
        let complaints = health["complaints"].to_string();
        assert!(complaints.contains("uplink.7: is away") && complaints.contains("network n: is degraded"), "{complaints}");
        let a = site.lab.workload("a").unwrap();
        let refused = site.try_attach("n", &a, &json!({}));
        assert_eq!(refused.status, 409, "{}", refused.text());
        site.take_all_away();
        site.lab.host.ip("link add uplink address 02:00:00:00:00:77 type dummy\nlink set uplink up").unwrap();
    });
}

#[test]
fn a_found_parent_that_is_renamed_goes_on_under_its_new_name() {
    let prepare =
        |lab: &bulkhead_lab::Lab| drop(lab.host.ip("link add uplink address 02:00:00:00:00:77 type dummy\nlink set uplink up").unwrap());
    crate::support::site_with("", prepare, |site| {
        site.network(&json!({"name": "n", "parent": "uplink", "subnets": [{"cidr": "10.7.0.0/24"}]}));
        let a = site.lab.workload("a").unwrap();
        site.attach("n", &a, &json!({}));
        site.lab.host.ip("link set uplink down\nlink set uplink name wan0\nlink set wan0 up").unwrap();
        eventually("the new name is known", || site.items("/v1/parents").iter().any(|p| p["link"] == "wan0"));
        assert_eq!(site.get("/v1/networks/n")["parent"]["link"], "wan0");
        assert!(site.events("parent.renamed")[0].contains("uplink is called wan0 now"));
        let other = site.network(&json!({"name": "m", "parent": "wan0", "subnets": [{"cidr": "10.8.0.0/24"}]}));
        assert_eq!(other["segment"], site.get("/v1/networks/n")["segment"], "it is the same parent");
        site.take_all_away();
        site.lab.host.ip("link set wan0 down\nlink set wan0 name uplink\nlink set uplink up").unwrap();
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

/// A name and an index are no identity: after the two NICs have changed places, the VLAN is made on the one it was on.
#[test]
fn a_vlan_stays_on_its_nic_when_the_nics_are_named_and_numbered_anew() {
    const NICS: [(&str, &str); 2] = [("up0", "02:00:00:00:00:a0"), ("up1", "02:00:00:00:00:b0")];
    let plug = |lab: &bulkhead_lab::Lab, nics: &[(&str, &str)]| {
        for (name, mac) in nics {
            lab.host.ip(&format!("link add {name} address {mac} type dummy\nlink set {name} up")).unwrap();
        }
    };
    let unplug = |lab: &bulkhead_lab::Lab| drop(lab.host.ip("link del up0\nlink del up1").unwrap());
    crate::support::site_with(
        "",
        |lab| plug(lab, &NICS),
        |site| {
            let on_up0 = json!({"name": "n", "parent": "up0.7", "subnets": [{"cidr": "10.7.0.0/24"}]});
            site.network(&on_up0);
            let a = site.lab.workload("a").unwrap();
            let endpoint = site.attach("n", &a, &json!({}));
            site.daemon.kill().unwrap();
            unplug(site.lab);
            plug(site.lab, &[("up0", NICS[1].1), ("up1", NICS[0].1)]);
            site.daemon.start().unwrap();
            site.reconnect();
            let path = format!("/v1/networks/n/endpoints/{}", text(&endpoint, "id"));
            eventually("the endpoint has its link again", || site.get(&path)["state"] == "attached" && a.ip("link show eth0").is_ok());
            let vlan = site.lab.host.run(&["ip", "-d", "link", "show", "up0.7"]).unwrap();
            assert!(vlan.contains("up0.7@up1:") && vlan.contains("vlan protocol 802.1Q id 7"), "{vlan}");
            assert_eq!(site.get("/v1/parents/up0.7")["base"], "up1");
            // Whoever asks for VLAN 7 of what is called up0 now does not get that of the other one.
            let (status, faults) = site.no_network(&json!({"name": "m", "parent": "up0.7", "subnets": [{"cidr": "10.8.0.0/24"}]}));
            assert_eq!(status, 409, "{faults:?}");
            assert!(faults[0].contains("is VLAN 7 of up1, not VLAN 7 of up0"), "{faults:?}");
            site.take_all_away();
            unplug(site.lab);
            plug(site.lab, &NICS);
        },
    );
}
