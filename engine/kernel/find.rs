//! Finds a recorded namespace again, by whatever keeps it alive.

use crate::netns::{boot_id, cookie, reopen};
use bulkhead_core::endpoint::Netns;
use rustix::fs::{AtFlags, Mode, OFlags, StatxFlags, fstat, open as open_file};
use rustix::io::Errno;
use rustix::process::{Pid, PidfdFlags, PidfdGetfdFlags, pidfd_getfd, pidfd_open};
use std::collections::{BTreeSet, HashMap};
use std::fs;
use std::io;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// The namespace of a socket (include/uapi/linux/sockios.h).
const SIOCGSKNS: libc::c_ulong = 0x894C;

/// A recorded namespace, looked for.
#[derive(Debug, Clone)]
pub enum Found {
    /// It is there.
    There(Arc<OwnedFd>),
    /// No process, mount or descriptor that we can see holds it any more.
    Gone,
    /// Part of the host could not be looked at, so nothing is concluded.
    Unknown(String),
}

/// Finds a namespace again by its record. See [`find_all`].
pub fn find(netns: &Netns) -> Found {
    find_all(std::slice::from_ref(netns)).pop().unwrap_or(Found::Gone)
}

/// Finds namespaces again: by the recorded path; by the namespaces that are mounted here (`ip netns`, dockerd, CRI); by
/// processes; by what is mounted in other mount namespaces; by descriptors that processes hold. The inode says which ones
/// to look at, the cookie proves it. Last, by the sockets of processes: one keeps its namespace alive, and shows it only to
/// who has a copy of it. Our own sockets do not count: a namespace that only its resolver holds has nobody left to ask it.
pub fn find_all(wanted: &[Netns]) -> Vec<Found> {
    let mut search = Search::new(wanted);
    search.recorded(wanted);
    if !search.open.is_empty() {
        search.mounts(Path::new("/proc/thread-self/mountinfo"), Path::new(""));
    }
    // A process that ended while it was looked for may have left a child behind that nobody has looked at: so what was not found is
    // looked for again, until nothing has ended meanwhile.
    for _ in 0..LOOKS_MAX {
        if search.open.is_empty() {
            break;
        }
        search.ended = false;
        search.processes();
        if !search.ended {
            break;
        }
    }
    if search.ended && !search.open.is_empty() {
        search.hide("processes kept ending while they were looked at".into());
    }
    search.found.into_iter().map(|found| found.unwrap_or_else(|| search.hidden.clone().map_or(Found::Gone, Found::Unknown))).collect()
}

/// Those that are not at the path on record any more: the ones to look for first. A look at each file, and no proof of anything.
pub fn astray(recorded: &[Netns]) -> Vec<Netns> {
    let is_there = |netns: &&Netns| rustix::fs::stat(&netns.named).is_ok_and(|s| s.st_ino == netns.inode);
    recorded.iter().filter(|n| !is_there(n)).cloned().collect()
}

/// How often what was not found is looked for again, at most.
const LOOKS_MAX: usize = 12;

/// All processes, as folders of /proc.
fn processes() -> io::Result<Vec<PathBuf>> {
    let is_process = |path: &PathBuf| path.file_name().is_some_and(|n| n.as_encoded_bytes().iter().all(u8::is_ascii_digit));
    let all: io::Result<Vec<PathBuf>> = fs::read_dir("/proc")?.map(|entry| Ok(entry?.path())).collect();
    Ok(all?.into_iter().filter(is_process).collect())
}

/// Whether a path that is not there says that a process or thread has ended: not one of its descriptors, nor a file that it would see.
fn is_of_a_process(path: &Path) -> bool {
    let mut parts = path.strip_prefix("/proc").into_iter().flat_map(|p| p.components().skip(1));
    let (below, more) = (parts.next(), parts.next().is_some());
    let passing = below.is_some_and(|b| matches!(b.as_os_str().to_str(), Some("fd" | "root")));
    path.starts_with("/proc") && !(passing && more)
}

/// What is in a folder of /proc.
fn entries(folder: &Path) -> io::Result<Vec<PathBuf>> {
    fs::read_dir(folder)?.map(|entry| Ok(entry?.path())).collect()
}

struct Search<'a> {
    wanted: &'a [Netns],
    found: Vec<Option<Found>>,
    /// Those not found yet, by inode: two records may name one inode, at different times.
    open: HashMap<u64, Vec<usize>>,
    /// Why the search is not complete, if so.
    hidden: Option<String>,
    /// Whether a process ended while it was looked at.
    ended: bool,
    /// Those that had ended before, and wait for their parents to ask.
    zombies: BTreeSet<PathBuf>,
}

impl<'a> Search<'a> {
    fn new(wanted: &'a [Netns]) -> Self {
        let mut search =
            Search { wanted, found: vec![None; wanted.len()], open: HashMap::new(), hidden: None, ended: false, zombies: BTreeSet::new() };
        let boot = match boot_id() {
            Ok(boot) => boot,
            Err(e) => {
                search.hidden = Some(e.why());
                return search;
            }
        };
        for (at, netns) in wanted.iter().enumerate() {
            if netns.id.boot == boot {
                search.open.entry(netns.inode).or_default().push(at);
            } else {
                // Namespaces do not outlive their boot.
                search.found[at] = Some(Found::Gone);
            }
        }
        search
    }

    /// By the threads of processes, which each may be somewhere else; by what is mounted where they are; by their descriptors; by
    /// their sockets.
    fn processes(&mut self) {
        let processes = match processes() {
            Ok(processes) => processes,
            Err(e) => return self.hide(format!("/proc cannot be read: {e}")),
        };
        let threads = |process: &Path| Ok(entries(&process.join("task"))?.into_iter().map(|thread| thread.join("ns/net")).collect());
        self.by_link(&processes, threads, linked_inode);
        if !self.open.is_empty() {
            self.other_mounts(&processes);
        }
        if !self.open.is_empty() {
            self.by_link(&processes, |process| entries(&process.join("fd")), open_inode);
        }
        if !self.open.is_empty() {
            self.sockets(&processes);
        }
    }

    fn recorded(&mut self, wanted: &[Netns]) {
        for netns in wanted {
            self.look(Path::new(&netns.named), netns.inode);
        }
    }

    /// Opens `path`, which should be the namespace with `inode`, and takes it if its cookie is one that is wanted.
    fn look(&mut self, path: &Path, inode: u64) {
        if !self.open.contains_key(&inode) {
            return;
        }
        let seen = match open_file(path, OFlags::PATH | OFlags::CLOEXEC, Mode::empty()) {
            Ok(seen) => seen,
            Err(e) => return self.missed(path, &e.into()),
        };
        if fstat(&seen).map(|s| s.st_ino) != Ok(inode) {
            return;
        }
        match reopen(&seen) {
            Ok(fd) => self.take(fd, inode, path),
            // Another file that happens to have this inode is no namespace.
            Err(e) if e.starts_with("cannot be") => self.hide(format!("{} {e}", path.display())),
            Err(_) => {}
        }
    }

    /// An open namespace with `inode`, taken if its cookie is one that is wanted.
    fn take(&mut self, fd: OwnedFd, inode: u64, path: &Path) {
        let Some(candidates) = self.open.get(&inode) else { return };
        let fd = Arc::new(fd);
        match cookie(&fd) {
            Ok(cookie) => {
                let (hits, rest): (Vec<usize>, Vec<usize>) = candidates.iter().partition(|at| self.wanted[**at].id.cookie == cookie);
                for at in hits {
                    self.found[at] = Some(Found::There(Arc::clone(&fd)));
                }
                if rest.is_empty() {
                    self.open.remove(&inode);
                } else {
                    self.open.insert(inode, rest);
                }
            }
            Err(e) => self.hide(format!("{}: cannot be entered: {e}", path.display())),
        }
    }

    /// Namespaces that are mounted, by mountinfo (proc_pid_mountinfo(5)): field 4 is `net:[INODE]`, field 5 the mount point.
    fn mounts(&mut self, mountinfo: &Path, root: &Path) {
        let text = match fs::read(mountinfo) {
            Ok(text) => String::from_utf8_lossy(&text).into_owned(),
            Err(e) => return self.missed(mountinfo, &e),
        };
        for line in text.lines() {
            let mut fields = line.split(' ').skip(3);
            if let (Some(inode), Some(point)) = (fields.next().and_then(inode_of), fields.next()) {
                let point = unescape(point);
                let path = if root.as_os_str().is_empty() { PathBuf::from(point) } else { root.join(point.trim_start_matches('/')) };
                self.look(&path, inode);
            }
        }
    }

    /// One look at each mount namespace that is not ours, through a process in it.
    fn other_mounts(&mut self, processes: &[PathBuf]) {
        let mut seen: BTreeSet<PathBuf> = fs::read_link("/proc/thread-self/ns/mnt").into_iter().collect();
        for process in processes {
            match fs::read_link(process.join("ns/mnt")) {
                Ok(namespace) => {
                    if seen.insert(namespace) {
                        self.mounts(&process.join("mountinfo"), &process.join("root"));
                    }
                }
                Err(e) => self.missed(process, &e),
            }
            if self.open.is_empty() {
                return;
            }
        }
    }

    /// What `list` gives for each process, as far as it has the inode of a namespace that is looked for.
    fn by_link(&mut self, processes: &[PathBuf], list: impl Fn(&Path) -> io::Result<Vec<PathBuf>>, inode: fn(&Path) -> io::Result<u64>) {
        for process in processes {
            let links = match list(process) {
                Ok(links) => links,
                Err(e) => {
                    self.missed(process, &e);
                    continue;
                }
            };
            for link in links {
                match inode(&link) {
                    Ok(inode) => self.look(&link, inode),
                    Err(e) => self.missed(&link, &e),
                }
            }
            if self.open.is_empty() {
                return;
            }
        }
    }

    /// The namespace of each socket, by a copy of it: SIOCGSKNS (net/socket.c, `sock_ioctl`) gives it to who is admin there.
    fn sockets(&mut self, processes: &[PathBuf]) {
        let own = Path::new("/proc").join(std::process::id().to_string());
        for process in processes.iter().filter(|p| **p != own) {
            if let Err(e) = self.sockets_of(process) {
                self.missed(process, &e);
            }
            if self.open.is_empty() {
                return;
            }
        }
    }

    fn sockets_of(&mut self, process: &Path) -> io::Result<()> {
        let number = |path: &Path| path.file_name().and_then(|n| n.to_str()).and_then(|n| n.parse::<i32>().ok());
        let Some(pid) = number(process).and_then(Pid::from_raw) else { return Ok(()) };
        let mut held = None;
        for entry in fs::read_dir(process.join("fd"))?.flatten().map(|e| e.path()) {
            let is_socket = fs::read_link(&entry).is_ok_and(|l| l.as_os_str().as_encoded_bytes().starts_with(b"socket:"));
            let Some(number) = number(&entry).filter(|_| is_socket) else { continue };
            let process = match &held {
                Some(process) => process,
                None => held.insert(pidfd_open(pid, PidfdFlags::empty())?),
            };
            let socket = match pidfd_getfd(process, number, PidfdGetfdFlags::empty()) {
                Ok(socket) => socket,
                // Closed meanwhile.
                Err(Errno::BADF) => continue,
                Err(e) => return Err(e.into()),
            };
            // SAFETY: SIOCGSKNS takes no argument and gives a new descriptor (close-on-exec) or -1.
            let netns = unsafe { libc::ioctl(socket.as_raw_fd(), SIOCGSKNS) };
            if netns >= 0 {
                // SAFETY: the kernel just made this descriptor for us and nobody else has it.
                let netns = unsafe { OwnedFd::from_raw_fd(netns) };
                drop(socket);
                if let Ok(seen) = fstat(&netns) {
                    self.take(netns, seen.st_ino, &entry);
                }
            }
        }
        Ok(())
    }

    /// What ended meanwhile holds nothing any more, but may have handed on what it held. All else that could not be looked at might
    /// hold it: without rights, descriptors or memory nothing is concluded.
    fn missed(&mut self, path: &Path, error: &io::Error) {
        match error.raw_os_error() {
            Some(libc::ENOENT | libc::ESRCH) => self.ended |= is_of_a_process(path) && !self.is_known_zombie(path),
            Some(libc::EACCES | libc::EPERM) => self.hide(format!("{}: {error} (CAP_SYS_PTRACE is needed)", path.display())),
            _ => self.hide(format!("{}: {error}", path.display())),
        }
    }

    /// Whether what is of a process that is not there is so because it is a zombie, and was one in the look before: it may stay one
    /// for ever, holds nothing, and what it handed on was there to be seen since. A thread that lives on beside it may hold something.
    fn is_known_zombie(&mut self, path: &Path) -> bool {
        let process: PathBuf = path.components().take(3).collect();
        let stat = fs::read_to_string(process.join("stat")).unwrap_or_default();
        let state = stat.rsplit_once(") ").map(|(_, rest)| rest.starts_with(['Z', 'X']));
        let is_alone = entries(&process.join("task")).is_ok_and(|threads| threads.len() == 1);
        state == Some(true) && is_alone && !self.zombies.insert(process)
    }

    fn hide(&mut self, why: String) {
        self.hidden.get_or_insert(why);
    }
}

/// Inode of the namespace that a link of /proc/PID/ns names.
fn linked_inode(link: &Path) -> io::Result<u64> {
    let target = fs::read_link(link)?;
    Ok(target.to_str().and_then(inode_of).unwrap_or(0))
}

/// Inode of what a descriptor of /proc/PID/fd stands for. Its text would not do: a namespace that was opened through a
/// mount shows that path, and `/` once it is unmounted. No file system is asked anew, so none that hangs can hold us up.
fn open_inode(link: &Path) -> io::Result<u64> {
    let seen = rustix::fs::statx(rustix::fs::CWD, link, AtFlags::STATX_DONT_SYNC, StatxFlags::INO)?;
    Ok(seen.stx_ino)
}

/// `net:[4026532281]` → 4026532281.
fn inode_of(text: &str) -> Option<u64> {
    text.strip_prefix("net:[")?.strip_suffix(']')?.parse().ok()
}

/// Mount points have blanks and backslashes as `\040` (fs/proc_namespace.c, `mangle`).
fn unescape(text: &str) -> String {
    let mut plain = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((&byte, tail)) = rest.split_first() {
        let octal = tail.get(..3).and_then(|d| std::str::from_utf8(d).ok()).and_then(|d| u8::from_str_radix(d, 8).ok());
        match octal.filter(|_| byte == b'\\') {
            Some(value) => {
                plain.push(value);
                rest = &tail[3..];
            }
            None => {
                plain.push(byte);
                rest = tail;
            }
        }
    }
    String::from_utf8_lossy(&plain).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::netns::own_cookie;
    use bulkhead_core::endpoint::NetnsId;
    use bulkhead_core::ids::BootId;

    #[test]
    fn inodes_and_mount_points_are_read() {
        assert_eq!(inode_of("net:[4026532281]"), Some(4_026_532_281));
        assert_eq!(inode_of("mnt:[4026532281]"), None);
        assert_eq!(unescape(r"/run/a\040b\134c\09"), r"/run/a b\c\09");
    }

    #[test]
    fn a_namespace_of_another_boot_is_gone() {
        let id = NetnsId { cookie: own_cookie().unwrap(), boot: BootId(1) };
        let netns = Netns { id, inode: 1, named: "/proc/thread-self/ns/net".into() };
        assert!(matches!(find(&netns), Found::Gone));
    }
}
