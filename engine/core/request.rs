//! Requests, as doors hand them in: already of core types, not yet checked against the state.

use crate::caller::Caller;
use crate::capabilities::Capabilities;
use crate::case::Suite;
use crate::endpoint::Netns;
use crate::host::{Flag, Mode};
use crate::ids::{DecisionId, Timestamp};
use crate::log::Archive;
use crate::names::{Labels, LinkName, Name};
use crate::network::{DnsForward, ShieldWish};
use crate::policy::{Change, Description, Digest, Help, Module, PolicyMode, Schedule, Scope};
use ipnet::IpNet;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::Arc;

/// What a gateway is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum GatewayWish {
    /// The first usable address (the documented default).
    #[default]
    Auto,
    /// None, and no default route.
    None,
    /// This one.
    Address(IpAddr),
}

/// A subnet as asked for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SubnetWish {
    /// The subnet; host bits may be set here and are refused.
    pub cidr: IpNet,
    /// Its gateway; `None` follows the network's `gateway`.
    pub gateway: Option<GatewayWish>,
    /// The range to hand out from.
    pub ip_range: Option<IpNet>,
    /// Addresses by what they are reserved for.
    pub reserved: BTreeMap<String, IpAddr>,
}

/// Makes a network.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CreateNetwork {
    /// Its name.
    pub name: Name,
    /// Mode, l2 by default.
    pub mode: Mode,
    /// Flag, bridge by default.
    pub flag: Flag,
    /// The parent's name; none gives an own dummy.
    pub parent: Option<String>,
    /// Nothing leaves it: an own dummy, also where a parent is named.
    pub internal: bool,
    /// Whether an IPv4 subnet comes from the default pools when none is named.
    pub ipv4: bool,
    /// Whether an IPv6 subnet comes from the default pools when none is named.
    pub ipv6: bool,
    /// MTU of its links in bytes.
    pub mtu: Option<u32>,
    /// Gateway of subnets that say nothing themselves.
    pub gateway: GatewayWish,
    /// Subnets; none: from the default pools.
    pub subnets: Vec<SubnetWish>,
    /// Whether links accept router advertisements.
    pub accept_ra: bool,
    /// The shield.
    pub shield: ShieldWish,
    /// Whether names from outside are looked up for its workloads.
    #[serde(default)]
    pub dns_forward: DnsForward,
    /// Labels.
    pub labels: Labels,
}

/// Labels to be set, or (`None`) taken away; others stay.
pub type LabelChanges = BTreeMap<String, Option<String>>;

/// What changes of a subnet.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ChangeSubnet {
    /// Which.
    pub cidr: IpNet,
    /// Its gateway.
    pub gateway: Option<GatewayWish>,
    /// The range to hand out from, which may only grow; `Some(None)`: all of the subnet.
    pub ip_range: Option<Option<IpNet>>,
}

/// Changes a network. What is `None` stays.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ChangeNetwork {
    /// Name or id.
    pub network: String,
    /// Labels.
    pub labels: LabelChanges,
    /// MTU of its links in bytes; `Some(None)`: they keep what they have.
    pub mtu: Option<Option<u32>>,
    /// Whether names from outside are asked for; `None` leaves it as it is.
    #[serde(default)]
    pub dns_forward: Option<DnsForward>,
    /// Subnets; those that are not named stay.
    pub subnets: Vec<ChangeSubnet>,
}

/// Changes a workload, by one of its endpoints.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ChangeWorkload {
    /// Name or id of the network.
    pub network: String,
    /// Name or id of the endpoint.
    pub endpoint: String,
    /// Whether the caller may name the endpoint's namespace; decided by the door, as for attach.
    pub netns_is_callers: bool,
    /// Labels.
    pub labels: LabelChanges,
}

/// The workload of an attach.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct WorkloadWish {
    /// Id that the client gives.
    pub id: Option<String>,
    /// Name.
    pub name: Option<String>,
    /// Labels; `None`: nothing asserted (a further endpoint of a known workload then has its recorded ones).
    pub labels: Option<Labels>,
    /// Capabilities of its processes; `None`: nothing said, or those on record.
    #[serde(default)]
    pub capabilities: Option<Capabilities>,
}

/// Default routes that a namespace has already, by the name of the link that each leads through.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct DefaultRoutes {
    /// IPv4.
    pub v4: Option<String>,
    /// IPv6.
    pub v6: Option<String>,
}

/// Attaches a namespace to a network.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Attach {
    /// Name or id of the network.
    pub network: String,
    /// The namespace, opened and examined by the door: its cookie is what goes on record.
    pub netns: Netns,
    /// Whether the caller may name this namespace: uid 0, a configured admin, or owner of it or of its process.
    pub netns_is_callers: bool,
    /// The default routes that the namespace had when it was opened.
    pub default_routes: DefaultRoutes,
    /// Name of the link in the namespace.
    pub interface: LinkName,
    /// Name of the endpoint on its network.
    pub name: Option<Name>,
    /// Further names, which other endpoints may have, too.
    #[serde(default)]
    pub aliases: Vec<Name>,
    /// Addresses asked for; others are handed out.
    pub addresses: Vec<IpAddr>,
    /// The workload.
    pub workload: WorkloadWish,
}

/// What is asked.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Request {
    /// `POST /v1/networks`
    CreateNetwork(CreateNetwork),
    /// `PATCH /v1/networks/{network}`
    ChangeNetwork(ChangeNetwork),
    /// `DELETE /v1/networks/{network}`
    DeleteNetwork {
        /// Name or id.
        network: String,
    },
    /// `POST /v1/networks/{network}/endpoints`
    Attach(Attach),
    /// `PATCH /v1/networks/{network}/endpoints/{endpoint}`
    ChangeWorkload(ChangeWorkload),
    /// `DELETE /v1/networks/{network}/endpoints/{endpoint}`
    Detach {
        /// Name or id of the network.
        network: String,
        /// Name or id of the endpoint.
        endpoint: String,
        /// Whether the caller may name the endpoint's namespace; decided by the door, as for attach.
        netns_is_callers: bool,
    },
    /// `POST /v1/modules`; admitted before it is queued.
    PutModule(Arc<Module>),
    /// `DELETE /v1/modules/{digest}`
    DeleteModule(UnusedModule),
    /// A closed month goes into an archive, which has been written; asked by the daemon itself.
    Archive(Archive),
    /// `POST /v1/policies`, `PUT /v1/policies/{name}`; the settings were checked by the module.
    PutPolicy(PutPolicy),
    /// `DELETE /v1/policies/{name}`
    DeletePolicy {
        /// Its name.
        policy: String,
    },
}

/// A module, and what the door has found in the log of who was judged by it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct UnusedModule {
    /// Which.
    pub digest: Digest,
    /// The newest decision that is not archived and was judged by it.
    pub judged: Option<DecisionId>,
    /// The last decision that the door looked at.
    pub as_of: DecisionId,
}

/// Adds or replaces a policy.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct PutPolicy {
    /// Its name.
    pub name: Name,
    /// Its module.
    pub module: Digest,
    /// Its settings.
    pub settings: serde_json::Value,
    /// What the module says of itself with these settings: the label keys that it looks at may follow from them.
    pub description: Arc<Description>,
    /// Its mode.
    pub mode: PolicyMode,
    /// The mode that follows, and when.
    pub schedule: Option<Schedule>,
    /// Its scope.
    pub scope: Scope,
    /// Shown with its violations.
    pub help: Help,
    /// Cases that it and every later revision must pass. The door has put them to it.
    pub tests: Option<Arc<Suite>>,
    /// The revision in force when the door did so (0: none): its cases were among them, unless this request drops them.
    pub tested_beside: u64,
    /// Refuse if there is one of this name.
    pub new_only: bool,
}

/// A request with all that it brings along from the world.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Asked {
    /// What is asked.
    pub request: Request,
    /// By whom.
    pub caller: Caller,
    /// Why.
    pub change: Change,
    /// An admin's reason to go against a denial; removals only.
    pub force: Option<String>,
    /// When, by the wall's clock.
    pub now: Timestamp,
    /// When, in microseconds since the boot.
    pub up_us: u64,
    /// Seed of the ids that it may draw.
    pub seed: u64,
}
