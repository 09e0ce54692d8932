//! Which networks have which subnets: finds those that overlap a range without a look at all the others.

use crate::ids::NetworkId;
use crate::ipam::{bounds, overlap};
use imbl::{OrdMap, OrdSet};
use ipnet::IpNet;
use std::collections::BTreeSet;

/// A subnet: whether it is IPv4, its first address and its prefix length.
type Key = (bool, u128, u8);

/// Subnets and whose they are. Two subnets overlap only where one holds the other, so those that hold a range are looked up by
/// their prefix length, and those within it lie side by side.
#[derive(Debug, Clone, Default)]
pub struct Ranges {
    of: OrdMap<Key, OrdSet<NetworkId>>,
    /// How many subnets there are of each prefix length: only these are worth a look.
    lengths: OrdMap<(bool, u8), u32>,
}

fn key(cidr: &IpNet) -> Key {
    (cidr.addr().is_ipv4(), bounds(cidr).0, cidr.prefix_len())
}

impl Ranges {
    /// Nothing is in use.
    pub fn new() -> Self {
        Self::default()
    }

    /// `network` has the subnet `cidr`.
    pub fn add(&mut self, cidr: &IpNet, network: NetworkId) {
        let key = key(cidr);
        if !self.of.contains_key(&key) {
            *self.lengths.entry((key.0, key.2)).or_default() += 1;
        }
        self.of.entry(key).or_default().insert(network);
    }

    /// `network` has it no longer.
    pub fn remove(&mut self, cidr: &IpNet, network: NetworkId) {
        let key = key(cidr);
        let Some(networks) = self.of.get_mut(&key) else { return };
        networks.remove(&network);
        if !networks.is_empty() {
            return;
        }
        self.of.remove(&key);
        if let Some(count) = self.lengths.get_mut(&(key.0, key.2)) {
            *count -= 1;
            if *count == 0 {
                self.lengths.remove(&(key.0, key.2));
            }
        }
    }

    /// The networks with a subnet that has an address in common with `cidr`.
    pub fn overlapping(&self, cidr: &IpNet) -> BTreeSet<NetworkId> {
        let v4 = cidr.addr().is_ipv4();
        let (first, last) = bounds(cidr);
        let mut found: BTreeSet<NetworkId> = self.of.range((v4, first, 0)..=(v4, last, u8::MAX)).flat_map(|(_, n)| n).copied().collect();
        for (_, length) in self.lengths.range((v4, 0)..(v4, cidr.prefix_len())).map(|(key, _)| *key) {
            let Ok(wider) = IpNet::new(cidr.addr(), length).map(|n| n.trunc()) else { continue };
            debug_assert!(overlap(&wider, cidr));
            found.extend(self.of.get(&key(&wider)).into_iter().flatten());
        }
        found
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::net::{Ipv4Addr, Ipv6Addr};

    /// Few bits, so that much overlaps.
    fn cidrs() -> impl Strategy<Value = IpNet> {
        let v4 = (0..64_u32, 24..=32_u8).prop_map(|(n, p)| IpNet::new(Ipv4Addr::from(0x0a00_0000 + n * 8).into(), p));
        let v6 = (0..64_u128, 0..=128_u8).prop_map(|(n, p)| IpNet::new(Ipv6Addr::from((0xfd << 120) + n).into(), p));
        prop_oneof![v4, v6].prop_map(|n| n.expect("a prefix length that fits").trunc())
    }

    proptest! {
        #[test]
        fn finds_what_a_look_at_all_finds(nets in prop::collection::vec((cidrs(), 0..8_u128, any::<bool>()), 0..40), asked in cidrs()) {
            let mut ranges = Ranges::new();
            let mut all: BTreeSet<(IpNet, NetworkId)> = BTreeSet::new();
            for (cidr, id, goes) in &nets {
                let id = NetworkId(*id);
                ranges.add(cidr, id);
                all.insert((*cidr, id));
                if *goes {
                    ranges.remove(cidr, id);
                    all.remove(&(*cidr, id));
                }
            }
            let wanted: BTreeSet<NetworkId> = all.iter().filter(|(c, _)| overlap(c, &asked)).map(|(_, id)| *id).collect();
            prop_assert_eq!(ranges.overlapping(&asked), wanted);
            for (cidr, id) in &all {
                ranges.remove(cidr, *id);
            }
            prop_assert!(ranges.of.is_empty() && ranges.lengths.is_empty());
        }
    }
}
