//! `/v1/decisions`

use super::Answered;
use crate::app::App;
use crate::dto::decision::{self, DecisionBody};
use crate::dto::{Page, PageParams, json};
use crate::params::{Params, Path};
use crate::problem::Problem;
use crate::time;
use axum::extract::State;
use axum::http::StatusCode;
use bulkhead_core::ids::DecisionId;
use bulkhead_core::log::{self, DecisionFilter, LoggedDecision};
use bulkhead_core::names::shown;
use bulkhead_core::refusal::Refusal;
use utoipa::IntoParams;

const OPERATIONS: [&str; 11] = [
    "archive-decisions",
    "create-network",
    "change-network",
    "delete-network",
    "attach",
    "change-workload",
    "detach",
    "put-module",
    "delete-module",
    "put-policy",
    "delete-policy",
];

/// Which decisions.
#[derive(Debug, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct DecisionParams {
    /// Name of who asked.
    #[param(nullable = false)]
    pub caller: Option<String>,
    /// What was asked.
    #[param(
        nullable = false,
        pattern = "^(archive-decisions|create-network|change-network|delete-network|attach|change-workload|detach|put-module|delete-module|put-policy|delete-policy)$"
    )]
    pub operation: Option<String>,
    /// Name of the network, policy or module concerned.
    #[param(nullable = false)]
    pub subject: Option<String>,
    /// Name of the network: decisions about it and its endpoints.
    #[param(nullable = false)]
    pub network: Option<String>,
    /// Id or name of the workload.
    #[param(nullable = false)]
    pub workload: Option<String>,
    /// Id of the network or endpoint.
    #[param(nullable = false)]
    pub object: Option<String>,
    /// `allowed`, `denied` or `forced`.
    #[param(nullable = false, pattern = "^(allowed|denied|forced)$")]
    pub verdict: Option<String>,
    /// A policy that was asked.
    #[param(nullable = false)]
    pub policy: Option<String>,
    /// Not before this time (RFC 3339, or a date alone).
    #[param(nullable = false, format = DateTime, example = "2026-01-31T12:00:00Z")]
    pub since: Option<String>,
    /// Before this time.
    #[param(nullable = false, format = DateTime)]
    pub until: Option<String>,
}

/// Lists decisions, newest first, as far as they are not archived.
#[utoipa::path(get, path = "/v1/decisions", tag = "decisions", params(DecisionParams, PageParams),
    responses((status = 200, description = "A page of them", body = Page<DecisionBody>)))]
pub async fn list(State(app): State<App>, mut params: Params) -> Answered {
    let when = "a time, such as 2026-01-31T12:00:00Z";
    let filter = DecisionFilter {
        caller: params.one("caller"),
        operation: params.choice("operation", &OPERATIONS).map(str::to_owned),
        subject: params.one("subject"),
        network: params.one("network"),
        workload: params.one("workload"),
        object: params.one("object"),
        verdict: params.choice("verdict", &["allowed", "denied", "forced"]).map(str::to_owned),
        policy: params.one("policy"),
        since: params.parsed("since", when, time::parse),
        until: params.parsed("until", when, time::parse),
    };
    let limit = params.limit();
    let before = params.parsed("cursor", "next of the page before", number).map(DecisionId);
    params.check()?;
    app.engine().flush().await;
    let page = before.map_or(log::Page::Newest, log::Page::Before);
    let found = app.log().decisions(filter, page, limit.saturating_add(1)).await?;
    let page = Page::of(found.iter(), limit, |d| d.decision.id.to_string());
    Ok(json(StatusCode::OK, &page.map(|d| decision::show(d, false))))
}

/// Shows a decision with all that the policies were shown and said.
#[utoipa::path(get, path = "/v1/decisions/{decision}", tag = "decisions", params(("decision" = u64, Path, description = "Its number")),
    responses((status = 200, description = "The decision", body = DecisionBody)))]
pub async fn inspect(State(app): State<App>, Path(text): Path<String>, params: Params) -> Answered {
    params.check()?;
    Ok(json(StatusCode::OK, &decision::show(&find(&app, &text).await?, true)))
}

/// The decision of this number, or a 404 that says which there are.
pub(super) async fn find(app: &App, text: &str) -> Result<LoggedDecision, Problem> {
    app.engine().flush().await;
    let found = match number(text) {
        Some(id) => app.log().decision(DecisionId(id)).await?,
        None => None,
    };
    let none = || {
        let right = format!("a number from 1 to {}", app.engine().state().last_decision);
        Refusal::not_found("decision", format!("there is no decision {}", shown(text)), right)
    };
    Ok(found.ok_or_else(none)?)
}

/// A number that an SQL database can hold.
fn number(text: &str) -> Option<u64> {
    text.parse().ok().filter(|n| i64::try_from(*n).is_ok())
}
