//! What wit-bindgen makes of `policies/wit`.
#![allow(missing_docs, unused_qualifications, unsafe_op_in_unsafe_fn, clippy::all, clippy::undocumented_unsafe_blocks)]

wit_bindgen::generate!({
    path: "../wit",
    world: "policy",
    pub_export_macro: true,
    export_macro_name: "export_contract",
    default_bindings_module: "bulkhead_policy_sdk::contract",
});
