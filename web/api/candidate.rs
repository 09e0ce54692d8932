//! A policy that is wished for, checked as far as it can be without being decided.

use crate::app::App;
use crate::dto::policy::Wish;
use crate::problem::{Kind, Problem};
use bulkhead_core::names::Name;
use bulkhead_core::policy::{Description, Policy};
use bulkhead_core::refusal::Fault;
use std::sync::Arc;

/// Puts the settings to the module; what it says of itself with them.
pub(super) async fn check(app: &App, wish: &Wish) -> Result<Arc<Description>, Problem> {
    let state = app.engine().state();
    if state.module(wish.module).is_none() {
        let there: Vec<String> = state.modules().map(|m| format!("{} ({})", m.digest, m.description.name)).take(8).collect();
        let right = if there.is_empty() { "upload it first: POST /v1/modules".to_owned() } else { format!("one of {}", there.join(", ")) };
        return Err(Problem::invalid(vec![Fault::new("module", format!("there is no module {}", wish.module), right)]));
    }
    let _one_of_few = app.settings_checks().acquire().await.map_err(|_| Problem::new(Kind::Unavailable, "the daemon is stopping"))?;
    let (modules, digest, settings) = (Arc::clone(app.modules()), wish.module, wish.settings.clone());
    let checked = app.blocking(move || modules.check_settings(digest, &settings)).await?;
    checked.map_err(|faults| Problem::invalid(faults.into_iter().map(|f| f.below("settings")).collect()))
}

/// The policy that a wish would make; its settings have been put to the module.
pub(super) async fn of(app: &App, name: Name, wish: Wish) -> Result<Policy, Problem> {
    let description = check(app, &wish).await?;
    let Wish { module, settings, mode, schedule, scope, help, tests, .. } = wish;
    Ok(Policy { name, module, description, settings, revision: 0, mode, schedule, scope, help, tests })
}

/// Puts its tests to a candidate: one that it does not pass is a fault, and stops the change.
pub(super) async fn test(app: &App, candidate: &Policy) -> Result<(), Problem> {
    let Some(tests) = candidate.tests.clone() else { return Ok(()) };
    let (engine, candidate) = (app.engine().clone(), candidate.clone());
    let faults = app.blocking(move || {
        let mut faults = Vec::new();
        for (at, case) in tests.cases.iter().enumerate() {
            let field = format!("tests.cases[{at}]");
            let odd = case.faults(&candidate.description);
            if !odd.is_empty() {
                faults.extend(odd.into_iter().map(|f| f.below(&field)));
                continue;
            }
            let tried = engine.try_case(&candidate, case);
            if !tried.passed {
                let wrong = format!("{:?} expects {}, and the policy would say {}", case.name, case.expected(), tried.said());
                faults.push(Fault::new(field, wrong, "a module and settings that pass it, or another case, with a reason"));
            }
        }
        faults
    });
    let faults = faults.await?;
    if faults.is_empty() { Ok(()) } else { Err(Problem::invalid(faults)) }
}
