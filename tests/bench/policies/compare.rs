//! One, five and twenty policies a decision, in each engine.

use crate::common::{group, question};
use crate::engines::wasm::fuel;
use crate::engines::{Cedar, Engine, Native, Rego, Rules, Wanted, Wasm};
use crate::measure::{allocations, in_turns};
use bulkhead_core::policy::{CallerView, Change, Policy, Question};
use bulkhead_wasm::{Limits, WasmJudge};
use serde_json::json;
use std::error::Error;
use std::hint::black_box;
use std::sync::Arc;

const ROUNDS: usize = 5_000;

/// Policies of the two rules, each with settings of its own.
fn wanted(n: usize) -> Vec<Wanted> {
    let one = |i: usize| {
        if i.is_multiple_of(2) {
            (Rules::TierIsolation, json!({"allowed_pairs": [["web", "app"], ["app", "db"], ["cards", format!("till-{i}")]]}))
        } else {
            let cards = json!({"cidrs": ["10.40.0.0/16", format!("10.{i}.0.0/16")], "prefix_length": {"min": 24, "max": 29},
                               "parents": ["eth0.40"], "vlans": [40]});
            (Rules::SubnetRules, json!({"tiers": {"cards": cards, "web": {"vlans": [30, i]}}, "default": {"cidrs": ["192.168.0.0/16"]}}))
        }
    };
    (0..n).map(one).collect()
}

/// An attach beside what a segment of any size comes to, for policies that look at one label: a group for each tier.
fn attach() -> Question {
    let mut attach = question("cards", Some(""), Some(40), "10.40.0.0/24");
    attach.same_segment = vec![group("cards", "", 4, 6_000), group("", "cards", 0, 4_000), group("cards", "cards", 0, 90_000)];
    attach
}

/// A question without content: what is left is the instance itself.
fn blank() -> Question {
    let mut blank = question("", None, None, "");
    blank.caller = CallerView { name: String::new(), groups: vec![], door: String::new(), networks: 0 };
    blank.change = Change::default();
    blank.network.name.clear();
    blank.network.parent = None;
    blank.network.fabric = None;
    blank.network.subnets.clear();
    blank.addresses.clear();
    blank
}

fn put<'a>(policies: &'a [Policy], question: &Question) -> Vec<(&'a Policy, Question)> {
    policies.iter().map(|p| (p, question.clone())).collect()
}

pub fn run(judge: &Arc<WasmJudge>) -> Result<(), Box<dyn Error>> {
    println!(
        "One decision, all policies together; µs, an attach that is allowed beside three groups of residents. Every policy is another module."
    );
    println!(
        "Floors: as many components that answer at once, given a question without content, and given the same attach. Ratio: to the daemon's own."
    );
    println!(
        "{:>8}  {:<28} {:>9} {:>9} {:>9} {:>7} {:>6} {:>8}",
        "policies", "engine", "p50", "p99", "p50 each", "ratio", "alloc.", "fuel"
    );
    for n in [1, 5, 20] {
        let wanted = wanted(n);
        // What it costs when a decision asks more policies than have a slot of their own.
        let few = Arc::new(WasmJudge::new(Limits { warm_slots: 8, ..Limits::default() })?);
        let few_policies = if n > 8 { Wasm::policies(&few, &wanted)? } else { vec![] };
        let asked_few = put(&few_policies, &attach());
        let (policies, empty) = (Wasm::policies(judge, &wanted)?, Wasm::empty(judge, n)?);
        let (asked, nothing, given) = (put(&policies, &attach()), put(&empty, &blank()), put(&empty, &attach()));
        let fuel = |asked| fuel(&Wasm::new("", judge).judged(asked)).map(Some);
        let mut engines: Vec<(Box<dyn Engine>, &[(&Policy, Question)], Option<u64>)> = vec![
            (Box::new(Native::new(&wanted)?), &asked, None),
            (Box::new(Wasm::new("floor: empty component", judge)), &nothing, fuel(&nothing)?),
            (Box::new(Wasm::new("floor: given the attach", judge)), &given, fuel(&given)?),
            (Box::new(Wasm::new("component, as shipped", judge)), &asked, fuel(&asked)?),
            (Box::new(Rego::new(&wanted)?), &asked, None),
            (Box::new(Cedar::new(&wanted)?), &asked, None),
        ];
        if n > 8 {
            engines.push((Box::new(Wasm::new("component, 8 warm slots", &few)), &asked_few, fuel(&asked)?));
        }
        let allocated: Vec<u64> = engines
            .iter_mut()
            .map(|(engine, asked, _)| {
                drop(engine.decide(asked));
                allocations(|| drop(black_box(engine.decide(asked))))
            })
            .collect();
        let names: Vec<_> = engines.iter().map(|(e, _, fuel)| (e.name(), *fuel)).collect();
        let mut work: Vec<_> = engines.iter_mut().map(|(engine, asked, _)| move || drop(black_box(engine.decide(asked)))).collect();
        let mut work: Vec<&mut dyn FnMut()> = work.iter_mut().map(|w| w as &mut dyn FnMut()).collect();
        let times = in_turns(ROUNDS, &mut work);
        let own = times[3].p50();
        for (((name, fuel), times), allocated) in names.into_iter().zip(&times).zip(allocated) {
            let (p50, p99) = (times.p50(), times.p99());
            let fuel = fuel.map_or_else(|| "–".into(), |f| f.to_string());
            println!("{n:>8}  {name:<28} {p50:>9.2} {p99:>9.2} {:>9.2} {:>7.2} {allocated:>6} {fuel:>8}", p50 / n as f64, p50 / own);
        }
        let (empty, own) = (times[1].p50() / n as f64, own / n as f64);
        println!("{:>8}  each policy {:.2} above the floor\n", "", own - empty);
    }
    Ok(())
}
