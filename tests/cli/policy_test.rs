//! `bulkhead policy test`, as its author runs it: the built program, files, what is printed and the exit status.

use serde_json::Value;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

fn repository() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

/// Status, stdout and stderr.
fn test(arguments: &[&str], folder: &Path) -> (i32, String, String) {
    let ran = Command::new(env!("CARGO_BIN_EXE_bulkhead")).args(["policy", "test"]).args(arguments).current_dir(folder).output();
    let ran = ran.expect("the built program starts");
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).expect("UTF-8");
    (ran.status.code().expect("no signal"), text(ran.stdout), text(ran.stderr))
}

/// A folder with these cases for the example.
fn folder(cases: &str) -> tempfile::TempDir {
    let folder = tempfile::tempdir().expect("a folder");
    let module = repository().join("policies/built/examples/endpoint-limit.wasm");
    let head = format!("module: {}\nsettings: {{max: 2}}\nrequest: {{operation: attach, network: {{name: shop}}}}\n", module.display());
    fs::write(folder.path().join("cases.yaml"), head + cases).expect("written");
    folder
}

const FULL: &str = "  - {name: full, request: {network: {endpoints: 2}}, expect: deny, rules: [too-many]}\n";
const ROOM: &str = "  - {name: room, request: {network: {endpoints: 1}}, expect: allow}\n";

#[test]
fn a_policy_that_does_as_its_cases_say_passes() {
    let example = ["policies/examples/endpoint-limit", "--module", "policies/built/examples/endpoint-limit.wasm"];
    let (status, out, err) = test(&example, &repository());
    assert_eq!((status, err.as_str()), (0, ""), "{out}");
    let wanted = "\
endpoint-limit 1.0.0
  ok    a network with room takes one more
  ok    a full network takes no more
  ok    without settings there is room for fifty
  ok    and for no more
  coverage 100 %
    too-many
      fired by \"a full network takes no more\"
      nearly by \"a network with room takes one more\": request.network.endpoints: 1 in place of 2
4 passed, 0 failed
";
    assert_eq!(out, wanted);
}

#[test]
fn a_case_that_fails_says_in_what_and_where() {
    let folder = folder(&format!("cases:\n{FULL}{ROOM}  - {{name: wrong, request: {{network: {{endpoints: 2}}}}, expect: allow}}\n"));
    let (status, out, _) = test(&["."], folder.path());
    let wanted = "  FAIL  wrong
        - allow
        + deny by too-many
          too-many fired, unexpectedly: network shop has 2 endpoints, and may have 2
        in ./cases.yaml
";
    assert!(status == 1 && out.contains(wanted) && out.ends_with("2 passed, 1 failed\n"), "{out}");
}

#[test]
fn too_little_coverage_fails_and_says_what_is_missing() {
    let folder = folder(&format!("cases:\n{FULL}"));
    let (status, out, _) = test(&["."], folder.path());
    assert!(status == 1 && out.contains("MISSING a near miss: one like \"full\""), "{out}");
    assert!(out.contains("50 % of its rules' cases are there, and 100 % must be"), "{out}");
    assert_eq!(test(&[".", "--min-coverage", "50"], folder.path()).0, 0);
}

#[test]
fn programs_read_json_and_junit() {
    let folder = folder(&format!("cases:\n{FULL}{ROOM}  - {{name: 'a <b> & \"c\"', expect: deny, rules: [too-many]}}\n"));
    let (status, out, _) = test(&[".", "--json", "--junit", "junit.xml"], folder.path());
    let report: Value = serde_json::from_str(&out).expect("JSON");
    assert_eq!((status, &report["good"], &report["passed"], &report["failed"]), (1, &Value::Bool(false), &2.into(), &1.into()));
    let module = &report["modules"][0];
    assert_eq!((&module["coverage"], &module["rules"][0]["near_miss"]["case"]), (&100.into(), &"room".into()));
    assert_eq!(module["cases"][2]["got"]["spoke"]["outcome"], "allow");
    assert!(module["cases"][0]["fuel"].as_u64().is_some_and(|fuel| fuel > 0));
    let junit = fs::read_to_string(folder.path().join("junit.xml")).expect("written");
    assert!(junit.contains(r#"<testsuite name="endpoint-limit 1.0.0" tests="4" failures="1">"#), "{junit}");
    assert!(junit.contains(r#"name="a &lt;b&gt; &amp; &quot;c&quot;"><failure message="- deny by too-many + allow">"#), "{junit}");
}

#[test]
fn what_cannot_be_used_is_told_all_at_once_with_its_place() {
    let written = folder("cases:\n  - {name: a, expect: alow}\n");
    let (status, out, err) = test(&["."], written.path());
    assert_eq!((status, out.as_str()), (2, ""));
    assert_eq!(err, "bulkhead: ./cases.yaml: cases[0].expect: \"alow\" is not known; did you mean allow?\n");
    let written = folder(
        "cases:
  - {name: a, request: {network: {endpionts: 2}}, expect: allow}
  - {name: b, request: {operation: detatch}, expect: allow}
",
    );
    let wanted = "bulkhead: ./cases.yaml: cases[0].request.network.endpionts: unknown field; did you mean endpoints?
bulkhead: ./cases.yaml: cases[1].request.operation: \"detatch\" is not known; did you mean detach?
";
    assert_eq!(test(&["."], written.path()).2, wanted);
    let written = folder(
        "cases:
  - {name: a, expect: deny, rules: [too-mny]}
  - {name: b, request: {operation: detach, same_segment: [{networks: 1}]}, expect: allow}
  - {name: c, settings: {max: 0}, expect: allow}
",
    );
    let (status, out, err) = test(&["."], written.path());
    assert_eq!((status, out.as_str()), (2, ""));
    for wanted in [
        "cases[0] (\"a\"): rules[0]: endpoint-limit declares no rule \"too-mny\"; did you mean too-many?",
        "cases[1] (\"b\"): request.operation: endpoint-limit is not asked about detach; one of attach",
        "cases[1] (\"b\"): request.same_segment: endpoint-limit does not ask for this view",
        "cases[2] (\"c\"): settings: max: is 0; a whole number from 1",
    ] {
        assert!(err.contains(wanted), "{wanted}\n{err}");
    }
}

#[test]
fn a_module_that_is_not_there_or_no_policy_is_told() {
    let folder = folder(&format!("cases:\n{FULL}{ROOM}"));
    assert_eq!(test(&[".", "--module", "tier-isolaton"], folder.path()).0, 2);
    let (_, _, err) = test(&[".", "--module", "tier-isolaton"], folder.path());
    assert!(err.contains("did you mean tier-isolation?"), "{err}");
    fs::write(folder.path().join("no.wasm"), "text").expect("written");
    let (_, _, err) = test(&[".", "--module", "no.wasm"], folder.path());
    assert!(err.contains("no.wasm: this is not WebAssembly"), "{err}");
    let (_, _, err) = test(&["nothing"], folder.path());
    assert!(err.contains("nothing: No such file"), "{err}");
    let empty = tempfile::tempdir().expect("a folder");
    assert!(test(&["."], empty.path()).2.contains("no cases here; a file cases.yaml"));
}

#[test]
fn yaml_that_two_readers_would_take_differently_is_refused() {
    let twice = folder(&format!("cases:\n{FULL}cases:\n{ROOM}"));
    let (status, _, err) = test(&["."], twice.path());
    assert!(status == 2 && err.contains("duplicate"), "{err}");
    let label = folder("cases:\n  - {name: a, request: {network: {labels: {tier: 1}}}, expect: allow}\n");
    assert!(test(&["."], label.path()).2.contains("labels.tier: 1 is a number; a text; quote what YAML takes for something else"));
}

#[test]
fn the_cases_of_built_in_policies_pass_and_cover_each_of_their_rules() {
    let folders = fs::read_dir(repository().join("policies")).expect("a folder").map(|e| e.expect("an entry").path());
    let with_cases: Vec<PathBuf> = folders.filter(|folder| folder.join("cases.yaml").is_file()).collect();
    assert!(with_cases.len() >= 5, "{with_cases:?}");
    for folder in with_cases {
        let (status, out, err) = test(&[folder.to_str().expect("UTF-8")], &repository());
        assert_eq!(status, 0, "{}\n{out}{err}", folder.display());
    }
}
