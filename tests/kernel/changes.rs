//! Networks and workloads that change while workloads are on them.

use crate::support::{address, eventually, faults, ip, pings, site, text};
use serde_json::json;

#[test]
fn an_mtu_reaches_the_links_that_are_there_and_an_own_dummy() {
    site(|site| {
        site.network(&json!({"name": "n", "parent": "eth0", "subnets": [{"cidr": "192.168.1.0/24"}]}));
        site.network(&json!({"name": "own", "mtu": 1500}));
        let (a, b) = (site.lab.workload("a").unwrap(), site.lab.workload("b").unwrap());
        site.attach("n", &a, &json!({}));
        site.attach("own", &b, &json!({}));
        for network in ["n", "own"] {
            let changed = site.patch(&format!("/v1/networks/{network}"), &json!({"mtu": 1400}));
            assert_eq!(changed.status, 200, "{}", changed.text());
        }
        for workload in [&a, &b] {
            let has = || workload.run(&["ip", "link", "show", "dev", "eth0"]).unwrap().contains("mtu 1400");
            eventually("the link has the new MTU", has);
        }
        let dummy = text(&site.get("/v1/networks/own")["parent"], "link").to_owned();
        let host = &site.lab.host;
        eventually("the dummy has it", || host.run(&["ip", "link", "show", "dev", &dummy]).unwrap().contains("mtu 1400"));
        assert!(pings(&a, ip("192.168.1.1")));
        let refused = site.patch("/v1/networks/n", &json!({"mtu": 9000}));
        assert!(refused.status == 422 && faults(&refused)[0].contains("above the 1500 of its parent eth0"), "{}", refused.text());
        assert_eq!(site.get("/v1/health")["status"], "ok");
    });
}

#[test]
fn a_network_cannot_be_relabelled_into_anothers_tier_nor_a_workload_and_a_range_grows() {
    site(|site| {
        let subnet = json!([{"cidr": "192.168.1.0/24", "ip_range": "192.168.1.128/32"}]);
        site.network(&json!({"name": "shop", "parent": "eth0.30", "subnets": subnet, "labels": {"tier": "web"}}));
        site.network(&json!({"name": "more", "parent": "eth0.30", "subnets": [{"cidr": "192.168.2.0/24"}], "labels": {"tier": "web"}}));
        let (a, b) = (site.lab.workload("a").unwrap(), site.lab.workload("b").unwrap());
        let endpoint = site.attach("shop", &a, &json!({"name": "a"}));
        let refused = site.try_attach("shop", &b, &json!({}));
        assert_eq!(refused.status, 409, "{}", refused.text());
        let before = (site.lab.host.links().unwrap(), a.links().unwrap());
        for (path, change) in [
            ("/v1/networks/more", json!({"labels": {"tier": "cards"}})),
            ("/v1/networks/shop", json!({"labels": {"tier": "cards"}})),
            ("/v1/networks/shop/endpoints/a", json!({"workload": {"labels": {"tier": "cards"}}})),
        ] {
            let denied = site.patch(path, &change);
            assert_eq!(denied.status, 403, "{path}: {}", denied.text());
            assert!(denied.text().contains("\"policy\":\"tier-isolation\""), "{}", denied.text());
        }
        assert_eq!((site.lab.host.links().unwrap(), a.links().unwrap()), before);
        // A label that no policy looks at is nobody's business.
        let named = site.patch("/v1/networks/shop/endpoints/a", &json!({"workload": {"labels": {"release": "7"}}}));
        assert_eq!(named.status, 200, "{}", named.text());
        let grown = site.patch("/v1/networks/shop", &json!({"subnets": [{"cidr": "192.168.1.0/24", "ip_range": null}]}));
        assert_eq!(grown.status, 200, "{}", grown.text());
        let next = site.attach("shop", &b, &json!({}));
        assert_ne!(address(&next, 0), address(&endpoint, 0));
        assert!(pings(&a, address(&next, 0)));
        // After a restart the record is what the changes made of it.
        site.daemon.kill().unwrap();
        site.daemon.start().unwrap();
        site.reconnect();
        assert_eq!(site.get("/v1/networks/shop/endpoints/a")["workload"]["labels"], json!({"release": "7"}));
        assert_eq!(site.get("/v1/networks/shop")["subnets"][0]["ip_range"], json!(null));
    });
}
