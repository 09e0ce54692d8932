//! Two hosts on a switch, and workloads beside them.

use crate::{
    error::{Error, Result},
    namespace::Namespace,
};
use std::{
    net::IpAddr,
    process,
    sync::{
        OnceLock,
        atomic::{AtomicU32, Ordering},
    },
    time::Duration,
};

/// A VLAN device of the peer.
#[derive(Debug, Clone)]
pub struct Vlan {
    /// 1–4094.
    pub id: u16,
    /// With prefix length.
    pub addresses: Vec<String>,
}

/// What a lab is made like.
#[derive(Debug, Clone)]
pub struct Topology {
    /// In front of the names of its namespaces. Empty: `host`, `switch`, `peer` and the workloads' plain names.
    pub prefix: String,
    /// Addresses of the host's eth0.
    pub host: Vec<String>,
    /// Addresses of the peer's eth0.
    pub peer: Vec<String>,
    /// The peer's VLAN devices, eth0.ID.
    pub vlans: Vec<Vlan>,
}

impl Default for Topology {
    /// The networks of Docker's documentation: the peer has the gateways' addresses.
    fn default() -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let vlan = |id| Vlan { id, addresses: vec![format!("192.168.{id}.1/24"), format!("2001:db8:{id}::1/64")] };
        Self {
            prefix: format!("lab{}-{}-", process::id(), NEXT.fetch_add(1, Ordering::Relaxed)),
            host: vec!["192.168.1.250/24".into(), "2001:db8:1::250/64".into()],
            peer: vec!["192.168.1.1/24".into(), "2001:db8:1::1/64".into()],
            vlans: [30, 40, 50].map(vlan).into(),
        }
    }
}

/// `host` (where the daemon runs) and `peer` hang with their `eth0` on `switch`, a bridge that passes tagged frames untouched.
/// Labs do not know each other. All is gone on drop; drop daemons and workloads first, or their processes keep the namespaces alive.
#[derive(Debug)]
pub struct Lab {
    /// The host under test.
    pub host: Namespace,
    /// The switch between them.
    pub switch: Namespace,
    /// The second host.
    pub peer: Namespace,
    prefix: String,
}

impl Lab {
    /// The default topology.
    pub fn new() -> Result<Self> {
        Self::with(Topology::default())
    }

    /// A topology of one's own.
    pub fn with(topology: Topology) -> Result<Self> {
        let prefix = topology.prefix;
        let lab = Self {
            host: Namespace::create(&format!("{prefix}host"))?,
            switch: Namespace::create(&format!("{prefix}switch"))?,
            peer: Namespace::create(&format!("{prefix}peer"))?,
            prefix,
        };
        lab.needs_ipvlan()?;
        let (host, peer) = (lab.host.name(), lab.peer.name());
        // Multicast snooping would wait for a querier before it passes neighbour solicitations on.
        lab.switch.ip(&format!(
            "link add switch type bridge stp_state 0 mcast_snooping 0
             link add host type veth peer name eth0 address 02:00:00:00:00:01 netns {host}
             link add peer type veth peer name eth0 address 02:00:00:00:00:02 netns {peer}
             link set host master switch up
             link set peer master switch up
             link set switch up"
        ))?;
        let addresses = |link: &str, addresses: &[String]| -> String {
            addresses.iter().map(|address| format!("addr add {address} dev {link}\n")).collect()
        };
        lab.host.ip(&format!("link set eth0 up\n{}", addresses("eth0", &topology.host)))?;
        let mut lines = format!("link set eth0 up\n{}", addresses("eth0", &topology.peer));
        for Vlan { id, addresses: own } in &topology.vlans {
            lines += &format!("link add link eth0 name eth0.{id} type vlan id {id}\nlink set eth0.{id} up\n");
            lines += &addresses(&format!("eth0.{id}"), own);
        }
        lab.peer.ip(&lines)?;
        lab.wait_for_the_wire(&topology.peer)?;
        Ok(lab)
    }

    /// A namespace for a workload, empty but for `lo`. Its full name has the lab's prefix.
    pub fn workload(&self, name: &str) -> Result<Namespace> {
        Namespace::create(&format!("{}{name}", self.prefix))
    }

    /// A skipped test would look like a passed one: a kernel without ipvlan is an error, and a clear one.
    fn needs_ipvlan(&self) -> Result<()> {
        static MAKES_IPVLAN: OnceLock<()> = OnceLock::new();
        if MAKES_IPVLAN.get().is_some() {
            return Ok(());
        }
        self.host
            .ip("link add probe type dummy\nlink add probe0 link probe type ipvlan mode l2\nlink del probe")
            .map(|_| MAKES_IPVLAN.get_or_init(|| ()))
            .copied()
            .map_err(|error| Error::Unexpected(format!("this kernel makes no ipvlan links; run under scripts/with-kernel ({error})")))
    }

    /// The first frames after a link came up can get lost; better here than in a test.
    fn wait_for_the_wire(&self, peer: &[String]) -> Result<()> {
        for address in peer {
            let address: IpAddr = address
                .split('/')
                .next()
                .and_then(|address| address.parse().ok())
                .ok_or_else(|| Error::Unexpected(format!("{address} is not an address with a prefix length")))?;
            if !self.host.ping_within(address, Duration::from_secs(5))? {
                return Err(Error::Unexpected(format!("the host does not reach the peer at {address} over the switch")));
            }
        }
        Ok(())
    }
}
