//! Signals to whoever waits for a command: passed on to it, and none of them ends the waiting.

use rustix::process::{Pid, Signal, WaitOptions, WaitStatus, kill_process, wait};
use std::io;

/// Those that are passed on. What a terminal sends goes to the command anyway, which is of the same group of processes.
const PASSED: [libc::c_int; 6] = [libc::SIGTERM, libc::SIGINT, libc::SIGHUP, libc::SIGQUIT, libc::SIGUSR1, libc::SIGUSR2];

/// The signals above and SIGCHLD, blocked in the calling thread: they wait until they are taken.
#[derive(Clone, Copy)]
pub struct Signals(libc::sigset_t);

impl Signals {
    /// Blocks them. A command that is started later must unblock them: [`unblock_all`].
    pub fn block() -> io::Result<Self> {
        let set = set_of(PASSED.into_iter().chain([libc::SIGCHLD]));
        // SAFETY: `set` is an initialised signal set; the old mask is not asked for.
        match unsafe { libc::pthread_sigmask(libc::SIG_BLOCK, &raw const set, std::ptr::null_mut()) } {
            0 => Ok(Self(set)),
            error => Err(io::Error::from_raw_os_error(error)),
        }
    }

    /// A signal that would have ended us by now, if one came.
    pub fn waiting(&self) -> Option<libc::c_int> {
        let now = libc::timespec { tv_sec: 0, tv_nsec: 0 };
        let ending = set_of(PASSED);
        // SAFETY: set and time are initialised and outlive the call; where it was sent from is not asked for.
        let signal = unsafe { libc::sigtimedwait(&raw const ending, std::ptr::null_mut(), &raw const now) };
        (signal > 0).then_some(signal)
    }

    /// Waits until the child `main` has ended, passing signals on to it; its exit status, as a shell counts it. Other children, which
    /// the first process of a namespace inherits, are reaped.
    pub fn wait_for(&self, main: Pid) -> io::Result<u8> {
        loop {
            while let Some((pid, status)) = next_ended()? {
                if pid == main {
                    return Ok(exit_status(status));
                }
            }
            // SAFETY: all-zero bytes are a valid `siginfo_t`: plain integers and unions of plain data.
            let mut info: libc::siginfo_t = unsafe { std::mem::zeroed() };
            // SAFETY: `self.0` is an initialised set and `info` a `siginfo_t` to be written; both outlive the call.
            let signal = unsafe { libc::sigwaitinfo(&raw const self.0, &raw mut info) };
            if signal < 0 {
                let error = io::Error::last_os_error();
                if error.kind() == io::ErrorKind::Interrupted {
                    continue;
                }
                return Err(error);
            }
            // From a terminal (si_code > 0: the kernel) the command has it, too.
            if signal != libc::SIGCHLD
                && info.si_code <= 0
                && let Some(signal) = Signal::from_named_raw(signal)
            {
                let _ = kill_process(main, signal);
            }
        }
    }
}

/// Takes all signals again, before a command is started. For the child between fork and exec: it calls nothing but sigprocmask.
pub fn unblock_all() -> io::Result<()> {
    let none = set_of([]);
    // SAFETY: `none` is an initialised signal set; the old mask is not asked for.
    match unsafe { libc::pthread_sigmask(libc::SIG_SETMASK, &raw const none, std::ptr::null_mut()) } {
        0 => Ok(()),
        error => Err(io::Error::from_raw_os_error(error)),
    }
}

fn set_of(signals: impl IntoIterator<Item = libc::c_int>) -> libc::sigset_t {
    // SAFETY: all-zero bytes are a valid `sigset_t`, and sigemptyset and sigaddset write to the one they are given.
    unsafe {
        let mut set: libc::sigset_t = std::mem::zeroed();
        libc::sigemptyset(&raw mut set);
        for signal in signals {
            libc::sigaddset(&raw mut set, signal);
        }
        set
    }
}

/// A child that has ended, if any.
fn next_ended() -> io::Result<Option<(Pid, WaitStatus)>> {
    // Of any group of processes: a command may have made one of its own.
    match wait(WaitOptions::NOHANG) {
        Ok(ended) => Ok(ended),
        Err(rustix::io::Errno::CHILD) => Ok(None),
        Err(error) => Err(error.into()),
    }
}

fn exit_status(status: WaitStatus) -> u8 {
    match (status.exit_status(), status.terminating_signal()) {
        (Some(code), _) => code as u8,
        (None, Some(signal)) => status_of(signal),
        (None, None) => 1,
    }
}

/// The exit status of what a signal has ended, as a shell counts it.
pub fn status_of(signal: libc::c_int) -> u8 {
    128_u8.saturating_add(u8::try_from(signal).unwrap_or(0))
}
