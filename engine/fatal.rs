//! The end of a process that cannot trust itself any more.

use std::panic::{AssertUnwindSafe, catch_unwind};

/// Runs a thread whose panic ends the process. What it was at is unknown then, and a daemon that goes on answering without it would be
/// worse than none: the record is whole, and the next start makes the kernel agree with it.
pub(crate) fn or_abort<T>(thread: &str, body: impl FnOnce() -> T) -> T {
    // Nothing that the closure touched is looked at again.
    catch_unwind(AssertUnwindSafe(body)).unwrap_or_else(|_| {
        tracing::error!(thread, "a thread that the daemon cannot do without panicked; the daemon ends, and recovers at its next start");
        std::process::abort()
    })
}
