//! Random operations on the simulated kernel, with failures, crashes, restarts, reboots and drift: whatever happens, once nothing is
//! under way, record and kernel agree.
#![allow(clippy::unwrap_used)] // A test that panics says where.

mod common;
use bulkhead_core::endpoint::Netns;
use bulkhead_core::faults::{Disagreement, faults};
use bulkhead_core::host::{Flag, IfIndex, LinkKind, Mode};
use bulkhead_core::ids::BootId;
use bulkhead_core::kernel::Kernel;
use bulkhead_core::names::{Labels, LinkName, Name};
use bulkhead_core::network::{DnsForward, ShieldWish};
use bulkhead_core::policy::Change;
use bulkhead_core::request::{Attach, CreateNetwork, GatewayWish, Request, SubnetWish, WorkloadWish};
use bulkhead_core::settings::Settings;
use bulkhead_engine::{Answer, Config, Engine, Failure};
use bulkhead_kernel::sim::{self, SimKernel};
use common::{Agrees, Memory, root};
use proptest::prelude::*;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

struct Site {
    kernel: Arc<SimKernel>,
    memory: Memory,
    engine: Engine,
    namespaces: Vec<Netns>,
    boot: u128,
}

fn start(kernel: &Arc<SimKernel>, memory: &Memory) -> Engine {
    let settings = Settings { allow_unjudged: true, ..Settings::new("fd00:1::/48".parse().unwrap()) };
    let kernel: Arc<dyn Kernel> = Arc::clone(kernel) as Arc<dyn Kernel>;
    Engine::start(Config { store: Box::new(memory.clone()), kernel, judge: Arc::new(Agrees), settings, sweep: None }).unwrap()
}

impl Site {
    fn new() -> Self {
        let kernel = SimKernel::new(BootId(1));
        kernel.add_physical("eth0");
        let namespaces = (0..5).map(|i| kernel.add_netns(&format!("/run/netns/w{i}"))).collect();
        let memory = Memory::new();
        let engine = start(&kernel, &memory);
        Self { kernel, memory, engine, namespaces, boot: 1 }
    }

    async fn ask(&self, request: Request) -> Result<Answer, Failure> {
        self.engine.ask(request, root(), Change::default(), None, None).await
    }

    fn restart(&mut self, memory: Memory) {
        self.engine.stop();
        self.memory = memory;
        self.engine = start(&self.kernel, &self.memory);
    }

    /// Once nothing is under way.
    async fn disagreements(&self) -> Vec<Disagreement> {
        let end = Instant::now() + Duration::from_secs(8);
        loop {
            self.engine.look().await;
            tokio::time::sleep(Duration::from_millis(12)).await;
            self.engine.flush().await;
            let state = self.engine.state();
            let all: Vec<Netns> = state.namespaces().filter_map(|id| state.in_netns(*id).next()).map(|e| e.netns.clone()).collect();
            let all: Vec<Netns> = all.into_iter().chain(self.namespaces.iter().cloned()).collect();
            let found = faults(&state, &self.kernel.observe(&all));
            if found.is_empty() || Instant::now() > end {
                return found;
            }
        }
    }
}

fn create(name: &str, which: u8) -> CreateNetwork {
    let (parent, mode, cidr) = match which % 4 {
        0 => (None, Mode::L2, None),
        1 => (Some("eth0"), Mode::L2, Some("10.1.0.0/24")),
        2 => (Some("eth0.30"), Mode::L2, Some("10.2.0.0/24")),
        _ => (Some("eth0.31"), Mode::L3, Some("10.3.0.0/24")),
    };
    let subnet = |c: &str| SubnetWish { cidr: c.parse().unwrap(), gateway: None, ip_range: None, reserved: BTreeMap::new() };
    CreateNetwork {
        name: Name::new(name).unwrap(),
        mode,
        flag: Flag::Bridge,
        parent: parent.map(Into::into),
        internal: false,
        ipv4: true,
        ipv6: false,
        mtu: None,
        gateway: GatewayWish::Auto,
        subnets: cidr.into_iter().map(subnet).collect(),
        accept_ra: false,
        shield: ShieldWish::On,
        dns_forward: DnsForward::Auto,
        labels: Labels::default(),
    }
}

#[derive(Debug, Clone)]
enum Op {
    Create(u8),
    Delete(u8),
    Attach(u8, u8),
    Detach(u8),
    NamespaceEnds(u8),
    LinkDeleted(u8),
    StepFails(usize),
    UndoFails(usize),
    CrashAt(usize),
    Restart,
    Reboot,
}

fn op() -> impl Strategy<Value = Op> {
    prop_oneof![
        5 => (0u8..4).prop_map(Op::Create),
        2 => (0u8..4).prop_map(Op::Delete),
        6 => (0u8..4, 0u8..5).prop_map(|(n, w)| Op::Attach(n, w)),
        3 => (0u8..8).prop_map(Op::Detach),
        1 => (0u8..5).prop_map(Op::NamespaceEnds),
        1 => (0u8..4).prop_map(Op::LinkDeleted),
        2 => (0usize..6).prop_map(Op::StepFails),
        1 => (0usize..1).prop_map(Op::UndoFails),
        3 => (0usize..6).prop_map(Op::CrashAt),
        1 => Just(Op::Restart),
        1 => Just(Op::Reboot),
    ]
}

/// The request that an operation makes, if it is one.
fn request(site: &Site, op: &Op) -> Option<Request> {
    match op {
        Op::Create(n) => Some(Request::CreateNetwork(create(&format!("n{n}"), *n))),
        Op::Delete(n) => Some(Request::DeleteNetwork { network: format!("n{n}") }),
        Op::Attach(n, w) => Some(Request::Attach(Attach {
            network: format!("n{n}"),
            netns: site.namespaces[usize::from(*w)].clone(),
            netns_is_callers: true,
            default_routes: Default::default(),
            interface: LinkName::new(&format!("eth{n}")).unwrap(),
            name: None,
            aliases: vec![],
            addresses: vec![],
            workload: WorkloadWish::default(),
        })),
        Op::Detach(k) => {
            let state = site.engine.state();
            let endpoint = state.endpoints().nth(usize::from(*k))?;
            let network = state.network_by_id(endpoint.network)?.name.to_string();
            Some(Request::Detach { network, endpoint: endpoint.id.to_string(), netns_is_callers: true })
        }
        _ => None,
    }
}

async fn happen(site: &mut Site, op: &Op, crash: &mut Option<usize>) {
    if let Some(request) = request(site, op) {
        let before = site.memory.commits();
        if let Some(step) = *crash {
            // Only the crash: what is left of the failures then tells whether it came.
            site.kernel.forgive();
            site.kernel.fail(sim::Failure::Crash(step));
        }
        let _ = site.ask(request).await;
        // What the process did after its end is thrown away: the record is as its first commit left it.
        if crash.take().is_some() && site.kernel.forgive() == 0 {
            let memory = site.memory.back_to_the_decision_after(before);
            site.restart(memory);
        }
        return;
    }
    match op {
        Op::NamespaceEnds(w) => {
            let w = usize::from(*w);
            site.kernel.remove_netns(&site.namespaces[w]);
            site.namespaces[w] = site.kernel.add_netns(&format!("/run/netns/w{w}"));
        }
        Op::LinkDeleted(k) => {
            site.kernel.change(|world| {
                let made = |kind: &LinkKind| matches!(kind, LinkKind::Vlan { .. } | LinkKind::Dummy);
                let links: Vec<IfIndex> = world.host.links.values().filter(|l| made(&l.kind)).map(|l| l.index).collect();
                if let Some(index) = links.get(usize::from(*k) % links.len().max(1)) {
                    world.remove_link(*index);
                }
            });
        }
        Op::StepFails(n) => site.kernel.fail(sim::Failure::Step(*n)),
        Op::UndoFails(n) => site.kernel.fail(sim::Failure::Undo(*n)),
        Op::CrashAt(n) => *crash = Some(*n),
        Op::Restart => site.restart(site.memory.clone()),
        Op::Reboot => {
            site.engine.stop();
            site.boot += 1;
            site.kernel.reboot(BootId(site.boot));
            if site.kernel.snapshot().host.named("eth0").is_none() {
                site.kernel.add_physical("eth0");
            }
            site.namespaces = (0..5).map(|i| site.kernel.add_netns(&format!("/run/netns/w{i}"))).collect();
            site.engine = start(&site.kernel, &site.memory);
        }
        Op::Create(_) | Op::Delete(_) | Op::Attach(..) | Op::Detach(_) => {}
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 40, max_shrink_iters: 60, ..ProptestConfig::default() })]
    #[test]
    fn record_and_kernel_agree_whatever_happens(ops in prop::collection::vec(op(), 1..24)) {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        runtime.block_on(async {
            let mut site = Site::new();
            let mut crash = None;
            let mut undo_failed = false;
            for op in &ops {
                undo_failed |= matches!(op, Op::UndoFails(_));
                happen(&mut site, op, &mut crash).await;
            }
            // A failed undo leaves something by definition; it is told to the caller, and is not looked for here.
            if !undo_failed {
                site.kernel.forgive();
                let found = site.disagreements().await;
                prop_assert!(found.is_empty(), "{:#?}\nafter {:#?}", found, ops);
            }
            site.engine.stop();
            Ok(())
        })?;
    }
}
