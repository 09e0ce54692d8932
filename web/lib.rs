//! The REST front door: `/v1` over a unix socket and, when asked, over TCP loopback.
//!
//! The way of a request here: [`listen`] takes it from a socket under the [`limits`], [`auth`] says who asks (and turns away who
//! may not), [`router`] finds the handler, one file per resource below [`api`] reads it into a core type ([`fields`] collects all
//! faults at once) and puts it to the engine; [`dto`] is what goes out, and [`problem`] alone says what went wrong.
//!
//! Invariants: no handler is reached but through [`auth`]; nothing here sees SQL, netlink or Wasm ([`parts`] is what the daemon
//! plugs in instead); no handler changes anything but through `Engine::ask`, so no door has a way round the policies.

pub mod accounts;
pub mod api;
pub mod api_page;
pub mod app;
pub mod auth;
pub mod base_path;
pub mod body;
pub mod dashboard;
pub mod dto;
pub mod fields;
pub mod files;
pub mod json;
pub mod limits;
pub mod listen;
pub mod once;
pub mod openapi;
pub mod params;
pub mod parts;
pub mod patience;
pub mod problem;
pub mod report_page;
pub mod router;
pub mod sessions;
pub mod time;
pub mod token;
pub mod version;

pub use app::App;
pub use base_path::BasePath;
pub use limits::Limits;
