//! What came of test cases, for people, programs and CI servers.

use bulkhead_core::case::{Case, Covered, Tried, coverage, fired, percent};
use bulkhead_core::policy::{Conclusion, Judgement, Module};
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::path::PathBuf;

/// What came of all cases.
pub struct Report {
    /// Least coverage, in percent, of each module.
    pub min_coverage: usize,
    /// By module.
    pub tested: Vec<Tested>,
}

/// What came of the cases of one module.
pub struct Tested {
    /// The module.
    pub module: Module,
    /// In the order of their files.
    pub outcomes: Vec<Outcome>,
}

/// What came of one case.
pub struct Outcome {
    /// Its file.
    pub file: PathBuf,
    /// The case.
    pub case: Case,
    /// The settings that it had.
    pub settings: Value,
    /// What came of it.
    pub tried: Tried,
}

impl Tested {
    fn coverage(&self) -> Vec<Covered<'_>> {
        let tried: Vec<_> = self.outcomes.iter().map(|o| (&o.case, &o.settings, &o.tried)).collect();
        coverage(&self.module.description, &tried)
    }

    fn title(&self) -> String {
        format!("{} {}", self.module.description.name, self.module.description.version)
    }
}

impl Report {
    /// Whether all passed, and enough is covered.
    pub fn is_good(&self) -> bool {
        self.failed() == 0 && self.tested.iter().all(|t| percent(&t.coverage()) >= self.min_coverage)
    }

    fn failed(&self) -> usize {
        self.outcomes().filter(|o| !o.tried.passed).count()
    }

    fn outcomes(&self) -> impl Iterator<Item = &Outcome> {
        self.tested.iter().flat_map(|t| &t.outcomes)
    }

    /// As JSON.
    pub fn json(&self) -> Value {
        let case = |o: &Outcome| {
            json!({
                "file": o.file, "name": o.case.name, "passed": o.tried.passed,
                "expected": {"outcome": o.case.expect, "rules": o.case.rules}, "got": o.tried.judged.judgement, "fuel": o.tried.judged.fuel,
            })
        };
        let rule = |c: Covered<'_>| {
            let near = c.near_miss.map(|n| json!({"case": n.case, "beside": n.beside, "differs": n.differs}));
            json!({"rule": c.rule, "fired_by": c.fired_by, "near_miss": near})
        };
        let module = |t: &Tested| {
            let covered = t.coverage();
            json!({
                "name": t.module.description.name, "version": t.module.description.version, "module": t.module.digest,
                "coverage": percent(&covered), "rules": covered.into_iter().map(rule).collect::<Vec<_>>(),
                "cases": t.outcomes.iter().map(case).collect::<Vec<_>>(),
            })
        };
        json!({
            "good": self.is_good(), "passed": self.outcomes().count() - self.failed(), "failed": self.failed(),
            "min_coverage": self.min_coverage, "modules": self.tested.iter().map(module).collect::<Vec<_>>(),
        })
    }
}

/// For people.
pub fn text(report: &Report) -> String {
    let mut out = String::new();
    for tested in &report.tested {
        line(&mut out, 0, &tested.title());
        for outcome in &tested.outcomes {
            let mark = if outcome.tried.passed { "ok  " } else { "FAIL" };
            line(&mut out, 2, &format!("{mark}  {}", outcome.case.name));
            if !outcome.tried.passed {
                differs(outcome).iter().for_each(|l| line(&mut out, 8, l));
                line(&mut out, 8, &format!("in {}", outcome.file.display()));
            }
        }
        let covered = tested.coverage();
        line(&mut out, 2, &format!("coverage {} %", percent(&covered)));
        for rule in &covered {
            line(&mut out, 4, rule.rule);
            told(rule).iter().for_each(|l| line(&mut out, 6, l));
        }
    }
    let low = report.tested.iter().filter(|t| percent(&t.coverage()) < report.min_coverage);
    for tested in low {
        line(
            &mut out,
            0,
            &format!(
                "{}: {} % of its rules' cases are there, and {} % must be",
                tested.title(),
                percent(&tested.coverage()),
                report.min_coverage
            ),
        );
    }
    let failed = report.failed();
    line(&mut out, 0, &format!("{} passed, {failed} failed", report.outcomes().count() - failed));
    out
}

fn line(out: &mut String, indent: usize, text: &str) {
    // A case's or a module's text may have line breaks and worse in it.
    let text: String = text.chars().map(|c| if c.is_control() { c.escape_default().to_string() } else { c.to_string() }).collect();
    let _ = writeln!(out, "{:indent$}{text}", "");
}

/// In what a case that failed is otherwise than expected.
fn differs(outcome: &Outcome) -> Vec<String> {
    let Outcome { case, tried, .. } = outcome;
    let wanted: BTreeSet<&str> = case.rules.iter().map(String::as_str).collect();
    let mut lines = vec![format!("- {}", verdict(case.expect, &wanted))];
    match &tried.judged.judgement {
        Judgement::Broke(why) => lines.push(format!("+ broke: {why}")),
        Judgement::Spoke(opinion) => {
            let got = fired(&tried.judged);
            lines.push(format!("+ {}", verdict(opinion.outcome, &got)));
            lines.extend(wanted.difference(&got).map(|rule| format!("  {rule} did not fire")));
            for v in &opinion.violations {
                let unasked = if wanted.contains(v.rule.as_str()) { "" } else { ", unexpectedly" };
                let at = v.field.as_ref().map_or(String::new(), |field| format!("{field}: "));
                lines.push(format!("  {} fired{unasked}: {at}{}", v.rule, v.message));
            }
            lines.extend(opinion.warnings.iter().map(|w| format!("  warning: {w}")));
            lines.extend(opinion.notes.iter().map(|n| format!("  note: {n}")));
        }
    }
    lines
}

fn verdict(outcome: Conclusion, rules: &BTreeSet<&str>) -> String {
    let rules = rules.iter().copied().collect::<Vec<_>>().join(", ");
    match outcome {
        Conclusion::Deny => format!("deny by {rules}"),
        Conclusion::Allow => "allow".into(),
        Conclusion::NotApplicable => "not-applicable".into(),
    }
}

/// How a rule is covered, and what would cover it.
fn told(rule: &Covered<'_>) -> [String; 2] {
    let fired = match rule.fired_by {
        Some(case) => format!("fired by {case:?}"),
        None => "MISSING a case that fires it".into(),
    };
    let near = match (&rule.near_miss, rule.fired_by) {
        (Some(near), _) => format!("nearly by {:?}: {}", near.case, near.differs.join(", ")),
        (None, Some(case)) => format!("MISSING a near miss: one like {case:?}, another in at most three values, that does not fire it"),
        (None, None) => "MISSING a near miss".into(),
    };
    [fired, near]
}

/// As JUnit has it: one suite a module; the coverage is a case of its own.
pub fn junit(report: &Report) -> String {
    let mut out = String::from("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<testsuites>\n");
    for tested in &report.tested {
        let covered = tested.coverage();
        let is_low = percent(&covered) < report.min_coverage;
        let failures = tested.outcomes.iter().filter(|o| !o.tried.passed).count() + usize::from(is_low);
        let suite = xml(&tested.title());
        let _ = writeln!(out, "  <testsuite name=\"{suite}\" tests=\"{}\" failures=\"{failures}\">", tested.outcomes.len() + 1);
        let mut case = |name: &str, failure: Option<Vec<String>>| {
            let _ = write!(out, "    <testcase classname=\"{suite}\" name=\"{}\"", xml(name));
            let _ = match failure {
                None => writeln!(out, "/>"),
                Some(lines) => writeln!(
                    out,
                    "><failure message=\"{}\">{}</failure></testcase>",
                    xml(&lines[..2.min(lines.len())].join(" ")),
                    xml(&lines.join("\n"))
                ),
            };
        };
        for outcome in &tested.outcomes {
            case(&outcome.case.name, (!outcome.tried.passed).then(|| differs(outcome)));
        }
        let lacking = || {
            covered.iter().flat_map(|rule| told(rule).map(|l| format!("{}: {l}", rule.rule))).filter(|l| l.contains("MISSING")).collect()
        };
        case(&format!("at least {} % coverage", report.min_coverage), is_low.then(lacking));
        out.push_str("  </testsuite>\n");
    }
    out + "</testsuites>\n"
}

/// Text within XML 1.0, which has no place for most control characters.
fn xml(text: &str) -> String {
    let mut out = String::new();
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\n' | '\t' => out.push(c),
            c if c.is_control() || matches!(c, '\u{fffe}' | '\u{ffff}') => out.push('\u{fffd}'),
            c => out.push(c),
        }
    }
    out
}
