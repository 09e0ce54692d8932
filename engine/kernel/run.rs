//! The order of things in a plan, for the real kernel and the simulated one: steps, the step that was refused, the way back.
//!
//! Steps of the host go one at a time. Steps inside the namespace that follow each other go together, as one batch; a batch
//! is no transaction, so later ones may have been carried out when an earlier one was refused. Undo therefore runs all undo
//! steps, each of which is content when there is nothing to undo.

use crate::error::KernelError;
use bulkhead_core::host::IfIndex;
use bulkhead_core::plan::{Plan, Settled, Step};
use std::collections::BTreeSet;

/// What carries out steps.
pub(crate) trait Ground {
    /// From here on, what comes is undo.
    fn undoing(&mut self) {}

    /// One step of the host.
    fn on_host(&mut self, step: &Step) -> Result<(), KernelError>;

    /// Steps inside the namespace: first `files` (what /proc/sys is told), then `messages`, as one batch. Where it fails,
    /// at which step of the two. [`KernelError::NamespaceGone`] where there is no such namespace any more.
    fn inside(&mut self, files: &[Step], messages: &[Step]) -> Result<(), (usize, KernelError)>;
}

/// Carries out a plan; a making that fails is undone.
pub(crate) fn carry_out(ground: &mut impl Ground, plan: &Plan) -> Settled {
    let removal = plan.purpose.is_removal();
    let mut never_made = BTreeSet::new();
    match all(ground, &plan.steps, removal, &mut never_made) {
        Ok(()) => Settled::Done,
        Err((step, error)) => {
            let left = if removal { None } else { back(ground, plan, &never_made) };
            Settled::Failed { step, why: error.why(), left }
        }
    }
}

/// Undoes what a crash left of a plan, whatever part of it that is.
pub(crate) fn undo(ground: &mut impl Ground, plan: &Plan) -> Settled {
    match back(ground, plan, &BTreeSet::new()) {
        None => Settled::Done,
        Some(left) => Settled::Failed { step: plan.steps.len(), why: format!("undoing what was begun: {left}"), left: Some(left) },
    }
}

/// All undo steps; what could not be undone, if so. One that fails does not keep the others from being undone. Links that
/// the kernel refused to make are left alone: what has their index is somebody else's.
fn back(ground: &mut impl Ground, plan: &Plan, never_made: &BTreeSet<IfIndex>) -> Option<String> {
    ground.undoing();
    let mut left = Vec::new();
    for step in &plan.undo {
        let foreign = matches!(step, Step::DelLink { index, .. } | Step::DelIpvlan { index, .. } if never_made.contains(index));
        if foreign {
            continue;
        }
        if let Err((_, error)) = all(ground, std::slice::from_ref(step), true, &mut BTreeSet::new()) {
            left.push(error.why());
        }
    }
    (!left.is_empty()).then(|| left.join("; "))
}

/// All steps in order; where one fails, which and why. `absent_is_fine`: a namespace that is gone took its links along.
fn all(
    ground: &mut impl Ground,
    steps: &[Step],
    absent_is_fine: bool,
    never_made: &mut BTreeSet<IfIndex>,
) -> Result<(), (usize, KernelError)> {
    let mut at = 0;
    while let Some(step) = steps.get(at) {
        if !step.is_inside() {
            let done = ground.on_host(step);
            if let (Err(KernelError::Refused { .. }), Some(index)) = (&done, makes(step)) {
                never_made.insert(index);
            }
            done.map_err(|e| (at, e))?;
            at += 1;
            continue;
        }
        let is_file = |s: &Step| matches!(s, Step::RefuseRa { .. });
        let run = &steps[at..];
        let files = run.iter().take_while(|s| is_file(s)).count();
        let messages = run[files..].iter().take_while(|s| s.is_inside() && !is_file(s)).count();
        match ground.inside(&run[..files], &run[files..files + messages]) {
            Err((_, KernelError::NamespaceGone(_))) if absent_is_fine => {}
            done => done.map_err(|(i, e)| (at + i, e))?,
        }
        at += files + messages;
    }
    Ok(())
}

/// Index of the link that a step makes.
fn makes(step: &Step) -> Option<IfIndex> {
    match step {
        Step::AddDummy { index, .. } | Step::AddVlan { index, .. } | Step::AddIpvlan { index, .. } => Some(*index),
        _ => None,
    }
}
