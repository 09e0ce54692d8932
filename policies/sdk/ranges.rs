//! Address ranges, as little as policies need.

use std::net::IpAddr;

/// A range such as `10.40.0.0/16` or `fd00:40::/32`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cidr {
    written: String,
    is_ipv4: bool,
    /// The first address, from the highest bit on, whatever the family.
    bits: u128,
    length: u8,
}

/// Addresses from one to another: a single one, a CIDR range, or any two with a dash between them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Range {
    written: String,
    is_ipv4: bool,
    /// As in [`Cidr`].
    first: u128,
    last: u128,
}

/// Why a text is no range, and what would be right.
#[derive(Debug, PartialEq, Eq)]
pub struct NotARange {
    /// What is wrong with it.
    pub wrong: &'static str,
    /// What would be right.
    pub right: String,
}

/// Whether it is IPv4, and its number from the highest bit on.
fn number(address: IpAddr) -> (bool, u128) {
    match address {
        IpAddr::V4(a) => (true, u128::from(a.to_bits()) << 96),
        IpAddr::V6(a) => (false, a.to_bits()),
    }
}

impl Cidr {
    /// Reads a range; host bits must be zero.
    pub fn parse(text: &str) -> Result<Self, NotARange> {
        let not = |wrong| NotARange { wrong, right: "an address and a prefix length, such as 10.40.0.0/16 or fd00:40::/32".into() };
        let (address, length) = text.split_once('/').ok_or_else(|| not("has no prefix length"))?;
        let (is_ipv4, bits) = number(address.parse().map_err(|_| not("does not begin with an address"))?);
        let longest = if is_ipv4 { 32 } else { 128 };
        let plain = !length.is_empty() && length.bytes().all(|b| b.is_ascii_digit());
        let length: u8 = length.parse().ok().filter(|l| plain && *l <= longest).ok_or_else(|| not("has no valid prefix length"))?;
        if bits & !mask(length) != 0 {
            return Err(NotARange { wrong: "has host bits set", right: "the first address of the range".into() });
        }
        Ok(Self { written: text.into(), is_ipv4, bits, length })
    }

    /// As it was written.
    pub fn written(&self) -> &str {
        &self.written
    }

    /// Whether it is IPv4.
    pub fn is_ipv4(&self) -> bool {
        self.is_ipv4
    }

    /// Its prefix length.
    pub fn prefix_length(&self) -> u8 {
        self.length
    }

    /// Whether all of `inner` lies in this range.
    pub fn contains(&self, inner: &Cidr) -> bool {
        self.is_ipv4 == inner.is_ipv4 && inner.length >= self.length && inner.bits & mask(self.length) == self.bits
    }
}

impl Range {
    /// Reads `10.40.0.7`, `10.40.0.0/28` or `10.40.0.10-10.40.0.19`.
    pub fn parse(text: &str) -> Result<Self, NotARange> {
        let written = text.into();
        if text.contains('/') {
            let Cidr { is_ipv4, bits, length, .. } = Cidr::parse(text)?;
            return Ok(Self { written, is_ipv4, first: bits, last: bits | !mask(length) });
        }
        let not = |wrong| NotARange { wrong, right: "such as 10.40.0.7, 10.40.0.0/28 or 10.40.0.10-10.40.0.19".into() };
        let read = |text: &str| text.parse().map(number).map_err(|_| not("is no address and no range of addresses"));
        let (first, last) = text.split_once('-').unwrap_or((text, text));
        let ((is_ipv4, first), (same, last)) = (read(first)?, read(last)?);
        if is_ipv4 != same {
            return Err(not("goes from one family to the other"));
        }
        if first > last {
            return Err(not("begins above its end"));
        }
        Ok(Self { written, is_ipv4, first, last })
    }

    /// As it was written.
    pub fn written(&self) -> &str {
        &self.written
    }

    /// Whether it is IPv4.
    pub fn is_ipv4(&self) -> bool {
        self.is_ipv4
    }

    /// Whether the address that the text says lies in this range.
    pub fn has(&self, address: &str) -> bool {
        address.parse().is_ok_and(|a| {
            let (is_ipv4, n) = number(a);
            is_ipv4 == self.is_ipv4 && (self.first..=self.last).contains(&n)
        })
    }

    /// Whether the two have an address in common.
    pub fn meets(&self, cidr: &Cidr) -> bool {
        self.is_ipv4 == cidr.is_ipv4 && self.first <= cidr.bits | !mask(cidr.length) && cidr.bits <= self.last
    }
}

/// The highest `length` bits.
fn mask(length: u8) -> u128 {
    u128::MAX.checked_shl(128 - u32::from(length)).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cidr(text: &str) -> Cidr {
        Cidr::parse(text).unwrap_or_else(|e| panic!("{text} {e:?}"))
    }

    #[test]
    fn ranges_contain_what_lies_in_them() {
        for (outer, inner, is_in) in [
            ("10.40.0.0/16", "10.40.0.0/16", true),
            ("10.40.0.0/16", "10.40.255.0/24", true),
            ("10.40.0.0/16", "10.41.0.0/24", false),
            ("10.40.0.0/16", "10.0.0.0/8", false),
            ("0.0.0.0/0", "192.168.1.0/24", true),
            ("0.0.0.0/0", "::/0", false),
            ("::/0", "0.0.0.0/0", false),
            ("fd00:40::/32", "fd00:40:1::/64", true),
            ("fd00:40::/32", "fd00:41::/64", false),
            ("10.0.0.1/32", "10.0.0.1/32", true),
            ("fd00::1/128", "fd00::1/128", true),
        ] {
            assert_eq!(cidr(outer).contains(&cidr(inner)), is_in, "{inner} in {outer}");
        }
    }

    #[test]
    fn a_range_has_its_ends_and_what_is_between() {
        for (range, has, has_not) in [
            ("10.0.0.7", vec!["10.0.0.7"], vec!["10.0.0.6", "10.0.0.8", "::10.0.0.7", "", "10.0.0.7/32"]),
            ("10.0.0.8/29", vec!["10.0.0.8", "10.0.0.15"], vec!["10.0.0.7", "10.0.0.16"]),
            ("10.0.0.9-10.0.1.2", vec!["10.0.0.9", "10.0.0.255", "10.0.1.2"], vec!["10.0.0.8", "10.0.1.3"]),
            ("fd00::1-fd00::f", vec!["fd00::1", "fd00:0::000f"], vec!["fd00::10", "fd00::"]),
            ("0.0.0.0/0", vec!["255.255.255.255"], vec!["::"]),
        ] {
            let read = Range::parse(range).unwrap_or_else(|e| panic!("{range} {e:?}"));
            assert!(has.iter().all(|a| read.has(a)) && !has_not.iter().any(|a| read.has(a)), "{range}");
        }
        for (range, net, does) in [
            ("10.0.0.7", "10.0.0.0/24", true),
            ("10.0.1.7", "10.0.0.0/24", false),
            ("10.0.0.255-10.0.1.7", "10.0.0.0/24", true),
            ("10.0.0.0/8", "10.0.0.0/24", true),
            ("10.0.1.0-10.0.2.0", "10.0.0.0/24", false),
            ("::/0", "10.0.0.0/24", false),
            ("fd00::5", "fd00::/64", true),
        ] {
            assert_eq!(Range::parse(range).unwrap_or_else(|e| panic!("{range} {e:?}")).meets(&cidr(net)), does, "{range} {net}");
        }
        for bad in ["", "-", "10.0.0.1-", "10.0.0.2-10.0.0.1", "10.0.0.1-fd00::1", "10.0.0.1/24", "10.0.0.1-10.0.0.2-10.0.0.3", "x"] {
            assert!(Range::parse(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn what_is_no_range_is_refused() {
        for bad in
            ["", "10.0.0.0", "10.0.0.0/", "10.0.0.0/33", "10.0.0.0/+8", "10.0.0.1/8", "10.0.0/8", "fd00::/129", "fd00::1/64", "x/8", "/8"]
        {
            assert!(Cidr::parse(bad).is_err(), "{bad}");
        }
    }
}
