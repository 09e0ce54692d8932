//! Bad requests over the real door: each names its field, leaves nothing behind, and all faults come at once.

use crate::support::{faults, site};
use serde_json::json;

#[test]
fn bad_requests_name_their_fields_and_leave_nothing_behind() {
    site(|site| {
        let before = site.lab.host.links().unwrap();
        let table = [
            (json!({"name": "n", "subnets": [{"cidr": "192.168.1.7/24"}]}), "subnets[0].cidr"),
            (json!({"name": "n", "subnets": [{"cidr": "nonsense"}]}), "subnets[0].cidr"),
            (json!({"name": "n", "parent": "eth9"}), "parent"),
            (json!({"name": "n", "parent": "eth0.4095"}), "parent"),
            (json!({"name": "bad name!"}), "name"),
            (json!({"name": "n".repeat(64)}), "name"),
            (json!({}), "name"),
            (json!({"name": "n", "mode": "l4"}), "mode"),
            (json!({"name": "n", "flag": "open"}), "flag"),
            (json!({"name": "n", "mtu": "big"}), "mtu"),
            (json!({"name": "n", "mtu": 9000, "parent": "eth0"}), "mtu"),
            (json!({"name": "n", "subnet": []}), "subnet"),
            (json!({"name": "n", "subnets": [{"cidr": "10.0.0.0/24", "gatway": "10.0.0.1"}]}), "subnets[0].gatway"),
            (json!({"name": "n", "labels": {"tier": 3}}), "labels"),
        ];
        for (wish, field) in table {
            let (status, told) = site.no_network(&wish);
            assert!((400..500).contains(&status), "{wish}: {status}");
            assert!(told.iter().any(|f| f.starts_with(field)), "{wish}: {told:?}");
        }
        let (_, told) = site.no_network(&json!({"name": "", "mode": "l9", "subnets": [{"cidr": "x"}], "colour": 1}));
        assert!(told.len() >= 4, "all at once: {told:?}");
        assert!(site.items("/v1/networks").is_empty());
        assert_eq!(site.lab.host.links().unwrap(), before);
    });
}

#[test]
fn an_unknown_field_names_the_nearest_known_one() {
    site(|site| {
        let answer = site.post("/v1/networks", &json!({"name": "n", "subnet": []}));
        assert!(answer.text().contains("subnets"), "{}", answer.text());
        assert_eq!(answer.header("content-type"), Some("application/problem+json"));
        assert!(!faults(&answer).is_empty());
    });
}

#[test]
fn a_taken_name_and_a_network_in_use_are_conflicts() {
    site(|site| {
        site.network(&json!({"name": "n", "parent": "eth0", "subnets": [{"cidr": "192.168.1.0/24"}]}));
        assert_eq!(site.no_network(&json!({"name": "n"})).0, 409);
        let w = site.lab.workload("w").unwrap();
        site.attach("n", &w, &json!({"name": "ipv1"}));
        let answer = site.delete("/v1/networks/n");
        assert_eq!(answer.status, 409);
        assert!(answer.text().contains("ipv1"), "{}", answer.text());
        assert_eq!(site.delete("/v1/networks/nn").status, 404);
    });
}
