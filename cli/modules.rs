//! The modules at a start: those on record are loaded, and a fresh database gets the built-in ones.

use bulkhead_core::caller::Caller;
use bulkhead_core::names::Name;
use bulkhead_core::policy::{Change, Digest, Help, Module, PolicyMode, Scope};
use bulkhead_core::request::{PutPolicy, Request};
use bulkhead_engine::Engine;
use bulkhead_store::LogReader;
use bulkhead_wasm::{BuiltIn, WasmJudge, built_ins};
use std::error::Error;
use std::sync::Arc;

type Started<T> = Result<T, Box<dyn Error>>;

/// Makes all modules on record ready to judge. One that cannot be loaded leaves the others serving: its policies deny.
pub async fn load_modules(engine: &Engine, judge: &Arc<WasmJudge>, log: &LogReader) -> Started<()> {
    let digests: Vec<Digest> = engine.state().modules().map(|m| m.digest).collect();
    for digest in digests {
        // Bytes that are not there are told apart from their digest, like any others that are not the right ones.
        let bytes = log.module_bytes(digest).await?.unwrap_or_default();
        let judge = Arc::clone(judge);
        // The judge tells of a failure itself.
        let _ = tokio::task::spawn_blocking(move || judge.load(digest, &bytes)).await?;
    }
    let (state, judge) = (engine.state(), Arc::clone(judge));
    tokio::task::spawn_blocking(move || {
        state.policies().for_each(|policy| judge.load_settings(policy));
        judge.tidy(state.policies().map(|p| &**p));
    })
    .await?;
    Ok(())
}

/// A fresh database gets the built-in modules, and policies made of those that are to be enforced, as requests on record. No door
/// is open before all of them are there, so fewer decisions than these take mean that a first start was cut off: what it did not get
/// to is done now, and a request that was done already is a repeat, which makes no decision.
///
/// The modules that come with a policy come first. So a young database of a daemon that had only these is taken for one that was cut
/// off, and gets the other modules, but never a policy that somebody has deleted since.
pub async fn set_up_built_ins(engine: &Engine, judge: &Arc<WasmJudge>) -> Started<()> {
    let all = built_ins();
    let requests = |built_in: &BuiltIn| 1 + u64::from(built_in.is_enforced);
    let done = engine.state().last_decision;
    if done >= all.iter().map(requests).sum() {
        return Ok(());
    }
    let system = Caller {
        name: "system".into(),
        uid: None,
        groups: Vec::new(),
        door: "start".into(),
        peer: format!("pid {}", std::process::id()),
        admin: true,
    };
    let change = Change { reason: Some("a fresh database starts with the built-in policies".into()), ..Change::default() };
    let mut taken = 0;
    for built_in in all {
        taken += requests(&built_in);
        let BuiltIn { name, bytes, is_enforced, default_settings } = built_in;
        if is_enforced && done >= taken {
            continue;
        }
        let wrong = |what: &dyn std::fmt::Display| format!("the built-in policy {name} cannot be set up: {what}");
        let admitting = Arc::clone(judge);
        let admitted = tokio::task::spawn_blocking(move || admitting.admit(bytes)).await?.map_err(|e| wrong(&e))?;
        let digest = admitted.digest;
        let module = Request::PutModule(Arc::new(Module { built_in: true, ..admitted }));
        engine.ask_with(module, system.clone(), change.clone(), None, None, Some((digest, bytes.into()))).await.map_err(|e| wrong(&e))?;
        if !is_enforced {
            continue;
        }
        let settings: serde_json::Value = serde_json::from_str(default_settings).map_err(|e| wrong(&e))?;
        let (checking, putting) = (Arc::clone(judge), settings.clone());
        let checked = tokio::task::spawn_blocking(move || checking.check_settings(digest, &putting)).await?;
        let description = checked.map_err(|e| wrong(&e))?;
        let name = Name::new(name).map_err(|e| wrong(&e))?;
        let policy = PutPolicy {
            name,
            module: digest,
            settings,
            description,
            mode: PolicyMode::Enforce,
            schedule: None,
            scope: Scope::default(),
            help: Help::default(),
            tests: None,
            tested_beside: 0,
            new_only: false,
        };
        engine.ask(Request::PutPolicy(policy), system.clone(), change.clone(), None, None).await.map_err(|e| wrong(&e))?;
    }
    Ok(())
}
