//! `/v1/matrix` and `/v1/policies/{policy}/matrix`: what a policy says to a finite world, and what differs between two revisions.

use super::{Answered, both, candidate, meaning, only_admins, replay};
use crate::app::{App, Asker};
use crate::body::JsonBody;
use crate::dto::json;
use crate::dto::matrix::MatrixBody;
use crate::dto::policy::{self, NamedPolicyWishBody};
use crate::params::{Params, Path};
use crate::problem::Problem;
use axum::extract::State;
use axum::http::StatusCode;
use bulkhead_core::matrix::{CELLS_MAX, ask, cells, values};
use bulkhead_core::names::Name;
use bulkhead_core::policy::Policy;
use bulkhead_core::refusal::Refusal;
use utoipa::IntoParams;

/// Which revisions.
#[derive(Debug, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct MatrixParams {
    /// Number of the revision; by default the one in force.
    #[param(nullable = false)]
    pub revision: Option<u64>,
    /// Number of a revision to compare it with.
    #[param(nullable = false)]
    pub against: Option<u64>,
}

/// Enumerates what a policy says: each label value that its settings or the record name, beside each other one, shared, reached,
/// overlapping or attached, for each operation. Changes nothing.
#[utoipa::path(get, path = "/v1/policies/{policy}/matrix", tag = "policies", operation_id = "matrix",
    params(("policy" = String, Path, description = "Its name"), MatrixParams),
    responses((status = 200, description = "What is allowed, what differs, and which rules never deny", body = MatrixBody)))]
pub async fn show(State(app): State<App>, Path(name): Path<String>, mut params: Params) -> Answered {
    let number = |n: &str| n.parse::<u64>().ok().filter(|n| i64::try_from(*n).is_ok());
    let revision = params.parsed("revision", "the number of a revision", number);
    let against = params.parsed("against", "the number of a revision", number);
    params.check()?;
    let policy = replay::on_record(&app, &name, revision).await?;
    let other = match against {
        Some(number) => Some(replay::on_record(&app, &name, Some(number)).await?),
        None => None,
    };
    answer(&app, policy, other).await
}

/// The same of a policy that is only wished for, compared with the one of its name in force. Changes nothing.
#[utoipa::path(post, path = "/v1/matrix", tag = "policies", operation_id = "matrix_of_wish", request_body = NamedPolicyWishBody,
    responses((status = 200, description = "What is allowed, what differs, and which rules never deny", body = MatrixBody)))]
pub async fn of_wish(State(app): State<App>, Asker(caller): Asker, params: Params, JsonBody(body): JsonBody) -> Answered {
    only_admins(&caller, "try policies")?;
    let wish = both(params.finish(), meaning(body, |v| policy::read(v, None)))?;
    let name = wish.name.clone().map_or_else(|| Name::new("candidate").map_err(|fault| Problem::invalid(vec![fault])), Ok)?;
    let policy = candidate::of(&app, name, wish).await?;
    let other = app.engine().state().policy(policy.name.as_str()).map(|p| Policy::clone(p));
    answer(&app, policy, other).await
}

async fn answer(app: &App, policy: Policy, other: Option<Policy>) -> Answered {
    let engine = app.engine().clone();
    let work = move || -> Result<MatrixBody, Refusal> {
        let both: Vec<&Policy> = std::iter::once(&policy).chain(&other).collect();
        let values = values(&both, &engine.state());
        let Some(cells) = cells(&both, &values) else {
            let wrong = format!("{} label values give more than {CELLS_MAX} questions", values.len());
            return Err(Refusal::invalid("policy", wrong, "a policy whose settings name fewer"));
        };
        let said = ask(engine.judge_of_policies(), &policy, &cells);
        let before = other.as_ref().map(|other| ask(engine.judge_of_policies(), other, &cells));
        let compared = other.as_ref().zip(before.as_deref());
        Ok(MatrixBody::of(&policy, values, &cells, &said, compared))
    };
    Ok(json(StatusCode::OK, &app.blocking(work).await??))
}
