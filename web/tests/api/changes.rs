//! The life of networks, endpoints, policies and modules over the API.

use crate::site::{Site, must};
use serde_json::{Value, json};

#[test]
fn a_network_and_its_endpoints_come_and_go() {
    let site = Site::new();
    let mut client = site.client();
    let nothing = site.kernel.snapshot();
    let wish = json!({
        "name": "db_net_ipv", "mode": "l2", "flag": "bridge", "parent": "eth0.30", "internal": false, "ipv6": false, "mtu": 1500, "gateway": "auto",
        "subnets": [{"cidr": "192.168.1.0/24", "gateway": "192.168.1.1", "ip_range": "192.168.1.128/25", "reserved": {"router": "192.168.1.5"}}],
        "labels": {"tier": "db"}
    });
    let answer = client.post("/v1/networks", &wish);
    assert_eq!(answer.header("location"), Some("/v1/networks/db_net_ipv"), "{}", answer.text());
    let network = must(answer, 201);
    assert_eq!(network["state"], "ready");
    let parent = &network["parent"];
    let shown = ["asked", "link", "kind", "vlan", "origin", "state"].map(|k| parent[k].clone());
    assert_eq!(shown, [json!("eth0.30"), json!("eth0.30"), json!("vlan"), json!(30), json!("ours"), json!("present")]);
    assert_eq!(parent["shield"], json!({"wanted": true, "egress": true, "ingress": true, "bypassed_by": null, "state": "up"}));
    assert_eq!(
        network["subnets"],
        json!([{"cidr": "192.168.1.0/24", "gateway": "192.168.1.1", "ip_range": "192.168.1.128/25", "reserved": {"router": "192.168.1.5"}, "addresses_left": "127"}])
    );
    assert_eq!((&network["segment"], &network["mtu"], &network["decision"]), (&json!("default/vlan-30"), &json!(1500), &json!(3)));
    assert_eq!(network["warnings"], json!(["tiers: a warning"]));
    let id = network["id"].as_str().unwrap();
    let mut seen = must(client.get("/v1/networks/db_net_ipv"), 200);
    assert_eq!(seen, must(client.get(&format!("/v1/networks/{id}")), 200));
    seen["warnings"] = network["warnings"].clone();
    assert_eq!(seen, network);
    let taken = client.post("/v1/networks", &wish);
    assert_eq!((taken.status, taken.fields()[0].as_str()), (409, "name"));

    let attach = json!({
        "namespace": {"path": "/run/netns/a"}, "interface": "net0", "name": "ipv1", "addresses": ["192.168.1.10"],
        "workload": {"id": "w1", "name": "db-1", "labels": {"tier": "db"}, "capabilities": ["CAP_NET_RAW"]}
    });
    let endpoints = "/v1/networks/db_net_ipv/endpoints";
    let answer = client.post(endpoints, &attach);
    let location = answer.header("location").map(str::to_owned);
    let endpoint = must(answer, 201);
    assert_eq!(location, Some(format!("{endpoints}/{}", endpoint["id"].as_str().unwrap())));
    let shown = ["network", "name", "state", "interface", "addresses", "gateway", "gateway_v6", "decision"].map(|k| endpoint[k].clone());
    assert_eq!(
        shown,
        [
            json!("db_net_ipv"),
            json!("ipv1"),
            json!("attached"),
            json!("net0"),
            json!(["192.168.1.10/24"]),
            json!("192.168.1.1"),
            json!(null),
            json!(4)
        ]
    );
    assert_eq!(
        endpoint["workload"],
        json!({"id": "w1", "name": "db-1", "labels": {"tier": "db"}, "provenance": "asserted", "capabilities": ["NET_RAW"]})
    );
    assert_eq!(endpoint["namespace"]["named"], "/run/netns/a");
    assert_eq!(endpoint["routes"], json!([{"destination": "0.0.0.0/0", "via": "192.168.1.1"}]));

    // The same again, named another way: what is there, no decision.
    let mut again = attach.clone();
    again["namespace"] = json!({"name": "a"});
    let mut repeat = must(client.post(endpoints, &again), 200);
    repeat["warnings"] = endpoint["warnings"].clone();
    assert_eq!(repeat, endpoint);
    assert_eq!(must(client.get("/v1/health"), 200)["last_decision"], 4);
    let mut other = attach.clone();
    (other["addresses"], other["interface"]) = (json!(["192.168.1.11"]), json!("net1"));
    let answer = client.post(endpoints, &other);
    assert_eq!((answer.status, answer.fields()), (409, vec!["interface".to_owned(), "addresses".to_owned()]));

    let busy = client.delete("/v1/networks/db_net_ipv");
    assert!(busy.status == 409 && busy.text().contains("ipv1"), "{}", busy.text());
    assert_eq!(must(client.delete(&format!("{endpoints}/ipv1")), 200), json!({"decision": 5, "warnings": ["tiers: a warning"]}));
    assert_eq!(client.get(&format!("{endpoints}/ipv1")).status, 404);
    must(client.delete(&format!("/v1/networks/{id}")), 200);
    assert_eq!(site.kernel.snapshot().host, nothing.host, "nothing is left behind");

    let events = must(client.get("/v1/events?after=2&limit=3"), 200);
    let kinds: Vec<&str> = events["items"].as_array().unwrap().iter().map(|e| e["kind"].as_str().unwrap()).collect();
    assert_eq!((kinds, &events["next"]), (vec!["network.created", "endpoint.attached", "endpoint.detached"], &json!("5")));
    let of: Vec<&Value> = events["items"].as_array().unwrap().iter().map(|e| &e["network"]).collect();
    assert_eq!(of[0], "db_net_ipv");
    assert!(of[1].is_null(), "whose endpoint it was is not known any more");
    assert_eq!(must(client.get("/v1/events?after=5"), 200)["next"], json!(null));
    let decision = must(client.get("/v1/decisions/3"), 200);
    assert_eq!(
        (&decision["operation"], &decision["verdict"], &decision["outcomes"][0]["text"]),
        (&json!("create-network"), &json!("allowed"), &json!("done"))
    );
    assert_eq!(decision["heard"][0]["question"]["network"]["name"], "db_net_ipv", "with all that the policy saw");
    assert!(decision["plan"].as_str().unwrap().contains("type vlan id 30"));
}

#[test]
fn a_denial_says_all_and_changes_nothing() {
    let site = Site::new();
    let mut client = site.client();
    let before = site.kernel.snapshot();
    let wish = json!({"name": "n", "parent": "eth0", "labels": {"tier": "forbidden"}});
    let problem = must(client.post("/v1/networks", &wish), 403);
    assert_eq!(
        (&problem["type"], &problem["title"], &problem["decision"]),
        (&json!("/problems/denied"), &json!("Denied by policy"), &json!(3))
    );
    let events = must(client.get("/v1/events?after=2"), 200)["items"].take();
    assert_eq!(
        (&events[0]["kind"], &events[0]["subject"], events.as_array().map(Vec::len)),
        (&json!("decision.denied"), &json!("n"), Some(1))
    );
    assert_eq!(events[0]["text"], "create-network of n for root: denied by tiers (decision 3)", "who watches hears of it");
    let violation = json!({"policy": "tiers", "rule": "no-such-tier", "field": "labels.tier", "message": "tier forbidden is not to be", "remedy": "another tier"});
    assert_eq!(problem["violations"], json!([violation]));
    assert_eq!(site.kernel.snapshot(), before);
    let logged = must(client.get("/v1/decisions?verdict=denied"), 200);
    assert_eq!((&logged["items"][0]["id"], &logged["items"][0]["violations"]), (&json!(3), &json!([violation])));
    assert!(logged["items"][0]["heard"][0].get("question").is_none(), "lists are short");

    // Removals: what is denied, an admin may force, with a reason.
    must(client.post("/v1/networks", &json!({"name": "s", "labels": {"tier": "sticky"}})), 201);
    assert_eq!(client.delete("/v1/networks/s").status, 403);
    assert_eq!(client.delete("/v1/networks/s?force=").status, 422);
    let forced = must(client.delete("/v1/networks/s?force=it+must+go"), 200);
    let decision = must(client.get(&format!("/v1/decisions/{}", forced["decision"])), 200);
    assert_eq!((&decision["verdict"], &decision["forced_because"]), (&json!("forced"), &json!("it must go")));
}

#[test]
fn a_dry_run_shows_all_and_changes_nothing() {
    let site = Site::new();
    let mut client = site.client();
    must(client.post("/v1/networks", &json!({"name": "there", "subnets": [{"cidr": "10.0.0.0/24"}]})), 201);
    must(client.post("/v1/networks/there/endpoints", &json!({"namespace": {"name": "a"}, "name": "a"})), 201);
    // Makes the namespace known, so that the attach below changes nothing of it.
    client.post("/v1/networks/there/endpoints?dry_run=true", &json!({"namespace": {"name": "b"}}));
    let module = must(client.get("/v1/modules"), 200)["items"][0]["digest"].as_str().unwrap().to_owned();
    let (record, kernel) = (site.engine.state(), site.kernel.snapshot());
    let health = must(client.get("/v1/health"), 200);

    let plan = |dry: &Value| dry["plan"]["text"].as_str().unwrap().to_owned();
    let dry = must(client.post("/v1/networks?dry_run=true", &json!({"name": "n", "parent": "eth0.30"})), 200);
    assert_eq!((&dry["decision"]["verdict"], &dry["decision"]["warnings"]), (&json!("allowed"), &json!(["tiers: a warning"])));
    assert!(plan(&dry).starts_with("ip link add link eth0 name eth0.30 index "), "{}", plan(&dry));
    assert_eq!(dry["plan"]["steps"][0]["step"], "add_vlan");
    assert_eq!(dry["decision"]["heard"][0]["outcome"], "allow");
    let denied = must(client.post("/v1/networks?dry_run=true", &json!({"name": "n", "labels": {"tier": "forbidden"}})), 200);
    assert_eq!((&denied["decision"]["verdict"], &denied["decision"]["violations"][0]["rule"]), (&json!("denied"), &json!("no-such-tier")));
    assert_eq!(denied["plan"], json!({"steps": [], "text": ""}));
    assert_eq!(client.post("/v1/networks?dry_run=true", &json!({"name": "there"})).status, 409, "what is wrong is wrong in a dry run, too");

    let attach = must(client.post("/v1/networks/there/endpoints?dry_run=true", &json!({"namespace": {"name": "b"}})), 200);
    assert!(
        plan(&attach).contains("type ipvlan mode l2 bridge") && plan(&attach).contains("ip -n /run/netns/b addr add 10.0.0.3/24"),
        "{}",
        plan(&attach)
    );
    let repeat = must(client.post("/v1/networks/there/endpoints?dry_run=true", &json!({"namespace": {"name": "a"}, "name": "a"})), 200);
    assert!(repeat["already"].is_string() && plan(&repeat).is_empty());
    assert!(plan(&must(client.delete("/v1/networks/there/endpoints/a?dry_run=true"), 200)).contains("link del eth0"));
    assert_eq!(client.delete("/v1/networks/there?dry_run=true").status, 409);
    let policy = json!({"name": "p", "module": module});
    for (method, path, body) in [
        ("POST", "/v1/policies?dry_run=true".to_owned(), policy.to_string()),
        ("PUT", "/v1/policies/tiers?dry_run=true&reason=x".to_owned(), json!({"module": module, "mode": "off"}).to_string()),
        ("DELETE", "/v1/policies/tiers?dry_run=true&reason=x".to_owned(), String::new()),
    ] {
        let answer = client.send(method, &path, &[("Content-Type", "application/json")], body.as_bytes());
        assert_eq!(must(answer, 200)["decision"]["verdict"], "allowed");
    }
    let upload = client.send("POST", "/v1/modules?dry_run=true", &[("Content-Type", "application/wasm")], b"\0asmother");
    assert_eq!(must(upload, 200)["decision"]["verdict"], "allowed");
    assert_eq!(client.delete(&format!("/v1/modules/{module}?dry_run=true")).status, 409);

    assert!(std::sync::Arc::ptr_eq(&site.engine.state(), &record), "not even published anew");
    assert_eq!(site.kernel.snapshot(), kernel);
    let mut now = must(client.get("/v1/health"), 200);
    now["uptime_s"] = health["uptime_s"].clone();
    assert_eq!(now, health);
}

#[test]
fn lists_are_filtered_and_come_in_pages() {
    let site = Site::new();
    let mut client = site.client();
    for i in 0..5 {
        let tier = if i % 2 == 0 { "even" } else { "odd" };
        must(client.post("/v1/networks", &json!({"name": format!("n{i}"), "mode": "l3", "labels": {"tier": tier, "app": "x"}})), 201);
        // Ids begin with the time: a list is in the order in which things were made.
        std::thread::sleep(std::time::Duration::from_millis(2));
    }
    let mut names = |query: &str| {
        let (mut all, mut cursor, mut pages) = (Vec::new(), String::new(), 0);
        loop {
            let page = must(client.get(&format!("/v1/networks?{query}{cursor}")), 200);
            all.extend(page["items"].as_array().unwrap().iter().map(|n| n["name"].as_str().unwrap().to_owned()));
            pages += 1;
            match page["next"].as_str() {
                Some(next) => cursor = format!("&cursor={next}"),
                None => return (all.join(" "), pages),
            }
        }
    };
    let all = "n0 n1 n2 n3 n4".to_owned();
    assert_eq!(names("limit=2"), (all.clone(), 3));
    assert_eq!(names("limit=5"), (all.clone(), 1), "no page that is empty");
    assert_eq!(names("label=tier=even&limit=1"), ("n0 n2 n4".into(), 3));
    assert_eq!(names("label=tier=odd&label=app=x").0, "n1 n3");
    assert_eq!(names("label=tier=odd&label=app=y").0, "");
    assert_eq!(names("name=n3").0, "n3");
    assert_eq!(names("mode=l3&state=ready").0, all);
    assert_eq!(names("mode=l2").0, "");
    for i in 0..3 {
        let body =
            json!({"namespace": {"name": format!("w{i}")}, "name": format!("e{i}"), "workload": {"labels": {"app": format!("a{i}")}}});
        must(client.post("/v1/networks/n1/endpoints", &body), 201);
    }
    let mut count = |path: &str| must(client.get(path), 200)["items"].as_array().unwrap().len();
    assert_eq!(count("/v1/endpoints"), 3);
    assert_eq!(count("/v1/endpoints?network=n0"), 0);
    assert_eq!(count("/v1/endpoints?network=n1&label=app=a1"), 1);
    assert_eq!(count("/v1/networks/n1/endpoints?name=e2&state=attached"), 1);
    let address = must(site.client().get("/v1/networks/n1/endpoints/e0"), 200)["addresses"][0]
        .as_str()
        .unwrap()
        .split('/')
        .next()
        .unwrap()
        .to_owned();
    assert_eq!(count(&format!("/v1/endpoints?address={address}")), 1);
    assert_eq!(count("/v1/decisions?operation=attach&limit=2"), 2);
    assert_eq!(count("/v1/decisions?since=2999-01-01"), 0);
    let parents = must(site.client().get("/v1/parents?state=available"), 200);
    assert_eq!(parents["items"][0]["link"], "eth0");
    assert_eq!(count("/v1/parents?kind=dummy"), 5);
    assert_eq!(count("/v1/parents?kind=dummy&limit=2"), 2);
}

#[test]
fn policies_and_modules_come_and_go() {
    let site = Site::new();
    let mut client = site.client();
    let wasm = [("Content-Type", "application/wasm")];
    let answer = client.send("POST", "/v1/modules", &wasm, b"\0asmmine");
    let location = answer.header("location").unwrap().to_owned();
    let module = must(answer, 201);
    let digest = module["digest"].as_str().unwrap();
    assert_eq!(location, format!("/v1/modules/{digest}"));
    assert_eq!((&module["size"], &module["built_in"], &module["policies"]), (&json!(8), &json!(false), &json!([])));
    assert_eq!(must(client.send("POST", "/v1/modules", &wasm, b"\0asmmine"), 200)["digest"], digest, "the same bytes again");
    let content = client.get(&format!("{location}/content"));
    assert_eq!(
        (content.status, content.header("content-type"), content.body.as_slice()),
        (200, Some("application/wasm"), &b"\0asmmine"[..])
    );

    let wish = json!({"name": "p", "module": digest, "settings": {"max": 3}, "mode": "audit", "scope": {"operations": ["attach"], "network_labels": {"tier": "cards"}}});
    let answer = client.post("/v1/policies", &wish);
    assert_eq!(answer.header("location"), Some("/v1/policies/p"));
    let policy = must(answer, 201);
    assert_eq!((&policy["revision"], &policy["mode"], &policy["settings"]), (&json!(1), &json!("audit"), &json!({"max": 3})));
    assert_eq!(policy["scope"], json!({"operations": ["attach"], "network_labels": {"tier": "cards"}, "networks": []}));
    assert_eq!(client.post("/v1/policies", &wish).status, 409);
    // With other settings a module may look at other labels: the policy, not the module, says at which.
    let zone = must(client.post("/v1/policies", &json!({"name": "z", "module": digest, "settings": {"label": "zone"}})), 201);
    assert_eq!((&zone["description"]["label_keys"], &module["description"]["label_keys"]), (&json!(["zone"]), &json!(["tier"])));
    let needs = client.delete("/v1/policies/z");
    assert_eq!((needs.status, needs.fields()), (422, vec!["reason".to_owned()]), "who loosens says why");
    must(client.delete("/v1/policies/z?reason=a+test"), 200);
    let mut same = wish.clone();
    same.as_object_mut().unwrap().remove("name");
    let unchanged = must(client.put("/v1/policies/p", &same), 200);
    assert_eq!((&unchanged["revision"], unchanged.get("decision")), (&json!(1), None), "the same again changes nothing");
    same["mode"] = json!("enforce");
    assert_eq!(must(client.put("/v1/policies/p", &same), 200)["revision"], 2);
    must(client.put("/v1/policies/q", &same), 201);
    assert_eq!(must(client.get(&format!("/v1/policies?module={digest}")), 200)["items"].as_array().unwrap().len(), 2);
    let used = client.delete(&location);
    assert!(used.status == 409 && used.text().contains("p, q"), "{}", used.text());
    must(client.delete("/v1/policies/p?reason=a+test"), 200);
    must(client.delete("/v1/policies/q?reason=a+test"), 200);
    must(client.delete(&location), 200);
    // The module of `tiers` has judged this.
    must(client.post("/v1/networks", &json!({"name": "judged"})), 201);
    let other = must(client.get("/v1/policies/tiers"), 200)["module"].as_str().unwrap().to_owned();
    must(client.delete("/v1/policies/tiers?reason=a+test"), 200);
    let stays = client.delete(&format!("/v1/modules/{other}"));
    assert!(stays.status == 409 && stays.text().contains("was judged by it"), "{}", stays.text());
    assert_eq!(client.delete("/v1/policies/p?reason=again").status, 404);
    let unused = must(client.send("POST", "/v1/modules", &wasm, b"\0asmunused"), 201);
    let unused = format!("/v1/modules/{}", unused["digest"].as_str().unwrap());
    must(client.delete(&unused), 200);
    assert_eq!(client.get(&unused).status, 404);
}

#[test]
fn revisions_of_a_policy_are_read_compared_and_put_in_force_again() {
    let site = Site::new();
    let mut client = site.client();
    let digest = must(client.send("POST", "/v1/modules", &[("Content-Type", "application/wasm")], b"\0asmmine"), 201)["digest"].clone();
    let wish = |max: u32, mode: &str| json!({"module": digest, "settings": {"max": max}, "mode": mode});
    must(client.put("/v1/policies/p", &wish(3, "audit")), 201);
    must(client.put("/v1/policies/p", &wish(4, "enforce")), 200);
    let refused = client.put("/v1/policies/p", &wish(4, "audit"));
    assert_eq!((refused.status, refused.fields()), (422, vec!["reason".to_owned()]));
    let narrower = json!({"module": digest, "settings": {"max": 4}, "scope": {"operations": ["attach"]}});
    assert_eq!(client.put("/v1/policies/p", &narrower).status, 422);
    assert_eq!(must(client.put("/v1/policies/p?reason=only+these", &narrower), 200)["revision"], 3);

    let all = must(client.get("/v1/policies/p/revisions"), 200);
    let told: Vec<_> =
        all["items"].as_array().unwrap().iter().map(|r| (r["revision"].clone(), r["mode"].clone(), r["in_force"].clone())).collect();
    let expected = [(1, "audit", false), (2, "enforce", false), (3, "enforce", true)].map(|(n, m, f)| (json!(n), json!(m), json!(f)));
    assert_eq!(told, expected);
    assert!(all["items"][0]["decision"].is_u64(), "{all}");
    let diff = must(client.get("/v1/policies/p/revisions/2/diff"), 200);
    let changes = json!([{"path": "/mode", "before": "audit", "after": "enforce"}, {"path": "/settings/max", "before": 3, "after": 4}]);
    assert_eq!((&diff["from"], &diff["to"], &diff["changes"]), (&json!(1), &json!(2), &changes));
    assert_eq!(must(client.get("/v1/policies/p/revisions/3/diff?from=1"), 200)["changes"].as_array().unwrap().len(), 3);

    // Back to the first one loosens: a reason is asked for. Back to the second does not.
    assert_eq!(client.post("/v1/policies/p/rollback", &json!({"revision": 1})).status, 422);
    let back = must(client.post("/v1/policies/p/rollback", &json!({"revision": 2})), 200);
    assert_eq!((&back["revision"], &back["mode"], &back["settings"]["max"]), (&json!(4), &json!("enforce"), &json!(4)));
    must(client.delete("/v1/policies/p?reason=a+test"), 200);
    let again = must(client.post("/v1/policies/p/rollback", &json!({"revision": 1})), 201);
    assert_eq!(again["revision"], 5, "numbers go on: a decision names what it was judged by");

    for (path, body, field) in [
        ("/v1/policies/p/rollback", json!({"revision": 99}), "revision"),
        ("/v1/policies/p/rollback", json!({"revision": 0}), "revision"),
        ("/v1/policies/p/rollback", json!({}), "revision"),
        ("/v1/policies/p/rollback", json!({"revision": 1, "revison": 1}), "revison"),
    ] {
        let answer = client.post(path, &body);
        assert_eq!((answer.status, answer.fields()), (422, vec![field.to_owned()]), "{body}");
    }
    for path in
        ["/v1/policies/none/revisions", "/v1/policies/p/revisions/99", "/v1/policies/p/revisions/x", "/v1/policies/p/revisions/1/diff"]
    {
        assert_eq!(client.get(path).status, 404, "{path}");
    }
}

#[test]
fn a_decision_is_asked_again_and_the_log_is_gone_through() {
    let site = Site::new();
    let mut client = site.client();
    let made = must(client.post("/v1/networks", &json!({"name": "n", "labels": {"tier": "db"}})), 201);
    let denied = client.post("/v1/networks", &json!({"name": "m", "labels": {"tier": "forbidden"}}));
    assert_eq!(denied.status, 403);
    for (decision, verdict) in [(made["decision"].clone(), "allowed"), (denied.json()["decision"].clone(), "denied")] {
        let replay = must(client.get(&format!("/v1/decisions/{decision}/replay")), 200);
        assert_eq!((&replay["same"], &replay["verdict"]), (&json!(true), &json!(verdict)), "{replay}");
        assert_eq!(replay["policies"][0]["then"]["outcome"], replay["policies"][0]["now"]["outcome"]);
    }
    assert_eq!(client.get("/v1/decisions/99/replay").status, 404);
    let found = must(client.get("/v1/decisions/verify"), 200);
    assert_eq!((&found["intact"], &found["size"], &found["root_matches"]), (&json!(true), &json!(4), &json!(null)));
    let root = found["root"].as_str().unwrap();
    let with_root = must(client.get(&format!("/v1/decisions/verify?root={root}&size=4")), 200);
    assert_eq!((&with_root["intact"], &with_root["root_matches"]), (&json!(true), &json!(true)));
    let wrong = must(client.get(&format!("/v1/decisions/verify?root={root}&size=3")), 200);
    assert_eq!((&wrong["intact"], &wrong["root_matches"]), (&json!(false), &json!(false)));
    for (query, field) in [("root=x&size=1", "root"), ("size=-1", "size"), ("size=1", "root")] {
        let answer = client.get(&format!("/v1/decisions/verify?{query}"));
        assert_eq!(answer.status, 422, "{query}");
        assert!(answer.fields().contains(&field.to_owned()), "{query}: {:?}", answer.fields());
    }
}

#[test]
fn what_the_kernel_refuses_is_told_and_undone() {
    let site = Site::new();
    let mut client = site.client();
    let before = site.kernel.snapshot();
    site.kernel.fail(bulkhead_kernel::sim::Failure::Step(1));
    let problem = must(client.post("/v1/networks", &json!({"name": "n"})), 500);
    assert_eq!((&problem["type"], &problem["decision"], &problem["goes_on"]), (&json!("/problems/kernel"), &json!(3), &json!(false)));
    assert!(problem["detail"].as_str().unwrap().contains("ip link set bh-"), "{problem}");
    assert_eq!(site.kernel.snapshot().host, before.host);
    assert_eq!(client.get("/v1/networks/n").status, 404);
    must(client.post("/v1/networks", &json!({"name": "n"})), 201);
}

#[test]
fn a_rehearsal_tells_what_would_be_denied_and_the_standing_violations_what_is() {
    let site = Site::new();
    let mut client = site.client();
    let module = must(client.get("/v1/policies/tiers"), 200)["module"].clone();
    let tiers = |mode: &str| json!({"module": module, "mode": mode});
    must(client.put("/v1/policies/tiers?reason=a+test", &tiers("audit")), 200);
    must(
        client.put(
            "/v1/policies/other",
            &json!({"module": module, "scope": {"networks": ["elsewhere", "bad", "good"], "operations": ["attach"]}}),
        ),
        201,
    );
    let other_allows = client.post("/v1/networks", &json!({"name": "bad", "labels": {"tier": "forbidden"}}));
    assert_eq!(other_allows.status, 403, "nobody judges a create now");
    must(client.put("/v1/policies/tiers", &tiers("enforce")), 200);
    must(client.post("/v1/networks", &json!({"name": "good", "labels": {"tier": "db"}})), 201);
    assert!(must(client.get("/v1/violations"), 200)["items"].as_array().unwrap().is_empty());
    let came = must(client.post("/v1/rehearsals", &json!({"name": "tiers", "module": module})), 200);
    assert_eq!((&came["verdict"], &came["networks"], &came["endpoints"]), (&json!("neither"), &json!(1), &json!(0)));
    assert_eq!(came["compared_with"], json!(must(client.get("/v1/policies/tiers"), 200)["revision"].as_u64().unwrap()));
    for (body, field) in [
        (json!({"module": module}), "name"),
        (json!({"name": "x", "module": module, "settings": {"max": "many"}}), "settings.max"),
        (json!({"name": "x", "module": format!("sha256:{}", "0".repeat(64))}), "module"),
    ] {
        let answer = client.post("/v1/rehearsals", &body);
        assert_eq!((answer.status, answer.fields()), (422, vec![field.to_owned()]), "{body}");
    }
}

#[test]
fn a_policy_changes_its_mode_by_itself_and_says_whom_to_ask() {
    let site = Site::new();
    let mut client = site.client();
    let module = must(client.get("/v1/policies/tiers"), 200)["module"].clone();
    let help = json!({"contact": "network-team@example.com", "url": "https://example.com/tiers", "message": "Tiers are made in the quarterly round."});
    let wish = |until: &str, mode: &str, then: &str| json!({"module": module, "mode": mode, "until": until, "then": then, "help": help});
    let forbidden = json!({"name": "n", "labels": {"tier": "forbidden"}});

    // "Audit until …, then enforce", when that time has come and when it has not.
    let past = must(client.put("/v1/policies/tiers", &wish("2001-03-01T00:00:00Z", "audit", "enforce")), 200);
    assert_eq!((&past["until"], &past["then"], &past["help"]), (&json!("2001-03-01T00:00:00.000Z"), &json!("enforce"), &help));
    let denied = client.post("/v1/networks", &forbidden);
    assert_eq!((denied.status, &denied.json()["violations"][0]["help"]), (403, &help));
    let decision = must(client.get(&format!("/v1/decisions/{}", denied.json()["decision"])), 200);
    assert_eq!((&decision["heard"][0]["mode"], &decision["violations"][0]["help"]), (&json!("enforce"), &help));
    let needs = client.put("/v1/policies/tiers", &wish("2999-03-01T00:00:00Z", "audit", "enforce"));
    assert_eq!((needs.status, needs.fields()), (422, vec!["reason".to_owned()]), "it is enforced now");
    must(client.put("/v1/policies/tiers?reason=a+test", &wish("2999-03-01T00:00:00Z", "audit", "enforce")), 200);
    assert_eq!(client.post("/v1/networks", &forbidden).status, 403, "nobody who enforces judges it");
    let later = client.put("/v1/policies/other", &json!({"module": module, "until": "2999-01-01", "then": "off"}));
    must(later, 201);

    for (body, fields) in [
        (json!({"module": module, "until": "2999-01-01"}), vec!["then"]),
        (json!({"module": module, "then": "off"}), vec!["until"]),
        (json!({"module": module, "until": "soon", "then": "on"}), vec!["until", "then"]),
        (
            json!({"module": module, "help": {"url": "javascript:alert(1)", "contact": "", "phone": "1"}}),
            vec!["help.contact", "help.url", "help.phone"],
        ),
    ] {
        let answer = client.put("/v1/policies/tiers", &body);
        let mut told = answer.fields();
        told.retain(|f| f != "reason");
        assert_eq!((answer.status, told), (422, fields.into_iter().map(str::to_owned).collect::<Vec<_>>()), "{body}");
    }
}

#[test]
fn a_network_and_a_workload_are_changed_and_what_cannot_be_is_told() {
    let site = Site::new();
    let mut client = site.client();
    let wish = json!({"name": "n", "parent": "eth0.30", "subnets": [{"cidr": "10.1.0.0/24", "ip_range": "10.1.0.64/26"}], "labels": {"tier": "db", "owner": "x"}});
    must(client.post("/v1/networks", &wish), 201);
    let change = json!({"labels": {"owner": null, "team": "net"}, "mtu": 1400, "dns": {"forward": "off"},
        "subnets": [{"cidr": "10.1.0.0/24", "ip_range": null, "gateway": "10.1.0.254"}]});
    let dry = must(client.patch("/v1/networks/n?dry_run=true", &change), 200);
    assert_eq!(dry["decision"]["verdict"], "allowed", "{dry}");
    assert_eq!(must(client.get("/v1/networks/n"), 200)["labels"], json!({"owner": "x", "tier": "db"}), "a dry run changes nothing");
    let now = must(client.patch("/v1/networks/n", &change), 200);
    assert_eq!((&now["labels"], &now["mtu"]), (&json!({"team": "net", "tier": "db"}), &json!(1400)));
    assert_eq!(now["dns"], json!({"forward": "off"}));
    assert_eq!((&now["subnets"][0]["gateway"], &now["subnets"][0]["ip_range"]), (&json!("10.1.0.254"), &json!(null)));
    let decisions = must(client.get("/v1/decisions?limit=1"), 200);
    assert_eq!(decisions["items"][0]["operation"], "change-network");
    must(client.patch("/v1/networks/n", &change), 200);
    assert_eq!(
        must(client.get("/v1/decisions?limit=1"), 200)["items"][0]["id"],
        decisions["items"][0]["id"],
        "the same again is no change"
    );

    let denied = client.patch("/v1/networks/n", &json!({"labels": {"tier": "forbidden"}}));
    assert_eq!(denied.status, 403, "{}", denied.text());
    let wrong = json!({"labels": {"a b": "x"}, "mode": "l3", "mtu": 5, "dns": {"forward": "maybe"}, "subnets": [{"cidr": "10.1.0.0"}, {"ip_range": 5}]});
    let refused = client.patch("/v1/networks/n", &wrong);
    assert_eq!(refused.status, 422);
    assert_eq!(
        refused.fields(),
        ["labels[\"a b\"]", "mtu", "dns.forward", "subnets[0].cidr", "subnets[1].cidr", "subnets[1].ip_range", "mode"]
    );

    let attach = json!({"namespace": {"name": "a"}, "interface": "eth0", "name": "e", "workload": {"labels": {"tier": "db"}}});
    must(client.post("/v1/networks/n/endpoints", &attach), 201);
    let path = "/v1/networks/n/endpoints/e";
    let now = must(client.patch(path, &json!({"workload": {"labels": {"tier": null, "app": "pg"}}})), 200);
    assert_eq!(now["workload"]["labels"], json!({"app": "pg"}));
    assert_eq!(client.patch(path, &json!({"workload": {"labels": {"tier": "forbidden"}}})).status, 403);
    let refused = client.patch(path, &json!({"workload": {"lables": {}}, "name": "x"}));
    assert_eq!((refused.status, refused.fields()), (422, ["workload.labels", "workload.lables", "name"].map(str::to_owned).to_vec()));
}
