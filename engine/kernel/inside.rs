//! Short visits to other network namespaces.
//!
//! setns(2) moves one thread. A thread that stayed in a workload's namespace would keep that namespace alive and do the
//! next job in the wrong place, so visits run on threads that do nothing else: each job names its namespace, the thread
//! goes home afterwards, and one that cannot, or that panicked on the way, ends. What a visit brings back (a netlink
//! socket) works from any thread and stays bound to the namespace in which it was made.

use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError, mpsc};

type Job = Box<dyn FnOnce() -> Home + Send>;

/// Whether the thread is back in its own namespace, and may be used again.
enum Home {
    Back,
    Lost,
}

static IDLE: Mutex<Vec<mpsc::Sender<Job>>> = Mutex::new(Vec::new());
/// Visits are short (some microseconds, nothing in them waits for RCU or the network), so few threads serve many callers.
const IDLE_MAX: usize = 8;

/// Runs `job` inside `netns` and brings back its result. An error means that the namespace could not be entered.
pub(crate) fn visit<T: Send + 'static>(netns: &Arc<OwnedFd>, job: impl FnOnce() -> T + Send + 'static) -> io::Result<T> {
    let home = home()?;
    let netns = Arc::clone(netns);
    let (answer, answered) = mpsc::sync_channel(1);
    let worker = idle().pop();
    let worker = match worker {
        Some(worker) => worker,
        None => spawn()?,
    };
    let returned = worker.clone();
    let visit: Job = Box::new(move || {
        if let Err(error) = move_into_link_name_space(netns.as_fd(), Some(LinkNameSpaceType::Network)) {
            drop(netns);
            let _ = answer.send((Err(io::Error::from(error)), true));
            return Home::Back;
        }
        let result = job();
        // The descriptor would keep the namespace alive until this job is dropped, which may be after the answer.
        drop(netns);
        let back = move_into_link_name_space(home.as_fd(), Some(LinkNameSpaceType::Network)).is_ok();
        let _ = answer.send((Ok(result), back));
        if back { Home::Back } else { Home::Lost }
    });
    worker.send(visit).map_err(|_| io::Error::other("the visiting thread has ended"))?;
    let (result, back) = answered.recv().map_err(|_| io::Error::other("the visiting thread has ended"))?;
    if back {
        let mut idle = idle();
        if idle.len() < IDLE_MAX {
            idle.push(returned);
        }
    }
    result
}

/// Where the visiting threads live between visits: the namespace of the process. Every job says where it wants to be, so
/// it matters only that this is no workload's.
fn home() -> io::Result<Arc<OwnedFd>> {
    static HOME: OnceLock<Arc<OwnedFd>> = OnceLock::new();
    if let Some(home) = HOME.get() {
        return Ok(Arc::clone(home));
    }
    let own: Arc<OwnedFd> = Arc::new(std::fs::File::open("/proc/self/ns/net")?.into());
    Ok(Arc::clone(HOME.get_or_init(|| own)))
}

/// The calling thread's network namespace.
pub(crate) fn own() -> io::Result<OwnedFd> {
    Ok(std::fs::File::open("/proc/thread-self/ns/net")?.into())
}

fn spawn() -> io::Result<mpsc::Sender<Job>> {
    let (sender, jobs) = mpsc::channel::<Job>();
    std::thread::Builder::new().name("netns-visit".into()).spawn(move || {
        // Ends when no caller can reach it any more, when it is lost, and by unwinding when a job panics.
        while let Ok(job) = jobs.recv() {
            if matches!(job(), Home::Lost) {
                return;
            }
        }
    })?;
    Ok(sender)
}

fn idle() -> MutexGuard<'static, Vec<mpsc::Sender<Job>>> {
    IDLE.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Whether or not this user may enter namespaces at all, a job that panics harms no later one.
    #[test]
    fn a_panic_ends_its_thread_and_no_other() {
        let netns = Arc::new(own().unwrap());
        let may = visit(&netns, || ()).is_ok();
        let panicking = visit(&netns, || -> u32 { panic!("a test's panic") });
        assert!(panicking.is_err());
        for _ in 0..2 {
            assert_eq!(visit(&netns, || 7).ok(), may.then_some(7));
        }
    }
}
