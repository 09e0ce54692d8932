//! What a report says of pairs of tiers.
#![allow(clippy::unwrap_used)] // A test that panics says where.

mod common;
use bulkhead_core::names::{Labels, Name};
use bulkhead_core::network::ShieldWish;
use bulkhead_core::request::{CreateNetwork, GatewayWish, Request, WorkloadWish};
use bulkhead_core::segmentation::{Check, Pair, Segmentation, Status, segmentation};
use common::*;
use std::collections::BTreeMap;

fn labels(tier: &str) -> Labels {
    Labels::new(BTreeMap::from([("tier".to_owned(), tier.to_owned())])).unwrap()
}

fn network(name: &str, parent: Option<&str>, cidr: &str, tier: &str) -> CreateNetwork {
    let labels = if tier.is_empty() { Labels::default() } else { labels(tier) };
    let parent = parent.map(str::to_owned);
    CreateNetwork { parent, subnets: vec![subnet(cidr)], labels, gateway: GatewayWish::None, ..create(name) }
}

/// The parent is `eth0` with VLANs 30 and 40.
fn world(networks: &[CreateNetwork]) -> World {
    let mut w = World::new();
    for wish in networks {
        w.ask(Request::CreateNetwork(wish.clone())).unwrap();
    }
    w
}

fn look(w: &World) -> Segmentation {
    segmentation(&w.state, &w.host, "tier")
}

fn pair<'a>(found: &'a Segmentation, from: &str, to: &str) -> &'a Pair {
    found.pairs.iter().find(|p| p.from.as_deref() == Some(from) && p.to.as_deref() == Some(to)).unwrap()
}

/// Status, first sentence and decisions of a check.
fn said(pair: &Pair, check: Check) -> (Status, &str, Vec<u64>) {
    let checked = pair.checks.iter().find(|c| c.check == check).unwrap();
    let first = &checked.findings[0];
    (checked.status, &first.text, first.decisions.iter().map(|d| d.0).collect())
}

use Status::{NotEvaluated, NotSatisfied, Satisfied};

#[test]
fn tiers_on_vlans_of_their_own_are_apart_and_it_says_by_what() {
    let mut w = world(&[network("cards", Some("eth0.40"), "10.4.0.0/24", "cards"), network("web", Some("eth0.30"), "10.3.0.0/24", "web")]);
    w.ask(Request::Attach(attach("cards", 1))).unwrap();
    let found = look(&w);
    assert_eq!(found.pairs.len(), 2, "ordered pairs");
    for (from, to) in [("cards", "web"), ("web", "cards")] {
        let pair = pair(&found, from, to);
        assert_eq!(pair.status(), Satisfied, "{pair:?}");
        assert_eq!(pair.checks.iter().map(|c| c.check).collect::<Vec<_>>(), Check::ALL);
    }
    let (_, text, behind) = said(pair(&found, "cards", "web"), Check::SharedSegment);
    assert_eq!((text, behind), ("tier cards and tier web have no segment in common", vec![1, 2, 3]), "all that let them in");
    let (_, text, _) = said(pair(&found, "cards", "web"), Check::Parent);
    assert!(text.contains("on one NIC, eth0: tags keep them apart"), "{text}");
}

#[test]
fn what_is_shared_is_told_with_the_decisions_that_let_it_in() {
    let mut w = world(&[
        network("cards", Some("eth0.40"), "10.4.0.0/24", "cards"),
        network("web", Some("eth0.40"), "10.3.0.0/24", "web"),
        network("else", Some("eth1"), "10.9.0.0/24", "web"),
    ]);
    let found = look(&w);
    let between = pair(&found, "web", "cards");
    let (status, text, behind) = said(between, Check::SharedSegment);
    assert_eq!((status, behind), (NotSatisfied, vec![1, 2]));
    assert_eq!(text, "networks web and cards are both on segment default/vlan-40");
    assert_eq!(said(between, Check::Parent).0, NotSatisfied);
    assert_eq!(said(between, Check::Subnet).0, Satisfied);

    // A workload that says another tier than its network's is of both, and makes the segment one of both.
    let workload = WorkloadWish { labels: Some(labels("cards")), ..WorkloadWish::default() };
    w.ask(Request::Attach(bulkhead_core::request::Attach { workload, ..attach("else", 5) })).unwrap();
    let found = look(&w);
    let between = pair(&found, "cards", "web");
    assert_eq!(said(between, Check::Workload), (NotSatisfied, said(between, Check::Workload).1, vec![4]));
    let shared = between.checks.iter().find(|c| c.check == Check::SharedSegment).unwrap();
    assert!(shared.findings.iter().any(|f| f.text == "both are on network else (segment default/untagged)"), "{shared:?}");
}

#[test]
fn reach_goes_one_way_and_ends_at_the_shield() {
    let open = CreateNetwork { shield: ShieldWish::Off, ..network("web", Some("eth0"), "10.3.0.0/24", "web") };
    let w = world(&[network("cards", Some("eth0.40"), "10.4.0.0/24", "cards"), open]);
    let found = look(&w);
    let (status, text, behind) = said(pair(&found, "web", "cards"), Check::Reach);
    assert_eq!((status, behind), (NotSatisfied, vec![1, 2]));
    assert!(text.contains("without shield) can send tagged frames into default/vlan-40"), "{text}");
    assert_eq!(said(pair(&found, "cards", "web"), Check::Reach).0, Satisfied, "a tagged link adds a tag of its own");

    let mut w = world(&[network("cards", Some("eth0.40"), "10.4.0.0/24", "cards"), network("web", Some("eth0"), "10.3.0.0/24", "web")]);
    assert_eq!(said(pair(&look(&w), "web", "cards"), Check::Reach).0, Satisfied, "shielded");
    // A wish protects nobody: taken away behind our back, it shows.
    let index = w.host.named("eth0").unwrap().index;
    w.host.links.get_mut(&index).unwrap().shield = Default::default();
    assert_eq!(said(pair(&look(&w), "web", "cards"), Check::Reach).0, NotSatisfied);
    w.host.links.remove(&index);
    let found = look(&w);
    let (status, text, _) = said(pair(&found, "web", "cards"), Check::Reach);
    assert_eq!((status, text), (NotEvaluated, "the shield of eth0 could not be looked at: the link is not there"));
}

#[test]
fn subnets_overlap_and_ways_out_are_not_ours_to_judge() {
    let with_gateway = |n: CreateNetwork| CreateNetwork { gateway: GatewayWish::Auto, ..n };
    let w = world(&[
        with_gateway(network("cards", Some("eth0.40"), "10.4.0.0/16", "cards")),
        with_gateway(network("web", Some("eth0.30"), "10.4.7.0/24", "web")),
        network("vault", None, "10.4.7.0/24", "vault"),
    ]);
    let found = look(&w);
    let between = pair(&found, "cards", "web");
    assert_eq!(said(between, Check::Subnet).1, "10.4.0.0/16 of network cards overlaps 10.4.7.0/24 of network web");
    let (status, text, _) = said(between, Check::WayOut);
    assert_eq!(status, NotEvaluated);
    assert!(text.starts_with("both have a way out: cards (gateway 10.4.0.1) and web (gateway 10.4.7.1)"), "{text}");
    let (status, text, _) = said(pair(&found, "web", "vault"), Check::Subnet);
    assert_eq!((status, text), (NotSatisfied, "networks web and vault both have 10.4.7.0/24"));
    assert_eq!(said(pair(&found, "vault", "web"), Check::WayOut).0, Satisfied, "nothing leaves a dummy");
}

#[test]
fn what_has_no_label_is_a_tier_too() {
    let mut w = world(&[network("cards", Some("eth0.40"), "10.4.0.0/24", "cards"), network("odd", Some("eth1"), "10.5.0.0/24", "")]);
    let found = look(&w);
    assert_eq!(found.tiers.keys().collect::<Vec<_>>(), [&None, &Some("cards".to_owned())]);
    assert_eq!(found.tiers[&None].networks.len(), 1);
    // Somebody is on it: it is of those.
    let workload = WorkloadWish { labels: Some(labels("cards")), ..WorkloadWish::default() };
    w.ask(Request::Attach(bulkhead_core::request::Attach { workload, name: Some(Name::new("a").unwrap()), ..attach("odd", 5) })).unwrap();
    let found = look(&w);
    assert_eq!((found.tiers.len(), found.pairs.len()), (1, 0));
    assert_eq!(found.tiers[&Some("cards".to_owned())].endpoints, 1);
}
