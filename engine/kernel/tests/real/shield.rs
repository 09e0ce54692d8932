//! The shield as tc shows it. That it stops the frames it should stop is the black-box tests' matter.

use crate::bed::{Bed, Result, failure, making, name, removal, soon};
use bulkhead_core::host::ShieldSeen;
use bulkhead_core::kernel::Kernel;
use bulkhead_core::parent::ShieldHalves;
use bulkhead_core::plan::{SHIELD_EGRESS, SHIELD_INGRESS, Settled, Step};
use std::sync::Arc;

const BOTH: ShieldHalves = ShieldHalves { egress: true, ingress: true };

fn up(bed: &Bed, halves: ShieldHalves) -> Settled {
    let step = Step::Shield { index: bed.eth0, name: name("eth0"), halves };
    bed.apply(&making(None, vec![step], vec![down(bed)]), None)
}

fn down(bed: &Bed) -> Step {
    Step::Unshield { index: bed.eth0, name: name("eth0") }
}

fn seen(bed: &Bed) -> ShieldSeen {
    bed.kernel.host().link(bed.eth0).map(|l| l.shield.clone()).unwrap_or_default()
}

fn with(egress: bool, ingress: bool) -> ShieldSeen {
    ShieldSeen { egress, ingress, bypassed_by: None }
}

fn qdiscs(bed: &Bed) -> Result<String> {
    Ok(bed.lab.host.run(&["tc", "qdisc", "show", "dev", "eth0"])?)
}

#[test]
fn it_goes_up_as_the_plan_prints_it_and_down_without_a_trace() -> Result {
    let bed = Bed::new()?;
    let before = (qdiscs(&bed)?, bed.lab.host.filters("eth0")?);
    assert_eq!(up(&bed, BOTH), Settled::Done);
    assert_eq!(seen(&bed), with(true, true), "at once, without waiting");
    let egress = bed.lab.host.run(&["tc", "filter", "show", "dev", "eth0", "egress"])?;
    let ingress = bed.lab.host.run(&["tc", "filter", "show", "dev", "eth0", "ingress"])?;
    for (text, code) in [(&egress, SHIELD_EGRESS), (&ingress, SHIELD_INGRESS)] {
        assert!(text.contains("protocol all pref 1 bpf chain 0") && text.contains(code) && text.contains("action drop"), "{text}");
    }
    // A second time changes nothing.
    let filters = bed.lab.host.filters("eth0")?;
    assert_eq!(up(&bed, BOTH), Settled::Done);
    assert_eq!(bed.lab.host.filters("eth0")?, filters);
    assert_eq!(bed.apply(&removal(None, vec![down(&bed)]), None), Settled::Done);
    assert_eq!(seen(&bed), with(false, false));
    assert_eq!((qdiscs(&bed)?, bed.lab.host.filters("eth0")?), before);
    assert_eq!(bed.apply(&removal(None, vec![down(&bed)]), None), Settled::Done, "not there is fine");
    Ok(())
}

#[test]
fn only_what_is_missing_is_put_up() -> Result {
    let bed = Bed::new()?;
    assert_eq!(up(&bed, ShieldHalves { egress: false, ingress: true }), Settled::Done);
    assert_eq!(seen(&bed), with(false, true));
    let ingress = bed.lab.host.run(&["tc", "filter", "show", "dev", "eth0", "ingress"])?;
    assert_eq!(up(&bed, BOTH), Settled::Done);
    assert_eq!(seen(&bed), with(true, true));
    assert_eq!(bed.lab.host.run(&["tc", "filter", "show", "dev", "eth0", "ingress"])?, ingress);
    // Taken away behind our back: seen, and put back.
    bed.lab.host.run(&["tc", "filter", "del", "dev", "eth0", "egress"])?;
    soon("the missing half is noticed", || seen(&bed) == with(false, true));
    assert_eq!(up(&bed, BOTH), Settled::Done);
    bed.lab.host.run(&["tc", "qdisc", "del", "dev", "eth0", "clsact"])?;
    soon("the missing shield is noticed", || seen(&bed) == with(false, false));
    Ok(())
}

/// Put up by hand, as the plan prints it: it counts, and stays with the clsact that it was put on.
#[test]
fn one_put_up_by_hand_counts() -> Result {
    let bed = Bed::new()?;
    bed.lab.host.tc(&format!(
        "qdisc add dev eth0 clsact
         filter add dev eth0 egress pref 1 protocol all bpf bytecode '{SHIELD_EGRESS}' action drop
         filter add dev eth0 ingress pref 1 protocol all bpf bytecode '{SHIELD_INGRESS}' action drop"
    ))?;
    soon("it is recognised", || seen(&bed) == with(true, true));
    assert_eq!(*bed.kernel.host(), bed.dumped());
    assert_eq!(bed.apply(&removal(None, vec![down(&bed)]), None), Settled::Done);
    assert!(qdiscs(&bed)?.contains("clsact"), "that one was there before");
    Ok(())
}

#[test]
fn other_peoples_filters_stay_and_what_bypasses_is_told() -> Result {
    let bed = Bed::new()?;
    bed.lab.host.tc("qdisc add dev eth0 clsact
         filter add dev eth0 egress pref 1 protocol all matchall action pass
         filter add dev eth0 ingress pref 7 protocol ip matchall action pass")?;
    let before = (qdiscs(&bed)?, bed.lab.host.filters("eth0")?);
    assert_eq!(up(&bed, BOTH), Settled::Done);
    assert_eq!(seen(&bed), ShieldSeen { egress: true, ingress: true, bypassed_by: Some("egress filter matchall at pref 1".into()) });
    // Without the one before it, ours is the first.
    assert_eq!(bed.apply(&removal(None, vec![down(&bed)]), None), Settled::Done);
    assert_eq!((qdiscs(&bed)?, bed.lab.host.filters("eth0")?), before);
    bed.lab.host.tc("filter del dev eth0 egress pref 1\nfilter add dev eth0 egress pref 3 protocol all matchall action pass")?;
    assert_eq!(up(&bed, BOTH), Settled::Done);
    assert_eq!(seen(&bed), with(true, true));
    Ok(())
}

/// The clsact that we made goes only with the last filter in it, after a restart as well.
#[test]
fn a_clsact_that_others_use_by_now_stays() -> Result {
    let bed = Bed::new()?;
    assert_eq!(up(&bed, BOTH), Settled::Done);
    bed.lab.host.tc("filter add dev eth0 ingress pref 9 protocol all matchall action continue")?;
    assert_eq!(bed.apply(&removal(None, vec![down(&bed)]), None), Settled::Done);
    assert!(qdiscs(&bed)?.contains("clsact"));
    assert!(bed.lab.host.filters("eth0")?.contains("matchall"));
    bed.lab.host.tc("qdisc del dev eth0 clsact")?;
    assert_eq!(up(&bed, BOTH), Settled::Done);
    let restarted = bed.lab.host.enter(bulkhead_kernel::LinuxKernel::start)?.map_err(|e| e.why())?;
    let again = Bed { kernel: Arc::clone(&restarted), ..bed };
    assert_eq!(seen(&again), with(true, true));
    assert_eq!(again.apply(&removal(None, vec![down(&again)]), None), Settled::Done);
    assert!(!qdiscs(&again)?.contains("clsact"));
    Ok(())
}

#[test]
fn a_link_that_is_not_there_is_an_error_for_up_and_none_for_down() -> Result {
    let bed = Bed::new()?;
    let gone = Bed { eth0: bulkhead_core::host::IfIndex(0x3fff_fff0), ..bed };
    let (_, why) = failure(up(&gone, BOTH))?;
    assert!(why.contains("tc qdisc add dev eth0 clsact") && why.contains("No such device"), "{why}");
    Ok(())
}
