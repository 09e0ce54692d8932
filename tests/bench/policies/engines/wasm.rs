//! The daemon's own: components in fresh instances, with its shipped settings. Rules, or components that answer at once.

use super::{Engine, Verdict, Wanted};
use crate::common::odd::{Odd, Said};
use crate::common::policy;
use bulkhead_core::names::Name;
use bulkhead_core::policy::{Judge, Judged, Judgement, Policy, Question};
use bulkhead_wasm::{BuiltIn, WasmJudge, built_ins};
use std::sync::Arc;

pub struct Wasm {
    name: &'static str,
    judge: Arc<WasmJudge>,
}

/// The built-in of this name.
pub fn built_in(name: &str) -> Result<BuiltIn, String> {
    built_ins().into_iter().find(|b| b.name == name).ok_or_else(|| format!("there is no built-in {name}"))
}

/// A policy of a built-in, its settings frozen.
pub fn of_built_in(judge: &WasmJudge, name: &str, settings: &str) -> Result<Policy, String> {
    let module = judge.admit(built_in(name)?.bytes).map_err(|e| e.to_string())?;
    Ok(policy(judge, &module, settings))
}

/// Numbered names: a record has no two policies of one name.
pub fn numbered(policies: impl Iterator<Item = Policy>) -> Result<Vec<Policy>, String> {
    let named = |(n, policy): (usize, Policy)| {
        let name = Name::new(&format!("{}-{n}", policy.description.name)).map_err(|e| e.to_string())?;
        Ok(Policy { name, ..policy })
    };
    policies.enumerate().map(named).collect()
}

impl Wasm {
    /// Whatever policies it is asked for.
    pub fn new(name: &'static str, judge: &Arc<WasmJudge>) -> Self {
        Self { name, judge: Arc::clone(judge) }
    }

    /// Makes the policies that have these rules.
    pub fn policies(judge: &WasmJudge, wanted: &[Wanted]) -> Result<Vec<Policy>, String> {
        let made = wanted.iter().map(|(rules, settings)| of_built_in(judge, rules.name(), &settings.to_string()));
        numbered(made.collect::<Result<Vec<_>, _>>()?.into_iter())
    }

    /// As many modules that answer at once, each another: what a fresh instance costs and nothing else.
    pub fn empty(judge: &WasmJudge, n: usize) -> Result<Vec<Policy>, String> {
        let one = |i: usize| {
            let version = i.to_string();
            let odd = Odd::saying(&Said { name: "empty", version: &version, ..Said::default() });
            let module = judge.admit(&odd.bytes()).map_err(|e| e.to_string())?;
            Ok(policy(judge, &module, "{}"))
        };
        numbered((0..n).map(one).collect::<Result<Vec<_>, String>>()?.into_iter())
    }

    /// What it says, as the daemon gets it.
    pub fn judged(&self, asked: &[(&Policy, Question)]) -> Vec<Judged> {
        self.judge.judge_all(asked)
    }
}

/// Fuel of all; a policy that broke is an error.
pub fn fuel(judged: &[Judged]) -> Result<u64, String> {
    judged.iter().map(|j| if let Judgement::Broke(why) = &j.judgement { Err(why.clone()) } else { Ok(j.fuel.unwrap_or(0)) }).sum()
}

impl Engine for Wasm {
    fn name(&self) -> &'static str {
        self.name
    }

    fn decide(&mut self, asked: &[(&Policy, Question)]) -> Vec<Verdict> {
        let verdict = |judged: Judged| match judged.judgement {
            Judgement::Spoke(opinion) => Verdict::from_rules(opinion.outcome, opinion.violations.iter().map(|v| v.rule.as_str())),
            // No other engine says this, so no verdict is equal to it.
            Judgement::Broke(why) => Verdict::of([why].into()),
        };
        self.judged(asked).into_iter().map(verdict).collect()
    }
}
