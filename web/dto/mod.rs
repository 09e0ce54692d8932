//! What goes in and out of `/v1`, as clients see it. Bodies of requests are read field by field ([`fields`](crate::fields)), so
//! the types of this module that describe them serve the API's description and clients written in Rust.

pub mod addresses;
pub mod decision;
pub mod endpoint;
pub mod evidence;
pub mod matrix;
pub mod network;
pub mod parent;
pub mod plan;
pub mod policy;
pub mod rehearsal;
pub mod report;

use crate::app::Why;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use bulkhead_core::names::Labels;
use bulkhead_core::refusal::Refusal;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use utoipa::{IntoParams, ToSchema};

/// A page of a list.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub struct Page<T> {
    /// The items.
    pub items: Vec<T>,
    /// The `cursor` of the next page; null where this is the last.
    pub next: Option<String>,
}

impl<T> Page<T> {
    /// At most `limit` of `all`, which are in the order of their cursors; `cursor` tells an item's.
    pub fn of(all: impl Iterator<Item = T>, limit: usize, cursor: impl Fn(&T) -> String) -> Self {
        let mut items: Vec<T> = all.take(limit.saturating_add(1)).collect();
        let more = items.len() > limit;
        items.truncate(limit);
        let next = items.last().filter(|_| more).map(cursor);
        Self { items, next }
    }

    /// The same page of something else.
    pub fn map<U>(self, f: impl FnMut(T) -> U) -> Page<U> {
        Page { items: self.items.into_iter().map(f).collect(), next: self.next }
    }
}

/// A removal that was done.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub struct Removed {
    /// Number of the decision that allowed it.
    #[schema(example = 7)]
    pub decision: Option<u64>,
    /// Warnings of policies and of the engine.
    pub warnings: Vec<String>,
}

/// Parameters that every change has.
#[derive(Debug, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct ChangeParams {
    /// Say what would be decided and what the kernel would be told, and change nothing.
    #[param(nullable = false)]
    pub dry_run: Option<bool>,
    /// Why; goes on record. Also as the header field `Bulkhead-Reason`.
    #[param(min_length = 1, max_length = 1024, pattern = "^[^\\u0000-\\u001f\\u007f-\\u009f]+$", nullable = false)]
    pub reason: Option<String>,
    /// A ticket's number; goes on record. Also as `Bulkhead-Ticket`.
    #[param(min_length = 1, max_length = 255, pattern = "^[^\\u0000-\\u001f\\u007f-\\u009f]+$", nullable = false)]
    pub ticket: Option<String>,
    /// Who approved; goes on record. Also as `Bulkhead-Approved-By`.
    #[param(min_length = 1, max_length = 255, pattern = "^[^\\u0000-\\u001f\\u007f-\\u009f]+$", nullable = false)]
    pub approved_by: Option<String>,
}

/// What removals have besides.
#[derive(Debug, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct ForceParams {
    /// An admin's reason to go against a denial; goes on record.
    #[param(min_length = 1, max_length = 1024, pattern = "^[^\\u0000-\\u001f\\u007f-\\u009f]+$", nullable = false)]
    pub force: Option<String>,
}

/// Parameters of lists.
#[derive(Debug, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct PageParams {
    /// Items of a page: 1 to 500, 100 by default.
    #[param(minimum = 1, maximum = 500, nullable = false)]
    pub limit: Option<u16>,
    /// `next` of the page before.
    #[param(nullable = false)]
    pub cursor: Option<String>,
}

/// JSON with a status.
pub fn json(status: StatusCode, body: &impl Serialize) -> Response {
    match serde_json::to_vec(body) {
        Ok(text) => (status, [(header::CONTENT_TYPE, HeaderValue::from_static("application/json"))], text).into_response(),
        Err(e) => {
            crate::problem::Problem::new(crate::problem::Kind::Internal, format!("the answer cannot be written: {e}")).into_response()
        }
    }
}

/// 201 with where the new thing is.
pub fn created(location: &str, body: &impl Serialize) -> Response {
    let mut response = json(StatusCode::CREATED, body);
    // Names, ids and digests are all ASCII.
    if let Ok(value) = HeaderValue::try_from(location) {
        response.headers_mut().insert(header::LOCATION, value);
    }
    response
}

/// Labels as a map.
pub fn labels(labels: &Labels) -> BTreeMap<String, String> {
    labels.iter().map(|(k, v)| (k.to_owned(), v.to_owned())).collect()
}

/// Only removals may be forced, and the engine says so; a reason that is too long or odd is refused here.
pub fn check_force(why: &Why) -> Result<(), Refusal> {
    match &why.force {
        Some(reason) if reason.chars().count() > 1024 || reason.chars().any(char::is_control) => {
            Err(Refusal::invalid("force", "the reason does not fit", "at most 1024 characters, without control characters"))
        }
        _ => Ok(()),
    }
}
