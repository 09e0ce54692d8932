//! What a client may take.

use crate::client::Client;
use crate::site::{Site, must};
use bulkhead_web::Limits;
use serde_json::json;
use std::time::{Duration, Instant};

fn tight() -> Limits {
    Limits {
        body_bytes_max: 2000,
        module_bytes_max: 4000,
        head_bytes_max: 8192,
        headers_max: 16,
        head_within: Duration::from_millis(400),
        body_within: Duration::from_millis(400),
        ..Limits::default()
    }
}

#[test]
fn bodies_over_the_limit_are_refused_before_they_are_read() {
    let site = Site::with(tight());
    let as_json = "Host: localhost\r\nContent-Type: application/json\r\n";
    let announced = format!("POST /v1/networks HTTP/1.1\r\n{as_json}Content-Length: 1000000000000\r\n\r\n");
    let begun = Instant::now();
    let answer = site.client().raw(announced.as_bytes()).unwrap();
    assert_eq!((answer.status, answer.json()["type"].as_str()), (413, Some("/problems/too-large")));
    assert!(begun.elapsed() < Duration::from_millis(300), "nothing is waited for");
    let chunked = format!(
        "POST /v1/networks HTTP/1.1\r\n{as_json}Transfer-Encoding: chunked\r\n\r\n{}",
        format!("3e8\r\n{}\r\n", "x".repeat(1000)).repeat(3)
    );
    let answer = site.client().raw(chunked.as_bytes()).unwrap();
    assert_eq!((answer.status, answer.json()["detail"].as_str()), (413, Some("the body is over 2000 bytes")));
    let mut client = site.client();
    let body = json!({"name": "n", "labels": {"a": "x".repeat(2000)}});
    assert_eq!(client.post("/v1/networks", &body).status, 413);
    // Modules have a limit of their own.
    let wasm = [("Content-Type", "application/wasm")];
    let module = |size: usize| [b"\0asm".to_vec(), vec![b'x'; size - 4]].concat();
    must(client.send("POST", "/v1/modules", &wasm, &module(4000)), 201);
    assert_eq!(client.send("POST", "/v1/modules", &wasm, &module(4001)).status, 413);
    must(client.post("/v1/networks", &json!({"name": "n"})), 201);
}

#[test]
fn slow_clients_are_let_go() {
    let site = Site::with(tight());
    for mut client in [site.client(), Client::tcp(site.address)] {
        // A head that never ends, byte by byte.
        let begun = Instant::now();
        let stream = client.stream().unwrap();
        let mut ended = false;
        for byte in b"GET /v1/health HTTP/1.1\r\nHost: localhost\r\nX-Slow: ".iter().chain(std::iter::repeat_n(&b'x', 200)) {
            if stream.write_all(&[*byte]).is_err() {
                ended = true;
                break;
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        let mut rest = Vec::new();
        let end = stream.read_to_end(&mut rest);
        assert!(ended || end.is_ok(), "the connection is cut");
        assert!(begun.elapsed() < Duration::from_secs(3), "{:?}", begun.elapsed());
        assert!(!String::from_utf8_lossy(&rest).contains(" 200 "));
    }
    // A body that never comes.
    let begun = Instant::now();
    let head = "POST /v1/networks HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: 100\r\n\r\n{\"name\"";
    let answer = site.client().raw(head.as_bytes()).unwrap();
    assert_eq!((answer.status, answer.json()["type"].as_str()), (408, Some("/problems/request-timeout")));
    assert!(begun.elapsed() < Duration::from_secs(3));
    must(site.client().get("/v1/health"), 200);
}

#[test]
fn who_does_not_read_his_answers_loses_his_place() {
    let limits =
        Limits { connections_max: 1, taken_within: Duration::from_millis(400), head_within: Duration::from_secs(9), ..Limits::default() };
    let site = Site::with(limits);
    let mut deaf = site.client();
    let many = "GET /v1/openapi.json HTTP/1.1\r\nHost: localhost\r\n\r\n".repeat(60);
    deaf.stream().unwrap().write_all(many.as_bytes()).unwrap();
    let begun = Instant::now();
    must(site.client().get("/v1/health"), 200);
    assert!(begun.elapsed() > Duration::from_millis(200), "there was no other place: {:?}", begun.elapsed());
}

#[test]
fn heads_over_the_limits_are_refused() {
    let site = Site::with(tight());
    let mut many = site.client();
    for i in 0..20 {
        many = many.with(&format!("X-{i}"), "x");
    }
    assert_eq!(many.get("/v1/health").status, 431);
    assert_eq!(site.client().with("X-Large", &"x".repeat(20_000)).get("/v1/health").status, 431);
    let answer = site.client().get(&format!("/v1/networks?name={}", "x".repeat(20_000)));
    assert!([414, 431].contains(&answer.status), "{}", answer.status);
    for odd in ["NONSENSE\r\n\r\n", "GET /v1/health HTTP/9.9\r\n\r\n", "\u{16}\u{3}\u{1}\u{2}\r\n\r\n"] {
        let answer = site.client().raw(odd.as_bytes());
        assert!(answer.as_ref().map_or(true, |a| a.status == 400 || a.status == 505), "{odd:?}: {answer:?}");
    }
    must(site.client().get("/v1/health"), 200);
}

#[test]
fn only_so_many_connections_are_served_at_a_time() {
    let site = Site::with(Limits { connections_max: 2, head_within: Duration::from_millis(600), ..Limits::default() });
    let mut idle: Vec<Client> = (0..2).map(|_| site.client()).collect();
    idle.iter_mut().for_each(|c| drop(must(c.get("/v1/health"), 200)));
    let begun = Instant::now();
    // The third waits until an idle one is let go.
    must(site.client().get("/v1/health"), 200);
    assert!(begun.elapsed() > Duration::from_millis(200), "{:?}", begun.elapsed());
    must(site.tcp().get("/v1/health"), 200);
}

#[test]
fn a_connection_serves_many_requests_and_pipelined_ones_in_order() {
    let site = Site::new();
    let mut client = site.client();
    for _ in 0..50 {
        must(client.get("/v1/health"), 200);
    }
    let two = "GET /v1/health HTTP/1.1\r\nHost: x\r\n\r\nGET /v1/nowhere HTTP/1.1\r\nHost: x\r\n\r\n";
    assert_eq!(client.raw(two.as_bytes()).unwrap().status, 200);
    assert_eq!(client.answer().unwrap().status, 404);
    let head = client.raw(b"HEAD /v1/events HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
    assert!(head.is_err() || head.unwrap().status == 200);
}
