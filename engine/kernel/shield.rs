//! The shield: two tc filters on a parent, put up, taken down and looked at without a `tc` process.
//!
//! Both are cls_bpf programs in classic bytecode with the action "drop", on the parent's clsact, at pref 1 or as near to it
//! as other people's filters allow. A filter is ours by its bytecode and action, so one that was put up by hand as the plan
//! prints it counts, too. Its action carries a cookie that says whether the clsact under it was made by us: so that it goes
//! with the last filter, and that one which was there before stays, restarts of the daemon included.
//! Sources: include/uapi/linux/pkt_cls.h; net/sched/cls_api.c, cls_bpf.c, act_api.c, sch_ingress.c.

use crate::socket::{Refusal, Request, Socket};
use crate::wire::{self, Message};
use bulkhead_core::host::{IfIndex, ShieldSeen};
use bulkhead_core::parent::ShieldHalves;
use bulkhead_core::plan::{SHIELD_EGRESS, SHIELD_INGRESS};
use netlink_packet_core::{DefaultNla, Emitable, NLM_F_CREATE, NLM_F_EXCL, Nla};
use netlink_packet_route::RouteNetlinkMessage;
use netlink_packet_route::tc::{TcAttribute, TcHandle, TcMessage, TcOption};
use rustix::io::Errno;
use std::collections::BTreeSet;
use std::io;
use std::mem::size_of_val;

// include/uapi/linux/rtnetlink.h
pub(crate) const RTM_NEWQDISC: u16 = 36;
pub(crate) const RTM_DELQDISC: u16 = 37;
pub(crate) const RTM_NEWTFILTER: u16 = 44;
pub(crate) const RTM_DELTFILTER: u16 = 45;
/// Index of a shared block instead of a link (include/uapi/linux/rtnetlink.h, TCM_IFINDEX_MAGIC_BLOCK).
pub(crate) const SHARED_BLOCK: u32 = u32::MAX;
const TCA_KIND: u16 = 1;
const TCA_OPTIONS: u16 = 2;
const TCA_CHAIN: u16 = 11;
const TCA_BPF_ACT: u16 = 1;
const TCA_BPF_OPS_LEN: u16 = 4;
const TCA_BPF_OPS: u16 = 5;
const TCA_ACT_KIND: u16 = 1;
const TCA_ACT_OPTIONS: u16 = 2;
const TCA_ACT_COOKIE: u16 = 6;
const TCA_GACT_PARMS: u16 = 2;
const TC_ACT_UNSPEC: i32 = -1;
const TC_ACT_SHOT: i32 = 2;
const ETH_P_ALL: u16 = 3;
/// Cookies are at most 16 bytes (TC_COOKIE_MAX_SIZE).
const COOKIE: &[u8] = b"bulkhead";
const COOKIE_MADE_CLSACT: &[u8] = b"bulkhead+clsact";
const CREATE: u16 = NLM_F_CREATE | NLM_F_EXCL;

/// The two places of a clsact.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Half {
    Egress,
    Ingress,
}

impl Half {
    const BOTH: [Half; 2] = [Half::Egress, Half::Ingress];

    fn parent(self) -> TcHandle {
        let minor = match self {
            Half::Egress => TcHandle::MIN_EGRESS,
            Half::Ingress => TcHandle::MIN_INGRESS,
        };
        TcHandle { major: u16::MAX, minor }
    }
    fn name(self) -> &'static str {
        match self {
            Half::Egress => "egress",
            Half::Ingress => "ingress",
        }
    }
    fn bytecode(self) -> Vec<u8> {
        bytecode(match self {
            Half::Egress => SHIELD_EGRESS,
            Half::Ingress => SHIELD_INGRESS,
        })
    }
    /// Attach type of tcx programs, which run before all filters (include/uapi/linux/bpf.h, since Linux 6.6).
    fn tcx(self) -> u32 {
        match self {
            Half::Ingress => 46,
            Half::Egress => 47,
        }
    }
    fn wanted(self, halves: ShieldHalves) -> bool {
        match self {
            Half::Egress => halves.egress,
            Half::Ingress => halves.ingress,
        }
    }
}

/// `struct sock_filter`s from the text that `tc` takes: the number of instructions, then `code jt jf k` for each
/// (include/uapi/linux/filter.h).
fn bytecode(text: &str) -> Vec<u8> {
    let mut bytes = Vec::new();
    for instruction in text.split(',').skip(1) {
        let mut numbers = instruction.split_whitespace().map(|n| n.parse::<u32>().unwrap_or_default());
        let mut next = || numbers.next().unwrap_or_default();
        bytes.extend((next() as u16).to_ne_bytes());
        bytes.extend([next() as u8, next() as u8]);
        bytes.extend(next().to_ne_bytes());
    }
    bytes
}

/// One filter on a half.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Filter {
    pref: u16,
    protocol: u16,
    handle: u32,
    kind: String,
    ours: bool,
    made_clsact: bool,
    /// It may end the classification and let the frame pass.
    may_pass: bool,
}

fn read_filter(message: &Message<'_>, half: Half) -> Option<Filter> {
    let body = message.body;
    let (handle, info) = (wire::u32_at(body, 8)?, wire::u32_at(body, 16)?);
    // Beside each filter the kernel lists the place that holds filters of one pref, with handle 0.
    if message.kind != RTM_NEWTFILTER || handle == 0 {
        return None;
    }
    let attributes = body.get(20..)?;
    let kind = wire::attribute(attributes, TCA_KIND).map(wire::text)?;
    let options = wire::attribute(attributes, TCA_OPTIONS).unwrap_or_default();
    let chain = wire::attribute(attributes, TCA_CHAIN).and_then(|v| wire::u32_at(v, 0)).unwrap_or(0);
    if chain != 0 {
        return None; // Reached only through a filter of chain 0, which is judged itself.
    }
    let acts = (kind == "bpf").then(|| wire::attribute(options, TCA_BPF_ACT)).flatten().map(actions).unwrap_or_default();
    let code = (kind == "bpf").then(|| wire::attribute(options, TCA_BPF_OPS)).flatten();
    let drops = acts.first().is_some_and(|a| a.verdict == Some(TC_ACT_SHOT));
    let (pref, protocol) = ((info >> 16) as u16, u16::from_be(info as u16));
    Some(Filter {
        pref,
        protocol,
        handle,
        ours: drops && protocol == ETH_P_ALL && code == Some(&half.bytecode()),
        made_clsact: acts.iter().any(|a| a.cookie == COOKIE_MADE_CLSACT),
        // Only what surely drops or surely goes on is harmless; the actions of other kinds are not looked into.
        may_pass: !acts.first().is_some_and(|a| matches!(a.verdict, Some(TC_ACT_SHOT | TC_ACT_UNSPEC))),
        kind,
    })
}

struct Action {
    /// Of a gact; others are not judged.
    verdict: Option<i32>,
    cookie: Vec<u8>,
}

fn actions(list: &[u8]) -> Vec<Action> {
    let one = |action: &[u8]| {
        let gact = wire::attribute(action, TCA_ACT_KIND).is_some_and(|k| wire::text(k) == "gact");
        let parms = wire::attribute(action, TCA_ACT_OPTIONS).and_then(|o| wire::attribute(o, TCA_GACT_PARMS)).filter(|_| gact);
        Action {
            verdict: parms.and_then(|p| wire::i32_at(p, 8)),
            cookie: wire::attribute(action, TCA_ACT_COOKIE).unwrap_or_default().to_vec(),
        }
    };
    wire::attributes(list).map(|(_, action)| one(action)).collect()
}

/// The filters of one half, in the order in which they run.
fn list(socket: &mut Socket, index: IfIndex, half: Half) -> io::Result<Result<Vec<Filter>, Refusal>> {
    let request = Request::new(&RouteNetlinkMessage::GetTrafficFilter(message(index, half.parent())), 0);
    let found = socket.dump(&request, Vec::new, |found, message| found.extend(read_filter(&message, half)))?;
    Ok(match found {
        Err(refusal) if matches!(refusal.errno, Errno::NOENT | Errno::NODEV | Errno::INVAL) => Ok(Vec::new()),
        found => found,
    })
}

/// The shield on one link, as it is now.
pub(crate) fn seen(socket: &mut Socket, index: IfIndex) -> io::Result<Result<ShieldSeen, Refusal>> {
    let mut seen = ShieldSeen::default();
    for half in Half::BOTH {
        let filters = match list(socket, index, half)? {
            Ok(filters) => filters,
            Err(refusal) => return Ok(Err(refusal)),
        };
        let Some(ours) = filters.iter().position(|f| f.ours) else { continue };
        match half {
            Half::Egress => seen.egress = true,
            Half::Ingress => seen.ingress = true,
        }
        let foreign = filters[..ours].iter().find(|f| f.may_pass).map(|f| format!("{} filter {} at pref {}", half.name(), f.kind, f.pref));
        let program = || (tcx_programs(index, half) > 0).then(|| format!("a tcx program at {}", half.name()));
        seen.bypassed_by = seen.bypassed_by.or_else(program).or(foreign);
    }
    Ok(Ok(seen))
}

/// Links that have a clsact or ingress qdisc: only there can filters of ours be.
pub(crate) fn candidates(socket: &mut Socket) -> io::Result<Result<BTreeSet<u32>, Refusal>> {
    let request = Request::new(&RouteNetlinkMessage::GetQueueDiscipline(TcMessage::default()), 0);
    socket.dump(&request, BTreeSet::new, |found, message| {
        if message.kind == RTM_NEWQDISC && is_clsact(message.body) {
            found.extend(wire::u32_at(message.body, 4));
        }
    })
}

fn is_clsact(body: &[u8]) -> bool {
    let kind = body.get(20..).and_then(|a| wire::attribute(a, TCA_KIND)).map(wire::text);
    matches!(kind.as_deref(), Some("clsact" | "ingress"))
}

/// Puts up the halves that are missing. An existing clsact is used as it is.
pub(crate) fn put_up(socket: &mut Socket, index: IfIndex, halves: ShieldHalves) -> io::Result<Result<(), Refusal>> {
    let mut made = false;
    let mut missing = Vec::new();
    for half in Half::BOTH.into_iter().filter(|h| h.wanted(halves)) {
        match list(socket, index, half)? {
            Err(refusal) => return Ok(Err(refusal)),
            Ok(filters) if filters.iter().any(|f| f.ours) => made |= filters.iter().any(|f| f.ours && f.made_clsact),
            Ok(filters) => missing.push((half, filters)),
        }
    }
    if missing.is_empty() {
        return Ok(Ok(()));
    }
    match send(socket, add_clsact(index))? {
        Ok(()) => made = true,
        Err(refusal) if refusal.errno == Errno::EXIST => {}
        Err(refusal) => return Ok(Err(refusal)),
    }
    for (half, filters) in missing {
        // A place is one kind and one protocol; the first that is free or of our kind will do.
        let fits = |pref: u16| filters.iter().filter(|f| f.pref == pref).all(|f| f.kind == "bpf" && f.protocol == ETH_P_ALL);
        let pref = (1..u16::MAX).find(|pref| fits(*pref)).unwrap_or(1);
        if let Err(refusal) = send(socket, add_filter(index, half, pref, made))? {
            return Ok(Err(refusal));
        }
    }
    Ok(Ok(()))
}

/// Takes down our filters, and the clsact if we made it and nothing else is in it. Not there is fine.
pub(crate) fn take_down(socket: &mut Socket, index: IfIndex) -> io::Result<Result<(), Refusal>> {
    let (mut ours, mut others, mut made) = (false, false, false);
    for half in Half::BOTH {
        let filters = match list(socket, index, half)? {
            Ok(filters) => filters,
            Err(refusal) => return Ok(Err(refusal)),
        };
        for filter in filters {
            if !filter.ours {
                others = true;
                continue;
            }
            ours = true;
            made |= filter.made_clsact;
            match send(socket, del_filter(index, half, &filter))? {
                Err(refusal) if !is_absence(refusal.errno) => return Ok(Err(refusal)),
                _ => {}
            }
        }
    }
    if ours && made && !others {
        match send(socket, del_clsact(index))? {
            Err(refusal) if !is_absence(refusal.errno) => return Ok(Err(refusal)),
            _ => {}
        }
    }
    Ok(Ok(()))
}

/// What the kernel says when there is nothing to delete: no link, no qdisc (EINVAL), no filter.
fn is_absence(errno: Errno) -> bool {
    matches!(errno, Errno::NOENT | Errno::NODEV | Errno::INVAL)
}

fn send(socket: &mut Socket, request: Request) -> io::Result<Result<(), Refusal>> {
    let mut results = socket.batch(&[request])?;
    results.pop().ok_or_else(|| io::Error::other("no answer"))
}

fn message(index: IfIndex, parent: TcHandle) -> TcMessage {
    let mut message = TcMessage::with_index(index.0 as i32);
    message.header.parent = parent;
    message
}

fn clsact(index: IfIndex) -> TcMessage {
    let mut message = message(index, TcHandle::CLSACT);
    message.header.handle = TcHandle { major: u16::MAX, minor: 0 };
    message.attributes = vec![TcAttribute::Kind("clsact".into())];
    message
}

fn add_clsact(index: IfIndex) -> Request {
    Request::new(&RouteNetlinkMessage::NewQueueDiscipline(clsact(index)), CREATE)
}

fn del_clsact(index: IfIndex) -> Request {
    Request::new(&RouteNetlinkMessage::DelQueueDiscipline(clsact(index)), 0)
}

/// The kernel takes the protocol in network order (net/sched/cls_api.c, `tc_new_tfilter`).
fn filter(index: IfIndex, half: Half, pref: u16, handle: u32) -> TcMessage {
    let mut message = message(index, half.parent());
    message.header.handle = handle.into();
    message.header.info = (u32::from(pref) << 16) | u32::from(ETH_P_ALL.to_be());
    message.attributes = vec![TcAttribute::Kind("bpf".into())];
    message
}

fn add_filter(index: IfIndex, half: Half, pref: u16, made_clsact: bool) -> Request {
    let code = half.bytecode();
    let instructions = (code.len() / 8) as u16;
    // struct tc_gact: index, capabilities, action, reference and binding counts.
    let parms: Vec<u8> = [0, 0, TC_ACT_SHOT, 0, 0].iter().flat_map(|n: &i32| n.to_ne_bytes()).collect();
    let nested = netlink_packet_core::NLA_F_NESTED;
    let gact = [
        DefaultNla::new(TCA_ACT_KIND, b"gact\0".to_vec()),
        DefaultNla::new(TCA_ACT_OPTIONS | nested, nest(&[DefaultNla::new(TCA_GACT_PARMS, parms)])),
        DefaultNla::new(TCA_ACT_COOKIE, if made_clsact { COOKIE_MADE_CLSACT } else { COOKIE }.to_vec()),
    ];
    let options = [
        DefaultNla::new(TCA_BPF_ACT, nest(&[DefaultNla::new(1, nest(&gact))])),
        DefaultNla::new(TCA_BPF_OPS_LEN, instructions.to_ne_bytes().to_vec()),
        DefaultNla::new(TCA_BPF_OPS, code),
    ];
    let mut message = filter(index, half, pref, 0);
    message.attributes.push(TcAttribute::Options(options.into_iter().map(TcOption::Other).collect()));
    Request::new(&RouteNetlinkMessage::NewTrafficFilter(message), CREATE)
}

fn del_filter(index: IfIndex, half: Half, found: &Filter) -> Request {
    Request::new(&RouteNetlinkMessage::DelTrafficFilter(filter(index, half, found.pref, found.handle)), 0)
}

fn nest<T: Nla>(attributes: &[T]) -> Vec<u8> {
    let mut bytes = vec![0; attributes.buffer_len()];
    attributes.emit(&mut bytes);
    bytes
}

/// How many tcx programs the link has; 0 where the kernel has no such thing, or lets nobody ask.
fn tcx_programs(index: IfIndex, half: Half) -> u32 {
    const BPF_PROG_QUERY: libc::c_int = 16;
    /// `union bpf_attr`, the part named `query` (include/uapi/linux/bpf.h).
    #[repr(C)]
    #[derive(Default)]
    struct Query {
        target_ifindex: u32,
        attach_type: u32,
        query_flags: u32,
        attach_flags: u32,
        prog_ids: u64,
        prog_cnt: u32,
        pad: u32,
        prog_attach_flags: u64,
        link_ids: u64,
        link_attach_flags: u64,
        revision: u64,
    }
    let mut query = Query { target_ifindex: index.0, attach_type: half.tcx(), ..Query::default() };
    // SAFETY: BPF_PROG_QUERY reads and writes at most the given size of its argument, which is ours for the call; `prog_ids`
    // and the other pointers are null with a count of 0, so the kernel only fills in the count.
    let done = unsafe { libc::syscall(libc::SYS_bpf, BPF_PROG_QUERY, &raw mut query, size_of_val(&query)) };
    if done == 0 { query.prog_cnt } else { 0 }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What `tc filter add dev … egress pref 1 protocol all bpf bytecode '…' action drop` (iproute2 6.1) sends, but for our cookie.
    #[test]
    fn the_egress_half_is_what_tc_sends() {
        let request = add_filter(IfIndex(3), Half::Egress, 1, true);
        let mut expected = vec![0, 0, 0, 0, 3, 0, 0, 0, 0, 0, 0, 0, 0xf3, 0xff, 0xff, 0xff];
        expected.extend(66304u32.to_ne_bytes());
        expected.extend(b"\x08\x00\x01\x00bpf\x00\x94\x00\x02\x00\x44\x00\x01\x00\x40\x00\x01\x00\x09\x00\x01\x00gact\x00\x00\x00\x00");
        expected
            .extend(b"\x1c\x00\x02\x80\x18\x00\x02\x00\x00\x00\x00\x00\x00\x00\x00\x00\x02\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00");
        expected.extend(b"\x13\x00\x06\x00bulkhead+clsact\x00");
        expected
            .extend(b"\x06\x00\x04\x00\x08\x00\x00\x00\x44\x00\x05\x00\x20\x00\x00\x00\x30\xf0\xff\xff\x15\x00\x00\x04\x00\x00\x00\x00");
        expected.extend(b"\x28\x00\x00\x00\x0c\x00\x00\x00\x15\x00\x03\x00\x00\x81\x00\x00\x15\x00\x02\x00\xa8\x88\x00\x00");
        expected.extend(b"\x15\x00\x01\x00\x00\x91\x00\x00\x06\x00\x00\x00\x00\x00\x00\x00\x06\x00\x00\x00\xff\xff\xff\xff");
        assert_eq!(request, Request { kind: RTM_NEWTFILTER, flags: 0x601, body: expected });
    }

    #[test]
    fn what_we_send_is_recognised_as_ours_on_its_own_half_only() {
        for (half, other) in [(Half::Egress, Half::Ingress), (Half::Ingress, Half::Egress)] {
            let mut body = add_filter(IfIndex(3), half, 1, false).body;
            body[8] = 1; // The kernel gives it a handle.
            let message = Message { kind: RTM_NEWTFILTER, flags: 0, seq: 0, body: &body };
            assert!(read_filter(&message, half).unwrap().ours);
            assert!(!read_filter(&message, other).unwrap().ours);
        }
    }
}
