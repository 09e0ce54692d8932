//! Bodies as they come in: of the right type, within the limit, within the time.

use crate::app::App;
use crate::json::{self, Parsed};
use crate::problem::{Kind, Problem};
use axum::body::{Body, Bytes};
use axum::extract::{FromRequest, Request};
use axum::http::{HeaderMap, header};
use bulkhead_core::names::shown;
use http_body_util::{BodyExt, LengthLimitError, Limited};
use std::time::Duration;

/// A JSON body.
#[derive(Debug)]
pub struct JsonBody(pub Parsed);

impl FromRequest<App> for JsonBody {
    type Rejection = Problem;
    async fn from_request(request: Request, app: &App) -> Result<Self, Problem> {
        let (parts, body) = request.into_parts();
        expect_type(&parts.headers, "application/json")?;
        let bytes = read(&parts.headers, body, app.limits().body_bytes_max, app.limits().body_within).await?;
        if bytes.iter().all(u8::is_ascii_whitespace) {
            return Err(Problem::new(Kind::Malformed, "the body is empty; a JSON object is needed").about("", "a JSON object"));
        }
        json::parse(&bytes).map(Self).map_err(|e| {
            // serde_json's text ends with the place already.
            Problem::new(Kind::Malformed, format!("the body is not JSON: {e}"))
                .about("", "one JSON object (RFC 8259), nested at most 128 deep")
        })
    }
}

/// Refuses a body of another type.
pub fn expect_type(headers: &HeaderMap, wanted: &'static str) -> Result<(), Problem> {
    let given = headers.get(header::CONTENT_TYPE).map(|v| v.to_str().unwrap_or("?"));
    let essence = given.and_then(|g| g.split(';').next()).unwrap_or_default().trim();
    if essence.eq_ignore_ascii_case(wanted) {
        return Ok(());
    }
    let wrong = given.map_or("the request has no Content-Type".to_owned(), |g| format!("the body is {}", shown(g)));
    Err(Problem::new(Kind::UnsupportedMediaType, format!("{wrong}; Content-Type: {wanted} is needed")).about("Content-Type", wanted))
}

/// Reads a body that is at most `max` bytes and arrives within `within`.
pub async fn read(headers: &HeaderMap, body: Body, max: usize, within: Duration) -> Result<Bytes, Problem> {
    let too_large = || Problem::new(Kind::TooLarge, format!("the body is over {max} bytes")).about("", format!("at most {max} bytes"));
    let announced = headers.get(header::CONTENT_LENGTH).and_then(|v| v.to_str().ok()).and_then(|v| v.parse::<u64>().ok());
    if announced.is_some_and(|n| n > max as u64) {
        return Err(too_large());
    }
    match tokio::time::timeout(within, Limited::new(body, max).collect()).await {
        Ok(Ok(collected)) => Ok(collected.to_bytes()),
        Ok(Err(e)) if e.is::<LengthLimitError>() => Err(too_large()),
        Ok(Err(e)) => Err(Problem::new(Kind::Malformed, format!("the body ended early: {e}")).about("", "a body as long as it says")),
        Err(_) => Err(Problem::new(Kind::RequestTimeout, format!("the body did not arrive within {} s", within.as_secs()))
            .about("", "a body that arrives in time")),
    }
}
