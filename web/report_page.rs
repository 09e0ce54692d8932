//! The segmentation report as a page that needs nothing else: no scripts, no fonts, nothing to fetch. It is meant to be kept.

use crate::dto::report::{CheckBody, FindingBody, PairBody, SegmentationBody};
use std::fmt::{self, Display, Write};

const STYLE: &str = "
:root { color-scheme: light dark; --good: #1a7f37; --bad: #c62828; --dim: #6b7280; --line: #8884 }
body { font: 15px/1.5 system-ui, sans-serif; max-width: 75rem; margin: 2rem auto; padding: 0 1rem }
h1 { font-size: 1.6rem } h2 { margin-top: 2.2rem; border-bottom: 1px solid var(--line) } h3 { margin: 1.4rem 0 .3rem }
table { border-collapse: collapse; width: 100% } td, th { border: 1px solid var(--line); padding: .3rem .6rem; text-align: left; vertical-align: top }
code { font: 13px ui-monospace, monospace; word-break: break-all }
.satisfied { color: var(--good) } .not-satisfied { color: var(--bad); font-weight: 600 } .not-evaluated, .dim { color: var(--dim) }
dl { display: grid; grid-template-columns: max-content 1fr; gap: .2rem 1rem } dd { margin: 0 } ul { margin: .2rem 0; padding-left: 1.2rem }
@media print { body { margin: 0; max-width: none } h3, tr { break-inside: avoid } }
";

/// Text as HTML shows it.
struct Shown<'a>(&'a str);

impl Display for Shown<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for c in self.0.chars() {
            match c {
                '&' => f.write_str("&amp;")?,
                '<' => f.write_str("&lt;")?,
                '>' => f.write_str("&gt;")?,
                '"' => f.write_str("&quot;")?,
                '\'' => f.write_str("&#39;")?,
                c => f.write_char(c)?,
            }
        }
        Ok(())
    }
}

/// The page.
pub fn page(report: &SegmentationBody) -> String {
    let mut out = String::new();
    // Writing to a string does not fail.
    let _ = write(report, &mut out);
    out
}

fn write(report: &SegmentationBody, out: &mut String) -> fmt::Result {
    let title = format!("Segmentation of {}", report.host.name);
    write!(
        out,
        "<!doctype html><html lang=\"en\"><meta charset=\"utf-8\"><title>{0}</title><style>{STYLE}</style><h1>{0}</h1>",
        Shown(&title)
    )?;
    write!(out, "<p>Tiers by the label <code>{}</code>: {}.</p>", Shown(&report.label), word(&report.status))?;
    head(report, out)?;
    matrix(report, out)?;
    write!(out, "<h2>Pairs</h2>")?;
    report.pairs.iter().try_for_each(|p| pair(p, out))?;
    policies(report, out)?;
    write!(out, "<h2>Record and kernel, at the time of this report</h2>")?;
    let kernel = &report.kernel;
    write!(out, "<p>{}</p>", if kernel.agrees { "They agree in all that could be looked at." } else { "They differ:" })?;
    list(&kernel.differences, out)?;
    if !kernel.not_seen.is_empty() {
        write!(out, "<p>Not looked at:</p>")?;
        list(&kernel.not_seen, out)?;
    }
    write!(out, "<h2>What this report cannot show</h2>")?;
    list(&report.limits, out)?;
    write!(out, "</html>")
}

fn head(report: &SegmentationBody, out: &mut String) -> fmt::Result {
    let by = &report.software.judged_by;
    let log = &report.log;
    let tree = |size: u64, what: &str, root: &str| format!("{size} {what}, root {root}");
    let rows = [
        ("Host", format!("{}, Linux {}, boot {}", report.host.name, report.host.kernel, report.host.boot)),
        ("Made", report.generated_at.clone()),
        ("Period", format!("{} to {}", report.since, report.until)),
        ("Software", format!("bulkhead {}; policies run by {}, configuration {}", report.software.bulkhead, by.engine, by.configuration)),
        ("Decision log", tree(log.size, "decisions", &log.root)),
        ("Outcomes", tree(log.outcomes_size, "outcomes", &log.outcomes_root)),
        ("Log intact", if log.intact { "every record has the bytes of its leaf" } else { "NO: see GET /v1/decisions/verify" }.to_owned()),
    ];
    write!(out, "<dl>")?;
    for (name, value) in rows {
        write!(out, "<dt>{name}</dt><dd>{}</dd>", Shown(&value))?;
    }
    write!(out, "</dl>")
}

fn tier(tier: Option<&String>) -> &str {
    tier.map_or("(untiered)", String::as_str)
}

/// A status in words and colour.
fn word(status: &str) -> String {
    let text = match status {
        "satisfied" => "satisfied",
        "not-satisfied" => "not satisfied",
        _ => "not evaluated",
    };
    format!("<span class=\"{}\">{text}</span>", Shown(status))
}

fn matrix(report: &SegmentationBody, out: &mut String) -> fmt::Result {
    write!(out, "<h2>Tiers</h2><table><tr><th>Tier<th>Networks<th>Endpoints<th>Segments</tr>")?;
    for t in &report.tiers {
        let (networks, segments) = (t.networks.join(", "), t.segments.join(", "));
        write!(out, "<tr><th>{}<td>{}<td>{}<td>{}</tr>", Shown(tier(t.tier.as_ref())), Shown(&networks), t.endpoints, Shown(&segments))?;
    }
    write!(out, "</table><h2>From (row) to (column)</h2><table><tr><td></td>")?;
    report.tiers.iter().try_for_each(|t| write!(out, "<th>{}", Shown(tier(t.tier.as_ref()))))?;
    write!(out, "</tr>")?;
    for from in &report.tiers {
        write!(out, "<tr><th>{}", Shown(tier(from.tier.as_ref())))?;
        for to in &report.tiers {
            let found = report.pairs.iter().find(|p| p.from == from.tier && p.to == to.tier);
            write!(out, "<td>{}", found.map_or_else(String::new, |p| word(&p.status)))?;
        }
        write!(out, "</tr>")?;
    }
    write!(out, "</table>")
}

fn pair(pair: &PairBody, out: &mut String) -> fmt::Result {
    let (from, to) = (tier(pair.from.as_ref()), tier(pair.to.as_ref()));
    write!(out, "<h3>{} → {}: {}</h3><table>", Shown(from), Shown(to), word(&pair.status))?;
    pair.checks.iter().try_for_each(|c| check(c, out))?;
    write!(out, "</table>")
}

fn check(check: &CheckBody, out: &mut String) -> fmt::Result {
    write!(out, "<tr><th>{}<td>{}<td><ul>", Shown(&check.check.replace('-', " ")), word(&check.status))?;
    check.findings.iter().try_for_each(|f| finding(f, out))?;
    if check.more > 0 {
        write!(out, "<li>and {} more", check.more)?;
    }
    write!(out, "</ul></tr>")
}

fn finding(finding: &FindingBody, out: &mut String) -> fmt::Result {
    write!(out, "<li>{} <span class=\"dim\">({})</span>", Shown(&finding.text), decisions(&finding.decisions, finding.decisions_count))
}

fn decisions(all: &[u64], count: usize) -> String {
    let numbers: Vec<String> = all.iter().map(ToString::to_string).collect();
    let more = count.saturating_sub(all.len());
    let more = if more > 0 { format!(" and {more} more") } else { String::new() };
    format!("decision{} {}{more}", if count == 1 { "" } else { "s" }, numbers.join(", "))
}

fn policies(report: &SegmentationBody, out: &mut String) -> fmt::Result {
    write!(
        out,
        "<h2>Policies in force over the period</h2><table><tr><th>Policy<th>Mode<th>From<th>Until<th>Module<th>Scope<th>Decision</tr>"
    )?;
    for p in &report.policies {
        let scope = if p.everywhere { "everything" } else { "narrowed" };
        let by = p.decision.map_or_else(String::new, |d| d.to_string());
        let (name, mode, module) = (Shown(&p.policy), Shown(&p.mode), Shown(&p.module_name));
        let digest = Shown(&p.module);
        write!(
            out,
            "<tr><td>{name} revision {}<td>{mode}<td>{}<td>{}<td>{module} <code>{digest}</code><td>{scope}<td>{by}</tr>",
            p.revision, p.from, p.until
        )?;
    }
    write!(out, "</table><h3>Times without an enforced policy that judges everywhere</h3>")?;
    let gaps: Vec<String> = report.unguarded.iter().map(|g| format!("{}: {} to {}", g.operation, g.from, g.until)).collect();
    if gaps.is_empty() {
        write!(out, "<p>None.</p>")?
    } else {
        list(&gaps, out)?
    }
    write!(out, "<h3>Denied in the period</h3>")?;
    if report.denials.is_empty() {
        write!(out, "<p>Nothing.</p>")?;
    }
    let denials: Vec<String> =
        report.denials.iter().map(|d| format!("{} {}: {} ({})", d.policy, d.rule, d.count, decisions(&d.decisions, d.count))).collect();
    list(&denials, out)?;
    if !report.denials_complete {
        write!(out, "<p>There are more denials than were read.</p>")?;
    }
    Ok(())
}

fn list(all: &[String], out: &mut String) -> fmt::Result {
    write!(out, "<ul>")?;
    all.iter().try_for_each(|text| write!(out, "<li>{}", Shown(text)))?;
    write!(out, "</ul>")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_callers_named_cannot_become_markup() {
        assert_eq!(Shown("<script>alert('&\"')</script>").to_string(), "&lt;script&gt;alert(&#39;&amp;&quot;&#39;)&lt;/script&gt;");
    }
}
