//! Requests that are each fine alone, but not together, asked at the same time in many orders: never do both pass. A policy judges
//! the very state that its decision commits to.
#![allow(clippy::unwrap_used)] // A test that panics says where.

mod common;

use bulkhead_core::endpoint::Netns;
use bulkhead_core::host::{Flag, Mode};
use bulkhead_core::ids::BootId;
use bulkhead_core::kernel::Kernel;
use bulkhead_core::names::{Labels, LinkName, Name};
use bulkhead_core::network::{DnsForward, ShieldWish};
use bulkhead_core::policy::{
    Change, Conclusion, Description, Digest, Judge, Judged, Judgement, Label, Module, Operation, Opinion, Policy, PolicyMode, Question,
    Scope, View, Violation,
};
use bulkhead_core::record::{Batch, Edit, Store};
use bulkhead_core::request::{Attach, ChangeNetwork, ChangeWorkload, CreateNetwork, GatewayWish, Request, SubnetWish, WorkloadWish};
use bulkhead_core::settings::Settings;
use bulkhead_engine::{Answer, Config, Engine, Failure};
use bulkhead_kernel::sim::SimKernel;
use common::{Memory, root};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// Rounds; each runs every kind of race once.
const ROUNDS: usize = 100;

/// What is of two tiers shares no segment and no workload. Slow, so that the others arrive while it thinks.
struct KeepsTiersApart;

impl Judge for KeepsTiersApart {
    fn judge(&self, _: &Policy, q: &Question) -> Judged {
        std::thread::yield_now();
        let tier = |labels: &[Label]| labels.iter().find(|l| l.key == "tier").map(|l| l.value.clone());
        let own = q.workload.as_ref().and_then(|w| tier(&w.labels)).or_else(|| tier(&q.network.labels));
        let groups = q.same_segment.iter().chain(q.workload.iter().flat_map(|w| &w.attached));
        let theirs: BTreeSet<_> = groups.filter_map(|g| tier(&g.workload_labels).or_else(|| tier(&g.network_labels))).collect();
        let stranger = own.and_then(|own| theirs.into_iter().find(|t| *t != own));
        let message = stranger.map(|s| format!("tier {s} is there"));
        let violations: Vec<Violation> =
            message.into_iter().map(|message| Violation { rule: "apart".into(), message, field: None, remedy: None }).collect();
        let outcome = if violations.is_empty() { Conclusion::Allow } else { Conclusion::Deny };
        Judged { judgement: Judgement::Spoke(Opinion { outcome, violations, warnings: vec![], notes: vec![] }), fuel: Some(1), limit: None }
    }
}

struct Site {
    engine: Engine,
    namespaces: Vec<Netns>,
}

impl Site {
    fn new() -> Self {
        let kernel = SimKernel::new(BootId(1));
        kernel.add_physical("eth0");
        let namespaces = (0..2).map(|i| kernel.add_netns(&format!("/run/netns/w{i}"))).collect();
        let mut memory = Memory::new();
        let description = Arc::new(Description {
            name: "apart".into(),
            version: "1".into(),
            summary: String::new(),
            operations: vec![Operation::CreateNetwork, Operation::ChangeNetwork, Operation::Attach, Operation::ChangeWorkload],
            rules: vec![],
            label_keys: vec!["tier".into()],
            needs: vec![View::Attached, View::SameSegment],
            settings_schema: String::new(),
        });
        let module = Module { digest: Digest([1; 32]), size: 1, description: Arc::clone(&description), built_in: false };
        let policy = Policy {
            name: Name::new("apart").unwrap(),
            module: module.digest,
            description,
            settings: serde_json::Value::Null,
            revision: 1,
            mode: PolicyMode::Enforce,
            schedule: None,
            scope: Scope::default(),
            help: Default::default(),
            tests: None,
        };
        let edits = vec![Edit::PutModule(Arc::new(module)), Edit::PutPolicy(Arc::new(policy))];
        memory.write(&Batch { edits, ..Batch::default() }).unwrap();
        let kernel: Arc<dyn Kernel> = kernel;
        let settings = Settings::new("fd00:1::/48".parse().unwrap());
        let config = Config { store: Box::new(memory), kernel, judge: Arc::new(KeepsTiersApart), settings, sweep: None };
        Self { engine: Engine::start(config).unwrap(), namespaces }
    }

    async fn ask(&self, request: Request) -> Result<Answer, Failure> {
        self.engine.ask(request, root(), Change::default(), None, None).await
    }

    fn attach(&self, network: &str, which: usize, tier: Option<&str>) -> Request {
        Request::Attach(Attach {
            network: network.into(),
            netns: self.namespaces[which].clone(),
            netns_is_callers: true,
            default_routes: Default::default(),
            interface: LinkName::new(&format!("to-{network}")).unwrap(),
            name: None,
            aliases: Vec::new(),
            addresses: vec![],
            workload: WorkloadWish { labels: tier.map(|t| Labels::from([("tier", t)])), ..WorkloadWish::default() },
        })
    }

    fn relabel_workload(&self, network: &str, tier: &str) -> Request {
        let state = self.engine.state();
        let endpoint = state.endpoints_of(state.network(network).unwrap().id).next().unwrap().id.to_string();
        let labels = tiered(tier);
        Request::ChangeWorkload(ChangeWorkload { network: network.into(), endpoint, netns_is_callers: true, labels })
    }
}

fn tiered(tier: &str) -> BTreeMap<String, Option<String>> {
    BTreeMap::from([("tier".to_owned(), Some(tier.to_owned()))])
}

fn network(name: &str, parent: &str, third: u8, tier: Option<&str>) -> Request {
    let cidr = format!("10.{third}.0.0/24").parse().unwrap();
    Request::CreateNetwork(CreateNetwork {
        name: Name::new(name).unwrap(),
        mode: Mode::L2,
        flag: Flag::Bridge,
        parent: Some(parent.into()),
        internal: false,
        ipv4: true,
        ipv6: false,
        mtu: None,
        gateway: GatewayWish::Auto,
        subnets: vec![SubnetWish { cidr, gateway: None, ip_range: None, reserved: BTreeMap::new() }],
        accept_ra: false,
        shield: ShieldWish::On,
        dns_forward: DnsForward::Auto,
        labels: tier.map_or_else(Labels::default, |t| Labels::from([("tier", t)])),
    })
}

fn relabel(network: &str, tier: &str) -> Request {
    Request::ChangeNetwork(ChangeNetwork { network: network.into(), labels: tiered(tier), mtu: None, dns_forward: None, subnets: vec![] })
}

type Two = Box<dyn Fn(&Site) -> [Request; 2]>;

/// What is there before, and two requests of which at most one may pass.
fn race(kind: usize) -> (Vec<Request>, Two) {
    let (web, cards) = (Some("web"), Some("cards"));
    match kind {
        0 => (vec![], Box::new(move |_| [network("a", "eth0.30", 1, web), network("b", "eth0.30", 2, cards)])),
        1 => (vec![network("a", "eth0.30", 1, None)], Box::new(move |s| [s.attach("a", 0, web), s.attach("a", 1, cards)])),
        2 => (vec![network("a", "eth0.30", 1, None)], Box::new(move |s| [relabel("a", "web"), s.attach("a", 1, cards)])),
        3 => (
            vec![network("a", "eth0.30", 1, None), network("b", "eth0.30", 2, None)],
            Box::new(|_| [relabel("a", "web"), relabel("b", "cards")]),
        ),
        // One workload, two networks of different tiers on different segments.
        4 => (
            vec![network("a", "eth0.30", 1, web), network("b", "eth0.31", 2, cards)],
            Box::new(|s| [s.attach("a", 0, None), s.attach("b", 0, None)]),
        ),
        _ => (
            vec![network("a", "eth0.30", 1, None), network("b", "eth0.30", 2, None)],
            Box::new(|s| [s.relabel_workload("a", "web"), relabel("b", "cards")]),
        ),
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn of_two_that_are_not_fine_together_never_do_both_pass() {
    let mut won = [[0_usize; 2]; 6];
    for round in 0..ROUNDS {
        for (kind, won) in won.iter_mut().enumerate() {
            let site = Arc::new(Site::new());
            let (before, two) = race(kind);
            for request in before {
                site.ask(request).await.unwrap();
            }
            if kind == 5 {
                site.ask(site.attach("a", 0, None)).await.unwrap();
            }
            let [first, second] = two(&site);
            let order = if round % 2 == 0 { [first.clone(), second.clone()] } else { [second.clone(), first.clone()] };
            let asking = order.map(|request| {
                let site = Arc::clone(&site);
                tokio::spawn(async move {
                    let came = site.ask(request.clone()).await;
                    (request, came)
                })
            });
            let mut passed = Vec::new();
            for task in asking {
                match task.await.unwrap() {
                    (request, Ok(_)) => passed.push(request),
                    (_, Err(Failure::Denied { .. })) => {}
                    (request, Err(other)) => panic!("race {kind}: {request:?}: {other}"),
                }
            }
            assert_eq!(passed.len(), 1, "race {kind}, round {round}: {passed:?}");
            won[usize::from(passed[0] == second)] += 1;
            site.engine.stop();
        }
    }
    assert!(won.iter().all(|w| w[0] > 0 && w[1] > 0), "both orders were seen: {won:?}");
}
