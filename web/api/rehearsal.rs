//! `/v1/rehearsals` and `/v1/violations`: what a policy would say to what exists, and what those in force say.

use super::{Answered, both, candidate, meaning, only_admins};
use crate::app::{App, Asker};
use crate::body::JsonBody;
use crate::dto::policy::{self, NamedPolicyWishBody};
use crate::dto::rehearsal::{RecordedBody, RehearsalBody, StandingBody, grouped, standing};
use crate::dto::{Page, json};
use crate::params::Params;
use crate::problem::Problem;
use axum::extract::State;
use axum::http::StatusCode;
use bulkhead_core::log::{DecisionFilter, Page as LogPage};
use bulkhead_core::policy::{Conclusion, Judgement, Policy};
use bulkhead_core::refusal::Fault;
use bulkhead_core::rehearse::denies;
use utoipa::IntoParams;

/// Recorded decisions that a candidate is asked about: the newest.
const RECORDED_MAX: usize = 1000;

/// Rehearses a policy: puts everything that exists, and the recorded questions of the policy of its name, to it. Changes nothing.
#[utoipa::path(post, path = "/v1/rehearsals", tag = "policies", operation_id = "rehearse", request_body = NamedPolicyWishBody,
    responses((status = 200, description = "What would become illegal, what newly allowed", body = RehearsalBody)))]
pub async fn rehearse(State(app): State<App>, Asker(caller): Asker, params: Params, JsonBody(body): JsonBody) -> Answered {
    only_admins(&caller, "rehearse policies")?;
    let wish = both(params.finish(), meaning(body, |v| policy::read(v, None)))?;
    let Some(name) = wish.name.clone() else { return Err(Problem::invalid(vec![Fault::new("name", "missing", "the policy's name")])) };
    let candidate = candidate::of(&app, name, wish).await?;
    Ok(json(StatusCode::OK, &put(&app, candidate).await?))
}

/// Puts all that there is to a candidate.
pub(super) async fn put(app: &App, candidate: Policy) -> Result<RehearsalBody, Problem> {
    let recorded = recorded(app, &candidate).await?;
    let engine = app.engine().clone();
    let came = app.blocking(move || engine.rehearse(&candidate)).await?;
    let tightens = !came.newly_denied.is_empty() || !recorded.newly_denied.is_empty();
    let loosens = !came.newly_allowed.is_empty() || !recorded.newly_allowed.is_empty();
    let verdict = match (tightens, loosens) {
        (true, true) => "both",
        (true, false) => "tightens",
        (false, true) => "loosens",
        (false, false) => "neither",
    };
    Ok(RehearsalBody {
        verdict: verdict.to_owned(),
        compared_with: came.compared_with.map(|p| p.revision),
        networks: came.networks,
        endpoints: came.endpoints,
        newly_denied: grouped(&came.newly_denied),
        newly_allowed: grouped(&came.newly_allowed),
        still_denied: grouped(&came.still_denied),
        recorded,
    })
}

/// Questions that the policy of this name was asked, put to the candidate. They show what that policy looked at: a candidate that looks
/// at more was not shown it then.
pub(super) async fn recorded(app: &App, candidate: &Policy) -> Result<RecordedBody, Problem> {
    app.engine().flush().await;
    let filter = DecisionFilter { policy: Some(candidate.name.to_string()), ..DecisionFilter::default() };
    let mut found = Vec::new();
    let mut next = LogPage::Newest;
    while found.len() < RECORDED_MAX {
        let page = app.log().decisions(filter.clone(), next, 250).await?;
        let Some(last) = page.last() else { break };
        next = LogPage::Before(last.decision.id);
        found.extend(page);
    }
    let (engine, candidate) = (app.engine().clone(), candidate.clone());
    let asked_again = app.blocking(move || {
        let mut body = RecordedBody { decisions: found.len(), ..RecordedBody::default() };
        for logged in &found {
            let heard = logged.decision.heard.iter().filter(|h| h.policy == candidate.name);
            for then in heard.filter(|h| candidate.description.operations.contains(&h.question.operation)) {
                let now = engine.judge(&candidate, &then.question);
                let denied = matches!(&then.judged.judgement, Judgement::Spoke(o) if o.outcome == Conclusion::Deny);
                match (denied, denies(&now)) {
                    (false, true) => body.newly_denied.push(logged.decision.id.0),
                    (true, false) => body.newly_allowed.push(logged.decision.id.0),
                    _ => {}
                }
            }
        }
        body
    });
    asked_again.await
}

/// Whose violations.
#[derive(Debug, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct ViolationFilter {
    /// Name of the policy.
    #[param(nullable = false)]
    pub policy: Option<String>,
    /// Name of the network.
    #[param(nullable = false)]
    pub network: Option<String>,
}

/// Lists all that exists and is against a policy in force or in audit, by policy and network; complete, on one page. Nothing is
/// grandfathered in silence, and nothing is torn down by itself.
#[utoipa::path(get, path = "/v1/violations", tag = "policies", operation_id = "violations", params(ViolationFilter),
    responses((status = 200, description = "All of them", body = Page<StandingBody>)))]
pub async fn violations(State(app): State<App>, mut params: Params) -> Answered {
    let (policy, network) = (params.one("policy"), params.one("network"));
    params.check()?;
    let engine = app.engine().clone();
    let found = app.blocking(move || engine.violations()).await?;
    let fits = |v: &StandingBody| policy.is_none() || v.policy == policy;
    let items = found
        .iter()
        .flat_map(|(policy, existing, judged)| standing(existing, judged, Some(policy)))
        .filter(|v| fits(v) && network.as_ref().is_none_or(|n| v.network == *n))
        .collect();
    Ok(json(StatusCode::OK, &Page::<StandingBody> { items, next: None }))
}
