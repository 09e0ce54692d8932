//! Packet sockets: frames as they are on the wire, and the only unsafe code of their kind.

use rustix::net::netdevice::name_to_index;
use socket2::{Domain, Protocol, SockAddr, Socket, Type};
use std::{io, mem, os::fd::AsRawFd};

/// A MAC address.
pub(crate) type Mac = [u8; 6];

/// A packet socket bound to one link of the network namespace that it was made in.
#[derive(Debug)]
pub(crate) struct PacketSocket {
    socket: Socket,
    index: u32,
}

impl PacketSocket {
    /// Hears every frame on `link`, and can keep some thousand until they are read.
    pub(crate) fn hearing(link: &str) -> io::Result<Self> {
        let made = Self::open(link, libc::ETH_P_ALL as u16)?;
        grow_buffer(&made.socket)?;
        Ok(made)
    }

    /// Hears nothing, sends only.
    pub(crate) fn sending(link: &str) -> io::Result<Self> {
        Self::open(link, 0)
    }

    fn open(link: &str, protocol: u16) -> io::Result<Self> {
        // Protocol 0 hears nothing, so no frame of another link gets in before the bind, which sets the real one.
        let socket = Socket::new(Domain::PACKET, Type::RAW, None::<Protocol>)?;
        let index = name_to_index(&socket, link)?;
        socket.bind(&address(index, protocol))?;
        Ok(Self { socket, index })
    }

    /// The link's own MAC.
    pub(crate) fn mac(&self) -> io::Result<Mac> {
        let address = self.socket.local_addr()?;
        if address.family() != libc::AF_PACKET as libc::sa_family_t
            || (address.len() as usize) < mem::offset_of!(libc::sockaddr_ll, sll_addr) + 6
        {
            return Err(io::Error::other("the link has no MAC address"));
        }
        // SAFETY: SockAddr owns a whole sockaddr_storage, which is larger than and aligned for sockaddr_ll, and zeroed beyond len();
        // the family says that the kernel filled it in as a sockaddr_ll, and the length that it did so as far as the six bytes read.
        let address = unsafe { &*address.as_ptr().cast::<libc::sockaddr_ll>() };
        let mut mac = Mac::default();
        mac.copy_from_slice(&address.sll_addr[..6]);
        Ok(mac)
    }

    /// Makes frames skip the link's own queueing discipline, and with it any filter there.
    pub(crate) fn bypass_qdisc(&self, on: bool) -> io::Result<()> {
        let value = libc::c_int::from(on);
        // SAFETY: the descriptor is open for as long as `self.socket` lives; pointer and length describe `value`, a live c_int, which the
        // kernel only reads.
        let done = unsafe {
            libc::setsockopt(
                self.socket.as_raw_fd(),
                libc::SOL_PACKET,
                libc::PACKET_QDISC_BYPASS,
                (&raw const value).cast(),
                size_of_val(&value) as libc::socklen_t,
            )
        };
        if done == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
    }

    /// Sends a whole frame, telling the kernel that it is of `protocol`, whatever its bytes say.
    pub(crate) fn send(&self, frame: &[u8], protocol: u16) -> io::Result<()> {
        self.socket.send_to(frame, &address(self.index, protocol)).map(drop)
    }

    /// The socket, to read from.
    pub(crate) fn socket(&self) -> &Socket {
        &self.socket
    }
}

/// Room for thousands of frames: one lost here would look like one that was stopped.
pub(crate) fn grow_buffer(socket: &Socket) -> io::Result<()> {
    rustix::net::sockopt::set_socket_recv_buffer_size_force(socket, 16 << 20).map_err(io::Error::from)
}

fn address(index: u32, protocol: u16) -> SockAddr {
    // SAFETY: the storage given is a zeroed sockaddr_storage, larger than and aligned for sockaddr_ll; zero bytes are a valid sockaddr_ll,
    // and the length set is that of the sockaddr_ll written.
    let made = unsafe {
        SockAddr::try_init(|storage, length| {
            let address = &mut *storage.cast::<libc::sockaddr_ll>();
            address.sll_family = libc::AF_PACKET as libc::sa_family_t;
            address.sll_protocol = protocol.to_be();
            address.sll_ifindex = index as libc::c_int;
            address.sll_halen = 6;
            *length = size_of::<libc::sockaddr_ll>() as libc::socklen_t;
            Ok(())
        })
    };
    match made {
        Ok(((), address)) => address,
        Err(_) => unreachable!("the closure above has no error"),
    }
}
