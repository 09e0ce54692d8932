//! The durable record; the only crate that speaks SQL.
//!
//! [`SqliteStore`] is the writer's: one connection that writes and checkpoints, one transaction per turn. [`LogReader`] reads
//! the decision log and the events beside it, on connections of its own, which can only read. Nothing SELECTs while a request
//! is decided: the state is read once, at start (`load.rs`).
//!
//! What the files are about: `open.rs` how a database is opened, guarded and brought up to date; `edits.rs` how a turn becomes
//! rows; `sqlite.rs` how it is committed, `direct.rs` on which thread, `wal.rs` with how few writes; `load.rs` how the state is read back; `log.rs` how the
//! log is read, `verify.rs` how it is gone through, `archive.rs` how closed months leave it; `wait.rs` how a plain thread waits for sqlx.

mod archive;
mod direct;
mod edits;
mod load;
mod log;
pub mod merkle;
mod open;
mod sqlite;
mod verify;
mod wait;
mod wal;

pub use log::LogReader;
pub use sqlite::SqliteStore;

use bulkhead_core::record::StoreError;

/// Context in the text, cause in `source()`.
fn failed(what: impl Into<String>, source: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> StoreError {
    StoreError { what: what.into(), source: source.into() }
}
