//! Commands that ask a daemon, where there is none, an older one, or something else altogether.

use std::io::{Read, Write};
use std::net::TcpListener;
use std::os::unix::net::UnixListener;
use std::path::Path;
use std::process::{Command, Output};

pub fn bulkhead() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_bulkhead"));
    command.env_remove("BULKHEAD_HOST").env_remove("BULKHEAD_TOKEN_FILE");
    command
}

fn run(args: &[&str]) -> (Option<i32>, String, String) {
    said(&bulkhead().args(args).output().unwrap())
}

pub fn said(output: &Output) -> (Option<i32>, String, String) {
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
    (output.status.code(), text(&output.stdout), text(&output.stderr))
}

/// Answers each request with what `answers` has for its path; what it was asked, in the order of asking.
fn server(mut connection: impl Read + Write, answers: &[(&str, &str, &str, String)]) -> Vec<String> {
    let mut asked = Vec::new();
    let mut request = Vec::new();
    let mut byte = [0];
    while let Ok(1) = connection.read(&mut byte) {
        request.push(byte[0]);
        if !request.ends_with(b"\r\n\r\n") {
            continue;
        }
        let text = String::from_utf8(std::mem::take(&mut request)).unwrap();
        let path = text.split(' ').nth(1).unwrap_or_default().to_owned();
        let (_, status, of_type, body) = answers.iter().find(|(p, ..)| path.starts_with(p)).expect("an answer for this path");
        let head = format!("HTTP/1.1 {status}\r\ncontent-type: {of_type}\r\ncontent-length: {}\r\n\r\n", body.len());
        // A client that has what it wants may be gone.
        let _ = connection.write_all(head.as_bytes()).and_then(|()| connection.write_all(body.as_bytes()));
        asked.push(text);
    }
    asked
}

/// Runs a command against a server of such answers.
pub fn against(answers: Vec<(&'static str, &'static str, &'static str, String)>, run: impl FnOnce(&str) -> Output) -> Output {
    let folder = tempfile::tempdir().unwrap();
    let socket = folder.path().join("s");
    let listener = UnixListener::bind(&socket).unwrap();
    let serving = std::thread::spawn(move || server(listener.accept().unwrap().0, &answers));
    let output = run(socket.to_str().unwrap());
    serving.join().unwrap();
    output
}

fn ls_against(status: &'static str, of_type: &'static str, body: &str) -> (Option<i32>, String, String) {
    let health = ("/v1/health", "200 OK", "application/json", r#"{"version":"0.0.9"}"#.to_owned());
    said(&against(vec![health, ("/", status, of_type, body.to_owned())], |socket| {
        bulkhead().args(["network", "ls", "--host", socket]).output().unwrap()
    }))
}

#[test]
fn a_daemon_that_is_away_is_6_and_the_way_on_is_told() {
    let (code, out, err) = run(&["network", "ls", "--host", "/nowhere/s.sock"]);
    assert_eq!((code, out.as_str()), (Some(6), ""));
    assert!(err.contains("/nowhere/s.sock") && err.contains("bulkhead serve") && err.contains("BULKHEAD_HOST"), "{err}");
    let folder = tempfile::tempdir().unwrap();
    let socket = folder.path().join("s");
    drop(UnixListener::bind(&socket).unwrap());
    let (code, _, err) = run(&["network", "ls", "--host", socket.to_str().unwrap()]);
    assert!(code == Some(6) && err.contains("nobody listens"), "{err}");
    let (code, out, _) = run(&["doctor", "--host", "/nowhere/s.sock"]);
    assert!(code == Some(6) && out.contains("kernel") && out.contains("no answer"), "the host is looked at all the same: {out}");
}

#[test]
fn what_is_said_wrong_is_2_with_what_would_be_right() {
    for (args, hint) in [
        (&["netwrk", "ls"][..], "'network'"),
        (&["network", "lst"], "'ls'"),
        (&["network", "create", "n", "--parnt", "eth0"], "'--parent'"),
        (&["network", "ls", "-o", "jsonn"], "did you mean json"),
        (&["network", "create", "n", "-o", "parent=eth0"], "--parent eth0"),
        (&["network", "ls", "--host", "10.0.0.1"], "http://127.0.0.1:8420"),
        (&["network", "ls", "--host", "https://h"], "ssh -L"),
        (&["network", "ls", "--host", "http://127.0.0.1:1", "--token-file", "/nowhere/t"], "beside its database"),
        (&["network", "create", "n", "--subnet", "10.0.0.0/24", "--gateway", "10.1.0.1"], "one within 10.0.0.0/24"),
        (&["network", "create", "n", "--gateway", "10.1.0.1"], "--subnet"),
        (&["network", "create", "n", "--label", "tier"], "tier=db"),
        (&["network", "create", "-f", "/nowhere/f.json"], "cannot be read"),
        (&["policy", "create", "p"], "module list"),
        (&["policy", "create", "p", "--module", "m", "--settings", "["], "not a JSON object"),
    ] {
        let (code, out, err) = run(args);
        assert!(code == Some(2) && out.is_empty() && err.contains(hint), "{args:?}: {code:?} {err}");
    }
}

#[test]
fn what_is_no_module_is_not_even_sent() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("m.wasm");
    std::fs::write(&file, "hello").unwrap();
    let (code, _, err) = run(&["module", "upload", file.to_str().unwrap()]);
    assert!(code == Some(2) && err.contains("no WebAssembly"), "{err}");
}

#[test]
fn what_is_not_ours_is_told_apart() {
    for (status, of_type, body) in [
        ("200 OK", "text/html", "<html>"),
        ("200 OK", "application/json", "{"),
        ("200 OK", "application/json", "[]"),
        ("200 OK", "application/json", r#"{"items":5}"#),
        ("502 Bad Gateway", "text/html", "<html>"),
        ("500 Oh", "application/problem+json", "{}"),
    ] {
        let (code, out, err) = ls_against(status, of_type, body);
        assert!(code == Some(1) && out.is_empty() && err.contains("really a Bulkhead daemon"), "{status} {body}: {code:?} {err}");
    }
}

#[test]
fn an_older_daemon_is_named_with_its_version() {
    let problem = r#"{"type":"/problems/not-found","title":"t","status":404,"detail":"there is nothing at /v1/networks"}"#;
    let (code, _, err) = ls_against("404 Not Found", "application/problem+json", problem);
    assert!(code == Some(1) && err.contains("0.0.9") && err.contains("restart the daemon"), "{err}");
}

#[test]
fn a_newer_daemon_may_say_more() {
    let body = r#"{"items":[{"name":"n","colour":{"r":1}},{"name":"é\u001b[31m","labels":{"tier":"db"}}],"next":null,"more":1}"#;
    let (code, out, _) = ls_against("200 OK", "application/json", body);
    assert_eq!(code, Some(0));
    assert!(out.contains("\nn ") && out.contains("é\\u{1b}[31m") && out.contains("tier=db") && !out.contains('\x1b'), "{out}");
}

#[test]
fn over_http_the_token_goes_along_and_a_base_path_stands_before() {
    let folder = tempfile::tempdir().unwrap();
    let token = folder.path().join("token");
    std::fs::write(&token, "abc123\n").unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let page = r#"{"items":[{"name":"n"}],"next":null}"#.to_owned();
    let serving = std::thread::spawn(move || server(listener.accept().unwrap().0, &[("/", "200 OK", "application/json", page)]));
    let host = format!("http://127.0.0.1:{port}/base/");
    let output = bulkhead().args(["network", "ls", "-o", "name", "--host", &host]).env("BULKHEAD_TOKEN_FILE", &token).output().unwrap();
    assert_eq!(said(&output), (Some(0), "n\n".to_owned(), String::new()));
    let asked = serving.join().unwrap().remove(0).to_ascii_lowercase();
    assert!(asked.starts_with("get /base/v1/networks?limit=500 ") && asked.contains("authorization: bearer abc123"), "{asked}");
    assert!(asked.contains(&format!("host: 127.0.0.1:{port}")), "{asked}");
}

#[test]
fn a_reader_that_has_enough_ends_a_list_quietly() {
    let items: Vec<String> = (0..10_000).map(|i| format!(r#"{{"name":"network-{i}"}}"#)).collect();
    let body = format!(r#"{{"items":[{}],"next":null}}"#, items.join(","));
    let output = against(vec![("/", "200 OK", "application/json", body)], |socket| {
        let script = format!("set -o pipefail; {} network ls -o name --host {socket} | head -1", env!("CARGO_BIN_EXE_bulkhead"));
        Command::new("bash").arg("-c").arg(script).output().unwrap()
    });
    assert_eq!(said(&output), (Some(0), "network-0\n".to_owned(), String::new()));
}

#[test]
fn a_denial_tells_rule_field_what_was_wrong_and_what_would_be_right() {
    let problem = serde_json::json!({
        "type": "/problems/denied", "title": "Denied by policy", "status": 403, "detail": "d", "decision": 7,
        "violations": [{"policy": "p", "rule": "r", "field": "parent", "message": "shares", "remedy": "another", "help": {"contact": "net@x"}}],
    });
    let (code, out, err) = ls_against("403 Forbidden", "application/problem+json", &problem.to_string());
    assert_eq!((code, out.as_str()), (Some(3), ""));
    assert_eq!(err, "bulkhead: Denied by policy (decision 7)\n  p/r · parent · shares · another\n    help · ask net@x\n");
}

#[test]
fn each_command_has_a_man_page_and_each_shell_its_script() {
    let folder = tempfile::tempdir().unwrap();
    let (code, _, err) = run(&["man", folder.path().to_str().unwrap()]);
    assert_eq!(code, Some(0), "{err}");
    for page in ["bulkhead", "bulkhead-network", "bulkhead-network-create", "bulkhead-policy-try", "bulkhead-serve"] {
        let text = std::fs::read_to_string(folder.path().join(format!("{page}.1"))).unwrap_or_else(|e| panic!("{page}: {e}"));
        assert!(text.contains(".SH SYNOPSIS") && text.contains("Examples:"), "{page}");
    }
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let (code, out, _) = run(&["completion", shell]);
        assert!(code == Some(0) && out.contains("COMPLETE"), "{shell}: {out}");
    }
    assert!(Path::new("/bin/bash").exists());
}
