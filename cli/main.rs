//! The `bulkhead` binary: one file per command.

mod config;
mod demo;
mod modules;
mod options;
mod parts;
mod serve;

use clap::{Parser, Subcommand};
use std::process::ExitCode;

/// Owns the ipvlan networks of this host; WebAssembly policies decide every request before the kernel is touched.
#[derive(Debug, Parser)]
#[command(name = "bulkhead", version, max_term_width = 120)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    Serve(Box<options::Serve>),
    Demo(demo::Demo),
}

fn main() -> ExitCode {
    match Cli::parse().command {
        Command::Serve(options) => serve::run(&options),
        Command::Demo(options) => demo::run(&options),
    }
}
