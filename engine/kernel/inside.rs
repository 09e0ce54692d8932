//! Short visits to other network namespaces.
//!
//! setns(2) moves the calling thread alone, so a visit is two system calls and no hand-over to another thread. A thread
//! that stayed in a workload's namespace would keep that namespace alive and do the next job in the wrong place: whoever
//! leaves comes home, also when the job panics, and a process whose thread cannot come home ends at once. Nothing may
//! wait in a visit, and no `.await` can be in one: the job is an ordinary function. What a visit brings back (a netlink
//! socket) works from any thread and stays bound to the namespace in which it was made.

use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::Arc;

thread_local! {
    /// The calling thread's own network namespace. Threads that move for good do so before their first visit.
    static HOME: std::cell::OnceCell<Arc<OwnedFd>> = const { std::cell::OnceCell::new() };
}

/// Runs `job` inside `netns` and brings back its result. An error means that the namespace could not be entered.
pub(crate) fn visit<T>(netns: impl AsFd, job: impl FnOnce() -> T) -> io::Result<T> {
    let home = home()?;
    move_into_link_name_space(netns.as_fd(), Some(LinkNameSpaceType::Network))?;
    let _back = Return(home);
    Ok(job())
}

/// The way home, taken whatever happens.
struct Return(Arc<OwnedFd>);

impl Drop for Return {
    fn drop(&mut self) {
        if let Err(error) = move_into_link_name_space(self.0.as_fd(), Some(LinkNameSpaceType::Network)) {
            tracing::error!(%error, "a thread cannot leave a workload's network namespace; the daemon ends, and finds at its next start what was under way");
            std::process::abort();
        }
    }
}

fn home() -> io::Result<Arc<OwnedFd>> {
    HOME.with(|home| match home.get() {
        Some(home) => Ok(Arc::clone(home)),
        None => {
            let own = Arc::new(own()?);
            Ok(Arc::clone(home.get_or_init(|| own)))
        }
    })
}

/// The calling thread's network namespace.
pub(crate) fn own() -> io::Result<OwnedFd> {
    Ok(std::fs::File::open("/proc/thread-self/ns/net")?.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Whether or not this user may enter namespaces at all, a job that panics harms no later one.
    #[test]
    fn a_panic_comes_home_too() {
        let netns = own().unwrap();
        let may = visit(&netns, || ()).is_ok();
        let panicking = std::panic::catch_unwind(|| visit(&netns, || -> u32 { panic!("a test's panic") }));
        assert_eq!(panicking.is_err(), may);
        for _ in 0..2 {
            assert_eq!(visit(&netns, || 7).ok(), may.then_some(7));
        }
    }
}
