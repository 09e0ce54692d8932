//! Plans from their start to their end: what settles is published at once, and committed with the next batch or soon after.

use crate::answer::{Answer, Failure};
use crate::clock;
use crate::input::{Asker, Running, Waiting, reply};
use crate::turn::Writer;
use bulkhead_core::decide::settle::{Aftermath, settle};
use bulkhead_core::event::Event;
use bulkhead_core::evidence::{PlanEnd, SinceBoot};
use bulkhead_core::ids::Timestamp;
use bulkhead_core::plan::{Plan, Purpose, Settled, Settlement};
use bulkhead_core::record::{Edit, Recorded};
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// How long what the kernel did not do waits for the next try: at first, and doubled with each up to 64 times that.
const RETRY_AFTER: Duration = Duration::from_secs(1);
/// How long settlements wait for a commit that takes them along; a request that follows an answer comes within that time.
const SAVE_AFTER: Duration = Duration::from_millis(5);
/// Turns that they wait at most while other inputs keep the writer busy.
const UNSAVED_TURNS_MAX: usize = 64;

impl Writer {
    /// Hands a plan to the kernel.
    pub(crate) fn start(&mut self, plan: Recorded<Arc<Plan>>, netns: Option<Arc<OwnedFd>>, asker: Option<Asker>) {
        self.running.insert(plan.get().id, Running { plan: plan.clone(), asker, tries: 0 });
        self.lanes.submit(plan, netns);
    }

    /// A plan's end: the record follows, whoever waits hears, and what was parked behind it may be decided again.
    pub(crate) fn settle(&mut self, settlement: Settlement, now: Timestamp) -> Vec<Waiting> {
        // Each parent waits for itself: one that cannot be set right must not keep another's shield down. Endpoints have their own
        // waiting time on record.
        if let Some(Purpose::HealParent(id)) = self.state.plan(settlement.plan).map(|p| p.purpose) {
            if settlement.result == Settled::Done {
                self.heal_later.remove(&id);
            } else {
                let tries = self.heal_later.get(&id).map_or(0, |(_, tries)| *tries);
                self.heal_later.insert(id, (Some(Instant::now() + backed_off(tries)), tries.saturating_add(1)));
            }
        }
        let Aftermath { edits, events, text, retry, removal } = settle(&self.state, &settlement, now, self.free_at(now));
        let tried_before = self.running.get(&settlement.plan).is_some_and(|r| r.tries > 0);
        if retry && tried_before {
            // On record since its first failure; a removal that keeps failing must not fill the record.
            tracing::warn!(plan = %settlement.plan, "{text}");
        } else {
            self.change(edits, events, now);
            let since_boot = SinceBoot { boot: self.state.boot, us: clock::up_us() };
            let (plan, took_us, done) = (settlement.plan, settlement.took_us, settlement.result == Settled::Done);
            self.unsaved.settlements.push(PlanEnd { plan, at: now, since_boot, took_us, done, text });
        }
        removal.into_iter().for_each(|plan| self.plan_after_save(plan));
        let state = self.shared.state();
        let mut running = self.running.remove(&settlement.plan);
        if let Some(asker) = running.as_mut().and_then(|r| r.asker.take()) {
            let result = match settlement.result {
                Settled::Done => {
                    Ok(Answer { object: asker.object, decision: Some(asker.decision), warnings: asker.warnings, state: Arc::clone(&state) })
                }
                Settled::Failed { why, left, .. } => Err(Failure::Kernel { decision: asker.decision, why, left, goes_on: retry }),
            };
            reply(asker.answer, result);
        }
        if let (true, Some(mut running)) = (retry, running) {
            self.retry.push((Instant::now() + backed_off(running.tries), settlement.plan));
            running.tries = running.tries.saturating_add(1);
            self.running.insert(settlement.plan, running);
            // Who is parked behind a removal that is tried again would wait for ever: they hear what stands in the way.
            for waiting in self.parked.remove(&settlement.plan).unwrap_or_default() {
                reply(waiting.answer, Err(Failure::Unavailable("a removal that this depends on is still being tried".into())));
            }
            return Vec::new();
        }
        self.parked.remove(&settlement.plan).unwrap_or_default()
    }

    /// Changes that no request asked for, or that a request's plan led to: published now, committed with the next save.
    pub(crate) fn change(&mut self, edits: Vec<Edit>, events: Vec<(&'static str, String, String)>, now: Timestamp) {
        for edit in &edits {
            self.state.apply(edit);
        }
        self.unsaved.edits.extend(edits);
        for (kind, subject, text) in events {
            self.state.last_event += 1;
            self.unsaved.events.push(Event { seq: self.state.last_event, at: now, kind: kind.to_owned(), subject, text });
        }
        self.shared.publish(Arc::new(self.state.clone()));
    }

    /// Whether what is settled may wait for the next commit, which may come any moment: it is looked up in the kernel after a
    /// crash. Healings start when they are on record, so they do not wait.
    pub(crate) fn may_wait(&mut self, quiet: bool) -> bool {
        if self.unsaved.is_empty() {
            return true;
        }
        self.unsaved_turns += 1;
        let waits = self.unsaved.plans.is_empty() || self.save_failed;
        waits && !quiet && !self.unsaved_turns.is_multiple_of(UNSAVED_TURNS_MAX)
    }

    /// When an idle writer commits what is settled.
    pub(crate) fn save_after(&self) -> Option<Duration> {
        (!self.unsaved.is_empty()).then_some(if self.save_failed { RETRY_AFTER } else { SAVE_AFTER })
    }

    pub(crate) fn saved(&mut self) {
        (self.unsaved_turns, self.save_failed) = (0, false);
    }

    /// Commits what is settled and published, and starts plans that came with it (healings).
    pub(crate) fn save(&mut self) -> Result<(), bulkhead_core::record::StoreError> {
        if self.unsaved.is_empty() {
            return Ok(());
        }
        self.unsaved.boot = Some(self.state.boot);
        self.save_failed = true;
        let recorded = self.store.commit(&self.unsaved)?;
        self.saved();
        let events = std::mem::take(&mut self.unsaved).events;
        for plan in recorded {
            self.start(plan, None, None);
        }
        self.tell(events);
        Ok(())
    }

    /// A plan that no request asked for: it starts once it is on record.
    pub(crate) fn plan_after_save(&mut self, plan: Arc<Plan>) {
        self.unsaved.plans.push(plan);
    }

    /// A plan that was found open at start goes on.
    pub(crate) fn resume(&mut self, plan: Recorded<Arc<Plan>>) {
        self.start(plan, None, None);
    }

    pub(crate) fn free_at(&self, now: Timestamp) -> Timestamp {
        Timestamp(now.0.saturating_add(self.shared.settings.hold_back_s.saturating_mul(1000)))
    }

    /// Settles without a caller: at start.
    pub(crate) fn settle_found(&mut self, settlement: Settlement, now: Timestamp) {
        let _ = self.settle(settlement, now);
    }

    pub(crate) fn try_again(&mut self) {
        let now = Instant::now();
        let (due, later): (Vec<_>, Vec<_>) = std::mem::take(&mut self.retry).into_iter().partition(|(at, _)| *at <= now);
        self.retry = later;
        for (_, plan) in due {
            if let Some(running) = self.running.get(&plan) {
                self.lanes.submit(running.plan.clone(), None);
            }
        }
    }

    pub(crate) fn tell(&self, events: Vec<Event>) {
        for event in events {
            tracing::info!(seq = event.seq, kind = %event.kind, subject = %event.subject, "{}", event.text);
            let _ = self.shared.events.send(event);
        }
    }
}

fn backed_off(tries: u32) -> Duration {
    RETRY_AFTER.saturating_mul(1 << tries.min(6))
}
