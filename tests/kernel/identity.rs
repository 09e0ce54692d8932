//! Who may name which namespace, and which files are namespaces at all.

use crate::support::{faults, site, site_with};
use serde_json::json;
use std::process::Command;

#[test]
fn what_is_no_network_namespace_is_refused_without_hanging() {
    site(|site| {
        site.network(&json!({"name": "n", "parent": "eth0", "subnets": [{"cidr": "192.168.1.0/24"}]}));
        let folder = tempfile::tempdir().unwrap();
        let fifo = folder.path().join("fifo");
        assert!(Command::new("mkfifo").arg(&fifo).status().unwrap().success());
        let file = folder.path().join("file");
        std::fs::write(&file, "x").unwrap();
        let paths = [
            fifo.display().to_string(),
            file.display().to_string(),
            "/proc/self/ns/uts".into(),
            "/run/netns/nobody".into(),
            "/proc/1/ns/net".into(),
        ];
        for path in paths {
            let answer = site.post("/v1/networks/n/endpoints", &json!({"namespace": {"path": path}, "interface": "eth0"}));
            assert!((400..500).contains(&answer.status), "{path}: {} {}", answer.status, answer.text());
            assert!(faults(&answer).iter().any(|f| f.starts_with("namespace")), "{path}: {}", answer.text());
        }
        let own = site.lab.host.name().to_owned();
        let answer = site.post("/v1/networks/n/endpoints", &json!({"namespace": {"name": own}, "interface": "eth0"}));
        assert!((400..500).contains(&answer.status), "the daemon's own: {}", answer.text());
        let answer = site.post("/v1/networks/n/endpoints", &json!({"namespace": {"pid": 4_000_000}, "interface": "eth0"}));
        assert!((400..500).contains(&answer.status), "{}", answer.text());
    });
}

#[test]
fn a_namespace_is_named_by_pid_and_by_path_and_is_the_same_one() {
    site(|site| {
        site.network(&json!({"name": "n", "parent": "eth0", "subnets": [{"cidr": "192.168.1.0/24"}]}));
        let w = site.lab.workload("w").unwrap();
        let mut sleeper = w.spawn(Command::new("sleep").arg("60")).unwrap();
        let by_pid = site.post("/v1/networks/n/endpoints", &json!({"namespace": {"pid": sleeper.id()}, "interface": "eth0"}));
        assert_eq!(by_pid.status, 201, "{}", by_pid.text());
        let by_path = site.post("/v1/networks/n/endpoints", &json!({"namespace": {"path": w.path()}, "interface": "eth0"}));
        assert_eq!(by_path.status, 200, "{}", by_path.text());
        sleeper.kill().unwrap();
        sleeper.wait().unwrap();
    });
}

#[test]
fn another_user_may_not_name_a_namespace_that_is_not_his() {
    site_with(
        "socket_mode = \"0666\"\n",
        |_| {},
        |site| {
            site.network(&json!({"name": "n", "parent": "eth0", "subnets": [{"cidr": "192.168.1.0/24"}]}));
            let w = site.lab.workload("w").unwrap();
            let body = json!({"namespace": {"name": w.name()}, "interface": "eth0"}).to_string();
            let socket = site.daemon.socket();
            // The folders above are the test's own and closed to others; the socket is what is tested.
            for folder in socket.ancestors().skip(1).take(1) {
                Command::new("chmod").arg("755").arg(folder).status().unwrap();
            }
            let answer = Command::new("setpriv")
                .args([
                    "--reuid",
                    "12345",
                    "--regid",
                    "12345",
                    "--clear-groups",
                    "curl",
                    "-s",
                    "-H",
                    "Content-Type: application/json",
                    "--unix-socket",
                ])
                .arg(&socket)
                .args(["-d", &body, "http://localhost/v1/networks/n/endpoints"])
                .output()
                .unwrap();
            let told = String::from_utf8_lossy(&answer.stdout).into_owned();
            assert!(told.contains("\"status\":403") && told.contains("namespace"), "{told} {}", String::from_utf8_lossy(&answer.stderr));
            assert!(!w.links().unwrap().contains("ipvlan"));
        },
    );
}
