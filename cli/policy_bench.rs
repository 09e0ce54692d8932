//! `bulkhead policy bench`: what an evaluation costs.

use crate::policy_module::{admitted, judge, policy};
use crate::policy_test::{files, suite};
use bulkhead_core::case::{Case, Suite};
use bulkhead_core::policy::{Description, Judge as _, Judgement, Policy};
use bulkhead_wasm::WasmJudge;
use clap::Args;
use serde_json::{Value, json};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::{Duration, Instant};

/// Rounds that are not counted, and those that are at the least.
const ROUNDS_MIN: usize = 20;

/// Measures what an evaluation costs: time, fuel, memory.
#[derive(Debug, Args)]
#[command(before_help = "\
Examples:
  bulkhead policy bench my-policy/policy.wasm
  bulkhead policy bench tier-isolation --settings '{\"allowed_pairs\":[[\"web\",\"app\"]]}'
  bulkhead policy bench my.wasm --cases my-policy --settings @settings.json --json")]
#[command(after_help = "\
It puts the requests of the cases to the module, each to a fresh instance, with the limits of a daemon. Without cases, beside the file or
named, an empty request of each operation that the module judges.

Time is what the caller waits for: making the instance, evaluating, taking it away. It depends on the machine, and on what else runs on it;
fuel and memory do not. Fuel is wasmtime's count of instructions: it may differ from one version of bulkhead to the next.")]
pub struct Bench {
    /// The module: a file, or the name of a policy that comes with bulkhead.
    #[arg(value_name = "FILE|NAME")]
    module: String,
    /// Settings for all requests: JSON, or @FILE [default: those of the cases, else {}].
    #[arg(long, value_name = "JSON|@FILE")]
    settings: Option<String>,
    /// A folder or file of cases, whose requests are put [default: those beside FILE].
    #[arg(long, value_name = "DIR|FILE")]
    cases: Option<PathBuf>,
    /// How long each request is measured, in seconds.
    #[arg(long, value_name = "SECONDS", default_value_t = 1, value_parser = clap::value_parser!(u64).range(1..=60))]
    seconds: u64,
    /// Print JSON.
    #[arg(long)]
    json: bool,
}

/// What one request costs.
struct Cost {
    name: String,
    rounds: usize,
    p50: Duration,
    p99: Duration,
    fuel: u64,
    memory_bytes: u64,
}

impl Bench {
    /// Runs it.
    pub fn run(&self) -> ExitCode {
        match self.bench() {
            Ok(()) => ExitCode::SUCCESS,
            Err(faults) => {
                faults.iter().for_each(|fault| eprintln!("bulkhead: {fault}"));
                ExitCode::from(2)
            }
        }
    }

    fn bench(&self) -> Result<(), Vec<String>> {
        let one = |fault: String| vec![fault];
        let judge = judge().map_err(one)?;
        let module = admitted(&judge, &self.module, Path::new("")).map_err(one)?;
        let given = self.given_settings().map_err(one)?;
        let mut costs = Vec::new();
        for suite in self.suites(&module.description)? {
            for case in &suite.cases {
                let settings = given.as_ref().or(case.settings.as_ref()).unwrap_or(&suite.settings);
                let settings = if settings.is_null() { json!({}) } else { settings.clone() };
                let described = judge.check_settings(module.digest, &settings).map_err(|e| one(format!("settings: {e}")))?;
                let policy = policy(&module, described, settings).map_err(one)?;
                costs.push(self.cost(&judge, &policy, case).map_err(one)?);
            }
        }
        let head = format!("{} {}, {} bytes", module.description.name, module.description.version, module.size);
        if self.json {
            let all: Vec<Value> = costs.iter().map(Cost::json).collect();
            println!("{:#}", json!({"module": module.digest, "name": module.description.name, "size": module.size, "requests": all}));
        } else {
            println!("{head}\n{:>10} {:>10} {:>12} {:>10}  request", "p50 µs", "p99 µs", "fuel", "KiB");
            costs.iter().for_each(|cost| println!("{}", cost.line()));
        }
        Ok(())
    }

    fn given_settings(&self) -> Result<Option<Value>, String> {
        let Some(given) = &self.settings else { return Ok(None) };
        let text = match given.strip_prefix('@') {
            Some(file) => std::fs::read_to_string(file).map_err(|e| format!("--settings: {file}: {e}"))?,
            None => given.clone(),
        };
        serde_json::from_str(&text).map(Some).map_err(|e| format!("--settings: {e}; JSON such as '{{\"max\": 2}}'"))
    }

    fn suites(&self, of: &Description) -> Result<Vec<Suite>, Vec<String>> {
        let beside = || Path::new(&self.module).parent().map(|p| if p.as_os_str().is_empty() { Path::new(".") } else { p }.to_owned());
        let found = match &self.cases {
            Some(named) => files(named).map_err(|fault| vec![fault])?,
            None if self.module.ends_with(".wasm") => beside().and_then(|folder| files(&folder).ok()).unwrap_or_default(),
            None => Vec::new(),
        };
        if !found.is_empty() {
            return found.iter().map(|file| suite(file)).collect();
        }
        let case = |o: &bulkhead_core::policy::Operation| json!({"name": o.as_str(), "request": {"operation": o}, "expect": "allow"});
        let cases: Vec<Value> = of.operations.iter().map(case).collect();
        let empty = json!({"request": {"network": {"name": "n"}, "workload": {"name": "w"}}, "cases": cases});
        Ok(vec![Suite::read(&empty).map_err(|faults| faults.iter().map(ToString::to_string).collect::<Vec<_>>())?])
    }

    fn cost(&self, judge: &WasmJudge, policy: &Policy, case: &Case) -> Result<Cost, String> {
        let (judged, memory_bytes) = judge.measured(policy, &case.request);
        if let Judgement::Broke(why) = judged.judgement {
            return Err(format!("{:?}: the policy broke: {why}", case.name));
        }
        for _ in 0..ROUNDS_MIN {
            judge.judge(policy, &case.request);
        }
        let mut times = Vec::new();
        let end = Instant::now() + Duration::from_secs(self.seconds);
        while times.len() < ROUNDS_MIN || Instant::now() < end {
            let begin = Instant::now();
            std::hint::black_box(judge.judge(policy, &case.request));
            times.push(begin.elapsed());
        }
        times.sort();
        let at = |percent: usize| times[(times.len() - 1) * percent / 100];
        let (name, fuel) = (case.name.clone(), judged.fuel.unwrap_or_default());
        Ok(Cost { name, rounds: times.len(), p50: at(50), p99: at(99), fuel, memory_bytes })
    }
}

impl Cost {
    fn json(&self) -> Value {
        let us = |d: Duration| d.as_nanos() as f64 / 1e3;
        json!({
            "name": self.name, "rounds": self.rounds, "p50_us": us(self.p50), "p99_us": us(self.p99), "fuel": self.fuel,
            "memory_bytes": self.memory_bytes,
        })
    }

    fn line(&self) -> String {
        let us = |d: Duration| d.as_nanos() as f64 / 1e3;
        let name: String = self.name.chars().flat_map(|c| if c.is_control() { c.escape_default().collect() } else { vec![c] }).collect();
        format!("{:>10.1} {:>10.1} {:>12} {:>10}  {name}", us(self.p50), us(self.p99), self.fuel, self.memory_bytes >> 10)
    }
}
