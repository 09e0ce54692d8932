//! `bulkhead decision`

use crate::client::columns::{Column, column, text_at, wide};
use crate::client::failed::{Failed, Result};
use crate::client::live;
use crate::client::target::Target;
use crate::client::terminal::harmless;
use crate::client::{Common, Format, Session, run};
use crate::policy_as_test;
use clap::{Args, Subcommand};
use serde_json::Value;
use std::process::ExitCode;
use std::time::Duration;

/// How often a log is looked at that is followed.
const LOOK_AGAIN: Duration = Duration::from_millis(500);

/// Decisions: what was asked, by whom, and what the policies said.
#[derive(Debug, Args)]
#[command(before_help = "\
Examples:
  bulkhead decision list --verdict denied --since 2026-11-01T00:00:00Z
  bulkhead decision list --follow
  bulkhead decision show 12
  bulkhead decision replay 12
  bulkhead decision verify --root HEX --size 4711")]
pub struct Decision {
    #[command(subcommand)]
    command: Command,
    #[command(flatten)]
    common: Common,
}

#[derive(Debug, Subcommand)]
enum Command {
    #[command(visible_alias = "ls")]
    List(List),
    #[command(visible_alias = "inspect")]
    Show(Show),
    Replay(Replay),
    Verify(Verify),
}

/// Lists decisions, newest first.
#[derive(Debug, Args)]
struct List {
    /// Only those that this one asked for.
    #[arg(long)]
    caller: Option<String>,
    /// Only those of this operation, such as attach or create-network.
    #[arg(long)]
    operation: Option<String>,
    /// Only those about the network or policy of this name.
    #[arg(short, long, add = live::networks())]
    subject: Option<String>,
    /// Only those about this network and its endpoints.
    #[arg(long, add = live::networks())]
    network: Option<String>,
    /// Only those about this workload, by id or name.
    #[arg(short, long)]
    workload: Option<String>,
    /// Only those about the network or endpoint of this id.
    #[arg(long)]
    object: Option<String>,
    /// Only those that were allowed, denied or forced.
    #[arg(long)]
    verdict: Option<String>,
    /// Only those that this policy was asked about.
    #[arg(short, long, add = live::policies())]
    policy: Option<String>,
    /// Not before this time, such as 2026-11-01T00:00:00Z.
    #[arg(long, value_name = "TIME")]
    since: Option<String>,
    /// Before this time.
    #[arg(long, value_name = "TIME")]
    until: Option<String>,
    /// At most so many; 0: all.
    #[arg(short = 'n', long, value_name = "COUNT", default_value_t = 50)]
    limit: usize,
    /// Go on with what is decided, until interrupted; then oldest first.
    #[arg(short, long, visible_alias = "watch")]
    follow: bool,
}

/// Shows a decision: who asked for what, what each policy said, what the kernel was told, and what came of it.
#[derive(Debug, Args)]
#[command(before_help = "\
Examples:
  bulkhead decision show 12
  bulkhead decision show 12 --as-test --policy tier-isolation > cases.yaml")]
struct Show {
    /// Its number.
    decision: String,
    /// As a test case for `bulkhead policy test`: what a policy was shown, and what it said.
    #[arg(long)]
    as_test: bool,
    /// Which policy's, where several were asked.
    #[arg(short, long, requires = "as_test", add = live::policies())]
    policy: Option<String>,
}

/// Asks the recorded policies the recorded question once more; exit status 1 where the answer differs.
#[derive(Debug, Args)]
struct Replay {
    /// Its number.
    decision: String,
    /// What another policy that is there would say to it.
    #[arg(long, value_name = "POLICY", add = live::policies())]
    policy: Option<String>,
    /// A revision of that policy; the one in force where it is left out.
    #[arg(long, value_name = "N", requires = "policy")]
    revision: Option<u64>,
}

/// Goes through the log: finds changed and missing records; with root and size that were kept elsewhere, every rewrite and cut up to
/// there. Exit status 1 where something is wrong.
#[derive(Debug, Args)]
struct Verify {
    /// The root that this command told before.
    #[arg(long, value_name = "HEX", requires = "size")]
    root: Option<String>,
    /// How many decisions it is over.
    #[arg(long, value_name = "N", requires = "root")]
    size: Option<u64>,
    /// The root over the outcomes that this command told before.
    #[arg(long, value_name = "HEX", requires = "outcomes_size")]
    outcomes_root: Option<String>,
    /// How many outcomes it is over.
    #[arg(long, value_name = "N", requires = "outcomes_root")]
    outcomes_size: Option<u64>,
}

const COLUMNS: &[Column] = &[
    column("ID", "id"),
    column("AT", "at"),
    column("CALLER", "caller.name"),
    column("OPERATION", "operation"),
    column("SUBJECT", "subject"),
    column("VERDICT", "verdict"),
    column("RULES", "violations.rule"),
    wide("DOOR", "caller.door"),
    wide("PEER", "caller.peer"),
    wide("REASON", "change.reason"),
    wide("TICKET", "change.ticket"),
    wide("POLICIES", "heard.policy"),
    wide("OUTCOME", "outcomes.text"),
    wide("OBJECT", "object"),
];

impl Decision {
    /// Runs the command.
    pub fn run(&self) -> ExitCode {
        run(&self.common, |session| match &self.command {
            Command::List(list) => list.run(session),
            Command::Show(Show { decision, as_test, policy }) => {
                let found = session.get(&Target::v1(&["decisions", decision]))?;
                if *as_test {
                    return policy_as_test::show(session, &found, policy.as_deref());
                }
                match session.format(Format::Table) {
                    Format::Table | Format::Wide => session.text(&told(&found)),
                    _ => session.show(&found, COLUMNS, "id"),
                }
            }
            Command::Replay(again) => again.run(session),
            Command::Verify(verify) => verify.run(session),
        })
    }
}

impl List {
    fn target(&self) -> Target {
        let target = Target::v1(&["decisions"]).query_if("caller", self.caller.as_ref()).query_if("operation", self.operation.as_ref());
        let target = target.query_if("subject", self.subject.as_ref()).query_if("object", self.object.as_ref());
        let target = target.query_if("network", self.network.as_ref()).query_if("workload", self.workload.as_ref());
        let target = target.query_if("verdict", self.verdict.as_ref()).query_if("policy", self.policy.as_ref());
        target.query_if("since", self.since.as_ref()).query_if("until", self.until.as_ref())
    }

    fn run(&self, session: &mut Session) -> Result<()> {
        let most = (self.limit > 0).then_some(self.limit);
        let mut found = session.list(&self.target(), ("cursor", None), most)?;
        if !self.follow {
            return session.show_list(&found, COLUMNS, "id");
        }
        let mut last = 0;
        loop {
            let number = |d: &Value| d["id"].as_u64().unwrap_or(0);
            found.retain(|d| number(d) > last);
            found.reverse();
            if !found.is_empty() || last == 0 {
                session.show_list(&found, COLUMNS, "id")?;
                session.goes_on(true);
            }
            last = found.last().map_or(last, number).max(1);
            std::thread::sleep(LOOK_AGAIN);
            // Only pages that may have something new are read.
            let mut most = 50;
            found = session.list(&self.target(), ("cursor", None), Some(most))?;
            while found.len() == most && found.last().is_some_and(|d| number(d) > last) {
                most *= 2;
                found = session.list(&self.target(), ("cursor", None), Some(most))?;
            }
        }
    }
}

/// A decision in words.
fn told(d: &Value) -> String {
    let text = |path: &str| text_at(d, path);
    let mut told = format!("decision {} · {} · {}\n", text("id"), text("verdict"), text("at"));
    told += &format!(
        "{} ({}, {}) asked for {} of {}\n",
        text("caller.name"),
        text("caller.door"),
        text("caller.peer"),
        text("operation"),
        text("subject")
    );
    for (what, path) in [
        ("reason", "change.reason"),
        ("ticket", "change.ticket"),
        ("approved by", "change.approved_by"),
        ("forced because", "forced_because"),
        ("warning", "warnings"),
    ] {
        if !text(path).is_empty() {
            told += &format!("{what}: {}\n", text(path));
        }
    }
    for policy in d["heard"].as_array().into_iter().flatten() {
        told += &opinion(policy);
    }
    if d["unjudged"] == true {
        told += "no enforcing policy judged it\n";
    }
    for (i, step) in d["plan"].as_str().unwrap_or_default().lines().enumerate() {
        told += &format!("{}  {}\n", if i == 0 { "the kernel was told\n" } else { "" }, harmless(step));
    }
    for outcome in d["outcomes"].as_array().into_iter().flatten() {
        told += &format!("{}: {}\n", text_at(outcome, "recorded_at"), text_at(outcome, "text"));
    }
    told
}

/// What a policy said: rule · field · what was wrong · what would be right.
fn opinion(policy: &Value) -> String {
    let text = |value: &Value, key: &str| text_at(value, key);
    let (name, revision, mode, outcome) = (text(policy, "policy"), text(policy, "revision"), text(policy, "mode"), text(policy, "outcome"));
    let mut told = format!("{name} (revision {revision}, {mode}) · {outcome}\n");
    if !text(policy, "broke").is_empty() {
        told += &format!("  broke · {}\n", text(policy, "broke"));
    }
    for v in policy["violations"].as_array().into_iter().flatten() {
        let parts: Vec<String> = ["rule", "field", "message", "remedy"].iter().map(|k| text(v, k)).filter(|t| !t.is_empty()).collect();
        told += &format!("  {}\n", parts.join(" · "));
    }
    for key in ["warnings", "notes"] {
        for line in policy[key].as_array().into_iter().flatten() {
            told += &format!("  {} · {}\n", key.trim_end_matches('s'), harmless(line.as_str().unwrap_or_default()));
        }
    }
    told
}

impl Replay {
    fn run(&self, session: &mut Session) -> Result<()> {
        let target = Target::v1(&["decisions", &self.decision, "replay"]).query_if("policy", self.policy.as_ref());
        let came = session.get(&target.query_if("revision", self.revision.map(|n| n.to_string()).as_ref()))?;
        let asked_another = self.policy.is_some();
        show_replay(session, &came, asked_another)
    }
}

/// `another`: what another policy says may well differ, and is no failure.
fn show_replay(session: &mut Session, came: &Value, another: bool) -> Result<()> {
    match session.format(Format::Table) {
        Format::Table | Format::Wide => {
            let same = |value: &Value| if value["same"] == true { "the same" } else { "not the same" };
            let mut told = format!("decision {} · {} again: {}\n", text_at(came, "decision"), text_at(came, "verdict"), same(came));
            for policy in came["policies"].as_array().into_iter().flatten() {
                told += &format!("{}\n", harmless(&format!("{} · {}", text_at(policy, "then.policy"), same(policy))));
                if policy["same"] != true {
                    told += &format!("then {}", opinion(&policy["then"]));
                    told += &match text_at(policy, "why_not") {
                        why if !why.is_empty() => format!("now  {why}\n"),
                        _ => format!("now  {}", opinion(&policy["now"])),
                    };
                }
            }
            session.text(&told)?;
        }
        _ => session.show(came, &[column("DECISION", "decision"), column("SAME", "same"), column("VERDICT", "verdict")], "decision")?,
    }
    if another || came["same"] == true { Ok(()) } else { Err(Failed::NotAsItShouldBe) }
}

impl Verify {
    fn run(&self, session: &mut Session) -> Result<()> {
        let target = Target::v1(&["decisions", "verify"]).query_if("root", self.root.as_ref());
        let target = target.query_if("size", self.size.map(|n| n.to_string())).query_if("outcomes_root", self.outcomes_root.as_ref());
        let found = session.get(&target.query_if("outcomes_size", self.outcomes_size.map(|n| n.to_string())))?;
        session.show(&found, &[column("INTACT", "intact"), column("SIZE", "size"), column("ROOT", "root")], "root")?;
        if found["intact"] == true { Ok(()) } else { Err(Failed::NotAsItShouldBe) }
    }
}
