//! What an attach means, and what is wrong with the wrong ones.
#![allow(clippy::unwrap_used)] // A test that panics says where.

mod common;
use bulkhead_core::caller::Grant;
use bulkhead_core::capabilities::Capabilities;
use bulkhead_core::decide::{Decided, Object};
use bulkhead_core::endpoint::EndpointState;
use bulkhead_core::faults::record_faults;
use bulkhead_core::host::{Flag, IfIndex, Mode};
use bulkhead_core::names::{Labels, LinkName, Name};
use bulkhead_core::plan::Settled;
use bulkhead_core::policy::Question;
use bulkhead_core::refusal::RefusalKind;
use bulkhead_core::request::{Attach, CreateNetwork, Request, WorkloadWish};
use common::*;
use proptest::prelude::*;
use std::collections::BTreeMap;

fn world_with(name: &str, cidr: &str) -> World {
    let mut w = World::new();
    let wish = CreateNetwork { parent: Some("eth0".into()), subnets: vec![subnet(cidr)], ..create(name) };
    w.ask(Request::CreateNetwork(wish)).unwrap();
    w
}

fn addresses(w: &mut World, wish: Attach) -> Vec<String> {
    let outcome = w.ask(Request::Attach(wish)).unwrap();
    endpoint_of(&outcome, &w.state).addresses.iter().map(|a| a.address.to_string()).collect()
}

#[test]
fn the_plan_is_the_recipe_in_its_order() {
    let mut w = world_with("db", "192.168.1.0/24");
    let (_, plan) = w.enter(Request::Attach(Attach { name: Some(Name::new("ipv1").unwrap()), ..attach("db", 5) })).unwrap();
    let text = plan.unwrap().to_string();
    let lines: Vec<&str> = text.lines().collect();
    let index = lines[0].split(' ').nth(8).unwrap();
    assert_eq!(
        lines,
        [
            &format!("ip link add link eth0 name eth0 index {index} netns /run/netns/w5 type ipvlan mode l2 bridge"),
            "ip netns exec /run/netns/w5 sysctl -w net.ipv6.conf.eth0.accept_ra=0 net.ipv6.conf.eth0.autoconf=0",
            "ip -n /run/netns/w5 addr add 192.168.1.2/24 dev eth0 brd +",
            "ip netns exec /run/netns/w5 sysctl -w net.ipv4.conf.eth0.arp_notify=1 && ip -n /run/netns/w5 link set eth0 alias \"bulkhead:db/ipv1\"",
            "ip -n /run/netns/w5 link set eth0 up",
            "ip -n /run/netns/w5 route add 0.0.0.0/0 via 192.168.1.1 dev eth0",
        ]
    );
}

#[test]
fn addresses_are_the_lowest_free_never_the_hosts_own_and_kept_back_for_a_while() {
    let mut w = world_with("db", "192.168.1.0/29");
    w.host.links.get_mut(&IfIndex(2)).unwrap().addresses = vec!["192.168.1.3/24".parse().unwrap()];
    assert_eq!(addresses(&mut w, attach("db", 1)), ["192.168.1.2"]);
    assert_eq!(addresses(&mut w, attach("db", 2)), ["192.168.1.4"]);
    let first = w.state.endpoints().next().unwrap().id;
    w.ask(Request::Detach { network: "db".into(), endpoint: first.to_string(), netns_is_callers: true }).unwrap();
    assert_eq!(addresses(&mut w, attach("db", 3)), ["192.168.1.5"], "192.168.1.2 is kept back");
    w.now += 61_000;
    assert_eq!(addresses(&mut w, attach("db", 4)), ["192.168.1.2"], "its time is over");
    assert_eq!(addresses(&mut w, attach("db", 5)), ["192.168.1.6"]);
    let told = faults(w.decide(Request::Attach(attach("db", 6))));
    assert!(told[0].starts_with("addresses: no address is left in 192.168.1.0/29 of network db"), "{told:?}");
}

#[test]
fn the_oldest_address_kept_back_is_handed_out_rather_than_refuse() {
    let mut w = world_with("db", "192.168.1.0/30");
    let outcome = w.ask(Request::Attach(attach("db", 1))).unwrap();
    let id = endpoint_of(&outcome, &w.state).id.to_string();
    w.ask(Request::Detach { network: "db".into(), endpoint: id, netns_is_callers: true }).unwrap();
    assert_eq!(addresses(&mut w, attach("db", 2)), ["192.168.1.2"]);
    assert!(record_faults(&w.state).is_empty());
}

#[test]
fn a_repeat_is_answered_and_a_different_request_is_told_what_differs() {
    let mut w = world_with("db", "192.168.1.0/24");
    let wish = Attach { name: Some(Name::new("ipv1").unwrap()), addresses: vec!["192.168.1.10".parse().unwrap()], ..attach("db", 5) };
    let (_, plan) = w.enter(Request::Attach(wish.clone())).unwrap();
    let plan = plan.unwrap();
    assert!(matches!(w.decide(Request::Attach(wish.clone())), Ok(Decided::Wait(p)) if p == plan.id), "while it is attaching");
    w.settle(&plan, Settled::Done);
    assert!(matches!(w.decide(Request::Attach(wish.clone())), Ok(Decided::Already(Object::Endpoint(_)))));
    let other = Attach {
        interface: LinkName::new("eth1").unwrap(),
        addresses: vec!["192.168.1.11".parse().unwrap()],
        workload: WorkloadWish { labels: Some(Labels::from([("tier", "web")])), ..WorkloadWish::default() },
        ..wish
    };
    let refusal = w.decide(Request::Attach(other)).unwrap_err();
    assert_eq!(refusal.kind, RefusalKind::Conflict);
    let fields: Vec<&str> = refusal.faults.iter().map(|f| f.field.as_str()).collect();
    assert_eq!(fields, ["interface", "addresses", "workload.labels"]);
}

#[test]
fn one_namespace_is_one_workload() {
    let mut w = world_with("db", "192.168.1.0/24");
    w.ask(Request::CreateNetwork(create("other"))).unwrap();
    let has = |names: &[&str]| Capabilities::of(&names.iter().map(|n| (*n).to_owned()).collect::<Vec<_>>()).ok();
    let tier = |t: &'static str| WorkloadWish {
        id: Some("w".into()),
        labels: Some(Labels::from([("tier", t)])),
        capabilities: has(&["NET_RAW"]),
        ..WorkloadWish::default()
    };
    w.ask(Request::Attach(Attach { workload: tier("db"), ..attach("db", 5) })).unwrap();
    let second = Attach { interface: LinkName::new("eth1").unwrap(), ..attach("other", 5) };
    let told = faults(w.decide(Request::Attach(Attach { workload: tier("web"), ..second.clone() })));
    assert!(told[0].starts_with("workload.labels: tier=web are not the labels on record: tier=db"), "{told:?}");
    for (other, text) in [(has(&[]), "no capabilities"), (has(&["NET_ADMIN", "NET_RAW"]), "NET_ADMIN, NET_RAW")] {
        let workload = WorkloadWish { capabilities: other, ..WorkloadWish::default() };
        let told = faults(w.decide(Request::Attach(Attach { workload, ..second.clone() })));
        assert_eq!(told, [format!("workload.capabilities: {text} are not those on record: NET_RAW; the recorded ones, or nothing")]);
    }
    let outcome = w.ask(Request::Attach(second)).unwrap();
    let workload = &endpoint_of(&outcome, &w.state).workload;
    assert_eq!(workload.labels, Labels::from([("tier", "db")]), "nothing asserted: the recorded ones");
    assert_eq!(workload.capabilities, has(&["NET_RAW"]));
}

#[test]
fn bad_attaches_are_refused_with_field_fault_and_remedy() {
    type Spoil = fn(&mut Attach);
    let table: &[(&str, Spoil)] = &[
        ("network: there is no network \"dc\"; did you mean db?", |a| a.network = "dc".into()),
        ("addresses[0]: 10.0.0.1 is in no subnet of network db; an address of 192.168.1.0/24", |a| {
            a.addresses = vec!["10.0.0.1".parse().unwrap()];
        }),
        ("addresses[0]: 192.168.1.1 is the gateway of 192.168.1.0/24; 192.168.1.3 is free", |a| {
            a.addresses = vec!["192.168.1.1".parse().unwrap()];
        }),
        ("addresses[0]: 192.168.1.255 is the network or broadcast address", |a| a.addresses = vec!["192.168.1.255".parse().unwrap()]),
        ("addresses[0]: 192.168.1.2 is taken by", |a| a.addresses = vec!["192.168.1.2".parse().unwrap()]),
        ("addresses[0]: 192.168.1.9 is the host's own address on eth0", |a| a.addresses = vec!["192.168.1.9".parse().unwrap()]),
        ("addresses[1]: 192.168.1.20 stands twice", |a| {
            a.addresses = vec!["192.168.1.20".parse().unwrap(), "192.168.1.20".parse().unwrap()];
        }),
        ("name: first is the name of endpoint", |a| a.name = Some(Name::new("first").unwrap())),
        ("namespace: /run/netns/w9 is not root's", |a| a.netns_is_callers = false),
        ("namespace: /run/netns/w9 is the host's own", |a| a.netns.id.cookie = 4242),
    ];
    for (expected, spoil) in table {
        let mut w = world_with("db", "192.168.1.0/24");
        w.host.own_netns = 4242;
        w.host.links.get_mut(&IfIndex(2)).unwrap().addresses = vec!["192.168.1.9/24".parse().unwrap()];
        w.ask(Request::Attach(Attach { name: Some(Name::new("first").unwrap()), ..attach("db", 1) })).unwrap();
        let mut wish = attach("db", 9);
        spoil(&mut wish);
        let told = faults(w.decide(Request::Attach(wish)));
        assert!(told.iter().any(|f| f.starts_with(expected)), "expected {expected:?}, told {told:?}");
    }
}

#[test]
fn a_network_with_endpoints_is_not_deleted_and_they_are_named() {
    let mut w = world_with("db", "192.168.1.0/24");
    w.ask(Request::Attach(Attach { name: Some(Name::new("ipv1").unwrap()), ..attach("db", 1) })).unwrap();
    let told = faults(w.decide(Request::DeleteNetwork { network: "db".into() }));
    assert_eq!(told, ["network: network db has 1 endpoint: ipv1; detach them first"]);
}

#[test]
fn a_granted_label_needs_a_grant() {
    let mut w = world_with("db", "192.168.1.0/24");
    w.settings.grants =
        vec![Grant { group: Some("cards-ops".into()), user: None, labels: BTreeMap::from([("tier".into(), vec!["cards".into()])]) }];
    w.caller.admin = false;
    w.caller.name = "ann".into();
    let tier = |t: &'static str| WorkloadWish { labels: Some(Labels::from([("tier", t)])), ..WorkloadWish::default() };
    let wish = Attach { workload: tier("cards"), ..attach("db", 1) };
    let refusal = w.decide(Request::Attach(wish.clone())).unwrap_err();
    assert_eq!((refusal.kind, refusal.faults[0].field.as_str()), (RefusalKind::Forbidden, "workload.labels.tier"));
    w.caller.groups = vec!["cards-ops".into()];
    assert!(w.decide(Request::Attach(wish)).is_ok());
    let refusal = w.decide(Request::Attach(Attach { workload: tier("web"), ..attach("db", 1) })).unwrap_err();
    assert_eq!(refusal.faults[0].right, "one of cards");
}

#[test]
fn policies_see_the_segment_what_is_reached_and_what_the_workload_joins() {
    let mut w = World::new();
    let labelled = |name: &str, parent: &str, tier: &'static str, cidr: &str| CreateNetwork {
        parent: Some(parent.into()),
        labels: Labels::from([("tier", tier), ("other", "x")]),
        subnets: vec![subnet(cidr)],
        shield: bulkhead_core::network::ShieldWish::Off,
        ..create(name)
    };
    w.ask(Request::CreateNetwork(labelled("trunk", "eth0", "web", "10.0.0.0/24"))).unwrap();
    w.ask(Request::CreateNetwork(labelled("cards", "eth0.40", "cards", "10.1.0.0/24"))).unwrap();
    w.ask(Request::Attach(attach("trunk", 1))).unwrap();
    let heard = |w: &mut World, wish: Attach| -> Question {
        match w.decide(Request::Attach(wish)).unwrap() {
            Decided::Outcome(o) => o.decision.heard[0].question.clone(),
            other => panic!("{other:?}"),
        }
    };
    let q = heard(&mut w, Attach { interface: LinkName::new("eth1").unwrap(), ..attach("cards", 1) });
    assert_eq!(q.same_segment.len(), 1);
    assert_eq!(q.reaches.len(), 1, "the unshielded trunk reaches VLAN 40, so the attach to VLAN 40 is told");
    assert_eq!((q.reaches[0].networks, q.reaches[0].endpoints), (1, 1));
    assert_eq!(q.reaches[0].network_labels.len(), 1, "only the keys that the policy looks at");
    assert_eq!(q.workload.unwrap().attached[0].examples, ["trunk"]);
}

#[test]
fn routes_follow_mode_and_isolation() {
    let mut w = World::new();
    let wish = CreateNetwork { mode: Mode::L3, subnets: vec![subnet("10.0.0.0/24"), subnet("10.0.1.0/24")], ..create("isolated") };
    w.ask(Request::CreateNetwork(wish)).unwrap();
    let wish = CreateNetwork {
        mode: Mode::L3s,
        flag: Flag::Private,
        parent: Some("eth0".into()),
        subnets: vec![subnet("10.2.0.0/24")],
        ..create("routed")
    };
    w.ask(Request::CreateNetwork(wish)).unwrap();
    w.ask(Request::CreateNetwork(create("plain"))).unwrap();
    let mut routes = |network: &str, cookie| {
        let outcome = w.ask(Request::Attach(attach(network, cookie))).unwrap();
        endpoint_of(&outcome, &w.state).routes.iter().map(|(d, v)| (d.to_string(), v.map(|v| v.to_string()))).collect::<Vec<_>>()
    };
    assert_eq!(routes("isolated", 1), [("10.0.1.0/24".to_owned(), None)]);
    assert_eq!(routes("routed", 2), [("0.0.0.0/0".to_owned(), None)]);
    assert_eq!(routes("plain", 3), [], "the gateway of an isolated network is reserved, not routed to");
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]
    /// Whatever is asked in whatever order: no address twice, nor the network's, broadcast, gateway, reserved or host's own;
    /// and the record never contradicts itself.
    #[test]
    fn ipam_never_gives_what_it_must_not(ops in prop::collection::vec((0u8..4, 0u64..12, 0u8..40), 1..80), prefix in 26u8..31) {
        let mut w = World::new();
        w.host.links.get_mut(&IfIndex(2)).unwrap().addresses = vec!["10.0.0.5/24".parse().unwrap()];
        let mut s = subnet(&format!("10.0.0.0/{prefix}"));
        s.reserved.insert("router".into(), "10.0.0.2".parse().unwrap());
        if prefix < 30 {
            s.ip_range = Some(format!("10.0.0.0/{}", prefix + 1).parse().unwrap());
        }
        w.ask(Request::CreateNetwork(CreateNetwork { parent: Some("eth0".into()), subnets: vec![s], ..create("n") })).unwrap();
        for (op, cookie, last) in ops {
            match op {
                0 | 1 => {
                    let named = if op == 1 { vec![std::net::IpAddr::from([10, 0, 0, last])] } else { vec![] };
                    if let Ok(Decided::Outcome(_)) = w.decide(Request::Attach(Attach { addresses: named.clone(), ..attach("n", cookie) })) {
                        let fails = last % 5 == 0;
                        let (_, plan) = w.enter(Request::Attach(Attach { addresses: named, ..attach("n", cookie) })).unwrap();
                        let result = if fails { Settled::Failed { step: 0, why: "no".into(), left: None } } else { Settled::Done };
                        w.settle(&plan.unwrap(), result);
                    }
                }
                2 => {
                    let id = w.state.in_netns(netns(cookie).id).next().map(|e| e.id.to_string());
                    if let Some(endpoint) = id {
                        w.ask(Request::Detach { network: "n".into(), endpoint, netns_is_callers: true }).unwrap();
                    }
                }
                _ => w.now += 20_000,
            }
            prop_assert_eq!(record_faults(&w.state), vec![]);
            for e in w.state.endpoints() {
                prop_assert_eq!(&e.state, &EndpointState::Attached);
                for a in &e.addresses {
                    prop_assert!(a.address.to_string() != "10.0.0.5" && a.address.to_string() != "10.0.0.2" && a.address.to_string() != "10.0.0.1");
                }
            }
        }
    }
}
