//! What all commands that ask the daemon have in common: how it is reached, what is printed, how they end.
//!
//! Such a command is a function of a [`Session`]. Data goes to stdout, talk to stderr. It knows the API, and nothing of the daemon's
//! inside: what is shown is what was answered, field by field, also where a newer daemon says more.

pub mod change;
pub mod columns;
pub mod failed;
mod http;
pub mod live;
pub mod target;
pub mod terminal;
pub mod watch;
mod yaml;

use clap::{Args, ValueEnum};
use columns::Column;
use failed::{Failed, Result};
use http::Http;
use serde_json::Value;
use std::io::{self, Write};
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::{Duration, Instant};
use target::Target;

/// Where the daemon is unless somebody says otherwise.
const SOCKET: &str = "/run/bulkhead/bulkhead.sock";
/// Where its token is.
const TOKEN_FILE: &str = "/var/lib/bulkhead/token";
/// Most items of a page; the daemon's own limit.
const PAGE: &str = "500";
/// How often something is looked at that is still being made.
const LOOK_AGAIN: Duration = Duration::from_millis(100);

/// What every command that asks the daemon takes.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Daemon and output")]
pub struct Common {
    /// Where the daemon is: a unix socket, or http://127.0.0.1:PORT.
    #[arg(long, global = true, env = "BULKHEAD_HOST", value_name = "SOCKET|URL", default_value = SOCKET)]
    pub host: String,
    /// File with the token, for http.
    #[arg(long, global = true, env = "BULKHEAD_TOKEN_FILE", value_name = "FILE", default_value = TOKEN_FILE)]
    pub token_file: PathBuf,
    /// How data is printed.
    #[arg(short, long, global = true, value_name = "FORMAT", value_parser = Format::read)]
    pub output: Option<Format>,
    /// No line of column names above a table.
    #[arg(long, global = true)]
    pub no_headers: bool,
    /// Wait so many seconds for a daemon that is not there yet, and for what is still being made.
    #[arg(long, global = true, value_name = "SECONDS", num_args = 0..=1, default_missing_value = "60", require_equals = true)]
    pub wait: Option<u64>,
}

/// How data is printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// Columns for people; a list of pairs where the terminal is too narrow.
    Table,
    /// The same with more columns.
    Wide,
    /// What the daemon answered.
    Json,
    /// One JSON object a line.
    Jsonl,
    /// YAML.
    Yaml,
    /// The columns of `wide`, by RFC 4180.
    Csv,
    /// Names only, one a line.
    Name,
}

impl Format {
    /// Reads it; who types what docker takes is told the way.
    fn read(text: &str) -> std::result::Result<Self, String> {
        Self::from_str(text, false).map_err(|_| {
            let known = "table, wide, json, jsonl, yaml, csv, name";
            match text.split_once('=') {
                Some(("parent", parent)) => format!("-o is the output here ({known}); say --parent {parent}"),
                Some(("ipvlan_mode", mode)) => format!("-o is the output here ({known}); say --mode {mode}"),
                Some(("ipvlan_flag", flag)) => format!("-o is the output here ({known}); say --flag {flag}"),
                _ => match bulkhead_core::names::nearest(text, known.split(", ")) {
                    Some(near) => format!("did you mean {near}? Known are {known}"),
                    None => format!("known are {known}"),
                },
            }
        })
    }
}

/// One command's dealings with the daemon and with whoever typed it.
pub struct Session {
    common: Common,
    patience: Duration,
    http: Http,
    out: io::BufWriter<io::Stdout>,
    /// Widths of the columns of a table that goes on.
    widths: Vec<usize>,
    /// More rows of a table that has its head already.
    goes_on: bool,
}

/// Runs a command to its exit code, which [`Failed`] documents.
pub fn run(common: &Common, command: impl FnOnce(&mut Session) -> Result<()>) -> ExitCode {
    let done = Session::new(common).and_then(|mut session| {
        let done = command(&mut session);
        // What was printed before a failure is data all the same.
        let flushed = session.out.flush().map_err(Failed::from);
        done.and(flushed)
    });
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(failed) => failed.tell(),
    }
}

impl Session {
    fn new(common: &Common) -> Result<Self> {
        let patience = Duration::from_secs(common.wait.unwrap_or(0));
        let http = Http::new(&common.host, &common.token_file, patience)?;
        Ok(Self { common: common.clone(), patience, http, out: io::BufWriter::new(io::stdout()), widths: Vec::new(), goes_on: false })
    }

    /// The format asked for, or `otherwise`.
    pub fn format(&self, otherwise: Format) -> Format {
        self.common.output.unwrap_or(otherwise)
    }

    /// Asks for what is there.
    pub fn get(&mut self, target: &Target) -> Result<Value> {
        self.http.send("GET", target, None)
    }

    /// The same, once its `state` is none of `passing`: as long as was asked for by `--wait`.
    pub fn get_settled(&mut self, target: &Target, passing: &[&str]) -> Result<Value> {
        let end = Instant::now() + self.patience;
        loop {
            let found = self.get(target)?;
            if !passing.iter().any(|state| found["state"] == *state) {
                return Ok(found);
            }
            if Instant::now() >= end {
                let is_asked = !self.patience.is_zero();
                return if is_asked { Err(Failed::Unavailable(format!("it is still {}", found["state"]))) } else { Ok(found) };
            }
            std::thread::sleep(LOOK_AGAIN);
        }
    }

    /// The next request changes only what was answered last, as it was then: else it is a conflict.
    pub fn only_if_unchanged(&mut self) {
        self.http.only_if_unchanged();
    }

    /// Asks for something else; with a JSON body where there is one.
    pub fn send(&mut self, method: &str, target: &Target, body: Option<&Value>) -> Result<Value> {
        let body = body.map(|b| ("application/json", b.to_string().into_bytes()));
        self.http.send(method, target, body)
    }

    /// Sends bytes of another type.
    pub fn send_bytes(&mut self, method: &str, target: &Target, of_type: &'static str, bytes: Vec<u8>) -> Result<Value> {
        self.http.send(method, target, Some((of_type, bytes)))
    }

    /// Asks for bytes that are no JSON.
    pub fn get_bytes(&mut self, target: &Target) -> Result<Vec<u8>> {
        self.http.bytes(target)
    }

    /// All items of a list, over all its pages.
    pub fn all(&mut self, target: &Target) -> Result<Vec<Value>> {
        self.list(target, ("cursor", None), None)
    }

    /// All items of a list that comes on one page.
    pub fn all_of_one_page(&mut self, target: &Target) -> Result<Vec<Value>> {
        match self.get(target)?.get_mut("items").map(Value::take) {
            Some(Value::Array(items)) => Ok(items),
            _ => Err(Failed::foreign(&format!("{target} answered without `items`"))),
        }
    }

    /// At most `most` items of a list, over its pages: each is asked for by `next` of the one before as the parameter that `cursor` names;
    /// the first by what it says besides.
    pub fn list(&mut self, target: &Target, cursor: (&str, Option<String>), most: Option<usize>) -> Result<Vec<Value>> {
        let mut items = Vec::new();
        let (cursor_name, mut cursor) = cursor;
        loop {
            let page = target.clone().query("limit", most.filter(|m| (1..500).contains(m)).map_or(PAGE.to_owned(), |m| m.to_string()));
            let mut page = self.get(&page.query_if(cursor_name, cursor.as_ref()))?;
            let Some(Value::Array(more)) = page.get_mut("items").map(Value::take) else {
                return Err(Failed::foreign(&format!("{target} answered without `items`")));
            };
            items.extend(more);
            if let Some(most) = most.filter(|m| items.len() >= *m) {
                items.truncate(most);
                return Ok(items);
            }
            match page.get("next").and_then(Value::as_str) {
                Some(next) if cursor.as_deref() != Some(next) => cursor = Some(next.to_owned()),
                _ => return Ok(items),
            }
        }
    }

    /// Prints a list. `name` is the field that `-o name` prints.
    pub fn show_list(&mut self, items: &[Value], columns: &[Column], name: &str) -> Result<()> {
        let format = self.format(Format::Table);
        let head = !self.common.no_headers && !self.goes_on;
        match format {
            Format::Table | Format::Wide => {
                let wanted: Vec<&Column> = columns.iter().filter(|c| !c.wide || format == Format::Wide).collect();
                columns::table(&mut self.out, items, &wanted, head, terminal::width(), &mut self.widths)?;
            }
            Format::Csv => columns::csv(&mut self.out, items, columns, head)?,
            Format::Json => self.json(&Value::Array(items.to_vec()))?,
            Format::Jsonl => items.iter().try_for_each(|item| writeln!(self.out, "{item}"))?,
            Format::Yaml => yaml::write(&mut self.out, &Value::Array(items.to_vec()))?,
            Format::Name => items.iter().try_for_each(|item| writeln!(self.out, "{}", columns::text_at(item, name)))?,
        }
        Ok(self.out.flush()?)
    }

    /// Prints one thing: in YAML for people.
    pub fn show(&mut self, item: &Value, columns: &[Column], name: &str) -> Result<()> {
        match self.format(Format::Yaml) {
            Format::Json => self.json(item)?,
            Format::Yaml => yaml::write(&mut self.out, item)?,
            _ => self.show_list(std::slice::from_ref(item), columns, name)?,
        }
        Ok(self.out.flush()?)
    }

    /// Prints what a change made: its name alone, unless a format is asked for.
    pub fn show_made(&mut self, item: &Value, columns: &[Column], name: &str) -> Result<()> {
        for warning in item.get("warnings").and_then(Value::as_array).into_iter().flatten() {
            terminal::say(&format!("warning: {}", warning.as_str().unwrap_or_default()));
        }
        match self.format(Format::Name) {
            Format::Name => self.line(&columns::text_at(item, name)),
            _ => self.show(item, columns, name),
        }
    }

    /// Prints a line of data.
    pub fn line(&mut self, text: &str) -> Result<()> {
        writeln!(self.out, "{text}")?;
        Ok(self.out.flush()?)
    }

    /// Prints bytes as they are.
    pub fn bytes(&mut self, bytes: &[u8]) -> Result<()> {
        self.out.write_all(bytes)?;
        Ok(self.out.flush()?)
    }

    fn json(&mut self, value: &Value) -> Result<()> {
        let text = serde_json::to_string_pretty(value).unwrap_or_default();
        Ok(writeln!(self.out, "{text}")?)
    }
}
