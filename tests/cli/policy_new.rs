//! `bulkhead policy new`. That what it makes builds and answers rightly, scripts/lib/examples shows: it takes compilers of four languages.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Command, Output};

fn new(arguments: &[&str], folder: &Path) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_bulkhead"));
    command.args(["policy", "new"]).args(arguments).current_dir(folder).output().expect("the built program starts")
}

/// All files below, with their paths.
fn files(folder: &Path, all: &mut Vec<(String, Vec<u8>)>) {
    for entry in fs::read_dir(folder).expect("a folder").map(|e| e.expect("an entry").path()) {
        match entry.is_dir() {
            true => files(&entry, all),
            false => all.push((entry.display().to_string(), fs::read(&entry).expect("read"))),
        }
    }
}

#[test]
fn a_project_has_the_name_throughout_and_a_program_that_builds_it() {
    let folder = tempfile::tempdir().expect("a folder");
    for lang in ["rust", "js", "python", "c"] {
        let name = format!("my-{lang}");
        let made = new(&["--lang", lang, &name], folder.path());
        assert!(made.status.success(), "{lang}: {made:?}");
        let project = folder.path().join(&name);
        let mode = fs::metadata(project.join("build")).expect("there").permissions().mode();
        assert_eq!(mode & 0o111, 0o111, "{lang}: {mode:o}");
        let mut all = Vec::new();
        files(&project, &mut all);
        let has = |word: &str| all.iter().filter(|(_, bytes)| String::from_utf8_lossy(bytes).contains(word)).count();
        assert_eq!(has("endpoint-limit"), 0, "{lang}: the example's name is left somewhere");
        assert!(has(&name) >= 2, "{lang}: the code names the policy");
        for wanted in ["cases.yaml", "wit/policy.wit", "README.md", ".gitignore"] {
            assert!(project.join(wanted).is_file(), "{lang}: {wanted}");
        }
    }
}

#[test]
fn nothing_is_overwritten_and_odd_names_are_refused() {
    let folder = tempfile::tempdir().expect("a folder");
    fs::create_dir(folder.path().join("there")).expect("made");
    let made = new(&["--lang", "c", "there"], folder.path());
    let said = String::from_utf8_lossy(&made.stderr);
    assert!(made.status.code() == Some(1) && said.contains("there: is there already; choose another name"), "{said}");
    assert_eq!(fs::read_dir(folder.path().join("there")).expect("there").count(), 0);
    for bad in ["../up", "Big", "1st", "a b", "", "a/b"] {
        let made = new(&["--lang", "c", "--", bad], folder.path());
        assert_eq!(made.status.code(), Some(2), "{bad:?}");
    }
    assert_eq!(new(&["--lang", "cobol", "x"], folder.path()).status.code(), Some(2));
}
