//! Admits and runs policy modules; the only crate that sees wasmtime.
//!
//! Uploaded bytes become a component ([`admit`]) that imports nothing and says what it judges, and settings are frozen into its memory
//! ([`freeze`]): both in a process of its own ([`child`]). A question is then put to a fresh instance of it ([`judge`]), under limits
//! ([`limits`]). Whatever a module does, this crate answers: a trap, a limit,
//! a time-out or an answer against the contract is a [`Judgement::Broke`](bulkhead_core::policy::Judgement::Broke) that
//! names its cause.
//!
//! Invariants: nothing carries over from one call to the next; no module gets a clock, randomness, a file or a socket; one
//! module that cannot be loaded leaves all others working.

mod admit;
mod bindings;
mod builtin;
mod cache;
mod child;
mod confine;
mod convert;
mod engine;
mod freeze;
mod judge;
pub mod limits;
mod linked;
mod loaded;
mod prepare;
mod run;
mod runner;
mod schema;
mod settings;
mod time;
mod turns;
mod workshop;

pub use admit::{NotAdmitted, digest};
pub use builtin::{BuiltIn, built_ins};
pub use cache::Cache;
pub use child::{Child, child_main};
pub use engine::NotStarted;
pub use judge::WasmJudge;
pub use limits::Limits;
pub use settings::SettingsRefused;
