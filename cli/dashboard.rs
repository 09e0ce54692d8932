//! `bulkhead dashboard`: prints a URL that is good for one log-in.
//!
//! It is printed, not opened: a browser would be handed it on a command line, which every user of the machine may read.

use crate::client::failed::Failed;
use crate::client::target::Target;
use crate::client::terminal::say;
use crate::client::{Common, run};
use clap::Args;
use std::process::ExitCode;

/// Prints a URL of the dashboard, good for one log-in within 60 seconds.
#[derive(Debug, Args)]
#[command(before_help = "\
Examples:
  bulkhead dashboard
  bulkhead dashboard --host http://127.0.0.1:8420 --token-file /var/lib/bulkhead/token")]
#[command(after_help = "\
The session acts as whoever asked: your user by the socket, an admin by the token. It ends by logging out, after 30 minutes without
a request, after 12 hours, and when the daemon stops.")]
pub struct Dashboard {
    #[command(flatten)]
    common: Common,
}

impl Dashboard {
    /// Runs the command.
    pub fn run(self) -> ExitCode {
        run(&self.common, |session| {
            let answer = session.send("POST", &Target::v1(&["sessions", "codes"]), None)?;
            if answer.get("url").and_then(|u| u.as_str()).is_none() {
                return Err(Failed::foreign("the answer has no URL"));
            }
            // Alone, unless a format is asked for.
            session.show_made(&answer, &[], "url")?;
            say(&format!("Good for one log-in within {} s.", answer.get("good_for_s").and_then(|s| s.as_u64()).unwrap_or(60)));
            Ok(())
        })
    }
}
