//! What the operator configured, as far as decisions depend on it.

use crate::caller::Grant;
use ipnet::IpNet;
use serde::{Deserialize, Serialize};

/// A range that subnets are cut from when a request names none.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DefaultPool {
    /// The range.
    pub base: IpNet,
    /// Prefix length of the pieces.
    pub size: u8,
}

/// Settings of the core.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Settings {
    /// Default pools, IPv4 and IPv6, in order.
    pub pools: Vec<DefaultPool>,
    /// How long a freed address is kept back, in seconds: neighbours' ARP caches still point to its last host.
    pub hold_back_s: u64,
    /// Who may assert which labels.
    pub grants: Vec<Grant>,
    /// Whether a create or attach that no enforcing policy judges is allowed (and recorded as unjudged).
    pub allow_unjudged: bool,
    /// Breaks in a row after which a policy is asked no more, and denies at once.
    pub breaks_max: u64,
}

impl Settings {
    /// Docker's pools (172.17.0.0/16 is left to docker0), and /64s of the ULA /48 `ula` (RFC 4193).
    pub fn new(ula: ipnet::Ipv6Net) -> Self {
        let mut pools: Vec<DefaultPool> =
            (18..=31u8).map(|n| DefaultPool { base: ipnet::Ipv4Net::new_assert([172, n, 0, 0].into(), 16).into(), size: 16 }).collect();
        pools.push(DefaultPool { base: ipnet::Ipv4Net::new_assert([192, 168, 0, 0].into(), 16).into(), size: 20 });
        pools.push(DefaultPool { base: ula.into(), size: 64 });
        Self { pools, hold_back_s: 60, grants: Vec::new(), allow_unjudged: false, breaks_max: 10 }
    }
}
