//! `bulkhead policy test`: puts test cases to a policy's module.

use crate::policy_module::{admitted, judge, policy};
use crate::policy_report::{Outcome, Report, Tested, junit, text};
use bulkhead_core::case::Suite;
use bulkhead_wasm::WasmJudge;
use clap::Args;
use serde_json::{Value, json};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

/// Most bytes of a file of cases.
const FILE_BYTES_MAX: u64 = 16 << 20;

/// Puts test cases to a policy's module: no daemon, no root.
#[derive(Debug, Args)]
#[command(before_help = "\
Examples:
  bulkhead policy test my-policy
  bulkhead policy test my-policy --min-coverage 50 --junit report.xml
  bulkhead policy test cases.yaml --module ./my-policy.wasm --json")]
#[command(after_help = "\
A file of cases:
  module: policy.wasm                   # a path from here, or the name of a policy that comes with bulkhead
  settings: {max: 2}                    # of all cases that have none of their own
  request:                              # what all requests have in common; each case's own is laid over it
    operation: attach
    network: {name: shop, labels: {tier: web}}
  cases:
    - name: a network with room takes one more
      request: {network: {endpoints: 1}}
      expect: allow                     # or deny, or not-applicable
    - name: a full network takes no more
      request: {network: {endpoints: 2}}
      expect: deny
      rules: [too-many]                 # exactly these must fire

What a request consists of: `bulkhead decision show ID --as-test` prints a real one. What is left away is empty.

Each rule that the module declares needs a case that fires it, and a near miss: one that is judged, does not fire it, and differs
from a case that does in at most three values. Coverage is the part of these that is there.

Exit status: 0 all passed, 1 a case failed or coverage is too low, 2 the cases or the module cannot be used.")]
pub struct Test {
    /// A folder with cases.yaml or cases/*.yaml, or a file of cases.
    #[arg(value_name = "DIR")]
    cases: PathBuf,
    /// Test this module: a file, or the name of a policy that comes with bulkhead.
    #[arg(long, value_name = "FILE|NAME")]
    module: Option<String>,
    /// Least coverage of the module's rules, in percent.
    #[arg(long, value_name = "PERCENT", default_value_t = 100, value_parser = clap::value_parser!(u8).range(0..=100))]
    min_coverage: u8,
    /// Print JSON.
    #[arg(long)]
    json: bool,
    /// Write a JUnit report as well.
    #[arg(long, value_name = "FILE")]
    junit: Option<PathBuf>,
}

impl Test {
    /// Runs it.
    pub fn run(&self) -> ExitCode {
        let report = match self.report() {
            Ok(report) => report,
            Err(faults) => {
                faults.iter().for_each(|fault| eprintln!("bulkhead: {fault}"));
                return ExitCode::from(2);
            }
        };
        if self.json {
            println!("{:#}", report.json());
        } else {
            print!("{}", text(&report));
        }
        if let Some(file) = &self.junit
            && let Err(error) = fs::write(file, junit(&report))
        {
            eprintln!("bulkhead: {}: {error}", file.display());
            return ExitCode::from(2);
        }
        if report.is_good() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
    }

    /// All cases, put to their modules; or all that keeps them from being put.
    fn report(&self) -> Result<Report, Vec<String>> {
        let mut faults = Vec::new();
        let mut suites = Vec::new();
        for file in files(&self.cases).map_err(|fault| vec![fault])? {
            match suite(&file) {
                Ok(suite) => suites.push((file, suite)),
                Err(wrong) => faults.extend(wrong),
            }
        }
        let judge = judge().map_err(|e| vec![e])?;
        let mut report = Report { min_coverage: usize::from(self.min_coverage), tested: Vec::new() };
        for (file, suite) in suites {
            if let Err(wrong) = self.put(&judge, &file, suite, &mut report) {
                faults.extend(wrong.into_iter().map(|fault| format!("{}: {fault}", file.display())));
            }
        }
        if faults.is_empty() { Ok(report) } else { Err(faults) }
    }

    fn put(&self, judge: &WasmJudge, file: &Path, suite: Suite, report: &mut Report) -> Result<(), Vec<String>> {
        let module = match (&self.module, &suite.module) {
            (Some(named), _) => admitted(judge, named, Path::new("")),
            (None, Some(named)) => admitted(judge, named, file.parent().unwrap_or(Path::new(""))),
            (None, None) => Err("module: missing; a path from this file, or --module".into()),
        };
        let module = module.map_err(|e| vec![e])?;
        let mut faults = Vec::new();
        let mut outcomes = Vec::new();
        for (at, case) in suite.cases.into_iter().enumerate() {
            let at = format!("cases[{at}] ({:?})", case.name);
            let settings = case.settings.clone().unwrap_or_else(|| suite.settings.clone());
            let settings = if settings.is_null() { json!({}) } else { settings };
            let described = judge.check_settings(module.digest, &settings).map_err(|e| format!("settings: {e}"));
            match described.and_then(|described| policy(&module, described, settings)) {
                Err(fault) => faults.push(format!("{at}: {fault}")),
                Ok(policy) => {
                    faults.extend(case.faults(&policy.description).into_iter().map(|fault| format!("{at}: {fault}")));
                    if faults.is_empty() {
                        let tried = case.put(judge, &policy);
                        outcomes.push(Outcome { file: file.to_owned(), case, settings: policy.settings, tried });
                    }
                }
            }
        }
        if !faults.is_empty() {
            return Err(faults);
        }
        match report.tested.iter_mut().find(|t| t.module.digest == module.digest) {
            Some(tested) => tested.outcomes.extend(outcomes),
            None => report.tested.push(Tested { module, outcomes }),
        }
        Ok(())
    }
}

/// The files of cases that are meant, sorted.
pub fn files(at: &Path) -> Result<Vec<PathBuf>, String> {
    let is_yaml = |p: &Path| p.extension().is_some_and(|e| e == "yaml" || e == "yml");
    let listed = |folder: &Path| -> Vec<PathBuf> {
        let entries = fs::read_dir(folder).into_iter().flatten().flatten();
        entries.map(|e| e.path()).filter(|p| p.is_file() && is_yaml(p)).collect()
    };
    let meta = fs::metadata(at).map_err(|e| format!("{}: {e}", at.display()))?;
    if meta.is_file() {
        return Ok(vec![at.to_owned()]);
    }
    let mut all: Vec<PathBuf> = listed(at).into_iter().filter(|p| p.file_stem().is_some_and(|stem| stem == "cases")).collect();
    all.extend(listed(&at.join("cases")));
    all.sort();
    if all.is_empty() { Err(format!("{}: no cases here; a file cases.yaml, or *.yaml in a folder cases", at.display())) } else { Ok(all) }
}

/// Reads a file of cases.
pub fn suite(file: &Path) -> Result<Suite, Vec<String>> {
    let wrong = |what: String| vec![format!("{}: {what}", file.display())];
    let size = fs::metadata(file).map_err(|e| wrong(e.to_string()))?.len();
    if size > FILE_BYTES_MAX {
        return Err(wrong(format!("{size} bytes; at most {FILE_BYTES_MAX} are read")));
    }
    let text = fs::read_to_string(file).map_err(|e| wrong(e.to_string()))?;
    let value: Value = serde_saphyr::from_str(&text).map_err(|e| wrong(e.to_string()))?;
    Suite::read(&value).map_err(|faults| faults.iter().map(|f| format!("{}: {f}", file.display())).collect())
}
