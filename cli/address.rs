//! `bulkhead address`

use crate::client::columns::{Column, column, wide};
use crate::client::failed::{Failed, Result};
use crate::client::live;
use crate::client::target::Target;
use crate::client::{Common, Session, run};
use clap::{Args, Subcommand};
use serde_json::{Value, json};
use std::net::IpAddr;
use std::process::ExitCode;

/// Addresses of a network: which are free, used, reserved or held back.
#[derive(Debug, Args)]
#[command(before_help = "\
Examples:
  bulkhead address list cards
  bulkhead address list cards --state used,reserved -o csv
  bulkhead address free cards -n 3
  bulkhead endpoint attach cards pan1 --ip \"$(bulkhead address free cards)\"")]
pub struct Address {
    #[command(subcommand)]
    command: Command,
    #[command(flatten)]
    common: Common,
}

#[derive(Debug, Subcommand)]
enum Command {
    #[command(visible_alias = "ls")]
    List(List),
    Free(Free),
}

/// Lists all addresses of a network by subnet: free ones as ranges, all others one by one.
#[derive(Debug, Args)]
struct List {
    /// Name or id of the network.
    #[arg(add = live::networks())]
    network: String,
    /// Only those in these states: gateway, reserved, used, held, free.
    #[arg(short, long, value_delimiter = ',', value_parser = ["gateway", "reserved", "used", "held", "free"])]
    state: Vec<String>,
}

/// Prints addresses that an attach could be given now, lowest first: one a line. Nothing is reserved by that.
#[derive(Debug, Args)]
struct Free {
    /// Name or id of the network.
    #[arg(add = live::networks())]
    network: String,
    /// How many.
    #[arg(short = 'n', long, default_value_t = 1)]
    count: usize,
    /// Only of this family: 4 or 6.
    #[arg(long, value_parser = ["4", "6"])]
    family: Option<String>,
}

const COLUMNS: &[Column] = &[
    column("SUBNET", "subnet"),
    column("ADDRESS", "address"),
    column("STATE", "state"),
    column("FOR", "for"),
    column("WORKLOAD", "workload"),
    column("SINCE", "since"),
    wide("UNTIL", "until"),
    wide("DECISION", "decision"),
    wide("ENDPOINT", "endpoint"),
];

impl Address {
    /// Runs the command.
    pub fn run(&self) -> ExitCode {
        run(&self.common, |session| match &self.command {
            Command::List(list) => {
                let rows: Vec<Value> = subnets(session, &list.network)?.iter().flat_map(rows).collect();
                let fits = |row: &Value| list.state.is_empty() || list.state.iter().any(|s| row["state"] == s.as_str());
                session.show_list(&rows.into_iter().filter(fits).collect::<Vec<_>>(), COLUMNS, "address")
            }
            Command::Free(free) => free.run(session),
        })
    }
}

fn subnets(session: &mut Session, network: &str) -> Result<Vec<Value>> {
    session.all_of_one_page(&Target::v1(&["networks", network, "addresses"]))
}

/// What stands at each address of a subnet, in order.
fn rows(subnet: &Value) -> Vec<Value> {
    let cidr = &subnet["cidr"];
    let list = |key: &str| subnet[key].as_array().cloned().unwrap_or_default();
    let mut rows = Vec::new();
    if subnet["gateway"].is_string() {
        rows.push(json!({"subnet": cidr, "address": subnet["gateway"], "state": "gateway"}));
    }
    for (what, address) in subnet["reserved"].as_object().into_iter().flatten() {
        rows.push(json!({"subnet": cidr, "address": address, "state": "reserved", "for": what}));
    }
    for used in list("used") {
        rows.push(json!({
            "subnet": cidr, "address": used["address"], "state": "used", "for": used["name"], "workload": used["workload"],
            "since": used["since"], "decision": used["decision"], "endpoint": used["endpoint"],
        }));
    }
    for held in list("held_back") {
        rows.push(json!({"subnet": cidr, "address": held["address"], "state": "held", "until": held["until"]}));
    }
    for range in list("free") {
        let (first, last) = (range["first"].as_str().unwrap_or_default(), range["last"].as_str().unwrap_or_default());
        let text = if first == last { first.to_owned() } else { format!("{first}-{last}") };
        rows.push(json!({"subnet": cidr, "address": text, "state": "free"}));
    }
    rows.sort_by_key(|row| row["address"].as_str().and_then(|a| a.split('-').next()).and_then(|a| a.parse::<IpAddr>().ok()));
    rows
}

impl Free {
    fn run(&self, session: &mut Session) -> Result<()> {
        let subnets = subnets(session, &self.network)?;
        let fits = |subnet: &&Value| {
            let is_v6 = subnet["cidr"].as_str().is_some_and(|c| c.contains(':'));
            self.family.as_ref().is_none_or(|f| (f == "6") == is_v6)
        };
        let of_range = |subnet: &Value, range: &Value| {
            let bound = |key: &str| range[key].as_str().and_then(|a| a.parse::<IpAddr>().ok());
            let within = subnet["ip_range"].as_str().and_then(|r| r.parse::<ipnet::IpNet>().ok());
            let (first, last) = (bound("first"), bound("last"));
            // By themselves only those of ip_range are handed out, where there is one.
            let first = first.map(|f| within.filter(|w| w.network() > f).map_or(f, |w| w.network()));
            addresses(first, last).take_while(move |a| within.is_none_or(|w| w.contains(a))).take(self.count).collect::<Vec<_>>()
        };
        let ranges = |subnet: &Value| subnet["free"].as_array().cloned().unwrap_or_default();
        let free = subnets.iter().filter(fits).flat_map(|s| ranges(s).iter().flat_map(|r| of_range(s, r)).collect::<Vec<_>>());
        let free: Vec<Value> = free.take(self.count).map(|a| json!({"address": a.to_string()})).collect();
        if free.len() < self.count {
            let network = &self.network;
            return Err(Failed::Conflict(format!("network {network} has {} free of {} asked for", free.len(), self.count)));
        }
        match session.format(crate::client::Format::Name) {
            crate::client::Format::Name => free.iter().try_for_each(|a| session.line(a["address"].as_str().unwrap_or_default())),
            _ => session.show_list(&free, &[column("ADDRESS", "address")], "address"),
        }
    }
}

/// All addresses from the first to the last.
fn addresses(first: Option<IpAddr>, last: Option<IpAddr>) -> impl Iterator<Item = IpAddr> {
    let next = |a: &IpAddr| match a {
        IpAddr::V4(a) => u32::from(*a).checked_add(1).map(|n| IpAddr::V4(n.into())),
        IpAddr::V6(a) => u128::from(*a).checked_add(1).map(|n| IpAddr::V6(n.into())),
    };
    std::iter::successors(first, next).take_while(move |a| last.is_some_and(|last| *a <= last))
}
