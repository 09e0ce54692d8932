//! Which rules are tested from both sides: a case that fires the rule, and a near miss that does not.

use super::{Case, Tried, fired};
use crate::policy::{Conclusion, Description, Judgement};
use serde_json::{Value, json};

/// Most values in which a near miss may differ from a case that fires the rule. What differs in more is merely another case.
const NEAR_MAX: usize = 3;

/// How a rule is tested.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Covered<'a> {
    /// Id of the rule.
    pub rule: &'a str,
    /// A case that passed and fired it.
    pub fired_by: Option<&'a str>,
    /// A case that passed, was judged, and nearly fired it.
    pub near_miss: Option<NearMiss<'a>>,
}

/// A case that does not fire a rule, and is close to one that does.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NearMiss<'a> {
    /// Its name.
    pub case: &'a str,
    /// The one that fires it.
    pub beside: &'a str,
    /// In what they differ: `network.endpoints: 49 in place of 50`.
    pub differs: Vec<String>,
}

/// How each declared rule is tested by cases, each with what came of it and the settings that it had.
pub fn coverage<'a>(of: &'a Description, tried: &[(&'a Case, &'a Value, &'a Tried)]) -> Vec<Covered<'a>> {
    let passed: Vec<(&'a Case, Value, &'a Tried)> = tried
        .iter()
        .filter(|(_, _, tried)| tried.passed)
        .map(|(case, settings, tried)| (*case, json!({"settings": settings, "request": case.request}), *tried))
        .collect();
    let one = |rule: &'a str| {
        let (fire, calm): (Vec<_>, Vec<_>) = passed.iter().partition(|(_, _, tried)| fired(&tried.judged).contains(rule));
        // Who is not judged at all has missed nothing.
        let judged = calm
            .iter()
            .filter(|(_, _, tried)| !matches!(&tried.judged.judgement, Judgement::Spoke(o) if o.outcome == Conclusion::NotApplicable));
        let pairs = judged.flat_map(|calm| fire.iter().map(move |fire| (calm, fire, differences(&fire.1, &calm.1))));
        let nearest = pairs.filter(|(_, _, differs)| differs.len() <= NEAR_MAX).min_by_key(|(_, _, differs)| differs.len());
        let near_miss = nearest.map(|(calm, fire, differs)| NearMiss { case: &calm.0.name, beside: &fire.0.name, differs });
        Covered { rule, fired_by: fire.first().map(|(case, _, _)| case.name.as_str()), near_miss }
    };
    of.rules.iter().map(|rule| one(&rule.id)).collect()
}

/// How much of what is demanded is there, in percent, rounded down: for each rule a case that fires it, and a near miss.
pub fn percent(covered: &[Covered<'_>]) -> usize {
    let there: usize = covered.iter().map(|c| usize::from(c.fired_by.is_some()) + usize::from(c.near_miss.is_some())).sum();
    if covered.is_empty() { 100 } else { there * 100 / (covered.len() * 2) }
}

/// Values that differ. Of lists of another length, each entry that only one of them has counts as one.
fn differences(from: &Value, to: &Value) -> Vec<String> {
    let mut all = Vec::new();
    compare(from, to, "", &mut all);
    all
}

fn compare(from: &Value, to: &Value, at: &str, all: &mut Vec<String>) {
    match (from, to) {
        (f, t) if f == t => {}
        (Value::Object(f), Value::Object(t)) => {
            for key in f.keys().chain(t.keys().filter(|k| !f.contains_key(*k))) {
                let place = if at.is_empty() { key.clone() } else { format!("{at}.{key}") };
                compare(f.get(key).unwrap_or(&Value::Null), t.get(key).unwrap_or(&Value::Null), &place, all);
            }
        }
        (Value::Array(f), Value::Array(t)) if f.len() == t.len() => {
            f.iter().zip(t).enumerate().for_each(|(i, (f, t))| compare(f, t, &format!("{at}[{i}]"), all));
        }
        (Value::Array(f), Value::Array(t)) => {
            all.extend(t.iter().filter(|e| !f.contains(e)).map(|e| format!("{at}: {e} more")));
            all.extend(f.iter().filter(|e| !t.contains(e)).map(|e| format!("{at}: without {e}")));
        }
        (f, t) => all.push(format!("{at}: {t} in place of {f}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entries_of_lists_count_as_one_where_their_number_differs() {
        let from = json!({"a": [{"x": 1, "y": 1}], "b": 1, "c": [{"x": 1, "y": 1}]});
        let to = json!({"a": [{"x": 1, "y": 2}], "b": null, "c": [{"x": 1, "y": 1}, {"x": 2, "y": 2}]});
        assert_eq!(differences(&from, &to), ["a[0].y: 2 in place of 1", "b: null in place of 1", r#"c: {"x":2,"y":2} more"#]);
        assert_eq!(differences(&to, &to), [""; 0]);
    }
}
