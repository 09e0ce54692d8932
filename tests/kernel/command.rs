//! The command line against a live daemon: exit codes, formats, dry runs, what is followed across a restart.

use crate::support::{Site, eventually, site, text};
use serde_json::Value;
use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};

impl Site<'_> {
    /// A command of the built program, told where the daemon is.
    fn command(&self) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_bulkhead"));
        command.env("BULKHEAD_HOST", self.daemon.socket());
        command
    }

    /// Exit code, stdout, stderr.
    fn run(&self, line: &str) -> (Option<i32>, String, String) {
        let output = self.command().args(line.split_whitespace()).output().expect("the program runs");
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).expect("UTF-8");
        (output.status.code(), text(output.stdout), text(output.stderr))
    }

    /// What a command prints that must succeed.
    fn prints(&self, line: &str) -> String {
        let (code, out, err) = self.run(line);
        assert!(code == Some(0), "{line}: {code:?} {out} {err}\n{}", self.log());
        out
    }

    fn json(&self, line: &str) -> Value {
        serde_json::from_str(&self.prints(&format!("{line} -o json"))).expect("JSON")
    }
}

#[test]
fn a_walk_with_the_command_line() {
    site(|site| {
        let w = site.lab.workload("pan1").unwrap();
        let name = w.name();
        let made = site.prints("network create cards --parent eth0.40 --subnet 192.168.40.0/24 --ip-range 192.168.40.128/25 --reserve router=192.168.40.5 --label tier=cards");
        assert_eq!(made, "cards\n");
        let dry = site.run("network create web --parent eth0.40 --subnet 10.0.0.0/24 --label tier=web --dry-run");
        assert_eq!(dry.0, Some(3), "{dry:?}");
        assert!(dry.1.starts_with("would be denied\n  tier-isolation/shared-segment · parent · "), "{}", dry.1);
        let denied = site.run("network create web --parent eth0.40 --subnet 10.0.0.0/24 --label tier=web");
        assert!(denied.0 == Some(3) && denied.1.is_empty() && denied.2.contains("tier-isolation/shared-segment · parent · "), "{denied:?}");
        let allowed = site.prints("network create web --parent eth0.41 --subnet 10.0.0.0/24 --label tier=web --dry-run");
        assert!(allowed.starts_with("would be allowed\n") && allowed.contains("\n+ ip link add link eth0 name eth0.41"), "{allowed}");
        assert_eq!(site.prints("network ls -o name"), "cards\n", "a dry run makes nothing");

        assert_eq!(
            site.prints(&format!("endpoint attach cards {name} --name pan1 --label tier=cards --dry-run")).lines().next(),
            Some("would be allowed")
        );
        assert_eq!(site.prints(&format!("network connect cards {name} --name pan1 --label tier=cards")), "pan1\n");
        assert_eq!(site.json("endpoint inspect cards pan1")["addresses"][0], "192.168.40.128/24");
        assert_eq!(site.json("network inspect cards --wait")["state"], "ready");

        assert_eq!(site.prints("address free cards -n 2"), "192.168.40.129\n192.168.40.130\n");
        assert!(site.prints("address list cards --state reserved,used -o csv").contains("192.168.40.5,reserved,router"));
        assert_eq!(site.run("address free cards -n 200").0, Some(5));

        for (line, code, says) in [
            ("network inspect card", 4, "did you mean cards?"),
            ("endpoint inspect cards pan2", 4, "did you mean pan1?"),
            ("policy show tier-isolatoin", 4, "did you mean tier-isolation?"),
            ("module inspect quota", 4, "did you mean quotas?"),
            ("decision show 999", 4, "a number from 1 to"),
            ("network rm cards", 5, "detach them first"),
            ("network create cards", 5, "cards"),
            ("network create n --parent eth9 --subnet 10.0.0.1/24", 2, "10.0.0.0/24"),
        ] {
            let (got, out, err) = site.run(line);
            assert!(got == Some(code) && out.is_empty() && err.contains(says), "{line}: {got:?} {out} {err}");
        }

        assert!(site.prints("network ls").starts_with("NAME   STATE"));
        assert!(site.prints("network ls -o csv").contains("\ncards,ready,l2,eth0.40,192.168.40.0/24,1,tier=cards,"));
        assert!(site.prints("network ls -o yaml").starts_with("- id: "));
        assert_eq!(site.prints("endpoint ls -o jsonl").lines().count(), 1);
        assert!(site.prints("parent ls --state available -o name").lines().any(|l| l == "eth0"));
        assert!(site.prints("doctor").contains("record and kernel"));
        assert_eq!(site.prints("endpoint detach cards pan1"), "pan1\n");
        assert_eq!(site.prints("network rm cards"), "cards\n");
    });
}

#[test]
fn what_is_there_is_changed_and_reported() {
    site(|site| {
        let w = site.lab.workload("pan1").unwrap();
        site.prints("network create cards --parent eth0.40 --subnet 192.168.40.0/24 --ip-range 192.168.40.0/25 --label tier=cards");
        site.prints("network create shop --parent eth0.30 --subnet 192.168.30.0/24 --label tier=web");
        site.prints(&format!("endpoint attach cards {} --name pan1", w.name()));
        let set = "network set cards --label owner=team-7 --mtu 1400 --gateway 192.168.40.0/24=192.168.40.254 --ip-range 192.168.40.0/24=";
        assert!(site.prints(&format!("{set} --dry-run")).starts_with("would be allowed\n"));
        assert_eq!(site.prints(set), "cards\n");
        let cards = site.json("network inspect cards");
        assert_eq!(
            (&cards["labels"]["owner"], &cards["mtu"], &cards["subnets"][0]["ip_range"]),
            (&"team-7".into(), &1400.into(), &Value::Null)
        );
        site.prints("network create more --parent eth0.40 --subnet 192.168.41.0/24 --label tier=cards");
        assert_eq!(site.run("network set cards --label tier=web").0, Some(3), "more is beside it");
        assert_eq!(site.run("network set cards").0, Some(2));
        assert_eq!(site.prints("endpoint set cards pan1 --label release=7 --label release-"), "pan1\n");
        assert_eq!(site.prints("endpoint set cards pan1 --label release=7"), "pan1\n");
        assert_eq!(site.json("endpoint inspect cards pan1")["workload"]["labels"]["release"], "7");

        let report = site.prints("report segmentation -o csv");
        assert!(report.lines().any(|l| l.starts_with("cards,web,shared-segment,satisfied,")), "{report}");
        let page = site.prints("report segmentation --html");
        assert!(page.contains("<!doctype html>") || page.contains("<!DOCTYPE html>"), "{page}");
        let matrix = site.prints("policy matrix tier-isolation -o csv");
        assert!(matrix.contains("create-network,shared,cards,web,denied"), "{matrix}");
        let decision = cards["decision"].to_string();
        assert!(site.prints(&format!("decision replay {decision} --policy subnet-rules")).contains("subnet-rules"));
    });
}

#[test]
fn policies_are_tried_changed_compared_and_put_back() {
    site(|site| {
        site.prints("network create n --subnet 10.1.0.0/24");
        site.prints("policy create ten --module quotas --setting endpoints_per_network=10 --mode audit");
        let w = site.lab.workload("w").unwrap();
        site.prints(&format!("endpoint attach n {} --name w", w.name()));
        let (code, out, _) = site.run("policy try ten --setting endpoints_per_network=0 --mode enforce");
        assert!(code == Some(3) && out.contains("would become illegal · attach · endpoints-per-network · 1"), "{code:?} {out}");
        site.prints("policy set ten --setting endpoints_per_network=5 --mode enforce");
        let policy = site.json("policy show ten");
        assert_eq!((&policy["settings"]["endpoints_per_network"], &policy["mode"]), (&5.into(), &"enforce".into()));
        let (code, _, err) = site.run("policy set ten --mode off");
        assert!(code == Some(2) && err.contains("reason"), "{err}");
        assert!(site.prints("policy diff ten").contains("/settings/endpoints_per_network\n- 10\n+ 5\n"));
        site.prints("policy rollback ten 1 --reason again");
        assert_eq!(site.prints("policy revisions ten").lines().count(), 4);
        // Cases of a file are kept with it, and hold the next revision back.
        let folder = tempfile::tempdir().unwrap();
        let cases = folder.path().join("cases.yaml");
        let case = "request: {operation: attach, network: {endpoints: 10}}\ncases:\n- {name: full, expect: deny, rules: [RULE]}\n";
        std::fs::write(
            &cases,
            format!("module: ignored.wasm\nsettings: {{endpoints_per_network: 1}}\n{case}").replace("RULE", "endpoints-per-network"),
        )
        .unwrap();
        site.prints(&format!("policy set ten --tests {}", cases.display()));
        let (code, _, err) = site.run("policy set ten --setting endpoints_per_network=11 --reason more");
        assert!(code == Some(2) && err.contains("tests.cases[0] · \"full\" expects deny by endpoints-per-network"), "{code:?} {err}");
        std::fs::write(&cases, "cases: [{name: full, expect: denied}]").unwrap();
        let (code, _, err) = site.run(&format!("policy set ten --tests {}", cases.display()));
        assert!(code == Some(2) && err.contains("expect"), "{code:?} {err}");
        site.prints("policy set ten --tests none --reason enough");
        site.prints("policy delete ten --reason enough");
        assert_eq!(site.prints("policy violations -o name"), "");

        let file = site.daemon.database().with_file_name("m.wasm");
        let digest = site
            .prints("module list -o csv")
            .lines()
            .find(|l| l.starts_with("quotas,"))
            .map(|l| l.split(',').nth(4).unwrap().to_owned())
            .unwrap();
        site.prints(&format!("module download quotas -f {}", file.display()));
        assert_eq!(site.prints(&format!("module upload {}", file.display())).trim(), digest, "the same bytes are the same module");

        let decision = text(&site.json("decision list --operation create-network -n 1")[0], "verdict");
        assert_eq!(decision, "allowed");
        assert!(site.prints("decision show 1").starts_with("decision 1 · allowed · "));
        let number = site.prints("decision list --operation create-network -o name");
        assert!(site.prints(&format!("decision replay {}", number.trim())).contains("the same"));
        let verified = site.json("decision verify");
        let again = format!("decision verify --root {} --size {}", text(&verified, "root"), verified["size"]);
        assert_eq!(site.json(&again)["root_matches"], true);
        let (code, ..) = site.run(&again.replace(&text(&verified, "root"), &"0".repeat(64)));
        assert_eq!(code, Some(1));
    });
}

#[test]
fn what_is_followed_goes_on_across_a_restart_and_nothing_comes_twice() {
    site(|site| {
        let mut follow = site.command();
        let mut child = follow
            .args(["event", "list", "-n", "0", "--follow", "-o", "jsonl"])
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines().map(|l| serde_json::from_str::<Value>(&l.unwrap()).unwrap());
        let mut watch = site.command();
        let mut watching =
            watch.args(["network", "ls", "--watch", "--no-headers"]).stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
        let mut rows = BufReader::new(watching.stdout.take().unwrap()).lines().map(|l| l.unwrap());
        // Whether it listens yet is seen by what it prints: networks are made until it does.
        site.prints("network create one --subnet 10.1.0.0/24");
        let first = lines.next().unwrap();
        assert_eq!((text(&first, "kind"), text(&first, "subject")), ("network.created".into(), "one".into()));
        let mut seen = rows.next().unwrap();
        assert!(seen.starts_with("one "), "{seen}");
        site.daemon.stop().unwrap();
        site.daemon.start().unwrap();
        site.reconnect();
        site.prints("network create two --subnet 10.2.0.0/24");
        let mut last = first["seq"].as_u64().unwrap();
        loop {
            let event = lines.next().unwrap();
            let seq = event["seq"].as_u64().unwrap();
            assert_eq!(seq, last + 1, "without gaps, and none twice");
            last = seq;
            if event["subject"] == "two" {
                break;
            }
        }
        site.prints("network rm one");
        while !(seen.starts_with("one ") && seen.contains(" gone ")) {
            seen = rows.next().unwrap();
        }
        for child in [&mut child, &mut watching] {
            child.kill().unwrap();
            child.wait().unwrap();
        }
    });
}

#[test]
fn live_names_complete() {
    site(|site| {
        site.prints("network create cards --parent eth0.40 --subnet 192.168.40.0/24 --label tier=cards");
        let complete = |site: &Site<'_>, words: &[&str]| {
            let mut command = site.command();
            command.env("COMPLETE", "bash").env("_CLAP_IFS", "\n").env("_CLAP_COMPLETE_INDEX", (words.len() - 1).to_string());
            let output = command.arg("--").args(words).output().unwrap();
            String::from_utf8(output.stdout).unwrap()
        };
        assert!(complete(site, &["bulkhead", "network", "inspect", "c"]).lines().any(|l| l == "cards"));
        assert!(complete(site, &["bulkhead", "network", "create", "x", "--parent", "eth0."]).lines().any(|l| l == "eth0.40"));
        assert!(complete(site, &["bulkhead", "network", "create", "x", "--label", "t"]).lines().any(|l| l == "tier=cards"));
        assert!(complete(site, &["bulkhead", "policy", "show", "tier"]).lines().any(|l| l == "tier-isolation"));
        site.daemon.stop().unwrap();
        assert!(!complete(site, &["bulkhead", "network", "inspect", "c"]).contains("cards"), "a daemon that is away has nothing to offer");
        site.daemon.start().unwrap();
        site.reconnect();
    });
}

#[test]
fn a_command_waits_for_a_daemon_that_comes() {
    site(|site| {
        site.daemon.stop().unwrap();
        let (code, ..) = site.run("network ls");
        assert_eq!(code, Some(6));
        let mut command = site.command();
        let mut waiting = command.args(["network", "ls", "--wait"]).stdout(Stdio::piped()).spawn().unwrap();
        assert!(waiting.try_wait().unwrap().is_none());
        site.daemon.start().unwrap();
        site.reconnect();
        eventually("it is answered", || waiting.try_wait().unwrap().is_some_and(|status| status.success()));
    });
}
