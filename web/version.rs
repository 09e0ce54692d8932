//! Changes only of what the caller has seen: `ETag` on what can be changed, `If-Match` on changes of it.
//!
//! The tag is of what changes are asked of: a network's labels and subnets, a policy's revision. What comes and goes by itself (how many
//! endpoints, how many addresses are left, whether a parent is there) does not count, or hardly a change would ever fit.

use crate::app::{App, Asker};
use crate::body;
use crate::problem::{Kind, Problem};
use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::{MatchedPath, Request, State};
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use http_body_util::BodyExt;
use serde_json::Value;
use sha2::{Digest, Sha256};
use std::sync::Arc;
use tokio::sync::RwLock;
use tower_service::Service;

/// What can be changed, and has a tag.
const TAGGED: [&str; 3] = ["/v1/networks/{network}", "/v1/networks/{network}/endpoints/{endpoint}", "/v1/policies/{policy}"];
/// What does not count: it changes by itself, or tells of the change that is answered.
const BY_ITSELF: [&str; 9] = ["state", "why", "endpoints", "reaches", "decision", "warnings", "shield", "addresses_left", "routes"];

/// Whether what this path names has a tag.
pub fn has_version(path: &str) -> bool {
    TAGGED.contains(&path)
}

/// Taken for itself by a change that looks first, and shared by all others: nothing comes between the look and the change.
#[derive(Clone)]
pub struct Versions {
    app: App,
    /// Where the look goes to.
    router: Router,
    turn: Arc<RwLock<()>>,
}

impl Versions {
    /// For this router.
    pub fn new(app: App, router: Router) -> Self {
        Self { app, router, turn: Arc::default() }
    }
}

/// Adds the tag to answers, and lets a change with `If-Match` through only if one of its tags is the one that is there now.
pub async fn guard(State(versions): State<Versions>, path: MatchedPath, request: Request, next: Next) -> Response {
    if !has_version(path.as_str()) {
        return next.run(request).await;
    }
    if request.method() == Method::GET {
        return tagged(next.run(request).await).await;
    }
    // The body is there before anybody's turn: one that is slow to send keeps nobody else waiting.
    let limits = versions.app.limits();
    let (parts, whole) = request.into_parts();
    let whole = match body::read(&parts.headers, whole, limits.body_bytes_max, limits.body_within).await {
        Ok(whole) => whole,
        Err(problem) => return problem.into_response(),
    };
    let wanted = match wanted(&parts.headers) {
        Ok(wanted) => wanted,
        Err(problem) => return problem.into_response(),
    };
    let Some(wanted) = wanted else {
        let _turn = versions.turn.read().await;
        return tagged(next.run(Request::from_parts(parts, Body::from(whole))).await).await;
    };
    let _turn = versions.turn.write().await;
    let mut look = Request::new(Body::empty());
    *look.uri_mut() = parts.uri.path().parse().unwrap_or_default();
    if let Some(asker) = parts.extensions.get::<Asker>() {
        look.extensions_mut().insert(asker.clone());
    }
    let Ok(there) = versions.router.clone().call(look).await;
    let there = tagged(there).await;
    if there.status() != StatusCode::OK {
        return there;
    }
    let now = there.headers().get(header::ETAG).and_then(|tag| tag.to_str().ok()).unwrap_or_default();
    if !wanted.iter().any(|tag| tag == now || tag == "*") {
        let detail = format!("it was changed since it was read: its ETag is {now}, and If-Match has {}", wanted.join(", "));
        let problem =
            Problem::new(Kind::PreconditionFailed, detail).about("If-Match", "read it again, and ask for the change of what is there");
        return match HeaderValue::try_from(now) {
            Ok(tag) => problem.with_header(header::ETAG, tag).into_response(),
            Err(_) => problem.into_response(),
        };
    }
    tagged(next.run(Request::from_parts(parts, Body::from(whole))).await).await
}

/// The tags of `If-Match` (RFC 9110, 13.1.1), where there are any. A weak one matches nothing.
fn wanted(headers: &HeaderMap) -> Result<Option<Vec<String>>, Problem> {
    let mut all = Vec::new();
    for value in headers.get_all(header::IF_MATCH) {
        for tag in value.to_str().unwrap_or("?").split(',').map(str::trim) {
            let is_quoted = tag.len() >= 2 && tag.trim_start_matches("W/").starts_with('"') && tag.ends_with('"');
            if tag != "*" && !is_quoted {
                let detail = "If-Match is no list of ETags";
                return Err(Problem::new(Kind::Malformed, detail).about("If-Match", "* or ETags in their quotes, as they were answered"));
            }
            all.push(tag.to_owned());
        }
    }
    Ok((!all.is_empty()).then_some(all))
}

/// An answer with the tag of what it shows.
async fn tagged(response: Response) -> Response {
    let is_json = response.headers().get(header::CONTENT_TYPE).is_some_and(|t| t == "application/json");
    if !is_json || !response.status().is_success() {
        return response;
    }
    let (mut parts, body) = response.into_parts();
    // Answers of handlers are whole in memory: this waits for nothing, and cannot fail.
    let bytes = body.collect().await.map(|b| b.to_bytes()).unwrap_or_default();
    if let Some(tag) = tag(&bytes) {
        parts.headers.insert(header::ETAG, tag);
    }
    Response::from_parts(parts, Body::from(bytes))
}

/// The tag of a shown thing; none for a dry run or a removal, which show nothing.
fn tag(shown: &Bytes) -> Option<HeaderValue> {
    let mut value: Value = serde_json::from_slice(shown).ok()?;
    if value.get("plan").is_some() || !(value.get("id").is_some() || value.get("revision").is_some()) {
        return None;
    }
    strip(&mut value);
    let hash = Sha256::digest(value.to_string().as_bytes());
    let hex: String = hash.iter().take(16).map(|b| format!("{b:02x}")).collect();
    HeaderValue::try_from(format!("\"{hex}\"")).ok()
}

fn strip(value: &mut Value) {
    match value {
        Value::Object(fields) => {
            fields.retain(|key, _| !BY_ITSELF.contains(&key.as_str()));
            // Labels are the client's own words, and all of them count.
            fields.iter_mut().filter(|(key, _)| !matches!(key.as_str(), "labels" | "settings" | "reserved")).for_each(|(_, v)| strip(v));
        }
        Value::Array(items) => items.iter_mut().for_each(strip),
        _ => {}
    }
}
