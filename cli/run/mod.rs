//! `bulkhead run`: a command in a network namespace of its own, attached, with names that resolve.
//!
//! Three processes: this one, which talks to the daemon and waits; below it the namespace's first process ([`inside`]), which sets it
//! up and waits for the word; below that the command. Whoever of them is killed takes along what is below it, and when the last is gone
//! the namespace is, too. Then this one detaches; where it cannot (it was killed, or the daemon was), the daemon finds a namespace on
//! record that nobody is in any more, and releases its endpoints.

pub mod files;
pub mod inside;
pub mod signals;

use crate::client::change::Change;
use crate::client::columns::text_at;
use crate::client::failed::{Failed, Result};
use crate::client::target::Target;
use crate::client::terminal::{harmless, say};
use crate::client::{Common, Session, run};
use crate::network::pairs;
use clap::Args;
use inside::Inside;
use ipnet::IpNet;
use serde_json::{Map, Value, json};
use signals::Signals;
use std::ffi::OsString;
use std::net::IpAddr;
use std::process::ExitCode;

/// Runs a command in a new network namespace that is attached to networks, and detaches it when the command ends. Its exit status is
/// the command's (128 and the signal's number where one killed it; 126 and 127 where it could not be started).
#[derive(Debug, Args)]
#[command(before_help = "\
Examples:
  bulkhead run --net db_net_ipv --name ipv1 -- sleep 1000
  bulkhead run --net db_net_ipv -- ping -c 4 ipv1
  bulkhead run --net web,cards --name gate --label tier=cards --ip 192.168.40.9 -- ./gate")]
pub struct Run {
    /// Names or ids of the networks; the first gets the link eth0, the second eth1.
    #[arg(long = "net", visible_alias = "network", value_name = "NETWORK", value_delimiter = ',', required = true)]
    networks: Vec<String>,
    /// The endpoint's name on its networks.
    #[arg(short, long)]
    name: Option<String>,
    /// A further name, which others may have, too; may be repeated.
    #[arg(long = "alias", value_name = "NAME")]
    aliases: Vec<String>,
    /// A label of the workload; may be repeated.
    #[arg(short, long = "label", value_name = "KEY=VALUE")]
    labels: Vec<String>,
    /// An address, of the network that has its subnet; may be repeated.
    #[arg(long = "ip", visible_alias = "ip6", value_name = "ADDRESS")]
    addresses: Vec<IpAddr>,
    #[command(flatten)]
    change: Change,
    #[command(flatten)]
    common: Common,
    /// The command, and what it is called with.
    #[arg(last = true, required = true, value_name = "COMMAND")]
    command: Vec<OsString>,
}

/// What the daemon has attached.
struct Attached {
    network: String,
    id: String,
}

impl Run {
    /// Runs the command.
    pub fn run(&self) -> ExitCode {
        let mut attached = Vec::new();
        // Lives until all is detached, and with it the namespace: so a detach removes links, and its owner is known.
        let mut held = None;
        let mut ended = None;
        let status = run(&self.common, |session| {
            let wishes = self.wishes(session)?;
            let signals = Signals::block().map_err(|e| Failed::Other(format!("signals cannot be caught: {e}")))?;
            let inside = held.insert(Inside::start(&self.command).map_err(Failed::Other)?);
            for (network, mut wish) in wishes {
                wish.insert("namespace".to_owned(), json!({"pid": inside.pid().as_raw_nonzero().get()}));
                let target = Target::v1(&["networks", &network, "endpoints"]);
                let Some(made) = session.change("POST", target, Some(&Value::Object(wish)), &self.change)? else { continue };
                for warning in made["warnings"].as_array().into_iter().flatten() {
                    say(&format!("warning: {}", harmless(warning.as_str().unwrap_or_default())));
                }
                attached.push(Attached { network: text_at(&made, "network_id"), id: text_at(&made, "id") });
            }
            if self.change.dry_run {
                return Ok(());
            }
            if let Some(signal) = signals.waiting() {
                // Told to end before it has begun.
                ended = Some(signals::status_of(signal));
                return Ok(());
            }
            inside.go().map_err(Failed::Other)?;
            ended = Some(signals.wait_for(inside.pid()).map_err(|e| Failed::Other(format!("waiting for the command: {e}")))?);
            inside.has_ended();
            Ok(())
        });
        let detached = self.detach(&attached);
        drop(held);
        match ended {
            Some(status) => ExitCode::from(status),
            None if status == ExitCode::SUCCESS => detached,
            None => status,
        }
    }

    /// What is asked of each network, but for the namespace.
    fn wishes(&self, session: &mut Session) -> Result<Vec<(String, Map<String, Value>)>> {
        let labels = pairs("--label", &self.labels)?;
        let mut left = self.addresses.clone();
        let mut wishes = Vec::new();
        for (i, name) in self.networks.iter().enumerate() {
            let network = session.get(&Target::v1(&["networks", name]))?;
            let subnets: Vec<IpNet> =
                network["subnets"].as_array().into_iter().flatten().filter_map(|s| s["cidr"].as_str()?.parse().ok()).collect();
            let (own, others): (Vec<IpAddr>, Vec<IpAddr>) = left.into_iter().partition(|a| subnets.iter().any(|s| s.contains(a)));
            left = others;
            let mut wish = Map::from_iter([("interface".to_owned(), json!(format!("eth{i}")))]);
            let mut put = |key: &str, value: Value| drop(wish.insert(key.to_owned(), value));
            if let Some(name) = &self.name {
                put("name", json!(name));
            }
            if !self.aliases.is_empty() {
                put("aliases", json!(self.aliases));
            }
            if !own.is_empty() {
                put("addresses", json!(own));
            }
            if !labels.is_empty() {
                put("workload", json!({"labels": labels}));
            }
            wishes.push((name.clone(), wish));
        }
        match left.first() {
            None => Ok(wishes),
            Some(address) => {
                let networks = self.networks.join(", ");
                Err(Failed::Usage(format!("--ip {address}: in no subnet of {networks}; `bulkhead network inspect` shows their subnets")))
            }
        }
    }

    /// Detaches what was attached; by a connection of its own, as the first may have been idle for days.
    fn detach(&self, attached: &[Attached]) -> ExitCode {
        if attached.is_empty() {
            return ExitCode::SUCCESS;
        }
        run(&self.common, |session| {
            let mut done = Ok(());
            for Attached { network, id } in attached.iter().rev() {
                match session.send("DELETE", &Target::v1(&["networks", network, "endpoints", id]), None) {
                    // Released already: the daemon has seen that nobody is in the namespace.
                    Ok(_) | Err(Failed::NotFound(_)) => {}
                    Err(Failed::Problem(problem)) if problem.status == 404 => {}
                    Err(Failed::Unavailable(why)) => {
                        return Err(Failed::Unavailable(format!("{why}. The daemon releases what was attached at its next start")));
                    }
                    Err(other) => done = Err(other),
                }
            }
            done
        })
    }
}
