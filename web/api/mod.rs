//! `/v1`, one file per resource. Each handler reads its request, puts it to the engine, and shows what came of it.

#![allow(unused_qualifications, reason = "the expansion of utoipa::path has them")]

mod candidate;
pub mod decisions;
pub mod endpoints;
pub mod events;
pub mod evidence;
pub mod health;
pub mod matrix;
pub mod modules;
pub mod networks;
pub mod parents;
pub mod policies;
pub mod rehearsal;
pub mod replay;
pub mod reports;
pub mod revisions;
pub mod sessions;

use crate::app::App;
use crate::problem::Problem;
use axum::http::StatusCode;
use axum::response::Response;
use bulkhead_core::caller::Caller;
use bulkhead_core::names::{Name, nearest, shown};
use bulkhead_core::network::Network;
use bulkhead_core::refusal::{Fault, Refusal};
use bulkhead_core::request::Request;
use bulkhead_core::state::State;
use std::sync::Arc;

/// What a handler answers.
pub(crate) type Answered = Result<Response, Problem>;

/// Faults of the parameters and of the body, at once; the body's meaning if there are none.
fn both<T>(of_params: Vec<Fault>, body: Result<T, Vec<Fault>>) -> Result<T, Problem> {
    match body {
        Ok(value) if of_params.is_empty() => Ok(value),
        Ok(_) => Err(Problem::invalid(of_params)),
        Err(faults) => Err(Problem::invalid(of_params.into_iter().chain(faults).collect())),
    }
}

/// Reads a JSON body: repeated keys are faults like any other.
fn meaning<T>(parsed: crate::json::Parsed, read: impl FnOnce(serde_json::Value) -> crate::fields::Read<T>) -> crate::fields::Read<T> {
    match read(parsed.value) {
        Ok(value) if parsed.repeated.is_empty() => Ok(value),
        Ok(_) => Err(parsed.repeated),
        Err(faults) => Err(parsed.repeated.into_iter().chain(faults).collect()),
    }
}

/// What would come of a request.
async fn dry_run(app: &App, request: Request, caller: &Caller, why: crate::app::Why) -> Answered {
    let dry = app.dry_run(request, caller.clone(), why).await?;
    Ok(crate::dto::json(StatusCode::OK, &crate::dto::plan::show(&dry)))
}

/// The network of this name or id, or a 404 that names the nearest.
fn find_network<'a>(state: &'a State, name_or_id: &str) -> Result<&'a Arc<Network>, Problem> {
    state.network(name_or_id).ok_or_else(|| {
        let near = nearest(name_or_id, state.network_names().map(Name::as_str));
        let right = near.map_or_else(|| "GET /v1/networks lists those that are there".to_owned(), |n| format!("did you mean {n}?"));
        Refusal::not_found("network", format!("there is no network {}", shown(name_or_id)), right).into()
    })
}

/// Modules and policies are for admins; said before anything is compiled or run for somebody else.
fn only_admins(caller: &Caller, what: &str) -> Result<(), Problem> {
    if caller.admin {
        return Ok(());
    }
    Err(Refusal::forbidden("", format!("{} may not {what}", caller.name), "only uid 0 and configured admins may").into())
}

/// What was asked for is done, and something else has removed it since.
fn gone_again(what: &str) -> Problem {
    Refusal::conflict("", format!("the {what} was there, and has been removed since"), "ask again").into()
}
