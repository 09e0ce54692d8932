//! The mirror of the host: links, addresses, on-link routes and shields, kept from the kernel's notifications.
//!
//! It subscribes first and dumps then, so nothing falls between. One thread reads notifications, in the kernel's order,
//! and publishes an immutable [`Host`] after each run of them. Notifications that were lost (ENOBUFS: what they said is
//! not told) are made good by dumping anew, at most once per [`RESYNC_PAUSE`].
//!
//! [`Mirror::catch_up`] waits until all that the kernel did so far is in it. rtnetlink puts a change's notification into
//! our queue before it acknowledges the change; so an empty request sent over the mirror's own socket is acknowledged
//! behind all of them in the same queue, and no dump is needed to see one's own work.

use crate::error::KernelError;
use crate::modules;
use crate::seen::{self, Link, Route};
use crate::shield;
use crate::socket::{self, DUMP_BYTES, Refusal, Request, Socket};
use crate::wire;
use crate::{inside, netns};
use bulkhead_core::host::{Host, IfIndex, ShieldSeen};
use bulkhead_core::kernel::Notice;
use ipnet::IpNet;
use netlink_packet_core::{NLM_F_ACK, NLM_F_REQUEST, NLMSG_ERROR, NLMSG_NOOP};
use netlink_sys::protocols::NETLINK_ROUTE;

use rustix::net::sockopt;
use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::os::fd::OwnedFd;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError, RwLock};
use std::time::{Duration, Instant};

/// Bytes of notifications that may wait, some 10,000 of them; what is lost beyond that is made good.
pub(crate) const RECEIVE_BUFFER: usize = 16 << 20;
/// A storm of changes that loses notifications must not become a storm of dumps.
const RESYNC_PAUSE: Duration = Duration::from_secs(10);
/// Notifications that are applied before the host is published, at most.
const RUN_MAX: usize = 1024;
/// Longest wait for the mirror to catch up; it takes microseconds unless the thread is starved or dumping.
const CATCH_UP_MAX: Duration = Duration::from_secs(5);
// Multicast groups (include/uapi/linux/rtnetlink.h, `enum rtnetlink_groups`).
const RTNLGRP_LINK: u32 = 1;
const RTNLGRP_TC: u32 = 4;
const RTNLGRP_IPV4_IFADDR: u32 = 5;
const RTNLGRP_IPV4_ROUTE: u32 = 7;
const RTNLGRP_IPV6_IFADDR: u32 = 9;
const RTNLGRP_IPV6_ROUTE: u32 = 11;

type Callback = Arc<dyn Fn(Notice) + Send + Sync>;

pub(crate) struct Mirror {
    shared: Arc<Shared>,
    thread: Option<std::thread::JoinHandle<()>>,
}

struct Shared {
    socket: netlink_sys::Socket,
    host: RwLock<Arc<Host>>,
    callback: Mutex<Option<Callback>>,
    /// Sequence number of the last request to catch up.
    asked: AtomicU32,
    /// Sequence number of the last one that was answered.
    answered: Mutex<u32>,
    more: Condvar,
    stop: AtomicBool,
}

impl Mirror {
    /// Subscribes and dumps in `home`, the host's namespace; what it gives is complete.
    pub fn start(home: &Arc<OwnedFd>, receive_buffer: usize) -> Result<Self, KernelError> {
        let (subscribed, own_netns) = inside::visit(home, || (subscribe(receive_buffer), netns::own_cookie()))
            .map_err(|e| KernelError::io("entering the host's network namespace", e))?;
        let socket = subscribed.map_err(|e| KernelError::io("subscribing to rtnetlink notifications", e))?;
        let own_netns = own_netns.map_err(|e| KernelError::io("asking for the host namespace's cookie (Linux 5.14 or newer)", e))?;
        let mut asking = inside::visit(home, Socket::open).and_then(|s| s).map_err(|e| KernelError::io("opening a netlink socket", e))?;
        let mut template = Host::empty(netns::boot_id()?);
        template.own_netns = own_netns;
        template.missing = modules::missing();
        let mut tables = Tables::read(&mut asking, template)?;
        let shared = Arc::new(Shared {
            socket,
            host: RwLock::new(Arc::new(tables.host())),
            callback: Mutex::new(None),
            asked: AtomicU32::new(0),
            answered: Mutex::new(0),
            more: Condvar::new(),
            stop: AtomicBool::new(false),
        });
        let follower = Follower { shared: Arc::clone(&shared), asking, tables, last_resync: None, lost: false, waits_shortly: false };
        let thread = std::thread::Builder::new().name("host-mirror".into()).spawn(move || follower.run());
        let thread = thread.map_err(|e| KernelError::io("starting the mirror's thread", e))?;
        Ok(Mirror { shared, thread: Some(thread) })
    }

    pub fn host(&self) -> Arc<Host> {
        Arc::clone(&self.shared.host.read().unwrap_or_else(PoisonError::into_inner))
    }

    pub fn on_notice(&self, callback: Box<dyn Fn(Notice) + Send + Sync>) {
        *locked(&self.shared.callback) = Some(callback.into());
    }

    /// Waits until everything that the kernel has acknowledged so far is in [`Mirror::host`].
    pub fn catch_up(&self) {
        let Some(seq) = self.shared.ask() else { return };
        let answered = locked(&self.shared.answered);
        // Numbers wrap: the difference tells which is later.
        let waits = |answered: &mut u32| (seq.wrapping_sub(*answered) as i32) > 0;
        let result = self.shared.more.wait_timeout_while(answered, CATCH_UP_MAX, waits);
        if result.is_ok_and(|(_, timeout)| timeout.timed_out()) {
            tracing::warn!("the mirror of the host did not catch up within {CATCH_UP_MAX:?}");
        }
    }
}

impl Drop for Mirror {
    fn drop(&mut self) {
        self.shared.stop.store(true, Ordering::Release);
        // Wakes the thread. Without an answer it would sleep until the next notification, and is then left to that.
        let asked = self.shared.ask().is_some();
        if let Some(thread) = self.thread.take().filter(|t| asked && t.thread().id() != std::thread::current().id()) {
            let _ = thread.join();
        }
    }
}

impl Shared {
    /// Sends a request that only asks for an acknowledgement (af_netlink.c, `netlink_rcv_skb`: types below NLMSG_MIN_TYPE).
    fn ask(&self) -> Option<u32> {
        let seq = self.asked.fetch_add(1, Ordering::AcqRel).wrapping_add(1);
        let mut bytes = Vec::new();
        let request = Request { kind: NLMSG_NOOP, flags: NLM_F_REQUEST | NLM_F_ACK, body: Vec::new() };
        socket::append(&mut bytes, &request, 0, seq);
        match self.socket.send(&bytes, 0) {
            Ok(_) => Some(seq),
            Err(error) => {
                tracing::warn!(%error, "the mirror's socket takes no request");
                None
            }
        }
    }

    fn answer(&self, seq: u32) {
        let mut answered = locked(&self.answered);
        if (seq.wrapping_sub(*answered) as i32) > 0 {
            *answered = seq;
            self.more.notify_all();
        }
    }
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn subscribe(receive_buffer: usize) -> io::Result<netlink_sys::Socket> {
    let mut socket = netlink_sys::Socket::new(NETLINK_ROUTE)?;
    // Needs CAP_NET_ADMIN in the initial user namespace; elsewhere the default has to do, with more resyncs.
    if let Err(error) = sockopt::set_socket_recv_buffer_size_force(&socket, receive_buffer) {
        tracing::warn!(%error, "the receive buffer stays small; changes in storms will be read anew more often");
    }
    socket.bind_auto()?;
    for group in [RTNLGRP_LINK, RTNLGRP_TC, RTNLGRP_IPV4_IFADDR, RTNLGRP_IPV4_ROUTE, RTNLGRP_IPV6_IFADDR, RTNLGRP_IPV6_ROUTE] {
        socket.add_membership(group)?;
    }
    Ok(socket)
}

/// What the host consists of, as read so far.
pub(crate) struct Tables {
    /// Its `on_link` follows from `routes` and is brought up to date by [`Tables::host`].
    host: Host,
    routes: BTreeSet<Route>,
    /// Addresses that were told before their link.
    early: BTreeMap<u32, Vec<IpNet>>,
    /// Whether something changed since [`Tables::host`] was last asked.
    changed: bool,
}

impl Tables {
    /// Dumps everything. `template` brings what no dump tells: boot, own namespace, missing modules.
    pub fn read(socket: &mut Socket, mut template: Host) -> Result<Self, KernelError> {
        template.links = Host::empty(template.boot).links;
        let mut tables = Tables { host: template, routes: BTreeSet::new(), early: BTreeMap::new(), changed: true };
        let links = told("ip link show", seen::dump_links(socket))?;
        let addresses = told("ip address show", seen::dump_addresses(socket))?;
        let routes = told("ip route show", seen::dump_routes(socket))?;
        let shielded = told("tc qdisc show", shield::candidates(socket))?;
        addresses.into_iter().for_each(|(link, address)| tables.add_address(link, address));
        links.iter().for_each(|link| tables.put_link(link));
        tables.early.clear();
        tables.routes = routes.into_iter().filter(Route::is_subnet).collect();
        for index in shielded {
            tables.examine_shield(socket, index);
        }
        Ok(tables)
    }

    /// The host as of the last notification.
    pub fn host(&mut self) -> Host {
        self.changed = false;
        self.host.on_link = self.routes.iter().map(|r| r.destination).collect::<BTreeSet<_>>().into_iter().collect();
        self.host.clone()
    }

    fn put_link(&mut self, link: &Link) {
        let index = IfIndex(link.index);
        let old = self.host.links.get(&index);
        let (addresses, shield) = match old {
            Some(old) => (old.addresses.clone(), old.shield.clone()),
            None => (self.early.remove(&link.index).unwrap_or_default(), ShieldSeen::default()),
        };
        let new = link.to_host_link(addresses, shield);
        if old != Some(&new) {
            self.host.links.insert(index, new);
            self.changed = true;
        }
        if !link.up {
            // The kernel flushes the IPv4 routes of a link that goes down without a word (net/ipv4/fib_frontend.c, `fib_disable_ip`).
            self.drop_routes(|r| r.link == link.index && r.destination.addr().is_ipv4());
        }
    }

    fn drop_link(&mut self, index: u32) {
        self.changed |= self.host.links.remove(&IfIndex(index)).is_some();
        self.drop_routes(|r| r.link == index);
        self.early.remove(&index);
    }

    fn drop_routes(&mut self, gone: impl Fn(&Route) -> bool) {
        let before = self.routes.len();
        self.routes.retain(|r| !gone(r));
        self.changed |= before != self.routes.len();
    }

    fn add_address(&mut self, link: u32, address: IpNet) {
        let addresses = match self.host.links.get_mut(&IfIndex(link)) {
            Some(link) => &mut link.addresses,
            None => self.early.entry(link).or_default(),
        };
        if !addresses.contains(&address) {
            addresses.push(address);
            addresses.sort();
            self.changed = true;
        }
    }

    fn drop_address(&mut self, link: u32, address: IpNet) {
        if let Some(link) = self.host.links.get_mut(&IfIndex(link)) {
            link.addresses.retain(|a| *a != address);
            self.changed = true;
        }
    }

    fn examine_shield(&mut self, socket: &mut Socket, index: u32) {
        let Some(link) = self.host.links.get_mut(&IfIndex(index)) else { return };
        match shield::seen(socket, IfIndex(index)) {
            Ok(Ok(shield)) => {
                self.changed |= link.shield != shield;
                link.shield = shield;
            }
            Ok(Err(refusal)) => tracing::warn!(link = link.name, ?refusal, "the shield cannot be looked at"),
            Err(error) => tracing::warn!(link = link.name, %error, "the shield cannot be looked at"),
        }
    }

    /// Applies one notification. Adds the links whose filters may have changed.
    fn apply(&mut self, message: &wire::Message<'_>, filters: &mut BTreeSet<u32>) {
        match message.kind {
            seen::RTM_NEWLINK => Link::read(message.body).iter().for_each(|link| self.put_link(link)),
            // With family AF_BRIDGE it only tells that a port left its bridge.
            seen::RTM_DELLINK if message.body.first() == Some(&0) => wire::u32_at(message.body, 4).iter().for_each(|i| self.drop_link(*i)),
            seen::RTM_NEWADDR => seen::address(message.body).iter().for_each(|(link, a)| self.add_address(*link, *a)),
            seen::RTM_DELADDR => seen::address(message.body).iter().for_each(|(link, a)| self.drop_address(*link, *a)),
            seen::RTM_NEWROUTE => {
                if let Some(route) = Route::read(message.body).filter(Route::is_subnet) {
                    self.changed |= self.routes.insert(route);
                }
            }
            seen::RTM_DELROUTE => {
                if let Some(route) = Route::read(message.body) {
                    self.changed |= self.routes.remove(&route);
                }
            }
            shield::RTM_NEWQDISC | shield::RTM_DELQDISC | shield::RTM_NEWTFILTER | shield::RTM_DELTFILTER => {
                match wire::u32_at(message.body, 4) {
                    Some(shield::SHARED_BLOCK) => filters.extend(self.host.links.keys().map(|i| i.0)),
                    index => filters.extend(index),
                }
            }
            _ => {}
        }
    }
}

/// One of the dumps, or why it failed.
fn told<T>(tried: &str, dumped: io::Result<Result<T, Refusal>>) -> Result<T, KernelError> {
    match dumped {
        Ok(Ok(found)) => Ok(found),
        Ok(Err(Refusal { errno, text })) => Err(KernelError::Refused { tried: tried.to_owned(), text, errno }),
        Err(source) => Err(KernelError::io(tried, source)),
    }
}

/// The thread that follows the notifications.
struct Follower {
    shared: Arc<Shared>,
    /// For dumps; the subscribed socket is only listened to.
    asking: Socket,
    tables: Tables,
    last_resync: Option<Instant>,
    /// Whether notifications were lost since.
    lost: bool,
    /// Whether the socket has a timeout.
    waits_shortly: bool,
}

impl Follower {
    fn run(mut self) {
        let mut buffer = Vec::with_capacity(DUMP_BYTES);
        while !self.shared.stop.load(Ordering::Acquire) {
            if self.lost && self.pause().is_zero() {
                self.resync(&mut buffer);
            }
            self.turn(&mut buffer);
        }
    }

    /// Waits for a notification, applies all that are there, publishes.
    fn turn(&mut self, buffer: &mut Vec<u8>) {
        let wait = self.lost.then(|| self.pause().max(Duration::from_millis(1)));
        if wait.is_some() || self.waits_shortly {
            self.waits_shortly = wait.is_some();
            if let Err(error) = sockopt::set_socket_timeout(&self.shared.socket, sockopt::Timeout::Recv, wait) {
                tracing::warn!(%error, "SO_RCVTIMEO on the mirror's socket");
            }
        }
        let mut filters = BTreeSet::new();
        let mut answered = None;
        for at in 0..RUN_MAX {
            match self.receive(buffer, at == 0) {
                Ok(()) => {
                    for message in wire::messages(buffer) {
                        match message.kind {
                            NLMSG_ERROR => answered = Some(message.seq),
                            _ => self.tables.apply(&message, &mut filters),
                        }
                    }
                }
                Err(error) if error.raw_os_error() == Some(libc::ENOBUFS) => {
                    tracing::warn!("notifications of the host's links were lost; everything will be read anew");
                    self.lost = true;
                    if self.pause().is_zero() {
                        return self.resync(buffer);
                    }
                    // Answers may be among what was lost: who waits gets what is known, rather than nothing for ten seconds.
                    answered = Some(self.shared.asked.load(Ordering::Acquire));
                }
                Err(error) if matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted) => break,
                Err(error) => {
                    tracing::error!(%error, "the mirror's socket failed; everything will be read anew");
                    std::thread::sleep(Duration::from_secs(1));
                    self.lost = true;
                    break;
                }
            }
        }
        for index in filters {
            self.tables.examine_shield(&mut self.asking, index);
        }
        let changed = self.tables.changed;
        if changed {
            self.publish();
        }
        if let Some(seq) = answered {
            self.shared.answer(seq);
        }
        if changed {
            self.notify(Notice::HostChanged);
        }
    }

    fn receive(&self, buffer: &mut Vec<u8>, wait: bool) -> io::Result<()> {
        buffer.clear();
        buffer.reserve(DUMP_BYTES);
        self.shared.socket.recv(buffer, if wait { 0 } else { libc::MSG_DONTWAIT }).map(drop)
    }

    /// How long the next resync has to wait.
    fn pause(&self) -> Duration {
        self.last_resync.map_or(Duration::ZERO, |last| RESYNC_PAUSE.saturating_sub(last.elapsed()))
    }

    fn resync(&mut self, buffer: &mut Vec<u8>) {
        // What still waits is older than the dump to come, and what would have corrected it may be lost.
        loop {
            match self.receive(buffer, false) {
                Ok(()) => {}
                Err(error) if error.raw_os_error() == Some(libc::ENOBUFS) => {}
                Err(_) => break,
            }
        }
        // Whoever has asked by now asked about changes that the dump will show; their answers were thrown away above.
        let asked = self.shared.asked.load(Ordering::Acquire);
        let mut template = self.tables.host.clone();
        template.missing = modules::missing();
        self.last_resync = Some(Instant::now());
        match Tables::read(&mut self.asking, template) {
            Ok(tables) => {
                self.tables = tables;
                self.lost = false;
                self.publish();
                self.shared.answer(asked);
                self.notify(Notice::Resynced);
            }
            Err(error) => {
                tracing::error!(error = error.why(), "the host could not be read anew; trying again in {RESYNC_PAUSE:?}");
                self.shared.answer(asked);
            }
        }
    }

    fn publish(&mut self) {
        let host = Arc::new(self.tables.host());
        *self.shared.host.write().unwrap_or_else(PoisonError::into_inner) = host;
    }

    fn notify(&self, notice: Notice) {
        let callback = locked(&self.shared.callback).clone();
        if let Some(callback) = callback {
            callback(notice);
        }
    }
}

/// The host as dumps show it now, without a mirror.
pub(crate) fn read_host(socket: &mut Socket, like: &Host) -> Result<Host, KernelError> {
    let mut template = like.clone();
    template.missing = modules::missing();
    Ok(Tables::read(socket, template)?.host())
}
