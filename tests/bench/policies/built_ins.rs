//! Each built-in alone, with settings as a site would have them.

use crate::common::{group, question};
use crate::engines::Wasm;
use crate::engines::wasm::{fuel, numbered, of_built_in};
use crate::measure::{allocations, in_turns};
use bulkhead_core::policy::{Policy, Question};
use bulkhead_wasm::{WasmJudge, built_ins};
use std::error::Error;
use std::hint::black_box;
use std::sync::Arc;

const ROUNDS: usize = 10_000;

/// Settings that give each something to look at, and that an attach to network `shop` of tier cards keeps.
pub const SETTINGS: [(&str, &str); 8] = [
    ("tier-isolation", r#"{"allowed_pairs":[["web","app"],["app","db"],["cards","till"]]}"#),
    (
        "subnet-rules",
        r#"{"tiers":{"cards":{"cidrs":["10.40.0.0/16"],"prefix_length":{"min":24,"max":29},"parents":["eth0.40"],"vlans":[40]}}}"#,
    ),
    ("vlan-allow-list", r#"{"rules":{"cards":{"vlans":["40-49"],"parents":["eth0"]},"web":{"vlans":[30,"untagged"]}}}"#),
    ("internal-only", r#"{"tiers":["vault","keys"]}"#),
    ("required-labels", r#"{"networks":{"tier":["web","cards"]}}"#),
    ("quotas", r#"{"networks_per_caller":2000,"endpoints_per_network":200000}"#),
    (
        "address-reservations",
        r#"{"reservations":[{"addresses":["10.40.0.10"],"workloads":["till-1"]},{"addresses":["10.40.0.0/28"],"labels":{"tier":["cards"]}}]}"#,
    ),
    ("no-raw", r#"{"on":"untagged"}"#),
];

pub fn settings(name: &str) -> Result<&'static str, String> {
    SETTINGS.iter().find(|(n, _)| *n == name).map(|(_, s)| *s).ok_or_else(|| format!("no settings for {name}"))
}

pub fn run(judge: &Arc<WasmJudge>) -> Result<(), Box<dyn Error>> {
    let made = built_ins().iter().map(|b| of_built_in(judge, b.name, settings(b.name)?)).collect::<Result<Vec<_>, _>>()?;
    let names: Vec<&str> = std::iter::once("floor: empty component").chain(built_ins().map(|b| b.name)).collect();
    let policies = numbered(Wasm::empty(judge, 1)?.into_iter().chain(made))?;
    let mut attach = question("cards", Some(""), Some(40), "10.40.0.0/24");
    attach.same_segment = vec![group("cards", "", 4, 6_000), group("", "cards", 0, 4_000), group("cards", "cards", 0, 90_000)];
    let asked: Vec<[(&Policy, Question); 1]> = policies.iter().map(|p| [(p, attach.clone())]).collect();
    let engine = Wasm::new("", judge);
    let mut work: Vec<_> = asked.iter().map(|asked| || drop(black_box(engine.judged(asked)))).collect();
    let mut work: Vec<&mut dyn FnMut()> = work.iter_mut().map(|w| w as &mut dyn FnMut()).collect();
    let times = in_turns(ROUNDS, &mut work);
    println!("Each built-in alone; µs, the same attach");
    println!("{:<26} {:>8} {:>8} {:>7} {:>8}", "policy", "p50", "p99", "alloc.", "fuel");
    for ((name, times), asked) in names.iter().zip(&times).zip(&asked) {
        let allocated = allocations(|| drop(black_box(engine.judged(asked))));
        println!("{name:<26} {:>8.2} {:>8.2} {allocated:>7} {:>8}", times.p50(), times.p99(), fuel(&engine.judged(asked))?);
    }
    println!();
    Ok(())
}
