//! `bulkhead policy`: what authors of policies need. It asks no daemon and needs no root.

use crate::{policy_new, policy_test};
use clap::{Args, Subcommand};
use std::process::ExitCode;

/// Policies: begins one and tests it, without a daemon.
#[derive(Debug, Args)]
pub struct Policy {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    New(policy_new::New),
    Test(policy_test::Test),
}

impl Policy {
    /// Runs it.
    pub fn run(&self) -> ExitCode {
        match &self.command {
            Command::New(new) => new.run(),
            Command::Test(test) => test.run(),
        }
    }
}
