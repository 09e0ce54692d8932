//! The real kernel, asserted by what it shows: links as dumps tell them, packets on the wire, never our own word for it.
//!
//! Needs root of a kernel with ipvlan (`scripts/with-kernel` finds one), and fails without it rather than pass unseen:
//! `cargo test -p bulkhead-kernel --test real` names it, plain `cargo test` leaves it out. Every test has a lab of its own.

#![allow(clippy::unwrap_used, reason = "a test may end that way")]

mod attach;
mod bed;
mod bench;
mod find;
mod host;
mod shield;
mod twin;
