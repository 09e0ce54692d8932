//! `/v1/events`

use super::Answered;
use crate::app::App;
use crate::dto::decision::{EventBody, show_event};
use crate::dto::{Page, json};
use crate::params::Params;
use axum::extract::State;
use axum::http::StatusCode;
use utoipa::IntoParams;

/// Which events.
#[derive(Debug, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct EventParams {
    /// Number of the last event that is known already; 0 by default.
    #[param(nullable = false)]
    pub after: Option<u64>,
    /// Items of a page: 1 to 500, 100 by default.
    #[param(minimum = 1, maximum = 500, nullable = false)]
    pub limit: Option<u16>,
}

/// Lists events, oldest first; `next` is the `after` of the next page.
#[utoipa::path(get, path = "/v1/events", tag = "events", params(EventParams),
    responses((status = 200, description = "A page of them", body = Page<EventBody>)))]
pub async fn list(State(app): State<App>, mut params: Params) -> Answered {
    let fits = |text: &str| text.parse::<u64>().ok().filter(|n| i64::try_from(*n).is_ok());
    let after = params.parsed("after", "the number of an event, or 0", fits).unwrap_or(0);
    let limit = params.limit();
    params.check()?;
    app.engine().flush().await;
    let found = app.log().events_after(after, limit.saturating_add(1)).await?;
    Ok(json(StatusCode::OK, &Page::of(found.into_iter(), limit, |e| e.seq.to_string()).map(show_event)))
}
