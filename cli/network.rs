//! `bulkhead network`

use crate::client::change::Change;
use crate::client::columns::{Column, column, text_at, wide};
use crate::client::failed::{Failed, Result};
use crate::client::live;
use crate::client::target::Target;
use crate::client::{Common, Session, run};
use crate::endpoint::{Attach, Detach};
use clap::{Args, Subcommand};
use ipnet::IpNet;
use serde_json::{Map, Value, json};
use std::net::IpAddr;
use std::path::PathBuf;
use std::process::ExitCode;

/// Networks: make, list, inspect and remove them.
#[derive(Debug, Args)]
#[command(before_help = "\
Examples:
  bulkhead network create cards --parent eth0.40 --subnet 192.168.40.0/24 --label tier=cards
  bulkhead network create web --parent eth0.40 --dry-run
  bulkhead network ls --label tier=cards
  bulkhead network connect cards pan1 --name pan1
  bulkhead network rm cards")]
pub struct Network {
    #[command(subcommand)]
    command: Command,
    #[command(flatten)]
    common: Common,
}

#[derive(Debug, Subcommand)]
enum Command {
    #[command(visible_alias = "list")]
    Ls(Ls),
    Inspect(Inspect),
    Create(Box<Create>),
    #[command(visible_alias = "update")]
    Set(Set),
    #[command(visible_aliases = ["remove", "delete"])]
    Rm(Rm),
    Connect(Box<Attach>),
    Disconnect(Detach),
}

/// Lists networks, oldest first.
#[derive(Debug, Args)]
#[command(before_help = "\
Examples:
  bulkhead network ls -o wide
  bulkhead network ls --label tier=cards -o name
  bulkhead network ls --state degraded --watch")]
struct Ls {
    /// Only those with this label; several must all hold.
    #[arg(short, long, value_name = "KEY=VALUE", add = live::labels())]
    label: Vec<String>,
    /// Only those on this parent.
    #[arg(short, long, value_name = "LINK", add = live::parents())]
    parent: Option<String>,
    /// Only those of this mode.
    #[arg(short, long, value_name = "l2|l3|l3s")]
    mode: Option<String>,
    /// Only those in this state: creating, ready, degraded or deleting.
    #[arg(short, long)]
    state: Option<String>,
    /// Names only.
    #[arg(short, long, conflicts_with_all = ["output", "watch"])]
    quiet: bool,
    /// Go on with what changes, until interrupted.
    #[arg(short, long)]
    watch: bool,
}

/// Shows all about networks.
#[derive(Debug, Args)]
#[command(before_help = "\
Examples:
  bulkhead network inspect cards
  bulkhead network inspect cards -o json
  bulkhead network inspect cards --wait")]
struct Inspect {
    /// Names or ids.
    #[arg(required = true, value_name = "NETWORK", add = live::networks())]
    networks: Vec<String>,
}

/// Makes a network. The policies decide first; denied, nothing is sent to the kernel.
#[derive(Debug, Args)]
#[command(before_help = "\
Examples:
  bulkhead network create db_net --parent eth0 --subnet 192.168.1.0/24 --gateway 192.168.1.1
  bulkhead network create cards --parent eth0.40 --subnet 192.168.40.0/24 --label tier=cards
  bulkhead network create isolated1 --subnet 10.1.0.0/24          (no parent: cut off from everything)
  bulkhead network create dual --parent eth0.30 --subnet 10.0.0.0/24 --subnet 2001:db8::/64
  bulkhead network create web --parent eth0.40 --dry-run          (what would be decided and done)
  bulkhead network create -f web.json")]
struct Create {
    /// Its name.
    #[arg(required_unless_present = "file")]
    name: Option<String>,
    /// The link it hangs on, or a VLAN of one such as eth0.30, made if it is not there; none: cut off from everything else.
    #[arg(short, long, value_name = "LINK", add = live::parents())]
    parent: Option<String>,
    /// A subnet; may be repeated. None: one from the default pools.
    #[arg(short, long = "subnet", value_name = "CIDR")]
    subnets: Vec<String>,
    /// The gateway of the subnet that it lies in; or `auto`, or `none`, for all that have none. May be repeated.
    #[arg(short, long = "gateway", value_name = "ADDRESS")]
    gateways: Vec<String>,
    /// The part of a subnet that addresses are handed out from; may be repeated.
    #[arg(long = "ip-range", value_name = "CIDR")]
    ip_ranges: Vec<String>,
    /// An address that is never handed out, and what it is for; may be repeated.
    #[arg(long = "reserve", visible_alias = "aux-address", value_name = "NAME=ADDRESS")]
    reserved: Vec<String>,
    /// A label; may be repeated.
    #[arg(short, long = "label", value_name = "KEY=VALUE", add = live::labels())]
    labels: Vec<String>,
    /// l2 (default), l3 or l3s; a parent has one mode.
    #[arg(short, long)]
    mode: Option<String>,
    /// bridge (default), private or vepa; a parent has one flag.
    #[arg(long)]
    flag: Option<String>,
    /// MTU of its links in bytes.
    #[arg(long, value_name = "BYTES")]
    mtu: Option<u32>,
    /// Whether names from outside are answered: auto (where it leads out; default), on or off.
    #[arg(long, value_name = "WHETHER")]
    dns_forward: Option<String>,
    /// Nothing leaves it, also where a parent is named.
    #[arg(long)]
    internal: bool,
    /// Take an IPv6 subnet from the default pools when none is named.
    #[arg(long)]
    ipv6: bool,
    /// Accept router advertisements. Any neighbour may send these.
    #[arg(long)]
    accept_ra: bool,
    /// No filters on the parent that keep workloads out of its VLANs.
    #[arg(long)]
    no_shield: bool,
    /// The wish as JSON, as the API takes it; - is stdin. What is said besides wins.
    #[arg(short, long, value_name = "FILE")]
    file: Option<PathBuf>,
    /// As docker has it: only ipvlan.
    #[arg(short, long, hide = true, value_parser = ["ipvlan"])]
    driver: Option<String>,
    #[command(flatten)]
    change: Change,
}

/// Removes networks without endpoints. A parent goes with its last network if it was made for it.
#[derive(Debug, Args)]
#[command(before_help = "\
Examples:
  bulkhead network rm cards
  bulkhead network rm web --dry-run")]
struct Rm {
    /// Names or ids.
    #[arg(required = true, value_name = "NETWORK", add = live::networks())]
    networks: Vec<String>,
    /// An admin's reason to go against a denial; goes on record.
    #[arg(long, value_name = "REASON")]
    force: Option<String>,
    #[command(flatten)]
    change: Change,
}

/// What lists show.
pub const COLUMNS: &[Column] = &[
    column("NAME", "name"),
    column("STATE", "state"),
    column("MODE", "mode"),
    column("PARENT", "parent.link"),
    column("SUBNETS", "subnets.cidr"),
    column("ENDPOINTS", "endpoints"),
    column("LABELS", "labels"),
    wide("FLAG", "flag"),
    wide("SEGMENT", "segment"),
    wide("REACHES", "reaches.every_vlan_of"),
    wide("SHIELD", "parent.shield.state"),
    wide("MTU", "mtu"),
    wide("LEFT", "subnets.addresses_left"),
    wide("CREATED", "created_at"),
    wide("BY", "created_by"),
    wide("DECISION", "decision"),
    wide("ID", "id"),
    wide("WHY", "why"),
];

impl Network {
    /// Runs the command.
    pub fn run(&self) -> ExitCode {
        run(&self.common, |session| match &self.command {
            Command::Ls(ls) => ls.run(session),
            Command::Inspect(inspect) => inspect.run(session),
            Command::Create(create) => create.run(session),
            Command::Set(set) => set.run(session),
            Command::Rm(rm) => rm.run(session),
            Command::Connect(attach) => attach.run(session),
            Command::Disconnect(detach) => detach.run(session),
        })
    }
}

impl Ls {
    fn run(&self, session: &mut Session) -> Result<()> {
        let target = Target::v1(&["networks"]).query_all("label", &self.label).query_if("parent", self.parent.as_ref());
        let target = target.query_if("mode", self.mode.as_ref()).query_if("state", self.state.as_ref());
        if self.quiet {
            return session.all(&target)?.iter().try_for_each(|n| session.line(&text_at(n, "name")));
        }
        session.show_all(&target, COLUMNS, "name", self.watch)
    }
}

impl Inspect {
    fn run(&self, session: &mut Session) -> Result<()> {
        for name in &self.networks {
            let found = session.get_settled(&Target::v1(&["networks", name]), &["creating", "deleting"])?;
            session.show(&found, COLUMNS, "name")?;
        }
        Ok(())
    }
}

impl Rm {
    fn run(&self, session: &mut Session) -> Result<()> {
        for name in &self.networks {
            let target = Target::v1(&["networks", name]).query_if("force", self.force.as_ref());
            if let Some(gone) = session.change("DELETE", target, None, &self.change)? {
                session.show_gone(name, &gone)?;
            }
        }
        Ok(())
    }
}

/// Changes labels, MTU, gateways and ranges of a network; what is not named stays. All whom it concerns are judged again.
#[derive(Debug, Args)]
#[command(before_help = "\
Examples:
  bulkhead network set cards --label owner=team-7 --label review-
  bulkhead network set cards --mtu 1400 --dry-run
  bulkhead network set cards --ip-range 192.168.40.0/25=192.168.40.0/24      (ranges only grow; SUBNET= alone is all of it)
  bulkhead network set cards --gateway 192.168.40.0/24=192.168.40.254")]
struct Set {
    /// Its name or id.
    #[arg(add = live::networks())]
    network: String,
    /// A label to set, or with KEY- one to take away; may be repeated.
    #[arg(short, long = "label", value_name = "KEY=VALUE|KEY-", add = live::labels())]
    labels: Vec<String>,
    /// MTU of its links in bytes.
    #[arg(long, value_name = "BYTES")]
    mtu: Option<u32>,
    /// Whether names from outside are answered: auto (where it leads out), on or off.
    #[arg(long, value_name = "WHETHER")]
    dns_forward: Option<String>,
    /// The gateway of a subnet: an address, auto or none; may be repeated.
    #[arg(short, long = "gateway", value_name = "SUBNET=ADDRESS")]
    gateways: Vec<String>,
    /// The part of a subnet that addresses are handed out from; may be repeated.
    #[arg(long = "ip-range", value_name = "SUBNET=CIDR")]
    ip_ranges: Vec<String>,
    #[command(flatten)]
    change: Change,
}

impl Set {
    fn run(&self, session: &mut Session) -> Result<()> {
        let mut wish = Map::new();
        let labels = label_changes(&self.labels)?;
        if !labels.is_empty() {
            wish.insert("labels".into(), Value::Object(labels));
        }
        wish.extend(self.mtu.map(|mtu| ("mtu".to_owned(), Value::from(mtu))));
        wish.extend(self.dns_forward.as_ref().map(|forward| ("dns".to_owned(), json!({"forward": forward}))));
        let mut subnets: Map<String, Value> = Map::new();
        for (option, field, given) in [("--gateway", "gateway", &self.gateways), ("--ip-range", "ip_range", &self.ip_ranges)] {
            for (cidr, value) in pairs(option, given)? {
                let value = if value == "" { Value::Null } else { value };
                let subnet = subnets.entry(cidr.clone()).or_insert_with(|| json!({"cidr": cidr}));
                subnet[field] = value;
            }
        }
        if !subnets.is_empty() {
            wish.insert("subnets".into(), subnets.into_iter().map(|(_, subnet)| subnet).collect());
        }
        if wish.is_empty() {
            return Err(Failed::Usage("nothing to change: say --label, --mtu, --dns-forward, --gateway or --ip-range".into()));
        }
        let target = Target::v1(&["networks", &self.network]);
        if let Some(changed) = session.change("PATCH", target, Some(&Value::Object(wish)), &self.change)? {
            session.show_made(&changed, COLUMNS, "name")?;
        }
        Ok(())
    }
}

/// Labels to set, and with `KEY-` to take away.
pub fn label_changes(given: &[String]) -> Result<Map<String, Value>> {
    let (gone, set): (Vec<&String>, Vec<&String>) = given.iter().partition(|text| text.ends_with('-') && !text.contains('='));
    let mut changes = pairs("--label", &set.into_iter().cloned().collect::<Vec<_>>())?;
    changes.extend(gone.into_iter().map(|text| (text.trim_end_matches('-').to_owned(), Value::Null)));
    Ok(changes)
}

impl Create {
    fn run(&self, session: &mut Session) -> Result<()> {
        let wish = self.wish()?;
        if let Some(made) = session.change("POST", Target::v1(&["networks"]), Some(&wish), &self.change)? {
            session.show_made(&made, COLUMNS, "name")?;
        }
        Ok(())
    }

    /// The body of the request.
    fn wish(&self) -> Result<Value> {
        let mut wish = match &self.file {
            Some(file) => crate::client::change::json_object(file)?,
            None => Map::new(),
        };
        let mut set = |key: &str, value: Option<Value>| drop(value.map(|v| wish.insert(key.to_owned(), v)));
        set("name", self.name.clone().map(Value::from));
        set("parent", self.parent.clone().map(Value::from));
        set("mode", self.mode.clone().map(Value::from));
        set("flag", self.flag.clone().map(Value::from));
        set("mtu", self.mtu.map(Value::from));
        set("dns", self.dns_forward.as_ref().map(|forward| json!({"forward": forward})));
        set("internal", self.internal.then_some(Value::Bool(true)));
        set("ipv6", self.ipv6.then_some(Value::Bool(true)));
        set("accept_ra", self.accept_ra.then_some(Value::Bool(true)));
        set("shield", self.no_shield.then(|| Value::from("off")));
        let labels = pairs("--label", &self.labels)?;
        set("labels", (!labels.is_empty()).then_some(Value::Object(labels)));
        let (general, of_subnets): (Vec<&String>, Vec<&String>) = self.gateways.iter().partition(|g| matches!(g.as_str(), "auto" | "none"));
        set("gateway", general.last().map(|g| Value::from(g.as_str())));
        let subnets = self.subnets(&of_subnets)?;
        set("subnets", (!subnets.is_empty()).then_some(Value::Array(subnets)));
        Ok(Value::Object(wish))
    }

    /// Each gateway, range and reserved address belongs to the subnet that it lies in. What cannot be read is left for the daemon to
    /// tell, with everything else.
    fn subnets(&self, gateways: &[&String]) -> Result<Vec<Value>> {
        let mut subnets: Vec<(Option<IpNet>, Map<String, Value>)> = self
            .subnets
            .iter()
            .map(|cidr| (cidr.parse().ok(), Map::from_iter([("cidr".to_owned(), Value::from(cidr.as_str()))])))
            .collect();
        let of = |option: &str, text: &str, address: &str| -> Result<usize> {
            let whole = address.split('/').next().unwrap_or_default();
            let place = match whole.parse::<IpAddr>() {
                Ok(ip) => subnets.iter().position(|(net, _)| net.is_some_and(|n| n.contains(&ip))),
                Err(_) if subnets.len() == 1 => Some(0),
                Err(_) => None,
            };
            let all = self.subnets.join(", ");
            place.ok_or_else(|| match all.is_empty() {
                true => Failed::Usage(format!("{option} {text}: there is no subnet that it could lie in; name one with --subnet")),
                false => Failed::Usage(format!("{option} {text}: lies in no subnet; one within {all}")),
            })
        };
        let mut found: Vec<(usize, &str, Value)> = Vec::new();
        for gateway in gateways {
            found.push((of("--gateway", gateway, gateway)?, "gateway", Value::from(gateway.as_str())));
        }
        for range in &self.ip_ranges {
            found.push((of("--ip-range", range, range)?, "ip_range", Value::from(range.as_str())));
        }
        for pair in &self.reserved {
            let (name, address) = pair.split_once('=').ok_or_else(|| not_a_pair("--reserve", pair, "router=192.168.1.5"))?;
            found.push((of("--reserve", pair, address)?, "reserved", json!({name: address})));
        }
        for (i, key, value) in found {
            let (cidr, subnet) = (&self.subnets[i], &mut subnets[i].1);
            match (subnet.get_mut(key), value) {
                (Some(Value::Object(there)), Value::Object(more)) => there.extend(more),
                (Some(there), new) => return Err(Failed::Usage(format!("{cidr} has two of {key}: {there} and {new}; one"))),
                (None, value) => drop(subnet.insert(key.to_owned(), value)),
            }
        }
        Ok(subnets.into_iter().map(|(_, subnet)| Value::Object(subnet)).collect())
    }
}

/// `key=value` of an option that may be repeated.
pub fn pairs(option: &str, given: &[String]) -> Result<Map<String, Value>> {
    let pair = |text: &String| match text.split_once('=') {
        Some((key, value)) if !key.is_empty() => Ok((key.to_owned(), Value::from(value))),
        _ => Err(not_a_pair(option, text, "tier=db")),
    };
    given.iter().map(pair).collect()
}

fn not_a_pair(option: &str, text: &str, example: &str) -> Failed {
    Failed::Usage(format!("{option} {text}: not a pair; such as {example}"))
}
