//! `bulkhead doctor`: what this host has, what the daemon says of record and kernel, and what to do about either.

use crate::client::columns::{Column, column};
use crate::client::failed::{Failed, Result};
use crate::client::target::Target;
use crate::client::{Common, Session, run};
use clap::Args;
use serde_json::{Value, json};
use std::fs;
use std::process::ExitCode;

/// Oldest kernel that the daemon supports.
const KERNEL_MIN: (u32, u32) = (5, 15);
/// What the kernel must have, and what for.
const MODULES: [(&str, &str); 6] = [
    ("ipvlan", "networks"),
    ("8021q", "networks on VLANs"),
    ("dummy", "networks without a parent"),
    ("sch_ingress", "the shield"),
    ("cls_bpf", "the shield"),
    ("act_gact", "the shield"),
];

/// Looks whether all is well: this host's kernel, the daemon, and whether record and kernel agree. Exit status 1 where something is
/// bad, 6 where the daemon is away.
#[derive(Debug, Args)]
#[command(before_help = "\
Examples:
  bulkhead doctor
  bulkhead doctor -o json")]
pub struct Doctor {
    #[command(flatten)]
    common: Common,
}

const COLUMNS: &[Column] = &[column("CHECK", "check"), column("STATE", "state"), column("FOUND", "found"), column("RIGHT", "right")];

impl Doctor {
    /// Runs the command.
    pub fn run(&self) -> ExitCode {
        run(&self.common, |session| {
            let mut found = host();
            let away = daemon(session, &mut found);
            session.show_list(&found, COLUMNS, "check")?;
            away?;
            if found.iter().any(|f| f["state"] == "bad") { Err(Failed::NotAsItShouldBe) } else { Ok(()) }
        })
    }
}

fn told(check: &str, state: &str, found: impl Into<String>, right: impl Into<String>) -> Value {
    json!({"check": check, "state": state, "found": found.into(), "right": right.into()})
}

/// The kernel that this command runs on: the daemon's, where it is on the same host.
fn host() -> Vec<Value> {
    let uname = rustix::system::uname();
    let release = uname.release().to_string_lossy().into_owned();
    let mut numbers = release.split(|c: char| !c.is_ascii_digit()).map(|n| n.parse::<u32>().unwrap_or(0));
    let version = (numbers.next().unwrap_or(0), numbers.next().unwrap_or(0));
    let (major, minor) = KERNEL_MIN;
    let mut found = vec![match version >= KERNEL_MIN {
        true => told("kernel", "ok", format!("Linux {release}"), ""),
        false => told("kernel", "bad", format!("Linux {release}"), format!("{major}.{minor} or newer")),
    }];
    let folder = format!("/lib/modules/{release}");
    let known: String =
        ["modules.builtin", "modules.dep"].iter().filter_map(|file| fs::read_to_string(format!("{folder}/{file}")).ok()).collect();
    for (module, what_for) in MODULES {
        // A file of that name, whatever its compression.
        let is_known = known.split(['/', ':', '\n', ' ']).any(|f| f.split('.').next() == Some(module));
        let is_loaded = fs::exists(format!("/sys/module/{module}")).unwrap_or(false);
        let check = format!("module {module}");
        found.push(match (is_loaded, is_known) {
            (true, _) => told(&check, "ok", "loaded", ""),
            (false, true) => told(&check, "ok", "there, and loaded when it is needed", ""),
            (false, false) if known.is_empty() => {
                let right = format!("modprobe {module}, where it is no part of the kernel itself; {what_for} need it");
                told(&check, "unknown", format!("{folder} does not tell"), right)
            }
            (false, false) => told(&check, "bad", "not there", format!("a kernel with it (Debian: linux-image-amd64); {what_for} need it")),
        });
    }
    found
}

/// What the daemon says. Its absence is an error, which is told after the rest.
fn daemon(session: &mut Session, found: &mut Vec<Value>) -> Result<()> {
    let health = match session.get(&Target::v1(&["health"])) {
        Ok(health) => health,
        Err(failed) => {
            found.push(told("daemon", "bad", "no answer", "see below"));
            return Err(failed);
        }
    };
    let text = |key: &str| health[key].as_str().unwrap_or("unknown").to_owned();
    let (ours, theirs) = (env!("CARGO_PKG_VERSION"), text("version"));
    found.push(match ours == theirs {
        true => told("daemon", "ok", format!("version {theirs}, serving for {} s", health["uptime_s"]), ""),
        false => told("daemon", "warning", format!("version {theirs}; this command is {ours}"), "restart the daemon after an upgrade"),
    });
    let count = format!("{} networks, {} endpoints, {} plans under way", health["networks"], health["endpoints"], health["open_plans"]);
    let complaints = health["complaints"].as_array().cloned().unwrap_or_default();
    if complaints.is_empty() {
        found.push(told("record and kernel", "ok", format!("agree: {count}"), ""));
    }
    for complaint in &complaints {
        let right = "`bulkhead event list` tells since when; it is set right by itself as soon as it can be";
        found.push(told("record and kernel", "bad", complaint.as_str().unwrap_or_default(), right));
    }
    let all = health["complaints_total"].as_u64().unwrap_or(0);
    if all > complaints.len() as u64 {
        found.push(told("record and kernel", "bad", format!("{} more", all - complaints.len() as u64), ""));
    }
    let standing = session.all_of_one_page(&Target::v1(&["violations"]))?;
    let enforced = standing.iter().filter(|v| v["mode"] == "enforce").count();
    found.push(match enforced {
        0 => told("policies", "ok", "nothing that exists is against a policy in force", ""),
        n => {
            told("policies", "warning", format!("{n} violations of policies in force, from before they were"), "bulkhead policy violations")
        }
    });
    Ok(())
}
