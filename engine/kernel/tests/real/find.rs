//! Namespaces: refused when they should be, found again as long as anybody holds them, and gone when nobody does.

use crate::bed::{Bed, Result, Wish, boot, failure, soon};
use bulkhead_core::endpoint::{Netns, NetnsId};
use bulkhead_core::kernel::Kernel;
use bulkhead_core::observed::NetnsSeen;
use bulkhead_core::plan::Settled;
use bulkhead_kernel::find::{self, Found};
use bulkhead_kernel::netns::{self, NetnsWish};
use std::os::fd::AsFd;
use std::process::{Child, Command, Stdio};

/// Ends the process when dropped.
struct Running(Child);
impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}
impl Running {
    fn pid(&self) -> i32 {
        self.0.id() as i32
    }
}

fn there(netns: &Netns) -> bool {
    matches!(find::find(netns), Found::There(_))
}

fn gone(netns: &Netns) -> bool {
    matches!(find::find(netns), Found::Gone)
}

/// A record with nothing in it that leads there but the inode.
fn nameless(netns: &Netns) -> Netns {
    Netns { named: "/run/netns/none".into(), ..netns.clone() }
}

#[test]
fn found_by_path_by_mount_by_process_and_by_descriptor() -> Result {
    let bed = Bed::new()?;
    let a = bed.lab.workload("a")?;
    let record = bed.open(&a)?.record;
    assert!(there(&record), "by the recorded path");
    assert!(there(&nameless(&record)), "by what is mounted");
    let process = Running(a.spawn(Command::new("sleep").arg("1000"))?);
    // Another process, in the host's namespace, with a descriptor of it.
    let holder = Running(Command::new("sleep").arg("1000").stdin(std::fs::File::open(a.path())?).spawn()?);
    drop(a);
    assert!(!std::path::Path::new(&record.named).exists());
    assert!(there(&record), "by a process");
    drop(process);
    assert!(there(&record), "by a descriptor");
    drop(holder);
    soon("nobody holds it", || gone(&record));
    Ok(())
}

/// A process that left a namespace, and kept a socket that it had opened there.
#[test]
fn found_by_a_socket_that_alone_keeps_it_alive() -> Result {
    let bed = Bed::new()?;
    let a = bed.lab.workload("a")?;
    let record = bed.open(&a)?.record;
    let socket = a.enter(|| std::net::UdpSocket::bind("127.0.0.1:0"))??;
    drop(a);
    // A resolver's own socket must not keep what it answers for.
    soon("a socket of this process holds it for nobody", || gone(&record));
    let holder = Running(Command::new("sleep").arg("1000").stdin(std::os::fd::OwnedFd::from(socket)).spawn()?);
    assert!(there(&record), "by a socket of another process");
    drop(holder);
    soon("nobody holds it", || gone(&record));
    Ok(())
}

#[test]
fn found_in_another_mount_namespace() -> Result {
    let bed = Bed::new()?;
    let a = bed.lab.workload("a")?;
    let record = bed.open(&a)?.record;
    // As rootless podman keeps them: mounted where only its own processes see it.
    let script = format!(
        "mount --make-rprivate / && mount -t tmpfs none /mnt && touch /mnt/ns && mount --bind {} /mnt/ns && exec sleep 1000",
        a.path().display()
    );
    let holder = Running(Command::new("unshare").args(["-m", "sh", "-c", &script]).spawn()?);
    let inside = format!("/proc/{}/root/mnt/ns", holder.pid());
    let inode = record.inode;
    soon("it is mounted there", || {
        use std::os::unix::fs::MetadataExt;
        std::fs::metadata(&inside).is_ok_and(|m| m.ino() == inode)
    });
    drop(a);
    assert!(there(&record));
    drop(holder);
    soon("nobody holds it", || gone(&record));
    Ok(())
}

#[test]
fn another_namespace_with_the_same_name_or_inode_is_not_it() -> Result {
    let bed = Bed::new()?;
    let a = bed.lab.workload("a")?;
    let record = bed.open(&a)?.record;
    let other_cookie = Netns { id: NetnsId { cookie: record.id.cookie + 1_000_000, ..record.id }, ..record.clone() };
    assert!(gone(&other_cookie), "same path and inode, another cookie");
    drop(a);
    let again = bed.lab.workload("a")?;
    let new = bed.open(&again)?.record;
    assert_eq!(new.named, record.named);
    assert!(gone(&record) && there(&new));
    assert_eq!(new.id.boot, boot());
    Ok(())
}

#[test]
fn many_are_found_in_one_go() -> Result {
    let bed = Bed::new()?;
    let namespaces = (0..20).map(|n| bed.lab.workload(&format!("n{n}"))).collect::<std::result::Result<Vec<_>, _>>()?;
    let mut records = namespaces.iter().map(|n| Ok(nameless(&bed.open(n)?.record))).collect::<Result<Vec<_>>>()?;
    records.insert(7, Netns { id: NetnsId { cookie: 1 << 50, boot: boot() }, inode: 1, named: "/none".into() });
    let found = find::find_all(&records);
    assert_eq!(found.iter().filter(|f| matches!(f, Found::There(_))).count(), 20);
    assert!(matches!(found[7], Found::Gone));
    for (record, found) in records.iter().zip(&found) {
        if let Found::There(fd) = found {
            assert_eq!(netns::cookie(fd)?, record.id.cookie);
        }
    }
    Ok(())
}

#[test]
fn the_hosts_and_inits_namespaces_are_refused() -> Result {
    let bed = Bed::new()?;
    let refused = |wish: &NetnsWish| bed.lab.host.enter(|| netns::open(wish)).map(|r| r.map(|n| n.record).map_err(|f| f.to_string()));
    let own = refused(&NetnsWish::Path(bed.lab.host.path().to_string_lossy().into_owned()))?;
    assert!(own.as_ref().is_err_and(|e| e.contains("is the daemon's own network namespace")), "{own:?}");
    let own = refused(&NetnsWish::Name(bed.lab.host.name().into()))?;
    assert!(own.as_ref().is_err_and(|e| e.contains("name: ") && e.contains("the daemon's own")), "{own:?}");
    for wish in [NetnsWish::Pid(1), NetnsWish::Path("/proc/1/ns/net".into())] {
        let init = refused(&wish)?;
        assert!(init.as_ref().is_err_and(|e| e.contains("that of process 1")), "{init:?}");
    }
    Ok(())
}

#[test]
fn named_by_a_process_it_is_the_processs_and_its_owner_may() -> Result {
    let bed = Bed::new()?;
    let a = bed.lab.workload("a")?;
    let mut command = Command::new("setpriv");
    command.args(["--reuid=4711", "--regid=4711", "--clear-groups", "sleep", "1000"]);
    let process = Running(a.spawn(&mut command)?);
    let wish = NetnsWish::Pid(process.pid());
    let status = format!("/proc/{}/status", process.pid());
    soon("it runs as 4711", || std::fs::read_to_string(&status).is_ok_and(|s| s.contains("Uid:\t4711\t4711")));
    let by_pid = bed.lab.host.enter(|| netns::open(&wish))?.map_err(|f| f.to_string())?;
    let by_path = bed.open(&a)?;
    assert_eq!(by_pid.record.id, by_path.record.id);
    assert!(by_pid.owned_by(4711) && !by_pid.owned_by(4712));
    assert!(!by_path.owned_by(4711) && by_path.owned_by(0), "the path alone says nothing of the process");
    drop(process);
    let fault = bed.lab.host.enter(|| netns::open(&wish))?.map(|n| n.record).map_err(|f| f.to_string());
    assert!(fault.as_ref().is_err_and(|f| f.starts_with("pid: ")), "{fault:?}");
    Ok(())
}

#[test]
fn owned_by_the_maker_of_its_user_namespace() -> Result {
    let bed = Bed::new()?;
    let mut command = Command::new("setpriv");
    command.args(["--reuid=4711", "--regid=4711", "--clear-groups", "unshare", "-Urn", "sh", "-c", "echo up; exec sleep 1000"]);
    let mut process = Running(command.stdout(Stdio::piped()).spawn()?);
    let mut line = [0; 3];
    std::io::Read::read_exact(process.0.stdout.as_mut().ok_or("no output")?, &mut line)?;
    let path = format!("/proc/{}/ns/net", process.pid());
    let open = bed.lab.host.enter(|| netns::open(&NetnsWish::Path(path)))?.map_err(|f| f.to_string())?;
    assert!(open.owned_by(4711) && !open.owned_by(0) && !open.owned_by(4712));
    assert!(netns::owned_by(open.fd.as_fd(), 4711));
    Ok(())
}

#[test]
fn a_namespace_that_vanished_fails_a_making_and_is_fine_for_a_removal() -> Result {
    let bed = Bed::new()?;
    let a = bed.lab.workload("a")?;
    let record = bed.open(&a)?.record;
    drop(a);
    soon("it is gone", || gone(&record));
    let wish = Wish::v4(bed.eth0, 30);
    let (step, why) = failure(bed.apply(&wish.attach(&record), None))?;
    assert_eq!((step, why), (0, format!("network namespace {} is gone", record.named)));
    assert_eq!(bed.apply(&wish.detach(&record), None), Settled::Done);
    assert_eq!(bed.kernel.undo(&crate::bed::recorded(&wish.attach(&record))), Settled::Done);
    assert_eq!(bed.kernel.observe(std::slice::from_ref(&record)).namespaces.get(&record.id), Some(&NetnsSeen::Gone));
    Ok(())
}

/// What the request opened is what is used, whatever its path leads to by then; afterwards nothing keeps it alive.
#[test]
fn the_descriptor_of_the_request_counts_and_is_let_go() -> Result {
    let bed = Bed::new()?;
    let a = bed.lab.workload("a")?;
    let open = bed.open(&a)?;
    let record = open.record.clone();
    drop(a);
    let other = bed.lab.workload("a")?;
    let empty = other.links()?;
    let wish = Wish::v4(bed.eth0, 31);
    assert_eq!(bed.apply(&wish.attach(&record), Some(&open)), Settled::Done);
    assert_eq!(other.links()?, empty);
    drop(open);
    soon("it went with the request", || gone(&record));
    let free = || bed.open(&other).is_ok_and(|n| bed.apply(&wish.attach(&n.record), Some(&n)) == Settled::Done);
    soon("and its address is free again", free);
    Ok(())
}
