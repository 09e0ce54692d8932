//! Subnets of a new network: checked, filled in, and cut from the default pools where none is named.

use crate::host::{Host, Mode};
use crate::ipam::{bounds, number, overlap, usable};
use crate::network::{Network, Subnet};
use crate::refusal::Faults;
use crate::request::{CreateNetwork, GatewayWish, SubnetWish};
use crate::settings::Settings;
use crate::state::State;
use ipnet::IpNet;
use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::Arc;

/// Smallest MTU that IPv6 allows, in bytes (RFC 8200 section 5).
pub const MTU_MIN_IPV6: u32 = 1280;
/// Most subnets that a network may have.
pub const SUBNETS_MAX: usize = 32;

/// The subnets as they will be. `on_segment`: the networks that share the segment; overlaps with those are refused.
pub fn fill_in(
    state: &State,
    host: &Host,
    settings: &Settings,
    wish: &CreateNetwork,
    on_segment: &[Arc<Network>],
    faults: &mut Faults,
    warnings: &mut Vec<String>,
) -> Vec<Subnet> {
    let mut out: Vec<Subnet> = Vec::new();
    if wish.subnets.len() > SUBNETS_MAX {
        faults.invalid("subnets", format!("{} subnets", wish.subnets.len()), format!("at most {SUBNETS_MAX}"));
        return out;
    }
    for (i, subnet) in wish.subnets.iter().enumerate() {
        let field = format!("subnets[{i}]");
        let Some(subnet) = one(wish, subnet, &field, faults, warnings) else { continue };
        if let Some(j) = out.iter().position(|s| overlap(&s.cidr, &subnet.cidr)) {
            faults.invalid(
                format!("{field}.cidr"),
                format!("{} overlaps subnets[{j}] {}", subnet.cidr, out[j].cidr),
                "subnets of a network must not overlap",
            );
        }
        for other in on_segment {
            if let Some(s) = other.subnets.iter().find(|s| overlap(&s.cidr, &subnet.cidr)) {
                let wrong = format!("{} overlaps {} of network {}, which is on the same segment", subnet.cidr, s.cidr, other.name);
                faults.conflict(format!("{field}.cidr"), wrong, "a range that no network on this segment uses");
            }
        }
        out.push(subnet);
    }
    for (v4, wanted) in [(true, wish.ipv4), (false, wish.ipv6)] {
        if !wanted || wish.subnets.iter().any(|s| s.cidr.addr().is_ipv4() == v4) {
            continue;
        }
        match from_pools(state, host, settings, &out, v4) {
            Some(cidr) => {
                let gateway = gateway_of(wish, None, &cidr, "gateway", faults, warnings);
                out.push(Subnet { cidr, gateway, ip_range: None, reserved: BTreeMap::new() });
            }
            None => {
                let family = if v4 { "IPv4" } else { "IPv6" };
                faults.conflict("subnets", format!("every {family} default pool is in use"), "name a subnet, or configure more pools");
            }
        }
    }
    if out.is_empty() && faults.is_empty() {
        faults.invalid("subnets", "neither a subnet nor a family to take one from", "a subnet, or ipv4 or ipv6 true");
    }
    let has_v6 = out.iter().any(|s| s.cidr.addr().is_ipv6());
    if let (Some(mtu), true) = (wish.mtu, has_v6)
        && mtu < MTU_MIN_IPV6
    {
        faults.invalid("mtu", format!("{mtu} is too small for IPv6"), "at least 1280 (RFC 8200 section 5)");
    }
    out
}

fn one(wish: &CreateNetwork, subnet: &SubnetWish, field: &str, faults: &mut Faults, warnings: &mut Vec<String>) -> Option<Subnet> {
    let cidr = subnet.cidr;
    if cidr.addr() != cidr.network() {
        faults.invalid(format!("{field}.cidr"), format!("{cidr} has host bits set"), format!("{}", cidr.trunc()));
        return None;
    }
    let bad = match cidr {
        IpNet::V4(n) => {
            let special: [(&str, IpNet); 4] = [
                ("multicast", IpNet::V4(ipnet::Ipv4Net::new_assert([224, 0, 0, 0].into(), 4))),
                ("loopback", IpNet::V4(ipnet::Ipv4Net::new_assert([127, 0, 0, 0].into(), 8))),
                ("\"this network\"", IpNet::V4(ipnet::Ipv4Net::new_assert([0, 0, 0, 0].into(), 8))),
                ("reserved", IpNet::V4(ipnet::Ipv4Net::new_assert([240, 0, 0, 0].into(), 4))),
            ];
            special.into_iter().find(|(_, s)| overlap(s, &IpNet::V4(n))).map(|(what, s)| format!("{cidr} overlaps the {what} range {s}"))
        }
        IpNet::V6(n) => {
            let special: [(&str, ipnet::Ipv6Net); 3] = [
                ("multicast", ipnet::Ipv6Net::new_assert("ff00::".parse().ok()?, 8)),
                ("link-local", ipnet::Ipv6Net::new_assert("fe80::".parse().ok()?, 10)),
                ("unspecified, loopback and IPv4-mapped", ipnet::Ipv6Net::new_assert("::".parse().ok()?, 64)),
            ];
            special
                .into_iter()
                .find(|(_, s)| overlap(&IpNet::V6(*s), &IpNet::V6(n)))
                .map(|(what, s)| format!("{cidr} overlaps the {what} range {s}"))
        }
    };
    if let Some(wrong) = bad {
        faults.invalid(format!("{field}.cidr"), wrong, "a unicast range, such as 10.20.0.0/24 or fd00:1:2::/64");
        return None;
    }
    let ip_range = subnet.ip_range.and_then(|range| {
        let at = format!("{field}.ip_range");
        if range.addr() != range.network() {
            faults.invalid(at, format!("{range} has host bits set"), format!("{}", range.trunc()));
            None
        } else if !cidr.contains(&range) {
            faults.invalid(at, format!("{range} is not within {cidr}"), format!("a part of {cidr}"));
            None
        } else {
            Some(range)
        }
    });
    let gateway = gateway_of(wish, subnet.gateway, &cidr, &format!("{field}.gateway"), faults, warnings);
    let mut reserved = BTreeMap::new();
    for (what, address) in &subnet.reserved {
        let at = format!("{field}.reserved.{what}");
        if let Err(fault) = crate::names::Name::new(what) {
            faults.invalid(at.clone(), fault.wrong, fault.right);
        }
        if !is_usable(&cidr, *address) {
            faults.invalid(at, format!("{address} is not a usable address of {cidr}"), usable_text(&cidr));
        } else if gateway == Some(*address) {
            faults.invalid(at, format!("{address} is the gateway already"), "leave it out");
        } else if let Some((other, _)) = reserved.iter().find(|(_, a)| *a == address) {
            faults.invalid(at, format!("{address} is reserved for {other} already"), "each address once");
        } else {
            reserved.insert(what.clone(), *address);
        }
    }
    Some(Subnet { cidr, gateway, ip_range, reserved })
}

/// The gateway that a subnet gets. In l3 and l3s there is none: the default route is the device.
fn gateway_of(
    wish: &CreateNetwork,
    own: Option<GatewayWish>,
    cidr: &IpNet,
    field: &str,
    faults: &mut Faults,
    warnings: &mut Vec<String>,
) -> Option<IpAddr> {
    let from_network = match wish.gateway {
        // A network-wide address is meant for the subnet that has it; the others go without.
        GatewayWish::Address(a) if !cidr.contains(&a) => GatewayWish::None,
        wish => wish,
    };
    gateway(wish.mode, own.unwrap_or(from_network), cidr, field, faults, warnings)
}

/// The gateway that a wish means in a subnet of a network of `mode`.
pub fn gateway(
    mode: Mode,
    given: GatewayWish,
    cidr: &IpNet,
    field: &str,
    faults: &mut Faults,
    warnings: &mut Vec<String>,
) -> Option<IpAddr> {
    if mode != Mode::L2 {
        if let GatewayWish::Address(a) = given {
            warnings.push(format!("{field}: {a} is ignored in mode {mode}: the default route is the device itself"));
        }
        return None;
    }
    match given {
        GatewayWish::None => None,
        GatewayWish::Address(a) if is_usable(cidr, a) => Some(a),
        GatewayWish::Address(a) => {
            faults.invalid(field, format!("{a} is not a usable address of {cidr}"), usable_text(cidr));
            None
        }
        // Both addresses of a /31 are for the two ends (RFC 3021); there is none to spare. The same holds for /32, /127, /128.
        GatewayWish::Auto => (!cidr_is_pair(cidr)).then(|| crate::ipam::address(cidr, usable(cidr).0)),
    }
}

fn cidr_is_pair(cidr: &IpNet) -> bool {
    cidr.max_prefix_len() - cidr.prefix_len() <= 1
}

fn is_usable(cidr: &IpNet, address: IpAddr) -> bool {
    let (low, high) = usable(cidr);
    address.is_ipv4() == cidr.addr().is_ipv4() && (low..=high).contains(&number(address))
}

fn usable_text(cidr: &IpNet) -> String {
    let (low, high) = usable(cidr);
    format!("{} to {}", crate::ipam::address(cidr, low), crate::ipam::address(cidr, high))
}

/// The first piece of a default pool that overlaps nothing in use: no network's subnet, no on-link route and no address of the host.
fn from_pools(state: &State, host: &Host, settings: &Settings, own: &[Subnet], v4: bool) -> Option<IpNet> {
    let of_networks = state.networks().flat_map(|n| n.subnets.iter().map(|s| s.cidr));
    let of_host = host.on_link.iter().copied().chain(host.links.values().flat_map(|l| l.addresses.iter().map(IpNet::trunc)));
    let mut used: Vec<(u128, u128)> = of_networks
        .chain(of_host)
        .chain(own.iter().map(|s| s.cidr))
        .filter(|n| n.addr().is_ipv4() == v4 && n.prefix_len() > 0)
        .map(|n| bounds(&n))
        .collect();
    used.sort_unstable();
    for pool in settings.pools.iter().filter(|p| p.base.addr().is_ipv4() == v4) {
        let (mut at, end) = bounds(&pool.base);
        let bits = u32::from(pool.base.max_prefix_len() - pool.size);
        let piece = 1_u128.checked_shl(bits)?;
        while at.checked_add(piece - 1).is_some_and(|last| last <= end) {
            let last = at + (piece - 1);
            // What is in use and begins at or before the piece's end; the widest of these may still cover it.
            let until = used.partition_point(|(first, _)| *first <= last);
            match used[..until].iter().map(|(_, l)| *l).max().filter(|l| *l >= at) {
                None => return IpNet::new(crate::ipam::address(&pool.base, at), pool.size).ok(),
                // Go on behind what is in the way, on the next boundary of a piece.
                Some(l) => at = (l / piece + 1).checked_mul(piece)?,
            }
        }
    }
    None
}
