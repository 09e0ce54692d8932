//! What every change takes: why, and whether only to say what would come of it.

use super::failed::{Failed, Result, details};
use super::target::Target;
use super::terminal::{Paint, harmless, painted, say};
use super::{Format, Session};
use bulkhead_web::problem::{ProblemBody, ViolationBody};
use clap::Args;
use serde_json::Value;
use std::io;

/// What every change takes.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Change")]
pub struct Change {
    /// Say what would be decided and what the kernel would be told, and do nothing; exit status 3 where it would be denied.
    #[arg(long)]
    pub dry_run: bool,
    /// Why; goes on record.
    #[arg(long, value_name = "TEXT")]
    pub reason: Option<String>,
    /// A ticket's number; goes on record.
    #[arg(long, value_name = "NUMBER")]
    pub ticket: Option<String>,
    /// Who approved; goes on record.
    #[arg(long, value_name = "WHO")]
    pub approved_by: Option<String>,
}

impl Change {
    fn on(&self, target: Target) -> Target {
        let target = if self.dry_run { target.query("dry_run", "true") } else { target };
        let target = target.query_if("reason", self.reason.as_ref());
        target.query_if("ticket", self.ticket.as_ref()).query_if("approved_by", self.approved_by.as_ref())
    }
}

impl Session {
    /// Asks for a change; `None` where it was a dry run, which is then told.
    pub fn change(&mut self, method: &str, target: Target, body: Option<&Value>, change: &Change) -> Result<Option<Value>> {
        let answer = self.send(method, &change.on(target), body)?;
        self.done_or_dry(answer, change)
    }

    /// The same with a body that is no JSON.
    pub fn change_bytes(&mut self, target: Target, of_type: &'static str, bytes: Vec<u8>, change: &Change) -> Result<Option<Value>> {
        let answer = self.send_bytes("POST", &change.on(target), of_type, bytes)?;
        self.done_or_dry(answer, change)
    }

    fn done_or_dry(&mut self, answer: Value, change: &Change) -> Result<Option<Value>> {
        if !change.dry_run {
            return Ok(Some(answer));
        }
        self.dry(&answer)?;
        Ok(None)
    }

    /// Tells what would come of a change: the decision, then the plan as a diff of the kernel's links, routes and filters.
    fn dry(&mut self, answer: &Value) -> Result<()> {
        let verdict = answer["decision"]["verdict"].as_str();
        let Some(verdict) = verdict else { return Err(Failed::foreign("a dry run was answered without a decision")) };
        let denied = verdict == "denied";
        match self.format(Format::Table) {
            Format::Table | Format::Wide | Format::Csv | Format::Name => {
                let paint = if denied { Paint::Red } else { Paint::Green };
                self.line(&painted(&io::stdout(), paint, &format!("would be {}", harmless(verdict))))?;
                let violations: Vec<ViolationBody> = serde_json::from_value(answer["decision"]["violations"].clone()).unwrap_or_default();
                let told = ProblemBody {
                    kind: String::new(),
                    title: String::new(),
                    status: 0,
                    detail: String::new(),
                    faults: Vec::new(),
                    violations,
                    decision: None,
                    left: None,
                    goes_on: None,
                };
                self.text(&details(&told))?;
                for warning in answer["decision"]["warnings"].as_array().into_iter().flatten() {
                    self.line(&format!("  warning · {}", harmless(warning.as_str().unwrap_or_default())))?;
                }
                self.opinions(&answer["decision"]["heard"])?;
                if let Some(already) = answer["already"].as_str() {
                    self.line(&format!("  it is so already ({already}): nothing would be done"))?;
                }
                for step in answer["plan"]["text"].as_str().unwrap_or_default().lines() {
                    self.signed(sign_of(step), step)?;
                }
            }
            Format::Json | Format::Jsonl | Format::Yaml => self.show(answer, &[], "")?,
        }
        if denied { Err(Failed::WouldBeDenied) } else { Ok(()) }
    }

    /// What each policy says, those in audit mode included.
    fn opinions(&mut self, heard: &Value) -> Result<()> {
        for policy in heard.as_array().into_iter().flatten() {
            let text = |key: &str| policy[key].as_str().unwrap_or_default();
            let broke = policy["broke"].as_str().map(|why| format!(": {why}")).unwrap_or_default();
            let line = format!("  {} ({}) · {}{broke}", text("policy"), text("mode"), text("outcome"));
            self.line(&harmless(&line))?;
            if text("mode") == "audit" {
                for v in policy["violations"].as_array().into_iter().flatten() {
                    let parts = ["rule", "field", "message", "remedy"].map(|key| v[key].as_str().unwrap_or_default());
                    let parts: Vec<&str> = parts.into_iter().filter(|p| !p.is_empty()).collect();
                    self.line(&harmless(&format!("    would deny · {}", parts.join(" · "))))?;
                }
            }
            for note in policy["notes"].as_array().into_iter().flatten() {
                self.line(&harmless(&format!("    note · {}", note.as_str().unwrap_or_default())))?;
            }
        }
        Ok(())
    }

    /// Prints a line of a diff.
    pub fn signed(&mut self, sign: char, text: &str) -> Result<()> {
        let paint = match sign {
            '+' => Paint::Green,
            '-' => Paint::Red,
            _ => Paint::Bold,
        };
        self.line(&painted(&io::stdout(), paint, &format!("{sign} {}", harmless(text))))
    }

    /// Prints lines, wrapped where stdout is a narrow terminal.
    pub fn text(&mut self, text: &str) -> Result<()> {
        let width = super::terminal::width().unwrap_or(usize::MAX);
        text.lines().flat_map(|line| super::terminal::wrapped(line, width)).try_for_each(|part| self.line(&part))
    }

    /// Tells that something is gone: its name, unless all of the answer is asked for.
    pub fn show_gone(&mut self, name: &str, answer: &Value) -> Result<()> {
        for warning in answer.get("warnings").and_then(Value::as_array).into_iter().flatten() {
            say(&format!("warning: {}", harmless(warning.as_str().unwrap_or_default())));
        }
        match self.format(Format::Name) {
            Format::Json | Format::Jsonl | Format::Yaml => self.show(answer, &[], ""),
            _ => self.line(name),
        }
    }
}

/// Whether a step adds, removes or changes, by the verb that `ip` and `tc` have.
fn sign_of(step: &str) -> char {
    let has = |verbs: &[&str]| step.split_whitespace().any(|word| verbs.contains(&word));
    if has(&["del", "delete"]) {
        '-'
    } else if has(&["add"]) {
        '+'
    } else {
        '~'
    }
}

/// The JSON object in a file; `-` is stdin.
pub fn json_object(file: &std::path::Path) -> Result<serde_json::Map<String, Value>> {
    let text = read_file(file)?;
    match serde_json::from_slice(&text) {
        Ok(Value::Object(object)) => Ok(object),
        Ok(_) => Err(Failed::Usage(format!("{}: not a JSON object; {{\"name\": …}}, as the API takes it", file.display()))),
        Err(e) => Err(Failed::Usage(format!("{}: not JSON: {e}; a JSON object, as the API takes it", file.display()))),
    }
}

/// The bytes of a file; `-` is stdin.
pub fn read_file(file: &std::path::Path) -> Result<Vec<u8>> {
    let read = if file.as_os_str() == "-" {
        let mut bytes = Vec::new();
        io::Read::read_to_end(&mut io::stdin().lock(), &mut bytes).map(|_| bytes)
    } else {
        std::fs::read(file)
    };
    read.map_err(|e| Failed::Usage(format!("{} cannot be read: {e}", file.display())))
}
