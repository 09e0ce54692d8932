//! What the guides in docs/ tell is what happens: their commands, run as they stand there.

use crate::support::{Site, silent, site};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Output;

fn repository() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

/// Runs a program with `bulkhead` in its reach, asking the site's daemon.
fn run(site: &Site<'_>, folder: &Path, command: &[&str]) -> Output {
    let program = std::env::var("BULKHEAD").unwrap_or_else(|_| env!("CARGO_BIN_EXE_bulkhead").into());
    let (host, binary) = (format!("BULKHEAD_HOST={}", site.daemon.socket().display()), format!("BULKHEAD={program}"));
    let folder = folder.to_str().unwrap();
    site.lab.host.output(&[&["env", "-C", folder, &host, &binary], command].concat()).unwrap()
}

#[test]
fn the_walk_through_for_card_processing_comes_out_as_it_says() {
    site(|site| {
        let (web, pan) = (site.lab.workload("web").unwrap(), site.lab.workload("pan").unwrap());
        let script = repository().join("docs/pci-dss/walk-through");
        let done = run(site, Path::new("/"), &[script.to_str().unwrap(), "eth0", web.name(), pan.name()]);
        let said = String::from_utf8_lossy(&done.stdout);
        assert!(done.status.success(), "{said}\n{}\n{}", String::from_utf8_lossy(&done.stderr), site.log());
        let steps = fs::read_to_string(&script).unwrap();
        let steps = steps.lines().filter(|l| ["allowed ", "denied ", "refused "].iter().any(|begin| l.starts_with(begin))).count();
        assert_eq!(said.lines().filter(|l| l.starts_with("ok ")).count(), steps, "{said}");
        // What the policies promise holds on the wire.
        let pan_address = site.items("/v1/endpoints?name=pan")[0]["addresses"][0].as_str().unwrap().split('/').next().unwrap().to_owned();
        assert!(silent(&web, pan_address.parse().unwrap()));
        assert!(pan.ping("192.168.40.1".parse().unwrap()).unwrap(), "the positive control: its gateway answers");
    });
}

#[test]
fn the_policy_guide_from_rehearsal_to_proof_works_as_it_stands() {
    site(|site| {
        let guide = fs::read_to_string(repository().join("docs/policy-guide.md")).unwrap();
        let (_, with_daemon) = guide.split_once("\n## Rehearse\n").unwrap();
        let blocks: Vec<&str> = with_daemon.split("```sh\n").skip(1).map(|rest| rest.split_once("```").unwrap().0).collect();
        assert!(blocks.len() >= 4, "rehearse, audit, enforce, prove");
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir(folder.path().join("my-policy")).unwrap();
        let module = repository().join("policies/built/examples/endpoint-limit.wasm");
        fs::copy(module, folder.path().join("my-policy/policy.wasm")).unwrap();
        for block in blocks {
            // The project that the guide makes before is the example under a name of its own.
            let block = block.replace("--module my-policy", "--module endpoint-limit");
            let done = run(site, folder.path(), &["sh", "-euc", &format!("bulkhead() {{ \"$BULKHEAD\" \"$@\"; }}\n{block}")]);
            let said = [done.stdout, done.stderr].map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).concat();
            assert!(done.status.success(), "{block}\n{said}");
        }
        let limit = site.get("/v1/policies/limit");
        assert_eq!((&limit["revision"], &limit["settings"]["max"]), (&4.into(), &2.into()), "{limit}");
    });
}
