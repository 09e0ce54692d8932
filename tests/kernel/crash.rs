//! `kill -9` at every system call that matters: after the restart, record and kernel agree. The kill comes from outside:
//! strace delivers it at the n-th call, so nothing in the daemon is made for these tests.

use crate::support::{Site, address, eventually, site, text};
use bulkhead_lab::Namespace;
use serde_json::{Value, json};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

/// Calls at which the kill is tried: the sends to the kernel, and the commit's sync.
const CALLS: [&str; 2] = ["sendto,sendmsg", "fdatasync,fsync"];

/// Attaches strace so that the n-th of `calls` in any thread kills the daemon.
fn kill_at(site: &Site<'_>, calls: &str, n: usize) -> Child {
    let pid = site.daemon.pid().unwrap().as_raw_nonzero().to_string();
    let inject = format!("inject={calls}:signal=KILL:when={n}");
    let child = Command::new("strace")
        .args(["-f", "-qq", "-e", &format!("trace={calls}"), "-e", &inject, "-o", "/dev/null", "-p", &pid])
        .stdin(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .expect("strace");
    // Until every thread has a tracer, a kill could come too late; then the request just succeeds, which is checked as well.
    let traced = || {
        let tasks = std::fs::read_dir(format!("/proc/{pid}/task")).unwrap();
        tasks.flatten().all(|t| std::fs::read_to_string(t.path().join("status")).is_ok_and(|s| !s.contains("TracerPid:\t0")))
    };
    eventually("strace is attached", traced);
    child
}

/// Does `request` with a kill at the n-th call, and restarts the daemon. Tells whether it was killed.
fn with_kill(site: &mut Site<'_>, calls: &str, n: usize, request: impl FnOnce(&mut Site<'_>)) -> bool {
    let mut strace = kill_at(site, calls, n);
    request(site);
    std::thread::sleep(Duration::from_millis(50));
    let killed = strace.try_wait().unwrap().is_some();
    if killed {
        let _ = site.daemon.wait();
    } else {
        let _ = strace.kill();
        let _ = strace.wait();
        site.daemon.kill().unwrap();
    }
    site.daemon.start().unwrap();
    site.reconnect();
    killed
}

/// Record and kernel agree: every endpoint on record has its link and address, no namespace has a link that is on no record,
/// every network is ready, and its parent is on the host.
fn agree(site: &mut Site<'_>, workloads: &[&Namespace]) {
    eventually("nothing is under way", || {
        let endpoints = site.items("/v1/endpoints?limit=100");
        let networks = site.items("/v1/networks?limit=100");
        endpoints.iter().all(|e| e["state"] == "attached") && networks.iter().all(|n| n["state"] == "ready")
    });
    let endpoints = site.items("/v1/endpoints?limit=100");
    for w in workloads {
        let links = w.links().unwrap();
        let here: Vec<&Value> = endpoints.iter().filter(|e| e["namespace"].to_string().contains(w.name())).collect();
        assert_eq!(links.contains("ipvlan"), !here.is_empty(), "{links}\n{here:?}");
        for e in here {
            assert!(links.contains(&address(e, 0).to_string()), "{links}\n{e}");
        }
    }
    let on_host = site.lab.host.links().unwrap();
    for network in site.items("/v1/networks?limit=100") {
        assert!(on_host.contains(&text(&network["parent"], "link")), "{network}\n{on_host}");
    }
    let vlan_on_record = site.items("/v1/networks?limit=100").iter().any(|n| n["parent"]["vlan"] == 30);
    assert_eq!(on_host.contains("eth0.30"), vlan_on_record, "{on_host}");
}

fn vlan30() -> Value {
    json!({"name": "n", "parent": "eth0.30", "subnets": [{"cidr": "192.168.30.0/24"}]})
}

#[test]
fn a_create_killed_at_any_call_leaves_record_and_kernel_agreeing() {
    let mut kills = 0;
    for calls in CALLS {
        for n in 1..=3 {
            site(|site| {
                kills += usize::from(with_kill(site, calls, n, |s| drop(s.client.post("/v1/networks", &vlan30()))));
                agree(site, &[]);
            });
        }
    }
    assert!(kills >= 3, "the kills came: {kills}");
}

#[test]
fn an_attach_killed_at_any_call_leaves_record_and_kernel_agreeing() {
    let mut kills = 0;
    for calls in CALLS {
        for n in 1..=2 {
            site(|site| {
                site.network(&vlan30());
                let w = site.lab.workload("w").unwrap();
                kills += usize::from(with_kill(site, calls, n, |s| {
                    let wish = json!({"namespace": {"name": w.name()}, "interface": "eth0"});
                    drop(s.client.post("/v1/networks/n/endpoints", &wish));
                }));
                agree(site, &[&w]);
            });
        }
    }
    assert!(kills >= 2, "the kills came: {kills}");
}

#[test]
fn a_detach_killed_at_any_call_goes_forward() {
    let mut kills = 0;
    for calls in CALLS {
        for n in 1..=2 {
            site(|site| {
                site.network(&vlan30());
                let w = site.lab.workload("w").unwrap();
                let id = text(&site.attach("n", &w, &json!({})), "id");
                kills += usize::from(with_kill(site, calls, n, |s| drop(s.client.delete(&format!("/v1/networks/n/endpoints/{id}")))));
                agree(site, &[&w]);
            });
        }
    }
    assert!(kills >= 2, "the kills came: {kills}");
}

#[test]
fn a_delete_killed_at_any_call_goes_forward() {
    let mut kills = 0;
    for calls in CALLS {
        for n in 1..=2 {
            site(|site| {
                site.network(&vlan30());
                kills += usize::from(with_kill(site, calls, n, |s| drop(s.client.delete("/v1/networks/n"))));
                agree(site, &[]);
            });
        }
    }
    assert!(kills >= 2, "the kills came: {kills}");
}
