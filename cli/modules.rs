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

/// Every database gets the built-in modules of this daemon that it has not, and a fresh one policies made of those that are to be
/// enforced, as requests on record: a new daemon brings its modules along, and changes no policy.
///
/// No door is open before all of them are there, so fewer decisions than a first start takes up to a policy mean that it was cut off
/// before that: then it is made now. One that somebody has deleted since does not come back.
pub async fn set_up_built_ins(engine: &Engine, judge: &Arc<WasmJudge>) -> Started<()> {
    let done = engine.state().last_decision;
    let system = Caller {
        name: "system".into(),
        uid: None,
        groups: Vec::new(),
        door: "start".into(),
        peer: format!("pid {}", std::process::id()),
        admin: true,
    };
    let change = |reason: &str| Change { reason: Some(reason.into()), ..Change::default() };
    let mut taken = 0;
    for BuiltIn { name, bytes, is_enforced, default_settings } in built_ins() {
        let wrong = |what: &dyn std::fmt::Display| format!("the built-in policy {name} cannot be set up: {what}");
        let digest = bulkhead_wasm::digest(bytes);
        if engine.state().module(digest).is_none() {
            let judge = Arc::clone(judge);
            let admitted = tokio::task::spawn_blocking(move || judge.admit(bytes)).await?.map_err(|e| wrong(&e))?;
            let module = Request::PutModule(Arc::new(Module { built_in: true, ..admitted }));
            let change = change("this daemon brings the module along");
            engine.ask_with(module, system.clone(), change, None, None, Some((digest, bytes.into()))).await.map_err(|e| wrong(&e))?;
        }
        // A module and a policy.
        taken += 2;
        if !is_enforced || done >= taken {
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
        engine
            .ask(Request::PutPolicy(policy), system.clone(), change("a fresh database starts with it"), None, None)
            .await
            .map_err(|e| wrong(&e))?;
    }
    Ok(())
}
