//! `/v1/policies`

use super::networks::RemovedOrDryRun;
use super::{Answered, both, candidate, dry_run, gone_again, meaning, only_admins, rehearsal};
use crate::app::{App, Asker, Why};
use crate::body::JsonBody;
use crate::dto::plan::DryRunBody;
use crate::dto::policy::{self, NamedPolicyWishBody, PolicyBody, PolicyWishBody, Wish};
use crate::dto::{ChangeParams, Page, PageParams, Removed, created, json};
use crate::params::{Params, Path};
use crate::problem::Problem;
use axum::extract::State;
use axum::http::StatusCode;
use bulkhead_core::caller::Caller;
use bulkhead_core::decide::Object;
use bulkhead_core::names::{Name, nearest, shown};
use bulkhead_core::policy::{Policy, PolicyMode};
use bulkhead_core::refusal::{Fault, Refusal};
use bulkhead_core::request::{PutPolicy, Request};
use utoipa::IntoParams;

/// Adds a policy: a module with settings, a mode and a scope.
#[utoipa::path(post, path = "/v1/policies", tag = "policies", params(ChangeParams), request_body = NamedPolicyWishBody, responses(
    (status = 201, description = "It is added", body = PolicyBody, headers(("Location" = String, description = "Where it is"))),
    (status = 200, description = "Dry run: what would come of it", body = DryRunBody),
))]
pub async fn create(State(app): State<App>, Asker(caller): Asker, mut params: Params, JsonBody(body): JsonBody) -> Answered {
    only_admins(&caller, "change policies")?;
    let why = Why::of(&mut params);
    let wish = both(params.finish(), meaning(body, |v| policy::read(v, None)))?;
    let Some(name) = wish.name.clone() else { return Err(Problem::invalid(vec![Fault::new("name", "missing", "a name for the policy")])) };
    put(&app, &caller, name, wish, true, why).await
}

/// Adds or replaces a policy. Each change counts its revision up; the same again changes nothing.
#[utoipa::path(put, path = "/v1/policies/{policy}", tag = "policies", params(("policy" = String, Path, description = "Name"), ChangeParams),
    request_body = PolicyWishBody, responses(
        (status = 200, description = "It is changed, or was as asked for; or, in a dry run, what would come of it", body = inline(PolicyOrDryRun)),
        (status = 201, description = "It is added", body = PolicyBody, headers(("Location" = String, description = "Where it is"))),
    ))]
pub async fn replace(
    State(app): State<App>,
    Asker(caller): Asker,
    Path(name): Path<String>,
    mut params: Params,
    JsonBody(body): JsonBody,
) -> Answered {
    only_admins(&caller, "change policies")?;
    let why = Why::of(&mut params);
    let wish = both(params.finish(), meaning(body, |v| policy::read(v, Some(&name))))?;
    let name = Name::new(&name).map_err(|fault| Problem::invalid(vec![fault.below("policy")]))?;
    put(&app, &caller, name, wish, false, why).await
}

/// What a change of a policy answers with 200.
#[derive(utoipa::ToSchema)]
#[serde(untagged)]
#[expect(dead_code, reason = "describes the API")]
pub(super) enum PolicyOrDryRun {
    /// The policy.
    Policy(Box<PolicyBody>),
    /// What would come of it.
    DryRun(DryRunBody),
}

pub(super) async fn put(app: &App, caller: &Caller, name: Name, wish: Wish, new_only: bool, why: Why) -> Answered {
    let before = app.engine().state();
    let in_force = before.policy(name.as_str()).cloned();
    let mut wish = wish;
    wish.tests = wish.tests.or_else(|| in_force.as_ref().and_then(|p| p.tests.clone())).filter(|suite| !suite.cases.is_empty());
    let candidate = candidate::of(app, name.clone(), wish).await?;
    candidate::test(app, &candidate).await?;
    if why.change.reason.is_none() && loosens_history(app, in_force.as_deref(), &candidate).await? {
        let wrong = "a change that loosens a policy needs one: it would allow what it has denied before (POST /v1/rehearsals shows it)";
        let right = "why, as the parameter `reason` or the header field Bulkhead-Reason; it goes on record";
        return Err(Problem::invalid(vec![Fault::new("reason", wrong, right)]));
    }
    let Policy { module, settings, description, mode, schedule, scope, help, tests, .. } = candidate;
    let tested_beside = in_force.map_or(0, |p| p.revision);
    let name = name.clone();
    let put = PutPolicy { name, module, settings, description, mode, schedule, scope, help, tests, tested_beside, new_only };
    let request = Request::PutPolicy(put);
    if why.dry_run {
        return dry_run(app, request, caller, why).await;
    }
    let is_new = tested_beside == 0;
    let answer = app.ask(request, caller.clone(), why, None).await?;
    let Object::Policy(name) = answer.object else { return Err(gone_again("policy")) };
    let now = answer.state.policy(name.as_str()).ok_or_else(|| gone_again("policy"))?;
    let mut body = policy::show_in_force(app, now);
    body.decision = answer.decision.map(|d| d.0);
    if is_new { Ok(created(&format!("/v1/policies/{name}"), &body)) } else { Ok(json(StatusCode::OK, &body)) }
}

/// Whether another module or other settings would allow what was asked before and denied. Of what exists now, of modes and of scopes the
/// engine sees it by itself, on the state that the change commits to.
async fn loosens_history(app: &App, in_force: Option<&Policy>, candidate: &Policy) -> Result<bool, Problem> {
    let Some(current) = in_force.filter(|p| p.mode == PolicyMode::Enforce || p.schedule.is_some()) else { return Ok(false) };
    if current.module == candidate.module && current.settings == candidate.settings {
        return Ok(false);
    }
    Ok(!rehearsal::recorded(app, candidate).await?.newly_allowed.is_empty())
}

/// Which policies.
#[derive(Debug, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct PolicyFilter {
    /// Digest of their module.
    #[param(nullable = false)]
    pub module: Option<String>,
    /// `enforce`, `audit` or `off`.
    #[param(nullable = false, pattern = "^(enforce|audit|off)$")]
    pub mode: Option<String>,
}

/// Lists policies, by name.
#[utoipa::path(get, path = "/v1/policies", tag = "policies", params(PolicyFilter, PageParams),
    responses((status = 200, description = "A page of them", body = Page<PolicyBody>)))]
pub async fn list(State(app): State<App>, mut params: Params) -> Answered {
    let module = params.parsed("module", "sha256: and 64 hexadecimal digits", |d| d.parse().ok());
    let mode = params.choice("mode", &["enforce", "audit", "off"]);
    let limit = params.limit();
    let after = params.one("cursor");
    params.check()?;
    let state = app.engine().state();
    let fitting = state.policies().filter(|p| {
        after.as_ref().is_none_or(|a| p.name.as_str() > a.as_str())
            && module.is_none_or(|m| p.module == m)
            && mode.is_none_or(|m| policy::mode_of(p.mode) == m)
    });
    Ok(json(StatusCode::OK, &Page::of(fitting, limit, |p| p.name.to_string()).map(|p| policy::show_in_force(&app, p))))
}

/// Shows a policy.
#[utoipa::path(get, path = "/v1/policies/{policy}", tag = "policies", params(("policy" = String, Path, description = "Name")),
    responses((status = 200, description = "The policy", body = PolicyBody)))]
pub async fn inspect(State(app): State<App>, Path(name): Path<String>, params: Params) -> Answered {
    params.check()?;
    let state = app.engine().state();
    let found = state.policy(&name).ok_or_else(|| {
        let near = nearest(&name, state.policies().map(|p| p.name.as_str()));
        let right = near.map_or_else(|| "GET /v1/policies lists those that are there".to_owned(), |n| format!("did you mean {n}?"));
        Refusal::not_found("policy", format!("there is no policy {}", shown(&name)), right)
    })?;
    Ok(json(StatusCode::OK, &policy::show_in_force(&app, found)))
}

/// Removes a policy.
#[utoipa::path(delete, path = "/v1/policies/{policy}", tag = "policies", params(("policy" = String, Path, description = "Name"), ChangeParams),
    responses((status = 200, description = "It is gone; or, in a dry run, what would come of it", body = inline(RemovedOrDryRun))))]
pub async fn delete(State(app): State<App>, Asker(caller): Asker, Path(policy): Path<String>, mut params: Params) -> Answered {
    let why = Why::of(&mut params);
    params.check()?;
    let request = Request::DeletePolicy { policy };
    if why.dry_run {
        return dry_run(&app, request, &caller, why).await;
    }
    let answer = app.ask(request, (*caller).clone(), why, None).await?;
    Ok(json(StatusCode::OK, &Removed { decision: answer.decision.map(|d| d.0), warnings: answer.warnings }))
}
