//! A small netlink socket: many requests in one send, every answer read and matched by its sequence number.
//!
//! rtnetlink works inside `sendmsg`: when it returns, each request has been carried out or refused and its answer lies in
//! our receive queue (net/netlink/af_netlink.c, `netlink_unicast_kernel`); a dump continues inside `recvmsg`. So nothing
//! here ever waits, and an empty queue means a lost answer, not a late one.

use crate::wire::{self, HEADER, Message};
use netlink_packet_core::{NLM_F_ACK, NLM_F_DUMP, NLM_F_REQUEST, NLMSG_DONE, NLMSG_ERROR, NetlinkSerializable};
use netlink_packet_route::RouteNetlinkMessage;
use netlink_sys::protocols::NETLINK_ROUTE;
use rustix::io::Errno;
use std::cell::Cell;
use std::io;
use std::os::fd::{AsFd, BorrowedFd};

/// `struct nlmsghdr.nlmsg_flags`: the dump was interrupted by a change and may be inconsistent.
const NLM_F_DUMP_INTR: u16 = 0x10;
/// On an NLMSG_ERROR: the original message is not repeated in it (NETLINK_CAP_ACK) and attributes follow.
const NLM_F_CAPPED: u16 = 0x100;
const NLM_F_ACK_TLVS: u16 = 0x200;
/// The extended text in an NLMSG_ERROR (include/uapi/linux/netlink.h, `enum nlmsgerr_attrs`).
const NLMSGERR_ATTR_MSG: u16 = 1;
/// A dump that keeps being interrupted is given up after so many tries.
const DUMP_TRIES: u32 = 100;
/// Room for any one answer that is no dump.
const ANSWER_BYTES: usize = 16 * 1024;
/// The kernel makes the pieces of a dump as large as the reader's buffer, up to 32 KiB (af_netlink.c, `netlink_dump`).
pub(crate) const DUMP_BYTES: usize = 32 * 1024;

/// What was sent over netlink, to be compared with what a plan should cost.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Sent {
    /// System calls.
    pub sends: u64,
    /// Messages in them.
    pub messages: u64,
}

thread_local! {
    static SENT: Cell<Sent> = const { Cell::new(Sent { sends: 0, messages: 0 }) };
}

/// What this thread has sent since it began.
pub fn sent() -> Sent {
    SENT.get()
}

/// One message to the kernel, encoded but for its header.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Request {
    pub kind: u16,
    pub flags: u16,
    pub body: Vec<u8>,
}

impl Request {
    /// `flags` beside NLM_F_REQUEST.
    pub fn new(message: &RouteNetlinkMessage, flags: u16) -> Self {
        let mut body = vec![0; message.buffer_len()];
        message.serialize(&mut body);
        Request { kind: message.message_type(), flags: flags | NLM_F_REQUEST, body }
    }
}

/// An answer that says no: the kernel's number and its words.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Refusal {
    pub errno: Errno,
    pub text: Option<String>,
}

/// A netlink route socket of the namespace in which it was made, from whatever thread it is used.
#[derive(Debug)]
pub(crate) struct Socket {
    socket: netlink_sys::Socket,
    seq: u32,
    buffer: Vec<u8>,
}

impl AsFd for Socket {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

impl Socket {
    /// Opens one (close-on-exec) in the calling thread's namespace.
    pub fn open() -> io::Result<Self> {
        let socket = netlink_sys::Socket::new(NETLINK_ROUTE)?;
        socket.set_ext_ack(true)?;
        socket.set_cap_ack(true)?;
        Ok(Socket { socket, seq: 0, buffer: Vec::new() })
    }

    /// Sends all requests in one system call; one result for each, in order. A batch is no transaction: later requests are
    /// carried out after an earlier one was refused.
    ///
    /// Only the last request asks for an acknowledgement. The kernel works through a send in order and answers each refusal
    /// whether asked or not, before the last acknowledgement; an answer that finds no room is an error of the next read
    /// (af_netlink.c, `netlink_rcv_skb`, `netlink_ack`, `netlink_overrun`). So silence is success, and costs no system call.
    pub fn batch(&mut self, requests: &[Request]) -> io::Result<Vec<Result<(), Refusal>>> {
        let Some(last) = requests.len().checked_sub(1) else { return Ok(Vec::new()) };
        let first = self.send(requests, 0, NLM_F_ACK)?;
        let mut results = vec![Ok(()); requests.len()];
        let mut answered = false;
        while !answered {
            self.receive(ANSWER_BYTES)?;
            for message in wire::messages(&self.buffer).filter(|m| m.kind == NLMSG_ERROR) {
                let at = message.seq.wrapping_sub(first) as usize;
                if let Some(result) = results.get_mut(at) {
                    *result = acknowledgement(&message);
                    answered |= at == last;
                }
            }
        }
        Ok(results)
    }

    /// Sends requests that are answered by one message each; a refusal in its place.
    pub fn ask(&mut self, requests: &[Request]) -> io::Result<Vec<Result<Answer, Refusal>>> {
        let first = self.send(requests, 0, 0)?;
        let mut results: Vec<Option<Result<Answer, Refusal>>> = vec![None; requests.len()];
        while results.iter().any(Option::is_none) {
            self.receive(ANSWER_BYTES)?;
            for message in wire::messages(&self.buffer) {
                if let Some(slot) = results.get_mut(message.seq.wrapping_sub(first) as usize) {
                    *slot = match message.kind {
                        NLMSG_ERROR => acknowledgement(&message).err().map(Err),
                        kind => Some(Ok(Answer { kind, body: message.body.to_vec() })),
                    };
                }
            }
        }
        Ok(results.into_iter().flatten().collect())
    }

    /// Dumps: calls `begin` and then `each` for every message; all over again when the kernel says that a change
    /// interrupted it (NLM_F_DUMP_INTR), so that nothing is concluded from half a picture.
    pub fn dump<T>(
        &mut self,
        request: &Request,
        mut begin: impl FnMut() -> T,
        mut each: impl FnMut(&mut T, Message<'_>),
    ) -> io::Result<Result<T, Refusal>> {
        for _ in 0..DUMP_TRIES {
            let seq = self.send(std::slice::from_ref(request), NLM_F_DUMP, 0)?;
            let mut found = begin();
            let mut interrupted = false;
            let end = 'dump: loop {
                self.receive(DUMP_BYTES)?;
                for message in wire::messages(&self.buffer).filter(|m| m.seq == seq) {
                    interrupted |= message.flags & NLM_F_DUMP_INTR != 0;
                    match message.kind {
                        NLMSG_DONE => break 'dump done(&message),
                        NLMSG_ERROR => break 'dump acknowledgement(&message),
                        _ => each(&mut found, message),
                    }
                }
            };
            match end {
                // EINTR of the dump itself also asks for another try (net/core/rtnetlink.c, `rtnl_dump_ifinfo`).
                Err(refusal) if refusal.errno == Errno::INTR => continue,
                Err(refusal) => return Ok(Err(refusal)),
                Ok(()) if interrupted => continue,
                Ok(()) => return Ok(Ok(found)),
            }
        }
        Err(io::Error::other(format!("the dump was interrupted {DUMP_TRIES} times")))
    }

    /// Sends, and gives the first sequence number. `last` is what the last request gets beside `flags`.
    fn send(&mut self, requests: &[Request], flags: u16, last: u16) -> io::Result<u32> {
        let first = self.seq.wrapping_add(1);
        let mut bytes = Vec::with_capacity(requests.iter().map(|r| HEADER + wire::align(r.body.len())).sum());
        for (at, request) in requests.iter().enumerate() {
            self.seq = self.seq.wrapping_add(1);
            append(&mut bytes, request, if at + 1 == requests.len() { flags | last } else { flags }, self.seq);
        }
        let sent = self.socket.send(&bytes, 0)?;
        SENT.set(Sent { sends: SENT.get().sends + 1, messages: SENT.get().messages + requests.len() as u64 });
        if sent == bytes.len() { Ok(first) } else { Err(io::Error::other("netlink took only a part of a send")) }
    }

    /// Reads one datagram into the buffer.
    fn receive(&mut self, room: usize) -> io::Result<()> {
        self.buffer.clear();
        self.buffer.reserve(room);
        let length = self.socket.recv(&mut self.buffer, libc::MSG_DONTWAIT | libc::MSG_TRUNC).map_err(|e| match e.kind() {
            io::ErrorKind::WouldBlock => io::Error::other("the kernel gave no answer"),
            _ => e,
        })?;
        if length > self.buffer.len() { Err(io::Error::other(format!("an answer of {length} bytes was cut"))) } else { Ok(()) }
    }
}

/// A message that answers a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Answer {
    pub kind: u16,
    pub body: Vec<u8>,
}

/// Adds one message with its header; `nlmsg_pid` 0 lets the kernel fill in the port.
pub(crate) fn append(bytes: &mut Vec<u8>, request: &Request, flags: u16, seq: u32) {
    let length = HEADER + request.body.len();
    bytes.extend_from_slice(&(length as u32).to_ne_bytes());
    bytes.extend_from_slice(&request.kind.to_ne_bytes());
    bytes.extend_from_slice(&(request.flags | flags).to_ne_bytes());
    bytes.extend_from_slice(&seq.to_ne_bytes());
    bytes.extend_from_slice(&0u32.to_ne_bytes());
    bytes.extend_from_slice(&request.body);
    bytes.resize(bytes.len() + wire::align(length) - length, 0);
}

/// What an NLMSG_ERROR says: error 0 is an acknowledgement.
pub(crate) fn acknowledgement(message: &Message<'_>) -> Result<(), Refusal> {
    let code = wire::i32_at(message.body, 0).unwrap_or(-libc::EPROTO);
    if code == 0 {
        return Ok(());
    }
    // struct nlmsgerr: the error, then the request (its header only if capped), then attributes.
    let repeated = if message.flags & NLM_F_CAPPED != 0 { HEADER } else { wire::u32_at(message.body, 4).unwrap_or(0) as usize };
    let attributes = message.body.get(4 + wire::align(repeated)..).filter(|_| message.flags & NLM_F_ACK_TLVS != 0);
    Err(refusal(code, attributes))
}

/// What an NLMSG_DONE says: a dump that failed half-way ends with its error (and, since 4.20, with attributes).
fn done(message: &Message<'_>) -> Result<(), Refusal> {
    match wire::i32_at(message.body, 0) {
        Some(code) if code < 0 => Err(refusal(code, message.body.get(4..))),
        _ => Ok(()),
    }
}

fn refusal(code: i32, attributes: Option<&[u8]>) -> Refusal {
    let text = attributes.and_then(|a| wire::attribute(a, NLMSGERR_ATTR_MSG)).map(wire::text).filter(|t| !t.is_empty());
    Refusal { errno: Errno::from_raw_os_error(code.checked_neg().unwrap_or(libc::EPROTO)), text }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As a 6.1 kernel answered a second use of one address: -EADDRINUSE, capped, with a text.
    #[test]
    fn the_extended_text_is_read() {
        let mut body = (-libc::EADDRINUSE).to_ne_bytes().to_vec();
        body.extend([0; HEADER]);
        body.extend([12, 0, 1, 0]);
        body.extend(b"In use.\0");
        let message = Message { kind: NLMSG_ERROR, flags: NLM_F_CAPPED | NLM_F_ACK_TLVS, seq: 1, body: &body };
        assert_eq!(acknowledgement(&message), Err(Refusal { errno: Errno::ADDRINUSE, text: Some("In use.".into()) }));
    }

    #[test]
    fn error_zero_is_an_acknowledgement() {
        let body = [0; 4 + HEADER];
        assert_eq!(acknowledgement(&Message { kind: NLMSG_ERROR, flags: NLM_F_CAPPED, seq: 1, body: &body }), Ok(()));
    }

    /// A real socket of this thread's namespace; asking changes nothing.
    #[test]
    fn every_answer_of_a_batch_is_matched() {
        let Ok(mut socket) = Socket::open() else { panic!("no netlink socket") };
        let lo = |index: u32| {
            let mut message = netlink_packet_route::link::LinkMessage::default();
            message.header.index = index;
            Request::new(&RouteNetlinkMessage::GetLink(message), 0)
        };
        let answers = socket.ask(&[lo(1), lo(0x7fff_fff0), lo(1)]).unwrap();
        assert!(answers[0].is_ok() && answers[2].is_ok());
        assert_eq!(answers[1].as_ref().unwrap_err().errno, Errno::NODEV);
        let before = sent();
        socket.ask(&[lo(1)]).unwrap();
        assert_eq!(sent(), Sent { sends: before.sends + 1, messages: before.messages + 1 });
    }
}
