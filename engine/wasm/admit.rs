//! From uploaded bytes to a component that may run: its form, what it imports and exports, compilation, what it says of itself.
//!
//! All functions here are pure: they look at the bytes and nothing else, so that they can run in a child process.

use crate::bindings::contract;
use crate::convert;
use crate::limits::{Limits, answer};
use crate::schema;
use bulkhead_core::names::{Labels, Name, shown};
use bulkhead_core::policy::{Description, Digest};
use bulkhead_core::refusal::Fault;
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};
use std::panic::{AssertUnwindSafe, catch_unwind};
use wasmparser::{Encoding, Parser, Payload};
use wasmtime::Engine;
use wasmtime::component::Component;
use wit_component::{ComponentEncoder, DecodedWasm};
use wit_parser::{Resolve, TypeDefKind, WorldId, WorldItem};

/// What a policy exports, without its version.
const INTERFACE: &str = "bulkhead:policy/judge";
/// The version of the contract that this daemon speaks.
const VERSION: &str = "1.0.0";
/// How imports from the host appear that languages' tools add, and leave away when asked.
const WASI: &str = "wasi:";
/// Most names that a message lists.
const NAMES_MAX: usize = 8;

/// The name of what a policy exports, whole.
pub(crate) fn interface() -> String {
    format!("{INTERFACE}@{VERSION}")
}

/// Why a module is not admitted. Display says what is wrong and, where that is known, what would be right.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error, Serialize, Deserialize)]
#[non_exhaustive]
pub enum NotAdmitted {
    /// Over the size limit.
    #[error("the module has {size} bytes; at most {max} are taken")]
    TooLarge {
        /// Its size, in bytes.
        size: u64,
        /// The limit, in bytes.
        max: u64,
    },
    /// The bytes are something else.
    #[error("this is not WebAssembly: it begins with {begins}, and WebAssembly begins with the bytes 00 61 73 6d (\\0asm)")]
    NotWasm {
        /// Its first bytes.
        begins: String,
    },
    /// The bytes end too early.
    #[error("the module is truncated: {size} bytes came, and it goes on after them; send the whole file")]
    Truncated {
        /// How many bytes came.
        size: usize,
    },
    /// Malformed, or using what is not to be had here (threads, relaxed SIMD, memory64, garbage collection, exceptions).
    #[error("the module is not valid here: {0}")]
    Invalid(String),
    /// A core module that no component can be made of.
    #[error(
        "this is a core module without the metadata of wit-bindgen, so nothing tells which contract it speaks; \
         build it with wit-bindgen or the policy SDK for wasm32-unknown-unknown, or send a component of world bulkhead:policy/policy@{VERSION}"
    )]
    NoMetadata,
    /// It wants something of the host.
    #[error("a policy gets nothing from its host, but this one imports {}{}", listed(.0), remedy(.0))]
    Imports(Vec<String>),
    /// Another contract.
    #[error("a policy exports {INTERFACE}@{VERSION}, but this module exports {}", or_nothing(.exports))]
    WrongWorld {
        /// What it exports.
        exports: Vec<String>,
    },
    /// Another version of the contract.
    #[error(
        "this module speaks version {found} of {INTERFACE}; this daemon speaks {VERSION}: build it against policies/wit of this version"
    )]
    WrongVersion {
        /// The version it speaks.
        found: String,
    },
    /// The right name, but other types or functions behind it.
    #[error("this module's {INTERFACE}@{VERSION} is not the one of policies/wit: {0}")]
    WrongTypes(String),
    /// The compiler failed where it should have refused.
    #[error("the compiler failed on this module, which is a defect of the compiler: {0}")]
    CompilerFailed(String),
    /// A limit, trap or time-out while it was asked to describe itself.
    #[error("the module broke when asked to describe itself: {0}")]
    Broke(String),
    /// What it says of itself is against the contract.
    #[error("what the module says of itself is against the contract: {}", .0.iter().map(ToString::to_string).collect::<Vec<_>>().join(" · "))]
    Description(Vec<Fault>),
    /// The process that was to check and compile it did not come to its end.
    #[error("checking and compiling the module {0}")]
    Unfinished(String),
    /// The bytes are not those of the digest.
    #[error("the bytes have digest {found}, not {expected}: they were changed since they were stored")]
    OtherBytes {
        /// As on record.
        expected: Digest,
        /// As computed.
        found: Digest,
    },
}

fn listed(names: &[String]) -> String {
    let shown = names.iter().take(NAMES_MAX).cloned().collect::<Vec<_>>().join(", ");
    if names.len() > NAMES_MAX { format!("{shown} and {} more", names.len() - NAMES_MAX) } else { shown }
}

fn or_nothing(names: &[String]) -> String {
    if names.is_empty() { "nothing".into() } else { listed(names) }
}

fn remedy(imports: &[String]) -> &'static str {
    if imports.iter().any(|i| i.starts_with(WASI)) {
        "; build it without WASI: componentize-py --stub-wasi, componentize-qjs with stubWasi, componentize-js with \
         disableFeatures for random, stdio, clocks, http and fetch-event, Rust for wasm32-unknown-unknown"
    } else {
        ""
    }
}

/// SHA-256 of a module's bytes, by which it is known.
pub fn digest(bytes: &[u8]) -> Digest {
    Digest(Sha256::digest(bytes).into())
}

pub(crate) fn check_size(bytes: &[u8], limits: &Limits) -> Result<(), NotAdmitted> {
    let (size, max) = (bytes.len() as u64, limits.module_bytes_max);
    if size > max { Err(NotAdmitted::TooLarge { size, max }) } else { Ok(()) }
}

/// Bytes → a component of the contract, not compiled yet. What is a component is taken as it is; a core module with
/// wit-bindgen's metadata is made one.
pub(crate) fn component<'a>(bytes: &'a [u8], limits: &Limits) -> Result<Cow<'a, [u8]>, NotAdmitted> {
    check_size(bytes, limits)?;
    if !bytes.starts_with(b"\0asm") {
        let begins: Vec<String> = bytes.iter().take(4).map(|b| format!("{b:02x}")).collect();
        let begins = if begins.is_empty() { "nothing at all".into() } else { format!("the bytes {}", begins.join(" ")) };
        return Err(NotAdmitted::NotWasm { begins });
    }
    guarded(|| {
        let component = match outline(bytes)? {
            Outline::Component => Cow::Borrowed(bytes),
            Outline::Core { imports, .. } if !imports.is_empty() => return Err(NotAdmitted::Imports(imports)),
            Outline::Core { metadata: false, .. } => return Err(NotAdmitted::NoMetadata),
            Outline::Core { .. } => Cow::Owned(componentize(bytes)?),
        };
        match wit_component::decode(&component) {
            Ok(DecodedWasm::Component(resolve, world)) => speaks_contract(&resolve, world)?,
            Ok(DecodedWasm::WitPackage(..)) => return Err(NotAdmitted::Invalid("it is a WIT package: interfaces, and no code".into())),
            Err(error) => return Err(NotAdmitted::Invalid(chain(&error))),
        }
        Ok(component)
    })
}

/// Compiles. Takes from milliseconds to many seconds, by the component's size.
pub(crate) fn compile(engine: &Engine, component: &[u8]) -> Result<Component, NotAdmitted> {
    guarded(|| Component::from_binary(engine, component).map_err(|e| NotAdmitted::Invalid(format!("{e:#}"))))
}

/// Its code, to be kept or handed on.
pub(crate) fn code(component: &Component) -> Result<Vec<u8>, NotAdmitted> {
    component.serialize().map_err(|e| NotAdmitted::CompilerFailed(format!("{e:#}")))
}

/// Runs what may panic in other people's code on a stranger's bytes.
fn guarded<T>(work: impl FnOnce() -> Result<T, NotAdmitted>) -> Result<T, NotAdmitted> {
    catch_unwind(AssertUnwindSafe(work)).unwrap_or_else(|panic| {
        let words = panic.downcast_ref::<&str>().map(|s| (*s).to_owned()).or_else(|| panic.downcast_ref::<String>().cloned());
        Err(NotAdmitted::CompilerFailed(words.unwrap_or_else(|| "it gave no reason".into())))
    })
}

/// An `anyhow` error's whole chain, on one line.
fn chain(error: &impl std::fmt::Display) -> String {
    format!("{error:#}")
}

enum Outline {
    Component,
    Core {
        metadata: bool,
        /// `module.name` of each.
        imports: Vec<String>,
    },
}

/// Reads the sections, without the code in them.
fn outline(bytes: &[u8]) -> Result<Outline, NotAdmitted> {
    let wrong = |e: wasmparser::BinaryReaderError| match e.message() {
        m if m.starts_with("unexpected end") => NotAdmitted::Truncated { size: bytes.len() },
        _ => NotAdmitted::Invalid(e.to_string()),
    };
    let (mut depth, mut form) = (0_u32, None);
    let (mut metadata, mut imports) = (false, Vec::new());
    // To the end, whatever the form: a file cut off anywhere is to be told as such.
    for payload in Parser::new(0).parse_all(bytes) {
        match payload.map_err(wrong)? {
            Payload::Version { encoding, .. } => {
                form.get_or_insert(encoding);
                depth += 1;
            }
            Payload::End(_) => depth -= 1,
            Payload::CustomSection(section) if depth == 1 && section.name().starts_with("component-type") => metadata = true,
            Payload::ImportSection(section) if depth == 1 && form == Some(Encoding::Module) => {
                for import in section.into_imports() {
                    let import = import.map_err(wrong)?;
                    imports.push(format!("{}.{}", import.module, import.name));
                }
            }
            _ => {}
        }
    }
    match form {
        // The parser ends quietly where sections end: a file that was cut just there lacks its end.
        Some(_) if depth > 0 => Err(NotAdmitted::Truncated { size: bytes.len() }),
        Some(Encoding::Component) => Ok(Outline::Component),
        Some(Encoding::Module) => Ok(Outline::Core { metadata, imports }),
        None => Err(NotAdmitted::Truncated { size: bytes.len() }),
    }
}

fn componentize(module: &[u8]) -> Result<Vec<u8>, NotAdmitted> {
    let mut encoder = ComponentEncoder::default().module(module).map_err(|e| NotAdmitted::Invalid(chain(&e)))?;
    encoder.encode().map_err(|e| NotAdmitted::Invalid(format!("no component can be made of this core module: {}", chain(&e))))
}

/// No functions or resources in, our interface out. More exports do no harm.
fn speaks_contract(resolve: &Resolve, world: WorldId) -> Result<(), NotAdmitted> {
    let world = &resolve.worlds[world];
    let mut imports = Vec::new();
    for (key, item) in &world.imports {
        let name = resolve.name_world_key(key);
        match item {
            WorldItem::Function(_) => imports.push(name),
            WorldItem::Type { .. } => {}
            WorldItem::Interface { id, .. } => {
                let interface = &resolve.interfaces[*id];
                imports.extend(interface.functions.keys().map(|f| format!("{name}#{f}")));
                let resources = interface.types.iter().filter(|(_, t)| matches!(resolve.types[**t].kind, TypeDefKind::Resource));
                imports.extend(resources.map(|(r, _)| format!("{name}#{r}")));
            }
        }
    }
    if !imports.is_empty() {
        return Err(NotAdmitted::Imports(imports));
    }
    let exports: Vec<String> = world.exports.keys().map(|k| resolve.name_world_key(k)).collect();
    if exports.iter().any(|e| *e == interface()) {
        return Ok(());
    }
    let other = exports.iter().find_map(|e| e.strip_prefix(INTERFACE)).map(|rest| rest.trim_start_matches('@').to_owned());
    Err(match other {
        Some(found) => NotAdmitted::WrongVersion { found: if found.is_empty() { "none".into() } else { found } },
        None => NotAdmitted::WrongWorld { exports },
    })
}

/// What a module says of itself, if it keeps to the contract; all faults at once.
pub(crate) fn description(said: contract::Description) -> Result<Description, Vec<Fault>> {
    let said = convert::description(said);
    let mut faults = Vec::new();
    if let Err(fault) = Name::new(&said.name) {
        faults.push(fault.below("name"));
    }
    let one_line = |text: &str, bytes_max: usize| !text.trim().is_empty() && text.len() <= bytes_max && !text.chars().any(char::is_control);
    if !one_line(&said.version, answer::NAME_BYTES_MAX) {
        faults.push(Fault::new("version", format!("{} is not a version", shown(&said.version)), "1 to 63 bytes, one line"));
    }
    if !one_line(&said.summary, answer::TEXT_BYTES_MAX) {
        faults.push(Fault::new("summary", format!("{} is not a summary", shown(&said.summary)), "one sentence, at most 4096 bytes"));
    }
    if said.operations.is_empty() {
        faults.push(Fault::new("operations", "none: the policy would never be asked", "at least one"));
    }
    faults.extend(twice("operations", said.operations.iter().map(|o| o.as_str())));
    faults.extend(twice("rules", said.rules.iter().map(|r| r.id.as_str())));
    faults.extend(twice("label-keys", said.label_keys.iter().map(String::as_str)));
    let needs: Vec<String> = said.needs.iter().map(|n| format!("{n:?}")).collect();
    faults.extend(twice("needs", needs.iter().map(String::as_str)));
    for (list, len, max) in [("rules", said.rules.len(), answer::RULES_MAX), ("label-keys", said.label_keys.len(), answer::LABEL_KEYS_MAX)]
    {
        if len > max {
            faults.push(Fault::new(list, format!("{len} entries"), format!("at most {max}")));
        }
    }
    for (at, rule) in said.rules.iter().enumerate().take(answer::RULES_MAX) {
        let fits = (1..=answer::NAME_BYTES_MAX).contains(&rule.id.len())
            && rule.id.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-');
        if !fits {
            faults.push(Fault::new(
                format!("rules[{at}].id"),
                format!("{} is not a rule's id", shown(&rule.id)),
                "1 to 63 of a–z 0–9 -, such as shared-segment",
            ));
        }
    }
    for (at, key) in said.label_keys.iter().enumerate().take(answer::LABEL_KEYS_MAX) {
        if Labels::new(BTreeMap::from([(key.clone(), String::new())])).is_err() {
            let right = "1 to 63 of A–Z a–z 0–9 _ . - /";
            faults.push(Fault::new(format!("label-keys[{at}]"), format!("{} is not a label key", shown(key)), right));
        }
    }
    if let Err(why) = schema::read(&said.settings_schema) {
        faults.push(Fault::new("settings-schema", why, "a JSON Schema without references to other documents, or an empty text for none"));
    }
    if faults.is_empty() { Ok(said) } else { Err(faults) }
}

fn twice<'a>(field: &str, items: impl Iterator<Item = &'a str>) -> Vec<Fault> {
    let mut seen = BTreeSet::new();
    let again: BTreeSet<&str> = items.filter(|item| !seen.insert(*item)).collect();
    again.into_iter().map(|item| Fault::new(field, format!("{} is named more than once", shown(item)), "each once")).collect()
}
