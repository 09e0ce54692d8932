//! What stands between a wish for another policy and its revision: its stored tests, and a reason for what loosens.

use crate::support::{Site, faults, site};
use bulkhead_lab::Response;
use serde_json::{Value, json};

fn put(site: &mut Site<'_>, query: &str, wish: &Value) -> Response {
    let json = [("content-type", "application/json")];
    site.client.send("PUT", &format!("/v1/policies/subnet-rules{query}"), &json, wish.to_string().as_bytes()).unwrap()
}

#[test]
fn stored_tests_gate_the_revisions_of_a_policy_and_outlive_the_daemon() {
    site(|site| {
        let module = site.get("/v1/policies/subnet-rules")["module"].clone();
        let on = |vlan: u16| json!({"network": {"name": "n", "parent": format!("eth0.{vlan}"), "vlan": vlan, "labels": {"tier": "cards"}}});
        let tests = json!({"request": {"operation": "create-network"}, "cases": [
            {"name": "cards on VLAN 41", "request": on(41), "expect": "deny", "rules": ["vlan-not-allowed"]},
            {"name": "cards on VLAN 40", "request": on(40), "expect": "allow"},
        ]});
        let wish = |vlan: u16| json!({"module": module, "settings": {"tiers": {"cards": {"vlans": [vlan]}}}});
        let mut with_tests = wish(40);
        with_tests["tests"] = tests.clone();
        let answer = put(site, "", &with_tests);
        assert_eq!(answer.status, 200, "{}", answer.text());
        assert_eq!(answer.json().unwrap()["tests"]["cases"][0]["name"], "cards on VLAN 41");

        // Left out, they stay; and no reason helps against them.
        let broken = |site: &mut Site<'_>| {
            let refused = put(site, "?reason=a+move", &wish(41));
            assert_eq!(refused.status, 422, "{}", refused.text());
            let told = faults(&refused);
            assert!(
                told[0]
                    .starts_with("tests.cases[0]: \"cards on VLAN 41\" expects deny by vlan-not-allowed, and the policy would say allow")
            );
            assert!(
                told[1]
                    .starts_with("tests.cases[1]: \"cards on VLAN 40\" expects allow, and the policy would say deny by vlan-not-allowed")
            );
        };
        broken(site);
        site.daemon.kill().unwrap();
        site.daemon.start().unwrap();
        site.reconnect();
        broken(site);
        // To drop one needs a reason; a case that tests what cannot happen is none.
        let mut without = wish(40);
        without["tests"] = json!({"cases": []});
        assert!(faults(&put(site, "", &without))[0].contains("2 of its tests would be gone"));
        let mut odd = wish(40);
        odd["tests"] =
            json!({"cases": [{"name": "x", "request": {"operation": "detach"}, "expect": "deny", "rules": ["vlan-not-alowed"]}]});
        let told = faults(&put(site, "?reason=x", &odd));
        assert!(told.iter().any(|f| f.contains("declares no rule \"vlan-not-alowed\"")), "{told:?}");
        assert!(told.iter().any(|f| f.contains("is not asked about detach")), "{told:?}");
        assert_eq!(put(site, "?reason=no+longer+so", &without).status, 200);
        assert_eq!(put(site, "", &wish(41)).status, 200);
        // Back to the first revision, its tests are there again.
        let back = site.post("/v1/policies/subnet-rules/rollback?reason=back", &json!({"revision": 2}));
        assert_eq!(back.status, 200, "{}", back.text());
        assert_eq!(back.json().unwrap()["tests"]["cases"].as_array().map(Vec::len), Some(2));
    });
}

#[test]
fn settings_that_allow_what_exists_against_the_policy_need_a_reason() {
    site(|site| {
        let module = site.get("/v1/policies/subnet-rules")["module"].clone();
        site.network(&json!({"name": "cards", "parent": "eth0.40", "subnets": [{"cidr": "192.168.40.0/24"}], "labels": {"tier": "cards"}}));
        let wish = |vlans: Value| json!({"module": module, "settings": {"tiers": {"cards": {"vlans": vlans}}}});
        assert_eq!(put(site, "", &wish(json!([41]))).status, 200, "it tightens");
        assert_eq!(site.items("/v1/violations").len(), 1);
        let refused = put(site, "", &wish(json!([40, 41])));
        assert_eq!(refused.status, 422, "{}", refused.text());
        assert!(faults(&refused)[0].contains("it would allow what it denies now, such as network cards"), "{}", refused.text());
        assert_eq!(put(site, "", &wish(json!([42]))).status, 200, "what was denied still is");
        assert_eq!(put(site, "?reason=both+are+ours", &wish(json!([40, 41]))).status, 200);
        assert!(site.items("/v1/violations").is_empty());
    });
}
