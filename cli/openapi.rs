//! `bulkhead openapi`: the API's description, which a daemon also serves.

use bulkhead_web::{BasePath, router};
use clap::Args;
use std::io::Write;
use std::process::ExitCode;

/// Prints the API's description (OpenAPI 3.1, JSON). Needs no daemon.
#[derive(Debug, Args)]
#[command(before_help = "\
Examples:
  bulkhead openapi > openapi.json")]
pub struct Openapi {}

impl Openapi {
    /// Runs the command.
    pub fn run(&self) -> ExitCode {
        let text = router::description(&BasePath::default());
        match writeln!(std::io::stdout(), "{text}") {
            Ok(()) => ExitCode::SUCCESS,
            // Nobody reads on.
            Err(_) => ExitCode::FAILURE,
        }
    }
}
