//! What a hostile module does to others' attaches: the real engine, record and judge, over the simulated kernel.

use crate::common::odd::{Odd, bomb};
use crate::common::{policy_of, question};
use crate::engines::wasm::built_in;
use crate::measure::Times;
use bulkhead_core::caller::Caller;
use bulkhead_core::decide::Object;
use bulkhead_core::endpoint::Netns;
use bulkhead_core::host::{Flag, Mode};
use bulkhead_core::ids::BootId;
use bulkhead_core::names::{Labels, LinkName, Name};
use bulkhead_core::network::ShieldWish;
use bulkhead_core::policy::{Change, Help, Judgement, Module, PolicyMode, Scope};
use bulkhead_core::request::{Attach, CreateNetwork, DefaultRoutes, GatewayWish, PutPolicy, Request, SubnetWish, WorkloadWish};
use bulkhead_core::settings::Settings;
use bulkhead_engine::{Answer, Config, Engine, Failure};
use bulkhead_kernel::sim::SimKernel;
use bulkhead_store::SqliteStore;
use bulkhead_wasm::{Child, Limits, WasmJudge};
use std::error::Error;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use tokio::runtime::Runtime;

type Outcome<T> = Result<T, Box<dyn Error>>;

const ROUNDS: usize = 400;
/// Breaks of the hostile policy that are looked at before it is given up.
const BREAKS: usize = 9;

struct Daemon {
    runtime: Runtime,
    engine: Engine,
    judge: Arc<WasmJudge>,
}

fn root() -> Caller {
    Caller { name: "root".into(), uid: Some(0), groups: vec![], door: "unix".into(), peer: "pid 1".into(), admin: true }
}

fn name(text: &str) -> Result<Name, String> {
    Name::new(text).map_err(|f| f.to_string())
}

impl Daemon {
    fn ask(&self, request: Request, bytes: Option<(bulkhead_core::policy::Digest, Arc<[u8]>)>) -> Result<Answer, Failure> {
        let change = Change { reason: Some("measuring".into()), ..Change::default() };
        self.runtime.block_on(self.engine.ask_with(request, root(), change, None, None, bytes))
    }

    /// A policy in force on one network, or on all.
    fn put_policy(&self, called: &str, bytes: &[u8], networks: &[&str]) -> Outcome<()> {
        let module = self.judge.admit(bytes)?;
        let digest = module.digest;
        self.ask(Request::PutModule(Arc::new(Module { built_in: false, ..module })), Some((digest, bytes.into())))?;
        let settings = serde_json::json!({});
        let description = self.judge.check_settings(digest, &settings)?;
        let scope = Scope { networks: networks.iter().map(|n| (*n).to_owned()).collect(), ..Scope::default() };
        self.ask(
            Request::PutPolicy(PutPolicy {
                name: name(called)?,
                module: digest,
                settings,
                description,
                mode: PolicyMode::Enforce,
                schedule: None,
                scope,
                help: Help::default(),
                tests: None,
                tested_beside: 0,
                new_only: false,
            }),
            None,
        )?;
        Ok(())
    }

    fn network(&self, called: &str, cidr: &str) -> Outcome<()> {
        let subnets = vec![SubnetWish { cidr: cidr.parse()?, gateway: None, ip_range: None, reserved: Default::default() }];
        self.ask(
            Request::CreateNetwork(CreateNetwork {
                name: name(called)?,
                mode: Mode::L2,
                flag: Flag::Bridge,
                parent: None,
                internal: false,
                ipv4: true,
                ipv6: false,
                mtu: None,
                gateway: GatewayWish::None,
                subnets,
                accept_ra: false,
                shield: ShieldWish::On,
                dns_forward: Default::default(),
                labels: Labels::from([("tier", "web")]),
            }),
            None,
        )?;
        Ok(())
    }

    fn attach(&self, network: &str, netns: &Netns, interface: &str) -> Result<Answer, Failure> {
        let link = LinkName::new(interface).map_err(|f| Failure::Unavailable(f.to_string()))?;
        let attach = Attach {
            network: network.into(),
            netns: netns.clone(),
            netns_is_callers: true,
            default_routes: DefaultRoutes::default(),
            interface: link,
            name: None,
            aliases: vec![],
            addresses: vec![],
            workload: WorkloadWish::default(),
        };
        self.ask(Request::Attach(attach), None)
    }

    /// Attaches and detaches, one after the other, and takes the time of the attaches.
    fn attaches(&self, rounds: usize, netns: &Netns) -> Outcome<Times> {
        let mut times = Times::default();
        for _ in 0..rounds {
            let answer = times.of(|| self.attach("shop", netns, "eth0"))?;
            let Object::Endpoint(id) = answer.object else { return Err("no endpoint".into()) };
            self.ask(Request::Detach { network: "shop".into(), endpoint: id.to_string(), netns_is_callers: true }, None)?;
        }
        Ok(times)
    }
}

/// Runs something over and over on a thread of its own while `work` is done; says how often.
fn meanwhile<T>(hostile: impl Fn() + Send + Sync, work: impl FnOnce() -> T) -> (T, u64) {
    let (over, times) = (AtomicBool::new(false), AtomicU64::new(0));
    let done = std::thread::scope(|scope| {
        scope.spawn(|| {
            while !over.load(Relaxed) {
                hostile();
                times.fetch_add(1, Relaxed);
            }
        });
        let done = work();
        over.store(true, Relaxed);
        done
    });
    (done, times.load(Relaxed))
}

pub fn run(scratch: &Path) -> Outcome<()> {
    let kernel = SimKernel::new(BootId(1));
    let (ours, theirs) = (kernel.add_netns("w1"), kernel.add_netns("w2"));
    let limits = Limits::default();
    let judge = Arc::new(WasmJudge::new(limits.clone())?.with_child(Child::of_this_program(crate::CHILD)));
    let store = SqliteStore::open(&scratch.join("hostile.db"))?;
    let config = Config {
        store: Box::new(store),
        kernel,
        judge: Arc::<WasmJudge>::clone(&judge),
        settings: Settings::new("fd00:1::/48".parse()?),
        sweep: None,
    };
    let daemon = Daemon { runtime: Runtime::new()?, engine: Engine::start(config)?, judge };
    for called in ["tier-isolation", "subnet-rules"] {
        daemon.put_policy(called, built_in(called)?.bytes, &[])?;
    }
    daemon.network("shop", "10.1.0.0/24")?;
    daemon.network("evil", "10.2.0.0/24")?;
    daemon.attaches(50, &ours)?;

    println!("Attaches beside a hostile module: engine, durable record and judge as shipped, two built-ins in force, simulated kernel; µs");
    println!("{:<58} {:>9} {:>9} {:>9}", "", "p50", "p99", "of before");
    let before = daemon.attaches(ROUNDS, &ours)?;
    let row =
        |what: &str, times: &Times| println!("{what:<58} {:>9.0} {:>9.0} {:>9.2}", times.p50(), times.p99(), times.p50() / before.p50());
    row("before", &before);

    // As a dry run, a rehearsal or a stored test asks it: on another thread.
    let burner = Odd { evaluate: "(loop (br 0)) unreachable".into(), ..Odd::new() }.bytes();
    let module = daemon.judge.admit(&burner)?;
    let policy = policy_of(module.digest, Arc::clone(&module.description), serde_json::json!({}));
    let asked = question("web", Some(""), None, "10.2.0.0/24");
    let (times, n) = meanwhile(|| drop(daemon.engine.judge(&policy, &asked)), || daemon.attaches(ROUNDS, &ours));
    row(&format!("one that burns its fuel is asked by dry runs ({n} times)"), &times?);

    let bomb = bomb(2200);
    let (times, n) = meanwhile(|| drop(daemon.judge.admit(&bomb)), || daemon.attaches(ROUNDS, &ours));
    row(&format!("one that takes long to compile is uploaded ({n} times)"), &times?);

    // In force on another network: the writer itself asks it.
    daemon.put_policy("hostile", &burner, &["evil"])?;
    let (mut stalls, mut beside) = (Times::default(), Times::default());
    for _ in 0..BREAKS {
        let denied = stalls.of(|| daemon.attach("evil", &theirs, "eth1"));
        if !matches!(denied, Err(Failure::Denied { .. })) {
            return Err("the hostile policy did not deny".into());
        }
        beside.extend(daemon.attaches(10, &ours)?);
    }
    row(&format!("an attach that it stalls, in force ({BREAKS} times)"), &stalls);
    println!("  at most {:.0}; a decision may take {} ms of CPU time", stalls.quantile(1.0), limits.decision_ms);
    row("others' attaches in between", &beside);
    daemon.attach("evil", &theirs, "eth1").err();
    let policies = daemon.engine.state();
    let given_up = policies.policy("hostile").and_then(|p| daemon.engine.broke(p)).is_some_and(|b| b.given_up);
    let mut after = Times::default();
    (0..ROUNDS).for_each(|_| drop(after.of(|| daemon.attach("evil", &theirs, "eth1"))));
    row(&format!("its own attaches, once it is given up ({given_up})"), &after);
    let judged = daemon.engine.judge(&policy, &asked);
    if let Judgement::Broke(why) = judged.judgement {
        println!("It broke because {why}.");
    }
    println!();
    daemon.engine.stop();
    Ok(())
}
