//! The page at /api: its files, and who may have them.

use crate::client::Client;
use crate::site::{Site, must};

const OF_PAGE: [&str; 3] = ["/api/", "/api/page.js", "/api/page.css"];
const OF_FRAME: [&str; 5] = ["/api/frame.html", "/api/frame.js", "/api/frame.css", "/api/swagger-ui-bundle.js", "/api/swagger-ui.css"];

#[test]
fn its_files_are_there_each_under_its_policy() {
    let site = Site::new();
    let mut client = Client::tcp(site.address).with("Host", &site.address.to_string());
    for path in OF_PAGE.into_iter().chain(OF_FRAME) {
        let plain = client.get(path);
        assert_eq!((plain.status, plain.header("content-encoding")), (200, None), "{path}");
        let policy = plain.header("content-security-policy").unwrap();
        assert!(
            policy.contains("default-src 'none'") && policy.contains("script-src 'self';") && policy.contains("base-uri 'none'"),
            "{policy}"
        );
        let is_frame = OF_FRAME.contains(&path);
        // No origin, also where it is opened by itself; and no way out: no connection, form, frame, or window.
        let sandbox = policy.starts_with("sandbox allow-scripts allow-forms; ");
        assert_eq!((sandbox, policy.contains("unsafe-inline")), (is_frame, is_frame), "{policy}");
        assert!(!policy.contains("script-src 'self' ") && !policy.contains("http") && !policy.contains("allow-same-origin"), "{policy}");
        assert_eq!(policy.contains("connect-src"), !is_frame, "{policy}");
        assert!(policy.contains(if is_frame { "frame-ancestors 'self'" } else { "frame-ancestors 'none'" }), "{policy}");
        let tag = plain.header("etag").unwrap().to_owned();
        assert_eq!(client.send("GET", path, &[("If-None-Match", &tag)], b"").status, 304, "{path}");
        // Nothing of it comes from outside.
        assert!(path.contains("swagger") || !plain.text().contains("http"), "{path}");
    }
    let bundle = client.get("/api/swagger-ui-bundle.js");
    assert!(bundle.text().contains("SwaggerUIBundle") && bundle.body.len() > 1_000_000, "{}", bundle.body.len());
    let compressed = client.send("GET", "/api/swagger-ui-bundle.js", &[("Accept-Encoding", "gzip, br")], b"");
    assert_eq!((compressed.header("content-encoding"), compressed.header("etag")), (Some("gzip"), bundle.header("etag")));
    assert!(compressed.body.starts_with(&[0x1f, 0x8b]) && compressed.body.len() < 500_000, "{}", compressed.body.len());
    assert_eq!(client.get("/api").header("location"), Some("api/"));
    assert_eq!(client.send("POST", "/api/", &[], b"").status, 405);
    assert_eq!(client.get("/api/index.html").status, 404);
    assert_eq!(client.get("/apis").status, 401, "no more than /api");
    assert_eq!(site.client().get("/api/").status, 404, "not on the unix socket");
}

#[test]
fn it_shows_what_the_api_says_of_itself() {
    let site = Site::new();
    let mut client = Client::tcp(site.address).with("Host", &site.address.to_string());
    assert_eq!(must(client.get("/api/openapi.json"), 200), must(site.tcp().get("/v1/openapi.json"), 200));
    assert_eq!(client.get("/v1/openapi.json").status, 401, "the API itself needs the token as ever");
}

/// A document without an origin loads its files as if it were another site. Nothing else of it is for others.
#[test]
fn other_sites_get_its_public_files_and_no_page() {
    let site = Site::new();
    let mut client = Client::tcp(site.address).with("Host", &site.address.to_string());
    let cross = [("Sec-Fetch-Site", "cross-site"), ("Sec-Fetch-Mode", "no-cors"), ("Sec-Fetch-Dest", "script")];
    for path in OF_FRAME.into_iter().filter(|p| *p != "/api/frame.html") {
        let answer = client.send("GET", path, &cross, b"");
        assert_eq!((answer.status, answer.header("access-control-allow-origin")), (200, None), "{path}");
    }
    let framed = [("Sec-Fetch-Site", "cross-site"), ("Sec-Fetch-Mode", "navigate"), ("Sec-Fetch-Dest", "iframe")];
    for path in OF_PAGE.into_iter().chain(["/api/frame.html", "/api/openapi.json"]) {
        assert_eq!(client.send("GET", path, &framed, b"").status, 403, "{path}");
        assert_eq!(client.send("GET", path, &[("Origin", "null")], b"").status, 403, "{path}");
    }
    // The API takes nothing of a page without an origin, whatever token it has.
    assert_eq!(site.tcp().send("GET", "/v1/health", &[("Origin", "null")], b"").status, 403);
}
