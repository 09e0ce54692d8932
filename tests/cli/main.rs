//! The built program on its command line: nothing here needs a daemon, root or a kernel.
#![allow(clippy::unwrap_used)] // A test that panics says where.

mod command;
mod policy_bench;
mod policy_new;
mod policy_test;
mod terminal;
