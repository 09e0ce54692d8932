//! `/v1/modules`

use super::networks::RemovedOrDryRun;
use super::{Answered, dry_run, gone_again, only_admins};
use crate::app::{App, Asker, Why};
use crate::body::{expect_type, read};
use crate::dto::plan::DryRunBody;
use crate::dto::policy::{self, ModuleBody};
use crate::dto::{ChangeParams, Page, PageParams, Removed, created, json};
use crate::params::{Params, Path};
use crate::problem::{Kind, Problem};
use axum::body::Body;
use axum::extract::State;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::IntoResponse;
use bulkhead_core::decide::Object;
use bulkhead_core::ids::DecisionId;
use bulkhead_core::names::shown;
use bulkhead_core::policy::{Digest, Module};
use bulkhead_core::refusal::Refusal;
use bulkhead_core::request::{Request, UnusedModule};
use bulkhead_core::state::State as Record;
use std::sync::Arc;

/// Uploads a module: a WebAssembly component of the contract, or the core module of which one can be made.
///
/// A module never changes: the same bytes again are answered with the module that is there.
#[utoipa::path(post, path = "/v1/modules", tag = "modules", params(ChangeParams),
    request_body(content = inline(WasmBytes), content_type = "application/wasm"), responses(
        (status = 201, description = "It is on record", body = ModuleBody, headers(("Location" = String, description = "Where it is"))),
        (status = 200, description = "It was there already; or, in a dry run, what would come of it", body = inline(ModuleOrDryRun)),
    ))]
pub async fn upload(State(app): State<App>, Asker(caller): Asker, mut params: Params, headers: HeaderMap, body: Body) -> Answered {
    only_admins(&caller, "upload modules")?;
    let why = Why::of(&mut params);
    params.check()?;
    expect_type(&headers, "application/wasm")?;
    let stopping = |_| Problem::new(Kind::Unavailable, "the daemon is stopping");
    let one_of_few = Arc::clone(app.uploads()).acquire_owned().await.map_err(stopping)?;
    let bytes: Arc<[u8]> = read(&headers, body, app.limits().module_bytes_max, app.limits().body_within).await?.as_ref().into();

    // One at a time from here, also if the caller hangs up: an admitted module is then either on record or unloaded again.
    let app = app.clone();
    let upload = tokio::spawn(async move {
        let _one_of_few = one_of_few;
        let _one_at_a_time = app.module_change().lock().await;
        let (modules, admitted) = (Arc::clone(app.modules()), Arc::clone(&bytes));
        let module = app.blocking(move || modules.admit(&admitted)).await?.map_err(Problem::invalid)?;
        let digest = module.digest;
        let request = Request::PutModule(Arc::new(module));
        let answered =
            if why.dry_run { dry_run(&app, request, &caller, why).await } else { put(&app, request, &caller, why, (digest, bytes)).await };
        if app.engine().state().module(digest).is_none() {
            app.modules().unload(digest);
        }
        answered
    });
    upload.await.unwrap_or_else(|e| {
        tracing::error!(error = %e, "an upload did not come to its end");
        Err(Problem::new(Kind::Internal, "the upload did not come to its end; the daemon's log says more"))
    })
}

async fn put(app: &App, request: Request, caller: &bulkhead_core::caller::Caller, why: Why, bytes: (Digest, Arc<[u8]>)) -> Answered {
    let answer = app.engine().ask_with(request, caller.clone(), why.change, why.force, None, Some(bytes)).await?;
    let Object::Module(digest) = answer.object else { return Err(gone_again("module")) };
    let module = answer.state.module(digest).ok_or_else(|| gone_again("module"))?;
    let mut body = policy::show_module(app, &answer.state, module);
    body.decision = answer.decision.map(|d| d.0);
    if answer.decision.is_none() {
        return Ok(json(StatusCode::OK, &body));
    }
    Ok(created(&format!("/v1/modules/{digest}"), &body))
}

/// The bytes of a module.
#[derive(utoipa::ToSchema)]
#[schema(value_type = String, format = Binary)]
#[expect(dead_code, reason = "describes the API")]
struct WasmBytes(Vec<u8>);

/// What an upload answers with 200.
#[derive(utoipa::ToSchema)]
#[serde(untagged)]
#[expect(dead_code, reason = "describes the API")]
enum ModuleOrDryRun {
    /// It was there already.
    Module(Box<ModuleBody>),
    /// What would come of it.
    DryRun(DryRunBody),
}

/// Lists modules, by digest.
#[utoipa::path(get, path = "/v1/modules", tag = "modules", params(PageParams),
    responses((status = 200, description = "A page of them", body = Page<ModuleBody>)))]
pub async fn list(State(app): State<App>, mut params: Params) -> Answered {
    let limit = params.limit();
    let after: Option<Digest> = params.parsed("cursor", "next of the page before", |c| c.parse().ok());
    params.check()?;
    let state = app.engine().state();
    let fitting = state.modules().filter(|m| after.is_none_or(|a| m.digest > a));
    Ok(json(StatusCode::OK, &Page::of(fitting, limit, |m| m.digest.to_string()).map(|m| policy::show_module(&app, &state, m))))
}

/// Shows a module.
#[utoipa::path(get, path = "/v1/modules/{digest}", tag = "modules", params(("digest" = String, Path, description = "`sha256:` and 64 digits")),
    responses((status = 200, description = "The module", body = ModuleBody)))]
pub async fn inspect(State(app): State<App>, Path(digest): Path<String>, params: Params) -> Answered {
    params.check()?;
    let state = app.engine().state();
    let module = find(&state, &digest)?;
    Ok(json(StatusCode::OK, &policy::show_module(&app, &state, module)))
}

/// The bytes of a module, as uploaded.
#[utoipa::path(get, path = "/v1/modules/{digest}/content", tag = "modules",
    params(("digest" = String, Path, description = "`sha256:` and 64 digits")),
    responses((status = 200, description = "The bytes", body = inline(WasmBytes), content_type = "application/wasm")))]
pub async fn content(State(app): State<App>, Path(digest): Path<String>, params: Params) -> Answered {
    params.check()?;
    let digest = find(&app.engine().state(), &digest)?.digest;
    match app.log().module_bytes(digest).await? {
        Some(bytes) => Ok(([(header::CONTENT_TYPE, HeaderValue::from_static("application/wasm"))], bytes).into_response()),
        // Removed since it was looked up.
        None => Err(none_such(&digest.to_string())),
    }
}

/// Removes a module that no policy uses and by which no decision was judged that is not archived.
#[utoipa::path(delete, path = "/v1/modules/{digest}", tag = "modules",
    params(("digest" = String, Path, description = "`sha256:` and 64 digits"), ChangeParams),
    responses((status = 200, description = "It is gone; or, in a dry run, what would come of it", body = inline(RemovedOrDryRun))))]
pub async fn delete(State(app): State<App>, Asker(caller): Asker, Path(digest): Path<String>, mut params: Params) -> Answered {
    let why = Why::of(&mut params);
    params.check()?;
    let digest = find(&app.engine().state(), &digest)?.digest;
    let _one_at_a_time = app.module_change().lock().await;
    app.engine().flush().await;
    let as_of = DecisionId(app.engine().state().last_decision);
    let judged = app.log().last_judged_by(digest).await?;
    let request = Request::DeleteModule(UnusedModule { digest, judged, as_of });
    if why.dry_run {
        return dry_run(&app, request, &caller, why).await;
    }
    let answer = app.ask(request, (*caller).clone(), why, None).await?;
    app.modules().unload(digest);
    Ok(json(StatusCode::OK, &Removed { decision: answer.decision.map(|d| d.0), warnings: answer.warnings }))
}

fn find<'a>(state: &'a Record, digest: &str) -> Result<&'a Arc<Module>, Problem> {
    let module = digest.parse().ok().and_then(|d| state.module(d));
    module.ok_or_else(|| none_such(digest))
}

fn none_such(digest: &str) -> Problem {
    let right = "GET /v1/modules lists those that are there";
    Refusal::not_found("digest", format!("there is no module {}", shown(digest)), right).into()
}
