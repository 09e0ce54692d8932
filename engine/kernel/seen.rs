//! Links, addresses and routes as the kernel tells them: rtnetlink messages read into what we need of them.

use crate::socket::{Refusal, Request, Socket};
use crate::wire::{self, Message};
use bulkhead_core::host::{Flag, HostLink, IfIndex, LinkKind, Mac, Mode, ShieldSeen, VlanId};
use ipnet::IpNet;
use netlink_packet_route::link::{LinkAttribute, LinkExtentMask, LinkMessage};
use netlink_packet_route::{AddressFamily, RouteNetlinkMessage, address::AddressMessage, route::RouteMessage};
use std::io;
use std::net::IpAddr;

// include/uapi/linux/rtnetlink.h
pub(crate) const RTM_NEWLINK: u16 = 16;
pub(crate) const RTM_DELLINK: u16 = 17;
pub(crate) const RTM_NEWADDR: u16 = 20;
pub(crate) const RTM_DELADDR: u16 = 21;
pub(crate) const RTM_NEWROUTE: u16 = 24;
pub(crate) const RTM_DELROUTE: u16 = 25;
pub(crate) const RTM_NEWNSID: u16 = 88;
const RTM_F_CLONED: u32 = 0x200;
const RT_TABLE_MAIN: u32 = 254;
const RTPROT_KERNEL: u8 = 2;
const RTN_UNICAST: u8 = 1;
const RT_SCOPE_LINK: u8 = 253;
const RTA_DST: u16 = 1;
const RTA_OIF: u16 = 4;
const RTA_GATEWAY: u16 = 5;
const RTA_PRIORITY: u16 = 6;
const RTA_MULTIPATH: u16 = 9;
const RTA_TABLE: u16 = 15;
const RTA_VIA: u16 = 18;
const RTA_NH_ID: u16 = 30;
// include/uapi/linux/if_addr.h
const IFA_ADDRESS: u16 = 1;
const IFA_LOCAL: u16 = 2;
// include/uapi/linux/if_link.h
const IFLA_ADDRESS: u16 = 1;
const IFLA_IFNAME: u16 = 3;
const IFLA_MTU: u16 = 4;
const IFLA_LINK: u16 = 5;
const IFLA_MASTER: u16 = 10;
const IFLA_LINKINFO: u16 = 18;
const IFLA_IFALIAS: u16 = 20;
const IFLA_LINK_NETNSID: u16 = 37;
const IFLA_PERM_ADDRESS: u16 = 54;
const IFLA_INFO_KIND: u16 = 1;
const IFLA_INFO_DATA: u16 = 2;
const IFLA_VLAN_ID: u16 = 1;
const IFLA_VLAN_PROTOCOL: u16 = 5;
const IFLA_IPVLAN_MODE: u16 = 1;
const IFLA_IPVLAN_FLAGS: u16 = 2;
const IPVLAN_F_PRIVATE: u16 = 1;
const IPVLAN_F_VEPA: u16 = 2;
const ETH_P_8021Q: u16 = 0x8100;
/// include/uapi/linux/if_arp.h
const ARPHRD_ETHER: u16 = 1;
// include/uapi/linux/if.h
const IFF_UP: u32 = 1;
const IFF_LOOPBACK: u32 = 8;
const IFF_LOWER_UP: u32 = 1 << 16;

/// A link.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Link {
    pub index: u32,
    pub name: String,
    pub alias: Option<String>,
    pub mtu: u32,
    pub up: bool,
    pub loopback: bool,
    carrier: bool,
    mac: Option<Mac>,
    permanent_mac: Option<Mac>,
    master: Option<u32>,
    /// IFLA_LINK, an index of the namespace that IFLA_LINK_NETNSID names.
    pub lower: Option<u32>,
    /// Set where the lower link is in another namespace.
    pub lower_nsid: Option<i32>,
    /// IFLA_INFO_KIND.
    pub kind: Option<String>,
    vlan: Option<VlanId>,
    pub ipvlan: Option<(Mode, Flag)>,
}

impl Link {
    /// From the body of an RTM_NEWLINK; `None` for what is not about a link as such (a bridge's view of a port has family
    /// AF_BRIDGE, a wireless event no name).
    pub fn read(body: &[u8]) -> Option<Self> {
        if *body.first()? != 0 {
            return None;
        }
        let flags = wire::u32_at(body, 8)?;
        let ether = wire::u16_at(body, 2)? == ARPHRD_ETHER;
        let mut link = Link {
            index: wire::u32_at(body, 4)?,
            name: String::new(),
            alias: None,
            mtu: 0,
            up: flags & IFF_UP != 0,
            loopback: flags & IFF_LOOPBACK != 0,
            carrier: flags & IFF_LOWER_UP != 0,
            mac: None,
            permanent_mac: None,
            master: None,
            lower: None,
            lower_nsid: None,
            kind: None,
            vlan: None,
            ipvlan: None,
        };
        let mac = |value: &[u8]| <[u8; 6]>::try_from(value).ok().filter(|_| ether).map(Mac);
        for (kind, value) in wire::attributes(body.get(16..)?) {
            match kind {
                IFLA_IFNAME => link.name = wire::text(value),
                IFLA_IFALIAS => link.alias = Some(wire::text(value)).filter(|a| !a.is_empty()),
                IFLA_MTU => link.mtu = wire::u32_at(value, 0)?,
                IFLA_ADDRESS => link.mac = mac(value),
                IFLA_PERM_ADDRESS => link.permanent_mac = mac(value),
                IFLA_MASTER => link.master = wire::u32_at(value, 0),
                IFLA_LINK => link.lower = wire::u32_at(value, 0).filter(|index| *index != 0),
                IFLA_LINK_NETNSID => link.lower_nsid = wire::i32_at(value, 0),
                IFLA_LINKINFO => link.read_info(value),
                _ => {}
            }
        }
        Some(link).filter(|l| !l.name.is_empty())
    }

    fn read_info(&mut self, info: &[u8]) {
        self.kind = wire::attribute(info, IFLA_INFO_KIND).map(wire::text);
        let Some(data) = wire::attribute(info, IFLA_INFO_DATA) else { return };
        let number = |kind| wire::attribute(data, kind).and_then(|value| wire::u16_at(value, 0));
        match self.kind.as_deref() {
            Some("vlan") => {
                let protocol = wire::attribute(data, IFLA_VLAN_PROTOCOL).and_then(|v| wire::u16_at(v, 0)).map(u16::from_be);
                self.vlan = number(IFLA_VLAN_ID).and_then(VlanId::new).filter(|_| protocol.is_none_or(|p| p == ETH_P_8021Q));
            }
            Some("ipvlan") => {
                let mode = match number(IFLA_IPVLAN_MODE) {
                    Some(1) => Mode::L3,
                    Some(2) => Mode::L3s,
                    _ => Mode::L2,
                };
                let flags = number(IFLA_IPVLAN_FLAGS).unwrap_or_default();
                let flag = match () {
                    () if flags & IPVLAN_F_PRIVATE != 0 => Flag::Private,
                    () if flags & IPVLAN_F_VEPA != 0 => Flag::Vepa,
                    () => Flag::Bridge,
                };
                self.ipvlan = Some((mode, flag));
            }
            _ => {}
        }
    }

    /// As the mirror keeps it; addresses and shield come from elsewhere.
    pub fn to_host_link(&self, addresses: Vec<IpNet>, shield: ShieldSeen) -> HostLink {
        // A lower link in another namespace has an index of that namespace, which says nothing here.
        let lower = self.lower.filter(|_| self.lower_nsid.is_none()).map(IfIndex);
        let kind = match (self.kind.as_deref(), lower, self.vlan) {
            _ if self.loopback => LinkKind::Loopback,
            (None, ..) => LinkKind::Physical,
            (Some("dummy"), ..) => LinkKind::Dummy,
            (Some("vlan"), Some(base), Some(id)) => LinkKind::Vlan { base, id },
            (Some("ipvlan"), Some(parent), _) => LinkKind::Ipvlan { parent },
            (Some("macvlan" | "macvtap"), Some(parent), _) => LinkKind::Macvlan { parent },
            (Some(other), ..) => LinkKind::Other(other.to_owned()),
        };
        HostLink {
            index: IfIndex(self.index),
            name: self.name.clone(),
            alias: self.alias.clone(),
            kind,
            mtu: self.mtu,
            mac: self.mac.filter(|_| !self.loopback),
            permanent_mac: self.permanent_mac,
            up: self.up,
            carrier: self.carrier,
            master: self.master.map(IfIndex),
            ipvlan: self.ipvlan,
            addresses,
            shield,
        }
    }
}

/// An address on a link, from the body of an RTM_NEWADDR or RTM_DELADDR.
pub(crate) fn address(body: &[u8]) -> Option<(u32, IpNet)> {
    let attributes = body.get(8..)?;
    // IFA_ADDRESS is the peer's on a point-to-point link; IFA_LOCAL, where there is one, is always ours.
    let value = wire::attribute(attributes, IFA_LOCAL).or_else(|| wire::attribute(attributes, IFA_ADDRESS))?;
    Some((wire::u32_at(body, 4)?, IpNet::new(wire::address(value)?, *body.get(1)?).ok()?))
}

/// A unicast route of the main table through one link.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Route {
    pub link: u32,
    pub destination: IpNet,
    pub gateway: Option<IpAddr>,
    /// Made by the kernel itself, beside an address.
    pub kernels: bool,
    on_link: bool,
    metric: u32,
}

impl Route {
    /// From the body of an RTM_NEWROUTE or RTM_DELROUTE; `None` for all that is not as above.
    pub fn read(body: &[u8]) -> Option<Self> {
        let &[family, length, _, _, table, protocol, scope, kind, ..] = body else { return None };
        let attributes = body.get(12..)?;
        let find = |kind| wire::attribute(attributes, kind);
        let table = find(RTA_TABLE).and_then(|v| wire::u32_at(v, 0)).unwrap_or(u32::from(table));
        let cloned = wire::u32_at(body, 8)? & RTM_F_CLONED != 0;
        if kind != RTN_UNICAST || table != RT_TABLE_MAIN || cloned || find(RTA_MULTIPATH).is_some() {
            return None;
        }
        let any = match i32::from(family) {
            libc::AF_INET => IpAddr::from([0; 4]),
            libc::AF_INET6 => IpAddr::from([0; 16]),
            _ => return None,
        };
        let destination = IpNet::new(find(RTA_DST).map_or(Some(any), wire::address)?, length).ok()?;
        // RTA_VIA: a gateway of the other family (RFC 5549), after two bytes that name it.
        let gateway = find(RTA_GATEWAY).or_else(|| find(RTA_VIA)?.get(2..)).and_then(wire::address);
        let on_link = gateway.is_none() && find(RTA_NH_ID).is_none() && (scope == RT_SCOPE_LINK || any.is_ipv6());
        Some(Route {
            link: find(RTA_OIF).and_then(|v| wire::u32_at(v, 0))?,
            destination,
            gateway,
            kernels: protocol == RTPROT_KERNEL,
            on_link,
            metric: find(RTA_PRIORITY).and_then(|v| wire::u32_at(v, 0)).unwrap_or(0),
        })
    }

    /// Whether its destination is a subnet that the host is on. Link-local ones are everybody's, and a default route
    /// without a gateway is no subnet.
    pub fn is_subnet(&self) -> bool {
        let everybodys = match self.destination {
            IpNet::V4(net) => net.addr().is_link_local() || net.addr().is_multicast(),
            IpNet::V6(net) => net.addr().is_unicast_link_local() || net.addr().is_multicast(),
        };
        self.on_link && !everybodys && self.destination.prefix_len() > 0
    }
}

/// A dump's end: what was found, or why the kernel refused.
pub(crate) type Dumped<T> = io::Result<Result<Vec<T>, Refusal>>;

/// All links of the socket's namespace, without their statistics.
pub(crate) fn dump_links(socket: &mut Socket) -> Dumped<Link> {
    let mut message = LinkMessage::default();
    message.attributes.push(LinkAttribute::ExtMask(vec![LinkExtentMask::SkipStats]));
    dump(socket, &Request::new(&RouteNetlinkMessage::GetLink(message), 0), |m| Link::read(m.body).filter(|_| m.kind == RTM_NEWLINK))
}

/// All addresses of the socket's namespace.
pub(crate) fn dump_addresses(socket: &mut Socket) -> Dumped<(u32, IpNet)> {
    let request = Request::new(&RouteNetlinkMessage::GetAddress(AddressMessage::default()), 0);
    dump(socket, &request, |m| address(m.body).filter(|_| m.kind == RTM_NEWADDR))
}

/// All routes of the socket's namespace that [`Route::read`] knows.
pub(crate) fn dump_routes(socket: &mut Socket) -> Dumped<Route> {
    let mut message = RouteMessage::default();
    message.header.address_family = AddressFamily::Unspec;
    dump(socket, &Request::new(&RouteNetlinkMessage::GetRoute(message), 0), |m| Route::read(m.body).filter(|_| m.kind == RTM_NEWROUTE))
}

fn dump<T>(socket: &mut Socket, request: &Request, read: impl Fn(&Message<'_>) -> Option<T>) -> Dumped<T> {
    socket.dump(request, Vec::new, |found, message| found.extend(read(&message)))
}
