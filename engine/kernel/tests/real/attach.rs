//! Attach and detach: what they cost, what the workload gets, what is left when the kernel refuses.

use crate::bed::{Bed, Result, Wish, failure, making, name, net};
use bulkhead_core::host::{Flag, IfIndex, Mode};
use bulkhead_core::kernel::Kernel;
use bulkhead_core::observed::InsideLink;
use bulkhead_core::plan::{Settled, Step};
use bulkhead_kernel::{Sent, sent};
use std::net::IpAddr;
use std::time::Duration;

fn cost<T>(work: impl FnOnce() -> T) -> (T, Sent) {
    let before = sent();
    let result = work();
    let after = sent();
    (result, Sent { sends: after.sends - before.sends, messages: after.messages - before.messages })
}

#[test]
fn an_attach_is_five_messages_in_two_sends_and_the_workload_is_on_the_wire() -> Result {
    let bed = Bed::new()?;
    let a = bed.workload("a")?;
    let netns = bed.open(&a)?;
    let wish = Wish::v4(bed.eth0, 10);
    bed.apply(&wish.detach(&netns.record), Some(&netns)); // Opens the host's socket, and removes what is not there.
    let (settled, cost_v4) = cost(|| bed.apply(&wish.attach(&netns.record), Some(&netns)));
    assert_eq!(settled, Settled::Done);
    assert_eq!(cost_v4, Sent { sends: 2, messages: 5 });
    let expected = InsideLink {
        index: wish.index,
        name: "eth0".into(),
        alias: Some(format!("bulkhead test {}", wish.index)),
        ipvlan: Some((Mode::L2, Flag::Bridge, bed.eth0)),
        mtu: 1500,
        up: true,
        addresses: wish.addresses.clone(),
        routes: wish.routes.clone(),
    };
    assert_eq!(bed.inside(&netns.record)?, [expected]);
    assert!(a.ping(IpAddr::from([192, 168, 1, 1]))?);

    // Each further address or route is one message more, and no send.
    let b = bed.workload("b")?;
    let second = bed.open(&b)?;
    let (settled, cost_dual) = cost(|| bed.apply(&Wish::dual(bed.eth0, 11).attach(&second.record), Some(&second)));
    assert_eq!(settled, Settled::Done);
    assert_eq!(cost_dual, Sent { sends: 2, messages: 7 });
    assert!(a.ping(IpAddr::from([192, 168, 1, 11]))?, "siblings reach each other");
    Ok(())
}

#[test]
fn neighbours_hear_of_the_address_when_the_link_goes_up() -> Result {
    let bed = Bed::new()?;
    bed.lab.peer.enter(|| std::fs::write("/proc/sys/net/ipv4/conf/eth0/arp_accept", "1"))??;
    let a = bed.workload("a")?;
    let netns = bed.open(&a)?;
    assert_eq!(bed.apply(&Wish::v4(bed.eth0, 12).attach(&netns.record), Some(&netns)), Settled::Done);
    // The workload has sent nothing: only a gratuitous ARP can have told the peer.
    let known = || bed.lab.peer.ip("neigh show 192.168.1.12").is_ok_and(|text| text.contains("02:00:00:00:00:01"));
    crate::bed::soon("the peer knows 192.168.1.12", known);
    Ok(())
}

#[test]
fn no_router_is_listened_to_and_ipv6_is_usable_at_once() -> Result {
    let bed = Bed::new()?;
    let a = bed.workload("a")?;
    let netns = bed.open(&a)?;
    assert_eq!(bed.apply(&Wish::dual(bed.eth0, 13).attach(&netns.record), Some(&netns)), Settled::Done);
    let addresses = a.run(&["ip", "-6", "addr", "show", "dev", "eth0", "scope", "global"])?;
    assert!(addresses.contains("2001:db8:1::13/64") && !addresses.contains("tentative"), "{addresses}");
    assert!(a.ping_within("2001:db8:1::1".parse::<IpAddr>()?, Duration::from_millis(500))?);
    for file in ["accept_ra", "autoconf"] {
        let value = a.enter(|| std::fs::read_to_string(format!("/proc/sys/net/ipv6/conf/eth0/{file}")))??;
        assert_eq!(value.trim(), "0", "{file}");
    }
    Ok(())
}

#[test]
fn a_small_mtu_leaves_no_ipv6_and_that_is_fine() -> Result {
    let bed = Bed::new()?;
    let a = bed.workload("a")?;
    let netns = bed.open(&a)?;
    let wish = Wish { mtu: Some(1000), ..Wish::v4(bed.eth0, 14) };
    assert_eq!(bed.apply(&wish.attach(&netns.record), Some(&netns)), Settled::Done);
    assert_eq!(bed.inside(&netns.record)?[0].mtu, 1000);
    Ok(())
}

/// Whatever step fails, undoing leaves the kernel as it was found.
#[test]
fn cut_at_every_step_nothing_is_left() -> Result {
    let bed = Bed::new()?;
    let a = bed.workload("a")?;
    let netns = bed.open(&a)?;
    let (before, empty) = (bed.lab.host.links()?, a.links()?);
    let wish = Wish::dual(bed.eth0, 15);
    // No gateway is there, whatever addresses the link has by then.
    let impossible =
        Step::AddRoute { index: wish.index, name: name("eth0"), destination: net("10.0.0.0/8"), via: Some([203, 0, 113, 1].into()) };
    for at in 0..=wish.steps().len() {
        let mut steps = wish.steps();
        steps.insert(at, impossible.clone());
        let (step, why) = failure(bed.apply(&making(Some(&netns.record), steps, wish.undo()), Some(&netns)))?;
        assert_eq!(step, at, "{why}");
        assert!(why.contains("ip -n /run/netns/") && why.contains("route add 10.0.0.0/8 via 203.0.113.1"), "{why}");
        assert_eq!(a.links()?, empty, "after a failure at step {at}");
    }
    assert_eq!(bed.lab.host.links()?, before);
    assert_eq!(bed.apply(&wish.attach(&netns.record), Some(&netns)), Settled::Done, "and then it works");
    Ok(())
}

#[test]
fn an_address_twice_is_refused_in_the_kernels_words() -> Result {
    let bed = Bed::new()?;
    let (a, b) = (bed.workload("a")?, bed.workload("b")?);
    let (first, second) = (bed.open(&a)?, bed.open(&b)?);
    assert_eq!(bed.apply(&Wish::v4(bed.eth0, 16).attach(&first.record), Some(&first)), Settled::Done);
    let empty = b.links()?;
    let (step, why) = failure(bed.apply(&Wish::v4(bed.eth0, 16).attach(&second.record), Some(&second)))?;
    assert_eq!(step, 2);
    assert!(why.contains("addr add 192.168.1.16/24"), "{why}");
    assert!(why.contains("Address already assigned to an ipvlan device"), "{why}");
    assert_eq!(b.links()?, empty);
    assert!(a.ping(IpAddr::from([192, 168, 1, 1]))?, "the first keeps answering");
    Ok(())
}

#[test]
fn a_taken_name_or_index_is_refused_and_its_holder_stays() -> Result {
    let bed = Bed::new()?;
    let a = bed.workload("a")?;
    let netns = bed.open(&a)?;
    let wish = Wish::v4(bed.eth0, 17);
    a.ip(&format!("link add theirs index {} type dummy", wish.index))?;
    let before = a.links()?;
    let (step, why) = failure(bed.apply(&wish.attach(&netns.record), Some(&netns)))?;
    assert!(step == 0 && why.contains("ip link add link eth0 name eth0"), "{why}");
    assert_eq!(a.links()?, before);
    let taken = Wish { interface: "theirs", index: IfIndex(0x2000_1000), ..wish.clone() };
    failure(bed.apply(&taken.attach(&netns.record), Some(&netns)))?;
    assert_eq!(a.links()?, before);
    // A removal spares it, too: it is no ipvlan on our parent.
    assert_eq!(bed.apply(&wish.detach(&netns.record), Some(&netns)), Settled::Done);
    assert_eq!(a.links()?, before);
    // Nor is one of ours made twice, and the one that is there does not fall to the undo of the second.
    let ours = Wish { index: IfIndex(0x2000_1001), ..wish };
    assert_eq!(bed.apply(&ours.attach(&netns.record), Some(&netns)), Settled::Done);
    let before = a.links()?;
    failure(bed.apply(&ours.attach(&netns.record), Some(&netns)))?;
    assert_eq!(a.links()?, before);
    Ok(())
}

#[test]
fn a_renamed_link_is_still_ours_to_remove() -> Result {
    let bed = Bed::new()?;
    let a = bed.workload("a")?;
    let netns = bed.open(&a)?;
    let empty = a.links()?;
    let wish = Wish::v4(bed.eth0, 18);
    assert_eq!(bed.apply(&wish.attach(&netns.record), Some(&netns)), Settled::Done);
    a.ip("link set eth0 down\nlink set eth0 name other\nlink set other alias nobody")?;
    assert_eq!(bed.inside(&netns.record)?[0].name, "other");
    assert_eq!(bed.apply(&wish.detach(&netns.record), None), Settled::Done);
    assert_eq!(a.links()?, empty);
    assert_eq!(bed.apply(&wish.detach(&netns.record), None), Settled::Done, "a second time, too");
    Ok(())
}

#[test]
fn a_link_of_the_same_index_on_another_parent_is_spared() -> Result {
    let bed = Bed::new()?;
    let a = bed.workload("a")?;
    let netns = bed.open(&a)?;
    bed.lab.host.ip("link add d0 type dummy\nlink set d0 up")?;
    bed.kernel.observe(&[]);
    let d0 = bed.dumped().named("d0").ok_or("no d0")?.index;
    let there = Wish::v4(d0, 19);
    assert_eq!(bed.apply(&Wish { routes: Vec::new(), ..there.clone() }.attach(&netns.record), Some(&netns)), Settled::Done);
    let before = a.links()?;
    let wrong = Wish { parent: bed.eth0, ..there.clone() };
    assert_eq!(bed.apply(&wrong.detach(&netns.record), Some(&netns)), Settled::Done);
    assert_eq!(a.links()?, before);
    Ok(())
}

#[test]
fn a_second_mode_flips_all_links_and_is_set_right_again() -> Result {
    let bed = Bed::new()?;
    let (a, b) = (bed.workload("a")?, bed.workload("b")?);
    let (first, second) = (bed.open(&a)?, bed.open(&b)?);
    let (wish_a, wish_b) = (Wish::v4(bed.eth0, 20), Wish::v4(bed.eth0, 21));
    assert_eq!(bed.apply(&wish_a.attach(&first.record), Some(&first)), Settled::Done);
    assert_eq!(bed.apply(&wish_b.attach(&second.record), Some(&second)), Settled::Done);
    b.ip("link set eth0 type ipvlan mode l3 private")?;
    assert_eq!(bed.inside(&first.record)?[0].ipvlan, Some((Mode::L3, Flag::Private, bed.eth0)));
    let heal = Step::SetMode { index: wish_a.index, name: name("eth0"), mode: Mode::L2, flag: Flag::Bridge };
    assert_eq!(bed.apply(&making(Some(&first.record), vec![heal], Vec::new()), None), Settled::Done);
    for netns in [&first, &second] {
        assert_eq!(bed.inside(&netns.record)?[0].ipvlan, Some((Mode::L2, Flag::Bridge, bed.eth0)));
    }
    assert!(a.ping(IpAddr::from([192, 168, 1, 21]))?);
    Ok(())
}

#[test]
fn mode_flag_mtu_and_a_route_without_gateway() -> Result {
    let bed = Bed::new()?;
    let a = bed.workload("a")?;
    let netns = bed.open(&a)?;
    let wish = Wish {
        mode: Mode::L3s,
        flag: Flag::Vepa,
        mtu: Some(1400),
        routes: vec![(net("0.0.0.0/0"), None), (net("::/0"), None)],
        ..Wish::dual(bed.eth0, 22)
    };
    assert_eq!(bed.apply(&wish.attach(&netns.record), Some(&netns)), Settled::Done);
    let links = bed.inside(&netns.record)?;
    assert_eq!((links[0].ipvlan, links[0].mtu), (Some((Mode::L3s, Flag::Vepa, bed.eth0)), 1400));
    assert_eq!(links[0].routes, wish.routes);
    let mtu = Step::SetMtuInside { index: wish.index, name: name("eth0"), mtu: 1300 };
    assert_eq!(bed.apply(&making(Some(&netns.record), vec![mtu], Vec::new()), Some(&netns)), Settled::Done);
    assert_eq!(bed.inside(&netns.record)?[0].mtu, 1300);
    Ok(())
}
