//! The shield's attack table: every frame by which a workload on an untagged l2 network with nothing but CAP_NET_RAW can leave it.
//!
//! ipvlan in l2 hands any frame on: out through the parent, tags and all, or, where the destination MAC is the source MAC, into the
//! host's own receive path. The table is the product of all that could make a difference to a filter: where to, which MACs, which tags,
//! the protocol that the sender tells the kernel (it moves what filters take for the network header), and whether it skips its own qdisc.

use crate::{
    error::{Result, Tried},
    namespace::Namespace,
    packet::{Mac, PacketSocket, grow_buffer},
    ping::checksum,
};
use socket2::{Domain, Protocol, SockAddr, Socket, Type};
use std::{
    collections::BTreeSet,
    fmt,
    io::{self, ErrorKind, Read},
    net::{Ipv4Addr, SocketAddrV4},
    sync::atomic::{AtomicU32, Ordering},
    time::Duration,
};

/// What an attack wants to reach.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Target {
    /// A VLAN on the wire, and with it every other host in it.
    PeerVlan,
    /// A VLAN sub-interface of the host itself.
    HostVlan,
    /// A socket of the host itself.
    HostStack,
}

/// Its MAC addresses.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Via {
    /// To the peer's.
    Unicast,
    /// To all.
    Broadcast,
    /// From the parent's to the parent's.
    Own,
    /// From ff:ff:ff:ff:ff:ff to the same.
    BroadcastFromBroadcast,
    /// From a multicast address to the same.
    MulticastFromMulticast,
}

/// One row of the table.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Attack {
    /// Where to.
    pub target: Target,
    /// With which MACs.
    pub via: Via,
    /// Ethertypes of its VLAN tags, outer first.
    pub tags: &'static [u16],
    /// As told to the kernel in sendto.
    pub protocol: u16,
    /// PACKET_QDISC_BYPASS.
    pub bypass: bool,
}

impl fmt::Display for Attack {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?} via {:?}, tags {:04x?}, protocol {:#06x}", self.target, self.via, self.tags, self.protocol)?;
        if self.bypass { write!(f, ", qdisc bypassed") } else { Ok(()) }
    }
}

const Q: u16 = 0x8100;
const AD: u16 = 0x88a8;
const OLD: u16 = 0x9100;

/// The whole table.
pub fn attacks() -> Vec<Attack> {
    const INWARD: &[Via] = &[Via::Own, Via::BroadcastFromBroadcast, Via::MulticastFromMulticast];
    type Way = (Target, &'static [Via], &'static [&'static [u16]]);
    let ways: [Way; 3] = [
        (Target::PeerVlan, &[Via::Unicast, Via::Broadcast], &[&[Q], &[AD], &[OLD], &[Q, Q], &[AD, Q]]),
        // Linux has no VLAN devices for 0x9100.
        (Target::HostVlan, INWARD, &[&[Q], &[AD], &[Q, Q], &[AD, Q]]),
        (Target::HostStack, INWARD, &[&[]]),
    ];
    let mut table = Vec::new();
    for (target, vias, tags) in ways {
        for &via in vias {
            for &tags in tags {
                for protocol in [0x0003, 0, 0x0800, Q] {
                    for bypass in [false, true] {
                        table.push(Attack { target, via, tags, protocol, bypass });
                    }
                }
            }
        }
    }
    table
}

/// Where attacks are listened for.
#[derive(Debug, Clone)]
pub struct Targets<'a> {
    /// The second host; its `eth0` is the wire.
    pub peer: &'a Namespace,
    /// The host that the workload is on.
    pub host: &'a Namespace,
    /// The VLAN that is attacked; the peer has `eth0.VLAN`.
    pub vlan: u16,
    /// Links of the host on which no frame may show up. Attacks on a `HostVlan` arrive on an 802.1Q or 802.1ad device of this VLAN; without
    /// such a device there is nothing to arrive on.
    pub host_links: Vec<String>,
    /// An address of the host.
    pub host_address: Ipv4Addr,
}

/// What became of the table.
#[derive(Debug, Clone)]
pub struct Report {
    /// All that was sent.
    pub sent: Vec<Attack>,
    /// What arrived where it was meant to; for a `PeerVlan`, on the wire.
    pub arrived: Vec<Attack>,
    /// What came out of the peer's VLAN device, as a socket there would get it.
    pub in_peer_vlan: Vec<Attack>,
    /// Whether an untagged frame to the peer, sent last and by the same sender, arrived: that nothing else did is worth nothing without it.
    pub honest_arrived: bool,
}

impl Report {
    /// What did not arrive.
    pub fn stopped(&self) -> Vec<Attack> {
        let arrived: BTreeSet<_> = self.arrived.iter().collect();
        self.sent.iter().filter(|attack| !arrived.contains(attack)).copied().collect()
    }
}

/// Sends the whole table from `link` in `workload`.
pub fn attack_all(workload: &Namespace, link: &str, targets: &Targets<'_>) -> Result<Report> {
    attack(workload, link, targets, attacks())
}

/// How long a receiver must have been silent before its silence counts. Broadcasts wait for a worker of the kernel.
const SILENCE: Duration = Duration::from_millis(250);
const PORT: u16 = 4444;

/// Sends these attacks from `link` in `workload`.
pub fn attack(workload: &Namespace, link: &str, targets: &Targets<'_>, table: Vec<Attack>) -> Result<Report> {
    static NEXT: AtomicU32 = AtomicU32::new(1);
    let run = NEXT.fetch_add(1, Ordering::Relaxed);

    let hearing = |namespace: &Namespace, link: &str| {
        namespace.enter(|| PacketSocket::hearing(link))?.tried(|| format!("listen on {link} of {}", namespace.name()))
    };
    let wire = hearing(targets.peer, "eth0")?;
    let peer_vlan = hearing(targets.peer, &format!("eth0.{}", targets.vlan))?;
    let host_links = targets.host_links.iter().map(|link| hearing(targets.host, link)).collect::<Result<Vec<_>>>()?;
    let stack = targets.host.enter(udp_receiver)?.tried(|| format!("listen on UDP port {PORT} of {}", targets.host.name()))?;

    let peer_mac = wire.mac().tried(|| "read the peer's MAC".into())?;
    let sender = workload.enter(|| PacketSocket::sending(link))?.tried(|| format!("send on {link} of {}", workload.name()))?;
    let own_mac = sender.mac().tried(|| format!("read the MAC of {link}"))?;
    let frame = |via, tags: &[u16], index: u32| {
        let (to, from) = match via {
            Via::Unicast => (peer_mac, own_mac),
            Via::Broadcast => ([0xff; 6], own_mac),
            Via::Own => (own_mac, own_mac),
            Via::BroadcastFromBroadcast => ([0xff; 6], [0xff; 6]),
            Via::MulticastFromMulticast => ([1, 0, 0x5e, 0, 0, 1], [1, 0, 0x5e, 0, 0, 1]),
        };
        udp_frame(to, from, tags, targets.vlan, targets.host_address, marker(run, index))
    };
    for (index, attack) in (0..).zip(&table) {
        let sent = sender.bypass_qdisc(attack.bypass).and_then(|()| sender.send(&frame(attack.via, attack.tags, index), attack.protocol));
        match sent {
            // The kernel's word for a frame that a filter dropped further down.
            Err(error) if error.raw_os_error() == Some(libc::ENOBUFS) => {}
            other => other.tried(|| format!("send from {link} of {}: {attack}", workload.name()))?,
        }
    }
    let honest = table.len() as u32;
    sender
        .bypass_qdisc(false)
        .and_then(|()| sender.send(&frame(Via::Unicast, &[], honest), 0x0800))
        .tried(|| "send an honest frame".into())?;

    let heard = |socket: &Socket, silence| heard(socket, run, silence).tried(|| "receive".into());
    let on_wire = heard(wire.socket(), SILENCE)?;
    // The others have been waiting as long.
    let heard = |socket: &Socket| heard(socket, SILENCE / 5);
    let in_vlan = heard(peer_vlan.socket())?;
    let on_host = host_links.iter().map(|link| heard(link.socket())).collect::<Result<Vec<_>>>()?.concat();
    let by_stack = heard(&stack)?;
    let arrived = (0..).zip(&table).filter(|(index, attack)| match attack.target {
        Target::PeerVlan => on_wire.contains(index),
        Target::HostVlan => on_host.contains(index),
        Target::HostStack => by_stack.contains(index),
    });
    let arrived = arrived.map(|(_, attack)| *attack).collect();
    let in_peer_vlan = (0..).zip(&table).filter(|(index, _)| in_vlan.contains(index)).map(|(_, attack)| *attack).collect();
    Ok(Report { sent: table, arrived, in_peer_vlan, honest_arrived: on_wire.contains(&honest) })
}

fn udp_receiver() -> io::Result<Socket> {
    let socket = Socket::new(Domain::IPV4, Type::DGRAM, Some(Protocol::UDP))?;
    grow_buffer(&socket)?;
    socket.bind(&SockAddr::from(SocketAddrV4::new(Ipv4Addr::UNSPECIFIED, PORT)))?;
    Ok(socket)
}

const MARK: [u8; 8] = *b"bulkhead";

fn marker(run: u32, index: u32) -> [u8; 16] {
    let mut marker = [0; 16];
    marker[..8].copy_from_slice(&MARK);
    marker[8..12].copy_from_slice(&run.to_be_bytes());
    marker[12..].copy_from_slice(&index.to_be_bytes());
    marker
}

/// The indexes of this run's frames that a socket has received, until it is silent.
fn heard(mut socket: &Socket, run: u32, silence: Duration) -> io::Result<Vec<u32>> {
    socket.set_read_timeout(Some(silence))?;
    let mut indexes = Vec::new();
    let mut buffer = [0; 2048];
    loop {
        let length = match socket.read(&mut buffer) {
            Ok(length) => length,
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => return Ok(indexes),
            Err(error) if error.kind() == ErrorKind::Interrupted => continue,
            Err(error) => return Err(error),
        };
        // At the end, before what may have been padded: found wherever tags have shifted it to.
        let wanted = &marker(run, 0)[..12];
        if let Some(at) = buffer[..length].windows(16).position(|bytes| &bytes[..12] == wanted) {
            indexes.push(u32::from_be_bytes([buffer[at + 12], buffer[at + 13], buffer[at + 14], buffer[at + 15]]));
        }
    }
}

fn udp_frame(to: Mac, from: Mac, tags: &[u16], vlan: u16, address: Ipv4Addr, payload: [u8; 16]) -> Vec<u8> {
    let mut frame = [to, from].concat();
    for tag in tags {
        frame.extend(tag.to_be_bytes());
        frame.extend(vlan.to_be_bytes());
    }
    frame.extend(0x0800_u16.to_be_bytes());
    // A neighbour of the host's, so that no reverse path filter minds it.
    let mut source = address.octets();
    source[3] = if source[3] == 77 { 78 } else { 77 };
    let udp_length = 8 + payload.len() as u16;
    let mut ip = vec![0x45, 0];
    ip.extend((20 + udp_length).to_be_bytes());
    ip.extend([0, 0, 0, 0, 64, 17, 0, 0]);
    ip.extend(source);
    ip.extend(address.octets());
    let sum = checksum(&ip);
    ip[10..12].copy_from_slice(&sum.to_be_bytes());
    frame.extend(ip);
    for word in [PORT, PORT, udp_length, 0] {
        frame.extend(word.to_be_bytes()); // no checksum: IPv4 allows that
    }
    frame.extend(payload);
    frame
}
