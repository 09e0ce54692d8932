//! Changes of networks and workloads: who is judged, what may change, and what stays.
#![allow(clippy::unwrap_used)] // A test that panics says where.

mod common;

use bulkhead_core::caller::Grant;
use bulkhead_core::decide::{Decided, Object, Outcome};
use bulkhead_core::names::{Labels, LinkName};
use bulkhead_core::policy::{Operation, Question};
use bulkhead_core::refusal::Refusal;
use bulkhead_core::request::{ChangeNetwork, ChangeSubnet, ChangeWorkload, CreateNetwork, GatewayWish, Request, WorkloadWish};
use common::{Says, World, attach, create, endpoint_of, faults, subnet};
use std::collections::BTreeMap;

/// A tier may not be beside another: of the networks on its segment, and of what the workload is attached to.
fn keeps_tiers_apart(q: &Question) -> Option<&'static str> {
    let tier = |labels: &[bulkhead_core::policy::Label]| labels.iter().find(|l| l.key == "tier").map(|l| l.value.clone());
    let own = q.workload.as_ref().and_then(|w| tier(&w.labels)).or_else(|| tier(&q.network.labels));
    let attached = q.workload.iter().flat_map(|w| &w.attached);
    let theirs = q.same_segment.iter().chain(attached).map(|g| tier(&g.workload_labels).or_else(|| tier(&g.network_labels)));
    let strange = theirs.into_iter().any(|t| t.is_some() && own.is_some() && t != own);
    strange.then_some("two tiers")
}

fn on(parent: &str, name: &str, cidr: &str, tier: Option<&str>) -> CreateNetwork {
    let labels = tier.map_or_else(Labels::default, |t| Labels::from([("tier", t)]));
    CreateNetwork { parent: Some(parent.into()), subnets: vec![subnet(cidr)], labels, ..create(name) }
}

fn relabel(network: &str, tier: Option<&str>) -> ChangeNetwork {
    let labels = BTreeMap::from([("tier".to_owned(), tier.map(str::to_owned))]);
    ChangeNetwork { network: network.into(), labels, mtu: None, dns_forward: None, subnets: vec![] }
}

fn workload(w: &World, network: &str, tier: Option<&str>) -> ChangeWorkload {
    let network_id = w.state.network(network).unwrap().id;
    let endpoint = w.state.endpoints_of(network_id).next().unwrap().id.to_string();
    let labels = BTreeMap::from([("tier".to_owned(), tier.map(str::to_owned))]);
    ChangeWorkload { network: network.into(), endpoint, netns_is_callers: true, labels }
}

fn asked(outcome: &Outcome) -> Vec<(Operation, String)> {
    outcome.decision.heard.iter().map(|h| (h.question.operation, h.question.network.name.clone())).collect()
}

fn is_allowed(outcome: &Result<Outcome, Refusal>) -> bool {
    outcome.as_ref().unwrap().effect.is_ok()
}

fn world() -> World {
    let mut w = World::new();
    w.judge_everything();
    w.judge = Says(keeps_tiers_apart);
    w
}

#[test]
fn a_label_changes_with_its_residents_and_is_judged_as_it_was_and_will_be() {
    let mut w = world();
    w.ask(Request::CreateNetwork(on("eth0.30", "a", "10.1.0.0/24", None))).unwrap();
    w.ask(Request::Attach(attach("a", 1))).unwrap();
    let outcome = w.ask(Request::ChangeNetwork(relabel("a", Some("web")))).unwrap();
    assert_eq!(asked(&outcome), [(Operation::ChangeNetwork, "a".to_owned())]);
    let question = &outcome.decision.heard[0].question;
    assert_eq!((question.network.labels.len(), question.network.endpoints), (1, 1));
    assert_eq!(question.network_before.as_ref().map(|n| n.labels.len()), Some(0));
    assert_eq!(w.state.network("a").unwrap().labels.get("tier"), Some("web"));
    // Its endpoints are residents under the new label from now on.
    assert!(!is_allowed(&w.ask(Request::CreateNetwork(on("eth0.30", "b", "10.2.0.0/24", Some("cards"))))));
    assert!(is_allowed(&w.ask(Request::CreateNetwork(on("eth0.30", "c", "10.3.0.0/24", Some("web"))))));
    let same = w.decide(Request::ChangeNetwork(relabel("a", Some("web")))).unwrap();
    assert!(matches!(same, Decided::Already(Object::Network(_))), "{same:?}");
}

#[test]
fn a_change_that_only_its_neighbours_object_to_is_denied() {
    let mut w = world();
    // Objects from the point of view of network b alone.
    w.judge = Says(|q| (q.network.name == "b").then(|| keeps_tiers_apart(q)).flatten());
    w.ask(Request::CreateNetwork(on("eth0.30", "a", "10.1.0.0/24", None))).unwrap();
    w.ask(Request::CreateNetwork(on("eth0.30", "b", "10.2.0.0/24", Some("web")))).unwrap();
    w.ask(Request::Attach(attach("b", 1))).unwrap();
    let outcome = w.ask(Request::ChangeNetwork(relabel("a", Some("cards")))).unwrap();
    assert!(outcome.effect.is_err());
    let heard = [(Operation::ChangeNetwork, "a"), (Operation::CreateNetwork, "b"), (Operation::Attach, "b")];
    assert_eq!(asked(&outcome), heard.map(|(o, n)| (o, n.to_owned())));
    assert_eq!(w.state.network("a").unwrap().labels.get("tier"), None, "and nothing changed");
}

#[test]
fn a_neighbour_that_is_in_breach_already_does_not_stand_in_the_way() {
    let mut w = world();
    w.judge = Says(|_| None);
    for (name, cidr, tier) in [("a", "10.1.0.0/24", "web"), ("b", "10.2.0.0/24", "cards"), ("c", "10.3.0.0/24", "db")] {
        w.ask(Request::CreateNetwork(on("eth0.30", name, cidr, Some(tier)))).unwrap();
    }
    w.judge = Says(|q| (q.network.name != "a").then(|| keeps_tiers_apart(q)).flatten());
    assert!(is_allowed(&w.ask(Request::ChangeNetwork(relabel("a", Some("cards"))))), "b and c were in breach before");
}

#[test]
fn a_workloads_labels_change_on_all_its_networks_and_each_is_asked() {
    let mut w = world();
    w.ask(Request::CreateNetwork(on("eth0.30", "a", "10.1.0.0/24", None))).unwrap();
    w.ask(Request::CreateNetwork(on("eth0.31", "b", "10.2.0.0/24", None))).unwrap();
    w.ask(Request::Attach(attach("a", 1))).unwrap();
    let second = bulkhead_core::request::Attach { interface: LinkName::new("eth1").unwrap(), ..attach("b", 1) };
    w.ask(Request::Attach(second)).unwrap();
    let outcome = w.ask(Request::ChangeWorkload(workload(&w, "a", Some("web")))).unwrap();
    assert_eq!(asked(&outcome), [(Operation::ChangeWorkload, "a".to_owned()), (Operation::ChangeWorkload, "b".to_owned())]);
    let before = outcome.decision.heard[0].question.workload_before.as_ref().unwrap();
    assert!(before.labels.is_empty());
    assert!(w.state.endpoints().all(|e| e.workload.labels.get("tier") == Some("web")));
    // Where one of its networks objects, none changes.
    let cards = bulkhead_core::request::Attach {
        workload: WorkloadWish { labels: Some(Labels::from([("tier", "web")])), ..WorkloadWish::default() },
        ..attach("b", 2)
    };
    w.ask(Request::Attach(cards)).unwrap();
    let denied = w.ask(Request::ChangeWorkload(workload(&w, "a", Some("cards")))).unwrap();
    assert!(denied.effect.is_err());
    assert!(w.state.endpoints().all(|e| e.workload.labels.get("tier") == Some("web")));
    let gone = w.ask(Request::ChangeWorkload(workload(&w, "a", None))).unwrap();
    assert!(gone.effect.is_ok() && endpoint_of(&gone, &w.state).workload.labels.is_empty());
}

#[test]
fn nobody_sets_or_takes_away_a_granted_label_without_a_grant() {
    let mut w = world();
    w.ask(Request::CreateNetwork(on("eth0.30", "a", "10.1.0.0/24", Some("cards")))).unwrap();
    w.settings.grants =
        vec![Grant { group: None, user: Some("uid:7".into()), labels: BTreeMap::from([("tier".into(), vec!["web".into()])]) }];
    w.caller = bulkhead_core::caller::Caller { name: "uid:7".into(), uid: Some(7), admin: false, ..common::root() };
    for to in [Some("web"), Some("db"), None] {
        let refused = faults(w.decide(Request::ChangeNetwork(relabel("a", to))));
        assert!(refused[0].starts_with("labels.tier: \"cards\" is not uid:7's to assert"), "{refused:?}");
    }
}

#[test]
fn ranges_grow_and_gateways_move_and_what_would_lose_an_address_is_refused() {
    let mut w = world();
    let mut wish = on("eth0.30", "a", "10.1.0.0/24", None);
    wish.subnets[0].ip_range = Some("10.1.0.64/31".parse().unwrap());
    w.ask(Request::CreateNetwork(wish)).unwrap();
    for cookie in [1, 2] {
        w.ask(Request::Attach(attach("a", cookie))).unwrap();
    }
    assert!(faults(w.decide(Request::Attach(attach("a", 3))))[0].contains("no address is left"));
    let change = |range: Option<&str>, gateway: Option<&str>| {
        let ip_range = Some(range.map(|r| r.parse().unwrap()));
        let gateway = gateway.map(|g| GatewayWish::Address(g.parse().unwrap()));
        let subnets = vec![ChangeSubnet { cidr: "10.1.0.0/24".parse().unwrap(), gateway, ip_range }];
        Request::ChangeNetwork(ChangeNetwork { network: "a".into(), labels: BTreeMap::new(), mtu: None, dns_forward: None, subnets })
    };
    for (range, why) in [
        ("10.1.0.128/31", "10.1.0.128/31 does not contain 10.1.0.64/31; a range that does"),
        ("10.2.0.0/24", "10.2.0.0/24 is not within 10.1.0.0/24"),
        ("10.1.0.65/30", "10.1.0.65/30 has host bits set; 10.1.0.64/30"),
    ] {
        let told = faults(w.decide(change(Some(range), None)));
        assert!(told[0].contains(why), "{told:?}");
    }
    let told = faults(w.decide(change(None, Some("10.1.0.65"))));
    assert!(told[0].starts_with("subnets[0].gateway: 10.1.0.65 is taken by"), "{told:?}");
    let outcome = w.ask(change(Some("10.1.0.64/30"), Some("10.1.0.66"))).unwrap();
    let bulkhead_core::policy::Verdict::Allowed { warnings, .. } = &outcome.decision.verdict else { panic!() };
    assert!(warnings[0].contains("2 endpoints keep the default route that they have"), "{warnings:?}");
    let next = w.ask(Request::Attach(attach("a", 3))).unwrap();
    let endpoint = endpoint_of(&next, &w.state);
    assert_eq!(endpoint.addresses[0].address.to_string(), "10.1.0.67", "neither the gateway nor what is taken");
    assert_eq!(endpoint.routes[0].1.unwrap().to_string(), "10.1.0.66");
    w.ask(change(None, None)).unwrap();
    assert_eq!(endpoint_of(&w.ask(Request::Attach(attach("a", 4))).unwrap(), &w.state).addresses[0].address.to_string(), "10.1.0.1");
    assert!(bulkhead_core::faults::record_faults(&w.state).is_empty());
}

#[test]
fn an_mtu_fits_its_parent_and_an_own_dummy_follows() {
    let mut w = world();
    w.ask(Request::CreateNetwork(on("eth0", "a", "10.1.0.0/24", None))).unwrap();
    w.ask(Request::CreateNetwork(create("own"))).unwrap();
    let mtu = |network: &str, mtu| {
        Request::ChangeNetwork(ChangeNetwork {
            network: network.into(),
            labels: BTreeMap::new(),
            mtu: Some(Some(mtu)),
            dns_forward: None,
            subnets: vec![],
        })
    };
    assert!(faults(w.decide(mtu("a", 9000)))[0].starts_with("mtu: 9000 is above the 1500 of its parent eth0"));
    assert!(faults(w.decide(mtu("own", 60)))[0].starts_with("mtu: 60 is out of range"));
    w.ask(mtu("a", 1400)).unwrap();
    w.ask(mtu("own", 9000)).unwrap();
    assert_eq!(w.state.network("a").unwrap().mtu, Some(1400));
    let own = w.state.parent(w.state.network("own").unwrap().parent).unwrap();
    assert_eq!(own.mtu, Some(9000), "and the next look sets it right in the kernel");
}
