//! The socket's file, and the end.

use crate::site::{Site, must};
use bulkhead_web::accounts::Accounts;
use bulkhead_web::auth::TcpGuard;
use bulkhead_web::listen::{ListenError, TcpDoor, UnixDoor};
use bulkhead_web::sessions::Sessions;
use bulkhead_web::token::TokenHash;
use serde_json::json;
use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixListener;
use std::path::Path;
use std::sync::Arc;

fn bind(path: &Path) -> Result<UnixDoor, ListenError> {
    UnixDoor::bind(path, 0o660, None, Arc::new(Accounts::default()), Vec::new())
}

#[test]
fn a_socket_is_taken_over_only_from_the_dead() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("socket");
    let door = bind(&path).unwrap();
    assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o660);
    assert!(matches!(bind(&path), Err(ListenError::InUse(_))), "it answers");
    drop(door);
    assert!(!path.exists(), "it takes its file along");
    // Left by a killed one: nobody listens, the file is there.
    drop(UnixListener::bind(&path).unwrap());
    assert!(path.exists());
    let door = bind(&path).unwrap();
    // Somebody else's by now: not ours to remove.
    std::fs::remove_file(&path).unwrap();
    let other = UnixListener::bind(&path).unwrap();
    drop(door);
    assert!(path.exists());
    drop(other);
    std::fs::remove_file(&path).unwrap();
    std::fs::write(&path, "text").unwrap();
    assert!(matches!(bind(&path), Err(ListenError::NotASocket(_))));
    assert_eq!(std::fs::read_to_string(&path).unwrap(), "text");
    assert!(matches!(bind(&folder.path().join("x".repeat(120))), Err(ListenError::TooLong(_))));
    let error = bind(&folder.path().join("no/such/folder")).err().unwrap().to_string();
    assert!(error.starts_with("listening on ") && error.contains("No such file"), "{error}");
    let left: Vec<_> = std::fs::read_dir(folder.path()).unwrap().map(|e| e.unwrap().file_name()).collect();
    assert_eq!(left, ["socket"], "no half-made file stays");
}

#[test]
fn tcp_is_loopback_only() {
    let guard = |bound: SocketAddr| {
        let sessions = Arc::new(Sessions::new(bound, bulkhead_web::BasePath::default()));
        TcpGuard { port: bound.port(), hosts: Vec::new(), token: TokenHash::of("x"), sessions }
    };
    for address in ["0.0.0.0:0", "[::]:0", "192.0.2.1:0"] {
        assert!(matches!(TcpDoor::bind(address.parse().unwrap(), guard), Err(ListenError::NotLoopback(_))), "{address}");
    }
    assert!(TcpDoor::bind("127.0.0.2:0".parse().unwrap(), guard).is_ok());
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let error = TcpDoor::bind(taken.local_addr().unwrap(), guard).err().unwrap().to_string();
    assert!(error.contains("Address already in use"), "{error}");
}

#[test]
fn a_stop_lets_requests_finish_and_idle_connections_go() {
    let site = Site::new();
    let mut idle = site.client();
    must(idle.get("/v1/health"), 200);
    let mut busy = site.client();
    let asking = std::thread::spawn(move || {
        let mut answers = Vec::new();
        for i in 0..2000 {
            let whole = json!({"name": format!("n{i}"), "subnets": [{"cidr": "10.0.0.0/24"}]}).to_string();
            let request = format!(
                "POST /v1/networks HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n{whole}",
                whole.len()
            );
            match busy.raw(request.as_bytes()) {
                Ok(answer) => answers.push(answer.status),
                Err(_) => break,
            }
        }
        answers
    });
    std::thread::sleep(std::time::Duration::from_millis(30));
    let (socket, engine) = (site.socket.clone(), site.engine.clone());
    let begun = std::time::Instant::now();
    let _folder = site.stop();
    assert!(begun.elapsed() < std::time::Duration::from_secs(5), "{:?}", begun.elapsed());
    let answers = asking.join().unwrap();
    assert!(answers.iter().all(|s| *s == 201 || *s == 503), "no request is cut off: {answers:?}");
    assert_eq!(
        answers.iter().filter(|s| **s == 201).count(),
        engine.state().networks().count(),
        "what was answered is on record, and nothing else"
    );
    assert!(!socket.exists());
}
