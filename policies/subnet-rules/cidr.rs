//! Address ranges, as little as these rules need.

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

/// Why a text is no range, and what would be right.
#[derive(Debug, PartialEq, Eq)]
pub struct NotACidr {
    pub wrong: &'static str,
    pub right: String,
}

impl Cidr {
    /// Reads a range; host bits must be zero.
    pub fn parse(text: &str) -> Result<Self, NotACidr> {
        let not = |wrong| NotACidr { wrong, right: "an address and a prefix length, such as 10.40.0.0/16 or fd00:40::/32".into() };
        let (address, length) = text.split_once('/').ok_or_else(|| not("has no prefix length"))?;
        let (is_ipv4, bits) = match address.parse::<IpAddr>() {
            Ok(IpAddr::V4(a)) => (true, u128::from(a.to_bits()) << 96),
            Ok(IpAddr::V6(a)) => (false, a.to_bits()),
            Err(_) => return Err(not("does not begin with an address")),
        };
        let longest = if is_ipv4 { 32 } else { 128 };
        let plain = !length.is_empty() && length.bytes().all(|b| b.is_ascii_digit());
        let length: u8 = length.parse().ok().filter(|l| plain && *l <= longest).ok_or_else(|| not("has no valid prefix length"))?;
        if bits & !mask(length) != 0 {
            return Err(NotACidr { wrong: "has host bits set", right: "the first address of the range".into() });
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
    fn what_is_no_range_is_refused() {
        for bad in
            ["", "10.0.0.0", "10.0.0.0/", "10.0.0.0/33", "10.0.0.0/+8", "10.0.0.1/8", "10.0.0/8", "fd00::/129", "fd00::1/64", "x/8", "/8"]
        {
            assert!(Cidr::parse(bad).is_err(), "{bad}");
        }
    }
}
