//! Examples of all bodies, by the names of their schemas (`examples.json`). A test reads each of them as what it is an example of.

use super::shapes::PAGE;
use crate::problem::Kind;
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;
use std::sync::LazyLock;
use utoipa::openapi::example::ExampleBuilder;
use utoipa::openapi::path::Operation;
use utoipa::openapi::schema::Schema;
use utoipa::openapi::{Content, Ref, RefOr};

static EXAMPLES: LazyLock<Map<String, Value>> =
    // A file of our own; a test finds what is missing.
    LazyLock::new(|| serde_json::from_str(include_str!("examples.json")).unwrap_or_default());

/// What a problem of this kind looks like.
pub(super) fn problem(kind: Kind) -> Value {
    let mut body = json!({"type": kind.uri(), "title": kind.title(), "status": kind.status().as_u16()});
    if let (Some(body), Some(Value::Object(rest))) = (body.as_object_mut(), EXAMPLES.get(kind.uri())) {
        body.extend(rest.clone());
    }
    body
}

type Schemas = BTreeMap<String, RefOr<Schema>>;

/// Adds examples to the bodies of an operation that have none.
pub(super) fn add(operation: &mut Operation, schemas: &Schemas) {
    if let Some(RefOr::T(body)) = &mut operation.request_body {
        body.content.values_mut().for_each(|content| of_content(content, schemas));
    }
    for response in operation.responses.responses.values_mut() {
        if let RefOr::T(response) = response {
            response.content.values_mut().for_each(|content| of_content(content, schemas));
        }
    }
}

fn of_content(content: &mut RefOr<Content>, schemas: &Schemas) {
    let RefOr::T(content) = content else { return };
    if content.example.is_some() || !content.examples.is_empty() {
        return;
    }
    match &content.schema {
        Some(RefOr::Ref(reference)) => content.example = of(reference, schemas),
        Some(RefOr::T(Schema::OneOf(one))) => {
            let references = one.items.iter().filter_map(|item| if let RefOr::Ref(r) = item { Some(r) } else { None });
            let named = references.filter_map(|r| {
                let example = ExampleBuilder::new().summary(name(r)).value(Some(of(r, schemas)?)).build();
                Some((name(r).to_owned(), RefOr::T(example)))
            });
            content.examples = named.collect();
        }
        _ => {}
    }
}

fn name(reference: &Ref) -> &str {
    reference.ref_location.rsplit('/').next().unwrap_or_default()
}

/// The example of a schema: in the file, else its own; a page has one item.
fn of(reference: &Ref, schemas: &Schemas) -> Option<Value> {
    let name = name(reference);
    if let Some(example) = EXAMPLES.get(name) {
        return Some(example.clone());
    }
    if let Some(item) = name.strip_prefix(PAGE) {
        return Some(json!({"items": [EXAMPLES.get(item)?], "next": null}));
    }
    match schemas.get(name) {
        Some(RefOr::T(Schema::Object(object))) => object.example.clone(),
        Some(RefOr::T(Schema::AllOf(all))) => {
            all.items.iter().find_map(|part| if let RefOr::Ref(part) = part { of(part, schemas) } else { None })
        }
        _ => None,
    }
}
