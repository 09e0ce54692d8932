//! What a command sees of files: all that the host has, but for those that say how names are resolved.

use rustix::fs::Mode;
use rustix::io::Errno;
use rustix::mount::{MountFlags, MountPropagationFlags, UnmountFlags, mount, mount_bind, mount_change, unmount};
use std::fs;
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::time::Duration;

/// `ndots:0`: names of neighbours have no dot, and none is looked up below the host's domain first. The resolver asks for itself.
const RESOLV_CONF: &str = "# The resolver of Bulkhead: names of the networks that this namespace is attached to, and what they let through.\nnameserver 127.0.0.11\noptions ndots:0\n";

/// Sockets of programs that would be asked before resolv.conf is, and know the host's names only (nsswitch.conf(5), nscd(8)).
const OTHERS: [&str; 3] = ["/run/systemd/resolve/io.systemd.Resolve", "/run/nscd/socket", "/var/run/nscd/socket"];

/// Whether names are answered in the calling thread's network namespace.
pub fn names_are_answered() -> bool {
    let resolver = SocketAddr::from(([127, 0, 0, 11], 53));
    TcpStream::connect_timeout(&resolver, Duration::from_secs(5)).is_ok()
}

/// In a mount namespace of our own: what is mounted here stays here.
pub fn keep_to_ourselves() -> Result<(), String> {
    mount_change("/", MountPropagationFlags::REC | MountPropagationFlags::PRIVATE)
        .map_err(|e| format!("keeping mounts to the namespace: {e}"))
}

/// A /proc of our own processes, where that can be had: not where the host's /proc has parts hidden, as containers do.
pub fn own_proc() {
    let _ = mount("proc", "/proc", "proc", MountFlags::NOSUID | MountFlags::NODEV | MountFlags::NOEXEC, None);
}

/// Lets programs ask the resolver. Where /etc/resolv.conf is a link, what it leads to is what changes.
pub fn resolve_by_bulkhead() -> Result<(), String> {
    let failed = |what: &str| {
        let what = what.to_owned();
        move |e: Errno| format!("{what}: {e}")
    };
    // The file needs a file system, and that a place, for a moment: what is bound from it lives on.
    let Some(place) = ["/tmp", "/mnt", "/run"].into_iter().find(|p| Path::new(p).is_dir()) else {
        return Err("there is none of /tmp, /mnt, /run to prepare a resolv.conf in".into());
    };
    mount("tmpfs", place, "tmpfs", MountFlags::NOSUID | MountFlags::NODEV | MountFlags::NOEXEC, Some(c"mode=0755,size=64k"))
        .map_err(failed("mounting a tmpfs"))?;
    let file = Path::new(place).join("resolv.conf");
    let written = fs::write(&file, RESOLV_CONF).map_err(|e| format!("writing a resolv.conf: {e}"));
    let written = written.and_then(|()| rustix::fs::chmod(&file, Mode::from_bits_truncate(0o644)).map_err(failed("writing a resolv.conf")));
    let bound =
        written.and_then(|()| mount_bind(&file, "/etc/resolv.conf").map_err(failed("mounting a resolv.conf over /etc/resolv.conf")));
    let left = unmount(place, UnmountFlags::DETACH).map_err(failed("unmounting a tmpfs"));
    bound.and(left)?;
    for socket in OTHERS.into_iter().filter(|s| Path::new(s).exists()) {
        mount_bind("/dev/null", socket).map_err(failed(socket))?;
    }
    Ok(())
}
