//! What a create means, and what is wrong with the wrong ones.
#![allow(clippy::unwrap_used)] // A test that panics says where.

mod common;
use bulkhead_core::decide::Decided;
use bulkhead_core::faults::record_faults;
use bulkhead_core::host::{Flag, LinkKind, Mode};
use bulkhead_core::network::{NetworkState, ShieldWish};
use bulkhead_core::parent::{Origin, ParentKind};
use bulkhead_core::plan::Settled;
use bulkhead_core::request::{GatewayWish, Request};
use common::*;

fn plan_text(world: &mut World, request: Request) -> String {
    let outcome = world.ask(request).unwrap();
    outcome.effect.unwrap().plan.map(|p| p.to_string()).unwrap_or_default()
}

#[test]
fn no_parent_gives_an_own_dummy_with_a_mac_of_ours_and_the_ingress_half_only() {
    let mut w = World::new();
    let text = plan_text(&mut w, Request::CreateNetwork(create("isolated1")));
    let lines: Vec<&str> = text.lines().collect();
    assert!(lines[0].starts_with("ip link add name bh-") && lines[0].contains(" address 02:"), "{text}");
    assert!(lines[1].starts_with("ip link set bh-") && lines[1].ends_with(" up"), "{text}");
    assert!(lines[2].contains("ingress") && !lines[2].contains("egress pref"), "{text}");
    let network = w.state.network("isolated1").unwrap();
    assert_eq!(network.state, NetworkState::Ready);
    assert_eq!(network.subnets[0].cidr.to_string(), "172.18.0.0/16");
    assert_eq!(network.subnets[0].gateway.unwrap().to_string(), "172.18.0.1");
    assert!(record_faults(&w.state).is_empty());
}

#[test]
fn default_pools_go_on_behind_what_is_in_use_on_host_or_record() {
    let mut w = World::new();
    w.host.on_link.push("172.18.4.0/24".parse().unwrap());
    let names = ["a", "b"];
    names.iter().for_each(|n| drop(w.ask(Request::CreateNetwork(create(n))).unwrap()));
    let cidrs: Vec<String> = names.iter().map(|n| w.state.network(n).unwrap().subnets[0].cidr.to_string()).collect();
    assert_eq!(cidrs, ["172.19.0.0/16", "172.20.0.0/16"]);
    for i in 0..11 {
        w.ask(Request::CreateNetwork(create(&format!("n{i}")))).unwrap();
    }
    let n = w.ask(Request::CreateNetwork(create("first20"))).unwrap();
    drop(n);
    assert_eq!(w.state.network("first20").unwrap().subnets[0].cidr.to_string(), "192.168.0.0/20");
}

#[test]
fn ipv6_comes_from_the_ula_and_v4_as_well() {
    let mut w = World::new();
    w.ask(Request::CreateNetwork(bulkhead_core::request::CreateNetwork { ipv6: true, ..create("dual") })).unwrap();
    let cidrs: Vec<String> = w.state.network("dual").unwrap().subnets.iter().map(|s| s.cidr.to_string()).collect();
    assert_eq!(cidrs, ["172.18.0.0/16", "fd00:1::/64"]);
}

#[test]
fn a_vlan_is_made_once_shared_and_removed_with_its_last_network() {
    let mut w = World::new();
    let on = |name: &str, cidr: &str| bulkhead_core::request::CreateNetwork {
        parent: Some("eth0.30".into()),
        subnets: vec![subnet(cidr)],
        ..create(name)
    };
    let text = plan_text(&mut w, Request::CreateNetwork(on("a", "10.1.0.0/24")));
    assert!(text.starts_with("ip link add link eth0 name eth0.30 "), "{text}");
    assert!(text.contains("egress pref 1"), "double tagging through a native VLAN is stopped, too: {text}");
    assert_eq!(plan_text(&mut w, Request::CreateNetwork(on("b", "10.2.0.0/24"))), "");
    assert_eq!(plan_text(&mut w, Request::DeleteNetwork { network: "a".into() }), "");
    assert_eq!(plan_text(&mut w, Request::DeleteNetwork { network: "b".into() }), "ip link del eth0.30\n");
    assert_eq!(w.state.parents().count(), 0);
    assert!(w.host.named("eth0.30").is_none());
}

#[test]
fn a_vlan_that_was_there_before_is_found_whatever_its_name_and_left_alone() {
    let mut w = World::new();
    w.vlan(9, "cards", 2, 30);
    let wish = bulkhead_core::request::CreateNetwork { parent: Some("eth0.30".into()), ..create("a") };
    let text = plan_text(&mut w, Request::CreateNetwork(wish));
    assert!(!text.contains("link add"), "{text}");
    let parent = w.state.parent(w.state.network("a").unwrap().parent).unwrap();
    assert_eq!((parent.origin, parent.link.as_str()), (Origin::Found, "cards"));
    assert!(!plan_text(&mut w, Request::DeleteNetwork { network: "a".into() }).contains("link del"));
}

#[test]
fn a_long_name_gets_a_link_name_that_fits_and_stays_as_alias() {
    let mut w = World::new();
    w.host.links.insert(bulkhead_core::host::IfIndex(9), link(9, "enp160s0f0np1", LinkKind::Physical));
    let wish = bulkhead_core::request::CreateNetwork { parent: Some("enp160s0f0np1.1002".into()), ..create("a") };
    w.ask(Request::CreateNetwork(wish)).unwrap();
    let parent = w.state.parent(w.state.network("a").unwrap().parent).unwrap();
    assert!(parent.link.as_str().len() <= 15 && parent.link.as_str().starts_with("v1002-"), "{}", parent.link);
    assert_eq!(parent.alias.as_deref(), Some("enp160s0f0np1.1002"));
}

#[test]
fn internal_isolates_also_where_a_parent_is_named() {
    let mut w = World::new();
    let wish = bulkhead_core::request::CreateNetwork { parent: Some("eth0".into()), internal: true, ..create("a") };
    w.ask(Request::CreateNetwork(wish)).unwrap();
    let parent = w.state.parent(w.state.network("a").unwrap().parent).unwrap();
    assert_eq!(parent.kind, ParentKind::Dummy);
}

/// A change of one field of a good request, and the faults that it must give.
#[test]
fn bad_creates_are_refused_with_field_fault_and_remedy() {
    type Spoil = fn(&mut bulkhead_core::request::CreateNetwork);
    let table: &[(&str, Spoil)] = &[
        ("subnets[0].cidr: 192.168.1.7/24 has host bits set; 192.168.1.0/24", |w| w.subnets = vec![subnet("192.168.1.7/24")]),
        ("subnets[1].cidr: 10.0.0.128/25 overlaps subnets[0] 10.0.0.0/24", |w| {
            w.subnets = vec![subnet("10.0.0.0/24"), subnet("10.0.0.128/25")];
        }),
        ("subnets[0].cidr: 224.0.1.0/24 overlaps the multicast range", |w| w.subnets = vec![subnet("224.0.1.0/24")]),
        ("parent: there is no link \"eth7\"; one of eth0, eth1", |w| w.parent = Some("eth7".into())),
        ("parent: VLAN id 4095 of \"eth0.4095\" is out of range; a VLAN id from 1 to 4094", |w| w.parent = Some("eth0.4095".into())),
        ("parent: VLAN id 0 of", |w| w.parent = Some("eth0.0".into())),
        ("parent: there is no link \"nope0\", so no VLAN 3 on it", |w| w.parent = Some("nope0.3".into())),
        ("parent: lo is the loopback device", |w| w.parent = Some("lo".into())),
        ("mtu: 9000 is above the 1500 of its parent eth0", |w| {
            w.parent = Some("eth0".into());
            w.mtu = Some(9000);
        }),
        ("mtu: 9000 is above the 1500 of its parent eth0", |w| {
            w.parent = Some("eth0.5".into());
            w.mtu = Some(9000);
        }),
        ("mtu: 67 is out of range; 68 to 65535 bytes", |w| w.mtu = Some(67)),
        ("mtu: 1279 is too small for IPv6", |w| {
            w.mtu = Some(1279);
            w.ipv6 = true;
        }),
        ("subnets[0].gateway: 10.0.1.1 is not a usable address of 10.0.0.0/24; 10.0.0.1 to 10.0.0.254", |w| {
            w.subnets = vec![subnet("10.0.0.0/24")];
            w.subnets[0].gateway = Some(GatewayWish::Address("10.0.1.1".parse().unwrap()));
        }),
        ("subnets[0].gateway: 10.0.0.255 is not a usable address", |w| {
            w.subnets = vec![subnet("10.0.0.0/24")];
            w.subnets[0].gateway = Some(GatewayWish::Address("10.0.0.255".parse().unwrap()));
        }),
        ("subnets[0].ip_range: 10.0.1.0/25 is not within 10.0.0.0/24", |w| {
            w.subnets = vec![subnet("10.0.0.0/24")];
            w.subnets[0].ip_range = Some("10.0.1.0/25".parse().unwrap());
        }),
        ("subnets[0].reserved.router: 10.0.0.1 is the gateway already", |w| {
            w.subnets = vec![subnet("10.0.0.0/24")];
            w.subnets[0].reserved.insert("router".into(), "10.0.0.1".parse().unwrap());
        }),
    ];
    for (expected, spoil) in table {
        let mut w = World::new();
        let mut wish = create("a");
        spoil(&mut wish);
        let told = faults(w.decide(Request::CreateNetwork(wish)));
        assert!(told.iter().any(|f| f.starts_with(expected)), "expected {expected:?}, told {told:?}");
    }
}

#[test]
fn all_faults_are_told_at_once() {
    let mut w = World::new();
    let mut wish = create("a");
    wish.parent = Some("eth7".into());
    wish.mtu = Some(1);
    wish.subnets = vec![subnet("10.0.0.1/24"), subnet("10.1.0.1/24")];
    assert_eq!(faults(w.decide(Request::CreateNetwork(wish))).len(), 4);
}

#[test]
fn a_second_mode_or_flag_or_shield_on_a_parent_is_refused_naming_the_first_network() {
    let mut w = World::new();
    let on = |name: &str| bulkhead_core::request::CreateNetwork { parent: Some("eth0".into()), ..create(name) };
    w.ask(Request::CreateNetwork(on("web"))).unwrap();
    let told = faults(w.decide(Request::CreateNetwork(bulkhead_core::request::CreateNetwork { mode: Mode::L3, ..on("api") })));
    assert_eq!(told, ["mode: eth0 already carries l2 links of network web; a parent has one mode; l2, or another parent"]);
    let told = faults(w.decide(Request::CreateNetwork(bulkhead_core::request::CreateNetwork { flag: Flag::Private, ..on("api") })));
    assert_eq!(told, ["flag: eth0 already carries bridge links of network web; a parent has one flag; bridge, or another parent"]);
    let told = faults(w.decide(Request::CreateNetwork(bulkhead_core::request::CreateNetwork { shield: ShieldWish::Off, ..on("api") })));
    assert!(told[0].starts_with("shield: the shield of eth0 is on for network web"), "{told:?}");
}

#[test]
fn a_parent_that_is_a_port_or_carries_macvlan_is_refused() {
    let mut w = World::new();
    w.host.links.insert(bulkhead_core::host::IfIndex(5), link(5, "br0", LinkKind::Other("bridge".into())));
    w.host.links.get_mut(&bulkhead_core::host::IfIndex(2)).unwrap().master = Some(bulkhead_core::host::IfIndex(5));
    let kind = LinkKind::Macvlan { parent: bulkhead_core::host::IfIndex(3) };
    w.host.links.insert(bulkhead_core::host::IfIndex(6), link(6, "mv0", kind));
    let on = |p: &str| Request::CreateNetwork(bulkhead_core::request::CreateNetwork { parent: Some(p.into()), ..create("a") });
    assert!(faults(w.decide(on("eth0")))[0].starts_with("parent: eth0 is a port of bridge br0"));
    assert!(faults(w.decide(on("eth1")))[0].starts_with("parent: eth1 carries the macvlan link mv0"));
}

#[test]
fn a_link_called_eth0_30_that_is_not_vlan_30_of_eth0_is_refused() {
    let mut w = World::new();
    w.vlan(9, "eth0.30", 2, 31);
    let wish = bulkhead_core::request::CreateNetwork { parent: Some("eth0.30".into()), ..create("a") };
    let told = faults(w.decide(Request::CreateNetwork(wish)));
    assert!(told[0].starts_with("parent: eth0.30 is there, but is VLAN 31 of eth0, not VLAN 30 of eth0"), "{told:?}");
}

#[test]
fn overlaps_are_refused_on_one_segment_and_allowed_on_different_ones() {
    let mut w = World::new();
    let on = |name: &str, parent: &str| {
        let subnets = vec![subnet("10.0.0.0/24")];
        Request::CreateNetwork(bulkhead_core::request::CreateNetwork { parent: Some(parent.into()), subnets, ..create(name) })
    };
    w.ask(on("a", "eth0")).unwrap();
    w.ask(on("b", "eth0.30")).unwrap();
    let told = faults(w.decide(on("c", "eth0")));
    assert!(told[0].starts_with("subnets[0].cidr: 10.0.0.0/24 overlaps 10.0.0.0/24 of network a"), "{told:?}");
    // eth1 is on the same fabric until the operator says otherwise: the same segment.
    assert!(faults(w.decide(on("d", "eth1")))[0].contains("of network a, which is on the same segment"));
}

#[test]
fn without_its_modules_a_shielded_create_is_refused_and_an_unshielded_one_is_not() {
    let mut w = World::new();
    w.host.missing = vec!["cls_bpf".into()];
    let on = |shield| Request::CreateNetwork(bulkhead_core::request::CreateNetwork { parent: Some("eth0".into()), shield, ..create("a") });
    assert!(faults(w.decide(on(ShieldWish::On)))[0].starts_with("shield: the shield of eth0 cannot be put up: the kernel lacks cls_bpf"));
    assert!(matches!(w.decide(on(ShieldWish::Off)), Ok(Decided::Outcome(_))));
}

#[test]
fn what_is_under_way_is_waited_for() {
    let mut w = World::new();
    let on = |name: &str| Request::CreateNetwork(bulkhead_core::request::CreateNetwork { parent: Some("eth0.30".into()), ..create(name) });
    let (_, plan) = w.enter(on("a")).unwrap();
    let plan = plan.unwrap();
    assert!(matches!(w.decide(on("a")), Ok(Decided::Wait(p)) if p == plan.id), "the same name");
    assert!(matches!(w.decide(on("b")), Ok(Decided::Wait(p)) if p == plan.id), "the same parent");
    assert!(matches!(w.decide(Request::Attach(attach("a", 5))), Ok(Decided::Wait(p)) if p == plan.id), "an attach to it");
    assert!(matches!(w.decide(Request::DeleteNetwork { network: "a".into() }), Ok(Decided::Wait(p)) if p == plan.id));
    w.settle(&plan, Settled::Failed { step: 0, why: "no".into(), left: None });
    assert_eq!((w.state.networks().count(), w.state.parents().count(), w.state.plans().count()), (0, 0, 0));
}

#[test]
fn a_denied_create_has_no_effect_at_all() {
    let mut w = World::new();
    w.judge = Says(|_| Some("not today"));
    let outcome = w.ask(Request::CreateNetwork(create("a"))).unwrap();
    assert_eq!(outcome.effect.unwrap_err().violations[0].violation.message, "not today");
    assert_eq!(outcome.decision.plan, "");
    assert_eq!((w.state.networks().count(), w.state.parents().count(), w.state.plans().count()), (0, 0, 0));
}

#[test]
fn a_slash_31_has_no_gateway_and_l3_has_none_either() {
    let mut w = World::new();
    let wish = bulkhead_core::request::CreateNetwork { parent: Some("eth0".into()), subnets: vec![subnet("10.0.0.0/31")], ..create("a") };
    w.ask(Request::CreateNetwork(wish)).unwrap();
    assert_eq!(w.state.network("a").unwrap().subnets[0].gateway, None);
    let wish = bulkhead_core::request::CreateNetwork {
        parent: Some("eth0.3".into()),
        mode: Mode::L3,
        gateway: GatewayWish::Address("10.1.0.9".parse().unwrap()),
        subnets: vec![subnet("10.1.0.0/24")],
        ..create("b")
    };
    let outcome = w.ask(Request::CreateNetwork(wish)).unwrap();
    assert_eq!(w.state.network("b").unwrap().subnets[0].gateway, None);
    let bulkhead_core::policy::Verdict::Allowed { warnings, .. } = outcome.decision.verdict else { panic!() };
    assert!(warnings[0].contains("10.1.0.9 is ignored in mode l3"), "{warnings:?}");
}
