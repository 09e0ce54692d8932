//! `bulkhead policy`: what authors of policies need (no daemon, no root), and what is done with the policies of a daemon.

use crate::policies::OnRecord;
use crate::{policy_bench, policy_new, policy_test};
use clap::{Args, Subcommand};
use std::process::ExitCode;

/// Policies: begins one and tests it, without a daemon; puts them on record, rehearses and compares them.
#[derive(Debug, Args)]
#[command(before_help = "\
Examples:
  bulkhead policy list
  bulkhead policy create ten --module quotas --setting endpoints_per_network=10 --mode audit
  bulkhead policy try tier-isolation --settings @new.json
  bulkhead policy set tier-isolation --settings @new.json --reason 'ticket 4711'
  bulkhead policy violations
  bulkhead policy new --lang rust mine && bulkhead policy test mine")]
pub struct Policy {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    #[command(flatten)]
    OnRecord(OnRecord),
    New(policy_new::New),
    Test(policy_test::Test),
    Bench(policy_bench::Bench),
}

impl Policy {
    /// Runs it.
    pub fn run(&self) -> ExitCode {
        match &self.command {
            Command::OnRecord(command) => command.run(),
            Command::New(new) => new.run(),
            Command::Test(test) => test.run(),
            Command::Bench(bench) => bench.run(),
        }
    }
}
