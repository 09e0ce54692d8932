//! Modules from files, for commands that ask no daemon: admitted and run as the daemon does, with its limits.

use bulkhead_core::names::{Name, nearest};
use bulkhead_core::policy::{Description, Help, Module, Policy, PolicyMode, Scope};
use bulkhead_wasm::{Cache, Limits, WasmJudge, built_ins};
use serde_json::Value;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Time that one call may take, in milliseconds. Fuel alone is to decide here, however busy the machine is.
const DEADLINE_MS: u64 = 60_000;

/// A judge with the limits that a daemon has where nothing is configured. What it compiles is kept in the user's cache folder.
pub fn judge() -> Result<WasmJudge, String> {
    let limits =
        Limits { calls_at_once: 1, warm_slots: 1, deadline_ms: DEADLINE_MS, deadline_admission_ms: DEADLINE_MS, ..Limits::default() };
    let judge = WasmJudge::new(limits).map_err(|e| e.to_string())?;
    let home = || std::env::var_os("HOME").map(|home| PathBuf::from(home).join(".cache"));
    let caches = std::env::var_os("XDG_CACHE_HOME").map(PathBuf::from).filter(|p| p.is_absolute()).or_else(home);
    // A cache saves seconds with large modules, and is not needed.
    match caches.and_then(|folder| Cache::open(&folder.join("bulkhead/compiled")).ok()) {
        Some(cache) => Ok(judge.with_cache(cache)),
        None => Ok(judge),
    }
}

/// Reads a module and admits it. A name that is no path is a built-in's; paths are seen from `folder`.
pub fn admitted(judge: &WasmJudge, named: &str, folder: &Path) -> Result<Module, String> {
    let is_path = named.contains('/') || named.ends_with(".wasm");
    let bytes = match built_ins().into_iter().find(|b| b.name == named && !is_path) {
        Some(built_in) => built_in.bytes.to_vec(),
        None if is_path => {
            let path = folder.join(named);
            fs::read(&path).map_err(|e| format!("{}: {e}; is it built?", path.display()))?
        }
        None => {
            let known: Vec<&str> = built_ins().iter().map(|b| b.name).collect();
            let right = match nearest(named, known.iter().copied()) {
                Some(near) => format!("did you mean {near}?"),
                None => format!("a path such as ./{named}.wasm, or one of {}", known.join(", ")),
            };
            return Err(format!("{named}: no policy that comes with bulkhead has this name; {right}"));
        }
    };
    judge.admit(&bytes).map_err(|e| format!("{named}: {e}"))
}

/// A policy of a module with these settings, enforced everywhere.
pub fn policy(module: &Module, description: Arc<Description>, settings: Value) -> Result<Policy, String> {
    Ok(Policy {
        name: Name::new(&description.name).map_err(|e| e.to_string())?,
        module: module.digest,
        description,
        settings,
        revision: 1,
        mode: PolicyMode::Enforce,
        schedule: None,
        scope: Scope::default(),
        help: Help::default(),
        tests: None,
    })
}
