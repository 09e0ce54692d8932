//! The way of every change: request → decide → record → apply → settle.
//!
//! [`engine`] tells the story; [`lanes`] carries plans to the kernel; [`reconcile`] makes the kernel agree with the record at
//! start and whenever it drifts; [`dry_run`] answers what would happen. Nothing here knows SQL, netlink, Wasm or HTTP.

pub mod answer;
pub mod breaks;
pub mod clock;
pub mod compare;
pub mod dry_run;
pub mod engine;
mod fatal;
mod input;
mod lanes;
mod reconcile;
pub mod rehearse;
mod settling;
mod shared;
mod sweep;
mod turn;

pub use answer::{Answer, Failure};
pub use breaks::Broken;
pub use engine::{Config, Engine, StartError};
