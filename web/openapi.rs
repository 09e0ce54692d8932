//! The API's description (OpenAPI 3.1): made of the handlers themselves, so that it cannot name a route that is not there.
//! What all operations share, above all how they fail, is added here, once.

use crate::problem::{Kind, ProblemBody};
use crate::version::has_version;
use utoipa::openapi::path::{Parameter, ParameterBuilder, ParameterIn};
use utoipa::openapi::schema::{ObjectBuilder, Schema, Type};
use utoipa::openapi::security::{Http, HttpAuthScheme, SecurityScheme};
use utoipa::openapi::{Components, Content, HttpMethod, Ref, RefOr, ResponseBuilder, schema::ComponentsBuilder};
use utoipa::{OpenApi, PartialSchema, ToSchema};

#[derive(OpenApi)]
#[openapi(
    info(
        title = "Bulkhead",
        description = "Owns the ipvlan networks of a Linux host; WebAssembly policies decide every request before the kernel is touched.\n\n\
            On the unix socket the caller is the peer's user. On TCP every request needs the token. Every change takes `dry_run=true`. \
            Whatever goes wrong is answered as problem details (RFC 9457) with a stable `type`.",
        license(name = "MIT OR Apache-2.0", identifier = "MIT OR Apache-2.0")
    ),
    servers((url = "/", description = "This daemon")),
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

/// Bodies are read field by field, and their types have defaults of Rust's: what is required has none for clients.
fn required_without_defaults(schema: &mut RefOr<Schema>) {
    let RefOr::T(Schema::Object(object)) = schema else { return };
    for name in &object.required {
        match object.properties.get_mut(name) {
            Some(RefOr::T(Schema::Object(o))) => o.default = None,
            Some(RefOr::T(Schema::Array(a))) => a.default = None,
            Some(RefOr::T(Schema::OneOf(o))) => o.default = None,
            Some(RefOr::T(Schema::AllOf(o))) => o.default = None,
            Some(RefOr::Ref(r)) => r.default = None,
            _ => {}
        }
    }
}

/// A header field that may stand.
fn header_field(name: &str, what: &str) -> Parameter {
    let text = ObjectBuilder::new().schema_type(Type::String).max_length(Some(255));
    ParameterBuilder::new().name(name).parameter_in(ParameterIn::Header).description(Some(what)).schema(Some(text)).build()
}

/// What is known before any route.
pub fn base() -> utoipa::openapi::OpenApi {
    Base::openapi()
}

/// Adds what all operations share.
pub fn complete(api: &mut utoipa::openapi::OpenApi) {
    let components = api.components.get_or_insert_with(Components::new);
    let mut schemas = Vec::new();
    ProblemBody::schemas(&mut schemas);
    schemas.push((ProblemBody::name().into_owned(), ProblemBody::schema()));
    let all = std::mem::take(components);
    let mut all: ComponentsBuilder = all.into();
    for (name, schema) in schemas {
        all = all.schema(name, schema);
    }
    let token = SecurityScheme::Http(Http::new(HttpAuthScheme::Bearer));
    *components = all.security_scheme("token", token).build();
    components.schemas.values_mut().for_each(required_without_defaults);

    for (path, item) in &mut api.paths.paths {
        let takes_name = path.contains('{');
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
            let has_body = operation.request_body.is_some();
            let is_change = method != HttpMethod::Get;
            if is_change && has_version(path) {
                operation.parameters.get_or_insert_default().push(RefOr::T(header_field(
                    "If-Match",
                    "The `ETag` of what was read: the change is made only if it is the one that is there now",
                )));
            }
            if method == HttpMethod::Post && operation.responses.responses.contains_key("201") && path != "/v1/modules" {
                operation.parameters.get_or_insert_default().push(RefOr::T(header_field(
                    "Idempotency-Key",
                    "A text of the client's own: a repeat with the same one makes nothing anew, and is answered as the first was; for 24 hours",
                )));
            }
            for kind in Kind::ALL {
                let may_be = match kind {
                    // Of the three that are 403 the description needs one, and of the two that are 500.
                    Kind::Denied | Kind::ForeignOrigin | Kind::Kernel => false,
                    Kind::Malformed | Kind::RequestTimeout | Kind::TooLarge | Kind::UnsupportedMediaType => has_body,
                    Kind::Conflict => is_change,
                    Kind::PreconditionFailed => is_change && has_version(path),
                    Kind::NotFound => takes_name,
                    Kind::MethodNotAllowed => false,
                    _ => true,
                };
                let status = kind.status().as_u16().to_string();
                if may_be && !operation.responses.responses.contains_key(&status) {
                    let text = match kind {
                        Kind::Forbidden if is_change => "Denied by policy, or not the caller's to ask",
                        Kind::Forbidden => "Not the caller's to ask",
                        Kind::Internal if is_change => "The kernel did not do as planned, or a fault of the daemon's own",
                        kind => kind.title(),
                    };
                    let content = Content::new(Some(RefOr::<Schema>::Ref(Ref::from_schema_name("Problem"))));
                    let response = ResponseBuilder::new().description(text).content("application/problem+json", content).build();
                    operation.responses.responses.insert(status, RefOr::T(response));
                }
            }
        }
    }
}
