//! Decisions on records of any size: what is shown to the policies is made of the record, and all of them are asked.

use crate::built_ins::settings;
use crate::engines::wasm::{fuel, numbered, of_built_in};
use crate::measure::{Times, allocations};
use bulkhead_core::caller::Caller;
use bulkhead_core::decide::{Basis, ask};
use bulkhead_core::endpoint::{Assigned, Endpoint, EndpointState, Netns, NetnsId, Workload};
use bulkhead_core::host::{Flag, Host, HostLink, IfIndex, LinkKind, Mac, Mode, ShieldSeen, VlanId};
use bulkhead_core::identity::LinkIdentity;
use bulkhead_core::ids::{BootId, DecisionId, EndpointId, NetworkId, ParentId, Timestamp};
use bulkhead_core::names::{Labels, LinkName, Name};
use bulkhead_core::network::{DnsForward, Network, NetworkState, ShieldWish, Subnet};
use bulkhead_core::parent::{Origin, Parent, ParentKind, ParentState};
use bulkhead_core::policy::{Change, Judge, Judged, Operation, Policy, Provenance, Question};
use bulkhead_core::record::Loaded;
use bulkhead_core::request::{Asked, Request};
use bulkhead_core::segment::Fabric;
use bulkhead_core::settings::Settings;
use bulkhead_core::state::State;
use bulkhead_wasm::WasmJudge;
use std::cell::Cell;
use std::error::Error;
use std::hint::black_box;
use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;
use std::time::Instant;

const ROUNDS: usize = 2_000;
const BOOT: BootId = BootId(7);
/// Endpoints and networks on record.
const SIZES: [(usize, usize); 7] = [(10, 10), (100, 10), (1_000, 10), (1_000, 100), (10_000, 100), (10_000, 1_000), (100_000, 1_000)];
/// Every so manieth network is on the segment that is asked about.
const BESIDE: usize = 5;

/// One, five or twenty policies: all built-ins, then again with other settings.
fn policies(judge: &WasmJudge, n: usize) -> Result<Vec<Policy>, Box<dyn Error>> {
    let order = [
        "tier-isolation",
        "subnet-rules",
        "vlan-allow-list",
        "required-labels",
        "quotas",
        "internal-only",
        "address-reservations",
        "no-raw",
    ];
    let one = |i: usize| {
        let name = order[i % order.len()];
        // Settings of its own, with the same opinion of what is asked here.
        let other = |text: &str| match name {
            "tier-isolation" => text.replace("web", &format!("web{i}")),
            "quotas" => text.replace("2000,", &format!("{},", 2000 + i)),
            "no-raw" => text.replace('}', &format!(r#","unknown":"{}"}}"#, if i < 16 { "deny" } else { "allow" })),
            "internal-only" => text.replace("keys", &format!("keys{i}")),
            "address-reservations" => text.replace("till-1", &format!("till-1{i}")),
            "required-labels" => text.replace(r#""web""#, &format!(r#""web{i}""#)),
            "vlan-allow-list" => text.replace(r#""web""#, &format!(r#""web{i}""#)),
            _ => text.replace("10.40.0.0/16", &format!(r#"10.40.0.0/16","10.{}.0.0/16"#, 100 + i)),
        };
        let text = settings(name)?;
        of_built_in(judge, name, &if i < order.len() { text.to_owned() } else { other(text) })
    };
    Ok(numbered((0..n).map(one).collect::<Result<Vec<_>, _>>()?.into_iter())?)
}

fn link(index: u32, name: &str, kind: LinkKind) -> HostLink {
    let [.., high, low] = index.to_be_bytes();
    let mac = Some(Mac([2, 0, 0, 0, high, low]));
    HostLink {
        index: IfIndex(index),
        name: name.into(),
        alias: None,
        kind,
        mtu: 1500,
        mac,
        permanent_mac: mac,
        up: true,
        carrier: true,
        master: None,
        ipvlan: None,
        addresses: Vec::new(),
        shield: ShieldSeen { egress: true, ingress: true, bypassed_by: None },
    }
}

/// What is on record: network 0 and each fifth one on VLAN 40, the others each on a VLAN of its own; endpoints on all alike.
struct World {
    host: Host,
    state: State,
}

fn vlan(network: usize) -> Result<VlanId, String> {
    let id = if network.is_multiple_of(BESIDE) { 40 } else { 100 + network };
    VlanId::new(u16::try_from(id).unwrap_or(0)).ok_or_else(|| format!("no VLAN {id}"))
}

fn parent(index: usize, base: &HostLink) -> Result<(Parent, HostLink), Box<dyn Error>> {
    let vlan = vlan(index)?;
    let at = 10 + u32::from(vlan.get());
    let link_name = format!("eth0.{vlan}");
    let link = link(at, &link_name, LinkKind::Vlan { base: base.index, id: vlan });
    let parent = Parent {
        id: ParentId(u128::from(vlan.get())),
        link: LinkName::new(&link_name).map_err(|f| f.to_string())?,
        alias: None,
        index: IfIndex(at),
        boot: BOOT,
        kind: ParentKind::Vlan { base: LinkIdentity::of(base, BOOT), vlan },
        origin: Origin::Ours,
        mac: None,
        fabric: Fabric::Wired("default".into()),
        mtu: None,
        mode: Mode::L2,
        flag: Flag::Bridge,
        shield: true,
        state: ParentState::Present,
    };
    Ok((parent, link))
}

fn network(n: usize) -> Result<Network, Box<dyn Error>> {
    let beside = n.is_multiple_of(BESIDE);
    // The last overlaps the one that is asked about, from another segment.
    let cidr = match n {
        0 => "10.40.0.0/24".parse()?,
        4 => "10.40.0.128/25".parse()?,
        _ => format!("10.{}.{}.0/24", 64 + n / 256, n % 256).parse()?,
    };
    let (tier, owner) = (if beside || n == 4 { "cards" } else { ["web", "app", "db"][n % 3] }, format!("team-{}", n % 7));
    Ok(Network {
        id: NetworkId(n as u128 + 1),
        name: Name::new(&format!("net-{n}")).map_err(|f| f.to_string())?,
        mode: Mode::L2,
        flag: Flag::Bridge,
        parent_asked: Some(format!("eth0.{}", vlan(n)?)),
        parent: ParentId(u128::from(vlan(n)?.get())),
        internal: false,
        mtu: None,
        accept_ra: false,
        shield: ShieldWish::On,
        dns_forward: DnsForward::Auto,
        subnets: vec![Subnet { cidr, gateway: None, ip_range: None, reserved: Default::default() }],
        labels: Labels::from([("tier", tier), ("owner", &*owner)]),
        created_by: format!("user-{}", n % 50),
        created_at: Timestamp(0),
        decision: DecisionId(1),
        state: NetworkState::Ready,
    })
}

fn endpoint(e: usize, networks: usize) -> Result<Endpoint, Box<dyn Error>> {
    let (n, serial) = (e % networks, format!("{e}"));
    // On the segment in question: without a tier of their own, of their network's, and of one that may share with it.
    let tier = if n.is_multiple_of(BESIDE) { ["", "cards", "till"][(e / networks) % 3] } else { "" };
    let labels = match tier {
        "" => Labels::from([("serial", &*serial)]),
        tier => Labels::from([("serial", &*serial), ("tier", tier)]),
    };
    let cookie = 0x1000 + e as u64;
    Ok(Endpoint {
        id: EndpointId(e as u128 + 1),
        network: NetworkId(n as u128 + 1),
        name: Some(Name::new(&format!("w{e}")).map_err(|f| f.to_string())?),
        aliases: vec![],
        workload: Workload {
            id: format!("{cookie:x}"),
            name: format!("w{e}"),
            labels,
            provenance: Provenance::Asserted,
            capabilities: None,
        },
        netns: Netns { id: NetnsId { cookie, boot: BOOT }, inode: cookie, named: format!("w{e}") },
        link: LinkName::new("eth0").map_err(|f| f.to_string())?,
        index: IfIndex(2),
        addresses: vec![Assigned { subnet: 0, address: IpAddr::V4(Ipv4Addr::from(0x0a00_0000 + u32::try_from(e)?)) }],
        routes: vec![],
        asked_addresses: vec![],
        created_by: "user-1".into(),
        created_by_uid: None,
        created_at: Timestamp(0),
        decision: DecisionId(1),
        failing_since: None,
        state: EndpointState::Attached,
    })
}

impl World {
    fn new(endpoints: usize, networks: usize, policies: &[Policy]) -> Result<Self, Box<dyn Error>> {
        let mut host = Host::empty(BOOT);
        let base = link(2, "eth0", LinkKind::Physical);
        let mut parents = Vec::new();
        for n in 0..networks {
            let (parent, link) = parent(n, &base)?;
            if host.links.insert(link.index, link).is_none() {
                parents.push(parent);
            }
        }
        host.links.insert(base.index, base);
        let loaded = Loaded {
            boot: Some(BOOT),
            parents,
            networks: (0..networks).map(network).collect::<Result<_, _>>()?,
            endpoints: (0..endpoints).map(|e| endpoint(e, networks)).collect::<Result<_, _>>()?,
            policies: policies.to_vec(),
            ..Loaded::default()
        };
        Ok(Self { host, state: State::load(BOOT, loaded) })
    }
}

/// The judge, and when its turn came: what was before that is the making of the questions.
struct Stamped<'a> {
    judge: &'a WasmJudge,
    at: Cell<Instant>,
    fuel: Cell<u64>,
}

impl Judge for Stamped<'_> {
    fn judge(&self, policy: &Policy, question: &Question) -> Judged {
        self.judge.judge(policy, question)
    }
    fn judge_all(&self, asked: &[(&Policy, Question)]) -> Vec<Judged> {
        self.at.set(Instant::now());
        let judged = self.judge.judge_all(asked);
        self.fuel.set(fuel(&judged).unwrap_or(0));
        judged
    }
}

pub fn run(judge: &Arc<WasmJudge>) -> Result<(), Box<dyn Error>> {
    println!(
        "An attach on records of several sizes: the questions are made of the record, all policies asked; µs, p50 / p99. Grouping is for each policy."
    );
    println!(
        "{:>8} {:>9} {:>8}  {:>17} {:>9} {:>17} {:>9} {:>7} {:>8}",
        "policies", "endpoints", "networks", "decision", "of first", "grouping", "of first", "alloc.", "fuel"
    );
    let settings = Settings::new("fd00:1::/48".parse()?);
    let caller =
        Caller { name: "user-1".into(), uid: Some(1), groups: vec!["ops".into()], door: "unix".into(), peer: "pid 1".into(), admin: false };
    for n in [1, 5, 20] {
        let policies = policies(judge, n)?;
        let mut first = None;
        for (endpoints, networks) in SIZES {
            let World { host, state } = World::new(endpoints, networks, &policies)?;
            let stamped = Stamped { judge, at: Cell::new(Instant::now()), fuel: Cell::new(0) };
            let basis = Basis { state: &state, host: &host, judge: &stamped, settings: &settings };
            let mut newcomer = endpoint(networks * 3, networks)?;
            newcomer.id = EndpointId(u128::MAX);
            newcomer.netns.id.cookie = 1;
            newcomer.addresses[0].address = "10.40.0.7".parse()?;
            let network = state.network("net-0").ok_or("no network net-0")?;
            let parent = state.parent(network.parent).ok_or("no parent")?;
            let asked = Asked {
                request: Request::DeletePolicy { policy: String::new() },
                caller: caller.clone(),
                change: Change::default(),
                force: None,
                now: Timestamp(1),
                up_us: 1,
                seed: 1,
            };
            let put = || ask::about_endpoint(basis, &asked, Operation::Attach, &newcomer, network, parent);
            let heard = put();
            if let Some(denied) = heard.iter().find(|h| !format!("{:?}", h.judged.judgement).contains("Allow")) {
                return Err(format!("{}: {:?}", denied.policy, denied.judged).into());
            }
            let (mut whole, mut grouping) = (Times::default(), Times::default());
            for _ in 0..ROUNDS {
                let begin = Instant::now();
                drop(black_box(put()));
                whole.add(begin.elapsed());
                grouping.add((stamped.at.get() - begin) / u32::try_from(n)?);
            }
            let allocated = allocations(|| drop(black_box(put())));
            let (of_whole, of_grouping) = *first.get_or_insert((whole.p50(), grouping.p50()));
            println!(
                "{n:>8} {endpoints:>9} {networks:>8}  {:>8.2} {:>8.2} {:>9.2} {:>8.2} {:>8.2} {:>9.2} {allocated:>7} {:>8}",
                whole.p50(),
                whole.p99(),
                whole.p50() / of_whole,
                grouping.p50(),
                grouping.p99(),
                grouping.p50() / of_grouping,
                stamped.fuel.get()
            );
        }
        println!();
    }
    Ok(())
}
