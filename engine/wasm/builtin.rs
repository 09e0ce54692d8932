//! The policies that ship with the daemon, as components.

/// A policy that ships with the daemon.
#[derive(Debug, Clone, Copy)]
pub struct BuiltIn {
    /// Name of the module, and of the policy that a fresh database starts with.
    pub name: &'static str,
    /// The component, made by `policies/build`.
    pub bytes: &'static [u8],
    /// Settings that the policy starts with, as JSON text.
    pub default_settings: &'static str,
}

/// All of them. A fresh database starts with each enforced, with its default settings.
pub fn built_ins() -> [BuiltIn; 2] {
    [
        BuiltIn { name: "tier-isolation", bytes: include_bytes!("../../policies/built/tier-isolation.wasm"), default_settings: "{}" },
        BuiltIn { name: "subnet-rules", bytes: include_bytes!("../../policies/built/subnet-rules.wasm"), default_settings: "{}" },
    ]
}
