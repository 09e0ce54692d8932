//! `bulkhead event`

use crate::client::columns::{Column, column};
use crate::client::failed::Result;
use crate::client::target::Target;
use crate::client::{Common, Session, run};
use clap::{Args, Subcommand};
use serde_json::Value;
use std::process::ExitCode;

/// Events: what happened, with sequence numbers.
#[derive(Debug, Args)]
#[command(before_help = "\
Examples:
  bulkhead event list
  bulkhead event list --follow --kind shield
  bulkhead event list --after 1200 -o jsonl")]
pub struct Event {
    #[command(subcommand)]
    command: Command,
    #[command(flatten)]
    common: Common,
}

#[derive(Debug, Subcommand)]
enum Command {
    #[command(visible_alias = "ls")]
    List(List),
}

/// Lists events, oldest first.
#[derive(Debug, Args)]
struct List {
    /// The last so many.
    #[arg(short = 'n', long, value_name = "COUNT", default_value_t = 50, conflicts_with = "after")]
    last: u64,
    /// All after this number; 0: all that are on record.
    #[arg(long, value_name = "NUMBER")]
    after: Option<u64>,
    /// Go on with what happens, until interrupted; goes on where it was after a restart of the daemon.
    #[arg(short, long, visible_alias = "watch")]
    follow: bool,
    /// Only those whose kind begins so, such as network or parent.healed.
    #[arg(short, long)]
    kind: Option<String>,
    /// Only those about this name or id.
    #[arg(short, long)]
    subject: Option<String>,
}

const COLUMNS: &[Column] =
    &[column("SEQ", "seq"), column("AT", "at"), column("KIND", "kind"), column("SUBJECT", "subject"), column("TEXT", "text")];

impl Event {
    /// Runs the command.
    pub fn run(&self) -> ExitCode {
        let Command::List(list) = &self.command;
        run(&self.common, |session| list.run(session))
    }
}

impl List {
    fn run(&self, session: &mut Session) -> Result<()> {
        let wanted = |event: &Value| {
            let is = |key: &str, begins: &Option<String>, whole: bool| {
                let text = event[key].as_str().unwrap_or_default();
                begins.as_ref().is_none_or(|b| if whole { text == b } else { text.starts_with(b.as_str()) })
            };
            is("kind", &self.kind, false) && is("subject", &self.subject, true)
        };
        let after = match self.after {
            Some(after) => after,
            None => session.get(&Target::v1(&["health"]))?["last_event"].as_u64().unwrap_or(0).saturating_sub(self.last),
        };
        let found = session.list(&Target::v1(&["events"]), ("after", Some(after.to_string())), None)?;
        let last = found.last().and_then(|e| e["seq"].as_u64()).unwrap_or(after);
        let found: Vec<Value> = found.into_iter().filter(wanted).collect();
        session.show_list(&found, COLUMNS, "seq")?;
        if !self.follow {
            return Ok(());
        }
        session.goes_on(true);
        let mut follower = session.follow(Some(last))?;
        session.show_events(&mut follower, COLUMNS, wanted)
    }
}
