//! Which addresses of a subnet are free: a set of ranges, so that picking, taking and freeing cost the same at ten
//! addresses and at a /64.

use crate::network::Subnet;
use imbl::OrdMap;
use ipnet::IpNet;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// An address as a number within its family.
pub fn number(address: IpAddr) -> u128 {
    match address {
        IpAddr::V4(a) => u128::from(u32::from(a)),
        IpAddr::V6(a) => u128::from(a),
    }
}

/// The address of a number, in the family of `like`.
pub fn address(like: &IpNet, number: u128) -> IpAddr {
    match like {
        IpNet::V4(_) => IpAddr::V4(Ipv4Addr::from(u32::try_from(number).unwrap_or(u32::MAX))),
        IpNet::V6(_) => IpAddr::V6(Ipv6Addr::from(number)),
    }
}

/// First and last address of a network, as numbers.
pub fn bounds(net: &IpNet) -> (u128, u128) {
    (number(net.network()), number(net.broadcast()))
}

/// First and last address that a host may have: not the network's own address and not the broadcast address, but for IPv4 /31
/// both (RFC 3021) and for /32 and /128 the one; for IPv6 not the subnet-router anycast address (RFC 4291 section 2.6.1),
/// but for /127 both (RFC 6164).
pub fn usable(net: &IpNet) -> (u128, u128) {
    let (first, last) = bounds(net);
    match net {
        IpNet::V4(n) if n.prefix_len() >= 31 => (first, last),
        IpNet::V4(_) => (first + 1, last - 1),
        IpNet::V6(n) if n.prefix_len() >= 127 => (first, last),
        IpNet::V6(_) => (first + 1, last),
    }
}

/// Whether two networks share an address.
pub fn overlap(a: &IpNet, b: &IpNet) -> bool {
    a.addr().is_ipv4() == b.addr().is_ipv4() && {
        let ((a0, a1), (b0, b1)) = (bounds(a), bounds(b));
        a0 <= b1 && b0 <= a1
    }
}

/// Free addresses: disjoint inclusive ranges by their first address.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Free(OrdMap<u128, u128>);

impl Free {
    /// One range.
    pub fn range(first: u128, last: u128) -> Self {
        if first <= last { Self(OrdMap::unit(first, last)) } else { Self::default() }
    }
    /// The lowest free address.
    pub fn lowest(&self) -> Option<u128> {
        self.0.get_min().map(|(first, _)| *first)
    }
    /// Whether `n` is free.
    pub fn contains(&self, n: u128) -> bool {
        self.0.get_prev(&n).is_some_and(|(_, last)| n <= *last)
    }
    /// How many, saturating.
    pub fn count(&self) -> u128 {
        self.0.iter().fold(0_u128, |sum, (a, b)| sum.saturating_add((b - a).saturating_add(1)))
    }
    /// Takes `n`; nothing happens if it is not free.
    pub fn take(&mut self, n: u128) {
        let Some((&first, &last)) = self.0.get_prev(&n).filter(|(_, last)| n <= **last) else { return };
        self.0.remove(&first);
        if first < n {
            self.0.insert(first, n - 1);
        }
        if n < last {
            self.0.insert(n + 1, last);
        }
    }
    /// Frees `n`, joining its neighbours; nothing happens if it is free.
    pub fn free(&mut self, n: u128) {
        if self.contains(n) {
            return;
        }
        let (mut first, mut last) = (n, n);
        if let Some((&f, &l)) = self.0.get_prev(&n).filter(|(_, l)| l.checked_add(1) == Some(n)) {
            debug_assert!(l < n);
            self.0.remove(&f);
            first = f;
        }
        if let Some(after) = n.checked_add(1)
            && let Some(&l) = self.0.get(&after)
        {
            self.0.remove(&after);
            last = l;
        }
        self.0.insert(first, last);
    }
}

/// What a subnet hands out from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pool {
    /// The subnet.
    pub subnet: Subnet,
    /// Handed out by itself: the subnet's `ip_range`, or all of it.
    auto: Free,
    /// What a request may name: usable, not reserved, not taken (also outside `ip_range`).
    all: Free,
}

impl Pool {
    /// All that `subnet` may hand out.
    pub fn new(subnet: &Subnet) -> Self {
        let (low, high) = usable(&subnet.cidr);
        // An ip_range's own first and last address are usable, as long as the subnet's are.
        let (from, to) = subnet.ip_range.as_ref().map_or((low, high), bounds);
        let mut pool = Self { subnet: subnet.clone(), auto: Free::range(from.max(low), to.min(high)), all: Free::range(low, high) };
        for held in subnet.gateway.iter().chain(subnet.reserved.values()) {
            pool.take(*held);
        }
        pool
    }
    /// The next address to hand out.
    pub fn next(&self) -> Option<IpAddr> {
        self.auto.lowest().map(|n| address(&self.subnet.cidr, n))
    }
    /// Whether a request may name `wanted`.
    pub fn is_free(&self, wanted: IpAddr) -> bool {
        self.all.contains(number(wanted))
    }
    /// What a request may name, as inclusive ranges in order.
    pub fn free(&self) -> impl Iterator<Item = (u128, u128)> {
        self.all.0.iter().map(|(first, last)| (*first, *last))
    }
    /// How many addresses are left to hand out.
    pub fn left(&self) -> u128 {
        self.auto.count()
    }
    /// Takes an address.
    pub fn take(&mut self, taken: IpAddr) {
        self.auto.take(number(taken));
        self.all.take(number(taken));
    }
    /// Gives an address back.
    pub fn give_back(&mut self, freed: IpAddr) {
        let n = number(freed);
        self.all.free(n);
        if self.subnet.ip_range.as_ref().is_none_or(|r| r.contains(&freed)) {
            self.auto.free(n);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::{BTreeMap, BTreeSet};

    fn subnet(cidr: &str, gateway: Option<&str>, range: Option<&str>) -> Subnet {
        Subnet {
            cidr: cidr.parse().unwrap(),
            gateway: gateway.map(|g| g.parse().unwrap()),
            ip_range: range.map(|r| r.parse().unwrap()),
            reserved: BTreeMap::new(),
        }
    }

    fn drain(mut pool: Pool) -> Vec<String> {
        std::iter::from_fn(|| {
            let next = pool.next()?;
            pool.take(next);
            Some(next.to_string())
        })
        .collect()
    }

    #[test]
    fn a_slash_30_gives_what_is_neither_network_broadcast_nor_gateway() {
        assert_eq!(drain(Pool::new(&subnet("10.0.0.0/30", Some("10.0.0.1"), None))), ["10.0.0.2"]);
    }

    #[test]
    fn a_slash_31_gives_both_and_a_slash_32_its_one() {
        assert_eq!(drain(Pool::new(&subnet("10.0.0.0/31", None, None))), ["10.0.0.0", "10.0.0.1"]);
        assert_eq!(drain(Pool::new(&subnet("10.0.0.7/32", None, None))), ["10.0.0.7"]);
    }

    #[test]
    fn the_first_and_last_of_an_ip_range_are_usable_but_not_the_subnets() {
        let all = drain(Pool::new(&subnet("192.168.1.0/24", None, Some("192.168.1.252/30"))));
        assert_eq!(all, ["192.168.1.252", "192.168.1.253", "192.168.1.254"]);
    }

    #[test]
    fn an_ipv6_subnet_starts_after_the_anycast_address() {
        assert_eq!(Pool::new(&subnet("2001:db8::/64", None, None)).next().unwrap().to_string(), "2001:db8::1");
    }

    proptest! {
        /// Against a plain set: take and free in any order, never an address twice, ranges stay joined.
        #[test]
        fn ranges_behave_as_a_set(ops in prop::collection::vec((any::<bool>(), 0u128..40), 0..200)) {
            let mut free = Free::range(5, 30);
            let mut model: BTreeSet<u128> = (5..=30).collect();
            for (take, n) in ops {
                if take { free.take(n); model.remove(&n); } else { free.free(n); model.insert(n); }
                prop_assert_eq!(free.lowest(), model.first().copied());
                prop_assert_eq!(free.count(), model.len() as u128);
                for n in 0..40 { prop_assert_eq!(free.contains(n), model.contains(&n)); }
                let ranges: Vec<(u128, u128)> = free.0.iter().map(|(a, b)| (*a, *b)).collect();
                prop_assert!(ranges.windows(2).all(|w| w[0].1 + 1 < w[1].0), "joined and sorted: {:?}", ranges);
            }
        }
    }
}
