//! What an attach costs, beside its floor: `scripts/bench`.
//!
//! In one process and one kernel, in turn: attach and detach over REST (unix socket, keep-alive, both built-in policies, durable commit);
//! the same kernel work by the same plan without anything around it (raw); and a bare fsync'd one-row SQLite commit. Figures are ratios
//! of medians of one run; absolute times only tell what was divided.

use bulkhead_core::decide::{endpoint_making, endpoint_removal};
use bulkhead_core::endpoint::{Assigned, Endpoint, EndpointState, Netns, Workload};
use bulkhead_core::host::{Flag, IfIndex, Mode};
use bulkhead_core::ids::{BootId, DecisionId, EndpointId, Ids, NetworkId, ParentId, PlanId, Timestamp};
use bulkhead_core::kernel::Kernel;
use bulkhead_core::names::{Labels, LinkName, Name};
use bulkhead_core::network::{DnsForward, Network, NetworkState, ShieldWish, Subnet};
use bulkhead_core::parent::{Origin, Parent, ParentKind, ParentState};
use bulkhead_core::plan::{Plan, Purpose, Settled};
use bulkhead_core::policy::Provenance;
use bulkhead_core::record::{Batch, Loaded, Recorded, Store, StoreError};
use bulkhead_core::segment::Fabric;
use bulkhead_kernel::LinuxKernel;
use bulkhead_kernel::netns::{self, NetnsWish};
use bulkhead_lab::{Client, Daemon, Lab, Namespace, Serve};
use bulkhead_store::SqliteStore;
use serde_json::json;
use std::error::Error;
use std::net::UdpSocket;
use std::os::fd::OwnedFd;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

type Outcome<T> = Result<T, Box<dyn Error>>;

/// Namespaces that hold the endpoints on record; each has one of every filling network.
const NAMESPACES: usize = 100;
const ROUNDS: usize = 200;
const CLIENTS: usize = 16;

fn main() -> Outcome<()> {
    // cargo passes --bench.
    let levels: Vec<usize> = std::env::args().skip(1).filter_map(|a| a.parse().ok()).collect();
    let levels = if levels.is_empty() { vec![0, 1_000, 10_000] } else { levels };
    let folder =
        std::env::var_os("BULKHEAD_SHARE").map_or_else(std::env::temp_dir, PathBuf::from).join(format!("bench-{}", std::process::id()));
    std::fs::create_dir_all(&folder)?;
    let lab = Lab::new()?;
    let mut daemon = Serve::new(&folder)?.start(&lab.host)?;
    let mut client = daemon.client();
    let wish = json!({"name": "bench", "parent": "eth0", "subnets": [{"cidr": "10.200.0.0/16", "gateway": "10.200.0.1"}], "labels": {"tier": "web"}});
    expect(201, client.post("/v1/networks", &wish)?)?;
    // What is measured has a parent and namespaces to itself: the kernel's own work grows with the links of either.
    let workloads: Vec<Namespace> = (0..CLIENTS).map(|i| lab.workload(&format!("w{i}"))).collect::<Result<_, _>>()?;
    let fillers: Vec<Namespace> = (0..NAMESPACES).map(|i| lab.workload(&format!("f{i}"))).collect::<Result<_, _>>()?;
    let raw = lab.host.enter(|| Raw::new(&workloads[0]).map_err(|e| e.to_string()))??;
    let mut bare = SqliteStore::open(&folder.join("bare.db"))?;
    println!(
        "{:>9} {:>24} {:>24} {:>24} {:>24} {:>8} {:>8}",
        "endpoints", "attach p50/p99 µs", "detach p50/p99 µs", "raw attach p50/p99 µs", "bare commit p50/p99 µs", "ratio", "16 cl."
    );
    let wish = json!({"name": "names", "subnets": [{"cidr": "10.202.0.0/24"}], "labels": {"tier": "web"}, "gateway": "none"});
    expect(201, client.post("/v1/networks", &wish)?)?;
    for (filler, name) in fillers.iter().zip(["asks", "asked"]) {
        let wish = json!({"namespace": {"name": filler.name()}, "interface": "names", "name": name});
        expect(201, client.post("/v1/networks/names/endpoints", &wish)?)?;
    }
    let mut first = None;
    for level in levels {
        fill(&mut client, &fillers, level)?;
        let row = measure(&lab, &mut client, &workloads, &raw, &mut bare)?;
        let many = many_clients(&daemon, &workloads)?;
        let floor = row.raw.p50 + row.bare.p50;
        let shared = row.raw.p50 + row.bare.p50 / CLIENTS as f64;
        println!(
            "{level:>9} {:>24} {:>24} {:>24} {:>24} {:>8.2} {:>8.2}",
            row.attach.text(),
            row.detach.text(),
            row.raw.text(),
            row.bare.text(),
            row.attach.p50 / floor,
            many / shared
        );
        let base = first.get_or_insert((row.attach.p50, row.attach.p99));
        println!(
            "{:>9} p50 {:.2}, p99 {:.2} of the first row's; a name is looked up in {} µs",
            "",
            row.attach.p50 / base.0,
            row.attach.p99 / base.1,
            look_up(&fillers[0])?.text()
        );
    }
    let on_record = Instant::now();
    daemon.kill()?;
    let killed = Instant::now();
    daemon.start()?;
    println!(
        "restart after kill -9 with all on record: ready after {:.2} s (kill {:.2} s)",
        killed.elapsed().as_secs_f64(),
        (killed - on_record).as_secs_f64()
    );
    drop(daemon);
    drop(bare);
    std::fs::remove_dir_all(&folder)?;
    Ok(())
}

fn expect(status: u16, answer: bulkhead_lab::Response) -> Outcome<serde_json::Value> {
    if answer.status == status {
        Ok(answer.json().unwrap_or_default())
    } else {
        Err(format!("{}: {}", answer.status, answer.text()).into())
    }
}

/// Endpoints on record: an isolated network of /24 for every hundred, and every namespace in it.
fn fill(client: &mut Client, workloads: &[Namespace], level: usize) -> Outcome<()> {
    let page = client.get("/v1/networks?limit=500")?.json()?;
    let have = page["items"].as_array().map_or(0, Vec::len) - 2;
    for n in have..level / NAMESPACES {
        let cidr = format!("10.{}.{}.0/24", 100 + n / 256, n % 256);
        let wish = json!({"name": format!("fill{n}"), "subnets": [{"cidr": cidr}], "labels": {"tier": "web"}, "gateway": "none"});
        expect(201, client.post("/v1/networks", &wish)?)?;
        for w in workloads {
            let wish = json!({"namespace": {"name": w.name()}, "interface": format!("f{n}")});
            expect(201, client.post(&format!("/v1/networks/fill{n}/endpoints"), &wish)?)?;
        }
    }
    Ok(())
}

struct Times {
    p50: f64,
    p99: f64,
}

impl Times {
    fn of(mut all: Vec<Duration>) -> Self {
        all.sort_unstable();
        let at = |q: f64| all[((all.len() - 1) as f64 * q) as usize].as_secs_f64() * 1e6;
        Self { p50: at(0.5), p99: at(0.99) }
    }
    fn text(&self) -> String {
        format!("{:.0}/{:.0}", self.p50, self.p99)
    }
}

struct Row {
    attach: Times,
    detach: Times,
    raw: Times,
    bare: Times,
}

fn measure(lab: &Lab, client: &mut Client, workloads: &[Namespace], raw: &Raw, bare: &mut SqliteStore) -> Outcome<Row> {
    let (mut attach, mut detach, mut raws, mut bares) = (vec![], vec![], vec![], vec![]);
    let wish = json!({"namespace": {"name": workloads[0].name()}, "interface": "eth0"});
    for round in 0..ROUNDS {
        let begin = Instant::now();
        let endpoint = client.post("/v1/networks/bench/endpoints", &wish)?;
        attach.push(begin.elapsed());
        let id = expect(201, endpoint)?["id"].as_str().unwrap_or_default().to_owned();
        let begin = Instant::now();
        let gone = client.delete(&format!("/v1/networks/bench/endpoints/{id}"))?;
        detach.push(begin.elapsed());
        if gone.status / 100 != 2 {
            return Err(gone.text().into());
        }
        raws.push(lab.host.enter(|| raw.once().map_err(|e| e.to_string()))??);
        let begin = Instant::now();
        bare.set_token_hash(&[u8::try_from(round % 256)?; 32])?;
        bares.push(begin.elapsed());
    }
    Ok(Row { attach: Times::of(attach), detach: Times::of(detach), raw: Times::of(raws), bare: Times::of(bares) })
}

/// A question over UDP to the namespace's resolver, until its answer is there.
fn look_up(from: &Namespace) -> Outcome<Times> {
    // RFC 1035, 4.1: id, recursion desired, one question: `asked.`, type A, class IN.
    const QUESTION: &[u8] = b"\0\x2a\x01\0\0\x01\0\0\0\0\0\0\x05asked\0\0\x01\0\x01";
    let ask = || -> std::io::Result<Vec<Duration>> {
        let socket = UdpSocket::bind("127.0.0.1:0")?;
        socket.set_read_timeout(Some(Duration::from_secs(20)))?;
        socket.connect("127.0.0.11:53")?;
        let mut answer = [0; 512];
        let one = |_| {
            let begin = Instant::now();
            socket.send(QUESTION)?;
            let length = socket.recv(&mut answer)?;
            // No error (4.1.1, RCODE), and one answer.
            let good = length > QUESTION.len() && answer[3] & 0xf == 0 && answer[7] == 1;
            if good { Ok(begin.elapsed()) } else { Err(std::io::ErrorKind::InvalidData.into()) }
        };
        (0..ROUNDS * 5).map(one).collect()
    };
    Ok(Times::of(from.enter(ask)??))
}

/// Mean time per attach, in µs, with as many clients at once.
fn many_clients(daemon: &Daemon<'_>, workloads: &[Namespace]) -> Outcome<f64> {
    let times: Vec<Result<Duration, String>> = std::thread::scope(|scope| {
        let handles: Vec<_> = workloads[..CLIENTS]
            .iter()
            .map(|w| {
                let mut client = daemon.client();
                scope.spawn(move || -> Result<Duration, String> {
                    let mut spent = Duration::ZERO;
                    for _ in 0..ROUNDS / CLIENTS {
                        let wish = json!({"namespace": {"name": w.name()}, "interface": "eth0"});
                        let begin = Instant::now();
                        let answer = client.post("/v1/networks/bench/endpoints", &wish).map_err(|e| e.to_string())?;
                        spent += begin.elapsed();
                        let id = expect(201, answer).map_err(|e| e.to_string())?["id"].as_str().unwrap_or_default().to_owned();
                        client.delete(&format!("/v1/networks/bench/endpoints/{id}")).map_err(|e| e.to_string())?;
                    }
                    Ok(spent)
                })
            })
            .collect();
        handles.into_iter().map(|h| h.join().unwrap_or_else(|_| Err("a client panicked".into()))).collect()
    });
    // All wait at once: the time of one is shared by all.
    let total: Duration = times.into_iter().collect::<Result<Vec<_>, _>>()?.into_iter().sum();
    Ok(total.as_secs_f64() * 1e6 / (CLIENTS * (ROUNDS / CLIENTS)) as f64 / CLIENTS as f64)
}

/// The floor: the plan alone.
struct Raw {
    kernel: Arc<LinuxKernel>,
    netns: Netns,
    fd: Arc<OwnedFd>,
    parent: IfIndex,
}

/// Records nothing: the floor has no record.
struct Nowhere;

impl Store for Nowhere {
    fn write(&mut self, _: &Batch) -> Result<(), StoreError> {
        Ok(())
    }
    fn load(&mut self) -> Result<Loaded, StoreError> {
        Ok(Loaded::default())
    }
}

impl Raw {
    fn new(workload: &Namespace) -> Outcome<Self> {
        let kernel = LinuxKernel::start()?;
        let open = netns::open(&NetnsWish::Name(workload.name().to_owned())).map_err(|f| f.to_string())?;
        let parent = kernel.host().named("eth0").ok_or("no eth0")?.index;
        Ok(Self { kernel, netns: open.record, fd: open.fd, parent })
    }

    fn recorded(plan: Plan) -> Outcome<Recorded<Arc<Plan>>> {
        let batch = Batch { plans: vec![Arc::new(plan)], ..Batch::default() };
        Ok(Nowhere.commit(&batch)?.pop().ok_or("no plan")?)
    }

    fn once(&self) -> Outcome<Duration> {
        // A thread's first visit looks up where its home is; the daemon's threads have made theirs.
        netns::cookie(&self.fd)?;
        let mut ids = Ids::new(u64::from(std::process::id()) ^ Instant::now().elapsed().as_nanos() as u64, Timestamp(1));
        let parent = Parent {
            id: ParentId(1),
            link: LinkName::new("eth0").map_err(|f| f.to_string())?,
            alias: None,
            index: self.parent,
            boot: BootId(1),
            kind: ParentKind::Link { link_kind: "veth".into() },
            origin: Origin::Found,
            mac: None,
            fabric: Fabric::Wired("default".into()),
            mtu: None,
            mode: Mode::L2,
            flag: Flag::Bridge,
            shield: true,
            state: ParentState::Present,
        };
        let network = Network {
            id: NetworkId(1),
            name: Name::new("raw").map_err(|f| f.to_string())?,
            mode: Mode::L2,
            flag: Flag::Bridge,
            parent_asked: Some("eth0".into()),
            parent: parent.id,
            internal: false,
            mtu: None,
            accept_ra: false,
            shield: ShieldWish::On,
            dns_forward: DnsForward::Auto,
            subnets: vec![Subnet { cidr: "10.201.0.0/16".parse()?, gateway: None, ip_range: None, reserved: Default::default() }],
            labels: Labels::default(),
            created_by: String::new(),
            created_at: Timestamp(0),
            decision: DecisionId(0),
            state: NetworkState::Ready,
        };
        let endpoint = Endpoint {
            id: EndpointId(ids.id()),
            network: network.id,
            name: None,
            aliases: vec![],
            workload: Workload {
                id: String::new(),
                name: String::new(),
                labels: Labels::default(),
                provenance: Provenance::Unknown,
                capabilities: None,
            },
            netns: self.netns.clone(),
            link: LinkName::new("eth0").map_err(|f| f.to_string())?,
            index: ids.link_index(),
            addresses: vec![Assigned { subnet: 0, address: "10.201.0.9".parse()? }],
            routes: vec![("0.0.0.0/0".parse()?, Some("10.201.0.1".parse()?))],
            asked_addresses: vec![],
            failing_since: None,
            created_by: String::new(),
            created_by_uid: None,
            created_at: Timestamp(0),
            decision: DecisionId(0),
            state: EndpointState::Attached,
        };
        let making = Self::recorded(endpoint_making(&endpoint, &network, &parent, Purpose::Attach(endpoint.id), PlanId(1)))?;
        let removal = Self::recorded(endpoint_removal(&endpoint, &parent, Purpose::Detach(endpoint.id), PlanId(2)))?;
        let begin = Instant::now();
        let made = self.kernel.apply(&making, Some(Arc::clone(&self.fd)));
        let spent = begin.elapsed();
        let gone = self.kernel.apply(&removal, Some(Arc::clone(&self.fd)));
        match (made, gone) {
            (Settled::Done, Settled::Done) => Ok(spent),
            (Settled::Failed { why, .. }, _) | (_, Settled::Failed { why, .. }) => Err(why.into()),
        }
    }
}
