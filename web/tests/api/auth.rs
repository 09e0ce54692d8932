//! Who may come in, over TCP and over the unix socket.

use crate::client::Client;
use crate::site::{ADMIN, STRANGER, Site, TOKEN, must};
use serde_json::json;

#[test]
fn tcp_needs_our_host_our_origin_and_the_token() {
    let site = Site::new();
    let ours = site.address.to_string();
    let port = site.address.port();
    let token = format!("Bearer {TOKEN}");
    let localhost = format!("localhost:{port}");
    let rebound = format!("evil.example:{port}");
    let origin = format!("http://{ours}");
    let short = format!("Bearer {}", &TOKEN[1..]);
    // Host, Origin, Authorization → status, kind of problem.
    let matrix = [
        (Some(ours.as_str()), None, Some(token.as_str()), 200, ""),
        (Some(&localhost), None, Some(&token), 200, ""),
        (Some("bulkhead.example"), None, Some(&token), 200, ""),
        (Some(&ours), Some(origin.as_str()), Some(&token), 200, ""),
        (Some(&ours), None, None, 401, "unauthorized"),
        (Some(&ours), None, Some("Bearer"), 401, "unauthorized"),
        (Some(&ours), None, Some("Bearer wrong"), 401, "unauthorized"),
        (Some(&ours), None, Some(&short), 401, "unauthorized"),
        (Some(&ours), None, Some("Basic cm9vdDp4"), 401, "unauthorized"),
        (None, None, Some(&token), 421, "misdirected"),
        (Some("127.0.0.1"), None, Some(&token), 421, "misdirected"),
        (Some("localhost:1"), None, Some(&token), 421, "misdirected"),
        (Some("evil.example"), None, Some(&token), 421, "misdirected"),
        // DNS rebinding: the page's own name resolves to 127.0.0.1, and the port is ours.
        (Some(&rebound), None, Some(&token), 421, "misdirected"),
        (Some(&rebound), Some("http://evil.example"), None, 421, "misdirected"),
        (Some(&ours), Some("http://evil.example"), Some(&token), 403, "foreign-origin"),
        (Some(&ours), Some("null"), Some(&token), 403, "foreign-origin"),
        (Some(&ours), Some("http://localhost"), Some(&token), 403, "foreign-origin"),
        (Some(&ours), Some("http://evil.example"), None, 403, "foreign-origin"),
    ];
    for (host, origin, authorization, status, kind) in matrix {
        // Reads, changes, what is not there, and the API's description: all behind the same door.
        for (method, path) in
            [("GET", "/v1/health"), ("GET", "/v1/events"), ("POST", "/v1/networks"), ("GET", "/nowhere"), ("GET", "/v1/openapi.json")]
        {
            let mut client = Client::tcp(site.address);
            for (name, value) in [("Host", host), ("Origin", origin), ("Authorization", authorization)] {
                if let Some(value) = value {
                    client = client.with(name, value);
                }
            }
            let answer = client.send(method, path, &[("Content-Type", "application/json")], b"{}");
            let expected = match (status, method, path) {
                (200, "POST", _) => 422,
                (200, _, "/nowhere") => 404,
                _ => status,
            };
            assert_eq!(answer.status, expected, "{host:?} {origin:?} {authorization:?} {method} {path}: {}", answer.text());
            if status != 200 {
                assert_eq!(answer.json()["type"], format!("/problems/{kind}"));
                assert_eq!(answer.header("connection"), Some("close"));
                assert_eq!(answer.header("www-authenticate").is_some(), status == 401);
            }
            assert_eq!(answer.header("access-control-allow-origin"), None);
        }
    }
    let (other, whole) = (format!("http://{ours}"), format!("http://evil.example:{port}"));
    for (target, status) in [(other, 200), (whole, 421)] {
        let answer = site.tcp().send("GET", &format!("{target}/v1/health"), &[], b"");
        assert_eq!(answer.status, status, "the request line's host counts: {target}");
    }
    let answer =
        site.tcp().send("OPTIONS", "/v1/networks", &[("Origin", "http://evil.example"), ("Access-Control-Request-Method", "POST")], b"");
    assert_eq!(answer.status, 403, "a preflight is answered no other way");
}

#[test]
fn the_tokens_bearer_is_an_admin_and_on_record_as_such() {
    let site = Site::new();
    let mut client = site.tcp();
    must(client.post("/v1/networks?reason=because&ticket=T-1&approved_by=eve", &json!({"name": "n"})), 201);
    let decision = must(client.get("/v1/decisions/3"), 200);
    let caller = &decision["caller"];
    assert_eq!(
        (&caller["name"], &caller["door"], &caller["admin"], &caller["uid"]),
        (&json!("token"), &json!("tcp"), &json!(true), &json!(null))
    );
    assert_eq!(decision["change"], json!({"reason": "because", "ticket": "T-1", "approved_by": "eve"}));
    let (mut header, why) = (site.client().with("Bulkhead-Reason", "by header"), json!("by header"));
    must(header.delete("/v1/networks/n"), 200);
    assert_eq!(must(client.get("/v1/decisions/4"), 200)["change"]["reason"], why);
}

/// Connecting as somebody else takes root.
fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}

#[test]
fn the_unix_peer_is_who_the_kernel_says() {
    let site = Site::new();
    let mut root = site.client();
    must(root.post("/v1/networks", &json!({"name": "n", "subnets": [{"cidr": "10.0.0.0/24"}]})), 201);
    let answer = root.send("GET", "/v1/health", &[("Origin", "http://localhost")], b"");
    assert_eq!((answer.status, answer.json()["type"].as_str()), (403, Some("/problems/foreign-origin")));
    if !is_root() {
        eprintln!("not root: what needs other users is left out");
        return;
    }
    let mut stranger = Client::unix_as(&site.socket, STRANGER);
    let attach = |name: &str| json!({"namespace": {"name": name}});
    // His own namespace he may attach and detach, root's he may not.
    let mine = must(stranger.post("/v1/networks/n/endpoints", &attach("strangers-a")), 201);
    assert_eq!(mine["created_by"], format!("uid:{STRANGER}"));
    let answer = stranger.post("/v1/networks/n/endpoints", &attach("roots"));
    assert_eq!(
        (answer.status, answer.json()["type"].as_str(), answer.fields()),
        (403, Some("/problems/forbidden"), vec!["namespace".to_owned()])
    );
    let roots = must(root.post("/v1/networks/n/endpoints", &attach("roots")), 201);
    let path = |e: &serde_json::Value| format!("/v1/networks/n/endpoints/{}", e["id"].as_str().unwrap());
    assert_eq!(stranger.delete(&path(&roots)).status, 403);
    assert_eq!(stranger.delete(&format!("{}?dry_run=true", path(&roots))).status, 403);
    must(stranger.delete(&path(&mine)), 200);
    // Policies, modules and force are for admins.
    let module = must(root.get("/v1/modules"), 200)["items"][0]["digest"].as_str().unwrap().to_owned();
    let policy = json!({"name": "p", "module": module});
    let wasm = [("Content-Type", "application/wasm")];
    for answer in [
        stranger.post("/v1/policies", &policy),
        stranger.put("/v1/policies/tiers", &policy),
        stranger.delete("/v1/policies/tiers"),
        stranger.delete(&format!("/v1/modules/{module}")),
        stranger.send("POST", "/v1/modules", &wasm, b"\0asmmine"),
        stranger.delete("/v1/networks/n?force=because"),
    ] {
        assert_eq!((answer.status, answer.json()["type"].as_str()), (403, Some("/problems/forbidden")), "{}", answer.text());
    }
    // Labels that are granted need a grant.
    let answer = stranger.post("/v1/networks", &json!({"name": "m", "labels": {"team": "cards"}}));
    assert_eq!((answer.status, answer.fields()), (403, vec!["labels.team".to_owned()]));
    // A configured admin may all that.
    let mut admin = Client::unix_as(&site.socket, ADMIN);
    must(admin.delete(&path(&roots)), 200);
    must(admin.post("/v1/policies?dry_run=true", &policy), 200);
    let decisions = must(admin.get("/v1/decisions?limit=1"), 200);
    assert_eq!(decisions["items"][0]["caller"]["uid"], ADMIN);
    assert_eq!(decisions["items"][0]["caller"]["groups"], json!([format!("gid:{ADMIN}")]));
}
