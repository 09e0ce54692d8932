//! Links of the host, and the mirror of it: dummies, VLANs, what changes behind our back, what gets lost.

use crate::bed::{Bed, Result, Wish, failure, making, name, removal, soon};
use bulkhead_core::host::{IfIndex, LinkKind, Mac, VlanId};
use bulkhead_core::kernel::{Kernel, Notice};
use bulkhead_core::observed::NetnsSeen;
use bulkhead_core::plan::{Settled, Step};
use bulkhead_kernel::LinuxKernel;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

fn vlan(bed: &Bed, id: u16, index: u32) -> Vec<Step> {
    let (name, index) = (name(&format!("eth0.{id}")), IfIndex(index));
    let vlan = VlanId::new(id).unwrap();
    let (base_name, alias) = ("eth0".to_owned(), "bulkhead eth0.30".to_owned());
    vec![Step::AddVlan { name: name.clone(), index, base: bed.eth0, base_name, vlan, alias }, Step::SetUp { index, name }]
}

#[test]
fn a_vlan_is_made_seen_at_once_and_carries_its_tag() -> Result {
    let bed = Bed::new()?;
    let before = bed.lab.host.links()?;
    let index = IfIndex(0x2000_0030);
    let undo = vec![Step::DelLink { index, name: name("eth0.30") }];
    assert_eq!(bed.apply(&making(None, vlan(&bed, 30, index.0), undo.clone()), None), Settled::Done);
    let host = bed.kernel.host();
    let link = host.link(index).ok_or("the mirror does not know it yet")?;
    assert_eq!(link.kind, LinkKind::Vlan { base: bed.eth0, id: VlanId::new(30).unwrap() });
    assert_eq!((link.name.as_str(), link.alias.as_deref(), link.up), ("eth0.30", Some("bulkhead eth0.30"), true));
    let a = bed.workload("a")?;
    let netns = bed.open(&a)?;
    let mut wish = Wish::v4(index, 10);
    wish.addresses = vec!["192.168.30.10/24".parse()?];
    wish.routes.clear();
    assert_eq!(bed.apply(&wish.attach(&netns.record), Some(&netns)), Settled::Done);
    assert!(a.ping([192, 168, 30, 1].into())?, "the peer's VLAN 30");
    // Another one with the same id is refused, in the kernel's words, and leaves the first alone.
    let (_, why) = failure(bed.apply(&making(None, vlan(&bed, 30, 0x2000_0031), undo.clone()), None))?;
    assert!(why.contains("eth0.30") && why.contains("File exists"), "{why}");
    assert!(bed.kernel.host().link(index).is_none(), "the undo names the first one's index, as a repeated plan would");
    assert_eq!(bed.apply(&removal(None, undo), None), Settled::Done, "not there is fine");
    assert_eq!(bed.lab.host.links()?, before);
    assert!(bed.inside(&netns.record)?.is_empty(), "the parent took its link along");
    Ok(())
}

#[test]
fn a_dummy_has_the_mac_that_was_asked_for() -> Result {
    let bed = Bed::new()?;
    let before = bed.lab.host.links()?;
    let (index, mac) = (IfIndex(0x2000_0040), Mac([2, 0xaa, 0xbb, 0xcc, 0xdd, 0xee]));
    let add = Step::AddDummy { name: name("bh-d1"), index, mac, mtu: Some(1400), alias: "bulkhead isolated1".into() };
    let up = Step::SetUp { index, name: name("bh-d1") };
    let delete = Step::DelLink { index, name: name("bh-d1") };
    assert_eq!(bed.apply(&making(None, vec![add.clone(), up], vec![delete.clone()]), None), Settled::Done);
    let text = bed.lab.host.links()?;
    assert!(text.contains("link bh-d1") && text.contains("mac 02:aa:bb:cc:dd:ee") && text.contains("mtu 1400"), "{text}");
    let host = bed.kernel.host();
    assert_eq!(host.link(index).map(|l| (l.mac, l.up, l.kind.clone())), Some((Some(mac), true, LinkKind::Dummy)));
    // A second one of that name or index is refused, and its undo spares the first.
    let (step, why) = failure(bed.apply(&making(None, vec![add], vec![delete.clone()]), None))?;
    assert!(step == 0 && why.contains("type dummy") && why.contains("File exists"), "{why}");
    assert!(bed.kernel.host().link(index).is_some());
    assert_eq!(bed.apply(&removal(None, vec![delete]), None), Settled::Done);
    assert_eq!(bed.lab.host.links()?, before);
    Ok(())
}

#[test]
fn what_is_no_dummy_or_vlan_is_never_deleted() -> Result {
    let bed = Bed::new()?;
    let before = bed.lab.host.links()?;
    let (_, why) = failure(bed.apply(&removal(None, vec![Step::DelLink { index: bed.eth0, name: name("eth0") }]), None))?;
    assert!(why.contains("is eth0 now, of kind veth"), "{why}");
    assert_eq!(bed.lab.host.links()?, before);
    Ok(())
}

#[test]
fn a_parent_that_is_taken_says_so() -> Result {
    let bed = Bed::new()?;
    let a = bed.workload("a")?;
    let netns = bed.open(&a)?;
    bed.lab.host.ip(
        "link add d0 type dummy\nlink add m0 link d0 type macvlan\nlink add d1 type dummy\nlink add b0 type bridge\nlink set d1 master b0",
    )?;
    let host = bed.dumped();
    let [d0, d1, b0] = ["d0", "d1", "b0"].map(|n| host.named(n).map(|l| l.index));
    assert_eq!(host.named("m0").map(|l| l.kind.clone()), d0.map(|parent| LinkKind::Macvlan { parent }));
    assert_eq!(host.named("d1").and_then(|l| l.master), b0);
    assert_eq!(host.named("b0").map(|l| l.kind.clone()), Some(LinkKind::Other("bridge".into())));
    for parent in [d0, d1] {
        let (step, why) = failure(bed.apply(&Wish::v4(parent.ok_or("no parent")?, 23).attach(&netns.record), Some(&netns)))?;
        assert!(step == 0 && why.contains("Device or resource busy"), "{why}");
    }
    Ok(())
}

#[test]
fn the_mirror_follows_what_others_do() -> Result {
    let bed = Bed::new()?;
    let notices = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&notices);
    bed.kernel.on_notice(Box::new(move |_| {
        counted.fetch_add(1, Ordering::Relaxed);
    }));
    bed.lab.host.ip("link add d0 address 02:11:22:33:44:55 type dummy
         link set d0 mtu 1300 alias someone
         addr add 10.9.0.1/24 dev d0
         link set d0 up
         addr add 2001:db8:9::1/64 dev d0 nodad
         route add 10.10.0.0/16 dev d0
         route add 10.11.0.0/16 via 10.9.0.2
         link add link d0 name d0.7 type vlan id 7
         link set d0.7 name seven
         link add p0 link d0 type ipvlan mode l3 private")?;
    soon("the mirror is what dumps show", || *bed.kernel.host() == bed.dumped());
    let host = bed.kernel.host();
    let on_link: Vec<String> = host.on_link.iter().map(ToString::to_string).collect();
    assert_eq!(on_link, ["10.9.0.0/24", "10.10.0.0/16", "192.168.1.0/24", "2001:db8:1::/64", "2001:db8:9::/64"]);
    assert!(notices.load(Ordering::Relaxed) > 0);
    bed.lab.host.ip("link set d0 down\nlink set eth0 down")?;
    soon("routes of links that are down are forgotten", || *bed.kernel.host() == bed.dumped());
    bed.lab.host.ip("link del d0\nlink set eth0 up")?;
    soon("links that went are forgotten", || *bed.kernel.host() == bed.dumped());
    Ok(())
}

/// 120 changes overrun a receive buffer of 4 KB; what they were is not told, so everything is read anew.
#[test]
fn lost_notifications_are_made_good() -> Result {
    let bed = Bed::new()?;
    let kernel = bed.lab.host.enter(|| LinuxKernel::start_with(4096))?.map_err(|e| e.why())?;
    let resyncs = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&resyncs);
    kernel.on_notice(Box::new(move |notice| {
        counted.fetch_add(usize::from(notice == Notice::Resynced), Ordering::Relaxed);
    }));
    let storm: String = (0..120).map(|n| format!("link add s{n} type dummy\nlink set s{n} up\n")).collect();
    bed.lab.host.ip(&storm)?;
    soon("the mirror is what dumps show", || *kernel.host() == bed.dumped());
    assert!(resyncs.load(Ordering::Relaxed) > 0, "the test is to lose some");
    bed.lab.host.ip(&(0..120).map(|n| format!("link del s{n}\n")).collect::<String>())?;
    soon("and again", || *kernel.host() == bed.dumped());
    assert!(resyncs.load(Ordering::Relaxed) <= 3, "at most one in ten seconds");
    Ok(())
}

#[test]
fn all_links_of_a_parent_vanish_with_it() -> Result {
    let bed = Bed::new()?;
    let index = IfIndex(0x2000_0050);
    let mac = Mac([2, 0, 0, 0, 0, 9]);
    let add = Step::AddDummy { name: name("bh-d2"), index, mac, mtu: None, alias: String::new() };
    assert_eq!(bed.apply(&making(None, vec![add, Step::SetUp { index, name: name("bh-d2") }], Vec::new()), None), Settled::Done);
    let a = bed.workload("a")?;
    let netns = bed.open(&a)?;
    let wish = Wish { routes: Vec::new(), ..Wish::v4(index, 24) };
    assert_eq!(bed.apply(&wish.attach(&netns.record), Some(&netns)), Settled::Done);
    bed.lab.host.ip("link del bh-d2")?;
    let seen = bed.kernel.observe(std::slice::from_ref(&netns.record));
    assert_eq!(seen.namespaces.get(&netns.record.id), Some(&NetnsSeen::There(Vec::new())));
    soon("the mirror knows", || bed.kernel.host().link(index).is_none());
    Ok(())
}

#[test]
fn nothing_is_missing_here() -> Result {
    let bed = Bed::new()?;
    let missing = &bed.kernel.host().missing;
    assert!(missing.is_empty(), "{missing:?}");
    Ok(())
}
