//! `bulkhead endpoint`

use crate::client::change::Change;
use crate::client::columns::{Column, column, wide};
use crate::client::failed::Result;
use crate::client::live;
use crate::client::target::Target;
use crate::client::{Common, Session, run};
use crate::network::{label_changes, pairs};
use clap::{Args, Subcommand};
use serde_json::{Map, Value, json};
use std::process::ExitCode;

/// Endpoints: links of networks inside network namespaces.
#[derive(Debug, Args)]
#[command(before_help = "\
Examples:
  bulkhead endpoint attach cards pan1 --name pan1 --label tier=cards
  bulkhead endpoint attach db_net pid:4711 --ip 192.168.1.10
  bulkhead endpoint ls --network cards
  bulkhead endpoint detach cards pan1")]
pub struct Endpoint {
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
    #[command(visible_alias = "connect")]
    Attach(Box<Attach>),
    #[command(visible_alias = "update")]
    Set(Set),
    #[command(visible_aliases = ["disconnect", "rm"])]
    Detach(Detach),
}

/// Changes the labels of an endpoint's workload, on all its endpoints. All whom it concerns are judged again.
#[derive(Debug, Args)]
#[command(before_help = "\
Examples:
  bulkhead endpoint set cards pan1 --label release=7 --label review-
  bulkhead endpoint set cards pan1 --label tier=web --dry-run")]
struct Set {
    /// Name or id of the network.
    #[arg(add = live::networks())]
    network: String,
    /// Name or id of the endpoint.
    endpoint: String,
    /// A label to set, or with KEY- one to take away; may be repeated.
    #[arg(short, long = "label", value_name = "KEY=VALUE|KEY-", required = true, add = live::labels())]
    labels: Vec<String>,
    #[command(flatten)]
    change: Change,
}

impl Set {
    fn run(&self, session: &mut Session) -> Result<()> {
        let wish = json!({"workload": {"labels": label_changes(&self.labels)?}});
        let target = Target::v1(&["networks", &self.network, "endpoints", &self.endpoint]);
        if let Some(changed) = session.change("PATCH", target, Some(&wish), &self.change)? {
            session.show_made(&changed, COLUMNS, "name")?;
        }
        Ok(())
    }
}

/// Lists endpoints, oldest first.
#[derive(Debug, Args)]
#[command(before_help = "\
Examples:
  bulkhead endpoint ls
  bulkhead endpoint ls --network cards -o wide
  bulkhead endpoint ls --label tier=web -o csv")]
struct Ls {
    /// Only those of this network.
    #[arg(short, long, add = live::networks())]
    network: Option<String>,
    /// Only those whose workload has this label; several must all hold.
    #[arg(short, long, value_name = "KEY=VALUE", add = live::labels())]
    label: Vec<String>,
    /// Only those of this name.
    #[arg(long)]
    name: Option<String>,
    /// Only those of this workload, by id or name.
    #[arg(long)]
    workload: Option<String>,
    /// Only the one with this address.
    #[arg(short, long)]
    address: Option<String>,
    /// Only those in this state: attaching, attached, detaching or failed.
    #[arg(short, long)]
    state: Option<String>,
    /// Go on with what changes, until interrupted.
    #[arg(short, long)]
    watch: bool,
}

/// Shows all about an endpoint.
#[derive(Debug, Args)]
#[command(before_help = "\
Examples:
  bulkhead endpoint inspect cards pan1
  bulkhead endpoint inspect cards pan1 -o json")]
struct Inspect {
    /// Name or id of its network.
    #[arg(add = live::networks())]
    network: String,
    /// Its name or id.
    #[arg(add = live::endpoints())]
    endpoint: String,
}

/// Attaches a network namespace to a network. The policies decide first; denied, nothing is sent to the kernel.
#[derive(Debug, Args)]
#[command(before_help = "\
Examples:
  bulkhead endpoint attach cards pan1 --name pan1 --label tier=cards
  bulkhead endpoint attach db_net /proc/4711/ns/net --ip 192.168.1.10 --interface eth1
  bulkhead endpoint attach web pid:4711 --dry-run")]
pub struct Attach {
    /// Name or id of the network.
    #[arg(add = live::networks())]
    network: String,
    /// The namespace: a name below /run/netns, a path, or pid:N for that of a process.
    #[arg(add = live::namespaces())]
    namespace: String,
    /// Its name on the network.
    #[arg(short, long)]
    name: Option<String>,
    /// Name of the link in the namespace [default: eth0].
    #[arg(short, long, value_name = "LINK")]
    interface: Option<String>,
    /// An address; may be repeated. One of each further family is handed out.
    #[arg(long = "ip", visible_alias = "ip6", value_name = "ADDRESS", add = live::addresses())]
    addresses: Vec<String>,
    /// A label of the workload; may be repeated.
    #[arg(short, long = "label", value_name = "KEY=VALUE", add = live::labels())]
    labels: Vec<String>,
    /// An id for the workload.
    #[arg(long, value_name = "ID")]
    workload_id: Option<String>,
    /// A name for the workload.
    #[arg(short, long, value_name = "NAME")]
    workload: Option<String>,
    #[command(flatten)]
    change: Change,
}

/// Detaches an endpoint: its link is removed, its address free again.
#[derive(Debug, Args)]
#[command(before_help = "\
Examples:
  bulkhead endpoint detach cards pan1
  bulkhead endpoint detach cards pan1 --dry-run")]
pub struct Detach {
    /// Name or id of its network.
    #[arg(add = live::networks())]
    network: String,
    /// Names or ids.
    #[arg(required = true, value_name = "ENDPOINT", add = live::endpoints())]
    endpoints: Vec<String>,
    /// An admin's reason to go against a denial; goes on record.
    #[arg(long, value_name = "REASON")]
    force: Option<String>,
    #[command(flatten)]
    change: Change,
}

/// What lists show.
pub const COLUMNS: &[Column] = &[
    column("NETWORK", "network"),
    column("NAME", "name"),
    column("STATE", "state"),
    column("ADDRESSES", "addresses"),
    column("WORKLOAD", "workload.name"),
    column("LABELS", "workload.labels"),
    wide("INTERFACE", "interface"),
    wide("GATEWAY", "gateway"),
    wide("GATEWAY6", "gateway_v6"),
    wide("NAMESPACE", "namespace.named"),
    wide("CREATED", "created_at"),
    wide("BY", "created_by"),
    wide("DECISION", "decision"),
    wide("ID", "id"),
    wide("WHY", "why"),
];

impl Endpoint {
    /// Runs the command.
    pub fn run(&self) -> ExitCode {
        run(&self.common, |session| match &self.command {
            Command::Ls(ls) => ls.run(session),
            Command::Inspect(inspect) => inspect.run(session),
            Command::Attach(attach) => attach.run(session),
            Command::Set(set) => set.run(session),
            Command::Detach(detach) => detach.run(session),
        })
    }
}

impl Ls {
    fn run(&self, session: &mut Session) -> Result<()> {
        let target = Target::v1(&["endpoints"]).query_if("network", self.network.as_ref()).query_all("label", &self.label);
        let target = target.query_if("name", self.name.as_ref()).query_if("workload", self.workload.as_ref());
        let target = target.query_if("address", self.address.as_ref()).query_if("state", self.state.as_ref());
        session.show_all(&target, COLUMNS, "name", self.watch)
    }
}

impl Inspect {
    fn run(&self, session: &mut Session) -> Result<()> {
        let target = Target::v1(&["networks", &self.network, "endpoints", &self.endpoint]);
        let found = session.get_settled(&target, &["attaching", "detaching"])?;
        session.show(&found, COLUMNS, "name")
    }
}

impl Attach {
    /// Runs the command.
    pub fn run(&self, session: &mut Session) -> Result<()> {
        let target = Target::v1(&["networks", &self.network, "endpoints"]);
        if let Some(made) = session.change("POST", target, Some(&self.wish()?), &self.change)? {
            session.show_made(&made, COLUMNS, if made["name"].is_string() { "name" } else { "id" })?;
        }
        Ok(())
    }

    fn wish(&self) -> Result<Value> {
        let namespace = match self.namespace.split_once(':') {
            Some(("pid", pid)) => json!({"pid": pid.parse::<u32>().map_or_else(|_| Value::from(pid), Value::from)}),
            _ if self.namespace.starts_with('/') => json!({"path": self.namespace}),
            _ => json!({"name": self.namespace}),
        };
        let mut wish = Map::from_iter([("namespace".to_owned(), namespace)]);
        let mut workload = Map::new();
        let set = |map: &mut Map<String, Value>, key: &str, value: Option<&String>| {
            drop(value.map(|v| map.insert(key.to_owned(), Value::from(v.as_str()))));
        };
        set(&mut wish, "name", self.name.as_ref());
        set(&mut wish, "interface", self.interface.as_ref());
        set(&mut workload, "id", self.workload_id.as_ref());
        set(&mut workload, "name", self.workload.as_ref());
        if !self.labels.is_empty() {
            workload.insert("labels".to_owned(), Value::Object(pairs("--label", &self.labels)?));
        }
        if !self.addresses.is_empty() {
            wish.insert("addresses".to_owned(), json!(self.addresses));
        }
        if !workload.is_empty() {
            wish.insert("workload".to_owned(), Value::Object(workload));
        }
        Ok(Value::Object(wish))
    }
}

impl Detach {
    /// Runs the command.
    pub fn run(&self, session: &mut Session) -> Result<()> {
        for endpoint in &self.endpoints {
            let target = Target::v1(&["networks", &self.network, "endpoints", endpoint]).query_if("force", self.force.as_ref());
            if let Some(gone) = session.change("DELETE", target, None, &self.change)? {
                session.show_gone(endpoint, &gone)?;
            }
        }
        Ok(())
    }
}
