//! A simulated kernel: the same trait over plain data, deterministic, with failures on demand.
//!
//! It follows the rules of the real one that plans can run into: what is taken (names, indexes, addresses, receive
//! handlers), what takes what along (parents their links, batches their later messages), one mode per parent, MTUs that
//! follow. `tests/real.rs` runs the same plans on both and compares what is observed.

use crate::error::KernelError;
use crate::run::{self, Ground};
use bulkhead_core::endpoint::{Netns, NetnsId};
use bulkhead_core::host::{Flag, Host, HostLink, IfIndex, LinkKind, Mac, Mode, ShieldSeen, kind_text};
use bulkhead_core::ids::BootId;
use bulkhead_core::kernel::{Kernel, Notice};
use bulkhead_core::observed::{InsideLink, NetnsSeen, Observed};
use bulkhead_core::plan::{Plan, Settled, Step};
use bulkhead_core::record::Recorded;
use ipnet::IpNet;
use rustix::io::Errno;
use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::os::fd::OwnedFd;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// A failure to come, of the next plan that gets there; each happens once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Failure {
    /// Step `n` of a plan, counted from 0, is refused (EIO).
    Step(usize),
    /// The plan's namespace vanishes just before step `n`.
    NamespaceGone(usize),
    /// Undo step `n` is refused (EIO).
    Undo(usize),
    /// The process ends just before step `n`: nothing more is done, nothing undone, and the answer never reaches anybody
    /// (what `apply` returns then is to be thrown away with the rest of the process).
    Crash(usize),
}

/// The simulated kernel.
pub struct SimKernel {
    world: Mutex<World>,
    /// Cookie of the next namespace: never used twice.
    next_cookie: AtomicU64,
    failures: Mutex<Vec<Failure>>,
    callback: Mutex<Option<Callback>>,
}

type Callback = Arc<dyn Fn(Notice) + Send + Sync>;

impl std::fmt::Debug for SimKernel {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SimKernel").field("world", &*self.world()).field("failures", &*locked(&self.failures)).finish_non_exhaustive()
    }
}

/// All that the simulated kernel holds. Compare two to see that nothing was left behind.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct World {
    /// The host. `on_link` and `missing` are as they were put.
    pub host: Host,
    /// Namespaces that are there, by cookie.
    pub namespaces: BTreeMap<u64, SimNetns>,
}

/// A namespace of the simulated kernel.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SimNetns {
    /// As requests and records know it.
    pub record: Netns,
    /// Its links, loopback left out.
    pub links: BTreeMap<IfIndex, InsideLink>,
    /// Links on which router advertisements are refused.
    pub refuses_ra: BTreeSet<IfIndex>,
    /// Links that announce their addresses when they go up.
    pub announces: BTreeSet<IfIndex>,
}

impl SimKernel {
    /// A host with nothing but its loopback.
    pub fn new(boot: BootId) -> Arc<Self> {
        let mut host = Host::empty(boot);
        host.own_netns = 1;
        let mut lo = physical(IfIndex(1), "lo", Mac([0; 6]));
        lo.kind = LinkKind::Loopback;
        lo.mac = None;
        lo.permanent_mac = None;
        lo.mtu = 65536;
        lo.addresses = "127.0.0.1/8".parse().into_iter().collect();
        host.links.insert(lo.index, lo);
        let world = World { host, namespaces: BTreeMap::new() };
        Arc::new(SimKernel {
            world: Mutex::new(world),
            next_cookie: AtomicU64::new(0x1000),
            failures: Mutex::new(Vec::new()),
            callback: Mutex::new(None),
        })
    }

    /// Adds a physical link that is up, with the next free index below 1000 and a MAC that follows from it.
    pub fn add_physical(&self, name: &str) -> IfIndex {
        self.change(|world| {
            let index = IfIndex((2..1000).find(|i| !world.host.links.contains_key(&IfIndex(*i))).unwrap_or(1000));
            let [.., high, low] = index.0.to_be_bytes();
            world.host.links.insert(index, physical(index, name, Mac([0x00, 0x16, 0x3e, 0, high, low])));
            index
        })
    }

    /// Adds a namespace; its cookie follows from how many there ever were.
    pub fn add_netns(&self, named: &str) -> Netns {
        let cookie = self.next_cookie.fetch_add(1, Ordering::Relaxed);
        let mut world = self.world();
        let id = NetnsId { cookie, boot: world.host.boot };
        let record = Netns { id, inode: 4_026_532_000 + cookie, named: named.to_owned() };
        let netns = SimNetns { record: record.clone(), links: BTreeMap::new(), refuses_ra: BTreeSet::new(), announces: BTreeSet::new() };
        world.namespaces.insert(cookie, netns);
        record
    }

    /// The last holder of a namespace ends; its links go along.
    pub fn remove_netns(&self, netns: &Netns) {
        self.world().namespaces.remove(&netns.id.cookie);
    }

    /// Changes anything behind the daemon's back; it is told as the real kernel would tell.
    pub fn change<T>(&self, change: impl FnOnce(&mut World) -> T) -> T {
        let (result, changed) = {
            let mut world = self.world();
            let before = world.host.clone();
            let result = change(&mut world);
            (result, before != world.host)
        };
        if changed {
            self.notify(Notice::HostChanged);
        }
        result
    }

    /// What is there now.
    pub fn snapshot(&self) -> World {
        self.world().clone()
    }

    /// Lets something fail, once.
    pub fn fail(&self, failure: Failure) {
        locked(&self.failures).push(failure);
    }

    /// Takes back the failures that have not happened; says how many there were.
    pub fn forgive(&self) -> usize {
        std::mem::take(&mut *locked(&self.failures)).len()
    }

    /// The machine starts anew: what was made is gone, and so are all namespaces.
    pub fn reboot(&self, boot: BootId) {
        self.change(|world| {
            world.namespaces.clear();
            let made: Vec<IfIndex> = world.host.links.values().filter(|l| is_made(l)).map(|l| l.index).collect();
            made.into_iter().for_each(|index| {
                world.remove_link(index);
            });
            for index in world.host.links.keys().copied().collect::<Vec<_>>() {
                if let Some(link) = world.host.links.get_mut(&index) {
                    link.shield = ShieldSeen::default();
                }
            }
            world.host.boot = boot;
        });
    }

    /// Carries out a plan as `apply` does, without asking whether it is on record: for tests of plans alone.
    pub fn carry_out(&self, plan: &Plan) -> Settled {
        self.run(plan, |run, plan| run::carry_out(run, plan))
    }

    /// Undoes a plan as `undo` does, without asking whether it is on record.
    pub fn take_back(&self, plan: &Plan) -> Settled {
        self.run(plan, |run, plan| run::undo(run, plan))
    }

    /// Only the first `steps` steps, as a process leaves it that ends there.
    pub fn cut(&self, plan: &Plan, steps: usize) {
        let part = Plan { steps: plan.steps.iter().take(steps).cloned().collect(), undo: Vec::new(), ..plan.clone() };
        let _ = self.run(&part, |run, plan| run::carry_out(run, plan));
    }

    fn run(&self, plan: &Plan, act: impl FnOnce(&mut SimRun<'_>, &Plan) -> Settled) -> Settled {
        let before = self.host();
        let mut run = SimRun { kernel: self, plan, begun: 0, undoing: false, crashed: false };
        let settled = act(&mut run, plan);
        if *before != *self.host() {
            self.notify(Notice::HostChanged);
        }
        settled
    }

    fn world(&self) -> MutexGuard<'_, World> {
        locked(&self.world)
    }

    fn notify(&self, notice: Notice) {
        let callback = locked(&self.callback).clone();
        if let Some(callback) = callback {
            callback(notice);
        }
    }

    /// Whether `failure` was asked for; it is used up by that.
    fn fails(&self, failure: Failure) -> bool {
        let mut failures = locked(&self.failures);
        let at = failures.iter().position(|f| *f == failure);
        at.map(|at| failures.remove(at)).is_some()
    }
}

impl Kernel for SimKernel {
    fn host(&self) -> Arc<Host> {
        Arc::new(self.world().host.clone())
    }

    fn on_notice(&self, callback: Box<dyn Fn(Notice) + Send + Sync>) {
        *locked(&self.callback) = Some(callback.into());
    }

    fn apply(&self, plan: &Recorded<Arc<Plan>>, _netns: Option<Arc<OwnedFd>>) -> Settled {
        self.carry_out(plan.get())
    }

    fn undo(&self, plan: &Recorded<Arc<Plan>>) -> Settled {
        self.take_back(plan.get())
    }

    fn observe(&self, namespaces: &[Netns]) -> Observed {
        let world = self.world();
        let seen = |netns: &Netns| match world.netns(netns) {
            Some(there) => NetnsSeen::There(there.links.values().cloned().collect()),
            None => NetnsSeen::Gone,
        };
        Observed { host: world.host.clone(), namespaces: namespaces.iter().map(|n| (n.id, seen(n))).collect() }
    }
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn physical(index: IfIndex, name: &str, mac: Mac) -> HostLink {
    HostLink {
        index,
        name: name.to_owned(),
        alias: None,
        kind: LinkKind::Physical,
        mtu: 1500,
        mac: Some(mac),
        permanent_mac: Some(mac),
        up: true,
        carrier: true,
        master: None,
        ipvlan: None,
        addresses: Vec::new(),
        shield: ShieldSeen::default(),
    }
}

/// Whether a reboot takes it.
fn is_made(link: &HostLink) -> bool {
    !matches!(link.kind, LinkKind::Physical | LinkKind::Loopback)
}

/// A plan on its way.
struct SimRun<'a> {
    kernel: &'a SimKernel,
    plan: &'a Plan,
    /// How many steps began, or undo steps once those are under way.
    begun: usize,
    undoing: bool,
    crashed: bool,
}

/// How the kernel says no: its number, and its words where the real one has any.
type No = (Errno, Option<&'static str>);

impl SimRun<'_> {
    fn named(&self) -> String {
        self.plan.netns.as_ref().map(|n| n.named.clone()).unwrap_or_default()
    }

    fn refused(&self, step: &Step, (errno, text): No) -> KernelError {
        KernelError::Refused { tried: step.to_string().replace("$NETNS", &self.named()), text: text.map(str::to_owned), errno }
    }

    /// Failures that were asked for.
    fn injected(&mut self, step: &Step) -> Result<(), KernelError> {
        let at = self.begun;
        self.begun += 1;
        let fails = if self.undoing {
            self.kernel.fails(Failure::Undo(at))
        } else {
            self.crashed |= self.kernel.fails(Failure::Crash(at));
            if self.kernel.fails(Failure::NamespaceGone(at)) {
                self.plan.netns.iter().for_each(|n| self.kernel.remove_netns(n));
            }
            self.kernel.fails(Failure::Step(at))
        };
        if self.crashed {
            return Err(KernelError::io("the process ended", Errno::CANCELED));
        }
        if fails { Err(self.refused(step, (Errno::IO, Some("asked to fail")))) } else { Ok(()) }
    }
}

impl Ground for SimRun<'_> {
    fn undoing(&mut self) {
        self.undoing = true;
        self.begun = 0;
    }

    fn on_host(&mut self, step: &Step) -> Result<(), KernelError> {
        self.injected(step)?;
        let mut world = self.kernel.world();
        let done = match step {
            Step::AddIpvlan { name, index, parent, mode, flag, mtu, .. } => match self.plan.netns.as_ref().and_then(|n| world.cookie(n)) {
                Some(cookie) => world.add_ipvlan(cookie, name.as_str(), *index, *parent, (*mode, *flag), *mtu),
                None => return Err(KernelError::NamespaceGone(self.named())),
            },
            Step::DelLink { index, .. } => match world.host.links.get(index).map(|l| (l.kind.clone(), l.name.clone())) {
                None => Ok(()),
                Some((LinkKind::Dummy | LinkKind::Vlan { .. }, _)) => {
                    world.remove_link(*index);
                    Ok(())
                }
                Some((kind, name)) => {
                    let found = format!("index {index} is {name} now, of kind {}", kind_text(&kind));
                    return Err(KernelError::NotOurs { tried: step.to_string(), found });
                }
            },
            step => world.on_host(step),
        };
        drop(world);
        done.map_err(|no| self.refused(step, no))
    }

    fn inside(&mut self, files: &[Step], messages: &[Step]) -> Result<(), (usize, KernelError)> {
        let mut first = None;
        for (at, step) in files.iter().chain(messages).enumerate() {
            let done = self.injected(step).and_then(|()| {
                let mut world = self.kernel.world();
                let netns = self.plan.netns.as_ref().and_then(|n| world.cookie(n));
                let cookie = netns.ok_or_else(|| KernelError::NamespaceGone(self.named()))?;
                world.inside(cookie, step).map_err(|no| self.refused(step, no))
            });
            if let Err(error) = done {
                // A file that cannot be written ends the visit; messages of one batch are carried out all the same.
                let ends = at < files.len() || self.crashed || matches!(error, KernelError::NamespaceGone(_));
                first.get_or_insert((at, error));
                if ends {
                    break;
                }
            }
        }
        first.map_or(Ok(()), Err)
    }
}

impl World {
    fn netns(&self, netns: &Netns) -> Option<&SimNetns> {
        self.namespaces.get(&netns.id.cookie).filter(|_| netns.id.boot == self.host.boot)
    }

    fn cookie(&self, netns: &Netns) -> Option<u64> {
        self.netns(netns).map(|n| n.record.id.cookie)
    }

    fn host_link(&mut self, index: IfIndex) -> Result<&mut HostLink, No> {
        self.host.links.get_mut(&index).ok_or((Errno::NODEV, None))
    }

    /// Whether a new link of the host may have this index and name.
    fn free_on_host(&self, index: IfIndex, name: &str) -> Result<(), No> {
        let taken = self.host.links.contains_key(&index) || self.host.named(name).is_some();
        if taken { Err((Errno::EXIST, None)) } else { Ok(()) }
    }

    fn on_host(&mut self, step: &Step) -> Result<(), No> {
        match step {
            Step::AddDummy { name, index, mac, mtu, alias } => {
                self.free_on_host(*index, name.as_str())?;
                let mut link = physical(*index, name.as_str(), *mac);
                link.kind = LinkKind::Dummy;
                link.permanent_mac = None;
                (link.up, link.carrier) = (false, false);
                link.mtu = mtu.unwrap_or(1500);
                link.alias = Some(alias.clone()).filter(|a| !a.is_empty());
                self.host.links.insert(*index, link);
            }
            Step::AddVlan { name, index, base, vlan, alias, .. } => {
                let below = self.host_link(*base)?.clone();
                if below.kind == LinkKind::Loopback {
                    return Err((Errno::OPNOTSUPP, Some("VLANs not supported on device")));
                }
                if self.host.vlan_of(*base, *vlan).is_some() {
                    return Err((Errno::EXIST, Some("VLAN device already exists")));
                }
                self.free_on_host(*index, name.as_str())?;
                let mut link = physical(*index, name.as_str(), Mac([0; 6]));
                link.kind = LinkKind::Vlan { base: *base, id: *vlan };
                (link.mac, link.permanent_mac, link.mtu) = (below.mac, None, below.mtu);
                (link.up, link.carrier) = (false, false);
                link.alias = Some(alias.clone()).filter(|a| !a.is_empty());
                self.host.links.insert(*index, link);
            }
            Step::SetUp { index, .. } => {
                let kind = self.host_link(*index)?.kind.clone();
                let below = match kind {
                    LinkKind::Vlan { base, .. } => self.host.link(base).map_or((false, false), |l| (l.up, l.carrier)),
                    _ => (true, true),
                };
                if !below.0 {
                    return Err((Errno::NETDOWN, None));
                }
                let link = self.host_link(*index)?;
                link.up = true;
                link.carrier = below.1;
            }
            Step::SetMtu { index, mtu, .. } => self.set_mtu(*index, *mtu)?,
            Step::Shield { index, halves, .. } => {
                let can = self.host.can_shield();
                let link = self.host_link(*index)?;
                if !can {
                    return Err((Errno::NOENT, Some("Specified qdisc kind is unknown")));
                }
                link.shield.egress |= halves.egress;
                link.shield.ingress |= halves.ingress;
            }
            Step::Unshield { index, .. } => {
                if let Some(link) = self.host.links.get_mut(index) {
                    link.shield = ShieldSeen::default();
                }
            }
            _ => return Err((Errno::INVAL, None)),
        }
        Ok(())
    }

    /// The links on a parent follow it; a VLAN sub-interface only downwards, and never back up.
    fn set_mtu(&mut self, index: IfIndex, mtu: u32) -> Result<(), No> {
        let kind = self.host_link(index)?.kind.clone();
        if let LinkKind::Vlan { base, .. } = kind
            && self.host.link(base).is_some_and(|below| mtu > below.mtu)
        {
            return Err((Errno::RANGE, None));
        }
        self.host_link(index)?.mtu = mtu;
        for link in self.on_parent(index) {
            link.mtu = mtu;
        }
        let above = |l: &&HostLink| matches!(l.kind, LinkKind::Vlan { base, .. } if base == index) && l.mtu > mtu;
        let vlans: Vec<IfIndex> = self.host.links.values().filter(above).map(|l| l.index).collect();
        vlans.into_iter().try_for_each(|vlan| self.set_mtu(vlan, mtu))
    }

    /// All ipvlan links of a parent, in every namespace.
    fn on_parent(&mut self, parent: IfIndex) -> impl Iterator<Item = &mut InsideLink> {
        let links = self.namespaces.values_mut().flat_map(|n| n.links.values_mut());
        links.filter(move |l| l.ipvlan.is_some_and(|(.., p)| p == parent))
    }

    /// Mode and flag are the parent's: the last word goes for all its links (drivers/net/ipvlan, `ipvlan_set_port_mode`).
    fn set_mode(&mut self, parent: IfIndex, mode: Mode, flag: Flag) {
        for link in self.on_parent(parent) {
            link.ipvlan = Some((mode, flag, parent));
        }
    }

    /// Removes a link of the host, and all that hangs on it: in every namespace, without an error.
    pub fn remove_link(&mut self, index: IfIndex) -> Option<HostLink> {
        let removed = self.host.links.remove(&index)?;
        let above = |l: &&HostLink| match l.kind {
            LinkKind::Vlan { base, .. } => base == index,
            LinkKind::Ipvlan { parent } | LinkKind::Macvlan { parent } => parent == index,
            _ => false,
        };
        let hanging: Vec<IfIndex> = self.host.links.values().filter(above).map(|l| l.index).collect();
        for netns in self.namespaces.values_mut() {
            netns.links.retain(|_, l| l.ipvlan.is_none_or(|(.., parent)| parent != index));
            netns.forget_lost();
        }
        hanging.into_iter().for_each(|link| {
            self.remove_link(link);
        });
        Some(removed)
    }

    fn add_ipvlan(
        &mut self,
        cookie: u64,
        name: &str,
        index: IfIndex,
        parent: IfIndex,
        (mode, flag): (Mode, Flag),
        mtu: Option<u32>,
    ) -> Result<(), No> {
        if self.host.links.contains_key(&index) {
            return Err((Errno::EXIST, None));
        }
        let below = self.host_link(parent)?.clone();
        if below.kind == LinkKind::Loopback {
            return Err((Errno::INVAL, None));
        }
        // One receive handler a device (net/core/dev.c, `netdev_rx_handler_register`).
        let macvlan = self.host.links.values().any(|l| l.kind == LinkKind::Macvlan { parent });
        let port = below.master.and_then(|m| self.host.link(m)).is_some_and(|master| match &master.kind {
            LinkKind::Other(kind) => matches!(kind.as_str(), "bridge" | "bond" | "team"),
            _ => false,
        });
        if macvlan || port {
            return Err((Errno::BUSY, None));
        }
        let netns = self.namespaces.get_mut(&cookie).ok_or((Errno::NODEV, None))?;
        if netns.links.values().any(|l| l.name == name) {
            return Err((Errno::EXIST, None));
        }
        if netns.links.contains_key(&index) {
            return Err((Errno::BUSY, None));
        }
        let link = InsideLink {
            index,
            name: name.to_owned(),
            alias: None,
            ipvlan: Some((mode, flag, parent)),
            mtu: mtu.unwrap_or(below.mtu),
            up: false,
            addresses: Vec::new(),
            routes: Vec::new(),
        };
        netns.links.insert(index, link);
        self.set_mode(parent, mode, flag);
        Ok(())
    }

    fn inside(&mut self, cookie: u64, step: &Step) -> Result<(), No> {
        match step {
            Step::RefuseRa { name } => {
                let netns = self.namespaces.get_mut(&cookie).ok_or((Errno::NODEV, None))?;
                netns.refuses_ra.extend(netns.links.values().find(|l| l.name == name.as_str()).map(|l| l.index));
            }
            Step::AddAddress { index, address, .. } => {
                let parent = self.inside_link(cookie, *index)?.ipvlan.map(|(.., parent)| parent);
                // IPv4 knows one address with several prefixes, but the port's check comes first for all but the very same.
                let own = &self.inside_link(cookie, *index)?.addresses;
                if own.iter().any(|a| a == address || a.addr().is_ipv6() && a.addr() == address.addr()) {
                    return Err((Errno::EXIST, None));
                }
                let taken = parent.is_some_and(|p| self.on_parent(p).any(|l| l.addresses.iter().any(|a| a.addr() == address.addr())));
                if taken {
                    return Err((Errno::ADDRINUSE, Some("Address already assigned to an ipvlan device")));
                }
                let link = self.inside_link(cookie, *index)?;
                link.addresses.push(*address);
                link.addresses.sort();
            }
            Step::Announce { index, alias, .. } => {
                self.inside_link(cookie, *index)?.alias = Some(alias.clone()).filter(|a| !a.is_empty());
                self.namespaces.get_mut(&cookie).into_iter().for_each(|n| {
                    n.announces.insert(*index);
                });
            }
            Step::SetUpInside { index, .. } => self.inside_link(cookie, *index)?.up = true,
            Step::AddRoute { index, destination, via, .. } => self.add_route(cookie, *index, *destination, *via)?,
            Step::SetMode { index, mode, flag, .. } => {
                let (.., parent) = self.inside_link(cookie, *index)?.ipvlan.ok_or((Errno::OPNOTSUPP, None))?;
                self.set_mode(parent, *mode, *flag);
            }
            Step::SetMtuInside { index, mtu, .. } => self.inside_link(cookie, *index)?.mtu = *mtu,
            Step::DelIpvlan { index, parent, .. } => {
                let netns = self.namespaces.get_mut(&cookie).ok_or((Errno::NODEV, None))?;
                netns.links.retain(|i, l| i != index || l.ipvlan.is_none_or(|(.., p)| p != *parent));
                netns.forget_lost();
            }
            _ => return Err((Errno::INVAL, None)),
        }
        Ok(())
    }

    fn inside_link(&mut self, cookie: u64, index: IfIndex) -> Result<&mut InsideLink, No> {
        self.namespaces.get_mut(&cookie).and_then(|n| n.links.get_mut(&index)).ok_or((Errno::NODEV, None))
    }

    fn add_route(&mut self, cookie: u64, index: IfIndex, destination: IpNet, via: Option<IpAddr>) -> Result<(), No> {
        let link = self.inside_link(cookie, index)?;
        // An own address is a gateway to IPv4 (net/ipv4/fib_semantics.c, `fib_check_nh_v4_gw`) and none to IPv6.
        let own = via.is_some_and(|gateway| gateway.is_ipv6() && link.addresses.iter().any(|a| a.addr() == gateway));
        if own {
            return Err((Errno::INVAL, Some("Gateway can not be a local address")));
        }
        // Through a link that is down nothing is reachable, as its subnets have no routes.
        if via.is_some_and(|gateway| !link.up || !link.addresses.iter().any(|a| a.contains(&gateway))) {
            let unreachable = if destination.addr().is_ipv4() { Errno::NETUNREACH } else { Errno::HOSTUNREACH };
            return Err((unreachable, Some("Nexthop has invalid gateway")));
        }
        if !link.up {
            return Err((Errno::NETDOWN, Some("Device for nexthop is not up")));
        }
        let netns = self.namespaces.get(&cookie).ok_or((Errno::NODEV, None))?;
        let mut routes = netns.links.values().flat_map(|l| l.routes.iter());
        // IPv6 takes a second route to one destination through another link or gateway; IPv4 takes none (NLM_F_EXCL).
        if routes.any(|(d, g)| *d == destination && (d.addr().is_ipv4() || *g == via)) {
            return Err((Errno::EXIST, None));
        }
        let link = self.inside_link(cookie, index)?;
        link.routes.push((destination, via));
        link.routes.sort();
        Ok(())
    }
}

impl SimNetns {
    /// What was said of links that are not there any more.
    fn forget_lost(&mut self) {
        self.refuses_ra.retain(|index| self.links.contains_key(index));
        self.announces.retain(|index| self.links.contains_key(index));
    }
}
