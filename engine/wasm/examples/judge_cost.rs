//! What a judgement costs: `cargo run --release -p bulkhead-wasm --example judge_cost`.
//!
//! Prints p50 and p99 in microseconds of the floor (a component that answers at once, on a fresh instance) and of each
//! built-in, with the limits and settings that the daemon ships with. Take ratios, not numbers, from one machine to another.

#[path = "../tests/common/mod.rs"]
mod common;

use bulkhead_core::policy::{Judge, Policy, Question};
use bulkhead_wasm::{Limits, WasmJudge, built_ins};
use common::odd::Odd;
use common::{group, policy, question};
use std::error::Error;
use std::time::Instant;

const ROUNDS: usize = 20_000;

/// Settings of the built-ins that give each something to look at, as a site would have them.
const SETTINGS: [(&str, &str); 8] = [
    ("tier-isolation", r#"{"allowed_pairs":[["web","app"],["app","db"]]}"#),
    (
        "subnet-rules",
        r#"{"tiers":{"cards":{"cidrs":["10.40.0.0/16"],"prefix_length":{"min":24,"max":29},"parents":["eth0.40"],"vlans":[40]}}}"#,
    ),
    ("vlan-allow-list", r#"{"rules":{"cards":{"vlans":["40-49"],"parents":["eth0"]},"web":{"vlans":[30,"untagged"]}}}"#),
    ("internal-only", r#"{"tiers":["vault","keys"]}"#),
    ("required-labels", r#"{"networks":{"tier":["web","cards"]},"workloads":{"tier":{"values":["web","c*s"],"provenance":["asserted"]}}}"#),
    ("quotas", r#"{"networks_per_caller":20,"endpoints_per_network":200}"#),
    (
        "address-reservations",
        r#"{"reservations":[{"addresses":["10.40.0.10"],"workloads":["till-1"]},{"addresses":["10.40.0.0/28"],"labels":{"tier":["cards"]}}]}"#,
    ),
    ("no-raw", r#"{"on":"untagged"}"#),
];

fn main() -> Result<(), Box<dyn Error>> {
    let judge = WasmJudge::new(Limits::default())?;
    let floor = ("floor: answers at once", Odd::new().bytes(), "{}");
    let each = built_ins().map(|built_in| {
        let settings = SETTINGS.iter().find(|(name, _)| *name == built_in.name);
        let (_, settings) = settings.unwrap_or_else(|| panic!("no settings for {}", built_in.name));
        (built_in.name, built_in.bytes.to_vec(), *settings)
    });
    let mut rows = Vec::new();
    for (name, bytes, settings) in std::iter::once(floor).chain(each) {
        let begin = Instant::now();
        let module = judge.admit(&bytes)?;
        let admission = begin.elapsed();
        rows.push((name, bytes.len(), admission, policy(&judge, &module, settings)));
    }

    let mut attach = question("cards", Some(""), Some(40), "10.40.0.0/24");
    // What policies that look at one label are shown of a segment with any number of residents: a group for each tier.
    attach.same_segment = vec![group("cards", "", 4, 6_000), group("", "cards", 0, 4_000), group("cards", "cards", 0, 90_000)];

    println!("{:<26} {:>7} {:>10} {:>8} {:>8} {:>8}", "µs for each judgement", "bytes", "admit, ms", "p50", "p99", "fuel");
    for (name, size, admission, policy) in &rows {
        let (p50, p99, fuel) = measure(&judge, policy, &attach);
        println!("{name:<26} {size:>7} {:>10.1} {p50:>8.2} {p99:>8.2} {fuel:>8}", admission.as_secs_f64() * 1e3);
    }
    Ok(())
}

/// p50 and p99 in microseconds, and the fuel of one call.
fn measure(judge: &WasmJudge, policy: &Policy, question: &Question) -> (f64, f64, u64) {
    let mut times = Vec::with_capacity(ROUNDS);
    let mut fuel = 0;
    for round in 0..ROUNDS + 1_000 {
        let begin = Instant::now();
        let judged = judge.judge(policy, question);
        let took = begin.elapsed();
        fuel = judged.fuel.unwrap_or_default();
        common::spoke(judged);
        if round >= 1_000 {
            times.push(took.as_secs_f64() * 1e6);
        }
    }
    times.sort_by(f64::total_cmp);
    (times[ROUNDS / 2], times[ROUNDS * 99 / 100], fuel)
}
