//! What was last seen of the kernel. Never "actual": we know only what we saw.

use crate::endpoint::NetnsId;
use crate::host::{Flag, Host, IfIndex, Mode};
use ipnet::IpNet;
use std::collections::BTreeMap;
use std::net::IpAddr;

/// A link inside a workload's namespace.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InsideLink {
    /// Its index there.
    pub index: IfIndex,
    /// Its name there.
    pub name: String,
    /// IFLA_IFALIAS: a hint for people, never proof (a workload can write it).
    pub alias: Option<String>,
    /// Mode, flag and the parent's index on the host, if it is an ipvlan link whose parent is in our namespace.
    pub ipvlan: Option<(Mode, Flag, IfIndex)>,
    /// Bytes.
    pub mtu: u32,
    /// IFF_UP.
    pub up: bool,
    /// Addresses with prefix, without IPv6 link-local ones.
    pub addresses: Vec<IpNet>,
    /// Unicast routes through it that are not the kernel's own (proto kernel): destination and gateway.
    pub routes: Vec<(IpNet, Option<IpAddr>)>,
}

/// A workload's namespace as seen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NetnsSeen {
    /// Nobody holds it any more: no process, no mount, no descriptor. The kernel has removed its links.
    Gone,
    /// It is there, with these links (loopback left out).
    There(Vec<InsideLink>),
    /// It could not be examined; nothing is concluded from that.
    Unknown(String),
}

/// The kernel as seen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Observed {
    /// The host's links.
    pub host: Host,
    /// The namespaces that were asked for.
    pub namespaces: BTreeMap<NetnsId, NetnsSeen>,
}
