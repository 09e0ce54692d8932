//! Denied means no effect: not one netlink message.

use crate::support::{faults, site, text};
use serde_json::{Value, json};

fn violations(problem: &Value) -> Vec<String> {
    problem["violations"].as_array().into_iter().flatten().map(|v| text(v, "rule")).collect()
}

#[test]
fn a_denied_attach_and_a_denied_create_send_nothing_at_all() {
    site(|site| {
        let cards = json!({"name": "cards", "parent": "eth0.40", "subnets": [{"cidr": "192.168.40.0/24"}], "labels": {"tier": "cards"}});
        site.network(&cards);
        let w = site.lab.workload("w").unwrap();
        let before = (site.lab.host.links().unwrap(), w.links().unwrap());
        let (pid, lab) = (site.daemon.pid().unwrap(), site.lab);
        let wish = json!({"workload": {"name": "web2", "labels": {"tier": "frontend"}}});
        let (denied, sent) = lab.counting_netlink(pid, || site.try_attach("cards", &w, &wish)).unwrap();
        assert_eq!(denied.status, 403, "{}", denied.text());
        assert_eq!(sent.messages, 0, "{:?}", sent.trace);
        let problem = denied.json().unwrap();
        assert!(!violations(&problem).is_empty(), "{problem}");
        for v in problem["violations"].as_array().unwrap() {
            for key in ["policy", "rule", "message", "field", "remedy"] {
                assert!(v[key].as_str().is_some_and(|t| !t.is_empty()), "{key} of {v}");
            }
        }
        let beside = json!({"name": "front", "parent": "eth0.40", "subnets": [{"cidr": "10.40.0.0/24"}], "labels": {"tier": "frontend"}});
        let (denied, sent) = lab.counting_netlink(pid, || site.post("/v1/networks", &beside)).unwrap();
        assert_eq!((denied.status, sent.messages), (403, 0), "{}\n{:?}", denied.text(), sent.trace);
        assert_eq!(before, (site.lab.host.links().unwrap(), w.links().unwrap()));
        let (allowed, sent) =
            lab.counting_netlink(pid, || site.try_attach("cards", &w, &json!({"workload": {"labels": {"tier": "cards"}}}))).unwrap();
        assert_eq!(allowed.status, 201, "{}", allowed.text());
        assert!(sent.messages > 0, "the positive control: an allowed one is counted");
        let decisions = site.items("/v1/decisions?limit=50");
        let verdicts: Vec<&str> = decisions.iter().filter_map(|d| d["verdict"].as_str()).collect();
        assert!(verdicts.iter().filter(|v| **v == "denied").count() == 2, "{verdicts:?}");
    });
}

#[test]
fn one_workload_does_not_join_two_tiers() {
    site(|site| {
        for (name, id, tier) in [("front", 30, "frontend"), ("cards", 40, "cards")] {
            let subnets = json!([{"cidr": format!("192.168.{id}.0/24")}]);
            site.network(&json!({"name": name, "parent": format!("eth0.{id}"), "subnets": subnets, "labels": {"tier": tier}}));
        }
        let w = site.lab.workload("w").unwrap();
        site.attach("front", &w, &json!({}));
        let denied = site.try_attach("cards", &w, &json!({"interface": "eth1"}));
        assert_eq!(denied.status, 403, "{}", denied.text());
        assert!(denied.text().contains("tier-isolation"), "{}", denied.text());
    });
}

#[test]
fn an_unshielded_trunk_counts_as_sharing_with_its_vlans() {
    site(|site| {
        let subnets = |c: &str| json!([{"cidr": c}]);
        site.network(&json!({"name": "cards", "parent": "eth0.40", "subnets": subnets("192.168.40.0/24"), "labels": {"tier": "cards"}}));
        let open = json!({"name": "open", "parent": "eth0", "subnets": subnets("192.168.1.0/24"), "labels": {"tier": "frontend"}, "shield": "off"});
        let denied = site.post("/v1/networks", &open);
        assert_eq!(denied.status, 403, "{}", denied.text());
        let mut shielded = open.clone();
        shielded["shield"] = json!("on");
        site.network(&shielded);
    });
}

#[test]
fn a_dry_run_shows_decision_and_plan_and_changes_nothing() {
    site(|site| {
        let wish = json!({"name": "n", "parent": "eth0.30", "subnets": [{"cidr": "192.168.30.0/24"}]});
        let before = site.lab.host.links().unwrap();
        let dry = site.post("/v1/networks?dry_run=true", &wish);
        assert_eq!(dry.status, 200, "{}", dry.text());
        let dry = dry.json().unwrap();
        let plan = text(&dry["plan"], "text");
        assert!(plan.starts_with("ip link add link eth0 name eth0.30"), "{plan}");
        assert_eq!(dry["decision"]["verdict"], "allowed", "{dry}");
        assert_eq!(site.lab.host.links().unwrap(), before);
        assert!(site.items("/v1/networks").is_empty() && !site.items("/v1/decisions").iter().any(|d| d["subject"] == "n"));
    });
}

#[test]
fn where_no_enforcing_policy_judges_the_request_is_denied_as_unjudged() {
    site(|site| {
        for policy in site.items("/v1/policies") {
            let answer = site.delete(&format!("/v1/policies/{}?reason=a+test", text(&policy, "name")));
            assert_eq!(answer.status / 100, 2, "{}", answer.text());
        }
        let denied = site.post("/v1/networks", &json!({"name": "n"}));
        assert_eq!(denied.status, 403);
        assert_eq!(violations(&denied.json().unwrap()), ["unjudged"]);
        assert!(faults(&denied).is_empty());
    });
}
