//! `/v1/health`

use super::Answered;
use crate::app::App;
use crate::dto::json;
use crate::params::Params;
use axum::extract::State;
use axum::http::StatusCode;
use bulkhead_core::faults::complaints;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// How the daemon is.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
#[schema(as = Health)]
pub struct HealthBody {
    /// `ok`, or `degraded` where something on record is not as it should be.
    #[schema(example = "ok")]
    pub status: String,
    /// What is not as it should be: parents that are away or lack their shield, degraded networks, endpoints that could not be made again,
    /// what the kernel lacks. At most 32.
    pub complaints: Vec<String>,
    /// How many there are.
    pub complaints_total: u64,
    /// The daemon's version.
    pub version: String,
    /// This boot of the kernel.
    pub boot: String,
    /// How long it serves, in seconds.
    pub uptime_s: u64,
    /// Networks on record.
    pub networks: u64,
    /// Endpoints on record.
    pub endpoints: u64,
    /// Plans that are under way.
    pub open_plans: u64,
    /// Number of the last decision.
    pub last_decision: u64,
    /// Number of the last event.
    pub last_event: u64,
}

/// Most complaints that are listed.
const COMPLAINTS_MAX: usize = 32;

/// Tells that the daemon serves, and what is not as it should be. Always 200 while it serves.
#[utoipa::path(get, path = "/v1/health", tag = "health", responses((status = 200, description = "It serves", body = HealthBody)))]
pub async fn show(State(app): State<App>, params: Params) -> Answered {
    params.check()?;
    let (state, host) = (app.engine().state(), app.engine().host());
    let all = complaints(&state, &host);
    let complaints: Vec<String> = all.iter().take(COMPLAINTS_MAX).map(ToString::to_string).collect();
    let body = HealthBody {
        status: if complaints.is_empty() { "ok" } else { "degraded" }.to_owned(),
        complaints,
        complaints_total: all.len() as u64,
        version: env!("CARGO_PKG_VERSION").to_owned(),
        boot: state.boot.to_string(),
        uptime_s: app.started().elapsed().as_secs(),
        networks: state.network_names().count() as u64,
        endpoints: state.endpoints_len() as u64,
        open_plans: state.plans().count() as u64,
        last_decision: state.last_decision,
        last_event: state.last_event,
    };
    Ok(json(StatusCode::OK, &body))
}
