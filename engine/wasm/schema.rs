//! Settings against the JSON Schema that a module describes them by (draft 2020-12, unless `$schema` names an older one).
//!
//! A schema is a stranger's: its patterns and references run where its module is compiled, in a process of their own, and nothing
//! outside of it is ever fetched.

use crate::settings::RULE_SETTINGS;
use bulkhead_core::names::{nearest, shown};
use bulkhead_core::policy::Violation;
use jsonschema::error::ValidationErrorKind as Kind;
use jsonschema::paths::{Location, LocationSegment};
use jsonschema::{ValidationError, Validator};
use serde_json::Value;

/// Most faults that are told of one module's settings.
const FAULTS_MAX: usize = 64;

/// Makes a schema ready; `Err` says why the text is none. An empty text asks nothing.
pub(crate) fn read(text: &str) -> Result<Option<Validator>, String> {
    if text.is_empty() {
        return Ok(None);
    }
    let schema: Value = serde_json::from_str(text).map_err(|e| format!("not JSON: {e}"))?;
    if !schema.is_object() && !schema.is_boolean() {
        return Err("neither an object nor true or false".into());
    }
    let ready = jsonschema::options().offline().build(&schema);
    ready.map(Some).map_err(|e| format!("at {}: {}", place_in_schema(e.instance_path()), shown(&e.masked_with("this").to_string())))
}

fn place_in_schema(path: &Location) -> &str {
    if path.is_empty() { "its top" } else { path.as_str() }
}

/// All that is against the schema, each with its place in the settings.
pub(crate) fn violations(schema: &str, settings: &str) -> Vec<Violation> {
    let against = |field: &str, message: String, remedy: &str| Violation {
        rule: RULE_SETTINGS.into(),
        message,
        field: Some(field.to_owned()).filter(|f| !f.is_empty()),
        remedy: Some(remedy.into()),
    };
    let validator = match read(schema) {
        Ok(Some(validator)) => validator,
        Ok(None) => return Vec::new(),
        Err(why) => return vec![against("", format!("the module's schema is none: {why}"), "mend the module")],
    };
    let settings: Value = match serde_json::from_str(settings) {
        Ok(settings) => settings,
        Err(why) => return vec![against("", format!("the settings are not JSON: {why}"), "JSON, at most 127 levels deep")],
    };
    let root: Value = serde_json::from_str(schema).unwrap_or_default();
    let mut found = Vec::new();
    for error in validator.iter_errors(&settings).take(FAULTS_MAX) {
        let place = field(error.instance_path());
        match error.kind() {
            Kind::AdditionalProperties { unexpected } | Kind::UnevaluatedProperties { unexpected } => {
                let known = siblings(&root, &error);
                for name in unexpected {
                    let right = match nearest(name, known.iter().map(String::as_str)) {
                        Some(meant) => format!("did you mean {meant}?"),
                        None if known.is_empty() => "it takes no such fields".into(),
                        None => format!("known are {}", known.join(", ")),
                    };
                    found.push(against(&below(&place, name), "is not a known field".into(), &right));
                }
            }
            Kind::Required { property } => {
                let name = property.as_str().unwrap_or_default();
                found.push(against(&below(&place, name), "is missing".into(), "it is required"));
            }
            Kind::AnyOf { context } | Kind::OneOfNotValid { context } => {
                let forms = context.iter().filter_map(|form| form.first()).map(said).collect::<Vec<_>>().join("; ");
                found.push(against(&place, format!("is {}, which has none of the forms that it may have", of(&error)), &forms));
            }
            _ => found.push(against(&place, format!("is {}: {}", of(&error), said(&error)), &right(&root, &error))),
        }
    }
    found
}

/// What stands there, shortened.
fn of(error: &ValidationError<'_>) -> String {
    shown(&error.instance().to_string())
}

fn said(error: &ValidationError<'_>) -> String {
    error.masked_with("it").to_string()
}

/// The schema's own word on what would be right.
fn right(root: &Value, error: &ValidationError<'_>) -> String {
    match root.pointer(error.schema_path().as_str()) {
        Some(wanted) => format!("the module's schema has {} {}", error.kind().keyword(), shown(&wanted.to_string())),
        None => format!("see {} in the module's schema", error.schema_path()),
    }
}

/// The fields that the schema lists beside the keyword that found unknown ones.
fn siblings(root: &Value, error: &ValidationError<'_>) -> Vec<String> {
    let around = error.schema_path().as_str().rsplit_once('/').and_then(|(around, _)| root.pointer(around));
    let properties = around.and_then(|a| a.get("properties")).and_then(Value::as_object);
    properties.map(|p| p.keys().cloned().collect()).unwrap_or_default()
}

/// A place as the built-in policies write it: `tiers.cards.vlans[0]`; empty for the settings as a whole.
fn field(path: &Location) -> String {
    path.segments().fold(String::new(), |place, segment| match segment {
        LocationSegment::Property(name) => below(&place, &name),
        LocationSegment::Index(at) => format!("{place}[{at}]"),
    })
}

fn below(place: &str, name: &str) -> String {
    if place.is_empty() { name.to_owned() } else { format!("{place}.{name}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SCHEMA: &str = r##"{
        "type": "object", "additionalProperties": false, "required": ["tiers"],
        "properties": {
            "tiers": { "type": "object", "additionalProperties": { "$ref": "#/$defs/tier" } },
            "label": { "type": "string", "minLength": 1 }
        },
        "$defs": { "tier": { "type": "array", "items": { "anyOf": [{ "type": "integer", "maximum": 4094 }, { "const": "untagged" }] } } }
    }"##;

    fn told(settings: &str) -> Vec<String> {
        let one = |v: Violation| format!("{} {} ({})", v.field.unwrap_or("-".into()), v.message, v.remedy.unwrap_or_default());
        violations(SCHEMA, settings).into_iter().map(one).collect()
    }

    #[test]
    fn all_faults_are_told_with_their_place_and_what_would_be_right() {
        assert_eq!(told(r#"{"tiers":{"cards":[40,"untagged"]},"label":"tier"}"#), Vec::<String>::new());
        let mut found = told(r#"{"tires":{},"label":""}"#);
        found.sort();
        assert_eq!(
            found,
            [
                "label is \"\\\"\\\"\": it is shorter than 1 character (the module's schema has minLength \"1\")",
                "tiers is missing (it is required)",
                "tires is not a known field (did you mean tiers?)"
            ]
        );
        let found = told(r#"{"tiers":{"cards":[40,4095]}}"#);
        assert_eq!(found.len(), 1);
        assert!(found[0].starts_with("tiers.cards[1] is \"4095\", which has none of the forms"), "{found:?}");
    }

    #[test]
    fn what_is_no_schema_is_told_from_one_and_nothing_outside_is_fetched() {
        assert!(read("").is_ok_and(|s| s.is_none()));
        for good in ["{}", "true", SCHEMA, r#"{"$schema":"http://json-schema.org/draft-07/schema#","type":"object"}"#] {
            assert!(read(good).is_ok_and(|s| s.is_some()), "{good}");
        }
        for (bad, why) in [
            ("[]", "neither an object"),
            (r#"{"type":"objekt"}"#, "/type"),
            (r#"{"pattern":"("}"#, "pattern"),
            (r#"{"$ref":"https://example.org/x.json"}"#, "example.org"),
            (r##"{"$ref":"#/$defs/none"}"##, "none"),
            (r#"{"$ref":"file:///etc/passwd"}"#, "passwd"),
        ] {
            let told = read(bad).err();
            assert!(told.as_ref().is_some_and(|t| t.contains(why)), "{bad}: {told:?}");
        }
    }
}
