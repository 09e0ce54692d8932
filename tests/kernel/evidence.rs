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
        let put =
            site.client.send("PUT", "/v1/policies/tier-isolation", &[("content-type", "application/json")], other.to_string().as_bytes());
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
