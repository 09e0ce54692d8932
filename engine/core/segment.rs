//! Segments: which workloads share a broadcast domain, and which can reach into another.

use crate::host::{Mode, VlanId};
use crate::names::Labels;
use serde::{Deserialize, Serialize};
use std::fmt;
use std::sync::Arc;

/// The L2 network that a parent is plugged into.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Fabric {
    /// A physical one. All parents that are not dummies are on `default` until the operator says otherwise:
    /// the other default would fail open.
    Wired(Arc<str>),
    /// A dummy's own: nothing else is on it. By the link's name.
    Alone(Arc<str>),
}

impl fmt::Display for Fabric {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Fabric::Wired(name) => write!(f, "{name}"),
            Fabric::Alone(link) => write!(f, "alone:{link}"),
        }
    }
}

/// One L2 broadcast domain.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Segment {
    /// Where.
    pub fabric: Fabric,
    /// Which VLAN of it; `None` is untagged.
    pub vlan: Option<VlanId>,
}

impl fmt::Display for Segment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.vlan {
            Some(id) => write!(f, "{}/vlan-{id}", self.fabric),
            None => write!(f, "{}/untagged", self.fabric),
        }
    }
}

/// What a network's workloads can send into or hear beyond their own segment.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Reach {
    /// Nothing.
    None,
    /// Every VLAN of the fabric: an untagged l2 link on a trunk without a shield sends tagged frames.
    EveryVlan(Fabric),
}

/// The rule (drivers/net/ipvlan/ipvlan_core.c ipvlan_xmit_mode_l2): only mode l2 passes a frame's own Ethernet
/// header on, only an untagged parent adds no tag of its own, and only the shield drops what carries one.
pub fn reach(segment: &Segment, mode: Mode, shielded: bool) -> Reach {
    if mode == Mode::L2 && segment.vlan.is_none() && !shielded && matches!(segment.fabric, Fabric::Wired(_)) {
        Reach::EveryVlan(segment.fabric.clone())
    } else {
        Reach::None
    }
}

/// Residents of a segment that look alike: same network labels and same workload labels (among the keys that policies look at).
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Residents {
    /// Networks counted here (under their own labels and no workload labels).
    pub networks: u32,
    /// Endpoints counted here.
    pub endpoints: u32,
    /// A few names, as examples; not exhaustive.
    pub examples: Vec<String>,
}

/// Most examples that a group keeps.
pub const EXAMPLES_MAX: usize = 3;

/// What residents are grouped by.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct GroupKey {
    /// Labels of their network.
    pub network: Labels,
    /// Labels of the workload; of a network itself, none.
    pub workload: Labels,
}
