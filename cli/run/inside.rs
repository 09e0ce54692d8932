//! The first process of a namespace: makes it and what is in it, waits until it is attached, starts the command, and ends with it,
//! taking along all that the command has left running.

use super::files;
use super::signals::{Signals, unblock_all};
use crate::client::terminal::say;
use rustix::process::{Pid, Signal, WaitOptions, kill_process, set_parent_process_death_signal, waitpid};
use std::ffi::OsString;
use std::fs::{self, File};
use std::io::{self, PipeReader, PipeWriter, Read, Write};
use std::os::unix::process::CommandExt;
use std::process::Command;

/// Exit statuses of what could not be started, as a shell has them.
const NOT_STARTED: u8 = 126;
const NOT_FOUND: u8 = 127;

/// A namespace with its first process, which waits for the word. On drop, without it, all of it is gone.
pub struct Inside {
    pid: Option<Pid>,
    go: PipeWriter,
    /// Keeps the namespace, also when its last process has ended.
    _netns: File,
}

impl Inside {
    /// Makes them. A user who may not make namespaces otherwise has a user namespace around them, in which they are theirs.
    pub fn start(command: &[OsString]) -> Result<Self, String> {
        is_single_threaded()?;
        let pipe = || io::pipe().map_err(|e| format!("a pipe cannot be made: {e}"));
        let ((mut ready, tell_ready), (hear_go, go)) = (pipe()?, pipe()?);
        let user =
            (!rustix::process::geteuid().is_root()).then(|| (rustix::process::geteuid().as_raw(), rustix::process::getegid().as_raw()));
        let spaces = libc::CLONE_NEWNET | libc::CLONE_NEWNS | libc::CLONE_NEWPID | if user.is_some() { libc::CLONE_NEWUSER } else { 0 };
        // SAFETY: without CLONE_VM this is a fork: the child has a copy of this process, which has one thread (just looked at), so no
        // lock is held by a thread that the child has not. All other arguments are zero, in whatever order they are.
        let made = unsafe { libc::syscall(libc::SYS_clone, (spaces | libc::SIGCHLD) as libc::c_ulong, 0, 0, 0, 0) };
        match made {
            0 => {
                drop((ready, go));
                let status = first_process(command, user, tell_ready, hear_go);
                // SAFETY: ends this process at once: what the parent has set up to be done at its exit is not ours to do.
                unsafe { libc::_exit(status.into()) }
            }
            // Not negative and not zero: a process id.
            1.. => {
                drop((tell_ready, hear_go));
                let pid = Pid::from_raw(made as i32).ok_or("the kernel gave no process id")?;
                let mut told = String::new();
                let heard = ready.read_to_string(&mut told);
                let netns = File::open(format!("/proc/{made}/ns/net")).map_err(|e| format!("the namespace cannot be opened: {e}"));
                match (heard, told.strip_prefix(READY), netns) {
                    (Ok(_), Some(""), Ok(netns)) => Ok(Self { pid: Some(pid), go, _netns: netns }),
                    (heard, _, netns) => {
                        end(pid);
                        let why = if told.is_empty() { heard.err().map(|e| e.to_string()).or(netns.err()) } else { Some(told) };
                        Err(why.unwrap_or_else(|| "the namespace could not be set up".into()))
                    }
                }
            }
            _ => Err(not_made(&io::Error::last_os_error(), user.is_some())),
        }
    }

    /// Its process, by which the daemon finds it.
    pub fn pid(&self) -> Pid {
        // Until it has ended there is one.
        self.pid.unwrap_or(Pid::INIT)
    }

    /// Starts the command.
    pub fn go(&mut self) -> Result<(), String> {
        self.go.write_all(GO).map_err(|e| format!("the namespace's first process has ended: {e}"))
    }

    /// It was waited for: its id may be somebody else's from now on.
    pub fn has_ended(&mut self) {
        self.pid = None;
    }
}

impl Drop for Inside {
    fn drop(&mut self) {
        self.pid.into_iter().for_each(end);
    }
}

const READY: &str = "ready";
const GO: &[u8] = b"g";

fn end(pid: Pid) {
    let _ = kill_process(pid, Signal::KILL);
    let _ = waitpid(Some(pid), WaitOptions::empty());
}

/// A thread besides ours would be missing in a copy of this process, and the kernel moves no process with several.
pub fn is_single_threaded() -> Result<(), String> {
    let threads = fs::read_dir("/proc/self/task").map_err(|e| format!("/proc/self/task: {e}"))?.count();
    if threads == 1 { Ok(()) } else { Err(format!("this process has {threads} threads; a namespace is entered by one alone")) }
}

fn not_made(error: &io::Error, of_a_user: bool) -> String {
    let help = match error.raw_os_error() {
        Some(libc::EPERM | libc::EACCES | libc::ENOSPC | libc::EUSERS) if of_a_user => {
            ": this host lets its users make no user namespaces (sysctl user.max_user_namespaces, kernel.unprivileged_userns_clone, \
             kernel.apparmor_restrict_unprivileged_userns); run it as root"
        }
        Some(libc::EINVAL) => ": this kernel lacks namespaces (CONFIG_NET_NS, CONFIG_PID_NS, CONFIG_USER_NS)",
        _ => "",
    };
    format!("a namespace cannot be made: {error}{help}")
}

/// The life of the first process; its exit status.
fn first_process(command: &[OsString], user: Option<(u32, u32)>, mut ready: PipeWriter, mut go: PipeReader) -> u8 {
    let signals = match set_up(user) {
        Ok(signals) => signals,
        Err(why) => {
            let _ = ready.write_all(why.as_bytes());
            return NOT_STARTED;
        }
    };
    let told = ready.write_all(READY.as_bytes());
    drop(ready);
    let mut word = [0; GO.len()];
    if told.is_err() || go.read_exact(&mut word).is_err() {
        // Nobody gives it: there is nothing to do.
        return NOT_STARTED;
    }
    drop(go);
    if files::names_are_answered() {
        if let Err(why) = files::resolve_by_bulkhead() {
            say(&format!("warning: names resolve only for programs that ask 127.0.0.11 themselves: {why}"));
        }
    } else {
        say("warning: names are not answered in this namespace; it sees the host's /etc/resolv.conf");
    }
    files::own_proc();
    wait_for(command, &signals)
}

fn set_up(user: Option<(u32, u32)>) -> Result<Signals, String> {
    set_parent_process_death_signal(Some(Signal::KILL)).map_err(|e| format!("PR_SET_PDEATHSIG: {e}"))?;
    if let Some((uid, gid)) = user {
        // The user stays who they are; a group could be left by setgroups(2), so that is given up (user_namespaces(7)).
        for (file, text) in [("setgroups", "deny".to_owned()), ("uid_map", format!("{uid} {uid} 1")), ("gid_map", format!("{gid} {gid} 1"))]
        {
            fs::write(format!("/proc/self/{file}"), text).map_err(|e| format!("/proc/self/{file}: {e}"))?;
        }
        // Without CAP_NET_RAW in a command of theirs, ping needs this; here it concerns nobody else.
        let _ = fs::write("/proc/sys/net/ipv4/ping_group_range", format!("{gid} {gid}"));
    }
    files::keep_to_ourselves()?;
    bulkhead_kernel::resolver::lo_up().map_err(|e| format!("setting lo up: {e}"))?;
    Signals::block().map_err(|e| format!("signals cannot be caught: {e}"))
}

/// Starts a command and waits for its end; its exit status.
pub fn wait_for(command: &[OsString], signals: &Signals) -> u8 {
    let Some((program, arguments)) = command.split_first() else { return NOT_STARTED };
    let mut process = Command::new(program);
    process.args(arguments);
    // SAFETY: between fork and exec these call prctl and sigprocmask only, and allocate nothing.
    unsafe {
        process.pre_exec(|| {
            unblock_all()?;
            Ok(set_parent_process_death_signal(Some(Signal::KILL))?)
        });
    }
    let child = match process.spawn() {
        Ok(child) => child,
        Err(error) => {
            say(&format!("bulkhead: {} cannot be started: {error}", program.display()));
            return if error.kind() == io::ErrorKind::NotFound { NOT_FOUND } else { NOT_STARTED };
        }
    };
    signals.wait_for(Pid::from_child(&child)).unwrap_or_else(|error| {
        say(&format!("bulkhead: waiting for {}: {error}", program.display()));
        NOT_STARTED
    })
}
