//! What was decided can be asked again, and the log shows that it is what it was.

use crate::support::site;
use serde_json::{Value, json};

#[test]
fn decisions_are_the_same_when_they_are_asked_again_by_the_policies_of_then() {
    site(|site| {
        site.network(&json!({"name": "cards", "parent": "eth0.40", "subnets": [{"cidr": "192.168.40.0/24"}], "labels": {"tier": "cards"}}));
        let (a, b) = (site.lab.workload("a").unwrap(), site.lab.workload("b").unwrap());
        let allowed = site.attach("cards", &a, &json!({}))["decision"].clone();
        let denied = site.try_attach("cards", &b, &json!({"workload": {"labels": {"tier": "web"}}}));
        assert_eq!(denied.status, 403, "{}", denied.text());
        let denied = denied.json().unwrap()["decision"].clone();
        let before = site.get("/v1/decisions/verify");
        assert_eq!(before["intact"], true, "{before}");

        // The policy is another one now, and gone after that: what was decided is judged by what it was.
        let isolation = site.get("/v1/policies/tier-isolation");
        let other = json!({"module": isolation["module"], "settings": {"allowed_pairs": [["cards", "web"]]}});
        let put = site.client.send(
            "PUT",
            "/v1/policies/tier-isolation?reason=a+test",
            &[("content-type", "application/json")],
            other.to_string().as_bytes(),
        );
        assert_eq!(put.unwrap().status, 200);
        assert_eq!(site.delete("/v1/policies/tier-isolation?reason=a+test").status, 200);
        site.daemon.kill().unwrap();
        site.daemon.start().unwrap();
        site.reconnect();
        for (decision, verdict) in [(allowed, "allowed"), (denied, "denied")] {
            let replay = site.get(&format!("/v1/decisions/{decision}/replay"));
            assert_eq!((&replay["same"], &replay["verdict"]), (&json!(true), &json!(verdict)), "{replay}");
            let policies: Vec<&Value> = replay["policies"].as_array().into_iter().flatten().collect();
            assert!(policies.len() == 2 && policies.iter().all(|p| p["same_fuel"] == true && p["now"]["fuel"].is_u64()), "{replay}");
        }
        let path = format!("/v1/decisions/verify?root={}&size={}", before["root"].as_str().unwrap(), before["size"]);
        let after = site.get(&path);
        assert_eq!((&after["intact"], &after["root_matches"]), (&json!(true), &json!(true)), "{after}");
        let back = site.post("/v1/policies/tier-isolation/rollback", &json!({"revision": 1}));
        assert_eq!(back.status, 201, "{}", back.text());
        assert_eq!(back.json().unwrap()["revision"], 3);
    });
}

#[test]
fn a_policy_is_rehearsed_against_what_exists_before_it_is_enforced() {
    site(|site| {
        let on = |name: &str, parent: &str, third: u8, tier: &str| json!({"name": name, "parent": parent, "subnets": [{"cidr": format!("192.168.{third}.0/24")}], "labels": {"tier": tier}});
        site.network(&on("cards", "eth0.40", 40, "cards"));
        site.network(&on("web", "eth0.30", 30, "web"));
        let (a, b) = (site.lab.workload("a").unwrap(), site.lab.workload("b").unwrap());
        site.attach("cards", &a, &json!({}));
        site.attach("web", &b, &json!({}));
        assert!(site.items("/v1/violations").is_empty());

        let rules = site.get("/v1/policies/subnet-rules");
        let settings = json!({"tiers": {"cards": {"vlans": [41]}}});
        let wish = json!({"name": "subnet-rules", "module": rules["module"], "settings": settings});
        let answer = site.post("/v1/rehearsals", &wish);
        assert_eq!(answer.status, 200, "{}", answer.text());
        let came = answer.json().unwrap();
        assert_eq!((&came["verdict"], &came["networks"]), (&json!("tightens"), &json!(2)), "{came}");
        let groups: Vec<&Value> = came["newly_denied"].as_array().into_iter().flatten().collect();
        let denied = groups.iter().find(|g| g["operation"] == "create-network").unwrap_or_else(|| panic!("{came}"));
        assert_eq!((&denied["rule"], &denied["examples"][0]["network"]), (&json!("vlan-not-allowed"), &json!("cards")), "{came}");
        assert!(site.items("/v1/violations").is_empty(), "a rehearsal changes nothing");

        // Enforced, it stands as a violation; nothing is torn down.
        let put = |site: &mut crate::support::Site<'_>, settings: &Value, query: &str| {
            let body = json!({"module": rules["module"], "settings": settings}).to_string();
            let path = format!("/v1/policies/subnet-rules{query}");
            site.client.send("PUT", &path, &[("content-type", "application/json")], body.as_bytes()).unwrap()
        };
        assert_eq!(put(site, &settings, "").status, 200, "tightening needs no reason");
        let standing = site.items("/v1/violations");
        assert!(!standing.is_empty() && standing.iter().all(|v| v["network"] == "cards" && v["policy"] == "subnet-rules"), "{standing:?}");
        assert!(standing[0]["decision"].is_u64() && standing[0]["since"].is_string(), "{standing:?}");
        assert_eq!(site.items("/v1/endpoints").len(), 2);
        // The way back allows what is denied now: that needs one.
        let refused = put(site, &json!({}), "");
        assert_eq!((refused.status, crate::support::faults(&refused)[0].starts_with("reason:")), (422, true), "{}", refused.text());
        assert_eq!(put(site, &json!({}), "?reason=a+test").status, 200);
        assert!(site.items("/v1/violations").is_empty());
    });
}
