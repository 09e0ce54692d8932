//! `bulkhead module`

use crate::client::change::{Change, read_file};
use crate::client::columns::{Column, column, wide};
use crate::client::failed::{Failed, Result};
use crate::client::live;
use crate::client::target::Target;
use crate::client::{Common, Session, run};
use clap::{Args, Subcommand};
use serde_json::Value;
use std::path::PathBuf;
use std::process::ExitCode;

/// Modules: WebAssembly components that policies are made of, by digest.
#[derive(Debug, Args)]
#[command(before_help = "\
Examples:
  bulkhead module upload my.wasm
  bulkhead module list
  bulkhead module inspect tier-isolation
  bulkhead module download sha256:9f86d08 -f my.wasm")]
pub struct Module {
    #[command(subcommand)]
    command: Command,
    #[command(flatten)]
    common: Common,
}

#[derive(Debug, Subcommand)]
enum Command {
    #[command(visible_alias = "ls")]
    List(List),
    Inspect(Inspect),
    Upload(Upload),
    Download(Download),
    #[command(visible_aliases = ["rm", "remove"])]
    Delete(Delete),
}

/// Lists modules, by digest.
#[derive(Debug, Args)]
struct List {}

/// Shows what a module says of itself: operations, rules, settings, label keys.
#[derive(Debug, Args)]
struct Inspect {
    /// Digest, the beginning of one, or the name that exactly one module has.
    #[arg(add = live::modules())]
    module: String,
}

/// Puts a module on record: a component of policies/wit, or the core module of which one can be made.
#[derive(Debug, Args)]
#[command(before_help = "\
Examples:
  bulkhead module upload target/wasm32-unknown-unknown/release/my_policy.wasm
  bulkhead module upload my.wasm --dry-run")]
struct Upload {
    /// The file; - is stdin.
    file: PathBuf,
    #[command(flatten)]
    change: Change,
}

/// Fetches the bytes of a module.
#[derive(Debug, Args)]
struct Download {
    /// Digest, the beginning of one, or the name that exactly one module has.
    #[arg(add = live::modules())]
    module: String,
    /// Where to; stdout where it is left out.
    #[arg(short, long)]
    file: Option<PathBuf>,
}

/// Removes a module that no policy uses.
#[derive(Debug, Args)]
struct Delete {
    /// Digest, the beginning of one, or the name that exactly one module has.
    #[arg(add = live::modules())]
    module: String,
    #[command(flatten)]
    change: Change,
}

/// What lists show.
const COLUMNS: &[Column] = &[
    column("NAME", "description.name"),
    column("VERSION", "description.version"),
    column("BUILT-IN", "built_in"),
    column("POLICIES", "policies"),
    column("DIGEST", "digest"),
    wide("SIZE", "size"),
    wide("OPERATIONS", "description.operations"),
    wide("RULES", "description.rules.id"),
    wide("LABELS", "description.label_keys"),
];

impl Module {
    /// Runs the command.
    pub fn run(&self) -> ExitCode {
        run(&self.common, |session| match &self.command {
            Command::List(_) => {
                let items = all(session)?;
                session.show_list(&items, COLUMNS, "digest")
            }
            Command::Inspect(Inspect { module }) => {
                let found = find(session, module)?;
                session.show(&found, COLUMNS, "digest")
            }
            Command::Upload(upload) => upload.run(session),
            Command::Download(download) => download.run(session),
            Command::Delete(delete) => delete.run(session),
        })
    }
}

impl Upload {
    fn run(&self, session: &mut Session) -> Result<()> {
        let bytes = read_file(&self.file)?;
        if !bytes.starts_with(b"\0asm") {
            let file = self.file.display();
            return Err(Failed::Usage(format!(
                "{file} is no WebAssembly: it does not begin with \\0asm; the .wasm file that a compiler makes"
            )));
        }
        if let Some(made) = session.change_bytes(Target::v1(&["modules"]), "application/wasm", bytes, &self.change)? {
            session.show_made(&made, COLUMNS, "digest")?;
        }
        Ok(())
    }
}

impl Download {
    fn run(&self, session: &mut Session) -> Result<()> {
        let digest = digest(session, &self.module)?;
        let bytes = session.get_bytes(&Target::v1(&["modules", &digest, "content"]))?;
        match &self.file {
            Some(file) => std::fs::write(file, bytes).map_err(|e| Failed::Other(format!("{} cannot be written: {e}", file.display()))),
            None => session.bytes(&bytes),
        }
    }
}

impl Delete {
    fn run(&self, session: &mut Session) -> Result<()> {
        let digest = digest(session, &self.module)?;
        if let Some(gone) = session.change("DELETE", Target::v1(&["modules", &digest]), None, &self.change)? {
            session.show_gone(&digest, &gone)?;
        }
        Ok(())
    }
}

fn all(session: &mut Session) -> Result<Vec<Value>> {
    session.all(&Target::v1(&["modules"]))
}

/// The digest of the module that is meant.
pub fn digest(session: &mut Session, meant: &str) -> Result<String> {
    Ok(find(session, meant)?["digest"].as_str().unwrap_or_default().to_owned())
}

/// The one module that is meant: by digest, by the beginning of one (six digits at least), or by name.
fn find(session: &mut Session, meant: &str) -> Result<Value> {
    let modules = all(session)?;
    let digest_of = |m: &Value| m["digest"].as_str().unwrap_or_default().to_owned();
    let name_of = |m: &Value| m["description"]["name"].as_str().unwrap_or_default().to_owned();
    let hex = meant.strip_prefix("sha256:").unwrap_or(meant);
    let begins = |m: &Value| hex.len() >= 6 && digest_of(m).strip_prefix("sha256:").is_some_and(|d| d.starts_with(hex));
    let mut fitting: Vec<&Value> = modules.iter().filter(|m| begins(m)).collect();
    if fitting.is_empty() {
        fitting = modules.iter().filter(|m| name_of(m) == meant).collect();
    }
    match fitting.as_slice() {
        [one] => Ok((*one).clone()),
        [] => {
            let names: Vec<String> = modules.iter().map(name_of).collect();
            let near = bulkhead_core::names::nearest(meant, names.iter().map(String::as_str));
            let right =
                near.map_or_else(|| "`bulkhead module list` lists those that are there".to_owned(), |n| format!("did you mean {n}?"));
            Err(Failed::NotFound(format!("there is no module {meant}; {right}")))
        }
        several => {
            let digests: Vec<String> = several.iter().map(|m| digest_of(m)).collect();
            Err(Failed::Usage(format!("{meant} may be any of {}; a digest", digests.join(", "))))
        }
    }
}
