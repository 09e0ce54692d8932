//! The API's description, held against the API.

use crate::site::{Site, must};
use serde_json::{Value, json};
use std::collections::BTreeSet;

fn described() -> (Site, Value) {
    let site = Site::new();
    let api = must(site.client().get("/v1/openapi.json"), 200);
    (site, api)
}

fn operations(api: &Value) -> Vec<(String, String, Value)> {
    let mut all = Vec::new();
    for (path, item) in api["paths"].as_object().unwrap() {
        for (method, operation) in item.as_object().unwrap() {
            all.push((method.to_uppercase(), path.clone(), operation.clone()));
        }
    }
    all
}

/// What is sent a policy that is only wished for makes and changes nothing, and a code is nowhere to be found again.
const ONLY_ASK: [&str; 4] = ["/v1/matrix", "/v1/sessions/codes", "/v1/rehearsals", "/v1/decisions/{decision}/replay"];

#[test]
fn every_route_is_described_and_every_description_is_a_route() {
    let (site, api) = described();
    assert!(api["openapi"].as_str().unwrap().starts_with("3.1"));
    let all: BTreeSet<String> = operations(&api).iter().map(|(m, p, _)| format!("{m} {p}")).collect();
    let wanted = [
        "DELETE /v1/modules/{digest}",
        "DELETE /v1/networks/{network}",
        "DELETE /v1/networks/{network}/endpoints/{endpoint}",
        "DELETE /v1/policies/{policy}",
        "GET /problems/{kind}",
        "GET /v1/decisions",
        "GET /v1/decisions/verify",
        "GET /v1/decisions/{decision}",
        "GET /v1/decisions/{decision}/replay",
        "GET /v1/endpoints",
        "GET /v1/events",
        "GET /v1/health",
        "GET /v1/modules",
        "GET /v1/modules/{digest}",
        "GET /v1/modules/{digest}/content",
        "GET /v1/networks",
        "GET /v1/networks/{network}",
        "GET /v1/networks/{network}/addresses",
        "GET /v1/networks/{network}/endpoints",
        "GET /v1/networks/{network}/endpoints/{endpoint}",
        "GET /v1/openapi.json",
        "GET /v1/parents",
        "GET /v1/parents/{parent}",
        "GET /v1/policies",
        "GET /v1/policies/{policy}",
        "GET /v1/policies/{policy}/matrix",
        "GET /v1/policies/{policy}/revisions",
        "GET /v1/policies/{policy}/revisions/{revision}",
        "GET /v1/policies/{policy}/revisions/{revision}/diff",
        "GET /v1/reports/segmentation",
        "GET /v1/violations",
        "PATCH /v1/networks/{network}",
        "PATCH /v1/networks/{network}/endpoints/{endpoint}",
        "POST /v1/decisions/{decision}/replay",
        "POST /v1/matrix",
        "POST /v1/modules",
        "POST /v1/networks",
        "POST /v1/networks/{network}/endpoints",
        "POST /v1/policies",
        "POST /v1/policies/{policy}/rollback",
        "POST /v1/rehearsals",
        "POST /v1/sessions/codes",
        "PUT /v1/policies/{policy}",
    ];
    assert_eq!(all, wanted.into_iter().map(str::to_owned).collect());
    let mut client = site.client();
    for (method, path, _) in operations(&api) {
        let concrete = path.replace(['{', '}'], "");
        let answer = client.send(&method, &concrete, &[], b"");
        assert_ne!(answer.status, 405, "{method} {path}");
        assert!(!answer.text().contains("there is nothing at"), "{method} {path}: {}", answer.text());
        // What is not described is not taken.
        for other in ["GET", "PUT", "POST", "DELETE", "PATCH"] {
            let is_described = all.contains(&format!("{other} {path}"));
            assert_eq!(client.send(other, &concrete, &[], b"").status == 405, !is_described, "{other} {path}");
        }
    }
}

#[test]
fn operations_are_complete() {
    let (site, api) = described();
    let mut client = site.client();
    let mut ids = BTreeSet::new();
    for (method, path, operation) in operations(&api) {
        let what = format!("{method} {path}");
        assert!(!operation["summary"].as_str().unwrap_or_default().is_empty(), "{what}: summary");
        assert!(ids.insert(operation["operationId"].as_str().unwrap().to_owned()), "{what}: operationId");
        let responses = operation["responses"].as_object().unwrap();
        for (status, response) in responses {
            if status.starts_with('2') {
                continue;
            }
            let shared = response["$ref"].as_str().unwrap_or_else(|| panic!("{what} {status}: {response}"));
            let shared = &api["components"]["responses"][shared.trim_start_matches("#/components/responses/")];
            let schema = &shared["content"]["application/problem+json"]["schema"]["$ref"];
            assert_eq!(schema, "#/components/schemas/Problem", "{what} {status}");
        }
        let mut needed = vec!["401", "421", "422", "503"];
        needed.extend(path.contains('{').then_some("404"));
        needed.extend(operation.get("requestBody").iter().flat_map(|_| ["400", "408", "413", "415"]));
        let creates = method == "POST" && !ONLY_ASK.contains(&path.as_str());
        needed.extend(creates.then_some("201"));
        assert!(needed.iter().all(|s| responses.contains_key(*s)), "{what}: {:?}", responses.keys().collect::<Vec<_>>());
        if let Some(created) = responses.get("201") {
            assert!(created["headers"].get("Location").is_some(), "{what}: Location");
        }
        let header =
            |name: &str| operation["parameters"].as_array().into_iter().flatten().any(|p| p["in"] == "header" && p["name"] == name);
        let is_tagged = method != "POST" && ["/v1/networks/{network}", "/v1/policies/{policy}"].contains(&path.as_str());
        assert!(!is_tagged || (method == "DELETE") == responses["200"]["headers"].get("ETag").is_none(), "{what}: ETag");
        assert!(!is_tagged || (method != "GET") == (header("If-Match") && responses.contains_key("412")), "{what}: If-Match");
        assert_eq!(header("Idempotency-Key"), creates && path != "/v1/modules", "{what}: Idempotency-Key");
        // Each described parameter is known, and no other.
        let query: Vec<&str> = operation["parameters"]
            .as_array()
            .into_iter()
            .flatten()
            .filter(|p| p["in"] == "query")
            .map(|p| p["name"].as_str().unwrap())
            .collect();
        let joined: String = query.iter().map(|n| format!("{n}=%01&")).collect();
        let concrete = path.replace(['{', '}'], "");
        let body = if ["POST", "PUT", "PATCH"].contains(&method.as_str()) { b"{}".to_vec() } else { Vec::new() };
        let kind = if path == "/v1/modules" { "application/wasm" } else { "application/json" };
        let answer = client.send(&method, &format!("{concrete}?{joined}zzz=1"), &[("Content-Type", kind)], &body);
        assert_eq!(answer.status, 422, "{what}: {}", answer.text());
        let unknown: Vec<String> = answer.json()["faults"]
            .as_array()
            .unwrap()
            .iter()
            .filter(|f| f["wrong"] == "unknown parameter")
            .map(|f| f["field"].as_str().unwrap().to_owned())
            .collect();
        assert_eq!(unknown, ["zzz"], "{what}");
        let changes = method != "GET" && !ONLY_ASK.contains(&path.as_str());
        assert_eq!(query.contains(&"dry_run"), changes, "{what}: dry_run");
        assert_eq!(header("Bulkhead-Reason"), changes, "{what}: Bulkhead-Reason");
    }
}

#[test]
fn bodies_are_described_as_they_are_read() {
    let (site, api) = described();
    let mut client = site.client();
    must(client.post("/v1/networks", &json!({"name": "db_net", "subnets": [{"cidr": "192.168.1.0/24"}]})), 201);
    let schemas = &api["components"]["schemas"];
    // Each described field is known: sent with a wrong type, it is not called unknown. Each unknown one is refused.
    let nested = |at: &[&str], value: Value| at.iter().rev().fold(value, |v, k| if *k == "[]" { json!([v]) } else { json!({*k: v}) });
    for (path, schema, at) in [
        ("/v1/networks", "NetworkWish", vec![]),
        ("/v1/networks", "SubnetWish", vec!["subnets", "[]"]),
        ("/v1/networks/db_net/endpoints", "EndpointWish", vec![]),
        ("/v1/networks/db_net/endpoints", "NamespaceWish", vec!["namespace"]),
        ("/v1/networks/db_net/endpoints", "WorkloadWish", vec!["workload"]),
        ("/v1/policies", "PolicyWish", vec![]),
        ("/v1/policies", "Scope", vec!["scope"]),
    ] {
        let described: BTreeSet<String> = schemas[schema]["properties"].as_object().unwrap().keys().cloned().collect();
        let mut all: serde_json::Map<String, Value> = described.iter().map(|k| (k.clone(), json!(null))).collect();
        all.insert("zzz".into(), json!(1));
        let answer = client.post(path, &nested(&at, Value::Object(all)));
        assert_eq!(answer.status, 422, "{}", answer.text());
        let unknown: Vec<Value> =
            answer.json()["faults"].as_array().unwrap().iter().filter(|f| f["wrong"] == "unknown field").cloned().collect();
        assert!(unknown.len() == 1 && unknown[0]["field"].as_str().unwrap().ends_with("zzz"), "{schema}: {unknown:?}");
        // And each known one is described: the refusal of something far off lists all that is known.
        let known: BTreeSet<String> =
            unknown[0]["right"].as_str().unwrap().trim_start_matches("one of ").split(", ").map(str::to_owned).collect();
        assert_eq!(known, described, "{schema}");
    }
    // The examples are taken as they stand.
    let example = |name: &str| schemas[name]["example"].clone();
    must(
        client.post("/v1/networks?dry_run=true", &{
            let mut n = example("NetworkWish");
            n["parent"] = json!("eth0");
            n
        }),
        200,
    );
    must(client.post("/v1/networks/db_net/endpoints?dry_run=true", &example("EndpointWish")), 200);
    let mut policy = example("PolicyWish");
    policy["module"] = must(client.get("/v1/modules"), 200)["items"][0]["digest"].clone();
    must(client.post("/v1/policies?dry_run=true", &policy), 200);
    assert_eq!(must(client.get("/problems/invalid"), 200)["status"], 422);
}

/// All that is answered has the fields that the description promises.
#[test]
fn answers_are_as_described() {
    let (site, api) = described();
    let mut client = site.client();
    must(client.post("/v1/networks", &json!({"name": "n", "subnets": [{"cidr": "10.0.0.0/24"}]})), 201);
    must(client.post("/v1/networks/n/endpoints", &json!({"namespace": {"name": "a"}, "name": "a"})), 201);
    let module = must(client.get("/v1/modules"), 200)["items"][0]["digest"].as_str().unwrap().to_owned();
    for (path, schema) in [
        ("/v1/networks/n".to_owned(), "Network"),
        ("/v1/networks/n/endpoints/a".into(), "Endpoint"),
        ("/v1/parents/eth0".into(), "Parent"),
        ("/v1/policies/tiers".into(), "Policy"),
        (format!("/v1/modules/{module}"), "Module"),
        ("/v1/decisions/3".into(), "Decision"),
        ("/v1/health".into(), "Health"),
        ("/v1/networks/nowhere".into(), "Problem"),
    ] {
        let answer = client.get(&path).json();
        check(&api, &json!({"$ref": format!("#/components/schemas/{schema}")}), &answer, &path);
    }
    let page = must(client.get("/v1/networks"), 200);
    let schema = &api["paths"]["/v1/networks"]["get"]["responses"]["200"]["content"]["application/json"]["schema"];
    check(&api, schema, &page, "/v1/networks");
}

/// A small part of JSON Schema: types, required and known properties, items.
fn check(api: &Value, schema: &Value, value: &Value, at: &str) {
    if let Some(reference) = schema["$ref"].as_str() {
        let name = reference.trim_start_matches("#/components/schemas/");
        let found = &api["components"]["schemas"][name];
        assert!(found.is_object(), "{at}: {reference} leads nowhere");
        return check(api, found, value, at);
    }
    if let Some(any) = schema["oneOf"].as_array() {
        if value.is_null() {
            assert!(any.iter().any(|s| s["type"] == "null"), "{at}: null");
        } else if let Some(other) = any.iter().find(|s| s["type"] != "null") {
            check(api, other, value, at);
        }
        return;
    }
    let kind = match value {
        Value::Null => "null",
        Value::Bool(_) => "boolean",
        Value::Number(_) => "integer",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    };
    let types: Vec<&str> = match &schema["type"] {
        Value::String(one) => vec![one],
        Value::Array(all) => all.iter().filter_map(Value::as_str).collect(),
        _ => return,
    };
    assert!(types.contains(&kind), "{at}: {value} is {kind}, described as {types:?}");
    if let (Value::Object(map), Some(properties)) = (value, schema["properties"].as_object()) {
        for needed in schema["required"].as_array().into_iter().flatten().filter_map(Value::as_str) {
            assert!(map.contains_key(needed), "{at}: {needed} is missing");
        }
        for (key, inner) in map {
            let described = properties.get(key).unwrap_or_else(|| panic!("{at}.{key} is not described"));
            check(api, described, inner, &format!("{at}.{key}"));
        }
    }
    if let Value::Array(items) = value {
        items.iter().for_each(|item| check(api, &schema["items"], item, &format!("{at}[]")));
    }
}

/// A default that its own pattern forbids would mislead whoever makes a client of the description.
#[test]
fn what_is_required_has_no_default() {
    let (_site, api) = described();
    for (name, schema) in api["components"]["schemas"].as_object().unwrap() {
        for field in schema["required"].as_array().into_iter().flatten() {
            let property = &schema["properties"][field.as_str().unwrap()];
            assert!(property.get("default").is_none(), "{name}.{field}: {property}");
        }
    }
}
