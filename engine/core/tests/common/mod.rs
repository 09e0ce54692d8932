//! A world to decide in: a host with eth0 (and what a test adds), a judge of plain functions, and a kernel that does as told.
#![allow(dead_code)] // Each test binary uses its part of it.

use bulkhead_core::caller::Caller;
use bulkhead_core::decide::settle::settle;
use bulkhead_core::decide::{Basis, Decided, Object, Outcome, decide};
use bulkhead_core::endpoint::{Netns, NetnsId};
use bulkhead_core::host::{Flag, Host, HostLink, IfIndex, LinkKind, Mac, Mode, ShieldSeen, VlanId};
use bulkhead_core::ids::{BootId, Timestamp};
use bulkhead_core::names::{Labels, LinkName, Name};
use bulkhead_core::network::{DnsForward, ShieldWish};
use bulkhead_core::plan::{Plan, Settled, Settlement, Step};
use bulkhead_core::policy::{
    Change, Conclusion, Description, Digest, Judge, Judged, Module, Operation, Opinion, Policy, PolicyMode, Question, Scope, View,
    Violation,
};
use bulkhead_core::record::Edit;
use bulkhead_core::refusal::Refusal;
use bulkhead_core::request::{Asked, Attach, CreateNetwork, GatewayWish, Request, SubnetWish, WorkloadWish};
use bulkhead_core::settings::Settings;
use bulkhead_core::state::State;
use std::collections::BTreeMap;
use std::sync::Arc;

pub const BOOT: BootId = BootId(7);

pub fn link(index: u32, name: &str, kind: LinkKind) -> HostLink {
    let mac = Some(Mac([2, 0, 0, 0, 0, u8::try_from(index & 0xff).unwrap_or(0)]));
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
        shield: ShieldSeen::default(),
    }
}

/// A judge of a plain function.
pub struct Says(pub fn(&Question) -> Option<&'static str>);

impl Judge for Says {
    fn judge(&self, _: &Policy, question: &Question) -> Judged {
        let said = (self.0)(question);
        let opinion = Opinion {
            outcome: if said.is_some() { Conclusion::Deny } else { Conclusion::Allow },
            violations: said.iter().map(|m| Violation { rule: "rule".into(), message: (*m).into(), field: None, remedy: None }).collect(),
            warnings: Vec::new(),
            notes: Vec::new(),
        };
        Judged::spoke(opinion, Some(1))
    }
}

pub struct World {
    pub state: State,
    pub host: Host,
    pub judge: Says,
    pub settings: Settings,
    pub seed: u64,
    pub now: u64,
    pub caller: Caller,
}

pub fn root() -> Caller {
    Caller { name: "root".into(), uid: Some(0), groups: vec![], door: "unix".into(), peer: "pid 1".into(), admin: true }
}

impl World {
    pub fn new() -> Self {
        let mut host = Host::empty(BOOT);
        for l in [link(1, "lo", LinkKind::Loopback), link(2, "eth0", LinkKind::Physical), link(3, "eth1", LinkKind::Physical)] {
            host.links.insert(l.index, l);
        }
        let mut state = State::empty(BOOT);
        let description = Arc::new(Description {
            name: "test".into(),
            version: "1".into(),
            summary: String::new(),
            operations: vec![Operation::CreateNetwork, Operation::DeleteNetwork, Operation::Attach, Operation::Detach],
            rules: vec![],
            label_keys: vec!["tier".into()],
            needs: vec![View::Attached, View::SameSegment, View::Reaches, View::Overlapping],
            settings_schema: "{}".into(),
        });
        let module = Module { digest: Digest([1; 32]), size: 1, description: Arc::clone(&description), built_in: false };
        state.apply(&Edit::PutModule(Arc::new(module)));
        state.apply(&Edit::PutPolicy(Arc::new(Policy {
            name: Name::new("test").unwrap(),
            module: Digest([1; 32]),
            description,
            settings: serde_json::Value::Null,
            revision: 1,
            mode: PolicyMode::Enforce,
            schedule: None,
            scope: Scope::default(),
            help: Default::default(),
            tests: None,
        })));
        let settings = Settings::new("fd00:1::/48".parse().unwrap());
        Self { state, host, judge: Says(|_| None), settings, seed: 1, now: 1_000_000, caller: root() }
    }

    /// The policy is asked about changes, too.
    pub fn judge_everything(&mut self) {
        let mut policy = (**self.state.policies().next().unwrap()).clone();
        let mut description = (*policy.description).clone();
        description.operations.extend([Operation::ChangeNetwork, Operation::ChangeWorkload]);
        policy.description = Arc::new(description);
        self.state.apply(&Edit::PutPolicy(Arc::new(policy)));
    }

    pub fn decide(&mut self, request: Request) -> Result<Decided, Refusal> {
        self.seed += 1;
        self.now += 1;
        let asked = Asked {
            request,
            caller: self.caller.clone(),
            change: Change::default(),
            force: None,
            now: Timestamp(self.now),
            up_us: self.now * 1000,
            seed: self.seed,
        };
        let basis = Basis { state: &self.state, host: &self.host, judge: &self.judge, settings: &self.settings };
        decide(basis, &asked)
    }

    /// Decides and enters the outcome; the plan stays open.
    pub fn enter(&mut self, request: Request) -> Result<(Outcome, Option<Arc<Plan>>), Refusal> {
        self.state.release_held(Timestamp(self.now), 1000);
        match self.decide(request)? {
            Decided::Outcome(outcome) => {
                self.state.last_decision += 1;
                if let Ok(effect) = &outcome.effect {
                    effect.edits.iter().for_each(|e| self.state.apply(e));
                }
                let plan = outcome.effect.as_ref().ok().and_then(|e| e.plan.clone());
                Ok((*outcome, plan))
            }
            other => panic!("not judged: {other:?}"),
        }
    }

    /// Decides, does, settles.
    pub fn ask(&mut self, request: Request) -> Result<Outcome, Refusal> {
        let (outcome, plan) = self.enter(request)?;
        if let Some(plan) = plan {
            self.host_follows(&plan);
            self.settle(&plan, Settled::Done);
        }
        Ok(outcome)
    }

    pub fn settle(&mut self, plan: &Plan, result: Settled) {
        let now = Timestamp(self.now);
        let after = settle(&self.state, &Settlement { plan: plan.id, result, took_us: None }, now, Timestamp(self.now + 60_000));
        after.edits.iter().for_each(|e| self.state.apply(e));
    }

    /// The host's side of a plan, as the mirror would show it.
    fn host_follows(&mut self, plan: &Plan) {
        for step in &plan.steps {
            match step {
                Step::AddDummy { name, index, mac, mtu, .. } => {
                    let mut l = link(index.0, name.as_str(), LinkKind::Dummy);
                    (l.mac, l.permanent_mac, l.mtu) = (Some(*mac), None, mtu.unwrap_or(1500));
                    self.host.links.insert(*index, l);
                }
                Step::AddVlan { name, index, base, vlan, .. } => {
                    self.host.links.insert(*index, link(index.0, name.as_str(), LinkKind::Vlan { base: *base, id: *vlan }));
                }
                Step::Shield { index, halves, .. } => {
                    if let Some(l) = self.host.links.get_mut(index) {
                        l.shield = ShieldSeen { egress: halves.egress, ingress: halves.ingress, bypassed_by: None };
                    }
                }
                Step::Unshield { index, .. } => {
                    if let Some(l) = self.host.links.get_mut(index) {
                        l.shield = ShieldSeen::default();
                    }
                }
                Step::DelLink { index, .. } => {
                    self.host.links.remove(index);
                }
                _ => {}
            }
        }
    }

    pub fn vlan(&mut self, index: u32, name: &str, base: u32, id: u16) {
        let kind = LinkKind::Vlan { base: IfIndex(base), id: VlanId::new(id).unwrap() };
        self.host.links.insert(IfIndex(index), link(index, name, kind));
    }
}

pub fn create(name: &str) -> CreateNetwork {
    CreateNetwork {
        name: Name::new(name).unwrap(),
        mode: Mode::L2,
        flag: Flag::Bridge,
        parent: None,
        internal: false,
        ipv4: true,
        ipv6: false,
        mtu: None,
        gateway: GatewayWish::Auto,
        subnets: vec![],
        accept_ra: false,
        shield: ShieldWish::On,
        dns_forward: DnsForward::Auto,
        labels: Labels::default(),
    }
}

pub fn subnet(cidr: &str) -> SubnetWish {
    SubnetWish { cidr: cidr.parse().unwrap(), gateway: None, ip_range: None, reserved: BTreeMap::new() }
}

pub fn netns(cookie: u64) -> Netns {
    Netns { id: NetnsId { cookie, boot: BOOT }, inode: 4_026_532_000 + cookie, named: format!("/run/netns/w{cookie}") }
}

pub fn attach(network: &str, cookie: u64) -> Attach {
    Attach {
        network: network.into(),
        netns: netns(cookie),
        netns_is_callers: true,
        default_routes: Default::default(),
        interface: LinkName::new("eth0").unwrap(),
        name: None,
        aliases: vec![],
        addresses: vec![],
        workload: WorkloadWish::default(),
    }
}

/// The faults of a refusal, as text.
pub fn faults(result: Result<Decided, Refusal>) -> Vec<String> {
    match result {
        Err(refusal) => refusal.faults.iter().map(ToString::to_string).collect(),
        Ok(decided) => panic!("was not refused: {decided:?}"),
    }
}

pub fn endpoint_of(outcome: &Outcome, state: &State) -> Arc<bulkhead_core::endpoint::Endpoint> {
    match outcome.effect.as_ref().map(|e| &e.object) {
        Ok(Object::Endpoint(id)) => Arc::clone(state.endpoint_by_id(*id).unwrap()),
        other => panic!("no endpoint: {other:?}"),
    }
}
