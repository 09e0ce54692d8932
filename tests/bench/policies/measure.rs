//! Times, and what is allocated meanwhile.

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::time::{Duration, Instant};

thread_local! {
    static ALLOCATIONS: Cell<u64> = const { Cell::new(0) };
}

/// The system's allocator, which counts what each thread asks of it.
pub struct Counting;

// SAFETY: all is handed on to the system's allocator as it came.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        ALLOCATIONS.with(|n| n.set(n.get() + 1));
        // SAFETY: the caller's promise is handed on.
        unsafe { System.alloc(layout) }
    }
    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        // SAFETY: the same.
        unsafe { System.dealloc(block, layout) }
    }
    unsafe fn realloc(&self, block: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        ALLOCATIONS.with(|n| n.set(n.get() + 1));
        // SAFETY: the same.
        unsafe { System.realloc(block, layout, size) }
    }
}

/// How often this thread allocates or reallocates meanwhile.
pub fn allocations(work: impl FnOnce()) -> u64 {
    let before = ALLOCATIONS.with(Cell::get);
    work();
    ALLOCATIONS.with(Cell::get) - before
}

/// Times of one kind of work.
#[derive(Debug, Default, Clone)]
pub struct Times(Vec<Duration>);

impl Times {
    /// One more.
    pub fn add(&mut self, time: Duration) {
        self.0.push(time);
    }

    /// All of others.
    pub fn extend(&mut self, others: Self) {
        self.0.extend(others.0);
    }

    /// Does the work, and adds its time.
    pub fn of<T>(&mut self, work: impl FnOnce() -> T) -> T {
        let begin = Instant::now();
        let done = work();
        self.add(begin.elapsed());
        done
    }

    /// So much of all is at most so long, in microseconds. 0.0 where nothing was measured.
    pub fn quantile(&self, q: f64) -> f64 {
        let mut all = self.0.clone();
        all.sort_unstable();
        let at = all.len().saturating_sub(1) as f64 * q;
        all.get(at as usize).map_or(0.0, |t| t.as_secs_f64() * 1e6)
    }

    pub fn p50(&self) -> f64 {
        self.quantile(0.5)
    }

    pub fn p99(&self) -> f64 {
        self.quantile(0.99)
    }
}

/// Blocks of work that take turns, so that whatever else the machine does meets all alike.
const BLOCKS: usize = 25;
/// Calls before each block's measured ones: caches are to be its own.
const WARM: usize = 20;

/// Measures each kind of work `rounds` times.
pub fn in_turns(rounds: usize, work: &mut [&mut dyn FnMut()]) -> Vec<Times> {
    let mut times = vec![Times::default(); work.len()];
    for _ in 0..BLOCKS {
        for (work, times) in work.iter_mut().zip(&mut times) {
            (0..WARM).for_each(|_| work());
            for _ in 0..rounds / BLOCKS {
                times.of(&mut *work);
            }
        }
    }
    times
}

/// Resident memory of this process, in MiB; 0.0 where the kernel does not tell.
pub fn resident_mib() -> f64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|l| l.strip_prefix("VmRSS:"));
    let kib = line.and_then(|l| l.trim().trim_end_matches("kB").trim().parse::<f64>().ok());
    kib.unwrap_or(0.0) / 1024.0
}
