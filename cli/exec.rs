//! `bulkhead exec`: a command in the namespace of an endpoint.

use crate::client::failed::{Failed, Result};
use crate::client::target::Target;
use crate::client::terminal::harmless;
use crate::client::{Common, Session, run};
use crate::run::files;
use crate::run::inside::{is_single_threaded, wait_for};
use crate::run::signals::Signals;
use clap::Args;
use rustix::process::{Pid, PidfdFlags, pidfd_open};
use rustix::thread::{LinkNameSpaceType, ThreadNameSpaceType, UnshareFlags};
use rustix::thread::{move_into_link_name_space, move_into_thread_name_spaces, set_thread_res_gid, set_thread_res_uid, unshare_unsafe};
use serde_json::Value;
use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fs::{self, File};
use std::os::fd::AsFd;
use std::process::ExitCode;

/// Runs a command in the namespace of an endpoint. Its exit status is the command's.
#[derive(Debug, Args)]
#[command(before_help = "\
Examples:
  bulkhead exec ipv1 -- ping -c 4 ipv2
  bulkhead exec --net isolated1 cid1 -- ip addr")]
pub struct Exec {
    /// Name or id of the endpoint, or the name of its workload.
    endpoint: String,
    /// Name or id of its network, where several have one of this name.
    #[arg(long = "net", visible_alias = "network", value_name = "NETWORK")]
    network: Option<String>,
    #[command(flatten)]
    common: Common,
    /// The command, and what it is called with.
    #[arg(last = true, required = true, value_name = "COMMAND")]
    command: Vec<OsString>,
}

/// A namespace, as the record has it.
struct Recorded {
    cookie: u64,
    named: String,
}

impl Exec {
    /// Runs the command.
    pub fn run(&self) -> ExitCode {
        let mut found = None;
        let asked = run(&self.common, |session| {
            found = Some(self.find(session)?);
            Ok(())
        });
        let Some(namespace) = found else { return asked };
        // Asked and answered: there is no connection any more, and nothing else that a thread would be for.
        let mut status = None;
        let entered = run(&self.common, |_| {
            is_single_threaded().map_err(Failed::Other)?;
            let signals = Signals::block().map_err(|e| Failed::Other(format!("signals cannot be caught: {e}")))?;
            namespace.enter().map_err(Failed::Other)?;
            status = Some(wait_for(&self.command, &signals));
            Ok(())
        });
        status.map_or(entered, ExitCode::from)
    }

    fn find(&self, session: &mut Session) -> Result<Recorded> {
        let mut all = Vec::new();
        for key in ["name", "workload"] {
            let target = Target::v1(&["endpoints"]).query_if("network", self.network.as_ref()).query(key, &self.endpoint);
            all = session.list(&target, ("cursor", None), None)?;
            if !all.is_empty() {
                break;
            }
        }
        if all.is_empty()
            && let Some(network) = &self.network
        {
            all.push(session.get(&Target::v1(&["networks", network, "endpoints", &self.endpoint]))?);
        }
        let by_namespace: BTreeMap<&str, &Value> = all.iter().filter_map(|e| Some((e["namespace"]["cookie"].as_str()?, e))).collect();
        let mut found = by_namespace.iter();
        match (found.next(), found.next()) {
            (Some((cookie, endpoint)), None) => {
                let named = endpoint["namespace"]["named"].as_str().unwrap_or_default().to_owned();
                let cookie = cookie.parse().map_err(|_| Failed::foreign("an endpoint was answered without its namespace"))?;
                Ok(Recorded { cookie, named })
            }
            (None, _) => {
                let name = harmless(&self.endpoint);
                Err(Failed::NotFound(format!("there is no endpoint or workload {name}; `bulkhead endpoint ls` shows those that are there")))
            }
            (Some(_), Some(_)) => {
                let networks: Vec<String> = all.iter().filter_map(|e| e["network"].as_str()).map(harmless).collect();
                Err(Failed::Usage(format!("{} is on {}: say which one by --net", harmless(&self.endpoint), networks.join(", "))))
            }
        }
    }
}

impl Recorded {
    /// Enters it: with all that its process has, where it was attached by a process; else with a resolv.conf of its own.
    fn enter(&self) -> std::result::Result<(), String> {
        let process = self.named.strip_prefix("/proc/").and_then(|p| p.strip_suffix("/ns/net")).and_then(|p| p.parse().ok());
        match process {
            Some(process) => enter_process(process)?,
            None => {
                let netns = File::open(&self.named).map_err(|e| format!("{}: {e}", self.named))?;
                move_into_link_name_space(netns.as_fd(), Some(LinkNameSpaceType::Network)).map_err(|e| denied(&self.named, &e.into()))?;
            }
        }
        let cookie = bulkhead_kernel::own_cookie().map_err(|e| format!("the namespace cannot be told: {e}"))?;
        if cookie != self.cookie {
            return Err(format!("{} is another namespace by now than the one on record", self.named));
        }
        if process.is_none() && files::names_are_answered() {
            // SAFETY: this process has one thread, so there is no other whose descriptors or file system context could be torn apart.
            unsafe { unshare_unsafe(UnshareFlags::NEWNS) }.map_err(|e| format!("a mount namespace cannot be made: {e}"))?;
            files::keep_to_ourselves()?;
            files::resolve_by_bulkhead()?;
        }
        Ok(())
    }
}

fn denied(named: &str, error: &std::io::Error) -> String {
    let is_denied = error.kind() == std::io::ErrorKind::PermissionDenied;
    let help = if is_denied { ": that takes root, or whoever owns the namespace" } else { "" };
    format!("{named} cannot be entered: {error}{help}")
}

fn not_entered(process: i32, error: &std::io::Error) -> String {
    denied(&format!("the namespace of process {process}"), error)
}

/// Into the user, mount, process and network namespaces of a process, as far as they are not ours already.
fn enter_process(number: i32) -> std::result::Result<(), String> {
    let gone = || format!("the process {number} that was attached has ended");
    let pid = Pid::from_raw(number).filter(|_| number > 0).ok_or_else(gone)?;
    let process = pidfd_open(pid, PidfdFlags::empty()).map_err(|_| gone())?;
    let link = |of: &str, space: &str| fs::read_link(format!("/proc/{of}/ns/{space}"));
    let kinds = [
        ("user", ThreadNameSpaceType::USER),
        ("mnt", ThreadNameSpaceType::MOUNT),
        ("pid", ThreadNameSpaceType::PROCESS_ID),
        ("net", ThreadNameSpaceType::NETWORK),
    ];
    let mut wanted = ThreadNameSpaceType::empty();
    for (space, kind) in kinds {
        let theirs = link(&number.to_string(), space).map_err(|e| not_entered(number, &e))?;
        if link("self", space).map_err(|e| format!("/proc/self/ns/{space}: {e}"))? != theirs {
            wanted |= kind;
        }
    }
    let first = |map: &str| -> Option<u32> {
        let text = fs::read_to_string(format!("/proc/{number}/{map}")).ok()?;
        text.split_whitespace().next()?.parse().ok()
    };
    let (uid, gid) = (first("uid_map"), first("gid_map"));
    let (own_uid, folder) = (rustix::process::geteuid(), std::env::current_dir());
    move_into_thread_name_spaces(process.as_fd(), wanted).map_err(|e| not_entered(number, &e.into()))?;
    if wanted.contains(ThreadNameSpaceType::USER) && rustix::process::geteuid() != own_uid {
        // Who is nobody there becomes who is somebody there.
        if let (Some(uid), Some(gid)) = (uid, gid) {
            let (uid, gid) = (rustix::process::Uid::from_raw(uid), rustix::process::Gid::from_raw(gid));
            set_thread_res_gid(gid, gid, gid)
                .and_then(|()| set_thread_res_uid(uid, uid, uid))
                .map_err(|e| format!("becoming uid {uid:?}: {e}"))?;
        }
    }
    // Entering a mount namespace leads to its root.
    if let Ok(folder) = folder {
        let _ = std::env::set_current_dir(folder);
    }
    Ok(())
}
