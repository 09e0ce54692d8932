//! Speaks netlink; the only crate that does.
//!
//! [`LinuxKernel`] is the [`Kernel`](bulkhead_core::kernel::Kernel) of this machine. [`netns`] opens the namespaces that
//! requests name. [`sim`] is a kernel of plain data for tests.

mod apply;
mod encode;
mod error;
pub mod find;
mod inside;
mod mirror;
mod modules;
pub mod netns;
mod observe;
pub mod resolver;
mod run;
mod seen;
mod shield;
pub mod sim;
mod socket;
mod wire;

pub use apply::LinuxKernel;
pub use error::KernelError;
pub use netns::{boot_id, own_cookie};
pub use socket::{Sent, sent};
