//! Settings: as text, as modules read them, and what is said of those that a module does not take.

use crate::admit;
use crate::bindings::contract;
use crate::run::Broke;
use bulkhead_core::policy::{Description, Digest, Violation};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use sha2::{Digest as _, Sha256};
use std::fmt;

/// Rule of violations that are about settings.
pub(crate) const RULE_SETTINGS: &str = "settings";

/// The module does not take these settings.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SettingsRefused {
    /// All that is wrong; never empty. `field` is the place in the settings.
    pub violations: Vec<Violation>,
}

impl std::error::Error for SettingsRefused {}

impl fmt::Display for SettingsRefused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let one = |v: &Violation| {
            let field = v.field.as_ref().map_or(String::new(), |f| format!("{f}: "));
            let remedy = v.remedy.as_ref().map_or(String::new(), |r| format!("; {r}"));
            format!("{field}{}{remedy}", v.message)
        };
        f.write_str(&self.violations.iter().map(one).collect::<Vec<_>>().join(" · "))
    }
}

impl SettingsRefused {
    pub(crate) fn one(message: String, remedy: &str) -> Self {
        let violation = Violation { rule: RULE_SETTINGS.into(), message, field: None, remedy: Some(remedy.into()) };
        Self { violations: vec![violation] }
    }

    /// The module's word on its settings together with what its schema finds: in the module's own words alone where it, too, sees a
    /// fault in that place, above or below it.
    pub(crate) fn also<T>(said: Result<T, Self>, by_schema: Vec<Violation>) -> Result<T, Self> {
        let own = said.as_ref().err().map_or_else(Vec::new, |refused| refused.violations.clone());
        let new = by_schema.into_iter().filter(|v| !own.iter().any(|o| nested(&o.field, &v.field) || nested(&v.field, &o.field)));
        let new: Vec<Violation> = new.collect();
        if new.is_empty() { said } else { Err(Self { violations: [own, new].concat() }) }
    }

    /// The process that was to find out did not come to its end.
    pub(crate) fn unfinished(what: &str) -> Self {
        Self::one(format!("putting the settings to the module {what}"), "other settings, or a module that takes less")
    }

    /// It is the module that is wrong.
    pub(crate) fn of_module(why: &str) -> Self {
        Self::one(format!("the module broke on these settings: {why}"), "mend the module: this is not the settings' fault alone")
    }

    /// What the module says of itself with these settings, where it took them and keeps to the contract.
    pub(crate) fn unless_described(said: Result<Result<contract::Description, Self>, Broke>) -> Result<Description, Self> {
        let said = said.map_err(|broke| Self::of_module(&broke.to_string()))??;
        admit::description(said).map_err(|faults| {
            let faults = faults.iter().map(ToString::to_string).collect::<Vec<_>>().join(" · ");
            Self::of_module(&format!("what it says of itself is against the contract: {faults}"))
        })
    }
}

/// Whether `inner` is the place `outer` or below it. No place is that of the settings as a whole.
fn nested(outer: &Option<String>, inner: &Option<String>) -> bool {
    let (outer, inner) = (outer.as_deref().unwrap_or_default(), inner.as_deref().unwrap_or_default());
    outer.is_empty() || inner.strip_prefix(outer).is_some_and(|rest| rest.is_empty() || rest.starts_with(['.', '[']))
}

/// Settings as the module reads them: JSON text, keys in the order given. No settings are an empty object.
pub(crate) fn text(settings: &Value) -> String {
    if settings.is_null() { "{}".into() } else { settings.to_string() }
}

/// By which a module with settings in its memory is known.
pub(crate) fn key(module: Digest, text: &str) -> Digest {
    let hash = Sha256::new().chain_update(b"bulkhead settings 1\0").chain_update(module.0).chain_update(text);
    Digest(hash.finalize().into())
}

/// Whether two settings have the same text, without making it.
pub(crate) fn same_text(a: &Value, b: &Value) -> bool {
    let none = |v: &Value| v.is_null() || v.as_object().is_some_and(serde_json::Map::is_empty);
    same(a, b) || none(a) && none(b)
}

fn same(a: &Value, b: &Value) -> bool {
    match (a, b) {
        (Value::Object(a), Value::Object(b)) => a.len() == b.len() && a.iter().zip(b).all(|((a, x), (b, y))| a == b && same(x, y)),
        (Value::Array(a), Value::Array(b)) => a.len() == b.len() && a.iter().zip(b).all(|(x, y)| same(x, y)),
        // Equal zeros may have two signs.
        (Value::Number(x), Value::Number(y)) => x == y && x.as_f64().map(f64::to_bits) == y.as_f64().map(f64::to_bits),
        _ => a == b,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn the_same_text_is_told_without_making_it() {
        let (ab, ba) = (r#"{"a":[1,{"x":null}],"b":"t"}"#, r#"{"b":"t","a":[1,{"x":null}]}"#);
        let all: Vec<Value> = [ab, ba, "[]", "1", "1.0", "-0.0", "0.0", "\"1\"", r#"{"a":{}}"#, r#"{"a":null}"#, "[{}]", "[null]"]
            .iter()
            .map(|t| serde_json::from_str(t).expect("JSON"))
            .chain([json!(null), json!({})])
            .collect();
        for (a, b) in all.iter().flat_map(|a| all.iter().map(move |b| (a, b))) {
            assert_eq!(same_text(a, b), text(a) == text(b), "{a} {b}");
        }
    }
}
