//! The dashboard: all below `/ui`, on the TCP door only.
//!
//! | path | what | needs |
//! | --- | --- | --- |
//! | `/ui/…` | its files; they hold no secret | nothing |
//! | `POST /ui/session` | log-in | a code |
//! | `GET`, `DELETE /ui/session` | who one is; log-out | a session |
//! | `/ui/v1/…` | the public API, as `/v1/…` | a session |
//!
//! The cookie's path is `/ui` (below the [base path](crate::base_path)): it is never sent to `/v1`, where the token alone counts, nor to other
//! pages of the daemon's.
//! All of them need a Host and an Origin of ours, as everything on TCP does.

mod assets;

use crate::auth::TcpGuard;
use crate::dto::json;
use crate::limits::Limits;
use crate::problem::{Kind, Problem};
use crate::sessions::{AGE_MAX, Sessions};
use crate::{body, files, json as reading};
use axum::body::Body;
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, Request, Response, StatusCode, Uri, header};
use axum::response::IntoResponse;
use bulkhead_core::caller::Caller;
use serde::Serialize;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// The header field with the key of the session.
const KEY: HeaderName = HeaderName::from_static("bulkhead-session");
/// Bytes of a log-in's body.
const LOG_IN_BYTES_MAX: usize = 1024;

/// What the dashboard makes of a request.
pub enum Entered {
    /// It goes on to the API, as this caller.
    Api(Arc<Caller>),
    /// It is answered.
    Answered(Response<Body>),
}

/// Whether a request is the dashboard's.
pub fn is_its(path: &str) -> bool {
    path == "/" || path == "/ui" || path.starts_with("/ui/")
}

/// Takes a request of the dashboard's. What goes on to the API has its path there.
pub async fn enter(guard: &TcpGuard, peer: &str, request: &mut Request<Body>, limits: &Limits) -> Result<Entered, Problem> {
    let (method, headers) = (request.method().clone(), request.headers().clone());
    let path = request.uri().path().to_owned();
    let is_read = matches!(method, Method::GET | Method::HEAD);
    if path == "/" || path == "/ui" {
        guard.check_page(request.uri(), &headers)?;
        return if is_read { Ok(Entered::Answered(files::see_other("ui/"))) } else { Err(takes(&path, "GET")) };
    }
    let below = path.strip_prefix("/ui").unwrap_or_default();
    if below == "/session" {
        guard.check_site(request.uri(), &headers)?;
        let body = std::mem::take(request.body_mut());
        return session(guard, peer, &method, &headers, body, limits).await.map(Entered::Answered);
    }
    if below == "/v1" || below.starts_with("/v1/") {
        guard.check_site(request.uri(), &headers)?;
        let (caller, _, cookie) = known(guard, &headers)?;
        request.extensions_mut().insert(guard.sessions.watch(&cookie));
        let query = request.uri().query().map(|q| format!("?{q}")).unwrap_or_default();
        // A part of a URI that was one already.
        let uri: Uri = format!("{below}{query}").parse().map_err(|_| Problem::new(Kind::Malformed, "the request's path cannot be read"))?;
        *request.uri_mut() = uri;
        return Ok(Entered::Api(caller));
    }
    guard.check_page(request.uri(), &headers)?;
    if is_read { Ok(Entered::Answered(assets::answer(below, &headers))) } else { Err(takes(&path, "GET")) }
}

/// A path does not take a method.
pub fn takes(path: &str, what: &'static str) -> Problem {
    Problem::new(Kind::MethodNotAllowed, format!("{path} takes {what}")).with_header(header::ALLOW, HeaderValue::from_static(what))
}

/// Who a session is.
#[derive(Serialize)]
struct SessionBody<'a> {
    /// To be sent as `Bulkhead-Session` with each request; only where the session has just begun.
    #[serde(skip_serializing_if = "Option::is_none")]
    key: Option<&'a str>,
    name: &'a str,
    groups: &'a [String],
    admin: bool,
    /// How long it lasts at most, in seconds.
    ends_in_s: u64,
    version: &'static str,
}

fn told(status: StatusCode, caller: &Caller, key: Option<&str>, left: Duration) -> Response<Body> {
    let (name, groups, admin) = (&caller.name, &caller.groups, caller.admin);
    json(status, &SessionBody { key, name, groups, admin, ends_in_s: left.as_secs(), version: env!("CARGO_PKG_VERSION") })
}

async fn session(
    guard: &TcpGuard,
    peer: &str,
    method: &Method,
    headers: &HeaderMap,
    body: Body,
    limits: &Limits,
) -> Result<Response<Body>, Problem> {
    match *method {
        Method::POST => {
            // A form of another page can send no such type without asking first.
            body::expect_type(headers, "application/json")?;
            let bytes = body::read(headers, body, LOG_IN_BYTES_MAX, limits.body_within).await?;
            let parsed = reading::parse(&bytes).map_err(|e| Problem::new(Kind::Malformed, format!("the body is not JSON: {e}")))?;
            let code = parsed.value.get("code").and_then(|c| c.as_str()).unwrap_or_default();
            let begun = guard.sessions.log_in(code, peer, Instant::now()).map_err(no_random)?;
            let Some(begun) = begun else {
                let detail = "the code is unknown, used or older than 60 s; `bulkhead dashboard` prints a new one";
                return Err(Problem::new(Kind::Unauthorized, detail).about("code", "the code of a new URL"));
            };
            tracing::info!(caller = %begun.caller.name, peer, "logged in to the dashboard");
            let mut response = told(StatusCode::CREATED, &begun.caller, Some(&begun.key), AGE_MAX);
            set_cookie(guard, headers, &begun.cookie, AGE_MAX, &mut response);
            response.headers_mut().insert(header::LOCATION, HeaderValue::from_static("/ui/session"));
            Ok(response)
        }
        Method::GET | Method::HEAD => known(guard, headers).map(|(caller, left, _)| told(StatusCode::OK, &caller, None, left)),
        Method::DELETE => {
            let (caller, _, cookie) = known(guard, headers)?;
            guard.sessions.end(&cookie);
            tracing::info!(caller = %caller.name, peer, "logged out of the dashboard");
            let mut response = StatusCode::NO_CONTENT.into_response();
            set_cookie(guard, headers, "", Duration::ZERO, &mut response);
            Ok(response)
        }
        _ => Err(takes("/ui/session", "GET, POST, DELETE")),
    }
}

/// The caller whose session a request shows, how long it lasts, and its cookie.
fn known(guard: &TcpGuard, headers: &HeaderMap) -> Result<(Arc<Caller>, Duration, String), Problem> {
    let mut keys = headers.get_all(KEY).iter();
    let key = match (keys.next(), keys.next()) {
        (Some(key), None) => key.to_str().unwrap_or_default(),
        _ => "",
    };
    // Another service of this host may have set a cookie of the same name: any may be the one.
    let found = cookies(headers, &cookie_name(guard)).find_map(|cookie| {
        let (caller, left) = guard.sessions.find(cookie, key, Instant::now())?;
        Some((caller, left, cookie.to_owned()))
    });
    found.ok_or_else(|| {
        let detail = "no session, or one that is over; `bulkhead dashboard` prints a URL to log in";
        Problem::new(Kind::Unauthorized, detail).about("Bulkhead-Session", "the key of a session, with its cookie")
    })
}

/// Cookies know no ports: two daemons of one host must not take each other's.
fn cookie_name(guard: &TcpGuard) -> String {
    format!("bulkhead-{}", guard.port)
}

fn cookies<'a>(headers: &'a HeaderMap, name: &str) -> impl Iterator<Item = &'a str> {
    let fields = headers.get_all(header::COOKIE).iter().filter_map(|v| v.to_str().ok());
    let pairs = fields.flat_map(|field| field.split(';')).filter_map(|pair| pair.trim().split_once('='));
    pairs.filter(move |(n, _)| *n == name).map(|(_, value)| value).take(8)
}

fn set_cookie(guard: &TcpGuard, headers: &HeaderMap, value: &str, lasts: Duration, response: &mut Response<Body>) {
    // Behind a proxy that speaks TLS the browser says so; plain http is loopback only.
    let is_tls = headers.get(header::ORIGIN).is_some_and(|o| o.as_bytes().starts_with(b"https://"));
    let secure = if is_tls { "; Secure" } else { "" };
    let (name, path, seconds) = (cookie_name(guard), guard.sessions.base().join("/ui"), lasts.as_secs());
    let text = format!("{name}={value}; Path={path}; HttpOnly; SameSite=Strict; Max-Age={seconds}{secure}");
    // Digits, letters and the attributes above: always a header's value.
    if let Ok(value) = HeaderValue::try_from(text) {
        response.headers_mut().insert(header::SET_COOKIE, value);
    }
}

fn no_random(error: std::io::Error) -> Problem {
    tracing::error!(%error, "the kernel gave no random bytes");
    Problem::new(Kind::Internal, "the kernel gave no random bytes")
}

/// A code for one log-in as `caller`, and the dashboard's address with it.
pub fn code(sessions: &Sessions, caller: Arc<Caller>) -> Result<(String, String), Problem> {
    let code = sessions.code(caller, Instant::now()).map_err(no_random)?;
    // In the fragment, which browsers send to nobody.
    let url = format!("{}#code={code}", sessions.url());
    Ok((code, url))
}
