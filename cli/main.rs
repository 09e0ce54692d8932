//! The `bulkhead` binary: one file per command.
//!
//! `serve` is the daemon. What asks a daemon (`network`, `endpoint` …) stands on [`client`] and starts nothing else.

mod client;
mod config;
mod dashboard;
mod demo;
mod endpoint;
mod module;
mod modules;
mod network;
mod options;
mod parts;
mod policy;
mod policy_module;
mod policy_new;
mod policy_report;
mod policy_test;
mod replay;
mod serve;

use clap::{CommandFactory, FromArgMatches, Parser, Subcommand};
use std::process::ExitCode;

/// Owns the ipvlan networks of this host; WebAssembly policies decide every request before the kernel is touched.
#[derive(Debug, Parser)]
#[command(name = "bulkhead", version, max_term_width = 120)]
#[command(before_help = "\
Examples:
  bulkhead network create cards --parent eth0.40 --subnet 192.168.40.0/24 --label tier=cards
  bulkhead endpoint attach cards pan1 --name pan1 --label tier=cards
  bulkhead network ls -o wide")]
#[command(after_help = "\
Exit status: 0 ok, 1 failure, 2 usage (also a wrong request), 3 denied, 4 not found, 5 conflict, 6 unavailable.
Data goes to stdout, everything else to stderr. BULKHEAD_HOST says where the daemon is, NO_COLOR that there are no colours.")]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    Network(network::Network),
    Endpoint(endpoint::Endpoint),
    Module(module::Module),
    Serve(Box<options::Serve>),
    Policy(policy::Policy),
    Demo(demo::Demo),
    Dashboard(dashboard::Dashboard),
}

/// The command line as clap knows it: each command's help begins with what it does and examples of it.
fn command_line() -> clap::Command {
    examples_first(Cli::command())
}

fn examples_first(command: clap::Command) -> clap::Command {
    let command = match command.get_before_help() {
        Some(_) => command.help_template("{about-with-newline}\n{before-help}{usage-heading} {usage}\n\n{all-args}{after-help}"),
        None => command,
    };
    command.mut_subcommands(examples_first)
}

fn main() -> ExitCode {
    let parsed = Cli::from_arg_matches(&command_line().get_matches());
    match parsed.unwrap_or_else(|e| e.exit()).command {
        Command::Network(network) => network.run(),
        Command::Endpoint(endpoint) => endpoint.run(),
        Command::Module(module) => module.run(),
        Command::Serve(options) => serve::run(&options),
        Command::Policy(policy) => policy.run(),
        Command::Demo(options) => demo::run(&options),
        Command::Dashboard(dashboard) => dashboard.run(),
    }
}
