//! The simulated kernel's own promises: whatever happens to a making, its undo leaves the kernel as it was found.

use bulkhead_core::endpoint::Netns;
use bulkhead_core::host::{Flag, IfIndex, LinkKind, Mac, Mode, VlanId};
use bulkhead_core::ids::{BootId, EndpointId, NetworkId, ParentId, PlanId};
use bulkhead_core::kernel::{Kernel, Notice};
use bulkhead_core::names::LinkName;
use bulkhead_core::observed::NetnsSeen;
use bulkhead_core::parent::ShieldHalves;
use bulkhead_core::plan::{Plan, Purpose, Settled, Step};
use bulkhead_kernel::sim::{Failure, SimKernel};
use ipnet::IpNet;
use proptest::prelude::*;
use proptest::sample::Index;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

fn name(text: &str) -> LinkName {
    LinkName::new(text).expect("a link name")
}

fn plan(purpose: Purpose, netns: Option<&Netns>, steps: Vec<Step>, undo: Vec<Step>) -> Plan {
    Plan { id: PlanId(1), purpose, lane: ParentId(1), netns: netns.cloned(), steps, undo }
}

fn attach(netns: &Netns, parent: IfIndex, host: u8) -> Plan {
    let (index, link) = (IfIndex(0x2000_0000 + u32::from(host)), name(&format!("eth{host}")));
    let address = |text: String| text.parse::<IpNet>().expect("an address");
    let add = |address| Step::AddAddress { index, name: link.clone(), address };
    let steps = vec![
        Step::AddIpvlan { name: link.clone(), index, parent, parent_name: name("up0"), mode: Mode::L2, flag: Flag::Bridge, mtu: None },
        Step::RefuseRa { name: link.clone() },
        add(address(format!("10.0.0.{host}/24"))),
        add(address(format!("2001:db8::{host:x}/64"))),
        Step::Announce { index, name: link.clone(), alias: "a".into() },
        Step::SetUpInside { index, name: link.clone() },
        Step::AddRoute { index, name: link.clone(), destination: address(format!("10.{host}.0.0/16")), via: Some([10, 0, 0, 1].into()) },
    ];
    plan(Purpose::Attach(EndpointId(1)), Some(netns), steps, vec![Step::DelIpvlan { index, name: link, parent }])
}

/// A parent of either kind with its shield, as a new network needs it.
fn parent(base: IfIndex, vlan: bool) -> Plan {
    let (index, link) = (IfIndex(0x2100_0000), name("new0"));
    let halves = ShieldHalves { egress: vlan, ingress: true };
    let id = VlanId::new(30).expect("a VLAN id");
    let make = match vlan {
        true => Step::AddVlan { name: link.clone(), index, base, base_name: "up0".into(), vlan: id, alias: "v".into() },
        false => Step::AddDummy { name: link.clone(), index, mac: Mac([2; 6]), mtu: Some(1400), alias: "d".into() },
    };
    let steps = vec![make, Step::SetUp { index, name: link.clone() }, Step::Shield { index, name: link.clone(), halves }];
    let undo = vec![Step::Unshield { index, name: link.clone() }, Step::DelLink { index, name: link }];
    plan(Purpose::CreateNetwork(NetworkId(1)), None, steps, undo)
}

/// A host with one NIC, a namespace, and `others` already attached in it.
fn kernel(others: &[u8]) -> (Arc<SimKernel>, IfIndex, Netns) {
    let kernel = SimKernel::new(BootId(1));
    let up0 = kernel.add_physical("up0");
    let netns = kernel.add_netns("/run/netns/a");
    for host in others {
        kernel.carry_out(&attach(&netns, up0, *host));
    }
    (kernel, up0, netns)
}

fn making() -> impl Strategy<Value = (Arc<SimKernel>, Plan)> {
    (proptest::collection::vec(2u8..20, 0..4), 2u8..20, 0..3usize).prop_map(|(others, host, which)| {
        let (kernel, up0, netns) = kernel(&others);
        let plan = match which {
            0 => attach(&netns, up0, host),
            1 => parent(up0, true),
            _ => parent(up0, false),
        };
        (kernel, plan)
    })
}

/// Whether the plan can be carried out at all: an address may be taken.
fn works(kernel: &SimKernel, plan: &Plan) -> bool {
    let settled = kernel.carry_out(plan);
    if settled == Settled::Done {
        kernel.take_back(plan);
    }
    settled == Settled::Done
}

proptest! {
    #[test]
    fn cut_anywhere_then_undo_is_nothing((kernel, plan) in making(), cut in any::<Index>()) {
        prop_assume!(works(&kernel, &plan));
        let before = kernel.snapshot();
        kernel.cut(&plan, cut.index(plan.steps.len() + 1));
        prop_assert_eq!(kernel.take_back(&plan), Settled::Done);
        prop_assert_eq!(kernel.snapshot(), before);
    }

    #[test]
    fn refused_anywhere_nothing_is_left((kernel, plan) in making(), at in any::<Index>()) {
        let fits = works(&kernel, &plan);
        let before = kernel.snapshot();
        let at = at.index(plan.steps.len());
        kernel.fail(Failure::Step(at));
        match kernel.carry_out(&plan) {
            Settled::Failed { step, left: None, why } => prop_assert!(step == at || !fits && step < at, "{} {}", step, why),
            settled => prop_assert!(false, "{:?}", settled),
        }
        prop_assert_eq!(kernel.snapshot(), before);
        prop_assert!(kernel.forgive() <= usize::from(!fits));
    }

    #[test]
    fn ended_anywhere_the_undo_of_the_next_process_leaves_nothing((kernel, plan) in making(), at in any::<Index>()) {
        prop_assume!(works(&kernel, &plan));
        let before = kernel.snapshot();
        kernel.fail(Failure::Crash(at.index(plan.steps.len())));
        kernel.carry_out(&plan);
        prop_assert_eq!(kernel.take_back(&plan), Settled::Done);
        prop_assert_eq!(kernel.snapshot(), before);
    }

    #[test]
    fn a_namespace_that_vanishes_takes_everything_along(host in 2u8..20, at in any::<Index>()) {
        let (kernel, up0, netns) = kernel(&[]);
        let plan = attach(&netns, up0, host);
        let host = kernel.snapshot().host;
        kernel.fail(Failure::NamespaceGone(at.index(plan.steps.len())));
        match kernel.carry_out(&plan) {
            Settled::Failed { left: None, why, .. } => prop_assert_eq!(why, "network namespace /run/netns/a is gone"),
            settled => prop_assert!(false, "{:?}", settled),
        }
        let seen = kernel.observe(std::slice::from_ref(&netns));
        prop_assert_eq!(seen.host, host);
        prop_assert_eq!(seen.namespaces.get(&netns.id), Some(&NetnsSeen::Gone));
    }
}

#[test]
fn what_cannot_be_undone_is_told() {
    let (kernel, up0, netns) = kernel(&[]);
    kernel.fail(Failure::Step(5));
    kernel.fail(Failure::Undo(0));
    let settled = kernel.carry_out(&attach(&netns, up0, 2));
    assert!(
        matches!(&settled, Settled::Failed { step: 5, left: Some(left), .. } if left.contains("ip -n /run/netns/a link del eth2")),
        "{settled:?}"
    );
    assert_eq!(kernel.forgive(), 0);
}

#[test]
fn parents_take_their_links_along_and_a_reboot_takes_what_was_made() {
    let (kernel, up0, netns) = kernel(&[2]);
    kernel.carry_out(&parent(up0, true));
    kernel.carry_out(&attach(&netns, IfIndex(0x2100_0000), 3));
    kernel.change(|world| world.remove_link(IfIndex(0x2100_0000)));
    let links = |kernel: &SimKernel| kernel.snapshot().namespaces.values().map(|n| n.links.len()).sum::<usize>();
    assert_eq!(links(&kernel), 1);
    kernel.carry_out(&parent(up0, false));
    kernel.reboot(BootId(2));
    assert!(kernel.host().links.values().all(|l| matches!(l.kind, LinkKind::Physical | LinkKind::Loopback)));
    assert_eq!(kernel.observe(std::slice::from_ref(&netns)).namespaces.get(&netns.id), Some(&NetnsSeen::Gone));
}

#[test]
fn changes_of_the_host_are_told_and_others_are_not() {
    let (kernel, up0, netns) = kernel(&[]);
    let told = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&told);
    kernel.on_notice(Box::new(move |notice| {
        assert_eq!(notice, Notice::HostChanged);
        counted.fetch_add(1, Ordering::Relaxed);
    }));
    kernel.carry_out(&attach(&netns, up0, 2));
    assert_eq!(told.load(Ordering::Relaxed), 0);
    kernel.carry_out(&parent(up0, false));
    assert_eq!(told.load(Ordering::Relaxed), 1);
}
