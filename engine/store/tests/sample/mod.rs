//! Objects as the engine would make them, for tests and the benchmark.

#![allow(dead_code, clippy::unwrap_used, reason = "shared by several programs, each of which uses a part")]

use bulkhead_core::caller::Caller;
use bulkhead_core::capabilities::Capabilities;
use bulkhead_core::endpoint::{Assigned, Endpoint, EndpointState, Netns, NetnsId, Workload};
use bulkhead_core::event::Event;
use bulkhead_core::evidence::{JudgedBy, PlanEnd, SinceBoot};
use bulkhead_core::host::{Flag, IfIndex, Mac, Mode};
use bulkhead_core::ids::{BootId, DecisionId, EndpointId, NetworkId, ParentId, PlanId, Timestamp};
use bulkhead_core::names::{Labels, LinkName, Name};
use bulkhead_core::network::{DnsForward, Network, NetworkState, ShieldWish, Subnet};
use bulkhead_core::parent::{Origin, Parent, ParentKind, ParentState};
use bulkhead_core::plan::{Plan, Purpose, Step};
use bulkhead_core::policy::{
    CallerView, Change, Conclusion, Description, Digest, Group, Heard, Judged, Label, Module, NetworkView, Operation, Opinion, Policy,
    PolicyMode, Provenance, Question, Rule, Scope, SubnetView, Verdict, View, WorkloadView,
};
use bulkhead_core::record::{Batch, Decision, Edit};
use bulkhead_core::segment::Fabric;
use std::net::IpAddr;
use std::sync::Arc;

pub const BOOT: BootId = BootId(0xb007);
pub const NOW: Timestamp = Timestamp(1_760_000_000_000);

/// Ids begin with the time, as the engine's do.
fn timed(n: u64) -> u128 {
    (u128::from(NOW.0 + n) << 80) | u128::from(n.wrapping_mul(0x9e37_79b9_7f4a_7c15))
}

pub fn parent_id(n: u64) -> ParentId {
    ParentId(timed(n) | 1 << 72)
}
pub fn network_id(n: u64) -> NetworkId {
    NetworkId(timed(n) | 2 << 72)
}
pub fn endpoint_id(n: u64) -> EndpointId {
    EndpointId(timed(n) | 3 << 72)
}
pub fn plan_id(n: u64) -> PlanId {
    PlanId(timed(n) | 4 << 72)
}

fn name(text: &str) -> Name {
    Name::new(text).unwrap()
}
fn link_name(text: &str) -> LinkName {
    LinkName::new(text).unwrap()
}

pub fn parent(n: u64) -> Parent {
    let dummy = n % 2 == 1;
    let link = format!("{}{n}", if dummy { "bhd" } else { "eth" });
    Parent {
        id: parent_id(n),
        link: link_name(&link),
        alias: None,
        index: IfIndex(n as u32 + 2),
        boot: BootId(7),
        kind: if dummy { ParentKind::Dummy } else { ParentKind::Link { link_kind: "physical".into() } },
        origin: if dummy { Origin::Ours } else { Origin::Found },
        mac: Some(Mac([2, 0, 0, 0, 0, n as u8])),
        fabric: if dummy { Fabric::Alone(link.as_str().into()) } else { Fabric::Wired("default".into()) },
        mtu: None,
        mode: Mode::L2,
        flag: Flag::Bridge,
        shield: true,
        state: ParentState::Present,
    }
}

/// `10.n.0.0/16` and `fd00:n::/64`.
pub fn network(n: u64, parent: ParentId) -> Network {
    let subnet = |cidr: String, gateway: String| Subnet {
        cidr: cidr.parse().unwrap(),
        gateway: Some(gateway.parse().unwrap()),
        ip_range: None,
        reserved: [("router".to_owned(), gateway.replace(".0.1", ".0.5").replace("::1", "::5").parse().unwrap())].into(),
    };
    Network {
        id: network_id(n),
        name: name(&format!("net{n}")),
        mode: Mode::L2,
        flag: Flag::Bridge,
        parent_asked: Some("eth0".into()),
        parent,
        internal: false,
        mtu: None,
        accept_ra: false,
        shield: ShieldWish::On,
        dns_forward: DnsForward::Auto,
        subnets: vec![
            subnet(format!("10.{n}.0.0/16"), format!("10.{n}.0.1")),
            subnet(format!("fd00:{n:x}::/64"), format!("fd00:{n:x}::1")),
        ],
        labels: Labels::from([("tier", "db"), ("owner", "payments \"core\" \u{1f9f1}\u{0}\\")]),
        created_by: "uid:0".into(),
        created_at: NOW,
        decision: DecisionId(1),
        state: NetworkState::Ready,
    }
}

pub fn v4(network: u64, host: u64) -> IpAddr {
    IpAddr::from([10, network as u8, (host >> 8) as u8, host as u8])
}
pub fn v6(network: u64, host: u64) -> IpAddr {
    IpAddr::from([0xfd00, network as u16, 0, 0, 0, 0, 0, host as u16])
}

pub fn endpoint(n: u64, network: u64, addresses: Vec<Assigned>, state: EndpointState) -> Endpoint {
    Endpoint {
        id: endpoint_id(n),
        network: network_id(network),
        name: n.is_multiple_of(2).then(|| name(&format!("db-{n}"))),
        aliases: if n.is_multiple_of(3) { vec![name("primary")] } else { Vec::new() },
        workload: Workload {
            id: format!("3f9c2a{n:058x}"),
            name: format!("postgres-{n}"),
            labels: Labels::from([("tier", "db"), ("app", "ledger"), ("zone", "eu-west-1a")]),
            provenance: Provenance::Asserted,
            capabilities: n.is_multiple_of(3).then(|| Capabilities::of(&["NET_RAW".into()]).expect("a capability")),
        },
        netns: Netns {
            id: NetnsId { cookie: 1_000 + n, boot: BOOT },
            inode: 4_026_532_000 + n,
            named: format!("/run/netns/cni-5d1b6c1a-{n}"),
        },
        link: link_name("eth0"),
        index: IfIndex(0x2000_0000 + n as u32),
        routes: vec![("0.0.0.0/0".parse().unwrap(), Some(v4(network, 1)))],
        asked_addresses: Vec::new(),
        failing_since: None,
        addresses,
        created_by: "uid:0".into(),
        created_by_uid: Some(0),
        created_at: NOW,
        decision: DecisionId(1),
        state,
    }
}

pub fn attach_plan(n: u64, e: &Endpoint) -> Plan {
    let (index, name) = (e.index, e.link.clone());
    let address = ipnet::IpNet::new(e.addresses[0].address, 16).unwrap();
    Plan {
        id: plan_id(n),
        purpose: Purpose::Attach(e.id),
        lane: parent_id(0),
        netns: Some(e.netns.clone()),
        steps: vec![
            Step::AddIpvlan {
                name: name.clone(),
                index,
                parent: IfIndex(2),
                parent_name: link_name("eth0"),
                mode: Mode::L2,
                flag: Flag::Bridge,
                mtu: None,
            },
            Step::RefuseRa { name: name.clone() },
            Step::AddAddress { index, name: name.clone(), address },
            Step::Announce { index, name: name.clone(), alias: format!("bulkhead endpoint {}", e.id) },
            Step::SetUpInside { index, name: name.clone() },
            Step::AddRoute { index, name: name.clone(), destination: "0.0.0.0/0".parse().unwrap(), via: Some(v4(0, 1)) },
        ],
        undo: vec![Step::DelIpvlan { index, name, parent: IfIndex(2) }],
    }
}

fn labels(pairs: &[(&str, &str)]) -> Vec<Label> {
    pairs.iter().map(|(k, v)| Label { key: (*k).into(), value: (*v).into(), provenance: Provenance::Asserted }).collect()
}

pub fn question() -> Question {
    let group = |tier: &str, endpoints| Group {
        network_labels: labels(&[("tier", tier)]),
        workload_labels: labels(&[("tier", tier)]),
        networks: 0,
        endpoints,
        examples: vec!["postgres-1".into(), "postgres-2".into(), "postgres-3".into()],
    };
    Question {
        operation: Operation::Attach,
        caller: CallerView { name: "uid:0".into(), groups: vec!["root".into(), "cards-ops".into()], door: "unix".into(), networks: 3 },
        change: Change::default(),
        network: NetworkView {
            name: "db_net_ipv".into(),
            mode: Mode::L2,
            parent: Some("eth0".into()),
            fabric: Some("default".into()),
            vlan: None,
            internal: false,
            subnets: vec![SubnetView { cidr: "10.0.0.0/16".into(), gateway: Some("10.0.0.1".into()), ip_range: None }],
            labels: labels(&[("tier", "db")]),
            endpoints: 999,
            facts: Vec::new(),
        },
        network_before: None,
        workload: Some(WorkloadView {
            id: "3f9c2a0000".into(),
            name: "postgres-7".into(),
            labels: labels(&[("tier", "db")]),
            capabilities: None,
            attached: Vec::new(),
            facts: Vec::new(),
        }),
        workload_before: None,
        addresses: vec!["10.0.3.7".into()],
        same_segment: vec![group("db", 998)],
        reaches: Vec::new(),
        overlapping: Vec::new(),
        facts: Vec::new(),
    }
}

pub fn caller() -> Caller {
    Caller {
        name: "uid:0".into(),
        uid: Some(0),
        groups: vec!["root".into(), "cards-ops".into()],
        door: "unix".into(),
        peer: "pid 4711".into(),
        admin: true,
    }
}

pub fn digest(n: u8) -> Digest {
    Digest([n; 32])
}

/// About 2 kB of JSON: two policies were asked.
pub fn decision(id: u64, operation: &str, object: Option<String>, plan: String, verdict: Verdict) -> Decision {
    let heard = |policy: &str, n| Heard {
        policy: name(policy),
        module: digest(n),
        revision: 1,
        help: Default::default(),
        mode: PolicyMode::Enforce,
        question: question(),
        judged: Judged::spoke(
            Opinion { outcome: Conclusion::Allow, violations: Vec::new(), warnings: Vec::new(), notes: Vec::new() },
            Some(41_234),
        ),
    };
    let object_is_endpoint = matches!(operation, "attach" | "detach");
    Decision {
        id: DecisionId(id),
        at: Timestamp(NOW.0 + id),
        since_boot: SinceBoot { boot: BOOT, us: 60_000_000 + id },
        took_us: Some(312),
        caller: caller(),
        operation: operation.into(),
        subject: "db_net_ipv".into(),
        object,
        workload: object_is_endpoint.then(|| (format!("pg-{id}"), "postgres".into())),
        change: Change::default(),
        judged_by: Some(Arc::new(JudgedBy { engine: "wasmtime 48.0.8".into(), configuration: digest(48) })),
        heard: vec![heard("tier-isolation", 1), heard("subnet-rules", 2)],
        verdict,
        plan,
    }
}

pub fn allowed() -> Verdict {
    Verdict::Allowed { warnings: Vec::new(), unjudged: false }
}

pub fn event(seq: u64, kind: &str, text: &str) -> Event {
    Event { seq, at: Timestamp(NOW.0 + seq), kind: kind.into(), subject: "db_net_ipv".into(), text: text.into() }
}

fn description() -> Arc<Description> {
    Arc::new(Description {
        name: "tier-isolation".into(),
        version: "1.0.0".into(),
        summary: "Tiers share nothing".into(),
        operations: vec![Operation::Attach],
        rules: vec![Rule { id: "shared-segment".into(), summary: "One tier a segment".into(), controls: vec!["PCI DSS 11.4.5".into()] }],
        label_keys: vec!["tier".into()],
        needs: vec![View::SameSegment],
        settings_schema: "{\"type\": \"object\"}".into(),
    })
}

pub fn module(n: u8, built_in: bool) -> Module {
    Module { digest: digest(n), size: 4, description: description(), built_in }
}

pub fn policy(policy: &str, module: u8, revision: u64, mode: PolicyMode) -> Policy {
    Policy {
        name: name(policy),
        module: digest(module),
        description: description(),
        settings: serde_json::json!({"tiers": {"b": 1, "a": [1.5, null, "\u{1f9f1}"]}, "label": "tier"}),
        revision,
        mode,
        schedule: None,
        scope: Scope::default(),
        help: Default::default(),
        tests: None,
    }
}

/// What stands before everything else: one parent, one network.
pub fn ground() -> Batch {
    Batch {
        boot: Some(BOOT),
        edits: vec![Edit::PutParent(Arc::new(parent(0))), Edit::PutNetwork(Arc::new(network(0, parent_id(0))))],
        ..Batch::default()
    }
}

/// The turn that puts the `n`th attach on record (numbers from 0; decision and events are counted by it).
pub fn attach(n: u64) -> Batch {
    let address = Assigned { subnet: 0, address: v4(0, n + 16) };
    let plan_id = plan_id(n);
    let mut endpoint = endpoint(n, 0, vec![address], EndpointState::Attaching { plan: plan_id });
    endpoint.decision = DecisionId(n + 1);
    let plan = Arc::new(attach_plan(n, &endpoint));
    let decision = decision(n + 1, "attach", Some(endpoint.id.to_string()), plan.to_string(), allowed());
    Batch {
        boot: Some(BOOT),
        decisions: vec![Arc::new(decision)],
        edits: vec![Edit::PutEndpoint(Arc::new(endpoint)), Edit::OpenPlan(Arc::clone(&plan))],
        events: vec![event(2 * n + 1, "endpoint.attaching", "postgres is being attached to db_net_ipv")],
        plans: vec![plan],
        ..Batch::default()
    }
}

/// What came of the plan of this number: `done…`, or anything else.
pub fn end(n: u64, text: &str) -> PlanEnd {
    let (plan, at) = (plan_id(n), Timestamp(NOW.0 + n + 7));
    let since_boot = SinceBoot { boot: BOOT, us: 60_000_000 + n };
    PlanEnd { plan, at, since_boot, took_us: Some(1_140), done: text.starts_with("done"), text: text.into() }
}

/// The turn that settles it.
pub fn attached(n: u64) -> Batch {
    let address = Assigned { subnet: 0, address: v4(0, n + 16) };
    let mut endpoint = endpoint(n, 0, vec![address], EndpointState::Attached);
    endpoint.decision = DecisionId(n + 1);
    Batch {
        boot: Some(BOOT),
        settlements: vec![end(n, "done")],
        edits: vec![Edit::PutEndpoint(Arc::new(endpoint)), Edit::ClosePlan(plan_id(n))],
        events: vec![event(2 * n + 2, "endpoint.attached", "postgres is attached to db_net_ipv as 10.0.3.7")],
        ..Batch::default()
    }
}

/// Several turns as one.
pub fn together(batches: impl IntoIterator<Item = Batch>) -> Batch {
    let mut all = Batch::default();
    for b in batches {
        all.boot = b.boot.or(all.boot);
        all.edits.extend(b.edits);
        all.decisions.extend(b.decisions);
        all.settlements.extend(b.settlements);
        all.events.extend(b.events);
        all.module_bytes.extend(b.module_bytes);
        all.plans.extend(b.plans);
    }
    all
}
