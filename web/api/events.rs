//! `/v1/events`

use super::Answered;
use crate::app::{App, Ending};
use crate::dto::decision::{EventBody, show_event};
use crate::dto::{Page, json};
use crate::params::Params;
use crate::problem::Problem;
use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use bulkhead_core::event::Event;
use bulkhead_core::refusal::Fault;
use bulkhead_core::state::State as Record;
use http_body_util::channel::{Channel, Sender};
use std::convert::Infallible;
use std::time::Duration;
use tokio::sync::broadcast::error::RecvError;
use utoipa::IntoParams;

/// Events that are read from the record at once.
const BATCH: usize = 500;
/// Events that wait for a watcher to take them, besides those that the engine keeps for it.
const WAITING_MAX: usize = 64;
/// How often a quiet stream says that it is still there, so that proxies keep it and a dead watcher is noticed.
const STILL_HERE: Duration = Duration::from_secs(15);

/// Which events.
#[derive(Debug, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct EventParams {
    /// Number of the last event that is known already. A list begins at 0 without it, a stream with what happens from now on.
    #[param(nullable = false)]
    pub after: Option<u64>,
    /// Items of a page: 1 to 500, 100 by default.
    #[param(minimum = 1, maximum = 500, nullable = false)]
    pub limit: Option<u16>,
}

/// Lists events, oldest first; `next` is the `after` of the next page. With `Accept: text/event-stream`: sends them as they happen.
///
/// A stream (server-sent events) has an `id` with each event, its number: `Last-Event-ID` or `after` goes on behind it, also after a restart
/// of the daemon. Who does not keep up, or names a number that is yet to come, is sent `event: resync` and cut off: what is there is to
/// be looked at anew.
#[utoipa::path(get, path = "/v1/events", tag = "events",
    params(EventParams, ("Last-Event-ID" = inline(Option<u64>), Header, description = "As `after`, for streams; wins over it", nullable = false)),
    responses((status = 200, description = "A page of them, or a stream", content(
        (Page<EventBody> = "application/json"), (String = "text/event-stream", example = json!("id: 7\nevent: network.created\ndata: {\"seq\":7,…}\n\n"))))))]
pub async fn list(State(app): State<App>, headers: HeaderMap, ending: Ending, mut params: Params) -> Answered {
    let fits = |text: &str| text.parse::<u64>().ok().filter(|n| i64::try_from(*n).is_ok());
    let after = params.parsed("after", "the number of an event, or 0", fits);
    let limit = params.limit();
    let mut faults = params.finish();
    let last = headers.get("last-event-id").map(|v| v.to_str().ok().and_then(|text| fits(text.trim())));
    if last == Some(None) {
        faults.push(Fault::new("Last-Event-ID", "is not a number", "the `id` of an event of this stream"));
    }
    if !faults.is_empty() {
        return Err(Problem::invalid(faults));
    }
    let accepts = headers.get_all(header::ACCEPT).iter().filter_map(|v| v.to_str().ok()).flat_map(|v| v.split(','));
    if accepts.map(|a| a.split(';').next().unwrap_or_default().trim()).any(|a| a == "text/event-stream") {
        return Ok(stream(app, last.flatten().or(after), ending));
    }
    app.engine().flush().await;
    let found = app.log().events_after(after.unwrap_or(0), limit.saturating_add(1)).await?;
    let state = app.engine().state();
    Ok(json(StatusCode::OK, &Page::of(found.into_iter(), limit, |e| e.seq.to_string()).map(|e| show_event(&state, e))))
}

fn stream(app: App, after: Option<u64>, ending: Ending) -> Response {
    let (sender, body) = Channel::<Bytes, Infallible>::new(WAITING_MAX);
    tokio::spawn(async move {
        let mut watcher = Watcher { sender, last: 0 };
        // Its watcher goes, or the daemon, or the session that it was asked for in: each ends it.
        tokio::select! {
            _gone = watcher.follow(&app, after) => {}
            () = ending.ended() => {}
        }
    });
    // The second is for nginx, which would keep back what comes until it has enough of it.
    let fields = [(header::CONTENT_TYPE, "text/event-stream"), (HeaderName::from_static("x-accel-buffering"), "no")];
    (fields.map(|(name, value)| (name, HeaderValue::from_static(value))), Body::new(body)).into_response()
}

/// Nobody reads any more.
struct Gone;

struct Watcher {
    sender: Sender<Bytes, Infallible>,
    /// Number of the last event that was sent.
    last: u64,
}

impl Watcher {
    async fn follow(&mut self, app: &App, after: Option<u64>) -> Result<(), Gone> {
        // First the ear, then the record: nothing falls between the two.
        let mut live = app.engine().watch();
        app.engine().flush().await;
        let there = app.engine().state().last_event;
        self.last = after.unwrap_or(there);
        // Headers go out, and a browser knows that it is connected.
        self.send(": events\n\n".to_owned()).await?;
        if self.last > there {
            return self.resync("this number is yet to come: the record is another one").await;
        }
        while self.last < there {
            let Ok(found) = app.log().events_after(self.last, BATCH).await else {
                return self.resync("the record cannot be read").await;
            };
            if found.is_empty() {
                break;
            }
            for event in found {
                self.event(&app.engine().state(), event).await?;
            }
        }
        loop {
            match tokio::time::timeout(STILL_HERE, live.recv()).await {
                Err(_) => self.send(": still here\n\n".to_owned()).await?,
                Ok(Ok(event)) if event.seq <= self.last => {}
                Ok(Ok(event)) => self.event(&app.engine().state(), event).await?,
                Ok(Err(RecvError::Lagged(missed))) => return self.resync(&format!("{missed} events were not taken in time")).await,
                Ok(Err(RecvError::Closed)) => return Ok(()),
            }
        }
    }

    async fn event(&mut self, state: &Record, event: Event) -> Result<(), Gone> {
        let (seq, kind) = (event.seq, event.kind.clone());
        let data = serde_json::to_string(&show_event(state, event)).unwrap_or_default();
        self.send(format!("id: {seq}\nevent: {kind}\ndata: {data}\n\n")).await?;
        self.last = seq;
        Ok(())
    }

    async fn resync(&mut self, why: &str) -> Result<(), Gone> {
        let data = serde_json::json!({"last": self.last, "why": why});
        self.send(format!("event: resync\ndata: {data}\n\n")).await
    }

    async fn send(&mut self, text: String) -> Result<(), Gone> {
        self.sender.send_data(text.into()).await.map_err(|_| Gone)
    }
}
