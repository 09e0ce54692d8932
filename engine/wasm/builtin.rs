//! The policies that ship with the daemon, as components.

/// A policy that ships with the daemon.
#[derive(Debug, Clone, Copy)]
pub struct BuiltIn {
    /// Name of the module, and of the policy where a fresh database starts with one.
    pub name: &'static str,
    /// The component, made by `policies/build`.
    pub bytes: &'static [u8],
    /// Whether a fresh database has a policy made of it, enforced with its default settings. Else it has the module only, as
    /// without settings of the site's own it would say nothing.
    pub is_enforced: bool,
    /// Settings that the policy starts with, as JSON text.
    pub default_settings: &'static str,
}

/// All of them, those that are enforced first. A fresh database starts with all modules on record.
pub fn built_ins() -> [BuiltIn; 8] {
    let built_in = |name, bytes, is_enforced| BuiltIn { name, bytes, is_enforced, default_settings: "{}" };
    [
        built_in("tier-isolation", include_bytes!("../../policies/built/tier-isolation.wasm"), true),
        built_in("subnet-rules", include_bytes!("../../policies/built/subnet-rules.wasm"), true),
        built_in("vlan-allow-list", include_bytes!("../../policies/built/vlan-allow-list.wasm"), false),
        built_in("internal-only", include_bytes!("../../policies/built/internal-only.wasm"), false),
        built_in("required-labels", include_bytes!("../../policies/built/required-labels.wasm"), false),
        built_in("quotas", include_bytes!("../../policies/built/quotas.wasm"), false),
        built_in("address-reservations", include_bytes!("../../policies/built/address-reservations.wasm"), false),
        built_in("no-raw", include_bytes!("../../policies/built/no-raw.wasm"), false),
    ]
}
