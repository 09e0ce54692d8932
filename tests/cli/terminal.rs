//! What is shown on a terminal: as wide as it is, in colour unless somebody wants none; and what stands in help.

use crate::command::{against, bulkhead, said};
use std::process::Command;

/// Runs a command line of bulkhead on a terminal of so many columns (util-linux's script makes one).
fn on_terminal(columns: usize, environment: &str, line: &str) -> String {
    let inside = format!("stty cols {columns}; {environment} {} {line}", env!("CARGO_BIN_EXE_bulkhead"));
    let output = Command::new("script")
        .args(["-qec", &inside, "/dev/null"])
        .env("TERM", "xterm")
        .env_remove("COLUMNS")
        .env_remove("NO_COLOR")
        .output();
    let (_, out, err) = said(&output.expect("script, of util-linux"));
    assert!(err.is_empty(), "{err}");
    out.replace('\r', "")
}

fn plain(text: &str) -> String {
    let mut parts = text.split('\x1b');
    let first = parts.next().unwrap_or_default().to_owned();
    parts.fold(first, |all, part| all + part.split_once('m').map_or("", |(_, rest)| rest))
}

#[test]
fn help_fits_forty_columns() {
    for line in ["--help", "network create --help", "policy try --help", "netwrk", "network ls --host /nowhere/a/socket"] {
        let shown = plain(&on_terminal(40, "", line));
        assert!(!shown.trim().is_empty());
        for row in shown.lines() {
            // A word that is longer than that stays whole.
            assert!(row.chars().count() <= 40 || row.split_whitespace().count() == 1, "{line}: {row:?}");
        }
    }
}

#[test]
fn a_list_that_does_not_fit_is_shown_as_pairs() {
    let body = r#"{"items":[{"name":"cards","state":"ready","subnets":[{"cidr":"192.168.40.0/24"}]}],"next":null}"#;
    let shown = std::cell::RefCell::new(Vec::new());
    for columns in [40, 120] {
        against(vec![("/", "200 OK", "application/json", body.to_owned())], |socket| {
            shown.borrow_mut().push(plain(&on_terminal(columns, "", &format!("network ls --host {socket}"))));
            bulkhead().arg("--version").output().unwrap()
        });
    }
    let shown = shown.into_inner();
    assert_eq!(shown[0], "NAME      cards\nSTATE     ready\nSUBNETS   192.168.40.0/24\n");
    assert!(shown[1].starts_with("NAME   STATE  MODE"), "{}", shown[1]);
}

#[test]
fn colours_are_for_terminals_that_want_them() {
    let failing = "network ls --host /nowhere/s";
    assert!(on_terminal(80, "", failing).contains("\x1b[31m"));
    assert!(!on_terminal(80, "NO_COLOR=1", failing).contains('\x1b'));
    assert!(!on_terminal(80, "TERM=dumb", failing).contains('\x1b'));
    let (_, out, err) = said(&bulkhead().args(["network", "ls", "--host", "/nowhere/s"]).output().unwrap());
    assert!(!out.contains('\x1b') && !err.contains('\x1b'));
}

#[test]
fn help_begins_with_what_it_does_and_examples() {
    for line in [
        &["network"][..],
        &["network", "create"],
        &["endpoint", "attach"],
        &["policy"],
        &["policy", "try"],
        &["address"],
        &["decision"],
        &[],
    ] {
        let (code, out, _) = said(&bulkhead().args(line).arg("--help").output().unwrap());
        let at = |what: &str| out.find(what).unwrap_or_else(|| panic!("{line:?}: no {what}: {out}"));
        assert_eq!(code, Some(0));
        assert!(at("Examples:") < at("Usage:") && at("Usage:") < at("Options:"), "{line:?}: {out}");
    }
}
