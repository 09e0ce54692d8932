//! What the tests stand on: a lab, the kernel of its host, and plans that count as recorded.

use bulkhead_core::endpoint::Netns;
use bulkhead_core::host::{Flag, Host, IfIndex, Mode};
use bulkhead_core::ids::{EndpointId, NetworkId, ParentId, PlanId};
use bulkhead_core::kernel::Kernel;
use bulkhead_core::names::LinkName;
use bulkhead_core::observed::{InsideLink, NetnsSeen};
use bulkhead_core::plan::{Plan, Purpose, Settled, Step};
use bulkhead_core::record::{Batch, Loaded, Recorded, Store, StoreError};
use bulkhead_kernel::netns::{self, NetnsWish, OpenNetns};
use bulkhead_kernel::{LinuxKernel, boot_id};
use bulkhead_lab::{Lab, Namespace};
use ipnet::IpNet;
use std::net::IpAddr;
use std::sync::Arc;

pub type Result<T = ()> = std::result::Result<T, Box<dyn std::error::Error>>;

/// A lab and the kernel of its host.
pub struct Bed {
    pub kernel: Arc<LinuxKernel>,
    pub lab: Lab,
    pub eth0: IfIndex,
}

impl Bed {
    pub fn new() -> Result<Self> {
        let lab = Lab::new()?;
        let kernel = lab.host.enter(LinuxKernel::start)?.map_err(|e| e.why())?;
        let eth0 = kernel.host().named("eth0").ok_or("the host has no eth0")?.index;
        Ok(Bed { kernel, lab, eth0 })
    }

    /// A namespace as a workload's: routers are listened to, duplicates are looked for.
    pub fn workload(&self, name: &str) -> Result<Namespace> {
        let namespace = self.lab.workload(name)?;
        namespace.enter(|| {
            for (file, value) in [("accept_dad", "1"), ("accept_ra", "1"), ("autoconf", "1")] {
                for scope in ["all", "default"] {
                    std::fs::write(format!("/proc/sys/net/ipv6/conf/{scope}/{file}"), value)?;
                }
            }
            Ok::<_, std::io::Error>(())
        })??;
        Ok(namespace)
    }

    /// Opened as a request opens it, on a thread of the host.
    pub fn open(&self, namespace: &Namespace) -> Result<OpenNetns> {
        let wish = NetnsWish::Path(namespace.path().to_string_lossy().into_owned());
        Ok(self.lab.host.enter(|| netns::open(&wish))?.map_err(|fault| fault.to_string())?)
    }

    pub fn apply(&self, plan: &Plan, netns: Option<&OpenNetns>) -> Settled {
        self.kernel.apply(&recorded(plan), netns.map(|n| Arc::clone(&n.fd)))
    }

    /// What the namespace holds, by dumps.
    pub fn inside(&self, netns: &Netns) -> Result<Vec<InsideLink>> {
        match self.kernel.observe(std::slice::from_ref(netns)).namespaces.remove(&netns.id) {
            Some(NetnsSeen::There(links)) => Ok(links),
            seen => Err(format!("{seen:?}").into()),
        }
    }

    pub fn dumped(&self) -> Host {
        self.kernel.observe(&[]).host
    }
}

/// Counts every plan as recorded: what only a store can say.
struct Notebook;
impl Store for Notebook {
    fn write(&mut self, _: &Batch) -> std::result::Result<(), StoreError> {
        Ok(())
    }
    fn load(&mut self) -> std::result::Result<Loaded, StoreError> {
        Ok(Loaded::default())
    }
}

pub fn recorded(plan: &Plan) -> Recorded<Arc<Plan>> {
    let batch = Batch { plans: vec![Arc::new(plan.clone())], ..Batch::default() };
    Notebook.commit(&batch).unwrap().remove(0)
}

pub fn name(text: &str) -> LinkName {
    LinkName::new(text).unwrap()
}

pub fn net(text: &str) -> IpNet {
    text.parse().unwrap()
}

pub fn making(netns: Option<&Netns>, steps: Vec<Step>, undo: Vec<Step>) -> Plan {
    let purpose = if netns.is_some() { Purpose::Attach(EndpointId(1)) } else { Purpose::CreateNetwork(NetworkId(1)) };
    Plan { id: PlanId(1), purpose, lane: ParentId(1), netns: netns.cloned(), steps, undo }
}

pub fn removal(netns: Option<&Netns>, steps: Vec<Step>) -> Plan {
    let purpose = if netns.is_some() { Purpose::Detach(EndpointId(1)) } else { Purpose::DeleteNetwork(NetworkId(1)) };
    Plan { id: PlanId(2), purpose, lane: ParentId(1), netns: netns.cloned(), steps, undo: Vec::new() }
}

/// An endpoint to attach, in the order of steps that the planner uses.
#[derive(Clone)]
pub struct Wish {
    pub parent: IfIndex,
    pub index: IfIndex,
    pub interface: &'static str,
    pub mode: Mode,
    pub flag: Flag,
    pub mtu: Option<u32>,
    pub addresses: Vec<IpNet>,
    pub routes: Vec<(IpNet, Option<IpAddr>)>,
}

impl Wish {
    /// 192.168.1.`host` on `parent`, with the default route of the documentation.
    pub fn v4(parent: IfIndex, host: u8) -> Self {
        Wish {
            parent,
            index: IfIndex(0x2000_0000 + u32::from(host)),
            interface: "eth0",
            mode: Mode::L2,
            flag: Flag::Bridge,
            mtu: None,
            addresses: vec![net(&format!("192.168.1.{host}/24"))],
            routes: vec![(net("0.0.0.0/0"), Some([192, 168, 1, 1].into()))],
        }
    }

    /// With 2001:db8:1::`host` and an IPv6 default route as well.
    pub fn dual(parent: IfIndex, host: u8) -> Self {
        let mut wish = Self::v4(parent, host);
        wish.addresses.push(net(&format!("2001:db8:1::{host}/64")));
        wish.routes.push((net("::/0"), Some("2001:db8:1::1".parse().unwrap())));
        wish
    }

    pub fn steps(&self) -> Vec<Step> {
        let (index, name) = (self.index, name(self.interface));
        let mut steps = vec![
            Step::AddIpvlan {
                name: name.clone(),
                index,
                parent: self.parent,
                parent_name: self::name("eth0"),
                mode: self.mode,
                flag: self.flag,
                mtu: self.mtu,
            },
            Step::RefuseRa { name: name.clone() },
        ];
        steps.extend(self.addresses.iter().map(|a| Step::AddAddress { index, name: name.clone(), address: *a }));
        steps.push(Step::Announce { index, name: name.clone(), alias: format!("bulkhead test {index}") });
        steps.push(Step::SetUpInside { index, name: name.clone() });
        steps.extend(self.routes.iter().map(|(d, via)| Step::AddRoute { index, name: name.clone(), destination: *d, via: *via }));
        steps
    }

    pub fn undo(&self) -> Vec<Step> {
        vec![Step::DelIpvlan { index: self.index, name: name(self.interface), parent: self.parent }]
    }

    pub fn attach(&self, netns: &Netns) -> Plan {
        making(Some(netns), self.steps(), self.undo())
    }

    pub fn detach(&self, netns: &Netns) -> Plan {
        removal(Some(netns), self.undo())
    }
}

/// Why a plan failed, and at which step.
pub fn failure(settled: Settled) -> Result<(usize, String)> {
    match settled {
        Settled::Failed { step, why, left: None } => Ok((step, why)),
        settled => Err(format!("{settled:?}").into()),
    }
}

pub fn boot() -> bulkhead_core::ids::BootId {
    boot_id().unwrap()
}

/// Waits until `holds`, for what the kernel does in its own time.
pub fn soon(what: &str, holds: impl Fn() -> bool) {
    let until = std::time::Instant::now() + std::time::Duration::from_secs(20);
    while !holds() {
        assert!(std::time::Instant::now() < until, "not within 20 s: {what}");
        std::thread::sleep(std::time::Duration::from_millis(5));
    }
}
