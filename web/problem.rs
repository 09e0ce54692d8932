//! What went wrong, as problem details (RFC 9457). The only place that knows which refusal has which status.
//!
//! `type` is stable: programs may compare it. `detail` is for people and may change.

use crate::dto::policy::HelpBody;
use axum::body::Body;
use axum::http::{HeaderName, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use bulkhead_core::ids::DecisionId;
use bulkhead_core::policy::Found;
use bulkhead_core::record::StoreError;
use bulkhead_core::refusal::{Fault, Refusal, RefusalKind};
use bulkhead_engine::Failure;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// The kinds of problems.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// The body is not JSON, or the request is not HTTP as it should be.
    Malformed,
    /// No token, or a wrong one.
    Unauthorized,
    /// Policies said no.
    Denied,
    /// The caller may not ask this; no policy was asked.
    Forbidden,
    /// The request comes from a web page of somebody else.
    ForeignOrigin,
    /// What the request names is not there.
    NotFound,
    /// The path does not take this method.
    MethodNotAllowed,
    /// The body took too long to arrive.
    RequestTimeout,
    /// The request contradicts what is on record or on the host.
    Conflict,
    /// What is to be changed was changed since it was read.
    PreconditionFailed,
    /// The body is over the limit.
    TooLarge,
    /// The body is of another type than the path takes.
    UnsupportedMediaType,
    /// The request was meant for another host.
    Misdirected,
    /// Fields or parameters are wrong.
    Invalid,
    /// Allowed, but the kernel did not do as planned.
    Kernel,
    /// A fault of the daemon's own.
    Internal,
    /// The daemon cannot take this now.
    Unavailable,
    /// It takes longer than a caller is kept waiting, and goes on.
    Timeout,
}

impl Kind {
    /// All kinds.
    pub const ALL: [Kind; 18] = [
        Kind::Malformed,
        Kind::Unauthorized,
        Kind::Denied,
        Kind::Forbidden,
        Kind::ForeignOrigin,
        Kind::NotFound,
        Kind::MethodNotAllowed,
        Kind::RequestTimeout,
        Kind::Conflict,
        Kind::PreconditionFailed,
        Kind::TooLarge,
        Kind::UnsupportedMediaType,
        Kind::Misdirected,
        Kind::Invalid,
        Kind::Kernel,
        Kind::Internal,
        Kind::Unavailable,
        Kind::Timeout,
    ];

    fn told(self) -> (StatusCode, &'static str, &'static str) {
        match self {
            Kind::Malformed => (StatusCode::BAD_REQUEST, "/problems/malformed", "The request cannot be read"),
            Kind::Unauthorized => (StatusCode::UNAUTHORIZED, "/problems/unauthorized", "A valid token is needed"),
            Kind::Denied => (StatusCode::FORBIDDEN, "/problems/denied", "Denied by policy"),
            Kind::Forbidden => (StatusCode::FORBIDDEN, "/problems/forbidden", "The caller may not do this"),
            Kind::ForeignOrigin => (StatusCode::FORBIDDEN, "/problems/foreign-origin", "The request comes from a foreign web page"),
            Kind::NotFound => (StatusCode::NOT_FOUND, "/problems/not-found", "There is no such thing"),
            Kind::MethodNotAllowed => {
                (StatusCode::METHOD_NOT_ALLOWED, "/problems/method-not-allowed", "The path does not take this method")
            }
            Kind::RequestTimeout => (StatusCode::REQUEST_TIMEOUT, "/problems/request-timeout", "The request took too long to arrive"),
            Kind::Conflict => (StatusCode::CONFLICT, "/problems/conflict", "The request contradicts what is there"),
            Kind::PreconditionFailed => {
                (StatusCode::PRECONDITION_FAILED, "/problems/precondition-failed", "It was changed since it was read")
            }
            Kind::TooLarge => (StatusCode::PAYLOAD_TOO_LARGE, "/problems/too-large", "The body is too large"),
            Kind::UnsupportedMediaType => {
                (StatusCode::UNSUPPORTED_MEDIA_TYPE, "/problems/unsupported-media-type", "The body has an unsupported type")
            }
            Kind::Misdirected => (StatusCode::MISDIRECTED_REQUEST, "/problems/misdirected", "The request was meant for another host"),
            Kind::Invalid => (StatusCode::UNPROCESSABLE_ENTITY, "/problems/invalid", "The request is wrong"),
            Kind::Kernel => (StatusCode::INTERNAL_SERVER_ERROR, "/problems/kernel", "The kernel did not do as planned"),
            Kind::Internal => (StatusCode::INTERNAL_SERVER_ERROR, "/problems/internal", "A fault of the daemon's own"),
            Kind::Unavailable => (StatusCode::SERVICE_UNAVAILABLE, "/problems/unavailable", "Not now"),
            Kind::Timeout => (StatusCode::GATEWAY_TIMEOUT, "/problems/timeout", "It takes longer, and goes on"),
        }
    }

    /// Its status.
    pub fn status(self) -> StatusCode {
        self.told().0
    }
    /// Its `type`.
    pub fn uri(self) -> &'static str {
        self.told().1
    }
    /// Its title.
    pub fn title(self) -> &'static str {
        self.told().2
    }
}

/// What a client hears when something went wrong (`application/problem+json`, RFC 9457).
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
#[schema(as = Problem, example = json!({
    "type": "/problems/invalid",
    "title": "The request is wrong",
    "status": 422,
    "detail": "subnets[0].cidr: 192.168.1.1/24 has host bits set; 192.168.1.0/24",
    "faults": [{"field": "subnets[0].cidr", "wrong": "192.168.1.1/24 has host bits set", "right": "192.168.1.0/24"}]
}))]
pub struct ProblemBody {
    /// What kind of problem: stable, for programs.
    #[serde(rename = "type")]
    #[schema(example = "/problems/invalid")]
    pub kind: String,
    /// The kind, for people.
    pub title: String,
    /// The HTTP status.
    pub status: u16,
    /// What went wrong this time, for people.
    pub detail: String,
    /// All that is wrong with the request.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub faults: Vec<FaultBody>,
    /// All that policies have against it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub violations: Vec<ViolationBody>,
    /// Number of the decision in the log, where one was made.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub decision: Option<u64>,
    /// What could not be undone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub left: Option<String>,
    /// A removal: it is on record and is tried again.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub goes_on: Option<bool>,
}

/// One thing wrong with a request.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[schema(as = Fault)]
pub struct FaultBody {
    /// Path of the field or name of the parameter; empty for the request as a whole.
    #[schema(example = "subnets[0].cidr")]
    pub field: String,
    /// What was wrong.
    pub wrong: String,
    /// What would be right.
    pub right: String,
}

/// One rule that a policy finds violated.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[schema(as = Violation)]
pub struct ViolationBody {
    /// The policy; `engine` where no policy spoke.
    pub policy: String,
    /// The rule.
    pub rule: String,
    /// The field of the request that is at fault, where one is.
    pub field: Option<String>,
    /// What is wrong.
    pub message: String,
    /// What would be right.
    pub remedy: Option<String>,
    /// What the operator adds: whom to ask, where to read more.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub help: Option<HelpBody>,
}

impl From<&Found> for ViolationBody {
    fn from(found: &Found) -> Self {
        let v = &found.violation;
        Self {
            policy: found.policy.to_string(),
            rule: v.rule.clone(),
            field: v.field.clone(),
            message: v.message.clone(),
            remedy: v.remedy.clone(),
            help: (!found.help.is_empty()).then(|| (&found.help).into()),
        }
    }
}

/// Something went wrong.
#[derive(Debug)]
pub struct Problem(Box<Inner>);

#[derive(Debug)]
struct Inner {
    kind: Kind,
    detail: String,
    faults: Vec<Fault>,
    violations: Vec<Found>,
    decision: Option<DecisionId>,
    left: Option<String>,
    goes_on: Option<bool>,
    headers: Vec<(HeaderName, HeaderValue)>,
}

impl Problem {
    /// A problem of `kind`.
    pub fn new(kind: Kind, detail: impl Into<String>) -> Self {
        Self(Box::new(Inner {
            kind,
            detail: detail.into(),
            faults: Vec::new(),
            violations: Vec::new(),
            decision: None,
            left: None,
            goes_on: None,
            headers: Vec::new(),
        }))
    }

    /// Fields or parameters that are wrong.
    pub fn invalid(faults: Vec<Fault>) -> Self {
        Refusal { kind: RefusalKind::Invalid, faults }.into()
    }

    /// The same, naming the field (of the header or the body) that is at fault, and what would be right.
    #[must_use]
    pub fn about(mut self, field: &str, right: impl Into<String>) -> Self {
        let wrong = self.0.detail.clone();
        self.0.faults.push(Fault::new(field, wrong, right));
        self
    }

    /// The same with a header field.
    #[must_use]
    pub fn with_header(mut self, name: HeaderName, value: HeaderValue) -> Self {
        self.0.headers.push((name, value));
        self
    }

    /// Its kind.
    pub fn kind(&self) -> Kind {
        self.0.kind
    }

    /// What went wrong.
    pub fn detail(&self) -> &str {
        &self.0.detail
    }
}

impl From<Refusal> for Problem {
    fn from(refusal: Refusal) -> Self {
        let kind = match refusal.kind {
            RefusalKind::Invalid => Kind::Invalid,
            RefusalKind::Forbidden => Kind::Forbidden,
            RefusalKind::NotFound => Kind::NotFound,
            RefusalKind::Conflict => Kind::Conflict,
        };
        let mut problem = Self::new(kind, refusal.to_string());
        problem.0.faults = refusal.faults;
        problem
    }
}

impl From<Failure> for Problem {
    fn from(failure: Failure) -> Self {
        let detail = failure.to_string();
        match failure {
            Failure::Refused(refusal) => refusal.into(),
            Failure::Denied { decision, violations } => {
                let mut problem = Self::new(Kind::Denied, detail);
                problem.0.decision = Some(decision);
                problem.0.violations = violations;
                problem
            }
            Failure::Kernel { decision, left, goes_on, .. } => {
                let mut problem = Self::new(Kind::Kernel, detail);
                problem.0.decision = Some(decision);
                problem.0.left = left;
                problem.0.goes_on = Some(goes_on);
                problem
            }
            Failure::Unavailable(why) => Self::new(Kind::Unavailable, why),
        }
    }
}

impl From<StoreError> for Problem {
    fn from(error: StoreError) -> Self {
        tracing::error!(%error, cause = ?std::error::Error::source(&error), "the record could not be read");
        Self::new(Kind::Unavailable, error.to_string())
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let Inner { kind, detail, faults, violations, decision, left, goes_on, headers } = *self.0;
        let body = ProblemBody {
            kind: kind.uri().to_owned(),
            title: kind.title().to_owned(),
            status: kind.status().as_u16(),
            detail,
            faults: faults.into_iter().map(|f| FaultBody { field: f.field, wrong: f.wrong, right: f.right }).collect(),
            violations: violations.iter().map(ViolationBody::from).collect(),
            decision: decision.map(|d| d.0),
            left,
            goes_on,
        };
        // Texts and numbers only: this cannot fail.
        let text = serde_json::to_vec(&body).unwrap_or_default();
        let mut response = Response::new(Body::from(text));
        *response.status_mut() = kind.status();
        let fields = response.headers_mut();
        fields.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
        match kind {
            Kind::Unauthorized => drop(fields.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer realm=\"bulkhead\""))),
            Kind::Unavailable => drop(fields.insert(header::RETRY_AFTER, HeaderValue::from_static("1"))),
            _ => {}
        }
        // Who is turned away at the door, or has more to send than is read, does not keep the connection.
        if matches!(kind, Kind::Unauthorized | Kind::Misdirected | Kind::ForeignOrigin | Kind::TooLarge | Kind::RequestTimeout) {
            fields.insert(header::CONNECTION, HeaderValue::from_static("close"));
        }
        fields.extend(headers);
        response
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Programs compare these: a change here breaks them.
    #[test]
    fn types_and_statuses_are_stable() {
        let told: Vec<String> = Kind::ALL.iter().map(|k| format!("{} {}", k.status().as_u16(), k.uri())).collect();
        assert_eq!(
            told,
            [
                "400 /problems/malformed",
                "401 /problems/unauthorized",
                "403 /problems/denied",
                "403 /problems/forbidden",
                "403 /problems/foreign-origin",
                "404 /problems/not-found",
                "405 /problems/method-not-allowed",
                "408 /problems/request-timeout",
                "409 /problems/conflict",
                "412 /problems/precondition-failed",
                "413 /problems/too-large",
                "415 /problems/unsupported-media-type",
                "421 /problems/misdirected",
                "422 /problems/invalid",
                "500 /problems/kernel",
                "500 /problems/internal",
                "503 /problems/unavailable",
                "504 /problems/timeout",
            ]
        );
    }
}
