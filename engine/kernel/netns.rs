//! Network namespaces as requests name them: opened once, examined before anything else. [`find`](crate::find) finds them
//! again after a restart.
//!
//! A client may name any path. So the file is first opened without opening what it stands for (O_PATH: no FIFO blocks, no
//! device is touched), then known to be a namespace by its file system (nsfs), and only then opened for real through
//! /proc/self/fd; what was examined is what is used, whatever the path leads to by then.

use crate::error::KernelError;
use crate::inside;
use bulkhead_core::endpoint::{Netns, NetnsId};
use bulkhead_core::ids::BootId;
use bulkhead_core::names::shown;
use bulkhead_core::refusal::Fault;
use bulkhead_core::request::DefaultRoutes;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::{Mode, OFlags, fstat, fstatfs, open as open_file, stat};
use rustix::io::Errno;
use rustix::process::{Pid, PidfdFlags, pidfd_open};
use std::fs;
use std::io::{self, Read};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd};
use std::sync::Arc;

/// File system type of namespaces (include/uapi/linux/magic.h).
const NSFS_MAGIC: rustix::fs::FsWord = 0x6e73_6673;
/// Requests on a namespace (include/uapi/linux/nsfs.h): `_IO(0xb7, n)`.
const NS_GET_USERNS: libc::c_ulong = 0xb701;
const NS_GET_NSTYPE: libc::c_ulong = 0xb703;
const NS_GET_OWNER_UID: libc::c_ulong = 0xb704;
/// SO_NETNS_COOKIE (include/uapi/asm-generic/socket.h), since Linux 5.14.
const SO_NETNS_COOKIE: libc::c_int = 71;

/// How a request names a network namespace.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NetnsWish {
    /// An absolute path to a namespace file.
    Path(String),
    /// A name below /run/netns, as `ip netns` keeps them.
    Name(String),
    /// A process in it.
    Pid(i32),
}

/// A network namespace, open and examined. Holding it keeps the namespace alive: drop it as soon as it has been used.
#[derive(Debug, Clone)]
pub struct OpenNetns {
    /// The namespace.
    pub fd: Arc<OwnedFd>,
    /// What goes on record of it.
    pub record: Netns,
    /// The default routes that it has.
    pub default_routes: DefaultRoutes,
    /// Owner of the process by which it was named.
    process_uid: Option<u32>,
}

impl OpenNetns {
    /// Whether `uid` may name it: it made the user namespace to which this one belongs, or it was named by a process of its.
    pub fn owned_by(&self, uid: u32) -> bool {
        self.process_uid == Some(uid) || owned_by(self.fd.as_fd(), uid)
    }
}

/// Opens and examines the namespace that a request names. The fault's field is that of the wish: `path`, `name` or `pid`.
pub fn open(wish: &NetnsWish) -> Result<OpenNetns, Fault> {
    let opened = match wish {
        NetnsWish::Path(path) => open_path("path", path).map(|fd| (fd, path.clone(), None)),
        NetnsWish::Name(name) => open_name(name).map(|(fd, path)| (fd, path, None)),
        NetnsWish::Pid(pid) => open_pid(*pid).map(|(fd, path, uid)| (fd, path, Some(uid))),
    };
    let (fd, named, process_uid) = opened?;
    let field = match wish {
        NetnsWish::Path(_) => "path",
        NetnsWish::Name(_) => "name",
        NetnsWish::Pid(_) => "pid",
    };
    let odd = |what: &str, e: io::Error| Fault::new(field, format!("{}: {what}: {e}", shown(&named)), "a network namespace of this host");
    let inode = fstat(&fd).map_err(|e| odd("fstat", e.into()))?;
    for (whose, path) in [("the daemon's own", "/proc/thread-self/ns/net"), ("the host's (that of process 1)", "/proc/1/ns/net")] {
        // Without the right to look at process 1 (a container's daemon may lack it) our own is what there is to compare.
        if stat(path).is_ok_and(|own| (own.st_dev, own.st_ino) == (inode.st_dev, inode.st_ino)) {
            return Err(Fault::new(
                field,
                format!("{} is {whose} network namespace", shown(&named)),
                "the namespace of a workload: an ipvlan link next to its own parent never reaches the host",
            ));
        }
    }
    let fd = Arc::new(fd);
    let visited = inside::visit(&fd, || own_cookie().and_then(|cookie| Ok((cookie, default_routes()?)))).and_then(|done| done);
    let (cookie, default_routes) = visited.map_err(|e| odd("cannot be entered", e))?;
    let boot = boot_id().map_err(|e| Fault::new(field, e.why(), "a readable /proc"))?;
    Ok(OpenNetns { fd, record: Netns { id: NetnsId { cookie, boot }, inode: inode.st_ino, named }, default_routes, process_uid })
}

fn open_name(name: &str) -> Result<(OwnedFd, String), Fault> {
    let fits = !name.is_empty() && name.len() <= 255 && !name.contains(['/', '\0']) && !matches!(name, "." | "..");
    if !fits {
        return Err(Fault::new("name", format!("{} is not the name of a namespace", shown(name)), "a file name below /run/netns"));
    }
    let path = format!("/run/netns/{name}");
    // Only root puts anything there, so what it leads to is opened at once.
    let wrong = |what: String| Fault::new("name", what, "the name of a network namespace, as `ip netns` lists them");
    let fd = open_file(&path, OFlags::RDONLY | OFlags::NONBLOCK | OFlags::CLOEXEC, Mode::empty());
    let fd = fd.map_err(|e| wrong(format!("{}: {e}", shown(&path))))?;
    examine(&fd).map_err(|what| wrong(format!("{} {what}", shown(&path))))?;
    Ok((fd, path))
}

fn open_path(field: &str, path: &str) -> Result<OwnedFd, Fault> {
    if !path.starts_with('/') || path.contains('\0') {
        return Err(Fault::new(field, format!("{} is not an absolute path", shown(path)), "a path such as /run/netns/a"));
    }
    let wrong = |what: String| Fault::new(field, what, "the path of a network namespace, such as /run/netns/a or /proc/PID/ns/net");
    let seen = open_file(path, OFlags::PATH | OFlags::CLOEXEC, Mode::empty()).map_err(|e| wrong(format!("{}: {e}", shown(path))))?;
    reopen(&seen).map_err(|what| wrong(format!("{} {what}", shown(path))))
}

/// From an O_PATH descriptor to one that can be entered, if it is a network namespace.
pub(crate) fn reopen(seen: &OwnedFd) -> Result<OwnedFd, String> {
    on_nsfs(seen)?;
    let again = format!("/proc/self/fd/{}", seen.as_raw_fd());
    let fd = open_file(again, OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty()).map_err(|e| format!("cannot be opened: {e}"))?;
    examine(&fd)?;
    Ok(fd)
}

fn on_nsfs(file: &OwnedFd) -> Result<(), String> {
    let system = fstatfs(file).map_err(|e| format!("cannot be examined: {e}"))?;
    if system.f_type == NSFS_MAGIC { Ok(()) } else { Err("is not a namespace".into()) }
}

/// Whether it is a network namespace.
fn examine(fd: &OwnedFd) -> Result<(), String> {
    on_nsfs(fd)?;
    match namespace_type(fd.as_fd()) {
        Ok(libc::CLONE_NEWNET) => Ok(()),
        Ok(_) => Err("is a namespace of another type".into()),
        Err(e) => Err(format!("cannot be examined: {e}")),
    }
}

/// The process is held by a pidfd first: if it still lives after its namespace was opened, the pid was its all along.
fn open_pid(number: i32) -> Result<(OwnedFd, String, u32), Fault> {
    let wrong = |what: String| Fault::new("pid", what, "the id of a running process");
    let pid = (number > 0).then(|| Pid::from_raw(number)).flatten().ok_or_else(|| wrong(format!("{number} is not a process id")))?;
    let gone = |e: Errno| wrong(if e == Errno::SRCH { format!("there is no process {number}") } else { format!("process {number}: {e}") });
    let process = pidfd_open(pid, PidfdFlags::empty()).map_err(gone)?;
    let path = format!("/proc/{number}/ns/net");
    let opened = open_file(&path, OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty());
    // Owner of /proc/PID: the process's effective uid, or root while it may not be dumped (fs/proc/base.c, `task_dump_owner`).
    let uid = stat(format!("/proc/{number}")).map(|s| s.st_uid);
    let mut exited = [PollFd::new(&process, PollFlags::IN)];
    let ended = poll(&mut exited, Some(&Timespec { tv_sec: 0, tv_nsec: 0 })).map_err(gone)? > 0;
    if ended {
        return Err(wrong(format!("process {number} has ended")));
    }
    let fd = opened.map_err(|e| wrong(format!("process {number}: its network namespace cannot be opened: {e}")))?;
    Ok((fd, path, uid.map_err(gone)?))
}

/// Whether `uid` owns the user namespace to which this network namespace belongs (it made it, and root there is theirs).
pub fn owned_by(netns: BorrowedFd<'_>, uid: u32) -> bool {
    // SAFETY: NS_GET_USERNS takes no argument and gives a new descriptor (close-on-exec) or -1; fs/nsfs.c, `ns_ioctl`.
    let user = unsafe { libc::ioctl(netns.as_raw_fd(), NS_GET_USERNS) };
    if user < 0 {
        return false;
    }
    // SAFETY: the kernel just made this descriptor for us and nobody else has it.
    let user = unsafe { OwnedFd::from_raw_fd(user) };
    let mut owner: libc::uid_t = 0;
    // SAFETY: NS_GET_OWNER_UID writes one uid_t to its argument, which outlives the call.
    let done = unsafe { libc::ioctl(user.as_raw_fd(), NS_GET_OWNER_UID, &raw mut owner) };
    done == 0 && owner == uid
}

fn namespace_type(fd: BorrowedFd<'_>) -> io::Result<libc::c_int> {
    // SAFETY: NS_GET_NSTYPE takes no argument and answers with a CLONE_* value; `fd` is on nsfs, so the request is its.
    let answer = unsafe { libc::ioctl(fd.as_raw_fd(), NS_GET_NSTYPE) };
    if answer < 0 { Err(io::Error::last_os_error()) } else { Ok(answer) }
}

/// A file of /proc, which has no size to ask for, with room for most of them from the start: four system calls, where
/// [`fs::read_to_string`] makes up to nine.
pub(crate) fn read_proc(path: &str) -> io::Result<String> {
    let mut file = fs::File::open(path)?;
    let mut text = vec![0; 4096];
    let mut length = 0;
    loop {
        match file.read(&mut text[length..])? {
            0 => break,
            read => length += read,
        }
        if length == text.len() {
            text.resize(length * 2, 0);
        }
    }
    text.truncate(length);
    String::from_utf8(text).map_err(|e| io::Error::new(io::ErrorKind::InvalidData, e))
}

/// Default routes of the calling thread's network namespace, as /proc/net has them: cheaper than a dump over netlink where there
/// are few. The IPv6 table's own unreachable entry (metric ffffffff, net/ipv6/route.c, `ip6_null_entry`) is none.
fn default_routes() -> io::Result<DefaultRoutes> {
    let read = |file: &str| match read_proc(&format!("/proc/thread-self/net/{file}")) {
        Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(String::new()),
        read => read,
    };
    let v4 = read("route")?.lines().find_map(|line| {
        let fields: Vec<&str> = line.split_ascii_whitespace().collect();
        // Iface Destination Gateway Flags RefCnt Use Metric Mask …
        let default = fields.get(1) == Some(&"00000000") && fields.get(7) == Some(&"00000000");
        fields.first().filter(|_| default).map(|link| (*link).to_owned())
    });
    let v6 = read("ipv6_route")?.lines().find_map(|line| {
        let fields: Vec<&str> = line.split_ascii_whitespace().collect();
        // destination length source length gateway metric references use flags link
        let default = fields.first().is_some_and(|d| d.bytes().all(|b| b == b'0')) && fields.get(1) == Some(&"00");
        let real = fields.get(5).is_some_and(|metric| *metric != "ffffffff");
        fields.get(9).filter(|_| default && real).map(|link| (*link).to_owned())
    });
    Ok(DefaultRoutes { v4, v6 })
}

/// Cookie of a namespace: unique within a boot and never used twice, unlike the inode.
pub fn cookie(netns: impl AsFd) -> io::Result<u64> {
    inside::visit(netns, own_cookie)?
}

/// Cookie of the calling thread's network namespace.
pub fn own_cookie() -> io::Result<u64> {
    use rustix::net::{AddressFamily, SocketFlags, SocketType, socket_with};
    let socket = socket_with(AddressFamily::UNIX, SocketType::DGRAM, SocketFlags::CLOEXEC, None)?;
    let mut cookie = 0u64;
    let mut length = size_of::<u64>() as libc::socklen_t;
    // SAFETY: SO_NETNS_COOKIE writes at most `length` bytes (a u64) to `cookie`; both outlive the call.
    let done =
        unsafe { libc::getsockopt(socket.as_raw_fd(), libc::SOL_SOCKET, SO_NETNS_COOKIE, (&raw mut cookie).cast(), &raw mut length) };
    match done {
        0 if length as usize == size_of::<u64>() => Ok(cookie),
        0 => Err(io::Error::other("SO_NETNS_COOKIE answered with another size")),
        _ => Err(io::Error::last_os_error()),
    }
}

/// This boot of the kernel.
pub fn boot_id() -> Result<BootId, KernelError> {
    const FILE: &str = "/proc/sys/kernel/random/boot_id";
    static BOOT: std::sync::OnceLock<BootId> = std::sync::OnceLock::new();
    if let Some(boot) = BOOT.get() {
        return Ok(*boot);
    }
    let text = fs::read_to_string(FILE).map_err(|e| KernelError::io(format!("reading {FILE}"), e))?;
    let plain: String = text.trim().chars().filter(|c| *c != '-').collect();
    let boot = plain.parse().map_err(|e| KernelError::io(format!("reading {FILE}"), io::Error::other(e)))?;
    Ok(*BOOT.get_or_init(|| boot))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::Path;

    #[test]
    fn the_own_namespace_is_refused_by_every_name() {
        for wish in [NetnsWish::Path("/proc/thread-self/ns/net".into()), NetnsWish::Pid(std::process::id() as i32)] {
            let fault = open(&wish).unwrap_err();
            assert!(fault.wrong.ends_with("is the daemon's own network namespace"), "{fault}");
        }
    }

    #[test]
    fn what_is_no_namespace_is_refused_and_blocks_nobody() {
        let folder = std::env::temp_dir().join(format!("bulkhead-netns-{}", std::process::id()));
        fs::create_dir_all(&folder).unwrap();
        let pipe = folder.join("pipe");
        rustix::fs::mknodat(rustix::fs::CWD, &pipe, rustix::fs::FileType::Fifo, Mode::RUSR, 0).unwrap();
        let link = folder.join("link");
        std::os::unix::fs::symlink("/proc/self/ns/mnt", &link).unwrap();
        let says = |path: &Path| open(&NetnsWish::Path(path.to_str().unwrap().into())).unwrap_err().to_string();
        assert!(says(&pipe).contains("is not a namespace"));
        assert!(says(&link).contains("is a namespace of another type"));
        assert!(says(&folder.join("none")).contains("No such file"));
        assert!(says(Path::new("run/netns/a")).contains("is not an absolute path"));
        fs::remove_dir_all(folder).unwrap();
    }

    #[test]
    fn odd_names_and_pids_are_refused() {
        for name in ["", ".", "..", "a/b", "../../proc/1/ns/net"] {
            assert_eq!(open(&NetnsWish::Name(name.into())).unwrap_err().field, "name");
        }
        for pid in [0, -1, i32::MIN, i32::MAX] {
            assert_eq!(open(&NetnsWish::Pid(pid)).unwrap_err().field, "pid");
        }
    }
}
