//! The API over real sockets.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on ends here")]

mod addresses;
mod api_page;
mod auth;
mod bad_input;
mod base_path;
mod changes;
mod client;
mod dashboard;
mod description;
mod evidence;
mod examples;
mod guarded;
mod limits;
mod site;
mod sockets;
