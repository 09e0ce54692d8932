//! Carrying out plans on the real kernel: each step as its messages, and what the kernel says to each.
//!
//! Inside a namespace, one visit of a thread writes the files of /proc/sys and makes the socket, then one send carries all
//! messages and every answer is read. The order of things and the way back are [`run`]'s.

use crate::encode::{self, Ipvlan};
use crate::error::KernelError;
use crate::find::{self, Found};
use crate::inside;
use crate::mirror::{self, Mirror, RECEIVE_BUFFER};
use crate::observe;
use crate::run::{self, Ground};
use crate::seen::{Link, RTM_NEWLINK};
use crate::shield;
use crate::socket::{Refusal, Request, Socket};
use bulkhead_core::endpoint::Netns;
use bulkhead_core::host::{Host, IfIndex};
use bulkhead_core::kernel::{Kernel, Notice};
use bulkhead_core::observed::Observed;
use bulkhead_core::plan::{Plan, Settled, Step};
use bulkhead_core::record::Recorded;
use rustix::io::Errno;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::{Arc, Mutex, PoisonError};

/// The kernel of this machine, in the network namespace of the thread that started it.
pub struct LinuxKernel {
    /// The host's network namespace.
    home: Arc<OwnedFd>,
    mirror: Mirror,
    /// Sockets of the host that wait for their next use.
    sockets: Mutex<Vec<Socket>>,
}

/// Sockets kept for later; more are made while more plans run at once.
const SOCKETS_MAX: usize = 32;

impl LinuxKernel {
    /// Starts to mirror the host, which is the calling thread's network namespace; the mirror is complete on return.
    pub fn start() -> Result<Arc<Self>, KernelError> {
        Self::start_with(RECEIVE_BUFFER)
    }

    /// The same, with room for so many bytes of notifications.
    pub fn start_with(receive_buffer: usize) -> Result<Arc<Self>, KernelError> {
        let home = inside::own().map_err(|e| KernelError::io("opening /proc/thread-self/ns/net", e))?;
        let home = Arc::new(home);
        let mirror = Mirror::start(&home, receive_buffer)?;
        Ok(Arc::new(LinuxKernel { home, mirror, sockets: Mutex::new(Vec::new()) }))
    }

    /// Something to do with a socket of the host. One that failed is not used again: answers may be left in it.
    fn on_host<T>(&self, act: impl FnOnce(&mut Socket) -> io::Result<T>) -> io::Result<T> {
        let pool = || self.sockets.lock().unwrap_or_else(PoisonError::into_inner);
        let kept = pool().pop();
        let mut socket = match kept {
            Some(socket) => socket,
            None => inside::visit(&self.home, Socket::open)??,
        };
        let result = act(&mut socket)?;
        let mut pool = pool();
        if pool.len() < SOCKETS_MAX {
            pool.push(socket);
        }
        Ok(result)
    }

    /// Lets `act` loose on the plan; what it changed on the host is in the mirror on return.
    fn run(&self, plan: &Plan, netns: Option<Arc<OwnedFd>>, act: impl FnOnce(&mut Run<'_>, &Plan) -> Settled) -> Settled {
        let mut run = Run { kernel: self, plan, netns, changed_host: false };
        let settled = act(&mut run, plan);
        if run.changed_host {
            self.mirror.catch_up();
        }
        settled
    }
}

impl Kernel for LinuxKernel {
    fn host(&self) -> Arc<Host> {
        self.mirror.host()
    }

    fn on_notice(&self, callback: Box<dyn Fn(Notice) + Send + Sync>) {
        self.mirror.on_notice(callback);
    }

    fn apply(&self, plan: &Recorded<Arc<Plan>>, netns: Option<Arc<OwnedFd>>) -> Settled {
        self.run(plan.get(), netns, |run, plan| run::carry_out(run, plan))
    }

    fn undo(&self, plan: &Recorded<Arc<Plan>>) -> Settled {
        self.run(plan.get(), None, |run, plan| run::undo(run, plan))
    }

    fn astray(&self, namespaces: &[Netns]) -> Vec<Netns> {
        find::astray(namespaces)
    }

    fn observe(&self, namespaces: &[Netns]) -> Observed {
        let like = self.mirror.host();
        let read = self.on_host(|socket| Ok(mirror::read_host(socket, &like)));
        let host = match read.map_err(|e| KernelError::io("opening a netlink socket", e)).and_then(|r| r) {
            Ok(host) => host,
            Err(error) => {
                // The mirror is what is known then; it says so itself when it cannot follow.
                tracing::error!(error = error.why(), "the host cannot be dumped; its mirror stands in");
                Host::clone(&like)
            }
        };
        Observed { host, namespaces: observe::namespaces(&self.home, namespaces) }
    }
}

/// One plan on its way.
struct Run<'a> {
    kernel: &'a LinuxKernel,
    plan: &'a Plan,
    netns: Option<Arc<OwnedFd>>,
    changed_host: bool,
}

impl Run<'_> {
    fn named(&self) -> &str {
        self.plan.netns.as_ref().map_or("", |n| n.named.as_str())
    }

    /// The step as `ip` would be told it.
    fn tried(&self, step: &Step) -> String {
        step.to_string().replace("$NETNS", self.named())
    }

    /// The plan's namespace: the descriptor of the request, or found again by the record.
    fn netns(&mut self) -> Result<Arc<OwnedFd>, KernelError> {
        if let Some(netns) = &self.netns {
            return Ok(Arc::clone(netns));
        }
        let Some(record) = &self.plan.netns else {
            return Err(KernelError::io("a step inside a namespace, in a plan that names none", Errno::INVAL));
        };
        match find::find(record) {
            Found::There(netns) => {
                self.netns = Some(Arc::clone(&netns));
                Ok(netns)
            }
            Found::Gone => Err(KernelError::NamespaceGone(record.named.clone())),
            Found::Unknown(why) => {
                let source = io::Error::other(why);
                Err(KernelError::Namespace { named: record.named.clone(), tried: "it cannot be told whether it is still there", source })
            }
        }
    }

    fn add_ipvlan(&mut self, step: &Step) -> Result<(), KernelError> {
        let Step::AddIpvlan { name, index, parent, mode, flag, mtu, .. } = step else { return Ok(()) };
        let netns = self.netns()?;
        let link =
            Ipvlan { name: name.as_str(), index: *index, parent: *parent, netns: netns.as_fd(), mode: *mode, flag: *flag, mtu: *mtu };
        self.one(step, encode::add_ipvlan(&link))
    }

    /// Only what is a dummy or a VLAN sub-interface can be one of ours.
    fn del_link(&self, step: &Step, index: IfIndex) -> Result<(), KernelError> {
        let answer = self.kernel.on_host(|s| s.ask(&[encode::get_link(index)])).map_err(|e| KernelError::io(self.tried(step), e))?.pop();
        match answer {
            Some(Ok(answer)) if answer.kind == RTM_NEWLINK => {
                let link = Link::read(&answer.body);
                let kind = link.as_ref().and_then(|l| l.kind.as_deref()).unwrap_or("physical");
                if !matches!(kind, "dummy" | "vlan") {
                    let name = link.as_ref().map_or("", |l| l.name.as_str());
                    return Err(KernelError::NotOurs {
                        tried: self.tried(step),
                        found: format!("index {index} is {name} now, of kind {kind}"),
                    });
                }
            }
            Some(Err(refusal)) if refusal.errno == Errno::NODEV => return Ok(()),
            Some(Err(refusal)) => return Err(self.refused(step, refusal)),
            _ => return Err(KernelError::io(self.tried(step), Errno::PROTO)),
        }
        absence_is_fine(self.one(step, encode::del_link(index)))
    }

    fn one(&self, step: &Step, request: Request) -> Result<(), KernelError> {
        let answer = self.kernel.on_host(|socket| socket.batch(&[request]));
        self.answered(step, answer.map(|mut results| results.pop().unwrap_or(Ok(()))))
    }

    fn answered(&self, step: &Step, answer: io::Result<Result<(), Refusal>>) -> Result<(), KernelError> {
        match answer {
            Ok(Ok(())) => Ok(()),
            Ok(Err(refusal)) => Err(self.refused(step, refusal)),
            Err(source) => Err(KernelError::io(self.tried(step), source)),
        }
    }

    fn refused(&self, step: &Step, refusal: Refusal) -> KernelError {
        KernelError::Refused { tried: self.tried(step), text: refusal.text, errno: refusal.errno }
    }

    /// A workload may have renamed the link; its index, kind and parent are what make it ours.
    fn del_ipvlan(&self, socket: &mut Socket, step: &Step, index: IfIndex, parent: IfIndex) -> Result<(), KernelError> {
        let asked = socket.ask(&[encode::get_link(index), encode::get_nsid(self.kernel.home.as_fd())]);
        let mut answers = asked.map_err(|e| KernelError::io(self.tried(step), e))?.into_iter();
        let link = match answers.next() {
            Some(Ok(answer)) if answer.kind == RTM_NEWLINK => Link::read(&answer.body),
            Some(Err(refusal)) if refusal.errno == Errno::NODEV => return Ok(()),
            Some(Err(refusal)) => return Err(self.refused(step, refusal)),
            _ => None,
        };
        let link = link.ok_or_else(|| KernelError::io(self.tried(step), Errno::PROTO))?;
        let host_id = answers.next().and_then(Result::ok).and_then(|answer| observe::read_nsid(answer.kind, &answer.body));
        // Who cannot tell whether it is ours has not removed it.
        if host_id.is_none() && link.kind.as_deref() == Some("ipvlan") {
            return Err(KernelError::io(self.tried(step), Errno::PROTO));
        }
        if link.kind.as_deref() != Some("ipvlan") || observe::parent_on(&link, host_id) != Some(parent) {
            tracing::warn!(index = index.0, name = link.name, kind = link.kind, "the link with this index is not ours, and stays");
            return Ok(());
        }
        absence_is_fine(self.answered(step, socket.batch(&[encode::del_link(index)]).map(|mut r| r.pop().unwrap_or(Ok(())))))
    }
}

impl Ground for Run<'_> {
    fn on_host(&mut self, step: &Step) -> Result<(), KernelError> {
        self.changed_host |= !matches!(step, Step::AddIpvlan { .. });
        let made = match step {
            Step::AddDummy { name, index, mac, mtu, .. } => self.one(step, encode::add_dummy(name.as_str(), *index, *mac, *mtu)),
            Step::AddVlan { name, index, base, vlan, .. } => self.one(step, encode::add_vlan(name.as_str(), *index, *base, *vlan)),
            Step::AddIpvlan { .. } => self.add_ipvlan(step),
            Step::SetUp { index, .. } => self.one(step, encode::set_up(*index)),
            Step::SetMtu { index, mtu, .. } => self.one(step, encode::set_mtu(*index, *mtu)),
            Step::Shield { index, halves, .. } => self.answered(step, self.kernel.on_host(|s| shield::put_up(s, *index, *halves))),
            Step::Unshield { index, .. } => self.answered(step, self.kernel.on_host(|s| shield::take_down(s, *index))),
            Step::DelLink { index, .. } => self.del_link(step, *index),
            _ => Err(KernelError::io(format!("{}: not a step of the host", self.tried(step)), Errno::INVAL)),
        };
        made?;
        // The kernel takes an alias only once the link is there.
        match step {
            Step::AddDummy { index, alias, .. } | Step::AddVlan { index, alias, .. } if !alias.is_empty() => {
                // Not as a refusal: the link has been made, and has to be undone.
                self.one(step, encode::set_alias(*index, alias))
                    .map_err(|e| KernelError::io("naming the new link's alias", io::Error::other(e.why())))
            }
            _ => Ok(()),
        }
    }

    fn inside(&mut self, files: &[Step], messages: &[Step]) -> Result<(), (usize, KernelError)> {
        let netns = self.netns().map_err(|e| (0, e))?;
        let visited = inside::visit(&netns, || {
            for (at, step) in files.iter().enumerate() {
                if let Step::RefuseRa { name } = step {
                    refuse_ra(name.as_str()).map_err(|e| (at, e))?;
                }
            }
            Socket::open().map_err(|e| (0, KernelError::io("opening a netlink socket", e)))
        });
        let entered =
            visited.map_err(|source| (0, KernelError::Namespace { named: self.named().to_owned(), tried: "entering it", source }))?;
        let mut socket = entered?;
        let Some(first) = messages.first() else { return Ok(()) };
        let requests: Vec<Request> = messages.iter().filter_map(inside_request).collect();
        if requests.len() == messages.len() {
            let results = socket.batch(&requests).map_err(|e| (files.len(), KernelError::io(self.tried(first), e)))?;
            for (at, result) in results.into_iter().enumerate() {
                result.map_err(|refusal| (files.len() + at, self.refused(&messages[at], refusal)))?;
            }
            return Ok(());
        }
        // A deletion is among them, which looks before it acts.
        for (at, step) in messages.iter().enumerate() {
            let done = match (step, inside_request(step)) {
                (Step::DelIpvlan { index, parent, .. }, _) => self.del_ipvlan(&mut socket, step, *index, *parent),
                (_, Some(request)) => self.answered(step, socket.batch(&[request]).map(|mut r| r.pop().unwrap_or(Ok(())))),
                (_, None) => Err(KernelError::io(format!("{}: not a step inside a namespace", self.tried(step)), Errno::INVAL)),
            };
            done.map_err(|e| (files.len() + at, e))?;
        }
        Ok(())
    }
}

/// A link that went away between look and deletion is as good as deleted.
fn absence_is_fine(result: Result<(), KernelError>) -> Result<(), KernelError> {
    match result {
        Err(error) if error.errno() == Some(Errno::NODEV) => Ok(()),
        result => result,
    }
}

/// The message of a step inside a namespace, where it is a single one.
fn inside_request(step: &Step) -> Option<Request> {
    Some(match step {
        Step::AddAddress { index, address, .. } => encode::add_address(*index, *address),
        Step::Announce { index, alias, .. } => encode::announce(*index, alias),
        Step::SetUpInside { index, .. } => encode::set_up(*index),
        Step::AddRoute { index, destination, via, .. } => encode::add_route(*index, *destination, *via),
        Step::SetMode { index, mode, flag, .. } => encode::set_mode(*index, *mode, *flag),
        Step::SetMtuInside { index, mtu, .. } => encode::set_mtu(*index, *mtu),
        _ => return None,
    })
}

/// Runs inside the namespace: neither router advertisements nor autoconfiguration on `name`
/// (Documentation/networking/ip-sysctl.rst). /proc/sys/net shows the namespace of the thread that opens it.
fn refuse_ra(name: &str) -> Result<(), KernelError> {
    for key in ["accept_ra", "autoconf"] {
        let path = format!("/proc/sys/net/ipv6/conf/{name}/{key}");
        match std::fs::OpenOptions::new().write(true).open(&path).and_then(|mut file| io::Write::write_all(&mut file, b"0")) {
            Ok(()) => {}
            // No IPv6 on this link takes no advertisements either: a kernel without it, ipv6.disable=1, or an MTU below 1280
            // (net/ipv6/addrconf.c, `ipv6_add_dev`).
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(KernelError::io(format!("writing 0 to {path} in the namespace"), error)),
        }
    }
    Ok(())
}
