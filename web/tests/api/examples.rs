//! The examples of the description, held against the types that the daemon writes and reads.

use crate::site::{Site, must};
use bulkhead_web::api::health::HealthBody;
use bulkhead_web::api::sessions::CodeBody;
use bulkhead_web::dto::addresses::SubnetAddressesBody;
use bulkhead_web::dto::decision::{DecisionBody, EventBody};
use bulkhead_web::dto::endpoint::{EndpointBody, EndpointChangeBody, EndpointWishBody};
use bulkhead_web::dto::evidence::{DiffBody, ReplayBody, RevisionBody, RollbackBody, VerificationBody};
use bulkhead_web::dto::matrix::MatrixBody;
use bulkhead_web::dto::network::{NetworkBody, NetworkChangeBody, NetworkWishBody};
use bulkhead_web::dto::parent::ParentBody;
use bulkhead_web::dto::plan::DryRunBody;
use bulkhead_web::dto::policy::{ModuleBody, NamedPolicyWishBody, PolicyBody, PolicyWishBody};
use bulkhead_web::dto::rehearsal::{RehearsalBody, StandingBody};
use bulkhead_web::dto::report::SegmentationBody;
use bulkhead_web::dto::{Page, Removed};
use bulkhead_web::problem::ProblemBody;
use bulkhead_web::{BasePath, router};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;
use std::collections::BTreeSet;

/// The example, read as a `T` and written again: a field that `T` does not have is lost on the way, and one that it always writes is added.
fn again<T: DeserializeOwned + Serialize>(example: &Value) -> Value {
    let read: T = serde_json::from_value(example.clone()).unwrap_or_else(|e| panic!("{e}: {example}"));
    serde_json::to_value(&read).unwrap()
}

fn read_as(schema: &str, example: &Value) -> Value {
    match schema {
        "Decision" => again::<DecisionBody>(example),
        "DryRun" => again::<DryRunBody>(example),
        "Endpoint" => again::<EndpointBody>(example),
        "EndpointWish" => again::<EndpointWishBody>(example),
        "Health" => again::<HealthBody>(example),
        "LoginCode" => again::<CodeBody>(example),
        "Matrix" => again::<MatrixBody>(example),
        "Module" => again::<ModuleBody>(example),
        "Network" => again::<NetworkBody>(example),
        "NetworkWish" => again::<NetworkWishBody>(example),
        "Page_Decision" => again::<Page<DecisionBody>>(example),
        "Page_Endpoint" => again::<Page<EndpointBody>>(example),
        "Page_Event" => again::<Page<EventBody>>(example),
        "Page_Module" => again::<Page<ModuleBody>>(example),
        "Page_Network" => again::<Page<NetworkBody>>(example),
        "Page_Parent" => again::<Page<ParentBody>>(example),
        "Page_Policy" => again::<Page<PolicyBody>>(example),
        "Page_Revision" => again::<Page<RevisionBody>>(example),
        "Page_StandingViolation" => again::<Page<StandingBody>>(example),
        "Page_SubnetAddresses" => again::<Page<SubnetAddressesBody>>(example),
        "Parent" => again::<ParentBody>(example),
        "Policy" => again::<PolicyBody>(example),
        "NamedPolicyWish" => again::<NamedPolicyWishBody>(example),
        "PolicyWish" => again::<PolicyWishBody>(example),
        "Problem" => again::<ProblemBody>(example),
        "Rehearsal" => again::<RehearsalBody>(example),
        "Removed" => again::<Removed>(example),
        "Replay" => again::<ReplayBody>(example),
        "Revision" => again::<RevisionBody>(example),
        "RevisionDiff" => again::<DiffBody>(example),
        "RollbackWish" => again::<RollbackBody>(example),
        "SegmentationReport" => again::<SegmentationBody>(example),
        "Verification" => again::<VerificationBody>(example),
        other => panic!("no type is named for the schema {other}"),
    }
}

/// Whether all that `part` has stands in `whole`.
fn is_within(part: &Value, whole: &Value) -> bool {
    match (part, whole) {
        (Value::Object(part), Value::Object(whole)) => part.iter().all(|(k, v)| whole.get(k).is_some_and(|w| is_within(v, w))),
        (Value::Array(part), Value::Array(whole)) => part.len() == whole.len() && part.iter().zip(whole).all(|(p, w)| is_within(p, w)),
        (part, whole) => part == whole,
    }
}

fn name(schema: &Value) -> &str {
    schema["$ref"].as_str().unwrap_or_default().trim_start_matches("#/components/schemas/")
}

/// Each body has an example, or one of each kind that it may be, and each example is one.
#[test]
fn every_body_has_examples_that_are_what_they_show() {
    let site = Site::new();
    let api = must(site.client().get("/v1/openapi.json"), 200);
    let mut holders: Vec<(String, &Value)> = Vec::new();
    for (path, item) in api["paths"].as_object().unwrap() {
        for (method, operation) in item.as_object().unwrap() {
            holders.push((format!("{method} {path} asks"), &operation["requestBody"]));
            let responses = operation["responses"].as_object().unwrap();
            holders.extend(responses.iter().map(|(status, response)| (format!("{method} {path} {status}"), response)));
        }
    }
    holders.extend(api["components"]["responses"].as_object().unwrap().iter().map(|(name, response)| (name.clone(), response)));
    let bodies = holders.iter().flat_map(|(at, holder)| {
        let contents = holder["content"].as_object().into_iter().flatten();
        contents.map(move |(kind, content)| (format!("{at} {kind}"), content))
    });
    let mut seen = BTreeSet::new();
    for (at, content) in bodies {
        // Bytes have no place in a JSON document.
        if at.ends_with("application/wasm") {
            continue;
        }
        let mut examples: Vec<(String, &Value)> = Vec::new();
        if let Some(example) = content.get("example") {
            examples.push((name(&content["schema"]).to_owned(), example));
        }
        for (key, example) in content["examples"].as_object().into_iter().flatten() {
            let own = name(&content["schema"]);
            examples.push((if own.is_empty() { key.clone() } else { own.to_owned() }, &example["value"]));
        }
        assert!(!examples.is_empty(), "{at} has no example");
        if let Some(kinds) = content["schema"]["oneOf"].as_array() {
            let kinds: Vec<&str> = kinds.iter().map(name).collect();
            assert_eq!(examples.iter().map(|(n, _)| n.as_str()).collect::<BTreeSet<_>>(), kinds.into_iter().collect(), "{at}");
        }
        for (schema, example) in examples {
            match schema.as_str() {
                // A text, or this description.
                "" => assert!(example.is_string() || example["openapi"].is_string(), "{at}: {example}"),
                // What changes: null and nothing are two things, which a type of Rust's does not tell apart.
                "NetworkChange" => drop(serde_json::from_value::<NetworkChangeBody>(example.clone()).unwrap()),
                "EndpointChange" => assert_eq!(again::<EndpointChangeBody>(example), *example, "{at}"),
                "ProblemKind" => assert_eq!(must(site.client().get("/problems/invalid"), 200), *example),
                // What is left out of a wish is filled in.
                schema if schema.ends_with("Wish") => {
                    let read = read_as(schema, example);
                    assert!(is_within(example, &read), "{at}: {example} {read}");
                }
                schema => assert_eq!(read_as(schema, example), *example, "{at}: {schema}"),
            }
            seen.insert(schema);
        }
    }
    assert!(seen.len() > 30, "{seen:?}");
}

/// What clients are made of is what the handlers are.
#[test]
fn the_copy_in_docs_is_what_is_served() {
    let file = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/openapi.json");
    let copy = std::fs::read_to_string(file).unwrap();
    let now = router::description(&BasePath::default());
    let differs = copy.lines().zip(now.lines()).position(|(a, b)| a != b).map_or(0, |n| n + 1);
    assert!(
        copy.trim_end() == now,
        "docs/openapi.json is not what the handlers give, from line {differs} on; `cargo run --bin bulkhead -- openapi > docs/openapi.json` writes it anew"
    );
}
