//! What a process gives up before it reads a stranger's module: files, rights, the network, and more memory or time than it needs.

use crate::limits::Limits;
use rustix::process::{
    DumpableBehavior, Resource, Rlimit, Signal, geteuid, set_dumpable_behavior, set_parent_process_death_signal, setrlimit,
};
use rustix::thread::{
    CapabilitySet, CapabilitySets, Gid, Uid, UnshareFlags, remove_capability_from_bounding_set, set_capabilities, set_no_new_privs,
    set_thread_groups, set_thread_res_gid, set_thread_res_uid, unshare_unsafe,
};
use serde::{Deserialize, Serialize};
use std::io;

/// The user and group without files: `nobody` (65534, the kernel's own overflow id).
const NOBODY: u32 = 65_534;
/// Open files: three, the images of memories, and what a library opens for a moment.
const FILES_MAX: u64 = 64;
/// Address space beside memory: a pool of small and one of large slots, of 4 GiB a memory with its guards.
const RESERVED_BYTES: u64 = 128 << 30;

/// What was given up.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Confined {
    /// What is kept, as this machine does not let go of it, and why.
    kept: Vec<String>,
}

/// First of all, by a process with a single thread that has nothing open but its three standard files.
pub(crate) fn confine() -> Confined {
    let mut confined = Confined::default();
    // SAFETY: close_range(2) closes descriptors from 3 on. Nobody owns one: this is called before anything is opened, and whatever
    // the parent left open was never ours.
    let closed = unsafe { libc::syscall(libc::SYS_close_range, 3_u32, u32::MAX, 0_u32) };
    confined.note("the parent's open files", if closed == 0 { Ok(()) } else { Err(io::Error::last_os_error()) });
    confined.note("new rights from files", set_no_new_privs(true));
    let spaces = UnshareFlags::NEWNET | UnshareFlags::NEWNS | UnshareFlags::NEWIPC | UnshareFlags::NEWUTS;
    // SAFETY: what must not be taken from under other threads is the table of files (CLONE_FILES), which is not; and there are none.
    let unshare = |flags| unsafe { unshare_unsafe(flags) };
    if geteuid().is_root() {
        confined.note("the host's network", unshare(spaces));
        for capability in CapabilitySet::all().iter() {
            // Those that this kernel does not know are not to be had either.
            let _ = remove_capability_from_bounding_set(capability);
        }
        let (user, group) = (Uid::from_raw(NOBODY), Gid::from_raw(NOBODY));
        let moved = set_thread_groups(&[])
            .and_then(|()| set_thread_res_gid(group, group, group))
            .and_then(|()| set_thread_res_uid(user, user, user));
        confined.note("the user root", moved);
    } else {
        // A user namespace of its own lets anybody leave the network, where the machine allows these.
        confined.note("the host's network", unshare(spaces | UnshareFlags::NEWUSER));
    }
    let none = CapabilitySets { effective: CapabilitySet::empty(), permitted: CapabilitySet::empty(), inheritable: CapabilitySet::empty() };
    confined.note("capabilities", set_capabilities(None, none));
    // A change of user makes a process dumpable anew, and forgets this signal: so they come after it.
    confined.note("that others of its user look into it", set_dumpable_behavior(DumpableBehavior::NotDumpable));
    confined.note("that it outlives the daemon", set_parent_process_death_signal(Some(Signal::KILL)));
    confined
}

impl Confined {
    fn note<E: std::fmt::Display>(&mut self, what: &str, done: Result<(), E>) {
        if let Err(e) = done {
            self.kept.push(format!("{what} ({e})"));
        }
    }

    /// What this machine does not let a child give up, for people.
    pub(crate) fn missing(&self) -> Option<String> {
        (!self.kept.is_empty()).then(|| format!("this machine does not let it give up {}", self.kept.join(", ")))
    }

    /// Bounds it further, now that it knows by how much. Without bounds it does not go on.
    pub(crate) fn within(self, limits: &Limits) -> Result<Self, String> {
        let bounds = [
            (Resource::Core, 0),
            (Resource::Nofile, FILES_MAX),
            // The largest file that it may write: the image of a memory, in memory.
            (Resource::Fsize, limits.memory_bytes_max.max(limits.code_bytes_max)),
            (Resource::Cpu, limits.compile_s),
            // Writable memory counts here, reserved address space does not (getrlimit(2), RLIMIT_DATA).
            (Resource::Data, limits.compile_bytes_max),
            (Resource::As, limits.compile_bytes_max.saturating_add(RESERVED_BYTES)),
        ];
        for (resource, bound) in bounds {
            let bound = Rlimit { current: Some(bound), maximum: Some(bound) };
            setrlimit(resource, bound).map_err(|e| format!("the limit {resource:?} cannot be set: {e}"))?;
        }
        Ok(self)
    }
}
