//! Endpoints and the workloads they serve.

use crate::capabilities::Capabilities;
use crate::host::IfIndex;
use crate::ids::{BootId, DecisionId, EndpointId, NetworkId, PlanId, Timestamp};
use crate::names::Labels;
use crate::names::{LinkName, Name};
use crate::policy::Provenance;
use ipnet::IpNet;
use serde::{Deserialize, Serialize};
use std::net::IpAddr;

/// Which network namespace: known by its cookie within one boot, whatever name a client gives it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct NetnsId {
    /// SO_NETNS_COOKIE: unique within a boot, never used twice.
    pub cookie: u64,
    /// The boot.
    pub boot: BootId,
}

/// A namespace as a request named it and as it was found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Netns {
    /// Which one.
    pub id: NetnsId,
    /// Inode of the namespace in nsfs: a hint to find it again; the cookie proves it.
    pub inode: u64,
    /// The path or pid it was named by: a hint, and what people are shown.
    pub named: String,
}

/// What sits in one network namespace.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Workload {
    /// The id that the client gives; the namespace's cookie where it gives none.
    pub id: String,
    /// Name.
    pub name: String,
    /// Labels.
    pub labels: Labels,
    /// Where the labels come from.
    pub provenance: Provenance,
    /// The capabilities of its processes, as the client asserts them; `None`: nobody said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub capabilities: Option<Capabilities>,
}

/// An address of an endpoint.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Assigned {
    /// Which subnet of the network.
    pub subnet: usize,
    /// The address.
    pub address: IpAddr,
}

/// Where an endpoint is in its life.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase", tag = "state")]
pub enum EndpointState {
    /// Its plan is on record and under way.
    Attaching {
        /// The open plan.
        plan: PlanId,
    },
    /// The kernel has it.
    Attached,
    /// Its removal is on record and under way; its addresses stay held.
    Detaching {
        /// The open plan.
        plan: PlanId,
    },
    /// It could not be made again.
    Failed {
        /// What the kernel said.
        why: String,
        /// When; it is tried again some time later.
        at: Timestamp,
    },
}

/// One ipvlan link of a network inside a network namespace.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Endpoint {
    /// Its id.
    pub id: EndpointId,
    /// Its network.
    pub network: NetworkId,
    /// Its name on the network, if it has one.
    pub name: Option<Name>,
    /// Further names on the network, which other endpoints may have, too.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub aliases: Vec<Name>,
    /// The workload.
    pub workload: Workload,
    /// The namespace.
    pub netns: Netns,
    /// Name of the link in the namespace.
    pub link: LinkName,
    /// Index of the link in the namespace.
    pub index: IfIndex,
    /// Its addresses.
    pub addresses: Vec<Assigned>,
    /// Routes through it: destination, and the gateway where there is one.
    pub routes: Vec<(IpNet, Option<IpAddr>)>,
    /// The addresses that the request named, if it did: what a repeat is compared with.
    pub asked_addresses: Vec<IpAddr>,
    /// Who attached it.
    pub created_by: String,
    /// The uid of who attached it.
    pub created_by_uid: Option<u32>,
    /// When.
    pub created_at: Timestamp,
    /// The decision that allowed it.
    pub decision: DecisionId,
    /// Since when it could not be made as recorded, over all tries.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failing_since: Option<Timestamp>,
    /// Where it is in its life.
    #[serde(flatten)]
    pub state: EndpointState,
}

impl Endpoint {
    /// The plan that must settle before anything else may happen to it.
    pub fn open_plan(&self) -> Option<PlanId> {
        match self.state {
            EndpointState::Attaching { plan } | EndpointState::Detaching { plan } => Some(plan),
            EndpointState::Attached | EndpointState::Failed { .. } => None,
        }
    }
}
