//! Creates that are made once: a repeat with the same `Idempotency-Key` is answered as the first one was.
//!
//! Only what was made is remembered: what was refused, denied or failed had no effect, and is tried anew. For 24 hours, in memory: after a
//! restart of the daemon a repeat is judged by what is on record, where a name can be taken only once.

use crate::app::{App, Asker};
use crate::body;
use crate::problem::{Kind, Problem};
use axum::body::{Body, Bytes};
use axum::extract::{MatchedPath, Request, State};
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use bulkhead_core::refusal::Fault;
use http_body_util::BodyExt;
use sha2::{Digest, Sha256};
use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// How long a key is remembered.
const REMEMBERED: Duration = Duration::from_secs(24 * 3600);
/// How many keys are; the oldest go first.
const KEYS_MAX: usize = 10_000;
/// Longest key, in bytes.
pub const KEY_MAX: usize = 255;
/// What a POST there makes, is made once with a key. A module is known by its bytes: uploading it again makes nothing anyway.
const CREATES: [&str; 4] = ["/v1/networks", "/v1/networks/{network}/endpoints", "/v1/policies", "/v1/policies/{policy}/rollback"];

/// Whether a POST to this path heeds a key.
pub fn takes_key(path: &str) -> bool {
    CREATES.contains(&path)
}

/// The caller, the path and the key: nobody hears of what somebody else made.
type Id = (String, String, String);

#[derive(Clone)]
struct Made {
    status: StatusCode,
    headers: HeaderMap,
    body: Bytes,
}

struct Entry {
    request: [u8; 32],
    /// None while it is under way.
    made: Option<Made>,
}

#[derive(Default)]
struct Known {
    entries: HashMap<Id, Entry>,
    /// Oldest first; only of what was made.
    order: VecDeque<(Instant, Id)>,
}

/// The keys of one router.
#[derive(Clone)]
pub struct Keys {
    app: App,
    known: Arc<Mutex<Known>>,
}

impl Keys {
    /// For one router.
    pub fn new(app: App) -> Self {
        Self { app, known: Arc::default() }
    }

    fn known(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Begins with a key: an answer where it is known already.
    fn begin(&self, id: &Id, request: [u8; 32]) -> Result<Option<Made>, Problem> {
        let mut known = self.known();
        while known.order.front().is_some_and(|(at, _)| at.elapsed() >= REMEMBERED) || known.order.len() >= KEYS_MAX {
            if let Some((_, oldest)) = known.order.pop_front() {
                known.entries.remove(&oldest);
            }
        }
        let Some(entry) = known.entries.get(id) else {
            known.entries.insert(id.clone(), Entry { request, made: None });
            return Ok(None);
        };
        let fault = |wrong: &str, right: &str| Fault::new("Idempotency-Key", wrong, right);
        if entry.request != request {
            return Err(Problem::invalid(vec![fault(
                "stood with another request before",
                "a new key for each request, and the same for its repeats",
            )]));
        }
        match &entry.made {
            Some(made) => Ok(Some(made.clone())),
            None => Err(Problem::new(Kind::Conflict, "a request with this Idempotency-Key is under way")
                .about("Idempotency-Key", "wait for its end, or repeat it a little later")),
        }
    }

    fn end(&self, id: Id, made: Option<Made>) {
        let mut known = self.known();
        let Some(made) = made else {
            known.entries.remove(&id);
            return;
        };
        if let Some(entry) = known.entries.get_mut(&id) {
            entry.made = Some(made);
            known.order.push_back((Instant::now(), id));
        }
    }
}

/// Forgets a key whose request came to no end.
struct UnderWay(Keys, Option<Id>);

impl Drop for UnderWay {
    fn drop(&mut self) {
        if let Some(id) = self.1.take() {
            self.0.end(id, None);
        }
    }
}

/// Answers a repeat as its first was answered.
pub async fn guard(State(keys): State<Keys>, Asker(caller): Asker, matched: MatchedPath, request: Request, next: Next) -> Response {
    let name = HeaderName::from_static("idempotency-key");
    let path = request.uri().path().to_owned();
    let Some(key) = request.headers().get(&name).filter(|_| request.method() == Method::POST && takes_key(matched.as_str())) else {
        return next.run(request).await;
    };
    let key = match key.to_str() {
        Ok(key) if (1..=KEY_MAX).contains(&key.len()) => key.to_owned(),
        _ => {
            let right = format!("1 to {KEY_MAX} ASCII characters, such as a UUID");
            return Problem::invalid(vec![Fault::new("Idempotency-Key", "does not fit", right)]).into_response();
        }
    };
    let limits = keys.app.limits();
    let (parts, whole) = request.into_parts();
    let whole = match body::read(&parts.headers, whole, limits.body_bytes_max, limits.body_within).await {
        Ok(whole) => whole,
        Err(problem) => return problem.into_response(),
    };
    let query = parts.uri.query().unwrap_or_default();
    let fingerprint = Sha256::new().chain_update(query).chain_update([0]).chain_update(&whole).finalize().into();
    let id = (format!("{} {:?} {}", caller.name, caller.uid, caller.door), path, key);
    match keys.begin(&id, fingerprint) {
        Err(problem) => return problem.into_response(),
        Ok(Some(made)) => {
            let mut response = (made.status, made.headers, made.body).into_response();
            response.headers_mut().insert(HeaderName::from_static("idempotent-replayed"), HeaderValue::from_static("true"));
            return response;
        }
        Ok(None) => {}
    }
    // It goes on though its caller hangs up: whoever repeats it then is answered with what came of it.
    let mut under_way = UnderWay(keys, Some(id));
    let run = tokio::spawn(async move {
        let (parts, body) = next.run(Request::from_parts(parts, Body::from(whole))).await.into_parts();
        let body = body.collect().await.map(|b| b.to_bytes()).unwrap_or_default();
        if parts.status == StatusCode::CREATED
            && let Some(id) = under_way.1.take()
        {
            under_way.0.end(id, Some(Made { status: parts.status, headers: parts.headers.clone(), body: body.clone() }));
        }
        Response::from_parts(parts, Body::from(body))
    });
    run.await
        .unwrap_or_else(|_| Problem::new(Kind::Internal, "a request did not come to its end; the daemon's log says more").into_response())
}
