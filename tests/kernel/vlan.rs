//! VLAN sub-interfaces as parents.

use crate::support::{address, ip, pings, silent, site, site_with, text};
use serde_json::json;

fn vlan(name: &str, id: u16, tier: &str) -> serde_json::Value {
    json!({"name": name, "parent": format!("eth0.{id}"), "subnets": [{"cidr": format!("192.168.{id}.0/24")}], "labels": {"tier": tier}})
}

#[test]
fn a_vlan_is_made_shared_and_removed_with_the_last_network_and_tiers_do_not_meet() {
    site(|site| {
        let network = site.network(&vlan("front", 30, "frontend"));
        assert_eq!((&network["parent"]["kind"], &network["parent"]["vlan"]), (&json!("vlan"), &json!(30)), "{network}");
        assert_eq!(network["parent"]["origin"], "ours");
        site.network(&vlan("cards", 40, "cards"));
        let shown = site.lab.host.run(&["ip", "-d", "link", "show", "dev", "eth0.30"]).unwrap();
        assert!(shown.contains("vlan protocol 802.1Q id 30") && shown.contains("UP"), "{shown}");
        let (a, b) = (site.lab.workload("a").unwrap(), site.lab.workload("b").unwrap());
        site.attach("front", &a, &json!({}));
        let to_b = address(&site.attach("cards", &b, &json!({})), 0);
        assert!(pings(&a, ip("192.168.30.1")) && pings(&b, ip("192.168.40.1")));
        assert!(silent(&a, to_b));
        site.network(
            &json!({"name": "front2", "parent": "eth0.30", "subnets": [{"cidr": "10.30.0.0/24"}], "labels": {"tier": "frontend"}}),
        );
        assert_eq!(site.delete("/v1/networks/front2").status / 100, 2);
        assert!(site.lab.host.links().unwrap().contains("eth0.30"), "front still uses it");
    });
}

#[test]
fn a_vlan_that_was_there_is_used_and_left_alone() {
    let prepare = |lab: &bulkhead_lab::Lab| {
        lab.host.ip("link add link eth0 name cardsvlan type vlan id 40\nlink set cardsvlan up").unwrap();
    };
    site_with("", prepare, |site| {
        let network = site.network(&vlan("cards", 40, "cards"));
        assert_eq!((text(&network["parent"], "link").as_str(), text(&network["parent"], "origin").as_str()), ("cardsvlan", "found"));
        assert_eq!(site.delete("/v1/networks/cards").status / 100, 2);
        assert!(site.lab.host.links().unwrap().contains("cardsvlan"));
    });
}

#[test]
fn a_link_of_that_name_that_is_something_else_is_refused() {
    let prepare = |lab: &bulkhead_lab::Lab| drop(lab.host.ip("link add eth0.30 type dummy").unwrap());
    site_with("", prepare, |site| {
        let (status, told) = site.no_network(&vlan("front", 30, "frontend"));
        assert_eq!(status, 409);
        assert!(told[0].starts_with("parent: eth0.30 is there, but is dummy, not VLAN 30 of eth0"), "{told:?}");
    });
}

#[test]
fn a_long_parent_name_gets_a_link_name_that_fits_and_stays_as_alias() {
    let prepare = |lab: &bulkhead_lab::Lab| drop(lab.host.ip("link add enp160s0f0np1 type dummy\nlink set enp160s0f0np1 up").unwrap());
    site_with("", prepare, |site| {
        let network = site.network(&json!({"name": "n", "parent": "enp160s0f0np1.1002", "subnets": [{"cidr": "10.9.0.0/24"}]}));
        let link = text(&network["parent"], "link");
        let shown = site.lab.host.run(&["ip", "-d", "link", "show", "dev", &link]).unwrap();
        assert!(link.len() <= 15 && shown.contains("alias enp160s0f0np1.1002") && shown.contains("id 1002"), "{shown}");
    });
}
