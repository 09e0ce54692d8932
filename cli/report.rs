//! `bulkhead report`

use crate::client::columns::{Column, column};
use crate::client::failed::{Failed, Result};
use crate::client::target::Target;
use crate::client::{Common, Format, Session, run};
use clap::{Args, Subcommand};
use std::io::Write;
use std::process::ExitCode;

/// Reports for those who must show that tiers are kept apart.
#[derive(Debug, Args)]
#[command(before_help = "\
Examples:
  bulkhead report segmentation
  bulkhead report segmentation --since 2026-01-01 --until 2026-04-01 --html > q1.html
  bulkhead report segmentation -o json")]
pub struct Report {
    #[command(subcommand)]
    command: Command,
    #[command(flatten)]
    common: Common,
}

#[derive(Debug, Subcommand)]
enum Command {
    Segmentation(Segmentation),
}

/// What joins which tiers of this host, with the decisions behind it, the policies in force over a period, and the record against the kernel.
#[derive(Debug, Args)]
struct Segmentation {
    /// Begin of the period, 30 days before its end by default.
    #[arg(long, value_name = "TIME")]
    since: Option<String>,
    /// End of the period, now by default.
    #[arg(long, value_name = "TIME")]
    until: Option<String>,
    /// The label that tells tiers.
    #[arg(long, value_name = "KEY")]
    label: Option<String>,
    /// A page that needs nothing else, on stdout.
    #[arg(long, conflicts_with = "output")]
    html: bool,
}

/// What the table shows of each ordered pair of tiers.
const COLUMNS: &[Column] =
    &[column("FROM", "from"), column("TO", "to"), column("CHECK", "check"), column("RESULT", "result"), column("WHY", "why")];

impl Report {
    /// Runs it.
    pub fn run(&self) -> ExitCode {
        let Command::Segmentation(report) = &self.command;
        run(&self.common, |session| report.run(session))
    }
}

impl Segmentation {
    fn run(&self, session: &mut Session) -> Result<()> {
        let target = Target::v1(&["reports", "segmentation"]).query_if("since", self.since.as_ref());
        let target = target.query_if("until", self.until.as_ref()).query_if("label", self.label.as_ref());
        if self.html {
            let page = session.get_bytes(&target.query("format", "html"))?;
            std::io::stdout().write_all(&page)?;
            return Ok(());
        }
        let report = session.get(&target.query("format", "json"))?;
        match session.format(Format::Table) {
            Format::Json | Format::Jsonl | Format::Yaml => session.show(&report, &[], ""),
            _ => self.table(session, &report),
        }
    }
}

fn tier(value: &serde_json::Value) -> &str {
    value.as_str().unwrap_or("(untiered)")
}

impl Segmentation {
    /// The pairs, check by check. Exit status 1 where one is not satisfied.
    fn table(&self, session: &mut Session, report: &serde_json::Value) -> Result<()> {
        let mut rows = Vec::new();
        for pair in report["pairs"].as_array().into_iter().flatten() {
            for check in pair["checks"].as_array().into_iter().flatten() {
                rows.push(serde_json::json!({
                    "from": tier(&pair["from"]), "to": tier(&pair["to"]), "check": check["check"], "result": check["status"], "why": check["findings"][0]["text"],
                }));
            }
        }
        session.show_list(&rows, COLUMNS, "check")?;
        if report["status"] == "not-satisfied" { Err(Failed::NotAsItShouldBe) } else { Ok(()) }
    }
}
