//! Components of a contract that was once published still run here, and say what they said then.
//!
//! What is in `tests/data` is never made anew, and its README says why.

mod common;

use bulkhead_core::policy::{Description, Judge, Module, Opinion, Question, Violation};
use bulkhead_wasm::WasmJudge;
use common::*;
use serde::Deserialize;
use std::collections::BTreeMap;
use std::path::PathBuf;

/// All that was written down.
#[derive(Deserialize)]
struct Answers {
    /// What each module says of itself.
    descriptions: BTreeMap<String, Description>,
    /// Settings that a module refuses.
    refused: Vec<Refused>,
    cases: Vec<Case>,
}

#[derive(Deserialize)]
struct Refused {
    module: String,
    settings: serde_json::Value,
    violations: Vec<Violation>,
}

#[derive(Deserialize)]
struct Case {
    about: String,
    module: String,
    settings: serde_json::Value,
    /// As the decision log has it: that it can still be read is a part of the promise.
    question: Question,
    opinion: Opinion,
}

fn folder() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../tests/data/contract-1.0.0")
}

fn answers() -> Answers {
    let text = std::fs::read_to_string(folder().join("answers.json")).expect("answers.json");
    serde_json::from_str(&text).expect("questions and answers that can still be read")
}

fn modules(judge: &WasmJudge) -> BTreeMap<String, Module> {
    let admit = |name: &str| {
        let bytes = std::fs::read(folder().join(format!("{name}.wasm"))).expect("a component");
        (name.to_owned(), judge.admit(&bytes).unwrap_or_else(|e| panic!("{name} is no longer admitted: {e}")))
    };
    ["witness", "tier-isolation"].map(admit).into()
}

#[test]
fn modules_of_contract_1_0_0_say_what_they_said() {
    let judge = judge();
    let modules = modules(&judge);
    let Answers { descriptions, refused, cases } = answers();
    assert!(cases.len() >= 18 && refused.len() >= 2 && descriptions.len() == modules.len());
    for (name, module) in &modules {
        assert_eq!(*module.description, descriptions[name], "{name}");
    }
    for Refused { module, settings, violations } in refused {
        let told = judge.check_settings(modules[&module].digest, &settings).expect_err("refused then").violations;
        assert_eq!(told, violations, "{module} {settings}");
    }
    for Case { about, module, settings, question, opinion } in cases {
        let policy = policy(&judge, &modules[&module], &settings.to_string());
        assert_eq!(spoke(judge.judge(&policy, &question)), opinion, "{module}: {about}");
    }
}
