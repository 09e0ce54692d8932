//! Carries recorded plans to the kernel. Makings of one parent keep their order, lanes run side by side; removals of
//! endpoints run outside lanes, many at once, as each waits for RCU.

use crate::clock;
use crate::fatal::or_abort;
use crate::input::Input;
use bulkhead_core::ids::ParentId;
use bulkhead_core::kernel::Kernel;
use bulkhead_core::plan::{Plan, Purpose, Settlement};
use bulkhead_core::record::Recorded;
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::os::fd::OwnedFd;
use std::sync::mpsc::SyncSender;
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::Instant;

/// Threads that make things: the kernel serialises them anyway (RTNL), so few are enough.
const MAKERS: usize = 3;
/// Threads that remove endpoints: 16 are five times as fast as one (62 → 293 a second).
const REMOVERS: usize = 16;

type Job = (Recorded<Arc<Plan>>, Option<Arc<OwnedFd>>);

#[derive(Default)]
struct Queues {
    lanes: BTreeMap<ParentId, VecDeque<Job>>,
    /// Lanes that have work and nobody at it, in order of arrival.
    ready: VecDeque<ParentId>,
    busy: BTreeSet<ParentId>,
    removals: VecDeque<Job>,
    ending: bool,
}

struct Inner {
    queues: Mutex<Queues>,
    makings: Condvar,
    removals: Condvar,
}

/// The lanes' threads; they end when this is dropped, after what is queued.
pub(crate) struct Lanes {
    inner: Arc<Inner>,
}

impl Lanes {
    pub(crate) fn start(kernel: Arc<dyn Kernel>, settled: SyncSender<Input>) -> std::io::Result<Self> {
        let inner = Arc::new(Inner { queues: Mutex::default(), makings: Condvar::new(), removals: Condvar::new() });
        for i in 0..MAKERS + REMOVERS {
            let (inner, kernel, settled) = (Arc::clone(&inner), Arc::clone(&kernel), settled.clone());
            let maker = i < MAKERS;
            let name = if maker { format!("maker-{i}") } else { format!("remover-{}", i - MAKERS) };
            let name_of_thread = name.clone();
            std::thread::Builder::new().name(name).spawn(move || {
                while let Some((lane, (plan, netns))) = if maker { inner.next_making() } else { inner.next_removal() } {
                    let begun = Instant::now();
                    let result = or_abort(&name_of_thread, || kernel.apply(&plan, netns));
                    let took_us = Some(clock::took_us(begun));
                    // The writer outlives us but for a crash, in which recovery settles the plan.
                    let _ = settled.send(Input::Settled(Settlement { plan: plan.get().id, result, took_us }));
                    lane.into_iter().for_each(|lane| inner.free(lane));
                }
            })?;
        }
        Ok(Self { inner })
    }

    /// Queues a plan. Its settlement comes back as an input.
    pub(crate) fn submit(&self, plan: Recorded<Arc<Plan>>, netns: Option<Arc<OwnedFd>>) {
        let mut queues = self.inner.lock();
        if let Purpose::Detach(_) = plan.get().purpose {
            queues.removals.push_back((plan, netns));
            self.inner.removals.notify_one();
            return;
        }
        let lane = plan.get().lane;
        queues.lanes.entry(lane).or_default().push_back((plan, netns));
        if !queues.busy.contains(&lane) && !queues.ready.contains(&lane) {
            queues.ready.push_back(lane);
            self.inner.makings.notify_one();
        }
    }
}

impl Drop for Lanes {
    fn drop(&mut self) {
        self.inner.lock().ending = true;
        self.inner.makings.notify_all();
        self.inner.removals.notify_all();
    }
}

impl Inner {
    fn lock(&self) -> std::sync::MutexGuard<'_, Queues> {
        self.queues.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn next_making(&self) -> Option<(Option<ParentId>, Job)> {
        let mut queues = self.lock();
        loop {
            if let Some(lane) = queues.ready.pop_front()
                && let Some(job) = queues.lanes.get_mut(&lane).and_then(VecDeque::pop_front)
            {
                queues.busy.insert(lane);
                return Some((Some(lane), job));
            }
            if queues.ending && queues.ready.is_empty() {
                return None;
            }
            queues = self.makings.wait(queues).unwrap_or_else(PoisonError::into_inner);
        }
    }

    fn next_removal(&self) -> Option<(Option<ParentId>, Job)> {
        let mut queues = self.lock();
        loop {
            if let Some(job) = queues.removals.pop_front() {
                return Some((None, job));
            }
            if queues.ending {
                return None;
            }
            queues = self.removals.wait(queues).unwrap_or_else(PoisonError::into_inner);
        }
    }

    fn free(&self, lane: ParentId) {
        let mut queues = self.lock();
        queues.busy.remove(&lane);
        match queues.lanes.get(&lane).is_some_and(|q| !q.is_empty()) {
            true => {
                queues.ready.push_back(lane);
                self.makings.notify_one();
            }
            false => {
                queues.lanes.remove(&lane);
            }
        }
    }
}
