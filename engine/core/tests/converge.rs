//! What is done to make the kernel agree with the record again.
#![allow(clippy::unwrap_used)] // A test that panics says where.

mod common;

use bulkhead_core::converge::{Fix, open_plans, parents};
use bulkhead_core::decide::endpoint_making;
use bulkhead_core::endpoint::{Endpoint, EndpointState};
use bulkhead_core::faults::complaints;
use bulkhead_core::host::{Host, IfIndex, ShieldSeen};
use bulkhead_core::ids::{BootId, Timestamp};
use bulkhead_core::observed::{InsideLink, NetnsSeen, Observed};
use bulkhead_core::plan::{Plan, Purpose, Settled, Step};
use bulkhead_core::record::Edit;
use bulkhead_core::request::{CreateNetwork, Request};
use bulkhead_core::state::State;
use common::{World, attach, create, endpoint_of, subnet};
use std::collections::BTreeMap;
use std::sync::Arc;

fn on_eth0() -> CreateNetwork {
    CreateNetwork { parent: Some("eth0".into()), subnets: vec![subnet("192.168.1.0/24")], ..create("n") }
}

fn healing(w: &World) -> (Vec<Edit>, Arc<Plan>) {
    let fixes = parents(&w.state, &w.host, Timestamp(w.now), 9, |_| false);
    match fixes.into_iter().next() {
        Some(Fix::Heal { edits, plan: Some(plan), .. }) => (edits, plan),
        other => panic!("no healing: {other:?}"),
    }
}

fn eth0(w: &mut World) -> &mut bulkhead_core::host::HostLink {
    w.host.links.get_mut(&IfIndex(2)).unwrap()
}

#[test]
fn a_healing_that_fails_leaves_the_half_of_a_shield_that_stands() {
    let mut w = World::new();
    w.ask(Request::CreateNetwork(on_eth0())).unwrap();
    for stands in [ShieldSeen { egress: true, ingress: false, bypassed_by: None }, ShieldSeen::default()] {
        eth0(&mut w).shield = stands;
        let (_, plan) = healing(&w);
        assert!(plan.steps.iter().any(|s| matches!(s, Step::Shield { .. })), "{plan}");
        assert_eq!(plan.undo, [], "what one try put up is no worse than nothing");
    }
    eth0(&mut w).shield = ShieldSeen::default();
    assert_eq!(complaints(&w.state, &w.host).iter().map(ToString::to_string).collect::<Vec<_>>(), ["eth0: lacks its shield"]);
}

#[test]
fn a_nic_that_was_renamed_is_recorded_under_its_new_name_and_told() {
    let mut w = World::new();
    w.ask(Request::CreateNetwork(on_eth0())).unwrap();
    eth0(&mut w).name = "wan0".into();
    let fixes = parents(&w.state, &w.host, Timestamp(w.now), 9, |_| false);
    let [Fix::Heal { edits, plan: None, event: Some(("parent.renamed", subject, text)) }] = &fixes[..] else { panic!("{fixes:?}") };
    assert_eq!((subject.as_str(), text.as_str()), ("eth0", "eth0 is called wan0 now"));
    edits.iter().for_each(|e| w.state.apply(e));
    assert_eq!(w.state.parents().next().unwrap().link.as_str(), "wan0");
    assert!(parents(&w.state, &w.host, Timestamp(w.now), 9, |_| false).is_empty(), "told once");
}

#[test]
fn endpoints_that_failed_are_tried_as_soon_as_their_parent_is_back() {
    let mut w = World::new();
    w.ask(Request::CreateNetwork(on_eth0())).unwrap();
    let outcome = w.ask(Request::Attach(attach("n", 1))).unwrap();
    let endpoint = endpoint_of(&outcome, &w.state);
    let failed = EndpointState::Failed { why: "no such device".into(), at: Timestamp(900_000) };
    let since = Some(Timestamp(100_000));
    w.state.apply(&Edit::PutEndpoint(Arc::new(Endpoint { state: failed, failing_since: since, ..(*endpoint).clone() })));
    eth0(&mut w).shield = ShieldSeen::default();
    let (edits, plan) = healing(&w);
    edits.iter().for_each(|e| w.state.apply(e));
    w.settle(&plan, Settled::Done);
    let EndpointState::Failed { at, .. } = &w.state.endpoint_by_id(endpoint.id).unwrap().state else { panic!() };
    assert_eq!(Some(*at), since, "its waiting time has been over for long");
}

/// What a look finds missing of a link that is there is left alone, as a workload may have taken it away: so what a crash cut off must be
/// made anew at the start.
#[test]
fn a_link_that_was_being_made_again_when_the_daemon_died_is_made_anew() {
    let mut w = World::new();
    w.ask(Request::CreateNetwork(on_eth0())).unwrap();
    let endpoint = endpoint_of(&w.ask(Request::Attach(attach("n", 1))).unwrap(), &w.state);
    let (network, parent) = (w.state.network("n").unwrap().clone(), w.state.parents().next().unwrap().clone());
    let id = bulkhead_core::ids::PlanId(77);
    let plan = endpoint_making(&endpoint, &network, &parent, Purpose::HealEndpoint(endpoint.id), id);
    let state = EndpointState::Attaching { plan: id };
    w.state.apply(&Edit::PutEndpoint(Arc::new(Endpoint { state, ..(*endpoint).clone() })));
    w.state.apply(&Edit::OpenPlan(Arc::new(plan)));
    let half = InsideLink {
        index: endpoint.index,
        name: "eth0".into(),
        alias: None,
        ipvlan: Some((network.mode, network.flag, parent.index)),
        mtu: 1500,
        up: false,
        addresses: vec![],
        routes: vec![],
    };
    let namespaces = BTreeMap::from([(endpoint.netns.id, NetnsSeen::There(vec![half]))]);
    let fixes = open_plans(&w.state, &Observed { host: w.host.clone(), namespaces });
    assert!(matches!(fixes[..], [Fix::Redo(plan)] if plan == id), "{fixes:?}");
}

/// An index is the host's for as long as its kernel runs: after that, it may be anybody's.
#[test]
fn a_removal_of_an_earlier_boot_touches_nothing() {
    let mut w = World::new();
    let wish = CreateNetwork { parent: Some("eth0.30".into()), subnets: vec![subnet("192.168.30.0/24")], ..create("n") };
    w.ask(Request::CreateNetwork(wish)).unwrap();
    let (_, plan) = w.enter(Request::DeleteNetwork { network: "n".into() }).unwrap();
    let plan = plan.unwrap();
    let fixes = |state: &State| {
        let observed = Observed { host: Host::empty(state.boot), namespaces: BTreeMap::new() };
        open_plans(state, &observed)
    };
    assert!(matches!(fixes(&w.state)[..], [Fix::Rerun(id)] if id == plan.id), "in the same boot it goes forward");
    w.state.boot = BootId(8);
    let after = fixes(&w.state);
    assert!(matches!(&after[..], [Fix::Settle(s)] if s.plan == plan.id && s.result == Settled::Done), "{after:?}");
}
