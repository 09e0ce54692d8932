//! Writes suites as an author would: what is empty is left away, and labels stand as an object where that says all.

use super::{Case, Suite};
use serde_json::{Map, Value, json};

pub(super) fn suite(suite: &Suite) -> Value {
    let mut written = Map::new();
    written.extend(suite.module.as_ref().map(|m| ("module".to_owned(), json!(m))));
    written.extend((!suite.settings.is_null()).then(|| ("settings".to_owned(), suite.settings.clone())));
    written.insert("cases".into(), suite.cases.iter().map(case).collect());
    Value::Object(written)
}

fn case(case: &Case) -> Value {
    let mut written = json!({"name": case.name, "request": lean(json!(case.request)), "expect": case.expect});
    if let Some(settings) = &case.settings {
        written["settings"] = settings.clone();
    }
    if !case.rules.is_empty() {
        written["rules"] = json!(case.rules);
    }
    written
}

/// A request without what [`read`](super::read) fills in.
fn lean(value: Value) -> Value {
    match value {
        Value::Object(map) => {
            let is_said = |v: &Value| match v {
                Value::Null => false,
                Value::Array(items) => !items.is_empty(),
                // Only `change` can be without a word: all other objects have texts or numbers, which stay.
                Value::Object(fields) => !fields.is_empty(),
                _ => true,
            };
            map.into_iter().map(|(k, v)| (k, lean(v))).filter(|(_, v)| is_said(v)).collect()
        }
        Value::Array(items) => short_labels(&items).unwrap_or_else(|| items.into_iter().map(lean).collect()),
        plain => plain,
    }
}

/// `{key: value}` for a list of asserted labels.
fn short_labels(items: &[Value]) -> Option<Value> {
    let short = |label: &Value| {
        let label = label.as_object().filter(|l| l.len() == 3 && l.get("provenance").is_some_and(|p| p == "asserted"))?;
        Some((label.get("key")?.as_str()?.to_owned(), label.get("value")?.clone()))
    };
    let short: Map<String, Value> = items.iter().map(short).collect::<Option<_>>()?;
    // Keys that repeat would get lost; no list of labels has them, but this is no place to find out.
    (!short.is_empty() && short.len() == items.len()).then_some(Value::Object(short))
}
