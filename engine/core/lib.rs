//! The pure core of Bulkhead: what a request means, whether it may be, and what the kernel would have to do for it.
//!
//! No I/O, clock or randomness: whatever depends on the world (time, ids, the host's links) comes in with the input, so
//! simulation, replay and crash tests need no second machinery. The way of a request through this crate is
//! [`decide`] → [`Outcome`](decide::Outcome) → [`Batch`](record::Batch) → [`Recorded`](record::Recorded) plan → [`settle`](decide::settle).

pub mod caller;
pub mod capabilities;
pub mod case;
pub mod converge;
pub mod decide;
pub mod directory;
pub mod endpoint;
pub mod event;
pub mod evidence;
pub mod faults;
pub mod host;
pub mod identity;
pub mod ids;
pub mod in_force;
pub mod ipam;
pub mod kernel;
pub mod log;
pub mod matrix;
pub mod names;
pub mod network;
pub mod observed;
pub mod parent;
pub mod plan;
pub mod policy;
pub mod ranges;
pub mod record;
pub mod refusal;
pub mod rehearse;
pub mod replay;
pub mod request;
pub mod segment;
pub mod segmentation;
pub mod settings;
pub mod state;
