//! `/v1/reports/segmentation`

use super::Answered;
use crate::app::App;
use crate::dto::json;
use crate::dto::report::{HostBody, Parts, SegmentationBody};
use crate::params::Params;
use crate::problem::Problem;
use crate::report_page;
use crate::time;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{Html, IntoResponse};
use bulkhead_core::ids::Timestamp;
use bulkhead_core::in_force::{stretches, unguarded};
use bulkhead_core::log::{DecisionFilter, LoggedDecision, Page};
use bulkhead_core::policy::Operation;
use bulkhead_core::refusal::Fault;
use bulkhead_core::segmentation::segmentation;
use utoipa::IntoParams;

/// The period where none is asked for, in milliseconds: 30 days.
const PERIOD_MS: u64 = 30 * 86_400_000;
/// Denials that are read.
const DENIALS_MAX: usize = 5_000;

/// Of what and how.
#[derive(Debug, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct SegmentationParams {
    /// Begin of the period (RFC 3339, or a date alone), 30 days before its end by default.
    #[param(nullable = false, format = DateTime, example = "2026-01-01T00:00:00Z")]
    pub since: Option<String>,
    /// End of the period, now by default.
    #[param(nullable = false, format = DateTime)]
    pub until: Option<String>,
    /// The label that tells tiers, `tier` by default.
    #[param(nullable = false)]
    pub label: Option<String>,
    /// `json`, or `html` for a page that needs nothing else. By default what `Accept` prefers.
    #[param(nullable = false, pattern = "^(json|html)$")]
    pub format: Option<String>,
}

/// Reports what keeps the tiers of this host apart.
///
/// Every ordered pair of tiers, by each way that could join them, each *satisfied*, *not satisfied* or *not evaluated* with the decisions
/// behind it; the policies in force over the period and the times without one; the record against the kernel, now; and what this
/// cannot show.
#[utoipa::path(get, path = "/v1/reports/segmentation", tag = "reports", params(SegmentationParams),
    responses((status = 200, description = "The report", content(
        (SegmentationBody = "application/json"), (String = "text/html", example = json!("<!doctype html>\n<html lang=\"en\">\n<title>Segmentation report</title>\n…"))))))]
pub async fn show(State(app): State<App>, headers: HeaderMap, mut params: Params) -> Answered {
    let when = "a time, such as 2026-01-31T12:00:00Z";
    // Periods end before their end: the millisecond that runs now is part of one that ends now.
    let now = Timestamp(bulkhead_engine::clock::now().0.saturating_add(1));
    let until = params.parsed("until", when, time::parse).unwrap_or(now).min(now);
    let since = params.parsed("since", when, time::parse).unwrap_or(Timestamp(until.0.saturating_sub(PERIOD_MS)));
    let label = params.one("label").unwrap_or_else(|| "tier".to_owned());
    let format = params.choice("format", &["json", "html"]);
    let mut faults = params.finish();
    if since >= until {
        faults.push(Fault::new("since", "is not before the end of the period", "an earlier time"));
    }
    if !faults.is_empty() {
        return Err(Problem::invalid(faults));
    }
    let report = report(&app, (since, until), label).await?;
    match format.unwrap_or_else(|| preferred(&headers)) {
        "html" => Ok(Html(report_page::page(&report)).into_response()),
        _ => Ok(json(StatusCode::OK, &report)),
    }
}

/// What comes first in `Accept`, of the two.
fn preferred(headers: &HeaderMap) -> &'static str {
    let accepted = headers.get_all(header::ACCEPT).iter().filter_map(|v| v.to_str().ok()).flat_map(|v| v.split(','));
    let kinds = accepted.map(|a| a.split(';').next().unwrap_or_default().trim());
    let first = kinds.filter(|k| ["text/html", "application/json", "*/*", "application/*"].contains(k)).map(|k| k == "text/html").next();
    if first == Some(true) { "html" } else { "json" }
}

async fn report(app: &App, period: (Timestamp, Timestamp), label: String) -> Result<SegmentationBody, Problem> {
    let (since, until) = period;
    app.engine().flush().await;
    let changes = app.log().policy_changes().await?;
    let in_force = stretches(&changes, since, until);
    let gaps = [Operation::CreateNetwork, Operation::Attach]
        .into_iter()
        .flat_map(|o| unguarded(&in_force, o, since, until).into_iter().map(move |(from, until)| (o, from, until)))
        .collect();
    let filter = DecisionFilter { verdict: Some("denied".to_owned()), since: Some(since), until: Some(until), ..DecisionFilter::default() };
    let (denied, denied_complete) = denials(app, filter).await?;
    let log = app.log().verify(None, None).await?;
    let engine = app.engine().clone();
    app.blocking(move || {
        let (state, host) = (engine.state(), engine.host());
        let found = segmentation(&state, &host, &label);
        let compared = engine.compare();
        let name = rustix::system::uname();
        let text = |c: &std::ffi::CStr| c.to_string_lossy().into_owned();
        SegmentationBody::of(Parts {
            now: bulkhead_engine::clock::now(),
            period,
            label: &label,
            host: HostBody { name: text(name.nodename()), kernel: text(name.release()), boot: host.boot.to_string() },
            judged_by: (&*engine.judged_by()).into(),
            log: &log,
            state: &state,
            tiers: &found.tiers,
            pairs: &found.pairs,
            stretches: &in_force,
            gaps,
            denied: &denied,
            denied_complete,
            compared: &compared,
        })
    })
    .await
}

/// The newest denials of the period, and whether these are all.
async fn denials(app: &App, filter: DecisionFilter) -> Result<(Vec<LoggedDecision>, bool), Problem> {
    let mut found: Vec<LoggedDecision> = Vec::new();
    let mut next = Page::Newest;
    while found.len() < DENIALS_MAX {
        let page = app.log().decisions(filter.clone(), next, 250).await?;
        let Some(last) = page.last() else { return Ok((found, true)) };
        next = Page::Before(last.decision.id);
        found.extend(page);
    }
    Ok((found, false))
}
