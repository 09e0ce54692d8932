//! The `bulkhead` binary: one file per command.
//!
//! `serve` is the daemon. What asks a daemon (`network`, `endpoint` …) stands on [`client`] and starts nothing else.

mod address;
mod client;
mod config;
mod dashboard;
mod decision;
mod demo;
mod doctor;
mod endpoint;
mod event;
mod exec;
mod help;
mod module;
mod modules;
mod named;
mod network;
mod openapi;
mod options;
mod parent;
mod parts;
mod policies;
mod policy;
mod policy_as_test;
mod policy_bench;
mod policy_child;
mod policy_matrix;
mod policy_module;
mod policy_new;
mod policy_report;
mod policy_test;
mod policy_wish;
mod replay;
mod report;
mod retention;
mod run;
mod serve;
mod shell;

use clap::{CommandFactory, FromArgMatches, Parser, Subcommand};
use std::process::ExitCode;

/// Owns the ipvlan networks of this host; WebAssembly policies decide every request before the kernel is touched.
#[derive(Debug, Parser)]
#[command(name = "bulkhead", version, max_term_width = 120)]
#[command(before_help = "\
Examples:
  bulkhead network create cards --parent eth0.40 --subnet 192.168.40.0/24 --label tier=cards
  bulkhead endpoint attach cards pan1 --name pan1 --label tier=cards
  bulkhead network ls -o wide
  bulkhead policy try tier-isolation --settings @new.json
  bulkhead doctor")]
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
    Address(address::Address),
    Parent(parent::Parent),
    Run(Box<run::Run>),
    Exec(exec::Exec),
    Policy(policy::Policy),
    Module(module::Module),
    Decision(decision::Decision),
    Event(event::Event),
    Report(report::Report),
    Doctor(doctor::Doctor),
    Serve(Box<options::Serve>),
    Demo(demo::Demo),
    Dashboard(dashboard::Dashboard),
    Openapi(openapi::Openapi),
    Completion(shell::Completion),
    Man(shell::Man),
    /// Checks and compiles one module; the daemon starts it.
    #[command(name = policy_child::NAME, hide = true)]
    PolicyChild,
}

/// The command line as clap knows it: each command's help begins with what it does and examples of it.
fn command_line() -> clap::Command {
    help::examples_first(Cli::command())
}

fn main() -> ExitCode {
    // A shell that completes asks by a variable; then nothing else happens.
    clap_complete::CompleteEnv::with_factory(command_line).var(shell::COMPLETE).complete();
    let parsed = command_line().try_get_matches().and_then(|matches| Cli::from_arg_matches(&matches));
    let command = match parsed {
        Ok(cli) => cli.command,
        Err(e) => return help::tell(&e),
    };
    match command {
        Command::Network(network) => network.run(),
        Command::Endpoint(endpoint) => endpoint.run(),
        Command::Address(address) => address.run(),
        Command::Parent(parent) => parent.run(),
        Command::Run(run) => run.run(),
        Command::Exec(exec) => exec.run(),
        Command::Policy(policy) => policy.run(),
        Command::Module(module) => module.run(),
        Command::Decision(decision) => decision.run(),
        Command::Event(event) => event.run(),
        Command::Report(report) => report.run(),
        Command::Doctor(doctor) => doctor.run(),
        Command::Serve(options) => serve::run(&options),
        Command::Demo(options) => demo::run(&options),
        Command::Dashboard(dashboard) => dashboard.run(),
        Command::Openapi(openapi) => openapi.run(),
        Command::Completion(completion) => completion.run(),
        Command::Man(man) => man.run(command_line()),
        Command::PolicyChild => policy_child::run(),
    }
}
