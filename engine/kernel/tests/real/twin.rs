//! The simulated kernel against the real one: the same plans on both, the same answers, the same things to see.

use crate::bed::{Bed, Result, Wish, making, name, net, recorded, removal};
use bulkhead_core::endpoint::Netns;
use bulkhead_core::host::{Flag, Host, IfIndex, Mac, Mode, VlanId};
use bulkhead_core::kernel::Kernel;
use bulkhead_core::observed::NetnsSeen;
use bulkhead_core::parent::ShieldHalves;
use bulkhead_core::plan::{Plan, Settled, Step};
use bulkhead_kernel::sim::SimKernel;
use bulkhead_lab::Namespace;
use std::sync::Arc;

/// A plan for the namespaces of one of the two.
type Play = Box<dyn Fn(&[Netns]) -> Plan>;

struct Twins {
    bed: Bed,
    sim: Arc<SimKernel>,
    _namespaces: Vec<Namespace>,
    real: Vec<Netns>,
    simulated: Vec<Netns>,
}

impl Twins {
    fn new() -> Result<Self> {
        let bed = Bed::new()?;
        let sim = SimKernel::new(crate::bed::boot());
        let namespaces = ["a", "b", "c"].map(|n| bed.workload(n)).into_iter().collect::<Result<Vec<_>>>()?;
        let real = namespaces.iter().map(|n| Ok(bed.open(n)?.record)).collect::<Result<Vec<_>>>()?;
        let simulated = real.iter().map(|r| sim.add_netns(&r.named)).collect();
        let twins = Twins { bed, sim, _namespaces: namespaces, real, simulated };
        twins.take_over_host();
        Ok(twins)
    }

    /// Lets the simulated host be what the real one is.
    fn take_over_host(&self) {
        let host = self.bed.dumped();
        self.sim.change(|world| world.host = host);
    }

    /// The same plan on both: the same answer, and then the same picture.
    fn play(&self, what: &str, play: Play) {
        let real = self.bed.kernel.apply(&recorded(&play(&self.real)), None);
        let simulated = self.sim.apply(&recorded(&play(&self.simulated)), None);
        assert_eq!(essence(&simulated), essence(&real), "{what}:\nsimulated {simulated:?}\nreal {real:?}");
        let (there, here) = (self.bed.kernel.observe(&self.real), self.sim.observe(&self.simulated));
        assert_eq!(comparable(here.host), comparable(there.host), "{what}");
        for (at, (real, simulated)) in self.real.iter().zip(&self.simulated).enumerate() {
            let (real, simulated) = (there.namespaces.get(&real.id), here.namespaces.get(&simulated.id));
            assert_eq!(sorted(simulated), sorted(real), "{what}: namespace {at}");
        }
    }
}

/// Which step failed, and with which error; the words around it are each kernel's own.
fn essence(settled: &Settled) -> Option<(usize, String, bool)> {
    match settled {
        Settled::Done => None,
        Settled::Failed { step, why, left } => {
            let error = why.rsplit("(os error ").next().unwrap_or_default();
            Some((*step, if why.contains("(os error ") { error.to_owned() } else { why.clone() }, left.is_some()))
        }
    }
}

/// Carrier comes and goes in the kernel's own time; on-link routes are not simulated.
fn comparable(mut host: Host) -> Host {
    host.on_link.clear();
    let indexes: Vec<IfIndex> = host.links.keys().copied().collect();
    for index in indexes {
        if let Some(link) = host.links.get_mut(&index) {
            link.carrier = false;
            link.addresses.clear();
        }
    }
    host
}

fn sorted(seen: Option<&NetnsSeen>) -> Option<NetnsSeen> {
    match seen.cloned() {
        Some(NetnsSeen::There(mut links)) => {
            links.sort_by_key(|l| l.index);
            Some(NetnsSeen::There(links))
        }
        seen => seen,
    }
}

fn attach(wish: &Wish, netns: usize) -> Play {
    let wish = wish.clone();
    Box::new(move |n| wish.attach(&n[netns]))
}

fn detach(wish: &Wish, netns: usize) -> Play {
    let wish = wish.clone();
    Box::new(move |n| wish.detach(&n[netns]))
}

fn inside(step: Step, netns: usize) -> Play {
    Box::new(move |n| making(Some(&n[netns]), vec![step.clone()], Vec::new()))
}

fn on_host(steps: Vec<Step>, undo: Vec<Step>) -> Play {
    Box::new(move |_| making(None, steps.clone(), undo.clone()))
}

fn gone(steps: Vec<Step>) -> Play {
    Box::new(move |_| removal(None, steps.clone()))
}

fn dummy(text: &str, index: u32, mtu: Option<u32>) -> Step {
    Step::AddDummy {
        name: name(text),
        index: IfIndex(index),
        mac: Mac([2, 0, 0, 0, 1, index as u8]),
        mtu,
        alias: format!("bulkhead {text}"),
    }
}

fn vlan(text: &str, index: u32, base: IfIndex, id: u16) -> Step {
    let vlan = VlanId::new(id).unwrap();
    Step::AddVlan { name: name(text), index: IfIndex(index), base, base_name: "eth0".into(), vlan, alias: String::new() }
}

fn up(text: &str, index: u32) -> Step {
    Step::SetUp { index: IfIndex(index), name: name(text) }
}

fn mtu(index: IfIndex, mtu: u32) -> Step {
    Step::SetMtu { index, name: name("eth0"), mtu }
}

fn del(text: &str, index: u32) -> Step {
    Step::DelLink { index: IfIndex(index), name: name(text) }
}

fn shield(index: IfIndex, egress: bool, ingress: bool) -> Step {
    Step::Shield { index, name: name("eth0"), halves: ShieldHalves { egress, ingress } }
}

#[test]
fn endpoints_on_one_parent() -> Result {
    let twins = Twins::new()?;
    let eth0 = twins.bed.eth0;
    let wish = Wish::dual(eth0, 10);
    twins.play("attach", attach(&wish, 0));
    twins.play("the same once more: the name is taken", attach(&wish, 0));
    twins.play("another name, the same index", attach(&Wish { interface: "eth1", ..wish.clone() }, 0));
    twins.play("the address once more, elsewhere", attach(&Wish { index: IfIndex(0x2000_0100), ..wish.clone() }, 1));
    let again = |address| Step::AddAddress { index: wish.index, name: name("eth0"), address };
    twins.play("its own IPv4 address once more", inside(again(net("192.168.1.10/24")), 0));
    twins.play("its own IPv4 address with another prefix", inside(again(net("192.168.1.10/25")), 0));
    twins.play("its own IPv6 address once more", inside(again(net("2001:db8:1::10/64")), 0));
    twins.play("its own IPv6 address with another prefix", inside(again(net("2001:db8:1::10/48")), 0));
    twins.play("a second", attach(&Wish::dual(eth0, 11), 1));
    twins.play("a third in another mode flips all", attach(&Wish { mode: Mode::L3, flag: Flag::Private, ..Wish::v4(eth0, 12) }, 2));
    let mode = Step::SetMode { index: wish.index, name: name("eth0"), mode: Mode::L2, flag: Flag::Vepa };
    twins.play("set right", inside(mode, 0));
    twins.play("an MTU inside", inside(Step::SetMtuInside { index: wish.index, name: name("eth0"), mtu: 1400 }, 0));
    twins.play("the parent's MTU goes for all", on_host(vec![mtu(eth0, 1300)], Vec::new()));
    twins.play("and back", on_host(vec![mtu(eth0, 1500)], Vec::new()));
    twins.play("of its own", attach(&Wish { mtu: Some(9000), interface: "eth1", routes: Vec::new(), ..Wish::v4(eth0, 13) }, 0));
    twins.play("detach", detach(&wish, 0));
    twins.play("once more", detach(&wish, 0));
    twins.play("on a parent that is not its own", detach(&Wish { parent: IfIndex(4711), ..Wish::dual(eth0, 11) }, 1));
    Ok(())
}

#[test]
fn routes() -> Result {
    let twins = Twins::new()?;
    let eth0 = twins.bed.eth0;
    let with = |routes: Vec<(&str, Option<&str>)>| Wish {
        routes: routes.into_iter().map(|(d, via)| (net(d), via.map(|v| v.parse().unwrap()))).collect(),
        ..Wish::dual(eth0, 10)
    };
    for (what, routes) in [
        ("a gateway that is not on the link", vec![("0.0.0.0/0", Some("10.0.0.1"))]),
        ("a gateway that is its own address", vec![("0.0.0.0/0", Some("192.168.1.10"))]),
        ("an IPv6 gateway that is its own address", vec![("::/0", Some("2001:db8:1::10"))]),
        ("an IPv6 gateway that is not on the link", vec![("::/0", Some("2001:db8:2::1"))]),
        ("one destination twice", vec![("0.0.0.0/0", Some("192.168.1.1")), ("0.0.0.0/0", Some("192.168.1.2"))]),
        ("a later one after a refused one is carried out, and undone", vec![("10.0.0.0/8", Some("1.1.1.1")), ("::/0", None)]),
        ("without gateways", vec![("0.0.0.0/0", None), ("::/0", None), ("10.2.0.0/16", None)]),
    ] {
        let wish = with(routes);
        twins.play(what, attach(&wish, 0));
        twins.play("detach", detach(&wish, 0));
    }
    let route = |index, destination: &str, via: Option<&str>| {
        let via = via.map(|v| v.parse().unwrap());
        Step::AddRoute { index, name: name("eth0"), destination: net(destination), via }
    };
    for (destination, via) in [("0.0.0.0/0", Some("192.168.1.1")), ("0.0.0.0/0", None), ("::/0", Some("2001:db8:1::1")), ("::/0", None)] {
        let down = Wish { routes: Vec::new(), ..Wish::dual(eth0, 20) };
        let (mut steps, undo) = (down.steps(), down.undo());
        steps.retain(|s| !matches!(s, Step::SetUpInside { .. }));
        steps.push(route(down.index, destination, via));
        let what = format!("{destination} via {via:?} through a link that is down");
        twins.play(&what, Box::new(move |n| making(Some(&n[1]), steps.clone(), undo.clone())));
    }
    twins.play("through a link that is not there", inside(route(IfIndex(0x2000_0999), "0.0.0.0/0", None), 1));
    let nowhere = Step::AddAddress { index: IfIndex(0x2000_0999), name: name("eth0"), address: net("10.0.0.1/8") };
    twins.play("an address on a link that is not there", inside(nowhere, 1));
    Ok(())
}

#[test]
fn links_of_the_host() -> Result {
    let twins = Twins::new()?;
    let eth0 = twins.bed.eth0;
    const D: u32 = 0x2000_0001;
    const V: u32 = 0x2000_0002;
    twins.play("a dummy", on_host(vec![dummy("bh-d", D, None), up("bh-d", D)], vec![del("bh-d", D)]));
    twins.play("its name is taken", on_host(vec![dummy("bh-d", D + 9, None)], vec![del("bh-d", D + 9)]));
    twins.play("its index is taken", on_host(vec![dummy("bh-e", D, None)], vec![del("bh-e", D)]));
    twins.play("a VLAN", on_host(vec![vlan("eth0.30", V, eth0, 30), up("eth0.30", V)], vec![del("eth0.30", V)]));
    twins.play("its id is taken", on_host(vec![vlan("other", V + 9, eth0, 30)], vec![del("other", V + 9)]));
    twins.play("its name is taken", on_host(vec![vlan("eth0.30", V + 9, eth0, 31)], vec![del("eth0.30", V + 9)]));
    twins.play("a VLAN of nothing", on_host(vec![vlan("none", V + 9, IfIndex(4711), 31)], Vec::new()));
    twins.play("a VLAN of the loopback", on_host(vec![vlan("none", V + 9, IfIndex(1), 31)], Vec::new()));
    twins.play(
        "a VLAN of a dummy that is down",
        on_host(
            vec![dummy("bh-f", D + 1, None), vlan("bh-f.5", V + 1, IfIndex(D + 1), 5), up("bh-f.5", V + 1)],
            vec![del("bh-f.5", V + 1), del("bh-f", D + 1)],
        ),
    );
    twins.play("an MTU over the base's", on_host(vec![mtu(IfIndex(V), 1501)], Vec::new()));
    twins.play("an MTU of nothing", on_host(vec![mtu(IfIndex(4711), 1400)], Vec::new()));
    let on_vlan = Wish { addresses: vec![net("192.168.30.10/24")], routes: Vec::new(), ..Wish::v4(IfIndex(V), 10) };
    twins.play("an endpoint on the VLAN", attach(&on_vlan, 0));
    twins.play("an endpoint on the dummy", attach(&Wish { routes: Vec::new(), ..Wish::v4(IfIndex(D), 11) }, 1));
    twins.play("the base's MTU down: the VLAN follows", on_host(vec![mtu(eth0, 1400)], Vec::new()));
    twins.play("and up: it does not", on_host(vec![mtu(eth0, 1500)], Vec::new()));
    twins.play("shields", on_host(vec![shield(eth0, true, true), shield(IfIndex(D), false, true)], Vec::new()));
    twins.play("one half is there", on_host(vec![shield(IfIndex(D), true, true)], Vec::new()));
    twins.play("a shield of nothing", on_host(vec![shield(IfIndex(4711), true, true)], Vec::new()));
    let unshield = |index| Step::Unshield { index, name: name("eth0") };
    twins.play("shields down", gone(vec![unshield(eth0), unshield(IfIndex(D)), unshield(IfIndex(4711))]));
    twins.play("the VLAN goes, its endpoint too", gone(vec![del("eth0.30", V)]));
    twins.play("not there is fine", gone(vec![del("eth0.30", V)]));
    twins.play("what is not ours", gone(vec![Step::DelLink { index: eth0, name: name("eth0") }]));
    twins.play("the dummy goes, its endpoint too", gone(vec![del("bh-d", D)]));
    Ok(())
}

#[test]
fn parents_that_cannot_be() -> Result {
    let twins = Twins::new()?;
    twins.bed.lab.host.ip(
        "link add d0 type dummy\nlink add m0 link d0 type macvlan\nlink add d1 type dummy\nlink add b0 type bridge\nlink set d1 master b0",
    )?;
    twins.take_over_host();
    let host = twins.bed.dumped();
    for (what, parent) in [("d0", "carries a macvlan"), ("d1", "is a bridge port"), ("lo", "is the loopback")] {
        let index = host.named(what).ok_or("not there")?.index;
        twins.play(&format!("{what} {parent}"), attach(&Wish::v4(index, 10), 0));
    }
    twins.play("not there", attach(&Wish::v4(IfIndex(4711), 10), 0));
    let eth0 = twins.bed.eth0;
    twins.play("an index that the host uses", attach(&Wish { index: eth0, ..Wish::v4(eth0, 10) }, 0));
    Ok(())
}
