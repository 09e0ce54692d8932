//! The attack table against a bare parent and a shielded one, with plain `ip` and `tc`: what the daemon's shield has to equal.

use bulkhead_lab::{Lab, Namespace, Result, Target, Targets, attack_all, attacks};
use std::net::Ipv4Addr;

const EGRESS: &str = "8,32 0 0 4294963248,21 0 4 0,40 0 0 12,21 3 0 33024,21 2 0 34984,21 1 0 37120,6 0 0 0,6 0 0 4294967295";
const INGRESS: &str = "10,32 0 0 0,7 0 0 0,32 0 0 6,29 0 4 0,40 0 0 4,7 0 0 0,40 0 0 10,29 1 0 0,6 0 0 0,6 0 0 4294967295";

/// A lab whose host has VLAN 30 in both kinds of tags, two workloads on its untagged network, and one in VLAN 40.
struct Scene {
    a: Namespace,
    b: Namespace,
    forty: Namespace,
    lab: Lab,
}

fn scene() -> Result<Scene> {
    let lab = Lab::new()?;
    let (a, b, forty) = (lab.workload("a")?, lab.workload("b")?, lab.workload("forty")?);
    lab.host.ip(&format!(
        "link add link eth0 name eth0.30 type vlan id 30
         link add link eth0 name ad30 type vlan proto 802.1ad id 30
         link add link eth0 name eth0.40 type vlan id 40
         link set eth0.30 up
         link set ad30 up
         link set eth0.40 up
         link add ipv link eth0 netns {} type ipvlan mode l2
         link add ipv link eth0 netns {} type ipvlan mode l2
         link add ipv link eth0.40 netns {} type ipvlan mode l2",
        a.name(),
        b.name(),
        forty.name()
    ))?;
    for (workload, address) in [(&a, "192.168.1.10/24"), (&b, "192.168.1.11/24"), (&forty, "192.168.40.10/24")] {
        workload.ip(&format!("addr add {address} dev ipv\nlink set ipv up"))?;
    }
    Ok(Scene { a, b, forty, lab })
}

impl Scene {
    fn targets(&self) -> Targets<'_> {
        Targets {
            peer: &self.lab.peer,
            host: &self.lab.host,
            vlan: 30,
            host_links: vec!["eth0.30".into(), "ad30".into()],
            host_address: Ipv4Addr::new(192, 168, 1, 250),
        }
    }

    fn shield(&self) -> Result<()> {
        self.lab.host.tc(&format!(
            "qdisc add dev eth0 clsact
             filter add dev eth0 egress pref 1 protocol all bpf bytecode '{EGRESS}' action drop
             filter add dev eth0 ingress pref 1 protocol all bpf bytecode '{INGRESS}' action drop"
        ))?;
        Ok(())
    }

    fn honest_traffic_passes(&self) -> Result<()> {
        let ip = |address: [u8; 4]| Ipv4Addr::from(address).into();
        assert!(self.a.ping(ip([192, 168, 1, 1]))?, "to the peer");
        assert!(self.a.ping(ip([192, 168, 1, 11]))?, "to a sibling");
        assert!(self.b.ping(ip([192, 168, 1, 10]))?, "and back");
        assert!(self.lab.peer.ping(ip([192, 168, 1, 11]))?, "from the peer");
        assert!(self.forty.ping(ip([192, 168, 40, 1]))?, "within VLAN 40");
        assert!(self.lab.host.ping(ip([192, 168, 1, 1]))?, "of the host itself");
        Ok(())
    }
}

#[test]
fn without_the_shield_every_attack_arrives() -> Result<()> {
    let scene = scene()?;
    let report = attack_all(&scene.a, "ipv", &scene.targets())?;
    let stopped: Vec<_> = report.stopped().iter().map(ToString::to_string).collect();
    assert!(stopped.is_empty(), "{} of {} did not arrive:\n{}", stopped.len(), report.sent.len(), stopped.join("\n"));
    // On the wire is one thing, out of another host's VLAN device the harm itself: all whose outer tag is 802.1Q get there.
    let tagged = attacks().into_iter().filter(|attack| attack.target == Target::PeerVlan && attack.tags[0] == 0x8100);
    assert_eq!(report.in_peer_vlan, tagged.collect::<Vec<_>>());
    assert!(report.honest_arrived);
    scene.honest_traffic_passes()
}

#[test]
fn with_the_shield_none_does_and_pings_go_on() -> Result<()> {
    let scene = scene()?;
    scene.shield()?;
    let report = attack_all(&scene.a, "ipv", &scene.targets())?;
    let arrived: Vec<_> = report.arrived.iter().map(ToString::to_string).collect();
    assert!(arrived.is_empty(), "{} of {} arrived:\n{}", arrived.len(), report.sent.len(), arrived.join("\n"));
    assert!(report.honest_arrived);
    scene.honest_traffic_passes()
}

/// Each half is needed, so each half is seen: what one lets through the other must not be credited with.
#[test]
fn each_half_of_the_shield_stops_its_own_attacks() -> Result<()> {
    let scene = scene()?;
    scene.shield()?;
    for (half, lets_through) in [("ingress", [true, false, false]), ("egress", [false, true, true])] {
        let other = if half == "ingress" { "egress" } else { "ingress" };
        scene.lab.host.tc(&format!("filter del dev eth0 {other} pref 1"))?;
        let report = attack_all(&scene.a, "ipv", &scene.targets())?;
        for (target, through) in [Target::PeerVlan, Target::HostVlan, Target::HostStack].into_iter().zip(lets_through) {
            let count = |table: &[bulkhead_lab::Attack]| table.iter().filter(|attack| attack.target == target).count();
            let expected = if through { count(&report.sent) } else { 0 };
            assert_eq!(count(&report.arrived), expected, "{target:?} with the {half} half only");
        }
        scene.lab.host.tc("qdisc del dev eth0 clsact")?;
        scene.shield()?;
    }
    Ok(())
}

/// On an isolated network the host's own stack is what is in reach.
#[test]
fn a_dummy_needs_the_ingress_half() -> Result<()> {
    let lab = Lab::new()?;
    let workload = lab.workload("a")?;
    lab.host.ip(&format!(
        "link add isolated address 02:00:00:00:00:77 type dummy
         link set isolated up
         link add ipv link isolated netns {} type ipvlan mode l2",
        workload.name()
    ))?;
    workload.ip("addr add 10.0.0.2/24 dev ipv\nlink set ipv up")?;
    let targets =
        Targets { peer: &lab.peer, host: &lab.host, vlan: 30, host_links: Vec::new(), host_address: Ipv4Addr::new(192, 168, 1, 250) };
    let arrived = |targets: &Targets<'_>| attack_all(&workload, "ipv", targets).map(|report| report.arrived);
    let wanted: Vec<_> = attacks().into_iter().filter(|attack| attack.target == Target::HostStack).collect();
    assert_eq!(arrived(&targets)?, wanted);
    lab.host.tc(&format!(
        "qdisc add dev isolated clsact
         filter add dev isolated ingress pref 1 protocol all bpf bytecode '{INGRESS}' action drop"
    ))?;
    assert_eq!(arrived(&targets)?, []);
    Ok(())
}
