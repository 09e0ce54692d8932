//! Black-box tests on a real kernel: they drive the built daemon over its socket and assert on what the kernel and the wire
//! show. Run by `scripts/test`, which finds a kernel with ipvlan for them; without one they fail, and say so.
#![allow(clippy::unwrap_used)] // A test that panics says where.

mod addresses;
mod bad_input;
mod builtins;
mod changes;
mod command;
mod crash;
mod denial;
mod drift;
mod evidence;
mod gates;
mod guides;
mod identity;
mod isolated;
mod modes;
mod modules;
mod names;
mod run;
mod shared;
mod shield;
mod support;
mod vlan;
