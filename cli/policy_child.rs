//! `bulkhead policy-child`: what the daemon starts itself as, to have a stranger's module checked and compiled in a process that can do
//! nothing else. Of no use to people.

use std::process::ExitCode;

/// The command's name.
pub const NAME: &str = "policy-child";

/// Does one job, read from standard input.
pub fn run() -> ExitCode {
    bulkhead_wasm::child_main()
}
