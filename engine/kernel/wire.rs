//! Reading netlink messages: headers and attributes, by hand and without failing on what we do not know.
//!
//! Messages *to* the kernel are built with `netlink-packet-route`'s types. What comes *from* it is read here instead: a
//! typed decoder refuses a whole message for one attribute that a newer kernel made longer, and the mirror must not go
//! blind for that. Layout: include/uapi/linux/netlink.h; RFC 3549, section 2.3.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// Bytes of `struct nlmsghdr`.
pub(crate) const HEADER: usize = 16;

/// One netlink message.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Message<'a> {
    pub kind: u16,
    pub flags: u16,
    pub seq: u32,
    pub body: &'a [u8],
}

/// The messages of one datagram. Ends at the first that does not fit.
pub(crate) fn messages(datagram: &[u8]) -> impl Iterator<Item = Message<'_>> {
    let mut rest = datagram;
    std::iter::from_fn(move || {
        let length = u32_at(rest, 0)? as usize;
        if length < HEADER || length > rest.len() {
            return None;
        }
        let message = Message { kind: u16_at(rest, 4)?, flags: u16_at(rest, 6)?, seq: u32_at(rest, 8)?, body: &rest[HEADER..length] };
        rest = rest.get(align(length)..).unwrap_or_default();
        Some(message)
    })
}

/// The attributes (type without its flag bits, value) in `bytes`. Ends at the first that does not fit.
pub(crate) fn attributes(bytes: &[u8]) -> impl Iterator<Item = (u16, &[u8])> {
    let mut rest = bytes;
    std::iter::from_fn(move || {
        let length = usize::from(u16_at(rest, 0)?);
        if length < 4 || length > rest.len() {
            return None;
        }
        let attribute = (u16_at(rest, 2)? & netlink_packet_core::NLA_TYPE_MASK, &rest[4..length]);
        rest = rest.get(align(length)..).unwrap_or_default();
        Some(attribute)
    })
}

/// The value of the first attribute of type `kind`.
pub(crate) fn attribute(bytes: &[u8], kind: u16) -> Option<&[u8]> {
    attributes(bytes).find(|(k, _)| *k == kind).map(|(_, value)| value)
}

pub(crate) fn u16_at(bytes: &[u8], at: usize) -> Option<u16> {
    bytes.get(at..at + 2)?.try_into().ok().map(u16::from_ne_bytes)
}

pub(crate) fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    bytes.get(at..at + 4)?.try_into().ok().map(u32::from_ne_bytes)
}

pub(crate) fn i32_at(bytes: &[u8], at: usize) -> Option<i32> {
    bytes.get(at..at + 4)?.try_into().ok().map(i32::from_ne_bytes)
}

/// A string, up to its NUL.
pub(crate) fn text(bytes: &[u8]) -> String {
    let end = bytes.iter().position(|b| *b == 0).unwrap_or(bytes.len());
    String::from_utf8_lossy(&bytes[..end]).into_owned()
}

/// An IPv4 or IPv6 address, by its length.
pub(crate) fn address(bytes: &[u8]) -> Option<IpAddr> {
    match bytes.len() {
        4 => <[u8; 4]>::try_from(bytes).ok().map(|b| Ipv4Addr::from(b).into()),
        16 => <[u8; 16]>::try_from(bytes).ok().map(|b| Ipv6Addr::from(b).into()),
        _ => None,
    }
}

/// Netlink aligns messages and attributes to four bytes.
pub(crate) fn align(length: usize) -> usize {
    length.next_multiple_of(4)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_message_with_a_nested_attribute() {
        let bytes = [28, 0, 0, 0, 16, 0, 2, 0, 7, 0, 0, 0, 0, 0, 0, 0, 12, 0, 18, 0x80, 5, 0, 1, 0, b'x', 0, 0, 0];
        let message = messages(&bytes).next().unwrap();
        assert_eq!((message.kind, message.flags, message.seq), (16, 2, 7));
        assert_eq!(attribute(attribute(message.body, 18).unwrap(), 1), Some(&b"x"[..]));
    }

    proptest! {
        /// Whatever arrives is read without a panic, and the iterators end.
        #[test]
        fn odd_bytes_do_no_harm(bytes in proptest::collection::vec(any::<u8>(), 0..256)) {
            for message in messages(&bytes) {
                attributes(message.body).for_each(drop);
            }
            prop_assert!(attributes(&bytes).count() <= bytes.len() / 4 + 1);
        }
    }
}
