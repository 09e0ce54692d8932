//! A recorded decision as a test case: `bulkhead decision show ID --as-test`.

use crate::client::Session;
use crate::client::failed::{Failed, Result};
use crate::client::target::Target;
use bulkhead_core::case::{Case, Suite};
use bulkhead_core::policy::{Conclusion, Question};
use bulkhead_wasm::{built_ins, digest};
use serde::Deserialize as _;
use serde_json::Value;

/// Prints what one policy was shown and said, with the settings that it had, as a file of cases.
pub fn show(session: &mut Session, decision: &Value, policy: Option<&str>) -> Result<()> {
    let heard = heard(decision, policy)?;
    let (name, revision) = (text(heard, "policy"), heard["revision"].as_u64().unwrap_or_default());
    let then = session.get(&Target::v1(&["policies", name, "revisions", &revision.to_string()]))?;
    let suite = suite(decision, heard, then["settings"].clone())?;
    session.show(&suite.written(), &[], "")
}

/// The policy that is meant: the one that is named, or the only one that was asked.
fn heard<'a>(decision: &'a Value, policy: Option<&str>) -> Result<&'a Value> {
    let all: Vec<&Value> = decision["heard"].as_array().into_iter().flatten().collect();
    let names = || all.iter().map(|h| text(h, "policy")).collect::<Vec<_>>().join(", ");
    let id = &decision["id"];
    match (policy, all.as_slice()) {
        (_, []) => Err(Failed::Usage(format!("decision {id}: no policy was asked, so there is nothing to make a case of"))),
        (None, [only]) => Ok(only),
        (None, _) => Err(Failed::Usage(format!("decision {id}: {} were asked; choose one with --policy", names()))),
        (Some(named), _) => all
            .iter()
            .find(|h| text(h, "policy") == named)
            .copied()
            .ok_or_else(|| Failed::NotFound(format!("decision {id}: policy {named} was not asked; {} were", names()))),
    }
}

fn suite(decision: &Value, heard: &Value, settings: Value) -> Result<Suite> {
    let (id, policy) = (&decision["id"], text(heard, "policy"));
    let request =
        Question::deserialize(&heard["question"]).map_err(|e| Failed::foreign(&format!("decision {id}, policy {policy}: {e}")))?;
    let expect = Conclusion::deserialize(&heard["outcome"])
        .map_err(|_| Failed::Other(format!("decision {id}: policy {policy} broke, and no case can expect that")))?;
    let rules = heard["violations"].as_array().into_iter().flatten().map(|v| text(v, "rule").to_owned()).collect();
    let built_in = built_ins().into_iter().find(|b| digest(b.bytes).to_string() == text(heard, "module"));
    let name = format!("decision {id}: {} {}", text(decision, "operation"), text(decision, "subject"));
    Ok(Suite {
        module: Some(built_in.map_or("policy.wasm", |b| b.name).to_owned()),
        settings,
        cases: vec![Case { name, settings: None, request, expect, rules }],
    })
}

fn text<'a>(value: &'a Value, key: &str) -> &'a str {
    value[key].as_str().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn decision() -> Value {
        let question = Suite::read(&json!({"cases": [
            {"name": "n", "expect": "allow", "request": {"operation": "attach", "network": {"name": "shop", "labels": {"tier": "web"}}}}
        ]}))
        .map(|suite| json!(suite.cases[0].request))
        .expect("a case");
        let heard = |policy: &str, outcome: &str, rules: &[&str]| {
            let violations: Vec<Value> = rules.iter().map(|r| json!({"rule": r, "message": "m"})).collect();
            json!({"policy": policy, "revision": 3, "module": "sha256:00", "outcome": outcome, "violations": violations, "question": question})
        };
        json!({"id": 7, "operation": "attach", "subject": "shop", "heard": [
            heard("limit", "deny", &["too-many", "too-many"]), heard("broken", "broke", &[])]})
    }

    #[test]
    fn a_decision_becomes_a_case_that_expects_what_was_said() {
        let decision = decision();
        let heard = heard(&decision, Some("limit")).expect("it was asked");
        let suite = suite(&decision, heard, json!({"max": 2})).expect("a suite");
        let wanted = json!({
            "module": "policy.wasm", "settings": {"max": 2},
            "cases": [{
                "name": "decision 7: attach shop",
                "request": {
                    "operation": "attach", "caller": {"name": "", "door": "", "networks": 0},
                    "network": {"name": "shop", "mode": "l2", "internal": true, "labels": {"tier": "web"}, "endpoints": 0}
                },
                "expect": "deny", "rules": ["too-many"],
            }]
        });
        assert_eq!(suite.written(), wanted);
        assert_eq!(Suite::read(&wanted), Ok(suite));
    }

    #[test]
    fn which_policy_is_meant_is_asked_and_what_broke_is_no_case() {
        let decision = decision();
        let said = |policy| match heard(&decision, policy) {
            Err(Failed::Usage(said) | Failed::NotFound(said)) => said,
            other => panic!("{other:?}"),
        };
        assert_eq!(said(None), "decision 7: limit, broken were asked; choose one with --policy");
        assert_eq!(said(Some("other")), "decision 7: policy other was not asked; limit, broken were");
        let broken = heard(&decision, Some("broken")).expect("it was asked");
        assert!(matches!(suite(&decision, broken, json!({})), Err(Failed::Other(said)) if said.contains("broke")));
    }
}
