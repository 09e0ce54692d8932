//! The lab itself: what is connected, what is not, and that nothing of it stays.

use bulkhead_lab::Lab;
use std::{
    collections::BTreeSet,
    error::Error,
    fs,
    net::{Ipv4Addr, Ipv6Addr},
};

fn names() -> Result<BTreeSet<String>, Box<dyn Error>> {
    fs::read_dir("/run/netns")?.map(|entry| Ok(entry?.file_name().to_string_lossy().into_owned())).collect()
}

#[test]
fn host_and_peer_meet_on_the_untagged_network_and_in_vlans_that_both_have() -> bulkhead_lab::Result<()> {
    let lab = Lab::new()?;
    assert!(lab.host.ping(Ipv4Addr::new(192, 168, 1, 1).into())?);
    assert!(lab.peer.ping(Ipv4Addr::new(192, 168, 1, 250).into())?);
    assert!(lab.host.ping(Ipv6Addr::new(0x2001, 0xdb8, 0x1, 0, 0, 0, 0, 0x1).into())?);
    assert!(!lab.host.ping(Ipv4Addr::new(192, 168, 30, 1).into())?, "no route yet");
    lab.host.ip("link add link eth0 name eth0.30 type vlan id 30
         addr add 192.168.30.2/24 dev eth0.30
         addr add 2001:db8:30::2/64 dev eth0.30
         link set eth0.30 up")?;
    assert!(lab.host.ping(Ipv4Addr::new(192, 168, 30, 1).into())?);
    assert!(lab.host.ping(Ipv6Addr::new(0x2001, 0xdb8, 0x30, 0, 0, 0, 0, 0x1).into())?);
    // In VLAN 30, VLAN 40's addresses are not to be had.
    lab.host.ip("addr add 192.168.40.2/24 dev eth0.30")?;
    lab.peer.ip("link set eth0.40 arp off")?;
    assert!(!lab.host.ping(Ipv4Addr::new(192, 168, 40, 99).into())?);
    Ok(())
}

#[test]
fn links_read_the_same_until_something_changes() -> bulkhead_lab::Result<()> {
    let lab = Lab::new()?;
    let before = lab.host.links()?;
    assert!(before.contains("link eth0 kind veth flags BROADCAST,MULTICAST,UP,LOWER_UP mtu 1500 mac 02:00:00:00:00:01"), "{before}");
    assert!(before.contains("address eth0 192.168.1.250/24 global"), "{before}");
    assert!(before.contains("route 192.168.1.0/24 dev eth0"), "{before}");
    assert!(before.contains("route 2001:db8:1::/64 dev eth0"), "{before}");
    let workload = lab.workload("a")?;
    let empty = workload.links()?;
    let a = workload.name();
    lab.host.ip(&format!("link add ipv1 link eth0 netns {a} type ipvlan mode l2 private"))?;
    workload.ip("link set ipv1 up
         addr add 192.168.1.10/24 dev ipv1
         route add default via 192.168.1.1")?;
    let with = workload.links()?;
    for part in ["link ipv1", "kind ipvlan mode l2", "private", "mac 02:00:00:00:00:01", "route default gateway 192.168.1.1 dev ipv1"] {
        assert!(with.contains(part), "{part} in {with}");
    }
    assert_eq!(lab.host.links()?, before, "links in other namespaces are not the host's");
    lab.host.ip("link add link eth0 name eth0.30 type vlan id 30")?;
    let vlan = lab.host.links()?;
    assert!(vlan.contains("link eth0.30 on eth0 kind vlan vlan 30 protocol 802.1Q"), "{vlan}");
    lab.host.ip("link del eth0.30")?;
    workload.ip("link del ipv1")?;
    assert_eq!(lab.host.links()?, before);
    assert_eq!(workload.links()?, empty);
    Ok(())
}

#[test]
fn labs_do_not_meet_and_leave_nothing() -> Result<(), Box<dyn Error>> {
    let (first, second) = (Lab::new()?, Lab::new()?);
    second.peer.ip("link set eth0 down")?;
    assert!(first.host.ping(Ipv4Addr::new(192, 168, 1, 1).into())?);
    assert!(!second.host.ping(Ipv4Addr::new(192, 168, 1, 1).into())?);
    let workload = first.workload("a")?;
    let ours: BTreeSet<_> = [&first.host, &first.switch, &first.peer, &second.host, &workload].map(|n| n.name().to_owned()).into();
    assert!(names()?.is_superset(&ours));
    assert!(first.workload("a").is_err(), "a name is given once");
    drop((workload, first, second));
    assert!(names()?.is_disjoint(&ours), "{:?}", names()?);
    Ok(())
}

#[test]
fn errors_tell_command_place_and_reason() -> bulkhead_lab::Result<()> {
    let lab = Lab::new()?;
    let error = lab.host.ip("link set nope0 up").unwrap_err().to_string();
    assert!(error.contains("link set nope0 up") && error.contains(lab.host.name()) && error.contains("nope0"), "{error}");
    assert!(lab.host.run(&["false"]).is_err());
    assert!(lab.host.run(&["no-such-program"]).unwrap_err().to_string().contains("no-such-program"));
    Ok(())
}
