//! `/v1/policies/{policy}/revisions`: what a policy was, what changed, and the way back.

use super::{Answered, both, meaning, only_admins, policies};
use crate::app::{App, Asker, Why};
use crate::body::JsonBody;
use crate::dto::evidence::{DiffBody, RevisionBody, RollbackBody, differences};
use crate::dto::policy::{self, PolicyBody, Wish};
use crate::dto::{ChangeParams, Page, json};
use crate::fields::{self, Fields, Read};
use crate::params::{Params, Path};
use crate::problem::Problem;
use axum::extract::State;
use axum::http::StatusCode;
use bulkhead_core::case::Suite;
use bulkhead_core::log::Revision;
use bulkhead_core::names::{Name, shown};
use bulkhead_core::policy::Policy;
use bulkhead_core::refusal::{Fault, Refusal};
use bulkhead_core::state::State as Record;
use std::sync::Arc;
use utoipa::IntoParams;

/// Lists the revisions of a policy, oldest first; those of one that is gone, too.
#[utoipa::path(get, operation_id = "list_revisions", path = "/v1/policies/{policy}/revisions", tag = "policies", params(("policy" = String, Path, description = "Name")),
    responses((status = 200, description = "All of them", body = Page<RevisionBody>)))]
pub async fn list(State(app): State<App>, Path(policy): Path<String>, params: Params) -> Answered {
    params.check()?;
    let all = app.log().revisions(policy.clone()).await?;
    if all.is_empty() {
        return Err(none_such(&policy));
    }
    let state = app.engine().state();
    let items = all.iter().map(|r| show(&state, r)).collect();
    Ok(json(StatusCode::OK, &Page::<RevisionBody> { items, next: None }))
}

/// Shows a revision of a policy, as it was.
#[utoipa::path(get, operation_id = "inspect_revision", path = "/v1/policies/{policy}/revisions/{revision}", tag = "policies",
    params(("policy" = String, Path, description = "Name"), ("revision" = u64, Path, description = "Its number")),
    responses((status = 200, description = "The revision", body = RevisionBody)))]
pub async fn inspect(State(app): State<App>, Path((policy, revision)): Path<(String, String)>, params: Params) -> Answered {
    params.check()?;
    let found = find(&app, &policy, &revision).await?;
    Ok(json(StatusCode::OK, &show(&app.engine().state(), &found)))
}

/// Which revision another is compared with.
#[derive(Debug, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct DiffParams {
    /// The earlier revision; the one before by default.
    #[param(nullable = false, minimum = 1)]
    pub from: Option<u64>,
}

/// Says in what a revision differs from another.
#[utoipa::path(get, operation_id = "diff_revisions", path = "/v1/policies/{policy}/revisions/{revision}/diff", tag = "policies",
    params(("policy" = String, Path, description = "Name"), ("revision" = u64, Path, description = "Its number"), DiffParams),
    responses((status = 200, description = "What differs", body = DiffBody)))]
pub async fn diff(State(app): State<App>, Path((policy, revision)): Path<(String, String)>, mut params: Params) -> Answered {
    let from = params.one("from");
    params.check()?;
    let to = find(&app, &policy, &revision).await?;
    let from = match from {
        Some(from) => find(&app, &policy, &from).await?,
        None => find(&app, &policy, &to.policy.revision.saturating_sub(1).to_string()).await?,
    };
    // Its number differs by its nature, and what the module says of itself follows from module and settings.
    let plain = |r: &Revision| {
        let p = policy::show(&r.policy);
        serde_json::json!({"module": p.module, "mode": p.mode, "settings": p.settings, "scope": p.scope, "until": p.until, "then": p.then, "help": p.help, "tests": p.tests})
    };
    let changes = differences(&plain(&from), &plain(&to));
    Ok(json(StatusCode::OK, &DiffBody { from: from.policy.revision, to: to.policy.revision, changes }))
}

/// Puts a former revision in force again, as a new revision: checked and recorded like any change.
#[utoipa::path(post, path = "/v1/policies/{policy}/rollback", tag = "policies",
    params(("policy" = String, Path, description = "Name"), ChangeParams), request_body = RollbackBody, responses(
        (status = 200, description = "It is in force, or was already; or, in a dry run, what would come of it", body = inline(policies::PolicyOrDryRun)),
        (status = 201, description = "The policy was gone, and is there again", body = PolicyBody, headers(("Location" = String, description = "Where it is"))),
    ))]
pub async fn rollback(
    State(app): State<App>,
    Asker(caller): Asker,
    Path(policy): Path<String>,
    mut params: Params,
    JsonBody(body): JsonBody,
) -> Answered {
    only_admins(&caller, "change policies")?;
    let why = Why::of(&mut params);
    let number = both(params.finish(), meaning(body, read))?;
    let name = Name::new(&policy).map_err(|fault| Problem::invalid(vec![fault.below("policy")]))?;
    let found = app.log().revision(policy.clone(), number).await?;
    let former = found.ok_or_else(|| Problem::invalid(vec![no_revision("revision", &policy, number)]))?.policy;
    let Policy { module, settings, mode, schedule, scope, help, tests, .. } = former;
    // Its own tests come back with it; that later ones go needs a reason.
    let none = || Arc::new(Suite { module: None, settings: serde_json::Value::Null, cases: Vec::new() });
    let wish = Wish { name: None, module, settings, mode, schedule, scope, help, tests: Some(tests.unwrap_or_else(none)) };
    policies::put(&app, &caller, name, wish, false, why).await
}

fn read(value: serde_json::Value) -> Read<u64> {
    let mut body = Fields::of(value)?;
    let revision = body.required("revision", "the number of a former revision", fields::number(1, i64::MAX as u64));
    let faults = body.finish();
    revision.filter(|_| faults.is_empty()).ok_or(faults)
}

fn show(state: &Record, revision: &Revision) -> RevisionBody {
    let in_force = state.policy(revision.policy.name.as_str()).is_some_and(|p| p.revision == revision.policy.revision);
    let mut policy = policy::show(&revision.policy);
    policy.decision = revision.decision.map(|d| d.0);
    RevisionBody { policy, in_force }
}

async fn find(app: &App, policy: &str, revision: &str) -> Result<Revision, Problem> {
    let number: Option<u64> = revision.parse().ok().filter(|n| i64::try_from(*n).is_ok());
    let found = match number {
        Some(number) => app.log().revision(policy.to_owned(), number).await?,
        None => None,
    };
    found.ok_or_else(|| {
        let wrong = format!("policy {} has no revision {}", shown(policy), shown(revision));
        Refusal::not_found("revision", wrong, "GET /v1/policies/{policy}/revisions lists those that it has").into()
    })
}

fn no_revision(field: &str, policy: &str, number: u64) -> Fault {
    let right = format!("GET /v1/policies/{policy}/revisions lists those that it has");
    Fault::new(field, format!("policy {} has no revision {number}", shown(policy)), right)
}

fn none_such(policy: &str) -> Problem {
    let right = "GET /v1/policies lists those that are there";
    Refusal::not_found("policy", format!("there is and was no policy {}", shown(policy)), right).into()
}
