//! What the demo prints: steps, what was tried in each, and whether it went as it should.

use std::io::{IsTerminal, Write};
use std::path::Path;

/// The story so far.
pub struct Story {
    colour: bool,
    steps: usize,
    wrong: usize,
}

impl Story {
    pub fn new() -> Self {
        let colour = std::io::stdout().is_terminal() && std::env::var_os("NO_COLOR").is_none_or(|v| v.is_empty());
        Self { colour, steps: 0, wrong: 0 }
    }

    fn line(&self, text: &str) {
        // A closed pipe ends the output, not the demo.
        let _ = writeln!(std::io::stdout(), "{text}");
        let _ = std::io::stdout().flush();
    }

    fn paint(&self, code: &str, text: &str) -> String {
        if self.colour { format!("\x1b[{code}m{text}\x1b[0m") } else { text.to_owned() }
    }

    /// A new step.
    pub fn step(&mut self, title: &str) {
        self.steps += 1;
        self.line(&format!("\n{}", self.paint("1", &format!("{}. {title}", self.steps))));
    }

    /// Something shown.
    pub fn show(&self, text: &str) {
        text.lines().for_each(|l| self.line(&format!("     {l}")));
    }

    /// Something tried: what it should show, and whether it did.
    pub fn check(&mut self, what: &str, as_it_should: bool) {
        if as_it_should {
            self.line(&format!("   {} {what}", self.paint("32", "✓")));
        } else {
            self.wrong += 1;
            self.line(&format!("   {} {what}  ← not so", self.paint("31", "✗")));
        }
    }

    /// The end of the walk-through.
    pub fn end(&self) -> bool {
        match self.wrong {
            0 => self.line(&format!("\n{}", self.paint("32", "All went as shown."))),
            n => self.line(&format!("\n{}", self.paint("31", &format!("{n} things did not go as they should.")))),
        }
        self.wrong == 0
    }

    /// The live service.
    pub fn live(&self, port: u16, token: &str, socket: &Path) {
        self.line(&format!(
            "
{}
   address   http://127.0.0.1:{port}/v1/networks
   token     {token}

   curl -s -H 'Authorization: Bearer {token}' http://127.0.0.1:{port}/v1/networks
   curl -s -H 'Authorization: Bearer {token}' http://127.0.0.1:{port}/v1/decisions
   curl -s -H 'Authorization: Bearer {token}' -H 'Content-Type: application/json' \\
        -d '{{\"name\":\"mine\",\"parent\":\"eth0.50\",\"labels\":{{\"tier\":\"web\"}}}}' 'http://127.0.0.1:{port}/v1/networks?dry_run=true'

   The dashboard; this prints a URL that is good for one log-in within 60 s:
   curl -s -X POST -H 'Authorization: Bearer {token}' http://127.0.0.1:{port}/v1/sessions/codes

   Its unix socket is {}; its host's namespace is called host, the workloads' ipv1, ipv2, web1, pan1.
   Ctrl-C ends it all.",
            self.paint("1", "The service is live:"),
            socket.display()
        ));
    }
}
