//! `bulkhead policy matrix`

use crate::client::columns::{Column, column};
use crate::client::live;
use crate::client::target::Target;
use crate::client::terminal::harmless;
use crate::client::{Common, Format, run};
use clap::Args;
use serde_json::json;
use std::process::ExitCode;

/// Puts every pair of label values to a policy, in each way of being beside each other: what it allows, what differs between two
/// revisions, rules that never deny, and rules that another shadows.
#[derive(Debug, Args)]
#[command(before_help = "\
Examples:
  bulkhead policy matrix tier-isolation
  bulkhead policy matrix tier-isolation --revision 3 --against 1 -o json")]
pub struct Matrix {
    /// Its name.
    #[arg(add = live::policies())]
    policy: String,
    /// Which revision; the one in force where it is left out.
    #[arg(long, value_name = "N")]
    revision: Option<u64>,
    /// The revision to compare it with.
    #[arg(long, value_name = "N")]
    against: Option<u64>,
    #[command(flatten)]
    common: Common,
}

/// What the matrix shows of each question.
const CELLS: &[Column] =
    &[column("OPERATION", "operation"), column("BESIDE", "relation"), column("WHO", "who"), column("WHOM", "whom"), column("SAYS", "says")];

impl Matrix {
    /// Runs it.
    pub fn run(&self) -> ExitCode {
        run(&self.common, |session| {
            let target = Target::v1(&["policies", &self.policy, "matrix"]);
            let number = |n: Option<u64>| n.map(|n| n.to_string());
            let target = target.query_if("revision", number(self.revision).as_ref()).query_if("against", number(self.against).as_ref());
            let matrix = session.get(&target)?;
            if let Format::Json | Format::Jsonl | Format::Yaml = session.format(Format::Table) {
                return session.show(&matrix, &[], "");
            }
            let mut rows = Vec::new();
            for group in matrix["groups"].as_array().into_iter().flatten() {
                for says in ["allowed", "denied"] {
                    for cell in group[says].as_array().into_iter().flatten() {
                        let value = |key: &str| cell[key].as_str().unwrap_or("(none)").to_owned();
                        rows.push(json!({"operation": group["operation"], "relation": group["relation"], "who": value("value"), "whom": value("beside"), "says": says}));
                    }
                }
            }
            session.show_list(&rows, CELLS, "operation")?;
            for (what, list) in [("never denies here", &matrix["never_deny"]), ("never denies without another rule", &matrix["shadowed"])] {
                for rule in list.as_array().into_iter().flatten() {
                    let rule = rule.as_str().or_else(|| rule["rule"].as_str()).unwrap_or_default();
                    session.text(&harmless(&format!("rule {rule} {what}")))?;
                }
            }
            session.text(&harmless(matrix["limits"].as_str().unwrap_or_default()))
        })
    }
}
