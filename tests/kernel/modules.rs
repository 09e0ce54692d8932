//! A module of one's own: uploaded, made a policy, and obeyed.

use crate::support::{site, text};
use serde_json::json;

const LIMIT: &[u8] = include_bytes!("../../policies/built/examples/endpoint-limit.wasm");

#[test]
fn an_uploaded_module_denies_what_its_settings_say_and_survives_a_restart() {
    site(|site| {
        let upload = site.client.send("POST", "/v1/modules", &[("Content-Type", "application/wasm")], LIMIT).unwrap();
        assert_eq!(upload.status, 201, "{}", upload.text());
        let digest = text(&upload.json().unwrap(), "digest");
        let wrong = json!({"name": "limit", "module": digest, "settings": {"maximum": 1}, "mode": "enforce"});
        let refused = site.post("/v1/policies", &wrong);
        assert!(refused.status == 422 && refused.text().contains("settings"), "{}", refused.text());
        let wish = json!({"name": "limit", "module": digest, "settings": {"max": 1}, "mode": "enforce"});
        let made = site.post("/v1/policies", &wish);
        assert_eq!(made.status, 201, "{}", made.text());
        site.network(&json!({"name": "n", "parent": "eth0", "subnets": [{"cidr": "192.168.1.0/24"}]}));
        let (a, b) = (site.lab.workload("a").unwrap(), site.lab.workload("b").unwrap());
        site.attach("n", &a, &json!({}));
        let denied = |site: &mut crate::support::Site<'_>| {
            let denied = site.try_attach("n", &b, &json!({}));
            assert_eq!(denied.status, 403, "{}", denied.text());
            assert!(denied.text().contains("too-many") && !b.links().unwrap().contains("ipvlan"), "{}", denied.text());
        };
        denied(site);
        let in_use = site.delete(&format!("/v1/modules/{digest}"));
        assert!(in_use.status == 409 && in_use.text().contains("limit"), "{}", in_use.text());
        site.daemon.kill().unwrap();
        site.daemon.start().unwrap();
        site.reconnect();
        denied(site);
        assert_eq!(site.delete("/v1/policies/limit?reason=a+test").status / 100, 2);
        site.attach("n", &b, &json!({}));
    });
}

#[test]
fn what_is_no_policy_is_refused_with_its_reason() {
    site(|site| {
        for bytes in [&b"not wasm"[..], &LIMIT[..LIMIT.len() / 2], b"\0asm\x01\0\0\0"] {
            let answer = site.client.send("POST", "/v1/modules", &[("Content-Type", "application/wasm")], bytes).unwrap();
            assert!((400..500).contains(&answer.status), "{} {}", answer.status, answer.text());
        }
        let answer = site.client.send("POST", "/v1/modules", &[("Content-Type", "application/json")], LIMIT).unwrap();
        assert_eq!(answer.status, 415, "{}", answer.text());
    });
}
