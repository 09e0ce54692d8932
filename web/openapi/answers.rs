//! How operations answer: the header fields of what went well, and all that can go wrong, described once and referred to.

use super::examples;
use crate::once::takes_key;
use crate::problem::Kind;
use crate::version::has_version;
use std::collections::BTreeMap;
use utoipa::openapi::example::ExampleBuilder;
use utoipa::openapi::header::HeaderBuilder;
use utoipa::openapi::path::Operation;
use utoipa::openapi::schema::{ObjectBuilder, Schema, Type};
use utoipa::openapi::{ContentBuilder, Header, HttpMethod, Ref, RefOr, Response, ResponseBuilder};

/// An answer that something went wrong: its name among the components, the kinds of problems, and what it is.
struct Shared {
    name: &'static str,
    kinds: &'static [Kind],
    text: &'static str,
}

const fn one(name: &'static str, kinds: &'static [Kind], text: &'static str) -> Shared {
    Shared { name, kinds, text }
}

/// All of them but 405: of what is described every method is taken. Where one status stands for several kinds, `type` tells which it is.
const ALL: [Shared; 16] = [
    one("Malformed", &[Kind::Malformed], "The request cannot be read"),
    one("Unauthorized", &[Kind::Unauthorized], "A valid token is needed (on TCP)"),
    one("Denied", &[Kind::Denied, Kind::Forbidden, Kind::ForeignOrigin], "Denied by policy, or not the caller's to ask"),
    one("Forbidden", &[Kind::Forbidden, Kind::ForeignOrigin], "Not the caller's to ask"),
    one("NotFound", &[Kind::NotFound], "There is no such thing; `faults` names the nearest that there is"),
    one("RequestTimeout", &[Kind::RequestTimeout], "The body took too long to arrive"),
    one("Conflict", &[Kind::Conflict], "The request contradicts what is there"),
    one("PreconditionFailed", &[Kind::PreconditionFailed], "It was changed since it was read"),
    one("TooLarge", &[Kind::TooLarge], "The body is too large"),
    one("UnsupportedMediaType", &[Kind::UnsupportedMediaType], "The body has an unsupported type"),
    one("Misdirected", &[Kind::Misdirected], "The request was meant for another host (on TCP)"),
    one("Invalid", &[Kind::Invalid], "Fields or parameters are wrong; `faults` has all of them"),
    one("Kernel", &[Kind::Kernel, Kind::Internal], "The kernel did not do as planned, or a fault of the daemon's own"),
    one("Internal", &[Kind::Internal], "A fault of the daemon's own"),
    one("Unavailable", &[Kind::Unavailable], "Not now"),
    one("Timeout", &[Kind::Timeout], "It takes longer than a caller is kept waiting, and goes on"),
];

fn field(what: &str, kind: Type, example: impl Into<serde_json::Value>) -> RefOr<Header> {
    let schema = ObjectBuilder::new().schema_type(kind);
    RefOr::T(HeaderBuilder::new().schema(Some(schema)).description(Some(what)).example(Some(example.into())).build())
}

fn etag(what: &str) -> RefOr<Header> {
    field(what, Type::String, "\"6d0c4b7c0ae3d5f1b1b0c6f2a4e7d9c8\"")
}

/// The answers that operations refer to.
pub(super) fn shared() -> BTreeMap<String, RefOr<Response>> {
    let response = |shared: &Shared| {
        let mut content = ContentBuilder::new().schema(Some(RefOr::<Schema>::Ref(Ref::from_schema_name("Problem"))));
        if let [kind] = shared.kinds {
            content = content.example(Some(examples::problem(*kind)));
        } else {
            let named = shared.kinds.iter().map(|kind| {
                let name = kind.uri().trim_start_matches("/problems/");
                (name, ExampleBuilder::new().summary(kind.title()).value(Some(examples::problem(*kind))).build())
            });
            content = content.examples_from_iter(named);
        }
        let mut response = ResponseBuilder::new().description(shared.text).content("application/problem+json", content.build()).build();
        let fields: &[(&str, RefOr<Header>)] = match shared.kinds[0] {
            Kind::Unauthorized => &[("WWW-Authenticate", field("How", Type::String, "Bearer realm=\"bulkhead\""))],
            Kind::Unavailable => &[("Retry-After", field("In how many seconds", Type::Integer, 1))],
            Kind::PreconditionFailed => &[("ETag", etag("The one that is there now"))],
            _ => &[],
        };
        response.headers.extend(fields.iter().map(|(name, field)| ((*name).to_owned(), field.clone())));
        RefOr::T(response)
    };
    ALL.iter().map(|shared| (shared.name.to_owned(), response(shared))).collect()
}

/// Adds to an operation what it answers besides what its handler says.
pub(super) fn add(operation: &mut Operation, method: &HttpMethod, path: &str) {
    let is_changing = operation.parameters.iter().flatten().any(|p| matches!(p, RefOr::T(p) if p.name == "dry_run"));
    let has_body = operation.request_body.is_some();
    let has_tag = has_version(path);
    let responses = &mut operation.responses.responses;
    for (status, response) in responses.iter_mut() {
        let RefOr::T(response) = response else { continue };
        if status == "201" && *method == HttpMethod::Post && takes_key(path) {
            let what = "`true` where an `Idempotency-Key` has stood before, and this is the answer of then";
            response.headers.insert("Idempotent-Replayed".to_owned(), field(what, Type::String, "true"));
        }
        // Dry runs and removals show nothing that could be changed.
        if has_tag && *method != HttpMethod::Delete && ["200", "201"].contains(&status.as_str()) {
            response.headers.insert("ETag".to_owned(), etag("For `If-Match` of a change; not of a dry run"));
        }
    }
    for shared in &ALL {
        let may_be = match shared.name {
            "Malformed" | "RequestTimeout" | "TooLarge" => has_body || (is_changing && has_tag),
            "UnsupportedMediaType" => has_body,
            // A log-in needs a dashboard, which only a daemon on TCP has.
            "Conflict" => is_changing || path == "/v1/sessions/codes",
            "PreconditionFailed" => is_changing && has_tag,
            "NotFound" => path.contains('{'),
            "Denied" | "Kernel" => is_changing,
            "Forbidden" | "Internal" => !is_changing,
            _ => true,
        };
        let status = shared.kinds[0].status().as_u16().to_string();
        let response = RefOr::Ref(Ref::from_response_name(shared.name));
        // One without a body is only announced by its handler.
        let is_announced = matches!(responses.get(&status), Some(RefOr::T(r)) if r.content.is_empty());
        if may_be || is_announced {
            responses.insert(status, response);
        }
    }
}
