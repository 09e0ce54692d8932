//! Which path is whose. What is not here is not there.

use crate::api;
use crate::app::App;
use crate::base_path::BasePath;
use crate::once::{self, Keys};
use crate::openapi;
use crate::params::Params;
use crate::problem::{Kind, Problem};
use crate::version::{self, Versions};
use axum::Router;
use axum::extract::State;
use axum::http::{HeaderValue, Uri, header};
use axum::middleware::from_fn_with_state;
use axum::response::{IntoResponse, Response};
use bulkhead_core::names::{nearest, shown};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

/// All routes, and their description.
fn routes() -> OpenApiRouter<App> {
    use api::{
        decisions, endpoints, events, evidence, health, matrix, modules, networks, parents, policies, rehearsal, replay, reports,
        revisions, sessions,
    };
    OpenApiRouter::with_openapi(openapi::base())
        .routes(routes!(networks::create, networks::list))
        .routes(routes!(networks::inspect, networks::change, networks::delete))
        .routes(routes!(networks::addresses))
        .routes(routes!(endpoints::attach, endpoints::list_of_network))
        .routes(routes!(endpoints::inspect, endpoints::change, endpoints::detach))
        .routes(routes!(endpoints::list))
        .routes(routes!(parents::list))
        .routes(routes!(parents::inspect))
        .routes(routes!(policies::create, policies::list))
        .routes(routes!(policies::inspect, policies::replace, policies::delete))
        .routes(routes!(matrix::show))
        .routes(routes!(matrix::of_wish))
        .routes(routes!(rehearsal::rehearse))
        .routes(routes!(rehearsal::violations))
        .routes(routes!(revisions::list))
        .routes(routes!(revisions::inspect))
        .routes(routes!(revisions::diff))
        .routes(routes!(revisions::rollback))
        .routes(routes!(modules::upload, modules::list))
        .routes(routes!(modules::inspect, modules::delete))
        .routes(routes!(modules::content))
        .routes(routes!(decisions::list))
        .routes(routes!(decisions::inspect))
        .routes(routes!(replay::replay, replay::replay_with))
        .routes(routes!(evidence::verify))
        .routes(routes!(reports::show))
        .routes(routes!(events::list))
        .routes(routes!(sessions::code))
        .routes(routes!(health::show))
        .routes(routes!(show_description))
        .routes(routes!(problem))
}

/// The API's description, as JSON, of a daemon that a proxy shows below `base`.
pub fn description(base: &BasePath) -> String {
    let mut api = routes().into_openapi();
    openapi::complete(&mut api, base);
    // Texts, numbers and lists only: this cannot fail.
    api.to_pretty_json().unwrap_or_default()
}

/// The router. Whoever calls it must have put an [`Asker`](crate::app::Asker) into the request ([`listen`](crate::listen) does).
pub fn router(app: App) -> Router {
    let (router, _) = routes().split_for_parts();
    let keys = Keys::new(app.clone());
    let versions = Versions::new(app.clone(), router.clone().with_state(app.clone()));
    let router = router.route_layer(from_fn_with_state(versions, version::guard)).route_layer(from_fn_with_state(keys, once::guard));
    router.fallback(nowhere).method_not_allowed_fallback(not_that_method).with_state(app)
}

/// This description.
#[utoipa::path(get, path = "/v1/openapi.json", tag = "health", operation_id = "description", responses(
    (status = 200, description = "OpenAPI 3.1", body = serde_json::Value, content_type = "application/json",
        example = json!({"openapi": "3.1.0", "info": {"title": "Bulkhead"}, "paths": {}}))))]
async fn show_description(State(app): State<App>, params: Params) -> Result<Response, Problem> {
    params.check()?;
    Ok(([(header::CONTENT_TYPE, HeaderValue::from_static("application/json"))], app.description().to_owned()).into_response())
}

/// A kind of problem.
#[derive(serde::Serialize, utoipa::ToSchema)]
struct ProblemKind {
    /// What problems of this kind have as `type`.
    r#type: &'static str,
    /// The kind, for people.
    title: &'static str,
    /// The HTTP status.
    status: u16,
}

/// Says what a kind of problem is: what the `type` of a problem leads to.
#[utoipa::path(get, path = "/problems/{kind}", tag = "health", params(("kind" = String, Path, description = "Such as `invalid`")),
    responses((status = 200, description = "What it is", body = ProblemKind)))]
async fn problem(crate::params::Path(kind): crate::params::Path<String>, params: Params) -> Result<Response, Problem> {
    params.check()?;
    let found = Kind::ALL.into_iter().find(|k| k.uri().strip_prefix("/problems/") == Some(&kind));
    let found = found.ok_or_else(|| Problem::new(Kind::NotFound, format!("there is no kind of problem {}", shown(&kind))))?;
    let body = ProblemKind { r#type: found.uri(), title: found.title(), status: found.status().as_u16() };
    Ok(crate::dto::json(axum::http::StatusCode::OK, &body))
}

async fn nowhere(uri: Uri) -> Problem {
    static PATHS: std::sync::OnceLock<Vec<String>> = std::sync::OnceLock::new();
    let paths = PATHS.get_or_init(|| routes().into_openapi().paths.paths.into_keys().filter(|p| !p.contains('{')).collect());
    let right = match nearest(uri.path(), paths.iter().map(String::as_str)) {
        Some(near) => format!("did you mean {near}?"),
        None => "GET /v1/openapi.json describes all paths".to_owned(),
    };
    Problem::new(Kind::NotFound, format!("there is nothing at {}; {right}", shown(uri.path())))
}

async fn not_that_method(method: axum::http::Method, uri: Uri) -> Problem {
    Problem::new(Kind::MethodNotAllowed, format!("{} does not take {method}; the Allow field says what it takes", shown(uri.path())))
}
