//! The writer: take all that waits, decide each on a fork of the state, commit once, publish, start the plans.
//!
//! Invariants: what readers see of decisions is committed; a denial carries no plan; a failed commit leaves no trace.
//! A settlement is published when the kernel has confirmed it and committed with the next batch, or soon after: after a
//! crash in between, recovery finds the same by looking at the kernel. That way an attach waits for one commit, not two.

use crate::answer::{Answer, Failure};
use crate::clock;
use crate::input::{Asker, Input, Running, Waiting, reply};
use crate::lanes::Lanes;
use crate::shared::Shared;
use bulkhead_core::decide::{self, Basis, Decided, Object, Outcome};
use bulkhead_core::event::Event;
use bulkhead_core::ids::{ParentId, PlanId, Timestamp};
use bulkhead_core::kernel::Notice;
use bulkhead_core::plan::Plan;
use bulkhead_core::policy::Verdict;
use bulkhead_core::record::{Batch, Decision, Edit, Recorded, Store};
use bulkhead_core::state::State;
use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::time::{Duration, Instant};

/// Inputs of one turn: bounds what one commit holds and how long its callers wait.
const BATCH_MAX: usize = 256;
/// Held-back addresses that are freed in one turn.
const RELEASES_MAX: usize = 256;
/// How long a busy writer may put off the comparison of the host with the record.
const LOOK_WITHIN: Duration = Duration::from_millis(250);
/// How long the host is left to settle down after a change before it is compared with the record: changes come in swarms.
const SETTLE_DOWN: Duration = Duration::from_millis(5);
/// How long an empty queue must last before the store may do what nobody should wait for.
const IDLE_AFTER: Duration = Duration::from_millis(500);
/// How long a stop waits for what is under way.
const STOP_WITHIN: Duration = Duration::from_secs(10);

/// The one thread that owns the state.
pub(crate) struct Writer {
    pub(crate) shared: Arc<Shared>,
    pub(crate) state: State,
    pub(crate) store: Box<dyn Store>,
    pub(crate) lanes: Lanes,
    pub(crate) running: HashMap<PlanId, Running>,
    pub(crate) parked: HashMap<PlanId, Vec<Waiting>>,
    /// Removals to be tried again.
    pub(crate) retry: Vec<(Instant, PlanId)>,
    /// Settled and published, not yet committed.
    pub(crate) unsaved: Batch,
    /// For how many turns.
    pub(crate) unsaved_turns: usize,
    /// The last try to commit it failed.
    pub(crate) save_failed: bool,
    pub(crate) host_changed: bool,
    /// When the first change was noticed that it has not been compared with the record since.
    host_changed_at: Option<Instant>,
    /// Parents whose healing failed, when it is tried again, and how often it has failed: making and undoing would chase each other.
    pub(crate) heal_later: HashMap<ParentId, (Option<Instant>, u32)>,
}

impl Writer {
    pub(crate) fn new(shared: Arc<Shared>, store: Box<dyn Store>, lanes: Lanes, state: State) -> Self {
        Self {
            shared,
            state,
            store,
            lanes,
            running: HashMap::new(),
            parked: HashMap::new(),
            retry: Vec::new(),
            unsaved: Batch::default(),
            unsaved_turns: 0,
            save_failed: false,
            // What happened between recovery and the first notice is looked at, too.
            host_changed: true,
            host_changed_at: None,
            heal_later: HashMap::new(),
        }
    }

    /// Until a stop: wait, take all that waits, one turn.
    pub(crate) fn run(mut self, inputs: &Receiver<Input>) {
        let mut stop_by: Option<Instant> = None;
        loop {
            let patience = self.patience();
            let first = match inputs.recv_timeout(patience) {
                Ok(input) => Some(input),
                Err(RecvTimeoutError::Timeout) => None,
                Err(RecvTimeoutError::Disconnected) => break,
            };
            let waiting: Vec<Input> = first.into_iter().chain(inputs.try_iter().take(BATCH_MAX - 1)).collect();
            if waiting.iter().any(|i| matches!(i, Input::Stop)) {
                stop_by.get_or_insert_with(|| Instant::now() + STOP_WITHIN);
            }
            let idle = waiting.is_empty() && self.running.is_empty() && patience >= IDLE_AFTER;
            self.turn(waiting);
            self.try_again();
            if idle {
                self.store.idle();
            }
            if stop_by.is_some_and(|by| self.running.is_empty() || Instant::now() >= by) {
                break;
            }
        }
        if let Err(e) = self.save() {
            tracing::error!(error = %e, "the last settlements are not on record; the next start finds them by looking at the kernel");
        }
    }

    /// How long to wait for an input.
    fn patience(&self) -> Duration {
        let until = |at: &Instant| at.saturating_duration_since(Instant::now());
        let retry = self.retry.iter().map(|(at, _)| until(at)).min();
        let later = self.heal_later.values().filter_map(|(at, _)| at.as_ref()).map(|at| until(at).max(SETTLE_DOWN)).min();
        let heal = self.host_changed.then_some(SETTLE_DOWN).into_iter().chain(later).min();
        retry.into_iter().chain(heal).chain(self.save_after()).min().unwrap_or(IDLE_AFTER)
    }

    /// One turn.
    fn turn(&mut self, inputs: Vec<Input>) {
        let now = clock::now();
        let mut requests = Vec::new();
        let mut flushes = Vec::new();
        let quiet = inputs.is_empty();
        for input in inputs {
            match input {
                Input::Request(waiting) => requests.push(*waiting),
                Input::Settled(settlement) => requests.extend(self.settle(settlement, now)),
                Input::Noticed(notice) => {
                    if notice == Notice::Resynced {
                        tracing::warn!("notifications of the kernel were lost; the host was read anew");
                    }
                    self.host_changed = true;
                    self.host_changed_at.get_or_insert_with(Instant::now);
                }
                Input::Observed { observed, then } => {
                    self.heal_endpoints(&observed, &then, now, false);
                    // Makes good a notice that found the queue full.
                    self.host_changed = true;
                }
                Input::Flush(done) => flushes.push(done),
                Input::Stop => {}
            }
        }
        let overdue = self.host_changed_at.is_some_and(|at| at.elapsed() >= LOOK_WITHIN);
        let mut due = false;
        for (at, _) in self.heal_later.values_mut().filter(|(at, _)| at.is_some_and(|at| at <= Instant::now())) {
            (*at, due) = (None, true);
        }
        if (self.host_changed && (quiet || overdue)) || due {
            self.host_changed = false;
            self.host_changed_at = None;
            self.heal_parents(now);
        }
        if !requests.is_empty() {
            self.decide(requests, now);
        }
        if !self.may_wait(quiet || !flushes.is_empty())
            && let Err(e) = self.save()
        {
            tracing::error!(error = %e, "settlements could not be put on record; they go with the next commit");
        }
        for done in flushes {
            let _ = done.send(());
        }
    }

    /// Decides each request on a fork, commits all at once, publishes, answers, and hands the plans to the kernel.
    fn decide(&mut self, requests: Vec<Waiting>, now: Timestamp) {
        let shared = Arc::clone(&self.shared);
        let (host, judge) = (shared.kernel.host(), shared.watchful());
        let mut next = self.state.clone();
        next.release_held(now, RELEASES_MAX);
        let mut batch = std::mem::take(&mut self.unsaved);
        let settled_before = batch.mark();
        let mut judged = Vec::new();
        let mut parked = Vec::new();
        for mut waiting in requests {
            let basis = Basis { state: &next, host: &host, judge: &judge, settings: &shared.settings };
            // The state that a request is judged on is the newest there is, so is its time.
            waiting.asked.now = waiting.asked.now.max(now);
            let begun = Instant::now();
            match decide::decide(basis, &waiting.asked) {
                Err(refusal) => reply(waiting.answer, Err(refusal.into())),
                Ok(Decided::Wait(plan)) => parked.push((plan, waiting)),
                Ok(Decided::Already(object)) => {
                    // What it repeats may have been decided in this very turn: it is answered with the state that is committed.
                    judged.push((waiting, None, Some(object)));
                }
                Ok(Decided::Outcome(mut outcome)) => {
                    outcome.decision.took_us = Some(clock::took_us(begun));
                    shared.breaks.note(&outcome.decision);
                    enter(&mut next, &mut batch, &outcome, &mut waiting);
                    judged.push((waiting, Some(outcome), None));
                }
            }
        }
        if judged.is_empty() {
            self.unsaved = batch;
            self.park(parked);
            return;
        }
        batch.boot = Some(next.boot);
        let committed = if batch.is_empty() { Ok(Vec::new()) } else { self.store.commit(&batch) };
        let recorded = match committed {
            Ok(recorded) => recorded,
            Err(e) => {
                tracing::error!(error = %e, cause = ?std::error::Error::source(&e), "commit failed; nothing was changed");
                batch.back_to(settled_before);
                self.unsaved = batch;
                // What they wait for may be a plan of this very turn, which there is not now.
                let waiting = judged.into_iter().map(|(w, ..)| w).chain(parked.into_iter().map(|(_, w)| w));
                for waiting in waiting {
                    reply(waiting.answer, Err(Failure::Unavailable(format!("the record could not be written: {e}"))));
                }
                return;
            }
        };
        self.park(parked);
        self.state = next;
        let state = Arc::new(self.state.clone());
        self.shared.publish(Arc::clone(&state));
        self.saved();
        let mut recorded: HashMap<PlanId, Recorded<Arc<Plan>>> = recorded.into_iter().map(|p| (p.get().id, p)).collect();
        for (waiting, outcome, already) in judged {
            let Some(outcome) = outcome else {
                let object = already.unwrap_or(Object::Gone);
                reply(waiting.answer, Ok(Answer { object, decision: None, warnings: Vec::new(), state: Arc::clone(&state) }));
                continue;
            };
            let Outcome { decision, effect } = *outcome;
            let warnings = if let Verdict::Allowed { warnings, .. } = decision.verdict { warnings } else { Vec::new() };
            match effect {
                Err(denial) => {
                    reply(waiting.answer, Err(Failure::Denied { decision: decision.id, violations: denial.violations }));
                }
                Ok(effect) => match effect.plan.and_then(|p| recorded.remove(&p.id)) {
                    None => {
                        let answer = Answer { object: effect.object, decision: Some(decision.id), warnings, state: Arc::clone(&state) };
                        reply(waiting.answer, Ok(answer));
                    }
                    Some(plan) => {
                        let asker = Asker { answer: waiting.answer, object: effect.object, decision: decision.id, warnings };
                        self.start(plan, waiting.netns, Some(asker));
                    }
                },
            }
        }
        // Healings that came along in this commit.
        for plan in recorded.into_values() {
            self.start(plan, None, None);
        }
        self.tell(batch.events);
    }

    /// Until the plan that each waits for has settled.
    fn park(&mut self, parked: Vec<(PlanId, Waiting)>) {
        for (plan, waiting) in parked {
            self.parked.entry(plan).or_default().push(waiting);
        }
    }
}

/// A denial changes nothing but the log; the event says that there is something new in it.
fn tell_denial(next: &mut State, batch: &mut Batch, decision: &Decision) {
    let Verdict::Denied { violations } = &decision.verdict else { return };
    next.last_event += 1;
    let by: BTreeSet<&str> = violations.iter().map(|v| v.policy.as_str()).collect();
    let by = if by.is_empty() { "the engine".to_owned() } else { by.into_iter().collect::<Vec<_>>().join(", ") };
    let text =
        format!("{} of {} for {}: denied by {by} (decision {})", decision.operation, decision.subject, decision.caller.name, decision.id);
    let (at, subject) = (decision.at, decision.subject.clone());
    batch.events.push(Event { seq: next.last_event, at, kind: "decision.denied".to_owned(), subject, text });
}

/// Enters an outcome into the fork and the batch.
fn enter(next: &mut State, batch: &mut Batch, outcome: &Outcome, waiting: &mut Waiting) {
    next.last_decision += 1;
    batch.decisions.push(Arc::new(outcome.decision.clone()));
    let Ok(effect) = &outcome.effect else {
        // Who watches hears of what was tried, too.
        tell_denial(next, batch, &outcome.decision);
        return;
    };
    for edit in &effect.edits {
        next.apply(edit);
    }
    batch.edits.extend(effect.edits.iter().cloned());
    batch.plans.extend(effect.plan.clone());
    if effect.edits.iter().any(|e| matches!(e, Edit::PutModule(_))) {
        batch.module_bytes.extend(waiting.bytes.take());
    }
    if let Some((kind, text)) = &effect.event {
        next.last_event += 1;
        let subject = outcome.decision.subject.clone();
        batch.events.push(Event { seq: next.last_event, at: outcome.decision.at, kind: (*kind).to_owned(), subject, text: text.clone() });
    }
}
