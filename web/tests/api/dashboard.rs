//! The dashboard's door: log-in, sessions, what needs both secrets, and its files.

use crate::client::{Answer, Client};
use crate::site::{STRANGER, Site, TOKEN, must};
use serde_json::json;
use std::io::{BufRead as _, BufReader, Write as _};
use std::net::TcpStream;

struct Browser<'a> {
    site: &'a Site,
    cookie: String,
    key: String,
}

/// Name and value of the cookie that an answer sets, and its attributes.
fn cookie(answer: &Answer) -> (String, Vec<String>) {
    let field = answer.header("set-cookie").expect("a cookie");
    let mut parts = field.split("; ").map(str::to_owned);
    (parts.next().unwrap(), parts.collect())
}

fn post_code(site: &Site, code: &str, headers: &[(&str, &str)]) -> Answer {
    let mut client = Client::tcp(site.address).with("Host", &site.address.to_string());
    let mut all = vec![("Content-Type", "application/json")];
    all.extend(headers);
    client.send("POST", "/ui/session", &all, json!({"code": code}).to_string().as_bytes())
}

fn code(client: &mut Client) -> String {
    must(client.send("POST", "/v1/sessions/codes", &[], b""), 200)["code"].as_str().unwrap().to_owned()
}

impl<'a> Browser<'a> {
    fn log_in(site: &'a Site, from: &mut Client) -> Self {
        let answer = post_code(site, &code(from), &[]);
        let key = must(answer_of(&answer), 201)["key"].as_str().unwrap().to_owned();
        Self { site, cookie: cookie(&answer).0, key }
    }

    fn send(&self, method: &str, path: &str, body: &[u8]) -> Answer {
        self.with(method, path, &[("Cookie", &self.cookie), ("Bulkhead-Session", &self.key)], body)
    }

    fn with(&self, method: &str, path: &str, headers: &[(&str, &str)], body: &[u8]) -> Answer {
        let mut client = Client::tcp(self.site.address).with("Host", &self.site.address.to_string());
        let mut all = headers.to_vec();
        if !body.is_empty() {
            all.push(("Content-Type", "application/json"));
        }
        client.send(method, path, &all, body)
    }
}

fn answer_of(answer: &Answer) -> Answer {
    Answer { status: answer.status, headers: answer.headers.clone(), body: answer.body.clone() }
}

#[test]
fn a_log_in_gives_a_session_that_acts_as_who_asked() {
    let site = Site::new();
    let told = must(site.client().send("POST", "/v1/sessions/codes", &[], b""), 200);
    let code = told["code"].as_str().unwrap();
    assert_eq!(told["url"], format!("http://{}/ui/#code={code}", site.address), "in the fragment, which no server sees");
    assert_eq!(told["good_for_s"], 60);
    let answer = post_code(&site, code, &[("Origin", &format!("http://{}", site.address)), ("Sec-Fetch-Site", "same-origin")]);
    let body = must(answer_of(&answer), 201);
    assert_eq!((&body["name"], &body["admin"]), (&json!("root"), &json!(true)));
    let (pair, attributes) = cookie(&answer);
    assert_eq!(attributes, ["Path=/ui", "HttpOnly", "SameSite=Strict", "Max-Age=43200"]);
    assert!(pair.starts_with(&format!("bulkhead-{}=", site.address.port())));
    assert!(!answer.text().contains(pair.split_once('=').unwrap().1), "scripts do not see the cookie");
    assert_eq!(answer.header("cache-control"), Some("no-store"));
    let browser = Browser { site: &site, cookie: pair, key: body["key"].as_str().unwrap().to_owned() };
    must(browser.send("POST", "/ui/v1/networks?reason=because", br#"{"name":"n"}"#), 201);
    let caller = &must(browser.send("GET", "/ui/v1/decisions/3", b""), 200)["caller"];
    assert_eq!((&caller["name"], &caller["door"], &caller["uid"]), (&json!("root"), &json!("dashboard"), &json!(0)));
    let whoami = must(browser.send("GET", "/ui/session", b""), 200);
    assert_eq!((&whoami["name"], whoami.get("key")), (&json!("root"), None), "the key is told once");
    assert_eq!(browser.send("POST", "/ui/v1/sessions/codes", b"").status, 403, "a session cannot prolong itself");
}

#[test]
fn a_code_is_worth_one_log_in() {
    let site = Site::new();
    let code = code(&mut site.tcp());
    for wrong in ["", "x", &code[1..]] {
        let answer = post_code(&site, wrong, &[]);
        assert_eq!((answer.status, answer.header("set-cookie")), (401, None), "{wrong}");
        assert!(answer.text().contains("bulkhead dashboard"), "{}", answer.text());
    }
    assert_eq!(must(post_code(&site, &code, &[]), 201)["name"], "token");
    assert_eq!(post_code(&site, &code, &[]).status, 401);
    // Nobody gets one without being known.
    let mut nobody = Client::tcp(site.address).with("Host", &site.address.to_string());
    assert_eq!(nobody.send("POST", "/v1/sessions/codes", &[], b"").status, 401);
}

#[test]
fn both_secrets_are_needed_and_neither_opens_another_door() {
    let site = Site::new();
    let (root, other) = (Browser::log_in(&site, &mut site.client()), Browser::log_in(&site, &mut site.tcp()));
    let (cookie, key) = (root.cookie.as_str(), root.key.as_str());
    let value = cookie.split_once('=').unwrap().1;
    let (bearer, as_token) = (format!("Bearer {TOKEN}"), format!("Bearer {value}"));
    let renamed = format!("bulkhead-1={value}");
    let cases: [(&str, Vec<(&str, &str)>); 9] = [
        ("nothing", vec![]),
        ("the cookie alone, as a page of another port of this host could have it sent", vec![("Cookie", cookie)]),
        ("the key alone", vec![("Bulkhead-Session", key)]),
        ("another's key", vec![("Cookie", cookie), ("Bulkhead-Session", &other.key)]),
        ("another's cookie", vec![("Cookie", &other.cookie), ("Bulkhead-Session", key)]),
        ("two keys", vec![("Cookie", cookie), ("Bulkhead-Session", key), ("Bulkhead-Session", key)]),
        ("the cookie of another port", vec![("Cookie", &renamed), ("Bulkhead-Session", key)]),
        ("the token", vec![("Authorization", &bearer)]),
        ("the cookie's value as key", vec![("Cookie", cookie), ("Bulkhead-Session", value)]),
    ];
    for (what, headers) in cases {
        for (method, path) in [
            ("GET", "/ui/v1/health"),
            ("POST", "/ui/v1/networks"),
            ("GET", "/ui/session"),
            ("DELETE", "/ui/session"),
            ("GET", "/ui/v1/nowhere"),
        ] {
            let answer = root.with(method, path, &headers, b"");
            assert_eq!((answer.status, answer.json()["type"].as_str()), (401, Some("/problems/unauthorized")), "{what}: {method} {path}");
        }
    }
    // And the session is worth nothing where the token counts.
    for headers in [vec![("Cookie", cookie), ("Bulkhead-Session", key)], vec![("Authorization", as_token.as_str())]] {
        assert_eq!(root.with("GET", "/v1/health", &headers, b"").status, 401);
    }
    // Others may set cookies of that name for this host: that takes nobody's session away.
    let tossed = format!("bulkhead-{}=evil; a=b; {cookie}", site.address.port());
    assert_eq!(root.with("GET", "/ui/v1/health", &[("Cookie", &tossed), ("Bulkhead-Session", key)], b"").status, 200);
}

#[test]
fn other_sites_get_nowhere() {
    let site = Site::new();
    let browser = Browser::log_in(&site, &mut site.client());
    let own = [("Cookie", browser.cookie.as_str()), ("Bulkhead-Session", browser.key.as_str())];
    let port = site.address.port();
    let other_port = format!("http://127.0.0.1:{}", port ^ 1);
    for (field, value) in [
        ("Origin", "http://evil.example"),
        ("Origin", "null"),
        ("Origin", &other_port),
        ("Sec-Fetch-Site", "cross-site"),
        ("Sec-Fetch-Site", "same-site"),
    ] {
        for (method, path) in [("GET", "/ui/v1/health"), ("POST", "/ui/v1/networks"), ("DELETE", "/ui/session"), ("GET", "/ui/app.js")] {
            let answer = browser.with(method, path, &[own[0], own[1], (field, value)], b"");
            assert_eq!(
                (answer.status, answer.json()["type"].as_str()),
                (403, Some("/problems/foreign-origin")),
                "{field} {value} {method} {path}"
            );
            assert_eq!(answer.header("access-control-allow-origin"), None);
        }
        let fresh = code(&mut site.client());
        assert_eq!(post_code(&site, &fresh, &[(field, value)]).status, 403, "nor can they log anybody in");
        assert_eq!(post_code(&site, &fresh, &[]).status, 201, "which does not use up the code");
    }
    // DNS rebinding: a page's own name that resolves to 127.0.0.1.
    for path in ["/", "/ui/", "/ui/app.js", "/ui/session", "/ui/v1/health"] {
        let mut rebound = Client::tcp(site.address).with("Host", &format!("evil.example:{port}"));
        assert_eq!(rebound.send("GET", path, &own, b"").status, 421, "{path}");
    }
    // A link may lead here, but a form cannot log in.
    let visit = [("Sec-Fetch-Site", "cross-site"), ("Sec-Fetch-Mode", "navigate"), ("Sec-Fetch-Dest", "document")];
    assert_eq!(browser.with("GET", "/ui/", &visit, b"").status, 200);
    let framed = [("Sec-Fetch-Site", "cross-site"), ("Sec-Fetch-Mode", "navigate"), ("Sec-Fetch-Dest", "iframe")];
    assert_eq!(browser.with("GET", "/ui/", &framed, b"").status, 403);
    assert_eq!(browser.with("GET", "/ui/v1/health", &[&own[..], &visit[..]].concat(), b"").status, 403, "the API is no page");
    let mut form = Client::tcp(site.address).with("Host", &site.address.to_string());
    let answer = form.send("POST", "/ui/session", &[("Content-Type", "text/plain")], br#"{"code":"x"}"#);
    assert_eq!(answer.status, 415);
}

#[test]
fn a_log_out_ends_the_session_and_takes_the_cookie_back() {
    let site = Site::new();
    let (one, two) = (Browser::log_in(&site, &mut site.client()), Browser::log_in(&site, &mut site.client()));
    let answer = one.send("DELETE", "/ui/session", b"");
    assert_eq!(answer.status, 204);
    let (pair, attributes) = cookie(&answer);
    assert!(pair.ends_with('=') && attributes.contains(&"Max-Age=0".to_owned()), "{pair} {attributes:?}");
    assert_eq!(one.send("GET", "/ui/v1/health", b"").status, 401);
    assert_eq!(two.send("GET", "/ui/v1/health", b"").status, 200, "only that one");
    let strict = post_code(&site, &code(&mut site.client()), &[("Host", "x")]);
    assert_eq!(strict.status, 421, "two hosts");
}

#[test]
fn behind_tls_the_cookie_is_for_tls_only() {
    let site = Site::new();
    let mut client = Client::tcp(site.address).with("Host", "bulkhead.example");
    let body = json!({"code": code(&mut site.client())}).to_string();
    let headers = [("Content-Type", "application/json"), ("Origin", "https://bulkhead.example")];
    let answer = client.send("POST", "/ui/session", &headers, body.as_bytes());
    assert!(cookie(&answer).1.contains(&"Secure".to_owned()), "{}", answer.text());
}

#[test]
fn a_session_has_the_rights_of_its_caller_and_no_more() {
    if !rustix::process::geteuid().is_root() {
        eprintln!("not root: what needs other users is left out");
        return;
    }
    let site = Site::new();
    let browser = Browser::log_in(&site, &mut Client::unix_as(&site.socket, STRANGER));
    let whoami = must(browser.send("GET", "/ui/session", b""), 200);
    assert_eq!((&whoami["name"], &whoami["admin"]), (&json!(format!("uid:{STRANGER}")), &json!(false)));
    must(browser.send("POST", "/ui/v1/networks", br#"{"name":"n","subnets":[{"cidr":"10.0.0.0/24"}]}"#), 201);
    let attach =
        |name: &str| browser.send("POST", "/ui/v1/networks/n/endpoints", json!({"namespace": {"name": name}}).to_string().as_bytes());
    assert_eq!(attach("roots").status, 403);
    assert_eq!(attach("strangers-a").status, 201);
    assert_eq!(browser.send("DELETE", "/ui/v1/policies/tiers?reason=x", b"").status, 403);
    assert_eq!(browser.send("POST", "/ui/v1/networks", br#"{"name":"m","labels":{"team":"cards"}}"#).status, 403, "grants count");
}

#[test]
fn its_files_are_small_public_and_under_a_strict_policy() {
    let site = Site::new();
    let mut client = Client::tcp(site.address).with("Host", &site.address.to_string());
    for (path, to) in [("/", "ui/"), ("/ui", "ui/")] {
        let answer = client.send("GET", path, &[], b"");
        assert_eq!((answer.status, answer.header("location")), (303, Some(to)));
    }
    let mut first_load = 0;
    for (path, mime) in [
        ("/ui/", "text/html; charset=utf-8"),
        ("/ui/networks/cards", "text/html; charset=utf-8"),
        ("/ui/app.js", "text/javascript; charset=utf-8"),
        ("/ui/app.css", "text/css; charset=utf-8"),
        ("/ui/icon.svg", "image/svg+xml"),
    ] {
        let plain = client.send("GET", path, &[], b"");
        assert_eq!((plain.status, plain.header("content-type"), plain.header("content-encoding")), (200, Some(mime), None), "{path}");
        let policy = plain.header("content-security-policy").unwrap();
        assert!(policy.starts_with("default-src 'none'; script-src 'self';"), "{policy}");
        assert!(!policy.contains("unsafe") && !policy.contains("http") && policy.contains("frame-ancestors 'none'"), "{policy}");
        assert_eq!(plain.header("x-content-type-options"), Some("nosniff"));
        for (accept, encoding) in [("br, gzip", Some("br")), ("gzip;q=0.5, br;q=0", Some("gzip")), ("deflate", None)] {
            let answer = client.send("GET", path, &[("Accept-Encoding", accept)], b"");
            // A page that lies deeper has links of its own, and is sent as it is.
            let encoding = encoding.filter(|_| path != "/ui/networks/cards");
            assert_eq!((answer.status, answer.header("content-encoding")), (200, encoding), "{path} {accept}");
            assert_eq!(answer.header("vary"), Some("Accept-Encoding"));
            if encoding == Some("br") {
                first_load += answer.body.len();
            }
        }
        let tag = plain.header("etag").unwrap().to_owned();
        let again = client.send("GET", path, &[("If-None-Match", &tag)], b"");
        assert_eq!((again.status, again.body.len()), (304, 0), "{path}");
    }
    assert!((1..=60_000).contains(&first_load), "{first_load} bytes");
    assert_eq!(client.send("POST", "/ui/", &[], b"").status, 405);
    assert_eq!(client.send("GET", "/ui/v1", &[], b"").status, 401);
    assert_eq!(client.send("GET", "/uix", &[], b"").status, 401, "no more than /ui");
    assert_eq!(site.client().get("/ui/").status, 404, "not on the unix socket");
}

#[test]
fn pages_name_their_files_from_where_they_lie_so_that_all_may_lie_below_any_path() {
    let site = Site::new();
    let mut client = Client::tcp(site.address).with("Host", &site.address.to_string());
    for (path, up) in [
        ("/ui/", "./"),
        ("/ui/networks", "./"),
        ("/ui/networks/", "../"),
        ("/ui/networks/a%2Fb", "../"),
        ("/ui/networks/a/endpoints/b", "../../../"),
    ] {
        let page = client.send("GET", path, &[], b"").text();
        for file in ["app.js", "app.css", "icon.svg"] {
            assert!(page.contains(&format!("\"{up}{file}\"")), "{path}: {page}");
        }
        assert!(!page.contains("\"/"), "{path}: {page}");
    }
}

#[test]
fn a_stream_ends_with_the_session_it_was_asked_for_in() {
    let site = Site::new();
    let (one, two) = (Browser::log_in(&site, &mut site.client()), Browser::log_in(&site, &mut site.client()));
    let follow = |browser: &Browser<'_>| {
        let mut stream = TcpStream::connect(site.address).unwrap();
        write!(
            stream,
            "GET /ui/v1/events HTTP/1.1\r\nHost: {}\r\nAccept: text/event-stream\r\nCookie: {}\r\nBulkhead-Session: {}\r\n\r\n",
            site.address, browser.cookie, browser.key
        )
        .unwrap();
        let mut lines = BufReader::new(stream).lines().map(Result::unwrap);
        assert!(lines.any(|l| l == ": events"));
        lines
    };
    let (ended, mut other) = (follow(&one), follow(&two));
    assert_eq!(one.send("DELETE", "/ui/session", b"").status, 204);
    let rest: Vec<String> = ended.collect();
    assert_eq!(rest[rest.len() - 2..], ["0", ""], "it comes to its end");
    must(site.client().post("/v1/networks", &json!({"name": "n"})), 201);
    assert!(other.any(|l| l.contains("network.created")), "only that one");
}
