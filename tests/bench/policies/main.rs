//! What policies cost, beside other engines: `scripts/bench policies [compare|built-ins|scale|start|revisions|hostile]…`, all by default.
//!
//! One run, one process, the daemon's shipped settings. Before any time is taken, all engines must say the same. Take ratios, not numbers,
//! from one machine to another.

mod agree;
mod built_ins;
#[path = "../../../engine/wasm/tests/common/mod.rs"]
mod common;
mod compare;
mod engines;
mod hostile;
mod measure;
mod scale;
mod start;

use bulkhead_wasm::{Limits, WasmJudge};
use std::error::Error;
use std::process::ExitCode;
use std::sync::Arc;

#[global_allocator]
static COUNTING: measure::Counting = measure::Counting;

/// With this argument the program is the process of its own that checks an upload.
const CHILD: &str = "policy-child";
const SECTIONS: [&str; 6] = ["compare", "built-ins", "scale", "start", "revisions", "hostile"];

fn main() -> ExitCode {
    let wanted: Vec<String> = std::env::args().skip(1).collect();
    if wanted.first().is_some_and(|w| w == CHILD) {
        return bulkhead_wasm::child_main();
    }
    if let Some(stray) = wanted.iter().find(|w| !SECTIONS.contains(&w.as_str())) {
        eprintln!("{stray}: no such part; there are {}", SECTIONS.join(", "));
        return ExitCode::from(2);
    }
    match run(&wanted) {
        Ok(()) => ExitCode::SUCCESS,
        Err(why) => {
            eprintln!("{why}");
            ExitCode::FAILURE
        }
    }
}

fn run(wanted: &[String]) -> Result<(), Box<dyn Error>> {
    let asked = |section: &str| wanted.is_empty() || wanted.iter().any(|w| w == section);
    let judge = Arc::new(WasmJudge::new(Limits::default())?);
    let scratch = tempfile::tempdir_in(std::env::var_os("BULKHEAD_SHARE").unwrap_or_else(|| std::env::temp_dir().into()))?;
    if asked("compare") {
        agree::check(&judge)?;
        compare::run(&judge)?;
    }
    if asked("built-ins") {
        built_ins::run(&judge)?;
    }
    if asked("scale") {
        scale::run(&judge)?;
    }
    drop(judge);
    if asked("start") {
        start::hundred_policies(scratch.path())?;
    }
    if asked("revisions") {
        start::hundred_revisions(scratch.path())?;
    }
    if asked("hostile") {
        hostile::run(scratch.path())?;
    }
    Ok(())
}
