//! How long modules may run: the thread's CPU time, looked at whenever the engines' epoch ticks.
//!
//! A call is stopped when the thread has had its CPU time *and* the epoch has ticked often enough meanwhile: the first holds back
//! judgement where other threads have the CPU, the second where all of a virtual machine stands still and its clocks run on.

use crate::engine::NotStarted;
use crate::limits::Limits;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering::SeqCst};
use std::thread::{self, JoinHandle};
use std::time::Duration;
use wasmtime::Engine;

/// Ticks in the shortest time that is allowed: it is kept to within a fifth.
const TICKS: u64 = 5;
/// Ticks without any call after which the ticker sleeps: an idle daemon is to be idle, and one call now and then costs a wake, not a
/// tenth of a second of ticks.
const QUIET_MAX: u32 = 4;

/// CPU time of the calling thread.
fn now() -> Duration {
    let mut now = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: `now` is a timespec of ours that lives through the call, which writes it and keeps nothing (clock_gettime(2)). It fails
    // for clocks only that the kernel does not know; this one it does, and time 0 would only let a module run on.
    unsafe { libc::clock_gettime(libc::CLOCK_THREAD_CPUTIME_ID, &raw mut now) };
    Duration::new(u64::try_from(now.tv_sec).unwrap_or(0), u32::try_from(now.tv_nsec).unwrap_or(0))
}

/// Time that some calls on this thread have together.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Allowance {
    /// For what, such as `a decision`.
    pub(crate) what: &'static str,
    /// In milliseconds.
    pub(crate) ms: u64,
    until: Duration,
    ticks_left: u64,
}

impl Allowance {
    /// From now on.
    pub(crate) fn of(what: &'static str, ms: u64) -> Self {
        Self { what, ms, until: now() + Duration::from_millis(ms), ticks_left: TICKS }
    }
    /// This, but no more than so much from now on.
    pub(crate) fn at_most(&self, what: &'static str, ms: u64) -> Self {
        let alone = Self::of(what, ms);
        if alone.until < self.until { alone } else { *self }
    }
    /// A part of it, taken by [`at_most`](Self::at_most), has ticked meanwhile.
    pub(crate) fn went_on(&mut self, part: &Self) {
        self.ticks_left = self.ticks_left.min(part.ticks_left);
    }
    /// Does what does not count.
    pub(crate) fn without<T>(&mut self, work: impl FnOnce() -> T) -> T {
        let begin = now();
        let done = work();
        self.until += now().saturating_sub(begin);
        done
    }
    /// The epoch has ticked.
    pub(crate) fn tick(&mut self) {
        self.ticks_left = self.ticks_left.saturating_sub(1);
    }
    /// Whether it is used up. The clock is read only when it may be.
    pub(crate) fn is_over(&self) -> bool {
        self.ticks_left == 0 && now() >= self.until
    }
}

/// Counts up the engines' epoch while there are calls. Ends when dropped.
#[derive(Debug)]
pub(crate) struct Ticker {
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

#[derive(Debug, Default)]
struct Shared {
    calls: AtomicU32,
    asleep: AtomicBool,
    ended: AtomicBool,
}

impl Ticker {
    pub(crate) fn start(engines: Vec<Engine>, limits: &Limits) -> Result<Self, NotStarted> {
        let tick = Duration::from_millis((limits.deadline_ms.min(limits.decision_ms) / TICKS).max(1));
        let shared = Arc::new(Shared::default());
        let ticking = Arc::clone(&shared);
        let run = move || {
            let mut quiet = 0;
            while !ticking.ended.load(SeqCst) {
                quiet = if ticking.calls.load(SeqCst) == 0 { quiet + 1 } else { 0 };
                if quiet < QUIET_MAX {
                    thread::park_timeout(tick);
                } else {
                    // A call that begins here either is seen, or sees that it has to wake us: both orders are total (SeqCst).
                    ticking.asleep.store(true, SeqCst);
                    if ticking.calls.load(SeqCst) == 0 && !ticking.ended.load(SeqCst) {
                        thread::park();
                    }
                    ticking.asleep.store(false, SeqCst);
                    quiet = 0;
                }
                engines.iter().for_each(Engine::increment_epoch);
            }
        };
        let thread = thread::Builder::new().name("policy-time".into()).spawn(run).map_err(NotStarted::Thread)?;
        Ok(Self { shared, thread: Some(thread) })
    }

    /// The epoch ticks for as long as this is held.
    pub(crate) fn during_a_call(&self) -> Call<'_> {
        self.shared.calls.fetch_add(1, SeqCst);
        if self.shared.asleep.load(SeqCst) {
            self.wake();
        }
        Call(&self.shared)
    }

    fn wake(&self) {
        if let Some(thread) = &self.thread {
            thread.thread().unpark();
        }
    }
}

impl Drop for Ticker {
    fn drop(&mut self) {
        self.shared.ended.store(true, SeqCst);
        self.wake();
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// A call under way.
pub(crate) struct Call<'a>(&'a Shared);

impl Drop for Call<'_> {
    fn drop(&mut self) {
        self.0.calls.fetch_sub(1, SeqCst);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn time_is_over_only_by_the_thread_s_own_work_and_by_ticks() {
        let mut allowance = Allowance::of("a test", 1);
        thread::sleep(Duration::from_millis(5));
        (0..TICKS).for_each(|_| allowance.tick());
        assert!(!allowance.is_over(), "asleep is not at work");
        while now() < allowance.until {
            std::hint::spin_loop();
        }
        assert!(allowance.is_over());
        assert!(!Allowance { ticks_left: 1, ..allowance }.is_over());
    }
}
