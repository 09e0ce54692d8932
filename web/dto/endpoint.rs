//! Endpoints.

use super::labels;
use crate::fields::{self, Fields, Read};
use crate::parts::NetnsWish;
use crate::time::rfc3339;
use bulkhead_core::capabilities::Capabilities;
use bulkhead_core::endpoint::{Endpoint, EndpointState};
use bulkhead_core::names::{LinkName, Name};
use bulkhead_core::policy::Provenance;
use bulkhead_core::refusal::Fault;
use bulkhead_core::request::{LabelChanges, WorkloadWish};
use bulkhead_core::state::State;
use ipnet::IpNet;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::collections::BTreeMap;
use std::net::IpAddr;
use utoipa::ToSchema;

/// Name of the link where a request names none.
const INTERFACE: &str = "eth0";

/// An endpoint that is asked for. Asked for again with nothing changed, it is answered with what is there.
#[derive(Debug, Clone, Default, Serialize, Deserialize, ToSchema)]
#[schema(as = EndpointWish, example = json!({
    "namespace": {"name": "a"}, "interface": "eth0", "name": "ipv1", "addresses": ["192.168.1.10"],
    "workload": {"id": "7f3a", "name": "db-1", "labels": {"tier": "db"}}
}))]
#[serde(default, deny_unknown_fields)]
pub struct EndpointWishBody {
    /// The network namespace to attach.
    #[schema(required = true)]
    pub namespace: NamespaceWishBody,
    /// Name of the link in the namespace; `eth0` by default.
    #[schema(default = "eth0", max_length = 15)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub interface: Option<String>,
    /// Its name on the network.
    #[schema(pattern = "^[A-Za-z0-9][A-Za-z0-9_.-]{0,62}$")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Further names, which other endpoints of the network may have, too: who asks for one gets the addresses of all. At most 16.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub aliases: Vec<String>,
    /// Addresses; one of each further family of the network is handed out.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub addresses: Vec<String>,
    /// The workload in the namespace.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub workload: Option<WorkloadWishBody>,
}

/// A network namespace, by exactly one of these.
#[derive(Debug, Clone, Default, Serialize, Deserialize, ToSchema)]
#[schema(as = NamespaceWish)]
#[serde(default, deny_unknown_fields)]
pub struct NamespaceWishBody {
    /// An absolute path to a namespace file.
    #[schema(example = "/run/netns/a")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub path: Option<String>,
    /// A name below /run/netns, as `ip netns` keeps them.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// A process in it.
    #[schema(minimum = 1, maximum = 4194304)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pid: Option<i32>,
}

/// The workload of an attach.
#[derive(Debug, Clone, Default, Serialize, Deserialize, ToSchema)]
#[schema(as = WorkloadWish)]
#[serde(default, deny_unknown_fields)]
pub struct WorkloadWishBody {
    /// An id of the client's.
    #[schema(max_length = 255)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
    /// Its name.
    #[schema(max_length = 255)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Its labels; left out, those on record for this namespace.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub labels: Option<BTreeMap<String, String>>,
    /// The Linux capabilities of its processes, as far as you know them: policies may ask. Left out, those on record for this
    /// namespace, or unknown ones.
    #[schema(example = json!(["NET_RAW"]), max_items = 64)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub capabilities: Option<Vec<String>>,
}

/// An attach as read: the namespace is yet to be opened.
#[derive(Debug)]
pub struct Wish {
    /// The namespace.
    pub namespace: NetnsWish,
    /// Name of the link.
    pub interface: LinkName,
    /// Name on the network.
    pub name: Option<Name>,
    /// Further names.
    pub aliases: Vec<Name>,
    /// Addresses.
    pub addresses: Vec<IpAddr>,
    /// The workload.
    pub workload: WorkloadWish,
}

/// Reads an endpoint that is asked for.
pub fn read(value: Value) -> Read<Wish> {
    let mut body = Fields::of(value)?;
    let namespace = body.required("namespace", "{\"path\": …}, {\"name\": …} or {\"pid\": …}", namespace);
    let interface = body.optional("interface", fields::link_name).or_else(|| LinkName::new(INTERFACE).ok());
    let name = body.optional("name", fields::name);
    let aliases = body.optional("aliases", fields::list(fields::name)).unwrap_or_default();
    let addresses = body.optional("addresses", fields::list(fields::address)).unwrap_or_default();
    let workload = body.optional("workload", workload).unwrap_or_default();
    let faults = body.finish();
    match (namespace, interface) {
        (Some(namespace), Some(interface)) if faults.is_empty() => Ok(Wish { namespace, interface, name, aliases, addresses, workload }),
        _ => Err(faults),
    }
}

fn namespace(value: Value) -> Read<NetnsWish> {
    let mut body = Fields::of(value)?;
    let given: Vec<String> = body.given(&["path", "name", "pid"]);
    let path = body.optional("path", fields::text).map(NetnsWish::Path);
    let name = body.optional("name", fields::text).map(NetnsWish::Name);
    let pid = body.optional("pid", fields::number(1, i32::MAX as u64)).map(NetnsWish::Pid);
    if given.len() > 1 {
        body.fault(Fault::new("", format!("names {} at once", given.join(" and ")), "exactly one of path, name and pid"));
    } else if given.is_empty() {
        body.fault(Fault::new("", "names no namespace", "exactly one of path, name and pid"));
    }
    let faults = body.finish();
    match path.or(name).or(pid) {
        Some(wish) if faults.is_empty() => Ok(wish),
        _ => Err(faults),
    }
}

fn workload(value: Value) -> Read<WorkloadWish> {
    let mut body = Fields::of(value)?;
    let id = body.optional("id", fields::short_text);
    let name = body.optional("name", fields::short_text);
    let labels = body.optional("labels", fields::labels);
    let capabilities = body.optional("capabilities", |value| Capabilities::of(&fields::list(fields::text)(value)?));
    let faults = body.finish();
    if faults.is_empty() { Ok(WorkloadWish { id, name, labels, capabilities }) } else { Err(faults) }
}

/// An endpoint.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
#[schema(as = Endpoint)]
pub struct EndpointBody {
    /// Its id: 32 hexadecimal digits.
    pub id: String,
    /// Name of its network.
    pub network: String,
    /// Id of its network.
    pub network_id: String,
    /// Its name on the network.
    pub name: Option<String>,
    /// Further names on the network.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub aliases: Vec<String>,
    /// `attaching`, `attached`, `detaching` or `failed`.
    #[schema(example = "attached")]
    pub state: String,
    /// Why it failed.
    pub why: Option<String>,
    /// Since when its link could not be made as recorded, over all tries; only where it is so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failing_since: Option<String>,
    /// Name of the link in the namespace.
    pub interface: String,
    /// Index of the link in the namespace.
    pub ifindex: u32,
    /// Addresses with their prefix length.
    #[schema(example = json!(["192.168.1.10/24"]))]
    pub addresses: Vec<String>,
    /// Routes through it.
    pub routes: Vec<RouteBody>,
    /// Gateway of its default route for IPv4.
    pub gateway: Option<String>,
    /// Gateway of its default route for IPv6.
    pub gateway_v6: Option<String>,
    /// The workload in the namespace.
    pub workload: WorkloadBody,
    /// The namespace.
    pub namespace: NamespaceBody,
    /// When it was attached.
    pub created_at: String,
    /// By whom.
    pub created_by: String,
    /// Number of the decision that allowed it.
    pub decision: u64,
    /// Warnings of policies and of the engine, where this answers a change; and that names are not answered in its namespace, where so.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub warnings: Vec<String>,
}

/// A route.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
#[schema(as = Route)]
pub struct RouteBody {
    /// Where to.
    pub destination: String,
    /// Through which address; null: the link itself.
    pub via: Option<String>,
}

/// A workload.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
#[schema(as = Workload)]
pub struct WorkloadBody {
    /// The client's id for it, or one made of its namespace's cookie.
    pub id: String,
    /// Its name.
    pub name: String,
    /// Its labels.
    pub labels: BTreeMap<String, String>,
    /// Where the labels come from: `asserted`, `runtime` or `unknown`.
    pub provenance: String,
    /// The Linux capabilities of its processes, as its client asserts them; null: nobody said.
    #[schema(example = json!(["NET_RAW"]))]
    pub capabilities: Option<Vec<String>>,
}

/// A network namespace.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
#[schema(as = Namespace)]
pub struct NamespaceBody {
    /// SO_NETNS_COOKIE: unique within a boot. A text, as it may exceed what JSON's numbers hold.
    pub cookie: String,
    /// The boot in which it is.
    pub boot: String,
    /// What it was named by: a hint.
    pub named: String,
}

/// What changes of an endpoint's workload (RFC 7396): what is left out stays.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = EndpointChange, example = json!({"workload": {"labels": {"tier": "cards", "owner": null}}}))]
pub struct EndpointChangeBody {
    /// The workload.
    pub workload: WorkloadChangeBody,
}

/// What changes of a workload: on all its endpoints, as one namespace is one workload.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = WorkloadChange)]
pub struct WorkloadChangeBody {
    /// Labels to set; null takes one away, others stay. Everyone who lives beside the workload is judged again.
    pub labels: BTreeMap<String, Option<String>>,
}

/// Reads a change of an endpoint.
pub fn read_change(value: Value) -> Read<LabelChanges> {
    let mut body = Fields::of(value)?;
    let labels = body.required("workload", "what changes of it, such as {\"labels\": {\"tier\": \"cards\"}}", |v| {
        let mut workload = Fields::of(v)?;
        let labels = workload.required("labels", "labels to set, or null to take one away", fields::label_changes);
        let faults = workload.finish();
        labels.filter(|_| faults.is_empty()).ok_or(faults)
    });
    let faults = body.finish();
    labels.filter(|_| faults.is_empty()).ok_or(faults)
}

/// The state's name, and why it is so.
pub fn state_of(endpoint: &Endpoint) -> (&'static str, Option<&str>) {
    match &endpoint.state {
        EndpointState::Attaching { .. } => ("attaching", None),
        EndpointState::Attached => ("attached", None),
        EndpointState::Detaching { .. } => ("detaching", None),
        EndpointState::Failed { why, .. } => ("failed", Some(why)),
    }
}

/// An endpoint as clients see it.
pub fn show(state: &State, endpoint: &Endpoint) -> EndpointBody {
    let network = state.network_by_id(endpoint.network);
    let addresses = endpoint.addresses.iter().map(|a| {
        let prefix = network.and_then(|n| n.subnets.get(a.subnet)).map(|s| s.cidr.prefix_len());
        match prefix.and_then(|p| IpNet::new(a.address, p).ok()) {
            Some(with_prefix) => with_prefix.to_string(),
            None => a.address.to_string(),
        }
    });
    let default = |v4: bool| {
        let mut routes = endpoint.routes.iter().filter(|(d, _)| d.prefix_len() == 0 && d.addr().is_ipv4() == v4);
        routes.find_map(|(_, via)| via.map(|v| v.to_string()))
    };
    let (name, why) = state_of(endpoint);
    EndpointBody {
        id: endpoint.id.to_string(),
        network: network.map(|n| n.name.to_string()).unwrap_or_default(),
        network_id: endpoint.network.to_string(),
        name: endpoint.name.as_ref().map(ToString::to_string),
        aliases: endpoint.aliases.iter().map(ToString::to_string).collect(),
        state: name.to_owned(),
        why: why.map(str::to_owned),
        failing_since: endpoint.failing_since.map(rfc3339),
        interface: endpoint.link.to_string(),
        ifindex: endpoint.index.0,
        addresses: addresses.collect(),
        routes: endpoint
            .routes
            .iter()
            .map(|(destination, via)| RouteBody { destination: destination.to_string(), via: via.map(|v| v.to_string()) })
            .collect(),
        gateway: default(true),
        gateway_v6: default(false),
        workload: WorkloadBody {
            id: endpoint.workload.id.clone(),
            name: endpoint.workload.name.clone(),
            labels: labels(&endpoint.workload.labels),
            provenance: provenance(endpoint.workload.provenance).to_owned(),
            capabilities: endpoint.workload.capabilities.map(Vec::from),
        },
        namespace: NamespaceBody {
            cookie: endpoint.netns.id.cookie.to_string(),
            boot: endpoint.netns.id.boot.to_string(),
            named: endpoint.netns.named.clone(),
        },
        created_at: rfc3339(endpoint.created_at),
        created_by: endpoint.created_by.clone(),
        decision: endpoint.decision.0,
        warnings: Vec::new(),
    }
}

fn provenance(provenance: Provenance) -> &'static str {
    match provenance {
        Provenance::Asserted => "asserted",
        Provenance::Runtime => "runtime",
        Provenance::Unknown => "unknown",
    }
}
