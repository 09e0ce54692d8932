//! Write [Bulkhead](https://github.com/bulkhead-net/bulkhead) policies in Rust.
//!
//! A policy is a type that is made of settings and has an opinion on requests. This one is whole:
//!
//! ```
//! use bulkhead_policy_sdk::*;
//!
//! /// Networks are named after their tier: `web-…` for tier web.
//! #[derive(Default)]
//! struct Named;
//!
//! impl Policy for Named {
//!     fn describe(&self) -> Description {
//!         description("named-after-tier", "1.0.0", "Names of networks begin with their tier")
//!             .judges(&[Operation::CreateNetwork])
//!             .rule("name", "A network's name begins with its tier and a dash", &[])
//!     }
//!     fn configure(settings: Node<'_>, faults: &mut Faults) -> Self {
//!         settings.object(&[], faults);
//!         Named
//!     }
//!     fn evaluate(&self, request: &Request) -> Opinion {
//!         let Some(tier) = label(&request.network.labels, "tier") else { return Opinion::allow() };
//!         if request.network.name.starts_with(&format!("{tier}-")) {
//!             return Opinion::allow();
//!         }
//!         Opinion::deny([violation("name", format!("{} does not tell its tier", request.network.name)).field("name")])
//!     }
//! }
//!
//! export!(Named);
//! ```
//!
//! Build it as a `cdylib` with `cargo build --release --target wasm32-unknown-unknown` and upload the `.wasm` file: the daemon
//! makes a component of it. Put this in `.cargo/config.toml`: each call begins with fresh memory, and the linker's own
//! stack of 1 MiB makes it three times as long.
//!
//! ```toml
//! [target.wasm32-unknown-unknown]
//! rustflags = ["-C", "link-arg=-zstack-size=65536"]
//! ```
//!
//! The logic is a plain function of its input, so `cargo test` tests it natively. There is no clock, no randomness, no file
//! and no printing: what you want to see while writing, put into [`Opinion::note`].

#[cfg(target_arch = "wasm32")]
mod bump;
#[doc(hidden)]
pub mod contract;
pub mod json;
mod opinion;
mod pattern;
mod ranges;
mod settings;

pub use contract::exports::bulkhead::policy::judge::{
    Caller, Change, Description, Group, Label, Mode, Network, Operation, Opinion, Outcome, Provenance, Request, Rule, Subnet, View,
    Violation, Workload,
};
pub use json::Json;
pub use opinion::{description, label, label_field, violation, workload_name};
pub use pattern::{fits, fits_one, like, patterns};
pub use ranges::{Cidr, NotARange, Range};
pub use settings::{Faults, Fields, Node};

/// A policy. Its default is the policy with the settings `{}`.
pub trait Policy: Default + Send + Sync + 'static {
    /// What it says of itself. Only operations, label keys and needs may depend on the settings.
    fn describe(&self) -> Description;

    /// Makes the policy of its settings. All that is wrong goes into `faults`; if there is any, the result is dropped and
    /// the settings are refused.
    fn configure(settings: Node<'_>, faults: &mut Faults) -> Self;

    /// Its opinion. The same request must get the same opinion.
    fn evaluate(&self, request: &Request) -> Opinion;
}

/// Reads settings and makes the policy of them: what the exported `configure` does, for tests too.
pub fn configured<P: Policy>(settings: &str) -> Result<P, Vec<Violation>> {
    let mut faults = Faults::default();
    let json = match Json::parse(settings) {
        Ok(json) => json,
        Err(error) => {
            faults.add("", format!("the settings are not JSON: {error}"), "one JSON object");
            return Err(faults.into_violations());
        }
    };
    let policy = P::configure(Node::root(&json), &mut faults);
    let violations = faults.into_violations();
    if violations.is_empty() { Ok(policy) } else { Err(violations) }
}

/// Exports a [`Policy`] from the module. Natively it does nothing, so that policies can be tested and used side by side.
#[macro_export]
macro_rules! export {
    ($policy:ty) => {
        #[cfg(target_arch = "wasm32")]
        const _: () = {
            struct Exported;
            static POLICY: ::std::sync::OnceLock<$policy> = ::std::sync::OnceLock::new();
            impl $crate::contract::exports::bulkhead::policy::judge::Guest for Exported {
                fn describe() -> $crate::Description {
                    match POLICY.get() {
                        Some(policy) => $crate::Policy::describe(policy),
                        None => $crate::Policy::describe(&<$policy as ::core::default::Default>::default()),
                    }
                }
                fn configure(settings: ::std::string::String) -> ::core::result::Result<(), ::std::vec::Vec<$crate::Violation>> {
                    let policy = $crate::configured::<$policy>(&settings)?;
                    // The contract promises that it comes once.
                    assert!(POLICY.set(policy).is_ok());
                    Ok(())
                }
                fn evaluate(request: $crate::Request) -> $crate::Opinion {
                    match POLICY.get() {
                        Some(policy) => $crate::Policy::evaluate(policy, &request),
                        None => panic!("the contract promises configure before evaluate"),
                    }
                }
            }
    $crate::contract::export_contract!(Exported with_types_in $crate::contract);
        };
    };
}
