//! What wasmtime makes of the contract in `policies/wit`. What a policy is given borrows, so that no text is copied but into its memory.
#![allow(missing_docs, clippy::all, clippy::undocumented_unsafe_blocks, unused_qualifications)]

wasmtime::component::bindgen!({
    path: "../../policies/wit",
    world: "policy",
    ownership: Borrowing { duplicate_if_necessary: false },
});

pub use exports::bulkhead::policy::judge as contract;
