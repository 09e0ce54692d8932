//! Plans: the ordered kernel steps that a decided request needs, as data, with their undo. A plan prints as `ip` would.

use crate::endpoint::Netns;
use crate::host::{Flag, IfIndex, Mac, Mode, VlanId};
use crate::ids::{EndpointId, NetworkId, ParentId, PlanId};
use crate::names::LinkName;
use crate::parent::ShieldHalves;
use ipnet::IpNet;
use serde::{Deserialize, Serialize};
use std::fmt;
use std::net::IpAddr;

/// One thing for the kernel to do. Steps of the host name links by index; `name` is for people and for the create itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "step")]
pub enum Step {
    /// Makes a dummy on the host, with a MAC of our own: udev would rewrite a random one.
    AddDummy {
        /// Its name.
        name: LinkName,
        /// Its index.
        index: IfIndex,
        /// Its MAC.
        mac: Mac,
        /// MTU in bytes.
        mtu: Option<u32>,
        /// IFLA_IFALIAS.
        alias: String,
    },
    /// Makes a VLAN sub-interface on the host.
    AddVlan {
        /// Its name.
        name: LinkName,
        /// Its index.
        index: IfIndex,
        /// The link that it hangs on.
        base: IfIndex,
        /// That link's name.
        base_name: String,
        /// VLAN id.
        vlan: VlanId,
        /// IFLA_IFALIAS.
        alias: String,
    },
    /// Sets a host link up.
    SetUp {
        /// Which.
        index: IfIndex,
        /// Its name.
        name: LinkName,
    },
    /// Sets the MTU of a host link.
    SetMtu {
        /// Which.
        index: IfIndex,
        /// Its name.
        name: LinkName,
        /// MTU in bytes.
        mtu: u32,
    },
    /// Puts up the missing halves of the shield; those that are there stay. An existing clsact is used as it is.
    Shield {
        /// On which link.
        index: IfIndex,
        /// Its name.
        name: LinkName,
        /// Which halves.
        halves: ShieldHalves,
    },
    /// Takes down our filters, and the clsact if nothing else is in it. Not there is fine.
    Unshield {
        /// From which link.
        index: IfIndex,
        /// Its name.
        name: LinkName,
    },
    /// Removes a host link. Not there is fine.
    DelLink {
        /// Which.
        index: IfIndex,
        /// Its name.
        name: LinkName,
    },
    /// Makes an ipvlan link in the plan's namespace (host socket, IFLA_NET_NS_FD, explicit index, final name).
    AddIpvlan {
        /// Its name in the namespace.
        name: LinkName,
        /// Its index in the namespace.
        index: IfIndex,
        /// The parent's index on the host.
        parent: IfIndex,
        /// The parent's name.
        parent_name: LinkName,
        /// Mode.
        mode: Mode,
        /// Flag.
        flag: Flag,
        /// MTU in bytes; `None` follows the parent.
        mtu: Option<u32>,
    },
    /// In the namespace: neither router advertisements nor autoconfiguration, before the link goes up.
    RefuseRa {
        /// On which link.
        name: LinkName,
    },
    /// In the namespace: adds an address; IPv6 without duplicate detection (IFA_F_NODAD: the record is what keeps it unique).
    AddAddress {
        /// On which link.
        index: IfIndex,
        /// Its name.
        name: LinkName,
        /// Address with the subnet's prefix.
        address: IpNet,
    },
    /// In the namespace: alias and arp_notify, so that going up announces the addresses (gratuitous ARP).
    Announce {
        /// On which link.
        index: IfIndex,
        /// Its name.
        name: LinkName,
        /// IFLA_IFALIAS.
        alias: String,
    },
    /// In the namespace: sets the link up.
    SetUpInside {
        /// Which.
        index: IfIndex,
        /// Its name.
        name: LinkName,
    },
    /// In the namespace: adds a route.
    AddRoute {
        /// Through which link.
        index: IfIndex,
        /// Its name.
        name: LinkName,
        /// `0.0.0.0/0`, `::/0`, or another subnet of the network.
        destination: IpNet,
        /// Through which address; `None`: the link itself (l3 and l3s).
        via: Option<IpAddr>,
    },
    /// In the namespace: sets mode and flag of the link, and with it of all links of its parent.
    SetMode {
        /// Which.
        index: IfIndex,
        /// Its name.
        name: LinkName,
        /// Mode.
        mode: Mode,
        /// Flag.
        flag: Flag,
    },
    /// In the namespace: sets the MTU of the link.
    SetMtuInside {
        /// Which.
        index: IfIndex,
        /// Its name.
        name: LinkName,
        /// MTU in bytes.
        mtu: u32,
    },
    /// In the namespace: removes the link, if it is ours: this index, an ipvlan, on this parent. Not there is fine.
    DelIpvlan {
        /// Which.
        index: IfIndex,
        /// Its name.
        name: LinkName,
        /// Its parent's index on the host.
        parent: IfIndex,
    },
}

impl Step {
    /// Whether it happens inside the plan's namespace (over a socket of that namespace).
    pub fn is_inside(&self) -> bool {
        matches!(
            self,
            Step::RefuseRa { .. }
                | Step::AddAddress { .. }
                | Step::Announce { .. }
                | Step::SetUpInside { .. }
                | Step::AddRoute { .. }
                | Step::SetMode { .. }
                | Step::SetMtuInside { .. }
                | Step::DelIpvlan { .. }
        )
    }
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mtu_text = |mtu: &Option<u32>| mtu.map(|m| format!(" mtu {m}")).unwrap_or_default();
        match self {
            Step::AddDummy { name, index, mac, mtu, alias } => write!(
                f,
                "ip link add name {name} index {index} address {mac}{} type dummy && ip link set {name} alias \"{alias}\"",
                mtu_text(mtu)
            ),
            Step::AddVlan { name, index, base_name, vlan, alias, .. } => write!(
                f,
                "ip link add link {base_name} name {name} index {index} type vlan id {vlan} && ip link set {name} alias \"{alias}\""
            ),
            Step::SetUp { name, .. } => write!(f, "ip link set {name} up"),
            Step::SetMtu { name, mtu, .. } => write!(f, "ip link set {name} mtu {mtu}"),
            Step::Shield { name, halves, .. } => {
                write!(f, "tc qdisc add dev {name} clsact")?;
                if halves.egress {
                    write!(f, " && tc filter add dev {name} egress pref 1 protocol all bpf bytecode '{}' action drop", SHIELD_EGRESS)?;
                }
                if halves.ingress {
                    write!(f, " && tc filter add dev {name} ingress pref 1 protocol all bpf bytecode '{}' action drop", SHIELD_INGRESS)?;
                }
                Ok(())
            }
            Step::Unshield { name, .. } => write!(f, "tc filter del dev {name} egress pref 1; tc filter del dev {name} ingress pref 1"),
            Step::DelLink { name, .. } => write!(f, "ip link del {name}"),
            Step::AddIpvlan { name, index, parent_name, mode, flag, mtu, .. } => write!(
                f,
                "ip link add link {parent_name} name {name} index {index} netns $NETNS{} type ipvlan mode {mode} {flag}",
                mtu_text(mtu)
            ),
            Step::RefuseRa { name } => write!(
                f,
                "ip netns exec $NETNS sysctl -w net.ipv6.conf.{0}.accept_ra=0 net.ipv6.conf.{0}.autoconf=0",
                name.as_str().replace('.', "/")
            ),
            Step::AddAddress { name, address, .. } => {
                let more = match address {
                    IpNet::V4(v4) if v4.prefix_len() < 31 => " brd +",
                    IpNet::V4(_) => "",
                    IpNet::V6(_) => " nodad",
                };
                write!(f, "ip -n $NETNS addr add {address} dev {name}{more}")
            }
            Step::Announce { name, alias, .. } => write!(
                f,
                "ip netns exec $NETNS sysctl -w net.ipv4.conf.{}.arp_notify=1 && ip -n $NETNS link set {name} alias \"{alias}\"",
                name.as_str().replace('.', "/")
            ),
            Step::SetUpInside { name, .. } => write!(f, "ip -n $NETNS link set {name} up"),
            Step::AddRoute { name, destination, via, .. } => match via {
                Some(via) => write!(f, "ip -n $NETNS route add {destination} via {via} dev {name}"),
                None => write!(f, "ip -n $NETNS route add {destination} dev {name}"),
            },
            Step::SetMode { name, mode, flag, .. } => write!(f, "ip -n $NETNS link set {name} type ipvlan mode {mode} {flag}"),
            Step::SetMtuInside { name, mtu, .. } => write!(f, "ip -n $NETNS link set {name} mtu {mtu}"),
            Step::DelIpvlan { name, .. } => write!(f, "ip -n $NETNS link del {name}"),
        }
    }
}

/// Classic BPF: matches what carries a VLAN tag in its bytes (0x8100, 0x88a8, 0x9100 at the link header) and no accelerated outer tag.
/// VLAN devices use the latter. Never u32 or flower: they count from the network header, which the sender moves.
pub const SHIELD_EGRESS: &str = "8,32 0 0 4294963248,21 0 4 0,40 0 0 12,21 3 0 33024,21 2 0 34984,21 1 0 37120,6 0 0 0,6 0 0 4294967295";
/// Classic BPF: matches what has its destination MAC as source MAC, ipvlan's only way back into this host.
pub const SHIELD_INGRESS: &str = "10,32 0 0 0,7 0 0 0,32 0 0 6,29 0 4 0,40 0 0 4,7 0 0 0,40 0 0 10,29 1 0 0,6 0 0 0,6 0 0 4294967295";

/// What a plan is for; settling it moves this object on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "for", content = "id")]
pub enum Purpose {
    /// Makes what a new network needs.
    CreateNetwork(NetworkId),
    /// Removes what the last network of a parent leaves behind.
    DeleteNetwork(NetworkId),
    /// Makes an endpoint's link.
    Attach(EndpointId),
    /// Removes it.
    Detach(EndpointId),
    /// Makes the kernel agree with the record again: a parent.
    HealParent(ParentId),
    /// Makes the kernel agree with the record again: an endpoint's link.
    HealEndpoint(EndpointId),
}

impl Purpose {
    /// Removing goes forward; making goes back when it fails.
    pub fn is_removal(&self) -> bool {
        matches!(self, Purpose::DeleteNetwork(_) | Purpose::Detach(_))
    }
}

/// What a decided request needs of the kernel.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Plan {
    /// Its id.
    pub id: PlanId,
    /// What it is for.
    pub purpose: Purpose,
    /// Its lane: makings of one parent keep their order, lanes run in parallel. Endpoint removals run outside lanes.
    pub lane: ParentId,
    /// The namespace of the inside steps.
    pub netns: Option<Netns>,
    /// In order.
    pub steps: Vec<Step>,
    /// Undoes all of `steps`, or any first part of them: each undo step is content when there is nothing to undo.
    pub undo: Vec<Step>,
}

impl fmt::Display for Plan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let named = self.netns.as_ref().map_or("", |n| n.named.as_str());
        for step in &self.steps {
            writeln!(f, "{}", step.to_string().replace("$NETNS", named))?;
        }
        Ok(())
    }
}

/// What came of a plan.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Settled {
    /// The kernel did all of it.
    Done,
    /// The kernel refused a step.
    Failed {
        /// Which step, counted from 0.
        step: usize,
        /// What was tried and what the kernel said.
        why: String,
        /// For makings: what could not be undone, if so.
        left: Option<String>,
    },
}

/// A plan's end.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Settlement {
    /// Which plan.
    pub plan: PlanId,
    /// What came of it.
    pub result: Settled,
    /// Microseconds that the kernel took; `None` where it was not carried out now.
    pub took_us: Option<u64>,
}
