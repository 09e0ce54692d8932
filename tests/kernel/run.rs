//! `bulkhead run` and `bulkhead exec`, typed as the documentation has them, without any container runtime.

use crate::support::{Site, eventually, ip, pings, site, site_with};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::json;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, Output, Stdio};

/// A command line of ours, on the lab's host.
fn bulkhead(site: &Site<'_>, arguments: &str) -> Command {
    let binary = std::env::var("BULKHEAD").unwrap_or_else(|_| env!("CARGO_BIN_EXE_bulkhead").to_owned());
    let mut command = Command::new(binary);
    command.args(words(arguments)).env("BULKHEAD_HOST", site.daemon.socket());
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

/// As a shell splits them: at blanks, but not within single quotes.
fn words(line: &str) -> Vec<String> {
    let parts = line.split('\'').enumerate();
    let split = parts.map(|(i, part)| match i % 2 {
        0 => part.split_whitespace().map(str::to_owned).collect(),
        _ => vec![part.to_owned()],
    });
    split.collect::<Vec<Vec<String>>>().concat()
}

fn typed(site: &Site<'_>, arguments: &str) -> Output {
    eprintln!("$ bulkhead {arguments}");
    let child = site.lab.host.spawn(&mut bulkhead(site, arguments)).unwrap();
    child.wait_with_output().unwrap()
}

/// Typed, and it ends well; what it prints.
fn works(site: &Site<'_>, arguments: &str) -> String {
    let output = typed(site, arguments);
    assert!(output.status.success(), "bulkhead {arguments}: {}\n{}\n{}", output.status, told(&output), site.log());
    String::from_utf8(output.stdout).unwrap()
}

fn told(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

fn status(site: &Site<'_>, arguments: &str) -> (Option<i32>, String) {
    let output = typed(site, arguments);
    (output.status.code(), told(&output))
}

/// Starts a workload that stays, and waits until it is attached.
fn started(site: &mut Site<'_>, arguments: &str, name: &str) -> Child {
    let mut child = site.lab.host.spawn(&mut bulkhead(site, arguments)).unwrap();
    site.reconnect();
    eventually(&format!("{name} is attached"), || {
        assert!(child.try_wait().unwrap().is_none(), "bulkhead {arguments} has ended");
        site.items("/v1/endpoints").iter().any(|e| e["name"] == name && e["state"] == "attached")
    });
    child
}

fn send(child: &Child, signal: Signal) {
    kill_process(Pid::from_child(child), signal).unwrap();
}

fn ends_by(mut child: Child, signal: Signal, status: i32) {
    send(&child, signal);
    assert_eq!(child.wait().unwrap().code(), Some(status));
}

/// How many endpoints there are; by a new connection, as the one before may have been idle for too long.
fn left(site: &mut Site<'_>) -> usize {
    site.reconnect();
    site.items("/v1/endpoints").len()
}

/// Processes whose command line has these words.
fn processes(words: &str) -> Vec<String> {
    let all = fs::read_dir("/proc").unwrap().flatten().filter_map(|e| fs::read(e.path().join("cmdline")).ok());
    let lines = all.map(|l| String::from_utf8_lossy(&l).replace('\0', " ").trim().to_owned());
    lines.filter(|l| l.contains(words) && !l.contains("bulkhead")).collect()
}

#[test]
fn the_documentations_walk_through_can_be_typed() {
    site(|site| {
        works(site, "network create db_net_ipv --parent eth0 --subnet 192.168.1.0/24 --subnet 2001:db8:1::/64");
        let one = started(site, "run --net db_net_ipv --name ipv1 -- sleep 1000", "ipv1");
        let two = started(site, "run --net db_net_ipv --name ipv2 --ip 192.168.1.77 -- sleep 1000", "ipv2");
        let pinged = works(site, "exec ipv2 -- ping -c 4 ipv1");
        assert!(pinged.contains("4 received") || pinged.contains("4 packets received"), "{pinged}");
        assert!(works(site, "run --net db_net_ipv -- ping -6 -c 1 ipv1").contains("ipv1"));
        assert!(works(site, "exec ipv1 -- getent ahostsv4 ipv2").contains("192.168.1.77"));
        assert!(works(site, "exec ipv1 -- getent hosts 192.168.1.77").contains("ipv2.db_net_ipv"));
        assert!(pings(&site.lab.peer, ip("192.168.1.77")), "and from another host on the segment");

        let mut isolated = Vec::new();
        for n in 1..=3 {
            works(site, &format!("network create isolated{n}"));
            isolated.push(started(site, &format!("run --net isolated{n} --name cid{n} -- sleep 1000"), &format!("cid{n}")));
        }
        for n in 1..=3 {
            assert!(works(site, &format!("exec cid{n} -- ip addr")).contains("eth0@"));
            for other in (1..=3).filter(|o| *o != n) {
                assert_ne!(status(site, &format!("exec cid{n} -- getent hosts cid{other}")).0, Some(0), "no names across networks");
                site.reconnect();
                let address =
                    site.items(&format!("/v1/networks/isolated{other}/endpoints"))[0]["addresses"][0].as_str().unwrap().to_owned();
                let address = address.split('/').next().unwrap();
                assert_eq!(status(site, &format!("exec cid{n} -- ping -c 1 -W 1 {address}")).0.map(|c| c > 0), Some(true));
            }
        }
        for child in isolated.into_iter().chain([one, two]) {
            ends_by(child, Signal::TERM, 143);
        }
        assert_eq!(left(site), 0, "each has detached its own");
    });
}

#[test]
fn what_a_command_sees_and_what_it_leaves() {
    site(|site| {
        site.network(&json!({"name": "a", "subnets": [{"cidr": "10.1.0.0/24"}]}));
        site.network(&json!({"name": "b", "subnets": [{"cidr": "10.2.0.0/24"}]}));
        let before = fs::read("/etc/resolv.conf").unwrap();
        let seen = works(site, "run --net a,b --name x --alias y --ip 10.2.0.9 --ip 10.1.0.8 -- cat /etc/resolv.conf");
        assert!(seen.contains("nameserver 127.0.0.11"), "{seen}");
        assert_eq!(fs::read("/etc/resolv.conf").unwrap(), before, "the host's is as it was");
        let links = works(site, "run --net a,b --ip 10.2.0.9 --ip 10.1.0.8 -- ip -4 -o addr");
        let has = |link: &str, address: &str| links.lines().any(|l| l.contains(link) && l.contains(address));
        assert!(has("eth0", "10.1.0.8/24") && has("eth1", "10.2.0.9/24") && has("lo", "127.0.0.1/8"), "{links}");
        assert!(works(site, "run --net a --name x --alias y -- getent hosts y").contains("10.1.0."));
        assert_eq!(works(site, "run --net a -- sh -c 'echo $$'").trim(), "2", "its processes are its own");
        assert_eq!(left(site), 0);
    });
}

#[test]
fn exit_statuses_are_the_commands_or_tell_what_is_wrong() {
    site(|site| {
        site.network(&json!({"name": "n", "labels": {"tier": "web"}, "subnets": [{"cidr": "10.1.0.0/24"}]}));
        assert_eq!(status(site, "run --net n -- false").0, Some(1));
        assert_eq!(status(site, "run --net n -- timeout -s KILL 0.1 sleep 9").0, Some(137));
        let (code, said) = status(site, "run --net n -- /no/such/command");
        assert!(code == Some(127) && said.contains("/no/such/command cannot be started"), "{code:?} {said}");
        assert_eq!(status(site, "run --net n -- /etc").0, Some(126));
        let (code, said) = status(site, "run --net m -- true");
        assert!(code == Some(4) && said.contains('m'), "{code:?} {said}");
        let (code, said) = status(site, "run --net n --label tier=cards -- true");
        assert!(code == Some(3) && said.contains("tier"), "{code:?} {said}");
        let (code, said) = status(site, "run --net n --ip 10.7.0.1 -- true");
        assert!(code == Some(2) && said.contains("--ip 10.7.0.1: in no subnet of n"), "{code:?} {said}");
        let (code, said) = status(site, "run --net n --dry-run -- false");
        assert!(code == Some(0) && said.contains("would be allowed"), "{code:?} {said}");
        assert_eq!(status(site, "exec nobody -- true").0, Some(4));
        assert_eq!(left(site), 0, "none of these left anything");
    });
}

#[test]
fn a_signal_ends_it_politely_and_kill_9_leaves_nothing_either() {
    site_with(
        "sweep_s = 1",
        |_| {},
        |site| {
            site.network(&json!({"name": "n", "subnets": [{"cidr": "10.1.0.0/24"}]}));
            let child = started(site, "run --net n --name a -- sleep 1000", "a");
            ends_by(child, Signal::INT, 130);
            assert_eq!(left(site), 0);

            // A shell with children of its own: one in the background, and one that outlives the shell if nobody sees to it.
            let line = "run --net n --name a -- sh -c 'setsid sleep 98761 & sleep 98761; true'";
            let mut child = started(site, line, "a");
            eventually("both run", || processes("sleep 98761").iter().filter(|l| l.starts_with("sleep")).count() == 2);
            child.kill().unwrap();
            child.wait().unwrap();
            eventually("no process is left", || processes("sleep 98761").is_empty());
            site.reconnect();
            eventually("the daemon has released it", || site.items("/v1/endpoints").is_empty());
            assert_eq!(site.events("endpoint.released").len(), 1);

            // The command itself: this side sees it, and detaches at once, with what the command left in the background.
            assert_eq!(status(site, "run --net n --name a -- sh -c 'setsid sleep 98762 & kill -9 $$'").0, Some(137));
            assert_eq!((left(site), processes("sleep 98762").len()), (0, 0));
            assert_eq!(site.events("endpoint.released").len(), 1, "it did not have to be released");
        },
    );
}

#[test]
fn the_network_outlives_the_daemon_and_its_next_start_finds_what_has_ended() {
    site(|site| {
        site.network(&json!({"name": "n", "subnets": [{"cidr": "10.1.0.0/24"}]}));
        let one = started(site, "run --net n --name one --ip 10.1.0.9 -- sleep 1000", "one");
        let two = started(site, "run --net n --name two -- ping -c 15 -i 0.2 10.1.0.9", "two");
        site.daemon.kill().unwrap();
        let ended = two.wait_with_output().unwrap();
        let said = told(&ended);
        assert!(ended.status.success() && said.contains(" 0% packet loss"), "{said}");
        assert!(said.contains("The daemon releases what was attached at its next start"), "{said}");
        site.daemon.start().unwrap();
        site.reconnect();
        let names: Vec<String> = site.items("/v1/endpoints").iter().map(|e| e["name"].to_string()).collect();
        assert_eq!(names, ["\"one\""]);
        eventually("names are back", || status(site, "exec one -- getent hosts one").0 == Some(0));
        ends_by(one, Signal::TERM, 143);
        assert_eq!(left(site), 0);
    });
}

#[test]
fn an_ordinary_user_runs_and_enters_what_is_theirs() {
    const USER: u32 = 4242;
    site_with(
        &format!("socket_group = {USER}"),
        |_| {},
        |site| {
            site.network(&json!({"name": "n", "subnets": [{"cidr": "10.1.0.0/24"}]}));
            let folder = site.daemon.socket();
            let folder = folder.parent().unwrap();
            fs::set_permissions(folder, fs::Permissions::from_mode(0o711)).unwrap();
            let as_user = |site: &Site<'_>, arguments: &str| {
                let mut command = bulkhead(site, arguments);
                command.uid(USER).gid(USER).current_dir("/");
                site.lab.host.spawn(&mut command).unwrap()
            };
            let roots = started(site, "run --net n --name roots -- sleep 1000", "roots");
            let child = as_user(site, "run --net n --name theirs -- sleep 1000");
            site.reconnect();
            eventually("it is attached", || site.items("/v1/endpoints").iter().any(|e| e["name"] == "theirs" && e["state"] == "attached"));
            let done = |child: Child| {
                let output = child.wait_with_output().unwrap();
                (output.status.code(), told(&output))
            };
            let (code, said) = done(as_user(site, "exec theirs -- id -u"));
            assert_eq!((code, said.trim()), (Some(0), "4242"));
            let (code, said) = done(as_user(site, "exec theirs -- ping -c 1 roots"));
            assert!(code == Some(0), "{said}");
            let (code, said) = done(as_user(site, "run --net n -- ip link set lo down"));
            assert!(code.is_some_and(|c| c > 0), "no rights over its own network, either: {said}");
            let (code, said) = done(as_user(site, "exec roots -- true"));
            assert!(code == Some(1) && said.contains("cannot be entered"), "{code:?} {said}");
            assert_eq!(status(site, "exec theirs -- id -u").1.trim(), "4242", "root enters as who is somebody there");
            ends_by(child, Signal::TERM, 143);
            ends_by(roots, Signal::TERM, 143);
            assert_eq!(left(site), 0);
        },
    );
}
