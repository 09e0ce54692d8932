//! Networks.

use crate::host::{Flag, Mode};
use crate::ids::{DecisionId, NetworkId, ParentId, PlanId, Timestamp};
use crate::names::{Labels, Name};
use ipnet::IpNet;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::net::IpAddr;

/// A subnet of a network, with what was filled in.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Subnet {
    /// The subnet; no host bits set.
    pub cidr: IpNet,
    /// The address held for the gateway. In an isolated network it is reserved, but nothing is routed to it.
    pub gateway: Option<IpAddr>,
    /// The range that addresses are handed out from; its own first and last address are usable.
    pub ip_range: Option<IpNet>,
    /// Addresses by what they are reserved for; never handed out.
    pub reserved: BTreeMap<String, IpAddr>,
}

/// Whether a parent gets its shield.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ShieldWish {
    /// Yes, and the request is refused where it cannot be.
    #[default]
    On,
    /// No: untagged l2 networks then reach every VLAN of the trunk, and policies are told so.
    Off,
}

/// Whether names from outside are looked up for a network's workloads, by the host's own resolvers.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum DnsForward {
    /// Where the network has a parent and is not internal: its workloads can send out anyway.
    #[default]
    Auto,
    /// Yes, also for a network that is cut off otherwise.
    On,
    /// No, whatever other networks of a workload say.
    Off,
}

impl DnsForward {
    /// As requests and answers call it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Auto => "auto",
            Self::On => "on",
            Self::Off => "off",
        }
    }
}

/// Where a network is in its life.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase", tag = "state")]
pub enum NetworkState {
    /// Its plan is on record and under way.
    Creating {
        /// The open plan.
        plan: PlanId,
    },
    /// Usable.
    Ready,
    /// Its parent is away or not as recorded.
    Degraded {
        /// What is wrong.
        why: String,
    },
    /// Its removal is on record and under way.
    Deleting {
        /// The open plan.
        plan: PlanId,
    },
}

/// A network on record.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Network {
    /// Its id.
    pub id: NetworkId,
    /// Its name, unique.
    pub name: Name,
    /// Mode; equal for all networks of a parent.
    pub mode: Mode,
    /// Flag; equal for all networks of a parent.
    pub flag: Flag,
    /// The parent as asked for (`None`: an own dummy).
    pub parent_asked: Option<String>,
    /// The parent.
    pub parent: ParentId,
    /// Nothing leaves it.
    pub internal: bool,
    /// MTU of its links in bytes, if asked for.
    pub mtu: Option<u32>,
    /// Whether links accept router advertisements (off by default: a neighbour could steal the default route).
    pub accept_ra: bool,
    /// Whether its parent gets the shield.
    pub shield: ShieldWish,
    /// Whether names from outside are looked up for its workloads.
    #[serde(default)]
    pub dns_forward: DnsForward,
    /// Subnets.
    pub subnets: Vec<Subnet>,
    /// Labels.
    pub labels: Labels,
    /// Who made it.
    pub created_by: String,
    /// When.
    pub created_at: Timestamp,
    /// The decision that allowed it.
    pub decision: DecisionId,
    /// Where it is in its life.
    #[serde(flatten)]
    pub state: NetworkState,
}

impl Network {
    /// The plan that must settle before anything else may happen to it.
    pub fn open_plan(&self) -> Option<PlanId> {
        match self.state {
            NetworkState::Creating { plan } | NetworkState::Deleting { plan } => Some(plan),
            NetworkState::Ready | NetworkState::Degraded { .. } => None,
        }
    }
}
