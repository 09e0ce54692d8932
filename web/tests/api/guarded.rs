//! Changes only of what was seen, creates that are made once, and events as they happen.

use crate::site::{Site, must};
use bulkhead_web::Limits;
use serde_json::{Value, json};
use std::io::{BufRead, BufReader, Write};
use std::os::unix::net::UnixStream;
use std::sync::Barrier;
use std::time::Duration;

fn etag(answer: &crate::client::Answer) -> String {
    answer.header("etag").unwrap_or_else(|| panic!("no ETag: {}", answer.text())).to_owned()
}

fn patch_if(site: &Site, tag: &str, body: &Value) -> crate::client::Answer {
    let headers = [("Content-Type", "application/json"), ("If-Match", tag)];
    site.client().send("PATCH", "/v1/networks/n", &headers, body.to_string().as_bytes())
}

#[test]
fn a_change_of_something_else_than_was_seen_is_not_made() {
    let site = Site::new();
    let mut client = site.client();
    let made = client.post("/v1/networks", &json!({"name": "n", "subnets": [{"cidr": "10.0.0.0/24"}]}));
    assert_eq!(made.status, 201);
    let seen = etag(&client.get("/v1/networks/n"));
    must(client.post("/v1/networks/n/endpoints", &json!({"namespace": {"name": "a"}, "name": "a"})), 201);
    assert_eq!(etag(&client.get("/v1/networks/n")), seen, "who comes and goes is no change of the network");
    let changed = patch_if(&site, &seen, &json!({"labels": {"tier": "db"}}));
    assert_eq!(changed.status, 200, "{}", changed.text());
    let now = etag(&changed);
    assert_ne!(now, seen);
    assert_eq!(etag(&client.get("/v1/networks/n")), now);
    let late = patch_if(&site, &seen, &json!({"labels": {"tier": "web"}}));
    assert_eq!((late.status, late.json()["type"].as_str()), (412, Some("/problems/precondition-failed")));
    assert_eq!(etag(&late), now, "it tells what is there");
    assert_eq!(must(client.get("/v1/networks/n"), 200)["labels"], json!({"tier": "db"}));
    assert_eq!(patch_if(&site, &format!("\"x\", {now}"), &json!({"labels": {}})).status, 200);
    assert_eq!(patch_if(&site, &format!("W/{now}"), &json!({"labels": {}})).status, 412, "weak tags match nothing");
    assert_eq!(patch_if(&site, "*", &json!({"labels": {}})).status, 200);
    assert_eq!(patch_if(&site, "now", &json!({"labels": {}})).status, 400);
    assert_eq!(client.send("DELETE", "/v1/networks/m", &[("If-Match", "*")], b"").status, 404);
    assert_eq!(client.send("DELETE", "/v1/policies/tiers?reason=x", &[("If-Match", "\"x\"")], b"").status, 412);
}

#[test]
fn of_many_changes_of_the_same_sight_one_is_made() {
    let site = Site::new();
    must(site.client().post("/v1/networks", &json!({"name": "n", "subnets": [{"cidr": "10.0.0.0/24"}]})), 201);
    let seen = etag(&site.client().get("/v1/networks/n"));
    let start = Barrier::new(8);
    let change = |i: usize| {
        start.wait();
        patch_if(&site, &seen, &json!({"labels": {"n": i.to_string()}})).status
    };
    let change = &change;
    let statuses: Vec<u16> = std::thread::scope(|scope| {
        let all: Vec<_> = (0..8).map(|i| scope.spawn(move || change(i))).collect();
        all.into_iter().map(|t| t.join().unwrap()).collect()
    });
    assert_eq!(statuses.iter().filter(|s| **s == 200).count(), 1, "{statuses:?}");
    assert_eq!(statuses.iter().filter(|s| **s == 412).count(), 7, "{statuses:?}");
}

#[test]
fn a_repeat_with_its_key_is_answered_as_the_first_was() {
    let site = Site::new();
    let mut client = site.client().with("Idempotency-Key", "k1");
    let wish = json!({"name": "n", "subnets": [{"cidr": "10.0.0.0/24"}]});
    let first = client.post("/v1/networks", &wish);
    let again = client.post("/v1/networks", &wish);
    assert_eq!((first.status, again.status), (201, 201));
    assert_eq!(first.body, again.body);
    assert_eq!((first.header("location"), again.header("location")), (Some("/v1/networks/n"), Some("/v1/networks/n")));
    assert_eq!((first.header("idempotent-replayed"), again.header("idempotent-replayed")), (None, Some("true")));
    let other = client.post("/v1/networks", &json!({"name": "m"}));
    assert_eq!((other.status, other.fields()), (422, vec!["Idempotency-Key".to_owned()]));
    assert_eq!(site.client().post("/v1/networks", &wish).status, 409, "without the key it is another request");
    assert_eq!(site.tcp().with("Idempotency-Key", "k1").post("/v1/networks", &wish).status, 409, "and so it is by another caller");
    let long = "k".repeat(256);
    assert_eq!(site.client().with("Idempotency-Key", &long).post("/v1/networks", &wish).status, 422);

    // What had no effect is tried anew.
    let mut client = site.client().with("Idempotency-Key", "k2");
    assert_eq!(client.post("/v1/networks", &wish).status, 409);
    must(site.client().delete("/v1/networks/n"), 200);
    assert_eq!(client.post("/v1/networks", &wish).status, 201);
}

#[test]
fn of_many_with_one_key_one_is_made() {
    let site = Site::new();
    let start = Barrier::new(8);
    let wish = json!({"name": "n", "subnets": [{"cidr": "10.0.0.0/24"}]});
    let make = || {
        start.wait();
        site.client().with("Idempotency-Key", "k").post("/v1/networks", &wish).status
    };
    let statuses: Vec<u16> = std::thread::scope(|scope| {
        let all: Vec<_> = (0..8).map(|_| scope.spawn(make)).collect();
        all.into_iter().map(|t| t.join().unwrap()).collect()
    });
    assert!(statuses.contains(&201) && statuses.iter().all(|s| matches!(s, 201 | 409)), "{statuses:?}");
    assert_eq!(must(site.client().get("/v1/decisions?operation=create-network"), 200)["items"].as_array().unwrap().len(), 1);
}

/// Lines of a stream of events, without what only keeps it alive.
fn follow(site: &Site, headers: &str) -> impl Iterator<Item = String> + use<> {
    let mut stream = UnixStream::connect(&site.socket).unwrap();
    write!(stream, "GET /v1/events HTTP/1.1\r\nHost: localhost\r\nAccept: text/event-stream\r\n{headers}\r\n").unwrap();
    let lines = BufReader::new(stream).lines().map(|l| l.unwrap());
    lines.filter(|l| l.starts_with("HTTP") || l.starts_with("id:") || l.starts_with("event:") || l.starts_with("data:") || l == ": events")
}

#[test]
fn events_come_as_they_happen_and_go_on_where_they_were() {
    let site = Site::new();
    let mut client = site.client();
    must(client.post("/v1/networks", &json!({"name": "one", "subnets": [{"cidr": "10.1.0.0/24"}]})), 201);
    let all = must(client.get("/v1/events"), 200)["items"].as_array().unwrap().clone();
    let last = all.last().unwrap()["seq"].as_u64().unwrap();

    let mut live = follow(&site, "");
    assert_eq!(live.next().as_deref(), Some("HTTP/1.1 200 OK"));
    assert_eq!(live.next().as_deref(), Some(": events"), "from now on");
    must(client.post("/v1/networks", &json!({"name": "two", "subnets": [{"cidr": "10.2.0.0/24"}]})), 201);
    assert_eq!(live.next(), Some(format!("id: {}", last + 1)));
    assert_eq!(live.next().as_deref(), Some("event: network.created"));
    assert!(live.next().unwrap().contains("\"subject\":\"two\""));

    let mut resumed = follow(&site, &format!("Last-Event-ID: {}\r\n", last - 1)).skip(2);
    assert_eq!(resumed.next(), Some(format!("id: {last}")), "what was missed comes first");
    assert!(resumed.by_ref().any(|l| l == format!("id: {}", last + 1)));

    let mut ahead = follow(&site, "Last-Event-ID: 999999\r\n").skip(2);
    assert_eq!(ahead.next().as_deref(), Some("event: resync"), "of another record");
    assert!(ahead.next().unwrap().contains("yet to come"));
    assert_eq!(ahead.next(), None, "and it is cut");
    let mut wrong = follow(&site, "Last-Event-ID: x\r\nConnection: close\r\n");
    assert_eq!(wrong.next().as_deref(), Some("HTTP/1.1 422 Unprocessable Entity"));

    // A stop does not wait for those who listen.
    site.stop();
    assert_eq!(live.by_ref().last(), None);
}

/// One that takes nothing is not waited for: it is told that it lost its place.
#[test]
fn who_does_not_keep_up_is_cut_with_resync() {
    // Who takes nothing for long is cut off anyway; here that must not come first.
    let site = Site::with(Limits { taken_within: Duration::from_secs(600), ..Limits::default() });
    let mut live = follow(&site, "");
    assert_eq!(live.by_ref().nth(1).as_deref(), Some(": events"));
    let mut client = site.client();
    // More than the engine keeps, the stream holds, and the socket takes: half a megabyte.
    for i in 0..3000 {
        let name = format!("{i:0>60}");
        must(client.post("/v1/networks", &json!({"name": name, "subnets": [{"cidr": "10.1.0.0/24"}]})), 201);
        must(client.delete(&format!("/v1/networks/{name}")), 200);
    }
    assert!(live.any(|l| l == "event: resync"));
}
