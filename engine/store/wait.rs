//! How a plain thread waits for sqlx.
//!
//! The writer is an ordinary thread, and sqlx's SQLite driver runs on a thread of its own that it talks to through channels:
//! no reactor, no timer. So all that waiting needs is to park until the channel wakes us. A tokio runtime would do the same
//! with more around it (a current-thread runtime parks on a condition variable, or on epoll once its I/O driver is enabled),
//! and could not be entered from a thread that already belongs to one, as `cli/serve.rs` and tests do.

use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, Wake, Waker};
use std::thread::{self, Thread};

struct Unpark(Thread);

impl Wake for Unpark {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }
    fn wake_by_ref(self: &Arc<Self>) {
        self.0.unpark();
    }
}

thread_local! {
    static WAKER: Waker = Arc::new(Unpark(thread::current())).into();
}

/// Runs a future to its end on this thread. A wake-up between poll and park is not lost: `unpark` leaves a token.
pub(crate) fn block_on<F: Future>(future: F) -> F::Output {
    WAKER.with(|waker| {
        let mut cx = Context::from_waker(waker);
        let mut future = pin!(future);
        loop {
            match future.as_mut().poll(&mut cx) {
                Poll::Ready(output) => return output,
                Poll::Pending => thread::park(),
            }
        }
    })
}
