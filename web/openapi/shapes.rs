//! What the derived schemas say otherwise than the API is.

use serde_json::Value;
use std::collections::BTreeMap;
use utoipa::openapi::schema::{AnyOf, ArrayItems, KnownFormat, Object, OneOf, Schema, SchemaFormat};
use utoipa::openapi::{Ref, RefOr};

/// How the schema of a page of something is named, before that something's name.
pub(super) const PAGE: &str = "Page_";

/// Lets pages refer to what they have items of, which the derived schemas repeat.
pub(super) fn refer_to_items(schemas: &mut BTreeMap<String, RefOr<Schema>>) {
    let names: Vec<String> = schemas.keys().filter_map(|name| Some(name.strip_prefix(PAGE)?.to_owned())).collect();
    for name in names {
        if !schemas.contains_key(&name) {
            continue;
        }
        if let Some(RefOr::T(Schema::Object(page))) = schemas.get_mut(&format!("{PAGE}{name}"))
            && let Some(RefOr::T(Schema::Array(items))) = page.properties.get_mut("items")
        {
            items.items = ArrayItems::RefOrSchema(Box::new(RefOr::Ref(Ref::from_schema_name(name))));
        }
    }
}

/// Settles a schema and all below it: what is required has no default for clients (bodies are read field by field, and their types have
/// defaults of Rust's), and a pattern that lists words is a list of words.
pub(super) fn settle(schema: &mut RefOr<Schema>) {
    let RefOr::T(schema) = schema else { return };
    match schema {
        Schema::Object(object) => settle_object(object),
        Schema::Array(array) => {
            if let ArrayItems::RefOrSchema(items) = &mut array.items {
                settle(items);
            }
        }
        Schema::OneOf(OneOf { items, .. }) | Schema::AnyOf(AnyOf { items, .. }) => items.iter_mut().for_each(settle),
        Schema::AllOf(all) => all.items.iter_mut().for_each(settle),
        // More kinds of schemas may come; ours are these.
        #[allow(unreachable_patterns)]
        _ => {}
    }
}

fn settle_object(object: &mut Object) {
    let words = object.pattern.as_deref().and_then(words);
    if let Some(words) = words {
        object.enum_values = Some(words);
        object.pattern = None;
    }
    // What an SQL database can hold.
    if object.format == Some(SchemaFormat::KnownFormat(KnownFormat::Int64)) && object.maximum.is_none() {
        object.maximum = Some(i64::MAX.into());
    }
    for (name, property) in &mut object.properties {
        settle(property);
        if object.required.contains(name) {
            match property {
                RefOr::T(Schema::Object(o)) => o.default = None,
                RefOr::T(Schema::Array(a)) => a.default = None,
                RefOr::T(Schema::OneOf(o)) => o.default = None,
                RefOr::T(Schema::AllOf(o)) => o.default = None,
                RefOr::Ref(r) => r.default = None,
                RefOr::T(_) => {}
            }
        }
    }
}

/// Says of the parameter `label` that each is `key=value`.
pub(super) fn settle_labels(schema: &mut RefOr<Schema>) {
    let RefOr::T(Schema::Array(array)) = schema else { return };
    if let ArrayItems::RefOrSchema(items) = &mut array.items
        && let RefOr::T(Schema::Object(label)) = &mut **items
    {
        label.pattern = Some("^[^=]+=".to_owned());
    }
}

/// The words of `^(l2|l3|l3s)$`.
fn words(pattern: &str) -> Option<Vec<Value>> {
    let inner = pattern.strip_prefix("^(")?.strip_suffix(")$")?;
    let is_word = |w: &str| !w.is_empty() && w.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-');
    inner.split('|').all(is_word).then(|| inner.split('|').map(Value::from).collect())
}
