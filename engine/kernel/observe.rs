//! Looking at the kernel by full dumps: the host, and the namespaces of workloads.

use crate::encode;
use crate::error::KernelError;
use crate::find::{Found, find_all};
use crate::inside;
use crate::seen::{self, Link, RTM_NEWNSID};
use crate::socket::{Refusal, Socket};
use crate::wire;
use bulkhead_core::endpoint::{Netns, NetnsId};
use bulkhead_core::host::IfIndex;
use bulkhead_core::observed::{InsideLink, NetnsSeen};
use ipnet::IpNet;
use std::collections::BTreeMap;
use std::io;
use std::net::IpAddr;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::Arc;

const NETNSA_NSID: u16 = 1;

/// The namespaces as dumps show them; `home` is the host's, in which parents are looked for.
pub(crate) fn namespaces(home: &Arc<OwnedFd>, wanted: &[Netns]) -> BTreeMap<NetnsId, NetnsSeen> {
    let found = find_all(wanted);
    let look = |(netns, found): (&Netns, Found)| {
        let seen = match found {
            Found::Gone => NetnsSeen::Gone,
            Found::Unknown(why) => NetnsSeen::Unknown(why),
            Found::There(fd) => match look_inside(home, &fd) {
                Ok(links) => NetnsSeen::There(links),
                Err(error) => NetnsSeen::Unknown(KernelError::io(format!("looking into {}", netns.named), error).why()),
            },
        };
        (netns.id, seen)
    };
    wanted.iter().zip(found).map(look).collect()
}

fn look_inside(home: &Arc<OwnedFd>, netns: &Arc<OwnedFd>) -> io::Result<Vec<InsideLink>> {
    let mut socket = inside::visit(netns, Socket::open)??;
    let links = told(seen::dump_links(&mut socket))?;
    let addresses = told(seen::dump_addresses(&mut socket))?;
    let routes = told(seen::dump_routes(&mut socket))?;
    // Asked after the dump: naming a lower link's namespace in it is what gives that namespace an id here.
    let host_id = nsid(&mut socket, home)?;
    let shown = |address: &IpNet| match address {
        IpNet::V4(_) => true,
        IpNet::V6(net) => !net.addr().is_unicast_link_local(),
    };
    let inside = |link: Link| InsideLink {
        index: IfIndex(link.index),
        ipvlan: parent_on(&link, host_id).and_then(|parent| link.ipvlan.map(|(mode, flag)| (mode, flag, parent))),
        name: link.name,
        alias: link.alias,
        mtu: link.mtu,
        up: link.up,
        addresses: {
            let mut own: Vec<IpNet> = addresses.iter().filter(|(l, a)| *l == link.index && shown(a)).map(|(_, a)| *a).collect();
            own.sort();
            own
        },
        routes: {
            let own = routes.iter().filter(|r| r.link == link.index && !r.kernels);
            let mut own: Vec<(IpNet, Option<IpAddr>)> = own.map(|r| (r.destination, r.gateway)).collect();
            own.sort();
            own
        },
    };
    Ok(links.into_iter().filter(|l| !l.loopback).map(inside).collect())
}

fn told<T>(dumped: io::Result<Result<T, Refusal>>) -> io::Result<T> {
    dumped?.map_err(|refusal| refusal.errno.into())
}

/// The id that the socket's namespace has for the host's, if it has one.
pub(crate) fn nsid(socket: &mut Socket, home: &Arc<OwnedFd>) -> io::Result<Option<i32>> {
    let answer = socket.ask(&[encode::get_nsid(home.as_fd())])?.pop();
    Ok(answer.and_then(Result::ok).and_then(|answer| read_nsid(answer.kind, &answer.body)))
}

/// From the answer to RTM_GETNSID: NETNSA_NSID is -1 (NETNSA_NSID_NOT_ASSIGNED) where there is none.
pub(crate) fn read_nsid(kind: u16, body: &[u8]) -> Option<i32> {
    let attributes = body.get(4..).filter(|_| kind == RTM_NEWNSID)?;
    wire::attribute(attributes, NETNSA_NSID).and_then(|v| wire::i32_at(v, 0)).filter(|id| *id >= 0)
}

/// The parent's index on the host, if the link's lower link is in the namespace that has the id `host_id` here.
pub(crate) fn parent_on(link: &Link, host_id: Option<i32>) -> Option<IfIndex> {
    link.lower.filter(|_| link.lower_nsid.is_some() && link.lower_nsid == host_id).map(IfIndex)
}
