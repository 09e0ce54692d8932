//! Which of the kernel's abilities are missing here, found out without changing anything on the host.

use crate::encode;
use crate::seen;
use crate::socket::{Request, Socket};
use bulkhead_core::host::{IfIndex, Mac, VlanId};
use bulkhead_core::parent::ShieldHalves;
use rustix::io::Errno;
use std::collections::BTreeSet;
use std::fs;
use std::io;
use std::path::Path;

/// What we rest on, by the module that brings it.
const WANTED: [&str; 6] = ["ipvlan", "dummy", "8021q", "sch_ingress", "cls_bpf", "act_gact"];
/// 8021q cannot be loaded without these (net/8021q/Kconfig).
const VLAN_NEEDS: [&str; 4] = ["garp", "mrp", "stp", "llc"];

/// Names of the modules whose ability is missing: neither loaded, nor built in, nor there to be loaded.
///
/// The kernel does not list what is built into it, and a self-made one brings no modules.builtin; so what is on no list is
/// tried, in a network namespace of its own that ends with the thread. Nothing gets loaded by that: it was on no list.
pub(crate) fn missing() -> Vec<String> {
    let known = known();
    let mut missing: BTreeSet<&str> = WANTED.into_iter().filter(|module| !known.contains(*module)).collect();
    if !missing.is_empty() {
        match std::thread::spawn(tried).join() {
            Ok(Ok(works)) => missing.retain(|module| !works.contains(module)),
            Ok(Err(error)) => tracing::warn!(%error, "cannot try what the kernel can do; what is not listed counts as missing"),
            Err(_) => tracing::warn!("trying what the kernel can do failed"),
        }
    }
    if missing.contains("8021q") {
        missing.extend(VLAN_NEEDS.into_iter().filter(|module| !known.contains(*module)));
    }
    missing.into_iter().map(str::to_owned).collect()
}

/// Modules that are loaded, built in (as far as that is listed) or can be loaded.
fn known() -> BTreeSet<String> {
    let mut known = BTreeSet::new();
    let first_words = |text: String| text.lines().filter_map(|l| l.split_whitespace().next().map(str::to_owned)).collect::<Vec<_>>();
    known.extend(fs::read_to_string("/proc/modules").map(first_words).unwrap_or_default());
    known.extend(fs::read_dir("/sys/module").into_iter().flatten().flatten().map(|e| e.file_name().to_string_lossy().into_owned()));
    let release = fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    let folder = Path::new("/lib/modules").join(release.trim());
    // `kernel/net/sched/cls_bpf.ko.zst: …` and `kernel/net/sched/cls_bpf.ko` (depmod(8), kbuild).
    for (list, built_in) in [("modules.dep", false), ("modules.builtin", true)] {
        for line in fs::read_to_string(folder.join(list)).unwrap_or_default().lines() {
            let path = line.split(':').next().unwrap_or_default();
            let name = path.rsplit('/').next().and_then(|file| file.split(".ko").next());
            if built_in || folder.join(path).exists() {
                known.extend(name.map(|n| n.replace('-', "_")));
            }
        }
    }
    known
}

/// Tries each ability on the loopback of a fresh namespace, in which the calling thread stays.
fn tried() -> io::Result<BTreeSet<&'static str>> {
    // SAFETY: of what unshare can separate, only the network namespace is; descriptors stay shared with all threads.
    unsafe { rustix::thread::unshare_unsafe(rustix::thread::UnshareFlags::NEWNET) }?;
    let mut socket = Socket::open()?;
    let lo = seen::dump_links(&mut socket)?.map_err(|r| io::Error::from(r.errno))?.iter().find(|l| l.loopback).map_or(1, |l| l.index);
    let mut works = BTreeSet::new();
    // "Unknown device type" is EOPNOTSUPP (net/core/rtnetlink.c, `__rtnl_newlink`); any other refusal comes from the kind.
    let vlan = VlanId::new(1).map(|id| encode::add_vlan("v", IfIndex(77), IfIndex(lo), id));
    let kinds: [(&str, Option<Request>); 3] = [
        ("dummy", Some(encode::add_dummy("d", IfIndex(78), Mac([2, 0, 0, 0, 0, 1]), None))),
        ("8021q", vlan),
        ("ipvlan", Some(encode::orphan_ipvlan(IfIndex(79)))),
    ];
    for (module, request) in kinds {
        if let Some(request) = request {
            let refused = socket.batch(&[request])?.pop().and_then(Result::err);
            if refused.is_none_or(|r| r.errno != Errno::OPNOTSUPP) {
                works.insert(module);
            }
        }
    }
    let both = ShieldHalves { egress: true, ingress: true };
    match crate::shield::put_up(&mut socket, IfIndex(lo), both)? {
        Ok(()) => works.extend(["sch_ingress", "cls_bpf", "act_gact"]),
        // Without sch_ingress no qdisc was made; the words tell which of the others is not there.
        Err(refusal) => {
            if !crate::shield::candidates(&mut socket)?.map_err(|r| io::Error::from(r.errno))?.is_empty() {
                works.insert("sch_ingress");
                if refusal.text.as_deref().is_some_and(|t| t.contains("action")) {
                    works.insert("cls_bpf");
                }
            }
        }
    }
    Ok(works)
}

#[cfg(test)]
mod tests {
    #[test]
    fn asking_twice_gives_the_same_answer() {
        assert_eq!(super::missing(), super::missing());
    }
}
