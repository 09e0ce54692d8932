//! Clock and seeds: the world's part of an input.

use bulkhead_core::ids::Timestamp;
use std::time::{SystemTime, UNIX_EPOCH};

/// Now, by the system's clock.
pub fn now() -> Timestamp {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Timestamp(u64::try_from(since.as_millis()).unwrap_or(u64::MAX))
}

/// A seed for ids, from the kernel's random source.
pub fn seed() -> u64 {
    let mut bytes = [0_u8; 8];
    let filled = rustix::rand::getrandom(&mut bytes, rustix::rand::GetRandomFlags::empty());
    match filled {
        Ok(8) => u64::from_ne_bytes(bytes),
        // Cannot happen for so few bytes after boot; the clock keeps ids unique even then.
        _ => now().0.rotate_left(32) ^ u64::from(std::process::id()),
    }
}
