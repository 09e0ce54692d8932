//! What policies are shown beside the request itself.
#![allow(clippy::unwrap_used)] // A test that panics says where.

mod common;
use bulkhead_core::capabilities::Capabilities;
use bulkhead_core::decide::Decided;
use bulkhead_core::names::Labels;
use bulkhead_core::network::ShieldWish;
use bulkhead_core::policy::{Group, Label, Provenance, Question};
use bulkhead_core::request::{Attach, CreateNetwork, Request, WorkloadWish};
use common::*;

fn network(name: &str, parent: &str, cidr: &str, tier: &str) -> Request {
    let labels = if tier.is_empty() { Labels::default() } else { Labels::from([("tier", tier)]) };
    Request::CreateNetwork(CreateNetwork { parent: Some(parent.into()), subnets: vec![subnet(cidr)], labels, ..create(name) })
}

fn tier(value: &'static str) -> WorkloadWish {
    WorkloadWish { labels: Some(Labels::from([("tier", value)])), ..WorkloadWish::default() }
}

fn shown(w: &mut World, request: Request) -> Question {
    match w.decide(request).unwrap() {
        Decided::Outcome(o) => o.decision.heard[0].question.clone(),
        other => panic!("not judged: {other:?}"),
    }
}

/// Such as `web/cards 0 1`: tier of the network, of the workload, how many networks and endpoints.
fn told(groups: &[Group]) -> Vec<String> {
    let tier = |labels: &[Label]| labels.first().map_or("-".to_owned(), |l| l.value.clone());
    groups.iter().map(|g| format!("{}/{} {} {}", tier(&g.network_labels), tier(&g.workload_labels), g.networks, g.endpoints)).collect()
}

#[test]
fn who_overlaps_is_told_with_the_tiers_that_workloads_bring() {
    let mut w = World::new();
    w.ask(network("any", "eth0.30", "10.0.0.0/24", "")).unwrap();
    w.ask(network("web", "eth0.31", "10.0.1.0/24", "web")).unwrap();
    w.ask(Request::Attach(Attach { workload: tier("cards"), ..attach("any", 1) })).unwrap();
    w.ask(Request::Attach(attach("any", 2))).unwrap();
    let at = |cidr: &str| network("new", "eth0.40", cidr, "cards");
    assert_eq!(told(&shown(&mut w, at("10.0.0.128/25")).overlapping), ["-/- 1 1", "-/cards 0 1"]);
    assert_eq!(told(&shown(&mut w, at("10.0.0.0/16")).overlapping), ["-/- 1 1", "-/cards 0 1", "web/- 1 0"]);
    assert!(shown(&mut w, at("10.0.2.0/24")).overlapping.is_empty());
    // Whoever joins is shown who overlaps with his network, and not himself.
    w.ask(at("10.0.0.0/16")).unwrap();
    assert_eq!(told(&shown(&mut w, Request::Attach(attach("any", 3))).overlapping), ["cards/- 1 0"]);
    w.ask(Request::DeleteNetwork { network: "new".into() }).unwrap();
    assert!(shown(&mut w, Request::Attach(attach("any", 3))).overlapping.is_empty(), "what is gone overlaps nothing");
}

#[test]
fn a_network_whose_links_reach_every_vlan_is_told_as_such_and_no_other() {
    let mut w = World::new();
    let facts = |w: &mut World, parent: &str, shield: ShieldWish| {
        let wish = CreateNetwork { parent: Some(parent.into()), subnets: vec![subnet("10.0.0.0/24")], shield, ..create("n") };
        shown(w, Request::CreateNetwork(wish)).network.facts
    };
    let every = Label { key: "reaches".into(), value: "every-vlan".into(), provenance: Provenance::Runtime };
    assert_eq!(facts(&mut w, "eth0", ShieldWish::Off), [every]);
    assert!(facts(&mut w, "eth0", ShieldWish::On).is_empty());
    assert!(facts(&mut w, "eth0.30", ShieldWish::Off).is_empty());
}

#[test]
fn capabilities_are_told_with_whose_word_they_are_or_not_at_all() {
    let mut w = World::new();
    w.ask(network("n", "eth0", "10.0.0.0/24", "")).unwrap();
    let with = |capabilities| Attach { workload: WorkloadWish { capabilities, ..WorkloadWish::default() }, ..attach("n", 1) };
    let silent = shown(&mut w, Request::Attach(with(None))).workload.unwrap();
    assert_eq!((silent.capabilities, silent.facts), (None, vec![]));
    let none = shown(&mut w, Request::Attach(with(Some(Capabilities::default())))).workload.unwrap();
    assert_eq!((none.capabilities, none.facts.len()), (Some(vec![]), 1));
    let raw = Capabilities::of(&["CAP_NET_RAW".into()]).unwrap();
    let told = shown(&mut w, Request::Attach(with(Some(raw)))).workload.unwrap();
    assert_eq!(told.capabilities, Some(vec!["NET_RAW".to_owned()]));
    assert_eq!(told.facts, [Label { key: "capabilities".into(), value: "reported".into(), provenance: Provenance::Asserted }]);
}
