//! Below a path, as a proxy shows the daemon: with the path left in place, and with it taken away.

use crate::client::Client;
use crate::site::{Site, TOKEN, must};
use bulkhead_web::{BasePath, Limits};
use serde_json::json;

fn site() -> Site {
    Site::at(BasePath::new("/net/bulkhead").unwrap(), Limits::default())
}

#[test]
fn both_kinds_of_proxies_are_answered_and_told_the_same() {
    let site = site();
    for (n, prefix) in ["/net/bulkhead", ""].into_iter().enumerate() {
        for (mut client, door) in [(site.client(), "unix"), (site.tcp(), "tcp")] {
            let name = format!("n{n}{door}");
            let made = client.post(&format!("{prefix}/v1/networks"), &json!({"name": name}));
            assert_eq!((made.status, made.header("location")), (201, Some(format!("/net/bulkhead/v1/networks/{name}").as_str())));
            let there = client.get(made.header("location").unwrap());
            assert_eq!((there.status, there.json()["name"].as_str()), (200, Some(name.as_str())));
            let parameters = client.get(&format!("{prefix}/v1/networks?limit=0"));
            assert_eq!((parameters.status, parameters.fields()), (422, vec!["limit".to_owned()]));
            let described = must(client.get(&format!("{prefix}/v1/openapi.json")), 200);
            assert_eq!(described["servers"][0]["url"], "/net/bulkhead");
            assert_eq!(client.get(&format!("{prefix}/problems/invalid")).status, 200);
            assert_eq!(client.get("/net/bulkheads/v1/health").status, 404, "no more than it");
            assert_eq!(client.get("/net/v1/health").status, 404);
        }
    }
    assert_eq!(must(Site::new().client().get("/v1/openapi.json"), 200)["servers"][0]["url"], "/");
}

#[test]
fn a_repeat_is_told_the_same_place() {
    let site = site();
    let mut client = site.client();
    let headers = [("Content-Type", "application/json"), ("Idempotency-Key", "one")];
    for prefix in ["/net/bulkhead", ""] {
        let answer = client.send("POST", &format!("{prefix}/v1/networks"), &headers, br#"{"name":"n"}"#);
        assert_eq!((answer.status, answer.header("location")), (201, Some("/net/bulkhead/v1/networks/n")));
    }
}

#[test]
fn events_flow_below_it() {
    let site = site();
    let mut client = site.client();
    let head = "GET /net/bulkhead/v1/events HTTP/1.1\r\nHost: localhost\r\nAccept: text/event-stream\r\n\r\n";
    let stream = client.stream().unwrap();
    stream.write_all(head.as_bytes()).unwrap();
    let mut seen = String::new();
    let mut read_until = |text: &str| {
        while !seen.contains(text) {
            let mut some = [0_u8; 512];
            let n = stream.read(&mut some).unwrap();
            assert_ne!(n, 0, "{seen}");
            seen.push_str(&String::from_utf8_lossy(&some[..n]));
        }
    };
    read_until(": events");
    must(site.client().post("/v1/networks", &json!({"name": "n"})), 201);
    read_until("event: network.created");
    // nginx would keep a small answer back until it is whole, which a stream never is.
    assert!(seen.to_ascii_lowercase().contains("x-accel-buffering: no"), "{seen}");
}

#[test]
fn the_dashboard_and_its_session_live_below_it() {
    let site = site();
    let host = site.address.to_string();
    let mut client = Client::tcp(site.address).with("Host", &host);
    let told = must(site.tcp().send("POST", "/v1/sessions/codes", &[], b""), 200);
    let code = told["code"].as_str().unwrap().to_owned();
    assert_eq!(told["url"], format!("http://{host}/net/bulkhead/ui/#code={code}"));
    for prefix in ["/net/bulkhead", ""] {
        for (path, to) in [("/", "/net/bulkhead/ui/"), ("/ui", "/net/bulkhead/ui/"), ("/api", "/net/bulkhead/api/")] {
            assert_eq!(client.get(&format!("{prefix}{path}")).header("location"), Some(to), "{prefix}{path}");
        }
        for (path, script) in [("/ui/", "./app.js"), ("/ui/networks/deep/below", "../../app.js")] {
            let page = client.get(&format!("{prefix}{path}"));
            assert!(page.text().contains(&format!("src=\"{script}\"")), "{}", page.text());
            let again = client.send("GET", path, &[("If-None-Match", page.header("etag").unwrap())], b"");
            assert_eq!(again.status, 304);
        }
        assert_eq!(client.get(&format!("{prefix}/ui/app.js")).header("content-type"), Some("text/javascript; charset=utf-8"));
    }
    assert_eq!(client.get("/net/bulkhead").header("location"), Some("/net/bulkhead/ui/"));
    let body = json!({"code": code}).to_string();
    let begun = client.send("POST", "/net/bulkhead/ui/session", &[("Content-Type", "application/json")], body.as_bytes());
    assert_eq!((begun.status, begun.header("location")), (201, Some("/net/bulkhead/ui/session")));
    let cookie = begun.header("set-cookie").unwrap().to_owned();
    assert!(cookie.contains("; Path=/net/bulkhead/ui;"), "{cookie}");
    let (cookie, key) = (cookie.split(';').next().unwrap().to_owned(), begun.json()["key"].as_str().unwrap().to_owned());
    let session = [("Cookie", cookie.as_str()), ("Bulkhead-Session", key.as_str())];
    for path in ["/net/bulkhead/ui/v1/networks", "/ui/v1/networks"] {
        assert_eq!(client.send("GET", path, &session, b"").status, 200, "{path}");
    }
    assert_eq!(client.send("GET", "/net/bulkhead/v1/networks", &session, b"").status, 401, "not where the token counts");
}

/// A proxy does not make a host ours, nor a page of somebody else's.
#[test]
fn host_and_origin_are_checked_as_ever() {
    let site = site();
    let bearer = format!("Bearer {TOKEN}");
    for path in ["/net/bulkhead/v1/health", "/net/bulkhead/ui/", "/net/bulkhead/api/", "/net/bulkhead/api/frame.js"] {
        let mut foreign = Client::tcp(site.address).with("Host", "evil.example").with("Authorization", &bearer);
        assert_eq!(foreign.get(path).status, 421, "{path}");
    }
    let host = site.address.to_string();
    let mut client = Client::tcp(site.address).with("Host", &host).with("Authorization", &bearer);
    assert_eq!(client.send("GET", "/net/bulkhead/v1/health", &[("Origin", "http://evil.example")], b"").status, 403);
    assert_eq!(client.get("/net/bulkhead/v1/health").status, 200);
}
