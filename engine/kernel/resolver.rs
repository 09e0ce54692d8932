//! The sockets of a resolver inside a namespace: made by a visit, used from the host ever after.

use crate::inside;
use crate::netns::read_proc;
use rustix::io::Errno;
use rustix::net::{AddressFamily, SocketFlags, SocketType, bind, listen, socket_with, sockopt};
use std::io;
use std::net::{Ipv4Addr, SocketAddrV4, TcpListener, UdpSocket};
use std::os::fd::{AsFd, AsRawFd, OwnedFd};

/// Where container runtimes have put it, so that a resolv.conf made for them fits here.
pub const ADDRESS: SocketAddrV4 = SocketAddrV4::new(Ipv4Addr::new(127, 0, 0, 11), 53);
/// Connections that may wait to be taken.
const BACKLOG: i32 = 16;

/// Why there are no sockets.
#[derive(Debug, thiserror::Error)]
pub enum NotBound {
    /// Somebody listens on 127.0.0.11 already.
    #[error("127.0.0.11 is in use in the namespace: {0}")]
    Taken(String),
    /// It did not work.
    #[error("{tried}")]
    Failed {
        /// What was tried.
        tried: &'static str,
        /// Why it failed.
        #[source]
        source: io::Error,
    },
}

/// UDP and TCP sockets of [`ADDRESS`] in a namespace, which do not block. `lo` is brought up there: 127.0.0.0/8 is its. They keep the
/// namespace alive until they are closed.
pub fn sockets(netns: impl AsFd) -> Result<(UdpSocket, TcpListener), NotBound> {
    inside::visit(netns, bound).map_err(|source| NotBound::Failed { tried: "entering the namespace", source })?
}

fn bound() -> Result<(UdpSocket, TcpListener), NotBound> {
    let failed = |tried| move |e: Errno| NotBound::Failed { tried, source: e.into() };
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    let udp = socket_with(AddressFamily::INET, SocketType::DGRAM, flags, None).map_err(failed("making a socket"))?;
    loopback_up(&udp).map_err(|source| NotBound::Failed { tried: "setting lo up", source })?;
    // Docker's resolver listens on another port of this address and has its packets redirected: a bind would succeed and never hear.
    if let Some(port) = in_use().map_err(|source| NotBound::Failed { tried: "reading /proc/thread-self/net/udp", source })? {
        return Err(NotBound::Taken(format!("UDP port {port}")));
    }
    let taken =
        |tried, what: &'static str| move |e: Errno| if e == Errno::ADDRINUSE { NotBound::Taken(what.into()) } else { failed(tried)(e) };
    bind(&udp, &ADDRESS).map_err(taken("binding 127.0.0.11:53/udp", "UDP port 53"))?;
    let tcp = socket_with(AddressFamily::INET, SocketType::STREAM, flags, None).map_err(failed("making a socket"))?;
    // What a daemon before us left in TIME_WAIT is in nobody's way.
    sockopt::set_socket_reuseaddr(&tcp, true).map_err(failed("SO_REUSEADDR"))?;
    bind(&tcp, &ADDRESS).map_err(taken("binding 127.0.0.11:53/tcp", "TCP port 53"))?;
    listen(&tcp, BACKLOG).map_err(taken("listening on 127.0.0.11:53/tcp", "TCP port 53"))?;
    Ok((udp.into(), tcp.into()))
}

/// The UDP port of 127.0.0.11 that somebody listens on in the calling thread's namespace (proc_pid_net(5): the address in hexadecimal,
/// as the machine has it in memory).
fn in_use() -> io::Result<Option<u16>> {
    let address = format!("{:08X}:", u32::from_ne_bytes(ADDRESS.ip().octets()));
    let table = read_proc("/proc/thread-self/net/udp")?;
    let port = |line: &str| u16::from_str_radix(line.split_whitespace().nth(1)?.strip_prefix(&address)?, 16).ok();
    Ok(table.lines().find_map(port))
}

/// Brings `lo` up in the calling thread's network namespace.
pub fn lo_up() -> io::Result<()> {
    loopback_up(&socket_with(AddressFamily::INET, SocketType::DGRAM, SocketFlags::CLOEXEC, None)?)
}

/// IFF_UP of `lo`, in the socket's namespace.
fn loopback_up(socket: &OwnedFd) -> io::Result<()> {
    // SAFETY: all-zero bytes are a valid `ifreq`: plain integers and a union of plain data.
    let mut request: libc::ifreq = unsafe { std::mem::zeroed() };
    for (to, from) in request.ifr_name.iter_mut().zip(b"lo") {
        *to = *from as libc::c_char;
    }
    // SAFETY: SIOCGIFFLAGS reads the name, which ends with a zero byte, and writes the flags of the `ifreq`, which outlives the call.
    if unsafe { libc::ioctl(socket.as_raw_fd(), libc::SIOCGIFFLAGS, &raw mut request) } < 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: SIOCGIFFLAGS has just written this member of the union.
    let flags = unsafe { request.ifr_ifru.ifru_flags };
    if flags & libc::IFF_UP as libc::c_short != 0 {
        return Ok(());
    }
    request.ifr_ifru.ifru_flags = flags | libc::IFF_UP as libc::c_short;
    // SAFETY: SIOCSIFFLAGS reads name and flags of the `ifreq`, which outlives the call.
    if unsafe { libc::ioctl(socket.as_raw_fd(), libc::SIOCSIFFLAGS, &raw mut request) } < 0 {
        return Err(io::Error::last_os_error());
    }
    Ok(())
}
