//! What wasmtime makes of the contract in `policies/wit`.
#![allow(missing_docs, clippy::all, clippy::undocumented_unsafe_blocks, unused_qualifications)]

wasmtime::component::bindgen!({
    path: "../../policies/wit",
    world: "policy",
});

pub use exports::bulkhead::policy::judge as contract;
