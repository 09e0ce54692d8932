//! Steps as netlink messages (include/uapi/linux/{rtnetlink,if_link,if_addr}.h). One step is one message, but for the
//! makings on the host, whose alias the kernel takes only from a second one (net/core/rtnetlink.c, `rtnl_create_link`).

use crate::socket::Request;
use bulkhead_core::host::{Flag, IfIndex, Mac, Mode, VlanId};
use ipnet::IpNet;
use netlink_packet_core::{NLM_F_CREATE, NLM_F_EXCL};
use netlink_packet_route::address::{AddressAttribute, AddressHeaderFlags, AddressMessage};
use netlink_packet_route::link::{
    AfSpecInet, AfSpecUnspec, InetDevConf, InfoData, InfoIpVlan, InfoKind, InfoVlan, IpVlanFlags, IpVlanMode, LinkAttribute, LinkFlags,
    LinkInfo, LinkMessage,
};
use netlink_packet_route::nsid::{NsidAttribute, NsidMessage};
use netlink_packet_route::route::{RouteAttribute, RouteHeader, RouteMessage, RouteProtocol, RouteScope, RouteType};
use netlink_packet_route::{AddressFamily, RouteNetlinkMessage};
use std::net::IpAddr;
use std::os::fd::{AsRawFd, BorrowedFd};

/// Creates only: what is there already is an error (EEXIST).
const CREATE: u16 = NLM_F_CREATE | NLM_F_EXCL;

/// An ipvlan link, made from the host's side straight into the namespace, under its final name and index: no temporary
/// name, no rename, no look-up, and a link of the same name on the host is no obstacle.
pub(crate) struct Ipvlan<'a> {
    pub name: &'a str,
    pub index: IfIndex,
    pub parent: IfIndex,
    pub netns: BorrowedFd<'a>,
    pub mode: Mode,
    pub flag: Flag,
    pub mtu: Option<u32>,
}

pub(crate) fn add_ipvlan(link: &Ipvlan<'_>) -> Request {
    let mut attributes = vec![
        LinkAttribute::IfName(link.name.to_owned()),
        LinkAttribute::Link(link.parent.0),
        LinkAttribute::NetNsFd(link.netns.as_raw_fd()),
    ];
    attributes.extend(link.mtu.map(LinkAttribute::Mtu));
    attributes.push(ipvlan_info(link.mode, link.flag));
    new_link(link.index, attributes, CREATE)
}

/// An ipvlan link without a parent: refused in any case, for what the kernel can or cannot do.
pub(crate) fn orphan_ipvlan(index: IfIndex) -> Request {
    new_link(index, vec![ipvlan_info(Mode::L2, Flag::Bridge)], CREATE)
}

/// Mode and flag of an existing ipvlan link, and with it of all links of its parent.
pub(crate) fn set_mode(index: IfIndex, mode: Mode, flag: Flag) -> Request {
    new_link(index, vec![ipvlan_info(mode, flag)], 0)
}

pub(crate) fn add_dummy(name: &str, index: IfIndex, mac: Mac, mtu: Option<u32>) -> Request {
    let mut attributes = vec![LinkAttribute::IfName(name.to_owned()), LinkAttribute::Address(mac.0.to_vec())];
    attributes.extend(mtu.map(LinkAttribute::Mtu));
    attributes.push(LinkAttribute::LinkInfo(vec![LinkInfo::Kind(InfoKind::Dummy)]));
    new_link(index, attributes, CREATE)
}

pub(crate) fn add_vlan(name: &str, index: IfIndex, base: IfIndex, vlan: VlanId) -> Request {
    let info = vec![LinkInfo::Kind(InfoKind::Vlan), LinkInfo::Data(InfoData::Vlan(vec![InfoVlan::Id(vlan.get())]))];
    new_link(index, vec![LinkAttribute::IfName(name.to_owned()), LinkAttribute::Link(base.0), LinkAttribute::LinkInfo(info)], CREATE)
}

pub(crate) fn set_up(index: IfIndex) -> Request {
    let mut message = link(index, Vec::new());
    message.header.flags = LinkFlags::Up;
    message.header.change_mask = LinkFlags::Up;
    Request::new(&RouteNetlinkMessage::SetLink(message), 0)
}

pub(crate) fn set_mtu(index: IfIndex, mtu: u32) -> Request {
    Request::new(&RouteNetlinkMessage::SetLink(link(index, vec![LinkAttribute::Mtu(mtu)])), 0)
}

pub(crate) fn set_alias(index: IfIndex, alias: &str) -> Request {
    Request::new(&RouteNetlinkMessage::SetLink(link(index, vec![LinkAttribute::IfAlias(alias.to_owned())])), 0)
}

/// Alias and arp_notify in one message, without a visit to /proc. The kernel announces a link's addresses when it goes up
/// after this, and only then: it needs address → arp_notify → up (net/ipv4/devinet.c, `inetdev_send_gratuitous_arp`).
pub(crate) fn announce(index: IfIndex, alias: &str) -> Request {
    let mut wanted = InetDevConf::default();
    wanted.arp_notify = 1;
    let inet = AfSpecUnspec::Inet(vec![AfSpecInet::DevConfRequest(wanted)]);
    let attributes = vec![LinkAttribute::IfAlias(alias.to_owned()), LinkAttribute::AfSpecUnspec(vec![inet])];
    Request::new(&RouteNetlinkMessage::SetLink(link(index, attributes)), 0)
}

pub(crate) fn del_link(index: IfIndex) -> Request {
    Request::new(&RouteNetlinkMessage::DelLink(link(index, Vec::new())), 0)
}

pub(crate) fn get_link(index: IfIndex) -> Request {
    Request::new(&RouteNetlinkMessage::GetLink(link(index, Vec::new())), 0)
}

/// Which id the socket's namespace has for `netns`: what IFLA_LINK_NETNSID of its links refers to.
pub(crate) fn get_nsid(netns: BorrowedFd<'_>) -> Request {
    let mut message = NsidMessage::default();
    message.attributes.push(NsidAttribute::Fd(netns.as_raw_fd() as u32));
    Request::new(&RouteNetlinkMessage::GetNsId(message), 0)
}

/// IPv4 gets its broadcast address (`brd +`), as `/31` and `/32` have none (RFC 3021). IPv6 skips duplicate detection,
/// which would keep the address unusable for over a second (RFC 4862, section 5.4); the record keeps it unique.
pub(crate) fn add_address(index: IfIndex, address: IpNet) -> Request {
    let mut message = AddressMessage::default();
    message.header.index = index.0;
    message.header.prefix_len = address.prefix_len();
    message.attributes = vec![AddressAttribute::Local(address.addr()), AddressAttribute::Address(address.addr())];
    match address {
        IpNet::V4(v4) => {
            message.header.family = AddressFamily::Inet;
            if v4.prefix_len() < 31 {
                message.attributes.push(AddressAttribute::Broadcast(v4.broadcast()));
            }
        }
        IpNet::V6(_) => {
            message.header.family = AddressFamily::Inet6;
            message.header.flags = AddressHeaderFlags::Nodad;
        }
    }
    Request::new(&RouteNetlinkMessage::NewAddress(message), CREATE)
}

/// A route of the main table, as `ip route add` makes it (protocol boot).
pub(crate) fn add_route(index: IfIndex, destination: IpNet, via: Option<IpAddr>) -> Request {
    let mut message = RouteMessage::default();
    message.header.address_family = if destination.addr().is_ipv4() { AddressFamily::Inet } else { AddressFamily::Inet6 };
    message.header.destination_prefix_length = destination.prefix_len();
    message.header.table = RouteHeader::RT_TABLE_MAIN;
    message.header.protocol = RouteProtocol::Boot;
    message.header.kind = RouteType::Unicast;
    // IPv6 knows no scopes; an IPv4 route without a gateway is on the link (net/ipv4/fib_semantics.c, `fib_check_nh`).
    let on_link = via.is_none() && destination.addr().is_ipv4();
    message.header.scope = if on_link { RouteScope::Link } else { RouteScope::Universe };
    if destination.prefix_len() > 0 {
        message.attributes.push(RouteAttribute::Destination(destination.network().into()));
    }
    message.attributes.extend(via.map(|gateway| RouteAttribute::Gateway(gateway.into())));
    message.attributes.push(RouteAttribute::Oif(index.0));
    Request::new(&RouteNetlinkMessage::NewRoute(message), CREATE)
}

fn link(index: IfIndex, attributes: Vec<LinkAttribute>) -> LinkMessage {
    let mut message = LinkMessage::default();
    message.header.index = index.0;
    message.attributes = attributes;
    message
}

fn new_link(index: IfIndex, attributes: Vec<LinkAttribute>, flags: u16) -> Request {
    Request::new(&RouteNetlinkMessage::NewLink(link(index, attributes)), flags)
}

fn ipvlan_info(mode: Mode, flag: Flag) -> LinkAttribute {
    let mode = match mode {
        Mode::L2 => IpVlanMode::L2,
        Mode::L3 => IpVlanMode::L3,
        Mode::L3s => IpVlanMode::L3S,
    };
    let flags = match flag {
        Flag::Bridge => IpVlanFlags::empty(),
        Flag::Private => IpVlanFlags::Private,
        Flag::Vepa => IpVlanFlags::Vepa,
    };
    LinkAttribute::LinkInfo(vec![
        LinkInfo::Kind(InfoKind::IpVlan),
        LinkInfo::Data(InfoData::IpVlan(vec![InfoIpVlan::Mode(mode), InfoIpVlan::Flags(flags)])),
    ])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire;
    use std::os::fd::AsFd;

    /// Fixed header and attributes; their order says nothing.
    fn parts(body: &[u8], header: usize) -> (&[u8], Vec<(u16, &[u8])>) {
        let mut attributes: Vec<_> = wire::attributes(&body[header..]).collect();
        attributes.sort();
        (&body[..header], attributes)
    }

    /// What iproute2 6.1 was seen to send (strace) for the command in the comment, and what we send for the step.
    fn same(ours: &Request, ips: &[u8], header: usize) {
        assert_eq!(parts(&ours.body, header), parts(ips, header));
    }

    fn link_header(index: u32) -> Vec<u8> {
        [&[0; 4][..], &index.to_ne_bytes(), &[0; 8]].concat()
    }

    const INDEX: IfIndex = IfIndex(3);

    /// `ip link add link x name eth0 index 536870922 netns /proc/self/fd/9 mtu 1400 type ipvlan mode l3 private`
    #[test]
    fn an_ipvlan_link() {
        let netns = std::fs::File::open("/proc/self/ns/net").unwrap();
        let index = IfIndex(536_870_922);
        let link =
            Ipvlan { name: "eth0", index, parent: INDEX, netns: netns.as_fd(), mode: Mode::L3, flag: Flag::Private, mtu: Some(1400) };
        let ours = add_ipvlan(&link);
        let mut ips = link_header(index.0);
        ips.extend(b"\x08\x00\x1c\x00");
        ips.extend(netns.as_raw_fd().to_ne_bytes());
        ips.extend(b"\x08\x00\x04\x00\x78\x05\x00\x00\x08\x00\x05\x00\x03\x00\x00\x00\x09\x00\x03\x00eth0\x00\x00\x00\x00");
        ips.extend(b"\x24\x00\x12\x00\x0a\x00\x01\x00ipvlan\x00\x00\x14\x00\x02\x00\x06\x00\x01\x00\x01\x00\x00\x00\x06\x00\x02\x00\x01\x00\x00\x00");
        // `ip` sends no NUL after the kind; the kernel takes both (NLA_STRING).
        let (header, attributes) = parts(&ours.body, 16);
        let (ips_header, ips_attributes) = parts(&ips, 16);
        assert_eq!(header, ips_header);
        let info = |attributes: &[(u16, &[u8])]| attributes.iter().find(|(k, _)| *k == 18).map(|(_, v)| v.to_vec()).unwrap();
        for kind in [1, 2] {
            let text = |v: &[u8]| if kind == 1 { wire::text(v).into_bytes() } else { v.to_vec() };
            let value = |info: &[u8]| wire::attribute(info, kind).map(text);
            assert_eq!(value(&info(&attributes)), value(&info(&ips_attributes)));
        }
        let rest = |attributes: Vec<(u16, &[u8])>| {
            attributes.into_iter().filter(|(k, _)| *k != 18).map(|(k, v)| (k, v.to_vec())).collect::<Vec<_>>()
        };
        assert_eq!(rest(attributes), rest(ips_attributes));
        assert_eq!((ours.kind, ours.flags), (16, 0x601));
    }

    /// `ip addr add 192.168.1.11/24 brd + dev x`
    #[test]
    fn an_ipv4_address() {
        let ours = add_address(INDEX, "192.168.1.11/24".parse().unwrap());
        let ips = b"\x02\x18\x00\x00\x03\x00\x00\x00\x08\x00\x02\x00\xc0\xa8\x01\x0b\x08\x00\x01\x00\xc0\xa8\x01\x0b\x08\x00\x04\x00\xc0\xa8\x01\xff";
        same(&ours, ips, 8);
        assert_eq!((ours.kind, ours.flags), (20, 0x601));
    }

    /// `ip addr add 192.168.1.10/31 dev x`: both addresses are hosts' (RFC 3021).
    #[test]
    fn an_ipv4_address_without_broadcast() {
        let ours = add_address(INDEX, "192.168.1.10/31".parse().unwrap());
        same(&ours, b"\x02\x1f\x00\x00\x03\x00\x00\x00\x08\x00\x02\x00\xc0\xa8\x01\x0a\x08\x00\x01\x00\xc0\xa8\x01\x0a", 8);
    }

    /// `ip -6 addr add 2001:db8::1/64 dev x nodad`.
    #[test]
    fn an_ipv6_address() {
        let ours = add_address(INDEX, "2001:db8::1/64".parse().unwrap());
        let mut ips = b"\x0a\x40\x02\x00\x03\x00\x00\x00".to_vec();
        for kind in [2, 1] {
            ips.extend([0x14, 0, kind, 0, 0x20, 0x01, 0x0d, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1]);
        }
        same(&ours, &ips, 8);
    }

    /// `ip route add default via 192.168.1.1 dev x`
    #[test]
    fn a_default_route() {
        let ours = add_route(INDEX, "0.0.0.0/0".parse().unwrap(), Some([192, 168, 1, 1].into()));
        let ips = b"\x02\x00\x00\x00\xfe\x03\x00\x01\x00\x00\x00\x00\x08\x00\x05\x00\xc0\xa8\x01\x01\x08\x00\x04\x00\x03\x00\x00\x00";
        same(&ours, ips, 12);
        assert_eq!((ours.kind, ours.flags), (24, 0x601));
    }

    /// `ip link set x up`, `ip link set x alias foo`
    #[test]
    fn up_and_alias() {
        same(&set_up(INDEX), b"\0\0\0\0\x03\0\0\0\x01\0\0\0\x01\0\0\0", 16);
        same(&set_alias(INDEX, "foo"), b"\0\0\0\0\x03\0\0\0\0\0\0\0\0\0\0\0\x08\x00\x14\x00foo\x00", 16);
    }

    /// IFLA_AF_SPEC { AF_INET { IFLA_INET_CONF { IPV4_DEVCONF_ARP_NOTIFY: 1 } } }, which no `ip` command sends.
    #[test]
    fn arp_notify_goes_with_the_alias() {
        let body = announce(INDEX, "a").body;
        let spec = wire::attribute(&body[16..], 26).and_then(|s| wire::attribute(s, 2)).and_then(|s| wire::attribute(s, 1)).unwrap();
        assert_eq!(wire::attributes(spec).collect::<Vec<_>>(), [(22, &[1, 0, 0, 0][..])]);
        assert_eq!(wire::attribute(&body[16..], 20), Some(&b"a\0"[..]));
    }
}
