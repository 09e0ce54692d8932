//! What the log shows, and what is reported of it.

use crate::site::{STRANGER, Site, must};
use serde_json::{Value, json};

fn attach(name: &str) -> Value {
    json!({"namespace": {"name": name}, "interface": "eth0", "workload": {"id": format!("id-{name}"), "name": name}})
}

#[test]
fn a_decision_says_when_by_both_clocks_how_long_by_what_and_what_came_of_it() {
    let site = Site::new();
    let mut client = site.client();
    must(client.post("/v1/networks", &json!({"name": "cards", "labels": {"tier": "cards"}})), 201);
    let first = must(client.post("/v1/networks/cards/endpoints", &attach("a")), 201)["decision"].clone();
    let second = must(client.post("/v1/networks/cards/endpoints", &attach("b")), 201)["decision"].clone();
    let show = |client: &mut crate::client::Client, id: &Value| must(client.get(&format!("/v1/decisions/{id}")), 200);
    let (first, second) = (show(&mut client, &first), show(&mut client, &second));
    assert_eq!(first["since_boot"]["boot"], format!("{:032x}", 7), "the boot of the simulated kernel");
    assert!(first["since_boot"]["us"].as_u64() < second["since_boot"]["us"].as_u64(), "{first} {second}");
    assert!(first["took_us"].is_u64(), "{first}");
    assert_eq!(first["judged_by"], json!({"engine": "functions", "configuration": format!("sha256:{}", "0".repeat(64))}));
    assert_eq!(first["workload"], json!({"id": "id-a", "name": "a"}));
    assert_eq!((&first["caller"]["door"], &first["caller"]["uid"]), (&json!("unix"), &json!(0)));
    assert!(first["caller"]["peer"].as_str().unwrap().starts_with("pid "), "{first}");
    let outcome = &first["outcomes"][0];
    assert_eq!((&outcome["done"], &outcome["text"]), (&json!(true), &json!("done")));
    assert!(outcome["took_us"].is_u64() && outcome["since_boot"]["us"].as_u64() > first["since_boot"]["us"].as_u64(), "{outcome}");
    let policy = must(client.get("/v1/decisions/2"), 200);
    assert_eq!((&policy["judged_by"], &policy["workload"]), (&Value::Null, &Value::Null), "no policy judges policies");
}

#[test]
fn the_report_has_every_ordered_pair_and_is_a_page_that_needs_nothing_else() {
    let site = Site::new();
    let mut client = site.client();
    let on = |name: &str, parent: &str, cidr: &str, tier: &str| json!({"name": name, "parent": parent, "subnets": [{"cidr": cidr}], "gateway": "none", "labels": {"tier": tier}});
    must(client.post("/v1/networks", &on("cards", "eth0.40", "10.4.0.0/24", "cards")), 201);
    must(client.post("/v1/networks", &on("web", "eth0.30", "10.3.0.0/24", "web")), 201);
    must(client.post("/v1/networks", &on("odd", "eth0.40", "10.9.0.0/24", "web")), 201);
    let denied = client.post("/v1/networks", &on("no", "eth0.50", "10.5.0.0/24", "forbidden"));
    assert_eq!(denied.status, 403);

    let report = must(client.get("/v1/reports/segmentation"), 200);
    let pairs = report["pairs"].as_array().unwrap();
    let ends: Vec<(&Value, &Value, &Value)> = pairs.iter().map(|p| (&p["from"], &p["to"], &p["status"])).collect();
    let (cards, web, bad) = (json!("cards"), json!("web"), json!("not-satisfied"));
    assert_eq!(ends, [(&cards, &web, &bad), (&web, &cards, &bad)]);
    let checks: Vec<(&str, &str)> =
        pairs[0]["checks"].as_array().unwrap().iter().map(|c| (c["check"].as_str().unwrap(), c["status"].as_str().unwrap())).collect();
    let (good, bad) = ("satisfied", "not-satisfied");
    assert_eq!(
        checks,
        [("shared-segment", bad), ("reach", good), ("subnet", good), ("workload", good), ("parent", bad), ("way-out", good)],
        "the second web network is on the segment of the cards"
    );
    let shared = &pairs[0]["checks"][0]["findings"][0];
    assert_eq!(
        (&shared["text"], &shared["decisions"]),
        (&json!("networks cards and odd are both on segment default/vlan-40"), &json!([3, 5]))
    );
    assert_eq!((&report["status"], &report["label"]), (&json!(bad), &json!("tier")));
    assert_eq!(report["denials"], json!([{"policy": "tiers", "rule": "no-such-tier", "count": 1, "decisions": [6]}]));
    assert_eq!((&report["log"]["size"], &report["log"]["intact"]), (&json!(6), &json!(true)));
    assert_eq!(report["kernel"], json!({"agrees": true, "differences": [], "not_seen": []}));
    assert!(!report["host"]["name"].as_str().unwrap().is_empty() && report["limits"].as_array().unwrap().len() >= 4, "{report}");
    // The policy of this site came a moment ago: before that nobody judged.
    let policy = &report["policies"][0];
    assert_eq!((&policy["policy"], &policy["mode"], &policy["decision"]), (&json!("tiers"), &json!("enforce"), &json!(2)));
    let gaps: Vec<&Value> = report["unguarded"].as_array().unwrap().iter().map(|g| &g["operation"]).collect();
    assert_eq!(gaps, ["create-network", "attach"]);
    assert_eq!(report["unguarded"][0]["until"], policy["from"]);
    assert_eq!(must(client.get("/v1/reports/segmentation?label=none"), 200)["pairs"], json!([]), "all are untiered");

    let page = client.send("GET", "/v1/reports/segmentation", &[("Accept", "text/html,application/json;q=0.9")], b"");
    assert_eq!((page.status, page.header("content-type")), (200, Some("text/html; charset=utf-8")));
    let text = page.text();
    assert_eq!(client.get("/v1/reports/segmentation?format=html").header("content-type"), page.header("content-type"));
    for wanted in
        ["<h3>cards → web: <span class=\"not-satisfied\">not satisfied</span></h3>", "decisions 3, 5", "tiers no-such-tier: 1 (decision 6)"]
    {
        assert!(text.contains(wanted), "{wanted} is not in {text}");
    }
    assert!(
        !["<script", "http://", "https://", "src=", "@import", "url("].iter().any(|s| text.contains(s)),
        "it fetches something: {text}"
    );
    let wrong = client.get("/v1/reports/segmentation?since=2030-01-01&format=pdf");
    assert_eq!((wrong.status, wrong.fields()), (422, vec!["format".to_owned(), "since".to_owned()]));
}

#[test]
fn a_decision_is_put_to_another_policy() {
    let site = Site::new();
    let mut client = site.client();
    let module = must(client.get("/v1/policies/tiers"), 200)["module"].clone();
    let decision = must(client.post("/v1/networks", &json!({"name": "n", "labels": {"tier": "db"}})), 201)["decision"].clone();
    let path = format!("/v1/decisions/{decision}/replay");
    let plain = must(client.get(&path), 200);
    assert_eq!((&plain["same"], &plain["comparable"], &plain["with"]), (&json!(true), &json!(true), &Value::Null), "{plain}");
    assert_eq!(plain["judged_by_then"], plain["judged_by_now"]);

    let with = must(client.get(&format!("{path}?policy=tiers")), 200)["with"].clone();
    assert_eq!((&with["shown_as"], &with["not_shown"], &with["denies"]), (&json!("tiers"), &json!([]), &json!(false)), "{with}");
    // Settings by which it looks at another label: nobody was shown that.
    let wish = json!({"name": "mine", "module": module, "settings": {"label": "zone"}});
    let with = must(client.post(&path, &wish), 200)["with"].clone();
    assert_eq!(with["not_shown"], json!(["label zone of residents"]), "{with}");
    assert_eq!(with["says"]["policy"], "mine");
    let nobody = client.get(&format!("{path}?policy=tires"));
    assert!(nobody.status == 404 && nobody.text().contains("did you mean tiers?"), "{}", nobody.text());
    assert_eq!(client.get(&format!("{path}?policy=tiers&revision=9")).status, 404);
    assert_eq!(client.get(&format!("{path}?revision=1")).fields(), ["policy"]);
    assert_eq!(client.get("/v1/decisions/1/replay?policy=tiers").fields(), ["decision"], "no policy was asked");
    let mut stranger = crate::client::Client::unix_as(&site.socket, STRANGER);
    assert_eq!(stranger.post(&path, &wish).status, 403);
}

#[test]
fn the_matrix_puts_every_value_beside_every_other() {
    let site = Site::new();
    let mut client = site.client();
    let module = must(client.get("/v1/policies/tiers"), 200)["module"].clone();
    must(client.post("/v1/networks", &json!({"name": "n", "labels": {"tier": "db"}})), 201);
    let matrix = must(client.get("/v1/policies/tiers/matrix"), 200);
    assert_eq!(matrix["values"], json!([null, "any-other", "db"]), "on record, and what stands for all others");
    let relations: Vec<(&str, &str)> = matrix["groups"]
        .as_array()
        .unwrap()
        .iter()
        .map(|g| (g["operation"].as_str().unwrap(), g["relation"].as_str().unwrap()))
        .filter(|(operation, _)| *operation == "attach")
        .collect();
    assert_eq!(relations, [("attach", "alone"), ("attach", "shared")], "what it looks at");
    assert_eq!((&matrix["denied_count"], &matrix["differences"], &matrix["against"]), (&json!(0), &json!([]), &Value::Null));
    let against = must(client.get("/v1/policies/tiers/matrix?against=1"), 200);
    assert_eq!((&against["against"], &against["differences"]), (&json!(1), &json!([])));

    // The judge of this site denies one value, which is tried once something names it.
    let wish = json!({"name": "tiers", "module": module, "settings": {"label": "forbidden"}});
    let named = must(client.post("/v1/matrix", &wish), 200);
    assert_eq!((&named["revision"], &named["against"]), (&json!(0), &json!(1)), "beside what is in force");
    assert_eq!(client.get("/v1/policies/tiers/matrix?revision=9").status, 404);
    assert_eq!(client.get("/v1/policies/tires/matrix").status, 404);
}
