//! The API's description (OpenAPI 3.1): made of the handlers themselves, so that it cannot name a route that is not there.
//! What all operations share, above all how they fail, is added here, once.

mod answers;
mod examples;
mod shapes;

use crate::base_path::BasePath;
use crate::once::{KEY_MAX, takes_key};
use crate::problem::ProblemBody;
use crate::version::has_version;
use utoipa::openapi::path::{Operation, Parameter, ParameterBuilder, ParameterIn};
use utoipa::openapi::schema::{ObjectBuilder, Type};
use utoipa::openapi::security::{Http, HttpAuthScheme, SecurityScheme};
use utoipa::openapi::{Components, HttpMethod, RefOr, ServerBuilder};
use utoipa::{OpenApi, PartialSchema, ToSchema};

#[derive(OpenApi)]
#[openapi(
    info(
        title = "Bulkhead",
        description = "Owns the ipvlan networks of a Linux host; WebAssembly policies decide every request before the kernel is touched.\n\n\
            On the unix socket the caller is the peer's user. On TCP every request needs the token. Every change takes `dry_run=true`. \
            Whatever goes wrong is answered as problem details (RFC 9457) with a stable `type`. Fields and parameters that are not described \
            are refused.",
        license(name = "MIT OR Apache-2.0", identifier = "MIT OR Apache-2.0")
    ),
    tags(
        (name = "networks", description = "Named ipvlan networks: subnets, mode, flag, parent, labels"),
        (name = "endpoints", description = "Links of networks inside network namespaces"),
        (name = "parents", description = "Links that ipvlan links hang on, and links of the host that could be one"),
        (name = "policies", description = "Modules with settings, a mode and a scope; any denial denies"),
        (name = "modules", description = "Uploaded WebAssembly components, by digest"),
        (name = "decisions", description = "The recorded outcome of each request"),
        (name = "reports", description = "What the record shows, for whoever must prove it"),
        (name = "events", description = "What happened, with sequence numbers"),
        (name = "sessions", description = "The way into the dashboard"),
        (name = "health", description = "How the daemon is, and this description")
    ),
    security((), ("token" = []))
)]
struct Base;

/// A header field that may stand: its name, most bytes, and what it is.
fn header_field(name: &str, length_max: usize, what: &str) -> RefOr<Parameter> {
    let text = ObjectBuilder::new().schema_type(Type::String).min_length(Some(1)).max_length(Some(length_max)).pattern(Some(FIELD));
    RefOr::T(ParameterBuilder::new().name(name).parameter_in(ParameterIn::Header).description(Some(what)).schema(Some(text)).build())
}

/// What is known before any route.
pub fn base() -> utoipa::openapi::OpenApi {
    Base::openapi()
}

/// Adds what all operations share.
pub fn complete(api: &mut utoipa::openapi::OpenApi, base: &BasePath) {
    let url = if base.as_str().is_empty() { "/" } else { base.as_str() };
    api.servers = Some(vec![ServerBuilder::new().url(url).description(Some("This daemon")).build()]);
    let components = api.components.get_or_insert_with(Components::new);
    let mut schemas = Vec::new();
    ProblemBody::schemas(&mut schemas);
    schemas.push((ProblemBody::name().into_owned(), ProblemBody::schema()));
    components.schemas.extend(schemas);
    components.security_schemes.insert("token".to_owned(), RefOr::T(SecurityScheme::Http(Http::new(HttpAuthScheme::Bearer))));
    components.responses.extend(answers::shared());
    shapes::refer_to_items(&mut components.schemas);
    components.schemas.values_mut().for_each(shapes::settle);
    for (path, item) in &mut api.paths.paths {
        let operations = [
            (HttpMethod::Get, &mut item.get),
            (HttpMethod::Put, &mut item.put),
            (HttpMethod::Post, &mut item.post),
            (HttpMethod::Patch, &mut item.patch),
            (HttpMethod::Delete, &mut item.delete),
        ];
        for (method, operation) in operations {
            let Some(operation) = operation else { continue };
            // Handlers are named within their resource; ids are for the whole API.
            let tag = operation.tags.iter().flatten().next();
            operation.operation_id = operation.operation_id.take().map(|id| tag.map_or(id.clone(), |tag| format!("{tag}.{id}")));
            add_header_fields(operation, &method, path);
            operation.parameters.iter_mut().flatten().for_each(|parameter| {
                if let RefOr::T(Parameter { name, schema: Some(schema), .. }) = parameter {
                    shapes::settle(schema);
                    if name == "label" {
                        shapes::settle_labels(schema);
                    }
                }
            });
            answers::add(operation, &method, path);
            examples::add(operation, &components.schemas);
        }
    }
}

/// Header fields that operations take.
fn add_header_fields(operation: &mut Operation, method: &HttpMethod, path: &str) {
    let parameters = operation.parameters.get_or_insert_default();
    let is_change = parameters.iter().any(|p| matches!(p, RefOr::T(p) if p.name == "dry_run"));
    if is_change {
        for (name, length_max, of) in [("Reason", 1024, "reason"), ("Ticket", 255, "ticket"), ("Approved-By", 255, "approved_by")] {
            let what = format!("As the parameter `{of}`, which wins over it; ASCII");
            parameters.push(header_field(&format!("Bulkhead-{name}"), length_max, &what));
        }
    }
    if is_change && has_version(path) {
        let tags = ObjectBuilder::new()
            .schema_type(Type::String)
            .pattern(Some(IF_MATCH))
            .examples([serde_json::json!("\"6d0c4b7c0ae3d5f1b1b0c6f2a4e7d9c8\"")]);
        let what = "The `ETag` of what was read: the change is made only if it is the one that is there now";
        let field = ParameterBuilder::new().name("If-Match").parameter_in(ParameterIn::Header).description(Some(what)).schema(Some(tags));
        parameters.push(RefOr::T(field.build()));
    }
    if *method == HttpMethod::Post && takes_key(path) {
        let what =
            "A text of the client's own: a repeat with the same one makes nothing anew, and is answered as the first was; for 24 hours";
        parameters.push(header_field("Idempotency-Key", KEY_MAX, what));
    }
    if parameters.is_empty() {
        operation.parameters = None;
    }
}

/// What a header field can hold: ASCII, with no blank at either end.
const FIELD: &str = "^[!-~]([ -~]*[!-~])?$";

/// `*`, or entity tags of ours (RFC 9110, 8.8.3). What else that grammar allows is read, and matches nothing.
const IF_MATCH: &str = r#"^(\*|"[0-9a-f]{1,64}"(, "[0-9a-f]{1,64}"){0,15})$"#;
