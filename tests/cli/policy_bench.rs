//! `bulkhead policy bench`: what it measures, and what of that does not depend on the machine.

use serde_json::Value;
use std::process::Command;

fn bench(arguments: &[&str]) -> (i32, String, String) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_bulkhead"));
    let ran = command.args(["policy", "bench"]).args(arguments).current_dir(env!("CARGO_MANIFEST_DIR")).output().unwrap();
    (ran.status.code().unwrap(), String::from_utf8(ran.stdout).unwrap(), String::from_utf8(ran.stderr).unwrap())
}

#[test]
fn the_requests_of_cases_are_measured_in_time_fuel_and_memory() {
    let example = ["policies/built/examples/endpoint-limit.wasm", "--cases", "policies/examples/endpoint-limit", "--json"];
    let measured = || {
        let (status, out, err) = bench(&example);
        assert_eq!((status, err.as_str()), (0, ""));
        serde_json::from_str::<Value>(&out).unwrap()["requests"].as_array().unwrap().clone()
    };
    let (once, again) = (measured(), measured());
    let names: Vec<&str> = once.iter().map(|r| r["name"].as_str().unwrap()).collect();
    let four = [
        "a network with room takes one more",
        "a full network takes no more",
        "without settings there is room for fifty",
        "and for no more",
    ];
    assert_eq!(names, four);
    for (one, other) in once.iter().zip(&again) {
        assert!(one["rounds"].as_u64().unwrap() >= 20 && one["p50_us"].as_f64().unwrap() <= one["p99_us"].as_f64().unwrap(), "{one}");
        let whole_pages = one["memory_bytes"].as_u64().filter(|bytes| *bytes > 0 && bytes % 65_536 == 0);
        assert!(whole_pages.is_some() && one["fuel"].as_u64() > Some(0), "{one}");
        assert_eq!((&one["fuel"], &one["memory_bytes"]), (&other["fuel"], &other["memory_bytes"]), "the same each time");
    }
    assert!(once[1]["fuel"].as_u64() > once[0]["fuel"].as_u64(), "a denial has a message to make: {once:?}");
}

#[test]
fn without_cases_each_operation_is_measured_and_wrong_settings_are_told() {
    let (status, out, _) = bench(&["quotas"]);
    assert!(status == 0 && out.contains("create-network") && out.contains("attach") && !out.contains("detach"), "{out}");
    let (status, out, err) = bench(&["quotas", "--settings", r#"{"networks_per_caler": 1}"#]);
    assert_eq!((status, out.as_str()), (2, ""));
    assert!(err.contains("networks_per_caler: is not a known field"), "{err}");
    assert!(bench(&["quotas", "--settings", "{"]).2.contains("--settings: "));
}
