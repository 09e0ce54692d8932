//! A small data centre made of network namespaces: a host with its `eth0`, a switch, a second host with VLANs, workloads.
//!
//! The black-box tests and `bulkhead demo` stand on it. It needs root of a kernel with ipvlan (`scripts/with-kernel` finds one) and
//! the programs ip, tc and strace. It knows nothing of Bulkhead's own crates: what it shows is what the kernel and the wire show.

mod client;
mod count;
mod daemon;
mod error;
mod frames;
mod links;
mod namespace;
mod packet;
mod ping;
mod topology;

pub use client::{Client, Response};
pub use count::Sent;
pub use daemon::{Daemon, Serve};
pub use error::{Error, Result};
pub use frames::{Attack, Report, Target, Targets, Via, attack, attack_all, attacks};
pub use namespace::Namespace;
pub use topology::{Lab, Topology, Vlan};
