//! `/v1/sessions`: the way into the dashboard.

use super::Answered;
use crate::app::{App, Asker};
use crate::dashboard;
use crate::dto::json;
use crate::params::Params;
use crate::problem::{Kind, Problem};
use crate::sessions::{CODE_WITHIN, DOOR};
use axum::extract::State;
use axum::http::StatusCode;
use bulkhead_core::refusal::Refusal;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// A code that is good for one log-in to the dashboard.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
#[schema(as = LoginCode)]
pub struct CodeBody {
    /// The code.
    pub code: String,
    /// Where to log in with it; the code is in the fragment.
    #[schema(example = "http://127.0.0.1:8420/ui/#code=…")]
    pub url: String,
    /// How long it is good, in seconds.
    #[schema(example = 60)]
    pub good_for_s: u64,
}

/// Makes a code for one log-in to the dashboard, as who asks for it. `bulkhead dashboard` prints its URL.
#[utoipa::path(post, path = "/v1/sessions/codes", tag = "sessions", operation_id = "code",
    responses((status = 200, description = "The code; it is told only here", body = CodeBody)))]
pub async fn code(State(app): State<App>, Asker(caller): Asker, params: Params) -> Answered {
    params.check()?;
    if caller.door == DOOR {
        return Err(Refusal::forbidden("", "a session may not begin another", "log in by `bulkhead dashboard`").into());
    }
    let sessions = app.sessions().ok_or_else(|| {
        let right = "a daemon that was started with --listen 127.0.0.1:8420";
        Problem::new(Kind::Conflict, format!("this daemon does not listen on TCP, so it has no dashboard; needed is {right}"))
            .about("", right)
    })?;
    let (code, url) = dashboard::code(sessions, caller)?;
    Ok(json(StatusCode::OK, &CodeBody { code, url, good_for_s: CODE_WITHIN.as_secs() }))
}
