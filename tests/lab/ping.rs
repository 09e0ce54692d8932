//! Ping, in-process: no process start, and a short deadline for the many pings that must not be answered.

use crate::{
    error::{Result, Tried},
    namespace::Namespace,
};
use socket2::{Domain, Protocol, SockAddr, Socket, Type};
use std::{
    io::{self, ErrorKind, Read},
    net::{IpAddr, SocketAddr},
    sync::atomic::{AtomicU16, Ordering},
    time::{Duration, Instant},
};

/// How long an answer may take on a lab's wire, user-mode Linux on a busy machine included.
const DEADLINE: Duration = Duration::from_millis(1500);
const REPEAT: Duration = Duration::from_millis(100);

impl Namespace {
    /// Whether `address` answers an echo request from here.
    pub fn ping(&self, address: IpAddr) -> Result<bool> {
        self.ping_within(address, DEADLINE)
    }

    /// Whether `address` answers within `limit`. Asks again all the while; no route at all is a no at once.
    pub fn ping_within(&self, address: IpAddr, limit: Duration) -> Result<bool> {
        self.enter(|| echo(address, limit))?.tried(|| format!("ping {address} from {}", self.name()))
    }
}

fn echo(address: IpAddr, limit: Duration) -> io::Result<bool> {
    static NEXT: AtomicU16 = AtomicU16::new(0);
    // Raw sockets hear the answers to everyone's requests: the pair tells ours.
    let id = std::process::id() as u16;
    let sequence = NEXT.fetch_add(1, Ordering::Relaxed);
    let (domain, protocol, request, reply) = match address {
        IpAddr::V4(_) => (Domain::IPV4, Protocol::ICMPV4, 8, 0),
        IpAddr::V6(_) => (Domain::IPV6, Protocol::ICMPV6, 128, 129),
    };
    let mut socket = Socket::new(domain, Type::RAW, Some(protocol))?;
    socket.set_read_timeout(Some(REPEAT))?;
    let target = SockAddr::from(SocketAddr::new(address, 0));
    match socket.connect(&target) {
        Err(error) if unreachable(&error) => return Ok(false),
        other => other?,
    }
    let mut packet = [request, 0, 0, 0, 0, 0, 0, 0];
    packet[4..6].copy_from_slice(&id.to_be_bytes());
    packet[6..8].copy_from_slice(&sequence.to_be_bytes());
    if address.is_ipv4() {
        let sum = checksum(&packet); // for ICMPv6 the kernel does it
        packet[2..4].copy_from_slice(&sum.to_be_bytes());
    }
    let end = Instant::now() + limit;
    let mut buffer = [0; 2048];
    while Instant::now() < end {
        match socket.send(&packet) {
            // A neighbour that did not answer is reported here, later: it may yet.
            Err(error) if error.raw_os_error() == Some(libc::EHOSTUNREACH) => {}
            Err(error) if unreachable(&error) => return Ok(false),
            other => drop(other?),
        }
        let again = (Instant::now() + REPEAT).min(end);
        while Instant::now() < again {
            let length = match socket.read(&mut buffer) {
                Ok(length) => length,
                Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => break,
                Err(error) if error.kind() == ErrorKind::Interrupted || unreachable(&error) => continue,
                Err(error) => return Err(error),
            };
            let header = if address.is_ipv4() { usize::from(buffer[0] & 15) * 4 } else { 0 };
            let answer = buffer.get(header..length).unwrap_or_default();
            if answer.len() >= 8 && answer[0] == reply && answer[4..8] == packet[4..8] {
                return Ok(true);
            }
        }
    }
    Ok(false)
}

fn unreachable(error: &io::Error) -> bool {
    matches!(error.raw_os_error(), Some(libc::ENETUNREACH | libc::EHOSTUNREACH | libc::ENETDOWN | libc::EADDRNOTAVAIL | libc::EACCES))
}

/// The Internet checksum of an even number of bytes.
pub(crate) fn checksum(bytes: &[u8]) -> u16 {
    let mut sum: u32 = bytes.chunks_exact(2).map(|pair| u32::from(u16::from_be_bytes([pair[0], pair[1]]))).sum();
    while sum > 0xffff {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    !(sum as u16)
}
