//! Identifiers. All of them are drawn from a seed that comes in with the input, so that a replay draws the same ones.

use serde::{Deserialize, Serialize};
use std::{fmt, str::FromStr};

macro_rules! id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(pub u128);
        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{:032x}", self.0)
            }
        }
        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{:032x}", self.0)
            }
        }
        impl FromStr for $name {
            type Err = NotAnId;
            fn from_str(text: &str) -> Result<Self, NotAnId> {
                let plain = text.len() == 32 && text.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b));
                plain.then(|| u128::from_str_radix(text, 16).ok()).flatten().map(Self).ok_or(NotAnId)
            }
        }
        impl Serialize for $name {
            fn serialize<S: serde::Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
                s.collect_str(self)
            }
        }
        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: serde::Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
                String::deserialize(d)?.parse().map_err(serde::de::Error::custom)
            }
        }
    };
}

/// The text is not 32 lowercase hexadecimal digits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("an id is 32 lowercase hexadecimal digits")]
pub struct NotAnId;

id!(/// Identifies a network.
    NetworkId);
id!(/// Identifies an endpoint.
    EndpointId);
id!(/// Identifies a parent.
    ParentId);
id!(/// Identifies a plan.
    PlanId);
id!(/// Identifies one boot of the kernel: `/proc/sys/kernel/random/boot_id` without its dashes.
    BootId);

impl PlanId {
    /// When the plan was thought of.
    pub fn at(self) -> Timestamp {
        Timestamp((self.0 >> 80) as u64)
    }
}

/// Number of a decision in the log, from 1, without gaps.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct DecisionId(pub u64);

impl fmt::Display for DecisionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// Milliseconds since the Unix epoch, UTC.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Timestamp(pub u64);

/// A deterministic stream of ids, link indexes and MAC addresses (SplitMix64, Steele et al. 2014).
#[derive(Debug, Clone)]
pub struct Ids {
    state: u64,
    now: Timestamp,
}

impl Ids {
    /// The stream that `seed` gives; ids begin with `now`, so that they sort by time.
    pub fn new(seed: u64, now: Timestamp) -> Self {
        Self { state: seed, now }
    }

    fn next_u64(&mut self) -> u64 {
        self.state = self.state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.state;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// 48 bits of time, 80 of the stream.
    pub fn id(&mut self) -> u128 {
        let low = (u128::from(self.next_u64()) << 64) | u128::from(self.next_u64());
        (u128::from(self.now.0 & 0xffff_ffff_ffff) << 80) | (low & ((1 << 80) - 1))
    }

    /// A link index from the private high range 0x2000_0000 ..= 0x3fff_ffff. An index is unique per network namespace only,
    /// and the kernel refuses one that is taken (EBUSY).
    pub fn link_index(&mut self) -> crate::host::IfIndex {
        crate::host::IfIndex(0x2000_0000 | (self.next_u64() as u32 & 0x1fff_ffff))
    }

    /// A locally administered unicast MAC address (IEEE 802, first octet `x2`).
    pub fn mac(&mut self) -> crate::host::Mac {
        let [a, b, c, d, e, ..] = self.next_u64().to_le_bytes();
        crate::host::Mac([0x02, a, b, c, d, e])
    }
}
