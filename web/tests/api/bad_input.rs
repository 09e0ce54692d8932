//! Bad requests: each names its field, says what would be right, and leaves nothing behind.

use crate::site::{Site, must};
use serde_json::{Value, json};

/// Body, status, fields of the faults.
fn networks() -> Vec<(Value, u16, Vec<&'static str>)> {
    let subnet = |subnet: Value| json!({"name": "n", "subnets": [subnet]});
    vec![
        (json!({}), 422, vec!["name"]),
        (json!([]), 422, vec![""]),
        (json!("n"), 422, vec![""]),
        (json!({"name": null}), 422, vec!["name"]),
        (json!({"name": 5}), 422, vec!["name"]),
        (json!({"name": ""}), 422, vec!["name"]),
        (json!({"name": "bad name!"}), 422, vec!["name"]),
        (json!({"name": "-n"}), 422, vec!["name"]),
        (json!({"name": "n".repeat(64)}), 422, vec!["name"]),
        (json!({"name": "n\u{0}"}), 422, vec!["name"]),
        (json!({"name": "n", "mode": "l4"}), 422, vec!["mode"]),
        (json!({"name": "n", "mode": ["l2"]}), 422, vec!["mode"]),
        (json!({"name": "n", "flag": "open"}), 422, vec!["flag"]),
        (json!({"name": "n", "parent": 0}), 422, vec!["parent"]),
        (json!({"name": "n", "parent": ""}), 422, vec!["parent"]),
        (json!({"name": "n", "parent": "eth9"}), 422, vec!["parent"]),
        (json!({"name": "n", "parent": "eth0.0"}), 422, vec!["parent"]),
        (json!({"name": "n", "parent": "eth0.4095"}), 422, vec!["parent"]),
        (json!({"name": "n", "internal": "yes"}), 422, vec!["internal"]),
        (json!({"name": "n", "ipv6": 1}), 422, vec!["ipv6"]),
        (json!({"name": "n", "ipv4": false}), 422, vec!["subnets"]),
        (json!({"name": "n", "mtu": "1500"}), 422, vec!["mtu"]),
        (json!({"name": "n", "mtu": 1500.5}), 422, vec!["mtu"]),
        (json!({"name": "n", "mtu": -1}), 422, vec!["mtu"]),
        (json!({"name": "n", "mtu": 67}), 422, vec!["mtu"]),
        (json!({"name": "n", "mtu": 1u64 << 40}), 422, vec!["mtu"]),
        (json!({"name": "n", "mtu": 9000, "parent": "eth0"}), 422, vec!["mtu"]),
        (json!({"name": "n", "gateway": "192.168.1"}), 422, vec!["gateway"]),
        (json!({"name": "n", "gateway": true}), 422, vec!["gateway"]),
        (json!({"name": "n", "shield": "maybe"}), 422, vec!["shield"]),
        (json!({"name": "n", "subnets": {}}), 422, vec!["subnets"]),
        (json!({"name": "n", "subnets": [5]}), 422, vec!["subnets[0]"]),
        (subnet(json!({})), 422, vec!["subnets[0].cidr"]),
        (subnet(json!({"cidr": "nonsense"})), 422, vec!["subnets[0].cidr"]),
        (subnet(json!({"cidr": "192.168.1.0"})), 422, vec!["subnets[0].cidr"]),
        (subnet(json!({"cidr": "192.168.1.0/33"})), 422, vec!["subnets[0].cidr"]),
        (subnet(json!({"cidr": "192.168.1.7/24"})), 422, vec!["subnets[0].cidr"]),
        (subnet(json!({"cidr": "224.0.0.0/24"})), 422, vec!["subnets[0].cidr"]),
        (subnet(json!({"cidr": "10.0.0.0/24", "gatway": "10.0.0.1"})), 422, vec!["subnets[0].gatway"]),
        (subnet(json!({"cidr": "10.0.0.0/24", "gateway": "10.0.1.1"})), 422, vec!["subnets[0].gateway"]),
        (subnet(json!({"cidr": "10.0.0.0/24", "ip_range": "10.0.1.0/25"})), 422, vec!["subnets[0].ip_range"]),
        (subnet(json!({"cidr": "10.0.0.0/24", "reserved": {"router": "10.0.0.5/24"}})), 422, vec!["subnets[0].reserved.router"]),
        (subnet(json!({"cidr": "10.0.0.0/24", "reserved": ["10.0.0.5"]})), 422, vec!["subnets[0].reserved"]),
        (json!({"name": "n", "subnets": [{"cidr": "10.0.0.0/8"}, {"cidr": "10.1.0.0/16"}]}), 422, vec!["subnets[1].cidr"]),
        (json!({"name": "n", "labels": {"tier": 3}}), 422, vec!["labels.tier"]),
        (json!({"name": "n", "labels": {"a b": "c"}}), 422, vec!["labels[\"a b\"]"]),
        (json!({"name": "n", "labels": "tier=db"}), 422, vec!["labels"]),
        (json!({"name": "n", "subnet": []}), 422, vec!["subnet"]),
        (json!({"name": "n", "Name": "m"}), 422, vec!["Name"]),
        (json!({"name": "n", "a\nb": 1}), 422, vec!["[\"a\\nb\"]"]),
        // All at once, also what only the engine would find.
        (
            json!({"name": "", "mode": "l9", "subnets": [{"cidr": "x"}, {"cidr": "10.0.0.1/8", "gateway": 1}], "colour": 1}),
            422,
            vec!["name", "mode", "subnets[0].cidr", "subnets[1].gateway", "colour"],
        ),
        (json!({"name": "", "subnets": [{"cidr": "10.0.0.1/8"}]}), 422, vec!["name", "subnets[0].cidr"]),
    ]
}

#[test]
fn bad_networks_name_their_fields() {
    let site = Site::new();
    let mut client = site.client();
    let before = site.kernel.snapshot();
    for (body, status, fields) in networks() {
        for path in ["/v1/networks", "/v1/networks?dry_run=true"] {
            let answer = client.post(path, &body);
            assert_eq!(
                (answer.status, answer.fields()),
                (status, fields.iter().map(|f| (*f).to_owned()).collect()),
                "{body}: {}",
                answer.text()
            );
            assert_eq!(answer.header("content-type"), Some("application/problem+json"));
            for fault in answer.json()["faults"].as_array().unwrap() {
                assert!(!fault["wrong"].as_str().unwrap().is_empty() && !fault["right"].as_str().unwrap().is_empty(), "{fault}");
            }
        }
    }
    assert_eq!(site.kernel.snapshot(), before);
    assert_eq!(must(client.get("/v1/networks"), 200), json!({"items": [], "next": null}));
}

#[test]
fn bad_endpoints_name_their_fields() {
    let site = Site::new();
    let mut client = site.client();
    must(client.post("/v1/networks", &json!({"name": "n", "subnets": [{"cidr": "10.0.0.0/29"}]})), 201);
    let before = site.kernel.snapshot();
    let a = json!({"name": "a"});
    for (body, status, fields) in [
        (json!({}), 422, vec!["namespace"]),
        (json!({"namespace": "a"}), 422, vec!["namespace"]),
        (json!({"namespace": {}}), 422, vec!["namespace"]),
        (json!({"namespace": {"name": "a", "pid": 1}}), 422, vec!["namespace"]),
        (json!({"namespace": {"pid": 0}}), 422, vec!["namespace.pid"]),
        (json!({"namespace": {"pid": "1"}}), 422, vec!["namespace.pid"]),
        (json!({"namespace": {"nmae": "a"}}), 422, vec!["namespace", "namespace.nmae"]),
        (json!({"namespace": {"name": "nobody"}}), 422, vec!["namespace.name"]),
        (json!({"namespace": {"path": "/run/netns/nobody"}}), 422, vec!["namespace.path"]),
        (json!({"namespace": a, "interface": "sixteen-bytes-xx"}), 422, vec!["interface"]),
        (json!({"namespace": a, "interface": "eth%d"}), 422, vec!["interface"]),
        (json!({"namespace": a, "interface": "lo"}), 422, vec!["interface"]),
        (json!({"namespace": a, "name": "a b"}), 422, vec!["name"]),
        (json!({"namespace": a, "addresses": "10.0.0.2"}), 422, vec!["addresses"]),
        (json!({"namespace": a, "addresses": ["10.0.0.2/29"]}), 422, vec!["addresses[0]"]),
        (json!({"namespace": a, "addresses": ["10.0.0.2", "x"]}), 422, vec!["addresses[1]"]),
        (json!({"namespace": a, "addresses": ["10.9.0.2"]}), 422, vec!["addresses[0]"]),
        (json!({"namespace": a, "addresses": ["10.0.0.1"]}), 409, vec!["addresses[0]"]),
        (json!({"namespace": a, "addresses": ["10.0.0.7"]}), 409, vec!["addresses[0]"]),
        (json!({"namespace": a, "workload": {"id": ""}}), 422, vec!["workload.id"]),
        (json!({"namespace": a, "workload": {"labels": {"tier": null}}}), 422, vec!["workload.labels.tier"]),
        (json!({"namespace": a, "workload": {"lables": {}}}), 422, vec!["workload.lables"]),
        (json!({"namespace": a, "adresses": []}), 422, vec!["adresses"]),
    ] {
        let answer = client.post("/v1/networks/n/endpoints", &body);
        assert_eq!(
            (answer.status, answer.fields()),
            (status, fields.iter().map(|f| (*f).to_owned()).collect()),
            "{body}: {}",
            answer.text()
        );
    }
    let answer = client.post("/v1/networks/m/endpoints", &json!({"namespace": a}));
    assert_eq!((answer.status, answer.fields()), (404, vec!["network".to_owned()]));
    assert!(answer.text().contains("did you mean n?"));
    assert_eq!(site.kernel.snapshot().host, before.host);
    assert_eq!(must(client.get("/v1/endpoints"), 200)["items"], json!([]));
}

#[test]
fn bad_policies_name_their_fields() {
    let site = Site::new();
    let mut client = site.client();
    let module = must(client.get("/v1/modules"), 200)["items"][0]["digest"].as_str().unwrap().to_owned();
    let other = format!("sha256:{}", "0".repeat(64));
    for (body, fields) in [
        (json!({}), vec!["name", "module"]),
        (json!({"name": "p", "module": "sha256:12"}), vec!["module"]),
        (json!({"name": "p", "module": other}), vec!["module"]),
        (json!({"name": "p", "module": module, "mode": "on"}), vec!["mode"]),
        (json!({"name": "p", "module": module, "settings": []}), vec!["settings"]),
        (json!({"name": "p", "module": module, "settings": {"max": "ten"}}), vec!["settings.max"]),
        (json!({"name": "p", "module": module, "scope": {"operations": ["attach", "fly"]}}), vec!["scope.operations[1]"]),
        (
            json!({"name": "p", "module": module, "settings": {"only": "create-network"}, "scope": {"operations": ["change-network"]}}),
            vec!["scope.operations[0]"],
        ),
        (json!({"name": "p", "module": module, "scope": {"network": []}}), vec!["scope.network"]),
    ] {
        let answer = client.post("/v1/policies", &body);
        assert_eq!((answer.status, answer.fields()), (422, fields.iter().map(|f| (*f).to_owned()).collect()), "{body}: {}", answer.text());
    }
    let answer = client.put("/v1/policies/p", &json!({"name": "q", "module": module}));
    assert_eq!((answer.status, answer.fields()), (422, vec!["name".to_owned()]));
    assert_eq!(must(client.get("/v1/policies"), 200)["items"].as_array().unwrap().len(), 1);
    let wasm = [("Content-Type", "application/wasm")];
    let answer = client.send("POST", "/v1/modules", &wasm, b"#!/bin/sh");
    assert_eq!(answer.status, 422, "{}", answer.text());
    assert_eq!(client.send("POST", "/v1/modules", &[("Content-Type", "application/json")], b"{}").status, 415);
}

#[test]
fn bodies_that_cannot_be_read() {
    let site = Site::new();
    let mut client = site.client();
    let as_json: &[(&str, &str)] = &[("Content-Type", "application/json")];
    for (headers, body, status, kind, says) in [
        (as_json, &b"{\"name\":\n tru}"[..], 400, "malformed", "line 2 column"),
        (as_json, b"", 400, "malformed", "the body is empty"),
        (as_json, b"{\"name\": \"n\"} {}", 400, "malformed", "trailing characters"),
        (as_json, b"{\"name\": \"\xff\"}", 400, "malformed", "line 1 column"),
        (as_json, b"{\"mtu\": 1e999}", 400, "malformed", "out of range"),
        (
            as_json,
            b"{\"name\":\"n\",\"name\":\"m\",\"subnets\":[{\"cidr\":\"10.0.0.0/8\",\"cidr\":\"11.0.0.0/8\"}]}",
            422,
            "invalid",
            "subnets[0].cidr: stands more than once",
        ),
        (&[], b"{}", 415, "unsupported-media-type", "no Content-Type"),
        (&[("Content-Type", "text/plain")], b"{}", 415, "unsupported-media-type", "text/plain"),
        (&[("Content-Type", "application/x-www-form-urlencoded")], b"name=n", 415, "unsupported-media-type", "application/json is needed"),
    ] {
        let answer = client.send("POST", "/v1/networks", headers, body);
        let problem = answer.json();
        assert_eq!((answer.status, problem["type"].as_str()), (status, Some(format!("/problems/{kind}").as_str())), "{problem}");
        assert_eq!(problem["status"], status);
        assert!(problem["detail"].as_str().unwrap().contains(says), "{says}: {problem}");
    }
    let deep = "[".repeat(100_000);
    assert_eq!(client.send("POST", "/v1/networks", as_json, deep.as_bytes()).status, 400);
    let answer = client.send("POST", "/v1/networks", &[("Content-Type", "Application/JSON; charset=utf-8")], b"{\"name\":\"n\"}");
    assert_eq!(answer.status, 201, "{}", answer.text());
}

#[test]
fn parameters_and_paths_that_are_unknown() {
    let site = Site::new();
    let mut client = site.client();
    for (path, fields, says) in [
        ("/v1/networks?labl=tier=db", vec!["labl"], "did you mean label?"),
        ("/v1/networks?label=tier", vec!["label"], "key=value"),
        ("/v1/networks?limit=0", vec!["limit"], "1 to 500"),
        ("/v1/networks?limit=5&limit=6", vec!["limit"], "once"),
        ("/v1/networks?cursor=abc", vec!["cursor"], "next of the page before"),
        ("/v1/networks?mode=l9&state=on&x=1&x=2", vec!["mode", "state", "x"], "l2, l3, l3s"),
        ("/v1/endpoints?address=10.0.0", vec!["address"], "an IP address"),
        ("/v1/decisions?since=yesterday", vec!["since"], "2026-01-31T12:00:00Z"),
        ("/v1/decisions?operation=fly", vec!["operation"], "attach"),
        ("/v1/events?after=-1", vec!["after"], "the number of an event"),
        ("/v1/health?verbose", vec!["verbose"], "no parameter is known here"),
        ("/v1/networks?force=x", vec!["force"], "one of"),
    ] {
        let answer = client.get(path);
        assert_eq!((answer.status, answer.fields()), (422, fields.iter().map(|f| (*f).to_owned()).collect()), "{path}: {}", answer.text());
        assert!(answer.text().contains(says), "{path}: {}", answer.text());
    }
    let answer = client.post("/v1/networks?dryrun=true", &json!({"name": "n", "mod": "l2"}));
    assert_eq!(answer.fields(), ["dryrun", "mod"], "of parameters and body at once");
    assert!(answer.text().contains("did you mean dry_run?"));
    for (path, says) in [
        ("/", "openapi.json"),
        ("/v1/netwroks", "did you mean /v1/networks?"),
        ("/v1/networks/", "did you mean /v1/networks?"),
        ("/v2/networks", "did you mean /v1/networks?"),
        ("/v1/networks/n", "there is no network"),
        ("/v1/networks/%ff", "cannot be read"),
        ("/v1/networks/%2e%2e%2fparents", "there is no network"),
        ("/v1/policies/tires", "did you mean tiers?"),
        ("/v1/modules/tiers", "there is no module"),
        ("/v1/decisions/99", "a number from 1 to 2"),
        ("/v1/decisions/18446744073709551615", "a number from 1 to 2"),
        ("/v1/parents/eth1", "did you mean eth0?"),
        ("/problems/odd", "no kind of problem"),
    ] {
        let answer = client.get(path);
        let problem = answer.json();
        assert_eq!((answer.status, problem["type"].as_str()), (404, Some("/problems/not-found")), "{path}: {problem}");
        assert!(answer.text().contains(says), "{path}: {problem}");
    }
    for (method, path, allow) in [
        ("PATCH", "/v1/networks", "POST,GET,HEAD"),
        ("PUT", "/v1/networks/n", "GET,HEAD,PATCH,DELETE"),
        ("DELETE", "/v1/health", "GET,HEAD"),
    ] {
        let answer = client.send(method, path, &[], b"");
        assert_eq!((answer.status, answer.json()["type"].as_str()), (405, Some("/problems/method-not-allowed")));
        let mut allowed: Vec<&str> = answer.header("allow").unwrap().split(',').collect();
        let mut wanted: Vec<&str> = allow.split(',').collect();
        allowed.sort_unstable();
        wanted.sort_unstable();
        assert_eq!(allowed, wanted, "{method} {path}");
    }
}
