//! What `bulkhead policy` does with the policies of a daemon.

use crate::client::change::{Change, read_file};
use crate::client::columns::{Column, column, text_at, wide};
use crate::client::failed::{Failed, Result};
use crate::client::live;
use crate::client::target::Target;
use crate::client::terminal::{harmless, say};
use crate::client::{Common, Format, Session, run};
use crate::module;
use crate::policy_matrix::Matrix;
use crate::policy_wish::Wish;
use clap::{Args, Subcommand};
use serde_json::{Map, Value, json};
use std::path::Path;
use std::process::ExitCode;

/// Commands about policies on record.
#[derive(Debug, Subcommand)]
pub enum OnRecord {
    #[command(visible_alias = "ls")]
    List(List),
    #[command(visible_alias = "inspect")]
    Show(Named),
    Create(Box<Create>),
    Set(Box<Set>),
    #[command(visible_aliases = ["rm", "remove"])]
    Delete(Delete),
    Try(Box<Try>),
    Violations(Violations),
    Revisions(Named),
    Diff(Diff),
    Matrix(Matrix),
    Rollback(Rollback),
}

/// Lists policies, by name.
#[derive(Debug, Args)]
pub struct List {
    /// Only those in this mode: enforce, audit or off.
    #[arg(short, long)]
    mode: Option<String>,
    /// Go on with what changes, until interrupted.
    #[arg(short, long)]
    watch: bool,
    #[command(flatten)]
    common: Common,
}

/// Shows it.
#[derive(Debug, Args)]
pub struct Named {
    /// Its name.
    #[arg(add = live::policies())]
    policy: String,
    #[command(flatten)]
    common: Common,
}

/// Adds a policy.
#[derive(Debug, Args)]
#[command(before_help = "\
Examples:
  bulkhead policy create ten --module quotas --setting endpoints_per_network=10
  bulkhead policy create vault --module internal-only --settings '{\"tiers\":[\"vault\"]}' --mode audit
  bulkhead policy create mine --module 9f86d08 --settings @mine.json --until 2027-03-01T00:00:00Z --then enforce --mode audit")]
pub struct Create {
    /// Its name.
    policy: String,
    #[command(flatten)]
    wish: Wish,
    #[command(flatten)]
    change: Change,
    #[command(flatten)]
    common: Common,
}

/// Changes a policy; what is not named stays as it is. A change that loosens needs a --reason.
#[derive(Debug, Args)]
#[command(before_help = "\
Examples:
  bulkhead policy set ten --setting endpoints_per_network=20 --reason 'ticket 4711'
  bulkhead policy set ten --tests cases.yaml               (every later revision must pass them)
  bulkhead policy set tier-isolation --mode audit --reason 'outage' --until 2026-12-01T06:00:00Z --then enforce")]
pub struct Set {
    /// Its name.
    #[arg(add = live::policies())]
    policy: String,
    #[command(flatten)]
    wish: Wish,
    #[command(flatten)]
    change: Change,
    #[command(flatten)]
    common: Common,
}

/// Removes a policy. It needs a --reason.
#[derive(Debug, Args)]
pub struct Delete {
    /// Its name.
    #[arg(add = live::policies())]
    policy: String,
    #[command(flatten)]
    change: Change,
    #[command(flatten)]
    common: Common,
}

/// Rehearses a policy against all that exists and what was asked before: what would become illegal, what newly allowed. Changes no
/// policy. Exit status 3 where something would become illegal.
#[derive(Debug, Args)]
#[command(before_help = "\
Examples:
  bulkhead policy try tier-isolation --settings @new.json          (a policy that is there, with other settings)
  bulkhead policy try my.wasm --setting max=10                     (a file: it is put on record as a module)
  bulkhead policy try quotas --setting networks_per_caller=2 -o json")]
pub struct Try {
    /// A policy, a module, or a .wasm file.
    #[arg(value_name = "POLICY|MODULE|FILE", add = live::policies())]
    what: String,
    /// The policy whose place it would take, where it is not named that itself.
    #[arg(long, value_name = "POLICY")]
    name: Option<String>,
    #[command(flatten)]
    wish: Wish,
    /// Exit status 3 also where something would be newly allowed.
    #[arg(long)]
    or_loosens: bool,
    #[command(flatten)]
    common: Common,
}

/// Lists what exists and is against a policy in force or in audit, since when, and by which decision.
#[derive(Debug, Args)]
pub struct Violations {
    /// Only those of this policy.
    #[arg(short, long, add = live::policies())]
    policy: Option<String>,
    /// Only those of this network.
    #[arg(short, long, add = live::networks())]
    network: Option<String>,
    /// Exit status 3 where there are any.
    #[arg(long)]
    exit_code: bool,
    #[command(flatten)]
    common: Common,
}

/// Shows in what two revisions of a policy differ.
#[derive(Debug, Args)]
#[command(before_help = "\
Examples:
  bulkhead policy diff tier-isolation          (the newest and the one before)
  bulkhead policy diff tier-isolation 3        (3 and the one before)
  bulkhead policy diff tier-isolation 3 1")]
pub struct Diff {
    /// Its name.
    #[arg(add = live::policies())]
    policy: String,
    /// A revision; the newest where it is left out.
    revision: Option<u64>,
    /// The one to compare it with; the one before where it is left out.
    from: Option<u64>,
    #[command(flatten)]
    common: Common,
}

/// Puts a former revision in force again, as a new one.
#[derive(Debug, Args)]
pub struct Rollback {
    /// Its name.
    #[arg(add = live::policies())]
    policy: String,
    /// The revision.
    revision: u64,
    #[command(flatten)]
    change: Change,
    #[command(flatten)]
    common: Common,
}

const COLUMNS: &[Column] = &[
    column("NAME", "name"),
    column("MODE", "mode"),
    column("UNTIL", "until"),
    column("THEN", "then"),
    column("MODULE", "description.name"),
    column("REVISION", "revision"),
    column("SUMMARY", "description.summary"),
    wide("VERSION", "description.version"),
    wide("OPERATIONS", "scope.operations"),
    wide("NETWORKS", "scope.networks"),
    wide("NETWORK-LABELS", "scope.network_labels"),
    wide("SETTINGS", "settings"),
    wide("CONTACT", "help.contact"),
    wide("DIGEST", "module"),
];

const REVISIONS: &[Column] = &[
    column("REVISION", "revision"),
    column("IN-FORCE", "in_force"),
    column("MODE", "mode"),
    column("DECISION", "decision"),
    column("SETTINGS", "settings"),
    wide("MODULE", "module"),
    wide("SCOPE", "scope"),
];

const STANDING: &[Column] = &[
    column("POLICY", "policy"),
    column("MODE", "mode"),
    column("NETWORK", "network"),
    column("WORKLOAD", "workload"),
    column("RULE", "rule"),
    column("SINCE", "since"),
    column("DECISION", "decision"),
    wide("FIELD", "field"),
    wide("MESSAGE", "message"),
    wide("REMEDY", "remedy"),
    wide("ENDPOINT", "endpoint"),
];

impl OnRecord {
    /// Runs the command.
    pub fn run(&self) -> ExitCode {
        match self {
            Self::List(List { mode, watch, common }) => {
                run(common, |session| session.show_all(&Target::v1(&["policies"]).query_if("mode", mode.as_ref()), COLUMNS, "name", *watch))
            }
            Self::Show(Named { policy, common }) => run(common, |session| {
                let found = session.get(&Target::v1(&["policies", policy]))?;
                session.show(&found, COLUMNS, "name")
            }),
            Self::Create(create) => run(&create.common, |session| create.run(session)),
            Self::Set(set) => run(&set.common, |session| set.run(session)),
            Self::Delete(Delete { policy, change, common }) => {
                run(common, |session| match session.change("DELETE", Target::v1(&["policies", policy]), None, change)? {
                    Some(gone) => session.show_gone(policy, &gone),
                    None => Ok(()),
                })
            }
            Self::Try(tried) => run(&tried.common, |session| tried.run(session)),
            Self::Violations(violations) => run(&violations.common, |session| violations.run(session)),
            Self::Revisions(Named { policy, common }) => run(common, |session| {
                let found = session.all_of_one_page(&Target::v1(&["policies", policy, "revisions"]))?;
                session.show_list(&found, REVISIONS, "revision")
            }),
            Self::Diff(diff) => run(&diff.common, |session| diff.run(session)),
            Self::Matrix(matrix) => matrix.run(),
            Self::Rollback(Rollback { policy, revision, change, common }) => run(common, |session| {
                let body = json!({"revision": revision});
                match session.change("POST", Target::v1(&["policies", policy, "rollback"]), Some(&body), change)? {
                    Some(made) => session.show_made(&made, COLUMNS, "name"),
                    None => Ok(()),
                }
            }),
        }
    }
}

/// What of a policy as it is shown can be asked for.
fn as_wish(policy: &Value) -> Map<String, Value> {
    let keys = ["name", "module", "settings", "mode", "until", "then", "scope", "help", "tests"];
    keys.iter().filter_map(|k| policy.get(k).filter(|v| !v.is_null()).map(|v| ((*k).to_owned(), v.clone()))).collect()
}

impl Create {
    fn run(&self, session: &mut Session) -> Result<()> {
        if self.wish.module.is_none() {
            return Err(Failed::Usage("--module is missing; a digest or a name that `bulkhead module list` shows".into()));
        }
        let wish = self.wish.over(session, Map::from_iter([("name".to_owned(), Value::from(self.policy.as_str()))]))?;
        if let Some(made) = session.change("POST", Target::v1(&["policies"]), Some(&wish), &self.change)? {
            session.show_made(&made, COLUMNS, "name")?;
        }
        Ok(())
    }
}

impl Set {
    fn run(&self, session: &mut Session) -> Result<()> {
        let target = Target::v1(&["policies", &self.policy]);
        let there = session.get(&target)?;
        // A name of a module is looked up meanwhile: what was read is taken note of first.
        session.only_if_unchanged();
        let wish = self.wish.over(session, as_wish(&there))?;
        if let Some(made) = session.change("PUT", target, Some(&wish), &self.change)? {
            session.show_made(&made, COLUMNS, "name")?;
        }
        Ok(())
    }
}

impl Try {
    fn run(&self, session: &mut Session) -> Result<()> {
        let wish = self.candidate(session)?;
        let came = session.send("POST", &Target::v1(&["rehearsals"]), Some(&wish))?;
        match session.format(Format::Table) {
            Format::Json | Format::Jsonl | Format::Yaml => session.show(&came, &[], "")?,
            _ => session.text(&rehearsed(&came))?,
        }
        let verdict = came["verdict"].as_str().unwrap_or_default();
        let is_bad = matches!(verdict, "tightens" | "both") || (self.or_loosens && verdict == "loosens");
        if is_bad { Err(Failed::WouldBeDenied) } else { Ok(()) }
    }

    /// What is to be rehearsed: a file, a policy as it is, or a module in the place of a policy.
    fn candidate(&self, session: &mut Session) -> Result<Value> {
        let file = Path::new(&self.what);
        let name = self.name.clone().unwrap_or_else(|| "candidate".to_owned());
        let place = |module: Value| Map::from_iter([("name".to_owned(), Value::from(name.as_str())), ("module".to_owned(), module)]);
        let base = if file.extension().is_some_and(|e| e == "wasm") || file.is_file() {
            let bytes = read_file(file)?;
            let made = session.send_bytes("POST", &Target::v1(&["modules"]), "application/wasm", bytes)?;
            if !made["decision"].is_null() {
                say(&format!("module {} is on record now; no policy is made of it", text_at(&made, "digest")));
            }
            place(made["digest"].clone())
        } else {
            match session.get(&Target::v1(&["policies", &self.what])) {
                Ok(policy) => {
                    let mut wish = as_wish(&policy);
                    if let Some(name) = &self.name {
                        wish.insert("name".into(), Value::from(name.as_str()));
                    }
                    wish
                }
                Err(Failed::Problem(problem)) if problem.status == 404 => match module::digest(session, &self.what) {
                    Ok(digest) => place(Value::from(digest)),
                    Err(Failed::NotFound(_)) => return Err(Failed::Problem(problem)),
                    Err(other) => return Err(other),
                },
                Err(other) => return Err(other),
            }
        };
        self.wish.over(session, base)
    }
}

/// A rehearsal in words.
fn rehearsed(came: &Value) -> String {
    let compared = match came["compared_with"].as_u64() {
        Some(revision) => format!("compared with revision {revision}, which is in force"),
        None => "nothing of this name is in force".to_owned(),
    };
    let mut told = format!("{} · {} networks, {} endpoints · {compared}\n", text_at(came, "verdict"), came["networks"], came["endpoints"]);
    for (key, what) in
        [("newly_denied", "would become illegal"), ("newly_allowed", "would be newly allowed"), ("still_denied", "stays illegal")]
    {
        for group in came[key].as_array().into_iter().flatten() {
            told += &format!("{what} · {} · {} · {}\n", text_at(group, "operation"), text_at(group, "rule"), group["count"]);
            for example in group["examples"].as_array().into_iter().flatten() {
                let parts = ["network", "workload", "message", "remedy"].map(|k| text_at(example, k));
                told += &format!("  {}\n", parts.into_iter().filter(|p| !p.is_empty()).collect::<Vec<_>>().join(" · "));
            }
        }
    }
    let recorded = &came["recorded"];
    told += &format!("of {} recorded decisions", recorded["decisions"]);
    for (key, what) in [("newly_denied", "would be denied"), ("newly_allowed", "would be allowed")] {
        let numbers = text_at(recorded, key);
        told += &if numbers.is_empty() { format!(" · none {what}") } else { format!(" · {what}: {numbers}") };
    }
    told + "\n"
}

impl Violations {
    fn run(&self, session: &mut Session) -> Result<()> {
        let target = Target::v1(&["violations"]).query_if("policy", self.policy.as_ref()).query_if("network", self.network.as_ref());
        let found = session.all_of_one_page(&target)?;
        session.show_list(&found, STANDING, "network")?;
        if self.exit_code && !found.is_empty() { Err(Failed::WouldBeDenied) } else { Ok(()) }
    }
}

impl Diff {
    fn run(&self, session: &mut Session) -> Result<()> {
        let revision = match self.revision {
            Some(revision) => revision,
            None => {
                let policy = session.get(&Target::v1(&["policies", &self.policy]))?;
                policy["revision"].as_u64().ok_or_else(|| Failed::foreign("a policy was answered without its revision"))?
            }
        };
        if revision == 1 && self.from.is_none() {
            return Err(Failed::NotFound(format!("revision 1 of {} is its first: there is none before it", harmless(&self.policy))));
        }
        let target = Target::v1(&["policies", &self.policy, "revisions", &revision.to_string(), "diff"]);
        let diff = session.get(&target.query_if("from", self.from.map(|n| n.to_string())))?;
        match session.format(Format::Table) {
            Format::Table | Format::Wide => {
                session.line(&format!("revision {} -> {}", diff["from"], diff["to"]))?;
                for changed in diff["changes"].as_array().into_iter().flatten() {
                    session.line(&text_at(changed, "path"))?;
                    for (sign, key) in [('-', "before"), ('+', "after")] {
                        if !changed[key].is_null() {
                            session.signed(sign, &changed[key].to_string())?;
                        }
                    }
                }
                Ok(())
            }
            _ => session.show(&diff, &[column("FROM", "from"), column("TO", "to")], "to"),
        }
    }
}
