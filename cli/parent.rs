//! `bulkhead parent`

use crate::client::columns::{Column, column, wide};
use crate::client::live;
use crate::client::target::Target;
use crate::client::{Common, run};
use clap::{Args, Subcommand};
use std::process::ExitCode;

/// Parents: links that networks hang on, and links of the host that could be one.
#[derive(Debug, Args)]
#[command(before_help = "\
Examples:
  bulkhead parent ls
  bulkhead parent ls --state available
  bulkhead parent inspect eth0.40")]
pub struct Parent {
    #[command(subcommand)]
    command: Command,
    #[command(flatten)]
    common: Common,
}

#[derive(Debug, Subcommand)]
enum Command {
    #[command(visible_alias = "list")]
    Ls(Ls),
    Inspect(Inspect),
}

/// Lists parents and links that could be one, by name.
#[derive(Debug, Args)]
struct Ls {
    /// Only those of this kind: vlan, dummy, physical, or the kernel's word.
    #[arg(short, long)]
    kind: Option<String>,
    /// Only those in this state: making, present, lost or removing; available or unfit where it is no parent.
    #[arg(short, long)]
    state: Option<String>,
    /// Go on with what changes, until interrupted.
    #[arg(short, long)]
    watch: bool,
}

/// Shows all about a parent.
#[derive(Debug, Args)]
struct Inspect {
    /// Name of the link, or id.
    #[arg(add = live::parents())]
    parent: String,
}

/// What lists show.
const COLUMNS: &[Column] = &[
    column("LINK", "link"),
    column("KIND", "kind"),
    column("STATE", "state"),
    column("MODE", "mode"),
    column("SHIELD", "shield.state"),
    column("NETWORKS", "networks"),
    column("CARRIER", "carrier"),
    wide("WHY", "why"),
    wide("ORIGIN", "origin"),
    wide("VLAN", "vlan"),
    wide("BASE", "base"),
    wide("SEGMENT", "segment"),
    wide("FLAG", "flag"),
    wide("UP", "up"),
    wide("MTU", "mtu"),
    wide("MAC", "mac"),
    wide("ADDRESSES", "addresses"),
    wide("ID", "id"),
];

impl Parent {
    /// Runs the command.
    pub fn run(&self) -> ExitCode {
        run(&self.common, |session| match &self.command {
            Command::Ls(Ls { kind, state, watch }) => {
                let target = Target::v1(&["parents"]).query_if("kind", kind.as_ref()).query_if("state", state.as_ref());
                session.show_all(&target, COLUMNS, "link", *watch)
            }
            Command::Inspect(Inspect { parent }) => {
                let found = session.get(&Target::v1(&["parents", parent]))?;
                session.show(&found, COLUMNS, "link")
            }
        })
    }
}
