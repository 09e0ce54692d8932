//! Clock and seeds: the world's part of an input.

use bulkhead_core::ids::Timestamp;
use std::time::{Instant, SystemTime, UNIX_EPOCH};

/// Now, by the system's clock.
pub fn now() -> Timestamp {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Timestamp(u64::try_from(since.as_millis()).unwrap_or(u64::MAX))
}

/// Microseconds since the boot, by the clock that nobody sets (CLOCK_BOOTTIME).
pub fn up_us() -> u64 {
    let mut up = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: writes one timespec, which lives here, and fails only for a clock that there is not (it is there since 2.6.39): then
    // it writes nothing, and the time is 0.
    unsafe { libc::clock_gettime(libc::CLOCK_BOOTTIME, &mut up) };
    let us = up.tv_sec.saturating_mul(1_000_000).saturating_add(up.tv_nsec / 1_000);
    u64::try_from(us).unwrap_or_default()
}

/// Microseconds from `since` to now.
pub fn took_us(since: Instant) -> u64 {
    u64::try_from(since.elapsed().as_micros()).unwrap_or(u64::MAX)
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
